//! A record batch of a binary format as a chunk of cells. Parquet and Arrow IPC share it.

use super::chunk::{Cells, Chunk, Lines, Span};
use super::{CellKind, Misread, Names, check_cell};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch};
use arrow_cast::{CastOptions, cast, cast_with_options};
use arrow_schema::{ArrowError, DataType};
use lepton_core::{Error, ErrorCode, Limits, Result};

/// Rows that are converted at once.
pub(super) const BATCH: usize = 1 << 16;

/// Integers up to here have the same value as a 64-bit float.
const EXACT: u64 = 1 << 53;

/// The cells of a batch, whose columns are `names`.
pub(super) fn chunk(batch: &RecordBatch, names: &Names, limits: &Limits) -> Result<Chunk, Misread> {
    let mut text = String::new();
    let mut columns = Vec::with_capacity(names.len());
    for (name, array) in names.iter().zip(batch.columns()) {
        columns.push(cells(array, &mut text, limits).map_err(|mut misread| {
            misread.error = misread.error.at_column(name);
            misread
        })?);
    }
    let rows = batch.num_rows();
    Ok(Chunk {
        names: names.clone(),
        text,
        columns,
        rows,
        lines: Lines::Each,
        line_count: rows as u64,
        ragged: Vec::new(),
        ignored: Vec::new(),
        ends: Vec::new(),
    })
}

/// The type of a column whose zone has a name, as Parquet's and pandas' `UTC`, with an offset in its place. Its values
/// are moments of UTC whatever the zone, and tables of zones are not in this build, so they are read and written as UTC.
pub(super) fn without_zone_name(kind: &DataType) -> Option<DataType> {
    match kind {
        DataType::Timestamp(unit, Some(zone)) if !zone.starts_with(['+', '-']) => {
            Some(DataType::Timestamp(*unit, Some("+00:00".into())))
        }
        _ => None,
    }
}

/// Moments under another name of their zone.
pub(super) fn renamed_zone(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    cast(&cast(array, &DataType::Int64)?, to)
}

fn cells(array: &ArrayRef, text: &mut String, limits: &Limits) -> Result<Cells, Misread> {
    let renamed;
    let array = match without_zone_name(array.data_type()) {
        Some(kind) => {
            renamed = renamed_zone(array, &kind)
                .map_err(|source| Error::internal(format!("moments cannot be read: {source}")))?;
            &renamed
        }
        None => array,
    };
    let cast = |to: &DataType| {
        cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() }).map_err(|source| {
            Error::new(ErrorCode::BadData, format!("{} values cannot be converted: {source}", array.data_type()))
        })
    };
    let is_text = |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let kind = match array.data_type() {
        kind if kind.is_numeric() && is_exact(array) => {
            return Ok(Cells::Numbers(cast(&DataType::Float64)?.as_primitive::<Float64Type>().clone()));
        }
        kind if kind.is_numeric() => CellKind::Number,
        DataType::Null => return Ok(Cells::Numbers(Float64Array::new_null(array.len()))),
        DataType::Boolean => CellKind::Boolean,
        kind if is_text(kind) || kind.is_temporal() => CellKind::Text,
        DataType::Dictionary(_, kind) if is_text(kind) => CellKind::Text,
        other => {
            let error = Error::new(ErrorCode::Unsupported, format!("columns of type {other} are not supported"));
            return Err(error.fix("convert the column, or leave it out with `ignore`").into());
        }
    };
    let texts = cast(&DataType::LargeUtf8)?;
    let mut spans = Vec::with_capacity(array.len());
    for (row, cell) in texts.as_string::<i64>().iter().enumerate() {
        spans.push(match cell.filter(|cell| !cell.is_empty()) {
            None => Span::MISSING,
            Some(cell) => {
                let start = text.len();
                let fits = u32::try_from(start + cell.len()).is_ok();
                let checked = check_cell(cell.len(), limits).and_then(|()| {
                    let error = || Error::new(ErrorCode::TooLarge, format!("more than 4 GiB of text in {BATCH} rows"));
                    fits.then_some(()).ok_or_else(error)
                });
                checked.map_err(|error| Misread::at(row as u64, error))?;
                text.push_str(cell);
                Span::new(kind, start, cell.len())
            }
        });
    }
    Ok(Cells::Spans(spans))
}

/// Whether every number of the column is the same as a 64-bit float.
fn is_exact(array: &ArrayRef) -> bool {
    match array.data_type() {
        DataType::Int64 => {
            array.as_primitive::<Int64Type>().iter().flatten().all(|value| value.unsigned_abs() <= EXACT)
        }
        DataType::UInt64 => array.as_primitive::<UInt64Type>().iter().flatten().all(|value| value <= EXACT),
        DataType::Decimal128(precision, _) => *precision <= 15,
        DataType::Decimal256(..) => false,
        _ => true,
    }
}
