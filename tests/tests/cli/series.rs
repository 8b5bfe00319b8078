//! Series from file to answer: a run, predictions, what is compared and examined, and what bad input says.

use lepton_tests::{Lepton, Project, alike};
use serde_json::{Value, json};
use std::fmt::Write as _;

const SETTINGS: &str = r#"[project]
name = "moves"
task = "series-classification"
seed = 7

[collect]
path = "moves_TRAIN.ts"
test = "moves_TEST.ts"

[prepare]
valid_fraction = 0.25

[train]
architecture = "linear"
epochs = 3
batch_size = 8
learning_rate = 0.02
threads = 1

[optimize]
int8 = false
"#;

const HEADER: &str = "@problemName moves\n@timeStamps false\n@missing false\n@univariate false\n@dimensions 2\n\
                      @equalLength false\n@classLabel true up down\n@data\n";

/// `[time][dimension]`: a ramp that rises or falls, and the same ramp at twice the height, with a little that is each
/// row's own.
fn ramp(row: usize) -> Vec<[f64; 2]> {
    let sign = if row.is_multiple_of(2) { 1.0 } else { -1.0 };
    let step = |time: usize| {
        let value = sign * (time as f64 - 5.5) / 4.0 + ((row * 7 + time * 3) % 10) as f64 / 50.0 + row as f64 / 1000.0;
        [value, 2.0 * value]
    };
    (0..12 - row % 3).map(step).collect()
}

fn line(row: usize) -> String {
    let steps = ramp(row);
    let dimension = |place: usize| steps.iter().map(|step| step[place].to_string()).collect::<Vec<_>>().join(",");
    let label = if row.is_multiple_of(2) { "up" } else { "down" };
    format!("{}:{}:{label}\n", dimension(0), dimension(1))
}

fn file(rows: std::ops::Range<usize>) -> String {
    let mut text = HEADER.to_owned();
    rows.for_each(|row| text.push_str(&line(row)));
    text
}

fn project() -> Project {
    let project = Project::with(SETTINGS);
    project.write("moves_TRAIN.ts", file(0..48).as_bytes());
    project.write("moves_TEST.ts", file(48..68).as_bytes());
    project
}

fn row(series: &Value) -> String {
    json!({ "series": series }).to_string()
}

#[test]
fn series_are_trained_packaged_and_answered() {
    let (lepton, project) = (Lepton::new(), project());
    let run = lepton.json(&["run", &project.at("")]);
    assert_eq!(run["rows"]["test"], 20, "{run}");
    assert!(run["metrics"]["test"]["accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.8), "{}", run["metrics"]);
    let (up, down) = (row(&json!(ramp(100))), row(&json!(ramp(101))));
    let answer = lepton.json(&["predict", "moves", &up, &down]);
    let label = |place: usize| answer["predictions"][place]["label"].as_str().expect("a label");
    assert_eq!((label(0), label(1)), ("up", "down"));
    // A gap is filled, and steps past the length of training are cut: the answer is the same.
    let mut longer = json!(ramp(102));
    assert_eq!(longer.as_array().map(Vec::len), Some(12));
    let whole = lepton.json(&["predict", "moves", &row(&longer)]);
    longer.as_array_mut().expect("steps").extend(vec![json!([9.0, 9.0]); 50_000]);
    project.write("long.json", row(&longer).as_bytes());
    let cut = lepton.json(&["predict", "moves", &project.at("long.json")]);
    let probabilities = |answer: &Value| answer["predictions"][0]["probabilities"].clone();
    assert!(alike(&probabilities(&whole), &probabilities(&cut)), "{whole} {cut}");
    let mut gap = json!(ramp(100));
    gap[3] = json!([null, null]);
    assert_eq!(lepton.json(&["predict", "moves", &row(&gap)])["predictions"][0]["label"], "up");
    let evaluated = lepton.json(&["evaluate", "moves", &project.at("")]);
    assert_eq!(evaluated["metrics"]["accuracy"], run["metrics"]["test"]["accuracy"]);
    let of_file = lepton.json(&["evaluate", "moves", &project.at("moves_TEST.ts")]);
    assert_eq!(
        (of_file["rows"].as_u64(), &of_file["metrics"]["accuracy"]),
        (Some(20), &evaluated["metrics"]["accuracy"])
    );
    // What a series must not be.
    for (bad, words) in [
        (json!([]), vec!["series", "no steps"]),
        (json!([[1.0, 2.0], [3.0]]), vec!["step 2 of the series has 1 numbers, step 1 has 2"]),
        (json!([1.0, 2.0, 3.0]), vec!["each step of this series has 1 numbers, in training it has 2"]),
        (json!([[1.0, "x"]]), vec!["the text \"x\" where a number is expected"]),
        (json!("1;2"), vec!["expected a list of numbers"]),
        (Value::Null, vec!["series is missing"]),
    ] {
        lepton.refused(&["predict", "moves", &row(&bad)], 2, &words);
    }
}

#[test]
fn every_network_goes_through_all_stages() {
    let (lepton, project) = (Lepton::new(), project());
    for network in ["inception", "fcn", "lstm", "cnn"] {
        let architecture = format!("train.architecture={network}");
        let run = lepton.json(&["run", &project.at(""), "--set", &architecture, "--set", "train.epochs=1"]);
        assert!(run["metrics"]["test"]["accuracy"].is_number(), "{network}: {run}");
        lepton.json(&["predict", "moves", &row(&json!(ramp(100)))]);
    }
}

#[test]
fn augmented_series_train_and_are_shown() {
    let (lepton, project) = (Lepton::new(), project());
    let steps = "augment.steps=[{ kind = \"jitter\" }, { kind = \"time_warp\" }]";
    let run = lepton.json(&["run", &project.at(""), "--set", steps, "--until", "train"]);
    let stages = run["stages"].as_array().expect("stages");
    let augment = stages.iter().find(|stage| stage["name"] == "augment").expect("the stage");
    assert!(augment["summary"].as_str().is_some_and(|summary| summary.starts_with("jitter (50 %), time_warp (50 %)")));
    let sheet = project.at("sheet.html");
    lepton.done(&["data", "preview", &project.at(""), "--to", &sheet, "--set", steps]);
    assert!(std::fs::read_to_string(sheet).expect("a sheet").contains("series of row 1 as augmented"));
    let smote = "augment.steps=[{ kind = \"smote\" }]";
    lepton.refused(&["run", &project.at(""), "--set", smote], 2, &["this project trains on series"]);
}

#[test]
fn datasets_of_series_have_versions_and_are_no_tables() {
    let (lepton, project) = (Lepton::new(), project());
    let first = lepton.json(&["run", &project.at(""), "--until", "collect"]);
    project.write("moves_TEST.ts", file(48..69).as_bytes());
    let second = lepton.json(&["run", &project.at(""), "--until", "collect"]);
    assert!(first["dataset"] != second["dataset"], "{first} {second}");
    let [a, b] =
        [&first, &second].map(|run| format!("moves_TRAIN@{}", &run["dataset"].as_str().expect("a hash")[..12]));
    let diff = lepton.run(&["data", "diff", &a, &b, "--json"]);
    assert!(diff.code.is_some_and(|code| code < 2) && diff.out.contains("series of "), "{diff:#?}");
    lepton.refused(&["data", "doctor", &project.at("moves_TRAIN.ts")], 2, &["holds series"]);
    lepton.refused(&["data", "doctor", &a], 2, &["holds series"]);
}

#[test]
fn a_bad_file_is_named_with_its_line() {
    let (lepton, project) = (Lepton::new(), project());
    let place = HEADER.lines().count() + 2;
    let ones = |count: usize| vec!["1"; count].join(",");
    for (bad, words) in [
        ("1,2,3:1,2:up\n".to_owned(), "dimension 2 has 2 values where dimension 1 has 3"),
        ("1,2,3:up\n".to_owned(), "1 dimensions where 2 are expected"),
        ("1,2:3,4:upp\n".to_owned(), "\"upp\" is not one of the classes"),
        (":1:up\n".to_owned(), "dimension 1 has no value"),
        ("1,x:1,2:up\n".to_owned(), "which is no finite number"),
        (format!("{0}:{0}:up\n", ones(600_000)), "the limit series_values is 1048576"),
    ] {
        let mut text = file(0..1);
        text.push_str(&bad);
        (2..20).for_each(|row| text.push_str(&line(row)));
        project.write("moves_TRAIN.ts", text.as_bytes());
        let row = format!("row {place}");
        lepton.refused(&["run", &project.at("")], 2, &["moves_TRAIN.ts", &row, words]);
    }
    // A hundred thousand steps can be read; how many of them are learned is said by a person.
    let mut text = file(0..20);
    for row in 0..6 {
        let long = format!("{row},{}", ones(99_999));
        writeln!(text, "{long}:{long}:up").expect("a text");
    }
    project.write("moves_TRAIN.ts", text.as_bytes());
    lepton.refused(&["run", &project.at("")], 2, &["100000 steps", "recipe.series_length"]);
    lepton.done(&["run", &project.at(""), "--set", "recipe.series_length=12"]);
    // A table's and a picture's settings are not for series, and a series is not for a table's task.
    project.write("moves_TRAIN.ts", file(0..48).as_bytes());
    lepton.refused(&["run", &project.at(""), "--set", "collect.ignore=[\"x\"]"], 2, &["collect.ignore"]);
    lepton.refused(&["run", &project.at(""), "--set", "recipe.height=3"], 2, &["recipe.height"]);
    lepton.refused(&["run", &project.at(""), "--set", "train.architecture=incepton"], 2, &["inception"]);
    let table = "project.task=tabular-classification";
    lepton.refused(&["run", &project.at(""), "--set", table], 2, &["series-classification"]);
}
