//! Bayesian optimisation: a Gaussian process explains what was seen, and the point is tried where it expects the
//! greatest improvement (Jones, Schonlau and Welch, "Efficient Global Optimization of Expensive Black-Box Functions",
//! 1998). The process itself is in `process`.
//!
//! Written here rather than taken from a crate: those that exist bring a linear-algebra stack and have no kernel with
//! one length per dimension and choices, while the exact method is two small files.

use super::process::{Measure, Process, fit};
use super::{spread_point, wrong_setting};
use crate::numbers::draw::{gaussian, uniform};
use crate::numbers::normal::log_expected_excess;
use crate::space::{Domain, Point, Space};
use crate::trial::{Direction, State, Trial};
use lepton_core::{Result, Seed};
use rand_chacha::rand_core::Rng;
use serde::{Deserialize, Serialize};

/// Random points at which the improvement is looked at first, per suggestion.
const SCATTERED: usize = 400;
/// Points near the best trials that are looked at as well.
const NEARBY: usize = 100;
/// How many of all these are walked uphill from.
const WALKS: usize = 6;
/// A walk ends where its step is smaller than this part of a dimension.
const FINEST: f64 = 1e-5;

/// Settings of Bayesian optimisation. Several objectives are joined into one with weights that are drawn for every
/// trial (Knowles, "ParEGO", 2006). A dimension that does not apply counts as a value of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GaussianProcess {
    /// Trials that end before the process begins; until then points are spread evenly (a Latin hypercube).
    pub startup_trials: usize,
    /// The most trials that the process learns from, at least 10: the best half and the newest. The time for a
    /// suggestion grows with the cube.
    pub most_trials: usize,
}

impl Default for GaussianProcess {
    fn default() -> GaussianProcess {
        GaussianProcess { startup_trials: 10, most_trials: 300 }
    }
}

/// What the search for the next point works on.
struct Surface<'a> {
    space: &'a Space,
    domains: Vec<&'a Domain>,
    measures: Vec<Measure>,
    process: Process,
    best: f64,
}

impl GaussianProcess {
    pub(super) fn validate(&self) -> Result<()> {
        if self.startup_trials == 0 {
            return Err(wrong_setting("startup_trials", "must be at least 1"));
        }
        if self.most_trials < 10 {
            return Err(wrong_setting("most_trials", "must be at least 10"));
        }
        Ok(())
    }

    pub(super) fn suggest(
        &self,
        space: &Space,
        directions: &[Direction],
        trials: &[&Trial],
        number: u64,
        seed: Seed,
    ) -> Result<Point> {
        let complete: Vec<&Trial> = trials.iter().copied().filter(|trial| trial.state == State::Complete).collect();
        if complete.len() < self.startup_trials {
            return spread_point(space, self.startup_trials, number, seed);
        }
        let mut rng = seed.rng("tune gaussian process", &[number]);
        let losses = joined_losses(&complete, directions, &mut rng);
        let kept = self.kept(&losses);
        let mut points = Vec::with_capacity(kept.len());
        for &index in &kept {
            points.push(coordinates(space, &complete[index].point)?);
        }
        let mut values = standardised(kept.iter().map(|&index| losses[index]).collect());
        let best = values.iter().copied().fold(f64::INFINITY, f64::min);
        let mut leaders: Vec<usize> = (0..values.len()).collect();
        leaders.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
        let leaders: Vec<Vec<f64>> = leaders.into_iter().take(3).map(|index| points[index].clone()).collect();

        let order = space.order()?;
        let domains: Vec<&Domain> = order.iter().map(|key| &space.dimensions[*key].domain).collect();
        let measures: Vec<Measure> =
            domains.iter().map(|domain| if domain.is_choice() { Measure::Choice } else { Measure::Number }).collect();
        let kernel = fit(&points, &values, &measures);
        let Some(mut process) = Process::new(kernel.clone(), points.clone(), &values, &measures) else {
            return spread_point(space, self.startup_trials, number, seed);
        };
        // A running trial counts as having what is expected of it, so that trials side by side do not try the same
        // (the Kriging believer: Ginsbourger, Le Riche and Carraro, 2010).
        for trial in trials.iter().filter(|trial| trial.state == State::Running) {
            let point = coordinates(space, &trial.point)?;
            values.push(process.predict(&point, &measures).0);
            points.push(point);
            match Process::new(kernel.clone(), points.clone(), &values, &measures) {
                Some(next) => process = next,
                None => break,
            }
        }
        let surface = Surface { space, domains, measures, process, best };
        let coordinates = surface.highest(&leaders, &mut rng)?;
        space.point_at(&coordinates)
    }

    /// The trials that are learned from, by number.
    fn kept(&self, losses: &[f64]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..losses.len()).collect();
        if order.len() <= self.most_trials {
            return order;
        }
        order.sort_by(|&a, &b| losses[a].total_cmp(&losses[b]));
        let mut rest = order.split_off(self.most_trials / 2);
        rest.sort_unstable();
        order.extend(rest.split_off(rest.len() - (self.most_trials - order.len())));
        order.sort_unstable();
        order
    }
}

impl Surface<'_> {
    /// The logarithm of the expected improvement.
    fn height(&self, coordinates: &[f64]) -> f64 {
        let (mean, variance) = self.process.predict(coordinates, &self.measures);
        let deviation = variance.sqrt();
        libm::log(deviation) + log_expected_excess((self.best - mean) / deviation)
    }

    /// The coordinates with the greatest expected improvement that the search finds.
    fn highest(&self, leaders: &[Vec<f64>], rng: &mut impl Rng) -> Result<Vec<f64>> {
        let mut found: Vec<(f64, Vec<f64>)> = Vec::with_capacity(SCATTERED + NEARBY);
        for index in 0..SCATTERED + NEARBY {
            let drawn: Vec<f64> = match leaders.get(index % leaders.len().max(1)) {
                Some(leader) if index >= SCATTERED => {
                    leader.iter().map(|centre| (centre + 0.05 * gaussian(rng)).clamp(0.0, 1.0)).collect()
                }
                _ => self.domains.iter().map(|_| uniform(rng)).collect(),
            };
            let settled = self.settle(&drawn)?;
            found.push((self.height(&settled), settled));
        }
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found.truncate(WALKS);
        let mut best: Option<(f64, Vec<f64>)> = None;
        for start in found {
            let end = self.climb(start)?;
            if best.as_ref().is_none_or(|best| end.0 > best.0) {
                best = Some(end);
            }
        }
        Ok(best.map(|(_, coordinates)| coordinates).unwrap_or_default())
    }

    /// Steps along one dimension at a time, with steps that become smaller where none leads up.
    fn climb(&self, start: (f64, Vec<f64>)) -> Result<(f64, Vec<f64>)> {
        let (mut height, mut place) = start;
        let mut step = 0.1;
        while step > FINEST {
            let mut moved = false;
            for dimension in 0..place.len() {
                for target in self.neighbours(dimension, place[dimension], step) {
                    let mut next = place.clone();
                    next[dimension] = target;
                    let next = self.settle(&next)?;
                    let reached = self.height(&next);
                    if reached > height + 1e-9 {
                        (height, place, moved) = (reached, next, true);
                    }
                }
            }
            if !moved {
                step *= 0.4;
            }
        }
        Ok((height, place))
    }

    /// Where a step leads along one dimension.
    fn neighbours(&self, dimension: usize, from: f64, step: f64) -> Vec<f64> {
        let domain = self.domains[dimension];
        match (domain, domain.cell(from)) {
            // Choices have no neighbours: each is tried, in the walk's first rounds only.
            (Domain::Choice { choices }, _) if step > 0.02 => {
                (0..choices.len()).map(|index| (index as f64 + 0.5) / choices.len() as f64).collect()
            }
            (Domain::Choice { .. }, _) => Vec::new(),
            // A step that stays in the cell leads nowhere; the next cell is the smallest step.
            (_, Some((low, high))) => vec![(from - step).min(low - 1e-9), (from + step).max(high + 1e-9)],
            _ => vec![from - step, from + step],
        }
        .into_iter()
        .map(|coordinate| coordinate.clamp(0.0, 1.0))
        .collect()
    }

    /// The coordinates of the point that these coordinates make.
    fn settle(&self, drawn: &[f64]) -> Result<Vec<f64>> {
        coordinates(self.space, &self.space.point_at(drawn)?)
    }
}

/// The coordinates of a point; those of dimensions that do not apply lie in the middle of numbers and beside all
/// choices.
fn coordinates(space: &Space, point: &Point) -> Result<Vec<f64>> {
    let order = space.order()?;
    let absent = |key: &str| if space.dimensions[key].domain.is_choice() { 0.0 } else { 0.5 };
    let known = space.coordinates(point)?;
    Ok(order.iter().zip(known).map(|(key, coordinate)| coordinate.unwrap_or_else(|| absent(key))).collect())
}

/// One loss per trial: that of the objective, or several joined by random weights.
fn joined_losses(trials: &[&Trial], directions: &[Direction], rng: &mut impl Rng) -> Vec<f64> {
    let columns: Vec<Vec<f64>> = directions
        .iter()
        .enumerate()
        .map(|(objective, direction)| {
            tamed(trials.iter().map(|trial| direction.loss(trial.values[objective])).collect())
        })
        .collect();
    if let [column] = &columns[..] {
        return column.clone();
    }
    // Uniform on the simplex: the gaps between sorted uniform numbers are exponentials over their sum.
    let raw: Vec<f64> = columns.iter().map(|_| -libm::log(1.0 - uniform(rng))).collect();
    let total: f64 = raw.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let scaled: Vec<Vec<f64>> = columns
        .iter()
        .zip(&raw)
        .map(|(column, weight)| {
            let low = column.iter().copied().fold(f64::INFINITY, f64::min);
            let high = column.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            column.iter().map(|loss| weight / total * (loss - low) / (high - low).max(f64::MIN_POSITIVE)).collect()
        })
        .collect();
    let join = |index: usize| {
        let parts = scaled.iter().map(|column| column[index]);
        parts.clone().fold(0.0, f64::max) + 0.05 * parts.sum::<f64>()
    };
    (0..trials.len()).map(join).collect()
}

/// Losses with what is infinite replaced by the worst that is not.
fn tamed(losses: Vec<f64>) -> Vec<f64> {
    let finite = || losses.iter().copied().filter(|loss| loss.is_finite());
    let worst = finite().reduce(f64::max).unwrap_or(0.0);
    let best = finite().reduce(f64::min).unwrap_or(0.0);
    let bounded = |loss: f64| if loss == f64::NEG_INFINITY { best } else { worst };
    losses.iter().map(|&loss| if loss.is_finite() { loss } else { bounded(loss) }).collect()
}

/// The values with mean 0 and variance 1; all 0 where they are equal.
fn standardised(values: Vec<f64>) -> Vec<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    let scale = if deviation > 0.0 && deviation.is_finite() { 1.0 / deviation } else { 0.0 };
    values.into_iter().map(|value| (value - mean) * scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sampler;

    fn searched(space: &str, count: u64, value: impl Fn(&Point) -> f64) -> Vec<Trial> {
        let space: Space = serde_json::from_str(space).unwrap();
        let sampler = Sampler::GaussianProcess(GaussianProcess { startup_trials: 6, ..GaussianProcess::default() });
        let mut history = Vec::new();
        for number in 0..count {
            let point = sampler.suggest(&space, &[Direction::Minimize], &history, number, Seed(3)).unwrap();
            assert!(space.contains(&point), "{point:?}");
            let values = vec![value(&point)];
            history.push(Trial { number, point, state: State::Complete, values, steps: Vec::new() });
        }
        history
    }

    #[test]
    fn a_mixed_space_with_a_condition_is_searched() {
        let space = r#"{ "kind": { "choices": ["a", "b", "c"] }, "count": { "low": 1, "high": 20 },
            "rate": { "low": 1e-4, "high": 1.0, "log": true, "when": { "key": "kind", "equals": "b" } } }"#;
        let history = searched(space, 30, |point| {
            let count = point["count"].as_f64().unwrap();
            let rate =
                point.get("rate").and_then(serde_json::Value::as_f64).map_or(2.0, |rate| (rate.log10() + 2.0).abs());
            rate + (count - 13.0).abs() / 10.0
        });
        let best = history.iter().min_by(|a, b| a.values[0].total_cmp(&b.values[0])).unwrap();
        assert_eq!(best.point["count"], 13);
        assert!(best.values[0] < 0.15, "{best:?}");
    }

    #[test]
    fn equal_and_broken_values_do_no_harm() {
        let space = r#"{ "a": { "low": 0.0, "high": 1.0 } }"#;
        searched(space, 12, |_| 1.0);
        searched(space, 12, |_| f64::NAN);
        searched(space, 12, |point| if point["a"].as_f64().unwrap() > 0.5 { f64::INFINITY } else { 0.0 });
    }

    #[test]
    fn the_best_and_the_newest_are_kept() {
        let process = GaussianProcess { most_trials: 10, startup_trials: 1 };
        let losses: Vec<f64> = (0..30).map(f64::from).collect();
        assert_eq!(process.kept(&losses), [0, 1, 2, 3, 4, 25, 26, 27, 28, 29]);
        assert_eq!(process.kept(&losses[..7]).len(), 7);
    }
}
