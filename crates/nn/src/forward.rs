//! The forward pass on Burn tensors, node by node along a plan. What a layer computes is in its own file; here are the
//! values between layers and the order of things. The backward pass is Burn's autodiff.
//!
//! Everything random (dropout) is drawn on the host from the seed, the step and the layer's name, so that a
//! resumed run sees the masks that an unbroken one would have seen.

use crate::plan::{Plan, PlannedNode, Source};
use burn::tensor::{Device, Int, Tensor, TensorData};
use lepton_core::{Error, Result, Seed};

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

/// Where the sequences of a batch end.
#[derive(Clone)]
pub(crate) struct Lengths {
    /// Places of each sequence, at least 1.
    pub(crate) counts: Vec<usize>,
    /// `[batch, time]`: 1 inside, 0 behind the end.
    pub(crate) mask: Tensor<2>,
}

impl Lengths {
    /// Of counts over `time` places.
    pub(crate) fn new(counts: Vec<usize>, time: usize) -> Lengths {
        let inside = counts.iter().flat_map(|&count| (0..time).map(move |place| f32::from(u8::from(place < count))));
        let data = TensorData::new(inside.collect::<Vec<f32>>(), [counts.len(), time]);
        Lengths { counts, mask: Tensor::from_data(data, &Device::flex()) }
    }
}

/// Applies an expression to a float value of any rank and wraps the result in the same rank.
macro_rules! each_rank {
    ($value:expr, $x:ident => $result:expr) => {
        match $value {
            $crate::forward::Value::Rows($x) => Ok($crate::forward::Value::Rows($result)),
            $crate::forward::Value::Sequences($x) => Ok($crate::forward::Value::Sequences($result)),
            $crate::forward::Value::Pictures($x) => Ok($crate::forward::Value::Pictures($result)),
            $crate::forward::Value::Codes(_) => Err(lepton_core::Error::internal("codes reached a layer of floats")),
        }
    };
}
pub(crate) use each_rank;

/// Runs the plan. `parameters` are flat tensors in the plan's order, running statistics included. Nodes that are
/// `frozen` compute as in inference; an empty list freezes none.
pub(crate) fn forward(
    plan: &Plan,
    parameters: &[Tensor<1>],
    input: Value,
    mode: Mode,
    frozen: &[bool],
    statistics: &mut Vec<BatchStatistics>,
) -> Result<Value> {
    forward_watched(plan, parameters, input, mode, frozen, statistics, None).map(|(output, _)| output)
}

/// As [`forward`], and what the node `watched` gives.
pub(crate) fn forward_watched(
    plan: &Plan,
    parameters: &[Tensor<1>],
    input: Value,
    mode: Mode,
    frozen: &[bool],
    statistics: &mut Vec<BatchStatistics>,
    watched: Option<usize>,
) -> Result<(Value, Option<Value>)> {
    let mut seen = None;
    let mut uses: Vec<usize> = vec![0; plan.nodes.len()];
    for source in plan.nodes.iter().flat_map(|node| &node.inputs) {
        if let Source::Node(index) = source {
            uses[*index] += 1;
        }
    }
    let mut values: Vec<Option<Value>> = Vec::with_capacity(plan.nodes.len());
    let mut lengths: Vec<Option<Lengths>> = vec![None; plan.nodes.len()];
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
        let mut running = Running {
            index,
            node,
            parameters: own,
            mode: if frozen.get(index).copied().unwrap_or(false) { Mode::Inference } else { mode },
            lengths: node.lengths.iter().map(|maker| lengths[(*maker)?].clone()).collect(),
            given: None,
            statistics,
        };
        let value = node.layer.does().forward(&mut running, inputs).map_err(|error| error.at_node(&node.name))?;
        lengths[index] = running.given;
        if watched == Some(index) {
            seen = Some(value.clone());
        }
        values.push(Some(value));
    }
    let output = values.pop().flatten().ok_or_else(|| Error::internal("a network without layers"))?;
    Ok((output, seen))
}

/// One node at work.
pub(crate) struct Running<'a> {
    index: usize,
    pub(crate) node: &'a PlannedNode,
    parameters: &'a [Tensor<1>],
    pub(crate) mode: Mode,
    /// For each input where its sequences end, if something tells.
    pub(crate) lengths: Vec<Option<Lengths>>,
    /// Where the output's sequences end, for a layer that tells it.
    pub(crate) given: Option<Lengths>,
    statistics: &'a mut Vec<BatchStatistics>,
}

impl Running<'_> {
    /// The parameter at that place of the node's list, flat.
    pub(crate) fn flat(&self, place: usize) -> Tensor<1> {
        self.parameters[place].clone()
    }

    /// The parameter at that place, in its own shape.
    pub(crate) fn parameter<const D: usize>(&self, place: usize) -> Result<Tensor<D>> {
        let shape: [usize; D] = self.node.parameters[place]
            .shape
            .clone()
            .try_into()
            .map_err(|_| Error::internal(format!("\"{}\" has other sides", self.node.parameters[place].name)))?;
        Ok(self.parameters[place].clone().reshape(shape))
    }

    /// Tells what batch norm saw.
    pub(crate) fn saw(&mut self, mean: Vec<f32>, variance: Vec<f32>, count: usize) {
        self.statistics.push(BatchStatistics { node: self.index, mean, variance, count });
    }
}

impl Value {
    pub(crate) fn rows(self) -> Result<Tensor<2>> {
        match self {
            Value::Rows(x) => Ok(x),
            _ => Err(Error::internal("expected [batch, features]")),
        }
    }

    pub(crate) fn sequences(self) -> Result<Tensor<3>> {
        match self {
            Value::Sequences(x) => Ok(x),
            _ => Err(Error::internal("expected [batch, time, features]")),
        }
    }

    pub(crate) fn pictures(self) -> Result<Tensor<4>> {
        match self {
            Value::Pictures(x) => Ok(x),
            _ => Err(Error::internal("expected [batch, channels, height, width]")),
        }
    }
}

/// The first of a layer's inputs, for those that have one.
pub(crate) fn only(inputs: Vec<Value>) -> Result<Value> {
    inputs.into_iter().next().ok_or_else(|| Error::internal("a layer without inputs"))
}

/// The values of a tensor on the host; no copy where the tensor is its buffer's only owner.
pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let data = tensor.try_into_data().map_err(|source| Error::internal(format!("reading a tensor: {source}")))?;
    data.try_into_vec().map_err(|source| Error::internal(format!("reading a tensor: {source:?}")))
}
