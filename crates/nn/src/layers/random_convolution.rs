//! Random convolutions: many kernels that are drawn once and never learned, and what each of them tells of a series.

use super::{Kind, Settings, TimePadding, one};
use crate::export::{Export, FLOAT};
use crate::forward::{Running, Value, only};
use crate::initialize::Start;
use crate::plan::{Planning, config, multiply};
use burn::tensor::module::conv1d;
use burn::tensor::ops::ConvOptions;
use lepton_core::Result;
use serde::{Deserialize, Serialize};

/// Random kernels over a series: `[time, channels]` to `[2 · kernels]`, of each kernel first the largest value, then,
/// behind those of all kernels, the share of places at which the value is positive. (ROCKET: Dempster and others 2020.)
///
/// The numbers of a kernel are drawn from a normal distribution and less their mean, those of several channels only for
/// some of them; its bias is uniform in ±1. Both are kept with the weights, but no gradient changes them, and none passes
/// to what stands before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RandomConv1d {
    /// How many kernels.
    pub kernels: usize,
    /// Places of each kernel.
    pub kernel: usize,
    /// Distance between the kernel's places.
    #[serde(default = "one")]
    pub dilation: usize,
    /// Zeros at the ends.
    #[serde(default)]
    pub padding: TimePadding,
}

impl Settings for RandomConv1d {
    const SETTINGS: &'static [&'static str] = &["kernels", "kernel", "dilation", "padding"];
}

impl Kind for RandomConv1d {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let [time, channels] = node.sequence(0)?;
        node.fixed_time()?;
        let RandomConv1d { kernels, kernel, dilation, padding } = *self;
        if kernels == 0 {
            return Err(config("it has no kernels".to_owned()));
        }
        let count = super::window::time_windows(time, kernel, 1, dilation, padding)?;
        node.statistic("weight", [kernels, channels, kernel], Start::Kernels)?;
        node.statistic("bias", [kernels], Start::Within(1.0))?;
        let products = multiply(&[kernels, count, channels, kernel])? as u64;
        node.flops = products.saturating_mul(2).saturating_add(3 * (kernels * count) as u64);
        Ok(vec![multiply(&[2, kernels])?])
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let x = only(inputs)?.sequences()?.inner();
        let [before, after] = self.padding.edges(x.dims()[1], self.kernel, 1, self.dilation);
        let options = ConvOptions::new_with_padding([1], [(before, after)], [self.dilation], 1);
        let weight = node.parameter::<3>(0)?.inner();
        let values = conv1d(x.swap_dims(1, 2), weight, Some(node.flat(1).inner()), options);
        let [batch, kernels, _] = values.dims();
        let shares = values.clone().greater_elem(0.0).float().mean_dim(2).reshape([batch, kernels]);
        let largest = values.max_dim(2).reshape([batch, kernels]);
        Ok(Value::Rows(burn::tensor::Tensor::cat(vec![largest, shares], 1)))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let edges = self.padding.edges(node.node.input_shape[0], self.kernel, 1, self.dilation);
        let turned = node.step_with("Transpose", "channels_first", inputs, |step| step.ints("perm", [0, 2, 1]));
        let inputs = vec![turned, node.weight("weight")?, node.weight("bias")?];
        let values = node.step_with("Conv", "convolved", inputs, |step| {
            super::window::window(step, &[self.kernel], &[1], &edges).ints("dilations", [self.dilation as i64])
        });
        let over_time = |step: lepton_onnx::NodeProto| step.ints("axes", [2]).int("keepdims", 0);
        let largest = node.step_with("ReduceMax", "largest", [values.clone()], over_time);
        let zero = node.tensor("zero", &lepton_core::Tensor::float32([1], vec![0.0])?);
        let positive = node.step("Greater", "positive", [values, zero]);
        let counted = node.step_with("Cast", "counted", [positive], |step| step.int("to", FLOAT));
        let shares = node.step_with("ReduceMean", "shares", [counted], over_time);
        let last = node.last("Concat", [largest, shares]).int("axis", 1);
        node.push(last);
        Ok(())
    }
}
