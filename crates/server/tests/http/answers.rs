//! What each route answers when it is asked well.

use crate::client::JSON;
use crate::models::{self, ECHO_DTYPES, served};
use crate::running::{Running, start};
use image::ImageFormat;
use lepton_core::DType;
use serde_json::{Value, json};

fn all() -> Running {
    start(vec![
        served("table", 1, models::table()),
        served("table", 12, models::table()),
        served("pictures", 1, models::pictures()),
        served("echo", 1, models::echo()),
    ])
}

fn labels(answer: &Value) -> Vec<&str> {
    answer["predictions"].as_array().unwrap().iter().map(|one| one["label"].as_str().unwrap()).collect()
}

#[test]
fn health_is_answered_in_every_spelling() {
    let server = all();
    for path in ["/healthz", "/livez", "/readyz", "/ping", "/health", "/v2/health/live", "/v2/health/ready"] {
        let reply = server.get(path);
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.headers.contains_key("x-request-id"));
        let head = server.send("HEAD", path, &[], b"");
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(head.headers["content-length"], reply.headers["content-length"]);
    }
    assert_eq!(server.get("/v2/health/ready").json(), json!({"ready": true}));
    assert_eq!(server.get("/v2/models/table/ready").json(), json!({"name": "table", "ready": true}));
    assert_eq!(server.get("/v2/models/table/versions/1/ready").status, 200);
}

#[test]
fn metadata_follows_the_protocol() {
    let server = all();
    let about = server.get("/v2").json();
    assert_eq!((about["name"].as_str(), about["extensions"][0].as_str()), (Some("lepton"), Some("binary_tensor_data")));
    assert_eq!(
        server.get("/v2/models/table").json(),
        json!({"name": "table", "versions": ["1", "12"], "platform": "rten_onnx",
            "inputs": [{"name": "input", "datatype": "FP32", "shape": [-1, 2]}],
            "outputs": [{"name": "output", "datatype": "FP32", "shape": [-1, 2]}]})
    );
    assert_eq!(server.get("/v2/models/table/versions/12").json()["versions"], json!(["12"]));
    let list = server.get("/v1/models").json();
    let ids: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|one| (one["id"].clone(), one["version"].clone())).collect();
    assert_eq!(
        ids,
        [
            (json!("echo"), json!(1)),
            (json!("pictures"), json!(1)),
            (json!("table"), json!(1)),
            (json!("table"), json!(12))
        ]
    );
    assert_eq!(server.get("/v1/models/table").json()["version"], 12);
}

#[test]
fn inference_takes_flat_and_nested_tensors() {
    let server = all();
    let mut client = server.client();
    for data in [json!([1.5, 2.0, -3.0, 0.25]), json!([[1.5, 2.0], [-3.0, 0.25]])] {
        let request =
            json!({"id": "abc", "inputs": [{"name": "input", "shape": [2, 2], "datatype": "FP32", "data": data}]});
        let reply = client.send("POST", "/v2/models/table/versions/1/infer", &[JSON], request.to_string().as_bytes());
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(
            reply.json(),
            json!({"model_name": "table", "model_version": "1", "id": "abc", "outputs": [
                {"name": "output", "datatype": "FP32", "shape": [2, 2], "data": [1.5, 2.0, -3.0, 0.25]}]})
        );
    }
    let request = json!({"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}], "outputs": [{"name": "output"}]});
    let newest = client.send("POST", "/v2/models/table/infer", &[], request.to_string().as_bytes()).json();
    assert_eq!(newest["model_version"], "12");
    assert!(newest.get("id").is_none());
}

#[test]
fn every_datatype_passes_in_json_and_in_bytes() {
    let server = all();
    let value = |dtype: DType| match dtype {
        DType::Text => json!(["a", "é\u{0}\""]),
        DType::Bool => json!([true, false]),
        DType::UInt8 => json!([0, 255]),
        DType::Int8 => json!([-128, 127]),
        DType::Int32 => json!([i32::MIN, i32::MAX]),
        DType::Int64 => json!([i64::MIN, i64::MAX]),
        DType::Float32 => json!([0.1f32, -3.5]),
        DType::Float64 => json!([0.1, 1e300]),
    };
    let inputs: Vec<Value> = ECHO_DTYPES
        .iter()
        .map(|dtype| json!({"name": dtype.name(), "datatype": dtype.protocol_name(), "shape": [1, 2], "data": value(*dtype)}))
        .collect();
    let path = "/v2/models/echo/infer";
    let reply = server.send("POST", path, &[JSON], json!({"inputs": inputs}).to_string().as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text());
    for (output, dtype) in reply.json()["outputs"].as_array().unwrap().iter().zip(ECHO_DTYPES) {
        assert_eq!(output["name"], format!("{dtype}_out"));
        if dtype == DType::Float32 {
            let numbers: Vec<f32> = serde_json::from_value(output["data"].clone()).unwrap();
            assert_eq!(numbers, [0.1, -3.5]);
        } else {
            assert_eq!(output["data"], value(dtype), "{dtype}");
        }
    }
    // The same answer as raw bytes, sent back as raw bytes.
    let as_bytes = json!({"inputs": inputs, "parameters": {"binary_data_output": true}});
    let reply = server.send("POST", path, &[JSON], as_bytes.to_string().as_bytes());
    assert_eq!(reply.headers["content-type"], "application/octet-stream");
    let length: usize = reply.headers["inference-header-content-length"].parse().unwrap();
    let mut header: Value = serde_json::from_slice(&reply.body[..length]).unwrap();
    let raw = &reply.body[length..];
    assert_eq!(raw.len(), 8 + 16 + 16 + 8 + 2 + 2 + 2 + (4 + 1 + 4 + 4));
    for output in header["outputs"].as_array_mut().unwrap() {
        output["name"] = output["name"].as_str().unwrap().trim_end_matches("_out").into();
    }
    let header = json!({"inputs": header["outputs"], "parameters": {"binary_data_output": true}}).to_string();
    let length = header.len().to_string();
    let body = [header.as_bytes(), raw].concat();
    let again = server.send("POST", path, &[("Inference-Header-Content-Length", &length)], &body);
    assert_eq!(again.status, 200, "{}", again.text());
    let length: usize = again.headers["inference-header-content-length"].parse().unwrap();
    assert_eq!(&again.body[length..], raw);
}

#[test]
fn nan_and_infinity_pass_as_bytes_and_never_as_json() {
    let server = all();
    let header = |binary: bool| {
        json!({"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}],
            "outputs": [{"name": "output", "parameters": {"binary_data": binary}}]})
        .to_string()
    };
    let send = |binary| {
        let header = header(binary);
        let body = [header.as_bytes(), &f32::NAN.to_le_bytes(), &f32::INFINITY.to_le_bytes()].concat();
        let length = header.len().to_string();
        server.send("POST", "/v2/models/table/infer", &[("Inference-Header-Content-Length", &length)], &body)
    };
    let refused = send(false);
    assert_eq!(refused.status, 422);
    assert!(refused.error().contains("output") && refused.error().contains("NaN"));
    assert_eq!(send(true).status, 200);
}

#[test]
fn predictions_come_from_whatever_a_person_has() {
    let server = all();
    let table = "/v1/predict/table";
    let row = server.send("POST", table, &[JSON], br#"{"x": 1, "y": 3.0}"#);
    assert_eq!(row.status, 200, "{}", row.text());
    let answer = row.json();
    assert_eq!((&answer["model"], &answer["version"]), (&json!("table"), &json!(12)));
    let best = &answer["predictions"][0];
    assert_eq!(best["label"], "right");
    let probability = 1.0 / (1.0 + (-2.0f64).exp());
    assert!((best["probability"].as_f64().unwrap() - probability).abs() < 1e-6);
    assert_eq!(best["probabilities"][0], json!({"label": "right", "probability": best["probability"]}));
    assert_eq!(best["probabilities"][1]["label"], "left");

    let rows = server.send("POST", table, &[JSON], br#"{"rows": [{"x": 1, "y": 3}, {"y": 0, "x": 5}]}"#);
    assert_eq!(labels(&rows.json()), ["right", "left"]);
    let csv = server.send("POST", table, &[("content-type", "text/csv")], b"y,x\n3,1\n0,5\n9,1\n");
    assert_eq!(labels(&csv.json()), ["right", "left", "right"]);
    let first = server.send("POST", "/v1/predict/table/versions/1", &[JSON], br#"{"x": 1, "y": 3.0}"#);
    assert_eq!(first.json()["version"], 1);

    let path = "/v1/predict/pictures";
    for (value, label) in [(255, "bright"), (0, "dark")] {
        for (format, media) in [(ImageFormat::Png, "image/png"), (ImageFormat::Jpeg, "image/jpeg")] {
            let reply = server.send("POST", path, &[("content-type", media)], &models::picture(value, format));
            assert_eq!(reply.status, 200, "{}", reply.text());
            assert_eq!(labels(&reply.json()), [label]);
        }
    }
    let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n";
    let form = [head.as_bytes(), &models::picture(255, ImageFormat::Png), b"\r\n--b--\r\n"].concat();
    let reply = server.send("POST", path, &[("content-type", "multipart/form-data; boundary=b")], &form);
    assert_eq!(labels(&reply.json()), ["bright"]);
}

#[test]
fn metrics_count_what_happened() {
    let server = all();
    server.send("POST", "/v1/predict/table", &[JSON], br#"{"rows": [{"x": 1, "y": 3}, {"y": 0, "x": 5}]}"#);
    server.send("POST", "/v1/predict/table", &[JSON], br#"{"x": 1}"#);
    let request = json!({"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]});
    server.send("POST", "/v2/models/table/infer", &[JSON], request.to_string().as_bytes());
    server.get("/nothing");
    for (sample, value) in [
        ("nv_inference_request_success{model=\"table\",version=\"12\"}", 2.0),
        ("nv_inference_request_failure{model=\"table\",version=\"12\"}", 1.0),
        ("nv_inference_count{model=\"table\",version=\"12\"}", 3.0),
        ("nv_inference_exec_count{model=\"table\",version=\"12\"}", 2.0),
        ("nv_inference_count{model=\"table\",version=\"1\"}", 0.0),
        ("lepton_model_predictions_total{model=\"table\",version=\"12\",label=\"right\"}", 2.0),
        ("lepton_model_predictions_total{model=\"table\",version=\"12\",label=\"left\"}", 1.0),
        ("lepton_http_requests_total{method=\"POST\",route=\"/v1/predict/{model}\",status=\"200\"}", 1.0),
        ("lepton_http_requests_total{method=\"POST\",route=\"/v1/predict/{model}\",status=\"400\"}", 1.0),
        ("lepton_http_requests_total{method=\"other\",route=\"none\",status=\"404\"}", 1.0),
        ("lepton_model_queue_requests{model=\"table\",version=\"12\"}", 0.0),
    ] {
        assert_eq!(server.metric(sample), Some(value), "{sample}");
    }
    for name in ["request", "queue", "compute_infer"] {
        let sample = format!("nv_inference_{name}_duration_us{{model=\"table\",version=\"12\"}}");
        assert!(server.metric(&sample).is_some(), "{sample}");
    }
    let reply = server.get("/metrics");
    assert!(reply.headers["content-type"].starts_with("text/plain; version=0.0.4"));
    check_exposition(&reply.text());
}

/// Every sample belongs to the family whose head came last, and every value is a number.
fn check_exposition(text: &str) {
    let mut family = String::new();
    let mut seen = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap().to_owned();
            assert!(seen.insert(family.clone()), "{family} is there twice");
        } else if !line.starts_with('#') {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            assert!(sample.starts_with(&family), "{line} under {family}");
            value.parse::<f64>().unwrap();
        }
    }
    assert!(seen.len() > 15);
}

#[test]
fn the_page_and_the_description_are_there() {
    let server = all();
    let page = server.get("/");
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = &page.headers["content-security-policy"];
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    let html = page.text();
    assert!(html.contains("curl") && html.contains("pictures") && !html.contains("<script"), "{html}");
    assert!(html.contains(&format!("127.0.0.1:{}", server.address.port())));
    let description = server.get("/openapi.json").json();
    assert!(description["openapi"].as_str().unwrap().starts_with("3."));
    // Each path of the description answers to its method with something other than "no such path".
    for (path, operations) in description["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let path = path.replace("{model}", "table").replace("{version}", "1");
            let reply = server.send(&method.to_uppercase(), &path, &[], b"");
            assert!(![404, 405, 500].contains(&reply.status), "{method} {path}: {}", reply.status);
        }
    }
}

#[test]
fn a_request_keeps_its_name() {
    let server = all();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let reply = server.send("GET", "/nothing", &[("x-request-id", "mine"), ("traceparent", trace)], b"");
    assert_eq!((reply.headers["x-request-id"].as_str(), reply.headers["traceparent"].as_str()), ("mine", trace));
}
