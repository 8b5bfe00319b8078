//! From bytes to a model and back.

use crate::ModelProto;
use crate::scan;
use lepton_core::{Error, ErrorCode, Limits, Result};
use prost::Message;

/// Reads an ONNX model. The limits `model_bytes`, `graph_nodes` and `graph_nesting` are checked before anything
/// is allocated for its contents. Fields that are not in [`crate::proto`] are skipped.
///
/// # Errors
/// [`ErrorCode::TooLarge`] naming the limit, [`ErrorCode::BadData`] for bytes that are not an ONNX model.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<ModelProto> {
    if bytes.len() as u64 > limits.model_bytes {
        return Err(Error::new(
            ErrorCode::TooLarge,
            format!("the model has {} bytes (limit model_bytes = {})", bytes.len(), limits.model_bytes),
        )
        .fix("raise the limit model_bytes if you trust this file"));
    }
    scan::check(bytes, limits)?;
    let model = ModelProto::decode(bytes).map_err(|source| scan::malformed(source.to_string()).caused_by(source))?;
    if model.graph.is_none() {
        return Err(scan::malformed("it holds no graph".to_owned()));
    }
    Ok(model)
}

/// Writes an ONNX model.
pub fn encode(model: &ModelProto) -> Vec<u8> {
    model.encode_to_vec()
}
