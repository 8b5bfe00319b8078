//! Dropout.

use super::{Kind, Settings};
use crate::export::Export;
use crate::forward::{Mode, Running, Value, each_rank, only};
use crate::initialize::unit;
use crate::plan::{Planning, config};
use burn::tensor::{Device, Tensor, TensorData};
use lepton_core::{Result, Seed};
use serde::{Deserialize, Serialize};

/// Zeroes each value with probability `p` in training and scales the others by 1 / (1 - p); nothing in
/// inference. (Srivastava and others 2014.)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dropout {
    /// The probability, in [0, 1).
    pub p: f64,
}

impl Settings for Dropout {
    const SETTINGS: &'static [&'static str] = &["p"];
}

impl Kind for Dropout {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        check(self.p)?;
        Ok(node.inputs[0].to_vec())
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let first = only(inputs)?;
        match node.mode {
            Mode::Training { seed, step } if self.p > 0.0 => {
                let name = &node.node.name;
                each_rank!(first, x => drop_some(x, self.p, name, seed, step))
            }
            _ => Ok(first),
        }
    }

    fn export(&self, node: &mut Export<'_, '_>, mut inputs: Vec<String>) -> Result<()> {
        if node.is_last {
            let last = node.last("Identity", inputs);
            node.push(last);
        } else {
            node.output = inputs.swap_remove(0);
        }
        Ok(())
    }

    fn is_local(&self) -> bool {
        true
    }
}

/// Refuses what is no probability.
pub(super) fn check(p: f64) -> Result<()> {
    if (0.0..1.0).contains(&p) { Ok(()) } else { Err(config(format!("p = {p} is outside [0, 1)"))) }
}

/// Zeroes values with probability `p` by the stream of that name and step.
pub(super) fn drop_some<const D: usize>(x: Tensor<D>, p: f64, name: &str, seed: Seed, step: u64) -> Tensor<D> {
    let mut rng = seed.rng(&format!("dropout {name}"), &[step]);
    let (p, keep) = (p as f32, (1.0 / (1.0 - p)) as f32);
    let shape = x.dims();
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| if unit(&mut rng) < p { 0.0 } else { keep }).collect();
    x * Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}
