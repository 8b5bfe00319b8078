//! How well the samplers search: against Optuna's values (tests/data/optuna_best.py makes them) and each other.

use crate::problems::{Problem, best_values, branin, hartmann, mean_and_error, mixed};
use lepton_tune::{CmaEs, GaussianProcess, Sampler, Tpe};
use serde_json::Value;

/// As many seeds as the reference has: the mean of fewer has a larger error than the tolerance.
const SEEDS: u64 = 20;

#[track_caller]
fn not_worse_than_optuna(name: &str, problem: &Problem, sampler: &Sampler, kind: &str) {
    let reference: Value = serde_json::from_str(include_str!("../data/optuna_best.json")).unwrap();
    let values: Vec<f64> = serde_json::from_value(reference[name][kind].clone()).unwrap();
    let trials = reference[name]["trials"].as_u64().unwrap();
    assert_eq!(values.len() as u64, SEEDS);
    let (expected, error) = mean_and_error(&values);
    let (mean, own_error) = mean_and_error(&best_values(problem, sampler, trials, 0..SEEDS));
    assert!(mean <= expected + error, "{name}: {mean} ± {own_error}, Optuna's {expected} ± {error}");
}

#[test]
fn tpe_finds_what_optunas_finds_on_branin() {
    not_worse_than_optuna("branin", &branin(), &Sampler::default(), "default");
}

#[test]
fn tpe_finds_what_optunas_finds_on_hartmann() {
    not_worse_than_optuna("hartmann", &hartmann(), &Sampler::default(), "default");
}

#[test]
fn tpe_finds_what_optunas_finds_on_a_mixed_space() {
    not_worse_than_optuna("mixed", &mixed(), &Sampler::default(), "default");
}

#[test]
fn one_density_for_each_dimension_finds_what_optunas_finds() {
    let sampler = Sampler::Tpe(Tpe { multivariate: false, ..Tpe::default() });
    not_worse_than_optuna("branin", &branin(), &sampler, "independent");
    not_worse_than_optuna("mixed", &mixed(), &sampler, "independent");
}

#[test]
fn covariance_adaptation_beats_chance_on_hartmann() {
    let mean = |sampler| mean_and_error(&best_values(&hartmann(), &sampler, 150, 0..5)).0;
    let (adapted, random) = (mean(Sampler::CmaEs(CmaEs::default())), mean(Sampler::Random {}));
    assert!(adapted < random - 0.3, "{adapted} {random}");
}

#[test]
fn the_gaussian_process_beats_tpe_on_branin() {
    let mean = |sampler| mean_and_error(&best_values(&branin(), &sampler, 40, 0..5)).0;
    let (process, tpe) = (mean(Sampler::GaussianProcess(GaussianProcess::default())), mean(Sampler::default()));
    assert!(process < tpe && process < 0.41, "{process} {tpe}");
}
