//! One HTTP/1.1 connection: timeouts that are really armed, a write that may not stall, and the two ways to end it.
//!
//! HTTP/2 is not spoken: over plain text only clients with prior knowledge would use it.

use super::{Answer, Whole};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io::{Error, ErrorKind, IoSlice};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep};

/// Bytes of a request's header, its first line included.
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// How long a connection stays open for a request that was on its way when the server began to stop.
const LINGER: Duration = Duration::from_millis(250);

/// Where the server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Requests are welcome.
    Serving,
    /// Not ready any more; what is under way is finished.
    Stopping,
    /// The time to finish is over.
    Aborting,
}

/// Serves one connection until it ends, its client stalls, or the server stops.
pub(crate) async fn serve<F, R>(
    stream: TcpStream,
    header_timeout: Duration,
    write_stall: Duration,
    mut phase: watch::Receiver<Phase>,
    respond: F,
) where
    F: Fn(Request<Incoming>) -> R,
    R: Future<Output = Response<Whole>>,
{
    // An answer is one write; waiting for more bytes would only delay it.
    let _ = stream.set_nodelay(true);
    let io = StallGuard { inner: TokioIo::new(stream), allowance: write_stall, stalled: None };
    let service = service_fn(|request| {
        let response = respond(request);
        async { Ok::<_, Infallible>(unpanicked(response).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_header_size(MAX_HEADER_BYTES)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut aborted = phase.clone();
    let serve = async {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            _ = phase.wait_for(|phase| *phase >= Phase::Stopping) => {}
        }
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = sleep(LINGER) => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    tokio::select! {
        ended = serve => if let Err(error) = ended { tracing::debug!(%error, "a connection ended early") },
        _ = aborted.wait_for(|phase| *phase == Phase::Aborting) => {}
    }
}

/// A panic in a handler becomes this request's 500; the connection and all others go on.
async fn unpanicked(response: impl Future<Output = Response<Whole>>) -> Response<Whole> {
    let mut response = pin!(response);
    std::future::poll_fn(|context| {
        std::panic::catch_unwind(AssertUnwindSafe(|| response.as_mut().poll(context))).unwrap_or_else(|_| {
            tracing::error!("a request handler panicked");
            let answer = Answer::json_with(500, &serde_json::json!({"error": "the server failed on this request"}));
            Poll::Ready(answer.into_response())
        })
    })
    .await
}

/// A stream on which a write that makes no progress for a while is an error, so that a client that never reads
/// cannot hold memory for ever.
struct StallGuard {
    inner: TokioIo<TcpStream>,
    allowance: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl StallGuard {
    fn watch<T>(&mut self, progress: Poll<Result<T, Error>>, context: &mut Context<'_>) -> Poll<Result<T, Error>> {
        if progress.is_ready() {
            self.stalled = None;
            return progress;
        }
        let allowance = self.allowance;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(allowance)));
        match stalled.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client does not read its answer"))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Read for StallGuard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl Write for StallGuard {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        let progress = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.watch(progress, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        let progress = Pin::new(&mut self.inner).poll_write_vectored(context, pieces);
        self.watch(progress, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let progress = Pin::new(&mut self.inner).poll_flush(context);
        self.watch(progress, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
