//! TLS towards servers: 1.2 or 1.3, the server's certificate always checked, against the built-in roots (Mozilla's list)
//! or against a file of the person's own.

use lepton_core::{Error, ErrorCode, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Whom to trust.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    pub(super) configuration: Arc<ClientConfig>,
    /// The file of roots, where the person named one.
    pub(super) file: Option<PathBuf>,
}

/// Trust in the built-in roots or, where `file` is given, in its certificates alone.
pub(super) fn configuration(file: Option<&Path>) -> Result<Tls> {
    let mut roots = RootCertStore::empty();
    match file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let wrong = |message: String| Error::new(ErrorCode::Config, message).in_file(path).at_key("collect.tls_ca");
            let text = std::fs::read(path)
                .map_err(|source| Error::io("read the certificates", path, source).at_key("collect.tls_ca"))?;
            for certificate in CertificateDer::pem_slice_iter(&text) {
                certificate
                    .map_err(|source| wrong(format!("this is not a PEM file: {source}")))
                    .and_then(|certificate| roots.add(certificate).map_err(|source| wrong(source.to_string())))?;
            }
            if roots.is_empty() {
                return Err(wrong("the file has no certificates".to_owned()));
            }
        }
    }
    let configuration = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(Tls { configuration: Arc::new(configuration), file: file.map(Path::to_path_buf) })
}

impl Tls {
    /// Speaks TLS with `host` over `stream`.
    pub(super) async fn connect<S>(&self, host: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let plain = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(plain).map_err(io::Error::other)?;
        TlsConnector::from(Arc::clone(&self.configuration)).connect(name, stream).await
    }
}

/// TLS for one connection to PostgreSQL.
pub(super) struct Handshake {
    tls: Tls,
    host: String,
}

impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Encrypted<S>;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<Handshake> {
        Ok(Handshake { tls: self.clone(), host: host.to_owned() })
    }
}

impl<S> TlsConnect<S> for Handshake
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { self.tls.connect(&self.host, stream).await.map(Encrypted) })
    }
}

/// An encrypted stream as PostgreSQL's client wants it. The password is not bound to the channel: the certificate was
/// checked.
pub(super) struct Encrypted<S>(TlsStream<S>);

impl<S> tokio_postgres::tls::TlsStream for Encrypted<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
