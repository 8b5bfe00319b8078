//! The `[prepare]` settings: how rows are split into parts, what is removed, and what a leak does.

use super::DomainSettings;
use lepton_core::{ColumnKind, Error, ErrorCode, Result, Schema};
use lepton_recipe::raw::number_text;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The `[prepare]` settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrepareSettings {
    /// The share of training rows that becomes the validation part, where the source has none; above 0, below 1.
    pub valid_fraction: f64,
    /// The share of rows that becomes the test part, where the source has none; above 0, below 1. Taken before
    /// the validation part.
    pub test_fraction: f64,
    /// One of several parts of equal size as the test part, for cross-validation: each row is in the test part of exactly
    /// one. `test_fraction` is not read then. `lepton run --folds` sets it.
    pub fold: Option<Fold>,
    /// How rows are drawn; stratified where nothing is set. Not with `time`.
    pub split: Option<SplitMethod>,
    /// A column whose values (patients, machines, authors) are each in one part only. It is no feature.
    pub group: Option<String>,
    /// A column of numbers or ISO dates: training rows lie before validation rows, and these before test rows. It is
    /// no feature.
    pub time: Option<String>,
    /// A column that says `train`, `valid` or `test` for each row. A part that it never names is cut. It is no feature.
    pub split_column: Option<String>,
    /// Rows with these values, column by column, are the test part, and all others are not: `{ source = "imdb" }` tests
    /// on a source that training never saw. The columns are no features.
    pub test_where: BTreeMap<String, CellText>,
    /// Whether training rows that repeat an earlier one (same input, same label) are removed.
    pub remove_duplicates: bool,
    /// Whether pictures outside training that look nearly like a training picture are reported. It takes a pass over
    /// all pictures, and handwriting looks alike, so it is done where it is asked for.
    pub near_duplicates: bool,
    /// A plan of `lepton data doctor FILE --plan PLAN` for the training file: what it does to cells goes into the
    /// recipe, what it does to rows happens to the training part.
    pub repair: Option<PathBuf>,
    /// What a leak of the target or of groups or times across parts does.
    pub leaks: LeakPolicy,
    /// What stands between the labels of a row that has several. Never written under `[prepare]`: it is
    /// `recipe.label_separator`, for this stage.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub label_separator: Option<String>,
    /// Which rows are of which domain. Never written under `[prepare]`: it is what `[adapt]` says, for this stage.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub domains: Option<DomainSettings>,
}

/// A value of a table as it is written: a text, or a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CellText {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

impl fmt::Display for CellText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CellText::Number(number) => f.write_str(&number_text(*number)),
            CellText::Text(text) => f.write_str(text),
        }
    }
}

/// One fold of a cross-validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// Which one, from 1.
    pub number: usize,
    /// How many there are, at least 2.
    pub of: usize,
}

/// How rows are drawn for a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitMethod {
    /// Every class in proportion.
    #[default]
    Stratified,
    /// By chance alone.
    Random,
}

/// What a leak does. Exact duplicates across parts are reported either way: real data, MNIST among them, have a few.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeakPolicy {
    /// It stops the run: a score that was measured on what was learned looks better than the model is, and nobody
    /// who reads it can tell.
    #[default]
    Fail,
    /// It is a warning in the report.
    Warn,
}

impl Default for PrepareSettings {
    fn default() -> PrepareSettings {
        PrepareSettings {
            valid_fraction: 0.1,
            test_fraction: 0.2,
            fold: None,
            split: None,
            group: None,
            time: None,
            split_column: None,
            test_where: BTreeMap::new(),
            remove_duplicates: true,
            near_duplicates: false,
            repair: None,
            leaks: LeakPolicy::default(),
            label_separator: None,
            domains: None,
        }
    }
}

impl PrepareSettings {
    /// The columns that say how rows are split, by their keys.
    fn steering(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let of_test = self.test_where.keys().map(|name| ("prepare.test_where", name.as_str()));
        [
            ("prepare.group", self.group.as_deref()),
            ("prepare.time", self.time.as_deref()),
            ("prepare.split_column", self.split_column.as_deref()),
            ("adapt.column", self.domains.as_ref().map(|domains| domains.column.as_str())),
        ]
        .into_iter()
        .filter_map(|(key, name)| Some((key, name?)))
        .chain(of_test)
    }

    /// Whether a column says how rows are split.
    pub fn steers(&self, column: &str) -> bool {
        self.steering().any(|(_, name)| name == column)
    }

    /// The columns without those that say how rows are split: what a model may learn from, and the target.
    pub fn features(&self, schema: &Schema) -> Schema {
        Schema { columns: schema.columns.iter().filter(|column| !self.steers(&column.name)).cloned().collect() }
    }

    /// Checks the settings against the columns of a dataset.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] and [`ErrorCode::Unsupported`] with the key, and the column where one is meant;
    /// [`ErrorCode::NotFound`] for a column that is not there.
    pub fn check(&self, schema: &Schema, target: &str) -> Result<()> {
        let fractions =
            [("prepare.valid_fraction", self.valid_fraction), ("prepare.test_fraction", self.test_fraction)];
        for (key, fraction) in fractions {
            if !(fraction > 0.0 && fraction < 1.0) {
                let message = format!("{fraction} is not above 0 and below 1");
                return Err(Error::new(ErrorCode::Config, message).at_key(key));
            }
        }
        if let Some(Fold { number, of }) = self.fold {
            if of < 2 || !(1..=of).contains(&number) {
                let message = format!("fold {number} of {of} is none: there are at least 2, counted from 1");
                return Err(Error::new(ErrorCode::Config, message).at_key("prepare.fold"));
            }
            if self.time.is_some() || self.group.is_some() {
                let message = "folds are drawn by class or by chance, not by `group` or `time`";
                return Err(Error::new(ErrorCode::Unsupported, message).at_key("prepare.fold"));
            }
        }
        if self.time.is_some() && self.group.is_some() {
            return Err(Error::new(ErrorCode::Config, "rows cannot be split by `group` and by `time` at once")
                .at_key("prepare.time")
                .fix("remove one of the two"));
        }
        if self.split_column.is_some() && !self.test_where.is_empty() {
            return Err(Error::new(
                ErrorCode::Config,
                "`split_column` and `test_where` both say which rows are the test part",
            )
            .at_key("prepare.test_where")
            .fix("remove one of the two"));
        }
        if self.time.is_some() && self.split.is_some() {
            return Err(Error::new(ErrorCode::Config, "`split` draws rows, where `time` takes them in order")
                .at_key("prepare.split")
                .fix("remove `split`"));
        }
        let drawn = [(self.fold.is_some(), "fold"), (self.group.is_some(), "group"), (self.time.is_some(), "time")];
        if let Some((_, key)) = drawn.iter().find(|(is_set, _)| self.domains.is_some() && *is_set) {
            let message = format!("rows of domains are drawn by class or by chance, not by `{key}`");
            return Err(Error::new(ErrorCode::Unsupported, message)
                .at_key(format!("prepare.{key}"))
                .fix(format!("remove prepare.{key} or [adapt]")));
        }
        for (key, name) in self.steering() {
            let column = schema.column(name).map_err(|error| error.at_key(key))?;
            let wrong = if name == target {
                "the target cannot say how rows are split"
            } else if column.kind == ColumnKind::Series {
                "a series cannot say how rows are split"
            } else if !column.kind.is_cell() {
                "pictures cannot say how rows are split"
            } else if self.steering().filter(|(_, other)| *other == name).count() > 1 {
                "one column cannot have two of the tasks `group`, `time`, `split_column`, `test_where` and `adapt.column`"
            } else {
                continue;
            };
            return Err(Error::new(ErrorCode::Config, wrong).at_key(key).at_column(name));
        }
        Ok(())
    }
}
