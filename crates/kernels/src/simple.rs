//! Functions of single values, sums, and the order of values in front of dense layers.

use crate::parts::{parts, share};
use crate::raw::{Lane, Simd, Task};
use crate::tile::{Tile, each, lanes, lanes_mut};
use crate::{LANES, Workers};
use std::ops::Range;

/// `y = max(x, 0)`.
pub fn relu(workers: &Workers, x: &[f32], y: &mut [f32]) {
    by_numbers(workers, y, |range, y| Each::Relu { x: &x[range], y });
}

/// `dy` becomes 0 where `y` is not above 0: what `max(·, 0)` passes back.
pub fn mask_relu(workers: &Workers, y: &[f32], dy: &mut [f32]) {
    by_numbers(workers, dy, |range, dy| Each::Mask { y: &y[range], dy });
}

/// `to *= by`, place by place.
pub fn scale_by(workers: &Workers, by: &[f32], to: &mut [f32]) {
    by_numbers(workers, to, |range, to| Each::Scale { by: &by[range], to });
}

/// Calls `of` for a part of `to` on each thread, with the number of things of `size` numbers before it. For what is no
/// arithmetic over vectors.
pub fn in_parts(workers: &Workers, to: &mut [f32], size: usize, of: impl Fn(usize, &mut [f32]) + Sync) {
    share(workers, to, size, |range, to| Part { of: &of, first: range.start, to });
}

/// `to += from`.
pub fn add(workers: &Workers, from: &[f32], to: &mut [f32]) {
    by_numbers(workers, to, |range, to| Each::Add { from: &from[range], to });
}

/// `to = a + b`, or its `max(·, 0)`.
pub fn sum_of(workers: &Workers, a: &[f32], b: &[f32], relu: bool, to: &mut [f32]) {
    by_numbers(workers, to, |range, to| Each::Sum { a: &a[range.clone()], b: &b[range], relu, to });
}

/// `to = a · b`, place by place, or added to it.
pub fn product_of(workers: &Workers, a: &[f32], b: &[f32], add: bool, to: &mut [f32]) {
    by_numbers(workers, to, |range, to| Each::Product { a: &a[range.clone()], b: &b[range], add, to });
}

/// The sum of all squares, and whether all numbers are finite.
pub fn squares(workers: &Workers, values: &[f32]) -> (f64, bool) {
    let ranges = parts(values.len().div_ceil(LANES), workers.threads());
    let mut found = vec![(0.0, true); ranges.len()];
    let end = values.len();
    let pieces = ranges.into_iter().zip(&mut found);
    workers.run(
        pieces
            .map(|(range, found)| Squares { values: &values[range.start * LANES..(range.end * LANES).min(end)], found })
            .collect(),
    );
    (found.iter().map(|(sum, _)| sum).sum(), found.iter().all(|(_, finite)| *finite))
}

/// `[blocks, places, channels, 16]` as `[blocks, channels · places, 16]`: row-major over channels, as other layouts have it.
pub fn flatten(workers: &Workers, x: &[f32], channels: usize, places: usize, y: &mut [f32]) {
    swap(workers, x, channels, places, false, y);
}

/// The way back of [`flatten`]; adds to `x` where asked to.
pub fn unflatten(workers: &Workers, y: &[f32], channels: usize, places: usize, add: bool, x: &mut [f32]) {
    swap(workers, y, places, channels, add, x);
}

struct Part<'a, F> {
    of: &'a F,
    first: usize,
    to: &'a mut [f32],
}

impl<F: Fn(usize, &mut [f32]) + Sync> Task for Part<'_, F> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        (self.of)(self.first, self.to);
    }
}

/// Each part of `to`, and which of its numbers they are.
fn by_numbers<'a>(workers: &Workers, to: &'a mut [f32], of: impl Fn(Range<usize>, &'a mut [f32]) -> Each<'a>) {
    share(workers, to, LANES, |range, to| of(range.start * LANES..range.end * LANES, to));
}

enum Each<'a> {
    Relu { x: &'a [f32], y: &'a mut [f32] },
    Mask { y: &'a [f32], dy: &'a mut [f32] },
    Scale { by: &'a [f32], to: &'a mut [f32] },
    Add { from: &'a [f32], to: &'a mut [f32] },
    Sum { a: &'a [f32], b: &'a [f32], relu: bool, to: &'a mut [f32] },
    Product { a: &'a [f32], b: &'a [f32], add: bool, to: &'a mut [f32] },
}

impl Task for Each<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let plus = |a: &Lane, b: &Lane| {
            let (a, b) = (simd.load(a), simd.load(b));
            simd.add(a, b)
        };
        match self {
            Each::Relu { x, y } => {
                for (x, y) in lanes(x).iter().zip(lanes_mut(y)) {
                    simd.store(simd.relu(simd.load(x)), y);
                }
            }
            Each::Mask { y, dy } => {
                for (y, dy) in lanes(y).iter().zip(lanes_mut(dy)) {
                    let (y, value) = (simd.load(y), simd.load(dy));
                    simd.store(simd.keep_positive(y, value), dy);
                }
            }
            Each::Scale { by, to } => {
                for (by, to) in lanes(by).iter().zip(lanes_mut(to)) {
                    let (by, value) = (simd.load(by), simd.load(to));
                    simd.store(simd.mul(by, value), to);
                }
            }
            Each::Add { from, to } => {
                for (from, to) in lanes(from).iter().zip(lanes_mut(to)) {
                    simd.store(plus(from, to), to);
                }
            }
            Each::Sum { a, b, relu, to } => {
                for ((a, b), to) in lanes(a).iter().zip(lanes(b)).zip(lanes_mut(to)) {
                    let sum = plus(a, b);
                    simd.store(if relu { simd.relu(sum) } else { sum }, to);
                }
            }
            Each::Product { a, b, add, to } => {
                for ((a, b), to) in lanes(a).iter().zip(lanes(b)).zip(lanes_mut(to)) {
                    let (a, b, old) = (simd.load(a), simd.load(b), simd.load(to));
                    simd.store(if add { simd.fma(a, b, old) } else { simd.mul(a, b) }, to);
                }
            }
        }
    }
}

/// `[blocks, rows, columns, 16]` as `[blocks, columns, rows, 16]`.
fn swap(workers: &Workers, from: &[f32], columns: usize, rows: usize, add: bool, to: &mut [f32]) {
    share(workers, to, rows * LANES, |range, to| Swap { from, columns, rows, add, range, to });
}

struct Swap<'a> {
    from: &'a [f32],
    columns: usize,
    rows: usize,
    add: bool,
    range: Range<usize>,
    to: &'a mut [f32],
}

impl Task for Swap<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (at, to) in self.range.zip(self.to.chunks_exact_mut(self.rows * LANES)) {
            let (block, column) = (at / self.columns, at % self.columns);
            let from = lanes(&self.from[(block * self.rows * self.columns + column) * LANES..]);
            for (from, to) in from.iter().step_by(self.columns).zip(lanes_mut(to)) {
                let value = simd.load(from);
                let old = simd.load(to);
                simd.store(if self.add { simd.add(value, old) } else { value }, to);
            }
        }
    }
}

struct Squares<'a> {
    values: &'a [f32],
    found: &'a mut (f64, bool),
}

impl Task for Squares<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        // Vectors are added up over a few thousand numbers, and what they give in float64.
        let (mut whole, mut finite) = (0.0, true);
        for values in self.values.chunks(1 << 12) {
            let (blocks, rest) = values.as_chunks::<{ 4 * LANES }>();
            let mut sums: Tile<S, 4> = each!(_at => simd.splat(0.0));
            for block in blocks {
                for (sum, value) in sums.iter_mut().zip(lanes(block)) {
                    let value = simd.load(value);
                    *sum = simd.fma(value, value, *sum);
                }
            }
            let mut sum = 0.0;
            for own in sums {
                sum += f64::from(simd.sum(own));
            }
            sum += rest.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>();
            if !sum.is_finite() {
                // Squares of large numbers are not finite either.
                finite &= values.iter().all(|value| value.is_finite());
                sum = values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
            }
            whole += sum;
        }
        *self.found = (whole, finite);
    }
}
