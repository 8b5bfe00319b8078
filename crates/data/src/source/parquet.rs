//! Apache Parquet through Arrow. Integers, floats and decimals become 64-bit floats (integers past 2^53 are
//! rounded); texts, booleans, dates and times become text. An empty text is missing.

use super::table::{Cells, RawColumn, RawTable};
use super::{Context, hash_file};
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array, LargeStringArray, RecordBatch};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::DataType;
use lepton_core::{Error, ErrorCode, Result};
use std::fs::File;
use std::path::Path;

/// Reads a file.
pub(super) fn read(context: &Context<'_>, path: &Path) -> Result<RawTable> {
    let source = hash_file(path)?;
    let file = File::open(path).map_err(|source| Error::io("read the file", path, source))?;
    let wrong = |source: &dyn std::fmt::Display| {
        Error::new(ErrorCode::BadData, format!("the file cannot be read as Parquet: {source}")).in_file(path)
    };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|source| wrong(&source))?;
    let fields = builder.schema().fields().clone();
    if fields.len() > context.limits.csv_columns {
        let message = format!("{} columns, the limit csv_columns is {}", fields.len(), context.limits.csv_columns);
        return Err(Error::new(ErrorCode::TooLarge, message).in_file(path));
    }
    let ignored = |name: &String| context.settings.ignore.contains(name);
    // Columns of types that cannot be used may be ignored, so they are not even decoded.
    let used: Vec<usize> = (0..fields.len()).filter(|&place| !ignored(fields[place].name())).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), used.iter().copied());
    let total = builder.metadata().file_metadata().num_rows();
    let schema = builder.schema().clone();
    let mut batches: Vec<RecordBatch> = Vec::new();
    let mut rows = 0;
    for batch in builder.with_projection(mask).build().map_err(|source| wrong(&source))? {
        context.cancel.check()?;
        batches.push(batch.map_err(|source| wrong(&source))?);
        rows += batches.last().map_or(0, RecordBatch::num_rows);
        context.advanced(&path.display().to_string(), rows, usize::try_from(total).ok());
    }
    let projected = schema.project(&used).map_err(|source| wrong(&source))?;
    let whole = arrow_select::concat::concat_batches(&projected.into(), &batches).map_err(|source| wrong(&source))?;
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields.iter() {
        let cells = match whole.column_by_name(field.name()).filter(|_| !ignored(field.name())) {
            Some(array) => cells(array).map_err(|error| error.in_file(path).at_column(field.name()))?,
            // An ignored column keeps its place until the settings were checked against the names.
            None => Cells::Number(Float64Array::new_null(whole.num_rows())),
        };
        columns.push(RawColumn { name: field.name().clone(), cells });
    }
    Ok(RawTable { columns, lines: None, source })
}

fn cells(array: &ArrayRef) -> Result<Cells> {
    let cast = |to: &DataType| {
        cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() }).map_err(|source| {
            Error::new(ErrorCode::BadData, format!("{} values cannot be converted: {source}", array.data_type()))
        })
    };
    let is_text = |data_type: &DataType| {
        matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Boolean)
    };
    match array.data_type() {
        kind if kind.is_numeric() => Ok(Cells::Number(cast(&DataType::Float64)?.as_primitive::<Float64Type>().clone())),
        kind if is_text(kind) || kind.is_temporal() => Ok(Cells::Text(texts(&cast(&DataType::LargeUtf8)?))),
        DataType::Dictionary(_, kind) if is_text(kind) => Ok(Cells::Text(texts(&cast(&DataType::LargeUtf8)?))),
        other => Err(Error::new(ErrorCode::Unsupported, format!("columns of type {other} are not supported"))
            .fix("convert the column, or add it to `ignore` under [collect]")),
    }
}

fn texts(array: &ArrayRef) -> LargeStringArray {
    array.as_string::<i64>().iter().map(|text| text.filter(|text| !text.is_empty())).collect()
}
