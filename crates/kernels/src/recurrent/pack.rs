//! Weights in the order in which tiles read them: the way in has tiles of whole units, the gates of a unit beside each other;
//! the way back has tiles of what the gates were made of.

use super::for_units;
use super::rule::Rule;
use crate::Workers;
use crate::parts::{cut, parts};
use crate::precision::terms_of;
use crate::raw::{Simd, Task, pair};
use crate::tile::{each, for_rows, tile_at, tile_count};
use std::marker::PhantomData;
use std::ops::Range;

/// Terms that are added while a piece of the other side stays in the first cache: 16 KiB of it.
pub(super) const TERMS: usize = 256;

/// `[gates · units, terms]` for the way in. For each thread's units, for each [`TERMS`] terms and each tile of units the
/// numbers of a term are beside each other.
pub(super) fn forward<C: Rule>(workers: &Workers, weights: &[f32], units: usize, to: &mut [f32]) {
    let terms = weights.len() / (C::GATES * units);
    let ranges = parts(units, workers.threads());
    let pieces = cut(to, C::GATES * terms, &ranges).into_iter().zip(ranges);
    let of = |(to, range)| Forward::<C> { weights, units, terms, range, to, rule: PhantomData };
    workers.run(pieces.map(of).collect());
}

struct Forward<'a, C> {
    weights: &'a [f32],
    units: usize,
    terms: usize,
    range: Range<usize>,
    to: &'a mut [f32],
    rule: PhantomData<C>,
}

impl<C: Rule> Task for Forward<'_, C> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let (most, mut rest) = (S::ROWS / C::GATES, self.to);
        for first in (0..self.terms).step_by(TERMS) {
            let count = TERMS.min(self.terms - first);
            for tile in 0..tile_count(self.range.len(), most) {
                let (start, size) = tile_at(self.range.len(), tile, most);
                let unit = self.range.start + start;
                let (to, behind) = std::mem::take(&mut rest).split_at_mut(size * C::GATES * count);
                rest = behind;
                for_units!(S, C, size, M => {
                    for row in 0..M {
                        let row_of = (row % C::GATES * self.units + unit + row / C::GATES) * self.terms + first;
                        let from = &self.weights[row_of..row_of + count];
                        to.as_chunks_mut::<M>().0.iter_mut().zip(from).for_each(|(to, from)| to[row] = *from);
                    }
                });
            }
        }
    }
}

/// `[gates · units, columns]` for the way back. For each thread's columns, for as many units as have about [`TERMS`] gates
/// and each tile of columns the numbers of a gate, or the pairs of two gates behind each other, are beside each other.
pub(super) fn backward<C: Rule>(workers: &Workers, weights: &[f32], units: usize, to: &mut [f32]) {
    let columns = weights.len() / (C::GATES * units);
    let ranges = parts(columns, workers.threads());
    let pieces = cut(to, workers.terms(C::GATES * units), &ranges).into_iter().zip(ranges);
    let of = |(to, range)| Backward::<C> { weights, units, columns, range, to, rule: PhantomData };
    workers.multiply(pieces.map(of).collect());
}

struct Backward<'a, C> {
    weights: &'a [f32],
    units: usize,
    columns: usize,
    range: Range<usize>,
    to: &'a mut [f32],
    rule: PhantomData<C>,
}

impl<C: Rule> Task for Backward<'_, C> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let (some, mut rest) = (TERMS / C::GROUPS, self.to);
        let (count, tiles) = (self.range.len(), tile_count(self.range.len(), S::ROWS));
        for first in (0..self.units).step_by(some) {
            let gates = C::GATES * some.min(self.units - first);
            let terms = terms_of::<S>(gates);
            let (to, behind) = std::mem::take(&mut rest).split_at_mut(count * terms);
            rest = behind;
            // Row by row, as they lie in memory, for all tiles of the same size.
            let larger = count % tiles;
            for tiles in [0..larger, larger..tiles].into_iter().filter(|tiles| !tiles.is_empty()) {
                let (start, rows) = tile_at(count, tiles.start, S::ROWS);
                let to = &mut to[start * terms..][..tiles.len() * rows * terms];
                for_rows!(S, rows, M => {
                    let (to, _) = to.as_chunks_mut::<M>();
                    let row = |gate: usize| -> &[[f32; M]] {
                        let row = gate % C::GATES * self.units + first + gate / C::GATES;
                        let from = if gate < gates { &self.weights[row * self.columns + self.range.start + start..] } else { &[] };
                        from.as_chunks().0
                    };
                    for at in 0..terms {
                        let to = to.iter_mut().skip(at).step_by(terms);
                        if const { S::PAIRED } {
                            let (low, high) = (row(2 * at), row(2 * at + 1));
                            for (tile, to) in to.enumerate() {
                                let (low, high) = (low[tile], high.get(tile).unwrap_or(&[0.0; M]));
                                *to = each!(row => pair(low[row], high[row]));
                            }
                        } else {
                            to.zip(row(at)).for_each(|(to, from)| *to = *from);
                        }
                    }
                });
            }
        }
    }
}
