//! Transfer by the data: a training on source rows that are weighted, moved or aligned so that it serves the target
//! domain. The arithmetic is lepton-adapt's; here it meets loaders, learners and the fit loop.

mod alignment;
mod settings;

pub(crate) use alignment::Alignment;
pub use settings::{AdaptMethod, AdaptSettings};

use crate::checkpoint::InMemory;
use crate::fit::{Extras, Fit, FitJob, fit, fit_with};
use crate::metrics::argmax;
use crate::target::Target;
use crate::task::Learner;
use lepton_adapt::{Coral, Rows, density_ratios, temper, transfer_boost};
use lepton_core::{DType, Error, ErrorCode, Event, Result, Tensor};
use lepton_data::Loader;
use lepton_nn::{Member, Network};

/// Rows that go through a network at once.
const ROWS_PER_CALL: usize = 256;

/// The target domain beside a training part.
#[derive(Clone, Copy, Debug)]
pub struct TargetRows<'a> {
    /// The recipe's output over target rows whose labels are not known, float32.
    pub features: &'a Tensor,
    /// How many of the last rows of the training part are target rows with labels.
    pub labelled: usize,
}

/// A training that was adapted.
pub struct Adapted {
    /// The training.
    pub fit: Fit,
    /// What each training row counted, mean 1, where rows were weighted.
    pub weights: Option<Vec<f32>>,
    /// The features that the training rows had, where they were moved.
    pub features: Option<Tensor>,
    /// How well a classifier that has not seen a row tells its domain, 0.5 to 1, where there was one.
    pub domain_accuracy: Option<f64>,
}

/// Trains `job.learner` on source rows that are made to stand for the target domain.
///
/// # Errors
/// Those of [`fit`]; [`ErrorCode::Unsupported`] for a method that the learner or the target does not go with; what
/// lepton-adapt says of rows that it cannot compare.
pub fn fit_adapted(job: FitJob<'_>, target: &TargetRows<'_>, settings: &AdaptSettings) -> Result<Adapted> {
    settings.validate()?;
    let sources = job.train.rows().checked_sub(target.labelled).filter(|rows| *rows > 0);
    let sources = sources.ok_or_else(|| Error::new(ErrorCode::BadData, "no training row is of a source domain"))?;
    if settings.method.is_hidden() && matches!(job.learner, Learner::Boosting(_)) {
        let message = format!("{} aligns a hidden layer, and trees have none", settings.method);
        return Err(Error::new(ErrorCode::Unsupported, message)
            .at_key("adapt.method")
            .fix("use density-ratio, coral or tradaboost, or a network such as train.architecture = \"mlp\""));
    }
    if target.features.dtype() != DType::Float32 {
        let message = "rows of codes have no distances, so domains of them cannot be compared";
        return Err(Error::new(ErrorCode::Unsupported, message)
            .at_key("adapt.method")
            .fix("use a task whose recipe gives numbers, such as tabular-classification with a text column"));
    }
    let placed = |error: Error| match error.place().key.clone() {
        Some(key) if !key.contains('.') => error.at_key(format!("adapt.{key}")),
        Some(_) => error,
        None => error.at_key("adapt.method"),
    };
    match settings.method {
        AdaptMethod::DensityRatio => {
            let (features, _) = job.train.everything()?;
            let width = features.row_len();
            let mut values = features.as_float32()?[..sources * width].to_vec();
            // Without labels of the target, validation rows are source rows, and choose between epochs by their weights
            // (Sugiyama and others 2007): the epoch that is best for the source is another one.
            let weighs_valid = settings.labels == 0;
            if weighs_valid {
                values.extend_from_slice(job.valid.everything()?.0.as_float32()?);
            }
            let source = Rows::new(&values, width)?;
            let known = Rows::new(target.features.as_float32()?, target.features.row_len())?;
            let ratio = settings.ratio();
            let found = density_ratios(&source, &known, &ratio, job.seed).map_err(placed)?;
            let tempered = |ratios: &[f64]| temper(ratios, ratio.flatten, ratio.clip).map_err(placed);
            let mut weights = tempered(&found.ratios[..sources])?;
            weights.resize(job.train.rows(), 1.0);
            let train = job.train.with_weights(weights.clone())?;
            let valid = match weighs_valid {
                true => Some(job.valid.with_weights(tempered(&found.ratios[sources..])?)?),
                false => None,
            };
            let fit = fit(over(job, &train, valid.as_ref()))?;
            Ok(Adapted { fit, weights: Some(weights), features: None, domain_accuracy: found.domain_accuracy })
        }
        AdaptMethod::Coral => {
            let (features, _) = job.train.everything()?;
            let (source, known) = both(&features, sources, target.features)?;
            let coral = Coral::fit(&source, &known, settings.ridge()).map_err(placed)?;
            let mut moved = coral.apply(&source)?;
            moved.extend_from_slice(&features.as_float32()?[moved.len()..]);
            let moved = Tensor::float32(features.shape().to_vec(), moved)?;
            let train = job.train.with_inputs(moved.clone())?;
            // Without labels of the target, validation rows are source rows, and move with them.
            let valid = if settings.labels == 0 { Some(moved_rows(job.valid, &coral)?) } else { None };
            let fit = fit(over(job, &train, valid.as_ref()))?;
            Ok(Adapted { fit, weights: None, features: Some(moved), domain_accuracy: None })
        }
        AdaptMethod::Mmd | AdaptMethod::Adversarial => {
            let alignment = Alignment::new(settings, target.features, sources, job.seed);
            let train = job.train;
            let extras = Extras { alignment: Some(alignment), ..Extras::default() };
            let fit = fit_with(over(job, train, None), extras)?;
            Ok(Adapted { fit, weights: None, features: None, domain_accuracy: None })
        }
        AdaptMethod::Tradaboost => boosted(&job, sources, target.labelled, settings),
    }
}

/// The same training over other rows; validation rows stay where none are given.
fn over<'b, 'a: 'b>(job: FitJob<'a>, train: &'b Loader, valid: Option<&'b Loader>) -> FitJob<'b> {
    FitJob {
        task: job.task,
        learner: job.learner,
        target: job.target,
        train,
        valid: valid.unwrap_or(job.valid),
        settings: job.settings,
        seed: job.seed,
        checkpoints: job.checkpoints,
        progress: job.progress,
        cancel: job.cancel,
    }
}

/// Source and target rows of one shape.
fn both<'a>(features: &'a Tensor, sources: usize, target: &'a Tensor) -> Result<(Rows<'a>, Rows<'a>)> {
    let width = features.row_len();
    Ok((
        Rows::new(&features.as_float32()?[..sources * width], width)?,
        Rows::new(target.as_float32()?, target.row_len())?,
    ))
}

fn moved_rows(loader: &Loader, coral: &Coral) -> Result<Loader> {
    let (features, _) = loader.everything()?;
    let moved = coral.apply(&Rows::new(features.as_float32()?, features.row_len())?)?;
    loader.with_inputs(Tensor::float32(features.shape().to_vec(), moved)?)
}

/// TrAdaBoost: the last half of the rounds votes, with the mean of their logits weighted by their votes in place of the
/// paper's hard votes, so that the result is one network.
fn boosted(job: &FitJob<'_>, sources: usize, labelled: usize, settings: &AdaptSettings) -> Result<Adapted> {
    let Target::Classes(_) = job.target else {
        let message = "tradaboost is for classes: what a number misses has no right and wrong";
        return Err(Error::new(ErrorCode::Unsupported, message)
            .at_key("adapt.method")
            .fix("use density-ratio or coral"));
    };
    let (features, classes) = job.train.everything()?;
    let classes = classes.as_int64()?;
    let boost = settings.boost();
    let mut fits: Vec<Fit> = Vec::with_capacity(boost.rounds);
    let rounds = transfer_boost(sources, labelled, &boost, |round, weights| {
        let text = format!("tradaboost: round {} of {}", round + 1, boost.rounds);
        job.progress.event(Event::Note { text });
        let train = job.train.with_weights(weights.to_vec())?;
        // A round is short beside the whole, and checkpoints are of one training: a killed run makes all rounds again.
        let trained = fit(FitJob {
            task: job.task,
            learner: job.learner,
            target: job.target,
            train: &train,
            valid: job.valid,
            settings: job.settings,
            seed: job.seed,
            checkpoints: &mut InMemory::default(),
            progress: job.progress,
            cancel: job.cancel,
        })?;
        let wrong = wrong_rows(&trained.network, &features, classes)?;
        fits.push(trained);
        Ok(wrong)
    })?;
    let first = rounds.len() / 2;
    let mut mean = vec![0.0f64; sources + labelled];
    for round in &rounds[first..] {
        mean.iter_mut().zip(&round.weights).for_each(|(sum, weight)| *sum += f64::from(*weight));
    }
    let voters = (rounds.len() - first) as f64;
    let votes: f64 = rounds[first..].iter().map(|round| round.vote).sum();
    let names: Vec<String> = (1..=rounds.len() - first).map(|member| format!("m{member}")).collect();
    let members: Vec<Member<'_>> = (fits[first..].iter().zip(&rounds[first..]).zip(&names))
        .map(|((fit, round), name)| Member { name, network: &fit.network, weight: (round.vote / votes) as f32 })
        .collect();
    let network = Network::weighted_sum(&fits[first].network.architecture().name, &members)?;
    let last = fits.pop().ok_or_else(|| Error::internal("no round was trained"))?;
    let network = match job.settings.threads {
        Some(threads) => network.with_threads(threads)?,
        None => network,
    };
    Ok(Adapted {
        fit: Fit { network, ..last },
        weights: Some(mean.into_iter().map(|sum| (sum / voters) as f32).collect()),
        features: None,
        domain_accuracy: None,
    })
}

/// For each row whether the network's class is not the true one.
fn wrong_rows(network: &Network, features: &Tensor, classes: &[i64]) -> Result<Vec<bool>> {
    let mut wrong = Vec::with_capacity(classes.len());
    for start in (0..features.rows()).step_by(ROWS_PER_CALL) {
        let end = (start + ROWS_PER_CALL).min(features.rows());
        let outputs = network.forward(&features.slice_rows(start, end)?)?;
        let scores = outputs.as_float32()?.chunks_exact(outputs.row_len().max(1));
        wrong.extend(scores.zip(&classes[start..end]).map(|(scores, class)| argmax(scores) as i64 != *class));
    }
    Ok(wrong)
}
