//! Normalisation by the batch, by each place, and by groups of channels.

use super::{Kind, Settings};
use crate::export::Export;
use crate::forward::{Mode, Running, Value, each_rank, host, only};
use crate::initialize::Start;
use crate::plan::{Planning, config, shape_error};
use burn::tensor::Tensor;
use burn::tensor::module::{batch_norm, batch_norm_train, layer_norm};
use lepton_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Batch normalisation of each channel: `[channels]`, `[time, channels]` or `[channels, height, width]`.
/// (Ioffe and Szegedy 2015; running statistics as PyTorch keeps them, with the unbiased variance.)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchNorm {
    /// Weight of the newest batch in the running statistics.
    #[serde(default = "tenth")]
    pub momentum: f64,
    /// Added to the variance.
    #[serde(default = "small")]
    pub epsilon: f64,
}

impl Default for BatchNorm {
    fn default() -> BatchNorm {
        BatchNorm { momentum: tenth(), epsilon: small() }
    }
}

impl Settings for BatchNorm {
    const SETTINGS: &'static [&'static str] = &["momentum", "epsilon"];
}

impl BatchNorm {
    const PARTS: [&'static str; 4] = ["weight", "bias", "running_mean", "running_var"];
}

impl Kind for BatchNorm {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let BatchNorm { momentum, epsilon } = *self;
        if !(0.0..=1.0).contains(&momentum) || !is_small(epsilon) {
            return Err(config(format!("momentum {momentum} or epsilon {epsilon} is outside 0 to 1")));
        }
        let shape = node.inputs[0].to_vec();
        let channels = if shape.len() == 2 { shape[1] } else { shape[0] };
        let [weight, bias, mean, variance] = BatchNorm::PARTS;
        node.weight(weight, [channels], Start::Ones)?;
        node.weight(bias, [channels], Start::Zeros)?;
        node.statistic(mean, [channels], Start::Zeros)?;
        node.statistic(variance, [channels], Start::Ones)?;
        node.flops = node.size()?.saturating_mul(2);
        Ok(shape)
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let [gamma, beta, mean, variance] = [0, 1, 2, 3].map(|place| node.flat(place));
        let x = match only(inputs)? {
            Value::Sequences(x) => Value::Sequences(x.swap_dims(1, 2)),
            other => other,
        };
        let y = match node.mode {
            Mode::Inference => each_rank!(x, x => batch_norm(x, gamma, beta, mean, variance, self.epsilon)),
            Mode::Training { .. } => each_rank!(x, x => {
                let count = x.dims().iter().product::<usize>() / x.dims()[1];
                let result = batch_norm_train(x, gamma, beta, self.epsilon);
                node.saw(host(result.mean.inner())?, host(result.variance.inner())?, count);
                result.output
            }),
        };
        Ok(match y? {
            Value::Sequences(y) => Value::Sequences(y.swap_dims(1, 2)),
            other => other,
        })
    }

    fn export(&self, node: &mut Export<'_, '_>, mut inputs: Vec<String>) -> Result<()> {
        let is_sequence = node.node.shape.len() == 2;
        if is_sequence {
            inputs = vec![node.step_with("Transpose", "channels_first", inputs, |step| step.ints("perm", [0, 2, 1]))];
        }
        for part in BatchNorm::PARTS {
            inputs.push(node.weight(part)?);
        }
        let epsilon = self.epsilon as f32;
        if is_sequence {
            let normal = node.step_with("BatchNormalization", "normal", inputs, |step| step.float("epsilon", epsilon));
            let last = node.last("Transpose", [normal]).ints("perm", [0, 2, 1]);
            node.push(last);
        } else {
            let last = node.last("BatchNormalization", inputs).float("epsilon", epsilon);
            node.push(last);
        }
        Ok(())
    }
}

/// Layer normalisation over the last side of `[features]` or `[time, features]`. (Ba and others 2016.)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerNorm {
    /// Added to the variance.
    #[serde(default = "small")]
    pub epsilon: f64,
}

impl Default for LayerNorm {
    fn default() -> LayerNorm {
        LayerNorm { epsilon: small() }
    }
}

impl Settings for LayerNorm {
    const SETTINGS: &'static [&'static str] = &["epsilon"];
}

impl Kind for LayerNorm {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let shape = node.inputs[0].to_vec();
        if shape.len() > 2 {
            return Err(shape_error(format!("it takes [features] or [time, features], not {shape:?}"))
                .fix("use a group_norm or batch_norm for pictures"));
        }
        if !is_small(self.epsilon) {
            return Err(config(format!("epsilon {} is outside 0 to 1", self.epsilon)));
        }
        let features = shape[shape.len() - 1];
        node.weight("weight", [features], Start::Ones)?;
        node.weight("bias", [features], Start::Zeros)?;
        node.flops = node.size()?.saturating_mul(8);
        Ok(shape)
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let (gamma, beta) = (node.flat(0), node.flat(1));
        each_rank!(only(inputs)?, x => layer_norm(x, gamma, Some(beta), self.epsilon))
    }

    fn export(&self, node: &mut Export<'_, '_>, mut inputs: Vec<String>) -> Result<()> {
        inputs.push(node.weight("weight")?);
        inputs.push(node.weight("bias")?);
        let last = node.last("LayerNormalization", inputs).int("axis", -1).float("epsilon", self.epsilon as f32);
        node.push(last);
        Ok(())
    }

    fn is_local(&self) -> bool {
        true
    }
}

/// Group normalisation: `[channels, height, width]`, normalised over each of `groups` groups of channels and all places.
/// One group is layer normalisation of a picture, as many as channels instance normalisation. (Wu and He 2018.)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupNorm {
    /// Groups; the channels are a multiple of it.
    pub groups: usize,
    /// Added to the variance.
    #[serde(default = "small")]
    pub epsilon: f64,
}

impl Settings for GroupNorm {
    const SETTINGS: &'static [&'static str] = &["groups", "epsilon"];
}

impl Kind for GroupNorm {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let [channels, height, width] = node.picture()?;
        if self.groups == 0 || !channels.is_multiple_of(self.groups) {
            return Err(shape_error(format!("{channels} channels cannot be cut into {} groups", self.groups)));
        }
        if !is_small(self.epsilon) {
            return Err(config(format!("epsilon {} is outside 0 to 1", self.epsilon)));
        }
        node.weight("weight", [channels], Start::Ones)?;
        node.weight("bias", [channels], Start::Zeros)?;
        node.flops = node.size()?.saturating_mul(8);
        Ok(vec![channels, height, width])
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let x = only(inputs)?.pictures()?;
        let [batch, channels, height, width] = x.dims();
        let size = channels / self.groups * height * width;
        let x = x.reshape([batch, self.groups, size]);
        let mean = x.clone().mean_dim(2);
        let centred = x - mean;
        let variance = centred.clone().powi_scalar(2).mean_dim(2);
        let normal: Tensor<4> = (centred / (variance + self.epsilon).sqrt()).reshape([batch, channels, height, width]);
        let each = |place: usize| node.flat(place).reshape([1, channels, 1, 1]);
        Ok(Value::Pictures(normal * each(0) + each(1)))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let [channels, height, width] = node.node.shape[..] else {
            return Err(Error::internal("a group norm of what is no picture"));
        };
        // As an instance normalisation of groups, whose own scale and shift are those of channels.
        let grouped = node.ints("grouped", &[0, self.groups as i64, -1])?;
        let cut = node.step("Reshape", "cut", [inputs[0].clone(), grouped]);
        let ones = node.tensor("ones", &lepton_core::Tensor::float32([self.groups], vec![1.0; self.groups])?);
        let zeros = node.tensor("zeros", &lepton_core::Tensor::float32([self.groups], vec![0.0; self.groups])?);
        let normal = node.step_with("InstanceNormalization", "normal", [cut, ones, zeros], |step| {
            step.float("epsilon", self.epsilon as f32)
        });
        let whole = node.ints("whole", &[-1, channels as i64, height as i64, width as i64])?;
        let joined = node.step("Reshape", "joined", [normal, whole]);
        let mut sides = Vec::new();
        for part in ["weight", "bias"] {
            let (_, values) = node.parameter(part)?;
            sides.push(node.tensor(part, &lepton_core::Tensor::float32([channels, 1, 1], values)?));
        }
        let scaled = node.step("Mul", "scaled", [joined, sides[0].clone()]);
        let last = node.last("Add", [scaled, sides[1].clone()]);
        node.push(last);
        Ok(())
    }
}

fn tenth() -> f64 {
    0.1
}

pub(super) fn small() -> f64 {
    1e-5
}

pub(super) fn is_small(epsilon: f64) -> bool {
    epsilon > 0.0 && epsilon < 1.0
}
