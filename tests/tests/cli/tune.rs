//! `lepton tune`: a study over learning rate and network, what it writes, how it goes on after kill -9, side by side,
//! and what it refuses.

use lepton_tests::{Lepton, Project, workspace_root};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

/// Six trials of two epochs.
const TUNE: &str = r#"
[tune]
trials = 6
pruner = false

[tune.space]
"train.learning_rate" = { low = 1e-4, high = 1e-1, log = true }
"train.architecture" = { choices = ["worked-example", "linear"] }
"#;

/// The digits with a section that says what may vary.
fn digits() -> Project {
    let project = Project::digits();
    let text = String::from_utf8(project.read("lepton.toml")).expect("UTF-8");
    project.write("lepton.toml", format!("{text}{TUNE}").as_bytes());
    project
}

fn trials(report: &Value) -> &Vec<Value> {
    report["trials"].as_array().expect("trials")
}

fn accuracies(report: &Value) -> Vec<f64> {
    trials(report).iter().filter_map(|trial| trial["values"]["accuracy"].as_f64()).collect()
}

/// What of a trial does not depend on the machine's speed.
fn lasting(report: &Value) -> Vec<[Value; 4]> {
    trials(report).iter().map(|trial| ["number", "state", "point", "values"].map(|key| trial[key].clone())).collect()
}

#[test]
fn a_small_study_finds_its_best_and_goes_on_with_nothing() {
    let (lepton, project) = (Lepton::new(), digits());
    let (page, best) = (project.at("tune.html"), project.at("best.toml"));
    let first = lepton.done(&["tune", &project.at(""), "--html", &page, "--to", &best, "--json"]);
    assert!(first.err.contains("trial 0") && first.err.contains("trial 5"), "{}", first.err);
    let report = first.json();
    assert_eq!((trials(&report).len(), report["ran"].as_u64()), (6, Some(6)));
    assert_eq!((&report["split"], &report["status"]), (&Value::from("valid"), &Value::from("done")));
    let values = accuracies(&report);
    assert_eq!(values.len(), 6, "{report:#}");
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert_eq!(report["best"]["values"]["accuracy"].as_f64(), Some(highest));
    let chosen = report["best"]["number"].as_u64().expect("a number") as usize;
    assert_eq!(trials(&report)[chosen]["point"], report["best"]["point"]);
    assert!(report["pareto"].as_array().is_some_and(|front| front.contains(&report["best"]["number"])), "{report:#}");
    let shares: Vec<f64> =
        report["importances"].as_object().expect("shares").values().filter_map(Value::as_f64).collect();
    assert!(shares.len() == 2 && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{shares:?}");
    assert!(trials(&report).iter().all(|trial| trial["steps"].as_array().is_some_and(|steps| steps.len() == 2)));

    let html = String::from_utf8(project.read("tune.html")).expect("UTF-8");
    for part in ["<svg", "id=\"history\"", "id=\"importance\"", "id=\"together\"", "id=\"trials\"", "sha256"] {
        assert!(html.contains(part), "the page lacks {part}");
    }
    let text = String::from_utf8(project.read("best.toml")).expect("UTF-8");
    assert!(!text.contains("[tune") && text.contains("learning_rate"), "{text}");
    // The same settings as the best trial's: its training is there already.
    let run = lepton.json(&["run", &best, "--until", "train"]);
    assert_eq!(run["stages"][3]["name"], "train");
    assert_eq!(run["stages"][3]["cached"], true, "{run:#}");

    let again = lepton.json(&["tune", &project.at("")]);
    assert_eq!(again["ran"], 0);
    for key in ["study", "trials", "best", "pareto", "importances"] {
        assert_eq!(again[key], report[key], "{key}");
    }
    // A person reads a table with the command that runs the best.
    let told = lepton.done(&["tune", &project.at("")]).out;
    assert!(told.contains("lepton run") && told.contains("--set train.learning_rate="), "{told}");
    // More trials go on where the study stands; another seed is another study.
    let more = lepton.json(&["tune", &project.at(""), "--trials", "7"]);
    assert_eq!(more["ran"], 1);
    assert_eq!(lasting(&more)[..6], lasting(&report)[..]);
    let other = lepton.json(&["tune", &project.at(""), "--trials", "1", "--set", "project.seed=8"]);
    assert_ne!(other["study"], report["study"]);
}

#[test]
fn a_killed_study_keeps_what_was_finished_and_ends_as_an_unbroken_one() {
    let (lepton, project) = (Lepton::new(), digits());
    let mut command = lepton.command(&["tune", &project.at("")]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("standard error is piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.trim_start().starts_with("trial 1 ")), "the second trial never ended");
    child.kill().expect("it lives");
    child.wait().expect("it ends");
    let report = lepton.json(&["tune", &project.at("")]);
    let ran = report["ran"].as_u64().expect("a count");
    assert!((1..=4).contains(&ran), "{ran} trials were run again");
    assert_eq!(accuracies(&report).len(), 6);
    let whole = Lepton::new().json(&["tune", &project.at("")]);
    assert_eq!(lasting(&report), lasting(&whole));
}

#[test]
fn trials_run_side_by_side_in_one_data_folder() {
    let (lepton, project) = (Lepton::new(), digits());
    let report = lepton.json(&["tune", &project.at(""), "--parallel", "2"]);
    let states: BTreeSet<&str> = trials(&report).iter().filter_map(|trial| trial["state"].as_str()).collect();
    assert_eq!((trials(&report).len(), states), (6, BTreeSet::from(["complete"])), "{report:#}");
    let runs: BTreeSet<&str> = trials(&report).iter().filter_map(|trial| trial["run"].as_str()).collect();
    assert_eq!(runs.len(), 6, "each trial is a run of its own");
}

#[test]
fn two_objectives_give_a_front_and_a_failing_point_is_no_end() {
    let (lepton, project) = (Lepton::new(), digits());
    project.edit("pruner = false\n", "objectives = [{ metric = \"accuracy\" }, { measure = \"size\" }]\n");
    project.edit("\"linear\"]", "\"linear\", \"no-such-network\"]");
    project.edit("trials = 6", "trials = 8\nsampler = { kind = \"random\" }");
    let page = project.at("tune.html");
    let report = lepton.json(&["tune", &project.at(""), "--html", &page]);
    for trial in trials(&report) {
        let is_wrong = trial["point"]["train.architecture"] == "no-such-network";
        assert_eq!(trial["state"], if is_wrong { "failed" } else { "complete" }, "{trial:#}");
        let message = trial["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(message.contains("no-such-network"), is_wrong, "{trial:#}");
        assert_eq!(trial["values"]["size"].as_f64().is_some_and(|bytes| bytes > 1000.0), !is_wrong, "{trial:#}");
    }
    assert!(!report["pareto"].as_array().expect("a front").is_empty());
    let html = String::from_utf8(project.read("tune.html")).expect("UTF-8");
    assert!(html.contains("id=\"trade-off\""));
}

#[test]
fn a_study_in_which_everything_fails_ends_with_the_first_error() {
    let (lepton, project) = (Lepton::new(), digits());
    project.edit("[\"worked-example\", \"linear\"]", "[\"worked-exmple\"]");
    lepton.refused(&["tune", &project.at("")], 2, &["trial 0", "worked-exmple", "worked-example"]);
    // None of it was kept: the next call tries again.
    lepton.refused(&["tune", &project.at("")], 2, &["trial 0"]);
}

#[test]
fn tables_are_tuned_for_log_loss_with_a_pruner() {
    let lepton = Lepton::new();
    let table = std::fs::read(workspace_root().join("examples/titanic/titanic.csv")).expect("titanic");
    let project = Project::with(
        "[project]\nname = \"titanic\"\ntask = \"tabular-classification\"\nseed = 3\n\n\
         [collect]\npath = \"titanic.csv\"\ntarget = \"survived\"\nignore = [\"name\"]\n\n\
         [train]\narchitecture = \"mlp\"\nepochs = 3\nthreads = 1\n\n\
         [tune]\ntrials = 8\nobjectives = [{ metric = \"log_loss\" }]\n\
         pruner = { kind = \"asha\", max_resource = 3 }\nsampler = { kind = \"random\" }\n\n\
         [tune.space]\n\"train.learning_rate\" = { low = 1e-5, high = 1e-1, log = true }\n\
         \"train.batch_size\" = { choices = [16, 64] }\n",
    );
    project.write("titanic.csv", &table);
    let report = lepton.json(&["tune", &project.at("")]);
    let states: Vec<&str> = trials(&report).iter().filter_map(|trial| trial["state"].as_str()).collect();
    assert!(states.len() == 8 && states.iter().all(|state| ["complete", "pruned"].contains(state)), "{states:?}");
    let values: Vec<f64> = trials(&report).iter().filter_map(|trial| trial["values"]["log_loss"].as_f64()).collect();
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(report["best"]["values"]["log_loss"].as_f64(), Some(lowest));
    for trial in trials(&report).iter().filter(|trial| trial["state"] == "pruned") {
        assert!(trial["values"].as_object().is_some_and(serde_json::Map::is_empty), "{trial:#}");
    }
}

#[test]
fn a_wrong_section_is_refused_before_anything_is_trained() {
    let (lepton, project) = (Lepton::new(), digits());
    let folder = project.at("");
    let text = String::from_utf8(project.read("lepton.toml")).expect("UTF-8");
    for (from, to, words) in [
        ("train.learning_rate", "train.learning_rat", vec!["tune.space.train.learning_rat", "learning_rate"]),
        ("train.learning_rate", "trian.learning_rate", vec!["tune.space.trian.learning_rate", "train"]),
        ("low = 1e-4", "low = 0.2", vec!["tune.space.train.learning_rate"]),
        ("pruner = false", "objectives = [{ metric = \"rmse\" }]", vec!["tune.objectives", "rmse", "accuracy"]),
        ("pruner = false", "objectives = [{ metric = \"acuracy\" }]", vec!["tune.objectives", "accuracy"]),
        ("pruner = false", "prunner = false", vec!["tune.prunner", "pruner"]),
        ("pruner = false", "parallel = 0", vec!["tune.parallel"]),
        ("pruner = false", "time = \"soon\"", vec!["tune.time", "10m"]),
    ] {
        project.write("lepton.toml", text.replace(from, to).as_bytes());
        lepton.refused(&["tune", &folder], 2, &words);
    }
    project.write("lepton.toml", text.split("[tune.space]").next().expect("a beginning").as_bytes());
    lepton.refused(&["tune", &folder], 2, &["tune.space", "empty"]);
    project.write("lepton.toml", text.as_bytes());
    lepton.refused(&["tune", &folder, "--time", "soon"], 2, &["10m"]);
    // Its paths would start elsewhere, or it would replace the settings of the study.
    let elsewhere = tempfile::tempdir().expect("a folder");
    let there = elsewhere.path().join("best.toml").display().to_string();
    lepton.refused(&["tune", &folder, "--to", &there], 2, &["project's folder", "--to"]);
    lepton.refused(&["tune", &folder, "--to", &project.at("lepton.toml")], 2, &["--to"]);
    assert_eq!(lepton.json(&["runs", "list"])["runs"].as_array().map(Vec::len), Some(0));
}
