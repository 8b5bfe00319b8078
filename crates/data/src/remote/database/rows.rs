//! The rows of a query as JSON lines, written as they come, hashed and counted against the limits.
//!
//! Numbers are numbers where a 64-bit float holds them: always in a fraction (the nearest one), for whole numbers up to
//! 2^53. Larger whole numbers, which are identifiers, stay text.

use super::Job;
use crate::remote::Staging;
use crate::scan::{check_columns, check_names};
use crate::settings::CollectSettings;
use lepton_core::{Digest, Error, ErrorCode, Event, Hasher, Result};
use std::fs::File;
use std::io::{BufWriter, Write};

/// Whole numbers up to here are the same as a 64-bit float.
const EXACT: u128 = 1 << 53;

/// How many rows go by between two reports of progress.
const REPORT: u64 = 4096;

/// A cell.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Missing,
    Boolean(bool),
    Integer(i128),
    Float(f64),
    /// A number in decimal digits.
    Decimal(&'a str),
    Text(&'a str),
}

/// What was written.
pub(super) struct Rows {
    pub(super) bytes: u64,
    pub(super) sha256: Digest,
}

struct Column {
    name: String,
    /// `"name":` with what stands before it in a row.
    lead: String,
    ignored: bool,
}

/// Writes rows.
pub(super) struct RowWriter<'a> {
    staging: &'a Staging<'a>,
    shown: String,
    columns: Vec<Column>,
    file: BufWriter<File>,
    hasher: Hasher,
    bytes: u64,
    rows: u64,
    line: Vec<u8>,
    column: usize,
}

impl<'a> RowWriter<'a> {
    /// Begins the file of a job. Errors name `shown`.
    pub(super) fn new(
        job: &Job<'_>,
        shown: String,
        names: &[String],
        settings: &CollectSettings,
        staging: &'a Staging<'a>,
    ) -> Result<RowWriter<'a>> {
        let query = |error: Error| error.in_file(&shown).at_key(super::query_key(job.split));
        check_columns(names.len(), staging.limits).map_err(query)?;
        check_names(names).map_err(|error| {
            let named = Error::new(error.code(), error.message()).fix("name every column in the query: `... as name`");
            query(match &error.place().column {
                Some(column) => named.at_column(column),
                None => named,
            })
        })?;
        let file = File::create_new(&job.path).map_err(|source| Error::io("write the rows", &job.path, source))?;
        let columns = names.iter().enumerate().map(|(place, name)| {
            let lead = format!("{}{}:", if place == 0 { '{' } else { ',' }, serde_json::Value::from(name.as_str()));
            Column { name: name.clone(), lead, ignored: settings.ignore.contains(name) }
        });
        Ok(RowWriter {
            staging,
            columns: columns.collect(),
            shown,
            file: BufWriter::with_capacity(1 << 18, file),
            hasher: Hasher::default(),
            bytes: 0,
            rows: 0,
            line: Vec::new(),
            column: 0,
        })
    }

    /// Whether the settings ignore a column, whose values then need not be understood.
    pub(super) fn ignores(&self, column: usize) -> bool {
        self.columns[column].ignored
    }

    /// Rows that are complete.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Names the place of the next cell in an error about its value.
    pub(super) fn placed(&self, error: Error) -> Error {
        error.in_file(&self.shown).at_row(self.rows + 1).at_column(&self.columns[self.column].name)
    }

    /// The next cell of the row.
    pub(super) fn push(&mut self, value: &Value<'_>) -> Result<()> {
        let column = &self.columns[self.column];
        self.line.extend_from_slice(column.lead.as_bytes());
        let before = self.line.len();
        if column.ignored {
            self.line.extend_from_slice(b"null");
        } else {
            write_value(value, &mut self.line).map_err(|error| self.placed(error))?;
        }
        let (length, most) = (self.line.len() - before, self.staging.limits.cell_bytes);
        // Two of the bytes may be quotes.
        if length > most.saturating_add(2) {
            let error =
                Error::new(ErrorCode::TooLarge, format!("a cell of {length} bytes, the limit cell_bytes is {most}"));
            return Err(self.placed(error));
        }
        self.column += 1;
        Ok(())
    }

    /// Ends the row.
    pub(super) fn end_row(&mut self) -> Result<()> {
        self.line.extend_from_slice(b"}\n");
        self.hasher.update(&self.line);
        self.bytes += self.line.len() as u64;
        let most = self.staging.limits.download_bytes;
        if self.bytes > most {
            let message = format!("the rows take more than {most} bytes, the limit download_bytes");
            return Err(Error::new(ErrorCode::TooLarge, message).in_file(&self.shown).at_row(self.rows + 1));
        }
        self.file.write_all(&self.line).map_err(|source| Error::io("write the rows", &self.shown, source))?;
        self.line.clear();
        self.column = 0;
        self.rows += 1;
        if self.rows.is_multiple_of(REPORT) {
            self.staging.cancel.check()?;
            self.report();
        }
        Ok(())
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Result<Rows> {
        self.report();
        if self.rows == 0 {
            return Err(Error::new(ErrorCode::BadData, "the query gives no rows")
                .in_file(&self.shown)
                .fix("see whether its conditions are right"));
        }
        self.file.flush().map_err(|source| Error::io("write the rows", &self.shown, source))?;
        Ok(Rows { bytes: self.bytes, sha256: self.hasher.finish() })
    }

    fn report(&self) {
        let what = format!("reading {}", self.shown);
        self.staging.progress.event(Event::Advanced { what, done: self.rows, total: None, unit: "rows" });
    }
}

fn write_value(value: &Value<'_>, line: &mut Vec<u8>) -> Result<()> {
    let text = |text: &str, line: &mut Vec<u8>| {
        serde_json::to_writer(line, text)
            .map_err(|source| Error::internal(format!("a text cannot be written: {source}")))
    };
    match value {
        Value::Missing => line.extend_from_slice(b"null"),
        Value::Boolean(value) => line.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Integer(value) if value.unsigned_abs() <= EXACT => line.extend_from_slice(value.to_string().as_bytes()),
        Value::Integer(value) => text(&value.to_string(), line)?,
        Value::Float(value) if value.is_finite() => {
            serde_json::to_writer(line, value).map_err(|source| Error::internal(source.to_string()))?;
        }
        Value::Float(value) => return Err(not_finite(value)),
        Value::Decimal(digits) => {
            let number: f64 = digits.parse().map_err(|_| not_finite(digits))?;
            let (before, fraction) = digits.split_once('.').unwrap_or((digits, ""));
            let whole = fraction.bytes().all(|digit| digit == b'0');
            let exact = before.parse::<i128>().is_ok_and(|value| value.unsigned_abs() <= EXACT);
            if number.is_nan() || digits.contains(['n', 'N']) {
                return Err(not_finite(digits));
            }
            if number.is_infinite() || (whole && !exact) {
                text(digits, line)?;
            } else {
                serde_json::to_writer(line, &number).map_err(|source| Error::internal(source.to_string()))?;
            }
        }
        Value::Text(value) => text(value, line)?,
    }
    Ok(())
}

fn not_finite(value: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::BadData, format!("{value} is not a finite number"))
        .fix("leave the row out in the query, or make the value NULL")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &Value<'_>) -> String {
        let mut line = Vec::new();
        write_value(value, &mut line).unwrap();
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn numbers_that_a_float_cannot_hold_stay_text() {
        for (value, text) in [
            (Value::Integer(1 << 53), "9007199254740992"),
            (Value::Integer((1 << 53) + 1), "\"9007199254740993\""),
            (Value::Integer(-(1 << 60)), "\"-1152921504606846976\""),
            (Value::Decimal("0.1"), "0.1"),
            (Value::Decimal("12.33333333333333333333"), "12.333333333333334"),
            (Value::Decimal("1.00"), "1.0"),
            (Value::Decimal("9007199254740993"), "\"9007199254740993\""),
            (Value::Decimal("123456789012345678901234567890.0"), "\"123456789012345678901234567890.0\""),
            (Value::Float(-0.5), "-0.5"),
            (Value::Boolean(true), "true"),
            (Value::Missing, "null"),
            (Value::Text("a\"\n\u{1}é"), "\"a\\\"\\n\\u0001é\""),
        ] {
            assert_eq!(written(&value), text, "{value:?}");
        }
        for value in
            [Value::Float(f64::NAN), Value::Float(f64::INFINITY), Value::Decimal("NaN"), Value::Decimal("-Infinity")]
        {
            let error = write_value(&value, &mut Vec::new()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::BadData, "{value:?}");
        }
    }
}
