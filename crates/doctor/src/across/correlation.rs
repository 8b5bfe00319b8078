//! How columns go together: Pearson and Spearman between numbers, Cramer's V with Bergsma's correction (2013) between
//! classes, the correlation ratio between both; over the rows of the sample in which both columns have a value.

use super::features::{Cells, Feature};
use crate::profile::Profile;
use rayon::prelude::*;
use serde::Serialize;

/// Columns that are held against each other: the first ones that can be.
const MOST_COLUMNS: usize = 60;

/// Fewer rows with both values tell nothing.
const LEAST_ROWS: usize = 3;

/// A measure of how two columns go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrelationMethod {
    /// Of two columns of numbers, along a line: -1 to 1.
    Pearson,
    /// Of two columns of numbers, by their ranks: -1 to 1.
    Spearman,
    /// Of two columns of classes: 0 to 1.
    CramersV,
    /// Of classes and numbers, the square root of the share of the variance that lies between the classes: 0 to 1.
    CorrelationRatio,
}

impl CorrelationMethod {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            CorrelationMethod::Pearson => "pearson",
            CorrelationMethod::Spearman => "spearman",
            CorrelationMethod::CramersV => "cramers_v",
            CorrelationMethod::CorrelationRatio => "correlation_ratio",
        }
    }
}

/// How two columns go together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Correlation {
    /// The columns, in the order of the table.
    pub columns: [String; 2],
    /// The measure.
    pub method: CorrelationMethod,
    /// Its value.
    pub value: f64,
    /// Rows in which both have a value.
    pub rows: usize,
}

/// How the columns of a table go together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Correlations {
    /// Rows that were looked at.
    pub rows: usize,
    /// Whether these are a sample, drawn evenly.
    pub is_sample: bool,
    /// Columns that were left out because there are too many.
    pub columns_left_out: usize,
    /// All pairs that have a value, the strongest first.
    pub pairs: Vec<Correlation>,
}

/// How the columns of a table go together. Columns that name the row, dates and free texts are not compared.
pub fn correlations(profile: &Profile) -> Correlations {
    let mut features = Feature::of(profile);
    let columns_left_out = features.len().saturating_sub(MOST_COLUMNS);
    features.truncate(MOST_COLUMNS);
    let orders: Vec<Option<Vec<u32>>> = features
        .iter()
        .map(|feature| match &feature.cells {
            Cells::Numbers(numbers) => Some(order(numbers)),
            Cells::Classes { .. } => None,
        })
        .collect();
    let places: Vec<(usize, usize)> =
        (0..features.len()).flat_map(|one| (one + 1..features.len()).map(move |other| (one, other))).collect();
    let of_pair = |(one, other): (usize, usize)| {
        let columns = [&features[one], &features[other]].map(|feature| feature.column.name.clone());
        let found = match (&features[one].cells, &features[other].cells) {
            (Cells::Numbers(left), Cells::Numbers(right)) => {
                let orders = [&orders[one], &orders[other]].map(|order| order.as_deref().unwrap_or_default());
                vec![
                    (CorrelationMethod::Pearson, pearson(left, right)),
                    (CorrelationMethod::Spearman, spearman(left, right, orders)),
                ]
            }
            (Cells::Classes { codes, classes }, Cells::Numbers(numbers))
            | (Cells::Numbers(numbers), Cells::Classes { codes, classes }) => {
                vec![(CorrelationMethod::CorrelationRatio, ratio(codes, *classes, numbers))]
            }
            (Cells::Classes { codes, classes }, Cells::Classes { codes: others, classes: other_classes }) => {
                vec![(CorrelationMethod::CramersV, cramers_v(codes, *classes, others, *other_classes))]
            }
        };
        found.into_iter().filter_map(move |(method, value)| {
            let (value, rows) = value?;
            Some(Correlation { columns: columns.clone(), method, value, rows })
        })
    };
    let mut pairs: Vec<Correlation> = places.into_par_iter().flat_map_iter(of_pair).collect();
    pairs.sort_by(|left, right| right.value.abs().total_cmp(&left.value.abs()));
    Correlations { rows: profile.sample.rows(), is_sample: !profile.sample.is_whole(), columns_left_out, pairs }
}

/// The value and how many rows it is of.
type Value = Option<(f64, usize)>;

fn pearson(left: &[f64], right: &[f64]) -> Value {
    let both = || left.iter().zip(right).filter(|(one, other)| !one.is_nan() && !other.is_nan());
    let count = both().count();
    if count < LEAST_ROWS {
        return None;
    }
    let (sum, other_sum) = both().fold((0.0, 0.0), |(sum, other_sum), (one, other)| (sum + one, other_sum + other));
    let (mean, other_mean) = (sum / count as f64, other_sum / count as f64);
    let (mut product, mut square, mut other_square) = (0.0, 0.0, 0.0);
    for (one, other) in both() {
        let (one, other) = (one - mean, other - other_mean);
        product += one * other;
        square += one * one;
        other_square += other * other;
    }
    let value = product / (square.sqrt() * other_square.sqrt());
    (square > 0.0 && other_square > 0.0 && value.is_finite()).then_some((value.clamp(-1.0, 1.0), count))
}

/// The places of the numbers that are there, in ascending order of the numbers.
fn order(numbers: &[f64]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..numbers.len() as u32).filter(|place| !numbers[*place as usize].is_nan()).collect();
    order.sort_unstable_by(|one, other| numbers[*one as usize].total_cmp(&numbers[*other as usize]));
    order
}

/// Pearson of the ranks among the rows that have both; equal numbers have the mean of their ranks.
fn spearman(left: &[f64], right: &[f64], orders: [&[u32]; 2]) -> Value {
    let ranks = |numbers: &[f64], other: &[f64], order: &[u32]| {
        let mut ranks = vec![f64::NAN; numbers.len()];
        let kept: Vec<u32> = order.iter().copied().filter(|place| !other[*place as usize].is_nan()).collect();
        let mut rank = 0;
        for equal in kept.chunk_by(|one, other| numbers[*one as usize] == numbers[*other as usize]) {
            let mean = rank as f64 + (equal.len() as f64 - 1.0) / 2.0;
            equal.iter().for_each(|place| ranks[*place as usize] = mean);
            rank += equal.len();
        }
        ranks
    };
    pearson(&ranks(left, right, orders[0]), &ranks(right, left, orders[1]))
}

fn ratio(codes: &[u32], classes: usize, numbers: &[f64]) -> Value {
    let mut sums = vec![(0.0, 0usize); classes + 1];
    let both = || codes.iter().zip(numbers).filter(|(code, number)| **code > 0 && !number.is_nan());
    for (code, number) in both() {
        let (sum, count) = &mut sums[*code as usize];
        *sum += number;
        *count += 1;
    }
    let count: usize = sums.iter().map(|(_, count)| count).sum();
    if count < LEAST_ROWS {
        return None;
    }
    let mean = sums.iter().map(|(sum, _)| sum).sum::<f64>() / count as f64;
    let between: f64 = sums
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(sum, count)| *count as f64 * (sum / *count as f64 - mean).powi(2))
        .sum();
    let all: f64 = both().map(|(_, number)| (number - mean).powi(2)).sum();
    (all > 0.0).then(|| ((between / all).clamp(0.0, 1.0).sqrt(), count))
}

fn cramers_v(codes: &[u32], classes: usize, others: &[u32], other_classes: usize) -> Value {
    let mut table = vec![0.0f64; classes * other_classes];
    let mut count = 0;
    for (one, other) in codes.iter().zip(others).filter(|(one, other)| **one > 0 && **other > 0) {
        table[(*one as usize - 1) * other_classes + *other as usize - 1] += 1.0;
        count += 1;
    }
    if count < LEAST_ROWS || other_classes == 0 {
        return None;
    }
    let all = count as f64;
    let row = |place: usize| table[place * other_classes..][..other_classes].iter().sum::<f64>();
    let rows: Vec<f64> = (0..classes).map(row).collect();
    let columns: Vec<f64> =
        (0..other_classes).map(|place| table.iter().skip(place).step_by(other_classes).sum()).collect();
    let mut chi = 0.0;
    for (place, found) in table.iter().enumerate() {
        let expected = rows[place / other_classes] * columns[place % other_classes] / all;
        if expected > 0.0 {
            chi += (found - expected).powi(2) / expected;
        }
    }
    // Classes that are there where the other column has a value.
    let there = |sums: &[f64]| sums.iter().filter(|sum| **sum > 0.0).count() as f64;
    let (rows, columns) = (there(&rows), there(&columns));
    let phi = (chi / all - (rows - 1.0) * (columns - 1.0) / (all - 1.0)).max(0.0);
    let corrected = |sides: f64| sides - (sides - 1.0).powi(2) / (all - 1.0);
    let least = corrected(rows).min(corrected(columns)) - 1.0;
    (least > 0.0).then(|| ((phi / least).sqrt().min(1.0), count))
}
