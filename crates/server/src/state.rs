//! What all connections of one server share.

use crate::actions::Committing;
use crate::endpoint::Endpoints;
use crate::http::{BodyBudget, Guard, Phase, RequestIds};
use crate::metrics::HttpMetrics;
use crate::refusal::Refusal;
use crate::settings::ServeSettings;
use lepton_store::Store;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// Bodies and answers above this size are parsed and written off the connection threads.
pub(crate) const HEAVY_BYTES: usize = 64 * 1024;

pub(crate) struct State {
    pub(crate) settings: ServeSettings,
    pub(crate) endpoints: Endpoints,
    /// Where rows that arrive are kept.
    pub(crate) store: Option<Store>,
    pub(crate) committing: Committing,
    pub(crate) metrics: HttpMetrics,
    pub(crate) guard: Guard,
    pub(crate) request_ids: RequestIds,
    pub(crate) budget: BodyBudget,
    /// `host:port` for examples.
    pub(crate) authority: String,
    pub(crate) openapi: Vec<u8>,
    pub(crate) phase: watch::Sender<Phase>,
    /// As many pieces of heavy work as there are processors: each may hold a decoded picture.
    pub(crate) heavy: Arc<Semaphore>,
}

impl State {
    pub(crate) fn is_ready(&self) -> bool {
        *self.phase.borrow() == Phase::Serving
    }

    /// Runs work that takes milliseconds on a thread of its own, a bounded number at a time.
    pub(crate) async fn off_thread<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, Refusal> + Send + 'static,
    {
        let failed = |_| Refusal::new(500, "the server failed on this request");
        let permit =
            Arc::clone(&self.heavy).acquire_owned().await.map_err(|_| Refusal::new(503, "the server is stopping"))?;
        // The permit goes with the work: when the client leaves, the work still counts until it is over.
        let work = move || {
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(failed)?
    }
}
