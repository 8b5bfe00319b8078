//! Files of other programs as networks that train: an Architecture and its weights from the ONNX files of PyTorch, Keras
//! or Lepton, and from encoders in the layout of Hugging Face (`bert`).
//!
//! An ONNX graph is walked once, node by node, each value being a constant, a shape that is computed, or the output of one of
//! our layers ([`axes`] says how its numbers lie). Patterns that stand for one layer (`fuse`) are found before. Nothing is
//! guessed: what has no layer is an error that names the operator and the node.

mod activation;
mod axes;
mod bert;
mod builder;
mod constants;
mod convolution;
mod dense;
mod fuse;
mod graph;
mod join;
mod normalization;
mod pooling;
mod recurrent;
mod shapes;

pub use bert::import_encoder;

use crate::{Architecture, InputSpec, Layer, Network};
use axes::{Activation, Axis, Length, Side};
use builder::{Builder, INPUT};
use graph::{Graph, bad, label, refuse};
use lepton_core::{DType, Error, ErrorCode, Limits, Result, Tensor};
use lepton_onnx::{GraphProto, ModelProto, NodeProto};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Places of a sequence whose length the file leaves free.
const FREE_LENGTH: usize = 64;

/// The operators that can become layers, for errors.
const SUPPORTED: &str = "supported are Conv, Pad in front of a Conv, ConvTranspose, BatchNormalization, LayerNormalization, \
    InstanceNormalization, MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool, ReduceMean, ReduceMax, Gemm, MatMul, \
    Add, Mul, Concat, Gather, Slice, Resize, LSTM, GRU, RNN, Relu, LeakyRelu, PRelu, Elu, Selu, Sigmoid, Tanh, \
    HardSigmoid, HardSwish, Clip (0 to 6), Softplus, Mish, Gelu, Softmax, Dropout, Identity, Cast, Constant, Flatten, \
    Reshape, Transpose, Squeeze and Unsqueeze";

/// A model of another program as a network of ours.
pub struct Imported {
    /// The layers. Its input is called `input`, whatever the file calls it, and takes what the file's input takes.
    pub architecture: Architecture,
    /// The layers with the file's weights.
    pub network: Network,
    /// What the file calls its input.
    pub input_name: String,
    /// What the file calls its output.
    pub output_name: String,
    /// What a person should know: things that are other than in the file although the outputs are the same.
    pub notes: Vec<String>,
}

/// Turns an ONNX model (operator sets 11 to 21) into a network with its weights. It takes one float32 input, or int64 codes
/// for an embedding, whose first side is the batch, and gives one output; in inference mode the outputs are the file's. A
/// batch that the file fixes becomes free, and so may the time of a sequence be where it follows the batch. Constants that
/// nothing uses are ignored.
///
/// # Errors
/// [`ErrorCode::BadData`] for what is no ONNX model, contradicts itself, keeps weights in other files or has weights that
/// are not finite; [`ErrorCode::Shape`] or [`ErrorCode::Config`] for weights and settings that do not fit;
/// [`ErrorCode::TooLarge`] naming a limit; [`ErrorCode::Unsupported`] naming the operator that has no layer. The node is
/// the place.
pub fn import(onnx: &[u8], limits: &Limits) -> Result<Imported> {
    let model = lepton_onnx::decode(onnx, limits)?;
    lepton_onnx::refuse_external_data(&model)?;
    let name = model.graph.as_ref().map_or("", |graph| graph.name.as_str());
    let name = if name.is_empty() || name.len() > 100 { "imported".to_owned() } else { name.to_owned() };
    let mut graph = Graph::new(model)?;
    fuse::fuse(&mut graph);
    let order = graph.order()?;
    let mut builder = Builder::new(limits);
    let (input, value) = first(&graph, &mut builder)?;
    builder.dtype = input.dtype;
    let mut import = Import {
        graph: &graph,
        builder,
        values: HashMap::from([(graph.input.name.clone(), value)]),
        done: HashSet::new(),
        read: HashSet::new(),
        padded: HashMap::new(),
        taken: HashSet::new(),
        budget: limits.tensor_elements,
    };
    for index in order {
        if !import.done.contains(&index) {
            import.node(&graph.nodes[index])?;
        }
    }
    let Some(Value::Activation(output)) = import.values.get(&graph.output).cloned() else {
        let message = "the output does not depend on the input as a layer's would";
        return Err(Error::new(ErrorCode::Unsupported, message).at_node(&graph.output));
    };
    let output = import.output(output)?;
    let Import { mut builder, read, .. } = import;
    let unused = graph.initializers.len() - graph.initializers.keys().filter(|name| read.contains(*name)).count();
    if unused > 0 {
        builder.note(format!("{unused} constants of the file are not used and were left out"));
    }
    let (architecture, network, mut notes) = builder.finish(&name, input, &output.layer)?;
    if architecture.layers.last().is_some_and(|node| node.layer == Layer::Softmax) {
        notes.push("it ends in a softmax; a loss over classes takes what comes before it".to_owned());
    }
    let (input_name, output_name) = (graph.input.name, graph.output);
    Ok(Imported { architecture, network, input_name, output_name, notes })
}

/// The input as an Architecture has it, and as the first value.
fn first(graph: &Graph, builder: &mut Builder<'_>) -> Result<(InputSpec, Value)> {
    let alone = GraphProto { input: vec![graph.input.clone()], ..GraphProto::default() };
    let signature = lepton_onnx::signature(&ModelProto { graph: Some(alone), ..ModelProto::default() })?;
    let spec = signature.inputs.into_iter().next().ok_or_else(|| Error::internal("an input without signature"))?;
    let wrong = |message: String| Err(Error::new(ErrorCode::Unsupported, message).at_node(&spec.name));
    if !matches!(spec.dtype, DType::Float32 | DType::Int64) {
        return wrong(format!("a network takes float32 or int64, not {}", spec.dtype));
    }
    let rank = spec.shape.len();
    if !(2..=4).contains(&rank) || spec.shape.contains(&0) {
        return wrong(format!("the input has sides {:?}; a batch and one to three sides are supported", spec.shape));
    }
    let codes = spec.dtype == DType::Int64;
    let free = spec.shape[1] < 0 && (rank == 3 || codes && rank == 2);
    if spec.shape[1 + usize::from(free)..].iter().any(|&side| side < 0) {
        let message = format!("the input has free sides beside the batch and the time: {:?}", spec.shape);
        return Err(Error::new(ErrorCode::Unsupported, message)
            .at_node(&spec.name)
            .fix("export the model with only the batch axis free"));
    }
    let row: Vec<usize> = spec.shape[1..].iter().map(|&side| usize::try_from(side).unwrap_or(FREE_LENGTH)).collect();
    if free {
        builder.note(format!("sequences may have any length; {FREE_LENGTH} is written for the one of training"));
    }
    let batch = usize::try_from(spec.shape[0]).unwrap_or(0);
    if batch > 0 {
        builder.note(format!("the file fixes the batch at {batch} rows; here any number goes"));
    }
    let axes: Vec<Axis> = std::iter::once(Axis::Batch).chain((0..row.len()).map(Axis::Side)).collect();
    let mut value = Activation::new((INPUT.to_owned(), row.clone()), &row, &axes, batch, free);
    value.codes = codes;
    let input = InputSpec { name: INPUT.to_owned(), shape: row, dtype: spec.dtype, free_length: free };
    Ok((input, Value::Activation(value)))
}

/// What a name of the graph stands for.
#[derive(Clone)]
enum Value {
    /// What a layer gives.
    Activation(Activation),
    /// A constant and the initializer that it comes from.
    Constant(Rc<Tensor>, Rc<str>),
    /// One number everywhere, whatever the shape.
    Filled(f32),
    /// Sides of shapes, or one of them.
    Lengths(Vec<Length>),
}

/// An import at work.
struct Import<'a> {
    graph: &'a Graph,
    builder: Builder<'a>,
    values: HashMap<String, Value>,
    /// Nodes that an earlier one took along.
    done: HashSet<usize>,
    /// Initializers that were read.
    read: HashSet<String>,
    /// Zeros around a value that the Conv behind it puts there: cells before its axes, then behind them.
    padded: HashMap<String, Vec<usize>>,
    /// Weights that became those of a layer.
    taken: HashSet<Rc<str>>,
    /// Elements of constants that may still be computed.
    budget: u64,
}

impl Import<'_> {
    fn node(&mut self, node: &NodeProto) -> Result<()> {
        if !matches!(node.domain.as_str(), "" | "ai.onnx" | fuse::DOMAIN) {
            return Err(refuse(node, format!("operators of \"{}\" are not supported", node.domain)).fix(SUPPORTED));
        }
        if self.fold(node)? {
            return Ok(());
        }
        match node.op_type.as_str() {
            "Conv" => self.convolution(node),
            "Pad" => self.zeros_around(node),
            "ConvTranspose" => self.transposed_convolution(node),
            "BatchNormalization" => self.batch_norm(node),
            "LayerNormalization" => self.layer_norm(node),
            "InstanceNormalization" => self.instance_norm(node),
            "MaxPool" | "AveragePool" => self.pool(node),
            "GlobalAveragePool" | "GlobalMaxPool" | "ReduceMean" | "ReduceMax" => self.global_pool(node),
            "Resize" => self.resize(node),
            "Gemm" => self.gemm(node),
            "MatMul" => self.matmul(node),
            "Add" | "Mul" | "Sum" => self.arithmetic(node),
            "Concat" => self.concat(node),
            "Gather" => self.gather(node),
            "Slice" => self.slice(node),
            "LSTM" | "GRU" | "RNN" => self.recurrent(node),
            "Flatten" | "Reshape" | "Transpose" | "Squeeze" | "Unsqueeze" => self.reshaped(node),
            "Identity" | "Cast" | "Dropout" => self.passed_on(node),
            _ => self.activation(node),
        }
    }

    /// The network's output with the axes that ONNX gives it.
    fn output(&mut self, output: Activation) -> Result<Activation> {
        let node = NodeProto::new("output", &self.graph.output, [] as [&str; 0], [] as [&str; 0]);
        if output.codes {
            return Err(refuse(&node, "the output is codes, not float32"));
        }
        if output.batch_axis() != Some(0) {
            return Err(refuse(&node, "the batch is not the first axis"));
        }
        let groups: Vec<Vec<Side>> = output.axes[1..].to_vec();
        let groups = if groups.is_empty() {
            self.builder.note("the file gives one number for each row, here it is a row of one number".to_owned());
            vec![Vec::new()]
        } else {
            groups
        };
        self.builder.arrange(&node, "result", &output, &groups)
    }

    /// The input at that place, where the node has it.
    fn input(&mut self, node: &NodeProto, place: usize) -> Result<Option<Value>> {
        let Some(name) = node.input.get(place).filter(|name| !name.is_empty()) else { return Ok(None) };
        match self.known(name)? {
            Some(value) => Ok(Some(value)),
            None => Err(bad(format!("it takes \"{name}\", which nothing in the file gives")).at_node(label(node))),
        }
    }

    /// What a name stands for, where that is known already or a constant.
    fn known(&mut self, name: &str) -> Result<Option<Value>> {
        if !self.values.contains_key(name) {
            if let Some(tensor) = self.graph.initializers.get(name) {
                self.read.insert(name.to_owned());
                let value = Value::Constant(Rc::new(tensor.to_tensor()?), Rc::from(name));
                self.values.insert(name.to_owned(), value);
            } else if let Some((_, node)) = self.graph.giver(name).filter(|(_, node)| node.op_type == "Constant") {
                self.fold(node)?;
            }
        }
        Ok(self.values.get(name).cloned())
    }

    /// The input at that place as what a layer gives.
    fn layer_value(&mut self, node: &NodeProto, place: usize) -> Result<Activation> {
        match self.input(node, place)? {
            Some(Value::Activation(value)) if !value.codes => Ok(value),
            Some(Value::Activation(_)) => Err(refuse(node, "it takes float32, but the input is int64 codes")),
            _ => Err(refuse(node, format!("its input {place} does not depend on the network's input")).fix(SUPPORTED)),
        }
    }

    /// The input at that place with a row of these ONNX axes, in this order.
    fn arranged(&mut self, node: &NodeProto, place: usize, axes: &[usize]) -> Result<Activation> {
        let value = self.layer_value(node, place)?;
        let batch = value.batch_axis().filter(|batch| !axes.contains(batch));
        if batch.is_none() || axes.len() + 1 != value.axes.len() || axes.iter().any(|&axis| axis >= value.axes.len()) {
            return Err(refuse(node, format!("its input has {} axes or lacks the batch", value.axes.len())));
        }
        let groups: Vec<Vec<Side>> = axes.iter().map(|&axis| value.axes[axis].clone()).collect();
        self.in_groups(node, place, &value, &groups)
    }

    /// The input at that place with a row of those groups; others who use the value find it that way.
    fn in_groups(
        &mut self,
        node: &NodeProto,
        place: usize,
        value: &Activation,
        groups: &[Vec<Side>],
    ) -> Result<Activation> {
        let hint = self.hint(node, None);
        let arranged = self.builder.arrange(node, &hint, value, groups)?;
        self.values.insert(node.input[place].clone(), Value::Activation(arranged.clone()));
        Ok(arranged)
    }

    /// What the node gives at that place.
    fn give(&mut self, node: &NodeProto, place: usize, value: Value) {
        if let Some(name) = node.output.get(place).filter(|name| !name.is_empty()) {
            self.values.insert(name.clone(), value);
        }
    }

    /// A layer's name in the making: the weight's, `layer1.0.conv1`, or the node's with the operator taken off.
    fn hint(&self, node: &NodeProto, weight: Option<&str>) -> String {
        if let Some(layer) = weight.and_then(|key| key.strip_suffix(".weight")).filter(|layer| !layer.contains("::")) {
            return layer.to_owned();
        }
        let name = node.name.strip_prefix("node_").unwrap_or(&node.name);
        let mut parts: Vec<&str> = Vec::new();
        // PyTorch writes `/layer1/layer1.0/conv1/Conv`: each module's own path, the operator last.
        for part in name.split('/').filter(|part| !part.is_empty()) {
            let longer = |part: &str, last: &str| part.strip_prefix(last).is_some_and(|rest| rest.starts_with('.'));
            if parts.last().is_some_and(|last| longer(part, last)) {
                parts.pop();
            }
            parts.push(part);
        }
        if parts.len() > 1 && parts.last().is_some_and(|last| last.starts_with(&node.op_type)) {
            parts.pop();
        }
        if parts.is_empty() { node.op_type.to_lowercase() } else { parts.join("_") }
    }
}
