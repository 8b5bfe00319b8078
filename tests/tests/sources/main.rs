//! Sources that are no files of this machine, against the real servers: each server is started once per test, and its
//! test goes through everything that has to do with it.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test ends where something is missing")]

mod download;
mod mariadb;
mod object;
mod postgres;

use lepton_core::{Cancel, Error, ErrorCode, Limits, Secret, Silent};
use lepton_data::CollectSettings;
use lepton_data::remote::{Access, Origin, Staging, stage};
use lepton_tests::{Answer, Lepton, Project};
use serde_json::Value;
use std::path::Path;

/// The rows that a query gives, as they are staged, and where they came from.
fn rows(settings: &CollectSettings, access: &Access) -> Result<(Vec<Value>, Vec<Origin>), Error> {
    let (scratch, limits, cancel) = (tempfile::tempdir().unwrap(), Limits::default(), Cancel::default());
    let staging = Staging {
        folder: scratch.path(),
        kept: &|_| None,
        access,
        limits: &limits,
        progress: &Silent,
        cancel: &cancel,
    };
    let staged = stage(settings, Path::new("/"), &staging)?.expect("it needs staging");
    let text = std::fs::read_to_string(staged.settings.path.as_ref().unwrap().one().unwrap()).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Ok((rows, staged.origins))
}

fn asking(database: &str, query: &str) -> CollectSettings {
    CollectSettings { database: Some(database.into()), query: Some(query.into()), ..CollectSettings::default() }
}

fn access(variable: &str, password: &str) -> Access {
    Access { fetch: true, variables: [(variable.to_owned(), Secret::from(password))].into(), ..Access::default() }
}

/// The error of a query: its code, and words that it must say. The password is never among them.
fn refused(settings: &CollectSettings, access: &Access, code: ErrorCode, says: &[&str]) -> Error {
    let error = rows(settings, access).unwrap_err();
    let text = format!("{error:?}");
    assert_eq!(error.code(), code, "{text}");
    assert!(says.iter().all(|word| text.contains(word)), "{says:?}: {text}");
    assert!(error.remedy().is_some(), "no remedy: {text}");
    let secrets: Vec<&str> = access.variables.values().map(Secret::expose).collect();
    assert!(!secrets.iter().any(|secret| text.contains(secret)), "{text}");
    error
}

/// A project that collects from `[collect]` with these lines.
fn project(collect: &str) -> Project {
    Project::with(&format!(
        "[project]\nname = \"shop\"\ntask = \"tabular-classification\"\nseed = 7\n\n[collect]\ntarget = \"label\"\n{collect}\n"
    ))
}

/// Runs the project up to preparing, with permission to fetch.
fn run(lepton: &Lepton, project: &Project, variables: &[(&str, &str)], more: &[&str]) -> Answer {
    let folder = project.at("");
    let arguments = [&["run", folder.as_str(), "--until", "prepare", "--json"], more].concat();
    lepton.run_with(&arguments, variables)
}

/// Nothing of a failed run is left: no dataset, no scratch folder.
fn nothing_is_left(lepton: &Lepton) {
    let list = lepton.json(&["data", "list"]);
    assert_eq!(list["datasets"].as_array().map(Vec::len), Some(0), "{list}");
    let scratch = std::fs::read_dir(lepton.home().join("scratch")).expect("the folder of scratch folders");
    assert_eq!(scratch.count(), 0, "a scratch folder was left");
}

/// No file of the data folder holds the text.
fn never_stored(folder: &Path, secret: &str) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            never_stored(&entry.path(), secret);
        } else {
            let bytes = std::fs::read(entry.path()).unwrap();
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds the password", entry.path().display());
        }
    }
}
