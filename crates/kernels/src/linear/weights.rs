//! The gradients of a dense layer's weights and bias.

use super::{Linear, MANY};
use crate::parts::{cut, cut_each, parts, share};
use crate::precision::{operand, turn_terms};
use crate::raw::{Lane, Simd, Task};
use crate::tile::{Consecutive, Tile, each, for_rows, lanes, lanes_mut, multiply_all, tile_at, tile_count, zeros};
use crate::{LANES, Precision, Rule, Workers};
use std::ops::Range;

/// Blocks of rows that are turned at once, so that sums are put away seldom.
const CHUNK: usize = 16;

/// Blocks up to which the optimiser's step is taken while gradients are computed: with more of them it is a small part.
const SOON: usize = 8;

/// Blocks from which on two panels stay in the first cache while all tiles meet them.
const DEEP: usize = 8;

/// Squares of 16 rows by 16 features that are turned for each block of a chunk: 128 KiB.
const TURNED: usize = 8;

/// Units whose gradients are added up at once: 2 KiB of each block.
const SUMS: usize = 32;

/// Numbers of the gradients of a tile that wait for the update.
const WAITING: usize = 12 * CHUNK * TURNED * LANES;

impl Linear {
    /// `dW = dy xᵀ` and `db = Σ dy`.
    pub fn backward_weights(&self, workers: &Workers, x: &[f32], dy: &[f32], dw: &mut [f32], db: Option<&mut [f32]>) {
        let ranges = parts(self.units, workers.threads());
        let to = cut(dw, self.features, &ranges).into_iter().map(To::Gradient).collect();
        let biases = db.map_or_else(Vec::new, |db| cut(db, 1, &ranges));
        self.gradients(workers, x, dy, &ranges, to, biases);
    }

    /// `db = Σ dy`.
    pub fn backward_bias(&self, workers: &Workers, dy: &[f32], db: &mut [f32]) {
        share(workers, db, 1, |range, db| Bias { units: self.units, dy, range, db });
    }

    /// Whether [`Linear::update_weights`] pays for so many blocks of rows: it does where the weights are many and all rows fit into
    /// one sum.
    pub fn updates_at_once(&self, blocks: usize) -> bool {
        self.features * self.units >= MANY && blocks <= SOON
    }

    /// [`Linear::backward_weights`] and [`Rule::update`] behind it, the same to the bit, without a gradient that goes to memory and
    /// comes back: `weights` and each of `buffers` are `[units, features]`.
    pub fn update_weights(
        &self,
        workers: &Workers,
        x: &[f32],
        dy: &[f32],
        rule: &Rule,
        weights: &mut [f32],
        buffers: &mut [&mut [f32]],
    ) {
        let ranges = parts(self.units, workers.threads());
        let mut memory = workers.memory(ranges.len() * WAITING);
        let buffers = cut_each(buffers.iter_mut().map(|buffer| &mut **buffer), self.features, &ranges);
        let weights = cut(weights, self.features, &ranges).into_iter().zip(buffers);
        let to = weights.zip(memory.chunks_exact_mut(WAITING));
        let to = to.map(|((weights, buffers), waiting)| To::Update { rule: *rule, weights, buffers, waiting });
        self.gradients(workers, x, dy, &ranges, to.collect(), Vec::new());
    }

    fn gradients(
        &self,
        workers: &Workers,
        x: &[f32],
        dy: &[f32],
        ranges: &[Range<usize>],
        to: Vec<To<'_>>,
        biases: Vec<&mut [f32]>,
    ) {
        match workers.precision() {
            Precision::Float32 => self.gradients_of::<LANES>(workers, x, [dy, dy], ranges, to, biases),
            Precision::Bf16 => {
                let rows = operand(workers, dy, LANES, 1);
                self.gradients_of::<{ LANES / 2 }>(workers, x, [dy, &rows], ranges, to, biases);
            }
        }
    }

    /// The second `dy` is `[.., R]`: its 16 rows as they are or in pairs.
    fn gradients_of<const R: usize>(
        &self,
        workers: &Workers,
        x: &[f32],
        [dy, rows]: [&[f32]; 2],
        ranges: &[Range<usize>],
        to: Vec<To<'_>>,
        biases: Vec<&mut [f32]>,
    ) {
        let rows = rows.as_chunks().0;
        // Each thread turns all features for itself: sharing them, or the columns of a row of `dW`, costs more.
        let mut biases = biases.into_iter();
        let size = CHUNK * TURNED * R * LANES;
        let mut turned = workers.memory(ranges.len() * size);
        let pieces = to.into_iter().zip(ranges).zip(turned.chunks_exact_mut(size));
        let mut task = |((to, range), turned): ((_, &Range<usize>), _)| {
            let bias = biases.next().map(|db| Bias { units: self.units, dy, range: range.clone(), db });
            Weights::<R> { sizes: *self, x, rows, range: range.clone(), to, bias, turned }
        };
        workers.multiply(pieces.map(&mut task).collect());
    }
}

/// Some sums of `dy`.
struct Bias<'a> {
    units: usize,
    dy: &'a [f32],
    range: Range<usize>,
    db: &'a mut [f32],
}

impl Task for Bias<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        // As many units at once as lie in a few lines, so that memory is read in the order in which it lies.
        for (db, first) in self.db.chunks_mut(SUMS).zip(self.range.step_by(SUMS)) {
            let mut sums = [simd.splat(0.0); SUMS];
            for block in lanes(self.dy).chunks_exact(self.units) {
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

/// What becomes of gradients of `[units, features]`.
enum To<'a> {
    /// They are put there.
    Gradient(&'a mut [f32]),
    /// They change the weights, tile by tile.
    Update { rule: Rule, weights: &'a mut [f32], buffers: Vec<&'a mut [f32]>, waiting: &'a mut [f32] },
}

/// Some rows of `dW`, and their sums.
struct Weights<'a, const R: usize> {
    sizes: Linear,
    x: &'a [f32],
    /// What of `dy` is multiplied.
    rows: &'a [[f32; R]],
    range: Range<usize>,
    to: To<'a>,
    bias: Option<Bias<'a>>,
    /// Squares of `x`.
    turned: &'a mut [f32],
}

/// Where gradients are put: those of `first` unit and feature in front, those of a unit `stride` from those of the one before.
struct Gradients<'a> {
    to: &'a mut [f32],
    first: [usize; 2],
    stride: usize,
    /// What is laid out like the weights and will be read next.
    ahead: &'a [&'a [f32]],
}

impl<const R: usize> Task for Weights<'_, R> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Linear { features, .. } = self.sizes;
        let (size, units) = (features * LANES, self.range.len());
        let (blocks, panels, tiles) = (self.x.len() / size, features.div_ceil(LANES), tile_count(units, S::ROWS));
        let mut to = std::mem::replace(&mut self.to, To::Gradient(&mut []));
        let turned = lanes_mut(std::mem::take(&mut self.turned)).as_chunks_mut::<R>().0;
        for start in (0..blocks).step_by(CHUNK) {
            let chunk = start..(start + CHUNK).min(blocks);
            let most = CHUNK * TURNED / chunk.len();
            for first in (0..panels).step_by(most) {
                let own = first..(first + most).min(panels);
                let squares = own.clone().flat_map(|panel| chunk.clone().map(move |block| (panel, block)));
                for ((panel, block), to) in squares.zip(&mut *turned) {
                    let count = LANES.min(features - panel * LANES);
                    turn_terms(simd, lanes(&self.x[block * size + panel * LANES * LANES..][..count * LANES]), to);
                }
                match &mut to {
                    To::Gradient(dw) => {
                        let to = Gradients { to: dw, first: [0, 0], stride: features, ahead: &[] };
                        self.multiply(simd, chunk.clone(), own, 0..tiles, turned, to);
                    }
                    To::Update { rule, weights, buffers, waiting } => {
                        let columns = first * LANES..(own.end * LANES).min(features);
                        for tile in 0..tiles {
                            let (unit, rows) = tile_at(units, tile, S::ROWS);
                            let (first, stride) = ([unit, columns.start], own.len() * LANES);
                            // Asked for while the gradient is computed, because memory is what an update waits for.
                            let mut ahead: [&[f32]; 3] = [weights, &[], &[]];
                            for (ahead, buffer) in ahead[1..].iter_mut().zip(&*buffers) {
                                *ahead = buffer;
                            }
                            let ahead = &ahead[..=buffers.len()];
                            let to = Gradients { to: waiting, first, stride, ahead };
                            self.multiply(simd, chunk.clone(), own.clone(), tile..tile + 1, turned, to);
                            for (row, gradient) in (unit..unit + rows).zip(waiting.chunks_exact(stride)) {
                                let own = row * features + columns.start..row * features + columns.end;
                                rule.apply_at(own, weights, &gradient[..columns.len()], buffers);
                            }
                        }
                    }
                }
            }
        }
        if let Some(bias) = self.bias {
            bias.run(simd);
        }
    }
}

impl<const R: usize> Weights<'_, R> {
    /// Adds the products of some blocks to the columns of some panels, whose numbers are in `turned`.
    #[inline(always)]
    fn multiply<S: Simd>(
        &self,
        simd: S,
        chunk: Range<usize>,
        panels: Range<usize>,
        tiles: Range<usize>,
        turned: &[[Lane; R]],
        mut to: Gradients<'_>,
    ) {
        let wide = if const { S::DOUBLE } && simd.is_double() { 2 } else { 1 };
        let (count, groups) = (tiles.len(), panels.len().div_ceil(wide));
        for at in 0..count * groups {
            // Two panels of many blocks stay in the first cache while all tiles meet them, else a tile while it meets all panels.
            let is_deep = wide == 2 && chunk.len() >= DEEP;
            let (tile, group) = if is_deep { (at % count, at / count) } else { (at / groups, at % groups) };
            let (start, size) = tile_at(self.range.len(), tiles.start + tile, S::ROWS);
            let own = group * wide..(group * wide + wide).min(panels.len());
            let (panel, squares) = (panels.start + own.start, &turned[own.start * chunk.len()..own.end * chunk.len()]);
            for_rows!(S, size, M => {
                if const { S::DOUBLE } && own.len() == 2 {
                    let (one, other) = squares.split_at(chunk.len());
                    self.tile::<S, M, 2>(simd, chunk.clone(), start, panel, [one, other], &mut to);
                } else {
                    self.tile::<S, M, 1>(simd, chunk.clone(), start, panel, [squares], &mut to);
                }
            });
        }
    }

    /// Adds the products of some blocks to the columns of the panels from `panel` on, for the units from `start` on.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const N: usize>(
        &self,
        simd: S,
        chunk: Range<usize>,
        start: usize,
        panel: usize,
        squares: [&[[Lane; R]]; N],
        gradients: &mut Gradients<'_>,
    ) {
        let Linear { features, units } = self.sizes;
        let Gradients { to, stride, first, ahead } = gradients;
        for from in *ahead {
            for row in 0..M {
                for line in from[(start + row) * features + panel * LANES..].iter().step_by(LANES).take(N) {
                    simd.prefetch(line);
                }
            }
        }
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
                let own = (start + row - first[0]) * *stride;
                let to = &mut to[own + panel * LANES - first[1]..own + *stride];
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
