//! The nearest rows by number columns, with gaps on both sides.

use super::{Columns, Feature, no_numbers};
use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// Rows that a recipe keeps for comparison.
const MOST_ROWS: usize = 4_096;

/// Rows that were kept, and how rows are compared with them: by Euclidean distance over the columns that both have,
/// scaled up to all of them (as scikit-learn's `nan_euclidean_distances`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Neighbours {
    k: usize,
    features: Vec<Feature>,
    /// Scaled values, row by row in the order of `features`.
    rows: Vec<Vec<Option<f64>>>,
}

impl Neighbours {
    /// Keeps of `rows` as many as a recipe may hold, evenly spread, and says which.
    pub(super) fn fit(
        column: &str,
        k: usize,
        rows: &[usize],
        others: &[&str],
        columns: &dyn Columns,
    ) -> Result<(Neighbours, Vec<usize>)> {
        if k == 0 {
            return Err(Error::new(ErrorCode::Config, "the nearest 0 rows say nothing: it must be at least 1")
                .at_column(column));
        }
        let mut features = Vec::new();
        let mut values = Vec::new();
        for other in others {
            let numbers = columns.numbers(other)?;
            if let Some(feature) = Feature::fit(other, &numbers) {
                features.push(feature);
                values.push(numbers);
            }
        }
        if features.is_empty() {
            return Err(no_numbers(column));
        }
        let count = rows.len().min(MOST_ROWS);
        let kept: Vec<usize> = (0..count).map(|place| rows[place * rows.len() / count]).collect();
        let scaled = |row: &usize| -> Vec<Option<f64>> {
            features.iter().zip(&values).map(|(feature, values)| values[*row].map(|v| feature.scaled(v))).collect()
        };
        let rows = kept.iter().map(scaled).collect();
        Ok((Neighbours { k, features, rows }, kept))
    }

    /// For each of these rows, the places of its nearest ones; none where no kept row shares a column with it.
    pub(super) fn of(&self, rows: &[usize], columns: &dyn Columns) -> Result<Vec<Vec<usize>>> {
        let values =
            self.features.iter().map(|feature| columns.numbers(&feature.column)).collect::<Result<Vec<_>>>()?;
        let nearest = |row: &usize| {
            let own: Vec<Option<f64>> = self
                .features
                .iter()
                .zip(&values)
                .map(|(feature, values)| values[*row].map(|v| feature.scaled(v)))
                .collect();
            let mut near: Vec<(f64, usize)> = self
                .rows
                .iter()
                .enumerate()
                .filter_map(|(place, other)| Some((distance(&own, other)?, place)))
                .collect();
            near.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
            near.into_iter().take(self.k).map(|(_, place)| place).collect()
        };
        Ok(rows.iter().map(nearest).collect())
    }

    pub(super) fn reads(&self) -> impl Iterator<Item = &str> {
        self.features.iter().map(|feature| feature.column.as_str())
    }

    pub(super) fn is_usable(&self, values: usize) -> bool {
        let row_is_usable = |row: &Vec<Option<f64>>| {
            row.len() == self.features.len() && row.iter().flatten().all(|value| value.is_finite())
        };
        self.k > 0
            && values == self.rows.len()
            && !self.features.is_empty()
            && self.features.iter().all(Feature::is_usable)
            && self.rows.iter().all(row_is_usable)
    }
}

fn distance(one: &[Option<f64>], other: &[Option<f64>]) -> Option<f64> {
    let both = one.iter().zip(other).filter_map(|(one, other)| Some((*one)? - (*other)?));
    let (mut count, mut sum) = (0u32, 0.0);
    for difference in both {
        count += 1;
        sum += difference * difference;
    }
    (count > 0).then(|| (sum * one.len() as f64 / f64::from(count)).sqrt())
}
