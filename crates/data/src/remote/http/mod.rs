//! HTTP as a client, for downloads and object stores: one connection per request, TLS with checked certificates, no
//! proxy, no redirect that nobody looked at, and no address that `address` does not let through.

mod address;

use super::tls::Tls;
use super::wait::{CONNECT, STALL};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use lepton_core::{Error, ErrorCode, Result};
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Speaks HTTP.
#[derive(Clone, Debug)]
pub(super) struct Client {
    tls: Tls,
    /// Hosts, or `host:port`, that may be reached although their address is not a public one.
    hosts: Vec<String>,
}

impl Client {
    pub(super) fn new(tls: Tls, hosts: Vec<String>) -> Client {
        Client { tls, hosts }
    }

    /// Sends a request whose URI is absolute, and gives the answer's head; the body comes as it is read.
    ///
    /// # Errors
    /// [`ErrorCode::NotAllowed`] for an address that is not a public one; [`ErrorCode::Fetch`] and
    /// [`ErrorCode::Timeout`] for a server that cannot be reached or does not answer.
    pub(super) async fn send<B>(&self, mut request: Request<B>) -> Result<Response<Incoming>>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let uri = request.uri().clone();
        let (Some(host), Some(scheme)) = (uri.host(), uri.scheme_str()) else {
            return Err(Error::internal("a request without a host"));
        };
        let secure = scheme == "https";
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let authority = match uri.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let header = HeaderValue::from_str(&authority)
            .map_err(|source| Error::new(ErrorCode::Config, format!("\"{authority}\" is not a host: {source}")))?;
        request.headers_mut().entry(HOST).or_insert(header);
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        *request.uri_mut() = Uri::try_from(target)
            .map_err(|source| Error::new(ErrorCode::Config, format!("\"{target}\" is not a path: {source}")))?;
        let stream = in_time(CONNECT, &authority, self.connect(host, port)).await?;
        if secure {
            let failed = |source| unreachable(&authority, &source);
            let stream = in_time(CONNECT, &authority, async { self.tls.connect(host, stream).await.map_err(failed) });
            exchange(stream.await?, request, &authority).await
        } else {
            exchange(stream, request, &authority).await
        }
    }

    /// Connects to one of the addresses of the host. They are looked up once, judged, and used as they are.
    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream> {
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let found = tokio::net::lookup_host((name, port)).await.map_err(|source| unreachable(host, &source))?;
        let addresses: Vec<SocketAddr> = found.collect();
        let allowed = self.hosts.iter().any(|allowed| *allowed == name || *allowed == format!("{name}:{port}"));
        if let Some(private) = addresses.iter().find(|address| !allowed && !address::is_public(address.ip())) {
            let message = format!("{host} has the address {}, which is not a public one", private.ip());
            return Err(Error::new(ErrorCode::NotAllowed, message)
                .fix(format!("where that is meant, allow it with --allow-host {name}:{port}")));
        }
        let stream = TcpStream::connect(addresses.as_slice()).await.map_err(|source| unreachable(host, &source))?;
        Ok(stream)
    }
}

async fn exchange<S, B>(stream: S, request: Request<B>, authority: &str) -> Result<Response<Incoming>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::error::Error + Send + Sync,
{
    let failed = |source| unreachable(authority, &source);
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(failed)?;
    // It ends with the answer; what goes wrong on it is told to whoever reads the answer.
    tokio::spawn(connection);
    in_time(STALL, authority, async { sender.send_request(request).await.map_err(failed) }).await
}

async fn in_time<T>(time: std::time::Duration, authority: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    super::wait::within(time, &format!("waiting for {authority}"), work).await?
}

fn unreachable(host: &str, source: &dyn std::error::Error) -> Error {
    let cause = source.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    Error::new(ErrorCode::Fetch, format!("{host} cannot be reached: {source}{cause}"))
        .fix("see whether the server is up and the name is right, then run the same command again")
}
