//! The page of `lepton advise --html`: the choice, the scores with their noise, what each candidate would take, its
//! pilots and its sentence, the data, and the settings. The drawing is inline SVG, with the numbers in a table beside it.

use super::curves::{Axis, at};
use super::page::{Page, Section, fact, moment};
use super::quantity;
use crate::advise::{AdviceReport, CandidateFacts, Standing, TargetFacts};
use lepton_core::{Split, thousands};
use maud::{Markup, html};

/// The drawing's own units; the page scales it to the column's width.
const WIDTH: f64 = 640.0;
const LEFT: f64 = 170.0;
const RIGHT: f64 = 20.0;
const LINE: f64 = 26.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 36.0;

/// The page of an advice as one self-contained HTML file. `created` is when it was made, RFC 3339 in UTC.
pub fn advice_html(report: &AdviceReport, created: &str) -> String {
    let sections: Vec<Section> =
        [scores(report), Some(candidates(report)), Some(data(report)), settings(report), Some(origin(report, created))]
            .into_iter()
            .flatten()
            .collect();
    Page {
        title: format!("{} · advice", report.project),
        masthead: html! {
            header.masthead {
                p.eyebrow { "Lepton advice" }
                h1 { bdi { (report.project) } }
                p.facts {
                    span { (report.fingerprint.task) }
                    span { (moment(created)) }
                    span.status { (report.status) }
                }
            }
        },
        top: headline(report),
        sections,
        version: report.fingerprint.machine.environment.lepton.clone(),
    }
    .html()
}

fn headline(report: &AdviceReport) -> Markup {
    let data = &report.fingerprint;
    let rows: Vec<String> = Split::ALL
        .iter()
        .filter_map(|split| Some(format!("{} {split}", thousands(*data.rows.get(split)? as u64))))
        .collect();
    html! {
        section.headline aria-label="Result" {
            div.figure {
                p.label { "first choice" }
                @match &report.choice {
                    Some(choice) => {
                        p.value { (choice.name) }
                        p.note { (quantity::words(report.metric)) " " (quantity::metric(report.metric, choice.score))
                            " over " (report.judging) "; no test row was looked at" }
                    }
                    None => { p.value { "–" } p.note { "Stopped before there was a score." } }
                }
            }
            dl.source {
                (fact("Dataset", html! { bdi { (data.dataset) } " " code title=(data.sha256) { "sha256 " (data.sha256.short()) } }))
                (fact("Rows", html! { (rows.join(", ")) }))
                (fact("Input", html! { (thousands(data.inputs as u64)) " numbers a row" }))
                (fact("Seed", html! { (report.seed.0) }))
                (fact("Time", html! { (quantity::seconds(report.seconds)) " of " (quantity::seconds(report.limits.time)) }))
                (fact("Machine", html! { (data.machine.environment.processor) ", " (data.machine.environment.system) "; trained on "
                    (quantity::counted(data.machine.environment.threads as u64, "thread")) }))
            }
        }
    }
}

/// Every score with the width of its noise, the first choice on top.
fn scores(report: &AdviceReport) -> Option<Section> {
    let scored: Vec<(&CandidateFacts, f64, f64)> = report
        .candidates
        .iter()
        .filter_map(|one| Some((one, one.score.filter(|score| score.is_finite())?, one.spread.unwrap_or(0.0))))
        .collect();
    let ends = scored.iter().flat_map(|(_, score, spread)| [score - spread, score + spread]);
    let axis = Axis::over(ends, 6)?;
    let height = TOP + LINE * scored.len() as f64 + BOTTOM;
    let across = |value: f64| LEFT + axis.position(value) * (WIDTH - LEFT - RIGHT);
    let name = quantity::words(report.metric);
    let label = format!("{name} of {} candidates with the standard error of each.", scored.len());
    Some(Section {
        anchor: "scores",
        heading: "Scores",
        about: "The mean score of each candidate's last pilot, with its standard error.",
        content: html! { figure {
            figcaption { (name) ", " (report.judging) }
            svg.plot viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(label) {
                @for tick in axis.ticks() {
                    line.grid x1=(at(across(tick))) x2=(at(across(tick))) y1=(TOP) y2=(at(height - BOTTOM)) {}
                    text.tick x=(at(across(tick))) y=(at(height - BOTTOM + 16.0)) text-anchor="middle" { (axis.write(tick)) }
                }
                @for (index, (one, score, spread)) in scored.iter().enumerate() {
                    @let y = TOP + LINE * (index as f64 + 0.5);
                    @let (class, radius) = if one.standing == Standing::First { ("dot s1", "5") } else { ("dot s5", "4") };
                    text.axis x=(at(LEFT - 10.0)) y=(at(y + 4.0)) text-anchor="end" { (one.name) }
                    polyline.line.s5 points={ (at(across(score - spread))) "," (at(y)) " " (at(across(score + spread))) "," (at(y)) } {}
                    circle class=(class) cx=(at(across(*score))) cy=(at(y)) r=(radius) {
                        title { (one.name) ": " (quantity::metric(report.metric, *score)) }
                    }
                }
                text.axis x=(WIDTH - RIGHT) y=(at(height - 4.0)) text-anchor="end" { (name) }
            }
        } },
    })
}

fn candidates(report: &AdviceReport) -> Section {
    let dash = || "–".to_owned();
    Section {
        anchor: "candidates",
        heading: "Candidates",
        about: "What each would take in a full run, its last pilot, and why it stands where it stands. A * is an estimate.",
        content: html! {
            div.scroll tabindex="0" role="region" aria-label="Candidates" { table {
                thead { tr {
                    th scope="col" { "Candidate" }
                    @for heading in [quantity::words(report.metric).as_str(), "±", "behind", "pilot", "pilots took", "full run", "memory", "one row", "package"] {
                        th.number scope="col" { (heading) }
                    }
                } }
                tbody { @for one in &report.candidates { tr {
                    th scope="row" { (one.name) " " (badge(one)) }
                    td.number { (one.score.map_or_else(dash, |score| quantity::metric(report.metric, score))) }
                    td.number { (one.spread.map_or_else(dash, |spread| quantity::metric(report.metric, spread))) }
                    td.number { (one.behind.map_or_else(dash, |behind| quantity::metric(report.metric, behind))) }
                    td.number { (pilot(one)) }
                    td.number { (quantity::seconds(one.pilots.iter().map(|pilot| pilot.seconds).sum())) }
                    td.number { (one.run_seconds.as_ref().map_or_else(dash, |run| quantity::seconds(run.value))) }
                    td.number { (one.run_memory.as_ref().map_or_else(dash, |memory| {
                        format!("{}{}", quantity::bytes(memory.value), if memory.is_measured() { "" } else { "*" })
                    })) }
                    td.number { (one.latency.as_ref().map_or_else(dash, |latency| quantity::seconds(latency.value))) }
                    td.number { (one.package_bytes.as_ref().map_or_else(dash, |package| quantity::bytes(package.value))) }
                } } }
            } }
            div.scroll { table {
                thead { tr { th scope="col" { "Candidate" } th scope="col" { "After the pilots" } th scope="col" { "Before" } } }
                tbody { @for one in &report.candidates { tr {
                    th scope="row" { (one.name) }
                    td { bdi { (one.sentence) } }
                    td { (one.prior.because) }
                } } }
            } }
        },
    }
}

fn badge(one: &CandidateFacts) -> Markup {
    let (class, word) = match one.standing {
        Standing::First => ("badge accent", "first"),
        Standing::Tied => ("badge", "tied"),
        Standing::Behind => return html! {},
        Standing::Dropped => ("badge", "dropped"),
        Standing::Unknown => ("badge", "unknown"),
        Standing::Excluded => ("badge", "excluded"),
        Standing::Failed => ("badge", "failed"),
    };
    html! { span class=(class) { (word) } }
}

fn pilot(one: &CandidateFacts) -> String {
    let Some(last) = one.pilots.last() else { return "–".to_owned() };
    let stopped = if last.stopped { ", stopped" } else { "" };
    let rows = thousands(last.rows as u64);
    format!("{rows} rows × {:.0} × {}{stopped}", last.epochs, last.scores.len())
}

fn data(report: &AdviceReport) -> Section {
    let data = &report.fingerprint;
    Section {
        anchor: "data",
        heading: "Data",
        about: "The fingerprint that rules look at: of training and validation rows.",
        content: html! {
            @match &data.target {
                TargetFacts::Classes { column, classes, largest, smallest, balance } => {
                    p { "Predicted is " bdi { (column) } ", one of " (thousands(*classes as u64)) " classes: from "
                        (quantity::share(smallest.1)) " (" bdi { (smallest.0) } ") to " (quantity::share(largest.1)) " ("
                        bdi { (largest.0) } "); balance " (format!("{balance:.2}")) "." }
                }
                TargetFacts::Number { column, mean, deviation } => {
                    p { "Predicted is " bdi { (column) } ", a number: mean " (format!("{mean:.4}")) ", deviation "
                        (format!("{deviation:.4}")) "." }
                }
            }
            ul { @for note in &report.notes { li { (note) } } }
            div.scroll tabindex="0" role="region" aria-label="Columns" { table {
                thead { tr {
                    th scope="col" { "Column" } th scope="col" { "kind" } th.number scope="col" { "missing" }
                    th.number scope="col" { "distinct" } th.number scope="col" { "length" } th.number scope="col" { "channels" }
                } }
                tbody { @for column in &data.columns { tr {
                    th scope="row" { bdi { (column.name) } }
                    td { (crate::advise::kind_name(column.kind)) }
                    td.number { (thousands(column.missing as u64)) }
                    td.number { (column.distinct.map_or_else(|| "–".to_owned(), |count| thousands(count as u64))) }
                    td.number { (column.length.map_or_else(|| "–".to_owned(), |(least, mean, most)| format!("{least} to {most}, mean {mean:.1}"))) }
                    td.number { (column.channels.map_or_else(|| "–".to_owned(), |count| count.to_string())) }
                } } }
            } }
        },
    }
}

fn settings(report: &AdviceReport) -> Option<Section> {
    let text = report.lepton_toml.as_ref()?;
    Some(Section {
        anchor: "settings",
        heading: "Settings",
        about: "The lepton.toml that was written.",
        content: html! {
            @if let Some(choice) = &report.choice { p { code { (choice.command) } } }
            div.scroll tabindex="0" role="region" aria-label="Settings" { pre { (text) } }
        },
    })
}

fn origin(report: &AdviceReport, created: &str) -> Section {
    let environment = &report.fingerprint.machine.environment;
    let limit = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let rows = [
        ("dataset", format!("{} sha256:{}", report.fingerprint.dataset, report.fingerprint.sha256)),
        ("scores", format!("{} of {}", report.metric, report.judging)),
        ("seed", report.seed.0.to_string()),
        ("memory", limit(report.limits.memory.map(quantity::bytes))),
        ("latency", limit(report.limits.latency.map(quantity::seconds))),
        ("command", report.command.clone()),
        ("made", created.to_owned()),
        ("lepton", environment.lepton.clone()),
        ("processor", environment.processor.clone()),
        ("system", environment.system.clone()),
    ];
    Section::origin("Enough to ask again. Which pilots are run to the end depends on how fast the machine is.", &rows)
}
