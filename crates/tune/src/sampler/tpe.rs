//! Tree-structured Parzen estimator: the good trials get one density, the others another, and of some draws from the
//! first the one is taken where the first exceeds the second the most.
//!
//! Bergstra et al., "Algorithms for Hyper-Parameter Optimization" (2011) and "Making a Science of Model Search" (2013);
//! several dimensions in one density after Falkner et al., "BOHB" (2018); several objectives by the rank of
//! non-domination, after Ozaki et al., "Multiobjective Tree-Structured Parzen Estimator" (2022). The density itself is
//! in `parzen`.

use super::parzen::{Parzen, Widths};
use super::{learned_from, spread_point, wrong_setting};
use crate::pareto::by_rank_and_crowding;
use crate::space::{Condition, Domain, Point, Space};
use crate::trial::{Direction, State, Trial};
use lepton_core::{Result, Seed};
use serde::{Deserialize, Serialize};

/// The newest observations have full weight; the ones before rise towards it.
const FULL_WEIGHT: usize = 25;

/// Settings of the estimator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tpe {
    /// Trials that end before the estimator begins; until then points are spread evenly (a Latin hypercube).
    pub startup_trials: usize,
    /// Draws from the density of the good trials, at least 1.
    pub candidates: usize,
    /// One density over all dimensions that apply together, which sees how they interact; otherwise one for each.
    pub multivariate: bool,
    /// Where one density is over all dimensions: the deviation of the kernel around a number, as a share of its range. It
    /// shrinks with the trials n and the dimensions d by n^(-1/(d+4)) (Scott 1992). Above 0 and at most 1.
    pub bandwidth: f64,
    /// The share of the trials that is good, above 0 and at most 1.
    pub good_share: f64,
    /// The most trials that are good, at least 1.
    pub most_good: usize,
    /// The weight of the prior kernel, where an observation weighs 1; above 0.
    pub prior_weight: f64,
}

impl Default for Tpe {
    fn default() -> Tpe {
        Tpe {
            startup_trials: 10,
            candidates: 24,
            multivariate: true,
            bandwidth: 0.06,
            good_share: 0.1,
            most_good: 25,
            prior_weight: 1.0,
        }
    }
}

impl Tpe {
    pub(super) fn validate(&self) -> Result<()> {
        if self.candidates == 0 {
            return Err(wrong_setting("candidates", "must be at least 1"));
        }
        if self.most_good == 0 {
            return Err(wrong_setting("most_good", "must be at least 1"));
        }
        for (key, value) in [("bandwidth", self.bandwidth), ("good_share", self.good_share)] {
            if !(value > 0.0 && value <= 1.0) {
                return Err(wrong_setting(key, format!("{value} is not above 0 and at most 1")));
            }
        }
        if !(self.prior_weight > 0.0 && self.prior_weight.is_finite()) {
            return Err(wrong_setting("prior_weight", format!("{} is not above 0", self.prior_weight)));
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
        let finished = learned_from(trials);
        if finished < self.startup_trials.max(1) {
            return spread_point(space, self.startup_trials.max(1), number, seed);
        }
        let count = ((self.good_share * finished as f64).ceil() as usize).clamp(1, self.most_good);
        let (good, bad) = split(trials, directions, count);
        let mut rng = seed.rng("tune tpe", &[number]);
        let mut point = Point::new();
        for keys in self.groups(space)? {
            if !space.applies(keys[0], &point) {
                continue;
            }
            let domains: Vec<&Domain> = keys.iter().map(|key| &space.dimensions[*key].domain).collect();
            let density = |trials: &[&Trial]| {
                let observations: Vec<Vec<f64>> =
                    trials.iter().filter_map(|trial| observation(&keys, &domains, trial)).collect();
                let weights = weights(observations.len());
                let widths = if self.multivariate { Widths::Scott(self.bandwidth) } else { Widths::Neighbours };
                Parzen::new(&domains, &observations, (weights, self.prior_weight), widths)
            };
            let (good, bad) = (density(&good), density(&bad));
            let mut best = (f64::NEG_INFINITY, Vec::new());
            for _ in 0..self.candidates {
                let candidate = good.sample(&mut rng);
                let gain = good.log_density(&candidate) - bad.log_density(&candidate);
                if best.1.is_empty() || gain > best.0 {
                    best = (gain, candidate);
                }
            }
            for ((key, domain), coordinate) in keys.iter().zip(&domains).zip(best.1) {
                point.insert((*key).to_owned(), domain.from_unit(coordinate));
            }
        }
        Ok(point)
    }

    /// The keys that share a density, each group after those that its condition needs: all keys with the same
    /// condition, because they apply together, or every key alone.
    fn groups<'a>(&self, space: &'a Space) -> Result<Vec<Vec<&'a str>>> {
        let mut groups: Vec<(Option<&Condition>, Vec<&str>)> = Vec::new();
        for key in space.order()? {
            let when = space.dimensions[key].when.as_ref();
            match groups.iter_mut().find(|(other, _)| self.multivariate && *other == when) {
                Some((_, keys)) => keys.push(key),
                None => groups.push((when, vec![key])),
            }
        }
        Ok(groups.into_iter().map(|(_, keys)| keys).collect())
    }
}

/// The coordinates of a trial along some dimensions, where it has them all.
fn observation(keys: &[&str], domains: &[&Domain], trial: &Trial) -> Option<Vec<f64>> {
    keys.iter().zip(domains).map(|(key, domain)| domain.to_unit(trial.point.get(*key)?)).collect()
}

/// The weights of `count` observations, oldest first.
fn weights(count: usize) -> Vec<f64> {
    let rising = count.saturating_sub(FULL_WEIGHT);
    let first = 1.0 / count.max(1) as f64;
    let rise = |index: usize| first + (1.0 - first) * index as f64 / (rising.max(2) - 1) as f64;
    (0..count).map(|index| if index < rising { rise(index) } else { 1.0 }).collect()
}

/// The `count` best trials and the others, both by number. Complete trials come before pruned ones, and those before
/// running ones, which are counted as bad so that trials side by side do not try the same.
fn split<'a>(trials: &[&'a Trial], directions: &[Direction], count: usize) -> (Vec<&'a Trial>, Vec<&'a Trial>) {
    let of = |state: State| -> Vec<&'a Trial> { trials.iter().copied().filter(|trial| trial.state == state).collect() };
    let complete = of(State::Complete);
    let losses: Vec<Vec<f64>> = complete
        .iter()
        .map(|trial| trial.values.iter().zip(directions).map(|(value, direction)| direction.loss(*value)).collect())
        .collect();
    let mut ordered: Vec<&Trial> = match directions {
        [_] => {
            let mut order: Vec<usize> = (0..complete.len()).collect();
            order.sort_by(|&a, &b| losses[a][0].total_cmp(&losses[b][0]));
            order.into_iter().map(|index| complete[index]).collect()
        }
        _ => by_rank_and_crowding(&losses).into_iter().map(|index| complete[index]).collect(),
    };
    // A pruned trial that came further was better for longer; without a step there is nothing to say for it.
    let progress = |trial: &Trial| {
        trial.last_step().map(|(step, value)| (step, directions.first().map_or(value, |first| first.loss(value))))
    };
    let mut pruned = of(State::Pruned);
    pruned.sort_by(|a, b| match (progress(a), progress(b)) {
        (Some((step, loss)), Some((other_step, other_loss))) => other_step.cmp(&step).then(loss.total_cmp(&other_loss)),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
    ordered.extend(pruned);
    let mut bad = ordered.split_off(count.min(ordered.len()));
    bad.extend(of(State::Running));
    ordered.sort_by_key(|trial| trial.number);
    bad.sort_by_key(|trial| trial.number);
    (ordered, bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(number: u64, state: State, values: &[f64], steps: &[(u64, f64)]) -> Trial {
        Trial { number, point: Point::new(), state, values: values.to_vec(), steps: steps.to_vec() }
    }

    fn good(trials: &[Trial], directions: &[Direction], count: usize) -> Vec<u64> {
        let trials: Vec<&Trial> = trials.iter().collect();
        let (good, bad) = split(&trials, directions, count);
        let failed = trials.iter().filter(|trial| trial.state == State::Failed).count();
        assert_eq!(good.len() + bad.len() + failed, trials.len());
        good.iter().map(|trial| trial.number).collect()
    }

    #[test]
    fn complete_trials_come_before_pruned_ones_and_running_ones_are_bad() {
        let trials = [
            trial(0, State::Complete, &[3.0], &[]),
            trial(1, State::Complete, &[f64::NAN], &[]),
            trial(2, State::Running, &[], &[(1, -9.0)]),
            trial(3, State::Pruned, &[], &[(1, 0.1)]),
            trial(4, State::Pruned, &[], &[(1, 0.5), (2, 0.4)]),
            trial(5, State::Pruned, &[], &[(1, 0.5), (2, 0.3)]),
            trial(6, State::Pruned, &[], &[]),
            trial(7, State::Complete, &[1.0], &[]),
            trial(8, State::Failed, &[], &[]),
        ];
        let minimize = [Direction::Minimize];
        assert_eq!(good(&trials, &minimize, 1), [7]);
        assert_eq!(good(&trials, &minimize, 2), [0, 7]);
        assert_eq!(good(&trials, &[Direction::Maximize], 1), [0]);
        assert_eq!(good(&trials, &minimize, 4), [0, 1, 5, 7]);
        assert_eq!(good(&trials, &minimize, 6), [0, 1, 3, 4, 5, 7]);
    }

    #[test]
    fn several_objectives_are_split_by_rank() {
        let both = [[1.0, 5.0], [5.0, 1.0], [3.0, 3.0], [4.0, 4.0], [6.0, 6.0]];
        let trials: Vec<Trial> = (0..5).map(|index| trial(index as u64, State::Complete, &both[index], &[])).collect();
        assert_eq!(good(&trials, &[Direction::Minimize; 2], 3), [0, 1, 2]);
        assert_eq!(good(&trials, &[Direction::Minimize; 2], 4), [0, 1, 2, 3]);
        assert_eq!(good(&trials, &[Direction::Maximize; 2], 1), [4]);
    }

    #[test]
    fn old_observations_weigh_less() {
        assert_eq!(weights(0), Vec::<f64>::new());
        assert_eq!(weights(25), vec![1.0; 25]);
        let many = weights(30);
        for (got, expected) in many.iter().zip([1.0 / 30.0, 0.275, 31.0 / 60.0, 0.758_333_333_333_333_3, 1.0, 1.0]) {
            assert!((got - expected).abs() < 1e-12, "{many:?}");
        }
    }

    #[test]
    fn keys_with_one_condition_share_a_density() {
        let space: Space = serde_json::from_str(
            r#"{ "a": { "choices": [1, 2] }, "b": { "low": 0.0, "high": 1.0, "when": { "key": "a", "equals": 1 } },
                 "c": { "low": 0.0, "high": 1.0, "when": { "key": "a", "equals": 1 } },
                 "d": { "low": 0.0, "high": 1.0, "when": { "key": "a", "equals": 2 } },
                 "e": { "low": 0.0, "high": 1.0 } }"#,
        )
        .unwrap();
        assert_eq!(Tpe::default().groups(&space).unwrap(), [vec!["a", "e"], vec!["b", "c"], vec!["d"]]);
        let apart = Tpe { multivariate: false, ..Tpe::default() };
        assert_eq!(apart.groups(&space).unwrap().len(), 5);
    }
}
