//! The forward and the backward pass of a planned step.

use super::Planned;
use super::compile::{Back, Op, Value};
use super::late::Late;
use super::memory::{Buffer, Buffers, claim, release};
use super::program::Program;
use crate::initialize::unit;
use lepton_core::{DType, Error, Result, Seed, Tensor};
use lepton_kernels::{self as kernels, LANES, Moments, Workers, blocks};
use std::mem::take;
use std::ops::Range;

/// The parameters of the plan.
#[derive(Clone, Copy)]
pub(super) struct Own<'a> {
    arena: &'a [f32],
    ranges: &'a [Range<usize>],
}

impl<'a> Own<'a> {
    pub(super) fn of(self, parameter: usize) -> &'a [f32] {
        &self.arena[self.ranges[parameter].clone()]
    }
}

/// The rows of a step.
#[derive(Clone, Copy)]
pub(super) struct Batch<'a> {
    pub(super) rows: usize,
    pub(super) codes: &'a [i64],
    lengths: &'a [Vec<f32>],
    seed: Seed,
    step: u64,
}

impl<'a> Batch<'a> {
    /// Where sequences end, by which of the program's ways.
    pub(super) fn ends(&self, ends: Option<usize>) -> Option<&'a [f32]> {
        ends.map(|ends| &self.lengths[ends][..])
    }

    /// What dropout multiplies a value of that shape by: the numbers of the step on Burn, in its order.
    pub(super) fn drop_some(&self, workers: &Workers, shape: Value, name: &str, p: f64, to: &mut [f32]) {
        let first = self.seed.rng(&format!("dropout {name}"), &[self.step]);
        let (p, keep) = (p as f32, (1.0 / (1.0 - p)) as f32);
        let mut drawn = vec![0.0; self.rows * shape.size()];
        kernels::in_parts(workers, &mut drawn, 1, |start, part| {
            // Each number is one word of the stream.
            let mut rng = first.clone();
            rng.set_word_pos(start as u128);
            part.iter_mut().for_each(|value| *value = if unit(&mut rng) < p { 0.0 } else { keep });
        });
        shape.fill(workers, &drawn, to);
    }
}

/// What operations work on on the way forward.
pub(super) struct Forward<'a> {
    pub(super) workers: &'a Workers,
    pub(super) own: Own<'a>,
    pub(super) values: &'a mut [Buffer],
    pub(super) scratch: &'a mut [f32],
    pub(super) batch: Batch<'a>,
    /// The shape of each value.
    pub(super) shapes: &'a [Value],
}

/// What they work on on the way back.
pub(super) struct Backward<'a> {
    pub(super) workers: &'a Workers,
    pub(super) own: Own<'a>,
    pub(super) values: &'a mut [Buffer],
    pub(super) slopes: &'a mut [Buffer],
    pub(super) gradients: &'a mut [f32],
    pub(super) ranges: &'a [Range<usize>],
    pub(super) scratch: &'a mut [f32],
    pub(super) batch: Batch<'a>,
    pub(super) shapes: &'a [Value],
}

impl Program {
    /// Number, node and places of each batch norm.
    pub(super) fn norms(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        self.ops.iter().filter_map(|op| match op {
            Op::Norm { norm, node, value, .. } => Some((*norm, *node, value.places)),
            _ => None,
        })
    }
}

/// The batch norm of an operation for that batch.
fn norm(value: Value, settings: &crate::BatchNorm, most: Option<f32>, rows: usize) -> kernels::BatchNorm {
    let Value { channels, places, .. } = value;
    kernels::BatchNorm { channels, places, rows, epsilon: settings.epsilon as f32, most }
}

impl Planned {
    /// Fills all values from `input`, `[rows, ..]`. `step` counts finished steps.
    pub(super) fn forward(&mut self, input: &Tensor, seed: Seed, step: u64) -> Result<()> {
        let Planned { workers, programs, time, ranges, arena, buffers, .. } = self;
        let program = programs.get(time).ok_or_else(|| Error::internal("no program for this batch"))?;
        let rows = input.rows();
        let own = |parameter: usize| &arena[ranges[parameter].clone()];
        buffers.reserve(program, blocks(rows), workers.threads());
        match input.dtype() {
            DType::Int64 => buffers.take_codes(program, input.as_int64()?, rows, *time),
            _ => program.values[0].fill(workers, input.as_float32()?, &mut buffers.values[0]),
        }
        let Buffers { codes, lengths, .. } = &mut *buffers;
        let (codes, lengths) = (take(codes), take(lengths));
        let batch = Batch { rows, codes: &codes, lengths: &lengths, seed, step };
        for (at, op) in program.ops.iter().enumerate() {
            let Buffers { values, free, packed, moments: seen, recurrent, scratch, .. } = &mut *buffers;
            let y = op.output();
            // A network that only answers leaves its last output, and so does a step that ends with an error.
            release(free, &mut values[y]);
            values[y] = claim(free, blocks(rows) * program.values[y].size() * LANES);
            // The output is taken out while inputs are read.
            match op {
                Op::Conv { sizes, x, y, weight, bias, relu, .. } => {
                    let mut to = take(&mut values[*y]);
                    sizes.pack_forward(workers, own(*weight), packed);
                    sizes.forward(workers, &values[*x], packed, bias.map(own), *relu, &mut to);
                    values[*y] = to;
                }
                Op::PooledConv { sizes, x, y, winners, weight, bias, .. } => {
                    let (mut to, mut who) = (take(&mut values[*y]), take(&mut values[*winners]));
                    sizes.pack_forward(workers, own(*weight), packed);
                    sizes.forward(workers, &values[*x], packed, bias.map(own), &mut to, &mut who);
                    (values[*y], values[*winners]) = (to, who);
                }
                Op::Linear { sizes, function, x, y, weight, bias, relu, .. } => {
                    let mut to = take(&mut values[*y]);
                    let (weight, bias) = (own(*weight), bias.map(own));
                    match function {
                        None => sizes.forward(workers, &values[*x], weight, bias, *relu, &mut to),
                        Some((function, slopes)) => {
                            let mut kept = take(&mut values[*slopes]);
                            let from = &values[*x];
                            sizes.forward_active(workers, from, weight, bias, *function, &mut to, &mut kept);
                            values[*slopes] = kept;
                        }
                    }
                    values[*y] = to;
                }
                Op::Norm { norm: index, settings, fixed, value, x, y, weight, most, .. } => {
                    let mut to = take(&mut values[*y]);
                    let sizes = norm(*value, settings, *most, rows);
                    let moments = match fixed {
                        true => Moments { mean: own(*weight + 2).to_vec(), variance: own(*weight + 3).to_vec() },
                        false => sizes.moments(workers, &values[*x]),
                    };
                    sizes.forward(workers, &values[*x], &moments, own(*weight), own(*weight + 1), &mut to);
                    seen[*index] = moments;
                    values[*y] = to;
                }
                Op::MaxPool { sizes, x, y, winners, .. } => {
                    let (mut to, mut who) = (take(&mut values[*y]), take(&mut values[*winners]));
                    sizes.forward(workers, &values[*x], &mut to, &mut who);
                    (values[*y], values[*winners]) = (to, who);
                }
                Op::Mean { x, y, .. } => {
                    let mut to = take(&mut values[*y]);
                    let from = program.values[*x];
                    kernels::global_mean(workers, &values[*x], from.places, from.channels, &mut to);
                    values[*y] = to;
                }
                Op::Flatten { x, y, .. } => {
                    let mut to = take(&mut values[*y]);
                    let from = program.values[*x];
                    kernels::flatten(workers, &values[*x], from.channels, from.places, &mut to);
                    values[*y] = to;
                }
                Op::Relu { x, y, .. } => {
                    let mut to = take(&mut values[*y]);
                    kernels::relu(workers, &values[*x], &mut to);
                    values[*y] = to;
                }
                Op::Sum { a, b, y, relu, .. } => {
                    let mut to = take(&mut values[*y]);
                    kernels::sum_of(workers, &values[*a], &values[*b], *relu, &mut to);
                    values[*y] = to;
                }
                Op::Dropout { name, p, x, y, mask, .. } => {
                    let (mut to, mut kept) = (take(&mut values[*y]), take(&mut values[*mask]));
                    let from = program.values[*x];
                    batch.drop_some(workers, from, name, *p, &mut kept);
                    kernels::product_of(workers, &values[*x], &kept, false, &mut to);
                    (values[*y], values[*mask]) = (to, kept);
                }
                Op::Recurrent(layer) => {
                    let own = Own { arena, ranges };
                    let (scratch, shapes) = (&mut scratch[..], &program.values[..]);
                    let mut forward = Forward { workers, own, values, scratch, batch, shapes };
                    layer.forward(&mut forward, recurrent);
                }
                Op::Picture(_) | Op::Sequence(_) => {
                    let own = Own { arena, ranges };
                    let (scratch, shapes) = (&mut scratch[..], &program.values[..]);
                    let mut forward = Forward { workers, own, values, scratch, batch, shapes };
                    match op {
                        Op::Picture(op) => op.forward(&mut forward),
                        Op::Sequence(op) => op.forward(&mut forward),
                        _ => {}
                    }
                }
            }
            for value in &program.done[at] {
                release(free, &mut values[*value]);
            }
        }
        (buffers.codes, buffers.lengths) = (codes, lengths);
        Ok(())
    }

    /// Fills all gradients from that of the outputs.
    pub(super) fn backward(&mut self, rows: usize) -> Result<()> {
        let Planned { workers, programs, time, ranges, arena, gradients, buffers, may_wait, late, .. } = self;
        late.clear();
        let program = programs.get(time).ok_or_else(|| Error::internal("no program for this batch"))?;
        let own = |parameter: usize| &arena[ranges[parameter].clone()];
        let Buffers { values, slopes, free, packed, scratch, moments, recurrent, codes, lengths, .. } = buffers;
        // Nothing is drawn on the way back.
        let batch = Batch { rows, codes, lengths, seed: Seed(0), step: 0 };
        let count = |value: usize| blocks(rows) * program.values[value].size() * LANES;
        for op in program.ops.iter().rev() {
            for (input, back) in op.inputs() {
                if back == Back::Put {
                    slopes[input] = claim(free, count(input));
                }
            }
            // The gradient of the output is taken out while those of inputs are written.
            match op {
                Op::Conv { sizes, x, y, weight, bias, relu, back } => {
                    let mut dy = take(&mut slopes[*y]);
                    let (dw, db) = pair(gradients, ranges, *weight, *bias);
                    let masked = (*relu && !program.masked[*y]).then_some(&values[*y][..]);
                    sizes.backward_weights(workers, &values[*x], masked, &mut dy, scratch, dw, db);
                    if *back != Back::None {
                        sizes.pack_backward(workers, own(*weight), packed);
                        let dx = &mut slopes[*x];
                        sizes.backward_input(workers, &dy, packed, *back == Back::Add, dx);
                    }
                    slopes[*y] = dy;
                }
                Op::PooledConv { sizes, x, hidden, y, winners, weight, bias, back } => {
                    let mut dy = take(&mut slopes[*y]);
                    let (dw, db) = pair(gradients, ranges, *weight, *bias);
                    let (above, winners) = (&values[*y], &values[*winners]);
                    sizes.backward_weights(workers, &values[*x], above, winners, &dy, scratch, dw, db);
                    if *back != Back::None {
                        kernels::mask_relu(workers, above, &mut dy);
                        let mut spread = claim(free, count(*hidden));
                        sizes.pool().backward(workers, &dy, winners, false, &mut spread);
                        sizes.conv().pack_backward(workers, own(*weight), packed);
                        let dx = &mut slopes[*x];
                        sizes.conv().backward_input(workers, &spread, packed, *back == Back::Add, dx);
                        release(free, &mut spread);
                    }
                    slopes[*y] = dy;
                }
                Op::Linear { sizes, function, x, y, weight, bias, relu, back, .. } => {
                    let mut dy = take(&mut slopes[*y]);
                    if let Some((_, derivative)) = function {
                        kernels::scale_by(workers, &values[*derivative], &mut dy);
                    }
                    if *relu && !program.masked[*y] {
                        kernels::mask_relu(workers, &values[*y], &mut dy);
                    }
                    let (dw, db) = pair(gradients, ranges, *weight, *bias);
                    let waits = *may_wait && sizes.updates_at_once(blocks(rows));
                    match (waits, db) {
                        (false, db) => sizes.backward_weights(workers, &values[*x], &dy, dw, db),
                        (true, Some(db)) => sizes.backward_bias(workers, &dy, db),
                        (true, None) => {}
                    }
                    if *back != Back::None {
                        let mask = program.masked[*x].then_some(&values[*x][..]);
                        sizes.backward_input(workers, &dy, own(*weight), mask, *back == Back::Add, &mut slopes[*x]);
                    }
                    match waits {
                        true => late.push(Late { sizes: *sizes, x: *x, weight: *weight, dy }),
                        false => slopes[*y] = dy,
                    }
                }
                Op::Norm { norm: index, settings, value, x, y, weight, most, back, .. } => {
                    let dy = take(&mut slopes[*y]);
                    let sizes = norm(*value, settings, *most, rows);
                    let (dw, db) = pair(gradients, ranges, *weight, Some(*weight + 1));
                    let db = db.unwrap_or_default();
                    let mut dx = take(&mut slopes[*x]);
                    let add = *back == Back::Add;
                    // Of the network's input there is no gradient: an empty one is not written.
                    let (weight, bias) = (own(*weight), own(*weight + 1));
                    sizes.backward(workers, &values[*x], &moments[*index], weight, bias, &dy, dw, db, add, &mut dx);
                    (slopes[*x], slopes[*y]) = (dx, dy);
                }
                Op::MaxPool { sizes, x, y, winners, back } if *back != Back::None => {
                    let (dy, dx) = two(slopes, *y, *x)?;
                    sizes.backward(workers, dy, &values[*winners], *back == Back::Add, dx);
                }
                Op::Mean { x, y, back } if *back != Back::None => {
                    let (dy, dx) = two(slopes, *y, *x)?;
                    let from = program.values[*x];
                    kernels::global_mean_backward(workers, dy, from.places, from.channels, *back == Back::Add, dx);
                }
                Op::Flatten { x, y, back } if *back != Back::None => {
                    let (dy, dx) = two(slopes, *y, *x)?;
                    let from = program.values[*x];
                    kernels::unflatten(workers, dy, from.channels, from.places, *back == Back::Add, dx);
                }
                Op::Relu { x, y, back } if *back != Back::None => {
                    let (dy, dx) = two(slopes, *y, *x)?;
                    kernels::mask_relu(workers, &values[*y], dy);
                    put(workers, dy, *back, dx);
                }
                Op::Sum { a, b, y, relu, backs } => {
                    let mut dy = take(&mut slopes[*y]);
                    if *relu {
                        kernels::mask_relu(workers, &values[*y], &mut dy);
                    }
                    // The last that it is put into takes it over as it is.
                    let heir = [*b, *a].into_iter().zip([backs[1], backs[0]]).find(|(_, back)| *back == Back::Put);
                    let heir = heir.map(|(input, _)| input).filter(|_| a != b);
                    for (input, back) in [*a, *b].into_iter().zip(backs) {
                        if heir != Some(input) {
                            put(workers, &dy, *back, &mut slopes[input]);
                        }
                    }
                    slopes[*y] = dy;
                    if let Some(input) = heir {
                        slopes.swap(input, *y);
                    }
                }
                Op::Dropout { x, y, mask, back, .. } if *back != Back::None => {
                    let (dy, dx) = two(slopes, *y, *x)?;
                    kernels::product_of(workers, dy, &values[*mask], *back == Back::Add, dx);
                }
                Op::Picture(_) | Op::Sequence(_) | Op::Recurrent(_) => {
                    let (own, shapes) = (Own { arena, ranges }, &program.values[..]);
                    let mut backward =
                        Backward { workers, own, values, slopes, gradients, ranges, scratch, batch, shapes };
                    match op {
                        Op::Picture(op) => op.backward(&mut backward)?,
                        Op::Sequence(op) => op.backward(&mut backward)?,
                        Op::Recurrent(layer) => layer.backward(&mut backward, recurrent)?,
                        _ => {}
                    }
                }
                Op::MaxPool { .. } | Op::Mean { .. } | Op::Flatten { .. } | Op::Relu { .. } | Op::Dropout { .. } => {}
            }
            // Nobody asks for them any more.
            release(free, &mut slopes[op.output()]);
            if late.iter().all(|late| late.x != op.output()) {
                release(free, &mut values[op.output()]);
            }
        }
        Ok(())
    }
}

/// A gradient as it is, put into that of an input or added to it.
pub(super) fn put(workers: &Workers, dy: &[f32], back: Back, dx: &mut [f32]) {
    match back {
        Back::None => {}
        Back::Put => dx.copy_from_slice(dy),
        Back::Add => kernels::add(workers, dy, dx),
    }
}

/// Two of the gradients.
pub(super) fn two(slopes: &mut [Buffer], y: usize, x: usize) -> Result<(&mut [f32], &mut [f32])> {
    let both = slopes.get_disjoint_mut([y, x]);
    let [dy, dx] = both.map_err(|_| Error::internal("an operation gives what it takes"))?;
    Ok((&mut dy[..], &mut dx[..]))
}

/// The places of the gradients of a weight and its bias.
pub(super) fn pair<'a>(
    gradients: &'a mut [f32],
    ranges: &[Range<usize>],
    weight: usize,
    bias: Option<usize>,
) -> (&'a mut [f32], Option<&'a mut [f32]>) {
    let range = ranges[weight].clone();
    let Some(bias) = bias.map(|bias| ranges[bias].clone()) else { return (&mut gradients[range], None) };
    // A bias lies behind its weight.
    let (front, behind) = gradients.split_at_mut(bias.start);
    (&mut front[range], Some(&mut behind[..bias.len()]))
}
