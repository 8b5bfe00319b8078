//! The state of covariance matrix adaptation and its change by one generation: Hansen, "The CMA Evolution Strategy: A
//! Tutorial" (2016), with its default constants and its negative weights.

use crate::numbers::draw::gaussian;
use crate::numbers::matrix::{Square, dot};
use rand_chacha::rand_core::Rng;

/// Added to a length that is divided by.
const TINY: f64 = 1e-8;

/// Mean, step, covariance and paths of a search in `mean.len()` dimensions.
#[derive(Clone, Debug)]
pub(super) struct CmaState {
    /// The centre of the next draws.
    pub(super) mean: Vec<f64>,
    /// The overall step.
    pub(super) step: f64,
    /// The shape of the draws.
    pub(super) covariance: Square,
    step_path: Vec<f64>,
    shape_path: Vec<f64>,
    generation: i32,
    population: usize,
    /// One weight per rank; the positive ones sum to 1.
    weights: Vec<f64>,
    effective: f64,
    /// Eigenvectors of the covariance, and the roots of its eigenvalues.
    axes: Square,
    lengths: Vec<f64>,
}

impl CmaState {
    /// The state before the first generation of `population` draws, at least 4.
    pub(super) fn new(mean: Vec<f64>, step: f64, population: usize) -> CmaState {
        let size = mean.len();
        let population = population.max(4);
        let parents = population / 2;
        let raw: Vec<f64> =
            (1..=population).map(|rank| libm::log((population as f64 + 1.0) / 2.0 / rank as f64)).collect();
        let effective_of = |part: &[f64]| part.iter().sum::<f64>().powi(2) / dot(part, part);
        let effective = effective_of(&raw[..parents]);
        let (rank_one, rank_many) = learning_rates(size, effective);
        let negative = [
            1.0 + rank_one / rank_many,
            1.0 + 2.0 * effective_of(&raw[parents..]) / (effective + 2.0),
            (1.0 - rank_one - rank_many) / (size as f64 * rank_many),
        ]
        .into_iter()
        .fold(f64::INFINITY, f64::min);
        let above: f64 = raw.iter().filter(|weight| **weight > 0.0).sum();
        let below: f64 = raw.iter().filter(|weight| **weight < 0.0).map(|weight| -weight).sum();
        let scale = |weight: &f64| if *weight >= 0.0 { weight / above } else { negative * weight / below };
        CmaState {
            step,
            covariance: Square::identity(size),
            step_path: vec![0.0; size],
            shape_path: vec![0.0; size],
            generation: 0,
            population,
            weights: raw.iter().map(scale).collect(),
            effective,
            axes: Square::identity(size),
            lengths: vec![1.0; size],
            mean,
        }
    }

    /// Draws of one generation.
    pub(super) fn population(&self) -> usize {
        self.population
    }

    /// The longest axis of the draws.
    pub(super) fn reach(&self) -> f64 {
        self.step * self.lengths.iter().copied().fold(0.0, f64::max)
    }

    /// One draw.
    pub(super) fn draw(&self, rng: &mut impl Rng) -> Vec<f64> {
        let stretched: Vec<f64> = self.lengths.iter().map(|length| length * gaussian(rng)).collect();
        (0..self.mean.len()).map(|row| self.mean[row] + self.step * dot(self.axes.row(row), &stretched)).collect()
    }

    /// Learns from one generation, best first. A draw that lies further out than this state's own draws do (another
    /// state made it) is taken back to where they end (Hansen, "Injecting External Solutions Into CMA-ES", 2011).
    pub(super) fn learn(&mut self, ranked: &[&[f64]]) {
        let size = self.mean.len();
        let dimensions = size as f64;
        let farthest = dimensions.sqrt() + 2.0 * dimensions / (dimensions + 2.0);
        let moves: Vec<Vec<f64>> = ranked
            .iter()
            .map(|point| {
                let moved: Vec<f64> = point.iter().zip(&self.mean).map(|(x, m)| (x - m) / self.step).collect();
                let distance = norm(&self.whiten(&moved));
                let back = if distance > farthest { farthest / distance } else { 1.0 };
                moved.into_iter().map(|value| value * back).collect()
            })
            .collect();
        let mut mean_move = vec![0.0; size];
        for (moved, weight) in moves.iter().zip(&self.weights).filter(|(_, weight)| **weight > 0.0) {
            mean_move.iter_mut().zip(moved).for_each(|(sum, value)| *sum += weight * value);
        }
        self.generation = self.generation.saturating_add(1);
        self.mean.iter_mut().zip(&mean_move).for_each(|(mean, value)| *mean += self.step * value);

        let effective = self.effective;
        let step_rate = (effective + 2.0) / (dimensions + effective + 5.0);
        let damping = 1.0 + 2.0 * (((effective - 1.0) / (dimensions + 1.0)).sqrt() - 1.0).max(0.0) + step_rate;
        let expected = dimensions.sqrt() * (1.0 - 1.0 / (4.0 * dimensions) + 1.0 / (21.0 * dimensions * dimensions));
        let whitened = self.whiten(&mean_move);
        let gain = (step_rate * (2.0 - step_rate) * effective).sqrt();
        self.step_path.iter_mut().zip(&whitened).for_each(|(path, w)| *path = (1.0 - step_rate) * *path + gain * w);
        let length = norm(&self.step_path);

        let faded = (1.0 - (1.0 - step_rate).powi(self.generation.saturating_mul(2))).sqrt();
        let steady = length / faded < (1.4 + 2.0 / (dimensions + 1.0)) * expected;
        let steady = if steady { 1.0 } else { 0.0 };
        let shape_rate = (4.0 + effective / dimensions) / (dimensions + 4.0 + 2.0 * effective / dimensions);
        let gain = steady * (shape_rate * (2.0 - shape_rate) * effective).sqrt();
        self.shape_path.iter_mut().zip(&mean_move).for_each(|(path, m)| *path = (1.0 - shape_rate) * *path + gain * m);

        let (rank_one, rank_many) = learning_rates(size, effective);
        let lost = (1.0 - steady) * shape_rate * (2.0 - shape_rate);
        let kept = 1.0 + rank_one * lost - rank_one - rank_many * self.weights.iter().sum::<f64>();
        let outer: Vec<f64> = moves
            .iter()
            .zip(&self.weights)
            .map(|(moved, &weight)| {
                let shrink = |weight: f64| weight * dimensions / (norm(&self.whiten(moved)).powi(2) + TINY);
                rank_many * if weight >= 0.0 { weight } else { shrink(weight) }
            })
            .collect();
        for row in 0..size {
            for column in 0..=row {
                let many: f64 =
                    moves.iter().zip(&outer).map(|(moved, weight)| weight * moved[row] * moved[column]).sum();
                let one = rank_one * self.shape_path[row] * self.shape_path[column];
                let value = kept * self.covariance.get(row, column) + one + many;
                self.covariance.set(row, column, value);
                self.covariance.set(column, row, value);
            }
        }
        self.step = (self.step * libm::exp((step_rate / damping) * (length / expected - 1.0))).min(1e3);
        let (values, axes) = self.covariance.eigen();
        self.lengths = values.iter().map(|value| value.max(TINY * TINY).sqrt()).collect();
        self.axes = axes;
    }

    /// A move in units of the draws: the inverse root of the covariance times the move.
    fn whiten(&self, moved: &[f64]) -> Vec<f64> {
        let size = moved.len();
        let along: Vec<f64> = (0..size)
            .map(|axis| (0..size).map(|row| self.axes.get(row, axis) * moved[row]).sum::<f64>() / self.lengths[axis])
            .collect();
        (0..size).map(|row| dot(self.axes.row(row), &along)).collect()
    }
}

/// The rates of the rank-one and the rank-many change of the covariance.
fn learning_rates(size: usize, effective: f64) -> (f64, f64) {
    let dimensions = size as f64;
    let one = 2.0 / ((dimensions + 1.3).powi(2) + effective);
    let many = 2.0 * (effective - 2.0 + 1.0 / effective) / ((dimensions + 2.0).powi(2) + effective);
    (one, many.min(1.0 - one - TINY))
}

fn norm(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::Seed;

    #[test]
    fn generations_are_those_of_the_cmaes_package() {
        let reference: serde_json::Value = serde_json::from_str(include_str!("../../tests/data/cma_es.json")).unwrap();
        for case in reference["cases"].as_array().unwrap() {
            let mean: Vec<f64> = serde_json::from_value(case["mean"].clone()).unwrap();
            let population = case["population"].as_u64().unwrap() as usize;
            let mut state = CmaState::new(mean, case["step"].as_f64().unwrap(), population);
            for generation in case["generations"].as_array().unwrap() {
                let ranked: Vec<Vec<f64>> = serde_json::from_value(generation["ranked"].clone()).unwrap();
                state.learn(&ranked.iter().map(Vec::as_slice).collect::<Vec<_>>());
                let mean: Vec<f64> = serde_json::from_value(generation["mean"].clone()).unwrap();
                let covariance: Vec<Vec<f64>> = serde_json::from_value(generation["covariance"].clone()).unwrap();
                for (row, expected) in covariance.iter().enumerate() {
                    assert!((state.mean[row] - mean[row]).abs() < 1e-6, "{:?} {mean:?}", state.mean);
                    for (column, value) in expected.iter().enumerate() {
                        assert!((state.covariance.get(row, column) - value).abs() < 1e-6, "{row} {column}");
                    }
                }
                assert!((state.step / generation["step"].as_f64().unwrap() - 1.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_turned_bowl_is_walked_down() {
        let bowl = |x: &[f64]| (x[0] + x[1] - 0.6).powi(2) + 100.0 * (x[0] - x[1] - 0.1).powi(2) + x[2] * x[2];
        let mut state = CmaState::new(vec![0.9, 0.1, 0.5], 0.3, 7);
        let mut rng = Seed(2).rng("cma", &[]);
        for _ in 0..120 {
            let mut draws: Vec<Vec<f64>> = (0..state.population()).map(|_| state.draw(&mut rng)).collect();
            draws.sort_by(|a, b| bowl(a).total_cmp(&bowl(b)));
            state.learn(&draws.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
        assert!(bowl(&state.mean) < 1e-8 && state.reach() < 1e-3, "{state:?}");
    }
}
