//! The step of a whole series: gaps are filled, it is standardised, cut or padded to one length, and becomes
//! `[time, dimensions]`. Windows of one long series are in [`crate::series`].

use crate::column::{bad_value, series};
use crate::plan::WholeSeriesPlan;
use crate::settings::SeriesStandardize;
use crate::statistics::standard;
use arrow_array::RecordBatch;
use lepton_core::series::{SeriesColumn, SeriesRef};
use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// Elements that one series may become, so that a recipe from outside cannot ask for all memory: 2^26.
const MAX_ELEMENTS: usize = 1 << 26;

/// The longest training series that is taken whole without being asked for: a network over more steps takes the
/// memory of a large machine.
const LONGEST_UNASKED: usize = 1 << 15;

/// A fitted step of series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WholeSeriesStep {
    pub(crate) column: String,
    /// Steps of every series: longer ones are cut at their end, shorter ones padded with 0 there.
    pub(crate) length: usize,
    pub(crate) dimensions: usize,
    pub(crate) standardize: SeriesStandardize,
    /// What is taken off each dimension, and what it is then divided by; 0 and 1 where nothing is learned.
    pub(crate) mean: Vec<f64>,
    pub(crate) deviation: Vec<f64>,
}

impl WholeSeriesStep {
    pub(crate) fn fit(plan: &WholeSeriesPlan, train: &RecordBatch) -> Result<WholeSeriesStep> {
        let column = plan.column.as_str();
        let all = series(train, column)?;
        let get = |row| value(&all, column, row);
        let dimensions = get(0)?.dimensions;
        let mut longest = 0;
        for row in 0..all.len() {
            let series = get(row)?;
            same_dimensions(column, row, series, dimensions)?;
            longest = longest.max(series.length());
        }
        if plan.length.is_none() && longest > LONGEST_UNASKED {
            let message = format!(
                "the longest training series has {longest} steps, and up to {LONGEST_UNASKED} are taken where no length is set"
            );
            return Err(Error::new(ErrorCode::BadData, message)
                .at_column(column)
                .fix("set recipe.series_length; longer series are cut at their end"));
        }
        let mut step = WholeSeriesStep {
            column: column.to_owned(),
            length: plan.length.unwrap_or(longest),
            dimensions,
            standardize: plan.standardize,
            mean: vec![0.0; dimensions],
            deviation: vec![1.0; dimensions],
        };
        step.check()?;
        if plan.standardize == SeriesStandardize::Training {
            for dimension in 0..dimensions {
                let mut present = Vec::new();
                for row in 0..all.len() {
                    let values = get(row)?.dimension(dimension).take(step.length);
                    present.extend(values.filter(|value| !value.is_nan()).map(f64::from));
                }
                (step.mean[dimension], step.deviation[dimension]) = scale(&present);
            }
        }
        step.check()?;
        Ok(step)
    }

    /// Refuses a step that cannot have come from a fit.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(ErrorCode::Config, message).at_column(&self.column));
        let elements = self.length.checked_mul(self.dimensions);
        if elements.is_none_or(|count| count == 0 || count > MAX_ELEMENTS) {
            let WholeSeriesStep { length, dimensions, .. } = self;
            return wrong(format!("{length} steps of {dimensions} numbers are no usable size of a series"));
        }
        let usable = self.mean.iter().chain(&self.deviation).all(|number| number.is_finite())
            && self.deviation.iter().all(|&number| number > 0.0);
        if self.mean.len() != self.dimensions || self.deviation.len() != self.dimensions || !usable {
            return wrong("mean and deviation must be one usable number per dimension".to_owned());
        }
        Ok(())
    }

    pub(crate) fn width(&self) -> usize {
        self.length * self.dimensions
    }

    /// Writes `[n, time, dimensions]`.
    pub(crate) fn write(&self, batch: &RecordBatch, output: &mut [f32]) -> Result<()> {
        let all = series(batch, &self.column)?;
        for (row, floats) in output.chunks_exact_mut(self.width()).enumerate() {
            let series = value(&all, &self.column, row)?;
            same_dimensions(&self.column, row, series, self.dimensions)?;
            for dimension in 0..self.dimensions {
                let mut steps: Vec<f64> = series.dimension(dimension).take(self.length).map(f64::from).collect();
                if steps.iter().any(|step| step.is_infinite()) {
                    return Err(bad_value(&self.column, row, "a number of the series is not finite"));
                }
                let (mean, deviation) = match self.standardize {
                    SeriesStandardize::Each => {
                        scale(&steps.iter().copied().filter(|step| !step.is_nan()).collect::<Vec<_>>())
                    }
                    _ => (self.mean[dimension], self.deviation[dimension]),
                };
                fill(&mut steps, mean);
                for (time, step) in steps.into_iter().enumerate() {
                    floats[time * self.dimensions + dimension] = ((step - mean) / deviation) as f32;
                }
            }
        }
        Ok(())
    }
}

fn value<'a>(all: &SeriesColumn<'a>, column: &str, row: usize) -> Result<SeriesRef<'a>> {
    let series = all.get(row).filter(|series| !series.values.is_empty());
    series.ok_or_else(|| bad_value(column, row, "the series is missing or has no steps"))
}

fn same_dimensions(column: &str, row: usize, series: SeriesRef<'_>, wanted: usize) -> Result<()> {
    if series.dimensions == wanted {
        return Ok(());
    }
    let message = format!("each step of this series has {} numbers, in training it has {wanted}", series.dimensions);
    Err(bad_value(column, row, message))
}

/// Mean and deviation of the numbers that are there; 0 and 1 where there are none.
fn scale(present: &[f64]) -> (f64, f64) {
    if present.is_empty() { (0.0, 1.0) } else { standard(present) }
}

/// Gaps between two numbers are filled on the straight line between them, gaps at an end with the nearest number; a
/// dimension of which nothing is there becomes `empty` throughout.
fn fill(steps: &mut [f64], empty: f64) {
    let present: Vec<usize> = (0..steps.len()).filter(|&time| !steps[time].is_nan()).collect();
    let (Some(&first), Some(&last)) = (present.first(), present.last()) else {
        steps.fill(empty);
        return;
    };
    let (before, after) = (steps[first], steps[last]);
    steps[..first].fill(before);
    steps[last..].fill(after);
    for pair in present.windows(2) {
        let (start, end) = (steps[pair[0]], steps[pair[1]]);
        let whole = (pair[1] - pair[0]) as f64;
        for (place, step) in steps[pair[0] + 1..pair[1]].iter_mut().enumerate() {
            *step = start + (end - start) * ((place + 1) as f64 / whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Recipe, RecipePlan, StepPlan};
    use arrow_array::ArrayRef;
    use lepton_core::series::SeriesBuilder;
    use lepton_core::{Column, ColumnKind, Schema};

    const GAP: f32 = f32::NAN;

    fn rows(dimensions: usize, all: &[&[f32]]) -> RecordBatch {
        let mut builder = SeriesBuilder::default();
        all.iter().for_each(|values| builder.push(Some(SeriesRef { dimensions, values })));
        let column: ArrayRef = builder.finish();
        RecordBatch::try_from_iter([("x", column)]).unwrap()
    }

    fn schema() -> Schema {
        Schema { columns: vec![Column { name: "x".to_owned(), kind: ColumnKind::Series, nullable: false }] }
    }

    fn fitted(change: impl Fn(&mut WholeSeriesPlan), train: &RecordBatch) -> Result<Recipe> {
        let mut plan = WholeSeriesPlan::new("x");
        change(&mut plan);
        RecipePlan { steps: vec![StepPlan::Series(plan)], target: None }.fit(&schema(), train)
    }

    fn applied(recipe: &Recipe, rows: &RecordBatch) -> (Vec<usize>, Vec<f32>) {
        let tensor = recipe.apply(rows).unwrap();
        (tensor.shape().to_vec(), tensor.as_float32().unwrap().to_vec())
    }

    #[test]
    fn series_are_standardised_by_training_padded_and_cut() {
        // Dimension one: 1, 3, 5 and 7 (mean 4, deviation sqrt 5); dimension two is 2 throughout.
        let train = rows(2, &[&[1.0, 2.0, 3.0, 2.0], &[5.0, 2.0], &[7.0, 2.0]]);
        let recipe = fitted(|_| (), &train).unwrap();
        assert_eq!(recipe.output().shape, [-1, 2, 2]);
        let (shape, values) = applied(&recipe, &rows(2, &[&[4.0, 3.0], &[9.0, 2.0, 4.0, 2.0, 1.0, 1.0]]));
        assert_eq!(shape, [2, 2, 2]);
        assert_eq!(values, [0.0, 1.0, 0.0, 0.0, (5.0 / 5.0f64.sqrt()) as f32, 0.0, 0.0, 0.0]);
        assert_eq!(recipe.feature_names(), ["x"]);
    }

    #[test]
    fn each_series_may_stand_for_itself_or_stay_as_it_is() {
        let train = rows(1, &[&[1.0, 3.0], &[50.0, 70.0]]);
        let each = fitted(|plan| plan.standardize = SeriesStandardize::Each, &train).unwrap();
        assert_eq!(applied(&each, &train).1, [-1.0, 1.0, -1.0, 1.0]);
        assert_eq!(applied(&each, &rows(1, &[&[7.0]])).1, [0.0, 0.0]);
        let none = fitted(|plan| plan.standardize = SeriesStandardize::None, &train).unwrap();
        assert_eq!(applied(&none, &train).1, [1.0, 3.0, 50.0, 70.0]);
        let short = fitted(|plan| (plan.length, plan.standardize) = (Some(3), SeriesStandardize::None), &train);
        assert_eq!(applied(&short.unwrap(), &train).1, [1.0, 3.0, 0.0, 50.0, 70.0, 0.0]);
    }

    #[test]
    fn gaps_are_filled_along_straight_lines() {
        let train = rows(1, &[&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]]);
        let none = fitted(|plan| plan.standardize = SeriesStandardize::None, &train).unwrap();
        let filled = |values: &[f32]| applied(&none, &rows(1, &[values])).1;
        assert_eq!(filled(&[GAP, 1.0, GAP, GAP, 4.0, GAP]), [1.0, 1.0, 2.0, 3.0, 4.0, 4.0]);
        assert_eq!(filled(&[GAP, GAP]), [0.0; 6]);
        let by_training = fitted(|_| (), &train).unwrap();
        assert_eq!(applied(&by_training, &rows(1, &[&[GAP]])).1, [0.0; 6]);
    }

    #[test]
    fn a_written_recipe_makes_the_same_bytes_alone_and_in_a_batch() {
        let train = rows(2, &[&[0.1, 7.0, GAP, 9.5, 3.0, GAP], &[4.0, 1.0]]);
        let recipe = fitted(|_| (), &train).unwrap();
        let read = Recipe::from_json(&recipe.to_json().unwrap()).unwrap();
        assert_eq!(read, recipe);
        let (_, together) = applied(&read, &train);
        let alone: Vec<f32> = (0..2).flat_map(|row| applied(&recipe, &train.slice(row, 1)).1).collect();
        assert_eq!(alone, together);
    }

    #[test]
    fn what_cannot_be_used_is_named_by_row() {
        let train = rows(2, &[&[1.0, 2.0], &[3.0, 5.0]]);
        let recipe = fitted(|_| (), &train).unwrap();
        for (bad, says) in [
            (rows(1, &[&[1.0]]), "has 1 numbers, in training it has 2"),
            (rows(2, &[&[]]), "missing or has no steps"),
            (rows(2, &[&[f32::INFINITY, 0.0]]), "not finite"),
        ] {
            let error = recipe.apply(&bad).unwrap_err();
            assert_eq!((error.code(), error.place().row), (ErrorCode::BadData, Some(1)));
            assert!(error.message().contains(says) && error.place().column.as_deref() == Some("x"), "{error}");
        }
        let long = vec![1.0; LONGEST_UNASKED + 1];
        let error = fitted(|_| (), &rows(1, &[&long])).unwrap_err();
        assert!(error.remedy().unwrap().contains("recipe.series_length"), "{error}");
        let cut = fitted(|plan| plan.length = Some(4), &rows(1, &[&long])).unwrap();
        assert_eq!(cut.output().shape, [-1, 4, 1]);
        assert!(fitted(|plan| plan.length = Some(0), &train).is_err());
        assert!(fitted(|plan| plan.length = Some(usize::MAX), &train).is_err());
    }

    #[test]
    fn a_series_stands_alone() {
        let train = rows(1, &[&[1.0], &[2.0]]);
        let number: ArrayRef = std::sync::Arc::new(arrow_array::Float64Array::from(vec![1.0, 2.0]));
        let both = RecordBatch::try_from_iter([("x", train.column(0).clone()), ("n", number)]).unwrap();
        let mut schema = schema();
        schema.columns.push(Column { name: "n".to_owned(), kind: ColumnKind::Number, nullable: false });
        let steps = vec![StepPlan::Series(WholeSeriesPlan::new("x")), StepPlan::Number(crate::NumberPlan::new("n"))];
        let error = RecipePlan { steps, target: None }.fit(&schema, &both).unwrap_err();
        assert_eq!((error.code(), error.place().column.as_deref()), (ErrorCode::Unsupported, Some("x")));
    }
}
