//! One label per table row: the schema it needs, its recipe, networks and figures.

use crate::{schema, zoo};
use lepton_core::{Error, Figure, Result, Schema, TaskKind};
use lepton_data::AugmentSettings;
use lepton_nn::Architecture;
use lepton_recipe::{RecipePlan, TargetPlan};
use lepton_train::{
    Classified, EvaluationInput, RecipeSettings, Task, ZooEntry, calibration, class_table, confusion_matrix,
};

/// Tabular classification: number, category and text columns in, one of the target column's classes out.
#[derive(Clone, Copy, Debug, Default)]
pub struct TabularClassification;

impl Task for TabularClassification {
    fn kind(&self) -> TaskKind {
        TaskKind::TabularClassification
    }

    fn check(&self, schema: &Schema, target: &str) -> Result<()> {
        schema::check(schema, target, "tabular classification")
    }

    /// Numbers: missing ones become the median with a 0/1 feature beside it, all are standardised. Categories:
    /// one feature each, missing is a category of its own, unseen ones count as rare. Texts: the tf-idf of their words.
    fn recipe(&self, schema: &Schema, target: &str, settings: &RecipeSettings) -> Result<RecipePlan> {
        self.check(schema, target)?;
        Ok(RecipePlan {
            steps: settings.table_steps(schema, target)?,
            target: Some(TargetPlan::Classes { column: target.to_owned() }),
        })
    }

    /// None: a row has no neighbours that mean the same.
    fn default_augment(&self) -> AugmentSettings {
        AugmentSettings::default()
    }

    fn ensemble(&self) -> &'static [&'static str] {
        zoo::ENSEMBLE
    }

    fn zoo(&self) -> &'static [ZooEntry] {
        zoo::ENTRIES
    }

    fn architecture(&self, name: Option<&str>, input_shape: &[usize], outputs: usize) -> Result<Architecture> {
        zoo::architecture(name, input_shape, outputs)
    }

    fn figures(&self, input: &EvaluationInput<'_>) -> Result<Vec<Figure>> {
        let classified = Classified::from_logits(input.outputs, input.targets)?;
        if classified.classes() != input.target.labels().len() {
            return Err(Error::internal(format!(
                "{} classes were evaluated, there are {} labels",
                classified.classes(),
                input.target.labels().len()
            )));
        }
        Ok(vec![
            confusion_matrix(&classified, input.target.labels()),
            class_table(&classified, input.target.labels()),
            calibration(&classified),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::{Column, ColumnKind, ErrorCode};
    use lepton_recipe::{
        CategoryEncode, DatePlan, NumberMissing, NumberNormalize, NumberPlan, StepPlan, TextPlan, Unknown,
    };
    use lepton_train::{ColumnSettings, Missing, ReadAs};

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
        let number = |column: &str, indicator| StepPlan::Number(NumberPlan { indicator, ..NumberPlan::new(column) });
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
        let StepPlan::Category(step) = &plan.steps[2] else { panic!("not a category") };
        assert_eq!((step.unknown, step.max_categories), (Unknown::Refuse, 3));
    }

    fn with_column(name: &str, column: ColumnSettings) -> RecipeSettings {
        RecipeSettings { columns: [(name.to_owned(), column)].into(), ..RecipeSettings::default() }
    }

    #[test]
    fn a_column_may_have_settings_of_its_own() {
        use ColumnKind::{Category, Number, Text};
        let schema = schema(&[
            ("age", Number, true),
            ("fare", Number, false),
            ("port", Category, false),
            ("joined", Text, false),
            ("note", Text, false),
            ("y", Category, false),
        ]);
        let plan = |name: &str, column: ColumnSettings| {
            TabularClassification.recipe(&schema, "y", &with_column(name, column)).unwrap().steps
        };
        let missing = Some(Missing::Group("port".to_owned()));
        let scale = Some(NumberNormalize::Robust);
        let steps = plan("age", ColumnSettings { scale, missing, indicator: Some(false), ..ColumnSettings::default() });
        let age = NumberPlan {
            missing: NumberMissing::Group("port".to_owned()),
            normalize: NumberNormalize::Robust,
            ..NumberPlan::new("age")
        };
        assert_eq!(steps[..2], [StepPlan::Number(age), StepPlan::Number(NumberPlan::new("fare"))]);
        assert_eq!(steps[3..], [StepPlan::Text(TextPlan::new("joined")), StepPlan::Text(TextPlan::new("note"))]);
        let date = ColumnSettings { read_as: Some(ReadAs::Date), ..ColumnSettings::default() };
        assert_eq!(plan("joined", date)[3], StepPlan::Date(DatePlan::new("joined")));
        let encoded = ColumnSettings { encode: Some(CategoryEncode::Target), ..ColumnSettings::default() };
        let StepPlan::Category(step) = &plan("port", encoded)[2] else { panic!("not a category step") };
        assert_eq!(step.encode, CategoryEncode::Target);
    }

    #[test]
    fn a_setting_that_the_step_does_not_have_names_column_and_step() {
        use ColumnKind::{Category, Number};
        let schema = schema(&[("age", Number, false), ("port", Category, false), ("y", Category, false)]);
        let refused = |settings: RecipeSettings| TabularClassification.recipe(&schema, "y", &settings).unwrap_err();
        let scaled = ColumnSettings { scale: Some(NumberNormalize::MinMax), ..ColumnSettings::default() };
        let error = refused(with_column("port", scaled.clone()));
        assert_eq!(error.place().column.as_deref(), Some("port"));
        assert_eq!(error.place().key.as_deref(), Some("recipe.columns.port.scale"));
        assert!(error.message().contains("category step"), "{error}");
        assert_eq!(refused(with_column("agee", scaled.clone())).remedy(), Some("did you mean \"age\"?"));
        assert_eq!(refused(with_column("y", scaled)).place().column.as_deref(), Some("y"));
        let gap = ColumnSettings { missing: Some(Missing::Iterative), ..ColumnSettings::default() };
        assert!(refused(with_column("port", gap)).message().contains("category step"));
        let picture = RecipeSettings { height: Some(3), ..RecipeSettings::default() };
        assert_eq!(refused(picture).place().key.as_deref(), Some("recipe.height"));
        let date = ColumnSettings { read_as: Some(ReadAs::Date), ..ColumnSettings::default() };
        let plan = TabularClassification.recipe(&schema, "y", &with_column("age", date)).unwrap();
        let rows = arrow_array::RecordBatch::new_empty(lepton_recipe::raw::arrow_schema(&schema));
        let error = plan.fit(&schema, &rows).unwrap_err();
        assert!(error.message().contains("date step") && error.place().column.as_deref() == Some("age"), "{error}");
    }

    #[test]
    fn columns_that_cannot_be_read_are_named() {
        use ColumnKind::{Category, Image, Number};
        let pictures = schema(&[("x", Number, false), ("note", Image, false), ("y", Category, false)]);
        let error = TabularClassification.check(&pictures, "y").unwrap_err();
        assert_eq!((error.code(), error.place().column.as_deref()), (ErrorCode::Unsupported, Some("note")));
        let alone = schema(&[("y", Category, false)]);
        assert_eq!(TabularClassification.check(&alone, "y").unwrap_err().code(), ErrorCode::BadData);
        assert_eq!(TabularClassification.check(&alone, "z").unwrap_err().code(), ErrorCode::NotFound);
    }
}
