//! `lepton data profile|doctor|repair|undo`.

use super::Session;
use crate::arguments::TableFile;
use crate::interrupt::cancel_on_signal;
use crate::terminal::{self, Bars, Table};
use lepton_core::{Error, Result, thousands};
use lepton_doctor::checks::CheckOptions;
use lepton_doctor::profile::{ColumnView, Profile};
use lepton_doctor::{Finding, Severity};
use lepton_pipeline::{Examination, ReadSettings, examine, plan_of, repair_file, undo_file};
use serde_json::json;
use std::path::Path;

fn settings(table: &TableFile) -> ReadSettings {
    ReadSettings {
        format: table.format,
        delimiter: table.delimiter,
        encoding: table.encoding.clone(),
        threads: table.threads.map_or(0, std::num::NonZeroUsize::get),
        ..ReadSettings::default()
    }
}

fn look(session: &Session, table: &TableFile, target: Option<&str>) -> Result<Examination> {
    let options = CheckOptions { target: target.map(str::to_owned) };
    examine(&session.store, &table.file, &settings(table), &options, &Bars::new(), &cancel_on_signal()?)
}

pub(super) fn profile(session: &Session, table: &TableFile) -> Result<()> {
    let profile = look(session, table, None)?.profile;
    let columns = profile.view();
    let value = json!({
        "file": table.file, "sha256": profile.source.sha256, "bytes": profile.source.bytes,
        "format": profile.format.name(), "delimiter": profile.delimiter, "rows": profile.rows, "columns": columns,
        "duplicate_rows": profile.duplicates.count, "ragged_rows": profile.ragged.count,
    });
    session.show(&value, || {
        let mut text = head(&profile);
        let mut table = Table::new(&["column", "type", "missing", "distinct", "min", "median", "max", "most frequent"]);
        for column in &columns {
            table.row(row(column, profile.rows));
        }
        text.push_str(&table.text());
        text
    })
}

fn head(profile: &Profile) -> String {
    format!(
        "{} rows, {} columns, {} of {}; {} repeat an earlier row; sha256:{}\n\n",
        thousands(profile.rows),
        profile.columns.len(),
        terminal::bytes(profile.source.bytes),
        profile.format.name(),
        thousands(profile.duplicates.count),
        profile.source.sha256.short(),
    )
}

fn row(column: &ColumnView, rows: u64) -> [String; 8] {
    let missing = match column.missing {
        0 => "-".to_owned(),
        missing => format!("{} ({:.1} %)", thousands(missing), 100.0 * missing as f64 / rows.max(1) as f64),
    };
    let about = if column.distinct_is_exact { "" } else { "~" };
    let quantile = |place: usize| column.numbers.as_ref().map_or("-".to_owned(), |view| number(view.quantiles[place]));
    let top = column.top.first().map_or_else(
        || "-".to_owned(),
        |value| {
            let mut text: String = value.value.chars().take(24).collect();
            text = text.replace(['\n', '\r', '\t'], " ");
            format!("{text} ({})", thousands(value.count))
        },
    );
    let distinct = format!("{about}{}", thousands(column.distinct));
    let (low, middle, high) = (quantile(0), quantile(3), quantile(6));
    [column.name.clone(), column.semantic.name().to_owned(), missing, distinct, low, middle, high, top]
}

pub(super) fn doctor(session: &Session, table: &TableFile, target: Option<&str>, plan: Option<&Path>) -> Result<()> {
    let examination = look(session, table, target)?;
    if let Some(plan) = plan {
        let text = plan_of(&examination, &table.file)?;
        std::fs::write(plan, text).map_err(|source| Error::io("write the plan", plan, source))?;
    }
    let (profile, findings) = (&examination.profile, &examination.findings);
    let value = json!({
        "file": table.file, "sha256": profile.source.sha256, "rows": profile.rows,
        "columns": profile.columns.len(), "findings": findings, "plan": plan,
    });
    session.show(&value, || {
        let mut text = head(profile);
        if findings.is_empty() {
            text.push_str("no findings\n");
            return text;
        }
        let mut list = Table::new(&["severity", "finding", "column", "what", "where", "repair"]);
        for finding in findings {
            list.row(line(finding));
        }
        text.push_str(&list.text());
        let next = match plan {
            Some(plan) => {
                let (file, plan) = (table.file.display(), plan.display());
                format!("edit {plan}, then: lepton data repair {file} --plan {plan} --to NEW_FILE\n")
            }
            None => format!("a plan of all repairs: lepton data doctor {} --plan plan.toml\n", table.file.display()),
        };
        text.push_str(&format!("\n{next}"));
        text
    })
}

fn line(finding: &Finding) -> [String; 6] {
    let severity = match finding.severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let evidence = &finding.evidence;
    let mut rows: Vec<u64> = evidence.rows.iter().copied().take(4).collect();
    rows.extend(evidence.values.iter().take(4_usize.saturating_sub(rows.len())).map(|value| value.row));
    rows.extend(evidence.groups.iter().flatten().take(4_usize.saturating_sub(rows.len())));
    let place = rows.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let more = if finding.count > rows.len() as u64 && !rows.is_empty() { ", ..." } else { "" };
    let repair = match &finding.repair {
        Some(proposal) if proposal.safe => proposal.action.name().to_owned(),
        Some(proposal) => format!("({})", proposal.action.name()),
        None => "-".to_owned(),
    };
    [
        severity.to_owned(),
        finding.kind.name().to_owned(),
        finding.column.clone().unwrap_or_else(|| "-".to_owned()),
        finding.message.clone(),
        if place.is_empty() { "-".to_owned() } else { format!("row {place}{more}") },
        repair,
    ]
}

pub(super) fn repair(session: &Session, table: &TableFile, plan: &Path, to: &Path, log: Option<&Path>) -> Result<()> {
    let cancel = cancel_on_signal()?;
    let report = repair_file(&session.store, &table.file, plan, to, &settings(table), &Bars::new(), &cancel)?;
    if let Some(log) = log {
        std::fs::copy(&report.log, log).map_err(|source| Error::io("write the change log", log, source))?;
    }
    session.show(&report, || {
        let mut text = format!(
            "{} rows of {} are left in {}\n\n",
            thousands(report.rows[1]),
            thousands(report.rows[0]),
            to.display()
        );
        let mut list = Table::new(&["repair", "cells", "rows dropped", "columns dropped"]);
        for step in &report.repairs {
            list.row([step.id.clone(), thousands(step.cells), thousands(step.rows), thousands(step.columns)]);
        }
        text.push_str(&list.text());
        text.push_str(&format!(
            "\nevery change: {}\nthe way back: lepton data undo {} --to NEW_FILE [--repair ID]\n",
            report.log.display(),
            to.display()
        ));
        text
    })
}

pub(super) fn undo(session: &Session, file: &Path, repairs: &[String], to: &Path) -> Result<()> {
    let report = undo_file(&session.store, file, repairs, to, &Bars::new(), &cancel_on_signal()?)?;
    session.show(&report, || {
        let left =
            if report.left.is_empty() { "nothing: it is the original".to_owned() } else { report.left.join(", ") };
        format!("undone: {}\nleft:   {left}\nfile:   {}\n", report.undone.join(", "), to.display())
    })
}

/// A number with as many digits as a person reads.
fn number(value: f64) -> String {
    let magnitude = value.abs();
    if value.fract() == 0.0 && magnitude < 1e15 {
        format!("{value}")
    } else if (1e-3..1e9).contains(&magnitude) {
        format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        format!("{value:.3e}")
    }
}
