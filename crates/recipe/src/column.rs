//! Typed access to the columns of a record batch, with errors that name the column and the row.
//! Rows are counted from 1 within the batch.

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow_schema::DataType;
use lepton_core::image::ImageColumn;
use lepton_core::series::SeriesColumn;
use lepton_core::{Error, ErrorCode, Result, nearest};

fn find<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| {
        let schema = batch.schema_ref();
        let error = Error::new(ErrorCode::BadData, "this column is missing").at_column(name);
        match nearest(name, schema.fields().iter().map(|field| field.name().as_str())) {
            Some(near) => error.fix(format!("did you mean \"{near}\"?")),
            None => error,
        }
    })
}

fn wrong_type(name: &str, want: &str, got: &DataType) -> Error {
    Error::new(ErrorCode::BadData, format!("this column holds {got}, the recipe takes {want}")).at_column(name)
}

/// A number column.
pub(crate) fn numbers<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Float64Array> {
    let array = find(batch, name)?;
    array.as_primitive_opt::<Float64Type>().ok_or_else(|| wrong_type(name, "numbers", array.data_type()))
}

/// A category or text column.
pub(crate) fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    let array = find(batch, name)?;
    array.as_string_opt::<i32>().ok_or_else(|| wrong_type(name, "text", array.data_type()))
}

/// A picture column.
pub(crate) fn pictures<'a>(batch: &'a RecordBatch, name: &str) -> Result<ImageColumn<'a>> {
    let array = find(batch, name)?;
    ImageColumn::new(array).map_err(|_| wrong_type(name, "pictures", array.data_type()))
}

/// A column of series.
pub(crate) fn series<'a>(batch: &'a RecordBatch, name: &str) -> Result<SeriesColumn<'a>> {
    let array = find(batch, name)?;
    SeriesColumn::new(array).map_err(|_| wrong_type(name, "series", array.data_type()))
}

/// An error about one value; `index` counts from 0.
pub(crate) fn bad_value(name: &str, index: usize, message: impl Into<String>) -> Error {
    Error::new(ErrorCode::BadData, message).at_row(index as u64 + 1).at_column(name)
}

/// A value that came from outside, short enough for an error.
pub(crate) fn quoted(value: &str) -> String {
    let mut short: String = value.chars().take(60).collect();
    if short.len() < value.len() {
        short.push('…');
    }
    format!("{short:?}")
}
