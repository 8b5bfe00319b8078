//! From a network to ONNX, layer by layer: opset 17, a free batch axis (and a free time axis where the network has one),
//! the input `input`, the output `output`, and initializers under their safetensors keys where ONNX orders the numbers
//! as we do. What a layer becomes is in its own file.

use crate::Network;
use crate::plan::{Plan, PlannedNode, Source};
use lepton_core::{DType, Error, Result, Tensor};
use lepton_onnx::{GraphProto, ModelProto, NodeProto, OPSET, ValueInfoProto, encode};

/// ONNX's numbers for types, the targets of casts.
pub(crate) const FLOAT: i64 = 1;
pub(crate) const INT64: i64 = 7;

pub(crate) fn onnx(network: &Network) -> Result<Vec<u8>> {
    let plan = &network.plan;
    let mut graph = GraphProto::new(&network.architecture.name);
    let last = plan.nodes.last();
    let free = last.is_some_and(|node| node.free_time);
    graph.input.push(ValueInfoProto::tensor("input", plan.input_dtype, &batched(&plan.input_shape, plan.free_time)));
    graph.output.push(ValueInfoProto::tensor("output", DType::Float32, &batched(plan.output_shape(), free)));
    let mut writer = Writer { plan, network, graph, values: Vec::with_capacity(plan.nodes.len()) };
    for (index, node) in plan.nodes.iter().enumerate() {
        let is_last = index + 1 == plan.nodes.len();
        let inputs: Vec<String> = node.inputs.iter().map(|&source| writer.value(source)).collect();
        let output = if is_last { "output".to_owned() } else { node.name.clone() };
        let mut export = Export { node, index, output, is_last, writer: &mut writer };
        node.layer.does().export(&mut export, inputs)?;
        let output = export.output;
        writer.values.push(output);
    }
    Ok(encode(&ModelProto::new(writer.graph, OPSET)))
}

fn batched(row: &[usize], free_time: bool) -> Vec<i64> {
    let side = |(place, &side): (usize, &usize)| if free_time && place == 0 { -1 } else { side as i64 };
    std::iter::once(-1).chain(row.iter().enumerate().map(side)).collect()
}

struct Writer<'a> {
    plan: &'a Plan,
    network: &'a Network,
    graph: GraphProto,
    /// The ONNX value that each plan node became.
    values: Vec<String>,
}

impl Writer<'_> {
    fn value(&self, source: Source) -> String {
        match source {
            Source::Input => "input".to_owned(),
            Source::Node(index) => self.values[index].clone(),
        }
    }
}

/// One layer while it is written.
pub(crate) struct Export<'a, 'b> {
    pub(crate) node: &'a PlannedNode,
    /// The name of the value to give. A layer that is nothing in inference may put its input's name here.
    pub(crate) output: String,
    /// Whether the output is the network's.
    pub(crate) is_last: bool,
    index: usize,
    writer: &'a mut Writer<'b>,
}

impl Export<'_, '_> {
    /// Writes a node as it is.
    pub(crate) fn push(&mut self, node: NodeProto) {
        self.writer.graph.node.push(node);
    }

    /// The node that gives the output.
    pub(crate) fn last(&self, op: &str, inputs: impl IntoIterator<Item = String>) -> NodeProto {
        NodeProto::new(op, &self.node.name, inputs, [&self.output])
    }

    /// A step inside the layer, and the name of its value: a `/` cannot occur in a layer's name, so it is free.
    pub(crate) fn step(&mut self, op: &str, part: &str, inputs: impl IntoIterator<Item = String>) -> String {
        self.step_with(op, part, inputs, |node| node)
    }

    /// A step with attributes.
    pub(crate) fn step_with(
        &mut self,
        op: &str,
        part: &str,
        inputs: impl IntoIterator<Item = String>,
        with: impl FnOnce(NodeProto) -> NodeProto,
    ) -> String {
        let name = format!("{}/{part}", self.node.name);
        self.push(with(NodeProto::new(op, &name, inputs, [&name])));
        name
    }

    /// A parameter as an initializer under its own key.
    pub(crate) fn weight(&mut self, part: &str) -> Result<String> {
        let name = format!("{}.{part}", self.node.name);
        let (shape, values) = self.parameter(part)?;
        self.writer.graph.add_initializer(&name, &Tensor::float32(shape, values)?);
        Ok(name)
    }

    /// A parameter's shape and values.
    pub(crate) fn parameter(&self, part: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let name = format!("{}.{part}", self.node.name);
        let of = self.writer.network.parameters.iter().find(|parameter| parameter.spec.name == name);
        let parameter = of.ok_or_else(|| Error::internal(format!("there is no parameter \"{name}\"")))?;
        Ok((parameter.spec.shape.clone(), parameter.to_host()?))
    }

    /// A constant of the layer.
    pub(crate) fn tensor(&mut self, part: &str, tensor: &Tensor) -> String {
        let name = format!("{}.{part}", self.node.name);
        self.writer.graph.add_initializer(&name, tensor);
        name
    }

    /// One number.
    pub(crate) fn number(&mut self, part: &str, value: f32) -> Result<String> {
        Ok(self.tensor(part, &Tensor::float32([], vec![value])?))
    }

    /// A list of int64, for shapes and axes.
    pub(crate) fn ints(&mut self, part: &str, values: &[i64]) -> Result<String> {
        Ok(self.tensor(part, &Tensor::int64([values.len()], values.to_vec())?))
    }

    /// Whether the first input is the network's own int64.
    pub(crate) fn takes_codes(&self) -> bool {
        self.node.inputs[0] == Source::Input && self.writer.plan.input_dtype == DType::Int64
    }

    /// Sides of one row of the second input.
    pub(crate) fn second_rank(&self) -> usize {
        match self.node.inputs.get(1) {
            Some(Source::Node(index)) => self.writer.plan.nodes[*index].shape.len(),
            _ => self.writer.plan.input_shape.len(),
        }
    }

    /// Whether a later layer asks where this one's sequences end.
    pub(crate) fn lengths_are_used(&self) -> bool {
        self.writer.plan.lengths_are_used(self.index)
    }

    /// The value with the mask of an input's sequences, float `[batch, time]`, where something tells their ends.
    pub(crate) fn mask(&self, input: usize) -> Option<String> {
        self.node.lengths[input].map(|maker| format!("{}/mask", self.writer.plan.nodes[maker].name))
    }

    /// The value with the lengths of an input's sequences, int64 `[batch]`.
    pub(crate) fn lengths(&self, input: usize) -> Option<String> {
        self.node.lengths[input].map(|maker| format!("{}/lengths", self.writer.plan.nodes[maker].name))
    }
}
