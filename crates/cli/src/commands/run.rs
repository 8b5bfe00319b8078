//! `lepton run`.

use super::Session;
use crate::arguments::RunArguments;
use crate::interrupt::cancel_on_signal;
use crate::terminal::{self, Bars, Table};
use lepton_core::{Error, ModelRef, Result, Split};
use lepton_pipeline::{Project, RepeatReport, Repeats, RunOptions, RunResult, run_repeated};

pub(super) fn run(session: &Session, arguments: &RunArguments) -> Result<u8> {
    let project = Project::load(&arguments.path, &arguments.set)?;
    let options = RunOptions {
        access: crate::access::access(&project.settings.collect, arguments.fetch, &arguments.allow_host)?,
        from: arguments.from,
        until: arguments.until,
        command: std::env::args().collect(),
        onnxruntime: session.onnxruntime.clone(),
        now: None,
    };
    let cancel = cancel_on_signal()?;
    let repeats = Repeats { folds: arguments.folds, seeds: arguments.seeds };
    if repeats != (Repeats { folds: 1, seeds: 1 }) {
        let report = run_repeated(&project, repeats, &options, &session.store, &Bars::new(), &cancel)?;
        session.show(&report, || repeated(&report))?;
        return Ok(0);
    }
    let result = lepton_pipeline::run(&project, &options, &session.store, &Bars::new(), &cancel)?;
    session.show(&result, || table(&result))?;
    if !arguments.serve {
        return Ok(0);
    }
    let model: ModelRef = result
        .model
        .as_deref()
        .ok_or_else(|| {
            Error::new(lepton_core::ErrorCode::Usage, "--serve needs a run that reaches deploy")
                .fix("leave out --until")
        })?
        .parse()?;
    super::serve::serve(session, &[model], &arguments.address, None, false)
}

fn repeated(report: &RepeatReport) -> String {
    let (mean, deviation) = (&report.metrics[Split::Test.name()], &report.deviation[Split::Test.name()]);
    let headings: Vec<&str> = ["fold", "seed"].into_iter().chain(mean.keys().map(String::as_str)).collect();
    let mut runs = Table::new(&headings);
    for run in &report.runs {
        let fold = run.fold.map_or_else(|| "-".to_owned(), |fold| fold.to_string());
        let values =
            mean.keys().map(|name| run.test.get(name).map_or_else(|| "-".to_owned(), |value| format!("{value:.4}")));
        runs.row([fold, run.seed.0.to_string()].into_iter().chain(values));
    }
    let mut means = Table::new(&["test metric", "mean", "deviation"]);
    for (name, value) in mean {
        means.row([name.clone(), format!("{value:.4}"), format!("{:.4}", deviation[name])]);
    }
    let dataset = report.last.dataset.map_or_else(String::new, |digest| format!("\ndataset  sha256:{digest}"));
    let machine = &report.last.environment;
    format!("\n{}\n{}{dataset}\nmachine  {}, {}\n", runs.text(), means.text(), machine.processor, machine.system)
}

fn table(result: &RunResult) -> String {
    let mut stages = Table::new(&["stage", "time", "result"]);
    for stage in &result.stages {
        let time = if stage.cached { "cached".to_owned() } else { terminal::seconds(stage.seconds) };
        stages.row([stage.name.to_string(), time, stage.summary.clone()]);
    }
    let mut text = format!("\n{}", stages.text());
    if !result.metrics.is_empty() {
        let names: Vec<&String> = result
            .metrics
            .values()
            .flat_map(|metrics| metrics.keys())
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        let mut headings = vec!["split"];
        headings.extend(names.iter().map(|name| name.as_str()));
        let mut metrics = Table::new(&headings);
        for split in Split::ALL {
            let Some(values) = result.metrics.get(split.name()) else { continue };
            let cells = names
                .iter()
                .map(|name| values.get(*name).map_or_else(|| "-".to_owned(), |value| format!("{value:.4}")));
            metrics.row(std::iter::once(split.to_string()).chain(cells));
        }
        if let Some(confidence) = &result.confidence {
            let interval = |name: &&String| match confidence.intervals.get(*name) {
                Some([low, high]) => format!("{low:.4} to {high:.4}"),
                None => "-".to_owned(),
            };
            metrics.row(std::iter::once("95 % of test".to_owned()).chain(names.iter().map(interval)));
        }
        text.push_str(&format!("\n{}", metrics.text()));
    }
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: Option<String>| facts.extend(value.map(|value| format!("{name:<9}{value}")));
    fact("model", result.model.clone());
    fact("package", result.package.as_ref().map(|folder| folder.display().to_string()));
    fact("size", result.package_bytes.map(terminal::bytes));
    fact("INT8", result.int8.clone());
    fact("transfer", result.transfer.as_ref().map(lepton_pipeline::TransferReport::sentence));
    fact("adapt", result.adapt.as_ref().map(lepton_pipeline::AdaptReport::sentence));
    fact("dataset", result.dataset.map(|digest| format!("sha256:{digest}")));
    fact("seed", Some(result.seed.0.to_string()));
    fact("engine", result.engine.clone());
    fact("machine", Some(format!("{}, {}", result.environment.processor, result.environment.system)));
    fact("run", Some(result.run.clone()));
    fact("report", Some(result.report.display().to_string()));
    text.push_str(&format!("\n{}\n", facts.join("\n")));
    text
}
