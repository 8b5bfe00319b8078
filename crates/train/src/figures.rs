//! Figures that every classification task shares: confusion matrix, table of classes or labels, calibration.

use crate::labelled::Labelled;
use crate::metrics::{ClassScores, Classified, class_scores};
use lepton_core::{Figure, LabelledCell, Series};

/// How many equal steps of confidence the calibration chart has.
const CALIBRATION_BINS: usize = 10;

/// Counts by true and predicted class.
pub fn confusion_matrix(classified: &Classified, labels: &[String]) -> Figure {
    Figure::ConfusionMatrix {
        title: "Confusion matrix".to_owned(),
        labels: labels.to_vec(),
        counts: classified.confusion(),
    }
}

/// Precision, recall, F1 and support of each class. F1 is marked good from 0.9 and bad below 0.5.
pub fn class_table(classified: &Classified, labels: &[String]) -> Figure {
    score_table("class", class_scores(&classified.confusion()), labels)
}

/// As [`class_table`], of labels of which several may hold.
pub fn label_table(labelled: &Labelled, labels: &[String]) -> Figure {
    score_table("label", labelled.scores(), labels)
}

fn score_table(of: &str, scores: Vec<ClassScores>, labels: &[String]) -> Figure {
    let plain = |text: String| LabelledCell { text, good: None };
    let verdict = |f1: f64| (f1 >= 0.9).then_some(true).or((f1 < 0.5).then_some(false));
    let rows = scores
        .into_iter()
        .zip(labels)
        .map(|(scores, label)| {
            vec![
                plain(label.clone()),
                plain(format!("{:.4}", scores.precision)),
                plain(format!("{:.4}", scores.recall)),
                LabelledCell { text: format!("{:.4}", scores.f1), good: verdict(scores.f1) },
                plain(scores.support.to_string()),
            ]
        })
        .collect();
    Figure::Table {
        title: format!("Scores by {of}"),
        columns: [of, "precision", "recall", "F1", "rows"].map(str::to_owned).to_vec(),
        rows,
    }
}

/// Share of rows that are right against the mean confidence, in ten equal steps of confidence; empty steps
/// have no point. The second line is what a perfectly calibrated model gives
/// (Guo et al., "On Calibration of Modern Neural Networks", 2017).
pub fn calibration(classified: &Classified) -> Figure {
    let mut bins = [(0.0, 0u64, 0u64); CALIBRATION_BINS];
    for row in 0..classified.rows() {
        let confidence = classified.confidence(row);
        let bin = ((confidence * CALIBRATION_BINS as f64) as usize).min(CALIBRATION_BINS - 1);
        let right = classified.truth()[row] == classified.predicted()[row];
        bins[bin].0 += confidence;
        bins[bin].1 += u64::from(right);
        bins[bin].2 += 1;
    }
    let points = bins
        .iter()
        .filter(|(_, _, count)| *count > 0)
        .map(|&(sum, right, count)| [sum / count as f64, right as f64 / count as f64])
        .collect();
    Figure::Curves {
        title: "Calibration".to_owned(),
        x: "mean probability of the predicted class".to_owned(),
        y: "share of rows that are right".to_owned(),
        series: vec![
            Series { name: "this model".to_owned(), points },
            Series { name: "perfectly calibrated".to_owned(), points: vec![[0.0, 0.0], [1.0, 1.0]] },
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::Tensor;

    fn classified() -> Classified {
        // Probabilities of class 1: 0.88, 0.12, 0.88, 0.12; the last row is wrong.
        let logits = Tensor::float32(vec![4, 2], vec![-1.0, 1.0, 1.0, -1.0, -1.0, 1.0, 1.0, -1.0]).unwrap();
        Classified::from_logits(&logits, &Tensor::int64(vec![4], vec![1, 0, 1, 1]).unwrap()).unwrap()
    }

    #[test]
    fn the_table_has_a_row_for_each_class() {
        let labels = ["no".to_owned(), "yes".to_owned()];
        let Figure::Table { rows, .. } = class_table(&classified(), &labels) else { panic!("not a table") };
        let texts: Vec<Vec<&str>> =
            rows.iter().map(|row| row.iter().map(|cell| cell.text.as_str()).collect()).collect();
        assert_eq!(texts, [["no", "0.5000", "1.0000", "0.6667", "1"], ["yes", "1.0000", "0.6667", "0.8000", "3"]]);
    }

    #[test]
    fn calibration_compares_confidence_with_truth() {
        let Figure::Curves { series, .. } = calibration(&classified()) else { panic!("not curves") };
        let confidence = 1.0 / (1.0 + (-2.0f64).exp());
        assert_eq!(series[0].points.len(), 1);
        assert!((series[0].points[0][0] - confidence).abs() < 1e-9);
        assert_eq!(series[0].points[0][1], 0.75);
    }
}
