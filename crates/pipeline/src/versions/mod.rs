//! Versions of datasets: what differs between two, where one came from, and rows that arrive one by one.

mod diff;
mod lineage;
mod side;
mod stream;

pub use diff::{ChangedColumn, DiffOptions, DiffReport, DifferingRow, PartRows, RowDifference, SideView, diff};
pub use lineage::{LineageReport, ModelUse, RepairedSource, RunUse, SourceLineage, lineage};
pub use stream::{StreamThreshold, VersionView, append_rows, check_dataset_name, commit_rows, is_full};

pub(crate) use stream::{collect_stream, has_arrived};
