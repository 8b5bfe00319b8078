//! The `openvino` engine: OpenVINO on the processor, through the crate `openvino` and a library that is found at run
//! time.
//!
//! Like `rten` it computes with 32 bits, so float64 faces and int64 values past 32 bits are refused. A run cannot be
//! stopped, only told late. A process holds one OpenVINO: asking for another library is an error that names both.

use super::rten::too_slow;
use super::{Engine, Session, SessionOptions, library};
use lepton_core::{DType, Error, ErrorCode, Limits, NamedTensors, Result, Signature, Tensor, TensorData};
use lepton_onnx::{ModelProto, NodeProto};
use openvino::{Core, DeviceType, ElementType, InferRequest, InferenceError, RwPropertyKey, Shape};
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The loaded library of this process.
static LOADED: Mutex<Option<OpenVino>> = Mutex::new(None);

/// The engine.
#[derive(Clone)]
pub(crate) struct OpenVino {
    version: String,
    library: PathBuf,
}

impl OpenVino {
    /// Loads the library at `path`, its C interface, or gives the one that is loaded already when it is the same file.
    pub(crate) fn open(path: &Path) -> Result<OpenVino> {
        // What it needs lies beside the file itself, not beside a link to it.
        let library = path.canonicalize().map_err(|source| Error::io("resolve", path, source))?;
        let version = library::probe_openvino(&library)?;
        let refused = |text: String| Error::new(ErrorCode::Unsupported, text).in_file(path);
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*loaded {
            if engine.library == library {
                return Ok(engine.clone());
            }
            return Err(refused(format!("this process already uses the OpenVINO at {}", engine.library.display())));
        }
        // A probed library should not make the crate panic; if one does, it is still only an engine that is missing.
        catch_unwind(|| {
            openvino_sys::library::load_from(library.clone())?;
            Core::new().map(drop).map_err(|error| error.to_string())
        })
        .unwrap_or_else(|_| Err("its initialisation panicked".to_owned()))
        .map_err(refused)?;
        let engine = OpenVino { version, library };
        *loaded = Some(engine.clone());
        Ok(engine)
    }

    /// The file that was loaded.
    pub(crate) fn library(&self) -> &Path {
        &self.library
    }

    fn compile(onnx: &[u8], options: &SessionOptions) -> std::result::Result<InferRequest, String> {
        let text = |error: InferenceError| error.to_string();
        let mut core = Core::new().map_err(|error| error.to_string())?;
        let threads = options.threads.map(|threads| threads.max(1).to_string());
        let properties = [
            // Else it would round to bfloat16 where the processor has that, and answer differently there.
            (RwPropertyKey::HintInferencePrecision, "f32"),
            (RwPropertyKey::HintPerformanceMode, "LATENCY"),
        ];
        core.set_properties(&DeviceType::CPU, properties).map_err(text)?;
        if let Some(threads) = &threads {
            core.set_property(&DeviceType::CPU, &RwPropertyKey::InferenceNumThreads, threads).map_err(text)?;
        }
        let model = core.read_model_from_buffer(onnx, None).map_err(text)?;
        let mut compiled = core.compile_model(&model, DeviceType::CPU).map_err(text)?;
        compiled.create_infer_request().map_err(text)
    }
}

impl Engine for OpenVino {
    fn name(&self) -> &'static str {
        "openvino"
    }

    fn version(&self) -> String {
        self.version.clone()
    }

    fn load(&self, onnx: &[u8], options: &SessionOptions) -> Result<Arc<dyn Session>> {
        // Limits on size were applied where the bytes came in; this reading only needs the faces and the tables.
        let model = lepton_onnx::decode(onnx, &Limits::default())?;
        let signature = lepton_onnx::signature(&model)?;
        for spec in signature.inputs.iter().chain(&signature.outputs) {
            if matches!(spec.dtype, DType::Float64 | DType::Text) {
                let text = format!("openvino does not compute in {} (tensor \"{}\")", spec.dtype, spec.name);
                return Err(Error::new(ErrorCode::Unsupported, text).fix("use the engine onnxruntime for this model"));
            }
        }
        let request = OpenVino::compile(onnx, options).map_err(|text| {
            let lacks = text.contains("not supported") || text.contains("unsupported");
            let code = if lacks { ErrorCode::Unsupported } else { ErrorCode::BadData };
            Error::new(code, format!("openvino cannot load the model: {}", first_lines(&text)))
        })?;
        let state = Mutex::new(State { request, inputs: Vec::new() });
        Ok(Arc::new(OpenVinoSession { state, signature, tables: tables(&model), deadline: options.deadline }))
    }
}

/// A session. Runs are serialised: one run uses all its threads anyway.
struct OpenVinoSession {
    state: Mutex<State>,
    signature: Signature,
    /// The rows of the smallest table that an input is an index into, by the input's name.
    tables: BTreeMap<String, i64>,
    deadline: Option<Duration>,
}

struct State {
    request: InferRequest,
    /// The tensors that the request reads, by name, kept for inputs of the same shape.
    inputs: Vec<(String, Vec<usize>, openvino::Tensor)>,
}

impl Session for OpenVinoSession {
    fn run(&self, inputs: &NamedTensors) -> Result<NamedTensors> {
        if let Some(spec) = self.signature.inputs.iter().find(|spec| !inputs.iter().any(|(name, _)| *name == spec.name))
        {
            // The request would go on with what it was given before.
            return Err(Error::new(ErrorCode::BadInput, format!("the input \"{}\" is not given", spec.name)));
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let started = Instant::now();
        for (name, tensor) in inputs {
            self.check_indices(name, tensor)?;
            state.give(name, tensor)?;
        }
        state.request.infer().map_err(|error| failed(&error))?;
        if let Some(budget) = self.deadline.filter(|budget| started.elapsed() > *budget) {
            return Err(too_slow(budget));
        }
        let outputs = self.signature.outputs.iter();
        outputs.map(|spec| Ok((spec.name.clone(), state.take(&spec.name)?))).collect()
    }
}

impl OpenVinoSession {
    /// OpenVINO answers zeros for a row that a table does not have.
    fn check_indices(&self, name: &str, tensor: &Tensor) -> Result<()> {
        let Some(&rows) = self.tables.get(name) else { return Ok(()) };
        let outside = |index: i64| index < -rows || index >= rows;
        let found = match tensor.data() {
            TensorData::Int64(values) => values.iter().copied().find(|index| outside(*index)),
            TensorData::Int32(values) => values.iter().map(|index| i64::from(*index)).find(|index| outside(*index)),
            _ => None,
        };
        match found {
            None => Ok(()),
            Some(index) => {
                let text = format!("input \"{name}\" holds the index {index}, and the model's table has {rows} rows");
                Err(Error::new(ErrorCode::BadInput, text))
            }
        }
    }
}

/// The inputs that are indices into the first side of a constant table, with the rows of the smallest one.
fn tables(model: &ModelProto) -> BTreeMap<String, i64> {
    let mut tables = BTreeMap::new();
    let Some(graph) = &model.graph else { return tables };
    let axis = |node: &NodeProto| {
        node.attribute.iter().find(|attribute| attribute.name == "axis").and_then(|axis| axis.i).unwrap_or(0)
    };
    for node in graph.node.iter().filter(|node| node.op_type == "Gather" && axis(node) == 0) {
        let [table, indices, ..] = node.input.as_slice() else { continue };
        let rows = graph.initializer.iter().find(|known| known.name == *table).and_then(|table| table.dims.first());
        if let Some(&rows) = rows.filter(|_| graph.input.iter().any(|input| input.name == *indices)) {
            let smallest = tables.entry(indices.clone()).or_insert(rows);
            *smallest = rows.min(*smallest);
        }
    }
    tables
}

impl State {
    fn give(&mut self, name: &str, tensor: &Tensor) -> Result<()> {
        let kept = self.inputs.iter().position(|(known, shape, _)| known == name && shape == tensor.shape());
        let place = match kept {
            Some(place) => place,
            None => {
                let sides: Vec<i64> = tensor.shape().iter().map(|&side| side as i64).collect();
                let shape = Shape::new(&sides).map_err(|error| broken(&error))?;
                let own = openvino::Tensor::new(element(name, tensor)?, &shape).map_err(|error| broken(&error))?;
                self.request.set_tensor(name, &own).map_err(|error| failed(&error))?;
                self.inputs.retain(|(known, ..)| known != name);
                self.inputs.push((name.to_owned(), tensor.shape().to_vec(), own));
                self.inputs.len() - 1
            }
        };
        let Some((.., own)) = self.inputs.get_mut(place) else { return Err(Error::internal("an input was lost")) };
        fill(name, own, tensor)
    }

    fn take(&self, name: &str) -> Result<Tensor> {
        let found = self.request.get_tensor(name).map_err(|error| broken(&error))?;
        let shape = found.get_shape().map_err(|error| broken(&error))?;
        let sides: Vec<usize> = shape.get_dimensions().iter().map(|&side| usize::try_from(side).unwrap_or(0)).collect();
        macro_rules! copy {
            ($kind:ident, $type:ty) => {
                TensorData::$kind(found.get_data::<$type>().map_err(|error| broken(&error))?.to_vec())
            };
        }
        let data = match found.get_element_type().map_err(|error| broken(&error))? {
            ElementType::F32 => copy!(Float32, f32),
            ElementType::I64 => copy!(Int64, i64),
            ElementType::I32 => copy!(Int32, i32),
            ElementType::I8 => copy!(Int8, i8),
            ElementType::U8 => copy!(UInt8, u8),
            ElementType::Boolean => {
                let bytes = found.get_raw_data().map_err(|error| broken(&error))?;
                TensorData::Bool(bytes.iter().map(|byte| *byte != 0).collect())
            }
            other => return Err(Error::new(ErrorCode::Unsupported, format!("output \"{name}\" is {other}"))),
        };
        Tensor::new(sides, data)
    }
}

fn element(name: &str, tensor: &Tensor) -> Result<ElementType> {
    match tensor.data() {
        TensorData::Float32(_) => Ok(ElementType::F32),
        TensorData::Int64(_) => Ok(ElementType::I64),
        TensorData::Int32(_) => Ok(ElementType::I32),
        TensorData::Int8(_) => Ok(ElementType::I8),
        TensorData::UInt8(_) => Ok(ElementType::U8),
        TensorData::Bool(_) => Ok(ElementType::Boolean),
        TensorData::Float64(_) | TensorData::Text(_) => {
            Err(Error::new(ErrorCode::Unsupported, format!("openvino does not take input \"{name}\"")))
        }
    }
}

fn fill(name: &str, own: &mut openvino::Tensor, tensor: &Tensor) -> Result<()> {
    macro_rules! copy {
        ($values:expr, $type:ty) => {
            own.get_data_mut::<$type>().map_err(|error| broken(&error))?.copy_from_slice($values)
        };
    }
    match tensor.data() {
        TensorData::Float32(values) => copy!(values, f32),
        TensorData::Int64(values) => {
            if let Some(value) = values.iter().find(|value| i32::try_from(**value).is_err()) {
                let text = format!("openvino computes with 32 bits, and input \"{name}\" holds {value}");
                return Err(Error::new(ErrorCode::BadInput, text).fix("use the engine onnxruntime for such values"));
            }
            copy!(values, i64);
        }
        TensorData::Int32(values) => copy!(values, i32),
        TensorData::Int8(values) => copy!(values, i8),
        TensorData::UInt8(values) => copy!(values, u8),
        TensorData::Bool(values) => {
            let bytes = own.get_raw_data_mut().map_err(|error| broken(&error))?;
            bytes.iter_mut().zip(values).for_each(|(byte, value)| *byte = u8::from(*value));
        }
        TensorData::Float64(_) | TensorData::Text(_) => return element(name, tensor).map(drop),
    }
    Ok(())
}

/// What OpenVINO says, without the places in its source that it begins with.
fn first_lines(text: &str) -> String {
    let is_place =
        |line: &&str| line.contains("Exception from ") || line.contains(" failed at ") || line.trim().is_empty();
    let said: Vec<&str> = text.lines().filter(|line| !is_place(line)).map(str::trim).take(4).collect();
    if said.is_empty() { text.trim().to_owned() } else { said.join(" ") }
}

fn failed(error: &InferenceError) -> Error {
    let text = first_lines(&error.to_string());
    Error::new(ErrorCode::BadInput, format!("openvino could not run the model: {text}"))
}

fn broken(error: &InferenceError) -> Error {
    Error::internal(format!("openvino: {}", first_lines(&error.to_string())))
}
