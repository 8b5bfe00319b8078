//! Every network of every zoo as a person would have it: a training is killed after its first epoch, the same command goes
//! on, and the package that comes of it answers over HTTP.

use lepton_core::TaskKind;
use lepton_pipeline::task;
use lepton_tests::{Lepton, Project, digit_png, request};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

const SETTINGS: &str = r#"[project]
name = "zoo"
seed = 7
[train]
epochs = 3
batch_size = 8
threads = 1
checkpoint_steps = 1
checkpoint_seconds = 0
[optimize]
int8 = false
"#;

/// A small project of that kind, and a request that it answers: content type and body.
fn project(kind: TaskKind) -> (Project, &'static str, Vec<u8>) {
    let collect = |path: &str| {
        format!("{}[collect]\npath = \"{path}\"\n", SETTINGS.replacen("seed", &format!("task = \"{kind}\"\nseed"), 1))
    };
    match kind {
        TaskKind::ImageClassification => {
            // Large enough that even the networks for large pictures have something left at their end.
            let project = Project::with(&format!("{}[recipe]\nheight = 32\nwidth = 32\n", collect("pictures")));
            for (index, (png, label)) in (0..120).map(digit_png).enumerate().filter(|(_, (_, label))| *label < 3) {
                project.write(&format!("pictures/{label}/{index}.png"), &png);
            }
            (project, "image/png", digit_png(0).0)
        }
        TaskKind::TabularClassification | TaskKind::TabularRegression => {
            let target = if kind == TaskKind::TabularRegression { "weight" } else { "label" };
            let ignore = if kind == TaskKind::TabularRegression { "label" } else { "weight" };
            let project =
                Project::with(&format!("{}target = \"{target}\"\nignore = [\"{ignore}\"]\n", collect("table.csv")));
            let mut table = "size,colour,label,weight\n".to_owned();
            for row in 0..80 {
                let (size, colour) = (row * 37 % 100, ["red", "green", "blue"][row % 3]);
                let label = if size > 50 { "large" } else { "small" };
                writeln!(table, "{size},{colour},{label},{}", 3 * size + row % 5).expect("a line");
            }
            project.write("table.csv", table.as_bytes());
            (project, "application/json", br#"{"size": 9.5, "colour": "red"}"#.to_vec())
        }
        TaskKind::TextClassification => {
            let project = Project::with(&format!("{}target = \"label\"\n", collect("texts.csv")));
            let mut table = "text,label\n".to_owned();
            for row in 0..80 {
                let word = ["fine", "good", "great", "awful", "bad", "poor"][row % 6];
                let label = if row % 6 < 3 { "yes" } else { "no" };
                writeln!(table, "this number {row} of all the films was {word} and {} long,{label}", row * 7 % 10)
                    .expect("a line");
            }
            project.write("texts.csv", table.as_bytes());
            (project, "application/json", br#"{"text": "a good film"}"#.to_vec())
        }
        TaskKind::Forecasting => {
            let project = Project::with(&format!(
                "{}target = \"sold\"\n[forecast]\nhorizon = 4\nseason = 4\nwindow = 12\n",
                collect("sales.csv")
            ));
            let mut table = "sold\n".to_owned();
            for step in 0..160 {
                writeln!(table, "{}", 34 + step / 4 + [6, 15, 10, 0][step % 4] + step * 7 % 3).expect("a line");
            }
            project.write("sales.csv", table.as_bytes());
            let context: Vec<String> = (0..12).map(|step| (60 + step % 4).to_string()).collect();
            (project, "application/json", format!("{{\"context\": [{}]}}", context.join(",")).into_bytes())
        }
        TaskKind::SeriesClassification => {
            let project = Project::with(&collect("moves.ts"));
            let mut file =
                "@problemName moves\n@timeStamps false\n@missing false\n@univariate true\n@equalLength true\n\
                            @seriesLength 20\n@classLabel true up down\n@data\n"
                    .to_owned();
            for row in 0..60 {
                let sign = if row % 2 == 0 { 1 } else { -1 };
                let steps: Vec<String> =
                    (0..20).map(|time| (sign * time + (row * 7 + time * 3) % 5).to_string()).collect();
                writeln!(file, "{}:{}", steps.join(","), if sign > 0 { "up" } else { "down" }).expect("a line");
            }
            project.write("moves.ts", file.as_bytes());
            let series: Vec<String> = (0..20).map(|time| format!("[{time}]")).collect();
            (project, "application/json", format!("{{\"series\": [{}]}}", series.join(",")).into_bytes())
        }
    }
}

/// Starts the run and kills it after the first epoch, or, of what has no epochs, where training begins. Whether it
/// was in the middle then.
fn start_and_kill(lepton: &Lepton, arguments: &[&str]) -> bool {
    let mut command = lepton.command(arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(child.stderr.take().expect("standard error is piped")).lines().map_while(Result::ok);
    let without_epochs =
        arguments.iter().any(|argument| argument.ends_with("=boosting") || argument.ends_with("=ensemble"));
    let mut stages = 0;
    for line in lines {
        stages += usize::from(line.starts_with('✓'));
        if line.contains("epoch 1/") || (without_epochs && stages == 3) || line.contains("part 1 of") {
            break;
        }
    }
    let alive = child.try_wait().expect("it can be waited for").is_none();
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    alive
}

/// All networks of one task.
fn every_network(kind: TaskKind) {
    let (project, content_type, body) = project(kind);
    let mut gone_on = 0;
    for entry in task(kind).zoo() {
        let lepton = Lepton::new();
        let architecture = format!("train.architecture={}", entry.name);
        let folder = project.at("");
        let arguments = ["run", &folder, "--set", &architecture];
        let killed = start_and_kill(&lepton, &arguments);
        let run = lepton.done(&arguments);
        gone_on += usize::from(killed && run.err.contains("goes on from its checkpoint"));
        let server = lepton.serve(&["zoo"]);
        let answer = request(server.address, "POST", "/v1/predict/zoo", content_type, &body);
        assert_eq!(answer.status, 200, "{}: {}", entry.name, answer.text());
    }
    // Boosting has no checkpoints, and a small network may have ended before it was killed.
    let networks = task(kind).zoo().len();
    assert!(gone_on * 2 > networks, "{gone_on} of {networks} trainings of {kind} went on");
}

#[test]
fn every_network_for_pictures_is_killed_goes_on_and_is_served() {
    every_network(TaskKind::ImageClassification);
}

#[test]
fn every_network_for_series_is_killed_goes_on_and_is_served() {
    every_network(TaskKind::SeriesClassification);
}

#[test]
fn every_network_that_forecasts_is_killed_goes_on_and_is_served() {
    every_network(TaskKind::Forecasting);
}

#[test]
fn every_network_for_texts_is_killed_goes_on_and_is_served() {
    every_network(TaskKind::TextClassification);
}

#[test]
fn every_network_for_classes_of_rows_is_killed_goes_on_and_is_served() {
    every_network(TaskKind::TabularClassification);
}

#[test]
fn every_network_for_numbers_of_rows_is_killed_goes_on_and_is_served() {
    every_network(TaskKind::TabularRegression);
}
