//! The `MLmodel` file: what MLflow reads to know flavor and signature of the folder. Its `onnx` flavor loads the
//! served file with MLflow's own code; nothing here depends on MLflow.

use lepton_core::{DType, Error, Manifest, Result, TensorSpec};
use serde_json::json;

/// The YAML text. Scalars are JSON strings, which YAML reads as its double-quoted ones.
pub(super) fn mlmodel(manifest: &Manifest) -> Result<String> {
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    let served = quote(&manifest.served);
    let inputs = quote(&specs(&manifest.signature.inputs)?);
    let outputs = quote(&specs(&manifest.signature.outputs)?);
    let mut text = format!(
        "flavors:\n  onnx:\n    code: null\n    data: {served}\n    providers:\n    - CPUExecutionProvider\n  \
         python_function:\n    data: {served}\n    loader_module: mlflow.onnx\nsignature:\n  inputs: {inputs}\n  \
         outputs: {outputs}\n  params: null\n"
    );
    if let Some(lineage) = &manifest.lineage {
        text.push_str(&format!(
            "run_id: {}\nutc_time_created: {}\n",
            quote(&lineage.run),
            quote(lineage.created.trim_end_matches('Z').replace('T', " ").as_str())
        ));
    }
    Ok(text)
}

fn specs(specs: &[TensorSpec]) -> Result<String> {
    let list: Vec<_> = specs
        .iter()
        .map(|spec| {
            let dtype = if spec.dtype == DType::Text { "str" } else { spec.dtype.name() };
            json!({"name": spec.name, "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": spec.shape}})
        })
        .collect();
    serde_json::to_string(&list).map_err(|source| Error::internal(format!("the signature cannot be written: {source}")))
}
