//! `lepton model`, and MODEL in all its spellings.

use lepton_tests::{Lepton, Project, digit_png};

#[test]
fn models_are_listed_shown_and_verified() {
    let lepton = Lepton::trained();
    let models = lepton.json(&["model", "list"]);
    assert_eq!(models["models"][0]["name"], "digits");
    assert_eq!(models["models"][0]["version"], 1);
    let shown = lepton.json(&["model", "show", "digits@1"]);
    let manifest = &shown["manifest"];
    assert_eq!(manifest["task"], "image-classification");
    assert_eq!(manifest["signature"]["inputs"][0]["name"], "input");
    assert_eq!(manifest["signature"]["inputs"][0]["shape"], serde_json::json!([-1, 1, 8, 8]));
    for key in ["dataset_sha256", "recipe_sha256", "settings_sha256", "seed", "command", "environment"] {
        assert!(!manifest["lineage"][key].is_null(), "{key}: {manifest}");
    }
    assert!(lepton.done(&["model", "show", "digits"]).out.contains("sha256"));
    assert_eq!(lepton.json(&["model", "verify", "digits"])["status"], "ok");
    lepton.refused(&["model", "show", "digits@9"], 2, &["digits", "9"]);
    lepton.refused(&["model", "show", "digits@x"], 2, &["version"]);
}

#[test]
fn an_exported_package_answers_like_the_registered_one() {
    let (lepton, place) = (Lepton::trained(), Project::with(""));
    let (exported, picture) = (place.at("copy"), place.at("digit.png"));
    place.write("digit.png", &digit_png(0).0);
    lepton.done(&["model", "export", "digits", "--to", &exported]);
    assert!(
        lepton.run(&["model", "export", "digits", "--to", &exported]).code == Some(2),
        "an export overwrote another"
    );
    let fresh = Lepton::new();
    fresh.done(&["model", "verify", &exported]);
    let here = lepton.json(&["predict", "digits", &picture]);
    let there = fresh.json(&["predict", &exported, &picture]);
    assert_eq!(here["predictions"], there["predictions"]);
    // A bare ONNX file can be shown; it says nothing about raw inputs, so it cannot take a picture.
    let onnx = format!("{exported}/model.onnx");
    assert_eq!(fresh.json(&["model", "show", &onnx])["manifest"]["signature"]["outputs"][0]["shape"][1], 10);
    fresh.refused(&["predict", &onnx, &picture], 2, &["raw inputs"]);
}
