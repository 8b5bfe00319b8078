//! Runs, stages, datasets, observations, reports and engine libraries.

use super::*;
use crate::{Clock, NewRun, RunStatus, StageRecord, StageStatus};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

fn new_run(name: &str) -> NewRun {
    NewRun {
        name: name.into(),
        project: "/projects/digits".into(),
        command: vec!["lepton".into(), "run".into()],
        spec: json!({"train": {"epochs": 5}}),
    }
}

fn stage(name: &str, status: StageStatus) -> StageRecord {
    StageRecord {
        stage: name.into(),
        status,
        seconds: 1.5,
        cached: false,
        key: Some(Digest::of(name)),
        summary: "s".into(),
    }
}

#[test]
fn a_run_is_followed_from_start_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let clock: Clock = Arc::new(|| UNIX_EPOCH + Duration::from_secs(1_795_439_655));
    let store = Store::open_with_clock(&folder.path().join("home"), clock).unwrap();
    let run = store.create_run(new_run("digits")).unwrap();
    assert!(run.id.starts_with("20261123-131415-") && run.id.len() == 20, "{}", run.id);
    assert_eq!((run.status, run.started.as_str()), (RunStatus::Running, "2026-11-23T13:14:15.000Z"));
    assert_eq!(
        (run.spec.clone(), run.command.len(), run.pid),
        (json!({"train": {"epochs": 5}}), 2, std::process::id())
    );
    store.record_stage(&run.id, &stage("collect", StageStatus::Running)).unwrap();
    store.record_stage(&run.id, &stage("prepare", StageStatus::Skipped)).unwrap();
    store.record_stage(&run.id, &stage("collect", StageStatus::Succeeded)).unwrap();
    let (found, stages) = store.run("latest").unwrap();
    assert_eq!(found, run);
    assert_eq!(stages, [stage("collect", StageStatus::Succeeded), stage("prepare", StageStatus::Skipped)]);

    let report = store.save_report(&run.id, "report.html", b"<html>").unwrap();
    store.save_report(&run.id, "report.html", b"<html>2").unwrap();
    assert_eq!(std::fs::read(report).unwrap(), b"<html>2");
    for bad in ["", "..", "a/b", "/etc/x", ".hidden", "a\\b", "a\0b"] {
        assert_eq!(code(store.save_report(&run.id, bad, b"x")), Some(ErrorCode::BadInput), "{bad:?}");
    }
    assert_eq!(code(store.save_report("../x", "report.html", b"x")), Some(ErrorCode::NotFound));

    assert_eq!(code(store.finish_run(&run.id, RunStatus::Interrupted, None, None)), Some(ErrorCode::Internal));
    store.finish_run(&run.id, RunStatus::Failed, Some(&json!({"a": 1})), Some("the loss became NaN")).unwrap();
    let (ended, _) = store.run(&run.id).unwrap();
    assert_eq!(
        (ended.status, ended.result, ended.error.as_deref()),
        (RunStatus::Failed, Some(json!({"a": 1})), Some("the loss became NaN"))
    );
    assert!(ended.ended.is_some());
    assert_eq!(code(store.finish_run(&run.id, RunStatus::Succeeded, None, None)), Some(ErrorCode::Internal));
    assert_eq!(code(store.finish_run("none", RunStatus::Succeeded, None, None)), Some(ErrorCode::NotFound));
    assert_eq!(code(store.record_stage("none", &stage("x", StageStatus::Running))), Some(ErrorCode::NotFound));
}

#[test]
fn order_comes_from_writing_and_not_from_a_clock_that_jumps() {
    let folder = tempfile::tempdir().unwrap();
    let hours = Arc::new(AtomicU64::new(500_000));
    let read = Arc::clone(&hours);
    let clock: Clock = Arc::new(move || UNIX_EPOCH + Duration::from_secs(3600 * read.load(Ordering::SeqCst)));
    let store = Store::open_with_clock(&folder.path().join("home"), clock).unwrap();
    let mut ids = Vec::new();
    for hour in [500_000, 600_000, 400_000, 0] {
        hours.store(hour, Ordering::SeqCst);
        ids.insert(0, store.create_run(new_run("r")).unwrap().id);
    }
    assert_eq!(store.runs(10).unwrap().into_iter().map(|run| run.id).collect::<Vec<_>>(), ids);
    assert_eq!(store.runs(1).unwrap().len(), 1);
    assert_eq!(store.run("latest").unwrap().0.id, ids[0]);
    assert_eq!(store.run(&ids[1][..6]).unwrap().0.id, ids[1]);
    let twin = store.create_run(new_run("twin")).unwrap();
    assert_ne!(twin.id, ids[0]);
    let error = store.run(&twin.id[..10]).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Usage);
    assert!(error.message().contains(&twin.id) && error.message().contains(&ids[0]), "{error}");
    for unknown in ["", "%", "_", "2099", "Latest"] {
        assert_eq!(code(store.run(unknown)), Some(ErrorCode::NotFound), "{unknown:?}");
    }
}

#[test]
fn a_run_without_a_living_owner_is_interrupted_and_one_with_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (owner, reader) = (open(&folder), open(&folder));
    let run = owner.create_run(new_run("r")).unwrap();
    owner.record_stage(&run.id, &stage("train", StageStatus::Running)).unwrap();
    owner.record_stage(&run.id, &stage("collect", StageStatus::Succeeded)).unwrap();
    assert_eq!(reader.run(&run.id).unwrap().0.status, RunStatus::Running);
    drop(owner);
    let (found, stages) = reader.run(&run.id).unwrap();
    assert_eq!((found.status, found.ended), (RunStatus::Interrupted, None));
    assert_eq!(stages[0].status, StageStatus::Interrupted);
    assert_eq!(stages[1].status, StageStatus::Succeeded);
    assert_eq!(reader.runs(1).unwrap()[0].status, RunStatus::Interrupted);
}

#[test]
fn datasets_are_found_by_name_and_by_the_beginning_of_their_hash() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let (first, second) = (Digest::of("1"), Digest::of("2"));
    store.register_dataset("titanic", &first, &json!({"rows": 1})).unwrap();
    store.register_dataset("titanic", &second, &json!({"rows": 2})).unwrap();
    store.register_dataset("mnist@2", &second, &json!({})).unwrap();
    assert_eq!(store.dataset("titanic").unwrap().digest, second);
    assert_eq!(store.dataset(&format!("titanic@{}", first.short())).unwrap().manifest, json!({"rows": 1}));
    assert_eq!(store.dataset("mnist@2").unwrap().name, "mnist@2");
    // The data went back to what it was: that version is the newest again, and is the same record.
    let again = store.register_dataset("titanic", &first, &json!({"rows": 99})).unwrap();
    assert_eq!(again.manifest, json!({"rows": 1}));
    assert_eq!(store.dataset("titanic").unwrap().digest, first);
    assert_eq!(store.datasets().unwrap().len(), 3);
    assert_eq!(code(store.dataset("titanic@")), Some(ErrorCode::NotFound));
    assert_eq!(code(store.dataset("titanic@ffff")), Some(ErrorCode::NotFound));
    assert!(store.dataset("titanik").unwrap_err().to_string().contains("titanic"));
    assert_eq!(code(store.register_dataset("", &first, &json!({}))), Some(ErrorCode::BadInput));
}

#[test]
fn observations_come_back_in_the_order_of_arrival() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    for (version, body) in [(1, "a"), (2, "b"), (1, "c")] {
        store.record_observation("mnist", version, "2026", "2027", &json!(body)).unwrap();
    }
    let bodies: Vec<_> = store.observations("mnist", 1).unwrap().into_iter().map(|window| window.body).collect();
    assert_eq!(bodies, [json!("a"), json!("c")]);
    assert!(store.observations("other", 1).unwrap().is_empty());
}

#[test]
fn an_engine_library_is_placed_where_the_runtime_looks() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let path = store.install_engine("onnxruntime", "libonnxruntime.so", &mut &b"old"[..]).unwrap();
    assert_eq!(path, store.engines_dir().join("onnxruntime/libonnxruntime.so"));
    store.install_engine("onnxruntime", "libonnxruntime.so", &mut &b"new"[..]).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"new");
    assert_eq!(code(store.install_engine("..", "x", &mut &b""[..])), Some(ErrorCode::BadInput));
    assert_eq!(code(store.install_engine("x", "../y", &mut &b""[..])), Some(ErrorCode::BadInput));
}

#[test]
fn a_blob_whose_writer_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let failed = store.blobs().put_with(|writer| {
        writer.write_all(b"half").unwrap();
        Err(lepton_core::Error::new(ErrorCode::BadData, "row 3 is ragged"))
    });
    assert_eq!(code(failed), Some(ErrorCode::BadData));
    assert!(files_below(&store.home().join("blobs")).is_empty());
    let digest = store.blobs().put_with(|writer| writer.write_all(b"whole").map_err(|_| unreachable!())).unwrap();
    assert_eq!(digest, Digest::of("whole"));
    assert_eq!(store.blobs().size(&digest), Some(5));
    assert!(store.blobs().contains(&digest));
    assert_eq!(code(store.blobs().get(&Digest::of("none"))), Some(ErrorCode::NotFound));
    assert_eq!(code(store.blobs().put_file(&folder.path().join("none"))), Some(ErrorCode::NotFound));
}

#[test]
fn a_reader_never_sees_half_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let run = store.create_run(new_run("r")).unwrap();
    let pages = [vec![b'a'; 300_000], vec![b'b'; 200_000]];
    let report = store.save_report(&run.id, "report.html", &pages[0]).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..40 {
                store.save_report(&run.id, "report.html", &pages[round % 2]).unwrap();
            }
        });
        while !writer.is_finished() {
            let seen = std::fs::read(&report).unwrap();
            assert!(pages.contains(&seen), "{} bytes of one page", seen.len());
        }
    });
}
