//! Wrong labels in digits, sentences, passengers and drawn tables: what is found, what is not, and where the check
//! gives up. `reference` holds confident learning against the library of its authors.

#![allow(clippy::unwrap_used)]

mod pictures;
mod reference;
mod tables;

use lepton_core::{Cancel, Seed};
use lepton_doctor::labels::LabelOptions;
use rand_chacha::rand_core::Rng;
use std::path::PathBuf;

fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

fn options(threads: usize, cancel: &Cancel) -> LabelOptions<'_> {
    LabelOptions { threads, seed: Seed(42), cancel }
}

/// Gives a share of the labels another class, by the seed; which ones.
fn flip(labels: &mut [u32], classes: u32, share: f64, seed: u64) -> Vec<bool> {
    let mut rng = Seed(seed).rng("flip", &[]);
    let mut keyed: Vec<(u64, usize)> = (0..labels.len()).map(|row| (rng.next_u64(), row)).collect();
    keyed.sort_unstable();
    let mut flipped = vec![false; labels.len()];
    for (_, row) in keyed.iter().take((labels.len() as f64 * share).round() as usize) {
        labels[*row] = (labels[*row] + 1 + rng.next_u32() % (classes - 1)) % classes;
        flipped[*row] = true;
    }
    flipped
}

/// How many of the flipped are among the found rows, and how many of the found were flipped.
fn recall_and_precision(found: impl Iterator<Item = usize> + Clone, flipped: &[bool]) -> (f64, f64) {
    let right = found.clone().filter(|row| flipped[*row]).count() as f64;
    let all = flipped.iter().filter(|flipped| **flipped).count() as f64;
    (right / all, right / found.count().max(1) as f64)
}
