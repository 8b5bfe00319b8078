//! A bound server: the accept loop, the stop, and what is written down at the end.

use crate::actions::Committing;
use crate::endpoint::{Endpoints, ServedModel};
use crate::http::{self, BodyBudget, Guard, Phase, RequestIds};
use crate::metrics::HttpMetrics;
use crate::observe::Observer;
use crate::openapi;
use crate::service::respond;
use crate::settings::ServeSettings;
use crate::state::State;
use lepton_core::{Error, ErrorCode, Result};
use lepton_store::Store;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{sleep, timeout};

/// How long the accept loop rests when the system has no descriptors left.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// How long what does not end by itself is waited for once the time to finish is over.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// A server that holds its port and is ready to run.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    state: Arc<State>,
    observer: Observer,
}

impl Server {
    /// Takes the port and starts the models' queues. With a store, what monitors saw is flushed to it.
    ///
    /// # Errors
    /// Those of [`ServeSettings::address`]; [`ErrorCode::Locked`] when the port is in use; [`ErrorCode::Usage`]
    /// without a model (where no rows are taken either) or with one given twice; [`ErrorCode::Config`] for batch settings that cannot be.
    pub fn bind(models: Vec<ServedModel>, settings: ServeSettings, store: Option<Store>) -> Result<Server> {
        if models.is_empty() && !settings.ingest {
            return Err(Error::new(ErrorCode::Usage, "there is no model to serve").fix("name at least one model"));
        }
        let wanted = settings.address()?;
        let listener = TcpListener::bind(wanted).map_err(|source| cannot_listen(wanted, source))?;
        let address = listener.local_addr().map_err(|source| cannot_listen(wanted, source))?;
        listener.set_nonblocking(true).map_err(|source| cannot_listen(wanted, source))?;
        let mut batch = settings.batch.clone();
        batch.queue_requests = batch.queue_requests.min(settings.limits.queue_requests);
        let description = openapi::description(settings.limits.body_bytes);
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let state = State {
            endpoints: Endpoints::new(models, &batch)?,
            store: store.clone(),
            committing: Committing::default(),
            metrics: HttpMetrics::default(),
            guard: Guard::new(address.ip(), &settings.allowed_hosts),
            request_ids: RequestIds::default(),
            budget: BodyBudget::new(settings.body_memory_bytes),
            authority: address.to_string(),
            openapi: serde_json::to_vec(&description)
                .map_err(|source| Error::internal(format!("the API description cannot be written: {source}")))?,
            phase: watch::Sender::new(Phase::Serving),
            heavy: Arc::new(Semaphore::new(processors)),
            settings,
        };
        let observer = Observer { store, clock: SystemTime::now };
        Ok(Server { listener, address, state: Arc::new(state), observer })
    }

    /// Takes the times of observations from `clock` instead of the system.
    pub fn with_clock(mut self, clock: fn() -> SystemTime) -> Server {
        self.observer.clock = clock;
        self
    }

    /// The address that was bound; its port is the real one where 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is done, then stops in order: not ready, a short grace, no new connections, the
    /// requests under way (for `drain_seconds` at most), the queues, the monitors. Dropping the future stops at
    /// once.
    ///
    /// # Errors
    /// [`ErrorCode::Io`] when the port cannot be handed to the runtime; those of the store when the last
    /// observations cannot be written.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let Server { listener, address, state, observer } = self;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(|source| cannot_listen(address, source))?;
        let seats = Arc::new(Semaphore::new(state.settings.connections));
        let observer = Arc::new(observer);
        let _abort = AbortConnections(Arc::clone(&state));
        let flusher = Task(tokio::spawn(Arc::clone(&observer).flush_regularly(Arc::clone(&state))));
        let door = Task(tokio::spawn(accept(listener, Arc::clone(&state), Arc::clone(&seats))));

        shutdown.await;
        tracing::info!("stopping: not ready, finishing what is under way");
        state.phase.send_replace(Phase::Stopping);
        sleep(state.settings.grace()).await;
        door.stop().await;
        // Every connection holds a seat until it ends.
        let all_seats = state.settings.connections as u32;
        if timeout(state.settings.drain(), seats.acquire_many(all_seats)).await.is_err() {
            tracing::warn!("some requests were not finished within drain_seconds = {}", state.settings.drain_seconds);
            state.phase.send_replace(Phase::Aborting);
            let _ = timeout(LAST_MOMENT, seats.acquire_many(all_seats)).await;
        }
        flusher.stop().await;
        drain_queues(&state).await;
        tokio::task::spawn_blocking(move || observer.flush(&state.endpoints))
            .await
            .map_err(|source| Error::internal(format!("the server could not end in order: {source}")))?
    }
}

/// Ends the models' queues. A run that cannot be interrupted is left behind after a moment, on a thread that keeps
/// what it needs.
async fn drain_queues(state: &Arc<State>) {
    let (done, finished) = oneshot::channel();
    let kept = Arc::clone(state);
    std::thread::spawn(move || {
        kept.endpoints.iter().for_each(|endpoint| endpoint.drain());
        let _ = done.send(());
    });
    if timeout(LAST_MOMENT, finished).await.is_err() {
        tracing::warn!("a model is still computing; its run is left behind");
    }
}

/// Accepts until it is stopped. Each connection is a task that holds a seat.
async fn accept(listener: tokio::net::TcpListener, state: Arc<State>, seats: Arc<Semaphore>) {
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, or a client that left already: neither may end the loop.
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_REST).await;
                continue;
            }
        };
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let _seat = seat;
            let _open = state.metrics.connection_opens();
            let (header, write) = (state.settings.header_timeout(), state.settings.write_stall());
            let phase = state.phase.subscribe();
            http::serve(stream, header, write, phase, |request| respond(Arc::clone(&state), request)).await;
        });
    }
}

/// A task that does not outlive its owner.
struct Task(tokio::task::JoinHandle<()>);

impl Task {
    /// Ends it and waits until it is gone.
    async fn stop(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Ends what connections are left when the server's future ends or is dropped.
struct AbortConnections(Arc<State>);

impl Drop for AbortConnections {
    fn drop(&mut self) {
        self.0.phase.send_replace(Phase::Aborting);
    }
}

fn cannot_listen(address: SocketAddr, source: std::io::Error) -> Error {
    match source.kind() {
        std::io::ErrorKind::AddrInUse => {
            Error::new(ErrorCode::Locked, format!("port {} on {} is in use", address.port(), address.ip()))
                .caused_by(source)
                .fix("stop the program that holds it, or choose another port (0 picks a free one)")
        }
        std::io::ErrorKind::PermissionDenied => {
            Error::new(ErrorCode::Io, format!("the system does not allow port {}", address.port()))
                .caused_by(source)
                .fix("choose a port above 1023")
        }
        _ => Error::new(ErrorCode::Io, format!("cannot listen on {address}: {source}")).caused_by(source),
    }
}
