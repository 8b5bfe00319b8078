//! Training checkpoints: under the key of the training stage, the newest two and the best. Each file carries
//! the hash of its content, so a damaged one is never resumed from. What is in them, lepton-train knows.

use crate::Store;
use crate::disk::{self, Disk, failed};
use crate::fault;
use lepton_core::{Digest, Error, ErrorCode, Hasher, Result};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// File layout: these 8 bytes, the step and the length of the content (u64, little-endian each), the SHA-256
/// of step, length and content, then the content.
const MAGIC: &[u8; 8] = b"LPTNCKP1";
const HEADER: usize = 8 + 8 + 8 + 32;
const SUFFIX: &str = ".checkpoint";
const BEST: &str = "best.checkpoint";
const KEPT: usize = 2;

/// A checkpoint that was read and found whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The step after which it was saved.
    pub step: u64,
    /// Its content.
    pub bytes: Vec<u8>,
    /// One sentence when a newer checkpoint was damaged and this older one is used instead: show it.
    pub warning: Option<String>,
}

/// The checkpoints of one training stage.
#[derive(Clone)]
pub struct CheckpointFolder {
    folder: PathBuf,
    disk: Arc<Disk>,
}

impl Store {
    /// The checkpoints under a training stage's key; the folder appears with the first save.
    ///
    /// # Errors
    /// None today; kept fallible for stores that are not local.
    pub fn checkpoints(&self, key: &Digest) -> Result<CheckpointFolder> {
        let folder = self.home().join("checkpoints").join(key.hex());
        Ok(CheckpointFolder { folder, disk: Arc::clone(self.disk()) })
    }
}

impl CheckpointFolder {
    /// Saves a checkpoint, whole or not at all, then drops all but the newest two. Checkpoints of later steps
    /// are dropped too: training has gone back behind them.
    ///
    /// # Errors
    /// [`ErrorCode::StorageFull`] or [`ErrorCode::Io`]; then the earlier checkpoints are untouched.
    pub fn save(&self, step: u64, bytes: &[u8]) -> Result<()> {
        self.write(&format!("{step:020}{SUFFIX}"), step, bytes)?;
        fault::point("checkpoint-saved");
        let (later, earlier): (Vec<_>, Vec<_>) = self.steps()?.into_iter().partition(|saved| *saved > step);
        for stale in later.into_iter().chain(earlier.into_iter().skip(KEPT)) {
            let path = self.file(stale);
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &path, source)),
                _ => {}
            }
        }
        fault::point("checkpoint-trimmed");
        Ok(())
    }

    /// The newest checkpoint that is whole; `None` when none was saved.
    ///
    /// # Errors
    /// [`ErrorCode::Integrity`], naming the newest, when there are checkpoints and all are damaged.
    pub fn latest(&self) -> Result<Option<Checkpoint>> {
        let mut damage: Option<Error> = None;
        for step in self.steps()? {
            match read(&self.file(step)) {
                Ok((found, bytes)) if found == step => {
                    let warning =
                        damage.map(|error| format!("{}; going on from the one of step {step}", error.headline()));
                    return Ok(Some(Checkpoint { step, bytes, warning }));
                }
                Ok(_) => damage = damage.or_else(|| Some(damaged(&self.file(step), "it is another step's"))),
                // Trimmed by another process between listing and reading.
                Err(error) if error.code() == ErrorCode::NotFound => {}
                Err(error) if error.code() == ErrorCode::Integrity => damage = damage.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        match damage {
            None => Ok(None),
            Some(error) => Err(error.fix(format!("delete {} to train from the start", self.folder.display()))),
        }
    }

    /// Saves the best state so far beside the others, replacing the one before.
    ///
    /// # Errors
    /// As [`CheckpointFolder::save`].
    pub fn save_best(&self, step: u64, bytes: &[u8]) -> Result<()> {
        self.write(BEST, step, bytes)
    }

    /// The best state so far.
    ///
    /// # Errors
    /// [`ErrorCode::Integrity`], naming it, when it is damaged.
    pub fn best(&self) -> Result<Option<Checkpoint>> {
        match read(&self.folder.join(BEST)) {
            Ok((step, bytes)) => Ok(Some(Checkpoint { step, bytes, warning: None })),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.fix(format!("delete {} to train from the start", self.folder.display()))),
        }
    }

    /// Removes them all: the stage's result is cached now, or training starts over.
    ///
    /// # Errors
    /// [`ErrorCode::Io`].
    pub fn clear(&self) -> Result<()> {
        disk::remove_tree(&self.folder)
    }

    fn file(&self, step: u64) -> PathBuf {
        self.folder.join(format!("{step:020}{SUFFIX}"))
    }

    /// The saved steps, newest first.
    fn steps(&self) -> Result<Vec<u64>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(failed("list", &self.folder, source)),
        };
        let mut steps = Vec::new();
        for entry in entries {
            let name = entry.map_err(|source| failed("list", &self.folder, source))?.file_name();
            let step: Option<u64> =
                name.to_str().and_then(|name| name.strip_suffix(SUFFIX)).and_then(|step| step.parse().ok());
            steps.extend(step);
        }
        steps.sort_unstable_by(|left: &u64, right| right.cmp(left));
        Ok(steps)
    }

    fn write(&self, name: &str, step: u64, bytes: &[u8]) -> Result<()> {
        self.disk.create_folder(&self.folder)?;
        let target = self.folder.join(name);
        let mut header = Vec::with_capacity(HEADER);
        header.extend(MAGIC);
        header.extend(step.to_le_bytes());
        header.extend((bytes.len() as u64).to_le_bytes());
        header.extend(seal(&header[8..24], bytes).as_bytes());
        self.disk.write_whole(&target, 0o600, |writer| {
            writer
                .write_all(&header)
                .and_then(|()| writer.write_all(bytes))
                .map_err(|source| failed("write the checkpoint", &target, source))
        })
    }
}

fn seal(sides: &[u8], content: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(sides);
    hasher.update(content);
    hasher.finish()
}

fn read(path: &Path) -> Result<(u64, Vec<u8>)> {
    let mut bytes = fs::read(path).map_err(|source| failed("read the checkpoint", path, source))?;
    if bytes.len() < HEADER || &bytes[..8] != MAGIC {
        return Err(damaged(path, "it does not begin like one"));
    }
    let number = |at: usize| bytes[at..at + 8].iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    let (step, length) = (number(8), number(16));
    if (bytes.len() - HEADER) as u64 != length {
        return Err(damaged(path, &format!("{} bytes of content where {length} were saved", bytes.len() - HEADER)));
    }
    if seal(&bytes[8..24], &bytes[HEADER..]).as_bytes() != &bytes[24..HEADER] {
        return Err(damaged(path, "its bytes do not match its hash"));
    }
    bytes.drain(..HEADER);
    Ok((step, bytes))
}

fn damaged(path: &Path, how: &str) -> Error {
    Error::new(ErrorCode::Integrity, format!("this checkpoint is damaged: {how}")).in_file(path)
}
