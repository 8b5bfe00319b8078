//! Batch normalisation with the statistics of the batch, and its gradients.

use crate::math::between;
use crate::parts::{parts, share};
use crate::raw::{Lane, Simd, Task};
use crate::tile::{each, lanes, lanes_mut};
use crate::{LANES, Workers, blocks};
use std::ops::Range;

/// The sizes of a batch norm over `[blocks, places, channels, 16]`, of which the first `rows` rows count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// Channels.
    pub channels: usize,
    /// Places of a row.
    pub places: usize,
    /// Rows of the batch.
    pub rows: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// What is behind the norm, where something is: `min(max(·, 0), most)`, of which infinity makes `max(·, 0)`.
    pub most: Option<f32>,
}

/// Mean and biased variance of each channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    /// The means.
    pub mean: Vec<f32>,
    /// The variances.
    pub variance: Vec<f32>,
}

impl BatchNorm {
    /// Values of a channel in the batch.
    pub fn count(&self) -> usize {
        self.rows * self.places
    }

    /// The moments of the batch.
    pub fn moments(&self, workers: &Workers, x: &[f32]) -> Moments {
        let zeros = vec![0.0; self.channels];
        let mean = self.sums(workers, x, None, &zeros, &zeros, &[], Sum::Values).0;
        let mean: Vec<f32> = mean.iter().map(|sum| (sum / self.count() as f64) as f32).collect();
        let squares = self.sums(workers, x, None, &mean, &zeros, &[], Sum::Squares).0;
        let variance = squares.iter().map(|sum| (sum / self.count() as f64) as f32).collect();
        Moments { mean, variance }
    }

    /// `y = (x - mean) / sqrt(variance + epsilon) · weight + bias`, between 0 and `most` where that is given.
    pub fn forward(
        &self,
        workers: &Workers,
        x: &[f32],
        moments: &Moments,
        weight: &[f32],
        bias: &[f32],
        y: &mut [f32],
    ) {
        let line = &self.line(moments, weight, bias)[..];
        share(workers, y, self.channels * LANES, |range, y| Normalize { sizes: *self, x, line, range, y });
    }

    /// The gradients of weight and bias, and `dx`, or added to `dx`; `dy` is the gradient behind all of it. Where `most` is
    /// given, what passes it is found again from `x`.
    #[allow(clippy::too_many_arguments)]
    pub fn backward(
        &self,
        workers: &Workers,
        x: &[f32],
        moments: &Moments,
        weight: &[f32],
        bias: &[f32],
        dy: &[f32],
        dw: &mut [f32],
        db: &mut [f32],
        add: bool,
        dx: &mut [f32],
    ) {
        let inverse: Vec<f32> = self.deviations(moments).collect();
        let line = &self.line(moments, weight, bias)[..];
        let (products, sums) = self.sums(workers, x, Some(dy), &moments.mean, &inverse, line, Sum::Gradients);
        dw.iter_mut().zip(&products).for_each(|(to, sum)| *to = *sum as f32);
        db.iter_mut().zip(&sums).for_each(|(to, sum)| *to = *sum as f32);
        // dx = w / σ · (dy - mean(dy) - x̂ · mean(dy x̂)) as a · dy + b · x + c.
        let count = self.count() as f64;
        let factors: Vec<[f32; 3]> = (0..self.channels)
            .map(|channel| {
                let (inverse, mean) = (f64::from(inverse[channel]), f64::from(moments.mean[channel]));
                let a = f64::from(weight[channel]) * inverse;
                let slope = a * inverse * products[channel] / count;
                [a as f32, -slope as f32, (slope * mean - a * sums[channel] / count) as f32]
            })
            .collect();
        let factors = &factors[..];
        let size = self.channels * LANES;
        share(workers, dx, size, |range, dx| Back { sizes: *self, x, dy, line, factors, add, range, dx });
    }

    /// Of each channel what is taken off, what it is multiplied by and what is added.
    fn line(&self, moments: &Moments, weight: &[f32], bias: &[f32]) -> Vec<[f32; 3]> {
        let scales = self.deviations(moments).zip(weight).zip(bias);
        let of = |(mean, ((inverse, weight), bias)): (&f32, ((f32, &f32), &f32))| [*mean, inverse * weight, *bias];
        moments.mean.iter().zip(scales).map(of).collect()
    }

    fn deviations<'a>(&'a self, moments: &'a Moments) -> impl Iterator<Item = f32> + 'a {
        moments.variance.iter().map(|variance| 1.0 / (variance + self.epsilon).sqrt())
    }

    /// Rows of block `block` that count.
    #[inline(always)]
    fn live(&self, block: usize) -> usize {
        (self.rows - block * LANES).min(LANES)
    }

    /// Sums over the batch by channel.
    #[allow(clippy::too_many_arguments)]
    fn sums(
        &self,
        workers: &Workers,
        x: &[f32],
        dy: Option<&[f32]>,
        mean: &[f32],
        inverse: &[f32],
        line: &[[f32; 3]],
        what: Sum,
    ) -> (Vec<f64>, Vec<f64>) {
        let size = self.channels * LANES;
        let ranges = parts(blocks(self.rows) * self.places, workers.threads());
        let mut sums = vec![0.0; 2 * size * ranges.len()];
        let pieces = sums.chunks_exact_mut(2 * size).zip(ranges);
        let dy = dy.unwrap_or_default();
        let task = |(sums, range)| Sums { sizes: *self, x, dy, mean, inverse, line, what, range, sums };
        workers.run(pieces.map(task).collect());
        let total = |first: usize| {
            let of = |channel: usize| {
                let parts = sums.chunks_exact(2 * size);
                let own = parts.map(|part| {
                    part[first + channel * LANES..][..LANES].iter().map(|sum| f64::from(*sum)).sum::<f64>()
                });
                own.sum()
            };
            (0..self.channels).map(of).collect()
        };
        (total(0), total(size))
    }
}

/// What is added up.
#[derive(Clone, Copy, PartialEq)]
enum Sum {
    /// `x`.
    Values,
    /// `(x - mean)²`.
    Squares,
    /// `dy · x̂`, and `dy`.
    Gradients,
}

struct Sums<'a> {
    sizes: BatchNorm,
    x: &'a [f32],
    dy: &'a [f32],
    mean: &'a [f32],
    inverse: &'a [f32],
    line: &'a [[f32; 3]],
    what: Sum,
    range: Range<usize>,
    /// Two sums for each channel and place of a block.
    sums: &'a mut [f32],
}

impl Task for Sums<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let BatchNorm { channels, places, .. } = self.sizes;
        let (firsts, seconds) = lanes_mut(self.sums).split_at_mut(channels);
        for at in self.range {
            let live = mask(simd, self.sizes.live(at / places));
            let x = &lanes(self.x)[at * channels..][..channels];
            for (channel, x) in x.iter().enumerate() {
                let x = simd.load(x);
                let centred = simd.sub(x, simd.splat(self.mean[channel]));
                let mut value = match self.what {
                    Sum::Values => centred,
                    Sum::Squares => simd.mul(centred, centred),
                    Sum::Gradients => {
                        let dy = simd.load(&lanes(self.dy)[at * channels + channel]);
                        let dy = passed(simd, self.sizes.most, self.line, channel, x, dy);
                        let second = simd.load(&seconds[channel]);
                        simd.store(simd.add(second, dy), &mut seconds[channel]);
                        let inverse = simd.splat(self.inverse[channel]);
                        simd.mul(dy, simd.mul(centred, inverse))
                    }
                };
                if let Some(live) = live {
                    value = simd.mul(value, live);
                }
                let first = simd.load(&firsts[channel]);
                simd.store(simd.add(first, value), &mut firsts[channel]);
            }
        }
    }
}

/// 1 for rows that count and 0 for the others; nothing where all count.
#[inline(always)]
fn mask<S: Simd>(simd: S, live: usize) -> Option<S::V> {
    let ones: Lane = each!(at => if at < live { 1.0 } else { 0.0 });
    (live < LANES).then(|| simd.load(&ones))
}

struct Normalize<'a> {
    sizes: BatchNorm,
    x: &'a [f32],
    line: &'a [[f32; 3]],
    range: Range<usize>,
    y: &'a mut [f32],
}

impl Task for Normalize<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let channels = self.sizes.channels;
        let x = lanes(&self.x[self.range.start * channels * LANES..]);
        for (x, y) in x.chunks_exact(channels).zip(lanes_mut(self.y).chunks_exact_mut(channels)) {
            for ((x, y), line) in x.iter().zip(y).zip(self.line) {
                let mut value = normal(simd, line, simd.load(x));
                if let Some(most) = self.sizes.most {
                    value = simd.min(simd.splat(most), simd.relu(value));
                }
                simd.store(value, y);
            }
        }
    }
}

#[inline(always)]
fn normal<S: Simd>(simd: S, line: &[f32; 3], x: S::V) -> S::V {
    simd.fma(simd.sub(x, simd.splat(line[0])), simd.splat(line[1]), simd.splat(line[2]))
}

/// What of a gradient comes to the norm: where its value is between 0 and `most`.
#[inline(always)]
fn passed<S: Simd>(simd: S, most: Option<f32>, line: &[[f32; 3]], channel: usize, x: S::V, dy: S::V) -> S::V {
    let Some(most) = most else { return dy };
    between(simd, normal(simd, &line[channel], x), simd.splat(most), dy)
}

struct Back<'a> {
    sizes: BatchNorm,
    x: &'a [f32],
    dy: &'a [f32],
    line: &'a [[f32; 3]],
    /// For each channel the factors of `dy`, `x` and 1.
    factors: &'a [[f32; 3]],
    add: bool,
    range: Range<usize>,
    dx: &'a mut [f32],
}

impl Task for Back<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let BatchNorm { channels, places, .. } = self.sizes;
        for (at, dx) in self.range.zip(lanes_mut(self.dx).chunks_exact_mut(channels)) {
            let live = mask(simd, self.sizes.live(at / places));
            let x = &lanes(self.x)[at * channels..][..channels];
            let dy = &lanes(self.dy)[at * channels..][..channels];
            for (channel, (((x, dy), dx), factors)) in x.iter().zip(dy).zip(dx).zip(self.factors).enumerate() {
                let [a, b, c] = factors.map(|factor| simd.splat(factor));
                let (x, dy) = (simd.load(x), simd.load(dy));
                let dy = passed(simd, self.sizes.most, self.line, channel, x, dy);
                let mut value: S::V = simd.fma(a, dy, simd.fma(b, x, c));
                if let Some(live) = live {
                    value = simd.mul(value, live);
                }
                if self.add {
                    let old = simd.load(dx);
                    value = simd.add(value, old);
                }
                simd.store(value, dx);
            }
        }
    }
}
