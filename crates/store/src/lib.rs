//! The data folder, and the only code that writes to it: runs, cached stages, datasets, published models,
//! checkpoints, observations and engine libraries. Rows live in one SQLite file, bytes in files named by
//! their SHA-256.
//!
//! One rule orders every write: temporary file, fsync, rename, fsync of the folder, row commit, answer. So
//! what was acknowledged survives a killed process (and a power cut where the disk honours fsync), a row
//! never points at bytes that are not there, and nobody sees half a file. Several processes may share one
//! folder. What a stage computes, and when it may be reused, is not decided here.

mod blobs;
mod checkpoints;
mod chunks;
mod database;
mod datasets;
mod disk;
mod engines;
mod fault;
mod models;
mod observations;
mod project_lock;
mod runs;
mod scratch;
mod session;
mod stages;
mod streams;
mod time;
mod tokens;

#[cfg(test)]
mod tests;

pub use blobs::Blobs;
pub use checkpoints::{Checkpoint, CheckpointFolder};
pub use chunks::ChunkPlace;
pub use datasets::DatasetRecord;
pub use models::ModelRecord;
pub use observations::ObservationRecord;
pub use project_lock::ProjectLock;
pub use runs::{NewRun, RunRecord, RunStatus, StageRecord, StageStatus};
pub use scratch::Scratch;
pub use stages::CachedStage;
pub use streams::{AcceptedRows, SealedSegment, StreamReceipt, StreamRequest, StreamState};
pub use time::Clock;
pub use tokens::DataToken;

use crate::database::Database;
use crate::disk::Disk;
use crate::session::Session;
use lepton_core::{Error, ErrorCode, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// An open data folder. Clones share one connection; the folder itself may be shared with other processes.
///
/// ```
/// let folder = tempfile::tempdir().unwrap();
/// let store = lepton_store::Store::open(&folder.path().join("home")).unwrap();
/// let digest = store.blobs().put_bytes(b"weights").unwrap();
/// assert_eq!(store.blobs().get(&digest).unwrap(), b"weights");
/// ```
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    blobs: Blobs,
    database: Database,
    disk: Arc<Disk>,
    clock: Clock,
}

impl Store {
    /// Opens the data folder `home` and creates it (mode 0700) where it is missing. Scratch folders of
    /// processes that died are removed.
    ///
    /// # Errors
    /// [`ErrorCode::Unsupported`] when a newer Lepton wrote the folder, [`ErrorCode::Integrity`] when its
    /// database is damaged or is not Lepton's, [`ErrorCode::Locked`] when another process keeps it busy for
    /// more than ten seconds, [`ErrorCode::StorageFull`] and [`ErrorCode::Io`] as the system says.
    pub fn open(home: &Path) -> Result<Store> {
        Store::open_with_clock(home, Arc::new(SystemTime::now))
    }

    /// As [`Store::open`], with the clock that stamps rows and run ids. Order never comes from the clock:
    /// "newest" means written last.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with_clock(home: &Path, clock: Clock) -> Result<Store> {
        let home = std::path::absolute(home).map_err(|source| Error::io("resolve the data folder", home, source))?;
        disk::create_home(&home)?;
        // One process at a time opens, migrates and sweeps: the moment at which a dead owner's folder is
        // removed must not be the moment at which a new owner creates its own.
        let gate = session::Gate::enter(&home)?;
        let database = Database::open(&home)?;
        let session = Session::begin(&home)?;
        session::sweep(&home)?;
        drop(gate);
        let disk = Arc::new(Disk::new(home, session));
        for folder in ["blobs", "checkpoints", "engines", "locks", "models", "runs", "streams"] {
            disk.create_folder(&disk.home().join(folder))?;
        }
        let blobs = Blobs::new(Arc::clone(&disk));
        Ok(Store { inner: Arc::new(Inner { blobs, database, disk, clock }) })
    }

    /// The data folder, absolute.
    pub fn home(&self) -> &Path {
        self.inner.disk.home()
    }

    /// The blobs: bytes named by their SHA-256.
    pub fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    /// Where engine libraries are installed, `home/engines`.
    pub fn engines_dir(&self) -> PathBuf {
        self.home().join("engines")
    }

    fn disk(&self) -> &Arc<Disk> {
        &self.inner.disk
    }

    fn now(&self) -> SystemTime {
        (self.inner.clock)()
    }

    fn read<T>(&self, doing: &str, work: impl FnOnce(&rusqlite::Connection) -> database::Outcome<T>) -> Result<T> {
        self.inner.database.read(&self.inner.disk, doing, work)
    }

    fn write<T>(
        &self,
        doing: &str,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> database::Outcome<T>,
    ) -> Result<T> {
        self.inner.database.write(&self.inner.disk, doing, work)
    }
}

/// Refuses text that would not be one plain file name inside a folder.
fn plain_file_name(name: &str) -> Result<()> {
    let plain = !name.is_empty() && name.len() <= 200 && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    if !plain {
        return Err(Error::new(ErrorCode::BadInput, format!("\"{name}\" cannot name a file of the data folder"))
            .fix("use a plain file name that does not start with a dot"));
    }
    Ok(())
}
