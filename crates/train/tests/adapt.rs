//! Training for another domain, as the pipeline calls it: weights count, alignment resumes to the same bytes, rounds vote.

#![allow(clippy::unwrap_used)]
#![allow(dead_code, reason = "the support is shared with the tests of the fit loop")]

mod support;

use lepton_core::{Cancel, ErrorCode, Seed, Silent, Tensor};
use lepton_train::{AdaptSettings, Adapted, Checkpoints, FitJob, InMemory, Learner, Target, TargetRows, fit_adapted};
use support::{Problem, Recorder};

fn settings(more: &str) -> AdaptSettings {
    serde_json::from_str(&format!(r#"{{"column": "site", "target": "new"{more}}}"#)).unwrap()
}

/// Points of the spirals, moved to the right.
fn target(problem: &Problem) -> Tensor {
    let (features, _) = problem.valid.everything().unwrap();
    let moved = features.as_float32().unwrap().iter().enumerate();
    Tensor::float32(
        features.shape().to_vec(),
        moved.map(|(at, x)| x + 0.7 * f32::from(u8::from(at % 2 == 0))).collect(),
    )
    .unwrap()
}

fn adapt(
    problem: &Problem,
    more: &str,
    labelled: usize,
    checkpoints: &mut dyn Checkpoints,
    cancel: &Cancel,
) -> lepton_core::Result<Adapted> {
    let labels = ["inner".to_owned(), "outer".to_owned()];
    let job = FitJob {
        task: &problem.task,
        learner: &Learner::Network(problem.architecture.clone()),
        target: Target::Classes(&labels),
        train: &problem.train,
        valid: &problem.valid,
        settings: &problem.settings,
        seed: problem.seed,
        checkpoints,
        progress: &Silent,
        cancel,
    };
    fit_adapted(job, &TargetRows { features: &target(problem), labelled }, &settings(more))
}

fn bytes(problem: &Problem, more: &str) -> Vec<u8> {
    let adapted = adapt(problem, more, 40, &mut InMemory::default(), &Cancel::default()).unwrap();
    adapted.fit.network.weights().unwrap()
}

#[test]
fn weights_of_one_are_no_weights_and_others_change_what_is_learned() {
    let mut problem = Problem::new();
    let fit = |problem: &Problem| {
        problem.fit(&mut InMemory::default(), &Silent, &Cancel::default()).unwrap().network.weights().unwrap()
    };
    let plain = fit(&problem);
    let rows = problem.train.rows();
    problem.train = problem.train.with_weights(vec![1.0; rows]).unwrap();
    assert_eq!(fit(&problem), plain);
    problem.train =
        problem.train.with_weights((0..rows).map(|row| if row < 100 { 2.0 } else { 0.1 }).collect()).unwrap();
    assert_ne!(fit(&problem), plain);
}

#[test]
fn an_aligned_training_that_was_stopped_ends_with_the_bytes_of_an_unbroken_one() {
    let mut problem = Problem::new();
    problem.settings.checkpoint_steps = 1;
    for more in [r#", "method": "adversarial", "labels": 40"#, r#", "method": "mmd", "labels": 40"#] {
        let unbroken = bytes(&problem, more);
        assert_eq!(unbroken, bytes(&problem, more), "{more}: the same seed gives the same bytes");
        for stop_at in [7, 13, 20] {
            let cancel = Cancel::default();
            let mut broken = Recorder { stop_at: Some((stop_at, cancel.clone())), ..Recorder::default() };
            let error = adapt(&problem, more, 40, &mut broken, &cancel).err().unwrap();
            assert_eq!(error.code(), ErrorCode::Cancelled);
            let mut rest = Recorder { saved: broken.saved, stop_at: None };
            let resumed = adapt(&problem, more, 40, &mut rest, &Cancel::default()).unwrap();
            assert_eq!(resumed.fit.resumed_from_step, Some(stop_at));
            assert_eq!(resumed.fit.network.weights().unwrap(), unbroken, "{more}, stopped at {stop_at}");
        }
        let cancel = Cancel::default();
        let mut broken = Recorder { stop_at: Some((7, cancel.clone())), ..Recorder::default() };
        adapt(&problem, more, 40, &mut broken, &cancel).err().unwrap();
        let other = more.replace("40", "40, \"strength\": 0.5");
        let error = adapt(&problem, &other, 40, &mut broken, &Cancel::default()).err().unwrap();
        assert_eq!(error.code(), ErrorCode::Integrity, "a checkpoint of another strength is none of this training");
    }
}

#[test]
fn alignment_changes_the_weights_and_leaves_the_network_as_it_was_drawn() {
    let problem = Problem::new();
    let plain = problem.fit(&mut InMemory::default(), &Silent, &Cancel::default()).unwrap().network;
    for method in ["adversarial", "mmd"] {
        let more = format!(r#", "method": "{method}""#);
        let adapted = adapt(&problem, &more, 0, &mut InMemory::default(), &Cancel::default()).unwrap();
        let network = adapted.fit.network;
        assert_eq!(network.architecture(), plain.architecture(), "the domain head is no part of it");
        assert_ne!(network.weights().unwrap(), plain.weights().unwrap());
    }
}

#[test]
fn rounds_vote_as_one_network_and_weigh_what_they_saw() {
    let problem = Problem::new();
    let more = r#", "method": "tradaboost", "labels": 40, "rounds": 3, "target_share": 0.4"#;
    let adapted = adapt(&problem, more, 40, &mut InMemory::default(), &Cancel::default()).unwrap();
    let names: Vec<&str> = adapted.fit.network.architecture().layers.iter().map(|node| node.name.as_str()).collect();
    assert!(names.iter().any(|name| name.starts_with("m2_")) && names.last() == Some(&"weighed"), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("m3_")), "of three rounds the last two vote: {names:?}");
    let weights = adapted.weights.unwrap();
    assert_eq!(weights.len(), 200);
    let (all, of_target): (f32, f32) = (weights.iter().sum(), weights[160..].iter().sum());
    assert!((all - 200.0).abs() < 0.1 && of_target / all <= 0.401, "{of_target} of {all}");
    let error = adapt(&problem, r#", "method": "tradaboost""#, 0, &mut InMemory::default(), &Cancel::default());
    assert_eq!(error.err().unwrap().place().key.as_deref(), Some("adapt.labels"));
}

#[test]
fn another_seed_gives_other_bytes_and_a_part_of_target_rows_alone_is_refused() {
    let mut problem = Problem::new();
    let more = r#", "method": "density-ratio", "labels": 40"#;
    let first = bytes(&problem, more);
    problem.seed = Seed(11);
    assert_ne!(first, bytes(&problem, more));
    let error = adapt(&problem, more, 200, &mut InMemory::default(), &Cancel::default()).err().unwrap();
    assert!(error.message().contains("no training row is of a source domain"), "{error}");
}
