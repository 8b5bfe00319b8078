//! Products of float32 or of bfloat16 numbers. Where it is bfloat16, two terms of a sum are rounded and lie in one number's
//! place, so a product of `n` terms becomes one of half as many, over operands that are laid out as before: kernels only ask
//! for their [`operand`]s and count [`Workers::terms`].

use crate::blocks::turn;
use crate::parts::shared;
use crate::raw::{Lane, Memory, Simd, Task};
use crate::{LANES, Workers};
use serde::{Deserialize, Serialize};
use std::ops::{Deref, Range};

/// The precision of products; sums, and all that is stored, are float32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Precision {
    /// Float32.
    #[default]
    #[serde(rename = "f32")]
    Float32,
    /// Both sides of a product are rounded to bfloat16.
    #[serde(rename = "bf16")]
    Bf16,
}

impl Workers {
    /// Of how many places a sum of `count` products is made.
    pub(crate) fn terms(&self, count: usize) -> usize {
        match self.precision() {
            Precision::Float32 => count,
            Precision::Bf16 => count.div_ceil(2),
        }
    }
}

/// One side of products.
pub(crate) enum Operand<'a> {
    Numbers(&'a [f32]),
    Pairs(Memory<'a>),
}

impl Deref for Operand<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Operand::Numbers(numbers) => numbers,
            Operand::Pairs(pairs) => pairs,
        }
    }
}

/// `from`, `[.., count, inner]`, with `count` as the terms of sums: as it is, or `[.., count / 2, inner]` with neighbours in
/// pairs, of which the last may be half empty.
pub(crate) fn operand<'a>(workers: &'a Workers, from: &'a [f32], count: usize, inner: usize) -> Operand<'a> {
    if workers.precision() == Precision::Float32 {
        return Operand::Numbers(from);
    }
    let terms = workers.terms(count);
    let mut to = workers.memory(from.len() / count * terms);
    if inner > 1 {
        let of = |range, to| Rows { from, count, inner, range, to };
        share_products(workers, &mut to, inner, of);
    } else {
        // Rows of whole pairs are one long row.
        let (count, terms) = if count.is_multiple_of(2) { (2 * LANES, LANES) } else { (count, terms) };
        let rows = to.len().div_ceil(terms).div_ceil(workers.threads()).max(1);
        let parts = from.chunks(rows * count).zip(to.chunks_mut(rows * terms));
        workers.multiply(parts.map(|(from, to)| Neighbours { from, count, to, terms }).collect());
    }
    Operand::Pairs(to)
}

/// As [`crate::parts::share`], with products of the workers' precision.
pub(crate) fn share_products<'a, T: Task>(
    workers: &Workers,
    to: &'a mut [f32],
    size: usize,
    of: impl Fn(Range<usize>, &'a mut [f32]) -> T,
) {
    workers.multiply(shared(workers, to, size, of));
}

/// Rows and columns of a square change places; rows that are missing are zeros. `R` is 16, or 8 for pairs of rows.
#[inline(always)]
pub(crate) fn turn_terms<S: Simd, const R: usize>(simd: S, from: &[Lane], to: &mut [Lane; R]) {
    if const { R == LANES } {
        return turn(simd, from, to);
    }
    let mut turned = [[0.0; LANES]; LANES];
    turn(simd, from, &mut turned);
    pair_rows(simd, &turned, to);
}

/// Each two rows as one of pairs, the last of which may be half empty.
#[inline(always)]
pub(crate) fn pair_rows<S: Simd>(simd: S, from: &[Lane], to: &mut [Lane]) {
    for (rows, to) in from.chunks(2).zip(to) {
        let low = simd.load(&rows[0]);
        let high = match rows.get(1) {
            Some(row) => simd.load(row),
            None => simd.splat(0.0),
        };
        simd.store(simd.pair(low, high), to);
    }
}

/// Rows as the terms of products: as they are, or each two of them in `pairs`.
#[inline(always)]
pub(crate) fn terms<'a, S: Simd>(simd: S, rows: &'a [Lane], pairs: &'a mut [Lane]) -> &'a [Lane] {
    if !S::PAIRED {
        return rows;
    }
    pair_rows(simd, rows, pairs);
    &pairs[..terms_of::<S>(rows.len())]
}

/// How many terms of products so many numbers are.
#[inline(always)]
pub(crate) const fn terms_of<S: Simd>(count: usize) -> usize {
    if S::PAIRED { count.div_ceil(2) } else { count }
}

/// Some rows of `[.., count / 2, inner]`, of which each is made of two.
struct Rows<'a> {
    from: &'a [f32],
    count: usize,
    inner: usize,
    range: Range<usize>,
    to: &'a mut [f32],
}

impl Task for Rows<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Rows { from, count, inner, range, to } = self;
        let (terms, zero) = (count.div_ceil(2), simd.splat(0.0));
        for (index, row) in range.enumerate() {
            let (outer, first) = (row / terms, row % terms * 2);
            let (start, is_alone) = ((outer * count + first) * inner, first + 1 == count);
            for at in (0..inner).step_by(LANES) {
                // By whole vectors: what stands behind a row is written again by the next one.
                let low = load(simd, &from[start + at..]);
                let high = if is_alone { zero } else { load(simd, &from[start + inner + at..]) };
                store(simd, simd.pair(low, high), &mut to[index * inner + at..]);
            }
        }
    }
}

/// Neighbours of rows of `count` numbers, whatever of them there is.
struct Neighbours<'a> {
    from: &'a [f32],
    count: usize,
    to: &'a mut [f32],
    terms: usize,
}

impl Task for Neighbours<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (from, to) in self.from.chunks(self.count).zip(self.to.chunks_mut(self.terms)) {
            for (from, to) in from.chunks(2 * LANES).zip(to.chunks_mut(LANES)) {
                let (low, high) = from.split_at(from.len().min(LANES));
                let (low, high) = (load(simd, low), load(simd, high));
                store(simd, simd.neighbours(low, high), to);
            }
        }
    }
}

/// The first numbers of a slice; those that are missing are 0.
#[inline(always)]
fn load<S: Simd>(simd: S, from: &[f32]) -> S::V {
    match from.first_chunk() {
        Some(from) => simd.load(from),
        None => {
            let mut whole = [0.0; LANES];
            whole[..from.len()].copy_from_slice(from);
            simd.load(&whole)
        }
    }
}

/// As many of them as there is place for.
#[inline(always)]
fn store<S: Simd>(simd: S, value: S::V, to: &mut [f32]) {
    match to.first_chunk_mut() {
        Some(to) => simd.store(value, to),
        None => {
            let mut whole = [0.0; LANES];
            simd.store(value, &mut whole);
            let count = to.len();
            to.copy_from_slice(&whole[..count]);
        }
    }
}
