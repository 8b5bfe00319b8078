//! The category step: which categories are told apart, what rare, missing and unknown ones are, and the encoding.
//! What target encoding learns is in `target_encoding`.

use crate::column::{bad_value, quoted, texts};
use crate::plan::CategoryPlan;
use crate::settings::{CategoryEncode, CategoryMissing, Unknown};
use crate::target_encoding::{Classes, TargetEncoding};
use arrow_array::{Array, RecordBatch};
use lepton_core::{Error, ErrorCode, Result, nearest};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A fitted category step. Places: each of `categories`, then rare ones, then missing ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CategoryStep {
    pub(crate) column: String,
    pub(crate) missing: CategoryMissing,
    pub(crate) unknown: Unknown,
    /// Known categories in byte order.
    pub(crate) categories: Vec<String>,
    /// Whether training had rare categories, so that there is a place for them.
    pub(crate) rare_feature: bool,
    /// Whether training had missing values, so that there is a place for them.
    pub(crate) missing_feature: bool,
    pub(crate) encoding: Encoding,
}

/// How a place becomes features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Encoding {
    /// One feature per place.
    OneHot,
    /// The place itself.
    Ordinal,
    /// A number per place.
    Frequency { shares: Vec<f64> },
    /// See [`TargetEncoding`].
    Target { table: TargetEncoding },
}

impl CategoryStep {
    pub(crate) fn fit(plan: &CategoryPlan, classes: Option<Classes<'_>>, train: &RecordBatch) -> Result<CategoryStep> {
        let column = plan.column.as_str();
        if plan.max_categories == 0 {
            return Err(Error::new(ErrorCode::Config, "max_categories must be at least 1").at_column(column));
        }
        let array = texts(train, column)?;
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for (row, value) in array.iter().enumerate() {
            match value {
                Some(text) => *counts.entry(text).or_default() += 1,
                None if plan.missing == CategoryMissing::Refuse => return Err(refused(column, row)),
                None => {}
            }
        }
        let mut ranked: Vec<(&str, u64)> = counts.into_iter().collect();
        ranked.sort_by_key(|&(text, count)| (Reverse(count), text));
        let often = ranked.iter().take_while(|(_, count)| *count >= plan.min_count).count();
        let kept = often.min(plan.max_categories);
        let rare_feature = kept < ranked.len();
        if rare_feature && plan.unknown == Unknown::Refuse {
            let message = match ranked.len() > plan.max_categories {
                true => format!("{} categories, and max_categories is {}", ranked.len(), plan.max_categories),
                false => format!("{} categories have fewer than {} rows", ranked.len() - often, plan.min_count),
            };
            return Err(Error::new(ErrorCode::BadData, message)
                .at_column(column)
                .fix("raise max_categories or lower min_count, or set `unknown` to \"other\""));
        }
        ranked.truncate(kept);
        let mut categories: Vec<String> = ranked.into_iter().map(|(text, _)| text.to_owned()).collect();
        categories.sort_unstable();
        let mut step = CategoryStep {
            column: column.to_owned(),
            missing: plan.missing,
            unknown: plan.unknown,
            categories,
            rare_feature,
            missing_feature: array.null_count() > 0,
            encoding: Encoding::OneHot,
        };
        if step.places() == 0 {
            return Err(Error::new(ErrorCode::BadData, "this column has no values").at_column(column));
        }
        let places = || array.iter().enumerate().map(|(row, text)| step.place(row, text)).collect::<Result<Vec<_>>>();
        step.encoding = match plan.encode {
            CategoryEncode::OneHot => Encoding::OneHot,
            CategoryEncode::Ordinal => Encoding::Ordinal,
            CategoryEncode::Frequency => {
                let mut shares = vec![0.0; step.places()];
                for place in places()?.into_iter().flatten() {
                    shares[place] += 1.0;
                }
                shares.iter_mut().for_each(|share| *share /= array.len() as f64);
                Encoding::Frequency { shares }
            }
            CategoryEncode::Target => {
                let classes = classes.ok_or_else(|| {
                    Error::new(ErrorCode::Config, "target encoding needs a target, and this recipe has none")
                        .at_column(column)
                })?;
                let table = TargetEncoding::fit(column, plan.smooth, &places()?, step.places(), classes)?;
                Encoding::Target { table }
            }
        };
        Ok(step)
    }

    /// Refuses a step that cannot have come from a fit.
    pub(crate) fn check(&self) -> Result<()> {
        let sorted = self.categories.windows(2).all(|pair| pair[0] < pair[1]);
        if !sorted || self.places() == 0 {
            return Err(Error::new(ErrorCode::BadData, "the categories of this step are not sorted and unique")
                .at_column(&self.column));
        }
        let usable = match &self.encoding {
            Encoding::OneHot | Encoding::Ordinal => true,
            Encoding::Frequency { shares } => {
                shares.len() == self.places() && shares.iter().all(|share| share.is_finite())
            }
            Encoding::Target { table } => table.is_usable(self.places()),
        };
        match usable {
            true => Ok(()),
            false => Err(Error::new(ErrorCode::BadData, "the numbers of this step do not match its categories")
                .at_column(&self.column)),
        }
    }

    /// Whether training rows are encoded in another way than served ones.
    pub(crate) fn is_out_of_fold(&self) -> bool {
        matches!(self.encoding, Encoding::Target { .. })
    }

    fn places(&self) -> usize {
        self.categories.len() + usize::from(self.rare_feature) + usize::from(self.missing_feature)
    }

    pub(crate) fn width(&self) -> usize {
        match &self.encoding {
            Encoding::OneHot => self.places(),
            Encoding::Ordinal | Encoding::Frequency { .. } => 1,
            Encoding::Target { table } => table.width(),
        }
    }

    pub(crate) fn feature_names(&self) -> Vec<String> {
        match &self.encoding {
            Encoding::OneHot => {
                let own = self.categories.iter().map(|category| format!("{} = {category}", self.column));
                let rare = self.rare_feature.then(|| format!("{} (other)", self.column));
                let missing = self.missing_feature.then(|| format!("{} (missing)", self.column));
                own.chain(rare).chain(missing).collect()
            }
            Encoding::Ordinal => vec![self.column.clone()],
            Encoding::Frequency { .. } => vec![format!("{} (share)", self.column)],
            Encoding::Target { table } => {
                table.labels.iter().map(|label| format!("{} (share of {label})", self.column)).collect()
            }
        }
    }

    /// Writes this step's features of every row; `stride` is the length of a whole row. `training` are the rows'
    /// places in the training part, where they are training rows.
    pub(crate) fn write(
        &self,
        batch: &RecordBatch,
        output: &mut [f32],
        at: usize,
        stride: usize,
        training: Option<&[usize]>,
    ) -> Result<()> {
        for (row, value) in texts(batch, &self.column)?.iter().enumerate() {
            let place = self.place(row, value)?;
            let features = &mut output[row * stride + at..row * stride + at + self.width()];
            match &self.encoding {
                Encoding::OneHot => {
                    features.fill(0.0);
                    if let Some(place) = place {
                        features[place] = 1.0;
                    }
                }
                Encoding::Ordinal => features[0] = place.map_or(-1.0, |place| place as f32),
                Encoding::Frequency { shares } => features[0] = place.map_or(0.0, |place| shares[place] as f32),
                Encoding::Target { table } => table.write(place, training.map(|places| places[row]), features),
            }
        }
        Ok(())
    }

    /// The place of a value; `None` for one that training has no place for.
    fn place(&self, row: usize, value: Option<&str>) -> Result<Option<usize>> {
        Ok(match value {
            Some(text) => match self.categories.binary_search_by(|known| known.as_str().cmp(text)) {
                Ok(index) => Some(index),
                Err(_) if self.unknown == Unknown::Refuse => return Err(self.unknown_category(row, text)),
                Err(_) => self.rare_feature.then_some(self.categories.len()),
            },
            None if self.missing == CategoryMissing::Refuse => return Err(refused(&self.column, row)),
            None => self.missing_feature.then_some(self.places() - 1),
        })
    }

    fn unknown_category(&self, row: usize, text: &str) -> Error {
        let error = bad_value(&self.column, row, format!("{} was not among the training categories", quoted(text)));
        match nearest(text, self.categories.iter().map(String::as_str)) {
            Some(near) => error.fix(format!("did you mean \"{near}\"?")),
            None => error,
        }
    }
}

/// A missing value where the setting allows none.
pub(crate) fn refused(column: &str, row: usize) -> Error {
    bad_value(column, row, "the value is missing and this column's `missing` is \"refuse\"")
        .fix("fill the value, or set `missing` to \"own_category\"")
}
