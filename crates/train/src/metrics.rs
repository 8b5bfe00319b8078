//! Metrics of classification: from logits and true classes to probabilities, accuracy, log loss, macro F1,
//! the confusion matrix and the scores of each class.
//!
//! Definitions are scikit-learn's (`accuracy_score`, `log_loss`, `f1_score(average="macro")`,
//! `precision_recall_fscore_support`, each with `zero_division=0`); tests compare with values it made.

use lepton_core::{Error, ErrorCode, Metric, Metrics, Result, Tensor};
use serde::{Deserialize, Serialize};

/// Predictions of a classifier on rows whose classes are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Classified {
    classes: usize,
    truth: Vec<usize>,
    predicted: Vec<usize>,
    /// Row-major `[rows, classes]`.
    probabilities: Vec<f64>,
}

/// The scores of one class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassScores {
    /// Of the rows that were called this class, the share that is; 0 when none was.
    pub precision: f64,
    /// Of the rows of this class, the share that was found; 0 when there are none.
    pub recall: f64,
    /// Harmonic mean of precision and recall; 0 when both are.
    pub f1: f64,
    /// Rows of this class.
    pub support: u64,
}

impl ClassScores {
    /// Of rows that were called so and are, rows that were called so, and rows that are.
    pub(crate) fn new(hits: u64, called: u64, support: u64) -> ClassScores {
        let ratio = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        ClassScores {
            precision: ratio(hits, called),
            recall: ratio(hits, support),
            f1: ratio(2 * hits, called + support),
            support,
        }
    }
}

impl Classified {
    /// From logits, float32 `[rows, classes]`, and true classes, int64 `[rows]`. Of equal logits the first
    /// class wins, as in numpy's `argmax`. The soft maximum is taken in float64.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] or [`ErrorCode::Dtype`] when the tensors do not match each other,
    /// [`ErrorCode::BadData`] for a class outside of `0..classes` or no rows at all, and
    /// [`ErrorCode::Diverged`] for logits that are NaN or infinite.
    pub fn from_logits(logits: &Tensor, truth: &Tensor) -> Result<Classified> {
        let (&[rows, classes], &[targets]) = (logits.shape(), truth.shape()) else {
            return Err(shape_mismatch(logits, truth));
        };
        if rows != targets {
            return Err(shape_mismatch(logits, truth));
        }
        if rows == 0 || classes == 0 {
            return Err(Error::new(ErrorCode::BadData, "there are no rows to compute metrics on"));
        }
        let truth = truth.as_int64()?.iter().enumerate().map(|(row, &class)| {
            usize::try_from(class).ok().filter(|&class| class < classes).ok_or_else(|| {
                Error::new(ErrorCode::BadData, format!("class {class} is not one of the {classes} classes"))
                    .at_row(row as u64 + 1)
            })
        });
        let truth = truth.collect::<Result<Vec<_>>>()?;
        let mut probabilities = Vec::with_capacity(rows * classes);
        let mut predicted = Vec::with_capacity(rows);
        for (row, scores) in logits.as_float32()?.chunks_exact(classes).enumerate() {
            if scores.iter().any(|score| !score.is_finite()) {
                return Err(
                    Error::new(ErrorCode::Diverged, "the network's output is NaN or infinite").at_row(row as u64 + 1)
                );
            }
            predicted.push(argmax(scores));
            let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let start = probabilities.len();
            probabilities.extend(scores.iter().map(|&score| (f64::from(score) - f64::from(top)).exp()));
            let sum: f64 = probabilities[start..].iter().sum();
            probabilities[start..].iter_mut().for_each(|value| *value /= sum);
        }
        Ok(Classified { classes, truth, predicted, probabilities })
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.truth.len()
    }

    /// How many classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The true class of each row.
    pub fn truth(&self) -> &[usize] {
        &self.truth
    }

    /// The most probable class of each row.
    pub fn predicted(&self) -> &[usize] {
        &self.predicted
    }

    /// The probabilities of one row, by class.
    pub fn probabilities(&self, row: usize) -> &[f64] {
        &self.probabilities[row * self.classes..(row + 1) * self.classes]
    }

    /// The probability of the predicted class of one row.
    pub fn confidence(&self, row: usize) -> f64 {
        self.probabilities(row)[self.predicted[row]]
    }

    /// Rows whose predicted class is the true one.
    pub fn correct(&self) -> u64 {
        self.truth.iter().zip(&self.predicted).filter(|(truth, predicted)| truth == predicted).count() as u64
    }

    /// Share of rows that are right.
    pub fn accuracy(&self) -> f64 {
        self.correct() as f64 / self.rows() as f64
    }

    /// Mean negative natural logarithm of the true class's probability. Probabilities are kept at least
    /// 2.2e-16 (float64's epsilon) away from 0 and 1, as scikit-learn does, so that the result is finite.
    pub fn log_loss(&self) -> f64 {
        let floor = f64::EPSILON;
        let total: f64 = self
            .truth
            .iter()
            .enumerate()
            .map(|(row, &class)| -self.probabilities(row)[class].clamp(floor, 1.0 - floor).ln())
            .sum();
        total / self.rows() as f64
    }

    /// Unweighted mean F1 over the classes that appear in the truth or in the predictions.
    pub fn macro_f1(&self) -> f64 {
        let counts = self.confusion();
        let scores = class_scores(&counts);
        let seen: Vec<f64> = (0..self.classes)
            .filter(|&class| counts[class].iter().sum::<u64>() + column_sum(&counts, class) > 0)
            .map(|class| scores[class].f1)
            .collect();
        seen.iter().sum::<f64>() / seen.len() as f64
    }

    /// `counts[truth][predicted]`.
    pub fn confusion(&self) -> Vec<Vec<u64>> {
        let mut counts = vec![vec![0; self.classes]; self.classes];
        for (&truth, &predicted) in self.truth.iter().zip(&self.predicted) {
            counts[truth][predicted] += 1;
        }
        counts
    }

    /// One metric.
    pub fn metric(&self, metric: Metric) -> f64 {
        match metric {
            Metric::Accuracy => self.accuracy(),
            Metric::LogLoss => self.log_loss(),
            Metric::MacroF1 => self.macro_f1(),
            Metric::BalancedAccuracy => self.balanced_accuracy(),
            Metric::RocAuc => self.roc_auc().unwrap_or(f64::NAN),
            // Those of labels, of numbers and of forecasts.
            _ => f64::NAN,
        }
    }

    /// Several metrics by name. One that these rows do not have (the area under the curve where a class has no row) is
    /// left out.
    pub fn metrics(&self, metrics: &[Metric]) -> Metrics {
        let value = |&metric: &Metric| Some((metric.name().to_owned(), self.metric(metric)));
        metrics.iter().filter_map(value).filter(|(_, value)| !value.is_nan()).collect()
    }

    /// Unweighted mean recall over the classes that appear in the truth.
    pub fn balanced_accuracy(&self) -> f64 {
        let scores = class_scores(&self.confusion());
        let seen: Vec<f64> = scores.iter().filter(|scores| scores.support > 0).map(|scores| scores.recall).collect();
        seen.iter().sum::<f64>() / seen.len() as f64
    }

    /// The area under the receiver operating characteristic: of two classes that of the second one, of more the
    /// unweighted mean of each class against the rest. Ties count half (Mann and Whitney 1947). `None` where a class has
    /// no rows, or all.
    pub fn roc_auc(&self) -> Option<f64> {
        if self.classes == 2 {
            return self.roc_auc_of(1);
        }
        let areas: Option<Vec<f64>> = (0..self.classes).map(|class| self.roc_auc_of(class)).collect();
        areas.map(|areas| areas.iter().sum::<f64>() / areas.len() as f64)
    }

    fn roc_auc_of(&self, class: usize) -> Option<f64> {
        roc_auc((0..self.rows()).map(|row| (self.probabilities(row)[class], self.truth[row] == class)).collect())
    }
}

/// The area under the receiver operating characteristic of scores and what is true; ties count half.
pub(crate) fn roc_auc(mut rows: Vec<(f64, bool)>) -> Option<f64> {
    rows.sort_by(|one, other| one.0.total_cmp(&other.0));
    let positive = rows.iter().filter(|(_, is)| *is).count() as f64;
    let negative = rows.len() as f64 - positive;
    let (mut below, mut area) = (0.0, 0.0);
    for equal in rows.chunk_by(|one, other| one.0 == other.0) {
        let hits = equal.iter().filter(|(_, is)| *is).count() as f64;
        let misses = equal.len() as f64 - hits;
        area += hits * (below + misses / 2.0);
        below += misses;
    }
    (positive > 0.0 && negative > 0.0).then(|| area / (positive * negative))
}

/// The scores of each class from `counts[truth][predicted]`.
pub fn class_scores(counts: &[Vec<u64>]) -> Vec<ClassScores> {
    (0..counts.len())
        .map(|class| ClassScores::new(counts[class][class], column_sum(counts, class), counts[class].iter().sum()))
        .collect()
}

/// The place of the largest value; of equal ones the first.
pub fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

fn column_sum(counts: &[Vec<u64>], class: usize) -> u64 {
    counts.iter().map(|row| row[class]).sum()
}

fn shape_mismatch(logits: &Tensor, truth: &Tensor) -> Error {
    Error::new(
        ErrorCode::Shape,
        format!(
            "metrics need logits [rows, classes] and classes [rows], not {:?} and {:?}",
            logits.shape(),
            truth.shape()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classified(logits: Vec<f32>, classes: usize, truth: Vec<i64>) -> Result<Classified> {
        let logits = Tensor::float32(vec![truth.len(), classes], logits).unwrap();
        Classified::from_logits(&logits, &Tensor::int64(vec![truth.len()], truth).unwrap())
    }

    #[test]
    fn a_sure_and_wrong_answer_costs_a_finite_loss() {
        let wrong = classified(vec![1000.0, -1000.0], 2, vec![1]).unwrap();
        assert!((wrong.log_loss() + f64::EPSILON.ln()).abs() < 1e-9);
        assert_eq!(wrong.confidence(0), 1.0);
    }

    #[test]
    fn of_equal_scores_the_first_class_wins() {
        assert_eq!(classified(vec![1.0, 2.0, 2.0], 3, vec![2]).unwrap().predicted(), [1]);
    }

    #[test]
    fn what_cannot_be_scored_is_named() {
        let code = |result: Result<Classified>| result.unwrap_err().code();
        assert_eq!(code(classified(vec![f32::NAN, 0.0], 2, vec![0])), ErrorCode::Diverged);
        assert_eq!(code(classified(vec![0.0, 0.0], 2, vec![2])), ErrorCode::BadData);
        assert_eq!(code(classified(vec![0.0, 0.0], 2, vec![-1])), ErrorCode::BadData);
        assert_eq!(code(classified(vec![], 2, vec![])), ErrorCode::BadData);
        let flat = Tensor::float32(vec![2], vec![0.0; 2]).unwrap();
        let truth = Tensor::int64(vec![2], vec![0; 2]).unwrap();
        assert_eq!(code(Classified::from_logits(&flat, &truth)), ErrorCode::Shape);
    }
}
