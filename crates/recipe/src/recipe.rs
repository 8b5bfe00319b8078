//! The fitted recipe: what is applied, what it is written as, and what it says about itself.

use crate::category::CategoryStep;
use crate::number::NumberStep;
use crate::picture::PictureStep;
use crate::target::Target;
use arrow_array::RecordBatch;
use lepton_core::{ColumnKind, DType, Digest, Error, ErrorCode, Result, Schema, Tensor, TensorSpec};
use serde::{Deserialize, Serialize};

/// The version of `recipe.json` that this build writes and reads.
pub const RECIPE_VERSION: u32 = 1;

/// The name of the tensor that a recipe makes.
pub const INPUT_NAME: &str = "input";

/// Fitted preprocessing: raw columns in, one float32 tensor out. Made by [`crate::RecipePlan::fit`], kept as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    version: u32,
    inputs: Schema,
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
}

impl Step {
    fn column(&self) -> &str {
        match self {
            Step::Image(step) => &step.column,
            Step::Number(step) => &step.column,
            Step::Category(step) => &step.column,
        }
    }

    fn kind(&self) -> ColumnKind {
        match self {
            Step::Image(_) => ColumnKind::Image,
            Step::Number(_) => ColumnKind::Number,
            Step::Category(_) => ColumnKind::Category,
        }
    }

    /// Features of a row.
    fn width(&self) -> usize {
        match self {
            Step::Image(step) => step.channels * step.height * step.width,
            Step::Number(step) => step.width(),
            Step::Category(step) => step.width(),
        }
    }

    fn check(&self) -> Result<()> {
        match self {
            Step::Image(step) => step.check(),
            Step::Number(step) => step.check(),
            Step::Category(step) => step.check(),
        }
    }
}

impl Recipe {
    pub(crate) fn from_parts(inputs: Schema, steps: Vec<Step>, target: Option<Target>) -> Result<Recipe> {
        let recipe = Recipe { version: RECIPE_VERSION, inputs, steps, target };
        recipe.check()?;
        Ok(recipe)
    }

    /// The raw columns that a row must have, in order; the target is not among them.
    pub fn inputs(&self) -> &Schema {
        &self.inputs
    }

    /// The tensor that [`Recipe::apply`] makes: `"input"`, float32, `[-1, C, H, W]` for a picture and `[-1, D]`
    /// for a table.
    pub fn output(&self) -> TensorSpec {
        TensorSpec::batched(INPUT_NAME, DType::Float32, &self.row_shape())
    }

    /// Class names in the order of their indices; empty without a target.
    pub fn labels(&self) -> &[String] {
        self.target.as_ref().map_or(&[], |target| &target.labels)
    }

    /// The column that is predicted.
    pub fn target_column(&self) -> Option<&str> {
        self.target.as_ref().map(|target| target.column.as_str())
    }

    /// One name per feature of a table row, in order (`age`, `age (missing)`, `class = 1st`, `class (other)`);
    /// for a picture the one name of its column.
    pub fn feature_names(&self) -> Vec<String> {
        let names = self.steps.iter().map(|step| match step {
            Step::Image(step) => vec![step.column.clone()],
            Step::Number(step) => step.feature_names(),
            Step::Category(step) => step.feature_names(),
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
        let shape: Vec<usize> = std::iter::once(rows.num_rows()).chain(self.row_shape()).collect();
        let stride: usize = self.row_shape().iter().product();
        let count = stride.checked_mul(rows.num_rows()).ok_or_else(|| {
            Error::new(ErrorCode::TooLarge, format!("{} rows of {stride} features are too many", rows.num_rows()))
        })?;
        let mut output = vec![0.0f32; count];
        let mut at = 0;
        for step in &self.steps {
            match step {
                Step::Image(step) => step.write(rows, &mut output)?,
                Step::Number(step) => step.write(rows, &mut output, at, stride)?,
                Step::Category(step) => step.write(rows, &mut output, at, stride)?,
            }
            at += step.width();
        }
        Tensor::float32(shape, output)
    }

    /// Turns the target column into class indices, int64 `[n]`.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] with the row of a label that is missing or was never seen in training;
    /// [`ErrorCode::Config`] when the recipe has no target.
    pub fn encode_target(&self, rows: &RecordBatch) -> Result<Tensor> {
        match &self.target {
            Some(target) => target.encode(rows),
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
        if version != RECIPE_VERSION {
            let message = format!("the recipe has version {version}, this build reads version {RECIPE_VERSION}");
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
            steps => vec![steps.iter().map(Step::width).sum()],
        }
    }

    /// What must hold for a recipe, fitted or read.
    fn check(&self) -> Result<()> {
        if self.steps.is_empty() {
            return Err(Error::new(ErrorCode::BadData, "the recipe has no steps"));
        }
        if self.steps.len() > 1
            && let Some(step) = self.steps.iter().find(|step| step.kind() == ColumnKind::Image)
        {
            return Err(Error::new(ErrorCode::Unsupported, "a picture beside other input columns is not supported")
                .at_column(step.column())
                .fix("ignore the other columns, or this one"));
        }
        let columns = self.inputs.columns.iter();
        let matching =
            columns.zip(&self.steps).all(|(column, step)| column.name == step.column() && column.kind == step.kind());
        if self.inputs.columns.len() != self.steps.len() || !matching {
            return Err(Error::new(ErrorCode::BadData, "the recipe's inputs and steps do not match"));
        }
        self.steps.iter().try_for_each(Step::check)?;
        match &self.target {
            Some(target) if self.steps.iter().any(|step| step.column() == target.column) => {
                Err(Error::new(ErrorCode::BadData, "the target cannot be an input too").at_column(&target.column))
            }
            Some(target) => target.check(),
            None => Ok(()),
        }
    }
}
