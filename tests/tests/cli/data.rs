//! `lepton data` and `lepton evaluate`.

use lepton_tests::{Lepton, Project};

#[test]
fn the_catalogue_is_listed_without_a_download() {
    let lepton = Lepton::new();
    let list = lepton.json(&["data", "list"]);
    let mnist = list["catalogue"]
        .as_array()
        .expect("a catalogue")
        .iter()
        .find(|entry| entry["name"] == "mnist")
        .expect("mnist");
    assert_eq!(mnist["here"], false);
    assert!(mnist["download_bytes"].as_u64().is_some_and(|bytes| bytes > 1_000_000));
    assert_eq!(mnist["files"].as_array().map(Vec::len), Some(4));
    assert!(lepton.done(&["data", "show", "mnist"]).out.contains("lepton data fetch"));
    lepton.refused(&["data", "show", "mnits"], 2, &["mnits"]);
}

#[test]
fn a_run_registers_its_dataset_by_content() {
    let (lepton, project) = (Lepton::new(), Project::table(200));
    let run = lepton.json(&["run", &project.at(""), "--until", "prepare"]);
    let list = lepton.json(&["data", "list"]);
    let datasets = list["datasets"].as_array().expect("datasets");
    assert_eq!(datasets.len(), 1);
    assert_eq!(datasets[0]["version"], run["dataset"]);
    let name = datasets[0]["name"].as_str().expect("a name");
    let digest = run["dataset"].as_str().expect("a hash");
    let shown = lepton.json(&["data", "show", &format!("{name}@{}", &digest[..10])]);
    assert_eq!(shown["version"], run["dataset"]);
    assert!(lepton.done(&["data", "show", name]).out.contains("colour"));
    // The same content is the same version; one changed cell is another.
    lepton.done(&["run", &project.at(""), "--until", "prepare", "--from", "collect"]);
    assert_eq!(lepton.json(&["data", "list"])["datasets"].as_array().map(Vec::len), Some(1));
    let text = String::from_utf8(project.read("table.csv")).expect("UTF-8").replacen("red", "blue", 1);
    project.write("table.csv", text.as_bytes());
    lepton.done(&["run", &project.at(""), "--until", "prepare"]);
    assert_eq!(lepton.json(&["data", "list"])["datasets"].as_array().map(Vec::len), Some(2));
}

#[test]
fn evaluate_gives_the_test_metrics_of_the_run() {
    let (lepton, project) = (Lepton::new(), Project::digits());
    let run = lepton.json(&["run", &project.at("")]);
    let result = lepton.json(&["evaluate", "digits", &project.at("")]);
    assert_eq!(result["split"], "test");
    assert_eq!(result["rows"], 360);
    assert_eq!(result["metrics"]["accuracy"], run["metrics"]["test"]["accuracy"]);
    for key in ["model", "dataset", "dataset_sha256", "engine"] {
        assert!(result[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {result}");
    }
    lepton.refused(&["evaluate", "digits", "no-such-place"], 2, &["no-such-place"]);
}

#[test]
fn the_rows_of_a_dataset_are_examined_like_their_file() {
    let (lepton, project) = (Lepton::new(), Project::table(200));
    lepton.run(&["run", &project.at(""), "--until", "collect"]);
    let dataset = lepton.json(&["data", "doctor", "table"]);
    let file = lepton.json(&["data", "doctor", &project.at("table.csv"), "--target", "label"]);
    assert_eq!((&dataset["rows"], &dataset["findings"]), (&file["rows"], &file["findings"]));
    assert!(dataset["findings"].as_array().is_some_and(|findings| !findings.is_empty()), "{dataset}");
    let version = lepton.json(&["data", "show", "table"])["version"].as_str().expect("a hash").to_owned();
    let (profile, of_file) =
        (lepton.json(&["data", "profile", "table"]), lepton.json(&["data", "profile", &project.at("table.csv")]));
    assert_eq!(profile["sha256"], version);
    assert!(profile["file"].as_str().is_some_and(|name| name.starts_with("table@")), "{}", profile["file"]);
    assert_eq!(profile["columns"], of_file["columns"]);
    let page = project.at("table.html");
    lepton.done(&["data", "doctor", "table", "--html", &page]);
    assert!(std::fs::read_to_string(page).expect("the page").contains(&version[..12]));
    lepton.refused(&["data", "profile", "table", "--delimiter", ";"], 2, &["--delimiter is for files"]);
    project.write("plan.toml", b"");
    let to = project.at("new.csv");
    let repair = ["data", "repair", "table", "--plan", &project.at("plan.toml"), "--to", &to];
    lepton.refused(&repair, 2, &["lepton data sql", "--to rows.csv"]);
}
