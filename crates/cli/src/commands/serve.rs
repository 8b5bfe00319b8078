//! `lepton serve`, and the end of `lepton run --serve`.

use super::Session;
use crate::arguments::Address;
use crate::interrupt::stop_signal;
use crate::terminal;
use lepton_core::{Error, ErrorCode, ModelRef, Result};
use lepton_monitor::{Monitor, MonitorSettings};
use lepton_server::{ServeSettings, ServedModel, Server};
use std::sync::Arc;

pub(super) fn serve(
    session: &Session,
    models: &[ModelRef],
    address: &Address,
    engine: Option<&str>,
    ingest: bool,
) -> Result<u8> {
    let settings = ServeSettings { host: address.host.clone(), port: address.port, ingest, ..ServeSettings::default() };
    // A wrong address is said before models are loaded.
    settings.address()?;
    let mut served = Vec::new();
    for model in models {
        let loaded = session.load(model, engine, &settings.limits)?;
        terminal::say(&format!("{}@{} on {}", loaded.name, loaded.version, loaded.model.engine_name()));
        let monitor = loaded.reference.map(|reference| Arc::new(Monitor::new(reference, MonitorSettings::default())));
        served.push(ServedModel { name: loaded.name, version: loaded.version, model: loaded.model, monitor });
    }
    let failed = |source: std::io::Error| Error::new(ErrorCode::Io, format!("cannot start the server: {source}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let server = Server::bind(served, settings, Some(session.store.clone()))?;
        terminal::say(&format!("listening on http://{} (Ctrl-C or SIGTERM stops it)", server.local_addr()));
        server
            .run(async {
                // Without a way to hear the signal, the default action of the signal ends the process.
                if stop_signal().await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
            .await
    })?;
    Ok(0)
}
