//! `[train]` of `lepton.toml`: what a person may say about training, its defaults and its checks.

use crate::early_stopping::EarlyStopping;
use crate::schedule::Schedule;
use lepton_core::{Error, ErrorCode, Metric, Result};
use lepton_nn::{Node, OptimizerSettings};
use serde::{Deserialize, Serialize};

/// `[train]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSettings {
    /// A network of the task's zoo; `None` takes the task's default.
    pub architecture: Option<String>,
    /// A network of one's own, `[[train.layers]]`, in place of the zoo's.
    pub layers: Option<Vec<Node>>,
    /// Passes over the training split.
    pub epochs: usize,
    /// Rows per step.
    pub batch_size: usize,
    /// The optimiser and its constants.
    pub optimizer: OptimizerSettings,
    /// The full learning rate, which the schedule scales.
    pub learning_rate: f64,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// When to stop before the last epoch; `None` trains them all. The best epoch's weights are what
    /// training returns either way.
    pub early_stopping: Option<EarlyStopping>,
    /// Seconds between two checkpoints; 0 writes none by time.
    pub checkpoint_seconds: f64,
    /// Steps between two checkpoints; 0 writes none by count.
    pub checkpoint_steps: u64,
    /// Threads that compute; `None` takes one per core. The same count gives the same weights.
    pub threads: Option<usize>,
}

impl Default for TrainSettings {
    fn default() -> TrainSettings {
        TrainSettings {
            architecture: None,
            layers: None,
            epochs: 5,
            batch_size: 32,
            optimizer: OptimizerSettings::default(),
            learning_rate: 1e-3,
            schedule: Schedule::default(),
            early_stopping: None,
            checkpoint_seconds: 15.0,
            checkpoint_steps: 0,
            threads: None,
        }
    }
}

impl TrainSettings {
    /// Checks the values.
    ///
    /// # Errors
    /// [`ErrorCode::Config`], naming the key.
    pub fn validate(&self) -> Result<()> {
        let wrong =
            |key: &str, message: &str| Err(Error::new(ErrorCode::Config, message).at_key(format!("train.{key}")));
        if self.epochs == 0 {
            return wrong("epochs", "must be at least 1");
        }
        if self.batch_size == 0 {
            return wrong("batch_size", "must be at least 1");
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return wrong("learning_rate", "must be a number above 0");
        }
        if !(self.checkpoint_seconds >= 0.0 && self.checkpoint_seconds.is_finite()) {
            return wrong("checkpoint_seconds", "must be 0 or more");
        }
        if self.threads == Some(0) {
            return wrong("threads", "must be at least 1");
        }
        if self.architecture.is_some() && self.layers.is_some() {
            return Err(Error::new(ErrorCode::Config, "there is a network of the zoo and one of your own")
                .at_key("train.architecture")
                .fix("remove either train.architecture or every [[train.layers]]"));
        }
        if self.layers.as_ref().is_some_and(Vec::is_empty) {
            return wrong("layers", "a network needs at least one layer");
        }
        self.optimizer.validate().map_err(|error| match error.place().key.clone() {
            Some(key) => error.at_key(format!("train.optimizer.{key}")),
            None => error.at_key("train.optimizer"),
        })?;
        self.schedule.validate()?;
        self.early_stopping.as_ref().map_or(Ok(()), EarlyStopping::validate)
    }

    /// The validation figure that decides which epoch is best.
    pub fn monitor(&self) -> Metric {
        self.early_stopping.unwrap_or_default().monitor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_value_is_named() {
        let key = |change: &dyn Fn(&mut TrainSettings)| {
            let mut settings = TrainSettings::default();
            change(&mut settings);
            settings.validate().err().and_then(|error| error.place().key.clone())
        };
        let key = |change: &dyn Fn(&mut TrainSettings)| key(change).unwrap_or_default();
        assert_eq!(key(&|_| ()), "");
        assert_eq!(key(&|settings| settings.epochs = 0), "train.epochs");
        assert_eq!(key(&|settings| settings.batch_size = 0), "train.batch_size");
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(key(&|settings| settings.learning_rate = rate), "train.learning_rate");
        }
        assert_eq!(key(&|settings| settings.checkpoint_seconds = f64::NAN), "train.checkpoint_seconds");
        assert_eq!(key(&|settings| settings.threads = Some(0)), "train.threads");
        assert_eq!(key(&|settings| settings.layers = Some(vec![])), "train.layers");
        assert_eq!(key(&|settings| settings.optimizer.beta1 = 1.0), "train.optimizer.beta1");
        let schedule = Schedule::Step { every_epochs: 0, factor: 0.5, warmup_steps: 0 };
        assert_eq!(key(&|settings| settings.schedule = schedule), "train.schedule.every_epochs");
        let stopping = EarlyStopping { patience: 0, ..EarlyStopping::default() };
        assert_eq!(key(&|settings| settings.early_stopping = Some(stopping)), "train.early_stopping.patience");
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(serde_json::from_str::<TrainSettings>(r#"{"epoch": 5}"#).is_err());
        let read: TrainSettings = serde_json::from_str(r#"{"epochs": 7, "early_stopping": {"patience": 2}}"#).unwrap();
        assert_eq!(read.epochs, 7);
        assert_eq!(read.early_stopping.unwrap().patience, 2);
        assert_eq!(read.monitor(), Metric::LogLoss);
    }
}
