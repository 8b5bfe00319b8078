//! The parent of the pilots: starts each in a process of its own, rung by rung, and keeps what they said.

use super::candidates::Candidate;
use super::choose::{loss, mean};
use super::folds::{Judging, resources};
use super::halving::{self, SHARES, Standing};
use super::pilot::{NetworkFacts, PilotJob, PilotLine, PilotResult, PilotScore};
use super::predict::{Figure, expected_epochs, most_epochs, seconds_per_row};
use crate::worker::{Heard, Worker, WorkerFailure};
use lepton_core::{Cancel, Error, ErrorCode, Event, Metric, Progress, Result};
use std::ffi::OsString;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How often the parent looks whether it was asked to stop.
const GLANCE: Duration = Duration::from_millis(50);

/// Seconds after the end of its time in which a pilot says what it has, before it is asked again.
const GRACE: f64 = 15.0;

/// Less time is not worth a pilot.
const LEAST_SECONDS: f64 = 0.3;

/// A candidate and what is known of it.
pub(super) struct Runner {
    pub(super) candidate: Candidate,
    /// Numbers of the network, measured untrained until a pilot has trained one.
    pub(super) network: Option<NetworkFacts>,
    /// What training takes in memory at the very least.
    pub(super) least_memory: Option<Figure<u64>>,
    /// Why it is out before any pilot.
    pub(super) excluded: Option<String>,
    /// Why a pilot failed.
    pub(super) failure: Option<WorkerFailure>,
    /// The memory at which a pilot was stopped.
    pub(super) over_memory: Option<u64>,
    /// Its pilots, rung by rung.
    pub(super) pilots: Vec<Piloted>,
}

/// A pilot that was run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piloted {
    /// Of how many it is, from 1.
    pub(super) rung: usize,
    /// The share of the whole work that was asked for.
    pub(super) share: f64,
    /// What came of it.
    pub(super) result: PilotResult,
    /// Wall seconds of the process.
    pub(super) seconds: f64,
}

impl Piloted {
    /// Its scores, split by split.
    pub(super) fn scores(&self, metric: Metric) -> Vec<f64> {
        self.result.scores.iter().filter_map(|score| score.valid.get(metric.name()).copied()).collect()
    }
}

impl Runner {
    pub(super) fn new(candidate: Candidate) -> Runner {
        Runner {
            candidate,
            network: None,
            least_memory: None,
            excluded: None,
            failure: None,
            over_memory: None,
            pilots: Vec::new(),
        }
    }

    /// Whether it may still be piloted.
    pub(super) fn is_in(&self) -> bool {
        self.excluded.is_none() && self.failure.is_none() && self.over_memory.is_none()
    }

    /// The last pilot that has a score.
    pub(super) fn last(&self, metric: Metric) -> Option<&Piloted> {
        self.pilots.iter().rev().find(|pilot| !pilot.scores(metric).is_empty())
    }

    /// Seconds that one row takes in one epoch or round, from the last pilot that tells.
    pub(super) fn seconds_per_row(&self) -> Option<f64> {
        self.pilots.iter().rev().find_map(|pilot| seconds_per_row(&pilot.result.scores, pilot.result.pace))
    }

    /// Seconds of a pilot of the whole work over trainings of `rows` rows in all.
    pub(super) fn whole_seconds(&self, rows: usize) -> Option<f64> {
        let scores: &[PilotScore] = self.pilots.last().map_or(&[], |pilot| &pilot.result.scores);
        let epochs = match self.candidate.is_boosting() {
            true => expected_epochs(&self.candidate, scores, false),
            false => most_epochs(&self.candidate),
        };
        Some(self.seconds_per_row()? * rows as f64 * epochs)
    }
}

/// The race.
pub(super) struct Race<'a> {
    pub(super) launch: &'a [OsString],
    /// What every pilot is told; `[train]`, the share and the seconds change.
    pub(super) job: PilotJob,
    pub(super) metric: Metric,
    /// Seconds of all pilots.
    pub(super) budget: f64,
    /// Bytes that a pilot may hold.
    pub(super) memory: Option<u64>,
    /// Training rows of all splits together.
    pub(super) split_rows: usize,
    pub(super) started: Instant,
    pub(super) progress: &'a dyn Progress,
    pub(super) cancel: &'a Cancel,
}

impl Race<'_> {
    /// Runs the rungs. It ends early, without an error, when the time is up or somebody asked to stop.
    ///
    /// # Errors
    /// [`ErrorCode::Io`] when processes cannot be started; [`ErrorCode::Internal`].
    pub(super) fn run(&self, runners: &mut [Runner]) -> Result<()> {
        self.first_rung(runners)?;
        let all = self.standings(runners, 1);
        if all.is_empty() {
            return Ok(());
        }
        if halving::fits_all(&all, self.left()) {
            let text = "there is time to run every candidate to the end, so none is dropped".to_owned();
            self.progress.event(Event::Note { text });
            let order = halving::promoted(&all, 1.0, f64::INFINITY);
            return self.rung(runners, 3, &order);
        }
        for rung in 2..=SHARES.len() {
            let standings = self.standings(runners, rung - 1);
            let order = halving::promoted(&standings, SHARES[rung - 1], self.left());
            if order.len() < standings.len() {
                let text = format!("rung {rung}: {} of {} candidates go on", order.len(), standings.len());
                self.progress.event(Event::Note { text });
            }
            self.rung(runners, rung, &order)?;
        }
        Ok(())
    }

    /// Seconds that are left.
    fn left(&self) -> f64 {
        (self.budget - self.started.elapsed().as_secs_f64()).max(0.0)
    }

    /// All candidates, those that take the least arithmetic first: what they leave over goes to the others.
    fn first_rung(&self, runners: &mut [Runner]) -> Result<()> {
        let mut order: Vec<usize> = (0..runners.len()).filter(|place| runners[*place].is_in()).collect();
        order.sort_by_key(|place| {
            let network = runners[*place].network.map_or(0, |network| network.flops);
            (network, -runners[*place].candidate.points)
        });
        let count = order.len();
        for (index, place) in order.into_iter().enumerate() {
            let spent = self.started.elapsed().as_secs_f64();
            let seconds = halving::first_share(self.budget, spent, count - index);
            if self.cancel.is_cancelled() || seconds < LEAST_SECONDS {
                continue;
            }
            self.pilot(&mut runners[place], 1, seconds)?;
        }
        Ok(())
    }

    fn rung(&self, runners: &mut [Runner], rung: usize, order: &[usize]) -> Result<()> {
        for place in order {
            let seconds = self.left();
            if self.cancel.is_cancelled() || seconds < LEAST_SECONDS {
                break;
            }
            self.pilot(&mut runners[*place], rung, seconds)?;
        }
        Ok(())
    }

    /// Those with a score at `rung`.
    fn standings(&self, runners: &[Runner], rung: usize) -> Vec<Standing> {
        let mut standings = Vec::new();
        for (place, runner) in runners.iter().enumerate().filter(|(_, runner)| runner.is_in()) {
            let Some(pilot) = runner.pilots.iter().find(|pilot| pilot.rung == rung) else { continue };
            let scores = pilot.scores(self.metric);
            let Some(whole_seconds) = runner.whole_seconds(self.split_rows) else { continue };
            if !scores.is_empty() {
                standings.push(Standing { place, loss: loss(self.metric, mean(&scores)), whole_seconds });
            }
        }
        standings
    }

    /// Runs one pilot and keeps what it said.
    fn pilot(&self, runner: &mut Runner, rung: usize, seconds: f64) -> Result<()> {
        let share = SHARES[rung - 1];
        let mut job = PilotJob { share, seconds, ..self.job.clone() };
        job.settings.train = runner.candidate.settings.clone();
        let started = Instant::now();
        let what = format!("rung {rung} of {}: {}", SHARES.len(), runner.candidate.name);
        let outcome = self.hear(&job, &what, runner)?;
        let seconds = started.elapsed().as_secs_f64();
        match outcome {
            Some(PilotLine::Result(result)) => {
                runner.network = result.network.or(runner.network);
                let pilot = Piloted { rung, share, result, seconds };
                let scores = pilot.scores(self.metric);
                let score = if scores.is_empty() {
                    "no score in its time".to_owned()
                } else {
                    format!("{} {:.4}", self.metric, mean(&scores))
                };
                let stopped = if pilot.result.stopped && !scores.is_empty() { ", stopped by its time" } else { "" };
                let text = format!("{what}  {score}{stopped}  {seconds:.1} s");
                self.progress.event(Event::Note { text });
                runner.pilots.push(pilot);
            }
            Some(PilotLine::Failed(failure)) => {
                self.progress.event(Event::Note { text: format!("{what}  failed: {}", failure.message) });
                runner.failure = Some(failure);
            }
            _ => {
                let text = format!("{what}  stopped: it holds more memory than is wanted");
                self.progress.event(Event::Note { text });
            }
        }
        Ok(())
    }

    /// What a pilot's process says at its end; nothing where it was stopped because of its memory.
    fn hear(&self, job: &PilotJob, what: &str, runner: &mut Runner) -> Result<Option<PilotLine>> {
        let line = serde_json::to_string(job).map_err(|source| Error::internal(format!("a job: {source}")))?;
        let (tell, hear) = channel();
        let started = Instant::now();
        let mut worker = Worker::start("pilot", self.launch, move |heard: Heard<PilotLine>| tell.send(heard).is_ok())?;
        worker.say(&line);
        let mut outcome = None;
        loop {
            if self.cancel.is_cancelled() || started.elapsed().as_secs_f64() > job.seconds + GRACE {
                worker.stop();
            }
            worker.enforce();
            match hear.recv_timeout(GLANCE) {
                Ok(Heard::Line(line)) => match *line {
                    PilotLine::Done { share, peak_bytes } => {
                        self.advanced(what, share);
                        let peak = peak_bytes.unwrap_or(0);
                        if self.memory.is_some_and(|limit| peak > limit) {
                            runner.over_memory = Some(peak);
                            worker.stop();
                        }
                    }
                    other => outcome = Some(other),
                },
                Ok(Heard::End) => break,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let unsaid = worker.wait()?;
        if let Some(PilotLine::Result(result)) = &outcome
            && let (Some(limit), Some(peak)) = (self.memory, result.peak_bytes)
            && peak > limit
        {
            runner.over_memory = Some(peak);
        }
        if runner.over_memory.is_some() {
            return Ok(None);
        }
        if outcome.is_none() && self.cancel.is_cancelled() {
            return Ok(Some(PilotLine::Result(PilotResult { stopped: true, ..PilotResult::default() })));
        }
        Ok(Some(outcome.unwrap_or(PilotLine::Failed(unsaid))))
    }

    fn advanced(&self, what: &str, share: f64) {
        self.progress.event(Event::Advanced {
            what: what.to_owned(),
            done: (100.0 * share).round() as u64,
            total: Some(100),
            unit: "%",
        });
    }
}

/// Training rows of all splits together, and of the largest one, at `share` of the work.
pub(super) fn split_rows(judging: &Judging, (training, validation): (usize, usize), share: f64) -> (usize, usize) {
    let pool = training + validation;
    let one = match *judging {
        Judging::Folds { folds, .. } => pool - pool / folds.max(1),
        Judging::Part => training,
    };
    let (drawn, _) = resources(share, one);
    (drawn * judging.count(), drawn)
}

/// The error of a race in which every pilot failed.
pub(super) fn all_failed(runners: &[Runner]) -> Option<Error> {
    let first = runners.iter().find_map(|runner| runner.failure.as_ref().map(|failure| (runner, failure)))?;
    let is_known = |runner: &Runner| !runner.pilots.is_empty() || runner.over_memory.is_some();
    if runners.iter().any(is_known) {
        return None;
    }
    let (runner, failure) = first;
    let error = failure.error(&format!("every pilot failed; {}: ", runner.candidate.name));
    Some(if error.code() == ErrorCode::Internal { error.fix("run again; RUST_LOG=info tells more") } else { error })
}
