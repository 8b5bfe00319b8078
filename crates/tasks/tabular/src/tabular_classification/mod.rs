//! One label per table row: the schema it needs, its recipe, networks and figures.

mod zoo;

use lepton_core::{ColumnKind, Error, ErrorCode, Figure, Result, Schema, TaskKind};
use lepton_data::AugmentSettings;
use lepton_nn::Architecture;
use lepton_recipe::{CategoryMissing, NumberMissing, NumberNormalize, RecipePlan, StepPlan, TargetPlan, Unknown};
use lepton_train::{
    Classified, EvaluationInput, RecipeSettings, Task, ZooEntry, calibration, class_table, confusion_matrix,
};

/// Categories of a column that get a feature of their own, unless a person says otherwise.
const MAX_CATEGORIES: usize = 32;

/// Tabular classification: number and category columns in, one of the target column's classes out.
#[derive(Clone, Copy, Debug, Default)]
pub struct TabularClassification;

impl Task for TabularClassification {
    fn kind(&self) -> TaskKind {
        TaskKind::TabularClassification
    }

    fn check(&self, schema: &Schema, target: &str) -> Result<()> {
        schema.column(target)?;
        let mut inputs = 0;
        for column in schema.columns.iter().filter(|column| column.name != target) {
            match column.kind {
                ColumnKind::Number | ColumnKind::Category => inputs += 1,
                ColumnKind::Text => {
                    return Err(Error::new(ErrorCode::Unsupported, "tabular classification does not read free text")
                        .at_column(&column.name)
                        .fix("list the column in collect.ignore, or call it a category in collect.columns"));
                }
                ColumnKind::Boxes | ColumnKind::Masks | ColumnKind::KeyPoints => {
                    let message = "tabular classification does not read what is marked on pictures";
                    return Err(Error::new(ErrorCode::Unsupported, message).at_column(&column.name));
                }
                ColumnKind::Image => {
                    return Err(Error::new(ErrorCode::Unsupported, "tabular classification does not read pictures")
                        .at_column(&column.name)
                        .fix("use task = \"image-classification\", or list the column in collect.ignore"));
                }
            }
        }
        if inputs == 0 {
            return Err(
                Error::new(ErrorCode::BadData, "there is no column to learn from besides the target").at_column(target)
            );
        }
        Ok(())
    }

    /// Numbers: missing ones become the median with a 0/1 feature beside it, all are standardised. Categories:
    /// one feature each, missing is a category of its own, unseen ones count as rare.
    fn recipe(&self, schema: &Schema, target: &str, settings: &RecipeSettings) -> Result<RecipePlan> {
        self.check(schema, target)?;
        let step = |name: &str, kind: ColumnKind, nullable: bool| match kind {
            ColumnKind::Number => StepPlan::Number {
                column: name.to_owned(),
                missing: settings.missing_numbers.unwrap_or(NumberMissing::Median),
                indicator: nullable && settings.missing_indicator.unwrap_or(true),
                normalize: settings.numbers.unwrap_or(NumberNormalize::Standardize),
            },
            _ => StepPlan::Category {
                column: name.to_owned(),
                missing: settings.missing_categories.unwrap_or(CategoryMissing::OwnCategory),
                unknown: settings.unknown_categories.unwrap_or(Unknown::Other),
                max_categories: settings.max_categories.unwrap_or(MAX_CATEGORIES),
            },
        };
        let inputs = schema.columns.iter().filter(|column| column.name != target);
        Ok(RecipePlan {
            steps: inputs.map(|column| step(&column.name, column.kind, column.nullable)).collect(),
            target: Some(TargetPlan::Classes { column: target.to_owned() }),
        })
    }

    /// None: a row has no neighbours that mean the same.
    fn default_augment(&self) -> AugmentSettings {
        AugmentSettings::default()
    }

    fn zoo(&self) -> &'static [ZooEntry] {
        zoo::ENTRIES
    }

    fn architecture(&self, name: Option<&str>, input_shape: &[usize], classes: usize) -> Result<Architecture> {
        zoo::architecture(name, input_shape, classes)
    }

    fn figures(&self, input: &EvaluationInput<'_>) -> Result<Vec<Figure>> {
        let classified = Classified::from_logits(input.outputs, input.targets)?;
        if classified.classes() != input.labels.len() {
            return Err(Error::internal(format!(
                "{} classes were evaluated, there are {} labels",
                classified.classes(),
                input.labels.len()
            )));
        }
        Ok(vec![
            confusion_matrix(&classified, input.labels),
            class_table(&classified, input.labels),
            calibration(&classified),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::Column;

    fn schema(columns: &[(&str, ColumnKind, bool)]) -> Schema {
        let column =
            |&(name, kind, nullable): &(&str, ColumnKind, bool)| Column { name: name.to_owned(), kind, nullable };
        Schema { columns: columns.iter().map(column).collect() }
    }

    #[test]
    fn numbers_and_categories_are_read_and_the_target_is_not() {
        let schema = schema(&[
            ("age", ColumnKind::Number, true),
            ("survived", ColumnKind::Category, false),
            ("fare", ColumnKind::Number, false),
            ("port", ColumnKind::Category, true),
        ]);
        let plan = TabularClassification.recipe(&schema, "survived", &RecipeSettings::default()).unwrap();
        let columns: Vec<_> = plan.steps.iter().map(StepPlan::column).collect();
        assert_eq!(columns, ["age", "fare", "port"]);
        let number = |column: &str, indicator| StepPlan::Number {
            column: column.to_owned(),
            missing: NumberMissing::Median,
            indicator,
            normalize: NumberNormalize::Standardize,
        };
        assert_eq!(plan.steps[0], number("age", true));
        assert_eq!(plan.steps[1], number("fare", false));

        let settings = RecipeSettings {
            missing_indicator: Some(false),
            max_categories: Some(3),
            unknown_categories: Some(Unknown::Refuse),
            ..RecipeSettings::default()
        };
        let plan = TabularClassification.recipe(&schema, "survived", &settings).unwrap();
        assert_eq!(plan.steps[0], number("age", false));
        let StepPlan::Category { unknown, max_categories, .. } = plan.steps[2] else { panic!("not a category") };
        assert_eq!((unknown, max_categories), (Unknown::Refuse, 3));
    }

    #[test]
    fn columns_that_cannot_be_read_are_named() {
        use ColumnKind::{Category, Image, Number, Text};
        for kind in [Text, Image] {
            let schema = schema(&[("x", Number, false), ("note", kind, false), ("y", Category, false)]);
            let error = TabularClassification.check(&schema, "y").unwrap_err();
            assert_eq!((error.code(), error.place().column.as_deref()), (ErrorCode::Unsupported, Some("note")));
        }
        let alone = schema(&[("y", Category, false)]);
        assert_eq!(TabularClassification.check(&alone, "y").unwrap_err().code(), ErrorCode::BadData);
        assert_eq!(TabularClassification.check(&alone, "z").unwrap_err().code(), ErrorCode::NotFound);
    }
}
