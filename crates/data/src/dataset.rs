//! The collected dataset: typed columns by part, where they came from, and the digest that names their content.

use crate::rows::row_digests;
use arrow_array::RecordBatch;
use lepton_core::{Digest, Hasher, Result, Schema, Split};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Data in memory, one record batch per part; columns as [`lepton_core::ColumnKind`] says, in the schema's order.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// A name for people: the catalogue's, or that of the file or folder.
    pub name: String,
    /// All columns, the target among them.
    pub schema: Schema,
    /// The column to predict.
    pub target: String,
    /// The rows. A source without a part lacks its key.
    pub parts: BTreeMap<Split, RecordBatch>,
    /// The files that were read.
    pub source: Vec<SourceFile>,
    /// The files that could not be read and were left out.
    pub unreadable: Vec<Unreadable>,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// Where it lies; for a file of the catalogue, its path inside the package.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The hash of its bytes.
    pub sha256: Digest,
}

/// A file that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unreadable {
    /// Where it lies.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

impl Dataset {
    /// How many rows a part has; 0 where it is not there.
    pub fn rows(&self, split: Split) -> usize {
        self.parts.get(&split).map_or(0, RecordBatch::num_rows)
    }

    /// The dataset without what is marked on its pictures, and the names of those columns: for tasks that predict a
    /// class of each picture.
    ///
    /// # Errors
    /// [`lepton_core::ErrorCode::Internal`] for rows that do not have the schema's columns.
    pub fn without_marks(mut self) -> Result<(Dataset, Vec<String>)> {
        let is_marks = |column: &lepton_core::Column| column.kind.is_marks();
        let dropped: Vec<String> =
            self.schema.columns.iter().filter(|column| is_marks(column)).map(|column| column.name.clone()).collect();
        if dropped.is_empty() {
            return Ok((self, dropped));
        }
        let kept: Vec<usize> =
            (0..self.schema.columns.len()).filter(|place| !is_marks(&self.schema.columns[*place])).collect();
        for part in self.parts.values_mut() {
            *part = part
                .project(&kept)
                .map_err(|source| lepton_core::Error::internal(format!("columns cannot be picked: {source}")))?;
        }
        self.schema.columns.retain(|column| !is_marks(column));
        Ok((self, dropped))
    }

    /// The SHA-256 of the content: schema, target and the values of every part in order. Names, paths and file
    /// formats do not enter, so the same rows from a CSV and a Parquet file have one digest.
    pub fn digest(&self) -> Result<Digest> {
        let mut hasher = Hasher::default();
        hasher.update(Digest::of_json(&(&self.schema, &self.target))?.as_bytes());
        for (split, part) in &self.parts {
            hasher.update(split.name());
            hasher.update((part.num_rows() as u64).to_le_bytes());
            for digest in row_digests(part, &self.schema, |_| true)? {
                hasher.update(digest.as_bytes());
            }
        }
        Ok(hasher.finish())
    }
}
