//! The product that all others are made of: a tile of up to six rows by one block of columns, held in registers while
//! `count` terms are added to it: `tile[i][j] += sum_k left(k, i) * right(k)[j]`. Six rows of two vectors are twelve sums,
//! which hide the latency of a fused multiply-add, and leave registers for the operands.

use crate::LANES;
use crate::raw::Simd;

/// Most rows of a tile.
pub(crate) const ROWS: usize = 6;

/// A tile of `M` rows in registers.
pub(crate) type Tile<S, const M: usize> = [[<S as Simd>::V; 2]; M];

/// A block of columns in memory.
pub(crate) type Lane = [f32; LANES];

/// The operand whose numbers are spread over a vector each.
pub(crate) trait Left<const M: usize> {
    /// The first `count` terms. After it the compiler knows that there are as many.
    fn cut(&self, count: usize) -> Self;
    fn at(&self, term: usize, row: usize) -> f32;
}

/// Rows that are contiguous over the terms.
pub(crate) struct Rows<'a, const M: usize>([&'a [f32]; M]);

impl<'a, const M: usize> Rows<'a, M> {
    /// The rows at `first`, `first + stride`, .., each of `count` terms.
    #[inline(always)]
    pub(crate) fn new(from: &'a [f32], first: usize, stride: usize, count: usize) -> Rows<'a, M> {
        Rows(each(|row| &from[first + row * stride..][..count]))
    }
}

impl<const M: usize> Left<M> for Rows<'_, M> {
    #[inline(always)]
    fn cut(&self, count: usize) -> Self {
        Rows(each(|row| &self.0[row][..count]))
    }

    #[inline(always)]
    fn at(&self, term: usize, row: usize) -> f32 {
        self.0[row][term]
    }
}

/// Rows of 16 terms, for the products of one block of rows with another.
pub(crate) struct Lanes<'a, const M: usize>(pub(crate) [&'a Lane; M]);

impl<const M: usize> Left<M> for Lanes<'_, M> {
    #[inline(always)]
    fn cut(&self, _: usize) -> Self {
        Lanes(self.0)
    }

    #[inline(always)]
    fn at(&self, term: usize, row: usize) -> f32 {
        self.0[row][term % LANES]
    }
}

/// Rows of 16 terms behind each other.
pub(crate) struct Consecutive<'a, const M: usize>(pub(crate) &'a [Lane; M]);

impl<const M: usize> Left<M> for Consecutive<'_, M> {
    #[inline(always)]
    fn cut(&self, _: usize) -> Self {
        Consecutive(self.0)
    }

    #[inline(always)]
    fn at(&self, term: usize, row: usize) -> f32 {
        self.0[row][term % LANES]
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
    fn at(&self, term: usize, row: usize) -> f32 {
        self.0[term][row]
    }
}

/// The `M` numbers from `START` on of each of the lanes.
pub(crate) struct Panel<'a, const START: usize>(pub(crate) &'a [Lane]);

impl<const M: usize, const START: usize> Left<M> for Panel<'_, START> {
    #[inline(always)]
    fn cut(&self, count: usize) -> Self {
        Panel(&self.0[..count])
    }

    #[inline(always)]
    fn at(&self, term: usize, row: usize) -> f32 {
        self.0[term][START + row]
    }
}

/// An array of `of(0)`, `of(1)`, ..; unlike the one of the standard library it is always compiled for the instance.
#[inline(always)]
pub(crate) fn each<T: Copy, const M: usize>(of: impl Fn(usize) -> T) -> [T; M] {
    let mut all = [of(0); M];
    for (at, one) in all.iter_mut().enumerate().skip(1) {
        *one = of(at);
    }
    all
}

/// Adds the products of `right.len()` terms to a tile.
#[inline(always)]
pub(crate) fn multiply<S: Simd, const M: usize>(simd: S, tile: &mut Tile<S, M>, left: &impl Left<M>, right: &[Lane]) {
    let mut sums = *tile;
    let left = left.cut(right.len());
    for (term, lane) in right.iter().enumerate() {
        let [low, high] = load(simd, lane);
        for (row, sum) in sums.iter_mut().enumerate() {
            let value = simd.splat(left.at(term, row));
            sum[0] = simd.fma(value, low, sum[0]);
            sum[1] = simd.fma(value, high, sum[1]);
        }
    }
    *tile = sums;
}

/// A block of columns as two vectors.
#[inline(always)]
pub(crate) fn load<S: Simd>(simd: S, lane: &Lane) -> [S::V; 2] {
    let (halves, _) = lane.as_chunks::<8>();
    [simd.load(&halves[0]), simd.load(&halves[1])]
}

/// Two vectors as a block of columns.
#[inline(always)]
pub(crate) fn store<S: Simd>(simd: S, value: [S::V; 2], lane: &mut Lane) {
    let (halves, _) = lane.as_chunks_mut::<8>();
    simd.store(value[0], &mut halves[0]);
    simd.store(value[1], &mut halves[1]);
}

/// A tile of which each row is one number.
#[inline(always)]
pub(crate) fn splat<S: Simd, const M: usize>(simd: S, rows: impl Fn(usize) -> f32) -> Tile<S, M> {
    each(|row| [simd.splat(rows(row)); 2])
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

/// Rows and columns of one block of 16 rows of 16 change places.
#[inline(always)]
pub(crate) fn transpose<S: Simd>(simd: S, from: &[Lane; LANES], to: &mut [Lane; LANES]) {
    for half_row in 0..2 {
        for half_column in 0..2 {
            let rows = each(|row| simd.load(&from[8 * half_row + row].as_chunks::<8>().0[half_column]));
            for (at, row) in simd.transpose(rows).into_iter().enumerate() {
                simd.store(row, &mut to[8 * half_column + at].as_chunks_mut::<8>().0[half_row]);
            }
        }
    }
}

/// How `count` rows are cut into tiles that differ by at most one row: start and size of tile `index` of
/// [`tile_count`].
#[inline(always)]
pub(crate) fn tile_at(count: usize, index: usize) -> (usize, usize) {
    let tiles = tile_count(count);
    let (size, larger) = (count / tiles, count % tiles);
    (index * size + index.min(larger), size + usize::from(index < larger))
}

/// The number of tiles of [`tile_at`].
#[inline(always)]
pub(crate) fn tile_count(count: usize) -> usize {
    count.div_ceil(ROWS)
}

/// Evaluates an expression with `$M` as a constant for the number of rows of a tile, 1 to 6.
macro_rules! for_rows {
    ($rows:expr, $M:ident => $work:expr) => {
        match $rows {
            1 => {
                const $M: usize = 1;
                $work
            }
            2 => {
                const $M: usize = 2;
                $work
            }
            3 => {
                const $M: usize = 3;
                $work
            }
            4 => {
                const $M: usize = 4;
                $work
            }
            5 => {
                const $M: usize = 5;
                $work
            }
            _ => {
                const $M: usize = 6;
                $work
            }
        }
    };
}
pub(crate) use for_rows;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_all_rows_once() {
        for count in 1..200 {
            let mut next = 0;
            for index in 0..tile_count(count) {
                let (start, size) = tile_at(count, index);
                assert!(start == next && (1..=ROWS).contains(&size), "{count} {index}");
                next += size;
            }
            assert_eq!(next, count);
        }
    }
}
