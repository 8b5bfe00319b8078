//! Rows of a table file as columns of numbers, categories and texts: all of them or some, chosen by a hash of the
//! row's number, so that one pass finds the same rows with any number of threads.

use super::tables::TableColumn;
use super::{LabelOptions, MOST_CLASSES};
use crate::profile::{ColumnProfile, Profile, SemanticType};
use lepton_core::{Error, ErrorCode, Progress, Result};
use lepton_data::scan::{Chunk, Position, Scan, ScanOptions, Work, parse_number};
use lepton_recipe::written::day_parts;
use std::collections::HashMap;
use std::path::Path;
use twox_hash::XxHash3_64;

/// Rows that are looked at, of a table without free texts and of one with.
const MOST_ROWS: u64 = 50_000;
const MOST_TEXTS: u64 = 20_000;

/// Cells that are looked at.
const MOST_CELLS: u64 = 4_000_000;

/// Bytes of a cell that are looked at.
const LONGEST: usize = 8_000;

/// Some rows of a table.
pub(super) struct Sample {
    /// Their numbers, from 0.
    pub(super) rows: Vec<u64>,
    /// The label of each, as a place in `names`.
    pub(super) labels: Vec<u32>,
    /// The classes as the file has them.
    pub(super) names: Vec<String>,
    /// The columns that say something.
    pub(super) columns: Vec<TableColumn>,
    /// All free texts of each row; empty where no column has any.
    pub(super) texts: Vec<String>,
    /// Whether these are not all rows.
    pub(super) is_part: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Use {
    Label,
    Number,
    Category,
    Date,
    Text,
}

/// Whether a column's values are classes.
pub(super) fn is_class(column: &ColumnProfile) -> bool {
    let few = column.values_are_exact && (2..=MOST_CLASSES as u64).contains(&column.distinct);
    few && match column.semantic() {
        SemanticType::Category | SemanticType::Boolean => true,
        SemanticType::Integer => column.distinct <= 20 && column.distinct * 10 <= column.numbers.count,
        _ => false,
    }
}

/// What a column says about a row; `None` for what names the row, and for what has no common meaning.
fn what_for(column: &ColumnProfile) -> Option<Use> {
    match column.semantic() {
        SemanticType::Number | SemanticType::Integer | SemanticType::Mixed => Some(Use::Number),
        SemanticType::Category | SemanticType::Boolean => Some(Use::Category),
        SemanticType::Date => Some(Use::Date),
        SemanticType::Text => Some(Use::Text),
        SemanticType::Measure if column.distinct <= 1_000 => Some(Use::Category),
        _ => None,
    }
}

impl Sample {
    /// Reads a file that was profiled.
    pub(super) fn read(
        path: &Path,
        scan: &ScanOptions,
        profile: &Profile,
        target: &str,
        progress: &dyn Progress,
        options: &LabelOptions<'_>,
    ) -> Result<Sample> {
        let uses: Vec<(String, Use)> = profile
            .columns
            .iter()
            .filter_map(|column| {
                let use_of = if column.name == target { Some(Use::Label) } else { what_for(column) };
                Some((column.name.clone(), use_of?))
            })
            .collect();
        let has_texts = uses.iter().any(|(_, what)| *what == Use::Text);
        let most = if has_texts { MOST_TEXTS } else { MOST_ROWS }.min(MOST_CELLS / uses.len().max(1) as u64);
        let is_part = profile.rows > most;
        let threshold = (most as f64 / profile.rows.max(1) as f64 * u64::MAX as f64) as u64;
        let seed = options.seed.0;
        let is_drawn = |row: u64| !is_part || XxHash3_64::oneshot_with_seed(seed, &row.to_le_bytes()) < threshold;
        let mut rows = Vec::new();
        let mut cells: Vec<Vec<Option<String>>> = vec![Vec::new(); uses.len()];
        let how = Work { threads: options.threads, progress, cancel: options.cancel };
        let source = Scan::open(path, scan)?.fold(&how, Ok, |position: Position, chunk: Chunk| {
            let places: Vec<Option<usize>> =
                uses.iter().map(|(name, _)| chunk.names().iter().position(|of| of == name)).collect();
            let cell = |row: usize, place: Option<usize>| -> Option<String> {
                let cell = chunk.column(place?).cell(row);
                let mut text = cell.present()?.to_owned();
                text.truncate(text.floor_char_boundary(LONGEST));
                Some(text)
            };
            let label = uses.iter().position(|(_, what)| *what == Use::Label);
            for row in (0..chunk.rows()).filter(|row| is_drawn(position.row + *row as u64)) {
                // A row without a label has none that could be wrong.
                if label.is_none_or(|label| cell(row, places[label]).is_none()) {
                    continue;
                }
                rows.push(position.row + row as u64);
                cells.iter_mut().zip(&places).for_each(|(cells, place)| cells.push(cell(row, *place)));
            }
            Ok(())
        })?;
        if source.sha256 != profile.source.sha256 {
            return Err(Error::new(ErrorCode::Integrity, "the file was changed while it was read").in_file(path));
        }
        let mut sample =
            Sample { texts: Vec::new(), labels: Vec::new(), names: Vec::new(), columns: Vec::new(), rows, is_part };
        if has_texts {
            sample.texts = vec![String::new(); sample.rows.len()];
        }
        for ((_, what), cells) in uses.iter().zip(cells) {
            let number = |cell: Option<String>| parse_number(cell?.trim().as_bytes());
            match what {
                Use::Label => {
                    let (numbers, names) = numbered(cells);
                    sample.labels = numbers.into_iter().flatten().collect();
                    sample.names = names;
                }
                Use::Number => sample.columns.push(TableColumn::Numbers(cells.into_iter().map(number).collect())),
                Use::Date => {
                    let days = cells.into_iter().map(|cell| day(&cell?)).collect();
                    sample.columns.push(TableColumn::Numbers(days));
                }
                Use::Category => sample.columns.push(TableColumn::Categories(numbered(cells).0)),
                Use::Text => {
                    for (all, text) in sample.texts.iter_mut().zip(cells) {
                        all.push_str(text.as_deref().unwrap_or_default());
                        all.push('\n');
                    }
                }
            }
        }
        Ok(sample)
    }
}

/// About the days since year 0.
fn day(text: &str) -> Option<f64> {
    let parts = day_parts(text.trim())?;
    Some(f64::from(parts.year) * 365.25 + f64::from(parts.month) * 30.44 + f64::from(parts.day))
}

/// Values by number, the most frequent having the lowest, and the values in that order.
fn numbered(cells: Vec<Option<String>>) -> (Vec<Option<u32>>, Vec<String>) {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for cell in cells.iter().flatten() {
        *counts.entry(cell).or_default() += 1;
    }
    let mut order: Vec<(&str, u64)> = counts.into_iter().collect();
    order.sort_unstable_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
    let names: Vec<String> = order.iter().map(|(name, _)| (*name).to_owned()).collect();
    let places: HashMap<&str, u32> = names.iter().map(String::as_str).zip(0..).collect();
    (cells.iter().map(|cell| cell.as_deref().and_then(|cell| places.get(cell).copied())).collect(), names)
}
