//! From a run's artifacts to what the report is drawn from.

use super::Artifacts;
use crate::machine::environment;
use crate::report::{
    AgreementFacts, DatasetFacts, EpochFacts, FileFacts, FindingFacts, ReportInput, RowCounts, StageFacts,
};
use crate::run::{Context, RunResult};
use lepton_core::{Figure, LabelledCell, Limits, Result, thousands};
use lepton_doctor::rules::{CheckReport, Verdict};

/// Collects everything that the page shows; what the run did not reach stays empty.
pub(crate) fn report_input(
    context: &Context<'_>,
    result: &RunResult,
    artifacts: &Artifacts,
    started: &str,
) -> Result<ReportInput> {
    let settings = &context.project.settings;
    let stages = result
        .stages
        .iter()
        .map(|stage| StageFacts {
            name: stage.name.to_string(),
            seconds: stage.seconds,
            cached: stage.cached,
            summary: stage.summary.clone(),
        })
        .collect();
    let mut input = ReportInput {
        title: format!("{}: {}", settings.project.name, settings.project.task),
        project: settings.project.name.to_string(),
        run: context.run.clone(),
        status: result.status.to_owned(),
        started: started.to_owned(),
        command: context.options.command.join(" "),
        seed: settings.project.seed,
        environment: artifacts
            .trained
            .as_ref()
            .map_or_else(|| environment(0, ""), |trained| trained.environment.clone()),
        dataset: DatasetFacts {
            name: artifacts.collected.as_ref().map_or_else(String::new, |collected| collected.dataset.clone()),
            sha256: result.dataset,
        },
        stages,
        primary_metric: settings.task().primary_metric(),
        engine: result.engine.clone().unwrap_or_default(),
        metrics: result.metrics.clone(),
        confidence: result.confidence.clone(),
        history: Vec::new(),
        best_epoch: None,
        refitted_rows: None,
        figures: Vec::new(),
        augmented: artifacts.augmented.as_ref().and_then(|augmented| augmented.preview.clone()),
        drift: artifacts.monitored.as_ref().map(|monitored| drift_table(&monitored.drift)),
        findings: Vec::new(),
        rules: None,
        crossing: Default::default(),
        rows: Default::default(),
        classes: Default::default(),
        architecture: None,
        agreement: None,
        int8: None,
        files: Vec::new(),
        lineage: Vec::new(),
        model: result.model.clone(),
        package: result.package.as_ref().map(|folder| folder.display().to_string()),
    };
    prepared(&mut input, artifacts);
    if let Some(trained) = &artifacts.trained {
        input.best_epoch = Some(trained.best_epoch);
        input.refitted_rows = trained.refitted_rows.map(|rows| rows as u64);
        input.architecture = Some(trained.summary.clone());
        input.history = trained
            .history
            .iter()
            .map(|epoch| EpochFacts {
                epoch: epoch.epoch,
                train_loss: epoch.train_loss,
                train_score: epoch.train_accuracy,
                valid_loss: epoch.valid_loss,
                valid_score: epoch.valid.get(input.primary_metric.name()).copied().unwrap_or(f64::NAN),
                learning_rate: epoch.learning_rate,
                seconds: epoch.seconds,
                data_wait_seconds: epoch.data_wait_seconds,
            })
            .collect();
    }
    if let Some(optimized) = &artifacts.optimized {
        let bytes = context.store.blobs().get(&optimized.figures)?;
        input.figures = serde_json::from_slice::<Vec<Figure>>(&bytes)
            .map_err(|source| lepton_core::Error::internal(format!("figures cannot be read back: {source}")))?;
        let transfer = artifacts.trained.as_ref().and_then(|trained| trained.transfer.as_ref());
        input.figures.splice(..0, transfer.map(|transfer| transfer.figure()));
        let ensemble = artifacts.trained.as_ref().and_then(|trained| trained.ensemble.as_ref());
        input.figures.splice(..0, ensemble.map(|ensemble| ensemble.figure()));
        let adapt = artifacts.trained.as_ref().and_then(|trained| trained.adapt.as_ref());
        input.figures.splice(..0, adapt.map(|adapt| adapt.figure()));
        input.agreement = Some(AgreementFacts {
            rows: optimized.agreement.rows as u64,
            max_abs_difference: optimized.agreement.max_abs_difference,
            identical_argmax: optimized.agreement.identical_argmax as u64,
        });
        input.int8 = optimized.verdict.clone();
    }
    if let Some(folder) = &result.package {
        package(&mut input, folder)?;
    }
    Ok(input)
}

/// The snake_case name that a unit variant has in JSON.
fn name_of(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn prepared(input: &mut ReportInput, artifacts: &Artifacts) {
    let Some(prepared) = &artifacts.prepared else { return };
    let report = &prepared.report;
    input.findings = report
        .findings
        .iter()
        .map(|finding| FindingFacts {
            kind: name_of(&finding.kind),
            severity: name_of(&finding.severity),
            count: finding.count,
            message: finding.message.clone(),
            evidence: finding.evidence.clone(),
        })
        .collect();
    input.rules = rules_table(&prepared.checks);
    for (split, count) in &report.crossing {
        input.crossing.insert(split.to_string(), *count);
    }
    for (split, counts) in &report.rows {
        input.rows.insert(split.to_string(), RowCounts { before: counts.before, after: counts.after });
    }
    for (split, classes) in &report.classes {
        input.classes.insert(split.to_string(), classes.clone());
    }
}

fn package(input: &mut ReportInput, folder: &std::path::Path) -> Result<()> {
    let manifest = lepton_runtime::Package::open(folder, &Limits::default())?.manifest;
    input.files = manifest
        .files
        .iter()
        .map(|(name, file)| FileFacts { name: name.clone(), bytes: file.bytes, sha256: file.sha256 })
        .collect();
    if let Some(lineage) = &manifest.lineage {
        input.lineage = vec![
            ("dataset".to_owned(), format!("{} sha256:{}", lineage.dataset, lineage.dataset_sha256)),
            ("prepared".to_owned(), format!("sha256:{}", lineage.prepared_sha256)),
            ("recipe".to_owned(), format!("sha256:{}", lineage.recipe_sha256)),
            ("settings".to_owned(), format!("sha256:{}", lineage.settings_sha256)),
            ("seed".to_owned(), lineage.seed.0.to_string()),
            ("trained by run".to_owned(), lineage.run.clone()),
            ("command".to_owned(), lineage.command.clone()),
            ("trained at".to_owned(), lineage.created.clone()),
            ("backend".to_owned(), lineage.environment.backend.clone()),
            ("processor".to_owned(), lineage.environment.processor.clone()),
            ("threads".to_owned(), lineage.environment.threads.to_string()),
            ("lepton".to_owned(), lineage.environment.lepton.clone()),
        ];
    }
    Ok(())
}

fn rules_table(checks: &CheckReport) -> Option<Figure> {
    let cell = |text: String, good| LabelledCell { text, good };
    let rows = checks.rules.iter().map(|rule| {
        let good = Some(rule.verdict == Verdict::Passed);
        let whole = rule.observed.is_some();
        let count = |count: u64| if whole { "–".to_owned() } else { thousands(count) };
        vec![
            cell(rule.column_text(), None),
            cell(rule.expected.clone(), None),
            cell(count(rule.checked), None),
            cell(count(rule.failed), None),
            cell(rule.evidence_text(), None),
            cell(rule.verdict.name().to_owned(), good),
        ]
    });
    (!checks.rules.is_empty()).then(|| Figure::Table {
        title: "Rules".to_owned(),
        columns: ["column", "expected", "checked", "broken by", "seen", "verdict"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
    })
}

fn drift_table(drift: &lepton_monitor::DriftReport) -> Figure {
    let cell = |text: String, good| LabelledCell { text, good };
    let rows = drift
        .columns
        .iter()
        .chain(&drift.predictions)
        .map(|column| {
            let verdict = match column.drifted {
                Some(true) => "drifted",
                Some(false) => "as in training",
                None => "too few rows to say",
            };
            vec![
                cell(column.column.clone(), None),
                cell(column.statistic.to_string(), None),
                cell(column.value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}")), None),
                cell(format!("{:.4}", column.threshold), None),
                cell(verdict.to_owned(), column.drifted.map(|drifted| !drifted)),
            ]
        })
        .collect();
    Figure::Table {
        title: format!("Drift of the test split against the reference ({} rows)", drift.rows),
        columns: ["column", "statistic", "value", "threshold", "verdict"].map(str::to_owned).to_vec(),
        rows,
    }
}
