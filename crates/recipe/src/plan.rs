//! What a recipe shall do, before it has seen data: the unfitted steps and their settings.
//! Fitting each kind of step is in the module named after the kind.

use crate::category::CategoryStep;
use crate::date::DateStep;
use crate::labels::Labels;
use crate::number::NumberStep;
use crate::picture::PictureStep;
use crate::recipe::{Recipe, Step};
use crate::repair::Repairs;
use crate::settings::{
    CategoryEncode, CategoryMissing, DatePart, ImageFit, ImageNormalize, NumberMissing, NumberNormalize,
    SeriesStandardize, TextCleaning, TextWeight, Unknown,
};
use crate::target::{Ahead, Classes, Number, Target};
use crate::text::TextStep;
use crate::tokens::TokensStep;
use crate::whole_series::WholeSeriesStep;
use crate::window::WindowStep;
use arrow_array::RecordBatch;
use lepton_core::{ColumnKind, Error, ErrorCode, Result, Schema, Transform};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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
    /// A text becomes the codes of its words or pieces of words, int64 `[length]`, for an embedding.
    Tokens(TokensPlan),
    /// A whole series becomes `[time, dimensions]`.
    Series(WholeSeriesPlan),
    /// The end of a series becomes `[length, 1]`.
    Window(WindowPlan),
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

/// A step of codes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokensPlan {
    /// The column.
    pub column: String,
    /// How a text is cut.
    pub tokenizer: TokenizerPlan,
    /// Most codes of a vocabulary that is learned; 0 is padding and 1 what is not known. Single letters and bytes that
    /// pieces are made of always have theirs.
    pub vocabulary: usize,
    /// Of a vocabulary that is learned: a word, or a pair that becomes a piece, with fewer occurrences in training is
    /// left out.
    pub min_count: u64,
    /// Of a vocabulary that is learned: whether capital letters count as small ones.
    pub lowercase: bool,
    /// Codes of every row: longer texts are cut at their end, shorter ones padded there. `None` takes what 98 % of the
    /// training texts stay within.
    pub length: Option<usize>,
    /// The most that `length` becomes without being set.
    pub max_length: usize,
    /// What a missing value means: the same as an empty text, or an error.
    pub missing: CategoryMissing,
}

/// How a text is cut into pieces that have codes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenizerPlan {
    /// Runs of letters and digits, and runs of punctuation, each with its own code.
    Words,
    /// Pieces of words, as BERT has them; all of training.
    WordPiece,
    /// Pieces of words over bytes, as GPT-2 has them; all of training.
    Bpe,
    /// A `tokenizer.json` of the Hugging Face library in this file, which [`RecipePlan::read_tokenizers`] reads.
    File(PathBuf),
    /// A `tokenizer.json` as a whole.
    Pretrained(serde_json::Value),
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

/// A step of what a forecast is made from: the last values of a series of one dimension, standardised by training.
/// Unlike a whole series it is never padded, and no gap is filled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowPlan {
    /// The column.
    pub column: String,
    /// How many values; a row with more gives its last ones, a row with fewer is refused.
    pub length: usize,
    /// What is done to them first.
    pub transform: Transform,
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

impl TokensPlan {
    /// Lower-cased words that occur twice or more, up to 10,000 of them, in rows of up to 256.
    pub fn new(column: impl Into<String>) -> TokensPlan {
        TokensPlan {
            column: column.into(),
            tokenizer: TokenizerPlan::Words,
            vocabulary: 10_000,
            min_count: 2,
            lowercase: true,
            length: None,
            max_length: 256,
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
    /// Any of the labels that the training rows have, several of them in one text. They stand in numeric order where all
    /// are integers, else in byte order.
    Labels {
        /// The column. An empty or missing text is a row without labels.
        column: String,
        /// What stands between the labels of a row; white space around them counts for nothing.
        separator: String,
    },
    /// A number, which the recipe standardises by the training rows.
    Number {
        /// The column.
        column: String,
    },
    /// The steps behind a window, on the scale of the window's values.
    Horizon {
        /// The column, a series of `steps` values.
        column: String,
        /// The window, which is the recipe's one step.
        window: WindowPlan,
        /// Steps ahead.
        steps: usize,
        /// Levels of the quantiles that are predicted, rising between 0 and 1.
        quantiles: Vec<f64>,
        /// Steps of a season; 1 where there is none.
        season: usize,
    },
}

impl TargetPlan {
    fn column(&self) -> &str {
        match self {
            TargetPlan::Classes { column }
            | TargetPlan::Labels { column, .. }
            | TargetPlan::Number { column }
            | TargetPlan::Horizon { column, .. } => column,
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
            StepPlan::Tokens(plan) => &plan.column,
            StepPlan::Series(plan) => &plan.column,
            StepPlan::Window(plan) => &plan.column,
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
            StepPlan::Tokens(_) => "tokens",
            StepPlan::Series(_) => "series",
            StepPlan::Window(_) => "window",
        }
    }

    /// Whether the step reads columns of that kind.
    pub fn accepts(&self, kind: ColumnKind) -> bool {
        match self {
            StepPlan::Image(_) => kind == ColumnKind::Image,
            StepPlan::Series(_) | StepPlan::Window(_) => kind == ColumnKind::Series,
            StepPlan::Number(_) => kind == ColumnKind::Number,
            StepPlan::Category(_) | StepPlan::Date(_) | StepPlan::Text(_) | StepPlan::Tokens(_) => {
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
            Some(TargetPlan::Labels { column, separator }) => {
                Some(Target::Labels(Labels::fit(column, separator, &train)?))
            }
            Some(TargetPlan::Number { column }) => Some(Target::Number(Number::fit(column, &train)?)),
            Some(TargetPlan::Horizon { column, window, steps, quantiles, season }) => {
                Some(Target::Ahead(Ahead::fit(column, window, (*steps, *season), quantiles, &train)?))
            }
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
                StepPlan::Tokens(plan) => Step::Tokens(TokensStep::fit(plan, &train)?),
                StepPlan::Series(plan) => Step::Series(WholeSeriesStep::fit(plan, &train)?),
                StepPlan::Window(plan) => Step::Window(WindowStep::fit(plan, &train)?),
            });
        }
        let mut names: Vec<&str> = self.steps.iter().map(StepPlan::column).collect();
        let columns = names.iter().map(|name| raw.column(name).cloned()).collect::<Result<Vec<_>>>()?;
        names.extend(target.as_ref().map(Target::column));
        let repairs = (!repairs.is_empty()).then(|| repairs.restrict(&names));
        Recipe::from_parts(Schema { columns }, repairs, steps, target)
    }

    /// Puts in the place of each tokenizer that is a file what `read` finds there.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] for a file that holds no JSON, and those of `read`.
    pub fn read_tokenizers(&mut self, read: impl Fn(&Path) -> Result<Vec<u8>>) -> Result<()> {
        for step in &mut self.steps {
            if let StepPlan::Tokens(TokensPlan { tokenizer, .. }) = step
                && let TokenizerPlan::File(path) = tokenizer
            {
                let json = serde_json::from_slice(&read(path)?).map_err(|source| {
                    Error::new(ErrorCode::BadData, format!("this is no tokenizer.json: {source}"))
                        .in_file(&*path)
                        .at_key("recipe.tokenizer")
                })?;
                *tokenizer = TokenizerPlan::Pretrained(json);
            }
        }
        Ok(())
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
