//! Recurrent layers over sequences. Weights have PyTorch's names, shapes and order of gates; where sequences end at
//! different times, places behind the end change nothing and give 0.

use super::dropout::{check, drop_some};
use super::{Kind, Settings, one};
use crate::export::Export;
use crate::forward::{Lengths, Mode, Running, Value, only};
use crate::initialize::Start;
use crate::plan::{Planning, config, elements, multiply};
use burn::tensor::{Device, Tensor, activation};
use lepton_core::Result;
use serde::{Deserialize, Serialize};

/// The rule of a step.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Cell {
    Tanh,
    Lstm,
    Gru,
}

impl Cell {
    /// Gates, in PyTorch's order.
    fn gates(self) -> usize {
        match self {
            Cell::Tanh => 1,
            Cell::Lstm => 4,
            Cell::Gru => 3,
        }
    }

    /// The gates of the ONNX operator, in its order.
    fn onnx_order(self) -> &'static [Gate] {
        match self {
            // Engines lack the plain operator: it is a GRU whose update gate is shut and whose reset gate is open, to
            // the last bit.
            Cell::Tanh => &[Gate::Fixed(-1e4), Gate::Fixed(1e4), Gate::Ours(0)],
            // PyTorch: input, forget, cell, output. ONNX: input, output, forget, cell.
            Cell::Lstm => &[Gate::Ours(0), Gate::Ours(3), Gate::Ours(1), Gate::Ours(2)],
            // PyTorch: reset, update, new. ONNX: update, reset, hidden.
            Cell::Gru => &[Gate::Ours(1), Gate::Ours(0), Gate::Ours(2)],
        }
    }

    fn op(self) -> &'static str {
        if self == Cell::Lstm { "LSTM" } else { "GRU" }
    }
}

/// A gate of an ONNX operator.
enum Gate {
    /// The one at that place in PyTorch's order.
    Ours(usize),
    /// One that depends on its bias alone.
    Fixed(f32),
}

macro_rules! recurrent {
    ($(#[$doc:meta])* $name:ident, $cell:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            /// Features of the state, for each direction.
            pub units: usize,
            /// Layers on top of each other.
            #[serde(default = "one")]
            pub layers: usize,
            /// Whether a second network reads each sequence from its end; its features follow the first one's.
            #[serde(default)]
            pub bidirectional: bool,
            /// Dropout between the layers, in training.
            #[serde(default)]
            pub dropout: f64,
        }

        impl $name {
            /// One layer in one direction.
            pub fn new(units: usize) -> $name {
                $name { units, layers: 1, bidirectional: false, dropout: 0.0 }
            }

            pub(crate) fn stack(&self) -> Stack {
                let $name { units, layers, bidirectional, dropout } = *self;
                Stack { cell: $cell, units, layers, directions: 1 + usize::from(bidirectional), dropout }
            }
        }

        impl Settings for $name {
            const SETTINGS: &'static [&'static str] = &["units", "layers", "bidirectional", "dropout"];
        }

        impl Kind for $name {
            fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
                self.stack().plan(node)
            }

            fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
                self.stack().forward(node, only(inputs)?.sequences()?)
            }

            fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
                self.stack().export(node, inputs[0].clone())
            }

            fn uses_lengths(&self) -> bool {
                true
            }
        }
    };
}

recurrent! {
    /// A recurrent network (Elman 1990): `h' = tanh(W x + b + R h + c)`; `[time, features]` to `[time, units]`, or
    /// `[time, 2 · units]` in both directions.
    Rnn, Cell::Tanh
}

recurrent! {
    /// Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers and others 2000):
    /// `[time, features]` to `[time, units]`, or `[time, 2 · units]` in both directions.
    Lstm, Cell::Lstm
}

recurrent! {
    /// Gated recurrent units (Cho and others 2014, the reset gate after the product, as in PyTorch and cuDNN):
    /// `[time, features]` to `[time, units]`, or `[time, 2 · units]` in both directions.
    Gru, Cell::Gru
}

/// The settings of any of them.
pub(crate) struct Stack {
    pub(crate) cell: Cell,
    pub(crate) units: usize,
    pub(crate) layers: usize,
    pub(crate) directions: usize,
    pub(crate) dropout: f64,
}

/// The four parameters of one layer in one direction.
pub(crate) const PARTS: [&str; 4] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];

fn key(part: &str, layer: usize, direction: usize) -> String {
    format!("{part}_l{layer}{}", if direction == 0 { "" } else { "_reverse" })
}

impl Stack {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let [time, features] = node.sequence(0)?;
        if self.units == 0 || self.layers == 0 || self.layers > 64 {
            return Err(config(format!("units {} or layers {} is out of range", self.units, self.layers)));
        }
        check(self.dropout)?;
        let gates = multiply(&[self.cell.gates(), self.units])?;
        let mut below = features;
        for layer in 0..self.layers {
            for direction in 0..self.directions {
                let shapes = [vec![gates, below], vec![gates, self.units], vec![gates], vec![gates]];
                for (part, shape) in PARTS.iter().zip(shapes) {
                    node.weight(&key(part, layer, direction), shape, Start::FanIn(self.units))?;
                }
                let step = 2 * (gates as u64) * (below + self.units) as u64 + 8 * gates as u64;
                node.flops = node.flops.saturating_add(step.saturating_mul(time as u64));
            }
            below = multiply(&[self.units, self.directions])?;
        }
        let shape = vec![time, below];
        elements(&shape)?;
        Ok(shape)
    }

    fn forward(&self, node: &mut Running<'_>, mut x: Tensor<3>) -> Result<Value> {
        let lengths = node.lengths[0].take();
        for layer in 0..self.layers {
            let mut outputs = Vec::with_capacity(self.directions);
            for direction in 0..self.directions {
                let first = (layer * self.directions + direction) * PARTS.len();
                outputs.push(self.run(node, x.clone(), first, direction == 1, lengths.as_ref())?);
            }
            x = Tensor::cat(outputs, 2);
            if let Mode::Training { seed, step } = node.mode
                && self.dropout > 0.0
                && layer + 1 < self.layers
            {
                let name = format!("{}/{layer}", node.node.name);
                x = drop_some(x, self.dropout, &name, seed, step);
            }
        }
        Ok(Value::Sequences(x))
    }

    /// One layer in one direction: `[batch, time, features]` to `[batch, time, units]`.
    fn run(
        &self,
        node: &Running<'_>,
        x: Tensor<3>,
        first: usize,
        reverse: bool,
        lengths: Option<&Lengths>,
    ) -> Result<Tensor<3>> {
        let [batch, time, features] = x.dims();
        let gates = self.cell.gates() * self.units;
        let (input_weight, state_weight): (Tensor<2>, Tensor<2>) = (node.parameter(first)?, node.parameter(first + 1)?);
        let (input_bias, state_bias) = (node.flat(first + 2), node.flat(first + 3));
        let row = |bias: Tensor<1>| bias.reshape([1, gates]);
        // All inputs at once; only the product with the state has to wait for the step before.
        let driven = x.reshape([batch * time, features]).matmul(input_weight.transpose()) + row(input_bias);
        let driven = driven.reshape([batch, time, gates]);
        let (state_weight, state_bias) = (state_weight.transpose(), row(state_bias));
        let zeros = || Tensor::<2>::zeros([batch, self.units], &Device::flex());
        let (mut hidden, mut memory) = (zeros(), zeros());
        let mut outputs: Vec<Option<Tensor<3>>> = vec![None; time];
        let order: Vec<usize> = if reverse { (0..time).rev().collect() } else { (0..time).collect() };
        for place in order {
            let input = driven.clone().narrow(1, place, 1).reshape([batch, gates]);
            let state = hidden.clone().matmul(state_weight.clone()) + state_bias.clone();
            let part = |all: &Tensor<2>, gate: usize| all.clone().narrow(1, gate * self.units, self.units);
            let (next, remembered) = match self.cell {
                Cell::Tanh => (activation::tanh(input + state), None),
                Cell::Lstm => {
                    let all = input + state;
                    let gate = |place| activation::sigmoid(part(&all, place));
                    let kept = gate(1) * memory.clone() + gate(0) * activation::tanh(part(&all, 2));
                    (gate(3) * activation::tanh(kept.clone()), Some(kept))
                }
                Cell::Gru => {
                    let gate = |place| activation::sigmoid(part(&input, place) + part(&state, place));
                    let (reset, update) = (gate(0), gate(1));
                    let new = activation::tanh(part(&input, 2) + reset * part(&state, 2));
                    (new.clone() + update * (hidden.clone() - new), None)
                }
            };
            let Some(lengths) = lengths else {
                hidden = next.clone();
                memory = remembered.unwrap_or(memory);
                outputs[place] = Some(next.reshape([batch, 1, self.units]));
                continue;
            };
            let inside = lengths.mask.clone().narrow(1, place, 1);
            outputs[place] = Some((next.clone() * inside.clone()).reshape([batch, 1, self.units]));
            hidden = hidden.clone() + (next - hidden) * inside.clone();
            if let Some(remembered) = remembered {
                memory = memory.clone() + (remembered - memory) * inside;
            }
        }
        Ok(Tensor::cat(outputs.into_iter().flatten().collect(), 1))
    }

    fn export(&self, node: &mut Export<'_, '_>, x: String) -> Result<()> {
        let mask = node.mask(0);
        let mut below = x;
        for layer in 0..self.layers {
            below = match (node.lengths(0), self.directions) {
                // The second direction begins at each sequence's own end: the sequences are turned around, read, and
                // turned back. Engines without lengths in recurrent layers compute the same this way.
                (Some(lengths), 2) => {
                    let forward = self.states(node, below.clone(), layer, &[0])?;
                    let turned = Stack::turned(node, &format!("turned_l{layer}"), below, lengths.clone());
                    let backward = self.states(node, turned, layer, &[1])?;
                    let backward = Stack::turned(node, &format!("back_l{layer}"), backward, lengths);
                    let join = format!("both_l{layer}");
                    node.step_with("Concat", &join, [forward, backward], |step| step.int("axis", 2))
                }
                (_, 2) => self.states(node, below, layer, &[0, 1])?,
                _ => self.states(node, below, layer, &[0])?,
            };
        }
        let last = match mask {
            None => node.last("Identity", [below]),
            Some(mask) => {
                let side = node.ints("last_side", &[2])?;
                let wide = node.step("Unsqueeze", "wide", [mask, side]);
                node.last("Mul", [below, wide])
            }
        };
        node.push(last);
        Ok(())
    }

    /// Each sequence in reverse, what is behind its end left where it is.
    fn turned(node: &mut Export<'_, '_>, name: &str, x: String, lengths: String) -> String {
        node.step_with("ReverseSequence", name, [x, lengths], |step| step.int("batch_axis", 0).int("time_axis", 1))
    }

    /// The states of a layer in those directions, `[batch, time, directions · units]`.
    fn states(&self, node: &mut Export<'_, '_>, x: String, layer: usize, directions: &[usize]) -> Result<String> {
        let name = match directions {
            [1] => format!("l{layer}_reverse"),
            _ => format!("l{layer}"),
        };
        let (mut tensors, mut below): ([Vec<f32>; 3], _) = (Default::default(), 0);
        let gates = self.cell.onnx_order();
        for &direction in directions {
            for (place, part) in PARTS.iter().enumerate() {
                let (shape, values) = node.parameter(&key(part, layer, direction))?;
                if place == 0 {
                    below = shape[1];
                }
                let rows = values.len() / self.cell.gates();
                for gate in gates {
                    match gate {
                        Gate::Ours(gate) => tensors[place.min(2)].extend(&values[gate * rows..(gate + 1) * rows]),
                        // Of the two biases one is enough.
                        Gate::Fixed(bias) => {
                            let value = if place == 2 { *bias } else { 0.0 };
                            tensors[place.min(2)].extend(vec![value; rows]);
                        }
                    }
                }
            }
        }
        let (rows, count) = (gates.len() * self.units, directions.len());
        let [input, state, bias] = tensors;
        let float = |shape: &[usize], values: Vec<f32>| lepton_core::Tensor::float32(shape, values);
        let time_first = format!("{name}_time_first");
        let inputs = [
            node.step_with("Transpose", &time_first, [x], |step| step.ints("perm", [1, 0, 2])),
            node.tensor(&format!("{name}.W"), &float(&[count, rows, below], input)?),
            node.tensor(&format!("{name}.R"), &float(&[count, rows, self.units], state)?),
            node.tensor(&format!("{name}.B"), &float(&[count, 2 * rows], bias)?),
        ];
        let states = node.step_with(self.cell.op(), &name, inputs, |step| {
            let step = step.int("hidden_size", self.units as i64);
            let step = if count == 2 { step.text("direction", "bidirectional") } else { step };
            if self.cell == Cell::Lstm { step } else { step.int("linear_before_reset", 1) }
        });
        // [time, directions, batch, units] to [batch, time, directions · units].
        let turned = format!("{name}_batch_first");
        let turned = node.step_with("Transpose", &turned, [states], |step| step.ints("perm", [2, 0, 1, 3]));
        let shape = node.ints(&format!("{name}.shape"), &[0, 0, (count * self.units) as i64])?;
        Ok(node.step("Reshape", &format!("{name}_joined"), [turned, shape]))
    }
}
