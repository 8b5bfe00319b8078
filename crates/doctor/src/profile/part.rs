//! One chunk: every cell looked at once. Values that repeat are looked at closely the first time only.

use super::column::{Characters, Room};
use super::meaning::{Meanings, meanings};
use super::rows::PartRows;
use super::shape::Shapes;
use super::values::{PartValue, PartValues, Seen};
use arrow_array::{Array, Float64Array};
use lepton_data::scan::{CellKind, Chunk, Column};
use lepton_recipe::written::parse_number;
use lepton_sketch::DistinctSketch;
use twox_hash::{XxHash3_64, XxHash64};

/// What a chunk has, column by column, and a hash of each row.
pub(super) struct Part {
    pub(super) chunk: Chunk,
    pub(super) columns: Vec<ColumnPart>,
    pub(super) hashes: Vec<[u64; 2]>,
}

/// What a column of a chunk has. Rows count in the chunk.
pub(super) struct ColumnPart {
    pub(super) missing: PartRows,
    pub(super) texts: PartRows,
    pub(super) number_texts: PartRows,
    pub(super) booleans: PartRows,
    pub(super) nested: PartRows,
    pub(super) numbers: Vec<f64>,
    /// The rows of the numbers, where not every row has one.
    pub(super) number_rows: Option<Vec<u32>>,
    pub(super) whole_numbers: u64,
    pub(super) distinct: DistinctSketch,
    pub(super) values: Vec<PartValue>,
    pub(super) missed_values: u64,
    pub(super) shapes: Shapes,
    pub(super) meanings: Meanings,
    pub(super) characters: Option<Characters>,
}

impl Part {
    pub(super) fn of(chunk: Chunk, memory: usize) -> Part {
        let room = Room::of(chunk.names().len(), memory);
        let mut hashes = vec![[0; 2]; chunk.rows()];
        let columns = chunk.names().iter().enumerate().map(|(place, name)| {
            let column = chunk.column(place);
            let seed = XxHash64::oneshot(0, name.as_bytes());
            match column.numbers() {
                Some(numbers) => of_numbers(numbers, seed, &mut hashes, room),
                None => of_texts(column, chunk.rows(), seed, &mut hashes, room),
            }
        });
        let columns = columns.collect();
        Part { chunk, columns, hashes }
    }
}

impl ColumnPart {
    fn new() -> ColumnPart {
        ColumnPart {
            missing: PartRows::default(),
            texts: PartRows::default(),
            number_texts: PartRows::default(),
            booleans: PartRows::default(),
            nested: PartRows::default(),
            numbers: Vec::new(),
            number_rows: None,
            whole_numbers: 0,
            distinct: DistinctSketch::default(),
            values: Vec::new(),
            missed_values: 0,
            shapes: Shapes::default(),
            meanings: Meanings::default(),
            characters: None,
        }
    }

    fn count_whole(&mut self) {
        self.whole_numbers = self.numbers.iter().filter(|value| value.fract() == 0.0).count() as u64;
    }
}

/// Adds a cell to the hash of its row. The order of columns does not matter, as JSON objects may have theirs in any;
/// a missing cell adds nothing, as a key that is not there does.
#[inline]
fn mix(row: &mut [u64; 2], hash: u64, seed: u64) {
    let one = (hash ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let two = (hash.rotate_left(32) ^ seed).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    row[0] = row[0].wrapping_add((one ^ (one >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9));
    row[1] = row[1].wrapping_add((two ^ (two >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB));
}

fn of_numbers(numbers: &Float64Array, seed: u64, hashes: &mut [[u64; 2]], room: Room) -> ColumnPart {
    let mut part = ColumnPart::new();
    let mut values = PartValues::new(numbers.len(), room.values);
    let mut rows = Vec::new();
    for (row, hash) in hashes.iter_mut().enumerate() {
        if !numbers.is_valid(row) || !numbers.value(row).is_finite() {
            part.missing.push(row as u32);
            continue;
        }
        // Zero has two signs and one value.
        let value = numbers.value(row) + 0.0;
        let bits = XxHash3_64::oneshot(&value.to_bits().to_le_bytes());
        mix(hash, bits, seed);
        if !matches!(values.add(bits, row as u32), Seen::Again) {
            part.distinct.add(bits);
        }
        part.numbers.push(value);
        rows.push(row as u32);
    }
    part.number_rows = (rows.len() < hashes.len()).then_some(rows);
    part.count_whole();
    (part.values, part.missed_values) = values.into_counts();
    part
}

fn of_texts(column: Column<'_>, rows: usize, seed: u64, hashes: &mut [[u64; 2]], room: Room) -> ColumnPart {
    let mut part = ColumnPart::new();
    let mut values = PartValues::new(rows, room.values);
    let mut number_rows = Vec::new();
    let cells = column.texts().into_iter().flatten();
    for ((row, (kind, text)), row_hash) in (0u32..).zip(cells).zip(hashes) {
        if kind == CellKind::Missing {
            part.missing.push(row);
            continue;
        }
        let hash = XxHash3_64::oneshot(text);
        mix(row_hash, hash, seed);
        let seen = values.add(hash, row);
        if !matches!(seen, Seen::Again) {
            part.distinct.add(hash);
        }
        match kind {
            CellKind::Untyped | CellKind::Number => match parse_number(text) {
                Some(value) => {
                    part.numbers.push(value);
                    number_rows.push(row);
                    continue;
                }
                None => part.texts.push(row),
            },
            CellKind::Text => {
                part.texts.push(row);
                if parse_number(text).is_some() {
                    part.number_texts.push(row);
                }
            }
            CellKind::Boolean => part.booleans.push(row),
            CellKind::Nested => part.nested.push(row),
            CellKind::Missing => {}
        }
        let characters = Characters::of(text.iter().filter(|byte| **byte & 0xC0 != 0x80).count() as u64);
        part.characters = Some(part.characters.map_or(characters, |so_far| so_far.and(characters)));
        if let (Seen::Unknown, CellKind::Untyped | CellKind::Text) = (seen, kind) {
            part.look(text, hash, 1, row);
        }
    }
    part.number_rows = (number_rows.len() < rows).then_some(number_rows);
    part.count_whole();
    (part.values, part.missed_values) = values.into_counts();
    if part.texts.count > 0 {
        for value in std::mem::take(&mut part.values) {
            let cell = column.cell(value.row as usize);
            let is_text = match cell.kind {
                CellKind::Text => true,
                CellKind::Untyped => parse_number(cell.text.as_bytes()).is_none(),
                _ => false,
            };
            if is_text {
                part.look(cell.text.as_bytes(), value.hash, u64::from(value.count), value.row);
            }
            part.values.push(value);
        }
    }
    part
}

impl ColumnPart {
    /// Looks closely at a text that is there `count` times, first in `row`.
    fn look(&mut self, text: &[u8], hash: u64, count: u64, row: u32) {
        let Ok(text) = std::str::from_utf8(text) else { return };
        self.shapes.add(text, count, u64::from(row));
        for meaning in meanings(text) {
            self.meanings.add(meaning, text, hash, count, u64::from(row));
        }
    }
}
