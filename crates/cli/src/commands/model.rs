//! `lepton model list|show|summary|verify|export`.

use super::Session;
use crate::arguments::ModelCommand;
use crate::terminal::{self, Table};
use lepton_core::{Limits, Manifest, ModelRef, Result, TensorSpec};
use lepton_pipeline::{NetworkShape, export, open_package};
use serde_json::json;
use std::path::Path;

pub(super) fn model(session: &Session, command: &ModelCommand) -> Result<u8> {
    match command {
        ModelCommand::List => list(session)?,
        ModelCommand::Show { model } => show(session, model)?,
        ModelCommand::Summary { what, task, input, outputs } => {
            let shape = NetworkShape { task: *task, input: input.clone().map(|sides| sides.0), outputs: *outputs };
            let summary = lepton_pipeline::summary(&session.store, what, &shape, &Limits::default())?;
            session.show(&summary, || summary.to_string())?;
        }
        ModelCommand::Verify { model } => verify(session, model)?,
        ModelCommand::Export { model, destination } => copy(session, model, destination)?,
    }
    Ok(0)
}

fn list(session: &Session) -> Result<()> {
    let records = session.store.models()?;
    let objects: Vec<_> = records
        .iter()
        .map(|record| {
            json!({
                "name": record.name, "version": record.version, "package": record.dir,
                "manifest_sha256": record.manifest, "created": record.created, "run": record.run,
            })
        })
        .collect();
    session.show(&json!({ "models": objects }), || {
        let mut table = Table::new(&["model", "created", "run", "package"]);
        for record in &records {
            table.row([
                format!("{}@{}", record.name, record.version),
                record.created.clone(),
                record.run.clone().unwrap_or_else(|| "-".to_owned()),
                record.dir.display().to_string(),
            ]);
        }
        table.text()
    })
}

fn show(session: &Session, model: &ModelRef) -> Result<()> {
    let (name, version, package) = open_package(&session.store, model, &Limits::default())?;
    let value = json!({ "model": format!("{name}@{version}"), "package": package.dir, "manifest": package.manifest });
    session.show(&value, || describe(&name, version, &package.dir, &package.manifest))
}

fn describe(name: &str, version: u64, folder: &Path, manifest: &Manifest) -> String {
    let task = manifest.task.map_or_else(|| "none named".to_owned(), |task| task.to_string());
    let mut text = format!(
        "model    {name}@{version}\ntask     {task}\npackage  {}\nserved   {}\n",
        folder.display(),
        manifest.served
    );
    if let Some(verdict) = &manifest.int8 {
        text.push_str(&format!("INT8     {}\n", verdict.reason));
    }
    if let Some(lineage) = &manifest.lineage {
        text.push_str(&format!(
            "dataset  {} sha256:{}\nseed     {}\ntrained  {} by run {} on {}\ncommand  {}\n",
            lineage.dataset,
            lineage.dataset_sha256,
            lineage.seed.0,
            lineage.created,
            lineage.run,
            lineage.environment.processor,
            lineage.command,
        ));
    }
    let mut tensors = Table::new(&["tensor", "name", "dtype", "shape"]);
    let sides = [("input", &manifest.signature.inputs), ("output", &manifest.signature.outputs)];
    for (side, specs) in sides {
        for spec in specs {
            tensors.row([side.to_owned(), spec.name.clone(), spec.dtype.to_string(), shape(spec)]);
        }
    }
    text.push_str(&format!("\n{}", tensors.text()));
    if !manifest.metrics.is_empty() {
        let mut metrics = Table::new(&["split", "metric", "value"]);
        for (split, values) in &manifest.metrics {
            for (metric, value) in values {
                metrics.row([split.clone(), metric.clone(), format!("{value:.4}")]);
            }
        }
        text.push_str(&format!("\n{}", metrics.text()));
    }
    let mut files = Table::new(&["file", "size", "sha256"]);
    for (file, entry) in &manifest.files {
        files.row([file.clone(), terminal::bytes(entry.bytes), entry.sha256.to_string()]);
    }
    text.push_str(&format!("\n{}", files.text()));
    text
}

fn shape(spec: &TensorSpec) -> String {
    let sides: Vec<String> = spec.shape.iter().map(i64::to_string).collect();
    format!("[{}]", sides.join(", "))
}

fn verify(session: &Session, model: &ModelRef) -> Result<()> {
    let (name, version, package) = open_package(&session.store, model, &Limits::default())?;
    package.verify()?;
    let files = package.manifest.files.len();
    session.show(&json!({ "model": format!("{name}@{version}"), "status": "ok", "files": files }), || {
        format!("{name}@{version}: all {files} files match their sha256\n")
    })
}

fn copy(session: &Session, model: &ModelRef, destination: &Path) -> Result<()> {
    let folder = export(&session.store, model, destination, &Limits::default())?;
    session.show(&json!({ "package": folder }), || format!("{}\n", folder.display()))
}
