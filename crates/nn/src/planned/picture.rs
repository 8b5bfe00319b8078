//! Operations of the planned step that look at pictures or series through windows, at channels by groups, or at where values
//! lie: from layers to operations, and what each does on the way forward and back.

use super::compile::{Back, Compiler, Op, Value, refused};
use super::pass::{Backward, Forward, pair, put, two};
use super::sequence;
use crate::layers::{Centre, UpsampleMode};
use crate::plan::PlannedNode;
use crate::{Conv2d, ConvTranspose2d, Layer, TimePadding};
use lepton_core::{Error, Result};
use lepton_kernels::{self as kernels, Resample, WindowNorm};
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
    Depthwise {
        sizes: kernels::Depthwise,
        weight: usize,
        bias: Option<usize>,
        relu: bool,
    },
    Grouped {
        sizes: kernels::GroupedConv,
        weight: usize,
        bias: Option<usize>,
    },
    /// `sizes` are those of the convolution that it is the transpose of: from what comes out to what goes in.
    Transposed {
        sizes: kernels::Conv,
        weight: usize,
        bias: Option<usize>,
    },
    Resample {
        forward: Resample,
        back: Resample,
    },
    GroupNorm {
        sizes: kernels::GroupNorm,
        weight: usize,
        moments: usize,
    },
    /// A window of the network's input, by its own level and spread.
    WindowNorm {
        sizes: WindowNorm,
        moments: usize,
    },
    /// The first input by level and spread of the second, which is such a window.
    ReverseNorm {
        sizes: WindowNorm,
        moments: usize,
    },
    /// Two inputs of one shape.
    Product,
    /// A picture and a number for each of its channels.
    ScaleChannels,
    Copy,
    /// A row of numbers, channel by channel, as a picture.
    Unflatten,
}

impl PictureOp {
    /// Whether it reads its inputs, and its output, on the way back.
    pub(super) fn reads_back(&self) -> [bool; 2] {
        match self.does {
            Does::Depthwise { relu, .. } => [true, relu],
            Does::Resample { .. } | Does::WindowNorm { .. } | Does::ReverseNorm { .. } => [false, false],
            Does::Copy | Does::Unflatten => [false, false],
            _ => [true, false],
        }
    }

    /// Numbers of scratch memory for so many blocks.
    pub(super) fn scratch(&self, blocks: usize) -> usize {
        match self.does {
            Does::Depthwise { sizes, .. } => sizes.weights(),
            Does::Grouped { sizes, .. } => sizes.scratch(blocks),
            Does::Transposed { sizes, .. } => sizes.scratch(blocks).max(sizes.weights()),
            _ => 0,
        }
    }

    pub(super) fn forward(&self, at: &mut Forward<'_>) {
        // The output is taken out while inputs are read.
        let mut to = take(&mut at.values[self.y]);
        let Forward { workers, own, values, scratch, shapes, .. } = at;
        let first = self.inputs[0].0;
        match &self.does {
            Does::Depthwise { sizes, weight, bias, relu } => {
                sizes.pack(workers, own.of(*weight), scratch);
                sizes.forward(workers, &values[first], scratch, bias.map(|bias| own.of(bias)), *relu, &mut to);
            }
            Does::Grouped { sizes, weight, bias } => {
                let bias = bias.map(|bias| own.of(bias));
                sizes.forward(workers, &values[first], own.of(*weight), bias, false, scratch, &mut to);
            }
            Does::Transposed { sizes, weight, bias } => {
                if let Some(bias) = bias {
                    kernels::fill_channels(workers, own.of(*bias), &mut to);
                }
                sizes.pack_backward(workers, own.of(*weight), scratch);
                sizes.backward_input(workers, &values[first], scratch, bias.is_some(), &mut to);
            }
            Does::Resample { forward, .. } => forward.forward(workers, &values[first], false, &mut to),
            Does::GroupNorm { sizes, weight, moments } => {
                let mut kept = take(&mut values[*moments]);
                let (weight, bias) = (own.of(*weight), own.of(*weight + 1));
                sizes.forward(workers, &values[first], weight, bias, &mut to, &mut kept);
                values[*moments] = kept;
            }
            Does::WindowNorm { sizes, moments } => {
                let mut kept = take(&mut values[*moments]);
                sizes.moments(workers, &values[first], &mut kept);
                sizes.forward(workers, &values[first], &kept, &mut to);
                values[*moments] = kept;
            }
            Does::ReverseNorm { sizes, moments } => {
                let mut kept = take(&mut values[*moments]);
                sizes.moments(workers, &values[self.inputs[1].0], &mut kept);
                WindowNorm::reverse(workers, &values[first], &kept, shapes[first].size(), &mut to);
                values[*moments] = kept;
            }
            Does::Product => {
                kernels::product_of(workers, &values[first], &values[self.inputs[1].0], false, &mut to);
            }
            Does::ScaleChannels => {
                let (Value { channels, places, .. }, factors) = (shapes[first], &values[self.inputs[1].0]);
                kernels::scale_channels(workers, &values[first], factors, channels, places, false, &mut to);
            }
            Does::Copy => to.copy_from_slice(&values[first]),
            Does::Unflatten => {
                let Value { channels, places, .. } = shapes[self.y];
                kernels::unflatten(workers, &values[first], channels, places, false, &mut to);
            }
        }
        at.values[self.y] = to;
    }

    pub(super) fn backward(&self, at: &mut Backward<'_>) -> Result<()> {
        let Backward { workers, own, values, slopes, gradients, ranges, scratch, shapes, .. } = at;
        let (x, back) = self.inputs[0];
        let add = back == Back::Add;
        match &self.does {
            Does::Depthwise { sizes, weight, bias, relu } => {
                let (dy, dx) = two(slopes, self.y, x)?;
                if *relu {
                    kernels::mask_relu(workers, &values[self.y], dy);
                }
                let (dw, db) = pair(gradients, ranges, *weight, *bias);
                sizes.backward_weights(workers, &values[x], dy, dw, db);
                if back != Back::None {
                    sizes.pack(workers, own.of(*weight), scratch);
                    sizes.backward_input(workers, dy, scratch, add, dx);
                }
            }
            Does::Grouped { sizes, weight, bias } => {
                let (dy, dx) = two(slopes, self.y, x)?;
                let (dw, db) = pair(gradients, ranges, *weight, *bias);
                // Of the network's input there is no gradient: an empty one is not written.
                sizes.backward(workers, &values[x], own.of(*weight), dy, scratch, dw, db, add, dx);
            }
            Does::Transposed { sizes, weight, bias } => {
                let (dy, dx) = two(slopes, self.y, x)?;
                let (dw, db) = pair(gradients, ranges, *weight, *bias);
                if let Some(db) = db {
                    kernels::channel_sums(workers, dy, db);
                }
                // The convolution goes from the gradients of outputs to those of inputs.
                let mut to = take(&mut values[x]);
                sizes.backward_weights(workers, dy, None, &mut to, scratch, dw, None);
                values[x] = to;
                if back != Back::None {
                    sizes.pack_forward(workers, own.of(*weight), scratch);
                    if add {
                        let mut more = vec![0.0; dx.len()];
                        sizes.forward(workers, dy, scratch, None, false, &mut more);
                        kernels::add(workers, &more, dx);
                    } else {
                        sizes.forward(workers, dy, scratch, None, false, dx);
                    }
                }
            }
            Does::Resample { back: way, .. } if back != Back::None => {
                let (dy, dx) = two(slopes, self.y, x)?;
                way.forward(workers, dy, add, dx);
            }
            Does::GroupNorm { sizes, weight, moments } => {
                let (dy, dx) = two(slopes, self.y, x)?;
                let (dw, db) = pair(gradients, ranges, *weight, Some(*weight + 1));
                let (db, moments) = (db.unwrap_or_default(), &values[*moments]);
                sizes.backward(workers, &values[x], moments, own.of(*weight), dy, dw, db, add, dx);
            }
            Does::ReverseNorm { moments, .. } if back != Back::None => {
                let (dy, dx) = two(slopes, self.y, x)?;
                WindowNorm::reverse_gradient(workers, dy, &values[*moments], shapes[x].size(), add, dx);
            }
            Does::Product => {
                for (at, (x, back)) in self.inputs.iter().enumerate().filter(|(_, (_, back))| *back != Back::None) {
                    let (dy, dx) = two(slopes, self.y, *x)?;
                    kernels::product_of(workers, dy, &values[self.inputs[1 - at].0], *back == Back::Add, dx);
                }
            }
            Does::ScaleChannels => {
                let (Value { channels, places, .. }, (factors, own)) = (shapes[x], self.inputs[1]);
                if back != Back::None {
                    let (dy, dx) = two(slopes, self.y, x)?;
                    kernels::scale_channels(workers, dy, &values[factors], channels, places, add, dx);
                }
                if own != Back::None {
                    let (dy, to) = two(slopes, self.y, factors)?;
                    let add = own == Back::Add;
                    kernels::scale_channels_gradient(workers, &values[x], dy, channels, places, add, to);
                }
            }
            Does::Copy if back != Back::None => {
                let (dy, dx) = two(slopes, self.y, x)?;
                put(workers, dy, back, dx);
            }
            Does::Unflatten if back != Back::None => {
                let Value { channels, places, .. } = shapes[self.y];
                let (dy, dx) = two(slopes, self.y, x)?;
                // A picture of as many channels as places goes the other way.
                kernels::unflatten(workers, dy, places, channels, add, dx);
            }
            Does::Resample { .. } | Does::WindowNorm { .. } | Does::ReverseNorm { .. } => {}
            Does::Copy | Does::Unflatten => {}
        }
        Ok(())
    }
}

impl Compiler<'_> {
    /// As [`Compiler::node`], for these layers, or what has no kernel.
    pub(super) fn picture_node(&mut self, node: &PlannedNode, inputs: &[usize], parameter: usize) -> Result<usize> {
        let x = inputs[0];
        let Value { channels, places, by_place } = self.shape(x);
        match (&node.layer, &node.input_shape[..]) {
            (Layer::DepthwiseConv2d(settings), shape) => {
                let settings = settings.over(shape[0])?;
                Ok(self.groups(x, conv(node, &settings)?, settings.groups, parameter, settings.bias))
            }
            (Layer::Conv2d(settings), _) => {
                Ok(self.groups(x, conv(node, settings)?, settings.groups, parameter, settings.bias))
            }
            (Layer::Conv1d(settings), _) => {
                Ok(self.groups(x, sequence::conv(node, settings)?, settings.groups, parameter, settings.bias))
            }
            (Layer::ConvTranspose2d(settings), _) if settings.groups == 1 => {
                let sizes = transposed(node, settings)?;
                let y = self.add(sizes.channels, sizes.sides[0] * sizes.sides[1]);
                let bias = settings.bias.then_some(parameter + 1);
                Ok(self.act(&[x], y, Does::Transposed { sizes, weight: parameter, bias }))
            }
            (Layer::MaxPool2d(settings), _) => {
                let ([_, sides @ ..], [_, out_sides @ ..]) = pictures(node)?;
                let (kernel, stride) = (settings.kernel, settings.stride.unwrap_or(settings.kernel));
                let [top, left, ..] = settings.padding.edges(sides, kernel, stride, [1, 1]);
                let y = self.add(channels, out_sides[0] * out_sides[1]);
                let sizes = kernels::MaxPool { channels, sides, kernel, stride, before: [top, left], out_sides };
                Ok(self.max_pool(node, x, y, sizes))
            }
            (Layer::MaxPool1d(settings), _) => {
                let Series { sides, kernel, stride, before, out_sides } =
                    series(node, settings.kernel, settings.stride, settings.padding)?;
                let y = self.add_sequence(out_sides[1], channels);
                let sizes = kernels::MaxPool { channels, sides, kernel, stride, before, out_sides };
                Ok(self.max_pool(node, x, y, sizes))
            }
            (Layer::AvgPool2d(settings), _) => {
                let ([_, sides @ ..], [_, out_sides @ ..]) = pictures(node)?;
                let (kernel, stride) = (settings.kernel, settings.stride.unwrap_or(settings.kernel));
                let [top, left, ..] = settings.padding.edges(sides, kernel, stride, [1, 1]);
                let y = self.add(channels, out_sides[0] * out_sides[1]);
                Ok(self.resample(x, y, Resample::mean(channels, sides, kernel, stride, [top, left], out_sides)))
            }
            (Layer::AvgPool1d(settings), _) => {
                let Series { sides, kernel, stride, before, out_sides } =
                    series(node, settings.kernel, settings.stride, settings.padding)?;
                let y = self.add_sequence(out_sides[1], channels);
                Ok(self.resample(x, y, Resample::mean(channels, sides, kernel, stride, before, out_sides)))
            }
            (Layer::AdaptiveAvgPool2d(settings), [_, height, width]) => {
                let y = self.add(channels, settings.size[0] * settings.size[1]);
                Ok(self.resample(x, y, Resample::grid(channels, [*height, *width], settings.size)))
            }
            (Layer::Upsample(settings), [_, height, width]) => {
                let (sides, scale) = ([*height, *width], settings.scale);
                let sizes = match settings.mode {
                    UpsampleMode::Nearest => Resample::repeated(channels, sides, scale),
                    UpsampleMode::Bilinear => Resample::bilinear(channels, sides, scale),
                };
                let y = self.add(channels, places * scale * scale);
                Ok(self.resample(x, y, sizes))
            }
            (Layer::GroupNorm(settings), _) => {
                let y = self.like(x);
                let moments = self.add_sequence(settings.groups, 2);
                let (groups, epsilon) = (settings.groups, settings.epsilon as f32);
                let sizes = kernels::GroupNorm { channels, groups, places, epsilon };
                Ok(self.act(&[x], y, Does::GroupNorm { sizes, weight: parameter, moments }))
            }
            // The level of what the network itself makes would have a gradient.
            (Layer::ReversibleNorm(settings), [time, 1]) if x == 0 => {
                let sizes = window_norm(*time, settings.centre, settings.scale, settings.epsilon);
                let (y, moments) = (self.like(x), self.add_sequence(1, 2));
                Ok(self.act(&[x], y, Does::WindowNorm { sizes, moments }))
            }
            (Layer::ReverseNorm(settings), _) if inputs[1] == 0 => {
                let sizes = window_norm(self.shape(0).places, settings.centre, settings.scale, settings.epsilon);
                let (y, moments) = (self.like(x), self.add_sequence(1, 2));
                Ok(self.act(inputs, y, Does::ReverseNorm { sizes, moments }))
            }
            (Layer::Add, _) => {
                let mut sum = x;
                for &next in &inputs[1..] {
                    let y = self.like(x);
                    self.add_op(Op::Sum { a: sum, b: next, y, relu: false, backs: [Back::None; 2] });
                    sum = y;
                }
                Ok(sum)
            }
            (Layer::Mul, [_, _, _]) if self.shape(inputs[1]).size() == channels && places > 1 => {
                let y = self.like(x);
                Ok(self.act(inputs, y, Does::ScaleChannels))
            }
            (Layer::Mul, _) => {
                let y = self.like(x);
                Ok(self.act(inputs, y, Does::Product))
            }
            (Layer::ToSequence, _) if x != 0 && self.is_alone(node.inputs[0], x) => {
                self.as_sequence(x);
                Ok(x)
            }
            (Layer::ToSequence, _) => {
                let y = self.add_sequence(places, channels);
                Ok(self.act(&[x], y, Does::Copy))
            }
            (Layer::Reshape(settings), _) => {
                let mut flat = x;
                if channels > 1 && places > 1 && !by_place {
                    flat = self.add(channels * places, 1);
                    self.add_op(Op::Flatten { x, y: flat, back: Back::None });
                }
                let (y, does) = match settings.shape[..] {
                    [time, features] => (self.add_sequence(time, features), Does::Copy),
                    [channels, height, width] => (self.add(channels, height * width), Does::Unflatten),
                    _ => (self.add(channels * places, 1), Does::Copy),
                };
                Ok(self.act(&[flat], y, does))
            }
            (layer, _) => Err(refused(&format!("{} with these settings has no kernel", layer.kind()))),
        }
    }

    /// Adds an operation and tells the value that it gives.
    fn act(&mut self, inputs: &[usize], y: usize, does: Does) -> usize {
        let inputs = inputs.iter().map(|x| (*x, Back::None)).collect();
        self.add_op(Op::Picture(PictureOp { inputs, y, does }));
        y
    }

    fn resample(&mut self, x: usize, y: usize, forward: Resample) -> usize {
        let back = forward.back();
        self.act(&[x], y, Does::Resample { forward, back })
    }

    fn max_pool(&mut self, node: &PlannedNode, x: usize, y: usize, sizes: kernels::MaxPool) -> usize {
        let winners = self.like(y);
        let op = self.fuse_pool(node.inputs[0], x, sizes, y, winners);
        self.add_op(op.unwrap_or(Op::MaxPool { sizes, x, y, winners, back: Back::None }));
        y
    }

    /// A convolution in groups of channels; `sizes` are those of all of them together.
    fn groups(&mut self, x: usize, sizes: kernels::Conv, groups: usize, weight: usize, bias: bool) -> usize {
        let kernels::Conv { channels, sides, out_channels, kernel, stride, dilation, before, out_sides } = sizes;
        let places = out_sides[0] * out_sides[1];
        let y = match self.shape(x).by_place {
            true => self.add_sequence(places, out_channels),
            false => self.add(out_channels, places),
        };
        let bias = bias.then_some(weight + 1);
        if groups == channels {
            let multiplier = out_channels / channels;
            let sizes = kernels::Depthwise { channels, multiplier, sides, kernel, stride, dilation, before, out_sides };
            return self.act(&[x], y, Does::Depthwise { sizes, weight, bias, relu: false });
        }
        let conv = kernels::Conv { channels: channels / groups, out_channels: out_channels / groups, ..sizes };
        self.act(&[x], y, Does::Grouped { sizes: kernels::GroupedConv { conv, groups }, weight, bias })
    }
}

/// The convolution as one of all channels, whatever its groups.
pub(super) fn conv(node: &PlannedNode, settings: &Conv2d) -> Result<kernels::Conv> {
    let Conv2d { out_channels, kernel, stride, padding, dilation, .. } = *settings;
    let ([channels, sides @ ..], [_, out_sides @ ..]) = pictures(node)?;
    let [top, left, ..] = padding.edges(sides, kernel, stride, dilation);
    Ok(kernels::Conv { channels, sides, out_channels, kernel, stride, dilation, before: [top, left], out_sides })
}

/// The convolution from what comes out to what goes in.
fn transposed(node: &PlannedNode, settings: &ConvTranspose2d) -> Result<kernels::Conv> {
    let ConvTranspose2d { out_channels, kernel, stride, padding, dilation, .. } = *settings;
    let ([channels, sides @ ..], [_, out_sides @ ..]) = pictures(node)?;
    Ok(kernels::Conv {
        channels: out_channels,
        sides: out_sides,
        out_channels: channels,
        kernel,
        stride,
        dilation,
        before: padding,
        out_sides: sides,
    })
}

fn window_norm(time: usize, centre: Centre, scale: bool, epsilon: f64) -> WindowNorm {
    WindowNorm { time, is_last: centre == Centre::Last, scale, epsilon: epsilon as f32 }
}

/// Windows over time as ones over pictures of one row.
struct Series {
    sides: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    before: [usize; 2],
    out_sides: [usize; 2],
}

fn series(node: &PlannedNode, kernel: usize, stride: Option<usize>, padding: TimePadding) -> Result<Series> {
    let ([time, _], [windows, _]) = (&node.input_shape[..], &node.shape[..]) else {
        return Err(Error::internal("no sequence in front of a window"));
    };
    let stride = stride.unwrap_or(kernel);
    let [before, _] = padding.edges(*time, kernel, stride, 1);
    Ok(Series {
        sides: [1, *time],
        kernel: [1, kernel],
        stride: [1, stride],
        before: [0, before],
        out_sides: [1, *windows],
    })
}

/// What goes in and what comes out.
fn pictures(node: &PlannedNode) -> Result<([usize; 3], [usize; 3])> {
    let picture = |shape: &[usize]| shape.try_into().map_err(|_| Error::internal("no picture in front of a window"));
    Ok((picture(&node.input_shape)?, picture(&node.shape)?))
}
