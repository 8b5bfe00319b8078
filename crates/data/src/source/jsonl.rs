//! One JSON object per line. Columns are the keys of all objects, in byte order; a key that is not there, `null`
//! and `""` are missing. Empty lines are skipped.

use super::table::{Cells, RawColumn, RawTable};
use super::{Context, hash_file};
use arrow_array::{Float64Array, LargeStringArray};
use lepton_core::{Error, ErrorCode, Result};
use lepton_recipe::raw::number_text;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Rows between two looks at the cancel flag.
const CHUNK: usize = 10_000;

/// Reads a file. Rows in errors are lines of the file.
pub(super) fn read(context: &Context<'_>, path: &Path) -> Result<RawTable> {
    let source = hash_file(path)?;
    let failed = |source| Error::io("read the file", path, source);
    let mut lines = Vec::new();
    let mut columns: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let (mut text, mut number) = (Vec::new(), 0);
    loop {
        text.clear();
        if reader.read_until(b'\n', &mut text).map_err(failed)? == 0 {
            break;
        }
        number += 1;
        let line = text.strip_prefix(b"\xef\xbb\xbf").filter(|_| number == 1).unwrap_or(&text);
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let placed = |error: Error| error.in_file(path).at_row(number);
        let object: Map<String, Value> = serde_json::from_slice(line).map_err(|source| {
            placed(
                Error::new(ErrorCode::BadData, format!("this line is not a JSON object: {source}")).caused_by(source),
            )
        })?;
        for (key, value) in object {
            check(context, &key, &value).map_err(|error| placed(error).at_column(&key))?;
            let column = columns.entry(key).or_default();
            column.resize(lines.len(), Value::Null);
            column.push(value);
        }
        if columns.len() > context.limits.csv_columns {
            let message = format!("{} columns, the limit csv_columns is {}", columns.len(), context.limits.csv_columns);
            return Err(placed(Error::new(ErrorCode::TooLarge, message)));
        }
        lines.push(number);
        if lines.len() % CHUNK == 0 {
            context.cancel.check()?;
            context.advanced(&path.display().to_string(), lines.len(), None);
        }
    }
    let rows = lines.len();
    let column = |(name, mut values): (String, Vec<Value>)| {
        values.resize(rows, Value::Null);
        RawColumn { name, cells: cells(&values) }
    };
    Ok(RawTable { columns: columns.into_iter().map(column).collect(), lines: Some(lines), source })
}

/// Refuses what a table cannot hold.
fn check(context: &Context<'_>, key: &str, value: &Value) -> Result<()> {
    match value {
        Value::Array(_) | Value::Object(_) if !context.settings.ignore.iter().any(|name| name == key) => {
            Err(Error::new(ErrorCode::Unsupported, "lists and objects inside a row are not supported")
                .fix(format!("flatten the rows, or add \"{key}\" to `ignore` under [collect]")))
        }
        Value::String(text) if text.len() > context.limits.cell_bytes => {
            let message =
                format!("a cell of {} bytes, the limit cell_bytes is {}", text.len(), context.limits.cell_bytes);
            Err(Error::new(ErrorCode::TooLarge, message))
        }
        _ => Ok(()),
    }
}

/// Numbers where every value that is there is one, else text.
fn cells(values: &[Value]) -> Cells {
    let is_missing = |value: &Value| value.is_null() || value.as_str() == Some("");
    if values.iter().all(|value| is_missing(value) || value.is_number()) && values.iter().any(Value::is_number) {
        return Cells::Number(values.iter().map(Value::as_f64).collect::<Float64Array>());
    }
    let text = |value: &Value| match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => number.as_f64().map(number_text),
        _ => None,
    };
    Cells::Text(values.iter().map(text).collect::<LargeStringArray>())
}
