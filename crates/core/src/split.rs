//! The parts of a dataset.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Which part of a dataset a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// What is learned from.
    Train,
    /// What decides early stopping and budgets; cut from train when the source has none.
    Valid,
    /// What the final metrics are computed on; never learned from.
    Test,
}

impl Split {
    /// All parts, in order.
    pub const ALL: [Split; 3] = [Split::Train, Split::Valid, Split::Test];

    /// `train`, `valid` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Valid => "valid",
            Split::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
