//! Recipes against scikit-learn and Pillow: tests/reference/make.py made the values.

#![allow(clippy::unwrap_used)]

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use lepton_core::image::{Image, ImageBuilder};
use lepton_core::{Column, ColumnKind, Limits, Schema};
use lepton_recipe::*;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

fn reference() -> Value {
    serde_json::from_slice(&std::fs::read(folder().join("reference.json")).unwrap()).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn one_column(kind: ColumnKind, array: ArrayRef) -> (Schema, RecordBatch) {
    let schema = Schema { columns: vec![Column { name: "x".into(), kind, nullable: true }] };
    let batch = RecordBatch::try_new(raw::arrow_schema(&schema), vec![array]).unwrap();
    (schema, batch)
}

fn run(step: StepPlan, (schema, train): &(Schema, RecordBatch), served: &RecordBatch) -> Vec<f32> {
    let recipe = RecipePlan { steps: vec![step], target: None }.fit(schema, train).unwrap();
    recipe.apply(served).unwrap().as_float32().unwrap().to_vec()
}

#[test]
fn numbers_are_filled_and_scaled_like_scikit_learn() {
    let reference = reference();
    let cases = reference["numbers"].as_array().unwrap();
    assert_eq!(cases.len(), 30);
    for case in cases {
        let input: Float64Array = case["input"].as_array().unwrap().iter().map(Value::as_f64).collect();
        let data = one_column(ColumnKind::Number, Arc::new(input));
        let step = StepPlan::Number(NumberPlan {
            missing: serde_json::from_value(case["missing"].clone()).unwrap(),
            normalize: serde_json::from_value(case["normalize"].clone()).unwrap(),
            ..NumberPlan::new("x")
        });
        let ours = run(step, &data, &data.1);
        for (row, (ours, theirs)) in ours.iter().zip(floats(&case["output"])).enumerate() {
            // The mean's last bits depend on the order of the sum; at an offset of 1e9 they are 1e-7 of the spread.
            let close = (f64::from(*ours) - theirs).abs() <= 1e-6 * theirs.abs().max(1.0);
            assert!(close, "{} {} {} row {row}: {ours} {theirs}", case["name"], case["missing"], case["normalize"]);
        }
    }
}

#[test]
fn categories_are_encoded_like_scikit_learn() {
    let reference = reference();
    let case = &reference["category"];
    let texts = |key: &str| -> ArrayRef {
        Arc::new(case[key].as_array().unwrap().iter().map(Value::as_str).collect::<StringArray>())
    };
    let train = one_column(ColumnKind::Category, texts("train"));
    let (_, served) = one_column(ColumnKind::Category, texts("served"));
    let step = StepPlan::Category(CategoryPlan {
        missing: CategoryMissing::Refuse,
        max_categories: 100,
        ..CategoryPlan::new("x")
    });
    let theirs: Vec<f64> = case["output"].as_array().unwrap().iter().flat_map(floats).collect();
    let ours: Vec<f64> = run(step, &train, &served).into_iter().map(f64::from).collect();
    assert_eq!(ours, theirs);
}

fn picture_column(images: &[Image]) -> (Schema, RecordBatch) {
    let mut builder = ImageBuilder::default();
    images.iter().for_each(|image| builder.push(Some(image.as_ref())));
    one_column(ColumnKind::Image, builder.finish())
}

#[test]
fn pictures_are_converted_and_resized_like_pillow() {
    let reference = reference();
    for case in reference["pictures"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let file = std::fs::read(folder().join(format!("{name}.png"))).unwrap();
        let data = picture_column(&[raw::decode_picture(&file, &Limits::default()).unwrap()]);
        let side = |key: &str| Some(case[key].as_u64().unwrap() as usize);
        let step = StepPlan::Image(ImagePlan {
            height: side("height"),
            width: side("width"),
            channels: side("channels"),
            ..ImagePlan::new("x")
        });
        let ours = run(step, &data, &data.1);
        let channels = side("channels").unwrap();
        let area = ours.len() / channels;
        let theirs = floats(&case["pixels"]);
        assert_eq!(theirs.len(), ours.len());
        for (place, theirs) in theirs.iter().enumerate() {
            let ours = f64::from(ours[(place % channels) * area + place / channels]) * 255.0;
            // Pillow rounds to bytes between its two passes; we round once at the end.
            assert!((ours - theirs).abs() <= 1.01, "{name} {area}x{channels} at {place}: {ours} {theirs}");
        }
    }
}

#[test]
fn pictures_are_standardised_like_scikit_learn() {
    let reference = reference();
    let case = &reference["standardized_picture"];
    let bytes: Vec<u8> = floats(&case["pixels"]).into_iter().map(|value| value as u8).collect();
    let image = |pixels: &[u8]| Image { height: 5, width: 6, channels: 3, pixels: pixels.to_vec() };
    let data = picture_column(&bytes.chunks_exact(90).map(image).collect::<Vec<_>>());
    let step = StepPlan::Image(ImagePlan { normalize: ImageNormalize::Standardize, ..ImagePlan::new("x") });
    for (ours, theirs) in run(step, &data, &data.1).iter().zip(floats(&case["output"])) {
        assert!((f64::from(*ours) - theirs).abs() < 1e-6, "{ours} {theirs}");
    }
}

#[test]
fn grey_and_jpeg_files_keep_their_channels() {
    let decode = |name: &str| {
        let file = std::fs::read(folder().join(name)).unwrap();
        raw::decode_picture(&file, &Limits::default()).unwrap()
    };
    let (grey, noise, smooth, jpeg) =
        (decode("grey.png"), decode("noise.png"), decode("smooth.png"), decode("smooth.jpg"));
    assert_eq!((grey.height, grey.width, grey.channels), (13, 17, 1));
    assert_eq!(grey.pixels, noise.pixels.iter().step_by(3).copied().collect::<Vec<_>>());
    assert_eq!((jpeg.height, jpeg.width, jpeg.channels), (13, 17, 3));
    assert!(jpeg.pixels.iter().zip(&smooth.pixels).all(|(a, b)| a.abs_diff(*b) < 16));
}
