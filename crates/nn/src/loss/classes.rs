//! Losses over classes.

use super::{Evaluated, RowWeights};
use lepton_core::{Error, ErrorCode, Result, Tensor};

/// The settings of cross entropy.
pub(super) struct CrossEntropy<'a> {
    /// The part of each target that is spread over all classes.
    pub(super) label_smoothing: f64,
    /// A weight for each class; none is 1 for all.
    pub(super) class_weights: &'a [f64],
    /// The exponent of focal loss; 0 is plain cross entropy.
    pub(super) gamma: f64,
}

impl CrossEntropy<'_> {
    /// The loss of a batch: `sum(w(row) * l(row)) / sum(w(row))`, where a row's weight is its own times that of its
    /// classes.
    pub(super) fn evaluate(
        &self,
        outputs: &Tensor,
        targets: &Tensor,
        row_weights: RowWeights<'_>,
    ) -> Result<Evaluated> {
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
        if !self.class_weights.is_empty() && self.class_weights.len() != classes {
            let message = format!("{} class weights for {classes} classes", self.class_weights.len());
            return Err(Error::new(ErrorCode::Config, message).at_key("train.class_weights"));
        }
        let logits = outputs.as_float32()?;
        let mut gradient = Vec::with_capacity(logits.len());
        let (mut loss, mut weights) = (0.0, 0.0);
        let mut shares = vec![0.0; classes];
        for (index, row) in logits.chunks_exact(classes).enumerate() {
            if soft {
                let given = shares_of(targets.as_float32()?, index, classes)?;
                shares.iter_mut().zip(given).for_each(|(share, given)| *share = f64::from(*given));
            } else {
                let class = class_of(targets.as_int64()?[index], classes)?;
                shares.fill(0.0);
                shares[class] = 1.0;
            }
            let of_classes = match self.class_weights {
                [] => 1.0,
                weights => shares.iter().zip(weights).map(|(share, weight)| share * weight).sum::<f64>(),
            };
            let weight = row_weights.of(index) * of_classes;
            let even = self.label_smoothing / classes as f64;
            shares.iter_mut().for_each(|share| *share = (1.0 - self.label_smoothing) * *share + even);
            weights += weight;
            loss += weight * self.row(row, &shares, weight, &mut gradient);
        }
        if weights <= 0.0 && row_weights.sum(rows) <= 0.0 {
            return Ok(Evaluated { loss: 0.0, gradient: vec![0.0; logits.len()] });
        }
        if weights <= 0.0 {
            return Err(Error::new(ErrorCode::BadData, "every row of the batch has a class of weight 0")
                .at_key("train.class_weights"));
        }
        gradient.iter_mut().for_each(|slope| *slope /= weights);
        Ok(Evaluated { loss: loss / weights, gradient: gradient.into_iter().map(|slope| slope as f32).collect() })
    }

    /// The loss of one row; its gradient, times the row's weight, goes to the end of `gradient`.
    fn row(&self, row: &[f32], shares: &[f64], weight: f64, gradient: &mut Vec<f64>) -> f64 {
        // A NaN anywhere must reach the sum: f32::max would drop it.
        let largest = row.iter().fold(f64::NEG_INFINITY, |most, &logit| most.max(f64::from(logit)));
        let whole: f64 = shares.iter().sum();
        if self.gamma == 0.0 {
            // Exponentials are most of the work: each is taken once, and kept where the gradient will be.
            let start = gradient.len();
            gradient.extend(row.iter().map(|&logit| (f64::from(logit) - largest).exp()));
            let own = &mut gradient[start..];
            let sum: f64 = own.iter().sum();
            for (slope, share) in own.iter_mut().zip(shares) {
                *slope = weight * (whole * (*slope / sum) - share);
            }
            let at: f64 = row.iter().zip(shares).map(|(&logit, share)| share * f64::from(logit)).sum();
            return whole * (sum.ln() + largest) - at;
        }
        let sum: f64 = row.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
        // Focal loss, -s (1 - p)^g log p for each class, by its derivative with respect to log p:
        // f'(log p) = -s ((1 - p)^g - g p (1 - p)^(g - 1) log p).
        let logs: Vec<f64> = row.iter().map(|&logit| f64::from(logit) - largest - sum.ln()).collect();
        let mut loss = 0.0;
        let slopes: Vec<f64> = logs
            .iter()
            .zip(shares)
            .map(|(&log, share)| {
                let probability = log.exp();
                let rest = (1.0 - probability).max(0.0);
                loss -= share * rest.powf(self.gamma) * log;
                let fall = if rest > 0.0 { self.gamma * probability * rest.powf(self.gamma - 1.0) * log } else { 0.0 };
                share * (rest.powf(self.gamma) - fall)
            })
            .collect();
        let all: f64 = slopes.iter().sum();
        gradient.extend(logs.iter().zip(&slopes).map(|(log, slope)| weight * (log.exp() * all - slope)));
        loss
    }
}

/// The squared distance between cumulated probabilities and cumulated shares: the weighted mean over rows.
pub(super) fn ordinal(outputs: &Tensor, targets: &Tensor, weights: RowWeights<'_>) -> Result<Evaluated> {
    let (rows, classes) = (outputs.rows(), outputs.row_len());
    let soft = targets.shape() == [rows, classes];
    if outputs.shape().len() != 2 || !(soft || targets.shape() == [rows]) || rows == 0 {
        let message = format!("outputs {:?}, but targets {:?}", outputs.shape(), targets.shape());
        return Err(Error::new(ErrorCode::Shape, message));
    }
    let counts = super::numbers::shares(weights, rows, 1);
    let (mut loss, mut gradient) = (0.0, Vec::with_capacity(rows * classes));
    for (index, row) in outputs.as_float32()?.chunks_exact(classes).enumerate() {
        let largest = row.iter().fold(f64::NEG_INFINITY, |most, &logit| most.max(f64::from(logit)));
        let sum: f64 = row.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
        let probabilities: Vec<f64> = row.iter().map(|&logit| (f64::from(logit) - largest).exp() / sum).collect();
        let mut shares = vec![0.0; classes];
        if soft {
            let given = shares_of(targets.as_float32()?, index, classes)?;
            shares.iter_mut().zip(given).for_each(|(share, given)| *share = f64::from(*given));
        } else {
            shares[class_of(targets.as_int64()?[index], classes)?] = 1.0;
        }
        // What is ahead at each class, and, backwards, what a class's probability adds to the loss.
        let mut ahead = Vec::with_capacity(classes);
        let mut difference = 0.0;
        for (probability, share) in probabilities.iter().zip(&shares) {
            difference += probability - share;
            loss += counts[index] * difference * difference;
            ahead.push(difference);
        }
        let mut behind = 0.0;
        let mut slopes: Vec<f64> = ahead
            .iter()
            .rev()
            .map(|ahead| {
                behind += 2.0 * ahead;
                behind
            })
            .collect();
        slopes.reverse();
        let mean: f64 = probabilities.iter().zip(&slopes).map(|(probability, slope)| probability * slope).sum();
        gradient.extend(
            probabilities
                .iter()
                .zip(&slopes)
                .map(|(probability, slope)| (probability * (slope - mean) * counts[index]) as f32),
        );
    }
    Ok(Evaluated { loss, gradient })
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

    use crate::Loss;

    fn evaluate(logits: &[f32], targets: Tensor) -> Evaluated {
        let outputs = Tensor::float32(vec![1, logits.len()], logits.to_vec()).unwrap();
        Loss::default().evaluate(&outputs, &targets, None).unwrap()
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
            assert_eq!(Loss::default().value(&outputs, &targets).unwrap_err().code(), ErrorCode::BadData);
        }
    }
}
