//! From output tensors to answers, as the manifest's decoder says. Probabilities are computed in float64.

use lepton_core::{
    Activation, ClassProbability, Decoder, Error, ErrorCode, Horizon, NamedTensors, Prediction, Result, Tensor,
    TensorData,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// One answer per row.
///
/// # Errors
/// [`ErrorCode::GateFailed`] with the row when an output is not finite; [`ErrorCode::Shape`] or
/// [`ErrorCode::Dtype`] when the outputs are not what the decoder reads.
pub(crate) fn decode(decoder: &Decoder, outputs: &NamedTensors) -> Result<Vec<Prediction>> {
    match decoder {
        Decoder::Classification { output, labels, activation } => classes(find(outputs, output)?, labels, *activation),
        Decoder::Labels { output, labels, threshold } => several(find(outputs, output)?, labels, *threshold),
        Decoder::Regression { output, scale, offset } => numbers(find(outputs, output)?, *scale, *offset),
        Decoder::Forecast { output, horizon } => forecasts(find(outputs, output)?, horizon),
        Decoder::Raw => raw(outputs),
    }
}

fn find<'a>(outputs: &'a NamedTensors, output: &str) -> Result<&'a Tensor> {
    let found = outputs.iter().find(|(name, _)| name == output).map(|(_, tensor)| tensor);
    found.ok_or_else(|| Error::new(ErrorCode::BadData, format!("the model gave no output \"{output}\"")))
}

fn numbers(outputs: &Tensor, scale: f64, offset: f64) -> Result<Vec<Prediction>> {
    if outputs.shape().len() != 2 || outputs.row_len() != 1 {
        let text = format!("outputs of shape {:?} are not one number a row", outputs.shape());
        return Err(Error::new(ErrorCode::Shape, text));
    }
    let value = |(row, &output): (usize, &f32)| {
        let value = offset + scale * f64::from(output);
        if value.is_finite() { Ok(Prediction::Regression { value }) } else { Err(not_finite(row)) }
    };
    outputs.as_float32()?.iter().enumerate().map(value).collect()
}

fn forecasts(outputs: &Tensor, horizon: &Horizon) -> Result<Vec<Prediction>> {
    let (levels, width) = (horizon.quantiles.len(), horizon.outputs());
    let Some(median) = horizon.median().filter(|_| outputs.shape().len() == 2 && outputs.row_len() == width) else {
        let text =
            format!("outputs of shape {:?} are not {} steps of {levels} quantiles", outputs.shape(), horizon.steps);
        return Err(Error::new(ErrorCode::Shape, text));
    };
    let rows = outputs.as_float32()?.chunks_exact(width).enumerate();
    rows.map(|(row, outputs)| {
        let all = horizon.quantiles_of(outputs);
        if all.iter().any(|value| !value.is_finite()) {
            return Err(not_finite(row));
        }
        let level = |place: usize| all.iter().skip(place).step_by(levels).copied().collect::<Vec<f64>>();
        let quantiles = horizon.quantiles.iter().enumerate();
        let quantiles = quantiles.map(|(place, quantile)| (quantile.to_string(), level(place))).collect();
        Ok(Prediction::Forecast { forecast: level(median), quantiles })
    })
    .collect()
}

fn classes(scores: &Tensor, labels: &[String], activation: Activation) -> Result<Vec<Prediction>> {
    let rows = probabilities(scores, labels, &|scores| match activation {
        Activation::Softmax => softmax(&scores),
        Activation::None => scores,
    })?;
    let answer = |probabilities: Vec<ClassProbability>| {
        let best = probabilities.first().cloned().ok_or_else(|| Error::internal("a row without classes"))?;
        Ok(Prediction::Classification { label: best.label, probability: best.probability, probabilities })
    };
    rows.into_iter().map(answer).collect()
}

fn several(scores: &Tensor, labels: &[String], threshold: f64) -> Result<Vec<Prediction>> {
    let rows =
        probabilities(scores, labels, &|scores| scores.iter().map(|score| 1.0 / (1.0 + (-score).exp())).collect())?;
    let answer = |probabilities: Vec<ClassProbability>| {
        let holding = probabilities.iter().filter(|one| one.probability >= threshold);
        Prediction::Labels { labels: holding.map(|one| one.label.clone()).collect(), probabilities }
    };
    Ok(rows.into_iter().map(answer).collect())
}

/// What `of` makes of the scores of each row, by label, most probable first.
fn probabilities(
    scores: &Tensor,
    labels: &[String],
    of: &dyn Fn(Vec<f64>) -> Vec<f64>,
) -> Result<Vec<Vec<ClassProbability>>> {
    let values = scores.as_float32()?;
    if scores.shape().len() != 2 || scores.row_len() != labels.len() || labels.is_empty() {
        let text = format!("scores of shape {:?} do not fit {} labels", scores.shape(), labels.len());
        return Err(Error::new(ErrorCode::Shape, text));
    }
    let rows = values.chunks_exact(labels.len()).enumerate();
    rows.map(|(row, scores)| {
        if scores.iter().any(|score| !score.is_finite()) {
            return Err(not_finite(row));
        }
        let values = of(scores.iter().map(|&score| f64::from(score)).collect());
        let named = labels.iter().zip(values);
        let mut probabilities: Vec<_> =
            named.map(|(label, probability)| ClassProbability { label: label.clone(), probability }).collect();
        // Stable: equal probabilities keep the order of the labels, as argmax does.
        probabilities.sort_by(|left, right| right.probability.total_cmp(&left.probability));
        Ok(probabilities)
    })
    .collect()
}

/// `exp(x - max) / sum`: never overflows, sums to 1 within rounding.
fn softmax(scores: &[f64]) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// The tensors themselves: one answer per row when every output has the same first side, else one for all.
fn raw(outputs: &NamedTensors) -> Result<Vec<Prediction>> {
    let mut sides = outputs.iter().map(|(_, tensor)| tensor.shape().first().copied());
    let rows = sides.next().flatten().filter(|rows| sides.all(|side| side == Some(*rows)));
    let Some(rows) = rows else {
        let whole = outputs.iter().map(|(name, tensor)| Ok((name.clone(), nested(tensor, 0)?)));
        return Ok(vec![Prediction::Raw { outputs: whole.collect::<Result<_>>()? }]);
    };
    (0..rows)
        .map(|row| {
            let one = outputs.iter().map(|(name, tensor)| {
                let mut values = match nested(&tensor.slice_rows(row, row + 1)?, row)? {
                    Value::Array(values) => values,
                    value => vec![value],
                };
                Ok((name.clone(), values.pop().unwrap_or(Value::Null)))
            });
            Ok(Prediction::Raw { outputs: one.collect::<Result<BTreeMap<_, _>>>()? })
        })
        .collect()
}

/// Nested lists of the tensor's shape.
fn nested(tensor: &Tensor, row: usize) -> Result<Value> {
    let number = |value: f64| serde_json::Number::from_f64(value).map(Value::Number).ok_or_else(|| not_finite(row));
    let flat: Vec<Value> = match tensor.data() {
        TensorData::Float32(values) => values.iter().map(|&value| number(f64::from(value))).collect::<Result<_>>()?,
        TensorData::Float64(values) => values.iter().map(|&value| number(value)).collect::<Result<_>>()?,
        TensorData::Int64(values) => values.iter().map(|&value| value.into()).collect(),
        TensorData::Int32(values) => values.iter().map(|&value| value.into()).collect(),
        TensorData::Int8(values) => values.iter().map(|&value| value.into()).collect(),
        TensorData::UInt8(values) => values.iter().map(|&value| value.into()).collect(),
        TensorData::Bool(values) => values.iter().map(|&value| value.into()).collect(),
        TensorData::Text(values) => values.iter().map(|value| value.as_str().into()).collect(),
    };
    let mut flat = flat.into_iter();
    Ok(fold(tensor.shape(), &mut flat))
}

fn fold(shape: &[usize], flat: &mut impl Iterator<Item = Value>) -> Value {
    match shape.split_first() {
        None => flat.next().unwrap_or(Value::Null),
        Some((&side, rest)) => Value::Array((0..side).map(|_| fold(rest, flat)).collect()),
    }
}

fn not_finite(row: usize) -> Error {
    Error::new(ErrorCode::GateFailed, "the model's output is NaN or infinite, so there is no answer")
        .at_row(row as u64 + 1)
        .fix("look at this row's values; if they are ordinary, the model is broken")
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::Transform;
    use proptest::prelude::*;

    fn decoder(activation: Activation) -> Decoder {
        Decoder::Classification {
            output: "output".into(),
            labels: vec!["a".into(), "b".into(), "c".into()],
            activation,
        }
    }

    fn outputs(values: &[f32]) -> NamedTensors {
        vec![("output".into(), Tensor::float32(vec![values.len() / 3, 3], values.to_vec()).unwrap())]
    }

    #[test]
    fn softmax_is_stable_and_sorted() {
        // scipy.special.softmax([1000, 1001, 999]) in float64.
        let answers = decode(&decoder(Activation::Softmax), &outputs(&[1000.0, 1001.0, 999.0])).unwrap();
        let Prediction::Classification { label, probability, probabilities } = &answers[0] else { panic!() };
        assert_eq!(label, "b");
        assert!((probability - 0.665_240_955_774_821_7).abs() < 1e-15);
        assert_eq!(probabilities.iter().map(|one| one.label.as_str()).collect::<Vec<_>>(), ["b", "a", "c"]);
    }

    #[test]
    fn a_tie_goes_to_the_first_label() {
        let answers = decode(&decoder(Activation::None), &outputs(&[0.25, 0.375, 0.375])).unwrap();
        let Prediction::Classification { label, .. } = &answers[0] else { panic!() };
        assert_eq!(label, "b");
    }

    #[test]
    fn what_is_not_finite_is_an_error_with_its_row() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let outputs = outputs(&[0.0, 1.0, 2.0, 0.0, bad, 2.0]);
            for decoder in [decoder(Activation::Softmax), decoder(Activation::None), Decoder::Raw] {
                let error = decode(&decoder, &outputs).unwrap_err();
                assert_eq!((error.code(), error.place().row), (ErrorCode::GateFailed, Some(2)));
            }
        }
    }

    #[test]
    fn every_label_that_reaches_the_threshold_holds() {
        let labels = vec!["a".into(), "b".into(), "c".into()];
        let decoder = Decoder::Labels { output: "output".into(), labels, threshold: 0.5 };
        let answers = decode(&decoder, &outputs(&[-1.0, 0.0, 3.0, -9.0, -1.0, -2.0])).unwrap();
        let Prediction::Labels { labels, probabilities } = &answers[0] else { panic!() };
        assert_eq!(labels, &["c", "b"]);
        // scipy.special.expit([3, 0, -1]).
        for (one, expected) in probabilities.iter().zip([0.952_574_126_822_433_4, 0.5, 0.268_941_421_369_995_1]) {
            assert!((one.probability - expected).abs() < 1e-15, "{one:?}");
        }
        assert!(matches!(&answers[1], Prediction::Labels { labels, .. } if labels.is_empty()));
        for answer in &answers {
            assert_eq!(&serde_json::from_value::<Prediction>(serde_json::to_value(answer).unwrap()).unwrap(), answer);
        }
        let error = decode(&decoder, &outputs(&[0.0, 1.0, 2.0, 0.0, f32::NAN, 2.0])).unwrap_err();
        assert_eq!((error.code(), error.place().row), (ErrorCode::GateFailed, Some(2)));
    }

    #[test]
    fn a_number_is_in_the_targets_unit() {
        let decoder = Decoder::Regression { output: "output".into(), scale: 2.0, offset: 10.0 };
        let rows =
            |values: &[f32]| vec![("output".into(), Tensor::float32([values.len(), 1], values.to_vec()).unwrap())];
        let answers = decode(&decoder, &rows(&[0.5, -1.0])).unwrap();
        assert_eq!(serde_json::to_value(answers).unwrap(), serde_json::json!([{"value": 11.0}, {"value": 8.0}]));
        let error = decode(&decoder, &rows(&[0.5, f32::NAN])).unwrap_err();
        assert_eq!((error.code(), error.place().row), (ErrorCode::GateFailed, Some(2)));
        assert_eq!(decode(&decoder, &outputs(&[0.0, 1.0, 2.0])).unwrap_err().code(), ErrorCode::Shape);
    }

    #[test]
    fn a_forecast_has_its_quantiles_in_order_and_in_the_unit_of_the_data() {
        let horizon = Horizon {
            steps: 2,
            quantiles: vec![0.1, 0.5, 0.9],
            season: 1,
            transform: Transform::None,
            offset: 10.0,
            scale: 2.0,
        };
        let decoder = Decoder::Forecast { output: "output".into(), horizon };
        let rows = |values: &[f32]| -> NamedTensors {
            vec![("output".into(), Tensor::float32([values.len() / 6, 6], values.to_vec()).unwrap())]
        };
        let answers = decode(&decoder, &rows(&[0.0, 1.0, 2.0, 1.0, 0.0, -1.0])).unwrap();
        let quantiles = serde_json::json!({"0.1": [10.0, 8.0], "0.5": [12.0, 10.0], "0.9": [14.0, 12.0]});
        let wanted = serde_json::json!([{"forecast": [12.0, 10.0], "quantiles": quantiles}]);
        assert_eq!(serde_json::to_value(&answers).unwrap(), wanted);
        let read: Vec<Prediction> = serde_json::from_value(wanted).unwrap();
        assert_eq!(read, answers);
        let error = decode(&decoder, &rows(&[0.0, f32::NAN, 2.0, 1.0, 0.0, -1.0])).unwrap_err();
        assert_eq!((error.code(), error.place().row), (ErrorCode::GateFailed, Some(1)));
        assert_eq!(decode(&decoder, &outputs(&[0.0, 1.0, 2.0])).unwrap_err().code(), ErrorCode::Shape);
    }

    #[test]
    fn raw_answers_are_nested_lists_by_row() {
        let outputs: NamedTensors = vec![
            ("x".into(), Tensor::float32(vec![2, 1, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap()),
            ("n".into(), Tensor::int64(vec![2], vec![7, 8]).unwrap()),
        ];
        let answers = serde_json::to_value(decode(&Decoder::Raw, &outputs).unwrap()).unwrap();
        assert_eq!(
            answers,
            serde_json::json!([{"outputs": {"x": [[1.0, 2.0]], "n": 7}}, {"outputs": {"x": [[3.0, 4.0]], "n": 8}}])
        );
    }

    proptest! {
        #[test]
        fn probabilities_sum_to_one(scores in prop::collection::vec(-1e30f32..1e30, 3)) {
            let answers = decode(&decoder(Activation::Softmax), &outputs(&scores)).unwrap();
            let Prediction::Classification { probabilities, .. } = &answers[0] else { panic!() };
            let sum: f64 = probabilities.iter().map(|one| one.probability).sum();
            prop_assert!((sum - 1.0).abs() < 1e-12);
        }
    }
}
