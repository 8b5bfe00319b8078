//! A series from file to forecast: a run, what it is held against, what a request is answered, and what bad data says.

use lepton_tests::{Lepton, Project, alike, request as ask};
use serde_json::{Value, json};
use std::fmt::Write as _;

const SETTINGS: &str = r#"[project]
name = "sales"
task = "forecasting"
seed = 7

[collect]
path = "sales.csv"
target = "sold"

[forecast]
horizon = 4
season = 6
window = 12
time = "month"
valid_origins = 8
test_origins = 12

[train]
epochs = 40
batch_size = 16
learning_rate = 0.01
threads = 1

[optimize]
int8 = false
"#;

/// A level that rises, and a season of six months, with a little that is each month's own.
fn sold(row: usize) -> f64 {
    let season = [10.0, 4.0, -3.0, -9.0, -5.0, 3.0][row % 6];
    50.0 + 0.6 * row as f64 + season + ((row * 7) % 5) as f64 / 4.0
}

fn line(row: usize, sold: &str) -> String {
    format!("{}-{:02},{sold}\n", 2000 + row / 12, row % 12 + 1)
}

fn table(rows: usize) -> String {
    let mut text = "month,sold\n".to_owned();
    (0..rows).for_each(|row| text.push_str(&line(row, &sold(row).to_string())));
    text
}

fn project(text: &str) -> Project {
    let project = Project::with(SETTINGS);
    project.write("sales.csv", text.as_bytes());
    project
}

fn request(values: impl IntoIterator<Item = f64>) -> String {
    json!({ "context": values.into_iter().collect::<Vec<_>>() }).to_string()
}

fn listed(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
}

#[test]
fn a_series_is_learned_held_against_baselines_and_forecast() {
    let (lepton, project) = (Lepton::new(), project(&table(120)));
    let run = lepton.json(&["run", &project.at("")]);
    assert_eq!((&run["rows"]["valid"], &run["rows"]["test"]), (&json!(8), &json!(12)), "{run}");
    let test = &run["metrics"]["test"];
    let metric = |name: &str| test[name].as_f64().unwrap_or_else(|| panic!("{name} in {test}"));
    assert!(metric("mase") < 0.8 * metric("mase_seasonal_naive"), "{test}");
    assert!(
        (metric("skill_over_seasonal_naive") - (1.0 - metric("mase") / metric("mase_seasonal_naive"))).abs() < 1e-9
    );
    for name in ["mase_ets", "smape", "rmse", "mae", "pinball", "weighted_quantile_loss", "coverage", "interval_width"]
    {
        assert!(metric(name) >= 0.0, "{name} {test}");
    }
    let report = std::fs::read_to_string(run["report"].as_str().expect("a report")).expect("the report");
    for words in ["The last test forecast", "seasonal naive", "exponential smoothing", "12 of the test on steps"] {
        assert!(report.contains(words), "{words}");
    }
    // The newest months in, the next four out, near what will come; more values than the window change nothing.
    let window = request((108..120).map(sold));
    let answer = lepton.json(&["predict", "sales", &window]);
    let forecast = &answer["predictions"][0];
    let ahead = listed(&forecast["forecast"]);
    assert_eq!(ahead.len(), 4);
    assert!(ahead.iter().zip(120..).all(|(ours, row)| (ours - sold(row)).abs() < 5.0), "{ahead:?}");
    let quantile = |level: &str| listed(&forecast["quantiles"][level]);
    assert_eq!(quantile("0.5"), ahead);
    let inside = (0..4).all(|step| quantile("0.1")[step] <= ahead[step] && ahead[step] <= quantile("0.9")[step]);
    assert!(inside, "{forecast}");
    let server = lepton.serve(&["sales"]);
    let served = ask(server.address, "POST", "/v1/predict/sales", "application/json", window.as_bytes());
    assert!(alike(&served.json()["predictions"][0]["quantiles"], &forecast["quantiles"]), "{}", served.text());
    let short = ask(server.address, "POST", "/v1/predict/sales", "application/json", request([1.0]).as_bytes());
    assert!(short.status >= 400 && short.status < 500 && short.text().contains("the last 12"), "{}", short.text());
    server.stop();
    let longer = lepton.json(&["predict", "sales", &request((60..120).map(sold))]);
    assert_eq!(longer["predictions"][0]["forecast"], forecast["forecast"]);
    let evaluated = lepton.json(&["evaluate", "sales", &project.at("")]);
    assert_eq!(evaluated["metrics"]["mase"], test["mase"]);
    lepton.refused(&["evaluate", "sales", &project.at("sales.csv")], 2, &["origins that a project names"]);
    lepton.refused(&["predict", "sales", &request((0..11).map(sold))], 2, &["11 values", "the last 12"]);
    for (bad, words) in [
        (json!({"context": [1, 2, null, 4, 5, 6, 7, 8, 9, 10, 11, 12]}), "value 3 of the window is missing"),
        (json!({"context": []}), "no steps"),
        (json!({"series": [1]}), "no such column"),
        (json!({"context": "up"}), "expected a list of numbers"),
    ] {
        lepton.refused(&["predict", "sales", &bad.to_string()], 2, &[words]);
    }
}

#[test]
fn every_network_goes_through_all_stages_and_a_gate_refuses_a_bad_one() {
    let (lepton, project) = (Lepton::new(), project(&table(120)));
    for network in ["autoregression", "mlp", "nbeats", "tcn", "lstm"] {
        let set = format!("train.architecture={network}");
        let run = lepton.json(&["run", &project.at(""), "--set", &set, "--set", "train.epochs=1"]);
        assert!(run["metrics"]["test"]["mase"].is_number(), "{network}: {run}");
        lepton.json(&["predict", "sales", &request((0..12).map(sold))]);
    }
    let gate = ["--set", "deploy.require={ mase = 0.0001 }", "--set", "train.epochs=1"];
    let folder = project.at("");
    let run = |set: [&'static str; 4]| -> Vec<&str> { ["run", &folder].into_iter().chain(set).collect() };
    lepton.refused(&run(gate), 1, &["test mase is", "nothing was registered"]);
    let passes = ["--set", "deploy.require={ mase = 1000 }", "--set", "train.epochs=1"];
    lepton.done(&run(passes));
}

#[test]
fn several_trainings_of_one_network_are_averaged() {
    let (lepton, project) = (Lepton::new(), project(&table(120)));
    let folder = project.at("");
    let run = |ensemble: &'static str| {
        let set = ["--set", "train.architecture=ensemble", "--set", "train.epochs=2", "--set", ensemble];
        ["run", &folder].into_iter().chain(set).map(str::to_owned).collect::<Vec<String>>()
    };
    let answered = |ensemble: &'static str| {
        let arguments = run(ensemble);
        let answer = lepton.done(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(answer.err.contains("the members count"), "{}", answer.err);
        let forecast = lepton.json(&["predict", "sales", &request((0..12).map(sold))]);
        (answer.err, listed(&forecast["predictions"][0]["forecast"]))
    };
    let (told, repeated) = answered("train.ensemble={ members = [\"mlp\"], repeats = 2 }");
    assert!(told.contains("mlp 0.500, mlp-2 0.500"), "{told}");
    let (told, several) = answered("train.ensemble={}");
    assert!(told.contains("linear 0.250, nbeats 0.250, tcn 0.250, lstm 0.250"), "{told}");
    assert_ne!(repeated, several);
    let folds = run("train.ensemble={ folds = 5 }");
    let folds: Vec<&str> = folds.iter().map(String::as_str).collect();
    lepton.refused(&folds, 2, &["train.ensemble.folds", "overlap"]);
}

#[test]
fn an_int8_network_is_judged_by_its_scaled_error() {
    let (lepton, project) = (Lepton::new(), project(&table(120)));
    let set = ["--set", "optimize.int8=true", "--set", "train.architecture=mlp", "--set", "train.epochs=2"];
    let folder = project.at("");
    let run = lepton.json(&["run", &folder].into_iter().chain(set).collect::<Vec<_>>());
    assert!(run["int8"].as_str().is_some_and(|reason| reason.contains("mase")), "{}", run["int8"]);
}

#[test]
fn a_season_is_guessed_and_the_report_says_so() {
    let (lepton, project) = (Lepton::new(), project(&table(120)));
    project.write("lepton.toml", SETTINGS.replace("season = 6\n", "").as_bytes());
    let run = lepton.run(&["run", &project.at(""), "--until", "prepare"]);
    assert!(run.code == Some(0) && run.err.contains("a season of 6 steps is taken"), "{run:#?}");
}

#[test]
fn what_is_no_series_is_named_by_its_row() {
    let lepton = Lepton::new();
    let refused = |text: &str, words: &[&str]| {
        let project = project(text);
        lepton.refused(&["run", &project.at("")], 2, words);
    };
    let lines: Vec<String> = (0..120).map(|row| line(row, &sold(row).to_string())).collect();
    let changed = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        let mut text = "month,sold\n".to_owned();
        let _ = write!(text, "{}", lines.concat());
        text
    };
    refused(&changed(&|lines| lines[30] = line(30, "")), &["row 31", "sold", "missing"]);
    refused(&changed(&|lines| drop(lines.remove(30))), &["row 31", "month", "2 months, and usually 1 months"]);
    refused(&changed(&|lines| lines.insert(30, lines[29].clone())), &["row 31", "row 30 stands here again"]);
    refused(&changed(&|lines| lines.swap(30, 31)), &["month", "row"]);
    refused(&changed(&|lines| lines[30] = line(30, "NaN")), &["sold"]);
    refused(&changed(&|lines| lines.truncate(40)), &["40 values", "need"]);
    refused(
        &changed(&|lines| lines.iter_mut().enumerate().for_each(|(row, text)| *text = line(row, "5"))),
        &["the same"],
    );
    let whole = project(&table(120));
    let set = |assignment: &str, words: &[&str]| {
        lepton.refused(&["run", &whole.at(""), "--set", assignment], 2, words);
    };
    set("forecast.horizon=500", &["120 values", "forecast.horizon"]);
    set("forecast.horizen=3", &["forecast.horizen", "horizon"]);
    set("forecast.quantiles=[0.1, 0.9]", &["forecast.quantiles", "0.5"]);
    set("forecast.time=mnth", &["forecast.time", "month"]);
    set("prepare.test_fraction=0.5", &["prepare", "[forecast]"]);
    set("recipe.numbers=robust", &["recipe"]);
    set("train.loss={ kind = \"squared\" }", &["train.loss", "quantiles"]);
    set("project.task=tabular-regression", &["forecast", "forecasts nothing"]);
    set("train.architecture=nbeatz", &["nbeats"]);
}
