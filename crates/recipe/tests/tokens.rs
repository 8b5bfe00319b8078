//! Vocabularies and codes against the Python package `tokenizers`: tests/reference/make_tokens.py made the values.

#![allow(clippy::unwrap_used)]

use arrow_array::{RecordBatch, StringArray};
use lepton_core::{Column, ColumnKind, Schema};
use lepton_recipe::*;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

fn texts(value: &Value) -> (Schema, RecordBatch) {
    let schema = Schema { columns: vec![Column { name: "x".into(), kind: ColumnKind::Text, nullable: true }] };
    let column: StringArray = value.as_array().unwrap().iter().map(Value::as_str).collect();
    let batch = RecordBatch::try_new(raw::arrow_schema(&schema), vec![Arc::new(column)]).unwrap();
    (schema, batch)
}

fn plan(case: &Value) -> TokensPlan {
    let tokenizer = match &case["tokenizer"] {
        Value::Null => serde_json::from_value(case["plan"]["tokenizer"].clone()).unwrap(),
        document => TokenizerPlan::Pretrained(document.clone()),
    };
    let default = TokensPlan::new("x");
    TokensPlan {
        tokenizer,
        vocabulary: case["plan"]["vocabulary"].as_u64().map_or(default.vocabulary, |count| count as usize),
        lowercase: case["plan"]["lowercase"].as_bool().unwrap_or(default.lowercase),
        ..default
    }
}

#[test]
fn vocabularies_and_codes_are_those_of_the_reference() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/tokens.json");
    let reference: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let ((schema, train), (_, served)) = (texts(&reference["train"]), texts(&reference["served"]));
    let length = reference["length"].as_u64().unwrap() as usize;
    let cases = reference["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let (name, plan) = (case["name"].as_str().unwrap(), plan(case));
        let recipe = |length| {
            let step = StepPlan::Tokens(TokensPlan { length, ..plan.clone() });
            RecipePlan { steps: vec![step], target: None }.fit(&schema, &train).unwrap()
        };
        let usual = recipe(None).codes().unwrap();
        let vocabulary = case["vocabulary"].as_object().unwrap();
        assert_eq!(usual.vocabulary, vocabulary.len(), "{name}");
        assert_eq!(usual.padding as u64, case["padding"].as_u64().unwrap(), "{name}");
        assert_eq!(usual.length as u64, case["usual_length"].as_u64().unwrap(), "{name}");
        let recipe = recipe(Some(length));
        let written: Value = serde_json::from_slice(&recipe.to_json().unwrap()).unwrap();
        if case["tokenizer"].is_null() {
            assert_eq!(&written["steps"][0]["tokenizer"]["model"]["vocab"], &case["vocabulary"], "{name}");
        }
        let unknown = vocabulary.get("[UNK]").or(vocabulary.get("<unk>")).and_then(Value::as_i64).unwrap();
        let made = recipe.apply(&served).unwrap();
        let rows = made.as_int64().unwrap().chunks(length);
        for (row, (ours, theirs)) in rows.zip(case["codes"].as_array().unwrap()).enumerate() {
            let mut theirs: Vec<i64> = theirs.as_array().unwrap().iter().filter_map(Value::as_i64).collect();
            if theirs.is_empty() {
                theirs.push(unknown);
            }
            theirs.resize(length, usual.padding as i64);
            assert_eq!(ours, theirs, "{name}, row {row}");
        }
    }
}
