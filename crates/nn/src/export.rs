//! From a network to ONNX, layer by layer: opset 17, a free batch axis, the input `input`, the output `output`, and
//! initializers under their safetensors keys.

use crate::shape::{Plan, PlannedNode, Source, edges};
use crate::{Layer, Network};
use lepton_core::{DType, Result, Tensor};
use lepton_onnx::{GraphProto, ModelProto, NodeProto, OPSET, ValueInfoProto, encode};

/// ONNX's number for int64, the target of a cast.
const INT64: i64 = 7;

pub(crate) fn onnx(network: &Network) -> Result<Vec<u8>> {
    let plan = &network.plan;
    let mut graph = GraphProto::new(&network.architecture.name);
    graph.input.push(ValueInfoProto::tensor("input", plan.input_dtype, &batched(&plan.input_shape)));
    graph.output.push(ValueInfoProto::tensor("output", DType::Float32, &batched(plan.output_shape())));
    for parameter in &network.parameters {
        let tensor = Tensor::float32(parameter.spec.shape.clone(), parameter.to_host()?)?;
        graph.add_initializer(&parameter.spec.name, &tensor);
    }
    let mut writer = Writer { plan, graph, values: Vec::with_capacity(plan.nodes.len()) };
    for (index, node) in plan.nodes.iter().enumerate() {
        let last = index + 1 == plan.nodes.len();
        let value = writer.write(node, last)?;
        writer.values.push(value);
    }
    Ok(encode(&ModelProto::new(writer.graph, OPSET)))
}

fn batched(row: &[usize]) -> Vec<i64> {
    std::iter::once(-1).chain(row.iter().map(|&side| side as i64)).collect()
}

struct Writer<'a> {
    plan: &'a Plan,
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

    /// Writes one layer and returns the name of its value.
    fn write(&mut self, node: &PlannedNode, last: bool) -> Result<String> {
        let inputs: Vec<String> = node.inputs.iter().map(|&source| self.value(source)).collect();
        let output = if last { "output".to_owned() } else { node.name.clone() };
        let x = inputs[0].clone();
        let key = |part: &str| format!("{}.{part}", node.name);
        match &node.layer {
            Layer::Conv2d { kernel, stride, padding, dilation, groups, bias, .. } => {
                let mut inputs = vec![x, key("weight")];
                inputs.extend(bias.then(|| key("bias")));
                let edges = edges(sides(node), *kernel, *stride, *dilation, *padding);
                let conv = window(NodeProto::new("Conv", &node.name, inputs, [&output]), *kernel, *stride, edges);
                self.push(conv.ints("dilations", dilation.map(|d| d as i64)).int("group", *groups as i64));
            }
            Layer::BatchNorm { epsilon, .. } => {
                let inputs = [x, key("weight"), key("bias"), key("running_mean"), key("running_var")];
                self.push(
                    NodeProto::new("BatchNormalization", &node.name, inputs, [&output])
                        .float("epsilon", *epsilon as f32),
                );
            }
            Layer::MaxPool2d { kernel, stride, padding } => {
                let stride = stride.unwrap_or(*kernel);
                let edges = edges(sides(node), *kernel, stride, [1, 1], *padding);
                self.push(window(NodeProto::new("MaxPool", &node.name, [x], [&output]), *kernel, stride, edges));
            }
            Layer::AvgPool2d { kernel, stride, padding } => {
                let stride = stride.unwrap_or(*kernel);
                let edges = edges(sides(node), *kernel, stride, [1, 1], *padding);
                let pool = window(NodeProto::new("AveragePool", &node.name, [x], [&output]), *kernel, stride, edges);
                self.push(pool.int("count_include_pad", 0));
            }
            Layer::GlobalAvgPool => {
                let means = self.step("GlobalAveragePool", node, "means", [x]);
                self.push(NodeProto::new("Flatten", &node.name, [means], [&output]).int("axis", 1));
            }
            Layer::Flatten => self.push(NodeProto::new("Flatten", &node.name, [x], [&output]).int("axis", 1)),
            Layer::Linear { bias, .. } => {
                let mut inputs = vec![x, key("weight")];
                inputs.extend(bias.then(|| key("bias")));
                self.push(NodeProto::new("Gemm", &node.name, inputs, [&output]).int("transB", 1));
            }
            Layer::Relu => self.push(NodeProto::new("Relu", &node.name, [x], [&output])),
            Layer::Sigmoid => self.push(NodeProto::new("Sigmoid", &node.name, [x], [&output])),
            Layer::Tanh => self.push(NodeProto::new("Tanh", &node.name, [x], [&output])),
            Layer::Gelu => {
                // x/2 · (1 + erf(x/√2)): the operator of its own came only with opset 20.
                let root = self.constant(node, "root_half", std::f32::consts::FRAC_1_SQRT_2)?;
                let one = self.constant(node, "one", 1.0)?;
                let half = self.constant(node, "half", 0.5)?;
                let scaled = self.step("Mul", node, "scaled", [x.clone(), root]);
                let erf = self.step("Erf", node, "erf", [scaled]);
                let shifted = self.step("Add", node, "shifted", [erf, one]);
                let product = self.step("Mul", node, "product", [x, shifted]);
                self.push(NodeProto::new("Mul", &node.name, [product, half], [&output]));
            }
            Layer::Dropout { .. } if last => self.push(NodeProto::new("Identity", &node.name, [x], [&output])),
            Layer::Dropout { .. } => return Ok(x),
            Layer::Add => {
                let mut sum = x;
                for (index, next) in inputs[1..inputs.len() - 1].iter().enumerate() {
                    sum = self.step("Add", node, &format!("sum{index}"), [sum, next.clone()]);
                }
                self.push(NodeProto::new("Add", &node.name, [&sum, &inputs[inputs.len() - 1]], [&output]));
            }
            Layer::Concat => self.push(NodeProto::new("Concat", &node.name, inputs, [&output]).int("axis", 1)),
            Layer::Columns { from, to } => {
                let mut inputs = vec![x];
                for (part, value) in [("from", *from), ("to", *to), ("axis", 1)] {
                    self.graph.add_initializer(key(part), &Tensor::int64([1], vec![value as i64])?);
                    inputs.push(key(part));
                }
                self.push(NodeProto::new("Slice", &node.name, inputs, [&output]));
            }
            Layer::Embedding { .. } => {
                let integers = node.inputs[0] == Source::Input && self.plan.input_dtype == DType::Int64;
                let codes = if integers {
                    x
                } else {
                    let codes = format!("{}/codes", node.name);
                    self.push(NodeProto::new("Cast", &codes, [&x], [&codes]).int("to", INT64));
                    codes
                };
                self.push(
                    NodeProto::new("Gather", &node.name, [key("weight"), codes], [output.clone()]).int("axis", 0),
                );
            }
            Layer::Softmax => self.push(NodeProto::new("Softmax", &node.name, [x], [&output]).int("axis", -1)),
        }
        Ok(output)
    }

    fn push(&mut self, node: NodeProto) {
        self.graph.node.push(node);
    }

    /// A step inside a layer; a `/` cannot occur in a layer's name, so its value's name is free.
    fn step<const N: usize>(&mut self, op: &str, node: &PlannedNode, part: &str, inputs: [String; N]) -> String {
        let name = format!("{}/{part}", node.name);
        self.push(NodeProto::new(op, &name, inputs, [&name]));
        name
    }

    fn constant(&mut self, node: &PlannedNode, part: &str, value: f32) -> Result<String> {
        let name = format!("{}.{part}", node.name);
        self.graph.add_initializer(&name, &Tensor::float32([], vec![value])?);
        Ok(name)
    }
}

/// Height and width that a window slides over.
fn sides(node: &PlannedNode) -> [usize; 2] {
    [node.input_shape[1], node.input_shape[2]]
}

/// Adds a window's attributes; ONNX orders pads as `[top, left, bottom, right]`, as we do.
fn window(node: NodeProto, kernel: [usize; 2], stride: [usize; 2], edges: [usize; 4]) -> NodeProto {
    node.ints("kernel_shape", kernel.map(|side| side as i64))
        .ints("strides", stride.map(|side| side as i64))
        .ints("pads", edges.map(|edge| edge as i64))
}
