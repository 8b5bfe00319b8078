//! One number per table row: the schema it needs, its recipe, networks and figures.

use crate::{schema, zoo};
use lepton_core::{ColumnKind, Error, Figure, Result, Schema, TaskKind};
use lepton_data::AugmentSettings;
use lepton_nn::Architecture;
use lepton_recipe::{RecipePlan, TargetPlan};
use lepton_train::{EvaluationInput, RecipeSettings, Regressed, Target, Task, ZooEntry, regression_figures};

/// Tabular regression: number, category and text columns in, the number of the target column out.
#[derive(Clone, Copy, Debug, Default)]
pub struct TabularRegression;

impl Task for TabularRegression {
    fn kind(&self) -> TaskKind {
        TaskKind::TabularRegression
    }

    fn target_kind(&self) -> ColumnKind {
        ColumnKind::Number
    }

    fn check(&self, schema: &Schema, target: &str) -> Result<()> {
        schema::check(schema, target, "tabular regression")
    }

    /// As that of tabular classification; the target is standardised by the training rows.
    fn recipe(&self, schema: &Schema, target: &str, settings: &RecipeSettings) -> Result<RecipePlan> {
        self.check(schema, target)?;
        Ok(RecipePlan {
            steps: settings.table_steps(schema, target)?,
            target: Some(TargetPlan::Number { column: target.to_owned() }),
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
        let Target::Number { mean, deviation } = input.target else {
            return Err(Error::internal("regression was evaluated against classes"));
        };
        Ok(regression_figures(&Regressed::new(input.outputs, input.targets, (mean, deviation))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::{Column, ErrorCode};

    #[test]
    fn the_target_is_a_number_and_no_input() {
        let column = |name: &str, kind| Column { name: name.to_owned(), kind, nullable: false };
        let schema = Schema { columns: vec![column("carat", ColumnKind::Number), column("price", ColumnKind::Number)] };
        let plan = TabularRegression.recipe(&schema, "price", &RecipeSettings::default()).unwrap();
        assert_eq!(plan.target, Some(TargetPlan::Number { column: "price".to_owned() }));
        assert_eq!(plan.steps.len(), 1);
        let alone = Schema { columns: vec![column("price", ColumnKind::Number)] };
        assert_eq!(TabularRegression.check(&alone, "price").unwrap_err().code(), ErrorCode::BadData);
    }
}
