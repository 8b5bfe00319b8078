//! One pilot, in a process of its own: what it is told, the lines that it says, and the trainings in between. Being a
//! process, its memory is its own and can be measured, its time has an end, and what it breaks is not the advice.
//!
//! It takes what the stages before training gave, as they gave it; on each split it fits the recipe anew, so that no
//! validation row has a say in it.

use super::folds::{Judging, draw, resources};
use crate::artifact::Prepared;
use crate::machine::peak_memory_bytes;
use crate::repair::RunRepair;
use crate::stages::parts;
use crate::worker::WorkerFailure;
use crate::{Project, Settings, engines, latency};
use arrow_array::{RecordBatch, UInt64Array};
use lepton_core::{Cancel, Error, ErrorCode, Event, Metric, Metrics, Progress, Result, Seed, Split, Tensor};
use lepton_data::augment::table::oversample;
use lepton_data::{AugmentSettings, Augmenter, Dataset, Loader, Step};
use lepton_nn::Network;
use lepton_recipe::{Recipe, Repairs};
use lepton_store::Store;
use lepton_train::{FitJob, InMemory, Target, Task, TrainSettings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Timed runs behind a latency.
pub(super) const REPEATS: usize = 100;

/// What a pilot is told, as one line of JSON on its standard input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PilotJob {
    /// The project's settings with the candidate's `[train]`.
    pub settings: Settings,
    /// The folder that relative paths start from.
    pub folder: PathBuf,
    /// The settings file.
    pub file: PathBuf,
    /// What prepare gave.
    pub prepared: Prepared,
    /// How training rows are varied.
    pub augment: AugmentSettings,
    /// How it is judged.
    pub judging: Judging,
    /// The share of the whole work, 0 to 1.
    pub share: f64,
    /// When it ends at the latest, in seconds.
    pub seconds: f64,
    /// Threads to train on.
    pub threads: usize,
}

/// A line that a pilot says on standard output, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PilotLine {
    /// It has done so much of its work.
    Done {
        /// 0 to 1.
        share: f64,
        /// The most memory that it held so far, in bytes.
        peak_bytes: Option<u64>,
    },
    /// It ended.
    Result(PilotResult),
    /// It ended with an error.
    Failed(WorkerFailure),
}

/// What came of a pilot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PilotResult {
    /// One for each training that has a score, in order.
    pub scores: Vec<PilotScore>,
    /// Whether it was stopped before its end.
    pub stopped: bool,
    /// Training rows per second of a training without a score.
    pub pace: Option<f64>,
    /// The last network that was trained to its end.
    pub network: Option<NetworkFacts>,
    /// The most memory that the process held, in bytes.
    pub peak_bytes: Option<u64>,
    /// Wall seconds.
    pub seconds: f64,
}

/// One training of a pilot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PilotScore {
    /// Metrics of the epoch that counts on the validation rows.
    pub valid: Metrics,
    /// That epoch, from 1; of trees, the rounds that were kept.
    pub epoch: usize,
    /// Epochs or rounds that were trained.
    pub epochs: usize,
    /// Training rows.
    pub rows: usize,
    /// Validation rows.
    pub valid_rows: usize,
    /// Wall seconds, validation included.
    pub seconds: f64,
    /// Whether the training came to its end.
    pub whole: bool,
}

/// A network as it would be served.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkFacts {
    /// Numbers that training learns; of trees, those of their nodes.
    pub parameters: u64,
    /// Floating-point operations of one row.
    pub flops: u64,
    /// Bytes of its ONNX file.
    pub onnx_bytes: u64,
    /// Bytes of its weights.
    pub weights_bytes: u64,
    /// Median seconds of one row on the engine that would serve it.
    pub latency: f64,
}

/// Runs a pilot; `tell` is called as it gets on. It is stopped by `cancel`, or when its time is up: the best epoch until
/// then counts.
///
/// # Errors
/// What the data, the network and training report. Being stopped is no error.
pub fn run_pilot(
    job: &PilotJob,
    store: &Store,
    onnxruntime: Option<&Path>,
    cancel: &Cancel,
    tell: &(dyn Fn(PilotLine) + Send + Sync),
) -> Result<PilotResult> {
    let started = Instant::now();
    stop_after(job.seconds, cancel)?;
    let pilot = Pilot::new(job, store, cancel, tell)?;
    let mut result = PilotResult::default();
    let count = pilot.splits.len();
    let mut last = None;
    for place in 0..count {
        if cancel.is_cancelled() {
            result.stopped = true;
            break;
        }
        let fit = pilot.fit(place)?;
        result.pace = fit.pace.or(result.pace);
        result.scores.extend(fit.score);
        match fit.network {
            Some(network) => last = Some((network, fit.row)),
            None => {
                result.stopped = true;
                break;
            }
        }
    }
    if let Some((network, row)) = last {
        let engine = engines(store, onnxruntime).get(job.settings.optimize.engine.as_deref())?;
        // Its time may be up: what it is measured by takes less than that of an epoch.
        result.network = Some(network_facts(&network, &*engine, (&row.0, &row.1), job.threads, &Cancel::default())?);
    }
    result.peak_bytes = peak_memory_bytes();
    result.seconds = started.elapsed().as_secs_f64();
    Ok(result)
}

/// What a network is when it is served.
///
/// # Errors
/// What the export and the engine report.
pub(super) fn network_facts(
    network: &Network,
    engine: &dyn lepton_runtime::Engine,
    row: (&str, &Tensor),
    threads: usize,
    cancel: &Cancel,
) -> Result<NetworkFacts> {
    let summary = network.architecture().summary()?;
    let served = latency::measure(network, engine, row, threads, REPEATS, cancel)?;
    let weights = network.weights()?;
    Ok(NetworkFacts {
        // Trees are not learned by gradients, so their summary counts none.
        parameters: if summary.parameters == 0 { weights.len() as u64 / 4 } else { summary.parameters },
        flops: summary.flops,
        onnx_bytes: served.onnx_bytes,
        weights_bytes: weights.len() as u64,
        latency: served.latency,
    })
}

/// Sets the flag when the time is up.
fn stop_after(seconds: f64, cancel: &Cancel) -> Result<()> {
    let flag = cancel.clone();
    let wait = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    std::thread::Builder::new()
        .name("deadline".to_owned())
        .spawn(move || {
            std::thread::sleep(wait);
            flag.cancel();
        })
        .map(drop)
        .map_err(|source| Error::new(ErrorCode::Io, format!("a pilot cannot watch its time: {source}")))
}

struct Pilot<'a> {
    job: &'a PilotJob,
    task: &'static dyn Task,
    train: TrainSettings,
    repair: Option<RunRepair>,
    /// Training and validation rows, one after the other.
    pool: RecordBatch,
    classes: Option<Vec<String>>,
    splits: Vec<(Vec<usize>, Vec<usize>)>,
    cancel: &'a Cancel,
    tell: &'a (dyn Fn(PilotLine) + Send + Sync),
}

/// One training: without a network where it was stopped.
struct OneFit {
    score: Option<PilotScore>,
    pace: Option<f64>,
    network: Option<Network>,
    row: (String, Tensor),
}

impl<'a> Pilot<'a> {
    fn new(
        job: &'a PilotJob,
        store: &Store,
        cancel: &'a Cancel,
        tell: &'a (dyn Fn(PilotLine) + Send + Sync),
    ) -> Result<Pilot<'a>> {
        let settings = &job.settings;
        let project = Project { folder: job.folder.clone(), file: job.file.clone(), settings: settings.clone() };
        let (pool, sizes) = pool(store, &job.prepared)?;
        let classes = classes(&job.prepared, &pool);
        let splits = job.judging.splits(sizes, classes.as_deref(), settings.project.seed);
        let rows = splits.iter().map(|(train, _)| train.len()).max().unwrap_or(0);
        let (_, epochs_share) = resources(job.share, rows);
        let mut train = TrainSettings { threads: Some(job.threads), ..settings.train.clone() };
        train.epochs = ((train.epochs as f64 * epochs_share).round() as usize).max(1);
        // A pilot that is stopped is not gone on with.
        (train.checkpoint_seconds, train.checkpoint_steps) = (0.0, 0);
        let repair = RunRepair::of(&project)?;
        Ok(Pilot { job, task: settings.task(), train, repair, pool, classes, splits, cancel, tell })
    }

    fn seed(&self) -> Seed {
        self.job.settings.project.seed
    }

    fn fit(&self, place: usize) -> Result<OneFit> {
        let job = self.job;
        let (training, validation) = &self.splits[place];
        let (wanted, _) = resources(job.share, training.len());
        let drawn = draw(training, wanted, self.classes.as_deref(), self.seed());
        let (train, valid) = (take(&self.pool, &drawn)?, take(&self.pool, validation)?);
        let recipe = Arc::new(self.recipe(&train)?);
        let row = (recipe.output().name, recipe.apply(&valid.slice(0, 1.min(valid.num_rows())))?);
        let rows = (train.num_rows(), valid.num_rows());
        let train = self.grown(train)?;
        let augmenter = (!job.augment.is_off()).then(|| Augmenter::new(&job.augment, self.seed())).transpose()?;
        let (batch_size, seed, threads) = (self.train.batch_size, self.seed(), job.threads);
        let train = Loader::for_training(train, Arc::clone(&recipe), augmenter, batch_size, seed, threads)?;
        let valid = Loader::new(valid, Arc::clone(&recipe), None, batch_size, seed, threads)?;
        let target = Target::of(&recipe);
        let shape: Vec<usize> =
            recipe.output().shape.iter().skip(1).map(|side| usize::try_from(*side).unwrap_or(0)).collect();
        let learner = lepton_train::learner(self.task, &self.train, &shape, target.outputs())?;
        let heard = Listener::new(self, place);
        let started = Instant::now();
        let fit = lepton_train::fit(FitJob {
            task: self.task,
            learner: &learner,
            target,
            train: &train,
            valid: &valid,
            settings: &self.train,
            seed,
            checkpoints: &mut InMemory::default(),
            progress: &heard,
            cancel: self.cancel,
        });
        let seconds = started.elapsed().as_secs_f64();
        let listened = heard.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let score = |valid: Metrics, epoch: usize, epochs: usize, whole: bool| PilotScore {
            valid,
            epoch,
            epochs,
            rows: rows.0,
            valid_rows: rows.1,
            seconds,
            whole,
        };
        match fit {
            Ok(fit) => {
                let best = fit.history.iter().find(|record| record.epoch == fit.best_epoch);
                let valid = best.map(|record| record.valid.clone()).unwrap_or_default();
                let score = Some(score(valid, fit.best_epoch, fit.history.len(), true));
                Ok(OneFit { score, pace: Some(fit.samples_per_second), network: Some(fit.network), row })
            }
            Err(error) if error.code() == ErrorCode::Cancelled => {
                let epochs = listened.epochs;
                let score = listened.best.map(|(epoch, valid)| score(valid, epoch, epochs, false));
                Ok(OneFit { score, pace: listened.pace, network: None, row })
            }
            Err(error) => Err(error),
        }
    }

    /// The recipe, fitted on these rows and no others.
    fn recipe(&self, train: &RecordBatch) -> Result<Recipe> {
        let (prepared, settings) = (&self.job.prepared, &self.job.settings);
        let repairs = match &self.repair {
            None => Repairs::none(&prepared.schema),
            Some(repair) => {
                let dataset = Dataset {
                    name: String::new(),
                    schema: prepared.schema.clone(),
                    target: prepared.target.clone(),
                    parts: BTreeMap::from([(Split::Train, train.clone())]),
                    source: Vec::new(),
                    unreadable: Vec::new(),
                };
                repair.fit(&settings.collect, &dataset)?
            }
        };
        let plan = self.task.recipe(repairs.repaired(), &prepared.target, &settings.recipe)?;
        plan.fit_after(repairs, &prepared.schema, train)
    }

    /// New rows of rare classes, where that is asked for.
    fn grown(&self, mut train: RecordBatch) -> Result<RecordBatch> {
        let prepared = &self.job.prepared;
        for step in &self.job.augment.steps {
            if let Step::Smote { neighbours } = step.step {
                train = oversample(&train, &prepared.schema, &prepared.target, neighbours, self.seed())?.part;
            }
        }
        Ok(train)
    }
}

/// Training and validation rows, one after the other, and how many there are of each.
pub(super) fn pool(store: &Store, prepared: &Prepared) -> Result<(RecordBatch, (usize, usize))> {
    let train = parts::load(store, &prepared.parts, Split::Train)?;
    let valid = parts::load(store, &prepared.parts, Split::Valid)?;
    let sizes = (train.num_rows(), valid.num_rows());
    let pool = arrow_select::concat::concat_batches(&train.schema(), [&train, &valid])
        .map_err(|source| Error::internal(format!("parts cannot be joined: {source}")))?;
    Ok((pool, sizes))
}

/// The answer of each row, where it is a class.
pub(super) fn classes(prepared: &Prepared, pool: &RecordBatch) -> Option<Vec<String>> {
    if prepared.target_scale.is_some() {
        return None;
    }
    let cell = |row| lepton_data::cell_text(pool, &prepared.schema, &prepared.target, row);
    Some((0..pool.num_rows()).map(cell).collect())
}

fn take(rows: &RecordBatch, places: &[usize]) -> Result<RecordBatch> {
    let places = UInt64Array::from_iter_values(places.iter().map(|place| *place as u64));
    arrow_select::take::take_record_batch(rows, &places)
        .map_err(|source| Error::internal(format!("rows cannot be picked: {source}")))
}

/// Hears epochs and steps of one training.
struct Listener<'a> {
    tell: &'a (dyn Fn(PilotLine) + Send + Sync),
    watched: Metric,
    /// Trainings before this one, and in all.
    place: (usize, usize),
    state: Mutex<Listened>,
}

#[derive(Default)]
struct Listened {
    best: Option<(usize, Metrics)>,
    epochs: usize,
    pace: Option<f64>,
}

impl<'a> Listener<'a> {
    fn new(pilot: &Pilot<'a>, place: usize) -> Listener<'a> {
        let stopping = pilot.train.early_stopping.and_then(|stopping| stopping.monitor);
        let watched = stopping.unwrap_or(pilot.task.watched_metric());
        Listener { tell: pilot.tell, watched, place: (place, pilot.splits.len()), state: Mutex::default() }
    }

    fn done(&self, share: f64) {
        let share = (self.place.0 as f64 + share.clamp(0.0, 1.0)) / self.place.1.max(1) as f64;
        (self.tell)(PilotLine::Done { share, peak_bytes: peak_memory_bytes() });
    }
}

impl Progress for Listener<'_> {
    fn event(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::EpochFinished { epoch, epochs, valid, .. } => {
                state.epochs = epoch;
                let own = valid.get(self.watched.name()).copied().unwrap_or(f64::NAN);
                let before = state.best.as_ref().and_then(|(_, best)| best.get(self.watched.name()).copied());
                let is_better = |before: f64| if self.watched.higher_is_better() { own > before } else { own < before };
                if !own.is_nan() && before.is_none_or(is_better) {
                    state.best = Some((epoch, valid));
                }
                drop(state);
                self.done(epoch as f64 / epochs.max(1) as f64);
            }
            Event::Step { epoch, epochs, step, steps, samples_per_second, .. } => {
                state.pace = Some(samples_per_second);
                drop(state);
                let steps = steps.max(1) as f64;
                self.done(((epoch - 1) as f64 + step as f64 / steps) / epochs.max(1) as f64);
            }
            _ => {}
        }
    }
}
