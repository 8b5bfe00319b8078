//! The number step: clip, fill what is missing, then scale. The order and the formulas are those of scikit-learn's
//! SimpleImputer followed by its scalers; reference values are in tests/reference.

use crate::column::{bad_value, numbers};
use crate::fill::{BatchColumns, Imputation, NumberFill};
use crate::plan::NumberPlan;
use crate::scaling::Scaling;
use crate::settings::NumberMissing;
use crate::statistics::quantile;
use arrow_array::RecordBatch;
use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// A fitted number step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NumberStep {
    pub(crate) column: String,
    /// Values outside of these become these, before all else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) clip: Option<[f64; 2]>,
    /// What stands in for a missing value; `None` refuses it.
    pub(crate) fill: Option<NumberFill>,
    pub(crate) indicator: bool,
    pub(crate) scaling: Scaling,
}

impl NumberStep {
    /// `others` are the other number columns of the recipe, for fills that learn from them.
    pub(crate) fn fit(plan: &NumberPlan, others: &[&str], train: &RecordBatch) -> Result<NumberStep> {
        let column = plan.column.as_str();
        let array = numbers(train, column)?;
        let mut present = Vec::with_capacity(array.len());
        for (row, value) in array.iter().enumerate() {
            match value {
                Some(value) if value.is_finite() => present.push(value),
                Some(value) => return Err(not_finite(column, row, value)),
                None if plan.missing == NumberMissing::Refuse => return Err(refused(column, row)),
                None => {}
            }
        }
        if present.is_empty() && !matches!(plan.missing, NumberMissing::Constant(_)) {
            return Err(Error::new(ErrorCode::BadData, "all training values of this column are missing")
                .at_column(column)
                .fix("leave the column out"));
        }
        let clip = plan.clip.map(|shares| clip_bounds(column, shares, &present)).transpose()?;
        let clipped = |value: f64| clip.map_or(value, |[low, high]| value.clamp(low, high));
        let own: Vec<Option<f64>> = array.iter().map(|value| value.map(clipped)).collect();
        let columns = BatchColumns(train);
        let how = match &plan.missing {
            NumberMissing::Refuse => None,
            NumberMissing::Mean => Some(Imputation::Mean),
            NumberMissing::Median => Some(Imputation::Median),
            NumberMissing::Constant(value) => Some(Imputation::Constant { value: value.to_string() }),
            NumberMissing::Group(by) => Some(Imputation::Group { by: by.clone() }),
            NumberMissing::Nearest(k) => Some(Imputation::Nearest { k: *k }),
            NumberMissing::Iterative => Some(Imputation::Iterative),
        };
        let fill = how.map(|how| NumberFill::fit(&how, column, &own, others, &columns)).transpose()?;
        // The scale is that of the column as the model sees it, filled; the order of the sum is that of the rows.
        let filled: Vec<f64> = match &fill {
            Some(fill) => fill.fill(column, &own, &columns)?.into_iter().flatten().collect(),
            None => own.into_iter().flatten().collect(),
        };
        let step = NumberStep {
            column: column.to_owned(),
            clip,
            fill,
            indicator: plan.indicator,
            scaling: Scaling::fit(plan.normalize, column, &filled)?,
        };
        step.check().map_err(|_| {
            Error::new(ErrorCode::BadData, "the values of this column are too large to be scaled").at_column(column)
        })?;
        Ok(step)
    }

    /// Refuses a step whose numbers cannot have come from a fit.
    pub(crate) fn check(&self) -> Result<()> {
        let clips = self.clip.is_none_or(|[low, high]| low.is_finite() && high.is_finite() && low <= high);
        if !clips || !self.fill.as_ref().is_none_or(NumberFill::is_usable) || !self.scaling.is_usable() {
            return Err(
                Error::new(ErrorCode::BadData, "the numbers of this step are not usable").at_column(&self.column)
            );
        }
        Ok(())
    }

    pub(crate) fn width(&self) -> usize {
        self.scaling.width() + usize::from(self.indicator)
    }

    pub(crate) fn feature_names(&self) -> Vec<String> {
        let mut names = self.scaling.feature_names(&self.column);
        if self.indicator {
            names.push(format!("{} (missing)", self.column));
        }
        names
    }

    /// The columns that it reads.
    pub(crate) fn reads(&self) -> Vec<&str> {
        let mut reads = vec![self.column.as_str()];
        reads.extend(self.fill.iter().flat_map(NumberFill::reads));
        reads
    }

    /// Writes this step's features of every row; `stride` is the length of a whole row.
    pub(crate) fn write(&self, batch: &RecordBatch, output: &mut [f32], at: usize, stride: usize) -> Result<()> {
        let mut own = Vec::with_capacity(batch.num_rows());
        for (row, value) in numbers(batch, &self.column)?.iter().enumerate() {
            if let Some(value) = value.filter(|value| !value.is_finite()) {
                return Err(not_finite(&self.column, row, value));
            }
            own.push(value.map(|value| self.clip.map_or(value, |[low, high]| value.clamp(low, high))));
        }
        let filled = match &self.fill {
            Some(fill) if own.contains(&None) => Some(fill.fill(&self.column, &own, &BatchColumns(batch))?),
            _ => None,
        };
        for (row, value) in filled.as_ref().unwrap_or(&own).iter().enumerate() {
            let value = value.ok_or_else(|| refused(&self.column, row))?;
            let features = &mut output[row * stride + at..][..self.width()];
            self.scaling.write(value, features).map_err(|message| bad_value(&self.column, row, message))?;
            if self.indicator {
                features[self.width() - 1] = f32::from(u8::from(own[row].is_none()));
            }
        }
        Ok(())
    }
}

/// The quantiles of the training values at these shares.
fn clip_bounds(column: &str, [low, high]: [f64; 2], present: &[f64]) -> Result<[f64; 2]> {
    if !(0.0..=1.0).contains(&low) || !(0.0..=1.0).contains(&high) || low >= high {
        let message = format!("[{low}, {high}] are not two shares from 0 to 1, the lower one first");
        return Err(Error::new(ErrorCode::Config, message).at_column(column).fix("for example clip = [0.01, 0.99]"));
    }
    if present.is_empty() {
        return Err(Error::new(ErrorCode::BadData, "all training values of this column are missing").at_column(column));
    }
    let mut sorted = present.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    Ok([quantile(&sorted, low), quantile(&sorted, high)])
}

fn not_finite(column: &str, row: usize, value: f64) -> Error {
    bad_value(column, row, format!("{value} is not a finite number")).fix("remove the row or leave the value empty")
}

fn refused(column: &str, row: usize) -> Error {
    bad_value(column, row, "the value is missing and this column's `missing` is \"refuse\"")
        .fix("fill the value, or set `missing` to \"mean\" or \"median\"")
}
