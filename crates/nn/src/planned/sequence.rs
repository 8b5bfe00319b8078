//! Operations of the planned step over sequences and codes, and functions of single values: from layers to operations, and
//! what each does on the way forward and back.

use super::compile::{Back, Compiler, Value};
use super::pass::{Backward, Batch, Forward, pair, put, two};
use crate::layers::PositionKind;
use crate::plan::PlannedNode;
use crate::{Conv1d, Elu, Embedding, Layer, LayerNorm, LeakyRelu, MultiHeadAttention, Positions};
use lepton_core::{Error, Result};
use lepton_kernels::{self as kernels, Activation, OverTime};
use std::mem::take;

/// One operation; what its fields mean is as in [`super::compile::Op`].
#[derive(Clone, Debug)]
pub(super) enum SequenceOp {
    /// The network's own codes as vectors; `ends` counts what tells where sequences end.
    Embedding {
        sizes: kernels::Embedding,
        time: usize,
        ends: Option<usize>,
        y: usize,
        weight: usize,
    },
    /// A vector for each number of a row.
    FeatureTokens {
        sizes: kernels::FeatureTokens,
        x: usize,
        y: usize,
        weight: usize,
        back: Back,
    },
    /// `table` is the parameter or the numbers that are added, the same for every row.
    Positions {
        table: Table,
        x: usize,
        y: usize,
        back: Back,
    },
    LayerNorm {
        sizes: kernels::LayerNorm,
        x: usize,
        y: usize,
        moments: usize,
        weight: usize,
        back: Back,
    },
    /// The inner part of an attention, over queries, keys and values beside each other. `mask` is a value for dropout's
    /// factors.
    Attention {
        sizes: kernels::Attention,
        name: String,
        p: f64,
        ends: Option<usize>,
        x: usize,
        y: usize,
        probabilities: usize,
        mask: Option<usize>,
        back: Back,
    },
    /// All places become one.
    Pool {
        kind: Pool,
        ends: Option<usize>,
        x: usize,
        y: usize,
        winners: usize,
        back: Back,
    },
    /// A function of single values; `slopes` is a value for its derivative.
    Function {
        function: Activation,
        x: usize,
        y: usize,
        slopes: usize,
        back: Back,
    },
    /// Inputs beside each other at each place.
    Concat {
        inputs: Vec<(usize, Back)>,
        y: usize,
    },
}

/// What is added to every row.
#[derive(Clone, Debug)]
pub(super) enum Table {
    /// A parameter, and how many of its numbers.
    Learned(usize, usize),
    Fixed(Vec<f32>),
}

/// How places become one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pool {
    Mean,
    Largest,
    Last,
}

impl SequenceOp {
    /// The value that it gives.
    pub(super) fn output(&self) -> usize {
        match self {
            SequenceOp::Embedding { y, .. }
            | SequenceOp::FeatureTokens { y, .. }
            | SequenceOp::Positions { y, .. }
            | SequenceOp::LayerNorm { y, .. }
            | SequenceOp::Attention { y, .. }
            | SequenceOp::Pool { y, .. }
            | SequenceOp::Function { y, .. }
            | SequenceOp::Concat { y, .. } => *y,
        }
    }

    /// The values that it takes, with what happens to their gradients.
    pub(super) fn inputs(&self) -> Vec<(usize, Back)> {
        match self {
            SequenceOp::Embedding { .. } => Vec::new(),
            SequenceOp::FeatureTokens { x, back, .. }
            | SequenceOp::Positions { x, back, .. }
            | SequenceOp::LayerNorm { x, back, .. }
            | SequenceOp::Attention { x, back, .. }
            | SequenceOp::Pool { x, back, .. }
            | SequenceOp::Function { x, back, .. } => vec![(*x, *back)],
            SequenceOp::Concat { inputs, .. } => inputs.clone(),
        }
    }

    /// Whether it reads its inputs on the way back.
    pub(super) fn reads_back(&self) -> bool {
        matches!(self, SequenceOp::FeatureTokens { .. } | SequenceOp::LayerNorm { .. } | SequenceOp::Attention { .. })
    }

    /// Asks for each of its inputs what happens to the gradient.
    pub(super) fn set_backs(&mut self, mut back: impl FnMut(usize) -> Back) {
        match self {
            SequenceOp::Embedding { .. } => {}
            SequenceOp::FeatureTokens { x, back: own, .. }
            | SequenceOp::Positions { x, back: own, .. }
            | SequenceOp::LayerNorm { x, back: own, .. }
            | SequenceOp::Attention { x, back: own, .. }
            | SequenceOp::Pool { x, back: own, .. }
            | SequenceOp::Function { x, back: own, .. } => *own = back(*x),
            SequenceOp::Concat { inputs, .. } => inputs.iter_mut().for_each(|(x, own)| *own = back(*x)),
        }
    }

    /// Numbers of scratch memory for so many blocks.
    pub(super) fn scratch(&self, blocks: usize, threads: usize) -> usize {
        match self {
            SequenceOp::Embedding { sizes, time, .. } => sizes.scratch(blocks, *time),
            SequenceOp::Attention { sizes, .. } => sizes.scratch(threads),
            _ => 0,
        }
    }

    pub(super) fn forward(&self, at: &mut Forward<'_>) {
        // The output is taken out while inputs are read.
        let mut to = take(&mut at.values[self.output()]);
        let Forward { workers, own, values, scratch, batch, shapes } = at;
        match self {
            SequenceOp::Embedding { sizes, time, ends, weight, .. } => {
                sizes.forward(workers, batch.codes, *time, batch.ends(*ends), own.of(*weight), &mut to);
            }
            SequenceOp::FeatureTokens { sizes, x, weight, .. } => {
                sizes.forward(workers, &values[*x], own.of(*weight), own.of(*weight + 1), &mut to);
            }
            SequenceOp::Positions { table, x, .. } => {
                let table = match table {
                    Table::Learned(parameter, used) => &own.of(*parameter)[..*used],
                    Table::Fixed(numbers) => numbers,
                };
                kernels::add_table(workers, &values[*x], table, &mut to);
            }
            SequenceOp::LayerNorm { sizes, x, moments, weight, .. } => {
                let mut kept = take(&mut values[*moments]);
                sizes.forward(workers, &values[*x], own.of(*weight), own.of(*weight + 1), &mut to, &mut kept);
                values[*moments] = kept;
            }
            SequenceOp::Attention { sizes, name, p, ends, x, probabilities, mask, .. } => {
                let mut kept = take(&mut values[*probabilities]);
                let mut dropped = mask.map(|mask| take(&mut values[mask])).unwrap_or_default();
                if let Some(mask) = mask {
                    batch.drop_some(workers, shapes[*mask], name, *p, &mut dropped);
                }
                let factors = mask.is_some().then_some(&mut dropped[..]);
                let ends = batch.ends(*ends);
                sizes.forward(workers, &values[*x], ends, factors, &mut kept, scratch, &mut to);
                values[*probabilities] = kept;
                if let Some(mask) = mask {
                    values[*mask] = dropped;
                }
            }
            SequenceOp::Pool { kind, ends, x, winners, .. } => {
                let sizes = over_time(shapes[*x], batch, *ends);
                match kind {
                    Pool::Mean => sizes.mean(workers, &values[*x], &mut to),
                    Pool::Last => sizes.last(workers, &values[*x], &mut to),
                    Pool::Largest => {
                        let mut who = take(&mut values[*winners]);
                        sizes.largest(workers, &values[*x], &mut to, &mut who);
                        values[*winners] = who;
                    }
                }
            }
            SequenceOp::Function { function, x, slopes, .. } => {
                let mut kept = take(&mut values[*slopes]);
                function.forward(workers, &values[*x], &mut to, &mut kept);
                values[*slopes] = kept;
            }
            SequenceOp::Concat { inputs, y } => {
                let (mut first, all) = (0, shapes[*y].channels);
                for (x, _) in inputs {
                    let own = shapes[*x].channels;
                    kernels::copy_part(workers, &values[*x], [own, all], [0, first], own, false, &mut to);
                    first += own;
                }
            }
        }
        at.values[self.output()] = to;
    }

    pub(super) fn backward(&self, at: &mut Backward<'_>) -> Result<()> {
        let Backward { workers, own, values, slopes, gradients, ranges, scratch, batch, shapes } = at;
        match self {
            SequenceOp::Embedding { sizes, time, ends, y, weight } => {
                let dw = &mut gradients[ranges[*weight].clone()];
                sizes.backward(workers, batch.codes, *time, batch.ends(*ends), &slopes[*y], scratch, dw);
            }
            SequenceOp::FeatureTokens { sizes, x, y, weight, back } => {
                let (dw, db) = pair(gradients, ranges, *weight, Some(*weight + 1));
                let (dy, dx) = two(slopes, *y, *x)?;
                let add = *back == Back::Add;
                sizes.backward(workers, &values[*x], own.of(*weight), dy, dw, db.unwrap_or_default(), add, dx);
            }
            SequenceOp::Positions { table, x, y, back } => {
                if let Table::Learned(parameter, used) = table {
                    let (used, rest) = gradients[ranges[*parameter].clone()].split_at_mut(*used);
                    kernels::channel_sums(workers, &slopes[*y], used);
                    rest.fill(0.0);
                }
                if *back != Back::None {
                    let (dy, dx) = two(slopes, *y, *x)?;
                    put(workers, dy, *back, dx);
                }
            }
            SequenceOp::LayerNorm { sizes, x, y, moments, weight, back } => {
                let (dw, db) = pair(gradients, ranges, *weight, Some(*weight + 1));
                let db = db.unwrap_or_default();
                // Of the network's input there is no gradient: an empty one is not written.
                let (dy, dx) = two(slopes, *y, *x)?;
                let (x, moments, add) = (&values[*x], &values[*moments], *back == Back::Add);
                sizes.backward(workers, x, moments, own.of(*weight), dy, dw, db, add, dx);
            }
            SequenceOp::Attention { sizes, ends, x, y, probabilities, mask, .. } => {
                let mut kept = take(&mut values[*probabilities]);
                let mut weights = mask.map(|mask| take(&mut values[mask])).unwrap_or_default();
                let factors = mask.is_some().then_some(&mut weights[..]);
                // Only the projections' own gradient is written, and nobody else sees them.
                let (dy, dx) = two(slopes, *y, *x)?;
                let ends = batch.ends(*ends);
                sizes.backward(workers, &values[*x], ends, factors, &mut kept, dy, scratch, dx);
                values[*probabilities] = kept;
                if let Some(mask) = mask {
                    values[*mask] = weights;
                }
            }
            SequenceOp::Pool { kind, ends, x, y, winners, back } if *back != Back::None => {
                let sizes = over_time(shapes[*x], batch, *ends);
                let (dy, dx) = two(slopes, *y, *x)?;
                let add = *back == Back::Add;
                match kind {
                    Pool::Mean => sizes.mean_backward(workers, dy, add, dx),
                    Pool::Last => sizes.last_backward(workers, dy, add, dx),
                    Pool::Largest => sizes.largest_backward(workers, dy, &values[*winners], add, dx),
                }
            }
            SequenceOp::Function { x, y, slopes: derivative, back, .. } if *back != Back::None => {
                let (dy, dx) = two(slopes, *y, *x)?;
                kernels::product_of(workers, dy, &values[*derivative], *back == Back::Add, dx);
            }
            SequenceOp::Concat { inputs, y } => {
                let (mut first, all) = (0, shapes[*y].channels);
                for (x, back) in inputs {
                    let own = shapes[*x].channels;
                    if *back != Back::None {
                        let (dy, dx) = two(slopes, *y, *x)?;
                        kernels::copy_part(workers, dy, [all, own], [first, 0], own, *back == Back::Add, dx);
                    }
                    first += own;
                }
            }
            SequenceOp::Pool { .. } | SequenceOp::Function { .. } => {}
        }
        Ok(())
    }
}

fn over_time<'a>(value: Value, batch: &Batch<'a>, ends: Option<usize>) -> OverTime<'a> {
    OverTime { time: value.places, channels: value.channels, lengths: batch.ends(ends) }
}

impl Compiler<'_> {
    /// As [`Compiler::node`], for layers of sequences and functions of single values; nothing for others.
    pub(super) fn sequence_node(
        &mut self,
        node: &PlannedNode,
        inputs: &[usize],
        parameter: usize,
        frozen: bool,
    ) -> Result<Option<usize>> {
        let (x, back) = (inputs[0], Back::None);
        if let Some(function) = function(&node.layer) {
            if self.fuse_function(node.inputs[0], x, function) {
                return Ok(Some(x));
            }
            let y = self.like(x);
            let slopes = self.like(x);
            return Ok(Some(self.push(SequenceOp::Function { function, x, y, slopes, back })));
        }
        let op = match (&node.layer, &node.input_shape[..]) {
            (Layer::Embedding(Embedding { vocabulary, dimensions, padding }), [time]) if self.takes_codes() => {
                let ends = padding.map(|code| self.ends_at(code as i64));
                let y = self.add_sequence(*time, *dimensions);
                let sizes = kernels::Embedding { vocabulary: *vocabulary, dimensions: *dimensions };
                SequenceOp::Embedding { sizes, time: *time, ends, y, weight: parameter }
            }
            (Layer::FeatureTokens(settings), [features]) => {
                let y = self.add_sequence(*features, settings.dimensions);
                let sizes = kernels::FeatureTokens { features: *features, dimensions: settings.dimensions };
                SequenceOp::FeatureTokens { sizes, x, y, weight: parameter, back }
            }
            (Layer::Positions(Positions { encoding }), [time, features]) => {
                let y = self.like(x);
                let table = match encoding {
                    PositionKind::Learned => Table::Learned(parameter, time * features),
                    PositionKind::Sinusoidal => Table::Fixed(Positions::waves(*time, *features)),
                };
                SequenceOp::Positions { table, x, y, back }
            }
            (Layer::LayerNorm(LayerNorm { epsilon }), [.., features]) => {
                let y = self.like(x);
                let places = node.input_shape.iter().product::<usize>() / features;
                let moments = self.add_sequence(places, 2);
                let sizes = kernels::LayerNorm { features: *features, epsilon: *epsilon as f32 };
                SequenceOp::LayerNorm { sizes, x, y, moments, weight: parameter, back }
            }
            (Layer::MultiHeadAttention(settings), [time, features]) if inputs.len() == 1 => {
                return self.attention(node, settings, [*time, *features], x, parameter, frozen).map(Some);
            }
            (Layer::GlobalAvgPool, [_, features]) => self.pool(node, Pool::Mean, x, *features)?,
            (Layer::GlobalMaxPool, [_, features]) => self.pool(node, Pool::Largest, x, *features)?,
            (Layer::GlobalMaxPool, [channels, _, _]) => self.pool(node, Pool::Largest, x, *channels)?,
            (Layer::LastStep, [_, features]) => self.pool(node, Pool::Last, x, *features)?,
            (Layer::Concat(concat), shape) if concat.axis == usize::from(shape.len() == 2) => {
                let channels = inputs.iter().map(|x| self.shape(*x).channels).sum();
                let Value { places, by_place, .. } = self.shape(x);
                let y = if by_place { self.add_sequence(places, channels) } else { self.add(channels, places) };
                SequenceOp::Concat { inputs: inputs.iter().map(|x| (*x, back)).collect(), y }
            }
            _ => return Ok(None),
        };
        Ok(Some(self.push(op)))
    }

    /// A projection, the attention itself, and a projection.
    fn attention(
        &mut self,
        node: &PlannedNode,
        settings: &MultiHeadAttention,
        [time, features]: [usize; 2],
        x: usize,
        parameter: usize,
        frozen: bool,
    ) -> Result<usize> {
        let MultiHeadAttention { heads, causal, dropout } = *settings;
        let projected = self.linear(x, [features, 3 * features], time, true, parameter, Some(parameter + 1));
        let sizes = kernels::Attention { heads, features, time, causal };
        let y = self.add_sequence(time, features);
        // Rows of the mask lie as `[heads, time, time]`.
        let probabilities = self.add_sequence(1, sizes.probabilities(1) / kernels::LANES);
        let mask = (dropout > 0.0 && !frozen).then(|| self.add_sequence(heads * time, time));
        let (name, ends) = (node.name.clone(), self.ends(node)?);
        let (p, back) = (dropout, Back::None);
        let op = SequenceOp::Attention { sizes, name, p, ends, x: projected, y, probabilities, mask, back };
        let joined = self.push(op);
        Ok(self.linear(joined, [features, features], time, true, parameter + 2, Some(parameter + 3)))
    }

    fn pool(&mut self, node: &PlannedNode, kind: Pool, x: usize, channels: usize) -> Result<SequenceOp> {
        let ends = self.ends(node)?;
        let y = self.add(channels, 1);
        let winners = self.like(y);
        Ok(SequenceOp::Pool { kind, ends, x, y, winners, back: Back::None })
    }

    /// What tells where the sequences of a node's input end.
    pub(super) fn ends(&self, node: &PlannedNode) -> Result<Option<usize>> {
        let Some(maker) = node.lengths.first().copied().flatten() else { return Ok(None) };
        match self.makers.iter().find(|(node, _)| *node == maker) {
            Some((_, ends)) => Ok(Some(*ends)),
            None => Err(Error::internal("sequences end where nothing tells it")),
        }
    }
}

/// The convolution over time as one over pictures of one row, of one group.
pub(super) fn conv(node: &PlannedNode, settings: &Conv1d) -> Result<kernels::Conv> {
    let Conv1d { out_channels, kernel, stride, padding, dilation, .. } = *settings;
    let ([time, channels], [windows, _]) = (&node.input_shape[..], &node.shape[..]) else {
        return Err(Error::internal("no sequence in front of a window"));
    };
    let [before, _] = padding.edges(*time, kernel, stride, dilation);
    Ok(kernels::Conv {
        channels: *channels,
        sides: [1, *time],
        out_channels,
        kernel: [1, kernel],
        stride: [1, stride],
        dilation: [1, dilation],
        before: [0, before],
        out_sides: [1, *windows],
    })
}

/// The kernel of a function of single values. Max(x, 0) has its own, which keeps nothing.
fn function(layer: &Layer) -> Option<Activation> {
    Some(match layer {
        Layer::Relu6 => Activation::Relu6,
        Layer::Gelu => Activation::Gelu,
        Layer::Silu => Activation::Silu,
        Layer::Sigmoid => Activation::Sigmoid,
        Layer::HardSigmoid => Activation::HardSigmoid,
        Layer::HardSwish => Activation::HardSwish,
        Layer::Tanh => Activation::Tanh,
        Layer::Mish => Activation::Mish,
        Layer::Softplus => Activation::Softplus,
        Layer::LeakyRelu(LeakyRelu { slope }) => Activation::LeakyRelu { slope: *slope as f32 },
        Layer::Elu(Elu { alpha }) => Activation::Elu { alpha: *alpha as f32, scale: 1.0 },
        Layer::Selu => Activation::Elu { alpha: 1.673_263_2, scale: 1.050_701 },
        _ => return None,
    })
}
