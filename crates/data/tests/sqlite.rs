//! Queries of SQLite files, staged and collected: every kind of value, and everything that must be refused.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test ends where something is missing")]

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, RecordBatch};
use lepton_core::{Cancel, ColumnKind, Digest, Error, ErrorCode, Limits, Result, Silent, Split};
use lepton_data::remote::{Access, Freshness, Origin, Staging, freshness, needs_staging, stage};
use lepton_data::{CollectSettings, Dataset, collect};
use rusqlite::Connection;
use std::path::Path;
use tempfile::TempDir;

const SCHEMA: &str = "
    CREATE TABLE sold (id INTEGER PRIMARY KEY, price REAL, amount DECIMAL(10, 2), name TEXT, day DATE, paid BOOLEAN,
                       code INTEGER, kind TEXT, picture BLOB);
    INSERT INTO sold VALUES
        (1, 1.5, 10.25, 'Tea \"green\"', '2024-02-29', 1, 9007199254740993, 'a', x'00ff'),
        (2, NULL, 3, 'naïve' || char(10) || 'text', NULL, 0, 12, 'b', NULL),
        (3, -0.5, NULL, '', '2024-03-01', NULL, 13, 'a', NULL);
    CREATE VIEW good AS SELECT id, price, kind FROM sold WHERE id < 3;
";

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        Connection::open(place.path().join("shop.sqlite")).unwrap().execute_batch(SCHEMA).unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn collect_with(&self, settings: &CollectSettings, limits: &Limits) -> Result<(Dataset, Vec<Origin>)> {
        let scratch = tempfile::tempdir().unwrap();
        let (access, cancel) = (Access::default(), Cancel::default());
        let staging = Staging {
            folder: scratch.path(),
            kept: &|_| None,
            access: &access,
            limits,
            progress: &Silent,
            cancel: &cancel,
        };
        let staged = stage(settings, self.path(), &staging)?.expect("a database needs staging");
        let collected = collect(&staged.settings, self.path(), None, limits, &Silent, &cancel);
        let mut dataset = collected.map_err(|error| staged.placed(error))?;
        staged.describe(&mut dataset);
        Ok((dataset, staged.origins))
    }

    fn collect(&self, settings: &CollectSettings) -> Result<(Dataset, Vec<Origin>)> {
        self.collect_with(settings, &Limits::default())
    }

    fn refused(&self, settings: &CollectSettings, code: ErrorCode, says: &[&str]) -> Error {
        let error = self.collect(settings).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        let text = error.to_string();
        assert!(says.iter().all(|word| text.contains(word)), "{says:?}: {text}");
        error
    }
}

fn asking(query: &str) -> CollectSettings {
    CollectSettings {
        path: Some("shop.sqlite".into()),
        query: Some(query.into()),
        target: Some("kind".into()),
        ..CollectSettings::default()
    }
}

fn text<'a>(batch: &'a RecordBatch, column: &str, row: usize) -> Option<&'a str> {
    let array = batch.column_by_name(column).unwrap().as_string::<i32>();
    array.is_valid(row).then(|| array.value(row))
}

fn number(batch: &RecordBatch, column: &str, row: usize) -> Option<f64> {
    let array = batch.column_by_name(column).unwrap().as_primitive::<Float64Type>();
    array.is_valid(row).then(|| array.value(row))
}

#[test]
fn every_kind_of_value_is_read() {
    let place = Place::new();
    let query = "SELECT id, price, amount, name, day, paid, code, kind FROM sold ORDER BY id";
    let (dataset, origins) = place.collect(&asking(query)).unwrap();
    let kinds: Vec<_> =
        dataset.schema.columns.iter().map(|column| (column.name.as_str(), column.kind, column.nullable)).collect();
    use ColumnKind::{Category, Number, Text};
    assert_eq!(
        kinds,
        [
            ("id", Number, false),
            ("price", Number, true),
            ("amount", Number, true),
            ("name", Category, true),
            ("day", Category, true),
            ("paid", Category, true),
            // A whole number that a float cannot hold makes the column text.
            ("code", Text, false),
            ("kind", Category, false),
        ]
    );
    let rows = &dataset.parts[&Split::Train];
    assert_eq!([0, 1, 2].map(|row| number(rows, "price", row)), [Some(1.5), None, Some(-0.5)]);
    assert_eq!([0, 1, 2].map(|row| number(rows, "amount", row)), [Some(10.25), Some(3.0), None]);
    assert_eq!([0, 1, 2].map(|row| text(rows, "name", row)), [Some("Tea \"green\""), Some("naïve\ntext"), None]);
    assert_eq!([0, 1, 2].map(|row| text(rows, "day", row)), [Some("2024-02-29"), None, Some("2024-03-01")]);
    assert_eq!([0, 1, 2].map(|row| text(rows, "paid", row)), [Some("true"), Some("false"), None]);
    assert_eq!([0, 1].map(|row| text(rows, "code", row)), [Some("9007199254740993"), Some("12")]);
    // Lineage: the file and its hash, the query, the library.
    let file = place.path().join("shop.sqlite");
    assert_eq!(dataset.source.len(), 1);
    assert_eq!(dataset.source[0].path, file);
    assert_eq!(dataset.source[0].sha256, Digest::of(std::fs::read(&file).unwrap()));
    assert_eq!((origins[0].kind.as_str(), origins[0].query.as_deref()), ("sqlite", Some(query)));
    assert_eq!(origins[0].version.as_deref(), Some(rusqlite::version()));
    assert_eq!(dataset.name, "shop");
}

#[test]
fn tables_views_and_parts_are_read() {
    let place = Place::new();
    let view = CollectSettings { query: None, table: Some("good".into()), ..asking("") };
    let (dataset, origins) = place.collect(&view).unwrap();
    assert_eq!((dataset.name.as_str(), dataset.rows(Split::Train)), ("good", 2));
    assert_eq!(origins[0].query.as_deref(), Some("SELECT * FROM \"good\""));
    let parts = CollectSettings {
        test_query: Some("select id, kind from sold where id = 3;".into()),
        ..asking("select id, kind from sold where id < 3")
    };
    let (dataset, origins) = place.collect(&parts).unwrap();
    assert_eq!((dataset.rows(Split::Train), dataset.rows(Split::Test), dataset.source.len()), (2, 1, 1));
    assert_eq!(origins[1].split, Split::Test);
    assert_eq!(freshness(&parts).unwrap(), Freshness::Files);
    assert!(needs_staging(&parts).unwrap());
    let error = collect(&parts, place.path(), None, &Limits::default(), &Silent, &Cancel::default()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unsupported, "it is not read as it is");
}

#[test]
fn a_blob_is_refused_with_column_and_type_and_may_be_ignored() {
    let place = Place::new();
    let all = asking("SELECT * FROM sold ORDER BY id");
    let error = place.refused(&all, ErrorCode::Unsupported, &["BLOB", "`ignore`"]);
    assert_eq!((error.place().row, error.place().column.as_deref()), (Some(1), Some("picture")));
    let ignoring = CollectSettings { ignore: vec!["picture".into()], ..all };
    assert_eq!(place.collect(&ignoring).unwrap().0.schema.columns.len(), 8);
}

#[test]
fn nothing_is_written_and_nothing_but_one_select_is_run() {
    let place = Place::new();
    let before = std::fs::read(place.path().join("shop.sqlite")).unwrap();
    for (query, code, says) in [
        ("DELETE FROM sold", ErrorCode::Config, "not a query that gives rows"),
        ("DELETE FROM sold RETURNING id, kind", ErrorCode::Config, "not a query that gives rows"),
        ("ATTACH 'other.db' AS other", ErrorCode::Config, "not a query that gives rows"),
        ("PRAGMA query_only = false", ErrorCode::Config, "not a query that gives rows"),
        ("VACUUM INTO 'copy.db'", ErrorCode::Config, "not a query that gives rows"),
        ("SELECT 1 AS id, 'a' AS kind; DROP TABLE sold", ErrorCode::Config, ""),
        ("SELECT load_extension('evil.so') AS kind", ErrorCode::Config, ""),
        ("SELECT writefile('evil', 'x') AS kind", ErrorCode::Config, "no such function"),
        ("SELEC 1", ErrorCode::Config, "syntax error"),
        ("SELECT * FROM sould", ErrorCode::NotFound, "no such table: sould"),
        ("SELECT nam FROM sold", ErrorCode::NotFound, "no such column: nam"),
        ("SELECT id, kind FROM sold WHERE id > 9", ErrorCode::BadData, "no rows"),
        ("SELECT id AS kind, kind FROM sold", ErrorCode::BadData, "two columns have this name"),
        ("SELECT kind, 1e999 AS x FROM sold", ErrorCode::BadData, "not a finite number"),
        ("SELECT kind, CAST(x'ff' AS TEXT) AS x FROM sold", ErrorCode::BadData, "not UTF-8"),
    ] {
        let error = place.refused(&asking(query), code, &[says]);
        assert!(error.place().file.as_ref().is_some_and(|file| file.ends_with("shop.sqlite")), "{query}: {error}");
    }
    assert_eq!(std::fs::read(place.path().join("shop.sqlite")).unwrap(), before);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "a file was made");
}

#[test]
fn what_is_no_database_is_refused() {
    let place = Place::new();
    std::fs::write(place.path().join("text.db"), "id,kind\n1,a\n".repeat(100)).unwrap();
    let at = |path: &str| CollectSettings { path: Some(path.into()), ..asking("SELECT 1 AS id, 'a' AS kind FROM t") };
    place.refused(&at("text.db"), ErrorCode::BadData, &["text.db", "not a database"]);
    place.refused(&at("absent.db"), ErrorCode::NotFound, &["absent.db"]);
    let whole = std::fs::read(place.path().join("shop.sqlite")).unwrap();
    std::fs::write(place.path().join("half.db"), &whole[..whole.len() / 2]).unwrap();
    let half = place.collect(&CollectSettings { path: Some("half.db".into()), ..asking("SELECT * FROM sold") });
    assert_eq!(half.unwrap_err().code(), ErrorCode::BadData);
}

#[test]
fn limits_and_a_wish_to_stop_are_kept() {
    let place = Place::new();
    let settings = asking("SELECT id, name, kind FROM sold ORDER BY id");
    for (limits, says) in [
        (Limits { csv_columns: 2, ..Limits::default() }, "csv_columns is 2"),
        (Limits { cell_bytes: 5, ..Limits::default() }, "cell_bytes is 5"),
        (Limits { download_bytes: 50, ..Limits::default() }, "the limit download_bytes"),
    ] {
        let error = place.collect_with(&settings, &limits).unwrap_err();
        assert!(error.code() == ErrorCode::TooLarge && error.to_string().contains(says), "{error}");
    }
    // A query that gives no row for ever is stopped all the same.
    let endless = asking(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) AS id, 'a' AS kind FROM c",
    );
    let (scratch, access, cancel) = (tempfile::tempdir().unwrap(), Access::default(), Cancel::default());
    let limits = Limits::default();
    let stopper = cancel.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        stopper.cancel();
    });
    let staging = Staging {
        folder: scratch.path(),
        kept: &|_| None,
        access: &access,
        limits: &limits,
        progress: &Silent,
        cancel: &cancel,
    };
    assert_eq!(stage(&endless, place.path(), &staging).err().map(|error| error.code()), Some(ErrorCode::Cancelled));
    thread.join().unwrap();
}
