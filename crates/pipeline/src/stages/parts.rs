//! Splits in the store: chunks of Arrow IPC that other versions share, and one small index blob for each split.

use crate::artifact::Part;
use arrow_array::RecordBatch;
use lepton_core::{Digest, Error, ErrorCode, Result, Schema, Split};
use lepton_store::{ChunkPlace, Store};
use std::collections::{BTreeMap, BTreeSet};

/// Stores every split; what is there already is not stored again.
pub(crate) fn save(
    store: &Store,
    parts: &BTreeMap<Split, RecordBatch>,
    schema: &Schema,
) -> Result<BTreeMap<Split, Part>> {
    let mut saved = BTreeMap::new();
    for (split, batch) in parts {
        saved.insert(*split, save_part(store, batch, schema)?);
    }
    Ok(saved)
}

/// Stores one.
pub(crate) fn save_part(store: &Store, batch: &RecordBatch, schema: &Schema) -> Result<Part> {
    let rows = lepton_data::chunk_rows(batch, schema)?;
    let chunks = store.put_chunks(rows.iter().map(|rows| lepton_data::write_chunk(batch, rows)))?;
    let index = serde_json::to_vec(&(schema, &chunks))
        .map_err(|source| Error::internal(format!("an index cannot be written: {source}")))?;
    let packs: BTreeSet<Digest> = chunks.iter().map(|chunk| chunk.pack).collect();
    let blob = store.blobs().put_bytes(&index)?;
    Ok(Part { rows: batch.num_rows(), blob, packs: packs.into_iter().collect() })
}

/// Loads one split, checking the hash of every chunk.
pub(crate) fn load(store: &Store, parts: &BTreeMap<Split, Part>, split: Split) -> Result<RecordBatch> {
    let part = parts.get(&split).ok_or_else(|| Error::internal(format!("there is no {split} split")))?;
    load_part(store, part)
}

/// Loads a part, checking the hash of every chunk.
pub(crate) fn load_part(store: &Store, part: &Part) -> Result<RecordBatch> {
    let index = store.blobs().get(&part.blob)?;
    let (schema, chunks): (Schema, Vec<ChunkPlace>) = serde_json::from_slice(&index).map_err(|source| {
        Error::new(ErrorCode::Integrity, format!("the index of a split cannot be read: {source}"))
            .fix("run the same command again: the stage that made it is run again")
    })?;
    let mut rows = Vec::with_capacity(chunks.len());
    store.read_chunks(&chunks, |bytes| {
        rows.extend(lepton_data::read_chunk(bytes)?);
        Ok(())
    })?;
    lepton_data::join_chunks(&schema, &rows)
}
