//! `lepton advise`: from a bare table to settings that run, limits that nobody keeps, what is refused before anything is
//! trained, the shape of its JSON, and being stopped.

use lepton_tests::{Lepton, Project, workspace_root};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

/// The titanic's table alone, in a folder of its own.
fn titanic() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let table = std::fs::read(workspace_root().join("examples/titanic/titanic.csv")).expect("titanic");
    std::fs::write(folder.path().join("titanic.csv"), table).expect("a file");
    folder
}

fn at(folder: &Path, name: &str) -> String {
    folder.join(name).into_os_string().into_string().expect("UTF-8")
}

fn candidates(report: &Value) -> BTreeMap<&str, &Value> {
    let all = report["candidates"].as_array().expect("candidates");
    all.iter().map(|one| (one["name"].as_str().expect("a name"), one)).collect()
}

#[test]
fn a_bare_table_gets_settings_that_run_and_keep_the_promise() {
    let (lepton, folder) = (Lepton::new(), titanic());
    let (data, page) = (at(folder.path(), "titanic.csv"), at(folder.path(), "advice.html"));
    let answer = lepton.done(&["advise", &data, "--target", "survived", "--time", "25s", "--html", &page, "--json"]);
    let report = answer.json();
    assert_eq!((&report["status"], &report["metric"]), (&Value::from("done"), &Value::from("accuracy")));
    assert_eq!(report["fingerprint"]["task"], "tabular-classification");
    assert_eq!(report["fingerprint"]["target"]["classes"], 2);
    let notes = report["notes"].to_string();
    assert!(notes.contains("\\\"name\\\" names the rows"), "{notes}");
    let all = candidates(&report);
    for name in ["boosting", "boosting/few-leaves", "mlp", "mlp-large", "residual-mlp", "ft-transformer", "linear"] {
        let one = all.get(name).unwrap_or_else(|| panic!("{name} is no candidate: {:?}", all.keys()));
        assert!(one["sentence"].as_str().is_some_and(|text| text.len() > 10), "{one:#}");
        assert!(one["prior"]["because"].as_str().is_some_and(|text| text.len() > 10), "{one:#}");
    }
    let choice = report["choice"]["name"].as_str().expect("a choice");
    assert_eq!(report["candidates"][0]["name"].as_str(), Some(choice));
    assert_eq!(report["candidates"][0]["standing"], "first");
    let first = all[choice];
    assert!(first["score"].as_f64().is_some_and(|score| (0.7..0.95).contains(&score)), "{first:#}");
    for figure in ["run_seconds", "run_memory", "latency", "package_bytes"] {
        assert!(first[figure]["value"].as_f64().is_some_and(|value| value > 0.0), "{figure}: {first:#}");
        assert!(first[figure]["how"].as_str().is_some_and(|how| !how.is_empty()), "{figure}: {first:#}");
    }
    let html = std::fs::read_to_string(&page).expect("the page");
    for part in ["<svg", "id=\"scores\"", "id=\"candidates\"", "id=\"data\"", "id=\"settings\"", "sha256"] {
        assert!(html.contains(part), "the page lacks {part}");
    }

    let out = folder.path().join("titanic-advised");
    let text = std::fs::read_to_string(out.join("lepton.toml")).expect("the settings");
    assert_eq!(report["lepton_toml"].as_str(), Some(text.as_str()));
    assert!(text.contains("../titanic.csv") && text.contains("ignore = [\"name\"]"), "{text}");
    let run = lepton.json(&["run", &at(&out, "")]);
    let (promised, test) = (first["score"].as_f64().unwrap(), run["metrics"]["test"]["accuracy"].as_f64().unwrap());
    // 263 test rows: a standard error of 0.025.
    assert!((promised - test).abs() < 0.1, "{promised} was promised, {test} is on the test rows");
    // What is there is not written over, and that is said before anything is trained.
    let refused = lepton.refused(
        &["advise", &data, "--target", "survived"],
        2,
        &["titanic-advised", "nothing is written over it", "--out"],
    );
    assert!(!refused.err.contains("rung"), "{}", refused.err);
}

#[test]
fn limits_that_nobody_keeps_are_an_error_with_the_nearest() {
    let (lepton, project) = (Lepton::new(), Project::table(200));
    let folder = project.at("");
    lepton.refused(
        &["advise", &folder, "--time", "20s", "--latency", "1us"],
        1,
        &["no candidate keeps the limits; the nearest is", "1.0 us", "--latency or --memory"],
    );
    lepton.refused(
        &["advise", &folder, "--time", "20s", "--memory", "1M"],
        1,
        &["no candidate keeps the limits; the nearest is", "1 MB", "--latency or --memory"],
    );
    assert!(!project.folder().join("advised.toml").exists());
    // One that only small networks keep leaves the others out, with a sentence.
    let report = lepton.json(&["advise", &folder, "--time", "20s", "--memory", "4G"]);
    assert!(candidates(&report).values().all(|one| one["standing"] != "excluded"), "{report:#}");
}

#[test]
fn a_project_keeps_all_but_its_training() {
    let (lepton, project) = (Lepton::new(), Project::table(200));
    project.edit("[train]", "[check]\nfile = \"rules.toml\"\n\n[deploy]\nrequire = { accuracy = 0.6 }\n\n[train]");
    project.write("rules.toml", b"[[rules]]\nrule = \"row_count\"\nmin = 10\n");
    let out = project.at("other/place");
    let report = lepton.json(&["advise", &project.at(""), "--out", &out, "--seed", "9", "--time", "20s"]);
    assert_eq!(report["seed"], 9);
    let own = candidates(&report)["mlp/as-written"];
    assert_eq!((&own["train"]["epochs"], &own["train"]["threads"]), (&Value::from(2), &Value::from(1)), "{own:#}");
    let text = String::from_utf8(project.read("other/place/lepton.toml")).expect("UTF-8");
    for part in ["path = \"../../table.csv\"", "../../rules.toml", "accuracy = 0.6", "seed = 9", "threads = 1"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    lepton.done(&["run", &out]);
    // Without a folder it goes beside the project's own file, which stays as it is.
    let own = project.read("lepton.toml");
    let report = lepton.json(&["advise", &project.at(""), "--time", "20s"]);
    assert!(report["file"].as_str().is_some_and(|file| file.ends_with("advised.toml")), "{report:#}");
    assert_eq!(project.read("lepton.toml"), own);
    lepton.refused(&["advise", &project.at(""), "--time", "20s"], 2, &["advised.toml", "--out"]);
}

#[test]
fn wrong_words_are_refused_before_anything_is_trained() {
    let (lepton, folder) = (Lepton::new(), titanic());
    let data = at(folder.path(), "titanic.csv");
    for (words, code, said) in [
        (vec!["--target", "survivd"], 2, vec!["survivd", "did you mean \"survived\"?"]),
        (vec![], 2, vec!["--target", "survived", "age"]),
        (vec!["--target", "survived", "--metric", "acuracy"], 2, vec!["acuracy", "did you mean \"accuracy\"?"]),
        (vec!["--target", "survived", "--time", "soon"], 2, vec!["soon", "10m"]),
        (vec!["--target", "survived", "--memory", "much"], 2, vec!["much", "512M"]),
        (vec!["--target", "survived", "--latency", "fast"], 2, vec!["fast", "5ms"]),
        (vec!["--target", "survived", "--task", "tabular-clasification"], 2, vec!["tabular-classification"]),
        (vec!["--target", "survived", "--task", "image-classification"], 2, vec!["picture"]),
    ] {
        let answer = lepton.refused(&[&["advise", &data], words.as_slice()].concat(), code, &said);
        assert!(!answer.err.contains("rung"), "{}", answer.err);
    }
    lepton.refused(&["advise", "no-such-data"], 2, &["neither a file, a folder nor a dataset"]);
    let project = Project::table(50);
    lepton.refused(&["advise", &project.at(""), "--target", "label"], 2, &["--target", "project"]);
    lepton.refused(&["advise", "gunpoint"], 2, &["--fetch"]);
}

#[test]
fn the_json_has_this_shape() {
    let (lepton, project) = (Lepton::new(), Project::table(120));
    let report = lepton.json(&["advise", &project.at(""), "--time", "15s"]);
    let mut lines = Vec::new();
    shape("", &report, &mut lines);
    lines.sort_unstable();
    lines.dedup();
    // Settings differ from candidate to candidate, and what one candidate lacks another has.
    let all = lines.clone();
    lines.retain(|line| {
        !line.starts_with("candidates[].train.") && !all.iter().any(|other| other.starts_with(&format!("{line}.")))
    });
    assert_eq!(lines.join("\n"), SHAPE.trim());
}

/// Every key of the JSON; `[]` is each of a list.
const SHAPE: &str = "
candidates[].about
candidates[].behind
candidates[].entry
candidates[].flops
candidates[].latency.how
candidates[].latency.value
candidates[].name
candidates[].noise
candidates[].package_bytes.how
candidates[].package_bytes.value
candidates[].parameters
candidates[].pilots[].epochs
candidates[].pilots[].peak_bytes
candidates[].pilots[].rows
candidates[].pilots[].rung
candidates[].pilots[].score
candidates[].pilots[].scores[]
candidates[].pilots[].seconds
candidates[].pilots[].share
candidates[].pilots[].spread
candidates[].pilots[].stopped
candidates[].prior.because
candidates[].prior.points
candidates[].run_memory.how
candidates[].run_memory.value
candidates[].run_seconds.how
candidates[].run_seconds.value
candidates[].run_seconds_at_most
candidates[].score
candidates[].sentence
candidates[].spread
candidates[].standing
choice.command
choice.name
choice.score
choice.sentence
choice.spread
command
file
fingerprint.columns[].distinct
fingerprint.columns[].kind
fingerprint.columns[].missing
fingerprint.columns[].name
fingerprint.dataset
fingerprint.input_shape[]
fingerprint.inputs
fingerprint.inputs_per_row
fingerprint.kinds.category
fingerprint.kinds.number
fingerprint.machine.backend
fingerprint.machine.lepton
fingerprint.machine.memory_bytes
fingerprint.machine.processor
fingerprint.machine.system
fingerprint.machine.threads
fingerprint.missing_share
fingerprint.rows.test
fingerprint.rows.train
fingerprint.rows.valid
fingerprint.sha256
fingerprint.target.balance
fingerprint.target.classes
fingerprint.target.column
fingerprint.target.kind
fingerprint.target.largest[]
fingerprint.target.smallest[]
fingerprint.task
judging.folds
judging.kind
judging.repeats
lepton_toml
limits.latency
limits.memory
limits.time
metric
notes[]
project
seconds
seed
status
";

/// The keys of a value.
fn shape(place: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(inner) if !inner.is_empty() => {
            for (key, value) in inner {
                let dot = if place.is_empty() { "" } else { "." };
                shape(&format!("{place}{dot}{key}"), value, lines);
            }
        }
        Value::Array(inner) if !inner.is_empty() => {
            inner.iter().for_each(|value| shape(&format!("{place}[]"), value, lines));
        }
        Value::Array(_) => {}
        _ => lines.push(place.to_owned()),
    }
}

#[test]
fn stopped_it_says_what_it_knows_and_writes_nothing() {
    let (lepton, folder) = (Lepton::new(), titanic());
    let data = at(folder.path(), "titanic.csv");
    let mut command = lepton.command(&["advise", &data, "--target", "survived", "--time", "10m"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("standard error is piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("rung 1 of 3: ")), "no pilot ended");
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it can be asked to stop");
    let rest: Vec<String> = lines.collect();
    let output = child.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{rest:?}");
    assert!(told.contains("candidate") && told.contains("accuracy"), "{told}");
    assert!(rest.iter().any(|line| line.contains("nothing was written")), "{rest:?}");
    assert!(!folder.path().join("titanic-advised").exists());
}
