//! Repair of files whose cells have types: Parquet, and Arrow IPC as a file and as a stream.

#![allow(clippy::unwrap_used)]

use arrow_array::types::{Int8Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, Float32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{Field, Schema};
use lepton_core::{Cancel, ErrorCode, Result, Silent};
use lepton_data::scan::{Scan, ScanOptions, Table, Work};
use lepton_doctor::repair::{Action, Imputation, Plan, Step, repair, undo};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

const KINDS: [&str; 3] = ["parquet", "arrow", "arrows"];

/// Twelve rows of every type; ids are beyond what a float holds.
fn batch() -> RecordBatch {
    let id: Int64Array = (0..12).map(|row| Some(9_007_199_254_740_993 + row)).collect();
    let age: Int64Array = [20, 30, -999, 40, 50, 30, 40, 20, 30, 400, 50, 40].into_iter().map(Some).collect();
    let weight: Float32Array = (0..12).map(|row| (row != 5).then_some(60.5 + row as f32)).collect();
    let price =
        Decimal128Array::from((0..12).map(|row| row * 100 + 25).collect::<Vec<i128>>()).with_precision_and_scale(10, 2);
    let at = TimestampMicrosecondArray::from((0..12).map(|row| row * 86_400_000_000).collect::<Vec<i64>>())
        .with_timezone("UTC");
    let city: DictionaryArray<Int8Type> =
        ["Rome", "Bonn", "rome", "Bonn"].into_iter().cycle().take(12).map(Some).collect();
    let name: StringArray = (0..12).map(|row| Some(format!(" n{row}"))).collect();
    let paid: BooleanArray = (0..12).map(|row| Some(row % 3 == 0)).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(id)),
        ("age", Arc::new(age)),
        ("weight", Arc::new(weight)),
        ("price", Arc::new(price.unwrap())),
        ("at", Arc::new(at)),
        ("city", Arc::new(city)),
        ("name", Arc::new(name)),
        ("paid", Arc::new(paid)),
    ];
    let field = |(name, array): &(&str, ArrayRef)| {
        Field::new(*name, array.data_type().clone(), *name != "id")
            .with_metadata(HashMap::from([("unit".to_owned(), (*name).to_owned())]))
    };
    let fields: Vec<Field> = columns.iter().map(field).collect();
    let schema = Schema::new_with_metadata(fields, HashMap::from([("made".to_owned(), "by hand".to_owned())]));
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}

/// Two pieces of six rows: batches, and row groups of five.
fn write(path: &Path, kind: &str, batch: &RecordBatch) {
    let (file, schema) = (File::create(path).unwrap(), batch.schema());
    let pieces = [batch.slice(0, 6), batch.slice(6, 6)];
    match kind {
        "parquet" => {
            let properties = WriterProperties::builder()
                .set_compression(Compression::SNAPPY)
                .set_max_row_group_row_count(Some(5))
                .set_key_value_metadata(Some(vec![KeyValue::new("origin".to_owned(), "test".to_owned())]));
            let mut writer = ArrowWriter::try_new(file, schema, Some(properties.build())).unwrap();
            pieces.iter().for_each(|piece| writer.write(piece).unwrap());
            writer.close().unwrap();
        }
        "arrow" => {
            let mut writer = FileWriter::try_new(file, &schema).unwrap();
            pieces.iter().for_each(|piece| writer.write(piece).unwrap());
            writer.finish().unwrap();
        }
        _ => {
            let mut writer = StreamWriter::try_new(file, &schema).unwrap();
            pieces.iter().for_each(|piece| writer.write(piece).unwrap());
            writer.finish().unwrap();
        }
    }
}

fn read(path: &Path, kind: &str) -> RecordBatch {
    let file = File::open(path).unwrap();
    let mut described = None;
    let batches: Vec<RecordBatch> = match kind {
        "parquet" => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            let metadata = reader.metadata().clone();
            assert!(metadata.row_groups().iter().all(|group| group.num_rows() <= 5), "row groups grew");
            assert_eq!(metadata.row_group(0).column(0).compression(), Compression::SNAPPY);
            let pairs = metadata.file_metadata().key_value_metadata().unwrap();
            assert!(pairs.contains(&KeyValue::new("origin".to_owned(), "test".to_owned())), "{pairs:?}");
            // The reader's batches do not have the metadata of the file's schema.
            described = Some(Arc::clone(reader.schema()));
            reader.build().unwrap().collect::<std::result::Result<_, _>>().unwrap()
        }
        "arrow" => FileReader::try_new(file, None).unwrap().collect::<std::result::Result<_, _>>().unwrap(),
        _ => StreamReader::try_new(file, None).unwrap().collect::<std::result::Result<_, _>>().unwrap(),
    };
    let batch = arrow_select::concat::concat_batches(&batches[0].schema(), &batches).unwrap();
    described.map_or(batch.clone(), |schema| batch.with_schema(schema).unwrap())
}

fn table(path: &Path) -> Table {
    let how = Work { threads: 2, progress: &Silent, cancel: &Cancel::default() };
    let options = ScanOptions::default();
    Table::read(Scan::open(path, &options).unwrap(), &how, &options.limits).unwrap()
}

fn plan(table: &Table, actions: Vec<Action>) -> Plan {
    let step = |(place, action)| Step { id: format!("s{place}"), reason: String::new(), enabled: true, action };
    Plan {
        sha256: table.source().sha256,
        salt: "salt".into(),
        steps: actions.into_iter().enumerate().map(step).collect(),
    }
}

/// The repaired file read again, or the error.
fn repaired(kind: &str, actions: Vec<Action>) -> Result<RecordBatch> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("a.{kind}"));
    write(&path, kind, &batch());
    let table = table(&path);
    let mut bytes = Vec::new();
    repair(&table, &plan(&table, actions), &Cancel::default())?.write(&mut bytes)?;
    std::fs::write(&path, bytes).unwrap();
    Ok(read(&path, kind))
}

fn column(name: &str) -> String {
    name.to_owned()
}

#[test]
fn types_metadata_and_untouched_values_stay() {
    for kind in KINDS {
        let actions = vec![
            Action::SetMissing { column: column("age"), values: vec!["-999".into()] },
            Action::Impute { column: column("age"), with: Imputation::Constant { value: "33".into() } },
            Action::DropRowsOutside { column: column("age"), low: 0.0, high: 120.0 },
            Action::Trim { column: column("name") },
            Action::MapValues { column: column("city"), map: [("rome".to_owned(), "Rome".to_owned())].into() },
            Action::MapValues {
                column: column("at"),
                map: [("1970-01-02T00:00:00Z".to_owned(), "1970-01-03T00:00:00Z".to_owned())].into(),
            },
            Action::Impute { column: column("weight"), with: Imputation::Constant { value: "70.25".into() } },
        ];
        let (before, after) = (batch(), repaired(kind, actions).unwrap_or_else(|error| panic!("{kind}: {error}")));
        assert_eq!(after.schema().fields(), before.schema().fields(), "{kind}");
        assert_eq!(after.schema().metadata().get("made").map(String::as_str), Some("by hand"), "{kind}");
        let rows = arrow_array::UInt32Array::from(vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11]);
        for name in ["id", "price", "paid"] {
            let kept = arrow_select::take::take(before.column_by_name(name).unwrap(), &rows, None).unwrap();
            assert_eq!(after.column_by_name(name).unwrap(), &kept, "{kind} {name}");
        }
        let ages = arrow_array::cast::AsArray::as_primitive::<Int64Type>(after.column_by_name("age").unwrap());
        assert_eq!(ages.values(), &[20, 30, 33, 40, 50, 30, 40, 20, 30, 50, 40], "{kind}");
        let at =
            arrow_array::cast::AsArray::as_primitive::<TimestampMicrosecondType>(after.column_by_name("at").unwrap());
        assert_eq!((at.value(0), at.value(1), at.value(2)), (0, 2 * 86_400_000_000, 2 * 86_400_000_000), "{kind}");
        let texts =
            |name| arrow_cast::cast(after.column_by_name(name).unwrap(), &arrow_schema::DataType::Utf8).unwrap();
        let city = texts("city");
        let city: Vec<_> = arrow_array::cast::AsArray::as_string::<i32>(&city).iter().flatten().collect();
        assert_eq!(
            city,
            ["Rome", "Bonn", "Rome", "Bonn", "Rome", "Bonn", "Rome", "Bonn", "Rome", "Rome", "Bonn"],
            "{kind}"
        );
        let name = texts("name");
        assert_eq!(arrow_array::cast::AsArray::as_string::<i32>(&name).value(9), "n10", "{kind}");
        let weight = texts("weight");
        assert_eq!(arrow_array::cast::AsArray::as_string::<i32>(&weight).value(5), "70.25", "{kind}");
    }
}

#[test]
fn a_value_that_the_type_cannot_hold_is_refused_with_its_place() {
    for kind in KINDS {
        let refused = |actions, row: u64, name: &str, words: &str| {
            let error = repaired(kind, actions).unwrap_err();
            assert_eq!((error.code(), error.place().row), (ErrorCode::BadData, Some(row)), "{kind}: {error}");
            assert_eq!(error.place().column.as_deref(), Some(name), "{kind}: {error}");
            assert!(error.to_string().contains(words) && error.remedy().is_some(), "{kind}: {error}");
        };
        let map = |name: &str, from: &str, to: &str| {
            vec![Action::MapValues { column: column(name), map: [(from.to_owned(), to.to_owned())].into() }]
        };
        refused(map("age", "400", "40.5"), 10, "age", "\"40.5\" does not fit the column's type Int64");
        refused(map("paid", "true", "perhaps"), 1, "paid", "does not fit");
        let missing = Action::SetMissing { column: column("id"), values: vec!["9007199254740995".into()] };
        refused(vec![missing], 3, "id", "allows no missing value");
    }
}

#[test]
fn a_repair_that_is_undone_leaves_the_others() {
    for kind in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("a.{kind}"));
        write(&path, kind, &batch());
        let table = table(&path);
        let actions = vec![
            Action::MapValues { column: column("age"), map: [("400".to_owned(), "40".to_owned())].into() },
            Action::Trim { column: column("name") },
        ];
        let plan = plan(&table, actions);
        let log = repair(&table, &plan, &Cancel::default()).unwrap().changes().to_vec();
        let mut bytes = Vec::new();
        undo(&table, &log, &["s0".to_owned()], &mut bytes).unwrap();
        let other = folder.path().join(format!("b.{kind}"));
        std::fs::write(&other, bytes).unwrap();
        let after = read(&other, kind);
        assert_eq!(after.column_by_name("age"), batch().column_by_name("age"), "{kind}");
        let names = arrow_array::cast::AsArray::as_string::<i32>(after.column_by_name("name").unwrap());
        assert_eq!(names.value(9), "n9", "{kind}");
    }
}
