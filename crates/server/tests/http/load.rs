//! Many clients at once: everyone gets their own answer, and who is too many is told so at once.

use crate::client::{JSON, request};
use crate::models::{self, Gate, served};
use crate::running::{Running, settings, start, start_with};
use lepton_core::Limits;
use serde_json::json;
use std::time::{Duration, Instant};

const ROW: &[u8] = br#"{"x": 1, "y": 2}"#;

#[test]
fn concurrent_clients_get_their_own_answers() {
    let server = start(vec![served("table", 1, models::table())]);
    let address = server.address;
    let clients: Vec<_> = (0..16)
        .map(|client| {
            std::thread::spawn(move || {
                let mut connection = crate::client::Client::connect(address);
                for turn in 0..60 {
                    let value = (client * 1000 + turn) as f32;
                    let rows = 1 + turn % 3;
                    let data: Vec<f32> = (0..2 * rows).map(|place| value + place as f32 / 8.0).collect();
                    let body = json!({"id": value.to_string(), "inputs": [
                        {"name": "input", "shape": [rows, 2], "datatype": "FP32", "data": data}]});
                    let reply = connection.send("POST", "/v2/models/table/infer", &[JSON], body.to_string().as_bytes());
                    assert_eq!(reply.status, 200, "{}", reply.text());
                    let answer = reply.json();
                    assert_eq!(answer["id"], value.to_string());
                    let got: Vec<f32> = serde_json::from_value(answer["outputs"][0]["data"].clone()).unwrap();
                    assert_eq!(got, data);
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(server.metric("nv_inference_request_success{model=\"table\",version=\"1\"}"), Some(16.0 * 60.0));
    assert_eq!(server.metric("nv_inference_count{model=\"table\",version=\"1\"}"), Some(16.0 * 120.0));
    assert_eq!(server.metric("nv_inference_request_failure{model=\"table\",version=\"1\"}"), Some(0.0));
}

fn gated(queue: usize) -> (Gate, Running) {
    let gate = Gate::default();
    let mut settings = settings();
    settings.batch.queue_requests = queue;
    let model = models::table_over(gate.clone(), &Limits::default());
    (gate, start_with(vec![served("gate", 1, model)], settings, None))
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

const QUEUE: &str = "lepton_model_queue_requests{model=\"gate\",version=\"1\"}";

#[test]
fn a_full_queue_answers_at_once_and_recovers() {
    let (gate, server) = gated(3);
    let ask = request("POST", "/v1/predict/gate", &[JSON], ROW);
    let mut waiting = Vec::new();
    for queued in 0..4 {
        let mut client = server.client();
        client.write(&ask).unwrap();
        waiting.push(client);
        if queued == 0 {
            gate.wait_for(1);
        }
        wait_until("the request is not queued", || server.metric(QUEUE) == Some(f64::from(queued)));
    }
    for _ in 0..20 {
        let begun = Instant::now();
        let reply = server.send("POST", "/v1/predict/gate", &[JSON], ROW);
        assert!(begun.elapsed() < Duration::from_millis(500));
        assert_eq!((reply.status, reply.headers["retry-after"].as_str()), (429, "1"));
        assert!(reply.error().contains("queue_requests = 3"));
    }
    // What is not inference is not held up.
    assert_eq!(server.get("/readyz").status, 200);
    gate.open();
    for mut client in waiting {
        assert_eq!(client.read().unwrap().status, 200);
    }
    assert_eq!(server.send("POST", "/v1/predict/gate", &[JSON], ROW).status, 200);
    assert_eq!(server.metric("nv_inference_request_failure{model=\"gate\",version=\"1\"}"), Some(20.0));
}

#[test]
fn clients_that_leave_give_their_places_back() {
    let (gate, server) = gated(2);
    let ask = request("POST", "/v1/predict/gate", &[JSON], ROW);
    let mut first = server.client();
    first.write(&ask).unwrap();
    gate.wait_for(1);
    for round in 0..5 {
        let leaving: Vec<_> = (0..2)
            .map(|_| {
                let mut client = server.client();
                client.write(&ask).unwrap();
                client
            })
            .collect();
        wait_until("the requests are not under way", || server.metric("lepton_http_requests_in_flight") >= Some(4.0));
        drop(leaving);
        wait_until(&format!("round {round}: those who left are still under way"), || {
            server.metric("lepton_http_requests_in_flight") == Some(2.0)
        });
    }
    let mut last = server.client();
    last.write(&ask).unwrap();
    wait_until("the last request is not under way", || server.metric("lepton_http_requests_in_flight") == Some(3.0));
    gate.open();
    assert_eq!((first.read().unwrap().status, last.read().unwrap().status), (200, 200));
    assert_eq!(server.metric("nv_inference_count{model=\"gate\",version=\"1\"}"), Some(2.0));
}
