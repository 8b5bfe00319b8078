//! The fitted recipe: what is applied, what it is written as, and what it says about itself.

use crate::category::CategoryStep;
use crate::date::DateStep;
use crate::number::NumberStep;
use crate::picture::PictureStep;
use crate::repair::Repairs;
use crate::target::Target;
use crate::text::TextStep;
use crate::tokens::{Codes, TokensStep};
use crate::version1::Version1;
use crate::whole_series::WholeSeriesStep;
use crate::window::WindowStep;
use arrow_array::RecordBatch;
use lepton_core::{ColumnKind, DType, Digest, Error, ErrorCode, Horizon, Result, Schema, Tensor, TensorSpec};
use serde::{Deserialize, Serialize};

/// The version of `recipe.json` that this build writes. It reads version 1 too.
pub const RECIPE_VERSION: u32 = 2;

/// The name of the tensor that a recipe makes.
pub const INPUT_NAME: &str = "input";

/// Fitted preprocessing: raw columns in, one tensor out: float32, or int64 where texts become codes.
/// Made by [`crate::RecipePlan::fit`], kept as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    version: u32,
    inputs: Schema,
    /// What rows get before all other steps; `None` where they stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repairs: Option<Repairs>,
    steps: Vec<Step>,
    target: Option<Target>,
}

/// One fitted step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Step {
    Image(PictureStep),
    Number(NumberStep),
    Category(CategoryStep),
    Date(DateStep),
    Text(TextStep),
    Tokens(TokensStep),
    Series(WholeSeriesStep),
    Window(WindowStep),
}

impl Step {
    fn column(&self) -> &str {
        match self {
            Step::Image(step) => &step.column,
            Step::Number(step) => &step.column,
            Step::Category(step) => &step.column,
            Step::Date(step) => &step.column,
            Step::Text(step) => &step.column,
            Step::Tokens(step) => &step.column,
            Step::Series(step) => &step.column,
            Step::Window(step) => &step.column,
        }
    }

    fn accepts(&self, kind: ColumnKind) -> bool {
        match self {
            Step::Image(_) => kind == ColumnKind::Image,
            Step::Series(_) | Step::Window(_) => kind == ColumnKind::Series,
            Step::Number(_) => kind == ColumnKind::Number,
            Step::Category(_) | Step::Date(_) | Step::Text(_) | Step::Tokens(_) => {
                matches!(kind, ColumnKind::Category | ColumnKind::Text)
            }
        }
    }

    /// Features of a row.
    fn width(&self) -> usize {
        match self {
            Step::Image(step) => step.channels * step.height * step.width,
            Step::Number(step) => step.width(),
            Step::Category(step) => step.width(),
            Step::Date(step) => step.width(),
            Step::Text(step) => step.width(),
            Step::Tokens(step) => step.codes().length,
            Step::Series(step) => step.width(),
            Step::Window(step) => step.length,
        }
    }

    fn check(&self) -> Result<()> {
        match self {
            Step::Image(step) => step.check(),
            Step::Number(step) => step.check(),
            Step::Category(step) => step.check(),
            Step::Date(step) => step.check(),
            Step::Text(step) => step.check(),
            Step::Tokens(step) => step.check(),
            Step::Series(step) => step.check(),
            Step::Window(step) => step.check(),
        }
    }
}

impl Recipe {
    pub(crate) fn from_parts(
        inputs: Schema,
        repairs: Option<Repairs>,
        steps: Vec<Step>,
        target: Option<Target>,
    ) -> Result<Recipe> {
        let recipe = Recipe { version: RECIPE_VERSION, inputs, repairs, steps, target };
        recipe.check()?;
        Ok(recipe)
    }

    /// The raw columns that a row must have, in order; the target is not among them. Of a recipe with repairs these are
    /// the columns before them: a number that may be written as `12 kg` is a text here.
    pub fn inputs(&self) -> &Schema {
        &self.inputs
    }

    /// The tensor that [`Recipe::apply`] makes: `"input"`, float32, `[-1, C, H, W]` for a picture, `[-1, time,
    /// dimensions]` for a series and `[-1, D]` for a table; int64 `[-1, length]` for a text that becomes codes.
    pub fn output(&self) -> TensorSpec {
        let dtype = if self.codes().is_some() { DType::Int64 } else { DType::Float32 };
        TensorSpec::batched(INPUT_NAME, dtype, &self.row_shape())
    }

    /// What an embedding must know, where rows are the codes of a text.
    pub fn codes(&self) -> Option<Codes> {
        match self.steps.as_slice() {
            [Step::Tokens(step)] => Some(step.codes()),
            _ => None,
        }
    }

    /// Names of classes or labels in the order of their indices; empty without a target, and where it is a number.
    pub fn labels(&self) -> &[String] {
        match &self.target {
            Some(Target::Classes(classes)) => &classes.labels,
            Some(Target::Labels(labels)) => &labels.labels,
            _ => &[],
        }
    }

    /// Whether a row may have several of the labels, or none.
    pub fn has_several_labels(&self) -> bool {
        matches!(self.target, Some(Target::Labels(_)))
    }

    /// Of a target that is a number, the mean and the deviation that it is standardised by.
    pub fn target_scale(&self) -> Option<(f64, f64)> {
        match &self.target {
            Some(Target::Number(number)) => Some((number.mean, number.deviation)),
            _ => None,
        }
    }

    /// Of a forecast, its steps, quantiles and scale.
    pub fn horizon(&self) -> Option<&Horizon> {
        match &self.target {
            Some(Target::Ahead(ahead)) => Some(&ahead.horizon),
            _ => None,
        }
    }

    /// The column that is predicted.
    pub fn target_column(&self) -> Option<&str> {
        self.target.as_ref().map(Target::column)
    }

    /// One name per feature of a table row, in order (`age`, `age (missing)`, `class = 1st`, `class (other)`);
    /// for a picture, a series or a text of codes the one name of its column.
    pub fn feature_names(&self) -> Vec<String> {
        let names = self.steps.iter().map(|step| match step {
            Step::Image(step) => vec![step.column.clone()],
            Step::Series(step) => vec![step.column.clone()],
            Step::Window(step) => vec![step.column.clone()],
            Step::Number(step) => step.feature_names(),
            Step::Category(step) => step.feature_names(),
            Step::Date(step) => step.feature_names(),
            Step::Text(step) => step.feature_names(),
            Step::Tokens(step) => vec![step.column.clone()],
        });
        names.flatten().collect()
    }

    /// Turns raw rows into the model's input. Columns are found by name; others are not looked at. The same rows
    /// give the same bytes, alone or in any batch.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] with row (from 1 within `rows`) and column: a column that is absent or of another
    /// type, a value that is missing or unknown where the recipe refuses it, a number that is not finite.
    pub fn apply(&self, rows: &RecordBatch) -> Result<Tensor> {
        self.features(rows, None)
    }

    /// As [`Recipe::apply`], for rows of the training part that the recipe was fitted on; `places` are their numbers
    /// in it, from 0. It differs for target encoding alone, where a training row takes shares that were computed
    /// without its own label.
    ///
    /// # Errors
    /// Those of [`Recipe::apply`].
    pub fn apply_in_training(&self, rows: &RecordBatch, places: &[usize]) -> Result<Tensor> {
        if places.len() != rows.num_rows() {
            let message = format!("{} rows came with {} places", rows.num_rows(), places.len());
            return Err(Error::internal(message));
        }
        self.features(rows, Some(places))
    }

    /// Whether training rows are encoded in another way than served ones, so that their places matter.
    pub fn is_out_of_fold(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Category(step) if step.is_out_of_fold()))
    }

    /// The repairs that rows get first.
    pub fn repairs(&self) -> Option<&Repairs> {
        self.repairs.as_ref()
    }

    fn features(&self, rows: &RecordBatch, training: Option<&[usize]>) -> Result<Tensor> {
        let repaired = self.repairs.as_ref().map(|repairs| repairs.apply(rows)).transpose()?;
        let rows = repaired.as_deref().unwrap_or(rows);
        let shape: Vec<usize> = std::iter::once(rows.num_rows()).chain(self.row_shape()).collect();
        if let [Step::Tokens(step)] = self.steps.as_slice() {
            return Tensor::int64(shape, step.encode(rows)?);
        }
        let stride: usize = self.row_shape().iter().product();
        let count = stride.checked_mul(rows.num_rows()).ok_or_else(|| {
            Error::new(ErrorCode::TooLarge, format!("{} rows of {stride} features are too many", rows.num_rows()))
        })?;
        let mut output = vec![0.0f32; count];
        let mut at = 0;
        for step in &self.steps {
            match step {
                Step::Image(step) => step.write(rows, &mut output)?,
                Step::Series(step) => step.write(rows, &mut output)?,
                Step::Window(step) => step.write(rows, &mut output)?,
                Step::Number(step) => step.write(rows, &mut output, at, stride)?,
                Step::Category(step) => step.write(rows, &mut output, at, stride, training)?,
                Step::Date(step) => step.write(rows, &mut output, at, stride)?,
                Step::Text(step) => step.write(rows, &mut output, at, stride)?,
                Step::Tokens(_) => return Err(Error::internal("codes beside other features")),
            }
            at += step.width();
        }
        Tensor::float32(shape, output)
    }

    /// Turns the target column into class indices, int64 `[n]`, into 1 and 0 for labels of which several may hold, float32
    /// `[n, labels]`, a number into standardised ones, float32 `[n, 1]`, or the
    /// steps of a forecast, float32 `[n, steps]`, on the network's scale.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] with the row of a label that is missing or was never seen in training, or of a number that
    /// is missing;
    /// [`ErrorCode::Config`] when the recipe has no target.
    pub fn encode_target(&self, rows: &RecordBatch) -> Result<Tensor> {
        match &self.target {
            Some(target) => match &self.repairs {
                Some(repairs) => target.encode(&*repairs.apply_to(rows, |column| column == target.column())?),
                None => target.encode(rows),
            },
            None => Err(Error::new(ErrorCode::Config, "this recipe has no target")),
        }
    }

    /// `recipe.json`. Reading it back gives a recipe that makes the same bytes.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|source| Error::internal(format!("the recipe cannot be written: {source}")))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads `recipe.json`.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] for anything that [`Recipe::to_json`] did not write; [`ErrorCode::Unsupported`] for
    /// another version.
    pub fn from_json(bytes: &[u8]) -> Result<Recipe> {
        let wrong = |source: serde_json::Error| {
            Error::new(ErrorCode::BadData, format!("this is not a recipe: {source}")).caused_by(source)
        };
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_slice(bytes).map_err(wrong)?;
        if version == 1 {
            let Version1 { inputs, steps, target, .. } = serde_json::from_slice(bytes).map_err(wrong)?;
            return Recipe::from_parts(
                inputs,
                None,
                steps.into_iter().map(Step::from).collect(),
                target.map(Target::Classes),
            );
        }
        if version != RECIPE_VERSION {
            let message = format!("the recipe has version {version}, this build reads versions 1 to {RECIPE_VERSION}");
            return Err(Error::new(ErrorCode::Unsupported, message).at_key("version"));
        }
        let recipe: Recipe = serde_json::from_slice(bytes).map_err(wrong)?;
        recipe.check()?;
        Ok(recipe)
    }

    /// The SHA-256 of [`Recipe::to_json`].
    pub fn digest(&self) -> Result<Digest> {
        Ok(Digest::of(self.to_json()?))
    }

    fn row_shape(&self) -> Vec<usize> {
        match self.steps.as_slice() {
            [Step::Image(step)] => vec![step.channels, step.height, step.width],
            [Step::Series(step)] => vec![step.length, step.dimensions],
            [Step::Window(step)] => vec![step.length, 1],
            steps => vec![steps.iter().map(Step::width).sum()],
        }
    }

    /// What must hold for a recipe, fitted or read.
    fn check(&self) -> Result<()> {
        if self.steps.is_empty() {
            return Err(Error::new(ErrorCode::BadData, "the recipe has no steps"));
        }
        if self.steps.len() > 1
            && let Some((step, what)) = self.steps.iter().find_map(|step| match step {
                Step::Image(_) => Some((step, "picture")),
                Step::Series(_) => Some((step, "series")),
                Step::Window(_) => Some((step, "window of a series")),
                Step::Tokens(_) => Some((step, "text of codes")),
                _ => None,
            })
        {
            let message = format!("a {what} beside other input columns is not supported");
            return Err(Error::new(ErrorCode::Unsupported, message)
                .at_column(step.column())
                .fix("ignore the other columns, or this one"));
        }
        if let Some(repairs) = &self.repairs {
            repairs.check()?;
        }
        let columns = self.repairs.as_ref().map_or(&self.inputs, Repairs::repaired);
        let matching = self.inputs.columns.iter().zip(&self.steps).all(|(input, step)| {
            let kind = columns.column(&input.name).map(|column| column.kind);
            input.name == step.column() && kind.is_ok_and(|kind| step.accepts(kind))
        });
        if self.inputs.columns.len() != self.steps.len() || !matching {
            return Err(Error::new(ErrorCode::BadData, "the recipe's inputs and steps do not match"));
        }
        self.steps.iter().try_for_each(Step::check)?;
        self.check_reads()?;
        match &self.target {
            Some(target) if self.steps.iter().any(|step| step.column() == target.column()) => {
                Err(Error::new(ErrorCode::BadData, "the target cannot be an input too").at_column(target.column()))
            }
            Some(target) => target.check(),
            None => Ok(()),
        }
    }

    /// Every column that a fill reads must be among the inputs: a request has no others.
    fn check_reads(&self) -> Result<()> {
        let of_numbers = self.steps.iter().flat_map(|step| match step {
            Step::Number(step) => step.reads().into_iter().map(|read| (step.column.as_str(), read)).collect(),
            _ => Vec::new(),
        });
        let of_repairs = self.repairs.iter().flat_map(Repairs::reads);
        let mut reads = of_numbers.chain(of_repairs);
        match reads.find(|(_, read)| !self.inputs.names().any(|name| name == *read)) {
            Some((column, read)) => {
                Err(Error::new(ErrorCode::Config, format!("\"{read}\" is needed to fill it and is no input column"))
                    .at_column(column)
                    .fix("fill the column in another way, or let the recipe read that one too"))
            }
            None => Ok(()),
        }
    }
}
