//! The manifest of a model package: the waist of the hourglass. Everything above it (training) can change
//! without touching what is below it (serving).

use crate::{Decoder, Digest, Metrics, MetricsBySplit, Schema, Seed, Signature, TaskKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The manifest format of this build. A reader refuses a larger one.
pub const MANIFEST_VERSION: u32 = 2;

/// `manifest.json` of a model package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`] of the writer.
    pub manifest_version: u32,
    /// The model's name.
    pub name: String,
    /// What kind of problem it answers; `None` for a foreign ONNX file.
    pub task: Option<TaskKind>,
    /// The raw columns that a person hands in (without the target).
    pub inputs: Schema,
    /// The tensors of the served ONNX file.
    pub signature: Signature,
    /// From output tensors to answers.
    pub decoder: Decoder,
    /// The file in this package that is served: `model.onnx` or `model.int8.onnx`.
    pub served: String,
    /// Metrics by split of the served file.
    pub metrics: MetricsBySplit,
    /// What optimize measured and decided; `None` when it did not run.
    pub int8: Option<Int8Verdict>,
    /// Which engine ran the served file fastest where it was made; `None` for a foreign ONNX file and in version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineChoice>,
    /// Where it all came from; `None` for a foreign ONNX file.
    pub lineage: Option<Lineage>,
    /// Every other file of the package, by name.
    pub files: BTreeMap<String, FileEntry>,
}

/// One file of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its length.
    pub bytes: u64,
    /// Its hash.
    pub sha256: Digest,
}

/// Where a model came from: enough to make it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lineage {
    /// Name of the dataset.
    pub dataset: String,
    /// Hash of the dataset version.
    pub dataset_sha256: Digest,
    /// Hash of the prepared dataset.
    pub prepared_sha256: Digest,
    /// Hash of recipe.json.
    pub recipe_sha256: Digest,
    /// Hash of the settings that were in force.
    pub settings_sha256: Digest,
    /// The seed of every random choice.
    pub seed: Seed,
    /// The command as typed.
    pub command: String,
    /// The run that made it.
    pub run: String,
    /// When, RFC 3339 in UTC.
    pub created: String,
    /// On what.
    pub environment: Environment,
}

/// The machine and the versions behind a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Version of Lepton.
    pub lepton: String,
    /// Operating system and architecture, `linux x86_64`.
    pub system: String,
    /// The processor's own name.
    pub processor: String,
    /// Threads that training used.
    pub threads: usize,
    /// What trained, `burn 0.22.1 flex (cpu)`.
    pub backend: String,
}

/// What one ONNX file weighs and does on this machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// The file's length.
    pub bytes: u64,
    /// Median seconds for one row.
    pub seconds_batch_1: f64,
    /// Median seconds for eight rows.
    pub seconds_batch_8: f64,
    /// Metrics on the split that decides (valid).
    pub metrics: Metrics,
}

/// The engine that a model is served with where that engine is found, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineChoice {
    /// Its name.
    pub engine: String,
    /// One sentence with the figures that decided.
    pub reason: String,
    /// The processor that it was measured on.
    pub processor: String,
    /// Every engine of that machine that loads the model; one alone is not timed.
    pub measured: Vec<EngineTime>,
}

/// How fast an engine runs a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineTime {
    /// Its name.
    pub engine: String,
    /// The version of the library that computes.
    pub version: String,
    /// Median seconds for one row.
    pub seconds_batch_1: f64,
    /// Median seconds for eight rows.
    pub seconds_batch_8: f64,
}

/// Whether INT8 is served, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Int8Verdict {
    /// Whether INT8 is what is served.
    pub kept: bool,
    /// One sentence with the figures that decided.
    pub reason: String,
    /// The engine that measured.
    pub engine: String,
    /// The largest accuracy loss that was allowed.
    pub accuracy_budget: f64,
    /// The float file.
    pub float32: Measurement,
    /// The INT8 file.
    pub int8: Measurement,
}
