//! What stands in for missing values, fitted: by one value, by group, by nearest rows, by regression on other columns.
//! Number steps, repairs in a recipe and the doctor's repairs of files all fill with this.

mod chain;
mod nearest;

use crate::column::texts;
use crate::statistics::{mean, median};
use crate::written::parse_number;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use chain::Chain;
use lepton_core::{Error, ErrorCode, Result};
use nearest::Neighbours;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// With what missing cells are filled. Everything is computed of the cells that are there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum Imputation {
    /// One value.
    Constant {
        /// Which.
        value: String,
    },
    /// The middle number (of an even count, the mean of the middle two).
    Median,
    /// The mean of the numbers.
    Mean,
    /// The most frequent value; of equal ones the first.
    Mode,
    /// The median of numbers or the mode of texts among rows that are equal in another column; of all rows where that
    /// group has none.
    Group {
        /// The other column.
        by: String,
    },
    /// The mean of numbers or the mode of texts among the `k` nearest rows that have the cell, by the number columns,
    /// each divided by its standard deviation, over those that both rows have (as scikit-learn's `KNNImputer`). Of
    /// more than 4,096 such rows so many are looked at, evenly spread.
    Nearest {
        /// How many.
        k: usize,
    },
    /// Ridge regression on the other number columns, their gaps filled by the mean at first, in rounds until the
    /// filled values stand still (in the manner of scikit-learn's `IterativeImputer`). Numbers only.
    Iterative,
}

impl Imputation {
    /// Whether a column of numbers stays one: a constant may be a word.
    pub fn fills_numbers(&self) -> bool {
        match self {
            Imputation::Constant { value } => parse_number(value.as_bytes()).is_some(),
            _ => true,
        }
    }
}

/// Other columns of the rows at hand.
pub trait Columns {
    /// A column as numbers.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] for a column that is not there or holds anything else.
    fn numbers(&self, column: &str) -> Result<Vec<Option<f64>>>;

    /// A column as texts; numbers are written out.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] for a column that is not there.
    fn texts(&self, column: &str) -> Result<Vec<Option<String>>>;
}

/// The columns of a record batch.
pub(crate) struct BatchColumns<'a>(pub(crate) &'a RecordBatch);

impl Columns for BatchColumns<'_> {
    fn numbers(&self, column: &str) -> Result<Vec<Option<f64>>> {
        Ok(crate::column::numbers(self.0, column)?.iter().collect())
    }

    fn texts(&self, column: &str) -> Result<Vec<Option<String>>> {
        let array = self.0.column_by_name(column);
        match array.and_then(|array| array.as_primitive_opt::<Float64Type>()) {
            Some(numbers) => Ok(numbers.iter().map(|number| number.map(crate::raw::number_text)).collect()),
            None => Ok(texts(self.0, column)?.iter().map(|text| text.map(str::to_owned)).collect()),
        }
    }
}

/// What fills a column of numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum NumberFill {
    /// One number.
    Constant {
        /// Which.
        value: f64,
    },
    /// A number for each text of another column; `other` for all else. A missing text counts as an empty one.
    Group {
        /// The other column.
        by: String,
        /// The numbers.
        values: BTreeMap<String, f64>,
        /// Where the group is not known.
        other: f64,
    },
    /// The mean of the nearest rows.
    Nearest {
        /// Which rows are near.
        neighbours: Neighbours,
        /// Each one's number.
        values: Vec<f64>,
        /// Where no row shares a column.
        other: f64,
    },
    /// Regressions in rounds.
    Iterative {
        /// The regressions.
        chain: Chain,
    },
}

/// What fills a column of texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum TextFill {
    /// One text.
    Constant {
        /// Which.
        value: String,
    },
    /// A text for each text of another column; `other` for all else. A missing text counts as an empty one.
    Group {
        /// The other column.
        by: String,
        /// The texts.
        values: BTreeMap<String, String>,
        /// Where the group is not known.
        other: String,
    },
    /// The most frequent text of the nearest rows.
    Nearest {
        /// Which rows are near.
        neighbours: Neighbours,
        /// Each one's text.
        values: Vec<String>,
        /// Where no row shares a column.
        other: String,
    },
}

impl NumberFill {
    /// Learns from rows what fills a column; `others` are the number columns that it may learn from.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for a constant that is no number, a `k` of 0, nothing to learn from; those of `columns`.
    pub fn fit(
        how: &Imputation,
        column: &str,
        own: &[Option<f64>],
        others: &[&str],
        columns: &dyn Columns,
    ) -> Result<NumberFill> {
        let mut known: Vec<f64> = own.iter().flatten().copied().collect();
        if known.is_empty() && !matches!(how, Imputation::Constant { .. }) {
            return Err(nothing_known(column));
        }
        Ok(match how {
            Imputation::Constant { value } => {
                let number = parse_number(value.as_bytes()).ok_or_else(|| {
                    Error::new(ErrorCode::Config, format!("{value:?} is not a number")).at_column(column)
                })?;
                NumberFill::Constant { value: number }
            }
            Imputation::Mean => NumberFill::Constant { value: mean(&known) },
            Imputation::Median => NumberFill::Constant { value: median(&mut known) },
            Imputation::Mode => {
                NumberFill::Constant { value: mode(known.iter().map(|n| n.to_bits())).map_or(0.0, f64::from_bits) }
            }
            Imputation::Group { by } => {
                let keys = columns.texts(by)?;
                let mut groups: BTreeMap<String, Vec<f64>> = BTreeMap::new();
                for (key, value) in keys.into_iter().zip(own) {
                    if let Some(value) = value {
                        groups.entry(key.unwrap_or_default()).or_default().push(*value);
                    }
                }
                let values = groups.into_iter().map(|(key, mut values)| (key, median(&mut values))).collect();
                NumberFill::Group { by: by.clone(), values, other: median(&mut known) }
            }
            Imputation::Nearest { k } => {
                let rows = rows_with(own);
                let (neighbours, kept) = Neighbours::fit(column, *k, &rows, others, columns)?;
                let values = kept.into_iter().filter_map(|row| own[row]).collect();
                NumberFill::Nearest { neighbours, values, other: mean(&known) }
            }
            Imputation::Iterative => NumberFill::Iterative { chain: Chain::fit(column, own, others, columns)? },
        })
    }

    /// The column with its gaps filled.
    ///
    /// # Errors
    /// Those of `columns`.
    pub fn fill(&self, column: &str, own: &[Option<f64>], columns: &dyn Columns) -> Result<Vec<Option<f64>>> {
        if own.iter().all(Option::is_some) {
            return Ok(own.to_vec());
        }
        let filled = match self {
            NumberFill::Constant { value } => own.iter().map(|own| own.or(Some(*value))).collect(),
            NumberFill::Group { by, values, other } => {
                let keys = columns.texts(by)?;
                let of = |key: Option<String>| values.get(&key.unwrap_or_default()).copied().unwrap_or(*other);
                keys.into_iter().zip(own).map(|(key, own)| own.or_else(|| Some(of(key)))).collect()
            }
            NumberFill::Nearest { neighbours, values, other } => {
                let near = neighbours.of(&gaps(own), columns)?;
                let mean = |rows: &[usize]| match rows.is_empty() {
                    true => *other,
                    false => rows.iter().map(|row| values[*row]).sum::<f64>() / rows.len() as f64,
                };
                with(own, near.iter().map(|rows| mean(rows)))
            }
            NumberFill::Iterative { chain } => with(own, chain.predict(column, &gaps(own), own, columns)?.into_iter()),
        };
        Ok(filled)
    }

    /// The other columns that it reads.
    pub fn reads(&self) -> Vec<&str> {
        match self {
            NumberFill::Constant { .. } => Vec::new(),
            NumberFill::Group { by, .. } => vec![by],
            NumberFill::Nearest { neighbours, .. } => neighbours.reads().collect(),
            NumberFill::Iterative { chain } => chain.reads().collect(),
        }
    }

    /// Whether it can have come from a fit.
    pub fn is_usable(&self) -> bool {
        match self {
            NumberFill::Constant { value } => value.is_finite(),
            NumberFill::Group { values, other, .. } => other.is_finite() && values.values().all(|v| v.is_finite()),
            NumberFill::Nearest { neighbours, values, other } => {
                other.is_finite() && values.iter().all(|v| v.is_finite()) && neighbours.is_usable(values.len())
            }
            NumberFill::Iterative { chain } => chain.is_usable(),
        }
    }
}

impl TextFill {
    /// Learns from rows what fills a column; `others` are the number columns that it may learn from.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for a way that only numbers have, a `k` of 0, nothing to learn from; those of `columns`.
    pub fn fit(
        how: &Imputation,
        column: &str,
        own: &[Option<String>],
        others: &[&str],
        columns: &dyn Columns,
    ) -> Result<TextFill> {
        if own.iter().all(Option::is_none) && !matches!(how, Imputation::Constant { .. }) {
            return Err(nothing_known(column));
        }
        let typical = || mode(own.iter().flatten()).cloned().unwrap_or_default();
        Ok(match how {
            Imputation::Constant { value } => TextFill::Constant { value: value.clone() },
            Imputation::Mode => TextFill::Constant { value: typical() },
            Imputation::Group { by } => {
                let keys = columns.texts(by)?;
                let mut groups: BTreeMap<String, Vec<&String>> = BTreeMap::new();
                for (key, value) in keys.into_iter().zip(own) {
                    if let Some(value) = value {
                        groups.entry(key.unwrap_or_default()).or_default().push(value);
                    }
                }
                let typical_of = |values: Vec<&String>| mode(values.into_iter()).cloned().unwrap_or_default();
                let values = groups.into_iter().map(|(key, values)| (key, typical_of(values))).collect();
                TextFill::Group { by: by.clone(), values, other: typical() }
            }
            Imputation::Nearest { k } => {
                let (neighbours, kept) = Neighbours::fit(column, *k, &rows_with(own), others, columns)?;
                let values = kept.into_iter().filter_map(|row| own[row].clone()).collect();
                TextFill::Nearest { neighbours, values, other: typical() }
            }
            Imputation::Median | Imputation::Mean | Imputation::Iterative => {
                let is_word =
                    |text: &Option<String>| text.as_ref().is_some_and(|text| parse_number(text.as_bytes()).is_none());
                let first = own.iter().position(is_word).unwrap_or(0);
                let text = own.get(first).and_then(Option::as_deref).unwrap_or_default();
                return Err(Error::new(ErrorCode::Config, format!("{text:?} is not a number"))
                    .at_row(first as u64 + 1)
                    .at_column(column)
                    .fix("fill with the mode, or make the column numbers in an earlier step"));
            }
        })
    }

    /// The column with its gaps filled.
    ///
    /// # Errors
    /// Those of `columns`.
    pub fn fill(&self, own: &[Option<String>], columns: &dyn Columns) -> Result<Vec<Option<String>>> {
        if own.iter().all(Option::is_some) {
            return Ok(own.to_vec());
        }
        Ok(match self {
            TextFill::Constant { value } => own.iter().map(|own| own.clone().or_else(|| Some(value.clone()))).collect(),
            TextFill::Group { by, values, other } => {
                let keys = columns.texts(by)?;
                let of = |key: Option<String>| values.get(&key.unwrap_or_default()).unwrap_or(other).clone();
                keys.into_iter().zip(own).map(|(key, own)| own.clone().or_else(|| Some(of(key)))).collect()
            }
            TextFill::Nearest { neighbours, values, other } => {
                let near = neighbours.of(&gaps(own), columns)?;
                let of = |rows: &Vec<usize>| mode(rows.iter().map(|row| &values[*row])).unwrap_or(other).clone();
                with(own, near.iter().map(of))
            }
        })
    }

    /// The other columns that it reads.
    pub fn reads(&self) -> Vec<&str> {
        match self {
            TextFill::Constant { .. } => Vec::new(),
            TextFill::Group { by, .. } => vec![by],
            TextFill::Nearest { neighbours, .. } => neighbours.reads().collect(),
        }
    }

    /// Whether it can have come from a fit.
    pub fn is_usable(&self) -> bool {
        match self {
            TextFill::Constant { .. } | TextFill::Group { .. } => true,
            TextFill::Nearest { neighbours, values, .. } => neighbours.is_usable(values.len()),
        }
    }
}

fn nothing_known(column: &str) -> Error {
    Error::new(ErrorCode::Config, "every cell is missing, so there is nothing to fill with")
        .at_column(column)
        .fix("use a constant, or drop the column")
}

/// The error for a way that learns from other columns where there are none.
fn no_numbers(column: &str) -> Error {
    Error::new(ErrorCode::Config, "there is no other column of numbers to learn from")
        .at_column(column)
        .fix("use median, mode or group")
}

/// The most frequent value; of equal ones the first.
fn mode<T: Eq + std::hash::Hash + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: HashMap<T, (usize, usize)> = HashMap::new();
    for (place, value) in values.enumerate() {
        counts.entry(value).or_insert((0, place)).0 += 1;
    }
    counts.into_iter().max_by_key(|(_, (count, place))| (*count, std::cmp::Reverse(*place))).map(|(value, _)| value)
}

/// Rows that have a value.
fn rows_with<T>(own: &[Option<T>]) -> Vec<usize> {
    own.iter().enumerate().filter(|(_, value)| value.is_some()).map(|(row, _)| row).collect()
}

/// Rows that have none.
fn gaps<T>(own: &[Option<T>]) -> Vec<usize> {
    own.iter().enumerate().filter(|(_, value)| value.is_none()).map(|(row, _)| row).collect()
}

/// `own` with the values of `fills` in its gaps, in order.
fn with<T: Clone>(own: &[Option<T>], mut fills: impl Iterator<Item = T>) -> Vec<Option<T>> {
    own.iter().map(|own| own.clone().or_else(|| fills.next())).collect()
}

/// Number columns that rows are compared by: centred and divided by their standard deviation; columns that are
/// constant or hold fewer than two values say nothing and are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Feature {
    column: String,
    mean: f64,
    deviation: f64,
}

impl Feature {
    fn fit(column: &str, values: &[Option<f64>]) -> Option<Feature> {
        let present: Vec<f64> = values.iter().flatten().copied().collect();
        if present.len() < 2 {
            return None;
        }
        let mean = mean(&present);
        let deviation = (present.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / present.len() as f64).sqrt();
        (deviation > 0.0 && deviation.is_finite()).then(|| Feature { column: column.to_owned(), mean, deviation })
    }

    fn scaled(&self, value: f64) -> f64 {
        (value - self.mean) / self.deviation
    }

    fn is_usable(&self) -> bool {
        self.mean.is_finite() && self.deviation.is_finite() && self.deviation > 0.0
    }
}
