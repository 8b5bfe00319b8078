//! Tables: a task's [`Figure::Table`](lepton_core::Figure), numbers flush right, verdicts by sign and colour.

use lepton_core::LabelledCell;
use maud::{Markup, html};

/// A table with its heading.
pub(super) fn draw(title: &str, columns: &[String], rows: &[Vec<LabelledCell>]) -> Markup {
    let numeric: Vec<bool> =
        (0..columns.len()).map(|index| is_numeric(rows.iter().filter_map(|row| row.get(index)))).collect();
    let number = |index: usize| numeric.get(index).copied().unwrap_or(false);
    html! {
        figure {
            figcaption { (title) }
            div.scroll tabindex="0" role="region" aria-label=(title) { table {
                thead { tr { @for (index, column) in columns.iter().enumerate() {
                    th.number[index > 0 && number(index)] scope="col" { (column) }
                } } }
                tbody { @for row in rows { tr { @for (index, cell) in row.iter().enumerate() {
                    @if index == 0 { th scope="row" { (verdict(cell)) } }
                    @else { td.number[number(index)] { (verdict(cell)) } }
                } } } }
            } }
        }
    }
}

fn verdict(cell: &LabelledCell) -> Markup {
    match cell.good {
        None => html! { (cell.text) },
        Some(true) => html! { span.good { (cell.text) " " span.sign aria-label="good" role="img" { "✓" } } },
        Some(false) => html! { span.bad { (cell.text) " " span.sign aria-label="bad" role="img" { "✗" } } },
    }
}

fn is_numeric<'a>(mut cells: impl Iterator<Item = &'a LabelledCell>) -> bool {
    cells.all(|cell| {
        let text = cell.text.trim_end_matches(['%', ' ', '\u{a0}']).replace(',', "");
        text.is_empty() || text == "–" || text.parse::<f64>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_numbers_are_found() {
        let cell = |text: &str| LabelledCell { text: text.into(), good: None };
        assert!(is_numeric([cell("1,032"), cell("98.1 %"), cell("–")].iter()));
        assert!(!is_numeric([cell("1"), cell("seven")].iter()));
    }
}
