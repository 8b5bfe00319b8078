//! How a server ends: not ready first, nothing under way is lost, and never later than it promised.

use crate::client::{Client, JSON, request};
use crate::models::{self, Gate, Moody, served};
use crate::running::{settings, start_with};
use lepton_core::Limits;
use lepton_server::ServeSettings;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const ROW: &[u8] = br#"{"x": 1, "y": 2}"#;

#[test]
fn a_stop_under_load_loses_no_request() {
    for round in 0..5 {
        let model = models::table_over(Moody(Duration::from_millis(2)), &Limits::default());
        let settings = ServeSettings { grace_ms: 250, ..settings() };
        let mut server = start_with(vec![served("busy", 1, model)], settings, None);
        let address = server.address;
        let (stopping, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let (stopping, answered) = (Arc::clone(&stopping), Arc::clone(&answered));
                std::thread::spawn(move || ask_until_the_door_is_closed(address, &stopping, &answered))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(150 + 10 * round));
        stopping.store(true, Ordering::SeqCst);
        server.begin_stop();
        let begun = Instant::now();
        server.stop().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5));
        clients.into_iter().for_each(|client| client.join().unwrap());
        assert!(answered.load(Ordering::Relaxed) > 20);
    }
}

/// Asks again and again, on one connection for as long as the server keeps it. Every request must be answered,
/// but for the first one of a connection that was opened after the stop began: there the door may close between
/// the knock and the request.
fn ask_until_the_door_is_closed(address: SocketAddr, stopping: &AtomicBool, answered: &AtomicUsize) {
    loop {
        let knocked_late = stopping.load(Ordering::SeqCst);
        let Ok(mut client) = Client::try_connect(address) else {
            assert!(stopping.load(Ordering::SeqCst), "the door was closed too early");
            return;
        };
        for turn in 0.. {
            let reply = match client.try_send("POST", "/v1/predict/busy", &[JSON], ROW) {
                Ok(reply) => reply,
                Err(_) if knocked_late && turn == 0 => return,
                Err(error) => panic!("a request was lost: {error}"),
            };
            assert_eq!(reply.status, 200, "{}", reply.text());
            answered.fetch_add(1, Ordering::Relaxed);
            if reply.headers.get("connection").is_some_and(|value| value == "close") {
                break;
            }
        }
    }
}

#[test]
fn readiness_goes_first_and_what_is_under_way_is_finished() {
    let gate = Gate::default();
    let model = models::table_over(gate.clone(), &Limits::default());
    let settings = ServeSettings { grace_ms: 1500, ..settings() };
    let mut server = start_with(vec![served("gate", 1, model)], settings, None);
    let mut under_way = server.client();
    under_way.write(&request("POST", "/v1/predict/gate", &[JSON], ROW)).unwrap();
    gate.wait_for(1);
    server.begin_stop();
    let begun = Instant::now();
    while server.get("/readyz").status != 503 {
        assert!(begun.elapsed() < Duration::from_secs(1), "still ready");
    }
    for path in ["/v2/health/ready", "/ping", "/health", "/v2/models/gate/ready"] {
        assert_eq!(server.get(path).status, 503, "{path}");
    }
    let live = server.get("/livez");
    assert_eq!((live.status, live.headers["connection"].as_str()), (200, "close"));
    std::thread::sleep(Duration::from_secs(2));
    assert!(Client::try_connect(server.address).is_err(), "the door is still open");
    gate.open();
    assert_eq!(under_way.read().unwrap().status, 200);
    server.stop().unwrap();
}

#[test]
fn what_does_not_finish_is_left_behind_after_the_drain_time() {
    let gate = Gate::default();
    let model = models::table_over(gate.clone(), &Limits::default());
    let settings = ServeSettings { drain_seconds: 1, ..settings() };
    let server = start_with(vec![served("gate", 1, model)], settings, None);
    let mut stuck = server.client();
    stuck.write(&request("POST", "/v1/predict/gate", &[JSON], ROW)).unwrap();
    gate.wait_for(1);
    let begun = Instant::now();
    server.stop().unwrap();
    let took = begun.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(6)).contains(&took), "{took:?}");
    assert!(stuck.read().is_err());
    gate.open();
}

#[test]
fn an_idle_server_stops_quickly() {
    let server = start_with(vec![served("table", 1, models::table())], settings(), None);
    let mut kept = server.client();
    assert_eq!(kept.send("GET", "/healthz", &[], b"").status, 200);
    let begun = Instant::now();
    server.stop().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2));
    let (_, closed) = kept.read_to_close();
    assert!(closed);
}
