//! SQLite files, opened for reading only: a source that somebody else made, not Lepton's own data.

use super::rows::{RowWriter, Value};
use super::{Answer, Job, Rows, not_a_query, unsupported};
use crate::dataset::SourceFile;
use crate::remote::Staging;
use crate::settings::CollectSettings;
use crate::source::hash_file;
use lepton_core::{Error, ErrorCode, Result};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, ffi};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a query that gives no rows for long is asked whether it should stop.
const POLL: Duration = Duration::from_millis(50);

/// How long a lock of a program that writes is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the jobs on a file. Gives the answer, and the file with its log of changes where one lies beside it.
pub(super) fn run(
    path: &Path,
    jobs: &[Job<'_>],
    settings: &CollectSettings,
    staging: &Staging<'_>,
) -> Result<(Answer, Vec<SourceFile>)> {
    if !path.is_file() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(Error::io("open the database", path, missing).at_key("collect.path"));
    }
    let behind = files(path)?;
    let failed = |source| explain(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    connection.pragma_update(None, "query_only", true).map_err(failed)?;
    // Functions that the file's own schema names are not run where they could do harm.
    connection.pragma_update(None, "trusted_schema", false).map_err(failed)?;
    connection.execute_batch("BEGIN").map_err(failed)?;
    let (interrupt, done) = (connection.get_interrupt_handle(), AtomicBool::new(false));
    let results = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if staging.cancel.is_cancelled() {
                    interrupt.interrupt();
                }
                std::thread::sleep(POLL);
            }
        });
        let results: Result<Vec<(String, Rows)>> =
            jobs.iter().map(|job| read(&connection, path, job, settings, staging)).collect();
        done.store(true, Ordering::Relaxed);
        results
    });
    staging.cancel.check()?;
    let answer = Answer { kind: "sqlite", version: rusqlite::version().to_owned(), results: results? };
    if files(path)? != behind {
        return Err(Error::new(ErrorCode::Integrity, "the database was changed while it was read")
            .in_file(path)
            .fix("run the same command again when nothing writes to it"));
    }
    Ok((answer, behind))
}

/// The database file, and its write-ahead log where there is one, with their hashes.
fn files(path: &Path) -> Result<Vec<SourceFile>> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let log = PathBuf::from(log);
    let mut files = vec![hash_file(path)?];
    if std::fs::metadata(&log).is_ok_and(|file| file.len() > 0) {
        files.push(hash_file(&log)?);
    }
    Ok(files)
}

fn read(
    connection: &Connection,
    path: &Path,
    job: &Job<'_>,
    settings: &CollectSettings,
    staging: &Staging<'_>,
) -> Result<(String, Rows)> {
    let query = job.query.text('"');
    let failed = |source| explain(path, source).at_key(super::query_key(job.split));
    let mut statement = connection.prepare(&query).map_err(failed)?;
    if statement.column_count() == 0 || !statement.readonly() {
        let error = Error::new(ErrorCode::Config, "this is not a query that gives rows").in_file(path);
        return Err(not_a_query(error, job.split));
    }
    let names: Vec<String> = statement.columns().map(|column| column.name().to_owned()).collect();
    let declared: Vec<Option<String>> =
        statement.columns().map(|column| column.decl_type().map(str::to_uppercase)).collect();
    let booleans: Vec<bool> = declared.iter().map(|kind| matches!(kind.as_deref(), Some("BOOLEAN" | "BOOL"))).collect();
    let shown = path.display().to_string();
    let mut writer = RowWriter::new(job, shown, &names, settings, staging)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        for (place, &is_boolean) in booleans.iter().enumerate() {
            let cell = row.get_ref(place).map_err(failed)?;
            let value = match cell {
                _ if writer.ignores(place) => Value::Missing,
                ValueRef::Null => Value::Missing,
                ValueRef::Integer(value @ (0 | 1)) if is_boolean => Value::Boolean(value == 1),
                ValueRef::Integer(value) => Value::Integer(value.into()),
                ValueRef::Real(value) => Value::Float(value),
                ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                    Ok(text) => Value::Text(text),
                    Err(_) => {
                        let error = Error::new(ErrorCode::BadData, "the text is not UTF-8");
                        return Err(writer.placed(error));
                    }
                },
                ValueRef::Blob(_) => {
                    let declared = declared[place].as_deref().unwrap_or("BLOB");
                    let message = format!("a value of type BLOB (declared {declared}) is not supported");
                    let error = writer.placed(Error::new(ErrorCode::Unsupported, message));
                    return Err(unsupported(error, &names[place]));
                }
            };
            writer.push(&value)?;
        }
        writer.end_row()?;
    }
    Ok((query, writer.finish()?))
}

/// SQLite's error in our words.
fn explain(path: &Path, source: rusqlite::Error) -> Error {
    let code = source.sqlite_error().map(|error| error.extended_code & 0xff);
    let text = source.to_string();
    let (kind, fix) = match code {
        Some(ffi::SQLITE_NOTADB | ffi::SQLITE_CORRUPT) => {
            (ErrorCode::BadData, "see whether the file is a SQLite database, and whole")
        }
        Some(ffi::SQLITE_CANTOPEN | ffi::SQLITE_IOERR | ffi::SQLITE_PERM) => {
            (ErrorCode::Io, "see whether the file and its folder can be read")
        }
        Some(ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED) => {
            (ErrorCode::Locked, "another program writes to it; run the same command again when it is done")
        }
        Some(ffi::SQLITE_READONLY | ffi::SQLITE_AUTH) => {
            (ErrorCode::NotAllowed, "write one SELECT; the database is only read")
        }
        _ if text.contains("no such table") || text.contains("no such column") => {
            (ErrorCode::NotFound, "see whether the name is right")
        }
        _ => (ErrorCode::Config, "mend the query; sqlite3 runs it as it is"),
    };
    Error::new(kind, format!("the database cannot be read: {text}")).in_file(path).fix(fix).caused_by(source)
}
