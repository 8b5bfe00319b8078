//! Readers of series: files that a writer made, bytes that mean nothing, and datasets made of files.

#![allow(clippy::unwrap_used)]

use super::ts::{LabelledSeries, Labels, read_ts};
use super::tsv::read_tsv;
use super::{LABEL, SERIES};
use crate::{CollectSettings, Dataset, Format, collect};
use arrow_array::cast::AsArray;
use lepton_core::series::SeriesColumn;
use lepton_core::{Cancel, ColumnKind, ErrorCode, Limits, Result, Silent, Split};
use proptest::prelude::*;
use std::fmt::Write;
use std::fs;

fn write_ts(file: &LabelledSeries) -> String {
    let mut text = format!("@problemName made\n@dimensions {}\n@equalLength false\n", file.dimensions);
    match &file.labels {
        Labels::None => text.push_str("@classLabel false\n"),
        Labels::Classes { names, .. } => writeln!(text, "@classLabel true {}", names.join(" ")).unwrap(),
        Labels::Targets(_) => text.push_str("@targetLabel true\n"),
    }
    text.push_str("@data\n");
    for (case, dimensions) in file.series.iter().enumerate() {
        let listed = |values: &Vec<f32>| values.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
        let mut fields: Vec<String> = dimensions.iter().map(listed).collect();
        match &file.labels {
            Labels::None => {}
            Labels::Classes { names, of_case } => fields.push(names[of_case[case]].clone()),
            Labels::Targets(targets) => fields.push(targets[case].to_string()),
        }
        writeln!(text, "{}", fields.join(":")).unwrap();
    }
    text
}

/// Equal, with NaN equal to NaN.
fn same_text<T: std::fmt::Debug>(a: &T, b: &T) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

fn value() -> impl Strategy<Value = f32> {
    prop_oneof![4 => prop::num::f32::NORMAL | prop::num::f32::ZERO, 1 => Just(f32::NAN)]
}

fn labelled() -> impl Strategy<Value = LabelledSeries> {
    (1usize..4, 1usize..6, 0u8..3).prop_flat_map(|(dimensions, cases, kind)| {
        let case = (1usize..8)
            .prop_flat_map(move |length| prop::collection::vec(prop::collection::vec(value(), length), dimensions));
        let names = vec!["1".to_owned(), "-1".to_owned(), "walk".to_owned()];
        let labels = match kind {
            0 => Just(Labels::None).boxed(),
            1 => prop::collection::vec(0usize..3, cases)
                .prop_map(move |of_case| Labels::Classes { names: names.clone(), of_case })
                .boxed(),
            _ => prop::collection::vec(prop::num::f64::NORMAL, cases).prop_map(Labels::Targets).boxed(),
        };
        (prop::collection::vec(case, cases), labels).prop_map(move |(series, labels)| LabelledSeries {
            dimensions,
            series,
            labels,
        })
    })
}

/// Pieces of what the formats are made of, in any order.
fn nearly_a_file() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "@data\n",
        "@classLabel true a b\n",
        "@classLabel false\n",
        "@targetLabel true\n",
        "@dimensions 2\n",
        "@dimensions",
        "@equalLength true\n",
        "@missing false\n",
        "1",
        ",",
        ":",
        "?",
        "NaN",
        "a",
        "\t",
        "\n",
        " ",
        "(",
        "\u{feff}",
        "é",
        "-",
        "1e40",
        "@",
        "#",
    ]);
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

fn read_all(bytes: &[u8]) {
    for limits in [Limits::default(), Limits { series_values: 3, ..Limits::default() }] {
        for read in [read_ts(&mut &bytes[..], &limits), read_tsv(&mut &bytes[..], &limits)] {
            assert!(read.err().is_none_or(|error| error.place().row.is_some()));
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_as_ts_is_read_back(file in labelled()) {
        let found = read_ts(&mut write_ts(&file).as_bytes(), &Limits::default()).unwrap();
        prop_assert!(same_text(&found, &file), "{found:?} {file:?}");
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
    }

    #[test]
    fn no_text_that_is_nearly_a_file_makes_a_reader_panic(text in nearly_a_file()) {
        read_all(text.as_bytes());
    }
}

const HEADER: &str = "@problemName moves\n@univariate false\n@classLabel true up down\n@data\n";

/// The dataset of a training and a test file with these lines behind the header.
fn dataset(train: &str, test: &str, change: impl Fn(&mut CollectSettings)) -> Result<Dataset> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("moves_TRAIN.ts"), train).unwrap();
    fs::write(folder.path().join("moves_TEST.ts"), test).unwrap();
    let mut settings = CollectSettings {
        path: Some("moves_TRAIN.ts".into()),
        test: Some("moves_TEST.ts".into()),
        ..CollectSettings::default()
    };
    change(&mut settings);
    collect(&settings, folder.path(), None, &Limits::default(), &Silent, &Cancel::default())
}

fn with_header(lines: &str) -> String {
    format!("{HEADER}{lines}")
}

#[test]
fn two_files_make_a_dataset_of_two_parts() {
    let train = with_header("1,2,3:10,20,30:up\n4,?:40,50:down\n");
    let data = dataset(&train, &with_header("7:70:up\n"), |_| ()).unwrap();
    let kinds: Vec<_> = data.schema.columns.iter().map(|column| (column.name.as_str(), column.kind)).collect();
    assert_eq!(kinds, [(SERIES, ColumnKind::Series), (LABEL, ColumnKind::Category)]);
    assert_eq!((data.target.as_str(), data.source.len()), (LABEL, 2));
    assert_eq!((data.rows(Split::Train), data.rows(Split::Test)), (2, 1));
    let rows = &data.parts[&Split::Train];
    let series = SeriesColumn::new(rows.column(0)).unwrap();
    assert_eq!(series.get(0).unwrap().values, [1.0, 10.0, 2.0, 20.0, 3.0, 30.0]);
    let second = series.get(1).unwrap();
    assert!(second.length() == 2 && second.values[2].is_nan());
    assert_eq!(rows.column(1).as_string::<i32>().value(1), "down");
    // The same rows have the same hash, and other ones another.
    let again = dataset(&train, &with_header("7:70:up\n"), |_| ()).unwrap();
    assert_eq!(data.digest().unwrap(), again.digest().unwrap());
    let other = dataset(&train, &with_header("7:71:up\n"), |_| ()).unwrap();
    assert!(data.digest().unwrap() != other.digest().unwrap());
    let chunk = crate::chunk_rows(rows, &data.schema).unwrap();
    let bytes = crate::write_chunk(rows, &chunk[0]).unwrap();
    let joined = crate::join_chunks(&data.schema, &crate::read_chunk(&bytes).unwrap()).unwrap();
    assert!(same_text(&joined, rows));
    assert_eq!(crate::cell_text(rows, &data.schema, SERIES, 0), "series of 3 steps in 2 dimensions");
}

#[test]
fn the_older_form_and_numbers_as_labels_are_read() {
    let older = |settings: &mut CollectSettings| settings.format = Some(Format::Ucr);
    let data = dataset("1\t0.5\t1.5\n2\t2.5\t3.5\n", "2\t1\t2\n", older).unwrap();
    assert_eq!((data.rows(Split::Train), data.schema.columns[1].kind), (2, ColumnKind::Category));
    let numbers = "@targetLabel true\n@data\n1,2:0.5\n";
    let data = dataset(numbers, numbers, |_| ()).unwrap();
    assert_eq!(data.schema.columns[1].kind, ColumnKind::Number);
}

#[test]
fn what_does_not_fit_is_said_with_its_file() {
    let good = with_header("1,2:3,4:up\n");
    let refused = |train: &str, test: &str| dataset(train, test, |_| ()).unwrap_err();
    for (test, row, says) in [
        (with_header("1,2:3:up\n"), Some(5), "dimension 2 has 1 values where dimension 1 has 2"),
        (with_header("1,2:3,4:upp\n"), Some(5), "\"upp\" is not one of the classes"),
        (with_header(":3,4:up\n"), Some(5), "dimension 1 has no value"),
        (with_header("1,2:up\n"), None, "1 dimensions, those of the other part 2"),
        ("@targetLabel true\n@data\n1:2:3\n".to_owned(), None, "one part has classes"),
        ("@classLabel false\n@data\n1:2\n".to_owned(), None, "no labels to learn"),
    ] {
        let error = refused(&good, &test);
        assert_eq!((error.code(), error.place().row), (ErrorCode::BadData, row), "{error}");
        assert!(error.message().contains(says) && error.remedy().is_some(), "{error}");
        assert!(error.place().file.as_ref().unwrap().ends_with("moves_TEST.ts"), "{error}");
    }
    let long = with_header(&format!("{}:up\n", vec!["1"; (1 << 20) + 1].join(",")));
    let error = refused(&long, &good);
    assert_eq!(error.code(), ErrorCode::TooLarge);
    assert!(error.message().contains("the limit series_values is 1048576"), "{error}");
    let ignored = dataset(&good, &good, |settings| settings.ignore = vec!["x".to_owned()]).unwrap_err();
    assert_eq!(ignored.place().key.as_deref(), Some("collect.ignore"));
}
