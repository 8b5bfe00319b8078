//! `lepton tune`, and the hidden `lepton tune-trial` that it starts for each trial.

use super::Session;
use crate::arguments::{TrialArguments, TuneArguments};
use crate::interrupt::cancel_on_signal;
use crate::terminal::{self, Bars, Table};
use lepton_core::{Cancel, Error, ErrorCode, Event, Progress, Result};
use lepton_pipeline::report::study_html;
use lepton_pipeline::{
    Project, RunOptions, StudyReport, TrialJob, TrialLine, TuneOptions, WorkerFailure, check_best_place, run_trial,
    write_about, write_best,
};
use std::ffi::OsString;
use std::io::Read;

/// Trials in the table.
const SHOWN: usize = 10;

pub(super) fn tune(session: &Session, arguments: &TuneArguments) -> Result<u8> {
    let mut project = Project::load(&arguments.path, &arguments.set)?;
    let task = project.settings.task();
    let settings = &mut project.settings.tune;
    settings.trials = arguments.trials.unwrap_or(settings.trials);
    settings.parallel = arguments.parallel.map_or(settings.parallel, std::num::NonZeroUsize::get);
    settings.time = arguments.time.or(settings.time);
    settings.validate(task)?;
    if let Some(to) = &arguments.to {
        check_best_place(&project, to)?;
    }
    let options = TuneOptions {
        launch: launch(session, arguments)?,
        access: crate::access::access(&project.settings.collect, arguments.fetch, &arguments.allow_host)?,
        overrides: arguments.set.clone(),
        command: std::env::args().collect(),
        shown: arguments.path.display().to_string(),
        onnxruntime: session.onnxruntime.clone(),
    };
    let bars = Bars::new();
    let report = lepton_pipeline::tune(&project, &options, &session.store, &bars, &cancel_on_signal()?)?;
    if let Some(to) = &arguments.html {
        write_about(&project.file, to, "--html", &study_html(&report, &lepton_pipeline::now_utc()))?;
        terminal::say(&format!("page: {}", to.display()));
    }
    match (&arguments.to, &report.best) {
        (Some(to), Some(_)) => {
            write_best(&project, &arguments.set, &report, to)?;
            terminal::say(&format!("settings of the best trial: {}", to.display()));
        }
        (Some(to), None) => {
            let text = format!("{} was not written: no trial is complete", to.display());
            bars.event(Event::Warning { text });
        }
        (None, _) => {}
    }
    session.show(&report, || table(&report))?;
    Ok(0)
}

/// This binary again, with the same data folder and permissions, for one trial.
fn launch(session: &Session, arguments: &TuneArguments) -> Result<Vec<OsString>> {
    let binary = std::env::current_exe().map_err(|source| Error::io("find this program", "lepton", source))?;
    let mut words: Vec<OsString> = vec![binary.into(), "--home".into(), session.store.home().into()];
    if let Some(library) = &session.onnxruntime {
        words.extend(["--onnxruntime".into(), library.into()]);
    }
    words.push("tune-trial".into());
    if arguments.fetch {
        words.push("--fetch".into());
    }
    for host in &arguments.allow_host {
        words.extend(["--allow-host".into(), host.into()]);
    }
    // A job begins with a brace, so nothing takes it for a flag.
    Ok(words)
}

fn table(report: &StudyReport) -> String {
    let objectives: Vec<&str> = report.objectives.iter().map(|objective| objective.name).collect();
    let keys: Vec<&str> = report.space.dimensions.keys().map(String::as_str).collect();
    let mut headings = vec!["trial"];
    headings.extend(&objectives);
    headings.extend(&keys);
    headings.push("time");
    let mut best = Table::new(&headings);
    let ranked = report.ranked();
    for trial in ranked.iter().take(SHOWN) {
        let value = |name: &&str| trial.values.get(*name).map_or_else(|| "-".to_owned(), |value| shown(*value));
        let setting = |key: &&str| trial.point.get(*key).map_or_else(|| "-".to_owned(), lepton_pipeline::shown_setting);
        let mark = if report.objectives.len() > 1 && report.pareto.contains(&trial.number) { "*" } else { "" };
        let cells = std::iter::once(format!("{}{mark}", trial.number))
            .chain(objectives.iter().map(value))
            .chain(keys.iter().map(setting))
            .chain([terminal::seconds(trial.seconds)]);
        best.row(cells);
    }
    let mut text = format!("\n{}", best.text());
    if ranked.len() > SHOWN {
        text.push_str(&format!("and {} more; --json has all\n", ranked.len() - SHOWN));
    }
    if report.objectives.len() > 1 {
        text.push_str("* no other trial beats it in every objective\n");
    }
    if !report.importances.is_empty() {
        let mut shares = Table::new(&["key", "importance"]);
        for (key, share) in report.by_importance() {
            shares.row([key.to_owned(), format!("{:.0} %", 100.0 * share)]);
        }
        text.push_str(&format!("\n{}", shares.text()));
    }
    let mut facts = vec![
        ("values", format!("of the {}ation split", report.split)),
        ("dataset", format!("{} sha256:{}", report.dataset, report.sha256)),
        ("seed", report.seed.0.to_string()),
        ("machine", format!("{}, {}", report.environment.processor, report.environment.system)),
        ("study", format!("{}, {}", report.study, report.status)),
    ];
    if let Some(best) = &report.best {
        facts.push(("best", best.command.clone()));
    }
    let facts: Vec<String> = facts.into_iter().map(|(name, value)| format!("{name:<9}{value}")).collect();
    text.push_str(&format!("\n{}\n", facts.join("\n")));
    text
}

fn shown(value: f64) -> String {
    lepton_pipeline::shown_setting(&serde_json::Value::from(value))
}

/// One trial. What it has to say are lines of JSON on standard output; its standard input says when to stop.
pub(super) fn trial(session: &Session, arguments: &TrialArguments) -> Result<u8> {
    let outcome = work(session, arguments);
    let (line, code) = match outcome {
        Ok(result) => (TrialLine::Result(result), 0),
        Err(error) => (TrialLine::Failed(WorkerFailure::of(&error)), error.code().exit_code()),
    };
    tell(&line);
    Ok(code)
}

fn work(session: &Session, arguments: &TrialArguments) -> Result<lepton_pipeline::TrialResult> {
    let job: TrialJob = serde_json::from_str(&arguments.job)
        .map_err(|source| Error::new(ErrorCode::Usage, format!("the trial's job cannot be read: {source}")))?;
    let (cancel, pruned) = (cancel_on_signal()?, Cancel::default());
    let flags = (cancel.clone(), pruned.clone());
    std::thread::Builder::new()
        .name("parent".to_owned())
        .spawn(move || {
            let mut word = String::new();
            // Closed is closed, whether or not it could be read.
            let _ = std::io::stdin().lock().read_to_string(&mut word);
            if word.trim() == lepton_pipeline::PRUNE {
                flags.1.cancel();
            }
            flags.0.cancel();
        })
        .map_err(|source| Error::new(ErrorCode::Io, format!("cannot listen to the study: {source}")))?;
    let project = job.project()?;
    let options = RunOptions {
        access: crate::access::access(&project.settings.collect, arguments.fetch, &arguments.allow_host)?,
        command: job.command()?,
        onnxruntime: session.onnxruntime.clone(),
        ..RunOptions::default()
    };
    run_trial(&project, &options, &session.store, (&cancel, &pruned), &|line| tell(&line))
}

fn tell(line: &TrialLine) {
    match serde_json::to_string(line) {
        // A study that does not listen any more has closed this process's standard input too.
        Ok(text) => drop(terminal::print(&format!("{text}\n"))),
        Err(source) => terminal::say(&source.to_string()),
    }
}
