//! What a full run will take, from what pilots took: arithmetic, each figure with how it was come by.

use super::candidates::Candidate;
use super::pilot::PilotScore;
use lepton_nn::Summary;
use serde::Serialize;

/// Bytes of a number.
const FLOAT32: u64 = 4;

/// A figure and how it was come by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure<T> {
    /// The figure.
    pub value: T,
    /// `measured`, or the formula of an estimate.
    pub how: String,
}

impl<T> Figure<T> {
    pub(super) fn measured(value: T) -> Figure<T> {
        Figure { value, how: "measured".to_owned() }
    }

    fn estimated(value: T, how: impl Into<String>) -> Figure<T> {
        Figure { value, how: how.into() }
    }

    /// Whether it was measured as it stands.
    pub fn is_measured(&self) -> bool {
        self.how == "measured"
    }
}

/// Seconds that one training row takes in one epoch (or round), validation included: the mean over trainings.
pub(super) fn seconds_per_row(scores: &[PilotScore], pace: Option<f64>) -> Option<f64> {
    let work: f64 = scores.iter().map(|score| score.rows as f64 * score.epochs as f64).sum();
    let seconds: f64 = scores.iter().map(|score| score.seconds).sum();
    if work > 0.0 {
        return Some(seconds / work);
    }
    pace.filter(|pace| *pace > 0.0).map(|pace| 1.0 / pace)
}

/// Epochs or rounds that a training of `candidate` goes through: those that pilots of the whole work went through before
/// they stopped by themselves, else all of them; trees take the rounds of whatever pilot there is.
pub(super) fn expected_epochs(candidate: &Candidate, scores: &[PilotScore], is_whole: bool) -> f64 {
    let whole: Vec<f64> = scores.iter().filter(|score| score.whole).map(|score| score.epochs as f64).collect();
    if (is_whole || candidate.is_boosting()) && !whole.is_empty() {
        return whole.iter().sum::<f64>() / whole.len() as f64;
    }
    most_epochs(candidate)
}

/// Epochs, or rounds, at most.
pub(super) fn most_epochs(candidate: &Candidate) -> f64 {
    match candidate.is_boosting() {
        true => candidate.settings.boosting.clone().unwrap_or_default().rounds as f64,
        false => candidate.settings.epochs as f64,
    }
}

/// Seconds of training in a full run over `rows` training rows.
pub(super) fn run_seconds(per_row: f64, rows: usize, epochs: f64) -> Figure<f64> {
    let how = format!("{:.2} us for each row and epoch, measured, x {rows} rows x {epochs:.0} epochs", per_row * 1e6);
    Figure::estimated(per_row * rows as f64 * epochs, how)
}

/// The most memory of a training over `rows` rows of `inputs` numbers, from a pilot over `piloted` rows.
pub(super) fn run_memory(peak: u64, piloted: usize, rows: usize, inputs: usize) -> Figure<u64> {
    if rows <= piloted {
        return Figure::measured(peak);
    }
    let more = (rows - piloted) as u64 * inputs as u64 * FLOAT32;
    let how = format!("{peak} bytes measured over {piloted} rows, and {FLOAT32} bytes for each number of the others");
    Figure::estimated(peak + more, how)
}

/// What training a network takes at the very least: weights, their gradients and two moments of the optimiser; the
/// outputs of all layers for one batch, forward and backward; the inputs of all rows.
pub(super) fn least_memory(summary: &Summary, batch_size: usize, rows: usize, inputs: usize) -> Figure<u64> {
    let outputs: u64 = summary.rows.iter().map(|row| row.output_shape.iter().product::<usize>() as u64).sum();
    let weights = 4 * FLOAT32 * summary.parameters;
    let activations = 2 * FLOAT32 * batch_size as u64 * outputs;
    let data = FLOAT32 * rows as u64 * inputs as u64;
    let how = "weights with gradients and two moments, the outputs of all layers of a batch twice, and the inputs";
    Figure::estimated(weights.saturating_add(activations).saturating_add(data), how)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::task;
    use lepton_core::{Metrics, TaskKind};

    fn score(rows: usize, epochs: usize, seconds: f64, whole: bool) -> PilotScore {
        PilotScore { valid: Metrics::new(), epoch: epochs, epochs, rows, valid_rows: 10, seconds, whole }
    }

    fn candidate(name: &str) -> Candidate {
        let traits = super::super::fingerprint::Traits { rows: 500, inputs: 9, ..Default::default() };
        let task = task(TaskKind::TabularClassification);
        let all = super::super::candidates::candidates(task, &traits, 1, &toml::Table::new(), None).unwrap();
        all.into_iter().find(|candidate| candidate.name == name).unwrap()
    }

    #[test]
    fn time_is_scaled_by_rows_and_epochs() {
        let scores = [score(100, 10, 2.0, true), score(100, 20, 4.0, true)];
        let per_row = seconds_per_row(&scores, None).unwrap();
        assert!((per_row - 0.002).abs() < 1e-12);
        let figure = run_seconds(per_row, 200, 30.0);
        assert!((figure.value - 12.0).abs() < 1e-9 && !figure.is_measured() && figure.how.contains("200 rows"));
        assert_eq!(seconds_per_row(&[], Some(50.0)), Some(0.02), "from the pace of an unfinished epoch");
        assert_eq!(seconds_per_row(&[], None), None);
    }

    #[test]
    fn epochs_are_those_that_whole_pilots_went_through() {
        let (mlp, trees) = (candidate("mlp"), candidate("boosting"));
        let scores = [score(100, 10, 1.0, true), score(100, 30, 1.0, true), score(100, 99, 1.0, false)];
        assert_eq!(expected_epochs(&mlp, &scores, true), 20.0);
        assert_eq!(expected_epochs(&mlp, &scores, false), mlp.settings.epochs as f64);
        assert_eq!(expected_epochs(&trees, &scores, false), 20.0);
        assert_eq!(expected_epochs(&mlp, &[], true), mlp.settings.epochs as f64);
        assert_eq!((most_epochs(&trees), most_epochs(&mlp)), (500.0, mlp.settings.epochs as f64));
    }

    #[test]
    fn memory_is_measured_or_says_how_it_was_scaled() {
        assert_eq!(run_memory(1_000, 50, 50, 9), Figure::measured(1_000));
        let scaled = run_memory(1_000, 50, 60, 9);
        assert_eq!(scaled.value, 1_000 + 10 * 9 * 4);
        assert!(scaled.how.contains("50 rows"));
        let task = task(TaskKind::TabularClassification);
        let summary = task.architecture(Some("linear"), &[9], 2).unwrap().summary().unwrap();
        // 20 weights, 2 outputs.
        assert_eq!(least_memory(&summary, 32, 100, 9).value, 16 * 20 + 8 * 32 * 2 + 4 * 100 * 9);
    }
}
