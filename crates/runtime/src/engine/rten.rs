//! The `rten` engine: pure Rust, built in, always there.
//!
//! It computes in float32 and int32, so what would lose digits is refused instead: float64 faces, and int64
//! values past 32 bits. Text is not supported. A run cannot be stopped, only told late.

use super::{Engine, Session, SessionOptions};
use lepton_core::{DType, Error, ErrorCode, Limits, NamedTensors, Result, Signature, Tensor, TensorData, TensorSpec};
use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueOrView, ValueView};
use rten_tensor::Layout;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The built-in engine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RtenEngine;

/// Kept equal to Cargo.lock by a test.
const VERSION: &str = "0.27.0";

impl Engine for RtenEngine {
    fn name(&self) -> &'static str {
        "rten"
    }

    fn version(&self) -> String {
        VERSION.to_owned()
    }

    fn load(&self, onnx: &[u8], options: &SessionOptions) -> Result<Arc<dyn Session>> {
        // Limits on size were applied where the bytes came in; this reading only needs the faces.
        let signature = lepton_onnx::signature(&lepton_onnx::decode(onnx, &Limits::default())?)?;
        for spec in signature.inputs.iter().chain(&signature.outputs) {
            if matches!(spec.dtype, DType::Float64 | DType::Text) {
                let text = format!("rten does not compute in {} (tensor \"{}\")", spec.dtype, spec.name);
                return Err(Error::new(ErrorCode::Unsupported, text).fix("use the engine onnxruntime for this model"));
            }
        }
        let model = ModelOptions::with_all_ops().prepack_weights(true).load(onnx.to_vec()).map_err(|error| {
            let code = match error.kind() {
                rten::LoadErrorKind::OperatorInvalid => ErrorCode::Unsupported,
                _ => ErrorCode::BadData,
            };
            let refused = Error::new(code, format!("rten cannot load the model: {error}"));
            match error.node() {
                Some(node) => refused.at_node(node),
                None => refused,
            }
        })?;
        let ids = |specs: &[TensorSpec]| -> Result<Vec<NodeId>> {
            specs.iter().map(|spec| model.node_id(&spec.name).map_err(|error| broken(&error))).collect()
        };
        let (inputs, outputs) = (ids(&signature.inputs)?, ids(&signature.outputs)?);
        let pool = options.threads.map(|threads| Arc::new(ThreadPool::with_num_threads(threads.max(1))));
        Ok(Arc::new(RtenSession { model, signature, inputs, outputs, pool, deadline: options.deadline }))
    }
}

struct RtenSession {
    model: Model,
    signature: Signature,
    inputs: Vec<NodeId>,
    outputs: Vec<NodeId>,
    pool: Option<Arc<ThreadPool>>,
    deadline: Option<Duration>,
}

impl Session for RtenSession {
    fn run(&self, inputs: &NamedTensors) -> Result<NamedTensors> {
        let values = inputs
            .iter()
            .map(|(name, tensor)| {
                let index = self.signature.inputs.iter().position(|spec| &spec.name == name);
                let id = index.and_then(|index| self.inputs.get(index)).copied();
                let id =
                    id.ok_or_else(|| Error::new(ErrorCode::BadInput, format!("the model has no input \"{name}\"")))?;
                Ok((id, value(name, tensor)?))
            })
            .collect::<Result<Vec<_>>>()?;
        let started = Instant::now();
        let options = RunOptions::default().with_thread_pool(self.pool.clone());
        let outputs = self
            .model
            .run(values, &self.outputs, Some(options))
            .map_err(|error| Error::new(ErrorCode::BadInput, format!("rten could not run the model: {error}")))?;
        if let Some(budget) = self.deadline.filter(|budget| started.elapsed() > *budget) {
            return Err(too_slow(budget));
        }
        let named = self.signature.outputs.iter().zip(outputs);
        named.map(|(spec, value)| Ok((spec.name.clone(), tensor(spec, value)?))).collect()
    }
}

/// The error of a run that took longer than it may.
pub(super) fn too_slow(budget: Duration) -> Error {
    Error::new(ErrorCode::Timeout, format!("the model ran longer than request_ms = {}", budget.as_millis()))
        .fix("send fewer rows in one request, or raise the limit")
}

/// The tensor as an input; int64 and bool become int32, which is how rten stores them.
fn value<'a>(name: &str, tensor: &'a Tensor) -> Result<ValueOrView<'a>> {
    fn view<'a, T>(shape: &[usize], values: &'a [T]) -> Result<ValueOrView<'a>>
    where
        ValueView<'a>: From<rten_tensor::TensorView<'a, T>>,
    {
        ValueView::from_shape(shape, values).map(Into::into).map_err(|error| Error::internal(format!("rten: {error}")))
    }
    fn owned<'a>(shape: &[usize], values: Vec<i32>) -> Result<ValueOrView<'a>> {
        Value::from_shape(shape, values).map(Into::into).map_err(|error| Error::internal(format!("rten: {error}")))
    }
    let shape = tensor.shape();
    match tensor.data() {
        TensorData::Float32(values) => view(shape, values),
        TensorData::Int32(values) => view(shape, values),
        TensorData::Int8(values) => view(shape, values),
        TensorData::UInt8(values) => view(shape, values),
        TensorData::Bool(values) => owned(shape, values.iter().map(|&value| i32::from(value)).collect()),
        TensorData::Int64(values) => {
            let narrow = values.iter().map(|&value| {
                i32::try_from(value).map_err(|_| {
                    Error::new(ErrorCode::BadInput, format!("input \"{name}\" holds {value}, past rten's 32 bits"))
                        .fix("use the engine onnxruntime for such values")
                })
            });
            owned(shape, narrow.collect::<Result<_>>()?)
        }
        TensorData::Float64(_) | TensorData::Text(_) => Err(Error::new(
            ErrorCode::Unsupported,
            format!("rten does not compute in {} (input \"{name}\")", tensor.dtype()),
        )),
    }
}

/// An output as a host tensor of the dtype that the model declares.
fn tensor(spec: &TensorSpec, value: Value) -> Result<Tensor> {
    let shape = value.shape().to_vec();
    let wrong = |got: &str| {
        let text = format!("rten gave {got} for output \"{}\", which is declared {}", spec.name, spec.dtype);
        Error::new(ErrorCode::Unsupported, text).fix("use the engine onnxruntime for this model")
    };
    let data = match (value, spec.dtype) {
        (Value::FloatTensor(values), DType::Float32) => TensorData::Float32(values.into_data()),
        (Value::Int32Tensor(values), DType::Int32) => TensorData::Int32(values.into_data()),
        (Value::Int32Tensor(values), DType::Int64) => {
            TensorData::Int64(values.into_data().into_iter().map(i64::from).collect())
        }
        (Value::Int32Tensor(values), DType::Bool) => {
            TensorData::Bool(values.into_data().into_iter().map(|value| value != 0).collect())
        }
        (Value::Int8Tensor(values), DType::Int8) => TensorData::Int8(values.into_data()),
        (Value::UInt8Tensor(values), DType::UInt8) => TensorData::UInt8(values.into_data()),
        (other, _) => return Err(wrong(&other.dtype().to_string())),
    };
    Tensor::new(shape, data)
}

fn broken(error: &rten::RunError) -> Error {
    Error::internal(format!("rten: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_locked_one() {
        let lock = include_str!("../../../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"rten\"\nversion = \"{VERSION}\"\n")), "set VERSION to Cargo.lock's");
    }
}
