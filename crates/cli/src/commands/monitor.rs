//! `lepton monitor report`.

use super::Session;
use crate::arguments::MonitorCommand;
use crate::terminal::Table;
use lepton_core::{Limits, ModelRef, Result};
use lepton_pipeline::{MonitorReport, monitor_report};

pub(super) fn monitor(session: &Session, command: &MonitorCommand) -> Result<u8> {
    let MonitorCommand::Report { model } = command;
    report(session, model)?;
    Ok(0)
}

fn report(session: &Session, model: &ModelRef) -> Result<()> {
    let report = monitor_report(&session.store, model, &Limits::default())?;
    session.show(&report, || text(&report))
}

fn text(report: &MonitorReport) -> String {
    let mut text = format!(
        "model    {}\nwindows  {} from {} to {}\nrows     {}\n\n",
        report.model, report.windows, report.started, report.ended, report.drift.rows
    );
    let mut table = Table::new(&["column", "statistic", "value", "threshold", "verdict"]);
    for column in report.drift.columns.iter().chain(&report.drift.predictions) {
        let verdict = match column.drifted {
            Some(true) => "DRIFTED",
            Some(false) => "as in training",
            None => "too few rows to say",
        };
        table.row([
            column.column.clone(),
            column.statistic.to_string(),
            column.value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}")),
            format!("{:.4}", column.threshold),
            verdict.to_owned(),
        ]);
    }
    text.push_str(&table.text());
    text
}
