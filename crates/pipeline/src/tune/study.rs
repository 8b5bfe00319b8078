//! A study: trials one after the other or side by side, each kept as it ends, so that a study that was killed goes on
//! with the trials that it lacks.

use super::process::Running;
use super::report::{Made, StudyReport, shown_point};
use super::settings::Objective;
use super::trial::{TrialJob, TrialLine};
use crate::run::stages_before_training;
use crate::worker::{Heard, WorkerFailure};
use crate::{Project, cache};
use lepton_core::{Cancel, Digest, Error, ErrorCode, Event, Progress, Result};
use lepton_data::remote::Access;
use lepton_store::Store;
use lepton_tune::{Direction, Point, Pruner, Sampler, State, Trial};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// When this many trials have failed and none has not, the study ends.
const FAILURES: usize = 5;

/// How often the parent looks whether it was asked to stop.
const GLANCE: Duration = Duration::from_millis(50);

/// How a study is run, besides what `[tune]` says.
#[derive(Clone, Debug, Default)]
pub struct TuneOptions {
    /// The program and the arguments that run one trial; its [`TrialJob`] follows as the last argument.
    pub launch: Vec<OsString>,
    /// Permission to fetch what the project names.
    pub access: Access,
    /// What `--set` said.
    pub overrides: Vec<String>,
    /// The command as typed, for lineage.
    pub command: Vec<String>,
    /// The project as typed, for the command that runs the best trial.
    pub shown: String,
    /// A `libonnxruntime` to prefer over the installed one.
    pub onnxruntime: Option<PathBuf>,
}

/// A trial as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    pub(super) trial: Trial,
    /// The epoch that was kept, from 1, of a complete trial.
    pub(super) epoch: Option<u64>,
    /// Wall seconds of the process.
    pub(super) seconds: f64,
    /// Why it failed, where it did.
    pub(super) failure: Option<WorkerFailure>,
    /// The run of a complete trial.
    pub(super) run: Option<String>,
}

/// Runs the trials that the study lacks, and says what came of all of them.
///
/// # Errors
/// [`ErrorCode::Config`] for a space that the project cannot have, naming the key; [`ErrorCode::Locked`] when another
/// process runs the project; [`ErrorCode::Cancelled`]; what collecting and preparing report; the first trial's error
/// when the first five trials, or all of fewer, fail.
pub fn tune(
    project: &Project,
    options: &TuneOptions,
    store: &Store,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<StudyReport> {
    let started = Instant::now();
    let settings = &project.settings.tune;
    settings.space.validate().map_err(|error| error.in_file(&project.file))?;
    check_keys(project, &options.overrides)?;
    let _lock = store.lock_project(&project.folder)?;
    // What the data lacks is no trial's fault.
    let TuneOptions { access, command, onnxruntime, .. } = options;
    let artifacts = stages_before_training(project, access, command, onnxruntime.as_deref(), store, progress, cancel)?;
    let collected = artifacts.collected.as_ref().ok_or_else(|| Error::internal("nothing was collected"))?;
    let objectives = settings.objectives(project.settings.task());
    let (tell, hear) = channel();
    let mut study = Study {
        id: study_digest(project, &collected.digest)?,
        project,
        options,
        store,
        progress,
        directions: objectives.iter().map(|objective| objective.direction()).collect(),
        pruner: settings.pruner(&objectives),
        objectives,
        trials: BTreeMap::new(),
        unkept: Vec::new(),
        running: BTreeMap::new(),
        tell,
        hear,
        wanted: settings.trials,
        ran: 0,
    };
    if let Sampler::Grid(grid) = &settings.sampler {
        study.wanted = study.wanted.min(grid.count(&settings.space)?);
    }
    study.load()?;
    progress.event(Event::StageStarted { stage: "tune".to_owned() });
    study.run(started, cancel)?;
    let made = Made {
        study: study.id,
        dataset: (collected.dataset.clone(), collected.digest),
        objectives: study.objectives.clone(),
        wanted: study.wanted,
        ran: study.ran,
        threads: study.threads(),
    };
    let trials: Vec<Kept> = std::mem::take(&mut study.trials).into_values().collect();
    let report = StudyReport::new(project, options, made, &trials)?;
    progress.event(Event::StageFinished {
        stage: "tune".to_owned(),
        seconds: started.elapsed().as_secs_f64(),
        cached: report.ran == 0,
        summary: report.summary(),
    });
    Ok(report)
}

/// Refuses keys that are none of `lepton.toml`, by trying each with its first value.
fn check_keys(project: &Project, overrides: &[String]) -> Result<()> {
    let space = &project.settings.tune.space;
    let order = space.order()?;
    for key in &order {
        let place = format!("tune.space.{key}");
        if *key == "tune" || key.starts_with("tune.") {
            return Err(Error::new(ErrorCode::Config, "a search cannot vary itself")
                .in_file(&project.file)
                .at_key(place)
                .fix("name a key of another section"));
        }
        // The conditions under which the key applies hold here.
        let mut forced = Point::new();
        let mut asked = space.dimensions[*key].when.as_ref();
        while let Some(condition) = asked {
            forced.insert(condition.key.clone(), condition.equals.clone());
            asked = space.dimensions.get(&condition.key).and_then(|dimension| dimension.when.as_ref());
        }
        let mut point = Point::new();
        for other in &order {
            if let Some(value) = forced.get(*other) {
                point.insert((*other).to_owned(), value.clone());
            } else if space.applies(other, &point) {
                point.insert((*other).to_owned(), space.dimensions[*other].domain.from_unit(0.0));
            }
        }
        let mut all = overrides.to_vec();
        all.extend(super::trial::assignments(&point).map_err(|error| error.in_file(&project.file))?);
        let Err(error) = Project::load(&project.file, &all) else { continue };
        let named = error.place().key.clone().unwrap_or_default();
        // Values that do not go together are the trials' business, and so are those of other keys.
        let within = |whole: &str, part: &str| {
            whole == part || whole.strip_prefix(part).is_some_and(|rest| rest.starts_with(['.', '[']))
        };
        let unknown = error.message().starts_with("there is no setting");
        if !named.is_empty() && (within(&named, key) || (unknown && within(key, &named))) {
            let refused = Error::new(ErrorCode::Config, error.message()).in_file(&project.file).at_key(place);
            return Err(match error.remedy() {
                Some(remedy) => refused.fix(remedy),
                None => refused,
            });
        }
    }
    Ok(())
}

/// The name of a study: what its trials depend on. How many there are, side by side and until when, is not part of it.
fn study_digest(project: &Project, dataset: &Digest) -> Result<Digest> {
    let mut settings = serde_json::to_value(&project.settings)
        .map_err(|source| Error::internal(format!("settings cannot be hashed: {source}")))?;
    if let Some(tune) = settings.get_mut("tune").and_then(serde_json::Value::as_object_mut) {
        for free in ["trials", "time", "parallel"] {
            tune.remove(free);
        }
    }
    Digest::of_json(&("study", cache::LAYOUT, env!("CARGO_PKG_VERSION"), settings, dataset))
}

struct Study<'a> {
    id: Digest,
    project: &'a Project,
    options: &'a TuneOptions,
    store: &'a Store,
    progress: &'a dyn Progress,
    objectives: Vec<Objective>,
    directions: Vec<Direction>,
    pruner: Option<Pruner>,
    trials: BTreeMap<u64, Kept>,
    /// Failed trials that are not in the store: while nothing has gone well, it may not be their points.
    unkept: Vec<u64>,
    running: BTreeMap<u64, Running>,
    tell: Sender<(u64, Heard<TrialLine>)>,
    hear: Receiver<(u64, Heard<TrialLine>)>,
    wanted: u64,
    ran: usize,
}

impl Study<'_> {
    fn key(&self, number: u64) -> Result<Digest> {
        Digest::of_json(&("trial", self.id, number))
    }

    /// What earlier calls kept.
    fn load(&mut self) -> Result<()> {
        for number in 0..self.wanted {
            let Some(stage) = self.store.cached_stage(&self.key(number)?)? else { continue };
            if let Ok(kept) = serde_json::from_value(stage.output) {
                self.trials.insert(number, kept);
            }
        }
        if !self.trials.is_empty() {
            let text = format!("the study goes on: {} of {} trials are there", self.trials.len(), self.wanted);
            self.progress.event(Event::Note { text });
        }
        Ok(())
    }

    fn run(&mut self, started: Instant, cancel: &Cancel) -> Result<()> {
        let settings = &self.project.settings.tune;
        let over = || settings.time.is_some_and(|limit| started.elapsed() >= limit.0);
        loop {
            if cancel.is_cancelled() {
                self.running.values_mut().for_each(Running::stop);
                for running in self.running.values_mut() {
                    running.end()?;
                }
                return cancel.check();
            }
            while self.running.len() < settings.parallel && !over() {
                let is_free = |number: &u64| !self.trials.contains_key(number) && !self.running.contains_key(number);
                let Some(number) = (0..self.wanted).find(is_free) else { break };
                self.start(number)?;
            }
            if self.running.is_empty() {
                if over() && (self.trials.len() as u64) < self.wanted {
                    let text = format!("time is over after {} of {} trials", self.trials.len(), self.wanted);
                    self.progress.event(Event::Note { text });
                }
                break;
            }
            match self.hear.recv_timeout(GLANCE) {
                Ok((number, Heard::Line(line))) => self.hear(number, *line),
                Ok((number, Heard::End)) => self.ended(number)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Error::internal("nobody can be heard any more")),
            }
            self.running.values_mut().for_each(Running::enforce);
        }
        self.all_failed(self.trials.len().max(1))
    }

    fn start(&mut self, number: u64) -> Result<()> {
        let settings = &self.project.settings;
        let point = settings.tune.sampler.suggest(
            &settings.tune.space,
            &self.directions,
            &self.history(),
            number,
            settings.project.seed,
        )?;
        let file = self.project.file.canonicalize();
        let job = TrialJob {
            file: file.map_err(|source| Error::io("find the project file", &self.project.file, source))?,
            overrides: self.options.overrides.clone(),
            point: point.clone(),
            threads: self.threads(),
        };
        let trial = Trial { number, point, state: State::Running, values: Vec::new(), steps: Vec::new() };
        let running = Running::start(&self.options.launch, &job, trial, self.tell.clone())?;
        self.running.insert(number, running);
        self.advance();
        Ok(())
    }

    /// Threads of a trial.
    fn threads(&self) -> usize {
        let settings = &self.project.settings;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let share = (cores / settings.tune.parallel.max(1)).max(1);
        settings.tune.threads.or(settings.train.threads).unwrap_or(share)
    }

    /// What samplers and pruners learn from.
    fn history(&self) -> Vec<Trial> {
        let ended = self.trials.values().map(|kept| kept.trial.clone());
        ended.chain(self.running.values().map(|running| running.trial.clone())).collect()
    }

    fn hear(&mut self, number: u64, line: TrialLine) {
        let Some(running) = self.running.get_mut(&number) else { return };
        let TrialLine::Epoch { epoch, valid } = line else {
            running.outcome = Some(line);
            return;
        };
        let Some(Objective::Metric(metric)) = self.objectives.first() else { return };
        let is_later = running.trial.last_step().is_none_or(|(last, _)| last < epoch);
        let Some(value) = valid.get(metric.name()).copied().filter(|value| value.is_finite() && is_later) else {
            return;
        };
        running.trial.steps.push((epoch, value));
        let (Some(pruner), false, Some(direction)) = (&self.pruner, running.pruned, self.directions.first()) else {
            return;
        };
        let trial = running.trial.clone();
        if pruner.should_prune(&trial, &self.history(), *direction)
            && let Some(running) = self.running.get_mut(&number)
        {
            running.prune();
        }
    }

    /// Keeps what came of a trial whose process ends.
    fn ended(&mut self, number: u64) -> Result<()> {
        let Some(mut running) = self.running.remove(&number) else { return Ok(()) };
        let unsaid = running.wait()?;
        let seconds = running.started.elapsed().as_secs_f64();
        let mut kept = Kept { trial: running.trial.clone(), epoch: None, seconds, failure: None, run: None };
        match running.outcome.take() {
            Some(TrialLine::Result(result)) => {
                if let Some(Objective::Metric(metric)) = self.objectives.first() {
                    let step =
                        |(epoch, valid): &(u64, lepton_core::Metrics)| Some((*epoch, *valid.get(metric.name())?));
                    kept.trial.steps =
                        result.epochs.iter().filter_map(step).filter(|step| step.1.is_finite()).collect();
                }
                match self.objectives.iter().map(|objective| result.value(*objective)).collect::<Result<Vec<f64>>>() {
                    Ok(values) => {
                        kept.trial.state = State::Complete;
                        kept.trial.values = values;
                        (kept.epoch, kept.run) = (Some(result.epoch), Some(result.run));
                    }
                    Err(error) => kept.failure = Some(WorkerFailure::of(&error)),
                }
            }
            _ if running.pruned => kept.trial.state = State::Pruned,
            Some(TrialLine::Failed(failure)) if failure.code == ErrorCode::Cancelled.name() => {
                // A signal to the whole group reaches the trials too, perhaps before this process knows of its own.
                return Err(failure.error(""));
            }
            Some(TrialLine::Failed(failure)) => kept.failure = Some(failure),
            _ => kept.failure = Some(unsaid),
        }
        if kept.failure.is_some() {
            kept.trial.state = State::Failed;
        }
        let failed = kept.trial.state == State::Failed;
        self.ran += 1;
        self.trials.insert(number, kept);
        self.unkept.push(number);
        if !failed || self.trials.values().any(|kept| kept.trial.state != State::Failed) {
            for number in std::mem::take(&mut self.unkept) {
                self.keep(number)?;
            }
        }
        self.say(number);
        self.advance();
        self.all_failed(FAILURES)
    }

    fn keep(&self, number: u64) -> Result<()> {
        let Some(kept) = self.trials.get(&number) else { return Ok(()) };
        let value = serde_json::to_value(kept)
            .map_err(|source| Error::internal(format!("a trial cannot be recorded: {source}")))?;
        self.store.cache_stage(&self.key(number)?, "tune", &value, &[], kept.seconds)
    }

    /// The first trial's error when `count` trials have ended and all of them failed.
    fn all_failed(&self, count: usize) -> Result<()> {
        let failed = self.trials.values().filter(|kept| kept.trial.state == State::Failed).count();
        let first = self.trials.values().find_map(|kept| kept.failure.as_ref().map(|failure| (kept, failure)));
        match first {
            Some((kept, failure)) if failed == self.trials.len() && failed >= count => {
                let before = format!("every one of {failed} trials failed; trial {}: ", kept.trial.number);
                Err(failure.error(&before))
            }
            _ => Ok(()),
        }
    }

    /// One line for a trial that ended.
    fn say(&self, number: u64) {
        let Some(kept) = self.trials.get(&number) else { return };
        let trial = &kept.trial;
        let values = |trial: &Trial| {
            let named = self.objectives.iter().zip(&trial.values);
            named.map(|(objective, value)| format!("{} {}", objective.name(), written(*value))).collect::<Vec<_>>()
        };
        let what = match (trial.state, trial.last_step(), &kept.failure) {
            (State::Complete, ..) => values(trial).join("  "),
            (State::Pruned, Some((step, value)), _) => format!("pruned after epoch {step} at {}", written(value)),
            (_, _, Some(failure)) => format!("failed: {}", failure.message.lines().next().unwrap_or_default()),
            _ => "pruned".to_owned(),
        };
        let best = super::report::best(self.trials.values().map(|kept| &kept.trial), self.directions.first().copied());
        let best = best.map_or_else(String::new, |best| {
            let value = best.values.first().map_or_else(String::new, |value| written(*value));
            format!("  best {value} (trial {})", best.number)
        });
        let text = format!("trial {number}  {what}  {}{best}", shown_point(&trial.point));
        self.progress.event(Event::Note { text });
    }

    fn advance(&self) {
        self.progress.event(Event::Advanced {
            what: "tuning".to_owned(),
            done: self.trials.len() as u64,
            total: Some(self.wanted),
            unit: "trials",
        });
    }
}

/// A value as progress and tables show it.
pub(super) fn written(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 0.001 => format!("{value:.4}"),
        _ => format!("{value:.2e}"),
    }
}
