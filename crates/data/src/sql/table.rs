//! What a query can name: a file, or the rows of a dataset.

use crate::dataset::Dataset;
use crate::scan::{Chunk, Scan, ScanOptions, TableFormat, Work};
use arrow_array::RecordBatch;
use lepton_core::{Digest, Result, Schema, Split};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The column that says to which part of a dataset a row belongs, where it has none of that name.
pub(super) const SPLIT: &str = "split";

/// A table that a query can name.
#[derive(Clone)]
pub struct SqlTable {
    columns: Vec<String>,
    pub(super) rows: Rows,
}

/// Where the rows are.
#[derive(Clone)]
pub(super) enum Rows {
    File { path: PathBuf, options: Box<ScanOptions> },
    Dataset { schema: Schema, parts: Vec<(Split, RecordBatch)>, digest: Digest },
}

/// A table that was read.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct LoadedTable {
    /// Its name in the query.
    pub name: String,
    /// The hash of the file, or of the dataset's content.
    pub sha256: Digest,
    /// Rows.
    pub rows: u64,
    /// The columns that the query reads.
    pub columns: Vec<String>,
}

impl SqlTable {
    /// A file. Of JSON, all its rows are read for their keys.
    ///
    /// # Errors
    /// Those of [`Scan::open`] and [`Scan::fold`].
    pub fn file(path: &Path, options: &ScanOptions, how: &Work<'_>) -> Result<SqlTable> {
        let scan = Scan::open(path, options)?;
        let columns = match scan.names() {
            Some(names) => names,
            None => json_keys(scan, how)?,
        };
        Ok(SqlTable { columns, rows: Rows::File { path: path.to_path_buf(), options: Box::new(options.clone()) } })
    }

    /// The rows of a dataset, all parts after each other, with a column `split` unless it has one of that name.
    /// Pictures, what is marked on them and series are no columns.
    ///
    /// # Errors
    /// [`lepton_core::ErrorCode::Internal`] for rows that do not have the schema's columns.
    pub fn dataset(dataset: Dataset) -> Result<SqlTable> {
        let digest = dataset.digest()?;
        let mut schema = dataset.schema;
        schema.columns.retain(|column| column.kind.is_cell());
        let mut columns: Vec<String> = schema.columns.iter().map(|column| column.name.clone()).collect();
        if !columns.iter().any(|name| name.eq_ignore_ascii_case(SPLIT)) {
            columns.push(SPLIT.to_owned());
        }
        Ok(SqlTable { columns, rows: Rows::Dataset { schema, parts: dataset.parts.into_iter().collect(), digest } })
    }

    /// The names of its columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Whether it is text of a format that does not tell numbers from texts.
    pub(super) fn is_csv(&self) -> bool {
        matches!(&self.rows, Rows::File { path, options }
            if options.format.or_else(|| TableFormat::of(path)) == Some(TableFormat::Csv))
    }
}

fn json_keys(scan: Scan, how: &Work<'_>) -> Result<Vec<String>> {
    let (mut names, seen) = (Vec::new(), Mutex::new(BTreeSet::new()));
    scan.fold(
        how,
        |chunk: Chunk| Ok(chunk.names().to_vec()),
        |_, more| {
            let mut seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            for name in more {
                if seen.insert(name.clone()) {
                    names.push(name);
                }
            }
            Ok(())
        },
    )?;
    Ok(names)
}
