//! The best value that the TPE sampler finds on a function: `best_value branin|hartmann TRIALS SEED`. For bench/compare.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A program of the benchmark, not of the product.

#[path = "../tests/search/problems.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod problems;

use lepton_tune::Sampler;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let problem = match arguments[1].as_str() {
        "branin" => problems::branin(),
        "hartmann" => problems::hartmann(),
        other => panic!("there is no function \"{other}\""),
    };
    let (trials, seed) = (arguments[2].parse().expect("trials"), arguments[3].parse().expect("a seed"));
    let best = problems::best_values(&problem, &Sampler::default(), trials, seed..seed + 1);
    println!("{}", serde_json::json!({ "best": best[0] }));
}
