//! Raw rows from outside: every wrong row is refused with its place, and past each limit with the limit's name.

#![allow(clippy::unwrap_used)]

use lepton_core::{Column, ColumnKind, Error, ErrorCode, Limits, Result, Schema};
use lepton_recipe::raw::*;
use proptest::prelude::*;
use serde_json::json;

fn schema() -> Schema {
    let column = |name: &str, kind, nullable| Column { name: name.into(), kind, nullable };
    Schema { columns: vec![column("age", ColumnKind::Number, true), column("class", ColumnKind::Category, false)] }
}

fn picture_schema() -> Schema {
    Schema { columns: vec![Column { name: "image".into(), kind: ColumnKind::Image, nullable: false }] }
}

fn png() -> Vec<u8> {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/smooth.png")).unwrap()
}

/// Code, row and column of an error; the message must contain `says`.
fn check(result: Result<impl std::fmt::Debug>, code: ErrorCode, row: Option<u64>, column: Option<&str>, says: &str) {
    let error: Error = result.unwrap_err();
    assert_eq!((error.code(), error.place().row, error.place().column.as_deref()), (code, row, column), "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn json_rows_are_read_by_name() {
    let rows = [json!({"class": "3rd", "age": 1.5}), json!({"class": 3.0, "age": null}), json!({"class": true})];
    let batch = rows_from_json(&schema(), &rows, &Limits::default()).unwrap();
    let csv = rows_from_csv(&schema(), b"\xef\xbb\xbfclass,age\r\n3rd,1.5\r\n3,\r\n\"true\",\r\n", &Limits::default());
    assert_eq!(batch, csv.unwrap());
    assert_eq!(rows_from_json(&schema(), &[], &Limits::default()).unwrap().num_rows(), 0);
}

#[test]
fn wrong_json_rows_are_refused_with_their_place() {
    let good = json!({"age": 1, "class": "a"});
    for (row, column, says) in [
        (json!([1]), None, "must be an object"),
        (json!({"age": 1}), Some("class"), "not in the row"),
        (json!({"age": "1", "class": "a"}), Some("age"), "expected a number"),
        (json!({"age": 1, "class": ["a"]}), Some("class"), "expected a text, got a list"),
        (json!({"agee": 1, "class": "a"}), Some("agee"), "did you mean \"age\"?"),
    ] {
        check(
            rows_from_json(&schema(), &[good.clone(), row], &Limits::default()),
            ErrorCode::BadInput,
            Some(2),
            column,
            says,
        );
    }
    let limits = Limits { batch_rows: 1, cell_bytes: 3, ..Limits::default() };
    check(
        rows_from_json(&schema(), &[good.clone(), good], &limits),
        ErrorCode::TooLarge,
        None,
        None,
        "batch_rows is 1",
    );
    let long = json!({"age": 1, "class": "abcd"});
    check(rows_from_json(&schema(), &[long], &limits), ErrorCode::TooLarge, Some(1), Some("class"), "cell_bytes is 3");
}

#[test]
fn wrong_csv_rows_are_refused_with_their_line() {
    for (text, row, column, says) in [
        ("", None, None, "empty"),
        ("age\n1\n", Some(1), Some("class"), "does not name"),
        ("age,clas\n1,a\n", Some(1), Some("class"), "calls \"clas\""),
        ("age,class,age\n1,a,2\n", None, Some("age"), "twice"),
        ("age,class\n1,a\n2\n", Some(3), None, "1 fields where the header has 2"),
        ("age,class\n1,\"a\nb\"\nx,c\n", Some(4), Some("age"), "\"x\" is not a number"),
        ("age,class\nNaN,a\n", Some(2), Some("age"), "not a finite number"),
        ("age,class\n-inf,a\n", Some(2), Some("age"), "not a finite number"),
        ("age,class\n1e999,a\n", Some(2), Some("age"), "not a finite number"),
    ] {
        check(rows_from_csv(&schema(), text.as_bytes(), &Limits::default()), ErrorCode::BadInput, row, column, says);
    }
    check(
        rows_from_csv(&schema(), b"age,class\n1,\xff\n", &Limits::default()),
        ErrorCode::BadInput,
        Some(2),
        None,
        "UTF-8",
    );
    let limits = Limits { csv_columns: 1, ..Limits::default() };
    check(
        rows_from_csv(&schema(), b"age,class\n1,a\n", &limits),
        ErrorCode::TooLarge,
        Some(1),
        None,
        "csv_columns is 1",
    );
    let limits = Limits { batch_rows: 1, ..Limits::default() };
    check(
        rows_from_csv(&schema(), b"age,class\n1,a\n1,a\n", &limits),
        ErrorCode::TooLarge,
        None,
        None,
        "batch_rows is 1",
    );
}

/// Base64 of a PNG, without a library: the test must not trust the code it tests.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let word = (0..3).fold(0u32, |word, place| word << 8 | u32::from(three.get(place).copied().unwrap_or(0)));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place)) as usize & 63] as char;
            text.push(if place <= three.len() { digit } else { '=' });
        }
    }
    text
}

#[test]
fn pictures_come_as_bytes_or_base64() {
    let text = base64(&png());
    let padded = json!({"image": {"b64": text}});
    let bare = json!({"image": {"b64": text.trim_end_matches('=')}});
    let batch = rows_from_json(&picture_schema(), &[padded, bare], &Limits::default()).unwrap();
    let direct = rows_from_pictures(&picture_schema(), &[&png(), &png()], &Limits::default()).unwrap();
    assert_eq!(batch, direct);
    for wrong in
        [json!("x"), json!({"b64": "!"}), json!({"b64": 1}), json!({"b64": "", "more": 1}), json!({"b64": "AAAA"})]
    {
        let row = json!({"image": wrong});
        check(
            rows_from_json(&picture_schema(), &[row], &Limits::default()),
            ErrorCode::BadInput,
            Some(1),
            Some("image"),
            "",
        );
    }
    check(rows_from_pictures(&schema(), &[&png()], &Limits::default()), ErrorCode::BadInput, None, None, "age, class");
}

#[test]
fn broken_and_oversized_pictures_are_refused() {
    let whole = png();
    for end in 0..whole.len() {
        if let Ok(picture) = decode_picture(&whole[..end], &Limits::default()) {
            assert_eq!(picture, decode_picture(&whole, &Limits::default()).unwrap(), "cut at {end}");
        }
    }
    check(
        rows_from_pictures(&picture_schema(), &[&whole, b"GIF89a"], &Limits::default()),
        ErrorCode::BadInput,
        Some(2),
        Some("image"),
        "not a PNG or JPEG",
    );
    let limits = Limits { image_pixels: 13 * 17 - 1, ..Limits::default() };
    check(decode_picture(&whole, &limits), ErrorCode::TooLarge, None, None, "image_pixels is 220");
    // A header that claims 65,535 x 65,535 pixels must be refused from the header alone.
    let mut bomb = whole.clone();
    bomb[16..24].copy_from_slice(&[0, 0, 255, 255, 0, 0, 255, 255]);
    let crc = crc32(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&crc.to_be_bytes());
    check(decode_picture(&bomb, &Limits::default()), ErrorCode::TooLarge, None, None, "65535x65535");
}

/// PNG's checksum.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    };
    !bytes.iter().fold(u32::MAX, step)
}

proptest! {
    #[test]
    fn any_bytes_give_rows_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = rows_from_csv(&schema(), &bytes, &Limits::default());
        let _ = decode_picture(&bytes, &Limits::default());
    }

    #[test]
    fn a_png_with_changed_bytes_gives_a_picture_or_an_error(place in 0usize..82, byte: u8) {
        let mut bytes = png();
        bytes[place] = byte;
        let _ = decode_picture(&bytes, &Limits { image_pixels: 1 << 20, ..Limits::default() });
    }
}
