//! Transformer blocks, made of attention, dense layers and layer norms. Parts and parameters have the names of PyTorch's
//! `TransformerEncoderLayer` and `TransformerDecoderLayer`.

use super::normalization::{is_small, small};
use super::{Dropout, Kind, Layer, LayerNorm, MultiHeadAttention, Settings, yes};
use crate::Node;
use crate::plan::{config, shape_error};
use lepton_core::Result;
use serde::{Deserialize, Serialize};

/// The activation of a feed-forward network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedForwardActivation {
    /// As in the paper.
    Relu,
    /// As in BERT, GPT and ViT.
    #[default]
    Gelu,
}

impl FeedForwardActivation {
    fn layer(self) -> Layer {
        match self {
            FeedForwardActivation::Relu => Layer::Relu,
            FeedForwardActivation::Gelu => Layer::Gelu,
        }
    }
}

/// An encoder block (Vaswani and others 2017): `[time, features]` to the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransformerEncoder {
    /// Heads of the attention.
    pub heads: usize,
    /// Units of the feed-forward network.
    pub feed_forward: usize,
    /// Dropout behind attention, in the feed-forward network and behind it.
    #[serde(default)]
    pub dropout: f64,
    /// The activation between the two dense layers.
    #[serde(default)]
    pub activation: FeedForwardActivation,
    /// Whether layer norm comes first, inside of the residual paths, which trains more easily; else after each sum.
    #[serde(default = "yes")]
    pub norm_first: bool,
    /// Whether a place sees only itself and what comes before it.
    #[serde(default)]
    pub causal: bool,
    /// Added to the variance by both layer norms.
    #[serde(default = "small", skip_serializing_if = "is_usual")]
    pub epsilon: f64,
}

impl Settings for TransformerEncoder {
    const SETTINGS: &'static [&'static str] =
        &["heads", "feed_forward", "dropout", "activation", "norm_first", "causal", "epsilon"];
}

impl Kind for TransformerEncoder {
    fn expand(&self, inputs: &[&[usize]]) -> Result<Option<Vec<Node>>> {
        let mut parts = Parts::new(inputs[0], self.dropout, self.norm_first, self.epsilon)?;
        let attention = MultiHeadAttention { heads: self.heads, causal: self.causal, dropout: self.dropout };
        parts
            .branch("norm1", "dropout1", "sum1", |from| vec![Node::with_inputs("self_attn", attention.into(), [from])]);
        parts.feed_forward(self.feed_forward, self.activation, ["norm2", "dropout2", "sum2"])?;
        Ok(Some(parts.nodes))
    }
}

/// A decoder block (Vaswani and others 2017): `[time, features]` and a memory `[places, features]` to
/// `[time, features]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransformerDecoder {
    /// Heads of both attentions.
    pub heads: usize,
    /// Units of the feed-forward network.
    pub feed_forward: usize,
    /// Dropout behind each attention, in the feed-forward network and behind it.
    #[serde(default)]
    pub dropout: f64,
    /// The activation between the two dense layers.
    #[serde(default)]
    pub activation: FeedForwardActivation,
    /// Whether layer norm comes first, inside of the residual paths; else after each sum.
    #[serde(default = "yes")]
    pub norm_first: bool,
    /// Whether a place of the sequence sees only itself and what comes before it.
    #[serde(default = "yes")]
    pub causal: bool,
}

impl Settings for TransformerDecoder {
    const SETTINGS: &'static [&'static str] =
        &["heads", "feed_forward", "dropout", "activation", "norm_first", "causal"];
}

impl Kind for TransformerDecoder {
    fn expand(&self, inputs: &[&[usize]]) -> Result<Option<Vec<Node>>> {
        let mut parts = Parts::new(inputs[0], self.dropout, self.norm_first, small())?;
        let attention = |causal| MultiHeadAttention { heads: self.heads, causal, dropout: self.dropout };
        parts.branch("norm1", "dropout1", "sum1", |from| {
            vec![Node::with_inputs("self_attn", attention(self.causal).into(), [from])]
        });
        parts.branch("norm2", "dropout2", "sum2", |from| {
            vec![Node::with_inputs("multihead_attn", attention(false).into(), [from, "@1"])]
        });
        parts.feed_forward(self.feed_forward, self.activation, ["norm3", "dropout3", "sum3"])?;
        Ok(Some(parts.nodes))
    }

    fn inputs(&self) -> (usize, usize) {
        (2, 2)
    }
}

/// A block in the making.
struct Parts {
    nodes: Vec<Node>,
    /// What the next branch starts from.
    stream: String,
    features: usize,
    dropout: f64,
    norm_first: bool,
    epsilon: f64,
}

impl Parts {
    fn new(input: &[usize], dropout: f64, norm_first: bool, epsilon: f64) -> Result<Parts> {
        let [_, features] = *input else {
            return Err(shape_error(format!("it takes [time, features], not {input:?}")));
        };
        if !is_small(epsilon) {
            return Err(config(format!("epsilon {epsilon} is outside 0 to 1")));
        }
        Ok(Parts { nodes: Vec::new(), stream: "@0".to_owned(), features, dropout, norm_first, epsilon })
    }

    /// A residual path with what `inner` makes of the stream, its norm in front of it or behind the sum.
    fn branch(&mut self, norm: &str, dropout: &str, sum: &str, inner: impl FnOnce(&str) -> Vec<Node>) {
        let layer_norm = LayerNorm { epsilon: self.epsilon };
        let normal = |from: &str| Node::with_inputs(norm, layer_norm.clone().into(), [from]);
        let mut from = self.stream.clone();
        if self.norm_first {
            self.nodes.push(normal(&from));
            from = norm.to_owned();
        }
        self.nodes.extend(inner(&from));
        if self.dropout > 0.0 {
            self.nodes.push(Node::new(dropout, Dropout { p: self.dropout }.into()));
        }
        let last = self.nodes.last().map_or_else(String::new, |node| node.name.clone());
        self.nodes.push(Node::with_inputs(sum, Layer::Add, [self.stream.clone(), last]));
        self.stream = sum.to_owned();
        if !self.norm_first {
            self.nodes.push(normal(sum));
            self.stream = norm.to_owned();
        }
    }

    fn feed_forward(
        &mut self,
        units: usize,
        activation: FeedForwardActivation,
        [norm, dropout, sum]: [&str; 3],
    ) -> Result<()> {
        if units == 0 {
            return Err(config("feed_forward is 0".to_owned()));
        }
        let (features, p) = (self.features, self.dropout);
        self.branch(norm, dropout, sum, |from| {
            let mut nodes = vec![
                Node::with_inputs("linear1", Layer::linear(units), [from]),
                Node::new("activation", activation.layer()),
            ];
            if p > 0.0 {
                nodes.push(Node::new("dropout", Dropout { p }.into()));
            }
            nodes.push(Node::new("linear2", Layer::linear(features)));
            nodes
        });
        Ok(())
    }
}

/// Whether an epsilon is the default, which files leave out.
fn is_usual(epsilon: &f64) -> bool {
    *epsilon == small()
}
