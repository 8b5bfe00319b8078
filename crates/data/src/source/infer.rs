//! What kind of column the values look like.

use crate::scan::{CellKind, Table, parse_number};
use arrow_array::Array;
use lepton_core::ColumnKind;
use std::collections::HashSet;

/// Texts are a category while they have at most this many distinct values ...
const FEW: usize = 20;

/// ... or at most one distinct value per this many rows ...
const ROWS_PER_VALUE: usize = 20;

/// ... but never more than this many.
const MOST: usize = 1_000;

/// A number where every value that is there reads as one. Else a category where there are few distinct values:
/// up to 20 (and up to half the rows), or up to one per 20 rows and 1,000. Else text. A column without values is a
/// category, which has nothing to say and is reported.
pub(super) fn kind(table: &Table, column: usize) -> ColumnKind {
    let (mut present, mut numbers, mut may_be_numbers) = (0, 0, true);
    for (rows, cells) in table.column(column) {
        let Some(cells) = cells else { continue };
        match cells.numbers() {
            Some(values) => {
                present += rows - values.null_count();
                numbers += rows - values.null_count();
            }
            None => {
                for (kind, text) in cells.texts().into_iter().flatten() {
                    let is_number = match kind {
                        CellKind::Missing => continue,
                        CellKind::Number => true,
                        CellKind::Untyped => may_be_numbers && is_number(text),
                        CellKind::Text | CellKind::Boolean | CellKind::Nested => false,
                    };
                    present += 1;
                    numbers += usize::from(is_number);
                    may_be_numbers &= is_number;
                }
            }
        }
    }
    if present == 0 {
        return ColumnKind::Category;
    }
    if numbers == present {
        return ColumnKind::Number;
    }
    let most = FEW.min((present / 2).max(2)).max(present / ROWS_PER_VALUE).min(MOST);
    let mut distinct = HashSet::new();
    for cell in table.cells(column).filter(|cell| cell.kind != CellKind::Missing) {
        distinct.insert(cell.text);
        if distinct.len() > most {
            return ColumnKind::Text;
        }
    }
    ColumnKind::Category
}

/// Infinities and NaN are read as numbers here, so that they are refused where they are and not taken for words.
fn is_number(text: &[u8]) -> bool {
    parse_number(text).is_some() || std::str::from_utf8(text).is_ok_and(|text| text.trim().parse::<f64>().is_ok())
}
