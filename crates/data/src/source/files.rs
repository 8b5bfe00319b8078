//! The files of one part of a table, read as one: the same columns in each, and the same kind of value in each column.

use super::infer;
use crate::dataset::SourceFile;
use crate::scan::{Cell, Column, Table, TableFormat};
use lepton_core::{Error, ErrorCode, Result};
use std::path::Path;

/// Several files, row after row.
pub(crate) struct Files {
    names: Vec<String>,
    tables: Vec<Placed>,
}

/// A file, and where each column of [`Files`] is in it.
pub(crate) struct Placed {
    pub(crate) table: Table,
    columns: Vec<Option<usize>>,
}

impl Placed {
    /// The cells of a column of [`Files`], chunk by chunk.
    pub(crate) fn column(&self, column: usize) -> impl Iterator<Item = (usize, Option<Column<'_>>)> {
        let place = self.columns[column];
        let rows = place.is_none().then_some((self.table.rows(), None));
        place.into_iter().flat_map(|place| self.table.column(place)).chain(rows)
    }
}

impl Files {
    /// Joins files. In JSON a key that is not there is a missing value, within a file and between files; every other
    /// format names its columns, and they must be the same.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`], naming the file that differs from the first one.
    pub(crate) fn join(tables: Vec<Table>) -> Result<Files> {
        let first = tables.first().ok_or_else(|| Error::internal("a part of a table without files"))?;
        let like = first.source().path.clone();
        let format = first.form().format();
        let mut names = first.names().to_vec();
        for table in &tables[1..] {
            let path = &table.source().path;
            if table.form().format() != format {
                let (one, other) = (format.name(), table.form().format().name());
                return Err(differs(format!("this file is {other}, the others are {one}"), path, &like));
            }
            if format != TableFormat::Json
                && let Some(name) = names.iter().find(|name| !table.names().contains(name))
            {
                return Err(differs("this file has no such column".to_owned(), path, &like).at_column(name));
            }
            for name in table.names() {
                if names.contains(name) {
                    continue;
                }
                if format != TableFormat::Json {
                    return Err(differs("this file has a column more".to_owned(), path, &like).at_column(name));
                }
                names.push(name.clone());
            }
        }
        let place = |table: Table| {
            let columns = names.iter().map(|name| table.names().iter().position(|known| known == name)).collect();
            Placed { table, columns }
        };
        let tables = tables.into_iter().map(place).collect();
        Ok(Files { names, tables })
    }

    /// Every column whose kind is not set must hold numbers in all files or in none.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`], naming the first file that differs, and the column.
    pub(crate) fn check_kinds(&self, is_set: impl Fn(&str) -> bool) -> Result<()> {
        if self.tables.len() < 2 {
            return Ok(());
        }
        for (column, name) in self.names.iter().enumerate().filter(|(_, name)| !is_set(name)) {
            let mut first: Option<(&Placed, bool)> = None;
            for placed in &self.tables {
                let Some(numbers) = infer::holds_numbers(placed.column(column)) else { continue };
                match first {
                    None => first = Some((placed, numbers)),
                    Some((like, wanted)) if wanted != numbers => {
                        let word = |numbers| if numbers { "numbers" } else { "texts" };
                        let message = format!("this file has {} where others have {}", word(numbers), word(wanted));
                        let like = &like.table.source().path;
                        return Err(differs(message, &placed.table.source().path, like).at_column(name).fix(format!(
                            "mend the file, or set the column's kind: `columns = {{ \"{name}\" = \"text\" }}`"
                        )));
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(())
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    pub(crate) fn rows(&self) -> usize {
        self.tables.iter().map(|placed| placed.table.rows()).sum()
    }

    pub(crate) fn each(&self) -> &[Placed] {
        &self.tables
    }

    /// The files that were read.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &SourceFile> {
        self.tables.iter().map(|placed| placed.table.source())
    }

    /// The first file, which errors about all of them name.
    pub(crate) fn first_path(&self) -> Option<&Path> {
        self.sources().next().map(|source| source.path.as_path())
    }

    pub(crate) fn has_missing(&self, column: usize) -> bool {
        self.column(column).any(|(_, cells)| cells.is_none_or(|cells| cells.has_missing()))
    }

    /// The cells of a column in order, chunk by chunk.
    pub(crate) fn column(&self, column: usize) -> impl Iterator<Item = (usize, Option<Column<'_>>)> {
        self.tables.iter().flat_map(move |placed| placed.column(column))
    }

    /// All cells of a column.
    pub(crate) fn cells(&self, column: usize) -> impl Iterator<Item = Cell<'_>> {
        self.column(column)
            .flat_map(|(rows, cells)| (0..rows).map(move |row| cells.map_or(Cell::MISSING, |column| column.cell(row))))
    }
}

fn differs(message: String, path: &Path, like: &Path) -> Error {
    Error::new(ErrorCode::BadData, message)
        .in_file(path)
        .fix(format!("the files of one part must have the same columns; the first one is {}", like.display()))
}
