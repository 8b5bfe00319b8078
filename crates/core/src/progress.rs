//! What long work says while it runs. Libraries send events; the binary draws bars, the server logs.

use crate::Metrics;
use serde::Serialize;

/// Something that happened in long work.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A stage of a run begins.
    StageStarted {
        /// The stage's name.
        stage: String,
    },
    /// A stage ended well.
    StageFinished {
        /// The stage's name.
        stage: String,
        /// Wall time.
        seconds: f64,
        /// Whether its result came from the cache.
        cached: bool,
        /// One line for a person.
        summary: String,
    },
    /// Countable work moved on: bytes of a download, rows of a scan.
    Advanced {
        /// What is counted, for example `downloading mnist`.
        what: String,
        /// Units done.
        done: u64,
        /// Units in all, where known.
        total: Option<u64>,
        /// `bytes` or `rows`.
        unit: &'static str,
    },
    /// A training step ended.
    Step {
        /// Current epoch, from 1.
        epoch: usize,
        /// Epochs in all.
        epochs: usize,
        /// Step within the epoch, from 1.
        step: usize,
        /// Steps per epoch.
        steps: usize,
        /// Mean loss of the epoch so far.
        loss: f64,
        /// Mean accuracy of the epoch so far, where the task has one.
        accuracy: Option<f64>,
        /// Samples per second over the epoch so far.
        samples_per_second: f64,
        /// Estimated seconds until the last epoch ends.
        seconds_left: f64,
    },
    /// A training epoch ended.
    EpochFinished {
        /// The epoch, from 1.
        epoch: usize,
        /// Epochs in all.
        epochs: usize,
        /// Mean training loss.
        train_loss: f64,
        /// Validation loss.
        valid_loss: f64,
        /// The metric that the task speaks of, by its name, on the validation rows.
        valid_score: Option<(&'static str, f64)>,
        /// All metrics on the validation rows.
        valid: Metrics,
        /// Learning rate of the epoch's last step.
        learning_rate: f64,
        /// Wall time of the epoch.
        seconds: f64,
    },
    /// Something worth knowing.
    Note {
        /// One line for a person.
        text: String,
    },
    /// Something that a person should look at.
    Warning {
        /// One line for a person.
        text: String,
    },
}

/// Where events go.
pub trait Progress: Send + Sync {
    /// Takes one event. Must not block for long: training calls it.
    fn event(&self, event: Event);
}

/// Drops every event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event) {}
}
