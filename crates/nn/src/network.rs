//! A network with its weights: inference on the host's tensors, and weights as safetensors.

use crate::forward::{self, Mode, Value};
use crate::initialize::initialize;
use crate::plan::{ParameterSpec, Plan};
use crate::weights::{Reader, Writer};
use crate::{Architecture, Layer, export, trim};
use burn::tensor::{Device, Tensor as Burn, TensorData as BurnData};
use lepton_core::{DType, Error, ErrorCode, Result, Seed, Tensor};
use std::sync::Arc;

/// A thread pool, or none for the process's own.
pub(crate) type Threads = Option<Arc<rayon::ThreadPool>>;

/// Runs on those threads.
pub(crate) fn on<T: Send>(threads: &Threads, work: impl FnOnce() -> T + Send) -> T {
    match threads {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// Runs on that many threads of their own instead of the process's rayon pool; `None` takes the process's.
///
/// # Errors
/// [`ErrorCode::Config`] for 0, [`ErrorCode::Io`] when the threads cannot be started.
pub fn on_threads<T: Send>(threads: Option<usize>, work: impl FnOnce() -> T + Send) -> Result<T> {
    Ok(on(&threads.map(pool).transpose()?, work))
}

fn pool(threads: usize) -> Result<Arc<rayon::ThreadPool>> {
    if threads == 0 {
        return Err(Error::new(ErrorCode::Config, "a network needs at least one thread").at_key("threads"));
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|index| format!("nn-{index}")).build();
    let pool = pool.map_err(|source| Error::new(ErrorCode::Io, format!("cannot start {threads} threads: {source}")))?;
    Ok(Arc::new(pool))
}

/// One parameter or running statistic: a flat Burn tensor on the CPU.
#[derive(Clone)]
pub(crate) struct Parameter {
    pub(crate) spec: ParameterSpec,
    pub(crate) value: Burn<1>,
}

impl Parameter {
    pub(crate) fn new(spec: &ParameterSpec, values: Vec<f32>) -> Parameter {
        Parameter { spec: spec.clone(), value: flat(values) }
    }

    pub(crate) fn to_host(&self) -> Result<Vec<f32>> {
        forward::host(self.value.clone())
    }
}

/// A flat tensor over `values`, without a copy.
pub(crate) fn flat(values: Vec<f32>) -> Burn<1> {
    let count = values.len();
    Burn::from_data(BurnData::new(values, [count]), &Device::flex())
}

/// An Architecture with weights.
#[derive(Clone)]
pub struct Network {
    pub(crate) architecture: Architecture,
    pub(crate) plan: Plan,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) seed: Seed,
    threads: Threads,
}

impl Network {
    /// A network with first weights drawn from `seed`, one stream per parameter. Weights and biases of
    /// convolutions and dense layers start uniform within ±1/√fan_in (Kaiming uniform with a = √5, PyTorch's
    /// default), embeddings within ±0.05, batch norm at scale 1 and shift 0. The seed also drives dropout.
    ///
    /// # Errors
    /// Those of [`Architecture::validate`].
    pub fn new(architecture: &Architecture, seed: Seed) -> Result<Network> {
        let plan = architecture.plan()?;
        let parameters = plan.parameters().map(|spec| Parameter::new(spec, initialize(spec, seed))).collect();
        Ok(Network { architecture: architecture.clone(), plan, parameters, seed, threads: None })
    }

    /// A network with the weights of a safetensors file, as [`Network::weights`] wrote it. Its dropout seed is 0;
    /// see [`Network::with_seed`].
    ///
    /// # Errors
    /// [`ErrorCode::BadData`], [`ErrorCode::Shape`] or [`ErrorCode::Dtype`] with the tensor as the key: one that is
    /// missing, unknown, of another shape or dtype, or not finite.
    pub fn from_weights(architecture: &Architecture, safetensors: &[u8]) -> Result<Network> {
        let plan = architecture.plan()?;
        let reader = Reader::open(safetensors)?;
        if let Some(key) = reader.keys().find(|key| !plan.parameters().any(|spec| spec.name == *key)) {
            return Err(Error::new(ErrorCode::BadData, "the architecture has no such tensor").at_key(key));
        }
        let read = |spec: &ParameterSpec| Ok(Parameter::new(spec, reader.float32(&spec.name, &spec.shape)?));
        let parameters = plan.parameters().map(read).collect::<Result<_>>()?;
        Ok(Network { architecture: architecture.clone(), plan, parameters, seed: Seed(0), threads: None })
    }

    /// A network whose parameters and statistics `values` gives by their keys, flat and row-major.
    ///
    /// # Errors
    /// Those of [`Architecture::validate`]; [`ErrorCode::Shape`] with the key where the count is not that of the
    /// architecture.
    pub fn from_values(
        architecture: &Architecture,
        mut values: impl FnMut(&str) -> Result<Vec<f32>>,
    ) -> Result<Network> {
        let plan = architecture.plan()?;
        let read = |spec: &ParameterSpec| {
            let given = values(&spec.name)?;
            if given.len() != spec.len() {
                let message = format!("{} numbers, the architecture needs {:?}", given.len(), spec.shape);
                return Err(Error::new(ErrorCode::Shape, message).at_key(&spec.name));
            }
            Ok(Parameter::new(spec, given))
        };
        let parameters = plan.parameters().map(read).collect::<Result<_>>()?;
        Ok(Network { architecture: architecture.clone(), plan, parameters, seed: Seed(0), threads: None })
    }

    /// A network of `architecture` that takes the numbers of `trained` where a key is in both with the same shape, and
    /// new ones, drawn from `seed`, where it is not or `renew` says so. Of learned positions the first are taken where
    /// `architecture` is for shorter sequences. Gives the keys that are new, in order.
    ///
    /// # Errors
    /// Those of [`Architecture::validate`].
    pub fn starting_from(
        architecture: &Architecture,
        trained: &Network,
        renew: impl Fn(&str) -> bool,
        seed: Seed,
    ) -> Result<(Network, Vec<String>)> {
        let mut network = Network::new(architecture, seed)?;
        let mut fresh = Vec::new();
        let positions = network.plan.nodes.iter().filter(|node| matches!(node.layer, Layer::Positions(_)));
        let positions: Vec<String> = positions.map(|node| format!("{}.weight", node.name)).collect();
        for parameter in &mut network.parameters {
            let ParameterSpec { name, shape, .. } = &parameter.spec;
            let named = trained.parameters.iter().find(|other| other.spec.name == *name).filter(|_| !renew(name));
            match named {
                Some(other) if other.spec.shape == *shape => parameter.value = other.value.clone(),
                Some(other)
                    if positions.contains(name) && other.spec.shape[1..] == shape[1..] && other.spec.shape > *shape =>
                {
                    let mut table = other.to_host()?;
                    table.truncate(parameter.spec.len());
                    parameter.value = flat(table);
                }
                _ => fresh.push(name.clone()),
            }
        }
        Ok((network, fresh))
    }

    /// The numbers of this network, with its seed and threads, under a part of its architecture.
    pub(crate) fn with_architecture(&self, architecture: &Architecture) -> Result<Network> {
        let plan = architecture.plan()?;
        let find = |spec: &ParameterSpec| {
            let own = self.parameters.iter().find(|parameter| parameter.spec.name == spec.name);
            own.cloned().ok_or_else(|| Error::internal(format!("there is no parameter \"{}\"", spec.name)))
        };
        let parameters = plan.parameters().map(find).collect::<Result<_>>()?;
        let (architecture, threads) = (architecture.clone(), self.threads.clone());
        Ok(Network { architecture, plan, parameters, seed: self.seed, threads })
    }

    /// The same network with another seed for dropout.
    pub fn with_seed(mut self, seed: Seed) -> Network {
        self.seed = seed;
        self
    }

    /// The same network on `threads` threads of its own instead of the process's rayon pool. Results repeat for
    /// the same number of threads.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for 0, [`ErrorCode::Io`] when the threads cannot be started.
    pub fn with_threads(mut self, threads: usize) -> Result<Network> {
        self.threads = Some(pool(threads)?);
        Ok(self)
    }

    /// The keys of all parameters and running statistics, in the order of the layers.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|parameter| parameter.spec.name.as_str())
    }

    /// The Architecture.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The outputs of a batch in inference mode: `[rows, ..input]` to `[rows, ..output]`, float32.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`], [`ErrorCode::Dtype`], or [`ErrorCode::BadInput`] for a code outside an embedding.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let input = self.check_input(input)?;
        let parameters: Vec<_> = self.parameters.iter().map(|parameter| parameter.value.clone()).collect();
        self.on_threads(|| {
            let output = forward::forward(&self.plan, &parameters, input, Mode::Inference, &[], &mut Vec::new())?;
            output_to_host(output)
        })
    }

    /// The weights and running statistics as safetensors; keys are `layer.weight`, `layer.bias`,
    /// `layer.running_mean`, `layer.running_var`, shapes PyTorch's.
    ///
    /// # Errors
    /// [`ErrorCode::Internal`] only.
    pub fn weights(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::default();
        for parameter in &self.parameters {
            writer.float32(&parameter.spec.name, &parameter.spec.shape, &parameter.to_host()?);
        }
        writer.finish()
    }

    /// The network as ONNX: opset 17, input `input` and output `output` with a free batch axis, initializers named
    /// like the safetensors keys, dropout left out, no external data.
    ///
    /// # Errors
    /// [`ErrorCode::Internal`] only.
    pub fn to_onnx(&self) -> Result<Vec<u8>> {
        export::onnx(self)
    }

    /// Runs on the network's own threads where it has them.
    fn on_threads<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        on(&self.threads, work)
    }

    /// The network's own threads, to be used with [`on`] while the network itself changes.
    pub(crate) fn threads(&self) -> Threads {
        self.threads.clone()
    }

    /// Checks shape and dtype.
    pub(crate) fn check_fits(&self, input: &Tensor) -> Result<()> {
        let rows = input.rows();
        let fits = rows > 0
            && match (input.shape(), self.plan.free_time) {
                ([_, time, rest @ ..], true) => *time > 0 && *rest == self.plan.input_shape[1..],
                (shape, _) => shape.get(1..) == Some(&self.plan.input_shape[..]),
            };
        if !fits {
            let message = format!(
                "the input has shape {:?}, the network takes [rows, {}]",
                input.shape(),
                sides(&self.plan.input_shape)
            );
            return Err(Error::new(ErrorCode::Shape, message));
        }
        if input.dtype() != self.plan.input_dtype {
            let message = format!("the input is {}, the network takes {}", input.dtype(), self.plan.input_dtype);
            return Err(Error::new(ErrorCode::Dtype, message));
        }
        Ok(())
    }

    /// Checks shape and dtype and moves a batch to the device, without the padding that ends all of its rows.
    pub(crate) fn check_input(&self, input: &Tensor) -> Result<Value> {
        self.check_fits(input)?;
        let rows = input.rows();
        let (device, shape) = (Device::flex(), input.shape().to_vec());
        if input.dtype() == DType::Int64 {
            let codes = input.as_int64()?;
            let data = match self.plan.trims {
                Some(padding) => {
                    let time = input.row_len();
                    let places = trim::places(codes, time, padding);
                    let kept: Vec<i64> = codes.chunks(time).flat_map(|row| &row[..places]).copied().collect();
                    BurnData::new(kept, vec![rows, places])
                }
                None => BurnData::new(codes.to_vec(), shape),
            };
            return Ok(Value::Codes(Burn::from_data(data, &device)));
        }
        let data = BurnData::new(input.as_float32()?.to_vec(), shape);
        Ok(match input.shape().len() {
            2 => Value::Rows(Burn::from_data(data, &device)),
            3 => Value::Sequences(Burn::from_data(data, &device)),
            _ => Value::Pictures(Burn::from_data(data, &device)),
        })
    }
}

/// The network's output as a host tensor.
pub(crate) fn output_to_host(output: Value) -> Result<Tensor> {
    match output {
        Value::Rows(x) => Tensor::float32(x.dims(), forward::host(x.inner())?),
        Value::Sequences(x) => Tensor::float32(x.dims(), forward::host(x.inner())?),
        Value::Pictures(x) => Tensor::float32(x.dims(), forward::host(x.inner())?),
        Value::Codes(_) => Err(Error::internal("a network ends in codes")),
    }
}

fn sides(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}
