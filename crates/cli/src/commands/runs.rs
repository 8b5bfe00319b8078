//! `lepton runs list|show|report`.

use super::Session;
use crate::arguments::RunsCommand;
use crate::terminal::{self, Table};
use lepton_core::{Error, ErrorCode, Result};
use lepton_store::{RunRecord, StageRecord};
use serde_json::{Value, json};

pub(super) fn runs(session: &Session, command: &RunsCommand) -> Result<u8> {
    match command {
        RunsCommand::List { limit } => list(session, *limit)?,
        RunsCommand::Show { run } => {
            let (record, stages) = session.store.run(run)?;
            session.show(&object(&record, &stages), || details(&record, &stages))?;
        }
        RunsCommand::Report { run } => report(session, run)?,
    }
    Ok(0)
}

fn list(session: &Session, limit: usize) -> Result<()> {
    let records = session.store.runs(limit)?;
    let objects: Vec<Value> = records.iter().map(|record| object(record, &[])).collect();
    session.show(&json!({ "runs": objects }), || {
        let mut table = Table::new(&["run", "project", "status", "started", "test accuracy"]);
        for record in &records {
            let accuracy = record.result.as_ref().and_then(|result| result.pointer("/metrics/test/accuracy")?.as_f64());
            let accuracy = accuracy.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
            table.row([&record.id, &record.name, record.status.name(), &record.started, &accuracy]);
        }
        table.text()
    })
}

fn object(record: &RunRecord, stages: &[StageRecord]) -> Value {
    let stages: Vec<Value> = stages
        .iter()
        .map(|stage| {
            json!({
                "name": stage.stage, "status": stage.status.name(), "seconds": stage.seconds,
                "cached": stage.cached, "summary": stage.summary,
            })
        })
        .collect();
    json!({
        "run": record.id, "project": record.name, "folder": record.project, "status": record.status.name(),
        "started": record.started, "ended": record.ended, "command": record.command, "settings": record.spec,
        "stages": stages, "result": record.result, "error": record.error,
    })
}

fn details(record: &RunRecord, stages: &[StageRecord]) -> String {
    let mut text = format!(
        "run      {}\nproject  {} ({})\nstatus   {}\nstarted  {}\nended    {}\ncommand  {}\n",
        record.id,
        record.name,
        record.project.display(),
        record.status.name(),
        record.started,
        record.ended.as_deref().unwrap_or("-"),
        record.command.join(" "),
    );
    if let Some(error) = &record.error {
        text.push_str(&format!("error    {error}\n"));
    }
    let mut table = Table::new(&["stage", "status", "time", "result"]);
    for stage in stages {
        let time = if stage.cached { "cached".to_owned() } else { terminal::seconds(stage.seconds) };
        table.row([stage.stage.as_str(), stage.status.name(), &time, &stage.summary]);
    }
    text.push_str(&format!("\n{}", table.text()));
    text
}

fn report(session: &Session, wanted: &str) -> Result<()> {
    let (record, _) = session.store.run(wanted)?;
    let path = record.result.as_ref().and_then(|result| Some(result.get("report")?.as_str()?.to_owned()));
    let path = path.ok_or_else(|| {
        Error::new(ErrorCode::NotFound, format!("run {} has no report: it is {}", record.id, record.status.name()))
            .fix("a report is written when a run ends well; run the project again")
    })?;
    session.show(&json!({ "run": record.id, "report": path }), || format!("{path}\n"))
}
