//! What the trees are fitted to: the loss of each objective, its derivatives and its best constant.

use crate::examples::Examples;
use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// What the scores of a forest are fitted to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Objective {
    /// A number; the score is its expected value and the loss the mean squared error.
    SquaredError,
    /// 0 or 1; the score is the log-odds of 1 and the loss the logarithmic loss.
    Logistic,
    /// A class from 0; the scores are one logit for each class and the loss the logarithmic loss.
    Softmax {
        /// How many classes there are, 2 to 10,000.
        classes: usize,
    },
    /// A number; the score is its conditional quantile and the loss the pinball loss (Koenker and Bassett,
    /// Regression Quantiles, Econometrica 46, 1978).
    Quantile {
        /// The share of rows whose target lies below the score, above 0 and below 1.
        q: f64,
    },
}

/// First and second derivative of one row's loss by its score, times the row's weight.
pub(crate) type Derivatives = [f32; 2];

impl Objective {
    /// Scores per row.
    pub fn outputs(&self) -> usize {
        match self {
            Objective::Softmax { classes } => *classes,
            Objective::SquaredError | Objective::Logistic | Objective::Quantile { .. } => 1,
        }
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`ErrorCode::Config`], naming the key.
    pub fn validate(&self) -> Result<()> {
        match *self {
            Objective::Softmax { classes } if !(2..=10_000).contains(&classes) => {
                Err(Error::new(ErrorCode::Config, format!("{classes} classes cannot be told apart"))
                    .at_key("train.boosting")
                    .fix("set 2 to 10000 classes"))
            }
            Objective::Quantile { q } if !(q > 0.0 && q < 1.0) => {
                Err(Error::new(ErrorCode::Config, format!("{q} is no quantile"))
                    .at_key("objective.quantile.q")
                    .fix("set a number above 0 and below 1, for example 0.5 for the median"))
            }
            _ => Ok(()),
        }
    }

    /// How many classes the targets number, where they are classes.
    pub(crate) fn classes(&self) -> Option<usize> {
        match self {
            Objective::Logistic => Some(2),
            Objective::Softmax { classes } => Some(*classes),
            Objective::SquaredError | Objective::Quantile { .. } => None,
        }
    }

    /// The best scores that are the same for every row, `[outputs]`. The rows have passed their checks.
    pub(crate) fn base(&self, examples: &Examples) -> Vec<f32> {
        let total: f64 = (0..examples.rows()).map(|row| examples.weight(row)).sum();
        let share_of = |class: usize| {
            let rows = (0..examples.rows()).filter(|&row| examples.class(row) == class);
            rows.map(|row| examples.weight(row)).sum::<f64>() / total
        };
        match self {
            Objective::SquaredError => {
                let sum: f64 =
                    (0..examples.rows()).map(|row| examples.weight(row) * f64::from(examples.targets[row])).sum();
                vec![(sum / total) as f32]
            }
            Objective::Logistic => {
                let share = share_of(1);
                vec![(share / (1.0 - share)).ln() as f32]
            }
            Objective::Softmax { classes } => (0..*classes).map(|class| share_of(class).ln() as f32).collect(),
            Objective::Quantile { q } => {
                let mut values =
                    (0..examples.rows()).map(|row| (examples.targets[row], examples.weight(row))).collect();
                vec![weighted_quantile(&mut values, *q)]
            }
        }
    }

    /// The derivatives of every row by each output in turn, `[outputs][rows]`, at `scores` `[rows, outputs]`.
    pub(crate) fn derivatives(&self, examples: &Examples, scores: &[f32]) -> Vec<Vec<Derivatives>> {
        let rows = 0..examples.rows();
        let weighted = |row: usize, first: f64, second: f64| {
            let weight = examples.weight(row);
            [(weight * first) as f32, (weight * second) as f32]
        };
        match self {
            Objective::SquaredError => {
                let row = |row| weighted(row, f64::from(scores[row]) - f64::from(examples.targets[row]), 1.0);
                vec![rows.map(row).collect()]
            }
            Objective::Logistic => {
                let row = |row| {
                    let probability = sigmoid(f64::from(scores[row]));
                    let second = (probability * (1.0 - probability)).max(SMALLEST_SECOND);
                    weighted(row, probability - f64::from(examples.targets[row]), second)
                };
                vec![rows.map(row).collect()]
            }
            Objective::Softmax { classes } => {
                // The diagonal alone understates the curvature of a sum-to-one vector by this factor: Friedman,
                // Greedy Function Approximation, Annals of Statistics 29, 2001, algorithm 6.
                let factor = *classes as f64 / (*classes as f64 - 1.0);
                let mut derivatives = vec![Vec::with_capacity(examples.rows()); *classes];
                for (row, scores) in scores.chunks_exact(*classes).enumerate() {
                    let log_sum = log_sum_exp(scores);
                    for (class, (&score, derivatives)) in scores.iter().zip(&mut derivatives).enumerate() {
                        let probability = (f64::from(score) - log_sum).exp();
                        let second = (factor * probability * (1.0 - probability)).max(SMALLEST_SECOND);
                        let target = if examples.class(row) == class { 1.0 } else { 0.0 };
                        derivatives.push(weighted(row, probability - target, second));
                    }
                }
                derivatives
            }
            Objective::Quantile { q } => {
                let row = |row| {
                    let first = if scores[row] > examples.targets[row] { 1.0 - q } else { -q };
                    weighted(row, first, 1.0)
                };
                vec![rows.map(row).collect()]
            }
        }
    }

    /// The weighted mean loss at `scores` `[rows, outputs]`.
    pub(crate) fn loss(&self, examples: &Examples, scores: &[f32]) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for (row, scores) in scores.chunks_exact(self.outputs()).enumerate() {
            let target = f64::from(examples.targets[row]);
            let score = f64::from(scores[0]);
            let loss = match self {
                Objective::SquaredError => (score - target).powi(2),
                Objective::Logistic => score.max(0.0) - score * target + (-score.abs()).exp().ln_1p(),
                Objective::Softmax { .. } => log_sum_exp(scores) - f64::from(scores[examples.class(row)]),
                Objective::Quantile { q } if target > score => q * (target - score),
                Objective::Quantile { q } => (1.0 - q) * (score - target),
            };
            sum += examples.weight(row) * loss;
            total += examples.weight(row);
        }
        sum / total
    }
}

/// Keeps the second derivative of rows that are all but certain from vanishing in float32.
const SMALLEST_SECOND: f64 = 1e-16;

/// The smallest value with at least the share `q` of all weight at or below it; 0 where there is none.
pub(crate) fn weighted_quantile(values: &mut Vec<(f32, f64)>, q: f64) -> f32 {
    values.retain(|(_, weight)| *weight > 0.0);
    values.sort_unstable_by(|left, right| left.0.total_cmp(&right.0).then(left.1.total_cmp(&right.1)));
    let wanted = q * values.iter().map(|(_, weight)| weight).sum::<f64>();
    let mut below = 0.0;
    for (value, weight) in values.iter() {
        below += weight;
        if below >= wanted {
            return *value;
        }
    }
    values.last().map_or(0.0, |(value, _)| *value)
}

fn sigmoid(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}

fn log_sum_exp(scores: &[f32]) -> f64 {
    let highest = f64::from(scores.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    highest + scores.iter().map(|&score| (f64::from(score) - highest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The derivatives agree with central differences of the loss.
    fn assert_derivatives(objective: Objective, targets: &[f32], scores: &[f32], second_factor: f64) {
        let weights: Vec<f32> = (0..targets.len()).map(|row| 1.0 + row as f32).collect();
        let outputs = objective.outputs();
        for row in 0..targets.len() {
            let one = Examples { features: &[0.0], targets: &targets[row..=row], weights: Some(&weights[row..=row]) };
            let at = &scores[row * outputs..(row + 1) * outputs];
            let weight = f64::from(weights[row]);
            for output in 0..outputs {
                let moved = |by: f32| {
                    let mut moved = at.to_vec();
                    moved[output] += by;
                    weight * objective.loss(&one, &moved)
                };
                let step = 0.0625;
                let first = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
                let second = (moved(step) - 2.0 * moved(0.0) + moved(-step)) / f64::from(step).powi(2);
                let [ours_first, ours_second] = objective.derivatives(&one, at)[output][0];
                assert!((f64::from(ours_first) - first).abs() < 2e-3, "{objective:?} {ours_first} {first}");
                if second_factor > 0.0 {
                    let ours = f64::from(ours_second);
                    assert!((ours - second_factor * second).abs() < 2e-2, "{objective:?} {ours} {second}");
                }
            }
        }
    }

    #[test]
    fn derivatives_are_those_of_the_loss() {
        let scores = [0.3, -1.2, 2.0];
        assert_derivatives(Objective::Logistic, &[0.0, 1.0, 1.0], &scores, 1.0);
        assert_derivatives(Objective::Quantile { q: 0.9 }, &[0.0, 1.0, 7.0], &scores, 0.0);
        assert_derivatives(Objective::Softmax { classes: 3 }, &[2.0, 0.0], &[0.1, 0.5, -0.7, 2.0, 0.0, 1.0], 1.5);
        // Half the loss is fitted: the factor 2 of a square cancels in every leaf.
        let one = Examples { features: &[0.0], targets: &[3.0], weights: None };
        assert_eq!(Objective::SquaredError.derivatives(&one, &[1.0])[0][0], [-2.0, 1.0]);
    }

    #[test]
    fn the_base_is_the_best_constant() {
        let targets = [0.0, 1.0, 1.0, 1.0];
        let examples = Examples { features: &[0.0; 4], targets: &targets, weights: None };
        let weighted = Examples { weights: Some(&[3.0, 1.0, 1.0, 1.0]), ..examples };
        assert!((Objective::Logistic.base(&examples)[0] - 3f32.ln()).abs() < 1e-6);
        assert_eq!(Objective::Logistic.base(&weighted), [0.0]);
        assert_eq!(Objective::SquaredError.base(&weighted), [0.5]);
        assert_eq!(Objective::Quantile { q: 0.5 }.base(&examples), [1.0]);
        assert_eq!(Objective::Quantile { q: 0.25 }.base(&examples), [0.0]);
        let softmax = Objective::Softmax { classes: 2 }.base(&examples);
        assert!((softmax[1] - softmax[0] - 3f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn wrong_values_are_named() {
        let key = |objective: Objective| objective.validate().unwrap_err().place().key.clone().unwrap();
        assert_eq!(key(Objective::Softmax { classes: 1 }), "train.boosting");
        assert_eq!(key(Objective::Quantile { q: 1.0 }), "objective.quantile.q");
        assert_eq!(key(Objective::Quantile { q: f64::NAN }), "objective.quantile.q");
        assert!(Objective::Quantile { q: 0.5 }.validate().is_ok());
    }

    #[test]
    fn extreme_scores_keep_the_loss_finite() {
        let examples = Examples { features: &[0.0; 2], targets: &[0.0, 1.0], weights: None };
        let loss = Objective::Logistic.loss(&examples, &[1e4, -1e4]);
        assert!((loss - 1e4).abs() < 1.0);
        let loss = Objective::Softmax { classes: 2 }.loss(&examples, &[0.0, 1e4, 1e4, 0.0]);
        assert!((loss - 1e4).abs() < 1.0);
    }
}
