//! Where the time went and where everything came from: the stage timeline, the lineage, the package's files.

use super::{ReportInput, Section, quantity};
use maud::{Markup, html};

pub(super) fn timeline(input: &ReportInput) -> Option<Section> {
    (!input.stages.is_empty()).then(|| Section {
        anchor: "stages",
        heading: "Stages",
        about: "Where the time went. A stage whose inputs and settings did not change is not run again.",
        content: stages(input),
    })
}

pub(super) fn section(input: &ReportInput) -> Option<Section> {
    let environment = &input.environment;
    let mut rows: Vec<(&str, &str)> =
        input.lineage.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    rows.push(("command", &input.command));
    rows.push(("project", &input.project));
    rows.push(("trained with", &environment.backend));
    rows.push(("processor", &environment.processor));
    rows.push(("system", &environment.system));
    rows.extend(input.package.as_deref().map(|package| ("package", package)));
    rows.retain(|(_, value)| !value.is_empty());
    Some(Section {
        anchor: "origin",
        heading: "Origin",
        about: "Enough to make the model again, and to check that a file is the one this page speaks of.",
        content: html! {
            dl.lineage { @for (name, value) in rows { div { dt { (quantity::words(name)) } dd { code { (value) } } } } }
            @if !input.files.is_empty() { (files(input)) }
        },
    })
}

fn stages(input: &ReportInput) -> Markup {
    let total: f64 = input.stages.iter().map(|stage| stage.seconds.max(0.0)).sum();
    let percent = |seconds: f64| format!("{:.2}%", if total > 0.0 { 100.0 * seconds.max(0.0) / total } else { 0.0 });
    let starts = input.stages.iter().scan(0.0, |end, stage| {
        let start = *end;
        *end += stage.seconds.max(0.0);
        Some(start)
    });
    html! {
        div.scroll { table.timeline {
            caption.hidden { "Stages of the run" }
            thead { tr { th scope="col" { "Stage" } th.number scope="col" { "time" } th.lane scope="col" { "in the run" } } }
            tbody { @for (stage, start) in input.stages.iter().zip(starts) {
                tr {
                    th scope="row" { (stage.name) }
                    td.number { @if stage.cached { span.badge { "cached" } " " } (quantity::seconds(stage.seconds)) }
                    td.lane {
                        span.track aria-hidden="true" { span.bar.cached[stage.cached] style={ "--x:" (percent(start)) ";--w:" (percent(stage.seconds)) } {} }
                        span.summary { (stage.summary) }
                    }
                }
            } }
            tfoot { tr { th scope="row" { "all" } td.number { (quantity::seconds(total)) } td {} } }
        } }
    }
}

fn files(input: &ReportInput) -> Markup {
    html! {
        h3 { "Files of the package" }
        div.scroll tabindex="0" role="region" aria-label="Files of the package" { table {
            thead { tr { th scope="col" { "File" } th.number scope="col" { "size" } th scope="col" { "sha256" } } }
            tbody { @for file in &input.files { tr {
                th scope="row" { code { (file.name) } }
                td.number { (quantity::bytes(file.bytes)) }
                td { code.hash { (file.sha256) } }
            } } }
            tfoot { tr { th scope="row" { "all" } td.number { (quantity::bytes(input.files.iter().map(|file| file.bytes).sum())) } td {} } }
        } }
    }
}
