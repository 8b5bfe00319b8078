//! Gradients of a convolution: of its input, and of its weights and bias.

use super::Conv;
use super::row::{Row, for_places};
use crate::blocks::turn;
use crate::parts::{cut, cut_blocks, parts, share};
use crate::precision::{operand, pair_rows, share_products};
use crate::raw::{Lane, Simd, Task};
use crate::tile::{Columns, Consecutive, Lanes, Tile, each};
use crate::tile::{for_rows, lanes, lanes_mut, multiply, multiply_all, tile_at, tile_count, zeros};
use crate::{LANES, Precision, Workers};
use std::ops::Range;

/// Places whose gradients, 1 KiB each, stay in the first cache while all tiles of weights go over them.
const PLACES: usize = 16;

impl Conv {
    /// `dx`, or added to `dx`: `dy` `[blocks, height', width', out_channels, 16]`, `packed` from [`Conv::pack_backward`], `dx`
    /// `[blocks, height, width, channels, 16]`.
    pub fn backward_input(&self, workers: &Workers, dy: &[f32], packed: &[f32], add: bool, dx: &mut [f32]) {
        let sizes = Conv { out_channels: workers.terms(self.out_channels), ..*self };
        let dy = &operand(workers, dy, self.out_channels, LANES)[..];
        let size = self.sides[1] * self.channels * LANES;
        share_products(workers, dx, size, |rows, dx| Input { sizes, dy, packed, add, rows, dx });
    }

    /// The gradients of weight and bias; `scratch` has [`Conv::scratch`] numbers. Where the output went through
    /// `max(·, 0)`, `y` is given, and `dy` becomes the gradient in front of it.
    #[allow(clippy::too_many_arguments)]
    pub fn backward_weights(
        &self,
        workers: &Workers,
        x: &[f32],
        y: Option<&[f32]>,
        dy: &mut [f32],
        scratch: &mut [f32],
        dw: &mut [f32],
        db: Option<&mut [f32]>,
    ) {
        match workers.precision() {
            Precision::Float32 => self.gradients::<LANES>(workers, x, y, dy, scratch, dw, db),
            Precision::Bf16 => {
                let x = operand(workers, x, LANES, 1);
                self.gradients::<{ LANES / 2 }>(workers, &x, y, dy, scratch, dw, db);
            }
        }
    }

    /// `x` is `[.., R]`: its 16 rows as they are or in pairs.
    #[allow(clippy::too_many_arguments)]
    fn gradients<const R: usize>(
        &self,
        workers: &Workers,
        x: &[f32],
        y: Option<&[f32]>,
        dy: &mut [f32],
        scratch: &mut [f32],
        dw: &mut [f32],
        db: Option<&mut [f32]>,
    ) {
        let (sizes, blocks) = (*self, self.blocks(dy));
        let (places, panels, terms) = (blocks * self.places(), self.panels(), self.terms());
        let (turned, rest) = scratch.split_at_mut(panels * places * R * LANES);
        let products = &mut rest[..panels * terms * LANES];

        let ranges = parts(places, workers.threads());
        let mut sums = vec![0.0; ranges.len() * panels * LANES];
        let own = cut(dy, self.out_channels * LANES, &ranges).into_iter();
        let pieces = own.zip(cut_blocks(turned, panels, R * LANES, &ranges));
        let pieces = pieces.zip(sums.chunks_exact_mut(panels * LANES)).zip(ranges);
        let task = |(((dy, to), sums), range)| Turn::<R> { sizes, y, range, dy, to, sums };
        workers.multiply(pieces.map(task).collect());
        if let Some(db) = db {
            for (channel, sum) in db.iter_mut().enumerate() {
                *sum = sums.chunks_exact(panels * LANES).map(|own| own[channel]).sum();
            }
        }

        let turned = &*turned;
        share_products(workers, products, LANES, |range, to| Products::<R> { sizes, blocks, x, turned, range, to });

        let products = &*products;
        share(workers, dw, terms, |range, dw| Unpack { sizes, products, range, dw });
    }
}

struct Input<'a> {
    sizes: Conv,
    dy: &'a [f32],
    packed: &'a [f32],
    add: bool,
    /// Of the rows of all blocks' inputs.
    rows: Range<usize>,
    dx: &'a mut [f32],
}

impl Task for Input<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Conv { channels, sides: [height, width], .. } = self.sizes;
        let size = self.sizes.places() * self.sizes.out_channels * LANES;
        let dx = std::mem::take(&mut self.dx);
        for (row, dx) in self.rows.clone().zip(dx.chunks_exact_mut(width * channels * LANES)) {
            let (block, top) = (row / height, row % height);
            self.row(simd, lanes(&self.dy[block * size..][..size]), top, lanes_mut(dx));
        }
    }
}

impl Input<'_> {
    /// One row of inputs, `[width, channels]`.
    #[inline(always)]
    fn row<S: Simd>(&self, simd: S, dy: &[Lane], top: usize, dx: &mut [Lane]) {
        let Conv { channels, out_channels, kernel, .. } = self.sizes;
        let (across, terms) = (Row::backward(&self.sizes), out_channels * kernel[0] * kernel[1]);
        for tile in 0..tile_count(channels, S::ROWS) {
            let (start, size) = tile_at(channels, tile, S::ROWS);
            let packed = &self.packed[start * terms..(start + size) * terms];
            for_rows!(S, size, M => {
                let packed = packed.as_chunks::<M>().0;
                match across {
                    Some(across) => for_places!(S, simd, dx.len() / channels, N, left => {
                        let dx = &mut dx[left * channels..(left + N) * channels];
                        self.places::<S, M, N>(simd, across, dy, packed, [top, left], start, dx);
                    }),
                    None => {
                        for (left, dx) in dx.chunks_exact_mut(channels).enumerate() {
                            self.place::<S, M>(simd, dy, packed, [top, left], &mut dx[start..start + M]);
                        }
                    }
                }
            });
        }
    }

    /// `N` places, a tile of channels from `start` on.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn places<S: Simd, const M: usize, const N: usize>(
        &self,
        simd: S,
        across: Row,
        dy: &[Lane],
        packed: &[[f32; M]],
        [top, left]: [usize; 2],
        start: usize,
        dx: &mut [Lane],
    ) {
        let Conv { channels, out_channels, kernel, stride, dilation, before, out_sides, .. } = self.sizes;
        let size = out_sides[1] * out_channels;
        let mut sums: [Tile<S, M>; N] = each!(place => {
            let dx = &dx[place * channels + start..][..M];
            if self.add { each!(row => simd.load(&dx[row])) } else { zeros(simd) }
        });
        for down in 0..kernel[0] {
            let row = output(top + before[0], down * dilation[0], stride[0], out_sides[0]);
            let Some(row) = row else { continue };
            let own = &packed[down * kernel[1] * out_channels..][..kernel[1] * out_channels];
            across.add(simd, &mut sums, own, left, &dy[row * size..(row + 1) * size]);
        }
        for (sums, dx) in sums.into_iter().zip(dx.chunks_exact_mut(channels)) {
            for (value, dx) in sums.into_iter().zip(&mut dx[start..start + M]) {
                simd.store(value, dx);
            }
        }
    }

    /// One place, where windows lie apart or have gaps.
    #[inline(always)]
    fn place<S: Simd, const M: usize>(
        &self,
        simd: S,
        dy: &[Lane],
        packed: &[[f32; M]],
        [top, left]: [usize; 2],
        dx: &mut [Lane],
    ) {
        let Conv { out_channels, kernel, stride, dilation, before, out_sides, .. } = self.sizes;
        let mut sums: Tile<S, M> = match self.add {
            true => each!(row => simd.load(&dx[row])),
            false => zeros(simd),
        };
        for down in 0..kernel[0] {
            let row = output(top + before[0], down * dilation[0], stride[0], out_sides[0]);
            let Some(row) = row else { continue };
            for across in 0..kernel[1] {
                let at = output(left + before[1], across * dilation[1], stride[1], out_sides[1]);
                let Some(column) = at else { continue };
                let term = (down * kernel[1] + kernel[1] - 1 - across) * out_channels;
                let from = (row * out_sides[1] + column) * out_channels;
                let left = Columns(&packed[term..term + out_channels]);
                multiply(simd, &mut sums, &left, &dy[from..from + out_channels]);
            }
        }
        for (value, dx) in sums.into_iter().zip(dx) {
            simd.store(value, dx);
        }
    }
}

/// The output that sees place `at`, counted with the zeros before, `tap` places from the first of its window.
#[inline(always)]
fn output(at: usize, tap: usize, stride: usize, outputs: usize) -> Option<usize> {
    let start = at.checked_sub(tap)?;
    let output = start / stride;
    (start.is_multiple_of(stride) && output < outputs).then_some(output)
}

/// The gradient in front of the activation, its sums by channel, and it with rows and channels changed: `[panels of 16
/// channels, blocks and places, rows, 16]`, with `R` rows or pairs of them.
struct Turn<'a, const R: usize> {
    sizes: Conv,
    y: Option<&'a [f32]>,
    range: Range<usize>,
    dy: &'a mut [f32],
    to: Vec<&'a mut [f32]>,
    sums: &'a mut [f32],
}

impl<const R: usize> Task for Turn<'_, R> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let channels = self.sizes.out_channels;
        let (dy, zero) = (lanes_mut(self.dy), simd.splat(0.0));
        if let Some(y) = self.y {
            let y = lanes(&y[self.range.start * channels * LANES..]);
            for (dy, y) in dy.iter_mut().zip(y) {
                let (value, y) = (simd.load(dy), simd.load(y));
                simd.store(simd.keep_positive(y, value), dy);
            }
        }
        for (panel, (to, sums)) in self.to.iter_mut().zip(self.sums.chunks_exact_mut(LANES)).enumerate() {
            let first = panel * LANES;
            let count = LANES.min(channels - first);
            let mut sum = zero;
            for (from, to) in dy.chunks_exact(channels).zip(lanes_mut(to).as_chunks_mut::<R>().0) {
                let mut turned = [[0.0; LANES]; LANES];
                let whole = if const { R == LANES } { &mut to[..] } else { &mut turned[..] };
                turn(simd, &from[first..first + count], whole);
                for row in &*whole {
                    let value = simd.load(row);
                    sum = simd.add(sum, value);
                }
                if const { R != LANES } {
                    pair_rows(simd, &turned, to);
                }
            }
            if let Some(sums) = sums.first_chunk_mut() {
                simd.store(sum, sums);
            }
        }
    }
}

/// Products of inputs and gradients: rows of `[panels of 16 channels out, window row, window column, channel in]`, 16 numbers
/// each.
struct Products<'a, const R: usize> {
    sizes: Conv,
    blocks: usize,
    x: &'a [f32],
    turned: &'a [f32],
    range: Range<usize>,
    to: &'a mut [f32],
}

impl<const R: usize> Task for Products<'_, R> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let (out_sides, terms, places) = (self.sizes.out_sides, self.sizes.terms(), self.sizes.places());
        let to = lanes_mut(std::mem::take(&mut self.to));
        to.fill([0.0; LANES]);
        let wide = out_sides[1].min(PLACES);
        let high = (PLACES / wide).max(1);
        for block in 0..self.blocks {
            let size = self.sizes.sides[0] * self.sizes.sides[1] * self.sizes.channels;
            let x = &self.x.as_chunks::<R>().0[block * size..][..size];
            let mut next = self.range.start;
            let mut rest = &mut *to;
            while next < self.range.end {
                // The rows of this panel that are ours.
                let (panel, first) = (next / terms, next % terms);
                let is_two = const { S::DOUBLE } && simd.is_double() && first == 0;
                let is_two = is_two && self.range.end - next >= 2 * terms;
                let count = (terms - first).min(self.range.end - next);
                let (own, others) = std::mem::take(&mut rest).split_at_mut(count * if is_two { 2 } else { 1 });
                (next, rest) = (next + own.len(), others);
                let turned = |panel: usize| -> &[[Lane; R]] {
                    let turned = &self.turned[(panel * self.blocks + block) * places * R * LANES..];
                    lanes(&turned[..places * R * LANES]).as_chunks().0
                };
                for top in (0..out_sides[0]).step_by(high) {
                    for left in (0..out_sides[1]).step_by(wide) {
                        let rows = top..(top + high).min(out_sides[0]);
                        let columns = left..(left + wide).min(out_sides[1]);
                        let at = [rows, columns];
                        for tile in 0..tile_count(count, S::ROWS) {
                            let (start, size) = tile_at(count, tile, S::ROWS);
                            if is_two {
                                let (one, other) = own.split_at_mut(count);
                                let to = [&mut one[start..start + size], &mut other[start..start + size]];
                                self.tile(simd, x, [turned(panel), turned(panel + 1)], at.clone(), start, to);
                            } else {
                                let to = &mut own[start..start + size];
                                self.tile(simd, x, [turned(panel)], at.clone(), first + start, [to]);
                            }
                        }
                    }
                }
            }
        }
    }
}

impl<const R: usize> Products<'_, R> {
    /// Adds the products of some rows and columns of outputs to a tile of each of `N` panels.
    #[inline(always)]
    fn tile<S: Simd, const N: usize>(
        &self,
        simd: S,
        x: &[[f32; R]],
        turned: [&[[Lane; R]]; N],
        places: [Range<usize>; 2],
        term: usize,
        to: [&mut [Lane]; N],
    ) {
        let channels = self.sizes.channels;
        let (tap, last) = (term / channels, (term + to[0].len() - 1) / channels);
        for_rows!(S, to[0].len(), M => {
            let mut sums: [Tile<S, M>; N] = each!(panel => each!(row => simd.load(&to[panel][row])));
            match tap == last {
                true => self.one_tap(simd, x, turned, places, term, &mut sums),
                false => self.several_taps(simd, x, turned, places, term, &mut sums),
            }
            for (sums, to) in sums.into_iter().zip(to) {
                for (value, to) in sums.into_iter().zip(to) {
                    simd.store(value, to);
                }
            }
        });
    }

    /// Where all rows of the tile are channels of one place of the window.
    #[inline(always)]
    fn one_tap<S: Simd, const M: usize, const N: usize>(
        &self,
        simd: S,
        x: &[[f32; R]],
        turned: [&[[Lane; R]]; N],
        [rows, columns]: [Range<usize>; 2],
        term: usize,
        sums: &mut [Tile<S, M>; N],
    ) {
        let Conv { channels, sides, kernel, stride, dilation, before, out_sides, .. } = self.sizes;
        let (tap, channel) = (term / channels, term % channels);
        // From the window's first place.
        let (down, across) = (tap / kernel[1] * dilation[0], tap % kernel[1] * dilation[1]);
        let (first, end) = seen(across, before[1], stride[1], sides[1], out_sides[1]);
        let (top, bottom) = seen(down, before[0], stride[0], sides[0], out_sides[0]);
        for row in rows.start.max(top)..rows.end.min(bottom) {
            let from = (row * stride[0] + down - before[0]) * sides[1];
            for left in columns.start.max(first)..columns.end.min(end) {
                let from = (from + left * stride[1] + across - before[1]) * channels + channel;
                let Some(rows) = x[from..].first_chunk::<M>() else { continue };
                let right: [&[Lane]; N] = each!(panel => &turned[panel][row * out_sides[1] + left][..]);
                multiply_all(simd, sums, &Consecutive(rows), right);
            }
        }
    }

    /// Where each row of the tile has a place of the window of its own.
    #[inline(always)]
    fn several_taps<S: Simd, const M: usize, const N: usize>(
        &self,
        simd: S,
        x: &[[f32; R]],
        turned: [&[[Lane; R]]; N],
        [rows, columns]: [Range<usize>; 2],
        term: usize,
        sums: &mut [Tile<S, M>; N],
    ) {
        let zero = [0.0; R];
        let taps: [[usize; 3]; M] = each!(row => self.sizes.tap(term + row));
        for row in rows {
            for left in columns.clone() {
                let seen = each!(at => self.sizes.seen_at(x, [row, left], taps[at]).unwrap_or(&zero));
                let right: [&[Lane]; N] = each!(panel => &turned[panel][row * self.sizes.out_sides[1] + left][..]);
                multiply_all(simd, sums, &Lanes::<M, R>(seen), right);
            }
        }
    }
}

/// The outputs, from and to, for which what is `tap` places from the window's first lies inside the picture.
#[inline(always)]
fn seen(tap: usize, before: usize, stride: usize, side: usize, outputs: usize) -> (usize, usize) {
    let first = before.saturating_sub(tap).div_ceil(stride);
    let end = (side + before).saturating_sub(tap).div_ceil(stride).min(outputs);
    (first.min(end), end)
}

/// Products in the order of the weights.
struct Unpack<'a> {
    sizes: Conv,
    products: &'a [f32],
    range: Range<usize>,
    dw: &'a mut [f32],
}

impl Task for Unpack<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Conv { channels, kernel, .. } = self.sizes;
        let (window, terms) = (kernel[0] * kernel[1], self.sizes.terms());
        for (channel, dw) in self.range.zip(self.dw.chunks_exact_mut(terms)) {
            let from = &lanes(self.products)[channel / LANES * terms..][..terms];
            for (input, dw) in dw.chunks_exact_mut(window).enumerate() {
                for (place, value) in dw.iter_mut().enumerate() {
                    *value = from[place * channels + input][channel % LANES];
                }
            }
        }
    }
}
