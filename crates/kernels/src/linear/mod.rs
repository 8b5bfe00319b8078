//! Dense layers: `y = W x + b`, `W` `[units, features]`, and both of its gradients. The products are tiles of numbers of
//! `W`, which stays as it is in memory, and blocks of rows.

mod backward;
mod forward;
mod weights;

use crate::parts::{cut, cut_blocks, parts};
use crate::raw::Simd;
use crate::tile::twos;
use crate::{LANES, Workers};
use std::ops::Range;

/// Blocks from which on weights are copied in the order of the tiles: rows lie a power of two apart often, and the cache would
/// keep only a few of them.
const BLOCKS: usize = 16;

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
