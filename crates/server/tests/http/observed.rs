//! What a server sees reaches the metrics as drift, and the store as windows, also when the server stops.

use crate::client::JSON;
use crate::models;
use crate::running::{settings, start_with};
use arrow_array::{ArrayRef, Float64Array, RecordBatch};
use lepton_core::Prediction;
use lepton_monitor::{Monitor, MonitorSettings, Observation, Reference};
use lepton_server::{ServeSettings, ServedModel};
use lepton_store::Store;
use serde_json::json;
use std::sync::Arc;

/// The table model with a reference of 400 rows, `x` from 0 to 1 and `y` from 0 to 2.
fn watched() -> ServedModel {
    let model = Arc::new(models::table());
    let column =
        |scale: f64| Arc::new((0..400).map(|row| scale * f64::from(row) / 400.0).collect::<Float64Array>()) as ArrayRef;
    let rows = RecordBatch::try_from_iter([("x", column(1.0)), ("y", column(2.0))]).unwrap();
    let answers: Vec<Prediction> =
        (0..400).step_by(200).flat_map(|start| model.predict(&rows.slice(start, 200)).unwrap()).collect();
    let reference = Reference::new(model.inputs(), &rows, &answers).unwrap();
    let monitor = Monitor::new(Arc::new(reference), MonitorSettings::default());
    ServedModel { name: "watched".into(), version: 3, model, monitor: Some(Arc::new(monitor)) }
}

fn rows(count: u32, x_shift: f64) -> String {
    let row = |row: u32| {
        let place = f64::from(row) / f64::from(count);
        json!({"x": place + x_shift, "y": 2.0 * place})
    };
    json!({"rows": (0..count).map(row).collect::<Vec<_>>()}).to_string()
}

fn sample(name: &str, column: &str) -> String {
    format!(
        "lepton_drift_{name}{{model=\"watched\",version=\"3\",side=\"input\",column=\"{column}\",statistic=\"ks\"}}"
    )
}

#[test]
fn drift_is_shown_once_there_is_enough_to_tell() {
    let server = start_with(vec![watched()], settings(), None);
    assert_eq!(server.metric(&sample("value", "x")), None);
    assert_eq!(server.send("POST", "/v1/predict/watched", &[JSON], rows(20, 0.5).as_bytes()).status, 200);
    assert_eq!(server.metric(&sample("value", "x")), None, "20 rows are too few to tell");
    server.send("POST", "/v1/predict/watched", &[JSON], rows(250, 0.5).as_bytes());
    let (value, threshold) = (sample("value", "x"), sample("threshold", "x"));
    assert!(server.metric(&value).unwrap() > server.metric(&threshold).unwrap(), "the shifted column");
    let (value, threshold) = (sample("value", "y"), sample("threshold", "y"));
    assert!(server.metric(&value).unwrap() < server.metric(&threshold).unwrap(), "the other column");
    assert_eq!(server.metric("lepton_drift_rows{model=\"watched\",version=\"3\"}"), Some(270.0));
}

#[test]
fn windows_reach_the_store_while_it_runs_and_when_it_stops() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let every_second = ServeSettings { observation_seconds: 1, ..settings() };
    let server = start_with(vec![watched()], every_second, Some(store.clone()));
    let seen = || -> Vec<u64> {
        let records = store.observations("watched", 3).unwrap();
        assert!(records.iter().all(|record| record.started <= record.ended && record.ended.ends_with('Z')));
        let body =
            |record: lepton_store::ObservationRecord| serde_json::from_value::<Observation>(record.body).unwrap();
        records.into_iter().map(|record| body(record).rows).collect()
    };
    server.send("POST", "/v1/predict/watched", &[JSON], rows(40, 0.0).as_bytes());
    let begun = std::time::Instant::now();
    while seen().iter().sum::<u64>() < 40 {
        assert!(begun.elapsed().as_secs() < 10, "the window is not in the store");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    server.send("POST", "/v1/predict/watched", &[JSON], rows(2, 0.0).as_bytes());
    // A refused request is not seen.
    server.send("POST", "/v1/predict/watched", &[JSON], br#"{"x": 1}"#);
    // Closed windows still count for drift.
    assert_eq!(server.metric("lepton_drift_rows{model=\"watched\",version=\"3\"}"), Some(42.0));
    server.stop().unwrap();
    assert_eq!(seen().iter().sum::<u64>(), 42);
    assert!(seen().iter().all(|rows| *rows > 0), "empty windows are not worth a row");
}
