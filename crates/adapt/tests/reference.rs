//! The methods against values that numpy, scipy and scikit-learn made (`data/make_reference.py`).

#![allow(clippy::unwrap_used)] // A test says what went wrong by failing.

use lepton_adapt::{
    Coral, LogisticRegression, Rows, TransferBoost, discrepancy, discrepancy_penalty, effective_sample_size,
    transfer_boost, unconstrained_least_squares,
};
use lepton_core::Seed;
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    width: usize,
    source: Vec<f32>,
    target: Vec<f32>,
    logistic: Logistic,
    coral: Vec<f64>,
    discrepancy: f64,
    weights: Vec<f32>,
    weighted_discrepancy: f64,
    penalty: Penalty,
    least_squares: Vec<f64>,
    effective_sample_size: f64,
    boost: Vec<Round>,
}

#[derive(Deserialize)]
struct Logistic {
    weights: Vec<f64>,
    intercept: f64,
    ratios: Vec<f64>,
}

#[derive(Deserialize)]
struct Penalty {
    value: f64,
    gradient: Vec<f64>,
}

#[derive(Deserialize)]
struct Round {
    weights: Vec<f64>,
    error: f64,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("data/reference.json")).unwrap()
}

fn close(ours: &[f64], theirs: &[f64], within: f64) {
    assert_eq!(ours.len(), theirs.len());
    for (place, (one, other)) in ours.iter().zip(theirs).enumerate() {
        assert!((one - other).abs() <= within * other.abs().max(1.0), "{place}: {one}, the reference has {other}");
    }
}

fn doubles(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

#[test]
fn a_classifier_between_domains_is_scikit_learns() {
    let Reference { width, source, target, logistic, .. } = reference();
    let both = [source.clone(), target].concat();
    let rows = Rows::new(&both, width).unwrap();
    let sources = source.len() / width;
    let is_target: Vec<bool> = (0..rows.len()).map(|row| row >= sources).collect();
    let fit = LogisticRegression::fit(&rows, &is_target, 2.0).unwrap();
    close(&fit.weights, &logistic.weights, 1e-5);
    close(&[fit.intercept], &[logistic.intercept], 1e-5);
    let prior = sources as f64 / (rows.len() - sources) as f64;
    let ratio = |row: usize| {
        let probability = fit.probability(rows.row(row));
        prior * probability / (1.0 - probability)
    };
    close(&(0..sources).map(ratio).collect::<Vec<_>>(), &logistic.ratios, 1e-5);
}

#[test]
fn aligned_rows_are_scipys() {
    let Reference { width, source, target, coral, .. } = reference();
    let (source, target) = (Rows::new(&source, width).unwrap(), Rows::new(&target, width).unwrap());
    let moved = Coral::fit(&source, &target, 0.1).unwrap().apply(&source).unwrap();
    close(&doubles(&moved), &coral, 1e-5);
}

#[test]
fn discrepancies_and_the_slopes_of_the_penalty_are_numpys() {
    let all = reference();
    let (source, target) = (Rows::new(&all.source, all.width).unwrap(), Rows::new(&all.target, all.width).unwrap());
    let of = |weights: Option<&[f32]>| discrepancy(&source, weights, &target, 0, Seed(1)).unwrap().value;
    close(&[of(None), of(Some(&all.weights))], &[all.discrepancy, all.weighted_discrepancy], 1e-6);
    close(&[effective_sample_size(&all.weights)], &[all.effective_sample_size], 1e-6);
    let batch = [&all.source[..5 * all.width], &all.target[..4 * all.width]].concat();
    let domains: Vec<bool> = (0..9).map(|row| row >= 5).collect();
    let (value, gradient) = discrepancy_penalty(&Rows::new(&batch, all.width).unwrap(), &domains).unwrap();
    close(&[value], &[all.penalty.value], 1e-6);
    close(&doubles(&gradient), &all.penalty.gradient, 1e-5);
}

#[test]
fn the_least_squares_fit_is_numpys() {
    let Reference { width, source, target, least_squares, .. } = reference();
    let (source, target) = (Rows::new(&source, width).unwrap(), Rows::new(&target, width).unwrap());
    let ratios = unconstrained_least_squares(&source, &target, 0.1, Seed(1)).unwrap();
    close(&ratios, &least_squares, 1e-5);
}

#[test]
fn weights_of_rounds_are_those_of_the_papers_algorithm() {
    let rounds = reference().boost;
    let settings = TransferBoost { rounds: rounds.len(), target_share: 1.0 };
    let wrong = |round: usize| Ok((0..18).map(|row| (3 * row + 2 * round).is_multiple_of(5)).collect());
    let ours = transfer_boost(12, 6, &settings, |round, _| wrong(round)).unwrap();
    for (ours, theirs) in ours.iter().zip(&rounds) {
        close(&doubles(&ours.weights), &theirs.weights, 1e-5);
        close(&[ours.error], &[theirs.error], 1e-6);
    }
}
