//! One trial as its parent sees it: a [`Worker`] with what it tried and what it has said so far.

use super::trial::{TrialJob, TrialLine};
use crate::worker::{Heard, Worker, WorkerFailure};
use lepton_core::{Error, Result};
use lepton_tune::Trial;
use std::ffi::OsString;
use std::sync::mpsc::Sender;
use std::time::Instant;

/// What a trial hears when it is not worth finishing.
pub const PRUNE: &str = "prune";

/// A trial that was started. Dropped, it is killed.
pub(super) struct Running {
    worker: Worker,
    /// Whether it was asked to stop because it is not worth finishing.
    pub(super) pruned: bool,
    /// What it has reported so far.
    pub(super) trial: Trial,
    /// Its last line, where that was a result or a failure.
    pub(super) outcome: Option<TrialLine>,
    /// When it was started.
    pub(super) started: Instant,
}

impl Running {
    /// Starts `launch` with the job as its last argument; what it says goes to `tell`, with its number.
    ///
    /// # Errors
    /// [`lepton_core::ErrorCode::Io`] when the process cannot be started.
    pub(super) fn start(
        launch: &[OsString],
        job: &TrialJob,
        trial: Trial,
        tell: Sender<(u64, Heard<TrialLine>)>,
    ) -> Result<Running> {
        let job = serde_json::to_string(job).map_err(|source| Error::internal(format!("a job: {source}")))?;
        let launch: Vec<OsString> = launch.iter().cloned().chain([job.into()]).collect();
        let number = trial.number;
        let worker = Worker::start("trial", &launch, move |heard| tell.send((number, heard)).is_ok())?;
        Ok(Running { worker, pruned: false, trial, outcome: None, started: Instant::now() })
    }

    /// Asks it to end because it is not worth finishing.
    pub(super) fn prune(&mut self) {
        self.pruned = true;
        self.worker.say(PRUNE);
        self.worker.stop();
    }

    /// Asks it to stop at the next step, with a checkpoint from which it can go on.
    pub(super) fn stop(&mut self) {
        self.worker.stop();
    }

    /// Kills it where it was asked to stop too long ago.
    pub(super) fn enforce(&mut self) {
        self.worker.enforce();
    }

    /// Waits for its end after [`Running::stop`], and kills it where that takes too long.
    pub(super) fn end(&mut self) -> Result<()> {
        self.worker.end()
    }

    /// Waits for its end and says how it ended, where it did not say so itself.
    pub(super) fn wait(&mut self) -> Result<WorkerFailure> {
        self.worker.wait()
    }
}
