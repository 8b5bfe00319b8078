//! The planned step: a network whose layers all have a kernel, compiled into a fixed list of fused operations over buffers
//! that stay, with all parameters in one arena. It computes what the step on Burn computes, to rounding. Sequences of
//! another length have a list of their own, over the same buffers.

mod compile;
mod late;
mod loss;
mod memory;
mod pass;
mod picture;
mod program;
mod recurrent;
mod sequence;

use crate::forward::BatchStatistics;
use crate::network::{Network, Parameter};
use crate::trainer::{diverged, mix_statistics};
use crate::{Loss, OptimizerSettings, StepOutcome, StepRows, UpdateSettings, trim};
use compile::Op;
use late::Late;
use lepton_core::{DType, Error, ErrorCode, Result, Tensor};
use lepton_kernels::{Level, Moments, Precision, Workers};
use memory::Buffers;
use program::Program;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// How a training step is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// As a planned step where every layer has a kernel, else on Burn.
    #[default]
    Auto,
    /// As a planned step, or not at all.
    Planned,
    /// On Burn.
    Burn,
}

/// Parameters begin at multiples of so many numbers.
const ALIGNED: usize = 16;

/// What does not change from step to step.
pub(crate) struct Rules<'a> {
    pub(crate) network: &'a Network,
    pub(crate) loss: &'a Loss,
    pub(crate) settings: &'a OptimizerSettings,
    pub(crate) update: &'a UpdateSettings,
}

/// A network in training.
pub(crate) struct Planned {
    workers: Workers,
    /// By the first side of the input, which is the time of sequences.
    programs: BTreeMap<usize, Program>,
    /// That of the batch.
    time: usize,
    /// Nodes that compute as in inference; nothing where all do.
    frozen: Option<Vec<bool>>,
    /// Where each parameter of the plan lies in every arena: first those that are trained, then running statistics.
    ranges: Vec<Range<usize>>,
    /// Of parameters that lie in another order than the network's, as [`Program::turned`] has them, the sides that are turned.
    turned: BTreeMap<usize, [usize; 2]>,
    /// The end of those that are trained.
    trained: usize,
    arena: Vec<f32>,
    gradients: Vec<f32>,
    moments: Vec<Vec<f32>>,
    pending: Vec<f32>,
    averages: Vec<f32>,
    buffers: Buffers,
    /// Whether nothing asks for gradients but the optimiser's step.
    may_wait: bool,
    /// Dense layers whose gradients wait.
    late: Vec<Late>,
}

impl Planned {
    /// The compiled network.
    ///
    /// # Errors
    /// [`lepton_core::ErrorCode::Unsupported`] with the first layer that has no kernel.
    pub(crate) fn new(
        network: &Network,
        frozen: &[bool],
        settings: &OptimizerSettings,
        update: &UpdateSettings,
        precision: Precision,
    ) -> Result<Planned> {
        let mut planned = Planned::of(network, Some(frozen), precision)?;
        let zeros = |is_kept: bool| if is_kept { vec![0.0; planned.trained] } else { Vec::new() };
        let (gradients, pending) = (zeros(true), zeros(update.accumulate > 1));
        planned.moments = settings.buffers().iter().map(|_| zeros(true)).collect();
        planned.averages = if update.average.is_some() { planned.arena.clone() } else { Vec::new() };
        (planned.gradients, planned.pending) = (gradients, pending);
        planned.may_wait = update.clip_norm.is_none() && update.accumulate == 1 && update.l1 == 0.0;
        Ok(planned)
    }

    /// A network that only answers.
    ///
    /// # Errors
    /// Those of [`Planned::new`].
    pub(crate) fn answering(network: &Network) -> Result<Planned> {
        Planned::of(network, None, Precision::Float32)
    }

    /// The compiled network without what only training needs.
    fn of(network: &Network, frozen: Option<&[bool]>, precision: Precision) -> Result<Planned> {
        let program = compile::compile(&network.plan, frozen)?;
        let threads = network.threads().map_or_else(rayon::current_num_threads, |pool| pool.current_num_threads());
        let mut ranges = vec![0..0; network.parameters.len()];
        let mut end = 0;
        let mut place = |trained: bool| {
            for (range, parameter) in ranges.iter_mut().zip(&network.parameters) {
                if parameter.spec.trained == trained {
                    *range = end..end + parameter.spec.len();
                    end = range.end.next_multiple_of(ALIGNED);
                }
            }
            end
        };
        let (trained, all) = (place(true), place(false));
        let mut arena = vec![0.0; all];
        let turned: BTreeMap<usize, [usize; 2]> = program.turned.iter().copied().collect();
        for (at, (range, parameter)) in ranges.iter().zip(&network.parameters).enumerate() {
            arena[range.clone()].copy_from_slice(&inwards(&turned, at, &parameter.to_host()?));
        }
        Ok(Planned {
            workers: Workers::new(threads, Level::detect())?.with_precision(precision),
            buffers: Buffers::new(&program),
            time: network.plan.input_shape[0],
            programs: BTreeMap::from([(network.plan.input_shape[0], program)]),
            frozen: frozen.map(<[bool]>::to_vec),
            turned,
            trained,
            gradients: Vec::new(),
            moments: Vec::new(),
            pending: Vec::new(),
            averages: Vec::new(),
            may_wait: false,
            late: Vec::new(),
            ranges,
            arena,
        })
    }

    /// What computes, `lepton-kernels planned step (cpu, avx2)`.
    pub(crate) fn backend(&self) -> String {
        let level = self.workers.level();
        let precision = match (self.workers.precision(), level.has_bf16()) {
            (Precision::Float32, _) => "",
            (Precision::Bf16, true) => ", bf16",
            (Precision::Bf16, false) => ", bf16 computed by f32 instructions",
        };
        format!("lepton-kernels planned step (cpu, {}{precision})", level.name())
    }

    /// The precision of products.
    pub(crate) fn precision(&self) -> Precision {
        self.workers.precision()
    }

    /// One step; `step` is its number, from 0.
    pub(crate) fn step(&mut self, rules: &Rules<'_>, rows: &StepRows<'_>, step: u64, rate: f64) -> Result<StepOutcome> {
        let Rules { network, loss, .. } = *rules;
        let count = rows.input.rows();
        self.choose(network, rows.input)?;
        self.forward(rows.input, network.seed, step)?;
        let outputs = self.outputs(count)?;
        let loss = self.evaluate(loss, rows, &outputs)?;
        let (_, finite) = lepton_kernels::squares(&self.workers, outputs.as_float32()?);
        if !loss.is_finite() || !finite {
            return Err(diverged(format!("the loss became {loss}"), step));
        }
        self.backward(count)?;
        self.compute_doubtful();
        let (squares, finite) = self.squares();
        if !finite {
            let bad = |at: usize| !self.gradients[self.ranges[at].clone()].iter().all(|value| value.is_finite());
            let waits = |at: usize| self.late.iter().any(|late| late.weight == at);
            let mut names = network.parameters.iter().map(|parameter| &parameter.spec).enumerate();
            let name = names.find(|(at, spec)| spec.trained && !waits(*at) && bad(*at));
            let name = name.map_or("", |(_, spec)| &spec.name);
            return Err(diverged(format!("the gradient of \"{name}\" is not finite"), step));
        }
        for seen in self.statistics(count)? {
            let first: usize = network.plan.nodes[..seen.node].iter().map(|node| node.parameters.len()).sum();
            let [mean, variance] = [first + 2, first + 3].map(|index| self.ranges[index].clone());
            mix_statistics(&network.plan, &seen, |place, new, keep, add| {
                let running = &mut self.arena[if place == 0 { mean.clone() } else { variance.clone() }];
                running.iter_mut().zip(new).for_each(|(running, new)| *running = keep * *running + add * new);
                Ok(())
            })?;
        }
        self.apply(rules, squares, step + 1, rate);
        Ok(StepOutcome { loss, outputs, hidden_loss: 0.0 })
    }

    /// The outputs of a batch, `[rows, width]`, of a network that only answers.
    pub(crate) fn answer(&mut self, network: &Network, input: &Tensor) -> Result<Tensor> {
        network.check_fits(input)?;
        self.choose(network, input)?;
        self.forward(input, network.seed, 0)?;
        self.outputs(input.rows())
    }

    /// Turns to the program for a batch, without the padding that ends all of its rows, and makes it where such a batch comes
    /// for the first time.
    fn choose(&mut self, network: &Network, input: &Tensor) -> Result<()> {
        let plan = &network.plan;
        self.time = match plan.trims {
            Some(padding) => trim::places(input.as_int64()?, input.row_len(), padding),
            None => input.shape()[1],
        };
        if input.dtype() == DType::Int64 {
            self.check_codes(input.as_int64()?)?;
        }
        if self.programs.contains_key(&self.time) {
            return Ok(());
        }
        let mut architecture = network.architecture().clone();
        architecture.input.shape[0] = self.time;
        let program = compile::compile(&architecture.plan()?, self.frozen.as_deref())?;
        let places = program.ops.iter().filter_map(Op::positions);
        for (parameter, size) in places {
            let (time, known) = (self.time, self.ranges[parameter].len() / (size / self.time));
            if time > known {
                let message = format!("a sequence of {time} places, the network knows {known} positions");
                return Err(Error::new(ErrorCode::Shape, message));
            }
        }
        self.programs.insert(self.time, program);
        Ok(())
    }

    /// Refuses codes that some embedding does not know.
    fn check_codes(&self, codes: &[i64]) -> Result<()> {
        let programs = self.programs.values().take(1).flat_map(|program| &program.ops);
        for vocabulary in programs.filter_map(Op::vocabulary) {
            if let Some(code) = codes.iter().find(|code| !(0..vocabulary as i64).contains(*code)) {
                let message = format!("code {code} is none of 0 to {}", vocabulary - 1);
                return Err(Error::new(ErrorCode::BadInput, message));
            }
        }
        Ok(())
    }

    /// The program of the batch.
    fn program(&self) -> Result<&Program> {
        self.programs.get(&self.time).ok_or_else(|| Error::internal("no program for this batch"))
    }

    /// The update of step `step`, from 1; `squares` are those of the gradients.
    fn apply(&mut self, rules: &Rules<'_>, squares: f64, step: u64, rate: f64) {
        let group = rules.update.accumulate as u64;
        if group == 1 {
            return self.descend(rules, squares, step, rate);
        }
        self.pending.iter_mut().zip(&self.gradients).for_each(|(sum, value)| *sum += value);
        if step.is_multiple_of(group) {
            let share = 1.0 / group as f32;
            self.gradients.iter_mut().zip(&self.pending).for_each(|(mean, sum)| *mean = share * sum);
            self.pending.fill(0.0);
            let (squares, _) = self.squares();
            self.descend(rules, squares, step / group, rate);
        }
    }

    /// One step of the optimiser, `count` counting from 1.
    fn descend(&mut self, rules: &Rules<'_>, squares: f64, count: u64, rate: f64) {
        let Rules { network, settings, update, .. } = *rules;
        if let Some(most) = update.clip_norm.filter(|most| squares.sqrt() > *most) {
            let scale = (most / (squares.sqrt() + 1e-6)) as f32;
            self.gradients.iter_mut().for_each(|value| *value *= scale);
        }
        if update.l1 > 0.0 {
            let pull = update.l1 as f32;
            let pulled = network.parameters.iter().zip(&self.ranges);
            for (_, range) in pulled.filter(|(parameter, _)| parameter.spec.trained && parameter.spec.shape.len() > 1) {
                for (slope, weight) in self.gradients[range.clone()].iter_mut().zip(&self.arena[range.clone()]) {
                    *slope += pull * if *weight == 0.0 { 0.0 } else { weight.signum() };
                }
            }
        }
        let rule = settings.rule(count, rate);
        self.update(&rule);
        if let Some(decay) = update.average {
            let decay = decay.min((1.0 + count as f64) / (10.0 + count as f64)) as f32;
            let pairs = self.averages.iter_mut().zip(&self.arena);
            pairs.for_each(|(mean, now)| *mean = decay * *mean + (1.0 - decay) * now);
        }
    }

    /// What batch norms saw in the last pass.
    fn statistics(&self, rows: usize) -> Result<Vec<BatchStatistics>> {
        let of = |(norm, node, places): (usize, usize, usize)| {
            let Moments { mean, variance } = self.buffers.moments[norm].clone();
            BatchStatistics { node, mean, variance, count: rows * places }
        };
        Ok(self.program()?.norms().map(of).collect())
    }

    fn outputs(&self, rows: usize) -> Result<Tensor> {
        let program = self.program()?;
        let output = program.output;
        let width = program.values[output].size();
        let mut values = vec![0.0; rows * width];
        lepton_kernels::to_rows(&self.buffers.values[output], width, &mut values);
        Tensor::float32([rows, width], values)
    }

    /// Each parameter of the plan, as it is now.
    pub(crate) fn parameters(&self) -> Vec<Vec<f32>> {
        self.split(&self.arena)
    }

    /// For each parameter the buffers of its optimiser; none for running statistics.
    pub(crate) fn moments(&self) -> Vec<Vec<Vec<f32>>> {
        let own = |(at, range): (usize, &Range<usize>)| match range.end <= self.trained {
            true => self.moments.iter().map(|buffer| self.outwards(at, &buffer[range.clone()])).collect(),
            false => Vec::new(),
        };
        self.ranges.iter().enumerate().map(own).collect()
    }

    /// Sums of gradients since the last update, where several batches make one; zeros for running statistics.
    pub(crate) fn pending(&self) -> Vec<Vec<f32>> {
        let mut all = self.pending.clone();
        if !all.is_empty() {
            all.resize(self.arena.len(), 0.0);
        }
        self.split(&all)
    }

    /// The moving averages, where they are kept.
    pub(crate) fn averages(&self) -> Vec<Vec<f32>> {
        self.split(&self.averages)
    }

    fn split(&self, arena: &[f32]) -> Vec<Vec<f32>> {
        if arena.is_empty() {
            return Vec::new();
        }
        let own = |(at, range): (usize, &Range<usize>)| self.outwards(at, &arena[range.clone()]);
        self.ranges.iter().enumerate().map(own).collect()
    }

    /// The numbers of a parameter in the network's order.
    fn outwards(&self, parameter: usize, values: &[f32]) -> Vec<f32> {
        match self.turned.get(&parameter) {
            Some([channels, places]) => turn(values, [*places, *channels]),
            None => values.to_vec(),
        }
    }

    /// Takes over from a saved state, in the form of [`Planned::parameters`] and the others.
    pub(crate) fn restore(
        &mut self,
        parameters: &[Vec<f32>],
        moments: &[Vec<Vec<f32>>],
        pending: &[Vec<f32>],
        averages: &[Vec<f32>],
    ) {
        for (at, range) in self.ranges.iter().enumerate() {
            let inwards = |values: &[f32]| inwards(&self.turned, at, values);
            self.arena[range.clone()].copy_from_slice(&inwards(&parameters[at]));
            if let Some(average) = averages.get(at) {
                self.averages[range.clone()].copy_from_slice(&inwards(average));
            }
            if range.end > self.trained {
                continue;
            }
            for (buffer, own) in self.moments.iter_mut().zip(&moments[at]) {
                buffer[range.clone()].copy_from_slice(&inwards(own));
            }
            if let Some(sum) = pending.get(at) {
                self.pending[range.clone()].copy_from_slice(&inwards(sum));
            }
        }
    }
}

/// The numbers of a parameter in the order of the arena.
fn inwards(turned: &BTreeMap<usize, [usize; 2]>, parameter: usize, values: &[f32]) -> Vec<f32> {
    turned.get(&parameter).map_or_else(|| values.to_vec(), |sides| turn(values, *sides))
}

/// `[.., a, b]` as `[.., b, a]`.
fn turn(values: &[f32], [a, b]: [usize; 2]) -> Vec<f32> {
    let at = |index: usize| index / (a * b) * (a * b) + index % a * b + index / a % b;
    (0..values.len()).map(|index| values[at(index)]).collect()
}

/// The network with the numbers of `values`, one list for each parameter.
pub(crate) fn with_values(network: &Network, values: Vec<Vec<f32>>) -> Network {
    let mut network = network.clone();
    for (parameter, values) in network.parameters.iter_mut().zip(values) {
        *parameter = Parameter::new(&parameter.spec, values);
    }
    network
}
