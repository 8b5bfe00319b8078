//! Float32 kernels of a training step on the CPU: forward and backward passes of layers, and optimiser steps, over slices.
//!
//! Between kernels the rows of a batch lie in blocks of [`LANES`]: a value of shape `[channels]` is `[blocks, channels, 16]`,
//! a picture `[channels, height, width]` is `[blocks, height, width, channels, 16]` and a sequence `[time, features]` is
//! `[blocks, time, features, 16]`, where the last side runs over the rows of a block. So every product of a network has
//! contiguous vectors on one side and numbers that are spread on the other, windows need no copies, and functions of single
//! values need no remainder. Rows behind the last one of the batch are filled up: forward passes may leave anything finite
//! there, and gradients are 0.
//!
//! Products may be of bfloat16 numbers, see [`Precision`]; sums and all that kernels take and give are float32.
//!
//! [`Workers`] are the threads. Each kernel cuts its work into the same parts for the same threads, so that with a fixed
//! number of threads results repeat to the bit. Nothing here knows a network; lepton-nn does.

#![allow(clippy::collapsible_match, reason = "a guard is compiled for instances that never take its arm")]

mod activation;
mod attention;
mod batch_norm;
mod blocks;
mod ceiling;
mod channels;
mod conv;
mod cross_entropy;
mod embedding;
mod feature_tokens;
mod group_norm;
mod layer_norm;
mod linear;
mod math;
mod optimizer;
mod over_time;
mod parts;
mod pooling;
mod precision;
mod raw;
mod recurrent;
mod resample;
mod simple;
mod tile;
mod window_norm;

pub use activation::Activation;
pub use attention::Attention;
pub use batch_norm::{BatchNorm, Moments};
pub use blocks::{from_pictures, from_rows, to_rows};
pub use ceiling::Ceiling;
pub use channels::{channel_sums, fill_channels, scale_channels, scale_channels_gradient};
pub use conv::{Conv, Depthwise, GroupedConv, PooledConv};
pub use cross_entropy::CrossEntropy;
pub use embedding::Embedding;
pub use feature_tokens::FeatureTokens;
pub use group_norm::GroupNorm;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use optimizer::Rule;
pub use over_time::{OverTime, add_table, copy_part};
pub use pooling::{MaxPool, global_mean, global_mean_backward};
pub use precision::Precision;
pub use raw::{Level, Workers};
pub use recurrent::{Cell, Recurrent, RecurrentMemory};
pub use resample::Resample;
pub use simple::{add, flatten, in_parts, mask_relu, product_of, relu, scale_by, squares, sum_of, unflatten};
pub use window_norm::WindowNorm;

/// Rows of a batch that lie beside each other.
pub const LANES: usize = 16;

/// Blocks of so many rows.
pub fn blocks(rows: usize) -> usize {
    rows.div_ceil(LANES)
}
