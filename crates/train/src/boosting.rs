//! Boosted trees beside the fit loop: what grows them is lepton-boost, what they become is a network of one layer, so
//! that they are exported, packaged and served like any other.

use crate::fit::{Fit, FitJob};
use crate::history::EpochRecord;
use crate::pace::Interval;
use crate::settings::ClassWeights;
use crate::target::{Target, class_weights};
use crate::task::EvaluationInput;
use lepton_boost::{BoostSettings, Examples, Forest, Objective};
use lepton_core::{Error, ErrorCode, Event, Result, Tensor};
use lepton_nn::{Architecture, InputSpec, Network, Node, Trees};
use std::ops::ControlFlow;
use std::time::Instant;

/// The name of boosting in a zoo.
pub const BOOSTING: &str = "boosting";

/// Seconds between two events.
const EVENT_SECONDS: f64 = 0.1;

/// Grows the forest. Nothing is kept on the way: the same rows and seed grow the same trees, and it takes seconds.
///
/// # Errors
/// [`ErrorCode::Cancelled`]; [`ErrorCode::Unsupported`] for rows that are no table; what lepton-boost reports.
pub(crate) fn fit(job: &FitJob<'_>, settings: &BoostSettings) -> Result<Fit> {
    if job.settings.loss.is_some() {
        let message = "boosting has the loss of its task: log loss for classes, squared errors for numbers";
        return Err(Error::new(ErrorCode::Config, message).at_key("train.loss").fix("remove it"));
    }
    let (objective, outputs) = match job.target {
        Target::Number { .. } => (Objective::SquaredError, 1),
        Target::Classes([_, _]) => (Objective::Logistic, 2),
        Target::Classes(labels) => (Objective::Softmax { classes: labels.len() }, labels.len()),
        Target::Labels(_) => {
            let message = "boosting gives one class a row, not several labels";
            return Err(Error::new(ErrorCode::Unsupported, message).at_key("train.architecture"));
        }
        Target::Horizon(_) => {
            return Err(
                Error::new(ErrorCode::Unsupported, "boosting does not forecast series").at_key("train.architecture")
            );
        }
    };
    let (train, valid) = (job.train.everything()?, job.valid.everything()?);
    let &[rows, columns] = train.0.shape() else {
        let message = format!("boosting reads rows of a table, not {:?}", train.0.shape());
        return Err(Error::new(ErrorCode::Unsupported, message).at_key("train.architecture"));
    };
    let (targets, valid_targets) = (numbers(&train.1)?, numbers(&valid.1)?);
    let weights = match (&job.settings.class_weights, job.target) {
        (None, _) => None::<Vec<f32>>,
        (Some(wanted), Target::Classes(labels)) => Some(row_weights(job, wanted, labels, &targets)?),
        (Some(_), _) => {
            let message = format!("{} has no classes to weigh", job.task.kind());
            return Err(Error::new(ErrorCode::Config, message).at_key("train.class_weights"));
        }
    };
    let weights = match (weights, job.train.weights()) {
        (Some(of_class), Some(of_row)) => Some(of_class.iter().zip(of_row).map(|(one, other)| one * other).collect()),
        (None, of_row) => of_row.map(<[f32]>::to_vec),
        (of_class, None) => of_class,
    };
    let training = Examples { features: train.0.as_float32()?, targets: &targets, weights: weights.as_deref() };
    let of_valid = job.valid.weights();
    let validation = Examples { features: valid.0.as_float32()?, targets: &valid_targets, weights: of_valid };
    // What the threads share; the job's checkpoints are not among it.
    let (progress, cancel, seed) = (job.progress, job.cancel, job.seed);
    let clock = Instant::now();
    let (mut due, mut losses) = (Interval::new(EVENT_SECONDS, 0.0), Vec::new());
    let mut on_round = |round: usize, train_loss: f64, valid_loss: Option<f64>| {
        let now = clock.elapsed().as_secs_f64();
        losses.push((train_loss, valid_loss.unwrap_or(f64::NAN), now));
        if due.due(now) {
            let each = now / round as f64;
            progress.event(Event::Step {
                epoch: 1,
                epochs: 1,
                step: round,
                steps: settings.rounds,
                loss: train_loss,
                accuracy: None,
                samples_per_second: rows as f64 / each,
                seconds_left: each * (settings.rounds - round) as f64,
            });
        }
        if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let grow = || lepton_boost::fit(&training, Some(&validation), settings, &objective, seed, &mut on_round);
    let forest = lepton_nn::on_threads(job.settings.threads, grow)??;
    cancel.check()?;
    let seconds = clock.elapsed().as_secs_f64();
    let per_round = forest.outputs().max(1);
    let kept = forest.trees() / per_round;
    let network = network(&forest, columns, outputs)?;
    let outputs = network.forward(&valid.0)?;
    let (targets, target, raw) = (&valid.1, job.target, job.valid.part());
    let given = EvaluationInput { outputs: &outputs, targets, target, rows: raw };
    let scores = job.task.evaluate(&given)?;
    let mut before = 0.0;
    let history = losses.iter().enumerate().map(|(place, &(train_loss, valid_loss, now))| EpochRecord {
        epoch: place + 1,
        train_loss,
        train_accuracy: None,
        valid_loss,
        // The metrics of all rounds would cost more than growing the trees; they are known of the one that is kept.
        valid: if place + 1 == kept { scores.clone() } else { Default::default() },
        learning_rate: settings.learning_rate,
        seconds: now - std::mem::replace(&mut before, now),
        data_wait_seconds: 0.0,
    });
    let history: Vec<EpochRecord> = history.collect();
    if kept < history.len() {
        let text =
            format!("{} rounds were grown, {kept} kept: later ones made the validation loss no lower", history.len());
        job.progress.event(Event::Note { text });
    }
    Ok(Fit {
        network,
        best_epoch: kept.max(1),
        stopped_early: history.len() < settings.rounds,
        samples_per_second: rows as f64 * history.len() as f64 / seconds,
        history,
        resumed_from_step: None,
        data_wait_seconds: 0.0,
        ensemble: None,
        refitted_rows: None,
        backend: "lepton-boost (cpu)".to_owned(),
    })
}

fn numbers(targets: &Tensor) -> Result<Vec<f32>> {
    match targets.as_float32() {
        Ok(values) => Ok(values.to_vec()),
        Err(_) => Ok(targets.as_int64()?.iter().map(|&class| class as f32).collect()),
    }
}

fn row_weights(job: &FitJob<'_>, wanted: &ClassWeights, labels: &[String], targets: &[f32]) -> Result<Vec<f32>> {
    let weights = class_weights(wanted, labels, &job.train.class_counts().unwrap_or_default())?;
    Ok(targets.iter().map(|&class| weights[class as usize] as f32).collect())
}

/// The forest as a network that gives one number for each class. Of two classes the trees speak of the second one; the
/// first one's logit is 0.
fn network(forest: &Forest, columns: usize, outputs: usize) -> Result<Network> {
    let layer = Trees { trees: forest.trees(), nodes: forest.feature.len(), depth: forest.depth as usize, outputs };
    let layers = vec![Node::new("trees", layer.into())];
    let architecture = Architecture::new(BOOSTING, InputSpec::float32([columns]), layers);
    let skipped = outputs - forest.outputs();
    let whole = |values: &[u32]| values.iter().map(|&value| value as f32).collect::<Vec<f32>>();
    Network::from_values(&architecture, |key| {
        Ok(match key {
            "trees.feature" => whole(&forest.feature),
            "trees.threshold" => forest.threshold.clone(),
            "trees.left" => whole(&forest.left),
            "trees.right" => whole(&forest.right),
            "trees.value" => forest.value.clone(),
            "trees.root" => whole(&forest.roots),
            "trees.output" => forest.output_of_tree.iter().map(|&output| (output as usize + skipped) as f32).collect(),
            "trees.base" => std::iter::repeat_n(0.0, skipped).chain(forest.base.iter().copied()).collect(),
            other => return Err(Error::internal(format!("a forest has no part \"{other}\""))),
        })
    })
}
