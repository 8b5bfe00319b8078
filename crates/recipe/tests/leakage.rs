//! A target encoding must not let a training row see its own label, and every step must be fitted on training rows
//! alone.

#![allow(clippy::unwrap_used)]

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use lepton_core::{Column, ColumnKind, ErrorCode, Schema};
use lepton_recipe::*;
use std::sync::Arc;

fn table(ids: &[String], labels: &[&str]) -> (Schema, RecordBatch) {
    let column = |name: &str| Column { name: name.into(), kind: ColumnKind::Category, nullable: false };
    let schema = Schema { columns: vec![column("id"), column("y")] };
    let columns: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from(ids.to_vec())), Arc::new(StringArray::from(labels.to_vec()))];
    let batch = RecordBatch::try_new(raw::arrow_schema(&schema), columns).unwrap();
    (schema, batch)
}

fn target_encoding(smooth: Option<f64>) -> RecipePlan {
    let encode = CategoryEncode::Target;
    let step = CategoryPlan { encode, smooth, max_categories: 1_000, ..CategoryPlan::new("id") };
    RecipePlan { steps: vec![StepPlan::Category(step)], target: Some(TargetPlan::Classes { column: "y".into() }) }
}

/// A coin per row, without a library.
fn coin(row: usize) -> bool {
    (row.wrapping_mul(2_654_435_761) >> 13) & 1 == 1
}

#[test]
fn a_training_row_does_not_see_its_own_label() {
    // Every id is there once and says nothing about the label: whoever reads the label out of it has read the row's own.
    let ids: Vec<String> = (0..200).map(|row| format!("id{row}")).collect();
    let labels: Vec<&str> = (0..200).map(|row| if coin(row) { "yes" } else { "no" }).collect();
    let (schema, train) = table(&ids, &labels);
    let recipe = target_encoding(Some(1.0)).fit(&schema, &train).unwrap();
    let agreement = |shares: &[f32]| {
        let hits = shares.iter().zip(&labels).filter(|(share, label)| (**share > 0.5) == (**label == "yes"));
        hits.count() as f64 / labels.len() as f64
    };
    let places: Vec<usize> = (0..200).collect();
    let in_training = recipe.apply_in_training(&train, &places).unwrap();
    let leaked = recipe.apply(&train).unwrap();
    assert_eq!(agreement(leaked.as_float32().unwrap()), 1.0, "what serving uses knows every training label");
    let honest = agreement(in_training.as_float32().unwrap());
    assert!(honest < 0.65, "training rows read {honest} of their own labels");
}

#[test]
fn changing_one_label_does_not_change_that_rows_own_encoding() {
    let ids: Vec<String> = (0..60).map(|row| format!("id{}", row % 6)).collect();
    let labels: Vec<&str> = (0..60).map(|row| if coin(row) { "yes" } else { "no" }).collect();
    let places: Vec<usize> = (0..60).collect();
    let encoded = |labels: &[&str]| {
        let (schema, train) = table(&ids, labels);
        let recipe = target_encoding(None).fit(&schema, &train).unwrap();
        let recipe = Recipe::from_json(&recipe.to_json().unwrap()).unwrap();
        let training = recipe.apply_in_training(&train, &places).unwrap().as_float32().unwrap().to_vec();
        (training, recipe.apply(&train).unwrap().as_float32().unwrap().to_vec())
    };
    let (before, served_before) = encoded(&labels);
    let mut others_moved = 0;
    for row in 0..60 {
        let mut changed = labels.clone();
        changed[row] = if changed[row] == "yes" { "no" } else { "yes" };
        let (after, served_after) = encoded(&changed);
        assert_eq!(after[row].to_bits(), before[row].to_bits(), "row {row} sees its own label");
        assert_ne!(served_after[row], served_before[row], "what serving uses is of all training rows");
        others_moved += (0..60).filter(|other| after[*other] != before[*other]).count();
    }
    assert!(others_moved > 60, "the labels of other rows count: {others_moved}");
}

#[test]
fn a_batch_of_training_rows_is_encoded_as_in_the_whole() {
    let ids: Vec<String> = (0..50).map(|row| format!("id{}", row % 7)).collect();
    let labels: Vec<&str> = (0..50).map(|row| ["a", "b", "c"][row / 2 % 3]).collect();
    let (schema, train) = table(&ids, &labels);
    let recipe = target_encoding(Some(2.0)).fit(&schema, &train).unwrap();
    assert!(recipe.is_out_of_fold());
    assert_eq!(recipe.feature_names().len(), 3);
    let whole = recipe.apply_in_training(&train, &(0..50).collect::<Vec<_>>()).unwrap();
    let piece = recipe.apply_in_training(&train.slice(20, 5), &[20, 21, 22, 23, 24]).unwrap();
    assert_eq!(piece.as_float32().unwrap(), &whole.as_float32().unwrap()[60..75]);
    assert_eq!(recipe.apply_in_training(&train, &[1]).unwrap_err().code(), ErrorCode::Internal);
}

#[test]
fn nothing_is_learned_from_rows_that_are_served() {
    let schema = Schema {
        columns: ["a", "b"].map(|name| Column { name: name.into(), kind: ColumnKind::Number, nullable: true }).into(),
    };
    let batch = |a: Vec<Option<f64>>, b: Vec<Option<f64>>| {
        let columns: Vec<ArrayRef> = vec![Arc::new(Float64Array::from(a)), Arc::new(Float64Array::from(b))];
        RecordBatch::try_new(raw::arrow_schema(&schema), columns).unwrap()
    };
    let numbers =
        |factor: f64| (0..30).map(|row| (row % 7 != 3).then_some(f64::from(row) * factor)).collect::<Vec<_>>();
    let train = batch(numbers(1.0), numbers(-2.0));
    for missing in [NumberMissing::Mean, NumberMissing::Nearest(3), NumberMissing::Iterative] {
        for normalize in [NumberNormalize::Robust, NumberNormalize::YeoJohnson, NumberNormalize::Bins(4)] {
            let step = |name: &str| {
                let missing = missing.clone();
                StepPlan::Number(NumberPlan { missing, normalize, clip: Some([0.05, 0.95]), ..NumberPlan::new(name) })
            };
            let recipe = RecipePlan { steps: vec![step("a"), step("b")], target: None }.fit(&schema, &train).unwrap();
            // Rows of another world beside it do not change what a row becomes.
            let alone = batch(vec![None], vec![Some(4.0)]);
            let among = batch(vec![None, Some(1e6), Some(-1e6)], vec![Some(4.0), Some(1e6), None]);
            let width = recipe.feature_names().len();
            assert_eq!(
                recipe.apply(&alone).unwrap().as_float32().unwrap(),
                &recipe.apply(&among).unwrap().as_float32().unwrap()[..width]
            );
        }
    }
}
