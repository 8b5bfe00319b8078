//! One column: what all its cells have in sum.

use super::extremes::{self, Extremes};
use super::meaning::Meanings;
use super::part::ColumnPart;
use super::shape::Shapes;
use super::values::{self, Values};
use super::{MeaningCount, RowList, ShapeCount, ValueCount};
use lepton_data::scan;
use lepton_sketch::{DistinctSketch, NumberSketch};

/// What a pass found of one column. Rows count from 0.
#[derive(Clone, Debug)]
pub struct ColumnProfile {
    /// Its name.
    pub name: String,
    /// Cells without anything in them.
    pub missing: RowList,
    /// Cells that are numbers: of a format that says so, or texts of one that does not and that read as one.
    pub numbers: RowList,
    /// Texts that are no number; of a format that tells them apart, all texts.
    pub texts: RowList,
    /// Texts of a format that tells them apart, which read as a number.
    pub number_texts: RowList,
    /// `true` and `false` of a format that has them.
    pub booleans: RowList,
    /// Lists and objects.
    pub nested: RowList,
    /// The distribution of the numbers.
    pub distribution: NumberSketch,
    /// How many numbers are whole.
    pub whole_numbers: u64,
    /// The smallest and largest numbers.
    pub extremes: Extremes,
    /// How many different values, missing cells not counted.
    pub distinct: u64,
    /// Whether that is exact; else its standard error is 0.8 %.
    pub distinct_is_exact: bool,
    /// The most frequent values.
    pub values: Vec<ValueCount>,
    /// Whether these are all, with their true counts.
    pub values_are_exact: bool,
    /// The shapes of the texts, the most frequent first.
    pub shapes: Vec<ShapeCount>,
    /// What the texts mean, the most frequent first.
    pub meanings: Vec<MeaningCount>,
    /// Characters of the texts: shortest, longest and all together; `None` without texts.
    pub characters: Option<Characters>,
}

/// Lengths of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Characters {
    /// The shortest.
    pub least: u64,
    /// The longest.
    pub most: u64,
    /// All together.
    pub sum: u64,
}

impl Characters {
    pub(super) fn of(characters: u64) -> Characters {
        Characters { least: characters, most: characters, sum: characters }
    }

    pub(super) fn and(self, other: Characters) -> Characters {
        Characters { least: self.least.min(other.least), most: self.most.max(other.most), sum: self.sum + other.sum }
    }
}

/// How much is kept of a column, so that many columns stay within the memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) values: usize,
    pub(super) extremes: usize,
}

impl Room {
    /// Of `columns` columns that share `memory` bytes.
    pub(super) fn of(columns: usize, memory: usize) -> Room {
        let each = memory / columns.max(1);
        // About a hundred bytes for a value that is held, twice over before a trim; sixteen for an extreme.
        Room { values: (each / 512).clamp(32, values::MOST), extremes: (each / 128).clamp(32, extremes::MOST) }
    }
}

/// A column while chunks are joined.
pub(super) struct Column {
    name: String,
    missing: RowList,
    numbers: RowList,
    texts: RowList,
    number_texts: RowList,
    booleans: RowList,
    nested: RowList,
    distribution: NumberSketch,
    whole_numbers: u64,
    extremes: Extremes,
    distinct: DistinctSketch,
    values: Values,
    shapes: Shapes,
    meanings: Meanings,
    characters: Option<Characters>,
}

impl Column {
    /// A column that is missing in all `rows` so far.
    pub(super) fn new(name: String, rows: u64) -> Column {
        let mut missing = RowList::default();
        missing.run(0, rows);
        Column {
            name,
            missing,
            numbers: RowList::default(),
            texts: RowList::default(),
            number_texts: RowList::default(),
            booleans: RowList::default(),
            nested: RowList::default(),
            distribution: NumberSketch::default(),
            whole_numbers: 0,
            extremes: Extremes::default(),
            distinct: DistinctSketch::default(),
            values: Values::default(),
            shapes: Shapes::default(),
            meanings: Meanings::default(),
            characters: None,
        }
    }

    /// Adds a chunk that begins at row `first` and has this column.
    pub(super) fn add(&mut self, first: u64, part: ColumnPart, cells: scan::Column<'_>, room: Room) {
        self.missing.extend(first, &part.missing);
        self.texts.extend(first, &part.texts);
        self.number_texts.extend(first, &part.number_texts);
        self.booleans.extend(first, &part.booleans);
        self.nested.extend(first, &part.nested);
        match &part.number_rows {
            Some(rows) => {
                let kept = self.numbers.rows.len();
                let free = super::rows::MOST_ROWS - kept;
                self.numbers.rows.extend(rows.iter().take(free).map(|row| first + u64::from(*row)));
                self.numbers.count += rows.len() as u64;
            }
            None => self.numbers.run(first, part.numbers.len() as u64),
        }
        self.distribution.extend(&part.numbers);
        self.whole_numbers += part.whole_numbers;
        self.extremes.add(first, &part.numbers, part.number_rows.as_deref(), room.extremes);
        self.distinct.merge(&part.distinct);
        self.values.add(first, &part.values, part.missed_values, cells, room.values);
        self.shapes.merge(first, part.shapes);
        self.meanings.merge(first, part.meanings);
        self.characters = match (self.characters, part.characters) {
            (Some(mine), Some(theirs)) => Some(mine.and(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
    }

    /// Adds a chunk that does not have this column.
    pub(super) fn add_missing(&mut self, first: u64, rows: usize) {
        self.missing.run(first, rows as u64);
    }

    pub(super) fn finish(self, room: Room) -> ColumnProfile {
        let (distinct, distinct_is_exact) = self.distinct.estimate();
        let (values, values_are_exact) = self.values.finish(room.values);
        let (shapes, _) = self.shapes.finish();
        let (distinct, distinct_is_exact) =
            if values_are_exact { (values.len() as u64, true) } else { (distinct, distinct_is_exact) };
        ColumnProfile {
            name: self.name,
            missing: self.missing,
            numbers: self.numbers,
            texts: self.texts,
            number_texts: self.number_texts,
            booleans: self.booleans,
            nested: self.nested,
            distribution: self.distribution,
            whole_numbers: self.whole_numbers,
            extremes: self.extremes,
            distinct,
            distinct_is_exact,
            values,
            values_are_exact,
            shapes,
            meanings: self.meanings.finish(),
            characters: self.characters,
        }
    }
}
