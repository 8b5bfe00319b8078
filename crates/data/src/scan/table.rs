//! All chunks of a file, by row.

use super::chunk::{Cell, Chunk, Column};
use super::fold::{Position, Work};
use super::{Scan, TextForm};
use crate::dataset::SourceFile;
use lepton_core::{Limits, Result};
use std::collections::HashMap;

/// A whole table in memory, as its file has it.
pub struct Table {
    names: Vec<String>,
    ignored: Vec<String>,
    chunks: Vec<Part>,
    rows: usize,
    source: SourceFile,
    form: TextForm,
    ragged: Vec<u64>,
}

struct Part {
    position: Position,
    chunk: Chunk,
    /// For each column of the table, that of the chunk; `None` where the chunk has no such key.
    columns: Vec<Option<usize>>,
}

impl Table {
    /// Reads a file.
    ///
    /// # Errors
    /// Those of [`Scan::fold`].
    pub fn read(scan: Scan, how: &Work<'_>, limits: &Limits) -> Result<Table> {
        let mut names = scan.kept_names().unwrap_or_default();
        let mut places: HashMap<String, usize> = names.iter().cloned().zip(0..).collect();
        let mut chunks: Vec<Part> = Vec::new();
        let form = scan.text_form();
        let (mut rows, mut ignored, mut ragged) = (0, Vec::new(), Vec::new());
        let source = scan.fold(how, Ok, |position, chunk: Chunk| {
            for name in chunk.names() {
                if !places.contains_key(name) {
                    places.insert(name.clone(), names.len());
                    names.push(name.clone());
                }
            }
            for name in &chunk.ignored {
                if !ignored.contains(name) {
                    ignored.push(name.clone());
                }
            }
            super::check_columns(names.len(), limits)?;
            let mut columns = vec![None; names.len()];
            for (place, name) in chunk.names().iter().enumerate() {
                columns[places[name]] = Some(place);
            }
            ragged.extend(chunk.ragged().iter().map(|row| position.row + row.row as u64));
            rows += chunk.rows();
            chunks.push(Part { position, chunk, columns });
            Ok(())
        })?;
        for part in &mut chunks {
            part.columns.resize(names.len(), None);
        }
        Ok(Table { names, ignored, chunks, rows, source, form, ragged })
    }

    /// The columns' names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Keys of JSON objects that were left out; of other formats [`Scan::names`] tells.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Whether any cell of a column is missing.
    pub fn has_missing(&self, column: usize) -> bool {
        self.column(column).any(|(_, cells)| cells.is_none_or(|cells| cells.has_missing()))
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Rows, from 0, with another number of fields than the header.
    pub fn ragged(&self) -> &[u64] {
        &self.ragged
    }

    /// How its file is written.
    pub fn form(&self) -> &TextForm {
        &self.form
    }

    /// The file that was read.
    pub fn source(&self) -> &SourceFile {
        &self.source
    }

    /// The cell of a row, from 0, and a column.
    pub fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        let part = self.part(row);
        match part.columns[column] {
            Some(place) => part.chunk.column(place).cell(row - part.position.row as usize),
            None => Cell::MISSING,
        }
    }

    /// The line of a row; in a format without lines its number from 1.
    pub fn line(&self, row: usize) -> u64 {
        let part = self.part(row);
        part.position.line + part.chunk.line(row - part.position.row as usize)
    }

    /// A row as the file has it, see [`Chunk::record`].
    pub fn record(&self, row: usize) -> Option<&str> {
        let part = self.part(row);
        part.chunk.record(row - part.position.row as usize)
    }

    /// The cells of a column in order, chunk by chunk: how many rows, and the cells where the chunk has any.
    pub fn column(&self, column: usize) -> impl Iterator<Item = (usize, Option<Column<'_>>)> {
        self.chunks
            .iter()
            .map(move |part| (part.chunk.rows(), part.columns[column].map(|place| part.chunk.column(place))))
    }

    /// All cells of a column.
    pub fn cells(&self, column: usize) -> impl Iterator<Item = Cell<'_>> {
        self.column(column)
            .flat_map(|(rows, cells)| (0..rows).map(move |row| cells.map_or(Cell::MISSING, |column| column.cell(row))))
    }

    fn part(&self, row: usize) -> &Part {
        let place = self.chunks.partition_point(|part| part.position.row <= row as u64);
        &self.chunks[place - 1]
    }
}
