//! A small classification problem for the fit tests: two interleaved spirals as a table, and a task for it.

#![allow(dead_code)] // Each test file uses its part.

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use lepton_core::{
    Cancel, Column, ColumnKind, Figure, Metric, Metrics, Progress, Result, Schema, Seed, Silent, TaskKind,
};
use lepton_data::{AugmentSettings, Loader};
use lepton_nn::{Architecture, InputSpec, Layer, Node};
use lepton_recipe::{NumberMissing, NumberPlan, Recipe, RecipePlan, StepPlan, TargetPlan, raw};
use lepton_train::{
    Checkpoints, Classified, EvaluationInput, Fit, FitJob, Learner, RecipeSettings, Target, Task, TrainSettings,
    ZooEntry, fit, refit,
};
use std::sync::{Arc, Mutex};

/// Two numbers in, one of two classes out. `script` replaces the validation loss of each epoch.
#[derive(Default)]
pub(crate) struct Spirals {
    pub(crate) script: Mutex<Vec<f64>>,
}

impl Task for Spirals {
    fn kind(&self) -> TaskKind {
        TaskKind::TabularClassification
    }

    fn check(&self, schema: &Schema, target: &str) -> Result<()> {
        schema.column(target).map(drop)
    }

    fn recipe(&self, schema: &Schema, target: &str, _: &RecipeSettings) -> Result<RecipePlan> {
        let number = |column: &Column| {
            StepPlan::Number(NumberPlan { missing: NumberMissing::Refuse, ..NumberPlan::new(column.name.as_str()) })
        };
        Ok(RecipePlan {
            steps: schema.of_kind(ColumnKind::Number).map(number).collect(),
            target: Some(TargetPlan::Classes { column: target.to_owned() }),
        })
    }

    fn default_augment(&self) -> AugmentSettings {
        AugmentSettings::default()
    }

    fn zoo(&self) -> &'static [ZooEntry] {
        &[ZooEntry { name: "small", about: "dense 32 twice" }]
    }

    /// With batch norm and dropout: running statistics and random draws must survive a resume too.
    fn architecture(&self, _: Option<&str>, input_shape: &[usize], classes: usize) -> Result<Architecture> {
        let layers = [
            Layer::linear(32),
            Layer::batch_norm(),
            Layer::Relu,
            Layer::dropout(0.1),
            Layer::linear(32),
            Layer::Relu,
            Layer::linear(classes),
        ];
        let layers = layers.map(|layer| Node::new("", layer)).to_vec();
        Ok(Architecture::new("small", InputSpec::float32(input_shape), layers))
    }

    fn evaluate(&self, input: &EvaluationInput<'_>) -> Result<Metrics> {
        let mut metrics = Classified::from_logits(input.outputs, input.targets)?.metrics(&Metric::ALL);
        let mut script = self.script.lock().unwrap();
        if !script.is_empty() {
            metrics.insert("log_loss".to_owned(), script.remove(0));
        }
        Ok(metrics)
    }

    fn figures(&self, _: &EvaluationInput<'_>) -> Result<Vec<Figure>> {
        Ok(Vec::new())
    }
}

/// Keeps every checkpoint, and asks for a stop when the one of `stop_at` is saved.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) saved: Vec<(u64, Vec<u8>)>,
    pub(crate) stop_at: Option<(u64, Cancel)>,
}

impl Checkpoints for Recorder {
    fn save(&mut self, step: u64, bytes: &[u8]) -> Result<()> {
        self.saved.push((step, bytes.to_vec()));
        if let Some((at, cancel)) = &self.stop_at
            && *at == step
        {
            cancel.cancel();
        }
        Ok(())
    }

    fn latest(&mut self) -> Result<Option<(u64, Vec<u8>)>> {
        Ok(self.saved.last().cloned())
    }
}

pub(crate) struct Problem {
    pub(crate) task: Spirals,
    pub(crate) architecture: Architecture,
    pub(crate) recipe: Arc<Recipe>,
    pub(crate) train: Loader,
    pub(crate) valid: Loader,
    pub(crate) settings: TrainSettings,
    pub(crate) seed: Seed,
}

impl Problem {
    /// 200 training rows in batches of 16 (13 steps an epoch, the last one short) and 100 validation rows.
    pub(crate) fn new() -> Problem {
        let schema = Schema {
            columns: [("x", ColumnKind::Number), ("y", ColumnKind::Number), ("arm", ColumnKind::Category)]
                .map(|(name, kind)| Column { name: name.to_owned(), kind, nullable: false })
                .to_vec(),
        };
        let (task, train, valid) = (Spirals::default(), rows(&schema, 200, 0.0), rows(&schema, 100, 0.013));
        let plan = task.recipe(&schema, "arm", &RecipeSettings::default()).unwrap();
        let recipe = Arc::new(plan.fit(&schema, &train).unwrap());
        let architecture = task.architecture(None, &[2], 2).unwrap();
        let settings = TrainSettings {
            epochs: 3,
            batch_size: 16,
            learning_rate: 1e-2,
            checkpoint_seconds: 0.0,
            threads: Some(1),
            ..TrainSettings::default()
        };
        let seed = Seed(5);
        let loader = |part, workers| Loader::new(part, Arc::clone(&recipe), None, 16, seed, workers).unwrap();
        let (train, valid) = (loader(train, 2), loader(valid, 0));
        Problem { task, architecture, recipe, train, valid, settings, seed }
    }

    pub(crate) fn fit(
        &self,
        checkpoints: &mut dyn Checkpoints,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Fit> {
        let labels = ["inner".to_owned(), "outer".to_owned()];
        let learner = Learner::Network(self.architecture.clone());
        fit(self.job(&learner, &labels, checkpoints, (progress, cancel)))
    }

    /// As [`Problem::fit`], of another learner.
    pub(crate) fn fit_with(&self, learner: &Learner, checkpoints: &mut dyn Checkpoints) -> Result<Fit> {
        let labels = ["inner".to_owned(), "outer".to_owned()];
        fit(self.job(learner, &labels, checkpoints, (&Silent, &Cancel::default())))
    }

    /// `first` once more, on the training rows alone: what a refit does, where there are no other rows.
    pub(crate) fn refit(
        &self,
        first: Fit,
        learner: &Learner,
        checkpoints: &mut dyn Checkpoints,
        cancel: &Cancel,
    ) -> Result<Fit> {
        let labels = ["inner".to_owned(), "outer".to_owned()];
        refit(self.job(learner, &labels, checkpoints, (&Silent, cancel)), first)
    }

    fn job<'a>(
        &'a self,
        learner: &'a Learner,
        labels: &'a [String],
        checkpoints: &'a mut dyn Checkpoints,
        (progress, cancel): (&'a dyn Progress, &'a Cancel),
    ) -> FitJob<'a> {
        FitJob {
            task: &self.task,
            learner,
            target: Target::Classes(labels),
            train: &self.train,
            valid: &self.valid,
            settings: &self.settings,
            seed: self.seed,
            checkpoints,
            progress,
            cancel,
        }
    }
}

/// Points of two spiral arms, `shift` further along than the multiples of their distance.
fn rows(schema: &Schema, count: usize, shift: f64) -> RecordBatch {
    let point = |row: usize| {
        let along = 0.3 + 0.7 * (row / 2) as f64 / (count / 2) as f64 + shift;
        let turn = 4.0 * along + if row.is_multiple_of(2) { 0.0 } else { std::f64::consts::PI };
        (along * turn.cos(), along * turn.sin())
    };
    let x: ArrayRef = Arc::new(Float64Array::from_iter_values((0..count).map(|row| point(row).0)));
    let y: ArrayRef = Arc::new(Float64Array::from_iter_values((0..count).map(|row| point(row).1)));
    let arm = (0..count).map(|row| if row.is_multiple_of(2) { "inner" } else { "outer" });
    let arm: ArrayRef = Arc::new(StringArray::from_iter_values(arm));
    RecordBatch::try_new(raw::arrow_schema(schema), vec![x, y, arm]).unwrap()
}
