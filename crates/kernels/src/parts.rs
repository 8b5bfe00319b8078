//! How work is cut for threads: always into the same parts, whoever comes to do them.

use crate::Workers;
use crate::raw::Task;
use std::ops::Range;

/// The part of `count` things that thread `index` of `threads` gets: contiguous, and none is larger than another by more
/// than one.
pub(crate) fn part(count: usize, index: usize, threads: usize) -> Range<usize> {
    let (size, larger) = (count / threads, count % threads);
    let start = index * size + index.min(larger);
    start..start + size + usize::from(index < larger)
}

/// All parts that are not empty.
pub(crate) fn parts(count: usize, threads: usize) -> Vec<Range<usize>> {
    (0..threads.min(count)).map(|index| part(count, index, threads.min(count))).collect()
}

/// `values`, made of things of `size` numbers, cut at those ranges, which follow each other from 0 on.
pub(crate) fn cut<'a>(mut values: &'a mut [f32], size: usize, ranges: &[Range<usize>]) -> Vec<&'a mut [f32]> {
    let mut pieces = Vec::with_capacity(ranges.len());
    for range in ranges {
        let (piece, rest) = std::mem::take(&mut values).split_at_mut(range.len() * size);
        pieces.push(piece);
        values = rest;
    }
    pieces
}

/// Several of them, each cut at those ranges: part `i` gets piece `i` of each.
pub(crate) fn cut_each<'a>(
    several: impl Iterator<Item = &'a mut [f32]>,
    size: usize,
    ranges: &[Range<usize>],
) -> Vec<Vec<&'a mut [f32]>> {
    let mut pieces: Vec<Vec<&'a mut [f32]>> = ranges.iter().map(|_| Vec::new()).collect();
    for values in several {
        for (own, piece) in pieces.iter_mut().zip(cut(values, size, ranges)) {
            own.push(piece);
        }
    }
    pieces
}

/// Runs what `of` makes of each part of `to`, which is made of things of `size` numbers: the numbers of the things, and where
/// they are to be written.
pub(crate) fn share<'a, T: Task>(
    workers: &Workers,
    to: &'a mut [f32],
    size: usize,
    of: impl Fn(Range<usize>, &'a mut [f32]) -> T,
) {
    workers.run(shared(workers, to, size, of));
}

/// What [`share`] runs.
pub(crate) fn shared<'a, T: Task>(
    workers: &Workers,
    to: &'a mut [f32],
    size: usize,
    of: impl Fn(Range<usize>, &'a mut [f32]) -> T,
) -> Vec<T> {
    let ranges = parts(to.len() / size, workers.threads());
    let pieces = cut(to, size, &ranges).into_iter().zip(ranges);
    pieces.map(|(to, range)| of(range, to)).collect()
}

/// `values`, made of `blocks` blocks of things of `size` numbers each: every block is cut at those ranges, and part `i` gets
/// piece `i` of each block.
pub(crate) fn cut_blocks<'a>(
    values: &'a mut [f32],
    blocks: usize,
    size: usize,
    ranges: &[Range<usize>],
) -> Vec<Vec<&'a mut [f32]>> {
    let length = ranges.last().map_or(0, |range| range.end) * size;
    cut_each(values.chunks_exact_mut(length.max(1)).take(blocks), size, ranges)
}
