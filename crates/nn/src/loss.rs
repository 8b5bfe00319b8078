//! Losses: the value and its gradient at the network's output, both on the host in f64.
//!
//! Starting the backward pass from an explicit gradient keeps the loss exact, gives the outputs for the running
//! metrics for free, and lets a bad loss be seen before any gradient is computed.

use lepton_core::{Error, ErrorCode, Result, Tensor};
use serde::{Deserialize, Serialize};

/// What training makes small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Mean over the rows of `-log softmax(logits)[target]`. Logits float32 `[rows, classes]`, targets int64 `[rows]`.
    CrossEntropy,
}

/// A loss and its gradient by the outputs, row-major like them.
pub(crate) struct Evaluated {
    pub(crate) loss: f64,
    pub(crate) gradient: Vec<f32>,
}

impl Loss {
    /// The loss of a batch.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`], [`ErrorCode::Dtype`], or [`ErrorCode::BadData`] for a target that is no class.
    pub fn value(self, outputs: &Tensor, targets: &Tensor) -> Result<f64> {
        self.evaluate(outputs, targets).map(|evaluated| evaluated.loss)
    }

    pub(crate) fn evaluate(self, outputs: &Tensor, targets: &Tensor) -> Result<Evaluated> {
        let Loss::CrossEntropy = self;
        let &[rows, classes] = outputs.shape() else {
            return Err(Error::new(
                ErrorCode::Shape,
                format!("cross entropy takes [rows, classes], not {:?}", outputs.shape()),
            ));
        };
        if targets.shape() != [rows] || rows == 0 {
            return Err(Error::new(
                ErrorCode::Shape,
                format!("{rows} rows of outputs, but targets {:?}", targets.shape()),
            ));
        }
        let (logits, targets) = (outputs.as_float32()?, targets.as_int64()?);
        let mut gradient = Vec::with_capacity(logits.len());
        let mut loss = 0.0;
        for (row, &target) in logits.chunks_exact(classes).zip(targets) {
            let target = usize::try_from(target).ok().filter(|&target| target < classes).ok_or_else(|| {
                Error::new(ErrorCode::BadData, format!("target {target} is none of the {classes} classes"))
            })?;
            // A NaN anywhere must reach the sum: f32::max would drop it.
            let largest = row.iter().fold(f64::NEG_INFINITY, |most, &logit| most.max(f64::from(logit)));
            let sum: f64 = row.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
            loss += sum.ln() + largest - f64::from(row[target]);
            gradient.extend(row.iter().enumerate().map(|(class, &logit)| {
                let probability = (f64::from(logit) - largest).exp() / sum;
                ((probability - f64::from(u8::from(class == target))) / rows as f64) as f32
            }));
        }
        Ok(Evaluated { loss: loss / rows as f64, gradient })
    }
}
