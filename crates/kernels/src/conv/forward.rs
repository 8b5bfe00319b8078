//! Outputs of a convolution.

use super::row::{Row, for_places};
use super::{Conv, FEW};
use crate::precision::{operand, share_products};
use crate::raw::{Lane, Simd, Task};
use crate::tile::{Columns, Tile, each, for_rows, lanes_mut, multiply, tile_at, tile_count, zeros};
use crate::{LANES, Workers};
use std::ops::Range;

impl Conv {
    /// `y = max(W * x + b, 0)`, or without the maximum: `x` `[blocks, height, width, channels, 16]`, `packed` from
    /// [`Conv::pack_forward`], `bias` `[out_channels]`, `y` `[blocks, height', width', out_channels, 16]`.
    pub fn forward(
        &self,
        workers: &Workers,
        x: &[f32],
        packed: &[f32],
        bias: Option<&[f32]>,
        relu: bool,
        y: &mut [f32],
    ) {
        let sizes = Conv { channels: workers.terms(self.channels), ..*self };
        let x = &operand(workers, x, self.channels, LANES)[..];
        let size = self.out_sides[1] * self.out_channels * LANES;
        share_products(workers, y, size, |rows, y| Forward { sizes, x, packed, bias, relu, rows, y });
    }
}

struct Forward<'a> {
    sizes: Conv,
    x: &'a [f32],
    packed: &'a [f32],
    bias: Option<&'a [f32]>,
    relu: bool,
    /// Of the rows of all blocks' outputs.
    rows: Range<usize>,
    y: &'a mut [f32],
}

impl Task for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Conv { out_channels, out_sides, .. } = self.sizes;
        let y = std::mem::take(&mut self.y);
        for (row, y) in self.rows.clone().zip(y.chunks_exact_mut(out_sides[1] * out_channels * LANES)) {
            let (block, top) = (row / out_sides[0], row % out_sides[0]);
            let x = self.sizes.block(self.x, block);
            match self.sizes.has_few_terms() {
                true => self.row_of_few(simd, x, top, lanes_mut(y)),
                false => self.row_of_many(simd, x, top, lanes_mut(y)),
            }
        }
    }
}

impl Forward<'_> {
    /// One row of outputs, `[width', out_channels]`, tile by tile: a tile of weights stays in the cache.
    #[inline(always)]
    fn row_of_many<S: Simd>(&self, simd: S, x: &[Lane], top: usize, y: &mut [Lane]) {
        let (row, terms, out_channels) = (Row::forward(&self.sizes), self.sizes.terms(), self.sizes.out_channels);
        for tile in 0..tile_count(out_channels, S::ROWS) {
            let (start, size) = tile_at(out_channels, tile, S::ROWS);
            let packed = &self.packed[start * terms..(start + size) * terms];
            for_rows!(S, size, M => {
                let packed = packed.as_chunks::<M>().0;
                for_places!(S, simd, y.len() / out_channels, N, left => {
                    let to = &mut y[left * out_channels..(left + N) * out_channels];
                    self.places::<S, M, N>(simd, row, x, packed, [top, left], start, to);
                });
            });
        }
    }

    /// `N` places, a tile of channels from `start` on.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn places<S: Simd, const M: usize, const N: usize>(
        &self,
        simd: S,
        row: Row,
        x: &[Lane],
        packed: &[[f32; M]],
        [top, left]: [usize; 2],
        start: usize,
        y: &mut [Lane],
    ) {
        let Conv { channels, sides: [_, width], kernel, stride, dilation, before, .. } = self.sizes;
        let (above, below) = self.sizes.inside(0, top);
        let mut sums: [Tile<S, M>; N] = each!(_at => self.first(simd, start));
        for down in above..below {
            let from = (top * stride[0] + down * dilation[0] - before[0]) * width * channels;
            let own = &packed[down * kernel[1] * channels..][..kernel[1] * channels];
            row.add(simd, &mut sums, own, left, &x[from..from + width * channels]);
        }
        self.put(simd, sums, start, y);
    }

    /// One row of outputs, place by place: the window is copied once for all tiles.
    #[inline(always)]
    fn row_of_few<S: Simd>(&self, simd: S, x: &[Lane], top: usize, y: &mut [Lane]) {
        let (terms, out_channels) = (self.sizes.terms(), self.sizes.out_channels);
        let mut window = [[0.0; LANES]; FEW];
        let window = &mut window[..terms];
        for (left, y) in y.chunks_exact_mut(out_channels).enumerate() {
            self.sizes.gather(simd, x, top, left, window);
            for tile in 0..tile_count(out_channels, S::ROWS) {
                let (start, size) = tile_at(out_channels, tile, S::ROWS);
                let packed = &self.packed[start * terms..(start + size) * terms];
                for_rows!(S, size, M => {
                    let mut sums: Tile<S, M> = self.first(simd, start);
                    multiply(simd, &mut sums, &Columns(packed.as_chunks::<M>().0), window);
                    self.put(simd, [sums], start, y);
                });
            }
        }
    }

    /// What sums begin with.
    #[inline(always)]
    fn first<S: Simd, const M: usize>(&self, simd: S, start: usize) -> Tile<S, M> {
        match self.bias {
            Some(bias) => each!(row => simd.splat(bias[start + row])),
            None => zeros(simd),
        }
    }

    /// Puts channels from `start` on of some places of `y`, `[places, out_channels]`.
    #[inline(always)]
    fn put<S: Simd, const M: usize, const N: usize>(
        &self,
        simd: S,
        sums: [Tile<S, M>; N],
        start: usize,
        y: &mut [Lane],
    ) {
        for (sums, y) in sums.into_iter().zip(y.chunks_exact_mut(self.sizes.out_channels)) {
            for (sum, y) in sums.into_iter().zip(&mut y[start..start + M]) {
                simd.store(if self.relu { simd.relu(sum) } else { sum }, y);
            }
        }
    }
}
