//! What whole-program tests stand on: the real binary with a data folder of its own, projects to break, a small
//! HTTP client that can also speak badly, a browser and a Python. The tests themselves lie under tests/.
//!
//! Nothing is skipped in silence: where a tool is missing, a test ends with one line that says how to get it.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test ends where something is missing")]

mod browser;
mod http;
mod media;
mod program;
mod project;
mod python;
mod servers;

pub use browser::{Page, open_page};
pub use http::{Response, request, send_raw};
pub use media::{bomb, wav};
pub use program::{Answer, Lepton, Server};
pub use project::{Project, digit_png};
pub use python::python;
pub use servers::{Azurite, Certificates, MariaDb, Moto, Postgres, free_port};

use std::path::PathBuf;
use std::process::Command;

/// Whether two answers are the same but for the rounding of float32, which depends on what a row was batched with.
pub fn alike(left: &serde_json::Value, right: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};
    match (left, right) {
        (Number(left), Number(right)) => match (left.as_f64(), right.as_f64()) {
            (Some(left), Some(right)) => (left - right).abs() < 1e-6,
            _ => left == right,
        },
        (Array(left), Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| alike(left, right))
        }
        (Object(left), Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| alike(value, other)))
        }
        _ => left == right,
    }
}

/// The folder of the workspace.
pub fn workspace_root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_path_buf()
}

/// What `cargo` with these arguments prints, run in the workspace.
pub fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(workspace_root()).output().expect("cargo starts");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

/// The workspace's own packages, as `cargo metadata` describes them.
pub fn cargo_metadata() -> serde_json::Value {
    let text = cargo(&["metadata", "--format-version", "1", "--no-deps", "--locked"]);
    serde_json::from_str(&text).expect("cargo metadata prints JSON")
}

/// The value of a variable that tests/run sets.
///
/// # Panics
/// With one line that names the command to run, when it is not set.
pub fn setting(name: &str) -> PathBuf {
    match std::env::var_os(name) {
        Some(value) if !value.is_empty() => PathBuf::from(value),
        _ => panic!("{name} is not set: run the tests with ./tests/run, which sets up what they need"),
    }
}
