//! `lepton engine list|install`.

use super::Session;
use crate::arguments::EngineCommand;
use crate::interrupt::cancel_on_signal;
use crate::terminal::{Bars, Table};
use lepton_core::{Error, ErrorCode, Result, nearest};
use lepton_pipeline::{engines, install_onnxruntime};
use serde_json::json;

pub(super) fn engine(session: &Session, command: &EngineCommand) -> Result<u8> {
    match command {
        EngineCommand::List => list(session)?,
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

fn install(session: &Session, name: &str) -> Result<()> {
    if name != "onnxruntime" {
        let error = Error::new(ErrorCode::Usage, format!("there is no engine \"{name}\" to install"));
        return Err(match nearest(name, ["onnxruntime"]) {
            Some(near) => error.fix(format!("did you mean \"{near}\"?")),
            None => error.fix("onnxruntime is the one engine to install; rten is built in"),
        });
    }
    let library = install_onnxruntime(&session.store, &Bars::new(), &cancel_on_signal()?)?;
    session.show(&json!({ "engine": name, "library": library }), || format!("{}\n", library.display()))
}
