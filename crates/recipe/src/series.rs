//! Windows of a series as a recipe step: so many steps to learn from, standardised, and so many steps ahead that are
//! predicted. Rows stand in the order of time; groups are series of their own. No task reads windows yet.

use crate::column::numbers;
use crate::statistics::standard;
use arrow_array::RecordBatch;
use lepton_core::{Error, ErrorCode, Result, Tensor};
use serde::{Deserialize, Serialize};

/// What windows are cut, before the step has seen data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesPlan {
    /// The number columns that a window holds.
    pub columns: Vec<String>,
    /// The columns that are predicted; none where nothing is.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Steps of a window.
    pub length: usize,
    /// Steps from one window's beginning to the next's.
    #[serde(default = "one")]
    pub stride: usize,
    /// Steps behind the window that are predicted.
    #[serde(default)]
    pub horizon: usize,
}

fn one() -> usize {
    1
}

/// Fitted: the plan, with the mean and the deviation of each column over the training rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesStep {
    plan: SeriesPlan,
    scales: Vec<[f64; 2]>,
    target_scales: Vec<[f64; 2]>,
}

/// What a series was cut into.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    /// `[windows, columns, length]`, standardised.
    pub input: Tensor,
    /// `[windows, targets, horizon]`, standardised; `None` where nothing is predicted.
    pub target: Option<Tensor>,
    /// The row, from 0, that each window begins at.
    pub starts: Vec<usize>,
}

impl SeriesPlan {
    /// Learns the scales from the training rows.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for windows that cannot be cut; [`ErrorCode::BadData`] with row and column for a value
    /// that is missing or not finite, and for training rows too few for one window.
    pub fn fit(&self, train: &RecordBatch) -> Result<SeriesStep> {
        let wrong = |message: &str| Err(Error::new(ErrorCode::Config, message));
        if self.length == 0 || self.stride == 0 || self.columns.is_empty() {
            return wrong("a window needs a column, a length and a stride of at least 1");
        }
        if self.targets.is_empty() != (self.horizon == 0) {
            return wrong("a horizon needs columns to predict, and columns to predict need a horizon");
        }
        if train.num_rows() < self.length + self.horizon {
            let message =
                format!("{} rows are too few for a window of {} steps", train.num_rows(), self.length + self.horizon);
            return Err(Error::new(ErrorCode::BadData, message));
        }
        let scales = |names: &[String]| {
            let scale = |name: &String| {
                let (mean, deviation) = standard(&values(train, name)?);
                Ok([mean, deviation])
            };
            names.iter().map(scale).collect::<Result<Vec<_>>>()
        };
        let step =
            SeriesStep { plan: self.clone(), scales: scales(&self.columns)?, target_scales: scales(&self.targets)? };
        step.check()?;
        Ok(step)
    }
}

impl SeriesStep {
    /// Cuts training or evaluation rows: windows that have all of their horizon behind them.
    ///
    /// # Errors
    /// As [`SeriesPlan::fit`]; no error for rows too few, which give no window.
    pub fn windows(&self, rows: &RecordBatch) -> Result<Windows> {
        let reach = self.plan.length + self.plan.horizon;
        let starts: Vec<usize> = match rows.num_rows().checked_sub(reach) {
            Some(last) => (0..=last).step_by(self.plan.stride).collect(),
            None => Vec::new(),
        };
        let input = cut(rows, &self.plan.columns, &self.scales, &starts, 0, self.plan.length)?;
        let target = match self.plan.horizon {
            0 => None,
            ahead => Some(cut(rows, &self.plan.targets, &self.target_scales, &starts, self.plan.length, ahead)?),
        };
        Ok(Windows { input, target, starts })
    }

    /// The newest window of served rows, `[1, columns, length]`: the last steps, whatever comes after them.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] for rows too few for one window, and as [`SeriesPlan::fit`].
    pub fn newest(&self, rows: &RecordBatch) -> Result<Tensor> {
        let start = rows.num_rows().checked_sub(self.plan.length).ok_or_else(|| {
            let message = format!("{} rows are too few for a window of {} steps", rows.num_rows(), self.plan.length);
            Error::new(ErrorCode::BadData, message)
        })?;
        cut(rows, &self.plan.columns, &self.scales, &[start], 0, self.plan.length)
    }

    /// Predicted values, standardised, `[n, targets, horizon]`, in the units of the data.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] for another shape.
    pub fn in_units(&self, predicted: &Tensor) -> Result<Tensor> {
        let shape = [self.plan.targets.len(), self.plan.horizon];
        if predicted.shape().get(1..) != Some(&shape[..]) {
            let message =
                format!("predictions of {:?}, the step gives [n, {}, {}]", predicted.shape(), shape[0], shape[1]);
            return Err(Error::new(ErrorCode::Shape, message));
        }
        let values = predicted.as_float32()?.iter().enumerate().map(|(place, value)| {
            let [mean, deviation] = self.target_scales[place / shape[1] % shape[0]];
            (f64::from(*value) * deviation + mean) as f32
        });
        Tensor::float32(predicted.shape().to_vec(), values.collect())
    }

    /// The step as JSON; reading it back gives a step that makes the same bytes.
    ///
    /// # Errors
    /// [`ErrorCode::Internal`] only.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
            .map_err(|source| Error::internal(format!("the step cannot be written: {source}")))
    }

    /// Reads what [`SeriesStep::to_json`] wrote.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] for anything else.
    pub fn from_json(bytes: &[u8]) -> Result<SeriesStep> {
        let step: SeriesStep = serde_json::from_slice(bytes)
            .map_err(|source| Error::new(ErrorCode::BadData, format!("this is no series step: {source}")))?;
        step.check()?;
        Ok(step)
    }

    fn check(&self) -> Result<()> {
        let SeriesPlan { columns, targets, length, stride, horizon } = &self.plan;
        let scales = self.scales.iter().chain(&self.target_scales);
        let usable =
            scales.into_iter().all(|[mean, deviation]| mean.is_finite() && deviation.is_finite() && *deviation > 0.0);
        let sizes = self.scales.len() == columns.len() && self.target_scales.len() == targets.len();
        if !usable || !sizes || *length == 0 || *stride == 0 || length.checked_add(*horizon).is_none() {
            return Err(Error::new(ErrorCode::BadData, "the numbers of this step are not usable"));
        }
        Ok(())
    }
}

/// `[starts, columns, length]`: for each start, the steps from `offset` behind it on.
fn cut(
    rows: &RecordBatch,
    columns: &[String],
    scales: &[[f64; 2]],
    starts: &[usize],
    offset: usize,
    length: usize,
) -> Result<Tensor> {
    let series = columns.iter().map(|name| values(rows, name)).collect::<Result<Vec<_>>>()?;
    let mut output = Vec::with_capacity(starts.len() * columns.len() * length);
    for start in starts {
        for (series, [mean, deviation]) in series.iter().zip(scales) {
            let steps = &series[start + offset..start + offset + length];
            output.extend(steps.iter().map(|value| ((value - mean) / deviation) as f32));
        }
    }
    Tensor::float32(vec![starts.len(), columns.len(), length], output)
}

fn values(rows: &RecordBatch, name: &str) -> Result<Vec<f64>> {
    let array = numbers(rows, name)?;
    let read = |(row, value): (usize, Option<f64>)| {
        value.filter(|value| value.is_finite()).ok_or_else(|| {
            crate::column::bad_value(name, row, "a step of the series is missing or not a finite number")
                .fix("fill the gap before windows are cut")
        })
    };
    array.iter().enumerate().map(read).collect()
}
