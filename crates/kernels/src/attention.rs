//! Scaled dot-product attention with several heads, and its gradients. Rows of the batch lie beside each other, so every
//! product is one of vectors with vectors: a few places by a few others, held in registers, and nothing is ever turned.

use crate::math::exp;
use crate::parts::parts;
use crate::raw::{Lane, Simd, Task};
use crate::tile::{lanes, lanes_mut};
use crate::{LANES, Workers};

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
    /// `[time, time]`.
    probabilities: &'a mut [Lane],
    /// As the probabilities, times what dropout multiplies them by; empty without dropout.
    weights: &'a mut [Lane],
    /// The rows that are written, one for each place: of outputs, or of the gradients of queries, keys and values.
    rows: [Vec<&'a mut [Lane]>; 3],
}

impl Attention {
    /// Numbers of a head.
    fn width(&self) -> usize {
        self.features / self.heads
    }

    /// Numbers of the probabilities of so many blocks.
    pub fn probabilities(&self, blocks: usize) -> usize {
        blocks * self.heads * self.time * self.time * LANES
    }

    /// `y` `[blocks, time, features, 16]` from queries, keys and values beside each other, `projected`
    /// `[blocks, time, 3, features, 16]`, and `probabilities` `[blocks, heads, time, time, 16]`. Rows see as many places as
    /// their `lengths` `[blocks, 16]` say. `mask`, laid out like the probabilities, is what dropout multiplies them by, and
    /// becomes the product; the backward pass takes it as `weights`.
    pub fn forward(
        &self,
        workers: &Workers,
        projected: &[f32],
        lengths: Option<&[f32]>,
        mask: Option<&mut [f32]>,
        probabilities: &mut [f32],
        y: &mut [f32],
    ) {
        let parts = self.deal(workers, probabilities, mask, y, 1);
        workers.run(parts.into_iter().map(|units| Forward { sizes: *self, projected, lengths, units }).collect());
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
        d_projected: &mut [f32],
    ) {
        let parts = self.deal(workers, probabilities, weights, d_projected, 3);
        workers.run(parts.into_iter().map(|units| Backward { sizes: *self, projected, lengths, dy, units }).collect());
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
        let squares = |values: &'a mut [f32]| lanes_mut(values).chunks_exact_mut(time * time);
        let mut units: Vec<Unit<'a>> = squares(probabilities)
            .enumerate()
            .map(|(at, probabilities)| {
                let (block, head) = (at / heads, at % heads);
                Unit { block, head, probabilities, weights: &mut [], rows: Default::default() }
            })
            .collect();
        if let Some(weights) = weights {
            units.iter_mut().zip(squares(weights)).for_each(|(unit, weights)| unit.weights = weights);
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
    fn operands<'a>(&self, projected: &'a [f32], block: usize, head: usize) -> [Grid<'a>; 3] {
        let Attention { features, time, .. } = *self;
        let all = &lanes(projected)[block * time * 3 * features..][..time * 3 * features];
        let part = |part: usize| {
            let values = &all[part * features + head * self.width()..];
            Grid { values, by_row: 3 * features, by_term: 1 }
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

/// Lanes at two strides: that of a row and a term is at `row · by_row + term · by_term`.
#[derive(Clone, Copy)]
struct Grid<'a> {
    values: &'a [Lane],
    by_row: usize,
    by_term: usize,
}

impl<'a> Grid<'a> {
    /// Rows of `length` terms behind each other.
    #[inline(always)]
    fn rows(values: &'a [Lane], length: usize) -> Grid<'a> {
        Grid { values, by_row: length, by_term: 1 }
    }

    /// The same without the first terms.
    #[inline(always)]
    fn from_term(self, term: usize) -> Grid<'a> {
        Grid { values: &self.values[term * self.by_term..], ..self }
    }

    /// The same from that row on.
    #[inline(always)]
    fn from_row(self, row: usize) -> Grid<'a> {
        Grid { values: &self.values[row * self.by_row..], ..self }
    }

    /// Rows as terms and terms as rows.
    #[inline(always)]
    fn turned(self) -> Grid<'a> {
        Grid { by_row: self.by_term, by_term: self.by_row, ..self }
    }
}

/// `to[i][j] = Σ a(i, term) b(j, term)` for each row `i` of `to` and the first `columns` of its numbers.
#[inline(always)]
fn products<S: Simd>(simd: S, a: Grid<'_>, b: Grid<'_>, terms: usize, columns: usize, to: &mut [&mut [Lane]]) {
    if const { S::ROWS > 6 } {
        by_tiles::<S, 4, 4>(simd, a, b, terms, columns, to);
    } else {
        by_tiles::<S, 2, 2>(simd, a, b, terms, columns, to);
    }
}

#[inline(always)]
fn by_tiles<S: Simd, const M: usize, const N: usize>(
    simd: S,
    a: Grid<'_>,
    b: Grid<'_>,
    terms: usize,
    columns: usize,
    to: &mut [&mut [Lane]],
) {
    for (index, to) in to.chunks_mut(M).enumerate() {
        let a = a.from_row(index * M);
        if to.len() == M {
            rows::<S, M, N>(simd, a, b, terms, columns, to);
        } else {
            for (row, to) in to.chunks_mut(1).enumerate() {
                rows::<S, 1, N>(simd, a.from_row(row), b, terms, columns, to);
            }
        }
    }
}

/// As [`products`], for `M` rows.
#[inline(always)]
fn rows<S: Simd, const M: usize, const N: usize>(
    simd: S,
    a: Grid<'_>,
    b: Grid<'_>,
    terms: usize,
    columns: usize,
    to: &mut [&mut [Lane]],
) {
    let whole = columns / N * N;
    for first in (0..whole).step_by(N) {
        let sums = tile::<S, M, N>(simd, a, b.from_row(first), terms);
        for (sums, to) in sums.into_iter().zip(&mut *to) {
            for (sum, to) in sums.into_iter().zip(&mut to[first..first + N]) {
                simd.store(sum, to);
            }
        }
    }
    for first in whole..columns {
        let sums = tile::<S, M, 1>(simd, a, b.from_row(first), terms);
        for ([sum], to) in sums.into_iter().zip(&mut *to) {
            simd.store(sum, &mut to[first]);
        }
    }
}

/// `M` rows by `N` others.
#[inline(always)]
fn tile<S: Simd, const M: usize, const N: usize>(simd: S, a: Grid<'_>, b: Grid<'_>, terms: usize) -> [[S::V; N]; M] {
    let zero = simd.splat(0.0);
    let mut sums = [[zero; N]; M];
    let (mut lefts, mut rights) = ([a.values; M], [b.values; N]);
    for (row, left) in lefts.iter_mut().enumerate() {
        *left = &a.values[row * a.by_row..];
    }
    for (row, right) in rights.iter_mut().enumerate() {
        *right = &b.values[row * b.by_row..];
    }
    for term in 0..terms {
        let mut others = [zero; N];
        for (other, right) in others.iter_mut().zip(&rights) {
            *other = simd.load(&right[term * b.by_term]);
        }
        for (sums, left) in sums.iter_mut().zip(&lefts) {
            let value = simd.load(&left[term * a.by_term]);
            for (sum, other) in sums.iter_mut().zip(&others) {
                *sum = simd.fma(value, *other, *sum);
            }
        }
    }
    sums
}

/// Rows of probabilities that are computed together, so that they stay in the cache.
const STRIP: usize = 4;

struct Forward<'a> {
    sizes: Attention,
    projected: &'a [f32],
    lengths: Option<&'a [f32]>,
    units: Vec<Unit<'a>>,
}

impl Task for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Attention { time, .. } = self.sizes;
        let width = self.sizes.width();
        let scale = simd.splat(1.0 / (width as f32).sqrt());
        for unit in self.units {
            let [queries, keys, values] = self.sizes.operands(self.projected, unit.block, unit.head);
            let seen = self.sizes.seen(self.lengths, unit.block);
            let lengths = self.lengths.map(|lengths| simd.load(&lanes(lengths)[unit.block]));
            let [mut outputs, ..] = unit.rows;
            let mut masks = unit.weights.chunks_mut(STRIP * time);
            for (strip, probabilities) in unit.probabilities.chunks_mut(STRIP * time).enumerate() {
                let first = strip * STRIP;
                let end = first + probabilities.len() / time;
                let limit = self.sizes.limit(seen, end);
                let mut scores: Vec<&mut [Lane]> = probabilities.chunks_exact_mut(time).collect();
                products(simd, queries.from_row(first), keys, width, limit, &mut scores);
                for (row, scores) in scores.into_iter().enumerate() {
                    let own = self.sizes.limit(seen, first + row + 1);
                    softmax(simd, &mut scores[..own], scale, lengths);
                    scores[own..].fill([0.0; LANES]);
                }
                let weights = match masks.next() {
                    Some(mask) => {
                        multiply(simd, probabilities, mask);
                        &*mask
                    }
                    None => &*probabilities,
                };
                products(simd, Grid::rows(weights, time), values.turned(), limit, width, &mut outputs[first..end]);
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
    units: Vec<Unit<'a>>,
}

impl Task for Backward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Attention { features, time, causal, .. } = self.sizes;
        let width = self.sizes.width();
        let scale = simd.splat(1.0 / (width as f32).sqrt());
        let mut scratch = vec![[0.0; LANES]; STRIP * time];
        for unit in self.units {
            let [queries, keys, values] = self.sizes.operands(self.projected, unit.block, unit.head);
            let seen = self.sizes.seen(self.lengths, unit.block);
            let dy = Grid {
                values: &lanes(self.dy)[unit.block * time * features + unit.head * width..],
                by_row: features,
                by_term: 1,
            };
            let [mut d_queries, mut d_keys, mut d_values] = unit.rows;
            for (keys, values) in d_keys[seen..].iter_mut().zip(&mut d_values[seen..]) {
                keys.fill([0.0; LANES]);
                values.fill([0.0; LANES]);
            }
            let weights = if unit.weights.is_empty() { &*unit.probabilities } else { &*unit.weights };
            by_places(simd, Grid::rows(weights, time), dy, causal, width, &mut d_values[..seen]);
            let mut weights = unit.weights.chunks(STRIP * time);
            for (strip, probabilities) in unit.probabilities.chunks_mut(STRIP * time).enumerate() {
                let first = strip * STRIP;
                let end = first + probabilities.len() / time;
                let limit = self.sizes.limit(seen, end);
                let mut slopes: Vec<&mut [Lane]> = scratch.chunks_exact_mut(time).take(end - first).collect();
                products(simd, dy.from_row(first), values, width, limit, &mut slopes);
                let weights = weights.next().unwrap_or_default();
                for (row, (probabilities, slopes)) in probabilities.chunks_exact_mut(time).zip(slopes).enumerate() {
                    // Of places that it does not see all probabilities are 0, and stay it.
                    let own = self.sizes.limit(seen, first + row + 1);
                    let weights = weights.get(row * time..row * time + own).unwrap_or_default();
                    softmax_back(simd, &mut probabilities[..own], weights, &slopes[..own], scale);
                }
                let slopes = Grid::rows(probabilities, time);
                products(simd, slopes, keys.turned(), limit, width, &mut d_queries[first..end]);
            }
            by_places(simd, Grid::rows(unit.probabilities, time), queries, causal, width, &mut d_keys[..seen]);
        }
    }
}

/// `to[j][d] = Σ a(i, j) b(i, d)` over all places `i`, or, where it is causal, over those that see place `j`.
#[inline(always)]
fn by_places<S: Simd>(simd: S, a: Grid<'_>, b: Grid<'_>, causal: bool, width: usize, to: &mut [&mut [Lane]]) {
    let time = a.by_row;
    for (strip, to) in to.chunks_mut(STRIP).enumerate() {
        let first = strip * STRIP;
        let from = if causal { first } else { 0 };
        let left = a.turned().from_row(first).from_term(from);
        products(simd, left, b.turned().from_term(from), time - from, width, to);
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
