//! Runs and their stages: what was asked, how it goes, how it ended, and the report.

use crate::database::{Outcome, parse_json, to_json};
use crate::{Store, plain_file_name, session, time};
use lepton_core::{Digest, Error, ErrorCode, Result};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;

/// What a run is created from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewRun {
    /// The project's name.
    pub name: String,
    /// The project's folder.
    pub project: PathBuf,
    /// What was typed.
    pub command: Vec<String>,
    /// The whole settings tree of the run.
    pub spec: Value,
}

/// How a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Its process is at work.
    Running,
    /// It ended well.
    Succeeded,
    /// It ended with an error.
    Failed,
    /// It was asked to stop.
    Cancelled,
    /// Its process died before it could say how it ended.
    Interrupted,
}

impl RunStatus {
    const ALL: [(RunStatus, &str); 5] = [
        (RunStatus::Running, "running"),
        (RunStatus::Succeeded, "done"),
        (RunStatus::Failed, "failed"),
        (RunStatus::Cancelled, "cancelled"),
        (RunStatus::Interrupted, "interrupted"),
    ];

    /// The name in tables and JSON.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }
}

/// How a stage of a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageStatus {
    /// At work.
    Running,
    /// Ended well, by computing or from the cache.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Asked to stop.
    Cancelled,
    /// Not part of this run.
    Skipped,
    /// The run's process died in it.
    Interrupted,
}

impl StageStatus {
    const ALL: [(StageStatus, &str); 6] = [
        (StageStatus::Running, "running"),
        (StageStatus::Succeeded, "done"),
        (StageStatus::Failed, "failed"),
        (StageStatus::Cancelled, "cancelled"),
        (StageStatus::Skipped, "skipped"),
        (StageStatus::Interrupted, "interrupted"),
    ];

    /// The name in tables and JSON.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Sortable by start: `20261123-131415-7f3a`.
    pub id: String,
    /// The project's name.
    pub name: String,
    /// The project's folder.
    pub project: PathBuf,
    /// What was typed.
    pub command: Vec<String>,
    /// The whole settings tree of the run.
    pub spec: Value,
    /// How it goes. [`RunStatus::Interrupted`] is found out when the row is read.
    pub status: RunStatus,
    /// The process that runs, or ran, it.
    pub pid: u32,
    /// RFC 3339, UTC.
    pub started: String,
    /// RFC 3339, UTC; `None` while it runs and when it was interrupted.
    pub ended: Option<String>,
    /// What it came to.
    pub result: Option<Value>,
    /// What went wrong.
    pub error: Option<String>,
}

/// One stage of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// The stage's name.
    pub stage: String,
    /// How it goes.
    pub status: StageStatus,
    /// Wall time.
    pub seconds: f64,
    /// Whether its result came from the cache.
    pub cached: bool,
    /// The key of its result in the cache.
    pub key: Option<Digest>,
    /// One line for a person.
    pub summary: String,
}

const COLUMNS: &str = "id, name, project, command, spec, status, session, pid, started, ended, result, error";

impl Store {
    /// Notes that a run begins. It counts as running while this store (or a clone of it) is open in a
    /// living process, until [`Store::finish_run`].
    ///
    /// # Errors
    /// [`ErrorCode::StorageFull`], [`ErrorCode::Locked`] or [`ErrorCode::Io`].
    pub fn create_run(&self, new: NewRun) -> Result<RunRecord> {
        let now = self.now();
        let project = new
            .project
            .to_str()
            .ok_or_else(|| Error::new(ErrorCode::BadInput, "the project's path is not UTF-8").in_file(&new.project))?;
        let (command, spec) = (to_json(&new.command)?, to_json(&new.spec)?);
        self.write("create the run", |transaction| {
            let id = loop {
                let id = format!("{}-{:04x}", time::compact(now), session::random() & 0xFFFF);
                if find(transaction, &id)?.is_none() {
                    break id;
                }
            };
            transaction.execute(
                "INSERT INTO runs (id, name, project, command, spec, status, session, pid, started)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    id,
                    new.name,
                    project,
                    command,
                    spec,
                    RunStatus::Running.name(),
                    self.disk().session().id(),
                    std::process::id(),
                    time::rfc3339(now)
                ],
            )?;
            let row = find(transaction, &id)?;
            row.ok_or_else(|| Error::internal("a run vanished while it was created"))?.check(self)
        })
    }

    /// Notes how a run ended.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for an unknown id; [`ErrorCode::Internal`] when the run has ended already or
    /// `status` is not an end.
    pub fn finish_run(&self, id: &str, status: RunStatus, result: Option<&Value>, error: Option<&str>) -> Result<()> {
        if matches!(status, RunStatus::Running | RunStatus::Interrupted) {
            return Err(Error::internal(format!("a run cannot end as {}", status.name())));
        }
        let result = result.map(to_json).transpose()?;
        let ended = time::rfc3339(self.now());
        self.write("finish the run", |transaction| {
            let changed = transaction.execute(
                "UPDATE runs SET status = ?2, ended = ?3, result = ?4, error = ?5 WHERE id = ?1 AND status = 'running'",
                params![id, status.name(), ended, result, error],
            )?;
            match changed {
                0 if find(transaction, id)?.is_none() => Err(unknown_run(id).into()),
                0 => Err(Error::internal(format!("run {id} has ended already")).into()),
                _ => Ok(()),
            }
        })
    }

    /// Notes how a stage goes; a second record of the same stage replaces the first.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for an unknown run.
    pub fn record_stage(&self, run: &str, stage: &StageRecord) -> Result<()> {
        self.write("record the stage", |transaction| {
            if find(transaction, run)?.is_none() {
                return Err(unknown_run(run).into());
            }
            transaction.execute(
                "INSERT INTO run_stages (run, stage, status, seconds, cached, key, summary)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (run, stage) DO UPDATE SET status = excluded.status, seconds = excluded.seconds,
                     cached = excluded.cached, key = excluded.key, summary = excluded.summary",
                params![
                    run,
                    stage.stage,
                    stage.status.name(),
                    stage.seconds,
                    stage.cached,
                    stage.key.map(|key| key.hex()),
                    stage.summary
                ],
            )?;
            Ok(())
        })
    }

    /// The newest runs, newest first.
    ///
    /// # Errors
    /// [`ErrorCode::Io`] or [`ErrorCode::Integrity`].
    pub fn runs(&self, limit: usize) -> Result<Vec<RunRecord>> {
        self.read("list the runs", |connection| {
            let sql = format!("SELECT {COLUMNS} FROM runs ORDER BY sequence DESC LIMIT ?1");
            let mut statement = connection.prepare_cached(&sql)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = statement.query_map([limit], RunRow::read)?.collect::<rusqlite::Result<Vec<_>>>()?;
            rows.into_iter().map(|row| row.check(self)).collect()
        })
    }

    /// One run with its stages in order. `wanted` is an id, the beginning of exactly one id, or `latest`.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`], or [`ErrorCode::Usage`] when several ids begin so.
    pub fn run(&self, wanted: &str) -> Result<(RunRecord, Vec<StageRecord>)> {
        self.read("read the run", |connection| {
            let row = resolve(connection, wanted)?;
            let run = row.check(self)?;
            let mut statement = connection.prepare_cached(
                "SELECT stage, status, seconds, cached, key, summary FROM run_stages WHERE run = ?1 ORDER BY sequence",
            )?;
            let mut rows = statement.query([&run.id])?;
            let mut stages = Vec::new();
            while let Some(row) = rows.next()? {
                stages.push(read_stage(row, run.status)?);
            }
            Ok((run, stages))
        })
    }

    /// Writes a file of a run to `home/runs/<id>/<name>`, whole or not at all, and answers with its path.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for an unknown run, [`ErrorCode::BadInput`] when `name` is not a plain file
    /// name, [`ErrorCode::StorageFull`] or [`ErrorCode::Io`].
    pub fn save_report(&self, run: &str, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        plain_file_name(name)?;
        let known = self.read("read the run", |connection| Ok(find(connection, run)?.is_some()))?;
        if !known {
            return Err(unknown_run(run));
        }
        let folder = self.home().join("runs").join(run);
        self.disk().create_folder(&folder)?;
        let target = folder.join(name);
        self.disk().write_whole(&target, 0o600, |writer| {
            writer.write_all(bytes).map_err(|source| crate::disk::failed("write", &target, source))
        })?;
        Ok(target)
    }
}

/// A row as SQLite holds it.
struct RunRow {
    texts: [String; 7],
    pid: u32,
    started: String,
    ended: Option<String>,
    result: Option<String>,
    error: Option<String>,
}

impl RunRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<RunRow> {
        Ok(RunRow {
            texts: [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?],
            pid: row.get(7)?,
            started: row.get(8)?,
            ended: row.get(9)?,
            result: row.get(10)?,
            error: row.get(11)?,
        })
    }

    fn check(self, store: &Store) -> Outcome<RunRecord> {
        let [id, name, project, command, spec, status, session] = self.texts;
        let known = RunStatus::ALL.iter().find(|row| row.1 == status).map(|row| row.0);
        let status = match known {
            Some(RunStatus::Running) if !session::is_alive(store.home(), &session) => RunStatus::Interrupted,
            Some(status) => status,
            None => {
                return Err(
                    Error::new(ErrorCode::Integrity, format!("run {id} has the unknown status \"{status}\"")).into()
                );
            }
        };
        Ok(RunRecord {
            id,
            name,
            project: project.into(),
            command: parse_json(&command)?,
            spec: parse_json(&spec)?,
            status,
            pid: self.pid,
            started: self.started,
            ended: self.ended,
            result: self.result.as_deref().map(parse_json).transpose()?,
            error: self.error,
        })
    }
}

fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<RunRow>> {
    let sql = format!("SELECT {COLUMNS} FROM runs WHERE id = ?1");
    connection.prepare_cached(&sql)?.query_row([id], RunRow::read).optional()
}

fn resolve(connection: &Connection, wanted: &str) -> Outcome<RunRow> {
    if let Some(row) = find(connection, wanted)? {
        return Ok(row);
    }
    let (filter, argument) =
        if wanted == "latest" { ("?1 = 'latest'", wanted) } else { ("substr(id, 1, length(?1)) = ?1", wanted) };
    let sql = format!("SELECT {COLUMNS} FROM runs WHERE {filter} ORDER BY sequence DESC LIMIT 2");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query_map([argument], RunRow::read)?.collect::<rusqlite::Result<Vec<_>>>()?;
    if rows.is_empty() || wanted.is_empty() {
        return Err(unknown_run(wanted).into());
    }
    if rows.len() > 1 && wanted != "latest" {
        let message =
            format!("several runs begin with \"{wanted}\", among them {} and {}", rows[0].texts[0], rows[1].texts[0]);
        return Err(Error::new(ErrorCode::Usage, message).fix("give more digits of the id").into());
    }
    Ok(rows.swap_remove(0))
}

fn read_stage(row: &Row<'_>, run: RunStatus) -> Outcome<StageRecord> {
    let (status, key): (String, Option<String>) = (row.get(1)?, row.get(4)?);
    let known = StageStatus::ALL.iter().find(|known| known.1 == status).map(|known| known.0);
    let status = match known {
        Some(StageStatus::Running) if run == RunStatus::Interrupted => StageStatus::Interrupted,
        Some(status) => status,
        None => {
            return Err(Error::new(ErrorCode::Integrity, format!("a stage has the unknown status \"{status}\"")).into());
        }
    };
    Ok(StageRecord {
        stage: row.get(0)?,
        status,
        seconds: row.get(2)?,
        cached: row.get(3)?,
        key: key.map(|key| key.parse()).transpose()?,
        summary: row.get(5)?,
    })
}

fn unknown_run(id: &str) -> Error {
    Error::new(ErrorCode::NotFound, format!("there is no run \"{id}\"")).fix("`lepton runs list` shows the runs")
}
