//! A vector for each number of a row: its place's weight times the number plus its place's bias.

use crate::parts::{cut, parts, share};
use crate::raw::{Lane, Simd, Task};
use crate::tile::{lanes, lanes_mut};
use crate::{LANES, Workers};
use std::ops::Range;

/// The sizes of feature tokens: `[features]` to `[features, dimensions]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureTokens {
    /// Numbers in.
    pub features: usize,
    /// Length of each vector.
    pub dimensions: usize,
}

impl FeatureTokens {
    /// `y = x · w + b` place by place: `x` `[blocks, features, 16]`, `w` and `b` `[features, dimensions]`, `y` `[blocks, features,
    /// dimensions, 16]`.
    pub fn forward(&self, workers: &Workers, x: &[f32], w: &[f32], b: &[f32], y: &mut [f32]) {
        share(workers, y, self.dimensions * LANES, |range, y| Forward { sizes: *self, x, w, b, range, y });
    }

    /// `dw = Σ dy x`, `db = Σ dy`, and `dx = Σ dy w` or that added to `dx`, unless it is empty.
    #[allow(clippy::too_many_arguments)]
    pub fn backward(
        &self,
        workers: &Workers,
        x: &[f32],
        w: &[f32],
        dy: &[f32],
        dw: &mut [f32],
        db: &mut [f32],
        add: bool,
        dx: &mut [f32],
    ) {
        let ranges = parts(self.features, workers.threads());
        let pieces = cut(dw, self.dimensions, &ranges).into_iter().zip(cut(db, self.dimensions, &ranges)).zip(ranges);
        workers.run(pieces.map(|((dw, db), range)| Weights { sizes: *self, x, dy, range, dw, db }).collect());
        share(workers, dx, LANES, |range, dx| Input { sizes: *self, w, dy, add, range, dx });
    }
}

struct Forward<'a> {
    sizes: FeatureTokens,
    x: &'a [f32],
    w: &'a [f32],
    b: &'a [f32],
    /// Of the features of all blocks.
    range: Range<usize>,
    y: &'a mut [f32],
}

impl Task for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let FeatureTokens { features, dimensions } = self.sizes;
        for (at, y) in self.range.zip(lanes_mut(self.y).chunks_exact_mut(dimensions)) {
            let x = simd.load(&lanes(self.x)[at]);
            let [w, b] = [self.w, self.b].map(|from| &from[at % features * dimensions..][..dimensions]);
            for ((w, b), y) in w.iter().zip(b).zip(y) {
                simd.store(simd.fma(simd.splat(*w), x, simd.splat(*b)), y);
            }
        }
    }
}

struct Weights<'a> {
    sizes: FeatureTokens,
    x: &'a [f32],
    dy: &'a [f32],
    /// Of the features.
    range: Range<usize>,
    dw: &'a mut [f32],
    db: &'a mut [f32],
}

impl Task for Weights<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let FeatureTokens { features, dimensions } = self.sizes;
        let rows = self.dw.chunks_exact_mut(dimensions).zip(self.db.chunks_exact_mut(dimensions));
        for (feature, (dw, db)) in self.range.zip(rows) {
            for (at, (dw, db)) in dw.iter_mut().zip(db).enumerate() {
                let (mut products, mut sums) = (simd.splat(0.0), simd.splat(0.0));
                let xs = lanes(self.x).iter().skip(feature).step_by(features);
                let dys = lanes(self.dy).iter().skip(feature * dimensions + at).step_by(features * dimensions);
                for (x, dy) in xs.zip(dys) {
                    let dy = simd.load(dy);
                    products = simd.fma(simd.load(x), dy, products);
                    sums = simd.add(sums, dy);
                }
                (*dw, *db) = (simd.sum(products), simd.sum(sums));
            }
        }
    }
}

struct Input<'a> {
    sizes: FeatureTokens,
    w: &'a [f32],
    dy: &'a [f32],
    add: bool,
    /// Of the features of all blocks.
    range: Range<usize>,
    dx: &'a mut [f32],
}

impl Task for Input<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let FeatureTokens { features, dimensions } = self.sizes;
        for (at, dx) in self.range.zip(lanes_mut(self.dx)) {
            let dy: &[Lane] = &lanes(self.dy)[at * dimensions..][..dimensions];
            let mut sum = if self.add { simd.load(dx) } else { simd.splat(0.0) };
            for (w, dy) in self.w[at % features * dimensions..].iter().zip(dy) {
                sum = simd.fma(simd.splat(*w), simd.load(dy), sum);
            }
            simd.store(sum, dx);
        }
    }
}
