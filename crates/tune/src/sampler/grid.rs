//! All combinations, one after the other.

use super::wrong_setting;
use crate::space::{Point, Space};
use crate::trial::{State, Trial};
use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The largest grid that is walked.
const LARGEST: u64 = 1_000_000;

/// Settings of the grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grid {
    /// How many values a dimension that is a continuous range has, evenly spaced from low to high with both ends
    /// (on the logarithm where it has one), at least 2. Other dimensions have all their values.
    pub points: usize,
}

impl Default for Grid {
    fn default() -> Grid {
        Grid { points: 5 }
    }
}

impl Grid {
    /// How many combinations the grid of `space` has, those of dimensions that do not apply not counted.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] where the space is wrong, [`ErrorCode::TooLarge`] past a million.
    pub fn count(&self, space: &Space) -> Result<u64> {
        self.validate()?;
        space.validate()?;
        Ok(self.points_of(space)?.len() as u64)
    }

    pub(super) fn validate(&self) -> Result<()> {
        match self.points {
            2..=10_000 => Ok(()),
            points => Err(wrong_setting("points", format!("{points} is not between 2 and 10000"))),
        }
    }

    /// The combination of trial `number`. A trial that failed keeps its place: it is not tried again, because it would
    /// fail again.
    pub(super) fn suggest(&self, space: &Space, trials: &[&Trial], number: u64) -> Result<Point> {
        let points = self.points_of(space)?;
        let exhausted = || {
            let complete = trials.iter().filter(|trial| trial.state == State::Complete).count();
            Error::new(
                ErrorCode::NotFound,
                format!(
                    "the grid has {} points and trial {number} would be one more; {complete} are complete",
                    points.len()
                ),
            )
            .at_key("tune.trials")
            .fix(format!("ask for at most {} trials, raise tune.sampler.points, or take another sampler", points.len()))
        };
        usize::try_from(number).ok().and_then(|index| points.get(index)).cloned().ok_or_else(exhausted)
    }

    /// Every combination, the last key changing fastest.
    fn points_of(&self, space: &Space) -> Result<Vec<Point>> {
        let mut points = vec![Point::new()];
        for key in space.order()? {
            let values = self.values(space, key);
            let each = space.dimensions[key].domain.count().unwrap_or(self.points as u64);
            let too_large = || {
                Error::new(ErrorCode::TooLarge, format!("the grid has more than {LARGEST} points"))
                    .at_key("tune.sampler")
                    .fix("give the dimensions fewer values, or take another sampler")
            };
            let mut longer = Vec::new();
            for point in points {
                if !space.applies(key, &point) {
                    longer.push(point);
                    continue;
                }
                if (longer.len() as u64).saturating_add(each) > LARGEST {
                    return Err(too_large());
                }
                longer.extend(values.clone().map(|value| {
                    let mut next = point.clone();
                    next.insert(key.to_owned(), value);
                    next
                }));
            }
            points = longer;
        }
        Ok(points)
    }

    /// The values of one dimension.
    fn values<'a>(&self, space: &'a Space, key: &str) -> impl Iterator<Item = Value> + Clone + use<'a> {
        let domain = &space.dimensions[key].domain;
        let (count, points) = (domain.count(), self.points as u64);
        (0..count.unwrap_or(points)).map(move |index| match count {
            None => domain.from_unit(index as f64 / (points - 1) as f64),
            Some(_) => domain.value_at(index),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn space() -> Space {
        serde_json::from_str(
            r#"{ "kind": { "choices": ["a", "b"] }, "size": { "low": 1, "high": 100, "log": true },
                 "rate": { "low": 1e-4, "high": 1.0, "log": true, "when": { "key": "kind", "equals": "a" } } }"#,
        )
        .unwrap()
    }

    #[test]
    fn all_combinations_come_once_and_then_an_error() {
        let grid = Grid { points: 3 };
        assert_eq!(grid.count(&space()).unwrap(), 100 * 3 + 100);
        let mut seen = BTreeSet::new();
        for number in 0..400 {
            let point = grid.suggest(&space(), &[], number).unwrap();
            assert!(space().contains(&point));
            if let Some(rate) = point.get("rate").and_then(Value::as_f64) {
                assert!([1e-4, 1e-2, 1.0].iter().any(|value| (value / rate - 1.0).abs() < 1e-9), "{rate}");
            }
            assert!(seen.insert(serde_json::to_string(&point).unwrap()));
        }
        let error = grid.suggest(&space(), &[], 400).unwrap_err();
        assert!(error.message().contains("400 points") && error.remedy().is_some(), "{error}");
    }

    #[test]
    fn a_grid_past_all_bounds_is_refused() {
        let wide: Space = serde_json::from_str(
            r#"{ "a": { "low": 0, "high": 9007199254740991 }, "b": { "low": 0, "high": 5000 },
                 "c": { "low": 0, "high": 5000 } }"#,
        )
        .unwrap();
        assert_eq!(Grid::default().count(&wide).unwrap_err().code(), ErrorCode::TooLarge);
        let squares: Space =
            serde_json::from_str(r#"{ "b": { "low": 0, "high": 5000 }, "c": { "low": 0, "high": 5000 } }"#).unwrap();
        assert_eq!(Grid::default().count(&squares).unwrap_err().code(), ErrorCode::TooLarge);
        assert!(Grid { points: 1 }.count(&squares).is_err());
    }
}
