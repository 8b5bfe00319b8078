//! `lepton engine list|install`.

use super::Session;
use crate::arguments::EngineCommand;
use crate::interrupt::cancel_on_signal;
use crate::terminal::{Bars, Table};
use lepton_core::{EngineTime, Limits, ModelRef, Result};
use lepton_pipeline::{engines, install_engine, measure_engines};
use serde_json::json;

pub(super) fn engine(session: &Session, command: &EngineCommand) -> Result<u8> {
    match command {
        EngineCommand::List { measure: None } => list(session)?,
        EngineCommand::List { measure: Some(model) } => measure(session, model)?,
        EngineCommand::Install { name } => install(session, name)?,
    }
    Ok(0)
}

fn list(session: &Session) -> Result<()> {
    let found = engines(&session.store, session.onnxruntime.as_deref()).list();
    session.show(&json!({ "engines": found }), || {
        let mut table = Table::new(&["engine", "version", "in use", "why"]);
        for engine in &found {
            let used = if engine.default { "yes" } else { "" };
            table.row([engine.name.as_str(), engine.version.as_deref().unwrap_or("-"), used, &engine.reason]);
        }
        table.text()
    })
}

fn measure(session: &Session, model: &ModelRef) -> Result<()> {
    let choice = measure_engines(&session.store, model, session.onnxruntime.as_deref(), &Limits::default())?;
    session.show(&json!({ "model": model.to_string(), "choice": choice }), || {
        let mut table = Table::new(&["engine", "version", "1 row, us", "8 rows, us", "fastest"]);
        for EngineTime { engine, version, seconds_batch_1, seconds_batch_8 } in &choice.measured {
            let [one, eight] = [seconds_batch_1, seconds_batch_8].map(|seconds| format!("{:.1}", 1e6 * seconds));
            let fastest = if *engine == choice.engine { "yes" } else { "" };
            table.row([engine.as_str(), version, &one, &eight, fastest]);
        }
        format!("{}{}\n", table.text(), choice.reason)
    })
}

fn install(session: &Session, name: &str) -> Result<()> {
    let library = install_engine(&session.store, name, &Bars::new(), &cancel_on_signal()?)?;
    session.show(&json!({ "engine": name, "library": library }), || format!("{}\n", library.display()))
}
