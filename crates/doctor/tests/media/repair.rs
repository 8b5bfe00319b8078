//! Plans applied as new folders, what the log says, and the way back.

use super::scenes::{encoded, jpeg, look, png, put, scene};
use image::DynamicImage;
use lepton_core::{Cancel, Digest, ErrorCode, Limits, Result, Silent};
use lepton_doctor::media::Collection;
use lepton_doctor::media::repair::{
    FileChangeKind, RepairOptions, RepairedCollection, fingerprint, folder_digest, repair_collection, restore,
};
use lepton_doctor::repair::{Action, Plan, Step, TargetMode};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Twelve pictures in two classes, one of them twice, one broken, one grey, and a note beside them.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..12u64 {
        put(
            folder.path(),
            &format!("{}/{seed:02}.png", ["cat", "dog"][seed as usize % 2]),
            &png(&scene(seed, 40, 48, 0)),
        );
    }
    put(folder.path(), "cat/again.png", &png(&scene(0, 40, 48, 0)));
    put(folder.path(), "dog/broken.png", b"not a picture");
    put(folder.path(), "dog/photo.jpg", &jpeg(&scene(30, 40, 48, 0), 90));
    put(
        folder.path(),
        "dog/grey.png",
        &encoded(&DynamicImage::from(DynamicImage::from(scene(31, 40, 48, 0)).into_luma8())),
    );
    put(folder.path(), "notes.txt", b"what the pictures are of");
    folder
}

fn all_files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap().flatten() {
            match entry.path() {
                path if path.is_dir() => open.push(path),
                path => {
                    let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                    files.insert(name, std::fs::read(path).unwrap());
                }
            }
        }
    }
    files
}

fn done(from: &Path, to: &Path, steps: Vec<Action>) -> Result<RepairedCollection> {
    let limits = Limits::default();
    let collection = Collection::open(from, &limits)?;
    let step = |(place, action)| Step { id: format!("s{place}"), reason: "because".into(), enabled: true, action };
    let sha256 = fingerprint(&collection)?.0;
    let plan = Plan { sha256, salt: String::new(), steps: steps.into_iter().enumerate().map(step).collect() };
    let options = RepairOptions { limits, threads: 2, progress: &Silent, cancel: &Cancel::default() };
    repair_collection(&collection, &plan, to, &options)
}

fn drop_files(files: &[&str]) -> Action {
    Action::DropFiles { files: files.iter().map(|file| (*file).to_owned()).collect() }
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
}

#[test]
fn the_proposed_plan_repairs_and_what_stays_is_the_same_by_the_byte() {
    let from = folder();
    let (profile, findings) = look(from.path(), 2);
    let plan = Plan::of(&findings, profile.survey.sha256);
    assert_eq!(Plan::from_toml(&plan.to_toml("a folder").unwrap()).unwrap(), plan);
    let to = tempfile::tempdir().unwrap();
    let options =
        RepairOptions { limits: Limits::default(), threads: 2, progress: &Silent, cancel: &Cancel::default() };
    let repaired = repair_collection(&profile.collection, &plan, to.path(), &options).unwrap();
    let (before, after) = (all_files(from.path()), all_files(to.path()));
    assert_eq!(repaired.items, 14);
    let gone: Vec<&String> = before.keys().filter(|name| !after.contains_key(*name)).collect();
    assert_eq!(gone, ["cat/again.png", "dog/broken.png"]);
    assert!(after.iter().all(|(name, bytes)| before[name] == *bytes));
    assert_eq!(folder_digest(to.path()).unwrap(), repaired.sha256);
    let log: Vec<(&str, FileChangeKind, Option<Digest>)> =
        repaired.log.iter().map(|change| (change.file.as_str(), change.what, change.new)).collect();
    assert!(log.contains(&("dog/broken.png", FileChangeKind::Dropped, None)), "{log:?}");
    assert_eq!(repaired.log[0].old, Digest::of(&before[&repaired.log[0].file]));
    assert!(repaired.log.iter().all(|change| !change.reason.is_empty()));
    // All files of the original can be put back where their bytes are still at hand.
    let mut originals = repaired.originals.clone();
    for origin in &mut originals {
        if let Some(kept) = &origin.kept {
            origin.path = to.path().join(kept);
        }
    }
    let back = tempfile::tempdir().unwrap();
    assert_eq!(restore(&originals, back.path(), &Cancel::default()).unwrap(), profile.survey.sha256);
    assert_eq!(all_files(back.path()), before);
}

#[test]
fn each_action_does_what_it_says() {
    let from = folder();
    let before = all_files(from.path());
    let to = tempfile::tempdir().unwrap();
    let labels = pairs(&[("dog/01.png", "cat"), ("dog/grey.png", "cat"), ("cat/02.png", "cat")]);
    let names = pairs(&[("dog/photo.jpg", "renamed.jpeg")]);
    let steps = vec![
        drop_files(&["dog/broken.png", "cat/again.png"]),
        Action::RelabelFiles { labels },
        Action::RenameFiles { names },
        Action::ConvertPictures { mode: TargetMode::Rgb },
        Action::ResizePictures { height: 20, width: 24 },
    ];
    let repaired = done(from.path(), to.path(), steps).unwrap();
    let after = all_files(to.path());
    assert_eq!(after.len(), 15);
    assert!(
        after.contains_key("cat/01.png")
            && after.contains_key("cat/grey.png")
            && after.contains_key("dog/renamed.jpeg")
    );
    for (name, bytes) in after.iter().filter(|(name, _)| *name != "notes.txt") {
        let picture = image::load_from_memory(bytes).unwrap();
        assert_eq!((picture.height(), picture.width(), picture.color()), (20, 24, image::ColorType::Rgb8), "{name}");
        assert_eq!(image::guess_format(bytes).unwrap() == image::ImageFormat::Jpeg, name.ends_with("jpeg"), "{name}");
    }
    assert_eq!(after["notes.txt"], before["notes.txt"]);
    let grey: Vec<(&str, FileChangeKind)> = repaired
        .log
        .iter()
        .filter(|change| change.file == "dog/grey.png")
        .map(|change| (change.repair.as_str(), change.what))
        .collect();
    let expected =
        [("s3", FileChangeKind::Changed), ("s4", FileChangeKind::Changed), ("s1", FileChangeKind::Relabelled)];
    assert_eq!(grey, expected);
    let counts: Vec<[u64; 2]> = repaired.outcomes.iter().map(|outcome| [outcome.cells, outcome.rows]).collect();
    assert_eq!(counts, [[0, 2], [2, 0], [1, 0], [1, 0], [14, 0]]);
    assert_eq!(all_files(from.path()), before, "the original stays");
    // Pictures of the size already stay as they are, by the byte.
    let again = tempfile::tempdir().unwrap();
    done(to.path(), again.path(), vec![Action::ResizePictures { height: 20, width: 24 }]).unwrap();
    assert_eq!(all_files(again.path()), after);
}

#[test]
fn a_name_that_is_taken_says_where_the_file_comes_from() {
    let from = folder();
    put(from.path(), "dog/00.png", &png(&scene(40, 40, 48, 0)));
    let to = tempfile::tempdir().unwrap();
    done(from.path(), to.path(), vec![Action::RelabelFiles { labels: pairs(&[("dog/00.png", "cat")]) }]).unwrap();
    let (before, after) = (all_files(from.path()), all_files(to.path()));
    assert_eq!(after["cat/00.png"], before["cat/00.png"]);
    assert_eq!(after["cat/00-from-dog.png"], before["dog/00.png"]);
}

#[test]
fn a_plan_that_cannot_be_done_says_which_step() {
    let from = folder();
    let refused = |action: Action| {
        let to = tempfile::tempdir().unwrap();
        done(from.path(), to.path(), vec![action]).unwrap_err()
    };
    let error = refused(drop_files(&["cat/00.pgn"]));
    assert_eq!((error.code(), error.place().key.as_deref()), (ErrorCode::NotFound, Some("repair.s0")));
    assert!(error.to_string().contains("did you mean \"cat/00.png\""), "{error}");
    let error = refused(Action::RelabelFiles { labels: pairs(&[("cat/00.png", "../escape")]) });
    assert_eq!(error.code(), ErrorCode::NotFound);
    for name in ["../up.png", "a/b.png", ".hidden", ""] {
        let error = refused(Action::RenameFiles { names: pairs(&[("cat/00.png", name)]) });
        assert_eq!(error.code(), ErrorCode::Config, "{name:?}");
    }
    assert_eq!(refused(Action::Trim { column: "a".into() }).code(), ErrorCode::Config);
    assert_eq!(refused(Action::ResizePictures { height: 1 << 20, width: 1 << 20 }).code(), ErrorCode::Config);
    // A broken picture that stays cannot be resized.
    let error = refused(Action::ResizePictures { height: 8, width: 8 });
    assert!(error.place().file.as_ref().is_some_and(|file| file.ends_with("dog/broken.png")), "{error}");
    let everything: Vec<String> = all_files(from.path()).into_keys().filter(|name| name != "notes.txt").collect();
    assert_eq!(refused(Action::DropFiles { files: everything }).code(), ErrorCode::Config);
    let limits = Limits::default();
    let collection = Collection::open(from.path(), &limits).unwrap();
    let plan = Plan { sha256: Digest::of("other"), salt: String::new(), steps: Vec::new() };
    let options = RepairOptions { limits, threads: 1, progress: &Silent, cancel: &Cancel::default() };
    let to = tempfile::tempdir().unwrap();
    assert_eq!(repair_collection(&collection, &plan, to.path(), &options).unwrap_err().code(), ErrorCode::Integrity);
}

fn digits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits")
}

#[test]
fn idx_files_become_idx_files() {
    let to = tempfile::tempdir().unwrap();
    let from = tempfile::tempdir().unwrap();
    for name in
        ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "test-images-idx3-ubyte", "test-labels-idx1-ubyte"]
    {
        put(from.path(), name, &std::fs::read(digits().join(name)).unwrap());
    }
    let name = |row: usize| format!("train-images-idx3-ubyte#{row}");
    let before = all_files(from.path());
    let steps = vec![drop_files(&[&name(2)]), Action::RelabelFiles { labels: pairs(&[(&name(3), "7")]) }];
    let repaired = done(from.path(), to.path(), steps).unwrap();
    let after = all_files(to.path());
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    let (old, new) = (&before["train-images-idx3-ubyte"], &after["train-images-idx3-ubyte"]);
    assert_eq!(new.len(), old.len() - 64);
    assert_eq!((&new[16..80], &new[80..144]), (&old[16..80], &old[144..208]));
    assert_eq!(after["train-labels-idx1-ubyte"][9], 7);
    assert_eq!(after["test-images-idx3-ubyte"], before["test-images-idx3-ubyte"]);
    assert_eq!(repaired.log.len(), 2);
    assert_eq!((repaired.log[0].old, repaired.log[0].new), (Digest::of(&old[80..144]), None));
    assert_eq!(folder_digest(to.path()).unwrap(), repaired.sha256);
    let collection = Collection::open(to.path(), &Limits::default()).unwrap();
    assert_eq!(collection.items.len(), 1_796);
    let bigger = tempfile::tempdir().unwrap();
    done(to.path(), bigger.path(), vec![Action::ResizePictures { height: 16, width: 12 }]).unwrap();
    let collection = Collection::open(bigger.path(), &Limits::default()).unwrap();
    let picture = collection.picture(0, &Limits::default()).unwrap();
    assert_eq!((picture.height, picture.width, picture.channels), (16, 12, 1));
    let error = done(from.path(), bigger.path(), vec![Action::RenameFiles { names: pairs(&[(&name(1), "a")]) }]);
    assert_eq!(error.unwrap_err().code(), ErrorCode::Config);
}
