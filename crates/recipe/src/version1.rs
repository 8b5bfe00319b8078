//! `recipe.json` of version 1, as packages of earlier builds have it: read, and made a recipe of today that gives the
//! same bytes.

use crate::category::{CategoryStep, Encoding};
use crate::fill::NumberFill;
use crate::number::NumberStep;
use crate::picture::PictureStep;
use crate::recipe::Step;
use crate::scaling::Scaling;
use crate::settings::{CategoryMissing, ImageFit, Unknown};
use crate::target::Classes;
use lepton_core::Schema;
use serde::Deserialize;

/// The whole document.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Version1 {
    #[serde(rename = "version")]
    _version: u32,
    pub(crate) inputs: Schema,
    pub(crate) steps: Vec<Step1>,
    pub(crate) target: Option<Classes>,
}

/// One step.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Step1 {
    Image(Image1),
    Number(Number1),
    Category(Category1),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Image1 {
    column: String,
    height: usize,
    width: usize,
    channels: usize,
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Number1 {
    column: String,
    fill: Option<f64>,
    indicator: bool,
    offset: f64,
    scale: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Category1 {
    column: String,
    missing: CategoryMissing,
    unknown: Unknown,
    categories: Vec<String>,
    rare_feature: bool,
    missing_feature: bool,
}

impl From<Step1> for Step {
    fn from(step: Step1) -> Step {
        match step {
            Step1::Image(Image1 { column, height, width, channels, mean, deviation }) => {
                Step::Image(PictureStep { column, height, width, channels, fit: ImageFit::Stretch, mean, deviation })
            }
            Step1::Number(Number1 { column, fill, indicator, offset, scale }) => Step::Number(NumberStep {
                column,
                clip: None,
                fill: fill.map(|value| NumberFill::Constant { value }),
                indicator,
                scaling: Scaling::Linear { offset, scale },
            }),
            Step1::Category(Category1 { column, missing, unknown, categories, rare_feature, missing_feature }) => {
                Step::Category(CategoryStep {
                    column,
                    missing,
                    unknown,
                    categories,
                    rare_feature,
                    missing_feature,
                    encoding: Encoding::OneHot,
                })
            }
        }
    }
}
