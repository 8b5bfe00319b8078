//! Wrong `lepton.toml` files and `--set` values.

use lepton_tests::{Lepton, Project};

#[test]
fn wrong_settings_name_their_file_line_key_and_the_nearest_known_key() {
    let lepton = Lepton::new();
    let project = Project::digits();
    let refuse_any = |from: &str, to: &str, words: &[&str]| {
        let broken = Project::digits();
        broken.edit(from, to);
        lepton.refused(&["run", &broken.at("")], 2, words);
    };
    let refuse = |from: &str, to: &str, words: &[&str]| refuse_any(from, to, &[&["lepton.toml"], words].concat());
    refuse("epochs = 2", "epoch = 2", &["train.epoch", "did you mean \"epochs\"?", "row 10"]);
    refuse("[train]", "[trian]", &["trian", "did you mean \"train\"?"]);
    refuse("epochs = 2", "epochs = \"two\"", &["train.epochs", "row 10"]);
    refuse("epochs = 2", "epochs = 0", &["train.epochs", "at least 1"]);
    refuse("epochs = 2", "epochs = -3", &["train.epochs"]);
    refuse("epochs = 2", "epochs = 2\nlearning_rate = nan", &["train.learning_rate"]);
    refuse("image-classification", "image-clasification", &["image-classification"]);
    refuse("[project]", "[project", &["row 1"]);
    refuse("name = \"digits\"", "name = \"../escape\"", &["project.name"]);
    refuse_any("path = \".\"", "path = \"nowhere\"", &["nowhere"]);
    refuse_any("epochs = 2", "architecture = \"worked-exampel\"", &["worked-example"]);
    let set =
        |assignment: &str, words: &[&str]| lepton.refused(&["run", &project.at(""), "--set", assignment], 2, words);
    set("train.epoch=3", &["train.epoch", "epochs"]);
    set("train.epochs", &["="]);
    set("train.epochs=many", &["train.epochs"]);
    lepton.refused(&["run", &project.at("no-such-folder")], 2, &["no-such-folder"]);
    lepton.refused(&["run", lepton.home().to_str().expect("UTF-8")], 2, &["lepton.toml", "lepton new"]);
    assert_eq!(
        lepton.json(&["runs", "list"])["runs"]
            .as_array()
            .map_or(0, |runs| runs.iter().filter(|run| run["status"] == "done").count()),
        0
    );
}
