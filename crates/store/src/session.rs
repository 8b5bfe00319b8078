//! Who is alive. Each open store owns one folder under `home/scratch` with a locked file in it; the kernel
//! drops the lock when the process dies, however it dies, so "is the owner alive" never asks for a pid.

use crate::disk::{self, failed};
use lepton_core::{Error, ErrorCode, Result};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const OWNER: &str = "owner.lock";
const GATE_PATIENCE: Duration = Duration::from_secs(10);

/// This process's stay in the data folder: its liveness lock and its temporary files.
pub(crate) struct Session {
    id: String,
    folder: PathBuf,
    _lock: File,
}

impl Session {
    /// Creates the folder and takes its lock. Call inside the gate.
    pub(crate) fn begin(home: &Path) -> Result<Session> {
        loop {
            let id = format!("{}-{:016x}", std::process::id(), random());
            let folder = home.join("scratch").join(&id);
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(home.join("scratch"))
                .map_err(|source| failed("create the folder", &home.join("scratch"), source))?;
            match DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => {}
                Err(source) if source.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(source) => return Err(failed("create the folder", &folder, source)),
            }
            let lock = open_lock(&folder.join(OWNER))?;
            lock.try_lock().map_err(|source| failed("lock", &folder.join(OWNER), source.into()))?;
            return Ok(Session { id, folder, _lock: lock });
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // What cannot be removed now is swept by the next open: the lock is free by then.
        let _ = disk::remove_tree(&self.folder);
    }
}

/// Whether the session of that id still holds its lock.
pub(crate) fn is_alive(home: &Path, id: &str) -> bool {
    let owner = home.join("scratch").join(id).join(OWNER);
    File::open(owner).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Removes the folders of sessions whose process died. Call inside the gate.
pub(crate) fn sweep(home: &Path) -> Result<()> {
    let scratch = home.join("scratch");
    let entries = fs::read_dir(&scratch).map_err(|source| failed("list", &scratch, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| failed("list", &scratch, source))?;
        let alive = match File::open(entry.path().join(OWNER)) {
            Ok(owner) => owner.try_lock().is_err(),
            Err(source) => source.kind() != io::ErrorKind::NotFound,
        };
        if !alive {
            disk::remove_tree(&entry.path())?;
        }
    }
    Ok(())
}

/// Held while a process opens the store.
pub(crate) struct Gate {
    _lock: File,
}

impl Gate {
    /// Waits for its turn, at most ten seconds.
    pub(crate) fn enter(home: &Path) -> Result<Gate> {
        let path = home.join("store.lock");
        let lock = open_lock(&path)?;
        let deadline = Instant::now() + GATE_PATIENCE;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Gate { _lock: lock }),
                Err(TryLockError::Error(source)) => return Err(failed("lock", &path, source)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::new(
                        ErrorCode::Locked,
                        "another process has been opening this data folder for 10 s",
                    )
                    .in_file(path)
                    .fix("see whether a lepton process is stopped or hangs"));
                }
            }
        }
    }
}

/// Opens a lock file (mode 0600) and creates it where it is missing. Lock files are never removed while
/// others may open them: two processes could then lock two files of the same name.
pub(crate) fn open_lock(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| failed("open the lock file", path, source))
}

/// A number that differs between processes and calls, for names only.
pub(crate) fn random() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}
