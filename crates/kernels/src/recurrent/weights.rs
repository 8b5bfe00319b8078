//! The gradients of weights and biases: the products of the gates' gradients with inputs or states, over all places at once.

use super::Recurrent;
use super::for_units;
use super::product::gate;
use super::rule::Rule;
use crate::linear::turn;
use crate::parts::{cut_blocks, parts};
use crate::raw::{Lane, Simd, Task};
use crate::tile::{Consecutive, Tile, each, lanes, lanes_mut, multiply, tile_at, tile_count};
use crate::{LANES, Workers};
use std::marker::PhantomData;
use std::ops::Range;

/// Places whose gradients and inputs stay near while they meet: of a tile 12 KiB, of 16 inputs 16 KiB.
const CHUNK: usize = 16;

/// The other side of the products.
pub(super) struct Places<'a> {
    /// `[places, width, 16]`
    pub(super) values: &'a [f32],
    pub(super) width: usize,
    /// Where in a place the numbers begin, and how many they are.
    pub(super) first: usize,
    pub(super) count: usize,
    /// Those of the place before are meant, in sequences of so many places that may be read from their ends; before the first
    /// there are zeros.
    pub(super) before: Option<(usize, bool)>,
}

impl Places<'_> {
    /// What meets the gradients of a place.
    fn at(&self, place: usize) -> Option<&[Lane]> {
        let place = match self.before {
            None => place,
            Some((time, false)) if place % time == 0 => return None,
            Some((_, false)) => place - 1,
            Some((time, true)) if (place + 1) % time == 0 => return None,
            Some((_, true)) => place + 1,
        };
        Some(&lanes(self.values)[place * self.width + self.first..][..self.count])
    }
}

/// `dw` `[gates · units, count]` and `db` `[gates · units]`.
pub(super) fn run<C: Rule, const STATE: bool>(
    sizes: &Recurrent,
    workers: &Workers,
    kept: &[f32],
    places: &Places<'_>,
    scratch: &mut Vec<f32>,
    dw: &mut [f32],
    db: &mut [f32],
) {
    let units = sizes.units;
    let ranges = parts(units, workers.threads());
    let turned = places.count.div_ceil(LANES) * CHUNK * LANES;
    let most = ranges.iter().map(Range::len).max().unwrap_or(0);
    let own = (turned + most * C::GATES) * LANES;
    scratch.resize(scratch.len().max(ranges.len() * own), 0.0);
    let pieces = cut_blocks(dw, C::GATES, places.count, &ranges).into_iter();
    let pieces = pieces.zip(cut_blocks(db, C::GATES, 1, &ranges)).zip(scratch.chunks_exact_mut(own)).zip(ranges);
    let of = |(((dw, db), scratch), range)| {
        let (turned, sums) = lanes_mut(scratch).split_at_mut(turned);
        Products::<C, STATE> { units, kept: lanes(kept), places, range, turned, sums, dw, db, rule: PhantomData }
    };
    workers.run(pieces.map(of).collect());
}

struct Products<'a, C, const STATE: bool> {
    units: usize,
    kept: &'a [Lane],
    places: &'a Places<'a>,
    range: Range<usize>,
    /// `[panels of 16 numbers, places of a chunk, 16 rows]`
    turned: &'a mut [Lane],
    /// `[units, gates]`: what becomes the gradients of biases.
    sums: &'a mut [Lane],
    /// By gate.
    dw: Vec<&'a mut [f32]>,
    db: Vec<&'a mut [f32]>,
    rule: PhantomData<C>,
}

impl<C: Rule, const STATE: bool> Task for Products<'_, C, STATE> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let size = self.units * C::GROUPS;
        let most = S::ROWS / C::GATES;
        let columns = self.places.count;
        self.sums.fill([0.0; LANES]);
        for first in (0..self.kept.len() / size).step_by(CHUNK) {
            let kept = &self.kept[first * size..];
            let kept = &kept[..kept.len().min(CHUNK * size)];
            for (panel, to) in self.turned.chunks_exact_mut(CHUNK * LANES).enumerate() {
                for (at, to) in to.chunks_exact_mut(LANES).take(kept.len() / size).enumerate() {
                    match self.places.at(first + at) {
                        Some(from) => turn(simd, &from[panel * LANES..columns.min((panel + 1) * LANES)], to),
                        None => to.fill([0.0; LANES]),
                    }
                }
            }
            for tile in 0..tile_count(self.range.len(), most) {
                let (start, count) = tile_at(self.range.len(), tile, most);
                let from = (self.range.start + start) * C::GROUPS;
                for_units!(S, C, count, M => {
                    let mut left = [[[0.0; LANES]; M]; CHUNK];
                    let mut sums: Tile<S, M> = each(|row| simd.load(&self.sums[start * C::GATES + row]));
                    for (kept, left) in kept.chunks_exact(size).zip(&mut left) {
                        let kept = &kept[from..from + M / C::GATES * C::GROUPS];
                        for (row, (left, sum)) in left.iter_mut().zip(&mut sums).enumerate() {
                            let group = row / C::GATES * C::GROUPS + gate::<C, STATE>(row % C::GATES);
                            let value = simd.load(&kept[group]);
                            simd.store(value, left);
                            *sum = simd.add(*sum, value);
                        }
                    }
                    for (row, sum) in sums.into_iter().enumerate() {
                        simd.store(sum, &mut self.sums[start * C::GATES + row]);
                    }
                    let left = &left[..kept.len() / size];
                    for (panel, right) in self.turned.chunks_exact(CHUNK * LANES).enumerate() {
                        let column = panel * LANES;
                        let mut sums: Tile<S, M> = each(|_| simd.splat(0.0));
                        if first > 0 {
                            for (row, sum) in sums.iter_mut().enumerate() {
                                let at = (start + row / C::GATES) * columns;
                                let from = &self.dw[row % C::GATES][at + column..at + columns];
                                *sum = some(simd, from);
                            }
                        }
                        for (left, right) in left.iter().zip(right.chunks_exact(LANES)) {
                            multiply(simd, &mut sums, &Consecutive(left), right);
                        }
                        for (row, sum) in sums.into_iter().enumerate() {
                            let at = (start + row / C::GATES) * columns;
                            put(simd, sum, &mut self.dw[row % C::GATES][at + column..at + columns]);
                        }
                    }
                });
            }
        }
        for (gate, db) in self.db.iter_mut().enumerate() {
            for (sums, db) in self.sums.chunks_exact(C::GATES).zip(db.iter_mut()) {
                *db = simd.sum(simd.load(&sums[gate]));
            }
        }
    }
}

/// The first 16 numbers, and zeros where there are fewer.
#[inline(always)]
fn some<S: Simd>(simd: S, from: &[f32]) -> S::V {
    match from.first_chunk() {
        Some(from) => simd.load(from),
        None => {
            let mut whole = [0.0; LANES];
            whole[..from.len()].copy_from_slice(from);
            simd.load(&whole)
        }
    }
}

/// The way back of [`some`].
#[inline(always)]
fn put<S: Simd>(simd: S, value: S::V, to: &mut [f32]) {
    match to.first_chunk_mut() {
        Some(to) => simd.store(value, to),
        None => {
            let mut whole = [0.0; LANES];
            simd.store(value, &mut whole);
            to.copy_from_slice(&whole[..to.len()]);
        }
    }
}
