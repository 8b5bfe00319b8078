//! Repairs of collections, as a new folder: what becomes of each item by a plan (`fate`), new folders of files
//! (`folder`) and new idx files (`idx`), and the log of what was done. What changes pictures is in `transform`.
//!
//! Undo is a repair of the original by the steps that are left, so nothing here goes backwards.

mod fate;
mod folder;
mod idx;
mod transform;

use super::collection::{Collection, Form, Place};
use super::survey::tree_digest;
use super::walk::OtherKind;
use crate::repair::{Outcome, Plan};
use fate::{Fate, fates};
use lepton_core::{Cancel, Digest, Error, ErrorCode, Limits, Progress, Result};
use lepton_data::hash_file;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// One change of one file, or of one picture of an idx file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileChange {
    /// The step that did it.
    pub repair: String,
    /// The item, by its name in the original.
    pub file: String,
    /// What was done.
    pub what: FileChangeKind,
    /// Its name or label afterwards, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The hash of its bytes (of a picture of an idx file: its pixels) in the original.
    pub old: Digest,
    /// The hash of its bytes afterwards; none of what was dropped.
    pub new: Option<Digest>,
    /// Why, from the plan.
    pub reason: String,
}

/// What was done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileChangeKind {
    /// It is gone.
    Dropped,
    /// It has another label.
    Relabelled,
    /// It has another name.
    Renamed,
    /// Its pixels are others.
    Changed,
}

/// A file of the original, and where its bytes are afterwards.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// Path under the original folder.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Its hash.
    pub sha256: Digest,
    /// Its length.
    pub bytes: u64,
    /// Whether it is a picture or a sound of the collection, or an idx file.
    pub is_item: bool,
    /// What it is called in the new folder, byte by byte the same; `None` where its bytes are not there.
    pub kept: Option<String>,
}

/// A collection that was repaired.
#[derive(Clone, Debug, PartialEq)]
pub struct RepairedCollection {
    /// What each step did: `cells` counts items that changed, `rows` those that were dropped.
    pub outcomes: Vec<Outcome>,
    /// Every change.
    pub log: Vec<FileChange>,
    /// Every file of the original.
    pub originals: Vec<Origin>,
    /// Items that are left.
    pub items: usize,
    /// Names the new folder, as [`folder_digest`] does.
    pub sha256: Digest,
}

/// What a repair is done with.
pub struct RepairOptions<'a> {
    /// Limits on what is decoded.
    pub limits: Limits,
    /// Threads for what is decoded; at least one.
    pub threads: usize,
    /// Told of the items that were written.
    pub progress: &'a dyn Progress,
    /// Asked between two files.
    pub cancel: &'a Cancel,
}

/// The hash that a plan for a collection is bound to, and that of each item that is a file.
///
/// # Errors
/// [`ErrorCode::Unsupported`] for rows of a dataset; [`ErrorCode::Io`] for a file that cannot be read.
pub fn fingerprint(collection: &Collection) -> Result<(Digest, Vec<Origin>)> {
    let mut originals = Vec::new();
    let mut add = |name: &str, path: &Path, is_item: bool| -> Result<()> {
        let file = hash_file(path).map_err(|error| {
            error
                .fix("make the file readable or take it out of the folder: what cannot be read cannot be kept for undo")
        })?;
        let (name, path) = (name.to_owned(), path.to_path_buf());
        originals.push(Origin { name, path, sha256: file.sha256, bytes: file.bytes, is_item, kept: None });
        Ok(())
    };
    match &collection.form {
        Form::Rows(_) => {
            return Err(Error::new(
                ErrorCode::Unsupported,
                format!("{} lies in the data folder, where nothing is repaired", collection.name),
            )
            .fix("repair the folder that it was collected from, and collect it again"));
        }
        Form::Idx(pairs) => {
            for pair in pairs {
                for (name, path) in pair.names.iter().zip(&pair.paths) {
                    add(name, path, true)?;
                }
            }
        }
        Form::Files(_) => {
            for item in &collection.items {
                if let Place::File(path) = &item.place {
                    add(&item.name, path, true)?;
                }
            }
            for other in &collection.others {
                if other.kind != OtherKind::File {
                    return Err(Error::new(
                        ErrorCode::Unsupported,
                        "this would be lost: it is no plain file of a plain name",
                    )
                    .in_file(&other.path)
                    .fix("take it out of the folder, then make a new plan"));
                }
                add(&other.name, &other.path, false)?;
            }
        }
    }
    let named = originals.iter().map(|origin| (origin.name.as_str(), Some(origin.sha256)));
    Ok((tree_digest(named.collect()), originals))
}

/// The hash of a folder that a repair wrote, of the names and bytes of all files in it.
///
/// # Errors
/// [`ErrorCode::Io`].
pub fn folder_digest(folder: &Path) -> Result<Digest> {
    let (found, others) = super::walk::walk(folder)?;
    let mut parts: Vec<(&str, Option<Digest>)> = Vec::new();
    for file in &found {
        parts.push((&file.name, Some(hash_file(&file.path)?.sha256)));
    }
    parts.extend(others.iter().map(|other| (other.name.as_str(), None)));
    Ok(tree_digest(parts))
}

/// Does what a plan says, into an empty folder. The collection stays as it is.
///
/// # Errors
/// [`ErrorCode::Integrity`] when the plan was made for other bytes, or a file changed meanwhile;
/// [`ErrorCode::NotFound`] for a file or class that is not there, naming the step's key; [`ErrorCode::Config`] for a
/// step that cannot be done; those of [`fingerprint`]; [`ErrorCode::StorageFull`] and [`ErrorCode::Io`].
pub fn repair_collection(
    collection: &Collection,
    plan: &Plan,
    folder: &Path,
    options: &RepairOptions<'_>,
) -> Result<RepairedCollection> {
    let (sha256, originals) = fingerprint(collection)?;
    if plan.sha256 != sha256 {
        let message = format!("{} has sha256 {sha256}, the plan was made for {}", collection.name, plan.sha256);
        return Err(
            Error::new(ErrorCode::Integrity, message).fix("make a new plan with `lepton data doctor ... --plan PLAN`")
        );
    }
    let fates = fates(collection, plan, &options.limits)?;
    if fates.iter().all(|fate| fate.dropped.is_some()) {
        return Err(Error::new(ErrorCode::Config, "the plan would leave nothing").fix("disable some of its steps"));
    }
    let mut repaired = match &collection.form {
        Form::Idx(pairs) => idx::write(collection, pairs, &fates, originals, folder, options)?,
        _ => folder::write(collection, &fates, originals, folder, options)?,
    };
    let steps = plan.steps.iter().filter(|step| step.enabled);
    repaired.outcomes = steps
        .map(|step| {
            let count = |dropped: bool| {
                let is = |change: &&FileChange| (change.what == FileChangeKind::Dropped) == dropped;
                repaired.log.iter().filter(|change| change.repair == step.id).filter(is).count() as u64
            };
            Outcome { id: step.id.clone(), cells: count(false), rows: count(true), columns: 0 }
        })
        .collect();
    for change in &mut repaired.log {
        if let Some(step) = plan.steps.iter().find(|step| step.id == change.repair) {
            change.reason.clone_from(&step.reason);
        }
    }
    Ok(repaired)
}

/// Writes the originals to an empty folder, each held to its hash; the folder's digest.
///
/// # Errors
/// [`ErrorCode::Integrity`] for a file that has other bytes by now; [`ErrorCode::StorageFull`] and [`ErrorCode::Io`].
pub fn restore(originals: &[Origin], folder: &Path, cancel: &Cancel) -> Result<Digest> {
    folder::write_all(originals, folder, cancel)?;
    Ok(tree_digest(originals.iter().map(|origin| (origin.name.as_str(), Some(origin.sha256))).collect()))
}

/// What a repair has done so far.
fn begun(originals: Vec<Origin>, items: usize) -> RepairedCollection {
    RepairedCollection { outcomes: Vec::new(), log: Vec::new(), originals, items, sha256: Digest::of("") }
}

fn dropped(item: &str, fate: &Fate<'_>, old: Digest) -> Option<FileChange> {
    let repair = fate.dropped?.to_owned();
    let (file, reason) = (item.to_owned(), String::new());
    Some(FileChange { repair, file, what: FileChangeKind::Dropped, to: None, old, new: None, reason })
}
