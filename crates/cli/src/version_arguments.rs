//! What can be typed after `lepton data` about versions of datasets, and rows that arrive.

use clap::Subcommand;
use std::path::PathBuf;

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum VersionCommand {
    /// Tell what differs between two versions: columns, rows, parts, labels
    Diff {
        /// NAME, NAME@ and the beginning of its hash, a file, a pattern or a folder
        a: String,
        /// The same, to compare with
        b: String,
        /// A column that names a row; may be given several times [default: rows are compared by their content]
        #[arg(long, value_name = "COLUMN")]
        key: Vec<String>,
        /// The column whose distribution is compared [default: that of the dataset's target]
        #[arg(long, value_name = "COLUMN")]
        label: Option<String>,
    },
    /// Tell where a version came from, and which runs and models used it
    Lineage {
        /// Its name, or NAME@ and the beginning of its hash
        name: String,
    },
    /// Append rows to a dataset, as JSON lines; each batch is on the disk before the next one is read
    Ingest {
        /// The dataset; it is made by its first rows
        dataset: String,
        /// A file of JSON lines, or - for standard input
        #[arg(value_name = "FILE")]
        input: Option<PathBuf>,
        /// Make a version of all rows so far
        #[arg(long)]
        commit: bool,
        /// Allow columns that the dataset does not have yet
        #[arg(long)]
        new_columns: bool,
        /// Rows of a batch, which is kept as a whole or not at all
        #[arg(long, value_name = "N", default_value_t = 10_000)]
        batch_rows: usize,
        /// Make a version whenever this many rows are in none
        #[arg(long, value_name = "N", default_value_t = 100_000)]
        seal_rows: u64,
    },
    /// Make a token that may send rows to a dataset over HTTP; it is printed once
    Token {
        /// The dataset
        #[arg(required_unless_present_any = ["list", "revoke"])]
        dataset: Option<String>,
        /// List the tokens instead
        #[arg(long, conflicts_with_all = ["dataset", "revoke"])]
        list: bool,
        /// Take a token back instead
        #[arg(long, value_name = "ID", conflicts_with = "dataset")]
        revoke: Option<String>,
    },
}
