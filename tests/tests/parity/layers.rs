//! Every kind of layer, and an encoder of texts, through both engines: what is exported computes what PyTorch computes.

use lepton_core::{Limits, Tensor};
use lepton_nn::{Architecture, Network, import_encoder};
use lepton_runtime::{Engine, Engines, SessionOptions};
use lepton_tests::workspace_root;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

fn tensor(value: &Value) -> Tensor {
    let numbers = |key: &str| value[key].as_array().expect("a list").iter().map(|n| n.as_f64().expect("a number"));
    let shape: Vec<usize> = numbers("shape").map(|side| side as usize).collect();
    match value["dtype"].as_str() {
        Some("int64") => Tensor::int64(shape, numbers("values").map(|n| n as i64).collect()),
        _ => Tensor::float32(shape, numbers("values").map(|n| n as f32).collect()),
    }
    .expect("a tensor")
}

fn network(case: &Value) -> Network {
    let architecture: Architecture = serde_json::from_value(case["architecture"].clone()).expect("an architecture");
    let weights: Vec<(String, Tensor)> =
        case["weights"].as_object().expect("weights").iter().map(|(key, value)| (key.clone(), tensor(value))).collect();
    let bytes: Vec<Vec<u8>> = weights
        .iter()
        .map(|(_, tensor)| tensor.as_float32().expect("floats").iter().flat_map(|n| n.to_le_bytes()).collect())
        .collect();
    let views = weights.iter().zip(&bytes).map(|((key, tensor), bytes)| {
        (key.clone(), TensorView::new(Dtype::F32, tensor.shape().to_vec(), bytes).expect("a view"))
    });
    Network::from_weights(&architecture, &safetensors::serialize(views, None).expect("a file")).expect("a network")
}

/// A network with an input and PyTorch's output.
struct Case {
    name: String,
    network: Network,
    input: Tensor,
    output: Tensor,
}

fn cases() -> Vec<Case> {
    let folder = workspace_root().join("crates/nn/tests/data");
    let read = |file: &str| {
        let text = std::fs::read_to_string(folder.join(file)).expect("the reference values");
        serde_json::from_str::<Vec<Value>>(&text).expect("JSON")
    };
    let case = |name: &Value, network: Network, case: &Value| {
        let name = name.as_str().expect("a name").to_owned();
        Case { name, network, input: tensor(&case["input"]), output: tensor(&case["output"]) }
    };
    let mut cases = Vec::new();
    for file in ["reference.json", "layers.json", "reversible.json"] {
        cases.extend(read(file).iter().map(|value| case(&value["architecture"]["name"], network(value), value)));
    }
    let bytes = |file: &str| std::fs::read(folder.join("bert").join(file)).expect("a file of the encoder");
    let (config, weights) = (bytes("config.json"), bytes("model.safetensors"));
    let encoder = import_encoder(&config, &weights, &Limits::default()).expect("an encoder").network;
    cases.extend(read("bert.json").iter().map(|value| case(&value["name"], encoder.clone(), value)));
    cases
}

fn agree(engine: &Arc<dyn Engine>) {
    let mut wrong = Vec::new();
    for Case { name, network, input, output } in cases() {
        let onnx = network.to_onnx().expect("an export");
        let ran = engine
            .load(&onnx, &SessionOptions::default())
            .and_then(|session| session.run(&vec![("input".to_owned(), input)]));
        let outputs = match ran {
            Ok(outputs) => outputs,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let ours = &outputs[0].1;
        let pairs = ours.as_float32().expect("floats").iter().zip(output.as_float32().expect("floats"));
        let far = pairs.map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f32::max);
        if ours.shape() != output.shape() || far > 1e-4 {
            wrong.push(format!("{name}: {:?} by {far}", ours.shape()));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", engine.name(), wrong.join("\n"));
}

#[test]
fn every_layer_computes_pytorchs_values_in_rten() {
    agree(&Engines::discover(Path::new("/nowhere"), None).get(Some("rten")).expect("rten"));
}

#[test]
fn every_layer_computes_pytorchs_values_in_onnxruntime() {
    let library = std::env::var_os("LEPTON_TEST_ORT_DYLIB").expect("LEPTON_TEST_ORT_DYLIB, which tests/run sets");
    let engines = Engines::discover(Path::new("/nowhere"), Some(Path::new(&library)));
    agree(&engines.get(Some("onnxruntime")).expect("onnxruntime"));
}
