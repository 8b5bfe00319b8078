//! Domain-adversarial training (Ganin and others 2016): a small head learns to tell the domains of hidden rows apart, and
//! hands the network its gradient reversed, so that the network learns rows that have no domain. The head is no part of
//! the network and is dropped after training.

use crate::Rows;
use lepton_core::{Error, ErrorCode, Result, Seed};
use rand_chacha::rand_core::Rng;
use serde::{Deserialize, Serialize};

/// Units of the head's hidden layer.
const UNITS: usize = 64;

/// How strongly a domain loss acts after `progress`, 0 to 1, of the training: from 0 to `most` along
/// `2 / (1 + exp(-10 p)) - 1`, as the paper has it, so that a head that knows nothing yet does not mislead the network.
pub fn reversal_strength(progress: f64, most: f64) -> f64 {
    most * (2.0 / (1.0 + (-10.0 * progress.clamp(0.0, 1.0)).exp()) - 1.0)
}

/// A dense layer of 64 units with ReLU and a logit, which learn by Adam (Kingma and Ba 2015).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainHead {
    width: usize,
    /// Weights `[UNITS, width]`, biases, weights of the logit, its bias; and Adam's two moments of each.
    parameters: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
    steps: i32,
}

impl DomainHead {
    /// A head for rows of that many features.
    pub fn new(width: usize, seed: Seed) -> DomainHead {
        let count = UNITS * width + 2 * UNITS + 1;
        let mut rng = seed.rng("domain head", &[]);
        let mut uniform = |fan_in: usize| {
            let unit = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
            ((2.0 * unit - 1.0) / (fan_in.max(1) as f64).sqrt()) as f32
        };
        let hidden = UNITS * width + UNITS;
        let parameters = (0..count).map(|place| uniform(if place < hidden { width } else { UNITS })).collect();
        DomainHead { width, parameters, first: vec![0.0; count], second: vec![0.0; count], steps: 0 }
    }

    /// One step of the head over a batch whose domains are known. Gives the mean binary cross entropy of the domains
    /// before the step, and the reversed gradient of it by every value of the rows: its negative.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] for rows of another width, or not one domain for each.
    pub fn step(&mut self, rows: &Rows<'_>, is_target: &[bool], learning_rate: f64) -> Result<(f64, Vec<f32>)> {
        if rows.width() != self.width || rows.len() != is_target.len() {
            let message = format!(
                "{} rows of {} features and {} domains, where the head takes rows of {}",
                rows.len(),
                rows.width(),
                is_target.len(),
                self.width
            );
            return Err(Error::new(ErrorCode::Shape, message));
        }
        let (width, count) = (self.width, rows.len().max(1) as f64);
        let mut slopes = vec![0.0f64; self.parameters.len()];
        let mut reversed = Vec::with_capacity(rows.values().len());
        let mut loss = 0.0;
        let (weights, rest) = self.parameters.split_at(UNITS * width);
        let (biases, rest) = rest.split_at(UNITS);
        let (out, bias) = rest.split_at(UNITS);
        for (row, &is_target) in rows.iter().zip(is_target) {
            let lines = weights.chunks_exact(width.max(1));
            let hidden: Vec<f64> = lines
                .zip(biases)
                .map(|(line, bias)| f64::from(line.iter().zip(row).map(|(w, x)| w * x).sum::<f32>() + bias).max(0.0))
                .collect();
            let logit = f64::from(bias[0]) + hidden.iter().zip(out).map(|(h, w)| h * f64::from(*w)).sum::<f64>();
            let truth = f64::from(u8::from(is_target));
            loss += (logit.max(0.0) - truth * logit + (-logit.abs()).exp().ln_1p()) / count;
            let slope = (1.0 / (1.0 + (-logit).exp()) - truth) / count;
            let mut back = vec![0.0f64; width];
            for (unit, &active) in hidden.iter().enumerate() {
                slopes[UNITS * width + UNITS + unit] += slope * active;
                if active > 0.0 {
                    let slope = slope * f64::from(out[unit]);
                    let line = unit * width..(unit + 1) * width;
                    slopes[UNITS * width + unit] += slope;
                    slopes[line.clone()].iter_mut().zip(row).for_each(|(sum, x)| *sum += slope * f64::from(*x));
                    back.iter_mut().zip(&weights[line]).for_each(|(sum, w)| *sum += slope * f64::from(*w));
                }
            }
            if let Some(last) = slopes.last_mut() {
                *last += slope;
            }
            reversed.extend(back.into_iter().map(|slope| -slope as f32));
        }
        self.learn(&slopes, learning_rate);
        Ok((loss, reversed))
    }

    fn learn(&mut self, slopes: &[f64], rate: f64) {
        const DECAYS: [f64; 2] = [0.9, 0.999];
        self.steps = self.steps.saturating_add(1);
        let correct = DECAYS.map(|decay| 1.0 - decay.powi(self.steps));
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((parameter, (first, second)), &slope) in self.parameters.iter_mut().zip(moments).zip(slopes) {
            *first = (DECAYS[0] * f64::from(*first) + (1.0 - DECAYS[0]) * slope) as f32;
            *second = (DECAYS[1] * f64::from(*second) + (1.0 - DECAYS[1]) * slope * slope) as f32;
            let step = f64::from(*first) / correct[0] / ((f64::from(*second) / correct[1]).sqrt() + 1e-8);
            *parameter -= (rate * step) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [f32; 12] = [0.5, 1.0, 0.2, 0.9, 0.7, 1.2, -0.6, 0.1, -0.4, -0.8, -1.0, 0.3];
    const DOMAINS: [bool; 6] = [false, false, false, true, true, true];

    #[test]
    fn a_head_learns_to_tell_domains_apart_and_repeats_by_seed() {
        let rows = Rows::new(&ROWS, 2).unwrap();
        let train = |seed| {
            let mut head = DomainHead::new(2, Seed(seed));
            let losses: Vec<f64> = (0..200).map(|_| head.step(&rows, &DOMAINS, 0.01).unwrap().0).collect();
            (losses[0], losses[199], head)
        };
        let (first, last, head) = train(1);
        assert!(first > 0.5 && last < 0.1, "{first} {last}");
        assert_eq!(head, train(1).2);
        assert_ne!(head, train(2).2);
    }

    #[test]
    fn the_reversed_gradient_is_the_negative_slope() {
        let head = DomainHead::new(2, Seed(5));
        let loss = |values: &[f32]| head.clone().step(&Rows::new(values, 2).unwrap(), &DOMAINS, 0.0).unwrap().0;
        let (_, reversed) = head.clone().step(&Rows::new(&ROWS, 2).unwrap(), &DOMAINS, 0.0).unwrap();
        for place in 0..ROWS.len() {
            let moved = |by: f32| {
                let mut values = ROWS;
                values[place] += by;
                loss(&values)
            };
            let slope = (moved(1e-3) - moved(-1e-3)) / 2e-3;
            assert!((slope + f64::from(reversed[place])).abs() < 1e-4, "{place}: {slope} {}", reversed[place]);
        }
    }

    #[test]
    fn the_strength_rises_from_nothing_and_wrong_rows_are_refused() {
        assert_eq!(reversal_strength(0.0, 2.0), 0.0);
        assert!((reversal_strength(1.0, 2.0) - 2.0).abs() < 1e-3);
        assert!(reversal_strength(0.1, 1.0) < reversal_strength(0.2, 1.0));
        let mut head = DomainHead::new(3, Seed(1));
        assert!(head.step(&Rows::new(&ROWS, 2).unwrap(), &DOMAINS, 0.1).is_err());
        assert!(head.step(&Rows::new(&ROWS, 3).unwrap(), &DOMAINS, 0.1).is_err());
    }
}
