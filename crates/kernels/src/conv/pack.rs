//! Weights in the order of the tiles: for each tile of rows the numbers of a term beside each other.

use super::Conv;
use crate::Workers;
use crate::parts::{cut, parts};
use crate::precision::operand;
use crate::raw::{Simd, Task};
use crate::tile::{tile_at, tile_count};
use std::ops::Range;

impl Conv {
    /// The weight for [`Conv::forward`]: tiles of outputs, terms in the order window row, window column, channel.
    pub fn pack_forward(&self, workers: &Workers, weights: &[f32], packed: &mut [f32]) {
        let sizes = Conv { channels: workers.terms(self.channels), ..*self };
        let weights = operand(workers, weights, self.channels, self.kernel[0] * self.kernel[1]);
        sizes.pack(workers, &weights, packed, true, workers.level().rows());
    }

    /// The weight for [`Conv::backward_input`]: tiles of inputs, terms in the order window row, window column from the last to
    /// the first, output.
    pub fn pack_backward(&self, workers: &Workers, weights: &[f32], packed: &mut [f32]) {
        let sizes = Conv { out_channels: workers.terms(self.out_channels), ..*self };
        let weights = operand(workers, weights, self.out_channels, self.terms());
        sizes.pack(workers, &weights, packed, false, workers.level().rows());
    }

    /// Tiles of at most `most` rows.
    pub(super) fn pack(&self, workers: &Workers, weights: &[f32], packed: &mut [f32], forward: bool, most: usize) {
        let (rows, terms) = match forward {
            true => (self.out_channels, self.terms()),
            false => (self.channels, self.out_channels * self.kernel[0] * self.kernel[1]),
        };
        let count = tile_count(rows, most);
        let tiles = parts(count, workers.threads());
        let row = |tile: usize| if tile == count { rows } else { tile_at(rows, tile, most).0 };
        let ranges: Vec<Range<usize>> = tiles.iter().map(|tiles| row(tiles.start)..row(tiles.end)).collect();
        let pieces = cut(packed, terms, &ranges).into_iter().zip(tiles);
        workers.run(
            pieces.map(|(to, tiles)| Pack { sizes: *self, weights, forward, most, rows, terms, tiles, to }).collect(),
        );
    }
}

struct Pack<'a> {
    sizes: Conv,
    weights: &'a [f32],
    forward: bool,
    most: usize,
    rows: usize,
    terms: usize,
    tiles: Range<usize>,
    to: &'a mut [f32],
}

impl Task for Pack<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Conv { channels, out_channels, kernel: [height, width], .. } = self.sizes;
        let window = height * width;
        let mut rest = self.to;
        for tile in self.tiles {
            let (start, size) = tile_at(self.rows, tile, self.most);
            let (to, others) = rest.split_at_mut(size * self.terms);
            rest = others;
            for row in 0..size {
                for place in 0..window {
                    if self.forward {
                        let from = &self.weights[(start + row) * channels * window + place..];
                        let to = to[place * channels * size + row..].iter_mut().step_by(size);
                        to.zip(from.iter().step_by(window)).take(channels).for_each(|(to, from)| *to = *from);
                    } else {
                        let turned = place / width * width + width - 1 - place % width;
                        let from = &self.weights[(start + row) * window + turned..];
                        let to = to[place * out_channels * size + row..].iter_mut().step_by(size);
                        let from = from.iter().step_by(channels * window);
                        to.zip(from).take(out_channels).for_each(|(to, from)| *to = *from);
                    }
                }
            }
        }
    }
}
