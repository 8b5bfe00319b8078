//! Where a table is cut into chunks: at rows that their own content chooses, so that a row that is added or removed
//! changes the chunk around it and no other. Versions of a dataset then share all other chunks.

use crate::dataset::Dataset;
use crate::rows::{row_bytes, row_digests};
use arrow_array::RecordBatch;
use lepton_core::{Error, Result, Schema};
use std::io::Cursor;
use std::ops::Range;

/// Bytes of a chunk, on average over long tables.
const MEAN_BYTES: u64 = 64 << 10;

/// A chunk is not cut before it has this many bytes ...
const LEAST_BYTES: u64 = 8 << 10;

/// ... and is cut at the latest when it has this many.
const MOST_BYTES: u64 = 256 << 10;

/// The rows of each chunk. A row ends one with a probability of its bytes over `MEAN_BYTES`, decided by its hash.
///
/// # Errors
/// [`lepton_core::ErrorCode::Internal`] for columns that do not hold their kind.
pub fn chunk_rows(batch: &RecordBatch, schema: &Schema) -> Result<Vec<Range<usize>>> {
    let digests = row_digests(batch, schema, |_| true)?;
    let sizes = row_bytes(batch, schema)?;
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (row, (digest, size)) in digests.iter().zip(sizes).enumerate() {
        bytes += size;
        let [a, b, c, d, ..] = *digest.as_bytes();
        let drawn = u64::from(u32::from_le_bytes([a, b, c, d]));
        let chosen = drawn < (size << 32) / MEAN_BYTES;
        if (chosen && bytes >= LEAST_BYTES) || bytes >= MOST_BYTES {
            chunks.push(start..row + 1);
            (start, bytes) = (row + 1, 0);
        }
    }
    if start < batch.num_rows() {
        chunks.push(start..batch.num_rows());
    }
    Ok(chunks)
}

/// Rows as an Arrow IPC stream: the same rows always give the same bytes, wherever in a table they lie.
///
/// # Errors
/// [`lepton_core::ErrorCode::Internal`] when Arrow refuses.
pub fn write_chunk(batch: &RecordBatch, rows: &Range<usize>) -> Result<Vec<u8>> {
    let wrong = |source| Error::internal(format!("rows cannot be written as Arrow IPC: {source}"));
    // A slice keeps offsets into its table's buffers; taking the rows makes buffers of their own.
    let rows = crate::rows::take_rows(batch, &rows.clone().collect::<Vec<_>>())?;
    let mut writer = arrow_ipc::writer::StreamWriter::try_new(Vec::new(), rows.schema_ref()).map_err(wrong)?;
    writer.write(&rows).and_then(|()| writer.finish()).map_err(wrong)?;
    writer.into_inner().map_err(wrong)
}

/// Reads what [`write_chunk`] wrote.
///
/// # Errors
/// [`lepton_core::ErrorCode::BadData`] for bytes that are no Arrow IPC stream.
pub fn read_chunk(bytes: &[u8]) -> Result<Vec<RecordBatch>> {
    arrow_ipc::reader::StreamReader::try_new(Cursor::new(bytes), None)
        .and_then(Iterator::collect)
        .map_err(crate::ipc::unreadable)
}

/// Chunks in order as one table; an empty one of `schema` where there are none.
///
/// # Errors
/// [`lepton_core::ErrorCode::BadData`] for chunks of different columns.
pub fn join_chunks(schema: &Schema, chunks: &[RecordBatch]) -> Result<RecordBatch> {
    let columns = match chunks.first() {
        Some(first) => first.schema(),
        None => lepton_recipe::raw::arrow_schema(schema),
    };
    arrow_select::concat::concat_batches(&columns, chunks).map_err(crate::ipc::unreadable)
}

impl Dataset {
    /// An empty dataset of that name; readers fill it.
    pub(crate) fn empty(name: &str, schema: Schema, target: &str) -> Dataset {
        Dataset {
            name: name.to_owned(),
            schema,
            target: target.to_owned(),
            parts: std::collections::BTreeMap::new(),
            source: Vec::new(),
            unreadable: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, Float64Array, StringArray};
    use lepton_core::{Column, ColumnKind};
    use std::collections::HashSet;
    use std::sync::Arc;

    fn table(rows: impl Iterator<Item = usize>) -> (RecordBatch, Schema) {
        let rows: Vec<usize> = rows.collect();
        let number: ArrayRef = Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| *row as f64)));
        let text: ArrayRef = Arc::new(StringArray::from_iter_values(
            rows.iter().map(|row| format!("row {row} {}", "x".repeat(row % 50))),
        ));
        let column = |name: &str, kind| Column { name: name.to_owned(), kind, nullable: false };
        let schema = Schema { columns: vec![column("n", ColumnKind::Number), column("t", ColumnKind::Text)] };
        let arrow = lepton_recipe::raw::arrow_schema(&schema);
        (RecordBatch::try_new(arrow, vec![number, text]).unwrap(), schema)
    }

    fn chunks(rows: impl Iterator<Item = usize>) -> Vec<Vec<u8>> {
        let (batch, schema) = table(rows);
        chunk_rows(&batch, &schema).unwrap().iter().map(|rows| write_chunk(&batch, rows).unwrap()).collect()
    }

    #[test]
    fn a_row_more_changes_the_chunk_around_it_only() {
        let rows = 40_000;
        let before: HashSet<Vec<u8>> = chunks(0..rows).into_iter().collect();
        assert!(before.len() > 15, "{} chunks", before.len());
        for place in [0, 1, rows / 3, rows - 1] {
            let after = chunks((0..place).chain([rows + 1]).chain(place..rows));
            let fresh = after.iter().filter(|chunk| !before.contains(*chunk)).count();
            assert!((1..=2).contains(&fresh), "{fresh} of {} chunks are new", after.len());
            let after = chunks((0..rows).filter(|row| *row != place));
            assert!(after.iter().filter(|chunk| !before.contains(*chunk)).count() <= 2);
        }
    }

    #[test]
    fn chunks_join_to_what_they_were() {
        let (batch, schema) = table(0..20_000);
        let mut read = Vec::new();
        for rows in chunk_rows(&batch, &schema).unwrap() {
            read.extend(read_chunk(&write_chunk(&batch, &rows).unwrap()).unwrap());
        }
        assert_eq!(join_chunks(&schema, &read).unwrap(), batch);
        assert_eq!(join_chunks(&schema, &[]).unwrap().num_rows(), 0);
        assert!(read_chunk(b"not arrow").is_err());
    }
}
