//! A copy of a Parquet or Arrow IPC file with changes: cells that have another value, rows and columns that are gone.
//! Types, names, metadata and every other value stay as they are.

use super::TableFormat;
use super::arrow::Batches;
use super::batch::{BATCH, renamed_zone, without_zone_name};
use super::{ScanOptions, parquet};
use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::file::properties::WriterProperties;
use arrow_array::{Array, ArrayRef, BooleanArray, LargeStringArray, RecordBatch};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{DataType, Schema, SchemaRef};
use lepton_core::{Error, ErrorCode, Limits, Result};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is otherwise in the copy. Rows count from 0 in the original, columns are those of [`super::Table::names`].
pub trait Changes {
    /// Whether the row stays.
    fn has_row(&self, row: usize) -> bool;

    /// Whether the column stays.
    fn has_column(&self, column: usize) -> bool;

    /// Whether any cell of the row has another value.
    fn is_edited(&self, row: usize) -> bool;

    /// The new value of a cell as text, where it has one; `Some(None)` for a cell that becomes missing.
    fn edit(&self, row: usize, column: usize) -> Option<Option<&str>>;
}

/// Writes the copy, in the format and with the types of the original. A Parquet file keeps its compression and the size
/// of its row groups; Arrow IPC is written without compression.
///
/// # Errors
/// [`ErrorCode::BadData`] with row and column for a new value that the column's type cannot hold; those of reading the
/// original, and of writing.
pub fn rewrite(
    path: &Path,
    format: TableFormat,
    changes: &dyn Changes,
    limits: &Limits,
    output: &mut dyn Write,
) -> Result<()> {
    match format {
        TableFormat::Parquet => parquet_file(path, changes, output),
        TableFormat::Arrow => arrow_file(path, changes, limits, output),
        TableFormat::Csv | TableFormat::Json => Err(Error::internal("a text format is copied row by row")),
    }
}

fn parquet_file(path: &Path, changes: &dyn Changes, output: &mut dyn Write) -> Result<()> {
    let file = File::open(path).map_err(|source| Error::io("read the file", path, source))?;
    let wrong = |source: &dyn std::fmt::Display| parquet::wrong(source).in_file(path);
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|source| wrong(&source))?;
    let schema = kept_schema(builder.schema(), changes);
    let properties = properties(builder.metadata(), schema.fields().len() < builder.schema().fields().len());
    let reader = builder.with_batch_size(BATCH).build().map_err(|source| wrong(&source))?;
    let unwritten = |source: ::parquet::errors::ParquetError| {
        Error::io("write the new file", path, std::io::Error::other(source.to_string()))
    };
    let buffer = Buffer::default();
    let mut writer = ArrowWriter::try_new(buffer.clone(), Arc::clone(&schema), Some(properties)).map_err(unwritten)?;
    let mut first = 0;
    for batch in reader {
        let batch = batch.map_err(|source| wrong(&source))?;
        let copy = changed(&batch, first, &schema, changes).map_err(|error| error.in_file(path))?;
        first += batch.num_rows();
        writer.write(&copy).map_err(unwritten)?;
        buffer.drain_to(path, output)?;
    }
    writer.close().map_err(unwritten)?;
    buffer.drain_to(path, output)
}

/// As the original was written, as far as its metadata tell.
fn properties(metadata: &::parquet::file::metadata::ParquetMetaData, lost_columns: bool) -> WriterProperties {
    let groups = metadata.row_groups();
    let largest = groups.iter().filter_map(|group| usize::try_from(group.num_rows()).ok()).max();
    let mut builder = WriterProperties::builder();
    if let Some(column) = groups.first().and_then(|group| group.columns().first()) {
        builder = builder.set_compression(column.compression());
    }
    if let Some(rows) = largest.filter(|rows| *rows > 0) {
        builder = builder.set_max_row_group_row_count(Some(rows));
    }
    // The writer adds its own Arrow schema; pandas describes all columns, so it would be wrong without some of them.
    let kept = |key: &str| key != "ARROW:schema" && !(lost_columns && key == "pandas");
    let pairs = metadata.file_metadata().key_value_metadata().into_iter().flatten();
    let pairs: Vec<_> = pairs.filter(|pair| kept(&pair.key)).cloned().collect();
    builder.set_key_value_metadata((!pairs.is_empty()).then_some(pairs)).build()
}

/// The Parquet writer wants a sink that may be sent to another thread.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drain_to(&self, path: &Path, output: &mut dyn Write) -> Result<()> {
        let bytes = std::mem::take(&mut *self.bytes());
        output.write_all(&bytes).map_err(|source| Error::io("write the new file", path, source))
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn arrow_file(path: &Path, changes: &dyn Changes, limits: &Limits, output: &mut dyn Write) -> Result<()> {
    let options = ScanOptions { limits: limits.clone(), ..ScanOptions::default() };
    let mut batches = Batches::open(path, &options)?;
    let schema = kept_schema(&batches.schema(), changes);
    let (mut copies, mut first) = (Vec::new(), 0);
    while let Some(batch) = batches.whole()? {
        copies.push(changed(&batch, first, &schema, changes).map_err(|error| error.in_file(path))?);
        first += batch.num_rows();
    }
    let unwritten = |source: arrow_schema::ArrowError| {
        Error::io("write the new file", path, std::io::Error::other(source.to_string()))
    };
    // An Arrow file has one dictionary per column for all its batches.
    let copies = share_dictionaries(&schema, copies)
        .map_err(|source| Error::internal(format!("the batches cannot be joined: {source}")))?;
    if batches.is_file() {
        let mut writer = FileWriter::try_new(output, &schema).map_err(unwritten)?;
        copies.iter().try_for_each(|batch| writer.write(batch)).and_then(|()| writer.finish()).map_err(unwritten)
    } else {
        let mut writer = StreamWriter::try_new(output, &schema).map_err(unwritten)?;
        copies.iter().try_for_each(|batch| writer.write(batch)).and_then(|()| writer.finish()).map_err(unwritten)
    }
}

fn share_dictionaries(
    schema: &SchemaRef,
    batches: Vec<RecordBatch>,
) -> Result<Vec<RecordBatch>, arrow_schema::ArrowError> {
    let has_dictionary = schema.fields().iter().any(|field| matches!(field.data_type(), DataType::Dictionary(..)));
    if !has_dictionary || batches.len() < 2 {
        return Ok(batches);
    }
    let joined = arrow_select::concat::concat_batches(schema, &batches)?;
    let mut first = 0;
    let cut = |batch: &RecordBatch| {
        let slice = joined.slice(first, batch.num_rows());
        first += batch.num_rows();
        slice
    };
    Ok(batches.iter().map(cut).collect())
}

fn kept_schema(schema: &SchemaRef, changes: &dyn Changes) -> SchemaRef {
    let fields = schema.fields().iter().enumerate().filter(|(place, _)| changes.has_column(*place));
    let fields: Vec<_> = fields.map(|(_, field)| Arc::clone(field)).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// A batch whose first row is `first` of the table, with its changes.
fn changed(batch: &RecordBatch, first: usize, schema: &SchemaRef, changes: &dyn Changes) -> Result<RecordBatch> {
    let failed = |source: arrow_schema::ArrowError| Error::internal(format!("rows cannot be changed: {source}"));
    let edited: Vec<usize> = (0..batch.num_rows()).filter(|row| changes.is_edited(first + row)).collect();
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (place, column) in batch.columns().iter().enumerate().filter(|(place, _)| changes.has_column(*place)) {
        let new: Vec<(usize, Option<&str>)> =
            edited.iter().filter_map(|row| Some((*row, changes.edit(first + row, place)?))).collect();
        if new.is_empty() {
            columns.push(Arc::clone(column));
            continue;
        }
        let original = batch.schema();
        let field = original.field(place);
        let placed = |row: usize, message: String| {
            Error::new(ErrorCode::BadData, message).at_row((first + row) as u64 + 1).at_column(field.name())
        };
        let texts: LargeStringArray = new.iter().map(|(_, value)| *value).collect();
        let texts: ArrayRef = Arc::new(texts);
        let zoned = without_zone_name(field.data_type());
        let kind = zoned.as_ref().unwrap_or(field.data_type());
        let values = cast_with_options(&texts, kind, &CastOptions { safe: true, ..CastOptions::default() })
            .and_then(|values| if zoned.is_some() { renamed_zone(&values, field.data_type()) } else { Ok(values) })
            .map_err(|_| {
                placed(new[0].0, format!("a cell of type {} cannot have another value", field.data_type()))
                    .fix("leave this column out of the plan, or write the table as CSV or JSON lines first")
            })?;
        for (at, (row, value)) in new.iter().enumerate() {
            match value {
                Some(text) if values.is_null(at) => {
                    let message =
                        format!("the new value \"{text}\" does not fit the column's type {}", field.data_type());
                    return Err(placed(*row, message).fix(
                        "choose another value or fill in the plan, or write the table as CSV or JSON lines first",
                    ));
                }
                None if !field.is_nullable() => {
                    return Err(placed(*row, "the column's type allows no missing value".to_owned())
                        .fix("choose a fill in the plan, or write the table as CSV or JSON lines first"));
                }
                _ => {}
            }
        }
        let mut from: Vec<(usize, usize)> = (0..batch.num_rows()).map(|row| (0, row)).collect();
        for (at, (row, _)) in new.iter().enumerate() {
            from[*row] = (1, at);
        }
        columns.push(arrow_select::interleave::interleave(&[column.as_ref(), values.as_ref()], &from).map_err(failed)?);
    }
    let kept: BooleanArray = (0..batch.num_rows()).map(|row| Some(changes.has_row(first + row))).collect();
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let copy = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(failed)?;
    arrow_select::filter::filter_record_batch(&copy, &kept).map_err(failed)
}
