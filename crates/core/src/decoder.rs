//! How raw model outputs become answers in the task's words: data in the manifest, run by lepton-runtime,
//! so that a server knows packages and not tasks.

use crate::Horizon;
use serde::{Deserialize, Serialize};

/// What turns raw scores into probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// The outputs are probabilities already.
    None,
    /// The outputs are logits of exclusive classes.
    Softmax,
}

/// The rule from output tensors to an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Decoder {
    /// One of `labels` per row, with a probability for each. The output has shape `[batch, labels]`, float32.
    Classification {
        /// Name of the output tensor.
        output: String,
        /// Class names, in the order of the output's second side.
        labels: Vec<String>,
        /// From scores to probabilities.
        activation: Activation,
    },
    /// Every label whose probability, the logistic function of its output, reaches the threshold. The output has shape
    /// `[batch, labels]`, float32.
    Labels {
        /// Name of the output tensor.
        output: String,
        /// Label names, in the order of the output's second side.
        labels: Vec<String>,
        /// The least probability of a label that is given, above 0 and below 1.
        threshold: f64,
    },
    /// A number per row: `offset + scale * output`. The output has shape `[batch, 1]`, float32.
    Regression {
        /// Name of the output tensor.
        output: String,
        /// The deviation of the target in training.
        scale: f64,
        /// The mean of the target in training.
        offset: f64,
    },
    /// Quantiles of the next steps per row. The output has shape `[batch, steps * quantiles]`, float32.
    Forecast {
        /// Name of the output tensor.
        output: String,
        /// Steps, quantiles and scale.
        horizon: Horizon,
    },
    /// No rule: the answer is the output tensors themselves. What a bare ONNX file gets.
    Raw,
}
