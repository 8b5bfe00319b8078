//! Losses over numbers: means over all outputs of a function of output and target.

use super::{Evaluated, RowWeights};
use lepton_core::{Error, ErrorCode, Result, Tensor};

/// The mean of `of(output, target)`, which gives a loss and its slope, over outputs and targets of one shape.
pub(super) fn pointwise(
    outputs: &Tensor,
    targets: &Tensor,
    weights: RowWeights<'_>,
    of: impl Fn(f64, f64) -> (f64, f64),
) -> Result<Evaluated> {
    if outputs.shape() != targets.shape() || outputs.rows() == 0 {
        let message = format!("outputs {:?}, but targets {:?}", outputs.shape(), targets.shape());
        return Err(Error::new(ErrorCode::Shape, message));
    }
    let (rows, width) = (outputs.rows(), outputs.row_len().max(1));
    let (outputs, targets) = (outputs.as_float32()?, targets.as_float32()?);
    let shares = shares(weights, rows, width);
    let (mut loss, mut gradient) = (0.0, Vec::with_capacity(outputs.len()));
    for (place, (&output, &target)) in outputs.iter().zip(targets).enumerate() {
        let (value, slope) = of(f64::from(output), f64::from(target));
        let share = shares[place / width];
        loss += share * value;
        gradient.push((share * slope) as f32);
    }
    Ok(Evaluated { loss, gradient })
}

/// The part of the mean that each of a row's `width` numbers has: its weight over the sum of all.
pub(super) fn shares(weights: RowWeights<'_>, rows: usize, width: usize) -> Vec<f64> {
    let whole = weights.sum(rows) * width as f64;
    (0..rows).map(|row| if whole > 0.0 { weights.of(row) / whole } else { 0.0 }).collect()
}

/// Binary cross entropy of a logit.
pub(super) fn binary(logit: f64, target: f64) -> (f64, f64) {
    // log(1 + exp(x)) without overflow.
    let soft = logit.max(0.0) + (-logit.abs()).exp().ln_1p();
    let probability = 1.0 / (1.0 + (-logit).exp());
    (soft - target * logit, probability - target)
}

/// The pinball loss of outputs `[rows, values * levels]` against targets `[rows, values]`.
pub(super) fn quantiles(
    outputs: &Tensor,
    targets: &Tensor,
    weights: RowWeights<'_>,
    levels: &[f64],
) -> Result<Evaluated> {
    let (&[rows, width], &[given, values]) = (outputs.shape(), targets.shape()) else {
        let message = format!("outputs {:?}, but targets {:?}", outputs.shape(), targets.shape());
        return Err(Error::new(ErrorCode::Shape, message));
    };
    if rows != given || width != values * levels.len() || rows == 0 {
        let message =
            format!("{} levels: outputs {:?}, but targets {:?}", levels.len(), outputs.shape(), targets.shape());
        return Err(Error::new(ErrorCode::Shape, message));
    }
    let shares = shares(weights, rows, width);
    let (mut loss, mut gradient) = (0.0, Vec::with_capacity(rows * width));
    let pairs = outputs.as_float32()?.chunks_exact(levels.len()).zip(targets.as_float32()?);
    for (place, (outputs, &target)) in pairs.enumerate() {
        let share = shares[place / values.max(1)];
        for (&output, &level) in outputs.iter().zip(levels) {
            let error = f64::from(target) - f64::from(output);
            loss += share * (level * error).max((level - 1.0) * error);
            let slope = if error > 0.0 {
                -level
            } else if error < 0.0 {
                1.0 - level
            } else {
                0.0
            };
            gradient.push((share * slope) as f32);
        }
    }
    Ok(Evaluated { loss, gradient })
}

#[cfg(test)]
mod tests {
    use crate::Loss;
    use lepton_core::Tensor;

    #[test]
    fn gradients_are_slopes() {
        let outputs = [0.3f32, -1.2, 2.5, 0.9, -0.4, 1.7];
        let floats = |shape: [usize; 2], values: &[f32]| Tensor::float32(shape, values.to_vec()).unwrap();
        let same = floats([2, 3], &[0.1, 0.7, 0.2, 1.0, 0.0, 0.5]);
        let classes = Tensor::int64([2], vec![2, 0]).unwrap();
        let weights = vec![0.5, 2.0, 1.5];
        for (loss, targets) in [
            (Loss::CrossEntropy { label_smoothing: 0.1, class_weights: weights.clone() }, &classes),
            (Loss::Focal { gamma: 2.0, class_weights: weights }, &classes),
            (Loss::Focal { gamma: 0.5, class_weights: vec![] }, &classes),
            (Loss::BinaryCrossEntropy, &same),
            (Loss::Ordinal, &classes),
            (Loss::Squared, &same),
            (Loss::Absolute, &same),
            (Loss::Huber { delta: 0.8 }, &same),
            (Loss::Quantile { levels: vec![0.1, 0.5, 0.9] }, &floats([2, 1], &[0.5, 0.1])),
        ] {
            for weights in [None, Some(&[0.3f32, 1.9][..])] {
                let of = |values: &[f32]| loss.evaluate(&floats([2, 3], values), targets, weights).unwrap();
                let gradient = of(&outputs).gradient;
                for place in 0..outputs.len() {
                    let moved = |by: f32| {
                        let mut values = outputs;
                        values[place] += by;
                        of(&values).loss
                    };
                    let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                    let near = (slope - f64::from(gradient[place])).abs() < 1e-3;
                    assert!(near, "{loss:?} {place}: {slope} {gradient:?}");
                }
            }
        }
    }

    #[test]
    fn values_are_pytorchs() {
        // torch.nn.functional with the logits [[0.3, -1.2, 2.5], [0.9, -0.4, 1.7]]; see tests/data/make_layers.py.
        let outputs = Tensor::float32([2, 3], vec![0.3, -1.2, 2.5, 0.9, -0.4, 1.7]).unwrap();
        let classes = Tensor::int64([2], vec![2, 0]).unwrap();
        let cases: Vec<(Loss, f64)> =
            serde_json::from_str::<Vec<(Loss, f64)>>(include_str!("../../tests/data/losses.json")).unwrap();
        assert_eq!(cases.len(), 9);
        let numbers = Tensor::float32([2, 3], vec![0.1, 0.7, 0.2, 1.0, 0.0, 0.5]).unwrap();
        for (loss, value) in cases {
            let targets = match loss {
                Loss::CrossEntropy { .. } | Loss::Focal { .. } | Loss::Ordinal => &classes,
                _ => &numbers,
            };
            let ours = loss.value(&outputs, targets).unwrap();
            assert!((ours - value).abs() < 1e-6, "{loss:?}: {ours}, PyTorch {value}");
        }
    }

    #[test]
    fn a_batch_without_any_weight_pulls_at_nothing() {
        let outputs = Tensor::float32([2, 3], vec![0.3, -1.2, 2.5, 0.9, -0.4, 1.7]).unwrap();
        let classes = Tensor::int64([2], vec![2, 0]).unwrap();
        for (loss, targets) in [(Loss::default(), &classes), (Loss::Ordinal, &classes), (Loss::Squared, &outputs)] {
            let none = loss.evaluate(&outputs, targets, Some(&[0.0, 0.0])).unwrap();
            assert_eq!((none.loss, none.gradient), (0.0, vec![0.0; 6]), "{loss:?}");
        }
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let key = |loss: Loss| loss.validate().unwrap_err().place().key.clone().unwrap();
        assert_eq!(key(Loss::CrossEntropy { label_smoothing: 1.0, class_weights: vec![] }), "label_smoothing");
        assert_eq!(key(Loss::CrossEntropy { label_smoothing: 0.0, class_weights: vec![-1.0] }), "class_weights");
        assert_eq!(key(Loss::Focal { gamma: f64::NAN, class_weights: vec![] }), "gamma");
        assert_eq!(key(Loss::Huber { delta: 0.0 }), "delta");
        for levels in [vec![], vec![0.0], vec![0.5, 0.5], vec![0.9, 0.1], vec![1.0]] {
            assert_eq!(key(Loss::Quantile { levels }), "levels");
        }
    }
}
