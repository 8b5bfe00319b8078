//! One project several times: folds of a cross-validation, seeds, or both. What comes out is the mean of the test metrics
//! and how far they spread; no model is registered.

use crate::run::{RunOptions, RunResult, run};
use crate::{Project, Stage};
use lepton_core::{Cancel, Error, ErrorCode, Event, Metrics, Progress, Result, Seed, Split};
use lepton_data::Fold;
use lepton_store::Store;
use serde::Serialize;
use std::collections::BTreeMap;

/// How often a project is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Repeats {
    /// Folds of a cross-validation; 1 leaves the parts as `[prepare]` cuts them.
    pub folds: usize,
    /// Seeds, from the project's own upwards.
    pub seeds: usize,
}

/// One of the runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Repeat {
    /// The run's id.
    pub run: String,
    /// The fold, from 1, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<usize>,
    /// The seed.
    pub seed: Seed,
    /// Metrics on the test part.
    pub test: Metrics,
}

/// What came of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RepeatReport {
    /// How often.
    pub repeats: Repeats,
    /// Mean metrics by split, of the test part alone: `test`.
    pub metrics: BTreeMap<&'static str, Metrics>,
    /// The standard deviation over the runs (n - 1), by split.
    pub deviation: BTreeMap<&'static str, Metrics>,
    /// Every run.
    pub runs: Vec<Repeat>,
    /// The last run as a whole: dataset, machine, engine.
    pub last: RunResult,
}

/// Runs `project` for each fold and seed, up to the optimize stage.
///
/// # Errors
/// [`ErrorCode::Usage`] for options that end earlier; those of [`run`].
pub fn run_repeated(
    project: &Project,
    repeats: Repeats,
    options: &RunOptions,
    store: &Store,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<RepeatReport> {
    if options.until.is_some() || options.from.is_some() {
        return Err(Error::new(
            ErrorCode::Usage,
            "--folds and --seeds choose the stages: leave out --from and --until",
        ));
    }
    if repeats.folds == 0 || repeats.seeds == 0 {
        return Err(Error::new(ErrorCode::Usage, "--folds and --seeds are at least 1"));
    }
    let options = RunOptions { until: Some(Stage::Optimize), ..options.clone() };
    let (mut runs, mut last) = (Vec::new(), None);
    let first = project.settings.project.seed.0;
    for seed in (0..repeats.seeds as u64).map(|step| Seed(first.wrapping_add(step))) {
        for number in 1..=repeats.folds {
            let mut one = project.clone();
            one.settings.project.seed = seed;
            let fold = (repeats.folds > 1).then_some(Fold { number, of: repeats.folds });
            one.settings.prepare.fold = fold.or(one.settings.prepare.fold);
            let of = fold.map_or_else(String::new, |fold| format!("fold {} of {}, ", fold.number, fold.of));
            progress.event(Event::Note { text: format!("{of}seed {}", seed.0) });
            let result = run(&one, &options, store, progress, cancel)?;
            let test = result.metrics.get(Split::Test.name()).cloned().unwrap_or_default();
            runs.push(Repeat { run: result.run.clone(), fold: fold.map(|fold| fold.number), seed, test });
            last = Some(result);
        }
    }
    let last = last.ok_or_else(|| Error::internal("nothing was run"))?;
    let (mean, deviation) = spread(&runs);
    let of_test = |metrics| BTreeMap::from([(Split::Test.name(), metrics)]);
    Ok(RepeatReport { repeats, metrics: of_test(mean), deviation: of_test(deviation), runs, last })
}

/// Mean and standard deviation of each metric that every run has.
fn spread(runs: &[Repeat]) -> (Metrics, Metrics) {
    let (mut means, mut deviations) = (Metrics::new(), Metrics::new());
    let names = runs.first().map(|run| run.test.keys().cloned().collect::<Vec<String>>()).unwrap_or_default();
    for name in names {
        let values: Vec<f64> = runs.iter().filter_map(|run| run.test.get(&name).copied()).collect();
        if values.len() < runs.len() {
            continue;
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        means.insert(name.clone(), mean);
        deviations.insert(name, (squares / (values.len().max(2) - 1) as f64).sqrt());
    }
    (means, deviations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_deviations_are_over_the_runs() {
        let run = |accuracy| Repeat {
            run: String::new(),
            fold: None,
            seed: Seed(1),
            test: Metrics::from([("accuracy".to_owned(), accuracy)]),
        };
        let (mean, deviation) = spread(&[run(0.8), run(0.9), run(1.0)]);
        assert!((mean["accuracy"] - 0.9).abs() < 1e-12 && (deviation["accuracy"] - 0.1).abs() < 1e-12);
        let (_, one) = spread(&[run(0.8)]);
        assert_eq!(one["accuracy"], 0.0);
    }
}
