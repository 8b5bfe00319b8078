//! `[optimize]` of `lepton.toml`.

use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// What the stage tries and what it asks of the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizeSettings {
    /// Whether an INT8 version is made and measured.
    pub int8: bool,
    /// The largest loss of accuracy (as a fraction, 0.005 is half a percent), or of R2 where numbers are predicted, that
    /// INT8 may cost.
    pub accuracy_budget: f64,
    /// How many times faster INT8 must be, at one row and at eight; 1.05 is above the noise of a quiet machine.
    pub min_speedup: f64,
    /// The engine that measures and will serve; `None` times all that this machine has and takes the fastest.
    pub engine: Option<String>,
    /// Training rows that the ranges of the activations are taken from.
    pub calibration_rows: usize,
    /// Timed runs of each version at each batch size; the median counts.
    pub repeats: usize,
}

impl Default for OptimizeSettings {
    fn default() -> OptimizeSettings {
        OptimizeSettings {
            int8: true,
            accuracy_budget: 0.005,
            min_speedup: 1.05,
            engine: None,
            calibration_rows: 512,
            repeats: 101,
        }
    }
}

impl OptimizeSettings {
    /// Refuses values that cannot be meant.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] with the key.
    pub fn validate(&self) -> Result<()> {
        let refuse = |key: &str, text: &str| Err(Error::new(ErrorCode::Config, text).at_key(format!("optimize.{key}")));
        if !(0.0..=1.0).contains(&self.accuracy_budget) {
            return refuse("accuracy_budget", "must be between 0 and 1");
        }
        if !(1.0..=1000.0).contains(&self.min_speedup) {
            return refuse("min_speedup", "must be between 1 and 1000");
        }
        if self.calibration_rows == 0 {
            return refuse("calibration_rows", "must be at least 1");
        }
        if self.repeats == 0 {
            return refuse("repeats", "must be at least 1");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_that_cannot_be_meant_is_refused_with_its_key() {
        OptimizeSettings::default().validate().unwrap();
        let bad = [
            ("accuracy_budget", OptimizeSettings { accuracy_budget: -0.1, ..OptimizeSettings::default() }),
            ("accuracy_budget", OptimizeSettings { accuracy_budget: f64::NAN, ..OptimizeSettings::default() }),
            ("min_speedup", OptimizeSettings { min_speedup: 0.9, ..OptimizeSettings::default() }),
            ("calibration_rows", OptimizeSettings { calibration_rows: 0, ..OptimizeSettings::default() }),
            ("repeats", OptimizeSettings { repeats: 0, ..OptimizeSettings::default() }),
        ];
        for (key, settings) in bad {
            let error = settings.validate().unwrap_err();
            assert_eq!(error.place().key.as_deref(), Some(format!("optimize.{key}").as_str()));
        }
    }
}
