//! The change log, one JSON object per line, and taking changes back.

use super::sheet::{Sheet, Value};
use super::write::write;
use lepton_core::{Error, ErrorCode, Result};
use lepton_data::scan::{CellKind, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::Write;

/// One change. Rows count from 1 in the original file, whatever was dropped before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Change {
    /// A cell has another value.
    Cell {
        /// The step that did it.
        repair: String,
        /// Its row.
        row: u64,
        /// Its column.
        column: String,
        /// What it was before this change.
        old: serde_json::Value,
        /// What it is now.
        new: serde_json::Value,
    },
    /// A row is gone.
    Row {
        /// The step that did it.
        repair: String,
        /// Which.
        row: u64,
        /// Always true.
        dropped: bool,
    },
    /// A column is gone.
    Column {
        /// The step that did it.
        repair: String,
        /// Which.
        column: String,
        /// Always true.
        dropped: bool,
    },
}

impl Change {
    /// The step that made it.
    pub fn repair(&self) -> &str {
        match self {
            Change::Cell { repair, .. } | Change::Row { repair, .. } | Change::Column { repair, .. } => repair,
        }
    }
}

/// Writes a log: one JSON object per line.
///
/// # Errors
/// [`ErrorCode::Internal`] only.
pub fn write_log(changes: &[Change]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for change in changes {
        serde_json::to_writer(&mut bytes, change)
            .map_err(|source| Error::internal(format!("the change log cannot be written: {source}")))?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// Reads a log.
///
/// # Errors
/// [`ErrorCode::BadData`] with the line of what is no change.
pub fn read_log(bytes: &[u8]) -> Result<Vec<Change>> {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    let read = |(place, line): (usize, &[u8])| {
        serde_json::from_slice(line).map_err(|source| {
            Error::new(ErrorCode::BadData, format!("this line of the change log is no change: {source}"))
                .at_row(place as u64 + 1)
        })
    };
    lines.map(read).collect()
}

/// Takes the changes of some steps back: writes `original` with all other changes of the log to `output`, and gives
/// the log that is left.
///
/// # Errors
/// [`ErrorCode::NotFound`] for a step that the log does not have; [`ErrorCode::NotAllowed`] where a later step changed
/// the same cell again, naming it; [`ErrorCode::BadData`] for a log that is of another file.
pub fn undo(original: &Table, log: &[Change], steps: &[String], output: &mut dyn Write) -> Result<Vec<Change>> {
    let known: BTreeSet<&str> = log.iter().map(Change::repair).collect();
    if let Some(step) = steps.iter().find(|step| !known.contains(step.as_str())) {
        let names = known.iter().copied().collect::<Vec<_>>().join(", ");
        return Err(Error::new(ErrorCode::NotFound, format!("no repair \"{step}\" was done"))
            .fix(format!("what was done: {names}")));
    }
    let is_undone = |change: &Change| steps.iter().any(|step| step == change.repair());
    let mut sheet = Sheet::new(original);
    let mut undone = BTreeSet::new();
    for change in log {
        let foreign = || Error::new(ErrorCode::BadData, "the change log is of another file");
        if is_undone(change) {
            if let Change::Cell { row, column, .. } = change {
                undone.insert((*row, column));
            }
            continue;
        }
        match change {
            Change::Cell { repair, row, column, new, .. } => {
                if undone.contains(&(*row, column)) {
                    return Err(Error::new(
                        ErrorCode::NotAllowed,
                        format!("\"{repair}\" changed this cell after what is to be undone"),
                    )
                    .at_row(*row)
                    .at_column(column)
                    .fix(format!("undo \"{repair}\" as well, or undo all")));
                }
                let place = sheet.place(column).ok_or_else(foreign)?;
                let row = usize::try_from(*row).ok().and_then(|row| row.checked_sub(1)).ok_or_else(foreign)?;
                if row >= original.rows() {
                    return Err(foreign());
                }
                sheet.force(row, place, value(new, original.cell(row, place).kind));
            }
            Change::Row { repair, row, .. } => {
                let row = usize::try_from(*row).ok().and_then(|row| row.checked_sub(1)).ok_or_else(foreign)?;
                if row >= original.rows() {
                    return Err(foreign());
                }
                sheet.drop_row(row, repair);
            }
            Change::Column { repair, column, .. } => {
                let place = sheet.place(column).ok_or_else(foreign)?;
                sheet.drop_column(place, repair);
            }
        }
    }
    write(&sheet, output)?;
    Ok(log.iter().filter(|change| !is_undone(change)).cloned().collect())
}

/// The value that a log tells. Of a format without types, texts stay what the format has.
fn value(json: &serde_json::Value, was: CellKind) -> Value {
    let untyped = was == CellKind::Untyped;
    match json {
        serde_json::Value::Null => Value::missing(),
        serde_json::Value::String(text) => {
            Value { kind: if untyped { CellKind::Untyped } else { CellKind::Text }, text: text.clone() }
        }
        serde_json::Value::Number(number) => Value { kind: CellKind::Number, text: number.to_string() },
        serde_json::Value::Bool(value) => Value { kind: CellKind::Boolean, text: value.to_string() },
        nested => Value { kind: CellKind::Nested, text: nested.to_string() },
    }
}
