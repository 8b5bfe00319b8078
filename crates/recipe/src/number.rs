//! The number step: fill what is missing, then scale. The order and the formulas are those of scikit-learn's
//! SimpleImputer followed by StandardScaler or MinMaxScaler; reference values are in tests/reference.

use crate::column::{bad_value, numbers};
use crate::plan::{NumberMissing, NumberNormalize};
use arrow_array::RecordBatch;
use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// A fitted number step: `(value - offset) / scale`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NumberStep {
    pub(crate) column: String,
    /// What stands in for a missing value; `None` refuses it.
    fill: Option<f64>,
    indicator: bool,
    offset: f64,
    scale: f64,
}

impl NumberStep {
    pub(crate) fn fit(
        column: &str,
        missing: NumberMissing,
        indicator: bool,
        normalize: NumberNormalize,
        train: &RecordBatch,
    ) -> Result<NumberStep> {
        let array = numbers(train, column)?;
        let mut present = Vec::with_capacity(array.len());
        for (row, value) in array.iter().enumerate() {
            match value {
                Some(value) if value.is_finite() => present.push(value),
                Some(value) => return Err(not_finite(column, row, value)),
                None if missing == NumberMissing::Refuse => return Err(refused(column, row)),
                None => {}
            }
        }
        if present.is_empty() {
            return Err(Error::new(ErrorCode::BadData, "all training values of this column are missing")
                .at_column(column)
                .fix("leave the column out"));
        }
        let fill = match missing {
            NumberMissing::Refuse => None,
            NumberMissing::Mean => Some(mean(&present)),
            NumberMissing::Median => Some(median(&mut present.clone())),
        };
        if let Some(fill) = fill {
            // The scale is that of the column as the model sees it, filled; the order of the sum is that of the rows.
            present = array.iter().map(|value| value.unwrap_or(fill)).collect();
        }
        let (offset, scale) = match normalize {
            NumberNormalize::None => (0.0, 1.0),
            NumberNormalize::Standardize => standard(&present),
            NumberNormalize::MinMax => min_max(&present),
        };
        let step = NumberStep { column: column.to_owned(), fill, indicator, offset, scale };
        step.check().map_err(|_| {
            Error::new(ErrorCode::BadData, "the values of this column are too large to be scaled").at_column(column)
        })?;
        Ok(step)
    }

    /// Refuses a step whose numbers cannot have come from a fit.
    pub(crate) fn check(&self) -> Result<()> {
        let finite = self.fill.is_none_or(f64::is_finite) && self.offset.is_finite() && self.scale.is_finite();
        if !finite || self.scale <= 0.0 {
            return Err(
                Error::new(ErrorCode::BadData, "the numbers of this step are not usable").at_column(&self.column)
            );
        }
        Ok(())
    }

    pub(crate) fn width(&self) -> usize {
        1 + usize::from(self.indicator)
    }

    pub(crate) fn feature_names(&self) -> Vec<String> {
        let mut names = vec![self.column.clone()];
        if self.indicator {
            names.push(format!("{} (missing)", self.column));
        }
        names
    }

    /// Writes this step's features of every row; `stride` is the length of a whole row.
    pub(crate) fn write(&self, batch: &RecordBatch, output: &mut [f32], at: usize, stride: usize) -> Result<()> {
        for (row, value) in numbers(batch, &self.column)?.iter().enumerate() {
            let filled = match (value, self.fill) {
                (Some(value), _) if !value.is_finite() => return Err(not_finite(&self.column, row, value)),
                (Some(value), _) => value,
                (None, Some(fill)) => fill,
                (None, None) => return Err(refused(&self.column, row)),
            };
            let scaled = ((filled - self.offset) / self.scale) as f32;
            if !scaled.is_finite() {
                return Err(bad_value(&self.column, row, format!("{filled} is out of float32's range once scaled")));
            }
            output[row * stride + at] = scaled;
            if self.indicator {
                output[row * stride + at + 1] = f32::from(u8::from(value.is_none()));
            }
        }
        Ok(())
    }
}

fn not_finite(column: &str, row: usize, value: f64) -> Error {
    bad_value(column, row, format!("{value} is not a finite number")).fix("remove the row or leave the value empty")
}

fn refused(column: &str, row: usize) -> Error {
    bad_value(column, row, "the value is missing and this column's `missing` is \"refuse\"")
        .fix("fill the value, or set `missing` to \"mean\" or \"median\"")
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

/// Mean and population standard deviation, by two passes. A column whose variance is within rounding error of
/// none gets scale 1, by the bound that scikit-learn uses: n·eps·var + (n·mean·eps)².
pub(crate) fn standard(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = mean(values);
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let rounding = count * f64::EPSILON * variance + (count * mean * f64::EPSILON).powi(2);
    (mean, if variance <= rounding { 1.0 } else { variance.sqrt() })
}

fn min_max(values: &[f64]) -> (f64, f64) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let range = high - low;
    (low, if range < 10.0 * f64::EPSILON { 1.0 } else { range })
}
