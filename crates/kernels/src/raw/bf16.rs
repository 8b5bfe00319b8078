//! Products of bfloat16 numbers with float32 sums: two numbers of each side lie where one float32 number would, and an
//! instance multiplies both at once. One instance has instructions for it, the other does it by float32 products.

#[cfg(target_arch = "x86_64")]
use super::simd::Task;
use super::simd::{Elements, Lane, Simd};
use crate::LANES;

#[cfg(target_arch = "x86_64")]
use super::avx512::Avx512;
#[cfg(target_arch = "x86_64")]
use std::arch::{asm, x86_64::*};

/// The bfloat16 number that is nearest, the even one of two; NaN stays NaN.
#[inline(always)]
fn round(value: f32) -> u32 {
    let bits = value.to_bits();
    match value.is_nan() {
        true => bits >> 16 | 0x40,
        false => (bits + 0x7fff + (bits >> 16 & 1)) >> 16,
    }
}

/// Both numbers rounded, `low` in the lower half.
#[inline(always)]
pub(crate) fn pair(low: f32, high: f32) -> f32 {
    f32::from_bits(round(low) | round(high) << 16)
}

/// What another instance has.
macro_rules! as_inner {
    (Elements) => {
        as_inner! {
            splat(value: f32) -> Self::V;
            load(from: &Lane) -> Self::V;
            store(value: Self::V, to: &mut Lane);
            add(a: Self::V, b: Self::V) -> Self::V;
            fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
            relu(value: Self::V) -> Self::V;
            max(a: Self::V, b: Self::V) -> Self::V;
            select_greater(a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;
            select_above(a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;
            keep_positive(sign: Self::V, x: Self::V) -> Self::V;
            select_negative(sign: Self::V, x: Self::V, y: Self::V) -> Self::V;
            has_nan(value: Self::V) -> bool;
        }
    };
    (Simd) => {
        as_inner! {
            part(at: usize) -> Self::Part;
            sub(a: Self::V, b: Self::V) -> Self::V;
            mul(a: Self::V, b: Self::V) -> Self::V;
            div(a: Self::V, b: Self::V) -> Self::V;
            low(pairs: Self::V) -> Self::V;
            high(pairs: Self::V) -> Self::V;
            sqrt(value: Self::V) -> Self::V;
            min(a: Self::V, b: Self::V) -> Self::V;
            round(value: Self::V) -> Self::V;
            scale(value: Self::V, power: Self::V) -> Self::V;
            keep_equal(a: Self::V, b: Self::V, x: Self::V) -> Self::V;
            transpose(from: &[Lane; LANES], to: &mut [Lane; LANES]);
            prefetch(from: &f32);
            sum(value: Self::V) -> f32;
        }
    };
    ($($name:ident($($argument:ident: $kind:ty),*) $(-> $result:ty)?;)*) => {
        $(
            #[inline(always)]
            fn $name(self, $($argument: $kind),*) $(-> $result)? {
                self.0.$name($($argument),*)
            }
        )*
    };
}

/// An instance whose products are of pairs.
#[derive(Clone, Copy)]
pub(super) struct Pairs<S>(pub(super) S);

impl<S: Simd> Elements for Pairs<S> {
    type V = S::V;

    as_inner!(Elements);
}

impl<S: Simd> Simd for Pairs<S> {
    type Part = S::Part;

    const PARTS: usize = S::PARTS;
    const ROWS: usize = S::ROWS;
    const POOLED: usize = S::POOLED;
    const PAIRED: bool = true;

    as_inner!(Simd);

    #[inline(always)]
    fn product(self, number: &f32, lane: S::V, sum: S::V) -> S::V {
        self.products(self.splat(*number), lane, sum)
    }

    #[inline(always)]
    fn products(self, a: S::V, b: S::V, sum: S::V) -> S::V {
        self.fma(self.low(a), self.low(b), self.fma(self.high(a), self.high(b), sum))
    }
}

/// A task that runs on another instance's pairs.
#[cfg(target_arch = "x86_64")]
pub(super) struct InPairs<T>(pub(super) T);

#[cfg(target_arch = "x86_64")]
impl<T: Task> Task for InPairs<T> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.0.run(Pairs(simd));
    }
}

/// Exists only where AVX-512 and its instructions for bfloat16 numbers were detected.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx512Bf16(Avx512);

#[cfg(target_arch = "x86_64")]
impl Avx512Bf16 {
    pub(super) fn detect(simd: Avx512) -> Option<Avx512Bf16> {
        (is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512bw")).then_some(Avx512Bf16(simd))
    }

    /// Runs a task with these instructions.
    pub(super) fn run<T: Task>(self, task: T) {
        #[target_feature(enable = "avx512f,avx512bw,avx512bf16,avx2,fma")]
        unsafe fn run<T: Task>(task: T, simd: Avx512Bf16) {
            task.run(simd);
        }
        // SAFETY: `self` exists only where its instructions were detected.
        unsafe { run(task, self) }
    }
}

/// The same bits.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn as_pairs(value: __m512) -> __m512bh {
    // SAFETY: both are 64 bytes of which every value is one.
    unsafe { std::mem::transmute(value) }
}

/// The compiler would load the number by an instruction of its own, which takes a third of the time.
///
/// # Safety
/// The processor has AVX-512 and its instructions for bfloat16 numbers.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn product(number: &f32, lane: __m512, mut sum: __m512) -> __m512 {
    // SAFETY: the caller's; four bytes are read where the reference points to.
    unsafe {
        asm!(
            "vdpbf16ps {sum}, {lane}, dword ptr [{number}]{{1to16}}",
            sum = inout(zmm_reg) sum,
            lane = in(zmm_reg) lane,
            number = in(reg) std::ptr::from_ref(number),
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    sum
}

#[cfg(target_arch = "x86_64")]
impl Elements for Avx512Bf16 {
    type V = __m512;

    as_inner!(Elements);
}

// SAFETY of every block below: the value `self` exists only where its instructions were detected.
#[cfg(target_arch = "x86_64")]
impl Simd for Avx512Bf16 {
    type Part = Avx512;

    const ROWS: usize = Avx512::ROWS;
    const POOLED: usize = Avx512::POOLED;
    const PAIRED: bool = true;

    as_inner!(Simd);

    #[inline(always)]
    fn product(self, number: &f32, lane: __m512, sum: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { product(number, lane, sum) }
    }

    #[inline(always)]
    fn products(self, a: __m512, b: __m512, sum: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_dpbf16_ps(sum, as_pairs(a), as_pairs(b)) }
    }

    #[inline(always)]
    fn pair(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe {
            let low = _mm512_cvtepu16_epi32(std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(a)));
            let high = _mm512_cvtepu16_epi32(std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(b)));
            _mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32::<16>(high)))
        }
    }

    #[inline(always)]
    fn neighbours(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_castsi512_ps(std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(b, a))) }
    }
}
