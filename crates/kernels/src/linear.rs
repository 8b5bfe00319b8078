//! Dense layers: `y = W x + b`, `W` `[units, features]`, and both of its gradients. The products are tiles of numbers of
//! `W`, which stays as it is in memory, and blocks of rows.

use crate::parts::{cut, cut_blocks, parts};
use crate::precision::{operand, turn_terms};
use crate::raw::{Lane, Simd, Task};
use crate::tile::{Columns, Consecutive, Rows, Strided, Tile, each};
use crate::tile::{for_rows, lanes, lanes_mut, multiply, splat, tile_at, tile_count};
use crate::{Activation, LANES, Precision, Workers};
use std::ops::Range;

/// Terms that are added while a piece of the input stays in the first cache: 16 KiB of it.
const TERMS: usize = 256;

/// Units of which a line of weights each stays in the first cache: 8 KiB.
const UNITS: usize = 128;

/// Blocks of rows that are turned at once, so that sums are put away seldom.
const CHUNK: usize = 8;

/// Squares of 16 rows by 16 features that are turned at once: 64 KiB.
const TURNED: usize = 64;

/// Blocks from which on weights whose rows are longer than [`TERMS`] are copied in the order of the tiles: rows lie a power of
/// two apart often, and the cache would keep only a few of them.
const BLOCKS: usize = 8;

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
        self.outputs(workers, x, weights, bias, relu, None, pieces);
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
        self.outputs(workers, x, weights, bias, false, Some(function), pieces);
    }

    #[allow(clippy::too_many_arguments)]
    fn outputs(
        &self,
        workers: &Workers,
        x: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
        relu: bool,
        function: Option<Activation>,
        pieces: Vec<Vec<Piece<'_>>>,
    ) {
        let sizes = Linear { features: workers.terms(self.features), ..*self };
        let (x, weights) = (operand(workers, x, self.features, LANES), operand(workers, weights, self.features, 1));
        let task = |pieces| Forward { sizes, x: &x, weights: &weights, bias, relu, function, pieces };
        workers.multiply(pieces.into_iter().map(task).collect());
    }

    /// `dx = Wᵀ dy`, or added to `dx`: `dy` `[blocks, units, 16]`, `dx` `[blocks, features, 16]`. Where `x` is given, it is what
    /// came out of `max(·, 0)`, and `dx` becomes the gradient in front of that.
    pub fn backward_input(
        &self,
        workers: &Workers,
        dy: &[f32],
        weights: &[f32],
        x: Option<&[f32]>,
        add: bool,
        dx: &mut [f32],
    ) {
        let pieces = self.deal(workers, dx, self.features);
        let sizes = Linear { units: workers.terms(self.units), ..*self };
        let (dy, weights) =
            (operand(workers, dy, self.units, LANES), operand(workers, weights, self.units, self.features));
        let task = |pieces| Input { sizes, dy: &dy, weights: &weights, x, add, pieces };
        workers.multiply(pieces.into_iter().map(task).collect());
    }

    /// `dW = dy xᵀ` and `db = Σ dy`.
    pub fn backward_weights(&self, workers: &Workers, x: &[f32], dy: &[f32], dw: &mut [f32], db: Option<&mut [f32]>) {
        match workers.precision() {
            Precision::Float32 => self.gradients::<LANES>(workers, x, [dy, dy], dw, db),
            Precision::Bf16 => {
                let rows = operand(workers, dy, LANES, 1);
                self.gradients::<{ LANES / 2 }>(workers, x, [dy, &rows], dw, db);
            }
        }
    }

    /// The second `dy` is `[.., R]`: its 16 rows as they are or in pairs.
    fn gradients<const R: usize>(
        &self,
        workers: &Workers,
        x: &[f32],
        [dy, rows]: [&[f32]; 2],
        dw: &mut [f32],
        db: Option<&mut [f32]>,
    ) {
        let rows = rows.as_chunks().0;
        // Each thread turns all features for itself: sharing them, or the columns of a row of `dW`, costs more.
        let ranges = parts(self.units, workers.threads());
        let mut biases = db.map_or_else(Vec::new, |db| cut(db, 1, &ranges)).into_iter();
        let pieces = cut(dw, self.features, &ranges).into_iter().zip(ranges);
        let mut task = |(dw, range)| Weights::<R> { sizes: *self, x, dy, rows, range, dw, db: biases.next() };
        workers.multiply(pieces.map(&mut task).collect());
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
    x: Option<&'a [f32]>,
    add: bool,
    pieces: Vec<Piece<'a>>,
}

impl Task for Input<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Linear { features, units } = self.sizes;
        let mut pieces = self.pieces;
        let Some(range) = pieces.first().map(|piece| piece.range.clone()) else { return };
        for first in (0..units).step_by(UNITS) {
            let count = UNITS.min(units - first);
            let (begins, ends) = (first == 0 && !self.add, first + count == units);
            // Of each row of weights a line at a time, for all blocks of rows.
            for start in (0..range.len()).step_by(LANES) {
                let weights = &self.weights[first * features + range.start + start..];
                let size = LANES.min(range.len() - start);
                // The next lines lie in as many pages as there are units: asked for while these are used.
                for line in weights.iter().skip(LANES).step_by(features).take(count) {
                    simd.prefetch(line);
                }
                for piece in &mut pieces {
                    let from = (piece.block * units + first) * LANES;
                    let right = lanes(&self.dy[from..from + count * LANES]);
                    let to = &mut lanes_mut(piece.to)[start..start + size];
                    let seen = piece.block * features + range.start + start;
                    let seen = self.x.filter(|_| ends).map(|x| &lanes(x)[seen..seen + size]);
                    for tile in 0..tile_count(size, S::ROWS) {
                        let (at, rows) = tile_at(size, tile, S::ROWS);
                        let to = &mut to[at..at + rows];
                        let seen = seen.map(|seen| &seen[at..at + rows]);
                        for_rows!(S, rows, M => {
                            let mut sums: Tile<S, M> = match begins {
                                true => splat(simd, |_| 0.0),
                                false => each(|row| simd.load(&to[row])),
                            };
                            multiply(simd, &mut sums, &Strided::<M>::new(&weights[at..], features, count), right);
                            if let Some(seen) = seen {
                                let zero = simd.splat(0.0);
                                for (sum, seen) in sums.iter_mut().zip(seen) {
                                    *sum = simd.select_above(simd.load(seen), zero, *sum, zero);
                                }
                            }
                            for (sum, to) in sums.into_iter().zip(to) {
                                simd.store(sum, to);
                            }
                        });
                    }
                }
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

/// Some rows of `dW`, and their sums.
struct Weights<'a, const R: usize> {
    sizes: Linear,
    x: &'a [f32],
    dy: &'a [f32],
    /// What of it is multiplied.
    rows: &'a [[f32; R]],
    range: Range<usize>,
    dw: &'a mut [f32],
    db: Option<&'a mut [f32]>,
}

impl<const R: usize> Task for Weights<'_, R> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Linear { features, units } = self.sizes;
        let size = features * LANES;
        let (blocks, panels) = (self.x.len() / size, features.div_ceil(LANES));
        let mut turned = [[[0.0; LANES]; R]; TURNED];
        for start in (0..blocks).step_by(CHUNK) {
            let chunk = start..(start + CHUNK).min(blocks);
            let most = TURNED / chunk.len();
            for first in (0..panels).step_by(most) {
                let own = first..(first + most).min(panels);
                let squares = own.clone().flat_map(|panel| chunk.clone().map(move |block| (panel, block)));
                for ((panel, block), to) in squares.zip(&mut turned) {
                    let count = LANES.min(features - panel * LANES);
                    turn_terms(simd, lanes(&self.x[block * size + panel * LANES * LANES..][..count * LANES]), to);
                }
                self.multiply(simd, chunk.clone(), own, &turned);
            }
        }
        if let Some(db) = self.db {
            for (unit, sum) in self.range.zip(db) {
                let mut sums = simd.splat(0.0);
                for lane in lanes(self.dy).iter().skip(unit).step_by(units) {
                    sums = simd.add(sums, simd.load(lane));
                }
                *sum = simd.sum(sums);
            }
        }
    }
}

impl<const R: usize> Weights<'_, R> {
    /// Adds the products of some blocks to the columns of some panels, whose numbers are in `turned`.
    #[inline(always)]
    fn multiply<S: Simd>(&mut self, simd: S, chunk: Range<usize>, panels: Range<usize>, turned: &[[Lane; R]]) {
        let Linear { features, units } = self.sizes;
        for tile in 0..tile_count(self.range.len(), S::ROWS) {
            let (start, size) = tile_at(self.range.len(), tile, S::ROWS);
            let unit = self.range.start + start;
            for_rows!(S, size, M => {
                for (panel, squares) in panels.clone().zip(turned.chunks_exact(chunk.len())) {
                    let mut sums: Tile<S, M> = splat(simd, |_| 0.0);
                    for (block, right) in chunk.clone().zip(squares) {
                        let left = self.rows[block * units + unit..].first_chunk::<M>();
                        let Some(left) = left else { continue };
                        multiply(simd, &mut sums, &Consecutive(left), right);
                    }
                    for (row, sum) in sums.into_iter().enumerate() {
                        let to = &mut self.dw[(start + row) * features + panel * LANES..(start + row + 1) * features];
                        match to.first_chunk_mut::<LANES>() {
                            Some(to) if chunk.start == 0 => simd.store(sum, to),
                            Some(to) => simd.store(simd.add(sum, simd.load(to)), to),
                            None => {
                                let mut whole = [0.0; LANES];
                                simd.store(sum, &mut whole);
                                for (to, sum) in to.iter_mut().zip(whole) {
                                    *to = if chunk.start == 0 { sum } else { *to + sum };
                                }
                            }
                        }
                    }
                }
            });
        }
    }
}
