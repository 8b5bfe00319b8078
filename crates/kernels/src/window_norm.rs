//! Normalisation of a window of one number a step by its own level and spread, and the way back for what is made of it.

use crate::parts::share;
use crate::raw::{Simd, Task};
use crate::tile::{lanes, lanes_mut};
use crate::{LANES, Workers};
use std::ops::Range;

/// The sizes of windows `[blocks, time, 16]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowNorm {
    /// Steps.
    pub time: usize,
    /// Whether the last step is taken off, not the mean.
    pub is_last: bool,
    /// Whether what is left is divided by the deviation.
    pub scale: bool,
    /// Added to the variance.
    pub epsilon: f32,
}

impl WindowNorm {
    /// Centre and deviation of each window, `[blocks, 2, 16]`.
    pub fn moments(&self, workers: &Workers, x: &[f32], moments: &mut [f32]) {
        share(workers, moments, 2 * LANES, |blocks, to| Moments { sizes: *self, x, blocks, to });
    }

    /// `y = (x - centre) / deviation`.
    pub fn forward(&self, workers: &Workers, x: &[f32], moments: &[f32], y: &mut [f32]) {
        let size = self.time;
        share(workers, y, size * LANES, |blocks, y| Apply { way: Way::There, from: x, moments, size, blocks, to: y });
    }

    /// `y = values · deviation + centre`, `[blocks, values, 16]`.
    pub fn reverse(workers: &Workers, values: &[f32], moments: &[f32], size: usize, y: &mut [f32]) {
        share(workers, y, size * LANES, |blocks, y| Apply {
            way: Way::Back,
            from: values,
            moments,
            size,
            blocks,
            to: y,
        });
    }

    /// The gradient of the values of [`WindowNorm::reverse`], or added to it.
    pub fn reverse_gradient(workers: &Workers, dy: &[f32], moments: &[f32], size: usize, add: bool, dx: &mut [f32]) {
        let way = if add { Way::AddedGradient } else { Way::Gradient };
        share(workers, dx, size * LANES, |blocks, to| Apply { way, from: dy, moments, size, blocks, to });
    }
}

struct Moments<'a> {
    sizes: WindowNorm,
    x: &'a [f32],
    blocks: Range<usize>,
    to: &'a mut [f32],
}

impl Task for Moments<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let WindowNorm { time, is_last, scale, epsilon } = self.sizes;
        let share = simd.splat(1.0 / time as f32);
        for (block, to) in self.blocks.zip(lanes_mut(self.to).as_chunks_mut::<2>().0) {
            let x = &lanes(self.x)[block * time..][..time];
            let mut mean = simd.splat(0.0);
            for x in x {
                mean = simd.add(mean, simd.load(x));
            }
            mean = simd.mul(share, mean);
            let mut variance = simd.splat(0.0);
            for x in x {
                let left = simd.sub(simd.load(x), mean);
                variance = simd.fma(left, left, variance);
            }
            let deviation = simd.sqrt(simd.fma(share, variance, simd.splat(epsilon)));
            simd.store(if is_last { simd.load(&x[time - 1]) } else { mean }, &mut to[0]);
            simd.store(if scale { deviation } else { simd.splat(1.0) }, &mut to[1]);
        }
    }
}

#[derive(Clone, Copy)]
enum Way {
    There,
    Back,
    Gradient,
    AddedGradient,
}

struct Apply<'a> {
    way: Way,
    from: &'a [f32],
    moments: &'a [f32],
    size: usize,
    blocks: Range<usize>,
    to: &'a mut [f32],
}

impl Task for Apply<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let moments = &lanes(self.moments)[self.blocks.start * 2..];
        let from = lanes(self.from)[self.blocks.start * self.size..].chunks_exact(self.size);
        let pieces = from.zip(lanes_mut(self.to).chunks_exact_mut(self.size));
        for ((from, to), moments) in pieces.zip(moments.as_chunks::<2>().0) {
            let (centre, deviation) = (simd.load(&moments[0]), simd.load(&moments[1]));
            for (from, to) in from.iter().zip(to) {
                let (value, old) = (simd.load(from), simd.load(to));
                let value = match self.way {
                    Way::There => simd.div(simd.sub(value, centre), deviation),
                    Way::Back => simd.fma(value, deviation, centre),
                    Way::Gradient => simd.mul(value, deviation),
                    Way::AddedGradient => simd.fma(value, deviation, old),
                };
                simd.store(value, to);
            }
        }
    }
}
