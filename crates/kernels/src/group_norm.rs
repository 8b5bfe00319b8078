//! Group normalisation: each row by the mean and deviation of a group of channels over all places, and its gradients.

use crate::layer_norm::sum;
use crate::parts::{cut, parts, share};
use crate::raw::{Lane, Simd, Task};
use crate::tile::{each, lanes, lanes_mut};
use crate::{LANES, Workers};
use std::ops::Range;

/// The sizes of a group norm over `[blocks, places, channels, 16]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNorm {
    /// Channels.
    pub channels: usize,
    /// Groups of channels beside each other; the channels are a multiple of it.
    pub groups: usize,
    /// Places of a row.
    pub places: usize,
    /// Added to the variance.
    pub epsilon: f32,
}

impl GroupNorm {
    /// Numbers of a block.
    fn size(&self) -> usize {
        self.places * self.channels
    }

    /// `y = (x - mean) / sqrt(variance + epsilon) · weight + bias`; `moments` become mean and inverse deviation,
    /// `[blocks, groups, 2, 16]`.
    pub fn forward(
        &self,
        workers: &Workers,
        x: &[f32],
        weight: &[f32],
        bias: &[f32],
        y: &mut [f32],
        moments: &mut [f32],
    ) {
        let sizes = *self;
        share(workers, moments, 2 * LANES, |groups, to| Moments { sizes, x, groups, to });
        let moments = &*moments;
        let size = self.channels * LANES;
        share(workers, y, size, |places, y| Normalize { sizes, x, moments, weight, bias, places, y });
    }

    /// The gradients of weight and bias, and `dx`, or added to `dx`, unless that is empty.
    #[allow(clippy::too_many_arguments)]
    pub fn backward(
        &self,
        workers: &Workers,
        x: &[f32],
        moments: &[f32],
        weight: &[f32],
        dy: &[f32],
        dw: &mut [f32],
        db: &mut [f32],
        add: bool,
        dx: &mut [f32],
    ) {
        let sizes = *self;
        let blocks = dy.len() / (self.size() * LANES);
        // Of each block and channel the sums of `dy · x̂` and of `dy`.
        let mut sums = vec![0.0; blocks * self.channels * 2 * LANES];
        share(workers, &mut sums, 2 * LANES, |channels, to| Sums { sizes, x, moments, dy, channels, to });
        for (channel, (dw, db)) in dw.iter_mut().zip(db).enumerate() {
            let total = |which: usize| {
                let own = |block: usize| &sums[((block * self.channels + channel) * 2 + which) * LANES..][..LANES];
                (0..blocks).flat_map(own).map(|sum| f64::from(*sum)).sum::<f64>() as f32
            };
            (*dw, *db) = (total(0), total(1));
        }
        let mut means = vec![0.0; blocks * self.groups * 2 * LANES];
        let sums = &sums[..];
        share(workers, &mut means, 2 * LANES, |groups, to| Means { sizes, sums, weight, groups, to });
        let means = &means[..];
        let size = self.channels * LANES;
        let ranges = parts(dx.len() / size, workers.threads());
        let pieces = cut(dx, size, &ranges).into_iter().zip(ranges);
        let back = |(dx, places)| Back { sizes, x, moments, means, weight, dy, add, places, dx };
        workers.run(pieces.map(back).collect());
    }
}

/// Mean and inverse deviation of some of all blocks' groups.
struct Moments<'a> {
    sizes: GroupNorm,
    x: &'a [f32],
    groups: Range<usize>,
    to: &'a mut [f32],
}

impl Task for Moments<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let GroupNorm { channels, groups, places, epsilon } = self.sizes;
        let own = channels / groups;
        let share = simd.splat(1.0 / (own * places) as f32);
        for (at, to) in self.groups.zip(lanes_mut(self.to).as_chunks_mut::<2>().0) {
            let first = at / groups * self.sizes.size() + at % groups * own;
            let x = &lanes(self.x)[first..];
            let (mut mean, mut variance) = (simd.splat(0.0), simd.splat(0.0));
            for x in x.chunks(channels).take(places) {
                mean = simd.add(mean, sum::<S, false>(simd, &x[..own], simd.splat(0.0)));
            }
            mean = simd.mul(share, mean);
            for x in x.chunks(channels).take(places) {
                variance = simd.add(variance, sum::<S, true>(simd, &x[..own], mean));
            }
            variance = simd.mul(share, variance);
            simd.store(mean, &mut to[0]);
            let deviation = simd.sqrt(simd.add(variance, simd.splat(epsilon)));
            simd.store(simd.div(simd.splat(1.0), deviation), &mut to[1]);
        }
    }
}

struct Normalize<'a> {
    sizes: GroupNorm,
    x: &'a [f32],
    moments: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    /// Of all blocks.
    places: Range<usize>,
    y: &'a mut [f32],
}

impl Task for Normalize<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let GroupNorm { channels, groups, places, .. } = self.sizes;
        let own = channels / groups;
        let x = &lanes(self.x)[self.places.start * channels..];
        let pairs = x.chunks_exact(channels).zip(lanes_mut(self.y).chunks_exact_mut(channels));
        for (place, (x, y)) in self.places.zip(pairs) {
            let moments = &lanes(self.moments)[place / places * groups * 2..].as_chunks::<2>().0[..groups];
            let pieces = x.chunks_exact(own).zip(y.chunks_exact_mut(own)).zip(moments);
            let scales = self.weight.chunks_exact(own).zip(self.bias.chunks_exact(own));
            for (((x, y), moments), (weight, bias)) in pieces.zip(scales) {
                let (mean, inverse) = (simd.load(&moments[0]), simd.load(&moments[1]));
                for ((x, y), (weight, bias)) in x.iter().zip(y).zip(weight.iter().zip(bias)) {
                    let normal = simd.mul(simd.sub(simd.load(x), mean), inverse);
                    simd.store(simd.fma(normal, simd.splat(*weight), simd.splat(*bias)), y);
                }
            }
        }
    }
}

/// The sums over places of `dy · x̂` and of `dy`, of some of all blocks' channels.
struct Sums<'a> {
    sizes: GroupNorm,
    x: &'a [f32],
    moments: &'a [f32],
    dy: &'a [f32],
    channels: Range<usize>,
    to: &'a mut [f32],
}

impl Task for Sums<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let GroupNorm { channels, groups, .. } = self.sizes;
        let (size, own) = (self.sizes.size(), channels / groups);
        let (mut next, mut rest) = (self.channels.start, lanes_mut(self.to).as_chunks_mut::<2>().0);
        while next < self.channels.end {
            let (block, first) = (next / channels, next % channels);
            let count = (channels - first).min(self.channels.end - next);
            let (sums, others) = rest.split_at_mut(count);
            let moments = lanes(self.moments)[block * groups * 2..].as_chunks::<2>().0;
            let [x, dy] = [self.x, self.dy].map(|all| &lanes(all)[block * size..][..size]);
            for (x, dy) in x.chunks_exact(channels).zip(dy.chunks_exact(channels)) {
                let places = x[first..first + count].iter().zip(&dy[first..first + count]);
                for (channel, ((x, dy), sums)) in places.zip(&mut *sums).enumerate() {
                    let moments: &[Lane; 2] = &moments[(first + channel) / own];
                    let (mean, inverse) = (simd.load(&moments[0]), simd.load(&moments[1]));
                    let (normal, dy) = (simd.mul(simd.sub(simd.load(x), mean), inverse), simd.load(dy));
                    let products = simd.fma(dy, normal, simd.load(&sums[0]));
                    let slopes = simd.add(dy, simd.load(&sums[1]));
                    simd.store(products, &mut sums[0]);
                    simd.store(slopes, &mut sums[1]);
                }
            }
            (next, rest) = (next + count, others);
        }
    }
}

/// The means over groups of what [`Sums`] gives, times the weights.
struct Means<'a> {
    sizes: GroupNorm,
    sums: &'a [f32],
    weight: &'a [f32],
    groups: Range<usize>,
    to: &'a mut [f32],
}

impl Task for Means<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let GroupNorm { channels, groups, places, .. } = self.sizes;
        let own = channels / groups;
        let share = simd.splat(1.0 / (own * places) as f32);
        let sums = lanes(self.sums).as_chunks::<2>().0;
        for (at, to) in self.groups.zip(lanes_mut(self.to).as_chunks_mut::<2>().0) {
            let first = at % groups * own;
            let sums = &sums[at / groups * channels + first..][..own];
            let (mut products, mut slopes) = (simd.splat(0.0), simd.splat(0.0));
            for (sums, weight) in sums.iter().zip(&self.weight[first..]) {
                let weight = simd.splat(*weight);
                products = simd.fma(weight, simd.load(&sums[0]), products);
                slopes = simd.fma(weight, simd.load(&sums[1]), slopes);
            }
            simd.store(simd.mul(share, products), &mut to[0]);
            simd.store(simd.mul(share, slopes), &mut to[1]);
        }
    }
}

struct Back<'a> {
    sizes: GroupNorm,
    x: &'a [f32],
    moments: &'a [f32],
    means: &'a [f32],
    weight: &'a [f32],
    dy: &'a [f32],
    add: bool,
    /// Of all blocks.
    places: Range<usize>,
    dx: &'a mut [f32],
}

impl Task for Back<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let GroupNorm { channels, groups, places, .. } = self.sizes;
        let own = channels / groups;
        for (place, dx) in self.places.zip(lanes_mut(self.dx).chunks_exact_mut(channels)) {
            let [x, dy] = [self.x, self.dy].map(|all| &lanes(all)[place * channels..][..channels]);
            let group = place / places * groups;
            let pieces = dx.chunks_exact_mut(own).zip(x.chunks_exact(own).zip(dy.chunks_exact(own)));
            for (at, ((dx, (x, dy)), weight)) in pieces.zip(self.weight.chunks_exact(own)).enumerate() {
                let [mean, inverse]: [S::V; 2] =
                    each!(which => simd.load(&lanes(self.moments)[2 * (group + at) + which]));
                let [products, slopes]: [S::V; 2] =
                    each!(which => simd.load(&lanes(self.means)[2 * (group + at) + which]));
                // dx = (w dy - mean(w dy) - x̂ · mean(w dy x̂)) / σ.
                for ((dx, (x, dy)), weight) in dx.iter_mut().zip(x.iter().zip(dy)).zip(weight) {
                    let normal = simd.mul(simd.sub(simd.load(x), mean), inverse);
                    let left = simd.sub(simd.mul(simd.splat(*weight), simd.load(dy)), slopes);
                    let value = simd.mul(inverse, simd.sub(left, simd.mul(normal, products)));
                    let old = simd.load(dx);
                    simd.store(if self.add { simd.add(old, value) } else { value }, dx);
                }
            }
        }
    }
}
