//! The `onnxruntime` engine, through `ort` and a shared library that `library::probe` has passed.
//!
//! A process can hold one ONNX Runtime: the first library that is loaded stays, and asking for another one
//! is an error that names both.

use super::watchdog::Watchdog;
use super::{Engine, Session, SessionOptions, library};
use lepton_core::{Error, ErrorCode, NamedTensors, Result, Tensor, TensorData};
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::{RunOptions, SessionInputValue, builder::GraphOptimizationLevel};
use ort::value::{DynValue, TensorElementType, TensorRef};
use std::borrow::Cow;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The loaded library of this process.
static LOADED: Mutex<Option<OnnxRuntime>> = Mutex::new(None);

/// The engine.
#[derive(Clone)]
pub(crate) struct OnnxRuntime {
    environment: Environment,
    version: String,
    library: PathBuf,
}

impl OnnxRuntime {
    /// Loads the library at `path`, or gives the one that is loaded already when it is the same file.
    pub(crate) fn open(path: &Path) -> Result<OnnxRuntime> {
        let version = library::probe(path)?;
        let library = path.canonicalize().map_err(|source| Error::io("resolve", path, source))?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*loaded {
            if engine.library == library {
                return Ok(engine.clone());
            }
            let text = format!("this process already uses the ONNX Runtime at {}", engine.library.display());
            return Err(Error::new(ErrorCode::Unsupported, text).in_file(path));
        }
        let refused = |text: String| Error::new(ErrorCode::Unsupported, text).in_file(path);
        // A probed library should not make `ort` panic; if one does, it is still only an engine that is missing.
        let environment = catch_unwind(|| match ort::init_from(&library) {
            Ok(builder) => builder.with_telemetry(false).build().map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        })
        .unwrap_or_else(|_| Err("its initialisation panicked".to_owned()))
        .map_err(refused)?;
        let engine = OnnxRuntime { environment, version, library };
        *loaded = Some(engine.clone());
        Ok(engine)
    }

    /// The file that was loaded.
    pub(crate) fn library(&self) -> &Path {
        &self.library
    }
}

impl Engine for OnnxRuntime {
    fn name(&self) -> &'static str {
        "onnxruntime"
    }

    fn version(&self) -> String {
        self.version.clone()
    }

    fn load(&self, onnx: &[u8], options: &SessionOptions) -> Result<Arc<dyn Session>> {
        let session = self.build(onnx, options).map_err(|error| {
            let code = match error.code() {
                ort::ErrorCode::NotImplemented => ErrorCode::Unsupported,
                _ => ErrorCode::BadData,
            };
            Error::new(code, format!("onnxruntime cannot load the model: {}", error.message()))
        })?;
        let run_options = Arc::new(RunOptions::new().map_err(broken)?);
        let deadline = options
            .deadline
            .map(|budget| {
                let stopped = Arc::clone(&run_options);
                // Setting a flag cannot fail in a way that anyone here could mend.
                Watchdog::new(budget, move || drop(stopped.terminate())).map(|watchdog| (budget, watchdog))
            })
            .transpose()?;
        Ok(Arc::new(OnnxRuntimeSession { session: Mutex::new(session), run_options, deadline }))
    }
}

impl OnnxRuntime {
    fn build(&self, onnx: &[u8], options: &SessionOptions) -> ort::Result<ort::session::Session> {
        let mut builder = ort::session::Session::builder(&self.environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            // What it would log comes back as an error anyway.
            .with_log_level(LogLevel::Fatal)?
            .with_inter_threads(1)?;
        if let Some(threads) = options.threads {
            builder = builder.with_intra_threads(threads.max(1))?;
        }
        builder.commit_from_memory(onnx)
    }
}

/// A session. Runs are serialised: `ort` wants exclusive access, and one run uses all its threads anyway.
struct OnnxRuntimeSession {
    session: Mutex<ort::session::Session>,
    run_options: Arc<RunOptions>,
    deadline: Option<(Duration, Watchdog)>,
}

impl Session for OnnxRuntimeSession {
    fn run(&self, inputs: &NamedTensors) -> Result<NamedTensors> {
        let values = inputs
            .iter()
            .map(|(name, tensor)| Ok((Cow::Borrowed(name.as_str()), view(tensor)?)))
            .collect::<Result<Vec<_>>>()?;
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((budget, watchdog)) = &self.deadline else {
            return outputs(session.run(values).map_err(failed)?);
        };
        watchdog.arm();
        let result = session.run_with_options(values, &self.run_options);
        let stopped = watchdog.disarm();
        if stopped {
            self.run_options.unterminate().map_err(broken)?;
        }
        match result {
            Err(_) if stopped => Err(super::rten::too_slow(*budget)),
            result => outputs(result.map_err(failed)?),
        }
    }
}

fn outputs(values: ort::session::SessionOutputs<'_>) -> Result<NamedTensors> {
    values.iter().map(|(name, value)| Ok((name.to_owned(), copy(name, &value)?))).collect()
}

/// The tensor as an input, without a copy.
fn view(tensor: &Tensor) -> Result<SessionInputValue<'_>> {
    let shape = tensor.shape().to_vec();
    let value = match tensor.data() {
        TensorData::Float32(values) => TensorRef::from_array_view((shape, values.as_slice())).map(Into::into),
        TensorData::Float64(values) => TensorRef::from_array_view((shape, values.as_slice())).map(Into::into),
        TensorData::Int64(values) => TensorRef::from_array_view((shape, values.as_slice())).map(Into::into),
        TensorData::Int32(values) => TensorRef::from_array_view((shape, values.as_slice())).map(Into::into),
        TensorData::Int8(values) => TensorRef::from_array_view((shape, values.as_slice())).map(Into::into),
        TensorData::UInt8(values) => TensorRef::from_array_view((shape, values.as_slice())).map(Into::into),
        TensorData::Bool(values) => TensorRef::from_array_view((shape, values.as_slice())).map(Into::into),
        TensorData::Text(values) => ort::value::Tensor::from_string_array((shape, values.as_slice())).map(Into::into),
    };
    value.map_err(broken)
}

/// An output as a host tensor.
fn copy(name: &str, value: &DynValue) -> Result<Tensor> {
    macro_rules! extract {
        ($kind:ident, $type:ty) => {{
            let (shape, values) = value.try_extract_tensor::<$type>().map_err(broken)?;
            (shape.to_vec(), TensorData::$kind(values.to_vec()))
        }};
    }
    let (shape, data) = match value.dtype().tensor_type() {
        Some(TensorElementType::Float32) => extract!(Float32, f32),
        Some(TensorElementType::Float64) => extract!(Float64, f64),
        Some(TensorElementType::Int64) => extract!(Int64, i64),
        Some(TensorElementType::Int32) => extract!(Int32, i32),
        Some(TensorElementType::Int8) => extract!(Int8, i8),
        Some(TensorElementType::Uint8) => extract!(UInt8, u8),
        Some(TensorElementType::Bool) => extract!(Bool, bool),
        Some(TensorElementType::String) => {
            let (shape, values) = value.try_extract_strings().map_err(broken)?;
            (shape.to_vec(), TensorData::Text(values))
        }
        _ => {
            return Err(Error::new(ErrorCode::Unsupported, format!("output \"{name}\" is {}", value.dtype()))
                .fix("outputs must be tensors of float32, float64, int64, int32, int8, uint8, bool or text"));
        }
    };
    Tensor::new(shape.into_iter().map(|side| side as usize).collect::<Vec<_>>(), data)
}

fn failed(error: ort::Error) -> Error {
    Error::new(ErrorCode::BadInput, format!("onnxruntime could not run the model: {}", error.message()))
}

fn broken(error: ort::Error) -> Error {
    Error::internal(format!("onnxruntime: {}", error.message()))
}
