//! Opening: odd places, modes, foreign and newer databases, several processes, scratch folders.

use super::*;
use rusqlite::Connection;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;

const NOBODY: u32 = 65_534;

#[test]
fn any_path_will_do_and_nothing_but_the_data_folder_is_written() {
    if let Some(home) = child_home() {
        let store = Store::open(&home).unwrap();
        let staged = store.scratch().unwrap();
        let manifest = stage_package(staged.path(), "{}");
        let record = store.publish_model(&"m".parse().unwrap(), staged.path(), &manifest, None).unwrap();
        std::fs::write(record.dir.join("model.onnx"), "changed").unwrap_err();
        std::fs::write(record.dir.join("extra/more"), "added").unwrap_err();
        std::fs::remove_file(record.dir.join("extra/README.md")).unwrap_err();
        // Read-only folders must not stop their own removal.
        crate::disk::remove_tree(&record.dir).unwrap();
        assert!(!record.dir.exists());
        return assert_sound(&store);
    }
    let outer = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let parent = outer.path().join("a 'read only' folder");
    let home = parent.join("Modelle \"größer\" 100% ?mode=ro#1 模型");
    std::fs::create_dir_all(&home).unwrap();
    let mut child = child_of("tests::home::any_path_will_do_and_nothing_but_the_data_folder_is_written", &home);
    if std::fs::metadata(&home).unwrap().uid() == 0 {
        // Modes do not bind root: take the part of somebody whom they bind.
        std::os::unix::fs::chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
        child.uid(NOBODY).gid(NOBODY).current_dir("/");
    }
    std::fs::set_permissions(&parent, std::fs::Permissions::from_mode(0o555)).unwrap();
    let before = std::fs::metadata(&parent).unwrap().mtime_nsec();
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(std::fs::metadata(&parent).unwrap().mtime_nsec(), before);
    std::fs::set_permissions(&parent, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_folder_and_what_is_in_it_are_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("deep/er/home")).unwrap();
    store.blobs().put_bytes(b"x").unwrap();
    let scratch = store.scratch().unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(store.home()), 0o700);
    assert_eq!(mode(scratch.path()), 0o700);
    for file in files_below(store.home()) {
        assert_eq!(mode(&file) & 0o077, 0, "{}", file.display());
    }
}

#[test]
fn a_newer_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = open(&folder).home().join("lepton.sqlite");
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 999").unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(&folder.path().join("home")).map(drop).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unsupported);
    assert!(error.message().contains("newer Lepton") && error.message().contains("999"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_database_that_is_not_ours_or_not_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    Connection::open(home.join("lepton.sqlite")).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert_eq!(code(Store::open(&home)), Some(ErrorCode::Integrity));
    std::fs::write(home.join("lepton.sqlite"), "no database ".repeat(1000)).unwrap();
    let error = Store::open(&home).map(drop).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Integrity);
    assert!(error.to_string().contains("lepton.sqlite"));
    assert_eq!(code(Store::open(&folder.path().join("home/lepton.sqlite"))), Some(ErrorCode::Io));
}

#[test]
fn many_processes_may_open_a_new_folder_at_once() {
    if let Some(home) = child_home() {
        let store = Store::open(&home).unwrap();
        let digest = Digest::of(std::process::id().to_string());
        return drop(store.register_dataset("d", &digest, &serde_json::json!(1)).unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let test = "tests::home::many_processes_may_open_a_new_folder_at_once";
    let children: Vec<_> =
        (0..8).map(|_| child_of(test, &home).stdout(std::process::Stdio::null()).spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(Store::open(&home).unwrap().datasets().unwrap().len(), 8);
}

#[test]
fn scratch_lives_as_long_as_its_holder_and_no_longer() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let (gone, kept) = (store.scratch().unwrap(), store.scratch().unwrap());
    assert_ne!(gone.path(), kept.path());
    std::fs::write(gone.path().join("file"), "x").unwrap();
    let path = gone.path().to_path_buf();
    drop(gone);
    assert!(!path.exists());
    // The holder outlives the store handle, and another opener must not sweep it.
    drop(store);
    let other = open(&folder);
    assert!(kept.path().is_dir());
    let path = kept.path().to_path_buf();
    drop(kept);
    assert!(!path.exists());
    assert_eq!(std::fs::read_dir(other.home().join("scratch")).unwrap().count(), 1);
}
