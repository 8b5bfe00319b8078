//! Preparing and loading: what is removed, cut, reported and refused; the order, the resume and the end of an epoch.

#![allow(clippy::unwrap_used)]

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use lepton_core::image::{ImageBuilder, ImageRef};
use lepton_core::{Cancel, Column, ColumnKind, Error, ErrorCode, Result, Schema, Seed, Silent, Split, Tensor};
use lepton_data::*;
use lepton_recipe::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Rows<'a> = &'a [(f64, &'a str)];

fn part(rows: Rows<'_>) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|row| Some(row.1).filter(|label| !label.is_empty())).collect::<StringArray>()),
    ];
    RecordBatch::try_new(raw::arrow_schema(&schema()), columns).unwrap()
}

fn schema() -> Schema {
    let column = |name: &str, kind| Column { name: name.into(), kind, nullable: true };
    Schema { columns: vec![column("x", ColumnKind::Number), column("y", ColumnKind::Category)] }
}

fn dataset(parts: &[(Split, Rows<'_>)]) -> Dataset {
    Dataset {
        name: "made".into(),
        schema: schema(),
        target: "y".into(),
        parts: parts.iter().map(|(split, rows)| (*split, part(rows))).collect(),
        source: vec![],
        unreadable: vec![],
    }
}

fn prepare_with(data: Dataset, settings: &PrepareSettings, seed: u64) -> Result<(Dataset, PrepareReport)> {
    prepare(data, settings, Seed(seed), &Silent, &Cancel::default())
}

fn prepared(data: Dataset) -> Result<(Dataset, PrepareReport)> {
    prepare_with(data, &PrepareSettings::default(), 1)
}

fn kinds(report: &PrepareReport) -> Vec<(FindingKind, u64)> {
    report.findings.iter().map(|finding| (finding.kind, finding.count)).collect()
}

fn xs(data: &Dataset, split: Split) -> Vec<f64> {
    data.parts[&split].column(0).as_primitive::<arrow_array::types::Float64Type>().values().to_vec()
}

const TRAIN: Rows<'static> = &[
    (1.0, "a"),
    (2.0, "b"),
    (1.0, "a"),
    (3.0, "a"),
    (2.0, "a"),
    (4.0, "b"),
    (5.0, "a"),
    (6.0, "b"),
    (0.0, "a"),
    (-0.0, "a"),
];
const VALID: Rows<'static> = &[(8.0, "a"), (9.0, "b")];
const TEST: Rows<'static> = &[(3.0, "a"), (10.0, "b")];

#[test]
fn duplicates_are_removed_conflicts_and_crossings_reported() {
    let data = dataset(&[(Split::Train, TRAIN), (Split::Valid, VALID), (Split::Test, TEST)]);
    let (after, report) = prepared(data.clone()).unwrap();
    assert_eq!(xs(&after, Split::Train), [1.0, 2.0, 3.0, 2.0, 4.0, 5.0, 6.0, 0.0], "the first of each stays, in order");
    assert_eq!((report.rows[&Split::Train].before, report.rows[&Split::Train].after), (10, 8));
    assert_eq!(
        kinds(&report),
        [(FindingKind::DuplicateRows, 2), (FindingKind::ConflictingLabels, 1), (FindingKind::CrossingDuplicates, 1)]
    );
    assert_eq!(report.findings[0].evidence, ["train row 3 repeats row 1", "train row 10 repeats row 9"]);
    assert_eq!(report.findings[1].evidence, ["train row 5 contradicts row 2"]);
    assert_eq!(report.findings[2].evidence, ["test row 1 is train row 4"]);
    assert_eq!(xs(&after, Split::Test), [3.0, 10.0], "an official part is not touched");
    assert_eq!(report.classes[&Split::Train], BTreeMap::from([("a".to_owned(), 5), ("b".to_owned(), 3)]));
    let keeping = PrepareSettings { remove_duplicates: false, ..Default::default() };
    let (kept, report) = prepare_with(data, &keeping, 1).unwrap();
    assert_eq!(kept.rows(Split::Train), 10);
    assert_eq!(report.findings[0].severity, Severity::Warning);
    let json = serde_json::to_vec(&report).unwrap();
    assert_eq!(serde_json::from_slice::<PrepareReport>(&json).unwrap(), report);
}

fn check(result: Result<impl Sized>, row: Option<u64>, column: Option<&str>, says: &str) {
    let error: Error = result.err().unwrap();
    assert_eq!((error.place().row, error.place().column.as_deref()), (row, column), "{error}");
    assert!(error.code() == ErrorCode::BadData && error.to_string().contains(says), "{error}");
}

#[test]
fn data_that_cannot_be_learned_from_is_refused() {
    let with =
        |train: Rows<'_>| prepared(dataset(&[(Split::Train, train), (Split::Valid, VALID), (Split::Test, TEST)]));
    check(with(&[(1.0, "a"), (f64::NAN, "b"), (2.0, "b")]), Some(2), Some("x"), "not a finite number");
    check(with(&[(1.0, "a"), (f64::INFINITY, "b"), (2.0, "b")]), Some(2), Some("x"), "not a finite number");
    check(with(&[(1.0, "a"), (2.0, "a"), (3.0, "")]), Some(3), Some("y"), "no label");
    check(with(&[(1.0, "a"), (2.0, "b"), (3.0, "a")]), Some(2), Some("y"), "class \"b\" has a single training row");
    check(with(&[(1.0, "a"), (1.5, "a"), (2.0, "c"), (3.0, "c")]), Some(2), Some("y"), "label \"b\" of the");
    check(with(&[]), None, None, "no training rows");
    for fraction in [0.0, 1.0, -0.1, f64::NAN] {
        let settings = PrepareSettings { valid_fraction: fraction, ..Default::default() };
        let error = prepare_with(dataset(&[(Split::Train, TRAIN)]), &settings, 1).err().unwrap();
        assert_eq!(error.place().key.as_deref(), Some("prepare.valid_fraction"));
    }
}

#[test]
fn a_constant_column_and_an_imbalance_are_reported() {
    let mut rows: Vec<(f64, &str)> = (0..40).map(|_| (1.0, "a")).collect();
    rows.extend([(1.0, "b"), (1.0, "b")]);
    let keeping = PrepareSettings { remove_duplicates: false, ..Default::default() };
    let data = dataset(&[(Split::Train, &rows), (Split::Valid, VALID), (Split::Test, TEST)]);
    let (_, report) = prepare_with(data, &keeping, 1).unwrap();
    let found: Vec<_> = report.findings.iter().map(|finding| finding.kind).collect();
    assert!(found.contains(&FindingKind::ConstantColumn) && found.contains(&FindingKind::Imbalance), "{found:?}");
}

proptest! {
    #[test]
    fn cuts_are_stratified_seeded_and_complete(counts in prop::collection::vec(5usize..60, 2..6), seed: u64) {
        let labels = ["a", "b", "c", "d", "e"];
        let rows: Vec<(f64, &str)> = counts.iter().enumerate()
            .flat_map(|(class, &count)| (0..count).map(move |row| ((class * 1000 + row) as f64, labels[class])))
            .collect();
        let data = dataset(&[(Split::Train, &rows)]);
        let (after, report) = prepare_with(data.clone(), &PrepareSettings::default(), seed).unwrap();
        let all: BTreeSet<u64> = Split::ALL.iter().flat_map(|&split| xs(&after, split)).map(|x| x as u64).collect();
        prop_assert_eq!(all.len(), rows.len(), "no row is lost or doubled");
        prop_assert_eq!(after.rows(Split::Test), (rows.len() as f64 * 0.2).round() as usize);
        for (class, &count) in counts.iter().enumerate() {
            let in_test = report.classes[&Split::Test].get(labels[class]).copied().unwrap_or(0) as f64;
            prop_assert!((in_test - count as f64 * 0.2).abs() <= 1.0);
        }
        let (again, _) = prepare_with(data, &PrepareSettings::default(), seed).unwrap();
        prop_assert_eq!(after.digest().unwrap(), again.digest().unwrap());
    }
}

#[test]
fn another_seed_cuts_elsewhere() {
    let rows: Vec<(f64, &str)> = (0..100).map(|row| (f64::from(row), ["a", "b"][row as usize % 2])).collect();
    let cut = |seed| {
        xs(&prepare_with(dataset(&[(Split::Train, &rows)]), &PrepareSettings::default(), seed).unwrap().0, Split::Test)
    };
    assert_ne!(cut(1), cut(2));
}

#[test]
fn rows_survive_arrow_ipc_and_broken_bytes_are_refused() {
    let batch = part(TRAIN);
    let mut bytes = Vec::new();
    write_ipc(&batch, &mut bytes).unwrap();
    assert_eq!(read_ipc(&bytes).unwrap(), batch);
    assert_eq!(read_ipc(&bytes[..bytes.len() / 2]).unwrap_err().code(), ErrorCode::BadData);
    assert_eq!(read_ipc(b"").unwrap_err().code(), ErrorCode::BadData);
}

fn pictures(rows: usize) -> (RecordBatch, Arc<Recipe>) {
    let column = |name: &str, kind| Column { name: name.into(), kind, nullable: false };
    let schema = Schema { columns: vec![column("image", ColumnKind::Image), column("y", ColumnKind::Category)] };
    let mut builder = ImageBuilder::default();
    for row in 0..rows {
        let pixels: Vec<u8> = (0..64).map(|place| (row * 37 + place * 11) as u8).collect();
        builder.push(Some(ImageRef { height: 8, width: 8, channels: 1, pixels: &pixels }));
    }
    let labels: StringArray = (0..rows).map(|row| Some(["a", "b"][row % 2])).collect();
    let batch = RecordBatch::try_new(raw::arrow_schema(&schema), vec![builder.finish(), Arc::new(labels)]).unwrap();
    let step = StepPlan::Image(ImagePlan::new("image"));
    let plan = RecipePlan { steps: vec![step], target: Some(TargetPlan::Classes { column: "y".into() }) };
    let recipe = plan.fit(&schema, &batch).unwrap();
    (batch, Arc::new(recipe))
}

fn loader(rows: usize, augment: bool, workers: usize) -> Loader {
    let (batch, recipe) = pictures(rows);
    let settings = AugmentSettings { rotate_degrees: 10.0, ..Default::default() };
    let augmenter = augment.then(|| Augmenter::new(&settings, Seed(3)).unwrap());
    Loader::new(batch, recipe, augmenter, 4, Seed(3), workers).unwrap()
}

fn walk(loader: &Loader, epoch: u64, from: usize, shuffle: bool) -> Vec<(Vec<usize>, Vec<f32>, Vec<i64>)> {
    loader
        .epoch(epoch, from, shuffle)
        .map(|batch| {
            let batch = batch.unwrap();
            let (input, target) = (batch.input.as_float32().unwrap(), batch.target.as_int64().unwrap());
            (batch.rows, input.to_vec(), target.to_vec())
        })
        .collect()
}

#[test]
fn an_epoch_gives_every_row_once_with_its_input_and_label() {
    let loader = loader(10, false, 2);
    assert_eq!((loader.rows(), loader.steps()), (10, 3));
    let whole = loader.epoch(0, 0, false).map(|batch| batch.unwrap()).collect::<Vec<_>>();
    assert_eq!(whole.iter().map(|batch| batch.rows.len()).collect::<Vec<_>>(), [4, 4, 2], "the last batch is kept");
    assert_eq!(whole[2].input.shape(), [2, 1, 8, 8]);
    let (batch, recipe) = pictures(10);
    let direct = recipe.apply(&batch).unwrap();
    for (rows, input, target) in walk(&loader, 5, 0, true) {
        for (place, &row) in rows.iter().enumerate() {
            assert_eq!(input[place * 64..(place + 1) * 64], direct.as_float32().unwrap()[row * 64..(row + 1) * 64]);
            assert_eq!(target[place], row as i64 % 2);
        }
    }
    let shuffled: Vec<usize> = walk(&loader, 5, 0, true).into_iter().flat_map(|batch| batch.0).collect();
    assert_ne!(shuffled, (0..10).collect::<Vec<_>>());
    assert_eq!(shuffled.iter().collect::<BTreeSet<_>>().len(), 10);
    assert_ne!(walk(&loader, 5, 0, true), walk(&loader, 6, 0, true), "each epoch has its own order");
}

#[test]
fn threads_and_resuming_do_not_change_a_batch() {
    for augment in [false, true] {
        let reference = walk(&loader(23, augment, 0), 2, 0, true);
        for workers in [1, 2, 5, 50] {
            let loader = loader(23, augment, workers);
            assert_eq!(walk(&loader, 2, 0, true), reference, "{workers} workers");
            for from in [1, 3, 5, 6, 100] {
                assert_eq!(walk(&loader, 2, from, true), reference[from.min(6)..], "from step {from}");
            }
        }
    }
    assert_ne!(
        walk(&loader(8, true, 1), 1, 0, false),
        walk(&loader(8, true, 1), 2, 0, false),
        "new changes each epoch"
    );
}

#[test]
fn other_inputs_come_in_the_same_order_with_the_same_targets() {
    let first = loader(10, false, 2);
    assert!(first.repeats_rows() && !loader(10, true, 0).repeats_rows());
    let doubled = (0..10).flat_map(|row| [row as f32, 2.0 * row as f32]).collect();
    let other = first.with_inputs(Tensor::float32([10, 2], doubled).unwrap()).unwrap();
    assert_eq!((other.rows(), other.steps(), other.class_counts()), (10, 3, first.class_counts()));
    for ((rows, _, target), (others, input, targets)) in
        walk(&first, 5, 1, true).into_iter().zip(walk(&other, 5, 1, true))
    {
        assert_eq!((&rows, target), (&others, targets));
        assert_eq!(input, rows.iter().flat_map(|&row| [row as f32, 2.0 * row as f32]).collect::<Vec<_>>());
    }
    // In place of what an augmentation gave, too; and one row for each.
    let augmented = loader(10, true, 0).with_inputs(Tensor::float32([10, 1], vec![0.0; 10]).unwrap()).unwrap();
    assert!(augmented.repeats_rows());
    let error = first.with_inputs(Tensor::float32([9, 1], vec![0.0; 9]).unwrap()).err().unwrap();
    assert_eq!(error.code(), ErrorCode::Shape);
}

/// Threads of this process.
#[cfg(target_os = "linux")]
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[cfg(target_os = "linux")]
#[test]
fn dropping_an_epoch_early_ends_its_threads() {
    let loader = loader(400, true, 8);
    let before = threads();
    for _ in 0..20 {
        let mut epoch = loader.epoch(0, 0, true);
        epoch.next().unwrap().unwrap();
    }
    // Tests beside this one may start a few of their own; a leak would be 160.
    assert!(threads() < before + 60, "{} threads, {before} before", threads());
}

#[test]
fn wrong_use_is_refused() {
    let (batch, recipe) = pictures(4);
    let error = Loader::new(batch, recipe, None, 0, Seed(0), 0).err().unwrap();
    assert_eq!(error.place().key.as_deref(), Some("train.batch_size"));
    let data = dataset(&[(Split::Train, TRAIN)]);
    let step = StepPlan::Number(NumberPlan {
        missing: NumberMissing::Refuse,
        normalize: NumberNormalize::None,
        ..NumberPlan::new("x")
    });
    let plan = RecipePlan { steps: vec![step], target: Some(TargetPlan::Classes { column: "y".into() }) };
    let recipe = Arc::new(plan.fit(&data.schema, &part(TRAIN)).unwrap());
    let augmenter = Augmenter::new(&AugmentSettings { shift: 0.1, ..Default::default() }, Seed(0)).unwrap();
    let error = Loader::new(part(TRAIN), Arc::clone(&recipe), Some(augmenter), 2, Seed(0), 0).err().unwrap();
    assert_eq!((error.code(), error.place().key.as_deref()), (ErrorCode::Unsupported, Some("augment")));
    check(
        Loader::new(part(&[(1.0, "a"), (2.0, "zz")]), Arc::clone(&recipe), None, 2, Seed(0), 0),
        Some(2),
        Some("y"),
        "never seen",
    );
    check(Loader::new(part(&[(1.0, "a"), (f64::NAN, "a")]), recipe, None, 2, Seed(0), 0), Some(2), Some("x"), "finite");
}
