//! What tests of kernels share: numbers, rows in blocks, and a check that goes over threads' instances.

#![allow(dead_code, reason = "each test file takes what it needs")]

use lepton_kernels::{LANES, Level, Precision, Workers, blocks};
use std::ops::Range;

/// Cases of a property. Miri, which takes ten thousand times as long, gets along with one.
pub(crate) const fn cases(count: u32) -> u32 {
    if cfg!(miri) { 1 } else { count }
}

/// Sizes in that range, under Miri two small ones.
pub(crate) fn sizes(range: Range<usize>) -> Range<usize> {
    let least = range.start.min(3);
    if cfg!(miri) { least..range.end.min(least + 2) } else { range }
}

/// Numbers of rows in that range, under Miri two blocks.
pub(crate) fn rows(range: Range<usize>) -> Range<usize> {
    if cfg!(miri) { LANES + 1..LANES + 3 } else { range }
}

/// Numbers in -1 to 1, always the same.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Such numbers that bfloat16 has too: products of either precision are then the same.
pub(crate) fn coarse(count: usize, seed: u64) -> Vec<f32> {
    numbers(count, seed).into_iter().map(|value| (value * 128.0).round() / 128.0).collect()
}

/// `[rows, size]` in blocks; what stands behind the last row is `behind`.
pub(crate) fn blocked(from: &[f32], size: usize, behind: f32) -> Vec<f32> {
    let mut to = vec![behind; blocks(from.len() / size) * size * LANES];
    for (at, value) in from.iter().enumerate() {
        let (row, at) = (at / size, at % size);
        to[(row / LANES * size + at) * LANES + row % LANES] = *value;
    }
    to
}

/// The way back.
pub(crate) fn plain(from: &[f32], rows: usize, size: usize) -> Vec<f32> {
    let all = (0..rows).flat_map(|row| (0..size).map(move |at| (row, at)));
    all.map(|(row, at)| from[(row / LANES * size + at) * LANES + row % LANES]).collect()
}

/// `[rows, channels, places]` in blocks.
pub(crate) fn blocked_pictures(from: &[f32], rows: usize, channels: usize, places: usize) -> Vec<f32> {
    let mut to = vec![0.0; blocks(rows) * places * channels * LANES];
    for (at, value) in from.iter().enumerate() {
        let (row, channel, place) = (at / (channels * places), at / places % channels, at % places);
        to[((row / LANES * places + place) * channels + channel) * LANES + row % LANES] = *value;
    }
    to
}

/// The way back.
pub(crate) fn plain_pictures(from: &[f32], rows: usize, channels: usize, places: usize) -> Vec<f32> {
    let at = |row: usize, channel: usize, place: usize| {
        from[((row / LANES * places + place) * channels + channel) * LANES + row % LANES]
    };
    let all = (0..rows).flat_map(|row| (0..channels).map(move |channel| (row, channel)));
    all.flat_map(|(row, channel)| (0..places).map(move |place| at(row, channel, place)).collect::<Vec<_>>()).collect()
}

pub(crate) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// Every number within that share of the largest.
pub(crate) fn near(ours: &[f32], reference: &[f64], share: f64, what: &str) {
    assert_eq!(ours.len(), reference.len(), "{what}");
    let largest = reference.iter().fold(1e-2, |most: f64, value| most.max(value.abs()));
    for (at, (ours, reference)) in ours.iter().zip(reference).enumerate() {
        assert!((f64::from(*ours) - reference).abs() <= share * largest, "{what} at {at}: {ours}, not {reference}");
    }
}

/// By every instance that this processor has.
pub(crate) fn each_way(threads: usize, check: impl Fn(&Workers)) {
    for level in Level::all() {
        check(&Workers::new(threads, level).unwrap());
    }
}

/// As [`each_way`], with products of every precision.
pub(crate) fn each_precision(threads: usize, check: impl Fn(&Workers)) {
    for precision in [Precision::Float32, Precision::Bf16] {
        for level in Level::all() {
            check(&Workers::new(threads, level).unwrap().with_precision(precision));
        }
    }
}
