//! Sequences of which each row has a length of its own: means, largest values and last places over time, and what tells
//! each place where it is. A length is a number of the lane of its row, so places are left out by comparing vectors.

use crate::parts::{cut, parts, share};
use crate::raw::{Simd, Task};
use crate::tile::{lanes, lanes_mut};
use crate::{LANES, Workers};
use std::ops::Range;

/// Sequences `[blocks, time, channels, 16]` with lengths `[blocks, 16]`, all places where there are none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OverTime<'a> {
    /// Places.
    pub time: usize,
    /// Numbers of a place.
    pub channels: usize,
    /// Places of each row, at least 1.
    pub lengths: Option<&'a [f32]>,
}

impl OverTime<'_> {
    /// `y` `[blocks, channels, 16]`, the means.
    pub fn mean(&self, workers: &Workers, x: &[f32], y: &mut [f32]) {
        share(workers, y, self.channels * LANES, |blocks, y| Over { sizes: *self, x, what: What::Mean, blocks, y });
    }

    /// The gradient of [`OverTime::mean`], into or added to `dx`.
    pub fn mean_backward(&self, workers: &Workers, dy: &[f32], add: bool, dx: &mut [f32]) {
        self.spread(workers, dy, Some(What::Mean), &[], add, dx);
    }

    /// `y` `[blocks, channels, 16]`, the last places.
    pub fn last(&self, workers: &Workers, x: &[f32], y: &mut [f32]) {
        share(workers, y, self.channels * LANES, |blocks, y| Over { sizes: *self, x, what: What::Last, blocks, y });
    }

    /// The gradient of [`OverTime::last`], into or added to `dx`.
    pub fn last_backward(&self, workers: &Workers, dy: &[f32], add: bool, dx: &mut [f32]) {
        self.spread(workers, dy, Some(What::Last), &[], add, dx);
    }

    /// `y` `[blocks, channels, 16]`, the largest values, and `winners`, at which place each is; of equal ones the first.
    pub fn largest(&self, workers: &Workers, x: &[f32], y: &mut [f32], winners: &mut [f32]) {
        let size = self.channels * LANES;
        let ranges = parts(y.len() / size, workers.threads());
        let pieces = cut(y, size, &ranges).into_iter().zip(cut(winners, size, &ranges)).zip(ranges);
        workers.run(pieces.map(|((y, winners), blocks)| Largest { sizes: *self, x, blocks, y, winners }).collect());
    }

    /// The gradient of [`OverTime::largest`], into or added to `dx`.
    pub fn largest_backward(&self, workers: &Workers, dy: &[f32], winners: &[f32], add: bool, dx: &mut [f32]) {
        self.spread(workers, dy, None, winners, add, dx);
    }

    fn spread(&self, workers: &Workers, dy: &[f32], what: Option<What>, winners: &[f32], add: bool, dx: &mut [f32]) {
        share(workers, dx, self.channels * LANES, |places, dx| Spread {
            sizes: *self,
            dy,
            what,
            winners,
            add,
            places,
            dx,
        });
    }

    /// Whether a place has no weight in any row of a block.
    #[inline(always)]
    fn is_left_out(&self, what: What, block: usize, place: usize) -> bool {
        what == What::Last
            && match self.lengths {
                Some(lengths) => lanes(lengths)[block].iter().all(|length| *length != (place + 1) as f32),
                None => place + 1 != self.time,
            }
    }

    /// The lengths of a block.
    #[inline(always)]
    fn of<S: Simd>(&self, simd: S, block: usize) -> S::V {
        self.lengths.map_or(simd.splat(self.time as f32), |lengths| simd.load(&lanes(lengths)[block]))
    }
}

/// Sums over time with weights that follow from the place and the length.
#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Mean,
    Last,
}

impl What {
    /// The weight of a place.
    #[inline(always)]
    fn weight<S: Simd>(self, simd: S, place: usize, lengths: S::V) -> S::V {
        let (place, one) = (simd.splat(place as f32), simd.splat(1.0));
        match self {
            What::Mean => simd.select_above(lengths, place, simd.div(one, lengths), simd.splat(0.0)),
            What::Last => simd.keep_equal(simd.add(place, one), lengths, one),
        }
    }
}

struct Over<'a> {
    sizes: OverTime<'a>,
    x: &'a [f32],
    what: What,
    blocks: Range<usize>,
    y: &'a mut [f32],
}

impl Task for Over<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let OverTime { time, channels, .. } = self.sizes;
        for (block, y) in self.blocks.zip(lanes_mut(self.y).chunks_exact_mut(channels)) {
            let lengths = self.sizes.of(simd, block);
            y.fill([0.0; LANES]);
            let x = &lanes(self.x)[block * time * channels..][..time * channels];
            for (place, x) in x.chunks_exact(channels).enumerate() {
                if self.sizes.is_left_out(self.what, block, place) {
                    continue;
                }
                let weight = self.what.weight(simd, place, lengths);
                for (x, y) in x.iter().zip(&mut *y) {
                    let (x, sum) = (simd.load(x), simd.load(y));
                    simd.store(simd.fma(weight, x, sum), y);
                }
            }
        }
    }
}

struct Largest<'a> {
    sizes: OverTime<'a>,
    x: &'a [f32],
    blocks: Range<usize>,
    y: &'a mut [f32],
    winners: &'a mut [f32],
}

impl Task for Largest<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let OverTime { time, channels, .. } = self.sizes;
        let pieces =
            lanes_mut(self.y).chunks_exact_mut(channels).zip(lanes_mut(self.winners).chunks_exact_mut(channels));
        for (block, (y, winners)) in self.blocks.zip(pieces) {
            let lengths = self.sizes.of(simd, block);
            let x = &lanes(self.x)[block * time * channels..][..time * channels];
            let (first, others) = x.split_at(channels);
            y.copy_from_slice(first);
            winners.fill([0.0; LANES]);
            for (place, x) in others.chunks_exact(channels).enumerate() {
                let place = simd.splat((place + 1) as f32);
                for ((x, y), winner) in x.iter().zip(&mut *y).zip(&mut *winners) {
                    let (value, most, who) = (simd.load(x), simd.load(y), simd.load(winner));
                    // Places behind the end are as small as the largest so far.
                    let value = simd.select_above(lengths, place, value, most);
                    simd.store(simd.select_above(value, most, value, most), y);
                    simd.store(simd.select_above(value, most, place, who), winner);
                }
            }
        }
    }
}

struct Spread<'a> {
    sizes: OverTime<'a>,
    dy: &'a [f32],
    /// The weights, or, where there are none, `winners` say which place gets the gradient.
    what: Option<What>,
    winners: &'a [f32],
    add: bool,
    /// Of all blocks.
    places: Range<usize>,
    dx: &'a mut [f32],
}

impl Task for Spread<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let OverTime { time, channels, .. } = self.sizes;
        for (place, dx) in self.places.zip(lanes_mut(self.dx).chunks_exact_mut(channels)) {
            let (block, at) = (place / time, place % time);
            if self.what.is_some_and(|what| self.sizes.is_left_out(what, block, at)) {
                if !self.add {
                    dx.fill([0.0; LANES]);
                }
                continue;
            }
            let weight = match self.what {
                Some(what) => what.weight(simd, at, self.sizes.of(simd, block)),
                None => simd.splat(0.0),
            };
            let dy = &lanes(self.dy)[block * channels..][..channels];
            let here = simd.splat(at as f32);
            for (channel, (dy, dx)) in dy.iter().zip(dx).enumerate() {
                let (dy, old) = (simd.load(dy), simd.load(dx));
                let value = match self.what {
                    Some(_) => simd.mul(weight, dy),
                    None => {
                        let winner = simd.load(&lanes(self.winners)[block * channels + channel]);
                        simd.keep_equal(winner, here, dy)
                    }
                };
                simd.store(if self.add { simd.add(old, value) } else { value }, dx);
            }
        }
    }
}

/// `y = x + table`, the same for all rows: `x` and `y` `[blocks, size, 16]`, `table` `[size]`, whose gradient is that of
/// [`crate::channel_sums`].
pub fn add_table(workers: &Workers, x: &[f32], table: &[f32], y: &mut [f32]) {
    share(workers, y, LANES, |range, y| Table { x, table, range, y });
}

struct Table<'a> {
    x: &'a [f32],
    table: &'a [f32],
    range: Range<usize>,
    y: &'a mut [f32],
}

impl Task for Table<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let numbers = self.table.iter().cycle().skip(self.range.start % self.table.len());
        let x = &lanes(self.x)[self.range];
        for ((x, y), number) in x.iter().zip(lanes_mut(self.y)).zip(numbers) {
            simd.store(simd.add(simd.load(x), simd.splat(*number)), y);
        }
    }
}

/// Copies a part of each place into another, or adds it: `count` lanes from lane `first[0]` of places of `sizes[0]` lanes to
/// lane `first[1]` of places of `sizes[1]` lanes.
pub fn copy_part(
    workers: &Workers,
    from: &[f32],
    sizes: [usize; 2],
    first: [usize; 2],
    count: usize,
    add: bool,
    to: &mut [f32],
) {
    share(workers, to, sizes[1] * LANES, |range, to| Part { from, sizes, first, count, add, range, to });
}

struct Part<'a> {
    from: &'a [f32],
    sizes: [usize; 2],
    first: [usize; 2],
    count: usize,
    add: bool,
    range: Range<usize>,
    to: &'a mut [f32],
}

impl Task for Part<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Part { from, sizes, first, count, add, range, to } = self;
        for (place, to) in range.zip(lanes_mut(to).chunks_exact_mut(sizes[1])) {
            let from = &lanes(from)[place * sizes[0] + first[0]..][..count];
            for (from, to) in from.iter().zip(&mut to[first[1]..first[1] + count]) {
                let (value, old) = (simd.load(from), simd.load(to));
                simd.store(if add { simd.add(value, old) } else { value }, to);
            }
        }
    }
}
