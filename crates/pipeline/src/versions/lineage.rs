//! Where a dataset version came from, and what was made of it.

use crate::artifact::Collected;
use crate::doctor::repaired_by;
use lepton_core::{Digest, Error, ErrorCode, Manifest, Result};
use lepton_store::Store;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A repair that made a source file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RepairedSource {
    /// The file that was repaired.
    pub original_sha256: Digest,
    /// The plan, in the store; `None` for what was repaired before plans were kept.
    pub plan: Option<PathBuf>,
    /// Every change, in the store.
    pub changes: Option<PathBuf>,
    /// How many changes there are.
    pub change_count: usize,
    /// The repairs that were done.
    pub repairs: Vec<String>,
}

/// A file that a version was read from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceLineage {
    /// Where it lay.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its hash.
    pub sha256: Digest,
    /// The repair that made it, where one did.
    pub repaired: Option<RepairedSource>,
}

/// A run that used a version.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunUse {
    /// Its id.
    pub run: String,
    /// The project.
    pub project: String,
    /// How it ended.
    pub status: String,
    /// When it began.
    pub started: String,
}

/// A model that was trained on a version.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelUse {
    /// `name@version`.
    pub model: String,
    /// The run that made it.
    pub run: Option<String>,
    /// When it was registered.
    pub created: String,
}

/// Where a version came from, and what was made of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LineageReport {
    /// Its name.
    pub dataset: String,
    /// Its hash.
    pub version: Digest,
    /// When it was first registered.
    pub created: String,
    /// The files that it was read from.
    pub source: Vec<SourceLineage>,
    /// Older and newer versions of the name, the newest first.
    pub versions: Vec<Digest>,
    /// Runs that used it and came to an end.
    pub runs: Vec<RunUse>,
    /// Registered models that were trained on it.
    pub models: Vec<ModelUse>,
}

/// Follows a version (`NAME` or `NAME@HASH`) both ways.
///
/// # Errors
/// [`ErrorCode::NotFound`] for a name that is none; [`ErrorCode::Unsupported`] for a repaired table that no run has
/// collected; those of the store.
pub fn lineage(store: &Store, name: &str) -> Result<LineageReport> {
    let record = store.dataset(name)?;
    let collected: Collected = serde_json::from_value(record.manifest).map_err(|_| {
        Error::new(ErrorCode::Unsupported, format!("\"{name}\" is a repaired table that no run has collected yet"))
            .fix("run a project on its file first")
    })?;
    let all = store.datasets()?;
    let mut source = Vec::new();
    for file in collected.source {
        let repaired = repaired_by(store, &all, &file.sha256)?;
        source.push(SourceLineage { path: file.path, bytes: file.bytes, sha256: file.sha256, repaired });
    }
    let mut runs = Vec::new();
    let mut ids = BTreeSet::new();
    for run in store.runs(usize::MAX)? {
        let used = run.result.as_ref().and_then(|result| result["dataset"].as_str()).map(str::to_owned);
        if used == Some(record.digest.hex()) {
            ids.insert(run.id.clone());
            let status = run.status.name().to_owned();
            runs.push(RunUse { run: run.id, project: run.name, status, started: run.started });
        }
    }
    let mut models = Vec::new();
    for model in store.models()? {
        // A package whose manifest cannot be read is told by `lepton model verify`; its run says enough here.
        let trained_on = std::fs::read(model.dir.join("manifest.json"))
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Manifest>(&bytes).ok())
            .and_then(|manifest| manifest.lineage)
            .map(|lineage| lineage.dataset_sha256);
        let by_run = model.run.as_ref().is_some_and(|run| ids.contains(run));
        if trained_on == Some(record.digest) || (trained_on.is_none() && by_run) {
            let name = format!("{}@{}", model.name, model.version);
            models.push(ModelUse { model: name, run: model.run, created: model.created });
        }
    }
    let versions = all.iter().filter(|other| other.name == record.name).map(|other| other.digest).collect();
    Ok(LineageReport {
        dataset: record.name,
        version: record.digest,
        created: record.created,
        source,
        versions,
        runs,
        models,
    })
}
