//! One file per noun: flags to one library call to a printed answer.

mod advise;
mod bench;
mod check;
mod data;
mod doctor;
mod engine;
mod model;
mod monitor;
mod predict;
mod profile;
mod run;
mod runs;
mod serve;
mod sql;
mod tune;
mod versions;

use crate::arguments::{Arguments, BenchCommand, Command};
use crate::terminal;
use clap::CommandFactory;
use lepton_core::{Error, ErrorCode, Limits, ModelRef, Result};
use lepton_pipeline::{LoadedModel, load_model};
use lepton_store::Store;
use std::path::{Path, PathBuf};

/// What every command works with.
pub(crate) struct Session {
    pub(crate) store: Store,
    pub(crate) json: bool,
    pub(crate) onnxruntime: Option<PathBuf>,
}

impl Session {
    /// Loads a model on an engine, and says where another engine runs it than its package names.
    fn load(&self, model: &ModelRef, engine: Option<&str>, limits: &Limits) -> Result<LoadedModel> {
        let loaded = load_model(&self.store, model, engine, self.onnxruntime.as_deref(), limits)?;
        loaded.engine_note.iter().for_each(|note| terminal::say(note));
        Ok(loaded)
    }

    /// Prints `value` as JSON where that was asked for, else the table that `table` makes.
    fn show(&self, value: &impl serde::Serialize, table: impl FnOnce() -> String) -> Result<()> {
        if self.json { terminal::print_json(value) } else { terminal::print(&table()) }
    }
}

/// Runs the command; the code is 0, or 1 where a check said no without being an error.
pub(crate) fn dispatch(arguments: Arguments) -> Result<u8> {
    let json = arguments.wants_json();
    let global = arguments.global;
    // These need no data folder.
    match &arguments.command {
        Command::Bench(BenchCommand::Machine { threads }) => return bench::machine(*threads, json),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "lepton", &mut script);
            terminal::print(&String::from_utf8_lossy(&script))?;
            return Ok(0);
        }
        Command::Reference => {
            terminal::print(&crate::reference::markdown())?;
            return Ok(0);
        }
        Command::New { name, task } => {
            let file = lepton_pipeline::scaffold(Path::new("."), name, *task)?;
            if json {
                terminal::print_json(&serde_json::json!({ "project": name, "file": file }))?;
            } else {
                terminal::print(&format!("{}\n", file.display()))?;
                terminal::say(&format!("edit it, then: lepton run {name}"));
            }
            return Ok(0);
        }
        _ => {}
    }
    let home = match global.home {
        Some(home) => home,
        None => default_home()?,
    };
    let session = Session { store: Store::open(&home)?, json, onnxruntime: global.onnxruntime };
    match arguments.command {
        Command::Advise(arguments) => advise::advise(&session, &arguments),
        Command::AdvisePilot => advise::pilot(&session),
        Command::Run(arguments) => run::run(&session, &arguments),
        Command::Tune(arguments) => tune::tune(&session, &arguments),
        Command::TuneTrial(arguments) => tune::trial(&session, &arguments),
        Command::Runs(command) => runs::runs(&session, &command),
        Command::Data(command) => data::data(&session, &command),
        Command::Model(command) => model::model(&session, &command),
        Command::Predict { model, inputs, engine } => {
            predict::predict(&session, &model, &inputs, engine.engine.as_deref())
        }
        Command::Evaluate { model, data, engine } => {
            predict::evaluate(&session, &model, &data, engine.engine.as_deref())
        }
        Command::Serve { models, ingest, address, engine } => {
            serve::serve(&session, &models, &address, engine.engine.as_deref(), ingest)
        }
        Command::Monitor(command) => monitor::monitor(&session, &command),
        Command::Engine(command) => engine::engine(&session, &command),
        Command::Bench(_) | Command::Completions { .. } | Command::Reference | Command::New { .. } => Ok(0),
    }
}

/// The platform's data folder for Lepton.
fn default_home() -> Result<PathBuf> {
    directories::ProjectDirs::from("", "", "lepton").map(|folders| folders.data_dir().to_path_buf()).ok_or_else(|| {
        Error::new(ErrorCode::Usage, "this account has no home folder to keep data in")
            .fix("name a folder with --home or LEPTON_HOME")
    })
}
