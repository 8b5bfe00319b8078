//! The products with packed weights, a tile at a time, over several blocks of rows while the tile's weights are near.

use super::for_units;
use super::pack::TERMS;
use super::rule::Rule;
use crate::precision::terms_of;
use crate::raw::{Lane, Simd};
use crate::tile::{Columns, Tile, add_two, each, for_rows, multiply_all, tile_at, tile_count, twos};
use std::ops::Range;

/// What becomes of a tile whose products are complete, while its sums are near.
pub(super) trait Finish {
    /// `row` is which of the pairs of rows, `start` the first unit of the tile, `to` what is kept of its units.
    fn tile<S: Simd>(&mut self, simd: S, row: usize, start: usize, to: &mut [Lane]);
}

/// Nothing.
impl Finish for () {
    #[inline(always)]
    fn tile<S: Simd>(&mut self, _: S, _: usize, _: usize, _: &mut [Lane]) {}
}

/// Adds `W right` to the vectors that are kept of `count` units, for pairs of `right`, `[all terms]`, and what is kept. `STATE`
/// tells which of the two matrices it is. With a `bias`, as long as what is kept, the sums begin with that.
#[inline(always)]
pub(super) fn forward<S: Simd, C: Rule, const STATE: bool>(
    simd: S,
    packed: &[f32],
    count: usize,
    all: usize,
    rows: &mut [(&[Lane], &mut [Lane])],
    bias: Option<&[f32]>,
    mut finish: impl Finish,
) {
    let most = S::ROWS / C::GATES;
    let mut rest = packed;
    for first in (0..all).step_by(TERMS) {
        let now = TERMS.min(all - first);
        for tile in 0..tile_count(count, most) {
            let (start, size) = tile_at(count, tile, most);
            let (left, behind) = rest.split_at(size * C::GATES * now);
            rest = behind;
            let terms = first..first + now;
            let (begins, ends) = (first == 0, terms.end == all);
            for_units!(S, C, size, M => {
                let left = left.as_chunks::<M>().0;
                let bias = bias.filter(|_| begins).map(|bias| &bias[start * C::GROUPS..]);
                let part = start * C::GROUPS..start * C::GROUPS + M / C::GATES * C::GROUPS;
                let (twos, ones) = twos(simd, rows);
                let mut at = 0;
                if const { S::DOUBLE } {
                    for two in twos {
                        add::<S, C, STATE, M, 2>(simd, left, two, terms.clone(), part.clone(), bias);
                        for (_, kept) in two {
                            if ends {
                                finish.tile(simd, at, start, &mut kept[part.clone()]);
                            }
                            at += 1;
                        }
                    }
                }
                for one in ones {
                    add::<S, C, STATE, M, 1>(simd, left, one, terms.clone(), part.clone(), bias);
                    if ends {
                        finish.tile(simd, at, start, &mut one[0].1[part.clone()]);
                    }
                    at += 1;
                }
            });
        }
    }
}

/// Adds some terms to the vectors `part` of what is kept in `N` rows.
#[inline(always)]
fn add<S: Simd, C: Rule, const STATE: bool, const M: usize, const N: usize>(
    simd: S,
    left: &[[f32; M]],
    rows: &mut [(&[Lane], &mut [Lane]); N],
    terms: Range<usize>,
    part: Range<usize>,
    bias: Option<&[f32]>,
) {
    let mut sums: [Tile<S, M>; N] = each!(at => match bias {
        Some(bias) => each!(row => simd.splat(bias[place::<C, STATE>(row)])),
        None => {
            let kept = &rows[at].1[part.clone()];
            each!(row => simd.load(&kept[place::<C, STATE>(row)]))
        }
    });
    let right: [&[Lane]; N] = each!(at => &rows[at].0[terms.clone()]);
    multiply_all(simd, &mut sums, &Columns(left), right);
    for (sums, (_, kept)) in sums.into_iter().zip(rows) {
        let kept = &mut kept[part.clone()];
        for (row, sum) in sums.into_iter().enumerate() {
            simd.store(sum, &mut kept[place::<C, STATE>(row)]);
        }
    }
}

/// The gradients of all gates, `[units, groups]`, as the terms of products: as they are, or each two gates in `pairs`.
#[inline(always)]
pub(super) fn gate_terms<'a, S: Simd, C: Rule, const STATE: bool>(
    simd: S,
    kept: &'a [Lane],
    pairs: &'a mut [Lane],
) -> &'a [Lane] {
    if !S::PAIRED {
        return kept;
    }
    for (at, pair) in pairs.iter_mut().enumerate() {
        let [low, high]: [S::V; 2] = each!(half => match kept.get(place::<C, STATE>(2 * at + half)) {
            Some(value) => simd.load(value),
            None => simd.splat(0.0),
        });
        simd.store(simd.pair(low, high), pair);
    }
    pairs
}

/// Memory for [`gate_terms`].
#[inline(always)]
pub(super) const fn gate_pairs<S: Simd, C: Rule>(units: usize) -> usize {
    if S::PAIRED { terms_of::<S>(C::GATES * units) } else { 0 }
}

/// Adds `Wᵀ right` to `count` columns, for pairs of what [`gate_terms`] gives and the columns.
#[inline(always)]
pub(super) fn backward<S: Simd, C: Rule, const STATE: bool>(
    simd: S,
    packed: &[f32],
    count: usize,
    units: usize,
    rows: &mut [(&[Lane], &mut [Lane])],
) {
    let some = TERMS / C::GROUPS;
    let mut rest = packed;
    for first in (0..units).step_by(some) {
        let now = some.min(units - first);
        for tile in 0..tile_count(count, S::ROWS) {
            let (start, size) = tile_at(count, tile, S::ROWS);
            let terms = terms_of::<S>(C::GATES * now);
            let (left, behind) = rest.split_at(size * terms);
            rest = behind;
            for_rows!(S, size, M => {
                let left = left.as_chunks::<M>().0;
                // As many units as are before have an even number of gates.
                let part = match S::PAIRED {
                    true => terms_of::<S>(first * C::GATES)..terms_of::<S>(first * C::GATES) + terms,
                    false => first * C::GROUPS..(first + now) * C::GROUPS,
                };
                let (twos, ones) = twos(simd, rows);
                if const { S::DOUBLE } {
                    for two in twos {
                        add_back::<S, C, STATE, M, 2>(simd, left, two, part.clone(), start);
                    }
                }
                for one in ones {
                    add_back::<S, C, STATE, M, 1>(simd, left, one, part.clone(), start);
                }
            });
        }
    }
}

/// Adds some terms to the columns from `start` on, in `N` rows.
#[inline(always)]
fn add_back<S: Simd, C: Rule, const STATE: bool, const M: usize, const N: usize>(
    simd: S,
    left: &[[f32; M]],
    rows: &mut [(&[Lane], &mut [Lane]); N],
    part: Range<usize>,
    start: usize,
) {
    let mut sums: [Tile<S, M>; N] = each!(at => {
        let to = &rows[at].1[start..start + M];
        each!(row => simd.load(&to[row]))
    });
    let right: [&[Lane]; N] = each!(at => &rows[at].0[part.clone()]);
    gates::<S, C, M, N, STATE>(simd, &mut sums, left, right);
    for (sums, (_, to)) in sums.into_iter().zip(rows) {
        for (sum, to) in sums.into_iter().zip(&mut to[start..start + M]) {
            simd.store(sum, to);
        }
    }
}

/// Which of the vectors of some units belongs to a row of their tile.
#[inline(always)]
fn place<C: Rule, const STATE: bool>(row: usize) -> usize {
    row / C::GATES * C::GROUPS + gate::<C, STATE>(row % C::GATES)
}

/// Which of the vectors of a unit belongs to a gate.
#[inline(always)]
pub(super) fn gate<C: Rule, const STATE: bool>(gate: usize) -> usize {
    if STATE { C::STATE[gate] } else { C::INPUT[gate] }
}

/// As [`multiply_all`] over those vectors of units that belong to their gates.
#[inline(always)]
fn gates<S: Simd, C: Rule, const M: usize, const N: usize, const STATE: bool>(
    simd: S,
    tiles: &mut [Tile<S, M>; N],
    left: &[[f32; M]],
    right: [&[Lane]; N],
) {
    if C::GATES == C::GROUPS || S::PAIRED {
        return multiply_all(simd, tiles, &Columns(left), right);
    }
    let mut sums = *tiles;
    for (unit, left) in left.chunks_exact(C::GATES).enumerate() {
        for (at, left) in left.iter().enumerate() {
            let lanes: [S::V; N] = each!(tile => simd.load(&right[tile][unit * C::GROUPS + gate::<C, STATE>(at)]));
            if const { N == 2 } {
                add_two(simd, &mut sums, |row| &left[row], [lanes[0], lanes[1]]);
                continue;
            }
            for (sums, lane) in sums.iter_mut().zip(lanes) {
                for (left, sum) in left.iter().zip(sums) {
                    *sum = simd.product(left, lane, *sum);
                }
            }
        }
    }
    *tiles = sums;
}
