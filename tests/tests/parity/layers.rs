//! Every kind of layer through both engines: what is exported computes what PyTorch computes.

use lepton_core::Tensor;
use lepton_nn::{Architecture, Network};
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

fn agree(engine: &Arc<dyn Engine>) {
    let folder = workspace_root().join("crates/nn/tests/data");
    let mut wrong = Vec::new();
    for file in ["reference.json", "layers.json"] {
        let text = std::fs::read_to_string(folder.join(file)).expect("the reference values");
        for case in serde_json::from_str::<Vec<Value>>(&text).expect("JSON") {
            let name = case["architecture"]["name"].as_str().expect("a name");
            let onnx = network(&case).to_onnx().expect("an export");
            let ran = engine
                .load(&onnx, &SessionOptions::default())
                .and_then(|session| session.run(&vec![("input".to_owned(), tensor(&case["input"]))]));
            let outputs = match ran {
                Ok(outputs) => outputs,
                Err(error) => {
                    wrong.push(format!("{name}: {error}"));
                    continue;
                }
            };
            let (ours, theirs) = (&outputs[0].1, tensor(&case["output"]));
            let pairs = ours.as_float32().expect("floats").iter().zip(theirs.as_float32().expect("floats"));
            let far = pairs.map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f32::max);
            if ours.shape() != theirs.shape() || far > 1e-4 {
                wrong.push(format!("{name}: {:?} by {far}", ours.shape()));
            }
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
