//! Texts from file to answer: a run, predictions, a server, what is augmented and split, and what bad input says.

use lepton_tests::{Lepton, Project, alike, request};
use serde_json::{Value, json};

const SETTINGS: &str = r#"[project]
name = "notes"
task = "text-classification"
seed = 7

[collect]
path = "notes.csv"
target = "mood"
ignore = ["shop"]

[prepare]
valid_fraction = 0.25

[train]
epochs = 12
batch_size = 16
learning_rate = 0.02
threads = 1

[optimize]
int8 = false
"#;

const THINGS: [&str; 9] = ["phone", "film", "soup", "charger", "plot", "waiter", "screen", "actor", "bread"];
const GOOD: [&str; 4] = ["wonderful", "great", "really lovely", "the best of all"];
const BAD: [&str; 4] = ["awful", "a waste of time", "never again", "the worst of all"];
const SHOPS: [&str; 3] = ["north", "south", "west"];

/// One row of the table: a sentence whose mood is in its words.
fn sentence(row: usize) -> (String, &'static str) {
    let (thing, words) = (THINGS[row % 9], if row.is_multiple_of(2) { GOOD } else { BAD });
    let filler = ["This", "Our", "That, the"][row % 3];
    let text = format!("{filler} {thing} number {row} was {}!", words[row / 2 % 4]);
    (text, if row.is_multiple_of(2) { "good" } else { "bad" })
}

fn table(rows: std::ops::Range<usize>) -> String {
    let mut text = String::from("shop,note,mood\n");
    for row in rows {
        let (note, mood) = sentence(row);
        text += &format!("{},\"{note}\",{mood}\n", SHOPS[row % 3]);
    }
    text
}

fn project() -> Project {
    let project = Project::with(SETTINGS);
    project.write("notes.csv", table(0..180).as_bytes());
    project
}

fn row(note: &Value) -> String {
    json!({ "note": note }).to_string()
}

fn label(answer: &Value, place: usize) -> &str {
    answer["predictions"][place]["label"].as_str().expect("a label")
}

#[test]
fn texts_are_trained_packaged_answered_and_served() {
    let (lepton, project) = (Lepton::new(), project());
    let run = lepton.json(&["run", &project.at("")]);
    assert!(run["metrics"]["test"]["accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.9), "{}", run["metrics"]);
    let (good, bad) = (row(&json!("The soup was WONDERFUL")), row(&json!("an awful charger, never again")));
    let answer = lepton.json(&["predict", "notes", &good, &bad]);
    assert_eq!((label(&answer, 0), label(&answer, 1)), ("good", "bad"));
    // A text that is empty, missing, of unknown words or far too long has an answer.
    project.write("long.json", row(&json!("wonderful soup ".repeat(50_000))).as_bytes());
    for note in [json!(""), json!("   "), Value::Null, json!("日本語 xyzzy")] {
        assert!(lepton.json(&["predict", "notes", &row(&note)])["predictions"][0]["label"].is_string(), "{note}");
    }
    assert_eq!(label(&lepton.json(&["predict", "notes", &project.at("long.json")]), 0), "good");
    lepton.refused(&["predict", "notes", &row(&json!(["a", "list"]))], 2, &["note"]);
    lepton.refused(&["predict", "notes", r#"{"text": "no such column"}"#], 2, &["note"]);
    let shown = lepton.json(&["model", "show", "notes"]);
    assert_eq!(shown["manifest"]["signature"]["inputs"][0]["dtype"], "int64");
    assert_eq!(shown["manifest"]["signature"]["inputs"][0]["shape"], json!([-1, -1]));
    assert_eq!(lepton.json(&["model", "verify", "notes"])["status"], "ok");
    let evaluated = lepton.json(&["evaluate", "notes", &project.at("")]);
    assert_eq!(evaluated["metrics"]["accuracy"], run["metrics"]["test"]["accuracy"]);

    let server = lepton.serve(&["notes"]);
    let served = request(server.address, "POST", "/v1/predict/notes", "application/json", good.as_bytes());
    assert_eq!(served.status, 200, "{}", served.text());
    let probabilities = |answer: &serde_json::Value| answer["predictions"][0]["probabilities"].clone();
    assert!(alike(&probabilities(&served.json()), &probabilities(&answer)), "{} {answer}", served.text());
    let rows = format!(r#"{{"rows": [{bad}, {good}, {{"note": null}}]}}"#);
    let several = request(server.address, "POST", "/v1/predict/notes", "application/json", rows.as_bytes()).json();
    let second = &several["predictions"][1]["probabilities"];
    assert!(alike(second, &probabilities(&answer)), "{several}");
    assert_eq!(several["predictions"].as_array().map(Vec::len), Some(3));
    let csv = request(server.address, "POST", "/v1/predict/notes", "text/csv", b"note\nawful\n").json();
    assert_eq!(csv["predictions"][0]["label"], "bad");
    // As tensors: codes of any length, and none that the vocabulary does not have.
    let infer = |shape: &str, codes: &str| {
        let tensor =
            format!(r#"{{"inputs": [{{"name": "input", "shape": {shape}, "datatype": "INT64", "data": {codes}}}]}}"#);
        request(server.address, "POST", "/v2/models/notes/infer", "application/json", tensor.as_bytes())
    };
    assert_eq!(infer("[1, 3]", "[2, 3, 4]").status, 200);
    assert_eq!(infer("[2, 2]", "[2, 3, 4, 0]").status, 200);
    assert!(infer("[1, 2]", "[2, 99999]").status >= 400);
    let floats = br#"{"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]}]}"#;
    assert_eq!(request(server.address, "POST", "/v2/models/notes/infer", "application/json", floats).status, 400);
}

#[test]
fn every_network_and_tokenizer_goes_through_all_stages() {
    let (lepton, project) = (Lepton::new(), project());
    for (network, tokenizer) in
        [("text-cnn", "wordpiece"), ("bilstm", "bpe"), ("bigru", "words"), ("transformer", "wordpiece")]
    {
        let [architecture, tokens] = [format!("train.architecture={network}"), format!("recipe.tokenizer={tokenizer}")];
        let run = lepton.json(&[
            "run",
            &project.at(""),
            "--set",
            &architecture,
            "--set",
            &tokens,
            "--set",
            "train.epochs=1",
            "--set",
            "recipe.vocabulary=300",
            "--set",
            "optimize.int8=true",
        ]);
        assert!(run["metrics"]["test"]["accuracy"].is_number(), "{network}: {run}");
        assert!(lepton.json(&["predict", "notes", &row(&json!("great"))])["predictions"][0]["label"].is_string());
    }
}

#[test]
fn a_source_that_training_never_saw_is_the_test_part() {
    let (lepton, project) = (Lepton::new(), project());
    let at = project.at("");
    let run = lepton.json(&["run", &at, "--set", "prepare.test_where.shop=west", "--until", "prepare"]);
    assert_eq!((run["rows"]["test"].as_u64(), run["rows"]["train"].as_u64()), (Some(60), Some(90)), "{run}");
    lepton.refused(&["run", &at, "--set", "prepare.test_where.shop=wset"], 2, &["shop", "did you mean \"west\"?"]);
    lepton.refused(&["run", &at, "--set", "prepare.test_where.shp=west"], 2, &["prepare.test_where", "shp"]);
    lepton.refused(&["run", &at, "--set", "prepare.test_where.mood=good"], 2, &["the target cannot say"]);
    let folds = ["run", &at, "--set", "prepare.test_where.shop=west", "--folds", "2"];
    lepton.refused(&folds, 2, &["prepare.fold", "test part of its own"]);
}

#[test]
fn augmented_texts_train_and_are_shown() {
    let (lepton, project) = (Lepton::new(), project());
    let steps = "augment.steps=[{ kind = \"swap_words\" }, { kind = \"delete_words\", amount = 0.3 }]";
    let run = lepton.json(&["run", &project.at(""), "--set", steps]);
    let stages = run["stages"].as_array().expect("stages");
    let augment = stages.iter().find(|stage| stage["name"] == "augment").expect("the stage");
    assert!(augment["summary"].as_str().is_some_and(|text| text.starts_with("swap_words (50 %), delete_words")));
    assert!(run["metrics"]["test"]["accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.8), "{}", run["metrics"]);
    let sheet = project.at("sheet.html");
    lepton.done(&["data", "preview", &project.at(""), "--to", &sheet, "--set", steps]);
    assert!(std::fs::read_to_string(sheet).expect("a sheet").contains("Texts as augmented"));
    // A lexicon lies in the project, and another one in its place is another training.
    project.write("words.txt", b"wonderful, splendid\nawful, dreadful\n");
    let synonyms = "augment.steps=[{ kind = \"synonyms\", amount = 1, lexicon = \"words.txt\" }]";
    let train = |run: &Value| {
        let stages = run["stages"].as_array().expect("stages");
        stages.iter().find(|stage| stage["name"] == "train").expect("the stage")["cached"].clone()
    };
    let with = || lepton.json(&["run", &project.at(""), "--set", synonyms, "--until", "train"]);
    assert_eq!((train(&with()), train(&with())), (json!(false), json!(true)));
    project.write("words.txt", b"wonderful, superb\nawful, ghastly\n");
    assert_eq!(train(&with()), json!(false));
    let absent = synonyms.replace("words.txt", "none.txt");
    lepton.refused(&["run", &project.at(""), "--set", &absent], 2, &["none.txt", "augment.steps"]);
    let smote = "augment.steps=[{ kind = \"smote\" }]";
    lepton.refused(&["run", &project.at(""), "--set", smote], 2, &["this project trains on texts"]);
}

#[test]
fn a_tokenizer_may_come_from_a_file_or_a_folder() {
    let (lepton, project) = (Lepton::new(), project());
    let at = project.at("");
    let document = |padding: &str| {
        json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
            "normalizer": { "type": "Lowercase" }, "pre_tokenizer": { "type": "Whitespace" },
            "post_processor": null, "decoder": null,
            "model": {
                "type": "WordLevel", "unk_token": "<unk>",
                "vocab": { padding: 3, "<unk>": 0, "awful": 1, "wonderful": 2, "great": 4, "worst": 5, "best": 6 }
            }
        })
        .to_string()
    };
    project.write("words/tokenizer.json", document("<pad>").as_bytes());
    let run = |tokenizer: &str| lepton.json(&["run", &at, "--set", &format!("recipe.tokenizer={tokenizer}")]);
    let (folder, file) = (run("./words"), run("words/tokenizer.json"));
    assert_eq!(folder["metrics"], file["metrics"]);
    let recipe = std::path::Path::new(file["package"].as_str().expect("a package")).join("recipe.json");
    let recipe: Value = serde_json::from_slice(&std::fs::read(recipe).expect("a recipe")).expect("JSON");
    assert_eq!((&recipe["steps"][0]["padding"], &recipe["steps"][0]["vocabulary"]), (&json!(3), &json!(7)));
    // Another file behind the same name is another recipe.
    project.write("words/tokenizer.json", document("[PAD]").replace("worst", "waste").as_bytes());
    let again = run("words/tokenizer.json");
    let prepare = again["stages"].as_array().expect("stages").iter().find(|stage| stage["name"] == "prepare");
    assert_eq!(prepare.map(|stage| &stage["cached"]), Some(&json!(false)));
    let refused = |tokenizer: &str, words: &[&str]| {
        lepton.refused(&["run", &at, "--set", &format!("recipe.tokenizer={tokenizer}")], 2, words);
    };
    project.write("none.json", document("nothing").as_bytes());
    refused("none.json", &["[PAD]", "recipe.tokenizer"]);
    project.write("broken.json", b"{");
    refused("broken.json", &["broken.json", "no tokenizer.json"]);
    refused("./absent", &["absent", "recipe.tokenizer"]);
    refused("wrods", &["did you mean \"words\"?"]);
    let small = "limits.tokenizer_bytes=10";
    lepton.refused(
        &["run", &at, "--set", "recipe.tokenizer=./words", "--set", small],
        2,
        &["tokenizer_bytes", "10 bytes"],
    );
    lepton.refused(
        &["run", &at, "--set", "recipe.tokenizer=./words", "--set", "recipe.vocabulary=5"],
        2,
        &["recipe.vocabulary"],
    );
}

#[test]
fn what_is_no_text_is_said() {
    let (lepton, project) = (Lepton::new(), project());
    let at = project.at("");
    lepton.refused(&["run", &at, "--set", "collect.ignore=[]"], 2, &["one column of texts alone", "shop"]);
    lepton.refused(&["run", &at, "--set", "recipe.text_features=9"], 2, &["recipe.text_features"]);
    lepton.refused(&["run", &at, "--set", "train.architecture=text-cn"], 2, &["text-cnn"]);
    let table = "project.task=tabular-classification";
    lepton.refused(&["run", &at, "--set", table, "--set", "recipe.max_length=9"], 2, &["recipe.max_length"]);
    // Few different texts look like categories, and are texts where a person says so.
    let few = (0..60).fold(String::from("note,mood\n"), |text, row| {
        text + &format!("{},{}\n", ["so good", "too bad", "fine"][row % 3], ["good", "bad", "good"][row % 3])
    });
    project.write("notes.csv", few.as_bytes());
    let some = ["--set", "collect.ignore=[]", "--set", "prepare.remove_duplicates=false"];
    lepton.refused(
        &[&["run", &at, "--set", "prepare.leaks=warn"], &some[..]].concat(),
        2,
        &["looks like categories", "collect.columns = { note = \"text\" }"],
    );
    lepton.done(
        &[&["run", &at, "--set", "collect.columns.note=text", "--set", "prepare.leaks=warn"], &some[..]].concat(),
    );
    // Training texts without a word teach nothing.
    let empty = (0..40).fold(String::from("note,mood\n"), |text, row| {
        text + &format!("\"{}\",{}\n", " ".repeat(row + 1), ["good", "bad"][row % 2])
    });
    project.write("notes.csv", empty.as_bytes());
    let code = lepton
        .run(&[&["run", &at, "--set", "collect.columns.note=text", "--set", "prepare.leaks=warn"], &some[..]].concat());
    assert_eq!(code.code, Some(2), "{code:?}");
}

#[test]
fn a_new_project_of_texts_reads_back() {
    let (lepton, place) = (Lepton::new(), Project::with(""));
    let folder = place.at("shop");
    let made = lepton.command(&["new", "shop", "--task", "text-classification"]).current_dir(place.folder()).output();
    assert!(made.expect("it starts").status.success());
    place.write("shop/texts.csv", table(0..120).replace("shop,note,mood", "shop,note,label").as_bytes());
    lepton.done(&["run", &folder, "--set", "collect.ignore=[\"shop\"]", "--set", "train.epochs=1"]);
}
