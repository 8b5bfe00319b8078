//! One run per project at a time: a lock that the kernel drops when its holder dies.

use crate::Store;
use crate::disk::failed;
use crate::session::open_lock;
use lepton_core::{Digest, Error, ErrorCode, Result};
use rustix::process::{Pid, test_kill_process};
use std::fs::{File, TryLockError};
use std::io::{Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Held while a run works on a project; released on drop or when the process ends, however it ends.
#[derive(Debug)]
pub struct ProjectLock {
    file: File,
}

impl Drop for ProjectLock {
    fn drop(&mut self) {
        // Nobody reads the pid of a free lock; an empty file only spares a reader a wait.
        let _ = self.file.set_len(0);
    }
}

/// How long a refused caller waits for the holder to write its pid down.
const PID_PATIENCE: Duration = Duration::from_millis(300);

impl Store {
    /// Claims a project, named by its folder or its file. Never waits for the holder.
    ///
    /// # Errors
    /// [`ErrorCode::Locked`], naming the holder's pid, when a living process holds it.
    pub fn lock_project(&self, project: &Path) -> Result<ProjectLock> {
        self.disk().writable()?;
        let whole = project.canonicalize().map_err(|source| Error::io("find the project", project, source))?;
        let name = Digest::of(whole.as_os_str().as_bytes()).hex();
        let path = self.home().join("locks").join(format!("{name}.lock"));
        let mut file = open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(&whole, &path)),
            Err(TryLockError::Error(source)) => return Err(failed("lock", &path, source)),
        }
        let note = format!("{}\n{}\n", std::process::id(), whole.display());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(note.as_bytes()))
            .map_err(|source| failed("write", &path, source))?;
        Ok(ProjectLock { file })
    }
}

fn held(project: &Path, path: &Path) -> Error {
    let deadline = Instant::now() + PID_PATIENCE;
    let holder = loop {
        if let Some(pid) = living_pid(path) {
            break format!("process {pid}");
        }
        // Either the holder has not written its pid yet, or what is there is a dead holder's.
        if Instant::now() >= deadline {
            break "another process".to_owned();
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Error::new(ErrorCode::Locked, format!("{holder} is running this project"))
        .in_file(project)
        .fix("wait until it ends, or stop it")
}

fn living_pid(path: &Path) -> Option<i32> {
    let note = std::fs::read_to_string(path).ok()?;
    let pid = note.split_once('\n')?.0.parse().ok()?;
    // "Not permitted" means that it lives and is somebody else's.
    let answer = test_kill_process(Pid::from_raw(pid)?);
    (answer.is_ok() || answer == Err(rustix::io::Errno::PERM)).then_some(pid)
}
