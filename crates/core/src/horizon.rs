//! What a forecast gives: how many steps, which quantiles of each, and the transform and scale that a network's numbers
//! are on. It is data in recipe and manifest, so that training, evaluation and serving read one and the same thing.

use crate::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// Numbers that one forecast may hold, so that a manifest from outside cannot ask for all memory: 2^20.
const MOST_NUMBERS: usize = 1 << 20;

/// What is done to values before they are standardised. Each keeps their order, so that a quantile stays the quantile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// Nothing.
    #[default]
    None,
    /// The natural logarithm, of values above 0: for what swings in proportion to its size.
    Log,
    /// The square root, of values from 0 up: for counts, which swing with the root of their size.
    Sqrt,
}

impl Transform {
    /// The transformed value; `None` where there is none.
    pub fn apply(self, value: f64) -> Option<f64> {
        let value = match self {
            Transform::None => value,
            Transform::Log => value.ln(),
            Transform::Sqrt => value.sqrt(),
        };
        value.is_finite().then_some(value)
    }

    /// The way back. A root below 0 comes back as 0.
    pub fn undo(self, value: f64) -> f64 {
        match self {
            Transform::None => value,
            Transform::Log => value.exp(),
            Transform::Sqrt => value.max(0.0).powi(2),
        }
    }
}

/// The steps ahead that are forecast. A network gives `steps * quantiles` numbers a row, the quantiles of a step side by
/// side; a number `x` of it is `offset + scale * x` in the transformed unit of the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Horizon {
    /// Steps ahead.
    pub steps: usize,
    /// Levels of the quantiles, rising between 0 and 1; 0.5 is among them.
    pub quantiles: Vec<f64>,
    /// Steps of a season; 1 where there is none.
    pub season: usize,
    /// What was done to the values.
    pub transform: Transform,
    /// The mean of the transformed training values.
    pub offset: f64,
    /// Their standard deviation.
    pub scale: f64,
}

impl Horizon {
    /// Numbers of one forecast.
    pub fn outputs(&self) -> usize {
        self.steps.saturating_mul(self.quantiles.len())
    }

    /// The place of the median among the levels.
    pub fn median(&self) -> Option<usize> {
        self.quantiles.iter().position(|level| *level == 0.5)
    }

    /// A value of the data on the network's scale; `None` for what cannot be transformed.
    pub fn to_network(&self, value: f64) -> Option<f64> {
        Some((self.transform.apply(value)? - self.offset) / self.scale)
    }

    /// A number of the network in the unit of the data.
    pub fn to_data(&self, output: f64) -> f64 {
        self.transform.undo(self.offset + self.scale * output)
    }

    /// A network's numbers of one row in the unit of the data, the quantiles of each step in rising order: a network may
    /// put a higher one below a lower one, and sorting them never makes a forecast worse (Chernozhukov and others 2010).
    pub fn quantiles_of(&self, outputs: &[f32]) -> Vec<f64> {
        let mut values: Vec<f64> = outputs.iter().map(|output| self.to_data(f64::from(*output))).collect();
        values.chunks_mut(self.quantiles.len().max(1)).for_each(|step| step.sort_by(f64::total_cmp));
        values
    }

    /// Refuses what cannot have come from a fit.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`].
    pub fn check(&self) -> Result<()> {
        let rising = self.quantiles.windows(2).all(|pair| pair[0] < pair[1]);
        let levels = rising && self.quantiles.iter().all(|level| *level > 0.0 && *level < 1.0);
        let scale = self.offset.is_finite() && self.scale.is_finite() && self.scale > 0.0;
        let size = self.steps > 0 && self.season > 0 && self.outputs() <= MOST_NUMBERS;
        if levels && scale && size && self.median().is_some() {
            return Ok(());
        }
        Err(Error::new(ErrorCode::BadData, "the horizon has no steps, its quantiles do not rise, or its scale is none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn horizon(transform: Transform) -> Horizon {
        Horizon { steps: 2, quantiles: vec![0.1, 0.5, 0.9], season: 12, transform, offset: 1.0, scale: 2.0 }
    }

    #[test]
    fn values_go_to_the_network_and_back() {
        for horizon in [Transform::None, Transform::Log, Transform::Sqrt].map(horizon) {
            assert!((horizon.to_data(horizon.to_network(7.5).unwrap()) - 7.5).abs() < 1e-12);
        }
        assert_eq!(horizon(Transform::Log).to_network(0.0), None);
        assert_eq!(horizon(Transform::Sqrt).to_network(-1.0), None);
        assert_eq!(horizon(Transform::Sqrt).to_data(-3.0), 0.0);
        assert_eq!((horizon(Transform::None).outputs(), horizon(Transform::None).median()), (6, Some(1)));
    }

    #[test]
    fn crossing_quantiles_are_sorted_step_by_step() {
        assert_eq!(
            horizon(Transform::None).quantiles_of(&[2.0, 1.0, 0.0, -1.0, 3.0, 1.0]),
            [1.0, 3.0, 5.0, -1.0, 3.0, 7.0]
        );
    }

    #[test]
    fn what_no_fit_gives_is_refused() {
        assert!(horizon(Transform::None).check().is_ok());
        for wrong in [
            Horizon { steps: 0, ..horizon(Transform::None) },
            Horizon { steps: usize::MAX, ..horizon(Transform::None) },
            Horizon { quantiles: vec![0.1, 0.9], ..horizon(Transform::None) },
            Horizon { quantiles: vec![0.9, 0.5], ..horizon(Transform::None) },
            Horizon { scale: 0.0, ..horizon(Transform::None) },
            Horizon { offset: f64::NAN, ..horizon(Transform::None) },
        ] {
            assert_eq!(wrong.check().unwrap_err().code(), ErrorCode::BadData, "{wrong:?}");
        }
    }
}
