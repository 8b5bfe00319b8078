//! How long one row takes: the figure that `lepton tune` makes small, and that `lepton advise` predicts.

use lepton_core::{Cancel, Error, Result, Tensor};
use lepton_nn::Network;
use lepton_runtime::{Engine, SessionOptions};
use std::time::{Duration, Instant};

/// Untimed runs before the timed ones.
const WARM_UP: usize = 5;

/// When the timed runs end at the latest.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a network runs on an engine of this machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Served {
    /// Bytes of its ONNX file.
    pub(crate) onnx_bytes: u64,
    /// Median seconds of one row.
    pub(crate) latency: f64,
}

/// The ONNX file of `network` on `engine`, with one row of its input, `[1, ...]`, `repeats` times after a warm-up.
///
/// # Errors
/// What the export and the engine report; [`lepton_core::ErrorCode::Cancelled`].
pub(crate) fn measure(
    network: &Network,
    engine: &dyn Engine,
    (name, row): (&str, &Tensor),
    threads: usize,
    repeats: usize,
    cancel: &Cancel,
) -> Result<Served> {
    let onnx = network.to_onnx()?;
    let options = SessionOptions { threads: Some(threads), ..SessionOptions::default() };
    let session = engine.load(&onnx, &options)?;
    let row = vec![(name.to_owned(), row.clone())];
    for _ in 0..WARM_UP {
        session.run(&row)?;
    }
    let (began, mut times) = (Instant::now(), Vec::new());
    while times.len() < repeats.max(1) && (times.is_empty() || began.elapsed() < PATIENCE) {
        cancel.check()?;
        let started = Instant::now();
        session.run(&row)?;
        times.push(started.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    let latency = times.get(times.len() / 2).copied().ok_or_else(|| Error::internal("nothing was timed"))?;
    Ok(Served { onnx_bytes: onnx.len() as u64, latency })
}
