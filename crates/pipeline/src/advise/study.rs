//! An advice from its beginning to its end: the stages before training, the fingerprint, the candidates, what can be told
//! of them without training, the pilots, the choice, the settings.

use super::candidates::{Candidate, candidates};
use super::fingerprint::{Fingerprint, shape};
use super::folds::Judging;
use super::options::{AdviseOptions, metric};
use super::pilot::{PilotJob, network_facts, pool};
use super::predict::least_memory;
use super::race::{Race, Runner, all_failed, split_rows};
use super::report::{AdviceReport, CandidateFacts, ChoiceFacts, Limits, Made, ranked};
use super::sentences::{amount, bytes, seconds};
use super::settings_file;
use super::subject::AdviseSubject;
use crate::artifact::{Augmented, Collected, Prepared};
use crate::engines;
use crate::run::stages_before_training;
use crate::stages::train;
use lepton_core::{Cancel, Error, ErrorCode, Event, Progress, Result, Seed, Split, Tensor};
use lepton_nn::Network;
use lepton_recipe::Recipe;
use lepton_store::Store;
use lepton_train::Learner;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Keys of a project's own `[train]` that every candidate gets: they say what is wanted, not how to get it.
const KEPT: [&str; 3] = ["threads", "class_weights", "loss"];

/// Advises on `subject`. Asked to stop, it says what it knows.
///
/// # Errors
/// [`ErrorCode::Locked`] when another process runs the project; [`ErrorCode::GateFailed`] where no candidate keeps the
/// limits, naming the nearest; what collecting and preparing report; the first pilot's error where all failed.
pub fn advise(
    subject: &AdviseSubject,
    options: &AdviseOptions,
    store: &Store,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<AdviceReport> {
    let project = &subject.project;
    let task = project.settings.task();
    if project.settings.recipe.label_separator.is_some() {
        let message = "there are no pilots yet for rows of several labels";
        return Err(Error::new(ErrorCode::Unsupported, message)
            .at_key("recipe.label_separator")
            .fix("compare networks with lepton tune, over train.architecture"));
    }
    let metric = metric(task, options.metric.as_deref())?;
    let _lock = store.lock_project(&project.folder)?;
    let (collected, prepared, augmented) = stages_before(subject, options, store, progress, cancel)?;
    let threads = train::threads(&project.settings.train);
    let (pool, sizes) = pool(store, &prepared)?;
    let recipe = prepared.load_recipe(store)?;
    let fingerprint = Fingerprint::of(task.kind(), &collected, &prepared, &pool, threads)?;
    let settings = &project.settings.prepare;
    let is_steered = settings.group.is_some()
        || settings.time.is_some()
        || settings.split_column.is_some()
        || collected.parts.contains_key(&Split::Valid);
    let judging = Judging::of(sizes.0 + sizes.1, is_steered);
    let mut notes = subject.notes.clone();
    notes.push(format!("scores are of {judging}; the test rows are not looked at"));
    notes.iter().for_each(|text| progress.event(Event::Note { text: text.clone() }));

    progress.event(Event::StageStarted { stage: "advise".to_owned() });
    let started = Instant::now();
    let budget = options.time.0.as_secs_f64();
    let limits = Limits {
        time: budget,
        memory: options.memory.map(|limit| limit.0),
        latency: options.latency.map(|limit| limit.0),
    };
    let found = of_zoo(subject, &fingerprint)?;
    let (all_rows, _) = split_rows(&judging, sizes, 1.0);
    let look = Look { subject, options, store, prepared: &prepared, recipe: &recipe, threads, cancel, limits };
    let row = recipe.apply(&pool.slice(0, 1.min(pool.num_rows())))?;
    let mut runners = Vec::new();
    for candidate in found {
        runners.push(look.at(candidate, &row, sizes.0)?);
    }
    let race = Race {
        launch: &options.launch,
        job: PilotJob {
            settings: project.settings.clone(),
            folder: project.folder.clone(),
            file: project.file.clone(),
            prepared: prepared.clone(),
            augment: augmented.settings.clone(),
            judging,
            share: 1.0,
            seconds: budget,
            threads,
        },
        metric,
        budget,
        memory: limits.memory,
        split_rows: all_rows,
        started,
        progress,
        cancel,
    };
    race.run(&mut runners)?;
    if let Some(error) = all_failed(&runners) {
        return Err(error);
    }
    let made = Made {
        metric,
        watched: task.watched_metric(),
        limits,
        fingerprint: &fingerprint,
        rows: sizes.0,
        recipe_bytes: recipe.to_json()?.len() as u64,
    };
    let (candidates, first) = ranked(&runners, &made)?;
    let took = started.elapsed().as_secs_f64();
    let mut report = AdviceReport {
        status: if cancel.is_cancelled() { "stopped" } else { "done" },
        project: project.settings.project.name.to_string(),
        notes,
        metric: metric.name(),
        judging,
        seed: project.settings.project.seed,
        limits,
        seconds: took,
        choice: None,
        lepton_toml: None,
        file: None,
        command: options.command.join(" "),
        candidates,
        fingerprint,
    };
    if let (Some(first), Some(facts)) = (first, report.candidates.first()) {
        let (choice, text) = chosen(subject, &report, facts, &runners[first].candidate)?;
        (report.choice, report.lepton_toml) = (Some(choice), Some(text));
    } else if !cancel.is_cancelled() {
        let message = format!("no candidate has a score after {}", seconds(budget));
        return Err(Error::new(ErrorCode::Timeout, message).fix("give more with --time"));
    }
    progress.event(Event::StageFinished {
        stage: "advise".to_owned(),
        seconds: took,
        cached: false,
        summary: match &report.choice {
            Some(choice) => format!("{}, {} {}", choice.name, report.metric, amount(choice.score)),
            None => "stopped before there was a score".to_owned(),
        },
    });
    Ok(report)
}

/// Writes the settings to where [`AdviseSubject::out`] says, which must still be free.
///
/// # Errors
/// [`ErrorCode::Usage`] where a file is there; [`ErrorCode::Io`].
pub fn write_advice(subject: &AdviseSubject, report: &mut AdviceReport) -> Result<PathBuf> {
    let text = report.lepton_toml.as_deref().ok_or_else(|| Error::internal("there are no settings to write"))?;
    settings_file::write(text, &subject.out)?;
    report.file = Some(subject.out.clone());
    Ok(subject.out.clone())
}

/// What the stages before training give, from the cache where it is there.
fn stages_before(
    subject: &AdviseSubject,
    options: &AdviseOptions,
    store: &Store,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(Collected, Prepared, Augmented)> {
    let AdviseOptions { access, command, onnxruntime, .. } = options;
    let artifacts =
        stages_before_training(&subject.project, access, command, onnxruntime.as_deref(), store, progress, cancel)?;
    match (artifacts.collected, artifacts.prepared, artifacts.augmented) {
        (Some(collected), Some(prepared), Some(augmented)) => Ok((collected, prepared, augmented)),
        _ => Err(Error::internal("the stages before training gave nothing")),
    }
}

fn of_zoo(subject: &AdviseSubject, fingerprint: &Fingerprint) -> Result<Vec<Candidate>> {
    let own = subject.own.as_ref();
    let kept: toml::Table = own
        .into_iter()
        .flatten()
        .filter(|(key, _)| KEPT.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    // What goes on from another training is not piloted: it would learn from what it was trained on.
    let own = own.filter(|own| !own.is_empty() && !own.contains_key("from"));
    let rank = fingerprint.input_shape.len();
    candidates(subject.project.settings.task(), &fingerprint.traits(), rank, &kept, own)
}

/// What can be told of a candidate without training it.
struct Look<'a> {
    subject: &'a AdviseSubject,
    options: &'a AdviseOptions,
    store: &'a Store,
    prepared: &'a Prepared,
    recipe: &'a Recipe,
    threads: usize,
    cancel: &'a Cancel,
    limits: Limits,
}

impl Look<'_> {
    fn at(&self, candidate: Candidate, row: &Tensor, rows: usize) -> Result<Runner> {
        let settings = &self.subject.project.settings;
        let shape = shape(self.prepared);
        let outputs = self.prepared.target_of().outputs();
        let learner = lepton_train::learner(settings.task(), &candidate.settings, &shape, outputs);
        let mut runner = Runner::new(candidate);
        let architecture = match learner {
            Ok(Learner::Network(architecture)) => architecture,
            // Trees have a size once they are grown.
            Ok(_) => return Ok(runner),
            Err(error) => {
                runner.excluded = Some(error.message().to_owned());
                return Ok(runner);
            }
        };
        let inputs = shape.iter().product();
        let least = least_memory(&architecture.summary()?, runner.candidate.settings.batch_size, rows, inputs);
        if let Some(limit) = self.limits.memory.filter(|limit| least.value > *limit) {
            let (own, limit) = (bytes(least.value), bytes(limit));
            runner.excluded = Some(format!("training would take {own} at least, and at most {limit} is wanted"));
        }
        runner.least_memory = Some(least);
        if runner.excluded.is_some() || self.cancel.is_cancelled() {
            return Ok(runner);
        }
        let network = Network::new(&architecture, Seed(0))?;
        let engine = engines(self.store, self.options.onnxruntime.as_deref());
        let engine = engine.get(settings.optimize.engine.as_deref())?;
        let input = self.recipe.output().name;
        match network_facts(&network, &*engine, (&input, row), self.threads, self.cancel) {
            Ok(facts) => runner.network = Some(facts),
            Err(error) if error.code() == ErrorCode::Cancelled => return Ok(runner),
            Err(error) => return Err(error),
        }
        if let (Some(limit), Some(network)) = (self.limits.latency, runner.network)
            && network.latency > limit
        {
            let (own, limit) = (seconds(network.latency), seconds(limit));
            runner.excluded = Some(format!("one row takes {own} on this machine, and at most {limit} is wanted"));
        }
        Ok(runner)
    }
}

/// The choice and the text of its settings.
fn chosen(
    subject: &AdviseSubject,
    report: &AdviceReport,
    facts: &CandidateFacts,
    candidate: &Candidate,
) -> Result<(ChoiceFacts, String)> {
    let (score, spread) = (facts.score.unwrap_or(f64::NAN), facts.spread.unwrap_or(0.0));
    let data = &report.fingerprint;
    let mut comment = vec![
        format!("`lepton advise` chose {} for dataset {} ({}).", facts.name, data.dataset, data.sha256.short()),
        format!("{}.", facts.sentence),
        format!(
            "{} {} ± {} is the mean over {}, seed {}; no test row was looked at.",
            report.metric,
            amount(score),
            amount(spread),
            report.judging,
            report.seed.0
        ),
    ];
    if let (Some(run), Some(memory), Some(latency)) = (&facts.run_seconds, &facts.run_memory, &facts.latency) {
        comment.push(format!(
            "A full run is expected to train for {} in {}, and one row to take {}.",
            seconds(run.value),
            bytes(memory.value),
            seconds(latency.value)
        ));
    }
    comment.extend(report.notes.iter().take(subject.notes.len()).cloned());
    let text = settings_file::text(&subject.table, &candidate.train, &comment, &subject.out)?;
    let is_usual = subject.out.file_name().is_some_and(|name| name == "lepton.toml");
    let path = match subject.out.parent() {
        Some(folder) if is_usual && !folder.as_os_str().is_empty() => folder,
        _ => subject.out.as_path(),
    };
    let choice = ChoiceFacts {
        name: facts.name.clone(),
        score,
        spread,
        sentence: facts.sentence.clone(),
        command: run_command(path),
    };
    Ok((choice, text))
}

fn run_command(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    if is_plain { format!("lepton run {text}") } else { format!("lepton run '{}'", text.replace('\'', "'\\''")) }
}
