//! The functions that searches are measured on, with their spaces, and a search whose trials run one after the other.

use lepton_core::Seed;
use lepton_tune::{Direction, Point, Sampler, Space, State, Trial};
use std::f64::consts::PI;

/// A space and a function over it to be minimised.
pub(crate) struct Problem {
    pub(crate) space: Space,
    pub(crate) loss: fn(&Point) -> f64,
}

fn number(point: &Point, key: &str) -> f64 {
    point[key].as_f64().unwrap()
}

/// Branin and Hoo (1972): three equal minima of 0.3979.
pub(crate) fn branin() -> Problem {
    let text = r#"{ "x": { "low": -5.0, "high": 10.0 }, "y": { "low": 0.0, "high": 15.0 } }"#;
    let loss = |point: &Point| {
        let (x, y) = (number(point, "x"), number(point, "y"));
        let (b, c, t) = (5.1 / (4.0 * PI * PI), 5.0 / PI, 1.0 / (8.0 * PI));
        (y - b * x * x + c * x - 6.0).powi(2) + 10.0 * (1.0 - t) * x.cos() + 10.0
    };
    Problem { space: serde_json::from_str(text).unwrap(), loss }
}

/// Hartmann's function in six dimensions: a minimum of -3.3224 among several.
pub(crate) fn hartmann() -> Problem {
    const A: [[f64; 6]; 4] = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    const P: [[f64; 6]; 4] = [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ];
    let dimension = |index: usize| format!(r#""x{index}": {{ "low": 0.0, "high": 1.0 }}"#);
    let text = format!("{{ {} }}", (0..6).map(dimension).collect::<Vec<_>>().join(", "));
    let loss = |point: &Point| {
        let term =
            |k: usize| -> f64 { (0..6).map(|i| A[k][i] * (number(point, &format!("x{i}")) - P[k][i]).powi(2)).sum() };
        -[1.0, 1.2, 3.0, 3.2].iter().enumerate().map(|(k, alpha)| alpha * (-term(k)).exp()).sum::<f64>()
    };
    Problem { space: serde_json::from_str(&text).unwrap(), loss }
}

/// Settings of a training as they might be: the best rate depends on the optimiser. A minimum of 0.
pub(crate) fn mixed() -> Problem {
    let text = r#"{ "optimizer": { "choices": ["adam", "sgd", "rmsprop", "lion"] },
        "rate": { "low": 1e-5, "high": 1.0, "log": true }, "layers": { "low": 1, "high": 8 },
        "dropout": { "low": 0.0, "high": 0.6, "step": 0.1 } }"#;
    let loss = |point: &Point| {
        let (best, floor) = match point["optimizer"].as_str().unwrap() {
            "adam" => (-3.0, 0.0),
            "sgd" => (-1.0, 0.1),
            "rmsprop" => (-3.5, 0.2),
            _ => (-4.0, 0.05),
        };
        floor
            + 0.3 * (number(point, "rate").log10() - best).powi(2)
            + 0.02 * (number(point, "layers") - 5.0).powi(2)
            + 2.0 * (number(point, "dropout") - 0.3).powi(2)
    };
    Problem { space: serde_json::from_str(text).unwrap(), loss }
}

/// The history of a search of `trials` trials.
pub(crate) fn search(problem: &Problem, sampler: &Sampler, trials: u64, seed: u64) -> Vec<Trial> {
    let mut history = Vec::new();
    for number in 0..trials {
        let point = sampler.suggest(&problem.space, &[Direction::Minimize], &history, number, Seed(seed)).unwrap();
        let values = vec![(problem.loss)(&point)];
        history.push(Trial { number, point, state: State::Complete, values, steps: Vec::new() });
    }
    history
}

/// The best value of each search, one per seed.
pub(crate) fn best_values(problem: &Problem, sampler: &Sampler, trials: u64, seeds: std::ops::Range<u64>) -> Vec<f64> {
    let best =
        |seed| search(problem, sampler, trials, seed).iter().map(|trial| trial.values[0]).fold(f64::INFINITY, f64::min);
    seeds.map(best).collect()
}

/// Mean and standard error.
pub(crate) fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}
