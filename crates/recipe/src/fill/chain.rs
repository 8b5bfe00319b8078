//! Regression of a column on the others while these have gaps too: in rounds, every gap is predicted from what the
//! round before filled in, until the values stand still.

use super::{Columns, Feature, no_numbers};
use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// Rounds at most.
const ROUNDS: usize = 50;

/// A round that moves no value by more than this many standard deviations is the last.
const STILL: f64 = 1e-9;

/// What is added to the diagonal of the normal equations of standardised columns.
const RIDGE: f64 = 1e-3;

/// Columns that may be regressed on each other: the work grows with the cube.
const MOST_COLUMNS: usize = 64;

/// One regression for each column on all others, all standardised; the column that is filled comes first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    features: Vec<Feature>,
    /// For each column, the intercept and then a weight for each other column in order.
    weights: Vec<Vec<f64>>,
}

impl Chain {
    pub(super) fn fit(column: &str, own: &[Option<f64>], others: &[&str], columns: &dyn Columns) -> Result<Chain> {
        // A column that is constant where it is there is filled with that constant: no deviation is needed.
        let first = Feature::fit(column, own).unwrap_or_else(|| {
            let mean = own.iter().flatten().next().copied().unwrap_or_default();
            Feature { column: column.to_owned(), mean, deviation: 1.0 }
        });
        let mut values: Vec<Vec<Option<f64>>> = vec![own.iter().map(|v| v.map(|v| first.scaled(v))).collect()];
        let mut features = vec![first];
        for other in others {
            let numbers = columns.numbers(other)?;
            if let Some(feature) = Feature::fit(other, &numbers) {
                values.push(numbers.into_iter().map(|v| v.map(|v| feature.scaled(v))).collect());
                features.push(feature);
            }
        }
        if features.len() == 1 {
            return Err(no_numbers(column));
        }
        if features.len() > MOST_COLUMNS {
            let message =
                format!("{} number columns: at most {MOST_COLUMNS} can be regressed on each other", features.len());
            return Err(Error::new(ErrorCode::Config, message).at_column(column).fix("use nearest, group or median"));
        }
        let mut filled: Vec<Vec<f64>> =
            values.iter().map(|column| column.iter().map(|cell| cell.unwrap_or(0.0)).collect()).collect();
        let mut weights: Vec<Vec<f64>> = vec![Vec::new(); values.len()];
        for _ in 0..ROUNDS {
            let mut moved = 0.0f64;
            for target in 0..values.len() {
                let known: Vec<usize> = super::rows_with(&values[target]);
                weights[target] = ridge(&filled, target, &known);
                for row in super::gaps(&values[target]) {
                    let value = predicted(&weights[target], target, |place| filled[place][row]);
                    moved = moved.max((value - filled[target][row]).abs());
                    filled[target][row] = value;
                }
            }
            if moved <= STILL {
                break;
            }
        }
        Ok(Chain { features, weights })
    }

    /// The first column's value in each of these rows, where it is missing.
    pub(super) fn predict(
        &self,
        column: &str,
        rows: &[usize],
        own: &[Option<f64>],
        columns: &dyn Columns,
    ) -> Result<Vec<f64>> {
        let mut values = Vec::with_capacity(self.features.len());
        for feature in &self.features {
            values.push(if feature.column == column { own.to_vec() } else { columns.numbers(&feature.column)? });
        }
        let predict = |row: &usize| {
            let known: Vec<Option<f64>> = self
                .features
                .iter()
                .zip(&values)
                .map(|(feature, values)| values[*row].map(|v| feature.scaled(v)))
                .collect();
            let mut filled: Vec<f64> = known.iter().map(|value| value.unwrap_or(0.0)).collect();
            for _ in 0..ROUNDS {
                let mut moved = 0.0f64;
                for target in (0..filled.len()).filter(|target| known[*target].is_none()) {
                    let value = predicted(&self.weights[target], target, |place| filled[place]);
                    moved = moved.max((value - filled[target]).abs());
                    filled[target] = value;
                }
                if moved <= STILL {
                    break;
                }
            }
            self.features[0].mean + self.features[0].deviation * filled[0]
        };
        Ok(rows.iter().map(predict).collect())
    }

    pub(super) fn reads(&self) -> impl Iterator<Item = &str> {
        self.features.iter().skip(1).map(|feature| feature.column.as_str())
    }

    pub(super) fn is_usable(&self) -> bool {
        let size = self.features.len();
        (2..=MOST_COLUMNS).contains(&size)
            && self.features.iter().all(Feature::is_usable)
            && self.weights.len() == size
            && self.weights.iter().all(|weights| weights.len() == size && weights.iter().all(|w| w.is_finite()))
    }
}

/// Intercept and weights times the other columns.
fn predicted(weights: &[f64], target: usize, value: impl Fn(usize) -> f64) -> f64 {
    let others = (0..weights.len()).filter(|place| *place != target);
    weights[0] + others.zip(&weights[1..]).map(|(place, weight)| value(place) * weight).sum::<f64>()
}

/// Least squares of one column on the others over these rows, with an intercept, which is not held small, and a
/// small ridge; by Cholesky's decomposition.
fn ridge(columns: &[Vec<f64>], target: usize, rows: &[usize]) -> Vec<f64> {
    let inputs: Vec<&Vec<f64>> =
        columns.iter().enumerate().filter(|(place, _)| *place != target).map(|(_, column)| column).collect();
    let size = inputs.len();
    let centre = |column: &[f64]| rows.iter().map(|row| column[*row]).sum::<f64>() / rows.len().max(1) as f64;
    let means: Vec<f64> = inputs.iter().map(|input| centre(input)).collect();
    let output = &columns[target];
    let output_mean = centre(output);
    let mut matrix = vec![vec![0.0; size]; size];
    let mut right = vec![0.0; size];
    let mut line = vec![0.0; size];
    for &row in rows {
        for ((value, input), mean) in line.iter_mut().zip(&inputs).zip(&means) {
            *value = input[row] - mean;
        }
        for i in 0..size {
            right[i] += line[i] * (output[row] - output_mean);
            for j in 0..=i {
                matrix[i][j] += line[i] * line[j];
            }
        }
    }
    for (place, line) in matrix.iter_mut().enumerate() {
        line[place] += RIDGE;
    }
    for i in 0..size {
        let (above, here) = matrix.split_at_mut(i);
        let line = &mut here[0];
        for (j, earlier) in above.iter().enumerate() {
            let sum: f64 = (0..j).map(|k| line[k] * earlier[k]).sum();
            line[j] = (line[j] - sum) / earlier[j];
        }
        let sum: f64 = line[..i].iter().map(|value| value * value).sum();
        line[i] = (line[i] - sum).sqrt();
    }
    for i in 0..size {
        let sum: f64 = (0..i).map(|k| matrix[i][k] * right[k]).sum();
        right[i] = (right[i] - sum) / matrix[i][i];
    }
    for i in (0..size).rev() {
        let sum: f64 = (i + 1..size).map(|k| matrix[k][i] * right[k]).sum();
        right[i] = (right[i] - sum) / matrix[i][i];
    }
    let intercept = output_mean - right.iter().zip(&means).map(|(weight, mean)| weight * mean).sum::<f64>();
    [vec![intercept], right].concat()
}
