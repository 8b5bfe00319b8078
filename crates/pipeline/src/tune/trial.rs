//! One trial, in a process of its own: what it is told, the lines that it says, and the work in between. It walks the
//! stages of a run until training, with the stage cache of the same data folder, and never looks at the test split.
//! The parent holds the project's lock.

use super::settings::{Measure, Objective};
use crate::artifact::{Prepared, Trained};
use crate::run::{Context, RunOptions, walk};
use crate::stages::{Artifacts, Work, parts, train};
use crate::worker::WorkerFailure;
use crate::{Project, Stage, engines, latency};
use lepton_core::{Cancel, Error, ErrorCode, Event, Metrics, Progress, Result, Split};
use lepton_nn::{Architecture, Network};
use lepton_store::Store;
use lepton_tune::Point;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;

/// What a trial is told, as JSON on its command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialJob {
    /// The settings file.
    pub file: PathBuf,
    /// What `--set` said.
    pub overrides: Vec<String>,
    /// The settings to try.
    pub point: Point,
    /// Threads to train on.
    pub threads: usize,
}

/// A line that a trial says on standard output, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialLine {
    /// An epoch ended.
    Epoch {
        /// Which one, from 1.
        epoch: u64,
        /// Its metrics on the validation split.
        valid: Metrics,
    },
    /// The trial ended well.
    Result(TrialResult),
    /// The trial ended with an error.
    Failed(WorkerFailure),
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialResult {
    /// The epoch that was kept, from 1.
    pub epoch: u64,
    /// Its metrics on the validation split.
    pub valid: Metrics,
    /// The metrics of all epochs that have some.
    pub epochs: Vec<(u64, Metrics)>,
    /// Bytes of the ONNX file, where that is an objective.
    pub size: Option<u64>,
    /// Median seconds of one row, where that is an objective.
    pub latency: Option<f64>,
    /// Seconds of training.
    pub seconds: f64,
    /// The trial's run.
    pub run: String,
}

impl TrialResult {
    /// The value of an objective.
    ///
    /// # Errors
    /// [`ErrorCode::Diverged`] where it is not a number; [`ErrorCode::Internal`] where it was not measured.
    pub(super) fn value(&self, objective: Objective) -> Result<f64> {
        let value = match objective {
            Objective::Metric(metric) => self.valid.get(metric.name()).copied(),
            Objective::Measure(Measure::Size) => self.size.map(|bytes| bytes as f64),
            Objective::Measure(Measure::Latency) => self.latency,
        };
        let name = objective.name();
        let value = value.ok_or_else(|| Error::internal(format!("{name} was not measured")))?;
        if value.is_finite() {
            return Ok(value);
        }
        Err(Error::new(ErrorCode::Diverged, format!("{name} is not a number on the validation split")))
    }
}

impl TrialJob {
    /// What `--set` would say to get the same training from `lepton run`.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for a value that TOML cannot say.
    pub(super) fn overrides(&self) -> Result<Vec<String>> {
        let mut overrides = self.overrides.clone();
        overrides.extend(assignments(&self.point)?);
        overrides.push(format!("train.threads={}", self.threads));
        Ok(overrides)
    }

    /// What a person would type to get the same training.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for a value that TOML cannot say.
    pub fn command(&self) -> Result<Vec<String>> {
        let mut words = vec!["lepton".to_owned(), "run".to_owned(), self.file.display().to_string()];
        words.extend(self.overrides()?.into_iter().flat_map(|set| ["--set".to_owned(), set]));
        words.extend(["--until".to_owned(), "train".to_owned()]);
        Ok(words)
    }

    /// The project at this point.
    ///
    /// # Errors
    /// As [`Project::load`].
    pub fn project(&self) -> Result<Project> {
        Project::load(&self.file, &self.overrides()?)
    }
}

/// A point as the assignments of `--set`.
pub(super) fn assignments(point: &Point) -> Result<Vec<String>> {
    point.iter().map(|(key, value)| Ok(format!("{key}={}", literal(key, value)?))).collect()
}

/// A value as TOML writes it.
fn literal(key: &str, value: &Value) -> Result<String> {
    toml::Value::try_from(value).map(|value| value.to_string()).map_err(|_| {
        Error::new(ErrorCode::Config, format!("{value} is no value of a settings file"))
            .at_key(format!("tune.space.{key}"))
            .fix("leave it out of the choices")
    })
}

/// Runs a trial; `tell` is called with each epoch. A trial that `pruned` says is not worth finishing leaves no
/// checkpoint behind; one that is merely stopped does, and goes on from it when it is run again.
///
/// # Errors
/// [`ErrorCode::Cancelled`]; what the stages report.
pub fn run_trial(
    project: &Project,
    options: &RunOptions,
    store: &Store,
    (cancel, pruned): (&Cancel, &Cancel),
    tell: &(dyn Fn(TrialLine) + Send + Sync),
) -> Result<TrialResult> {
    let told = Told { tell };
    let options = RunOptions { until: Some(Stage::Train), ..options.clone() };
    let mut artifacts = Artifacts::default();
    let outcome = walk(project, &options, store, &told, cancel, &mut artifacts);
    let context = |run: String| Context { project, options: &options, store, progress: &told, cancel, run };
    let result = match outcome {
        Ok(result) => result,
        Err(error) => {
            let for_good = pruned.is_cancelled() || error.code() != ErrorCode::Cancelled;
            if for_good && artifacts.augmented.is_some() && artifacts.trained.is_none() {
                forget(&context(String::new()), &artifacts);
            }
            return Err(error);
        }
    };
    let missing = || Error::internal("training gave nothing");
    let trained = artifacts.trained.as_ref().ok_or_else(missing)?;
    let prepared = artifacts.prepared.as_ref().ok_or_else(missing)?;
    let epochs: Vec<(u64, Metrics)> = trained
        .history
        .iter()
        .filter(|record| !record.valid.is_empty())
        .map(|record| (record.epoch as u64, record.valid.clone()))
        .collect();
    let best = trained.best_epoch as u64;
    let valid = epochs.iter().find(|(epoch, _)| *epoch == best).map(|(_, valid)| valid.clone()).unwrap_or_default();
    let objectives = project.settings.tune.objectives(project.settings.task());
    let (size, latency) = measured(&context(result.run.clone()), &objectives, prepared, trained)?;
    Ok(TrialResult {
        epoch: best,
        valid,
        epochs,
        size,
        latency,
        seconds: trained.history.iter().map(|record| record.seconds).sum(),
        run: result.run,
    })
}

/// Drops the checkpoints of a training that nobody goes on with. What fails here would only hide why it ended.
fn forget(context: &Context<'_>, artifacts: &Artifacts) {
    let cleared = train::Train::new(context, artifacts)
        .and_then(|work| work.key(context))
        .and_then(|key| context.store.checkpoints(&key)?.clear());
    if let Err(error) = cleared {
        context.progress.event(Event::Warning { text: format!("a checkpoint stays behind: {error}") });
    }
}

/// Bytes of the exported network and seconds of one row, where they are asked for.
fn measured(
    context: &Context<'_>,
    objectives: &[Objective],
    prepared: &Prepared,
    trained: &Trained,
) -> Result<(Option<u64>, Option<f64>)> {
    let asked = |measure: Measure| objectives.contains(&Objective::Measure(measure));
    let (wants_size, wants_latency) = (asked(Measure::Size), asked(Measure::Latency));
    if !(wants_size || wants_latency) {
        return Ok((None, None));
    }
    let (store, settings) = (context.store, &context.project.settings);
    let architecture = Architecture::from_json(&store.blobs().get(&trained.architecture)?)?;
    let network = Network::from_weights(&architecture, &store.blobs().get(&trained.weights)?)?;
    if !wants_latency {
        return Ok((Some(network.to_onnx()?.len() as u64), None));
    }
    let recipe = prepared.load_recipe(store)?;
    let rows = parts::load(store, &prepared.parts, Split::Valid)?;
    let row = recipe.apply(&rows.slice(0, 1.min(rows.num_rows())))?;
    let engine = engines(store, context.options.onnxruntime.as_deref()).get(settings.optimize.engine.as_deref())?;
    let (threads, repeats) = (train::threads(&settings.train), settings.optimize.repeats);
    let input = (recipe.output().name, row);
    let served = latency::measure(&network, &*engine, (&input.0, &input.1), threads, repeats, context.cancel)?;
    Ok((wants_size.then_some(served.onnx_bytes), Some(served.latency)))
}

/// Tells of epochs and of nothing else.
struct Told<'a> {
    tell: &'a (dyn Fn(TrialLine) + Send + Sync),
}

impl Progress for Told<'_> {
    fn event(&self, event: Event) {
        if let Event::EpochFinished { epoch, valid, .. } = event {
            (self.tell)(TrialLine::Epoch { epoch: epoch as u64, valid });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_point_becomes_assignments() {
        let point: Point = serde_json::from_value(json!({
            "train.learning_rate": 1e-4, "train.architecture": "mlp \"x\"", "train.batch_size": 16,
            "train.schedule": { "kind": "cosine" }, "train.layers": [{ "kind": "dense", "units": 4 }],
        }))
        .unwrap();
        let wanted = [
            "train.architecture='mlp \"x\"'",
            "train.batch_size=16",
            "train.layers=[{ kind = \"dense\", units = 4 }]",
            "train.learning_rate=0.0001",
            "train.schedule={ kind = \"cosine\" }",
        ];
        assert_eq!(assignments(&point).unwrap(), wanted);
        let point: Point = [("train.loss".to_owned(), Value::Null)].into();
        assert_eq!(assignments(&point).unwrap_err().place().key.as_deref(), Some("tune.space.train.loss"));
    }
}
