//! Losses: the value and its gradient at the network's output, both on the host in f64.
//!
//! Starting the backward pass from an explicit gradient keeps the loss exact, gives the outputs for the running
//! metrics for free, and lets a bad loss be seen before any gradient is computed.

mod classes;
mod numbers;

use classes::CrossEntropy;
use lepton_core::{Error, ErrorCode, Result, Tensor};
use serde::{Deserialize, Serialize};

/// What training makes small: the mean over the rows of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Loss {
    /// `-log softmax(logits)[target]`. Logits float32 `[rows, classes]`; targets int64 `[rows]`, or the share of each
    /// class, float32 `[rows, classes]`. A row weighs as much as its classes do, before smoothing.
    CrossEntropy {
        /// The part of each target that is spread evenly over all classes, 0 to 1 (Szegedy and others 2016).
        #[serde(default)]
        label_smoothing: f64,
        /// A weight for each class, in their order; empty is 1 for all.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        class_weights: Vec<f64>,
    },
    /// Cross entropy times `(1 - p)^gamma`, which turns to the rows that are not sure yet (Lin and others 2017).
    Focal {
        /// The exponent, 0 or more.
        #[serde(default = "two")]
        gamma: f64,
        /// A weight for each class, in their order; empty is 1 for all.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        class_weights: Vec<f64>,
    },
    /// Of several labels that may hold at once, each a logit of its own: the mean of
    /// `-t log sigmoid(x) - (1 - t) log(1 - sigmoid(x))`. Targets float32 `[rows, labels]`, 0 to 1.
    BinaryCrossEntropy,
    /// Of ordered classes, the sum over classes of the squared difference between the cumulated probability and the
    /// cumulated share of the target, so that a class far from the true one costs more than its neighbour (the squared
    /// earth mover's distance: Hou and others 2016). Logits and targets as those of cross entropy.
    Ordinal,
    /// The mean of `(output - target)^2`. Targets float32 of the outputs' shape.
    Squared,
    /// The mean of `|output - target|`.
    Absolute,
    /// Squared up to `delta`, absolute beyond: the mean of `e^2 / 2` or `delta (|e| - delta / 2)` (Huber 1964).
    Huber {
        /// Where it changes.
        #[serde(default = "one")]
        delta: f64,
    },
    /// Of one output for each level, the mean of `max(q e, (q - 1) e)` with `e = target - output` (Koenker and Bassett
    /// 1978). Targets float32 `[rows, values]`, outputs `[rows, values * levels]`, the levels of a value side by side.
    Quantile {
        /// The levels, each above 0 and below 1, ascending.
        levels: Vec<f64>,
    },
}

fn one() -> f64 {
    1.0
}

fn two() -> f64 {
    2.0
}

impl Default for Loss {
    /// Plain cross entropy.
    fn default() -> Loss {
        Loss::CrossEntropy { label_smoothing: 0.0, class_weights: Vec::new() }
    }
}

/// What each row of a batch counts; nothing is 1 for all.
#[derive(Clone, Copy)]
pub(crate) struct RowWeights<'a>(Option<&'a [f32]>);

impl RowWeights<'_> {
    fn of(&self, row: usize) -> f64 {
        self.0.and_then(|weights| weights.get(row)).map_or(1.0, |weight| f64::from(*weight))
    }

    fn sum(&self, rows: usize) -> f64 {
        (0..rows).map(|row| self.of(row)).sum()
    }
}

/// A loss and its gradient by the outputs, row-major like them.
pub(crate) struct Evaluated {
    pub(crate) loss: f64,
    pub(crate) gradient: Vec<f32>,
}

impl Loss {
    /// The name in settings.
    pub fn kind(&self) -> &'static str {
        match self {
            Loss::CrossEntropy { .. } => "cross_entropy",
            Loss::Focal { .. } => "focal",
            Loss::BinaryCrossEntropy => "binary_cross_entropy",
            Loss::Ordinal => "ordinal",
            Loss::Squared => "squared",
            Loss::Absolute => "absolute",
            Loss::Huber { .. } => "huber",
            Loss::Quantile { .. } => "quantile",
        }
    }

    /// Whether it takes logits of classes or labels, so that a softmax in front of it is a mistake.
    pub fn takes_logits(&self) -> bool {
        matches!(self, Loss::CrossEntropy { .. } | Loss::Focal { .. } | Loss::BinaryCrossEntropy | Loss::Ordinal)
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] with the key below `loss`.
    pub fn validate(&self) -> Result<()> {
        let wrong = |key: &str, message: String| Err(Error::new(ErrorCode::Config, message).at_key(key));
        match self {
            Loss::CrossEntropy { label_smoothing, .. } if !(0.0..1.0).contains(label_smoothing) => {
                wrong("label_smoothing", format!("{label_smoothing} is outside [0, 1)"))
            }
            Loss::Focal { gamma, .. } if !(gamma.is_finite() && *gamma >= 0.0) => {
                wrong("gamma", format!("{gamma} is no number from 0 up"))
            }
            Loss::Huber { delta } if !(delta.is_finite() && *delta > 0.0) => {
                wrong("delta", format!("{delta} is no number above 0"))
            }
            Loss::Quantile { levels } => {
                let inside = !levels.is_empty() && levels.iter().all(|level| *level > 0.0 && *level < 1.0);
                if !inside || levels.windows(2).any(|pair| pair[0] >= pair[1]) {
                    return wrong("levels", format!("{levels:?} do not rise between 0 and 1"));
                }
                Ok(())
            }
            Loss::CrossEntropy { class_weights, .. } | Loss::Focal { class_weights, .. }
                if !class_weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0) =>
            {
                wrong("class_weights", format!("{class_weights:?} are not all numbers from 0 up"))
            }
            _ => Ok(()),
        }
    }

    /// The loss of a batch.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`], [`ErrorCode::Dtype`], or [`ErrorCode::BadData`] for a target that is no class.
    pub fn value(&self, outputs: &Tensor, targets: &Tensor) -> Result<f64> {
        self.evaluate(outputs, targets, None).map(|evaluated| evaluated.loss)
    }

    /// The loss of a batch whose rows have weights: `sum(w l) / sum(w)`, where the loss of a row is the mean over its
    /// outputs. Weights of classes multiply those of rows. A batch in which no row has any weight has a loss of 0.
    ///
    /// # Errors
    /// Those of [`Loss::value`]; [`ErrorCode::Shape`] where there is not one weight for each row, [`ErrorCode::BadData`]
    /// for one that is negative or not finite.
    pub fn weighted_value(&self, outputs: &Tensor, targets: &Tensor, weights: &[f32]) -> Result<f64> {
        self.evaluate(outputs, targets, Some(weights)).map(|evaluated| evaluated.loss)
    }

    pub(crate) fn evaluate(&self, outputs: &Tensor, targets: &Tensor, weights: Option<&[f32]>) -> Result<Evaluated> {
        if let Some(weights) = weights {
            if weights.len() != outputs.rows() {
                let message = format!("{} weights for {} rows", weights.len(), outputs.rows());
                return Err(Error::new(ErrorCode::Shape, message));
            }
            if let Some(weight) = weights.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
                return Err(Error::new(ErrorCode::BadData, format!("the weight {weight} is no number from 0 up")));
            }
        }
        let weights = RowWeights(weights);
        match self {
            Loss::CrossEntropy { label_smoothing, class_weights } => {
                CrossEntropy { label_smoothing: *label_smoothing, class_weights, gamma: 0.0 }
                    .evaluate(outputs, targets, weights)
            }
            Loss::Focal { gamma, class_weights } => {
                CrossEntropy { label_smoothing: 0.0, class_weights, gamma: *gamma }.evaluate(outputs, targets, weights)
            }
            Loss::BinaryCrossEntropy => numbers::pointwise(outputs, targets, weights, numbers::binary),
            Loss::Ordinal => classes::ordinal(outputs, targets, weights),
            Loss::Squared => numbers::pointwise(outputs, targets, weights, |output, target| {
                let error = output - target;
                (error * error, 2.0 * error)
            }),
            Loss::Absolute => numbers::pointwise(outputs, targets, weights, |output, target| {
                let error = output - target;
                (error.abs(), if error == 0.0 { 0.0 } else { error.signum() })
            }),
            Loss::Huber { delta } => numbers::pointwise(outputs, targets, weights, |output, target| {
                let error = output - target;
                match error.abs() {
                    size if size <= *delta => (0.5 * error * error, error),
                    size => (delta * (size - 0.5 * delta), delta * error.signum()),
                }
            }),
            Loss::Quantile { levels } => numbers::quantiles(outputs, targets, weights, levels),
        }
    }
}
