//! The kinds of layers: one file per family, and in it everything that a kind is: its settings as they stand in
//! `lepton.toml` and `architecture.json`, the shapes that it takes and gives, its parameters and cost, what it computes,
//! and what it becomes in ONNX. A kind is a struct that is a [`Kind`], and one line in the table below.
//!
//! Shapes in docs leave out the batch, which always comes first: `[features]` is a row, `[time, features]` a sequence,
//! `[channels, height, width]` a picture.

mod activation;
mod attention;
mod blocks;
mod convolution;
mod dense;
mod dropout;
mod embedding;
mod join;
mod normalization;
mod padding;
mod pooling;
mod random_convolution;
pub(crate) mod recurrent;
mod reshape;
mod reversible;
mod transformer;
mod trees;
mod window;

pub use activation::{Elu, LeakyRelu};
pub use attention::MultiHeadAttention;
pub use blocks::{DenseBlock, InvertedResidualBlock, ResidualBlock, SqueezeExcite};
pub use convolution::{Conv1d, Conv2d, ConvTranspose2d, DepthwiseConv2d};
pub use dense::{Adapter, Linear};
pub use dropout::Dropout;
pub use embedding::{Columns, Embedding, FeatureTokens, PositionKind, Positions};
pub use join::Concat;
pub use normalization::{BatchNorm, GroupNorm, LayerNorm};
pub use padding::{Padding, TimePadding};
pub use pooling::{AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d};
pub use random_convolution::RandomConv1d;
pub use recurrent::{Gru, Lstm, Rnn};
pub use reshape::{Reshape, Upsample, UpsampleMode};
pub use reversible::{Centre, ReverseNorm, ReversibleNorm};
pub use transformer::{FeedForwardActivation, TransformerDecoder, TransformerEncoder};
pub use trees::Trees;

use crate::Node;
use crate::export::Export;
use crate::forward::{Running, Value};
use crate::plan::Planning;
use lepton_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a kind of layer does. A block has [`Kind::expand`], everything else the first three.
pub(crate) trait Kind {
    /// The shape of one output row; adds parameters and FLOPs to `node`.
    fn plan(&self, _node: &mut Planning<'_>) -> Result<Vec<usize>> {
        Err(Error::internal("a block was planned as a layer"))
    }

    /// The outputs of a batch.
    fn forward(&self, _node: &mut Running<'_>, _inputs: Vec<Value>) -> Result<Value> {
        Err(Error::internal("a block was computed as a layer"))
    }

    /// The ONNX nodes, the last of which gives `node.output`; `inputs` are names of values.
    fn export(&self, _node: &mut Export<'_, '_>, _inputs: Vec<String>) -> Result<()> {
        Err(Error::internal("a block was exported as a layer"))
    }

    /// The layers that a block stands for, given the shapes of its inputs. They name these as `@0` and `@1`; the last
    /// one's output is the block's.
    fn expand(&self, _inputs: &[&[usize]]) -> Result<Option<Vec<Node>>> {
        Ok(None)
    }

    /// How many inputs it takes, at least and at most.
    fn inputs(&self) -> (usize, usize) {
        (1, 1)
    }

    /// Whether it computes something else where sequences in a batch end at different times.
    fn uses_lengths(&self) -> bool {
        false
    }

    /// Whether it tells where sequences end.
    fn gives_lengths(&self) -> bool {
        false
    }

    /// Whether each place of a sequence that it gives follows from that place of its inputs alone.
    fn is_local(&self) -> bool {
        false
    }
}

/// Implements a kind's settings list, which readers check keys against.
pub(crate) trait Settings {
    /// The keys beside `kind`, `name` and `inputs`.
    const SETTINGS: &'static [&'static str];
}

macro_rules! layers {
    (
        with settings { $( $(#[$doc:meta])* $name:ident = $kind:literal, )* }
        plain { $( $(#[$plain_doc:meta])* $plain:ident = $plain_kind:literal => $does:expr, )* }
    ) => {
        /// One layer.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        pub enum Layer {
            $( $(#[$doc])* #[serde(rename = $kind)] $name($name), )*
            $( $(#[$plain_doc])* #[serde(rename = $plain_kind)] $plain, )*
        }

        impl Layer {
            /// Every kind and its settings.
            pub(crate) const KINDS: &'static [(&'static str, &'static [&'static str])] = &[
                $( ($kind, <$name as Settings>::SETTINGS), )*
                $( ($plain_kind, &[]), )*
            ];

            /// The name in `lepton.toml`, `conv2d`.
            pub fn kind(&self) -> &'static str {
                match self {
                    $( Layer::$name(_) => $kind, )*
                    $( Layer::$plain => $plain_kind, )*
                }
            }

            pub(crate) fn does(&self) -> &dyn Kind {
                match self {
                    $( Layer::$name(settings) => settings, )*
                    $( Layer::$plain => &$does, )*
                }
            }
        }

        $( impl From<$name> for Layer {
            fn from(settings: $name) -> Layer {
                Layer::$name(settings)
            }
        } )*
    };
}

layers! {
    with settings {
    /// A 1-D convolution over time: `[time, channels]` to `[time', out_channels]`.
    Conv1d = "conv1d",
    /// A 2-D convolution: `[channels, height, width]` to `[out_channels, height', width']`.
    Conv2d = "conv2d",
    /// A 2-D convolution of each channel by itself.
    DepthwiseConv2d = "depthwise_conv2d",
    /// The transpose of a 2-D convolution, which makes pictures larger.
    ConvTranspose2d = "conv_transpose2d",
    /// Normalisation by the statistics of the batch.
    BatchNorm = "batch_norm",
    /// Normalisation of each row or time by itself.
    LayerNorm = "layer_norm",
    /// Normalisation over groups of channels.
    GroupNorm = "group_norm",
    /// A window less its centre, over its deviation.
    ReversibleNorm = "reversible_norm",
    /// What was made of such a window, back in its unit.
    ReverseNorm = "reverse_norm",
    /// The largest value of each window of time.
    MaxPool1d = "max_pool1d",
    /// The mean of each window of time.
    AvgPool1d = "avg_pool1d",
    /// The largest value of each window.
    MaxPool2d = "max_pool2d",
    /// The mean of each window.
    AvgPool2d = "avg_pool2d",
    /// Means over a grid of a fixed size.
    AdaptiveAvgPool2d = "adaptive_avg_pool2d",
    /// A dense layer over the last side.
    Linear = "linear",
    /// max(x, 0) + slope · min(x, 0).
    LeakyRelu = "leaky_relu",
    /// x above 0, alpha · (exp(x) - 1) below.
    Elu = "elu",
    /// Zeroes values in training.
    Dropout = "dropout",
    /// Some columns of a table row.
    Columns = "columns",
    /// A vector for each code.
    Embedding = "embedding",
    /// A vector for each number of a row.
    FeatureTokens = "feature_tokens",
    /// Tells each place of a sequence where it is.
    Positions = "positions",
    /// A recurrent network with tanh.
    Rnn = "rnn",
    /// Long short-term memory.
    Lstm = "lstm",
    /// Gated recurrent units.
    Gru = "gru",
    /// Attention of each place to all places.
    MultiHeadAttention = "multi_head_attention",
    /// Attention and a feed-forward network, both with a residual path.
    TransformerEncoder = "transformer_encoder",
    /// Self-attention, attention to a memory, and a feed-forward network, each with a residual path.
    TransformerDecoder = "transformer_decoder",
    /// Two convolutions beside a shortcut.
    ResidualBlock = "residual_block",
    /// Convolutions of which each sees all before it.
    DenseBlock = "dense_block",
    /// A narrow, a depthwise and a narrow convolution beside a shortcut.
    InvertedResidualBlock = "inverted_residual_block",
    /// Weighs channels by what the whole picture holds.
    SqueezeExcite = "squeeze_excite",
    /// Joins inputs along one side.
    Concat = "concat",
    /// The same values in another shape.
    Reshape = "reshape",
    /// A picture enlarged by a whole number.
    Upsample = "upsample",
    /// Random kernels over a series that are never learned.
    RandomConv1d = "random_conv1d",
    /// Decision trees, summed.
    Trees = "trees",
    }
    plain {
    /// The mean over all places: `[channels, height, width]` to `[channels]`, `[time, features]` to `[features]`
    /// (places after the end of a sequence are not counted).
    GlobalAvgPool = "global_avg_pool" => pooling::Global::Mean,
    /// The largest value over all places, shapes as [`Layer::GlobalAvgPool`].
    GlobalMaxPool = "global_max_pool" => pooling::Global::Largest,
    /// The last place of each sequence: `[time, features]` to `[features]`.
    LastStep = "last_step" => pooling::LastStep,
    /// Any shape to one side, row-major.
    Flatten = "flatten" => reshape::Flatten,
    /// A picture's places as a sequence: `[channels, height, width]` to `[height · width, channels]`.
    ToSequence = "to_sequence" => reshape::ToSequence,
    /// max(x, 0).
    Relu = "relu" => activation::Function::Relu,
    /// min(max(x, 0), 6).
    Relu6 = "relu6" => activation::Function::Relu6,
    /// x times the normal distribution function of x, exact (erf).
    Gelu = "gelu" => activation::Function::Gelu,
    /// x · sigmoid(x), also known as swish.
    Silu = "silu" => activation::Function::Silu,
    /// x · tanh(softplus(x)).
    Mish = "mish" => activation::Function::Mish,
    /// The scaled ELU of self-normalising networks.
    Selu = "selu" => activation::Function::Selu,
    /// log(1 + exp(x)).
    Softplus = "softplus" => activation::Function::Softplus,
    /// 1 / (1 + exp(-x)).
    Sigmoid = "sigmoid" => activation::Function::Sigmoid,
    /// min(max(x / 6 + 1 / 2, 0), 1).
    HardSigmoid = "hard_sigmoid" => activation::Function::HardSigmoid,
    /// x times the hard sigmoid of x.
    HardSwish = "hard_swish" => activation::Function::HardSwish,
    /// The hyperbolic tangent.
    Tanh = "tanh" => activation::Function::Tanh,
    /// Probabilities over the last side.
    Softmax = "softmax" => activation::Softmax,
    /// The sum of two or more inputs of one shape: what closes a residual branch.
    Add = "add" => join::Add,
    /// The product of two inputs of one shape, or of a picture and one number for each of its channels.
    Mul = "mul" => join::Mul,
    }
}

impl Layer {
    /// A square convolution with stride 1, no padding and a bias; for zoos and tests.
    pub fn conv2d(out_channels: usize, kernel: usize) -> Layer {
        Conv2d::new(out_channels, kernel).into()
    }

    /// Square max pooling without overlap.
    pub fn max_pool2d(kernel: usize) -> Layer {
        MaxPool2d { kernel: [kernel; 2], stride: None, padding: Padding::Valid }.into()
    }

    /// A dense layer with a bias.
    pub fn linear(units: usize) -> Layer {
        Linear::new(units, true).into()
    }

    /// Batch normalisation with the usual momentum 0.1 and epsilon 1e-5.
    pub fn batch_norm() -> Layer {
        BatchNorm::default().into()
    }

    /// Dropout with probability `p`.
    pub fn dropout(p: f64) -> Layer {
        Dropout { p }.into()
    }

    /// Joins inputs along the side `axis` of a row.
    pub fn concat(axis: usize) -> Layer {
        Concat { axis }.into()
    }
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}
