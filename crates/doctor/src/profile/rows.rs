//! Rows by number: how many, and which ones first.

use serde::Serialize;

/// Row numbers that are kept; more are counted only.
pub(crate) const MOST_ROWS: usize = 10_000;

/// How many rows, and the numbers of the first 10,000, from 0 and ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RowList {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub rows: Vec<u64>,
}

impl RowList {
    /// Adds the next row; whether its number is kept.
    pub(crate) fn push(&mut self, row: u64) -> bool {
        self.count += 1;
        let keep = self.rows.len() < MOST_ROWS;
        if keep {
            self.rows.push(row);
        }
        keep
    }

    /// Adds the next rows of a chunk that begins at `first`.
    pub(super) fn extend(&mut self, first: u64, part: &PartRows) {
        self.count += u64::from(part.count);
        let room = MOST_ROWS - self.rows.len();
        self.rows.extend(part.rows.iter().take(room).map(|row| first + u64::from(*row)));
    }

    /// Adds a run of rows.
    pub(crate) fn run(&mut self, first: u64, rows: u64) {
        self.count += rows;
        let room = (MOST_ROWS - self.rows.len()) as u64;
        self.rows.extend(first..first + rows.min(room));
    }

    /// Whether every row's number is kept.
    pub fn is_whole(&self) -> bool {
        self.count == self.rows.len() as u64
    }
}

/// The same within a chunk.
#[derive(Clone, Debug, Default)]
pub(super) struct PartRows {
    pub(super) count: u32,
    pub(super) rows: Vec<u32>,
}

impl PartRows {
    #[inline]
    pub(super) fn push(&mut self, row: u32) {
        self.count += 1;
        if self.rows.len() < MOST_ROWS {
            self.rows.push(row);
        }
    }
}
