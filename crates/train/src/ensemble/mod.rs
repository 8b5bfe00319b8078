//! An ensemble: several learners over the same rows, and the weighted sum of what they say as one network. How much each
//! counts is found on rows that it was not trained on (`weights`), or is the same for all.

mod weights;

use crate::checkpoint::{Checkpoints, InMemory, broken, read_blocks, write_blocks};
use crate::fit::{Fit, FitJob, fingerprint, fit as fit_one, other_training};
use crate::history::EpochRecord;
use crate::outputs::outputs_over;
use crate::settings::TrainSettings;
use crate::target;
use crate::task::{EvaluationInput, Learner};
use lepton_core::{Digest, Error, ErrorCode, Event, Figure, LabelledCell, Progress, Result, Seed, Tensor};
use lepton_data::Loader;
use lepton_nn::{Architecture, Member, Network};
use rand_chacha::rand_core::Rng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use weights::Outputs;

/// The name of ensembles in a zoo.
pub const ENSEMBLE: &str = "ensemble";

const MAGIC: &[u8; 8] = b"LEPTENS1";

/// A member that counts less is left out: it would cost time and change no digit that is shown.
const LEAST: f64 = 1e-3;

/// `[train.ensemble]`: which learners an ensemble has, and how much of their worth is tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnsembleSettings {
    /// Networks of the zoo, and `boosting`; `None` takes the task's own choice.
    pub members: Option<Vec<String>>,
    /// Parts of the training rows. Each member is trained that often on all parts but one, to see what it says of rows
    /// that it does not know, and once on all. With 0 parts each is trained once, and all count the same. `None` takes the
    /// task's own choice.
    pub folds: Option<usize>,
    /// How often each member is trained, each time from other first weights (Lakshminarayanan and others 2017).
    pub repeats: usize,
}

impl Default for EnsembleSettings {
    fn default() -> EnsembleSettings {
        EnsembleSettings { members: None, folds: None, repeats: 1 }
    }
}

impl EnsembleSettings {
    /// Checks the values.
    ///
    /// # Errors
    /// [`ErrorCode::Config`], naming the key.
    pub fn validate(&self) -> Result<()> {
        let wrong = |key: &str, message: String| {
            Err(Error::new(ErrorCode::Config, message).at_key(format!("train.ensemble.{key}")))
        };
        if let Some(folds) = self.folds
            && folds != 0
            && !(2..=100).contains(&folds)
        {
            return wrong("folds", format!("{folds} folds; there are 2 to 100, or 0 for members that count the same"));
        }
        if !(1..=100).contains(&self.repeats) {
            return wrong("repeats", format!("{} repeats; there are 1 to 100", self.repeats));
        }
        let members = self.members.as_deref().unwrap_or_default();
        if self.members.is_some() && members.len() * self.repeats < 2 {
            return wrong("members", "an ensemble has at least two members, or repeats of one".to_owned());
        }
        if let Some(name) = members.iter().find(|name| *name == ENSEMBLE) {
            return wrong("members", format!("\"{name}\" cannot be a member of itself"));
        }
        let twice = members.iter().enumerate().find(|(place, name)| members[..*place].contains(name));
        match twice {
            Some((_, name)) => wrong("members", format!("\"{name}\" stands there twice")),
            None => Ok(()),
        }
    }
}

/// Learners and how they are joined.
#[derive(Clone, Serialize)]
pub struct Ensemble {
    /// In the order of the settings, all of them once before the first is repeated.
    pub members: Vec<EnsembleMember>,
    /// Parts of the training rows; 0 lets all members count the same.
    pub folds: usize,
}

/// A learner of an ensemble.
#[derive(Clone, Serialize)]
pub struct EnsembleMember {
    /// Its name in the zoo, with the number of its repeat from the second on: `lstm`, `lstm-2`.
    pub name: String,
    /// What learns.
    pub learner: Learner,
    /// Which repeat it is, from 0.
    pub repeat: u64,
}

impl EnsembleMember {
    /// The seed of its first weights.
    fn seed(&self, seed: Seed) -> Seed {
        match self.repeat {
            0 => seed,
            repeat => Seed(seed.rng("ensemble repeat", &[repeat]).next_u64()),
        }
    }
}

/// What an ensemble gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnsembleScore {
    /// Its members.
    pub members: Vec<MemberScore>,
    /// The loss of all of them together on the rows that the members' losses are of.
    pub loss: f64,
}

/// What a member gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberScore {
    /// Its name.
    pub name: String,
    /// What its outputs are multiplied by; 0 leaves it out of the network.
    pub weight: f64,
    /// Its loss alone on rows that it was not trained on: on the folds log loss, or the mean squared error of standardised
    /// numbers, and without folds the loss of the training on the validation rows.
    pub loss: f64,
}

impl EnsembleScore {
    /// The table of the report: members and the ensemble itself.
    pub fn figure(&self) -> Figure {
        let cell = |text: String, good| LabelledCell { text, good };
        let row = |member: &MemberScore| {
            let texts = [member.name.clone(), format!("{:.3}", member.weight), format!("{:.4}", member.loss)];
            texts.map(|text| cell(text, None)).to_vec()
        };
        let mut rows: Vec<_> = self.members.iter().map(row).collect();
        let better = self.members.iter().all(|member| self.loss <= member.loss);
        rows.push(vec![
            cell(ENSEMBLE.to_owned(), None),
            cell("–".to_owned(), None),
            cell(format!("{:.4}", self.loss), Some(better)),
        ]);
        Figure::Table {
            title: "Members of the ensemble, on rows that they were not trained on".to_owned(),
            columns: ["member", "weight", "loss"].map(str::to_owned).to_vec(),
            rows,
        }
    }
}

/// Trains every member on all folds but one, for each fold, and then on all rows; finds the weights, which are the same for
/// all where there are no folds; and adds the members up. A training that is taken over goes on behind the last member and
/// fold that was finished.
///
/// # Errors
/// [`ErrorCode::BadData`] for fewer rows than folds; [`ErrorCode::Unsupported`] for rows that change from epoch to epoch;
/// what the members' own trainings report.
pub(crate) fn fit(job: FitJob<'_>, ensemble: &Ensemble) -> Result<Fit> {
    let fingerprint = fingerprint(&job, None, None)?;
    let targets = job.train.targets()?;
    let folds = folds(&targets, ensemble.folds, job.seed)?;
    let mut finished = resume(job.checkpoints, fingerprint)?;
    let resumed_from_step = (!finished.is_empty()).then_some(finished.len() as u64);
    if !finished.is_empty() {
        let all = ensemble.members.len() * (folds.len() + 1);
        let text = format!("training goes on from its checkpoint: {} of {all} trainings are finished", finished.len());
        job.progress.event(Event::Note { text });
    }
    let steps = Steps { progress: job.progress };
    let mut speed = (0.0, 0.0);
    for step in finished.len()..ensemble.members.len() * (folds.len() + 1) {
        let member = &ensemble.members[step / (folds.len() + 1)];
        let EnsembleMember { name, learner, .. } = member;
        let held_out = folds.get(step % (folds.len() + 1));
        let of = match held_out {
            Some(_) => format!("without part {} of {}", step % (folds.len() + 1) + 1, folds.len()),
            None => "on all rows".to_owned(),
        };
        job.progress.event(Event::Note {
            text: format!("member {} of {}: {name}, {of}", step / (folds.len() + 1) + 1, ensemble.members.len()),
        });
        let rest = held_out.map(|held_out| without(targets.rows(), held_out)).map(|rows| job.train.of_rows(&rows));
        let rest = rest.transpose()?;
        let of_boosting = matches!(learner, Learner::Boosting(_));
        let loss = job.settings.loss.clone().filter(|_| !of_boosting);
        let fitted = fit_one(FitJob {
            task: job.task,
            learner,
            target: job.target,
            train: rest.as_ref().unwrap_or(job.train),
            valid: job.valid,
            settings: &TrainSettings { loss, ..job.settings.clone() },
            seed: member.seed(job.seed),
            checkpoints: &mut InMemory::default(),
            progress: &steps,
            cancel: job.cancel,
        })?;
        speed = (speed.0 + fitted.samples_per_second, speed.1 + 1.0);
        finished.push(match held_out {
            Some(rows) => Finished::Outputs(outputs(&fitted.network, &job.train.of_rows(rows)?, &job)?),
            None => {
                let record = fitted.history.into_iter().nth(fitted.best_epoch.saturating_sub(1));
                let record = record.ok_or_else(|| Error::internal("a member was trained without an epoch"))?;
                Finished::Member { network: fitted.network, record: Box::new(record), backend: fitted.backend }
            }
        });
        job.checkpoints.save(step as u64 + 1, &encode(fingerprint, &finished)?)?;
    }
    let joined = join(&job, ensemble, &folds, &targets, finished)?;
    Ok(Fit {
        best_epoch: joined.history.len(),
        history: joined.history,
        network: joined.network,
        resumed_from_step,
        stopped_early: false,
        samples_per_second: if speed.1 > 0.0 { speed.0 / speed.1 } else { 0.0 },
        data_wait_seconds: 0.0,
        ensemble: Some(joined.score),
        refitted_rows: None,
        backend: joined.backends.into_iter().collect::<Vec<_>>().join(" and "),
    })
}

/// One finished step.
enum Finished {
    /// What a member says of a fold, float32 `[rows, outputs]`.
    Outputs(Tensor),
    /// A member, trained on all rows.
    Member { network: Network, record: Box<EpochRecord>, backend: String },
}

/// The ensemble as a network.
struct Joined {
    network: Network,
    history: Vec<EpochRecord>,
    score: EnsembleScore,
    /// What computed, each once.
    backends: BTreeSet<String>,
}

fn join(
    job: &FitJob<'_>,
    ensemble: &Ensemble,
    folds: &[Vec<usize>],
    targets: &Tensor,
    finished: Vec<Finished>,
) -> Result<Joined> {
    let width = job.target.outputs();
    let (mut outputs, mut networks, mut history) = (Vec::new(), Vec::new(), Vec::new());
    let mut backends = BTreeSet::new();
    let mut rows = vec![0.0f32; targets.rows() * width];
    let mut fold = 0;
    for step in finished {
        match step {
            Finished::Outputs(said) => {
                let said = said.as_float32()?;
                for (&row, said) in folds[fold].iter().zip(said.chunks_exact(width)) {
                    rows[row * width..(row + 1) * width].copy_from_slice(said);
                }
                fold += 1;
            }
            Finished::Member { network, record, backend } => {
                backends.insert(backend);
                outputs.push(std::mem::replace(&mut rows, vec![0.0; targets.rows() * width]));
                networks.push(network);
                history.push(EpochRecord { epoch: history.len() + 1, ..*record });
                fold = 0;
            }
        }
    }
    let said = Outputs { members: &outputs, targets, width };
    let weights = match folds {
        [] => vec![1.0 / networks.len() as f64; networks.len()],
        _ => said.best_weights()?,
    };
    let alone = |place: usize| match folds {
        [] => Ok(history[place].valid_loss),
        _ => {
            let only: Vec<f64> = (0..weights.len()).map(|other| f64::from(u8::from(other == place))).collect();
            said.loss(&only)
        }
    };
    let mut members = Vec::new();
    for (place, member) in ensemble.members.iter().enumerate() {
        members.push(MemberScore { name: member.name.clone(), weight: weights[place], loss: alone(place)? });
    }
    let names: Vec<String> = members.iter().map(|member| member.name.replace('-', "_")).collect();
    let kept: Vec<Member<'_>> = (0..networks.len())
        .filter(|place| weights[*place] > LEAST)
        .map(|place| Member { name: &names[place], network: &networks[place], weight: weights[place] as f32 })
        .collect();
    let network = Network::weighted_sum(ENSEMBLE, &kept)?;
    let network = match job.settings.threads {
        Some(threads) => network.with_threads(threads)?,
        None => network,
    };
    let (validated, truth) = outputs_over(job.valid, job.cancel, &mut |input| network.forward(input))?;
    let counts = job.train.class_counts();
    let valid_loss = target::loss(job.task, job.settings, job.target, counts.as_deref())?.value(&validated, &truth)?;
    let told: Vec<String> = members.iter().map(|member| format!("{} {:.3}", member.name, member.weight)).collect();
    let (train_loss, loss) = match folds {
        [] => (history.iter().map(|record| record.train_loss).sum::<f64>() / history.len().max(1) as f64, valid_loss),
        _ => said.loss(&weights).map(|loss| (loss, loss))?,
    };
    let text = format!("the members count {}; loss on rows that they did not know: {loss:.4}", told.join(", "));
    job.progress.event(Event::Note { text });
    history.push(EpochRecord {
        epoch: history.len() + 1,
        train_loss,
        train_accuracy: None,
        valid_loss,
        valid: job.task.evaluate(&EvaluationInput {
            outputs: &validated,
            targets: &truth,
            target: job.target,
            rows: job.valid.part(),
        })?,
        learning_rate: job.settings.learning_rate,
        seconds: 0.0,
        data_wait_seconds: 0.0,
    });
    Ok(Joined { network, history, score: EnsembleScore { members, loss }, backends })
}

/// The rows that are in no `held_out`, which is in order.
fn without(rows: usize, held_out: &[usize]) -> Vec<usize> {
    (0..rows).filter(|row| held_out.binary_search(row).is_err()).collect()
}

/// What a network says of all rows of a loader.
fn outputs(network: &Network, rows: &Loader, job: &FitJob<'_>) -> Result<Tensor> {
    Ok(outputs_over(rows, job.cancel, &mut |input| network.forward(input))?.0)
}

/// Rows dealt into `count` parts of the same size, each with the same share of each class; within a part in order.
fn folds(targets: &Tensor, count: usize, seed: Seed) -> Result<Vec<Vec<usize>>> {
    let rows = targets.rows();
    if count == 0 {
        return Ok(Vec::new());
    }
    if rows < 2 * count {
        return Err(Error::new(ErrorCode::BadData, format!("{rows} training rows are too few for {count} folds"))
            .at_key("train.ensemble.folds")
            .fix("give more rows, or fewer folds"));
    }
    let mut order = seed.permutation("ensemble folds", &[], rows);
    if let Ok(classes) = targets.as_int64() {
        order.sort_by_key(|&row| classes[row]);
    }
    let mut folds = vec![Vec::new(); count];
    order.iter().enumerate().for_each(|(place, &row)| folds[place % count].push(row));
    folds.iter_mut().for_each(|fold| fold.sort_unstable());
    Ok(folds)
}

#[derive(Serialize, Deserialize)]
struct Header {
    fingerprint: Digest,
    /// Of each step the record of a member, or the shape of outputs.
    steps: Vec<StepHeader>,
}

#[derive(Serialize, Deserialize)]
enum StepHeader {
    Outputs([usize; 2]),
    Member { record: Box<EpochRecord>, backend: String },
}

fn encode(fingerprint: Digest, finished: &[Finished]) -> Result<Vec<u8>> {
    let (mut steps, mut bytes) = (Vec::new(), Vec::new());
    for step in finished {
        match step {
            Finished::Outputs(said) => {
                steps.push(StepHeader::Outputs([said.rows(), said.row_len()]));
                bytes.push(said.as_float32()?.iter().flat_map(|value| value.to_le_bytes()).collect());
            }
            Finished::Member { network, record, backend } => {
                steps.push(StepHeader::Member { record: record.clone(), backend: backend.clone() });
                bytes.push(network.architecture().to_json()?);
                bytes.push(network.weights()?);
            }
        }
    }
    let header = serde_json::to_vec(&Header { fingerprint, steps })
        .map_err(|source| Error::internal(format!("the state of an ensemble cannot be written: {source}")))?;
    let all = std::iter::once(header.as_slice()).chain(bytes.iter().map(Vec::as_slice));
    Ok(write_blocks(MAGIC, all))
}

/// What a training before this one has finished.
fn resume(checkpoints: &mut dyn Checkpoints, fingerprint: Digest) -> Result<Vec<Finished>> {
    let Some((_, bytes)) = checkpoints.latest()? else { return Ok(Vec::new()) };
    let mut blocks = read_blocks(MAGIC, &bytes)?.into_iter();
    let mut block = || blocks.next().ok_or_else(|| broken("it ends too early"));
    let header: Header =
        serde_json::from_slice(block()?).map_err(|source| broken("its header is unreadable").caused_by(source))?;
    if header.fingerprint != fingerprint {
        return Err(other_training());
    }
    let mut finished = Vec::new();
    for step in header.steps {
        finished.push(match step {
            StepHeader::Outputs(shape) => {
                let values = block()?.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
                Finished::Outputs(Tensor::float32(shape, values)?)
            }
            StepHeader::Member { record, backend } => {
                let architecture = Architecture::from_json(block()?)?;
                Finished::Member { network: Network::from_weights(&architecture, block()?)?, record, backend }
            }
        });
    }
    Ok(finished)
}

/// Lets through how far a member's training is; its notes and epochs would be read as those of the whole.
struct Steps<'a> {
    progress: &'a dyn Progress,
}

impl Progress for Steps<'_> {
    fn event(&self, event: Event) {
        if matches!(event, Event::Step { .. } | Event::Warning { .. }) {
            self.progress.event(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_hold_every_row_once_and_every_class_alike() {
        let targets = Tensor::int64([10], vec![0, 0, 0, 0, 0, 0, 1, 1, 1, 1]).unwrap();
        let parts = folds(&targets, 2, Seed(1)).unwrap();
        let mut all: Vec<usize> = parts.concat();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
        for part in &parts {
            assert_eq!(part.iter().filter(|&&row| row >= 6).count(), 2, "{parts:?}");
            assert!(part.is_sorted());
        }
        assert_eq!(without(10, &parts[0]), parts[1]);
        let error = folds(&targets, 6, Seed(1)).unwrap_err();
        assert_eq!(error.place().key.as_deref(), Some("train.ensemble.folds"));
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let key = |members: Option<&[&str]>, folds, repeats| {
            let members = members.map(|names| names.iter().map(|&name| name.to_owned()).collect());
            EnsembleSettings { members, folds, repeats }.validate().err().and_then(|error| error.place().key.clone())
        };
        assert_eq!(key(None, None, 1), None);
        assert_eq!(key(Some(&["mlp", "linear"]), Some(5), 1), None);
        assert_eq!(key(Some(&["mlp"]), Some(0), 3), None);
        assert_eq!(key(None, Some(1), 1).as_deref(), Some("train.ensemble.folds"));
        assert_eq!(key(None, None, 0).as_deref(), Some("train.ensemble.repeats"));
        for members in [&["mlp"][..], &["mlp", "mlp"], &["mlp", "ensemble"]] {
            assert_eq!(key(Some(members), None, 1).as_deref(), Some("train.ensemble.members"), "{members:?}");
        }
    }
}
