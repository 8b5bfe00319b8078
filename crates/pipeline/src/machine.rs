//! What a number was measured on, and the wall clock as text. The only place of the pipeline that asks the
//! operating system about itself.

use lepton_core::Environment;
use std::time::{SystemTime, UNIX_EPOCH};

/// The machine and versions behind this process's numbers.
pub fn environment(threads: usize, backend: &str) -> Environment {
    Environment {
        lepton: env!("CARGO_PKG_VERSION").to_owned(),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        processor: processor(),
        threads,
        backend: backend.to_owned(),
    }
}

/// The processor's own name, with the count of threads that it offers.
fn processor() -> String {
    let name = std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        })
        .unwrap_or_else(|| "unknown processor".to_owned());
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{name}, {count} threads")
}

/// Bytes of this machine's memory, where the system says it.
pub(crate) fn memory_bytes() -> Option<u64> {
    kilobytes("/proc/meminfo", "MemTotal:")
}

/// The most memory that this process has held so far, in bytes, where the system says it (`VmHWM`).
pub(crate) fn peak_memory_bytes() -> Option<u64> {
    kilobytes("/proc/self/status", "VmHWM:")
}

/// A line of `kB` in a file of the system.
fn kilobytes(file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|count| count * 1024)
}

/// The time now, RFC 3339 in UTC, to the second.
pub fn now_utc() -> String {
    lepton_data::moment_text(now())
}

/// The time now, in seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
