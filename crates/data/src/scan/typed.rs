//! A dataset's rows as chunks, so that what looks at files looks at datasets too. Pictures and series are no cells and
//! are left out.

use super::chunk::{CellKind, Cells, Chunk, Lines, Span};
use crate::rows::TypedColumn;
use arrow_array::{Array, Float64Array, RecordBatch};
use lepton_core::{Error, Result, Schema};
use std::sync::Arc;

/// Rows of a chunk, at most.
const ROWS: usize = 1 << 16;

/// Bytes of a chunk's texts, but for its last row; a chunk addresses 4 GiB.
const BYTES: usize = 64 << 20;

/// Gives the number and text columns of `batch` to `each`, chunk by chunk in the order of the rows. Texts are
/// [`CellKind::Untyped`]: a category may be written in digits.
///
/// # Errors
/// Those of `each`; [`lepton_core::ErrorCode::Internal`] for a batch that is not of this schema.
pub fn typed_chunks(batch: &RecordBatch, schema: &Schema, mut each: impl FnMut(Chunk) -> Result<()>) -> Result<()> {
    let kept: Vec<_> = schema.columns.iter().filter(|column| column.kind.is_cell()).collect();
    let names: Arc<[String]> = kept.iter().map(|column| column.name.clone()).collect();
    let columns: Vec<TypedColumn<'_>> =
        kept.iter().map(|column| TypedColumn::new(batch, &column.name, column.kind)).collect::<Result<_>>()?;
    let bytes_of = |row: usize| -> usize {
        let bytes = |column: &TypedColumn<'_>| match column {
            TypedColumn::Text(values) if values.is_valid(row) => values.value_length(row) as usize,
            _ => 0,
        };
        columns.iter().map(bytes).sum()
    };
    let mut start = 0;
    while start < batch.num_rows() {
        let (mut end, mut bytes) = (start, 0);
        while end < batch.num_rows() && end - start < ROWS && bytes < BYTES {
            bytes += bytes_of(end);
            end += 1;
        }
        let mut text = String::with_capacity(bytes);
        let mut cells = Vec::with_capacity(columns.len());
        for column in &columns {
            cells.push(match column {
                TypedColumn::Number(values) => Cells::Numbers(slice(values, start, end)),
                TypedColumn::Text(values) => Cells::Spans(
                    (start..end)
                        .map(|row| {
                            let value = if values.is_valid(row) { values.value(row) } else { "" };
                            if value.is_empty() {
                                return Span::MISSING;
                            }
                            text.push_str(value);
                            Span::new(CellKind::Untyped, text.len() - value.len(), value.len())
                        })
                        .collect(),
                ),
                TypedColumn::Image(_) | TypedColumn::Series(_) | TypedColumn::Marks(_) => {
                    return Err(Error::internal("a picture or a series is no cell"));
                }
            });
        }
        each(Chunk {
            names: Arc::clone(&names),
            text,
            columns: cells,
            rows: end - start,
            lines: Lines::Each,
            line_count: (end - start) as u64,
            ragged: Vec::new(),
            ignored: Vec::new(),
            ends: Vec::new(),
        })?;
        start = end;
    }
    Ok(())
}

fn slice(values: &Float64Array, start: usize, end: usize) -> Float64Array {
    values.slice(start, end - start)
}
