//! Optimisers over flat buffers: what their settings are, and the numbers that lepton-kernels' rules take. The mathematics
//! is torch.optim's, and tests compare with it.

use lepton_core::{Error, ErrorCode, Result};
use lepton_kernels::Rule;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Elements per parallel piece. Every element is independent, so the pieces never change a result.
const PIECE: usize = 1 << 14;

/// Which rule turns gradients into steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    /// Adam (Kingma and Ba 2015); weight decay is added to the gradient.
    #[default]
    Adam,
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    Adamw,
    /// Gradient descent with momentum (dampening 0, not Nesterov).
    Sgd,
    /// The gradient over the root of its mean square (Hinton 2012), without momentum; weight decay is added to the
    /// gradient.
    Rmsprop,
    /// The sign of a mean of gradients (Chen and others 2023), with decoupled weight decay. It wants a learning rate
    /// three to ten times below Adam's, and `beta2` is usually 0.99.
    Lion,
}

/// The settings of an optimiser, named and defaulted as in torch.optim. The learning rate comes with each step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerSettings {
    /// The rule.
    pub kind: OptimizerKind,
    /// Decay of the first moment (Adam, AdamW, Lion).
    pub beta1: f64,
    /// Decay of the second moment (Adam, AdamW), or of the mean of gradients (Lion).
    pub beta2: f64,
    /// Decay of the mean square (RMSprop).
    pub alpha: f64,
    /// Added to the root of the second moment (Adam, AdamW, RMSprop).
    pub epsilon: f64,
    /// Share of the last step that is kept (SGD).
    pub momentum: f64,
    /// Pull towards zero: added to the gradient (Adam, SGD, RMSprop) or applied to the weight (AdamW, Lion).
    pub weight_decay: f64,
}

impl Default for OptimizerSettings {
    fn default() -> OptimizerSettings {
        OptimizerSettings {
            kind: OptimizerKind::Adam,
            beta1: 0.9,
            beta2: 0.999,
            alpha: 0.99,
            epsilon: 1e-8,
            momentum: 0.9,
            weight_decay: 0.0,
        }
    }
}

impl OptimizerSettings {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] with the key of the setting.
    pub fn validate(&self) -> Result<()> {
        let shares = [("beta1", self.beta1), ("beta2", self.beta2), ("alpha", self.alpha), ("momentum", self.momentum)];
        for (key, value) in shares {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::new(ErrorCode::Config, format!("{key} = {value} is outside [0, 1)")).at_key(key));
            }
        }
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return Err(Error::new(ErrorCode::Config, "epsilon is a number above 0").at_key("epsilon"));
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return Err(Error::new(ErrorCode::Config, "weight_decay is a number from 0 up").at_key("weight_decay"));
        }
        Ok(())
    }

    /// The names of the buffers that the rule keeps for each parameter.
    pub(crate) fn buffers(&self) -> &'static [&'static str] {
        match self.kind {
            OptimizerKind::Adam | OptimizerKind::Adamw => &["first_moment", "second_moment"],
            OptimizerKind::Sgd | OptimizerKind::Lion => &["momentum"],
            OptimizerKind::Rmsprop => &["square_average"],
        }
    }

    /// The rule with its numbers. `step` counts from 1.
    pub(crate) fn rule(&self, step: u64, rate: f64) -> Rule {
        let (epsilon, pull) = (self.epsilon as f32, self.weight_decay as f32);
        let shrink = (1.0 - rate * self.weight_decay) as f32;
        match self.kind {
            OptimizerKind::Adam | OptimizerKind::Adamw => {
                let power = i32::try_from(step).unwrap_or(i32::MAX);
                let decoupled = self.kind == OptimizerKind::Adamw;
                Rule::Adam {
                    step_size: (rate / (1.0 - self.beta1.powi(power))) as f32,
                    root_correction: (1.0 / (1.0 - self.beta2.powi(power)).sqrt()) as f32,
                    first: [self.beta1 as f32, (1.0 - self.beta1) as f32],
                    second: [self.beta2 as f32, (1.0 - self.beta2) as f32],
                    epsilon,
                    shrink: if decoupled { shrink } else { 1.0 },
                    pull: if decoupled { 0.0 } else { pull },
                }
            }
            OptimizerKind::Rmsprop => {
                let square = [self.alpha as f32, (1.0 - self.alpha) as f32];
                Rule::Rmsprop { rate: rate as f32, square, epsilon, pull }
            }
            OptimizerKind::Lion => {
                Rule::Lion { rate: rate as f32, betas: [self.beta1 as f32, self.beta2 as f32], shrink }
            }
            OptimizerKind::Sgd => Rule::Sgd { rate: rate as f32, keep: self.momentum as f32, pull },
        }
    }

    /// One step of one parameter. `step` counts from 1; `buffers` are those of [`OptimizerSettings::buffers`].
    pub(crate) fn update(&self, step: u64, rate: f64, weights: &mut [f32], gradient: &[f32], buffers: &mut [Vec<f32>]) {
        let rule = self.rule(step, rate);
        let pieces = weights.par_chunks_mut(PIECE).zip(gradient.par_chunks(PIECE));
        match buffers {
            [one] => {
                let pieces = pieces.zip(one.par_chunks_mut(PIECE));
                pieces.for_each(|((weights, gradient), one)| rule.update_piece(weights, gradient, &mut [one]));
            }
            [one, two] => {
                let pieces = pieces.zip(one.par_chunks_mut(PIECE)).zip(two.par_chunks_mut(PIECE));
                pieces.for_each(|(((weights, gradient), one), two)| {
                    rule.update_piece(weights, gradient, &mut [one, two]);
                });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Case {
        settings: OptimizerSettings,
        rate: f64,
        start: Vec<f32>,
        gradients: Vec<Vec<f32>>,
        end: Vec<f32>,
    }

    #[test]
    fn ten_steps_are_those_of_torch_optim() {
        let read = |text| serde_json::from_str::<Vec<Case>>(text).unwrap();
        let mut cases = read(include_str!("../tests/data/optimizers.json"));
        cases.extend(read(include_str!("../tests/data/more_optimizers.json")));
        assert_eq!(cases.len(), 8);
        for case in cases {
            let mut weights = case.start;
            let mut buffers = vec![vec![0.0; weights.len()]; case.settings.buffers().len()];
            for (index, gradient) in case.gradients.iter().enumerate() {
                case.settings.update(index as u64 + 1, case.rate, &mut weights, gradient, &mut buffers);
            }
            for (ours, reference) in weights.iter().zip(&case.end) {
                assert!(
                    (ours - reference).abs() <= 2e-6 * reference.abs().max(1.0),
                    "{:?}: {ours} {reference}",
                    case.settings
                );
            }
        }
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let key = |settings: OptimizerSettings| settings.validate().unwrap_err().place().key.clone().unwrap();
        let usual = OptimizerSettings::default;
        assert_eq!(key(OptimizerSettings { beta1: 1.0, ..usual() }), "beta1");
        assert_eq!(key(OptimizerSettings { momentum: f64::NAN, ..usual() }), "momentum");
        assert_eq!(key(OptimizerSettings { epsilon: 0.0, ..usual() }), "epsilon");
        assert_eq!(key(OptimizerSettings { weight_decay: -1.0, ..usual() }), "weight_decay");
    }
}
