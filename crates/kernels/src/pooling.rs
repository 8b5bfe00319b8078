//! The largest value of each window, and means over all places.

use crate::parts::{cut, parts, share};
use crate::raw::{Lane, Simd, Task};
use crate::tile::{lanes, lanes_mut};
use crate::{LANES, Workers};
use std::ops::Range;

/// The sizes of a max-pool: windows over pictures of so many channels. Places outside never win, and each window has one
/// inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool {
    /// Channels in and out.
    pub channels: usize,
    /// Height and width in.
    pub sides: [usize; 2],
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Steps of the window.
    pub stride: [usize; 2],
    /// Places above and to the left that never win.
    pub before: [usize; 2],
    /// Height and width out.
    pub out_sides: [usize; 2],
}

impl MaxPool {
    /// `y`, the largest values, and `winners`, which place of its window each is, row-major from 0; of equal ones the first.
    /// `x` `[blocks, height, width, channels, 16]`, `y` and `winners` `[blocks, height', width', channels, 16]`.
    pub fn forward(&self, workers: &Workers, x: &[f32], y: &mut [f32], winners: &mut [f32]) {
        let size = self.out_sides[1] * self.channels * LANES;
        let ranges = parts(y.len() / size, workers.threads());
        let pieces = cut(y, size, &ranges).into_iter().zip(cut(winners, size, &ranges)).zip(ranges);
        workers.run(pieces.map(|((y, winners), rows)| Forward { sizes: *self, x, rows, y, winners }).collect());
    }

    /// `dx`, or added to `dx`: every gradient goes to the place that won.
    pub fn backward(&self, workers: &Workers, dy: &[f32], winners: &[f32], add: bool, dx: &mut [f32]) {
        let size = self.sides[1] * self.channels * LANES;
        share(workers, dx, size, |rows, dx| Backward { sizes: *self, dy, winners, add, rows, dx });
    }
}

struct Forward<'a> {
    sizes: MaxPool,
    x: &'a [f32],
    rows: Range<usize>,
    y: &'a mut [f32],
    winners: &'a mut [f32],
}

impl Task for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let MaxPool { channels, sides, kernel, stride, before, out_sides } = self.sizes;
        let size = out_sides[1] * channels * LANES;
        let pieces = self.y.chunks_exact_mut(size).zip(self.winners.chunks_exact_mut(size));
        for (row, (y, winners)) in self.rows.zip(pieces) {
            let (block, top) = (row / out_sides[0], row % out_sides[0]);
            let x = lanes(&self.x[block * sides[0] * sides[1] * channels * LANES..]);
            let places = lanes_mut(y).chunks_exact_mut(channels).zip(lanes_mut(winners).chunks_exact_mut(channels));
            for (left, (y, winners)) in places.enumerate() {
                let mut is_first = true;
                for down in 0..kernel[0] {
                    let row = (top * stride[0] + down).wrapping_sub(before[0]);
                    for across in 0..kernel[1] {
                        let column = (left * stride[1] + across).wrapping_sub(before[1]);
                        if row >= sides[0] || column >= sides[1] {
                            continue;
                        }
                        let x = &x[(row * sides[1] + column) * channels..][..channels];
                        let tap = simd.splat((down * kernel[1] + across) as f32);
                        for ((x, y), winner) in x.iter().zip(&mut *y).zip(&mut *winners) {
                            let value = simd.load(x);
                            if is_first {
                                simd.store(value, y);
                                simd.store(tap, winner);
                                continue;
                            }
                            let (most, taps) = (simd.load(y), simd.load(winner));
                            let above = |x: S::V, y: S::V| simd.select_above(value, most, x, y);
                            simd.store(above(value, most), y);
                            simd.store(above(tap, taps), winner);
                        }
                        is_first = false;
                    }
                }
            }
        }
    }
}

struct Backward<'a> {
    sizes: MaxPool,
    dy: &'a [f32],
    winners: &'a [f32],
    add: bool,
    rows: Range<usize>,
    dx: &'a mut [f32],
}

impl Task for Backward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let MaxPool { channels, sides, kernel, stride, before, out_sides } = self.sizes;
        let size = out_sides[0] * out_sides[1] * channels * LANES;
        for (row, dx) in self.rows.zip(self.dx.chunks_exact_mut(sides[1] * channels * LANES)) {
            let (block, top) = (row / sides[0], row % sides[0]);
            let dy = lanes(&self.dy[block * size..][..size]);
            let winners = lanes(&self.winners[block * size..][..size]);
            for (left, dx) in lanes_mut(dx).chunks_exact_mut(channels).enumerate() {
                if !self.add {
                    dx.fill([0.0; LANES]);
                }
                for down in 0..kernel[0] {
                    let Some(row) = window(top + before[0], down, stride[0], out_sides[0]) else { continue };
                    for across in 0..kernel[1] {
                        let Some(column) = window(left + before[1], across, stride[1], out_sides[1]) else { continue };
                        let from = (row * out_sides[1] + column) * channels;
                        let tap = simd.splat((down * kernel[1] + across) as f32);
                        let pairs = dy[from..from + channels].iter().zip(&winners[from..from + channels]);
                        for ((dy, winner), dx) in pairs.zip(&mut *dx) {
                            let (dy, winner, old) = (simd.load(dy), simd.load(winner), simd.load(dx));
                            let sum = simd.add(old, simd.keep_equal(winner, tap, dy));
                            simd.store(sum, dx);
                        }
                    }
                }
            }
        }
    }
}

/// The window that has place `at`, counted with those before, as its place `tap`.
#[inline(always)]
fn window(at: usize, tap: usize, stride: usize, windows: usize) -> Option<usize> {
    let start = at.checked_sub(tap)?;
    let window = start / stride;
    (start.is_multiple_of(stride) && window < windows).then_some(window)
}

/// `y = mean over places of x`: `x` `[blocks, places, channels, 16]`, `y` `[blocks, channels, 16]`.
pub fn global_mean(workers: &Workers, x: &[f32], places: usize, channels: usize, y: &mut [f32]) {
    share(workers, y, channels * LANES, |blocks, y| Mean { x, places, channels, blocks, y });
}

/// The gradient of [`global_mean`], into or added to `dx`.
pub fn global_mean_backward(workers: &Workers, dy: &[f32], places: usize, channels: usize, add: bool, dx: &mut [f32]) {
    share(workers, dx, channels * LANES, |range, dx| Spread { dy, places, channels, add, range, dx });
}

struct Mean<'a> {
    x: &'a [f32],
    places: usize,
    channels: usize,
    blocks: Range<usize>,
    y: &'a mut [f32],
}

impl Task for Mean<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let size = self.places * self.channels * LANES;
        let share = simd.splat(1.0 / self.places as f32);
        for (block, y) in self.blocks.zip(self.y.chunks_exact_mut(self.channels * LANES)) {
            let (x, y) = (lanes(&self.x[block * size..][..size]), lanes_mut(y));
            y.fill([0.0; LANES]);
            for place in x.chunks_exact(self.channels) {
                for (x, y) in place.iter().zip(&mut *y) {
                    let (value, sum) = (simd.load(x), simd.load(y));
                    simd.store(simd.add(sum, value), y);
                }
            }
            for y in y {
                simd.store(simd.mul(share, simd.load(y)), y);
            }
        }
    }
}

struct Spread<'a> {
    dy: &'a [f32],
    places: usize,
    channels: usize,
    add: bool,
    range: Range<usize>,
    dx: &'a mut [f32],
}

impl Task for Spread<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let share = simd.splat(1.0 / self.places as f32);
        for (at, dx) in self.range.zip(self.dx.chunks_exact_mut(self.channels * LANES)) {
            let dy: &[Lane] = &lanes(self.dy)[at / self.places * self.channels..];
            for (dy, dx) in dy.iter().zip(lanes_mut(dx)) {
                let (dy, old) = (simd.load(dy), simd.load(dx));
                simd.store(if self.add { simd.fma(share, dy, old) } else { simd.mul(share, dy) }, dx);
            }
        }
    }
}
