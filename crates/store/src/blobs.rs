//! Blobs: immutable bytes named by their SHA-256, at `home/blobs/ab/cdef...`. What they mean is said by rows.

use crate::disk::{Disk, failed, fill_file};
use lepton_core::{Digest, Error, ErrorCode, Hasher, Result};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The blobs of a store.
pub struct Blobs {
    disk: Arc<Disk>,
}

impl Blobs {
    pub(crate) fn new(disk: Arc<Disk>) -> Blobs {
        Blobs { disk }
    }

    /// Keeps bytes and answers with their name. Putting what is there already is cheap, and replaces a copy
    /// that has been damaged.
    ///
    /// # Errors
    /// [`ErrorCode::StorageFull`] or [`ErrorCode::Io`]; then nothing is kept.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        if !self.settled(&digest)? {
            let target = self.place(&digest)?;
            self.disk.write_whole(&target, 0o400, |writer| {
                writer.write_all(bytes).map_err(|source| failed("write", &target, source))
            })?;
        }
        Ok(digest)
    }

    /// Keeps a copy of a file's bytes.
    ///
    /// # Errors
    /// As [`Blobs::put_bytes`]; [`ErrorCode::NotFound`] or [`ErrorCode::Io`] when `file` cannot be read.
    pub fn put_file(&self, file: &Path) -> Result<Digest> {
        let mut reader = File::open(file).map_err(|source| Error::io("read", file, source))?;
        self.put_with(|writer| {
            let mut buffer = vec![0; 1 << 16];
            loop {
                let count = match reader.read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(count) => count,
                    Err(source) if source.kind() == io::ErrorKind::Interrupted => continue,
                    Err(source) => return Err(Error::io("read", file, source)),
                };
                let piece = &buffer[..count];
                writer.write_all(piece).map_err(|source| failed("write", self.disk.session().folder(), source))?;
            }
        })
    }

    /// Keeps what `fill` writes, without holding it in memory. When `fill` fails, nothing is kept.
    ///
    /// # Errors
    /// What `fill` returns, else as [`Blobs::put_bytes`].
    pub fn put_with(&self, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<Digest> {
        match self.put_unless_empty(fill)? {
            Some(digest) => Ok(digest),
            None => self.put_bytes(&[]),
        }
    }

    /// As [`Blobs::put_with`]; keeps nothing and answers with `None` where `fill` writes nothing.
    pub(crate) fn put_unless_empty(&self, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<Option<Digest>> {
        let mut file = self.disk.temporary()?;
        let folder = self.disk.session().folder().to_path_buf();
        let mut hasher = Hasher::default();
        fill_file(file.as_file_mut(), &folder, |writer| fill(&mut Tee { writer, hasher: &mut hasher }))?;
        if file.as_file().metadata().map_err(|source| failed("look at", &folder, source))?.len() == 0 {
            return Ok(None);
        }
        let digest = hasher.finish();
        if !self.settled(&digest)? {
            let target = self.place(&digest)?;
            self.disk.keep(file, &target, 0o400)?;
        }
        Ok(Some(digest))
    }

    /// A blob's bytes, checked against its name.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] when there is no such blob, [`ErrorCode::Integrity`], naming it, when its
    /// bytes have changed.
    pub fn get(&self, digest: &Digest) -> Result<Vec<u8>> {
        let path = self.file(digest);
        let bytes = std::fs::read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::new(ErrorCode::NotFound, format!("there is no blob {digest}"))
                .in_file(&path)
                .fix("run the same command again: the stage that made it is run again"),
            _ => failed("read the blob", &path, source),
        })?;
        if Digest::of(&bytes) != *digest {
            return Err(damaged(&path, digest, &Digest::of(&bytes)));
        }
        Ok(bytes)
    }

    /// Reads a blob through without keeping it, and checks it against its name.
    ///
    /// # Errors
    /// As [`Blobs::get`].
    pub fn verify(&self, digest: &Digest) -> Result<()> {
        let path = self.file(digest);
        let found = hash_file(&path).map_err(|source| failed("read the blob", &path, source))?;
        if found != *digest { Err(damaged(&path, digest, &found)) } else { Ok(()) }
    }

    /// The file that holds a blob, where there is one. Read-only; its bytes are not checked here.
    pub fn path(&self, digest: &Digest) -> Option<PathBuf> {
        Some(self.file(digest)).filter(|path| path.is_file())
    }

    /// Whether there is such a blob.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.path(digest).is_some()
    }

    /// A blob's length in bytes, where there is one.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        std::fs::metadata(self.file(digest)).ok().filter(|found| found.is_file()).map(|found| found.len())
    }

    pub(crate) fn file(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.disk.home().join("blobs").join(&hex[..2]).join(&hex[2..])
    }

    fn place(&self, digest: &Digest) -> Result<PathBuf> {
        let file = self.file(digest);
        if let Some(folder) = file.parent() {
            self.disk.create_folder(folder)?;
        }
        Ok(file)
    }

    /// Whether a blob is there, whole and durable. A damaged one is reported as not there, so that a put
    /// heals it.
    fn settled(&self, digest: &Digest) -> Result<bool> {
        self.disk.writable()?;
        let path = self.file(digest);
        match hash_file(&path) {
            Ok(found) if found == *digest => {}
            Ok(_) => return Ok(false),
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(source) => return Err(failed("read the blob", &path, source)),
        }
        // Another process may have renamed it a moment ago and not flushed the folder yet.
        if let Some(folder) = path.parent() {
            self.disk.sync_folder(folder)?;
        }
        Ok(true)
    }
}

/// The SHA-256 of a file, read in pieces.
pub(crate) fn hash_file(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let (mut hasher, mut buffer) = (Hasher::default(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(source),
        }
    }
}

fn damaged(path: &Path, named: &Digest, found: &Digest) -> Error {
    Error::new(ErrorCode::Integrity, format!("blob {named} is damaged: its bytes have sha256 {found}"))
        .in_file(path)
        .fix("delete that file, then run the same command again: the stage that made it is run again")
}

/// Writes and hashes.
struct Tee<'a> {
    writer: &'a mut dyn Write,
    hasher: &'a mut Hasher,
}

impl Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.writer.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
