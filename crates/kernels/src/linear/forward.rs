//! Outputs of a dense layer.

use super::{BLOCKS, Linear, Piece, Product, at_once, copied};
use crate::precision::operand;
use crate::raw::{Lane, Simd, Task};
use crate::tile::{
    Columns, Rows, Tile, each, for_rows, lanes, lanes_mut, multiply_all, tile_at, tile_count, twos, zeros,
};
use crate::{Activation, LANES, Workers};
use std::ops::Range;

/// Terms that are added while a piece of the input stays in the first cache: 16 KiB of it.
const TERMS: usize = 256;

/// From one row to the next so many weights, 2 KiB of them, or a multiple: then the rows of a tile lie in the same places of the
/// first cache.
const ALIKE: usize = 512;

impl Linear {
    /// `y = max(W x + b, 0)`, or without the maximum: `x` `[blocks, features, 16]`, `weights` `[units, features]`, `bias`
    /// `[units]`, `y` `[blocks, units, 16]`.
    pub fn forward(
        &self,
        workers: &Workers,
        x: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
        relu: bool,
        y: &mut [f32],
    ) {
        let pieces = self.deal(workers, y, self.units);
        self.outputs(workers, x, weights, bias, relu, None, pieces);
    }

    /// As [`Linear::forward`], with an activation behind it while its input is at hand: `y = f(W x + b)` and `slopes`, laid out
    /// like `y`, the derivative there.
    #[allow(clippy::too_many_arguments)]
    pub fn forward_active(
        &self,
        workers: &Workers,
        x: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
        function: Activation,
        y: &mut [f32],
        slopes: &mut [f32],
    ) {
        let mut pieces = self.deal(workers, y, self.units);
        let slopes = self.deal(workers, slopes, self.units);
        for (piece, slopes) in pieces.iter_mut().flatten().zip(slopes.into_iter().flatten()) {
            piece.slopes = slopes.to;
        }
        self.outputs(workers, x, weights, bias, false, Some(function), pieces);
    }

    #[allow(clippy::too_many_arguments)]
    fn outputs(
        &self,
        workers: &Workers,
        x: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
        relu: bool,
        function: Option<Activation>,
        pieces: Vec<Vec<Piece<'_>>>,
    ) {
        let sizes = Linear { features: workers.terms(self.features), ..*self };
        let (x, weights) = (operand(workers, x, self.features, LANES), operand(workers, weights, self.features, 1));
        let task = |pieces| Forward { sizes, x: &x, weights: &weights, bias, relu, function, pieces };
        workers.multiply(pieces.into_iter().map(task).collect());
    }
}

struct Forward<'a> {
    sizes: Linear,
    x: &'a [f32],
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    relu: bool,
    function: Option<Activation>,
    pieces: Vec<Piece<'a>>,
}

impl Task for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Linear { features, .. } = self.sizes;
        let mut pieces = std::mem::take(&mut self.pieces);
        let own = pieces.first().map(|piece| piece.range.clone()).unwrap_or_default();
        let most = at_once(simd, TERMS);
        // Two tiles make no use of copies but where the rows of a tile lie in the same places of the cache.
        let is_apart = simd.is_double() && !features.is_multiple_of(ALIKE);
        if features <= most || pieces.len() < BLOCKS || is_apart {
            let (twos, ones) = twos(simd, &mut pieces);
            for first in (0..features).step_by(most) {
                let terms = first..(first + most).min(features);
                if const { S::DOUBLE } {
                    for two in &mut *twos {
                        self.blocks(simd, own.clone(), &[], terms.clone(), two);
                    }
                }
                for one in &mut *ones {
                    self.blocks(simd, own.clone(), &[], terms.clone(), one);
                }
            }
            return;
        }
        copied(simd, &self, features, most, &mut pieces);
    }
}

impl Product for Forward<'_> {
    #[inline(always)]
    fn blocks<S: Simd, const N: usize>(
        &self,
        simd: S,
        units: Range<usize>,
        packed: &[f32],
        terms: Range<usize>,
        pieces: &mut [Piece<'_>; N],
    ) {
        let Linear { features, .. } = self.sizes;
        let (begins, ends, count) = (terms.start == 0, terms.end == features, terms.len());
        let right: [&[Lane]; N] = each!(at => {
            let from = (pieces[at].block * features + terms.start) * LANES;
            lanes(&self.x[from..from + count * LANES])
        });
        let first = units.start - pieces[0].range.start;
        for tile in 0..tile_count(units.len(), S::ROWS) {
            let (start, rows) = tile_at(units.len(), tile, S::ROWS);
            let unit = units.start + start;
            let to = first + start..first + start + rows;
            for_rows!(S, rows, M => {
                let mut sums: [Tile<S, M>; N] = each!(at => match (begins, self.bias) {
                    (false, _) => {
                        let so_far = &lanes(pieces[at].to)[to.clone()];
                        each!(row => simd.load(&so_far[row]))
                    }
                    (true, Some(bias)) => each!(row => simd.splat(bias[unit + row])),
                    (true, None) => zeros(simd),
                });
                if packed.is_empty() {
                    let left = Rows::<M>::new(self.weights, unit * features + terms.start, features, count);
                    multiply_all(simd, &mut sums, &left, right);
                } else {
                    let left = &packed[units.len() * terms.start + start * count..][..M * count];
                    multiply_all(simd, &mut sums, &Columns(left.as_chunks::<M>().0), right);
                }
                for (sums, piece) in sums.into_iter().zip(&mut *pieces) {
                    for (sum, to) in sums.into_iter().zip(&mut lanes_mut(piece.to)[to.clone()]) {
                        simd.store(if ends && self.relu { simd.relu(sum) } else { sum }, to);
                    }
                }
            });
        }
        let Some(function) = self.function.filter(|_| ends) else { return };
        for piece in pieces {
            let own = first..first + units.len();
            let (to, slopes) = (&mut lanes_mut(piece.to)[own.clone()], &mut lanes_mut(piece.slopes)[own]);
            for (y, slope) in to.iter_mut().zip(slopes) {
                let (value, derivative) = function.both(simd, simd.load(y));
                simd.store(value, y);
                simd.store(derivative, slope);
            }
        }
    }

    #[inline(always)]
    fn pack<S: Simd>(&self, _: S, units: Range<usize>, most: usize, packed: &mut [f32]) {
        let Linear { features, .. } = self.sizes;
        for first in (0..features).step_by(most) {
            let count = most.min(features - first);
            let packed = &mut packed[units.len() * first..];
            for tile in 0..tile_count(units.len(), S::ROWS) {
                let (start, rows) = tile_at(units.len(), tile, S::ROWS);
                let to = &mut packed[start * count..(start + rows) * count];
                for row in 0..rows {
                    let from = &self.weights[(units.start + start + row) * features + first..][..count];
                    for (to, weight) in to.iter_mut().skip(row).step_by(rows).zip(from) {
                        *to = *weight;
                    }
                }
            }
        }
    }
}
