//! What a recipe shall do, before it has seen data: the unfitted steps and their settings.
//! Fitting each kind of step is in the module named after the kind.

use crate::category::CategoryStep;
use crate::number::NumberStep;
use crate::picture::PictureStep;
use crate::recipe::{Recipe, Step};
use crate::target::Target;
use arrow_array::RecordBatch;
use lepton_core::{ColumnKind, Error, ErrorCode, Result, Schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The steps of a recipe and its target, not yet fitted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipePlan {
    /// One step per input column. Features stand in this order.
    pub steps: Vec<StepPlan>,
    /// What is predicted.
    pub target: Option<TargetPlan>,
}

/// What to do with one column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum StepPlan {
    /// A picture becomes `[channels, height, width]`. Colour is converted first (to grey with the ITU-R 601
    /// weights), then the size (bilinear, with a wider filter where it shrinks).
    Image {
        /// The column.
        column: String,
        /// Rows of pixels; `None` takes the one height of all training pictures.
        height: Option<usize>,
        /// Pixels per row; `None` takes the one width of all training pictures.
        width: Option<usize>,
        /// 1 grey or 3 RGB; `None` is 3 where any training picture has colour, else 1.
        channels: Option<usize>,
        /// How bytes become floats.
        normalize: ImageNormalize,
    },
    /// A number becomes one feature, or two with `indicator`.
    Number {
        /// The column.
        column: String,
        /// What stands in for a missing value.
        missing: NumberMissing,
        /// Whether a second feature says 1 where the value was missing and 0 elsewhere.
        indicator: bool,
        /// How values are scaled, after missing ones were filled.
        normalize: NumberNormalize,
    },
    /// A category becomes one feature per known category, 1 for the row's own and 0 elsewhere.
    Category {
        /// The column.
        column: String,
        /// What a missing value means.
        missing: CategoryMissing,
        /// What a category means that training did not know.
        unknown: Unknown,
        /// How many categories get a feature; the most frequent ones do. Rarer ones share one feature when
        /// `unknown` is `other`, and are refused when it is `refuse`.
        max_categories: usize,
    },
}

/// How the bytes of a picture become floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageNormalize {
    /// Divided by 255: 0 to 1.
    Scale,
    /// Divided by 255, then per channel minus the training mean and over the training standard deviation
    /// (of the population: divided by n).
    Standardize,
}

/// What stands in for a missing number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberMissing {
    /// The mean of the training values.
    Mean,
    /// The median of the training values; the mean of the middle two where their count is even.
    Median,
    /// Nothing: a missing value is an error.
    Refuse,
}

/// How numbers are scaled. A column that is constant in training is only shifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberNormalize {
    /// As they are.
    None,
    /// Minus the mean, over the standard deviation of the population.
    Standardize,
    /// Training minimum to 0, maximum to 1; values beyond them go past 0 and 1.
    MinMax,
}

/// What a missing category means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CategoryMissing {
    /// A category of its own, with its own feature where training had missing values; where it had none, a
    /// missing value sets no feature.
    OwnCategory,
    /// An error.
    Refuse,
}

/// What a category means that training did not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// It counts as one of the rare categories past `max_categories`; where training had none of those, it
    /// sets no feature, because a weight for it would never have been trained.
    Other,
    /// An error.
    Refuse,
}

/// What is predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TargetPlan {
    /// One of the classes that the training rows have. Labels stand in numeric order where all are integers,
    /// else in byte order.
    Classes {
        /// The column.
        column: String,
    },
}

impl StepPlan {
    /// The column that the step reads.
    pub fn column(&self) -> &str {
        match self {
            StepPlan::Image { column, .. } | StepPlan::Number { column, .. } | StepPlan::Category { column, .. } => {
                column
            }
        }
    }

    /// The kind of column that the step takes.
    pub fn column_kind(&self) -> ColumnKind {
        match self {
            StepPlan::Image { .. } => ColumnKind::Image,
            StepPlan::Number { .. } => ColumnKind::Number,
            StepPlan::Category { .. } => ColumnKind::Category,
        }
    }
}

impl RecipePlan {
    /// Learns what the steps need (means, sizes, categories, labels) from the training rows, and from nothing else.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for a column that is not there, [`ErrorCode::Config`] for steps that do not go
    /// together, [`ErrorCode::BadData`] with row and column for values that no setting allows (rows are counted
    /// from 1 within `train`), [`ErrorCode::Unsupported`] for pictures beside other columns.
    pub fn fit(&self, schema: &Schema, train: &RecordBatch) -> Result<Recipe> {
        self.check(schema)?;
        if train.num_rows() == 0 {
            return Err(Error::new(ErrorCode::BadData, "there are no training rows to fit the recipe on"));
        }
        let mut inputs = Schema::default();
        let mut steps = Vec::with_capacity(self.steps.len());
        for plan in &self.steps {
            inputs.columns.push(schema.column(plan.column())?.clone());
            steps.push(match plan {
                StepPlan::Image { column, height, width, channels, normalize } => {
                    Step::Image(PictureStep::fit(column, [*height, *width, *channels], *normalize, train)?)
                }
                StepPlan::Number { column, missing, indicator, normalize } => {
                    Step::Number(NumberStep::fit(column, *missing, *indicator, *normalize, train)?)
                }
                StepPlan::Category { column, missing, unknown, max_categories } => {
                    Step::Category(CategoryStep::fit(column, *missing, *unknown, *max_categories, train)?)
                }
            });
        }
        let target = match &self.target {
            Some(TargetPlan::Classes { column }) => Some(Target::fit(column, train)?),
            None => None,
        };
        Recipe::from_parts(inputs, steps, target)
    }

    fn check(&self, schema: &Schema) -> Result<()> {
        let mut seen = BTreeSet::new();
        for step in &self.steps {
            let column = schema.column(step.column())?;
            if column.kind != step.column_kind() {
                let message = format!("a {:?} step cannot read a {:?} column", step.column_kind(), column.kind);
                return Err(Error::new(ErrorCode::Config, message.to_lowercase()).at_column(step.column()));
            }
            if !seen.insert(step.column()) {
                return Err(Error::new(ErrorCode::Config, "two steps read this column").at_column(step.column()));
            }
        }
        if let Some(TargetPlan::Classes { column }) = &self.target {
            schema.column(column)?;
            if seen.contains(column.as_str()) {
                return Err(Error::new(ErrorCode::Config, "the target cannot be an input too").at_column(column));
            }
        }
        if self.steps.is_empty() {
            return Err(Error::new(ErrorCode::Config, "the recipe has no steps")
                .fix("the dataset needs at least one number, category or picture column besides the target"));
        }
        Ok(())
    }
}
