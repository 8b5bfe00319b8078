//! Activations with their derivatives: both are computed on the way forward, where all that they share is at hand, so that
//! the way back is one product.

use crate::math::{between, erf, exp, ln_1p, sigmoid, tanh};
use crate::parts::{cut, parts};
use crate::raw::{Simd, Task};
use crate::tile::{lanes, lanes_mut};
use crate::{LANES, Workers};

/// A function of single values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x` times the normal distribution function of `x`, by the error function.
    Gelu,
    /// `x · sigmoid(x)`.
    Silu,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `min(max(x / 6 + 1/2, 0), 1)`.
    HardSigmoid,
    /// `x` times its hard sigmoid.
    HardSwish,
    /// The hyperbolic tangent.
    Tanh,
    /// `x · tanh(ln(1 + e^x))`.
    Mish,
    /// `ln(1 + e^x)`.
    Softplus,
    /// `max(x, 0) + slope · min(x, 0)`.
    LeakyRelu {
        /// The slope below 0.
        slope: f32,
    },
    /// `scale` times `x` above 0 and `alpha · (e^x - 1)` below.
    Elu {
        /// How far below 0 it goes.
        alpha: f32,
        /// What all is multiplied by.
        scale: f32,
    },
}

impl Activation {
    /// `y = f(x)` and `slopes = f'(x)`; the gradient of `x` is that of `y` times `slopes`
    /// ([`product_of`](crate::product_of)).
    pub fn forward(self, workers: &Workers, x: &[f32], y: &mut [f32], slopes: &mut [f32]) {
        let ranges = parts(y.len() / LANES, workers.threads());
        let pieces = cut(y, LANES, &ranges).into_iter().zip(cut(slopes, LANES, &ranges)).zip(ranges);
        let tasks = pieces.map(|((y, slopes), range)| {
            let x = &x[range.start * LANES..range.end * LANES];
            Forward { function: self, x, y, slopes }
        });
        workers.run(tasks.collect());
    }

    /// The function and its derivative.
    #[inline(always)]
    pub(crate) fn both<S: Simd>(self, simd: S, x: S::V) -> (S::V, S::V) {
        let (zero, one, half) = (simd.splat(0.0), simd.splat(1.0), simd.splat(0.5));
        match self {
            Activation::Gelu => gelu(simd, x),
            Activation::Silu => {
                let gate = sigmoid(simd, x);
                let y = simd.mul(x, gate);
                // σ + x σ (1 - σ).
                (y, simd.fma(y, simd.sub(one, gate), gate))
            }
            Activation::Sigmoid => {
                let y = sigmoid(simd, x);
                (y, simd.mul(y, simd.sub(one, y)))
            }
            Activation::Tanh => {
                let y = tanh(simd, x);
                (y, simd.sub(one, simd.mul(y, y)))
            }
            Activation::Mish => {
                // With n = e^x (e^x + 2) the tangent is n / (n + 2); behind 20 it is 1 to rounding.
                let power = exp(simd, simd.min(simd.splat(20.0), x));
                let above = simd.mul(power, simd.add(power, simd.splat(2.0)));
                let gate = simd.div(above, simd.add(above, simd.splat(2.0)));
                let share = simd.div(power, simd.add(one, power));
                let slope = simd.mul(share, simd.sub(one, simd.mul(gate, gate)));
                (simd.mul(x, gate), simd.fma(x, slope, gate))
            }
            Activation::Softplus => {
                let size = simd.select_above(x, zero, x, simd.sub(zero, x));
                let rest = ln_1p(simd, exp(simd, simd.sub(zero, size)));
                (simd.add(simd.relu(x), rest), sigmoid(simd, x))
            }
            Activation::Relu6 => {
                let six = simd.splat(6.0);
                let slope = between(simd, x, six, one);
                (simd.min(six, simd.relu(x)), slope)
            }
            Activation::HardSigmoid => {
                let sixth = simd.splat(1.0 / 6.0);
                let line = simd.fma(x, sixth, half);
                let slope = between(simd, line, one, sixth);
                (simd.min(one, simd.relu(line)), slope)
            }
            Activation::HardSwish => {
                let sixth = simd.splat(1.0 / 6.0);
                let line = simd.fma(x, sixth, half);
                let gate = simd.min(one, simd.relu(line));
                let slope = between(simd, line, one, sixth);
                (simd.mul(x, gate), simd.fma(x, slope, gate))
            }
            Activation::LeakyRelu { slope } => {
                let slope = simd.select_above(x, zero, one, simd.splat(slope));
                (simd.mul(x, slope), slope)
            }
            Activation::Elu { alpha, scale } => {
                let (alpha, scale) = (simd.splat(alpha * scale), simd.splat(scale));
                let power = simd.mul(alpha, exp(simd, x));
                let below = simd.sub(power, alpha);
                (simd.select_above(x, zero, simd.mul(scale, x), below), simd.select_above(x, zero, scale, power))
            }
        }
    }
}

/// `x Φ(x)` and `Φ(x) + x φ(x)`.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(simd: S, x: S::V) -> (S::V, S::V) {
    let half = simd.splat(0.5);
    let share = simd.fma(half, erf(simd, simd.mul(x, simd.splat(std::f32::consts::FRAC_1_SQRT_2))), half);
    let density = exp(simd, simd.mul(simd.mul(x, x), simd.splat(-0.5)));
    let slope = simd.fma(simd.mul(x, simd.splat(0.398_942_3)), density, share);
    (simd.mul(x, share), slope)
}

struct Forward<'a> {
    function: Activation,
    x: &'a [f32],
    y: &'a mut [f32],
    slopes: &'a mut [f32],
}

impl Task for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for ((x, y), slope) in lanes(self.x).iter().zip(lanes_mut(self.y)).zip(lanes_mut(self.slopes)) {
            let (value, derivative) = self.function.both(simd, simd.load(x));
            simd.store(value, y);
            simd.store(derivative, slope);
        }
    }
}
