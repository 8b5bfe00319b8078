//! Normalisation by the batch, by each place, and by groups of channels.

use super::axes::{Activation, size};
use super::constants::Weights;
use super::graph::{bad, decimal, float, int, label, refuse};
use super::{Import, Value};
use crate::{BatchNorm, GroupNorm, LayerNorm};
use lepton_core::Result;
use lepton_onnx::NodeProto;

impl Import<'_> {
    pub(super) fn batch_norm(&mut self, node: &NodeProto) -> Result<()> {
        if int(node, "training_mode", 0) != 0 || node.output.iter().skip(1).any(|output| !output.is_empty()) {
            return Err(refuse(node, "it is in training mode").fix("export the model after model.eval()"));
        }
        let mut weights = Vec::with_capacity(4);
        let mut hint = String::new();
        for (place, part) in ["weight", "bias", "running_mean", "running_var"].into_iter().enumerate() {
            let given = self.needed_weights(node, place + 1)?;
            if place == 0 {
                hint = self.hint(node, Some(&given.name));
            }
            if part == "running_var" && given.values.iter().any(|value| *value < 0.0) {
                return Err(bad("a variance is below 0").at_node(label(node)));
            }
            weights.push((part.to_owned(), given.shape, given.values));
        }
        let axes: &[usize] = match self.layer_value(node, 0)?.axes.len() {
            2 => &[1],
            3 => &[2, 1],
            _ => &[1, 2, 3],
        };
        let x = self.arranged(node, 0, axes)?;
        // ONNX says how much of the old statistics stays.
        let momentum = decimal((1.0 - float(node, "momentum", 0.9)) as f32);
        let layer = BatchNorm { momentum, epsilon: float(node, "epsilon", 1e-5) };
        let (layer, row) = self.builder.layer(node, &hint, layer, &x, weights)?;
        self.give(node, 0, Value::Activation(Activation { layer, row, ..x }));
        Ok(())
    }

    pub(super) fn layer_norm(&mut self, node: &NodeProto) -> Result<()> {
        let x = self.layer_value(node, 0)?;
        let axis = x.axis(int(node, "axis", -1)).map_err(|why| refuse(node, why))?;
        if axis + 1 != x.axes.len() || node.output.iter().skip(1).any(|output| !output.is_empty()) {
            return Err(refuse(node, "only the last axis can be normalised, and only its result be used"));
        }
        let features = size(&x.axes[axis]);
        let scale = self.weights(node, 1)?;
        let hint = self.hint(node, scale.as_ref().map(|scale| &*scale.name));
        let shift = self.weights(node, 2)?;
        let x = self.over(node, 0, axis)?;
        let given = |weights: Option<Weights>, otherwise: f32| match weights {
            Some(Weights { shape, values, .. }) => (shape, values),
            None => (vec![features], vec![otherwise; features]),
        };
        let ((scales, scale), (shifts, shift)) = (given(scale, 1.0), given(shift, 0.0));
        let weights = vec![("weight".to_owned(), scales, scale), ("bias".to_owned(), shifts, shift)];
        let layer = LayerNorm { epsilon: float(node, "epsilon", 1e-5) };
        let (layer, row) = self.builder.layer(node, &hint, layer, &x, weights)?;
        self.give(node, 0, Value::Activation(Activation { layer, row, ..x }));
        Ok(())
    }

    /// Instance normalisation, and group normalisation as exporters write it: groups are put into the place of channels,
    /// normalised without a scale, put back, and then scaled and shifted for each channel.
    pub(super) fn instance_norm(&mut self, node: &NodeProto) -> Result<()> {
        let (scale, shift) = (self.needed_weights(node, 1)?, self.needed_weights(node, 2)?);
        let x = self.layer_value(node, 0)?;
        let epsilon = float(node, "epsilon", 1e-5);
        if x.axes.len() == 4 {
            let hint = self.hint(node, Some(&scale.name));
            let groups = size(&x.axes[1]);
            let x = self.arranged(node, 0, &[1, 2, 3])?;
            let weights =
                vec![("weight".to_owned(), scale.shape, scale.values), ("bias".to_owned(), shift.shape, shift.values)];
            let (layer, row) = self.builder.layer(node, &hint, GroupNorm { groups, epsilon }, &x, weights)?;
            self.give(node, 0, Value::Activation(Activation { layer, row, ..x }));
            return Ok(());
        }
        let is_plain = scale.values.iter().all(|value| *value == 1.0) && shift.values.iter().all(|value| *value == 0.0);
        let groups = x.axes.get(1).map_or(0, |axis| size(axis));
        let Some((last, scale, shift, target)) = self.behind_groups(node)?.filter(|_| is_plain && x.axes.len() == 3)
        else {
            return Err(refuse(node, "only over pictures, or as the middle of a group norm"));
        };
        let picture = x.reshape(&target).map_err(|why| refuse(node, why))?;
        if picture.axes.len() != 4 || picture.batch_axis() != Some(0) {
            return Err(refuse(node, "a group norm of what is no picture"));
        }
        let channels = size(&picture.axes[1]);
        let hint = self.hint(node, None);
        let sides: Vec<_> = picture.axes[1..].to_vec();
        let x = self.builder.arrange(node, &hint, &picture, &sides)?;
        let flat = |weights: Weights, part: &str| {
            let is_column =
                weights.shape.iter().rev().take(2).all(|&side| side == 1) && weights.values.len() == channels;
            (part.to_owned(), if is_column { vec![channels] } else { weights.shape }, weights.values)
        };
        let weights = vec![flat(scale, "weight"), flat(shift, "bias")];
        let (layer, row) = self.builder.layer(node, &hint, GroupNorm { groups, epsilon }, &x, weights)?;
        let last = last.clone();
        self.give(&last, 0, Value::Activation(Activation { layer, row, ..x }));
        Ok(())
    }

    /// What follows the normalisation of groups: the last node, the scale, the shift, and the shape of the picture. The
    /// nodes are done then.
    #[allow(clippy::type_complexity)] // Four things that belong to this one place.
    fn behind_groups(&mut self, node: &NodeProto) -> Result<Option<(NodeProto, Weights, Weights, Vec<super::Length>)>> {
        let graph = self.graph;
        let next = |value: &str, op: &str| graph.only_taker(value).filter(|(_, node)| node.op_type == op);
        let output = |node: &NodeProto| node.output.first().cloned().unwrap_or_default();
        let Some((at_reshape, reshape)) = next(&output(node), "Reshape") else { return Ok(None) };
        let Some((at_scale, scale)) = next(&output(reshape), "Mul") else { return Ok(None) };
        let Some((at_shift, shift)) = next(&output(scale), "Add") else { return Ok(None) };
        let Some(target) = reshape.input.get(1) else { return Ok(None) };
        let target = match self.known(target)? {
            Some(target) => target.lengths(),
            // The shape of the value in front of the groups, which nobody has asked for yet.
            None => self.shape_of(target)?,
        };
        let Some(target) = target else { return Ok(None) };
        let other = |node: &NodeProto, value: &str| node.input.iter().position(|input| input != value);
        let (Some(scale_at), Some(shift_at)) = (other(scale, &output(reshape)), other(shift, &output(scale))) else {
            return Ok(None);
        };
        for (node, place) in [(scale, scale_at), (shift, shift_at)] {
            if !matches!(self.known(&node.input[place])?, Some(Value::Constant(..))) {
                return Ok(None);
            }
        }
        let (scale, weights) = (self.needed_weights(scale, scale_at)?, self.needed_weights(shift, shift_at)?);
        self.done.extend([at_reshape, at_scale, at_shift]);
        Ok(Some((shift.clone(), scale, weights, target)))
    }

    /// The sides that a Shape node gives, computed before its turn.
    fn shape_of(&mut self, value: &str) -> Result<Option<Vec<super::Length>>> {
        let Some((_, shape)) = self.graph.giver(value).filter(|(_, node)| node.op_type == "Shape") else {
            return Ok(None);
        };
        if shape.input.first().is_none_or(|of| !self.values.contains_key(of)) {
            return Ok(None);
        }
        self.fold(shape)?;
        Ok(self.values.get(value).and_then(Value::lengths))
    }
}
