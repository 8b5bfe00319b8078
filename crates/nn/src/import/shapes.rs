//! Other axes for the same numbers, pieces of an axis, and what passes a value on.

use super::axes::{Length, size};
use super::constants::range;
use super::graph::{int, ints, refuse};
use super::{Import, SUPPORTED, Value};
use crate::{Dropout, Layer};
use lepton_core::Result;
use lepton_onnx::NodeProto;

impl Import<'_> {
    /// Flatten, Reshape, Transpose, Squeeze and Unsqueeze.
    pub(super) fn reshaped(&mut self, node: &NodeProto) -> Result<()> {
        let Some(Value::Activation(x)) = self.input(node, 0)? else {
            return Err(refuse(node, "a shape that depends on the network's input").fix(SUPPORTED));
        };
        let rank = x.axes.len();
        let value = match node.op_type.as_str() {
            "Transpose" => {
                let order = match ints(node, "perm") {
                    None => (0..rank).rev().collect(),
                    Some(order) => {
                        order.iter().map(|&axis| usize::try_from(axis).unwrap_or(usize::MAX)).collect::<Vec<_>>()
                    }
                };
                x.transpose(&order)
            }
            "Squeeze" => {
                let axes = self.axes(node)?;
                x.squeeze(axes.as_deref())
            }
            "Unsqueeze" => {
                let axes = self.axes(node)?.unwrap_or_default();
                x.unsqueeze(&axes)
            }
            "Flatten" => {
                let axis = int(node, "axis", 1);
                if !(axis == 1 || axis == 1 - rank as i64) || x.batch_axis() != Some(0) {
                    return Err(refuse(node, "only from axis 1 on, with the batch in front"));
                }
                x.reshape(&[Length::Batch, Length::Known(-1)])
            }
            _ => match self.input(node, 1)?.and_then(|target| target.lengths()) {
                Some(target) => x.reshape(&target),
                None => return Err(refuse(node, "the target is not a known shape").fix(SUPPORTED)),
            },
        };
        let mut value = value.map_err(|why| refuse(node, why))?;
        // A row that is flat from here on gets its layer here, under this node's name.
        let is_flat = value.axes.len() == 2 && value.batch_axis() == Some(0) && value.axes[1] == value.stored;
        if is_flat && value.row.len() > 1 && !value.codes && !value.is_free() && value.row != [size(&value.stored)] {
            let hint = self.hint(node, None);
            (value.layer, value.row) = self.builder.layer(node, &hint, Layer::Flatten, &value, Vec::new())?;
        }
        self.give(node, 0, Value::Activation(value));
        Ok(())
    }

    /// Identity, Cast and Dropout.
    pub(super) fn passed_on(&mut self, node: &NodeProto) -> Result<()> {
        let Some(Value::Activation(mut x)) = self.input(node, 0)? else {
            return Err(refuse(node, "its input is missing"));
        };
        match (node.op_type.as_str(), int(node, "to", 1)) {
            ("Cast", 6 | 7) => x.codes = true,
            ("Cast", 1) if !x.codes => {}
            ("Cast", to) => return Err(refuse(node, format!("a cast to type {to}"))),
            ("Dropout", _) => {
                if node.output.iter().skip(1).any(|output| self.graph.is_taken(output)) {
                    return Err(refuse(node, "its mask is used"));
                }
                let p = match self.input(node, 1)? {
                    Some(ratio) => ratio.single(),
                    None => node.find("ratio").map_or(Some(0.5), |ratio| ratio.f),
                };
                let p = p.map_or(0.5, super::graph::decimal);
                let hint = self.hint(node, None);
                let (layer, row) = self.builder.layer(node, &hint, Dropout { p }, &x, Vec::new())?;
                self.builder.note(format!("\"{layer}\" drops values in training again (p = {p})"));
                (x.layer, x.row) = (layer, row);
            }
            _ => {}
        }
        self.give(node, 0, Value::Activation(x));
        Ok(())
    }

    /// Gather: a table by codes, or one piece of an axis.
    pub(super) fn gather(&mut self, node: &NodeProto) -> Result<()> {
        let x = match (self.input(node, 0)?, self.input(node, 1)?) {
            (Some(Value::Activation(x)), Some(Value::Constant(..))) if !x.codes => x,
            (_, Some(Value::Activation(codes))) if codes.codes => return self.embedding(node, codes),
            _ => return Err(refuse(node, "only of a table by codes, or of one place of an axis").fix(SUPPORTED)),
        };
        let axis = x.axis(int(node, "axis", 0)).map_err(|why| refuse(node, why))?;
        let is_scalar = matches!(self.input(node, 1)?, Some(Value::Constant(tensor, _)) if tensor.shape().is_empty());
        let Some([place]) =
            self.integers(node, 1)?.as_deref().map(<[i64]>::to_vec).and_then(|list| <[i64; 1]>::try_from(list).ok())
        else {
            return Err(refuse(node, "several places of an axis at once"));
        };
        let length = size(&x.axes[axis]) as i64;
        if place >= length || place < -length {
            return Err(refuse(node, format!("there is no place {place} in an axis of {length}")));
        }
        let to = if place == -1 { i64::MAX } else { place + 1 };
        let mut value = self.narrow(node, x, axis, (place, to))?;
        if is_scalar {
            value = value.squeeze(Some(&[axis as i64])).map_err(|why| refuse(node, why))?;
        }
        self.give(node, 0, Value::Activation(value));
        Ok(())
    }

    pub(super) fn slice(&mut self, node: &NodeProto) -> Result<()> {
        let mut x = self.layer_value(node, 0)?;
        let (Some(from), Some(to)) = (self.integers(node, 1)?, self.integers(node, 2)?) else {
            return Err(refuse(node, "its beginnings or ends are missing"));
        };
        let axes = self.integers(node, 3)?.unwrap_or_else(|| (0..from.len() as i64).collect());
        let steps = self.integers(node, 4)?.unwrap_or_else(|| vec![1; from.len()]);
        if from.len() != to.len() || from.len() != axes.len() || steps.iter().any(|&step| step != 1) {
            return Err(refuse(node, "steps other than 1, or lists of different lengths"));
        }
        for ((axis, from), to) in axes.into_iter().zip(from).zip(to) {
            let axis = x.axis(axis).map_err(|why| refuse(node, why))?;
            // Exporters write whole axes out, the batch too.
            let is_batch = x.axes[axis].iter().any(|side| side.is_batch());
            let is_whole = from == 0
                && (to >= i64::from(i32::MAX)
                    || !is_batch && range(0, to, size(&x.axes[axis])).1 == size(&x.axes[axis]));
            let is_free = x.axes[axis].iter().any(|side| side.free);
            if is_whole && (!is_free || to >= i64::from(i32::MAX)) {
                continue;
            }
            let to = if to >= i64::from(i32::MAX) { i64::MAX } else { to };
            x = self.narrow(node, x, axis, (from, to))?;
        }
        self.give(node, 0, Value::Activation(x));
        Ok(())
    }
}
