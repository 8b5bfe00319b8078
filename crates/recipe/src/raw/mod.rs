//! Raw rows from what a person sends: JSON objects, CSV text, PNG or JPEG bytes. Training sources use the same
//! [`ColumnBuilder`], so a cell means the same in a training file and in a request.

mod builder;
mod csv;
mod json;
mod picture;
mod series;

pub use builder::{ColumnBuilder, number_text};
pub use csv::rows_from_csv;
pub use json::rows_from_json;
pub use picture::{PictureFormat, PictureHeader, decode_picture, picture_header, rows_from_pictures};

use lepton_core::marks::{self, NamedPoint};
use lepton_core::{BoundingBox, ColumnKind, Error, ErrorCode, Limits, ObjectMask, Result, Schema};
use std::sync::Arc;

/// The Arrow schema of rows that follow `schema`. Every field is nullable: whether a value may be missing is
/// decided by the recipe, with an error that names row and column.
pub fn arrow_schema(schema: &Schema) -> arrow_schema::SchemaRef {
    let field = |column: &lepton_core::Column| {
        let data_type = match column.kind {
            ColumnKind::Number => arrow_schema::DataType::Float64,
            ColumnKind::Category | ColumnKind::Text => arrow_schema::DataType::Utf8,
            ColumnKind::Image => lepton_core::image::data_type(),
            ColumnKind::Series => lepton_core::series::data_type(),
            ColumnKind::Boxes => marks::data_type::<BoundingBox>(),
            ColumnKind::Masks => marks::data_type::<ObjectMask>(),
            ColumnKind::KeyPoints => marks::data_type::<NamedPoint>(),
        };
        arrow_schema::Field::new(&column.name, data_type, true)
    };
    Arc::new(arrow_schema::Schema::new(schema.columns.iter().map(field).collect::<Vec<_>>()))
}

/// How many distinct values a column of texts may have to be a category and no free text: up to 20 (and up to half the
/// rows), or up to one per 20 rows and 1,000.
pub fn most_categories(present: usize) -> usize {
    20.min((present / 2).max(2)).max(present / 20).min(1_000)
}

pub(crate) fn check_rows(rows: usize, limits: &Limits) -> Result<()> {
    if rows > limits.batch_rows {
        let message = format!("{rows} rows in one request, the limit batch_rows is {}", limits.batch_rows);
        return Err(Error::new(ErrorCode::TooLarge, message).fix("send fewer rows at a time, or raise the limit"));
    }
    Ok(())
}

pub(crate) fn check_cell(bytes: usize, limits: &Limits) -> Result<()> {
    if bytes > limits.cell_bytes {
        let message = format!("a cell of {bytes} bytes, the limit cell_bytes is {}", limits.cell_bytes);
        return Err(Error::new(ErrorCode::TooLarge, message));
    }
    Ok(())
}
