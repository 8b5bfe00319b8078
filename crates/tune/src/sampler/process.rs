//! Regression with a Gaussian process: a Matérn 5/2 kernel with one length per dimension, fitted to the observations
//! by its marginal likelihood (Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, chapters 2, 4
//! and 5). Exact, by Cholesky's factor: the work grows with the cube of the observations.

use crate::numbers::descent::descend;
use crate::numbers::matrix::{Square, dot};

/// The smallest variance of the noise, which keeps the factor well conditioned.
const LEAST_NOISE: f64 = 1e-6;

/// Where the kernel's constants must lie, as logarithms, so that a walk cannot leave what can be computed.
const BOUNDS: (f64, f64) = (-14.0, 10.0);

/// The constants of the kernel.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kernel {
    /// One over the square of the length of each dimension.
    pub(super) inverse_squares: Vec<f64>,
    /// The variance of the function.
    pub(super) scale: f64,
    /// The variance of what observations add to it.
    pub(super) noise: f64,
}

/// A function seen at some points.
pub(super) struct Process {
    kernel: Kernel,
    points: Vec<Vec<f64>>,
    factor: Square,
    weights: Vec<f64>,
}

/// How points are apart along one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// By their difference.
    Number,
    /// 0 where they are the same, otherwise 1.
    Choice,
}

impl Kernel {
    /// The covariance of the function at two points, of which `squares` are the squared distances.
    fn covariance(&self, squares: &[f64]) -> f64 {
        self.scale * matern(dot(squares, &self.inverse_squares))
    }
}

/// The Matérn 5/2 correlation at a squared distance.
fn matern(square: f64) -> f64 {
    let distance = (5.0 * square).sqrt();
    (1.0 + distance + distance * distance / 3.0) * libm::exp(-distance)
}

/// Its derivative by the squared distance.
fn matern_slope(square: f64) -> f64 {
    let distance = (5.0 * square).sqrt();
    -5.0 / 6.0 * (1.0 + distance) * libm::exp(-distance)
}

fn squares(left: &[f64], right: &[f64], measures: &[Measure]) -> Vec<f64> {
    let square = |((a, b), measure): ((&f64, &f64), &Measure)| match measure {
        Measure::Number => (a - b) * (a - b),
        Measure::Choice => f64::from(u8::from(a != b)),
    };
    left.iter().zip(right).zip(measures).map(square).collect()
}

impl Process {
    /// The process after `values` (standardised: mean 0, variance 1) were seen at `points`; `None` where the covariance
    /// cannot be factored.
    pub(super) fn new(kernel: Kernel, points: Vec<Vec<f64>>, values: &[f64], measures: &[Measure]) -> Option<Process> {
        let factor = covariances(&kernel, &points, measures).cholesky()?;
        let weights = factor.solve_upper(&factor.solve_lower(values));
        Some(Process { kernel, points, factor, weights })
    }

    /// Mean and variance of the function at `point`.
    pub(super) fn predict(&self, point: &[f64], measures: &[Measure]) -> (f64, f64) {
        let along: Vec<f64> =
            self.points.iter().map(|seen| self.kernel.covariance(&squares(point, seen, measures))).collect();
        let explained = self.factor.solve_lower(&along);
        (dot(&along, &self.weights), (self.kernel.scale - dot(&explained, &explained)).max(1e-14))
    }
}

/// The most likely kernel for `values` (standardised) at `points` in the unit cube, under priors: lengths after
/// Hvarfner, Hellsten and Nardi, "Vanilla Bayesian Optimization Performs Great in High Dimensions" (2024), a variance near 1 and
/// little noise.
pub(super) fn fit(points: &[Vec<f64>], values: &[f64], measures: &[Measure]) -> Kernel {
    let dimensions = measures.len();
    let start = |length: f64, noise: f64| {
        let mut logs = vec![-2.0 * libm::log(length); dimensions];
        logs.extend([0.0, libm::log(noise)]);
        logs
    };
    // A second start finds the other explanation, structure or noise, where there are few enough points to pay for it.
    let mut starts = vec![start(0.5, 1e-4)];
    if points.len() <= 120 {
        starts.push(start(1.5, 1e-2));
    }
    let pairs: Vec<Vec<f64>> = (0..points.len())
        .flat_map(|row| (0..row).map(move |column| (row, column)))
        .map(|(row, column)| squares(&points[row], &points[column], measures))
        .collect();
    starts
        .into_iter()
        .filter_map(|start| descend(start, 60, |logs| loss(logs, &pairs, values)))
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map_or_else(|| kernel_of(&start(0.5, 1e-2)), |(logs, _)| kernel_of(&logs))
}

/// The kernel whose constants have these logarithms: lengths, scale, noise.
fn kernel_of(logs: &[f64]) -> Kernel {
    let dimensions = logs.len() - 2;
    Kernel {
        inverse_squares: logs[..dimensions].iter().map(|log| libm::exp(*log)).collect(),
        scale: libm::exp(logs[dimensions]),
        noise: LEAST_NOISE + libm::exp(logs[dimensions + 1]),
    }
}

/// Minus the logarithm of likelihood times priors, and its gradient by the logarithms of the constants. `pairs` has the
/// squared distances of points 1-0, 2-0, 2-1, 3-0, ...
fn loss(logs: &[f64], pairs: &[Vec<f64>], values: &[f64]) -> Option<(f64, Vec<f64>)> {
    if logs.iter().any(|log| !(BOUNDS.0..=BOUNDS.1).contains(log)) {
        return None;
    }
    let (kernel, dimensions, count) = (kernel_of(logs), logs.len() - 2, values.len());
    let distances: Vec<f64> = pairs.iter().map(|pair| dot(pair, &kernel.inverse_squares)).collect();
    let mut covariance = Square::zeros(count);
    let mut index = 0;
    for row in 0..count {
        for column in 0..row {
            let value = kernel.scale * matern(distances[index]);
            covariance.set(row, column, value);
            covariance.set(column, row, value);
            index += 1;
        }
        covariance.set(row, row, kernel.scale + kernel.noise);
    }
    let factor = covariance.cholesky()?;
    let half = factor.solve_lower(values);
    let weights = factor.solve_upper(&half);
    let inverse = factor.inverse_from_cholesky();
    let mut value = 0.5 * dot(&half, &half);
    let mut gradient = vec![0.0; logs.len()];
    let mut index = 0;
    for row in 0..count {
        value += libm::log(factor.get(row, row));
        for column in 0..row {
            // Each pair stands for two cells of the symmetric matrix, which the half of the trace takes back.
            let pull = weights[row] * weights[column] - inverse.get(row, column);
            let slope = pull * kernel.scale * matern_slope(distances[index]);
            for (dimension, square) in pairs[index].iter().enumerate() {
                gradient[dimension] -= slope * square * kernel.inverse_squares[dimension];
            }
            gradient[dimensions] -= pull * covariance.get(row, column);
            index += 1;
        }
        let pull = weights[row] * weights[row] - inverse.get(row, row);
        gradient[dimensions] -= 0.5 * pull * kernel.scale;
        gradient[dimensions + 1] -= 0.5 * pull * (kernel.noise - LEAST_NOISE);
    }
    // Lengths: log-normal around sqrt(2) + ln(dimensions) / 2 with deviation sqrt(3). With ln(length) = -log / 2.
    let centre = 2f64.sqrt() + 0.5 * libm::log(dimensions as f64);
    for (dimension, log) in logs[..dimensions].iter().enumerate() {
        let length = -0.5 * log;
        value += length + (length - centre).powi(2) / 6.0;
        gradient[dimension] -= 0.5 * (1.0 + (length - centre) / 3.0);
    }
    // Scale: Gamma(2, 1). Noise: Gamma(1.1, 30), which is mostly below 0.1.
    value += kernel.scale - logs[dimensions];
    gradient[dimensions] += kernel.scale - 1.0;
    value += 30.0 * kernel.noise - 0.1 * libm::log(kernel.noise);
    gradient[dimensions + 1] += (30.0 - 0.1 / kernel.noise) * (kernel.noise - LEAST_NOISE);
    value.is_finite().then_some((value, gradient))
}

fn covariances(kernel: &Kernel, points: &[Vec<f64>], measures: &[Measure]) -> Square {
    let mut matrix = Square::zeros(points.len());
    for row in 0..points.len() {
        for column in 0..row {
            let value = kernel.covariance(&squares(&points[row], &points[column], measures));
            matrix.set(row, column, value);
            matrix.set(column, row, value);
        }
        matrix.set(row, row, kernel.scale + kernel.noise);
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn reference() -> Value {
        serde_json::from_str(include_str!("../../tests/data/gaussian_process.json")).unwrap()
    }

    fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[test]
    fn predictions_are_those_of_scikit_learn() {
        let reference = reference();
        let points: Vec<Vec<f64>> = read(&reference["points"]);
        let values: Vec<f64> = read(&reference["values"]);
        let lengths: Vec<f64> = read(&reference["lengths"]);
        let kernel = Kernel {
            inverse_squares: lengths.iter().map(|length| length.powi(-2)).collect(),
            scale: read(&reference["scale"]),
            noise: read(&reference["noise"]),
        };
        let measures = [Measure::Number; 3];
        let process = Process::new(kernel, points, &values, &measures).unwrap();
        let expected: Vec<(f64, f64)> = read(&reference["predictions"]);
        for (point, (mean, variance)) in read::<Vec<Vec<f64>>>(&reference["at"]).iter().zip(expected) {
            let got = process.predict(point, &measures);
            assert!((got.0 - mean).abs() < 1e-7 && (got.1 - variance).abs() < 1e-7, "{got:?} {mean} {variance}");
        }
    }

    #[test]
    fn the_likelihood_and_its_gradient_are_those_of_scikit_learn_beside_the_priors() {
        let reference = reference();
        let points: Vec<Vec<f64>> = read(&reference["points"]);
        let values: Vec<f64> = read(&reference["values"]);
        let measures = [Measure::Number; 3];
        let pairs: Vec<Vec<f64>> = (0..points.len())
            .flat_map(|row| (0..row).map(move |column| (row, column)))
            .map(|(row, column)| squares(&points[row], &points[column], &measures))
            .collect();
        let lengths: Vec<f64> = read(&reference["lengths"]);
        let (scale, noise): (f64, f64) = (read(&reference["scale"]), read(&reference["noise"]));
        let mut logs: Vec<f64> = lengths.iter().map(|length| -2.0 * length.ln()).collect();
        logs.extend([scale.ln(), (noise - LEAST_NOISE).ln()]);
        let (value, gradient) = loss(&logs, &pairs, &values).unwrap();
        let centre = 2f64.sqrt() + 0.5 * 3f64.ln();
        let priors: f64 = lengths.iter().map(|length| length.ln() + (length.ln() - centre).powi(2) / 6.0).sum::<f64>()
            + scale
            - scale.ln()
            + 30.0 * noise
            - 0.1 * noise.ln();
        let constant = 0.5 * values.len() as f64 * (2.0 * std::f64::consts::PI).ln();
        let likelihood: f64 = read(&reference["log_likelihood"]);
        assert!((priors - constant - value - likelihood).abs() < 1e-8, "{value} {likelihood}");
        for index in 0..logs.len() {
            let at = |moved: f64| {
                let mut logs = logs.clone();
                logs[index] += moved;
                loss(&logs, &pairs, &values).unwrap().0
            };
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((slope - gradient[index]).abs() < 1e-5 * (1.0 + slope.abs()), "{index}: {slope} {gradient:?}");
        }
    }

    #[test]
    fn a_fit_tells_what_matters() {
        let points: Vec<Vec<f64>> = (0..40)
            .map(|index| vec![(index as f64 * 0.618).fract(), (index as f64 * 0.7549 + 0.1).fract(), 0.0])
            .collect();
        let values: Vec<f64> = points.iter().map(|point| (9.0 * point[0]).sin() * 1.4).collect();
        let measures = [Measure::Number, Measure::Number, Measure::Choice];
        let kernel = fit(&points, &values, &measures);
        assert!(kernel.inverse_squares[0] > 20.0 * kernel.inverse_squares[1], "{kernel:?}");
        assert!(kernel.noise < 1e-2, "{kernel:?}");
        assert_eq!(squares(&[0.0, 1.0, 0.2], &[0.5, 1.0, 0.3], &measures), [0.25, 0.0, 1.0]);
    }
}
