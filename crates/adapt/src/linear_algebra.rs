//! Dense symmetric matrices in float64: eigenvalues and eigenvectors, functions of a matrix, and linear systems. Sizes
//! are up to about a thousand, so that cubes of them take seconds.

use lepton_core::{Error, ErrorCode, Result};

/// A symmetric matrix as its eigenvalues and, row by row, its eigenvectors.
pub(crate) struct Eigen {
    pub(crate) values: Vec<f64>,
    /// `vectors[i * size ..][k]` is part `k` of eigenvector `i`.
    pub(crate) vectors: Vec<f64>,
}

impl Eigen {
    /// The decomposition of a symmetric matrix, row-major: Householder's reduction to three diagonals and the QL method
    /// with implicit shifts, after EISPACK's `tred2` and `tql2` (Bowdler and others 1968).
    ///
    /// # Errors
    /// [`ErrorCode::Diverged`] for a matrix with numbers that are not finite.
    pub(crate) fn of(matrix: Vec<f64>, size: usize) -> Result<Eigen> {
        if !matrix.iter().all(|value| value.is_finite()) {
            return Err(Error::new(ErrorCode::Diverged, "a covariance is not finite"));
        }
        let (mut diagonal, mut beside) = (vec![0.0; size], vec![0.0; size]);
        // Symmetric, so that columns and rows are the same; from here on rows of `vectors` are columns of the method.
        let mut vectors = matrix;
        if size > 0 {
            tridiagonalise(&mut vectors, &mut diagonal, &mut beside, size);
            diagonalise(&mut vectors, &mut diagonal, &mut beside, size);
        }
        Ok(Eigen { values: diagonal, vectors })
    }

    /// The symmetric matrix with the same eigenvectors and `of` of each eigenvalue.
    pub(crate) fn map(&self, of: impl Fn(f64) -> f64) -> Vec<f64> {
        let size = self.values.len();
        let mut result = vec![0.0; size * size];
        for (value, vector) in self.values.iter().zip(self.vectors.chunks_exact(size.max(1))) {
            let factor = of(*value);
            for (row, &part) in result.chunks_exact_mut(size).zip(vector) {
                let scale = factor * part;
                row.iter_mut().zip(vector).for_each(|(sum, &other)| *sum += scale * other);
            }
        }
        result
    }
}

/// Householder's reduction. `at(row, column)` of the method is `vectors[column * size + row]`.
fn tridiagonalise(v: &mut [f64], d: &mut [f64], e: &mut [f64], n: usize) {
    for j in 0..n {
        d[j] = v[j * n + n - 1];
    }
    for i in (1..n).rev() {
        let scale: f64 = d[..i].iter().map(|value| value.abs()).sum();
        let mut h = 0.0;
        if scale == 0.0 {
            e[i] = d[i - 1];
            for j in 0..i {
                d[j] = v[j * n + i - 1];
                v[j * n + i] = 0.0;
                v[i * n + j] = 0.0;
            }
        } else {
            for value in &mut d[..i] {
                *value /= scale;
                h += *value * *value;
            }
            let f = d[i - 1];
            let g = if f > 0.0 { -h.sqrt() } else { h.sqrt() };
            e[i] = scale * g;
            h -= f * g;
            d[i - 1] = f - g;
            e[..i].fill(0.0);
            for j in 0..i {
                let f = d[j];
                v[i * n + j] = f;
                let column = &v[j * n..j * n + i];
                let mut g = e[j] + column[j] * f;
                for k in j + 1..i {
                    g += column[k] * d[k];
                    e[k] += column[k] * f;
                }
                e[j] = g;
            }
            let mut f = 0.0;
            for j in 0..i {
                e[j] /= h;
                f += e[j] * d[j];
            }
            let share = f / (h + h);
            for j in 0..i {
                e[j] -= share * d[j];
            }
            for j in 0..i {
                let (f, g) = (d[j], e[j]);
                let column = &mut v[j * n..j * n + n];
                for k in j..i {
                    column[k] -= f * e[k] + g * d[k];
                }
                d[j] = column[i - 1];
                column[i] = 0.0;
            }
        }
        d[i] = h;
    }
    for i in 0..n - 1 {
        v[i * n + n - 1] = v[i * n + i];
        v[i * n + i] = 1.0;
        let h = d[i + 1];
        if h != 0.0 {
            let (before, after) = v.split_at_mut((i + 1) * n);
            let next = &after[..=i];
            for (value, part) in d[..=i].iter_mut().zip(next) {
                *value = part / h;
            }
            for column in before.chunks_exact_mut(n) {
                let g: f64 = next.iter().zip(&column[..=i]).map(|(one, other)| one * other).sum();
                column[..=i].iter_mut().zip(&d[..=i]).for_each(|(value, part)| *value -= g * part);
            }
        }
        v[(i + 1) * n..(i + 1) * n + i + 1].fill(0.0);
    }
    for j in 0..n {
        d[j] = v[j * n + n - 1];
        v[j * n + n - 1] = 0.0;
    }
    v[n * n - 1] = 1.0;
    e[0] = 0.0;
}

/// The QL method on three diagonals.
fn diagonalise(v: &mut [f64], d: &mut [f64], e: &mut [f64], n: usize) {
    e.rotate_left(1);
    e[n - 1] = 0.0;
    let (mut shift, mut largest) = (0.0, 0.0f64);
    for l in 0..n {
        largest = largest.max(d[l].abs() + e[l].abs());
        let small = |value: f64| value.abs() <= f64::EPSILON * largest;
        let m = (l..n).find(|&m| small(e[m])).unwrap_or(n - 1);
        while m > l && !small(e[l]) {
            let g = d[l];
            let mut p = (d[l + 1] - g) / (2.0 * e[l]);
            let r = if p < 0.0 { -p.hypot(1.0) } else { p.hypot(1.0) };
            d[l] = e[l] / (p + r);
            d[l + 1] = e[l] * (p + r);
            let (next, h) = (d[l + 1], g - d[l]);
            d[l + 2..].iter_mut().for_each(|value| *value -= h);
            shift += h;
            p = d[m];
            let (mut c, mut c2, mut c3) = (1.0, 1.0, 1.0);
            let (mut s, mut s2) = (0.0, 0.0);
            let after = e[l + 1];
            for i in (l..m).rev() {
                (c3, c2, s2) = (c2, c, s);
                let (g, h) = (c * e[i], c * p);
                let r = p.hypot(e[i]);
                e[i + 1] = s * r;
                s = e[i] / r;
                c = p / r;
                p = c * d[i] - s * g;
                d[i + 1] = h + s * (c * g + s * d[i]);
                let (lower, upper) = v[i * n..(i + 2) * n].split_at_mut(n);
                for (low, high) in lower.iter_mut().zip(upper) {
                    let h = *high;
                    *high = s * *low + c * h;
                    *low = c * *low - s * h;
                }
            }
            p = -s * s2 * c3 * after * e[l] / next;
            e[l] = s * p;
            d[l] = c * p;
        }
        d[l] += shift;
        e[l] = 0.0;
    }
}

/// The product of two square matrices, row-major.
pub(crate) fn product(one: &[f64], other: &[f64], size: usize) -> Vec<f64> {
    let mut result = vec![0.0; size * size];
    for (sums, row) in result.chunks_exact_mut(size.max(1)).zip(one.chunks_exact(size.max(1))) {
        for (&factor, line) in row.iter().zip(other.chunks_exact(size)) {
            sums.iter_mut().zip(line).for_each(|(sum, value)| *sum += factor * value);
        }
    }
    result
}

/// The solution of `matrix x = right` for a symmetric positive definite matrix (Cholesky).
///
/// # Errors
/// [`ErrorCode::BadData`] for a matrix that is none.
pub(crate) fn solve(mut matrix: Vec<f64>, mut right: Vec<f64>) -> Result<Vec<f64>> {
    let n = right.len();
    for i in 0..n {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| matrix[i * n + k] * matrix[j * n + k]).sum();
            let value = matrix[i * n + j] - dot;
            if i == j && !(value > 0.0 && value.is_finite()) {
                return Err(Error::new(ErrorCode::BadData, "a matrix of kernels cannot be inverted"));
            }
            matrix[i * n + j] = if i == j { value.sqrt() } else { value / matrix[j * n + j] };
        }
    }
    for i in 0..n {
        let dot: f64 = (0..i).map(|k| matrix[i * n + k] * right[k]).sum();
        right[i] = (right[i] - dot) / matrix[i * n + i];
    }
    for i in (0..n).rev() {
        let dot: f64 = (i + 1..n).map(|k| matrix[k * n + i] * right[k]).sum();
        right[i] = (right[i] - dot) / matrix[i * n + i];
    }
    Ok(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A symmetric matrix of size 7 with numbers that mean nothing.
    fn symmetric(n: usize) -> Vec<f64> {
        let mut matrix = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let value = ((i * 7 + j * 13) % 11) as f64 - 4.0;
                (matrix[i * n + j], matrix[j * n + i]) = (value, value);
            }
        }
        matrix
    }

    #[test]
    fn a_decomposition_gives_the_matrix_back_and_its_vectors_are_at_right_angles() {
        for n in [1, 2, 7, 24] {
            let matrix = symmetric(n);
            let eigen = Eigen::of(matrix.clone(), n).unwrap();
            let close = |one: &[f64], other: &[f64]| one.iter().zip(other).all(|(a, b)| (a - b).abs() < 1e-9);
            assert!(close(&eigen.map(|value| value), &matrix), "{n}");
            let unit: Vec<f64> = (0..n * n).map(|place| f64::from(u8::from(place / n == place % n))).collect();
            assert!(close(&eigen.map(|_| 1.0), &unit), "{n}");
        }
        // Blocks of zeros take the other branch of the reduction.
        let diagonal = vec![3.0, 0.0, 0.0, 0.0, -2.0, 0.0, 0.0, 0.0, 5.0];
        let mut values = Eigen::of(diagonal, 3).unwrap().values;
        values.sort_by(f64::total_cmp);
        assert_eq!(values, [-2.0, 3.0, 5.0]);
        assert!(Eigen::of(vec![f64::NAN], 1).is_err());
    }

    #[test]
    fn a_system_is_solved_and_one_without_a_solution_refused() {
        let matrix = vec![4.0, 1.0, 0.5, 1.0, 3.0, 0.2, 0.5, 0.2, 2.0];
        let x = solve(matrix.clone(), vec![1.0, 2.0, 3.0]).unwrap();
        for (row, wanted) in matrix.chunks_exact(3).zip([1.0, 2.0, 3.0]) {
            let sum: f64 = row.iter().zip(&x).map(|(a, b)| a * b).sum();
            assert!((sum - wanted).abs() < 1e-12);
        }
        assert!(solve(vec![1.0, 2.0, 2.0, 1.0], vec![1.0, 1.0]).is_err());
        assert_eq!(product(&[1.0, 2.0, 3.0, 4.0], &[0.0, 1.0, 1.0, 0.0], 2), [2.0, 1.0, 4.0, 3.0]);
    }
}
