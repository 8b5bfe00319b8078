//! The target: class labels to indices and back, or a number, standardised.

use crate::column::{bad_value, numbers, quoted, texts};
use arrow_array::{Array, RecordBatch};
use lepton_core::{Error, ErrorCode, Result, Tensor, nearest};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// The fitted target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Target {
    Classes(Classes),
    Number(Number),
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

impl Target {
    pub(crate) fn column(&self) -> &str {
        match self {
            Target::Classes(classes) => &classes.column,
            Target::Number(number) => &number.column,
        }
    }

    /// Refuses a target that cannot have come from a fit.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Target::Classes(classes) => classes.check(),
            Target::Number(number) => number.check(),
        }
    }

    /// Class indices, int64 `[n]`, or standardised numbers, float32 `[n, 1]`.
    pub(crate) fn encode(&self, batch: &RecordBatch) -> Result<Tensor> {
        match self {
            Target::Classes(classes) => classes.encode(batch),
            Target::Number(number) => number.encode(batch),
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
        let mut labels: Vec<String> = labels.into_iter().map(str::to_owned).collect();
        if labels.iter().all(|label| label.parse::<i64>().is_ok()) {
            labels.sort_by_key(|label| label.parse::<i64>().unwrap_or(i64::MAX));
        }
        Ok(Classes { column: column.to_owned(), labels })
    }

    fn check(&self) -> Result<()> {
        let unique: BTreeSet<_> = self.labels.iter().collect();
        if unique.len() != self.labels.len() || unique.len() < 2 {
            return Err(
                Error::new(ErrorCode::BadData, "the labels must be unique and at least two").at_column(&self.column)
            );
        }
        Ok(())
    }

    pub(crate) fn encode(&self, batch: &RecordBatch) -> Result<Tensor> {
        let index: HashMap<&str, i64> = self.labels.iter().map(String::as_str).zip(0..).collect();
        let array = texts(batch, &self.column)?;
        let mut encoded = Vec::with_capacity(array.len());
        for (row, value) in array.iter().enumerate() {
            let label = value.ok_or_else(|| missing(&self.column, row))?;
            encoded.push(*index.get(label).ok_or_else(|| self.unseen(row, label))?);
        }
        Tensor::int64(vec![encoded.len()], encoded)
    }

    fn unseen(&self, row: usize, label: &str) -> Error {
        let error = bad_value(&self.column, row, format!("label {} was never seen in training", quoted(label)));
        match nearest(label, self.labels.iter().map(String::as_str)) {
            Some(near) => error.fix(format!("did you mean \"{near}\"?")),
            None => error,
        }
    }
}

fn missing(column: &str, row: usize) -> Error {
    bad_value(column, row, "the label is missing").fix("remove rows without a label")
}
