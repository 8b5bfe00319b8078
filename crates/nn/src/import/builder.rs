//! The Architecture in the making: layers with unique names and checked weights, and the reshapes and turns that put a
//! value's sides into the order that a layer takes.

use super::axes::{Activation, Side, size};
use super::graph::{bad, label};
use crate::{Architecture, InputSpec, Layer, Network, Node, Reshape};
use lepton_core::{DType, Error, ErrorCode, Limits, Result};
use lepton_onnx::NodeProto;
use std::collections::{HashMap, HashSet};

/// Most layers of a network; the planner has the same bound.
const MOST_LAYERS: usize = 10_000;

/// The name of the input in every Architecture that is exported to ONNX.
pub(super) const INPUT: &str = "input";

/// A parameter's part of the key, its shape and its numbers.
pub(super) type Weight = (String, Vec<usize>, Vec<f32>);

/// Layers and weights so far.
pub(super) struct Builder<'a> {
    limits: &'a Limits,
    layers: Vec<Node>,
    names: HashSet<String>,
    weights: HashMap<String, Vec<f32>>,
    elements: u64,
    pub(super) notes: Vec<String>,
    /// What the network takes.
    pub(super) dtype: DType,
}

impl<'a> Builder<'a> {
    pub(super) fn new(limits: &'a Limits) -> Builder<'a> {
        Builder {
            limits,
            layers: Vec::new(),
            names: [INPUT, "output"].map(str::to_owned).into(),
            weights: HashMap::new(),
            elements: 0,
            notes: Vec::new(),
            dtype: DType::Float32,
        }
    }

    /// Tells something once.
    pub(super) fn note(&mut self, note: String) {
        // A graph may repeat one thing ten thousand times.
        if self.notes.len() < 100 && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Adds a layer over one value; gives its name and the shape of one row of its output. The weights must be those that
    /// the layer has, in shape and number.
    pub(super) fn layer(
        &mut self,
        node: &NodeProto,
        hint: &str,
        layer: impl Into<Layer>,
        input: &Activation,
        weights: Vec<Weight>,
    ) -> Result<(String, Vec<usize>)> {
        let name = self.name(hint)?;
        let layer = layer.into();
        // The planner knows what the layer gives and has, so it is asked with a network of this one layer.
        let dtype = if input.layer == INPUT { self.dtype } else { DType::Float32 };
        let shape = input.row.clone();
        let spec = InputSpec { name: INPUT.to_owned(), shape, dtype, free_length: input.is_free() };
        let alone = Architecture { name: name.clone(), input: spec, layers: vec![Node::new(&name, layer.clone())] };
        let plan = alone.plan().map_err(|error| {
            let said = Error::new(error.code(), format!("{}: {}", node.op_type, error.message())).at_node(label(node));
            match error.remedy() {
                Some(remedy) => said.fix(remedy),
                None => said,
            }
        })?;
        let specs: Vec<_> = plan.parameters().collect();
        if specs.len() != weights.len() {
            return Err(bad(format!("{} has {} weights, not {}", layer.kind(), specs.len(), weights.len()))
                .at_node(label(node)));
        }
        for (spec, (part, shape, values)) in specs.iter().zip(weights) {
            let key = format!("{name}.{part}");
            if spec.name != key || spec.shape != shape || spec.len() != values.len() {
                let message = format!("its {part} has shape {shape:?}, a {} here needs {:?}", layer.kind(), spec.shape);
                return Err(Error::new(ErrorCode::Shape, message).at_node(label(node)));
            }
            if let Some(value) = values.iter().find(|value| !value.is_finite()) {
                return Err(bad(format!("its {part} contains {value}")).at_node(label(node)));
            }
            self.elements = self.elements.saturating_add(values.len() as u64);
            self.weights.insert(key, values);
        }
        if self.elements > self.limits.tensor_elements {
            let limit = self.limits.tensor_elements;
            let message = format!("the network has more than {limit} weights (limit tensor_elements = {limit})");
            return Err(Error::new(ErrorCode::TooLarge, message));
        }
        self.push(Node::with_inputs(name.clone(), layer, [&input.layer]))?;
        Ok((name, plan.output_shape().to_vec()))
    }

    /// Adds a layer over several values; gives its name.
    pub(super) fn join(&mut self, hint: &str, layer: impl Into<Layer>, inputs: &[Activation]) -> Result<String> {
        let name = self.name(hint)?;
        self.push(Node::with_inputs(name.clone(), layer.into(), inputs.iter().map(|input| &input.layer)))?;
        Ok(name)
    }

    fn push(&mut self, node: Node) -> Result<()> {
        if self.layers.len() >= MOST_LAYERS {
            return Err(Error::new(ErrorCode::TooLarge, format!("a network has at most {MOST_LAYERS} layers")));
        }
        self.layers.push(node);
        Ok(())
    }

    /// A free name as near to the hint as can be.
    fn name(&mut self, hint: &str) -> Result<String> {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        let mut name: String = hint.trim_matches(['/', '.', '_', ':']).chars().map(plain).collect();
        // The end tells more than the beginning; what is left is ASCII. Room is kept for a number.
        name.drain(..name.len().saturating_sub(88));
        if name.is_empty() {
            name.push_str("layer");
        }
        let first = name.clone();
        for number in 2..=MOST_LAYERS + 2 {
            if self.names.insert(name.clone()) {
                return Ok(name);
            }
            // Long chains of one name are numbered by how many layers there are, to find a free one at once.
            let number = if number < 10 { number } else { self.layers.len() + number };
            name = format!("{first}_{number}");
        }
        Err(Error::new(ErrorCode::TooLarge, format!("a network has at most {MOST_LAYERS} layers")))
    }

    /// The value with a row of these sides, each a group of its own. Numbers are moved only where they lie otherwise.
    pub(super) fn arrange(
        &mut self,
        node: &NodeProto,
        hint: &str,
        value: &Activation,
        groups: &[Vec<Side>],
    ) -> Result<Activation> {
        let row: Vec<usize> = groups.iter().map(|group| size(group)).collect();
        let order = groups.concat();
        let reshape = |shape: &[usize]| match shape {
            [_] => Layer::Flatten,
            _ => Layer::from(Reshape { shape: shape.to_vec() }),
        };
        let mut value = value.clone();
        if order != value.stored {
            let turned = |by: &usize| value.stored[*by..].iter().chain(&value.stored[..*by]).eq(order.iter());
            let Some(by) = (1..value.stored.len()).find(turned) else {
                let message = "the axes come in an order that no layer makes of the one before";
                return Err(super::graph::refuse(node, message)
                    .fix("only sequences and pictures with their channels first or last are supported"));
            };
            let (first, second) = (size(&value.stored[..by]), size(&value.stored[by..]));
            let is_picture = value.row.len() == 3 && value.row[0] == first;
            if !is_picture {
                let cut = reshape(&[first, second, 1]);
                (value.layer, value.row) = self.layer(node, &format!("{hint}_cut"), cut, &value, Vec::new())?;
            }
            let hint = format!("{hint}_turned");
            (value.layer, value.row) = self.layer(node, &hint, Layer::ToSequence, &value, Vec::new())?;
            value.stored.rotate_left(by);
        }
        if row != value.row {
            let part = if row.len() == 1 { "flat" } else { "shaped" };
            let hint = format!("{hint}_{part}");
            (value.layer, value.row) = self.layer(node, &hint, reshape(&row), &value, Vec::new())?;
        }
        Ok(value)
    }

    /// The network whose output is the layer of that name.
    pub(super) fn finish(
        self,
        name: &str,
        input: InputSpec,
        output: &str,
    ) -> Result<(Architecture, Network, Vec<String>)> {
        let Builder { layers, mut weights, notes, .. } = self;
        let places: HashMap<&str, usize> =
            layers.iter().enumerate().map(|(place, node)| (node.name.as_str(), place)).collect();
        let mut needed = vec![false; layers.len()];
        let mut open: Vec<usize> = places.get(output).copied().into_iter().collect();
        while let Some(place) = open.pop() {
            if !std::mem::replace(&mut needed[place], true) {
                open.extend(layers[place].inputs.iter().filter_map(|input| places.get(input.as_str())));
            }
        }
        let keep: Vec<Node> =
            layers.into_iter().zip(needed).filter(|(_, needed)| *needed).map(|(node, _)| node).collect();
        if keep.is_empty() {
            return Err(Error::new(ErrorCode::Unsupported, "the model gives its input back and has no layer"));
        }
        let architecture = Architecture { name: name.to_owned(), input, layers: keep };
        let network = Network::from_values(&architecture, |key| {
            weights.remove(key).ok_or_else(|| Error::internal(format!("the import has no weight \"{key}\"")))
        })?;
        Ok((architecture, network, notes))
    }
}
