//! How windows slide over pictures and sequences, for convolutions and pools.

use super::{Padding, TimePadding};
use crate::plan::{config, shape_error};
use lepton_core::Result;
use lepton_onnx::NodeProto;

/// More than any kernel, stride, dilation or padding has.
const MOST: usize = 1 << 16;

/// How many windows fit along both sides of a picture.
pub(super) fn windows(
    sides: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
) -> Result<[usize; 2]> {
    if [kernel, stride, dilation].iter().flatten().any(|&value| value == 0 || value > MOST) {
        return Err(config(format!("kernel, stride and dilation are 1 to {MOST}")));
    }
    let edges = padding.edges(sides, kernel, stride, dilation);
    if edges.iter().any(|&edge| edge > MOST) {
        return Err(config(format!("padding {edges:?} is past {MOST}")));
    }
    let mut counts = [0; 2];
    for axis in 0..2 {
        let span = dilation[axis] * (kernel[axis] - 1) + 1;
        let padded = sides[axis] + edges[axis] + edges[axis + 2];
        if span > padded {
            return Err(shape_error(format!(
                "a window of {kernel:?} (dilation {dilation:?}) does not fit into {sides:?} with padding {edges:?}"
            )));
        }
        counts[axis] = (padded - span) / stride[axis] + 1;
    }
    Ok(counts)
}

/// How many windows fit along a sequence.
pub(super) fn time_windows(
    time: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    padding: TimePadding,
) -> Result<usize> {
    if [kernel, stride, dilation].iter().any(|&value| value == 0 || value > MOST) {
        return Err(config(format!("kernel, stride and dilation are 1 to {MOST}")));
    }
    let [before, after] = padding.edges(time, kernel, stride, dilation);
    if before.max(after) > MOST * MOST {
        return Err(config(format!("padding {before}, {after} is past {}", MOST * MOST)));
    }
    let span = dilation * (kernel - 1) + 1;
    let padded = time + before + after;
    if span > padded {
        return Err(shape_error(format!(
            "a window of {kernel} (dilation {dilation}) does not fit into {time} with padding {before}, {after}"
        )));
    }
    Ok((padded - span) / stride + 1)
}

/// Adds a window's attributes; ONNX orders pads as `[top, left, bottom, right]`, as we do.
pub(super) fn window(node: NodeProto, kernel: &[usize], stride: &[usize], edges: &[usize]) -> NodeProto {
    let ints = |values: &[usize]| values.iter().map(|&value| value as i64).collect::<Vec<_>>();
    node.ints("kernel_shape", ints(kernel)).ints("strides", ints(stride)).ints("pads", ints(edges))
}

/// `[top, left, bottom, right]` as Burn's (begin, end) per axis.
pub(super) fn pairs([top, left, bottom, right]: [usize; 4]) -> [(usize, usize); 2] {
    [(top, bottom), (left, right)]
}
