//! Tests of the store as a whole. Where a second process is needed, a test starts its own binary again with
//! `LEPTON_STORE_CHILD` set and takes the child's part there.

mod crash;
mod damage;
mod full_disk;
mod home;
mod locks;
mod models;
mod records;
mod streams;

use crate::Store;
use lepton_core::{Digest, ErrorCode, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

const CHILD: &str = "LEPTON_STORE_CHILD";

/// The data folder that this process was started for as a child, if it is one.
fn child_home() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// A command that runs one test of this binary as a child on the data folder `home`.
fn child_of(test: &str, home: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", test]).env(CHILD, home);
    command
}

fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(&folder.path().join("home")).unwrap()
}

fn code<T>(outcome: Result<T>) -> Option<ErrorCode> {
    outcome.err().map(|error| error.code())
}

/// Writes a small package whose manifest holds `text`; answers with the manifest's hash.
fn stage_package(folder: &Path, text: &str) -> Digest {
    std::fs::create_dir_all(folder.join("extra")).unwrap();
    std::fs::write(folder.join("manifest.json"), text).unwrap();
    std::fs::write(folder.join("model.onnx"), text.repeat(3)).unwrap();
    std::fs::write(folder.join("extra/README.md"), "a model").unwrap();
    Digest::of(text)
}

/// Every file below `folder`.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

/// Fails unless the database is sound and every blob has the bytes that its name says.
fn assert_sound(store: &Store) {
    let verdict: String = store
        .read("check", |connection| Ok(connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?))
        .unwrap();
    assert_eq!(verdict, "ok");
    for blob in files_below(&store.home().join("blobs")) {
        let name = blob.strip_prefix(store.home().join("blobs")).unwrap().to_str().unwrap().replace('/', "");
        assert_eq!(crate::blobs::hash_file(&blob).unwrap().hex(), name);
    }
}
