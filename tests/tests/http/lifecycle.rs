//! Start, stop by signal under load, and what monitoring keeps of it.

use lepton_tests::{Lepton, digit_png, request};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

#[test]
fn sigterm_ends_with_zero() {
    let server = Lepton::trained().serve(&["digits"]);
    assert_eq!(request(server.address, "GET", "/readyz", "", b"").status, 200);
    let stopped = server.stop();
    assert_eq!(stopped.code, Some(0), "{}", stopped.err);
    assert!(stopped.took < Duration::from_secs(10), "{:?}", stopped.took);
}

#[test]
fn a_stop_under_load_loses_no_accepted_request() {
    let server = Lepton::trained().serve(&["digits"]);
    let (address, png) = (server.address, Arc::new(digit_png(1).0));
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (png, stop, answered) = (Arc::clone(&png), Arc::clone(&stop), Arc::clone(&answered));
            std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    // Once the door is closed, connecting fails; a connection that was accepted gets an answer.
                    let Ok(probe) = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(5)) else {
                        break;
                    };
                    drop(probe);
                    let Some(status) = try_predict(address, &png) else { continue };
                    assert!(status == 200 || status == 503, "{status}");
                    answered.fetch_add(usize::from(status == 200), Ordering::SeqCst);
                }
            })
        })
        .collect();
    while answered.load(Ordering::SeqCst) < 50 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let stopped = server.stop();
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().expect("no client saw anything but 200 and 503");
    }
    assert_eq!(stopped.code, Some(0), "{}", stopped.err);
}

/// The status of one prediction; `None` where the server no longer accepted the connection.
fn try_predict(address: std::net::SocketAddr, png: &[u8]) -> Option<u16> {
    std::panic::catch_unwind(|| request(address, "POST", "/v1/predict/digits", "image/png", png).status).ok()
}

#[test]
fn what_was_served_can_be_reported() {
    let lepton = Lepton::new();
    let project = lepton_tests::Project::digits();
    lepton.done(&["run", &project.at("")]);
    lepton.refused(&["monitor", "report", "digits"], 2, &["digits@1"]);
    let server = lepton.serve(&["digits"]);
    for index in 0..30 {
        assert_eq!(request(server.address, "POST", "/v1/predict/digits", "image/png", &digit_png(index).0).status, 200);
    }
    assert_eq!(server.stop().code, Some(0));
    let report = lepton.json(&["monitor", "report", "digits"]);
    assert_eq!(report["drift"]["rows"], 30, "{report}");
    assert!(report["drift"]["columns"].as_array().is_some_and(|columns| !columns.is_empty()), "{report}");
}

#[test]
fn a_wrong_address_is_said_before_anything_is_loaded() {
    let lepton = Lepton::trained();
    lepton.refused(&["serve", "digits", "--host", "0.0.0.0", "--port", "0"], 2, &["0.0.0.0"]);
    lepton.refused(&["serve", "digits", "--host", "nowhere.example", "--port", "0"], 2, &["nowhere.example"]);
    let server = lepton.serve(&["digits"]);
    let port = server.address.port().to_string();
    lepton.refused(&["serve", "digits", "--port", &port], 3, &[&port]);
}
