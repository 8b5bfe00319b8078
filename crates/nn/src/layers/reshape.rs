//! The same values in another shape, and pictures made larger.

use super::{Kind, Settings};
use crate::export::Export;
use crate::forward::{Running, Value, only};
use crate::plan::{Planning, config, elements, multiply, shape_error};
use burn::tensor::Tensor;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use lepton_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Any shape to one side, row-major.
pub(super) struct Flatten;

impl Kind for Flatten {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        node.fixed_time()?;
        Ok(vec![node.size()? as usize])
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        to_shape(only(inputs)?, &node.node.shape)
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let last = node.last("Flatten", inputs).int("axis", 1);
        node.push(last);
        Ok(())
    }
}

/// The same values in another shape, row-major.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reshape {
    /// The shape of one row: one to three sides with as many elements as go in.
    pub shape: Vec<usize>,
}

impl Settings for Reshape {
    const SETTINGS: &'static [&'static str] = &["shape"];
}

impl Kind for Reshape {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        node.fixed_time()?;
        let (from, to) = (node.inputs[0], &self.shape);
        if to.is_empty() || to.len() > 3 {
            return Err(config(format!("a row has one to three sides, not {to:?}")));
        }
        if elements(to)? as u64 != node.size()? {
            return Err(shape_error(format!("{from:?} and {to:?} do not have the same number of elements")));
        }
        Ok(to.clone())
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        to_shape(only(inputs)?, &node.node.shape)
    }

    fn export(&self, node: &mut Export<'_, '_>, mut inputs: Vec<String>) -> Result<()> {
        let shape: Vec<i64> = std::iter::once(-1).chain(self.shape.iter().map(|&side| side as i64)).collect();
        inputs.push(node.ints("shape", &shape)?);
        let last = node.last("Reshape", inputs);
        node.push(last);
        Ok(())
    }
}

/// `x` with rows of that shape.
fn to_shape(x: Value, shape: &[usize]) -> Result<Value> {
    fn turn<const D: usize>(x: Tensor<D>, shape: &[usize]) -> Result<Value> {
        let batch = x.dims()[0];
        match *shape {
            [a] => Ok(Value::Rows(x.reshape([batch, a]))),
            [a, b] => Ok(Value::Sequences(x.reshape([batch, a, b]))),
            [a, b, c] => Ok(Value::Pictures(x.reshape([batch, a, b, c]))),
            _ => Err(Error::internal("a row has one to three sides")),
        }
    }
    match x {
        Value::Rows(x) => turn(x, shape),
        Value::Sequences(x) => turn(x, shape),
        Value::Pictures(x) => turn(x, shape),
        Value::Codes(_) => Err(Error::internal("codes reached a layer of floats")),
    }
}

/// A picture's places as a sequence.
pub(super) struct ToSequence;

impl Kind for ToSequence {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let [channels, height, width] = node.picture()?;
        Ok(vec![multiply(&[height, width])?, channels])
    }

    fn forward(&self, _node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let x = only(inputs)?.pictures()?;
        let [batch, channels, height, width] = x.dims();
        Ok(Value::Sequences(x.reshape([batch, channels, height * width]).swap_dims(1, 2)))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let places = node.ints("places", &[0, node.node.input_shape[0] as i64, -1])?;
        let flat = node.step("Reshape", "flat", [inputs[0].clone(), places]);
        let last = node.last("Transpose", [flat]).ints("perm", [0, 2, 1]);
        node.push(last);
        Ok(())
    }
}

/// What stands between the pixels of an enlarged picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpsampleMode {
    /// Weighted means of the four nearest pixels, corners not aligned (PyTorch's `align_corners=False`).
    #[default]
    Bilinear,
    /// Each pixel repeated.
    Nearest,
}

/// A picture enlarged by a whole number: `[channels, height, width]` to `[channels, height · scale, width · scale]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upsample {
    /// The factor.
    pub scale: usize,
    /// What stands between the pixels.
    #[serde(default)]
    pub mode: UpsampleMode,
}

impl Settings for Upsample {
    const SETTINGS: &'static [&'static str] = &["scale", "mode"];
}

impl Kind for Upsample {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let [channels, height, width] = node.picture()?;
        if self.scale == 0 || self.scale > 64 {
            return Err(config(format!("scale is 1 to 64, not {}", self.scale)));
        }
        let shape = vec![channels, multiply(&[height, self.scale])?, multiply(&[width, self.scale])?];
        let per_pixel = if self.mode == UpsampleMode::Bilinear { 7 } else { 0 };
        node.flops = (elements(&shape)? as u64).saturating_mul(per_pixel);
        Ok(shape)
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let mode = match self.mode {
            UpsampleMode::Bilinear => InterpolateMode::Bilinear,
            UpsampleMode::Nearest => InterpolateMode::Nearest,
        };
        let size = [node.node.shape[1], node.node.shape[2]];
        let options = InterpolateOptions::new(mode).with_align_corners(false).with_output_size(size);
        Ok(Value::Pictures(interpolate(only(inputs)?.pictures()?, options)))
    }

    fn export(&self, node: &mut Export<'_, '_>, mut inputs: Vec<String>) -> Result<()> {
        let scale = self.scale as f32;
        let scales = lepton_core::Tensor::float32([4], vec![1.0, 1.0, scale, scale])?;
        inputs.push(String::new());
        inputs.push(node.tensor("scales", &scales));
        let last = match self.mode {
            UpsampleMode::Bilinear => {
                node.last("Resize", inputs).text("mode", "linear").text("coordinate_transformation_mode", "half_pixel")
            }
            UpsampleMode::Nearest => node
                .last("Resize", inputs)
                .text("mode", "nearest")
                .text("coordinate_transformation_mode", "asymmetric")
                .text("nearest_mode", "floor"),
        };
        node.push(last);
        Ok(())
    }
}
