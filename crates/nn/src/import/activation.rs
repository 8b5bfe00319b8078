//! Functions of each value, and softmax.

use super::axes::Activation;
use super::constants::range;
use super::graph::{float, int, refuse, text};
use super::{Import, SUPPORTED, Value};
use crate::{Elu, Layer, LeakyRelu};
use lepton_core::Result;
use lepton_onnx::NodeProto;

/// Whether two settings are the same up to rounding.
pub(super) fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-5 * b.abs().max(1e-3)
}

impl Import<'_> {
    pub(super) fn activation(&mut self, node: &NodeProto) -> Result<()> {
        let only = |wanted: &str| Err(refuse(node, format!("only {wanted} is supported")));
        let layer = match node.op_type.as_str() {
            "Relu" => Layer::Relu,
            "Sigmoid" => Layer::Sigmoid,
            "Tanh" => Layer::Tanh,
            "Softplus" => Layer::Softplus,
            "HardSwish" => Layer::HardSwish,
            "Mish" => Layer::Mish,
            "Silu" if node.domain == super::fuse::DOMAIN => Layer::Silu,
            "LeakyRelu" => LeakyRelu { slope: float(node, "alpha", 0.01) }.into(),
            "Elu" => Elu { alpha: float(node, "alpha", 1.0) }.into(),
            "Selu" => {
                if !near(float(node, "alpha", 1.673_263_2), 1.673_263_2)
                    || !near(float(node, "gamma", 1.050_701), 1.050_701)
                {
                    return only("the usual alpha and gamma");
                }
                Layer::Selu
            }
            "HardSigmoid" => {
                if !near(float(node, "alpha", 0.2), 1.0 / 6.0) || !near(float(node, "beta", 0.5), 0.5) {
                    return only("alpha = 1/6 with beta = 0.5");
                }
                Layer::HardSigmoid
            }
            "Gelu" => {
                if text(node, "approximate", "none") != "none" {
                    return only("the exact form, not the one with tanh,");
                }
                Layer::Gelu
            }
            "PRelu" => {
                let slope = self.needed_weights(node, 1)?;
                let [slope] = slope.values[..] else { return only("one slope for all channels") };
                self.builder.note("the slope of a PRelu stays as it is: it is not trained".to_owned());
                LeakyRelu { slope: super::graph::decimal(slope) }.into()
            }
            "Clip" => match (self.bound(node, 1, "min")?, self.bound(node, 2, "max")?) {
                (Some(0.0), None) => Layer::Relu,
                (Some(0.0), Some(6.0)) => Layer::Relu6,
                _ => return only("0 to 6, or 0 and up,"),
            },
            "Softmax" => return self.softmax(node),
            _ => return Err(refuse(node, "this operator has no layer").fix(SUPPORTED)),
        };
        let x = self.layer_value(node, 0)?;
        let hint = self.hint(node, None);
        let (layer, row) = self.builder.layer(node, &hint, layer, &x, Vec::new())?;
        self.give(node, 0, Value::Activation(Activation { layer, row, ..x }));
        Ok(())
    }

    /// A bound of Clip; one that is infinite or past every float is none.
    fn bound(&mut self, node: &NodeProto, place: usize, name: &str) -> Result<Option<f32>> {
        let bound = match (self.input(node, place)?, node.find(name)) {
            (Some(value), _) => value.single().ok_or_else(|| refuse(node, "a bound that is not a known number"))?,
            (None, Some(attribute)) => attribute.f.unwrap_or(0.0),
            (None, None) => return Ok(None),
        };
        Ok(Some(bound).filter(|bound| bound.abs() < 1e38))
    }

    fn softmax(&mut self, node: &NodeProto) -> Result<()> {
        let x = self.layer_value(node, 0)?;
        let old = self.graph.opset < 13;
        let axis = x.axis(int(node, "axis", if old { 1 } else { -1 })).map_err(|why| refuse(node, why))?;
        // Before operator set 13 it ran over the named axis and all behind it.
        if old && axis + 1 != x.axes.len() {
            return Err(refuse(node, "it runs over more than the last axis"));
        }
        let x = self.over(node, 0, axis)?;
        let hint = self.hint(node, None);
        let (layer, row) = self.builder.layer(node, &hint, Layer::Softmax, &x, Vec::new())?;
        self.give(node, 0, Value::Activation(Activation { layer, row, ..x }));
        Ok(())
    }

    /// The input at that place as rows or sequences whose last side is one ONNX axis.
    pub(super) fn over(&mut self, node: &NodeProto, place: usize, axis: usize) -> Result<Activation> {
        let x = self.layer_value(node, place)?;
        let last = x.axes[axis].clone();
        if last.iter().any(|side| side.is_batch()) {
            return Err(refuse(node, "it runs over the batch"));
        }
        let others = x.others(&[axis]);
        // A picture whose channels are last stays in one piece where its places do.
        let groups = if others.is_empty() { vec![last] } else { vec![others, last] };
        self.in_groups(node, place, &x, &groups)
    }

    /// Takes a piece of one axis out: a last step, or columns.
    pub(super) fn narrow(
        &mut self,
        node: &NodeProto,
        x: Activation,
        axis: usize,
        (from, to): (i64, i64),
    ) -> Result<Activation> {
        let sides = x.axes[axis].clone();
        let length = super::axes::size(&sides);
        let is_free = sides.iter().any(|side| side.free);
        if sides.iter().any(|side| side.is_batch()) || is_free && !matches!((from, to), (-1 | 0, i64::MAX)) {
            return Err(refuse(node, "a piece of the batch, or of a time of any length"));
        }
        let (start, end) = range(from, to, length);
        if start >= end {
            return Err(refuse(node, format!("nothing is left of an axis of {length}")));
        }
        if (start, end) == (0, length) {
            return Ok(x);
        }
        let hint = self.hint(node, None);
        let others = x.others(&[axis]);
        let is_sequence = x.row.len() == 2 && x.row[0] == length && x.stored.starts_with(&sides);
        if is_sequence && start + 1 == length && end == length {
            let made = self.builder.layer(node, &hint, Layer::LastStep, &x, Vec::new())?;
            return Ok(x.with_first(made, axis, 1));
        }
        if is_free {
            return Err(refuse(node, "of a time of any length only the last step can be taken"));
        }
        let rest = super::axes::size(&others);
        let group: Vec<_> = sides.into_iter().chain(others).collect();
        let x = self.builder.arrange(node, &hint, &x, &[group])?;
        let columns = crate::Columns { from: start * rest, to: end * rest };
        let made = self.builder.layer(node, &hint, columns, &x, Vec::new())?;
        Ok(x.with_first(made, axis, end - start))
    }
}
