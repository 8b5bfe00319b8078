//! A table is what the csv crate and serde_json read, however it is cut and by however many threads.

use super::*;
use lepton_core::{Cancel, Silent};
use proptest::prelude::*;
use std::io::Write;

fn read_with(path: &Path, options: &ScanOptions, threads: usize) -> Result<Table> {
    let how = Work { threads, progress: &Silent, cancel: &Cancel::default() };
    Table::read(Scan::open(path, options)?, &how, &options.limits)
}

fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn read(name: &str, bytes: &[u8]) -> Result<Table> {
    let (_folder, path) = file(name, bytes);
    read_with(&path, &ScanOptions::default(), 2)
}

/// Every row as texts; `None` is missing.
fn rows(table: &Table) -> Vec<Vec<Option<String>>> {
    let cell = |row, column| table.cell(row, column).present().map(str::to_owned);
    (0..table.rows()).map(|row| (0..table.names().len()).map(|column| cell(row, column)).collect()).collect()
}

fn texts(rows: &[&[&str]]) -> Vec<Vec<Option<String>>> {
    let cell = |text: &&str| (!text.is_empty()).then(|| (*text).to_owned());
    rows.iter().map(|row| row.iter().map(cell).collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_csv_is_what_the_csv_crate_reads(
        cells in prop::collection::vec(prop::collection::vec("[a-c\",\n\ré ]{0,6}", 3), 1..30),
        piece_bytes in 1usize..80, threads in 1usize..4, carriage: bool, always: bool,
    ) {
        let mut writer = ::csv::WriterBuilder::new();
        if carriage { writer.terminator(::csv::Terminator::CRLF); }
        if always { writer.quote_style(::csv::QuoteStyle::Always); }
        let mut writer = writer.from_writer(Vec::new());
        writer.write_record(["x", "y", "z"]).unwrap();
        for row in &cells { writer.write_record(row).unwrap(); }
        let (_folder, path) = file("t.csv", &writer.into_inner().unwrap());
        let table = read_with(&path, &ScanOptions { piece_bytes, ..ScanOptions::default() }, threads).unwrap();
        let wanted: Vec<Vec<&str>> = cells.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
        let wanted: Vec<&[&str]> = wanted.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(rows(&table), texts(&wanted));
        prop_assert_eq!(table.source().sha256, lepton_core::Digest::of(std::fs::read(&path).unwrap()));
    }

    #[test]
    fn bytes_of_any_kind_are_read_or_refused(bytes in prop::collection::vec(prop::sample::select(&b"a,\"\n\r;\xff{}[]: 1e"[..]), 0..200), piece_bytes in 1usize..50) {
        let options = ScanOptions { piece_bytes, ragged: Ragged::Keep, ..ScanOptions::default() };
        for name in ["t.csv", "t.json"] {
            let (_folder, path) = file(name, &bytes);
            let one = read_with(&path, &options, 1).map(|table| rows(&table)).map_err(|error| error.to_string());
            let whole = ScanOptions { piece_bytes: 1 << 20, ..options.clone() };
            let two = read_with(&path, &whole, 3).map(|table| rows(&table)).map_err(|error| error.to_string());
            prop_assert_eq!(one.is_ok(), two.is_ok(), "{:?} {:?}", one, two);
            if one.is_ok() { prop_assert_eq!(one, two); }
        }
    }

    #[test]
    fn json_is_what_serde_reads(
        values in prop::collection::vec(prop::collection::btree_map("[ab\"\\\\]{1,2}", "[x\"\\\\\n{}é\\[]{0,5}", 0..4), 0..20),
        piece_bytes in 1usize..60, threads in 1usize..4, pretty: bool, lines: bool,
    ) {
        let mut text = String::new();
        if lines {
            for value in &values { text += &serde_json::to_string(value).unwrap(); text.push('\n'); }
        } else if pretty {
            text = serde_json::to_string_pretty(&values).unwrap();
        } else {
            text = serde_json::to_string(&values).unwrap();
        }
        let (_folder, path) = file("t.json", text.as_bytes());
        let table = read_with(&path, &ScanOptions { piece_bytes, ..ScanOptions::default() }, threads).unwrap();
        prop_assert_eq!(table.rows(), values.len());
        for (row, value) in values.iter().enumerate() {
            for (column, name) in table.names().iter().enumerate() {
                let wanted = value.get(name).filter(|text| !text.is_empty());
                let cell = table.cell(row, column);
                prop_assert_eq!(cell.present(), wanted.map(String::as_str));
            }
            for name in value.keys() {
                prop_assert!(table.names().contains(name));
            }
        }
    }
}

#[test]
fn a_delimiter_is_seen_and_a_quote_may_hold_anything() {
    let table = read("t.csv", b"\xef\xbb\xbfa ;b\n1;\"x;\n\"\"y\"\"\"\n\n2;\r\n").unwrap();
    assert_eq!(table.names(), ["a", "b"]);
    assert_eq!(rows(&table), texts(&[&["1", "x;\n\"y\""], &["2", ""]]));
    assert_eq!((table.line(0), table.line(1)), (2, 5));
    let table = read("t.csv", b"a\tb\n1,5\t2\n").unwrap();
    assert_eq!(rows(&table), texts(&[&["1,5", "2"]]));
    let table = read("t.csv", b"a,b\r1,2\r3,4").unwrap();
    assert_eq!(rows(&table), texts(&[&["1", "2"], &["3", "4"]]), "carriage returns alone end lines");
    let table = read("t.csv", b"a,b\n1,").unwrap();
    assert_eq!(rows(&table), texts(&[&["1", ""]]));
}

#[test]
fn a_wrong_csv_says_where() {
    let place = |bytes: &[u8]| {
        let error = read("t.csv", bytes).map(|_| ()).unwrap_err();
        (error.place().row, error.headline().split(": ").last().unwrap().to_owned())
    };
    assert_eq!(place(b"a,b\n1,2\n\"x\ny\",2\n3\n"), (Some(5), "1 fields where the header has 2".into()));
    assert_eq!(place(b"a,b\n1,2\n3,\"x\n4,5\n"), (Some(3), "a quote opens here and is never closed".into()));
    assert_eq!(place(b"a,b\n1,2\n3,\xff\n"), (Some(3), "the text is not UTF-8".into()));
    assert_eq!(place(b"a,a\n1,2\n"), (Some(1), "two columns have this name".into()));
    assert_eq!(place(b"a,\n1,2\n"), (Some(1), "column 2 has no name".into()));
    assert_eq!(place(b"\n\n").1, "the file is empty; its first line must name the columns");
    let wide = (0..10_001).map(|column| format!("c{column}")).collect::<Vec<_>>().join(",");
    assert_eq!(place(wide.as_bytes()), (Some(1), "10001 columns, the limit csv_columns is 10000".into()));
    let long = format!("a,b\n1,2\n3,{}\n", "x".repeat((1 << 20) + 1));
    assert_eq!(place(long.as_bytes()).0, Some(3));
    assert!(place(long.as_bytes()).1.contains("the limit cell_bytes is 1048576"));
}

#[test]
fn ragged_rows_are_listed_where_they_are_kept() {
    let (_folder, path) = file("t.csv", b"a,b\n1\n2,3,4\n5,6\n");
    let options = ScanOptions { ragged: Ragged::Keep, ..ScanOptions::default() };
    let mut seen = Vec::new();
    let how = Work { threads: 1, progress: &Silent, cancel: &Cancel::default() };
    let work = |chunk: Chunk| Ok(chunk.ragged().to_vec());
    let join = |_, ragged: Vec<RaggedRow>| {
        seen.extend(ragged);
        Ok(())
    };
    Scan::open(&path, &options).unwrap().fold(&how, work, join).unwrap();
    assert_eq!(seen, [RaggedRow { row: 0, fields: 1 }, RaggedRow { row: 1, fields: 3 }]);
    assert_eq!(rows(&read_with(&path, &options, 1).unwrap()), texts(&[&["1", ""], &["2", "3"], &["5", "6"]]));
}

#[test]
fn other_encodings_and_packed_files_are_read() {
    let mut utf16 = b"\xff\xfe".to_vec();
    utf16.extend("a,b\nä,ß\n".encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(rows(&read("t.csv", &utf16).unwrap()), texts(&[&["ä", "ß"]]));
    let (_folder, path) = file("t.csv", b"a,b\n\xe4,\xdf\n");
    let latin = ScanOptions { encoding: Some("latin1".into()), ..ScanOptions::default() };
    assert_eq!(rows(&read_with(&path, &latin, 1).unwrap()), texts(&[&["ä", "ß"]]));
    let unknown = ScanOptions { encoding: Some("klingon".into()), ..ScanOptions::default() };
    assert!(read_with(&path, &unknown, 1).map(|_| ()).unwrap_err().headline().contains("no encoding \"klingon\""));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"a,b\n1,2\n").unwrap();
    let packed = packed.finish().unwrap();
    assert_eq!(rows(&read("t.csv.gz", &packed).unwrap()), texts(&[&["1", "2"]]));
    assert!(read("t.csv.gz", &packed[..packed.len() - 9]).is_err(), "a packed file that is cut off");
}

#[test]
fn json_keeps_numbers_as_they_are_written_and_tells_kinds() {
    let text = br#"[{"n": 1.50, "t": "a\u00e4", "b": true, "l": [1, "]"], "e": ""},
                     {"late": null, "n": 12345678901234567890, "t": "1"}]"#;
    let table = read("t.json", text).unwrap();
    assert_eq!(table.names(), ["n", "t", "b", "l", "e", "late"]);
    let kinds = |row: usize| (0..6).map(|column| table.cell(row, column).kind).collect::<Vec<_>>();
    use CellKind::*;
    assert_eq!(kinds(0), [Number, Text, Boolean, Nested, Missing, Missing]);
    assert_eq!(kinds(1), [Number, Text, Missing, Missing, Missing, Missing]);
    assert_eq!(table.cell(0, 0).text, "1.50");
    assert_eq!(table.cell(0, 1).text, "aä");
    assert_eq!(table.cell(0, 3).text, "[1, \"]\"]");
    assert_eq!(table.cell(1, 0).text, "12345678901234567890");
    assert_eq!((table.line(0), table.line(1)), (1, 2));
    let wrong = |text: &[u8]| read("t.json", text).map(|_| ()).unwrap_err();
    assert_eq!(wrong(b"{\"a\":1}\n{\"a\":}\n").place().row, Some(2));
    assert!(wrong(b"[{\"a\":1}, 7]").headline().contains("is not an object: , 7]"), "{}", wrong(b"[{\"a\":1}, 7]"));
    assert!(wrong(b"[{\"a\":1}, {\"a\":").headline().contains("is not an object"));
    assert!(wrong(b"[{\"a\":1}").headline().contains("cut off"));
}

#[test]
fn the_first_error_of_the_file_is_told_with_any_number_of_threads() {
    let mut text = String::from("a,b\n");
    (0..2_000).for_each(|row| text += &format!("{row},{}\n", if row % 500 == 499 { "1,2" } else { "1" }));
    let (_folder, path) = file("t.csv", text.as_bytes());
    for threads in 1..4 {
        let options = ScanOptions { piece_bytes: 100, ..ScanOptions::default() };
        let error = read_with(&path, &options, threads).map(|_| ()).unwrap_err();
        assert_eq!(error.place().row, Some(501));
    }
}

#[test]
fn a_column_that_is_ignored_is_not_there() {
    let ignore = |ignore: &str| ScanOptions { ignore: vec![ignore.to_owned()], ..ScanOptions::default() };
    let (_folder, path) = file("t.csv", b"a,b,c\n1,2,3\n");
    let table = read_with(&path, &ignore("b"), 1).unwrap();
    assert_eq!((table.names(), rows(&table)), (&["a".to_owned(), "c".to_owned()][..], texts(&[&["1", "3"]])));
    assert_eq!(Scan::open(&path, &ignore("b")).unwrap().names().unwrap(), ["a", "b", "c"]);
    let (_folder, path) = file("t.json", b"{\"a\":1,\"b\":[2]}\n");
    assert_eq!(read_with(&path, &ignore("b"), 1).unwrap().names(), ["a"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_records_of_a_file_are_its_bytes(
        cells in prop::collection::vec(prop::collection::vec("[a\"\n\r,]{0,4}", 2), 1..20), piece_bytes in 1usize..60,
    ) {
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        writer.write_record(["x", "y"]).unwrap();
        for row in &cells { writer.write_record(row).unwrap(); }
        let bytes = writer.into_inner().unwrap();
        let (_folder, path) = file("t.csv", &bytes);
        let table = read_with(&path, &ScanOptions { piece_bytes, ..ScanOptions::default() }, 2).unwrap();
        let TextForm::Csv { header, delimiter: b',', end: "\n" } = table.form() else { panic!("{:?}", table.form()) };
        let records: String = (0..table.rows()).map(|row| table.record(row).unwrap()).collect();
        prop_assert_eq!(format!("{header}{records}").into_bytes(), bytes);
    }
}
