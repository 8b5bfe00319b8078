//! A flag that long work looks at between steps, so that Ctrl-C and SIGTERM end it cleanly.

use crate::{Error, ErrorCode, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A shared "please stop" flag. Clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    stopped: Arc<AtomicBool>,
}

impl Cancel {
    /// Asks everyone who holds a clone to stop.
    pub fn cancel(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked.
    pub fn is_cancelled(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// An [`ErrorCode::Cancelled`] error once somebody asked; for use with `?` in loops.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(Error::new(ErrorCode::Cancelled, "stopped on request")
                .fix("run the same command again: it continues where this one stopped"));
        }
        Ok(())
    }
}
