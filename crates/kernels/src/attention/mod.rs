//! Scaled dot-product attention with several heads, and its gradients. Rows of the batch lie beside each other, so every
//! product is one of vectors with vectors: a few places by a few others, held in registers, and nothing is ever turned.

mod products;

use crate::math::exp;
use crate::parts::parts;
use crate::raw::{Lane, Simd, Task};
use crate::tile::{lanes, lanes_mut};
use crate::{LANES, Workers};
use products::{Along, Panels, Side, products};

/// The sizes of an attention of each place of a sequence to all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attention {
    /// Heads; the features are a multiple of it.
    pub heads: usize,
    /// Numbers of a place.
    pub features: usize,
    /// Places.
    pub time: usize,
    /// Whether a place sees only itself and what comes before it.
    pub causal: bool,
}

/// What is done for one block and one head.
struct Unit<'a> {
    block: usize,
    head: usize,
    /// `[time, time]`, rows [`Attention::stride`] apart.
    probabilities: &'a mut [Lane],
    /// `[time, time]`, what dropout multiplies them by, or the product; empty without dropout.
    weights: &'a mut [Lane],
    /// The rows that are written, one for each place: of outputs, or of the gradients of queries, keys and values.
    rows: [Vec<&'a mut [Lane]>; 3],
}

impl Attention {
    /// Numbers of a head.
    fn width(&self) -> usize {
        self.features / self.heads
    }

    /// From one row of probabilities to the next: an odd number of fours, so that rows share no places of the cache.
    fn stride(&self) -> usize {
        (self.time.div_ceil(4) | 1) * 4
    }

    /// Numbers of the probabilities of so many blocks.
    pub fn probabilities(&self, blocks: usize) -> usize {
        blocks * self.heads * self.time * self.stride() * LANES
    }

    /// Numbers of scratch memory that both passes need.
    pub fn scratch(&self, threads: usize) -> usize {
        threads * (self.panels() + FEW * self.time) * LANES
    }

    /// Lanes of the largest of what is packed.
    fn panels(&self) -> usize {
        self.time.next_multiple_of(4) * self.width().next_multiple_of(4)
    }

    /// `y` `[blocks, time, features, 16]` from queries, keys and values beside each other, `projected`
    /// `[blocks, time, 3, features, 16]`, and what the backward pass needs, `probabilities`. Rows see as many places as their
    /// `lengths` `[blocks, 16]` say. `mask` `[blocks, heads, time, time, 16]` is what dropout multiplies probabilities by; it
    /// becomes the product, which the backward pass takes as `weights`. `scratch` has [`Attention::scratch`] numbers.
    #[allow(clippy::too_many_arguments)]
    pub fn forward(
        &self,
        workers: &Workers,
        projected: &[f32],
        lengths: Option<&[f32]>,
        mask: Option<&mut [f32]>,
        probabilities: &mut [f32],
        scratch: &mut [f32],
        y: &mut [f32],
    ) {
        let parts = self.deal(workers, probabilities, mask, y, 1);
        let scratch = scratch.chunks_exact_mut(self.scratch(1));
        let tasks = parts.into_iter().zip(scratch);
        workers
            .run(tasks.map(|(units, scratch)| Forward { sizes: *self, projected, lengths, scratch, units }).collect());
    }

    /// `d_projected`, of the form of `projected`. The probabilities are used up.
    #[allow(clippy::too_many_arguments)]
    pub fn backward(
        &self,
        workers: &Workers,
        projected: &[f32],
        lengths: Option<&[f32]>,
        weights: Option<&mut [f32]>,
        probabilities: &mut [f32],
        dy: &[f32],
        scratch: &mut [f32],
        d_projected: &mut [f32],
    ) {
        let parts = self.deal(workers, probabilities, weights, d_projected, 3);
        let scratch = scratch.chunks_exact_mut(self.scratch(1));
        let tasks = parts.into_iter().zip(scratch);
        workers.run(
            tasks.map(|(units, scratch)| Backward { sizes: *self, projected, lengths, dy, scratch, units }).collect(),
        );
    }

    /// For each thread its units; a place has `of` rows.
    fn deal<'a>(
        &self,
        workers: &Workers,
        probabilities: &'a mut [f32],
        weights: Option<&'a mut [f32]>,
        rows: &'a mut [f32],
        of: usize,
    ) -> Vec<Vec<Unit<'a>>> {
        let Attention { heads, time, .. } = *self;
        let mut units: Vec<Unit<'a>> = lanes_mut(probabilities)
            .chunks_exact_mut(time * self.stride())
            .enumerate()
            .map(|(at, probabilities)| {
                let (block, head) = (at / heads, at % heads);
                Unit { block, head, probabilities, weights: &mut [], rows: Default::default() }
            })
            .collect();
        if let Some(weights) = weights {
            let weights = lanes_mut(weights).chunks_exact_mut(time * time);
            units.iter_mut().zip(weights).for_each(|(unit, weights)| unit.weights = weights);
        }
        for (at, row) in lanes_mut(rows).chunks_exact_mut(self.width()).enumerate() {
            let (place, head) = (at / heads, at % heads);
            units[place / (of * time) * heads + head].rows[place % of].push(row);
        }
        let mut units = units.into_iter();
        let ranges = parts(units.len(), workers.threads());
        ranges.into_iter().map(|range| units.by_ref().take(range.len()).collect()).collect()
    }

    /// Queries, keys and values of a head.
    #[inline(always)]
    fn operands<'a>(&self, projected: &'a [f32], block: usize, head: usize) -> [Along<'a>; 3] {
        let Attention { features, time, .. } = *self;
        let all = &lanes(projected)[block * time * 3 * features..][..time * 3 * features];
        let part = |part: usize| {
            let values = &all[part * features + head * self.width()..];
            Along { values, stride: 3 * features }
        };
        [part(0), part(1), part(2)]
    }

    /// How many of the first places some row of the block sees at all.
    #[inline(always)]
    fn seen(&self, lengths: Option<&[f32]>, block: usize) -> usize {
        let Some(lengths) = lengths else { return self.time };
        let longest = lengths[block * LANES..][..LANES].iter().fold(1.0_f32, |most, length| most.max(*length));
        (longest as usize).min(self.time)
    }

    /// How many places the places before `end` see.
    #[inline(always)]
    fn limit(&self, seen: usize, end: usize) -> usize {
        if self.causal { seen.min(end) } else { seen }
    }
}

/// Rows that are computed together, so that what they are multiplied with is read from the second cache as often less. Rows of
/// scores are [`FEW`]: queries lie apart by what leaves place for so many in the first cache.
const STRIP: usize = 8;

/// See [`STRIP`].
const FEW: usize = 4;

struct Forward<'a> {
    sizes: Attention,
    projected: &'a [f32],
    lengths: Option<&'a [f32]>,
    scratch: &'a mut [f32],
    units: Vec<Unit<'a>>,
}

impl Task for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Attention { time, .. } = self.sizes;
        let (width, stride) = (self.sizes.width(), self.sizes.stride());
        let scale = simd.splat(1.0 / (width as f32).sqrt());
        let mut panels = Panels(&mut lanes_mut(self.scratch)[..self.sizes.panels()]);
        for unit in self.units {
            let [queries, keys, values] = self.sizes.operands(self.projected, unit.block, unit.head);
            let seen = self.sizes.seen(self.lengths, unit.block);
            let lengths = self.lengths.map(|lengths| simd.load(&lanes(lengths)[unit.block]));
            let [mut outputs, ..] = unit.rows;
            // All scores first: keys and values together are more than the second cache holds.
            panels.pack(simd, keys, seen, width);
            for (strip, probabilities) in unit.probabilities.chunks_mut(FEW * stride).enumerate() {
                let first = strip * FEW;
                let limit = self.sizes.limit(seen, first + probabilities.len() / stride);
                let mut scores: Vec<&mut [Lane]> =
                    probabilities.chunks_exact_mut(stride).map(|row| &mut row[..time]).collect();
                products(simd, queries.skip_rows(first), &panels, 0..width, width, limit, &mut scores);
                for (row, scores) in scores.into_iter().enumerate() {
                    let own = self.sizes.limit(seen, first + row + 1);
                    softmax(simd, &mut scores[..own], scale, lengths);
                    scores[own..].fill([0.0; LANES]);
                }
            }
            let mut weights = Along { values: unit.probabilities, stride };
            if !unit.weights.is_empty() {
                for (mask, row) in unit.weights.chunks_exact_mut(time).zip(unit.probabilities.chunks_exact(stride)) {
                    multiply(simd, row, mask);
                }
                weights = Along { values: unit.weights, stride: time };
            }
            panels.pack(simd, values.turned(), width, seen);
            for (strip, outputs) in outputs.chunks_mut(STRIP).enumerate() {
                let first = strip * STRIP;
                let limit = self.sizes.limit(seen, first + outputs.len());
                products(simd, weights.skip_rows(first), &panels, 0..limit, seen, width, outputs);
            }
        }
    }
}

/// `to *= by`.
#[inline(always)]
fn multiply<S: Simd>(simd: S, by: &[Lane], to: &mut [Lane]) {
    for (by, to) in by.iter().zip(to) {
        let (by, value) = (simd.load(by), simd.load(to));
        simd.store(simd.mul(by, value), to);
    }
}

/// Scores become probabilities; places from a row's length on get none.
#[inline(always)]
fn softmax<S: Simd>(simd: S, scores: &mut [Lane], scale: S::V, lengths: Option<S::V>) {
    let zero = simd.splat(0.0);
    let mut most = simd.splat(f32::MIN);
    for (place, score) in scores.iter_mut().enumerate() {
        let mut value = simd.mul(simd.load(score), scale);
        if let Some(lengths) = lengths {
            value = simd.select_above(lengths, simd.splat(place as f32), value, simd.splat(f32::MIN));
        }
        // The second operand comes out where one is no number.
        most = simd.max(most, value);
        simd.store(value, score);
    }
    let mut sum = zero;
    for (place, score) in scores.iter_mut().enumerate() {
        let mut value = exp(simd, simd.sub(simd.load(score), most));
        if let Some(lengths) = lengths {
            value = simd.select_above(lengths, simd.splat(place as f32), value, zero);
        }
        sum = simd.add(sum, value);
        simd.store(value, score);
    }
    let share = simd.div(simd.splat(1.0), sum);
    for score in scores {
        simd.store(simd.mul(simd.load(score), share), score);
    }
}

struct Backward<'a> {
    sizes: Attention,
    projected: &'a [f32],
    lengths: Option<&'a [f32]>,
    dy: &'a [f32],
    scratch: &'a mut [f32],
    units: Vec<Unit<'a>>,
}

impl Task for Backward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Attention { features, time, causal, .. } = self.sizes;
        let (width, stride) = (self.sizes.width(), self.sizes.stride());
        let scale = simd.splat(1.0 / (width as f32).sqrt());
        let (panels, scratch) = lanes_mut(self.scratch).split_at_mut(self.sizes.panels());
        let mut panels = Panels(panels);
        for unit in self.units {
            let [queries, keys, values] = self.sizes.operands(self.projected, unit.block, unit.head);
            let seen = self.sizes.seen(self.lengths, unit.block);
            let dy = &lanes(self.dy)[unit.block * time * features + unit.head * width..];
            let dy = Along { values: dy, stride: features };
            let [mut d_queries, mut d_keys, mut d_values] = unit.rows;
            for (keys, values) in d_keys[seen..].iter_mut().zip(&mut d_values[seen..]) {
                keys.fill([0.0; LANES]);
                values.fill([0.0; LANES]);
            }
            let weights = match unit.weights.is_empty() {
                true => Along { values: unit.probabilities, stride },
                false => Along { values: unit.weights, stride: time },
            };
            panels.pack(simd, dy.turned(), width, time);
            by_places(simd, weights, &panels, [time, width], causal, &mut d_values[..seen]);
            // Slopes of all scores, in place of the probabilities.
            panels.pack(simd, values, seen, width);
            for (strip, probabilities) in unit.probabilities.chunks_mut(FEW * stride).enumerate() {
                let first = strip * FEW;
                let end = first + probabilities.len() / stride;
                let limit = self.sizes.limit(seen, end);
                let mut slopes: Vec<&mut [Lane]> = scratch.chunks_exact_mut(time).take(end - first).collect();
                products(simd, dy.skip_rows(first), &panels, 0..width, width, limit, &mut slopes);
                for (row, (probabilities, slopes)) in probabilities.chunks_exact_mut(stride).zip(slopes).enumerate() {
                    // Of places that it does not see all probabilities are 0, and stay it.
                    let own = self.sizes.limit(seen, first + row + 1);
                    let weights = unit.weights.get((first + row) * time..(first + row) * time + own);
                    softmax_back(simd, &mut probabilities[..own], weights.unwrap_or_default(), &slopes[..own], scale);
                }
            }
            let slopes = Along { values: unit.probabilities, stride };
            panels.pack(simd, keys.turned(), width, seen);
            for (strip, to) in d_queries.chunks_mut(STRIP).enumerate() {
                let first = strip * STRIP;
                let limit = self.sizes.limit(seen, first + to.len());
                products(simd, slopes.skip_rows(first), &panels, 0..limit, seen, width, to);
            }
            panels.pack(simd, queries.turned(), width, time);
            by_places(simd, slopes, &panels, [time, width], causal, &mut d_keys[..seen]);
        }
    }
}

/// `to[j][d] = Σ a(i, j) b(i, d)` over all places `i`. Where it is causal, `a` is 0 for those that do not see place `j`.
#[inline(always)]
fn by_places<S: Simd>(
    simd: S,
    a: Along<'_>,
    b: &Panels<'_>,
    [time, width]: [usize; 2],
    causal: bool,
    to: &mut [&mut [Lane]],
) {
    for (strip, to) in to.chunks_mut(STRIP).enumerate() {
        let first = strip * STRIP;
        let from = if causal { first } else { 0 };
        products(simd, a.turned().skip_rows(first), b, from..time, time, width, to);
    }
}

/// From slopes of weights to those of scores, in place of the probabilities: `scale (w · dw - p Σ w dw)`. Without dropout
/// weights are the probabilities.
#[inline(always)]
fn softmax_back<S: Simd>(simd: S, probabilities: &mut [Lane], weights: &[Lane], slopes: &[Lane], scale: S::V) {
    let mut sums = [simd.splat(0.0); 2];
    let with = if weights.is_empty() { &*probabilities } else { weights };
    for (at, (weight, slope)) in with.iter().zip(slopes).enumerate() {
        sums[at % 2] = simd.fma(simd.load(weight), simd.load(slope), sums[at % 2]);
    }
    let sum = simd.add(sums[0], sums[1]);
    if weights.is_empty() {
        for (probability, slope) in probabilities.iter_mut().zip(slopes) {
            let share = simd.mul(simd.load(probability), scale);
            simd.store(simd.mul(share, simd.sub(simd.load(slope), sum)), probability);
        }
        return;
    }
    for ((probability, weight), slope) in probabilities.iter_mut().zip(weights).zip(slopes) {
        let own = simd.mul(simd.load(probability), sum);
        let pulled = simd.sub(simd.mul(simd.load(weight), simd.load(slope)), own);
        simd.store(simd.mul(pulled, scale), probability);
    }
}
