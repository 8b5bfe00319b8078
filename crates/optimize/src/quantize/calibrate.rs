//! Ranges of the activations: the model with ReduceMin and ReduceMax beside each tensor of the plan, run on the
//! engine over real rows. Only two numbers per tensor and run come back, however large the tensors are.

use super::numbers::Range;
use super::plan::Plan;
use lepton_core::{DType, Error, ErrorCode, NamedTensors, Result};
use lepton_onnx::{ModelProto, NodeProto, ValueInfoProto};
use lepton_runtime::{Engine, SessionOptions};
use std::collections::{BTreeMap, BTreeSet};

/// The range of each tensor that has one of its own.
pub(super) fn ranges(
    model: &ModelProto,
    plan: &Plan,
    calibration: &[NamedTensors],
    engine: &dyn Engine,
) -> Result<BTreeMap<String, Range>> {
    let mut watched = model.clone();
    let graph = super::graph_of(&mut watched)?;
    let names: BTreeSet<&String> = plan.tensors.values().collect();
    for name in &names {
        for (op, output) in [("ReduceMin", low(name)), ("ReduceMax", high(name))] {
            graph.node.push(NodeProto::new(op, &output, [name.as_str()], [&output]).int("keepdims", 0));
            graph.output.push(ValueInfoProto::tensor(output, DType::Float32, &[]));
        }
    }
    let session = engine.load(&lepton_onnx::encode(&watched), &SessionOptions::default())?;
    let mut extremes = BTreeMap::new();
    for rows in calibration.iter().filter(|rows| rows.iter().all(|(_, tensor)| !tensor.data().is_empty())) {
        let outputs = session.run(rows)?;
        let value = |wanted: &str| -> Result<f32> {
            let found = outputs.iter().find(|(name, _)| name == wanted);
            let found = found.and_then(|(_, tensor)| tensor.as_float32().ok()?.first().copied());
            let value = found.ok_or_else(|| Error::internal(format!("the engine did not give \"{wanted}\"")))?;
            if value.is_finite() {
                return Ok(value);
            }
            let text = "an activation is NaN or infinite on the calibration rows";
            Err(Error::new(ErrorCode::Diverged, text).at_node(wanted))
        };
        for name in &names {
            let (low, high) = (value(&low(name))?, value(&high(name))?);
            let seen = extremes.entry((*name).clone()).or_insert((low, high));
            *seen = (seen.0.min(low), seen.1.max(high));
        }
    }
    Ok(extremes.into_iter().map(|(name, (low, high))| (name, Range::of(low, high))).collect())
}

fn low(name: &str) -> String {
    format!("{name}/calibrate_min")
}

fn high(name: &str) -> String {
    format!("{name}/calibrate_max")
}
