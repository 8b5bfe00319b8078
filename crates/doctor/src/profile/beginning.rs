//! The first rows of a table, as many as the memory allows, for what compares rows with rows: whole chunks as the
//! pass has read them, so that nothing is copied or read twice.

use lepton_data::scan::{Cell, Chunk};

/// The beginning of a table; all of it where it is small enough.
#[derive(Clone, Debug, Default)]
pub struct Beginning {
    parts: Vec<Part>,
    rows: usize,
    bytes: usize,
    is_cut: bool,
}

#[derive(Clone, Debug)]
struct Part {
    first: usize,
    chunk: Chunk,
    /// For each column of the table so far, that of the chunk.
    columns: Vec<Option<usize>>,
}

impl Beginning {
    /// Rows that are there.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether these are all rows of the table.
    pub fn is_whole(&self) -> bool {
        !self.is_cut
    }

    /// A cell, by row and column from 0.
    pub fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        let place = self.parts.partition_point(|part| part.first <= row);
        let part = &self.parts[place - 1];
        part.cell(row - part.first, column)
    }

    /// The cells of a column, in order.
    pub fn cells(&self, column: usize) -> impl Iterator<Item = Cell<'_>> {
        self.parts.iter().flat_map(move |part| (0..part.chunk.rows()).map(move |row| part.cell(row, column)))
    }

    /// Keeps the next chunk, where all before it were kept and it does not take more than `most` bytes with them.
    pub(super) fn add(&mut self, chunk: Chunk, columns: Vec<Option<usize>>, most: usize) {
        let bytes = chunk.bytes();
        if self.is_cut || self.bytes + bytes > most {
            self.is_cut = true;
            return;
        }
        self.bytes += bytes;
        let (first, rows) = (self.rows, chunk.rows());
        if rows > 0 {
            self.parts.push(Part { first, chunk, columns });
        }
        self.rows += rows;
    }
}

impl Part {
    fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        // Columns that came later are missing here.
        match self.columns.get(column).copied().flatten() {
            Some(place) => self.chunk.column(place).cell(row),
            None => Cell::MISSING,
        }
    }
}
