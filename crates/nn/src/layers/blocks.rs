//! Blocks of convolutional networks, written out as plain layers.

use super::padding::ones;
use super::padding::pair;
use super::{Conv2d, DepthwiseConv2d, Kind, Layer, Padding, Settings};
use crate::Node;
use crate::plan::{config, multiply, shape_error};
use lepton_core::Result;
use serde::{Deserialize, Serialize};

/// Two 3x3 convolutions with batch norm beside a shortcut (He and others 2016, the basic block):
/// `[channels, height, width]` to `[out_channels, ceil(height / stride), ceil(width / stride)]`. Where the shape changes
/// the shortcut is a 1x1 convolution with batch norm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResidualBlock {
    /// Channels out.
    pub out_channels: usize,
    /// Steps of the first convolution.
    #[serde(default = "ones", deserialize_with = "pair")]
    pub stride: [usize; 2],
}

impl Settings for ResidualBlock {
    const SETTINGS: &'static [&'static str] = &["out_channels", "stride"];
}

impl Kind for ResidualBlock {
    fn expand(&self, inputs: &[&[usize]]) -> Result<Option<Vec<Node>>> {
        let channels = channels(inputs[0])?;
        let mut parts = vec![
            Node::with_inputs("conv1", conv(self.out_channels, 3, self.stride), ["@0"]),
            Node::new("bn1", Layer::batch_norm()),
            Node::new("relu1", Layer::Relu),
            Node::new("conv2", conv(self.out_channels, 3, [1, 1])),
            Node::new("bn2", Layer::batch_norm()),
        ];
        let shortcut = if channels == self.out_channels && self.stride == [1, 1] {
            "@0"
        } else {
            parts.push(Node::with_inputs("shortcut", conv(self.out_channels, 1, self.stride), ["@0"]));
            parts.push(Node::new("shortcut_bn", Layer::batch_norm()));
            "shortcut_bn"
        };
        parts.push(Node::with_inputs("sum", Layer::Add, ["bn2", shortcut]));
        parts.push(Node::new("relu2", Layer::Relu));
        Ok(Some(parts))
    }
}

/// Convolutions of which each sees the outputs of all before it (Huang and others 2017): batch norm, ReLU and a 3x3
/// convolution `layers` times; `[channels, height, width]` to `[channels + layers · growth, height, width]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DenseBlock {
    /// How many convolutions.
    pub layers: usize,
    /// Channels that each adds.
    pub growth: usize,
}

impl Settings for DenseBlock {
    const SETTINGS: &'static [&'static str] = &["layers", "growth"];
}

impl Kind for DenseBlock {
    fn expand(&self, inputs: &[&[usize]]) -> Result<Option<Vec<Node>>> {
        channels(inputs[0])?;
        if self.layers == 0 || self.layers > 256 || self.growth == 0 {
            return Err(config(format!("layers {} or growth {} is out of range", self.layers, self.growth)));
        }
        let (mut parts, mut before) = (Vec::new(), "@0".to_owned());
        for layer in 1..=self.layers {
            let name = |part: &str| format!("{part}{layer}");
            parts.push(Node::with_inputs(name("bn"), Layer::batch_norm(), [before.clone()]));
            parts.push(Node::new(name("relu"), Layer::Relu));
            parts.push(Node::new(name("conv"), conv(self.growth, 3, [1, 1])));
            parts.push(Node::with_inputs(name("join"), Layer::concat(0), [before, name("conv")]));
            before = name("join");
        }
        Ok(Some(parts))
    }
}

/// The block of MobileNetV2 (Sandler and others 2018): a 1x1 convolution to `expansion` times as many channels, a
/// depthwise 3x3 one, and a 1x1 one without activation, each with batch norm; beside a shortcut where the shape stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InvertedResidualBlock {
    /// Channels out.
    pub out_channels: usize,
    /// By how much it is wider inside.
    pub expansion: usize,
    /// Steps of the depthwise convolution.
    #[serde(default = "ones", deserialize_with = "pair")]
    pub stride: [usize; 2],
}

impl Settings for InvertedResidualBlock {
    const SETTINGS: &'static [&'static str] = &["out_channels", "expansion", "stride"];
}

impl Kind for InvertedResidualBlock {
    fn expand(&self, inputs: &[&[usize]]) -> Result<Option<Vec<Node>>> {
        let channels = channels(inputs[0])?;
        if self.expansion == 0 {
            return Err(config("expansion is 0".to_owned()));
        }
        let mut parts = Vec::new();
        if self.expansion > 1 {
            let wide = multiply(&[channels, self.expansion])?;
            parts.push(Node::with_inputs("expand", conv(wide, 1, [1, 1]), ["@0"]));
            parts.push(Node::new("expand_bn", Layer::batch_norm()));
            parts.push(Node::new("expand_relu", Layer::Relu6));
        }
        let depthwise = DepthwiseConv2d {
            kernel: [3, 3],
            stride: self.stride,
            padding: Padding::Same,
            dilation: [1, 1],
            multiplier: 1,
            bias: false,
        };
        parts.push(Node::new("depthwise", depthwise.into()));
        parts.push(Node::new("depthwise_bn", Layer::batch_norm()));
        parts.push(Node::new("depthwise_relu", Layer::Relu6));
        parts.push(Node::new("project", conv(self.out_channels, 1, [1, 1])));
        parts.push(Node::new("project_bn", Layer::batch_norm()));
        if channels == self.out_channels && self.stride == [1, 1] {
            parts.push(Node::with_inputs("sum", Layer::Add, ["project_bn", "@0"]));
        }
        Ok(Some(parts))
    }
}

/// Weighs each channel by a number in 0 to 1 that two dense layers make of the means of all channels (Hu and others
/// 2018): `[channels, height, width]` to the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SqueezeExcite {
    /// By how much the first dense layer is narrower than the channels.
    #[serde(default = "sixteen")]
    pub reduction: usize,
}

impl Settings for SqueezeExcite {
    const SETTINGS: &'static [&'static str] = &["reduction"];
}

impl Kind for SqueezeExcite {
    fn expand(&self, inputs: &[&[usize]]) -> Result<Option<Vec<Node>>> {
        let channels = channels(inputs[0])?;
        if self.reduction == 0 {
            return Err(config("reduction is 0".to_owned()));
        }
        Ok(Some(vec![
            Node::with_inputs("squeeze", Layer::GlobalAvgPool, ["@0"]),
            Node::new("fc1", Layer::linear((channels / self.reduction).max(1))),
            Node::new("relu", Layer::Relu),
            Node::new("fc2", Layer::linear(channels)),
            Node::new("gate", Layer::Sigmoid),
            Node::with_inputs("scale", Layer::Mul, ["@0", "gate"]),
        ]))
    }
}

fn channels(picture: &[usize]) -> Result<usize> {
    match *picture {
        [channels, _, _] => Ok(channels),
        ref other => Err(shape_error(format!("it takes [channels, height, width], not {other:?}"))),
    }
}

/// A square convolution without bias that keeps the picture's size up to its stride. Padding is the same on both sides,
/// as in the papers' own code, whatever the stride.
fn conv(out_channels: usize, kernel: usize, stride: [usize; 2]) -> Layer {
    let edge = kernel / 2;
    let padding = Padding::Explicit { top: edge, left: edge, bottom: edge, right: edge };
    Conv2d { stride, padding, bias: false, ..Conv2d::new(out_channels, kernel) }.into()
}

fn sixteen() -> usize {
    16
}
