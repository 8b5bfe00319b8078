//! The step of a window: the last values of a series, transformed where asked for, standardised by training. What is
//! predicted behind it is on the same scale, see [`crate::target`].

use crate::column::{bad_value, series};
use crate::plan::WindowPlan;
use crate::statistics::standard;
use arrow_array::RecordBatch;
use lepton_core::series::{SeriesColumn, SeriesRef};
use lepton_core::{Error, ErrorCode, Result, Transform};
use serde::{Deserialize, Serialize};

/// The longest window, so that a recipe from outside cannot ask for all memory: 2^20.
const LONGEST: usize = 1 << 20;

/// A fitted step of windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowStep {
    pub(crate) column: String,
    /// Values of each window.
    pub(crate) length: usize,
    /// What is done to them first.
    pub(crate) transform: Transform,
    /// What is taken off, and what it is then divided by.
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
}

impl WindowStep {
    pub(crate) fn fit(plan: &WindowPlan, train: &RecordBatch) -> Result<WindowStep> {
        let (mean, deviation) = scale_of(plan, train)?;
        let step =
            WindowStep { column: plan.column.clone(), length: plan.length, transform: plan.transform, mean, deviation };
        step.check()?;
        Ok(step)
    }

    /// Refuses a step that cannot have come from a fit.
    pub(crate) fn check(&self) -> Result<()> {
        let usable = self.mean.is_finite() && self.deviation.is_finite() && self.deviation > 0.0;
        if usable && (1..=LONGEST).contains(&self.length) {
            return Ok(());
        }
        let message = format!("a window of {} values, or its mean or deviation, is of no use", self.length);
        Err(Error::new(ErrorCode::BadData, message).at_column(&self.column))
    }

    /// Writes `[n, length, 1]`.
    pub(crate) fn write(&self, batch: &RecordBatch, output: &mut [f32]) -> Result<()> {
        let all = series(batch, &self.column)?;
        for (row, floats) in output.chunks_exact_mut(self.length).enumerate() {
            let values = last_values(&all, &self.column, row, self.length)?;
            for (place, value) in values.iter().enumerate() {
                let value = self.transform.apply(f64::from(*value));
                let value = value.ok_or_else(|| unusable(&self.column, row, values[place], place))?;
                floats[place] = ((value - self.mean) / self.deviation) as f32;
            }
        }
        Ok(())
    }
}

/// Mean and deviation of all transformed values of all training windows.
pub(crate) fn scale_of(plan: &WindowPlan, train: &RecordBatch) -> Result<(f64, f64)> {
    let column = plan.column.as_str();
    let all = series(train, column)?;
    let mut present = Vec::new();
    for row in 0..all.len() {
        for (place, value) in last_values(&all, column, row, plan.length)?.iter().enumerate() {
            let transformed = plan.transform.apply(f64::from(*value));
            present.push(transformed.ok_or_else(|| unusable(column, row, *value, place))?);
        }
    }
    if present.windows(2).all(|pair| pair[0] == pair[1]) {
        let message = "all training values are the same: nothing can be learned";
        return Err(Error::new(ErrorCode::BadData, message).at_column(column));
    }
    Ok(standard(&present))
}

/// The last `length` values of one row.
fn last_values<'a>(all: &SeriesColumn<'a>, column: &str, row: usize, length: usize) -> Result<&'a [f32]> {
    let SeriesRef { dimensions, values } = all.get(row).ok_or_else(|| bad_value(column, row, "it is missing"))?;
    if dimensions != 1 {
        let message = format!("each step has {dimensions} numbers, and the forecast is made from one");
        return Err(bad_value(column, row, message));
    }
    match values.len().checked_sub(length) {
        Some(start) => Ok(&values[start..]),
        None => {
            let message = format!("it has {} values, and the forecast is made from the last {length}", values.len());
            Err(bad_value(column, row, message).fix(format!("give at least {length} values, the newest one last")))
        }
    }
}

fn unusable(column: &str, row: usize, value: f32, place: usize) -> Error {
    let what = match value {
        value if value.is_nan() => "missing".to_owned(),
        value => format!("{value}, which is not finite or cannot be transformed"),
    };
    bad_value(column, row, format!("value {} of the window is {what}", place + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Recipe, RecipePlan, StepPlan, TargetPlan};
    use lepton_core::series::SeriesBuilder;
    use lepton_core::{Column, ColumnKind, Schema};

    fn rows(context: &[&[f32]], ahead: &[&[f32]]) -> RecordBatch {
        let column = |all: &[&[f32]]| {
            let mut builder = SeriesBuilder::default();
            all.iter().for_each(|values| builder.push(Some(SeriesRef { dimensions: 1, values })));
            builder.finish()
        };
        RecordBatch::try_from_iter([("context", column(context)), ("y", column(ahead))]).unwrap()
    }

    fn fitted(transform: Transform, train: &RecordBatch) -> Result<Recipe> {
        let column = |name: &str| Column { name: name.to_owned(), kind: ColumnKind::Series, nullable: false };
        let window = WindowPlan { column: "context".to_owned(), length: 2, transform };
        let quantiles = vec![0.1, 0.5, 0.9];
        let target =
            TargetPlan::Horizon { column: "y".to_owned(), window: window.clone(), steps: 1, quantiles, season: 4 };
        RecipePlan { steps: vec![StepPlan::Window(window)], target: Some(target) }
            .fit(&Schema { columns: vec![column("context"), column("y")] }, train)
    }

    #[test]
    fn the_last_values_and_what_follows_are_on_one_scale() {
        // Of the windows [1, 3] and [5, 7]: mean 4, deviation sqrt 5.
        let train = rows(&[&[9.0, 1.0, 3.0], &[5.0, 7.0]], &[&[4.0], &[4.0]]);
        let recipe = fitted(Transform::None, &train).unwrap();
        assert_eq!(recipe.output().shape, [-1, 2, 1]);
        let half = (3.0 / 5.0f64.sqrt()) as f32;
        let third = (1.0 / 5.0f64.sqrt()) as f32;
        assert_eq!(recipe.apply(&train).unwrap().as_float32().unwrap(), [-half, -third, third, half]);
        assert_eq!(recipe.encode_target(&train).unwrap().as_float32().unwrap(), [0.0, 0.0]);
        let horizon = recipe.horizon().unwrap();
        assert_eq!((horizon.steps, horizon.season, horizon.offset), (1, 4, 4.0));
        let read = Recipe::from_json(&recipe.to_json().unwrap()).unwrap();
        assert_eq!(read, recipe);
        let logs = fitted(Transform::Log, &train).unwrap();
        let value = f64::from(logs.encode_target(&train).unwrap().as_float32().unwrap()[0]);
        assert!((logs.horizon().unwrap().to_data(value) - 4.0).abs() < 1e-5);
    }

    #[test]
    fn what_no_forecast_is_made_from_is_named() {
        let good = rows(&[&[1.0, 3.0], &[5.0, 7.0]], &[&[4.0], &[4.0]]);
        let recipe = fitted(Transform::None, &good).unwrap();
        let gap = f32::NAN;
        for (context, says) in [(&[1.0][..], "has 1 values"), (&[], "has 0 values"), (&[1.0, gap], "value 2")] {
            let error = recipe.apply(&rows(&[context], &[&[4.0]])).unwrap_err();
            assert_eq!((error.code(), error.place().row), (ErrorCode::BadData, Some(1)));
            assert!(error.message().contains(says), "{error}");
        }
        let zero = rows(&[&[0.0, 3.0], &[5.0, 7.0]], &[&[4.0], &[4.0]]);
        assert!(fitted(Transform::Log, &zero).unwrap_err().message().contains("cannot be transformed"));
        let flat = rows(&[&[2.0, 2.0], &[2.0, 2.0]], &[&[4.0], &[4.0]]);
        assert!(fitted(Transform::None, &flat).unwrap_err().message().contains("are the same"));
        for ahead in [&[1.0, 2.0][..], &[gap]] {
            assert!(recipe.encode_target(&rows(&[&[1.0, 2.0]], &[ahead])).is_err());
        }
    }
}
