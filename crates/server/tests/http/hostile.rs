//! Clients that are malformed, slow, or never read.

use crate::client::{Client, request};
use crate::models::{self, served};
use crate::running::{Running, settings, start, start_with};
use lepton_server::ServeSettings;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

fn server() -> Running {
    start(vec![served("table", 1, models::table())])
}

/// Sends bytes, says no more, and gives all that comes back.
fn exchange(server: &Running, bytes: &[u8]) -> String {
    let mut client = server.client();
    let _ = client.write(bytes);
    let _ = client.stream.get_ref().shutdown(std::net::Shutdown::Write);
    let (text, closed) = client.read_to_close();
    assert!(closed, "the connection is still open after {:?}", String::from_utf8_lossy(bytes));
    text
}

fn answers(text: &str) -> Vec<u16> {
    text.split("HTTP/1.1 ").skip(1).map(|rest| rest[..3].parse().unwrap()).collect()
}

#[test]
fn malformed_requests_are_refused_and_hide_no_second_one() {
    let server = server();
    let smuggled = "GET /v2 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let post = "POST /v1/predict/table HTTP/1.1\r\nhost: localhost\r\n";
    let cases = [
        format!("{post}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("{post}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("{post}content-length: 0\r\ncontent-length: {}\r\n\r\n{smuggled}", smuggled.len()),
        format!("{post}content-length: +5\r\n\r\n{smuggled}"),
        format!("{post}content-length: -1\r\n\r\n{smuggled}"),
        format!("{post}content-length: 0x5\r\n\r\n{smuggled}"),
        format!("{post}content-length: 99999999999999999999\r\n\r\n{smuggled}"),
        format!("{post}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("{post}transfer-encoding: chunked\r\n\r\nzz\r\n{smuggled}"),
        format!("{post}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n{smuggled}"),
        format!("{post}content-length : 5\r\n\r\n{smuggled}"),
        "GET /v2 HTTP/1.1\r\nhost: localhost\r\n x: folded\r\n\r\n".to_owned(),
        "GET /v2 HTTP/1.1\r\nhost: localhost\r\nbad name: 1\r\n\r\n".to_owned(),
        "GET /v2 HTTP/9.9\r\nhost: localhost\r\n\r\n".to_owned(),
        "GET  /v2 HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
        "GET /v2 HTTP/1.1\r\n\r\n".to_owned(),
        "\u{0}\u{1}\u{2}\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}".to_owned(),
        format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(40_000)),
        format!("GET /v2 HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "a".repeat(33_000)),
        format!("GET /v2 HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: 1\r\n".repeat(200)),
    ];
    for case in cases {
        let text = exchange(&server, case.as_bytes());
        let statuses = answers(&text);
        let shown: String = case.chars().take(120).collect();
        assert!(statuses.len() <= 1, "{shown:?} was answered with {statuses:?}");
        assert!(statuses.iter().all(|status| (400..500).contains(status)), "{shown:?} was answered with {statuses:?}");
    }
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn every_route_survives_every_method() {
    let server = server();
    let description = server.get("/openapi.json").json();
    let mut client = server.client();
    for path in description["paths"].as_object().unwrap().keys() {
        for (model, version) in [("table", "1"), ("%00", "-1"), ("a%2f..%2fb", "999999999999999999999999")] {
            let path = path.replace("{model}", model).replace("{version}", version);
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
                let reply = client.send(method, &path, &[], b"");
                assert!(reply.status < 500, "{method} {path}: {}", reply.status);
            }
        }
    }
}

#[test]
fn headers_at_the_limit_pass() {
    let server = server();
    let reply = server.send("GET", "/v2", &[("x", &"a".repeat(30_000))], b"");
    assert_eq!(reply.status, 200);
}

fn impatient() -> Running {
    let settings = ServeSettings { header_seconds: 1, body_stall_seconds: 1, write_stall_seconds: 1, ..settings() };
    start_with(vec![served("table", 1, models::table())], settings, None)
}

#[test]
fn slow_headers_are_cut_off() {
    let server = impatient();
    for start in ["", "GET /v2 HTTP/1.1\r\nhost: loc"] {
        let mut client = server.client();
        client.write(start.as_bytes()).unwrap();
        let begun = Instant::now();
        let (text, closed) = client.read_to_close();
        assert!(closed && answers(&text).iter().all(|status| *status >= 400), "{text}");
        let waited = begun.elapsed();
        assert!((Duration::from_millis(800)..Duration::from_secs(5)).contains(&waited), "{waited:?}");
    }
    // A byte now and then does not help.
    let mut client = server.client();
    let begun = Instant::now();
    for byte in b"GET /v2 HTTP/1.1\r\nhost: localhost\r\nx: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".iter().cycle() {
        if client.write(&[*byte]).is_err() || begun.elapsed() > Duration::from_secs(8) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "a dripping header held its connection");
}

#[test]
fn slow_bodies_are_cut_off() {
    let server = impatient();
    let head = b"POST /v1/predict/table HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{";
    let mut client = server.client();
    client.write(head).unwrap();
    let reply = client.read().unwrap();
    assert_eq!(reply.status, 408);
    assert!(reply.error().contains("body_stall_seconds = 1"));
    // One byte a while never stands still, and is still too slow.
    let mut client = server.client();
    client.write(head).unwrap();
    let mut writer = client.stream.get_ref().try_clone().unwrap();
    let dripping = std::thread::spawn(move || {
        for _ in 0..60 {
            if writer.write_all(b" ").is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let begun = Instant::now();
    assert_eq!(client.read().unwrap().status, 408);
    assert!(begun.elapsed() < Duration::from_secs(5));
    drop(client);
    dripping.join().unwrap();
}

#[test]
fn a_body_that_ends_early_is_no_body() {
    let server = server();
    let text =
        exchange(&server, b"POST /v1/predict/table HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{}");
    assert!(answers(&text).iter().all(|status| *status == 400), "{text}");
    assert_eq!(server.metric("nv_inference_request_success{model=\"table\",version=\"1\"}"), Some(0.0));
}

#[test]
fn a_client_that_never_reads_is_let_go() {
    let server = impatient();
    let mut deaf = server.client();
    let ask = request("GET", "/openapi.json", &[], b"");
    deaf.stream.get_ref().set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    // Until neither side's buffers take any more.
    for _ in 0..5000 {
        if deaf.write(&ask).is_err() {
            break;
        }
    }
    let connections = || server.metric("lepton_http_connections");
    let begun = Instant::now();
    while connections() != Some(1.0) {
        assert!(begun.elapsed() < Duration::from_secs(10), "the connection is still held");
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut rest = Vec::new();
    let _ = deaf.stream.read_to_end(&mut rest);
}

#[test]
fn idle_connections_do_not_keep_others_out() {
    let server = server();
    let idle: Vec<Client> = (0..200).map(|_| server.client()).collect();
    let begun = Instant::now();
    assert_eq!(server.get("/healthz").status, 200);
    assert!(begun.elapsed() < Duration::from_secs(1));
    drop(idle);
}
