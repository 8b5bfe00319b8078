//! A convolution with few terms, its activation and a max-pool behind it in one pass: only the largest values and where they
//! were are kept. In front of a network this is most of the memory that a step would touch.

use super::Conv;
use crate::parts::{cut, parts};
use crate::raw::{Elements, Lane, Simd, Task};
use crate::tile::{Tile, each, for_rows, lanes, lanes_mut, tile_at, tile_count};
use crate::{LANES, MaxPool, Workers};
use std::ops::Range;

/// Rows, and columns, of a pool's window.
const SIDE: usize = 2;

/// Its places.
const PLACES: usize = SIDE * SIDE;

/// A convolution, `max(·, 0)` and a max-pool whose windows do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PooledConv {
    conv: Conv,
    pool: MaxPool,
}

impl PooledConv {
    /// Both together, where this pays: few terms, steps of one, no dilation, and windows of the pool that are of 2 by 2 places, do
    /// not overlap and lie inside.
    pub fn new(conv: Conv, pool: MaxPool) -> Option<PooledConv> {
        let inside = (0..2).all(|side| pool.out_sides[side] * pool.kernel[side] <= conv.out_sides[side]);
        let apart = pool.stride == pool.kernel && pool.before == [0, 0] && pool.kernel == [SIDE; 2];
        let fits = pool.sides == conv.out_sides && pool.channels == conv.out_channels;
        let dense = conv.stride == [1, 1] && conv.dilation == [1, 1];
        (conv.has_few_terms() && dense && inside && apart && fits).then_some(PooledConv { conv, pool })
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
    fn run<S: Simd>(mut self, simd: S) {
        let PooledConv { conv, pool } = self.sizes;
        let (terms, channels) = (conv.terms(), conv.out_channels);
        let size = pool.out_sides[1] * channels * LANES;
        let [y, winners] = [&mut self.y, &mut self.winners].map(std::mem::take);
        let pieces = y.chunks_exact_mut(size).zip(winners.chunks_exact_mut(size));
        let mut copy = [[0.0; LANES]; super::FEW * PLACES];
        for (row, (y, winners)) in self.rows.clone().zip(pieces) {
            let (block, top) = (row / pool.out_sides[0], row % pool.out_sides[0]);
            let x = conv.block(self.x, block);
            let pixels = lanes_mut(y).chunks_exact_mut(channels).zip(lanes_mut(winners).chunks_exact_mut(channels));
            for (left, (y, winners)) in pixels.enumerate() {
                let patch = self.sizes.patch(simd, x, [top, left], &mut copy);
                for tile in 0..tile_count(channels, S::POOLED) {
                    let (start, size) = tile_at(channels, tile, S::POOLED);
                    let packed = &self.packed[start * terms..(start + size) * terms];
                    for_rows!(S, size, M => {
                        let packed = packed.as_chunks::<M>().0;
                        let (y, winners) = (&mut y[start..start + M], &mut winners[start..start + M]);
                        for part in 0..S::PARTS {
                            self.tile(simd.part(part), &patch, packed, start, y, winners);
                        }
                    });
                }
            }
        }
    }
}

impl Forward<'_> {
    /// The largest values of `M` channels from `start` on, and where they are.
    #[inline(always)]
    fn tile<E: Elements, const M: usize>(
        &self,
        simd: E,
        patch: &Patch<'_>,
        packed: &[[f32; M]],
        start: usize,
        y: &mut [Lane],
        winners: &mut [Lane],
    ) {
        let mut sums: [Tile<E, PLACES>; M] = match self.bias {
            Some(bias) => each!(row => [simd.splat(bias[start + row]); PLACES]),
            None => [[simd.splat(0.0); PLACES]; M],
        };
        self.sizes.multiply(simd, packed, patch, &mut sums);
        // One look for all of them whether there is a NaN, which infinite numbers may turn out to be as well.
        let mut all = simd.splat(0.0);
        for [a, b, c, d] in sums {
            all = simd.add(all, simd.add(simd.add(a, b), simd.add(c, d)));
        }
        let has_nan = simd.has_nan(all);
        for (values, (y, winner)) in sums.into_iter().zip(y.iter_mut().zip(winners)) {
            let (most, best) = if has_nan { largest(simd, values) } else { largest_of_numbers(simd, values) };
            simd.store(simd.relu(most), y);
            simd.store(best, winner);
        }
    }
}

/// The largest of four and the place of the first of the largest; the last NaN is larger than all.
#[inline(always)]
fn largest<E: Elements>(simd: E, values: Tile<E, PLACES>) -> (E::V, E::V) {
    let (mut most, mut best) = (values[0], simd.splat(0.0));
    for (place, value) in values.into_iter().enumerate().skip(1) {
        best = simd.select_above(value, most, simd.splat(place as f32), best);
        most = simd.select_above(value, most, value, most);
    }
    (most, best)
}

/// As [`largest`], where none is NaN, in half of the time.
#[inline(always)]
fn largest_of_numbers<E: Elements>(simd: E, [a, b, c, d]: Tile<E, PLACES>) -> (E::V, E::V) {
    let (above, below) = (simd.max(b, a), simd.max(d, c));
    let places: Tile<E, PLACES> = each!(place => simd.splat(place as f32));
    let upper = simd.select_greater(b, a, places[1], places[0]);
    let lower = simd.select_greater(d, c, places[3], places[2]);
    (simd.max(below, above), simd.select_greater(below, above, lower, upper))
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
        let Conv { channels, sides, kernel, before, .. } = self.conv;
        let first = at.map(|at| at * SIDE);
        let sizes = kernel.map(|kernel| kernel + SIDE - 1);
        let offsets = |row: usize| [0, channels, row, row + channels];
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
    fn multiply<E: Elements, const M: usize>(
        &self,
        simd: E,
        packed: &[[f32; M]],
        patch: &Patch<'_>,
        to: &mut [Tile<E, PLACES>; M],
    ) {
        match (self.conv.channels, self.conv.kernel[1]) {
            (1, 3) => multiply_columns::<E, M, 3>(simd, packed, patch, to),
            (1, 5) => multiply_columns::<E, M, 5>(simd, packed, patch, to),
            _ => self.multiply_rows(simd, packed, patch, to),
        }
    }

    /// As [`PooledConv::multiply`], for all sizes.
    #[inline(always)]
    fn multiply_rows<E: Elements, const M: usize>(
        &self,
        simd: E,
        packed: &[[f32; M]],
        patch: &Patch<'_>,
        to: &mut [Tile<E, PLACES>; M],
    ) {
        let mut sums = *to;
        let row = self.conv.kernel[1] * self.conv.channels;
        for (down, weights) in packed.chunks_exact(row).enumerate() {
            let rows: [&[Lane]; PLACES] =
                each!(place => &patch.values[down * patch.stride + patch.offsets[place]..][..row]);
            for (term, weights) in weights.iter().enumerate() {
                let values: Tile<E, PLACES> = each!(place => simd.load(&rows[place][term]));
                add_term(simd, weights, values, &mut sums);
            }
        }
        *to = sums;
    }
}

/// Adds the products of a term's weights with what it sees from each place.
#[inline(always)]
fn add_term<E: Elements, const M: usize>(
    simd: E,
    weights: &[f32; M],
    values: Tile<E, PLACES>,
    to: &mut [Tile<E, PLACES>; M],
) {
    for (sums, weight) in to.iter_mut().zip(weights) {
        let weight = simd.splat(*weight);
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum = simd.fma(weight, value, *sum);
        }
    }
}

/// Adds the products of a tile of weights with the windows of all places, for one channel and a kernel of `W` columns. There are
/// too few terms in a row for a loop.
#[inline(always)]
fn multiply_columns<E: Elements, const M: usize, const W: usize>(
    simd: E,
    packed: &[[f32; M]],
    patch: &Patch<'_>,
    to: &mut [Tile<E, PLACES>; M],
) {
    let mut sums = *to;
    for (down, weights) in packed.as_chunks::<W>().0.iter().enumerate() {
        let [upper, lower] =
            [&patch.values[down * patch.stride..][..=W], &patch.values[(down + 1) * patch.stride..][..=W]];
        for (term, weights) in weights.iter().enumerate() {
            let values = [&upper[term], &upper[term + 1], &lower[term], &lower[term + 1]];
            let values: Tile<E, PLACES> = each!(place => simd.load(values[place]));
            add_term(simd, weights, values, &mut sums);
        }
    }
    *to = sums;
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

/// Of a place of the pool's output: the gradient in front of the activation, and vectors that are negative where it goes to the
/// lower row, and to the right column, of the pool's window.
#[derive(Clone, Copy)]
struct Share {
    slope: Lane,
    down: Lane,
    right: Lane,
}

/// Channels whose shares are found together, because they lie beside each other.
const GROUP: usize = 4;

/// Most rows and columns of a kernel whose sums are kept in registers at once.
const ROWS: usize = 3;
const COLUMNS: usize = 5;

impl Task for Back<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let PooledConv { conv, pool } = self.sizes;
        let Conv { channels, kernel, .. } = conv;
        let mut strip = Strip::new(&self.sizes);
        let sums = lanes_mut(std::mem::take(&mut self.sums));
        sums.fill([0.0; LANES]);
        let zero = [0.0; LANES];
        let mut shares = vec![Share { slope: zero, down: zero, right: zero }; GROUP * pool.out_sides[1]];
        // As many sums as leave registers for what they are made of.
        let most = if const { S::ROWS > 6 } { ROWS * COLUMNS } else { 2 * COLUMNS };
        for row in self.rows.clone() {
            let (block, top) = (row / pool.out_sides[0], row % pool.out_sides[0]);
            strip.fill(simd, conv.block(self.x, block), top);
            for (group, sums) in sums.chunks_mut(GROUP * (conv.terms() + 1)).enumerate() {
                self.share(simd, row, group * GROUP, &mut shares, sums);
                let each = sums.chunks_exact_mut(conv.terms() + 1).zip(shares.chunks_exact(pool.out_sides[1]));
                for (sums, shares) in each {
                    for across in 0..tile_count(kernel[1], COLUMNS) {
                        let (left, columns) = tile_at(kernel[1], across, COLUMNS);
                        let rows = (most / columns).min(ROWS);
                        for down in 0..tile_count(kernel[0], rows) {
                            let (top, rows) = tile_at(kernel[0], down, rows);
                            for own in 0..channels {
                                let from = strip.values_from(own, top, left);
                                let sums = &mut sums[(top * kernel[1] + left) * channels + own..];
                                let apart = [kernel[1] * channels, channels];
                                for part in 0..S::PARTS {
                                    tiles(simd.part(part), [rows, columns], from, strip.width, shares, sums, apart);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Back<'_> {
    /// What the channels of a group, from `first` on, share out in a row of outputs, `[channels, outputs]`; the last of the sums of
    /// each channel, that of its bias, is added to.
    #[inline(always)]
    fn share<S: Simd>(&self, simd: S, row: usize, first: usize, to: &mut [Share], sums: &mut [Lane]) {
        let PooledConv { conv, pool } = self.sizes;
        let (channels, zero) = (conv.out_channels, simd.splat(0.0));
        let (width, count) = (pool.out_sides[1], GROUP.min(channels - first));
        let size = width * channels;
        let [y, winners, dy] = [self.y, self.winners, self.dy].map(|from| &lanes(from)[row * size..][..size]);
        let mut biases = [zero; GROUP];
        for left in 0..width {
            let own = left * channels + first..left * channels + first + count;
            // The next group lies in as many pages as there are outputs: asked for while this one is used.
            for next in (own.end..own.end + GROUP).take_while(|next| *next < size) {
                for from in [y, winners, dy] {
                    simd.prefetch(&from[next][0]);
                }
            }
            for (at, bias) in own.zip(&mut biases) {
                let slope = simd.keep_positive(simd.load(&y[at]), simd.load(&dy[at]));
                *bias = simd.add(*bias, slope);
                // Places are counted row by row.
                let place = simd.load(&winners[at]);
                let down = simd.sub(simd.splat(1.5), place);
                let across = simd.sub(place, simd.select_negative(down, simd.splat(2.0), zero));
                let to = &mut to[(at - left * channels - first) * width + left];
                simd.store(slope, &mut to.slope);
                simd.store(down, &mut to.down);
                simd.store(simd.sub(simd.splat(0.5), across), &mut to.right);
            }
        }
        for (bias, sums) in biases.into_iter().zip(sums.chunks_exact_mut(conv.terms() + 1)) {
            let sum = &mut sums[conv.terms()];
            simd.store(simd.add(simd.load(sum), bias), sum);
        }
    }
}

/// [`tile`] for so many rows and columns.
#[inline(always)]
fn tiles<E: Elements>(
    simd: E,
    sizes: [usize; 2],
    from: &[Lane],
    width: usize,
    shares: &[Share],
    sums: &mut [Lane],
    apart: [usize; 2],
) {
    macro_rules! sizes {
        ($([$rows:literal $columns:literal])*) => {
            match sizes {
                $([$rows, $columns] => tile::<E, $rows, { $rows + SIDE - 1 }, $columns>(simd, from, width, shares, sums, apart),)*
                _ => {}
            }
        };
    }
    sizes! {
        [1 1] [1 2] [1 3] [1 4] [1 5]
        [2 1] [2 2] [2 3] [2 4] [2 5]
        [3 1] [3 2] [3 3] [3 4] [3 5]
    }
}

/// Adds the products of a row of gradients to the sums of `H` by `W` terms of a channel, which see `R` rows: of the four numbers
/// that a term sees from a pool's window, the one is chosen that the gradient belongs to.
#[inline(always)]
fn tile<E: Elements, const H: usize, const R: usize, const W: usize>(
    simd: E,
    from: &[Lane],
    width: usize,
    shares: &[Share],
    sums: &mut [Lane],
    apart: [usize; 2],
) {
    let zero = simd.splat(0.0);
    let mut totals = [[zero; W]; H];
    // Two columns at a time, as far as windows go, so that no place needs to be looked at.
    let columns = shares.len() + W / SIDE;
    let rows: [&[[Lane; SIDE]]; R] = each!(row => &from[row * width..].as_chunks().0[..columns]);
    for (left, share) in shares.iter().enumerate() {
        let [slope, down, right] = [simd.load(&share.slope), simd.load(&share.down), simd.load(&share.right)];
        let mut above = [zero; W];
        for (row, from) in rows.iter().enumerate() {
            let from = &from[left..][..W / SIDE + 1];
            let mut here = simd.load(&from[0][0]);
            for column in 0..W {
                let next = simd.load(&from[(column + 1) / SIDE][(column + 1) % SIDE]);
                let seen = simd.select_negative(right, next, here);
                if row > 0 {
                    let seen = simd.select_negative(down, seen, above[column]);
                    totals[row - 1][column] = simd.fma(slope, seen, totals[row - 1][column]);
                }
                (above[column], here) = (seen, next);
            }
        }
    }
    for (row, totals) in totals.into_iter().enumerate() {
        for (column, total) in totals.into_iter().enumerate() {
            let sum = &mut sums[row * apart[0] + column * apart[1]];
            simd.store(simd.add(total, simd.load(sum)), sum);
        }
    }
}

/// What a row of the pool's outputs sees, with the zeros around it.
struct Strip<'a> {
    sizes: &'a PooledConv,
    /// `[channels, height, width, 16]`
    values: Vec<Lane>,
    height: usize,
    width: usize,
}

impl<'a> Strip<'a> {
    #[inline(always)]
    fn new(sizes: &'a PooledConv) -> Strip<'a> {
        let PooledConv { conv, pool } = sizes;
        let [height, width] = [conv.kernel[0] + SIDE - 1, conv.kernel[1] + pool.out_sides[1] * SIDE - 1];
        // A tile with an even number of columns reaches a column further than it looks.
        let values = vec![[0.0; LANES]; conv.channels * height * width + 1];
        Strip { sizes, values, height, width }
    }

    /// The numbers of a channel from a row and a column on.
    #[inline(always)]
    fn values_from(&self, channel: usize, row: usize, column: usize) -> &[Lane] {
        &self.values[(channel * self.height + row) * self.width + column..]
    }

    /// Takes over what row `top` sees.
    #[inline(always)]
    fn fill<S: Simd>(&mut self, simd: S, x: &[Lane], top: usize) {
        let Conv { channels, sides: [height, width], before, .. } = self.sizes.conv;
        let end = (width + before[1]).min(self.width);
        for (row, to) in self.values.chunks_exact_mut(self.width).enumerate() {
            let (channel, down) = (row / self.height, row % self.height);
            // Above the picture it becomes very large.
            let from = (top * SIDE + down).wrapping_sub(before[0]);
            if from >= height || end <= before[1] {
                to.fill([0.0; LANES]);
                continue;
            }
            to[..before[1]].fill([0.0; LANES]);
            to[end..].fill([0.0; LANES]);
            let from = x[from * width * channels + channel..].iter().step_by(channels);
            for (to, from) in to[before[1]..end].iter_mut().zip(from) {
                simd.store(simd.load(from), to);
            }
        }
    }
}
