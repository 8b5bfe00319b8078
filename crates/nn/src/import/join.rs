//! Sums, products and concatenations of what layers give.

use super::axes::{Activation, Side, size};
use super::graph::{int, refuse};
use super::{Import, SUPPORTED, Value};
use crate::{Concat, Layer, PositionKind, Positions};
use lepton_core::Result;
use lepton_onnx::NodeProto;

/// More inputs than any sum or concatenation has.
const MOST_INPUTS: usize = 1000;

impl Import<'_> {
    pub(super) fn arithmetic(&mut self, node: &NodeProto) -> Result<()> {
        let mut values = Vec::new();
        let mut constant = None;
        for place in 0..node.input.len().min(MOST_INPUTS + 1) {
            match self.input(node, place)? {
                Some(Value::Activation(_)) => values.push(self.layer_value(node, place)?),
                Some(other) => constant = Some((place, other)),
                None => return Err(refuse(node, "an input is missing")),
            }
        }
        let is_sum = node.op_type != "Mul";
        if node.input.len() > MOST_INPUTS || values.is_empty() || (!is_sum && node.input.len() != 2) {
            return Err(refuse(node, format!("{} inputs", node.input.len())));
        }
        let value = match constant {
            Some((place, constant)) if values.len() == 1 && node.input.len() == 2 => {
                self.with_constant(node, values.remove(0), place, &constant, is_sum)?
            }
            Some(_) => return Err(refuse(node, "several inputs of which one is a constant")),
            None if values.len() == 1 => values.remove(0),
            None if is_sum => self.joined(node, values, Layer::Add)?,
            None => match (gates(&values[0], &values[1]), gates(&values[1], &values[0])) {
                (true, _) => self.gated(node, 0, 1)?,
                (_, true) => self.gated(node, 1, 0)?,
                _ => self.joined(node, values, Layer::Mul)?,
            },
        };
        self.give(node, 0, Value::Activation(value));
        Ok(())
    }

    /// A value with a constant: nothing, or positions.
    fn with_constant(
        &mut self,
        node: &NodeProto,
        x: Activation,
        place: usize,
        constant: &Value,
        is_sum: bool,
    ) -> Result<Activation> {
        if let Value::Constant(tensor, name) = constant
            && is_sum
            && !x.is_free()
            && x.axes.len() == 3
            && x.batch_axis() == Some(0)
            && tensor.data().len() == size(&x.axes[1]).saturating_mul(size(&x.axes[2]))
            && tensor.shape().iter().rev().take(2).copied().eq([size(&x.axes[2]), size(&x.axes[1])])
        {
            let hint = self.hint(node, Some(name));
            let weight = self.needed_weights(node, place)?;
            let x = self.builder.arrange(node, &hint, &x, &x.axes[1..])?;
            let weights = vec![("weight".to_owned(), x.row.clone(), weight.values)];
            let layer = Positions { encoding: PositionKind::Learned };
            let (layer, row) = self.builder.layer(node, &hint, layer, &x, weights)?;
            self.builder.note(format!("the constant that \"{layer}\" adds is trained, as learned positions are"));
            return Ok(Activation { layer, row, ..x });
        }
        // A constant of several numbers might make the value larger.
        let nothing = if is_sum { 0.0 } else { 1.0 };
        if let Value::Constant(tensor, _) = constant
            && tensor.shape().len() <= x.axes.len()
            && constant.single() == Some(nothing)
        {
            return Ok(x);
        }
        Err(refuse(node, "a constant that is neither a bias behind a MatMul nor positions of a sequence")
            .fix(SUPPORTED))
    }

    /// Values of one shape, joined by a layer.
    fn joined(&mut self, node: &NodeProto, values: Vec<Activation>, layer: Layer) -> Result<Activation> {
        let lengths: Vec<Vec<usize>> =
            values.iter().map(|value| value.axes.iter().map(|axis| rows_aside(axis)).collect()).collect();
        let places: Vec<_> = values.iter().map(Activation::batch_axis).collect();
        if places[0].is_none()
            || places.iter().any(|place| *place != places[0])
            || lengths.iter().any(|l| *l != lengths[0])
        {
            let shapes = lengths.iter().map(|lengths| format!("{lengths:?}")).collect::<Vec<_>>().join(" and ");
            return Err(refuse(node, format!("inputs of shapes {shapes} (the batch as 1); they have to be the same")));
        }
        let alike = |value: &Activation| value.layout() == values[0].layout() && value.row == values[0].row;
        let values = match values.iter().all(alike) {
            true => values,
            false => self.alike(node, &values)?.0,
        };
        let hint = self.hint(node, None);
        let layer = self.builder.join(&hint, layer, &values)?;
        Ok(Activation { layer, ..values[0].clone() })
    }

    /// A picture whose channels are weighed by a row.
    fn gated(&mut self, node: &NodeProto, picture: usize, gate: usize) -> Result<Activation> {
        let x = self.arranged(node, picture, &[1, 2, 3])?;
        let by = self.layer_value(node, gate)?;
        let by = self.in_groups(node, gate, &by, &[by.axes[1].clone()])?;
        let hint = self.hint(node, None);
        let layer = self.builder.join(&hint, Layer::Mul, &[x.clone(), by])?;
        Ok(Activation { layer, ..x })
    }

    /// Values with their axes in one order, and that order.
    fn alike(&mut self, node: &NodeProto, values: &[Activation]) -> Result<(Vec<Activation>, Vec<usize>)> {
        let first = &values[0];
        let batch = first.batch_axis();
        let mut order: Vec<usize> = (0..first.axes.len()).filter(|&axis| Some(axis) != batch).collect();
        if order.len() > 3 || batch.is_none() {
            return Err(refuse(
                node,
                format!("inputs of {} axes; a batch and up to three are supported", first.axes.len()),
            ));
        }
        // Sequences of ONNX mostly have their time last, ours have it first.
        let turned = |value: &Activation| match order[..] {
            [a, b] => {
                let turned: Vec<Side> = value.axes[b].iter().chain(&value.axes[a]).copied().collect();
                turned == value.stored && !value.axes[a].is_empty() && !value.axes[b].is_empty()
            }
            _ => false,
        };
        if turned(first) {
            order.reverse();
        }
        let hint = self.hint(node, None);
        let mut arranged = Vec::with_capacity(values.len());
        for value in values {
            let groups: Vec<Vec<Side>> = order.iter().map(|&axis| value.axes[axis].clone()).collect();
            arranged.push(self.builder.arrange(node, &hint, value, &groups)?);
        }
        Ok((arranged, order))
    }

    pub(super) fn concat(&mut self, node: &NodeProto) -> Result<()> {
        if node.input.len() > MOST_INPUTS {
            return Err(refuse(node, format!("{} inputs", node.input.len())));
        }
        let mut values = Vec::with_capacity(node.input.len());
        for place in 0..node.input.len() {
            values.push(self.layer_value(node, place)?);
        }
        let Some(first) = values.first() else { return Err(refuse(node, "no inputs")) };
        let axis = first.axis(int(node, "axis", 0)).map_err(|why| refuse(node, why))?;
        let fits = |value: &Activation| {
            value.axes.len() == first.axes.len()
                && value.batch_axis() == first.batch_axis()
                && (0..first.axes.len())
                    .all(|side| side == axis || rows_aside(&value.axes[side]) == rows_aside(&first.axes[side]))
        };
        let is_free =
            values.iter().any(|value| value.axes[axis.min(value.axes.len() - 1)].iter().any(|side| side.free));
        if first.batch_axis().is_none_or(|batch| batch == axis) || is_free || !values.iter().all(fits) {
            return Err(refuse(node, "the inputs differ in more than the axis, or it is the batch or a free time"));
        }
        if values.len() == 1 {
            let value = values.remove(0);
            self.give(node, 0, Value::Activation(value));
            return Ok(());
        }
        let (values, order) = self.alike(node, &values)?;
        let side = order.iter().position(|&other| other == axis).unwrap_or(0);
        let all = values.iter().fold(0usize, |sum, value| sum.saturating_add(value.row[side]));
        let hint = self.hint(node, None);
        let layer = self.builder.join(&hint, Concat { axis: side }, &values)?;
        let mut row = values[0].row.clone();
        row[side] = all;
        let value = values[0].clone().with_group((layer, row), &order, axis, all);
        self.give(node, 0, Value::Activation(value));
        Ok(())
    }
}

/// The length of an axis with the batch as 1.
fn rows_aside(axis: &[Side]) -> usize {
    size(&axis.iter().copied().filter(|side| !side.is_batch()).collect::<Vec<_>>())
}

/// Whether the second value is a number for each channel of the first, a picture.
fn gates(picture: &Activation, gate: &Activation) -> bool {
    let ones = |axes: &[Vec<Side>]| axes.iter().all(Vec::is_empty);
    picture.axes.len() == 4
        && gate.axes.len() == 4
        && picture.batch_axis() == Some(0)
        && gate.batch_axis() == Some(0)
        && size(&picture.axes[1]) == size(&gate.axes[1])
        && ones(&gate.axes[2..])
        && !ones(&picture.axes[2..])
}
