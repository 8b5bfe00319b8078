//! The instance for AVX2 and FMA: two vectors of eight.

use super::simd::{Elements, Lane, Simd, Task, pairs};
use crate::LANES;
use std::arch::x86_64::*;

/// Exists only where AVX2 and FMA were detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(pub(super) ());

impl Avx2 {
    pub(super) fn detect() -> Option<Avx2> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Avx2(()))
    }

    /// Runs a task with these instructions.
    pub(super) fn run<T: Task>(self, task: T) {
        #[target_feature(enable = "avx2,fma")]
        unsafe fn run<T: Task>(task: T, simd: Avx2) {
            task.run(simd);
        }
        // SAFETY: `self` exists only where its instructions were detected.
        unsafe { run(task, self) }
    }
}

/// Eight rows of eight become columns.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn square(rows: [__m256; 8]) -> [__m256; 8] {
    let [a, b, c, d, e, f, g, h] = rows;
    // SAFETY: the caller's.
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

impl Elements for Avx2 {
    type V = [__m256; 2];

    #[inline(always)]
    fn splat(self, value: f32) -> [__m256; 2] {
        [self.part(0).splat(value); 2]
    }

    #[inline(always)]
    fn load(self, from: &Lane) -> [__m256; 2] {
        [self.part(0).load(from), self.part(1).load(from)]
    }

    #[inline(always)]
    fn store(self, value: [__m256; 2], to: &mut Lane) {
        self.part(0).store(value[0], to);
        self.part(1).store(value[1], to);
    }

    #[inline(always)]
    fn add(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        [self.part(0).add(a[0], b[0]), self.part(1).add(a[1], b[1])]
    }

    #[inline(always)]
    fn fma(self, a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        [self.part(0).fma(a[0], b[0], c[0]), self.part(1).fma(a[1], b[1], c[1])]
    }

    #[inline(always)]
    fn relu(self, value: [__m256; 2]) -> [__m256; 2] {
        [self.part(0).relu(value[0]), self.part(1).relu(value[1])]
    }

    #[inline(always)]
    fn max(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        [self.part(0).max(a[0], b[0]), self.part(1).max(a[1], b[1])]
    }

    #[inline(always)]
    fn select_greater(self, a: [__m256; 2], b: [__m256; 2], x: [__m256; 2], y: [__m256; 2]) -> [__m256; 2] {
        [self.part(0).select_greater(a[0], b[0], x[0], y[0]), self.part(1).select_greater(a[1], b[1], x[1], y[1])]
    }

    #[inline(always)]
    fn select_above(self, a: [__m256; 2], b: [__m256; 2], x: [__m256; 2], y: [__m256; 2]) -> [__m256; 2] {
        [self.part(0).select_above(a[0], b[0], x[0], y[0]), self.part(1).select_above(a[1], b[1], x[1], y[1])]
    }

    #[inline(always)]
    fn keep_positive(self, sign: [__m256; 2], x: [__m256; 2]) -> [__m256; 2] {
        [self.part(0).keep_positive(sign[0], x[0]), self.part(1).keep_positive(sign[1], x[1])]
    }

    #[inline(always)]
    fn select_negative(self, sign: [__m256; 2], x: [__m256; 2], y: [__m256; 2]) -> [__m256; 2] {
        [self.part(0).select_negative(sign[0], x[0], y[0]), self.part(1).select_negative(sign[1], x[1], y[1])]
    }

    #[inline(always)]
    fn has_nan(self, value: [__m256; 2]) -> bool {
        self.part(0).has_nan(value[0]) || self.part(1).has_nan(value[1])
    }
}

/// Eight of the numbers of each vector. It comes from [`Simd::part`] of an [`Avx2`] alone.
#[derive(Clone, Copy)]
pub(crate) struct Half {
    /// 0 or 8.
    start: usize,
}

// SAFETY of every block below: an [`Avx2`] exists only where its instructions were detected, and the loads and stores are
// unaligned ones of numbers that the reference covers.
impl Elements for Half {
    type V = __m256;

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, from: &Lane) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_loadu_ps(from.as_ptr().add(self.start)) }
    }

    #[inline(always)]
    fn store(self, value: __m256, to: &mut Lane) {
        // SAFETY: as above.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr().add(self.start), value) }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_add_ps(a, b) }
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
    fn max(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    fn select_greater(self, a: __m256, b: __m256, x: __m256, y: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_blendv_ps(y, x, _mm256_cmp_ps::<_CMP_GT_OQ>(a, b)) }
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
    fn keep_positive(self, sign: __m256, x: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(sign, _mm256_setzero_ps()), x) }
    }

    #[inline(always)]
    fn select_negative(self, sign: __m256, x: __m256, y: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_blendv_ps(y, x, sign) }
    }

    #[inline(always)]
    fn has_nan(self, value: __m256) -> bool {
        // SAFETY: as above.
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_UNORD_Q>(value, value)) != 0 }
    }
}

impl Simd for Avx2 {
    type Part = Half;

    const PARTS: usize = 2;
    const ROWS: usize = 6;
    const POOLED: usize = 2;

    #[inline(always)]
    fn part(self, at: usize) -> Half {
        Half { start: at % 2 * 8 }
    }

    #[inline(always)]
    fn sub(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn div(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn low(self, pairs: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe { pairs.map(|pairs| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_castps_si256(pairs)))) }
    }

    #[inline(always)]
    fn high(self, pairs: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe { pairs.map(|pairs| _mm256_and_ps(pairs, _mm256_castsi256_ps(_mm256_set1_epi32(!0xffff)))) }
    }

    #[inline(always)]
    fn sqrt(self, value: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe { [_mm256_sqrt_ps(value[0]), _mm256_sqrt_ps(value[1])] }
    }

    #[inline(always)]
    fn min(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn round(self, value: [__m256; 2]) -> [__m256; 2] {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        // SAFETY: as above.
        unsafe { value.map(|value| _mm256_round_ps::<NEAREST>(value)) }
    }

    #[inline(always)]
    fn scale(self, value: [__m256; 2], power: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe {
            let factor = |power| {
                let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(power), _mm256_set1_epi32(127));
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
            };
            [_mm256_mul_ps(value[0], factor(power[0])), _mm256_mul_ps(value[1], factor(power[1]))]
        }
    }

    #[inline(always)]
    fn keep_equal(self, a: [__m256; 2], b: [__m256; 2], x: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe {
            [
                _mm256_and_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(a[0], b[0]), x[0]),
                _mm256_and_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(a[1], b[1]), x[1]),
            ]
        }
    }

    #[inline(always)]
    fn transpose(self, from: &[Lane; LANES], to: &mut [Lane; LANES]) {
        for high in 0..2 {
            for right in 0..2 {
                let row = |row: usize| from[8 * high + row].as_chunks::<8>().0[right];
                // SAFETY: as above.
                unsafe {
                    let rows = square([
                        _mm256_loadu_ps(row(0).as_ptr()),
                        _mm256_loadu_ps(row(1).as_ptr()),
                        _mm256_loadu_ps(row(2).as_ptr()),
                        _mm256_loadu_ps(row(3).as_ptr()),
                        _mm256_loadu_ps(row(4).as_ptr()),
                        _mm256_loadu_ps(row(5).as_ptr()),
                        _mm256_loadu_ps(row(6).as_ptr()),
                        _mm256_loadu_ps(row(7).as_ptr()),
                    ]);
                    for (at, row) in rows.into_iter().enumerate() {
                        _mm256_storeu_ps(to[8 * right + at][8 * high..8 * high + 8].as_mut_ptr(), row);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn prefetch(self, from: &f32) {
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(from).cast()) }
    }

    #[inline(always)]
    fn sum(self, value: [__m256; 2]) -> f32 {
        let mut numbers = [0.0; LANES];
        self.store(value, &mut numbers);
        pairs(numbers)
    }
}
