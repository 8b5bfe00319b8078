//! Gaussian noise on the numbers of training rows, anew in each epoch. Categories, texts and targets stay.

use crate::augment::draws::Draws;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array, RecordBatch};
use lepton_core::{ColumnKind, Error, Result, Schema, Seed};
use std::sync::Arc;

/// How much each number of a table may be off.
#[derive(Clone, Debug)]
pub struct NumberNoise {
    seed: Seed,
    /// Which step of `[[augment.steps]]` it is: each has a stream of its own.
    step: u64,
    probability: f64,
    /// Number columns by name, with the deviation of the noise.
    deviations: Vec<(String, f64)>,
}

impl NumberNoise {
    /// Noise with a deviation of `amount` times that of each number column of `part`, on a share `probability` of
    /// the rows. `inputs` are the columns that the model reads; others are left alone.
    ///
    /// # Errors
    /// [`lepton_core::ErrorCode::Internal`] for a part that does not hold what its schema says.
    pub fn new(
        part: &RecordBatch,
        inputs: &Schema,
        amount: f64,
        probability: f64,
        seed: Seed,
        step: u64,
    ) -> Result<NumberNoise> {
        let columns = inputs.of_kind(ColumnKind::Number);
        let deviations = columns
            .map(|column| Ok((column.name.clone(), amount * Moments::of(numbers(part, &column.name)?).deviation)))
            .collect::<Result<_>>()?;
        Ok(NumberNoise { seed, step, probability, deviations })
    }

    /// `batch`, whose rows are `rows` of the part, as they are in `epoch`. Missing numbers stay missing.
    ///
    /// # Errors
    /// As [`NumberNoise::new`].
    pub fn apply(&self, batch: &RecordBatch, rows: &[usize], epoch: u64) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        let mut streams: Vec<Option<Draws>> = rows
            .iter()
            .map(|&row| {
                let mut draws = Draws::new(self.seed, "augment step", &[row as u64, epoch, self.step]);
                draws.chance(self.probability).then_some(draws)
            })
            .collect();
        for (name, deviation) in &self.deviations {
            let values = numbers(batch, name)?;
            let noisy = values.iter().zip(&mut streams).map(|(value, draws)| match draws {
                // A missing number uses up its amount too, so that it shifts no other column's.
                Some(draws) => {
                    let amount = draws.normal() * deviation;
                    value.map(|value| value + amount)
                }
                None => value,
            });
            let index = batch.schema().index_of(name).map_err(|_| lost(name))?;
            columns[index] = Arc::new(noisy.collect::<Float64Array>());
        }
        RecordBatch::try_new(batch.schema(), columns)
            .map_err(|source| Error::internal(format!("noisy rows do not fit their schema: {source}")))
    }
}

/// Mean, deviation (over the count) and median of the numbers that are there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moments {
    pub(super) mean: f64,
    pub(super) deviation: f64,
    pub(super) median: f64,
}

impl Moments {
    pub(super) fn of(values: &Float64Array) -> Moments {
        let mut present: Vec<f64> = values.iter().flatten().collect();
        if present.is_empty() {
            return Moments { mean: 0.0, deviation: 0.0, median: 0.0 };
        }
        let count = present.len() as f64;
        let mean = present.iter().sum::<f64>() / count;
        let variance = present.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        present.sort_by(f64::total_cmp);
        Moments { mean, deviation: variance.sqrt(), median: middle(&present) }
    }
}

/// The median of sorted values; 0 where there are none.
pub(super) fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[half],
        _ => (sorted[half - 1] + sorted[half]) / 2.0,
    }
}

pub(super) fn numbers<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Float64Array> {
    batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Float64Type>()).ok_or_else(|| lost(name))
}

fn lost(name: &str) -> Error {
    Error::internal(format!("the numbers of column \"{name}\" are not in the table"))
}
