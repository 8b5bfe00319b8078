//! Vectors of [`LANES`] float32 numbers: one trait, instances for AVX-512 and for AVX2 with FMA, and one in plain Rust for all
//! else. Kernels are written once over the trait; which instance runs is chosen at run time, for a whole [`Task`] at a time.

use super::bf16::{Pairs, pair};
use crate::{LANES, Precision};

#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, avx512::Avx512, bf16::InPairs};

/// A vector in memory.
pub(crate) type Lane = [f32; LANES];

/// Numbers that lie evenly: that of a term and a row at `term * step + row * stride`.
#[derive(Clone, Copy)]
pub(crate) struct Numbers<'a> {
    pub(crate) from: &'a [f32],
    pub(crate) step: usize,
    pub(crate) stride: usize,
}

/// Which instructions are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Whatever the compiler makes of plain Rust for this kind of machine: NEON on every 64-bit ARM processor.
    Portable,
    /// AVX2 and FMA, checked when the value was made.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// AVX-512 as well, checked when the value was made.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Level {
    /// The best that this processor has.
    pub fn detect() -> Level {
        Level::all().pop().unwrap_or(Level::Portable)
    }

    /// All that this processor has, the best last.
    pub fn all() -> Vec<Level> {
        #[allow(unused_mut)]
        let mut all = vec![Level::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(Avx2::detect().map(Level::Avx2));
            all.extend(Avx512::detect().into_iter().flat_map(|best| [best.other(), best]).map(Level::Avx512));
        }
        all
    }

    /// Its name, `avx2`.
    pub fn name(self) -> &'static str {
        match self {
            Level::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(simd) => simd.name(),
        }
    }

    /// Most rows of a tile.
    pub(crate) fn rows(self) -> usize {
        match self {
            Level::Portable => super::portable::Portable::ROWS,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(_) => Avx2::ROWS,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => Avx512::ROWS,
        }
    }

    /// Most channels of a tile of four places each.
    pub(crate) fn pooled(self) -> usize {
        match self {
            Level::Portable => super::portable::Portable::POOLED,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(_) => Avx2::POOLED,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => Avx512::POOLED,
        }
    }

    /// Whether tiles of products of that precision come in twos. Where a processor has instructions for bfloat16 numbers it is not
    /// known to gain by it.
    pub(crate) fn is_double(self, precision: Precision) -> bool {
        match (self, precision) {
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512(simd), Precision::Float32) => simd.is_double(),
            _ => false,
        }
    }

    /// Whether it has instructions for products of bfloat16 numbers.
    pub fn has_bf16(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(simd) => simd.bf16().is_some(),
            _ => false,
        }
    }

    /// The best that computes in a precision.
    pub(super) fn of(self, precision: Precision) -> Level {
        match (precision, self) {
            #[cfg(target_arch = "x86_64")]
            (Precision::Bf16, Level::Avx512(simd)) if simd.bf16().is_none() => Level::Avx2(simd.avx2()),
            _ => self,
        }
    }

    /// Runs a task whose products are of that precision.
    pub(crate) fn multiply<T: Task>(self, precision: Precision, task: T) {
        match precision {
            Precision::Float32 => self.run(task),
            Precision::Bf16 => match self {
                Level::Portable => task.run(Pairs(super::portable::Portable)),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2(simd) => simd.run(InPairs(task)),
                #[cfg(target_arch = "x86_64")]
                Level::Avx512(simd) => match simd.bf16() {
                    Some(simd) => simd.run(task),
                    None => simd.avx2().run(InPairs(task)),
                },
            },
        }
    }

    /// Runs a task with these instructions.
    pub(crate) fn run<T: Task>(self, task: T) {
        match self {
            Level::Portable => task.run(super::portable::Portable),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(simd) => simd.run(task),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(simd) => simd.run(task),
        }
    }
}

/// Work that is written over the trait. Implementations are `#[inline(always)]`, and so is all that they call in a loop:
/// only then is it compiled for the instance.
pub(crate) trait Task: Send {
    fn run<S: Simd>(self, simd: S);
}

/// Operations on the numbers of a vector, or of a part of it, each for itself.
pub(crate) trait Elements: Copy + Send {
    type V: Copy;

    fn splat(self, value: f32) -> Self::V;
    fn load(self, from: &Lane) -> Self::V;
    fn store(self, value: Self::V, to: &mut Lane);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the processor can.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The larger of `value` and 0; NaN stays NaN.
    fn relu(self, value: Self::V) -> Self::V;
    /// The larger of both, and `b` where one is NaN.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// For each place `x` where `a > b`, else `y`.
    fn select_greater(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// For each place `x` where `a > b` or `a` is NaN, else `y`.
    fn select_above(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// For each place `x` where `sign` is above 0 or NaN, else 0.
    fn keep_positive(self, sign: Self::V, x: Self::V) -> Self::V;
    /// For each place `x` where `sign` is negative, else `y`.
    fn select_negative(self, sign: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// Whether a number is NaN.
    fn has_nan(self, value: Self::V) -> bool;
}

/// Operations on sixteen numbers at once.
pub(crate) trait Simd: Elements {
    /// What takes one register, where a vector takes several: for tiles that hold several operands beside their sums.
    type Part: Elements;

    /// Parts of a vector.
    const PARTS: usize = 1;

    /// Most rows of a tile: as many sums as there are registers for, beside the operands.
    const ROWS: usize;

    /// Most channels of a tile of four places each.
    const POOLED: usize;

    /// Whether products are of pairs of bfloat16 numbers.
    const PAIRED: bool = false;

    /// Whether there are registers for two tiles of [`Simd::ROWS`] rows.
    const DOUBLE: bool = false;

    /// Whether tiles come in twos, whose rows are the same and whose columns are two vectors.
    #[inline(always)]
    fn is_double(self) -> bool {
        false
    }

    /// The operations on one of the parts.
    fn part(self, at: usize) -> Self::Part;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// Adds a product to a sum: of a number and each number of a vector, or where two bfloat16 numbers take the place of one
    /// float32 number, as [`Simd::pair`] makes them, the products of both.
    #[inline(always)]
    fn product(self, number: &f32, lane: Self::V, sum: Self::V) -> Self::V {
        self.fma(self.splat(*number), lane, sum)
    }
    /// As [`Simd::product`], of one number with two vectors.
    #[inline(always)]
    fn product_of_two(self, number: &f32, lanes: [Self::V; 2], sums: [Self::V; 2]) -> [Self::V; 2] {
        [self.product(number, lanes[0], sums[0]), self.product(number, lanes[1], sums[1])]
    }
    /// Adds the products of the terms of `right`, of which both are as long, to two tiles whose rows are the same.
    #[inline(always)]
    fn multiply_two<const M: usize>(self, tiles: [&mut [Self::V; M]; 2], left: Numbers<'_>, right: [&[Lane]; 2]) {
        let [first, second] = tiles;
        for (term, (lane, other)) in right[0].iter().zip(right[1]).enumerate() {
            let lanes = [self.load(lane), self.load(other)];
            for (row, (first, second)) in first.iter_mut().zip(&mut *second).enumerate() {
                let number = &left.from[term * left.step + row * left.stride];
                [*first, *second] = self.product_of_two(number, lanes, [*first, *second]);
            }
        }
    }
    /// As [`Simd::product`], place by place.
    #[inline(always)]
    fn products(self, a: Self::V, b: Self::V, sum: Self::V) -> Self::V {
        self.fma(a, b, sum)
    }
    /// Both rounded to bfloat16, `a` in the lower halves.
    #[inline(always)]
    fn pair(self, a: Self::V, b: Self::V) -> Self::V {
        let (mut low, mut high) = ([0.0; LANES], [0.0; LANES]);
        self.store(a, &mut low);
        self.store(b, &mut high);
        for (low, high) in low.iter_mut().zip(high) {
            *low = pair(*low, high);
        }
        self.load(&low)
    }
    /// Neighbours in pairs: first those of `a`, then those of `b`.
    #[inline(always)]
    fn neighbours(self, a: Self::V, b: Self::V) -> Self::V {
        let mut both = [[0.0; LANES]; 2];
        self.store(a, &mut both[0]);
        self.store(b, &mut both[1]);
        let mut pairs = [0.0; LANES];
        for (to, [low, high]) in pairs.iter_mut().zip(both.as_flattened().as_chunks().0) {
            *to = pair(*low, *high);
        }
        self.load(&pairs)
    }
    /// The bfloat16 numbers in the lower halves.
    fn low(self, pairs: Self::V) -> Self::V;
    /// The bfloat16 numbers in the upper halves.
    fn high(self, pairs: Self::V) -> Self::V;
    fn sqrt(self, value: Self::V) -> Self::V;
    /// The smaller of both, and `b` where one is NaN.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// To the nearest whole number, halves to the even one; for numbers of less than 2^22.
    fn round(self, value: Self::V) -> Self::V;
    /// `value · 2^power` for whole powers from -126 to 127.
    fn scale(self, value: Self::V, power: Self::V) -> Self::V;
    /// For each place `x` where `a == b`, else 0.
    fn keep_equal(self, a: Self::V, b: Self::V, x: Self::V) -> Self::V;
    /// Rows become columns.
    fn transpose(self, from: &[Lane; LANES], to: &mut [Lane; LANES]);
    /// Asks for the line of the cache that holds a number.
    fn prefetch(self, from: &f32);
    /// The sixteen numbers added up, pair by pair.
    fn sum(self, value: Self::V) -> f32;
}

/// Adds a vector up in the order that all instances share.
#[inline(always)]
pub(super) fn pairs(value: Lane) -> f32 {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = value;
    let [a, b, c, d, e, f, g, h] = [a + i, b + j, c + k, d + l, e + m, f + n, g + o, h + p];
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}
