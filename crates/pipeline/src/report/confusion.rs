//! The confusion matrix as a table with shaded cells. Right answers and mistakes have ramps of their own:
//! on one ramp the few mistakes of a good model would all look like zero.

use lepton_core::thousands;
use maud::{Markup, html};

/// Above this many classes a table is unreadable; the most frequent mistakes are listed instead.
const MOST_CLASSES: usize = 40;

/// Up to this many classes with labels up to this many characters fit on a telephone.
const COMPACT_CLASSES: usize = 12;
const COMPACT_LABEL: usize = 3;

/// How many mistakes the sentence and the list name.
const NAMED: usize = 3;
const LISTED: usize = 20;

/// `counts[truth][predicted]`.
pub(super) fn draw(title: &str, labels: &[String], counts: &[Vec<u64>]) -> Markup {
    let mistakes = mistakes(counts);
    let name = |index: usize| labels.get(index).map_or("?", String::as_str);
    if labels.len() > MOST_CLASSES {
        return html! {
            figure {
                figcaption { (title) }
                p.muted { (labels.len()) " classes are too many for a table; the " (LISTED) " most frequent mistakes:" }
                div.scroll { table {
                    thead { tr { th scope="col" { "truth" } th scope="col" { "predicted" } th.number scope="col" { "rows" } } }
                    tbody { @for &(truth, predicted, rows) in mistakes.iter().take(LISTED) {
                        tr { td { (name(truth)) } td { (name(predicted)) } td.number { (thousands(rows)) } }
                    } }
                } }
            }
        };
    }
    let compact = labels.len() <= COMPACT_CLASSES && labels.iter().all(|label| label.chars().count() <= COMPACT_LABEL);
    let worst = mistakes.first().map_or(0, |mistake| mistake.2);
    html! {
        figure.confusion {
            figcaption { (title) }
            p.muted { "Each line is a true class, each column a predicted one. Mistakes are shaded on a scale of their own." }
            div.scroll tabindex="0" role="region" aria-label=(title) { table.matrix.compact[compact] {
                thead { tr {
                    td.corner { span { "truth " span aria-hidden="true" { "↓" } } " " span { "predicted " span aria-hidden="true" { "→" } } }
                    @for label in labels { th scope="col" { (label) } }
                    th.total scope="col" { "all" }
                } }
                tbody { @for (truth, row) in counts.iter().enumerate() {
                    @let all: u64 = row.iter().sum();
                    tr {
                        th scope="row" { (name(truth)) }
                        @for (predicted, &rows) in row.iter().enumerate() { (cell(rows, truth == predicted, all, worst)) }
                        td.total { (thousands(all)) }
                    }
                } }
            } }
            @if !mistakes.is_empty() {
                p.muted { "Most frequent mistakes: "
                    @for (index, &(truth, predicted, rows)) in mistakes.iter().take(NAMED).enumerate() {
                        @if index > 0 { ", " }
                        b { (name(truth)) " taken for " (name(predicted)) } " (" (thousands(rows)) ")"
                    }
                    "." }
            } @else { p.muted { "No mistakes." } }
        }
    }
}

fn cell(rows: u64, right: bool, all: u64, worst: u64) -> Markup {
    if rows == 0 {
        return html! { td.zero { "0" } };
    }
    // A square root lifts single mistakes off the background without hiding which one is the most frequent.
    let strength = if right { rows as f64 / all.max(1) as f64 } else { (rows as f64 / worst.max(1) as f64).sqrt() };
    let class = match (right, strength > 0.6) {
        (true, true) => "right strong",
        (true, false) => "right",
        (false, true) => "wrong strong",
        (false, false) => "wrong",
    };
    html! { td class=(class) style={ "--v:" (format!("{:.0}%", 12.0 + 88.0 * strength)) } { (thousands(rows)) } }
}

/// `(truth, predicted, rows)`, most frequent first; ties in the order of the labels.
fn mistakes(counts: &[Vec<u64>]) -> Vec<(usize, usize, u64)> {
    let mut mistakes: Vec<_> = counts
        .iter()
        .enumerate()
        .flat_map(|(truth, row)| row.iter().enumerate().map(move |(predicted, &rows)| (truth, predicted, rows)))
        .filter(|&(truth, predicted, rows)| truth != predicted && rows > 0)
        .collect();
    mistakes.sort_by_key(|&(truth, predicted, rows)| (std::cmp::Reverse(rows), truth, predicted));
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_mistake_comes_first() {
        assert_eq!(mistakes(&[vec![5, 1, 0], vec![3, 9, 0], vec![0, 1, 4]]), [(1, 0, 3), (0, 1, 1), (2, 1, 1)]);
    }

    #[test]
    fn many_classes_become_a_list() {
        let labels: Vec<String> = (0..50).map(|index| format!("class {index}")).collect();
        let counts: Vec<Vec<u64>> =
            (0..50).map(|truth| (0..50).map(|p| u64::from(truth == p || p == 7)).collect()).collect();
        let page = draw("Confusion", &labels, &counts).into_string();
        assert!(page.contains("too many for a table") && page.contains("class 7"));
    }
}
