//! The instance for AVX-512: one vector of sixteen, and twice the registers. Zen 4 works at 512 bits in two halves, and loads a
//! number for each product in time; others do two products a cycle, which numbers are not loaded fast enough for.

use super::avx2::Avx2;
use super::bf16::Avx512Bf16;
use super::simd::{Elements, Lane, Numbers, Simd, Task, pairs};
use crate::LANES;
use std::arch::{asm, x86_64::*};

/// Exists only where AVX-512, AVX2 and FMA were detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512 {
    /// Whether a number is loaded once for the products with two vectors.
    double: bool,
}

impl Avx512 {
    /// In the way that suits this processor.
    pub(super) fn detect() -> Option<Avx512> {
        (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"))
            .then(|| Avx512 { double: !is_zen_4() })
    }

    /// The way that suits others.
    pub(super) fn other(self) -> Avx512 {
        Avx512 { double: !self.double }
    }

    /// Its name, `avx512`, or `avx512x2` for products with two vectors.
    pub(super) fn name(self) -> &'static str {
        if self.double { "avx512x2" } else { "avx512" }
    }

    /// What computes products of bfloat16 numbers too, where the processor does.
    pub(super) fn bf16(self) -> Option<Avx512Bf16> {
        Avx512Bf16::detect(self)
    }

    /// Its part for shorter vectors.
    pub(super) fn avx2(self) -> Avx2 {
        Avx2(())
    }

    /// Runs a task with these instructions.
    pub(super) fn run<T: Task>(self, task: T) {
        #[target_feature(enable = "avx512f,avx2,fma")]
        unsafe fn run<T: Task>(task: T, simd: Avx512) {
            task.run(simd);
        }
        // SAFETY: `self` exists only where its instructions were detected.
        unsafe { run(task, self) }
    }
}

/// Whether this is AMD's family 25.
fn is_zen_4() -> bool {
    let (vendor, signature) = (__cpuid(0), __cpuid(1).eax);
    let family = (signature >> 8 & 15) + (signature >> 20 & 255);
    [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD" && family == 25
}

/// The compiler would load the numbers of all rows of a tile first, for which there are not registers enough.
///
/// # Safety
/// The processor has AVX-512.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn product_of_two(number: &f32, lanes: [__m512; 2], mut sums: [__m512; 2]) -> [__m512; 2] {
    // SAFETY: the caller's; four bytes are read where the reference points to.
    unsafe {
        asm!(
            "vbroadcastss {all}, dword ptr [{number}]",
            "vfmadd231ps {first}, {all}, {lane}",
            "vfmadd231ps {second}, {all}, {other}",
            all = out(zmm_reg) _,
            first = inout(zmm_reg) sums[0],
            second = inout(zmm_reg) sums[1],
            lane = in(zmm_reg) lanes[0],
            other = in(zmm_reg) lanes[1],
            number = in(reg) std::ptr::from_ref(number),
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    sums
}

/// Adds the products of `count` terms to two tiles. The compiler would keep other things in the registers of the sums.
///
/// # Safety
/// The processor has AVX-512; `count` is not 0, and so many vectors can be read at each of `right`, and from `left` on what
/// [`Numbers`] says of so many terms and `M` rows.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn multiply_two<const M: usize>(
    [first, second]: [&mut [__m512; M]; 2],
    left: *const f32,
    [step, stride]: [usize; 2],
    right: [*const f32; 2],
    count: usize,
) {
    const SIZE: usize = size_of::<f32>();
    macro_rules! tiles {
        ($($row:literal $one:ident $two:ident $at:literal,)*) => {
            // SAFETY: the caller's.
            unsafe {
                asm!(
                    "/* {half} {stride} {three} {five} */",
                    "2:",
                    "vmovups {lane}, zmmword ptr [{right}]",
                    "vmovups {other}, zmmword ptr [{right} + {apart}]",
                    $(
                        concat!("vbroadcastss {all}, dword ptr [", $at, "]"),
                        concat!("vfmadd231ps {", stringify!($one), "}, {all}, {lane}"),
                        concat!("vfmadd231ps {", stringify!($two), "}, {all}, {other}"),
                    )*
                    "add {left}, {step}",
                    "add {half}, {step}",
                    "add {right}, 64",
                    "dec {count}",
                    "jnz 2b",
                    left = inout(reg) left => _,
                    half = inout(reg) left.wrapping_add(6 * stride) => _,
                    right = inout(reg) right[0] => _,
                    count = inout(reg) count => _,
                    apart = in(reg) right[1].addr().wrapping_sub(right[0].addr()),
                    step = in(reg) step * SIZE,
                    stride = in(reg) stride * SIZE,
                    three = in(reg) 3 * stride * SIZE,
                    five = in(reg) 5 * stride * SIZE,
                    lane = out(zmm_reg) _,
                    other = out(zmm_reg) _,
                    all = out(zmm_reg) _,
                    $($one = inout(zmm_reg) first[$row], $two = inout(zmm_reg) second[$row],)*
                    options(readonly, nostack)
                );
            }
        };
    }
    // A loop for each number of rows, of which an instance has one.
    macro_rules! sizes {
        ([$($rows:tt)*]) => {};
        ([$($rows:tt)*] $size:literal: $row:literal $one:ident $two:ident $at:literal, $($rest:tt)*) => {
            if const { M == $size } {
                tiles!($($rows)* $row $one $two $at,);
            }
            sizes!([$($rows)* $row $one $two $at,] $($rest)*);
        };
    }
    sizes! {
        []
        1: 0 a0 b0 "{left}",
        2: 1 a1 b1 "{left} + {stride}",
        3: 2 a2 b2 "{left} + 2 * {stride}",
        4: 3 a3 b3 "{left} + {three}",
        5: 4 a4 b4 "{left} + 4 * {stride}",
        6: 5 a5 b5 "{left} + {five}",
        7: 6 a6 b6 "{half}",
        8: 7 a7 b7 "{half} + {stride}",
        9: 8 a8 b8 "{half} + 2 * {stride}",
        10: 9 a9 b9 "{half} + {three}",
        11: 10 a10 b10 "{half} + 4 * {stride}",
        12: 11 a11 b11 "{half} + {five}",
    }
}

// SAFETY of every block below: the value `self` exists only where its instructions were detected, and the loads and stores are
// unaligned ones of exactly the sixteen numbers that the reference covers.
impl Elements for Avx512 {
    type V = __m512;

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, from: &Lane) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, value: __m512, to: &mut Lane) {
        // SAFETY: as above.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), value) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn relu(self, value: __m512) -> __m512 {
        // The second operand is what comes out where one is NaN.
        // SAFETY: as above.
        unsafe { _mm512_max_ps(_mm512_setzero_ps(), value) }
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn select_greater(self, a: __m512, b: __m512, x: __m512, y: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b), y, x) }
    }

    #[inline(always)]
    fn select_above(self, a: __m512, b: __m512, x: __m512, y: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe {
            let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b);
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a);
            _mm512_mask_blend_ps(above | nan, y, x)
        }
    }

    #[inline(always)]
    fn keep_positive(self, sign: __m512, x: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLE_UQ>(sign, _mm512_setzero_ps()), x) }
    }

    #[inline(always)]
    fn select_negative(self, sign: __m512, x: __m512, y: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe {
            let negative = _mm512_cmplt_epi32_mask(_mm512_castps_si512(sign), _mm512_setzero_si512());
            _mm512_mask_blend_ps(negative, y, x)
        }
    }

    #[inline(always)]
    fn has_nan(self, value: __m512) -> bool {
        // SAFETY: as above.
        unsafe { _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(value, value) != 0 }
    }
}

impl Simd for Avx512 {
    type Part = Self;

    const ROWS: usize = 12;
    const POOLED: usize = 6;
    const DOUBLE: bool = true;

    #[inline(always)]
    fn part(self, _: usize) -> Self {
        self
    }

    #[inline(always)]
    fn is_double(self) -> bool {
        self.double
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    fn product_of_two(self, number: &f32, lanes: [__m512; 2], sums: [__m512; 2]) -> [__m512; 2] {
        // SAFETY: as above.
        unsafe { product_of_two(number, lanes, sums) }
    }

    #[inline(always)]
    fn multiply_two<const M: usize>(self, tiles: [&mut [__m512; M]; 2], left: Numbers<'_>, right: [&[Lane]; 2]) {
        let Numbers { from, step, stride } = left;
        let count = right[0].len();
        assert!(right[1].len() == count && M <= Self::ROWS, "two tiles of as many terms");
        if count == 0 {
            return;
        }
        let last = (count - 1).saturating_mul(step).saturating_add((M - 1).saturating_mul(stride));
        assert!(last < from.len(), "a number for each term and row");
        // SAFETY: as above; what is read was looked at.
        unsafe { multiply_two(tiles, from.as_ptr(), [step, stride], right.map(|lanes| lanes.as_ptr().cast()), count) }
    }

    #[inline(always)]
    fn low(self, pairs: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_castps_si512(pairs))) }
    }

    #[inline(always)]
    fn high(self, pairs: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(pairs), _mm512_set1_epi32(!0xffff))) }
    }

    #[inline(always)]
    fn sqrt(self, value: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_sqrt_ps(value) }
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn round(self, value: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_roundscale_ps::<0>(value) }
    }

    #[inline(always)]
    fn scale(self, value: __m512, power: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_scalef_ps(value, power) }
    }

    #[inline(always)]
    fn keep_equal(self, a: __m512, b: __m512, x: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b), x) }
    }

    #[inline(always)]
    fn transpose(self, from: &[Lane; LANES], to: &mut [Lane; LANES]) {
        // SAFETY: as above.
        unsafe {
            // Pairs of rows, then fours, then eights, then all: each step halves what lies apart.
            let mut rows = [_mm512_setzero_ps(); LANES];
            for (row, from) in rows.iter_mut().zip(from) {
                *row = _mm512_loadu_ps(from.as_ptr());
            }
            let mut pairs = rows;
            for at in 0..8 {
                pairs[2 * at] = _mm512_unpacklo_ps(rows[2 * at], rows[2 * at + 1]);
                pairs[2 * at + 1] = _mm512_unpackhi_ps(rows[2 * at], rows[2 * at + 1]);
            }
            let mut fours = rows;
            for at in 0..4 {
                let [a, b, c, d] = [pairs[4 * at], pairs[4 * at + 1], pairs[4 * at + 2], pairs[4 * at + 3]];
                fours[4 * at] = _mm512_shuffle_ps::<0x44>(a, c);
                fours[4 * at + 1] = _mm512_shuffle_ps::<0xee>(a, c);
                fours[4 * at + 2] = _mm512_shuffle_ps::<0x44>(b, d);
                fours[4 * at + 3] = _mm512_shuffle_ps::<0xee>(b, d);
            }
            for at in 0..4 {
                let [a, b, c, d] = [fours[at], fours[at + 4], fours[at + 8], fours[at + 12]];
                let (ab0, ab1) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
                let (cd0, cd1) = (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xdd>(c, d));
                _mm512_storeu_ps(to[at].as_mut_ptr(), _mm512_shuffle_f32x4::<0x88>(ab0, cd0));
                _mm512_storeu_ps(to[at + 4].as_mut_ptr(), _mm512_shuffle_f32x4::<0x88>(ab1, cd1));
                _mm512_storeu_ps(to[at + 8].as_mut_ptr(), _mm512_shuffle_f32x4::<0xdd>(ab0, cd0));
                _mm512_storeu_ps(to[at + 12].as_mut_ptr(), _mm512_shuffle_f32x4::<0xdd>(ab1, cd1));
            }
        }
    }

    #[inline(always)]
    fn prefetch(self, from: &f32) {
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(from).cast()) }
    }

    #[inline(always)]
    fn sum(self, value: __m512) -> f32 {
        let mut numbers = [0.0; LANES];
        self.store(value, &mut numbers);
        pairs(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Both tiles after they began with 1 and 2.
    fn tiles<const M: usize>(simd: Avx512, left: Numbers<'_>, right: [&[Lane]; 2]) -> [[Lane; M]; 2] {
        let mut sums = [[simd.splat(1.0); M], [simd.splat(2.0); M]];
        let [first, second] = &mut sums;
        simd.multiply_two([first, second], left, right);
        let mut found = [[[0.0; LANES]; M]; 2];
        for (sum, to) in sums.as_flattened().iter().zip(found.as_flattened_mut()) {
            simd.store(*sum, to);
        }
        found
    }

    /// Whole numbers, so that the order in which they are added up does not matter.
    fn lies_evenly<const M: usize>(simd: Avx512) {
        let right: Vec<Lane> = (0..9u8).map(|term| std::array::from_fn(|lane| f32::from(term) - lane as f32)).collect();
        for (step, stride) in [(M, 1), (1, 16), (1, 23), (29, 1), (1, 1)] {
            for count in 0..right.len() {
                let needed = count.saturating_sub(1) * step + (M - 1) * stride + 1;
                let from: Vec<f32> = (0..needed).map(|at| (at % 31) as f32 - 9.0).collect();
                let right = [&right[..count], &right[right.len() - count..]];
                let found = tiles::<M>(simd, Numbers { from: &from, step, stride }, right);
                for (tile, (right, begin)) in found.iter().zip(right.into_iter().zip([1.0, 2.0])) {
                    for (row, sums) in tile.iter().enumerate() {
                        for (lane, sum) in sums.iter().enumerate() {
                            let number = |term: usize| from[term * step + row * stride] * right[term][lane];
                            assert_eq!(
                                *sum,
                                begin + (0..count).map(number).sum::<f32>(),
                                "{M} {step} {stride} {count}"
                            );
                        }
                    }
                }
                if count > 0 {
                    let short = Numbers { from: &from[1..], step, stride };
                    assert!(catch_unwind(AssertUnwindSafe(|| tiles::<M>(simd, short, right))).is_err());
                    let short = Numbers { from: &from, step, stride };
                    let uneven = [right[0], &right[1][1..]];
                    assert!(catch_unwind(AssertUnwindSafe(|| tiles::<M>(simd, short, uneven))).is_err());
                }
            }
        }
    }

    #[test]
    fn two_tiles_are_multiplied_with_numbers_that_are_there() {
        let Some(simd) = Avx512::detect() else { return };
        macro_rules! all {
            ($($rows:literal)*) => { $(lies_evenly::<$rows>(simd);)* };
        }
        all!(1 2 3 4 5 6 7 8 9 10 11 12);
    }
}
