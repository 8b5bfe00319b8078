//! Stages one to three of a run: collect a [`Dataset`] from files or the catalogue, prepare it (validate, remove
//! duplicates, split), augment it and hand it to training batch by batch.
//!
//! Start with [`collect`], [`prepare`] and [`Loader`]. Fitted preprocessing lives in lepton-recipe; nothing here
//! writes outside of the scratch folder that [`catalogue::fetch`] and [`remote::stage`] are given.

pub mod augment;
pub mod catalogue;
mod chunking;
mod collect;
mod dataset;
mod ipc;
mod loader;
mod moment;
mod one_to_one;
mod paths;
mod prepare;
pub mod remote;
mod rows;
pub mod scan;
mod settings;
mod source;
pub mod sql;
mod stream;

pub use augment::{AugmentSettings, Augmenter, Sample, Step, StepSettings};
pub use chunking::{chunk_rows, join_chunks, read_chunk, write_chunk};
pub use collect::{collect, read_any, read_files, table_names};
pub use dataset::{Dataset, SourceFile, Unreadable};
pub use ipc::{read_ipc, write_ipc};
pub use loader::{Batch, CACHE_BYTES, Epoch, Loader};
pub use moment::{moment_text, parse_moment};
pub use one_to_one::{OneToOne, SameInOtherWords};
pub use paths::Paths;
pub use prepare::{
    CellText, DomainSettings, Finding, FindingKind, Fold, LeakPolicy, PrepareReport, PrepareSettings, RowCounts,
    Severity, SplitMethod, TargetDomain, prepare, prepare_domains, prepare_without,
};
pub use rows::{canonical_digests, cell_text};
pub use settings::{CollectSettings, Format, PartsPolicy, UnreadablePolicy};
pub use source::{IdxPictures, hash_file, idx_files, idx_header, idx_labels};
pub use stream::{FittingLines, StreamColumn, StreamKind, StreamSchema, fit_lines};
