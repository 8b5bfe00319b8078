//! Activations: functions of each value, and softmax.

use super::{Kind, Settings};
use crate::export::Export;
use crate::forward::{Running, Value, each_rank, only};
use crate::plan::{Planning, config};
use burn::tensor::{Tensor, activation};
use lepton_core::Result;
use serde::{Deserialize, Serialize};

/// A function of each value without settings.
#[derive(Clone, Copy)]
pub(super) enum Function {
    Relu,
    Relu6,
    Gelu,
    Silu,
    Mish,
    Selu,
    Softplus,
    Sigmoid,
    HardSigmoid,
    HardSwish,
    Tanh,
}

impl Function {
    fn of<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Function::Relu => activation::relu(x),
            Function::Relu6 => activation::relu6(x),
            Function::Gelu => activation::gelu(x),
            Function::Silu => activation::silu(x),
            Function::Mish => activation::mish(x),
            Function::Selu => activation::selu(x),
            Function::Softplus => activation::softplus_with_threshold(x, 1.0, 20.0),
            Function::Sigmoid => activation::sigmoid(x),
            Function::HardSigmoid => activation::hard_sigmoid(x, 1.0 / 6.0, 0.5),
            Function::HardSwish => activation::hard_swish(x),
            Function::Tanh => activation::tanh(x),
        }
    }

    /// Rough FLOPs of one value.
    fn cost(self) -> u64 {
        match self {
            Function::Relu => 1,
            Function::Relu6 => 2,
            Function::HardSigmoid | Function::HardSwish => 4,
            Function::Mish => 10,
            _ => 4,
        }
    }
}

impl Kind for Function {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        node.flops = node.size()?.saturating_mul(self.cost());
        Ok(node.inputs[0].to_vec())
    }

    fn forward(&self, _node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        each_rank!(only(inputs)?, x => self.of(x))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let x = inputs[0].clone();
        let last = match self {
            Function::Relu => node.last("Relu", [x]),
            Function::Relu6 => {
                let (least, most) = (node.number("least", 0.0)?, node.number("most", 6.0)?);
                node.last("Clip", [x, least, most])
            }
            Function::Gelu => {
                // x/2 · (1 + erf(x/√2)): the operator of its own came only with opset 20.
                let root = node.number("root_half", std::f32::consts::FRAC_1_SQRT_2)?;
                let (one, half) = (node.number("one", 1.0)?, node.number("half", 0.5)?);
                let scaled = node.step("Mul", "scaled", [x.clone(), root]);
                let erf = node.step("Erf", "erf", [scaled]);
                let shifted = node.step("Add", "shifted", [erf, one]);
                let product = node.step("Mul", "product", [x, shifted]);
                node.last("Mul", [product, half])
            }
            Function::Silu => {
                let gate = node.step("Sigmoid", "gate", [x.clone()]);
                node.last("Mul", [x, gate])
            }
            Function::Mish => {
                let soft = node.step("Softplus", "softplus", [x.clone()]);
                let gate = node.step("Tanh", "gate", [soft]);
                node.last("Mul", [x, gate])
            }
            Function::Selu => {
                // As scale · (elu with its own alpha): engines without Selu have Elu.
                let scale = node.number("scale", 1.050_701)?;
                let elu = node.step_with("Elu", "elu", [x], |step| step.float("alpha", 1.673_263_2));
                node.last("Mul", [elu, scale])
            }
            Function::Softplus => node.last("Softplus", [x]),
            Function::Sigmoid => node.last("Sigmoid", [x]),
            Function::HardSigmoid => node.last("HardSigmoid", [x]).float("alpha", 1.0 / 6.0).float("beta", 0.5),
            Function::HardSwish => node.last("HardSwish", [x]),
            Function::Tanh => node.last("Tanh", [x]),
        };
        node.push(last);
        Ok(())
    }

    fn is_local(&self) -> bool {
        true
    }
}

/// max(x, 0) + slope · min(x, 0).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeakyRelu {
    /// The slope below 0.
    #[serde(default = "hundredth")]
    pub slope: f64,
}

impl Settings for LeakyRelu {
    const SETTINGS: &'static [&'static str] = &["slope"];
}

impl Kind for LeakyRelu {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        if !self.slope.is_finite() {
            return Err(config(format!("slope {} is no number", self.slope)));
        }
        node.flops = node.size()?.saturating_mul(2);
        Ok(node.inputs[0].to_vec())
    }

    fn forward(&self, _node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        each_rank!(only(inputs)?, x => activation::leaky_relu(x, self.slope))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let last = node.last("LeakyRelu", inputs).float("alpha", self.slope as f32);
        node.push(last);
        Ok(())
    }

    fn is_local(&self) -> bool {
        true
    }
}

/// x above 0, alpha · (exp(x) - 1) below.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Elu {
    /// How far below 0 it goes.
    #[serde(default = "whole")]
    pub alpha: f64,
}

impl Settings for Elu {
    const SETTINGS: &'static [&'static str] = &["alpha"];
}

impl Kind for Elu {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        if !(self.alpha.is_finite() && self.alpha > 0.0) {
            return Err(config(format!("alpha {} is not above 0", self.alpha)));
        }
        node.flops = node.size()?.saturating_mul(4);
        Ok(node.inputs[0].to_vec())
    }

    fn forward(&self, _node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        each_rank!(only(inputs)?, x => activation::elu(x, self.alpha))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let last = node.last("Elu", inputs).float("alpha", self.alpha as f32);
        node.push(last);
        Ok(())
    }

    fn is_local(&self) -> bool {
        true
    }
}

/// Probabilities over the last side.
pub(super) struct Softmax;

impl Kind for Softmax {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        node.flops = node.size()?.saturating_mul(5);
        Ok(node.inputs[0].to_vec())
    }

    fn forward(&self, _node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        each_rank!(only(inputs)?, x => activation::softmax(x, -1))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let last = node.last("Softmax", inputs).int("axis", -1);
        node.push(last);
        Ok(())
    }

    fn is_local(&self) -> bool {
        true
    }
}

fn hundredth() -> f64 {
    0.01
}

fn whole() -> f64 {
    1.0
}
