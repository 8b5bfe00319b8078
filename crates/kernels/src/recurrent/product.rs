//! The products with packed weights, a tile at a time, over several blocks of rows while the tile's weights are near.

use super::for_units;
use super::pack::TERMS;
use super::rule::Rule;
use crate::precision::terms_of;
use crate::raw::{Lane, Simd};
use crate::tile::{Columns, Tile, each, for_rows, multiply, splat, tile_at, tile_count};

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

/// Adds `W right` to the vectors that are kept of `count` units, for pairs of `right`, `[terms]`, and what is kept. `STATE`
/// tells which of the two matrices it is. With a `bias`, as long as what is kept, the sums begin with that.
#[inline(always)]
pub(super) fn forward<S: Simd, C: Rule, const STATE: bool>(
    simd: S,
    packed: &[f32],
    count: usize,
    terms: usize,
    rows: &mut [(&[Lane], &mut [Lane])],
    bias: Option<&[f32]>,
    mut finish: impl Finish,
) {
    let most = S::ROWS / C::GATES;
    let mut rest = packed;
    for first in (0..terms).step_by(TERMS) {
        let now = TERMS.min(terms - first);
        for tile in 0..tile_count(count, most) {
            let (start, size) = tile_at(count, tile, most);
            let (left, behind) = rest.split_at(size * C::GATES * now);
            rest = behind;
            for_units!(S, C, size, M => {
                let left = left.as_chunks::<M>().0;
                for (at, (right, kept)) in rows.iter_mut().enumerate() {
                    let kept = &mut kept[start * C::GROUPS..][..M / C::GATES * C::GROUPS];
                    let mut sums: Tile<S, M> = match bias.filter(|_| first == 0) {
                        Some(bias) => splat(simd, |row| bias[start * C::GROUPS + place::<C, STATE>(row)]),
                        None => each(|row| simd.load(&kept[place::<C, STATE>(row)])),
                    };
                    multiply(simd, &mut sums, &Columns(left), &right[first..first + now]);
                    for (row, sum) in sums.into_iter().enumerate() {
                        simd.store(sum, &mut kept[place::<C, STATE>(row)]);
                    }
                    if first + now == terms {
                        finish.tile(simd, at, start, kept);
                    }
                }
            });
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
    let load = |gate: usize| match kept.get(place::<C, STATE>(gate)) {
        Some(value) => simd.load(value),
        None => simd.splat(0.0),
    };
    for (at, pair) in pairs.iter_mut().enumerate() {
        let (low, high) = (load(2 * at), load(2 * at + 1));
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
                for (right, to) in rows.iter_mut() {
                    // As many units as are before have an even number of gates.
                    let right = match S::PAIRED {
                        true => &right[terms_of::<S>(first * C::GATES)..][..terms],
                        false => &right[first * C::GROUPS..][..now * C::GROUPS],
                    };
                    let to = &mut to[start..start + M];
                    let mut sums: Tile<S, M> = each(|row| simd.load(&to[row]));
                    gates::<S, C, M, STATE>(simd, &mut sums, left, right);
                    for (sum, to) in sums.into_iter().zip(to) {
                        simd.store(sum, to);
                    }
                }
            });
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

/// As [`multiply`] over those vectors of units that belong to their gates.
#[inline(always)]
fn gates<S: Simd, C: Rule, const M: usize, const STATE: bool>(
    simd: S,
    tile: &mut Tile<S, M>,
    left: &[[f32; M]],
    right: &[Lane],
) {
    if C::GATES == C::GROUPS || S::PAIRED {
        return multiply(simd, tile, &Columns(left), right);
    }
    let mut sums = *tile;
    for (left, right) in left.chunks_exact(C::GATES).zip(right.chunks_exact(C::GROUPS)) {
        for (at, left) in left.iter().enumerate() {
            let lane = simd.load(&right[gate::<C, STATE>(at)]);
            for (left, sum) in left.iter().zip(&mut sums) {
                *sum = simd.product(left, lane, *sum);
            }
        }
    }
    *tile = sums;
}
