//! Between rows as others have them, one after the other, and blocks of 16 rows beside each other.

use crate::parts::share;
use crate::raw::{Lane, Simd, Task};
use crate::tile::{lanes, lanes_mut};
use crate::{LANES, Workers};
use std::ops::Range;

/// `[rows, features]` as `[blocks, features, 16]`.
pub fn from_rows(workers: &Workers, from: &[f32], features: usize, to: &mut [f32]) {
    from_pictures(workers, from, 1, features, to);
}

/// `[rows, channels, places]` as `[blocks, places, channels, 16]`. Rows that are missing in the last block are zeros. For one
/// channel and many places it is what it is for many features.
pub fn from_pictures(workers: &Workers, from: &[f32], channels: usize, places: usize, to: &mut [f32]) {
    share(workers, to, channels * places * LANES, |range, to| From { from, channels, places, range, to });
}

/// `[blocks, features, 16]` as `[rows, features]`; `to` says how many rows there are.
pub fn to_rows(from: &[f32], features: usize, to: &mut [f32]) {
    for (row, to) in to.chunks_exact_mut(features).enumerate() {
        let from = &lanes(from)[row / LANES * features..][..features];
        to.iter_mut().zip(from).for_each(|(to, lane)| *to = lane[row % LANES]);
    }
}

struct From<'a> {
    from: &'a [f32],
    channels: usize,
    places: usize,
    range: Range<usize>,
    to: &'a mut [f32],
}

impl Task for From<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let size = self.channels * self.places;
        for (block, to) in self.range.zip(self.to.chunks_exact_mut(size * LANES)) {
            let to = lanes_mut(to);
            let rows = self.from.chunks_exact(size).skip(block * LANES).take(LANES);
            for first in (0..size).step_by(LANES) {
                let count = LANES.min(size - first);
                let mut square = [[0.0; LANES]; LANES];
                for (row, lane) in rows.clone().zip(&mut square) {
                    lane[..count].copy_from_slice(&row[first..first + count]);
                }
                let mut turned: [Lane; LANES] = [[0.0; LANES]; LANES];
                turn(simd, &square, &mut turned);
                if self.channels == 1 || self.places == 1 {
                    for (lane, to) in turned.iter().zip(&mut to[first..first + count]) {
                        simd.store(simd.load(lane), to);
                    }
                    continue;
                }
                let (mut channel, mut place) = (first / self.places, first % self.places);
                for lane in &turned[..count] {
                    simd.store(simd.load(lane), &mut to[place * self.channels + channel]);
                    place += 1;
                    if place == self.places {
                        (channel, place) = (channel + 1, 0);
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
