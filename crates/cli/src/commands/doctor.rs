//! `lepton data profile|doctor|repair|undo`.

use super::Session;
use super::profile::{head, profile_object, profile_text};
use crate::arguments::{DataPath, Reading};
use crate::interrupt::cancel_on_signal;
use crate::terminal::{self, Bars, Table};
use lepton_core::{Error, ErrorCode, Result, thousands};
use lepton_doctor::Finding;
use lepton_doctor::checks::CheckOptions;
use lepton_pipeline::report::{DataPage, data_html};
use lepton_pipeline::{
    Examination, Examined, ReadSettings, STANDARD_INPUT, Spooled, Subject, examine, repair_data, undo_data,
};
use serde_json::json;
use std::path::Path;

pub(super) fn settings(reading: &Reading) -> ReadSettings {
    ReadSettings {
        format: reading.format,
        delimiter: reading.delimiter,
        encoding: reading.encoding.clone(),
        threads: reading.threads.map_or(0, std::num::NonZeroUsize::get),
        ..ReadSettings::default()
    }
}

/// Memory for rows of a table that the doctor holds against each other.
const BEGINNING_BYTES: usize = 128 << 20;

fn look(session: &Session, data: &DataPath, target: Option<&str>, beginning_bytes: usize) -> Result<Examination> {
    let options = CheckOptions { target: target.map(str::to_owned) };
    let settings = ReadSettings { beginning_bytes, ..settings(&data.reading) };
    if data.data == Path::new("-") {
        let spooled = Spooled::read(&session.store, &mut std::io::stdin().lock(), settings.format, &settings.limits)?;
        let (file, format) = (spooled.path().to_path_buf(), Some(spooled.format()));
        let subject = Subject::Table { name: STANDARD_INPUT.to_owned(), file, format };
        return examine(&session.store, subject, &settings, &options, &Bars::new(), &cancel_on_signal()?)
            .map_err(|error| spooled.explain(error));
    }
    let subject = Subject::find(&session.store, &data.data, &settings.limits)?;
    examine(&session.store, subject, &settings, &options, &Bars::new(), &cancel_on_signal()?)
}

/// The page of what was looked at, where one was asked for.
fn page(
    examination: &Examination,
    data: &DataPath,
    to: Option<&Path>,
    with_findings: bool,
    target: Option<&str>,
) -> Result<()> {
    let Some(to) = to else { return Ok(()) };
    let command: Vec<String> = std::env::args().collect();
    let page = DataPage {
        examination,
        with_findings,
        target,
        command: &command.join(" "),
        created: &lepton_pipeline::now_utc(),
        environment: &lepton_pipeline::environment(0, ""),
    };
    lepton_pipeline::write_about(&data.data, to, "--html", &data_html(&page))?;
    terminal::say(&format!("page: {}", to.display()));
    Ok(())
}

pub(super) fn profile(session: &Session, data: &DataPath, html: Option<&Path>) -> Result<()> {
    let examination = look(session, data, None, 0)?;
    page(&examination, data, html, false, None)?;
    session.show(&profile_object(&examination), || profile_text(&examination))
}

pub(super) fn doctor(
    session: &Session,
    data: &DataPath,
    target: Option<&str>,
    plan: Option<&Path>,
    html: Option<&Path>,
) -> Result<()> {
    let examination = look(session, data, target, BEGINNING_BYTES)?;
    page(&examination, data, html, true, target)?;
    if let Some(plan) = plan {
        lepton_pipeline::write_about(&data.data, plan, "--plan", &examination.plan()?)?;
    }
    let findings = &examination.findings;
    let (kind, columns) = match &examination.content {
        Examined::Table(profile) => ("table", profile.columns.len()),
        // A picture or a sound, and its label where there are classes.
        Examined::Pictures(profile) => ("pictures", 1 + usize::from(!profile.collection.classes().is_empty())),
        Examined::Audio(profile) => ("audio", 1 + usize::from(!profile.collection.classes().is_empty())),
    };
    let value = json!({
        "file": examination.name, "kind": kind, "sha256": examination.sha256(), "rows": examination.rows(),
        "columns": columns, "findings": findings, "plan": plan,
    });
    session.show(&value, || {
        let mut text = head(&examination);
        if findings.is_empty() {
            text.push_str("no findings\n");
            return text;
        }
        let mut list = match examination.content {
            Examined::Table(_) => Table::new(&["severity", "finding", "column", "what", "where", "repair"]),
            _ => Table::new(&["severity", "finding", "what", "where", "repair"]),
        };
        for finding in findings {
            match examination.content {
                Examined::Table(_) => list.row(line(finding)),
                _ => list.row(media_line(finding)),
            }
        }
        text.push_str(&list.text());
        // What came through standard input must be a file before it can be repaired.
        let data = if examination.name == STANDARD_INPUT { "FILE" } else { &examination.name };
        let next = match plan {
            Some(plan) => {
                let plan = plan.display();
                format!("edit {plan}, then: lepton data repair {data} --plan {plan} --to NEW\n")
            }
            None => format!("a plan of all repairs: lepton data doctor {data} --plan plan.toml\n"),
        };
        text.push_str(&format!("\n{next}"));
        text
    })
}

fn repair_of(finding: &Finding) -> String {
    match &finding.repair {
        Some(proposal) if proposal.safe => proposal.action.name().to_owned(),
        Some(proposal) => format!("({})", proposal.action.name()),
        None => "-".to_owned(),
    }
}

/// A finding of pictures or sounds: no column, and names in place of rows.
fn media_line(finding: &Finding) -> [String; 5] {
    let evidence = &finding.evidence;
    let grouped = evidence.file_groups.iter().take(1).flatten().map(String::as_str);
    let named: Vec<&str> = evidence
        .files
        .iter()
        .map(|file| file.file.as_str())
        .chain(grouped)
        .chain(evidence.values.iter().map(|value| value.value.as_str()))
        .take(2)
        .collect();
    let more = if finding.count > named.len() as u64 && !named.is_empty() { ", ..." } else { "" };
    let place = if named.is_empty() { "-".to_owned() } else { format!("{}{more}", named.join(", ")) };
    [
        finding.severity.name().to_owned(),
        finding.kind.name().to_owned(),
        finding.message.clone(),
        place,
        repair_of(finding),
    ]
}

fn line(finding: &Finding) -> [String; 6] {
    let evidence = &finding.evidence;
    let mut rows: Vec<u64> = evidence.rows.iter().copied().take(4).collect();
    rows.extend(evidence.values.iter().take(4_usize.saturating_sub(rows.len())).map(|value| value.row));
    rows.extend(evidence.groups.iter().flatten().take(4_usize.saturating_sub(rows.len())));
    let place = rows.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let more = if finding.count > rows.len() as u64 && !rows.is_empty() { ", ..." } else { "" };
    [
        finding.severity.name().to_owned(),
        finding.kind.name().to_owned(),
        finding.column.clone().unwrap_or_else(|| "-".to_owned()),
        finding.message.clone(),
        if place.is_empty() { "-".to_owned() } else { format!("row {place}{more}") },
        repair_of(finding),
    ]
}

pub(super) fn repair(session: &Session, data: &DataPath, plan: &Path, to: &Path, log: Option<&Path>) -> Result<()> {
    let (settings, cancel) = (settings(&data.reading), cancel_on_signal()?);
    if data.data == Path::new("-") {
        return Err(Error::new(ErrorCode::Unsupported, "standard input cannot be repaired")
            .fix("save it as a file: the original is what undo gives back"));
    }
    let subject = Subject::find(&session.store, &data.data, &settings.limits)?;
    let is_table = matches!(subject, Subject::Table { .. });
    let report = repair_data(&session.store, subject, plan, to, &settings, &Bars::new(), &cancel)?;
    if let Some(log) = log {
        std::fs::copy(&report.log, log).map_err(|source| Error::io("write the change log", log, source))?;
    }
    session.show(&report, || {
        let mut text = format!(
            "{} {} of {} are left in {}\n\n",
            thousands(report.rows[1]),
            if is_table { "rows" } else { "items" },
            thousands(report.rows[0]),
            to.display()
        );
        let mut list = match is_table {
            true => Table::new(&["repair", "cells", "rows dropped", "columns dropped"]),
            false => Table::new(&["repair", "changed", "dropped"]),
        };
        for step in &report.repairs {
            let id = step.id.clone();
            match is_table {
                true => list.row([id, thousands(step.cells), thousands(step.rows), thousands(step.columns)]),
                false => list.row([id, thousands(step.cells), thousands(step.rows)]),
            }
        }
        text.push_str(&list.text());
        text.push_str(&format!(
            "\nevery change: {}\nthe way back: lepton data undo {} --to NEW [--repair ID]\n",
            report.log.display(),
            to.display()
        ));
        text
    })
}

pub(super) fn undo(session: &Session, file: &Path, repairs: &[String], to: &Path) -> Result<()> {
    let report = undo_data(&session.store, file, repairs, to, &Bars::new(), &cancel_on_signal()?)?;
    session.show(&report, || {
        let left =
            if report.left.is_empty() { "nothing: it is the original".to_owned() } else { report.left.join(", ") };
        format!("undone: {}\nleft:   {left}\nfile:   {}\n", report.undone.join(", "), to.display())
    })
}
