//! Vectors for codes, and the gradient of their table. Each row of the table is summed up by one thread in the order of the
//! batch, so the result is the same for any number of threads.

use crate::blocks::turn;
use crate::parts::{cut, share};
use crate::raw::{Lane, Simd, Task};
use crate::tile::{lanes, lanes_mut};
use crate::{LANES, Workers};
use std::ops::Range;

/// The sizes of an embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Embedding {
    /// How many codes there are.
    pub vocabulary: usize,
    /// Length of each vector.
    pub dimensions: usize,
}

impl Embedding {
    /// `y` `[blocks, time, dimensions, 16]` from `codes` `[rows, time]`, all below the vocabulary, and the table `weight`
    /// `[vocabulary, dimensions]`. From a row's length on, `[blocks, 16]`, vectors are 0.
    pub fn forward(
        &self,
        workers: &Workers,
        codes: &[i64],
        time: usize,
        lengths: Option<&[f32]>,
        weight: &[f32],
        y: &mut [f32],
    ) {
        let dimensions = self.dimensions;
        share(workers, y, dimensions * LANES, |places, y| Forward {
            dimensions,
            codes,
            time,
            lengths,
            weight,
            places,
            y,
        });
    }

    /// Numbers of scratch memory that [`Embedding::backward`] needs for so many blocks.
    pub fn scratch(&self, blocks: usize, time: usize) -> usize {
        blocks * LANES * time * self.dimensions
    }

    /// `dw` `[vocabulary, dimensions]` from `dy` `[blocks, time, dimensions, 16]`; `scratch` has [`Embedding::scratch`]
    /// numbers.
    #[allow(clippy::too_many_arguments)]
    pub fn backward(
        &self,
        workers: &Workers,
        codes: &[i64],
        time: usize,
        lengths: Option<&[f32]>,
        dy: &[f32],
        scratch: &mut [f32],
        dw: &mut [f32],
    ) {
        let Embedding { vocabulary, dimensions } = *self;
        let turned = &mut scratch[..dy.len()];
        share(workers, turned, dimensions * LANES, |places, to| Turn { dimensions, dy, places, to });
        let turned = &*turned;
        // By counting: where the places of each code begin in the list of all places.
        let counts = |place: usize| {
            let (row, at) = (place / time, place % time);
            lengths.is_none_or(|lengths| (at as f32) < lengths[row])
        };
        let mut starts = vec![0; vocabulary + 1];
        for (_, code) in codes.iter().enumerate().filter(|(place, _)| counts(*place)) {
            starts[*code as usize + 1] += 1;
        }
        for code in 0..vocabulary {
            starts[code + 1] += starts[code];
        }
        let mut next = starts.clone();
        let mut order = vec![0; starts[vocabulary]];
        for (place, code) in codes.iter().enumerate().filter(|(place, _)| counts(*place)) {
            let at = &mut next[*code as usize];
            // Vectors of a block lie by place, then by row.
            let (row, time_at) = (place / time, place % time);
            order[*at] = (row / LANES * time + time_at) * LANES + row % LANES;
            *at += 1;
        }
        // A row of the table costs as much as a place.
        let all = vocabulary + order.len();
        let edge = |part: usize| {
            let cost = all * part / workers.threads();
            // Sums of counts rise, and so does what the codes before one cost.
            let (mut low, mut high) = (0, vocabulary);
            while low < high {
                let middle = (low + high) / 2;
                if middle + starts[middle] < cost { low = middle + 1 } else { high = middle }
            }
            low
        };
        let edges: Vec<usize> = (0..workers.threads()).map(edge).chain([vocabulary]).collect();
        let ranges: Vec<Range<usize>> = edges.windows(2).map(|pair| pair[0]..pair[1]).collect();
        let (starts, order) = (&starts[..], &order[..]);
        let pieces = cut(dw, dimensions, &ranges).into_iter().zip(ranges);
        workers.run(pieces.map(|(dw, codes)| Sums { dimensions, turned, starts, order, codes, dw }).collect());
    }
}

struct Forward<'a> {
    dimensions: usize,
    codes: &'a [i64],
    time: usize,
    lengths: Option<&'a [f32]>,
    weight: &'a [f32],
    /// Of all blocks.
    places: Range<usize>,
    y: &'a mut [f32],
}

impl Task for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Forward { dimensions, codes, time, lengths, weight, places, y } = self;
        for (place, y) in places.zip(lanes_mut(y).chunks_exact_mut(dimensions)) {
            let (block, at) = (place / time, place % time);
            let rows = codes.chunks_exact(time).skip(block * LANES).take(LANES);
            let mut vectors = [None; LANES];
            for (lane, (row, vector)) in rows.zip(&mut vectors).enumerate() {
                if lengths.is_none_or(|lengths| (at as f32) < lengths[block * LANES + lane]) {
                    *vector = Some(&weight[row[at] as usize * dimensions..][..dimensions]);
                }
            }
            for (panel, to) in y.chunks_mut(LANES).enumerate() {
                let first = panel * LANES;
                let mut square = [[0.0; LANES]; LANES];
                for (vector, lane) in vectors.iter().zip(&mut square) {
                    let Some(vector) = vector else { continue };
                    match vector[first..].first_chunk() {
                        Some(whole) => *lane = *whole,
                        None => lane[..to.len()].copy_from_slice(&vector[first..]),
                    }
                }
                match to.first_chunk_mut() {
                    Some(to) => simd.transpose(&square, to),
                    None => {
                        let mut whole = [[0.0; LANES]; LANES];
                        simd.transpose(&square, &mut whole);
                        to.copy_from_slice(&whole[..to.len()]);
                    }
                }
            }
        }
    }
}

/// `[places, dimensions, 16]` as `[places, 16, dimensions]`.
struct Turn<'a> {
    dimensions: usize,
    dy: &'a [f32],
    places: Range<usize>,
    to: &'a mut [f32],
}

impl Task for Turn<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let dimensions = self.dimensions;
        let dy = lanes(&self.dy[self.places.start * dimensions * LANES..]).chunks_exact(dimensions);
        for (dy, to) in dy.zip(self.to.chunks_exact_mut(dimensions * LANES)) {
            for (panel, dy) in dy.chunks(LANES).enumerate() {
                let mut square: [Lane; LANES] = [[0.0; LANES]; LANES];
                turn(simd, dy, &mut square);
                for (lane, to) in square.iter().zip(to.chunks_exact_mut(dimensions)) {
                    let to = &mut to[panel * LANES..];
                    match to.first_chunk_mut() {
                        Some(to) => *to = *lane,
                        None => to.copy_from_slice(&lane[..to.len()]),
                    }
                }
            }
        }
    }
}

/// The sums of some of the codes.
struct Sums<'a> {
    dimensions: usize,
    turned: &'a [f32],
    starts: &'a [usize],
    order: &'a [usize],
    codes: Range<usize>,
    dw: &'a mut [f32],
}

impl Task for Sums<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let dimensions = self.dimensions;
        for (code, dw) in self.codes.zip(self.dw.chunks_exact_mut(dimensions)) {
            dw.fill(0.0);
            for vector in &self.order[self.starts[code]..self.starts[code + 1]] {
                let slopes = &self.turned[vector * dimensions..][..dimensions];
                let (whole, rest) = dw.as_chunks_mut::<LANES>();
                let (slopes, behind) = slopes.as_chunks::<LANES>();
                for (to, slope) in whole.iter_mut().zip(slopes) {
                    let (old, slope) = (simd.load(to), simd.load(slope));
                    simd.store(simd.add(old, slope), to);
                }
                rest.iter_mut().zip(behind).for_each(|(to, slope)| *to += slope);
            }
        }
    }
}
