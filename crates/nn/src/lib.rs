//! The network as data, and everything that comes from it: shapes, a summary, a network that trains, safetensors
//! and ONNX.
//!
//! Tensors come in and go out on the host, as lepton-core's. Burn's own types stay inside this crate, so that the
//! backend can change without touching a caller. Loops over epochs, schedules and metrics are not here: they
//! are lepton-train's.

mod answering;
mod architecture;
mod batches;
mod export;
mod forward;
mod frozen;
mod hidden;
mod import;
mod initialize;
mod layers;
mod loss;
mod network;
mod node;
mod optimizer;
mod plan;
mod planned;
mod state;
mod summary;
mod trainer;
mod trim;
mod weighted_sum;
mod weights;

pub use answering::Answering;
pub use architecture::{Architecture, InputSpec};
pub use hidden::HiddenLoss;
pub use import::{Imported, import, import_encoder};
pub use layers::{
    Adapter, AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, BatchNorm, Centre, Columns, Concat, Conv1d, Conv2d,
    ConvTranspose2d, DenseBlock, DepthwiseConv2d, Dropout, Elu, Embedding, FeatureTokens, FeedForwardActivation,
    GroupNorm, Gru, InvertedResidualBlock, Layer, LayerNorm, LeakyRelu, Linear, Lstm, MaxPool1d, MaxPool2d,
    MultiHeadAttention, Padding, PositionKind, Positions, RandomConv1d, Reshape, ResidualBlock, ReverseNorm,
    ReversibleNorm, Rnn, SqueezeExcite, TimePadding, TransformerDecoder, TransformerEncoder, Trees, Upsample,
    UpsampleMode,
};
pub use lepton_kernels::Precision;
pub use loss::Loss;
pub use network::{Network, on_threads};
pub use node::Node;
pub use optimizer::{OptimizerKind, OptimizerSettings};
pub use planned::StepKind;
pub use summary::{Summary, SummaryRow};
pub use trainer::{StepOutcome, StepRows, Trainer, UpdateSettings};
pub use weighted_sum::Member;
