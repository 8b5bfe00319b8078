//! Rows with several labels, or none: a run, answers, a server, the networks of each task, and what bad input says.

use lepton_tests::{Lepton, Project, alike, request};
use serde_json::{Value, json};

const SETTINGS: &str = r#"[project]
name = "tickets"
task = "text-classification"
seed = 7

[collect]
path = "tickets.csv"
target = "tags"

[recipe]
label_separator = "|"

[prepare]
valid_fraction = 0.25

[train]
epochs = 20
batch_size = 16
learning_rate = 0.02
threads = 1

[optimize]
int8 = false
"#;

/// What a ticket says, and the tag that it has for it.
const WORDS: [(&str, &str); 3] =
    [("the invoice is wrong", "billing"), ("it crashes at once", "bug"), ("please hurry", "urgent")];

/// Every set of tags in turn; the first of eight rows has none, with a sentence that says nothing.
fn ticket(row: usize) -> (String, String) {
    let chosen = WORDS.iter().enumerate().filter(|(place, _)| row >> place & 1 == 1).map(|(_, pair)| *pair);
    let (words, tags): (Vec<&str>, Vec<&str>) = chosen.unzip();
    let words = if words.is_empty() { "all is well".to_owned() } else { words.join(" and ") };
    (format!("Number {row}: {words}"), tags.join(" | "))
}

fn table(rows: std::ops::Range<usize>) -> String {
    let lines = rows.map(|row| {
        let (text, tags) = ticket(row);
        format!("\"{text}\",{tags}\n")
    });
    "text,tags\n".to_owned() + &lines.collect::<String>()
}

fn project() -> Project {
    let project = Project::with(SETTINGS);
    project.write("tickets.csv", table(0..240).as_bytes());
    project
}

fn row(text: &str) -> String {
    json!({ "text": text }).to_string()
}

#[test]
fn several_labels_are_trained_packaged_answered_and_served() {
    let (lepton, project) = (Lepton::new(), project());
    let run = lepton.json(&["run", &project.at("")]);
    let test = &run["metrics"]["test"];
    let names: Vec<&String> = test.as_object().expect("metrics").keys().collect();
    let wanted =
        ["average_precision", "hamming_loss", "log_loss", "macro_f1", "micro_f1", "roc_auc", "subset_accuracy"];
    assert_eq!(names, wanted);
    assert!(test["micro_f1"].as_f64().is_some_and(|score| score > 0.95), "{test}");
    assert!(test["subset_accuracy"].as_f64().is_some_and(|score| score > 0.9), "{test}");

    let [both, none] = [row("Number 9: please hurry and the invoice is wrong"), row("Number 3: all is well")];
    let answer = lepton.json(&["predict", "tickets", &both, &none]);
    let mut labels: Vec<&str> =
        answer["predictions"][0]["labels"].as_array().expect("labels").iter().filter_map(Value::as_str).collect();
    labels.sort_unstable();
    assert_eq!((labels, &answer["predictions"][1]["labels"]), (vec!["billing", "urgent"], &json!([])));
    assert_eq!(answer["predictions"][1]["probabilities"].as_array().map(Vec::len), Some(3));
    let shown = lepton.done(&["predict", "tickets", &none]);
    assert!(shown.out.contains("(no label)"), "{}", shown.out);
    let evaluated = lepton.json(&["evaluate", "tickets", &project.at("")]);
    assert_eq!(evaluated["metrics"], *test);
    // The same rows from their file, with their tags in any order and some of them without one.
    project.write("later.csv", table(240..300).replace("billing | bug", "bug|billing").as_bytes());
    let later = lepton.json(&["evaluate", "tickets", &project.at("later.csv")]);
    assert_eq!(later["rows"], 60);
    assert!(later["metrics"]["micro_f1"].as_f64().is_some_and(|score| score > 0.95), "{later}");
    let decoder = &lepton.json(&["model", "show", "tickets"])["manifest"]["decoder"];
    assert_eq!((&decoder["kind"], &decoder["threshold"]), (&json!("labels"), &json!(0.5)));
    assert_eq!(decoder["labels"], json!(["billing", "bug", "urgent"]));

    let server = lepton.serve(&["tickets"]);
    let served = request(server.address, "POST", "/v1/predict/tickets", "application/json", both.as_bytes()).json();
    assert!(alike(&served["predictions"][0]["probabilities"], &answer["predictions"][0]["probabilities"]), "{served}");
    let metrics = request(server.address, "GET", "/metrics", "", b"").text();
    let counted =
        |label: &str| metrics.lines().any(|line| line.contains(&format!("\"{label}\"")) && line.ends_with(" 1"));
    assert!(counted("billing") && counted("urgent") && !counted("bug"), "{metrics}");
}

#[test]
fn tables_have_several_labels_and_other_networks_too() {
    let (lepton, project) =
        (Lepton::new(), Project::with(&SETTINGS.replace("text-classification", "tabular-classification")));
    let line = |row: usize| {
        let (high, wide) = (row % 7, row * 5 % 11);
        let tags = [(high > 3, "high"), (wide > 5, "wide")];
        let tags: Vec<&str> = tags.iter().filter(|(holds, _)| *holds).map(|(_, tag)| *tag).collect();
        format!("{high},{wide},{}\n", tags.join("|"))
    };
    let lines: String = (0..300).map(line).collect();
    project.write("tickets.csv", ("height,width,tags\n".to_owned() + &lines).as_bytes());
    for network in ["mlp", "residual-mlp", "linear"] {
        let run = lepton.json(&[
            "run",
            &project.at(""),
            "--set",
            &format!("train.architecture={network}"),
            "--set",
            "prepare.remove_duplicates=false",
        ]);
        let score = run["metrics"]["test"]["micro_f1"].as_f64().expect("a score");
        assert!(score > 0.9, "{network}: {score}");
    }
    let refused = |settings: &[&str], words: &[&str]| {
        let mut arguments = vec!["run".to_owned(), project.at("")];
        settings.iter().for_each(|setting| arguments.extend(["--set".to_owned(), (*setting).to_owned()]));
        lepton.refused(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), 2, words);
    };
    refused(&["train.architecture=boosting"], &["boosting", "train.architecture"]);
    refused(&["train.architecture=ensemble"], &["ensemble", "train.architecture"]);
    refused(&["train.loss={ kind = \"cross_entropy\" }"], &["train.loss", "binary_cross_entropy"]);
    refused(&["train.class_weights=balanced"], &["train.class_weights"]);
    refused(&["recipe.label_separator=\"\""], &["recipe.label_separator"]);
    refused(&["project.task=tabular-regression"], &["recipe.label_separator", "tabular-regression"]);
}

#[test]
fn a_gate_of_labels_fails_and_labels_that_training_lacks_are_named() {
    let (lepton, project) = (Lepton::new(), project());
    let run = ["run", &project.at(""), "--set", "train.epochs=1"];
    lepton.refused(&[&run[..], &["--set", "deploy.require.subset_accuracy=1.01"]].concat(), 1, &["subset_accuracy"]);
    project.write("other.csv", b"text,tags\n\"Number 1: it crashes at once\",bug|urgnt\n");
    lepton.done(&run);
    lepton.refused(&["evaluate", "tickets", &project.at("other.csv")], 2, &["urgnt", "did you mean \"urgent\"?"]);
    project
        .write("tickets.csv", table(0..240).replace("billing", "").replace("bug", "").replace("urgent", "").as_bytes());
    lepton.refused(&run, 2, &["no training row has a label", "tags"]);
    lepton.refused(&["advise", &project.at("")], 2, &["label_separator", "lepton tune"]);
}
