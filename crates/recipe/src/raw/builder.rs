//! One column of raw rows under construction, from cells of text or JSON.

use super::{check_cell, decode_picture, series};
use crate::column::quoted;
use arrow_array::ArrayRef;
use arrow_array::builder::{Float64Builder, StringBuilder};
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use lepton_core::image::{ImageBuilder, ImageRef};
use lepton_core::series::{SeriesBuilder, SeriesRef};
use lepton_core::{ColumnKind, Error, ErrorCode, Limits, Result};
use serde_json::Value;
use std::sync::Arc;

/// Base64 with or without its padding: clients differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Builds one column. Errors carry neither row nor column: the caller knows them.
pub struct ColumnBuilder {
    values: Values,
}

enum Values {
    Number(Float64Builder),
    Text(StringBuilder),
    Image(Box<ImageBuilder>),
    Series(Box<SeriesBuilder>),
}

impl ColumnBuilder {
    /// A builder for a column of that kind.
    pub fn new(kind: ColumnKind) -> ColumnBuilder {
        let values = match kind {
            ColumnKind::Number => Values::Number(Float64Builder::new()),
            ColumnKind::Category | ColumnKind::Text => Values::Text(StringBuilder::new()),
            ColumnKind::Series => Values::Series(Box::default()),
            // Marks come from datasets only; a cell that claims to be one is refused as a picture is.
            ColumnKind::Image | ColumnKind::Boxes | ColumnKind::Masks | ColumnKind::KeyPoints => {
                Values::Image(Box::default())
            }
        };
        ColumnBuilder { values }
    }

    /// Adds a missing value.
    pub fn push_missing(&mut self) {
        match &mut self.values {
            Values::Number(values) => values.append_null(),
            Values::Text(values) => values.append_null(),
            Values::Image(values) => values.push(None),
            Values::Series(values) => values.push(None),
        }
    }

    /// Adds a cell of a text table; an empty one is missing. A series of one dimension is written as numbers with `;` or
    /// spaces between them.
    ///
    /// # Errors
    /// [`ErrorCode::BadInput`] for text in a number column, NaN, infinity, or any text in a picture column;
    /// [`ErrorCode::TooLarge`] past `cell_bytes` or `series_values`.
    pub fn push_text(&mut self, cell: &str, limits: &Limits) -> Result<()> {
        check_cell(cell.len(), limits)?;
        if cell.is_empty() {
            self.push_missing();
            return Ok(());
        }
        match &mut self.values {
            Values::Number(values) => values.append_value(parse_number(cell)?),
            Values::Text(values) => append_text(values, cell)?,
            Values::Series(values) => {
                let numbers = series::from_text(cell, limits)?;
                values.push(Some(SeriesRef { dimensions: 1, values: &numbers }));
            }
            Values::Image(_) => {
                return Err(Error::new(ErrorCode::BadInput, "a picture cannot stand in a text table"));
            }
        }
        Ok(())
    }

    /// Adds a JSON value; `null` and `""` are missing. A series is a list of numbers or, with several dimensions, a list of
    /// steps that are lists of numbers; `null` inside it is a missing number. In a column of texts a number
    /// counts as its [`number_text`], a boolean as `true` or `false`.
    ///
    /// # Errors
    /// [`ErrorCode::BadInput`] for a value of another type than the column's; [`ErrorCode::TooLarge`] past
    /// `cell_bytes`, `series_values` or `image_pixels`.
    pub fn push_json(&mut self, value: &Value, limits: &Limits) -> Result<()> {
        let wrong =
            |want: &str| Err(Error::new(ErrorCode::BadInput, format!("expected {want}, got {}", describe(value))));
        match (&mut self.values, value) {
            (_, Value::Null) => self.push_missing(),
            (Values::Number(values), Value::Number(number)) => match number.as_f64() {
                Some(number) if number.is_finite() => values.append_value(number),
                _ => return wrong("a finite number"),
            },
            (Values::Number(_), _) => return wrong("a number"),
            (Values::Text(values), Value::String(text)) => {
                check_cell(text.len(), limits)?;
                if text.is_empty() {
                    values.append_null();
                } else {
                    append_text(values, text)?;
                }
            }
            (Values::Text(values), Value::Number(number)) => match number.as_f64() {
                Some(number) => append_text(values, &number_text(number))?,
                None => return wrong("a text"),
            },
            (Values::Text(values), Value::Bool(value)) => append_text(values, &value.to_string())?,
            (Values::Text(_), _) => return wrong("a text"),
            (Values::Series(values), Value::Array(steps)) => {
                let (dimensions, numbers) = series::from_json(steps, limits)?;
                values.push(Some(SeriesRef { dimensions, values: &numbers }));
            }
            (Values::Series(_), _) => return wrong("a list of numbers, or a list of numbers for each step"),
            (Values::Image(values), Value::Object(object)) => match object.iter().next() {
                Some((key, Value::String(text))) if key == "b64" && object.len() == 1 => {
                    let bytes = BASE64.decode(text).map_err(|source| {
                        Error::new(ErrorCode::BadInput, format!("\"b64\" is not base64: {source}"))
                    })?;
                    values.push(Some(decode_picture(&bytes, limits)?.as_ref()));
                }
                _ => return wrong("a picture as {\"b64\": \"...\"}"),
            },
            (Values::Image(_), _) => return wrong("a picture as {\"b64\": \"...\"}"),
        }
        Ok(())
    }

    /// Adds a number.
    ///
    /// # Errors
    /// [`ErrorCode::BadInput`] when the number is not finite or the column holds none.
    pub fn push_number(&mut self, number: f64) -> Result<()> {
        match &mut self.values {
            Values::Number(values) if number.is_finite() => values.append_value(number),
            Values::Number(_) => {
                return Err(Error::new(ErrorCode::BadInput, format!("{number} is not a finite number")));
            }
            _ => return Err(Error::new(ErrorCode::BadInput, "a number cannot stand in this column")),
        }
        Ok(())
    }

    /// Adds a decoded picture.
    ///
    /// # Errors
    /// [`ErrorCode::BadInput`] when the column holds no pictures.
    pub fn push_picture(&mut self, picture: ImageRef<'_>) -> Result<()> {
        match &mut self.values {
            Values::Image(values) => values.push(Some(picture)),
            _ => return Err(Error::new(ErrorCode::BadInput, "a picture cannot stand in this column")),
        }
        Ok(())
    }

    /// The finished column.
    pub fn finish(self) -> ArrayRef {
        match self.values {
            Values::Number(mut values) => Arc::new(values.finish()),
            Values::Text(mut values) => Arc::new(values.finish()),
            Values::Image(values) => values.finish(),
            Values::Series(values) => values.finish(),
        }
    }
}

/// A number as the name of a category: the shortest decimal text that reads back as the same number, `3` for both
/// 3 and 3.0.
pub fn number_text(number: f64) -> String {
    number.to_string()
}

/// Arrow's text columns count bytes in 31 bits; past that their builder would panic.
fn append_text(values: &mut StringBuilder, text: &str) -> Result<()> {
    if values.values_slice().len() + text.len() > i32::MAX as usize {
        return Err(Error::new(ErrorCode::TooLarge, "a text column of more than 2 GiB").fix("split the data"));
    }
    values.append_value(text);
    Ok(())
}

pub(super) fn parse_number(cell: &str) -> Result<f64> {
    match cell.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        Ok(_) => Err(Error::new(ErrorCode::BadInput, format!("{} is not a finite number", quoted(cell)))
            .fix("leave the cell empty where the value is missing")),
        Err(_) => Err(Error::new(ErrorCode::BadInput, format!("{} is not a number", quoted(cell)))),
    }
}

pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("the text {}", quoted(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
