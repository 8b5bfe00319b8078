//! Named places between two steps of a write at which a test kills its own process, to see what is left.
//! Outside this crate's tests a fault point is nothing.

/// Every fault point, in the order in which a write passes them. The crash test visits each.
#[cfg(test)]
pub(crate) const POINTS: [&str; 15] = [
    "file-written",
    "file-synced",
    "file-renamed",
    "folder-synced",
    "row-written",
    "row-committed",
    "model-copied",
    "model-renamed",
    "model-sealed",
    "checkpoint-saved",
    "checkpoint-trimmed",
    "schema-written",
    "segment-written",
    "segment-synced",
    "segment-sealed",
];

/// Marks a place.
#[cfg(not(test))]
#[inline]
pub(crate) fn point(_: &str) {}

/// Kills this process with SIGKILL when `LEPTON_STORE_FAULT` is `NAME:COUNT` and this is the COUNT-th visit.
#[cfg(test)]
pub(crate) fn point(name: &str) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static VISITS: AtomicU64 = AtomicU64::new(0);
    assert!(POINTS.contains(&name), "{name} is not in the list");
    let Ok(wanted) = std::env::var("LEPTON_STORE_FAULT") else { return };
    let (wanted, count) = wanted.split_once(':').unwrap();
    if wanted == name && VISITS.fetch_add(1, Ordering::SeqCst) + 1 == count.parse::<u64>().unwrap() {
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        loop {
            std::thread::park();
        }
    }
}
