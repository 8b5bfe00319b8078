//! Disks that are full or broken: a clear error, nothing half written, reading goes on, and room helps
//! without a restart.

use super::*;
use crate::NewRun;
use serde_json::json;
use std::sync::atomic::Ordering;

/// What must hold in a folder where eight megabytes do not fit. Runs in a child of its own.
fn with_little_room(home: &Path) {
    let store = Store::open(home).unwrap();
    let small = store.blobs().put_bytes(b"small").unwrap();
    let big = vec![7u8; 8 << 20];
    let error = store.blobs().put_bytes(&big).unwrap_err();
    assert_eq!(error.code(), ErrorCode::StorageFull, "{error}");
    assert!(error.remedy().is_some());
    assert_eq!(
        code(store.blobs().put_with(|writer| writer.write_all(&big).map_err(write_error))),
        Some(ErrorCode::StorageFull)
    );
    assert_eq!(code(store.checkpoints(&small).unwrap().save(1, &big)), Some(ErrorCode::StorageFull));
    assert_eq!(code(store.install_engine("onnxruntime", "lib.so", &mut &big[..])), Some(ErrorCode::StorageFull));
    // Nothing of them is left, what was there is, and there is room for small things.
    assert!(!store.blobs().contains(&Digest::of(&big)));
    assert_eq!(files_below(store.disk().session().folder()).len(), 1, "the owner's lock only");
    assert_eq!(store.checkpoints(&small).unwrap().latest().unwrap(), None);
    assert_eq!(store.blobs().get(&small).unwrap(), b"small");
    store.blobs().put_bytes(b"also small").unwrap();
    store.cache_stage(&small, "collect", &json!(1), &[small], 0.0).unwrap();
    assert_sound(&store);
}

fn write_error(source: std::io::Error) -> lepton_core::Error {
    crate::disk::failed("write", Path::new("big"), source)
}

/// What must hold on a file system that has not one free block. Runs in a child of its own.
fn without_any_room(home: &Path) {
    let store = Store::open(home).unwrap();
    let kept = store.blobs().put_bytes(b"kept").unwrap();
    let staged = store.scratch().unwrap();
    let manifest = stage_package(staged.path(), "{}");
    let filler = home.parent().unwrap().join("filler");
    std::fs::write(&filler, vec![0; 64 << 20]).unwrap_err();
    let new = || NewRun { name: "n".into(), project: "/p".into(), command: vec![], spec: json!("x".repeat(100_000)) };
    type Write<'a> = Box<dyn Fn() -> Result<()> + 'a>;
    let writes: Vec<(&str, Write<'_>)> = vec![
        ("blob", Box::new(|| store.blobs().put_bytes(&[1; 9000]).map(drop))),
        ("run", Box::new(|| store.create_run(new()).map(drop))),
        ("dataset", Box::new(|| store.register_dataset("d", &kept, &json!("x".repeat(100_000))).map(drop))),
        ("stage", Box::new(|| store.cache_stage(&kept, "s", &json!("x".repeat(100_000)), &[], 1.0))),
        ("model", Box::new(|| store.publish_model(&"m".parse()?, staged.path(), &manifest, None).map(drop))),
        ("checkpoint", Box::new(|| store.checkpoints(&kept)?.save(1, &[1; 9000]))),
        ("observation", Box::new(|| store.record_observation("m", 1, "", "", &json!("x".repeat(100_000))))),
        ("engine", Box::new(|| store.install_engine("e", "lib.so", &mut &[1; 9000][..]).map(drop))),
    ];
    for (name, write) in &writes {
        // Whatever room a failed write gives back is taken again.
        let more = std::fs::OpenOptions::new().append(true).open(&filler).unwrap();
        let _ = std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 64 << 20), &mut &more);
        let error = write().unwrap_err();
        assert_eq!(error.code(), ErrorCode::StorageFull, "{name}: {error}");
        assert_eq!(store.blobs().get(&kept).unwrap(), b"kept", "{name}: reading goes on");
        assert!(store.runs(10).unwrap().is_empty());
    }
    std::fs::remove_file(&filler).unwrap();
    for (name, write) in &writes {
        write().unwrap_or_else(|error| panic!("{name} after room was made: {error}"));
    }
    assert_sound(&store);
}

fn run_in_shell(test: &str, script: &str, home: &Path) {
    let child = child_of(test, home);
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(home.parent().unwrap()).arg(child.get_program()).args(child.get_args());
    let output = shell.env(CHILD, home).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Mounts four megabytes of memory over the parent of the data folder, in a mount namespace of its own.
const TINY: &str = r#"exec unshare -Urm sh -c 'mount -t tmpfs -o size=4m tmpfs "$1" && shift && exec "$@"' sh "$@""#;
/// Lets no file grow past one or two megabytes (shells differ in the unit); SIGXFSZ off, so that it is EFBIG.
const LIMITED: &str = r#"trap '' XFSZ; ulimit -f 2048; shift; exec "$@""#;

fn mounts_are_allowed() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("{TINY} true");
    let tried = Command::new("sh").args(["-c", &script, "sh"]).arg(folder.path()).arg("true").output();
    tried.is_ok_and(|output| output.status.success())
}

#[test]
fn a_file_past_the_size_limit_is_a_full_store() {
    if let Some(home) = child_home() {
        return with_little_room(&home);
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "tests::full_disk::a_file_past_the_size_limit_is_a_full_store";
    run_in_shell(test, LIMITED, &folder.path().join("home"));
}

#[test]
fn a_full_file_system_refuses_clearly_and_recovers() {
    if let Some(home) = child_home() {
        with_little_room(&home);
        if std::env::var_os("LEPTON_STORE_NO_MOUNT").is_none() {
            without_any_room(&home);
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "tests::full_disk::a_full_file_system_refuses_clearly_and_recovers";
    if mounts_are_allowed() {
        println!("on a 4 MB tmpfs");
        run_in_shell(test, TINY, &folder.path().join("home"));
    } else {
        println!("mounting is not permitted here: a file size limit takes the place of a full file system");
        run_in_shell(test, &format!("export LEPTON_STORE_NO_MOUNT=1; {LIMITED}"), &folder.path().join("home"));
    }
}

#[test]
fn after_a_failed_flush_nothing_more_is_written_until_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let kept = store.blobs().put_bytes(b"kept").unwrap();
    store.disk().fail_next_sync.store(true, Ordering::SeqCst);
    assert_eq!(code(store.blobs().put_bytes(b"lost")), Some(ErrorCode::Io));
    assert!(!store.blobs().contains(&Digest::of(b"lost")));
    // The kernel may answer the next fsync with success and still have dropped the pages.
    assert_eq!(code(store.blobs().put_bytes(b"later")), Some(ErrorCode::Io));
    assert_eq!(code(store.register_dataset("d", &kept, &json!(1))), Some(ErrorCode::Io));
    assert_eq!(code(store.scratch().map(drop)), Some(ErrorCode::Io));
    assert_eq!(store.blobs().get(&kept).unwrap(), b"kept");
    drop(store);
    open(&folder).blobs().put_bytes(b"later").unwrap();
}
