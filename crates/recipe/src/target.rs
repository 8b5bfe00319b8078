//! The target: class labels to indices and back.

use crate::column::{bad_value, quoted, texts};
use arrow_array::{Array, RecordBatch};
use lepton_core::{Error, ErrorCode, Result, Tensor, nearest};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// The fitted target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) column: String,
    /// Class names; a class's index is its place here.
    pub(crate) labels: Vec<String>,
}

impl Target {
    pub(crate) fn fit(column: &str, train: &RecordBatch) -> Result<Target> {
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
        Ok(Target { column: column.to_owned(), labels })
    }

    /// Refuses a target that cannot have come from a fit.
    pub(crate) fn check(&self) -> Result<()> {
        let unique: BTreeSet<_> = self.labels.iter().collect();
        if unique.len() != self.labels.len() || unique.len() < 2 {
            return Err(
                Error::new(ErrorCode::BadData, "the labels must be unique and at least two").at_column(&self.column)
            );
        }
        Ok(())
    }

    /// Class indices, int64 `[n]`.
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
