//! The gradients of weights and biases: the products of the gates' gradients with inputs or states, over all places at once.

use super::Recurrent;
use super::for_units;
use super::product::gate;
use super::rule::Rule;
use crate::blocks::turn;
use crate::parts::{cut_blocks, parts};
use crate::precision::terms_of;
use crate::raw::{Lane, Simd, Task};
use crate::tile::{Consecutive, Tile, each, lanes, lanes_mut, multiply_all, prefetch, tile_at, tile_count};
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
            Some((time, false)) if place.is_multiple_of(time) => return None,
            Some((_, false)) => place - 1,
            Some((time, true)) if (place + 1).is_multiple_of(time) => return None,
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
    let panels = places.count.div_ceil(LANES);
    let most = ranges.iter().map(Range::len).max().unwrap_or(0) * C::GATES;
    let turned = panels * CHUNK * LANES;
    let own = (turned + most + most * panels) * LANES;
    scratch.resize(scratch.len().max(ranges.len() * own), 0.0);
    let pieces = cut_blocks(dw, C::GATES, places.count, &ranges).into_iter();
    let pieces = pieces.zip(cut_blocks(db, C::GATES, 1, &ranges)).zip(scratch.chunks_exact_mut(own)).zip(ranges);
    let of = |(((dw, db), scratch), range)| {
        let (turned, rest) = lanes_mut(scratch).split_at_mut(turned);
        let (sums, so_far) = rest.split_at_mut(most);
        let kept = lanes(kept);
        Products::<C, STATE> { units, kept, places, range, turned, sums, so_far, dw, db, rule: PhantomData }
    };
    workers.multiply(pieces.map(of).collect());
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
    /// What becomes the gradients of weights, in the order of tiles: `[panels, rows of the tile]` for each.
    so_far: &'a mut [Lane],
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
        let panels = columns.div_ceil(LANES);
        self.sums.fill([0.0; LANES]);
        self.so_far.fill([0.0; LANES]);
        let count = self.kept.len() / size;
        for first in (0..count).step_by(CHUNK) {
            let is_last = first + CHUNK >= count;
            let kept = &self.kept[first * size..];
            let kept = &kept[..kept.len().min(CHUNK * size)];
            let terms = terms_of::<S>(kept.len() / size);
            // Place by place, as they lie in memory.
            for at in 0..terms {
                let from = |place: usize| if place < count { self.places.at(place) } else { None };
                let from =
                    if S::PAIRED { [from(first + 2 * at), from(first + 2 * at + 1)] } else { [from(first + at), None] };
                for (panel, to) in self.turned.chunks_exact_mut(CHUNK * LANES).enumerate() {
                    let panel = panel * LANES..columns.min((panel + 1) * LANES);
                    let to = &mut to[at * LANES..][..LANES];
                    if const { S::PAIRED } {
                        let mut both = [[[0.0; LANES]; LANES]; 2];
                        square(simd, from[0], panel.clone(), &mut both[0]);
                        square(simd, from[1], panel, &mut both[1]);
                        for (to, (low, high)) in to.iter_mut().zip(both[0].iter().zip(&both[1])) {
                            let (low, high) = (simd.load(low), simd.load(high));
                            simd.store(simd.pair(low, high), to);
                        }
                    } else {
                        square(simd, from[0], panel, to);
                    }
                }
            }
            for tile in 0..tile_count(self.range.len(), most) {
                let (start, count) = tile_at(self.range.len(), tile, most);
                let from = (self.range.start + start) * C::GROUPS;
                for_units!(S, C, count, M => {
                    let mut left = [[[0.0; LANES]; M]; CHUNK];
                    let mut sums: Tile<S, M> = each!(row => simd.load(&self.sums[start * C::GATES + row]));
                    for (kept, left) in kept.chunks(if S::PAIRED { 2 * size } else { size }).zip(&mut left) {
                        for (row, (left, sum)) in left.iter_mut().zip(&mut sums).enumerate() {
                            let group = from + row / C::GATES * C::GROUPS + gate::<C, STATE>(row % C::GATES);
                            let value = simd.load(&kept[group]);
                            *sum = simd.add(*sum, value);
                            if const { S::PAIRED } {
                                let next = match kept.get(size + group) {
                                    Some(next) => simd.load(next),
                                    None => simd.splat(0.0),
                                };
                                simd.store(simd.pair(value, next), left);
                                *sum = simd.add(*sum, next);
                            } else {
                                simd.store(value, left);
                            }
                        }
                    }
                    for (row, sum) in sums.iter().enumerate() {
                        simd.store(*sum, &mut self.sums[start * C::GATES + row]);
                    }
                    let left = &left[..terms];
                    let mut panel = 0;
                    if const { S::DOUBLE } && simd.is_double() {
                        while panel + 1 < panels {
                            self.panels::<S, M, 2>(simd, left, kept, start, panel, is_last);
                            panel += 2;
                        }
                    }
                    while panel < panels {
                        self.panels::<S, M, 1>(simd, left, kept, start, panel, is_last);
                        panel += 1;
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

/// Some columns of a place, turned; zeros where there is no such place.
#[inline(always)]
fn square<S: Simd>(simd: S, from: Option<&[Lane]>, columns: Range<usize>, to: &mut [Lane]) {
    match from {
        Some(from) => turn(simd, &from[columns], to),
        None => to.fill([0.0; LANES]),
    }
}

impl<C: Rule, const STATE: bool> Products<'_, C, STATE> {
    /// Adds the products of a chunk of places to `N` panels of the tile from `start` on.
    #[inline(always)]
    fn panels<S: Simd, const M: usize, const N: usize>(
        &mut self,
        simd: S,
        left: &[[Lane; M]],
        kept: &[Lane],
        start: usize,
        panel: usize,
        is_last: bool,
    ) {
        let (size, columns) = (self.units * C::GROUPS, self.places.count);
        let panels = columns.div_ceil(LANES);
        let so_far = &mut self.so_far[(start * C::GATES * panels) + panel * M..][..N * M];
        let vectors = M / C::GATES * C::GROUPS;
        let next = (self.range.start + start) * C::GROUPS + vectors;
        let part = next + panel * vectors / panels..next + (panel + N) * vectors / panels;
        let turned = &self.turned[panel * CHUNK * LANES..][..N * CHUNK * LANES];
        let mut sums: [Tile<S, M>; N] = each!(panel => each!(row => simd.load(&so_far[panel * M + row])));
        let places = kept.chunks(if S::PAIRED { 2 * size } else { size });
        for ((at, left), place) in left.iter().enumerate().zip(places) {
            // The next tile's numbers of a place lie far from those of another: asked for in time.
            for own in place.chunks(size) {
                prefetch(simd, own.get(part.clone()).unwrap_or_default());
            }
            let right: [&[Lane]; N] = each!(panel => &turned[(panel * CHUNK + at) * LANES..][..LANES]);
            multiply_all(simd, &mut sums, &Consecutive(left), right);
        }
        for ((panel, sums), so_far) in (panel..).zip(sums).zip(so_far.chunks_exact_mut(M)) {
            for (row, (sum, so_far)) in sums.into_iter().zip(so_far).enumerate() {
                simd.store(sum, so_far);
                if is_last {
                    let to = (start + row / C::GATES) * columns;
                    let to = &mut self.dw[row % C::GATES][to + panel * LANES..to + columns];
                    let count = to.len().min(LANES);
                    to[..count].copy_from_slice(&so_far[..count]);
                }
            }
        }
    }
}
