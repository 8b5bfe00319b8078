//! Rows whose label is probably wrong, by confident learning with a model of our own.
//!
//! Rows become numbers (`pictures`, `texts`, `tables`, the latter two by `kernel`); `ridge` scores every row with a
//! model that never saw it; `noise` makes probabilities of the scores; `confident` says which rows the model is
//! confident to place elsewhere. What both agree on is reported. Where the model tells the classes apart no better
//! than by always saying the most frequent one, nothing is reported but that.

mod confident;
mod findings;
mod kernel;
mod matrix;
mod noise;
mod pictures;
mod ridge;
mod sample;
mod tables;
mod texts;

pub use confident::{ConfidentJoint, normalised_margin, thresholds};
pub use findings::table_findings;
pub(crate) use findings::{FEW, Said, note, rounded, too_few};
pub use pictures::Thumbnails;

use lepton_core::{Cancel, Error, Result, Seed};
use noise::Noise;
use pictures::Pictures;
use ridge::{Features, folds, out_of_fold};

/// How labels are checked.
#[derive(Clone)]
pub struct LabelOptions<'a> {
    /// Threads; at least one. The result does not depend on them.
    pub threads: usize,
    /// Draws folds, landmarks, filters and samples.
    pub seed: Seed,
    /// Asked between blocks of rows.
    pub cancel: &'a Cancel,
}

/// A row whose label is probably wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suspect {
    /// The row, from 0.
    pub row: usize,
    /// Its label.
    pub given: u32,
    /// The likeliest other class.
    pub suggested: u32,
    /// The probability that the label is wrong, from 0.5 to 1.
    pub confidence: f64,
}

/// What a check of labels found.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelCheck {
    /// Rows that were looked at.
    pub rows: usize,
    /// Rows of classes that have too few rows to be learned.
    pub too_rare: usize,
    /// Parts of the cross validation.
    pub folds: usize,
    /// How many rows the model places in the class of their label, without having seen them.
    pub accuracy: f64,
    /// The share of the most frequent class.
    pub majority: f64,
    /// Whether the model is better than that by more than chance. Without, there are no suspects.
    pub can_tell: bool,
    /// The rows, the most certain first.
    pub suspects: Vec<Suspect>,
}

/// A class with fewer rows is left out.
const LEAST_ROWS: usize = 5;

/// With more classes than this the noise has more rates than can be told.
pub(crate) const MOST_CLASSES: usize = 200;

/// A label is reported where it is wrong with at least this probability.
const LEAST_CONFIDENCE: f64 = 0.5;

/// Penalties that are tried for features that are alike in scale, and for kernels.
const RIDGES: [f64; 3] = [1e-4, 1e-3, 1e-2];
const KERNEL_RIDGES: [f64; 4] = [3e-5, 3e-4, 3e-3, 3e-2];

/// Checks the labels of pictures.
///
/// # Errors
/// [`lepton_core::ErrorCode::Cancelled`].
pub fn check_pictures(
    thumbnails: &Thumbnails,
    labels: &[u32],
    classes: usize,
    options: &LabelOptions<'_>,
) -> Result<LabelCheck> {
    within(options.threads, || check(&Pictures::new(thumbnails, options.seed), labels, classes, &RIDGES, options))
}

/// Works on so many threads.
fn within<T: Send>(threads: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build();
    pool.map_err(|source| Error::internal(format!("no threads: {source}")))?.install(work)
}

/// Checks labels, from 0 and below `classes`.
fn check(
    features: &dyn Features,
    labels: &[u32],
    classes: usize,
    ridges: &[f64],
    options: &LabelOptions<'_>,
) -> Result<LabelCheck> {
    let mut counts = vec![0usize; classes];
    labels.iter().for_each(|label| counts[*label as usize] += 1);
    // Classes that can be learned have numbers of their own.
    let learned: Vec<usize> = (0..classes).filter(|class| counts[*class] >= LEAST_ROWS).collect();
    let number = |label: u32| learned.binary_search(&(label as usize)).ok();
    let (rows, own): (Vec<usize>, Vec<u32>) =
        labels.iter().enumerate().filter_map(|(row, label)| Some((row, number(*label)? as u32))).unzip();
    let folds_count = if rows.len() <= 2_000 { 10 } else { 5 };
    let majority = counts.iter().max().map_or(0.0, |most| *most as f64 / rows.len().max(1) as f64);
    let mut found = LabelCheck {
        rows: rows.len(),
        too_rare: labels.len() - rows.len(),
        folds: folds_count,
        accuracy: 0.0,
        majority,
        can_tell: false,
        suspects: Vec::new(),
    };
    if learned.len() < 2 || features.width() == 0 {
        return Ok(found);
    }
    let classes = learned.len();
    let learnable = Learned { features, rows: &rows };
    let folds = folds(&own, folds_count, options.seed);
    let scores = out_of_fold(&learnable, &own, classes, &folds, ridges, options.cancel)?;
    let mut best: Option<(f64, Noise, Vec<f32>)> = None;
    for scores in scores {
        options.cancel.check()?;
        let noise = Noise::fit(&scores, &own, classes);
        let loss = noise.losses[1];
        if best.as_ref().is_none_or(|(least, ..)| loss < *least) {
            best = Some((loss, noise, scores));
        }
    }
    let Some((_, noise, scores)) = best else { return Ok(found) };
    let probabilities = noise.probabilities(&scores);
    let right = probabilities
        .chunks_exact(classes)
        .zip(&own)
        .filter(|(row, label)| confident::largest(row) == **label as usize);
    found.accuracy = right.count() as f64 / rows.len() as f64;
    // Three standard errors of the share, so that chance alone hardly ever passes.
    let error = (majority * (1.0 - majority) / rows.len() as f64).sqrt();
    found.can_tell = found.accuracy > majority + 3.0 * error;
    if !found.can_tell || !noise.is_there {
        return Ok(found);
    }
    let joint = ConfidentJoint::of(&probabilities, &own, classes);
    for (place, (row, label)) in probabilities.chunks_exact(classes).zip(&own).enumerate() {
        let verdict = noise.verdict(row, *label);
        if joint.off_diagonal(place, *label).is_some() && verdict.wrong >= LEAST_CONFIDENCE {
            found.suspects.push(Suspect {
                row: rows[place],
                given: learned[*label as usize] as u32,
                suggested: learned[verdict.suggested as usize] as u32,
                confidence: verdict.wrong,
            });
        }
    }
    found.suspects.sort_by(|one, other| other.confidence.total_cmp(&one.confidence).then(one.row.cmp(&other.row)));
    Ok(found)
}

/// The rows of classes that can be learned.
struct Learned<'a> {
    features: &'a dyn Features,
    rows: &'a [usize],
}

impl Features for Learned<'_> {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn width(&self) -> usize {
        self.features.width()
    }

    fn fill(&self, rows: &[usize], output: &mut [f32], step: usize) {
        let rows: Vec<usize> = rows.iter().map(|row| self.rows[*row]).collect();
        self.features.fill(&rows, output, step);
    }
}
