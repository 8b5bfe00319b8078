//! Target encoding: a category becomes the share of its training rows that have a class. A training row's own label
//! must not be in its own share, or the network learns to read labels that no served row has. So training rows take
//! shares that the other folds gave (Micci-Barreca 2001; scikit-learn's `TargetEncoder`), served rows those of all.

use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// Parts that the training rows are cut into.
const FOLDS: usize = 5;

/// Class names, and the class of every training row.
pub(crate) type Classes<'a> = (&'a [String], &'a [i64]);

/// The fitted shares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetEncoding {
    /// The classes that a feature stands for: the second of two, or each of more.
    pub(crate) labels: Vec<String>,
    /// Place by place the shares of the labels' classes; last those of all rows, for what has no place.
    served: Vec<Vec<f64>>,
    /// The same for training rows, one table for each fold, made without the rows of that fold.
    training: Vec<Vec<Vec<f64>>>,
}

impl TargetEncoding {
    pub(crate) fn fit(
        column: &str,
        smooth: Option<f64>,
        places: &[Option<usize>],
        count: usize,
        (labels, classes): Classes<'_>,
    ) -> Result<TargetEncoding> {
        if smooth.is_some_and(|smooth| !smooth.is_finite() || smooth < 0.0) {
            return Err(Error::new(ErrorCode::Config, "`smooth` must be a number of at least 0").at_column(column));
        }
        let first = if labels.len() == 2 { 1 } else { 0 };
        let tables = |rows: &dyn Fn(usize) -> bool| -> Vec<Vec<f64>> {
            let shares: Vec<Vec<f64>> = (first..labels.len())
                .map(|class| {
                    let hits = places.iter().zip(classes).enumerate().filter(|(row, _)| rows(*row));
                    let hits = hits.map(|(_, (place, label))| (*place, if *label == class as i64 { 1.0 } else { 0.0 }));
                    shares(&hits.collect::<Vec<_>>(), count, smooth)
                })
                .collect();
            (0..=count).map(|place| shares.iter().map(|share| share[place]).collect()).collect()
        };
        Ok(TargetEncoding {
            labels: labels[first..].to_vec(),
            served: tables(&|_| true),
            training: (0..FOLDS).map(|fold| tables(&|row| fold_of(row) != fold)).collect(),
        })
    }

    pub(crate) fn width(&self) -> usize {
        self.labels.len()
    }

    pub(crate) fn is_usable(&self, places: usize) -> bool {
        let usable = |table: &Vec<Vec<f64>>| {
            table.len() == places + 1
                && table.iter().all(|row| row.len() == self.width() && row.iter().all(|share| share.is_finite()))
        };
        !self.labels.is_empty()
            && self.training.len() == FOLDS
            && usable(&self.served)
            && self.training.iter().all(usable)
    }

    /// The features of a place; `training` is the row's number in the training part, where it is a training row.
    pub(crate) fn write(&self, place: Option<usize>, training: Option<usize>, features: &mut [f32]) {
        let table = match training {
            Some(row) => &self.training[fold_of(row)],
            None => &self.served,
        };
        let shares = &table[place.unwrap_or(table.len() - 1)];
        for (feature, share) in features.iter_mut().zip(shares) {
            *feature = *share as f32;
        }
    }
}

/// The fold of a training row: its number, well mixed (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014), so that neither the order of the rows nor any column decides it.
fn fold_of(row: usize) -> usize {
    let mut mixed = (row as u64).wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed ^ (mixed >> 31)) % FOLDS as u64) as usize
}

/// The smoothed share of hits at each place; last the share of all.
fn shares(rows: &[(Option<usize>, f64)], count: usize, smooth: Option<f64>) -> Vec<f64> {
    let all = rows.len().max(1) as f64;
    let mean = rows.iter().map(|(_, hit)| hit).sum::<f64>() / all;
    let variance = rows.iter().map(|(_, hit)| (hit - mean).powi(2)).sum::<f64>() / all;
    let (mut counts, mut sums) = (vec![0.0; count], vec![0.0; count]);
    for (place, hit) in rows {
        if let Some(place) = place {
            counts[*place] += 1.0;
            sums[*place] += hit;
        }
    }
    let mut shares: Vec<f64> = Vec::with_capacity(count + 1);
    for (rows, hits) in counts.iter().zip(&sums) {
        let share = match smooth {
            Some(smooth) => (hits + smooth * mean) / (rows + smooth),
            None => {
                let own = hits / rows;
                // The squared differences of values that are 0 or 1.
                let within = (hits * (1.0 - own).powi(2) + (rows - hits) * own.powi(2)) / rows;
                let weight = variance * rows / (variance * rows + within);
                weight * own + (1.0 - weight) * mean
            }
        };
        shares.push(if share.is_finite() { share } else { mean });
    }
    shares.push(mean);
    shares
}
