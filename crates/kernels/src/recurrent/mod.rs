//! Recurrent layers over whole sequences, one direction at a time: tanh, LSTM and GRU, with PyTorch's weights and order of
//! gates.
//!
//! The products with the inputs are computed for all places at once. Then the places follow each other; where there are as
//! many blocks of rows as threads, each thread walks through its own blocks alone, else the threads share the units of every
//! place. On the way back the gradients of all gates are found place by place, and those of weights and inputs from these at
//! once.

mod backward;
mod forward;
mod pack;
mod product;
mod rule;
mod weights;

use crate::parts::parts;
use crate::raw::Lane;
use crate::{LANES, Workers};
use rule::{Gru, Lstm, Rule, Tanh};
use std::ops::Range;

/// Products of a place from which on it takes longer than threads take to meet: some 10 us.
const MANY: usize = 1 << 15;

/// What a unit computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// `h' = tanh(W x + b + R h + c)`.
    Tanh,
    /// Long short-term memory; gates: input, forget, cell, output.
    Lstm,
    /// Gated recurrent units, the reset gate after the product; gates: reset, update, new.
    Gru,
}

impl Cell {
    /// Rows of a unit in each matrix of weights.
    pub fn gates(self) -> usize {
        match self {
            Cell::Tanh => Tanh::GATES,
            Cell::Lstm => Lstm::GATES,
            Cell::Gru => Gru::GATES,
        }
    }
}

/// Evaluates an expression with `$C` as the rule of a cell.
macro_rules! for_cell {
    ($cell:expr, $C:ident => $work:expr) => {
        match $cell {
            Cell::Tanh => {
                type $C = Tanh;
                $work
            }
            Cell::Lstm => {
                type $C = Lstm;
                $work
            }
            Cell::Gru => {
                type $C = Gru;
                $work
            }
        }
    };
}

/// Evaluates an expression with `$M` as a constant for the rows of a tile of `$units` units of rule `$C`.
macro_rules! for_units {
    ($S:ident, $C:ident, $units:expr, $M:ident => $work:expr) => {
        $crate::recurrent::for_units!($S, $C, $units, $M => $work; 1 2 3 4 5 6 7 8 9 10 11 12)
    };
    ($S:ident, $C:ident, $units:expr, $M:ident => $work:expr; $($count:literal)*) => {
        match $units * $C::GATES {
            // An arm that the instance or the rule never takes is not compiled for it.
            $($count => {
                if const { $count <= <$S as $crate::raw::Simd>::ROWS && $count % $C::GATES == 0 } {
                    const $M: usize = $count;
                    $work
                }
            })*
            _ => {}
        }
    };
}
use for_units;

/// The sizes of one direction of a recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recurrent {
    /// What a unit computes.
    pub cell: Cell,
    /// Numbers of a place of the input.
    pub features: usize,
    /// Numbers of the state.
    pub units: usize,
    /// Places.
    pub time: usize,
    /// Whether it reads from the end.
    pub reverse: bool,
    /// Numbers of a place of the output: those of other directions are left as they are.
    pub outputs: usize,
    /// Where among them this one's begin.
    pub first: usize,
}

/// What a layer keeps between its two passes and while one runs: memory that stays from step to step.
#[derive(Clone, Debug, Default)]
pub struct RecurrentMemory {
    /// Of each place, unit and group a vector.
    kept: Vec<f32>,
    /// The second state, where there is one.
    cells: Vec<f32>,
    packed: Vec<f32>,
    scratch: Vec<f32>,
}

impl Recurrent {
    /// The outputs for `x` `[blocks, time, features, 16]`, put into `y` `[blocks, time, outputs, 16]`. `weights` are those of
    /// the input `[gates · units, features]`, of the state `[gates · units, units]`, and the two biases `[gates · units]`.
    /// `lengths` `[blocks, 16]` are the places of each row, where they differ: those behind change nothing and give 0.
    pub fn forward(
        &self,
        workers: &Workers,
        x: &[f32],
        weights: [&[f32]; 4],
        lengths: Option<&[f32]>,
        memory: &mut RecurrentMemory,
        y: &mut [f32],
    ) {
        let ends = self.ends(lengths, x.len() / (self.time * self.features * LANES));
        for_cell!(self.cell, C => forward::run::<C>(self, workers, x, weights, &ends, memory, y));
    }

    /// The gradients of the weights, put into `gradients` as [`Recurrent::forward`] has the weights, and that of the input, put
    /// into `dx` or added to it. `y` and `memory` are what the forward pass left, and `dy` `[blocks, time, outputs, 16]` is the
    /// gradient of `y`.
    #[allow(clippy::too_many_arguments)]
    pub fn backward(
        &self,
        workers: &Workers,
        x: &[f32],
        weights: [&[f32]; 4],
        lengths: Option<&[f32]>,
        memory: &mut RecurrentMemory,
        [y, dy]: [&[f32]; 2],
        gradients: [&mut [f32]; 4],
        dx: Option<(&mut [f32], bool)>,
    ) {
        let ends = self.ends(lengths, x.len() / (self.time * self.features * LANES));
        for_cell!(self.cell, C => {
            backward::run::<C>(self, workers, weights[1], &ends, memory, y, dy);
            let [input, state, input_bias, state_bias] = gradients;
            let RecurrentMemory { kept, packed, scratch, .. } = memory;
            let places = weights::Places { values: x, width: self.features, first: 0, count: self.features, before: None };
            weights::run::<C, false>(self, workers, kept, &places, scratch, input, input_bias);
            let places = weights::Places {
                values: y,
                width: self.outputs,
                first: self.first,
                count: self.units,
                before: Some((self.time, self.reverse)),
            };
            weights::run::<C, true>(self, workers, kept, &places, scratch, state, state_bias);
            if let Some((dx, add)) = dx {
                backward::input::<C>(self, workers, weights[0], kept, packed, add, dx);
            }
        });
    }

    /// How many places each row has.
    fn ends(&self, lengths: Option<&[f32]>, blocks: usize) -> Vec<Lane> {
        match lengths {
            Some(lengths) => lengths.as_chunks().0[..blocks].to_vec(),
            None => vec![[self.time as f32; LANES]; blocks],
        }
    }

    /// The place of a step, and the one before it.
    fn places(&self, step: usize) -> (usize, Option<usize>) {
        let place = |step: usize| if self.reverse { self.time - 1 - step } else { step };
        (place(step), step.checked_sub(1).map(place))
    }

    /// Whether each thread has blocks of its own, two where tiles come in twos: if not, all share those that there are, and meet
    /// at every place.
    fn by_blocks(&self, workers: &Workers, blocks: usize) -> bool {
        let is_double = workers.level().is_double(workers.precision());
        let threads = workers.threads() * if is_double { 2 } else { 1 };
        let work = blocks * self.cell.gates() * self.units * self.units;
        blocks.is_multiple_of(threads) || blocks >= 4 * threads || work < MANY
    }
}

/// Each thread's part of the units, or of what the units are made of, with its packed weights.
type Shares<'a> = [(Range<usize>, &'a [f32])];

/// Those parts of `count` things of `size` packed weights each.
fn packed_parts(packed: &[f32], count: usize, size: usize, threads: usize) -> Vec<(Range<usize>, &[f32])> {
    let of = |range: Range<usize>| (range.clone(), &packed[range.start * size..range.end * size]);
    parts(count, threads).into_iter().map(of).collect()
}

/// For each thread its part of the blocks.
fn deal<T>(mut blocks: Vec<T>, threads: usize) -> Vec<Vec<T>> {
    let ranges = parts(blocks.len(), threads);
    let mut dealt: Vec<Vec<T>> = ranges.iter().rev().map(|range| blocks.split_off(range.start)).collect();
    dealt.reverse();
    dealt
}
