//! Waiting for servers on this thread: one small runtime per call, which ends when the person asks.

use lepton_core::{Cancel, Error, ErrorCode, Result};
use std::future::Future;
use std::time::Duration;

/// How often the wish to stop is looked at while a server is silent.
const POLL: Duration = Duration::from_millis(50);

/// How long a connection may take to be made.
pub(super) const CONNECT: Duration = Duration::from_secs(30);

/// How long a connection to a database is silent before the system asks whether the other side is still there. A query
/// may take its time; a server that is gone is noticed.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(60);

/// How long a server may be silent in the middle of an answer.
pub(super) const STALL: Duration = Duration::from_secs(60);

/// Runs `work` to its end, or until it is cancelled.
pub(super) fn block_on<T>(cancel: &Cancel, work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::new(ErrorCode::Io, format!("cannot wait for a server: {source}")))?;
    runtime.block_on(async {
        tokio::select! {
            biased;
            result = work => result,
            stopped = stopped(cancel) => Err(stopped),
        }
    })
}

async fn stopped(cancel: &Cancel) -> Error {
    loop {
        if let Err(stopped) = cancel.check() {
            return stopped;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// `work` within a time.
pub(super) async fn within<T>(time: Duration, what: &str, work: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(time, work).await.map_err(|_| {
        Error::new(ErrorCode::Timeout, format!("{what} took longer than {} s", time.as_secs()))
            .fix("see whether the server is up and reachable, then run the same command again")
    })
}
