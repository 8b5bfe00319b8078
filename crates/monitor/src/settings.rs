//! `[monitor]` of `lepton.toml`: from where on a difference counts as drift.

use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// Thresholds of drift.
///
/// A statistic counts as drift when it is above its threshold here **and** above what chance gives at this
/// number of rows; [`crate::ColumnDrift::threshold`] is the larger of the two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MonitorSettings {
    /// Values, in the reference and in the traffic each, below which nothing is said about a column.
    pub min_rows: u64,
    /// Population stability index, above 0. The usual reading: below 0.1 stable, above 0.2 changed.
    pub psi: f64,
    /// Kolmogorov-Smirnov distance, 0 to 1. Sketches resolve about 0.01.
    pub ks: f64,
    /// The chance, per statistic, of a false alarm that is tolerated; 0 to 1, both excluded.
    pub significance: f64,
    /// Bins that numbers are cut into for the PSI, at the reference's quantiles; 2 to 100.
    pub bins: usize,
    /// Categories that are compared by name, the reference's most frequent ones; 1 to 256. The rest is one more.
    pub categories: usize,
}

impl Default for MonitorSettings {
    fn default() -> MonitorSettings {
        MonitorSettings { min_rows: 100, psi: 0.2, ks: 0.1, significance: 0.001, bins: 10, categories: 30 }
    }
}

impl MonitorSettings {
    /// Refuses values outside their ranges.
    ///
    /// # Errors
    /// [`ErrorCode::Config`], naming the key.
    pub fn check(&self) -> Result<()> {
        let wrong = |key: &str, range: &str| {
            Err(Error::new(ErrorCode::Config, format!("must be {range}")).at_key(format!("monitor.{key}")))
        };
        // Written so that a NaN is refused too.
        if !(self.psi > 0.0 && self.psi.is_finite()) {
            return wrong("psi", "a number above 0");
        }
        if !(self.ks > 0.0 && self.ks <= 1.0) {
            return wrong("ks", "above 0 and at most 1");
        }
        if !(self.significance > 0.0 && self.significance < 1.0) {
            return wrong("significance", "between 0 and 1, both excluded");
        }
        if self.min_rows == 0 {
            return wrong("min_rows", "at least 1");
        }
        if !(2..=100).contains(&self.bins) {
            return wrong("bins", "2 to 100");
        }
        if !(1..=256).contains(&self.categories) {
            return wrong("categories", "1 to 256");
        }
        Ok(())
    }
}
