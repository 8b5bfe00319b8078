//! Names of metrics, and which way is better.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Metric values by the metric's name, `accuracy` or `log_loss`.
pub type Metrics = BTreeMap<String, f64>;

/// Metric values by split name, then metric name.
pub type MetricsBySplit = BTreeMap<String, Metrics>;

/// How sure metrics are: intervals by the bootstrap over rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confidence {
    /// The share of resamples that lie within.
    pub level: f64,
    /// How often rows were drawn.
    pub resamples: usize,
    /// The lower and the upper end by metric.
    pub intervals: BTreeMap<String, [f64; 2]>,
}

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
    /// F1 of several labels a row, over all rows and labels at once; 0 to 1.
    MicroF1,
    /// Share of rows whose labels are exactly the true ones; 0 to 1.
    SubsetAccuracy,
    /// Share of labels that are wrongly given or wrongly left out, over all rows; 0 is perfect.
    HammingLoss,
    /// The mean precision over the places of true labels in the order of their scores, of each label, averaged over
    /// labels; 0 to 1.
    AveragePrecision,
    /// The share of the variance that is explained; 1 is perfect, 0 as good as the mean.
    R2,
    /// The root of the mean squared error, in the target's unit.
    Rmse,
    /// The mean absolute error, in the target's unit.
    Mae,
    /// The mean absolute error of a forecast over that which the seasonal naive forecast makes inside the history
    /// (Hyndman and Koehler 2006); 0 is perfect.
    Mase,
    /// The symmetric mean absolute percentage error as a share, 0 to 2.
    Smape,
    /// The mean pinball loss over all quantiles, in the target's unit.
    Pinball,
    /// Twice the pinball loss over the size of the truth (GluonTS's mean weighted quantile loss).
    WeightedQuantileLoss,
    /// The share of values between the lowest and the highest quantile; best where it is the distance of their levels.
    Coverage,
    /// The mean distance between the lowest and the highest quantile, in the target's unit.
    IntervalWidth,
    /// [`Metric::Mase`] of the seasonal naive forecast at the same origins.
    MaseSeasonalNaive,
    /// [`Metric::Mase`] of exponential smoothing at the same origins.
    MaseEts,
    /// The share of the seasonal naive forecast's error that the model saves; 1 is perfect, below 0 is worse.
    SkillOverSeasonalNaive,
}

impl Metric {
    /// All metrics of this build.
    pub const ALL: [Metric; 21] = [
        Metric::Accuracy,
        Metric::LogLoss,
        Metric::MacroF1,
        Metric::BalancedAccuracy,
        Metric::RocAuc,
        Metric::MicroF1,
        Metric::SubsetAccuracy,
        Metric::HammingLoss,
        Metric::AveragePrecision,
        Metric::R2,
        Metric::Rmse,
        Metric::Mae,
        Metric::Mase,
        Metric::Smape,
        Metric::Pinball,
        Metric::WeightedQuantileLoss,
        Metric::Coverage,
        Metric::IntervalWidth,
        Metric::MaseSeasonalNaive,
        Metric::MaseEts,
        Metric::SkillOverSeasonalNaive,
    ];

    /// Those of classes.
    pub const OF_CLASSES: [Metric; 5] =
        [Metric::Accuracy, Metric::LogLoss, Metric::MacroF1, Metric::BalancedAccuracy, Metric::RocAuc];

    /// Those of several labels a row. The loss is the mean of the binary log loss over labels, and areas are means over
    /// labels.
    pub const OF_LABELS: [Metric; 7] = [
        Metric::MicroF1,
        Metric::MacroF1,
        Metric::SubsetAccuracy,
        Metric::HammingLoss,
        Metric::LogLoss,
        Metric::AveragePrecision,
        Metric::RocAuc,
    ];

    /// Those of numbers.
    pub const OF_NUMBERS: [Metric; 3] = [Metric::R2, Metric::Rmse, Metric::Mae];

    /// Those of forecasts. What the baselines reach is among them where they were computed.
    pub const OF_FORECASTS: [Metric; 11] = [
        Metric::Mase,
        Metric::Smape,
        Metric::Rmse,
        Metric::Mae,
        Metric::Pinball,
        Metric::WeightedQuantileLoss,
        Metric::Coverage,
        Metric::IntervalWidth,
        Metric::MaseSeasonalNaive,
        Metric::MaseEts,
        Metric::SkillOverSeasonalNaive,
    ];

    /// The name in reports and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::LogLoss => "log_loss",
            Metric::MacroF1 => "macro_f1",
            Metric::BalancedAccuracy => "balanced_accuracy",
            Metric::RocAuc => "roc_auc",
            Metric::MicroF1 => "micro_f1",
            Metric::SubsetAccuracy => "subset_accuracy",
            Metric::HammingLoss => "hamming_loss",
            Metric::AveragePrecision => "average_precision",
            Metric::R2 => "r2",
            Metric::Rmse => "rmse",
            Metric::Mae => "mae",
            Metric::Mase => "mase",
            Metric::Smape => "smape",
            Metric::Pinball => "pinball",
            Metric::WeightedQuantileLoss => "weighted_quantile_loss",
            Metric::Coverage => "coverage",
            Metric::IntervalWidth => "interval_width",
            Metric::MaseSeasonalNaive => "mase_seasonal_naive",
            Metric::MaseEts => "mase_ets",
            Metric::SkillOverSeasonalNaive => "skill_over_seasonal_naive",
        }
    }

    /// Whether it is a share of one, which people read as a percentage.
    pub fn is_share(self) -> bool {
        matches!(
            self,
            Metric::Accuracy
                | Metric::MacroF1
                | Metric::BalancedAccuracy
                | Metric::MicroF1
                | Metric::SubsetAccuracy
                | Metric::HammingLoss
        )
    }

    /// Whether more is better.
    pub fn higher_is_better(self) -> bool {
        matches!(
            self,
            Metric::Accuracy
                | Metric::MacroF1
                | Metric::BalancedAccuracy
                | Metric::RocAuc
                | Metric::MicroF1
                | Metric::SubsetAccuracy
                | Metric::AveragePrecision
                | Metric::R2
                | Metric::Coverage
                | Metric::SkillOverSeasonalNaive
        )
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
