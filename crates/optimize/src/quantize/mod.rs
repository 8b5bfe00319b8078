//! Static INT8 by QDQ: the graph keeps its float operators, and pairs of QuantizeLinear and DequantizeLinear tell
//! the engine where 8 bits are enough. Inputs and outputs of the model stay float.
//!
//! The steps are: `fold` (batch norm into weights), `plan` (which nodes, which tensors), `calibrate` (ranges from
//! real rows, on the engine), `rewrite`. The arithmetic is in `numbers`.

mod calibrate;
mod fold;
mod numbers;
mod plan;
mod rewrite;

use lepton_core::{Error, ErrorCode, Limits, NamedTensors, Result};
use lepton_onnx::ModelProto;
use lepton_runtime::Engine;

/// The opset from which DequantizeLinear knows an axis.
const PER_CHANNEL_OPSET: i64 = 13;

/// An INT8 version of a float32 model: Conv, Gemm and MatMul with constant weights get unsigned 8-bit
/// activations, signed 8-bit weights (of 7 bits' range, see `numbers`) with one scale per output channel, and int32
/// biases.
///
/// The ranges of the activations are the least and the largest value over all rows of `calibration`, which should
/// be training rows. Method: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
/// Integer-Arithmetic-Only Inference"; the numbers are those of onnxruntime's static quantisation.
///
/// # Errors
/// [`ErrorCode::Unsupported`] when there is nothing to quantise or the operator set is older than 13;
/// [`ErrorCode::Usage`] without calibration rows; [`ErrorCode::Diverged`] when an activation is not finite; and
/// those of reading the model and of running it on `engine`.
pub fn quantize(onnx: &[u8], calibration: &[NamedTensors], engine: &dyn Engine) -> Result<Vec<u8>> {
    let mut model = lepton_onnx::decode(onnx, &Limits::default())?;
    lepton_onnx::refuse_external_data(&model)?;
    if model.opset().is_none_or(|opset| opset < PER_CHANNEL_OPSET) {
        let text = format!("INT8 needs operator set {PER_CHANNEL_OPSET} or later");
        return Err(Error::new(ErrorCode::Unsupported, text).fix("export the model again with a newer operator set"));
    }
    if calibration.iter().all(|rows| rows.iter().all(|(_, tensor)| tensor.data().is_empty())) {
        return Err(Error::new(ErrorCode::Usage, "INT8 needs rows to take the ranges of the activations from"));
    }
    let graph = model.graph.as_mut().ok_or_else(|| Error::new(ErrorCode::BadData, "the model holds no graph"))?;
    fold::batch_norms(graph)?;
    let plan = plan::Plan::of(graph)?;
    if plan.weighted.is_empty() {
        let text = "no convolution or dense layer with constant float32 weights";
        return Err(Error::new(ErrorCode::Unsupported, text));
    }
    let ranges = calibrate::ranges(&model, &plan, calibration, engine)?;
    let graph = graph_of(&mut model)?;
    rewrite::insert_pairs(graph, &plan, &ranges)?;
    Ok(lepton_onnx::encode(&model))
}

fn graph_of(model: &mut ModelProto) -> Result<&mut lepton_onnx::GraphProto> {
    model.graph.as_mut().ok_or_else(|| Error::internal("the graph was there a moment ago"))
}
