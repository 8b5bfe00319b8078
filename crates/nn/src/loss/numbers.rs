//! Losses over numbers: means over all outputs of a function of output and target.

use super::Evaluated;
use lepton_core::{Error, ErrorCode, Result, Tensor};

/// The mean of `of(output, target)`, which gives a loss and its slope, over outputs and targets of one shape.
pub(super) fn pointwise(outputs: &Tensor, targets: &Tensor, of: impl Fn(f64, f64) -> (f64, f64)) -> Result<Evaluated> {
    if outputs.shape() != targets.shape() || outputs.rows() == 0 {
        let message = format!("outputs {:?}, but targets {:?}", outputs.shape(), targets.shape());
        return Err(Error::new(ErrorCode::Shape, message));
    }
    let (outputs, targets) = (outputs.as_float32()?, targets.as_float32()?);
    let count = outputs.len() as f64;
    let (mut loss, mut gradient) = (0.0, Vec::with_capacity(outputs.len()));
    for (&output, &target) in outputs.iter().zip(targets) {
        let (value, slope) = of(f64::from(output), f64::from(target));
        loss += value;
        gradient.push((slope / count) as f32);
    }
    Ok(Evaluated { loss: loss / count, gradient })
}

/// Binary cross entropy of a logit.
pub(super) fn binary(logit: f64, target: f64) -> (f64, f64) {
    // log(1 + exp(x)) without overflow.
    let soft = logit.max(0.0) + (-logit.abs()).exp().ln_1p();
    let probability = 1.0 / (1.0 + (-logit).exp());
    (soft - target * logit, probability - target)
}

/// Logits `[rows, classes - 1]`, of which the first `target` count as 1.
pub(super) fn ordinal(outputs: &Tensor, targets: &Tensor) -> Result<Evaluated> {
    let (&[rows, steps], &[given]) = (outputs.shape(), targets.shape()) else {
        let message = format!("outputs {:?}, but targets {:?}", outputs.shape(), targets.shape());
        return Err(Error::new(ErrorCode::Shape, message));
    };
    if rows != given {
        return Err(Error::new(ErrorCode::Shape, format!("{rows} rows of outputs, but {given} targets")));
    }
    let mut steps_taken = Vec::with_capacity(rows * steps);
    for &target in targets.as_int64()? {
        if !(0..=steps as i64).contains(&target) {
            let message = format!("target {target} is none of the {} classes", steps + 1);
            return Err(Error::new(ErrorCode::BadData, message));
        }
        steps_taken.extend((0..steps as i64).map(|step| f32::from(u8::from(step < target))));
    }
    pointwise(outputs, &Tensor::float32([rows, steps], steps_taken)?, binary)
}

/// The pinball loss of outputs `[rows, values * levels]` against targets `[rows, values]`.
pub(super) fn quantiles(outputs: &Tensor, targets: &Tensor, levels: &[f64]) -> Result<Evaluated> {
    let (&[rows, width], &[given, values]) = (outputs.shape(), targets.shape()) else {
        let message = format!("outputs {:?}, but targets {:?}", outputs.shape(), targets.shape());
        return Err(Error::new(ErrorCode::Shape, message));
    };
    if rows != given || width != values * levels.len() || rows == 0 {
        let message =
            format!("{} levels: outputs {:?}, but targets {:?}", levels.len(), outputs.shape(), targets.shape());
        return Err(Error::new(ErrorCode::Shape, message));
    }
    let count = outputs.as_float32()?.len() as f64;
    let (mut loss, mut gradient) = (0.0, Vec::with_capacity(rows * width));
    for (outputs, &target) in outputs.as_float32()?.chunks_exact(levels.len()).zip(targets.as_float32()?) {
        for (&output, &level) in outputs.iter().zip(levels) {
            let error = f64::from(target) - f64::from(output);
            loss += (level * error).max((level - 1.0) * error);
            let slope = if error > 0.0 {
                -level
            } else if error < 0.0 {
                1.0 - level
            } else {
                0.0
            };
            gradient.push((slope / count) as f32);
        }
    }
    Ok(Evaluated { loss: loss / count, gradient })
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
            let at = |values: &[f32]| loss.value(&floats([2, 3], values), targets).unwrap();
            let gradient = loss.evaluate(&floats([2, 3], &outputs), targets).unwrap().gradient;
            for place in 0..outputs.len() {
                let moved = |by: f32| {
                    let mut values = outputs;
                    values[place] += by;
                    at(&values)
                };
                let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                assert!((slope - f64::from(gradient[place])).abs() < 1e-3, "{loss:?} {place}: {slope} {gradient:?}");
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
        assert_eq!(cases.len(), 8);
        let numbers = Tensor::float32([2, 3], vec![0.1, 0.7, 0.2, 1.0, 0.0, 0.5]).unwrap();
        for (loss, value) in cases {
            let targets = match loss {
                Loss::CrossEntropy { .. } | Loss::Focal { .. } => &classes,
                _ => &numbers,
            };
            let ours = loss.value(&outputs, targets).unwrap();
            assert!((ours - value).abs() < 1e-6, "{loss:?}: {ours}, PyTorch {value}");
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
