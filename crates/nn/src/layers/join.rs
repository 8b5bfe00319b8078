//! Layers with several inputs.

use super::{Kind, Settings};
use crate::export::Export;
use crate::forward::{Running, Value};
use crate::plan::{Planning, config, shape_error};
use burn::tensor::Tensor;
use lepton_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// The sum of inputs of one shape.
pub(super) struct Add;

impl Kind for Add {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let first = node.inputs[0];
        if let Some(other) = node.inputs.iter().find(|other| **other != first) {
            return Err(shape_error(format!("its inputs have shapes {first:?} and {other:?}, which cannot be added")));
        }
        node.flops = node.size()?.saturating_mul(node.inputs.len() as u64 - 1);
        Ok(first.to_vec())
    }

    fn forward(&self, _node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        fold(inputs, |sum, next| match (sum, next) {
            (Value::Rows(a), Value::Rows(b)) => Ok(Value::Rows(a + b)),
            (Value::Sequences(a), Value::Sequences(b)) => Ok(Value::Sequences(a + b)),
            (Value::Pictures(a), Value::Pictures(b)) => Ok(Value::Pictures(a + b)),
            _ => Err(Error::internal("ranks differ in add")),
        })
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let mut sum = inputs[0].clone();
        for (place, next) in inputs[1..inputs.len() - 1].iter().enumerate() {
            sum = node.step("Add", &format!("sum{place}"), [sum, next.clone()]);
        }
        let last = node.last("Add", [sum, inputs[inputs.len() - 1].clone()]);
        node.push(last);
        Ok(())
    }

    fn inputs(&self) -> (usize, usize) {
        (2, usize::MAX)
    }

    fn is_local(&self) -> bool {
        true
    }
}

/// The product of two inputs of one shape, or of a picture and a row with a number for each channel.
pub(super) struct Mul;

impl Kind for Mul {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let (first, second) = (node.inputs[0], node.inputs[1]);
        let is_gate = first.len() == 3 && second == &first[..1];
        if first != second && !is_gate {
            return Err(shape_error(format!(
                "its inputs have shapes {first:?} and {second:?}, which cannot be multiplied"
            )));
        }
        node.flops = node.size()?;
        Ok(first.to_vec())
    }

    fn forward(&self, _node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        fold(inputs, |product, next| match (product, next) {
            (Value::Rows(a), Value::Rows(b)) => Ok(Value::Rows(a * b)),
            (Value::Sequences(a), Value::Sequences(b)) => Ok(Value::Sequences(a * b)),
            (Value::Pictures(a), Value::Pictures(b)) => Ok(Value::Pictures(a * b)),
            (Value::Pictures(a), Value::Rows(b)) => {
                let [batch, channels] = b.dims();
                Ok(Value::Pictures(a * b.reshape([batch, channels, 1, 1])))
            }
            _ => Err(Error::internal("ranks differ in mul")),
        })
    }

    fn export(&self, node: &mut Export<'_, '_>, mut inputs: Vec<String>) -> Result<()> {
        let is_picture = node.node.input_shape.len() == 3;
        if is_picture && node.second_rank() == 1 {
            let sides = node.ints("sides", &[2, 3])?;
            inputs[1] = node.step("Unsqueeze", "gates", [inputs[1].clone(), sides]);
        }
        let last = node.last("Mul", inputs);
        node.push(last);
        Ok(())
    }

    fn inputs(&self) -> (usize, usize) {
        (2, 2)
    }
}

/// Joins two or more inputs along one side of a row: channels of pictures are side 0, features of sequences side 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Concat {
    /// The side, without the batch.
    #[serde(default)]
    pub axis: usize,
}

impl Settings for Concat {
    const SETTINGS: &'static [&'static str] = &["axis"];
}

impl Kind for Concat {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let first = node.inputs[0];
        if self.axis >= first.len() {
            return Err(config(format!("there is no side {} in {first:?}", self.axis)));
        }
        let mut shape = first.to_vec();
        for other in &node.inputs[1..] {
            let fits = other.len() == first.len()
                && (0..first.len()).all(|side| side == self.axis || other[side] == first[side]);
            if !fits {
                let along = if self.axis == 0 { "the first side".to_owned() } else { format!("side {}", self.axis) };
                return Err(shape_error(format!(
                    "its inputs have shapes {first:?} and {other:?}, which cannot be joined along {along}"
                )));
            }
            shape[self.axis] += other[self.axis];
        }
        Ok(shape)
    }

    fn forward(&self, _node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let axis = self.axis + 1;
        fold(inputs, |sum, next| match (sum, next) {
            (Value::Rows(a), Value::Rows(b)) => Ok(Value::Rows(Tensor::cat(vec![a, b], axis))),
            (Value::Sequences(a), Value::Sequences(b)) => Ok(Value::Sequences(Tensor::cat(vec![a, b], axis))),
            (Value::Pictures(a), Value::Pictures(b)) => Ok(Value::Pictures(Tensor::cat(vec![a, b], axis))),
            _ => Err(Error::internal("ranks differ in concat")),
        })
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let last = node.last("Concat", inputs).int("axis", self.axis as i64 + 1);
        node.push(last);
        Ok(())
    }

    fn inputs(&self) -> (usize, usize) {
        (2, usize::MAX)
    }
}

fn fold(inputs: Vec<Value>, join: impl FnMut(Value, Value) -> Result<Value>) -> Result<Value> {
    let mut inputs = inputs.into_iter();
    let first = inputs.next().ok_or_else(|| Error::internal("a layer without inputs"))?;
    inputs.try_fold(first, join)
}
