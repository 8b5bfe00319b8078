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
    /// Mean over the rows of `-log softmax(logits)[target]`. Logits float32 `[rows, classes]`; targets int64 `[rows]`,
    /// or the share of each class, float32 `[rows, classes]`, and then the mean of `-sum(share * log softmax(logits))`.
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
        let soft = targets.shape() == [rows, classes];
        if !(soft || targets.shape() == [rows]) || rows == 0 {
            return Err(Error::new(
                ErrorCode::Shape,
                format!("{rows} rows of outputs, but targets {:?}", targets.shape()),
            ));
        }
        let logits = outputs.as_float32()?;
        let mut gradient = Vec::with_capacity(logits.len());
        let mut loss = 0.0;
        for (index, row) in logits.chunks_exact(classes).enumerate() {
            let class = if soft { None } else { Some(class_of(targets.as_int64()?[index], classes)?) };
            let shares = if soft { shares_of(targets.as_float32()?, index, classes)? } else { &[] };
            let share = |place: usize| match class {
                Some(class) => f64::from(u8::from(place == class)),
                None => f64::from(shares[place]),
            };
            // A NaN anywhere must reach the sum: f32::max would drop it.
            let largest = row.iter().fold(f64::NEG_INFINITY, |most, &logit| most.max(f64::from(logit)));
            let sum: f64 = row.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
            loss += match class {
                Some(class) => sum.ln() + largest - f64::from(row[class]),
                None => {
                    let whole: f64 = shares.iter().map(|&share| f64::from(share)).sum();
                    let at = row.iter().zip(shares).map(|(&logit, &share)| f64::from(logit) * f64::from(share));
                    whole * (sum.ln() + largest) - at.sum::<f64>()
                }
            };
            let whole: f64 = if soft { shares.iter().map(|&share| f64::from(share)).sum() } else { 1.0 };
            gradient.extend(row.iter().enumerate().map(|(place, &logit)| {
                let probability = (f64::from(logit) - largest).exp() / sum;
                ((whole * probability - share(place)) / rows as f64) as f32
            }));
        }
        Ok(Evaluated { loss: loss / rows as f64, gradient })
    }
}

/// A target as the class that it names.
fn class_of(target: i64, classes: usize) -> Result<usize> {
    usize::try_from(target)
        .ok()
        .filter(|&target| target < classes)
        .ok_or_else(|| Error::new(ErrorCode::BadData, format!("target {target} is none of the {classes} classes")))
}

/// The shares of a row, which are from 0 to 1 and add up to 1.
fn shares_of(targets: &[f32], row: usize, classes: usize) -> Result<&[f32]> {
    let shares = &targets[row * classes..(row + 1) * classes];
    let whole: f32 = shares.iter().sum();
    if (whole - 1.0).abs() > 1e-3 || !shares.iter().all(|share| (0.0..=1.001).contains(share)) {
        return Err(Error::new(ErrorCode::BadData, format!("the shares of row {row} add up to {whole}, not to 1")));
    }
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn evaluate(logits: &[f32], targets: Tensor) -> Evaluated {
        let outputs = Tensor::float32(vec![1, logits.len()], logits.to_vec()).unwrap();
        Loss::CrossEntropy.evaluate(&outputs, &targets).unwrap()
    }

    proptest! {
        #[test]
        fn shares_weigh_the_losses_and_gradients_of_their_classes(
            logits in prop::collection::vec(-8.0f32..8.0, 4), parts in prop::collection::vec(0.01f32..1.0, 4),
        ) {
            let whole: f32 = parts.iter().sum();
            let shares: Vec<f32> = parts.iter().map(|part| part / whole).collect();
            let soft = evaluate(&logits, Tensor::float32(vec![1, 4], shares.clone()).unwrap());
            let (mut loss, mut gradient) = (0.0, vec![0.0; 4]);
            for (class, &share) in shares.iter().enumerate() {
                let hard = evaluate(&logits, Tensor::int64(vec![1], vec![class as i64]).unwrap());
                loss += f64::from(share) * hard.loss;
                gradient.iter_mut().zip(&hard.gradient).for_each(|(sum, value)| *sum += share * value);
            }
            prop_assert!((soft.loss - loss).abs() < 1e-5, "{} {}", soft.loss, loss);
            for (one, other) in soft.gradient.iter().zip(gradient) {
                prop_assert!((one - other).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn shares_that_are_no_distribution_are_refused() {
        let outputs = Tensor::float32(vec![1, 2], vec![0.0, 1.0]).unwrap();
        for shares in [[0.5, 0.6], [1.5, -0.5], [f32::NAN, 1.0]] {
            let targets = Tensor::float32(vec![1, 2], shares.to_vec()).unwrap();
            assert_eq!(Loss::CrossEntropy.value(&outputs, &targets).unwrap_err().code(), ErrorCode::BadData);
        }
    }
}
