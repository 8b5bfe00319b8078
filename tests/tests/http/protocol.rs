//! The Open Inference Protocol, the health paths in every spelling, metrics and the API description.

use lepton_tests::{Lepton, request};
use serde_json::json;

#[test]
fn every_health_spelling_answers() {
    let server = Lepton::trained().serve(&["digits"]);
    for path in ["/healthz", "/livez", "/readyz", "/health", "/ping", "/v2/health/live", "/v2/health/ready"] {
        assert_eq!(request(server.address, "GET", path, "", b"").status, 200, "{path}");
    }
}

#[test]
fn models_are_described_and_infer_takes_tensors() {
    let server = Lepton::trained().serve(&["digits"]);
    let get = |path: &str| request(server.address, "GET", path, "", b"");
    assert_eq!(get("/v2").json()["name"], "lepton");
    assert_eq!(get("/v2/models/digits/ready").status, 200);
    assert_eq!(get("/v2/models/digits/versions/1/ready").status, 200);
    let metadata = get("/v2/models/digits").json();
    assert_eq!(metadata["inputs"][0], json!({"name": "input", "datatype": "FP32", "shape": [-1, 1, 8, 8]}));
    assert_eq!(metadata["outputs"][0]["name"], "output");
    let infer = |rows: usize, id: &str| {
        let body = json!({"id": id, "inputs": [{"name": "input", "shape": [rows, 1, 8, 8], "datatype": "FP32", "data": vec![0.5; 64 * rows]}]});
        request(server.address, "POST", "/v2/models/digits/infer", "application/json", body.to_string().as_bytes())
    };
    for rows in [1, 3, 40] {
        let answer = infer(rows, "seven").json();
        assert_eq!(answer["id"], "seven");
        assert_eq!((&answer["model_name"], &answer["model_version"]), (&json!("digits"), &json!("1")));
        assert_eq!(answer["outputs"][0]["shape"], json!([rows, 10]));
        let values = answer["outputs"][0]["data"].as_array().expect("data");
        assert_eq!(values.len(), 10 * rows);
        // Equal rows give equal answers, whatever they were batched with.
        for row in 1..rows {
            for class in 0..10 {
                let (first, this) =
                    (values[class].as_f64().expect("a number"), values[10 * row + class].as_f64().expect("a number"));
                assert!((first - this).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn wrong_tensors_are_refused_with_their_names() {
    let server = Lepton::trained().serve(&["digits"]);
    let infer = |path: &str, input: serde_json::Value| {
        let body = json!({"inputs": [input]}).to_string();
        let answer = request(server.address, "POST", path, "application/json", body.as_bytes());
        (answer.status, answer.json()["error"].as_str().expect("an error").to_owned())
    };
    let data = vec![0.5; 64];
    let path = "/v2/models/digits/infer";
    for (input, word) in [
        (json!({"name": "input", "shape": [1, 64], "datatype": "FP32", "data": data}), "shape"),
        (json!({"name": "input", "shape": [1, 1, 8, 8], "datatype": "INT64", "data": vec![1; 64]}), "int64"),
        (json!({"name": "x", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": data}), "\"x\""),
        (json!({"name": "input", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": [1.0]}), "shape"),
        (json!({"name": "input", "shape": [-1, 1, 8, 8], "datatype": "FP32", "data": data}), ""),
        (json!({"name": "input", "shape": [4294967296u64, 4294967296u64, 8, 8], "datatype": "FP32", "data": data}), ""),
    ] {
        let (status, error) = infer(path, input.clone());
        assert!(matches!(status, 400 | 413) && error.contains(word), "{input}: {status} {error}");
    }
    let (status, error) =
        infer("/v2/models/nobody/infer", json!({"name": "input", "shape": [1], "datatype": "FP32", "data": [1]}));
    assert!(status == 404 && error.contains("nobody"), "{error}");
    let after =
        json!({"inputs": [{"name": "input", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": data}]}).to_string();
    assert_eq!(request(server.address, "POST", path, "application/json", after.as_bytes()).status, 200);
}

#[test]
fn metrics_count_and_the_description_is_openapi() {
    let server = Lepton::trained().serve(&["digits"]);
    let body =
        json!({"inputs": [{"name": "input", "shape": [2, 1, 8, 8], "datatype": "FP32", "data": vec![0.5; 128]}]})
            .to_string();
    for _ in 0..3 {
        request(server.address, "POST", "/v2/models/digits/infer", "application/json", body.as_bytes());
    }
    let metrics = request(server.address, "GET", "/metrics", "", b"").text();
    let value = |name: &str| {
        let line = metrics
            .lines()
            .find(|line| line.starts_with(name) && line.contains("digits"))
            .unwrap_or_else(|| panic!("no {name}: {metrics}"));
        line.rsplit_once(' ').and_then(|(_, number)| number.parse::<f64>().ok()).expect("a number")
    };
    assert_eq!(value("nv_inference_request_success"), 3.0);
    assert_eq!(value("nv_inference_count"), 6.0);
    assert!(value("nv_inference_request_duration_us") > 0.0);
    let description = request(server.address, "GET", "/openapi.json", "", b"").json();
    assert!(description["openapi"].as_str().is_some_and(|version| version.starts_with("3.")));
    for path in ["/v2/models/{model}/infer", "/v1/predict/{model}", "/metrics"] {
        assert!(description["paths"][path].is_object(), "{path}");
    }
}
