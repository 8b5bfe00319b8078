//! Learning-rate schedules: from the number of a step to a factor on the learning rate.
//!
//! Pure functions of the step, so that a resumed training takes the very rates that an unbroken one takes.

use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// How the learning rate changes over a training. Each kind may begin with a linear warm-up over
/// `warmup_steps` steps: step `t` of it (from 0) takes `(t + 1) / warmup_steps` of the full rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// The same rate throughout.
    Constant {
        /// Steps of linear warm-up; 0 is none.
        #[serde(default)]
        warmup_steps: u64,
    },
    /// The rate is multiplied by `factor` after each `every_epochs` epochs.
    Step {
        /// Epochs between two drops, at least 1.
        every_epochs: usize,
        /// What remains after a drop, above 0 and at most 1.
        factor: f64,
        /// Steps of linear warm-up; 0 is none.
        #[serde(default)]
        warmup_steps: u64,
    },
    /// Half a cosine from the full rate down to `final_fraction` of it, without restarts
    /// (Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, equation 5).
    Cosine {
        /// What remains of the rate at the end, 0 to 1.
        #[serde(default)]
        final_fraction: f64,
        /// Steps of linear warm-up; 0 is none.
        #[serde(default)]
        warmup_steps: u64,
    },
    /// From a 25th of the rate up to it and down to nearly nothing, both along half a cosine (Smith and Topin 2019, as in
    /// `torch.optim.lr_scheduler.OneCycleLR`).
    OneCycle {
        /// The share of all steps that goes up, above 0 and below 1.
        #[serde(default = "third")]
        rise: f64,
    },
    /// The rate is multiplied by `factor` when the validation loss has not fallen for `patience` epochs.
    Plateau {
        /// What remains after a drop, above 0 and below 1.
        #[serde(default = "tenth")]
        factor: f64,
        /// Epochs without a fall, at least 1.
        #[serde(default = "three")]
        patience: usize,
        /// Steps of linear warm-up; 0 is none.
        #[serde(default)]
        warmup_steps: u64,
    },
}

fn third() -> f64 {
    0.3
}

fn tenth() -> f64 {
    0.1
}

fn three() -> usize {
    3
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule::Constant { warmup_steps: 0 }
    }
}

impl Schedule {
    /// The factor on the learning rate at `step` (from 0, over the whole training), where an epoch has
    /// `steps_per_epoch` steps, the training has `epochs` epochs, and the validation losses of the epochs before were
    /// `losses`. Between 0 and 1.
    pub fn factor(&self, step: u64, steps_per_epoch: usize, epochs: usize, losses: &[f64]) -> f64 {
        let warmup = self.warmup_steps();
        if step < warmup {
            return (step + 1) as f64 / warmup as f64;
        }
        match *self {
            Schedule::Constant { .. } => 1.0,
            Schedule::Step { every_epochs, factor, .. } => {
                let epoch = step / steps_per_epoch.max(1) as u64;
                let drops = epoch / every_epochs.max(1) as u64;
                factor.powi(i32::try_from(drops).unwrap_or(i32::MAX))
            }
            Schedule::Cosine { final_fraction, .. } => {
                let total = (steps_per_epoch * epochs) as u64;
                let span = total.saturating_sub(warmup).max(1);
                let done = ((step - warmup) as f64 / span as f64).min(1.0);
                final_fraction + (1.0 - final_fraction) * 0.5 * (1.0 + (PI * done).cos())
            }
            Schedule::OneCycle { rise } => {
                const START: f64 = 1.0 / 25.0;
                const END: f64 = START / 1e4;
                // As PyTorch: the last step is at the end.
                let last = ((steps_per_epoch * epochs) as f64 - 1.0).max(1.0);
                let top = (rise * (last + 1.0) - 1.0).max(f64::MIN_POSITIVE);
                let between = |from: f64, to: f64, done: f64| to + (from - to) * 0.5 * (1.0 + (PI * done).cos());
                match step as f64 {
                    step if step <= top => between(START, 1.0, step / top),
                    step => between(1.0, END, ((step - top) / (last - top).max(1.0)).min(1.0)),
                }
            }
            Schedule::Plateau { factor, patience, .. } => {
                let (mut best, mut waited, mut drops) = (f64::INFINITY, 0, 0);
                for &loss in losses {
                    waited += 1;
                    if loss < best {
                        (best, waited) = (loss, 0);
                    }
                    if waited >= patience.max(1) {
                        (waited, drops) = (0, drops + 1);
                    }
                }
                factor.powi(drops)
            }
        }
    }

    /// Steps of linear warm-up.
    pub fn warmup_steps(&self) -> u64 {
        match *self {
            Schedule::Constant { warmup_steps }
            | Schedule::Step { warmup_steps, .. }
            | Schedule::Plateau { warmup_steps, .. }
            | Schedule::Cosine { warmup_steps, .. } => warmup_steps,
            Schedule::OneCycle { .. } => 0,
        }
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`ErrorCode::Config`], naming the key.
    pub fn validate(&self) -> Result<()> {
        let wrong = |key: &str, message: String| {
            Err(Error::new(ErrorCode::Config, message).at_key(format!("train.schedule.{key}")))
        };
        match *self {
            Schedule::Constant { .. } => Ok(()),
            Schedule::Step { every_epochs: 0, .. } => wrong("every_epochs", "must be at least 1".to_owned()),
            Schedule::Step { factor, .. } if !(factor > 0.0 && factor <= 1.0) => {
                wrong("factor", format!("{factor} is not above 0 and at most 1"))
            }
            Schedule::Step { .. } => Ok(()),
            Schedule::Cosine { final_fraction, .. } if !(0.0..=1.0).contains(&final_fraction) => {
                wrong("final_fraction", format!("{final_fraction} is not between 0 and 1"))
            }
            Schedule::Cosine { .. } => Ok(()),
            Schedule::OneCycle { rise } if !(rise > 0.0 && rise < 1.0) => {
                wrong("rise", format!("{rise} is not between 0 and 1"))
            }
            Schedule::OneCycle { .. } => Ok(()),
            Schedule::Plateau { factor, .. } if !(factor > 0.0 && factor < 1.0) => {
                wrong("factor", format!("{factor} is not between 0 and 1"))
            }
            Schedule::Plateau { patience: 0, .. } => wrong("patience", "must be at least 1".to_owned()),
            Schedule::Plateau { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schedule: Schedule, step: u64, expected: f64) {
        let got = schedule.factor(step, 10, 4, &[]);
        assert!((got - expected).abs() < 1e-12, "{schedule:?} at {step}: {got}, expected {expected}");
    }

    #[test]
    fn each_schedule_has_its_closed_form() {
        let constant = Schedule::Constant { warmup_steps: 0 };
        check(constant, 0, 1.0);
        check(constant, 39, 1.0);

        let drops = Schedule::Step { every_epochs: 2, factor: 0.1, warmup_steps: 0 };
        check(drops, 19, 1.0);
        check(drops, 20, 0.1);
        check(drops, 39, 0.1);

        let cosine = Schedule::Cosine { final_fraction: 0.0, warmup_steps: 0 };
        check(cosine, 0, 1.0);
        check(cosine, 10, (1.0 + 0.5f64.sqrt()) / 2.0);
        check(cosine, 20, 0.5);
        check(cosine, 30, (1.0 - 0.5f64.sqrt()) / 2.0);
        check(cosine, 40, 0.0);
        check(cosine, 400, 0.0);

        let floored = Schedule::Cosine { final_fraction: 0.2, warmup_steps: 0 };
        check(floored, 20, 0.6);
        check(floored, 40, 0.2);
    }

    #[test]
    fn warm_up_is_linear_and_the_cosine_starts_after_it() {
        let schedule = Schedule::Cosine { final_fraction: 0.0, warmup_steps: 8 };
        check(schedule, 0, 1.0 / 8.0);
        check(schedule, 3, 0.5);
        check(schedule, 7, 1.0);
        check(schedule, 8, 1.0);
        check(schedule, 24, 0.5);
        check(schedule, 40, 0.0);
        check(Schedule::Constant { warmup_steps: 4 }, 1, 0.5);
        // A warm-up that is longer than the training never divides by nothing.
        check(Schedule::Cosine { final_fraction: 0.0, warmup_steps: 80 }, 39, 0.5);
    }

    #[test]
    fn one_cycle_is_pytorchs() {
        // torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1, total_steps=40, pct_start=0.3), its rates.
        let schedule = Schedule::OneCycle { rise: 0.3 };
        let rates = [(0, 0.04), (5, 0.451_688_877_6), (11, 1.0), (20, 0.766_016_974_2), (39, 4e-6)];
        for (step, rate) in rates {
            let got = schedule.factor(step, 10, 4, &[]);
            assert!((got - rate).abs() < 1e-6, "{step}: {got}, expected {rate}");
        }
    }

    #[test]
    fn a_plateau_lowers_the_rate() {
        let schedule = Schedule::Plateau { factor: 0.5, patience: 2, warmup_steps: 0 };
        let at = |losses: &[f64]| schedule.factor(0, 10, 9, losses);
        assert_eq!(at(&[]), 1.0);
        assert_eq!(at(&[1.0, 0.9, 0.95]), 1.0);
        assert_eq!(at(&[1.0, 0.9, 0.95, 0.92]), 0.5);
        assert_eq!(at(&[1.0, 0.9, 0.95, 0.92, 0.91, 0.9]), 0.25);
        assert_eq!(at(&[1.0, 0.9, 0.95, 0.92, 0.8, 0.85]), 0.5);
    }

    #[test]
    fn values_out_of_range_are_named() {
        let key = |schedule: Schedule| schedule.validate().unwrap_err().place().key.clone().unwrap();
        let step = |every_epochs, factor| Schedule::Step { every_epochs, factor, warmup_steps: 0 };
        assert_eq!(key(step(0, 0.5)), "train.schedule.every_epochs");
        for factor in [0.0, -1.0, 1.5, f64::NAN] {
            assert_eq!(key(step(1, factor)), "train.schedule.factor");
        }
        assert_eq!(
            key(Schedule::Cosine { final_fraction: f64::NAN, warmup_steps: 0 }),
            "train.schedule.final_fraction"
        );
        assert!(step(1, 1.0).validate().is_ok());
    }

    #[test]
    fn settings_read_as_a_person_writes_them() {
        let read = |text: &str| serde_json::from_str::<Schedule>(text);
        assert_eq!(
            read(r#"{"kind":"cosine","warmup_steps":5}"#).unwrap(),
            Schedule::Cosine { final_fraction: 0.0, warmup_steps: 5 }
        );
        assert!(read(r#"{"kind":"cosine","warmup":5}"#).is_err());
        assert!(read(r#"{"kind":"cosinus"}"#).is_err());
    }
}
