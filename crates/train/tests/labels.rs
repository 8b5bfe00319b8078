//! Metrics of several labels a row against values that scikit-learn made (`reference/make_labels.py`).

#![allow(clippy::unwrap_used)]

use lepton_core::{Metric, Tensor};
use lepton_train::Labelled;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Reference {
    made_with: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    logits: Vec<Vec<f32>>,
    truth: Vec<Vec<f32>>,
    precision: Vec<f64>,
    recall: Vec<f64>,
    f1: Vec<f64>,
    support: Vec<u64>,
    #[serde(flatten)]
    metrics: BTreeMap<String, f64>,
}

#[test]
fn metrics_and_scores_are_scikit_learns() {
    let reference: Reference = serde_json::from_str(include_str!("reference/labels.json")).unwrap();
    assert!(reference.made_with.starts_with("scikit-learn"));
    assert_eq!(reference.cases.len(), 5);
    for case in &reference.cases {
        let shape = [case.truth.len(), case.f1.len()];
        let tensor = |rows: &[Vec<f32>]| Tensor::float32(shape, rows.concat()).unwrap();
        let labelled = Labelled::from_logits(&tensor(&case.logits), &tensor(&case.truth)).unwrap();
        let near = |what: &str, got: f64, expected: f64| {
            assert!((got - expected).abs() <= 1e-12, "{}: {what} {got}, expected {expected}", case.name);
        };
        let metrics = labelled.metrics(&Metric::OF_LABELS);
        assert_eq!(metrics.keys().collect::<Vec<_>>(), case.metrics.keys().collect::<Vec<_>>());
        metrics.iter().for_each(|(name, value)| near(name, *value, case.metrics[name]));
        for (label, scores) in labelled.scores().iter().enumerate() {
            near("precision", scores.precision, case.precision[label]);
            near("recall", scores.recall, case.recall[label]);
            near("F1", scores.f1, case.f1[label]);
            assert_eq!(scores.support, case.support[label], "{}", case.name);
        }
    }
}
