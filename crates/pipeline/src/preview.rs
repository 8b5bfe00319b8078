//! Contact sheets of augmented rows: originals in the first column, what they become beside them. The augment stage
//! shows one in the report; `lepton data preview` writes one as PNG or HTML.

mod draw;
mod lines;
mod marked;
mod sheet;
mod tables;

pub use sheet::write_preview;

use crate::Project;
use crate::stages::collect;
use arrow_array::RecordBatch;
use lepton_core::{
    Cancel, ColumnKind, Digest, Error, ErrorCode, Figure, Progress, Result, Schema, Seed, Split, TaskKind,
};
use lepton_data::augment::Domain;
use lepton_data::{AugmentSettings, catalogue};
use lepton_store::Store;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Rows on a sheet, and variants of each.
const ROWS: usize = 6;
const VARIANTS: u64 = 5;

/// A contact sheet and what it came from.
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    /// The name of the data.
    pub dataset: String,
    /// Hash of its schema and values.
    pub sha256: Digest,
    /// The seed of every draw.
    pub seed: Seed,
    /// The settings that were applied.
    pub settings: AugmentSettings,
    /// They in one line.
    pub about: String,
    /// What there is to see.
    #[serde(skip)]
    pub figures: Vec<Figure>,
}

/// The rows of a training split, with what augmentation needs to know of them.
pub(crate) struct TrainRows<'a> {
    pub(crate) part: &'a RecordBatch,
    pub(crate) schema: &'a Schema,
    pub(crate) target: &'a str,
}

/// A contact sheet for a project (a folder with a lepton.toml, or that file) or for data alone (a folder of pictures,
/// a table). `overrides` are as for a run; with data alone they are the settings, and a table needs
/// `collect.target=COLUMN`.
///
/// # Errors
/// What reading the data reports; [`ErrorCode::Config`] when nothing is augmented, and what the settings are refused
/// for.
pub fn preview(
    store: &Store,
    path: &Path,
    overrides: &[String],
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Preview> {
    let is_project = path.join("lepton.toml").is_file() || path.extension().is_some_and(|kind| kind == "toml");
    let project = if is_project { Project::load(path, overrides)? } else { bare_project(path, overrides)? };
    let settings = &project.settings;
    let augment = settings.augment.clone().unwrap_or_else(|| settings.task().default_augment());
    augment.check()?;
    if augment.is_off() {
        let text = "nothing is augmented: there is no [augment] section, and this task has no default";
        return Err(Error::new(ErrorCode::Config, text)
            .at_key("augment")
            .fix("try --set 'augment.steps=[{ kind = \"number_noise\" }]', or one of the others in docs/guide.md"));
    }
    let files = match settings.collect.dataset.as_deref().map(catalogue::find).transpose()? {
        Some(entry) => Some(collect::files_of(store, entry)?),
        None => None,
    };
    let (limits, seed) = (&settings.limits, settings.project.seed);
    let dataset = lepton_data::collect(&settings.collect, &project.folder, files.as_ref(), limits, progress, cancel)?;
    let digest = dataset.digest()?;
    let dataset = match is_project {
        // The rows that a training would see.
        true => lepton_data::prepare(dataset, &settings.prepare, seed, progress, cancel)?.0,
        false => dataset,
    };
    let part = dataset.parts.get(&Split::Train).ok_or_else(|| Error::internal("there is no training split"))?;
    let rows = TrainRows { part, schema: &dataset.schema, target: &dataset.target };
    Ok(Preview {
        figures: figures(&rows, &augment, seed)?,
        dataset: dataset.name.clone(),
        sha256: digest,
        seed,
        about: augment.describe(),
        settings: augment,
    })
}

/// A project made of a path and `--set`: pictures in folders, or a table.
fn bare_project(path: &Path, overrides: &[String]) -> Result<Project> {
    let here = path.canonicalize().map_err(|source| Error::io("find the data", path, source))?;
    let kind = if here.is_dir() { TaskKind::ImageClassification } else { TaskKind::TabularClassification };
    let quoted = |path: &PathBuf| serde_json::Value::String(path.display().to_string()).to_string();
    let text = format!("[project]\nname = \"preview\"\ntask = \"{kind}\"\n\n[collect]\npath = {}\n", quoted(&here));
    Project::parse(&text, path, overrides)
}

/// The sheets of `settings` over `rows`: one for each kind of thing that the steps change.
///
/// # Errors
/// [`ErrorCode::Unsupported`] for a step whose kind of data the rows do not hold, and what the steps report.
pub(crate) fn figures(rows: &TrainRows<'_>, settings: &AugmentSettings, seed: Seed) -> Result<Vec<Figure>> {
    if let Some(column) = rows.schema.of_kind(ColumnKind::Image).next() {
        settings.check_domain(Domain::Pictures)?;
        return Ok(vec![marked::pictures(rows, &column.name, settings, seed)?]);
    }
    if let Some(column) = rows.schema.of_kind(ColumnKind::Series).next() {
        settings.check_domain(Domain::Series)?;
        return lines::whole_series(rows, &column.name, settings, seed);
    }
    let mut figures = Vec::new();
    let mut seen = Vec::new();
    for domain in settings.steps.iter().map(|settings| settings.step.domain()) {
        if seen.contains(&domain) {
            continue;
        }
        seen.push(domain);
        let mut own = settings.clone();
        own.steps.retain(|settings| settings.step.domain() == domain);
        match domain {
            Domain::Tables => figures.push(tables::table(rows, &own, seed)?),
            Domain::Texts => figures.push(lines::texts(rows, &own, seed)?),
            Domain::Series => figures.extend(lines::series(rows, &own, seed)?),
            Domain::Pictures | Domain::Sounds => settings.check_domain(Domain::Tables)?,
        }
    }
    if settings.has_simple() {
        settings.check_domain(Domain::Tables)?;
    }
    Ok(figures)
}
