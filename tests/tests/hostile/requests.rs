//! Requests that no well-behaved client sends. The server answers 4xx or closes, and goes on serving others.

use lepton_tests::{Lepton, Server, digit_png, request, send_raw};

fn still_serves(server: &Server) {
    assert_eq!(request(server.address, "POST", "/v1/predict/digits", "image/png", &digit_png(2).0).status, 200);
}

/// The status of the first answer; `None` where the server closed without one.
fn status(raw: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(raw);
    text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok())
}

#[test]
fn malformed_requests_are_refused_and_leave_no_second_request_behind() {
    let server = Lepton::trained().serve(&["digits"]);
    let post = "POST /v1/predict/digits HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n";
    for (name, bytes) in [
        ("not HTTP", "rubbish\r\n\r\n".to_owned()),
        ("no host", "GET /v2 HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned()),
        ("a foreign host", "GET /v2 HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".to_owned()),
        (
            "both lengths",
            format!(
                "{post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
            ),
        ),
        ("two lengths", format!("{post}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde")),
        ("a negative length", format!("{post}Content-Length: -1\r\n\r\n")),
        ("a bad chunk", format!("{post}Transfer-Encoding: chunked\r\n\r\nzz\r\n")),
        (
            "a folded header",
            "GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\nConnection: close\r\n\r\n".to_owned(),
        ),
        ("many headers", format!("GET /v2 HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X-A: b\r\n".repeat(10_000))),
        ("a long header", format!("GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(1 << 20))),
        ("a long path", format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(1 << 17))),
    ] {
        let raw = send_raw(server.address, bytes.as_bytes());
        let status = status(&raw);
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{name}: {status:?}");
        assert!(!String::from_utf8_lossy(&raw).contains("# TYPE"), "{name}: a second request was answered");
    }
    still_serves(&server);
}

#[test]
fn a_body_past_the_limit_is_refused_before_it_is_read() {
    let server = Lepton::trained().serve(&["digits"]);
    let head = "POST /v1/predict/digits HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 34359738368\r\n\r\n";
    let raw = send_raw(server.address, head.as_bytes());
    assert_eq!(status(&raw), Some(413), "{}", String::from_utf8_lossy(&raw));
    assert!(String::from_utf8_lossy(&raw).contains("body_bytes"));
    // The same without a declared length: chunks until the limit.
    let mut body = b"POST /v1/predict/digits HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..34 {
        body.extend_from_slice(b"100000\r\n");
        body.resize(body.len() + (1 << 20), b'a');
        body.extend_from_slice(b"\r\n");
    }
    let raw = send_raw(server.address, &body);
    assert!(status(&raw).is_none_or(|status| status == 413), "{:?}", status(&raw));
    still_serves(&server);
}

#[test]
fn hostile_bodies_are_refused() {
    let server = Lepton::trained().serve(&["digits"]);
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let infer =
        format!(r#"{{"inputs": [{{"name": "input", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": {deep}}}]}}"#);
    for (path, media, body) in [
        ("/v1/predict/digits", "application/json", deep.as_str()),
        ("/v2/models/digits/infer", "application/json", infer.as_str()),
        ("/v2/models/digits/infer", "application/json", r#"{"inputs": "all"}"#),
        (
            "/v2/models/digits/infer",
            "application/json",
            r#"{"inputs": [{"name": "input", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": [1e999]}]}"#,
        ),
        ("/v1/predict/digits", "application/json", r#"{"image": {"b64": "!!!!"}}"#),
        ("/v1/predict/digits", "application/json", r#"{"image": 7}"#),
        ("/v1/predict/digits", "multipart/form-data", "no boundary"),
    ] {
        let answer = request(server.address, "POST", path, media, body.as_bytes());
        assert!((400..500).contains(&answer.status), "{path} {}: {}", &body[..body.len().min(60)], answer.status);
        assert!(answer.json()["error"].is_string());
    }
    still_serves(&server);
}

#[test]
fn names_in_paths_stay_names() {
    let server = Lepton::trained().serve(&["digits"]);
    for name in [
        "../digits",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e",
        "digits%00",
        "..\\digits",
        "%252e%252e%252f",
        "digits/../../metrics",
        "%c0%ae%c0%ae",
        "digits%ff",
    ] {
        let answer = request(server.address, "GET", &format!("/v2/models/{name}/ready"), "", b"");
        assert!((400..500).contains(&answer.status), "{name}: {}", answer.status);
        assert!(!answer.text().contains("root:"), "{name}");
    }
    for method in ["PUT", "DELETE", "PATCH", "POST"] {
        assert_eq!(request(server.address, method, "/metrics", "text/plain", b"").status, 405, "{method}");
    }
    assert_eq!(request(server.address, "GET", "/no/such/path", "", b"").status, 404);
    still_serves(&server);
}

#[test]
fn slow_and_silent_clients_do_not_hold_the_others_up() {
    let server = Lepton::trained().serve(&["digits"]);
    let silent: Vec<_> =
        (0..100).map(|_| std::net::TcpStream::connect(server.address).expect("a connection")).collect();
    for _ in 0..20 {
        still_serves(&server);
    }
    drop(silent);
    assert_eq!(server.stop().code, Some(0));
}
