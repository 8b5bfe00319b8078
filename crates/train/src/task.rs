//! The Task seam: what one kind of problem adds to the common path. Tasks live in `crates/tasks`, one folder
//! each; the table of all of them lives in lepton-pipeline.

use crate::boosting::BOOSTING;
use crate::ensemble::{ENSEMBLE, Ensemble, EnsembleMember, EnsembleSettings};
use crate::forecast::Forecasted;
use crate::labelled::Labelled;
use crate::metrics::Classified;
use crate::recipe_settings::RecipeSettings;
use crate::regression::Regressed;
use crate::settings::TrainSettings;
use crate::target::Target;
use crate::transfer::Start;
use arrow_array::RecordBatch;
use lepton_boost::BoostSettings;
use lepton_core::{
    ColumnKind, Digest, Error, ErrorCode, Figure, Metric, Metrics, Result, Schema, TaskKind, Tensor, nearest,
};
use lepton_data::{AugmentSettings, Dataset, PrepareReport};
use lepton_forecast::ForecastSettings;
use lepton_nn::{Architecture, InputSpec, Layer, Loss};
use lepton_recipe::{Codes, RecipePlan};
use serde::Serialize;

/// A network that a task offers by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ZooEntry {
    /// Its name in `train.architecture`.
    pub name: &'static str,
    /// One line for a person.
    pub about: &'static str,
}

/// Rows that a task cut from longer data.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The rows by part.
    pub dataset: Dataset,
    /// What was found and done.
    pub report: PrepareReport,
    /// The preprocessing of these rows.
    pub plan: RecipePlan,
}

/// What metrics and figures are made from.
#[derive(Clone, Copy, Debug)]
pub struct EvaluationInput<'a> {
    /// The network's raw outputs, one row per row of data.
    pub outputs: &'a Tensor,
    /// The true answers, one per row.
    pub targets: &'a Tensor,
    /// What is predicted.
    pub target: Target<'a>,
    /// The raw rows, in the same order.
    pub rows: &'a RecordBatch,
}

/// One kind of problem.
pub trait Task: Send + Sync {
    /// Which one.
    fn kind(&self) -> TaskKind;

    /// What the column to predict must be; a table's target is read as this.
    fn target_kind(&self) -> ColumnKind {
        ColumnKind::Category
    }

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

    /// A network of the zoo for rows of `input_shape` and that many outputs; `None` takes the default.
    ///
    /// # Errors
    /// [`ErrorCode::Config`] for an unknown name, with the nearest one; [`ErrorCode::Shape`] for rows that
    /// the network cannot take.
    fn architecture(&self, name: Option<&str>, input_shape: &[usize], outputs: usize) -> Result<Architecture>;

    /// As [`Task::architecture`], for rows that are the codes of texts.
    ///
    /// # Errors
    /// Those of [`Task::architecture`]; [`ErrorCode::Unsupported`] where the task has no such rows.
    fn architecture_over_codes(&self, _name: Option<&str>, _codes: Codes, _outputs: usize) -> Result<Architecture> {
        Err(Error::new(ErrorCode::Unsupported, format!("{} has no networks for the codes of texts", self.kind())))
    }

    /// What training makes small unless a person says otherwise.
    fn default_loss(&self) -> Loss {
        match self.target_kind() {
            ColumnKind::Number => Loss::Squared,
            _ => Loss::default(),
        }
    }

    /// What an ensemble is made of unless a person says otherwise; empty where the task has none.
    fn ensemble(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether parts of the training rows may be held out by chance, to find what each member of an ensemble counts. Where
    /// they overlap, as windows of one series do, all members count the same.
    fn has_folds(&self) -> bool {
        true
    }

    /// What is computed on each split.
    fn metrics(&self) -> &'static [Metric] {
        match self.target_kind() {
            ColumnKind::Number => &Metric::OF_NUMBERS,
            _ => &Metric::OF_CLASSES,
        }
    }

    /// The metric that budgets and summaries speak of.
    fn primary_metric(&self) -> Metric {
        match self.target_kind() {
            ColumnKind::Number => Metric::R2,
            _ => Metric::Accuracy,
        }
    }

    /// The metric that decides which epoch is best, unless a person says otherwise.
    fn watched_metric(&self) -> Metric {
        match self.target_kind() {
            ColumnKind::Number => Metric::Rmse,
            _ => Metric::LogLoss,
        }
    }

    /// The metrics of what a network gave.
    ///
    /// # Errors
    /// See [`Classified::from_logits`], [`Labelled::from_logits`], [`Regressed::new`] and [`Forecasted::new`].
    fn evaluate(&self, input: &EvaluationInput<'_>) -> Result<Metrics> {
        let (outputs, targets) = (input.outputs, input.targets);
        match input.target {
            Target::Classes(_) => Ok(Classified::from_logits(outputs, targets)?.metrics(self.metrics())),
            Target::Labels(_) => Ok(Labelled::from_logits(outputs, targets)?.metrics(self.metrics())),
            Target::Number { mean, deviation } => Ok(Regressed::new(outputs, targets, (mean, deviation))?.metrics()),
            Target::Horizon(horizon) => Ok(Forecasted::new(outputs, input.rows, horizon)?.metrics()),
        }
    }

    /// For tasks whose rows are cut from longer data: the rows of each part, and what is done with them. `None` where the
    /// rows of a source are split as they are.
    ///
    /// # Errors
    /// What is wrong with the data or the settings, with row, column or key.
    fn cut(&self, _dataset: &Dataset, _forecast: &ForecastSettings, _recipe: &RecipeSettings) -> Result<Option<Cut>> {
        Ok(None)
    }

    /// The figures of the report.
    ///
    /// # Errors
    /// As [`Task::evaluate`].
    fn figures(&self, input: &EvaluationInput<'_>) -> Result<Vec<Figure>>;
}

/// What learns.
#[derive(Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Learner {
    /// A network, by gradients.
    Network(Architecture),
    /// Trees, by boosting.
    Boosting(BoostSettings),
    /// Several of them, added up.
    Ensemble(Ensemble),
    /// A network that was trained before.
    Trained(#[serde(serialize_with = "start_digest")] Box<Start>),
}

/// A start by the hash of its numbers, for fingerprints.
fn start_digest<S: serde::Serializer>(start: &Start, serializer: S) -> Result<S::Ok, S::Error> {
    let weights = start.network().weights().map_err(serde::ser::Error::custom)?;
    serializer.serialize_str(&Digest::of(weights).to_string())
}

/// What `settings` ask to learn with: the task's default, a network or boosting by name, or a person's own layers.
///
/// # Errors
/// Those of [`architecture`]; [`ErrorCode::Config`] for settings of boosting or of an ensemble where something else learns.
pub fn learner(task: &dyn Task, settings: &TrainSettings, input_shape: &[usize], outputs: usize) -> Result<Learner> {
    let name = settings.architecture.as_deref();
    let offers = task.zoo().iter().any(|entry| entry.name == BOOSTING);
    if name == Some(BOOSTING) && offers && settings.layers.is_none() {
        return Ok(Learner::Boosting(settings.boosting.clone().unwrap_or_default()));
    }
    if name == Some(ENSEMBLE) && !task.ensemble().is_empty() && settings.layers.is_none() {
        return ensemble(task, settings, input_shape, outputs).map(Learner::Ensemble);
    }
    if settings.ensemble.is_some() {
        return Err(ensemble_refused());
    }
    if settings.boosting.is_some() {
        return Err(boosting_refused());
    }
    architecture(task, settings, input_shape, outputs).map(Learner::Network)
}

/// The members of an ensemble. Each is trained as `settings` say.
fn ensemble(task: &dyn Task, settings: &TrainSettings, input_shape: &[usize], outputs: usize) -> Result<Ensemble> {
    let EnsembleSettings { members, folds, repeats } = settings.ensemble.clone().unwrap_or_default();
    let folds = match (folds, task.has_folds()) {
        (Some(folds), false) if folds > 0 => {
            let message = format!("the training rows of {} overlap, so that no part of them is unknown", task.kind());
            return Err(Error::new(ErrorCode::Unsupported, message)
                .at_key("train.ensemble.folds")
                .fix("remove it: the members count the same"));
        }
        (Some(folds), _) => folds,
        (None, true) => 5,
        (None, false) => 0,
    };
    let members = members.unwrap_or_else(|| task.ensemble().iter().map(|&name| name.to_owned()).collect());
    if settings.boosting.is_some() && !members.iter().any(|name| name == BOOSTING) {
        return Err(Error::new(
            ErrorCode::Config,
            "there are settings of boosting, but no member of the ensemble is boosted",
        )
        .at_key("train.boosting")
        .fix("name \"boosting\" in train.ensemble.members, or remove them"));
    }
    let member = |name: String| {
        let boosting = settings.boosting.clone().filter(|_| name == BOOSTING);
        let alone = TrainSettings { architecture: Some(name.clone()), boosting, ensemble: None, ..settings.clone() };
        let learner =
            learner(task, &alone, input_shape, outputs).map_err(|error| error.at_key("train.ensemble.members"))?;
        Ok((name, learner))
    };
    let once: Vec<(String, Learner)> = members.into_iter().map(member).collect::<Result<_>>()?;
    let repeated = (0..repeats as u64).flat_map(|repeat| once.iter().map(move |one| (repeat, one)));
    let members = repeated.map(|(repeat, (name, learner))| {
        let name = if repeat == 0 { name.clone() } else { format!("{name}-{}", repeat + 1) };
        EnsembleMember { name, learner: learner.clone(), repeat }
    });
    Ok(Ensemble { members: members.collect(), folds })
}

/// As [`learner`], for rows that are the codes of texts. A person's own layers begin with an embedding of all codes.
///
/// # Errors
/// Those of [`learner`]; [`ErrorCode::Config`] for layers whose embedding has too few codes.
pub fn learner_over_codes(task: &dyn Task, settings: &TrainSettings, codes: Codes, outputs: usize) -> Result<Learner> {
    if settings.boosting.is_some() {
        return Err(boosting_refused());
    }
    if settings.ensemble.is_some() {
        return Err(ensemble_refused());
    }
    let Some(layers) = &settings.layers else {
        let name = settings.architecture.as_deref();
        return task.architecture_over_codes(name, codes, outputs).map(Learner::Network);
    };
    let network = Architecture::new("custom", InputSpec::codes(codes.length, false), layers.clone());
    for node in &network.layers {
        if let Layer::Embedding(embedding) = &node.layer
            && embedding.vocabulary < codes.vocabulary
        {
            let message = format!("{} codes, the recipe makes {}", embedding.vocabulary, codes.vocabulary);
            return Err(Error::new(ErrorCode::Config, message)
                .at_key("train.layers")
                .at_node(&node.name)
                .fix("give the embedding as many codes, or set recipe.vocabulary"));
        }
    }
    check_output(task, &network, outputs)?;
    Ok(Learner::Network(network))
}

/// The network that `settings` ask for: the zoo's or a person's own layers, checked to give `outputs` numbers a row.
///
/// # Errors
/// [`ErrorCode::Config`] with the key, or what the layers themselves are refused for.
pub fn architecture(
    task: &dyn Task,
    settings: &TrainSettings,
    input_shape: &[usize],
    outputs: usize,
) -> Result<Architecture> {
    let Some(layers) = &settings.layers else {
        return task.architecture(settings.architecture.as_deref(), input_shape, outputs);
    };
    let network = Architecture::new("custom", InputSpec::float32(input_shape), layers.clone());
    check_output(task, &network, outputs)?;
    Ok(network)
}

fn ensemble_refused() -> Error {
    Error::new(ErrorCode::Config, "there are settings of an ensemble, but something else learns")
        .at_key("train.ensemble")
        .fix("set train.architecture = \"ensemble\", or remove them")
}

fn boosting_refused() -> Error {
    Error::new(ErrorCode::Config, "there are settings of boosting, but something else learns")
        .at_key("train.boosting")
        .fix("set train.architecture = \"boosting\", or remove them")
}

/// A person's own layers must give as many numbers as are predicted.
fn check_output(task: &dyn Task, network: &Architecture, outputs: usize) -> Result<()> {
    let output = network.output_shape().map_err(|error| error.at_key("train.layers"))?;
    if output != [outputs] {
        let message = match task.target_kind() {
            ColumnKind::Number => format!("the last layer gives {output:?} numbers a row, {outputs} are predicted"),
            _ => format!("the last layer gives {output:?} numbers a row, the data has {outputs} classes"),
        };
        return Err(Error::new(ErrorCode::Config, message)
            .at_key("train.layers")
            .fix(format!("end with a linear layer of {outputs} units")));
    }
    Ok(())
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
