//! Metrics of several labels a row: from logits and true labels to F1, exact rows, wrong labels, log loss and areas.
//!
//! Definitions are scikit-learn's for an indicator matrix (`f1_score(average="micro" | "macro")`, `accuracy_score`,
//! `hamming_loss`, the mean of `log_loss` over labels, `average_precision_score` and `roc_auc_score`), each with
//! `zero_division=0`; a test compares with values that it made.

use crate::metrics::{ClassScores, roc_auc};
use crate::target::LABEL_THRESHOLD;
use lepton_core::{Error, ErrorCode, Metric, Metrics, Result, Tensor};

/// Probabilities of labels on rows whose labels are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    labels: usize,
    /// Row-major `[rows, labels]`, as `probabilities`.
    truth: Vec<bool>,
    probabilities: Vec<f64>,
}

impl Labelled {
    /// From logits and true labels (1 or 0), both float32 `[rows, labels]`. A probability is the logistic function of a
    /// logit, in float64.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] or [`ErrorCode::Dtype`] when the tensors do not match each other, [`ErrorCode::BadData`]
    /// without rows, and [`ErrorCode::Diverged`] for logits that are NaN or infinite.
    pub fn from_logits(logits: &Tensor, truth: &Tensor) -> Result<Labelled> {
        let labels = logits.row_len();
        if logits.shape().len() != 2 || logits.shape() != truth.shape() || labels == 0 {
            let message = format!(
                "metrics need logits and labels [rows, labels], not {:?} and {:?}",
                logits.shape(),
                truth.shape()
            );
            return Err(Error::new(ErrorCode::Shape, message));
        }
        if logits.rows() == 0 {
            return Err(Error::new(ErrorCode::BadData, "there are no rows to compute metrics on"));
        }
        let scores = logits.as_float32()?;
        if let Some(place) = scores.iter().position(|score| !score.is_finite()) {
            let message = "the network's output is NaN or infinite";
            return Err(Error::new(ErrorCode::Diverged, message).at_row((place / labels) as u64 + 1));
        }
        Ok(Labelled {
            labels,
            truth: truth.as_float32()?.iter().map(|share| *share > 0.5).collect(),
            probabilities: scores.iter().map(|score| 1.0 / (1.0 + (-f64::from(*score)).exp())).collect(),
        })
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.truth.len() / self.labels
    }

    /// How many labels.
    pub fn labels(&self) -> usize {
        self.labels
    }

    /// Of each row and label: whether it is true, whether it is given.
    fn pairs(&self) -> impl Iterator<Item = (bool, bool)> {
        self.truth.iter().zip(&self.probabilities).map(|(truth, probability)| (*truth, *probability >= LABEL_THRESHOLD))
    }

    /// The scores of each label.
    pub fn scores(&self) -> Vec<ClassScores> {
        self.counts().map(|[hits, called, support]| ClassScores::new(hits, called, support)).collect()
    }

    /// Of each label: rows that have it and are given it, rows that are given it, rows that have it.
    fn counts(&self) -> impl Iterator<Item = [u64; 3]> {
        let mut counts = vec![[0; 3]; self.labels];
        for (place, (truth, given)) in self.pairs().enumerate() {
            let count = &mut counts[place % self.labels];
            count[0] += u64::from(truth && given);
            count[1] += u64::from(given);
            count[2] += u64::from(truth);
        }
        counts.into_iter()
    }

    /// F1 over all rows and labels at once; 0 where no label is true or given.
    pub fn micro_f1(&self) -> f64 {
        let sum = |sum: [u64; 3], count: [u64; 3]| [0, 1, 2].map(|place| sum[place] + count[place]);
        let [hits, called, support] = self.counts().fold([0; 3], sum);
        ClassScores::new(hits, called, support).f1
    }

    /// The unweighted mean F1 over all labels.
    pub fn macro_f1(&self) -> f64 {
        self.scores().iter().map(|scores| scores.f1).sum::<f64>() / self.labels as f64
    }

    /// The share of rows whose labels are exactly the true ones.
    pub fn subset_accuracy(&self) -> f64 {
        let pairs: Vec<bool> = self.pairs().map(|(truth, given)| truth == given).collect();
        let exact = pairs.chunks_exact(self.labels).filter(|row| row.iter().all(|same| *same)).count();
        exact as f64 / self.rows() as f64
    }

    /// The share of labels that are wrongly given or wrongly left out.
    pub fn hamming_loss(&self) -> f64 {
        self.pairs().filter(|(truth, given)| truth != given).count() as f64 / self.truth.len() as f64
    }

    /// The mean negative log probability of what is true of each label, at least the rounding error of a float64.
    pub fn log_loss(&self) -> f64 {
        let of = |(truth, probability): (&bool, &f64)| {
            let right = if *truth { *probability } else { 1.0 - probability };
            -right.max(f64::EPSILON).ln()
        };
        self.truth.iter().zip(&self.probabilities).map(of).sum::<f64>() / self.truth.len() as f64
    }

    /// The mean over labels of the average precision: the sum over falling scores of the gain in recall times the
    /// precision there; equal scores count at once. `None` where a label is true nowhere.
    pub fn average_precision(&self) -> Option<f64> {
        self.mean_over_labels(average_precision)
    }

    /// The mean over labels of the area under the receiver operating characteristic. `None` where a label is true
    /// nowhere or everywhere.
    pub fn roc_auc(&self) -> Option<f64> {
        self.mean_over_labels(roc_auc)
    }

    fn mean_over_labels(&self, of: impl Fn(Vec<(f64, bool)>) -> Option<f64>) -> Option<f64> {
        let scored = |label: usize| {
            let places = (label..self.truth.len()).step_by(self.labels);
            of(places.map(|place| (self.probabilities[place], self.truth[place])).collect())
        };
        let all: Option<Vec<f64>> = (0..self.labels).map(scored).collect();
        all.map(|all| all.iter().sum::<f64>() / self.labels as f64)
    }

    /// Several metrics by name. One that these rows do not have is left out.
    pub fn metrics(&self, metrics: &[Metric]) -> Metrics {
        let value = |metric: &Metric| match metric {
            Metric::MicroF1 => Some(self.micro_f1()),
            Metric::MacroF1 => Some(self.macro_f1()),
            Metric::SubsetAccuracy => Some(self.subset_accuracy()),
            Metric::HammingLoss => Some(self.hamming_loss()),
            Metric::LogLoss => Some(self.log_loss()),
            Metric::AveragePrecision => self.average_precision(),
            Metric::RocAuc => self.roc_auc(),
            // Those of classes, of numbers and of forecasts.
            _ => None,
        };
        metrics.iter().filter_map(|metric| Some((metric.name().to_owned(), value(metric)?))).collect()
    }
}

fn average_precision(mut rows: Vec<(f64, bool)>) -> Option<f64> {
    rows.sort_by(|one, other| other.0.total_cmp(&one.0));
    let (mut seen, mut found, mut sum) = (0.0, 0.0, 0.0);
    for equal in rows.chunk_by(|one, other| one.0 == other.0) {
        let hits = equal.iter().filter(|(_, is)| *is).count() as f64;
        seen += equal.len() as f64;
        found += hits;
        sum += hits * found / seen;
    }
    (found > 0.0).then(|| sum / found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(logits: Vec<f32>, truth: Vec<f32>) -> Result<Labelled> {
        let tensor = |values: Vec<f32>| Tensor::float32([values.len() / 2, 2], values).unwrap();
        Labelled::from_logits(&tensor(logits), &tensor(truth))
    }

    #[test]
    fn what_cannot_be_scored_is_named() {
        let code = |result: Result<Labelled>| result.unwrap_err().code();
        assert_eq!(code(labelled(vec![f32::NAN, 0.0], vec![0.0, 1.0])), ErrorCode::Diverged);
        assert_eq!(code(labelled(vec![], vec![])), ErrorCode::BadData);
        assert_eq!(code(labelled(vec![0.0; 2], vec![0.0; 4])), ErrorCode::Shape);
    }

    #[test]
    fn an_area_that_is_not_there_is_left_out() {
        let nowhere = labelled(vec![1.0, -1.0, -1.0, 1.0], vec![1.0, 0.0, 0.0, 0.0]).unwrap();
        let metrics = nowhere.metrics(&Metric::OF_LABELS);
        assert!(!metrics.contains_key("average_precision") && !metrics.contains_key("roc_auc"), "{metrics:?}");
        assert_eq!((metrics["subset_accuracy"], metrics["hamming_loss"]), (0.5, 0.25));
    }

    #[test]
    fn a_sure_and_wrong_answer_costs_a_finite_loss() {
        let wrong = labelled(vec![1000.0, -1000.0], vec![0.0, 1.0]).unwrap();
        assert!((wrong.log_loss() + f64::EPSILON.ln()).abs() < 1e-9);
    }
}
