//! The target: class labels to indices and back, several labels a row, a number, standardised, or the next steps of a
//! series.

use crate::column::{bad_value, numbers, quoted, series, texts};
use crate::labels::Labels;
use crate::plan::WindowPlan;
use crate::window::scale_of;
use arrow_array::{Array, RecordBatch};
use lepton_core::{Error, ErrorCode, Horizon, Result, Tensor, nearest};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// The fitted target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Target {
    Classes(Classes),
    Labels(Labels),
    Number(Number),
    Ahead(Ahead),
}

/// One of several classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Classes {
    pub(crate) column: String,
    /// Class names; a class's index is its place here.
    pub(crate) labels: Vec<String>,
}

/// A number, standardised by the training rows, so that networks of any task begin at the same scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Number {
    pub(crate) column: String,
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
}

/// The steps behind a window, on the scale of the window's values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ahead {
    pub(crate) column: String,
    pub(crate) horizon: Horizon,
}

impl Target {
    pub(crate) fn column(&self) -> &str {
        match self {
            Target::Classes(classes) => &classes.column,
            Target::Labels(labels) => &labels.column,
            Target::Number(number) => &number.column,
            Target::Ahead(ahead) => &ahead.column,
        }
    }

    /// Refuses a target that cannot have come from a fit.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Target::Classes(classes) => classes.check(),
            Target::Labels(labels) => labels.check(),
            Target::Number(number) => number.check(),
            Target::Ahead(ahead) => ahead.horizon.check().map_err(|error| error.at_column(&ahead.column)),
        }
    }

    /// Class indices, int64 `[n]`, 1 for each label that holds and 0 for others, float32 `[n, labels]`, standardised numbers, float32 `[n, 1]`, or the steps ahead, float32 `[n, steps]`.
    pub(crate) fn encode(&self, batch: &RecordBatch) -> Result<Tensor> {
        match self {
            Target::Classes(classes) => classes.encode(batch),
            Target::Labels(labels) => labels.encode(batch),
            Target::Number(number) => number.encode(batch),
            Target::Ahead(ahead) => ahead.encode(batch),
        }
    }
}

impl Number {
    pub(crate) fn fit(column: &str, train: &RecordBatch) -> Result<Number> {
        let values = number_values(column, train)?;
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        let deviation = variance.sqrt();
        if !(deviation > 0.0 && deviation.is_finite()) {
            let message = "all training rows have the same value, or values that are too large: nothing can be learned";
            return Err(Error::new(ErrorCode::BadData, message).at_column(column));
        }
        Ok(Number { column: column.to_owned(), mean, deviation })
    }

    fn check(&self) -> Result<()> {
        if self.mean.is_finite() && self.deviation.is_finite() && self.deviation > 0.0 {
            return Ok(());
        }
        Err(Error::new(ErrorCode::BadData, "the target's mean or deviation is no number").at_column(&self.column))
    }

    fn encode(&self, batch: &RecordBatch) -> Result<Tensor> {
        let values = number_values(&self.column, batch)?;
        let scaled: Vec<f32> = values.iter().map(|value| ((value - self.mean) / self.deviation) as f32).collect();
        Tensor::float32(vec![scaled.len(), 1], scaled)
    }
}

impl Ahead {
    pub(crate) fn fit(
        column: &str,
        window: &WindowPlan,
        (steps, season): (usize, usize),
        quantiles: &[f64],
        train: &RecordBatch,
    ) -> Result<Ahead> {
        let (offset, scale) = scale_of(window, train)?;
        let horizon =
            Horizon { steps, quantiles: quantiles.to_vec(), season, transform: window.transform, offset, scale };
        horizon.check().map_err(|error| error.at_column(column))?;
        Ok(Ahead { column: column.to_owned(), horizon })
    }

    fn encode(&self, batch: &RecordBatch) -> Result<Tensor> {
        let all = series(batch, &self.column)?;
        let steps = self.horizon.steps;
        let mut encoded = Vec::with_capacity(all.len() * steps);
        for row in 0..all.len() {
            let ahead = all.get(row).filter(|ahead| ahead.dimensions == 1 && ahead.values.len() == steps);
            let ahead = ahead.ok_or_else(|| {
                bad_value(&self.column, row, format!("what is forecast must be {steps} values of one dimension"))
            })?;
            for value in ahead.values {
                let value = self.horizon.to_network(f64::from(*value)).map(|value| value as f32);
                encoded.push(value.filter(|value| value.is_finite()).ok_or_else(|| {
                    bad_value(&self.column, row, "a value that is forecast is missing, or cannot be transformed")
                })?);
            }
        }
        Tensor::float32(vec![all.len(), steps], encoded)
    }
}

fn number_values(column: &str, batch: &RecordBatch) -> Result<Vec<f64>> {
    let finite = |(row, value): (usize, Option<f64>)| {
        value.filter(|value| value.is_finite()).ok_or_else(|| missing(column, row))
    };
    numbers(batch, column)?.iter().enumerate().map(finite).collect()
}

impl Classes {
    pub(crate) fn fit(column: &str, train: &RecordBatch) -> Result<Classes> {
        let mut labels = BTreeSet::new();
        for (row, value) in texts(train, column)?.iter().enumerate() {
            labels.insert(value.ok_or_else(|| missing(column, row))?);
        }
        if labels.len() < 2 {
            let message = format!("the training rows have {} class; learning needs two", labels.len());
            return Err(Error::new(ErrorCode::BadData, message).at_column(column));
        }
        Ok(Classes { column: column.to_owned(), labels: in_order(labels) })
    }

    fn check(&self) -> Result<()> {
        check_unique(&self.labels, 2).map_err(|error| error.at_column(&self.column))
    }

    pub(crate) fn encode(&self, batch: &RecordBatch) -> Result<Tensor> {
        let index: HashMap<&str, i64> = self.labels.iter().map(String::as_str).zip(0..).collect();
        let array = texts(batch, &self.column)?;
        let mut encoded = Vec::with_capacity(array.len());
        for (row, value) in array.iter().enumerate() {
            let label = value.ok_or_else(|| missing(&self.column, row))?;
            encoded.push(*index.get(label).ok_or_else(|| unseen(&self.column, &self.labels, row, label))?);
        }
        Tensor::int64(vec![encoded.len()], encoded)
    }
}

/// Labels in numeric order where all are integers, else in byte order.
pub(crate) fn in_order(labels: BTreeSet<&str>) -> Vec<String> {
    let mut labels: Vec<String> = labels.into_iter().map(str::to_owned).collect();
    if labels.iter().all(|label| label.parse::<i64>().is_ok()) {
        labels.sort_by_key(|label| label.parse::<i64>().unwrap_or(i64::MAX));
    }
    labels
}

/// Refuses labels that cannot have come from a fit.
pub(crate) fn check_unique(labels: &[String], least: usize) -> Result<()> {
    let unique: BTreeSet<_> = labels.iter().collect();
    if unique.len() == labels.len() && unique.len() >= least {
        return Ok(());
    }
    Err(Error::new(ErrorCode::BadData, format!("the labels must be unique and at least {least}")))
}

/// The error for a label that training did not have.
pub(crate) fn unseen(column: &str, labels: &[String], row: usize, label: &str) -> Error {
    let error = bad_value(column, row, format!("label {} was never seen in training", quoted(label)));
    match nearest(label, labels.iter().map(String::as_str)) {
        Some(near) => error.fix(format!("did you mean \"{near}\"?")),
        None => error,
    }
}

fn missing(column: &str, row: usize) -> Error {
    bad_value(column, row, "the label is missing").fix("remove rows without a label")
}
