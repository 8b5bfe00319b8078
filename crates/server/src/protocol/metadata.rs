//! Server and model metadata of the Open Inference Protocol v2.

use lepton_core::{Signature, TensorSpec};
use serde_json::{Value, json};

/// The body of `GET /v2`.
pub(crate) fn server_metadata() -> Value {
    json!({"name": "lepton", "version": env!("CARGO_PKG_VERSION"), "extensions": ["binary_tensor_data"]})
}

/// The body of `GET /v2/models/{model}`. `platform` follows the `<engine>_<format>` convention.
pub(crate) fn model_metadata(name: &str, versions: &[u64], engine: &str, signature: &Signature) -> Value {
    let tensors = |specs: &[TensorSpec]| -> Vec<Value> {
        let tensor =
            |spec: &TensorSpec| json!({"name": spec.name, "datatype": spec.dtype.protocol_name(), "shape": spec.shape});
        specs.iter().map(tensor).collect()
    };
    json!({
        "name": name,
        "versions": versions.iter().map(u64::to_string).collect::<Vec<_>>(),
        "platform": format!("{engine}_onnx"),
        "inputs": tensors(&signature.inputs),
        "outputs": tensors(&signature.outputs),
    })
}
