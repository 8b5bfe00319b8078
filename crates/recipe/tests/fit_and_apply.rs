//! What recipes do to rows: each setting for missing and unknown values, errors with their place, and the promise
//! that a recipe read back from JSON makes the same bytes.

#![allow(clippy::unwrap_used)]

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use lepton_core::image::{Image, ImageBuilder};
use lepton_core::{Column, ColumnKind, Error, ErrorCode, Limits, Result, Schema, Tensor};
use lepton_recipe::*;
use proptest::prelude::*;
use std::sync::Arc;

fn schema(columns: &[(&str, ColumnKind)]) -> Schema {
    let column = |&(name, kind): &(&str, ColumnKind)| Column { name: name.into(), kind, nullable: true };
    Schema { columns: columns.iter().map(column).collect() }
}

fn table(ages: &[Option<f64>], classes: &[Option<&str>], labels: &[Option<&str>]) -> (Schema, RecordBatch) {
    let schema =
        schema(&[("age", ColumnKind::Number), ("class", ColumnKind::Category), ("survived", ColumnKind::Category)]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Float64Array::from(ages.to_vec())),
        Arc::new(StringArray::from(classes.to_vec())),
        Arc::new(StringArray::from(labels.to_vec())),
    ];
    let batch = RecordBatch::try_new(raw::arrow_schema(&schema), columns).unwrap();
    (schema, batch)
}

fn good_table() -> (Schema, RecordBatch) {
    table(
        &[Some(20.0), Some(40.0), None, Some(60.0)],
        &[Some("1st"), Some("3rd"), Some("3rd"), None],
        &[Some("10"), Some("9"), Some("9"), Some("10")],
    )
}

fn number(missing: NumberMissing, indicator: bool, normalize: NumberNormalize) -> StepPlan {
    StepPlan::Number(NumberPlan { missing, indicator, normalize, ..NumberPlan::new("age") })
}

fn category(missing: CategoryMissing, unknown: Unknown, max_categories: usize) -> StepPlan {
    StepPlan::Category(CategoryPlan { missing, unknown, max_categories, ..CategoryPlan::new("class") })
}

fn plan(steps: Vec<StepPlan>) -> RecipePlan {
    RecipePlan { steps, target: Some(TargetPlan::Classes { column: "survived".into() }) }
}

fn default_plan() -> RecipePlan {
    plan(vec![
        number(NumberMissing::Median, true, NumberNormalize::Standardize),
        category(CategoryMissing::OwnCategory, Unknown::Other, 10),
    ])
}

fn fit(plan: &RecipePlan, (schema, batch): &(Schema, RecordBatch)) -> Result<Recipe> {
    plan.fit(schema, batch)
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.as_float32().unwrap().to_vec()
}

fn check_error(result: Result<impl std::fmt::Debug>, code: ErrorCode, row: Option<u64>, column: &str) -> Error {
    let error = result.unwrap_err();
    let place = (error.code(), error.place().row, error.place().column.clone());
    assert_eq!(place, (code, row, Some(column.to_owned())), "{error}");
    error
}

#[test]
fn a_table_becomes_named_features() {
    let data = good_table();
    let recipe = fit(&default_plan(), &data).unwrap();
    assert_eq!(recipe.feature_names(), ["age", "age (missing)", "class = 1st", "class = 3rd", "class (missing)"]);
    assert_eq!(recipe.output().shape, [-1, 5]);
    assert_eq!(recipe.labels(), ["9", "10"], "integers stand in numeric order");
    assert_eq!(recipe.inputs().names().collect::<Vec<_>>(), ["age", "class"]);
    assert_eq!(recipe.target_column(), Some("survived"));
    let output = recipe.apply(&data.1).unwrap();
    // Filled: 20, 40, 40, 60: mean 40, population variance 200.
    let scaled = (20.0 / 200f64.sqrt()) as f32;
    let expected = [
        [-scaled, 0.0, 1.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 1.0, 0.0],
        [0.0, 1.0, 0.0, 1.0, 0.0],
        [scaled, 0.0, 0.0, 0.0, 1.0],
    ];
    assert_eq!(values(&output), expected.concat());
    assert_eq!(recipe.encode_target(&data.1).unwrap().as_int64().unwrap(), [1, 0, 0, 1]);
}

#[test]
fn serving_does_not_move_what_training_fitted() {
    let recipe = fit(&default_plan(), &good_table()).unwrap();
    let (_, served) = table(&[Some(20.0)], &[Some("1st")], &[None]);
    let alone = values(&recipe.apply(&served).unwrap());
    assert_eq!(alone, values(&recipe.apply(&good_table().1).unwrap())[..5], "statistics are those of training");
}

#[test]
fn a_missing_number_does_what_the_setting_says() {
    let data = good_table();
    for (missing, filled) in [(NumberMissing::Mean, 40.0), (NumberMissing::Median, 40.0)] {
        let recipe = fit(&plan(vec![number(missing, false, NumberNormalize::None)]), &data).unwrap();
        assert_eq!(values(&recipe.apply(&data.1).unwrap()), [20.0, 40.0, filled, 60.0]);
    }
    let refusing = plan(vec![number(NumberMissing::Refuse, false, NumberNormalize::None)]);
    check_error(fit(&refusing, &data), ErrorCode::BadData, Some(3), "age");
    let whole = table(&[Some(1.0), Some(2.0)], &[None, None], &[Some("a"), Some("b")]);
    let recipe = fit(&refusing, &whole).unwrap();
    check_error(recipe.apply(&data.1), ErrorCode::BadData, Some(3), "age");
    let nothing = table(&[None, None], &[None, None], &[Some("a"), Some("b")]);
    let mean = plan(vec![number(NumberMissing::Mean, false, NumberNormalize::None)]);
    check_error(fit(&mean, &nothing), ErrorCode::BadData, None, "age");
}

#[test]
fn a_missing_category_does_what_the_setting_says() {
    let data = good_table();
    let refusing = plan(vec![category(CategoryMissing::Refuse, Unknown::Other, 10)]);
    check_error(fit(&refusing, &data), ErrorCode::BadData, Some(4), "class");
    let whole = table(&[None, None], &[Some("a"), Some("b")], &[Some("a"), Some("b")]);
    check_error(fit(&refusing, &whole).unwrap().apply(&data.1), ErrorCode::BadData, Some(4), "class");
    // Training had none missing: there is no weight for it, so nothing is set.
    let own = fit(&plan(vec![category(CategoryMissing::OwnCategory, Unknown::Other, 10)]), &whole).unwrap();
    let (_, served) = table(&[None], &[None], &[None]);
    assert_eq!(values(&own.apply(&served).unwrap()), [0.0, 0.0]);
}

#[test]
fn an_unknown_category_does_what_the_setting_says() {
    let data =
        table(&[None; 4], &[Some("a"), Some("b"), Some("a"), Some("c")], &[Some("x"), Some("y"), Some("x"), Some("y")]);
    let (_, served) = table(&[None, None], &[Some("b"), Some("zebra")], &[None, None]);
    let rare = fit(&plan(vec![category(CategoryMissing::Refuse, Unknown::Other, 2)]), &data).unwrap();
    assert_eq!(rare.feature_names(), ["class = a", "class = b", "class (other)"]);
    assert_eq!(values(&rare.apply(&served).unwrap()), [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    let all = fit(&plan(vec![category(CategoryMissing::Refuse, Unknown::Other, 3)]), &data).unwrap();
    assert_eq!(values(&all.apply(&served).unwrap()), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let strict = fit(&plan(vec![category(CategoryMissing::Refuse, Unknown::Refuse, 3)]), &data).unwrap();
    let error = check_error(strict.apply(&served), ErrorCode::BadData, Some(2), "class");
    assert!(error.message().contains("zebra"), "{error}");
    let too_many = plan(vec![category(CategoryMissing::Refuse, Unknown::Refuse, 2)]);
    check_error(fit(&too_many, &data), ErrorCode::BadData, None, "class");
}

#[test]
fn numbers_that_are_not_finite_are_refused_in_training_and_serving() {
    let recipe = fit(&default_plan(), &good_table()).unwrap();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
        let data = table(&[Some(1.0), Some(bad)], &[None, Some("a")], &[Some("x"), Some("y")]);
        check_error(recipe.apply(&data.1), ErrorCode::BadData, Some(2), "age");
        if !bad.is_finite() {
            check_error(fit(&default_plan(), &data), ErrorCode::BadData, Some(2), "age");
        }
    }
    let overflow = table(&[Some(f64::MAX), Some(f64::MAX)], &[None, Some("a")], &[Some("x"), Some("y")]);
    check_error(fit(&default_plan(), &overflow), ErrorCode::BadData, None, "age");
}

#[test]
fn labels_that_are_missing_or_unseen_are_refused_with_their_row() {
    let recipe = fit(&default_plan(), &good_table()).unwrap();
    let (_, unseen) = table(&[None, None], &[None, None], &[Some("9"), Some("11")]);
    let error = check_error(recipe.encode_target(&unseen), ErrorCode::BadData, Some(2), "survived");
    assert!(error.message().contains("never seen"), "{error}");
    let (_, missing) = table(&[None, None], &[None, None], &[Some("9"), None]);
    check_error(recipe.encode_target(&missing), ErrorCode::BadData, Some(2), "survived");
    let one = table(&[Some(1.0)], &[Some("a")], &[Some("x")]);
    check_error(fit(&default_plan(), &one), ErrorCode::BadData, None, "survived");
}

#[test]
fn plans_that_do_not_fit_the_data_are_refused() {
    let data = good_table();
    let typo = StepPlan::Number(NumberPlan {
        missing: NumberMissing::Mean,
        normalize: NumberNormalize::None,
        ..NumberPlan::new("agee")
    });
    let error = check_error(fit(&plan(vec![typo]), &data), ErrorCode::NotFound, None, "agee");
    assert_eq!(error.remedy(), Some("did you mean \"age\"?"));
    let twice = plan(vec![number(NumberMissing::Mean, false, NumberNormalize::None); 2]);
    check_error(fit(&twice, &data), ErrorCode::Config, None, "age");
    let leak = RecipePlan {
        steps: vec![category(CategoryMissing::OwnCategory, Unknown::Other, 9)],
        target: Some(TargetPlan::Classes { column: "class".into() }),
    };
    check_error(fit(&leak, &data), ErrorCode::Config, None, "class");
    assert_eq!(fit(&plan(vec![]), &data).unwrap_err().code(), ErrorCode::Config);
    let recipe = fit(&default_plan(), &data).unwrap();
    let without_age = data.1.project(&[1, 2]).unwrap();
    check_error(recipe.apply(&without_age), ErrorCode::BadData, None, "age");
}

fn pictures(images: &[Image]) -> (Schema, RecordBatch) {
    let schema = schema(&[("image", ColumnKind::Image)]);
    let mut builder = ImageBuilder::default();
    images.iter().for_each(|image| builder.push(Some(image.as_ref())));
    let batch = RecordBatch::try_new(raw::arrow_schema(&schema), vec![builder.finish()]).unwrap();
    (schema, batch)
}

fn image_plan(sides: [Option<usize>; 3], normalize: ImageNormalize) -> RecipePlan {
    let [height, width, channels] = sides;
    let step = StepPlan::Image(ImagePlan { height, width, channels, normalize, ..ImagePlan::new("image") });
    RecipePlan { steps: vec![step], target: None }
}

fn filled(height: usize, width: usize, channels: usize, byte: u8) -> Image {
    Image { height, width, channels, pixels: vec![byte; height * width * channels] }
}

#[test]
fn pictures_take_the_size_of_training_or_say_that_it_differs() {
    let same = pictures(&[filled(2, 3, 1, 0), filled(2, 3, 3, 255)]);
    let recipe = fit(&image_plan([None; 3], ImageNormalize::Scale), &same).unwrap();
    assert_eq!(recipe.output().shape, [-1, 3, 2, 3]);
    assert_eq!(values(&recipe.apply(&same.1).unwrap()), [vec![0.0; 18], vec![1.0; 18]].concat());
    let mixed = pictures(&[filled(2, 3, 1, 0), filled(4, 3, 1, 9)]);
    check_error(fit(&image_plan([None; 3], ImageNormalize::Scale), &mixed), ErrorCode::BadData, Some(2), "image");
    let resized = fit(&image_plan([Some(5), Some(4), None], ImageNormalize::Scale), &mixed).unwrap();
    assert_eq!(resized.apply(&mixed.1).unwrap().shape(), [2, 1, 5, 4]);
    check_error(
        fit(&image_plan([None, None, Some(2)], ImageNormalize::Scale), &same),
        ErrorCode::Config,
        None,
        "image",
    );
    check_error(
        fit(&image_plan([Some(0), None, None], ImageNormalize::Scale), &same),
        ErrorCode::Config,
        None,
        "image",
    );
    let huge = [Some(1 << 20), Some(1 << 20), None];
    check_error(fit(&image_plan(huge, ImageNormalize::Scale), &same), ErrorCode::Config, None, "image");
}

#[test]
fn a_picture_that_is_missing_or_lies_about_its_size_is_refused() {
    let good = pictures(&[filled(2, 2, 1, 7)]);
    let recipe = fit(&image_plan([None; 3], ImageNormalize::Scale), &good).unwrap();
    let mut builder = ImageBuilder::default();
    builder.push(Some(filled(2, 2, 1, 7).as_ref()));
    builder.push(None);
    let batch = RecordBatch::try_new(good.1.schema(), vec![builder.finish()]).unwrap();
    check_error(recipe.apply(&batch), ErrorCode::BadData, Some(2), "image");
    let liar = Image { height: 2, width: 2, channels: 1, pixels: vec![1] };
    check_error(recipe.apply(&pictures(&[liar]).1), ErrorCode::BadData, Some(1), "image");
}

#[test]
fn a_recipe_from_outside_is_checked() {
    let recipe = fit(&default_plan(), &good_table()).unwrap();
    let good: serde_json::Value = serde_json::from_slice(&recipe.to_json().unwrap()).unwrap();
    let changed = |pointer: &str, value: serde_json::Value| {
        let mut json = good.clone();
        *json.pointer_mut(pointer).unwrap() = value;
        Recipe::from_json(&serde_json::to_vec(&json).unwrap())
    };
    assert_eq!(changed("/version", 2.into()).unwrap(), recipe);
    assert!(changed("/version", 1.into()).is_err(), "version 1 had other steps");
    assert_eq!(changed("/version", 3.into()).unwrap_err().code(), ErrorCode::Unsupported);
    assert!(changed("/steps/0/scaling/scale", 0.into()).is_err());
    assert!(changed("/steps/0/column", "class".into()).is_err());
    assert!(changed("/steps", serde_json::json!([])).is_err());
    assert!(changed("/steps/1/categories", serde_json::json!(["b", "a"])).is_err());
    assert!(changed("/target/labels", serde_json::json!(["a", "a"])).is_err());
    assert!(changed("/target/column", "age".into()).is_err());
    let mut unknown = good.clone();
    unknown["steps"][0]["surprise"] = 1.into();
    assert!(Recipe::from_json(&serde_json::to_vec(&unknown).unwrap()).is_err());
    assert_eq!(Recipe::from_json(b"{}").unwrap_err().code(), ErrorCode::BadData);
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    tensor.as_float32().unwrap().iter().map(|value| value.to_bits()).collect()
}

proptest! {
    /// The same bytes from a recipe that went through JSON, whatever the statistics are, in any cut of the rows.
    #[test]
    fn json_and_batch_cuts_do_not_change_a_byte(
        ages in prop::collection::vec(prop::option::weighted(0.8, -1e9f64..1e9), 4..40),
        min_max: bool,
        cut in 0usize..40,
    ) {
        let classes: Vec<Option<&str>> = (0..ages.len()).map(|row| ["a", "b", "c"].get(row % 4).copied()).collect();
        let labels: Vec<Option<&str>> = (0..ages.len()).map(|row| Some(["x", "y"][row % 2])).collect();
        prop_assume!(ages.iter().any(Option::is_some));
        let data = table(&ages, &classes, &labels);
        let normalize = if min_max { NumberNormalize::MinMax } else { NumberNormalize::Standardize };
        let steps = vec![number(NumberMissing::Mean, true, normalize), category(CategoryMissing::OwnCategory, Unknown::Other, 2)];
        let recipe = fit(&plan(steps), &data).unwrap();
        let back = Recipe::from_json(&recipe.to_json().unwrap()).unwrap();
        prop_assert_eq!(recipe.digest().unwrap(), back.digest().unwrap());
        let whole = recipe.apply(&data.1).unwrap();
        let cut = cut.min(ages.len());
        let parts = [data.1.slice(0, cut), data.1.slice(cut, ages.len() - cut)].map(|part| back.apply(&part).unwrap());
        prop_assert_eq!(bits(&whole), [bits(&parts[0]), bits(&parts[1])].concat());
    }

    /// A raw JSON row in a request and a CSV cell of a training file give the same bytes.
    #[test]
    fn json_and_csv_rows_give_the_same_bytes(age in prop::num::f64::NORMAL, class in "[a-z]{1,3}") {
        let (schema, _) = good_table();
        let inputs = Schema { columns: schema.columns[..2].to_vec() };
        let limits = Limits::default();
        let json = serde_json::from_str(&format!("{{\"age\": {age}, \"class\": \"{class}\"}}")).unwrap();
        let from_json = raw::rows_from_json(&inputs, &[json], &limits).unwrap();
        let from_csv = raw::rows_from_csv(&inputs, format!("class,age\n{class},{age}\n").as_bytes(), &limits).unwrap();
        prop_assert_eq!(from_json, from_csv);
    }
}
