//! Any task of classes, for rows that have several of them: [`MultiLabel`] takes its columns, recipes and networks, and
//! brings a target, a loss, metrics and figures of its own.

use crate::boosting::BOOSTING;
use crate::ensemble::ENSEMBLE;
use crate::figures::label_table;
use crate::labelled::Labelled;
use crate::recipe_settings::RecipeSettings;
use crate::task::{EvaluationInput, Task, ZooEntry, unknown_architecture};
use lepton_core::{Error, Figure, Metric, Result, Schema, TaskKind};
use lepton_data::AugmentSettings;
use lepton_nn::{Architecture, Loss};
use lepton_recipe::{Codes, RecipePlan, TargetPlan};

/// A task of classes whose rows may have several of them, or none. Boosting and ensembles, which give one class a row,
/// are not in its zoo.
pub struct MultiLabel {
    task: &'static dyn Task,
    zoo: &'static [ZooEntry],
}

impl MultiLabel {
    /// Over a task of classes. The list of its networks lives as long as the program.
    pub fn over(task: &'static dyn Task) -> MultiLabel {
        let is_network = |entry: &&ZooEntry| entry.name != BOOSTING && entry.name != ENSEMBLE;
        MultiLabel { task, zoo: task.zoo().iter().filter(is_network).copied().collect::<Vec<_>>().leak() }
    }

    fn known(&self, name: Option<&str>) -> Result<()> {
        match name.filter(|name| !self.zoo.iter().any(|entry| entry.name == *name)) {
            Some(name) => Err(unknown_architecture(name, self.zoo)),
            None => Ok(()),
        }
    }
}

impl Task for MultiLabel {
    fn kind(&self) -> TaskKind {
        self.task.kind()
    }

    fn check(&self, schema: &Schema, target: &str) -> Result<()> {
        self.task.check(schema, target)
    }

    fn recipe(&self, schema: &Schema, target: &str, settings: &RecipeSettings) -> Result<RecipePlan> {
        let Some(separator) = settings.label_separator.clone() else {
            return Err(Error::internal("several labels a row, and nothing that separates them"));
        };
        let plan = self.task.recipe(schema, target, settings)?;
        Ok(RecipePlan { target: Some(TargetPlan::Labels { column: target.to_owned(), separator }), ..plan })
    }

    fn default_augment(&self) -> AugmentSettings {
        self.task.default_augment()
    }

    fn zoo(&self) -> &'static [ZooEntry] {
        self.zoo
    }

    fn architecture(&self, name: Option<&str>, input_shape: &[usize], outputs: usize) -> Result<Architecture> {
        self.known(name)?;
        self.task.architecture(name, input_shape, outputs)
    }

    fn architecture_over_codes(&self, name: Option<&str>, codes: Codes, outputs: usize) -> Result<Architecture> {
        self.known(name)?;
        self.task.architecture_over_codes(name, codes, outputs)
    }

    fn default_loss(&self) -> Loss {
        Loss::BinaryCrossEntropy
    }

    fn metrics(&self) -> &'static [Metric] {
        &Metric::OF_LABELS
    }

    fn primary_metric(&self) -> Metric {
        Metric::MicroF1
    }

    fn watched_metric(&self) -> Metric {
        Metric::LogLoss
    }

    fn figures(&self, input: &EvaluationInput<'_>) -> Result<Vec<Figure>> {
        let labelled = Labelled::from_logits(input.outputs, input.targets)?;
        let labels = input.target.labels();
        if labelled.labels() != labels.len() {
            let message = format!("{} labels were evaluated, there are {}", labelled.labels(), labels.len());
            return Err(Error::internal(message));
        }
        Ok(vec![label_table(&labelled, labels)])
    }
}
