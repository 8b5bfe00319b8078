//! How well forests predict, against what scikit-learn and LightGBM reach on the same rows
//! (`tests/data/reference.py`).
#![allow(clippy::unwrap_used, clippy::panic)]

use lepton_boost::{BoostSettings, Examples, Forest, Objective, fit};
use lepton_core::Seed;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

#[derive(Deserialize)]
struct Folded {
    columns: usize,
    features: Vec<f32>,
    targets: Vec<f32>,
    folds: Vec<usize>,
    #[serde(flatten)]
    reference: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Split {
    columns: usize,
    training_rows: usize,
    features: Vec<f32>,
    targets: Vec<f32>,
}

fn read<T: for<'a> Deserialize<'a>>(name: &str) -> T {
    let path = format!("{}/tests/data/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn train(features: &[f32], targets: &[f32], settings: &BoostSettings, objective: Objective) -> Forest {
    let examples = Examples { features, targets, weights: None };
    let forest = fit(&examples, None, settings, &objective, Seed(7), &mut |_, _, _| ControlFlow::Continue(())).unwrap();
    forest.check().unwrap();
    forest
}

/// The mean over five folds of `score(scores, targets)` on the rows left out.
fn by_fold(data: &Folded, rounds: usize, objective: Objective, score: impl Fn(&[f32], &[f32]) -> f64) -> f64 {
    let settings = BoostSettings { rounds, ..BoostSettings::default() };
    let part = |keep: &dyn Fn(usize) -> bool| -> (Vec<f32>, Vec<f32>) {
        let rows: Vec<usize> = (0..data.targets.len()).filter(|&row| keep(data.folds[row])).collect();
        let features = rows.iter().flat_map(|row| &data.features[row * data.columns..(row + 1) * data.columns]);
        (features.copied().collect(), rows.iter().map(|&row| data.targets[row]).collect())
    };
    let scores = (0..5).map(|fold| {
        let (features, targets) = part(&|of_row| of_row != fold);
        let forest = train(&features, &targets, &settings, objective);
        let (features, targets) = part(&|of_row| of_row == fold);
        score(&forest.predict(&features, data.columns).unwrap(), &targets)
    });
    scores.sum::<f64>() / 5.0
}

/// The share of pairs of a positive and a negative row that are in the right order; equal ones count half.
fn auc(scores: &[f32], targets: &[f32]) -> f64 {
    let side = |wanted: f32| scores.iter().zip(targets).filter(move |(_, target)| **target == wanted).map(|(s, _)| *s);
    let (mut right, mut pairs) = (0.0, 0.0);
    for positive in side(1.0) {
        for negative in side(0.0) {
            right += if positive > negative { 1.0 } else { 0.5 * f64::from(u8::from(positive == negative)) };
            pairs += 1.0;
        }
    }
    right / pairs
}

fn accuracy(scores: &[f32], targets: &[f32]) -> f64 {
    let outputs = scores.len() / targets.len();
    let right = scores.chunks(outputs).zip(targets).filter(|(scores, target)| {
        let best = (0..outputs).max_by(|&left, &right| scores[left].total_cmp(&scores[right])).unwrap();
        best == **target as usize
    });
    right.count() as f64 / targets.len() as f64
}

fn r2(targets: &[f32], scores: &[f32]) -> f64 {
    let mean = targets.iter().map(|&target| f64::from(target)).sum::<f64>() / targets.len() as f64;
    let rest: f64 = targets.iter().zip(scores).map(|(t, s)| (f64::from(*t) - f64::from(*s)).powi(2)).sum();
    let spread: f64 = targets.iter().map(|target| (f64::from(*target) - mean).powi(2)).sum();
    1.0 - rest / spread
}

#[test]
fn two_classes_are_ranked_as_well_as_by_the_references() {
    let data: Folded = read("breast_cancer");
    let ours = by_fold(&data, 200, Objective::Logistic, auc);
    println!("breast cancer, AUC over 5 folds: {ours:.5}, references {:?}", data.reference);
    assert!(ours >= 0.99, "{ours}");
    assert!(ours >= data.reference["lightgbm_auc"] - 0.003 && ours >= data.reference["sklearn_auc"] - 0.003);
}

#[test]
fn missing_values_cost_no_more_than_in_the_references() {
    let mut data: Folded = read("breast_cancer");
    for (at, value) in data.features.iter_mut().enumerate() {
        if ((at / data.columns) * 31 + (at % data.columns) * 17).is_multiple_of(5) {
            *value = f32::NAN;
        }
    }
    let ours = by_fold(&data, 200, Objective::Logistic, auc);
    println!("breast cancer with every fifth value missing: {ours:.5}, references {:?}", data.reference);
    assert!(ours >= data.reference["lightgbm_auc_with_holes"] - 0.004);
    assert!(ours >= data.reference["sklearn_auc_with_holes"] - 0.004);
}

#[test]
fn three_classes_are_told_apart() {
    let data: Folded = read("wine");
    let ours = by_fold(&data, 100, Objective::Softmax { classes: 3 }, accuracy);
    println!("wine, accuracy over 5 folds: {ours:.5}, references {:?}", data.reference);
    assert!(ours >= 0.95, "{ours}");
    assert!(ours >= data.reference["lightgbm_accuracy"] - 0.012);
    assert!(ours >= data.reference["sklearn_accuracy"] - 0.012);
}

#[test]
fn prices_are_predicted_as_well_as_by_the_references() {
    #[derive(Deserialize)]
    struct References {
        lightgbm_r2: f64,
        sklearn_r2: f64,
    }
    let (data, references): (Split, References) = (read("diamonds"), read("diamonds"));
    let (features, test_features) = data.features.split_at(data.training_rows * data.columns);
    let (targets, test_targets) = data.targets.split_at(data.training_rows);
    let settings = BoostSettings { rounds: 200, ..BoostSettings::default() };
    let forest = train(features, targets, &settings, Objective::SquaredError);
    let ours = r2(test_targets, &forest.predict(test_features, data.columns).unwrap());
    println!(
        "diamonds, R2 ours {ours:.5}, LightGBM {:.5}, scikit-learn {:.5}",
        references.lightgbm_r2, references.sklearn_r2
    );
    assert!(ours >= references.lightgbm_r2 - 0.005 && ours >= references.sklearn_r2 - 0.005, "{ours}");
    let importance = forest.importance();
    let (carat, others) = (importance[0] + importance[6] + importance[7] + importance[8], &importance[1..6]);
    assert!(carat > others.iter().sum(), "size decides the price: {importance:?}");
}

#[test]
fn quantiles_cover_their_share() {
    #[derive(Deserialize)]
    struct References {
        lightgbm: Vec<Reference>,
    }
    #[derive(Deserialize)]
    struct Reference {
        q: f64,
        coverage: f64,
        loss: f64,
    }
    let (data, references): (Split, References) = (read("quantile"), read("quantile"));
    let (features, test_features) = data.features.split_at(data.training_rows * data.columns);
    let (targets, test_targets) = data.targets.split_at(data.training_rows);
    let settings = BoostSettings { rounds: 150, max_leaves: 7, learning_rate: 0.05, ..BoostSettings::default() };
    for Reference { q, coverage, loss } in references.lightgbm {
        let forest = train(features, targets, &settings, Objective::Quantile { q });
        let scores = forest.predict(test_features, data.columns).unwrap();
        let below = test_targets.iter().zip(&scores).filter(|(target, score)| target <= score).count();
        let ours = below as f64 / scores.len() as f64;
        let pinball = |(target, score): (&f32, &f32)| {
            let error = f64::from(target - score);
            (q * error).max((q - 1.0) * error)
        };
        let our_loss = test_targets.iter().zip(&scores).map(pinball).sum::<f64>() / scores.len() as f64;
        println!("quantile {q}: coverage {ours:.3} ({coverage:.3}), loss {our_loss:.4} ({loss:.4})");
        assert!((ours - q).abs() < 0.04, "{q}: {ours}");
        assert!(our_loss < loss * 1.03, "{q}: {our_loss} {loss}");
    }
}

/// Under the settings and for the rounds that `reference.py` names, not under all.
#[test]
fn with_a_bin_for_each_value_the_scores_are_those_of_lightgbm() {
    #[derive(Deserialize)]
    struct Twins {
        columns: usize,
        features: Vec<f32>,
        cases: BTreeMap<String, Case>,
    }
    #[derive(Deserialize)]
    struct Case {
        targets: Vec<f32>,
        rounds: usize,
        min_child_weight: f64,
        scores: Vec<f32>,
    }
    let twins: Twins = read("twins");
    assert_eq!(twins.cases.len(), 6);
    for (name, case) in twins.cases {
        let settings = BoostSettings {
            rounds: case.rounds,
            max_leaves: 7,
            max_depth: 6,
            min_rows_per_leaf: 1,
            min_child_weight: case.min_child_weight,
            ..BoostSettings::default()
        };
        let objective = match name.split_once('_').unwrap().0 {
            "squared" => Objective::SquaredError,
            "logistic" => Objective::Logistic,
            _ => Objective::Softmax { classes: 3 },
        };
        let ours = train(&twins.features, &case.targets, &settings, objective);
        let ours = ours.predict(&twins.features, twins.columns).unwrap();
        let furthest = ours.iter().zip(&case.scores).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f32::max);
        println!("{name}: furthest apart {furthest:e}");
        assert!(furthest < 1e-5, "{name}: {furthest}");
    }
}
