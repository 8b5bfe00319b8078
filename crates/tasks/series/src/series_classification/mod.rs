//! One label per series: the schema it needs, its recipe, networks and figures.

mod zoo;

use lepton_core::{Column, ColumnKind, Error, ErrorCode, Figure, Result, Schema, TaskKind};
use lepton_data::AugmentSettings;
use lepton_nn::Architecture;
use lepton_recipe::{RecipePlan, TargetPlan};
use lepton_train::{
    Classified, EvaluationInput, RecipeSettings, Task, ZooEntry, calibration, class_table, confusion_matrix,
};

/// Series classification: one column of series in, one of the target column's classes out.
#[derive(Clone, Copy, Debug, Default)]
pub struct SeriesClassification;

impl Task for SeriesClassification {
    fn kind(&self) -> TaskKind {
        TaskKind::SeriesClassification
    }

    fn check(&self, schema: &Schema, target: &str) -> Result<()> {
        series_column(schema, target).map(drop)
    }

    /// Gaps are filled along straight lines, each dimension is standardised by training, and all series are as long as
    /// the longest of training.
    fn recipe(&self, schema: &Schema, target: &str, settings: &RecipeSettings) -> Result<RecipePlan> {
        Ok(RecipePlan {
            steps: vec![settings.series_step(&series_column(schema, target)?.name)?],
            target: Some(TargetPlan::Classes { column: target.to_owned() }),
        })
    }

    /// None: what leaves the class of a series as it is depends on what was recorded.
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
        let labels = input.target.labels();
        if classified.classes() != labels.len() {
            let message = format!("{} classes were evaluated, there are {}", classified.classes(), labels.len());
            return Err(Error::internal(message));
        }
        Ok(vec![confusion_matrix(&classified, labels), class_table(&classified, labels), calibration(&classified)])
    }
}

/// The one column of series of a schema whose target is a category.
fn series_column<'a>(schema: &'a Schema, target: &str) -> Result<&'a Column> {
    let classes = schema.column(target)?;
    match classes.kind {
        ColumnKind::Category | ColumnKind::Text => {}
        ColumnKind::Number => {
            let message =
                "the labels of these series are numbers; series classification predicts one of several classes";
            return Err(Error::new(ErrorCode::Unsupported, message)
                .at_column(target)
                .fix("write \"@classLabel true\" and the classes into the header of the file"));
        }
        _ => {
            return Err(Error::new(ErrorCode::BadData, "the target of series classification is a class")
                .at_column(target)
                .fix("name the column of the labels as collect.target"));
        }
    }
    let mut inputs = schema.columns.iter().filter(|column| column.name != target);
    let found = schema.of_kind(ColumnKind::Series).next().ok_or_else(|| {
        Error::new(ErrorCode::BadData, "series classification needs a column of series, the data has none")
            .fix("name a .ts file as collect.path; use task = \"tabular-classification\" for tables")
    })?;
    match inputs.find(|column| column.name != found.name) {
        Some(other) => Err(Error::new(ErrorCode::BadData, "series classification takes one column of series alone")
            .at_column(&other.name)
            .fix("list the columns that should not be used in collect.ignore")),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_recipe::{NumberNormalize, SeriesStandardize, StepPlan, WholeSeriesPlan};

    fn schema(columns: &[(&str, ColumnKind)]) -> Schema {
        let column = |&(name, kind): &(&str, ColumnKind)| Column { name: name.to_owned(), kind, nullable: false };
        Schema { columns: columns.iter().map(column).collect() }
    }

    #[test]
    fn a_dataset_needs_one_column_of_series_and_classes() {
        use ColumnKind::{Category, Number, Series};
        let check = |columns: &[(&str, ColumnKind)]| SeriesClassification.check(&schema(columns), "y");
        assert!(check(&[("x", Series), ("y", Category)]).is_ok());
        let place = |columns: &[(&str, ColumnKind)]| check(columns).unwrap_err().place().column.clone();
        assert_eq!(place(&[("x", Number), ("y", Category)]), None);
        assert_eq!(place(&[("x", Series), ("z", Series), ("y", Category)]), Some("z".to_owned()));
        assert_eq!(place(&[("x", Series), ("z", Number), ("y", Category)]), Some("z".to_owned()));
        assert_eq!(place(&[("x", Series), ("y", Number)]), Some("y".to_owned()));
        assert_eq!(place(&[("x", Series), ("y", Series)]), Some("y".to_owned()));
        assert_eq!(place(&[("x", Series)]), Some("y".to_owned()));
    }

    #[test]
    fn the_recipe_follows_the_settings() {
        let schema = schema(&[("x", ColumnKind::Series), ("y", ColumnKind::Category)]);
        let plan_of = |settings: &RecipeSettings| SeriesClassification.recipe(&schema, "y", settings);
        let plan = plan_of(&RecipeSettings::default()).unwrap();
        assert_eq!(plan.steps, [StepPlan::Series(WholeSeriesPlan::new("x"))]);
        assert_eq!(plan.target, Some(TargetPlan::Classes { column: "y".to_owned() }));
        let settings = RecipeSettings {
            series_length: Some(20),
            standardize: Some(SeriesStandardize::Each),
            ..RecipeSettings::default()
        };
        let StepPlan::Series(step) = &plan_of(&settings).unwrap().steps[0] else { panic!("not a series step") };
        assert_eq!((step.length, step.standardize), (Some(20), SeriesStandardize::Each));
        let key = |settings: RecipeSettings| plan_of(&settings).unwrap_err().place().key.clone();
        let table = RecipeSettings { numbers: Some(NumberNormalize::Robust), ..RecipeSettings::default() };
        assert_eq!(key(table).as_deref(), Some("recipe.numbers"));
        let picture = RecipeSettings { height: Some(3), ..RecipeSettings::default() };
        assert_eq!(key(picture).as_deref(), Some("recipe.height"));
        let none = RecipeSettings { series_length: Some(0), ..RecipeSettings::default() };
        assert_eq!(key(none).as_deref(), Some("recipe.series_length"));
    }
}
