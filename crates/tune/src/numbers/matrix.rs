//! Small dense matrices: Cholesky's factor of a covariance, and the eigenvalues of a symmetric matrix.

/// A square matrix, row after row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Square {
    size: usize,
    cells: Vec<f64>,
}

impl Square {
    /// All 0.
    pub(crate) fn zeros(size: usize) -> Square {
        Square { size, cells: vec![0.0; size * size] }
    }

    /// 1 along the diagonal.
    pub(crate) fn identity(size: usize) -> Square {
        let mut matrix = Square::zeros(size);
        for index in 0..size {
            matrix.set(index, index, 1.0);
        }
        matrix
    }

    pub(crate) fn get(&self, row: usize, column: usize) -> f64 {
        self.cells[row * self.size + column]
    }

    pub(crate) fn set(&mut self, row: usize, column: usize, value: f64) {
        self.cells[row * self.size + column] = value;
    }

    /// One row.
    pub(crate) fn row(&self, row: usize) -> &[f64] {
        &self.cells[row * self.size..(row + 1) * self.size]
    }

    /// The lower factor L with L Lᵀ = self; `None` where the matrix is not positive definite.
    pub(crate) fn cholesky(&self) -> Option<Square> {
        let size = self.size;
        let mut lower = Square::zeros(size);
        for row in 0..size {
            for column in 0..=row {
                let (above, below) = lower.cells.split_at_mut(row * size);
                let own = &mut below[..size];
                if column < row {
                    let other = &above[column * size..column * size + column + 1];
                    own[column] = (self.get(row, column) - dot(&own[..column], &other[..column])) / other[column];
                } else {
                    let rest = self.get(row, row) - dot(&own[..row], &own[..row]);
                    if !(rest > 0.0 && rest.is_finite()) {
                        return None;
                    }
                    own[row] = rest.sqrt();
                }
            }
        }
        Some(lower)
    }

    /// x with L x = b, where self is the lower factor L.
    pub(crate) fn solve_lower(&self, b: &[f64]) -> Vec<f64> {
        let mut x = b.to_vec();
        for row in 0..self.size {
            x[row] = (x[row] - dot(&self.row(row)[..row], &x[..row])) / self.get(row, row);
        }
        x
    }

    /// x with Lᵀ x = b, where self is the lower factor L.
    pub(crate) fn solve_upper(&self, b: &[f64]) -> Vec<f64> {
        let mut x = b.to_vec();
        for row in (0..self.size).rev() {
            x[row] /= self.get(row, row);
            let known = x[row];
            for (value, factor) in x[..row].iter_mut().zip(self.row(row)) {
                *value -= factor * known;
            }
        }
        x
    }

    /// The inverse of L Lᵀ, where self is the lower factor L.
    pub(crate) fn inverse_from_cholesky(&self) -> Square {
        let size = self.size;
        // Row k of `half` is column k of the inverse of L, which is 0 before k.
        let mut half = Square::zeros(size);
        for k in 0..size {
            for row in k..size {
                let start = if row == k { 1.0 } else { 0.0 };
                let sum = dot(&self.row(row)[k..row], &half.row(k)[k..row]);
                half.set(k, row, (start - sum) / self.get(row, row));
            }
        }
        let mut inverse = Square::zeros(size);
        for row in 0..size {
            for column in 0..=row {
                let value = dot(&half.row(row)[row..], &half.row(column)[row..]);
                inverse.set(row, column, value);
                inverse.set(column, row, value);
            }
        }
        inverse
    }

    /// Eigenvalues and eigenvectors of a symmetric matrix, by Jacobi's rotations (Golub and Van Loan, section 8.5).
    /// Eigenvector k is column k.
    pub(crate) fn eigen(&self) -> (Vec<f64>, Square) {
        let size = self.size;
        let (mut rest, mut vectors) = (self.clone(), Square::identity(size));
        let total = dot(&self.cells, &self.cells).max(f64::MIN_POSITIVE);
        for _ in 0..64 {
            let off: f64 =
                (0..size).flat_map(|p| (0..p).map(move |q| (p, q))).map(|(p, q)| rest.get(p, q).powi(2)).sum();
            if off <= 1e-30 * total {
                break;
            }
            for p in 0..size {
                for q in p + 1..size {
                    let apart = rest.get(p, q);
                    if apart == 0.0 {
                        continue;
                    }
                    let tau = (rest.get(q, q) - rest.get(p, p)) / (2.0 * apart);
                    let tangent = tau.signum() / (tau.abs() + libm::hypot(1.0, tau));
                    let cosine = 1.0 / libm::hypot(1.0, tangent);
                    let sine = tangent * cosine;
                    for k in 0..size {
                        let (left, right) = (rest.get(k, p), rest.get(k, q));
                        rest.set(k, p, cosine * left - sine * right);
                        rest.set(k, q, sine * left + cosine * right);
                    }
                    for k in 0..size {
                        let (left, right) = (rest.get(p, k), rest.get(q, k));
                        rest.set(p, k, cosine * left - sine * right);
                        rest.set(q, k, sine * left + cosine * right);
                        let (left, right) = (vectors.get(k, p), vectors.get(k, q));
                        vectors.set(k, p, cosine * left - sine * right);
                        vectors.set(k, q, sine * left + cosine * right);
                    }
                }
            }
        }
        ((0..size).map(|k| rest.get(k, k)).collect(), vectors)
    }
}

/// The sum of the products.
pub(crate) fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::draw::gaussian;
    use lepton_core::Seed;

    fn covariance(size: usize) -> Square {
        let mut rng = Seed(3).rng("matrix", &[size as u64]);
        let factor: Vec<Vec<f64>> = (0..size).map(|_| (0..size).map(|_| gaussian(&mut rng)).collect()).collect();
        let mut matrix = Square::zeros(size);
        for row in 0..size {
            for column in 0..size {
                let own = if row == column { 0.1 } else { 0.0 };
                matrix.set(row, column, dot(&factor[row], &factor[column]) + own);
            }
        }
        matrix
    }

    fn product(matrix: &Square, x: &[f64]) -> Vec<f64> {
        (0..matrix.size).map(|row| dot(matrix.row(row), x)).collect()
    }

    #[track_caller]
    fn near(left: &[f64], right: &[f64]) {
        for (a, b) in left.iter().zip(right) {
            assert!((a - b).abs() < 1e-8 * (1.0 + a.abs()), "{left:?} {right:?}");
        }
    }

    #[test]
    fn factors_and_inverses_solve_the_system() {
        for size in [1, 2, 7, 20] {
            let matrix = covariance(size);
            let lower = matrix.cholesky().unwrap();
            let b: Vec<f64> = (0..size).map(|k| k as f64 - 1.5).collect();
            let x = lower.solve_upper(&lower.solve_lower(&b));
            near(&product(&matrix, &x), &b);
            near(&product(&lower.inverse_from_cholesky(), &b), &x);
        }
        let mut broken = Square::identity(2);
        broken.set(1, 1, -1.0);
        assert!(broken.cholesky().is_none());
    }

    #[test]
    fn eigenvectors_are_stretched_by_their_eigenvalues() {
        for size in [1, 2, 6, 15] {
            let matrix = covariance(size);
            let (values, vectors) = matrix.eigen();
            for (k, value) in values.iter().enumerate() {
                let vector: Vec<f64> = (0..size).map(|row| vectors.get(row, k)).collect();
                near(&product(&matrix, &vector), &vector.iter().map(|x| x * value).collect::<Vec<_>>());
                assert!((dot(&vector, &vector) - 1.0).abs() < 1e-10);
            }
        }
    }
}
