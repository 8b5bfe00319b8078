//! What was tried and what came of it.

use crate::space::Point;
use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// Whether a figure is better when it is smaller or when it is larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Smaller is better.
    #[default]
    Minimize,
    /// Larger is better.
    Maximize,
}

impl Direction {
    /// `value` as a loss: smaller is always better, and what is not a number is worse than anything.
    pub fn loss(self, value: f64) -> f64 {
        match self {
            _ if value.is_nan() => f64::INFINITY,
            Direction::Minimize => value,
            Direction::Maximize => -value,
        }
    }
}

/// How far a trial has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was handed out and has not ended.
    Running,
    /// It ended and has its values.
    Complete,
    /// It was stopped because it was not worth finishing; its steps say how it did until then.
    Pruned,
    /// It broke. Samplers learn nothing from it.
    Failed,
}

/// One point and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Its number in the search, from 0. Each number is used once.
    pub number: u64,
    /// The settings that it tried.
    pub point: Point,
    /// How far it has come.
    pub state: State,
    /// One value per objective where the trial is complete; otherwise empty.
    #[serde(default)]
    pub values: Vec<f64>,
    /// The first objective along the way, as (step, value), with steps that increase.
    #[serde(default)]
    pub steps: Vec<(u64, f64)>,
}

impl Trial {
    /// The last step that was reported, and its value.
    pub fn last_step(&self) -> Option<(u64, f64)> {
        self.steps.last().copied()
    }
}

/// The trials of `history` before or beside trial `number`, by number, so that the order in which they are handed
/// over changes nothing.
///
/// # Errors
/// [`ErrorCode::BadInput`] where there is no objective, a complete trial has another count of values than there are
/// objectives, or a number occurs twice.
pub(crate) fn others<'a>(history: &'a [Trial], directions: &[Direction], number: u64) -> Result<Vec<&'a Trial>> {
    if directions.is_empty() {
        return Err(Error::new(ErrorCode::BadInput, "a search needs at least one objective")
            .fix("name what is to be minimised or maximised"));
    }
    let mut trials: Vec<&Trial> = history.iter().filter(|trial| trial.number != number).collect();
    trials.sort_by_key(|trial| trial.number);
    if let Some(pair) = trials.windows(2).find(|pair| pair[0].number == pair[1].number) {
        return Err(Error::new(ErrorCode::BadInput, format!("trial {} occurs twice in the history", pair[0].number)));
    }
    let broken = |trial: &&&Trial| trial.state == State::Complete && trial.values.len() != directions.len();
    if let Some(trial) = trials.iter().find(broken) {
        return Err(Error::new(
            ErrorCode::BadInput,
            format!(
                "trial {} has {} values where the search has {} objectives",
                trial.number,
                trial.values.len(),
                directions.len()
            ),
        )
        .fix("continue a search with the objectives that it was started with"));
    }
    Ok(trials)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(number: u64, values: &[f64]) -> Trial {
        Trial {
            number,
            point: Point::new(),
            state: State::Complete,
            values: values.to_vec(),
            steps: vec![(1, 0.5), (2, 0.25)],
        }
    }

    #[test]
    fn a_trial_survives_json() {
        let text = serde_json::to_string(&trial(3, &[0.1])).unwrap();
        assert_eq!(text, r#"{"number":3,"point":{},"state":"complete","values":[0.1],"steps":[[1,0.5],[2,0.25]]}"#);
        assert_eq!(serde_json::from_str::<Trial>(&text).unwrap(), trial(3, &[0.1]));
    }

    #[test]
    fn history_is_sorted_and_checked() {
        let both = [trial(2, &[1.0]), trial(0, &[2.0]), trial(1, &[3.0])];
        let numbers = |number| -> Vec<u64> {
            others(&both, &[Direction::Minimize], number).unwrap().iter().map(|trial| trial.number).collect()
        };
        assert_eq!(numbers(9), [0, 1, 2]);
        assert_eq!(numbers(1), [0, 2]);
        assert!(others(&both, &[], 9).is_err());
        assert!(others(&both, &[Direction::Minimize; 2], 9).unwrap_err().message().contains("2 objectives"));
        let twice = [trial(2, &[1.0]), trial(2, &[1.0])];
        assert!(others(&twice, &[Direction::Minimize], 9).unwrap_err().message().contains("twice"));
    }

    #[test]
    fn losses_put_what_is_no_number_last() {
        assert_eq!(Direction::Maximize.loss(2.0), -2.0);
        assert_eq!(Direction::Minimize.loss(2.0), 2.0);
        assert_eq!(Direction::Maximize.loss(f64::NAN), f64::INFINITY);
    }
}
