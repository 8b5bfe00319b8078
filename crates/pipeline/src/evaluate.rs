//! `lepton evaluate MODEL DATA`: the metrics of a packaged model on data that it has not seen.

use crate::artifact::Collected;
use crate::model::LoadedModel;
use crate::stages::evaluation_rows;
use crate::tasks::task_over;
use arrow_array::RecordBatch;
use lepton_core::{Cancel, Confidence, Digest, Error, ErrorCode, Limits, Metrics, Progress, Result, Seed, Tensor};
use lepton_data::CollectSettings;
use lepton_runtime::Model;
use lepton_store::Store;
use lepton_train::{EvaluationInput, Target};
use serde::Serialize;
use std::path::Path;

/// Metrics, and what they came from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// `name@version`.
    pub model: String,
    /// Name of the data.
    pub dataset: String,
    /// Hash of the dataset version.
    pub dataset_sha256: Digest,
    /// Which part of it.
    pub split: String,
    /// Rows behind the metrics.
    pub rows: usize,
    /// The engine that ran the model.
    pub engine: String,
    /// Metrics by name.
    pub metrics: Metrics,
    /// How sure they are; `None` for fewer than ten rows.
    pub confidence: Option<Confidence>,
}

/// Evaluates on `data`: a dataset of the store by name, a project folder (its test split), or a file or
/// folder in any format of collect.
///
/// # Errors
/// [`ErrorCode::Unsupported`] for a model without a task (a bare ONNX file); those of collect; a label that
/// training never saw.
pub fn evaluate(
    store: &Store,
    loaded: &LoadedModel,
    data: &str,
    limits: &Limits,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Evaluation> {
    let manifest = loaded.model.manifest();
    let Some(kind) = manifest.task else {
        return Err(Error::new(
            ErrorCode::Unsupported,
            "this model names no task, so there is nothing to measure it by",
        )
        .fix("evaluate a model package; a bare ONNX file says nothing of labels"));
    };
    let recipe = loaded.model.recipe().ok_or_else(|| Error::internal("a package with a task has no recipe"))?;
    let task = task_over(kind, recipe.has_several_labels()).ok_or_else(|| {
        Error::new(ErrorCode::BadData, format!("the recipe has several labels a row, {kind} has none"))
    })?;
    let target = recipe.target_column().ok_or_else(|| Error::internal("the recipe names no target"))?;
    let is_project = Path::new(data).join("lepton.toml").is_file();
    let rows = match registered(store, data)? {
        _ if recipe.horizon().is_some() && !is_project => {
            let message = "a forecast is measured at the origins that a project names";
            return Err(
                Error::new(ErrorCode::Unsupported, message).fix("name the folder of the project, with its [forecast]")
            );
        }
        Some(collected) => evaluation_rows::of_dataset(store, &collected)?,
        None => {
            let path = Path::new(data);
            if !path.exists() {
                return Err(Error::new(ErrorCode::NotFound, format!("\"{data}\" is neither a dataset nor a file"))
                    .fix("lepton data list shows the datasets of this machine"));
            }
            if is_project {
                evaluation_rows::of_project(store, path, progress, cancel)?
            } else {
                let path = path.canonicalize().map_err(|source| Error::io("find the data", path, source))?;
                let settings = CollectSettings {
                    path: Some(path.into()),
                    target: Some(target.to_owned()),
                    columns: manifest
                        .inputs
                        .columns
                        .iter()
                        .map(|column| (column.name.clone(), column.kind))
                        .chain([(target.to_owned(), task.target_kind())])
                        .collect(),
                    ..CollectSettings::default()
                };
                evaluation_rows::of_file(&settings, limits, progress, cancel)?
            }
        }
    };
    let targets = recipe.encode_target(&rows.batch)?;
    let outputs = outputs_of(&loaded.model, &rows.batch)?;
    let given = EvaluationInput { outputs: &outputs, targets: &targets, target: Target::of(recipe), rows: &rows.batch };
    Ok(Evaluation {
        model: format!("{}@{}", loaded.name, loaded.version),
        dataset: rows.dataset,
        dataset_sha256: rows.digest,
        split: rows.split,
        rows: rows.batch.num_rows(),
        engine: loaded.model.engine_name().to_owned(),
        metrics: task.evaluate(&given)?,
        confidence: lepton_train::confidence(task, &given, Seed::default())?,
    })
}

/// The raw outputs for all rows, a few hundred at a time; `[rows, classes]`.
fn outputs_of(model: &Model, rows: &RecordBatch) -> Result<Tensor> {
    const ROWS_PER_CALL: usize = 256;
    let mut outputs = Vec::new();
    for start in (0..rows.num_rows()).step_by(ROWS_PER_CALL) {
        let piece = rows.slice(start, ROWS_PER_CALL.min(rows.num_rows() - start));
        let first = model.infer(&model.tensors_of(&piece)?)?.into_iter().next();
        outputs.push(first.map(|(_, tensor)| tensor).ok_or_else(|| Error::internal("the model gave no output"))?);
    }
    Tensor::concat_rows(&outputs.iter().collect::<Vec<_>>())
}

fn registered(store: &Store, name: &str) -> Result<Option<Collected>> {
    match store.dataset(name) {
        Ok(record) => {
            let collected = serde_json::from_value(record.manifest)
                .map_err(|source| Error::internal(format!("dataset \"{name}\" cannot be read back: {source}")))?;
            Ok(Some(collected))
        }
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
