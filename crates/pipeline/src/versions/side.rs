//! One side of a comparison: a dataset version of the store, or a file or folder, as typed columns by part.

use crate::artifact::Collected;
use crate::stages::parts;
use arrow_array::RecordBatch;
use lepton_core::{Cancel, Digest, Error, ErrorCode, Limits, Progress, Result, Schema, Split};
use lepton_data::CollectSettings;
use lepton_store::Store;
use std::collections::BTreeMap;
use std::path::Path;

/// Data with the name that a person typed for it.
pub(super) struct Side {
    pub(super) name: String,
    pub(super) digest: Digest,
    pub(super) schema: Schema,
    pub(super) target: Option<String>,
    pub(super) parts: BTreeMap<Split, RecordBatch>,
}

impl Side {
    /// Loads what `name` says: a path that is there, or a pattern, else a version of the store. `like` gives the kinds
    /// of columns, so that a file is read as the version that it is held against.
    pub(super) fn load(
        store: &Store,
        name: &str,
        like: Option<&Schema>,
        limits: &Limits,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Side> {
        if Path::new(name).exists() || name.contains(['*', '/']) {
            let columns: BTreeMap<_, _> = like
                .iter()
                .flat_map(|schema| &schema.columns)
                .map(|column| (column.name.clone(), column.kind))
                .collect();
            let settings = CollectSettings { path: Some(name.into()), columns, ..CollectSettings::default() };
            let data = lepton_data::read_any(&settings, Path::new(""), limits, progress, cancel)?;
            let (digest, target) = (data.digest()?, Some(data.target).filter(|target| !target.is_empty()));
            return Ok(Side { name: name.to_owned(), digest, schema: data.schema, target, parts: data.parts });
        }
        let record = store.dataset(name)?;
        let collected: Collected = serde_json::from_value(record.manifest).map_err(|_| {
            Error::new(ErrorCode::Unsupported, format!("\"{name}\" is a repaired table, whose rows are in its file"))
                .fix("name that file")
        })?;
        let mut loaded = BTreeMap::new();
        for split in collected.parts.keys() {
            loaded.insert(*split, parts::load(store, &collected.parts, *split)?);
        }
        Ok(Side {
            name: format!("{}@{}", record.name, record.digest.short()),
            digest: record.digest,
            schema: collected.schema,
            target: Some(collected.target).filter(|target| !target.is_empty()),
            parts: loaded,
        })
    }

    pub(super) fn rows(&self) -> usize {
        self.parts.values().map(RecordBatch::num_rows).sum()
    }
}
