//! Why an item could not be read.

use serde::Serialize;

/// Why an item could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Which kind of reason.
    pub kind: FaultKind,
    /// The decoder's words, or ours.
    pub reason: String,
}

/// Kinds of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// No bytes.
    Empty,
    /// Not what its name says, nor anything else that is read.
    Foreign,
    /// It starts well and breaks off, or what is inside is damaged.
    Damaged,
    /// Past a limit; not decoded.
    TooLarge,
    /// The system would not give its bytes.
    Unreadable,
}

impl Fault {
    pub(crate) fn new(kind: FaultKind, reason: impl Into<String>) -> Fault {
        Fault { kind, reason: reason.into() }
    }
}
