//! What an advice gives back: the data, every candidate with its pilots and a sentence, the choice, and the settings.
//! The page that is drawn from it is `report/advice_page.rs`.

use super::choose::{Choice, Entrant, Gap, choose, mean, spread};
use super::fingerprint::Fingerprint;
use super::folds::Judging;
use super::pilot::NetworkFacts;
use super::predict::{Figure, expected_epochs, most_epochs, run_memory, run_seconds};
use super::race::{Piloted, Runner};
use super::sentences;
use lepton_core::{Error, ErrorCode, Metric, Result, Seed};
use serde::Serialize;
use std::path::PathBuf;

/// What `lepton advise` gives back; its JSON is what `--json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AdviceReport {
    /// `done`, or `stopped` where somebody asked to stop.
    pub status: &'static str,
    /// The project's name.
    pub project: String,
    /// The data and the machine.
    pub fingerprint: Fingerprint,
    /// What was decided of the data, one sentence each.
    pub notes: Vec<String>,
    /// The metric that decides.
    pub metric: &'static str,
    /// How scores are made.
    pub judging: Judging,
    /// The seed of splits and trainings.
    pub seed: Seed,
    /// What was asked for.
    pub limits: Limits,
    /// Seconds of all pilots.
    pub seconds: f64,
    /// Every candidate, the first choice first.
    pub candidates: Vec<CandidateFacts>,
    /// The first choice; none where it was stopped before there was one.
    pub choice: Option<ChoiceFacts>,
    /// The settings as text.
    pub lepton_toml: Option<String>,
    /// Where they were written, once they are.
    pub file: Option<PathBuf>,
    /// The command as typed.
    pub command: String,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// Seconds of all pilots.
    pub time: f64,
    /// Bytes of training.
    pub memory: Option<u64>,
    /// Seconds of one row.
    pub latency: Option<f64>,
}

/// How a candidate ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The first choice.
    First,
    /// As good within noise, and dearer.
    Tied,
    /// Behind.
    Behind,
    /// Not run to the end: time was short.
    Dropped,
    /// Its pilot has no score, or none was run: time was short.
    Unknown,
    /// It does not keep a limit, or cannot take such rows.
    Excluded,
    /// Its pilot failed.
    Failed,
}

/// A candidate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CandidateFacts {
    /// Its name: that of the entry, and of the way where there are several.
    pub name: String,
    /// The entry of the zoo.
    pub entry: String,
    /// One line about the entry.
    pub about: String,
    /// How it ended.
    pub standing: Standing,
    /// What is said of it.
    pub sentence: String,
    /// What the rules said before any pilot.
    pub prior: Prior,
    /// Mean score of its last pilot.
    pub score: Option<f64>,
    /// The standard error of that.
    pub spread: Option<f64>,
    /// How far it is behind the best mean score, in the metric's unit.
    pub behind: Option<f64>,
    /// The standard error of that.
    pub noise: Option<f64>,
    /// Its pilots, rung by rung.
    pub pilots: Vec<PilotFacts>,
    /// Numbers that training learns.
    pub parameters: Option<u64>,
    /// Floating-point operations of one row.
    pub flops: Option<u64>,
    /// Seconds of one row, network alone, on the engine that would serve it.
    pub latency: Option<Figure<f64>>,
    /// Bytes of the package's network files and weights.
    pub package_bytes: Option<Figure<u64>>,
    /// Seconds of training in a full run.
    pub run_seconds: Option<Figure<f64>>,
    /// The same where nothing stops it early.
    pub run_seconds_at_most: Option<f64>,
    /// Bytes of training in a full run.
    pub run_memory: Option<Figure<u64>>,
    /// `[train]`.
    pub train: toml::Table,
}

/// What the rules said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prior {
    /// More is run first.
    pub points: i32,
    /// Why.
    pub because: String,
}

/// A pilot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PilotFacts {
    /// The rung, from 1.
    pub rung: usize,
    /// The share of the whole work.
    pub share: f64,
    /// Training rows of each training.
    pub rows: usize,
    /// Mean epochs or rounds of each training.
    pub epochs: f64,
    /// Scores, split by split.
    pub scores: Vec<f64>,
    /// Their mean.
    pub score: Option<f64>,
    /// The standard error of the mean.
    pub spread: Option<f64>,
    /// Wall seconds.
    pub seconds: f64,
    /// The most memory of its process, in bytes.
    pub peak_bytes: Option<u64>,
    /// Whether it was stopped because its time was up.
    pub stopped: bool,
}

/// The first choice.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChoiceFacts {
    /// The candidate's name.
    pub name: String,
    /// Its mean score.
    pub score: f64,
    /// The standard error of that.
    pub spread: f64,
    /// Why.
    pub sentence: String,
    /// The command that runs it.
    pub command: String,
}

/// What a report is made from, besides the runners.
pub(super) struct Made<'a> {
    pub(super) metric: Metric,
    pub(super) watched: Metric,
    pub(super) limits: Limits,
    pub(super) fingerprint: &'a Fingerprint,
    /// Training rows of a full run.
    pub(super) rows: usize,
    /// Bytes of the fitted recipe.
    pub(super) recipe_bytes: u64,
}

/// All candidates with their sentences, the first choice first, and the place of that among `runners`.
///
/// # Errors
/// [`ErrorCode::GateFailed`] where no candidate keeps the limits, naming the nearest and its numbers.
pub(super) fn ranked(runners: &[Runner], made: &Made<'_>) -> Result<(Vec<CandidateFacts>, Option<usize>)> {
    let mut all: Vec<CandidateFacts> = runners.iter().map(|runner| facts(runner, made)).collect();
    for (facts, runner) in all.iter_mut().zip(runners) {
        if let Some(why) = broken_limit(facts, runner, &made.limits) {
            (facts.standing, facts.sentence) = (Standing::Excluded, why);
        }
    }
    if all.iter().any(|facts| facts.standing == Standing::Excluded) {
        let is_out = |facts: &CandidateFacts| matches!(facts.standing, Standing::Excluded | Standing::Failed);
        if all.iter().all(is_out) {
            return Err(nobody(&all, &made.limits));
        }
    }
    let choice = judge(runners, &all, made);
    let Some(choice) = choice else {
        for facts in &mut all {
            facts.sentence = sentences::alone(facts, made.metric.name());
        }
        all.sort_by_key(|facts| (facts.standing, -facts.prior.points));
        return Ok((all, None));
    };
    for (place, gap) in &choice.gaps {
        let standing = match gap {
            _ if *place == choice.place => Standing::First,
            Gap { is_tie: true, .. } => Standing::Tied,
            _ => Standing::Behind,
        };
        let facts = &mut all[*place];
        (facts.standing, facts.behind, facts.noise) = (standing, Some(gap.behind), Some(gap.noise));
    }
    let told: Vec<String> = (0..all.len()).map(|place| sentences::of(&all, place, &choice, made)).collect();
    for (facts, sentence) in all.iter_mut().zip(told) {
        facts.sentence = sentence;
    }
    let mut order: Vec<usize> = (0..all.len()).collect();
    let loss = |facts: &CandidateFacts| super::choose::loss(made.metric, facts.score.unwrap_or(f64::NAN));
    order.sort_by(|left, right| {
        let (left, right) = (&all[*left], &all[*right]);
        let rung = |facts: &CandidateFacts| std::cmp::Reverse(facts.pilots.last().map_or(0, |pilot| pilot.rung));
        let group = |standing: Standing| if standing == Standing::Tied { Standing::Behind } else { standing };
        (group(left.standing), rung(left))
            .cmp(&(group(right.standing), rung(right)))
            .then(loss(left).total_cmp(&loss(right)))
    });
    let first = choice.place;
    Ok((order.into_iter().map(|place| all[place].clone()).collect(), Some(first)))
}

/// Who is first among those that reached the last rung that anybody reached.
fn judge(runners: &[Runner], all: &[CandidateFacts], made: &Made<'_>) -> Option<Choice> {
    let may = |place: &usize| all[*place].standing != Standing::Excluded && runners[*place].failure.is_none();
    let places: Vec<usize> = (0..runners.len()).filter(may).collect();
    let last = |place: &usize| runners[*place].last(made.metric);
    let rung = places.iter().filter_map(last).map(|pilot| pilot.rung).max()?;
    let entrants: Vec<Entrant> = places
        .iter()
        .filter_map(|place| Some((*place, last(place).filter(|pilot| pilot.rung == rung)?)))
        .map(|(place, pilot)| Entrant {
            place,
            scores: pilot.scores(made.metric),
            watched: pilot.scores(made.watched),
            rows: rows(pilot),
            flops: runners[place].network.map_or(u64::MAX, |network| network.flops),
        })
        .collect();
    choose(&entrants, made.metric, made.watched)
}

/// Training and validation rows of a pilot's splits.
fn rows(pilot: &Piloted) -> (usize, usize) {
    pilot.result.scores.first().map_or((1, 0), |score| (score.rows, score.valid_rows))
}

fn facts(runner: &Runner, made: &Made<'_>) -> CandidateFacts {
    let candidate = &runner.candidate;
    let last = runner.last(made.metric);
    let scores = last.map(|pilot| pilot.scores(made.metric)).unwrap_or_default();
    let known = !scores.is_empty();
    let (standing, sentence) = match (&runner.excluded, &runner.failure) {
        (Some(why), _) => (Standing::Excluded, format!("excluded: {why}")),
        (None, Some(failure)) => {
            let line = failure.message.lines().next().unwrap_or_default();
            (Standing::Failed, format!("failed: {line}"))
        }
        _ if known => (Standing::Dropped, String::new()),
        _ => (Standing::Unknown, String::new()),
    };
    let per_row = runner.seconds_per_row();
    let is_whole = last.is_some_and(|pilot| pilot.share >= 1.0);
    let epochs = expected_epochs(candidate, last.map_or(&[], |pilot| &pilot.result.scores), is_whole);
    let piloted = runner.pilots.iter().rev().find_map(|pilot| Some((pilot.result.peak_bytes?, rows(pilot).0)));
    CandidateFacts {
        name: candidate.name.clone(),
        entry: candidate.entry.clone(),
        about: candidate.about.clone(),
        standing,
        sentence,
        prior: Prior { points: candidate.points, because: candidate.prior() },
        score: known.then(|| mean(&scores)),
        spread: last.filter(|_| known).map(|pilot| spread(&scores, rows(pilot))),
        behind: None,
        noise: None,
        pilots: runner.pilots.iter().map(|pilot| pilot_facts(pilot, made.metric)).collect(),
        parameters: runner.network.map(|network| network.parameters),
        flops: runner.network.map(|network| network.flops),
        latency: runner.network.map(|network| Figure::measured(network.latency)),
        package_bytes: runner.network.map(|network| package_bytes(&network, made.recipe_bytes)),
        run_seconds: per_row.map(|per_row| run_seconds(per_row, made.rows, epochs)),
        run_seconds_at_most: per_row.map(|per_row| per_row * made.rows as f64 * most_epochs(candidate)),
        run_memory: piloted
            .map(|(peak, piloted)| run_memory(peak, piloted, made.rows, made.fingerprint.inputs))
            .or_else(|| runner.over_memory.map(Figure::measured))
            .or_else(|| runner.least_memory.clone()),
        train: candidate.train.clone(),
    }
}

fn pilot_facts(pilot: &Piloted, metric: Metric) -> PilotFacts {
    let scores = pilot.scores(metric);
    let trained: Vec<f64> = pilot.result.scores.iter().map(|score| score.epochs as f64).collect();
    PilotFacts {
        rung: pilot.rung,
        share: pilot.share,
        rows: pilot.result.scores.first().map_or(0, |score| score.rows),
        epochs: mean(&trained),
        score: (!scores.is_empty()).then(|| mean(&scores)),
        spread: (scores.len() > 1).then(|| spread(&scores, rows(pilot))),
        scores,
        seconds: pilot.seconds,
        peak_bytes: pilot.result.peak_bytes,
        stopped: pilot.result.stopped,
    }
}

/// The files of a package that grow with the network; the manifest and the reference are some kilobytes more.
fn package_bytes(network: &NetworkFacts, recipe: u64) -> Figure<u64> {
    let how = "the ONNX file, the weights and the recipe, measured; manifest and reference are not counted";
    Figure { value: network.onnx_bytes + network.weights_bytes + recipe, how: how.to_owned() }
}

/// The sentence of a limit that is not kept.
fn broken_limit(facts: &CandidateFacts, runner: &Runner, limits: &Limits) -> Option<String> {
    if runner.excluded.is_some() || runner.failure.is_some() {
        return None;
    }
    if let (Some(limit), Some(latency)) = (limits.latency, &facts.latency)
        && latency.value > limit
    {
        let (own, limit) = (sentences::seconds(latency.value), sentences::seconds(limit));
        return Some(format!("excluded: one row takes {own} on this machine, and at most {limit} is wanted"));
    }
    if let (Some(limit), Some(memory)) = (limits.memory, &facts.run_memory)
        && memory.value > limit
    {
        let (own, limit) = (sentences::bytes(memory.value), sentences::bytes(limit));
        let how = if memory.is_measured() { "holds" } else { "would hold" };
        return Some(format!("excluded: training {how} {own}, and at most {limit} is wanted"));
    }
    None
}

/// The error where nobody keeps the limits.
fn nobody(all: &[CandidateFacts], limits: &Limits) -> Error {
    let over = |facts: &CandidateFacts| -> Option<f64> {
        let latency = limits.latency.zip(facts.latency.as_ref()).map(|(limit, own)| own.value / limit);
        let memory = limits.memory.zip(facts.run_memory.as_ref()).map(|(limit, own)| own.value as f64 / limit as f64);
        [latency, memory].into_iter().flatten().reduce(f64::max)
    };
    let nearest =
        all.iter().filter_map(|facts| Some((facts, over(facts)?))).min_by(|left, right| left.1.total_cmp(&right.1));
    let Some((nearest, _)) = nearest else {
        let first = all.first().map_or("there are none", |facts| facts.sentence.as_str());
        return Error::new(ErrorCode::GateFailed, format!("no candidate can be trained on this data; {first}"));
    };
    let mut numbers = Vec::new();
    if let (Some(limit), Some(latency)) = (limits.latency, &nearest.latency) {
        numbers.push(format!("{} a row of {}", sentences::seconds(latency.value), sentences::seconds(limit)));
    }
    if let (Some(limit), Some(memory)) = (limits.memory, &nearest.run_memory) {
        numbers.push(format!("{} of {}", sentences::bytes(memory.value), sentences::bytes(limit)));
    }
    let message = format!("no candidate keeps the limits; the nearest is {}: {}", nearest.name, numbers.join(", "));
    Error::new(ErrorCode::GateFailed, message).fix("allow more with --latency or --memory")
}

#[cfg(test)]
mod tests {
    use super::super::candidates::candidates;
    use super::super::fingerprint::{MachineFacts, TargetFacts, Traits};
    use super::super::pilot::{PilotResult, PilotScore};
    use super::*;
    use crate::tasks::task;
    use lepton_core::{Digest, Metrics, TaskKind};
    use std::collections::BTreeMap;

    fn fingerprint() -> Fingerprint {
        Fingerprint {
            task: TaskKind::TabularClassification,
            dataset: "t".to_owned(),
            sha256: Digest::of("t"),
            rows: BTreeMap::new(),
            kinds: BTreeMap::new(),
            inputs: 9,
            input_shape: vec![9],
            inputs_per_row: 0.1,
            missing_share: 0.0,
            target: TargetFacts::Number { column: "y".to_owned(), mean: 0.0, deviation: 1.0 },
            columns: Vec::new(),
            machine: MachineFacts { environment: crate::environment(1, "none"), memory_bytes: None },
        }
    }

    /// A runner of the zoo with one pilot at `rung` that gave these accuracies.
    fn runner(name: &str, rung: usize, accuracies: &[f64], latency: f64, flops: u64) -> Runner {
        let traits = Traits { rows: 500, inputs: 9, ..Traits::default() };
        let task = task(TaskKind::TabularClassification);
        let all = candidates(task, &traits, 1, &toml::Table::new(), None).unwrap();
        let mut runner = Runner::new(all.into_iter().find(|candidate| candidate.name == name).unwrap());
        runner.network = Some(NetworkFacts { parameters: 10, flops, onnx_bytes: 1_000, weights_bytes: 400, latency });
        let scores = accuracies.iter().map(|accuracy| PilotScore {
            valid: Metrics::from([("accuracy".to_owned(), *accuracy), ("log_loss".to_owned(), 1.0 - accuracy)]),
            epoch: 3,
            epochs: 5,
            rows: 400,
            valid_rows: 100,
            seconds: 1.0,
            whole: true,
        });
        let result = PilotResult {
            scores: scores.collect(),
            stopped: false,
            pace: None,
            network: runner.network,
            peak_bytes: Some(50_000_000),
            seconds: 2.0,
        };
        runner.pilots.push(Piloted { rung, share: if rung == 3 { 1.0 } else { 0.1 }, result, seconds: 2.0 });
        runner
    }

    fn rank(
        runners: &[Runner],
        memory: Option<u64>,
        latency: Option<f64>,
    ) -> Result<(Vec<CandidateFacts>, Option<usize>)> {
        let data = fingerprint();
        let made = Made {
            metric: Metric::Accuracy,
            watched: Metric::LogLoss,
            limits: Limits { time: 60.0, memory, latency },
            fingerprint: &data,
            rows: 400,
            recipe_bytes: 100,
        };
        ranked(runners, &made)
    }

    fn three() -> [Runner; 3] {
        [
            runner("mlp", 3, &[0.80, 0.81, 0.82], 2e-5, 5_000),
            runner("boosting", 3, &[0.90, 0.91, 0.92], 9e-4, 90_000),
            runner("linear", 1, &[0.95, 0.95, 0.95], 1e-5, 40),
        ]
    }

    #[test]
    fn the_best_that_was_run_to_the_end_is_first_and_everybody_gets_a_sentence() {
        let (all, first) = rank(&three(), None, None).unwrap();
        let told: Vec<(&str, Standing)> = all.iter().map(|facts| (facts.name.as_str(), facts.standing)).collect();
        let wanted = [("boosting", Standing::First), ("mlp", Standing::Behind), ("linear", Standing::Dropped)];
        assert_eq!((told.as_slice(), first), (&wanted[..], Some(1)));
        assert!(all[0].sentence.starts_with("first: accuracy 0.9100"), "{}", all[0].sentence);
        assert!(all[1].sentence.contains("0.1000 behind"), "{}", all[1].sentence);
        assert!(all[2].sentence.contains("dropped after rung 1 of 3"), "{}", all[2].sentence);
        assert_eq!(all[0].package_bytes.as_ref().unwrap().value, 1_500);
        assert!(all[0].run_memory.as_ref().unwrap().is_measured());
        // 1 s of 400 rows in 5 rounds, and as many in the full run.
        assert!((all[0].run_seconds.as_ref().unwrap().value - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_limit_leaves_out_who_breaks_it_and_says_by_how_much() {
        let (all, first) = rank(&three(), None, Some(1e-4)).unwrap();
        assert_eq!((all[0].name.as_str(), first), ("mlp", Some(0)));
        let trees = all.iter().find(|facts| facts.name == "boosting").unwrap();
        assert_eq!(trees.standing, Standing::Excluded);
        assert!(trees.sentence.contains("900.0 us") && trees.sentence.contains("100.0 us"), "{}", trees.sentence);
    }

    #[test]
    fn limits_that_nobody_keeps_name_the_nearest() {
        let error = rank(&three(), None, Some(5e-6)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::GateFailed);
        assert!(error.message().contains("the nearest is linear: 10.0 us a row of 5.0 us"), "{error}");
        let error = rank(&three(), Some(1_000_000), None).unwrap_err();
        assert!(error.message().contains("50 MB of 1 MB"), "{error}");
    }

    #[test]
    fn without_a_score_there_is_no_choice() {
        let (all, first) = rank(&[runner("mlp", 1, &[], 1e-5, 10)], None, None).unwrap();
        assert_eq!((all[0].standing, first), (Standing::Unknown, None));
        assert!(all[0].sentence.contains("not one epoch ended"), "{}", all[0].sentence);
    }
}
