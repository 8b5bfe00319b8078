//! Metrics of forecasts: what a network gave beside what came, in the unit of the data, and beside the baselines that were
//! computed when the windows were cut.

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, RecordBatch};
use lepton_core::series::SeriesColumn;
use lepton_core::{Error, ErrorCode, Horizon, Metric, Metrics, Result, Tensor};
use lepton_forecast::{coverage, interval_width, mae, pinball, rmse, scaled, smape, weighted_quantile_loss};

/// The columns of rows that are forecasts, one origin each.
pub mod columns {
    /// The values before the origin that the network sees, a series.
    pub const CONTEXT: &str = "context";
    /// The values from the origin on, a series: what is forecast.
    pub const AHEAD: &str = "ahead";
    /// The name of the series that it was cut from; empty where there is one.
    pub const SERIES: &str = "series";
    /// The first step that is forecast, from 1, within its series.
    pub const ORIGIN: &str = "origin";
    /// The mean absolute error of the seasonal naive forecast inside all values before the origin.
    pub const SCALE: &str = "scale";
    /// The seasonal naive forecast, a series.
    pub const SEASONAL_NAIVE: &str = "seasonal_naive";
    /// The forecast of exponential smoothing, a series; missing where none was computed.
    pub const SMOOTHING: &str = "exponential_smoothing";
}

/// Forecasts of several origins, what came, and the baselines.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecasted {
    steps: usize,
    levels: Vec<f64>,
    median: usize,
    /// `[origins * steps]`.
    truth: Vec<f64>,
    /// `[origins * steps * levels]`.
    quantiles: Vec<f64>,
    /// One per origin; empty where some origin has none above 0.
    scales: Vec<f64>,
    /// Their names and `[origins * steps]`.
    baselines: Vec<(Baseline, Vec<f64>)>,
}

/// A forecast without a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// The last season again.
    SeasonalNaive,
    /// Exponential smoothing.
    Smoothing,
}

impl Baseline {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Baseline::SeasonalNaive => "seasonal naive",
            Baseline::Smoothing => "exponential smoothing",
        }
    }
}

impl Forecasted {
    /// From a network's outputs, float32 `[origins, steps * quantiles]`, and the rows that it gave them for.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] when they do not match; [`ErrorCode::Diverged`] for outputs that are not finite;
    /// [`ErrorCode::BadData`] without rows, or for rows that were not cut as forecasts are.
    pub fn new(outputs: &Tensor, rows: &RecordBatch, horizon: &Horizon) -> Result<Forecasted> {
        if outputs.shape() != [rows.num_rows(), horizon.outputs()] {
            let message = format!(
                "{} rows of {} numbers were expected, not {:?}",
                rows.num_rows(),
                horizon.outputs(),
                outputs.shape()
            );
            return Err(Error::new(ErrorCode::Shape, message));
        }
        if rows.num_rows() == 0 {
            return Err(Error::new(ErrorCode::BadData, "there are no rows to compute metrics on"));
        }
        let values = outputs.as_float32()?;
        let all: Vec<f64> = values.chunks_exact(horizon.outputs()).flat_map(|row| horizon.quantiles_of(row)).collect();
        if let Some(place) = all.iter().position(|value| !value.is_finite()) {
            let row = (place / horizon.outputs()) as u64 + 1;
            return Err(Error::new(ErrorCode::Diverged, "the forecast is NaN or infinite").at_row(row));
        }
        let truth = steps_of(rows, columns::AHEAD, horizon.steps)?
            .ok_or_else(|| Error::new(ErrorCode::BadData, "a row has no values to forecast"))?;
        let mut baselines = Vec::new();
        for (baseline, column) in
            [(Baseline::SeasonalNaive, columns::SEASONAL_NAIVE), (Baseline::Smoothing, columns::SMOOTHING)]
        {
            baselines.extend(steps_of(rows, column, horizon.steps)?.map(|values| (baseline, values)));
        }
        Ok(Forecasted {
            steps: horizon.steps,
            levels: horizon.quantiles.clone(),
            median: horizon.median().ok_or_else(|| Error::internal("a horizon without a median"))?,
            truth,
            quantiles: all,
            scales: scales_of(rows).unwrap_or_default(),
            baselines,
        })
    }

    /// How many origins.
    pub fn origins(&self) -> usize {
        self.truth.len() / self.steps
    }

    /// Levels of the quantiles.
    pub fn levels(&self) -> &[f64] {
        &self.levels
    }

    /// What came after an origin.
    pub fn truth(&self, origin: usize) -> &[f64] {
        &self.truth[origin * self.steps..(origin + 1) * self.steps]
    }

    /// One quantile of an origin's forecast, step by step.
    pub fn quantile(&self, origin: usize, level: usize) -> Vec<f64> {
        let width = self.levels.len();
        let row = &self.quantiles[origin * self.steps * width..(origin + 1) * self.steps * width];
        row.iter().skip(level).step_by(width).copied().collect()
    }

    /// The medians of all origins, `[origins * steps]`.
    pub fn medians(&self) -> Vec<f64> {
        self.quantiles.iter().skip(self.median).step_by(self.levels.len()).copied().collect()
    }

    /// What the baselines forecast, `[origins * steps]` each.
    pub fn baselines(&self) -> impl Iterator<Item = (Baseline, &[f64])> {
        self.baselines.iter().map(|(baseline, values)| (*baseline, values.as_slice()))
    }

    /// The mean absolute scaled error of `forecast`, `[origins * steps]`: of each origin its mean absolute error over its
    /// own scale, then the mean. `None` where an origin has no scale.
    pub fn mase(&self, forecast: &[f64]) -> Option<f64> {
        let origins = self.scales.iter().zip(self.truth.chunks(self.steps)).zip(forecast.chunks(self.steps));
        let sum: f64 = origins.map(|((scale, truth), forecast)| scaled(mae(truth, forecast), *scale)).sum();
        (!self.scales.is_empty()).then(|| sum / self.scales.len() as f64)
    }

    /// The mean absolute scaled error of `forecast` at each step ahead; empty where an origin has no scale.
    pub fn mase_by_step(&self, forecast: &[f64]) -> Vec<f64> {
        let at = |step: usize| -> f64 {
            let errors = (step..self.truth.len()).step_by(self.steps).zip(&self.scales);
            errors.map(|(place, scale)| scaled((self.truth[place] - forecast[place]).abs(), *scale)).sum::<f64>()
                / self.origins() as f64
        };
        if self.scales.is_empty() { Vec::new() } else { (0..self.steps).map(at).collect() }
    }

    /// All metrics by name. Those that these rows do not have are left out: scaled errors where a history repeats itself
    /// to the last digit or is no longer than a season, and the baselines' where they were not computed.
    pub fn metrics(&self) -> Metrics {
        let medians = self.medians();
        let of = |baseline: Baseline| {
            self.baselines().find(|(known, _)| *known == baseline).and_then(|(_, values)| self.mase(values))
        };
        let (mase, naive) = (self.mase(&medians), of(Baseline::SeasonalNaive));
        let skill = mase.zip(naive).filter(|(_, naive)| *naive > 0.0).map(|(mase, naive)| 1.0 - mase / naive);
        let value = |metric: Metric| match metric {
            Metric::Mase => mase,
            Metric::MaseSeasonalNaive => naive,
            Metric::MaseEts => of(Baseline::Smoothing),
            Metric::SkillOverSeasonalNaive => skill,
            Metric::Smape => Some(smape(&self.truth, &medians)),
            Metric::Rmse => Some(rmse(&self.truth, &medians)),
            Metric::Mae => Some(mae(&self.truth, &medians)),
            Metric::Pinball => Some(pinball(&self.truth, &self.quantiles, &self.levels)),
            Metric::WeightedQuantileLoss => {
                Some(weighted_quantile_loss(&self.truth, &self.quantiles, &self.levels)).filter(|loss| loss.is_finite())
            }
            Metric::Coverage => Some(coverage(&self.truth, &self.quantiles, self.levels.len())),
            Metric::IntervalWidth => Some(interval_width(&self.quantiles, self.levels.len())),
            _ => None,
        };
        let named = |metric: &Metric| Some((metric.name().to_owned(), value(*metric)?));
        Metric::OF_FORECASTS.iter().filter_map(named).collect()
    }
}

/// The values of a column of series, row after row; `None` where one is missing, or has another length.
fn steps_of(rows: &RecordBatch, column: &str, steps: usize) -> Result<Option<Vec<f64>>> {
    let Some(array) = rows.column_by_name(column) else { return Ok(None) };
    let all = SeriesColumn::new(array).map_err(|error| error.at_column(column))?;
    let mut values = Vec::with_capacity(all.len() * steps);
    for row in 0..all.len() {
        match all.get(row).filter(|series| series.dimensions == 1 && series.values.len() == steps) {
            Some(series) => values.extend(series.values.iter().map(|value| f64::from(*value))),
            None => return Ok(None),
        }
    }
    Ok(Some(values))
}

/// The scale of each row; `None` where one is missing or not above 0.
fn scales_of(rows: &RecordBatch) -> Option<Vec<f64>> {
    let array = rows.column_by_name(columns::SCALE)?.as_primitive_opt::<Float64Type>()?;
    (array.null_count() == 0).then(|| array.values().to_vec()).filter(|all| all.iter().all(|scale| *scale > 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, Float64Array};
    use lepton_core::Transform;
    use lepton_core::series::{SeriesBuilder, SeriesRef};
    use std::sync::Arc;

    fn series(rows: &[Option<&[f32]>]) -> ArrayRef {
        let mut builder = SeriesBuilder::default();
        rows.iter().for_each(|row| builder.push(row.map(|values| SeriesRef { dimensions: 1, values })));
        builder.finish()
    }

    fn horizon() -> Horizon {
        Horizon {
            steps: 2,
            quantiles: vec![0.25, 0.5],
            season: 1,
            transform: Transform::None,
            offset: 10.0,
            scale: 2.0,
        }
    }

    fn rows(scales: [f64; 2], smoothing: Option<&[f32]>) -> RecordBatch {
        let scales: ArrayRef = Arc::new(Float64Array::from(scales.to_vec()));
        RecordBatch::try_from_iter([
            (columns::AHEAD, series(&[Some(&[10.0, 14.0]), Some(&[8.0, 8.0])])),
            (columns::SCALE, scales),
            (columns::SEASONAL_NAIVE, series(&[Some(&[10.0, 10.0]), Some(&[10.0, 10.0])])),
            (columns::SMOOTHING, series(&[smoothing, Some(&[8.0, 8.0])])),
        ])
        .unwrap()
    }

    /// Medians 10, 12 and 8, 8; lower quantiles 8, 10 and 8, 6; a pair is given the wrong way round.
    fn outputs() -> Tensor {
        Tensor::float32([2, 4], vec![-1.0, 0.0, 1.0, 0.0, -1.0, -1.0, -2.0, -1.0]).unwrap()
    }

    #[test]
    fn errors_are_over_the_scale_of_their_origin() {
        let forecasted = Forecasted::new(&outputs(), &rows([1.0, 2.0], Some(&[10.0, 14.0])), &horizon()).unwrap();
        assert_eq!(forecasted.medians(), [10.0, 12.0, 8.0, 8.0]);
        assert_eq!((forecasted.truth(0), forecasted.quantile(1, 0)), (&[10.0, 14.0][..], vec![8.0, 6.0]));
        let metrics = forecasted.metrics();
        // Origin one: (0 + 2) / 2 over 1; origin two: 0.
        assert_eq!(metrics["mase"], 0.5);
        // Seasonal naive: (0 + 4) / 2 over 1, (2 + 2) / 2 over 2.
        assert_eq!((metrics["mase_seasonal_naive"], metrics["mase_ets"]), (1.5, 0.0));
        assert!((metrics["skill_over_seasonal_naive"] - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((metrics["mae"], metrics["coverage"], metrics["interval_width"]), (0.5, 0.75, 1.5));
        assert_eq!(forecasted.mase_by_step(&forecasted.medians()), [0.0, 1.0]);
    }

    #[test]
    fn what_was_not_computed_is_left_out() {
        let metrics = Forecasted::new(&outputs(), &rows([1.0, 0.0], None), &horizon()).unwrap().metrics();
        for name in ["mase", "mase_seasonal_naive", "mase_ets", "skill_over_seasonal_naive"] {
            assert!(!metrics.contains_key(name), "{name}");
        }
        assert!(metrics.values().all(|value| value.is_finite()) && metrics.contains_key("smape"));
    }

    #[test]
    fn what_cannot_be_scored_is_named() {
        let rows = rows([1.0, 1.0], None);
        let code =
            |outputs: Tensor, rows: &RecordBatch| Forecasted::new(&outputs, rows, &horizon()).unwrap_err().code();
        assert_eq!(code(Tensor::float32([2, 2], vec![0.0; 4]).unwrap(), &rows), ErrorCode::Shape);
        assert_eq!(code(Tensor::float32([2, 4], vec![f32::NAN; 8]).unwrap(), &rows), ErrorCode::Diverged);
        assert_eq!(code(Tensor::float32([0, 4], vec![]).unwrap(), &rows.slice(0, 0)), ErrorCode::BadData);
    }
}
