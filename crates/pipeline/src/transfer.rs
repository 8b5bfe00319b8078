//! What a training goes on from, and what that gained.

use crate::model::open_package;
use crate::pretrained::{self, Pretrained, pretrained};
use crate::run::{Context, RunOptions};
use crate::{Project, Stage};
use lepton_core::{Digest, Error, ErrorCode, Event, Figure, LabelledCell, Metric, ModelRef, Result, Tensor};
use lepton_data::Loader;
use lepton_nn::{Architecture, Layer, Network};
use lepton_recipe::Codes;
use lepton_runtime::Package;
use lepton_train::{EvaluationInput, Target, Task, outputs_over};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What transfer gained: the same network on the same rows, from what was learned before and from scratch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransferReport {
    /// What it went on from.
    pub from: String,
    /// The hash of that network's weights.
    pub weights: Digest,
    /// Layers whose weights were taken over.
    pub kept_layers: usize,
    /// Tensors that were new.
    pub fresh: Vec<String>,
    /// The metric that is compared, on the test split.
    pub metric: Metric,
    /// Its value after transfer.
    pub transferred: f64,
    /// Its value from scratch; `None` where that was not asked for.
    pub scratch: Option<f64>,
}

impl TransferReport {
    /// One sentence, which does not hide a loss.
    pub fn sentence(&self) -> String {
        let TransferReport { metric, transferred, scratch, from, .. } = self;
        let Some(scratch) = scratch else { return format!("going on from {from}: test {metric} {transferred:.4}") };
        let gain = if metric.higher_is_better() { transferred - scratch } else { scratch - transferred };
        let verdict = match gain {
            gain if gain > 0.0 => format!("better by {gain:.4}"),
            gain if gain < 0.0 => format!("worse by {:.4}: transfer did not help", -gain),
            _ => "no difference: transfer did not help".to_owned(),
        };
        format!("going on from {from}: test {metric} {transferred:.4}, from scratch {scratch:.4}, {verdict}")
    }

    /// The table of the report.
    pub fn figure(&self) -> Figure {
        let cell = |text: String, good| LabelledCell { text, good };
        let number =
            |value: Option<f64>| value.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.4}"));
        let better = self.scratch.map(|scratch| match self.metric.higher_is_better() {
            true => self.transferred > scratch,
            false => self.transferred < scratch,
        });
        Figure::Table {
            title: "What transfer gained, on the test split".to_owned(),
            columns: ["training", self.metric.name()].map(str::to_owned).to_vec(),
            rows: vec![
                vec![
                    cell(format!("from {} ({} layers kept)", self.from, self.kept_layers), None),
                    cell(number(Some(self.transferred)), better),
                ],
                vec![
                    cell("from scratch, the same network, rows and settings".to_owned(), None),
                    cell(number(self.scratch), None),
                ],
            ],
        }
    }
}

/// A network that was trained before.
pub(crate) struct Source {
    pub(crate) network: Network,
    pub(crate) weights: Digest,
}

/// Finds and reads what `from` names. A model of the catalogue comes before one of this machine.
///
/// # Errors
/// [`ErrorCode::NotFound`] for what is neither a model nor a file, [`ErrorCode::Unsupported`] for a package without a
/// network (boosted trees), and what reading it reports.
pub(crate) fn source(context: &Context<'_>, from: &str) -> Result<Source> {
    let placed = |error: Error| error.at_key("train.from");
    let path = context.project.folder.join(from);
    let limits = &context.project.settings.limits;
    if path.join("lepton.toml").is_file() {
        return of_project(context, &path).map_err(placed);
    }
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("onnx")) {
        return of_onnx(context, &path).map_err(placed);
    }
    let Context { store, options, progress, cancel, .. } = *context;
    let found = pretrained(store, &context.project.folder, from, limits, options.access.fetch, progress, cancel);
    if let Some(found) = found.map_err(placed)? {
        return of_encoder(context, &found).map_err(placed);
    }
    let model = if path.is_dir() { ModelRef::Path(path) } else { from.parse().map_err(placed)? };
    let (_, _, package) = open_package(context.store, &model, limits).map_err(placed)?;
    of_package(&package).map_err(placed)
}

/// Runs the project, or takes what the cache has of it, as far as its network is trained.
fn of_project(context: &Context<'_>, folder: &Path) -> Result<Source> {
    let project = Project::load(folder, &[])?;
    if project.settings.train.from.is_some() {
        let message = "this project goes on from another one itself";
        return Err(Error::new(ErrorCode::Unsupported, message).in_file(&project.file).fix("name its model instead"));
    }
    let text = format!("{} is run first: this training goes on from its network", project.settings.project.name);
    context.progress.event(Event::Note { text });
    let options = RunOptions { from: None, until: Some(Stage::Deploy), ..context.options.clone() };
    let result = crate::run::run(&project, &options, context.store, context.progress, context.cancel)?;
    let folder = result.package.ok_or_else(|| Error::internal("a run ended without a package"))?;
    of_package(&Package::open(&folder, &context.project.settings.limits)?)
}

fn of_package(package: &Package) -> Result<Source> {
    let missing = |_| {
        Error::new(ErrorCode::Unsupported, "this package has no network of its own, so there is nothing to go on from")
            .fix("name a package that was trained here")
    };
    let architecture = Architecture::from_json(&package.read_listed("architecture.json").map_err(missing)?)?;
    let weights = package.read_listed("weights.safetensors").map_err(missing)?;
    Ok(Source { network: Network::from_weights(&architecture, &weights)?, weights: Digest::of(&weights) })
}

/// An encoder of texts that was trained elsewhere.
fn of_encoder(context: &Context<'_>, found: &Pretrained) -> Result<Source> {
    let limits = &context.project.settings.limits;
    let [config, weights] = [pretrained::CONFIG, pretrained::WEIGHTS].map(|name| found.read(name, limits));
    let (config, weights) = (config?, weights?);
    let imported = lepton_nn::import_encoder(&config, &weights, limits)?;
    for text in imported.notes {
        context.progress.event(Event::Note { text: format!("{}: {text}", found.name) });
    }
    Ok(Source { network: imported.network, weights: Digest::of_json(&(Digest::of(&config), Digest::of(&weights)))? })
}

/// What another program trained: the file's graph as layers of ours, with its weights.
fn of_onnx(context: &Context<'_>, path: &Path) -> Result<Source> {
    let bytes = std::fs::read(path).map_err(|source| Error::io("read the model", path, source))?;
    let imported = lepton_nn::import(&bytes, &context.project.settings.limits).map_err(|error| error.in_file(path))?;
    for text in imported.notes {
        context.progress.event(Event::Note { text });
    }
    Ok(Source { network: imported.network, weights: Digest::of(&bytes) })
}

/// Refuses a network of texts that was trained on the codes of another tokenizer, as far as that can be seen.
pub(crate) fn check_codes(network: &Network, codes: Codes) -> Result<()> {
    let of_input = |layer: &Layer| match layer {
        Layer::Embedding(embedding) => Some((embedding.vocabulary, embedding.padding)),
        _ => None,
    };
    let Some((vocabulary, padding)) = network.architecture().layers.iter().find_map(|node| of_input(&node.layer))
    else {
        return Ok(());
    };
    let message = match padding {
        _ if vocabulary < codes.vocabulary => {
            format!("the network knows {vocabulary} codes, the tokenizer of the recipe makes {}", codes.vocabulary)
        }
        Some(padding) if padding != codes.padding => {
            format!(
                "the network is padded with code {padding}, the tokenizer of the recipe pads with {}",
                codes.padding
            )
        }
        _ => return Ok(()),
    };
    Err(Error::new(ErrorCode::Config, message)
        .at_key("recipe.tokenizer")
        .fix("name the tokenizer that the network was trained with: the same name or folder as train.from"))
}

/// The primary metric of a network over a split.
pub(crate) fn score(
    task: &dyn Task,
    network: &Network,
    loader: &Loader,
    target: Target<'_>,
    context: &Context<'_>,
) -> Result<f64> {
    let mut forward = |input: &Tensor| network.forward(input);
    let (outputs, targets) = outputs_over(loader, context.cancel, &mut forward)?;
    let given = EvaluationInput { outputs: &outputs, targets: &targets, target, rows: loader.part() };
    let metrics = task.evaluate(&given)?;
    let metric = task.primary_metric();
    metrics.get(metric.name()).copied().ok_or_else(|| Error::internal(format!("{metric} was not computed")))
}
