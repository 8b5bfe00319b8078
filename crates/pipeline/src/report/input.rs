//! What a report is drawn from: plain data in the user's words. The pipeline fills it; nothing here knows
//! how a stage works or what HTML looks like.

use lepton_core::{Confidence, Digest, Environment, Figure, Int8Verdict, Metric, MetricsBySplit, Seed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that one run's report shows. Parts that a run did not reach stay empty and are left out of the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportInput {
    /// The heading, for example `mnist: image classification`.
    pub title: String,
    /// The project's name.
    pub project: String,
    /// The run's id.
    pub run: String,
    /// How the run ended: `done`, `failed`, `interrupted`, or the stage it stopped after.
    pub status: String,
    /// When it began, RFC 3339 in UTC.
    pub started: String,
    /// The command as typed.
    pub command: String,
    /// The seed of every random choice.
    pub seed: Seed,
    /// The machine and the versions.
    pub environment: Environment,
    /// The dataset version that was used.
    pub dataset: DatasetFacts,
    /// The stages in the order in which they ran.
    pub stages: Vec<StageFacts>,
    /// The metric of the headline.
    pub primary_metric: Metric,
    /// The engine that computed `metrics`, for example `onnxruntime 1.22.0`.
    pub engine: String,
    /// Metrics by split name, then metric name.
    pub metrics: MetricsBySplit,
    /// How sure those of the test split are.
    pub confidence: Option<Confidence>,
    /// One entry per epoch. The page draws the learning curves from this, so `figures` need not hold them.
    pub history: Vec<EpochFacts>,
    /// The epoch whose weights were kept.
    pub best_epoch: Option<usize>,
    /// Rows that the network was trained on once more, those of validation among them.
    pub refitted_rows: Option<u64>,
    /// What the task drew: confusion matrix, per-class table, prediction grid.
    pub figures: Vec<Figure>,
    /// Training pictures as augmented.
    pub augmented: Option<Figure>,
    /// The test split held against the reference, as a server would.
    pub drift: Option<Figure>,
    /// What the data checks found.
    pub findings: Vec<FindingFacts>,
    /// The project's rules and whether the collected rows keep them, as a table.
    pub rules: Option<Figure>,
    /// Rows by split name that have exactly the input of a training row.
    pub crossing: BTreeMap<String, u64>,
    /// Rows by split name, before and after preparation.
    pub rows: BTreeMap<String, RowCounts>,
    /// Rows by split name, then label, after preparation.
    pub classes: BTreeMap<String, BTreeMap<String, u64>>,
    /// The network's summary, a table in plain text.
    pub architecture: Option<String>,
    /// How well the exported ONNX file agrees with the trained network.
    pub agreement: Option<AgreementFacts>,
    /// What optimize measured and decided.
    pub int8: Option<Int8Verdict>,
    /// The package's files.
    pub files: Vec<FileFacts>,
    /// Where the model came from, as name and value.
    pub lineage: Vec<(String, String)>,
    /// The registered model, `mnist@1`.
    pub model: Option<String>,
    /// The package's folder.
    pub package: Option<String>,
}

/// The dataset behind the numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetFacts {
    /// Its name.
    pub name: String,
    /// Hash of its content; `None` when the run stopped before it was known.
    pub sha256: Option<Digest>,
}

/// One stage of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageFacts {
    /// The stage's name.
    pub name: String,
    /// Wall seconds that it took in this run.
    pub seconds: f64,
    /// Whether its result came from the cache.
    pub cached: bool,
    /// One line for a person.
    pub summary: String,
}

/// One epoch of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochFacts {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Mean loss over the epoch's training rows.
    pub train_loss: f64,
    /// The primary metric over the epoch's training rows, where training counts it.
    pub train_score: Option<f64>,
    /// Loss on the validation split after the epoch.
    pub valid_loss: f64,
    /// The primary metric on the validation split.
    pub valid_score: f64,
    /// Learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Wall seconds of the epoch.
    pub seconds: f64,
    /// Seconds of them in which a training step waited for its batch.
    pub data_wait_seconds: f64,
}

/// One thing that a data check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindingFacts {
    /// What kind, for example `duplicate_rows`.
    pub kind: String,
    /// `info`, `warning` or `error`.
    pub severity: String,
    /// How many rows or files.
    pub count: u64,
    /// One sentence.
    pub message: String,
    /// A few places where it can be seen.
    pub evidence: Vec<String>,
}

/// Rows of one split before and after preparation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowCounts {
    /// As collected.
    pub before: u64,
    /// As used.
    pub after: u64,
}

/// The exported file against the trained network, on the same rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreementFacts {
    /// Rows compared.
    pub rows: u64,
    /// The largest absolute difference of any output.
    pub max_abs_difference: f64,
    /// Rows on which both name the same class.
    pub identical_argmax: u64,
}

/// One file of the package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFacts {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its hash.
    pub sha256: Digest,
}
