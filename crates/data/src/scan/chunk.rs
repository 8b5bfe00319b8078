//! Rows as they were read: the text of every cell and what its format says that it is.

use arrow_array::{Array, Float64Array};
use lepton_recipe::raw::number_text;
use std::borrow::Cow;
use std::sync::Arc;

/// What a format says that a cell holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CellKind {
    /// Nothing: an empty field, `null`, an empty text, a key that is not there.
    Missing,
    /// Text of a format that has nothing else; it may mean a number.
    Untyped,
    /// Text of a format that tells text and numbers apart.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list or an object, as JSON.
    Nested,
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell<'a> {
    /// What the format says that it holds.
    pub kind: CellKind,
    /// Its text; empty for a missing one. A number is written as in the file or, where the file has no text, as
    /// the shortest text that reads back.
    pub text: Cow<'a, str>,
}

impl Cell<'_> {
    /// The cell of nothing.
    pub const MISSING: Cell<'static> = Cell { kind: CellKind::Missing, text: Cow::Borrowed("") };

    /// The text, unless the cell is missing.
    pub fn present(&self) -> Option<&str> {
        (self.kind != CellKind::Missing).then_some(self.text.as_ref())
    }
}

/// Where a cell's text lies in its chunk, and its kind in the topmost three bits of `packed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    packed: u32,
}

/// Bits of a length; no cell of a chunk is longer (`Limits::cell_bytes` is checked before).
const LENGTH_BITS: u32 = 29;

/// The longest text of one cell that a chunk can hold.
pub(crate) const LONGEST_CELL: usize = (1 << LENGTH_BITS) - 1;

impl Span {
    pub(crate) const MISSING: Span = Span { start: 0, packed: 0 };

    /// `start` and `length` must fit; the readers cut chunks and check cells so that they do.
    #[inline]
    pub(crate) fn new(kind: CellKind, start: usize, length: usize) -> Span {
        debug_assert!(length <= LONGEST_CELL && u32::try_from(start).is_ok());
        Span { start: start as u32, packed: ((kind as u32) << LENGTH_BITS) | length as u32 }
    }

    #[inline]
    pub(crate) fn kind(self) -> CellKind {
        match self.packed >> LENGTH_BITS {
            0 => CellKind::Missing,
            1 => CellKind::Untyped,
            2 => CellKind::Text,
            3 => CellKind::Number,
            4 => CellKind::Boolean,
            _ => CellKind::Nested,
        }
    }

    #[inline]
    pub(crate) fn range(self) -> std::ops::Range<usize> {
        let start = self.start as usize;
        start..start + (self.packed & ((1 << LENGTH_BITS) - 1)) as usize
    }
}

/// The cells of one column of a chunk.
#[derive(Clone, Debug)]
pub(crate) enum Cells {
    /// Texts within the chunk's text.
    Spans(Vec<Span>),
    /// Numbers of a binary format.
    Numbers(Float64Array),
}

impl Cells {
    fn bytes(&self) -> usize {
        match self {
            Cells::Spans(spans) => spans.capacity() * size_of::<Span>(),
            Cells::Numbers(numbers) => numbers.get_array_memory_size(),
        }
    }
}

/// A row with more or fewer fields than the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaggedRow {
    /// The row, counted in its chunk.
    pub row: usize,
    /// How many fields it has.
    pub fields: usize,
}

/// The line of each row, counted from the chunk's first line (0).
#[derive(Clone, Debug)]
pub(crate) enum Lines {
    /// One row on each; of a format without lines, the rows themselves.
    Each,
    /// These.
    Listed(Vec<u32>),
}

/// Some rows of a table, column by column.
#[derive(Clone, Debug)]
pub struct Chunk {
    pub(crate) names: Arc<[String]>,
    pub(crate) text: String,
    pub(crate) columns: Vec<Cells>,
    pub(crate) rows: usize,
    pub(crate) lines: Lines,
    /// How many lines the chunk has in all.
    pub(crate) line_count: u64,
    pub(crate) ragged: Vec<RaggedRow>,
    /// Keys that were there and are ignored.
    pub(crate) ignored: Vec<String>,
    /// Where each row's record ends in the text, its terminator included; empty where the format has no text.
    pub(crate) ends: Vec<u32>,
}

impl Chunk {
    /// The columns' names, in the order of the file.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// About how many bytes of memory it takes.
    pub fn bytes(&self) -> usize {
        let cells: usize = self.columns.iter().map(Cells::bytes).sum();
        self.text.capacity() + cells + self.ends.len() * size_of::<u32>()
    }

    /// Rows that do not have as many fields as the header. What they lack is missing, what they have more is
    /// not kept.
    pub fn ragged(&self) -> &[RaggedRow] {
        &self.ragged
    }

    /// The line of a row of the chunk, counted from the chunk's first line (0); in a format without lines, the row.
    pub fn line(&self, row: usize) -> u64 {
        match &self.lines {
            Lines::Each => row as u64,
            Lines::Listed(lines) => u64::from(lines[row]),
        }
    }

    /// A row as the file has it: of a CSV with the end of its line and blank lines before it, of JSON with what
    /// stands before the object. `None` where the format has no text.
    pub fn record(&self, row: usize) -> Option<&str> {
        let end = *self.ends.get(row)? as usize;
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        Some(&self.text[start..end])
    }

    /// The cells of a column, by its place in [`Chunk::names`].
    pub fn column(&self, column: usize) -> Column<'_> {
        Column { text: &self.text, cells: &self.columns[column] }
    }
}

/// One column of a chunk.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    text: &'a str,
    cells: &'a Cells,
}

impl<'a> Column<'a> {
    /// The cell of a row of the chunk.
    pub fn cell(&self, row: usize) -> Cell<'a> {
        match self.cells {
            Cells::Spans(spans) => {
                let span = spans[row];
                Cell { kind: span.kind(), text: Cow::Borrowed(&self.text[span.range()]) }
            }
            Cells::Numbers(numbers) if numbers.is_valid(row) => {
                Cell { kind: CellKind::Number, text: Cow::Owned(number_text(numbers.value(row))) }
            }
            Cells::Numbers(_) => Cell::MISSING,
        }
    }

    /// The numbers of a column of a binary format, which need no parsing.
    pub fn numbers(&self) -> Option<&'a Float64Array> {
        match self.cells {
            Cells::Numbers(numbers) => Some(numbers),
            Cells::Spans(_) => None,
        }
    }

    /// Whether any cell is missing.
    pub fn has_missing(&self) -> bool {
        match self.cells {
            Cells::Spans(spans) => spans.iter().any(|span| span.kind() == CellKind::Missing),
            Cells::Numbers(numbers) => numbers.null_count() > 0,
        }
    }

    /// Every cell as kind and bytes, for work that must be fast; `None` where [`Column::numbers`] has them.
    pub fn texts(&self) -> Option<impl Iterator<Item = (CellKind, &'a [u8])> + use<'a>> {
        match self.cells {
            Cells::Spans(spans) => {
                let bytes = self.text.as_bytes();
                Some(spans.iter().map(move |span| (span.kind(), &bytes[span.range()])))
            }
            Cells::Numbers(_) => None,
        }
    }
}
