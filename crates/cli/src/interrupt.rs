//! Ctrl-C and SIGTERM: the first asks the work to stop cleanly, the second ends the process at once.

use lepton_core::{Cancel, Error, ErrorCode, Result};
use tokio::signal::unix::{SignalKind, signal};

/// A flag that the first signal sets.
pub(crate) fn cancel_on_signal() -> Result<Cancel> {
    let cancel = Cancel::default();
    let flag = cancel.clone();
    let failed = |source: std::io::Error| Error::new(ErrorCode::Io, format!("cannot watch for signals: {source}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                if stop_signal().await.is_ok() {
                    crate::terminal::say("stopping after this step; press again to stop at once");
                    flag.cancel();
                }
                if stop_signal().await.is_ok() {
                    std::process::exit(130);
                }
            });
        })
        .map_err(failed)?;
    Ok(cancel)
}

/// Ends when SIGINT or SIGTERM arrives.
pub(crate) async fn stop_signal() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}
