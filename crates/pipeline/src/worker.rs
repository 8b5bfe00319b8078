//! A process of this binary that works for another one: started, heard line by line, asked to stop and waited for.
//! Trials of a search and pilots of an advice are such processes; what their lines mean is theirs.
//!
//! It is asked through its standard input, which it reads to the end: so it ends too when its parent dies without a
//! word. One that does not answer in time is killed.

use lepton_core::{Error, ErrorCode, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a worker may take to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of a worker's last words that are kept.
const LAST_WORDS: usize = 4096;

/// What is heard of a worker.
pub(crate) enum Heard<L> {
    /// A line.
    Line(Box<L>),
    /// It has closed its standard output: it ends.
    End,
}

/// Why a worker has no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerFailure {
    /// The name of the error's code.
    pub code: String,
    /// Place and sentence.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl WorkerFailure {
    /// The failure as other processes can read it.
    pub fn of(error: &Error) -> WorkerFailure {
        WorkerFailure {
            code: error.code().name().to_owned(),
            message: error.headline(),
            help: error.remedy().map(str::to_owned),
        }
    }

    /// The error that it was, with `before` ahead of its sentence.
    pub(crate) fn error(&self, before: &str) -> Error {
        let code = ErrorCode::ALL.into_iter().find(|code| code.name() == self.code).unwrap_or(ErrorCode::Internal);
        let error = Error::new(code, format!("{before}{}", self.message));
        match &self.help {
            Some(help) => error.fix(help),
            None => error,
        }
    }
}

/// A process that was started. Dropped, it is killed.
pub(crate) struct Worker {
    /// What it is called in errors: `trial`.
    what: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    last_words: Option<JoinHandle<String>>,
    /// When it is killed, once it was asked to stop.
    deadline: Option<Instant>,
}

impl Worker {
    /// Starts `launch`; each line that it says goes to `tell`, which says whether somebody still listens.
    ///
    /// # Errors
    /// [`ErrorCode::Io`] when the process cannot be started.
    pub(crate) fn start<L: DeserializeOwned + 'static>(
        what: &'static str,
        launch: &[OsString],
        tell: impl Fn(Heard<L>) -> bool + Send + 'static,
    ) -> Result<Worker> {
        let (program, arguments) = launch.split_first().ok_or_else(|| Error::internal("no program to start"))?;
        let failed = |source| Error::io(&format!("start a {what}"), program, source);
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut worker = Worker { what, child, stdin, last_words: None, deadline: None };
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
            return Err(Error::internal(format!("the output of a {what} is not piped")));
        };
        let hear = move || {
            for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
                let Ok(line) = serde_json::from_str(&line) else { continue };
                if !tell(Heard::Line(Box::new(line))) {
                    return;
                }
            }
            // Nobody is left to hear it where this fails.
            tell(Heard::End);
        };
        std::thread::Builder::new().name(what.to_owned()).spawn(hear).map_err(failed)?;
        let errors = std::thread::Builder::new().name(format!("{what} errors")).spawn(move || last_words(stderr));
        worker.last_words = Some(errors.map_err(failed)?);
        Ok(worker)
    }

    /// Says a line to it. One that has ended already needs no word.
    pub(crate) fn say(&mut self, line: &str) {
        if let Some(stdin) = &mut self.stdin {
            let _ = writeln!(stdin, "{line}").and_then(|()| stdin.flush());
        }
    }

    /// Asks it to stop at its next step.
    pub(crate) fn stop(&mut self) {
        self.stdin = None;
        self.deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
    }

    /// Kills it where it was asked to stop too long ago.
    pub(crate) fn enforce(&mut self) {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            // It may have ended just now.
            let _ = self.child.kill();
        }
    }

    /// Waits for its end after [`Worker::stop`], and kills it where that takes too long.
    pub(crate) fn end(&mut self) -> Result<()> {
        let what = self.what;
        let failed = |source| Error::io(&format!("wait for a {what}"), "its process", source);
        while self.child.try_wait().map_err(failed)?.is_none() {
            self.enforce();
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Waits for its end and says how it ended, where it did not say so itself.
    pub(crate) fn wait(&mut self) -> Result<WorkerFailure> {
        let what = self.what;
        let status =
            self.child.wait().map_err(|source| Error::io(&format!("wait for a {what}"), "its process", source))?;
        let words = self.last_words.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let message = format!("the {what}'s process ended without a result ({})", ending(status));
        Ok(WorkerFailure {
            code: ErrorCode::Internal.name().to_owned(),
            message: if last.is_empty() { message } else { format!("{message}: {last}") },
            help: None,
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // One that was waited for is not there any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ending(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "no exit code".to_owned(),
    }
}

/// The end of what is read.
fn last_words(mut from: impl Read) -> String {
    let (mut kept, mut buffer) = (Vec::new(), [0; LAST_WORDS]);
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..count]);
        kept.drain(..kept.len().saturating_sub(LAST_WORDS));
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_text_is_kept() {
        let text = "x".repeat(3 * LAST_WORDS) + "\nlast";
        let kept = last_words(text.as_bytes());
        assert!(kept.ends_with("\nlast") && kept.len() == LAST_WORDS);
    }

    #[test]
    fn a_failure_is_the_same_error_again() {
        let error = Error::new(ErrorCode::Diverged, "went out of range").at_key("train").fix("smaller steps");
        let again = WorkerFailure::of(&error).error("trial 3: ");
        assert_eq!((again.code(), again.remedy()), (ErrorCode::Diverged, Some("smaller steps")));
        assert!(again.message().starts_with("trial 3: ") && again.message().contains("went out of range"));
    }
}
