//! Publishing models.

use super::*;
use lepton_core::ModelName;
use std::os::unix::fs::{PermissionsExt, symlink};

fn name() -> ModelName {
    "mnist".parse().unwrap()
}

#[test]
fn a_package_becomes_a_version_once_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let staged = store.scratch().unwrap();
    let first = stage_package(staged.path(), "first");
    let one = store.publish_model(&name(), staged.path(), &first, Some("run-1")).unwrap();
    assert_eq!((one.version, one.manifest, one.run.as_deref()), (1, first, Some("run-1")));
    assert_eq!(store.publish_model(&name(), staged.path(), &first, Some("run-2")).unwrap(), one);
    let second = stage_package(staged.path(), "second");
    let two = store.publish_model(&name(), staged.path(), &second, None).unwrap();
    assert_eq!(two.version, 2);
    assert_eq!(std::fs::read(one.dir.join("model.onnx")).unwrap(), b"firstfirstfirst");
    for path in files_below(&two.dir).iter().chain([&two.dir, &two.dir.join("extra")]) {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o222, 0, "{}", path.display());
    }
    // The same package under another name is that model's first version.
    assert_eq!(store.publish_model(&"other".parse().unwrap(), staged.path(), &second, None).unwrap().version, 1);

    assert_eq!(store.model(&name(), None).unwrap(), two);
    assert_eq!(store.model(&name(), Some(1)).unwrap(), one);
    assert_eq!(store.models().unwrap().len(), 3);
    let error = store.model(&name(), Some(7)).unwrap_err();
    assert!(error.to_string().contains("2, 1"), "{error}");
    let error = store.model(&"mnits".parse().unwrap(), None).unwrap_err();
    assert!(error.to_string().contains("mnist"), "{error}");
}

#[test]
fn a_package_that_is_not_what_was_announced_is_not_published() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let staged = store.scratch().unwrap();
    let manifest = stage_package(staged.path(), "text");
    let wrong = Digest::of("another text");
    assert_eq!(code(store.publish_model(&name(), staged.path(), &wrong, None)), Some(ErrorCode::Integrity));
    symlink("/etc/hostname", staged.path().join("extra/link")).unwrap();
    let error = store.publish_model(&name(), staged.path(), &manifest, None).unwrap_err();
    assert_eq!(error.code(), ErrorCode::BadData);
    assert!(error.place().file.as_ref().unwrap().ends_with("extra/link"));
    let missing = folder.path().join("nothing");
    assert_eq!(code(store.publish_model(&name(), &missing, &manifest, None)), Some(ErrorCode::NotFound));
    assert!(store.models().unwrap().is_empty());
    assert!(!store.home().join("models/mnist").exists());
}

#[test]
fn a_folder_that_vanished_is_named_and_publishing_again_puts_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let staged = store.scratch().unwrap();
    let manifest = stage_package(staged.path(), "text");
    let record = store.publish_model(&name(), staged.path(), &manifest, None).unwrap();
    crate::disk::remove_tree(&record.dir).unwrap();
    let error = store.model(&name(), None).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Integrity);
    assert!(error.message().contains("mnist@1"));
    assert_eq!(store.publish_model(&name(), staged.path(), &manifest, None).unwrap(), record);
    assert_eq!(store.model(&name(), None).unwrap(), record);
}

#[test]
fn publishers_at_once_get_versions_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let threads: Vec<_> = (0..6)
        .map(|index| {
            let store = open(&folder);
            std::thread::spawn(move || {
                let staged = store.scratch().unwrap();
                // Three packages, each published by two.
                let manifest = stage_package(staged.path(), &format!("package {}", index % 3));
                let record = store.publish_model(&name(), staged.path(), &manifest, None).unwrap();
                (manifest, record.version)
            })
        })
        .collect();
    let mut answers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    answers.sort_by_key(|answer| answer.1);
    answers.dedup();
    assert_eq!(answers.iter().map(|answer| answer.1).collect::<Vec<_>>(), [1, 2, 3]);
}
