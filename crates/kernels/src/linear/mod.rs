//! Dense layers: `y = W x + b`, `W` `[units, features]`, and both of its gradients. The products are tiles of numbers of
//! `W`, which stays as it is in memory, and blocks of rows.

use crate::parts::{cut, cut_blocks, parts};
use crate::precision::{operand, turn_terms};
use crate::raw::{Lane, Simd, Task};
use crate::tile::{Columns, Consecutive, Rows, Strided, Tile, each};
use crate::tile::{for_rows, lanes, lanes_mut, multiply_all, tile_at, tile_count, twos, zeros};
use crate::{Activation, LANES, Precision, Workers};
use std::ops::Range;

/// Terms that are added while a piece of the input stays in the first cache: 16 KiB of it.
const TERMS: usize = 256;

/// Units of which a line of weights each stays in the first cache: 8 KiB.
const UNITS: usize = 128;

/// Blocks of rows that are turned at once, so that sums are put away seldom; twice as many where tiles come in twos.
const CHUNK: usize = 8;

/// Squares of 16 rows by 16 features that are turned for each block of a chunk: 64 KiB, or twice as much.
const TURNED: usize = 8;

/// Units whose gradients are added up at once: 2 KiB of each block.
const SUMS: usize = 32;

/// Blocks from which on weights are copied in the order of the tiles: rows lie a power of two apart often, and the cache would
/// keep only a few of them.
const BLOCKS: usize = 8;

/// From one row to the next so many weights, 2 KiB of them, or a multiple: then the rows of a tile lie in the same places of the
/// first cache.
const ALIKE: usize = 512;

/// Copied weights that stay in the second cache: 384 KiB.
const PACKED: usize = 96 * 1024;

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
        let size = 2 * CHUNK * TURNED * R * LANES;
        let mut turned = workers.memory(ranges.len() * size);
        let pieces = cut(dw, self.features, &ranges).into_iter().zip(ranges).zip(turned.chunks_exact_mut(size));
        let mut task =
            |((dw, range), turned)| Weights::<R> { sizes: *self, x, dy, rows, range, dw, db: biases.next(), turned };
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
        let most = at_once(simd, TERMS);
        // Two tiles make no use of copies but where the rows of a tile lie in the same places of the cache.
        let is_apart = simd.is_double() && !features.is_multiple_of(ALIKE);
        if features <= most || pieces.len() < BLOCKS || is_apart {
            let (twos, ones) = twos(simd, &mut pieces);
            for first in (0..features).step_by(most) {
                let terms = first..(first + most).min(features);
                if const { S::DOUBLE } {
                    for two in &mut *twos {
                        self.blocks(simd, own.clone(), &[], terms.clone(), two);
                    }
                }
                for one in &mut *ones {
                    self.blocks(simd, own.clone(), &[], terms.clone(), one);
                }
            }
            return;
        }
        copied(simd, &self, features, most, &mut pieces);
    }
}

/// Of two blocks half as many numbers stay in the first cache.
#[inline(always)]
fn at_once<S: Simd>(simd: S, most: usize) -> usize {
    if simd.is_double() { most / 2 } else { most }
}

/// Products whose weights are read as they are, or copied in the order of the tiles.
trait Product {
    /// Copies some rows of weights: for each `most` terms tile by tile, `[terms, rows of the tile]`.
    fn pack<S: Simd>(&self, simd: S, rows: Range<usize>, most: usize, packed: &mut [f32]);

    /// Adds some terms to some rows of some blocks; `packed` is empty where the weights are read as they are.
    fn blocks<S: Simd, const N: usize>(
        &self,
        simd: S,
        rows: Range<usize>,
        packed: &[f32],
        terms: Range<usize>,
        pieces: &mut [Piece<'_>; N],
    );
}

/// All of `terms` terms with weights that are copied, as many rows at once as stay near, `most` terms at a time.
#[inline(always)]
fn copied<S: Simd>(simd: S, product: &impl Product, terms: usize, most: usize, pieces: &mut [Piece<'_>]) {
    let own = pieces.first().map(|piece| piece.range.clone()).unwrap_or_default();
    // Whole tiles.
    let rows = (PACKED / terms / S::ROWS).max(1) * S::ROWS;
    let mut packed = vec![0.0; rows.min(own.len()) * terms];
    for start in own.clone().step_by(rows) {
        let rows = start..(start + rows).min(own.end);
        product.pack(simd, rows.clone(), most, &mut packed);
        let (twos, ones) = twos(simd, pieces);
        if const { S::DOUBLE } {
            for two in twos {
                for first in (0..terms).step_by(most) {
                    product.blocks(simd, rows.clone(), &packed, first..(first + most).min(terms), two);
                }
            }
        }
        for one in ones {
            for first in (0..terms).step_by(most) {
                product.blocks(simd, rows.clone(), &packed, first..(first + most).min(terms), one);
            }
        }
    }
}

impl Product for Forward<'_> {
    #[inline(always)]
    fn blocks<S: Simd, const N: usize>(
        &self,
        simd: S,
        units: Range<usize>,
        packed: &[f32],
        terms: Range<usize>,
        pieces: &mut [Piece<'_>; N],
    ) {
        let Linear { features, .. } = self.sizes;
        let (begins, ends, count) = (terms.start == 0, terms.end == features, terms.len());
        let right: [&[Lane]; N] = each!(at => {
            let from = (pieces[at].block * features + terms.start) * LANES;
            lanes(&self.x[from..from + count * LANES])
        });
        let first = units.start - pieces[0].range.start;
        for tile in 0..tile_count(units.len(), S::ROWS) {
            let (start, rows) = tile_at(units.len(), tile, S::ROWS);
            let unit = units.start + start;
            let to = first + start..first + start + rows;
            for_rows!(S, rows, M => {
                let mut sums: [Tile<S, M>; N] = each!(at => match (begins, self.bias) {
                    (false, _) => {
                        let so_far = &lanes(pieces[at].to)[to.clone()];
                        each!(row => simd.load(&so_far[row]))
                    }
                    (true, Some(bias)) => each!(row => simd.splat(bias[unit + row])),
                    (true, None) => zeros(simd),
                });
                if packed.is_empty() {
                    let left = Rows::<M>::new(self.weights, unit * features + terms.start, features, count);
                    multiply_all(simd, &mut sums, &left, right);
                } else {
                    let left = &packed[units.len() * terms.start + start * count..][..M * count];
                    multiply_all(simd, &mut sums, &Columns(left.as_chunks::<M>().0), right);
                }
                for (sums, piece) in sums.into_iter().zip(&mut *pieces) {
                    for (sum, to) in sums.into_iter().zip(&mut lanes_mut(piece.to)[to.clone()]) {
                        simd.store(if ends && self.relu { simd.relu(sum) } else { sum }, to);
                    }
                }
            });
        }
        let Some(function) = self.function.filter(|_| ends) else { return };
        for piece in pieces {
            let own = first..first + units.len();
            let (to, slopes) = (&mut lanes_mut(piece.to)[own.clone()], &mut lanes_mut(piece.slopes)[own]);
            for (y, slope) in to.iter_mut().zip(slopes) {
                let (value, derivative) = function.both(simd, simd.load(y));
                simd.store(value, y);
                simd.store(derivative, slope);
            }
        }
    }

    #[inline(always)]
    fn pack<S: Simd>(&self, _: S, units: Range<usize>, most: usize, packed: &mut [f32]) {
        let Linear { features, .. } = self.sizes;
        for first in (0..features).step_by(most) {
            let count = most.min(features - first);
            let packed = &mut packed[units.len() * first..];
            for tile in 0..tile_count(units.len(), S::ROWS) {
                let (start, rows) = tile_at(units.len(), tile, S::ROWS);
                let to = &mut packed[start * count..(start + rows) * count];
                for row in 0..rows {
                    let from = &self.weights[(units.start + start + row) * features + first..][..count];
                    for (to, weight) in to.iter_mut().skip(row).step_by(rows).zip(from) {
                        *to = *weight;
                    }
                }
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
    fn run<S: Simd>(mut self, simd: S) {
        let Linear { features, units } = self.sizes;
        let mut pieces = std::mem::take(&mut self.pieces);
        let own = pieces.first().map(|piece| piece.range.clone()).unwrap_or_default();
        let most = at_once(simd, UNITS);
        if pieces.len() < BLOCKS {
            for first in (0..units).step_by(UNITS) {
                let terms = first..(first + UNITS).min(units);
                // Of each row of weights a line at a time, or three of them, for all blocks of rows.
                let wide = if simd.is_double() { 3 * LANES } else { LANES };
                for start in own.clone().step_by(wide) {
                    let columns = start..(start + wide).min(own.end);
                    // The next lines lie in as many pages as there are units: asked for while these are used.
                    for next in (start + wide..(start + 2 * wide).min(own.end)).step_by(LANES) {
                        let next = &self.weights[first * features + next..];
                        for line in next.iter().step_by(features).take(terms.len()) {
                            simd.prefetch(line);
                        }
                    }
                    let (twos, ones) = twos(simd, &mut pieces);
                    if const { S::DOUBLE } {
                        for two in twos {
                            self.blocks(simd, columns.clone(), &[], terms.clone(), two);
                        }
                    }
                    for one in ones {
                        self.blocks(simd, columns.clone(), &[], terms.clone(), one);
                    }
                }
            }
            return;
        }
        copied(simd, &self, units, most, &mut pieces);
    }
}

impl Product for Input<'_> {
    #[inline(always)]
    fn blocks<S: Simd, const N: usize>(
        &self,
        simd: S,
        columns: Range<usize>,
        packed: &[f32],
        terms: Range<usize>,
        pieces: &mut [Piece<'_>; N],
    ) {
        let Linear { features, units } = self.sizes;
        let (begins, ends, count) = (terms.start == 0 && !self.add, terms.end == units, terms.len());
        let right: [&[Lane]; N] = each!(at => {
            let from = (pieces[at].block * units + terms.start) * LANES;
            lanes(&self.dy[from..from + count * LANES])
        });
        let first = columns.start - pieces[0].range.start;
        for tile in 0..tile_count(columns.len(), S::ROWS) {
            let (start, rows) = tile_at(columns.len(), tile, S::ROWS);
            let to = first + start..first + start + rows;
            for_rows!(S, rows, M => {
                let mut sums: [Tile<S, M>; N] = each!(at => match begins {
                    true => zeros(simd),
                    false => {
                        let so_far = &lanes(pieces[at].to)[to.clone()];
                        each!(row => simd.load(&so_far[row]))
                    }
                });
                if packed.is_empty() {
                    let from = &self.weights[terms.start * features + columns.start + start..];
                    multiply_all(simd, &mut sums, &Strided::<M>::new(from, features, count), right);
                } else {
                    let left = &packed[columns.len() * terms.start + start * count..][..M * count];
                    multiply_all(simd, &mut sums, &Columns(left.as_chunks::<M>().0), right);
                }
                for (mut sums, piece) in sums.into_iter().zip(&mut *pieces) {
                    if let Some(seen) = self.x.filter(|_| ends) {
                        let seen = &lanes(seen)[piece.block * features + columns.start + start..][..M];
                        let zero = simd.splat(0.0);
                        for (sum, seen) in sums.iter_mut().zip(seen) {
                            *sum = simd.select_above(simd.load(seen), zero, *sum, zero);
                        }
                    }
                    for (sum, to) in sums.into_iter().zip(&mut lanes_mut(piece.to)[to.clone()]) {
                        simd.store(sum, to);
                    }
                }
            });
        }
    }

    #[inline(always)]
    fn pack<S: Simd>(&self, _: S, columns: Range<usize>, most: usize, packed: &mut [f32]) {
        let Linear { features, units } = self.sizes;
        for first in (0..units).step_by(most) {
            let count = most.min(units - first);
            let packed = &mut packed[columns.len() * first..];
            for tile in 0..tile_count(columns.len(), S::ROWS) {
                let (start, rows) = tile_at(columns.len(), tile, S::ROWS);
                let from = self.weights[first * features + columns.start + start..].chunks(features);
                for_rows!(S, rows, M => {
                    for (to, from) in packed[start * count..][..rows * count].as_chunks_mut::<M>().0.iter_mut().zip(from) {
                        *to = *from.first_chunk().unwrap_or(to);
                    }
                });
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
    /// Squares of `x`.
    turned: &'a mut [f32],
}

impl<const R: usize> Task for Weights<'_, R> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Linear { features, units } = self.sizes;
        let size = features * LANES;
        let (blocks, panels) = (self.x.len() / size, features.div_ceil(LANES));
        let turned = lanes_mut(std::mem::take(&mut self.turned)).as_chunks_mut::<R>().0;
        let size_of_chunk = if simd.is_double() { 2 * CHUNK } else { CHUNK };
        for start in (0..blocks).step_by(size_of_chunk) {
            let chunk = start..(start + size_of_chunk).min(blocks);
            let most = size_of_chunk * TURNED / chunk.len();
            for first in (0..panels).step_by(most) {
                let own = first..(first + most).min(panels);
                let squares = own.clone().flat_map(|panel| chunk.clone().map(move |block| (panel, block)));
                for ((panel, block), to) in squares.zip(&mut *turned) {
                    let count = LANES.min(features - panel * LANES);
                    turn_terms(simd, lanes(&self.x[block * size + panel * LANES * LANES..][..count * LANES]), to);
                }
                self.multiply(simd, chunk.clone(), own, turned);
            }
        }
        if let Some(db) = self.db {
            // As many units at once as lie in a few lines, so that memory is read in the order in which it lies.
            for (db, first) in db.chunks_mut(SUMS).zip(self.range.step_by(SUMS)) {
                let mut sums = [simd.splat(0.0); SUMS];
                for block in lanes(self.dy).chunks_exact(units) {
                    for (sum, lane) in sums.iter_mut().zip(&block[first..first + db.len()]) {
                        *sum = simd.add(*sum, simd.load(lane));
                    }
                }
                for (db, sum) in db.iter_mut().zip(sums) {
                    *db = simd.sum(sum);
                }
            }
        }
    }
}

impl<const R: usize> Weights<'_, R> {
    /// Adds the products of some blocks to the columns of some panels, whose numbers are in `turned`.
    #[inline(always)]
    fn multiply<S: Simd>(&mut self, simd: S, chunk: Range<usize>, panels: Range<usize>, turned: &[[Lane; R]]) {
        let wide = if const { S::DOUBLE } && simd.is_double() { 2 } else { 1 };
        let (tiles, groups) = (tile_count(self.range.len(), S::ROWS), panels.len().div_ceil(wide));
        for at in 0..tiles * groups {
            // Two panels of many blocks stay in the first cache while all tiles meet them, else a tile while it meets all panels.
            let is_deep = wide == 2 && chunk.len() >= CHUNK;
            let (tile, group) = if is_deep { (at % tiles, at / tiles) } else { (at / groups, at % groups) };
            let (start, size) = tile_at(self.range.len(), tile, S::ROWS);
            let own = group * wide..(group * wide + wide).min(panels.len());
            let (panel, squares) = (panels.start + own.start, &turned[own.start * chunk.len()..own.end * chunk.len()]);
            for_rows!(S, size, M => {
                if const { S::DOUBLE } && own.len() == 2 {
                    let (one, other) = squares.split_at(chunk.len());
                    self.tile::<S, M, 2>(simd, chunk.clone(), start, panel, [one, other]);
                } else {
                    self.tile::<S, M, 1>(simd, chunk.clone(), start, panel, [squares]);
                }
            });
        }
    }

    /// Adds the products of some blocks to the columns of the panels from `panel` on, for the units from `start` on.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const N: usize>(
        &mut self,
        simd: S,
        chunk: Range<usize>,
        start: usize,
        panel: usize,
        squares: [&[[Lane; R]]; N],
    ) {
        let Linear { features, units } = self.sizes;
        let unit = self.range.start + start;
        let mut sums: [Tile<S, M>; N] = each!(_at => zeros(simd));
        for (at, block) in chunk.clone().enumerate() {
            let left = self.rows[block * units + unit..].first_chunk::<M>();
            let Some(left) = left else { continue };
            let right: [&[Lane]; N] = each!(panel => &squares[panel][at][..]);
            multiply_all(simd, &mut sums, &Consecutive(left), right);
        }
        for (panel, sums) in (panel..).zip(sums) {
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
    }
}
