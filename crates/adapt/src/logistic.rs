//! Logistic regression of two classes, with a ridge: the classifier that tells domains apart. Minimised by the limited
//! memory method of Broyden, Fletcher, Goldfarb and Shanno (Liu and Nocedal 1989) in float64.

use crate::Rows;
use lepton_core::{Error, ErrorCode, Result};

/// Pairs of steps and gradients that the method remembers.
const MEMORY: usize = 10;

/// Steps after which it ends in any case.
const MOST_STEPS: usize = 500;

/// A fitted classifier.
#[derive(Clone, Debug, PartialEq)]
pub struct LogisticRegression {
    /// One weight for each feature.
    pub weights: Vec<f64>,
    /// The intercept, which no ridge pulls.
    pub intercept: f64,
}

/// Rows without their zeros: features of texts have few others.
struct Sparse {
    starts: Vec<usize>,
    columns: Vec<usize>,
    values: Vec<f64>,
}

impl Sparse {
    fn of(rows: &Rows<'_>) -> Sparse {
        let mut sparse = Sparse { starts: vec![0], columns: Vec::new(), values: Vec::new() };
        for row in rows.iter() {
            for (column, &value) in row.iter().enumerate().filter(|(_, value)| **value != 0.0) {
                sparse.columns.push(column);
                sparse.values.push(f64::from(value));
            }
            sparse.starts.push(sparse.columns.len());
        }
        sparse
    }

    fn row(&self, row: usize) -> impl Iterator<Item = (usize, f64)> {
        let range = self.starts[row]..self.starts[row + 1];
        self.columns[range.clone()].iter().copied().zip(self.values[range].iter().copied())
    }
}

impl LogisticRegression {
    /// The minimum of `|w|^2 / 2 + c * sum(log(1 + exp(-y f)))` with `y` 1 for a positive row and -1 for another, as
    /// scikit-learn's `LogisticRegression(C=c)` has it.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] for other counts of rows and answers, [`ErrorCode::BadData`] where one class has no rows,
    /// [`ErrorCode::Config`] for a `c` that is no number above 0.
    pub fn fit(rows: &Rows<'_>, positive: &[bool], c: f64) -> Result<LogisticRegression> {
        if rows.len() != positive.len() {
            let message = format!("{} rows, but {} answers", rows.len(), positive.len());
            return Err(Error::new(ErrorCode::Shape, message));
        }
        if !(c > 0.0 && c.is_finite()) {
            return Err(Error::new(ErrorCode::Config, format!("{c} is no number above 0")));
        }
        if !positive.contains(&true) || !positive.contains(&false) {
            return Err(Error::new(ErrorCode::BadData, "two classes cannot be told apart where one has no rows"));
        }
        let sparse = Sparse::of(rows);
        let width = rows.width();
        let mut at = vec![0.0; width + 1];
        let mut gradient = vec![0.0; width + 1];
        let evaluate = |at: &[f64], gradient: &mut [f64]| -> f64 {
            let (weights, intercept) = at.split_at(width);
            let mut loss = weights.iter().map(|weight| weight * weight).sum::<f64>() / 2.0;
            gradient[..width].copy_from_slice(weights);
            gradient[width] = 0.0;
            for (row, &is_positive) in positive.iter().enumerate() {
                let score: f64 =
                    intercept[0] + sparse.row(row).map(|(column, value)| weights[column] * value).sum::<f64>();
                let signed = if is_positive { score } else { -score };
                loss += c * ((-signed.abs()).exp().ln_1p() + (-signed).max(0.0));
                let slope = c * (sigmoid(score) - f64::from(u8::from(is_positive)));
                sparse.row(row).for_each(|(column, value)| gradient[column] += slope * value);
                gradient[width] += slope;
            }
            loss
        };
        let mut loss = evaluate(&at, &mut gradient);
        let first = largest(&gradient).max(1e-12);
        let mut memory: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new();
        for _ in 0..MOST_STEPS {
            if largest(&gradient) <= 1e-8 * first.max(1.0) {
                break;
            }
            let direction = direction(&gradient, &memory);
            let slope = dot(&direction, &gradient);
            let mut length = if memory.is_empty() { 1.0 / first.max(1.0) } else { 1.0 };
            let mut next = vec![0.0; width + 1];
            let mut next_gradient = vec![0.0; width + 1];
            let mut lower = None;
            for _ in 0..40 {
                next.iter_mut().zip(&at).zip(&direction).for_each(|((next, at), step)| *next = at + length * step);
                let value = evaluate(&next, &mut next_gradient);
                if value <= loss + 1e-4 * length * slope {
                    lower = Some(value);
                    break;
                }
                length /= 2.0;
            }
            let Some(value) = lower else { break };
            let step: Vec<f64> = next.iter().zip(&at).map(|(next, at)| next - at).collect();
            let change: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(next, before)| next - before).collect();
            let curvature = dot(&step, &change);
            if curvature > 1e-14 {
                memory.push((step, change, curvature));
                if memory.len() > MEMORY {
                    memory.remove(0);
                }
            }
            (at, gradient, loss) = (next, next_gradient, value);
        }
        let intercept = at.pop().unwrap_or(0.0);
        Ok(LogisticRegression { weights: at, intercept })
    }

    /// The probability of the positive class.
    pub fn probability(&self, row: &[f32]) -> f64 {
        let sum: f64 = self.weights.iter().zip(row).map(|(weight, &value)| weight * f64::from(value)).sum();
        sigmoid(self.intercept + sum)
    }
}

fn sigmoid(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

/// The quasi-Newton direction by two loops over the memory.
fn direction(gradient: &[f64], memory: &[(Vec<f64>, Vec<f64>, f64)]) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|value| -value).collect();
    let mut shares = Vec::with_capacity(memory.len());
    for (step, change, curvature) in memory.iter().rev() {
        let share = dot(step, &q) / curvature;
        q.iter_mut().zip(change).for_each(|(q, change)| *q -= share * change);
        shares.push(share);
    }
    if let Some((_, change, curvature)) = memory.last() {
        let scale = curvature / dot(change, change).max(1e-300);
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for ((step, change, curvature), share) in memory.iter().zip(shares.into_iter().rev()) {
        let back = dot(change, &q) / curvature;
        q.iter_mut().zip(step).for_each(|(q, step)| *q += (share - back) * step);
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        let values = [0.0, 1.0, 2.0];
        let rows = Rows::new(&values, 1).unwrap();
        let code = |positive: &[bool], c| LogisticRegression::fit(&rows, positive, c).unwrap_err().code();
        assert_eq!(code(&[true, true, true], 1.0), ErrorCode::BadData);
        assert_eq!(code(&[true, false], 1.0), ErrorCode::Shape);
        assert_eq!(code(&[true, false, true], 0.0), ErrorCode::Config);
    }

    #[test]
    fn a_ridge_keeps_weights_of_separable_rows_finite() {
        let values = [-2.0, -1.0, 1.0, 2.0];
        let rows = Rows::new(&values, 1).unwrap();
        let fit = LogisticRegression::fit(&rows, &[false, false, true, true], 1.0).unwrap();
        assert!(fit.weights[0] > 0.5 && fit.weights[0] < 5.0 && fit.intercept.abs() < 1e-6, "{fit:?}");
        assert!(fit.probability(&[1.5]) > 0.8 && fit.probability(&[-1.5]) < 0.2);
    }
}
