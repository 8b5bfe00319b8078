//! `[train]` of `lepton.toml`: what a person may say about training, its defaults and its checks.

use crate::early_stopping::EarlyStopping;
use crate::ensemble::EnsembleSettings;
use crate::schedule::Schedule;
use crate::transfer::TransferSettings;
use lepton_boost::BoostSettings;
use lepton_core::{Error, ErrorCode, Result};
use lepton_nn::{Loss, Node, OptimizerSettings, Precision, StepKind, UpdateSettings};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

/// `[train]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSettings {
    /// A network of the task's zoo; `None` takes the task's default.
    pub architecture: Option<String>,
    /// A network of one's own, `[[train.layers]]`, in place of the zoo's.
    pub layers: Option<Vec<Node>>,
    /// How trees are grown, `[train.boosting]`, where `architecture = "boosting"`.
    pub boosting: Option<BoostSettings>,
    /// What an ensemble is made of, `[train.ensemble]`, where `architecture = "ensemble"`.
    pub ensemble: Option<EnsembleSettings>,
    /// What to go on from: a model of this machine (`mnist`, `mnist@2`), the folder of a package or of a project (which is
    /// run first), an ONNX file, or an encoder of texts (`minilm`, or a folder with `config.json`). Its last dense layer is
    /// replaced, or a new one is added.
    pub from: Option<String>,
    /// How what was learned before goes on learning, `[train.transfer]`.
    pub transfer: TransferSettings,
    /// Passes over the training split.
    pub epochs: usize,
    /// Rows per step.
    pub batch_size: usize,
    /// What training makes small; `None` takes the task's: cross entropy for classes, squared errors for numbers.
    pub loss: Option<Loss>,
    /// How much each class weighs in the loss: `"balanced"`, or a table of weights by class.
    pub class_weights: Option<ClassWeights>,
    /// The optimiser and its constants.
    pub optimizer: OptimizerSettings,
    /// The full learning rate, which the schedule scales.
    pub learning_rate: f64,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// The largest norm of all gradients together; larger ones are scaled down to it.
    pub clip_norm: Option<f64>,
    /// Pull of weights towards exactly 0: this times their sign is added to the gradient.
    pub l1: f64,
    /// Batches whose mean gradient makes one update.
    pub accumulate: usize,
    /// The decay of a moving average of the weights, which is then what is validated and kept; 0.999 is usual.
    pub average: Option<f64>,
    /// Whether, when the best epoch is known, the network is trained once more from its beginning on the rows of training
    /// and validation together, for that many epochs. The test rows stay unseen.
    pub refit: bool,
    /// When to stop before the last epoch; `None` trains them all. The best epoch's weights are what
    /// training returns either way.
    pub early_stopping: Option<EarlyStopping>,
    /// Seconds between two checkpoints; 0 writes none by time.
    pub checkpoint_seconds: f64,
    /// Steps between two checkpoints; 0 writes none by count.
    pub checkpoint_steps: u64,
    /// How a training step of a network is computed: `"planned"`, compiled into fused operations over one arena, `"burn"`, or
    /// `"auto"`, planned where every layer has a kernel.
    pub step: StepKind,
    /// The precision of products in a planned step: `"f32"`, or `"bf16"`, both sides rounded to bfloat16. Sums, weights and
    /// all else are float32, and so is the model.
    pub precision: Precision,
    /// Threads that compute; `None` takes one per core. The same count gives the same weights.
    pub threads: Option<usize>,
}

impl Default for TrainSettings {
    fn default() -> TrainSettings {
        TrainSettings {
            architecture: None,
            layers: None,
            boosting: None,
            ensemble: None,
            from: None,
            transfer: TransferSettings::default(),
            epochs: 5,
            batch_size: 32,
            loss: None,
            class_weights: None,
            optimizer: OptimizerSettings::default(),
            learning_rate: 1e-3,
            schedule: Schedule::default(),
            clip_norm: None,
            l1: 0.0,
            accumulate: 1,
            average: None,
            refit: false,
            early_stopping: None,
            checkpoint_seconds: 15.0,
            checkpoint_steps: 0,
            step: StepKind::Auto,
            precision: Precision::Float32,
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
        self.update().validate().map_err(|error| match error.place().key.clone() {
            Some(key) => error.at_key(format!("train.{key}")),
            None => error.at_key("train"),
        })?;
        if let Some(ClassWeights::Of(weights)) = &self.class_weights
            && !weights.values().all(|weight| weight.is_finite() && *weight >= 0.0)
        {
            return wrong("class_weights", "weights are numbers from 0 up");
        }
        if let Some(boosting) = &self.boosting {
            boosting.validate()?;
        }
        if let Some(ensemble) = &self.ensemble {
            ensemble.validate()?;
        }
        self.transfer.validate()?;
        if self.from.is_some() && (self.architecture.is_some() || self.layers.is_some()) {
            return Err(Error::new(ErrorCode::Config, "there is a network to go on from and another one")
                .at_key("train.from")
                .fix(
                    "remove train.architecture and [[train.layers]]: the network is the one that was trained before",
                ));
        }
        if self.from.is_none() && self.transfer != TransferSettings::default() {
            return Err(Error::new(ErrorCode::Config, "nothing says what to go on from")
                .at_key("train.transfer")
                .fix("set train.from, or remove [train.transfer]"));
        }
        if self.refit && self.from.is_some() && self.transfer.compare {
            return Err(Error::new(
                ErrorCode::Unsupported,
                "what transfer gained is told of trainings without a refit",
            )
            .at_key("train.refit")
            .fix("set train.transfer.compare = false, or remove train.refit"));
        }
        self.schedule.validate()?;
        self.early_stopping.as_ref().map_or(Ok(()), EarlyStopping::validate)
    }

    /// What is done with gradients and weights around the optimiser's rule.
    pub fn update(&self) -> UpdateSettings {
        let TrainSettings { clip_norm, l1, accumulate, average, .. } = *self;
        UpdateSettings { clip_norm, l1, accumulate, average }
    }
}

/// How much classes weigh. In files: `"balanced"`, or a table `{ label = weight }` in which others weigh 1.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassWeights {
    /// Each class the same in all: rows / (classes * rows of the class).
    Balanced,
    /// Weights by class.
    Of(BTreeMap<String, f64>),
}

impl Serialize for ClassWeights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ClassWeights::Balanced => serializer.serialize_str("balanced"),
            ClassWeights::Of(weights) => weights.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ClassWeights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ClassWeights, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Word(String),
            Table(BTreeMap<String, f64>),
        }
        match Form::deserialize(deserializer) {
            Ok(Form::Word(word)) if word == "balanced" => Ok(ClassWeights::Balanced),
            Ok(Form::Table(weights)) => Ok(ClassWeights::Of(weights)),
            _ => Err(serde::de::Error::custom("class_weights is \"balanced\" or a table of weights by class")),
        }
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
        assert_eq!(key(&|settings| settings.clip_norm = Some(0.0)), "train.clip_norm");
        assert_eq!(key(&|settings| settings.accumulate = 0), "train.accumulate");
        assert_eq!(key(&|settings| settings.average = Some(1.0)), "train.average");
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
        assert!(read.early_stopping.unwrap().monitor.is_none());
        let weights = |text: &str| serde_json::from_str::<TrainSettings>(text).map(|read| read.class_weights);
        assert_eq!(weights(r#"{"class_weights": "balanced"}"#).unwrap(), Some(ClassWeights::Balanced));
        assert!(weights(r#"{"class_weights": "even"}"#).unwrap_err().to_string().contains("balanced"));
        assert!(weights(r#"{"class_weights": {"yes": 2}}"#).is_ok());
    }
}
