//! Columns of numbers as bins: where the cuts lie, and which bin each training value falls into.
//!
//! A cut is a float32 threshold. A value lies in the bin whose number is how many cuts are not above it, so "the bin
//! is below k" and "the value is below cut k - 1" are the same question, bit for bit.

use crate::sampling::choose;
use lepton_core::Seed;
use rayon::prelude::*;

/// Rows that the cuts are placed by at most; more rows are drawn from.
const ROWS_FOR_CUTS: usize = 200_000;

/// One column of the training rows.
pub(crate) struct BinnedColumn {
    /// Ascending thresholds between neighbouring bins.
    pub(crate) cuts: Vec<f32>,
    /// The bin of each row; [`BinnedColumn::missing`] where the value is missing.
    pub(crate) codes: Vec<u8>,
}

impl BinnedColumn {
    /// The number of the bin of missing values: one past the last bin of values, at most 255.
    pub(crate) fn missing(&self) -> u8 {
        self.cuts.len() as u8 + 1
    }

    /// Bins of values together with that of missing ones.
    pub(crate) fn bins(&self) -> usize {
        self.cuts.len() + 2
    }
}

/// Bins every column of `features` `[rows, columns]`, whose values are finite or NaN. `max_bins` is 2 to 255.
pub(crate) fn bin_columns(features: &[f32], columns: usize, max_bins: usize, seed: Seed) -> Vec<BinnedColumn> {
    let rows = features.len() / columns;
    let drawn = choose(ROWS_FOR_CUTS, rows, &mut seed.rng("boost cuts", &[]));
    (0..columns)
        .into_par_iter()
        .map(|column| {
            let value = |row: usize| features[row * columns + column];
            let mut values: Vec<f32> =
                drawn.iter().map(|&row| value(row as usize)).filter(|value| !value.is_nan()).collect();
            // Both zeros are one value to a comparison, so they may not be told apart here either.
            values.iter_mut().for_each(|value| *value += 0.0);
            values.sort_unstable_by(f32::total_cmp);
            let cuts = place_cuts(&values, max_bins);
            let missing = cuts.len() as u8 + 1;
            let codes = (0..rows).map(|row| code(value(row), &cuts, missing)).collect();
            BinnedColumn { cuts, codes }
        })
        .collect()
}

fn code(value: f32, cuts: &[f32], missing: u8) -> u8 {
    if value.is_nan() { missing } else { cuts.partition_point(|&cut| cut <= value) as u8 }
}

/// At most `max_bins - 1` cuts through sorted values, so that the bins hold about equally many. A value that alone
/// fills a bin gets one; few distinct values get a bin each.
fn place_cuts(sorted: &[f32], max_bins: usize) -> Vec<f32> {
    let distinct: Vec<&[f32]> = sorted.chunk_by(|left, right| left == right).collect();
    let mut cuts = Vec::new();
    let (mut inside, mut left_over) = (0, sorted.len());
    let mut bins_left = max_bins;
    for (index, pair) in distinct.windows(2).enumerate() {
        inside += pair[0].len();
        let distinct_left = distinct.len() - 1 - index;
        let fair = left_over as f64 / bins_left as f64;
        let full = inside as f64 >= fair || (pair[1].len() as f64 >= fair && 2.0 * inside as f64 >= fair);
        if bins_left > 1 && (full || distinct_left < bins_left) {
            cuts.push(between(pair[0][0], pair[1][0]));
            left_over -= inside;
            inside = 0;
            bins_left -= 1;
        }
    }
    cuts
}

/// A threshold above `low` and at most `high`, near their middle.
fn between(low: f32, high: f32) -> f32 {
    let middle = ((f64::from(low) + f64::from(high)) / 2.0) as f32;
    if middle > low && middle <= high { middle } else { high }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_distinct_values_get_a_bin_each() {
        let binned = bin_columns(&[3.0, f32::NAN, 1.0, 2.0, 1.0], 1, 255, Seed(0));
        assert_eq!(binned[0].cuts, [1.5, 2.5]);
        assert_eq!(binned[0].codes, [2, 3, 0, 1, 0]);
        assert_eq!((binned[0].missing(), binned[0].bins()), (3, 4));
    }

    #[test]
    fn many_values_are_spread_evenly_and_a_frequent_one_stands_alone() {
        let mut values: Vec<f32> = (0..10_000).map(|number| number as f32).collect();
        values.extend(std::iter::repeat_n(0.5, 5_000));
        let binned = bin_columns(&values, 1, 100, Seed(0));
        let mut counts = [0; 101];
        binned[0].codes.iter().for_each(|&code| counts[usize::from(code)] += 1);
        assert_eq!(binned[0].cuts.len(), 99);
        let mut counts: Vec<usize> = counts.into_iter().filter(|&count| count > 0).collect();
        counts.sort_unstable();
        assert!(counts[99] >= 5_000 && counts[98] < 200, "{counts:?}");
    }

    #[test]
    fn a_column_without_values_has_no_cut() {
        let binned = bin_columns(&[f32::NAN, f32::NAN], 1, 255, Seed(0));
        assert!(binned[0].cuts.is_empty());
        assert_eq!(binned[0].codes, [1, 1]);
    }

    #[test]
    fn the_two_zeros_share_a_bin_and_neighbouring_floats_do_not() {
        let next = f32::from_bits(1.0f32.to_bits() + 1);
        let binned = bin_columns(&[-0.0, 0.0, 1.0, next], 1, 255, Seed(0));
        assert_eq!(binned[0].codes, [0, 0, 1, 2]);
    }

    proptest! {
        #[test]
        fn bins_and_thresholds_ask_the_same_question(
            values in prop::collection::vec(any::<f32>().prop_filter("finite", |value| value.is_finite()), 1..400),
            max_bins in 2usize..=255,
        ) {
            let binned = &bin_columns(&values, 1, max_bins, Seed(0))[0];
            prop_assert!(binned.cuts.len() < max_bins);
            prop_assert!(binned.cuts.windows(2).all(|pair| pair[0] < pair[1]));
            for (value, &code) in values.iter().zip(&binned.codes) {
                for (index, cut) in binned.cuts.iter().enumerate() {
                    prop_assert_eq!(value < cut, usize::from(code) <= index);
                }
            }
        }
    }
}
