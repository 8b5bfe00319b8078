//! One training step: forward, loss, backward, update. Nothing of the network changes unless the loss and every
//! gradient are finite.

use crate::forward::{self, BatchStatistics, Mode, Value};
use crate::frozen;
use crate::network::{Parameter, flat, on, output_to_host};
use crate::plan::Plan;
use crate::planned::{Planned, Rules, StepKind, with_values};
use crate::{BatchNorm, HiddenLoss, Layer, Loss, Network, OptimizerSettings, Precision, state};
use burn::tensor::{Device, Tensor as Burn, TensorData as BurnData};
use lepton_core::{Error, ErrorCode, Result, Tensor};
use serde::{Deserialize, Serialize};

/// What one step did.
#[derive(Clone, Debug)]
pub struct StepOutcome {
    /// The loss of the batch before the update.
    pub loss: f64,
    /// The outputs of the batch before the update, in training mode.
    pub outputs: Tensor,
    /// What the hidden loss was, where one was given.
    pub hidden_loss: f64,
}

/// The rows of a step.
#[derive(Clone, Copy, Debug)]
pub struct StepRows<'a> {
    /// `[rows, ..]`.
    pub input: &'a Tensor,
    /// As the loss takes it.
    pub target: &'a Tensor,
    /// What each row counts in the loss; `None` is 1 for all.
    pub weights: Option<&'a [f32]>,
    /// Rows without labels, `[more, ..]`, which go through the network with the others and count in the hidden loss only.
    pub unlabelled: Option<&'a Tensor>,
}

/// What is done with gradients and weights around the optimiser's rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpdateSettings {
    /// The largest Euclidean norm of all gradients together; larger ones are scaled down to it.
    pub clip_norm: Option<f64>,
    /// Pull of weights (not of biases and norms) towards exactly 0: this times their sign is added to the gradient.
    pub l1: f64,
    /// Batches whose mean gradient makes one update.
    pub accumulate: usize,
    /// The decay of a moving average of the weights after each update, which is what is validated and kept (Polyak and
    /// Juditsky 1992); it begins slower, with `(1 + updates) / (10 + updates)`.
    pub average: Option<f64>,
}

impl Default for UpdateSettings {
    fn default() -> UpdateSettings {
        UpdateSettings { clip_norm: None, l1: 0.0, accumulate: 1, average: None }
    }
}

impl UpdateSettings {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] with the key of the setting.
    pub fn validate(&self) -> Result<()> {
        let wrong = |key: &str, message: &str| Err(Error::new(ErrorCode::Config, message).at_key(key));
        if self.clip_norm.is_some_and(|norm| !(norm.is_finite() && norm > 0.0)) {
            return wrong("clip_norm", "must be a number above 0");
        }
        if !(self.l1.is_finite() && self.l1 >= 0.0) {
            return wrong("l1", "must be a number from 0 up");
        }
        if self.accumulate == 0 {
            return wrong("accumulate", "must be at least 1");
        }
        if self.average.is_some_and(|decay| !(0.0..1.0).contains(&decay)) {
            return wrong("average", "must be in [0, 1)");
        }
        Ok(())
    }
}

/// A network with an optimiser's memory.
pub struct Trainer {
    pub(crate) network: Network,
    pub(crate) loss: Loss,
    pub(crate) settings: OptimizerSettings,
    pub(crate) update: UpdateSettings,
    /// For each parameter a factor on the learning rate; 0 keeps it as it is.
    pub(crate) rates: Vec<f64>,
    /// For each node of the plan whether it computes as in inference.
    frozen: Vec<bool>,
    /// For each parameter that is trained, the buffers of its optimiser; empty for running statistics.
    pub(crate) moments: Vec<Vec<Vec<f32>>>,
    /// Sums of gradients since the last update, where several batches make one.
    pub(crate) pending: Vec<Vec<f32>>,
    /// The moving average of all parameters and statistics, where one is kept.
    pub(crate) averages: Vec<Vec<f32>>,
    pub(crate) steps: u64,
    /// What computes the steps in place of Burn, and then holds all numbers that change.
    pub(crate) planned: Option<Box<Planned>>,
}

impl Trainer {
    /// A trainer at step 0.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for settings out of range or a network that does not end in what the loss takes.
    pub fn new(network: Network, loss: Loss, settings: OptimizerSettings) -> Result<Trainer> {
        settings.validate()?;
        loss.validate()?;
        if let Some(last) = network.plan.nodes.last() {
            let kind = loss.kind().replace('_', " ");
            if last.layer == Layer::Softmax && loss.takes_logits() {
                let message = format!("{kind} takes logits, but the last layer is a softmax");
                return Err(Error::new(ErrorCode::Config, message)
                    .at_node(&last.name)
                    .fix("remove the softmax: probabilities are computed when the model answers"));
            }
            if last.shape.len() != 1 {
                let message = format!("{kind} takes a row of numbers, not {:?}", last.shape);
                return Err(Error::new(ErrorCode::Config, message).at_node(&last.name));
            }
        }
        let moments = network
            .parameters
            .iter()
            .map(|parameter| match parameter.spec.trained {
                true => vec![vec![0.0; parameter.spec.len()]; settings.buffers().len()],
                false => Vec::new(),
            })
            .collect();
        let rates = vec![1.0; network.parameters.len()];
        Ok(Trainer {
            frozen: frozen::frozen(&network.plan, &rates),
            network,
            loss,
            settings,
            update: UpdateSettings::default(),
            rates,
            moments,
            pending: Vec::new(),
            averages: Vec::new(),
            steps: 0,
            planned: None,
        })
    }

    /// The same trainer with its steps computed another way; a new one computes them on Burn. After
    /// [`Trainer::with_update`], for step 0 only. [`Trainer::backend`] says what it is.
    ///
    /// # Errors
    /// [`ErrorCode::Unsupported`] where a planned step is asked for and a layer has no kernel, with the layer as the place.
    pub fn with_step(self, kind: StepKind) -> Result<Trainer> {
        self.with_step_in(kind, Precision::Float32)
    }

    /// As [`Trainer::with_step`], with products of that precision, which only planned steps have another one of than float32.
    ///
    /// # Errors
    /// Those of [`Trainer::with_step`]; [`ErrorCode::Config`] for bfloat16 products on Burn. With them a layer that has no
    /// kernel is always an error.
    pub fn with_step_in(mut self, kind: StepKind, precision: Precision) -> Result<Trainer> {
        if kind == StepKind::Burn {
            if precision != Precision::Float32 {
                return Err(Error::new(ErrorCode::Config, "only a planned step computes with bf16")
                    .at_key("train.precision")
                    .fix("set train.precision = \"f32\""));
            }
            self.leave_plan();
            return Ok(self);
        }
        let may_be_burn = kind == StepKind::Auto && precision == Precision::Float32;
        match Planned::new(&self.network, &self.frozen, &self.settings, &self.update, precision) {
            Ok(planned) => {
                self.planned = Some(Box::new(planned));
                (self.moments, self.pending, self.averages) = (Vec::new(), Vec::new(), Vec::new());
            }
            Err(error) if may_be_burn && error.code() == ErrorCode::Unsupported => {}
            Err(error) if precision != Precision::Float32 => return Err(error.fix("set train.precision = \"f32\"")),
            Err(error) => return Err(error),
        }
        Ok(self)
    }

    /// Goes on on Burn from where a planned step stands.
    fn leave_plan(&mut self) {
        if let Some(planned) = self.planned.take() {
            self.network = with_values(&self.network, planned.parameters());
            (self.moments, self.pending, self.averages) = (planned.moments(), planned.pending(), planned.averages());
        }
    }

    /// The same trainer with other settings of the update; for step 0 only.
    ///
    /// # Errors
    /// Those of [`UpdateSettings::validate`].
    pub fn with_update(mut self, update: UpdateSettings) -> Result<Trainer> {
        update.validate()?;
        if update.average.is_some() {
            self.averages = self.network.parameters.iter().map(Parameter::to_host).collect::<Result<_>>()?;
        }
        if update.accumulate > 1 {
            self.pending = self.network.parameters.iter().map(|parameter| vec![0.0; parameter.spec.len()]).collect();
        }
        self.update = update;
        Ok(self)
    }

    /// Sets for each parameter, by its key (`layer.weight`), a factor on the learning rate. With 0 it stays as it is and
    /// costs neither a gradient nor an update. A layer whose parameters all stay computes as in inference: batch norm
    /// keeps its running statistics and normalises by them, and dropout is off, in it and in front of it. Planned steps know
    /// no such factors: the trainer goes over to Burn.
    pub fn set_rates(&mut self, factor: impl Fn(&str) -> f64) {
        self.leave_plan();
        let names = self.network.parameters.iter().map(|parameter| factor(&parameter.spec.name));
        self.rates = names.collect();
        self.frozen = frozen::frozen(&self.network.plan, &self.rates);
    }

    /// The network that is validated and kept: the moving average where one is made, else the network as it is.
    pub fn averaged(&self) -> Network {
        if let Some(planned) = &self.planned {
            let averages = planned.averages();
            return with_values(&self.network, if averages.is_empty() { planned.parameters() } else { averages });
        }
        let mut network = self.network.clone();
        if !self.averages.is_empty() {
            for (parameter, average) in network.parameters.iter_mut().zip(&self.averages) {
                parameter.value = flat(average.clone());
            }
        }
        network
    }

    /// One step over a batch: `input` `[rows, ..]`, `target` as the loss takes it.
    ///
    /// # Errors
    /// [`ErrorCode::Diverged`] when the loss, the outputs or a gradient is NaN or infinite, [`ErrorCode::Shape`],
    /// [`ErrorCode::Dtype`] or [`ErrorCode::BadData`] for a wrong batch. After any error the network, the
    /// moments and the step count are what they were.
    pub fn step(&mut self, input: &Tensor, target: &Tensor, learning_rate: f64) -> Result<StepOutcome> {
        self.step_over(&StepRows { input, target, weights: None, unlabelled: None }, None, learning_rate)
    }

    /// As [`Trainer::step`], with weights of rows, rows without labels, and a loss at the last hidden layer (see
    /// [`Network::represent`]).
    ///
    /// # Errors
    /// Those of [`Trainer::step`] and of the hidden loss; [`ErrorCode::Unsupported`] for a hidden loss where the network
    /// has no hidden layer.
    pub fn step_over(
        &mut self,
        rows: &StepRows<'_>,
        hidden: Option<&mut (dyn HiddenLoss + Send)>,
        learning_rate: f64,
    ) -> Result<StepOutcome> {
        if !(learning_rate.is_finite() && learning_rate >= 0.0) {
            return Err(Error::new(ErrorCode::Config, format!("learning rate {learning_rate} is no number from 0 up")));
        }
        if let Some(planned) = &mut self.planned {
            if hidden.is_some() || rows.unlabelled.is_some() {
                let message = "a planned step knows neither losses of hidden layers nor rows without labels";
                return Err(Error::new(ErrorCode::Unsupported, message)
                    .at_key("train.step")
                    .fix("set train.step = \"burn\""));
            }
            self.network.check_fits(rows.input)?;
            let Trainer { network, loss, settings, update, .. } = self;
            let outcome = planned.step(&Rules { network, loss, settings, update }, rows, self.steps, learning_rate)?;
            self.steps += 1;
            return Ok(outcome);
        }
        let all = rows.unlabelled.map(|more| Tensor::concat_rows(&[rows.input, more])).transpose()?;
        let input = self.network.check_input(all.as_ref().unwrap_or(rows.input))?;
        on(&self.network.threads(), || {
            let pass = self.pass(input, rows, hidden)?;
            self.apply(pass.gradients, &pass.statistics, learning_rate)?;
            Ok(pass.outcome)
        })
    }

    /// The network as it is now.
    pub fn network(&self) -> Network {
        match &self.planned {
            Some(planned) => with_values(&self.network, planned.parameters()),
            None => self.network.clone(),
        }
    }

    /// Takes the network out.
    pub fn into_network(mut self) -> Network {
        self.leave_plan();
        self.network
    }

    /// Steps done since the weights were drawn, over all resumes.
    pub fn steps_done(&self) -> u64 {
        self.steps
    }

    /// What computes: `burn 0.22.1 flex (cpu)`, `lepton-kernels planned step (cpu, avx2)`.
    pub fn backend(&self) -> String {
        self.planned.as_ref().map_or_else(|| "burn 0.22.1 flex (cpu)".to_owned(), |planned| planned.backend())
    }

    /// Everything that the next step depends on, as safetensors: weights, running statistics, moments, step count,
    /// seed, and what they belong to. Equal states give equal bytes.
    ///
    /// # Errors
    /// [`ErrorCode::Internal`] only.
    pub fn state(&self) -> Result<Vec<u8>> {
        state::save(self)
    }

    /// Goes on from a saved state: the steps that follow give the same bits as if nothing had happened (same
    /// number of threads).
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] when the bytes are damaged, [`ErrorCode::Config`] when they belong to another
    /// architecture, loss or optimiser. After an error nothing has changed.
    pub fn restore(&mut self, state: &[u8]) -> Result<()> {
        state::restore(self, state)
    }

    /// Forward, loss and backward; changes nothing.
    fn pass(&self, input: Value, rows: &StepRows<'_>, hidden: Option<&mut (dyn HiddenLoss + Send)>) -> Result<Pass> {
        let leaves: Vec<Burn<1>> = self
            .network
            .parameters
            .iter()
            .zip(&self.rates)
            .map(|(parameter, rate)| match parameter.spec.trained && *rate > 0.0 {
                true => parameter.value.clone().autodiff().require_grad(),
                false => parameter.value.clone(),
            })
            .collect();
        let mode = Mode::Training { seed: self.network.seed, step: self.steps };
        let mut statistics = Vec::new();
        let watched = hidden.is_some().then(|| self.network.representation()).transpose()?;
        let plan = &self.network.plan;
        let (output, seen) =
            forward::forward_watched(plan, &leaves, input, mode, &self.frozen, &mut statistics, watched)?;
        let Value::Rows(output) = output else {
            return Err(Error::internal("the loss takes rows of numbers"));
        };
        let labelled = rows.target.rows();
        let every_output = output_to_host(Value::Rows(output.clone()))?;
        let outputs = match rows.unlabelled {
            Some(_) => every_output.slice_rows(0, labelled)?,
            None => every_output,
        };
        let mut evaluated = self.loss.evaluate(&outputs, rows.target, rows.weights)?;
        if !evaluated.loss.is_finite() || !all_finite(outputs.as_float32()?) {
            return Err(diverged(format!("the loss became {}", evaluated.loss), self.steps));
        }
        let at_hidden = match (hidden, seen) {
            (Some(loss), Some(seen)) => Some(at_hidden(loss, seen, labelled, self.steps)?),
            _ => None,
        };
        let hidden_loss = at_hidden.as_ref().map_or(0.0, |(_, value)| *value);
        let mut gradients = Vec::with_capacity(leaves.len());
        if output.is_tracked() {
            // The gradient at the output is known, so the scalar to differentiate is its product with the output.
            // Rows without labels pull at nothing here.
            let [every, width] = output.dims();
            evaluated.gradient.resize(every * width, 0.0);
            let weight = BurnData::new(evaluated.gradient, [every, width]);
            let mut scalar = (output * Burn::from_data(weight, &Device::flex())).sum();
            if let Some((pull, _)) = at_hidden {
                scalar = scalar + pull;
            }
            let mut all = scalar.backward();
            for (leaf, parameter) in leaves.iter().zip(&self.network.parameters) {
                let gradient = match leaf.grad_remove(&mut all) {
                    Some(gradient) if parameter.spec.trained => Some(forward::host(gradient)?),
                    _ => None,
                };
                if gradient.as_ref().is_some_and(|values| !all_finite(values)) {
                    return Err(diverged(
                        format!("the gradient of \"{}\" is not finite", parameter.spec.name),
                        self.steps,
                    ));
                }
                gradients.push(gradient);
            }
        }
        Ok(Pass { outcome: StepOutcome { loss: evaluated.loss, outputs, hidden_loss }, gradients, statistics })
    }

    /// The update; by now nothing can go wrong but a bug.
    fn apply(&mut self, gradients: Vec<Option<Vec<f32>>>, statistics: &[BatchStatistics], rate: f64) -> Result<()> {
        for seen in statistics {
            self.run_statistics(seen)?;
        }
        let step = self.steps + 1;
        let group = self.update.accumulate as u64;
        if group > 1 {
            for (sum, gradient) in self.pending.iter_mut().zip(&gradients) {
                if let Some(gradient) = gradient {
                    sum.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
                }
            }
            if step.is_multiple_of(group) {
                let share = 1.0 / group as f32;
                let trained: Vec<bool> = gradients.iter().map(Option::is_some).collect();
                let means = self.pending.iter_mut().zip(trained).map(|(sum, trained)| {
                    let mean = trained.then(|| sum.iter().map(|value| share * value).collect());
                    sum.fill(0.0);
                    mean
                });
                let means = means.collect();
                self.descend(means, step / group, rate)?;
            }
        } else {
            self.descend(gradients, step, rate)?;
        }
        self.steps = step;
        Ok(())
    }

    /// One step of the optimiser, `update` counting from 1.
    fn descend(&mut self, mut gradients: Vec<Option<Vec<f32>>>, update: u64, rate: f64) -> Result<()> {
        if let Some(most) = self.update.clip_norm {
            let squares = gradients
                .iter()
                .flatten()
                .map(|values| values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>());
            let norm = squares.sum::<f64>().sqrt();
            if norm > most {
                let scale = (most / (norm + 1e-6)) as f32;
                gradients.iter_mut().flatten().for_each(|values| values.iter_mut().for_each(|value| *value *= scale));
            }
        }
        let parameters = self.network.parameters.iter_mut();
        for (((parameter, gradient), moments), factor) in
            parameters.zip(&mut gradients).zip(&mut self.moments).zip(&self.rates)
        {
            if let Some(gradient) = gradient {
                let mut weights = take(&mut parameter.value)?;
                if self.update.l1 > 0.0 && parameter.spec.shape.len() > 1 {
                    let pull = self.update.l1 as f32;
                    let signs = weights.iter().map(|weight| if *weight == 0.0 { 0.0 } else { weight.signum() });
                    gradient.iter_mut().zip(signs).for_each(|(slope, sign)| *slope += pull * sign);
                }
                self.settings.update(update, rate * factor, &mut weights, gradient, moments);
                parameter.value = flat(weights);
            }
        }
        if let Some(decay) = self.update.average {
            let decay = decay.min((1.0 + update as f64) / (10.0 + update as f64)) as f32;
            for (average, parameter) in self.averages.iter_mut().zip(&self.network.parameters) {
                let now = parameter.to_host()?;
                average.iter_mut().zip(now).for_each(|(mean, now)| *mean = decay * *mean + (1.0 - decay) * now);
            }
        }
        Ok(())
    }

    fn run_statistics(&mut self, seen: &BatchStatistics) -> Result<()> {
        let Network { plan, parameters, .. } = &mut self.network;
        let first: usize = plan.nodes[..seen.node].iter().map(|node| node.parameters.len()).sum();
        mix_statistics(plan, seen, |place, new, keep, add| {
            let value = &mut parameters[first + 2 + place].value;
            let mut running = take(value)?;
            running.iter_mut().zip(new).for_each(|(running, new)| *running = keep * *running + add * new);
            *value = flat(running);
            Ok(())
        })
    }
}

/// Mixes a batch's mean and unbiased variance into the running ones: `mix` makes `keep * running + add * new` of them, of the
/// mean at place 0 and the variance at place 1. A batch with one value per channel says nothing about variance and is left
/// out.
pub(crate) fn mix_statistics(
    plan: &Plan,
    seen: &BatchStatistics,
    mut mix: impl FnMut(usize, &[f32], f32, f32) -> Result<()>,
) -> Result<()> {
    let Layer::BatchNorm(BatchNorm { momentum, .. }) = plan.nodes[seen.node].layer else {
        return Err(Error::internal("statistics of a layer that keeps none"));
    };
    if seen.count < 2 {
        return Ok(());
    }
    let (keep, add) = ((1.0 - momentum) as f32, momentum as f32);
    let unbias = seen.count as f32 / (seen.count - 1) as f32;
    mix(0, &seen.mean, keep, add)?;
    mix(1, &seen.variance, keep, add * unbias)
}

/// The product of hidden rows with their slopes, whose derivative those are, and the value of the loss.
fn at_hidden(loss: &mut (dyn HiddenLoss + Send), seen: Value, labelled: usize, steps: u64) -> Result<(Burn<1>, f64)> {
    let hidden = seen.rows()?;
    let (value, slopes) = loss.evaluate(&output_to_host(Value::Rows(hidden.clone()))?, labelled)?;
    if !(value.is_finite() && all_finite(&slopes)) {
        return Err(diverged(format!("the loss of the hidden layer became {value}"), steps));
    }
    if slopes.len() != hidden.dims().iter().product::<usize>() {
        return Err(Error::internal("a hidden loss gave a gradient of another shape"));
    }
    let slopes = BurnData::new(slopes, hidden.dims());
    Ok(((hidden * Burn::from_data(slopes, &Device::flex())).sum(), value))
}

struct Pass {
    outcome: StepOutcome,
    gradients: Vec<Option<Vec<f32>>>,
    statistics: Vec<BatchStatistics>,
}

/// The buffer of a tensor that has one owner; an empty tensor stays behind until the caller puts the new one.
fn take(value: &mut Burn<1>) -> Result<Vec<f32>> {
    forward::host(std::mem::replace(value, flat(Vec::new())))
}

/// Whether no value is NaN or infinite: 0·x is 0 for finite x and NaN otherwise, and sums vectorise.
fn all_finite(values: &[f32]) -> bool {
    values.chunks(1 << 12).all(|piece| piece.iter().map(|value| value * 0.0).sum::<f32>() == 0.0)
}

pub(crate) fn diverged(what: String, steps: u64) -> Error {
    Error::new(ErrorCode::Diverged, format!("{what} at step {}", steps + 1))
        .fix("lower the learning rate, and look for extreme values in the data")
}
