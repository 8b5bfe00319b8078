//! The models and inputs of the conformance suite, built with lepton-onnx's builders. Used by the suite itself and
//! by the example that writes them down for the reference run in Python.

use lepton_core::{DType, NamedTensors, Tensor, TensorData};
use lepton_onnx::{GraphProto, ModelProto, NodeProto, OPSET, ValueInfoProto};

/// One model and the requests to send to it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) onnx: Vec<u8>,
    pub(crate) requests: Vec<NamedTensors>,
}

pub(crate) fn cases() -> Vec<Case> {
    vec![dense(), linear(), conv_net(), residual(), embedding(), kinds(), two_inputs(), qdq()]
}

/// Values between -1.375 and 1.375 that are exact in every float format.
fn wave(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|index| ((index * 37 + index / 5 * 11 + seed * 13) % 23) as f32 / 8.0 - 1.375).collect()
}

fn floats(shape: &[usize], seed: usize) -> Tensor {
    Tensor::float32(shape, wave(shape.iter().product(), seed)).unwrap()
}

fn batches(row: &[usize], sizes: &[usize]) -> Vec<NamedTensors> {
    let shape = |rows: usize| std::iter::once(rows).chain(row.iter().copied()).collect::<Vec<_>>();
    sizes.iter().map(|&rows| vec![("input".to_owned(), floats(&shape(rows), rows))]).collect()
}

struct Graph(GraphProto);

impl Graph {
    fn new(name: &str, inputs: &[(&str, DType, &[i64])], outputs: &[(&str, DType, &[i64])]) -> Graph {
        let infos = |list: &[(&str, DType, &[i64])]| {
            list.iter().map(|(name, dtype, shape)| ValueInfoProto::tensor(*name, *dtype, shape)).collect()
        };
        let mut graph = GraphProto::new(name);
        graph.input = infos(inputs);
        graph.output = infos(outputs);
        Graph(graph)
    }

    fn constant(mut self, name: &str, tensor: Tensor) -> Graph {
        self.0.add_initializer(name, &tensor);
        self
    }

    fn node(mut self, op: &str, inputs: &[&str], output: &str, set: impl FnOnce(NodeProto) -> NodeProto) -> Graph {
        let node = NodeProto::new(op, format!("{output}/{op}"), inputs.iter().copied(), [output]);
        self.0.node.push(set(node));
        self
    }

    fn finish(self) -> Vec<u8> {
        lepton_onnx::encode(&ModelProto::new(self.0, OPSET))
    }
}

const F: DType = DType::Float32;

fn plain(node: NodeProto) -> NodeProto {
    node
}

/// Dense, ReLU, dense, softmax: weights transposed as Gemm's transB.
fn dense() -> Case {
    let onnx = Graph::new("dense", &[("input", F, &[-1, 5])], &[("output", F, &[-1, 3])])
        .constant("w1", floats(&[7, 5], 1))
        .constant("b1", floats(&[7], 2))
        .constant("w2", floats(&[3, 7], 3))
        .constant("b2", floats(&[3], 4))
        .node("Gemm", &["input", "w1", "b1"], "hidden", |node| node.int("transB", 1))
        .node("Relu", &["hidden"], "active", plain)
        .node("Gemm", &["active", "w2", "b2"], "logits", |node| node.int("transB", 1))
        .node("Softmax", &["logits"], "output", |node| node.int("axis", 1))
        .finish();
    Case { name: "dense", onnx, requests: batches(&[5], &[1, 3, 17]) }
}

/// One product, so that what goes in comes out: NaN and infinity in one row do not touch the others.
fn linear() -> Case {
    let onnx = Graph::new("linear", &[("input", F, &[-1, 4])], &[("output", F, &[-1, 2])])
        .constant("w", floats(&[4, 2], 5))
        .constant("b", floats(&[2], 6))
        .node("Gemm", &["input", "w", "b"], "output", plain)
        .finish();
    let mut values = wave(16, 7);
    values[5] = f32::NAN;
    values[10] = f32::INFINITY;
    let odd = vec![("input".to_owned(), Tensor::float32([4, 4], values).unwrap())];
    let mut requests = batches(&[4], &[2]);
    requests.push(odd);
    Case { name: "linear", onnx, requests }
}

fn conv_net() -> Case {
    let onnx = Graph::new("conv_net", &[("input", F, &[-1, 2, 9, 8])], &[("output", F, &[-1, 3])])
        .constant("w1", floats(&[6, 2, 3, 3], 1))
        .constant("b1", floats(&[6], 2))
        .constant("scale", Tensor::float32([6], vec![0.5, 1.0, 1.5, 2.0, 0.25, 0.75]).unwrap())
        .constant("shift", floats(&[6], 3))
        .constant("mean", floats(&[6], 4))
        .constant("variance", Tensor::float32([6], vec![0.5, 1.0, 2.0, 4.0, 0.25, 8.0]).unwrap())
        .constant("w2", floats(&[4, 3, 3, 3], 5))
        .constant("w3", floats(&[3, 8], 6))
        .constant("b3", floats(&[3], 7))
        .node("Conv", &["input", "w1", "b1"], "c1", |node| {
            node.ints("kernel_shape", [3, 3]).ints("pads", [1, 1, 1, 1]).ints("strides", [1, 1])
        })
        .node("BatchNormalization", &["c1", "scale", "shift", "mean", "variance"], "n1", |node| {
            node.float("epsilon", 1e-5)
        })
        .node("Relu", &["n1"], "r1", plain)
        .node("MaxPool", &["r1"], "p1", |node| node.ints("kernel_shape", [2, 2]).ints("strides", [2, 2]))
        .node("Conv", &["p1", "w2"], "c2", |node| node.ints("kernel_shape", [3, 3]).int("group", 2))
        .node("AveragePool", &["c2"], "p2", |node| node.ints("kernel_shape", [2, 1]).ints("strides", [1, 1]))
        .node("Flatten", &["p2"], "flat", |node| node.int("axis", 1))
        .node("Gemm", &["flat", "w3", "b3"], "output", |node| node.int("transB", 1))
        .finish();
    Case { name: "conv_net", onnx, requests: batches(&[2, 9, 8], &[1, 4]) }
}

fn residual() -> Case {
    let onnx = Graph::new("residual", &[("input", F, &[-1, 4, 6, 6])], &[("output", F, &[-1, 4])])
        .constant("w", floats(&[4, 4, 3, 3], 8))
        .node("Conv", &["input", "w"], "c", |node| node.ints("kernel_shape", [3, 3]).ints("pads", [1, 1, 1, 1]))
        .node("Add", &["c", "input"], "sum", plain)
        .node("GlobalAveragePool", &["sum"], "pooled", plain)
        .node("Flatten", &["pooled"], "output", plain)
        .finish();
    Case { name: "residual", onnx, requests: batches(&[4, 6, 6], &[1, 2]) }
}

/// int64 in; float32 and int64 out.
fn embedding() -> Case {
    let onnx = Graph::new(
        "embedding",
        &[("ids", DType::Int64, &[-1, 4])],
        &[("vectors", F, &[-1, 4, 3]), ("next", DType::Int64, &[-1, 4])],
    )
    .constant("table", floats(&[10, 3], 9))
    .constant("one", Tensor::int64([1], vec![1]).unwrap())
    .node("Gather", &["table", "ids"], "vectors", |node| node.int("axis", 0))
    .node("Add", &["ids", "one"], "next", plain)
    .finish();
    let ids = Tensor::int64([2, 4], vec![0, 9, 3, 3, 7, 1, 2, 8]).unwrap();
    Case { name: "embedding", onnx, requests: vec![vec![("ids".to_owned(), ids)]] }
}

/// bool, int32 and uint8 out.
fn kinds() -> Case {
    let outputs: [(&str, DType, &[i64]); 3] =
        [("positive", DType::Bool, &[-1, 3]), ("whole", DType::Int32, &[-1, 3]), ("byte", DType::UInt8, &[-1, 3])];
    let onnx = Graph::new("kinds", &[("input", F, &[-1, 3])], &outputs)
        .constant("zero", Tensor::float32([1], vec![0.0]).unwrap())
        .constant("scale", Tensor::float32(Vec::new(), vec![0.0625]).unwrap())
        .constant("offset", Tensor::new(Vec::new(), TensorData::UInt8(vec![128])).unwrap())
        .node("Greater", &["input", "zero"], "positive", plain)
        .node("Cast", &["input"], "whole", |node| node.int("to", 6))
        .node("QuantizeLinear", &["input", "scale", "offset"], "byte", plain)
        .finish();
    Case { name: "kinds", onnx, requests: batches(&[3], &[1, 5]) }
}

fn two_inputs() -> Case {
    let onnx = Graph::new("two_inputs", &[("left", F, &[-1, 3]), ("right", F, &[-1, 3])], &[("output", F, &[-1, 3])])
        .node("Sub", &["left", "right"], "output", plain)
        .finish();
    let request = |rows: usize| {
        // Not the graph's order: names decide.
        vec![("right".to_owned(), floats(&[rows, 3], 1)), ("left".to_owned(), floats(&[rows, 3], 2))]
    };
    Case { name: "two_inputs", onnx, requests: vec![request(1), request(6)] }
}

/// What lepton-optimize writes: unsigned activations, signed weights by output channel, int32 bias.
fn qdq() -> Case {
    let bytes = |shape: &[usize], seed: usize| {
        let count = shape.iter().product();
        let values = (0..count).map(|index| ((index * 53 + seed * 29) % 255) as u8 as i16 - 127).map(|v| v as i8);
        Tensor::new(shape, TensorData::Int8(values.collect())).unwrap()
    };
    let scalar = |value: f32| Tensor::float32(Vec::new(), vec![value]).unwrap();
    let zero = |value: u8| Tensor::new(Vec::new(), TensorData::UInt8(vec![value])).unwrap();
    let signed_zero = |count: usize| Tensor::new([count], TensorData::Int8(vec![0; count])).unwrap();
    let wide = |values: Vec<i32>| Tensor::new([values.len()], TensorData::Int32(values)).unwrap();
    let onnx = Graph::new("qdq", &[("input", F, &[-1, 2, 6, 6])], &[("output", F, &[-1, 3])])
        .constant("x_scale", scalar(0.0625))
        .constant("x_zero", zero(120))
        .constant("w1_q", bytes(&[4, 2, 3, 3], 1))
        .constant("w1_scale", Tensor::float32([4], vec![0.0078125, 0.015625, 0.00390625, 0.03125]).unwrap())
        .constant("w1_zero", signed_zero(4))
        .constant("b1_q", wide(vec![100, -200, 300, -50]))
        .constant(
            "b1_scale",
            Tensor::float32([4], vec![1.0 / 2048.0, 1.0 / 1024.0, 1.0 / 4096.0, 1.0 / 512.0]).unwrap(),
        )
        .constant("b1_zero", wide(vec![0; 4]))
        .constant("h_scale", scalar(0.25))
        .constant("h_zero", zero(0))
        .constant("w2_q", bytes(&[3, 64], 2))
        .constant("w2_scale", Tensor::float32([3], vec![0.015625, 0.0078125, 0.0625]).unwrap())
        .constant("w2_zero", signed_zero(3))
        .node("QuantizeLinear", &["input", "x_scale", "x_zero"], "x_q", plain)
        .node("DequantizeLinear", &["x_q", "x_scale", "x_zero"], "x", plain)
        .node("DequantizeLinear", &["w1_q", "w1_scale", "w1_zero"], "w1", |node| node.int("axis", 0))
        .node("DequantizeLinear", &["b1_q", "b1_scale", "b1_zero"], "b1", |node| node.int("axis", 0))
        .node("Conv", &["x", "w1", "b1"], "c1", |node| node.ints("kernel_shape", [3, 3]))
        .node("Relu", &["c1"], "r1", plain)
        .node("QuantizeLinear", &["r1", "h_scale", "h_zero"], "h_q", plain)
        .node("DequantizeLinear", &["h_q", "h_scale", "h_zero"], "h", plain)
        .node("Flatten", &["h"], "flat", plain)
        .node("DequantizeLinear", &["w2_q", "w2_scale", "w2_zero"], "w2", |node| node.int("axis", 0))
        .node("Gemm", &["flat", "w2"], "output", |node| node.int("transB", 1))
        .finish();
    Case { name: "qdq", onnx, requests: batches(&[2, 6, 6], &[1, 3]) }
}
