//! One run: the stages in order, each from the cache or computed, recorded as it ends.
//!
//! A killed run needs no repair: finished stages are in the cache, training continues from its newest
//! checkpoint, and everything else is made again from the same inputs.

use crate::adapt::AdaptReport;
use crate::artifact::Artifact;
use crate::stages::{self, Artifacts};
use crate::transfer::TransferReport;
use crate::{Project, Stage, environment, now_utc};
use lepton_core::{
    Cancel, Confidence, Digest, Environment, Error, ErrorCode, Event, MetricsBySplit, Progress, Result, Seed, Split,
};
use lepton_data::remote::Access;
use lepton_store::{NewRun, ProjectLock, RunStatus, StageRecord, StageStatus, Store};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How to run.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Permission to fetch what the project names, and what is needed to get it.
    pub access: Access,
    /// Run this stage and all later ones again even where the cache has them.
    pub from: Option<Stage>,
    /// Stop after this stage.
    pub until: Option<Stage>,
    /// The command as typed, for lineage.
    pub command: Vec<String>,
    /// A `libonnxruntime` to prefer over the installed one.
    pub onnxruntime: Option<PathBuf>,
    /// What the clock says, in seconds since 1970, for rules about freshness; the machine's clock where nothing is set.
    pub now: Option<f64>,
}

/// One stage of a finished run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageResult {
    /// The stage's name.
    pub name: Stage,
    /// `done` or `failed`.
    pub status: &'static str,
    /// Wall seconds in this run.
    pub seconds: f64,
    /// Whether the result came from the cache.
    pub cached: bool,
    /// One line for a person.
    pub summary: String,
}

/// What a run gives back; its JSON is what `lepton run --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunResult {
    /// The run's id.
    pub run: String,
    /// `done`, or `stopped` after `--until`.
    pub status: &'static str,
    /// The stages that were walked.
    pub stages: Vec<StageResult>,
    /// Rows by split, after preparing.
    pub rows: BTreeMap<Split, usize>,
    /// Training rows per second over all epochs, of the run that trained.
    pub samples_per_second: Option<f64>,
    /// Seconds in which training steps waited for their batch, of the run that trained.
    pub data_wait_seconds: Option<f64>,
    /// Metrics of the served model by split.
    pub metrics: MetricsBySplit,
    /// How sure the metrics of the test split are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// What transfer gained, where the training went on from another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<TransferReport>,
    /// What adaptation gained, where the training was for another domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapt: Option<AdaptReport>,
    /// `name@version`.
    pub model: Option<String>,
    /// The package's folder.
    pub package: Option<PathBuf>,
    /// Bytes of the package.
    pub package_bytes: Option<u64>,
    /// Whether INT8 is served, and why.
    pub int8: Option<String>,
    /// The report.
    pub report: PathBuf,
    /// Hash of the dataset version.
    pub dataset: Option<Digest>,
    /// The seed of every random choice.
    pub seed: Seed,
    /// The engine that computed the metrics.
    pub engine: Option<String>,
    /// The machine and the versions.
    pub environment: Environment,
}

/// What every stage may use.
pub(crate) struct Context<'a> {
    pub(crate) project: &'a Project,
    pub(crate) options: &'a RunOptions,
    pub(crate) store: &'a Store,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) cancel: &'a Cancel,
    pub(crate) run: String,
}

/// Walks the stages of `project`.
///
/// # Errors
/// [`ErrorCode::Locked`] when another process runs the same project; [`ErrorCode::NotAllowed`] when something
/// must be fetched without permission; otherwise the failing stage's own error. The store records the
/// failure, and the stages before it stay in the cache.
pub fn run(
    project: &Project,
    options: &RunOptions,
    store: &Store,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<RunResult> {
    let _lock: ProjectLock = store.lock_project(&project.folder)?;
    walk(project, options, store, progress, cancel, &mut Artifacts::default())
}

/// The stages up to augment, from the cache where it has them, under a lock that the caller holds: what trials and pilots
/// share, so that the data is read once, before they ask for it side by side.
pub(crate) fn stages_before_training(
    project: &Project,
    access: &Access,
    command: &[String],
    onnxruntime: Option<&Path>,
    store: &Store,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Artifacts> {
    let options = RunOptions {
        access: access.clone(),
        until: Some(Stage::Augment),
        command: command.to_vec(),
        onnxruntime: onnxruntime.map(Path::to_path_buf),
        ..RunOptions::default()
    };
    let mut artifacts = Artifacts::default();
    walk(project, &options, store, progress, cancel, &mut artifacts)?;
    Ok(artifacts)
}

/// As [`run`], under a lock that the caller, or the process that started it, holds. What the stages gave is in
/// `artifacts`, also where a later one failed.
pub(crate) fn walk(
    project: &Project,
    options: &RunOptions,
    store: &Store,
    progress: &dyn Progress,
    cancel: &Cancel,
    artifacts: &mut Artifacts,
) -> Result<RunResult> {
    let settings = serde_json::to_value(&project.settings)
        .map_err(|source| Error::internal(format!("settings cannot be recorded: {source}")))?;
    let record = store.create_run(NewRun {
        name: project.settings.project.name.to_string(),
        project: project.folder.clone(),
        command: options.command.clone(),
        spec: settings,
    })?;
    let context = Context { project, options, store, progress, cancel, run: record.id.clone() };
    let mut walk = Walk { context: &context, results: Vec::new() };
    let started = now_utc();
    let outcome = walk.stages(artifacts).and_then(|()| finish(&context, &walk.results, artifacts, &started));
    match outcome {
        Ok(result) => {
            let value = serde_json::to_value(&result)
                .map_err(|source| Error::internal(format!("the result cannot be recorded: {source}")))?;
            store.finish_run(&record.id, RunStatus::Succeeded, Some(&value), None)?;
            Ok(result)
        }
        Err(error) => {
            let status = if error.code() == ErrorCode::Cancelled { RunStatus::Cancelled } else { RunStatus::Failed };
            // The stage's error is what the person needs; a second one here would hide it.
            if let Err(second) = store.finish_run(&record.id, status, None, Some(&error.to_string())) {
                progress.event(Event::Warning { text: format!("the failure was not recorded: {second}") });
            }
            Err(error)
        }
    }
}

struct Walk<'a> {
    context: &'a Context<'a>,
    results: Vec<StageResult>,
}

impl Walk<'_> {
    fn stages(&mut self, artifacts: &mut Artifacts) -> Result<()> {
        let until = self.context.options.until.unwrap_or(Stage::Monitor);
        if let Some(from) = self.context.options.from.filter(|from| *from > until) {
            return Err(Error::new(ErrorCode::Usage, format!("--from {from} comes after --until {until}")));
        }
        for stage in Stage::ALL.into_iter().take_while(|stage| *stage <= until) {
            self.context.cancel.check()?;
            self.context.progress.event(Event::StageStarted { stage: stage.to_string() });
            match stage {
                Stage::Collect => artifacts.collected = Some(self.step(stages::collect::Collect::new(self.context)?)?),
                Stage::Prepare => {
                    artifacts.prepared = Some(self.step(stages::prepare::Prepare::new(self.context, artifacts)?)?)
                }
                Stage::Augment => {
                    artifacts.augmented = Some(self.step(stages::augment::Augment::new(self.context, artifacts)?)?)
                }
                Stage::Train => {
                    artifacts.trained = Some(self.step(stages::train::Train::new(self.context, artifacts)?)?)
                }
                Stage::Optimize => {
                    let work = stages::optimize::Optimize::new(self.context, artifacts)?;
                    artifacts.optimized = Some(self.step(work)?);
                }
                Stage::Deploy => artifacts.deployed = Some(self.step(stages::deploy::Deploy::new(artifacts)?)?),
                Stage::Monitor => {
                    let work = stages::monitor::Monitor::new(self.context, artifacts)?;
                    artifacts.monitored = Some(self.step(work)?);
                }
            }
        }
        Ok(())
    }

    /// One stage: from the cache where its key is there and still good, computed and cached otherwise.
    fn step<W: stages::Work>(&mut self, work: W) -> Result<W::Output> {
        let (context, started) = (self.context, Instant::now());
        let key = work.key(context)?;
        let forced = context.options.from.is_some_and(|from| W::STAGE >= from);
        let cached = match if forced { None } else { context.store.cached_stage(&key)? } {
            Some(hit) => {
                serde_json::from_value::<W::Output>(hit.output).ok().filter(|output| work.still_good(context, output))
            }
            None => None,
        };
        let from_cache = cached.is_some();
        let output = match cached {
            Some(output) => output,
            None => match work.compute(context, &key) {
                Ok(output) => output,
                Err(error) => return Err(self.failed(W::STAGE, key, started, error)),
            },
        };
        let seconds = started.elapsed().as_secs_f64();
        let summary = output.summary();
        if !from_cache {
            let value = serde_json::to_value(&output)
                .map_err(|source| Error::internal(format!("{} cannot be recorded: {source}", W::STAGE)))?;
            context.store.cache_stage(&key, W::STAGE.name(), &value, &output.blobs(), seconds)?;
            work.clean_up(context, &key)?;
        }
        let result = StageResult { name: W::STAGE, status: "done", seconds, cached: from_cache, summary };
        context.store.record_stage(
            &context.run,
            &StageRecord {
                stage: W::STAGE.to_string(),
                status: StageStatus::Succeeded,
                seconds,
                cached: from_cache,
                key: Some(key),
                summary: result.summary.clone(),
            },
        )?;
        context.progress.event(Event::StageFinished {
            stage: W::STAGE.to_string(),
            seconds,
            cached: from_cache,
            summary: result.summary.clone(),
        });
        self.results.push(result);
        Ok(output)
    }

    /// Keeps with the run which stage ended it, and why. The stage's error goes on; a second one would hide it.
    fn failed(&self, stage: Stage, key: Digest, started: Instant, error: Error) -> Error {
        let (run, progress) = (&self.context.run, self.context.progress);
        let status = if error.code() == ErrorCode::Cancelled { StageStatus::Cancelled } else { StageStatus::Failed };
        let record = StageRecord {
            stage: stage.to_string(),
            status,
            seconds: started.elapsed().as_secs_f64(),
            cached: false,
            key: Some(key),
            summary: error.headline().lines().next().unwrap_or_default().to_owned(),
        };
        if let Err(second) = self.context.store.record_stage(run, &record) {
            progress.event(Event::Warning { text: format!("the failure was not recorded: {second}") });
        }
        error
    }
}

/// Writes the report and sums the run up.
fn finish(context: &Context<'_>, stages: &[StageResult], artifacts: &Artifacts, started: &str) -> Result<RunResult> {
    let settings = &context.project.settings;
    let whole = artifacts.monitored.is_some();
    let mut result = RunResult {
        run: context.run.clone(),
        status: if whole { "done" } else { "stopped" },
        stages: stages.to_vec(),
        rows: artifacts.prepared.as_ref().map_or_else(BTreeMap::new, |prepared| {
            prepared.parts.iter().map(|(split, part)| (*split, part.rows)).collect()
        }),
        samples_per_second: artifacts.trained.as_ref().map(|trained| trained.samples_per_second),
        data_wait_seconds: artifacts.trained.as_ref().map(|trained| trained.data_wait_seconds),
        metrics: artifacts.optimized.as_ref().map(|optimized| optimized.metrics.clone()).unwrap_or_default(),
        confidence: artifacts.optimized.as_ref().and_then(|optimized| optimized.confidence.clone()),
        transfer: artifacts.trained.as_ref().and_then(|trained| trained.transfer.clone()),
        adapt: artifacts.trained.as_ref().and_then(|trained| trained.adapt.clone()),
        model: artifacts.deployed.as_ref().map(|deployed| format!("{}@{}", deployed.model, deployed.version)),
        package: None,
        package_bytes: artifacts.deployed.as_ref().map(|deployed| deployed.bytes),
        int8: artifacts.optimized.as_ref().and_then(|optimized| {
            optimized.verdict.as_ref().map(|verdict| verdict.reason.clone()).or_else(|| optimized.no_int8.clone())
        }),
        report: PathBuf::new(),
        dataset: artifacts.collected.as_ref().map(|collected| collected.digest),
        seed: settings.project.seed,
        engine: artifacts.optimized.as_ref().map(|optimized| optimized.engine.clone()),
        environment: match &artifacts.trained {
            Some(trained) => trained.environment.clone(),
            None => environment(0, "none: this run stopped before training"),
        },
    };
    if let Some(deployed) = &artifacts.deployed {
        result.package = Some(context.store.model(&deployed.model, Some(deployed.version))?.dir);
    }
    let page = crate::report::html(&stages::report_input(context, &result, artifacts, started)?);
    result.report = context.store.save_report(&context.run, "report.html", page.as_bytes())?;
    Ok(result)
}
