//! Rows from JSON objects.

use super::{ColumnBuilder, arrow_schema, check_rows};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use lepton_core::{Error, ErrorCode, Limits, Result, Schema, nearest};
use serde_json::{Map, Value};

/// Rows from one JSON object each, keyed by column name: numbers as numbers, categories and texts as strings,
/// pictures as `{"b64": "<base64 of a PNG or JPEG>"}`, a series as a list of numbers or, with several dimensions, of a
/// list of numbers for each step. `null` is missing, and so is a key that is not there
/// where the column is nullable.
///
/// # Errors
/// With row (from 1) and column: [`ErrorCode::BadInput`] for a row that is no object, an unknown key, an absent
/// column, a value of the wrong type; [`ErrorCode::TooLarge`] past `batch_rows`, `cell_bytes`,
/// `series_values` or `image_pixels`.
pub fn rows_from_json(schema: &Schema, rows: &[Value], limits: &Limits) -> Result<RecordBatch> {
    check_rows(rows.len(), limits)?;
    let objects = rows.iter().enumerate().map(|(row, value)| object(schema, row, value)).collect::<Result<Vec<_>>>()?;
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.columns.len());
    for column in &schema.columns {
        let mut builder = ColumnBuilder::new(column.kind);
        for (row, object) in objects.iter().enumerate() {
            let placed = |error: Error| error.at_row(row as u64 + 1).at_column(&column.name);
            match object.get(&column.name) {
                Some(value) => builder.push_json(value, limits).map_err(placed)?,
                None if column.nullable => builder.push_missing(),
                None => {
                    return Err(placed(Error::new(ErrorCode::BadInput, "this column is not in the row"))
                        .fix("write null where the value is missing"));
                }
            }
        }
        columns.push(builder.finish());
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(arrow_schema(schema), columns, &options)
        .map_err(|source| Error::internal(format!("raw rows do not fit their schema: {source}")))
}

fn object<'a>(schema: &Schema, row: usize, value: &'a Value) -> Result<&'a Map<String, Value>> {
    let Value::Object(object) = value else {
        return Err(Error::new(ErrorCode::BadInput, "a row must be an object of column names and values")
            .at_row(row as u64 + 1));
    };
    for key in object.keys() {
        if !schema.columns.iter().any(|column| &column.name == key) {
            let error = Error::new(ErrorCode::BadInput, "the model takes no such column")
                .at_row(row as u64 + 1)
                .at_column(key.chars().take(60).collect::<String>());
            return Err(match nearest(key, schema.names()) {
                Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                None => error.fix(format!("the columns are: {}", schema.names().collect::<Vec<_>>().join(", "))),
            });
        }
    }
    Ok(object)
}
