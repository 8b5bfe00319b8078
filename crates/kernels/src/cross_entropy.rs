//! Cross entropy behind a softmax, and its gradient: a row of the batch in each lane.

use crate::math::exp;
use crate::parts::{cut, parts};
use crate::raw::{Simd, Task};
use crate::tile::{lanes, lanes_mut};
use crate::{LANES, Workers};
use std::ops::Range;

/// The sizes of a cross entropy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropy {
    /// Numbers of a row.
    pub classes: usize,
    /// The part of each target that is spread evenly over all classes.
    pub smoothing: f32,
}

impl CrossEntropy {
    /// Of the numbers `x` `[blocks, classes, 16]` the gradient `dx`, laid out like them, of the sum of all rows' losses, each
    /// times its weight. A row's loss is `ln s + r` with `s` and `r` from `parts` `[blocks, 2, 16]`. `targets` and `weights` are
    /// `[blocks, 16]`; rows behind the last one of the batch have weight 0.
    pub fn evaluate(
        &self,
        workers: &Workers,
        x: &[f32],
        targets: &[f32],
        weights: &[f32],
        parts_of: &mut [f32],
        dx: &mut [f32],
    ) {
        let size = self.classes * LANES;
        let ranges = parts(dx.len() / size, workers.threads());
        let pieces = cut(dx, size, &ranges).into_iter().zip(cut(parts_of, 2 * LANES, &ranges)).zip(ranges);
        let task = |((dx, parts), range)| Part { sizes: *self, x, targets, weights, range, parts, dx };
        workers.run(pieces.map(task).collect());
    }
}

struct Part<'a> {
    sizes: CrossEntropy,
    x: &'a [f32],
    targets: &'a [f32],
    weights: &'a [f32],
    /// Of the blocks.
    range: Range<usize>,
    parts: &'a mut [f32],
    dx: &'a mut [f32],
}

impl Task for Part<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let CrossEntropy { classes, smoothing } = self.sizes;
        let (right, even) = (simd.splat(1.0 - smoothing), simd.splat(smoothing / classes as f32));
        let pieces = lanes_mut(self.dx).chunks_exact_mut(classes).zip(lanes_mut(self.parts).as_chunks_mut::<2>().0);
        for (block, (dx, [sums, rests])) in self.range.zip(pieces) {
            let x = &lanes(self.x)[block * classes..][..classes];
            let mut largest = simd.load(&x[0]);
            for x in x {
                // NaN as the second operand comes through.
                largest = simd.max(largest, simd.load(x));
            }
            let mut sum = simd.splat(0.0);
            for (x, dx) in x.iter().zip(&mut *dx) {
                let value = exp(simd, simd.sub(simd.load(x), largest));
                sum = simd.add(sum, value);
                simd.store(value, dx);
            }
            let (target, weight) = (simd.load(&lanes(self.targets)[block]), simd.load(&lanes(self.weights)[block]));
            let (scale, mut meant) = (simd.div(weight, sum), simd.splat(0.0));
            for (class, (x, dx)) in x.iter().zip(dx).enumerate() {
                let share = simd.add(simd.keep_equal(target, simd.splat(class as f32), right), even);
                meant = simd.fma(share, simd.sub(largest, simd.load(x)), meant);
                simd.store(simd.sub(simd.mul(simd.load(dx), scale), simd.mul(weight, share)), dx);
            }
            simd.store(sum, sums);
            simd.store(meant, rests);
        }
    }
}
