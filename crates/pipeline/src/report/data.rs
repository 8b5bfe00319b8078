//! The data section: how many rows each split has, how the classes are spread, and what the checks found.

use super::{FindingFacts, ReportInput, Section, quantity};
use lepton_core::{Split, thousands};
use maud::{Markup, html};
use std::collections::BTreeSet;

/// More classes than this are summed up in a sentence.
const MOST_CLASSES: usize = 60;

pub(super) fn section(input: &ReportInput) -> Option<Section> {
    (!input.rows.is_empty() || !input.findings.is_empty()).then(|| Section {
        anchor: "data",
        heading: "Data",
        about: "What went in, and what the checks found.",
        content: html! {
            (rows(input))
            @if let Some(figure) = &input.rules { (super::draw(figure)) }
            (findings(&input.findings))
            (classes(input))
            @if let Some(figure) = &input.augmented { (super::draw(figure)) }
        },
    })
}

fn rows(input: &ReportInput) -> Markup {
    let splits = Split::ALL.map(Split::name).into_iter().filter_map(|split| Some((split, input.rows.get(split)?)));
    let (before, after) =
        input.rows.values().fold((0, 0), |(before, after), rows| (before + rows.before, after + rows.after));
    let cut: Vec<&str> =
        splits.clone().filter(|(_, rows)| rows.before == 0 && rows.after > 0).map(|row| row.0).collect();
    html! { div { div.scroll { table.narrow {
        caption { "Rows by split" }
        thead { tr { th scope="col" { "Split" } th.number scope="col" { "collected" } th.number scope="col" { "used" } } }
        tbody { @for (split, rows) in splits { tr {
            th scope="row" { (split) }
            td.number { (thousands(rows.before)) }
            td.number { (thousands(rows.after)) }
        } } }
        tfoot { tr { th scope="row" { "all" } td.number { (thousands(before)) } td.number { (thousands(after)) } } }
    } }
    p.muted.below {
        @if before > after { (quantity::counted(before - after, "row")) " left out. " }
        @if !cut.is_empty() { "Cut from the training rows: " (cut.join(" and ")) "." }
    } } }
}

fn findings(findings: &[FindingFacts]) -> Markup {
    html! {
        h3 { "Findings" }
        @if findings.is_empty() { p.muted { "The checks found nothing to report." } }
        @if !findings.is_empty() { ul.findings { @for finding in findings {
            li class=(severity(finding)) {
                p { span.badge { span.sign aria-hidden="true" { (sign(finding)) } " " (finding.severity) } " " b { (quantity::words(&finding.kind)) } " · " (thousands(finding.count)) }
                p { (finding.message) }
                @if !finding.evidence.is_empty() {
                    details { summary { "Where" } ul.evidence { @for place in &finding.evidence { li { code { (place) } } } } }
                }
            }
        } } }
    }
}

fn severity(finding: &FindingFacts) -> &'static str {
    match finding.severity.as_str() {
        "error" => "error",
        "warning" => "warning",
        _ => "info",
    }
}

fn sign(finding: &FindingFacts) -> &'static str {
    match severity(finding) {
        "error" => "✗",
        "warning" => "!",
        _ => "i",
    }
}

fn classes(input: &ReportInput) -> Markup {
    let labels: BTreeSet<&String> = input.classes.values().flat_map(|counts| counts.keys()).collect();
    let splits: Vec<&str> =
        Split::ALL.map(Split::name).into_iter().filter(|split| input.classes.contains_key(*split)).collect();
    let at = |split: &str, label: &String| {
        input.classes.get(split).and_then(|counts| counts.get(label)).copied().unwrap_or(0)
    };
    let Some(first) = splits.first().copied() else { return html! {} };
    let most = labels.iter().map(|label| at(first, label)).max().unwrap_or(0).max(1);
    html! {
        h3 { "Classes" }
        @if labels.len() > MOST_CLASSES {
            p.muted { (labels.len()) " classes, between " (thousands(labels.iter().map(|label| at(first, label)).min().unwrap_or(0)))
                " and " (quantity::counted(most, "row")) " each in the " (first) " split." }
        } @else {
            div.scroll { table.classes {
                caption.hidden { "Rows by class and split" }
                thead { tr { th scope="col" { "Class" } @for split in &splits { th.number scope="col" { (split) } } th.spread scope="col" { "share of " (first) } } }
                tbody { @for label in &labels { tr {
                    th scope="row" { (label) }
                    @for split in &splits { td.number { (thousands(at(split, label))) } }
                    td.spread { span.bar aria-hidden="true" style={ "--w:" (format!("{:.1}%", 100.0 * at(first, label) as f64 / most as f64)) } {}
                        span { (format!("{:.1}\u{a0}%", 100.0 * at(first, label) as f64 / input.classes[first].values().sum::<u64>().max(1) as f64)) } }
                } } }
            } }
        }
    }
}
