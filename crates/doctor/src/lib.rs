//! Data that can be trusted: what a table or a folder of pictures or sounds holds, what is wrong with it, what would
//! repair it, and the way back.
//!
//! - [`profile`]: one streaming pass of bounded memory over a file, and what it keeps of each column and of all rows.
//! - [`checks`]: from a profile to findings, one file per family of kinds.
//! - [`across`]: what no single column tells: rows held against rows, columns against columns.
//! - [`labels`]: which labels are probably wrong, by confident learning with a model of our own.
//! - [`media`]: pictures and sounds: their profile, findings and repair.
//! - [`rules`]: what a person expects of a table, and whether it is so.
//! - [`repair`]: a plan that a person can edit, its application as a new file with a change log, and undo.
//!
//! Nothing here writes but to the file or scratch folder that it is handed.

pub mod across;
pub mod checks;
mod finding;
pub mod labels;
pub mod media;
pub mod profile;
pub mod repair;
pub mod rules;

pub use finding::{
    Evidence, FileEvidence, Finding, FindingKind, LabelEvidence, Proposal, Severity, Thumbnail, ValueEvidence,
};
