//! `lepton advise`, and the hidden `lepton advise-pilot` that it starts for each pilot.

use super::Session;
use crate::arguments::AdviseArguments;
use crate::interrupt::cancel_on_signal;
use crate::terminal::{self, Bars, Table};
use lepton_core::{Error, ErrorCode, Result, Seed, Split, thousands};
use lepton_pipeline::report::advice_html;
use lepton_pipeline::{
    AdviceReport, AdviseData, AdviseOptions, AdviseSubject, CandidateFacts, Fingerprint, PilotJob, PilotLine, Standing,
    TargetFacts, WorkerFailure, run_pilot, write_about, write_advice,
};
use std::ffi::OsString;
use std::io::{BufRead, Read};
use std::path::Path;

pub(super) fn advise(session: &Session, arguments: &AdviseArguments) -> Result<u8> {
    let (bars, cancel) = (Bars::new(), cancel_on_signal()?);
    let data = AdviseData {
        data: arguments.data.clone(),
        target: arguments.target.clone(),
        task: arguments.task,
        seed: arguments.seed.map(Seed),
        out: arguments.out.clone(),
        fetch: arguments.fetch,
    };
    let subject = AdviseSubject::find(&data, &session.store, &bars, &cancel)?;
    let collect = &subject.project.settings.collect;
    let options = AdviseOptions {
        launch: launch(session)?,
        access: crate::access::access(collect, arguments.fetch, &arguments.allow_host)?,
        time: arguments.time,
        memory: arguments.memory,
        latency: arguments.latency,
        metric: arguments.metric.clone(),
        command: std::env::args().collect(),
        onnxruntime: session.onnxruntime.clone(),
    };
    let mut report = lepton_pipeline::advise(&subject, &options, &session.store, &bars, &cancel)?;
    let is_whole = report.status == "done";
    if is_whole {
        write_advice(&subject, &mut report)?;
    }
    if let Some(to) = &arguments.html {
        let html = advice_html(&report, &lepton_pipeline::now_utc());
        write_about(Path::new(&arguments.data), to, "--html", &html)?;
        terminal::say(&format!("page: {}", to.display()));
    }
    session.show(&report, || table(&report))?;
    if is_whole {
        return Ok(0);
    }
    terminal::say("stopped on request: this is what is known so far, and nothing was written");
    Ok(ErrorCode::Cancelled.exit_code())
}

/// This binary again, with the same data folder, for one pilot.
fn launch(session: &Session) -> Result<Vec<OsString>> {
    let binary = std::env::current_exe().map_err(|source| Error::io("find this program", "lepton", source))?;
    let mut words: Vec<OsString> = vec![binary.into(), "--home".into(), session.store.home().into()];
    if let Some(library) = &session.onnxruntime {
        words.extend(["--onnxruntime".into(), library.into()]);
    }
    words.push("advise-pilot".into());
    Ok(words)
}

fn table(report: &AdviceReport) -> String {
    let mut text = format!("\n{}\n", facts(&data_lines(&report.fingerprint)));
    let metric = report.metric;
    let headings = ["", "candidate", metric, "±", "pilots", "full run", "memory", "one row", "package"];
    let mut board = Table::new(&headings);
    for (place, candidate) in report.candidates.iter().enumerate() {
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let number = |value: Option<f64>| or_dash(value.map(|value| format!("{value:.4}")));
        let memory = candidate
            .run_memory
            .as_ref()
            .map(|memory| format!("{}{}", terminal::bytes(memory.value), if memory.is_measured() { "" } else { "*" }));
        board.row([
            rank(candidate, place),
            candidate.name.clone(),
            number(candidate.score),
            number(candidate.spread),
            pilots(candidate),
            or_dash(candidate.run_seconds.as_ref().map(|run| terminal::seconds(run.value))),
            or_dash(memory),
            or_dash(candidate.latency.as_ref().map(|latency| latency_text(latency.value))),
            or_dash(candidate.package_bytes.as_ref().map(|package| terminal::bytes(package.value))),
        ]);
    }
    text.push_str(&format!("\n{}", board.text()));
    text.push_str("full run: predicted seconds of training; memory: its peak (* estimated)\n\n");
    for candidate in &report.candidates {
        text.push_str(&format!("{}: {}. Before: {}.\n", candidate.name, candidate.sentence, candidate.prior.because));
    }
    let mut lines = vec![
        ("scores", format!("of {}; {metric}", report.judging)),
        ("dataset", format!("{} sha256:{}", report.fingerprint.dataset, report.fingerprint.sha256)),
        ("seed", report.seed.0.to_string()),
        ("time", format!("{} of {}", terminal::seconds(report.seconds), terminal::seconds(report.limits.time))),
    ];
    if let Some(choice) = &report.choice {
        lines.push(("first", choice.name.clone()));
        if let Some(file) = &report.file {
            lines.push(("settings", file.display().to_string()));
            lines.push(("next", choice.command.clone()));
        }
    }
    text.push_str(&format!("\n{}\n", facts(&lines)));
    text
}

fn facts(lines: &[(&str, String)]) -> String {
    lines.iter().map(|(name, value)| format!("{name:<9}{value}")).collect::<Vec<_>>().join("\n")
}

/// The fingerprint in a few lines.
fn data_lines(data: &Fingerprint) -> Vec<(&'static str, String)> {
    let rows: Vec<String> = Split::ALL
        .iter()
        .filter_map(|split| Some(format!("{} {split}", thousands(*data.rows.get(split)? as u64))))
        .collect();
    let kinds: Vec<String> = data.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let shape: Vec<String> = data.input_shape.iter().map(usize::to_string).collect();
    let target = match &data.target {
        TargetFacts::Classes { column, classes, largest, smallest, balance } => format!(
            "{column}: {classes} classes, from {:.1} % ({}) to {:.1} % ({}), balance {balance:.2}",
            100.0 * smallest.1,
            smallest.0,
            100.0 * largest.1,
            largest.0
        ),
        TargetFacts::Number { column, mean, deviation } => {
            format!("{column}: a number, mean {mean:.4}, deviation {deviation:.4}")
        }
    };
    let machine = &data.machine;
    let memory = machine.memory_bytes.map_or_else(String::new, |bytes| format!(", {}", terminal::bytes(bytes)));
    vec![
        ("task", data.task.to_string()),
        ("rows", rows.join(", ")),
        ("columns", format!("{}; {:.1} % of the cells are missing", kinds.join(", "), 100.0 * data.missing_share)),
        (
            "input",
            format!("{} numbers a row ({}), {:.3} for each row", data.inputs, shape.join("x"), data.inputs_per_row),
        ),
        ("target", target),
        ("machine", format!("{}, {} to train on{memory}", machine.environment.processor, machine.environment.threads)),
    ]
}

fn rank(candidate: &CandidateFacts, place: usize) -> String {
    match candidate.standing {
        Standing::First => "first".to_owned(),
        Standing::Tied => format!("{} tied", place + 1),
        Standing::Behind => (place + 1).to_string(),
        Standing::Dropped => "dropped".to_owned(),
        Standing::Unknown => "unknown".to_owned(),
        Standing::Excluded => "excluded".to_owned(),
        Standing::Failed => "failed".to_owned(),
    }
}

/// What the last pilot was: rows, epochs, splits, seconds of all pilots.
fn pilots(candidate: &CandidateFacts) -> String {
    let Some(last) = candidate.pilots.last() else { return "-".to_owned() };
    let seconds: f64 = candidate.pilots.iter().map(|pilot| pilot.seconds).sum();
    let stopped = if last.stopped { ", stopped" } else { "" };
    format!(
        "{} rows x {:.0} x {}{stopped}, {}",
        thousands(last.rows as u64),
        last.epochs,
        last.scores.len(),
        terminal::seconds(seconds)
    )
}

fn latency_text(seconds: f64) -> String {
    if seconds < 1e-3 { format!("{:.1} us", seconds * 1e6) } else { format!("{:.2} ms", seconds * 1e3) }
}

/// One pilot. Its job is the first line of its standard input, whose end says when to stop; what it has to say are lines
/// of JSON on standard output.
pub(super) fn pilot(session: &Session) -> Result<u8> {
    let (line, code) = match work(session) {
        Ok(result) => (PilotLine::Result(result), 0),
        Err(error) => (PilotLine::Failed(WorkerFailure::of(&error)), error.code().exit_code()),
    };
    tell(&line);
    Ok(code)
}

fn work(session: &Session) -> Result<lepton_pipeline::PilotResult> {
    let cancel = cancel_on_signal()?;
    let mut line = String::new();
    let unread = |source| Error::io("read the job", "standard input", source);
    std::io::stdin().lock().read_line(&mut line).map_err(unread)?;
    let job: PilotJob = serde_json::from_str(&line)
        .map_err(|source| Error::new(ErrorCode::Usage, format!("the pilot's job cannot be read: {source}")))?;
    let flag = cancel.clone();
    std::thread::Builder::new()
        .name("parent".to_owned())
        .spawn(move || {
            // Closed is closed, whether or not it could be read.
            let _ = std::io::stdin().lock().read_to_string(&mut String::new());
            flag.cancel();
        })
        .map_err(|source| Error::new(ErrorCode::Io, format!("cannot listen to the advice: {source}")))?;
    run_pilot(&job, &session.store, session.onnxruntime.as_deref(), &cancel, &|line| tell(&line))
}

fn tell(line: &PilotLine) {
    match serde_json::to_string(line) {
        // Who does not listen any more has closed this process's standard input too.
        Ok(text) => drop(terminal::print(&format!("{text}\n"))),
        Err(source) => terminal::say(&source.to_string()),
    }
}
