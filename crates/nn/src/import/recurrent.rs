//! Recurrent layers. ONNX has its time first, its gates in another order, and each direction on an axis of its own.

use super::axes::{Activation, Axis, size};
use super::constants::Weights;
use super::graph::{bad, int, label, refuse, text};
use super::{Import, Value};
use crate::{Gru, Layer, Lstm, Rnn};
use lepton_core::Result;
use lepton_onnx::NodeProto;

/// For each gate of PyTorch's order its place in ONNX's.
const LSTM: [usize; 4] = [0, 2, 3, 1];
const GRU: [usize; 3] = [1, 0, 2];
const RNN: [usize; 1] = [0];

impl Import<'_> {
    pub(super) fn recurrent(&mut self, node: &NodeProto) -> Result<()> {
        let (gates, usual): (&[usize], &[&str]) = match node.op_type.as_str() {
            "LSTM" => (&LSTM, &["Sigmoid", "Tanh", "Tanh"]),
            "GRU" => (&GRU, &["Sigmoid", "Tanh"]),
            _ => (&RNN, &["Tanh"]),
        };
        let bidirectional = match text(node, "direction", "forward") {
            "forward" => false,
            "bidirectional" => true,
            other => return Err(refuse(node, format!("direction {other} is not supported"))),
        };
        let directions = 1 + usize::from(bidirectional);
        self.check_recurrent(node, usual, directions)?;
        let layout = int(node, "layout", 0);
        let (time, batch) = if layout == 0 { (0, 1) } else { (1, 0) };
        let x = self.layer_value(node, 0)?;
        if x.axes.len() != 3 || x.batch_axis() != Some(batch) || !(0..=1).contains(&layout) {
            return Err(refuse(
                node,
                "its input is not [time, batch, features], or [batch, time, features] with layout 1",
            ));
        }
        let (input, state) = (self.needed_weights(node, 1)?, self.needed_weights(node, 2)?);
        let bias = self.weights(node, 3)?;
        let units = state.shape.last().copied().unwrap_or(0);
        let features = size(&x.axes[2]);
        let rows = gates.len().saturating_mul(units);
        let fits = input.shape == [directions, rows, features]
            && state.shape == [directions, rows, units]
            && bias.as_ref().is_none_or(|bias| bias.shape == [directions, 2 * rows]);
        if units == 0 || !fits || usize::try_from(int(node, "hidden_size", units as i64)) != Ok(units) {
            let message = format!("weights of shapes {:?} and {:?} over {features} features", input.shape, state.shape);
            return Err(bad(message).at_node(label(node)));
        }
        let bias = bias.map_or_else(|| vec![0.0; directions * 2 * rows], |bias| bias.values);
        // A GRU whose update gate is shut and whose reset gate is open is a plain network: Lepton writes it so.
        let is_plain = gates.len() == 3 && is_plain(&input, &state, &bias, units);
        let gates = if is_plain { &[2][..] } else { gates };
        let mut weights = Vec::with_capacity(4 * directions);
        for direction in 0..directions {
            let end = if direction == 0 { "" } else { "_reverse" };
            let picked = |values: &[f32], from: usize, width: usize| {
                let gate = |&gate: &usize| &values[from + gate * units * width..from + (gate + 1) * units * width];
                gates.iter().flat_map(gate).copied().collect::<Vec<f32>>()
            };
            let height = gates.len() * units;
            let start = direction * rows;
            weights.push((
                format!("weight_ih_l0{end}"),
                vec![height, features],
                picked(&input.values, start * features, features),
            ));
            weights.push((
                format!("weight_hh_l0{end}"),
                vec![height, units],
                picked(&state.values, start * units, units),
            ));
            weights.push((format!("bias_ih_l0{end}"), vec![height], picked(&bias, 2 * start, 1)));
            weights.push((format!("bias_hh_l0{end}"), vec![height], picked(&bias, 2 * start + rows, 1)));
        }
        let layer: Layer = match node.op_type.as_str() {
            "LSTM" => Lstm { bidirectional, ..Lstm::new(units) }.into(),
            "GRU" if !is_plain => Gru { bidirectional, ..Gru::new(units) }.into(),
            _ => Rnn { bidirectional, ..Rnn::new(units) }.into(),
        };
        let hint = self.hint(node, None);
        let groups = [x.axes[time].clone(), x.axes[2].clone()];
        let x = self.in_groups(node, 0, &x, &groups)?;
        let (name, row) = self.builder.layer(node, &hint, layer, &x, weights)?;
        let sides = [row[0], directions, units];
        let axes = match layout {
            0 => [Axis::Side(0), Axis::Side(1), Axis::Batch, Axis::Side(2)],
            _ => [Axis::Batch, Axis::Side(0), Axis::Side(1), Axis::Side(2)],
        };
        let states = Activation::new((name, row), &sides, &axes, x.batch(), x.is_free());
        if node.output.get(1).is_some_and(|output| self.is_used(output)) {
            let last = self.last_states(node, &states, units, directions)?;
            let last = match layout {
                0 => last,
                _ => last.transpose(&[1, 0, 2]).map_err(|why| refuse(node, why))?,
            };
            self.give(node, 1, Value::Activation(last));
        }
        self.give(node, 0, Value::Activation(states));
        Ok(())
    }

    fn is_used(&self, value: &str) -> bool {
        !value.is_empty() && (value == self.graph.output || self.graph.is_taken(value))
    }

    /// Refuses what our layers do not have.
    fn check_recurrent(&mut self, node: &NodeProto, usual: &[&str], directions: usize) -> Result<()> {
        if let Some(functions) = node.find("activations") {
            let all = usual.iter().cycle().take(usual.len() * directions);
            if !functions.strings.iter().map(Vec::as_slice).eq(all.map(|name| name.as_bytes())) {
                return Err(refuse(node, "other activations than the usual ones"));
            }
        }
        if node.find("clip").is_some() || int(node, "input_forget", 0) != 0 {
            return Err(refuse(node, "clip and input_forget are not supported"));
        }
        if node.op_type == "GRU" && int(node, "linear_before_reset", 0) == 0 {
            return Err(refuse(node, "only linear_before_reset = 1, the reset gate after the product, is supported"));
        }
        if node.input.get(4).is_some_and(|lengths| !lengths.is_empty()) {
            return Err(refuse(node, "lengths of sequences are not supported"));
        }
        for place in [5, 6] {
            if let Some(state) = self.input(node, place)?
                && self.same_everywhere(&state)? != Some(0.0)
            {
                return Err(refuse(node, "a first state other than 0 is not supported"));
            }
        }
        if node.input.get(7).is_some_and(|peepholes| !peepholes.is_empty()) {
            return Err(refuse(node, "peepholes are not supported"));
        }
        if node.output.get(2).is_some_and(|memory| self.is_used(memory)) {
            return Err(refuse(node, "the memory behind the last step is not supported as an output"));
        }
        Ok(())
    }

    /// The states behind the last step, `[directions, batch, units]`: the forward one at the end, the backward one at the
    /// beginning.
    fn last_states(
        &mut self,
        node: &NodeProto,
        states: &Activation,
        units: usize,
        directions: usize,
    ) -> Result<Activation> {
        let axes = [Axis::Side(0), Axis::Batch, Axis::Side(1)];
        let hint = format!("{}_last", self.hint(node, None));
        if directions == 1 {
            let made = self.builder.layer(node, &hint, Layer::LastStep, states, Vec::new())?;
            return Ok(Activation::new(made, &[1, units], &axes, states.batch(), false));
        }
        if states.is_free() {
            return Err(refuse(node, "the last states of both directions need a fixed length")
                .fix("export the model with a fixed length of sequences"));
        }
        let time = states.row[0];
        let flat = self.builder.arrange(node, &hint, states, std::slice::from_ref(&states.stored))?;
        let mut ends = Vec::with_capacity(2);
        for from in [(time - 1) * 2 * units, units] {
            let columns = crate::Columns { from, to: from + units };
            let (layer, row) = self.builder.layer(node, &hint, columns, &flat, Vec::new())?;
            ends.push(Activation { layer, row, ..flat.clone() });
        }
        let layer = self.builder.join(&hint, crate::Concat { axis: 0 }, &ends)?;
        Ok(Activation::new((layer, vec![2 * units]), &[2, units], &axes, states.batch(), false))
    }
}

/// Whether only the last gate depends on anything, the first being shut and the second open.
fn is_plain(input: &Weights, state: &Weights, bias: &[f32], units: usize) -> bool {
    let zero = |weights: &Weights| {
        let width = weights.shape[2];
        let mut directions = weights.values.chunks(3 * units * width.max(1));
        directions.all(|all| all[..(2 * units * width).min(all.len())].iter().all(|value| *value == 0.0))
    };
    zero(input)
        && zero(state)
        && bias.chunks(6 * units).all(|all| {
            all[..units].iter().all(|value| *value == -1e4)
                && all[units..2 * units].iter().all(|value| *value == 1e4)
                && all[3 * units..5 * units].iter().all(|value| *value == 0.0)
        })
}
