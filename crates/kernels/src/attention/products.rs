//! Products of vectors with vectors, number by number of the rows of a block: a few rows of one side by a few of the other are
//! held in registers. One side is read where it is, the other is copied first, so that what a tile needs lies together.

use crate::LANES;
use crate::raw::{Elements, Lane, Simd};
use std::ops::Range;

/// One side of a product: rows of terms.
pub(super) trait Side: Copy {
    /// The same without the first rows.
    fn skip_rows(self, row: usize) -> Self;
    /// The same without the first terms.
    fn skip_terms(self, term: usize) -> Self;
    /// The first `M` rows, of which `terms` terms are used.
    fn cut<const M: usize>(&self, terms: usize) -> [&[Lane]; M];
    /// A term of rows that were cut.
    fn load<E: Elements, const M: usize>(&self, simd: E, rows: &[&[Lane]; M], term: usize) -> [E::V; M];
}

/// Rows of terms beside each other, `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Along<'a> {
    pub(super) values: &'a [Lane],
    pub(super) stride: usize,
}

impl<'a> Along<'a> {
    /// Rows as terms and terms as rows.
    #[inline(always)]
    pub(super) fn turned(self) -> Across<'a> {
        Across { values: self.values, stride: self.stride }
    }
}

impl Side for Along<'_> {
    #[inline(always)]
    fn skip_rows(self, row: usize) -> Self {
        Along { values: &self.values[row * self.stride..], ..self }
    }

    #[inline(always)]
    fn skip_terms(self, term: usize) -> Self {
        Along { values: &self.values[term..], ..self }
    }

    #[inline(always)]
    fn cut<const M: usize>(&self, terms: usize) -> [&[Lane]; M] {
        let mut rows = [self.values; M];
        for (row, cut) in rows.iter_mut().enumerate() {
            *cut = &self.values[row * self.stride..][..terms];
        }
        rows
    }

    #[inline(always)]
    fn load<E: Elements, const M: usize>(&self, simd: E, rows: &[&[Lane]; M], term: usize) -> [E::V; M] {
        let mut values = [simd.splat(0.0); M];
        for (value, row) in values.iter_mut().zip(rows) {
            *value = simd.load(&row[term]);
        }
        values
    }
}

/// Terms of rows beside each other, `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Across<'a> {
    pub(super) values: &'a [Lane],
    pub(super) stride: usize,
}

impl Side for Across<'_> {
    #[inline(always)]
    fn skip_rows(self, row: usize) -> Self {
        Across { values: &self.values[row..], ..self }
    }

    #[inline(always)]
    fn skip_terms(self, term: usize) -> Self {
        Across { values: &self.values[term * self.stride..], ..self }
    }

    #[inline(always)]
    fn cut<const M: usize>(&self, _: usize) -> [&[Lane]; M] {
        [self.values; M]
    }

    #[inline(always)]
    fn load<E: Elements, const M: usize>(&self, simd: E, _: &[&[Lane]; M], term: usize) -> [E::V; M] {
        let mut values = [simd.splat(0.0); M];
        for (value, lane) in values.iter_mut().zip(&self.values[term * self.stride..][..M]) {
            *value = simd.load(lane);
        }
        values
    }
}

/// Terms that are added at once: then a few rows of both sides stay in the first cache.
const TERMS: usize = 32;

/// Columns of a tile.
const COLUMNS: usize = 4;

/// The side of a product that all rows are multiplied with, copied so that the numbers of a tile lie behind each other:
/// places are a power of two apart where they come from, and the cache would keep only a few of them.
pub(super) struct Panels<'a>(pub(super) &'a mut [Lane]);

impl Panels<'_> {
    /// Takes over `columns` rows of `terms` terms, `[columns / 4, terms, 4]`; columns that are missing are 0.
    #[inline(always)]
    pub(super) fn pack<S: Simd>(&mut self, simd: S, from: impl Side, columns: usize, terms: usize) {
        let panels = self.0.chunks_exact_mut((terms * COLUMNS).max(COLUMNS)).take(columns.div_ceil(COLUMNS));
        for (panel, to) in panels.enumerate() {
            let (first, to) = (panel * COLUMNS, to.as_chunks_mut::<COLUMNS>().0);
            let from = from.skip_rows(first);
            if columns - first >= COLUMNS {
                let rows = from.cut::<COLUMNS>(terms);
                for (term, to) in to.iter_mut().enumerate() {
                    for (value, to) in from.load::<S, COLUMNS>(simd, &rows, term).into_iter().zip(to) {
                        simd.store(value, to);
                    }
                }
                continue;
            }
            to.fill([[0.0; LANES]; COLUMNS]);
            for column in 0..columns - first {
                let from = from.skip_rows(column);
                let rows = from.cut::<1>(terms);
                for (term, to) in to.iter_mut().enumerate() {
                    let [value] = from.load::<S, 1>(simd, &rows, term);
                    simd.store(value, &mut to[column]);
                }
            }
        }
    }
}

/// `to[i][j] = Σ a(i, term) b(j, term)` over those terms, for each row `i` of `to` and the first `columns` of its numbers, and
/// anything up to 3 numbers behind them; `b` was packed with `packed` terms.
#[inline(always)]
pub(super) fn products<S: Simd>(
    simd: S,
    a: impl Side,
    b: &Panels<'_>,
    terms: Range<usize>,
    packed: usize,
    columns: usize,
    to: &mut [&mut [Lane]],
) {
    for from in terms.clone().step_by(TERMS) {
        let (own, add) = (from..(from + TERMS).min(terms.end), from > terms.start);
        if const { S::ROWS > 6 } {
            by_columns::<S, _, 4>(simd, a.skip_terms(from), b.0, own, packed, add, columns, to);
        } else {
            by_columns::<S, _, 2>(simd, a.skip_terms(from), b.0, own, packed, add, columns, to);
        }
    }
}

/// As [`products`], added to what is there where asked to: a few columns at a time, for all rows. `a` begins at the first of
/// the terms.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
fn by_columns<S: Simd, A: Side, const M: usize>(
    simd: S,
    a: A,
    b: &[Lane],
    terms: Range<usize>,
    packed: usize,
    add: bool,
    columns: usize,
    to: &mut [&mut [Lane]],
) {
    let (whole, rest) = to.as_chunks_mut::<M>();
    let begun = whole.len() * M;
    for (panel, b) in b.chunks_exact((packed * COLUMNS).max(COLUMNS)).take(columns.div_ceil(COLUMNS)).enumerate() {
        let (first, b) = (panel * COLUMNS, &b.as_chunks().0[terms.clone()]);
        for part in 0..S::PARTS {
            let simd = simd.part(part);
            for (index, to) in whole.iter_mut().enumerate() {
                tile::<S::Part, A, M>(simd, a.skip_rows(index * M), b, add, first, to);
            }
            for (index, to) in rest.as_chunks_mut::<1>().0.iter_mut().enumerate() {
                tile::<S::Part, A, 1>(simd, a.skip_rows(begun + index), b, add, first, to);
            }
        }
    }
}

/// `M` rows by the columns from `first` on, as far as there is place for them.
#[inline(always)]
fn tile<E: Elements, A: Side, const M: usize>(
    simd: E,
    a: A,
    b: &[[Lane; COLUMNS]],
    add: bool,
    first: usize,
    to: &mut [&mut [Lane]; M],
) {
    let mut sums = [[simd.splat(0.0); COLUMNS]; M];
    if add {
        for (sums, to) in sums.iter_mut().zip(&*to) {
            let (mut some, to) = ([[0.0; LANES]; COLUMNS], &to[first..]);
            let whole = match to.first_chunk() {
                Some(whole) => whole,
                None => {
                    some[..to.len()].copy_from_slice(to);
                    &some
                }
            };
            for (sum, to) in sums.iter_mut().zip(whole) {
                *sum = simd.load(to);
            }
        }
    }
    let rows = a.cut::<M>(b.len());
    for (term, b) in b.iter().enumerate() {
        let mut others = [simd.splat(0.0); COLUMNS];
        for (other, b) in others.iter_mut().zip(b) {
            *other = simd.load(b);
        }
        let values: [E::V; M] = a.load(simd, &rows, term);
        for (sums, value) in sums.iter_mut().zip(values) {
            for (sum, other) in sums.iter_mut().zip(others) {
                *sum = simd.fma(value, other, *sum);
            }
        }
    }
    for (sums, to) in sums.into_iter().zip(to) {
        let to = &mut to[first..];
        if let Some(to) = to.first_chunk_mut::<COLUMNS>() {
            for (sum, to) in sums.into_iter().zip(to) {
                simd.store(sum, to);
            }
            continue;
        }
        // Through memory, so that the sums themselves can stay in registers.
        let mut some = [[0.0; LANES]; COLUMNS];
        some[..to.len()].copy_from_slice(to);
        for (sum, to) in sums.into_iter().zip(&mut some) {
            simd.store(sum, to);
        }
        to.copy_from_slice(&some[..to.len()]);
    }
}
