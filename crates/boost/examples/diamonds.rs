//! Fits the price of diamonds and prints quality and time:
//!
//!     cargo run --release --example diamonds -- tests/data/diamonds_full.csv
//!
//! The table is written by `tests/data/reference.py`; its last two columns are the price and whether a row is for
//! testing.

use lepton_boost::{BoostSettings, Examples, Objective, fit};
use lepton_core::{Error, ErrorCode, Result, Seed};
use std::ops::ControlFlow;
use std::time::Instant;

fn main() -> Result<()> {
    let path = std::env::args().nth(1).ok_or_else(|| Error::new(ErrorCode::Usage, "name the table"))?;
    let text = std::fs::read_to_string(&path).map_err(|error| Error::io("read the table", &path, error))?;
    let mut parts = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
    let mut columns = 0;
    for (line, row) in text.lines().enumerate().skip(1) {
        let values: Option<Vec<f32>> = row.split(',').map(|field| field.parse().ok()).collect();
        let Some([features @ .., price, is_test]) = values.as_deref() else {
            return Err(Error::new(ErrorCode::BadData, "a row of numbers is missing").at_row(line as u64 + 1));
        };
        columns = features.len();
        let (all_features, targets) = &mut parts[usize::from(*is_test == 1.0)];
        all_features.extend_from_slice(features);
        targets.push(*price);
    }
    let examples = |part: usize| Examples { features: &parts[part].0, targets: &parts[part].1, weights: None };
    let settings = BoostSettings::default();
    for attempt in 1..=3 {
        let start = Instant::now();
        let forest = fit(&examples(0), None, &settings, &Objective::SquaredError, Seed(attempt), &mut |_, _, _| {
            ControlFlow::Continue(())
        })?;
        let fitted = start.elapsed();
        let start = Instant::now();
        let scores = forest.predict(&parts[1].0, columns)?;
        let predicted = start.elapsed();
        println!(
            "{} training rows, {} trees, depth {}: fit {:.2} s, {} rows predicted in {:.3} s, R2 {:.5}",
            parts[0].1.len(),
            forest.trees(),
            forest.depth,
            fitted.as_secs_f64(),
            scores.len(),
            predicted.as_secs_f64(),
            r2(&parts[1].1, &scores)
        );
    }
    Ok(())
}

fn r2(targets: &[f32], scores: &[f32]) -> f64 {
    let mean = targets.iter().map(|&target| f64::from(target)).sum::<f64>() / targets.len() as f64;
    let rest: f64 = targets.iter().zip(scores).map(|(t, s)| (f64::from(*t) - f64::from(*s)).powi(2)).sum();
    let spread: f64 = targets.iter().map(|target| (f64::from(*target) - mean).powi(2)).sum();
    1.0 - rest / spread
}
