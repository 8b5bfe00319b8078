//! Pooling on Burn tensors.

use burn::tensor::Tensor;
use burn::tensor::module::{avg_pool2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};

/// Max pooling of `[batch, channels, height, width]` with padding `[top, left, bottom, right]`.
pub(crate) fn max_pool(x: Tensor<4>, kernel: [usize; 2], stride: [usize; 2], edges: [usize; 4]) -> Tensor<4> {
    max_pool2d(x, MaxPoolOptions::new(kernel).with_stride(stride).with_padding_pairs(pairs(edges)))
}

/// Average pooling that does not count padded cells.
pub(crate) fn avg_pool(x: Tensor<4>, kernel: [usize; 2], stride: [usize; 2], edges: [usize; 4]) -> Tensor<4> {
    let mut options = AvgPoolOptions::new(kernel).with_stride(stride).with_padding_pairs(pairs(edges));
    options.count_include_pad = false;
    avg_pool2d(x, options)
}

/// `[top, left, bottom, right]` as Burn's (begin, end) per axis.
pub(crate) fn pairs([top, left, bottom, right]: [usize; 4]) -> [(usize, usize); 2] {
    [(top, bottom), (left, right)]
}
