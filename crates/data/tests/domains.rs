//! Rows of several domains: which of them train, which measure, whose labels nobody sees, and weights of rows.

#![allow(clippy::unwrap_used)]

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray};
use lepton_core::{Cancel, Column, ColumnKind, Error, ErrorCode, Result, Schema, Seed, Silent, Split, Tensor};
use lepton_data::*;
use lepton_recipe::{NumberPlan, RecipePlan, StepPlan, TargetPlan, raw};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn schema() -> Schema {
    let column = |name: &str, kind| Column { name: name.into(), kind, nullable: true };
    Schema {
        columns: vec![
            column("x", ColumnKind::Number),
            column("site", ColumnKind::Category),
            column("y", ColumnKind::Category),
        ],
    }
}

/// Rows of `sites` one after the other; every third label of "new" is missing where `gaps` says so.
fn dataset(sites: &[(&str, usize)], gaps: bool) -> Dataset {
    let names: Vec<&str> = sites.iter().flat_map(|(site, rows)| std::iter::repeat_n(*site, *rows)).collect();
    let label = |row: usize| if row.is_multiple_of(2) { "a" } else { "b" };
    let labels = names
        .iter()
        .enumerate()
        .map(|(row, site)| Some(label(row)).filter(|_| !(gaps && *site == "new" && row.is_multiple_of(3))));
    let columns: Vec<ArrayRef> = vec![
        Arc::new((0..names.len()).map(|row| Some(row as f64)).collect::<Float64Array>()),
        Arc::new(StringArray::from(names.clone())),
        Arc::new(labels.collect::<StringArray>()),
    ];
    let part = RecordBatch::try_new(raw::arrow_schema(&schema()), columns).unwrap();
    Dataset {
        name: "made".into(),
        schema: schema(),
        target: "y".into(),
        parts: BTreeMap::from([(Split::Train, part)]),
        source: vec![],
        unreadable: vec![],
    }
}

fn settings(labels: usize) -> PrepareSettings {
    let domains = DomainSettings { column: "site".into(), target: "new".into(), source: vec!["old".into()], labels };
    PrepareSettings { domains: Some(domains), ..PrepareSettings::default() }
}

fn prepared(data: &Dataset, settings: &PrepareSettings, seed: u64) -> Result<(Dataset, PrepareReport, TargetDomain)> {
    let (data, report, target) =
        prepare_domains(data.clone(), &BTreeSet::new(), settings, Seed(seed), &Silent, &Cancel::default())?;
    Ok((data, report, target.unwrap()))
}

fn rows(part: &RecordBatch) -> Vec<usize> {
    part.column_by_name("x").unwrap().as_primitive::<Float64Type>().values().iter().map(|x| *x as usize).collect()
}

#[test]
fn without_labels_source_rows_train_and_choose_and_target_rows_measure() {
    let data = dataset(&[("old", 100), ("new", 60), ("other", 9)], false);
    let (parts, report, target) = prepared(&data, &settings(0), 1).unwrap();
    let of = |split: Split| rows(&parts.parts[&split]);
    assert_eq!((of(Split::Train).len(), of(Split::Valid).len(), of(Split::Test).len()), (90, 10, 12));
    assert!(of(Split::Train).iter().chain(&of(Split::Valid)).all(|row| *row < 100));
    assert!(of(Split::Test).iter().all(|row| (100..160).contains(row)));
    assert_eq!((target.rows.num_rows(), target.labelled), (48, 0));
    assert!(target.rows.column_by_name("y").is_none(), "the labels are not there to be looked at");
    assert!(target.rows.column_by_name("site").is_none());
    assert!(rows(&target.rows).iter().all(|row| !of(Split::Test).contains(row)));
    assert_eq!(parts.schema.names().collect::<Vec<_>>(), ["x", "y"]);
    let others = report.findings.iter().find(|finding| finding.kind == FindingKind::OtherDomains).unwrap();
    assert_eq!(others.count, 9);
    let (again, _, _) = prepared(&data, &settings(0), 1).unwrap();
    assert_eq!(again.parts, parts.parts);
    assert_ne!(prepared(&data, &settings(0), 2).unwrap().0.parts, parts.parts);
}

#[test]
fn with_labels_target_rows_choose_and_the_labelled_ones_stand_last() {
    let data = dataset(&[("old", 100), ("new", 60)], false);
    let (parts, _, target) = prepared(&data, &settings(10), 1).unwrap();
    let (train, valid) = (rows(&parts.parts[&Split::Train]), rows(&parts.parts[&Split::Valid]));
    assert_eq!((train.len(), target.labelled), (110, 10));
    assert!(train[..100].iter().all(|row| *row < 100) && train[100..].iter().all(|row| *row >= 100));
    let even = train[100..].iter().filter(|row| row.is_multiple_of(2)).count();
    assert_eq!(even, 5, "every class in proportion");
    assert!(!valid.is_empty() && valid.iter().all(|row| *row >= 100));
    let known: BTreeSet<usize> = rows(&target.rows).into_iter().collect();
    assert!(train[100..].iter().all(|row| known.contains(row)) && valid.iter().all(|row| !known.contains(row)));
    // All that are left, and one more.
    let left = target.rows.num_rows();
    assert_eq!(prepared(&data, &settings(left), 1).unwrap().2.labelled, left);
    let error = prepared(&data, &settings(left + 1), 1).err().unwrap();
    assert_eq!((error.code(), error.place().key.as_deref()), (ErrorCode::Config, Some("adapt.labels")));
}

#[test]
fn target_rows_without_labels_are_known_and_measure_nothing() {
    let data = dataset(&[("old", 100), ("new", 60)], true);
    let (parts, _, target) = prepared(&data, &settings(0), 1).unwrap();
    assert_eq!(parts.parts[&Split::Test].num_rows(), 8, "a fifth of the 40 with labels");
    assert_eq!(target.rows.num_rows(), 52);
    for part in parts.parts.values() {
        assert_eq!(part.column_by_name("y").unwrap().null_count(), 0);
    }
    let mut wrong = settings(0);
    if let Some(domains) = &mut wrong.domains {
        (domains.target, domains.source) = ("old".to_owned(), vec![]);
    }
    let error = prepared(&data, &wrong, 1).err().unwrap();
    assert!(error.message().contains("no label"), "a source row needs one: {error}");
}

#[test]
fn domains_that_are_not_there_are_named() {
    let data = dataset(&[("old", 40), ("new", 20)], false);
    let refused = |change: &dyn Fn(&mut DomainSettings, &mut PrepareSettings)| -> Error {
        let mut settings = settings(0);
        let mut domains = settings.domains.take().unwrap();
        change(&mut domains, &mut settings);
        settings.domains = Some(domains);
        prepared(&data, &settings, 1).err().unwrap()
    };
    let error = refused(&|domains, _| domains.target = "neu".into());
    assert_eq!((error.place().key.as_deref(), error.remedy()), (Some("adapt.target"), Some("did you mean \"new\"?")));
    let error = refused(&|domains, _| domains.source = vec!["zzzzzz".into()]);
    assert_eq!(
        (error.place().key.as_deref(), error.remedy()),
        (Some("adapt.source"), Some("its values are: new, old"))
    );
    assert_eq!(refused(&|domains, _| domains.column = "sites".into()).place().key.as_deref(), Some("adapt.column"));
    assert_eq!(refused(&|_, settings| settings.time = Some("x".into())).place().key.as_deref(), Some("prepare.time"));
    assert_eq!(refused(&|_, settings| settings.split_column = Some("site".into())).code(), ErrorCode::Config);
    let alone = dataset(&[("new", 20)], false);
    let mut all = settings(0);
    if let Some(domains) = &mut all.domains {
        domains.source.clear();
    }
    let error = prepared(&alone, &all, 1).err().unwrap();
    assert!(error.message().contains("no training row is of a source domain"), "{error}");
}

fn loader() -> Loader {
    let data = dataset(&[("old", 10)], false);
    let part = data.parts[&Split::Train].clone();
    let plan = RecipePlan {
        steps: vec![StepPlan::Number(NumberPlan::new("x"))],
        target: Some(TargetPlan::Classes { column: "y".into() }),
    };
    let recipe = Arc::new(plan.fit(&schema(), &part).unwrap());
    Loader::new(part, recipe, None, 4, Seed(1), 2).unwrap()
}

#[test]
fn every_batch_carries_the_weights_and_features_of_its_rows() {
    let plain = loader();
    assert!(plain.epoch(1, 0, true).all(|batch| batch.unwrap().weights.is_none()));
    let features = Tensor::float32([10, 1], (0..10).map(|row| row as f32 * 100.0).collect()).unwrap();
    let weighted = plain.with_weights((0..10).map(|row| row as f32).collect()).unwrap().with_inputs(features).unwrap();
    let mut seen = 0;
    for batch in weighted.epoch(1, 0, true) {
        let batch = batch.unwrap();
        let rows: Vec<f32> = batch.rows.iter().map(|row| *row as f32).collect();
        assert_eq!(batch.weights, Some(rows.clone()));
        assert_eq!(batch.input.as_float32().unwrap(), rows.iter().map(|row| row * 100.0).collect::<Vec<_>>());
        seen += rows.len();
    }
    assert_eq!(seen, 10);
    let part = weighted.of_rows(&[4, 5, 6]).unwrap();
    assert_eq!(part.weights(), Some(&[4.0, 5.0, 6.0][..]));
    assert_eq!(part.everything().unwrap().0.as_float32().unwrap(), [400.0, 500.0, 600.0]);
    assert_eq!(plain.weights(), None, "the loader that they were put on stays as it was");
}

#[test]
fn weights_that_are_none_are_refused_with_their_row() {
    let plain = loader();
    let refused = |weights: Vec<f32>| plain.with_weights(weights).err().unwrap();
    assert_eq!(refused(vec![1.0; 9]).code(), ErrorCode::Shape);
    assert!(refused(vec![0.0; 10]).message().contains("all weights are 0"));
    for bad in [-1.0, f32::NAN, f32::INFINITY] {
        let mut weights = vec![1.0; 10];
        weights[3] = bad;
        assert_eq!((refused(weights.clone()).code(), refused(weights).place().row), (ErrorCode::BadData, Some(4)));
    }
    assert_eq!(plain.of_rows(&[4, 10]).err().unwrap().code(), ErrorCode::Shape);
}
