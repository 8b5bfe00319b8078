//! What holds for every sampler over any space: points stay inside, conditions hold, and a search that was cut and
//! continued is the one that was not.

use crate::problems::{mixed, search};
use lepton_core::Seed;
use lepton_tune::{
    CmaEs, Dimension, Direction, Domain, GaussianProcess, Grid, Point, Sampler, Space, State, Tpe, Trial,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn samplers() -> Vec<Sampler> {
    vec![
        Sampler::Random {},
        Sampler::Tpe(Tpe { startup_trials: 4, ..Tpe::default() }),
        Sampler::Tpe(Tpe { startup_trials: 4, multivariate: false, ..Tpe::default() }),
        Sampler::CmaEs(CmaEs::default()),
        Sampler::GaussianProcess(GaussianProcess { startup_trials: 4, ..GaussianProcess::default() }),
    ]
}

/// What came of a trial: a mixture of states that depends on its number alone, and values that depend on its point.
fn ended(number: u64, point: Point, objectives: usize) -> Trial {
    let value: f64 = point
        .values()
        .map(|value| value.as_f64().map_or_else(|| value.to_string().len() as f64, |number| (number * 0.01).sin()))
        .sum();
    let steps = vec![(1, value + 1.0), (2, value)];
    let (state, values) = match number % 7 {
        2 => (State::Failed, Vec::new()),
        3 => (State::Pruned, Vec::new()),
        5 => (State::Running, Vec::new()),
        _ => (State::Complete, (0..objectives).map(|index| value * (index as f64 - 0.5)).collect()),
    };
    Trial { number, point, state, values, steps }
}

fn walk(space: &Space, sampler: &Sampler, directions: &[Direction], trials: u64, start: Vec<Trial>) -> Vec<Trial> {
    let mut history = start;
    for number in history.len() as u64..trials {
        let point = sampler.suggest(space, directions, &history, number, Seed(11)).unwrap();
        assert!(space.contains(&point), "{sampler:?}: {point:?} is not in {space:?}");
        history.push(ended(number, point, directions.len()));
    }
    history
}

fn domains() -> impl Strategy<Value = Domain> {
    prop_oneof![
        (-1e3..1e3f64, 1e-3..1e3f64).prop_map(|(low, width)| Domain::Float {
            low,
            high: low + width,
            log: false,
            step: None
        }),
        (1e-8..1.0f64, 1.5..1e6f64).prop_map(|(low, factor)| Domain::Float {
            low,
            high: low * factor,
            log: true,
            step: None
        }),
        (-10.0..10.0f64, 0.01..2.0f64, 1.0..9.0f64).prop_map(|(low, step, count)| Domain::Float {
            low,
            high: low + step * count,
            log: false,
            step: Some(step)
        }),
        (-50..50i64, 1..90i64, 1..9i64).prop_map(|(low, width, step)| Domain::Int {
            low,
            high: low + width,
            log: false,
            step: step.min(width)
        }),
        (1..9i64, 1..900i64).prop_map(|(low, width)| Domain::Int { low, high: low + width, log: true, step: 1 }),
        (1..5usize)
            .prop_map(|count| Domain::Choice { choices: (0..count).map(|index| json!({ "name": index })).collect() }),
    ]
}

/// A space of some dimensions, where some apply only for the value that an earlier one has at a coordinate.
fn spaces() -> impl Strategy<Value = Space> {
    let dimension = (domains(), prop::option::of((any::<prop::sample::Index>(), 0.0..1.0f64)));
    prop::collection::vec(dimension, 1..6).prop_map(|drawn| {
        let mut space = Space::default();
        for (index, (domain, condition)) in drawn.into_iter().enumerate() {
            let mut dimension = Dimension::new(domain);
            let earlier: Vec<(String, Value)> = match &condition {
                Some((_, at)) => space
                    .dimensions
                    .iter()
                    .filter(|(_, other)| !matches!(other.domain, Domain::Float { .. }))
                    .map(|(key, other)| (key.clone(), other.domain.from_unit(*at)))
                    .collect(),
                None => Vec::new(),
            };
            if let (Some((pick, _)), false) = (condition, earlier.is_empty()) {
                let (key, value) = earlier[pick.index(earlier.len())].clone();
                dimension = dimension.when(key, value);
            }
            // Keys against the order of the conditions, so that alphabetical order is not enough.
            space.dimensions.insert(format!("key.{}", 9 - index), dimension);
        }
        space
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_sampler_leaves_the_space(space in spaces()) {
        space.validate().unwrap();
        for sampler in samplers() {
            walk(&space, &sampler, &[Direction::Maximize], 14, Vec::new());
        }
        for sampler in [&samplers()[1], &samplers()[4]] {
            walk(&space, sampler, &[Direction::Minimize, Direction::Maximize], 12, Vec::new());
        }
        let grid = Grid { points: 2 };
        if let Ok(count) = grid.count(&space) {
            walk(&space, &Sampler::Grid(grid), &[Direction::Minimize], count.min(20), Vec::new());
        }
    }
}

#[test]
fn a_search_that_was_cut_goes_on_as_if_it_was_not() {
    let space = conditional();
    for sampler in samplers() {
        let unbroken = walk(&space, &sampler, &[Direction::Minimize], 40, Vec::new());
        for cut in [0, 1, 5, 13, 26, 39] {
            // Through JSON and in another order, as a database may give it back.
            let text = serde_json::to_string(&unbroken[..cut]).unwrap();
            let mut kept: Vec<Trial> = serde_json::from_str(&text).unwrap();
            kept.reverse();
            let resumed = walk(&space, &sampler, &[Direction::Minimize], 40, kept);
            assert_eq!(resumed[cut..], unbroken[cut..], "{sampler:?} cut at {cut}");
        }
    }
}

#[test]
fn seeds_and_numbers_change_what_is_suggested() {
    let space = conditional();
    for sampler in samplers() {
        let history = walk(&space, &sampler, &[Direction::Minimize], 30, Vec::new());
        let suggest =
            |number, seed| sampler.suggest(&space, &[Direction::Minimize], &history, number, Seed(seed)).unwrap();
        assert_eq!(suggest(30, 1), suggest(30, 1));
        assert_ne!(suggest(30, 1), suggest(30, 2), "{sampler:?}");
        assert_ne!(suggest(30, 1), suggest(31, 1), "{sampler:?}");
    }
}

fn conditional() -> Space {
    toml::from_str(
        r#"
"train.optimizer.kind" = { choices = ["adam", "sgd"] }
"train.optimizer.momentum" = { low = 0.0, high = 0.99, when = { key = "train.optimizer.kind", equals = "sgd" } }
"train.optimizer.nesterov" = { choices = [true, false], when = { key = "train.optimizer.kind", equals = "sgd" } }
"train.optimizer.beta" = { low = 0.9, high = 0.999, when = { key = "train.optimizer.kind", equals = "adam" } }
"train.learning_rate" = { low = 1e-5, high = 1e-1, log = true }
"train.batch_size" = { low = 8, high = 256, log = true }
"#,
    )
    .unwrap()
}

#[test]
fn conditional_dimensions_appear_only_when_their_condition_holds() {
    let space = conditional();
    for sampler in samplers() {
        let history = walk(&space, &sampler, &[Direction::Minimize], 40, Vec::new());
        let mut kinds = [0, 0];
        for trial in &history {
            let sgd = trial.point["train.optimizer.kind"] == "sgd";
            kinds[usize::from(sgd)] += 1;
            for (key, expected) in [("momentum", sgd), ("nesterov", sgd), ("beta", !sgd)] {
                assert_eq!(trial.point.contains_key(&format!("train.optimizer.{key}")), expected, "{sampler:?}");
            }
        }
        assert!(kinds[0] > 0 && kinds[1] > 0, "{sampler:?}: {kinds:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let space = conditional();
    let mut wrong = vec![ended(0, Point::new(), 1)];
    wrong[0].values = vec![1.0, 2.0];
    for sampler in samplers() {
        assert!(sampler.suggest(&space, &[Direction::Minimize], &wrong, 1, Seed(1)).is_err());
        assert!(sampler.suggest(&space, &[], &[], 0, Seed(1)).is_err());
        assert!(sampler.suggest(&Space::default(), &[Direction::Minimize], &[], 0, Seed(1)).is_err());
    }
}

#[test]
fn two_objectives_come_close_to_the_whole_front() {
    let space: Space =
        serde_json::from_str(r#"{ "x": { "low": 0.0, "high": 1.0 }, "y": { "low": 0.0, "high": 1.0 } }"#).unwrap();
    let directions = [Direction::Minimize, Direction::Maximize];
    let area = |sampler: &Sampler| -> f64 {
        let total: f64 = (0..3)
            .map(|seed| {
                let mut history = Vec::new();
                for number in 0..60 {
                    let point = sampler.suggest(&space, &directions, &history, number, Seed(seed)).unwrap();
                    let (x, y) = (point["x"].as_f64().unwrap(), point["y"].as_f64().unwrap());
                    // The front lies at y = 0.2, where the first objective is x and the second -(1 - sqrt(x)).
                    let values = vec![x, -(1.0 - x.sqrt() + 2.0 * (y - 0.2).abs())];
                    history.push(Trial { number, point, state: State::Complete, values, steps: Vec::new() });
                }
                let values: Vec<Vec<f64>> = history.into_iter().map(|trial| trial.values).collect();
                lepton_tune::hypervolume(&values, &directions, &[1.0, -1.0]).unwrap()
            })
            .sum();
        total / 3.0
    };
    let (tpe, random) = (area(&Sampler::default()), area(&Sampler::Random {}));
    let process = area(&Sampler::GaussianProcess(GaussianProcess::default()));
    // The whole front dominates 2/3.
    assert!(tpe > random + 0.02 && process > random + 0.02, "{tpe} {process} {random}");
}

#[test]
fn trials_side_by_side_do_not_try_the_same() {
    let problem = mixed();
    for sampler in [Sampler::default(), Sampler::GaussianProcess(GaussianProcess::default())] {
        let mut history = search(&problem, &sampler, 20, 1);
        for number in 20..28 {
            let point = sampler.suggest(&problem.space, &[Direction::Minimize], &history, number, Seed(1)).unwrap();
            assert!(history.iter().all(|trial| trial.point != point), "{sampler:?}: {point:?}");
            history.push(Trial { number, point, state: State::Running, values: Vec::new(), steps: Vec::new() });
        }
    }
}
