//! The product that all others are made of: a tile of a few rows by one block of columns, held in registers while
//! `count` terms are added to it: `tile[i][j] += sum_k left(k, i) * right(k)[j]`. The sums are as many as hide the latency of a
//! fused multiply-add and leave registers for the operands.

use crate::raw::{Elements, Lane, Numbers, Simd};

/// An array of what an expression gives for 0, 1, ..; not a function, because closures are not always compiled for the
/// instance.
macro_rules! each {
    ($at:ident => $of:expr) => {{
        let $at = 0;
        let mut all = [$of; _];
        for (place, one) in all.iter_mut().enumerate().skip(1) {
            let $at = place;
            *one = $of;
        }
        all
    }};
}
pub(crate) use each;

/// A tile of `M` rows in registers.
pub(crate) type Tile<S, const M: usize> = [<S as Elements>::V; M];

/// The operand whose numbers are spread over a vector each.
pub(crate) trait Left<const M: usize> {
    /// The first `count` terms. After it the compiler knows that there are as many.
    fn cut(&self, count: usize) -> Self;
    /// All of them, where they lie evenly.
    fn numbers(&self) -> Option<Numbers<'_>>;
    fn at(&self, term: usize, row: usize) -> &f32;
}

/// Rows that are contiguous over the terms.
pub(crate) struct Rows<'a, const M: usize> {
    rows: [&'a [f32]; M],
    from: &'a [f32],
    stride: usize,
}

impl<'a, const M: usize> Rows<'a, M> {
    /// The rows at `first`, `first + stride`, .., each of `count` terms.
    #[inline(always)]
    pub(crate) fn new(from: &'a [f32], first: usize, stride: usize, count: usize) -> Rows<'a, M> {
        let from = &from[first..];
        Rows { rows: each!(row => &from[row * stride..][..count]), from, stride }
    }
}

impl<const M: usize> Left<M> for Rows<'_, M> {
    #[inline(always)]
    fn cut(&self, count: usize) -> Self {
        Rows { rows: each!(row => &self.rows[row][..count]), ..*self }
    }

    #[inline(always)]
    fn numbers(&self) -> Option<Numbers<'_>> {
        Some(Numbers { from: self.from, step: 1, stride: self.stride })
    }

    #[inline(always)]
    fn at(&self, term: usize, row: usize) -> &f32 {
        &self.rows[row][term]
    }
}

/// Rows of 16 terms, or of 8 pairs of them, for the products of one block of rows with another.
pub(crate) struct Lanes<'a, const M: usize, const R: usize>(pub(crate) [&'a [f32; R]; M]);

impl<const M: usize, const R: usize> Left<M> for Lanes<'_, M, R> {
    #[inline(always)]
    fn cut(&self, _: usize) -> Self {
        Lanes(self.0)
    }

    #[inline(always)]
    fn numbers(&self) -> Option<Numbers<'_>> {
        None
    }

    #[inline(always)]
    fn at(&self, term: usize, row: usize) -> &f32 {
        &self.0[row][term % R]
    }
}

/// Such rows behind each other.
pub(crate) struct Consecutive<'a, const M: usize, const R: usize>(pub(crate) &'a [[f32; R]; M]);

impl<const M: usize, const R: usize> Left<M> for Consecutive<'_, M, R> {
    #[inline(always)]
    fn cut(&self, _: usize) -> Self {
        Consecutive(self.0)
    }

    #[inline(always)]
    fn numbers(&self) -> Option<Numbers<'_>> {
        Some(Numbers { from: self.0.as_flattened(), step: 1, stride: R })
    }

    #[inline(always)]
    fn at(&self, term: usize, row: usize) -> &f32 {
        &self.0[row][term % R]
    }
}

/// The `M` numbers of a term beside each other.
pub(crate) struct Columns<'a, const M: usize>(pub(crate) &'a [[f32; M]]);

impl<const M: usize> Left<M> for Columns<'_, M> {
    #[inline(always)]
    fn cut(&self, count: usize) -> Self {
        Columns(&self.0[..count])
    }

    #[inline(always)]
    fn numbers(&self) -> Option<Numbers<'_>> {
        Some(Numbers { from: self.0.as_flattened(), step: M, stride: 1 })
    }

    #[inline(always)]
    fn at(&self, term: usize, row: usize) -> &f32 {
        &self.0[term][row]
    }
}

/// The `M` numbers at the front of rows that are `stride` apart.
pub(crate) struct Strided<'a, const M: usize> {
    from: &'a [f32],
    stride: usize,
}

impl<'a, const M: usize> Strided<'a, M> {
    /// `count` rows.
    #[inline(always)]
    pub(crate) fn new(from: &'a [f32], stride: usize, count: usize) -> Strided<'a, M> {
        Strided { from: &from[..(count - 1) * stride + M], stride }
    }
}

impl<const M: usize> Left<M> for Strided<'_, M> {
    #[inline(always)]
    fn cut(&self, _: usize) -> Self {
        Strided { from: self.from, stride: self.stride }
    }

    #[inline(always)]
    fn numbers(&self) -> Option<Numbers<'_>> {
        Some(Numbers { from: self.from, step: self.stride, stride: 1 })
    }

    #[inline(always)]
    fn at(&self, term: usize, row: usize) -> &f32 {
        &self.from[term * self.stride..][..M][row]
    }
}

/// Adds the products of `right.len()` terms to a tile.
#[inline(always)]
pub(crate) fn multiply<S: Simd, const M: usize>(simd: S, tile: &mut Tile<S, M>, left: &impl Left<M>, right: &[Lane]) {
    let mut sums = *tile;
    let left = left.cut(right.len());
    for (term, lane) in right.iter().enumerate() {
        let lane = simd.load(lane);
        for (row, sum) in sums.iter_mut().enumerate() {
            *sum = simd.product(left.at(term, row), lane, *sum);
        }
    }
    *tile = sums;
}

/// As [`multiply`], for one tile, or for two whose rows are the same: a number is loaded once for both. Both of `right` are as
/// long as the first.
#[inline(always)]
pub(crate) fn multiply_all<S: Simd, const M: usize, const N: usize>(
    simd: S,
    tiles: &mut [Tile<S, M>; N],
    left: &impl Left<M>,
    right: [&[Lane]; N],
) {
    if const { N != 2 } {
        for (tile, right) in tiles.iter_mut().zip(right) {
            multiply(simd, tile, left, right);
        }
        return;
    }
    let [right, other] = [right[0], &right[1][..right[0].len()]];
    let left = left.cut(right.len());
    if let ([first, second, ..], Some(numbers)) = (&mut tiles[..], left.numbers()) {
        return simd.multiply_two([first, second], numbers, [right, other]);
    }
    let mut sums = *tiles;
    for (term, (lane, other)) in right.iter().zip(other).enumerate() {
        let lanes = [simd.load(lane), simd.load(other)];
        add_two(simd, &mut sums, |row| left.at(term, row), lanes);
    }
    *tiles = sums;
}

/// Adds the products of one term to two tiles whose rows are the same.
#[inline(always)]
pub(crate) fn add_two<'a, S: Simd, const M: usize, const N: usize>(
    simd: S,
    tiles: &mut [Tile<S, M>; N],
    number: impl Fn(usize) -> &'a f32,
    lanes: [S::V; 2],
) {
    let [first, second, ..] = &mut tiles[..] else { return };
    for (row, (first, second)) in first.iter_mut().zip(second).enumerate() {
        [*first, *second] = simd.product_of_two(number(row), lanes, [*first, *second]);
    }
}

/// Things in twos, where the instance's tiles come in twos, and those that are left.
#[inline(always)]
pub(crate) fn twos<S: Simd, T>(simd: S, things: &mut [T]) -> (&mut [[T; 2]], &mut [[T; 1]]) {
    let (twos, rest) = if simd.is_double() { things.as_chunks_mut() } else { (Default::default(), things) };
    (twos, rest.as_chunks_mut().0)
}

/// Asks for the lines of the cache that hold some vectors.
#[inline(always)]
pub(crate) fn prefetch<S: Simd>(simd: S, vectors: &[Lane]) {
    for vector in vectors {
        simd.prefetch(&vector[0]);
    }
}

/// A tile before anything is added to it.
#[inline(always)]
pub(crate) fn zeros<S: Simd, const M: usize>(simd: S) -> Tile<S, M> {
    [simd.splat(0.0); M]
}

/// A slice as blocks of columns. Its length is a multiple of [`LANES`].
#[inline(always)]
pub(crate) fn lanes(values: &[f32]) -> &[Lane] {
    values.as_chunks().0
}

/// As [`lanes`], to be written.
#[inline(always)]
pub(crate) fn lanes_mut(values: &mut [f32]) -> &mut [Lane] {
    values.as_chunks_mut().0
}

/// How `count` rows are cut into tiles of at most `most` rows that differ by at most one row: start and size of tile `index`
/// of [`tile_count`].
#[inline(always)]
pub(crate) fn tile_at(count: usize, index: usize, most: usize) -> (usize, usize) {
    let tiles = tile_count(count, most);
    let (size, larger) = (count / tiles, count % tiles);
    (index * size + index.min(larger), size + usize::from(index < larger))
}

/// The number of tiles of [`tile_at`].
#[inline(always)]
pub(crate) fn tile_count(count: usize, most: usize) -> usize {
    count.div_ceil(most)
}

/// Evaluates an expression with `$M` as a constant for the number of rows of a tile of instance `$S`.
macro_rules! for_rows {
    ($S:ident, $rows:expr, $M:ident => $work:expr) => {
        $crate::tile::for_rows!($S, $rows, $M => $work; 1 2 3 4 5 6 7 8 9 10 11 12)
    };
    ($S:ident, $rows:expr, $M:ident => $work:expr; $($count:literal)*) => {
        match $rows {
            // An arm that the instance never takes is not compiled for it.
            $($count => {
                if const { $count <= <$S as $crate::raw::Simd>::ROWS } {
                    const $M: usize = $count;
                    $work
                }
            })*
            _ => {}
        }
    };
}
pub(crate) use for_rows;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_all_rows_once() {
        for (count, most) in (1..200).flat_map(|count| [(count, 6), (count, 12)]) {
            let mut next = 0;
            for index in 0..tile_count(count, most) {
                let (start, size) = tile_at(count, index, most);
                assert!(start == next && (1..=most).contains(&size), "{count} {index}");
                next += size;
            }
            assert_eq!(next, count);
        }
    }
}
