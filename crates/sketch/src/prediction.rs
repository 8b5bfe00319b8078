//! What a model answers: which labels, and how sure it is.

use crate::{CategorySketch, NumberSketch};
use lepton_core::Prediction;
use serde::{Deserialize, Serialize};

/// The summary of a model's answers. Answers of a model without a decoder are counted only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictionSketch {
    /// The predicted labels.
    pub labels: CategorySketch,
    /// The probability of the predicted label.
    pub probability: NumberSketch,
    /// Predicted numbers; of a forecast the mean over its steps.
    #[serde(default)]
    pub values: NumberSketch,
    /// Answers that are output tensors.
    pub raw: u64,
}

impl PredictionSketch {
    /// The summary of some answers.
    pub fn of(predictions: &[Prediction]) -> PredictionSketch {
        let mut sketch = PredictionSketch::default();
        predictions.iter().for_each(|prediction| sketch.add(prediction));
        sketch
    }

    /// Adds an answer.
    pub fn add(&mut self, prediction: &Prediction) {
        match prediction {
            Prediction::Classification { label, probability, .. } => {
                self.labels.add(Some(label));
                self.probability.add(Some(*probability));
            }
            // An answer counts once: as its most probable label, or as none.
            Prediction::Labels { labels, probabilities } => {
                self.labels.add(labels.first().map(String::as_str));
                self.probability.add(probabilities.first().map(|first| first.probability));
            }
            Prediction::Regression { value } => self.values.add(Some(*value)),
            Prediction::Forecast { forecast, .. } => {
                let mean = forecast.iter().sum::<f64>() / forecast.len() as f64;
                self.values.add((!forecast.is_empty()).then_some(mean));
            }
            Prediction::Raw { .. } => self.raw += 1,
        }
    }

    /// Adds all that `other` has seen.
    pub fn merge(&mut self, other: &PredictionSketch) {
        self.labels.merge(&other.labels);
        self.probability.merge(&other.probability);
        self.values.merge(&other.values);
        self.raw += other.raw;
    }

    /// How many answers.
    pub fn rows(&self) -> u64 {
        self.labels.rows() + self.values.rows() + self.raw
    }
}
