//! `POST /v1/ingest/{dataset}`: who may send, what is refused, and what a retry does.

use lepton_tests::{Lepton, send_raw};
use serde_json::Value;
use std::net::SocketAddr;

fn post(to: SocketAddr, dataset: &str, headers: &str, body: &str) -> (u16, Value) {
    let head = format!(
        "POST /v1/ingest/{dataset} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: application/x-ndjson\r\n{headers}\r\n",
        body.len()
    );
    let answer = send_raw(to, &[head.as_bytes(), body.as_bytes()].concat());
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{text}"));
    let body = text.split_once("\r\n\r\n").map(|(_, body)| serde_json::from_str(body).expect("JSON")).expect("a body");
    (status, body)
}

fn token(lepton: &Lepton, dataset: &str) -> (String, String) {
    let made = lepton.json(&["data", "token", dataset]);
    let text = |key: &str| made[key].as_str().expect("a text").to_owned();
    (text("id"), format!("Authorization: Bearer {}\r\n", text("token")))
}

#[test]
fn rows_are_taken_with_the_datasets_own_token_only() {
    let lepton = Lepton::new();
    let ((id, clicks), (_, other)) = (token(&lepton, "clicks"), token(&lepton, "orders"));
    let server = lepton.serve(&["--ingest"]);
    let send = |headers: &str, body: &str| post(server.address, "clicks", headers, body);
    let row = "{\"id\": 1}\n";
    assert_eq!(send("", row).0, 401);
    assert_eq!(send("Authorization: Bearer lepton_x_y\r\n", row).0, 401);
    assert_eq!(send("Authorization: Basic abc\r\n", row).0, 401);
    assert_eq!(send(&other, row).0, 403);
    let (status, answer) = send(&clicks, "{\"id\": 1}\n{\"id\": 2}\n");
    assert_eq!((status, &answer["sequence"], &answer["rows"]), (200, &1.into(), &2.into()), "{answer}");

    let keyed = format!("{clicks}Idempotency-Key: a\r\n");
    assert_eq!(send(&keyed, row).1["repeated"], false);
    let (status, again) = send(&keyed, row);
    assert_eq!((status, &again["repeated"], &again["total_rows"]), (200, &true.into(), &3.into()));
    assert_eq!(send(&keyed, "{\"id\": 9}\n").0, 400, "another body under the same key");

    let (status, refused) = send(&clicks, "{\"id\": 4}\n{\"id\": \"x\"}\n");
    assert!(status == 400 && refused["error"].as_str().is_some_and(|error| error.contains("line 2")), "{refused}");
    assert_eq!(send(&clicks, "{\"id\": 4, \"new\": 1}\n").0, 400);
    assert_eq!(send(&format!("{clicks}Lepton-New-Columns: allow\r\n"), "{\"id\": 4, \"new\": 1}\n").0, 200);
    assert_eq!(send(&clicks, "").0, 400);
    lepton.done(&["data", "token", "--revoke", &id]);
    assert_eq!(send(&clicks, row).0, 401, "a token that was taken back");
    assert_eq!(server.stop().code, Some(0));
    let version = lepton.json(&["data", "ingest", "clicks", "--commit"])["versions"][0].clone();
    assert_eq!(version["rows"], 4, "the refused requests left nothing");
}

#[test]
fn without_the_flag_no_rows_are_taken() {
    let lepton = Lepton::trained();
    let server = lepton.serve(&["digits"]);
    assert_eq!(post(server.address, "clicks", "Authorization: Bearer lepton_x_y\r\n", "{\"a\": 1}\n").0, 403);
}
