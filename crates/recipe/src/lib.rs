//! Preprocessing as data: a plan is fitted on the training rows once and becomes a [`Recipe`], a JSON document
//! that training and serving apply with the same code, so that a served row gets exactly the bytes that a
//! training row got. [`raw`] turns what a person sends (JSON rows, CSV, PNG or JPEG) into those rows.
//!
//! Start with [`RecipePlan::fit`] and [`Recipe::apply`]; each kind of step is one module. [`Repairs`] stand before
//! the steps. Nothing here opens a file or knows what the model does with the tensor.

pub mod audio;
mod category;
mod column;
mod date;
mod fill;
mod labels;
mod number;
mod picture;
mod plan;
pub mod raw;
mod recipe;
mod repair;
mod resample;
mod scaling;
pub mod series;
mod settings;
mod statistics;
mod target;
mod target_encoding;
mod text;
mod tokens;
mod version1;
mod whole_series;
mod window;
pub mod written;

pub use fill::{Columns, Imputation, NumberFill, TextFill};
pub use labels::labels_of;
pub use plan::{
    CategoryPlan, DatePlan, ImagePlan, NumberPlan, RecipePlan, StepPlan, TargetPlan, TextPlan, TokenizerPlan,
    TokensPlan, WholeSeriesPlan, WindowPlan,
};
pub use recipe::{INPUT_NAME, RECIPE_VERSION, Recipe};
pub use repair::{CellAction, CellForm, CellValue, RepairAction, RepairPlan, Repairs};
pub use settings::{
    CategoryEncode, CategoryMissing, DatePart, ImageFit, ImageNormalize, NumberMissing, NumberNormalize,
    SeriesStandardize, TextCleaning, TextWeight, Unknown,
};
pub use text::clean as clean_text;
pub use tokens::Codes;
