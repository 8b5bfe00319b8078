//! `lepton data diff|lineage|ingest|token`.

use super::Session;
use crate::interrupt::cancel_on_signal;
use crate::terminal::{self, Bars, Table};
use crate::version_arguments::VersionCommand;
use lepton_core::{Cancel, Error, ErrorCode, Limits, Result, thousands};
use lepton_pipeline::{
    DiffOptions, DiffReport, LineageReport, STANDARD_INPUT, StreamThreshold, append_rows, commit_rows, diff, is_full,
    lineage,
};
use serde_json::json;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Bytes of one batch of arriving rows.
const BATCH_BYTES: usize = 8 << 20;

pub(super) fn versions(session: &Session, command: &VersionCommand) -> Result<()> {
    match command {
        VersionCommand::Diff { a, b, key, label } => {
            let options = DiffOptions { key: key.clone(), label: label.clone(), limits: Limits::default() };
            let report = diff(&session.store, a, b, &options, &Bars::new(), &cancel_on_signal()?)?;
            session.show(&report, || difference(&report))
        }
        VersionCommand::Lineage { name } => {
            let report = lineage(&session.store, name)?;
            session.show(&report, || origin(&report))
        }
        VersionCommand::Ingest { dataset, input, commit, new_columns, batch_rows, seal_rows } => {
            if input.is_none() && !commit {
                return Err(Error::new(ErrorCode::Usage, "there is nothing to do")
                    .fix("name a file of JSON lines, or - for standard input, or give --commit"));
            }
            let rows = Arriving { session, dataset, new_columns: *new_columns, batch_rows: (*batch_rows).max(1) };
            rows.ingest(input.as_deref(), *commit, StreamThreshold { rows: *seal_rows, ..StreamThreshold::default() })
        }
        VersionCommand::Token { dataset: Some(dataset), .. } => create_token(session, dataset),
        VersionCommand::Token { revoke: Some(id), .. } => {
            session.store.revoke_data_token(id)?;
            session.show(&json!({"id": id, "revoked": true}), || format!("{id} is taken back\n"))
        }
        VersionCommand::Token { .. } => {
            let tokens = session.store.data_tokens()?;
            session.show(&json!({ "tokens": tokens }), || {
                let mut table = Table::new(&["id", "dataset", "created", "taken back"]);
                for token in &tokens {
                    table.row([
                        &token.id,
                        &token.dataset,
                        &token.created,
                        token.revoked.as_ref().unwrap_or(&"-".into()),
                    ]);
                }
                table.text()
            })
        }
    }
}

fn create_token(session: &Session, dataset: &str) -> Result<()> {
    lepton_pipeline::check_dataset_name(dataset)?;
    let (token, text) = session.store.create_data_token(dataset)?;
    session.show(&json!({"id": token.id, "dataset": token.dataset, "token": text}), || {
        terminal::say("this is shown once; only its hash is kept");
        format!("{text}\n")
    })
}

struct Arriving<'a> {
    session: &'a Session,
    dataset: &'a str,
    new_columns: bool,
    batch_rows: usize,
}

impl Arriving<'_> {
    fn ingest(&self, input: Option<&Path>, commit: bool, threshold: StreamThreshold) -> Result<()> {
        lepton_pipeline::check_dataset_name(self.dataset)?;
        let (store, cancel) = (&self.session.store, cancel_on_signal()?);
        let (mut last, mut rows, mut versions) = (None, 0, Vec::new());
        if let Some(input) = input {
            let reader: Box<dyn Read> = if input == Path::new("-") {
                Box::new(std::io::stdin().lock())
            } else {
                Box::new(File::open(input).map_err(|source| Error::io("read the file", input, source))?)
            };
            let name = if input == Path::new("-") { Path::new(STANDARD_INPUT) } else { input };
            let mut reader = BufReader::with_capacity(1 << 18, reader);
            let mut before = 0;
            while let Some((batch, lines)) = self.next_batch(&mut reader, name, before)? {
                cancel.check()?;
                if !batch.trim_ascii().is_empty() {
                    let receipt = append_rows(store, self.dataset, &batch, None, self.new_columns, &Limits::default())
                        .map_err(|error| placed(error, name, before, rows))?;
                    rows += receipt.rows;
                    last = Some(receipt);
                    if is_full(store, self.dataset, threshold)? {
                        versions.push(self.version(&cancel)?);
                    }
                }
                before += lines;
            }
        }
        if commit {
            let version = self.version(&cancel)?;
            if versions.last() != Some(&version) {
                versions.push(version);
            }
        }
        let value = json!({
            "dataset": self.dataset, "rows": rows, "sequence": last.map(|receipt| receipt.sequence),
            "total_rows": last.map(|receipt| receipt.total_rows), "versions": versions,
        });
        self.session.show(&value, || {
            let mut text = String::new();
            if let Some(receipt) = last {
                let (rows, total) = (thousands(rows), thousands(receipt.total_rows));
                text.push_str(&format!("{rows} rows are kept; {} has {total} in all\n", self.dataset));
            }
            for version in &versions {
                let rows = thousands(version.rows as u64);
                text.push_str(&format!("version {}@{} has {rows} rows\n", version.dataset, version.version.short()));
            }
            if versions.is_empty() {
                text.push_str(&format!("make a version of them: lepton data ingest {} --commit\n", self.dataset));
            }
            text
        })
    }

    fn version(&self, cancel: &Cancel) -> Result<lepton_pipeline::VersionView> {
        commit_rows(&self.session.store, self.dataset, &Limits::default(), &Bars::new(), cancel)
    }

    /// Whole lines, and how many; never more than a batch in memory, but for one line that is longer by itself.
    fn next_batch(&self, reader: &mut impl BufRead, name: &Path, before: u64) -> Result<Option<(Vec<u8>, u64)>> {
        let (mut batch, mut lines) = (Vec::new(), 0);
        let longest = Limits::default().body_bytes;
        while lines < self.batch_rows as u64 && batch.len() < BATCH_BYTES {
            let start = batch.len() as u64;
            let read = reader.by_ref().take(longest + 1).read_until(b'\n', &mut batch);
            let count = read.map_err(|source| Error::io("read", name, source))? as u64;
            if count > longest {
                let message = format!("a line is longer than the limit body_bytes = {longest}");
                return Err(Error::new(ErrorCode::TooLarge, message).in_file(name).at_row(before + lines + 1));
            }
            if batch.len() as u64 == start {
                break;
            }
            lines += 1;
        }
        Ok((lines > 0).then_some((batch, lines)))
    }
}

/// The error of a batch, with the line of the file and what was kept before it.
fn placed(error: Error, name: &Path, before: u64, kept: u64) -> Error {
    let row = error.place().row;
    let mut message = error.message().replace("of this request", "of its batch");
    if before > 0 {
        message.push_str(&format!(
            " (lines are counted in the batch, which begins after line {before}; {} rows before it are kept)",
            thousands(kept)
        ));
    }
    let mut placed = Error::new(error.code(), message).in_file(name);
    if let Some(row) = row {
        placed = placed.at_row(before + row);
    }
    match error.remedy() {
        Some(remedy) => placed.fix(remedy),
        None => placed,
    }
}

fn difference(report: &DiffReport) -> String {
    let mut text = format!(
        "a  {}  sha256:{}  {} rows\nb  {}  sha256:{}  {} rows\n\n",
        report.a.name,
        report.a.sha256.short(),
        thousands(report.a.rows as u64),
        report.b.name,
        report.b.sha256.short(),
        thousands(report.b.rows as u64)
    );
    if report.same {
        text.push_str("no difference\n");
        return text;
    }
    let mut columns = Table::new(&["column", "change"]);
    report.columns_added.iter().for_each(|name| columns.row([name.as_str(), "only in b"]));
    report.columns_removed.iter().for_each(|name| columns.row([name.as_str(), "only in a"]));
    for change in &report.columns_changed {
        columns.row([change.column.clone(), format!("{} -> {}", change.from, change.to)]);
    }
    if report.columns_added.len() + report.columns_removed.len() + report.columns_changed.len() > 0 {
        text.push_str(&format!("{}\n", columns.text()));
    }
    let count = |count: usize| thousands(count as u64);
    let mut rows = Table::new(&["added", "removed", "changed", "unchanged", "in another part"]);
    let counts = report.rows;
    let changed = if report.key.is_empty() { "- (needs --key)".to_owned() } else { count(counts.changed) };
    rows.row([count(counts.added), count(counts.removed), changed, count(counts.unchanged), count(counts.moved)]);
    text.push_str(&format!("{}\n", rows.text()));
    if !report.changed_cells.is_empty() {
        let mut cells = Table::new(&["column", "changed cells"]);
        report.changed_cells.iter().for_each(|(name, cell)| cells.row([name.clone(), count(*cell)]));
        text.push_str(&format!("{}\n", cells.text()));
    }
    let mut parts = Table::new(&["part", "rows in a", "rows in b"]);
    report.parts.iter().for_each(|(part, rows)| parts.row([part.to_string(), count(rows.before), count(rows.after)]));
    text.push_str(&format!("{}\n", parts.text()));
    if let Some(label) = &report.label {
        let mut labels = Table::new(&[label.as_str(), "rows in a", "rows in b"]);
        for (value, rows) in report.labels.iter().take(30) {
            labels.row([value.clone(), count(rows.before), count(rows.after)]);
        }
        text.push_str(&format!("{}\n", labels.text()));
    }
    let mut examples = Table::new(&["what", "part", "row", "cells"]);
    for row in &report.examples {
        let cells: Vec<String> = row.cells.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let cells: String = cells.join(", ").chars().take(100).collect();
        examples.row([row.what.to_owned(), row.part.to_string(), row.row.to_string(), cells]);
    }
    text.push_str(&examples.text());
    text
}

fn origin(report: &LineageReport) -> String {
    let mut text =
        format!("dataset  {}\nversion  sha256:{}\ncreated  {}\n\n", report.dataset, report.version, report.created);
    let mut source = Table::new(&["source", "bytes", "sha256", "repaired from", "repairs"]);
    for file in &report.source {
        let (from, repairs) = match &file.repaired {
            Some(repaired) => {
                let changes = thousands(repaired.change_count as u64);
                (repaired.original_sha256.short(), format!("{} ({changes} changes)", repaired.repairs.join(", ")))
            }
            None => ("-".to_owned(), "-".to_owned()),
        };
        let (path, bytes) = (file.path.display().to_string(), thousands(file.bytes));
        source.row([path, bytes, file.sha256.short(), from, repairs]);
    }
    text.push_str(&source.text());
    for file in &report.source {
        let Some(repaired) = &file.repaired else { continue };
        for (what, path) in [("plan", &repaired.plan), ("changes", &repaired.changes)] {
            if let Some(path) = path {
                text.push_str(&format!("{what} of {}: {}\n", file.path.display(), path.display()));
            }
        }
    }
    let mut runs = Table::new(&["run", "project", "status", "started"]);
    report.runs.iter().for_each(|run| runs.row([&run.run, &run.project, &run.status, &run.started]));
    text.push_str(&format!("\n{}\n", runs.text()));
    let mut models = Table::new(&["model", "run", "registered"]);
    for model in &report.models {
        models.row([&model.model, model.run.as_ref().unwrap_or(&"-".into()), &model.created]);
    }
    text.push_str(&models.text());
    text
}
