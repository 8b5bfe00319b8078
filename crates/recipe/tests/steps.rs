//! Every kind of step against scikit-learn, numpy, Pillow, scipy and librosa: tests/reference/make_steps.py made the
//! values.

#![allow(clippy::unwrap_used)]

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use lepton_core::image::{Image, ImageBuilder};
use lepton_core::{Column, ColumnKind, Schema};
use lepton_recipe::audio::{AudioPlan, AudioStep, MelPlan, resample, waveforms};
use lepton_recipe::*;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

fn reference(part: &str) -> Value {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference/steps.json");
    let mut all: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    all[part].take()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn texts(value: &Value) -> ArrayRef {
    Arc::new(value.as_array().unwrap().iter().map(Value::as_str).collect::<StringArray>())
}

fn numbers(value: &Value) -> ArrayRef {
    Arc::new(value.as_array().unwrap().iter().map(Value::as_f64).collect::<Float64Array>())
}

fn table(columns: Vec<(&str, ColumnKind, ArrayRef)>) -> (Schema, RecordBatch) {
    let column =
        |(name, kind, _): &(&str, ColumnKind, ArrayRef)| Column { name: (*name).into(), kind: *kind, nullable: true };
    let schema = Schema { columns: columns.iter().map(column).collect() };
    let batch =
        RecordBatch::try_new(raw::arrow_schema(&schema), columns.into_iter().map(|(.., array)| array).collect());
    (schema, batch.unwrap())
}

fn one(kind: ColumnKind, array: ArrayRef) -> (Schema, RecordBatch) {
    table(vec![("x", kind, array)])
}

/// Fits on `train`, and applies to `served` what was read back from JSON.
fn run(step: StepPlan, (schema, train): &(Schema, RecordBatch), served: &RecordBatch) -> Vec<f64> {
    let recipe = RecipePlan { steps: vec![step], target: None }.fit(schema, train).unwrap();
    let recipe = Recipe::from_json(&recipe.to_json().unwrap()).unwrap();
    recipe.apply(served).unwrap().as_float32().unwrap().iter().map(|value| f64::from(*value)).collect()
}

fn assert_close(ours: &[f64], theirs: &[f64], bound: f64, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (place, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert!((ours - theirs).abs() <= bound * theirs.abs().max(1.0), "{what}, place {place}: {ours} {theirs}");
    }
}

#[test]
fn numbers_are_clipped_scaled_and_binned_like_scikit_learn() {
    let cases = reference("numbers");
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 22);
    for case in cases {
        let data = one(ColumnKind::Number, numbers(&case["input"]));
        let scale = match case["scale"].as_str().unwrap() {
            "bins" => NumberNormalize::Bins(5),
            "ordinal_bins" => NumberNormalize::OrdinalBins(5),
            name => serde_json::from_value(name.into()).unwrap(),
        };
        let clip = serde_json::from_value(case["clip"].clone()).unwrap();
        let step = NumberPlan { clip, normalize: scale, ..NumberPlan::new("x") };
        let what = format!("{} {} {}", case["name"], case["scale"], case["clip"]);
        // Both look for the best exponent of Yeo and Johnson until it stands still to about eight digits.
        let bound = if scale == NumberNormalize::YeoJohnson { 1e-5 } else { 1e-6 };
        assert_close(&run(StepPlan::Number(step), &data, &data.1), &floats(&case["output"]), bound, &what);
    }
}

#[test]
fn gaps_are_filled_from_other_columns_like_scikit_learn() {
    let case = reference("imputation");
    let names = ["a", "b", "c", "d"];
    let columns: Vec<Value> = case["columns"].as_array().unwrap().clone();
    let data =
        table(names.iter().zip(&columns).map(|(name, values)| (*name, ColumnKind::Number, numbers(values))).collect());
    for (key, missing) in [("nearest", NumberMissing::Nearest(5)), ("iterative", NumberMissing::Iterative)] {
        let step = |name: &&str| {
            let normalize = NumberNormalize::None;
            StepPlan::Number(NumberPlan { missing: missing.clone(), normalize, ..NumberPlan::new(*name) })
        };
        let recipe =
            RecipePlan { steps: names.iter().map(step).collect(), target: None }.fit(&data.0, &data.1).unwrap();
        let recipe = Recipe::from_json(&recipe.to_json().unwrap()).unwrap();
        let ours = recipe.apply(&data.1).unwrap();
        for (column, theirs) in case[key].as_array().unwrap().iter().enumerate() {
            let ours: Vec<f64> =
                ours.as_float32().unwrap().iter().skip(column).step_by(4).map(|value| f64::from(*value)).collect();
            assert_close(&ours, &floats(theirs), 1e-5, &format!("{key} {}", names[column]));
        }
        // A served row alone is filled as it was among the others.
        for row in [0, 17, 79] {
            let alone = recipe.apply(&data.1.slice(row, 1)).unwrap();
            assert_eq!(alone.as_float32().unwrap(), &ours.as_float32().unwrap()[row * 4..row * 4 + 4], "{key} {row}");
        }
    }
}

#[test]
fn categories_are_encoded_like_scikit_learn() {
    let case = reference("categories");
    let train = one(ColumnKind::Category, texts(&case["train"]));
    let (_, served) = one(ColumnKind::Category, texts(&case["served"]));
    for (key, encode, min_count) in [
        ("ordinal", CategoryEncode::Ordinal, 1),
        ("frequency", CategoryEncode::Frequency, 1),
        ("rare", CategoryEncode::OneHot, 13),
    ] {
        let step = StepPlan::Category(CategoryPlan { encode, min_count, ..CategoryPlan::new("x") });
        assert_close(&run(step, &train, &served), &floats(&case[key]), 1e-6, key);
    }
    for target in case["target"].as_array().unwrap() {
        let labels = texts(&case[target["labels"].as_str().unwrap()]);
        let data = table(vec![("x", ColumnKind::Category, texts(&case["train"])), ("y", ColumnKind::Category, labels)]);
        let smooth = target["smooth"].as_f64();
        let step = CategoryPlan { encode: CategoryEncode::Target, smooth, ..CategoryPlan::new("x") };
        let plan = RecipePlan {
            steps: vec![StepPlan::Category(step)],
            target: Some(TargetPlan::Classes { column: "y".into() }),
        };
        let output = plan.fit(&data.0, &data.1).unwrap().apply(&served).unwrap();
        let ours: Vec<f64> = output.as_float32().unwrap().iter().map(|value| f64::from(*value)).collect();
        assert_close(&ours, &floats(&target["output"]), 1e-6, &format!("{} {smooth:?}", target["labels"]));
    }
}

#[test]
fn dates_become_lines_and_circles() {
    let case = reference("dates");
    let train = one(ColumnKind::Text, texts(&case["train"]));
    let (_, served) = one(ColumnKind::Text, texts(&case["served"]));
    let ours = run(StepPlan::Date(DatePlan::new("x")), &train, &served);
    assert_close(&ours, &floats(&case["output"]), 1e-6, "dates");
    let plan = RecipePlan { steps: vec![StepPlan::Date(DatePlan::new("x"))], target: None };
    let names = plan.fit(&train.0, &train.1).unwrap().feature_names();
    assert_eq!(names[..4], ["x (days)", "x (year)", "x (month sine)", "x (month cosine)"]);
}

#[test]
fn words_are_hashed_and_weighed_like_scikit_learn() {
    let case = reference("texts");
    let column = |key: &str| {
        let array: StringArray = case[key].as_array().unwrap().iter().map(|text| text.as_str()).collect();
        one(ColumnKind::Text, Arc::new(array))
    };
    let (train, (_, served)) = (column("train"), column("served"));
    for (key, weight) in [("tf_idf", TextWeight::TfIdf), ("counts", TextWeight::Counts)] {
        let step = StepPlan::Text(TextPlan { features: 64, weight, ..TextPlan::new("x") });
        assert_close(&run(step, &train, &served), &floats(&case[key]), 1e-6, key);
    }
}

fn picture(case: &Value, turned: bool) -> (Schema, RecordBatch) {
    let side = |key: &str| case[key].as_u64().unwrap() as usize;
    let (height, width) = (side("height"), side("width"));
    let mut pixels: Vec<u8> = floats(&case["source"]).into_iter().map(|value| value as u8).collect();
    let (height, width) = if turned {
        let at = |row: usize, column: usize| &pixels[(column * width + row) * 3..][..3];
        pixels = (0..width)
            .flat_map(|row| (0..height).flat_map(move |column| [row, column]).collect::<Vec<_>>())
            .collect::<Vec<usize>>()
            .chunks(2)
            .flat_map(|place| at(place[0], place[1]).to_vec())
            .collect();
        (width, height)
    } else {
        (height, width)
    };
    let mut builder = ImageBuilder::default();
    builder.push(Some(Image { height, width, channels: 3, pixels }.as_ref()));
    one(ColumnKind::Image, builder.finish())
}

#[test]
fn pictures_are_cropped_padded_and_normalised_like_pillow_and_torchvision() {
    let all = reference("pictures");
    for case in all["cases"].as_array().unwrap() {
        let data = picture(&all, case["turned"].as_bool().unwrap());
        let side = |key: &str| case[key].as_u64().map(|side| side as usize);
        let fit = match case["fit"].as_str().unwrap() {
            "pad" => ImageFit::Pad { value: 7 },
            _ => ImageFit::Crop { resize: side("resize") },
        };
        let step = ImagePlan { height: side("height"), width: side("width"), fit, ..ImagePlan::new("x") };
        let ours = run(StepPlan::Image(step), &data, &data.1);
        let (area, theirs) = (ours.len() / 3, floats(&case["pixels"]));
        assert_eq!(ours.len(), theirs.len());
        for (place, theirs) in theirs.iter().enumerate() {
            let ours = ours[(place % 3) * area + place / 3] * 255.0;
            // Pillow rounds to bytes between its two passes; we round once at the end.
            assert!((ours - theirs).abs() <= 1.01, "{fit:?} {} at {place}: {ours} {theirs}", case["turned"]);
        }
    }
    let data = picture(&all, false);
    let numbers = |key: &str| floats(&all["given"][key]);
    let normalize = ImageNormalize::Given { mean: numbers("mean"), std: numbers("std") };
    let step = StepPlan::Image(ImagePlan { normalize, ..ImagePlan::new("x") });
    assert_close(&run(step, &data, &data.1), &floats(&all["given"]["output"]), 1e-6, "given");
}

fn singles(value: &Value) -> Vec<f32> {
    floats(value).into_iter().map(|value| value as f32).collect()
}

#[test]
fn sound_is_resampled_like_scipy() {
    let all = reference("audio");
    for case in all["resample"].as_array().unwrap() {
        let rate = |key: &str| case[key].as_u64().unwrap() as u32;
        let ours: Vec<f64> =
            resample(&singles(&case["input"]), rate("from"), rate("to")).into_iter().map(f64::from).collect();
        assert_close(&ours, &floats(&case["output"]), 1e-6, &format!("{} to {}", case["from"], case["to"]));
    }
}

#[test]
fn log_mel_features_are_those_of_librosa() {
    let all = reference("audio");
    let samples = singles(&all["samples"]);
    let column = waveforms(&[Some((16_000, &samples)), Some((16_000, &samples[..1200]))]);
    for case in all["mel"].as_array().unwrap() {
        let size = |key: &str| case[key].as_u64().unwrap() as usize;
        let (low, high) = (case["low"].as_f64().unwrap(), case["high"].as_f64());
        let mel = MelPlan { window: size("window"), hop: size("hop"), bands: size("bands"), low, high };
        let plan = AudioPlan { mel: Some(mel), ..AudioPlan::default() };
        let step = plan.fit("sound", &column).unwrap();
        let step = AudioStep::from_json(&step.to_json().unwrap()).unwrap();
        let tensor = step.apply("sound", &column).unwrap();
        let shape: Vec<usize> = floats(&case["shape"]).into_iter().map(|side| side as usize).collect();
        assert_eq!(tensor.shape(), [2, shape[0], shape[1]]);
        let ours: Vec<f64> =
            tensor.as_float32().unwrap()[..shape[0] * shape[1]].iter().map(|value| f64::from(*value)).collect();
        assert_close(&ours, &floats(&case["output"]), 1e-5, &format!("{} bands", case["bands"]));
        // Silence behind a short sound is at the floor.
        assert_eq!(tensor.as_float32().unwrap().last(), Some(&-100.0));
    }
}
