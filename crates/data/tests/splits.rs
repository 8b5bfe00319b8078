//! Splits by class, chance, group, time and column, and the leaks that stop a run.

#![allow(clippy::unwrap_used)]

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use lepton_core::{Cancel, Column, ColumnKind, ErrorCode, Result, Schema, Seed, Silent, Split};
use lepton_data::*;
use lepton_recipe::raw;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A row: what it is told by, a column that steers, the label.
type Row = (String, String);

fn schema() -> Schema {
    let column = |name: &str, kind| Column { name: name.into(), kind, nullable: true };
    Schema {
        columns: vec![
            column("x", ColumnKind::Number),
            column("by", ColumnKind::Category),
            column("y", ColumnKind::Category),
        ],
    }
}

fn part(first: usize, rows: &[Row]) -> RecordBatch {
    let text = |of: fn(&Row) -> &String| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(of(row).as_str()).filter(|text| !text.is_empty())).collect::<StringArray>())
    };
    let x: ArrayRef = Arc::new((first..first + rows.len()).map(|row| Some(row as f64)).collect::<Float64Array>());
    let columns = vec![x, text(|row| &row.0), text(|row| &row.1)];
    RecordBatch::try_new(raw::arrow_schema(&schema()), columns).unwrap()
}

fn dataset(parts: &[(Split, &[Row])]) -> Dataset {
    let mut first = 0;
    let mut batches = BTreeMap::new();
    for (split, rows) in parts {
        batches.insert(*split, part(first, rows));
        first += rows.len();
    }
    Dataset {
        name: "made".into(),
        schema: schema(),
        target: "y".into(),
        parts: batches,
        source: vec![],
        unreadable: vec![],
    }
}

fn rows<'a>(pairs: impl IntoIterator<Item = (String, &'a str)>) -> Vec<Row> {
    pairs.into_iter().map(|(by, label)| (by, label.to_owned())).collect()
}

fn split_with(
    data: &Dataset,
    settings: &PrepareSettings,
    seed: u64,
) -> Result<(BTreeMap<Split, Vec<usize>>, PrepareReport)> {
    let (after, report) = prepare(data.clone(), settings, Seed(seed), &Silent, &Cancel::default())?;
    let ids = |part: &RecordBatch| {
        part.column_by_name("x").unwrap().as_primitive::<Float64Type>().values().iter().map(|x| *x as usize).collect()
    };
    if settings.group.is_some() || settings.time.is_some() || settings.split_column.is_some() {
        assert!(after.parts.values().all(|part| part.column_by_name("by").is_none()), "what steers is no feature");
        assert_eq!(after.schema.names().collect::<Vec<_>>(), ["x", "y"]);
    }
    Ok((after.parts.iter().map(|(split, part)| (*split, ids(part))).collect(), report))
}

fn by_group() -> PrepareSettings {
    PrepareSettings { group: Some("by".into()), ..Default::default() }
}

fn by_time() -> PrepareSettings {
    PrepareSettings { time: Some("by".into()), ..Default::default() }
}

/// All rows once, whatever the split.
fn all_once(parts: &BTreeMap<Split, Vec<usize>>) -> Vec<usize> {
    let mut all: Vec<usize> = parts.values().flatten().copied().collect();
    all.sort_unstable();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_group_is_on_both_sides_and_sizes_are_within_a_group(
        made in prop::collection::vec((0usize..25, 0usize..2), 60..200), seed in 0u64..50, random in any::<bool>(),
    ) {
        let table = rows(made.iter().map(|(group, label)| (format!("g{group}"), ["a", "b"][*label])));
        let data = dataset(&[(Split::Train, &table)]);
        let split = random.then_some(SplitMethod::Random);
        let settings = PrepareSettings { split, ..by_group() };
        let Ok((parts, report)) = split_with(&data, &settings, seed) else {
            // A class with a single row, or in a single group, cannot be split; 60 rows of two classes rarely are so.
            return Err(TestCaseError::reject("too few rows of a class"));
        };
        prop_assert_eq!(all_once(&parts), (0..table.len()).collect::<Vec<_>>());
        let groups = |split| parts[&split].iter().map(|row| table[*row].0.as_str()).collect::<BTreeSet<_>>();
        let [train, valid, test] = Split::ALL.map(groups);
        prop_assert!(train.is_disjoint(&valid) && train.is_disjoint(&test) && valid.is_disjoint(&test));
        let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
        table.iter().for_each(|row| *sizes.entry(&row.0).or_default() += 1);
        let largest = *sizes.values().max().unwrap() as f64;
        let wanted = table.len() as f64 * 0.2;
        prop_assert!((parts[&Split::Test].len() as f64 - wanted).abs() <= largest, "{} of {wanted}", parts[&Split::Test].len());
        let wanted = (table.len() - parts[&Split::Test].len()) as f64 * 0.1;
        prop_assert!((parts[&Split::Valid].len() as f64 - wanted).abs() <= largest);
        prop_assert_eq!(report.findings.iter().filter(|finding| finding.kind == FindingKind::SharedGroups).count(), 0);
        prop_assert_eq!(split_with(&data, &settings, seed).unwrap().0, parts);
    }

    #[test]
    fn training_lies_before_validation_before_test(
        days in prop::collection::vec(0i64..60, 30..150), seed in 0u64..5, numbers in any::<bool>(),
    ) {
        let text = |day: &i64| if numbers { day.to_string() } else { moment_text(*day as f64 * 43_200.0) };
        let table = rows(days.iter().enumerate().map(|(row, day)| (text(day), ["a", "b"][row % 2])));
        let mut data = dataset(&[(Split::Train, &table)]);
        if numbers {
            let column: ArrayRef = Arc::new(days.iter().map(|day| Some(*day as f64)).collect::<Float64Array>());
            data.schema.columns[1].kind = ColumnKind::Number;
            let part = &data.parts[&Split::Train];
            let columns = vec![part.column(0).clone(), column, part.column(2).clone()];
            data.parts.insert(Split::Train, RecordBatch::try_new(raw::arrow_schema(&data.schema), columns).unwrap());
        }
        let Ok((parts, _)) = split_with(&data, &by_time(), seed) else {
            return Err(TestCaseError::reject("the rows before the cut lack a class"));
        };
        prop_assert_eq!(all_once(&parts), (0..table.len()).collect::<Vec<_>>());
        let ends = |split: Split| {
            let days = || parts[&split].iter().map(|row| days[*row]);
            (days().min().unwrap(), days().max().unwrap())
        };
        let [train, valid, test] = Split::ALL.map(ends);
        prop_assert!(train.1 < valid.0 && valid.1 < test.0);
        // No nearer cut was possible: the test part misses its share by half the rows of a moment at most.
        let most = days.iter().map(|day| days.iter().filter(|other| *other == day).count()).max().unwrap() as f64;
        prop_assert!((parts[&Split::Test].len() as f64 - table.len() as f64 * 0.2).abs() <= most.max(1.0));
        prop_assert_eq!(split_with(&data, &by_time(), seed + 1).unwrap().0, parts, "time leaves nothing to chance");
    }

    #[test]
    fn random_parts_have_their_size_and_follow_the_seed(count in 40usize..200, seed in 0u64..50) {
        let table = rows((0..count).map(|row| (String::from("g"), ["a", "b"][row % 2])));
        let data = dataset(&[(Split::Train, &table)]);
        let settings = PrepareSettings { split: Some(SplitMethod::Random), ..Default::default() };
        let (parts, _) = split_with(&data, &settings, seed).unwrap();
        prop_assert_eq!(all_once(&parts), (0..count).collect::<Vec<_>>());
        let test = (count as f64 * 0.2).round() as usize;
        prop_assert_eq!(parts[&Split::Test].len(), test);
        prop_assert_eq!(parts[&Split::Valid].len(), ((count - test) as f64 * 0.1).round() as usize);
        prop_assert_eq!(&split_with(&data, &settings, seed).unwrap().0, &parts);
        prop_assert_ne!(&split_with(&data, &settings, seed + 100).unwrap().0, &parts);
    }
}

#[test]
fn groups_are_split_at_least_as_well_as_scikit_learn_does() {
    let reference: serde_json::Value = serde_json::from_str(include_str!("reference/splits.json")).unwrap();
    for case in reference["cases"].as_array().unwrap() {
        let ints =
            |key: &str| -> Vec<u64> { case[key].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect() };
        let (groups, labels) = (ints("group"), ints("label"));
        let names: Vec<String> = labels.iter().map(|label| format!("c{label}")).collect();
        let table = rows(groups.iter().zip(&names).map(|(group, name)| (format!("g{group}"), name.as_str())));
        let data = dataset(&[(Split::Train, &table)]);
        let (mut rows_off, mut classes_off) = (0.0, 0.0);
        for seed in 0..20 {
            let (parts, _) = split_with(&data, &by_group(), seed).unwrap();
            let test = &parts[&Split::Test];
            rows_off += (test.len() as f64 - table.len() as f64 / 5.0).abs() / 20.0;
            let share = |class: u64, among: &mut dyn Iterator<Item = u64>| {
                let all: Vec<u64> = among.collect();
                all.iter().filter(|label| **label == class).count() as f64 / all.len() as f64
            };
            let off = (0..=*labels.iter().max().unwrap()).map(|class| {
                let inside = share(class, &mut test.iter().map(|row| labels[*row]));
                (share(class, &mut labels.iter().copied()) - inside).abs()
            });
            classes_off += off.fold(0.0, f64::max) / 20.0;
        }
        for peer in ["StratifiedGroupKFold", "GroupShuffleSplit"] {
            let of = |key: &str| case[peer][key].as_f64().unwrap();
            assert!(rows_off <= of("rows_off") + 1e-9, "{} {peer}: {rows_off} rows off", case["name"]);
            // Where few groups leave no choice, chance decides between equals: a hundredth.
            assert!(classes_off <= of("classes_off") + 0.01, "{} {peer}: {classes_off} off", case["name"]);
        }
    }
}

#[test]
fn a_column_may_say_the_part_of_each_row() {
    let words = ["train", "train", "train", "Validation", "test", "train", "train", "val"];
    let table = rows((0..80).map(|row| (words[row % 8].to_owned(), ["a", "b"][row % 2])));
    let settings = PrepareSettings { split_column: Some("by".into()), ..Default::default() };
    let (parts, report) = split_with(&dataset(&[(Split::Train, &table)]), &settings, 1).unwrap();
    let of = |places: &[usize]| (0..80).filter(|row| places.contains(&(row % 8))).collect::<Vec<_>>();
    assert_eq!(parts[&Split::Test], of(&[4]));
    assert_eq!(parts[&Split::Valid], of(&[3, 7]));
    assert_eq!(parts[&Split::Train], of(&[0, 1, 2, 5, 6]));
    assert_eq!((report.rows[&Split::Test].before, report.rows[&Split::Test].after), (10, 10));
    // A part that is never named is cut, as where a source has none.
    let table = rows((0..80).map(|row| (["train", "test"][usize::from(row < 20)].to_owned(), ["a", "b"][row % 2])));
    let (parts, _) = split_with(&dataset(&[(Split::Train, &table)]), &settings, 1).unwrap();
    assert_eq!((parts[&Split::Test].len(), parts[&Split::Valid].len(), parts[&Split::Train].len()), (20, 6, 54));
    let table = rows((0..80).map(|row| (["train", "dev"][usize::from(row == 7)].to_owned(), ["a", "b"][row % 2])));
    let error = split_with(&dataset(&[(Split::Train, &table)]), &settings, 1).unwrap_err();
    assert_eq!((error.code(), error.place().row), (ErrorCode::BadData, Some(8)));
}

#[test]
fn settings_that_cannot_steer_are_refused() {
    let table = rows((0..40).map(|row| (format!("g{}", row % 8), ["a", "b"][row % 2])));
    let data = dataset(&[(Split::Train, &table)]);
    let refused = |settings: PrepareSettings, key: &str, code: ErrorCode| {
        let error = split_with(&data, &settings, 1).unwrap_err();
        assert_eq!((error.code(), error.place().key.as_deref()), (code, Some(key)), "{error}");
    };
    let with = |name: &str| PrepareSettings { group: Some(name.into()), ..Default::default() };
    refused(with("bi"), "prepare.group", ErrorCode::NotFound);
    refused(with("y"), "prepare.group", ErrorCode::Config);
    refused(PrepareSettings { time: Some("x".into()), ..by_group() }, "prepare.time", ErrorCode::Config);
    refused(PrepareSettings { split_column: Some("by".into()), ..by_group() }, "prepare.group", ErrorCode::Config);
    refused(PrepareSettings { split: Some(SplitMethod::Random), ..by_time() }, "prepare.split", ErrorCode::Config);
    let error = split_with(&data, &by_time(), 1).unwrap_err();
    assert_eq!(
        (error.code(), error.place().row, error.place().column.as_deref()),
        (ErrorCode::BadData, Some(1), Some("by"))
    );
    let mut holes = table.clone();
    holes[4].0.clear();
    let error = split_with(&dataset(&[(Split::Train, &holes)]), &by_group(), 1).unwrap_err();
    assert_eq!((error.code(), error.place().row), (ErrorCode::BadData, Some(5)));
    let one = rows((0..40).map(|row| (String::from("2020-01-01"), ["a", "b"][row % 2])));
    for settings in [by_group(), by_time()] {
        assert_eq!(split_with(&dataset(&[(Split::Train, &one)]), &settings, 1).unwrap_err().code(), ErrorCode::BadData);
    }
}

/// Fails by default, warns where that is asked for.
fn leaks(data: &Dataset, settings: &PrepareSettings, kind: FindingKind, words: &[&str]) {
    let error = split_with(data, settings, 1).unwrap_err();
    assert_eq!((error.code(), error.place().key.as_deref()), (ErrorCode::GateFailed, Some("prepare.leaks")), "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    let (_, report) = split_with(data, &PrepareSettings { leaks: LeakPolicy::Warn, ..settings.clone() }, 1).unwrap();
    let found = report.findings.iter().find(|finding| finding.kind == kind).unwrap();
    assert_eq!(found.severity, Severity::Warning);
    assert!(!found.evidence.is_empty(), "{found:?}");
}

#[test]
fn a_feature_that_is_the_target_in_other_words_is_refused() {
    let renamed = rows((0..40).map(|row| (["no", "yes"][row % 2].to_owned(), ["a", "b"][row % 2])));
    let says = [
        "\"by\" is a one-to-one function of the target \"y\"",
        "40 rows",
        "yes where the target is b",
        "collect.ignore",
    ];
    leaks(&dataset(&[(Split::Train, &renamed)]), &PrepareSettings::default(), FindingKind::TargetCopied, &says);
    let equal = rows((0..40).map(|row| (["a", "b"][row % 2].to_owned(), ["a", "b"][row % 2])));
    let says = ["\"by\" equals the target"];
    leaks(&dataset(&[(Split::Train, &equal)]), &PrepareSettings::default(), FindingKind::TargetCopied, &says);
    // A single row that says otherwise makes it a feature.
    let mut feature = renamed;
    feature[39].0 = "no".into();
    split_with(&dataset(&[(Split::Train, &feature)]), &PrepareSettings::default(), 1).unwrap();
}

#[test]
fn groups_that_given_parts_share_are_refused() {
    let train = rows((0..40).map(|row| (format!("p{}", row % 10), ["a", "b"][row / 10 % 2])));
    let test = rows((0..4).map(|row| (format!("p{}", row + 8), ["a", "b"][row % 2])));
    let data = dataset(&[(Split::Train, &train), (Split::Test, &test)]);
    let says = ["2 groups of column \"by\"", "\"p8\" is in train row 9 and in test: test row 1"];
    leaks(&data, &by_group(), FindingKind::SharedGroups, &says);
    let apart = rows((0..4).map(|row| (format!("q{row}"), ["a", "b"][row % 2])));
    split_with(&dataset(&[(Split::Train, &train), (Split::Test, &apart)]), &by_group(), 1).unwrap();
}

#[test]
fn a_given_part_that_does_not_lie_after_training_is_refused() {
    let train = rows((0..40).map(|row| (format!("2020-01-{:02}", row % 20 + 1), ["a", "b"][row / 20])));
    let test = rows((0..4).map(|row| (format!("2020-01-{:02}", row + 16), ["a", "b"][row % 2])));
    let data = dataset(&[(Split::Train, &train), (Split::Test, &test)]);
    leaks(&data, &by_time(), FindingKind::TimeOverlap, &["rows outside training do not lie after it", "2020-01-1"]);
    let after = rows((0..4).map(|row| (format!("2020-02-{:02}", row + 1), ["a", "b"][row % 2])));
    split_with(&dataset(&[(Split::Train, &train), (Split::Test, &after)]), &by_time(), 1).unwrap();
}

#[test]
fn exact_duplicates_across_parts_are_counted_and_stop_nothing() {
    let train = rows((0..40).map(|row| (format!("g{}", row % 3), ["a", "b"][row % 2])));
    let mut data = dataset(&[(Split::Train, &train), (Split::Test, &train[..4])]);
    data.parts.insert(Split::Test, part(0, &train[..4]));
    let (_, report) = split_with(&data, &PrepareSettings::default(), 1).unwrap();
    assert_eq!(report.crossing, BTreeMap::from([(Split::Test, 4)]));
    assert!(
        report.findings.iter().any(|finding| finding.kind == FindingKind::CrossingDuplicates && finding.count == 4)
    );
}

#[test]
fn rows_with_given_values_are_the_test_part() {
    let of = |row: usize| (["north", "south", "west"][row % 3].to_owned(), ["a", "b"][row / 3 % 2]);
    let data = dataset(&[(Split::Train, &rows((0..120).map(of)))]);
    let by = |column: &str, value: &str| PrepareSettings {
        test_where: [(column.to_owned(), CellText::Text(value.to_owned()))].into(),
        valid_fraction: 0.25,
        ..Default::default()
    };
    let (parts, _) = split_with(&data, &by("by", "west"), 1).unwrap();
    assert_eq!(parts[&Split::Test], (0..120).filter(|row| row % 3 == 2).collect::<Vec<_>>());
    assert_eq!((parts[&Split::Train].len(), parts[&Split::Valid].len()), (60, 20));
    let (after, _) = prepare(data.clone(), &by("by", "west"), Seed(1), &Silent, &Cancel::default()).unwrap();
    assert_eq!(after.schema.names().collect::<Vec<_>>(), ["x", "y"], "what steers is no feature");
    let number = r#"{ "test_where": { "x": 7 }, "remove_duplicates": false }"#;
    let number: PrepareSettings = serde_json::from_str(number).unwrap();
    let (after, _) = prepare(data, &number, Seed(1), &Silent, &Cancel::default()).unwrap();
    assert_eq!((after.rows(Split::Test), after.rows(Split::Train)), (1, 107));
}

#[test]
fn values_that_name_no_test_part_are_refused() {
    let data = dataset(&[(
        Split::Train,
        &rows((0..40).map(|row| (["north", "south"][row % 2].to_owned(), ["a", "b"][row / 2 % 2]))),
    )]);
    let refused = |settings: PrepareSettings| split_with(&data, &settings, 1).unwrap_err();
    let by = |column: &str, value: &str| PrepareSettings {
        test_where: [(column.to_owned(), CellText::Text(value.to_owned()))].into(),
        ..Default::default()
    };
    assert_eq!(refused(by("by", "nroth")).remedy(), Some("did you mean \"north\"?"));
    assert!(refused(by("by", "elsewhere")).remedy().unwrap().contains("north, south"));
    assert_eq!(refused(by("bye", "north")).place().key.as_deref(), Some("prepare.test_where"));
    assert_eq!(refused(by("y", "a")).code(), ErrorCode::Config);
    let both = PrepareSettings { split_column: Some("x".into()), ..by("by", "north") };
    assert_eq!(refused(both).place().key.as_deref(), Some("prepare.test_where"));
    let own = dataset(&[
        (Split::Train, &rows((0..8).map(|row| ("north".to_owned(), ["a", "b"][row % 2])))),
        (Split::Test, &rows((0..4).map(|row| ("south".to_owned(), ["a", "b"][row % 2])))),
    ]);
    let error = split_with(&own, &by("by", "north"), 1).unwrap_err();
    assert!(error.message().contains("a test part of its own"), "{error}");
    let all = dataset(&[(Split::Train, &rows((0..8).map(|row| ("north".to_owned(), ["a", "b"][row % 2]))))]);
    assert_eq!(split_with(&all, &by("by", "north"), 1).unwrap_err().code(), ErrorCode::BadData);
}
