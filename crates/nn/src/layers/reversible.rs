//! Normalisation of a window by its own level and spread, and the way back for what a network makes of it: reversible
//! instance normalisation (Kim and others 2022), without its learned scale and shift. As layers they are part of the
//! ONNX file, so that nothing outside it must know the window.

use super::{Kind, Settings, yes};
use crate::export::Export;
use crate::forward::{Running, Value, only};
use crate::plan::{Planning, config, shape_error};
use burn::tensor::Tensor;
use lepton_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// What is taken off a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Centre {
    /// Its mean.
    #[default]
    Mean,
    /// Its last value (Zeng and others 2023, NLinear).
    Last,
}

/// A window less its centre, over its standard deviation: `[time, 1]` to the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReversibleNorm {
    /// What is taken off.
    #[serde(default)]
    pub centre: Centre,
    /// Whether what is left is divided by the standard deviation.
    #[serde(default = "yes")]
    pub scale: bool,
    /// Added to the variance.
    #[serde(default = "small")]
    pub epsilon: f64,
}

/// The way back: values `[values]`, times the standard deviation of the second input, a window `[time, 1]`, and its
/// centre added. The settings are those of the [`ReversibleNorm`] that it undoes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReverseNorm {
    /// What was taken off.
    #[serde(default)]
    pub centre: Centre,
    /// Whether what was left was divided by the standard deviation.
    #[serde(default = "yes")]
    pub scale: bool,
    /// What was added to the variance.
    #[serde(default = "small")]
    pub epsilon: f64,
}

impl ReversibleNorm {
    /// With the usual epsilon, 1e-5.
    pub fn new(centre: Centre, scale: bool) -> ReversibleNorm {
        ReversibleNorm { centre, scale, epsilon: small() }
    }

    /// What undoes it.
    pub fn reverse(&self) -> ReverseNorm {
        ReverseNorm { centre: self.centre, scale: self.scale, epsilon: self.epsilon }
    }

    fn check(&self, window: [usize; 2]) -> Result<()> {
        if !(self.epsilon > 0.0 && self.epsilon < 1.0) {
            return Err(config(format!("epsilon {} is outside 0 to 1", self.epsilon)));
        }
        if window[1] != 1 {
            let message = format!("a window has one number a step, [time, 1], not {window:?}");
            return Err(shape_error(message));
        }
        Ok(())
    }

    /// Centre and deviation of windows `[batch, time, 1]`, `[batch, 1, 1]` both.
    fn moments(&self, x: Tensor<3>) -> (Tensor<3>, Option<Tensor<3>>) {
        let time = x.dims()[1];
        let mean = x.clone().mean_dim(1);
        let deviation =
            self.scale.then(|| ((x.clone() - mean.clone()).powi_scalar(2).mean_dim(1) + self.epsilon).sqrt());
        let centre = match self.centre {
            Centre::Mean => mean,
            Centre::Last => x.narrow(1, time - 1, 1),
        };
        (centre, deviation)
    }

    /// The values of [`ReversibleNorm::moments`] for the window `x`.
    fn export_moments(&self, node: &mut Export<'_, '_>, x: &str) -> Result<(String, Option<String>)> {
        let over_time = |node: &mut Export<'_, '_>, part: &str, of: &str| {
            node.step_with("ReduceMean", part, [of.to_owned()], |step| step.ints("axes", [1]).int("keepdims", 1))
        };
        let mean = (self.scale || self.centre == Centre::Mean).then(|| over_time(node, "mean", x));
        let deviation = match (&mean, self.scale) {
            (Some(mean), true) => {
                let left = node.step("Sub", "left", [x.to_owned(), mean.clone()]);
                let squares = node.step("Mul", "squares", [left.clone(), left]);
                let variance = over_time(node, "variance", &squares);
                let epsilon = node.number("epsilon", self.epsilon as f32)?;
                let variance = node.step("Add", "above_zero", [variance, epsilon]);
                Some(node.step("Sqrt", "deviation", [variance]))
            }
            _ => None,
        };
        let centre = match (mean, self.centre) {
            (Some(mean), Centre::Mean) => mean,
            _ => {
                let last = node.ints("last", &[-1])?;
                node.step_with("Gather", "last_step", [x.to_owned(), last], |step| step.int("axis", 1))
            }
        };
        Ok((centre, deviation))
    }
}

impl Settings for ReversibleNorm {
    const SETTINGS: &'static [&'static str] = &["centre", "scale", "epsilon"];
}

impl Settings for ReverseNorm {
    const SETTINGS: &'static [&'static str] = &["centre", "scale", "epsilon"];
}

impl Kind for ReversibleNorm {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let window = node.sequence(0)?;
        self.check(window)?;
        node.flops = node.size()?.saturating_mul(6);
        Ok(window.to_vec())
    }

    fn forward(&self, _node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let x = only(inputs)?.sequences()?;
        let (centre, deviation) = self.moments(x.clone());
        let left = x - centre;
        Ok(Value::Sequences(match deviation {
            Some(deviation) => left / deviation,
            None => left,
        }))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let x = inputs[0].clone();
        let (centre, deviation) = self.export_moments(node, &x)?;
        let last = match deviation {
            None => node.last("Sub", [x, centre]),
            Some(deviation) => {
                let moved = node.step("Sub", "moved", [x, centre]);
                node.last("Div", [moved, deviation])
            }
        };
        node.push(last);
        Ok(())
    }
}

impl ReverseNorm {
    fn undoes(&self) -> ReversibleNorm {
        ReversibleNorm { centre: self.centre, scale: self.scale, epsilon: self.epsilon }
    }
}

impl Kind for ReverseNorm {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let values: [usize; 1] = node.inputs[0].try_into().map_err(|_| {
            shape_error(format!("its first input is a row of values, [values], not {:?}", node.inputs[0]))
        })?;
        let window = node.sequence(1)?;
        self.undoes().check(window)?;
        node.flops = (2 * values[0] as u64).saturating_add(5 * window[0] as u64);
        Ok(values.to_vec())
    }

    fn forward(&self, _node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let mut inputs = inputs.into_iter();
        let mut next = || inputs.next().ok_or_else(|| Error::internal("the way back takes two inputs"));
        let (values, window) = (next()?.rows()?, next()?.sequences()?);
        let batch = values.dims()[0];
        let (centre, deviation) = self.undoes().moments(window);
        let scaled = match deviation {
            Some(deviation) => values * deviation.reshape([batch, 1]),
            None => values,
        };
        Ok(Value::Rows(scaled + centre.reshape([batch, 1])))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let (centre, deviation) = self.undoes().export_moments(node, &inputs[1].clone())?;
        let time = node.ints("time", &[1])?;
        let centre = node.step("Squeeze", "centre", [centre, time.clone()]);
        let mut values = inputs[0].clone();
        if let Some(deviation) = deviation {
            let deviation = node.step("Squeeze", "spread", [deviation, time]);
            values = node.step("Mul", "scaled", [values, deviation]);
        }
        let last = node.last("Add", [values, centre]);
        node.push(last);
        Ok(())
    }

    fn inputs(&self) -> (usize, usize) {
        (2, 2)
    }
}

fn small() -> f64 {
    1e-5
}
