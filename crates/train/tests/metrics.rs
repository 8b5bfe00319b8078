//! Metrics against values that scikit-learn made (`reference/make_metrics.py`).

#![allow(clippy::unwrap_used)]

use lepton_core::{Metric, Tensor};
use lepton_train::{Classified, class_scores};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    made_with: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    classes: usize,
    logits: Vec<Vec<f32>>,
    truth: Vec<i64>,
    accuracy: f64,
    log_loss: f64,
    macro_f1: f64,
    precision: Vec<f64>,
    recall: Vec<f64>,
    f1: Vec<f64>,
    support: Vec<u64>,
    confusion: Vec<Vec<u64>>,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("reference/metrics.json")).unwrap()
}

fn classified(case: &Case) -> Classified {
    let logits = Tensor::float32(vec![case.truth.len(), case.classes], case.logits.concat()).unwrap();
    let truth = Tensor::int64(vec![case.truth.len()], case.truth.clone()).unwrap();
    Classified::from_logits(&logits, &truth).unwrap()
}

#[track_caller]
fn near(case: &str, what: &str, got: f64, expected: f64) {
    assert!((got - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{case}: {what} {got}, expected {expected}");
}

#[test]
fn metrics_are_scikit_learns() {
    let reference = reference();
    assert!(reference.made_with.starts_with("scikit-learn"));
    assert_eq!(reference.cases.len(), 6);
    for case in &reference.cases {
        let classified = classified(case);
        let metrics = classified.metrics(&Metric::ALL);
        near(&case.name, "accuracy", metrics["accuracy"], case.accuracy);
        near(&case.name, "log loss", metrics["log_loss"], case.log_loss);
        near(&case.name, "macro F1", metrics["macro_f1"], case.macro_f1);
    }
}

#[test]
fn class_scores_are_scikit_learns() {
    for case in &reference().cases {
        let counts = classified(case).confusion();
        assert_eq!(counts, case.confusion, "{}", case.name);
        let scores = class_scores(&counts);
        assert_eq!(scores.len(), case.classes);
        for (class, scores) in scores.iter().enumerate() {
            near(&case.name, "precision", scores.precision, case.precision[class]);
            near(&case.name, "recall", scores.recall, case.recall[class]);
            near(&case.name, "F1", scores.f1, case.f1[class]);
            assert_eq!(scores.support, case.support[class], "{}", case.name);
        }
    }
}
