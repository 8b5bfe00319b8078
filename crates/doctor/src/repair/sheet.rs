//! A table with changes over it: cells that have another value, rows and columns that are gone. Each change is logged
//! with the step that made it.

use super::log::Change;
use lepton_data::scan::{Cell, CellKind, Table};
use std::borrow::Cow;
use std::collections::HashMap;

/// A cell of its own.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    pub(super) kind: CellKind,
    pub(super) text: String,
}

impl Value {
    pub(super) fn missing() -> Value {
        Value { kind: CellKind::Missing, text: String::new() }
    }

    pub(super) fn of(cell: &Cell<'_>) -> Value {
        Value { kind: cell.kind, text: cell.text.clone().into_owned() }
    }

    /// As a change log and a JSON file write it.
    pub(super) fn json(&self) -> serde_json::Value {
        match self.kind {
            CellKind::Missing => serde_json::Value::Null,
            CellKind::Untyped | CellKind::Text => self.text.clone().into(),
            // A number keeps its digits where JSON can have them, and is a text in the log where it cannot.
            CellKind::Number | CellKind::Boolean | CellKind::Nested => {
                serde_json::from_str(&self.text).unwrap_or_else(|_| self.text.clone().into())
            }
        }
    }
}

/// A table and what was changed.
pub(super) struct Sheet<'a> {
    pub(super) table: &'a Table,
    edits: HashMap<(usize, usize), Value>,
    gone_rows: Vec<bool>,
    gone_columns: Vec<bool>,
    edited_rows: Vec<bool>,
    pub(super) log: Vec<Change>,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(table: &'a Table) -> Sheet<'a> {
        Sheet {
            table,
            edits: HashMap::new(),
            gone_rows: vec![false; table.rows()],
            gone_columns: vec![false; table.names().len()],
            edited_rows: vec![false; table.rows()],
            log: Vec::new(),
        }
    }

    /// The place of a column that is still there.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.table.names().iter().position(|known| known == name).filter(|place| !self.gone_columns[*place])
    }

    /// Rows that are still there.
    pub(super) fn rows(&self) -> impl Iterator<Item = usize> + use<> {
        let gone = self.gone_rows.clone();
        (0..gone.len()).filter(move |row| !gone[*row])
    }

    pub(super) fn has_row(&self, row: usize) -> bool {
        self.gone_rows.get(row).is_some_and(|gone| !gone)
    }

    pub(super) fn has_column(&self, place: usize) -> bool {
        !self.gone_columns[place]
    }

    pub(super) fn is_edited(&self, row: usize) -> bool {
        self.edited_rows[row]
    }

    /// Whether any column is gone.
    pub(super) fn lost_columns(&self) -> bool {
        self.gone_columns.contains(&true)
    }

    pub(super) fn edit(&self, row: usize, place: usize) -> Option<&Value> {
        self.edits.get(&(row, place))
    }

    /// A cell as it is now.
    pub(super) fn cell(&self, row: usize, place: usize) -> Cell<'_> {
        match self.edits.get(&(row, place)) {
            Some(value) => Cell { kind: value.kind, text: Cow::Borrowed(&value.text) },
            None => self.table.cell(row, place),
        }
    }

    /// Changes a cell; the same value again is no change.
    pub(super) fn set(&mut self, row: usize, place: usize, value: Value, step: &str) {
        let old = Value::of(&self.cell(row, place));
        if old == value {
            return;
        }
        self.log.push(Change::Cell {
            repair: step.to_owned(),
            row: row as u64 + 1,
            column: self.table.names()[place].clone(),
            old: old.json(),
            new: value.json(),
        });
        self.force(row, place, value);
    }

    /// Changes a cell without a word in the log.
    pub(super) fn force(&mut self, row: usize, place: usize, value: Value) {
        self.edits.insert((row, place), value);
        self.edited_rows[row] = true;
    }

    pub(super) fn drop_row(&mut self, row: usize, step: &str) {
        if !self.gone_rows[row] {
            self.gone_rows[row] = true;
            self.log.push(Change::Row { repair: step.to_owned(), row: row as u64 + 1, dropped: true });
        }
    }

    pub(super) fn drop_column(&mut self, place: usize, step: &str) {
        if !self.gone_columns[place] {
            self.gone_columns[place] = true;
            let column = self.table.names()[place].clone();
            self.log.push(Change::Column { repair: step.to_owned(), column, dropped: true });
        }
    }
}
