//! Covariance matrix adaptation, without a state of its own: every suggestion replays the generations from the
//! history. The arithmetic of a generation is in `cma_state`.
//!
//! Complete trials, by number, are cut into generations in turn. A search whose trials run one after the other is the
//! method as published; side by side, a trial may be drawn from an older generation than the one that learns from it,
//! which the state allows for.

use super::cma_state::CmaState;
use super::{one_objective, random_value, wrong_setting};
use crate::numbers::draw::uniform;
use crate::space::{Point, Space};
use crate::trial::{Direction, State, Trial};
use lepton_core::{Result, Seed};
use serde::{Deserialize, Serialize};

/// Draws for a point within the bounds, before it is cut to them.
const ATTEMPTS: usize = 100;

/// Where draws reach less far than this (the dimensions are 1 wide), the search begins anew.
const CONVERGED: f64 = 1e-7;

/// Settings of covariance matrix adaptation. It moves the dimensions of numbers that always apply; choices and
/// dimensions with a condition are drawn at random.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CmaEs {
    /// The first step, where a dimension is 1 wide: above 0 and at most 1. The first centre is in the middle.
    pub first_step: f64,
    /// Trials of one generation, at least 4; `None` takes 4 + 3 ln(dimensions).
    pub population: Option<usize>,
}

impl Default for CmaEs {
    fn default() -> CmaEs {
        CmaEs { first_step: 0.3, population: None }
    }
}

impl CmaEs {
    pub(super) fn validate(&self) -> Result<()> {
        if !(self.first_step > 0.0 && self.first_step <= 1.0) {
            return Err(wrong_setting("first_step", format!("{} is not above 0 and at most 1", self.first_step)));
        }
        if self.population.is_some_and(|population| population < 4) {
            return Err(wrong_setting("population", "must be at least 4"));
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
        let direction = one_objective(directions, "cma_es")?;
        let order = space.order()?;
        let moved = |key: &str| space.dimensions[key].when.is_none() && !space.dimensions[key].domain.is_choice();
        let keys: Vec<&str> = order.iter().copied().filter(|key| moved(key)).collect();
        let mut rng = seed.rng("tune cma", &[number]);
        let mut point = Point::new();
        if !keys.is_empty() {
            let state = self.replay(space, &keys, direction, trials, seed);
            let mut drawn = state.draw(&mut rng);
            for _ in 1..ATTEMPTS {
                if drawn.iter().all(|coordinate| (0.0..=1.0).contains(coordinate)) {
                    break;
                }
                drawn = state.draw(&mut rng);
            }
            for (key, coordinate) in keys.iter().zip(drawn) {
                point.insert((*key).to_owned(), space.dimensions[*key].domain.from_unit(coordinate));
            }
        }
        let mut rng = seed.rng("tune cma random", &[number]);
        for key in order.into_iter().filter(|key| !moved(key)) {
            let value = random_value(&space.dimensions[key], &mut rng);
            if space.applies(key, &point) {
                point.insert(key.to_owned(), value);
            }
        }
        Ok(point)
    }

    /// The state after the complete trials. A search that has converged begins anew elsewhere with twice the
    /// population (Auger and Hansen, "A Restart CMA Evolution Strategy With Increasing Population Size", 2005).
    fn replay(&self, space: &Space, keys: &[&str], direction: Direction, trials: &[&Trial], seed: Seed) -> CmaState {
        let default = 4 + (3.0 * libm::log(keys.len() as f64)) as usize;
        let mut population = self.population.unwrap_or(default);
        let mut state = CmaState::new(vec![0.5; keys.len()], self.first_step, population);
        let mut restarts = 0;
        let mut waiting: Vec<(f64, Vec<f64>)> = Vec::new();
        for trial in trials.iter().filter(|trial| trial.state == State::Complete) {
            let coordinate = |key: &&str| space.dimensions[*key].domain.to_unit(trial.point.get(*key)?);
            let Some(coordinates) = keys.iter().map(coordinate).collect::<Option<Vec<f64>>>() else { continue };
            waiting.push((trial.values.first().map_or(f64::INFINITY, |value| direction.loss(*value)), coordinates));
            if waiting.len() < state.population() {
                continue;
            }
            waiting.sort_by(|a, b| a.0.total_cmp(&b.0));
            state.learn(&waiting.iter().map(|(_, coordinates)| coordinates.as_slice()).collect::<Vec<_>>());
            waiting.clear();
            if state.reach() < CONVERGED {
                restarts += 1;
                population = population.saturating_mul(2);
                let mut rng = seed.rng("tune cma restart", &[restarts]);
                let mean = keys.iter().map(|_| uniform(&mut rng)).collect();
                state = CmaState::new(mean, self.first_step, population);
            }
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sampler;
    use lepton_core::ErrorCode;

    #[test]
    fn a_bowl_with_a_choice_beside_it_is_walked_down() {
        let space: Space = serde_json::from_str(
            r#"{ "a": { "low": -1.0, "high": 3.0 }, "b": { "low": 1e-4, "high": 1.0, "log": true },
                 "c": { "choices": ["x", "y"] } }"#,
        )
        .unwrap();
        let sampler = Sampler::CmaEs(CmaEs::default());
        let mut history = Vec::new();
        let mut seen = [0, 0];
        for number in 0..150 {
            let point = sampler.suggest(&space, &[Direction::Maximize], &history, number, Seed(5)).unwrap();
            let (a, b) = (point["a"].as_f64().unwrap(), point["b"].as_f64().unwrap());
            seen[usize::from(point["c"] == "x")] += 1;
            let value = -(a - 0.5).powi(2) - (b.log10() + 1.0).powi(2);
            history.push(Trial { number, point, state: State::Complete, values: vec![value], steps: Vec::new() });
        }
        let last: f64 = history[140..].iter().map(|trial| trial.values[0]).sum::<f64>() / 10.0;
        assert!(last > -1e-3, "{last}");
        assert!(seen[0] > 40 && seen[1] > 40, "{seen:?}");
        let error = sampler.suggest(&space, &[Direction::Maximize; 2], &[], 0, Seed(5)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unsupported);
    }

    #[test]
    fn a_search_that_has_converged_begins_anew() {
        let space: Space = serde_json::from_str(r#"{ "a": { "low": 0.0, "high": 1.0 } }"#).unwrap();
        let sampler = Sampler::CmaEs(CmaEs::default());
        let mut history = Vec::new();
        for number in 0..400 {
            let point = sampler.suggest(&space, &[Direction::Minimize], &history, number, Seed(1)).unwrap();
            let value = (point["a"].as_f64().unwrap() - 0.3).abs();
            history.push(Trial { number, point, state: State::Complete, values: vec![value], steps: Vec::new() });
        }
        let close = history.iter().position(|trial| trial.values[0] < 1e-6).unwrap();
        assert!(history[close..].iter().any(|trial| trial.values[0] > 0.05));
    }
}
