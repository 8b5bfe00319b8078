//! Products of dense matrices and Cholesky's decomposition, by blocks. One thread each: who calls shares the work out
//! in fixed pieces, so that the result does not depend on the number of threads.

use gemm::Parallelism;

/// Rows and columns of a diagonal block.
const BLOCK: usize = 64;

/// A number that a product can be made of.
pub(super) trait Real: Copy + 'static {
    const ZERO: Self;
    const ONE: Self;
}

impl Real for f32 {
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;
}

impl Real for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;
}

/// A matrix that lies in a slice: element (r, c) at `r * row_step + c * column_step`.
#[derive(Clone, Copy)]
pub(super) struct View<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_step: usize,
    column_step: usize,
}

impl<'a, T> View<'a, T> {
    /// Row after row, each `step` elements after the one before.
    pub(super) fn rows(data: &'a [T], rows: usize, columns: usize, step: usize) -> View<'a, T> {
        View { data, rows, columns, row_step: step, column_step: 1 }
    }

    /// Rows as columns.
    pub(super) fn transposed(self) -> View<'a, T> {
        View { rows: self.columns, columns: self.rows, row_step: self.column_step, column_step: self.row_step, ..self }
    }

    fn fits(&self) -> bool {
        fits(self.data.len(), self.rows, self.columns, self.row_step, self.column_step)
    }
}

fn fits(length: usize, rows: usize, columns: usize, row_step: usize, column_step: usize) -> bool {
    rows == 0 || columns == 0 || (rows - 1) * row_step + (columns - 1) * column_step < length
}

/// `output = left * right`, the output row after row, each `step` elements after the one before.
///
/// # Panics
/// Where shapes do not go together or do not fit into their slices: a mistake of the caller, never of data.
#[allow(unsafe_code)]
pub(super) fn multiply<T: Real>(output: &mut [T], step: usize, left: View<'_, T>, right: View<'_, T>) {
    let (rows, inner, columns) = (left.rows, left.columns, right.columns);
    assert!(inner == right.rows && left.fits() && right.fits(), "a product of matrices that do not go together");
    assert!(columns <= step && fits(output.len(), rows, columns, step, 1), "a product without room");
    // SAFETY: every element that is read or written lies within its slice, as asserted; the output is borrowed
    // exclusively, so it overlaps no input, and its rows do not overlap each other, since `columns <= step`. The
    // types are f32 and f64 alone, which the library dispatches on.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            output.as_mut_ptr(),
            1,
            step as isize,
            false,
            left.data.as_ptr(),
            left.column_step as isize,
            left.row_step as isize,
            right.data.as_ptr(),
            right.column_step as isize,
            right.row_step as isize,
            T::ZERO,
            T::ONE,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// The lower triangle L of `A = L Lᵀ`, with the inverses of its diagonal blocks.
pub(super) struct Cholesky {
    size: usize,
    /// Row after row; what is above the diagonal is without meaning.
    lower: Vec<f64>,
    /// The inverse of each diagonal block, row after row.
    inverses: Vec<Vec<f64>>,
}

impl Cholesky {
    /// Decomposes a symmetric matrix, of which the lower triangle is read. `None` where it is not positive definite.
    pub(super) fn of(mut matrix: Vec<f64>, size: usize) -> Option<Cholesky> {
        let mut inverses = Vec::with_capacity(size.div_ceil(BLOCK));
        let mut update = vec![0.0; size * BLOCK.min(size)];
        for start in (0..size).step_by(BLOCK) {
            let width = BLOCK.min(size - start);
            let below = size - start;
            if start > 0 {
                let done = View::rows(&matrix[start * size..], below, start, size);
                let own = View::rows(&matrix[start * size..], width, start, size);
                multiply(&mut update[..below * width], width, done, own.transposed());
                for row in 0..below {
                    let place = (start + row) * size + start;
                    for (value, less) in matrix[place..place + width].iter_mut().zip(&update[row * width..]) {
                        *value -= less;
                    }
                }
            }
            let inverse = decompose(&mut matrix, size, start, width)?;
            // The panel below: X Lᵀ = A, so X = A L⁻ᵀ.
            let under = below - width;
            if under > 0 {
                let panel: Vec<f64> = (start + width..size)
                    .flat_map(|row| matrix[row * size + start..][..width].iter().copied())
                    .collect();
                let solved = &mut update[..under * width];
                let inverse = View::rows(&inverse, width, width, width);
                multiply(solved, width, View::rows(&panel, under, width, width), inverse.transposed());
                for row in 0..under {
                    let place = (start + width + row) * size + start;
                    matrix[place..place + width].copy_from_slice(&solved[row * width..(row + 1) * width]);
                }
            }
            inverses.push(inverse);
        }
        Some(Cholesky { size, lower: matrix, inverses })
    }

    /// Solves `A x = b` for every column of `right` (row after row, `columns` wide), in place.
    pub(super) fn solve(&self, right: &mut [f64], columns: usize) {
        let size = self.size;
        for row in 0..size {
            let (above, here) = right.split_at_mut(row * columns);
            let here = &mut here[..columns];
            for (factor, earlier) in self.lower[row * size..row * size + row].iter().zip(above.chunks_exact(columns)) {
                here.iter_mut().zip(earlier).for_each(|(value, known)| *value -= factor * known);
            }
            let pivot = self.lower[row * size + row];
            here.iter_mut().for_each(|value| *value /= pivot);
        }
        for row in (0..size).rev() {
            let (above, here) = right.split_at_mut(row * columns);
            let here = &mut here[..columns];
            let pivot = self.lower[row * size + row];
            here.iter_mut().for_each(|value| *value /= pivot);
            for (factor, earlier) in
                self.lower[row * size..row * size + row].iter().zip(above.chunks_exact_mut(columns))
            {
                earlier.iter_mut().zip(&*here).for_each(|(value, known)| *value -= factor * known);
            }
        }
    }

    /// The triangle in single precision, for [`Whitener::apply`].
    pub(super) fn whitener(&self) -> Whitener {
        let single = |values: &Vec<f64>| values.iter().map(|value| *value as f32).collect();
        Whitener { size: self.size, lower: single(&self.lower), inverses: self.inverses.iter().map(single).collect() }
    }
}

/// Decomposes a diagonal block in place, and gives its triangle's inverse.
fn decompose(matrix: &mut [f64], size: usize, start: usize, width: usize) -> Option<Vec<f64>> {
    let at = |row: usize, column: usize| (start + row) * size + start + column;
    for row in 0..width {
        for column in 0..=row {
            let sum: f64 = (0..column).map(|k| matrix[at(row, k)] * matrix[at(column, k)]).sum();
            let rest = matrix[at(row, column)] - sum;
            matrix[at(row, column)] = match column == row {
                true if rest > 0.0 => rest.sqrt(),
                true => return None,
                false => rest / matrix[at(column, column)],
            };
        }
    }
    let mut inverse = vec![0.0; width * width];
    for column in 0..width {
        inverse[column * width + column] = 1.0 / matrix[at(column, column)];
        for row in column + 1..width {
            let sum: f64 = (column..row).map(|k| matrix[at(row, k)] * inverse[k * width + column]).sum();
            inverse[row * width + column] = -sum / matrix[at(row, row)];
        }
    }
    Some(inverse)
}

/// Turns rows of kernel values with landmarks into features whose products are the kernel.
pub(super) struct Whitener {
    size: usize,
    lower: Vec<f32>,
    inverses: Vec<Vec<f32>>,
}

impl Whitener {
    /// `X L⁻ᵀ` in place, for rows that lie `step` elements apart.
    pub(super) fn apply(&self, values: &mut [f32], rows: usize, step: usize) {
        let size = self.size;
        let mut update = vec![0.0; rows * BLOCK.min(size)];
        let mut panel = vec![0.0; rows * BLOCK.min(size)];
        for (start, inverse) in (0..size).step_by(BLOCK).zip(&self.inverses) {
            let width = BLOCK.min(size - start);
            if start > 0 {
                let done = View::rows(values, rows, start, step);
                let own = View::rows(&self.lower[start * size..], width, start, size);
                multiply(&mut update[..rows * width], width, done, own.transposed());
            }
            for row in 0..rows {
                let from = &values[row * step + start..][..width];
                for (column, value) in from.iter().enumerate() {
                    panel[row * width + column] = value - update[row * width + column];
                }
            }
            let (panel, inverse) = (View::rows(&panel, rows, width, width), View::rows(inverse, width, width, width));
            multiply(&mut values[start..], step, panel, inverse.transposed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::Seed;
    use rand_chacha::rand_core::Rng;

    fn random(count: usize) -> Vec<f64> {
        let mut rng = Seed(3).rng("matrix", &[count as u64]);
        (0..count).map(|_| f64::from(rng.next_u32()) / f64::from(u32::MAX) - 0.5).collect()
    }

    /// A random positive definite matrix.
    fn definite(size: usize) -> Vec<f64> {
        let factor = random(size * size);
        let mut matrix = vec![0.0; size * size];
        let view = View::rows(&factor, size, size, size);
        multiply(&mut matrix, size, view, view.transposed());
        (0..size).for_each(|place| matrix[place * size + place] += 1.0);
        matrix
    }

    #[test]
    fn a_product_is_the_sum_of_products() {
        let (left, right) = (random(5 * 7), random(7 * 3));
        let mut output = vec![9.0; 5 * 4];
        multiply(&mut output, 4, View::rows(&left, 5, 7, 7), View::rows(&right, 7, 3, 3));
        for row in 0..5 {
            for column in 0..3 {
                let sum: f64 = (0..7).map(|k| left[row * 7 + k] * right[k * 3 + column]).sum();
                assert!((output[row * 4 + column] - sum).abs() < 1e-12);
            }
            assert_eq!(output[row * 4 + 3], 9.0, "what lies between the rows stays");
        }
    }

    #[test]
    fn a_decomposition_solves_and_whitens_at_any_size() {
        for size in [1, 5, 64, 65, 200] {
            let matrix = definite(size);
            let cholesky = Cholesky::of(matrix.clone(), size).unwrap();
            let wanted = random(size * 2);
            let mut right = vec![0.0; size * 2];
            multiply(&mut right, 2, View::rows(&matrix, size, size, size), View::rows(&wanted, size, 2, 2));
            cholesky.solve(&mut right, 2);
            assert!(right.iter().zip(&wanted).all(|(have, want)| (have - want).abs() < 1e-8), "{size}");
            // The features of the landmarks themselves have the matrix as their products.
            let step = size + 1;
            let mut rows = vec![0.0f32; size * step];
            for (to, from) in rows.chunks_exact_mut(step).zip(matrix.chunks_exact(size)) {
                to[..size].iter_mut().zip(from).for_each(|(to, from)| *to = *from as f32);
            }
            cholesky.whitener().apply(&mut rows, size, step);
            let mut products = vec![0.0f32; size * size];
            let view = View::rows(&rows, size, size, step);
            multiply(&mut products, size, view, view.transposed());
            for (have, want) in products.iter().zip(&matrix) {
                assert!((f64::from(*have) - want).abs() < 1e-3, "{size}: {have} for {want}");
            }
        }
    }

    #[test]
    fn what_is_not_positive_definite_is_refused() {
        assert!(Cholesky::of(vec![1.0, 0.0, 2.0, 1.0], 2).is_none());
    }

    #[test]
    #[should_panic(expected = "do not go together")]
    fn shapes_that_do_not_go_together_are_a_mistake() {
        multiply(&mut [0.0], 1, View::rows(&[1.0, 2.0], 1, 2, 2), View::rows(&[1.0], 1, 1, 1));
    }
}
