//! The text step: cleaned text to the weights of its words, hashed into a given number of features. Hash, counts and
//! weights are those of scikit-learn's `HashingVectorizer` (without alternating signs) and `TfidfTransformer`.

mod clean;
mod hash;

pub use clean::clean;

use crate::category::refused;
use crate::column::texts;
use crate::plan::TextPlan;
use crate::settings::{CategoryMissing, TextCleaning, TextWeight};
use arrow_array::{Array, RecordBatch};
use hash::murmur3;
use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// Features that one text column may ask for.
const MAX_FEATURES: usize = 1 << 18;

/// A fitted text step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextStep {
    pub(crate) column: String,
    clean: TextCleaning,
    features: usize,
    /// What one occurrence of a word of each feature weighs; `None` where all weigh the same.
    idf: Option<Vec<f64>>,
    missing: CategoryMissing,
    missing_feature: bool,
}

impl TextStep {
    pub(crate) fn fit(plan: &TextPlan, train: &RecordBatch) -> Result<TextStep> {
        let column = plan.column.as_str();
        let array = texts(train, column)?;
        if plan.missing == CategoryMissing::Refuse
            && let Some(row) = (0..array.len()).find(|row| array.is_null(*row))
        {
            return Err(refused(column, row));
        }
        let mut step = TextStep {
            column: column.to_owned(),
            clean: plan.clean,
            features: plan.features,
            idf: None,
            missing: plan.missing,
            missing_feature: array.null_count() > 0,
        };
        step.check()?;
        if plan.weight == TextWeight::TfIdf {
            let mut rows_with = vec![0u64; plan.features];
            for text in array.iter().flatten() {
                for (place, _) in step.counts(text) {
                    rows_with[place] += 1;
                }
            }
            // As if one more text had every word: no weight is infinite.
            let rows = (array.len() - array.null_count()) as f64 + 1.0;
            step.idf = Some(rows_with.into_iter().map(|count| (rows / (count as f64 + 1.0)).ln() + 1.0).collect());
        }
        Ok(step)
    }

    /// Refuses a step that cannot have come from a fit.
    pub(crate) fn check(&self) -> Result<()> {
        if self.features == 0 || self.features > MAX_FEATURES {
            let message = format!("{} text features: there must be 1 to {MAX_FEATURES}", self.features);
            return Err(Error::new(ErrorCode::Config, message).at_column(&self.column));
        }
        let usable = |idf: &Vec<f64>| idf.len() == self.features && idf.iter().all(|w| w.is_finite() && *w > 0.0);
        match self.idf.as_ref().is_none_or(usable) {
            true => Ok(()),
            false => {
                Err(Error::new(ErrorCode::BadData, "the weights of this step are not usable").at_column(&self.column))
            }
        }
    }

    pub(crate) fn width(&self) -> usize {
        self.features + usize::from(self.missing_feature)
    }

    pub(crate) fn feature_names(&self) -> Vec<String> {
        let words = (0..self.features).map(|place| format!("{} (words {place})", self.column));
        words.chain(self.missing_feature.then(|| format!("{} (missing)", self.column))).collect()
    }

    /// Writes this step's features of every row; `stride` is the length of a whole row.
    pub(crate) fn write(&self, batch: &RecordBatch, output: &mut [f32], at: usize, stride: usize) -> Result<()> {
        for (row, value) in texts(batch, &self.column)?.iter().enumerate() {
            let features = &mut output[row * stride + at..][..self.width()];
            features.fill(0.0);
            let Some(text) = value else {
                if self.missing == CategoryMissing::Refuse {
                    return Err(refused(&self.column, row));
                }
                if self.missing_feature {
                    features[self.features] = 1.0;
                }
                continue;
            };
            let mut weights = self.counts(text);
            for (place, weight) in &mut weights {
                *weight *= self.idf.as_ref().map_or(1.0, |idf| idf[*place]);
            }
            let length = weights.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
            for (place, weight) in weights {
                features[place] = (weight / length) as f32;
            }
        }
        Ok(())
    }

    /// How often words of each feature stand in a text, by feature.
    fn counts(&self, text: &str) -> Vec<(usize, f64)> {
        let cleaned = clean(text, self.clean);
        let mut places: Vec<usize> = words(&cleaned).map(|word| self.place(word)).collect();
        places.sort_unstable();
        let mut counts: Vec<(usize, f64)> = Vec::new();
        for place in places {
            match counts.last_mut() {
                Some((last, count)) if *last == place => *count += 1.0,
                _ => counts.push((place, 1.0)),
            }
        }
        counts
    }

    fn place(&self, word: &str) -> usize {
        (murmur3(word.as_bytes()) as i32).unsigned_abs() as usize % self.features
    }
}

/// Runs of two or more letters, digits and underscores.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let runs = text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
    runs.filter(|run| run.chars().nth(1).is_some())
}
