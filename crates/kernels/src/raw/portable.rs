//! The instance in plain Rust.

use super::simd::{Elements, Lane, Simd, pairs};
use crate::LANES;

#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Portable {
    #[inline(always)]
    fn zip(a: Lane, b: Lane, of: impl Fn(f32, f32) -> f32) -> Lane {
        std::array::from_fn(|at| of(a[at], b[at]))
    }
}

impl Elements for Portable {
    type V = Lane;

    #[inline(always)]
    fn splat(self, value: f32) -> Lane {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, from: &Lane) -> Lane {
        *from
    }

    #[inline(always)]
    fn store(self, value: Lane, to: &mut Lane) {
        *to = value;
    }

    #[inline(always)]
    fn add(self, a: Lane, b: Lane) -> Lane {
        Portable::zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn fma(self, a: Lane, b: Lane, c: Lane) -> Lane {
        // Where the processor has no such instruction, `mul_add` is a call.
        let fused = cfg!(any(target_arch = "aarch64", target_feature = "fma"));
        std::array::from_fn(|at| if fused { a[at].mul_add(b[at], c[at]) } else { a[at] * b[at] + c[at] })
    }

    #[inline(always)]
    fn relu(self, value: Lane) -> Lane {
        value.map(|value| if value < 0.0 { 0.0 } else { value })
    }

    #[inline(always)]
    fn max(self, a: Lane, b: Lane) -> Lane {
        Portable::zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn select_greater(self, a: Lane, b: Lane, x: Lane, y: Lane) -> Lane {
        std::array::from_fn(|at| if a[at] > b[at] { x[at] } else { y[at] })
    }

    #[inline(always)]
    fn select_above(self, a: Lane, b: Lane, x: Lane, y: Lane) -> Lane {
        std::array::from_fn(|at| if a[at] > b[at] || a[at].is_nan() { x[at] } else { y[at] })
    }

    #[inline(always)]
    fn keep_positive(self, sign: Lane, x: Lane) -> Lane {
        Portable::zip(sign, x, |sign, x| if sign > 0.0 || sign.is_nan() { x } else { 0.0 })
    }

    #[inline(always)]
    fn select_negative(self, sign: Lane, x: Lane, y: Lane) -> Lane {
        std::array::from_fn(|at| if sign[at].is_sign_negative() { x[at] } else { y[at] })
    }

    #[inline(always)]
    fn has_nan(self, value: Lane) -> bool {
        value.iter().any(|value| value.is_nan())
    }
}

impl Simd for Portable {
    type Part = Self;

    const ROWS: usize = 6;
    const POOLED: usize = 1;

    #[inline(always)]
    fn part(self, _: usize) -> Self {
        self
    }

    #[inline(always)]
    fn sub(self, a: Lane, b: Lane) -> Lane {
        Portable::zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Lane, b: Lane) -> Lane {
        Portable::zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Lane, b: Lane) -> Lane {
        Portable::zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn low(self, pairs: Lane) -> Lane {
        pairs.map(|pair| f32::from_bits(pair.to_bits() << 16))
    }

    #[inline(always)]
    fn high(self, pairs: Lane) -> Lane {
        pairs.map(|pair| f32::from_bits(pair.to_bits() & 0xffff_0000))
    }

    #[inline(always)]
    fn sqrt(self, value: Lane) -> Lane {
        value.map(f32::sqrt)
    }

    #[inline(always)]
    fn min(self, a: Lane, b: Lane) -> Lane {
        Portable::zip(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn round(self, value: Lane) -> Lane {
        // Behind 1.5 · 2^23 there are no halves.
        const LARGE: f32 = 12_582_912.0;
        value.map(|value| (value + LARGE) - LARGE)
    }

    #[inline(always)]
    fn scale(self, value: Lane, power: Lane) -> Lane {
        Portable::zip(value, power, |value, power| value * f32::from_bits(((power as i32 + 127) << 23) as u32))
    }

    #[inline(always)]
    fn keep_equal(self, a: Lane, b: Lane, x: Lane) -> Lane {
        std::array::from_fn(|at| if a[at] == b[at] { x[at] } else { 0.0 })
    }

    #[inline(always)]
    fn transpose(self, from: &[Lane; LANES], to: &mut [Lane; LANES]) {
        *to = std::array::from_fn(|column| std::array::from_fn(|row| from[row][column]));
    }

    #[inline(always)]
    fn prefetch(self, _: &f32) {}

    #[inline(always)]
    fn sum(self, value: Lane) -> f32 {
        pairs(value)
    }
}
