//! Functions of single values over vectors: what gates, softmax and activations need.

use crate::raw::Simd;

/// `a + x · (b + x · (c + ..))`, from the highest coefficient on.
#[inline(always)]
pub(crate) fn polynomial<S: Simd, const N: usize>(simd: S, x: S::V, coefficients: [f32; N]) -> S::V {
    let mut value = simd.splat(coefficients[0]);
    for coefficient in coefficients.into_iter().skip(1) {
        value = simd.fma(value, x, simd.splat(coefficient));
    }
    value
}

/// `slope` where `0 < x < most`, else 0, also where `x` is NaN: the gradient in front of `min(most, max(x, 0))`.
#[inline(always)]
pub(crate) fn between<S: Simd>(simd: S, x: S::V, most: S::V, slope: S::V) -> S::V {
    simd.keep_positive(x, simd.select_above(most, x, slope, simd.splat(0.0)))
}

/// `e^x` to 2 units in the last place (the method of Cephes); `x` counts as at least -87 and at most 88. NaN stays NaN.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::V) -> S::V {
    let x = simd.min(simd.splat(88.0), simd.max(simd.splat(-87.0), x));
    let power = simd.round(simd.mul(x, simd.splat(std::f32::consts::LOG2_E)));
    // ln 2 in two parts, of which the first has so few bits that its products are exact.
    let rest = simd.fma(power, simd.splat(-0.693_359_4), x);
    let rest = simd.fma(power, simd.splat(2.121_944_4e-4), rest);
    let tail =
        polynomial(simd, rest, [1.987_569_2e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.0e-1]);
    let value = simd.add(simd.fma(simd.mul(rest, rest), tail, rest), simd.splat(1.0));
    simd.scale(value, power)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(simd: S, x: S::V) -> S::V {
    let one = simd.splat(1.0);
    simd.div(one, simd.add(one, exp(simd, simd.sub(simd.splat(0.0), x))))
}

/// The hyperbolic tangent: an odd polynomial over an even one, of degree 4 in `x²` both, for `|x| <= 9`, and behind that ±1,
/// which it is there to rounding. The coefficients are fitted as those of [`erf`] (2.1e-8).
#[inline(always)]
pub(crate) fn tanh<S: Simd>(simd: S, x: S::V) -> S::V {
    let x = simd.min(simd.splat(9.0), simd.max(simd.splat(-9.0), x));
    let square = simd.mul(x, x);
    let above = polynomial(simd, square, [1.335_551_5e-8, 2.060_976_8e-5, 3.495_632_7e-3, 1.338_106_4e-1, 1.0]);
    let below = polynomial(simd, square, [7.776_928e-7, 3.285_705_8e-4, 2.587_715_5e-2, 4.671_438e-1, 1.0]);
    let value = simd.div(simd.mul(x, above), below);
    simd.min(simd.splat(1.0), simd.max(simd.splat(-1.0), value))
}

/// `ln(1 + x)` for `x` from 0 to 1, by the series of the inverse hyperbolic tangent of `x / (2 + x)`, which is at most 1/3.
#[inline(always)]
pub(crate) fn ln_1p<S: Simd>(simd: S, x: S::V) -> S::V {
    let ratio = simd.div(x, simd.add(x, simd.splat(2.0)));
    let square = simd.mul(ratio, ratio);
    let odd = [2.0 / 15.0, 2.0 / 13.0, 2.0 / 11.0, 2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0, 2.0];
    simd.mul(ratio, polynomial(simd, square, odd))
}

/// The error function: an odd polynomial over an even one, each of degree 5 in `x²`, for `|x| <= 3.8`, and behind that what
/// comes out there, which is ±1 to rounding. The coefficients are a least-squares fit of the relative error over 4,000 points
/// with weights that were raised where the error was largest, until it was nearly the same at all of its peaks (1.2e-8).
#[inline(always)]
pub(crate) fn erf<S: Simd>(simd: S, x: S::V) -> S::V {
    let x = simd.min(simd.splat(3.8), simd.max(simd.splat(-3.8), x));
    let square = simd.mul(x, x);
    let above = polynomial(
        simd,
        square,
        [2.151_033_6e-6, 2.865_093e-4, 3.615_086e-3, 5.231_076e-2, 1.862_498_5e-1, std::f32::consts::FRAC_2_SQRT_PI],
    );
    let below =
        polynomial(simd, square, [3.921_353e-5, 1.135_103_6e-3, 1.466_729e-2, 1.124_920_6e-1, 4.983_926e-1, 1.0]);
    simd.div(simd.mul(x, above), below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::{Lane, Level, Task};
    use crate::{LANES, Workers};

    /// A function of single values that is computed by each instance.
    enum Function {
        Exp,
        Sigmoid,
        Tanh,
        Erf,
    }

    struct Apply<'a>(&'a Function, &'a Lane, &'a mut Lane);

    impl Task for Apply<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            let x = simd.load(self.1);
            let y = match self.0 {
                Function::Exp => exp(simd, x),
                Function::Sigmoid => sigmoid(simd, x),
                Function::Tanh => tanh(simd, x),
                Function::Erf => erf(simd, x),
            };
            simd.store(y, self.2);
        }
    }

    /// The largest error, in parts of the value, over `[-limit, limit]`, by every instance.
    fn worst(function: &Function, limit: f64, reference: impl Fn(f64) -> f64) -> f64 {
        let mut worst = 0.0_f64;
        for level in Level::all() {
            let workers = Workers::new(1, level).unwrap();
            for step in (0..20_000).step_by(if cfg!(miri) { 1000 } else { 1 }) {
                let x: Lane = std::array::from_fn(|at| {
                    ((f64::from(step * LANES as u32 + at as u32) / 160_000.0 - 1.0) * limit) as f32
                });
                let mut y = [0.0; LANES];
                workers.run(vec![Apply(function, &x, &mut y)]);
                for (x, y) in x.into_iter().zip(y) {
                    let exact = reference(f64::from(x));
                    worst = worst.max((f64::from(y) - exact).abs() / exact.abs().max(1e-30));
                }
            }
            let mut y = [0.0; LANES];
            workers.run(vec![Apply(function, &[f32::NAN; LANES], &mut y)]);
            assert!(y.iter().all(|value| value.is_nan()), "{}", level.name());
        }
        worst
    }

    /// The error function by its series and, far out, by the continued fraction of what is missing to 1.
    fn exact_erf(x: f64) -> f64 {
        let (far, square) = (x.abs() > 3.0, x * x);
        if far {
            let rest = (1..80).rev().fold(0.0, |rest, at| f64::from(at) / 2.0 / (x.abs() + rest));
            let missing = (-square).exp() / std::f64::consts::PI.sqrt() / (x.abs() + rest);
            return x.signum() * (1.0 - missing);
        }
        let (mut term, mut sum) = (x, x);
        for at in 1..80 {
            term *= -square / f64::from(at);
            sum += term / f64::from(2 * at + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn functions_are_exact_to_a_few_units_in_the_last_place() {
        let unit = f64::from(f32::EPSILON);
        for (function, limit, units, reference) in [
            (Function::Exp, 86.0, 3.0, f64::exp as fn(f64) -> f64),
            (Function::Sigmoid, 60.0, 4.0, |x| 1.0 / (1.0 + (-x).exp())),
            (Function::Tanh, 20.0, 4.0, f64::tanh),
            (Function::Erf, 6.0, 5.0, exact_erf),
        ] {
            let worst = worst(&function, limit, reference) / unit;
            assert!(worst <= units, "{worst} units");
        }
    }
}
