//! What kind of column the values look like.

use super::files::Files;
use crate::scan::{CellKind, Column};
use arrow_array::Array;
use lepton_core::ColumnKind;
use lepton_recipe::raw::most_categories;
use lepton_recipe::written::parse_number;
use std::collections::HashSet;

/// A number where every value that is there reads as one. Else a category where there are few distinct values,
/// see [`most_categories`]. Else text. A column without values is a
/// category, which has nothing to say and is reported.
pub(super) fn kind(files: &Files, column: usize) -> ColumnKind {
    let count = count(files.column(column));
    if count.present == 0 {
        return ColumnKind::Category;
    }
    if count.numbers == count.present {
        return ColumnKind::Number;
    }
    let most = most_categories(count.present);
    let mut distinct = HashSet::new();
    for cell in files.cells(column).filter(|cell| cell.kind != CellKind::Missing) {
        distinct.insert(cell.text);
        if distinct.len() > most {
            return ColumnKind::Text;
        }
    }
    ColumnKind::Category
}

/// Whether every value that is there reads as a number; `None` where there is none.
pub(super) fn holds_numbers<'a>(column: impl Iterator<Item = (usize, Option<Column<'a>>)>) -> Option<bool> {
    let count = count(column);
    (count.present > 0).then_some(count.numbers == count.present)
}

#[derive(Default)]
struct Count {
    present: usize,
    numbers: usize,
}

fn count<'a>(column: impl Iterator<Item = (usize, Option<Column<'a>>)>) -> Count {
    let (mut count, mut may_be_numbers) = (Count::default(), true);
    for (rows, cells) in column {
        let Some(cells) = cells else { continue };
        match cells.numbers() {
            Some(values) => {
                count.present += rows - values.null_count();
                count.numbers += rows - values.null_count();
            }
            None => {
                for (kind, text) in cells.texts().into_iter().flatten() {
                    let is_number = match kind {
                        CellKind::Missing => continue,
                        CellKind::Number => true,
                        CellKind::Untyped => may_be_numbers && is_number(text),
                        CellKind::Text | CellKind::Boolean | CellKind::Nested => false,
                    };
                    count.present += 1;
                    count.numbers += usize::from(is_number);
                    may_be_numbers &= is_number;
                }
            }
        }
    }
    count
}

/// Infinities and NaN are read as numbers here, so that they are refused where they are and not taken for words.
fn is_number(text: &[u8]) -> bool {
    parse_number(text).is_some() || std::str::from_utf8(text).is_ok_and(|text| text.trim().parse::<f64>().is_ok())
}
