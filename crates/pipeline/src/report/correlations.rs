//! How the columns of a table go together: a map of the strongest measure of each pair, and the strongest pairs.

use super::columns::cell;
use super::page::Section;
use super::quantity;
use lepton_core::thousands;
use lepton_doctor::across::{Correlation, CorrelationMethod, correlations};
use lepton_doctor::profile::Profile;
use maud::{Markup, html};
use std::collections::HashMap;

/// Columns of the map; more would not be read.
const MOST_COLUMNS: usize = 16;

/// Pairs that are listed.
const LISTED: usize = 12;

/// None where no two columns can be compared.
pub(super) fn section(profile: &Profile) -> Option<Section> {
    let found = correlations(profile);
    // The pairs come strongest first, a pair once for each measure.
    let mut strongest: HashMap<[&str; 2], &Correlation> = HashMap::new();
    let mut pairs: Vec<&Correlation> = Vec::new();
    for pair in found.pairs.iter().filter(|pair| pair.value.is_finite()) {
        let key = [pair.columns[0].as_str(), pair.columns[1].as_str()];
        strongest.entry(key).or_insert_with(|| {
            pairs.push(pair);
            pair
        });
    }
    let mut names: Vec<&str> = Vec::new();
    for column in &profile.columns {
        let is_compared = pairs.iter().any(|pair| pair.columns.contains(&column.name));
        if is_compared {
            names.push(&column.name);
        }
    }
    let left_out = names.len().saturating_sub(MOST_COLUMNS) + found.columns_left_out;
    names.truncate(MOST_COLUMNS);
    let at = |one: &str, other: &str| strongest.get(&[one, other]).or_else(|| strongest.get(&[other, one])).copied();
    (!pairs.is_empty()).then(|| Section {
        anchor: "together",
        heading: "Together",
        about: "How columns go together: 0 is not at all, 1 or −1 wholly.",
        content: html! {
            @if names.len() > 1 { (map(&names, &at)) }
            (list(&pairs))
            p.muted {
                "The strongest measure of each pair, over " (quantity::counted(found.rows as u64, "row"))
                @if found.is_sample { " of a sample drawn evenly" } ". "
                @if left_out > 0 { (thousands(left_out as u64)) " more columns are not in the map." }
            }
        },
    })
}

fn map<'a>(names: &[&str], at: &dyn Fn(&str, &str) -> Option<&'a Correlation>) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Map of correlations" { table.matrix.together {
            caption.hidden { "Correlations" }
            thead { tr { td.corner {} @for name in names { th scope="col" title=(name) { (cell(name)) } } } }
            tbody { @for one in names { tr {
                th scope="row" { (cell(one)) }
                @for other in names {
                    @match (one == other, at(one, other)) {
                        (true, _) => td.zero { "·" },
                        (false, None) => td.zero { "–" },
                        (false, Some(pair)) => (shaded(pair)),
                    }
                }
            } } }
        } }
    }
}

fn shaded(pair: &Correlation) -> Markup {
    let strength = pair.value.abs().min(1.0);
    let class = match (pair.value < 0.0, strength > 0.6) {
        (false, true) => "right strong",
        (false, false) => "right",
        (true, true) => "wrong strong",
        (true, false) => "wrong",
    };
    html! { td class=(class) title=(method(pair)) style={ "--v:" (format!("{:.0}%", 100.0 * strength)) } { (value(pair)) } }
}

fn list(pairs: &[&Correlation]) -> Markup {
    html! {
        details {
            summary { "The strongest pairs" }
            div.scroll { table.narrow {
                thead { tr { th scope="col" { "Columns" } th scope="col" { "measure" } th.number scope="col" { "value" } th.number scope="col" { "rows" } } }
                tbody { @for pair in pairs.iter().take(LISTED) { tr {
                    th scope="row" { (cell(&pair.columns[0])) " and " (cell(&pair.columns[1])) }
                    td { (method(pair)) } td.number { (value(pair)) } td.number { (thousands(pair.rows as u64)) }
                } } }
            } }
        }
    }
}

fn method(pair: &Correlation) -> &'static str {
    match pair.method {
        CorrelationMethod::Pearson => "Pearson",
        CorrelationMethod::Spearman => "Spearman",
        CorrelationMethod::CramersV => "Cramér’s V",
        CorrelationMethod::CorrelationRatio => "correlation ratio",
    }
}

fn value(pair: &Correlation) -> String {
    format!("{:.2}", pair.value).replace('-', "−")
}
