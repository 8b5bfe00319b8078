//! Dense layers: `y = W x + b`, `W` `[units, features]`, and both of its gradients. The products are tiles of numbers of
//! `W`, which stays as it is in memory, and blocks of rows.

use crate::parts::{cut, cut_blocks, parts};
use crate::raw::{Lane, Simd, Task};
use crate::tile::{Columns, Consecutive, Panel, Rows, Tile, each};
use crate::tile::{for_rows, lanes, lanes_mut, multiply, splat, tile_at, tile_count};
use crate::{Activation, LANES, Workers};
use std::ops::Range;

/// Terms that are added while a piece of the input stays in the first cache: 16 KiB of it.
const TERMS: usize = 256;

/// Units whose weights for 32 features are copied at once: 16 KiB.
const UNITS: usize = 128;

/// Blocks from which on weights whose rows are longer than [`TERMS`] are copied in the order of the tiles: rows lie a power of
/// two apart often, and the cache would keep only a few of them.
const BLOCKS: usize = 8;

/// Numbers of the turned input that stay in the second cache while a thread goes over its units: 512 KiB.
const KEPT: usize = 1 << 17;

/// Weights from which on threads share a layer's units and not the rows of the batch: 256 KiB.
const MANY: usize = 1 << 16;

/// The sizes of a dense layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear {
    /// Numbers in.
    pub features: usize,
    /// Numbers out.
    pub units: usize,
}

/// A contiguous part of the outputs of one block.
struct Piece<'a> {
    block: usize,
    range: Range<usize>,
    to: &'a mut [f32],
    /// Where the slopes of an activation go; empty without one.
    slopes: &'a mut [f32],
}

impl Linear {
    /// `y = max(W x + b, 0)`, or without the maximum: `x` `[blocks, features, 16]`, `weights` `[units, features]`, `bias`
    /// `[units]`, `y` `[blocks, units, 16]`.
    pub fn forward(
        &self,
        workers: &Workers,
        x: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
        relu: bool,
        y: &mut [f32],
    ) {
        let pieces = self.deal(workers, y, self.units);
        let task = |pieces| Forward { sizes: *self, x, weights, bias, relu, function: None, pieces };
        workers.run(pieces.into_iter().map(task).collect());
    }

    /// As [`Linear::forward`], with an activation behind it while its input is at hand: `y = f(W x + b)` and `slopes`, laid out
    /// like `y`, the derivative there.
    #[allow(clippy::too_many_arguments)]
    pub fn forward_active(
        &self,
        workers: &Workers,
        x: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
        function: Activation,
        y: &mut [f32],
        slopes: &mut [f32],
    ) {
        let mut pieces = self.deal(workers, y, self.units);
        let slopes = self.deal(workers, slopes, self.units);
        for (piece, slopes) in pieces.iter_mut().flatten().zip(slopes.into_iter().flatten()) {
            piece.slopes = slopes.to;
        }
        let function = Some(function);
        let task = |pieces| Forward { sizes: *self, x, weights, bias, relu: false, function, pieces };
        workers.run(pieces.into_iter().map(task).collect());
    }

    /// `dx = Wᵀ dy`, or added to `dx`: `dy` `[blocks, units, 16]`, `dx` `[blocks, features, 16]`.
    pub fn backward_input(&self, workers: &Workers, dy: &[f32], weights: &[f32], add: bool, dx: &mut [f32]) {
        let pieces = self.deal(workers, dx, self.features);
        workers.run(pieces.into_iter().map(|pieces| Input { sizes: *self, dy, weights, add, pieces }).collect());
    }

    /// Numbers of scratch memory that [`Linear::backward_weights`] needs.
    pub fn scratch(&self, blocks: usize) -> usize {
        self.features.next_multiple_of(LANES) * blocks * LANES
    }

    /// `dW = dy xᵀ` and `db = Σ dy`; `scratch` has [`Linear::scratch`] numbers.
    pub fn backward_weights(
        &self,
        workers: &Workers,
        x: &[f32],
        dy: &[f32],
        scratch: &mut [f32],
        dw: &mut [f32],
        db: Option<&mut [f32]>,
    ) {
        let Linear { features, units } = *self;
        let blocks = x.len() / (features * LANES);
        let panels = features.div_ceil(LANES);
        let scratch = &mut scratch[..self.scratch(blocks)];
        let ranges = parts(panels, workers.threads());
        let pieces = cut(scratch, blocks * LANES * LANES, &ranges).into_iter().zip(ranges);
        workers.run(pieces.map(|(to, panels)| Turn { features, blocks, x, panels, to }).collect());
        let ranges = parts(units, workers.threads());
        let mut biases: Vec<Option<&mut [f32]>> = match db {
            Some(db) => cut(db, 1, &ranges).into_iter().map(Some).collect(),
            None => ranges.iter().map(|_| None).collect(),
        };
        let turned = &*scratch;
        let pieces = cut(dw, features, &ranges).into_iter().zip(biases.drain(..)).zip(ranges);
        workers
            .run(pieces.map(|((dw, db), range)| Weights { sizes: *self, blocks, turned, dy, range, dw, db }).collect());
    }

    /// For each thread its pieces of `[blocks, count, 16]`.
    fn deal<'a>(&self, workers: &Workers, values: &'a mut [f32], count: usize) -> Vec<Vec<Piece<'a>>> {
        let blocks = values.len() / (count * LANES);
        if self.features * self.units >= MANY || blocks < workers.threads() {
            let ranges = parts(count, workers.threads());
            let pieces = cut_blocks(values, blocks, LANES, &ranges);
            let piece = |(block, to), range: &Range<usize>| Piece { block, range: range.clone(), to, slopes: &mut [] };
            return pieces
                .into_iter()
                .zip(&ranges)
                .map(|(own, range)| own.into_iter().enumerate().map(|each| piece(each, range)).collect())
                .collect();
        }
        let ranges = parts(blocks, workers.threads());
        let pieces = cut(values, count * LANES, &ranges).into_iter().zip(ranges);
        pieces
            .map(|(own, range)| {
                let each = own.chunks_exact_mut(count * LANES).zip(range);
                each.map(|(to, block)| Piece { block, range: 0..count, to, slopes: &mut [] }).collect()
            })
            .collect()
    }
}

struct Forward<'a> {
    sizes: Linear,
    x: &'a [f32],
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    relu: bool,
    function: Option<Activation>,
    pieces: Vec<Piece<'a>>,
}

impl Task for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Linear { features, .. } = self.sizes;
        let mut pieces = std::mem::take(&mut self.pieces);
        let own = pieces.first().map(|piece| piece.range.clone()).unwrap_or_default();
        let is_packed = features > TERMS && pieces.len() >= BLOCKS;
        let mut packed = vec![0.0; if is_packed { own.len() * TERMS } else { 0 }];
        for first in (0..features).step_by(TERMS) {
            let count = TERMS.min(features - first);
            let (begins, ends) = (first == 0, first + count == features);
            if is_packed {
                self.pack(&own, first, count, S::ROWS, &mut packed);
            }
            for piece in &mut pieces {
                let from = (piece.block * features + first) * LANES;
                let right = lanes(&self.x[from..from + count * LANES]);
                let to = lanes_mut(piece.to);
                for tile in 0..tile_count(piece.range.len(), S::ROWS) {
                    let (start, rows) = tile_at(piece.range.len(), tile, S::ROWS);
                    let unit = piece.range.start + start;
                    for_rows!(S, rows, M => {
                        let mut sums: Tile<S, M> = match (begins, self.bias) {
                            (false, _) => each(|row| simd.load(&to[start + row])),
                            (true, Some(bias)) => splat(simd, |row| bias[unit + row]),
                            (true, None) => splat(simd, |_| 0.0),
                        };
                        if is_packed {
                            let left = packed[start * count..(start + M) * count].as_chunks::<M>().0;
                            multiply(simd, &mut sums, &Columns(left), right);
                        } else {
                            let left = Rows::<M>::new(self.weights, unit * features + first, features, count);
                            multiply(simd, &mut sums, &left, right);
                        }
                        for (row, sum) in sums.into_iter().enumerate() {
                            let value = if ends && self.relu { simd.relu(sum) } else { sum };
                            simd.store(value, &mut to[start + row]);
                        }
                    });
                }
                if let Some(function) = self.function.filter(|_| ends) {
                    for (y, slope) in to.iter_mut().zip(lanes_mut(piece.slopes)) {
                        let (value, derivative) = function.both(simd, simd.load(y));
                        simd.store(value, y);
                        simd.store(derivative, slope);
                    }
                }
            }
        }
    }
}

impl Forward<'_> {
    /// Copies `count` terms from `first` on of the weights of some units, tile by tile `[terms, units of the tile]`.
    fn pack(&self, units: &Range<usize>, first: usize, count: usize, most: usize, packed: &mut [f32]) {
        for tile in 0..tile_count(units.len(), most) {
            let (start, rows) = tile_at(units.len(), tile, most);
            let to = &mut packed[start * count..(start + rows) * count];
            for row in 0..rows {
                let from = &self.weights[(units.start + start + row) * self.sizes.features + first..][..count];
                to.iter_mut().skip(row).step_by(rows).zip(from).for_each(|(to, weight)| *to = *weight);
            }
        }
    }
}

struct Input<'a> {
    sizes: Linear,
    dy: &'a [f32],
    weights: &'a [f32],
    add: bool,
    pieces: Vec<Piece<'a>>,
}

impl Task for Input<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Linear { features, units } = self.sizes;
        let mut pieces = self.pieces;
        let Some(range) = pieces.first().map(|piece| piece.range.clone()) else { return };
        let mut panels = [[[0.0; LANES]; UNITS]; 2];
        for first in (0..units).step_by(UNITS) {
            let count = UNITS.min(units - first);
            let begins = first == 0 && !self.add;
            // Two lines of a row of weights at once: the processor fetches them in pairs.
            for start in (0..range.len()).step_by(2 * LANES) {
                for (unit, row) in self.weights.chunks_exact(features).skip(first).take(count).enumerate() {
                    let row = &row[range.start + start..range.end];
                    let (whole, rest) = row[..row.len().min(2 * LANES)].as_chunks::<LANES>();
                    for (panel, row) in panels.iter_mut().zip(whole) {
                        simd.store(simd.load(row), &mut panel[unit]);
                    }
                    if !rest.is_empty() {
                        panels[whole.len()][unit][..rest.len()].copy_from_slice(rest);
                    }
                }
                for piece in &mut pieces {
                    let from = (piece.block * units + first) * LANES;
                    let right = lanes(&self.dy[from..from + count * LANES]);
                    let to = lanes_mut(piece.to);
                    for (panel, to) in panels.iter().zip(to[start..].chunks_mut(LANES)) {
                        // A panel that is not full is computed as if it were.
                        let panel = &panel[..count];
                        if S::ROWS > 6 {
                            part::<S, 8, 0>(simd, panel, right, begins, to);
                            part::<S, 8, 8>(simd, panel, right, begins, to);
                        } else {
                            part::<S, 6, 0>(simd, panel, right, begins, to);
                            part::<S, 5, 6>(simd, panel, right, begins, to);
                            part::<S, 5, 11>(simd, panel, right, begins, to);
                        }
                    }
                }
            }
        }
    }
}

/// The `M` features from `START` on of a panel of 16.
#[inline(always)]
fn part<S: Simd, const M: usize, const START: usize>(
    simd: S,
    panel: &[Lane],
    right: &[Lane],
    begins: bool,
    to: &mut [Lane],
) {
    let Some(to) = to.get_mut(START..) else { return };
    let mut sums: Tile<S, M> = splat(simd, |_| 0.0);
    if !begins {
        for (sum, to) in sums.iter_mut().zip(&*to) {
            *sum = simd.load(to);
        }
    }
    multiply(simd, &mut sums, &Panel::<START>(panel), right);
    for (value, to) in sums.into_iter().zip(to) {
        simd.store(value, to);
    }
}

/// `x` with rows and features changed: `[panels of 16 features, rows, 16]`.
struct Turn<'a> {
    features: usize,
    blocks: usize,
    x: &'a [f32],
    panels: Range<usize>,
    to: &'a mut [f32],
}

impl Task for Turn<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (panel, to) in self.panels.zip(self.to.chunks_exact_mut(self.blocks * LANES * LANES)) {
            let first = panel * LANES;
            let count = LANES.min(self.features - first);
            for (block, to) in to.chunks_exact_mut(LANES * LANES).enumerate() {
                let from = lanes(&self.x[(block * self.features + first) * LANES..][..count * LANES]);
                turn(simd, from, lanes_mut(to));
            }
        }
    }
}

/// Rows and columns of up to 16 lanes change places; lanes that are missing are zeros.
#[inline(always)]
pub(crate) fn turn<S: Simd>(simd: S, from: &[[f32; LANES]], to: &mut [[f32; LANES]]) {
    let Some(to) = to.first_chunk_mut() else { return };
    match from.first_chunk() {
        Some(from) => simd.transpose(from, to),
        None => {
            let mut whole = [[0.0; LANES]; LANES];
            whole[..from.len()].copy_from_slice(from);
            simd.transpose(&whole, to);
        }
    }
}

/// A vector of up to 16 numbers; those that are missing are 0.
#[inline(always)]
fn load<S: Simd>(simd: S, from: &[f32]) -> S::V {
    match from.first_chunk() {
        Some(from) => simd.load(from),
        None => {
            let mut whole = [0.0; LANES];
            whole[..from.len()].copy_from_slice(from);
            simd.load(&whole)
        }
    }
}

/// The way back of [`load`].
#[inline(always)]
fn store<S: Simd>(simd: S, value: S::V, to: &mut [f32]) {
    match to.first_chunk_mut() {
        Some(to) => simd.store(value, to),
        None => {
            let mut whole = [0.0; LANES];
            simd.store(value, &mut whole);
            to.copy_from_slice(&whole[..to.len()]);
        }
    }
}

struct Weights<'a> {
    sizes: Linear,
    blocks: usize,
    turned: &'a [f32],
    dy: &'a [f32],
    range: Range<usize>,
    dw: &'a mut [f32],
    db: Option<&'a mut [f32]>,
}

impl Task for Weights<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Linear { features, units } = self.sizes;
        let rows_of = self.blocks * LANES * LANES;
        let together = (KEPT / (features.next_multiple_of(LANES) * LANES)).max(4);
        for begin in (0..self.blocks).step_by(together) {
            let end = (begin + together).min(self.blocks);
            for tile in 0..tile_count(self.range.len(), S::ROWS) {
                let (start, rows) = tile_at(self.range.len(), tile, S::ROWS);
                let unit = self.range.start + start;
                for_rows!(S, rows, M => {
                    for (panel, right) in self.turned.chunks_exact(rows_of).enumerate() {
                        let first = panel * LANES;
                        let width = LANES.min(features - first);
                        let mut sums: Tile<S, M> = splat(simd, |_| 0.0);
                        if begin > 0 {
                            for (row, sum) in sums.iter_mut().enumerate() {
                                *sum = load(simd, &self.dw[(start + row) * features + first..][..width]);
                            }
                        }
                        let right = lanes(&right[begin * LANES * LANES..end * LANES * LANES]);
                        for (block, right) in (begin..end).zip(right.as_chunks::<LANES>().0) {
                            let rows = lanes(self.dy)[block * units + unit..].first_chunk::<M>();
                            let Some(rows) = rows else { continue };
                            multiply(simd, &mut sums, &Consecutive(rows), right);
                        }
                        for (row, value) in sums.into_iter().enumerate() {
                            store(simd, value, &mut self.dw[(start + row) * features + first..][..width]);
                        }
                    }
                });
            }
        }
        if let Some(db) = self.db {
            for (unit, sum) in self.range.zip(db) {
                let mut sums = simd.splat(0.0);
                for block in 0..self.blocks {
                    for lane in lanes(&self.dy[(block * units + unit) * LANES..][..LANES]) {
                        let value = simd.load(lane);
                        sums = simd.add(sums, value);
                    }
                }
                *sum = simd.sum(sums);
            }
        }
    }
}
