//! Dense layers from Gemm and MatMul, and embeddings from Gather.

use super::axes::Activation;
use super::constants::Weights;
use super::graph::{float, int, refuse};
use super::{Import, SUPPORTED, Value};
use crate::{Embedding, Linear};
use lepton_core::Result;
use lepton_onnx::NodeProto;

impl Import<'_> {
    pub(super) fn gemm(&mut self, node: &NodeProto) -> Result<()> {
        if int(node, "transA", 0) != 0 || float(node, "alpha", 1.0) != 1.0 || float(node, "beta", 1.0) != 1.0 {
            return Err(refuse(node, "transA, alpha and beta other than 0, 1 and 1 are not supported"));
        }
        let x = self.layer_value(node, 0)?;
        if x.axes.len() != 2 {
            return Err(refuse(node, format!("its input has {} axes, not 2", x.axes.len())));
        }
        let weight = self.needed_weights(node, 1)?;
        let bias = self.weights(node, 2)?;
        let is_turned = int(node, "transB", 0) != 0;
        let made = self.dense(node, weight, is_turned, bias)?;
        self.give(node, 0, Value::Activation(made));
        Ok(())
    }

    pub(super) fn matmul(&mut self, node: &NodeProto) -> Result<()> {
        let second = self.input(node, 1)?;
        if !matches!(second, Some(Value::Constant(..))) {
            return Err(refuse(node, "the second factor has to be a constant, as the weight of a dense layer is")
                .fix(SUPPORTED));
        }
        let weight = self.needed_weights(node, 1)?;
        let units = weight.shape.last().copied().unwrap_or(0);
        // A bias that is added to nothing else belongs to the layer.
        let mut bias = None;
        let mut last = node;
        if let Some((index, add)) = node.output.first().and_then(|product| self.graph.only_taker(product))
            && add.op_type == "Add"
            && let Some(place) = add.input.iter().position(|name| node.output.first() != Some(name))
            && let Some(Value::Constant(tensor, _)) = self.known(&add.input[place])?
            && tensor.data().len() == units
            && tensor.shape().last() == Some(&units)
        {
            bias = self.weights(add, place)?;
            self.done.insert(index);
            last = add;
        }
        let made = self.dense(node, weight, false, bias)?;
        self.give(last, 0, Value::Activation(made));
        Ok(())
    }

    /// A dense layer over the last axis of the node's first input. The weight is `[features, units]`, or the other way
    /// round where it is turned.
    fn dense(
        &mut self,
        node: &NodeProto,
        weight: Weights,
        is_turned: bool,
        bias: Option<Weights>,
    ) -> Result<Activation> {
        let [rows, columns] = weight.shape[..] else {
            return Err(refuse(node, format!("a weight of shape {:?}, not of two sides", weight.shape)));
        };
        let hint = self.hint(node, Some(&weight.name));
        let (units, shape, values) = if is_turned {
            (rows, weight.shape, weight.values)
        } else {
            let turned = (0..weight.values.len()).map(|at| weight.values[at % rows * columns + at / rows]).collect();
            (columns, vec![columns, rows], turned)
        };
        let last = self.layer_value(node, 0)?.axes.len().saturating_sub(1);
        let x = self.over(node, 0, last)?;
        let mut weights = vec![("weight".to_owned(), shape, values)];
        if let Some(mut bias) = bias {
            // Broadcast as ONNX does: sides of 1 in front, or one number for all.
            if bias.values.len() == 1 && units != 1 {
                bias.values = vec![bias.values[0]; units];
            }
            let fits = bias.shape.iter().rev().skip(1).all(|&side| side == 1) && bias.values.len() == units;
            let shape = if fits { vec![units] } else { bias.shape };
            weights.push(("bias".to_owned(), shape, bias.values));
        }
        let layer = Linear::new(units, weights.len() == 2);
        let made = self.builder.layer(node, &hint, layer, &x, weights)?;
        Ok(x.with_last(made, last, units))
    }

    /// A Gather of a table by codes.
    pub(super) fn embedding(&mut self, node: &NodeProto, mut codes: Activation) -> Result<()> {
        let table = self.needed_weights(node, 0)?;
        let [vocabulary, dimensions] = table.shape[..] else {
            return Err(refuse(node, format!("a table of shape {:?}, not of two sides", table.shape)));
        };
        if int(node, "axis", 0) != 0 {
            return Err(refuse(node, "an embedding gathers along axis 0"));
        }
        let hint = self.hint(node, Some(&table.name));
        let group = codes.others(&[]);
        codes = self.builder.arrange(node, &hint, &codes, &[group])?;
        let layer = Embedding { vocabulary, dimensions, padding: None };
        let weights = vec![("weight".to_owned(), table.shape, table.values)];
        let made = self.builder.layer(node, &hint, layer, &codes, weights)?;
        codes.axes.push(Vec::new());
        let axis = codes.axes.len() - 1;
        let value = Activation { codes: false, ..codes.with_last(made, axis, dimensions) };
        self.give(node, 0, Value::Activation(value));
        Ok(())
    }
}
