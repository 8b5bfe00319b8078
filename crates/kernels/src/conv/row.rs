//! The products of places in a row with a row of the other side, for one place or for two beside each other: what both see is
//! multiplied at once.

use super::{Conv, inside, pieces};
use crate::raw::{Lane, Simd};
use crate::tile::{Columns, Tile, each, multiply_all};
use std::array::from_mut;
use std::ops::Range;

/// How places in a row see those in a row of the other side: place `at` sees, by tap `tap` of its window, the place
/// `at * stride + tap * dilation - before`.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// Numbers of a place of the other side.
    channels: usize,
    /// Taps of the window.
    kernel: usize,
    stride: usize,
    dilation: usize,
    before: usize,
    /// Places of the other side.
    side: usize,
}

impl Row {
    /// Of outputs that see inputs.
    pub(super) fn forward(sizes: &Conv) -> Row {
        let Conv { channels, sides, kernel, stride, dilation, before, .. } = *sizes;
        let [kernel, stride, dilation, before, side] = [kernel, stride, dilation, before, sides].map(|sides| sides[1]);
        Row { channels, kernel, stride, dilation, before, side }
    }

    /// Of inputs that see outputs, with the taps from the last to the first, where that is a convolution too.
    pub(super) fn backward(sizes: &Conv) -> Option<Row> {
        let Conv { out_channels, kernel, stride, dilation, before, out_sides, .. } = *sizes;
        let before = (kernel[1] - 1).checked_sub(before[1])?;
        let [kernel, side] = [kernel[1], out_sides[1]];
        (stride[1] == 1 && dilation[1] == 1).then_some(Row {
            channels: out_channels,
            kernel,
            stride: 1,
            dilation: 1,
            before,
            side,
        })
    }

    /// Adds the products of `N` places from `at` on with a row of the other side, `[side, channels]`, in the order of the taps;
    /// `left` are the numbers of the tile for each tap and channel.
    #[inline(always)]
    pub(super) fn add<S: Simd, const M: usize, const N: usize>(
        &self,
        simd: S,
        sums: &mut [Tile<S, M>; N],
        left: &[[f32; M]],
        at: usize,
        row: &[Lane],
    ) {
        if const { N == 2 } {
            // The taps of the place to the right begin where those of the other do, or before, and end so.
            let (first, second) = (self.taps(at), self.taps(at + 1));
            let both = first.start..second.end;
            if !both.is_empty() {
                self.multiply(simd, from_mut(&mut sums[1]), left, at + 1, row, second.start..both.start);
                self.multiply(simd, sums, left, at, row, both.clone());
                self.multiply(simd, from_mut(&mut sums[0]), left, at, row, both.end..first.end);
                return;
            }
        }
        for (at, sums) in (at..).zip(sums) {
            self.multiply(simd, from_mut(sums), left, at, row, self.taps(at));
        }
    }

    /// The taps that see a place that there is.
    #[inline(always)]
    fn taps(&self, at: usize) -> Range<usize> {
        let (first, end) = inside(at * self.stride, self.before, self.side, self.kernel, self.dilation);
        first..end
    }

    /// Adds the products of some taps.
    #[inline(always)]
    fn multiply<S: Simd, const M: usize, const N: usize>(
        &self,
        simd: S,
        sums: &mut [Tile<S, M>; N],
        left: &[[f32; M]],
        at: usize,
        row: &[Lane],
        taps: Range<usize>,
    ) {
        let Row { channels, stride, dilation, before, .. } = *self;
        let (pieces, places) = pieces(dilation, taps.len());
        if taps.is_empty() {
            return;
        }
        let count = places * channels;
        for tap in taps.start..taps.start + pieces {
            let right: [&[Lane]; N] = each!(place => {
                let from = ((at + place) * stride + tap * dilation - before) * channels;
                &row[from..from + count]
            });
            multiply_all(simd, sums, &Columns(&left[tap * channels..tap * channels + count]), right);
        }
    }
}

/// Evaluates an expression for `$places` places in a row, with `$N` as a constant for how many are meant, from `$at` on: two
/// where tiles come in twos.
macro_rules! for_places {
    ($S:ident, $simd:ident, $places:expr, $N:ident, $at:ident => $work:expr) => {{
        let places = $places;
        let mut next = 0;
        if const { $S::DOUBLE } && $simd.is_double() {
            while next + 1 < places {
                const $N: usize = 2;
                let $at = next;
                $work;
                next += $N;
            }
        }
        while next < places {
            const $N: usize = 1;
            let $at = next;
            $work;
            next += $N;
        }
    }};
}
pub(super) use for_places;
