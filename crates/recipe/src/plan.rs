//! What a recipe shall do, before it has seen data: the unfitted steps and their settings.
//! Fitting each kind of step is in the module named after the kind.

use crate::category::CategoryStep;
use crate::date::DateStep;
use crate::number::NumberStep;
use crate::picture::PictureStep;
use crate::recipe::{Recipe, Step};
use crate::repair::Repairs;
use crate::settings::{
    CategoryEncode, CategoryMissing, DatePart, ImageFit, ImageNormalize, NumberMissing, NumberNormalize,
    SeriesStandardize, TextCleaning, TextWeight, Unknown,
};
use crate::target::{Classes, Number, Target};
use crate::text::TextStep;
use crate::whole_series::WholeSeriesStep;
use arrow_array::RecordBatch;
use lepton_core::{ColumnKind, Error, ErrorCode, Result, Schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
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
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StepPlan {
    /// A picture becomes `[channels, height, width]`.
    Image(ImagePlan),
    /// A number becomes one feature, or one for each of its bins, and one more with `indicator`.
    Number(NumberPlan),
    /// A category becomes one feature for each known one, or few numbers, as its encoding says.
    Category(CategoryPlan),
    /// A date becomes two features for each of the circles that it stands on, and one for each straight line.
    Date(DatePlan),
    /// A text becomes the weights of its words, in as many features as are asked for.
    Text(TextPlan),
    /// A whole series becomes `[time, dimensions]`.
    Series(WholeSeriesPlan),
}

/// A picture step. Colour is converted first (to grey with the ITU-R 601 weights), then the size (bilinear, with a
/// wider filter where it shrinks).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagePlan {
    /// The column.
    pub column: String,
    /// Rows of pixels; `None` takes the one height of all training pictures.
    pub height: Option<usize>,
    /// Pixels per row; `None` takes the one width of all training pictures.
    pub width: Option<usize>,
    /// 1 grey or 3 RGB; `None` is 3 where any training picture has colour, else 1.
    pub channels: Option<usize>,
    /// How pictures of other proportions come to that size.
    pub fit: ImageFit,
    /// How bytes become floats.
    pub normalize: ImageNormalize,
}

/// A number step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberPlan {
    /// The column.
    pub column: String,
    /// Two shares of the training values, such as 0.01 and 0.99: values beyond these quantiles become them, before
    /// anything else is learned or filled.
    pub clip: Option<[f64; 2]>,
    /// What stands in for a missing value.
    pub missing: NumberMissing,
    /// Whether a second feature says 1 where the value was missing and 0 elsewhere.
    pub indicator: bool,
    /// How values are scaled, after missing ones were filled.
    pub normalize: NumberNormalize,
}

/// A category step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryPlan {
    /// The column.
    pub column: String,
    /// What a missing value means.
    pub missing: CategoryMissing,
    /// What a category means that training did not know.
    pub unknown: Unknown,
    /// How many categories are told apart; the most frequent ones are. Rarer ones count as one when `unknown` is
    /// `other`, and are refused when it is `refuse`.
    pub max_categories: usize,
    /// A category with fewer training rows than this is a rare one.
    pub min_count: u64,
    /// How they become numbers.
    pub encode: CategoryEncode,
    /// Of target encoding: training rows' worth of the overall share that is mixed in. `None` weighs by the variance
    /// within the category (empirical Bayes, as scikit-learn's `smooth="auto"`).
    pub smooth: Option<f64>,
}

/// A date step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatePlan {
    /// The column.
    pub column: String,
    /// Which features; in the order of [`DatePart::ALL`] whatever the order here.
    pub parts: Vec<DatePart>,
    /// Whether `03/04/2021` is in April; `None` takes what other training values say, where they say it.
    pub day_first: Option<bool>,
    /// The day that days are counted from, `2020-01-01`; `None` is the earliest of training.
    pub reference: Option<String>,
    /// What a missing value means.
    pub missing: CategoryMissing,
}

/// A text step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextPlan {
    /// The column.
    pub column: String,
    /// What is done before words are taken.
    pub clean: TextCleaning,
    /// Features that words are hashed into.
    pub features: usize,
    /// What a word weighs.
    pub weight: TextWeight,
    /// What a missing value means.
    pub missing: CategoryMissing,
}

/// A step of whole series. Gaps are filled along straight lines, then numbers are scaled, then series are cut or padded
/// with 0 at their end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholeSeriesPlan {
    /// The column.
    pub column: String,
    /// Steps that every series gets; `None` takes those of the longest training series.
    pub length: Option<usize>,
    /// How numbers are scaled.
    pub standardize: SeriesStandardize,
}

impl ImagePlan {
    /// The pictures as they are, 0 to 1.
    pub fn new(column: impl Into<String>) -> ImagePlan {
        ImagePlan {
            column: column.into(),
            height: None,
            width: None,
            channels: None,
            fit: ImageFit::Stretch,
            normalize: ImageNormalize::Scale,
        }
    }
}

impl NumberPlan {
    /// Missing numbers become the median, all are standardised.
    pub fn new(column: impl Into<String>) -> NumberPlan {
        NumberPlan {
            column: column.into(),
            clip: None,
            missing: NumberMissing::Median,
            indicator: false,
            normalize: NumberNormalize::Standardize,
        }
    }
}

impl CategoryPlan {
    /// One feature for each of up to 32 categories, one for rarer ones and one for missing ones.
    pub fn new(column: impl Into<String>) -> CategoryPlan {
        CategoryPlan {
            column: column.into(),
            missing: CategoryMissing::OwnCategory,
            unknown: Unknown::Other,
            max_categories: 32,
            min_count: 1,
            encode: CategoryEncode::OneHot,
            smooth: None,
        }
    }
}

impl DatePlan {
    /// All parts, counted from the earliest day of training.
    pub fn new(column: impl Into<String>) -> DatePlan {
        DatePlan {
            column: column.into(),
            parts: DatePart::ALL.to_vec(),
            day_first: None,
            reference: None,
            missing: CategoryMissing::OwnCategory,
        }
    }
}

impl TextPlan {
    /// Cleaned in every way, the words' tf-idf in 256 features.
    pub fn new(column: impl Into<String>) -> TextPlan {
        TextPlan {
            column: column.into(),
            clean: TextCleaning::default(),
            features: 256,
            weight: TextWeight::TfIdf,
            missing: CategoryMissing::OwnCategory,
        }
    }
}

impl WholeSeriesPlan {
    /// As long as the longest of training, standardised by training.
    pub fn new(column: impl Into<String>) -> WholeSeriesPlan {
        WholeSeriesPlan { column: column.into(), length: None, standardize: SeriesStandardize::Training }
    }
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
    /// A number, which the recipe standardises by the training rows.
    Number {
        /// The column.
        column: String,
    },
}

impl TargetPlan {
    fn column(&self) -> &str {
        match self {
            TargetPlan::Classes { column } | TargetPlan::Number { column } => column,
        }
    }
}

impl StepPlan {
    /// The column that the step reads.
    pub fn column(&self) -> &str {
        match self {
            StepPlan::Image(plan) => &plan.column,
            StepPlan::Number(plan) => &plan.column,
            StepPlan::Category(plan) => &plan.column,
            StepPlan::Date(plan) => &plan.column,
            StepPlan::Text(plan) => &plan.column,
            StepPlan::Series(plan) => &plan.column,
        }
    }

    /// The step's name in settings and errors.
    pub fn name(&self) -> &'static str {
        match self {
            StepPlan::Image(_) => "picture",
            StepPlan::Number(_) => "number",
            StepPlan::Category(_) => "category",
            StepPlan::Date(_) => "date",
            StepPlan::Text(_) => "text",
            StepPlan::Series(_) => "series",
        }
    }

    /// Whether the step reads columns of that kind.
    pub fn accepts(&self, kind: ColumnKind) -> bool {
        match self {
            StepPlan::Image(_) => kind == ColumnKind::Image,
            StepPlan::Series(_) => kind == ColumnKind::Series,
            StepPlan::Number(_) => kind == ColumnKind::Number,
            StepPlan::Category(_) | StepPlan::Date(_) | StepPlan::Text(_) => {
                matches!(kind, ColumnKind::Category | ColumnKind::Text)
            }
        }
    }
}

impl RecipePlan {
    /// Learns what the steps need (means, sizes, categories, labels) from the training rows, and from nothing else.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for a column that is not there, [`ErrorCode::Config`] for steps that do not go
    /// together, [`ErrorCode::BadData`] with row and column for values that no setting allows (rows are counted
    /// from 1 within `train`), [`ErrorCode::Unsupported`] for pictures and series beside other
    /// columns.
    pub fn fit(&self, schema: &Schema, train: &RecordBatch) -> Result<Recipe> {
        self.fit_after(Repairs::none(schema), schema, train)
    }

    /// As [`RecipePlan::fit`], on rows that are repaired first; the repairs become part of the recipe.
    ///
    /// # Errors
    /// Those of [`RecipePlan::fit`] and [`Repairs::apply`].
    pub fn fit_after(&self, repairs: Repairs, raw: &Schema, train: &RecordBatch) -> Result<Recipe> {
        self.check(repairs.repaired())?;
        if train.num_rows() == 0 {
            return Err(Error::new(ErrorCode::BadData, "there are no training rows to fit the recipe on"));
        }
        let train: Cow<'_, RecordBatch> = repairs.apply(train)?;
        let target = match &self.target {
            Some(TargetPlan::Classes { column }) => Some(Target::Classes(Classes::fit(column, &train)?)),
            Some(TargetPlan::Number { column }) => Some(Target::Number(Number::fit(column, &train)?)),
            None => None,
        };
        let classes = match &target {
            Some(Target::Classes(classes)) => {
                Some((classes.labels.as_slice(), classes.encode(&train)?.as_int64()?.to_vec()))
            }
            _ => None,
        };
        let classes = classes.as_ref().map(|(labels, indices)| (*labels, indices.as_slice()));
        let numbers: Vec<&str> =
            self.steps.iter().filter(|step| matches!(step, StepPlan::Number(_))).map(StepPlan::column).collect();
        let mut steps = Vec::with_capacity(self.steps.len());
        for plan in &self.steps {
            steps.push(match plan {
                StepPlan::Image(plan) => Step::Image(PictureStep::fit(plan, &train)?),
                StepPlan::Number(plan) => {
                    let others: Vec<&str> = numbers.iter().copied().filter(|name| *name != plan.column).collect();
                    Step::Number(NumberStep::fit(plan, &others, &train)?)
                }
                StepPlan::Category(plan) => Step::Category(CategoryStep::fit(plan, classes, &train)?),
                StepPlan::Date(plan) => Step::Date(DateStep::fit(plan, &train)?),
                StepPlan::Text(plan) => Step::Text(TextStep::fit(plan, &train)?),
                StepPlan::Series(plan) => Step::Series(WholeSeriesStep::fit(plan, &train)?),
            });
        }
        let mut names: Vec<&str> = self.steps.iter().map(StepPlan::column).collect();
        let columns = names.iter().map(|name| raw.column(name).cloned()).collect::<Result<Vec<_>>>()?;
        names.extend(target.as_ref().map(Target::column));
        let repairs = (!repairs.is_empty()).then(|| repairs.restrict(&names));
        Recipe::from_parts(Schema { columns }, repairs, steps, target)
    }

    fn check(&self, schema: &Schema) -> Result<()> {
        let mut seen = BTreeSet::new();
        for step in &self.steps {
            let column = schema.column(step.column())?;
            if !step.accepts(column.kind) {
                let kind = format!("{:?}", column.kind).to_lowercase();
                let message = format!("a {} step cannot read a {kind} column", step.name());
                return Err(Error::new(ErrorCode::Config, message)
                    .at_column(step.column())
                    .fix("choose another step, or say what the column is in collect.columns"));
            }
            if !seen.insert(step.column()) {
                return Err(Error::new(ErrorCode::Config, "two steps read this column").at_column(step.column()));
            }
        }
        for step in &self.steps {
            if let StepPlan::Number(NumberPlan { column, missing: NumberMissing::Group(by), .. }) = step
                && (!seen.contains(by.as_str()) || by == column)
            {
                return Err(Error::new(ErrorCode::Config, format!("\"{by}\" is no other input column to group by"))
                    .at_column(column)
                    .fix("name a column that the recipe reads: a request has no others"));
            }
        }
        if let Some(column) = self.target.as_ref().map(TargetPlan::column) {
            schema.column(column)?;
            if seen.contains(column) {
                return Err(Error::new(ErrorCode::Config, "the target cannot be an input too").at_column(column));
            }
        }
        if self.steps.is_empty() {
            return Err(Error::new(ErrorCode::Config, "the recipe has no steps").fix(
                "the dataset needs at least one number, category, text, picture or series column besides the target",
            ));
        }
        Ok(())
    }
}
