//! kill -9 at many moments of a run: the same command continues, and ends where an unbroken run ends. Training on
//! one thread with one seed gives the same bytes, however often it was killed.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test ends where something is missing")]

use lepton_tests::{Answer, Lepton, Project};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Files of the package that an unbroken and a broken run must share byte for byte.
const SAME: [&str; 5] = ["model.onnx", "weights.safetensors", "architecture.json", "recipe.json", "reference.json"];

fn package(run: &Value) -> Vec<Vec<u8>> {
    let folder = Path::new(run["package"].as_str().expect("a package"));
    SAME.iter().map(|name| std::fs::read(folder.join(name)).expect("a file of the package")).collect()
}

/// Starts a run and kills it after `delay`; whether it was still alive then.
fn run_and_kill(lepton: &Lepton, project: &Project, delay: Duration) -> bool {
    let mut command = lepton.command(&["run", &project.at("")]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let started = Instant::now();
    while started.elapsed() < delay {
        if child.try_wait().expect("it can be waited for").is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
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

/// Seconds from the start of an unbroken run to each moment at which to kill: three in each stage.
fn moments(run: &Value, whole: Duration) -> Vec<(String, Duration)> {
    let stages = run["stages"].as_array().expect("stages");
    let total: f64 = stages.iter().filter_map(|stage| stage["seconds"].as_f64()).sum();
    // Opening the store and loading the project come before the first stage.
    let mut start = (whole.as_secs_f64() - total).max(0.0) / 2.0;
    let mut moments = Vec::new();
    for stage in stages {
        let seconds = stage["seconds"].as_f64().expect("seconds");
        for share in [0.05, 0.5, 0.95] {
            moments.push((format!("{} at {share}", stage["name"]), Duration::from_secs_f64(start + share * seconds)));
        }
        start += seconds;
    }
    moments
}

fn unbroken(project: &Project) -> (Value, Vec<Vec<u8>>, Answer) {
    let lepton = Lepton::new();
    let answer = lepton.done(&["run", &project.at(""), "--json"]);
    let run = answer.json();
    let files = package(&run);
    (run, files, answer)
}

#[test]
fn a_run_killed_in_any_stage_continues_to_the_same_result() {
    let project = Project::digits();
    let (whole, files, answer) = unbroken(&project);
    let mut killed = 0;
    for (place, delay) in moments(&whole, answer.took) {
        let lepton = Lepton::new();
        killed += usize::from(run_and_kill(&lepton, &project, delay));
        if lepton.home().exists() {
            nothing_half_made(&lepton);
        }
        let run = lepton.json(&["run", &project.at("")]);
        assert!(package(&run) == files, "killed in {place}: the package differs");
        assert_eq!(run["metrics"], whole["metrics"], "killed in {place}");
        assert_eq!(run["model"], "digits@1", "killed in {place}");
        nothing_half_made(&lepton);
    }
    assert!(killed >= 12, "only {killed} of 21 runs were alive when they were to be killed");
}

#[test]
fn a_training_killed_again_and_again_ends_with_the_same_weights() {
    let project = Project::digits();
    project.edit("epochs = 2", "epochs = 30");
    let (whole, files, _) = unbroken(&project);
    let train = whole["stages"][3]["seconds"].as_f64().expect("seconds");
    let before: f64 = (0..3).filter_map(|stage| whole["stages"][stage]["seconds"].as_f64()).sum();
    let lepton = Lepton::new();
    // Each attempt trains a bit beyond what it repeats, and dies; a little later each time, so that the end comes
    // on a slow machine too.
    let mut patience = 0.15 + before + train / 8.0;
    let mut kills = 0;
    while run_and_kill(&lepton, &project, Duration::from_secs_f64(patience)) {
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
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    std::thread::sleep(Duration::from_millis(1500));
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it lives");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
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
