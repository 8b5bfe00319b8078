//! Names of metrics, and which way is better.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Metric values by the metric's name, `accuracy` or `log_loss`.
pub type Metrics = BTreeMap<String, f64>;

/// Metric values by split name, then metric name.
pub type MetricsBySplit = BTreeMap<String, Metrics>;

/// A metric, by scikit-learn's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Share of rows whose most probable class is the true one; 0 to 1.
    Accuracy,
    /// Mean negative log probability of the true class, natural logarithm.
    LogLoss,
    /// Unweighted mean over classes of the F1 score; 0 to 1.
    MacroF1,
}

impl Metric {
    /// All metrics of this build.
    pub const ALL: [Metric; 3] = [Metric::Accuracy, Metric::LogLoss, Metric::MacroF1];

    /// The name in reports and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::LogLoss => "log_loss",
            Metric::MacroF1 => "macro_f1",
        }
    }

    /// Whether more is better.
    pub fn higher_is_better(self) -> bool {
        !matches!(self, Metric::LogLoss)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
