//! Durable file writes under the data folder: temporary file, fsync, rename, fsync of the folder. Nothing
//! here knows what the files mean.

use crate::fault;
use crate::session::Session;
use lepton_core::{Error, ErrorCode, Result};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::NamedTempFile;

/// The data folder as a place for whole files.
pub(crate) struct Disk {
    home: PathBuf,
    session: Session,
    /// Set by a failed fsync: the kernel may have dropped dirty pages, so that a later fsync which succeeds
    /// proves nothing. From then on this store only reads.
    sync_failed: AtomicBool,
    #[cfg(test)]
    pub(crate) fail_next_sync: AtomicBool,
}

impl Disk {
    pub(crate) fn new(home: PathBuf, session: Session) -> Disk {
        Disk {
            home,
            session,
            sync_failed: AtomicBool::new(false),
            #[cfg(test)]
            fail_next_sync: AtomicBool::new(false),
        }
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Refuses further writes after a failed fsync.
    pub(crate) fn writable(&self) -> Result<()> {
        if self.sync_failed.load(Ordering::SeqCst) {
            return Err(Error::new(
                ErrorCode::Io,
                "the disk failed to keep an earlier write, so nothing more is written",
            )
            .in_file(&self.home)
            .fix("check the disk, then start again: everything that was acknowledged is kept"));
        }
        Ok(())
    }

    /// Notes that an fsync failed for a reason other than a full disk.
    pub(crate) fn note_failed_sync(&self) {
        self.sync_failed.store(true, Ordering::SeqCst);
    }

    /// A temporary file of this process on the data folder's file system; gone when dropped.
    pub(crate) fn temporary(&self) -> Result<NamedTempFile> {
        self.writable()?;
        let folder = self.session.folder();
        NamedTempFile::new_in(folder).map_err(|source| failed("create a temporary file", folder, source))
    }

    /// Writes what `fill` produces to `target`, whole or not at all, replacing what is there. The folder of
    /// `target` must exist. When this returns `Ok` the file survives a power cut.
    pub(crate) fn write_whole(
        &self,
        target: &Path,
        mode: u32,
        fill: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        let mut file = self.temporary()?;
        fill_file(file.as_file_mut(), target, fill)?;
        self.keep(file, target, mode)
    }

    /// The second half of [`Disk::write_whole`]: makes a filled temporary file durable under its name.
    pub(crate) fn keep(&self, file: NamedTempFile, target: &Path, mode: u32) -> Result<()> {
        fault::point("file-written");
        file.as_file()
            .set_permissions(Permissions::from_mode(mode))
            .map_err(|source| failed("set the permissions of", target, source))?;
        self.sync(file.as_file(), target)?;
        fault::point("file-synced");
        file.persist(target).map_err(|error| failed("put in place", target, error.error))?;
        fault::point("file-renamed");
        self.sync_folder(target.parent().unwrap_or(&self.home))?;
        fault::point("folder-synced");
        Ok(())
    }

    /// Flushes one open file to the disk. A failure other than a full disk ends all writing.
    pub(crate) fn sync(&self, file: &File, path: &Path) -> Result<()> {
        #[cfg(test)]
        let outcome = match self.fail_next_sync.swap(false, Ordering::SeqCst) {
            true => Err(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error())),
            false => file.sync_all(),
        };
        #[cfg(not(test))]
        let outcome = file.sync_all();
        outcome.map_err(|source| {
            let error = failed("flush to the disk", path, source);
            if error.code() != ErrorCode::StorageFull {
                self.note_failed_sync();
            }
            error
        })
    }

    /// Flushes a folder's entries to the disk.
    pub(crate) fn sync_folder(&self, folder: &Path) -> Result<()> {
        let open = File::open(folder).map_err(|source| failed("open the folder", folder, source))?;
        self.sync(&open, folder)
    }

    /// Creates `folder` (mode 0700) and the folders above it, up to the data folder, durably.
    pub(crate) fn create_folder(&self, folder: &Path) -> Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        self.writable()?;
        let parent = folder.parent().unwrap_or(&self.home);
        if parent != self.home {
            self.create_folder(parent)?;
        }
        match DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) => {}
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            Err(source) => return Err(failed("create the folder", folder, source)),
        }
        // Also when somebody else has just created it: they may not have flushed it yet.
        self.sync_folder(parent)
    }
}

/// Creates the data folder and what is missing above it, durably; what exists is left as it is, so the folder
/// above need not be writable.
pub(crate) fn create_home(home: &Path) -> Result<()> {
    let missing = home.ancestors().take_while(|folder| !folder.exists()).count();
    if missing == 0 && home.is_dir() {
        return Ok(());
    }
    let advise = |error: Error| error.fix("choose another data folder with LEPTON_HOME");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(home)
        .map_err(|source| advise(failed("create the data folder", home, source)))?;
    // Each new folder is an entry of the one above it.
    for parent in home.ancestors().skip(1).take(missing) {
        let flushed = File::open(parent).and_then(|folder| folder.sync_all());
        flushed.map_err(|source| advise(failed("flush to the disk", parent, source)))?;
    }
    Ok(())
}

/// Runs `fill` over a buffered `file` and flushes the buffer; `path` is what errors name.
pub(crate) fn fill_file(file: &mut File, path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let mut buffered = BufWriter::with_capacity(1 << 16, file);
    fill(&mut buffered)?;
    buffered.flush().map_err(|source| failed("write", path, source))
}

/// Removes a folder and everything in it, read-only parts too; a folder that is gone already is fine.
pub(crate) fn remove_tree(folder: &Path) -> Result<()> {
    let kind = match fs::symlink_metadata(folder) {
        Ok(found) => found.file_type(),
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed("look at", folder, source)),
    };
    let outcome = if kind.is_dir() {
        // Published models are read-only folders; without this only root could remove them.
        fs::set_permissions(folder, Permissions::from_mode(0o700)).and_then(|()| fs::read_dir(folder)).and_then(
            |entries| {
                for entry in entries {
                    remove_tree(&entry?.path()).map_err(io::Error::other)?;
                }
                fs::remove_dir(folder)
            },
        )
    } else {
        fs::remove_file(folder)
    };
    match outcome {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed("remove", folder, source)),
        _ => Ok(()),
    }
}

/// An operating-system error about a file of the data folder. A file past the size that the process or the
/// file system allows (EFBIG) is reported as a full store: what helps is the same, more room.
pub(crate) fn failed(doing: &str, path: &Path, source: io::Error) -> Error {
    if source.kind() == io::ErrorKind::FileTooLarge {
        return Error::new(ErrorCode::StorageFull, format!("cannot {doing}: {source}"))
            .in_file(path)
            .fix("raise the file size limit (ulimit -f) or use a file system that takes larger files")
            .caused_by(source);
    }
    Error::io(doing, path, source)
}
