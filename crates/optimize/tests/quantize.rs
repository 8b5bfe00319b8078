//! INT8 models on real engines: their numbers against onnxruntime's own quantiser, their answers against float32.
//!
//! The fixtures come from `fixtures/reference.py`. The tests on onnxruntime need `LEPTON_TEST_ORT_DYLIB`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use lepton_core::{DType, ErrorCode, Limits, Metrics, NamedTensors, Result, Tensor, TensorData};
use lepton_onnx::{GraphProto, ModelProto, NodeProto, OPSET, ValueInfoProto};
use lepton_optimize::{Candidate, OptimizeSettings, agreement, decide, measure, quantize};
use lepton_runtime::{Engine, Engines, Session, SessionOptions};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

fn rten() -> Arc<dyn Engine> {
    Engines::discover(Path::new("/nowhere"), None).get(Some("rten")).unwrap()
}

fn onnxruntime() -> Arc<dyn Engine> {
    let path = std::env::var_os("LEPTON_TEST_ORT_DYLIB").expect(
        "set LEPTON_TEST_ORT_DYLIB to a libonnxruntime.so (tests/run does; `pip download onnxruntime` has one)",
    );
    Engines::discover(Path::new("/nowhere"), Some(Path::new(&path))).get(Some("onnxruntime")).unwrap()
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&fixture(name)).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|one| one.as_f64().unwrap()).collect()
}

fn rows() -> NamedTensors {
    let values: Vec<f32> = numbers(&json("calibration.json")["rows"]).into_iter().map(|value| value as f32).collect();
    vec![("input".to_owned(), Tensor::float32([values.len() / 100, 1, 10, 10], values).unwrap())]
}

fn run(engine: &dyn Engine, onnx: &[u8], rows: &NamedTensors) -> Tensor {
    let session = engine.load(onnx, &SessionOptions::default()).unwrap();
    session.run(rows).unwrap().remove(0).1
}

fn constants(onnx: &[u8]) -> BTreeMap<String, Tensor> {
    let graph = lepton_onnx::decode(onnx, &Limits::default()).unwrap().graph.unwrap();
    graph.initializer.iter().map(|one| (one.name.clone(), one.to_tensor().unwrap())).collect()
}

fn whole(tensor: &Tensor) -> Vec<i64> {
    match tensor.data() {
        TensorData::Int8(values) => values.iter().map(|&value| value.into()).collect(),
        TensorData::UInt8(values) => values.iter().map(|&value| value.into()).collect(),
        TensorData::Int32(values) => values.iter().map(|&value| value.into()).collect(),
        other => panic!("{}", other.dtype()),
    }
}

/// Our scales, zero points, weights and biases are those of onnxruntime's quantiser.
fn numbers_are_those_of_the_reference(engine: &dyn Engine) {
    let made = constants(&quantize(&fixture("float.onnx"), &[rows()], engine).unwrap());
    let reference = json("reference.json");
    let close = |got: f32, want: f64, what: &str| {
        assert!((f64::from(got) - want).abs() <= 1e-6 * want.abs(), "{what}: {got} instead of {want}");
    };
    for (name, want) in reference["tensors"].as_object().unwrap() {
        if want.is_null() {
            // Moved from another tensor: no range of its own, there or here.
            assert!(!made.contains_key(&format!("{name}/scale")), "{name}");
            continue;
        }
        close(made[&format!("{name}/scale")].as_float32().unwrap()[0], want["scale"].as_f64().unwrap(), name);
        assert_eq!(whole(&made[&format!("{name}/zero_point")]), [want["zero_point"].as_i64().unwrap()], "{name}");
    }
    for (node, index) in [("c1", 1), ("c2", 2), ("d1", 3), ("output", 4)] {
        let want = &reference["weights"][format!("w{index}")];
        let got = &made[&format!("{node}/weight_scale")];
        for (got, want) in got.as_float32().unwrap().iter().zip(numbers(&want["scale"])) {
            close(*got, want, node);
        }
        let quantized = |part: &str, want: &Value| {
            let got = whole(&made[&format!("{node}/{part}_quantized")]);
            let want = numbers(want);
            assert_eq!(got.len(), want.len());
            let off: Vec<f64> = got.iter().zip(&want).map(|(got, want)| (*got as f64 - want).abs()).collect();
            // A value between two steps may fall on either side.
            assert!(off.iter().all(|off| *off <= 1.0), "{node} {part}");
            assert!(off.iter().filter(|off| **off > 0.0).count() * 50 <= off.len(), "{node} {part}: {off:?}");
        };
        quantized("weight", &want["quantized"]);
        quantized("bias", &reference["biases"][format!("b{index}")]);
    }
}

/// The answers are the reference's, but for the outputs, which it also rounds to 8 bits, and near float32's.
fn answers_are_close(engine: &dyn Engine) {
    let onnx = fixture("float.onnx");
    let int8 = quantize(&onnx, &[rows()], engine).unwrap();
    // No float weight is left beside its 8-bit version.
    assert!(constants(&onnx).keys().all(|name| !constants(&int8).contains_key(name)));
    let got = run(engine, &int8, &rows());
    let float = numbers(&json("calibration.json")["float"]);
    let reference = numbers(&json("reference.json")["outputs"]);
    let largest = float.iter().map(|value| value.abs()).fold(0.0, f64::max);
    let differences = |want: &[f64]| -> Vec<f64> {
        got.as_float32().unwrap().iter().zip(want).map(|(got, want)| (f64::from(*got) - want).abs() / largest).collect()
    };
    let (to_float, to_reference) = (differences(&float), differences(&reference));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert!(mean(&to_float) < 0.015 && to_float.iter().all(|off| *off < 0.05), "{}", mean(&to_float));
    assert!(mean(&to_reference) < 0.004 && to_reference.iter().all(|off| *off < 0.02), "{}", mean(&to_reference));
}

/// Several pieces of calibration rows give what one piece gives.
fn pieces_of_rows_make_no_difference(engine: &dyn Engine) {
    let (name, tensor) = rows().remove(0);
    let pieces: Vec<NamedTensors> = (0..8)
        .map(|piece| vec![(name.clone(), tensor.slice_rows(piece * 8, piece * 8 + 8).unwrap())])
        .chain([vec![(name.clone(), tensor.slice_rows(0, 0).unwrap())]])
        .collect();
    let onnx = fixture("float.onnx");
    let (parts, one) = (quantize(&onnx, &pieces, engine).unwrap(), quantize(&onnx, &[rows()], engine).unwrap());
    for (left, right) in constants(&parts).values().zip(constants(&one).values()) {
        match (left.as_float32(), right.as_float32()) {
            (Ok(left), Ok(right)) => {
                left.iter().zip(right).for_each(|(a, b)| assert!((a - b).abs() <= 1e-6 * b.abs(), "{a} {b}"));
            }
            _ => assert_eq!(left.shape(), right.shape()),
        }
    }
}

fn wave(shape: &[usize], seed: usize) -> Tensor {
    let count: usize = shape.iter().product();
    let values = (0..count).map(|index| ((index * 37 + index / 7 * 5 + seed * 13) % 41) as f32 / 41.0 - 0.47);
    Tensor::float32(shape, values.collect()).unwrap()
}

/// A residual block with batch norms, average pool and MatMul + Add; one inner tensor is read by a float node too.
fn residual() -> Vec<u8> {
    let mut graph = GraphProto::new("residual");
    graph.input.push(ValueInfoProto::tensor("input", DType::Float32, &[-1, 3, 8, 8]));
    graph.output.push(ValueInfoProto::tensor("output", DType::Float32, &[-1, 5]));
    graph.output.push(ValueInfoProto::tensor("inner", DType::Float32, &[-1, 4, 8, 8]));
    let square = [("w1", [4, 3, 3, 3]), ("w2", [4, 4, 3, 3])];
    for (seed, (name, shape)) in square.into_iter().enumerate() {
        graph.add_initializer(name, &wave(&shape, seed));
    }
    graph.add_initializer("b1", &wave(&[4], 3));
    for part in ["1", "2"] {
        graph.add_initializer(format!("scale{part}"), &Tensor::float32([4], vec![0.5, 1.0, 1.5, 2.0]).unwrap());
        graph.add_initializer(format!("shift{part}"), &wave(&[4], 4));
        graph.add_initializer(format!("mean{part}"), &wave(&[4], 5));
        graph.add_initializer(format!("var{part}"), &Tensor::float32([4], vec![0.5, 1.0, 2.0, 0.1]).unwrap());
    }
    graph.add_initializer("w3", &wave(&[4, 5], 6));
    graph.add_initializer("b3", &wave(&[5], 7));
    let conv = |name: &str, inputs: &[&str]| {
        NodeProto::new("Conv", name, inputs.iter().copied(), [name]).ints("kernel_shape", [3, 3]).ints("pads", [1; 4])
    };
    let norm = |from: &str, part: &str, name: &str| {
        let inputs = [
            from.to_owned(),
            format!("scale{part}"),
            format!("shift{part}"),
            format!("mean{part}"),
            format!("var{part}"),
        ];
        NodeProto::new("BatchNormalization", name, inputs, [name]).float("epsilon", 1e-3)
    };
    graph.node = vec![
        conv("c1", &["input", "w1", "b1"]),
        norm("c1", "1", "n1"),
        NodeProto::new("Relu", "inner", ["n1"], ["inner"]),
        conv("c2", &["inner", "w2"]),
        norm("c2", "2", "n2"),
        NodeProto::new("Add", "sum", ["n2", "inner"], ["sum"]),
        NodeProto::new("Relu", "r2", ["sum"], ["r2"]),
        NodeProto::new("GlobalAveragePool", "pool", ["r2"], ["pool"]),
        NodeProto::new("Flatten", "flat", ["pool"], ["flat"]),
        NodeProto::new("MatMul", "product", ["flat", "w3"], ["product"]),
        NodeProto::new("Add", "output", ["product", "b3"], ["output"]),
    ];
    lepton_onnx::encode(&ModelProto::new(graph, OPSET))
}

fn batch_norms_residuals_and_matmul_are_quantised(engine: &dyn Engine) {
    let onnx = residual();
    let rows = vec![("input".to_owned(), wave(&[16, 3, 8, 8], 9))];
    let int8 = quantize(&onnx, std::slice::from_ref(&rows), engine).unwrap();
    let model = lepton_onnx::decode(&int8, &Limits::default()).unwrap();
    let before = lepton_onnx::decode(&onnx, &Limits::default()).unwrap();
    assert_eq!(lepton_onnx::signature(&model).unwrap(), lepton_onnx::signature(&before).unwrap());
    let graph = model.graph.unwrap();
    let makers: BTreeMap<_, _> = graph.node.iter().map(|node| (node.output[0].as_str(), node)).collect();
    assert!(graph.node.iter().all(|node| node.op_type != "BatchNormalization"));
    for node in graph.node.iter().filter(|node| matches!(node.op_type.as_str(), "Conv" | "MatMul")) {
        for input in &node.input {
            assert_eq!(makers[input.as_str()].op_type, "DequantizeLinear", "{} reads {input}", node.name);
        }
    }
    // The residual sum stays in 8 bits; the one before the output is float.
    let reads = |name: &str| makers[makers[name].input[0].as_str()].op_type.as_str();
    assert_eq!((reads("sum"), reads("output")), ("DequantizeLinear", "MatMul"));
    let (float, quantized) = (run(engine, &onnx, &rows), run(engine, &int8, &rows));
    let found = agreement(&float, &quantized).unwrap();
    assert!(found.max_abs_difference < 0.03 * found.largest_output, "{found:?}");
}

fn refuses(engine: &dyn Engine) {
    let rows = rows();
    let code =
        |onnx: &[u8], rows: &NamedTensors| quantize(onnx, std::slice::from_ref(rows), engine).unwrap_err().code();
    let onnx = fixture("float.onnx");
    assert_eq!(quantize(&onnx, &[], engine).unwrap_err().code(), ErrorCode::Usage);
    assert_eq!(code(b"not a model", &rows), ErrorCode::BadData);
    let mut old = lepton_onnx::decode(&onnx, &Limits::default()).unwrap();
    old.opset_import[0].version = 12;
    assert_eq!(code(&lepton_onnx::encode(&old), &rows), ErrorCode::Unsupported);
    let mut graph = GraphProto::new("nothing");
    graph.input.push(ValueInfoProto::tensor("input", DType::Float32, &[-1, 1, 10, 10]));
    graph.output.push(ValueInfoProto::tensor("output", DType::Float32, &[-1, 1, 10, 10]));
    graph.node.push(NodeProto::new("Relu", "relu", ["input"], ["output"]));
    assert_eq!(code(&lepton_onnx::encode(&ModelProto::new(graph, OPSET)), &rows), ErrorCode::Unsupported);
    let endless = vec![("input".to_owned(), Tensor::float32([1, 1, 10, 10], vec![f32::INFINITY; 100]).unwrap())];
    assert_eq!(code(&onnx, &endless), ErrorCode::Diverged);
}

/// From the float file to the verdict, with both sessions on the engine: the figures add up to what is decided.
fn the_verdict_follows_from_what_was_measured(engine: &dyn Engine) {
    let onnx = fixture("float.onnx");
    let int8 = quantize(&onnx, &[rows()], engine).unwrap();
    let load = |onnx: &[u8]| -> Result<Arc<dyn Session>> { engine.load(onnx, &SessionOptions::default()) };
    let (float_session, int_session) = (load(&onnx).unwrap(), load(&int8).unwrap());
    let settings = OptimizeSettings { repeats: 15, ..OptimizeSettings::default() };
    let request = |count: usize| vec![("input".to_owned(), rows()[0].1.slice_rows(0, count).unwrap())];
    let candidate = |session, bytes: &[u8], accuracy: f64| Candidate {
        session,
        bytes: bytes.len() as u64,
        metrics: Metrics::from([("accuracy".to_owned(), accuracy)]),
    };
    let (before, after) = measure(
        &settings,
        candidate(&*float_session, &onnx, 0.99),
        candidate(&*int_session, &int8, 0.90),
        &request(1),
        &request(8),
    )
    .unwrap();
    assert!([&before, &after].iter().all(|one| one.seconds_batch_1 > 0.0 && one.seconds_batch_8 > 0.0));
    let verdict = decide(&settings, before, after, engine.name()).unwrap();
    assert!(!verdict.kept && verdict.reason.contains("accuracy 0.9900 -> 0.9000"), "{}", verdict.reason);
}

macro_rules! on_each_engine {
    ($($case:ident),+ $(,)?) => {
        mod on_rten {
            $(#[test] fn $case() { super::$case(&*super::rten()); })+
        }
        mod on_onnxruntime {
            $(#[test] fn $case() { super::$case(&*super::onnxruntime()); })+
        }
    };
}

on_each_engine!(
    numbers_are_those_of_the_reference,
    answers_are_close,
    pieces_of_rows_make_no_difference,
    batch_norms_residuals_and_matmul_are_quantised,
    refuses,
    the_verdict_follows_from_what_was_measured,
);
