//! Splits as blobs: Arrow IPC files in the blob store.

use crate::artifact::Part;
use arrow_array::RecordBatch;
use lepton_core::{Error, Result, Split};
use lepton_store::Store;
use std::collections::BTreeMap;

/// Stores every split.
pub(crate) fn save(store: &Store, parts: &BTreeMap<Split, RecordBatch>) -> Result<BTreeMap<Split, Part>> {
    let mut saved = BTreeMap::new();
    for (split, batch) in parts {
        saved.insert(*split, save_part(store, batch)?);
    }
    Ok(saved)
}

/// Stores one.
pub(crate) fn save_part(store: &Store, batch: &RecordBatch) -> Result<Part> {
    let blob = store.blobs().put_with(|writer| lepton_data::write_ipc(batch, writer))?;
    Ok(Part { rows: batch.num_rows(), blob })
}

/// Loads one split, checking its hash.
pub(crate) fn load(store: &Store, parts: &BTreeMap<Split, Part>, split: Split) -> Result<RecordBatch> {
    let part = parts.get(&split).ok_or_else(|| Error::internal(format!("there is no {split} split")))?;
    load_part(store, part)
}

/// Loads a part, checking its hash.
pub(crate) fn load_part(store: &Store, part: &Part) -> Result<RecordBatch> {
    lepton_data::read_ipc(&store.blobs().get(&part.blob)?)
}
