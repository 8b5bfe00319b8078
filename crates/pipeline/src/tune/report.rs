//! What came of a study: the trials, the best one with the command that runs it, the trade-offs, what mattered; and the
//! settings file of the best one. The page that is drawn from it is `report/study_page.rs`.

use super::settings::Objective;
use super::study::{Kept, TuneOptions, written};
use super::trial::assignments;
use crate::doctor::{place, refuse_same};
use crate::worker::WorkerFailure;
use crate::{Project, environment};
use lepton_core::{Digest, Environment, Error, ErrorCode, Result, Seed};
use lepton_tune::{Direction, Point, Space, State, Trial, importance, pareto_front};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What `lepton tune` gives back; its JSON is what `--json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StudyReport {
    /// The study's name: a hash of what its trials depend on.
    pub study: Digest,
    /// `done`, or `stopped` where trials are missing because time was over.
    pub status: &'static str,
    /// The project's name.
    pub project: String,
    /// Name of the dataset.
    pub dataset: String,
    /// Hash of its schema and values.
    pub sha256: Digest,
    /// The split that every value is of.
    pub split: &'static str,
    /// The seed of sampling and of every training.
    pub seed: Seed,
    /// The sampler's name.
    pub sampler: String,
    /// What was wanted, the most important first.
    pub objectives: Vec<ObjectiveFacts>,
    /// Trials that this call ran; the others were there.
    pub ran: usize,
    /// All trials, by number.
    pub trials: Vec<TrialFacts>,
    /// The best by the first objective.
    pub best: Option<BestTrial>,
    /// Numbers of the trials that no other one beats in every objective.
    pub pareto: Vec<u64>,
    /// Share of the first objective's variance that each key explains; empty with too few trials to tell.
    pub importances: BTreeMap<String, f64>,
    /// The machine and the versions.
    pub environment: Environment,
    /// What may vary.
    #[serde(skip)]
    pub space: Space,
    /// The command as typed.
    pub command: String,
}

/// An objective.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObjectiveFacts {
    /// The metric or the measure.
    pub name: &'static str,
    /// Which way is better.
    pub direction: Direction,
}

/// A trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrialFacts {
    /// Its number, from 0.
    pub number: u64,
    /// How it ended.
    pub state: State,
    /// What it tried.
    pub point: Point,
    /// Its objectives by name, where it is complete.
    pub values: BTreeMap<&'static str, f64>,
    /// The first objective after each epoch.
    pub steps: Vec<(u64, f64)>,
    /// The epoch that was kept, from 1.
    pub epoch: Option<u64>,
    /// Wall seconds.
    pub seconds: f64,
    /// Its run, for `lepton runs show`.
    pub run: Option<String>,
    /// Why it failed.
    pub error: Option<WorkerFailure>,
}

/// The best trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BestTrial {
    /// Its number.
    pub number: u64,
    /// Its objectives by name.
    pub values: BTreeMap<&'static str, f64>,
    /// What it tried.
    pub point: Point,
    /// What runs it to the end.
    pub command: String,
}

/// What a study knows besides its trials.
pub(super) struct Made {
    pub(super) study: Digest,
    pub(super) dataset: (String, Digest),
    pub(super) objectives: Vec<Objective>,
    pub(super) wanted: u64,
    pub(super) ran: usize,
    pub(super) threads: usize,
}

impl StudyReport {
    pub(super) fn new(project: &Project, options: &TuneOptions, made: Made, trials: &[Kept]) -> Result<StudyReport> {
        let settings = &project.settings;
        let Made { study, dataset: (dataset, sha256), objectives, wanted, ran, threads } = made;
        let directions: Vec<Direction> = objectives.iter().map(|objective| objective.direction()).collect();
        let history: Vec<Trial> = trials.iter().map(|kept| kept.trial.clone()).collect();
        let named = |trial: &Trial| -> BTreeMap<&'static str, f64> {
            objectives.iter().map(|objective| objective.name()).zip(trial.values.iter().copied()).collect()
        };
        let complete: Vec<&Trial> = history.iter().filter(|trial| trial.state == State::Complete).collect();
        let values: Vec<Vec<f64>> = complete.iter().map(|trial| trial.values.clone()).collect();
        let front = pareto_front(&values, &directions)?;
        let best = best(history.iter(), directions.first().copied());
        let best = best.map(|trial| command(project, options, &trial.point, threads).map(|text| (trial, text)));
        let importances = match importance(&settings.tune.space, &history, 0, settings.project.seed) {
            Ok(shares) => shares,
            // Too few trials: there is nothing to say.
            Err(error) if error.code() == ErrorCode::BadInput => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        let sampler = serde_json::to_value(&settings.tune.sampler)
            .ok()
            .and_then(|value| value["kind"].as_str().map(str::to_owned))
            .unwrap_or_default();
        Ok(StudyReport {
            study,
            status: if (trials.len() as u64) < wanted { "stopped" } else { "done" },
            project: settings.project.name.to_string(),
            dataset,
            sha256,
            split: "valid",
            seed: settings.project.seed,
            sampler,
            objectives: objectives
                .iter()
                .map(|objective| ObjectiveFacts { name: objective.name(), direction: objective.direction() })
                .collect(),
            ran,
            best: best.transpose()?.map(|(trial, command)| BestTrial {
                number: trial.number,
                values: named(trial),
                point: trial.point.clone(),
                command,
            }),
            pareto: front.into_iter().map(|index| complete[index].number).collect(),
            importances,
            environment: environment(threads, "processes of this binary"),
            space: settings.tune.space.clone(),
            command: options.command.join(" "),
            trials: trials
                .iter()
                .map(|kept| TrialFacts {
                    number: kept.trial.number,
                    state: kept.trial.state,
                    point: kept.trial.point.clone(),
                    values: named(&kept.trial),
                    steps: kept.trial.steps.clone(),
                    epoch: kept.epoch,
                    seconds: kept.seconds,
                    run: kept.run.clone(),
                    error: kept.failure.clone(),
                })
                .collect(),
        })
    }

    /// One line for a person.
    pub fn summary(&self) -> String {
        let count = |state: State| self.trials.iter().filter(|trial| trial.state == state).count();
        let mut text = format!("{} trials", self.trials.len());
        for (state, word) in [(State::Pruned, "pruned"), (State::Failed, "failed")] {
            if count(state) > 0 {
                text += &format!(", {} {word}", count(state));
            }
        }
        match (&self.best, self.objectives.first()) {
            (Some(best), Some(objective)) => {
                let value = best.values.get(objective.name).map_or_else(String::new, |value| written(*value));
                format!("{text}; best {} {value} on the validation split (trial {})", objective.name, best.number)
            }
            _ => text,
        }
    }

    /// The complete trials, the best by the first objective first.
    pub fn ranked(&self) -> Vec<&TrialFacts> {
        let mut complete: Vec<&TrialFacts> =
            self.trials.iter().filter(|trial| trial.state == State::Complete).collect();
        if let Some(ObjectiveFacts { name, direction }) = self.objectives.first() {
            let loss = |trial: &TrialFacts| direction.loss(trial.values.get(name).copied().unwrap_or(f64::NAN));
            complete.sort_by(|left, right| loss(left).total_cmp(&loss(right)));
        }
        complete
    }

    /// The keys, those that explain most first.
    pub fn by_importance(&self) -> Vec<(&str, f64)> {
        let mut shares: Vec<(&str, f64)> = self.importances.iter().map(|(key, share)| (key.as_str(), *share)).collect();
        shares.sort_by(|left, right| right.1.total_cmp(&left.1));
        shares
    }
}

/// The first complete trial that no other one beats in the first objective.
pub(super) fn best<'a>(trials: impl Iterator<Item = &'a Trial>, direction: Option<Direction>) -> Option<&'a Trial> {
    let direction = direction?;
    let loss = |trial: &Trial| trial.values.first().map_or(f64::INFINITY, |value| direction.loss(*value));
    trials.filter(|trial| trial.state == State::Complete).min_by(|left, right| loss(left).total_cmp(&loss(right)))
}

/// A point on one line, keys without their section where that says enough: `learning_rate=0.0031 architecture=mlp`.
pub(super) fn shown_point(point: &Point) -> String {
    let short = |key: &str| {
        let last = key.rsplit('.').next().unwrap_or(key);
        let is_alone = point.keys().filter(|other| other.rsplit('.').next() == Some(last)).count() == 1;
        if is_alone { last.to_owned() } else { key.to_owned() }
    };
    point.iter().map(|(key, value)| format!("{}={}", short(key), shown_setting(value))).collect::<Vec<_>>().join(" ")
}

/// A value of a point as people read it.
pub fn shown_setting(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(value) => written(value),
            None => number.to_string(),
        },
        other => {
            let text = other.to_string();
            match text.char_indices().nth(32) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text,
            }
        }
    }
}

/// What a person types to run the best trial to its end. It says the threads only where the run would take others:
/// with the same ones its training is in the cache.
fn command(project: &Project, options: &TuneOptions, point: &Point, threads: usize) -> Result<String> {
    let mut words = vec!["lepton".to_owned(), "run".to_owned(), quoted(&options.shown)];
    let mut sets = options.overrides.clone();
    sets.extend(assignments(point)?);
    let own =
        project.settings.train.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    if own != threads {
        sets.push(format!("train.threads={threads}"));
    }
    words.extend(sets.iter().flat_map(|set| ["--set".to_owned(), quoted(set)]));
    Ok(words.join(" "))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Refuses a place for [`write_best`] where the settings file would read other data, or that of the project's own.
///
/// # Errors
/// [`ErrorCode::Usage`].
pub fn check_best_place(project: &Project, to: &Path) -> Result<()> {
    refuse_same(&project.file, to)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().map_err(|source| Error::io("find the folder", folder, source))?;
    if folder == project.folder {
        return Ok(());
    }
    let name = to.file_name().map_or("best.toml".into(), |name| name.to_string_lossy());
    Err(Error::new(ErrorCode::Usage, "a settings file lies in the project's folder, where its paths start")
        .in_file(to)
        .fix(format!("--to {}", quoted(&project.folder.join(&*name).display().to_string()))))
}

/// Writes a settings file with the best trial's values and without `[tune]`, whole or not at all.
///
/// # Errors
/// [`ErrorCode::NotFound`] where no trial is complete; [`ErrorCode::Usage`] for a place outside the project's folder
/// or over its own settings file; [`ErrorCode::Io`].
pub fn write_best(project: &Project, overrides: &[String], report: &StudyReport, to: &Path) -> Result<()> {
    check_best_place(project, to)?;
    let best = report.best.as_ref().ok_or_else(|| {
        Error::new(ErrorCode::NotFound, "no trial is complete, so none is the best").fix("run more trials")
    })?;
    let mut sets = overrides.to_vec();
    sets.extend(assignments(&best.point)?);
    let mut table = project.rewritten(&sets)?;
    table.remove("tune");
    let values: Vec<String> = best.values.iter().map(|(name, value)| format!("{name} {}", written(*value))).collect();
    let text = toml::to_string_pretty(&table).map_err(|source| Error::internal(format!("settings: {source}")))?;
    let text = format!(
        "# Trial {} of study {}: {} on the validation split of dataset {} ({}), seed {}.\n\n{text}",
        best.number,
        report.study.short(),
        values.join(", "),
        report.dataset,
        report.sha256.short(),
        report.seed.0,
    );
    Project::parse(&text, to, &[])?;
    place(to, |output| {
        output.write_all(text.as_bytes()).map_err(|source| Error::io("write the settings", to, source))
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn points_are_shown_in_short_and_words_are_quoted() {
        let point: Point = serde_json::from_value(json!({
            "train.learning_rate": 0.003_14, "train.schedule.kind": "cosine", "train.optimizer.kind": "sgd", "train.epochs": 3,
        }))
        .unwrap();
        let wanted = "epochs=3 learning_rate=0.0031 train.optimizer.kind=sgd train.schedule.kind=cosine";
        assert_eq!(shown_point(&point), wanted);
        assert_eq!(shown_setting(&json!(1.5e-5)), "1.50e-5");
        assert!(shown_setting(&json!([{ "kind": "dense", "units": 64, "name": "first" }])).ends_with('…'));
        assert_eq!(quoted("train.epochs=3"), "train.epochs=3");
        assert_eq!(quoted("a=\"it's\""), "'a=\"it'\\''s\"'");
    }

    #[test]
    fn the_best_is_the_first_of_the_best_and_complete() {
        let trial = |number: u64, value: f64, state: State| Trial {
            number,
            point: Point::new(),
            state,
            values: vec![value],
            steps: Vec::new(),
        };
        let trials = [
            trial(0, 0.5, State::Complete),
            trial(1, 0.9, State::Complete),
            trial(2, 0.9, State::Complete),
            trial(3, 1.0, State::Failed),
        ];
        assert_eq!(best(trials.iter(), Some(Direction::Maximize)).map(|trial| trial.number), Some(1));
        assert_eq!(best(trials.iter(), Some(Direction::Minimize)).map(|trial| trial.number), Some(0));
        assert_eq!(best(trials[3..].iter(), Some(Direction::Minimize)), None);
    }
}
