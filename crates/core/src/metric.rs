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
    /// Unweighted mean over classes of the recall; 0 to 1.
    BalancedAccuracy,
    /// The probability that a row of a class scores higher for it than a row of another class; of more than two
    /// classes the unweighted mean of each against the rest; 0 to 1.
    RocAuc,
    /// The share of the variance that is explained; 1 is perfect, 0 as good as the mean.
    R2,
    /// The root of the mean squared error, in the target's unit.
    Rmse,
    /// The mean absolute error, in the target's unit.
    Mae,
}

impl Metric {
    /// All metrics of this build.
    pub const ALL: [Metric; 8] = [
        Metric::Accuracy,
        Metric::LogLoss,
        Metric::MacroF1,
        Metric::BalancedAccuracy,
        Metric::RocAuc,
        Metric::R2,
        Metric::Rmse,
        Metric::Mae,
    ];

    /// Those of classes.
    pub const OF_CLASSES: [Metric; 5] =
        [Metric::Accuracy, Metric::LogLoss, Metric::MacroF1, Metric::BalancedAccuracy, Metric::RocAuc];

    /// Those of numbers.
    pub const OF_NUMBERS: [Metric; 3] = [Metric::R2, Metric::Rmse, Metric::Mae];

    /// The name in reports and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::LogLoss => "log_loss",
            Metric::MacroF1 => "macro_f1",
            Metric::BalancedAccuracy => "balanced_accuracy",
            Metric::RocAuc => "roc_auc",
            Metric::R2 => "r2",
            Metric::Rmse => "rmse",
            Metric::Mae => "mae",
        }
    }

    /// Whether it is a share of one, which people read as a percentage.
    pub fn is_share(self) -> bool {
        matches!(self, Metric::Accuracy | Metric::MacroF1 | Metric::BalancedAccuracy)
    }

    /// Whether more is better.
    pub fn higher_is_better(self) -> bool {
        !matches!(self, Metric::LogLoss | Metric::Rmse | Metric::Mae)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
