//! The ONNX graph as the import walks it: nodes by what they give, constants by name, and an order in which every value
//! comes before its use.

use lepton_core::{DType, Error, ErrorCode, Result};
use lepton_onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use std::collections::HashMap;

/// The operator sets whose meanings are known.
const OPSETS: std::ops::RangeInclusive<i64> = 11..=21;

/// A graph with one input and one output.
pub(super) struct Graph {
    pub(super) nodes: Vec<NodeProto>,
    pub(super) initializers: HashMap<String, TensorProto>,
    pub(super) input: ValueInfoProto,
    pub(super) output: String,
    pub(super) opset: i64,
    /// The node that gives a value.
    givers: HashMap<String, usize>,
    /// The nodes that take a value, once for each time that they do.
    takers: HashMap<String, Vec<usize>>,
}

impl Graph {
    /// Takes a decoded model apart.
    pub(super) fn new(model: ModelProto) -> Result<Graph> {
        let opset = model.opset().unwrap_or(0);
        if !OPSETS.contains(&opset) {
            let message =
                format!("the model uses operator set {opset}, known are {} to {}", OPSETS.start(), OPSETS.end());
            return Err(Error::new(ErrorCode::Unsupported, message).fix("export it again with opset_version=17"));
        }
        let graph: GraphProto = model.graph.unwrap_or_default();
        if !graph.sparse_initializer.is_empty() {
            return Err(Error::new(ErrorCode::Unsupported, "the model has sparse constants"));
        }
        let mut initializers = HashMap::with_capacity(graph.initializer.len());
        for tensor in graph.initializer {
            if initializers.contains_key(&tensor.name) {
                return Err(bad("two constants have this name").at_node(&tensor.name));
            }
            initializers.insert(tensor.name.clone(), tensor);
        }
        let mut inputs = graph.input.into_iter().filter(|value| !initializers.contains_key(&value.name));
        let (Some(input), None) = (inputs.next(), inputs.next()) else {
            return Err(Error::new(ErrorCode::Unsupported, "a network takes one input, the model has none or several")
                .fix("export a model with one float32 or int64 input"));
        };
        let mut outputs = graph.output.into_iter();
        let (Some(output), None) = (outputs.next(), outputs.next()) else {
            return Err(Error::new(
                ErrorCode::Unsupported,
                "a network gives one output, the model has none or several",
            )
            .fix("export a model with one output"));
        };
        let mut givers = HashMap::new();
        let mut takers: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            for value in node.output.iter().filter(|value| !value.is_empty()) {
                let known = initializers.contains_key(value) || *value == input.name;
                if givers.insert(value.clone(), index).is_some() || known {
                    return Err(bad(format!("the value \"{value}\" is given twice")).at_node(label(node)));
                }
            }
            for value in node.input.iter().filter(|value| !value.is_empty()) {
                takers.entry(value.clone()).or_default().push(index);
            }
        }
        Ok(Graph { nodes: graph.node, initializers, input, output: output.name, opset, givers, takers })
    }

    /// The node that gives a value, and its place.
    pub(super) fn giver(&self, value: &str) -> Option<(usize, &NodeProto)> {
        self.givers.get(value).map(|&index| (index, &self.nodes[index]))
    }

    /// The one node that takes a value, where it is one, once, and the value is not the output.
    pub(super) fn only_taker(&self, value: &str) -> Option<(usize, &NodeProto)> {
        match self.takers.get(value).map(Vec::as_slice) {
            Some([index]) if value != self.output => Some((*index, &self.nodes[*index])),
            _ => None,
        }
    }

    /// Whether a node takes a value.
    pub(super) fn is_taken(&self, value: &str) -> bool {
        self.takers.contains_key(value)
    }

    /// The nodes that the output needs, each after those that it takes values from, otherwise in the file's order.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] for a cycle and for a value that nothing gives.
    pub(super) fn order(&self) -> Result<Vec<usize>> {
        let mut needed = vec![false; self.nodes.len()];
        let mut open: Vec<usize> = self.giver(&self.output).map(|(index, _)| index).into_iter().collect();
        while let Some(index) = open.pop() {
            if !std::mem::replace(&mut needed[index], true) {
                open.extend(self.nodes[index].input.iter().filter_map(|value| self.givers.get(value)));
            }
        }
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            New,
            Open,
            Done,
        }
        let mut states = vec![State::New; self.nodes.len()];
        let mut order = Vec::new();
        for start in (0..self.nodes.len()).filter(|&index| needed[index]) {
            // Depth first without recursion: a chain may be as long as the limit on nodes.
            let mut stack = vec![(start, 0)];
            while let Some((index, next)) = stack.pop() {
                if next == 0 {
                    match states[index] {
                        State::Done => continue,
                        State::Open => return Err(bad("the graph has a cycle").at_node(label(&self.nodes[index]))),
                        State::New => states[index] = State::Open,
                    }
                }
                let inputs = &self.nodes[index].input;
                match inputs.get(next) {
                    None => {
                        states[index] = State::Done;
                        order.push(index);
                    }
                    Some(value) => {
                        stack.push((index, next + 1));
                        match self.givers.get(value) {
                            Some(&giver) if states[giver] != State::Done => stack.push((giver, 0)),
                            Some(_) => {}
                            None if self.is_known(value) => {}
                            None => {
                                let message = format!("it takes \"{value}\", which nothing in the file gives");
                                return Err(bad(message).at_node(label(&self.nodes[index])));
                            }
                        }
                    }
                }
            }
        }
        Ok(order)
    }

    fn is_known(&self, value: &str) -> bool {
        value.is_empty() || value == self.input.name || self.initializers.contains_key(value)
    }

    /// A constant of one number, from an initializer or a Constant node.
    pub(super) fn number(&self, value: &str) -> Option<f32> {
        let tensor = match self.initializers.get(value) {
            Some(tensor) => tensor,
            None => {
                let (_, node) = self.giver(value).filter(|(_, node)| node.op_type == "Constant")?;
                if let Some(number) = node.find("value_float") {
                    return number.f;
                }
                node.find("value")?.t.as_deref()?
            }
        };
        // Sizes are looked at before the values are.
        let bytes = tensor.raw_data.as_ref().map_or(0, Vec::len);
        if tensor.dims.iter().any(|&side| side != 1) || bytes > 8 || tensor.float_data.len() > 1 {
            return None;
        }
        let tensor = tensor.to_tensor().ok().filter(|tensor| tensor.dtype() == DType::Float32)?;
        tensor.as_float32().ok()?.first().copied()
    }

    /// Puts another node in the place of the one at `index`; it gives what that one gave.
    pub(super) fn replace(&mut self, index: usize, node: NodeProto) {
        self.nodes[index] = node;
    }
}

/// What a person finds a node by: its name, or what it gives.
pub(super) fn label(node: &NodeProto) -> &str {
    match node.output.first() {
        Some(output) if node.name.is_empty() => output,
        _ => &node.name,
    }
}

/// A file that contradicts itself.
pub(super) fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::BadData, message)
}

/// A node that cannot become a layer, and why.
pub(super) fn refuse(node: &NodeProto, message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::Unsupported, format!("{}: {}", node.op_type, message.as_ref())).at_node(label(node))
}

/// An integer attribute.
pub(super) fn int(node: &NodeProto, name: &str, default: i64) -> i64 {
    node.find_int(name).unwrap_or(default)
}

/// A float attribute, as the shortest decimal number that reads as the same float32.
pub(super) fn float(node: &NodeProto, name: &str, default: f32) -> f64 {
    decimal(node.find(name).and_then(|attribute| attribute.f).unwrap_or(default))
}

/// The shortest decimal number that reads as this float32: 1e-5 and not 0.0000099999997.
pub(super) fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

/// A list of integers.
pub(super) fn ints<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [i64]> {
    node.find(name).map(|attribute| attribute.ints.as_slice())
}

/// A text attribute.
pub(super) fn text<'a>(node: &'a NodeProto, name: &str, default: &'a str) -> &'a str {
    let read = |attribute: &'a AttributeProto| attribute.s.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
    node.find(name).map_or(default, |attribute| read(attribute).unwrap_or("?"))
}

/// A list of integers as sizes of `count` axes, or `default` for each where it is not given.
pub(super) fn sizes(node: &NodeProto, name: &str, count: usize, default: usize) -> Result<Vec<usize>> {
    match ints(node, name) {
        None => Ok(vec![default; count]),
        Some(values) if values.len() == count => values
            .iter()
            .map(|&value| {
                usize::try_from(value).map_err(|_| refuse(node, format!("{name} = {values:?} has a negative side")))
            })
            .collect(),
        Some(values) => Err(refuse(node, format!("{name} = {values:?} is not for {count} axes"))),
    }
}
