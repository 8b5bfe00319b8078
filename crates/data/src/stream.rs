//! Rows that arrive as JSON lines: whether each fits the columns that its dataset has so far. Nothing is stored here.

use crate::scan::{check_columns, json_entries};
use lepton_core::{Error, ErrorCode, Limits, Result, nearest};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Wrong lines that an error lists; it counts all.
const LISTED: usize = 10;

/// What a column of arriving rows holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    /// A JSON number.
    Number,
    /// A JSON text.
    Text,
    /// `true` or `false`.
    Boolean,
}

impl StreamKind {
    fn name(self) -> &'static str {
        match self {
            StreamKind::Number => "a number",
            StreamKind::Text => "a text",
            StreamKind::Boolean => "true or false",
        }
    }
}

/// One column of arriving rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamColumn {
    /// Its key.
    pub name: String,
    /// What it holds; `None` until a row has a value.
    pub kind: Option<StreamKind>,
}

/// The columns of arriving rows, in the order in which they were first seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamSchema {
    /// The columns.
    pub columns: Vec<StreamColumn>,
}

/// Lines that fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FittingLines {
    /// The lines as they came, without blank ones, each ending in a line feed.
    pub lines: Vec<u8>,
    /// How many.
    pub rows: u64,
    /// The columns with what these rows added.
    pub schema: StreamSchema,
}

/// Holds JSON lines against the columns so far. The first rows of a dataset (`schema` without columns) say what the
/// columns are; later ones may leave columns out, and bring new ones only where `new_columns` says so.
///
/// # Errors
/// [`ErrorCode::BadInput`] with the number of each wrong line (from 1) and why: no JSON object, a list or object as a
/// value, a value of another kind, a column that is new, a key that is there twice, a number that is not finite.
/// [`ErrorCode::TooLarge`] past `csv_columns` or `cell_bytes`. Nothing fits by halves.
pub fn fit_lines(body: &[u8], schema: &StreamSchema, new_columns: bool, limits: &Limits) -> Result<FittingLines> {
    let open = new_columns || schema.columns.is_empty();
    let mut fitting = FittingLines { lines: Vec::with_capacity(body.len() + 1), rows: 0, schema: schema.clone() };
    let (mut wrong, mut first): (Vec<String>, Option<(u64, Error)>) = (Vec::new(), None);
    let (mut count, mut number) = (0u64, 0u64);
    for line in body.split(|byte| *byte == b'\n') {
        number += 1;
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        match fit(line, &mut fitting.schema, open, limits) {
            Ok(()) => {
                fitting.lines.extend_from_slice(line);
                fitting.lines.push(b'\n');
                fitting.rows += 1;
            }
            Err(error) => {
                count += 1;
                if wrong.len() < LISTED {
                    wrong.push(format!("line {number}: {}", error.headline()));
                }
                first.get_or_insert((number, error));
            }
        }
    }
    let Some((number, first)) = first else {
        return if fitting.rows > 0 {
            Ok(fitting)
        } else {
            Err(Error::new(ErrorCode::BadInput, "there are no rows").fix("send one JSON object per line"))
        };
    };
    let more = if count > wrong.len() as u64 { "; ..." } else { "" };
    let lines = if count == 1 { "one line is wrong" } else { "lines are wrong" };
    let of = if count == 1 { String::new() } else { format!("{count} ") };
    let message = format!("{of}{lines}, and none of this request was kept: {}{more}", wrong.join("; "));
    let error = Error::new(first.code(), message).at_row(number);
    Err(match first.remedy() {
        Some(remedy) => error.fix(remedy),
        None => error,
    })
}

fn fit(line: &[u8], schema: &mut StreamSchema, open: bool, limits: &Limits) -> Result<()> {
    let bad = |message: String| Error::new(ErrorCode::BadInput, message);
    let text = std::str::from_utf8(line).map_err(|_| bad("the text is not UTF-8".to_owned()))?;
    let entries = json_entries(text).map_err(|error| bad(error.message().to_owned()))?;
    let mut seen = HashSet::new();
    for (name, raw) in entries {
        if name.is_empty() {
            return Err(bad("a key is empty".to_owned()));
        }
        if !seen.insert(name.clone()) {
            return Err(bad("the key is there twice".to_owned()).at_column(name));
        }
        if raw.len() > limits.cell_bytes {
            let message = format!("a value of {} bytes, the limit cell_bytes is {}", raw.len(), limits.cell_bytes);
            return Err(Error::new(ErrorCode::TooLarge, message).at_column(name));
        }
        let kind = match raw.as_bytes().first() {
            Some(b'n') | None => None,
            Some(b'"') => Some(StreamKind::Text),
            Some(b't' | b'f') => Some(StreamKind::Boolean),
            Some(b'{' | b'[') => {
                return Err(bad("lists and objects inside of a row are not taken".to_owned())
                    .at_column(name)
                    .fix("flatten the rows"));
            }
            Some(_) if raw.parse::<f64>().is_ok_and(f64::is_finite) => Some(StreamKind::Number),
            Some(_) => return Err(bad(format!("{raw} is not a finite number")).at_column(name)),
        };
        match schema.columns.iter_mut().find(|column| column.name == name) {
            Some(column) => match (column.kind, kind) {
                (Some(known), Some(kind)) if known != kind => {
                    let message = format!("this value is {}, the column holds {}", kind.name(), known.name());
                    return Err(bad(message).at_column(name));
                }
                (None, Some(_)) => column.kind = kind,
                _ => {}
            },
            None if open => {
                check_columns(schema.columns.len() + 1, limits)?;
                schema.columns.push(StreamColumn { name: name.into_owned(), kind });
            }
            None => {
                let error = bad("the dataset has no such column".to_owned()).at_column(name.clone());
                let known = schema.columns.iter().map(|column| column.name.as_str());
                let allow = "or allow new columns (header Lepton-New-Columns: allow, or --new-columns)";
                return Err(match nearest(&name, known) {
                    Some(near) => error.fix(format!("did you mean \"{near}\"? leave the column out, {allow}")),
                    None => error.fix(format!("leave the column out, {allow}")),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit_text(text: &str, schema: &StreamSchema, new_columns: bool) -> Result<FittingLines> {
        fit_lines(text.as_bytes(), schema, new_columns, &Limits::default())
    }

    fn first() -> StreamSchema {
        let fitting =
            fit_text("{\"a\": 1, \"b\": null}\r\n\n {\"b\": \"x\", \"c\": true}", &StreamSchema::default(), false);
        let fitting = fitting.unwrap();
        assert_eq!(fitting.rows, 2);
        assert_eq!(fitting.lines, b"{\"a\": 1, \"b\": null}\n{\"b\": \"x\", \"c\": true}\n");
        fitting.schema
    }

    #[test]
    fn the_first_rows_say_what_the_columns_are() {
        let kinds: Vec<_> = first().columns.into_iter().map(|column| (column.name, column.kind)).collect();
        let wanted = [
            ("a".to_owned(), Some(StreamKind::Number)),
            ("b".to_owned(), Some(StreamKind::Text)),
            ("c".to_owned(), Some(StreamKind::Boolean)),
        ];
        assert_eq!(kinds, wanted);
        assert!(fit_text("{\"a\": 2}", &first(), false).is_ok(), "a column may be left out");
        let wider = fit_text("{\"d\": 2}", &first(), true).unwrap();
        assert_eq!(wider.schema.columns.len(), 4);
    }

    #[test]
    fn wrong_lines_are_named_and_none_is_kept() {
        let text = "{\"a\": 1}\n{\"a\": \"1\"}\nnot json\n{\"a\": 1, \"a\": 2}\n{\"a\": [1]}\n{\"aa\": 1}\n{\"a\": 1e999}\n[1]";
        let error = fit_text(text, &first(), false).unwrap_err();
        assert_eq!((error.code(), error.place().row), (ErrorCode::BadInput, Some(2)));
        for says in ["7 lines are wrong", "line 2:", "line 3:", "line 4:", "line 5:", "line 6:", "line 7:", "line 8:"] {
            assert!(error.message().contains(says), "{says}: {error}");
        }
        let error = fit_text("{\"aa\": 1}", &first(), false).unwrap_err();
        assert!(error.remedy().unwrap().contains("Lepton-New-Columns"), "{error}");
        assert_eq!(fit_text("\n\n", &first(), false).unwrap_err().code(), ErrorCode::BadInput);
        let many = "x\n".repeat(50);
        assert!(fit_text(&many, &first(), false).unwrap_err().message().ends_with("; ..."));
    }

    #[test]
    fn limits_are_quoted() {
        let limits = Limits { csv_columns: 1, cell_bytes: 5, ..Limits::default() };
        let says =
            |text: &str| fit_lines(text.as_bytes(), &StreamSchema::default(), false, &limits).unwrap_err().to_string();
        assert!(says("{\"a\": 1, \"b\": 2}").contains("csv_columns"));
        assert!(says("{\"a\": \"123456\"}").contains("cell_bytes"));
    }
}
