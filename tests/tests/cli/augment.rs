//! Augmentation in a run, what it refuses, and `lepton data preview`.

use lepton_tests::{Lepton, Project, workspace_root};
use serde_json::Value;

const TITANIC: &str = "augment.steps=[{ kind = \"smote\" }, { kind = \"number_noise\", amount = 0.02 }]";

fn example(name: &str) -> String {
    workspace_root().join("examples").join(name).display().to_string()
}

/// The line of a stage.
fn summary(run: &Value, stage: &str) -> String {
    let stages = run["stages"].as_array().expect("stages");
    let stage = stages.iter().find(|entry| entry["name"] == stage).expect("the stage");
    stage["summary"].as_str().expect("a summary").to_owned()
}

#[test]
fn titanic_trains_with_new_rows_and_noise_and_waits_are_told() {
    let lepton = Lepton::new();
    let titanic = example("titanic");
    let run = lepton.json(&["run", &titanic, "--set", TITANIC, "--set", "train.epochs=10"]);
    let line = summary(&run, "augment");
    assert!(line.starts_with("smote, number_noise (50 %); training split only; new rows: "), "{line}");
    assert!(run["metrics"]["test"]["accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.75), "{}", run["metrics"]);
    assert!(run["data_wait_seconds"].as_f64().is_some_and(|seconds| seconds >= 0.0), "{run}");
    assert!(summary(&run, "train").contains("% of it waiting for data"), "{}", summary(&run, "train"));
    let report = std::fs::read_to_string(run["report"].as_str().expect("a report")).expect("the report");
    assert!(report.contains("waiting for data") && report.contains("Training rows as augmented"));
    // Splits keep their rows: only what training sees has grown.
    let plain = lepton.json(&["run", &titanic, "--until", "prepare"]);
    assert_eq!(run["rows"], plain["rows"]);
}

#[test]
fn mixed_rows_train_a_network() {
    let (lepton, project) = (Lepton::new(), Project::digits());
    let mix = "augment.steps=[{ kind = \"rand_augment\", magnitude = 3 }, { kind = \"mixup\" }, { kind = \"cutmix\" }]";
    let run =
        lepton.json(&["run", &project.at(""), "--set", mix, "--set", "train.epochs=12", "--set", "deploy.require={}"]);
    assert!(run["metrics"]["test"]["accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.7), "{}", run["metrics"]);
}

#[test]
fn what_a_task_cannot_use_is_refused_by_its_key() {
    let (lepton, project) = (Lepton::new(), Project::digits());
    for (step, words) in [
        ("{ kind = \"gain\" }", "gain changes sounds; this project trains on pictures"),
        ("{ kind = \"smote\" }", "smote changes tables; this project trains on pictures"),
        ("{ kind = \"rotate\", degrees = 200 }", "200 is not between 0 and 180"),
        ("{ kind = \"rotat\" }", "rotate"),
        ("{ kind = \"rotate\", degree = 2 }", "degrees"),
    ] {
        let setting = format!("augment.steps=[{step}]");
        lepton.refused(&["run", &project.at(""), "--set", &setting], 2, &[words, "augment.steps"]);
    }
    let flip = "augment.steps=[{ kind = \"flip_vertical\" }]";
    lepton.refused(&["run", &example("titanic"), "--set", flip], 2, &["this project trains on tables"]);
}

#[test]
fn a_preview_is_a_picture_or_a_page_with_its_seed_and_settings() {
    let (lepton, project) = (Lepton::new(), Project::digits());
    let (png, page) = (project.at("sheet.png"), project.at("sheet.html"));
    let said = lepton.done(&["data", "preview", &project.at(""), "--to", &png]).out;
    assert!(said.contains("seed      7") && said.contains("rotate_degrees"), "{said}");
    assert!(project.read("sheet.png").starts_with(b"\x89PNG"));
    let shown = lepton.json(&["data", "preview", &example("titanic"), "--set", TITANIC, "--to", &page]);
    assert_eq!(shown["preview"]["settings"]["steps"][0]["kind"], "smote");
    let text = String::from_utf8(project.read("sheet.html")).expect("UTF-8");
    assert!(text.contains("new row") && text.contains("row 1, epoch 3"));
    // The same seed gives the same sheet.
    lepton.done(&["data", "preview", &project.at(""), "--to", &page]);
    let first = project.read("sheet.html");
    lepton.done(&["data", "preview", &project.at(""), "--to", &page]);
    assert!(first == project.read("sheet.html"));
    lepton.done(&["data", "preview", &project.at(""), "--to", &page, "--set", "project.seed=8"]);
    assert!(first != project.read("sheet.html"));
}

#[test]
fn data_alone_is_previewed_by_set_and_nothing_to_show_is_said() {
    let (lepton, project) = (Lepton::new(), Project::table(60));
    let (table, page) = (project.at("table.csv"), project.at("sheet.html"));
    project.write("words.txt", b"red, crimson\nblue, azure\n");
    let text = format!(
        "augment.steps=[{{ kind = \"synonyms\", amount = 1, probability = 1, lexicon = '{}' }}]",
        project.at("words.txt")
    );
    let series = "augment.steps=[{ kind = \"jitter\" }, { kind = \"time_warp\" }]";
    let target = "collect.target=label";
    lepton.done(&["data", "preview", &table, "--set", target, "--set", series, "--to", &page]);
    assert!(project.read("sheet.html").windows(4).any(|part| part == b"<svg"));
    let column = "collect.columns.colour=text";
    lepton.done(&["data", "preview", &table, "--set", target, "--set", column, "--set", &text, "--to", &page]);
    let shown = String::from_utf8(project.read("sheet.html")).expect("UTF-8");
    assert!(shown.contains("crimson") || shown.contains("azure"), "synonyms are shown");
    lepton.refused(&["data", "preview", &table, "--set", target, "--to", &page], 2, &["nothing is augmented"]);
    lepton.refused(&["data", "preview", &table, "--set", series, "--to", &page], 2, &["target"]);
    lepton.refused(
        &["data", "preview", &table, "--set", target, "--set", series, "--to", "x.gif"],
        2,
        &[".html or .png"],
    );
}

#[test]
fn marks_on_pictures_are_drawn_and_move_with_them() {
    let (lepton, project) = (Lepton::new(), Project::with(""));
    std::fs::remove_file(project.at("lepton.toml")).expect("no project, data alone");
    for folder in ["images/train", "labels/train", "images/val", "labels/val"] {
        std::fs::create_dir_all(project.folder().join(folder)).expect("a folder");
    }
    project.write("data.yaml", b"path: .\ntrain: images/train\nval: images/val\nnames: [cat]\n");
    let grey = image::GrayImage::from_pixel(96, 96, image::Luma([100]));
    for part in ["train", "val"] {
        grey.save(project.folder().join(format!("images/{part}/a.png"))).expect("a picture");
        // A box in the left upper corner.
        project.write(&format!("labels/{part}/a.txt"), b"0 0.25 0.25 0.25 0.25\n");
    }
    let flip = "augment.steps=[{ kind = \"flip_horizontal\", probability = 1 }]";
    let sheet = project.at("sheet.png");
    lepton.done(&["data", "preview", &project.at(""), "--set", flip, "--to", &sheet]);
    let sheet = image::load_from_memory(&project.read("sheet.png")).expect("a PNG").into_rgb8();
    let orange: Vec<u32> =
        sheet.enumerate_pixels().filter(|(_, _, pixel)| pixel.0 == [255, 140, 0]).map(|(x, _, _)| x).collect();
    // Each cell is 96 pixels and a gap wide: the original's box lies left in the first, the flipped one right in the next.
    assert!(orange.iter().any(|x| *x < 50) && !orange.iter().any(|x| (60..100).contains(x)), "the original's box");
    assert!(
        orange.iter().any(|x| (170..220).contains(x)) && !orange.iter().any(|x| (130..150).contains(x)),
        "the flipped"
    );
}
