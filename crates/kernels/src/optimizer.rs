//! The rules of optimisers over flat buffers: one pass that reads the gradient once and writes weights and memory once. The
//! mathematics is torch.optim's; how settings become these numbers is lepton-nn's.

use crate::Workers;
use crate::parts::{cut, cut_each, parts};
use crate::raw::{Simd, Task};
use std::ops::Range;

/// Weights that share a line of the cache.
const LINE: usize = 16;

/// One step of an optimiser, with its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Adam and AdamW; buffers are the first and the second moment.
    Adam {
        /// The learning rate over the correction of the first moment.
        step_size: f32,
        /// One over the root of the correction of the second moment.
        root_correction: f32,
        /// What is kept and added of the first moment.
        first: [f32; 2],
        /// What is kept and added of the second moment.
        second: [f32; 2],
        /// Added to the root.
        epsilon: f32,
        /// What is kept of each weight.
        shrink: f32,
        /// Weight decay that is added to the gradient.
        pull: f32,
    },
    /// RMSprop; the buffer is the mean square.
    Rmsprop {
        /// The learning rate.
        rate: f32,
        /// What is kept and added of the mean square.
        square: [f32; 2],
        /// Added to the root.
        epsilon: f32,
        /// Weight decay.
        pull: f32,
    },
    /// Lion; the buffer is the mean of gradients.
    Lion {
        /// The learning rate.
        rate: f32,
        /// The two decays.
        betas: [f32; 2],
        /// What is kept of each weight.
        shrink: f32,
    },
    /// Gradient descent with momentum; the buffer is the last step.
    Sgd {
        /// The learning rate.
        rate: f32,
        /// What is kept of the last step.
        keep: f32,
        /// Weight decay.
        pull: f32,
    },
}

impl Rule {
    /// One step of all weights; `buffers` are as many as the rule needs and as long as the weights.
    pub fn update(&self, workers: &Workers, weights: &mut [f32], gradient: &[f32], buffers: &mut [&mut [f32]]) {
        // Whole lines, so that no two threads write to one.
        let lines = parts(weights.len().div_ceil(LINE), workers.threads());
        let end = weights.len();
        let ranges: Vec<_> = lines.iter().map(|range| range.start * LINE..(range.end * LINE).min(end)).collect();
        let buffers = cut_each(buffers.iter_mut().map(|buffer| &mut **buffer), 1, &ranges);
        let pieces = cut(weights, 1, &ranges).into_iter().zip(buffers).zip(ranges);
        workers.run(
            pieces
                .map(|((weights, buffers), range)| Update { rule: *self, weights, gradient: &gradient[range], buffers })
                .collect(),
        );
    }

    /// As [`Rule::update`] on this thread, with plain instructions; the same to the bit.
    pub fn update_piece(&self, weights: &mut [f32], gradient: &[f32], buffers: &mut [&mut [f32]]) {
        apply(self, weights, gradient, buffers);
    }
}

impl Rule {
    /// One step of some of the weights, which are at `own`, also in each buffer; `gradient` is theirs alone.
    #[inline(always)]
    pub(crate) fn apply_at(
        &self,
        own: Range<usize>,
        weights: &mut [f32],
        gradient: &[f32],
        buffers: &mut [&mut [f32]],
    ) {
        let weights = &mut weights[own.clone()];
        match buffers {
            [one] => apply(self, weights, gradient, &mut [&mut one[own]]),
            [one, two] => apply(self, weights, gradient, &mut [&mut one[own.clone()], &mut two[own]]),
            _ => {}
        }
    }
}

struct Update<'a> {
    rule: Rule,
    weights: &'a mut [f32],
    gradient: &'a [f32],
    buffers: Vec<&'a mut [f32]>,
}

impl Task for Update<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, _: S) {
        apply(&self.rule, self.weights, self.gradient, &mut self.buffers);
    }
}

/// The rules, in plain operations that are rounded one by one, so that every instance gives the same bits.
#[inline(always)]
fn apply(rule: &Rule, weights: &mut [f32], gradient: &[f32], buffers: &mut [&mut [f32]]) {
    let slopes = gradient.iter().copied();
    match (*rule, buffers) {
        (Rule::Adam { step_size, root_correction, first, second, epsilon, shrink, pull }, [m, v]) => {
            for (((weight, slope), m), v) in weights.iter_mut().zip(slopes).zip(m.iter_mut()).zip(v.iter_mut()) {
                let slope = slope + pull * *weight;
                *m = first[0] * *m + first[1] * slope;
                *v = second[0] * *v + second[1] * slope * slope;
                *weight = shrink * *weight - step_size * *m / (v.sqrt() * root_correction + epsilon);
            }
        }
        (Rule::Rmsprop { rate, square, epsilon, pull }, [squares]) => {
            for ((weight, slope), mean) in weights.iter_mut().zip(slopes).zip(squares.iter_mut()) {
                let slope = slope + pull * *weight;
                *mean = square[0] * *mean + square[1] * slope * slope;
                *weight -= rate * slope / (mean.sqrt() + epsilon);
            }
        }
        (Rule::Lion { rate, betas, shrink }, [momentum]) => {
            for ((weight, slope), mean) in weights.iter_mut().zip(slopes).zip(momentum.iter_mut()) {
                let towards = betas[0] * *mean + (1.0 - betas[0]) * slope;
                let sign = if towards == 0.0 { 0.0 } else { towards.signum() };
                *weight = shrink * *weight - rate * sign;
                *mean = betas[1] * *mean + (1.0 - betas[1]) * slope;
            }
        }
        (Rule::Sgd { rate, keep, pull }, [momentum]) => {
            for ((weight, slope), velocity) in weights.iter_mut().zip(slopes).zip(momentum.iter_mut()) {
                *velocity = keep * *velocity + slope + pull * *weight;
                *weight -= rate * *velocity;
            }
        }
        _ => {}
    }
}
