//! One training step: forward, loss, backward, update. Nothing of the network changes unless the loss and every
//! gradient are finite.

use crate::forward::{self, BatchStatistics, Mode, Value};
use crate::network::{flat, on, output_to_host};
use crate::{BatchNorm, Layer, Loss, Network, OptimizerSettings, state};
use burn::tensor::{Device, Tensor as Burn, TensorData as BurnData};
use lepton_core::{Error, ErrorCode, Result, Tensor};

/// What one step did.
#[derive(Clone, Debug)]
pub struct StepOutcome {
    /// The loss of the batch before the update.
    pub loss: f64,
    /// The outputs of the batch before the update, in training mode.
    pub outputs: Tensor,
}

/// A network with an optimiser's memory.
pub struct Trainer {
    pub(crate) network: Network,
    pub(crate) loss: Loss,
    pub(crate) settings: OptimizerSettings,
    /// For each parameter that is trained, the buffers of its optimiser; empty for running statistics.
    pub(crate) moments: Vec<Vec<Vec<f32>>>,
    pub(crate) steps: u64,
}

impl Trainer {
    /// A trainer at step 0.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for settings out of range or a network that does not end in what the loss takes.
    pub fn new(network: Network, loss: Loss, settings: OptimizerSettings) -> Result<Trainer> {
        settings.validate()?;
        if let Some(last) = network.plan.nodes.last() {
            let Loss::CrossEntropy = loss;
            if last.layer == Layer::Softmax {
                return Err(Error::new(
                    ErrorCode::Config,
                    "cross entropy takes logits, but the last layer is a softmax",
                )
                .at_node(&last.name)
                .fix("remove the softmax: probabilities are computed when the model answers"));
            }
            if last.shape.len() != 1 {
                return Err(Error::new(
                    ErrorCode::Config,
                    format!("cross entropy takes [classes], not {:?}", last.shape),
                )
                .at_node(&last.name));
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
        Ok(Trainer { network, loss, settings, moments, steps: 0 })
    }

    /// One step over a batch: `input` `[rows, ..]`, `target` as the loss takes it.
    ///
    /// # Errors
    /// [`ErrorCode::Diverged`] when the loss, the outputs or a gradient is NaN or infinite, [`ErrorCode::Shape`],
    /// [`ErrorCode::Dtype`] or [`ErrorCode::BadData`] for a wrong batch. After any error the network, the
    /// moments and the step count are what they were.
    pub fn step(&mut self, input: &Tensor, target: &Tensor, learning_rate: f64) -> Result<StepOutcome> {
        if !(learning_rate.is_finite() && learning_rate >= 0.0) {
            return Err(Error::new(ErrorCode::Config, format!("learning rate {learning_rate} is no number from 0 up")));
        }
        let input = self.network.check_input(input)?;
        on(&self.network.threads(), || {
            let pass = self.pass(input, target)?;
            self.apply(&pass.gradients, &pass.statistics, learning_rate)?;
            Ok(pass.outcome)
        })
    }

    /// The network as it is now.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Takes the network out.
    pub fn into_network(self) -> Network {
        self.network
    }

    /// Steps done since the weights were drawn, over all resumes.
    pub fn steps_done(&self) -> u64 {
        self.steps
    }

    /// What computes: `burn 0.22.1 flex (cpu)`.
    pub fn backend(&self) -> String {
        "burn 0.22.1 flex (cpu)".to_owned()
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
    fn pass(&self, input: Value, target: &Tensor) -> Result<Pass> {
        let leaves: Vec<Burn<1>> = self
            .network
            .parameters
            .iter()
            .map(|parameter| match parameter.spec.trained {
                true => parameter.value.clone().autodiff().require_grad(),
                false => parameter.value.clone(),
            })
            .collect();
        let mode = Mode::Training { seed: self.network.seed, step: self.steps };
        let mut statistics = Vec::new();
        let output = forward::forward(&self.network.plan, &leaves, input, mode, &mut statistics)?;
        let Value::Rows(output) = output else {
            return Err(Error::internal("the loss takes [rows, classes]"));
        };
        let outputs = output_to_host(Value::Rows(output.clone()))?;
        let evaluated = self.loss.evaluate(&outputs, target)?;
        if !evaluated.loss.is_finite() || !all_finite(outputs.as_float32()?) {
            return Err(diverged(format!("the loss became {}", evaluated.loss), self.steps));
        }
        let mut gradients = Vec::with_capacity(leaves.len());
        if output.is_tracked() {
            // The gradient at the output is known, so the scalar to differentiate is its product with the output.
            let weight = BurnData::new(evaluated.gradient, outputs.shape().to_vec());
            let mut all = (output * Burn::from_data(weight, &Device::flex())).sum().backward();
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
        Ok(Pass { outcome: StepOutcome { loss: evaluated.loss, outputs }, gradients, statistics })
    }

    /// The update; by now nothing can go wrong but a bug.
    fn apply(&mut self, gradients: &[Option<Vec<f32>>], statistics: &[BatchStatistics], rate: f64) -> Result<()> {
        let step = self.steps + 1;
        let parameters = self.network.parameters.iter_mut();
        for ((parameter, gradient), moments) in parameters.zip(gradients).zip(&mut self.moments) {
            if let Some(gradient) = gradient {
                let mut weights = take(&mut parameter.value)?;
                self.settings.update(step, rate, &mut weights, gradient, moments);
                parameter.value = flat(weights);
            }
        }
        for seen in statistics {
            self.run_statistics(seen)?;
        }
        self.steps = step;
        Ok(())
    }

    /// Mixes a batch's mean and unbiased variance into the running ones. A batch with one value per channel says
    /// nothing about variance and is left out.
    fn run_statistics(&mut self, seen: &BatchStatistics) -> Result<()> {
        let nodes = &self.network.plan.nodes;
        let Layer::BatchNorm(BatchNorm { momentum, .. }) = nodes[seen.node].layer else {
            return Err(Error::internal("statistics of a layer that keeps none"));
        };
        if seen.count < 2 {
            return Ok(());
        }
        let first: usize = nodes[..seen.node].iter().map(|node| node.parameters.len()).sum();
        let (keep, add) = ((1.0 - momentum) as f32, momentum as f32);
        let unbias = seen.count as f32 / (seen.count - 1) as f32;
        for (index, new, scale) in [(first + 2, &seen.mean, 1.0), (first + 3, &seen.variance, unbias)] {
            let value = &mut self.network.parameters[index].value;
            let mut running = take(value)?;
            running.iter_mut().zip(new).for_each(|(running, new)| *running = keep * *running + add * scale * new);
            *value = flat(running);
        }
        Ok(())
    }
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

fn diverged(what: String, steps: u64) -> Error {
    Error::new(ErrorCode::Diverged, format!("{what} at step {}", steps + 1))
        .fix("lower the learning rate, and look for extreme values in the data")
}
