//! Findings with what shows them: values, rows, groups, files and small pictures, and the repair that is proposed.

use super::columns::{anchor, cell};
use super::{pictures, quantity};
use crate::doctor::{Examination, Examined};
use lepton_core::thousands;
use lepton_doctor::profile::short_number;
use lepton_doctor::{Evidence, Finding, Proposal, Severity};
use maud::{Markup, html};

/// Rows, values, groups and files that are shown of a finding.
const SHOWN: usize = 12;

/// Places in the line that opens them.
const PREVIEW: usize = 4;

/// Small pictures that are shown of a finding.
const PICTURES: usize = 16;

/// Characters of a repair's setting.
const LONGEST: usize = 160;

pub(super) fn draw(examination: &Examination) -> Markup {
    let place = |name: &str| match &examination.content {
        Examined::Table(profile) => profile.columns.iter().position(|column| column.name == name).and_then(anchor),
        Examined::Pictures(_) | Examined::Audio(_) => None,
    };
    html! {
        @if examination.findings.is_empty() { p.muted { "The checks found nothing to report." } }
        @else { ul.findings { @for finding in &examination.findings { (one(finding, &place)) } } }
    }
}

fn one(finding: &Finding, place: &dyn Fn(&str) -> Option<String>) -> Markup {
    let (class, sign) = match finding.severity {
        Severity::Error => ("error", "✗"),
        Severity::Warning => ("warning", "!"),
        Severity::Note => ("info", "i"),
    };
    html! {
        li class=(class) {
            p {
                span.badge { span.sign aria-hidden="true" { (sign) } " " (finding.severity.name()) } " "
                b { (quantity::words(finding.kind.name())) }
                @if let Some(column) = &finding.column {
                    " in " @match place(column) { Some(anchor) => a href={ "#" (anchor) } { (cell(column)) }, None => (cell(column)) }
                }
                " · " (thousands(finding.count))
            }
            p { bdi { (finding.message) } }
            (evidence(&finding.evidence))
            @if let Some(proposal) = &finding.repair { (repair(proposal)) }
        }
    }
}

/// The first places, for the line that opens the others.
fn preview(evidence: &Evidence) -> Markup {
    let rows: Vec<u64> = match (&evidence.rows, &evidence.groups) {
        (rows, _) if !rows.is_empty() => rows.iter().copied().take(PREVIEW).collect(),
        (_, groups) => groups.iter().flatten().copied().take(PREVIEW).collect(),
    };
    html! {
        @if !evidence.values.is_empty() {
            @for (place, value) in evidence.values.iter().take(PREVIEW).enumerate() { @if place > 0 { ", " } (cell(&value.value)) }
            @if evidence.values.len() > PREVIEW { ", …" }
        } @else if !rows.is_empty() {
            "row " (rows.iter().map(|row| thousands(*row)).collect::<Vec<_>>().join(", "))
            @if rows.len() == PREVIEW { ", …" }
        } @else if let Some(file) = evidence.files.first() { bdi { (file.file) } }
        @else if let Some(file) = evidence.file_groups.first().and_then(|group| group.first()) { bdi { (file) } }
    }
}

fn evidence(evidence: &Evidence) -> Markup {
    let rows = |rows: &[u64]| {
        let shown: Vec<String> = rows.iter().take(SHOWN).map(|row| thousands(*row)).collect();
        format!("{}{}", shown.join(", "), if rows.len() > SHOWN { ", …" } else { "" })
    };
    html! {
        @if !evidence.thumbnails.is_empty() {
            ul.thumbnails { @for thumbnail in evidence.thumbnails.iter().take(PICTURES) {
                li { img src=(pictures::png_uri(&thumbnail.png)) alt=(thumbnail.file) title=(thumbnail.file); }
            } }
        }
        @if !evidence.values.is_empty() || !evidence.rows.is_empty() || !evidence.groups.is_empty() || !evidence.files.is_empty() || !evidence.file_groups.is_empty() {
            details {
                summary { "Where" span.muted { " " (preview(evidence)) } }
                div.where {
                    @if !evidence.values.is_empty() {
                        div.scroll { table.narrow {
                            thead { tr { th scope="col" { "Value" } th.number scope="col" { "cells" } th.number scope="col" { "first row" } } }
                            tbody { @for value in evidence.values.iter().take(SHOWN) { tr {
                                td { code { (cell(&value.value)) } } td.number { (thousands(value.count)) } td.number { (thousands(value.row)) }
                            } } }
                        } }
                        @if evidence.values.len() > SHOWN { p.muted { "and " (thousands((evidence.values.len() - SHOWN) as u64)) " more values" } }
                    }
                    @if !evidence.rows.is_empty() { p { "Rows " (rows(&evidence.rows)) } }
                    @if !evidence.groups.is_empty() {
                        ul.evidence { @for group in evidence.groups.iter().take(SHOWN) { li { "rows " (rows(group)) } } }
                        @if evidence.groups.len() > SHOWN { p.muted { "and " (thousands((evidence.groups.len() - SHOWN) as u64)) " more groups" } }
                    }
                    @if !evidence.files.is_empty() {
                        ul.evidence { @for file in evidence.files.iter().take(SHOWN) {
                            li { code { bdi { (file.file) } } @if let Some(detail) = &file.detail { " " bdi { (detail) } } }
                        } }
                        @if evidence.files.len() > SHOWN { p.muted { "and " (thousands((evidence.files.len() - SHOWN) as u64)) " more files" } }
                    }
                    @if !evidence.file_groups.is_empty() {
                        ul.evidence { @for group in evidence.file_groups.iter().take(SHOWN) {
                            li { @for (place, file) in group.iter().take(SHOWN).enumerate() { @if place > 0 { " = " } code { bdi { (file) } } } @if group.len() > SHOWN { " = …" } }
                        } }
                        @if evidence.file_groups.len() > SHOWN { p.muted { "and " (thousands((evidence.file_groups.len() - SHOWN) as u64)) " more groups" } }
                    }
                }
            }
        }
    }
}

/// The action and its settings, as a plan has them.
fn repair(proposal: &Proposal) -> Markup {
    let settings = match serde_json::to_value(&proposal.action) {
        Ok(serde_json::Value::Object(settings)) => settings,
        _ => serde_json::Map::new(),
    };
    let settings: Vec<String> = settings
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "action" | "column"))
        .map(|(key, value)| {
            let mut text = match (value.as_f64(), value.as_array()) {
                (Some(number), _) => short_number(number),
                (None, Some(list)) if list.len() > PREVIEW => thousands(list.len() as u64),
                _ => value.to_string(),
            };
            if text.len() > LONGEST {
                text.truncate(text.floor_char_boundary(LONGEST));
                text.push('…');
            }
            format!("{} {text}", quantity::words(key))
        })
        .collect();
    html! {
        p.repair {
            b { "Repair" } " " code { (proposal.action.name()) }
            @if !settings.is_empty() { " " span.muted { bdi { (settings.join("; ")) } } }
            " " @if proposal.safe { span.badge { "in the plan" } } @else { span.badge { "only if you ask for it" } }
        }
    }
}
