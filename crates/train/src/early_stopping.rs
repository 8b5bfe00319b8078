//! When training stops by itself: one figure on the validation split is watched, the best epoch is
//! remembered, and after `patience` epochs without a gain training ends.
//!
//! The weights of the best epoch are kept by the fit loop; this module only decides.

use lepton_core::{Error, ErrorCode, Metric, Result};
use serde::{Deserialize, Serialize};

/// When to stop before the last epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EarlyStopping {
    /// Epochs in a row without a gain after which training ends, at least 1.
    pub patience: usize,
    /// The smallest change of the watched figure that counts as a gain.
    pub min_delta: f64,
    /// The metric on the validation split that is watched; `None` takes the task's: log loss for classes, the root mean
    /// squared error for numbers.
    pub monitor: Option<Metric>,
}

impl Default for EarlyStopping {
    fn default() -> EarlyStopping {
        EarlyStopping { patience: 5, min_delta: 0.0, monitor: None }
    }
}

impl EarlyStopping {
    /// Checks the values.
    ///
    /// # Errors
    /// [`ErrorCode::Config`], naming the key.
    pub fn validate(&self) -> Result<()> {
        if self.patience == 0 {
            return Err(Error::new(ErrorCode::Config, "must be at least 1")
                .at_key("train.early_stopping.patience")
                .fix("leave [train.early_stopping] out to train all epochs"));
        }
        if !(self.min_delta >= 0.0 && self.min_delta.is_finite()) {
            return Err(Error::new(ErrorCode::Config, format!("{} is not 0 or more", self.min_delta))
                .at_key("train.early_stopping.min_delta"));
        }
        Ok(())
    }
}

/// What one more epoch means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The epoch is the best so far: keep its weights.
    pub(crate) best: bool,
    /// Patience is used up.
    pub(crate) stop: bool,
}

/// The best epoch so far and the epochs since the last gain. Part of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BestSoFar {
    /// The best epoch, from 1; 0 before the first.
    pub(crate) epoch: usize,
    /// Its value of the watched figure.
    value: Option<f64>,
    /// The value that the next gain is measured from: it moves only by gains of `min_delta` and more.
    reference: Option<f64>,
    /// Epochs since the last gain.
    waited: usize,
}

impl BestSoFar {
    /// Takes the watched metric of `epoch`. Without `stopping` nothing stops.
    pub(crate) fn observe(
        &mut self,
        epoch: usize,
        metric: Metric,
        value: f64,
        stopping: Option<&EarlyStopping>,
    ) -> Verdict {
        let settings = stopping.copied().unwrap_or_default();
        let gain = |from: f64| if metric.higher_is_better() { value - from } else { from - value };
        let best = self.value.is_none_or(|best| gain(best) > 0.0);
        if best {
            (self.epoch, self.value) = (epoch, Some(value));
        }
        if self.reference.is_none_or(|reference| gain(reference) > settings.min_delta) {
            (self.reference, self.waited) = (Some(value), 0);
        } else {
            self.waited += 1;
        }
        Verdict { best, stop: stopping.is_some_and(|stopping| self.waited >= stopping.patience) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(stopping: Option<EarlyStopping>, values: &[f64]) -> (usize, Option<usize>) {
        let mut best = BestSoFar::default();
        for (index, &value) in values.iter().enumerate() {
            let metric = stopping.and_then(|stopping| stopping.monitor).unwrap_or(Metric::LogLoss);
            if best.observe(index + 1, metric, value, stopping.as_ref()).stop {
                return (best.epoch, Some(index + 1));
            }
        }
        (best.epoch, None)
    }

    #[test]
    fn stops_after_patience_epochs_without_a_gain() {
        let stopping = EarlyStopping { patience: 2, ..EarlyStopping::default() };
        assert_eq!(walk(Some(stopping), &[1.0, 0.5, 0.6, 0.4, 0.5, 0.45, 0.1]), (4, Some(6)));
        assert_eq!(walk(Some(stopping), &[1.0, 0.9, 0.8, 0.7]), (4, None));
        assert_eq!(walk(None, &[1.0, 2.0, 3.0, 4.0, 0.5]), (5, None));
    }

    #[test]
    fn higher_is_better_for_accuracy() {
        let stopping = EarlyStopping { patience: 1, monitor: Some(Metric::Accuracy), ..EarlyStopping::default() };
        assert_eq!(walk(Some(stopping), &[0.1, 0.5, 0.4]), (2, Some(3)));
    }

    #[test]
    fn gains_below_min_delta_are_kept_but_do_not_buy_time() {
        let stopping = EarlyStopping { patience: 2, min_delta: 0.1, monitor: None };
        assert_eq!(walk(Some(stopping), &[1.0, 0.95, 0.93]), (3, Some(3)));
        // Small gains add up against the reference.
        assert_eq!(walk(Some(stopping), &[1.0, 0.95, 0.85, 0.8, 0.7]), (5, None));
    }

    #[test]
    fn a_patience_of_zero_is_refused() {
        let zero = EarlyStopping { patience: 0, ..EarlyStopping::default() };
        assert_eq!(zero.validate().unwrap_err().place().key.as_deref(), Some("train.early_stopping.patience"));
        let negative = EarlyStopping { min_delta: -1.0, ..EarlyStopping::default() };
        assert!(negative.validate().is_err());
        assert!(EarlyStopping::default().validate().is_ok());
    }
}
