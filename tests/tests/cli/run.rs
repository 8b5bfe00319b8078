//! `lepton run`: the quick start, the stage cache, seeds, the lock on a project, and the record of runs.

use lepton_tests::{Lepton, Project, workspace_root};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

const STAGES: [&str; 7] = ["collect", "prepare", "augment", "train", "optimize", "deploy", "monitor"];

fn stages(run: &Value) -> Vec<(&str, bool)> {
    let stages = run["stages"].as_array().expect("stages");
    stages
        .iter()
        .map(|stage| (stage["name"].as_str().expect("a name"), stage["cached"].as_bool().expect("cached")))
        .collect()
}

fn weights(run: &Value) -> Vec<u8> {
    let package = run["package"].as_str().expect("a package");
    std::fs::read(Path::new(package).join("weights.safetensors")).expect("weights")
}

#[test]
fn the_quick_start_ends_with_a_good_model_in_under_a_minute() {
    let lepton = Lepton::new();
    let example = workspace_root().join("examples/digits");
    let answer = lepton.done(&["run", example.to_str().expect("UTF-8"), "--json"]);
    assert!(answer.took < Duration::from_secs(60), "{:?}", answer.took);
    let run = answer.json();
    assert_eq!(run["status"], "done");
    assert_eq!(stages(&run), STAGES.map(|stage| (stage, false)));
    for stage in run["stages"].as_array().expect("stages") {
        assert_eq!(stage["status"], "done");
        assert!(stage["seconds"].as_f64().is_some_and(|seconds| seconds >= 0.0), "{stage}");
    }
    assert!(run["metrics"]["test"]["accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.95), "{}", run["metrics"]);
    assert_eq!(run["model"], "digits@1");
    assert!(run["run"].as_str().is_some_and(|id| id.len() > 10));
    for name in [
        "manifest.json",
        "model.onnx",
        "architecture.json",
        "weights.safetensors",
        "recipe.json",
        "reference.json",
        "README.md",
        "MLmodel",
    ] {
        assert!(Path::new(run["package"].as_str().expect("a package")).join(name).is_file(), "{name}");
    }
    let report = std::fs::read_to_string(run["report"].as_str().expect("a report")).expect("the report");
    assert!(report.contains("<!DOCTYPE html>") && report.contains("digits"));
}

#[test]
fn an_unchanged_project_comes_from_the_cache_and_a_change_runs_what_follows_from_it() {
    let (lepton, project) = (Lepton::new(), Project::digits());
    let first = lepton.json(&["run", &project.at("")]);
    let second = lepton.json(&["run", &project.at("")]);
    assert_eq!(stages(&second), STAGES.map(|stage| (stage, true)));
    assert_eq!((&second["model"], &second["metrics"]), (&first["model"], &first["metrics"]));
    assert_ne!(second["run"], first["run"]);

    let third = lepton.json(&["run", &project.at(""), "--set", "train.epochs=1"]);
    let computed: Vec<&str> = stages(&third).into_iter().filter(|(_, cached)| !cached).map(|(name, _)| name).collect();
    assert_eq!(computed.first(), Some(&"train"), "{third}");
    assert_eq!(third["model"], "digits@2");

    let from = lepton.json(&["run", &project.at(""), "--from", "optimize"]);
    assert_eq!(stages(&from)[..4], STAGES.map(|stage| (stage, true))[..4]);
    assert!(stages(&from)[4..].iter().all(|(_, cached)| !cached), "{from}");

    let until = lepton.json(&["run", &project.at(""), "--until", "prepare"]);
    assert_eq!(stages(&until), [("collect", true), ("prepare", true)]);
    assert_eq!(until["model"], Value::Null);
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_seed_others() {
    let project = Project::digits();
    let (first, again, other) = (run_weights(&project, 7), run_weights(&project, 7), run_weights(&project, 8));
    assert!(first == again, "the same seed gave different weights");
    assert!(first != other, "another seed gave the same weights");
}

fn run_weights(project: &Project, seed: u64) -> Vec<u8> {
    let lepton = Lepton::new();
    weights(&lepton.json(&["run", &project.at(""), "--set", &format!("project.seed={seed}")]))
}

#[test]
fn a_second_run_of_the_same_project_is_refused_at_once() {
    let (lepton, project) = (Lepton::new(), Project::digits());
    project.edit("epochs = 2", "epochs = 400");
    let mut holder =
        lepton.command(&["run", &project.at("")]).stderr(std::process::Stdio::null()).spawn().expect("it starts");
    let pid = format!("process {}", holder.id());
    let deadline = Instant::now() + Duration::from_secs(20);
    // A run is listed once it has its lock.
    while lepton.json(&["runs", "list"])["runs"][0]["status"] != "running" {
        assert!(Instant::now() < deadline, "the first run never began");
        std::thread::sleep(Duration::from_millis(20));
    }
    let refused = lepton.run(&["run", &project.at(""), "--until", "collect"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.err.contains(&pid), "{pid} is not named: {}", refused.err);
    assert!(refused.took < Duration::from_secs(1), "{:?}", refused.took);
    // Another project in the same data folder is nobody's business.
    lepton.done(&["run", &Project::table(120).at("")]);
    holder.kill().expect("it can be killed");
    holder.wait().expect("it ends");
    // A dead holder never blocks.
    lepton.done(&["run", &project.at(""), "--until", "collect"]);
}

#[test]
fn runs_are_listed_shown_and_their_reports_found() {
    let lepton = Lepton::new();
    let project = Project::digits();
    let run = lepton.json(&["run", &project.at("")]);
    let failed = lepton.run(&["run", &project.at(""), "--set", "deploy.require.accuracy=0.99999"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.err.contains("accuracy"), "{}", failed.err);
    let runs = lepton.json(&["runs", "list"]);
    let statuses: Vec<&str> =
        runs["runs"].as_array().expect("runs").iter().filter_map(|run| run["status"].as_str()).collect();
    assert_eq!(statuses, ["failed", "done"]);
    let id = run["run"].as_str().expect("an id");
    let shown = lepton.json(&["runs", "show", id]);
    assert_eq!(shown["result"]["metrics"], run["metrics"]);
    assert_eq!(shown["stages"].as_array().map(Vec::len), Some(7));
    assert_eq!(lepton.json(&["runs", "show", &id[..id.len() - 1]])["run"], run["run"]);
    assert_eq!(lepton.json(&["runs", "report", id])["report"], run["report"]);
    assert_eq!(lepton.done(&["runs", "report", id]).out.trim(), run["report"].as_str().expect("a path"));
    lepton.refused(&["runs", "show", "no-such-run"], 2, &["no-such-run"]);
    // The gate said no: nothing was registered a second time.
    assert_eq!(lepton.json(&["model", "list"])["models"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_table_goes_through_the_same_stages() {
    let (lepton, project) = (Lepton::new(), Project::table(400));
    let run = lepton.json(&["run", &project.at("")]);
    assert_eq!(stages(&run), STAGES.map(|stage| (stage, false)));
    let example = workspace_root().join("examples/titanic");
    let titanic = lepton.json(&["run", example.to_str().expect("UTF-8")]);
    assert!(
        titanic["metrics"]["test"]["accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.7),
        "{}",
        titanic["metrics"]
    );
}

#[test]
fn without_permission_nothing_is_downloaded() {
    let example = workspace_root().join("examples/mnist");
    let answer = Lepton::new().refused(&["run", example.to_str().expect("UTF-8")], 2, &["mnist", "--fetch"]);
    assert!(answer.took < Duration::from_secs(5), "{:?}", answer.took);
}
