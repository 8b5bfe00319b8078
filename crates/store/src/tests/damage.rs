//! Bytes that changed behind the store's back: always noticed, always named.

use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    std::fs::write(path, bytes).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn one_flipped_bit_or_a_cut_is_noticed_in_blobs_and_checkpoints(
        content in prop::collection::vec(any::<u8>(), 1..300),
        at in any::<prop::sample::Index>(),
        bit in 0u32..8,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let digest = store.blobs().put_bytes(&content).unwrap();
        let blob = store.blobs().path(&digest).unwrap();
        let checkpoints = store.checkpoints(&digest).unwrap();
        checkpoints.save(7, &content).unwrap();
        checkpoints.save_best(7, &content).unwrap();
        let file = checkpoints_file(&store, &digest, 7);
        let whole = std::fs::read(&file).unwrap();

        let mut flipped = content.clone();
        flipped[at.index(content.len())] ^= 1u8 << bit;
        for wrong in [&flipped[..], &content[..at.index(content.len())]] {
            overwrite(&blob, wrong);
            for error in [store.blobs().get(&digest).unwrap_err(), store.blobs().verify(&digest).unwrap_err()] {
                prop_assert_eq!(error.code(), ErrorCode::Integrity);
                prop_assert!(error.to_string().contains(&digest.hex()));
            }
        }
        let mut flipped = whole.clone();
        flipped[at.index(whole.len())] ^= 1u8 << bit;
        for wrong in [&flipped[..], &whole[..at.index(whole.len())]] {
            overwrite(&file, wrong);
            overwrite(&file.with_file_name("best.checkpoint"), wrong);
            for error in [checkpoints.latest().unwrap_err(), checkpoints.best().unwrap_err()] {
                prop_assert_eq!(error.code(), ErrorCode::Integrity);
                prop_assert!(error.to_string().contains(".checkpoint"), "{}", error);
            }
        }
    }
}

fn checkpoints_file(store: &Store, key: &Digest, step: u64) -> PathBuf {
    store.home().join("checkpoints").join(key.hex()).join(format!("{step:020}.checkpoint"))
}

#[test]
fn a_damaged_newest_checkpoint_falls_back_to_the_one_before_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let key = Digest::of("training");
    let checkpoints = store.checkpoints(&key).unwrap();
    assert_eq!(checkpoints.latest().unwrap(), None);
    for step in [10, 20, 30] {
        checkpoints.save(step, format!("state {step}").as_bytes()).unwrap();
    }
    assert!(!checkpoints_file(&store, &key, 10).exists(), "only the newest two are kept");
    let latest = checkpoints.latest().unwrap().unwrap();
    assert_eq!((latest.step, &latest.bytes[..], latest.warning), (30, &b"state 30"[..], None));

    overwrite(&checkpoints_file(&store, &key, 30), b"LPTNCKP1 torn");
    let fallback = checkpoints.latest().unwrap().unwrap();
    assert_eq!((fallback.step, &fallback.bytes[..]), (20, &b"state 20"[..]));
    let warning = fallback.warning.unwrap();
    assert!(warning.contains("00030.checkpoint") && warning.contains("step 20"), "{warning}");

    // Training goes on from 20: the damaged step 30 must not outlive the next save.
    checkpoints.save(25, b"state 25").unwrap();
    assert!(!checkpoints_file(&store, &key, 30).exists());
    assert_eq!(checkpoints.latest().unwrap().unwrap().warning, None);
    // A checkpoint under another step's name is not that step.
    std::fs::copy(checkpoints_file(&store, &key, 20), checkpoints_file(&store, &key, 25)).unwrap();
    assert_eq!(checkpoints.latest().unwrap().unwrap().step, 20);
    checkpoints.clear().unwrap();
    assert_eq!(checkpoints.latest().unwrap(), None);
    assert_eq!(checkpoints.best().unwrap(), None);
}

#[test]
fn putting_a_damaged_blob_again_heals_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let digest = store.blobs().put_bytes(b"pictures").unwrap();
    overwrite(&store.blobs().path(&digest).unwrap(), b"picturez");
    assert_eq!(code(store.blobs().get(&digest)), Some(ErrorCode::Integrity));
    let source = folder.path().join("source");
    std::fs::write(&source, b"pictures").unwrap();
    assert_eq!(store.blobs().put_file(&source).unwrap(), digest);
    assert_eq!(store.blobs().get(&digest).unwrap(), b"pictures");
}

#[test]
fn a_cache_entry_without_its_blob_is_no_entry() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let (key, blob) = (Digest::of("key"), store.blobs().put_bytes(b"rows").unwrap());
    assert_eq!(store.cached_stage(&key).unwrap(), None);
    let never_put = Digest::of("never put");
    assert_eq!(code(store.cache_stage(&key, "collect", &json!(1), &[never_put], 2.0)), Some(ErrorCode::NotFound));
    assert_eq!(store.cached_stage(&key).unwrap(), None);
    store.cache_stage(&key, "collect", &json!(1), &[blob, blob], 2.0).unwrap();
    store.cache_stage(&key, "collect", &json!(2), &[blob], 3.0).unwrap();
    let found = store.cached_stage(&key).unwrap().unwrap();
    assert_eq!((found.output, found.blobs, found.seconds), (json!(2), vec![blob], 3.0));
    overwrite(&store.blobs().path(&blob).unwrap(), b"row");
    assert_eq!(store.cached_stage(&key).unwrap(), None, "another length");
    assert_eq!(store.blobs().put_bytes(b"rows").unwrap(), blob);
    assert_eq!(store.cached_stage(&key).unwrap(), None, "the row was dropped, not hidden");
}
