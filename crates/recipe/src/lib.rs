//! Preprocessing as data: a plan is fitted on the training rows once and becomes a [`Recipe`], a JSON document
//! that training and serving apply with the same code, so that a served row gets exactly the bytes that a
//! training row got. [`raw`] turns what a person sends (JSON rows, CSV, PNG or JPEG) into those rows.
//!
//! Start with [`RecipePlan::fit`] and [`Recipe::apply`]; each kind of step is one module. Nothing here opens a
//! file or knows what the model does with the tensor.

mod category;
mod column;
mod number;
mod picture;
mod plan;
pub mod raw;
mod recipe;
mod resample;
mod target;

pub use plan::{
    CategoryMissing, ImageNormalize, NumberMissing, NumberNormalize, RecipePlan, StepPlan, TargetPlan, Unknown,
};
pub use recipe::{INPUT_NAME, RECIPE_VERSION, Recipe};
