//! Tensors in JSON: `{"name": {"dtype", "shape", "data"}}`, with NaN and the infinities as text.

use lepton_core::{NamedTensors, Tensor, TensorData};
use serde_json::{Value, json};

pub(crate) fn from_tensors(tensors: &NamedTensors) -> Value {
    let entry = |(name, tensor): &(String, Tensor)| {
        let data: Vec<Value> = match tensor.data() {
            TensorData::Float32(values) => {
                values.iter().map(|v| if v.is_finite() { json!(v) } else { json!(v.to_string()) }).collect()
            }
            TensorData::Int64(values) => values.iter().map(|v| json!(v)).collect(),
            TensorData::Int32(values) => values.iter().map(|v| json!(v)).collect(),
            TensorData::UInt8(values) => values.iter().map(|v| json!(v)).collect(),
            TensorData::Bool(values) => values.iter().map(|v| json!(v)).collect(),
            other => unreachable!("{} is not in the suite", other.dtype()),
        };
        (name.clone(), json!({"dtype": tensor.dtype(), "shape": tensor.shape(), "data": data}))
    };
    Value::Object(tensors.iter().map(entry).collect())
}
