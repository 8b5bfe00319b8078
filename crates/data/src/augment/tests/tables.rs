//! SMOTE against imbalanced-learn, and noise on numbers.

use super::{floats, reference};
use crate::augment::table::{NumberNoise, Smote, oversample};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray};
use lepton_core::{Column, ColumnKind, ErrorCode, Schema, Seed};
use std::sync::Arc;

fn rows<T: serde::de::DeserializeOwned>(value: &serde_json::Value) -> Vec<Vec<T>> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn neighbours_and_new_rows_are_those_of_imbalanced_learn() {
    let reference = reference("augment.json");
    let mut ties = 0;
    for kind in ["smote", "smote_nc"] {
        let case = &reference[kind];
        let smote = Smote::new(rows(&case["numbers"]), rows(&case["categories"]));
        let theirs: Vec<Vec<usize>> = rows(&case["neighbours"]);
        assert_eq!(smote.neighbours(5), theirs, "{kind}");
        let (bases, places) = (floats(&case["rows"]), floats(&case["columns"]));
        let new: Vec<Vec<f64>> = rows(&case["new"]);
        assert_eq!(new.len(), 20, "as many as the frequent class has more");
        for ((share, made), (base, place)) in floats(&case["steps"]).iter().zip(&new).zip(bases.iter().zip(&places)) {
            let (base, place) = (*base as usize, *place as usize);
            let other = theirs[base][place];
            let pairs = smote.numbers[base].iter().zip(&smote.numbers[other]);
            for ((one, two), theirs) in pairs.zip(made) {
                assert!((one + share * (two - one) - theirs).abs() < 1e-9, "{kind} {base} {place}");
            }
            for (column, code) in made[3..].iter().enumerate() {
                // A tie is drawn, by them as by us.
                let best = smote.frequent(column, &theirs[base]);
                ties += usize::from(best.len() > 1);
                assert!(best.contains(&(*code as u32)), "{kind} {base} {column}");
            }
        }
    }
    assert!(ties < 20, "most categories are decided: {ties}");
}

fn table() -> (RecordBatch, Schema) {
    let column = |name: &str, kind| Column { name: name.into(), kind, nullable: true };
    let schema = Schema {
        columns: vec![
            column("size", ColumnKind::Number),
            column("age", ColumnKind::Number),
            column("port", ColumnKind::Category),
            column("class", ColumnKind::Category),
        ],
    };
    let sizes: Float64Array = (0..30).map(|row| Some(f64::from(row))).collect();
    let ages: Float64Array = (0..30).map(|row| (row % 7 != 0).then_some(f64::from(row * row % 11))).collect();
    let ports: StringArray = (0..30).map(|row| (row % 9 != 0).then_some(["x", "y", "z"][row % 3])).collect();
    let classes: StringArray = (0..30).map(|row| Some(if row < 8 { "rare" } else { "usual" })).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(sizes), Arc::new(ages), Arc::new(ports), Arc::new(classes)];
    (RecordBatch::try_new(lepton_recipe::raw::arrow_schema(&schema), columns).unwrap(), schema)
}

#[test]
fn rare_classes_get_rows_between_their_own() {
    let (part, schema) = table();
    let grown = oversample(&part, &schema, "class", 3, Seed(2)).unwrap();
    assert_eq!(grown.added.iter().collect::<Vec<_>>(), [(&"rare".to_owned(), &14)]);
    assert_eq!(grown.part.slice(0, 30), part, "the rows that were there stay");
    assert_eq!(grown.part.num_rows(), 44);
    let sizes = grown.part.column(0).as_primitive::<Float64Type>();
    let classes = grown.part.column(3).as_string::<i32>();
    for row in 30..44 {
        assert_eq!(classes.value(row), "rare");
        assert!((0.0..=7.0).contains(&sizes.value(row)), "between rows of its class");
    }
    assert!((30..44).any(|row| sizes.value(row).fract() != 0.0), "not only copies");
    assert_eq!(oversample(&part, &schema, "class", 3, Seed(2)).unwrap().part, grown.part);
    assert_ne!(oversample(&part, &schema, "class", 3, Seed(3)).unwrap().part, grown.part);
}

#[test]
fn a_class_with_too_few_rows_is_refused() {
    let (part, schema) = table();
    let error = oversample(&part, &schema, "class", 8, Seed(2)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::BadData);
    assert_eq!(error.message(), "class \"rare\" has 8 training rows, too few for 8 neighbours of each");
    assert_eq!(error.remedy(), Some("set neighbours = 7 or less"));
}

#[test]
fn noise_keeps_its_deviation_and_the_rest_of_the_row() {
    let (part, schema) = table();
    let noise = NumberNoise::new(&part, &schema, 0.1, 1.0, Seed(1), 0).unwrap();
    let rows: Vec<usize> = (0..30).collect();
    let deviation = |epochs: u64| {
        let mut sum = 0.0;
        for epoch in 0..epochs {
            let noisy = noise.apply(&part, &rows, epoch).unwrap();
            assert_eq!((noisy.column(2), noisy.column(3)), (part.column(2), part.column(3)));
            assert_eq!(noisy.column(1).nulls(), part.column(1).nulls());
            let pairs = noisy.column(0).as_primitive::<Float64Type>().values().iter().enumerate();
            sum += pairs.map(|(row, value)| (value - row as f64).powi(2)).sum::<f64>() / 30.0;
        }
        (sum / epochs as f64).sqrt()
    };
    // The numbers 0 to 29 have a deviation of 8.655.
    assert!((deviation(60) - 0.8655).abs() < 0.05, "{}", deviation(60));
    // What a row becomes does not hang on the batch that it is in.
    let whole = noise.apply(&part, &rows, 3).unwrap();
    let some = noise.apply(&part.slice(7, 5), &rows[7..12], 3).unwrap();
    assert_eq!(whole.slice(7, 5), some);
    assert_ne!(noise.apply(&part, &rows, 4).unwrap(), whole);
    let none = NumberNoise::new(&part, &schema, 0.1, 0.0, Seed(1), 0).unwrap();
    assert_eq!(none.apply(&part, &rows, 3).unwrap(), part);
}
