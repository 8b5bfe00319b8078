//! Processes that are killed with SIGKILL while they write: what was acknowledged must be there afterwards.

use super::*;
use crate::fault::POINTS;
use crate::{AcceptedRows, ChunkPlace, NewRun, RunStatus, StageRecord, StageStatus, StreamRequest};
use lepton_core::ModelName;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

const KILL: i32 = 9;

/// One round of every kind of write. Each is acknowledged by a line `KIND ARGUMENTS` after it returned.
fn write_round(store: &Store, writer: &str, round: u64, acknowledge: &mut dyn FnMut(String)) {
    let text = format!("{writer} {round}");
    let digest = store.blobs().put_bytes(text.repeat(500).as_bytes()).unwrap();
    acknowledge(format!("blob {digest}"));
    let chunks = [text.repeat(3), "shared by all".to_owned()].map(|chunk| Ok(chunk.into_bytes()));
    let places = store.put_chunks(chunks.into_iter()).unwrap();
    acknowledge(format!("chunks {}", serde_json::to_string(&places).unwrap()));
    let request = StreamRequest { key: Some(&text), body: digest };
    let receipt = store.append("clicks", &request, |_| Ok(one_line(&text))).unwrap();
    acknowledge(format!("appended {}", text.replace(' ', "_")));
    assert!(!receipt.repeated);
    if round.is_multiple_of(2) {
        let sealed = store.seal("clicks").unwrap();
        acknowledge(format!("sealed {}", sealed.last().unwrap().blob));
    }
    let key = Digest::of(format!("key {text}"));
    store.cache_stage(&key, "train", &json!({"text": text}), &[digest], 1.0).unwrap();
    acknowledge(format!("stage {key} {digest}"));
    let new = NewRun { name: "mnist".into(), project: "/p".into(), command: vec!["run".into()], spec: json!({}) };
    let run = store.create_run(new).unwrap();
    acknowledge(format!("run {}", run.id));
    let stage = StageRecord {
        stage: "train".into(),
        status: StageStatus::Running,
        seconds: 0.5,
        cached: false,
        key: Some(key),
        summary: text.clone(),
    };
    store.record_stage(&run.id, &stage).unwrap();
    acknowledge(format!("run-stage {}", run.id));
    store.save_report(&run.id, "report.html", text.as_bytes()).unwrap();
    acknowledge(format!("report {} {}", run.id, Digest::of(&text)));
    store.register_dataset("digits", &digest, &json!({"round": round})).unwrap();
    acknowledge(format!("dataset {digest}"));
    let checkpoints = store.checkpoints(&Digest::of(writer)).unwrap();
    checkpoints.save(round, text.as_bytes()).unwrap();
    acknowledge(format!("checkpoint {} {round}", Digest::of(writer)));
    let staged = store.scratch().unwrap();
    let manifest = stage_package(staged.path(), &text);
    let record = store.publish_model(&"mnist".parse().unwrap(), staged.path(), &manifest, Some(&run.id)).unwrap();
    acknowledge(format!("model {} {manifest}", record.version));
    store.record_observation(writer, 1, "a", "b", &json!(round)).unwrap();
    acknowledge(format!("observation {writer} {round}"));
    if round.is_multiple_of(2) {
        store.finish_run(&run.id, RunStatus::Succeeded, Some(&json!({"round": round})), None).unwrap();
        acknowledge(format!("finished {}", run.id));
    }
}

fn one_line(text: &str) -> AcceptedRows {
    AcceptedRows { lines: format!("{text}\n").into_bytes(), rows: 1, schema: json!({}) }
}

/// Every acknowledged line of the stream, sealed or not.
fn stream_lines(store: &Store) -> Vec<String> {
    let mut bytes = Vec::new();
    for segment in store.sealed_segments("clicks").unwrap() {
        bytes.extend(store.blobs().get(&segment.blob).unwrap());
    }
    let Some(state) = store.stream("clicks").unwrap() else { return Vec::new() };
    let open =
        store.home().join("streams").join(Digest::of("clicks").hex()).join(format!("{:08}.ndjson", state.segment));
    let open = std::fs::read(open).unwrap_or_default();
    bytes.extend(&open[..state.bytes as usize]);
    let lines: Vec<String> = String::from_utf8(bytes).unwrap().lines().map(|line| line.replace(' ', "_")).collect();
    assert_eq!(lines.len() as u64, state.total_rows, "rows and lines agree");
    lines
}

/// Writes until killed, or for `rounds` rounds.
fn write_as_child(home: &Path, rounds: u64) {
    let store = Store::open(home).unwrap();
    let writer = format!("writer-{}", std::process::id());
    for round in 1..=rounds {
        write_round(&store, &writer, round, &mut |line| {
            let mut out = std::io::stdout().lock();
            writeln!(out, "ack {line}").and_then(|()| out.flush()).unwrap();
        });
    }
}

fn assert_kept(store: &Store, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let digest = |index: usize| words[index].parse::<Digest>().unwrap();
    match words[0] {
        "blob" => drop(store.blobs().get(&digest(1)).unwrap()),
        "stage" => {
            let found = store.cached_stage(&digest(1)).unwrap().unwrap();
            assert_eq!(found.blobs, [digest(2)]);
        }
        "run" => drop(store.run(words[1]).unwrap()),
        "run-stage" => assert_eq!(store.run(words[1]).unwrap().1.len(), 1),
        "report" => {
            let bytes = std::fs::read(store.home().join("runs").join(words[1]).join("report.html")).unwrap();
            assert_eq!(Digest::of(bytes), digest(2));
        }
        "dataset" => drop(store.dataset(&format!("digits@{}", words[1])).unwrap()),
        "checkpoint" => {
            let latest = store.checkpoints(&digest(1)).unwrap().latest().unwrap().unwrap();
            assert!(latest.step >= words[2].parse().unwrap() && latest.warning.is_none());
        }
        "model" => {
            let name: ModelName = "mnist".parse().unwrap();
            let record = store.model(&name, Some(words[1].parse().unwrap())).unwrap();
            assert_eq!(record.manifest, digest(2));
            assert_eq!(crate::blobs::hash_file(&record.dir.join("manifest.json")).unwrap(), digest(2));
            assert_eq!(files_below(&record.dir).len(), 3);
        }
        "chunks" => {
            let places: Vec<ChunkPlace> = serde_json::from_str(&words[1..].join(" ")).unwrap();
            let mut count = 0;
            let each = |_: &[u8]| {
                count += 1;
                Ok(())
            };
            store.read_chunks(&places, each).unwrap();
            assert_eq!(count, 2);
        }
        "appended" => {
            let times = stream_lines(store).iter().filter(|found| **found == words[1]).count();
            assert_eq!(times, 1, "{line}");
        }
        "sealed" => drop(store.blobs().get(&digest(1)).unwrap()),
        "observation" => {
            let bodies: Vec<Value> =
                store.observations(words[1], 1).unwrap().into_iter().map(|window| window.body).collect();
            assert!(bodies.contains(&json!(words[2].parse::<u64>().unwrap())));
        }
        "finished" => assert_eq!(store.run(words[1]).unwrap().0.status, RunStatus::Succeeded),
        other => panic!("unknown acknowledgement {other}"),
    }
}

/// Looks at what dead writers left: everything acknowledged, nothing half done.
fn assert_nothing_lost(home: &Path, acknowledged: &[String]) {
    let begin = Instant::now();
    let store = Store::open(home).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(5), "ready again after {:?}", begin.elapsed());
    assert_sound(&store);
    assert_eq!(std::fs::read_dir(home.join("scratch")).unwrap().count(), 1, "dead writers' scratch is swept");
    for line in acknowledged {
        assert_kept(&store, line);
    }
    // What was not acknowledged may be there, but then whole.
    for model in store.models().unwrap() {
        assert_kept(&store, &format!("model {} {}", model.version, model.manifest));
    }
    for run in store.runs(usize::MAX).unwrap() {
        assert_ne!(run.status, RunStatus::Running, "its process is dead");
    }
}

fn acknowledgements(lines: impl Iterator<Item = std::io::Result<String>>) -> Vec<String> {
    // The test harness may print its own words before the first acknowledgement on the same line.
    lines.filter_map(|line| line.unwrap().split_once("ack ").map(|(_, rest)| rest.to_owned())).collect()
}

#[test]
fn killed_at_random_moments_of_a_mixed_load_no_acknowledged_write_is_lost() {
    if let Some(home) = child_home() {
        return write_as_child(&home, u64::MAX);
    }
    let test = "tests::crash::killed_at_random_moments_of_a_mixed_load_no_acknowledged_write_is_lost";
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let (mut acknowledged, mut random) = (Vec::new(), 0x2545_F491_4F6C_DD1D_u64);
    for _ in 0..15 {
        // Two writers at once, killed one after the other: 30 kills in all.
        let mut writers: Vec<_> =
            (0..2).map(|_| child_of(test, &home).stdout(Stdio::piped()).spawn().unwrap()).collect();
        for writer in &mut writers {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            std::thread::sleep(Duration::from_micros(20_000 + random % 60_000));
            writer.kill().unwrap();
        }
        for mut writer in writers {
            let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
            acknowledged.extend(acknowledgements(lines));
            assert_eq!(writer.wait().unwrap().signal(), Some(KILL), "the writer broke before it was killed");
        }
        assert_nothing_lost(&home, &acknowledged);
    }
    assert!(acknowledged.len() > 60, "only {} writes were acknowledged: nothing was tried", acknowledged.len());
}

#[test]
fn killed_between_any_two_steps_of_a_write_the_next_process_goes_on() {
    if let Some(home) = child_home() {
        return write_as_child(&home, 3);
    }
    let test = "tests::crash::killed_between_any_two_steps_of_a_write_the_next_process_goes_on";
    for point in POINTS {
        for count in [1, 2, 5] {
            let folder = tempfile::tempdir().unwrap();
            let home = folder.path().join("home");
            let child = child_of(test, &home).env("LEPTON_STORE_FAULT", format!("{point}:{count}")).output().unwrap();
            let reached = child.status.signal() == Some(KILL);
            assert!(reached || count > 1, "{point} was never reached");
            assert!(reached || child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
            let acknowledged = acknowledgements(child.stdout.lines());
            assert_nothing_lost(&home, &acknowledged);
            // The same work again, in a store that has seen a death.
            let store = Store::open(&home).unwrap();
            for round in 1..=3 {
                write_round(&store, "survivor", round, &mut |line| assert_kept(&store, &line));
            }
            let models = store.models().unwrap();
            let versions: Vec<u64> = models.iter().map(|model| model.version).rev().collect();
            assert_eq!(versions, (1..=models.len() as u64).collect::<Vec<_>>(), "{point}: versions have no gaps");
        }
    }
}
