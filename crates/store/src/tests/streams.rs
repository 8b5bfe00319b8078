//! Chunks, streams and tokens: what is shared, what a retry does, what is cut off, and who may send.

use super::*;
use crate::{AcceptedRows, StreamRequest};
use lepton_core::Error;
use serde_json::json;

fn accepted(text: &str) -> AcceptedRows {
    AcceptedRows { lines: text.into(), rows: text.lines().count() as u64, schema: json!({"seen": text}) }
}

fn chunks(texts: &[&str]) -> impl Iterator<Item = Result<Vec<u8>>> {
    texts.iter().map(|text| Ok(text.as_bytes().to_vec())).collect::<Vec<_>>().into_iter()
}

#[test]
fn a_chunk_is_stored_once_and_a_damaged_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let blobs = || files_below(&store.home().join("blobs"));
    let first = store.put_chunks(chunks(&["one", "two", "one"])).unwrap();
    assert_eq!((first[0], blobs().len()), (first[2], 1));
    assert_eq!(store.put_chunks(chunks(&["two", "one"])).unwrap(), [first[1], first[0]]);
    assert_eq!(blobs().len(), 1, "nothing new, no new pack");
    let second = store.put_chunks(chunks(&["two", "three"])).unwrap();
    assert_eq!((second[0], blobs().len()), (first[1], 2));
    assert_eq!(std::fs::metadata(store.blobs().path(&second[1].pack).unwrap()).unwrap().len(), 5, "only the new bytes");
    let mut read = Vec::new();
    let each = |bytes: &[u8]| {
        read.push(bytes.to_vec());
        Ok(())
    };
    store.read_chunks(&second, each).unwrap();
    assert_eq!(read, [b"two".to_vec(), b"three".to_vec()]);
    assert!(store.put_chunks([Err(Error::internal("broke"))].into_iter()).is_err());

    let pack = store.blobs().path(&first[0].pack).unwrap();
    let mut bytes = std::fs::read(&pack).unwrap();
    bytes[4] ^= 1;
    std::fs::remove_file(&pack).unwrap();
    std::fs::write(&pack, bytes).unwrap();
    assert!(store.read_chunks(&first[..1], |_| Ok(())).is_ok(), "the first chunk is whole");
    assert_eq!(code(store.read_chunks(&first, |_| Ok(()))), Some(ErrorCode::Integrity));
    std::fs::remove_file(&pack).unwrap();
    assert_eq!(code(store.read_chunks(&first, |_| Ok(()))), Some(ErrorCode::NotFound));
    let healed = store.put_chunks(chunks(&["one", "two"])).unwrap();
    assert!(store.read_chunks(&healed, |_| Ok(())).is_ok());
}

#[test]
fn a_request_is_taken_once_and_a_refused_one_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let body = |text: &str| Digest::of(text);
    let send = |key: Option<&str>, text: &str| {
        store.append("clicks", &StreamRequest { key, body: body(text) }, |_| Ok(accepted(text)))
    };
    assert_eq!(store.stream("clicks").unwrap(), None);
    let first = send(Some("a"), "1\n2\n").unwrap();
    assert_eq!((first.sequence, first.rows, first.total_rows, first.repeated), (1, 2, 2, false));
    let again = send(Some("a"), "1\n2\n").unwrap();
    assert_eq!((again.sequence, again.total_rows, again.repeated), (1, 2, true));
    assert_eq!(code(send(Some("a"), "3\n")), Some(ErrorCode::BadInput), "another body under the same key");
    let refuse = |_: Option<&crate::StreamState>| Err(Error::new(ErrorCode::BadData, "no"));
    let request = StreamRequest { key: Some("b"), body: body("x") };
    assert_eq!(code(store.append("clicks", &request, refuse)), Some(ErrorCode::BadData));
    // What a killed process wrote and nobody acknowledged is cut off.
    let segment = files_below(&store.home().join("streams")).remove(0);
    let mut torn = std::fs::OpenOptions::new().append(true).open(&segment).unwrap();
    std::io::Write::write_all(&mut torn, b"half a li").unwrap();
    assert_eq!(send(Some("b"), "4\n").unwrap().sequence, 2);
    assert_eq!(std::fs::read(&segment).unwrap(), b"1\n2\n4\n");
    let sealed = store.seal("clicks").unwrap();
    assert_eq!((sealed.len(), sealed[0].rows), (1, 3));
    assert_eq!(store.blobs().get(&sealed[0].blob).unwrap(), b"1\n2\n4\n");
    assert!(!segment.exists());
    assert_eq!(store.seal("clicks").unwrap(), sealed, "an empty segment is not sealed");
    assert_eq!(send(None, "5\n").unwrap().total_rows, 4);
    assert_eq!(store.seal("clicks").unwrap().len(), 2);
    assert_eq!(code(store.seal("none")), Some(ErrorCode::NotFound));
    // Acknowledged bytes that are gone are not papered over.
    send(None, "6\n").unwrap();
    std::fs::write(files_below(&store.home().join("streams")).remove(0), "").unwrap();
    assert_eq!(code(send(None, "7\n")), Some(ErrorCode::Integrity));
}

#[test]
fn a_token_is_known_by_its_secret_only_and_the_secret_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let (token, text) = store.create_data_token("clicks").unwrap();
    let (_, other) = store.create_data_token("clicks").unwrap();
    assert_ne!(text, other);
    assert_eq!(store.find_data_token(&text).unwrap(), Some(token.clone()));
    let (head, secret) = text.rsplit_once('_').unwrap();
    assert_eq!(secret.len(), 64);
    let flipped = format!("{head}_{}{}", if secret.starts_with('0') { '1' } else { '0' }, &secret[1..]);
    for wrong in [flipped.as_str(), head, "", "lepton_", "lepton__", &text[1..], &text[..text.len() - 1]] {
        assert_eq!(store.find_data_token(wrong).unwrap(), None, "{wrong}");
    }
    for file in files_below(store.home()) {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(64).any(|window| window == secret.as_bytes());
        assert!(!found, "the secret lies in {}", file.display());
    }
    store.revoke_data_token(&token.id).unwrap();
    assert_eq!(store.find_data_token(&text).unwrap(), None);
    assert!(store.find_data_token(&other).unwrap().is_some());
    assert_eq!(store.data_tokens().unwrap().iter().filter(|token| token.revoked.is_some()).count(), 1);
    assert_eq!(code(store.revoke_data_token("none")), Some(ErrorCode::NotFound));
}
