//! Timing a model on the engines of this machine keeps the limits on what a file may declare.
#![allow(clippy::unwrap_used)]

use lepton_core::{DType, ErrorCode, Limits, ModelRef};
use lepton_onnx::{GraphProto, ModelProto, NodeProto, OPSET, ValueInfoProto};
use lepton_pipeline::measure_engines;
use lepton_store::Store;

#[test]
fn a_model_that_declares_more_than_the_limit_is_not_measured() {
    let folder = tempfile::tempdir().unwrap();
    let mut graph = GraphProto::new("vast");
    let face = |name: &str| ValueInfoProto::tensor(name, DType::Float32, &[-1, 1 << 40]);
    graph.input.push(face("input"));
    graph.output.push(face("output"));
    graph.node.push(NodeProto::new("Relu", "relu", ["input"], ["output"]));
    let path = folder.path().join("vast.onnx");
    std::fs::write(&path, lepton_onnx::encode(&ModelProto::new(graph, OPSET))).unwrap();
    let store = Store::open(&folder.path().join("home")).unwrap();
    let error = measure_engines(&store, &ModelRef::Path(path), None, &Limits::default()).unwrap_err();
    assert!(error.code() == ErrorCode::TooLarge && error.message().contains("tensor_elements"), "{error}");
}
