//! Stops runs that pass their deadline. One sleeping thread per session; arming it costs one uncontended lock.

use lepton_core::{Error, Result};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Calls its `stop` closure when an armed run outlives the budget.
pub(crate) struct Watchdog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Default)]
struct State {
    since: Option<Instant>,
    fired: bool,
    parked: bool,
    closing: bool,
}

impl Watchdog {
    /// A watchdog that calls `stop` once for each run longer than `budget`.
    pub(crate) fn new(budget: Duration, stop: impl Fn() + Send + 'static) -> Result<Watchdog> {
        let shared = Arc::new(Shared { state: Mutex::default(), woken: Condvar::new() });
        let watched = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("lepton-deadline".to_owned())
            .spawn(move || watched.watch(budget, stop))
            .map_err(|source| Error::internal(format!("cannot start the deadline thread: {source}")))?;
        Ok(Watchdog { shared, thread: Some(thread) })
    }

    /// A run begins.
    pub(crate) fn arm(&self) {
        let mut state = self.shared.lock();
        state.since = Some(Instant::now());
        state.fired = false;
        if state.parked {
            self.shared.woken.notify_one();
        }
    }

    /// The run ended; `true` when it was stopped.
    pub(crate) fn disarm(&self) -> bool {
        let mut state = self.shared.lock();
        state.since = None;
        state.fired
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Short runs come and go while this thread sleeps: it looks every eighth of the budget and parks when
    /// nothing ran, so that an idle session costs nothing and a busy one a few wake-ups.
    fn watch(&self, budget: Duration, stop: impl Fn()) {
        let slice = (budget / 8).clamp(Duration::from_millis(1), Duration::from_secs(1));
        let mut state = self.lock();
        while !state.closing {
            match state.since {
                None => {
                    state.parked = true;
                    state = self.woken.wait(state).unwrap_or_else(PoisonError::into_inner);
                    state.parked = false;
                    continue;
                }
                Some(since) if !state.fired && since.elapsed() >= budget => {
                    state.fired = true;
                    stop();
                }
                Some(_) => {}
            }
            state = self.woken.wait_timeout(state, slice).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.woken.notify_one();
        if let Some(thread) = self.thread.take() {
            // Its closure cannot panic; there is nothing to report.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn only_a_long_run_is_stopped_and_once() {
        let stops = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&stops);
        let watchdog = Watchdog::new(Duration::from_millis(200), move || {
            counted.fetch_add(1, Ordering::SeqCst);
        })
        .unwrap();
        for _ in 0..50 {
            watchdog.arm();
            assert!(!watchdog.disarm());
        }
        watchdog.arm();
        std::thread::sleep(Duration::from_millis(900));
        assert!(watchdog.disarm());
        assert_eq!(stops.load(Ordering::SeqCst), 1);
        watchdog.arm();
        assert!(!watchdog.disarm());
    }
}
