//! The gradient of a dense layer's input.

use super::{BLOCKS, Linear, Piece, Product, at_once, copied};
use crate::precision::operand;
use crate::raw::{Lane, Simd, Task};
use crate::tile::{Columns, Strided, Tile, each};
use crate::tile::{for_rows, lanes, lanes_mut, multiply_all, tile_at, tile_count, twos, zeros};
use crate::{LANES, Workers};
use std::ops::Range;

/// Units of which a few lines of weights each stay near: 24 KiB.
const UNITS: usize = 128;

/// Weights in those lines: whole tiles of every size.
const WIDE: usize = 3 * LANES;

impl Linear {
    /// `dx = Wᵀ dy`, or added to `dx`: `dy` `[blocks, units, 16]`, `dx` `[blocks, features, 16]`. Where `x` is given, it is what
    /// came out of `max(·, 0)`, and `dx` becomes the gradient in front of that.
    pub fn backward_input(
        &self,
        workers: &Workers,
        dy: &[f32],
        weights: &[f32],
        x: Option<&[f32]>,
        add: bool,
        dx: &mut [f32],
    ) {
        let pieces = self.deal(workers, dx, self.features);
        let sizes = Linear { units: workers.terms(self.units), ..*self };
        let (dy, weights) =
            (operand(workers, dy, self.units, LANES), operand(workers, weights, self.units, self.features));
        let task = |pieces| Input { sizes, dy: &dy, weights: &weights, x, add, pieces };
        workers.multiply(pieces.into_iter().map(task).collect());
    }
}

struct Input<'a> {
    sizes: Linear,
    dy: &'a [f32],
    weights: &'a [f32],
    x: Option<&'a [f32]>,
    add: bool,
    pieces: Vec<Piece<'a>>,
}

impl Task for Input<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Linear { features, units } = self.sizes;
        let mut pieces = std::mem::take(&mut self.pieces);
        let own = pieces.first().map(|piece| piece.range.clone()).unwrap_or_default();
        let most = at_once(simd, UNITS);
        if pieces.len() < BLOCKS {
            for first in (0..units).step_by(UNITS) {
                let terms = first..(first + UNITS).min(units);
                // Of each row of weights a few lines at a time, for all blocks of rows.
                for start in own.clone().step_by(WIDE) {
                    let columns = start..(start + WIDE).min(own.end);
                    // The next lines lie in as many pages as there are units: some are asked for in front of each tile.
                    let next = columns.end..(columns.end + WIDE).min(own.end);
                    let mut ahead = Ahead::new(self.weights, features, terms.clone(), next);
                    ahead.share = ahead.left().div_ceil(pieces.len() * tile_count(columns.len(), S::ROWS));
                    let (twos, ones) = twos(simd, &mut pieces);
                    if const { S::DOUBLE } {
                        for two in twos {
                            self.tiles(simd, columns.clone(), &[], terms.clone(), two, &mut ahead);
                        }
                    }
                    for one in ones {
                        self.tiles(simd, columns.clone(), &[], terms.clone(), one, &mut ahead);
                    }
                }
            }
            return;
        }
        copied(simd, &self, units, most, &mut pieces);
    }
}

impl Input<'_> {
    /// As [`Product::blocks`]; in front of each tile it asks for some of what is ahead.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn tiles<S: Simd, const N: usize>(
        &self,
        simd: S,
        columns: Range<usize>,
        packed: &[f32],
        terms: Range<usize>,
        pieces: &mut [Piece<'_>; N],
        ahead: &mut Ahead<'_>,
    ) {
        let Linear { features, units } = self.sizes;
        let (begins, ends, count) = (terms.start == 0 && !self.add, terms.end == units, terms.len());
        let right: [&[Lane]; N] = each!(at => {
            let from = (pieces[at].block * units + terms.start) * LANES;
            lanes(&self.dy[from..from + count * LANES])
        });
        let first = columns.start - pieces[0].range.start;
        for tile in 0..tile_count(columns.len(), S::ROWS) {
            let (start, rows) = tile_at(columns.len(), tile, S::ROWS);
            let to = first + start..first + start + rows;
            for _ in 0..N {
                ahead.ask(simd);
            }
            for_rows!(S, rows, M => {
                let mut sums: [Tile<S, M>; N] = each!(at => match begins {
                    true => zeros(simd),
                    false => {
                        let so_far = &lanes(pieces[at].to)[to.clone()];
                        each!(row => simd.load(&so_far[row]))
                    }
                });
                if packed.is_empty() {
                    let from = &self.weights[terms.start * features + columns.start + start..];
                    multiply_all(simd, &mut sums, &Strided::<M>::new(from, features, count), right);
                } else {
                    let left = &packed[columns.len() * terms.start + start * count..][..M * count];
                    multiply_all(simd, &mut sums, &Columns(left.as_chunks::<M>().0), right);
                }
                for (mut sums, piece) in sums.into_iter().zip(&mut *pieces) {
                    if let Some(seen) = self.x.filter(|_| ends) {
                        let seen = &lanes(seen)[piece.block * features + columns.start + start..][..M];
                        for (sum, seen) in sums.iter_mut().zip(seen) {
                            *sum = simd.keep_positive(simd.load(seen), *sum);
                        }
                    }
                    for (sum, to) in sums.into_iter().zip(&mut lanes_mut(piece.to)[to.clone()]) {
                        simd.store(sum, to);
                    }
                }
            });
        }
    }
}

impl Product for Input<'_> {
    #[inline(always)]
    fn blocks<S: Simd, const N: usize>(
        &self,
        simd: S,
        columns: Range<usize>,
        packed: &[f32],
        terms: Range<usize>,
        pieces: &mut [Piece<'_>; N],
    ) {
        self.tiles(simd, columns, packed, terms, pieces, &mut Ahead::default());
    }

    #[inline(always)]
    fn pack<S: Simd>(&self, _: S, columns: Range<usize>, most: usize, packed: &mut [f32]) {
        let Linear { features, units } = self.sizes;
        for first in (0..units).step_by(most) {
            let count = most.min(units - first);
            let packed = &mut packed[columns.len() * first..];
            for tile in 0..tile_count(columns.len(), S::ROWS) {
                let (start, rows) = tile_at(columns.len(), tile, S::ROWS);
                let from = self.weights[first * features + columns.start + start..].chunks(features);
                for_rows!(S, rows, M => {
                    for (to, from) in packed[start * count..][..rows * count].as_chunks_mut::<M>().0.iter_mut().zip(from) {
                        *to = *from.first_chunk().unwrap_or(to);
                    }
                });
            }
        }
    }
}

/// Weights that will be read soon.
#[derive(Default)]
struct Ahead<'a> {
    weights: &'a [f32],
    features: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    /// The next column of the first of the rows.
    column: usize,
    /// Lines that are asked for at once.
    share: usize,
}

impl<'a> Ahead<'a> {
    /// Some columns of some rows.
    #[inline(always)]
    fn new(weights: &'a [f32], features: usize, rows: Range<usize>, columns: Range<usize>) -> Ahead<'a> {
        Ahead { weights, features, rows, column: columns.start, columns, share: 0 }
    }

    /// Lines that were not asked for.
    #[inline(always)]
    fn left(&self) -> usize {
        self.rows.len() * self.columns.len().div_ceil(LANES)
    }

    /// Asks for the next share of them, row by row.
    #[inline(always)]
    fn ask<S: Simd>(&mut self, simd: S) {
        if self.columns.is_empty() {
            return;
        }
        for _ in 0..self.share {
            if self.rows.is_empty() {
                return;
            }
            simd.prefetch(&self.weights[self.rows.start * self.features + self.column]);
            self.column += LANES;
            if self.column >= self.columns.end {
                (self.rows.start, self.column) = (self.rows.start + 1, self.columns.start);
            }
        }
    }
}
