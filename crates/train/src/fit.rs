//! The fit loop: from an Architecture and two loaders to trained weights.
//!
//! The loop owns the order of things (steps, validation, checkpoints, stopping); the arithmetic of a step
//! belongs to lepton-nn, the batches to lepton-data, and the place of the checkpoints to the caller. What a
//! step sees depends on seed, epoch and step only, never on the clock, so a training that was stopped and
//! resumed ends with the same bytes as one that was not.

use crate::adapt::Alignment;
use crate::boosting;
use crate::checkpoint::{Checkpoint, Checkpoints, EpochSums, Position};
use crate::early_stopping::BestSoFar;
use crate::ensemble::{self, EnsembleScore};
use crate::history::EpochRecord;
use crate::metrics::argmax;
use crate::outputs::outputs_over;
use crate::pace::{Interval, Speed};
use crate::refit::Refit;
use crate::settings::TrainSettings;
use crate::target::{self, Target};
use crate::task::{EvaluationInput, Learner, Task};
use crate::transfer::FixedBody;
use lepton_core::{Cancel, DType, Digest, Error, ErrorCode, Event, Progress, Result, Seed, Tensor};
use lepton_data::{Batch, Epoch, Loader};
use lepton_nn::{Architecture, HiddenLoss, Loss, Network, StepKind, StepRows, Trainer};
use std::time::Instant;

/// Seconds between two [`Event::Step`]s, at least.
const STEP_EVENT_SECONDS: f64 = 0.1;

/// Everything that a training needs.
pub struct FitJob<'a> {
    /// The kind of problem.
    pub task: &'a dyn Task,
    /// What learns.
    pub learner: &'a Learner,
    /// What is predicted.
    pub target: Target<'a>,
    /// The training split, augmented where wanted.
    pub train: &'a Loader,
    /// The validation split, never augmented.
    pub valid: &'a Loader,
    /// `[train]`.
    pub settings: &'a TrainSettings,
    /// Fixes the first weights and every dropped unit.
    pub seed: Seed,
    /// Where checkpoints are kept. A training of another job must not share them.
    pub checkpoints: &'a mut dyn Checkpoints,
    /// Who hears of steps and epochs.
    pub progress: &'a dyn Progress,
    /// Asks the training to stop.
    pub cancel: &'a Cancel,
}

/// A finished training.
pub struct Fit {
    /// The network with the weights of the best epoch.
    pub network: Network,
    /// One record per epoch.
    pub history: Vec<EpochRecord>,
    /// The epoch that the weights come from, from 1.
    pub best_epoch: usize,
    /// Steps that were already done when this training took over; `None` when it began at the beginning.
    pub resumed_from_step: Option<u64>,
    /// Whether patience ran out before the last epoch.
    pub stopped_early: bool,
    /// Training rows per second over the steps of this process, without validation and checkpoints.
    pub samples_per_second: f64,
    /// Seconds in which steps waited for their batch, over all epochs.
    pub data_wait_seconds: f64,
    /// Of an ensemble its members.
    pub ensemble: Option<EnsembleScore>,
    /// Rows that the network was trained on once more, those of validation among them; `None` where it was not.
    pub refitted_rows: Option<usize>,
    /// What computed, for example `burn 0.22.1 flex (cpu)`.
    pub backend: String,
}

/// Trains `job.learner` until its last epoch, until patience runs out, or until it is asked to stop.
///
/// Takes over from the newest checkpoint when there is one. A request to stop saves a checkpoint first.
///
/// # Errors
/// [`ErrorCode::Cancelled`]; [`ErrorCode::Diverged`] when a loss or gradient is NaN or infinite, with the
/// state before that step kept as the newest checkpoint; [`ErrorCode::Integrity`] for a checkpoint that is
/// not of this job; [`ErrorCode::Config`] for settings that make no sense; and what the data, the network
/// and the checkpoints report.
pub fn fit(job: FitJob<'_>) -> Result<Fit> {
    fit_with(job, Extras::default())
}

/// What few trainings have.
#[derive(Default)]
pub(crate) struct Extras<'a> {
    /// The domains of rows are aligned at a hidden layer.
    pub(crate) alignment: Option<Alignment<'a>>,
    /// The training is one on all rows, after the best epoch is known.
    pub(crate) refit: Option<Refit>,
}

/// As [`fit`], with what few trainings have.
pub(crate) fn fit_with<'a>(job: FitJob<'a>, extras: Extras<'a>) -> Result<Fit> {
    job.settings.validate()?;
    for (loader, split) in [(job.train, "training"), (job.valid, "validation")] {
        if loader.rows() == 0 {
            return Err(Error::new(ErrorCode::BadData, format!("the {split} split has no rows"))
                .fix("give more rows, or change prepare.valid_fraction"));
        }
    }
    let (learner, settings) = (job.learner, job.settings);
    let network = match learner {
        Learner::Network(architecture) => Network::new(architecture, job.seed)?,
        Learner::Trained(start) => start.network().clone().with_seed(job.seed),
        Learner::Boosting(settings) => return boosting::fit(&job, settings),
        Learner::Ensemble(members) => return ensemble::fit(job, members),
    };
    let network = on_threads(network, settings)?;
    if let (Learner::Trained(start), None) = (learner, &extras.alignment)
        && let Some(body) = FixedBody::of(&job, start, &network)?
    {
        let [train, valid] = body.rows(&job)?;
        let FitJob { task, learner, target, settings, seed, checkpoints, progress, cancel, .. } = job;
        let (train, valid) = (&train, &valid);
        let job = FitJob { task, learner, target, train, valid, settings, seed, checkpoints, progress, cancel };
        let fit = fit_network(job, body.rest, Some(body.layers), extras)?;
        let whole = network.with_numbers_of(&fit.network);
        return Ok(Fit { network: whole, ..fit });
    }
    fit_network(job, network, None, extras)
}

/// Trains `network`, whose rows have run through that many layers before it.
fn fit_network<'a>(job: FitJob<'a>, network: Network, layers_before: Option<usize>, extras: Extras<'a>) -> Result<Fit> {
    let mut training = Training::start(job, network, layers_before, extras)?;
    while !training.position.finished {
        training.steps_of_epoch()?;
        training.end_of_epoch()?;
    }
    training.finish()
}

/// A training in progress.
struct Training<'a> {
    job: FitJob<'a>,
    architecture: Architecture,
    trainer: Trainer,
    alignment: Option<Alignment<'a>>,
    refit: Option<Refit>,
    loss: Loss,
    position: Position,
    /// The next epoch's batches, which are prepared while this one is validated.
    upcoming: Option<Epoch>,
    best_weights: Vec<u8>,
    resumed_from_step: Option<u64>,
    /// The step of the newest checkpoint.
    saved_step: Option<u64>,
    clock: Instant,
    speed: Speed,
    event_interval: Interval,
    checkpoint_interval: Interval,
}

impl<'a> Training<'a> {
    fn start(
        job: FitJob<'a>,
        network: Network,
        layers_before: Option<usize>,
        Extras { alignment, refit }: Extras<'a>,
    ) -> Result<Training<'a>> {
        let fingerprint = fingerprint(&job, layers_before, alignment.as_ref())?;
        let counts = job.train.class_counts();
        let loss = target::loss(job.task, job.settings, job.target, counts.as_deref())?;
        let trainer = Trainer::new(network, loss.clone(), job.settings.optimizer.clone())?;
        let trainer = trainer
            .with_update(job.settings.update())?
            .with_step_in(step_kind(&job, alignment.is_some())?, job.settings.precision)?;
        let mut training = Training {
            architecture: trainer.network().architecture().clone(),
            trainer,
            alignment,
            refit,
            loss,
            position: Position {
                fingerprint,
                epoch: 1,
                steps_done: 0,
                sums: EpochSums::default(),
                history: Vec::new(),
                best: BestSoFar::default(),
                finished: false,
                stopped_early: false,
            },
            upcoming: None,
            best_weights: Vec::new(),
            resumed_from_step: None,
            saved_step: None,
            clock: Instant::now(),
            speed: Speed::default(),
            event_interval: Interval::new(STEP_EVENT_SECONDS, 0.0),
            checkpoint_interval: Interval::new(job.settings.checkpoint_seconds, 0.0),
            job,
        };
        training.resume()?;
        Ok(training)
    }

    /// Takes over from the newest checkpoint, where there is one.
    fn resume(&mut self) -> Result<()> {
        let Some((step, bytes)) = self.job.checkpoints.latest()? else { return Ok(()) };
        let checkpoint = Checkpoint::decode(&bytes)?;
        if checkpoint.position.fingerprint != self.position.fingerprint {
            return Err(other_training());
        }
        self.trainer.restore(&checkpoint.trainer)?;
        if let Some(alignment) = &mut self.alignment {
            alignment.restore(&checkpoint.alignment)?;
        }
        self.position = checkpoint.position;
        self.best_weights = checkpoint.best_weights;
        self.resumed_from_step = Some(step);
        self.saved_step = Some(step);
        let Position { epoch, steps_done, .. } = self.position;
        let text = format!("training goes on from its checkpoint: epoch {epoch}, after step {steps_done}");
        self.job.progress.event(Event::Note { text });
        Ok(())
    }

    /// The steps of the current epoch that are still to do.
    fn steps_of_epoch(&mut self) -> Result<()> {
        let (train, steps) = (self.job.train, self.job.train.steps());
        let (epoch, done) = (self.position.epoch as u64, self.position.steps_done);
        if let Learner::Trained(start) = self.job.learner {
            self.trainer.set_rates(|key| start.rate(key, epoch as usize));
        }
        let mut batches = self.upcoming.take().unwrap_or_else(|| train.epoch(epoch, done, true));
        let before = self.speed.seconds(self.now());
        let carried = self.position.sums.seconds;
        self.speed.start(self.now());
        loop {
            let asked = Instant::now();
            let Some(batch) = batches.next() else { break };
            self.position.sums.data_wait_seconds += asked.elapsed().as_secs_f64();
            if self.job.cancel.is_cancelled() {
                self.speed.pause(self.now());
                return self.stop();
            }
            self.step(&batch?)?;
            let now = self.now();
            self.position.sums.seconds = carried + self.speed.seconds(now) - before;
            if self.event_interval.due(now) {
                self.tell_step(now);
            }
            if self.checkpoint_due(now) {
                self.speed.pause(self.now());
                self.save()?;
                self.speed.start(self.now());
            }
        }
        self.speed.pause(self.now());
        if self.position.steps_done != steps {
            let done = self.position.steps_done;
            return Err(Error::internal(format!("the loader gave {done} of {steps} batches")));
        }
        Ok(())
    }

    fn step(&mut self, batch: &Batch) -> Result<()> {
        let settings = self.job.settings;
        let losses: Vec<f64> = match &self.refit {
            Some(refit) => refit.losses_before(self.position.epoch),
            None => self.position.history.iter().map(|record| record.valid_loss).collect(),
        };
        let factor = settings.schedule.factor(self.global_step(), self.job.train.steps(), settings.epochs, &losses);
        let learning_rate = settings.learning_rate * factor;
        let step = self.global_step();
        let steps = (settings.epochs * self.job.train.steps()) as u64;
        let more = match &mut self.alignment {
            Some(alignment) => Some(alignment.begin(batch, step, steps, settings.batch_size, learning_rate)?),
            None => None,
        };
        let rows = StepRows {
            input: &batch.input,
            target: &batch.target,
            weights: batch.weights.as_deref(),
            unlabelled: more.as_ref(),
        };
        let hidden = self.alignment.as_mut().map(|alignment| alignment as &mut (dyn HiddenLoss + Send));
        let outcome = match self.trainer.step_over(&rows, hidden, learning_rate) {
            Ok(outcome) => outcome,
            Err(error) if error.code() == ErrorCode::Diverged => {
                // The step was not taken, so what stands before it is good.
                self.save()?;
                return Err(self.diverged(&error));
            }
            Err(error) => return Err(error),
        };
        if let Some(alignment) = &mut self.alignment {
            alignment.commit();
        }
        let rows = batch.target.rows();
        let sums = &mut self.position.sums;
        sums.loss += outcome.loss * rows as f64;
        if let Target::Classes(_) = self.job.target {
            sums.correct += correct_rows(&outcome.outputs, &batch.target)?;
        }
        sums.rows += rows as u64;
        sums.learning_rate = learning_rate;
        self.position.steps_done += 1;
        self.speed.add(rows);
        Ok(())
    }

    /// Validates, remembers the best weights, and goes to the next epoch or ends.
    fn end_of_epoch(&mut self) -> Result<()> {
        let last = self.refit.as_ref().map_or(self.job.settings.epochs, Refit::epochs);
        if self.position.epoch < last {
            self.upcoming = Some(self.job.train.epoch(self.position.epoch as u64 + 1, 0, true));
        }
        let network = self.trainer.averaged();
        if let Some(refit) = &self.refit {
            self.position.finished = self.position.epoch == refit.epochs();
            if self.position.finished {
                self.best_weights = network.weights()?;
            }
            self.next_epoch();
            return Ok(());
        }
        let step = self.job.settings.step;
        let mut answering = network.answering(if step == StepKind::Burn { step } else { StepKind::Auto })?;
        let validated = outputs_over(self.job.valid, self.job.cancel, &mut |input| answering.forward(input));
        let (outputs, targets) = match validated {
            Err(error) if error.code() == ErrorCode::Cancelled => return self.stop(),
            other => other?,
        };
        let rows = self.job.valid.part();
        let given = EvaluationInput { outputs: &outputs, targets: &targets, target: self.job.target, rows };
        let valid = match self.job.task.evaluate(&given) {
            Err(error) if error.code() == ErrorCode::Diverged => return Err(self.diverged(&error)),
            other => other?,
        };
        let stopping = self.job.settings.early_stopping;
        let metric = stopping.and_then(|stopping| stopping.monitor).unwrap_or(self.job.task.watched_metric());
        let watched = valid.get(metric.name()).copied().ok_or_else(|| {
            let message = format!("{} does not compute {metric} on these rows", self.job.task.kind());
            Error::new(ErrorCode::Config, message).at_key("train.early_stopping.monitor")
        })?;
        let valid_loss = match self.job.valid.weights() {
            None => self.loss.value(&outputs, &targets)?,
            Some(weights) => self.loss.weighted_value(&outputs, &targets, weights)?,
        };
        // Metrics know no weights, so that weighted rows choose by their loss unless a person names a metric.
        let is_weighted =
            self.job.valid.weights().is_some() && stopping.is_none_or(|stopping| stopping.monitor.is_none());
        let watched = if is_weighted && !metric.higher_is_better() { valid_loss } else { watched };
        let Position { epoch, sums, .. } = self.position;
        let record = EpochRecord {
            epoch,
            train_loss: sums.loss / sums.rows as f64,
            train_accuracy: self.counts_right().then(|| sums.correct as f64 / sums.rows as f64),
            valid_loss,
            valid,
            learning_rate: sums.learning_rate,
            seconds: sums.seconds,
            data_wait_seconds: sums.data_wait_seconds,
        };
        self.tell_epoch(&record);
        self.position.history.push(record);
        let verdict = self.position.best.observe(epoch, metric, watched, stopping.as_ref());
        if verdict.best {
            self.best_weights = network.weights()?;
        }
        let last = epoch == self.job.settings.epochs;
        self.position.stopped_early = verdict.stop && !last;
        self.position.finished = verdict.stop || last;
        self.next_epoch();
        Ok(())
    }

    fn next_epoch(&mut self) {
        if !self.position.finished {
            self.position.epoch += 1;
            self.position.steps_done = 0;
            self.position.sums = EpochSums::default();
        }
    }

    fn finish(mut self) -> Result<Fit> {
        // A process that is killed before its result is kept finds a finished training.
        self.save()?;
        if self.position.stopped_early {
            let Position { epoch, best, .. } = &self.position;
            let text = format!("stopped early after epoch {epoch}: epoch {} stays the best", best.epoch);
            self.job.progress.event(Event::Note { text });
        }
        let best = Network::from_weights(&self.architecture, &self.best_weights)?;
        Ok(Fit {
            network: on_threads(best, self.job.settings)?,
            best_epoch: self.position.best.epoch,
            data_wait_seconds: self.position.history.iter().map(|record| record.data_wait_seconds).sum(),
            history: self.position.history,
            resumed_from_step: self.resumed_from_step,
            stopped_early: self.position.stopped_early,
            samples_per_second: self.speed.rows_per_second(self.clock.elapsed().as_secs_f64()),
            ensemble: None,
            refitted_rows: None,
            backend: self.trainer.backend(),
        })
    }

    /// Steps done since the beginning of the training.
    fn global_step(&self) -> u64 {
        let before = (self.position.epoch - 1) * self.job.train.steps();
        (before + self.position.steps_done) as u64
    }

    /// Whether rows are right or wrong.
    fn counts_right(&self) -> bool {
        matches!(self.job.target, Target::Classes(_))
    }

    fn now(&self) -> f64 {
        self.clock.elapsed().as_secs_f64()
    }

    fn checkpoint_due(&self, now: f64) -> bool {
        let settings = self.job.settings;
        let by_count = settings.checkpoint_steps > 0 && self.global_step().is_multiple_of(settings.checkpoint_steps);
        let by_time = settings.checkpoint_seconds > 0.0 && self.checkpoint_interval.is_due(now);
        by_count || by_time
    }

    fn save(&mut self) -> Result<()> {
        let checkpoint = Checkpoint {
            position: self.position.clone(),
            trainer: self.trainer.state()?,
            alignment: self.alignment.as_ref().map(Alignment::state).transpose()?.unwrap_or_default(),
            best_weights: self.best_weights.clone(),
        };
        let step = self.global_step();
        self.job.checkpoints.save(step, &checkpoint.encode()?)?;
        self.saved_step = Some(step);
        self.checkpoint_interval.restart(self.now());
        Ok(())
    }

    /// Saves, then says that it was asked to stop.
    fn stop(&mut self) -> Result<()> {
        self.save()?;
        self.job.cancel.check()
    }

    /// What a person hears when the numbers went out of range.
    fn diverged(&self, error: &Error) -> Error {
        let Position { epoch, steps_done, .. } = self.position;
        let kept = match self.saved_step {
            Some(step) => format!("the last good checkpoint, after step {step}, is kept"),
            None => "there was no checkpoint yet".to_owned(),
        };
        let message =
            format!("training diverged in epoch {epoch} after step {steps_done}: {}; {kept}", error.message());
        let rate = self.job.settings.learning_rate;
        Error::new(ErrorCode::Diverged, message).fix(format!(
            "try a smaller train.learning_rate (it is {rate:e}), a warm-up (train.schedule.warmup_steps), or \
             standardised inputs"
        ))
    }

    fn tell_step(&self, now: f64) {
        let Position { epoch, steps_done, sums, .. } = &self.position;
        let epochs = self.refit.as_ref().map_or(self.job.settings.epochs, Refit::epochs);
        let rows = self.job.train.rows() as u64;
        let rows_left = rows * (epochs - epoch) as u64 + rows.saturating_sub(sums.rows);
        self.job.progress.event(Event::Step {
            epoch: *epoch,
            epochs,
            step: *steps_done,
            steps: self.job.train.steps(),
            loss: sums.loss / sums.rows as f64,
            accuracy: self.counts_right().then(|| sums.correct as f64 / sums.rows as f64),
            samples_per_second: self.speed.rows_per_second(now),
            seconds_left: self.speed.seconds_left(rows_left, now),
        });
    }

    fn tell_epoch(&self, record: &EpochRecord) {
        let primary = self.job.task.primary_metric();
        self.job.progress.event(Event::EpochFinished {
            epoch: record.epoch,
            epochs: self.job.settings.epochs,
            train_loss: record.train_loss,
            valid_loss: record.valid_loss,
            valid_score: record.valid.get(primary.name()).map(|score| (primary.name(), *score)),
            valid: record.valid.clone(),
            learning_rate: record.learning_rate,
            seconds: record.seconds,
        });
    }
}

/// How steps are computed: what planned steps do not know is computed on Burn, or refused where nothing else is wanted.
fn step_kind(job: &FitJob<'_>, is_aligned: bool) -> Result<StepKind> {
    let unknown = match job.learner {
        Learner::Trained(_) => "rates by layer of a network that was trained before",
        _ if is_aligned => "losses of hidden layers",
        _ => return Ok(job.settings.step),
    };
    match job.settings.step {
        StepKind::Planned => {
            Err(Error::new(ErrorCode::Unsupported, format!("the planned step cannot be used: it knows no {unknown}"))
                .at_key("train.step")
                .fix("set train.step = \"auto\" or \"burn\""))
        }
        StepKind::Auto | StepKind::Burn => Ok(StepKind::Burn),
    }
}

/// The network on as many threads as `settings` ask for.
fn on_threads(network: Network, settings: &TrainSettings) -> Result<Network> {
    match settings.threads {
        Some(threads) => network.with_threads(threads),
        None => Ok(network),
    }
}

/// The error for a checkpoint that is not of this job.
pub(crate) fn other_training() -> Error {
    Error::new(ErrorCode::Integrity, "the newest checkpoint belongs to another training")
        .fix("run again with --from train to train this stage anew")
}

/// A hash of what the result depends on besides the data, whose hash is in the caller's key.
pub(crate) fn fingerprint(
    job: &FitJob<'_>,
    layers_before: Option<usize>,
    alignment: Option<&Alignment<'_>>,
) -> Result<Digest> {
    let TrainSettings { epochs, batch_size, optimizer, learning_rate, schedule, early_stopping, .. } = job.settings;
    let TrainSettings { loss, class_weights, .. } = job.settings;
    Digest::of_json(&(
        (job.learner, job.seed, job.target),
        (job.train.rows(), job.train.steps(), job.valid.rows()),
        (epochs, batch_size, optimizer, learning_rate, schedule, early_stopping),
        (loss, class_weights, job.settings.update(), &job.settings.transfer, layers_before),
        (job.train.weights(), alignment.map(Alignment::identity)),
    ))
}

/// Rows whose largest output, float32 `[rows, classes]`, is at the true class, int64 `[rows]`, or, where rows were
/// mixed, at the class with the largest share, float32 `[rows, classes]`.
fn correct_rows(outputs: &Tensor, targets: &Tensor) -> Result<u64> {
    let classes = outputs.row_len().max(1);
    let rows = outputs.as_float32()?.chunks_exact(classes);
    if targets.dtype() == DType::Float32 {
        let shares = targets.as_float32()?.chunks_exact(classes);
        return Ok(rows.zip(shares).filter(|(scores, shares)| argmax(scores) == argmax(shares)).count() as u64);
    }
    let right = rows.zip(targets.as_int64()?).filter(|(scores, class)| argmax(scores) as i64 == **class);
    Ok(right.count() as u64)
}
