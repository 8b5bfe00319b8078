//! Operations of the planned step that look at pictures through windows, or at channels by groups: from layers to
//! operations, and what each does on the way forward and back.

use super::compile::{Back, Compiler, Op, refused};
use super::pass::{Backward, Forward, pair};
use super::sequence;
use crate::plan::PlannedNode;
use crate::{Conv2d, Layer, MaxPool2d};
use lepton_core::{Error, Result};
use lepton_kernels as kernels;
use std::mem::take;

/// One operation; what its fields mean is as in [`super::compile::Op`].
#[derive(Clone, Debug)]
pub(super) struct PictureOp {
    /// Values, with what happens to their gradients.
    pub(super) inputs: Vec<(usize, Back)>,
    pub(super) y: usize,
    pub(super) does: Does,
}

#[derive(Clone, Debug)]
pub(super) enum Does {
    Depthwise { sizes: kernels::Depthwise, weight: usize, bias: Option<usize>, relu: bool },
}

impl PictureOp {
    /// Whether it reads its inputs, and its output, on the way back.
    pub(super) fn reads_back(&self) -> [bool; 2] {
        match self.does {
            Does::Depthwise { relu, .. } => [true, relu],
        }
    }

    /// Numbers of scratch memory.
    pub(super) fn scratch(&self) -> usize {
        match self.does {
            Does::Depthwise { sizes, .. } => sizes.weights(),
        }
    }

    pub(super) fn forward(&self, at: &mut Forward<'_>) {
        // The output is taken out while inputs are read.
        let mut to = take(&mut at.values[self.y]);
        let Forward { workers, own, values, scratch, .. } = at;
        let x = &values[self.inputs[0].0];
        match self.does {
            Does::Depthwise { sizes, weight, bias, relu } => {
                sizes.pack(workers, own.of(weight), scratch);
                sizes.forward(workers, x, scratch, bias.map(|bias| own.of(bias)), relu, &mut to);
            }
        }
        at.values[self.y] = to;
    }

    pub(super) fn backward(&self, at: &mut Backward<'_>) -> Result<()> {
        // The gradient of the output is taken out while those of inputs are written.
        let mut dy = take(&mut at.slopes[self.y]);
        let Backward { workers, own, values, slopes, gradients, ranges, scratch, .. } = at;
        let (x, back) = self.inputs[0];
        match self.does {
            Does::Depthwise { sizes, weight, bias, relu } => {
                if relu {
                    kernels::mask_relu(workers, &values[self.y], &mut dy);
                }
                let (dw, db) = pair(gradients, ranges, weight, bias);
                sizes.backward_weights(workers, &values[x], &dy, dw, db);
                if back != Back::None {
                    sizes.pack(workers, own.of(weight), scratch);
                    sizes.backward_input(workers, &dy, scratch, back == Back::Add, &mut slopes[x]);
                }
            }
        }
        at.slopes[self.y] = dy;
        Ok(())
    }
}

impl Compiler<'_> {
    /// As [`Compiler::node`], for layers that look at pictures through windows, or what has no kernel.
    pub(super) fn picture_node(&mut self, node: &PlannedNode, inputs: &[usize], parameter: usize) -> Result<usize> {
        match &node.layer {
            Layer::DepthwiseConv2d(settings) => {
                let settings = settings.over(node.input_shape[0])?;
                let sizes = conv(node, &settings)?;
                self.groups(node, inputs[0], sizes, settings.groups, parameter, settings.bias)
            }
            Layer::Conv2d(settings) => {
                self.groups(node, inputs[0], conv(node, settings)?, settings.groups, parameter, settings.bias)
            }
            Layer::Conv1d(settings) => {
                let sizes = sequence::conv(node, settings)?;
                self.groups(node, inputs[0], sizes, settings.groups, parameter, settings.bias)
            }
            layer => Err(refused(&format!("{} with these settings has no kernel", layer.kind()))),
        }
    }

    /// A convolution in groups of channels; `sizes` are those of all of them together.
    fn groups(
        &mut self,
        node: &PlannedNode,
        x: usize,
        sizes: kernels::Conv,
        groups: usize,
        weight: usize,
        bias: bool,
    ) -> Result<usize> {
        let kernels::Conv { channels, sides, out_channels, kernel, stride, dilation, before, out_sides } = sizes;
        if groups != channels {
            return Err(refused(&format!("{} with these settings has no kernel", node.layer.kind())));
        }
        let multiplier = out_channels / channels;
        let sizes = kernels::Depthwise { channels, multiplier, sides, kernel, stride, dilation, before, out_sides };
        let places = out_sides[0] * out_sides[1];
        let y = match self.shape(x).by_place {
            true => self.add_sequence(places, out_channels),
            false => self.add(out_channels, places),
        };
        let does = Does::Depthwise { sizes, weight, bias: bias.then_some(weight + 1), relu: false };
        self.add_op(Op::Picture(PictureOp { inputs: vec![(x, Back::None)], y, does }));
        Ok(y)
    }
}

/// The convolution as one of all channels, whatever its groups.
pub(super) fn conv(node: &PlannedNode, settings: &Conv2d) -> Result<kernels::Conv> {
    let Conv2d { out_channels, kernel, stride, padding, dilation, .. } = *settings;
    let ([channels, sides @ ..], [_, out_sides @ ..]) = pictures(node)?;
    let [top, left, ..] = padding.edges(sides, kernel, stride, dilation);
    Ok(kernels::Conv { channels, sides, out_channels, kernel, stride, dilation, before: [top, left], out_sides })
}

pub(super) fn max_pool(node: &PlannedNode, settings: &MaxPool2d) -> Result<kernels::MaxPool> {
    let (kernel, stride) = (settings.kernel, settings.stride.unwrap_or(settings.kernel));
    let ([channels, sides @ ..], [_, out_sides @ ..]) = pictures(node)?;
    let [top, left, ..] = settings.padding.edges(sides, kernel, stride, [1, 1]);
    Ok(kernels::MaxPool { channels, sides, kernel, stride, before: [top, left], out_sides })
}

/// What goes in and what comes out.
fn pictures(node: &PlannedNode) -> Result<([usize; 3], [usize; 3])> {
    let picture = |shape: &[usize]| shape.try_into().map_err(|_| Error::internal("no picture in front of a window"));
    Ok((picture(&node.input_shape)?, picture(&node.shape)?))
}
