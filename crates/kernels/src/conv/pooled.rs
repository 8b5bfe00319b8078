//! A convolution with few terms, its activation and a max-pool behind it in one pass: only the largest values and where they
//! were are kept. In front of a network this is most of the memory that a step would touch.

use super::Conv;
use crate::parts::{cut, parts};
use crate::raw::{Lane, Simd, Task};
use crate::tile::{Tile, each, for_rows, lanes, lanes_mut, tile_at, tile_count};
use crate::{LANES, MaxPool, Workers};
use std::ops::Range;

/// Places of a pool's window.
const PLACES: usize = 4;

/// A convolution, `max(·, 0)` and a max-pool whose windows do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PooledConv {
    conv: Conv,
    pool: MaxPool,
}

impl PooledConv {
    /// Both together, where this pays: few terms, no dilation, and windows of the pool that have four places, do not overlap and lie
    /// inside.
    pub fn new(conv: Conv, pool: MaxPool) -> Option<PooledConv> {
        let inside = (0..2).all(|side| pool.out_sides[side] * pool.kernel[side] <= conv.out_sides[side]);
        let apart = pool.stride == pool.kernel && pool.before == [0, 0] && pool.kernel[0] * pool.kernel[1] == PLACES;
        let fits = pool.sides == conv.out_sides && pool.channels == conv.out_channels;
        (conv.has_few_terms() && conv.dilation == [1, 1] && inside && apart && fits)
            .then_some(PooledConv { conv, pool })
    }

    /// The convolution.
    pub fn conv(&self) -> &Conv {
        &self.conv
    }

    /// The pool.
    pub fn pool(&self) -> &MaxPool {
        &self.pool
    }

    /// The weight for [`PooledConv::forward`].
    pub fn pack_forward(&self, workers: &Workers, weights: &[f32], packed: &mut [f32]) {
        self.conv.pack(workers, weights, packed, true, workers.level().pooled());
    }

    /// Numbers of scratch memory that [`PooledConv::backward_weights`] needs for so many threads.
    pub fn scratch(&self, threads: usize) -> usize {
        threads * self.conv.out_channels * (self.conv.terms() + 1) * LANES
    }

    /// `y` and `winners` as [`MaxPool::forward`] gives them after [`Conv::forward`] with `max(·, 0)`; `packed` from
    /// [`PooledConv::pack_forward`].
    pub fn forward(
        &self,
        workers: &Workers,
        x: &[f32],
        packed: &[f32],
        bias: Option<&[f32]>,
        y: &mut [f32],
        winners: &mut [f32],
    ) {
        let size = self.pool.out_sides[1] * self.pool.channels * LANES;
        let ranges = parts(y.len() / size, workers.threads());
        let pieces = cut(y, size, &ranges).into_iter().zip(cut(winners, size, &ranges)).zip(ranges);
        workers.run(
            pieces.map(|((y, winners), rows)| Forward { sizes: *self, x, packed, bias, rows, y, winners }).collect(),
        );
    }

    /// The gradients of weight and bias from `dy`, the gradient behind the pool; `scratch` has [`PooledConv::scratch`]
    /// numbers.
    #[allow(clippy::too_many_arguments)]
    pub fn backward_weights(
        &self,
        workers: &Workers,
        x: &[f32],
        y: &[f32],
        winners: &[f32],
        dy: &[f32],
        scratch: &mut [f32],
        dw: &mut [f32],
        db: Option<&mut [f32]>,
    ) {
        let Conv { channels, out_channels, kernel, .. } = self.conv;
        let terms = self.conv.terms();
        let size = self.pool.out_sides[1] * out_channels * LANES;
        let ranges = parts(y.len() / size, workers.threads());
        let each = out_channels * (terms + 1) * LANES;
        let sums = &mut scratch[..ranges.len() * each];
        let pieces = sums.chunks_exact_mut(each).zip(ranges);
        workers.run(pieces.map(|(sums, rows)| Back { sizes: *self, x, y, winners, dy, rows, sums }).collect());
        let total = |channel: usize, term: usize| -> f32 {
            let at = (channel * (terms + 1) + term) * LANES;
            sums.chunks_exact(each).map(|own| own[at..at + LANES].iter().sum::<f32>()).sum()
        };
        let window = kernel[0] * kernel[1];
        for (channel, dw) in dw.chunks_exact_mut(terms).enumerate() {
            for (at, value) in dw.iter_mut().enumerate() {
                *value = total(channel, at % window * channels + at / window);
            }
        }
        if let Some(db) = db {
            db.iter_mut().enumerate().for_each(|(channel, value)| *value = total(channel, terms));
        }
    }
}

struct Forward<'a> {
    sizes: PooledConv,
    x: &'a [f32],
    packed: &'a [f32],
    bias: Option<&'a [f32]>,
    rows: Range<usize>,
    y: &'a mut [f32],
    winners: &'a mut [f32],
}

impl Task for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let PooledConv { conv, pool } = self.sizes;
        let (terms, channels) = (conv.terms(), conv.out_channels);
        let size = pool.out_sides[1] * channels * LANES;
        let pieces = self.y.chunks_exact_mut(size).zip(self.winners.chunks_exact_mut(size));
        let mut copy = [[0.0; LANES]; super::FEW * PLACES];
        for (row, (y, winners)) in self.rows.zip(pieces) {
            let (block, top) = (row / pool.out_sides[0], row % pool.out_sides[0]);
            let x = conv.block(self.x, block);
            let pixels = lanes_mut(y).chunks_exact_mut(channels).zip(lanes_mut(winners).chunks_exact_mut(channels));
            for (left, (y, winners)) in pixels.enumerate() {
                let patch = self.sizes.patch(simd, x, [top, left], &mut copy);
                for tile in 0..tile_count(channels, S::POOLED) {
                    let (start, size) = tile_at(channels, tile, S::POOLED);
                    let packed = &self.packed[start * terms..(start + size) * terms];
                    for_rows!(S, size, M => {
                        let mut sums: [Tile<S, PLACES>; M] = match self.bias {
                            Some(bias) => each!(row => [simd.splat(bias[start + row]); PLACES]),
                            None => [[simd.splat(0.0); PLACES]; M],
                        };
                        self.sizes.multiply(simd, packed.as_chunks::<M>().0, &patch, &mut sums);
                        let to = y[start..start + M].iter_mut().zip(&mut winners[start..start + M]);
                        for (values, (y, winner)) in sums.into_iter().zip(to) {
                            let (mut most, mut best) = (values[0], simd.splat(0.0));
                            for (place, value) in values.into_iter().enumerate().skip(1) {
                                best = simd.select_above(value, most, simd.splat(place as f32), best);
                                most = simd.select_above(value, most, value, most);
                            }
                            simd.store(simd.relu(most), y);
                            simd.store(best, winner);
                        }
                    });
                }
            }
        }
    }
}

/// What the windows of all places of a pool's window see.
struct Patch<'a> {
    values: &'a [Lane],
    /// From a row to the next.
    stride: usize,
    /// From the window of the first place to that of each.
    offsets: [usize; PLACES],
}

impl PooledConv {
    /// The patch of a place of the pool's output: where it lies in the input, or, with zeros around it, in `copy`.
    #[inline(always)]
    fn patch<'a, S: Simd>(&self, simd: S, x: &'a [Lane], at: [usize; 2], copy: &'a mut [Lane]) -> Patch<'a> {
        let PooledConv { conv, pool } = self;
        let Conv { channels, sides, kernel, stride, before, .. } = *conv;
        let first: [usize; 2] = each!(side => at[side] * pool.kernel[side] * stride[side]);
        let sizes: [usize; 2] = each!(side => (pool.kernel[side] - 1) * stride[side] + kernel[side]);
        let offsets = |row: usize| -> [usize; PLACES] {
            each!(place => {
                let (down, across) = (place / pool.kernel[1], place % pool.kernel[1]);
                down * stride[0] * row + across * stride[1] * channels
            })
        };
        let inside =
            |side: usize| first[side] >= before[side] && first[side] + sizes[side] <= sides[side] + before[side];
        if inside(0) && inside(1) {
            let row = sides[1] * channels;
            let values = &x[(first[0] - before[0]) * row + (first[1] - before[1]) * channels..];
            return Patch { values, stride: row, offsets: offsets(row) };
        }
        let row = sizes[1] * channels;
        for (down, to) in copy.chunks_exact_mut(row).take(sizes[0]).enumerate() {
            for (across, to) in to.chunks_exact_mut(channels).enumerate() {
                // Below 0 it becomes very large.
                let from = [(first[0] + down).wrapping_sub(before[0]), (first[1] + across).wrapping_sub(before[1])];
                let is_inside = from[0] < sides[0] && from[1] < sides[1];
                for (channel, to) in to.iter_mut().enumerate() {
                    let value = match is_inside {
                        true => simd.load(&x[(from[0] * sides[1] + from[1]) * channels + channel]),
                        false => simd.splat(0.0),
                    };
                    simd.store(value, to);
                }
            }
        }
        Patch { values: copy, stride: row, offsets: offsets(row) }
    }

    /// Adds the products of a tile of weights with the windows of all places.
    #[inline(always)]
    fn multiply<S: Simd, const M: usize>(
        &self,
        simd: S,
        packed: &[[f32; M]],
        patch: &Patch<'_>,
        to: &mut [Tile<S, PLACES>; M],
    ) {
        let mut sums = *to;
        let row = self.conv.kernel[1] * self.conv.channels;
        for (down, weights) in packed.chunks_exact(row).enumerate() {
            let rows: [&[Lane]; PLACES] =
                each!(place => &patch.values[down * patch.stride + patch.offsets[place]..][..row]);
            for (term, weights) in weights.iter().enumerate() {
                let values: Tile<S, PLACES> = each!(place => simd.load(&rows[place][term]));
                for (sums, weight) in sums.iter_mut().zip(weights) {
                    let weight = simd.splat(*weight);
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum = simd.fma(weight, value, *sum);
                    }
                }
            }
        }
        *to = sums;
    }
}

struct Back<'a> {
    sizes: PooledConv,
    x: &'a [f32],
    y: &'a [f32],
    winners: &'a [f32],
    dy: &'a [f32],
    rows: Range<usize>,
    /// `[channels out, terms and bias, 16]`: sums of each row of the blocks for itself.
    sums: &'a mut [f32],
}

impl Task for Back<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if const { S::ROWS > 6 } { self.run_by::<S, 2>(simd) } else { self.run_by::<S, 1>(simd) }
    }
}

impl Back<'_> {
    /// `C` channels at a time.
    #[inline(always)]
    fn run_by<S: Simd, const C: usize>(mut self, simd: S) {
        let PooledConv { conv, pool } = self.sizes;
        let mut strip = Strip::new(&self.sizes);
        let sums = lanes_mut(std::mem::take(&mut self.sums));
        sums.fill([0.0; LANES]);
        let most = if C == 2 { 9 } else { 3 };
        let terms = conv.terms();
        for row in self.rows.clone() {
            let (block, top) = (row / pool.out_sides[0], row % pool.out_sides[0]);
            strip.fill(simd, conv.block(self.x, block), top);
            for channel in (0..conv.out_channels).step_by(C) {
                for tile in 0..tile_count(terms, most) {
                    let (start, size) = tile_at(terms, tile, most);
                    for_rows!(S, size, M => self.tile::<S, M, C>(simd, &strip, row, channel, start, sums);
                        1 2 3 4 5 6 7 8 9);
                }
            }
        }
    }

    /// Adds the products of a row of gradients to the sums of `M` terms of `C` channels.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const C: usize>(
        &self,
        simd: S,
        strip: &Strip<'_>,
        row: usize,
        channel: usize,
        start: usize,
        sums: &mut [Lane],
    ) {
        let PooledConv { conv, pool } = self.sizes;
        let (channels, each_sums, zero) = (conv.out_channels, conv.terms() + 1, simd.splat(0.0));
        let size = pool.out_sides[1] * channels;
        let [y, winners, dy] = [self.y, self.winners, self.dy].map(|from| &lanes(from)[row * size..][..size]);
        let own = C.min(channels - channel);
        let mut totals = [[zero; M]; C];
        let mut biases = [zero; C];
        let offsets: [[usize; M]; PLACES] =
            each!(place => each!(term => strip.places[place] + strip.terms[start + term]));
        for left in 0..pool.out_sides[1] {
            // The gradient at each place of the pool's window.
            let mut slopes = [[zero; PLACES]; C];
            for (at, (slopes, bias)) in slopes.iter_mut().zip(&mut biases).enumerate().take(own) {
                let at = left * channels + channel + at;
                let slope = simd.select_above(simd.load(&y[at]), zero, simd.load(&dy[at]), zero);
                let winner = simd.load(&winners[at]);
                *bias = simd.add(*bias, slope);
                for (place, to) in slopes.iter_mut().enumerate() {
                    *to = simd.keep_equal(winner, simd.splat(place as f32), slope);
                }
            }
            let from = &strip.values[left * strip.step..];
            for (place, offsets) in offsets.iter().enumerate() {
                for (term, offset) in offsets.iter().enumerate() {
                    let value = simd.load(&from[*offset]);
                    for (totals, slopes) in totals.iter_mut().zip(&slopes) {
                        totals[term] = simd.fma(slopes[place], value, totals[term]);
                    }
                }
            }
        }
        for (at, (totals, bias)) in totals.into_iter().zip(biases).enumerate().take(own) {
            let sums = &mut sums[(channel + at) * each_sums..][..each_sums];
            for (total, sum) in totals.into_iter().zip(&mut sums[start..]) {
                simd.store(simd.add(total, simd.load(sum)), sum);
            }
            if start == 0 {
                let sum = &mut sums[each_sums - 1];
                simd.store(simd.add(bias, simd.load(sum)), sum);
            }
        }
    }
}

/// What a row of the pool's outputs sees, with the zeros around it.
struct Strip<'a> {
    sizes: &'a PooledConv,
    /// `[height, width, channels, 16]`
    values: Vec<Lane>,
    sides: [usize; 2],
    /// From what the first output sees first to what each place and each term of it does.
    places: [usize; PLACES],
    terms: Vec<usize>,
    /// From an output to the next.
    step: usize,
}

impl<'a> Strip<'a> {
    #[inline(always)]
    fn new(sizes: &'a PooledConv) -> Strip<'a> {
        let PooledConv { conv, pool } = sizes;
        let seen = |outputs: usize, side: usize| (outputs - 1) * conv.stride[side] + conv.kernel[side];
        let sides = [seen(pool.kernel[0], 0), seen(pool.out_sides[1] * pool.kernel[1], 1)];
        let row = sides[1] * conv.channels;
        let places = each!(place => {
            let (down, across) = (place / pool.kernel[1], place % pool.kernel[1]);
            down * conv.stride[0] * row + across * conv.stride[1] * conv.channels
        });
        let term = |term: usize| {
            let [down, across, channel] = conv.tap(term);
            down * row + across * conv.channels + channel
        };
        Strip {
            sizes,
            values: vec![[0.0; LANES]; sides[0] * row],
            sides,
            places,
            terms: (0..conv.terms()).map(term).collect(),
            step: pool.kernel[1] * conv.stride[1] * conv.channels,
        }
    }

    /// Takes over what row `top` sees.
    #[inline(always)]
    fn fill<S: Simd>(&mut self, simd: S, x: &[Lane], top: usize) {
        let PooledConv { conv, pool } = self.sizes;
        let Conv { channels, sides: [height, width], stride, before, .. } = *conv;
        let end = (width + before[1]).min(self.sides[1]);
        for (down, to) in self.values.chunks_exact_mut(self.sides[1] * channels).enumerate() {
            // Above the picture it becomes very large.
            let from = (top * pool.kernel[0] * stride[0] + down).wrapping_sub(before[0]);
            if from >= height || end <= before[1] {
                to.fill([0.0; LANES]);
                continue;
            }
            to[..before[1] * channels].fill([0.0; LANES]);
            to[end * channels..].fill([0.0; LANES]);
            let from = &x[from * width * channels..];
            for (to, from) in to[before[1] * channels..end * channels].iter_mut().zip(from) {
                simd.store(simd.load(from), to);
            }
        }
    }
}
