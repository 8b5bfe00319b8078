//! The memory of a planned step: where values and gradients are while somebody needs them, and what is free meanwhile.

use super::compile::Op;
use super::program::Program;
use crate::trim;
use lepton_kernels::{LANES, Moments, RecurrentMemory, blocks};
use std::mem::take;
use std::ops::{Deref, DerefMut};

/// Memory that stays from step to step, for batches of up to so many blocks.
pub(super) struct Buffers {
    /// Values from where they are made to where the way back has read them, or the way forward where that does not.
    pub(super) values: Vec<Buffer>,
    /// Gradients of values, while they are needed.
    pub(super) slopes: Vec<Buffer>,
    /// Memory of both while it is not needed.
    pub(super) free: Vec<Buffer>,
    /// Numbers of all values of the largest batch so far.
    largest: usize,
    /// The weight of the convolution at work, in the order of tiles.
    pub(super) packed: Vec<f32>,
    pub(super) scratch: Vec<f32>,
    /// By batch norm.
    pub(super) moments: Vec<Moments>,
    /// By direction of recurrent layers.
    pub(super) recurrent: Vec<RecurrentMemory>,
    /// The codes of the batch, `[rows, time]`, where the network takes codes.
    pub(super) codes: Vec<i64>,
    /// By what tells where sequences end, the length of each row; 1 behind the last one.
    pub(super) lengths: Vec<Vec<f32>>,
}

impl Buffers {
    pub(super) fn new(program: &Program) -> Buffers {
        let packed = program.ops.iter().map(|op| match op {
            Op::Conv { sizes, .. } => sizes.weights(),
            Op::PooledConv { sizes, .. } => sizes.conv().weights(),
            _ => 0,
        });
        Buffers {
            values: program.values.iter().map(|_| Buffer::default()).collect(),
            slopes: program.values.iter().map(|_| Buffer::default()).collect(),
            free: Vec::new(),
            largest: 0,
            packed: vec![0.0; packed.max().unwrap_or(0)],
            scratch: Vec::new(),
            moments: vec![Moments::default(); program.norms],
            recurrent: vec![RecurrentMemory::default(); program.recurrent],
            codes: Vec::new(),
            lengths: Vec::new(),
        }
    }

    /// Makes place for a batch. Smaller ones use the front.
    pub(super) fn reserve(&mut self, program: &Program, blocks: usize, threads: usize) {
        let scratch = program.ops.iter().map(|op| match op {
            Op::Conv { sizes, .. } => sizes.scratch(blocks),
            Op::PooledConv { sizes, .. } => sizes.scratch(threads),
            Op::Picture(op) => op.scratch(blocks),
            Op::Sequence(op) => op.scratch(blocks, threads),
            _ => 0,
        });
        let scratch = scratch.max().unwrap_or(0);
        if scratch > self.scratch.len() {
            self.scratch = vec![0.0; scratch];
        }
        // What was enough for smaller batches would lie idle.
        let numbers = blocks * program.values.iter().map(|value| value.size()).sum::<usize>();
        if numbers > self.largest {
            self.largest = numbers;
            self.free.clear();
        }
        // The input and what operations note beside their outputs stay where they are.
        for at in (0..program.values.len()).filter(|at| program.stays[*at]) {
            self.values[at].hold(blocks * program.values[at].size() * LANES);
        }
    }

    /// Takes the codes of a batch over, each row without what is behind the first `time` places, and notes where
    /// sequences end.
    pub(super) fn take_codes(&mut self, program: &Program, codes: &[i64], rows: usize, time: usize) {
        self.codes.clear();
        self.codes.extend(codes.chunks(codes.len() / rows).flat_map(|row| &row[..time]));
        let lengths = program.paddings.iter().map(|padding| {
            let mut lengths: Vec<f32> = self.codes.chunks(time).map(|row| trim::length(row, *padding) as f32).collect();
            lengths.resize(blocks(rows) * LANES, 1.0);
            lengths
        });
        self.lengths = lengths.collect();
    }
}

/// Numbers at the front of memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    numbers: Vec<f32>,
    count: usize,
}

impl Buffer {
    /// Makes place for `count` numbers, whatever they are.
    fn hold(&mut self, count: usize) {
        if self.numbers.len() < count {
            self.numbers = vec![0.0; count];
        }
        self.count = count;
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.numbers[..self.count]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.numbers[..self.count]
    }
}

/// Memory for `count` numbers, whatever they are: the least that is free and has room.
pub(super) fn claim(free: &mut Vec<Buffer>, count: usize) -> Buffer {
    let room = |at: &usize| free[*at].numbers.len();
    let mut buffer = match (0..free.len()).filter(|at| room(at) >= count).min_by_key(room) {
        Some(at) => free.swap_remove(at),
        None => Buffer::default(),
    };
    buffer.hold(count);
    buffer
}

/// Gives memory back.
pub(super) fn release(free: &mut Vec<Buffer>, buffer: &mut Buffer) {
    if !buffer.numbers.is_empty() {
        free.push(take(buffer));
    }
}
