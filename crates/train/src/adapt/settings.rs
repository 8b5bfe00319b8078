//! `[adapt]` of `lepton.toml`: which rows are of the domain that the model is for, and how the others are made to stand
//! for it. It is a section of its own because two stages read it: prepare, which cuts the parts, and train.

use lepton_adapt::{Estimator, RatioSettings, TransferBoost};
use lepton_core::{Error, ErrorCode, Result};
use lepton_data::DomainSettings;
use serde::{Deserialize, Serialize};
use std::fmt;

/// `[adapt]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptSettings {
    /// The column that says which domain a row is of. The model does not see it.
    pub column: String,
    /// Its value for rows of the target domain: what the model is for, and what the test part measures.
    pub target: String,
    /// Its values for source rows, which train with their labels; all others where nothing is set.
    #[serde(default)]
    pub source: Vec<String>,
    /// How the source rows are made to stand for the target.
    #[serde(default)]
    pub method: AdaptMethod,
    /// Target rows whose labels may be used in training, chosen by seed, every class in proportion. With 0 the labels of
    /// the target are not used at all, and validation rows are source rows; else validation rows are target rows, whose
    /// labels are used besides.
    #[serde(default)]
    pub labels: usize,
    /// Whether the same is also trained without adaptation, to tell what it gained. It takes the time of each again.
    #[serde(default = "yes")]
    pub compare: bool,
    /// Of `density-ratio`: what estimates the ratio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimator: Option<Estimator>,
    /// Of `density-ratio`: the exponent on the ratio, 0 to 1; 0.5 where nothing is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flatten: Option<f64>,
    /// Of `density-ratio`: the most that a row may weigh, in means; 10 where nothing is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
    /// Of `density-ratio` the inverse of the classifier's ridge (1) or the ridge of the least-squares fit (0.1); of `coral`
    /// what is added to both covariances, in mean variances of the source (1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regularization: Option<f64>,
    /// Of `mmd` and `adversarial`: what the distance between the domains weighs beside the loss; 1 where nothing is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
    /// Of `tradaboost`: trainings one after the other; 10 where nothing is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<usize>,
    /// Of `tradaboost`: the most of all weight that target rows may hold, above 0 to 1; 0.5 where nothing is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_share: Option<f64>,
}

/// A way to make source rows stand for the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdaptMethod {
    /// Weights by how likely a row is in the target domain.
    #[default]
    DensityRatio,
    /// Rounds in which source rows that contradict labelled target rows lose weight.
    Tradaboost,
    /// Features of the source with the mean and covariance of the target.
    Coral,
    /// A hidden layer in which both domains look alike, by the maximum mean discrepancy.
    Mmd,
    /// A hidden layer in which a head cannot tell the domains apart.
    Adversarial,
}

impl AdaptMethod {
    /// The name in settings and reports.
    pub fn name(self) -> &'static str {
        match self {
            AdaptMethod::DensityRatio => "density-ratio",
            AdaptMethod::Tradaboost => "tradaboost",
            AdaptMethod::Coral => "coral",
            AdaptMethod::Mmd => "mmd",
            AdaptMethod::Adversarial => "adversarial",
        }
    }

    /// The settings that are its own.
    fn keys(self) -> &'static [&'static str] {
        match self {
            AdaptMethod::DensityRatio => &["estimator", "flatten", "clip", "regularization"],
            AdaptMethod::Tradaboost => &["rounds", "target_share"],
            AdaptMethod::Coral => &["regularization"],
            AdaptMethod::Mmd | AdaptMethod::Adversarial => &["strength"],
        }
    }

    /// Whether it acts at a hidden layer of a network.
    pub fn is_hidden(self) -> bool {
        matches!(self, AdaptMethod::Mmd | AdaptMethod::Adversarial)
    }
}

impl fmt::Display for AdaptMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn yes() -> bool {
    true
}

impl AdaptSettings {
    /// Checks the values.
    ///
    /// # Errors
    /// [`ErrorCode::Config`], naming the key.
    pub fn validate(&self) -> Result<()> {
        let wrong =
            |key: &str, message: String| Err(Error::new(ErrorCode::Config, message).at_key(format!("adapt.{key}")));
        let given = [
            ("estimator", self.estimator.is_some()),
            ("flatten", self.flatten.is_some()),
            ("clip", self.clip.is_some()),
            ("regularization", self.regularization.is_some()),
            ("strength", self.strength.is_some()),
            ("rounds", self.rounds.is_some()),
            ("target_share", self.target_share.is_some()),
        ];
        if let Some((key, _)) = given.iter().find(|(key, is_set)| *is_set && !self.method.keys().contains(key)) {
            let message = format!("{} has no such setting", self.method);
            return Err(Error::new(ErrorCode::Config, message)
                .at_key(format!("adapt.{key}"))
                .fix(format!("its settings are: {}", self.method.keys().join(", "))));
        }
        for (key, value) in [("column", &self.column), ("target", &self.target)] {
            if value.is_empty() {
                return wrong(key, "must not be empty".to_owned());
            }
        }
        if self.source.contains(&self.target) {
            return wrong("source", format!("\"{}\" is both the source and the target", self.target));
        }
        if self.flatten.is_some_and(|flatten| !(0.0..=1.0).contains(&flatten)) {
            return wrong("flatten", "must be from 0 to 1".to_owned());
        }
        if self.clip.is_some_and(|clip| clip.is_nan() || clip <= 1.0) {
            return wrong("clip", "must be above 1".to_owned());
        }
        for (key, value) in [("regularization", self.regularization), ("strength", self.strength)] {
            if value.is_some_and(|value| !(value > 0.0 && value.is_finite())) {
                return wrong(key, "must be a number above 0".to_owned());
            }
        }
        if self.rounds == Some(0) {
            return wrong("rounds", "must be at least 1".to_owned());
        }
        if self.target_share.is_some_and(|share| !(share > 0.0 && share <= 1.0)) {
            return wrong("target_share", "must be above 0 and at most 1".to_owned());
        }
        if self.method == AdaptMethod::Tradaboost && self.labels == 0 {
            return Err(Error::new(ErrorCode::Config, "tradaboost learns from labels of the target domain")
                .at_key("adapt.labels")
                .fix("say how many may be used, or take a method that needs none: density-ratio, coral, mmd, adversarial"));
        }
        Ok(())
    }

    /// What the prepare stage is told.
    pub fn domains(&self) -> DomainSettings {
        let AdaptSettings { column, target, source, labels, .. } = self.clone();
        DomainSettings { column, target, source, labels }
    }

    pub(crate) fn ratio(&self) -> RatioSettings {
        let estimator = self.estimator.unwrap_or_default();
        let usual = if estimator == Estimator::Classifier { 1.0 } else { 0.1 };
        RatioSettings {
            estimator,
            regularization: self.regularization.unwrap_or(usual),
            flatten: self.flatten.unwrap_or(0.5),
            clip: self.clip.unwrap_or(10.0),
        }
    }

    pub(crate) fn ridge(&self) -> f64 {
        self.regularization.unwrap_or(1.0)
    }

    pub(crate) fn strength(&self) -> f64 {
        self.strength.unwrap_or(1.0)
    }

    pub(crate) fn boost(&self) -> TransferBoost {
        TransferBoost { rounds: self.rounds.unwrap_or(10), target_share: self.target_share.unwrap_or(0.5) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AdaptSettings, serde_json::Error> {
        serde_json::from_str(&format!(r#"{{"column": "source", "target": "imdb"{text}}}"#))
    }

    #[test]
    fn a_short_section_weighs_rows_and_uses_no_label_of_the_target() {
        let settings = read("").unwrap();
        assert_eq!((settings.method, settings.labels, settings.compare), (AdaptMethod::DensityRatio, 0, true));
        settings.validate().unwrap();
        assert!(read(r#", "methods": "coral""#).is_err());
        assert!(read(r#", "method": "corral""#).is_err());
        for method in ["density-ratio", "tradaboost", "coral", "mmd", "adversarial"] {
            assert_eq!(read(&format!(r#", "method": "{method}""#)).unwrap().method.name(), method);
        }
    }

    #[test]
    fn each_wrong_value_and_each_setting_of_another_method_is_named() {
        let key = |text: &str| read(text).unwrap().validate().unwrap_err().place().key.clone().unwrap_or_default();
        assert_eq!(key(r#", "flatten": 1.5"#), "adapt.flatten");
        assert_eq!(key(r#", "clip": 1"#), "adapt.clip");
        assert_eq!(key(r#", "regularization": 0"#), "adapt.regularization");
        assert_eq!(key(r#", "rounds": 3"#), "adapt.rounds");
        assert_eq!(key(r#", "source": ["imdb"]"#), "adapt.source");
        assert_eq!(key(r#", "method": "coral", "clip": 3"#), "adapt.clip");
        assert_eq!(key(r#", "method": "mmd", "strength": -1"#), "adapt.strength");
        assert_eq!(key(r#", "method": "tradaboost""#), "adapt.labels");
        assert_eq!(key(r#", "method": "tradaboost", "labels": 5, "rounds": 0"#), "adapt.rounds");
        assert_eq!(key(r#", "method": "tradaboost", "labels": 5, "target_share": 2"#), "adapt.target_share");
    }
}
