//! What a request that is understood but wrong is told.

use crate::client::{JSON, request};
use crate::models::{self, served};
use crate::running::{settings, start, start_with};
use image::ImageFormat;
use lepton_core::{ErrorCode, Limits};
use lepton_server::{ServeSettings, Server};
use serde_json::{Value, json};
use std::time::Duration;

fn input(shape: Value, data: Value) -> String {
    json!({"inputs": [{"name": "input", "shape": shape, "datatype": "FP32", "data": data}]}).to_string()
}

#[test]
fn unknown_paths_methods_models_and_versions() {
    let server = start(vec![served("table", 1, models::table())]);
    for (method, path, status) in [
        ("GET", "/nothing", 404),
        ("GET", "/v2/", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/%2e%2e/v2", 404),
        ("GET", "/v2/models/tabel", 404),
        ("GET", "/v2/models/..%2f..%2ftable", 404),
        ("GET", "/v2/models/table/versions/2", 404),
        ("GET", "/v2/models/table/versions/one", 404),
        ("POST", "/v2/models/tabel/infer", 404),
        ("POST", "/v1/predict/tabel", 404),
        ("GET", "/v2/models/table/infer", 405),
        ("POST", "/v2", 405),
        ("DELETE", "/v2/models/table", 405),
        ("PUT", "/v1/predict/table", 405),
        ("OPTIONS", "/v1/predict/table", 405),
    ] {
        let reply = server.send(method, path, &[JSON], b"{}");
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
        assert!(!reply.error().is_empty());
        if status == 405 {
            assert!(["GET, HEAD", "POST"].contains(&reply.headers["allow"].as_str()));
        }
    }
    assert!(server.get("/v2/models/tabel").error().contains("did you mean \"table\""));
    assert!(server.get("/v2/models/table/versions/2").error().contains("there is 1"));
}

#[test]
fn tensors_that_do_not_fit() {
    let server = start(vec![served("table", 1, models::table()), served("echo", 1, models::echo())]);
    let mut client = server.client();
    for (body, status, says) in [
        (String::new(), 400, "inference request"),
        ("[".into(), 400, "inference request"),
        (input(json!([1, 3]), json!([1, 2, 3])), 400, "shape"),
        (input(json!([1, 2]), json!([1])), 400, "values"),
        (input(json!([2, 2]), json!([[1, 2], [3]])), 400, "ragged"),
        (input(json!([1, 2]), json!(["1", "2"])), 400, "FP32"),
        (input(json!([1, 2]), json!([1e39, 2])), 400, "float32"),
        (input(json!([1, 2]), Value::Null), 400, "null"),
        (r#"{"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP32", "data": [NaN, 1]}]}"#.into(), 400, "inference request"),
        (r#"{"inputs": [{"name": "input", "shape": [1, 2], "datatype": "INT64", "data": [1, 2]}]}"#.into(), 400, "int64"),
        (r#"{"inputs": [{"name": "inputs", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}"#.into(), 400, "its inputs are: input"),
        (r#"{"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}], "outputs": [{"name": "y"}]}"#.into(), 400, "its outputs are: output"),
        (format!("{{\"x\": {}", "[".repeat(70)), 400, "limits.json_depth = 64"),
    ] {
        let reply = client.send("POST", "/v2/models/table/infer", &[JSON], body.as_bytes());
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
        assert!(reply.error().contains(says), "{body}: {}", reply.error());
    }
    let bad_header = client.send("POST", "/v2/models/table/infer", &[("inference-header-content-length", "x")], b"{}");
    assert_eq!(bad_header.status, 400);
    let predict = client.send("POST", "/v1/predict/echo", &[JSON], b"{}");
    assert_eq!(predict.status, 400);
    assert!(predict.error().contains("tensors only"));
}

#[test]
fn rows_tables_and_pictures_that_do_not_fit() {
    let server = start(vec![served("table", 1, models::table()), served("pictures", 1, models::pictures())]);
    let mut client = server.client();
    let png = models::picture(9, ImageFormat::Png);
    let cut = &png[..png.len() / 2];
    let cases: [(&str, &str, &[u8], u16, &str); 15] = [
        ("table", "application/json", br#"{"x": 1}"#, 400, "\"y\""),
        ("table", "application/json", br#"{"x": 1, "y": 2, "z": 3}"#, 400, "\"z\""),
        ("table", "application/json", br#"{"x": "one", "y": 2}"#, 400, "\"x\""),
        ("table", "application/json", br#"{"x": null, "y": 2}"#, 400, "\"x\""),
        ("table", "application/json", br#"{"rows": []}"#, 400, "no rows"),
        ("table", "application/json", br#"[1, 2]"#, 400, "object"),
        ("table", "application/json", br#"{"x": NaN, "y": 1}"#, 400, "JSON"),
        ("table", "text/csv", b"x,y\n1\n", 400, "row 2"),
        ("table", "text/csv", b"x,y\nNaN,2\n", 400, "\"x\""),
        ("table", "text/csv", b"", 400, "empty"),
        ("table", "image/png", &png, 400, "picture"),
        ("pictures", "image/png", b"not a picture", 400, "picture"),
        ("pictures", "image/png", cut, 400, "picture"),
        ("table", "application/x-www-form-urlencoded", b"x=1", 415, "text/csv"),
        ("table", "multipart/form-data; boundary=b", b"--b--\r\n", 400, "no file"),
    ];
    for (model, media, body, status, says) in cases {
        let path = format!("/v1/predict/{model}");
        let reply = client.send("POST", &path, &[("content-type", media)], body);
        assert_eq!(reply.status, status, "{media}: {}", reply.text());
        assert!(reply.error().contains(says), "{media}: {}", reply.error());
    }
    assert_eq!(client.send("POST", "/v1/predict/table", &[], b"{}").status, 415);
    let packed = client.send("POST", "/v1/predict/table", &[JSON, ("content-encoding", "gzip")], b"\x1f\x8b");
    assert_eq!(packed.status, 415);
}

#[test]
fn one_byte_past_the_body_limit() {
    let mut small = settings();
    small.limits.body_bytes = 1000;
    let server = start_with(vec![served("table", 1, models::table())], small, None);
    let padded = |length: usize| {
        let row = r#"{"x": 1, "y": 2}"#;
        format!("{row}{}", " ".repeat(length - row.len())).into_bytes()
    };
    let path = "/v1/predict/table";
    assert_eq!(server.send("POST", path, &[JSON], &padded(1000)).status, 200);
    let over = server.send("POST", path, &[JSON], &padded(1001));
    assert_eq!(over.status, 413);
    assert!(over.error().contains("limits.body_bytes = 1000"));
    assert_eq!(over.headers["connection"], "close");
    // The same without a declared length, and a length that is declared but never sent.
    for (length, status) in [(1000, 200), (1001, 413)] {
        let mut client = server.client();
        let head = "POST /v1/predict/table HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        client.write(head.as_bytes()).unwrap();
        for piece in padded(length).chunks(7) {
            client.write(format!("{:x}\r\n", piece.len()).as_bytes()).unwrap();
            client.write(piece).unwrap();
            client.write(b"\r\n").unwrap();
        }
        client.write(b"0\r\n\r\n").unwrap();
        assert_eq!(client.read().unwrap().status, status, "{length}");
    }
    let mut client = server.client();
    client.write(b"POST /v1/predict/table HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 99999999999\r\n\r\n").unwrap();
    assert_eq!(client.read().unwrap().status, 413);
}

#[test]
fn one_row_past_the_batch_limit() {
    let server = start(vec![served("table", 1, models::table())]);
    let rows = |count: usize| json!({"rows": vec![json!({"x": 1, "y": 2}); count]}).to_string();
    assert_eq!(server.send("POST", "/v1/predict/table", &[JSON], rows(256).as_bytes()).status, 200);
    let over = server.send("POST", "/v1/predict/table", &[JSON], rows(257).as_bytes());
    assert_eq!(over.status, 413);
    assert!(over.error().contains("batch_rows"));
    let over =
        server.send("POST", "/v2/models/table/infer", &[JSON], input(json!([257, 2]), json!(vec![0; 514])).as_bytes());
    assert_eq!(over.status, 413);
    assert!(over.error().contains("limits.batch_rows = 256"));
}

#[test]
fn bodies_past_the_memory_set_aside_are_told_to_come_back() {
    let small = ServeSettings { body_memory_bytes: 100, ..settings() };
    let server = start_with(vec![served("table", 1, models::table())], small, None);
    let reply = server.send("POST", "/v1/predict/table", &[JSON], &[b' '; 101]);
    assert_eq!(reply.status, 503);
    assert_eq!(reply.headers["retry-after"], "1");
    assert!(reply.error().contains("body_memory_bytes = 100"));
    assert_eq!(server.send("POST", "/v1/predict/table", &[JSON], br#"{"x": 1, "y": 2}"#).status, 200);
}

#[test]
fn a_run_that_panics_fails_its_own_request_only() {
    let model = models::table_over(models::Moody(Duration::ZERO), &Limits::default());
    let server = start(vec![served("moody", 1, model)]);
    let mut client = server.client();
    let path = "/v2/models/moody/infer";
    for _ in 0..20 {
        let failed = client.send("POST", path, &[JSON], input(json!([1, 2]), json!([13, 2])).as_bytes());
        assert_eq!(failed.status, 500);
        let message = failed.error();
        assert!(message.contains("request's id") && !message.contains("panic"), "{message}");
        assert_eq!(client.send("POST", path, &[JSON], input(json!([1, 2]), json!([1, 2])).as_bytes()).status, 200);
    }
}

#[test]
fn a_run_past_its_time_is_answered_with_504() {
    let gate = models::Gate::default();
    let mut short = settings();
    short.limits.request_ms = 150;
    let server = start_with(vec![served("gate", 1, models::table_over(gate.clone(), &short.limits))], short, None);
    let reply = server.send("POST", "/v1/predict/gate", &[JSON], br#"{"x": 1, "y": 2}"#);
    assert_eq!(reply.status, 504);
    assert!(reply.error().contains("limits.request_ms = 150"));
    gate.open();
    assert_eq!(server.send("POST", "/v1/predict/gate", &[JSON], br#"{"x": 1, "y": 2}"#).status, 200);
}

#[test]
fn other_hosts_and_origins_are_kept_away() {
    let allowed = ServeSettings { allowed_hosts: vec!["models.example".into()], ..settings() };
    let server = start_with(vec![served("table", 1, models::table())], allowed, None);
    let own = format!("127.0.0.1:{}", server.address.port());
    for (host, status) in
        [(own.as_str(), 200), ("models.example", 200), ("evil.example", 403), ("localhost.evil.example", 403)]
    {
        for path in ["/", "/metrics", "/v2/models/table", "/healthz"] {
            assert_eq!(server.send("GET", path, &[("host", host)], b"").status, status, "{host} {path}");
        }
    }
    let row = br#"{"x": 1, "y": 2}"#;
    let origin = format!("http://{own}");
    for (origin, status) in [(origin.as_str(), 200), ("http://evil.example", 403), ("null", 403)] {
        let headers = [("host", own.as_str()), ("origin", origin), JSON];
        assert_eq!(server.send("POST", "/v1/predict/table", &headers, row).status, status, "{origin}");
    }
}

#[test]
fn binding_says_what_is_wrong() {
    let models = || vec![served("table", 1, models::table())];
    let server = start(models());
    let error = |settings: ServeSettings, models| Server::bind(models, settings, None).err().unwrap();
    let taken = error(ServeSettings { port: server.address.port(), ..settings() }, models());
    assert_eq!(taken.code(), ErrorCode::Locked);
    assert!(taken.message().contains("in use") && taken.remedy().is_some());
    let wide = error(ServeSettings { host: "0.0.0.0".into(), ..settings() }, models());
    assert_eq!(wide.code(), ErrorCode::NotAllowed);
    assert!(wide.to_string().contains("authentication") && wide.remedy().unwrap().contains("loopback"));
    assert_eq!(error(settings(), vec![]).code(), ErrorCode::Usage);
    let twice = vec![served("a", 1, models::table()), served("a", 1, models::table())];
    assert!(error(settings(), twice).message().contains("a@1"));
    // What was refused holds no port: the first server still answers.
    assert_eq!(server.get("/healthz").status, 200);
    let bytes = request("GET", "/healthz", &[], b"");
    assert!(bytes.starts_with(b"GET /healthz"));
}
