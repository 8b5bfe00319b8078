//! Convolutions. Weights have PyTorch's names and shapes.

use super::padding::{ones, pair};
use super::window::{pairs, time_windows, window, windows};
use super::{Kind, Padding, Settings, TimePadding, one, yes};
use crate::export::Export;
use crate::forward::{Running, Value, only};
use crate::initialize::Start;
use crate::plan::{Planning, config, elements, multiply, shape_error};
use burn::tensor::module::{conv_transpose2d, conv1d, conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use lepton_core::Result;
use serde::{Deserialize, Serialize};

/// A 2-D convolution: `[channels, height, width]` to `[out_channels, height', width']`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv2d {
    /// Channels out.
    pub out_channels: usize,
    /// Height and width of the window; one number means a square.
    #[serde(deserialize_with = "pair")]
    pub kernel: [usize; 2],
    /// Steps of the window.
    #[serde(default = "ones", deserialize_with = "pair")]
    pub stride: [usize; 2],
    /// Zeros around the picture.
    #[serde(default)]
    pub padding: Padding,
    /// Distance between the window's points.
    #[serde(default = "ones", deserialize_with = "pair")]
    pub dilation: [usize; 2],
    /// Independent groups of channels; both channel counts are multiples of it.
    #[serde(default = "one")]
    pub groups: usize,
    /// Whether a bias is added; off in front of a batch norm.
    #[serde(default = "yes")]
    pub bias: bool,
}

impl Conv2d {
    /// A square window with stride 1, no padding and a bias.
    pub fn new(out_channels: usize, kernel: usize) -> Conv2d {
        Conv2d {
            out_channels,
            kernel: [kernel; 2],
            stride: [1; 2],
            padding: Padding::Valid,
            dilation: [1; 2],
            groups: 1,
            bias: true,
        }
    }
}

impl Settings for Conv2d {
    const SETTINGS: &'static [&'static str] =
        &["out_channels", "kernel", "stride", "padding", "dilation", "groups", "bias"];
}

impl Kind for Conv2d {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let [channels, height, width] = node.picture()?;
        let Conv2d { out_channels, kernel, stride, padding, dilation, groups, bias } = *self;
        check_groups(channels, out_channels, groups)?;
        let [rows, columns] = windows([height, width], kernel, stride, dilation, padding)?;
        let fan_in = multiply(&[channels / groups, kernel[0], kernel[1]])?;
        node.weight("weight", [out_channels, channels / groups, kernel[0], kernel[1]], Start::FanIn(fan_in))?;
        if bias {
            node.weight("bias", [out_channels], Start::FanIn(fan_in))?;
        }
        let shape = vec![out_channels, rows, columns];
        node.flops = cost(&shape, fan_in, bias)?;
        Ok(shape)
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let x = only(inputs)?.pictures()?;
        let edges =
            self.padding.edges(sides(node.node.input_shape.as_slice()), self.kernel, self.stride, self.dilation);
        let options = ConvOptions::new_with_padding(self.stride, pairs(edges), self.dilation, self.groups);
        let bias = self.bias.then(|| node.flat(1));
        Ok(Value::Pictures(conv2d(x, node.parameter(0)?, bias, options)))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let edges = self.padding.edges(sides(&node.node.input_shape), self.kernel, self.stride, self.dilation);
        let inputs = with_weights(node, inputs, self.bias)?;
        let conv = window(node.last("Conv", inputs), &self.kernel, &self.stride, &edges)
            .ints("dilations", self.dilation.map(|side| side as i64))
            .int("group", self.groups as i64);
        node.push(conv);
        Ok(())
    }
}

/// A 2-D convolution of each channel by itself: `[channels, height, width]` to
/// `[channels · multiplier, height', width']`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DepthwiseConv2d {
    /// Height and width of the window; one number means a square.
    #[serde(deserialize_with = "pair")]
    pub kernel: [usize; 2],
    /// Steps of the window.
    #[serde(default = "ones", deserialize_with = "pair")]
    pub stride: [usize; 2],
    /// Zeros around the picture.
    #[serde(default)]
    pub padding: Padding,
    /// Distance between the window's points.
    #[serde(default = "ones", deserialize_with = "pair")]
    pub dilation: [usize; 2],
    /// Channels out for each channel in.
    #[serde(default = "one")]
    pub multiplier: usize,
    /// Whether a bias is added.
    #[serde(default = "yes")]
    pub bias: bool,
}

impl Settings for DepthwiseConv2d {
    const SETTINGS: &'static [&'static str] = &["kernel", "stride", "padding", "dilation", "multiplier", "bias"];
}

impl DepthwiseConv2d {
    /// The same as a convolution in as many groups as channels.
    pub(crate) fn over(&self, channels: usize) -> Result<Conv2d> {
        let DepthwiseConv2d { kernel, stride, padding, dilation, multiplier, bias } = *self;
        let out_channels = multiply(&[channels, multiplier])?;
        Ok(Conv2d { out_channels, kernel, stride, padding, dilation, groups: channels, bias })
    }
}

impl Kind for DepthwiseConv2d {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        self.over(node.picture()?[0])?.plan(node)
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        self.over(node.node.input_shape[0])?.forward(node, inputs)
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        self.over(node.node.input_shape[0])?.export(node, inputs)
    }
}

/// A 1-D convolution over time: `[time, channels]` to `[time', out_channels]`. Its weight is PyTorch's,
/// `[out_channels, channels / groups, kernel]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv1d {
    /// Channels out.
    pub out_channels: usize,
    /// Places of the window.
    pub kernel: usize,
    /// Steps of the window.
    #[serde(default = "one")]
    pub stride: usize,
    /// Zeros at the ends.
    #[serde(default)]
    pub padding: TimePadding,
    /// Distance between the window's places.
    #[serde(default = "one")]
    pub dilation: usize,
    /// Independent groups of channels; both channel counts are multiples of it.
    #[serde(default = "one")]
    pub groups: usize,
    /// Whether a bias is added.
    #[serde(default = "yes")]
    pub bias: bool,
}

impl Conv1d {
    /// Stride 1, as much padding as keeps the length, and a bias.
    pub fn same(out_channels: usize, kernel: usize) -> Conv1d {
        Conv1d { out_channels, kernel, stride: 1, padding: TimePadding::Same, dilation: 1, groups: 1, bias: true }
    }
}

impl Settings for Conv1d {
    const SETTINGS: &'static [&'static str] =
        &["out_channels", "kernel", "stride", "padding", "dilation", "groups", "bias"];
}

impl Kind for Conv1d {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let [time, channels] = node.sequence(0)?;
        let Conv1d { out_channels, kernel, stride, padding, dilation, groups, bias } = *self;
        check_groups(channels, out_channels, groups)?;
        if padding.depends_on_time(stride) {
            node.fixed_time()?;
        }
        let count = time_windows(time, kernel, stride, dilation, padding)?;
        let fan_in = multiply(&[channels / groups, kernel])?;
        node.weight("weight", [out_channels, channels / groups, kernel], Start::FanIn(fan_in))?;
        if bias {
            node.weight("bias", [out_channels], Start::FanIn(fan_in))?;
        }
        let shape = vec![count, out_channels];
        node.flops = cost(&shape, fan_in, bias)?;
        Ok(shape)
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let x = only(inputs)?.sequences()?;
        let [before, after] = self.padding.edges(x.dims()[1], self.kernel, self.stride, self.dilation);
        let options = ConvOptions::new_with_padding([self.stride], [(before, after)], [self.dilation], self.groups);
        let bias = self.bias.then(|| node.flat(1));
        let y = conv1d(x.swap_dims(1, 2), node.parameter(0)?, bias, options);
        Ok(Value::Sequences(y.swap_dims(1, 2)))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let edges = self.padding.edges(node.node.input_shape[0], self.kernel, self.stride, self.dilation);
        let turned = node.step_with("Transpose", "channels_first", inputs, |step| step.ints("perm", [0, 2, 1]));
        let inputs = with_weights(node, vec![turned], self.bias)?;
        let convolved = node.step_with("Conv", "convolved", inputs, |step| {
            window(step, &[self.kernel], &[self.stride], &edges)
                .ints("dilations", [self.dilation as i64])
                .int("group", self.groups as i64)
        });
        let last = node.last("Transpose", [convolved]).ints("perm", [0, 2, 1]);
        node.push(last);
        Ok(())
    }
}

/// The transpose of a 2-D convolution: `[channels, height, width]` to `[out_channels, height', width']` with
/// `height' = (height - 1) · stride - 2 · padding + dilation · (kernel - 1) + output_padding + 1`. Its weight is
/// PyTorch's, `[channels, out_channels / groups, kernel height, kernel width]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConvTranspose2d {
    /// Channels out.
    pub out_channels: usize,
    /// Height and width of the window; one number means a square.
    #[serde(deserialize_with = "pair")]
    pub kernel: [usize; 2],
    /// By how much the picture grows.
    #[serde(default = "ones", deserialize_with = "pair")]
    pub stride: [usize; 2],
    /// Cells cut off each edge.
    #[serde(default, deserialize_with = "pair")]
    pub padding: [usize; 2],
    /// Cells added at the bottom and the right; less than the stride or the dilation.
    #[serde(default, deserialize_with = "pair")]
    pub output_padding: [usize; 2],
    /// Distance between the window's points.
    #[serde(default = "ones", deserialize_with = "pair")]
    pub dilation: [usize; 2],
    /// Independent groups of channels; both channel counts are multiples of it.
    #[serde(default = "one")]
    pub groups: usize,
    /// Whether a bias is added.
    #[serde(default = "yes")]
    pub bias: bool,
}

impl Settings for ConvTranspose2d {
    const SETTINGS: &'static [&'static str] =
        &["out_channels", "kernel", "stride", "padding", "output_padding", "dilation", "groups", "bias"];
}

impl Kind for ConvTranspose2d {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let [channels, height, width] = node.picture()?;
        let ConvTranspose2d { out_channels, kernel, stride, padding, output_padding, dilation, groups, bias } = *self;
        check_groups(channels, out_channels, groups)?;
        // The convolution that it is the transpose of must fit; its settings are checked there.
        let _ = windows([usize::MAX >> 16; 2], kernel, stride, dilation, Padding::Valid)?;
        let mut shape = vec![out_channels];
        for (axis, side) in [height, width].into_iter().enumerate() {
            if output_padding[axis] >= stride[axis].max(dilation[axis]) {
                return Err(config(format!(
                    "output_padding {output_padding:?} is not below stride {stride:?} or dilation {dilation:?}"
                )));
            }
            let grown =
                multiply(&[side - 1, stride[axis]])? + dilation[axis] * (kernel[axis] - 1) + output_padding[axis];
            let side = (grown + 1).checked_sub(2 * padding[axis].min(1 << 20)).filter(|side| *side > 0);
            shape.push(side.ok_or_else(|| shape_error(format!("padding {padding:?} leaves nothing of the picture")))?);
        }
        let fan = multiply(&[out_channels / groups, kernel[0], kernel[1]])?;
        node.weight("weight", [channels, out_channels / groups, kernel[0], kernel[1]], Start::FanIn(fan))?;
        if bias {
            node.weight("bias", [out_channels], Start::FanIn(fan))?;
        }
        let outputs = elements(&shape)? as u64 * u64::from(bias);
        node.flops = node.size()?.saturating_mul(2 * fan as u64).saturating_add(outputs);
        Ok(shape)
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let x = only(inputs)?.pictures()?;
        let options =
            ConvTransposeOptions::new(self.stride, self.padding, self.output_padding, self.dilation, self.groups);
        let bias = self.bias.then(|| node.flat(1));
        Ok(Value::Pictures(conv_transpose2d(x, node.parameter(0)?, bias, options)))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let [rows, columns] = self.padding;
        let inputs = with_weights(node, inputs, self.bias)?;
        let conv =
            window(node.last("ConvTranspose", inputs), &self.kernel, &self.stride, &[rows, columns, rows, columns])
                .ints("dilations", self.dilation.map(|side| side as i64))
                .ints("output_padding", self.output_padding.map(|side| side as i64))
                .int("group", self.groups as i64);
        node.push(conv);
        Ok(())
    }
}

fn check_groups(channels: usize, out_channels: usize, groups: usize) -> Result<()> {
    if groups == 0 || out_channels == 0 || !channels.is_multiple_of(groups) || !out_channels.is_multiple_of(groups) {
        return Err(shape_error(format!(
            "{channels} channels in and {out_channels} out cannot be cut into {groups} groups"
        )));
    }
    Ok(())
}

/// A multiply-add counts as two, and the bias as one.
fn cost(shape: &[usize], fan_in: usize, bias: bool) -> Result<u64> {
    Ok((elements(shape)? as u64).saturating_mul(2 * fan_in as u64 + u64::from(bias)))
}

fn sides(picture: &[usize]) -> [usize; 2] {
    [picture[1], picture[2]]
}

fn with_weights(node: &mut Export<'_, '_>, mut inputs: Vec<String>, bias: bool) -> Result<Vec<String>> {
    inputs.push(node.weight("weight")?);
    if bias {
        inputs.push(node.weight("bias")?);
    }
    Ok(inputs)
}
