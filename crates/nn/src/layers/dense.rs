//! The dense layer.

use super::{Kind, Settings, yes};
use crate::export::Export;
use crate::forward::{Running, Value, only};
use crate::initialize::Start;
use crate::plan::{Planning, config, shape_error};
use burn::tensor::Tensor;
use lepton_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// A dense layer over the last side: `[features]` to `[units]`, `[time, features]` to `[time, units]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Linear {
    /// Features out.
    pub units: usize,
    /// Whether a bias is added.
    #[serde(default = "yes")]
    pub bias: bool,
    /// Learns a low-rank change of the weight in place of the weight itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<Adapter>,
}

/// A change of a weight as the product of two thin matrices, `weight + alpha / rank * lora_b lora_a` (Hu and others 2022);
/// weight and bias stay as they are. It begins at 0, and ONNX files hold the sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adapter {
    /// The shared side of the two matrices.
    pub rank: usize,
    /// What the change is multiplied by, over the rank.
    pub alpha: f64,
}

impl Linear {
    /// A dense layer with or without a bias.
    pub fn new(units: usize, bias: bool) -> Linear {
        Linear { units, bias, adapter: None }
    }

    /// Where `lora_a` stands among the parameters.
    fn first_of_adapter(&self) -> usize {
        1 + usize::from(self.bias)
    }
}

impl Settings for Linear {
    const SETTINGS: &'static [&'static str] = &["units", "bias", "adapter"];
}

impl Kind for Linear {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let Linear { units, bias, .. } = *self;
        if units == 0 {
            return Err(config("units is 0".to_owned()));
        }
        let mut shape = node.inputs[0].to_vec();
        if shape.len() > 2 {
            return Err(shape_error(format!("it takes [features] or [time, features], not {shape:?}"))
                .fix("put a flatten or global_avg_pool in front of it"));
        }
        let last = shape.len() - 1;
        let (features, places) = (shape[last], if last == 0 { 1 } else { shape[0] as u64 });
        let fixed = self.adapter.is_some();
        for (part, shape) in [("weight", vec![units, features]), ("bias", vec![units])] {
            match fixed {
                _ if part == "bias" && !bias => {}
                true => node.statistic(part, shape, Start::FanIn(features))?,
                false => node.weight(part, shape, Start::FanIn(features))?,
            }
        }
        if let Some(Adapter { rank, alpha }) = self.adapter {
            if rank == 0 || rank > features.min(units) || !(alpha.is_finite() && alpha > 0.0) {
                return Err(config(format!(
                    "an adapter of rank {rank} (alpha {alpha}) for {features} x {units} weights"
                ))
                .fix(format!("use a rank from 1 to {}", features.min(units))));
            }
            node.weight("lora_a", [rank, features], Start::FanIn(features))?;
            node.weight("lora_b", [units, rank], Start::Zeros)?;
        }
        node.flops = (units as u64).saturating_mul(2 * features as u64 + u64::from(bias)).saturating_mul(places);
        shape[last] = units;
        Ok(shape)
    }

    /// x·Wᵀ as (W·xᵀ)ᵀ: then the gradient of W comes out row-major, without a transposing copy of the largest tensor.
    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let mut weight: Tensor<2> = node.parameter(0)?;
        if let Some(Adapter { rank, alpha }) = self.adapter {
            let first = self.first_of_adapter();
            let (down, up): (Tensor<2>, Tensor<2>) = (node.parameter(first)?, node.parameter(first + 1)?);
            weight = weight + up.matmul(down) * (alpha / rank as f64);
        }
        let dense = |x: Tensor<2>| {
            let y = weight.matmul(x.transpose()).transpose();
            if self.bias { y + node.flat(1).reshape([1, self.units]) } else { y }
        };
        match only(inputs)? {
            Value::Rows(x) => Ok(Value::Rows(dense(x))),
            Value::Sequences(x) => {
                let [batch, time, features] = x.dims();
                let y = dense(x.reshape([batch * time, features]));
                Ok(Value::Sequences(y.reshape([batch, time, self.units])))
            }
            _ => Err(Error::internal("a dense layer takes rows or sequences")),
        }
    }

    fn export(&self, node: &mut Export<'_, '_>, mut inputs: Vec<String>) -> Result<()> {
        let weight = match &self.adapter {
            None => node.weight("weight")?,
            Some(adapter) => {
                let sum = adapter.sum(node)?;
                node.tensor("weight", &sum)
            }
        };
        if node.node.shape.len() == 1 {
            inputs.push(weight);
            if self.bias {
                inputs.push(node.weight("bias")?);
            }
            let last = node.last("Gemm", inputs).int("transB", 1);
            node.push(last);
            return Ok(());
        }
        let turned = node.step_with("Transpose", "turned", [weight], |step| step.ints("perm", [1, 0]));
        inputs.push(turned);
        if self.bias {
            let product = node.step("MatMul", "product", inputs);
            let bias = node.weight("bias")?;
            let last = node.last("Add", [product, bias]);
            node.push(last);
        } else {
            let last = node.last("MatMul", inputs);
            node.push(last);
        }
        Ok(())
    }

    fn is_local(&self) -> bool {
        true
    }
}

impl Adapter {
    /// The weight with the change added.
    fn sum(&self, node: &Export<'_, '_>) -> Result<lepton_core::Tensor> {
        let (shape, mut weight) = node.parameter("weight")?;
        let ((_, down), (_, up)) = (node.parameter("lora_a")?, node.parameter("lora_b")?);
        let (features, scale) = (shape[1], self.alpha / self.rank as f64);
        for (row, weights) in weight.chunks_exact_mut(features).enumerate() {
            for (column, weight) in weights.iter_mut().enumerate() {
                let change = (0..self.rank)
                    .map(|at| f64::from(up[row * self.rank + at]) * f64::from(down[at * features + column]));
                *weight = (f64::from(*weight) + scale * change.sum::<f64>()) as f32;
            }
        }
        lepton_core::Tensor::float32(shape, weight)
    }
}
