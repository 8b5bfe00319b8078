//! The Architecture: a network as a named, serialisable graph of layers. It holds no numbers that training
//! learns; those are in the safetensors file beside it.

use crate::plan::{self, Plan};
use crate::{Node, Summary};
use lepton_core::{DType, Digest, Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What goes into a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// The name that branches use for it. In ONNX it is always `input`.
    pub name: String,
    /// The shape of one row, without the batch.
    pub shape: Vec<usize>,
    /// `float32`, or `int64` for codes that go into an embedding.
    pub dtype: DType,
    /// Whether the first side, the time of a sequence, may have any length: then `shape` says the one of training, and
    /// the ONNX file has a free time axis.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub free_length: bool,
}

impl InputSpec {
    /// A float32 input called `input`.
    pub fn float32(shape: impl Into<Vec<usize>>) -> InputSpec {
        InputSpec { name: "input".to_owned(), shape: shape.into(), dtype: DType::Float32, free_length: false }
    }

    /// An int64 input of that many codes a row, called `input`; sequences of any length where `free_length` is set.
    pub fn codes(time: usize, free_length: bool) -> InputSpec {
        InputSpec { name: "input".to_owned(), shape: vec![time], dtype: DType::Int64, free_length }
    }
}

/// A network as data. The last node's output is the network's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// What people call it, `worked-example`.
    pub name: String,
    /// What goes in.
    pub input: InputSpec,
    /// The layers; each takes the output of the one before unless it names its inputs.
    pub layers: Vec<Node>,
}

impl Architecture {
    /// An Architecture in which every node without a name gets one: its kind and a number, `conv2d_1`.
    pub fn new(name: impl Into<String>, input: InputSpec, mut layers: Vec<Node>) -> Architecture {
        let mut counts = BTreeMap::new();
        for index in 0..layers.len() {
            let kind = layers[index].layer.kind();
            while layers[index].name.is_empty() {
                let count = counts.entry(kind).or_insert(0u32);
                *count += 1;
                let candidate = format!("{kind}_{count}");
                if !layers.iter().any(|node| node.name == candidate) {
                    layers[index].name = candidate;
                }
            }
        }
        Architecture { name: name.into(), input, layers }
    }

    /// Checks names, connections, settings and shapes.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] or [`ErrorCode::Shape`], with the layer as the place.
    pub fn validate(&self) -> Result<()> {
        self.plan().map(drop)
    }

    /// Each layer's name and output shape (without the batch), in order.
    ///
    /// # Errors
    /// As [`Architecture::validate`].
    pub fn shapes(&self) -> Result<Vec<(String, Vec<usize>)>> {
        Ok(self.plan()?.nodes.into_iter().map(|node| (node.name, node.shape)).collect())
    }

    /// The shape of one output row.
    ///
    /// # Errors
    /// As [`Architecture::validate`].
    pub fn output_shape(&self) -> Result<Vec<usize>> {
        Ok(self.plan()?.output_shape().to_vec())
    }

    /// The table of layers, output shapes, parameters and FLOPs.
    ///
    /// # Errors
    /// As [`Architecture::validate`].
    pub fn summary(&self) -> Result<Summary> {
        Ok(Summary::of(self, &self.plan()?))
    }

    /// `architecture.json`.
    ///
    /// # Errors
    /// [`ErrorCode::Internal`] only.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|source| Error::internal(format!("architecture.json: {source}")))
    }

    /// Reads and checks `architecture.json`.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] for what is not an Architecture, and those of [`Architecture::validate`].
    pub fn from_json(bytes: &[u8]) -> Result<Architecture> {
        let architecture: Architecture = serde_json::from_slice(bytes).map_err(|source| {
            Error::new(ErrorCode::BadData, format!("not an architecture: {source}")).caused_by(source)
        })?;
        architecture.validate()?;
        Ok(architecture)
    }

    /// The hash of the Architecture: what a checkpoint is tied to.
    ///
    /// # Errors
    /// [`ErrorCode::Internal`] only.
    pub fn digest(&self) -> Result<Digest> {
        Digest::of_json(self)
    }

    pub(crate) fn plan(&self) -> Result<Plan> {
        plan::plan(self)
    }
}
