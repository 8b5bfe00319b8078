//! The columns of a table: one line each, and one card each with what its cells are like.

use super::page::Section;
use super::{histogram, quantity};
use lepton_core::thousands;
use lepton_doctor::profile::{ColumnView, NumberView, Profile, ShapeCount, ValueCount, short_number};
use maud::{Markup, html};

/// Columns that have a card; a page of ten thousand would open nowhere.
const MOST_CARDS: usize = 300;

/// Values and shapes on a card.
const SHOWN: usize = 6;

pub(super) fn sections(profile: &Profile, target: Option<&str>) -> Vec<Section> {
    let views = profile.view();
    let content = html! {
        @if views.len() > MOST_CARDS {
            p.muted { "The first " (MOST_CARDS) " of " (thousands(views.len() as u64)) " columns; the table above has all of them." }
        }
        div.cards { @for (place, view) in views.iter().take(MOST_CARDS).enumerate() { (card(place, view, profile.rows, target)) } }
    };
    vec![
        Section {
            anchor: "overview",
            heading: "Overview",
            about: "Every column in one line.",
            content: overview(&views, profile.rows),
        },
        Section { anchor: "columns", heading: "Columns", about: "What the cells of each column are like.", content },
    ]
}

/// The anchor of a column's card, where it has one.
pub(super) fn anchor(place: usize) -> Option<String> {
    (place < MOST_CARDS).then(|| format!("column-{}", place + 1))
}

fn overview(views: &[ColumnView], rows: u64) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Columns" { table.overview {
            thead { tr {
                th scope="col" { "Column" } th scope="col" { "type" } th.number scope="col" { "missing" }
                th.number scope="col" { "distinct" } th.number scope="col" { "least" } th.number scope="col" { "median" }
                th.number scope="col" { "most" } th scope="col" { "most frequent" }
            } }
            tbody { @for (place, view) in views.iter().enumerate() { tr {
                th scope="row" {
                    @match anchor(place) { Some(anchor) => a href={ "#" (anchor) } { (cell(&view.name)) }, None => (cell(&view.name)) }
                }
                td { (quantity::words(view.semantic.name())) }
                td.number { @if view.missing == 0 { "–" } @else { (percent(view.missing, rows)) } }
                td.number { (distinct(view)) }
                @for place in [0, 3, 6] {
                    td.number { (view.numbers.as_ref().map_or("–".to_owned(), |numbers| short_number(numbers.quantiles[place]))) }
                }
                td { @match view.top.first() { Some(value) => (cell(&value.value)), None => "–" } }
            } } }
        } }
    }
}

fn card(place: usize, view: &ColumnView, rows: u64, target: Option<&str>) -> Markup {
    let present = rows.saturating_sub(view.missing);
    html! {
        article.card id=[anchor(place)] {
            div.title {
                h3 { (cell(&view.name)) }
                span.badge { (quantity::words(view.semantic.name())) }
                @if target == Some(view.name.as_str()) { span.badge.accent { "target" } }
            }
            dl.small {
                div { dt { "missing" } dd { (thousands(view.missing)) @if view.missing > 0 { " · " (percent(view.missing, rows)) } } }
                div { dt { "distinct" } dd { (distinct(view)) } }
                @if let Some([least, mean, most]) = view.characters {
                    div { dt { "characters" } dd { (short_number(least)) " – " (short_number(most)) ", mean " (format!("{mean:.1}")) } }
                }
            }
            @if view.missing > 0 {
                span.filled role="img" aria-label={ (percent(present, rows)) " of the rows have a value" } style={ "--w:" (format!("{:.1}%", 100.0 * present as f64 / rows.max(1) as f64)) } {}
            }
            @if let Some(numbers) = &view.numbers { (spread(&view.name, numbers)) }
            @if !view.top.is_empty() { (values(&view.top, present)) }
            @else if view.numbers.is_none() && !view.shapes.is_empty() { (shapes(&view.shapes, present)) }
        }
    }
}

fn spread(name: &str, numbers: &NumberView) -> Markup {
    let quantile = |place: usize| short_number(numbers.quantiles[place]);
    html! {
        (histogram::draw(name, numbers))
        details {
            summary { "Quantiles" }
            dl.small {
                @for (place, word) in ["least", "5 %", "25 %", "median", "75 %", "95 %", "most"].iter().enumerate() {
                    div { dt { (word) } dd { (quantile(place)) } }
                }
                div { dt { "mean" } dd { (short_number(numbers.mean)) } }
                div { dt { "deviation" } dd { (short_number(numbers.deviation)) } }
            }
        }
    }
}

fn values(values: &[ValueCount], present: u64) -> Markup {
    let most = values.first().map_or(1, |value| value.count).max(1);
    html! {
        table.values {
            caption.hidden { "Most frequent values" }
            colgroup { col; col.count; }
            tbody { @for value in values.iter().take(SHOWN) { tr {
                th scope="row" style={ "--w:" (format!("{:.1}%", 100.0 * value.count as f64 / most as f64)) } { (cell(&value.value)) }
                td.number title=(percent(value.count, present)) { (thousands(value.count)) }
            } } }
        }
    }
}

fn shapes(shapes: &[ShapeCount], present: u64) -> Markup {
    html! {
        table.values.plain {
            caption { "Forms" }
            colgroup { col; col.count; }
            tbody { @for shape in shapes.iter().take(SHOWN) { tr {
                th scope="row" { (cell(&shape.example)) }
                td.number title=(percent(shape.count, present)) { (thousands(shape.count)) }
            } } }
        }
    }
}

/// A text from the data: its direction stays its own, blanks at its ends are seen, and nothing shows as nothing.
pub(super) fn cell(text: &str) -> Markup {
    let shown: String = text
        .chars()
        .map(|letter| match letter {
            '\n' | '\r' => '↵',
            '\t' => '⇥',
            letter if letter.is_control() => '\u{fffd}',
            letter => letter,
        })
        .collect();
    let bare = shown.trim();
    let (before, after) = (shown.len() - shown.trim_start().len(), shown.len() - shown.trim_end().len());
    html! { bdi.cell {
        @if bare.is_empty() { span.muted { "blank" } }
        @else {
            @if before > 0 { span.muted title="white space" { "␣" } }
            (bare)
            @if after > 0 { span.muted title="white space" { "␣" } }
        }
    } }
}

fn distinct(view: &ColumnView) -> String {
    format!("{}{}", if view.distinct_is_exact { "" } else { "about " }, thousands(view.distinct))
}

/// `12.5 %`; what is there is never shown as nothing, and what is not whole never as all.
fn percent(count: u64, all: u64) -> String {
    let share = 100.0 * count as f64 / all.max(1) as f64;
    match share {
        share if count > 0 && share < 0.1 => "under\u{a0}0.1\u{a0}%".to_owned(),
        share if count < all && share > 99.9 => "over\u{a0}99.9\u{a0}%".to_owned(),
        share => format!("{share:.1}\u{a0}%"),
    }
}
