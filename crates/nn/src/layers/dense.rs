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
}

impl Settings for Linear {
    const SETTINGS: &'static [&'static str] = &["units", "bias"];
}

impl Kind for Linear {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let Linear { units, bias } = *self;
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
        node.weight("weight", [units, features], Start::FanIn(features))?;
        if bias {
            node.weight("bias", [units], Start::FanIn(features))?;
        }
        node.flops = (units as u64).saturating_mul(2 * features as u64 + u64::from(bias)).saturating_mul(places);
        shape[last] = units;
        Ok(shape)
    }

    /// x·Wᵀ as (W·xᵀ)ᵀ: then the gradient of W comes out row-major, without a transposing copy of the largest tensor.
    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let weight: Tensor<2> = node.parameter(0)?;
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
        if node.node.shape.len() == 1 {
            inputs.push(node.weight("weight")?);
            if self.bias {
                inputs.push(node.weight("bias")?);
            }
            let last = node.last("Gemm", inputs).int("transB", 1);
            node.push(last);
            return Ok(());
        }
        let weight = node.weight("weight")?;
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
}
