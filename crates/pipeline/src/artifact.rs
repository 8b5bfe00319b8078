//! What each stage hands to the next: small typed records that name blobs by hash. They are what the stage
//! cache keeps, so a field added here must change [`crate::cache::LAYOUT`].

use crate::adapt::AdaptReport;
use crate::transfer::TransferReport;
use lepton_core::{
    Column, Confidence, Digest, EngineChoice, Environment, Figure, Horizon, Int8Verdict, MetricsBySplit, ModelName,
    Schema, Split, TensorSpec, thousands,
};
use lepton_data::remote::Origin;
use lepton_data::{AugmentSettings, PrepareReport, SourceFile, Unreadable};
use lepton_doctor::rules::CheckReport;
use lepton_monitor::DriftReport;
use lepton_optimize::Agreement;
use lepton_train::{EnsembleScore, EpochRecord};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// The result of a stage.
pub(crate) trait Artifact: Serialize + DeserializeOwned {
    /// The blobs that must exist for the cached result to be of use.
    fn blobs(&self) -> Vec<Digest>;
    /// One line for a person.
    fn summary(&self) -> String;
}

/// The rows of one split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// How many.
    pub rows: usize,
    /// The index of the chunks that hold them.
    pub blob: Digest,
    /// The blobs in which the chunks lie, some of them shared with other versions.
    pub packs: Vec<Digest>,
}

/// Stage 1: a dataset version named by its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Collected {
    /// Name of the dataset.
    pub dataset: String,
    /// Hash of schema and values.
    pub digest: Digest,
    /// The columns.
    pub schema: Schema,
    /// The column to predict.
    pub target: String,
    /// Rows by split, as the source gave them.
    pub parts: BTreeMap<Split, Part>,
    /// Every file that was read.
    pub source: Vec<SourceFile>,
    /// Where parts came from that are no files of this machine, and the queries of SQLite files.
    #[serde(default)]
    pub origin: Vec<Origin>,
    /// Files that could not be read and were dropped by the user's setting.
    pub unreadable: Vec<Unreadable>,
}

/// Stage 2: clean splits and the fitted recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// Hash of schema and values after preparation.
    pub digest: Digest,
    /// The columns.
    pub schema: Schema,
    /// The column to predict.
    pub target: String,
    /// Rows by split.
    pub parts: BTreeMap<Split, Part>,
    /// What was found and done.
    pub report: PrepareReport,
    /// How the collected rows keep the project's rules.
    pub checks: CheckReport,
    /// The fitted recipe, as JSON.
    pub recipe: Digest,
    /// The tensor that the recipe gives.
    pub features: TensorSpec,
    /// Names of classes or labels in the order of the network's outputs; empty where a number is predicted.
    pub labels: Vec<String>,
    /// Whether a row may have several of the labels, or none.
    #[serde(default)]
    pub several_labels: bool,
    /// Of a number that is predicted, the mean and the deviation that it is standardised by.
    #[serde(default)]
    pub target_scale: Option<[f64; 2]>,
    /// Of a forecast, its steps, quantiles and scale.
    #[serde(default)]
    pub horizon: Option<Horizon>,
    /// Rows of the target domain, where `[adapt]` names one.
    #[serde(default)]
    pub domains: Option<PreparedDomains>,
}

/// The target domain of a training part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreparedDomains {
    /// Target rows by their features alone.
    pub target: Part,
    /// How many of the last training rows are target rows with labels.
    pub labelled: usize,
}

/// Stage 3: how training rows are varied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Augmented {
    /// The settings in force; all zero when nothing is varied.
    pub settings: AugmentSettings,
    /// One line for a person.
    pub about: String,
    /// The training split with new rows, where some were made (SMOTE); else it is that of [`Prepared`].
    pub train: Option<Part>,
    /// New training rows by class.
    pub added: BTreeMap<String, usize>,
    /// Originals and variants of a few training rows.
    pub preview: Option<Figure>,
    /// The files that steps read, by their content.
    #[serde(default)]
    pub files: Vec<Digest>,
}

/// Stage 4: the trained network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// The network as data, JSON.
    pub architecture: Digest,
    /// The best epoch's weights, safetensors.
    pub weights: Digest,
    /// The printed summary of the network.
    pub summary: String,
    /// One record per epoch.
    pub history: Vec<EpochRecord>,
    /// What transfer gained, where the training went on from another.
    #[serde(default)]
    pub transfer: Option<TransferReport>,
    /// Of an ensemble its members.
    #[serde(default)]
    pub ensemble: Option<EnsembleScore>,
    /// What adaptation gained, where the training was for another domain.
    #[serde(default)]
    pub adapt: Option<AdaptReport>,
    /// Rows that the network was trained on once more, those of validation among them; `None` where it was not.
    #[serde(default)]
    pub refitted_rows: Option<usize>,
    /// The epoch that was kept.
    pub best_epoch: usize,
    /// Whether early stopping ended it.
    pub stopped_early: bool,
    /// Training rows per second over all epochs.
    pub samples_per_second: f64,
    /// Seconds in which training steps waited for their batch, over all epochs.
    pub data_wait_seconds: f64,
    /// The machine and the versions.
    pub environment: Environment,
    /// The run that trained it.
    pub run: String,
    /// The command as typed.
    pub command: String,
    /// When training ended, RFC 3339 in UTC.
    pub created: String,
}

/// Stage 5: what is served, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Optimized {
    /// The float32 ONNX file.
    pub float32: Digest,
    /// The INT8 ONNX file, where one was made.
    pub int8: Option<Digest>,
    /// Exported file against trained network on the test split.
    pub agreement: Agreement,
    /// What was measured and decided.
    pub verdict: Option<Int8Verdict>,
    /// Why there is no verdict, where there is none.
    pub no_int8: Option<String>,
    /// Name and version of the engine that measured.
    pub engine: String,
    /// Why that one.
    pub choice: EngineChoice,
    /// Metrics of the served file by split.
    pub metrics: MetricsBySplit,
    /// How sure those of the test split are.
    pub confidence: Option<Confidence>,
    /// The figures of the test split, as JSON.
    pub figures: Digest,
}

/// Stage 6: the registered package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deployed {
    /// The model's name.
    pub model: ModelName,
    /// Its version.
    pub version: u64,
    /// Hash of manifest.json.
    pub manifest: Digest,
    /// Bytes of the whole package.
    pub bytes: u64,
}

/// Stage 7: what the reference says of the test split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Monitored {
    /// Rows behind the reference.
    pub reference_rows: u64,
    /// The test split held against the reference, as a server would.
    pub drift: DriftReport,
}

fn part_blobs(parts: &BTreeMap<Split, Part>) -> impl Iterator<Item = Digest> + '_ {
    parts.values().flat_map(part_blobs_of)
}

fn part_blobs_of(part: &Part) -> impl Iterator<Item = Digest> + '_ {
    [part.blob].into_iter().chain(part.packs.iter().copied())
}

fn rows(parts: &BTreeMap<Split, Part>) -> String {
    parts.iter().map(|(split, part)| format!("{} {split}", thousands(part.rows as u64))).collect::<Vec<_>>().join(", ")
}

impl Artifact for Collected {
    fn blobs(&self) -> Vec<Digest> {
        part_blobs(&self.parts).collect()
    }

    fn summary(&self) -> String {
        format!("{} rows, {} columns, dataset {}", rows(&self.parts), self.schema.columns.len(), self.digest.short())
    }
}

impl Collected {
    /// The raw columns without the target.
    pub fn features(&self) -> impl Iterator<Item = &Column> {
        self.schema.columns.iter().filter(|column| column.name != self.target)
    }
}

impl Artifact for Prepared {
    fn blobs(&self) -> Vec<Digest> {
        let target = self.domains.iter().flat_map(|domains| part_blobs_of(&domains.target));
        part_blobs(&self.parts).chain([self.recipe]).chain(target).collect()
    }

    fn summary(&self) -> String {
        let findings = self.report.findings.len();
        let shape: Vec<String> = self.features.shape.iter().skip(1).map(i64::to_string).collect();
        format!("{}; {findings} findings; input {}", rows(&self.parts), shape.join("x"))
    }
}

impl Artifact for Augmented {
    fn blobs(&self) -> Vec<Digest> {
        self.train.iter().flat_map(part_blobs_of).collect()
    }

    fn summary(&self) -> String {
        if self.added.is_empty() {
            return self.about.clone();
        }
        let added = self.added.iter().map(|(class, rows)| format!("{} of {class}", thousands(*rows as u64)));
        format!("{}; new rows: {}", self.about, added.collect::<Vec<_>>().join(", "))
    }
}

impl Artifact for Trained {
    fn blobs(&self) -> Vec<Digest> {
        vec![self.architecture, self.weights]
    }

    fn summary(&self) -> String {
        let stopped = if self.stopped_early { ", stopped early" } else { "" };
        let refitted = match self.refitted_rows {
            Some(rows) => format!("; trained once more on {} rows", thousands(rows as u64)),
            None => String::new(),
        };
        format!(
            "{} epochs{stopped}, best is {}{refitted}; {} samples/s, {:.1} % of it waiting for data; steps by {}",
            self.history.len(),
            self.best_epoch,
            thousands(self.samples_per_second as u64),
            100.0 * self.data_wait_share(),
            self.environment.backend
        )
    }
}

impl Trained {
    /// The share of the training steps' time in which they waited for their batch, 0 to 1.
    pub fn data_wait_share(&self) -> f64 {
        let seconds: f64 = self.history.iter().map(|epoch| epoch.seconds).sum();
        if seconds > 0.0 { (self.data_wait_seconds / seconds).min(1.0) } else { 0.0 }
    }
}

impl Artifact for Optimized {
    fn blobs(&self) -> Vec<Digest> {
        [self.float32, self.figures].into_iter().chain(self.int8).collect()
    }

    fn summary(&self) -> String {
        let int8 = match (&self.verdict, &self.no_int8) {
            (Some(verdict), _) if verdict.kept => "INT8 kept",
            (Some(_), _) => "INT8 refused",
            (None, _) => "no INT8",
        };
        format!(
            "ONNX agrees on {} of {} rows (max difference {:.1e}); {int8}",
            thousands(self.agreement.identical_argmax as u64),
            thousands(self.agreement.rows as u64),
            self.agreement.max_abs_difference
        )
    }
}

impl Optimized {
    /// Whether the INT8 file is the one that is served.
    pub fn serves_int8(&self) -> bool {
        self.verdict.as_ref().is_some_and(|verdict| verdict.kept)
    }
}

impl Artifact for Deployed {
    fn blobs(&self) -> Vec<Digest> {
        Vec::new()
    }

    fn summary(&self) -> String {
        format!("{}@{}, {} kB", self.model, self.version, thousands(self.bytes.div_ceil(1000)))
    }
}

impl Artifact for Monitored {
    fn blobs(&self) -> Vec<Digest> {
        Vec::new()
    }

    fn summary(&self) -> String {
        format!(
            "reference of {} rows; test split: {} of {} comparisons drifted",
            thousands(self.reference_rows),
            self.drift.drifted().count(),
            self.drift.columns.len() + self.drift.predictions.len()
        )
    }
}
