//! Pictures and sounds: profile and findings, repair as a new folder, and undo. What a repair takes away or changes
//! stays in the store; what it keeps is taken from the repaired folder itself, held to its hash.

use super::place::{place_folder, refuse_inside};
use super::{Examined, ReadSettings, RepairReport, UndoReport, not_repaired, read_plan, record_of};
use lepton_core::{Cancel, Digest, Error, ErrorCode, Progress, Result, Split};
use lepton_doctor::Finding;
use lepton_doctor::media::audio::{check_audio, profile_audio};
use lepton_doctor::media::pictures::{PictureChecks, check_pictures, profile_pictures};
use lepton_doctor::media::repair::{
    FileChange, Origin, RepairOptions, RepairedCollection, folder_digest, repair_collection, restore,
};
use lepton_doctor::media::{Collection, Form, MediaKind, SurveyOptions};
use lepton_doctor::repair::Plan;
use lepton_store::Store;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Profiles a collection, and looks for what is wrong with it. The summary for monitoring goes into the store.
pub(super) fn examine_media(
    store: &Store,
    collection: Collection,
    settings: &ReadSettings,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(Examined, Vec<Finding>, Digest)> {
    let options = SurveyOptions { limits: settings.limits.clone(), threads: settings.threads(), progress, cancel };
    let (examined, findings, sketches) = match collection.kind {
        MediaKind::Pictures => {
            let profile = profile_pictures(collection, &options)?;
            let findings = check_pictures(&profile, &PictureChecks::default(), &options)?;
            let sketches = profile.sketches();
            (Examined::Pictures(Box::new(profile)), findings, sketches)
        }
        MediaKind::Audio => {
            let profile = profile_audio(collection, &options)?;
            let (findings, sketches) = (check_audio(&profile), profile.sketches());
            (Examined::Audio(Box::new(profile)), findings, sketches)
        }
    };
    let sketches = store.blobs().put_bytes(&json(&sketches)?)?;
    Ok((examined, findings, sketches))
}

/// What the store knows of a repaired folder.
#[derive(Debug, Serialize, Deserialize)]
struct RepairedFolder {
    /// Tells it from other datasets.
    kind: String,
    /// Whether the items are sounds.
    is_audio: bool,
    /// The pairs of idx files, where it holds these.
    idx: Vec<(Split, [String; 2])>,
    /// The digest of the original.
    original: Digest,
    /// The blob that lists the files of the original.
    files: Digest,
    /// The blob of the plan.
    plan: Digest,
    /// The blob of the change log.
    changes: Digest,
}

/// The `kind` of [`RepairedFolder`].
const REPAIRED: &str = "repaired_folder";

/// A file of the original as the store lists it.
#[derive(Debug, Serialize, Deserialize)]
struct Listed {
    name: String,
    sha256: Digest,
    bytes: u64,
    is_item: bool,
    /// Its name in the repaired folder; where there is none, its bytes are a blob.
    kept: Option<String>,
}

/// Repairs a collection by a plan, as a new folder that appears whole or not at all.
pub(super) fn repair_media(
    store: &Store,
    collection: &Collection,
    plan: &Path,
    to: &Path,
    settings: &ReadSettings,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<RepairReport> {
    let parsed = read_plan(plan)?;
    if let Form::Files(root) = &collection.form {
        refuse_inside(root, to)?;
    }
    let options = RepairOptions { limits: settings.limits.clone(), threads: settings.threads(), progress, cancel };
    let name_plan = |error: Error| match error.place().file {
        Some(_) => error,
        None => error.in_file(plan),
    };
    place_folder(to, |folder| {
        let repaired = repair_collection(collection, &parsed, folder, &options).map_err(name_plan)?;
        keep(store, collection, &parsed, &repaired, to)
    })
}

/// Tells the store of a repair before its folder is there.
fn keep(
    store: &Store,
    collection: &Collection,
    plan: &Plan,
    repaired: &RepairedCollection,
    to: &Path,
) -> Result<RepairReport> {
    let mut listed = Vec::new();
    for origin in &repaired.originals {
        if origin.kept.is_none() && store.blobs().put_file(&origin.path)? != origin.sha256 {
            return Err(
                Error::new(ErrorCode::Integrity, "the file was changed while it was read").in_file(&origin.path)
            );
        }
        let Origin { name, sha256, bytes, is_item, kept, .. } = origin.clone();
        listed.push(Listed { name, sha256, bytes, is_item, kept });
    }
    let changes = store.blobs().put_with(|writer| {
        repaired.log.iter().try_for_each(|change: &FileChange| {
            let mut line = json(change)?;
            line.push(b'\n');
            writer.write_all(&line).map_err(|source| Error::io("write the change log", to, source))
        })
    })?;
    let text = plan.to_toml(&collection.name)?;
    let idx = match &collection.form {
        Form::Idx(pairs) => pairs.iter().map(|pair| (pair.part, pair.names.clone())).collect(),
        _ => Vec::new(),
    };
    let record = RepairedFolder {
        kind: REPAIRED.to_owned(),
        is_audio: collection.kind == MediaKind::Audio,
        idx,
        original: plan.sha256,
        files: store.blobs().put_bytes(&json(&listed)?)?,
        plan: store.blobs().put_bytes(text.as_bytes())?,
        changes,
    };
    let name = to.file_name().map_or_else(|| "folder".to_owned(), |name| name.to_string_lossy().into_owned());
    let manifest = serde_json::to_value(&record)
        .map_err(|source| Error::internal(format!("a record cannot be written: {source}")))?;
    store.register_dataset(&name, &repaired.sha256, &manifest)?;
    Ok(RepairReport {
        file: to.to_path_buf(),
        sha256: repaired.sha256,
        original_sha256: plan.sha256,
        rows: [collection.items.len() as u64, repaired.items as u64],
        repairs: repaired.outcomes.clone(),
        log: store.blobs().path(&changes).unwrap_or_default(),
    })
}

/// Takes repairs of a folder back: these, or all where none is named.
pub(super) fn undo_media(
    store: &Store,
    repaired: &Path,
    repairs: &[String],
    to: &Path,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<UndoReport> {
    refuse_inside(repaired, to)?;
    let sha256 = folder_digest(repaired)?;
    let record: RepairedFolder =
        record_of(&store.datasets()?, &sha256, REPAIRED).ok_or_else(|| not_repaired("folder", repaired))?;
    let text = String::from_utf8_lossy(&store.blobs().get(&record.plan)?).into_owned();
    let mut plan = Plan::from_toml(&text)?;
    plan.steps.retain(|step| step.enabled);
    let done: Vec<String> = plan.steps.iter().map(|step| step.id.clone()).collect();
    if let Some(unknown) = repairs.iter().find(|id| !done.contains(id)) {
        return Err(Error::new(ErrorCode::NotFound, format!("no repair \"{unknown}\" was done"))
            .fix(format!("what was done: {}", done.join(", "))));
    }
    let originals = originals_of(store, &record, repaired)?;
    if repairs.is_empty() || done.iter().all(|id| repairs.contains(id)) {
        let sha256 = place_folder(to, |folder| restore(&originals, folder, cancel))?;
        return Ok(UndoReport { file: to.to_path_buf(), sha256, undone: done, left: Vec::new() });
    }
    plan.steps.retain(|step| !repairs.contains(&step.id));
    let settings = ReadSettings::default();
    let collection = collection_of(&record, &originals, repaired, &settings)?;
    let options = RepairOptions { limits: settings.limits.clone(), threads: settings.threads(), progress, cancel };
    let report = place_folder(to, |folder| {
        let again = repair_collection(&collection, &plan, folder, &options)?;
        keep(store, &collection, &plan, &again, to)
    })?;
    let left = plan.steps.into_iter().map(|step| step.id).collect();
    Ok(UndoReport { file: to.to_path_buf(), sha256: report.sha256, undone: repairs.to_vec(), left })
}

/// The files of the original, and where their bytes lie now.
fn originals_of(store: &Store, record: &RepairedFolder, repaired: &Path) -> Result<Vec<Origin>> {
    let listed: Vec<Listed> = serde_json::from_slice(&store.blobs().get(&record.files)?)
        .map_err(|source| Error::new(ErrorCode::Integrity, format!("the list of files is damaged: {source}")))?;
    let origin = |Listed { name, sha256, bytes, is_item, kept }: Listed| {
        let path = match &kept {
            Some(kept) => repaired.join(kept),
            None => store.blobs().path(&sha256).ok_or_else(|| {
                Error::new(ErrorCode::NotFound, format!("the original of {name} is not in the data folder any more"))
                    .in_file(repaired)
            })?,
        };
        Ok(Origin { name, path, sha256, bytes, is_item, kept: None })
    };
    listed.into_iter().map(origin).collect()
}

/// The original, with its files where they lie now.
fn collection_of(
    record: &RepairedFolder,
    originals: &[Origin],
    repaired: &Path,
    settings: &ReadSettings,
) -> Result<Collection> {
    let name = repaired.display().to_string();
    if record.idx.is_empty() {
        let kind = if record.is_audio { MediaKind::Audio } else { MediaKind::Pictures };
        let files =
            originals.iter().map(|origin| (origin.name.clone(), origin.path.clone(), origin.bytes, origin.is_item));
        return Ok(Collection::files(name, kind, repaired, files.collect()));
    }
    let path = |name: &String| -> Result<PathBuf> {
        let origin = originals.iter().find(|origin| origin.name == *name);
        origin.map(|origin| origin.path.clone()).ok_or_else(|| {
            Error::new(ErrorCode::Integrity, format!("the list of files lacks {name}")).in_file(repaired)
        })
    };
    let mut pairs = Vec::new();
    for (part, names) in &record.idx {
        pairs.push((*part, names.clone(), [path(&names[0])?, path(&names[1])?]));
    }
    Collection::named_idx(name, pairs, &settings.limits)
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|source| Error::internal(format!("a record cannot be written: {source}")))
}
