//! Which running trials are not worth finishing. Every answer is a function of the trial and its fellows: no pruner
//! remembers anything, so a killed search goes on as it was.
//!
//! Steps are what a trial spends (epochs, say), counted from 1, and their values are those of the first objective.

use crate::trial::{Direction, State, Trial};
use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// How it is decided. Written as `{ kind = "median", startup_trials = 5 }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Pruner {
    /// A trial ends where its best value so far is worse than the median of what complete trials had at the same
    /// step (the rule of Golovin et al., "Google Vizier", 2017, without its averages).
    Median {
        /// Complete trials before any trial is pruned.
        #[serde(default = "five")]
        startup_trials: usize,
        /// Steps of every trial before it may be pruned.
        #[serde(default)]
        warmup_steps: u64,
        /// Steps between two decisions about a trial, at least 1.
        #[serde(default = "one")]
        interval: u64,
    },
    /// Asynchronous successive halving (Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2018): at
    /// `min_resource`, `min_resource * reduction_factor`, ... steps a trial goes on only where it is among the best
    /// `1 / reduction_factor` of those that have come so far.
    Asha {
        /// Steps at the first decision, at least 1.
        #[serde(default = "one")]
        min_resource: u64,
        /// The share that goes on is one over this; at least 2.
        #[serde(default = "three")]
        reduction_factor: u64,
        /// Steps of a whole trial; nothing is decided from there on.
        max_resource: u64,
    },
    /// Several halvings side by side that begin at different steps, from one that decides early to one that never does
    /// (Li et al., "Hyperband", 2017). A trial's number says which it belongs to; it competes there only.
    Hyperband {
        /// Steps at the first decision of the halving that decides earliest, at least 1.
        #[serde(default = "one")]
        min_resource: u64,
        /// The share that goes on is one over this; at least 2.
        #[serde(default = "three")]
        reduction_factor: u64,
        /// Steps of a whole trial.
        max_resource: u64,
    },
}

fn one() -> u64 {
    1
}

fn three() -> u64 {
    3
}

fn five() -> usize {
    5
}

impl Pruner {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`ErrorCode::Config`], naming the key below `tune.pruner`.
    pub fn validate(&self) -> Result<()> {
        let wrong = |key: &str, message: String| {
            Err(Error::new(ErrorCode::Config, message).at_key(format!("tune.pruner.{key}")))
        };
        match *self {
            Pruner::Median { interval: 0, .. } => wrong("interval", "must be at least 1".to_owned()),
            Pruner::Median { .. } => Ok(()),
            Pruner::Asha { min_resource, reduction_factor, max_resource }
            | Pruner::Hyperband { min_resource, reduction_factor, max_resource } => {
                if min_resource == 0 {
                    return wrong("min_resource", "must be at least 1".to_owned());
                }
                if reduction_factor < 2 {
                    return wrong("reduction_factor", "must be at least 2".to_owned());
                }
                if max_resource <= min_resource {
                    return wrong("max_resource", format!("{max_resource} is not above min_resource {min_resource}"));
                }
                Ok(())
            }
        }
    }

    /// Whether `trial`, which has just reported its last step, should end. `history` has the other trials; one of the
    /// same number is passed over. `direction` is that of the first objective. A trial without steps never ends, and
    /// neither does any under settings that [`Pruner::validate`] refuses.
    pub fn should_prune(&self, trial: &Trial, history: &[Trial], direction: Direction) -> bool {
        if self.validate().is_err() {
            return false;
        }
        let fellows = || history.iter().filter(|other| other.number != trial.number);
        match *self {
            Pruner::Median { startup_trials, warmup_steps, interval } => {
                let complete: Vec<&Trial> = fellows().filter(|other| other.state == State::Complete).collect();
                complete.len() >= startup_trials
                    && is_due(trial, warmup_steps, interval)
                    && is_below_median(trial, &complete, direction)
            }
            Pruner::Asha { min_resource, reduction_factor, max_resource } => {
                let fellows: Vec<&Trial> = fellows().collect();
                loses_rung(trial, &fellows, direction, Rungs { min_resource, reduction_factor, max_resource })
            }
            Pruner::Hyperband { min_resource, reduction_factor, max_resource } => {
                let rungs = Rungs { min_resource, reduction_factor, max_resource };
                let bracket = rungs.bracket(trial.number);
                let fellows: Vec<&Trial> = fellows().filter(|other| rungs.bracket(other.number) == bracket).collect();
                let first = rungs.at(bracket).unwrap_or(max_resource);
                loses_rung(trial, &fellows, direction, Rungs { min_resource: first, ..rungs })
            }
        }
    }
}

/// Whether the last step is the first one since the last decision fell due.
fn is_due(trial: &Trial, warmup_steps: u64, interval: u64) -> bool {
    let Some((step, _)) = trial.last_step() else { return false };
    if step < warmup_steps {
        return false;
    }
    let due = warmup_steps + (step - warmup_steps) / interval * interval;
    let before = trial.steps.iter().rev().nth(1);
    before.is_none_or(|(before, _)| *before < due)
}

fn is_below_median(trial: &Trial, complete: &[&Trial], direction: Direction) -> bool {
    let Some((step, _)) = trial.last_step() else { return false };
    let best = trial.steps.iter().map(|(_, value)| direction.loss(*value)).fold(f64::INFINITY, f64::min);
    let at_step = |other: &&Trial| {
        other.steps.iter().find(|(other, _)| *other == step).map(|(_, value)| *value).filter(|value| !value.is_nan())
    };
    let mut losses: Vec<f64> = complete.iter().filter_map(at_step).map(|value| direction.loss(value)).collect();
    losses.sort_by(f64::total_cmp);
    let middle = losses.len() / 2;
    match losses.len() {
        // Nothing was ever a number: no fellow is needed to tell.
        _ if trial.steps.iter().all(|(_, value)| value.is_nan()) => true,
        0 => false,
        count if count % 2 == 1 => best > losses[middle],
        _ => best > 0.5 * (losses[middle - 1] + losses[middle]),
    }
}

/// The steps at which successive halving decides.
#[derive(Clone, Copy)]
struct Rungs {
    min_resource: u64,
    reduction_factor: u64,
    max_resource: u64,
}

impl Rungs {
    /// The step of one rung, from 0; `None` from `max_resource` on.
    fn at(self, rung: u32) -> Option<u64> {
        let step = self.reduction_factor.checked_pow(rung)?.checked_mul(self.min_resource)?;
        (step < self.max_resource).then_some(step)
    }

    /// The first rung of the halving that a trial belongs to. A halving that begins `late` rungs later begins with
    /// fewer trials: each has about the same steps to spend.
    fn bracket(self, number: u64) -> u32 {
        let count = (0..).take_while(|&rung| self.at(rung).is_some()).count() as u32 + 1;
        let trials = |late: u32| {
            let halvings = count - 1 - late;
            let widest = self.reduction_factor.saturating_pow(halvings).saturating_mul(u64::from(count));
            widest.div_ceil(u64::from(halvings) + 1)
        };
        let total = (0..count).fold(0u64, |total, late| total.saturating_add(trials(late)));
        let mut place = number % total.max(1);
        for late in 0..count {
            if place < trials(late) {
                return late;
            }
            place -= trials(late);
        }
        count - 1
    }
}

/// Whether the last report of `trial` takes it onto a rung where it is not among the best.
fn loses_rung(trial: &Trial, fellows: &[&Trial], direction: Direction, rungs: Rungs) -> bool {
    let Some((last, _)) = trial.last_step() else { return false };
    let before = trial.steps.iter().rev().nth(1).map(|(step, _)| *step);
    (0..)
        .map_while(|rung| rungs.at(rung))
        .skip_while(|&step| before.is_some_and(|before| before >= step))
        .take_while(|&step| step <= last)
        .any(|step| {
            let Some(own) = loss_on(trial, step, direction) else { return false };
            let better = fellows.iter().filter_map(|other| loss_on(other, step, direction));
            let (arrived, ahead) =
                better.fold((1, 0), |(arrived, ahead), loss| (arrived + 1, ahead + u64::from(loss < own)));
            // What is not a number never goes on, even alone.
            own == f64::INFINITY || ahead >= (arrived / rungs.reduction_factor).max(1)
        })
}

/// The loss with which a trial came onto the rung at `rung`: that of the first report there or later.
fn loss_on(trial: &Trial, rung: u64, direction: Direction) -> Option<f64> {
    trial.steps.iter().find(|(step, _)| *step >= rung).map(|(_, value)| direction.loss(*value))
}

#[cfg(test)]
mod tests;
