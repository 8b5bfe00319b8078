//! The page of `lepton data profile --html` and `lepton data doctor --html`: what a table or a collection of pictures
//! holds, what is wrong with it, and where that was seen.

use super::page::{Page, Section, fact, moment};
use super::{columns, correlations, found, media, quantity};
use crate::doctor::{Examination, Examined};
use lepton_core::{Environment, thousands};
use lepton_doctor::Severity;
use maud::{Markup, html};

/// What a page of data is drawn from.
pub struct DataPage<'a> {
    /// What was looked at, and what was found.
    pub examination: &'a Examination,
    /// Whether somebody asked what is wrong with it; a profile only says what it holds.
    pub with_findings: bool,
    /// The column to predict.
    pub target: Option<&'a str>,
    /// The command as typed.
    pub command: &'a str,
    /// When it was looked at, RFC 3339 in UTC.
    pub created: &'a str,
    /// The machine and the versions.
    pub environment: &'a Environment,
}

/// The page as one self-contained HTML file.
pub fn data_html(input: &DataPage<'_>) -> String {
    let examination = input.examination;
    let mut sections = Vec::new();
    if input.with_findings {
        sections.push(Section {
            anchor: "findings",
            heading: "Findings",
            about: "What is wrong, the gravest first: where it was seen, and what would repair it.",
            content: found::draw(examination),
        });
    }
    match &examination.content {
        Examined::Table(profile) => {
            sections.extend(columns::sections(profile, input.target));
            sections.extend(correlations::section(profile));
        }
        Examined::Pictures(profile) => sections.extend(media::sections(profile)),
        Examined::Audio(profile) => sections.push(media::audio_section(profile)),
    }
    sections.push(origin(input));
    let what = if input.with_findings { "doctor" } else { "profile" };
    Page {
        title: format!("{} · data {what}", examination.name),
        masthead: html! {
            header.masthead {
                p.eyebrow { "Lepton data " (what) }
                h1 { bdi { (name(&examination.name)) } }
                p.facts {
                    span { (rows(input)) }
                    span { (moment(input.created)) }
                    @if let Some(target) = input.target { span { "target " code { bdi { (target) } } } }
                }
            }
        },
        top: headline(input),
        sections,
        version: input.environment.lepton.clone(),
    }
    .html()
}

/// The last part of a path.
fn name(text: &str) -> &str {
    std::path::Path::new(text).file_name().and_then(|name| name.to_str()).unwrap_or(text)
}

fn rows(input: &DataPage<'_>) -> String {
    let rows = input.examination.rows();
    match &input.examination.content {
        Examined::Table(profile) => {
            let columns = quantity::counted(profile.columns.len() as u64, "column");
            format!("{} of {columns}", quantity::counted(rows, "row"))
        }
        Examined::Pictures(_) => quantity::counted(rows, "picture"),
        Examined::Audio(_) => quantity::counted(rows, "sound"),
    }
}

fn headline(input: &DataPage<'_>) -> Markup {
    let examination = input.examination;
    let count =
        |severity: Severity| examination.findings.iter().filter(|finding| finding.severity == severity).count() as u64;
    html! {
        section.headline aria-label="Summary" {
            div.figure {
                @if input.with_findings {
                    p.label { "Findings" }
                    p.value { (thousands(examination.findings.len() as u64)) }
                    p.note {
                        @if examination.findings.is_empty() { "The checks found nothing to report." }
                        @else {
                            (quantity::counted(count(Severity::Error), "error")) ", "
                            (quantity::counted(count(Severity::Warning), "warning")) ", "
                            (quantity::counted(count(Severity::Note), "note"))
                        }
                    }
                } @else {
                    p.label { @match &examination.content { Examined::Table(_) => "Rows", Examined::Pictures(_) => "Pictures", Examined::Audio(_) => "Sounds" } }
                    p.value.long[examination.rows() >= 100_000] { (thousands(examination.rows())) }
                    p.note { (summary(examination)) }
                }
            }
            dl.source {
                (fact("File", html! { bdi { (examination.name) } }))
                (fact("Content", html! { code title=(examination.sha256()) { "sha256 " (examination.sha256().short()) } }))
                @match &examination.content {
                    Examined::Table(profile) => {
                        (fact("Size", html! { (quantity::bytes(profile.source.bytes)) " of " (profile.format.name()) }))
                        (fact("Missing", html! { (missing(examination)) }))
                        (fact("Repeated", html! { (quantity::counted(profile.duplicates.count, "row")) }))
                        @if profile.ragged.count > 0 { (fact("Ragged", html! { (quantity::counted(profile.ragged.count, "row")) })) }
                    }
                    Examined::Pictures(profile) => {
                        @let view = profile.view();
                        (fact("Size", html! { (quantity::bytes(profile.survey.bytes)) }))
                        (fact("Classes", html! { (thousands(view.classes.len() as u64)) }))
                        (fact("Unreadable", html! { (quantity::counted(view.broken, "picture")) }))
                    }
                    Examined::Audio(profile) => {
                        @let view = profile.view();
                        (fact("Size", html! { (quantity::bytes(profile.survey.bytes)) }))
                        (fact("Classes", html! { (thousands(view.classes.len() as u64)) }))
                        (fact("Unreadable", html! { (quantity::counted(view.broken, "sound")) }))
                    }
                }
                (fact("Machine", html! { (input.environment.processor) ", " (input.environment.system) }))
            }
        }
    }
}

fn summary(examination: &Examination) -> String {
    match &examination.content {
        Examined::Table(profile) => {
            let numbers = profile.view().iter().filter(|column| column.numbers.is_some()).count() as u64;
            let all = profile.columns.len() as u64;
            format!("in {}, {} of them with numbers", quantity::counted(all, "column"), thousands(numbers))
        }
        Examined::Pictures(profile) => {
            format!("of {}", quantity::counted(profile.view().distinct_sizes, "size"))
        }
        Examined::Audio(profile) => format!("of {:.1} s", profile.view().seconds),
    }
}

fn missing(examination: &Examination) -> String {
    let Examined::Table(profile) = &examination.content else { return String::new() };
    let missing: u64 = profile.columns.iter().map(|column| column.missing.count).sum();
    let all = profile.rows * profile.columns.len() as u64;
    format!("{} ({})", quantity::counted(missing, "cell"), quantity::share(missing as f64 / all.max(1) as f64))
}

fn origin(input: &DataPage<'_>) -> Section {
    let environment = input.environment;
    let bytes = match &input.examination.content {
        Examined::Table(profile) => profile.source.bytes,
        Examined::Pictures(profile) => profile.survey.bytes,
        Examined::Audio(profile) => profile.survey.bytes,
    };
    let sha256 = input.examination.sha256().to_string();
    let rows = [
        ("file", input.examination.name.clone()),
        ("sha256", sha256),
        ("bytes", thousands(bytes)),
        ("rows", thousands(input.examination.rows())),
        ("command", input.command.to_owned()),
        ("looked at", input.created.to_owned()),
        ("lepton", environment.lepton.clone()),
        ("processor", environment.processor.clone()),
        ("system", environment.system.clone()),
    ];
    Section::origin("Enough to look again, and to check that a file is the one this page speaks of.", &rows)
}
