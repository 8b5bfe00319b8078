//! The SQLite file: opening, settings that are read back, the schema and its version, transactions, and
//! what its errors mean to a person. Queries live beside the records that they serve.

use crate::disk::{Disk, failed};
use crate::fault;
use lepton_core::{Error, ErrorCode, Result};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, ffi};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// "LPTN": tells Lepton's file from any other SQLite database.
const APPLICATION_ID: i64 = 0x4C50_544E;

/// One entry per schema version: what turns the version before into it. Entries are never edited once
/// released; a new version is a new entry.
const MIGRATIONS: [&str; 2] = [include_str!("schema/1.sql"), include_str!("schema/2.sql")];

const BUSY_PATIENCE: Duration = Duration::from_secs(10);

/// What a piece of database work ends in: SQLite's own errors and ours both pass through `?`.
pub(crate) type Outcome<T> = std::result::Result<T, Trouble>;

/// An error inside a piece of database work.
pub(crate) enum Trouble {
    /// SQLite said no.
    Sql(rusqlite::Error),
    /// We said no.
    Ours(Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Trouble {
        Trouble::Sql(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Ours(error)
    }
}

pub(crate) struct Database {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl Database {
    /// Opens `home/lepton.sqlite`, creates it (mode 0600) or brings its schema up to date. Call inside the gate.
    pub(crate) fn open(home: &Path) -> Result<Database> {
        let path = home.join("lepton.sqlite");
        let fresh = !path.exists();
        // SQLite would create the file as the umask says; its side files take the mode of this one.
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|source| failed("create the database", &path, source))?;
        if fresh {
            let folder = std::fs::File::open(home).and_then(|folder| folder.sync_all());
            folder.map_err(|source| failed("flush to the disk", home, source))?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(&path, flags).map_err(|source| explain("open the database", &path, source))?;
        let mut database = Database { path, connection: Mutex::new(connection) };
        database.prepare()?;
        Ok(database)
    }

    fn prepare(&mut self) -> Result<()> {
        let path = self.path.clone();
        let wrong = |source| explain("open the database", &path, source);
        let connection = self.connection.get_mut().unwrap_or_else(PoisonError::into_inner);
        connection.busy_timeout(BUSY_PATIENCE).map_err(wrong)?;
        let number = |connection: &Connection, pragma: &str| {
            connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0))
        };
        // Before anything is changed: is this ours, and is it ours to change?
        let version = number(connection, "user_version").map_err(wrong)?;
        let application = number(connection, "application_id").map_err(wrong)?;
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(wrong)?;
        if tables > 0 && application != APPLICATION_ID {
            return Err(Error::new(ErrorCode::Integrity, "this SQLite file was not made by Lepton")
                .in_file(&path)
                .fix("choose another data folder with LEPTON_HOME"));
        }
        if version > MIGRATIONS.len() as i64 {
            let message = format!(
                "a newer Lepton wrote this data folder (schema {version}; this build knows up to {})",
                MIGRATIONS.len()
            );
            return Err(Error::new(ErrorCode::Unsupported, message)
                .in_file(&path)
                .fix("use that newer Lepton, or choose another data folder with LEPTON_HOME"));
        }
        let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(wrong)?;
        connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;").map_err(wrong)?;
        let synchronous = number(connection, "synchronous").map_err(wrong)?;
        if mode != "wal" || synchronous != 2 {
            let message =
                format!("this file system does not allow safe writes (journal {mode}, synchronous {synchronous})");
            return Err(Error::new(ErrorCode::Unsupported, message)
                .in_file(&path)
                .fix("put the data folder on a local disk: set LEPTON_HOME"));
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrong)?;
        let version = number(&transaction, "user_version").map_err(wrong)?;
        for migration in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(0)) {
            transaction.execute_batch(migration).map_err(wrong)?;
        }
        if version < MIGRATIONS.len() as i64 {
            let stamp =
                format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {};", MIGRATIONS.len());
            transaction.execute_batch(&stamp).map_err(wrong)?;
            fault::point("schema-written");
        }
        transaction.commit().map_err(wrong)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic while the lock was held has already rolled its transaction back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on the connection; `doing` completes "cannot ...".
    pub(crate) fn read<T>(&self, disk: &Disk, doing: &str, work: impl FnOnce(&Connection) -> Outcome<T>) -> Result<T> {
        work(&self.lock()).map_err(|trouble| self.explain(disk, doing, trouble))
    }

    /// Runs `work` in a transaction that holds the write lock from its start, and commits it durably.
    pub(crate) fn write<T>(
        &self,
        disk: &Disk,
        doing: &str,
        work: impl FnOnce(&Transaction<'_>) -> Outcome<T>,
    ) -> Result<T> {
        disk.writable()?;
        let mut connection = self.lock();
        let attempt = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            fault::point("row-written");
            transaction.commit()?;
            fault::point("row-committed");
            Ok(value)
        };
        attempt().map_err(|trouble| self.explain(disk, doing, trouble))
    }

    fn explain(&self, disk: &Disk, doing: &str, trouble: Trouble) -> Error {
        match trouble {
            Trouble::Ours(error) => error,
            Trouble::Sql(source) => {
                if extended(&source) == Some(ffi::SQLITE_IOERR_FSYNC) {
                    disk.note_failed_sync();
                }
                explain(doing, &self.path, source)
            }
        }
    }
}

fn extended(source: &rusqlite::Error) -> Option<i32> {
    source.sqlite_error().map(|error| error.extended_code)
}

/// SQLite's error in our words.
fn explain(doing: &str, path: &Path, source: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode as Sqlite;
    let (code, remedy) = match source.sqlite_error_code() {
        Some(Sqlite::DiskFull) => (ErrorCode::StorageFull, FREE_SPACE),
        // Growing SQLite's shared-memory file on a full disk is an I/O error to SQLite.
        Some(Sqlite::SystemIoFailure) if is_full(path) => (ErrorCode::StorageFull, FREE_SPACE),
        Some(Sqlite::DatabaseBusy | Sqlite::DatabaseLocked) => (
            ErrorCode::Locked,
            "another process kept the data folder busy for 10 s: see whether one is stopped or hangs",
        ),
        Some(Sqlite::DatabaseCorrupt | Sqlite::NotADatabase) => {
            (ErrorCode::Integrity, "restore this file from a backup, or choose another data folder with LEPTON_HOME")
        }
        Some(Sqlite::ReadOnly | Sqlite::CannotOpen | Sqlite::PermissionDenied) => {
            (ErrorCode::Io, "make the data folder writable, or choose another one with LEPTON_HOME")
        }
        Some(Sqlite::SystemIoFailure) => (ErrorCode::Io, "check the disk"),
        _ => {
            return Error::internal(format!("cannot {doing}: {source}")).in_file(path).caused_by(source);
        }
    };
    Error::new(code, format!("cannot {doing}: {source}")).in_file(path).fix(remedy).caused_by(source)
}

const FREE_SPACE: &str = "free some space, then run the same command again: finished work is kept";

fn is_full(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|free| free.f_bavail.saturating_mul(free.f_frsize) < 1 << 20)
}

/// JSON from a row.
pub(crate) fn parse_json<T: serde::de::DeserializeOwned>(text: &str) -> Outcome<T> {
    serde_json::from_str(text)
        .map_err(|source| Error::new(ErrorCode::Integrity, format!("a row holds malformed JSON: {source}")).into())
}

/// JSON for a row.
pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|source| Error::internal(format!("a value cannot be stored: {source}")))
}
