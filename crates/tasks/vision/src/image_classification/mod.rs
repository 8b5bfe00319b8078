//! One label per picture: the schema it needs, its recipe, augmentations, networks and figures.

mod figures;
mod networks;
mod zoo;

use lepton_core::{Column, ColumnKind, Error, ErrorCode, Figure, Result, Schema, TaskKind};
use lepton_data::AugmentSettings;
use lepton_nn::Architecture;
use lepton_recipe::{RecipePlan, TargetPlan};
use lepton_train::{EvaluationInput, RecipeSettings, Task, ZooEntry};

/// Image classification: one picture column in, one of the target column's classes out.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageClassification;

impl Task for ImageClassification {
    fn kind(&self) -> TaskKind {
        TaskKind::ImageClassification
    }

    fn check(&self, schema: &Schema, target: &str) -> Result<()> {
        picture_column(schema, target).map(drop)
    }

    fn recipe(&self, schema: &Schema, target: &str, settings: &RecipeSettings) -> Result<RecipePlan> {
        Ok(RecipePlan {
            steps: vec![settings.picture_step(&picture_column(schema, target)?.name)?],
            target: Some(TargetPlan::Classes { column: target.to_owned() }),
        })
    }

    /// Modest enough for digits and other pictures that have an upright: ten degrees, 7 % of shift and scale.
    fn default_augment(&self) -> AugmentSettings {
        AugmentSettings { rotate_degrees: 10.0, shift: 0.07, scale: 0.07, ..AugmentSettings::default() }
    }

    fn zoo(&self) -> &'static [ZooEntry] {
        zoo::ENTRIES
    }

    fn architecture(&self, name: Option<&str>, input_shape: &[usize], classes: usize) -> Result<Architecture> {
        zoo::architecture(name, input_shape, classes)
    }

    fn figures(&self, input: &EvaluationInput<'_>) -> Result<Vec<Figure>> {
        figures::figures(input)
    }
}

/// The one picture column of a schema whose target is a category.
fn picture_column<'a>(schema: &'a Schema, target: &str) -> Result<&'a Column> {
    let classes = schema.column(target)?;
    if classes.kind.is_marks() {
        let message =
            "image classification cannot use boxes, masks and key points yet; it predicts one class per picture";
        return Err(Error::new(ErrorCode::Unsupported, message)
            .at_column(target)
            .fix("use a layout with a class per picture: a folder per class, or MVTec"));
    }
    if classes.kind == ColumnKind::Image {
        return Err(Error::new(ErrorCode::BadData, "a picture cannot be the target of image classification")
            .at_column(target)
            .fix("name the column of the labels as collect.target"));
    }
    let mut pictures = schema.of_kind(ColumnKind::Image);
    let Some(picture) = pictures.next() else {
        return Err(Error::new(
            ErrorCode::BadData,
            "image classification needs a column of pictures, the data has none",
        )
        .fix("use task = \"tabular-classification\" for tables"));
    };
    if let Some(second) = pictures.next() {
        return Err(Error::new(
            ErrorCode::BadData,
            "image classification takes one column of pictures, this is a second",
        )
        .at_column(&second.name)
        .fix("list the columns that should not be used in collect.ignore"));
    }
    Ok(picture)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_recipe::{ImageFit, ImageNormalize, ImagePlan, NumberNormalize, StepPlan};
    use lepton_train::PictureFit;

    fn schema(columns: &[(&str, ColumnKind)]) -> Schema {
        let column = |&(name, kind): &(&str, ColumnKind)| Column { name: name.to_owned(), kind, nullable: false };
        Schema { columns: columns.iter().map(column).collect() }
    }

    #[test]
    fn a_dataset_needs_one_picture_column_and_a_target() {
        use ColumnKind::{Category, Image, Number};
        let check = |columns: &[(&str, ColumnKind)], target: &str| ImageClassification.check(&schema(columns), target);
        assert!(check(&[("picture", Image), ("digit", Category)], "digit").is_ok());
        let place = |result: Result<()>| result.unwrap_err().place().column.clone();
        assert_eq!(place(check(&[("x", Number), ("digit", Category)], "digit")), None);
        assert_eq!(place(check(&[("a", Image), ("b", Image), ("digit", Category)], "digit")), Some("b".to_owned()));
        assert_eq!(place(check(&[("a", Image), ("digit", Category)], "digits")), Some("digits".to_owned()));
        assert_eq!(place(check(&[("a", Image), ("digit", Category)], "a")), Some("a".to_owned()));
    }

    #[test]
    fn the_recipe_follows_the_settings() {
        let schema = schema(&[("picture", ColumnKind::Image), ("digit", ColumnKind::Category)]);
        let settings =
            RecipeSettings { height: Some(28), pixels: Some(ImageNormalize::Standardize), ..RecipeSettings::default() };
        let plan = ImageClassification.recipe(&schema, "digit", &settings).unwrap();
        assert_eq!(
            plan.steps,
            [StepPlan::Image(ImagePlan {
                height: Some(28),
                normalize: ImageNormalize::Standardize,
                ..ImagePlan::new("picture")
            })]
        );
        let cropped = RecipeSettings {
            height: Some(28),
            width: Some(28),
            fit: Some(PictureFit::Crop),
            resize: Some(32),
            ..RecipeSettings::default()
        };
        let plan_of = |settings: &RecipeSettings| ImageClassification.recipe(&schema, "digit", settings);
        let StepPlan::Image(step) = &plan_of(&cropped).unwrap().steps[0] else { panic!("not a picture step") };
        assert_eq!(step.fit, ImageFit::Crop { resize: Some(32) });
        let key = |settings: RecipeSettings| plan_of(&settings).unwrap_err().place().key.clone();
        let table = RecipeSettings { numbers: Some(NumberNormalize::Robust), ..RecipeSettings::default() };
        assert_eq!(key(table).as_deref(), Some("recipe.numbers"));
        let nothing_cut = RecipeSettings { fit: None, ..cropped };
        assert_eq!(key(nothing_cut).as_deref(), Some("recipe.resize"));
        let sound = RecipeSettings { audio: Some(Default::default()), ..RecipeSettings::default() };
        assert_eq!(plan_of(&sound).unwrap_err().code(), ErrorCode::Unsupported);
        assert_eq!(plan.target, Some(TargetPlan::Classes { column: "digit".to_owned() }));
    }
}
