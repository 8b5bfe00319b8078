//! Stage 7: the reference that a package carries, the observation of live traffic, and the comparison of the
//! two. When windows open and close, where they are kept and how drift is shown is decided by the server,
//! the store and the command line.

mod drift;
mod observation;
mod reference;
mod settings;
mod statistics;

#[cfg(test)]
mod tests;

pub use drift::{ColumnDrift, DriftReport, Statistic, drift};
pub use observation::{Monitor, Observation};
pub use reference::Reference;
pub use settings::MonitorSettings;
