//! The real binary: `target/release/lepton`, or what LEPTON_BIN names, always with a data folder of its own and
//! without the caller's settings.

use crate::{Project, workspace_root};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than any single command of these tests takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// The binary with a data folder.
pub struct Lepton {
    home: PathBuf,
    /// Removes the folder with the value; `None` for the folder that read-only tests share.
    _own: Option<TempDir>,
}

/// What a finished command left.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// How long it took.
    pub took: Duration,
}

impl Answer {
    /// Standard output as JSON.
    ///
    /// # Panics
    /// With everything that was printed, when it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }
}

impl Lepton {
    /// The binary with a fresh, empty data folder.
    pub fn new() -> Lepton {
        let own = tempfile::tempdir().expect("a scratch folder");
        Lepton { home: own.path().join("home"), _own: Some(own) }
    }

    /// The binary with a data folder of the caller's.
    pub fn at(home: &Path) -> Lepton {
        Lepton { home: home.to_path_buf(), _own: None }
    }

    /// The binary with a data folder that holds `digits@1`, trained for two epochs. Many tests share it, also
    /// across processes, so they must only read. It is made once for each build of the binary.
    pub fn trained() -> Lepton {
        let binary = binary();
        let built = binary.metadata().and_then(|file| file.modified()).expect("the binary's time");
        let stamp = built.duration_since(std::time::UNIX_EPOCH).expect("a time after 1970").as_nanos();
        let shelf = binary.parent().and_then(Path::parent).expect("target/release/lepton").join("lepton-tests");
        std::fs::create_dir_all(&shelf).expect("a folder beside the binary");
        let lock = std::fs::File::create(shelf.join("lock")).expect("a lock file");
        lock.lock().expect("the lock");
        let home = shelf.join(format!("trained-{stamp}"));
        if !home.join("done").exists() {
            for entry in std::fs::read_dir(&shelf).expect("the shelf").flatten().filter(|entry| entry.path().is_dir()) {
                make_writable(&entry.path());
                std::fs::remove_dir_all(entry.path()).expect("an old folder can be removed");
            }
            let lepton = Lepton::at(&home);
            let project = Project::digits();
            lepton.done(&["run", &project.at("")]);
            std::fs::write(home.join("done"), "").expect("a mark");
        }
        Lepton::at(&home)
    }

    /// The data folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A command, ready to start. The caller's own LEPTON_* settings do not reach it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("LEPTON_") || ["RUST_LOG", "PORT", "ORT_DYLIB_PATH"].contains(&text.as_ref()) {
                command.env_remove(&name);
            }
        }
        command.args(arguments).env("LEPTON_HOME", &self.home).env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Answer {
        finish(self.command(arguments), &[])
    }

    /// Runs a command with these variables set.
    pub fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Answer {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        finish(command, &[])
    }

    /// Runs a command with `input` on standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Answer {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped());
        finish(command, input)
    }

    /// Runs a command that must end well.
    ///
    /// # Panics
    /// With everything that was printed, when it does not.
    pub fn done(&self, arguments: &[&str]) -> Answer {
        let answer = self.run(arguments);
        assert_eq!(answer.code, Some(0), "lepton {arguments:?}: {answer:#?}");
        answer
    }

    /// Runs a command with `--json` that must end well, and reads what it printed.
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.done(&[arguments, &["--json"]].concat()).json()
    }

    /// Runs a command that must be refused: gives the exit code and standard error, in which every one of
    /// `words` must stand.
    pub fn refused(&self, arguments: &[&str], code: i32, words: &[&str]) -> Answer {
        let answer = self.run(arguments);
        assert_eq!(answer.code, Some(code), "lepton {arguments:?}: {answer:#?}");
        for word in words {
            assert!(answer.err.contains(word), "lepton {arguments:?} does not say {word:?}: {}", answer.err);
        }
        assert!(!answer.err.contains("panicked"), "{}", answer.err);
        answer
    }

    /// Starts `lepton serve` on a free port and waits until it listens.
    pub fn serve(&self, arguments: &[&str]) -> Server {
        let mut command = self.command(&["serve"]);
        command.args(arguments).args(["--port", "0"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let stderr = child.stderr.take().expect("standard error is piped");
        let (tell, hear) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Nobody listens any more once the address is known; the pipe is drained all the same.
                let _ = tell.send(line);
            }
        });
        let mut said = Vec::new();
        let address = loop {
            match hear.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let address =
                        line.split_once("http://").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
                    said.push(line);
                    if let Some(address) = address {
                        break address;
                    }
                }
                Err(_) => panic!("the server did not start: {said:#?}"),
            }
        };
        Server { child, address, said: hear }
    }
}

impl Default for Lepton {
    fn default() -> Lepton {
        Lepton::new()
    }
}

/// A running server; killed with the value.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    said: mpsc::Receiver<String>,
}

impl Server {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM and waits: the exit code, how long it took, and what it said meanwhile.
    pub fn stop(mut self) -> Answer {
        let started = Instant::now();
        terminate(&self.child);
        let code = wait(&mut self.child).code();
        Answer {
            code,
            out: String::new(),
            err: self.said.try_iter().collect::<Vec<_>>().join("\n"),
            took: started.elapsed(),
        }
    }

    /// Sends SIGTERM without waiting.
    pub fn ask_to_stop(&self) {
        terminate(&self.child);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary under test.
///
/// # Panics
/// With the command that builds it, when it is missing.
fn binary() -> PathBuf {
    let path =
        std::env::var_os("LEPTON_BIN").map_or_else(|| workspace_root().join("target/release/lepton"), PathBuf::from);
    assert!(path.is_file(), "{} is missing: run cargo build --release, or ./tests/run", path.display());
    path
}

fn finish(mut command: Command, input: &[u8]) -> Answer {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    if let Some(mut stdin) = child.stdin.take() {
        // A command that refuses its input may close the pipe before all of it is written.
        let _ = stdin.write_all(input);
    }
    let (mut stdout, mut stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let errors = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stderr.read_to_end(&mut bytes).map(|_| bytes)
    });
    let mut out = Vec::new();
    stdout.read_to_end(&mut out).expect("standard output can be read");
    let err = errors.join().expect("the reader ends").expect("standard error can be read");
    let code = wait(&mut child).code();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Answer { code, out: text(out), err: text(err), took: started.elapsed() }
}

fn wait(child: &mut Child) -> std::process::ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("the process can be waited for") {
            return status;
        }
        if started.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("process {} did not end within {PATIENCE:?}", child.id());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn terminate(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("the process can be signalled");
}

/// Published packages are read-only folders; removing them needs the permission back.
fn make_writable(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700));
    for entry in entries.flatten().filter(|entry| entry.path().is_dir() && !entry.path().is_symlink()) {
        make_writable(&entry.path());
    }
}
