//! Patterns and lists of files, and Arrow IPC: what is read as one table, and which file is named when one differs.

#![allow(clippy::unwrap_used)]

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use lepton_core::{Cancel, ColumnKind, Error, ErrorCode, Limits, Result, Silent, Split};
use lepton_data::scan::{Scan, ScanOptions, Table, TableFormat, Work};
use lepton_data::{CollectSettings, Dataset, Paths, collect};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

fn collect_in(base: &Path, settings: &CollectSettings) -> Result<Dataset> {
    collect(settings, base, None, &Limits::default(), &Silent, &Cancel::default())
}

fn table(paths: impl Into<Paths>) -> CollectSettings {
    CollectSettings { path: Some(paths.into()), target: Some("y".into()), ..CollectSettings::default() }
}

fn numbers(data: &Dataset, column: &str) -> Vec<f64> {
    data.parts[&Split::Train].column_by_name(column).unwrap().as_primitive::<Float64Type>().values().to_vec()
}

/// A folder with files of these names and texts.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn a_pattern_and_a_list_are_one_table() {
    let folder = folder(&[
        ("logs/2024-02/part-1.csv", "x,y\n5,b\n"),
        ("logs/2024-01/part-2.csv", "y,x\na,3\nb,4\n"),
        ("logs/2024-01/part-1.csv", "x,y\n1,a\n2,b\n"),
        ("logs/2023-12/part-1.csv", "x,y\n9,a\n"),
    ]);
    let data = collect_in(folder.path(), &table("logs/2024-*/part-*.csv")).unwrap();
    assert_eq!(numbers(&data, "x"), [1.0, 2.0, 3.0, 4.0, 5.0], "in the order of the names, columns by name");
    assert_eq!(data.source.len(), 3);
    assert_eq!(data.name, "2024-01");
    let one = folder.path().join("one.csv");
    fs::write(&one, "x,y\n1,a\n2,b\n3,a\n4,b\n5,b\n").unwrap();
    let whole = collect_in(folder.path(), &table("one.csv")).unwrap();
    assert_eq!(data.digest().unwrap(), whole.digest().unwrap(), "the same rows in one file are the same dataset");
    let list = Paths::Many(vec!["logs/2024-02/part-1.csv".into(), "logs/2023-12/*.csv".into()]);
    let with_test = CollectSettings { test: Some("logs/2024-01/*.csv".into()), ..table(list) };
    let data = collect_in(folder.path(), &with_test).unwrap();
    assert_eq!((numbers(&data, "x"), data.rows(Split::Test)), (vec![5.0, 9.0], 4), "a list keeps its order");
}

fn refused(files: &[(&str, &str)], settings: &CollectSettings, file: &str, column: Option<&str>, says: &str) -> Error {
    let folder = folder(files);
    let error = collect_in(folder.path(), settings).unwrap_err();
    assert!(error.place().file.as_ref().unwrap().ends_with(file), "{error}");
    assert_eq!(error.place().column.as_deref(), column, "{error}");
    assert!(error.to_string().contains(says), "{error}");
    error
}

#[test]
fn the_file_that_differs_is_named() {
    let good = ("a.csv", "x,y\n1,a\n2,b\n");
    let parts = table("*.csv");
    refused(&[good, ("b.csv", "y\na\n")], &parts, "b.csv", Some("x"), "has no such column");
    refused(&[good, ("b.csv", "x,y,z\n1,a,2\n")], &parts, "b.csv", Some("z"), "has a column more");
    refused(&[good, ("b.csv", "x,y\nmany,a\n")], &parts, "b.csv", Some("x"), "texts where others have numbers");
    refused(&[good, ("b.csv", "x,y\n1\n")], &parts, "b.csv", None, "2");
    let error = refused(&[good, ("b.csv", "x,y\n1,a\n\"inf\",b\n")], &parts, "b.csv", Some("x"), "finite");
    assert_eq!(error.place().row, Some(3));
    let mixed = table(Paths::Many(vec!["a.csv".into(), "b.jsonl".into()]));
    let folder = folder(&[good, ("b.jsonl", "{\"x\": 1, \"y\": \"a\"}\n")]);
    let error = collect_in(folder.path(), &mixed).unwrap_err();
    assert!(error.place().file.as_ref().unwrap().ends_with("b.jsonl"), "{error}");
    // A column without values in one file, and a kind that is set, are no difference.
    let columns = [("x".to_owned(), ColumnKind::Text)].into();
    let set = CollectSettings { columns, ..table("*.csv") };
    let files = [good, ("b.csv", "x,y\nmany,a\n"), ("c.csv", "x,y\n,a\n")];
    assert_eq!(collect_in(self::folder(&files).path(), &set).unwrap().rows(Split::Train), 4);
}

#[test]
fn keys_of_json_may_be_missing_in_a_whole_file() {
    let folder = folder(&[("a.jsonl", "{\"x\": 1, \"y\": \"a\"}\n"), ("b.jsonl", "{\"y\": \"b\", \"z\": 2}\n")]);
    let data = collect_in(folder.path(), &table("*.jsonl")).unwrap();
    let names: Vec<&str> = data.schema.names().collect();
    assert_eq!(names, ["x", "y", "z"]);
    assert!(data.schema.column("x").unwrap().nullable && !data.schema.column("y").unwrap().nullable);
}

#[test]
fn a_format_that_is_one_folder_takes_one() {
    let folder = folder(&[("a/x/1.png", ""), ("b/x/1.png", "")]);
    let two = CollectSettings { path: Some(Paths::Many(vec!["a".into(), "b".into()])), ..CollectSettings::default() };
    let error = collect_in(folder.path(), &two).unwrap_err();
    assert_eq!((error.code(), error.place().key.as_deref()), (ErrorCode::Config, Some("collect.path")), "{error}");
}

fn rows() -> RecordBatch {
    let columns: [(&str, ArrayRef); 3] = [
        ("x", Arc::new(Float64Array::from(vec![Some(1.5), None, Some(3.0), Some(4.0)]))),
        ("n", Arc::new(Int64Array::from(vec![1, 2, (1 << 53) + 1, 4]))),
        ("y", Arc::new(StringArray::from(vec!["a", "b", "a", "b"]))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn write_stream(path: &Path, batches: &[RecordBatch]) {
    let mut writer =
        arrow_ipc::writer::StreamWriter::try_new(fs::File::create(path).unwrap(), batches[0].schema_ref()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
}

fn read(path: &Path) -> Result<Table> {
    let (progress, cancel) = (Silent, Cancel::default());
    let how = Work { threads: 2, progress: &progress, cancel: &cancel };
    Table::read(Scan::open(path, &ScanOptions::default())?, &how, &Limits::default())
}

fn texts(table: &Table) -> Vec<Vec<String>> {
    let row = |row| (0..table.names().len()).map(|column| table.cell(row, column).text.into_owned()).collect();
    (0..table.rows()).map(row).collect()
}

#[test]
fn arrow_files_and_streams_are_read_like_any_table() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let batch = rows();
    let mut file =
        arrow_ipc::writer::FileWriter::try_new(fs::File::create(at("a.arrow")).unwrap(), batch.schema_ref()).unwrap();
    file.write(&batch.slice(0, 3)).unwrap();
    file.write(&batch.slice(3, 1)).unwrap();
    file.finish().unwrap();
    write_stream(&at("b.feather"), &[batch.slice(0, 1), batch.slice(1, 3)]);
    let wanted =
        [["1.5", "1", "a"], ["", "2", "b"], ["3", "9007199254740993", "a"], ["4", "4", "b"]].map(|row| row.to_vec());
    for name in ["a.arrow", "b.feather"] {
        let table = read(&at(name)).unwrap();
        assert_eq!(table.form().format(), TableFormat::Arrow);
        assert_eq!(texts(&table), wanted, "{name}");
        assert_eq!(table.source().bytes, fs::metadata(at(name)).unwrap().len());
    }
    let settings = CollectSettings { ignore: vec!["n".into()], ..table("*.*") };
    let data = collect_in(folder.path(), &settings).unwrap();
    assert_eq!((data.rows(Split::Train), data.schema.columns.len()), (8, 2));
}

/// The files that pyarrow wrote, with the values that pandas reads from them; see reference/arrow.py.
#[test]
fn what_pyarrow_writes_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let wanted: Vec<Vec<String>> =
        serde_json::from_str(&fs::read_to_string(folder.join("arrow.json")).unwrap()).unwrap();
    for name in ["lz4.feather", "zstd.feather", "plain.arrow", "stream.arrow"] {
        let table = read(&folder.join(name)).unwrap();
        assert_eq!(table.names(), ["id", "when", "city", "price", "ok"]);
        assert_eq!(texts(&table), wanted, "{name}");
    }
}

#[test]
fn a_damaged_arrow_file_is_an_error_and_never_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    for name in ["lz4.feather", "plain.arrow", "stream.arrow"] {
        let whole = fs::read(reference.join(name)).unwrap();
        let path = folder.path().join(name);
        // Cut off at each 64th: an error, but for a stream that is cut between two batches or before its end mark.
        for part in 0..64 {
            fs::write(&path, &whole[..whole.len() * part / 64]).unwrap();
            if let Err(error) = read(&path) {
                assert!(error.place().file.is_some() && error.code() == ErrorCode::BadData, "{error}");
            } else {
                assert_eq!(name, "stream.arrow", "{part} of 64");
            }
        }
        // Any byte may be wrong: what comes is an error or a table, within memory.
        for place in (0..whole.len()).step_by(29) {
            for value in [0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[place] = value;
                fs::write(&path, &bytes).unwrap();
                if let Err(error) = read(&path) {
                    assert_ne!(error.code(), ErrorCode::Internal, "byte {place}: {error}");
                }
            }
        }
    }
    for (bytes, says) in
        [(&b"FEA1\0\0\0\0xxxxxxxx"[..], "version 1"), (b"a,b\n1,2\n3,4\n", "Arrow IPC"), (b"", "Arrow")]
    {
        fs::write(folder.path().join("x.arrow"), bytes).unwrap();
        let error = read(&folder.path().join("x.arrow")).err().unwrap();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn a_packed_buffer_that_claims_too_much_is_refused() {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let mut bytes = fs::read(reference.join("lz4.feather")).unwrap();
    // The unpacked length stands before each packed buffer, eight bytes, little-endian: 64 ids of eight bytes.
    let place = bytes.windows(8).position(|window| window == 512u64.to_le_bytes()).unwrap();
    bytes[place..place + 8].copy_from_slice(&(1u64 << 40).to_le_bytes());
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bomb.feather"), bytes).unwrap();
    let error = read(&folder.path().join("bomb.feather")).err().unwrap();
    assert_eq!(error.code(), ErrorCode::TooLarge, "{error}");
}
