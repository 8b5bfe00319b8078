//! The Task seam: what one kind of problem adds to the common path. Tasks live in `crates/tasks`, one folder
//! each; the table of all of them lives in lepton-pipeline.

use crate::metrics::Classified;
use crate::recipe_settings::RecipeSettings;
use crate::settings::TrainSettings;
use arrow_array::RecordBatch;
use lepton_core::{
    Activation, Decoder, Error, ErrorCode, Figure, Metric, Metrics, Result, Schema, TaskKind, Tensor, nearest,
};
use lepton_data::AugmentSettings;
use lepton_nn::{Architecture, InputSpec, Loss};
use lepton_recipe::RecipePlan;
use serde::Serialize;

/// A network that a task offers by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ZooEntry {
    /// Its name in `train.architecture`.
    pub name: &'static str,
    /// One line for a person.
    pub about: &'static str,
}

/// What the figures of a report are drawn from.
#[derive(Clone, Copy, Debug)]
pub struct EvaluationInput<'a> {
    /// The network's raw outputs, one row per row of data.
    pub outputs: &'a Tensor,
    /// The true answers, one per row.
    pub targets: &'a Tensor,
    /// Class names, in the order of the outputs.
    pub labels: &'a [String],
    /// The raw rows, in the same order.
    pub rows: &'a RecordBatch,
}

/// One kind of problem.
pub trait Task: Send + Sync {
    /// Which one.
    fn kind(&self) -> TaskKind;

    /// Whether a dataset of that schema can be learned from.
    ///
    /// # Errors
    /// What is missing or too much, naming the column.
    fn check(&self, schema: &Schema, target: &str) -> Result<()>;

    /// The preprocessing of such a dataset.
    ///
    /// # Errors
    /// As [`Task::check`].
    fn recipe(&self, schema: &Schema, target: &str, settings: &RecipeSettings) -> Result<RecipePlan>;

    /// Augmentations that are on unless a person says otherwise.
    fn default_augment(&self) -> AugmentSettings;

    /// The networks that this task offers; the first is the default.
    fn zoo(&self) -> &'static [ZooEntry];

    /// A network of the zoo for rows of `input_shape` and that many classes; `None` takes the default.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for an unknown name, with the nearest one; [`ErrorCode::Shape`] for rows that
    /// the network cannot take.
    fn architecture(&self, name: Option<&str>, input_shape: &[usize], classes: usize) -> Result<Architecture>;

    /// What training makes small.
    fn loss(&self) -> Loss {
        Loss::CrossEntropy
    }

    /// What is computed on each split.
    fn metrics(&self) -> &'static [Metric] {
        &Metric::ALL
    }

    /// The metric that budgets and summaries speak of.
    fn primary_metric(&self) -> Metric {
        Metric::Accuracy
    }

    /// How `output` of the ONNX file becomes an answer.
    fn decoder(&self, labels: &[String], output: &str) -> Decoder {
        Decoder::Classification { output: output.to_owned(), labels: labels.to_vec(), activation: Activation::Softmax }
    }

    /// The metrics of `outputs` against `targets`.
    ///
    /// # Errors
    /// See [`Classified::from_logits`].
    fn evaluate(&self, outputs: &Tensor, targets: &Tensor, _labels: &[String]) -> Result<Metrics> {
        Ok(Classified::from_logits(outputs, targets)?.metrics(self.metrics()))
    }

    /// The figures of the report.
    ///
    /// # Errors
    /// See [`Classified::from_logits`].
    fn figures(&self, input: &EvaluationInput<'_>) -> Result<Vec<Figure>>;
}

/// The network that `settings` ask for: the zoo's or a person's own layers, checked to give one output per
/// class.
///
/// # Errors
/// [`ErrorCode::Config`] with the key, or what the layers themselves are refused for.
pub fn architecture(
    task: &dyn Task,
    settings: &TrainSettings,
    input_shape: &[usize],
    classes: usize,
) -> Result<Architecture> {
    let Some(layers) = &settings.layers else {
        return task.architecture(settings.architecture.as_deref(), input_shape, classes);
    };
    let network = Architecture::new("custom", InputSpec::float32(input_shape), layers.clone());
    let output = network.output_shape().map_err(|error| error.at_key("train.layers"))?;
    if output != [classes] {
        return Err(Error::new(
            ErrorCode::Config,
            format!("the last layer gives {output:?} numbers a row, the data has {classes} classes"),
        )
        .at_key("train.layers")
        .fix(format!("end with a linear layer of {classes} units")));
    }
    Ok(network)
}

/// The error for a name that a zoo does not have.
pub fn unknown_architecture(name: &str, zoo: &[ZooEntry]) -> Error {
    let error = Error::new(ErrorCode::Config, format!("there is no network \"{name}\"")).at_key("train.architecture");
    match nearest(name, zoo.iter().map(|entry| entry.name)) {
        Some(near) => error.fix(format!("did you mean \"{near}\"?")),
        None => {
            let names: Vec<_> = zoo.iter().map(|entry| entry.name).collect();
            error.fix(format!("the networks are: {}", names.join(", ")))
        }
    }
}
