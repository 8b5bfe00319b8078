//! Vectors of eight float32 numbers: one trait, an instance for AVX2 with FMA, and one in plain Rust for all else. Kernels
//! are written once over the trait; which instance runs is chosen at run time, for a whole [`Task`] at a time.

/// Numbers in a vector.
const WIDE: usize = 8;

/// Which instructions are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Whatever the compiler makes of plain Rust for this kind of machine.
    Portable,
    /// AVX2 and FMA, checked when the value was made.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
}

impl Level {
    /// The best that this processor has.
    pub fn detect() -> Level {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Level::Avx2(Avx2(()));
        }
        Level::Portable
    }

    /// Its name, `avx2`.
    pub fn name(self) -> &'static str {
        match self {
            Level::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(_) => "avx2",
        }
    }

    /// Runs a task with these instructions.
    pub(crate) fn run<T: Task>(self, task: T) {
        match self {
            Level::Portable => task.run(Portable),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a value of `Avx2` exists only where AVX2 and FMA were detected.
            Level::Avx2(simd) => unsafe { run_on_avx2(task, simd) },
        }
    }
}

/// Work that is written over the trait. Implementations are `#[inline(always)]`, and so is all that they call in a loop:
/// only then is it compiled for the instance.
pub(crate) trait Task: Send {
    fn run<S: Simd>(self, simd: S);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_on_avx2<T: Task>(task: T, simd: Avx2) {
    task.run(simd);
}

/// Operations on eight numbers at once.
pub(crate) trait Simd: Copy + Send {
    type V: Copy;

    fn splat(self, value: f32) -> Self::V;
    fn load(self, from: &[f32; WIDE]) -> Self::V;
    fn store(self, value: Self::V, to: &mut [f32; WIDE]);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the processor can.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The larger of `value` and 0; NaN stays NaN.
    fn relu(self, value: Self::V) -> Self::V;
    /// For each place `x` where `a > b` or `a` is NaN, else `y`.
    fn select_above(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// For each place `x` where `a == b`, else 0.
    fn keep_equal(self, a: Self::V, b: Self::V, x: Self::V) -> Self::V;
    /// Rows become columns.
    fn transpose(self, rows: [Self::V; WIDE]) -> [Self::V; WIDE];
    /// The eight numbers added up, pair by pair.
    fn sum(self, value: Self::V) -> f32;
}

/// The instance in plain Rust.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Portable {
    #[inline(always)]
    fn zip(a: [f32; WIDE], b: [f32; WIDE], of: impl Fn(f32, f32) -> f32) -> [f32; WIDE] {
        std::array::from_fn(|at| of(a[at], b[at]))
    }
}

impl Simd for Portable {
    type V = [f32; WIDE];

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; WIDE] {
        [value; WIDE]
    }

    #[inline(always)]
    fn load(self, from: &[f32; WIDE]) -> [f32; WIDE] {
        *from
    }

    #[inline(always)]
    fn store(self, value: [f32; WIDE], to: &mut [f32; WIDE]) {
        *to = value;
    }

    #[inline(always)]
    fn add(self, a: [f32; WIDE], b: [f32; WIDE]) -> [f32; WIDE] {
        Portable::zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: [f32; WIDE], b: [f32; WIDE]) -> [f32; WIDE] {
        Portable::zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: [f32; WIDE], b: [f32; WIDE]) -> [f32; WIDE] {
        Portable::zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn fma(self, a: [f32; WIDE], b: [f32; WIDE], c: [f32; WIDE]) -> [f32; WIDE] {
        // Not `mul_add`, which is a call where the processor has no such instruction.
        std::array::from_fn(|at| a[at] * b[at] + c[at])
    }

    #[inline(always)]
    fn relu(self, value: [f32; WIDE]) -> [f32; WIDE] {
        value.map(|value| if value < 0.0 { 0.0 } else { value })
    }

    #[inline(always)]
    fn select_above(self, a: [f32; WIDE], b: [f32; WIDE], x: [f32; WIDE], y: [f32; WIDE]) -> [f32; WIDE] {
        std::array::from_fn(|at| if a[at] > b[at] || a[at].is_nan() { x[at] } else { y[at] })
    }

    #[inline(always)]
    fn keep_equal(self, a: [f32; WIDE], b: [f32; WIDE], x: [f32; WIDE]) -> [f32; WIDE] {
        std::array::from_fn(|at| if a[at] == b[at] { x[at] } else { 0.0 })
    }

    #[inline(always)]
    fn transpose(self, rows: [[f32; WIDE]; WIDE]) -> [[f32; WIDE]; WIDE] {
        std::array::from_fn(|column| std::array::from_fn(|row| rows[row][column]))
    }

    #[inline(always)]
    fn sum(self, value: [f32; WIDE]) -> f32 {
        let [a, b, c, d, e, f, g, h] = value;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Simd, WIDE};
    use std::arch::x86_64::*;

    /// The instance for AVX2 and FMA. Only [`super::Level::detect`] makes one.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Avx2(pub(super) ());

    // SAFETY of every block below: the value `self` exists only where AVX2 and FMA were detected, and the loads and stores
    // are unaligned ones of exactly the eight numbers that the reference covers.
    impl Simd for Avx2 {
        type V = __m256;

        #[inline(always)]
        fn splat(self, value: f32) -> __m256 {
            // SAFETY: as above.
            unsafe { _mm256_set1_ps(value) }
        }

        #[inline(always)]
        fn load(self, from: &[f32; WIDE]) -> __m256 {
            // SAFETY: as above.
            unsafe { _mm256_loadu_ps(from.as_ptr()) }
        }

        #[inline(always)]
        fn store(self, value: __m256, to: &mut [f32; WIDE]) {
            // SAFETY: as above.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), value) }
        }

        #[inline(always)]
        fn add(self, a: __m256, b: __m256) -> __m256 {
            // SAFETY: as above.
            unsafe { _mm256_add_ps(a, b) }
        }

        #[inline(always)]
        fn sub(self, a: __m256, b: __m256) -> __m256 {
            // SAFETY: as above.
            unsafe { _mm256_sub_ps(a, b) }
        }

        #[inline(always)]
        fn mul(self, a: __m256, b: __m256) -> __m256 {
            // SAFETY: as above.
            unsafe { _mm256_mul_ps(a, b) }
        }

        #[inline(always)]
        fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
            // SAFETY: as above.
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }

        #[inline(always)]
        fn relu(self, value: __m256) -> __m256 {
            // The second operand is what comes out where one is NaN.
            // SAFETY: as above.
            unsafe { _mm256_max_ps(_mm256_setzero_ps(), value) }
        }

        #[inline(always)]
        fn select_above(self, a: __m256, b: __m256, x: __m256, y: __m256) -> __m256 {
            // SAFETY: as above.
            unsafe {
                let above = _mm256_cmp_ps::<_CMP_GT_OQ>(a, b);
                let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a);
                _mm256_blendv_ps(y, x, _mm256_or_ps(above, nan))
            }
        }

        #[inline(always)]
        fn keep_equal(self, a: __m256, b: __m256, x: __m256) -> __m256 {
            // SAFETY: as above.
            unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(a, b), x) }
        }

        #[inline(always)]
        fn transpose(self, rows: [__m256; WIDE]) -> [__m256; WIDE] {
            let [a, b, c, d, e, f, g, h] = rows;
            // SAFETY: as above.
            unsafe {
                let (ab0, ab1) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
                let (cd0, cd1) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
                let (ef0, ef1) = (_mm256_unpacklo_ps(e, f), _mm256_unpackhi_ps(e, f));
                let (gh0, gh1) = (_mm256_unpacklo_ps(g, h), _mm256_unpackhi_ps(g, h));
                let (l0, l1) = (_mm256_shuffle_ps::<0x44>(ab0, cd0), _mm256_shuffle_ps::<0xee>(ab0, cd0));
                let (l2, l3) = (_mm256_shuffle_ps::<0x44>(ab1, cd1), _mm256_shuffle_ps::<0xee>(ab1, cd1));
                let (r0, r1) = (_mm256_shuffle_ps::<0x44>(ef0, gh0), _mm256_shuffle_ps::<0xee>(ef0, gh0));
                let (r2, r3) = (_mm256_shuffle_ps::<0x44>(ef1, gh1), _mm256_shuffle_ps::<0xee>(ef1, gh1));
                [
                    _mm256_permute2f128_ps::<0x20>(l0, r0),
                    _mm256_permute2f128_ps::<0x20>(l1, r1),
                    _mm256_permute2f128_ps::<0x20>(l2, r2),
                    _mm256_permute2f128_ps::<0x20>(l3, r3),
                    _mm256_permute2f128_ps::<0x31>(l0, r0),
                    _mm256_permute2f128_ps::<0x31>(l1, r1),
                    _mm256_permute2f128_ps::<0x31>(l2, r2),
                    _mm256_permute2f128_ps::<0x31>(l3, r3),
                ]
            }
        }

        #[inline(always)]
        fn sum(self, value: __m256) -> f32 {
            let mut numbers = [0.0; WIDE];
            self.store(value, &mut numbers);
            let [a, b, c, d, e, f, g, h] = numbers;
            ((a + e) + (c + g)) + ((b + f) + (d + h))
        }
    }
}
