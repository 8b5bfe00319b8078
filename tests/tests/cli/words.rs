//! Help, completions, new projects, engines, exit codes, and what goes to which stream.

use lepton_tests::{Lepton, Project};

#[test]
fn every_command_of_the_contract_explains_itself() {
    let lepton = Lepton::new();
    let help = lepton.done(&["--help"]).out;
    for noun in
        ["new", "run", "runs", "data", "model", "predict", "evaluate", "serve", "monitor", "engine", "completions"]
    {
        assert!(help.contains(noun), "{noun}");
    }
    for command in [
        vec!["new"],
        vec!["run"],
        vec!["runs", "list"],
        vec!["runs", "show"],
        vec!["runs", "report"],
        vec!["data", "list"],
        vec!["data", "fetch"],
        vec!["data", "show"],
        vec!["model", "list"],
        vec!["model", "show"],
        vec!["model", "verify"],
        vec!["model", "export"],
        vec!["predict"],
        vec!["evaluate"],
        vec!["serve"],
        vec!["monitor", "report"],
        vec!["engine", "list"],
        vec!["engine", "install"],
        vec!["completions"],
    ] {
        let text = lepton.done(&[command.as_slice(), &["--help"]].concat()).out;
        assert!(text.contains("Usage: lepton"), "{command:?}: {text}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(lepton.done(&["completions", shell]).out.contains("lepton"));
    }
    assert!(lepton.done(&["--version"]).out.starts_with("lepton "));
}

#[test]
fn wrong_usage_ends_with_two_and_says_so_on_standard_error() {
    let lepton = Lepton::new();
    lepton.refused(&["rnu"], 2, &["rnu"]);
    lepton.refused(&["predict"], 2, &["MODEL"]);
    lepton.refused(&["new", "x", "--task", "image-clasification"], 2, &["image-classification"]);
    lepton.refused(&["run", ".", "--until", "trian"], 2, &["train"]);
    lepton.refused(&["engine", "install", "onnxruntme"], 2, &["onnxruntime"]);
    lepton.refused(&["model", "show", "nobody"], 2, &["nobody"]);
    let answer = lepton.run(&["model", "show", "nobody", "--json"]);
    assert_eq!(answer.json()["error"]["code"], "not_found");
}

#[test]
fn a_new_project_is_commented_and_not_overwritten() {
    let (lepton, place) = (Lepton::new(), Project::with(""));
    let new = |name: &str, task: &str| {
        let output =
            lepton.command(&["new", name, "--task", task]).current_dir(place.folder()).output().expect("it starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for task in ["image-classification", "series-classification", "tabular-classification"] {
        assert_eq!(new(task, task).0, Some(0));
        let text = String::from_utf8(place.read(&format!("{task}/lepton.toml"))).expect("UTF-8");
        assert!(text.contains(task) && text.matches('#').count() > 10, "{text}");
    }
    let (code, said) = new("image-classification", "image-classification");
    assert!(code == Some(2) && said.contains("already"), "{said}");
    // What it wrote is a project, whose data is not there yet.
    lepton.refused(&["run", &place.at("tabular-classification")], 2, &["table.csv"]);
}

#[test]
fn results_go_to_standard_output_and_progress_to_standard_error() {
    let (lepton, project) = (Lepton::new(), Project::digits());
    let answer = lepton.done(&["run", &project.at("")]);
    assert!(answer.err.contains("epoch 1/2") && !answer.out.contains("epoch 1/2"), "{answer:#?}");
    for word in ["collect", "monitor", "test", "digits@1", "report.html", "sha256:", "seed"] {
        assert!(answer.out.contains(word), "{word}: {}", answer.out);
    }
    assert!(!answer.out.contains('\u{1b}') && !answer.err.contains('\u{1b}'), "colour where there is no terminal");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let lepton = Lepton::trained();
    let mut command = lepton.command(&["model", "show", "digits"]);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_engines_are_listed_with_the_reason() {
    let listed = Lepton::new().json(&["engine", "list"]);
    let engines = listed["engines"].as_array().expect("engines");
    assert!(engines.iter().any(|engine| engine["name"] == "rten" && engine["default"] == true), "{listed}");
    assert!(
        engines.iter().any(|engine| engine["name"] == "onnxruntime" && engine["reason"].as_str().is_some()),
        "{listed}"
    );
    let library = lepton_tests::setting("LEPTON_TEST_ORT_DYLIB");
    let with = Lepton::new().json(&["engine", "list", "--onnxruntime", library.to_str().expect("UTF-8")]);
    let engines = with["engines"].as_array().expect("engines");
    assert!(engines.iter().any(|engine| engine["name"] == "onnxruntime" && engine["default"] == true), "{with}");
}

#[test]
fn the_generated_reference_is_the_one_in_the_repository() {
    let made = Lepton::new().done(&["reference"]).out;
    let kept =
        std::fs::read_to_string(lepton_tests::workspace_root().join("docs/reference/cli.md")).unwrap_or_default();
    assert!(made == kept, "docs/reference/cli.md is stale: cargo run --release -- reference > docs/reference/cli.md");
}
