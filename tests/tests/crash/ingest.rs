//! kill -9 of a server that takes rows: after it, exactly the acknowledged requests are there, whole and once.

use lepton_tests::Lepton;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Rows of one request.
const ROWS: usize = 7;

/// Sends one request with an idempotency key; whether it was acknowledged.
fn send(to: SocketAddr, token: &str, client: usize, request: usize) -> bool {
    let body: String =
        (0..ROWS).map(|row| format!("{{\"id\": \"{client}-{request}-{row}\", \"n\": {row}}}\n")).collect();
    let head = format!(
        "POST /v1/ingest/clicks HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/x-ndjson\r\nIdempotency-Key: {client}-{request}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    // A killed server refuses the connection or breaks it off.
    let answer = exchange(to, &[head.as_bytes(), body.as_bytes()].concat()).unwrap_or_default();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.contains("\"sequence\":")
}

/// What the server answered before it was killed.
fn exchange(to: SocketAddr, bytes: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    // What came before the end counts, also when the end is a broken connection.
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn exactly_the_acknowledged_rows_survive_a_killed_server() {
    let lepton = Lepton::new();
    let token = lepton.json(&["data", "token", "clicks"])["token"].as_str().expect("a token").to_owned();
    let mut next = [0usize; 2];
    for round in 0..4 {
        let server = lepton.serve(&["--ingest"]);
        let (to, stop) = (server.address, AtomicBool::new(false));
        std::thread::scope(|scope| {
            let clients: Vec<_> = next
                .iter_mut()
                .enumerate()
                .map(|(client, request)| {
                    let (token, stop) = (&token, &stop);
                    scope.spawn(move || {
                        // The request that a kill left open is sent again by the next round, under its key.
                        while !stop.load(Ordering::Relaxed) {
                            if send(to, token, client, *request) {
                                *request += 1;
                            } else {
                                break;
                            }
                        }
                    })
                })
                .collect();
            std::thread::sleep(Duration::from_millis(150 + 130 * round));
            // Dropping a server kills it with SIGKILL.
            drop(server);
            stop.store(true, Ordering::Relaxed);
            clients.into_iter().for_each(|client| client.join().expect("the client ends"));
        });
    }
    assert!(next.iter().sum::<usize>() > 8, "only {next:?} requests were acknowledged: nothing was tried");
    // The open requests end now: each was taken before or is taken now, and in both cases once.
    let server = lepton.serve(&["--ingest"]);
    for (client, request) in next.iter_mut().enumerate() {
        assert!(send(server.address, &token, client, *request));
        assert!(send(server.address, &token, client, *request), "a second time is harmless");
        *request += 1;
    }
    assert_eq!(server.stop().code, Some(0));
    let version = lepton.json(&["data", "ingest", "clicks", "--commit"])["versions"][0].clone();
    let total = next.iter().sum::<usize>() * ROWS;
    assert_eq!(version["rows"], total, "{next:?}");
    let found = rows_of(&lepton);
    let mut wanted = BTreeSet::new();
    for (client, requests) in next.iter().enumerate() {
        for request in 0..*requests {
            wanted.extend((0..ROWS).map(|row| format!("{client}-{request}-{row}")));
        }
    }
    assert_eq!(found.len(), total, "no row is there twice");
    assert!(found.into_iter().collect::<BTreeSet<_>>() == wanted, "exactly these rows");
}

/// The ids of all rows, from the segments that the version names.
fn rows_of(lepton: &Lepton) -> Vec<String> {
    let lineage = lepton.json(&["data", "lineage", "clicks"]);
    let mut ids = Vec::new();
    for file in lineage["source"].as_array().expect("segments") {
        let hash = file["sha256"].as_str().expect("a hash");
        let blob = lepton.home().join("blobs").join(&hash[..2]).join(&hash[2..]);
        for line in std::fs::read_to_string(blob).expect("the segment").lines() {
            let row: Value = serde_json::from_str(line).expect("JSON");
            ids.push(row["id"].as_str().expect("an id").to_owned());
        }
    }
    ids
}
