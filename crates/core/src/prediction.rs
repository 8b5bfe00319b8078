//! One answer for one row, in the task's words.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One class and its probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassProbability {
    /// The class name.
    pub label: String,
    /// 0 to 1; where one of several classes is predicted, those of a row sum to 1.
    pub probability: f64,
}

/// The answer for one row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Prediction {
    /// The most probable class, and all classes from the most to the least probable.
    Classification {
        /// The most probable class.
        label: String,
        /// Its probability.
        probability: f64,
        /// Every class, most probable first.
        probabilities: Vec<ClassProbability>,
    },
    /// The labels that hold, and how probable each one is; none may hold.
    Labels {
        /// Those that reach the threshold, most probable first.
        labels: Vec<String>,
        /// Every label, most probable first.
        probabilities: Vec<ClassProbability>,
    },
    /// A number.
    Regression {
        /// In the unit of the target.
        value: f64,
    },
    /// The next steps of a series, in the unit of the data.
    Forecast {
        /// The median of each step.
        forecast: Vec<f64>,
        /// Each quantile by its level, `"0.1"`, step by step.
        quantiles: BTreeMap<String, Vec<f64>>,
    },
    /// Output tensors of a model without a decoder, as nested lists by output name.
    Raw {
        /// Nested lists by output name.
        outputs: BTreeMap<String, Value>,
    },
}
