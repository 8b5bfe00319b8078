//! `lepton data profile|doctor|repair|undo` on folders of pictures and sounds, on idx files and on datasets by name.

use lepton_tests::{Lepton, Project, digit_png, wav};
use std::collections::BTreeMap;
use std::path::Path;

/// Forty digits as PNGs in two classes, one of them twice, one of them in both classes.
fn pictures() -> Project {
    let project = Project::with("");
    for index in 0..40 {
        let (png, label) = digit_png(index);
        project.write(&format!("digits/{}/{index:02}.png", if label < 5 { "low" } else { "high" }), &png);
    }
    let (png, label) = digit_png(0);
    let (own, other) = if label < 5 { ("low", "high") } else { ("high", "low") };
    project.write(&format!("digits/{own}/again.png"), &png);
    project.write(&format!("digits/{other}/99.png"), &png);
    project.write("digits/low/broken.png", b"not a picture at all");
    project
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("inside").to_string_lossy().into_owned();
                files.insert(name, std::fs::read(&path).expect("a file"));
            }
        }
    }
    files
}

#[test]
fn a_folder_is_profiled_repaired_and_given_back_byte_by_byte() {
    let (lepton, project) = (Lepton::new(), pictures());
    let folder = project.at("digits");
    let profile = lepton.json(&["data", "profile", &folder]);
    assert_eq!((&profile["kind"], &profile["rows"]), (&"pictures".into(), &43.into()));
    assert_eq!(profile["pictures"]["modes"]["grey"], 42);
    assert_eq!(profile["pictures"]["sizes"][0], serde_json::json!([8, 8, 42]));
    assert!(lepton.done(&["data", "profile", &folder]).out.contains("sharpness"));
    let plan = project.at("plan.toml");
    let report = lepton.json(&["data", "doctor", &folder, "--plan", &plan]);
    let kinds: Vec<&str> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter_map(|finding| finding["kind"].as_str())
        .collect();
    for kind in ["broken_files", "duplicate_files", "conflicting_labels"] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    assert!(lepton.done(&["data", "doctor", &folder]).out.contains("low/broken.png"));
    let (repaired, back) = (project.at("repaired"), project.at("back"));
    let log = project.at("log.jsonl");
    let done = lepton.json(&["data", "repair", &folder, "--plan", &plan, "--to", &repaired, "--log", &log]);
    assert_eq!(done["rows"], serde_json::json!([43, 41]));
    let text = String::from_utf8(project.read("log.jsonl")).expect("UTF-8");
    assert_eq!(text.lines().count(), 2);
    assert!(text.contains("\"dropped\"") && text.contains("low/broken.png"), "{text}");
    let before = files(&project.folder().join("digits"));
    let after = files(&project.folder().join("repaired"));
    assert_eq!(after.len(), 41);
    assert!(after.iter().all(|(name, bytes)| before[name] == *bytes));
    // One repair taken back, then the other; and all at once.
    let ids: Vec<String> = done["repairs"]
        .as_array()
        .expect("repairs")
        .iter()
        .filter(|step| step["rows"] == 1)
        .map(|step| step["id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(ids.len(), 2);
    let undone = lepton.json(&["data", "undo", &repaired, "--repair", &ids[0], "--to", &project.at("one")]);
    assert!(undone["left"].as_array().is_some_and(|left| left.contains(&ids[1].as_str().into())), "{undone}");
    assert_eq!(files(&project.folder().join("one")).len(), 42);
    lepton.done(&["data", "undo", &project.at("one"), "--to", &project.at("none")]);
    assert_eq!(files(&project.folder().join("none")), before);
    lepton.done(&["data", "undo", &repaired, "--to", &back]);
    assert_eq!(files(&project.folder().join("back")), before);
    // What was changed since cannot be undone, and nothing is written over.
    project.write("repaired/low/new.png", &digit_png(1).0);
    lepton.refused(&["data", "undo", &repaired, "--to", &project.at("late")], 2, &["changed since"]);
    lepton.refused(&["data", "undo", &project.at("one"), "--to", &back], 2, &["there already"]);
    lepton.refused(
        &["data", "undo", &project.at("one"), "--repair", "nothing", "--to", &project.at("x")],
        2,
        &["nothing"],
    );
    assert!(!project.folder().join("late").exists() && !project.folder().join("x").exists());
}

#[test]
fn idx_files_are_repaired_as_idx_files() {
    let (lepton, project) = (Lepton::new(), Project::digits());
    std::fs::remove_file(project.folder().join("lepton.toml")).expect("a file");
    let folder = project.at("");
    let out = tempfile::tempdir().expect("a folder");
    let at = |name: &str| out.path().join(name).to_string_lossy().into_owned();
    let plan = at("plan.toml");
    let report = lepton.json(&["data", "doctor", &folder]);
    assert_eq!((&report["kind"], &report["rows"], &report["columns"]), (&"pictures".into(), &1797.into(), &2.into()));
    let sha256 = report["sha256"].as_str().expect("a hash");
    let steps = "[[repair]]\nid = \"a\"\nreason = \"r\"\nenabled = true\naction = \"relabel_files\"\nlabels = { \"test-images-idx3-ubyte#1\" = \"3\" }\n\
                 [[repair]]\nid = \"b\"\nreason = \"r\"\nenabled = true\naction = \"drop_files\"\nfiles = [\"train-images-idx3-ubyte#5\"]\n";
    std::fs::write(&plan, format!("sha256 = \"{sha256}\"\n{steps}")).expect("a plan");
    let done = lepton.json(&["data", "repair", &folder, "--plan", &plan, "--to", &at("new")]);
    assert_eq!(done["rows"], serde_json::json!([1797, 1796]));
    assert_eq!(lepton.json(&["data", "profile", &at("new")])["rows"], 1796);
    lepton.done(&["data", "undo", &at("new"), "--repair", "b", "--to", &at("one")]);
    let labels = std::fs::read(out.path().join("one/test-labels-idx1-ubyte")).expect("labels");
    assert_eq!((labels[8], labels.len()), (3, project.read("test-labels-idx1-ubyte").len()));
    lepton.done(&["data", "undo", &at("one"), "--to", &at("back")]);
    assert_eq!(files(&out.path().join("back")), files(project.folder()));
}

#[test]
fn a_dataset_is_looked_at_by_its_name() {
    let (lepton, project) = (Lepton::new(), Project::digits());
    lepton.done(&["run", &project.at(""), "--until", "prepare"]);
    let list = lepton.json(&["data", "list"]);
    let name = list["datasets"][0]["name"].as_str().expect("a dataset").to_owned();
    let profile = lepton.json(&["data", "profile", &name]);
    assert_eq!((&profile["kind"], &profile["rows"]), (&"pictures".into(), &1797.into()));
    assert_eq!(profile["pictures"]["parts"]["test"], 360);
    let sketches = profile["sketches"].as_str().expect("a blob");
    assert!(lepton.home().join("blobs").join(&sketches[..2]).join(&sketches[2..]).is_file());
    lepton.refused(&["data", "doctor", "mnist"], 2, &["not on this machine", "lepton data fetch mnist"]);
    lepton.refused(&["data", "doctor", "mnits"], 2, &["mnits", "did you mean \"mnist\""]);
    lepton.refused(&["data", "profile", &name, "--delimiter", ";"], 2, &["--delimiter"]);
    let plan = project.at("plan.toml");
    lepton.done(&["data", "doctor", &name, "--plan", &plan]);
    lepton.refused(&["data", "repair", &name, "--plan", &plan, "--to", &project.at("new")], 2, &["collected from"]);
}

#[test]
fn sounds_are_profiled_and_repaired() {
    let (lepton, project) = (Lepton::new(), Project::with(""));
    for index in 0..12_u32 {
        project.write(
            &format!("words/{}/{index:02}.wav", ["yes", "no"][index as usize % 2]),
            &wav(200 + 40 * index, 8_000, 8_000),
        );
    }
    project.write("words/yes/again.wav", &wav(200, 8_000, 8_000));
    let folder = project.at("words");
    let profile = lepton.json(&["data", "profile", &folder]);
    assert_eq!((&profile["kind"], &profile["audio"]["rates"]["8000"]), (&"audio".into(), &13.into()));
    assert!(lepton.done(&["data", "profile", &folder]).out.contains("pcm_s16le"));
    let plan = project.at("plan.toml");
    let report = lepton.json(&["data", "doctor", &folder, "--plan", &plan]);
    assert_eq!(report["findings"][0]["kind"], "duplicate_files", "{report}");
    lepton.done(&["data", "repair", &folder, "--plan", &plan, "--to", &project.at("repaired")]);
    assert_eq!(files(&project.folder().join("repaired")).len(), 12);
    lepton.done(&["data", "undo", &project.at("repaired"), "--to", &project.at("back")]);
    assert_eq!(files(&project.folder().join("back")), files(&project.folder().join("words")));
}
