//! Texts that are empty, missing or very long, vocabularies of almost nothing, and steps that contradict themselves.

#![allow(clippy::unwrap_used)]

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use lepton_core::{Column, ColumnKind, DType, ErrorCode, Result, Schema};
use lepton_recipe::{CategoryMissing, Codes, Recipe, RecipePlan, StepPlan, TokenizerPlan, TokensPlan};
use serde_json::{Value, json};
use std::sync::Arc;

const TRAIN: [Option<&str>; 4] =
    [Some("Good, good phone!"), Some("good film"), Some("bad phone"), Some("a film as bad as a phone")];

fn rows(texts: &[Option<&str>]) -> RecordBatch {
    let column: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    RecordBatch::try_from_iter_with_nullable([("x", column, true)]).unwrap()
}

fn schema() -> Schema {
    Schema { columns: vec![Column { name: "x".to_owned(), kind: ColumnKind::Text, nullable: true }] }
}

fn fitted(change: impl Fn(&mut TokensPlan), train: &[Option<&str>]) -> Result<Recipe> {
    let mut plan = TokensPlan::new("x");
    change(&mut plan);
    RecipePlan { steps: vec![StepPlan::Tokens(plan)], target: None }.fit(&schema(), &rows(train))
}

fn codes(recipe: &Recipe, texts: &[Option<&str>]) -> Vec<i64> {
    recipe.apply(&rows(texts)).unwrap().as_int64().unwrap().to_vec()
}

#[test]
fn words_are_numbered_by_how_often_they_occur() {
    let recipe = fitted(|_| (), &TRAIN).unwrap();
    // good and phone occur three times, "a" "as" "bad" "film" twice; ties are in alphabetical order.
    assert_eq!(recipe.codes(), Some(Codes { length: 7, vocabulary: 8, padding: 0 }));
    assert_eq!(recipe.output().dtype, DType::Int64);
    assert_eq!(recipe.output().shape, [-1, 7]);
    assert_eq!(codes(&recipe, &[Some("GOOD phone, as film")]), [2, 3, 1, 5, 7, 0, 0]);
    assert_eq!(codes(&recipe, &[Some("a a a a bad bad bad bad bad")]), [4, 4, 4, 4, 6, 6, 6]);
    let few = fitted(|plan| plan.vocabulary = 3, &TRAIN).unwrap();
    assert_eq!(codes(&few, &[Some("good phone")])[..2], [2, 1]);
    let all = fitted(|plan| (plan.min_count, plan.lowercase) = (1, false), &TRAIN).unwrap();
    assert_ne!(codes(&all, &[Some("Good")]), codes(&all, &[Some("good")]));
}

#[test]
fn empty_and_missing_texts_are_one_unknown_word() {
    let recipe = fitted(|_| (), &TRAIN).unwrap();
    for text in [Some(""), Some(" \n\t "), None] {
        assert_eq!(codes(&recipe, &[text]), [1, 0, 0, 0, 0, 0, 0], "{text:?}");
    }
    let none = RecordBatch::new_empty(rows(&TRAIN).schema());
    assert_eq!(recipe.apply(&none).unwrap().shape(), [0, 7]);
    let strict = fitted(|plan| plan.missing = CategoryMissing::Refuse, &TRAIN).unwrap();
    let error = strict.apply(&rows(&[Some("good"), None])).unwrap_err();
    assert_eq!((error.code(), error.place().row), (ErrorCode::BadData, Some(2)));
    let error = fitted(|plan| plan.missing = CategoryMissing::Refuse, &[Some("good good"), None]).unwrap_err();
    assert_eq!((error.code(), error.place().row), (ErrorCode::BadData, Some(2)));
}

#[test]
fn a_text_of_a_hundred_thousand_words_is_cut() {
    let long = "good phone ".repeat(50_000);
    for tokenizer in [TokenizerPlan::Words, TokenizerPlan::WordPiece, TokenizerPlan::Bpe] {
        let recipe = fitted(
            |plan| (plan.tokenizer, plan.vocabulary) = (tokenizer.clone(), 300),
            &[Some(&long), Some("good bad")],
        );
        let recipe = recipe.unwrap();
        // Even where it is in training: the length has a bound.
        assert_eq!(recipe.codes().map(|codes| codes.length), Some(256), "{tokenizer:?}");
        let cut = codes(&recipe, &[Some(&long)]);
        assert!(cut.len() == 256 && !cut.contains(&0) && !cut.contains(&1), "{tokenizer:?}");
    }
}

#[test]
fn a_vocabulary_of_one_word_is_enough_and_none_is_said() {
    let recipe = fitted(|_| (), &[Some("yes yes"), Some("yes")]).unwrap();
    assert_eq!(recipe.codes(), Some(Codes { length: 2, vocabulary: 3, padding: 0 }));
    assert_eq!(codes(&recipe, &[Some("yes no")]), [2, 1]);
    // No word occurs twice: all are unknown, and a row still has a place.
    let none = fitted(|_| (), &[Some("one two"), Some("three")]).unwrap();
    assert_eq!(codes(&none, &[Some("one")]), [1, 0]);
    let error = fitted(|_| (), &[Some(""), Some("  "), None]).unwrap_err();
    assert_eq!((error.code(), error.place().column.as_deref()), (ErrorCode::BadData, Some("x")));
    let key = |change: fn(&mut TokensPlan)| fitted(change, &TRAIN).unwrap_err().place().key.clone();
    assert_eq!(key(|plan| plan.vocabulary = 2).as_deref(), Some("recipe.vocabulary"));
    assert_eq!(key(|plan| plan.max_length = 0).as_deref(), Some("recipe.max_length"));
    assert_eq!(key(|plan| plan.max_length = 1 << 20).as_deref(), Some("recipe.max_length"));
    assert!(fitted(|plan| plan.length = Some(0), &TRAIN).is_err());
}

#[test]
fn the_length_is_what_nearly_all_training_texts_stay_within() {
    let texts: Vec<String> = (1..=100).map(|words| vec!["good"; words].join(" ")).collect();
    let texts: Vec<Option<&str>> = texts.iter().map(|text| Some(text.as_str())).collect();
    assert_eq!(fitted(|_| (), &texts).unwrap().codes().map(|codes| codes.length), Some(98));
    assert_eq!(fitted(|plan| plan.max_length = 30, &texts).unwrap().codes().map(|codes| codes.length), Some(30));
    assert_eq!(fitted(|plan| plan.length = Some(5), &texts).unwrap().codes().map(|codes| codes.length), Some(5));
}

#[test]
fn a_written_recipe_makes_the_same_codes_alone_and_in_a_batch() {
    for tokenizer in [TokenizerPlan::Words, TokenizerPlan::WordPiece, TokenizerPlan::Bpe] {
        let recipe = fitted(|plan| (plan.tokenizer, plan.vocabulary) = (tokenizer.clone(), 300), &TRAIN).unwrap();
        let read = Recipe::from_json(&recipe.to_json().unwrap()).unwrap();
        assert_eq!(read, recipe);
        let together = codes(&read, &TRAIN);
        let alone: Vec<i64> = TRAIN.iter().flat_map(|text| codes(&recipe, &[*text])).collect();
        assert_eq!(alone, together, "{tokenizer:?}");
        let again = fitted(|plan| (plan.tokenizer, plan.vocabulary) = (tokenizer.clone(), 300), &TRAIN).unwrap();
        assert_eq!(again.digest().unwrap(), recipe.digest().unwrap(), "{tokenizer:?}");
    }
}

#[test]
fn codes_stand_alone() {
    let texts = rows(&TRAIN).column(0).clone();
    let both = RecordBatch::try_from_iter([("x", texts.clone()), ("z", texts)]).unwrap();
    let mut schema = schema();
    schema.columns.push(Column { name: "z".to_owned(), kind: ColumnKind::Text, nullable: true });
    let steps = vec![StepPlan::Tokens(TokensPlan::new("x")), StepPlan::Text(lepton_recipe::TextPlan::new("z"))];
    let error = RecipePlan { steps, target: None }.fit(&schema, &both).unwrap_err();
    assert_eq!((error.code(), error.place().column.as_deref()), (ErrorCode::Unsupported, Some("x")));
}

#[test]
fn recipes_that_contradict_themselves_are_refused() {
    let recipe = fitted(|_| (), &TRAIN).unwrap();
    let good: Value = serde_json::from_slice(&recipe.to_json().unwrap()).unwrap();
    assert!(Recipe::from_json(&serde_json::to_vec(&good).unwrap()).is_ok());
    for (key, value) in [
        ("length", json!(0)),
        ("length", json!(1 << 30)),
        ("vocabulary", json!(7)),
        ("padding", json!(1)),
        ("tokenizer", json!({ "version": "1.0" })),
        ("tokenizer", json!("words")),
    ] {
        let mut bad = good.clone();
        bad["steps"][0][key] = value;
        let error = Recipe::from_json(&serde_json::to_vec(&bad).unwrap());
        assert!(error.is_err(), "{key}");
    }
}

#[test]
fn a_tokenizer_from_outside_needs_padding_and_sense() {
    let recipe = fitted(|_| (), &TRAIN).unwrap();
    let document: Value = serde_json::from_slice(&recipe.to_json().unwrap()).unwrap();
    let document = document["steps"][0]["tokenizer"].clone();
    let of = |document: Value| fitted(|plan| plan.tokenizer = TokenizerPlan::Pretrained(document.clone()), &TRAIN);
    assert_eq!(codes(&of(document.clone()).unwrap(), &[Some("good phone")])[..3], [2, 3, 0]);
    let mut without = document.clone();
    without["model"]["vocab"] = json!({ "[UNK]": 0, "good": 1 });
    let error = of(without).unwrap_err();
    assert!(error.message().contains("[PAD]") && error.place().key.as_deref() == Some("recipe.tokenizer"), "{error}");
    let error = of(json!({ "model": { "type": "Sentences" } })).unwrap_err();
    assert_eq!((error.code(), error.place().key.as_deref()), (ErrorCode::BadData, Some("recipe.tokenizer")));
    // Its own settings of length are overruled.
    let mut set = document;
    set["padding"] = json!({
        "strategy": { "Fixed": 40 }, "direction": "Left", "pad_to_multiple_of": null, "pad_id": 5, "pad_type_id": 0,
        "pad_token": "x"
    });
    set["truncation"] = json!({ "direction": "Left", "max_length": 1, "strategy": "LongestFirst", "stride": 0 });
    assert_eq!(codes(&of(set).unwrap(), &[Some("good phone")]), [2, 3, 0, 0, 0, 0, 0]);
    let file = fitted(|plan| plan.tokenizer = TokenizerPlan::File("tokenizer.json".into()), &TRAIN).unwrap_err();
    assert_eq!(file.code(), ErrorCode::Internal);
}
