//! Scratch folders: places for work in progress on the data folder's file system.

use crate::Store;
use crate::disk::{self, Disk, failed};
use lepton_core::Result;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An empty folder of one's own (mode 0700), removed with everything in it on drop. When the process dies
/// first, the next open of the store removes it.
pub struct Scratch {
    path: PathBuf,
    // Keeps the session alive: its lock is what protects this folder from being swept.
    _disk: Arc<Disk>,
}

impl Scratch {
    /// The folder, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is swept by a later open.
        let _ = disk::remove_tree(&self.path);
    }
}

impl Store {
    /// A new scratch folder.
    ///
    /// # Errors
    /// [`lepton_core::ErrorCode::StorageFull`] or [`lepton_core::ErrorCode::Io`].
    pub fn scratch(&self) -> Result<Scratch> {
        let disk = Arc::clone(self.disk());
        disk.writable()?;
        let folder = disk.session().folder();
        let made = tempfile::Builder::new()
            .prefix("work-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(folder)
            .map_err(|source| failed("create a scratch folder", folder, source))?;
        Ok(Scratch { path: made.keep(), _disk: disk })
    }
}
