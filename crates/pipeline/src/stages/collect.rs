//! Stage 1, collect: the project's source becomes a dataset version named by its content.
//!
//! Catalogue datasets are downloaded once, with permission, into the blob store; later runs read the blobs.

use super::gather::gather;
use super::{Work, parts};
use crate::Stage;
use crate::artifact::Collected;
use crate::cache;
use crate::repair::RunRepair;
use crate::run::Context;
use lepton_core::{Cancel, Digest, Error, ErrorCode, Limits, Progress, Result};
use lepton_data::SourceFile;
use lepton_data::catalogue::{self, CatalogueFiles, Entry, FetchedFile};
use lepton_data::remote::{self, Freshness};
use lepton_store::{DatasetRecord, Store};
use std::path::{Path, PathBuf};

/// The work of this stage.
pub(crate) struct Collect {
    entry: Option<&'static Entry>,
    /// A version of rows that arrived, which `dataset` may name too.
    version: Option<DatasetRecord>,
    repair: Option<RunRepair>,
}

impl Collect {
    pub(crate) fn new(context: &Context<'_>) -> Result<Collect> {
        let repair = RunRepair::of(context.project)?;
        let Some(name) = context.project.settings.collect.dataset.as_deref() else {
            return Ok(Collect { entry: None, version: None, repair });
        };
        match (catalogue::find(name), context.store.dataset(name)) {
            (Ok(entry), _) => Ok(Collect { entry: Some(entry), version: None, repair }),
            (Err(_), Ok(version)) => Ok(Collect { entry: None, version: Some(version), repair }),
            (Err(error), Err(_)) => Err(error),
        }
    }
}

/// Whether every file of a catalogue dataset is in the blob store.
///
/// # Errors
/// Those of the store.
pub fn catalogue_state(store: &Store, entry: &Entry) -> Result<bool> {
    Ok(pinned(entry)?.iter().all(|digest| store.blobs().contains(digest)))
}

/// Downloads a catalogue dataset into the blob store, unless it is there already.
///
/// # Errors
/// [`ErrorCode::Fetch`] when the package client fails, [`ErrorCode::Integrity`] when a file is not the one
/// that the catalogue pins.
pub fn fetch_dataset(
    store: &Store,
    entry: &Entry,
    limits: &Limits,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<()> {
    if catalogue_state(store, entry)? {
        return Ok(());
    }
    let scratch = store.scratch()?;
    for file in catalogue::fetch(entry, scratch.path(), limits, progress, cancel)? {
        store.blobs().put_file(&file.path)?;
    }
    Ok(())
}

/// The blobs of a catalogue dataset, by role.
pub(crate) fn files_of(store: &Store, entry: &Entry) -> Result<CatalogueFiles> {
    let mut files = CatalogueFiles::default();
    for (file, digest) in entry.files.iter().zip(pinned(entry)?) {
        // Read once, so that a damaged blob is named here and not taken for data.
        store.blobs().verify(&digest)?;
        let path = store.blobs().path(&digest).ok_or_else(|| Error::internal("a verified blob has no path"))?;
        files.files.push(FetchedFile { role: file.role.to_owned(), path, sha256: digest });
    }
    Ok(files)
}

impl Work for Collect {
    type Output = Collected;
    const STAGE: Stage = Stage::Collect;

    fn key(&self, context: &Context<'_>) -> Result<Digest> {
        let settings = &context.project.settings;
        let source = match (self.entry, &self.version) {
            (Some(entry), _) => (None, pinned(entry)?, Vec::new()),
            (None, Some(version)) => (None, vec![version.digest], Vec::new()),
            (None, None) => (Some(&context.project.folder), Vec::new(), listing(context)),
        };
        let plan = self.repair.as_ref().map(|repair| repair.digest);
        cache::key(Self::STAGE, (&settings.collect, &settings.limits), (source, plan))
    }

    /// Local files may change behind the key's back: their bytes are hashed again. What lies elsewhere is a snapshot,
    /// taken again when fetching is allowed; a download has its hash in the key.
    fn still_good(&self, context: &Context<'_>, output: &Collected) -> bool {
        if self.entry.is_some() || self.version.is_some() {
            return true;
        }
        let snapshot =
            remote::freshness(&context.project.settings.collect).is_ok_and(|kind| kind == Freshness::Snapshot);
        if snapshot && context.options.access.fetch {
            return false;
        }
        let same = |file: &SourceFile| {
            let elsewhere = output.origin.iter().any(|origin| file.path == Path::new(&origin.location));
            let path = context.project.folder.join(&file.path);
            (elsewhere && !path.is_file()) || lepton_data::hash_file(&path).is_ok_and(|now| now.sha256 == file.sha256)
        };
        output.source.iter().all(same)
    }

    fn compute(&self, context: &Context<'_>, _: &Digest) -> Result<Collected> {
        let settings = &context.project.settings;
        let collect = RunRepair::collect_settings(self.repair.as_ref(), &settings.collect)?;
        let (dataset, origin) = match &self.version {
            Some(version) => {
                let dataset = crate::versions::collect_stream(
                    context.store,
                    version,
                    &collect,
                    &settings.limits,
                    context.progress,
                    context.cancel,
                )?;
                (dataset, Vec::new())
            }
            None => gather(
                context.store,
                &collect,
                &settings.limits,
                &context.project.folder,
                &context.options.access,
                context.progress,
                context.cancel,
            )?,
        };
        let collected = Collected {
            dataset: dataset.name.clone(),
            digest: dataset.digest()?,
            parts: parts::save(context.store, &dataset.parts, &dataset.schema)?,
            schema: dataset.schema,
            target: dataset.target,
            source: dataset.source,
            origin,
            unreadable: dataset.unreadable,
        };
        let manifest = serde_json::to_value(&collected)
            .map_err(|source| Error::internal(format!("the dataset cannot be recorded: {source}")))?;
        context.store.register_dataset(&collected.dataset, &collected.digest, &manifest)?;
        Ok(collected)
    }
}

/// The hashes that the catalogue pins, in the order of its files.
fn pinned(entry: &Entry) -> Result<Vec<Digest>> {
    entry.files.iter().map(|file| file.sha256.parse()).collect()
}

/// Names and sizes of every file under the source's folders, so that an added or removed file changes the key.
/// What cannot be listed is left out here: collect itself reports it.
fn listing(context: &Context<'_>) -> Vec<(PathBuf, u64)> {
    let settings = &context.project.settings.collect;
    let mut open: Vec<PathBuf> = [&settings.path, &settings.valid, &settings.test]
        .into_iter()
        .flatten()
        .filter_map(|paths| paths.resolve(&context.project.folder).ok())
        .flatten()
        .collect();
    // What a SQLite file does not hold yet is in the log beside it.
    open.extend(settings.path.as_ref().and_then(|paths| paths.one()).map(|path| {
        let mut log = context.project.folder.join(path).into_os_string();
        log.push("-wal");
        PathBuf::from(log)
    }));
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        match std::fs::read_dir(&path) {
            Ok(entries) => open.extend(entries.flatten().map(|entry| entry.path())),
            Err(_) => files.extend(std::fs::metadata(&path).ok().map(|file| (path, file.len()))),
        }
    }
    files.sort();
    files
}

pub(crate) fn allow_fetch(entry: &Entry, fetch: bool) -> Result<()> {
    if fetch {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::NotAllowed,
        format!(
            "dataset \"{}\" is not on this machine, and nothing is downloaded without permission: it would fetch {} ({:.1} MB, licence: {})",
            entry.name,
            format_args!("{}@{}", entry.package, entry.version),
            entry.download_bytes as f64 / 1e6,
            entry.licence
        ),
    )
    .at_key("collect.dataset")
    .fix(format!("allow it with --fetch, or fetch it now with: lepton data fetch {}", entry.name)))
}
