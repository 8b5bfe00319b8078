//! Rows to evaluate on, from the three things that a person may name as data.

use super::gather::gather;
use super::parts;
use crate::Project;
use crate::artifact::Collected;
use crate::repair::RunRepair;
use arrow_array::RecordBatch;
use lepton_core::{Cancel, Digest, Error, ErrorCode, Limits, Progress, Result, Split};
use lepton_data::remote::{self, Access, Freshness};
use lepton_data::{CollectSettings, Dataset};
use lepton_store::Store;
use std::collections::BTreeSet;
use std::path::Path;

/// Rows and where they came from.
pub(crate) struct EvaluationRows {
    pub(crate) dataset: String,
    pub(crate) digest: Digest,
    pub(crate) split: String,
    pub(crate) batch: RecordBatch,
}

/// The test split of a dataset version, or all of it where it has none.
pub(crate) fn of_dataset(store: &Store, collected: &Collected) -> Result<EvaluationRows> {
    let split = if collected.parts.contains_key(&Split::Test) { Split::Test } else { Split::Train };
    Ok(EvaluationRows {
        dataset: collected.dataset.clone(),
        digest: collected.digest,
        split: if split == Split::Test { "test".to_owned() } else { "all".to_owned() },
        batch: parts::load(store, &collected.parts, split)?,
    })
}

/// What a project's `[collect]` names, split as its `[prepare]` says; its test split.
pub(crate) fn of_project(
    store: &Store,
    folder: &Path,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<EvaluationRows> {
    let project = Project::load(folder, &[])?;
    let settings = &project.settings;
    let dataset = collected(store, &project, progress, cancel)?;
    let digest = dataset.digest()?;
    let (dataset, dropped) = match RunRepair::of(&project)? {
        Some(repair) => repair.edit(dataset, &settings.collect)?,
        None => (dataset, BTreeSet::new()),
    };
    if let Some(cut) = settings.task().cut(&dataset, &settings.forecast, &settings.recipe)? {
        return rows(cut.dataset, digest, Split::Test);
    }
    let seed = settings.project.seed;
    let (prepared, _) = lepton_data::prepare_without(dataset, &dropped, &settings.prepare, seed, progress, cancel)?;
    rows(prepared, digest, Split::Test)
}

/// What a project's `[collect]` names, read anew. Nothing is downloaded.
pub(crate) fn collected(store: &Store, project: &Project, progress: &dyn Progress, cancel: &Cancel) -> Result<Dataset> {
    let settings = &project.settings;
    if remote::freshness(&settings.collect)? == Freshness::Snapshot {
        let message = "the data of this project lies elsewhere, and may have changed since it was collected";
        return Err(Error::new(ErrorCode::Unsupported, message)
            .in_file(&project.file)
            .fix("name the dataset version in its place: lepton data list shows it"));
    }
    let collect = RunRepair::collect_settings(RunRepair::of(project)?.as_ref(), &settings.collect)?;
    let (dataset, _) =
        gather(store, &collect, &settings.limits, &project.folder, &Access::default(), progress, cancel)?;
    Ok(dataset)
}

/// Every row of a file or folder; its test part where the format has one.
pub(crate) fn of_file(
    settings: &CollectSettings,
    limits: &Limits,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<EvaluationRows> {
    let dataset = lepton_data::collect(settings, Path::new("."), None, limits, progress, cancel)?;
    let digest = dataset.digest()?;
    let split = if dataset.parts.contains_key(&Split::Test) { Split::Test } else { Split::Train };
    rows(dataset, digest, split)
}

fn rows(mut dataset: Dataset, digest: Digest, split: Split) -> Result<EvaluationRows> {
    let batch = dataset.parts.remove(&split).ok_or_else(|| Error::internal(format!("there is no {split} split")))?;
    let split = if split == Split::Test { "test" } else { "all" };
    Ok(EvaluationRows { dataset: dataset.name, digest, split: split.to_owned(), batch })
}
