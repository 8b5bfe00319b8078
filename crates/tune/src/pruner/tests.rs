//! Decisions of the pruners, against Optuna's and against their definitions.

use super::*;
use crate::numbers::draw::uniform;
use crate::space::Point;
use lepton_core::Seed;

const MINIMIZE: Direction = Direction::Minimize;

fn trial(number: u64, state: State, values: &[f64]) -> Trial {
    let steps = values.iter().enumerate().map(|(index, value)| (index as u64 + 1, *value)).collect();
    Trial { number, point: Point::new(), state, values: Vec::new(), steps }
}

#[test]
fn decisions_are_those_of_optuna() {
    let reference: serde_json::Value = serde_json::from_str(include_str!("../../tests/data/pruners.json")).unwrap();
    for case in reference["cases"].as_array().unwrap() {
        let pruner: Pruner = serde_json::from_value(case["pruner"].clone()).unwrap();
        let direction: Direction = serde_json::from_value(case["direction"].clone()).unwrap();
        let mut history = Vec::new();
        let mut pruned = 0;
        for (number, row) in case["trials"].as_array().unwrap().iter().enumerate() {
            let reported: Vec<f64> = serde_json::from_value(row["reported"].clone()).unwrap();
            let mut current = trial(number as u64, State::Running, &[]);
            for (index, value) in reported.iter().enumerate() {
                current.steps.push((index as u64 + 1, *value));
                let last = index + 1 == reported.len() && row["pruned"].as_bool().unwrap();
                assert_eq!(
                    pruner.should_prune(&current, &history, direction),
                    last,
                    "{pruner:?}: trial {number} at step {}",
                    index + 1
                );
            }
            pruned += usize::from(row["pruned"].as_bool().unwrap());
            current.state = if row["pruned"].as_bool().unwrap() { State::Pruned } else { State::Complete };
            history.push(current);
        }
        assert!(pruned > 5 && pruned < history.len(), "{pruner:?}: {pruned}");
    }
}

/// Trials one after the other whose value never changes: how many come onto each rung, and how many go on from it.
fn halved(pruner: &Pruner, count: u64, steps: u64) -> Vec<Trial> {
    let mut rng = Seed(9).rng("halving", &[]);
    let mut history: Vec<Trial> = Vec::new();
    for number in 0..count {
        let value = uniform(&mut rng);
        let mut current = trial(number, State::Running, &[]);
        for step in 1..=steps {
            current.steps.push((step, value));
            if pruner.should_prune(&current, &history, MINIMIZE) {
                current.state = State::Pruned;
                break;
            }
        }
        if current.state == State::Running {
            current.state = State::Complete;
        }
        history.push(current);
    }
    history
}

#[test]
fn halving_keeps_about_one_in_eta_on_each_rung() {
    for eta in [2, 3, 4] {
        let pruner = Pruner::Asha { min_resource: 2, reduction_factor: eta, max_resource: 2 * eta.pow(2) + 1 };
        let history = halved(&pruner, 3000, 2 * eta.pow(2) + 1);
        for rung in 0..3 {
            let step = 2 * eta.pow(rung);
            let came = history.iter().filter(|trial| trial.last_step().unwrap().0 >= step).count() as f64;
            let left = history.iter().filter(|trial| trial.last_step().unwrap().0 > step).count() as f64;
            let share = left / came;
            // Early comers are promoted among few, which adds a handful.
            assert!((share * eta as f64 - 1.0).abs() < 0.3, "eta {eta} rung {rung}: {left} of {came}");
        }
    }
}

#[test]
fn hyperband_has_halvings_that_begin_at_different_steps() {
    let pruner = Pruner::Hyperband { min_resource: 1, reduction_factor: 3, max_resource: 27 };
    let rungs = Rungs { min_resource: 1, reduction_factor: 3, max_resource: 27 };
    let brackets: Vec<u32> = (0..49).map(|number| rungs.bracket(number)).collect();
    let sizes: Vec<usize> = (0..4).map(|bracket| brackets.iter().filter(|other| **other == bracket).count()).collect();
    assert_eq!(sizes, [27, 12, 6, 4], "as in table 1 of the paper, for four halvings");
    assert_eq!(rungs.bracket(49), 0);
    let history = halved(&pruner, 490, 27);
    for bracket in 0..4u32 {
        let ended =
            history.iter().filter(|trial| rungs.bracket(trial.number) == bracket && trial.state == State::Pruned);
        let first = ended.map(|trial| trial.last_step().unwrap().0).min();
        assert_eq!(first, rungs.at(bracket), "bracket {bracket}");
    }
    let huge = Rungs { min_resource: 1, reduction_factor: 2, max_resource: u64::MAX };
    assert!(huge.bracket(u64::MAX) <= 64);
}

#[test]
fn the_median_waits_for_trials_and_steps() {
    let pruner = Pruner::Median { startup_trials: 2, warmup_steps: 3, interval: 2 };
    let good = trial(0, State::Complete, &[0.1; 9]);
    let fair = trial(1, State::Complete, &[0.3; 9]);
    let bad = |steps: usize| trial(2, State::Running, &vec![0.9; steps]);
    assert!(!pruner.should_prune(&bad(5), std::slice::from_ref(&good), MINIMIZE), "one complete trial is too few");
    let both = [good, fair];
    let decided: Vec<bool> = (0..8).map(|steps| pruner.should_prune(&bad(steps), &both, MINIMIZE)).collect();
    assert_eq!(decided, [false, false, false, true, false, true, false, true]);
    assert!(!pruner.should_prune(&bad(5), &both, Direction::Maximize));
    assert!(!pruner.should_prune(&trial(2, State::Running, &[0.9, 0.9, 0.2]), &both, MINIMIZE));
    assert!(pruner.should_prune(&trial(2, State::Running, &[f64::NAN; 3]), &both, MINIMIZE));
}

#[test]
fn a_rung_that_was_jumped_over_counts() {
    let pruner = Pruner::Asha { min_resource: 2, reduction_factor: 2, max_resource: 100 };
    let mut best = trial(0, State::Complete, &[]);
    best.steps = vec![(3, 0.1), (9, 0.1)];
    let mut next = trial(1, State::Running, &[]);
    next.steps = vec![(1, 0.5)];
    assert!(!pruner.should_prune(&next, std::slice::from_ref(&best), MINIMIZE), "no rung yet");
    next.steps.push((5, 0.5));
    assert!(pruner.should_prune(&next, std::slice::from_ref(&best), MINIMIZE));
    next.steps.push((6, 0.5));
    assert!(
        !pruner.should_prune(&next, std::slice::from_ref(&best), MINIMIZE),
        "rung 4 is decided, rung 8 not reached"
    );
    assert!(pruner.should_prune(&trial(2, State::Running, &[f64::NAN; 2]), &[], MINIMIZE), "not a number");
}

#[test]
fn settings_are_read_and_checked() {
    let read = |text: &str| toml::from_str::<Pruner>(text);
    assert_eq!(read("kind = \"median\"").unwrap(), Pruner::Median { startup_trials: 5, warmup_steps: 0, interval: 1 });
    assert_eq!(
        read("kind = \"asha\"\nmax_resource = 9").unwrap(),
        Pruner::Asha { min_resource: 1, reduction_factor: 3, max_resource: 9 }
    );
    assert!(read("kind = \"asha\"").is_err());
    assert!(read("kind = \"median\"\nwarmup = 3").is_err());
    for (text, key) in [
        ("kind = \"median\"\ninterval = 0", "tune.pruner.interval"),
        ("kind = \"asha\"\nmax_resource = 9\nreduction_factor = 1", "tune.pruner.reduction_factor"),
        ("kind = \"hyperband\"\nmax_resource = 9\nmin_resource = 0", "tune.pruner.min_resource"),
        ("kind = \"hyperband\"\nmax_resource = 9\nmin_resource = 9", "tune.pruner.max_resource"),
    ] {
        let pruner = read(text).unwrap();
        assert_eq!(pruner.validate().unwrap_err().place().key.as_deref(), Some(key));
        assert!(!pruner.should_prune(&trial(0, State::Running, &[1.0; 3]), &[], MINIMIZE));
    }
}
