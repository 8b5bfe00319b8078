//! What is done with whole channels of `[blocks, places, channels, 16]`: one number added to each, sums over all places and
//! rows, and factors for each channel of each row.

use crate::parts::share;
use crate::raw::{Simd, Task};
use crate::tile::{lanes, lanes_mut};
use crate::{LANES, Workers};
use std::ops::Range;

/// `y = numbers[channel]` at every place.
pub fn fill_channels(workers: &Workers, numbers: &[f32], y: &mut [f32]) {
    share(workers, y, numbers.len() * LANES, |_, y| Fill { numbers, y });
}

/// The sums over places and rows of each channel, which is also the gradient of numbers that were added to all of them.
pub fn channel_sums(workers: &Workers, x: &[f32], sums: &mut [f32]) {
    let all = sums.len();
    share(workers, sums, 1, |channels, sums| Sums { x, all, channels, sums });
}

/// `y = x · factors`, or added to it: `factors` `[blocks, channels, 16]`.
pub fn scale_channels(
    workers: &Workers,
    x: &[f32],
    factors: &[f32],
    channels: usize,
    places: usize,
    add: bool,
    y: &mut [f32],
) {
    share(workers, y, channels * LANES, |range, y| Scale { x, factors, channels, places, add, range, y });
}

/// The gradient of the factors of [`scale_channels`], or added to it: the sums over places of `x · dy`.
pub fn scale_channels_gradient(
    workers: &Workers,
    x: &[f32],
    dy: &[f32],
    channels: usize,
    places: usize,
    add: bool,
    to: &mut [f32],
) {
    share(workers, to, channels * LANES, |blocks, to| Products { x, dy, channels, places, add, blocks, to });
}

struct Fill<'a> {
    numbers: &'a [f32],
    y: &'a mut [f32],
}

impl Task for Fill<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for y in lanes_mut(self.y).chunks_exact_mut(self.numbers.len()) {
            for (y, number) in y.iter_mut().zip(self.numbers) {
                simd.store(simd.splat(*number), y);
            }
        }
    }
}

struct Sums<'a> {
    x: &'a [f32],
    all: usize,
    channels: Range<usize>,
    sums: &'a mut [f32],
}

impl Task for Sums<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut sums = vec![[0.0; LANES]; self.sums.len()];
        for x in lanes(self.x).chunks_exact(self.all) {
            for (x, sum) in x[self.channels.clone()].iter().zip(&mut sums) {
                let value = simd.add(simd.load(x), simd.load(sum));
                simd.store(value, sum);
            }
        }
        for (to, sum) in self.sums.iter_mut().zip(&sums) {
            *to = simd.sum(simd.load(sum));
        }
    }
}

struct Scale<'a> {
    x: &'a [f32],
    factors: &'a [f32],
    channels: usize,
    places: usize,
    add: bool,
    /// Of all blocks' places.
    range: Range<usize>,
    y: &'a mut [f32],
}

impl Task for Scale<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let x = lanes(self.x)[self.range.start * self.channels..].chunks_exact(self.channels);
        for ((at, x), y) in self.range.zip(x).zip(lanes_mut(self.y).chunks_exact_mut(self.channels)) {
            let factors = &lanes(self.factors)[at / self.places * self.channels..];
            for ((x, factor), y) in x.iter().zip(factors).zip(y) {
                let (x, factor, old) = (simd.load(x), simd.load(factor), simd.load(y));
                simd.store(if self.add { simd.fma(x, factor, old) } else { simd.mul(x, factor) }, y);
            }
        }
    }
}

struct Products<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    channels: usize,
    places: usize,
    add: bool,
    blocks: Range<usize>,
    to: &'a mut [f32],
}

impl Task for Products<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let size = self.places * self.channels;
        for (block, to) in self.blocks.zip(lanes_mut(self.to).chunks_exact_mut(self.channels)) {
            if !self.add {
                to.fill([0.0; LANES]);
            }
            let x = lanes(self.x)[block * size..][..size].chunks_exact(self.channels);
            let dy = lanes(self.dy)[block * size..][..size].chunks_exact(self.channels);
            for (x, dy) in x.zip(dy) {
                for ((x, dy), to) in x.iter().zip(dy).zip(&mut *to) {
                    let sum = simd.fma(simd.load(x), simd.load(dy), simd.load(to));
                    simd.store(sum, to);
                }
            }
        }
    }
}
