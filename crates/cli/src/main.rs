//! The `lepton` binary: what was typed becomes one library call, a printed answer and an exit code.
//!
//! No logic of the product lives here. Results go to standard output, progress and errors to standard error;
//! the exit code is 0 done, 1 a check or gate failed, 2 wrong usage or bad input, 3 the work broke.

mod access;
mod arguments;
mod commands;
mod interrupt;
mod reference;
mod terminal;
mod version_arguments;

use arguments::Arguments;
use clap::Parser;
use lepton_core::Error;
use std::process::ExitCode;

// Measured: it alone moves small-model training by a fifth to a third.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    let json = arguments.wants_json();
    match commands::dispatch(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            report(&error, json);
            ExitCode::from(error.code().exit_code())
        }
    }
}

/// The error for a person on standard error and, where JSON was asked for, as an object on standard output.
fn report(error: &Error, json: bool) {
    terminal::say(&format!("{} {error}", terminal::red("error:")));
    if json {
        let object = serde_json::json!({
            "status": "failed",
            "error": { "code": error.code().name(), "message": error.headline(), "help": error.remedy() },
        });
        // Nobody is left to hear of a failure to print a failure.
        let _printed = terminal::print(&format!("{object:#}\n"));
    }
}
