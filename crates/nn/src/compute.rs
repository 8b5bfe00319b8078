//! The forward pass on Burn tensors, node by node along a plan. The backward pass is Burn's autodiff.
//!
//! Everything random (dropout) is drawn on the host from the seed, the step and the layer's name, so that a
//! resumed run sees the masks that an unbroken one would have seen.

use crate::initialize::unit;
use crate::pool;
use crate::shape::{Plan, PlannedNode, Source, edges};
use crate::{Layer, Padding};
use burn::tensor::module::{batch_norm, batch_norm_train, conv2d, embedding};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use lepton_core::{Error, ErrorCode, Result, Seed};

/// A value between layers, by its rank with the batch.
#[derive(Clone)]
pub(crate) enum Value {
    Rows(Tensor<2>),
    Sequences(Tensor<3>),
    Pictures(Tensor<4>),
    Codes(Tensor<2, Int>),
}

/// How a pass treats dropout and batch norm.
#[derive(Clone, Copy)]
pub(crate) enum Mode {
    Inference,
    /// `step` counts finished steps.
    Training {
        seed: Seed,
        step: u64,
    },
}

/// What batch norm saw in a training pass.
pub(crate) struct BatchStatistics {
    /// Index of the node in the plan.
    pub(crate) node: usize,
    pub(crate) mean: Vec<f32>,
    /// The biased variance.
    pub(crate) variance: Vec<f32>,
    /// Values per channel.
    pub(crate) count: usize,
}

/// Applies an expression to a float value of any rank and wraps the result in the same rank.
macro_rules! each_rank {
    ($value:expr, $x:ident => $result:expr) => {
        match $value {
            Value::Rows($x) => Ok(Value::Rows($result)),
            Value::Sequences($x) => Ok(Value::Sequences($result)),
            Value::Pictures($x) => Ok(Value::Pictures($result)),
            Value::Codes(_) => Err(Error::internal("codes reached a layer of floats")),
        }
    };
}

/// Runs the plan. `parameters` are flat tensors in the plan's order, running statistics included.
pub(crate) fn forward(
    plan: &Plan,
    parameters: &[Tensor<1>],
    input: Value,
    mode: Mode,
    statistics: &mut Vec<BatchStatistics>,
) -> Result<Value> {
    let mut uses: Vec<usize> = vec![0; plan.nodes.len()];
    for source in plan.nodes.iter().flat_map(|node| &node.inputs) {
        if let Source::Node(index) = source {
            uses[*index] += 1;
        }
    }
    let mut values: Vec<Option<Value>> = Vec::with_capacity(plan.nodes.len());
    let mut rest = parameters;
    for (index, node) in plan.nodes.iter().enumerate() {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for source in &node.inputs {
            // A value is given away at its last use, so that activations are freed as early as possible.
            inputs.push(match source {
                Source::Input => input.clone(),
                Source::Node(from) => {
                    uses[*from] -= 1;
                    let value = if uses[*from] == 0 { values[*from].take() } else { values[*from].clone() };
                    value.ok_or_else(|| Error::internal("a value was used before it was computed"))?
                }
            });
        }
        let (own, others) = rest.split_at(node.parameters.len());
        rest = others;
        let layer = Apply { index, node, parameters: own, mode };
        values.push(Some(layer.run(inputs, statistics).map_err(|error| error.at_node(&node.name))?));
    }
    values.pop().flatten().ok_or_else(|| Error::internal("a network without layers"))
}

/// One node at work.
struct Apply<'a> {
    index: usize,
    node: &'a PlannedNode,
    parameters: &'a [Tensor<1>],
    mode: Mode,
}

impl Apply<'_> {
    fn run(&self, mut inputs: Vec<Value>, statistics: &mut Vec<BatchStatistics>) -> Result<Value> {
        let first = inputs.remove(0);
        match &self.node.layer {
            Layer::Conv2d { kernel, stride, padding, dilation, groups, .. } => {
                self.convolve(first.pictures()?, *kernel, *stride, *padding, *dilation, *groups)
            }
            Layer::BatchNorm { epsilon, .. } => self.normalize(first, *epsilon, statistics),
            Layer::MaxPool2d { kernel, stride, padding } => {
                let stride = stride.unwrap_or(*kernel);
                Ok(Value::Pictures(pool::max_pool(
                    first.pictures()?,
                    *kernel,
                    stride,
                    self.edges(*kernel, stride, *padding),
                )))
            }
            Layer::AvgPool2d { kernel, stride, padding } => {
                let stride = stride.unwrap_or(*kernel);
                Ok(Value::Pictures(pool::avg_pool(
                    first.pictures()?,
                    *kernel,
                    stride,
                    self.edges(*kernel, stride, *padding),
                )))
            }
            Layer::GlobalAvgPool => {
                let x = first.pictures()?;
                let [batch, channels, height, width] = x.dims();
                let means = x.reshape([batch, channels, height * width]).mean_dim(2);
                Ok(Value::Rows(means.reshape([batch, channels])))
            }
            Layer::Flatten => Ok(Value::Rows(match first {
                Value::Rows(x) => x,
                Value::Sequences(x) => {
                    let batch = x.dims()[0];
                    x.reshape([batch, self.node.shape[0]])
                }
                Value::Pictures(x) => {
                    let batch = x.dims()[0];
                    x.reshape([batch, self.node.shape[0]])
                }
                Value::Codes(_) => return Err(Error::internal("codes reached a layer of floats")),
            })),
            Layer::Linear { units, bias } => self.dense(first.rows()?, *units, *bias),
            Layer::Relu => each_rank!(first, x => activation::relu(x)),
            Layer::Gelu => each_rank!(first, x => activation::gelu(x)),
            Layer::Sigmoid => each_rank!(first, x => activation::sigmoid(x)),
            Layer::Tanh => each_rank!(first, x => activation::tanh(x)),
            Layer::Softmax => each_rank!(first, x => activation::softmax(x, -1)),
            Layer::Dropout { p } => match self.mode {
                Mode::Training { seed, step } if *p > 0.0 => {
                    each_rank!(first, x => {
                        let mask = self.mask(*p, &x.dims(), seed, step);
                        x * Tensor::from_data(mask, &Device::flex())
                    })
                }
                _ => Ok(first),
            },
            Layer::Add => inputs.into_iter().try_fold(first, |sum, next| match (sum, next) {
                (Value::Rows(a), Value::Rows(b)) => Ok(Value::Rows(a + b)),
                (Value::Sequences(a), Value::Sequences(b)) => Ok(Value::Sequences(a + b)),
                (Value::Pictures(a), Value::Pictures(b)) => Ok(Value::Pictures(a + b)),
                _ => Err(Error::internal("ranks differ in add")),
            }),
            Layer::Concat => inputs.into_iter().try_fold(first, |sum, next| match (sum, next) {
                (Value::Rows(a), Value::Rows(b)) => Ok(Value::Rows(Tensor::cat(vec![a, b], 1))),
                (Value::Sequences(a), Value::Sequences(b)) => Ok(Value::Sequences(Tensor::cat(vec![a, b], 1))),
                (Value::Pictures(a), Value::Pictures(b)) => Ok(Value::Pictures(Tensor::cat(vec![a, b], 1))),
                _ => Err(Error::internal("ranks differ in concat")),
            }),
            Layer::Columns { from, to } => Ok(Value::Rows(first.rows()?.narrow(1, *from, to - from))),
            Layer::Embedding { vocabulary, dimensions } => {
                let table = self.parameters[0].clone().reshape([*vocabulary, *dimensions]);
                Ok(Value::Sequences(embedding(table, codes(first, *vocabulary)?)))
            }
        }
    }

    fn edges(&self, kernel: [usize; 2], stride: [usize; 2], padding: Padding) -> [usize; 4] {
        edges([self.node.input_shape[1], self.node.input_shape[2]], kernel, stride, [1, 1], padding)
    }

    fn convolve(
        &self,
        x: Tensor<4>,
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: Padding,
        dilation: [usize; 2],
        groups: usize,
    ) -> Result<Value> {
        let sides = [self.node.input_shape[1], self.node.input_shape[2]];
        let edges = edges(sides, kernel, stride, dilation, padding);
        let options = ConvOptions::new_with_padding(stride, pool::pairs(edges), dilation, groups);
        let [out, inner, rows, columns] = self.node.parameters[0].shape[..] else {
            return Err(Error::internal("a convolution's weight has four sides"));
        };
        let weight = self.parameters[0].clone().reshape([out, inner, rows, columns]);
        Ok(Value::Pictures(conv2d(x, weight, self.parameters.get(1).cloned(), options)))
    }

    /// x·Wᵀ as (W·xᵀ)ᵀ: then the gradient of W comes out row-major, without a transposing copy of the largest tensor.
    fn dense(&self, x: Tensor<2>, units: usize, bias: bool) -> Result<Value> {
        let features = self.node.input_shape[0];
        let y = self.parameters[0].clone().reshape([units, features]).matmul(x.transpose()).transpose();
        Ok(Value::Rows(if bias { y + self.parameters[1].clone().reshape([1, units]) } else { y }))
    }

    fn normalize(&self, x: Value, epsilon: f64, statistics: &mut Vec<BatchStatistics>) -> Result<Value> {
        let [gamma, beta, mean, variance] = [0, 1, 2, 3].map(|index| self.parameters[index].clone());
        if let Mode::Inference = self.mode {
            return each_rank!(x, x => batch_norm(x, gamma, beta, mean, variance, epsilon));
        }
        let channels = self.node.input_shape[0];
        each_rank!(x, x => {
            let count = x.dims().iter().product::<usize>() / channels;
            let result = batch_norm_train(x, gamma, beta, epsilon);
            let (mean, variance) = (host(result.mean.inner())?, host(result.variance.inner())?);
            statistics.push(BatchStatistics { node: self.index, mean, variance, count });
            result.output
        })
    }

    fn mask(&self, p: f64, shape: &[usize], seed: Seed, step: u64) -> TensorData {
        let mut rng = seed.rng(&format!("dropout {}", self.node.name), &[step]);
        let (p, keep) = (p as f32, (1.0 / (1.0 - p)) as f32);
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| if unit(&mut rng) < p { 0.0 } else { keep }).collect();
        TensorData::new(values, shape.to_vec())
    }
}

impl Value {
    fn rows(self) -> Result<Tensor<2>> {
        match self {
            Value::Rows(x) => Ok(x),
            _ => Err(Error::internal("expected [batch, features]")),
        }
    }

    fn pictures(self) -> Result<Tensor<4>> {
        match self {
            Value::Pictures(x) => Ok(x),
            _ => Err(Error::internal("expected [batch, channels, height, width]")),
        }
    }
}

/// Checked codes: whole numbers from 0 up to and without `vocabulary`.
fn codes(value: Value, vocabulary: usize) -> Result<Tensor<2, Int>> {
    let outside =
        |code: String| Error::new(ErrorCode::BadInput, format!("code {code} is none of 0 to {}", vocabulary - 1));
    match value {
        Value::Codes(codes) => {
            if let Some(code) = codes.to_data().iter::<i64>().find(|code| !(0..vocabulary as i64).contains(code)) {
                return Err(outside(code.to_string()));
            }
            Ok(codes)
        }
        Value::Rows(x) => {
            let shape = x.dims();
            let floats = host(x.inner())?;
            let whole = |code: &f32| code.fract() == 0.0 && (0.0..vocabulary as f32).contains(code);
            if let Some(code) = floats.iter().find(|code| !whole(code)) {
                return Err(outside(code.to_string()));
            }
            let codes: Vec<i64> = floats.iter().map(|&code| code as i64).collect();
            Ok(Tensor::from_data(TensorData::new(codes, shape.to_vec()), &Device::flex()))
        }
        _ => Err(Error::internal("expected codes")),
    }
}

/// The values of a tensor on the host; no copy where the tensor is its buffer's only owner.
pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let data = tensor.try_into_data().map_err(|source| Error::internal(format!("reading a tensor: {source}")))?;
    data.try_into_vec().map_err(|source| Error::internal(format!("reading a tensor: {source:?}")))
}
