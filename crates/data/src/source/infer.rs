//! What kind of column the values look like.

use super::table::Cells;
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
pub(super) fn kind(cells: &Cells) -> ColumnKind {
    let texts = match cells {
        Cells::Number(_) => return ColumnKind::Number,
        Cells::Untyped(texts) | Cells::Text(texts) => texts,
    };
    let may_be_numbers = matches!(cells, Cells::Untyped(_));
    if may_be_numbers && texts.iter().flatten().all(|text| text.trim().parse::<f64>().is_ok()) {
        return if texts.iter().flatten().next().is_some() { ColumnKind::Number } else { ColumnKind::Category };
    }
    let rows = texts.iter().flatten().count();
    let most = FEW.min((rows / 2).max(2)).max(rows / ROWS_PER_VALUE).min(MOST);
    let mut distinct = HashSet::new();
    for text in texts.iter().flatten() {
        distinct.insert(text);
        if distinct.len() > most {
            return ColumnKind::Text;
        }
    }
    ColumnKind::Category
}
