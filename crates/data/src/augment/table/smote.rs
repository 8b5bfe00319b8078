//! SMOTE and SMOTE-NC (Chawla and others, 2002): new rows of rare classes between a row and one of its neighbours.
//!
//! Numbers are standardised over the whole part for the distance, a differing category counts as the median of the
//! class's deviations, and a new row takes the most frequent category of the neighbours: what imbalanced-learn does
//! behind a StandardScaler.

use super::noise::{Moments, middle, numbers};
use crate::augment::draws::Draws;
use crate::rows::TypedColumn;
use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray};
use lepton_core::{ColumnKind, Error, ErrorCode, Result, Schema, Seed};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows of one class that SMOTE takes: every row is held against every other.
const MOST_ROWS: usize = 50_000;

/// A part with new rows.
#[derive(Clone, Debug)]
pub struct Oversampled {
    /// The rows as they were, and the new ones after them.
    pub part: RecordBatch,
    /// How many rows each class got, in the order of the classes' names; classes that got none are left out.
    pub added: BTreeMap<String, usize>,
}

/// The rows of one class, as SMOTE measures them.
pub struct Smote {
    /// Standardised numbers, row by row; missing ones are the column's median.
    pub numbers: Vec<Vec<f64>>,
    /// Categories as codes, row by row.
    pub categories: Vec<Vec<u32>>,
    /// What a differing category adds to the squared distance.
    penalty: f64,
}

impl Smote {
    /// Measures `numbers` and `categories` of the same rows.
    pub fn new(numbers: Vec<Vec<f64>>, categories: Vec<Vec<u32>>) -> Smote {
        let width = numbers.first().map_or(0, Vec::len);
        let mut deviations: Vec<f64> = (0..width)
            .map(|column| Moments::of(&numbers.iter().map(|row| Some(row[column])).collect()).deviation)
            .collect();
        deviations.sort_by(f64::total_cmp);
        // Without numbers every difference counts the same.
        let median = if width == 0 { 1.0 } else { middle(&deviations) };
        Smote { numbers, categories, penalty: median * median }
    }

    /// For each row its `count` nearest others, nearest first; equal distances go by row.
    pub fn neighbours(&self, count: usize) -> Vec<Vec<usize>> {
        let rows = self.numbers.len();
        let of = |row: usize| {
            let mut others: Vec<(f64, usize)> =
                (0..rows).filter(|&other| other != row).map(|other| (self.distance(row, other), other)).collect();
            let order = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
            if count < others.len() {
                others.select_nth_unstable_by(count, order);
                others.truncate(count);
            }
            others.sort_by(order);
            others.into_iter().map(|(_, other)| other).collect()
        };
        (0..rows).into_par_iter().map(of).collect()
    }

    /// The squared distance.
    fn distance(&self, row: usize, other: usize) -> f64 {
        let numbers = self.numbers[row].iter().zip(&self.numbers[other]).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        let differ = self.categories[row].iter().zip(&self.categories[other]).filter(|(a, b)| a != b).count();
        numbers + self.penalty * differ as f64
    }

    /// The most frequent codes of column `column` among `rows`, in the order of the codes.
    pub fn frequent(&self, column: usize, rows: &[usize]) -> Vec<u32> {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        rows.iter().for_each(|&row| *counts.entry(self.categories[row][column]).or_default() += 1);
        let most = counts.values().copied().max().unwrap_or(0);
        counts.into_iter().filter(|(_, count)| *count == most).map(|(code, _)| code).collect()
    }
}

/// A value between two, `share` of the way; where either is missing it is the first.
fn between(one: Option<f64>, other: Option<f64>, share: f64) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one + share * (other - one)),
        (one, _) => one,
    }
}

/// Adds rows until every class of `target` is as frequent as the most frequent one.
///
/// # Errors
/// [`ErrorCode::BadData`] for a class with at most `neighbours` rows or with more than can be held against each other;
/// [`ErrorCode::Unsupported`] for a column that is neither number, category nor text.
pub fn oversample(
    part: &RecordBatch,
    schema: &Schema,
    target: &str,
    neighbours: usize,
    seed: Seed,
) -> Result<Oversampled> {
    let columns = schema
        .columns
        .iter()
        .map(|column| Ok((column.kind, column.name.as_str(), TypedColumn::new(part, &column.name, column.kind)?)))
        .collect::<Result<Vec<_>>>()?;
    let mut classes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (_, name, column) in &columns {
        match column {
            TypedColumn::Text(labels) if *name == target => {
                (0..part.num_rows())
                    .filter(|&row| labels.is_valid(row))
                    .for_each(|row| classes.entry(labels.value(row)).or_default().push(row));
            }
            TypedColumn::Number(_) | TypedColumn::Text(_) => {}
            _ => {
                let text = "SMOTE makes rows of numbers and categories only";
                return Err(Error::new(ErrorCode::Unsupported, text).at_column(*name));
            }
        }
    }
    let most = classes.values().map(Vec::len).max().unwrap_or(0);
    let mut plan = Vec::new();
    let mut added = BTreeMap::new();
    for (index, (class, rows)) in classes.iter().enumerate().filter(|(_, (_, rows))| rows.len() < most) {
        check_size(class, rows.len(), neighbours)?;
        let smote = measure(part, &columns, target, rows)?;
        let near = smote.neighbours(neighbours);
        let mut draws = Draws::new(seed, "smote", &[index as u64]);
        for _ in rows.len()..most {
            let base = draws.below(rows.len());
            let other = near[base][draws.below(near[base].len())];
            let share = draws.unit();
            let categories = (0..smote.categories[base].len()).map(|column| {
                let best = smote.frequent(column, &near[base]);
                let code = best[draws.below(best.len())];
                // A row that has this category; the table itself maps codes back to words.
                let with = near[base].iter().find(|&&row| smote.categories[row][column] == code);
                rows[with.copied().unwrap_or(base)]
            });
            let categories = categories.collect();
            plan.push(NewRow { base: rows[base], other: rows[other], share, categories });
        }
        added.insert((*class).to_owned(), most - rows.len());
    }
    let grown = columns.iter().scan(0, |category, (kind, name, column)| {
        let place = (*kind == ColumnKind::Category && *name != target).then(|| {
            *category += 1;
            *category - 1
        });
        Some(grow(column, &plan, place))
    });
    let grown = grown.collect::<Result<Vec<ArrayRef>>>()?;
    let schema = part.schema();
    let in_order = schema.fields().iter().map(|field| {
        let place = columns.iter().position(|(_, name, _)| name == field.name());
        place.map(|place| Arc::clone(&grown[place])).ok_or_else(|| Error::internal("a column is not in the schema"))
    });
    let part = RecordBatch::try_new(Arc::clone(&schema), in_order.collect::<Result<_>>()?)
        .map_err(|source| Error::internal(format!("new rows do not fit their schema: {source}")))?;
    Ok(Oversampled { part, added })
}

/// Where the values of a new row come from; rows of the part.
struct NewRow {
    base: usize,
    other: usize,
    share: f64,
    /// For each category column a row with the chosen value.
    categories: Vec<usize>,
}

fn check_size(class: &str, rows: usize, neighbours: usize) -> Result<()> {
    if rows <= neighbours {
        let text = format!("class \"{class}\" has {rows} training rows, too few for {neighbours} neighbours of each");
        let fix = match rows {
            0 | 1 => "drop the class, or give it more rows".to_owned(),
            _ => format!("set neighbours = {} or less", rows - 1),
        };
        return Err(Error::new(ErrorCode::BadData, text).fix(fix));
    }
    if rows > MOST_ROWS {
        let text = format!("class \"{class}\" has {rows} training rows; SMOTE takes at most {MOST_ROWS} of a class");
        return Err(Error::new(ErrorCode::Unsupported, text).fix("a class of that size needs no new rows"));
    }
    Ok(())
}

fn measure(
    part: &RecordBatch,
    columns: &[(ColumnKind, &str, TypedColumn<'_>)],
    target: &str,
    rows: &[usize],
) -> Result<Smote> {
    let mut values = vec![Vec::new(); rows.len()];
    let mut codes = vec![Vec::new(); rows.len()];
    for (kind, name, column) in columns.iter().filter(|(_, name, _)| *name != target) {
        match column {
            TypedColumn::Number(_) => {
                let column = numbers(part, name)?;
                let Moments { mean, deviation, median } = Moments::of(column);
                let scale = if deviation > 0.0 { 1.0 / deviation } else { 1.0 };
                for (values, &row) in values.iter_mut().zip(rows) {
                    let value = if column.is_valid(row) { column.value(row) } else { median };
                    values.push((value - mean) * scale);
                }
            }
            TypedColumn::Text(column) if *kind == ColumnKind::Category => {
                let mut words: BTreeMap<Option<&str>, u32> = BTreeMap::new();
                for (codes, &row) in codes.iter_mut().zip(rows) {
                    let next = words.len() as u32;
                    let word = column.is_valid(row).then(|| column.value(row));
                    codes.push(*words.entry(word).or_insert(next));
                }
            }
            _ => {}
        }
    }
    Ok(Smote::new(values, codes))
}

/// A column with the values of the new rows behind its own. `category` is its place among the category columns.
fn grow(column: &TypedColumn<'_>, plan: &[NewRow], category: Option<usize>) -> Result<ArrayRef> {
    match column {
        TypedColumn::Number(values) => {
            let at = |row: usize| values.is_valid(row).then(|| values.value(row));
            let new = plan.iter().map(|new| between(at(new.base), at(new.other), new.share));
            Ok(Arc::new(values.iter().chain(new).collect::<Float64Array>()))
        }
        TypedColumn::Text(values) => {
            let at = |row: usize| values.is_valid(row).then(|| values.value(row));
            let from = |new: &NewRow| category.and_then(|place| new.categories.get(place).copied()).unwrap_or(new.base);
            Ok(Arc::new(values.iter().chain(plan.iter().map(|new| at(from(new)))).collect::<StringArray>()))
        }
        _ => Err(Error::internal("SMOTE met a column that it had refused")),
    }
}
