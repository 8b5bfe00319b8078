//! What monitors see: flushed to the store window by window, and shown as drift in the metrics.
//!
//! Sketches, drift and thresholds are lepton-monitor's; this module only decides when to look.

use crate::endpoint::{Endpoint, Endpoints};
use crate::metrics::Exposition;
use crate::state::State;
use crate::utc;
use arrow_array::RecordBatch;
use lepton_core::{Error, Prediction, Result};
use lepton_monitor::{ColumnDrift, DriftReport, Monitor, Observation, drift};
use lepton_store::Store;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// The traffic that the drift in the metrics looks back on.
const LOOK_BACK: Duration = Duration::from_secs(3600);

/// One model's monitor, with the windows that it closed.
pub(crate) struct Watch {
    monitor: Arc<Monitor>,
    windows: Mutex<Windows>,
}

#[derive(Default)]
struct Windows {
    /// When the open window began; `None` until the first flush.
    began: Option<SystemTime>,
    /// Closed, but not in the store yet.
    unwritten: Option<Observation>,
    /// Closed within [`LOOK_BACK`].
    recent: VecDeque<(Instant, Observation)>,
}

impl Watch {
    pub(crate) fn new(monitor: Arc<Monitor>) -> Watch {
        Watch { monitor, windows: Mutex::default() }
    }

    /// Takes note of rows and their answers.
    pub(crate) fn observe(&self, rows: &RecordBatch, predictions: &[Prediction]) -> Result<()> {
        self.monitor.observe(rows, predictions)
    }

    /// Closes the window and writes it, with what could not be written before.
    fn flush(&self, endpoint: &Endpoint, store: Option<&Store>, now: SystemTime) -> Result<()> {
        let mut windows = self.lock();
        let closed = self.monitor.take();
        if closed.rows > 0 {
            match &mut windows.unwritten {
                Some(unwritten) => unwritten.merge(&closed)?,
                none => *none = Some(closed.clone()),
            }
            windows.recent.push_back((Instant::now(), closed));
        }
        windows.recent.retain(|(closed, _)| closed.elapsed() < LOOK_BACK);
        let began = *windows.began.get_or_insert(now);
        if let (Some(store), Some(unwritten)) = (store, &windows.unwritten) {
            let body = serde_json::to_value(unwritten)
                .map_err(|source| Error::internal(format!("an observation cannot be written as JSON: {source}")))?;
            store.record_observation(
                &endpoint.name,
                endpoint.version,
                &utc::format(began),
                &utc::format(now),
                &body,
            )?;
        }
        windows.unwritten = None;
        windows.began = Some(now);
        Ok(())
    }

    /// Drift of the last hour's traffic, the open window included; `None` without any.
    fn drift(&self) -> Result<Option<DriftReport>> {
        // Locked before the snapshot: a window that is closed between the two would be counted twice.
        let windows = self.lock();
        let mut seen = self.monitor.snapshot();
        for (_, window) in &windows.recent {
            seen.merge(window)?;
        }
        drop(windows);
        if seen.rows == 0 {
            return Ok(None);
        }
        drift(self.monitor.reference(), &seen, self.monitor.settings()).map(Some)
    }

    fn lock(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Flushes every model's window to the store.
pub(crate) struct Observer {
    pub(crate) store: Option<Store>,
    pub(crate) clock: fn() -> SystemTime,
}

impl Observer {
    /// Flushes at every period, for ever. A failure is logged and its window kept for the next time.
    pub(crate) async fn flush_regularly(self: Arc<Observer>, state: Arc<State>) {
        let mut ticks = tokio::time::interval(state.settings.observation_period());
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // The first tick is now: it opens the first window.
            ticks.tick().await;
            let (observer, state) = (Arc::clone(&self), Arc::clone(&state));
            let flushed = tokio::task::spawn_blocking(move || observer.flush(&state.endpoints)).await;
            if let Ok(Err(error)) = flushed {
                tracing::error!("observations could not be stored and are kept: {error:?}");
            }
        }
    }

    /// Closes every window and writes those with rows.
    ///
    /// # Errors
    /// The first of the store; what was not written is kept and joined with the next window.
    pub(crate) fn flush(&self, endpoints: &Endpoints) -> Result<()> {
        let now = (self.clock)();
        let mut outcome = Ok(());
        for endpoint in endpoints.iter() {
            if let Some(watch) = &endpoint.watch {
                outcome = outcome.and(watch.flush(endpoint, self.store.as_ref(), now));
            }
        }
        outcome
    }
}

/// Writes drift as gauges. Columns with too few rows to tell have no sample: a gauge that says 0 would be a guess.
pub(crate) fn write_drift(out: &mut Exposition, endpoints: &Endpoints) {
    let mut reports = Vec::new();
    for endpoint in endpoints.iter() {
        match endpoint.watch.as_ref().map(Watch::drift) {
            Some(Ok(Some(report))) => reports.push((endpoint, report)),
            Some(Err(error)) => tracing::error!("drift could not be computed: {error:?}"),
            Some(Ok(None)) | None => {}
        }
    }
    out.family("lepton_drift_rows", "gauge", "Rows of the last hour that drift is computed on.");
    for (endpoint, report) in &reports {
        let version = endpoint.version.to_string();
        out.sample("lepton_drift_rows", &[("model", &endpoint.name), ("version", &version)], report.rows as f64);
    }
    type Read = fn(&ColumnDrift) -> Option<f64>;
    let families: [(&str, &str, Read); 2] = [
        (
            "lepton_drift_value",
            "How far the last hour's values of a column, or its predictions, are from the reference.",
            |drift| drift.value,
        ),
        ("lepton_drift_threshold", "From where on lepton_drift_value counts as drift.", |drift| Some(drift.threshold)),
    ];
    for (name, help, read) in families {
        out.family(name, "gauge", help);
        for (endpoint, report) in &reports {
            let version = endpoint.version.to_string();
            let told = |drift: &&ColumnDrift| drift.drifted.is_some();
            for (side, drifts) in [("input", &report.columns), ("prediction", &report.predictions)] {
                for drift in drifts.iter().filter(told) {
                    let labels = [
                        ("model", endpoint.name.as_str()),
                        ("version", version.as_str()),
                        ("side", side),
                        ("column", drift.column.as_str()),
                        ("statistic", drift.statistic.name()),
                    ];
                    if let Some(value) = read(drift) {
                        out.sample(name, &labels, value);
                    }
                }
            }
        }
    }
}
