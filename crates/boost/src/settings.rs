//! `[train.boosting]` of `lepton.toml`: what a person may say about boosted trees, its defaults and its checks.

use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// `[train.boosting]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BoostSettings {
    /// Rounds of boosting at most, 1 to 100,000. A round grows one tree for each output.
    pub rounds: usize,
    /// The share of each tree's answer that is added, above 0 and at most 1.
    pub learning_rate: f64,
    /// Leaves of one tree at most, 2 to 65,536.
    pub max_leaves: usize,
    /// Splits between a root and a leaf at most, 1 to 64.
    pub max_depth: usize,
    /// Training rows in a leaf at least, 1 or more.
    pub min_rows_per_leaf: usize,
    /// The sum of second derivatives in a leaf at least, 0 or more.
    pub min_child_weight: f64,
    /// The gain of a split at least, 0 or more.
    pub min_gain: f64,
    /// The penalty on squared leaf values, 0 or more.
    pub l2: f64,
    /// The share of rows that each round draws without replacement, above 0 and at most 1.
    pub row_share: f64,
    /// The share of columns that each tree may split on, above 0 and at most 1.
    pub column_share: f64,
    /// Bins that the values of one column are put into at most, 2 to 255. Missing values have a bin of their own.
    pub max_bins: usize,
    /// Rounds in a row without a lower loss on the validation rows after which training ends; 0 trains every round.
    /// With validation rows the forest ends at its best round either way; without them this is not read.
    pub patience: usize,
}

impl Default for BoostSettings {
    fn default() -> BoostSettings {
        BoostSettings {
            rounds: 500,
            learning_rate: 0.1,
            max_leaves: 31,
            max_depth: 12,
            min_rows_per_leaf: 20,
            min_child_weight: 1e-3,
            min_gain: 0.0,
            l2: 1.0,
            row_share: 1.0,
            column_share: 1.0,
            max_bins: 255,
            patience: 50,
        }
    }
}

impl BoostSettings {
    /// Checks the values.
    ///
    /// # Errors
    /// [`ErrorCode::Config`], naming the key.
    pub fn validate(&self) -> Result<()> {
        let whole = [
            ("rounds", self.rounds, 1, 100_000),
            ("max_leaves", self.max_leaves, 2, 65_536),
            ("max_depth", self.max_depth, 1, 64),
            ("min_rows_per_leaf", self.min_rows_per_leaf, 1, u32::MAX as usize),
            ("max_bins", self.max_bins, 2, 255),
        ];
        for (key, value, lowest, highest) in whole {
            if value < lowest || value > highest {
                return Err(wrong(key, value, format!("set a whole number from {lowest} to {highest}")));
            }
        }
        let shares =
            [("learning_rate", self.learning_rate), ("row_share", self.row_share), ("column_share", self.column_share)];
        for (key, value) in shares {
            if !(value > 0.0 && value <= 1.0) {
                return Err(wrong(key, value, "set a number above 0 and at most 1"));
            }
        }
        let penalties = [("min_child_weight", self.min_child_weight), ("min_gain", self.min_gain), ("l2", self.l2)];
        for (key, value) in penalties {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(wrong(key, value, "set 0 or a number above it"));
            }
        }
        Ok(())
    }
}

fn wrong(key: &str, value: impl std::fmt::Display, remedy: impl Into<String>) -> Error {
    Error::new(ErrorCode::Config, format!("{value} is out of range"))
        .at_key(format!("train.boosting.{key}"))
        .fix(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_value_is_named() {
        let key = |change: &dyn Fn(&mut BoostSettings)| {
            let mut settings = BoostSettings::default();
            change(&mut settings);
            let error = settings.validate().unwrap_err();
            assert_eq!(error.code(), ErrorCode::Config);
            assert!(error.remedy().is_some());
            error.place().key.clone().unwrap()
        };
        assert!(BoostSettings::default().validate().is_ok());
        assert_eq!(key(&|settings| settings.rounds = 0), "train.boosting.rounds");
        assert_eq!(key(&|settings| settings.max_leaves = 1), "train.boosting.max_leaves");
        assert_eq!(key(&|settings| settings.max_depth = 0), "train.boosting.max_depth");
        assert_eq!(key(&|settings| settings.min_rows_per_leaf = 0), "train.boosting.min_rows_per_leaf");
        assert_eq!(key(&|settings| settings.max_bins = 256), "train.boosting.max_bins");
        assert_eq!(key(&|settings| settings.row_share = 0.0), "train.boosting.row_share");
        assert_eq!(key(&|settings| settings.column_share = 1.5), "train.boosting.column_share");
        assert_eq!(key(&|settings| settings.learning_rate = f64::NAN), "train.boosting.learning_rate");
        assert_eq!(key(&|settings| settings.l2 = -1.0), "train.boosting.l2");
        assert_eq!(key(&|settings| settings.min_gain = f64::INFINITY), "train.boosting.min_gain");
        assert_eq!(key(&|settings| settings.min_child_weight = f64::NAN), "train.boosting.min_child_weight");
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(serde_json::from_str::<BoostSettings>(r#"{"depth": 5}"#).is_err());
        let read: BoostSettings = serde_json::from_str(r#"{"max_depth": 5}"#).unwrap();
        assert_eq!(read, BoostSettings { max_depth: 5, ..BoostSettings::default() });
    }
}
