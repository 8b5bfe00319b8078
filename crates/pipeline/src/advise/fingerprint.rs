//! What kind of data and what machine this is: the facts that rules look at, that a person sees, and that stand in the
//! JSON. They are of the training and validation rows; the test rows are counted and otherwise not looked at.

use crate::artifact::{Collected, Prepared};
use crate::machine;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, RecordBatch};
use lepton_core::image::ImageColumn;
use lepton_core::series::SeriesColumn;
use lepton_core::{ColumnKind, Digest, Environment, Result, Split, TaskKind};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// Distinct values of a column are counted up to this many.
const MOST_DISTINCT: usize = 100_000;

/// The data and the machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fingerprint {
    /// The kind of problem.
    pub task: TaskKind,
    /// Name of the dataset.
    pub dataset: String,
    /// Hash of its schema and values.
    pub sha256: Digest,
    /// Rows by part, after preparing.
    pub rows: BTreeMap<Split, usize>,
    /// Columns by kind, the target left out.
    pub kinds: BTreeMap<String, usize>,
    /// Numbers that a network sees of one row: features, pixels, or steps times dimensions.
    pub inputs: usize,
    /// The same as a shape, without the rows.
    pub input_shape: Vec<usize>,
    /// [`Fingerprint::inputs`] for each training row.
    pub inputs_per_row: f64,
    /// Share of missing cells.
    pub missing_share: f64,
    /// The column to predict.
    pub target: TargetFacts,
    /// The other columns, in order.
    pub columns: Vec<ColumnFacts>,
    /// The machine.
    pub machine: MachineFacts,
}

/// The column to predict.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum TargetFacts {
    /// One of several classes.
    Classes {
        /// Its name.
        column: String,
        /// How many.
        classes: usize,
        /// The most frequent one, and its share: the accuracy of who always says it.
        largest: (String, f64),
        /// The rarest one, and its share.
        smallest: (String, f64),
        /// Entropy of the shares over that of equal ones, 0 to 1; 1 is balanced.
        balance: f64,
    },
    /// A number.
    Number {
        /// Its name.
        column: String,
        /// Mean of the training rows.
        mean: f64,
        /// Standard deviation of the training rows.
        deviation: f64,
    },
}

/// A column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnFacts {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
    /// Rows without a value.
    pub missing: usize,
    /// Different values of numbers, categories and texts; those past 100,000 are not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distinct: Option<usize>,
    /// Smallest, mean and largest: letters of texts, steps of series, pixels of the shorter side of pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<(usize, f64, usize)>,
    /// Channels of pictures, dimensions of series.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
}

/// The machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MachineFacts {
    /// Processor, system, threads, versions.
    #[serde(flatten)]
    pub environment: Environment,
    /// Bytes of memory, where the system says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// What rules look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traits {
    /// Training and validation rows.
    pub(super) rows: usize,
    /// Numbers of one row.
    pub(super) inputs: usize,
    /// Pixels of the shorter side of a picture, as a network sees it.
    pub(super) side: Option<usize>,
    /// Channels of a picture.
    pub(super) channels: Option<usize>,
    /// Steps of a series, as a network sees it.
    pub(super) steps: Option<usize>,
    /// Dimensions of a series.
    pub(super) dimensions: Option<usize>,
}

impl Fingerprint {
    /// Of the prepared training and validation rows, `pool`.
    ///
    /// # Errors
    /// For rows that do not hold what the schema says.
    pub(super) fn of(
        task: TaskKind,
        collected: &Collected,
        prepared: &Prepared,
        pool: &RecordBatch,
        threads: usize,
    ) -> Result<Fingerprint> {
        let rows: BTreeMap<Split, usize> = prepared.parts.iter().map(|(split, part)| (*split, part.rows)).collect();
        let input_shape = shape(prepared);
        let inputs: usize = input_shape.iter().product();
        let mut columns = Vec::new();
        let mut kinds = BTreeMap::new();
        for column in prepared.schema.columns.iter().filter(|column| column.name != prepared.target) {
            *kinds.entry(kind_name(column.kind)).or_insert(0) += 1;
            columns.push(column_facts(pool, &column.name, column.kind)?);
        }
        let cells = pool.num_rows() * columns.len();
        let missing: usize = columns.iter().map(|column| column.missing).sum();
        let training = rows.get(&Split::Train).copied().unwrap_or(0);
        Ok(Fingerprint {
            task,
            dataset: collected.dataset.clone(),
            sha256: collected.digest,
            kinds,
            inputs,
            input_shape,
            inputs_per_row: inputs as f64 / training.max(1) as f64,
            missing_share: if cells == 0 { 0.0 } else { missing as f64 / cells as f64 },
            target: target_facts(prepared, pool),
            columns,
            machine: MachineFacts {
                environment: machine::environment(threads, "processes of this binary"),
                memory_bytes: machine::memory_bytes(),
            },
            rows,
        })
    }

    /// Training and validation rows.
    pub fn pool_rows(&self) -> usize {
        [Split::Train, Split::Valid].iter().filter_map(|split| self.rows.get(split)).sum()
    }

    /// What rules look at.
    pub(super) fn traits(&self) -> Traits {
        let mut traits = Traits { rows: self.pool_rows(), inputs: self.inputs, ..Traits::default() };
        match (self.input_shape.as_slice(), self.columns.iter().any(|column| column.kind == ColumnKind::Series)) {
            (&[channels, height, width], _) => {
                (traits.channels, traits.side) = (Some(channels), Some(height.min(width)))
            }
            (&[steps, dimensions], true) => (traits.steps, traits.dimensions) = (Some(steps), Some(dimensions)),
            _ => {}
        }
        traits
    }
}

/// The input of one row, without the batch.
pub(super) fn shape(prepared: &Prepared) -> Vec<usize> {
    prepared.features.shape.iter().skip(1).map(|side| usize::try_from(*side).unwrap_or(0)).collect()
}

/// The kind as files write it.
pub(crate) fn kind_name(kind: ColumnKind) -> String {
    serde_json::to_value(kind).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn target_facts(prepared: &Prepared, pool: &RecordBatch) -> TargetFacts {
    let column = prepared.target.clone();
    if let Some([mean, deviation]) = prepared.target_scale {
        return TargetFacts::Number { column, mean, deviation };
    }
    let mut counts: BTreeMap<String, usize> = prepared.labels.iter().map(|label| (label.clone(), 0)).collect();
    for row in 0..pool.num_rows() {
        *counts.entry(lepton_data::cell_text(pool, &prepared.schema, &column, row)).or_default() += 1;
    }
    let total = pool.num_rows().max(1) as f64;
    let share = |count: usize| count as f64 / total;
    let by_count = |least: bool| {
        let chosen = counts.iter().min_by_key(|(_, count)| if least { **count as i64 } else { -(**count as i64) });
        chosen.map(|(label, count)| (label.clone(), share(*count))).unwrap_or_default()
    };
    let entropy: f64 = counts.values().map(|count| share(*count)).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum();
    let most = (counts.len() as f64).ln();
    TargetFacts::Classes {
        column,
        classes: counts.len(),
        largest: by_count(false),
        smallest: by_count(true),
        balance: if most > 0.0 { entropy / most } else { 1.0 },
    }
}

/// The facts of one column of `rows`.
pub(super) fn column_facts(rows: &RecordBatch, name: &str, kind: ColumnKind) -> Result<ColumnFacts> {
    let mut facts =
        ColumnFacts { name: name.to_owned(), kind, missing: 0, distinct: None, length: None, channels: None };
    let Some(array) = rows.column_by_name(name) else { return Ok(facts) };
    facts.missing = array.null_count();
    match kind {
        ColumnKind::Number => {
            let Some(values) = array.as_primitive_opt::<Float64Type>() else { return Ok(facts) };
            facts.distinct = Some(distinct(values.iter().flatten().map(f64::to_bits)));
        }
        ColumnKind::Category | ColumnKind::Text => {
            let Some(values) = array.as_string_opt::<i32>() else { return Ok(facts) };
            facts.distinct = Some(distinct(values.iter().flatten()));
            if kind == ColumnKind::Text {
                facts.length = spread(values.iter().flatten().map(|text| text.chars().count()));
            }
        }
        ColumnKind::Image => {
            let pictures = ImageColumn::new(array)?;
            let each = || (0..pictures.len()).filter_map(|row| pictures.get(row));
            facts.length = spread(each().map(|picture| picture.height.min(picture.width)));
            facts.channels = each().map(|picture| picture.channels).max();
        }
        ColumnKind::Series => {
            let series = SeriesColumn::new(array)?;
            let each = || (0..series.len()).filter_map(|row| series.get(row));
            facts.length = spread(each().map(|one| one.length()));
            facts.channels = each().map(|one| one.dimensions).max();
        }
        ColumnKind::Boxes | ColumnKind::Masks | ColumnKind::KeyPoints => {}
    }
    Ok(facts)
}

fn distinct<T: std::hash::Hash + Eq>(values: impl Iterator<Item = T>) -> usize {
    let mut seen = HashSet::new();
    for value in values {
        seen.insert(value);
        if seen.len() >= MOST_DISTINCT {
            break;
        }
    }
    seen.len()
}

fn spread(lengths: impl Iterator<Item = usize>) -> Option<(usize, f64, usize)> {
    let (mut least, mut most, mut sum, mut count) = (usize::MAX, 0, 0, 0_usize);
    for length in lengths {
        (least, most, sum, count) = (least.min(length), most.max(length), sum + length, count + 1);
    }
    (count > 0).then(|| (least, sum as f64 / count as f64, most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, Float64Array, StringArray};
    use std::sync::Arc;

    fn rows() -> RecordBatch {
        let number: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), Some(1.0), None, Some(2.5)]));
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("bcd"), Some("a"), None]));
        RecordBatch::try_from_iter_with_nullable([("number", number, true), ("text", text, true)]).unwrap()
    }

    #[test]
    fn columns_are_counted() {
        let number = column_facts(&rows(), "number", ColumnKind::Number).unwrap();
        assert_eq!((number.missing, number.distinct, number.length), (1, Some(2), None));
        let text = column_facts(&rows(), "text", ColumnKind::Text).unwrap();
        assert_eq!((text.missing, text.distinct), (1, Some(2)));
        let (least, mean, most) = text.length.unwrap();
        assert_eq!((least, most), (1, 3));
        assert!((mean - 5.0 / 3.0).abs() < 1e-12);
        let category = column_facts(&rows(), "text", ColumnKind::Category).unwrap();
        assert_eq!((category.distinct, category.length), (Some(2), None));
        assert_eq!(kind_name(ColumnKind::KeyPoints), "key_points");
    }

    #[test]
    fn lengths_of_nothing_are_none() {
        assert_eq!(spread(std::iter::empty()), None);
        assert_eq!(spread([4, 2].into_iter()), Some((2, 3.0, 4)));
    }
}
