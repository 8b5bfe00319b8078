//! Layer normalisation: each place of each row by the mean and deviation of its own features, and its gradients.

use crate::parts::{cut, parts};
use crate::raw::{Simd, Task};
use crate::tile::{lanes, lanes_mut};
use crate::{LANES, Workers};

/// The sizes of a layer norm over `[places, features, 16]`, where places are those of all blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNorm {
    /// Numbers of a place.
    pub features: usize,
    /// Added to the variance.
    pub epsilon: f32,
}

impl LayerNorm {
    /// Numbers that [`LayerNorm::forward`] keeps of so many places.
    pub fn moments(&self, places: usize) -> usize {
        2 * places * LANES
    }

    /// `y = (x - mean) / sqrt(variance + epsilon) · weight + bias`; `moments` become mean and inverse deviation,
    /// `[places, 2, 16]`.
    pub fn forward(
        &self,
        workers: &Workers,
        x: &[f32],
        weight: &[f32],
        bias: &[f32],
        y: &mut [f32],
        moments: &mut [f32],
    ) {
        let size = self.features * LANES;
        let ranges = parts(y.len() / size, workers.threads());
        let pieces = cut(y, size, &ranges).into_iter().zip(cut(moments, 2 * LANES, &ranges)).zip(ranges);
        let tasks = pieces.map(|((y, moments), range)| {
            let x = &x[range.start * size..range.end * size];
            Forward { sizes: *self, x, weight, bias, y, moments }
        });
        workers.run(tasks.collect());
    }

    /// The gradients of weight and bias, and `dx`, or added to `dx`.
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
        let size = self.features * LANES;
        let ranges = parts(dy.len() / size, workers.threads());
        let mut sums = vec![0.0; 2 * size * ranges.len()];
        // Of the network's own input there is no gradient: its pieces are empty.
        let mut pieces =
            if dx.is_empty() { ranges.iter().map(|_| &mut [][..]).collect() } else { cut(dx, size, &ranges) };
        let pieces = pieces.drain(..).zip(sums.chunks_exact_mut(2 * size)).zip(&ranges);
        let tasks = pieces.map(|((dx, sums), range)| {
            let numbers = range.start * size..range.end * size;
            let moments = &moments[range.start * 2 * LANES..range.end * 2 * LANES];
            Backward { sizes: *self, x: &x[numbers.clone()], moments, weight, dy: &dy[numbers], add, sums, dx }
        });
        workers.run(tasks.collect());
        let total = |first: usize| {
            let part = |sums: &[f32]| sums[first..first + LANES].iter().map(|sum| f64::from(*sum)).sum::<f64>();
            sums.chunks_exact(2 * size).map(part).sum::<f64>() as f32
        };
        dw.iter_mut().enumerate().for_each(|(at, to)| *to = total(at * LANES));
        db.iter_mut().enumerate().for_each(|(at, to)| *to = total(size + at * LANES));
    }
}

struct Forward<'a> {
    sizes: LayerNorm,
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    y: &'a mut [f32],
    moments: &'a mut [f32],
}

impl Task for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let LayerNorm { features, epsilon } = self.sizes;
        let share = simd.splat(1.0 / features as f32);
        let places = lanes(self.x).chunks_exact(features).zip(lanes_mut(self.y).chunks_exact_mut(features));
        for ((x, y), moments) in places.zip(lanes_mut(self.moments).as_chunks_mut::<2>().0) {
            let mean = simd.mul(share, sum::<S, false>(simd, x, simd.splat(0.0)));
            let variance = simd.mul(share, sum::<S, true>(simd, x, mean));
            let inverse = simd.div(simd.splat(1.0), simd.sqrt(simd.add(variance, simd.splat(epsilon))));
            simd.store(mean, &mut moments[0]);
            simd.store(inverse, &mut moments[1]);
            for ((x, y), (weight, bias)) in x.iter().zip(y).zip(self.weight.iter().zip(self.bias)) {
                let normal = simd.mul(simd.sub(simd.load(x), mean), inverse);
                simd.store(simd.fma(normal, simd.splat(*weight), simd.splat(*bias)), y);
            }
        }
    }
}

/// The sum of `x - mean`, or of its squares: four sums side by side, because an addition takes longer than a load.
#[inline(always)]
pub(crate) fn sum<S: Simd, const SQUARED: bool>(simd: S, x: &[crate::raw::Lane], mean: S::V) -> S::V {
    let mut sums = [simd.splat(0.0); 4];
    let (fours, rest) = x.as_chunks::<4>();
    for four in fours {
        for (sum, x) in sums.iter_mut().zip(four) {
            let centred = simd.sub(simd.load(x), mean);
            *sum = if SQUARED { simd.fma(centred, centred, *sum) } else { simd.add(centred, *sum) };
        }
    }
    for x in rest {
        let centred = simd.sub(simd.load(x), mean);
        sums[0] = if SQUARED { simd.fma(centred, centred, sums[0]) } else { simd.add(centred, sums[0]) };
    }
    simd.add(simd.add(sums[0], sums[1]), simd.add(sums[2], sums[3]))
}

struct Backward<'a> {
    sizes: LayerNorm,
    x: &'a [f32],
    moments: &'a [f32],
    weight: &'a [f32],
    dy: &'a [f32],
    add: bool,
    /// Of each feature the sums of `dy · x̂`, then those of `dy`.
    sums: &'a mut [f32],
    dx: &'a mut [f32],
}

impl Task for Backward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let LayerNorm { features, .. } = self.sizes;
        let share = simd.splat(1.0 / features as f32);
        let (products, plain) = lanes_mut(self.sums).split_at_mut(features);
        let places = lanes(self.x).chunks_exact(features).zip(lanes(self.dy).chunks_exact(features));
        let mut outputs = lanes_mut(self.dx).chunks_exact_mut(features);
        for ((x, dy), moments) in places.zip(lanes(self.moments).as_chunks::<2>().0) {
            let (mean, inverse) = (simd.load(&moments[0]), simd.load(&moments[1]));
            // Of dy · w and of dy · w · x̂.
            let mut means = [simd.splat(0.0); 2];
            let sums = products.iter_mut().zip(&mut *plain);
            for (((x, dy), weight), (product, plain)) in x.iter().zip(dy).zip(self.weight).zip(sums) {
                let normal = simd.mul(simd.sub(simd.load(x), mean), inverse);
                let dy = simd.load(dy);
                let scaled = simd.mul(dy, simd.splat(*weight));
                means = [simd.add(means[0], scaled), simd.fma(scaled, normal, means[1])];
                let (old_product, old) = (simd.load(product), simd.load(plain));
                simd.store(simd.fma(dy, normal, old_product), product);
                simd.store(simd.add(old, dy), plain);
            }
            let Some(dx) = outputs.next() else { continue };
            let [first, second] = [simd.mul(share, means[0]), simd.mul(share, means[1])];
            for (((x, dy), weight), dx) in x.iter().zip(dy).zip(self.weight).zip(dx) {
                let normal = simd.mul(simd.sub(simd.load(x), mean), inverse);
                let centred = simd.sub(simd.mul(simd.load(dy), simd.splat(*weight)), simd.fma(normal, second, first));
                let old = simd.load(dx);
                simd.store(if self.add { simd.fma(centred, inverse, old) } else { simd.mul(centred, inverse) }, dx);
            }
        }
    }
}
