//! Each item of a collection read once, in parallel and in pieces: what is decoded is gone before the next piece.

use super::collection::{Collection, Form};
use super::fault::{Fault, FaultKind};
use super::walk::OtherKind;
use lepton_core::{Cancel, Digest, Error, Event, Hasher, Limits, Progress, Result};
use lepton_data::hash_file;
use rayon::prelude::*;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Items that are read between two looks at the cancel flag.
const PIECE: usize = 512;

/// How a collection is looked at.
pub struct SurveyOptions<'a> {
    /// Limits on what is decoded.
    pub limits: Limits,
    /// Threads; at least one.
    pub threads: usize,
    /// Told of the items that were read.
    pub progress: &'a dyn Progress,
    /// Asked between two pieces.
    pub cancel: &'a Cancel,
}

/// What came of one item.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading<F> {
    /// The hash of the file; none of a row and of what the system would not give.
    pub sha256: Option<Digest>,
    /// What is kept of it, or why it could not be read.
    pub seen: std::result::Result<F, Fault>,
}

/// A collection that was looked at.
#[derive(Clone, Debug)]
pub struct Survey<F> {
    /// Names all its bytes: what a plan is bound to.
    pub sha256: Digest,
    /// Bytes of all items.
    pub bytes: u64,
    /// One per item, in their order.
    pub readings: Vec<Reading<F>>,
}

impl<F> Survey<F> {
    /// Items that could be read, with their places.
    pub fn read(&self) -> impl Iterator<Item = (usize, &F)> {
        self.readings
            .iter()
            .enumerate()
            .filter_map(|(place, reading)| reading.seen.as_ref().ok().map(|facts| (place, facts)))
    }

    /// Items that could not, with their places.
    pub fn faults(&self) -> impl Iterator<Item = (usize, &Fault)> {
        self.readings
            .iter()
            .enumerate()
            .filter_map(|(place, reading)| reading.seen.as_ref().err().map(|fault| (place, fault)))
    }
}

/// Runs `work` on that many threads.
pub(super) fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> Result<T> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build();
    Ok(pool.map_err(|source| Error::internal(format!("threads cannot be started: {source}")))?.install(work))
}

/// Reads all items with `look`; `keep` sees what came of each, in their order.
pub(super) fn survey<F: Send>(
    collection: &Collection,
    options: &SurveyOptions<'_>,
    look: impl Fn(usize) -> Result<Reading<F>> + Sync,
    mut keep: impl FnMut(&Reading<F>) + Send,
) -> Result<Survey<F>> {
    let total = collection.items.len();
    let mut readings: Vec<Reading<F>> = Vec::with_capacity(total);
    on_threads(options.threads, || -> Result<()> {
        for start in (0..total).step_by(PIECE) {
            options.cancel.check()?;
            let end = (start + PIECE).min(total);
            let piece: Vec<Result<Reading<F>>> = (start..end).into_par_iter().map(&look).collect();
            for reading in piece {
                let reading = reading?;
                keep(&reading);
                readings.push(reading);
            }
            options.progress.event(Event::Advanced {
                what: format!("looking at {}", collection.name),
                done: end as u64,
                total: Some(total as u64),
                unit: "rows",
            });
        }
        Ok(())
    })??;
    let bytes = collection.items.iter().map(|item| item.bytes).sum();
    Ok(Survey { sha256: digest(collection, &readings)?, bytes, readings })
}

/// One hash over the names and the bytes of everything that belongs to the collection.
fn digest<F>(collection: &Collection, readings: &[Reading<F>]) -> Result<Digest> {
    let mut parts: Vec<(&str, Option<Digest>)> = Vec::new();
    match &collection.form {
        Form::Idx(pairs) => {
            for pair in pairs {
                for (name, path) in pair.names.iter().zip(&pair.paths) {
                    parts.push((name, Some(hash_file(path)?.sha256)));
                }
            }
        }
        Form::Files(_) | Form::Rows(_) => {
            parts.extend(
                collection.items.iter().zip(readings).map(|(item, reading)| (item.name.as_str(), reading.sha256)),
            );
            for other in collection.others.iter().filter(|other| other.kind == OtherKind::File) {
                parts.push((&other.name, hash_file(&other.path).ok().map(|file| file.sha256)));
            }
        }
    }
    Ok(tree_digest(parts))
}

/// The hash of named hashes, in any order.
pub(crate) fn tree_digest(mut parts: Vec<(&str, Option<Digest>)>) -> Digest {
    parts.sort_unstable_by(|left, right| left.0.cmp(right.0));
    let mut hasher = Hasher::default();
    for (name, digest) in parts {
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name);
        match digest {
            Some(digest) => hasher.update(digest.as_bytes()),
            None => hasher.update([0; 32]),
        }
    }
    hasher.finish()
}

/// A file's bytes and hash, or why there are none; a file of more than `most` bytes is hashed and not kept.
pub(super) fn read_whole(path: &Path, most: u64) -> (Option<Digest>, std::result::Result<Vec<u8>, Fault>) {
    let unreadable = |source: &dyn std::fmt::Display| Err(Fault::new(FaultKind::Unreadable, source.to_string()));
    let length = match std::fs::metadata(path) {
        Ok(data) => data.len(),
        Err(source) => return (None, unreadable(&source)),
    };
    if length > most {
        let reason = format!("{length} bytes, more than any picture within image_pixels needs ({most})");
        return match hash_file(path) {
            Ok(file) => (Some(file.sha256), Err(Fault::new(FaultKind::TooLarge, reason))),
            Err(error) => (None, unreadable(&error.message())),
        };
    }
    let mut bytes = Vec::new();
    // A file that grows meanwhile is not followed.
    match File::open(path).and_then(|file| file.take(length).read_to_end(&mut bytes)) {
        Ok(0) => (Some(Digest::of(&bytes)), Err(Fault::new(FaultKind::Empty, "the file has no bytes"))),
        Ok(_) => (Some(Digest::of(&bytes)), Ok(bytes)),
        Err(source) => (None, unreadable(&source)),
    }
}
