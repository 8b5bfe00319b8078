//! One trial as its parent sees it: a process that is started, heard line by line, asked to stop and waited for.
//!
//! It is asked through its standard input, which it reads to the end: so it ends too when its parent dies without a
//! word. One that does not answer in time is killed.

use super::trial::{TrialFailure, TrialJob, TrialLine};
use lepton_core::{Error, Result};
use lepton_tune::Trial;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a trial hears when it is not worth finishing.
pub const PRUNE: &str = "prune";

/// How long a trial may take to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of a trial's last words that are kept.
const LAST_WORDS: usize = 4096;

/// What the parent hears of trial number so-and-so.
pub(super) enum Heard {
    /// A line.
    Line(Box<TrialLine>),
    /// It has closed its standard output: it ends.
    End,
}

/// A trial that was started. Dropped, it is killed.
pub(super) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    last_words: Option<JoinHandle<String>>,
    /// When it is killed, once it was asked to stop.
    deadline: Option<Instant>,
    /// Whether it was asked to stop because it is not worth finishing.
    pub(super) pruned: bool,
    /// What it has reported so far.
    pub(super) trial: Trial,
    /// Its last line, where that was a result or a failure.
    pub(super) outcome: Option<TrialLine>,
    /// When it was started.
    pub(super) started: Instant,
}

impl Running {
    /// Starts `launch` with the job as its last argument; what it says goes to `tell`.
    ///
    /// # Errors
    /// [`lepton_core::ErrorCode::Io`] when the process cannot be started.
    pub(super) fn start(
        launch: &[OsString],
        job: &TrialJob,
        trial: Trial,
        tell: Sender<(u64, Heard)>,
    ) -> Result<Running> {
        let (program, arguments) = launch.split_first().ok_or_else(|| Error::internal("no program to start"))?;
        let failed = |source| Error::io("start a trial", program, source);
        let job = serde_json::to_string(job).map_err(|source| Error::internal(format!("a job: {source}")))?;
        let mut child = Command::new(program)
            .args(arguments)
            .arg(job)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut running = Running {
            child,
            stdin,
            last_words: None,
            deadline: None,
            pruned: false,
            trial,
            outcome: None,
            started: Instant::now(),
        };
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
            return Err(Error::internal("a trial's output is not piped"));
        };
        let number = running.trial.number;
        let hear = move || {
            for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
                let Ok(line) = serde_json::from_str(&line) else { continue };
                if tell.send((number, Heard::Line(Box::new(line)))).is_err() {
                    return;
                }
            }
            // Nobody is left to hear it where this fails.
            let _ = tell.send((number, Heard::End));
        };
        std::thread::Builder::new().name("trial".to_owned()).spawn(hear).map_err(failed)?;
        let errors = std::thread::Builder::new().name("trial errors".to_owned()).spawn(move || last_words(stderr));
        running.last_words = Some(errors.map_err(failed)?);
        Ok(running)
    }

    /// Asks it to end because it is not worth finishing.
    pub(super) fn prune(&mut self) {
        self.pruned = true;
        if let Some(stdin) = &mut self.stdin {
            // One that has ended already needs no word.
            let _ = writeln!(stdin, "{PRUNE}");
        }
        self.stop();
    }

    /// Asks it to stop at the next step, with a checkpoint from which it can go on.
    pub(super) fn stop(&mut self) {
        self.stdin = None;
        self.deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
    }

    /// Kills it where it was asked to stop too long ago.
    pub(super) fn enforce(&mut self) {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            // It may have ended just now.
            let _ = self.child.kill();
        }
    }

    /// Waits for its end after [`Running::stop`], and kills it where that takes too long.
    pub(super) fn end(&mut self) -> Result<()> {
        let failed = |source| Error::io("wait for a trial", "its process", source);
        while self.child.try_wait().map_err(failed)?.is_none() {
            self.enforce();
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Waits for its end and says how it ended, where it did not say so itself.
    pub(super) fn wait(&mut self) -> Result<TrialFailure> {
        let status = self.child.wait().map_err(|source| Error::io("wait for a trial", "its process", source))?;
        let words = self.last_words.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let message = format!("the trial's process ended without a result ({})", ending(status));
        Ok(TrialFailure {
            code: lepton_core::ErrorCode::Internal.name().to_owned(),
            message: if last.is_empty() { message } else { format!("{message}: {last}") },
            help: None,
        })
    }
}

impl Drop for Running {
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
}
