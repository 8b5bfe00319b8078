//! What a training leaves behind of each epoch.

use lepton_core::Metrics;
use serde::{Deserialize, Serialize};

/// The figures of one epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRecord {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Mean loss over the epoch's training rows, each taken with the weights of its step.
    pub train_loss: f64,
    /// Share of training rows that were right, taken the same way, where classes are predicted.
    pub train_accuracy: Option<f64>,
    /// Loss on the validation split after the epoch.
    pub valid_loss: f64,
    /// Metrics on the validation split after the epoch.
    pub valid: Metrics,
    /// Learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Wall seconds of the epoch's training steps, without validation and checkpoints.
    pub seconds: f64,
    /// Seconds of them in which the step waited for its batch.
    pub data_wait_seconds: f64,
}
