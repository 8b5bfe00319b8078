//! A seeded sample of whole rows, of bounded size, that the pass takes on its way: every row has the same chance
//! (Li, "Reservoir-sampling algorithms of time complexity O(n(1 + log(N/n)))", 1994, with keys that are kept so that
//! the sample can shrink where rows are long).

use lepton_core::Seed;
use lepton_data::scan::{Cell, CellKind};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Rows that are kept.
pub(super) const MOST: usize = 10_000;

/// Bytes of a cell that are kept.
const LONGEST: usize = 256;

/// A row of the sample.
#[derive(Clone, Debug, Default)]
struct SampleRow {
    text: String,
    /// Where each cell ends in the text, and its kind.
    cells: Vec<(u32, CellKind)>,
}

/// Rows that were drawn from a table, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    rows: Vec<(u64, SampleRow)>,
    of: u64,
}

impl Sample {
    /// How many rows were drawn.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Whether these are all rows of the table.
    pub fn is_whole(&self) -> bool {
        self.rows.len() as u64 == self.of
    }

    /// The number of a drawn row in its table, from 0.
    pub fn row(&self, place: usize) -> u64 {
        self.rows[place].0
    }

    /// A cell of a drawn row, the first 256 bytes of it.
    pub fn cell(&self, place: usize, column: usize) -> Cell<'_> {
        let row = &self.rows[place].1;
        // Columns that came later were missing in this row.
        let Some(&(end, kind)) = row.cells.get(column) else { return Cell::MISSING };
        let start = if column == 0 { 0 } else { row.cells[column - 1].0 };
        Cell { kind, text: Cow::Borrowed(&row.text[start as usize..end as usize]) }
    }
}

/// The sample while rows go by.
pub(super) struct Reservoir {
    rng: ChaCha8Rng,
    /// The next row that is taken.
    next: u64,
    /// Keys below this one are in.
    bar: f64,
    /// By key, as bits of a positive float, which are ordered as it is; then by row.
    held: BTreeMap<(u64, u64), SampleRow>,
    bytes: usize,
    most_bytes: usize,
}

impl Reservoir {
    pub(super) fn new(most_bytes: usize) -> Reservoir {
        let rng = Seed::default().rng("doctor.sample", &[]);
        Reservoir { rng, next: 0, bar: 1.0, held: BTreeMap::new(), bytes: 0, most_bytes }
    }

    /// The next row that is taken, where it is before `end`.
    pub(super) fn next_before(&self, end: u64) -> Option<u64> {
        (self.next < end).then_some(self.next)
    }

    /// Takes the row that [`Reservoir::next_before`] told.
    pub(super) fn take<'a>(&mut self, cells: impl Iterator<Item = Cell<'a>>) {
        let mut row = SampleRow::default();
        for cell in cells {
            row.text.push_str(&cell.text[..cell.text.floor_char_boundary(LONGEST)]);
            row.cells.push((row.text.len() as u32, cell.kind));
        }
        row.text.shrink_to_fit();
        let key = self.bar * self.unit();
        self.bytes += size(&row);
        self.held.insert((key.to_bits(), self.next), row);
        while self.held.len() > MOST || (self.bytes > self.most_bytes && self.held.len() > 1) {
            let Some(((key, _), row)) = self.held.pop_last() else { break };
            self.bytes -= size(&row);
            self.bar = f64::from_bits(key);
        }
        // How many rows have a key above the bar until one has none: geometric.
        let skipped = if self.bar < 1.0 { (self.unit().ln() / (-self.bar).ln_1p()).floor() } else { 0.0 };
        self.next = self.next.saturating_add(1).saturating_add(skipped as u64);
    }

    /// Above 0 and up to 1.
    fn unit(&mut self) -> f64 {
        ((self.rng.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn finish(self, rows: u64) -> Sample {
        let mut drawn: Vec<(u64, SampleRow)> = self.held.into_iter().map(|((_, row), cells)| (row, cells)).collect();
        drawn.sort_unstable_by_key(|(row, _)| *row);
        Sample { rows: drawn, of: rows }
    }
}

fn size(row: &SampleRow) -> usize {
    row.text.len() + row.cells.len() * size_of::<(u32, CellKind)>() + 128
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(rows: u64, most_bytes: usize, cell: &str) -> Sample {
        let mut reservoir = Reservoir::new(most_bytes);
        while reservoir.next_before(rows).is_some() {
            let cell = Cell { kind: CellKind::Untyped, text: Cow::Borrowed(cell) };
            reservoir.take(std::iter::once(cell));
        }
        reservoir.finish(rows)
    }

    #[test]
    fn a_small_table_is_there_whole_and_a_large_one_evenly() {
        let small = drawn(500, 16 << 20, "x");
        assert!(small.is_whole() && (0..500).all(|place| small.row(place) == place as u64));
        assert_eq!((small.cell(3, 0).text.as_ref(), small.cell(3, 1)), ("x", Cell::MISSING));
        let large = drawn(1_000_000, 16 << 20, "x");
        assert_eq!((large.rows(), large.is_whole()), (MOST, false));
        // Ten tenths of the table, a thousand each: five standard deviations are 150.
        for tenth in 0..10 {
            let inside = (0..MOST).filter(|place| large.row(*place) / 100_000 == tenth).count();
            assert!((850..1_150).contains(&inside), "{tenth}: {inside}");
        }
    }

    #[test]
    fn long_rows_are_fewer_and_long_cells_are_cut() {
        let sample = drawn(100_000, 1 << 20, &"é".repeat(10_000));
        assert!((1_000..4_000).contains(&sample.rows()), "{}", sample.rows());
        assert_eq!(sample.cell(0, 0).text.len(), LONGEST);
        let halves = (0..sample.rows()).filter(|place| sample.row(*place) < 50_000).count();
        assert!((0.4..0.6).contains(&(halves as f64 / sample.rows() as f64)), "{halves} of {}", sample.rows());
    }
}
