//! `lepton data sql`.

use super::{Session, doctor};
use crate::arguments::Reading;
use crate::interrupt::cancel_on_signal;
use crate::terminal::{Bars, Table};
use lepton_core::{Error, Limits, Result, thousands};
use lepton_data::sql::SqlValue;
use lepton_pipeline::{QueryOptions, QueryReport, query};
use std::io::Read;
use std::path::Path;

/// Characters of a cell that are shown in a table.
const WIDEST: usize = 80;

pub(super) fn sql(session: &Session, text: &str, reading: &Reading, limit: usize, to: Option<&Path>) -> Result<()> {
    let text = if text == "-" { read()? } else { text.to_owned() };
    let options = QueryOptions { limit, to: to.map(Path::to_path_buf) };
    let (settings, cancel) = (doctor::settings(reading), cancel_on_signal()?);
    let report = query(&session.store, &text, &settings, &options, &Bars::new(), &cancel)?;
    session.show(&report, || answer(&report))
}

fn read() -> Result<String> {
    let most = Limits::default().cell_bytes as u64;
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(most)
        .read_to_string(&mut text)
        .map_err(|source| Error::io("read the query", "standard input", source))?;
    Ok(text)
}

fn answer(report: &QueryReport) -> String {
    let headings: Vec<&str> = report.columns.iter().map(String::as_str).collect();
    let mut table = Table::new(&headings);
    for row in &report.rows {
        table.row(row.iter().map(cell));
    }
    let shown = if report.is_cut {
        format!(
            "{} of {} rows; --limit shows more, --to FILE writes all",
            thousands(report.rows.len() as u64),
            thousands(report.row_count)
        )
    } else if report.row_count == 1 {
        "1 row".to_owned()
    } else {
        format!("{} rows", thousands(report.row_count))
    };
    let mut text = format!("{}\n{shown}\n", table.text());
    for table in &report.tables {
        text.push_str(&format!(
            "read {}: {} rows; sha256:{}\n",
            table.name,
            thousands(table.rows),
            table.sha256.short()
        ));
    }
    if let Some(file) = &report.file {
        text.push_str(&format!("file {}; sha256:{}\n", file.path.display(), file.sha256.short()));
    }
    text
}

/// A value on one line. Nothing is a dash, which a text is too; --json tells them apart.
fn cell(value: &SqlValue) -> String {
    let text = value.text().unwrap_or_else(|| "-".to_owned()).replace(['\n', '\r', '\t'], " ");
    if text.chars().count() <= WIDEST {
        return text;
    }
    format!("{}...", text.chars().take(WIDEST).collect::<String>())
}
