//! Sources: what each format becomes, and that each kind of wrong file is refused with its place.

#![allow(clippy::unwrap_used)]

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Int64Array, ListArray, RecordBatch, StringArray};
use lepton_core::image::ImageColumn;
use lepton_core::{Cancel, ColumnKind, Error, ErrorCode, Limits, Result, Silent, Split};
use lepton_data::*;
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn collect_with(base: &Path, settings: &CollectSettings, limits: &Limits) -> Result<Dataset> {
    collect(settings, base, None, limits, &Silent, &Cancel::default())
}

fn collect_in(base: &Path, settings: &CollectSettings) -> Result<Dataset> {
    collect_with(base, settings, &Limits::default())
}

fn path(path: &str) -> CollectSettings {
    CollectSettings { path: Some(path.into()), ..Default::default() }
}

fn table(file: &str) -> CollectSettings {
    CollectSettings { target: Some("y".into()), ..path(file) }
}

fn check(result: Result<Dataset>, code: ErrorCode, row: Option<u64>, column: Option<&str>, says: &str) -> Error {
    let error = result.unwrap_err();
    assert_eq!((error.code(), error.place().row, error.place().column.as_deref()), (code, row, column), "{error}");
    assert!(error.to_string().contains(says), "{error}");
    error
}

fn idx(sides: &[u32], body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sides.len() as u8];
    bytes.extend(sides.iter().flat_map(|side| side.to_be_bytes()));
    bytes.extend(body);
    bytes
}

fn write_idx(folder: &Path, part: &str, images: &[u8], labels: &[u8]) {
    fs::write(folder.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
    fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
}

#[test]
fn idx_pairs_become_pictures_and_labels() {
    let folder = folder();
    write_idx(folder.path(), "train", &idx(&[3, 2, 1], &[1, 2, 3, 4, 5, 6]), &idx(&[3], &[7, 0, 7]));
    write_idx(folder.path(), "t10k", &idx(&[1, 2, 1], &[9, 9]), &idx(&[1], &[0]));
    let data = collect_in(folder.path(), &path(".")).unwrap();
    assert_eq!((data.rows(Split::Train), data.rows(Split::Valid), data.rows(Split::Test)), (3, 0, 1));
    assert_eq!((data.target.as_str(), data.source.len()), ("label", 4));
    let train = &data.parts[&Split::Train];
    let picture = ImageColumn::new(train.column(0)).unwrap().get(1).unwrap();
    assert_eq!((picture.height, picture.width, picture.channels, picture.pixels), (2, 1, 1, &[3u8, 4][..]));
    assert_eq!(train.column(1).as_string::<i32>().value(0), "7");
    let one = collect_in(folder.path(), &path("train-images-idx3-ubyte")).unwrap();
    assert_eq!(one.parts.len(), 1);
}

#[test]
fn wrong_idx_files_are_refused() {
    let good = idx(&[3, 2, 1], &[1, 2, 3, 4, 5, 6]);
    let labels = idx(&[3], &[7, 0, 7]);
    for (images, labels, says) in [
        (&good[..20], &labels[..], "truncated: 22 bytes expected, 20 there"),
        (&good[..9], &labels, "truncated: 16 bytes expected, 9 there"),
        (&good[..3], &labels, "not an idx file"),
        (&[&good[..], &[0]].concat(), &labels, "too long: 22 bytes expected, 23 there"),
        (&idx(&[u32::MAX, u32::MAX, u32::MAX, 3], &[]), &labels, "truncated"),
        (&idx(&[0, 2, 1], &[]), &idx(&[0], &[]), "holds no pictures"),
        (&idx(&[6], &[0; 6]), &labels, "not those of pictures"),
        (&good, &idx(&[2], &[7, 0]), "2 labels for the 3 pictures"),
        (&good, &good, "not those of labels"),
        (&[0, 0, 13, 1, 0, 0, 0, 0], &labels, "type 0x0d"),
        (&[0x1f, 0x8b, 8, 0], &labels, "gzipped"),
        (&[0, 0, 8, 0, 0], &labels, "0 sides"),
    ] {
        let folder = folder();
        write_idx(folder.path(), "train", images, labels);
        let error = check(collect_in(folder.path(), &path(".")), ErrorCode::BadData, None, None, says);
        assert!(error.place().file.is_some());
    }
    let folder = folder();
    write_idx(folder.path(), "train", &good, &labels);
    let limits = Limits { image_pixels: 1, ..Limits::default() };
    check(collect_with(folder.path(), &path("."), &limits), ErrorCode::TooLarge, None, None, "image_pixels is 1");
    fs::remove_file(folder.path().join("train-labels-idx1-ubyte")).unwrap();
    check(collect_in(folder.path(), &path(".")), ErrorCode::NotFound, None, None, "train-labels-idx1-ubyte");
}

fn save(folder: &Path, name: &str, side: u32, value: u8) {
    let file = folder.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    image::GrayImage::from_pixel(side, side, image::Luma([value])).save(file).unwrap();
}

#[test]
fn class_folders_become_pictures_and_labels() {
    let folder = folder();
    for (name, value) in [("train/cat/b.png", 2), ("train/cat/a.png", 1), ("train/dog/c.jpg", 3), ("test/cat/d.png", 4)]
    {
        save(folder.path(), name, 4, value);
    }
    fs::write(folder.path().join("train/cat/.hidden"), b"x").unwrap();
    let data = collect_in(folder.path(), &path(".")).unwrap();
    assert_eq!((data.rows(Split::Train), data.rows(Split::Test)), (3, 1));
    let train = &data.parts[&Split::Train];
    let labels: Vec<_> = train.column(1).as_string::<i32>().iter().flatten().collect();
    assert_eq!(labels, ["cat", "cat", "dog"]);
    assert_eq!(ImageColumn::new(train.column(0)).unwrap().get(0).unwrap().pixels[0], 1, "files in byte order");
    let classes_only =
        collect_in(folder.path(), &CollectSettings { test: Some("test".into()), ..path("train") }).unwrap();
    assert_eq!(classes_only.digest().unwrap(), data.digest().unwrap());
}

#[test]
fn an_unreadable_picture_is_refused_or_reported() {
    let folder = folder();
    save(folder.path(), "cat/a.png", 4, 1);
    save(folder.path(), "dog/a.png", 4, 1);
    fs::write(folder.path().join("dog/broken.png"), b"this is text").unwrap();
    let error = check(collect_in(folder.path(), &path(".")), ErrorCode::BadData, None, None, "not a PNG or JPEG");
    assert!(error.place().file.as_ref().unwrap().ends_with("dog/broken.png"));
    let dropping = CollectSettings { unreadable: UnreadablePolicy::Drop, ..path(".") };
    let data = collect_in(folder.path(), &dropping).unwrap();
    assert_eq!(data.rows(Split::Train), 2);
    assert!(data.unreadable[0].path.ends_with("dog/broken.png"));
    let limits = Limits { image_pixels: 15, ..Limits::default() };
    check(collect_with(folder.path(), &dropping, &limits), ErrorCode::TooLarge, None, None, "image_pixels is 15");
}

#[test]
fn wrong_class_folders_are_refused() {
    let folder = folder();
    check(collect_in(folder.path(), &path(".")), ErrorCode::BadData, None, None, "no class folders");
    fs::create_dir(folder.path().join("cat")).unwrap();
    check(collect_in(folder.path(), &path(".")), ErrorCode::BadData, None, None, "has no pictures");
    save(folder.path(), "cat/a.png", 2, 0);
    save(folder.path(), "stray.png", 2, 0);
    check(collect_in(folder.path(), &path(".")), ErrorCode::BadData, None, None, "beside the class folders");
    let set = CollectSettings { ignore: vec!["x".into()], ..path(".") };
    check(collect_in(folder.path(), &set), ErrorCode::Config, None, None, "collect.ignore");
}

const CSV: &str = "\u{feff}n,c,t,y\r\n1.5,a,\"x, \"\"1\"\"\",p\r\n,b,two,q\r\n-3,,three,p\r\n4,a,four,q\r\n5,b,five,p\r\n6,b,six,q\r\n";
const JSONL: &str = r#"{"n": 1.5, "c": "a", "t": "x, \"1\"", "y": "p"}
{"c": "b", "t": "two", "y": "q"}

{"n": -3, "c": "", "t": "three", "y": "p"}
{"n": 4, "c": "a", "t": "four", "y": "q"}
{"n": 5, "c": "b", "t": "five", "y": "p"}
{"n": 6, "c": "b", "t": "six", "y": "q"}
"#;

fn kinds(data: &Dataset) -> Vec<(&str, ColumnKind, bool)> {
    data.schema.columns.iter().map(|column| (column.name.as_str(), column.kind, column.nullable)).collect()
}

fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn a_csv_has_kinds_missing_values_and_lines() {
    let folder = folder();
    fs::write(folder.path().join("d.csv"), CSV).unwrap();
    let data = collect_in(folder.path(), &table("d.csv")).unwrap();
    use ColumnKind::*;
    assert_eq!(kinds(&data), [("n", Number, true), ("c", Category, true), ("t", Text, false), ("y", Category, false)]);
    let train = &data.parts[&Split::Train];
    assert_eq!(train.column(0).as_primitive::<Float64Type>().iter().next(), Some(Some(1.5)));
    assert_eq!(train.column(0).null_count(), 1);
    assert_eq!(train.column(2).as_string::<i32>().value(0), "x, \"1\"");
    let mut changed = table("d.csv");
    changed.columns.insert("n".into(), Category);
    changed.ignore.push("t".into());
    let data = collect_in(folder.path(), &changed).unwrap();
    assert_eq!(kinds(&data), [("n", Category, true), ("c", Category, true), ("y", Category, false)]);
    assert_eq!(data.parts[&Split::Train].column(0).as_string::<i32>().value(0), "1.5");
}

#[test]
fn csv_jsonl_and_parquet_with_one_content_have_one_digest() {
    let folder = folder();
    fs::write(folder.path().join("d.csv"), CSV).unwrap();
    fs::write(folder.path().join("d.jsonl"), JSONL).unwrap();
    let csv = collect_in(folder.path(), &table("d.csv")).unwrap();
    let jsonl = collect_in(folder.path(), &table("d.jsonl")).unwrap();
    let columns = csv.parts[&Split::Train]
        .schema()
        .fields()
        .iter()
        .zip(csv.parts[&Split::Train].columns())
        .map(|(field, array)| (field.name().clone(), Arc::clone(array)))
        .collect::<Vec<_>>();
    write_parquet(
        &folder.path().join("d.parquet"),
        columns.iter().map(|(name, array)| (name.as_str(), Arc::clone(array))).collect(),
    );
    let parquet = collect_in(folder.path(), &table("d.parquet")).unwrap();
    assert_eq!(csv.digest().unwrap(), jsonl.digest().unwrap());
    assert_eq!(csv.digest().unwrap(), parquet.digest().unwrap());
    fs::write(folder.path().join("e.csv"), CSV.replace("1.5", "1.50001")).unwrap();
    assert_ne!(csv.digest().unwrap(), collect_in(folder.path(), &table("e.csv")).unwrap().digest().unwrap());
}

#[test]
fn wrong_csv_files_are_refused() {
    for (text, code, row, column, says) in [
        ("", ErrorCode::BadData, None, None, "empty"),
        ("a,y\n", ErrorCode::BadData, None, None, "no rows"),
        ("a,y\n1,p\n2\n", ErrorCode::BadData, Some(3), None, "1 fields where the header has 2"),
        ("a,y\n1,p\n\"2\n2\",q\n1,2,3\n", ErrorCode::BadData, Some(5), None, "3 fields"),
        ("a,y,a\n1,p,2\n", ErrorCode::BadData, Some(1), Some("a"), "two columns"),
        (",y\n1,p\n", ErrorCode::BadData, Some(1), None, "column 1 has no name"),
        ("a,y\n1,p\nNaN,q\n", ErrorCode::BadData, Some(3), Some("a"), "NaN"),
        ("a,y\n1,p\ninf,q\n", ErrorCode::BadData, Some(3), Some("a"), "inf"),
        ("a,yy\n1,p\n", ErrorCode::NotFound, None, Some("y"), "did you mean \"yy\"?"),
    ] {
        let folder = folder();
        fs::write(folder.path().join("d.csv"), text).unwrap();
        let error = check(collect_in(folder.path(), &table("d.csv")), code, row, column, says);
        assert!(error.place().file.as_ref().unwrap().ends_with("d.csv"));
    }
    let folder = folder();
    fs::write(folder.path().join("d.csv"), b"a,y\n1,p\n\xff,q\n").unwrap();
    check(collect_in(folder.path(), &table("d.csv")), ErrorCode::BadData, Some(3), None, "UTF-8");
    fs::write(folder.path().join("d.csv"), "a,y\n1,pp\n").unwrap();
    let limits = |limits: Limits| collect_with(folder.path(), &table("d.csv"), &limits);
    let narrow = Limits { csv_columns: 1, ..Limits::default() };
    check(limits(narrow), ErrorCode::TooLarge, Some(1), None, "csv_columns is 1");
    let short = Limits { cell_bytes: 1, ..Limits::default() };
    check(limits(short), ErrorCode::TooLarge, Some(2), Some("y"), "cell_bytes is 1");
}

#[test]
fn parts_must_have_the_columns_of_training() {
    let folder = folder();
    fs::write(folder.path().join("train.csv"), "a,y\n1,p\n2,q\n").unwrap();
    let with_test = |text: &str| {
        fs::write(folder.path().join("test.csv"), text).unwrap();
        collect_in(folder.path(), &CollectSettings { test: Some("test.csv".into()), ..table("train.csv") })
    };
    assert_eq!(with_test("y,a\np,3\n").unwrap().rows(Split::Test), 1, "the order does not matter");
    check(with_test("y\np\n"), ErrorCode::BadData, None, Some("a"), "is missing");
    check(with_test("a,y,z\n1,p,2\n"), ErrorCode::BadData, None, Some("z"), "no such column");
    check(with_test("a,y\nx,p\n"), ErrorCode::BadData, Some(2), Some("a"), "\"x\" is not a number");
}

#[test]
fn wrong_jsonl_and_parquet_files_are_refused() {
    let folder = folder();
    for (text, row, column, says) in [
        ("{\"y\": 1}\nnonsense\n", Some(2), None, "not a JSON object"),
        ("{\"y\": 1}\n[1]\n", Some(2), None, "not a JSON object"),
        ("[{\"y\": 1},\n 7]", Some(2), None, "is not an object"),
    ] {
        fs::write(folder.path().join("d.jsonl"), text).unwrap();
        check(collect_in(folder.path(), &table("d.jsonl")), ErrorCode::BadData, row, column, says);
    }
    fs::write(folder.path().join("d.jsonl"), "{\"y\": 1, \"z\": {}}\n").unwrap();
    check(collect_in(folder.path(), &table("d.jsonl")), ErrorCode::Unsupported, Some(1), Some("z"), "`ignore`");
    fs::write(folder.path().join("d.parquet"), b"PAR1 but no more").unwrap();
    check(collect_in(folder.path(), &table("d.parquet")), ErrorCode::BadData, None, None, "as Parquet");
    let list = ListArray::from_iter_primitive::<arrow_array::types::Int64Type, _, _>(vec![Some(vec![Some(1)])]);
    let columns: Vec<(&str, ArrayRef)> = vec![("y", Arc::new(StringArray::from(vec!["p"]))), ("z", Arc::new(list))];
    write_parquet(&folder.path().join("d.parquet"), columns);
    check(collect_in(folder.path(), &table("d.parquet")), ErrorCode::Unsupported, None, Some("z"), "`ignore`");
    let ignoring = CollectSettings { ignore: vec!["z".into()], ..table("d.parquet") };
    assert_eq!(kinds(&collect_in(folder.path(), &ignoring).unwrap()), [("y", ColumnKind::Category, false)]);
}

#[test]
fn parquet_integers_and_booleans_have_kinds() {
    let folder = folder();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("count", Arc::new(Int64Array::from(vec![Some(3), None]))),
        ("flag", Arc::new(arrow_array::BooleanArray::from(vec![true, false]))),
        ("y", Arc::new(Int64Array::from(vec![1, 0]))),
    ];
    write_parquet(&folder.path().join("d.parquet"), columns);
    let data = collect_in(folder.path(), &table("d.parquet")).unwrap();
    use ColumnKind::*;
    assert_eq!(kinds(&data), [("count", Number, true), ("flag", Category, false), ("y", Category, false)]);
    let train = &data.parts[&Split::Train];
    assert_eq!(train.column(1).as_string::<i32>().value(0), "true");
    assert_eq!(train.column(2).as_string::<i32>().value(0), "1", "a label is text without a fraction");
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let folder = folder();
    fs::write(folder.path().join("d.csv"), CSV).unwrap();
    fs::write(folder.path().join("d.xyz"), CSV).unwrap();
    let base = folder.path();
    let both = CollectSettings { dataset: Some("mnist".into()), ..path("d.csv") };
    check(collect_in(base, &both), ErrorCode::Config, None, None, "cannot both be set");
    check(collect_in(base, &CollectSettings::default()), ErrorCode::Config, None, None, "`path`");
    check(collect_in(base, &path("d.csv")), ErrorCode::Config, None, None, "collect.target");
    check(collect_in(base, &table("d.xyz")), ErrorCode::Config, None, None, "collect.format");
    check(collect_in(base, &table("nope.csv")), ErrorCode::NotFound, None, None, "nope.csv");
    check(
        collect_in(base, &CollectSettings { ignore: vec!["y".into()], ..table("d.csv") }),
        ErrorCode::Config,
        None,
        Some("y"),
        "ignored",
    );
    check(
        collect_in(base, &CollectSettings { ignore: vec!["tt".into()], ..table("d.csv") }),
        ErrorCode::NotFound,
        None,
        Some("tt"),
        "did you mean",
    );
    check(
        collect_in(base, &CollectSettings { delimiter: Some('é'), ..table("d.csv") }),
        ErrorCode::Config,
        None,
        None,
        "collect.delimiter",
    );
    let mnist = CollectSettings { dataset: Some("mnist".into()), ..Default::default() };
    check(collect_in(base, &mnist), ErrorCode::NotAllowed, None, None, "--fetch");
    let cancelled = Cancel::default();
    cancelled.cancel();
    let stopped = collect(&table("d.csv"), base, None, &Limits::default(), &Silent, &cancelled);
    assert_eq!(stopped.unwrap_err().code(), ErrorCode::Cancelled);
}

#[test]
fn a_semicolon_file_is_read_when_asked() {
    let folder = folder();
    fs::write(folder.path().join("d.csv"), "a;y\n1;p\n2;q\n").unwrap();
    let data = collect_in(folder.path(), &CollectSettings { delimiter: Some(';'), ..table("d.csv") }).unwrap();
    assert_eq!(data.schema.columns[0].kind, ColumnKind::Number);
}

#[test]
fn a_fetched_file_that_was_changed_is_refused() {
    let folder = folder();
    let file = folder.path().join("table");
    fs::write(&file, "name,class,age,sex,survived\na,1st,1,male,0\nb,1st,1,male,1\n").unwrap();
    let fetched = catalogue::FetchedFile { role: "table".into(), path: file, sha256: lepton_core::Digest::of("x") };
    let files = catalogue::CatalogueFiles { files: vec![fetched] };
    let settings = CollectSettings { dataset: Some("titanic".into()), ..Default::default() };
    let result = collect(&settings, folder.path(), Some(&files), &Limits::default(), &Silent, &Cancel::default());
    check(result, ErrorCode::Integrity, None, None, "sha256");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_in_any_format_give_a_dataset_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let folder = folder();
        for name in ["d.csv", "d.jsonl", "d.parquet", "train-images-idx3-ubyte", "train-labels-idx1-ubyte"] {
            fs::write(folder.path().join(name), &bytes).unwrap();
        }
        for name in ["d.csv", "d.jsonl", "d.parquet"] {
            let _ = collect_in(folder.path(), &table(name));
        }
        let _ = collect_in(folder.path(), &path("."));
    }
}
