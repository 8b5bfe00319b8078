//! kill -9 at many moments of a run: the same command continues, and ends where an unbroken run ends. Training on
//! one thread with one seed gives the same bytes, however often it was killed.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test ends where something is missing")]

mod ingest;
mod zoo;

use lepton_tests::{Lepton, Project};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Files of the package that an unbroken and a broken run must share byte for byte.
const SAME: [&str; 5] = ["model.onnx", "weights.safetensors", "architecture.json", "recipe.json", "reference.json"];

fn package(run: &Value) -> Vec<Vec<u8>> {
    let folder = Path::new(run["package"].as_str().expect("a package"));
    SAME.iter().map(|name| std::fs::read(folder.join(name)).expect("a file of the package")).collect()
}

/// Starts a run and waits until it has said that `stages` stages are done. `None` when it ended before that.
fn start(lepton: &Lepton, project: &Project, stages: usize) -> Option<Child> {
    let mut command = lepton.command(&["run", &project.at("")]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("standard error is piped")).lines().map_while(Result::ok);
    for _ in 0..stages {
        if !lines.by_ref().any(|line| line.starts_with('✓')) {
            child.wait().expect("it ends");
            return None;
        }
    }
    // The rest is read to the end, so that the run never waits for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    Some(child)
}

/// Starts a run and kills it `delay` after that many stages; whether it was still alive then.
fn run_and_kill(lepton: &Lepton, project: &Project, stages: usize, delay: Duration) -> bool {
    let Some(mut child) = start(lepton, project, stages) else { return false };
    std::thread::sleep(delay);
    let alive = child.try_wait().expect("it can be waited for").is_none();
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    alive
}

/// What must hold after any kill: the store opens, lists, and shows nothing half-made.
fn nothing_half_made(lepton: &Lepton) {
    for run in lepton.json(&["runs", "list"])["runs"].as_array().expect("runs") {
        assert!(["done", "interrupted"].contains(&run["status"].as_str().expect("a status")), "{run}");
    }
    for model in lepton.json(&["model", "list"])["models"].as_array().expect("models") {
        let name = format!("{}@{}", model["name"].as_str().expect("a name"), model["version"]);
        lepton.done(&["model", "verify", &name]);
    }
}

fn unbroken(project: &Project) -> (Value, Vec<Vec<u8>>) {
    let lepton = Lepton::new();
    let run = lepton.json(&["run", &project.at("")]);
    let files = package(&run);
    (run, files)
}

fn seconds(run: &Value, stage: usize) -> f64 {
    run["stages"][stage]["seconds"].as_f64().expect("seconds")
}

#[test]
fn a_run_killed_in_any_stage_continues_to_the_same_result() {
    let project = Project::digits();
    project.edit("epochs = 2", "epochs = 6");
    let (whole, files) = unbroken(&project);
    let mut killed = 0;
    for stage in 0..7 {
        for share in [0.05, 0.4, 0.8] {
            let place = format!("{} at {share}", whole["stages"][stage]["name"]);
            let lepton = Lepton::new();
            let delay = Duration::from_secs_f64(share * seconds(&whole, stage));
            killed += usize::from(run_and_kill(&lepton, &project, stage, delay));
            if lepton.home().exists() {
                nothing_half_made(&lepton);
            }
            let run = lepton.json(&["run", &project.at("")]);
            for ((name, now), then) in SAME.iter().zip(package(&run)).zip(&files) {
                assert!(now == *then, "killed in {place}: {name} differs");
            }
            assert_eq!(run["metrics"], whole["metrics"], "killed in {place}");
            assert_eq!(run["model"], "digits@1", "killed in {place}");
            nothing_half_made(&lepton);
        }
    }
    // Some stages take a few milliseconds, and a run may be faster than the one that was timed.
    assert!(killed >= 14, "only {killed} of 21 runs were alive when they were to be killed");
}

#[test]
fn a_training_killed_again_and_again_ends_with_the_same_weights() {
    let project = Project::digits();
    project.edit("epochs = 2", "epochs = 30");
    let (whole, files) = unbroken(&project);
    let lepton = Lepton::new();
    // Each attempt trains a bit beyond what it repeats, and dies; a little later each time, so that the end comes
    // on a slow machine too.
    let mut patience = seconds(&whole, 3) / 8.0;
    let mut kills = 0;
    while run_and_kill(&lepton, &project, 3, Duration::from_secs_f64(patience)) {
        kills += 1;
        patience *= 1.05;
        nothing_half_made(&lepton);
    }
    let run = lepton.json(&["run", &project.at("")]);
    assert!(kills >= 3, "the training ended after {kills} kills");
    for ((name, now), then) in SAME.iter().zip(package(&run)).zip(files) {
        assert!(now == then, "after {kills} kills {name} differs");
    }
}

#[test]
fn the_first_signal_stops_cleanly_and_the_run_continues() {
    let (lepton, project) = (Lepton::new(), Project::digits());
    project.edit("epochs = 2", "epochs = 60");
    let mut command = lepton.command(&["run", &project.at("")]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut said = String::new();
    let mut stderr = BufReader::new(child.stderr.take().expect("standard error is piped"));
    while !said.contains("epoch 1/60") {
        assert!(stderr.read_line(&mut said).expect("it can be read") > 0, "it ended early: {said}");
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it lives");
    stderr.read_to_string(&mut said).expect("it can be read");
    assert_eq!(child.wait().expect("it ends").code(), Some(3), "{said}");
    assert!(said.contains("continues"), "{said}");
    assert_eq!(lepton.json(&["runs", "show", "latest"])["status"], "cancelled");
    lepton.done(&["run", &project.at("")]);
}

#[test]
fn a_killed_server_leaves_nothing_in_the_way() {
    let (lepton, project) = (Lepton::new(), Project::digits());
    lepton.done(&["run", &project.at("")]);
    let server = lepton.serve(&["digits"]);
    // Dropping a server kills it with SIGKILL.
    drop(server);
    let again = lepton.serve(&["digits"]);
    assert_eq!(lepton_tests::request(again.address, "GET", "/readyz", "", b"").status, 200);
    assert_eq!(again.stop().code, Some(0));
}

#[test]
fn a_training_on_texts_that_is_killed_ends_with_the_same_bytes() {
    let project = Project::with(
        "[project]\nname = \"notes\"\ntask = \"text-classification\"\nseed = 7\n\n[collect]\npath = \"notes.csv\"\n\
         target = \"mood\"\n\n[[augment.steps]]\nkind = \"delete_words\"\n\n[train]\narchitecture = \"bigru\"\n\
         epochs = 8\nbatch_size = 16\nthreads = 1\ncheckpoint_steps = 2\ncheckpoint_seconds = 0\n\n\
         [optimize]\nint8 = false\n",
    );
    let rows = (0..240).map(|row| {
        let word = ["lovely", "dreadful"][row % 2];
        format!("\"note {row} on something {word} of day {}\",{}\n", row % 31, ["good", "bad"][row % 2])
    });
    project.write("notes.csv", format!("note,mood\n{}", rows.collect::<String>()).as_bytes());
    let (whole, files) = unbroken(&project);
    for share in [0.2, 0.5, 0.8] {
        let lepton = Lepton::new();
        let delay = Duration::from_secs_f64(share * seconds(&whole, 3));
        run_and_kill(&lepton, &project, 3, delay);
        nothing_half_made(&lepton);
        let run = lepton.json(&["run", &project.at("")]);
        for ((name, now), then) in SAME.iter().zip(package(&run)).zip(&files) {
            assert!(now == *then, "killed at {share}: {name} differs");
        }
    }
}
