//! From a plan to a list of fused operations over values with fixed places in memory, or the first layer that has no kernel.

use super::picture::{self, Does, PictureOp};
use super::program::Program;
use super::recurrent::Recurrent;
use super::sequence::{self, SequenceOp, Table};
use crate::plan::{Plan, PlannedNode, Source};
use crate::{BatchNorm, Layer, Linear};
use lepton_core::{DType, Error, ErrorCode, Result};
use lepton_kernels as kernels;

/// A value between operations: a row of the batch is `channels · places` numbers. Its gradient has the same place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Value {
    pub(super) channels: usize,
    pub(super) places: usize,
    /// Whether others have a row place by place, as a sequence, and not channel by channel, as a picture.
    pub(super) by_place: bool,
}

impl Value {
    /// Numbers of a row.
    pub(super) fn size(self) -> usize {
        self.channels * self.places
    }

    /// Fills the value from rows as others have them.
    pub(super) fn fill(self, workers: &kernels::Workers, rows: &[f32], to: &mut [f32]) {
        match self.by_place {
            true => kernels::from_rows(workers, rows, self.size(), to),
            false => kernels::from_pictures(workers, rows, self.channels, self.places, to),
        }
    }
}

/// How a gradient gets to an input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Back {
    /// Nobody asks for it: the input is the network's own.
    None,
    /// It is the first.
    Put,
    /// It is added to that of another operation.
    Add,
}

/// One fused operation. `x`, `y`, `a` and `b` are values, weights and biases are parameters of the plan.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Conv {
        sizes: kernels::Conv,
        x: usize,
        y: usize,
        weight: usize,
        bias: Option<usize>,
        relu: bool,
        back: Back,
    },
    /// A convolution with its activation and pool; `hidden` is the value in front of the pool, of which only the gradient is
    /// ever kept, and that where `back` asks for it.
    PooledConv {
        sizes: kernels::PooledConv,
        x: usize,
        hidden: usize,
        y: usize,
        winners: usize,
        weight: usize,
        bias: Option<usize>,
        back: Back,
    },
    /// `function` is an activation and the value that keeps its derivative.
    Linear {
        sizes: kernels::Linear,
        function: Option<(kernels::Activation, usize)>,
        x: usize,
        y: usize,
        weight: usize,
        bias: Option<usize>,
        relu: bool,
        back: Back,
    },
    /// `weight` is the first of weight, bias, running mean and running variance; `norm` counts these operations, and `fixed`
    /// ones take the running statistics. The input is taken as `value`.
    Norm {
        node: usize,
        norm: usize,
        settings: BatchNorm,
        fixed: bool,
        value: Value,
        x: usize,
        y: usize,
        weight: usize,
        /// What is behind the norm, as in [`kernels::BatchNorm`].
        most: Option<f32>,
        back: Back,
    },
    MaxPool {
        sizes: kernels::MaxPool,
        x: usize,
        y: usize,
        winners: usize,
        back: Back,
    },
    Mean {
        x: usize,
        y: usize,
        back: Back,
    },
    Flatten {
        x: usize,
        y: usize,
        back: Back,
    },
    Relu {
        x: usize,
        y: usize,
        back: Back,
    },
    Sum {
        a: usize,
        b: usize,
        y: usize,
        relu: bool,
        backs: [Back; 2],
    },
    /// Dropout; `mask` is a value that holds what each number is multiplied by.
    Dropout {
        name: String,
        p: f64,
        x: usize,
        y: usize,
        mask: usize,
        back: Back,
    },
    Picture(PictureOp),
    Sequence(SequenceOp),
    /// One layer of a recurrent stack.
    Recurrent(Recurrent),
}

impl Op {
    /// The value that it gives.
    pub(super) fn output(&self) -> usize {
        match self {
            Op::Conv { y, .. }
            | Op::PooledConv { y, .. }
            | Op::Linear { y, .. }
            | Op::Norm { y, .. }
            | Op::MaxPool { y, .. }
            | Op::Mean { y, .. }
            | Op::Flatten { y, .. }
            | Op::Relu { y, .. }
            | Op::Sum { y, .. }
            | Op::Dropout { y, .. } => *y,
            Op::Picture(op) => op.y,
            Op::Sequence(op) => op.output(),
            Op::Recurrent(layer) => layer.y,
        }
    }

    /// The parameter of learned positions, and how many of its numbers are used.
    pub(super) fn positions(&self) -> Option<(usize, usize)> {
        match self {
            Op::Sequence(SequenceOp::Positions { table: Table::Learned(parameter, used), .. }) => {
                Some((*parameter, *used))
            }
            _ => None,
        }
    }

    /// How many codes an embedding knows.
    pub(super) fn vocabulary(&self) -> Option<usize> {
        match self {
            Op::Sequence(SequenceOp::Embedding { sizes, .. }) => Some(sizes.vocabulary),
            _ => None,
        }
    }

    /// Whether it reads its inputs, and its output, on the way back.
    pub(super) fn reads_back(&self) -> [bool; 2] {
        match self {
            Op::Conv { relu, .. } | Op::Linear { relu, .. } => [true, *relu],
            Op::Norm { .. } => [true, false],
            Op::PooledConv { .. } | Op::Recurrent(_) => [true, true],
            Op::Relu { .. } => [false, true],
            Op::Sum { relu, .. } => [false, *relu],
            Op::MaxPool { .. } | Op::Mean { .. } | Op::Flatten { .. } | Op::Dropout { .. } => [false, false],
            Op::Picture(op) => op.reads_back(),
            Op::Sequence(op) => [op.reads_back(), false],
        }
    }

    /// The values that it takes, with what happens to their gradients.
    pub(super) fn inputs(&self) -> Vec<(usize, Back)> {
        match self {
            Op::Conv { x, back, .. }
            | Op::PooledConv { x, back, .. }
            | Op::Linear { x, back, .. }
            | Op::Norm { x, back, .. }
            | Op::MaxPool { x, back, .. }
            | Op::Mean { x, back, .. }
            | Op::Flatten { x, back, .. }
            | Op::Relu { x, back, .. }
            | Op::Dropout { x, back, .. } => vec![(*x, *back)],
            Op::Sum { a, b, backs, .. } => vec![(*a, backs[0]), (*b, backs[1])],
            Op::Picture(op) => op.inputs.clone(),
            Op::Sequence(op) => op.inputs(),
            Op::Recurrent(layer) => vec![(layer.x, layer.back)],
        }
    }
}

/// The program of a plan. Nodes that are `frozen` compute as in inference; without it all do, and there is no way back.
pub(super) fn compile(plan: &Plan, frozen: Option<&[bool]>) -> Result<Program> {
    let input = match (plan.input_dtype, &plan.input_shape[..]) {
        (DType::Float32, [features]) => Value { channels: *features, places: 1, by_place: false },
        (DType::Float32, [time, features]) => Value { channels: *features, places: *time, by_place: true },
        (DType::Float32, [channels, height, width]) => {
            Value { channels: *channels, places: height * width, by_place: false }
        }
        (DType::Int64, [time]) => Value { channels: 1, places: *time, by_place: true },
        _ => return Err(refused("the input: codes of several sides have no kernel").at_key("train.step")),
    };
    let mut program = Program { values: vec![input], ..Program::default() };
    if plan.input_dtype == DType::Int64 {
        program.hidden.push(0);
    }
    let (given, makers, answers) = (Vec::with_capacity(plan.nodes.len()), Vec::new(), frozen.is_none());
    let mut compiler = Compiler { program, given, makers, plan, answers };
    let mut parameter = 0;
    for (index, node) in plan.nodes.iter().enumerate() {
        let frozen = frozen.is_none_or(|frozen| frozen[index]);
        let value = compiler.node(index, node, parameter, frozen).map_err(|error| error.at_node(&node.name))?;
        compiler.given.push(value);
        parameter += node.parameters.len();
    }
    let mut program = compiler.program;
    program.output = *compiler.given.last().ok_or_else(|| Error::internal("a network without layers"))?;
    program.backs();
    program.masks();
    program.lifetimes(answers);
    Ok(program)
}

pub(super) struct Compiler<'a> {
    plan: &'a Plan,
    program: Program,
    /// Whether there is no way back.
    answers: bool,
    /// The value that each node gives.
    given: Vec<usize>,
    /// Nodes that tell where sequences end, and which of the program's ways that is.
    pub(super) makers: Vec<(usize, usize)>,
}

impl Compiler<'_> {
    /// Adds what a node does and tells the value that it gives.
    fn node(&mut self, index: usize, node: &PlannedNode, parameter: usize, frozen: bool) -> Result<usize> {
        let inputs: Vec<usize> = node.inputs.iter().map(|source| self.value(*source)).collect();
        let x = inputs[0];
        let (relu, back) = (false, Back::None);
        Ok(match &node.layer {
            Layer::Conv2d(settings) if settings.groups == 1 => {
                let sizes = picture::conv(node, settings)?;
                let y = self.add(sizes.out_channels, sizes.out_sides[0] * sizes.out_sides[1]);
                let bias = settings.bias.then_some(parameter + 1);
                self.program.ops.push(Op::Conv { sizes, x, y, weight: parameter, bias, relu, back });
                y
            }
            Layer::Conv1d(settings) if settings.groups == 1 => {
                let sizes = sequence::conv(node, settings)?;
                let y = self.add_sequence(sizes.out_sides[1], sizes.out_channels);
                let bias = settings.bias.then_some(parameter + 1);
                self.program.ops.push(Op::Conv { sizes, x, y, weight: parameter, bias, relu, back });
                y
            }
            Layer::Linear(Linear { units, bias, adapter: None }) => {
                let bias = bias.then_some(parameter + 1);
                match node.input_shape[..] {
                    [features] => {
                        let Value { channels, places, by_place } = self.program.values[x];
                        if channels > 1 && places > 1 && !by_place {
                            self.program.turned.push((parameter, [channels, places]));
                        }
                        self.linear(x, [features, *units], 1, false, parameter, bias)
                    }
                    [time, features] => self.linear(x, [features, *units], time, true, parameter, bias),
                    _ => return Err(Error::internal("a dense layer over a picture")),
                }
            }
            // The way back through running statistics has no kernel.
            Layer::BatchNorm(settings) if !frozen || self.answers => {
                let y = self.like(x);
                let (settings, norm) = (settings.clone(), self.program.norms);
                self.program.norms += 1;
                // A row of numbers may still lie as a picture of one channel.
                let value = match node.input_shape[..] {
                    [time, features] => Value { channels: features, places: time, by_place: true },
                    ref shape => Value { channels: shape[0], places: shape[1..].iter().product(), by_place: false },
                };
                let (node, weight, fixed) = (index, parameter, frozen);
                let (most, back) = (None, back);
                let op = Op::Norm { node, norm, settings, fixed, value, x, y, weight, most, back };
                self.program.ops.push(op);
                y
            }
            Layer::GlobalAvgPool if node.input_shape.len() == 3 => {
                let y = self.add(node.input_shape[0], 1);
                self.program.ops.push(Op::Mean { x, y, back });
                y
            }
            Layer::Flatten => {
                let Value { channels, places, by_place } = self.program.values[x];
                // One row of numbers already, or one that lies as it should.
                if channels == 1 || places == 1 || by_place || self.goes_to_dense(index) {
                    return Ok(x);
                }
                let y = self.add(channels * places, 1);
                self.program.ops.push(Op::Flatten { x, y, back });
                y
            }
            Layer::Relu if self.fuse_relu(node.inputs[0], x) => x,
            Layer::Relu => {
                let y = self.like(x);
                self.program.ops.push(Op::Relu { x, y, back });
                y
            }
            Layer::Add if inputs.len() == 2 => {
                let y = self.like(x);
                self.program.ops.push(Op::Sum { a: x, b: inputs[1], y, relu, backs: [back; 2] });
                y
            }
            Layer::Dropout(dropout) if dropout.p == 0.0 || frozen => x,
            Layer::Dropout(dropout) => {
                let y = self.like(x);
                let mask = self.like(y);
                self.program.ops.push(Op::Dropout { name: node.name.clone(), p: dropout.p, x, y, mask, back });
                y
            }
            Layer::Rnn(settings) => self.recurrent(node, &settings.stack(), x, parameter, frozen)?,
            Layer::Lstm(settings) => self.recurrent(node, &settings.stack(), x, parameter, frozen)?,
            Layer::Gru(settings) => self.recurrent(node, &settings.stack(), x, parameter, frozen)?,
            layer => match self.sequence_node(node, &inputs, parameter, frozen)? {
                Some(y) => {
                    let ends = self.program.paddings.len().wrapping_sub(1);
                    if layer.does().gives_lengths() {
                        self.makers.push((index, ends));
                    }
                    y
                }
                None => self.picture_node(node, &inputs, parameter)?,
            },
        })
    }

    /// A dense layer over each place of `x`.
    pub(super) fn linear(
        &mut self,
        x: usize,
        [features, units]: [usize; 2],
        places: usize,
        by_place: bool,
        weight: usize,
        bias: Option<usize>,
    ) -> usize {
        let y = if by_place { self.add_sequence(places, units) } else { self.add(units, places) };
        let (sizes, relu, back) = (kernels::Linear { features, units }, false, Back::None);
        self.program.ops.push(Op::Linear { sizes, function: None, x, y, weight, bias, relu, back });
        y
    }

    /// Adds an operation of any kind.
    pub(super) fn add_op(&mut self, op: Op) {
        self.program.ops.push(op);
    }

    /// Memory for so many directions of a recurrent layer: which is the first.
    pub(super) fn memories(&mut self, directions: usize) -> usize {
        self.program.recurrent += directions;
        self.program.recurrent - directions
    }

    /// Adds an operation and tells the value that it gives.
    pub(super) fn push(&mut self, op: SequenceOp) -> usize {
        let y = op.output();
        self.program.ops.push(Op::Sequence(op));
        y
    }

    /// Whether the network takes codes.
    pub(super) fn takes_codes(&self) -> bool {
        self.plan.input_dtype == DType::Int64
    }

    /// One more way to tell where sequences end: at the last place that is no such code.
    pub(super) fn ends_at(&mut self, padding: i64) -> usize {
        self.program.paddings.push(padding);
        self.program.paddings.len() - 1
    }

    pub(super) fn shape(&self, value: usize) -> Value {
        self.program.values[value]
    }

    fn value(&self, source: Source) -> usize {
        match source {
            Source::Input => 0,
            Source::Node(index) => self.given[index],
        }
    }

    pub(super) fn add(&mut self, channels: usize, places: usize) -> usize {
        self.put(Value { channels, places, by_place: false })
    }

    pub(super) fn add_sequence(&mut self, time: usize, features: usize) -> usize {
        self.put(Value { channels: features, places: time, by_place: true })
    }

    /// Takes a picture's places as a sequence: they lie in memory as such a sequence does.
    pub(super) fn as_sequence(&mut self, value: usize) {
        self.program.values[value].by_place = true;
    }

    pub(super) fn like(&mut self, other: usize) -> usize {
        self.put(self.program.values[other])
    }

    fn put(&mut self, value: Value) -> usize {
        self.program.values.push(value);
        self.program.values.len() - 1
    }

    /// Whether `source`, which gives `value`, is used once, as itself.
    fn is_used_once(&self, source: Source) -> bool {
        self.plan.nodes.iter().flat_map(|node| &node.inputs).filter(|other| **other == source).count() == 1
    }

    /// Whether what a node gives goes to dense layers only, which can take it in any order.
    fn goes_to_dense(&self, node: usize) -> bool {
        let mut takers = self.plan.nodes.iter().filter(|taker| taker.inputs.contains(&Source::Node(node))).peekable();
        takers.peek().is_some()
            && takers.all(|taker| matches!(taker.layer, Layer::Linear(Linear { adapter: None, .. })))
    }

    /// Takes the convolution and activation that give `pooled` into one operation with the pool, where nobody else sees it.
    pub(super) fn fuse_pool(
        &mut self,
        source: Source,
        pooled: usize,
        pool: kernels::MaxPool,
        y: usize,
        winners: usize,
    ) -> Option<Op> {
        let Some(Op::Conv { sizes, x, y: hidden, weight, bias, relu: true, back }) = self.program.ops.last() else {
            return None;
        };
        let sizes =
            kernels::PooledConv::new(*sizes, pool).filter(|_| *hidden == pooled && self.is_used_once(source))?;
        let (x, hidden, weight, bias, back) = (*x, *hidden, *weight, *bias, *back);
        self.program.ops.pop();
        self.program.hidden.push(hidden);
        Some(Op::PooledConv { sizes, x, hidden, y, winners, weight, bias, back })
    }

    /// Whether nobody else sees `x`, which `source` gives.
    pub(super) fn is_alone(&self, source: Source, x: usize) -> bool {
        // Another node may stand for the same value, as a flatten of one row of numbers does.
        self.is_used_once(source) && self.given.iter().filter(|value| **value == x).count() == 1
    }

    /// Puts an activation into the dense layer or norm that gives `x`, where nobody else sees what is in front of it.
    pub(super) fn fuse_function(&mut self, source: Source, x: usize, activation: kernels::Activation) -> bool {
        let slopes = self.program.values.len();
        let is_alone = self.is_alone(source, x);
        match self.program.ops.last_mut() {
            Some(Op::Linear { y, relu: false, function: function @ None, .. }) if *y == x && is_alone => {
                *function = Some((activation, slopes));
            }
            Some(Op::Norm { y, most: most @ None, .. })
                if *y == x && is_alone && activation == kernels::Activation::Relu6 =>
            {
                *most = Some(6.0);
                return true;
            }
            _ => return false,
        }
        self.like(x);
        true
    }

    /// Puts the activation into the operation that gives `x`, where nobody else sees what is in front of it.
    fn fuse_relu(&mut self, source: Source, x: usize) -> bool {
        if !self.is_alone(source, x) {
            return false;
        }
        match self.program.ops.last_mut() {
            Some(
                Op::Conv { y, relu, .. }
                | Op::Linear { y, relu, function: None, .. }
                | Op::Sum { y, relu, .. }
                | Op::Picture(PictureOp { y, does: Does::Depthwise { relu, .. }, .. }),
            ) if *y == x && !*relu => {
                *relu = true;
                true
            }
            Some(Op::Norm { y, most: most @ None, .. }) if *y == x => {
                *most = Some(f32::INFINITY);
                true
            }
            _ => false,
        }
    }
}

pub(super) fn refused(what: &str) -> Error {
    Error::new(ErrorCode::Unsupported, format!("the planned step cannot be used: {what}"))
        .fix("set train.step = \"auto\" or \"burn\"")
}
