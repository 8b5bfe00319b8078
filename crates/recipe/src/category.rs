//! The category step: one feature per known category, plus one for the rare ones and one for missing values
//! where training had such rows.

use crate::column::{bad_value, quoted, texts};
use crate::plan::{CategoryMissing, Unknown};
use arrow_array::{Array, RecordBatch};
use lepton_core::{Error, ErrorCode, Result, nearest};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A fitted category step. Features: each of `categories`, then rare ones, then missing ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CategoryStep {
    pub(crate) column: String,
    missing: CategoryMissing,
    unknown: Unknown,
    /// Known categories in byte order.
    categories: Vec<String>,
    /// Whether training had categories past `max_categories`, so that there is a feature for them.
    rare_feature: bool,
    /// Whether training had missing values, so that there is a feature for them.
    missing_feature: bool,
}

impl CategoryStep {
    pub(crate) fn fit(
        column: &str,
        missing: CategoryMissing,
        unknown: Unknown,
        max_categories: usize,
        train: &RecordBatch,
    ) -> Result<CategoryStep> {
        if max_categories == 0 {
            return Err(Error::new(ErrorCode::Config, "max_categories must be at least 1").at_column(column));
        }
        let array = texts(train, column)?;
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for (row, value) in array.iter().enumerate() {
            match value {
                Some(text) => *counts.entry(text).or_default() += 1,
                None if missing == CategoryMissing::Refuse => return Err(refused(column, row)),
                None => {}
            }
        }
        let mut ranked: Vec<(&str, u64)> = counts.into_iter().collect();
        ranked.sort_by_key(|&(text, count)| (Reverse(count), text));
        let rare_feature = ranked.len() > max_categories;
        if rare_feature && unknown == Unknown::Refuse {
            let message = format!("{} categories, and max_categories is {max_categories}", ranked.len());
            return Err(Error::new(ErrorCode::BadData, message)
                .at_column(column)
                .fix("raise max_categories, or set `unknown` to \"other\""));
        }
        ranked.truncate(max_categories);
        let mut categories: Vec<String> = ranked.into_iter().map(|(text, _)| text.to_owned()).collect();
        categories.sort_unstable();
        let missing_feature = array.null_count() > 0;
        let step =
            CategoryStep { column: column.to_owned(), missing, unknown, categories, rare_feature, missing_feature };
        if step.width() == 0 {
            return Err(Error::new(ErrorCode::BadData, "this column has no values").at_column(column));
        }
        Ok(step)
    }

    /// Refuses a step that cannot have come from a fit.
    pub(crate) fn check(&self) -> Result<()> {
        let sorted = self.categories.windows(2).all(|pair| pair[0] < pair[1]);
        if !sorted || self.width() == 0 {
            return Err(Error::new(ErrorCode::BadData, "the categories of this step are not sorted and unique")
                .at_column(&self.column));
        }
        Ok(())
    }

    pub(crate) fn width(&self) -> usize {
        self.categories.len() + usize::from(self.rare_feature) + usize::from(self.missing_feature)
    }

    pub(crate) fn feature_names(&self) -> Vec<String> {
        let own = self.categories.iter().map(|category| format!("{} = {category}", self.column));
        let rare = self.rare_feature.then(|| format!("{} (other)", self.column));
        let missing = self.missing_feature.then(|| format!("{} (missing)", self.column));
        own.chain(rare).chain(missing).collect()
    }

    /// Writes this step's features of every row; `stride` is the length of a whole row.
    pub(crate) fn write(&self, batch: &RecordBatch, output: &mut [f32], at: usize, stride: usize) -> Result<()> {
        for (row, value) in texts(batch, &self.column)?.iter().enumerate() {
            let set = match value {
                Some(text) => match self.categories.binary_search_by(|known| known.as_str().cmp(text)) {
                    Ok(index) => Some(index),
                    Err(_) if self.unknown == Unknown::Refuse => return Err(self.unknown_category(row, text)),
                    Err(_) => self.rare_feature.then_some(self.categories.len()),
                },
                None if self.missing == CategoryMissing::Refuse => return Err(refused(&self.column, row)),
                None => self.missing_feature.then_some(self.width() - 1),
            };
            let features = &mut output[row * stride + at..row * stride + at + self.width()];
            features.fill(0.0);
            if let Some(index) = set {
                features[index] = 1.0;
            }
        }
        Ok(())
    }

    fn unknown_category(&self, row: usize, text: &str) -> Error {
        let error = bad_value(&self.column, row, format!("{} was not among the training categories", quoted(text)));
        match nearest(text, self.categories.iter().map(String::as_str)) {
            Some(near) => error.fix(format!("did you mean \"{near}\"?")),
            None => error,
        }
    }
}

fn refused(column: &str, row: usize) -> Error {
    bad_value(column, row, "the value is missing and this column's `missing` is \"refuse\"")
        .fix("fill the value, or set `missing` to \"own_category\"")
}
