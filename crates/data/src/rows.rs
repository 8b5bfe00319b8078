//! Rows of a record batch as canonical bytes, and picking rows out of one.

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, Float64Array, RecordBatch, StringArray, UInt64Array};
use lepton_core::image::ImageColumn;
use lepton_core::marks::{MarksColumn, NamedPoint};
use lepton_core::series::{SeriesColumn, SeriesRef};
use lepton_core::{BoundingBox, ColumnKind, Digest, Error, Hasher, ObjectMask, Result, Schema};
use rayon::prelude::*;

/// A column of a dataset, typed.
pub(crate) enum TypedColumn<'a> {
    Number(&'a Float64Array),
    Text(&'a StringArray),
    Image(ImageColumn<'a>),
    Series(SeriesColumn<'a>),
    Marks(MarksOf<'a>),
}

/// What is marked on pictures.
pub(crate) enum MarksOf<'a> {
    Boxes(MarksColumn<'a, BoundingBox>),
    Masks(MarksColumn<'a, ObjectMask>),
    KeyPoints(MarksColumn<'a, NamedPoint>),
}

impl MarksOf<'_> {
    /// The marks of a row as JSON: the same marks always give the same text.
    pub(crate) fn text(&self, row: usize) -> String {
        let text = match self {
            MarksOf::Boxes(marks) => serde_json::to_string(&marks.get(row)),
            MarksOf::Masks(marks) => serde_json::to_string(&marks.get(row)),
            MarksOf::KeyPoints(marks) => serde_json::to_string(&marks.get(row)),
        };
        text.unwrap_or_default()
    }
}

impl<'a> TypedColumn<'a> {
    /// The column `name` of `batch`, which must hold what `kind` says.
    pub(crate) fn new(batch: &'a RecordBatch, name: &str, kind: ColumnKind) -> Result<TypedColumn<'a>> {
        let wrong = || Error::internal(format!("column \"{name}\" of the dataset does not hold its kind"));
        let array = batch.column_by_name(name).ok_or_else(wrong)?;
        Ok(match kind {
            ColumnKind::Number => TypedColumn::Number(array.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?),
            ColumnKind::Category | ColumnKind::Text => {
                TypedColumn::Text(array.as_string_opt::<i32>().ok_or_else(wrong)?)
            }
            ColumnKind::Image => TypedColumn::Image(ImageColumn::new(array)?),
            ColumnKind::Series => TypedColumn::Series(SeriesColumn::new(array)?),
            ColumnKind::Boxes => TypedColumn::Marks(MarksOf::Boxes(MarksColumn::new(array)?)),
            ColumnKind::Masks => TypedColumn::Marks(MarksOf::Masks(MarksColumn::new(array)?)),
            ColumnKind::KeyPoints => TypedColumn::Marks(MarksOf::KeyPoints(MarksColumn::new(array)?)),
        })
    }

    fn bytes(&self, row: usize) -> u64 {
        match self {
            TypedColumn::Number(_) => 8,
            TypedColumn::Text(values) if values.is_valid(row) => 4 + values.value_length(row).unsigned_abs() as u64,
            TypedColumn::Text(_) => 4,
            TypedColumn::Marks(values) => values.text(row).len() as u64,
            TypedColumn::Image(values) => values.get(row).map_or(9, |picture| 9 + picture.pixels.len() as u64),
            TypedColumn::Series(values) => values.get(row).map_or(12, |series| 12 + 4 * series.values.len() as u64),
        }
    }

    /// Adds row `row` to a hash: a tag byte (0 missing, 1 number, 2 text, 3 picture, 4 marks, 5 series), then sizes and
    /// bytes, little-endian. Negative zero counts as zero, and every NaN of a series is the same.
    fn hash(&self, row: usize, hasher: &mut Hasher) {
        match self {
            TypedColumn::Number(values) if values.is_valid(row) => {
                hasher.update([1]);
                hasher.update((values.value(row) + 0.0).to_bits().to_le_bytes());
            }
            TypedColumn::Text(values) if values.is_valid(row) => {
                hash_text(values.value(row), hasher);
            }
            TypedColumn::Image(values) => match values.get(row) {
                Some(picture) => {
                    hasher.update([3]);
                    for side in [picture.height, picture.width, picture.channels] {
                        hasher.update((side as u64).to_le_bytes());
                    }
                    hasher.update(picture.pixels);
                }
                None => hasher.update([0]),
            },
            TypedColumn::Series(values) => match values.get(row) {
                Some(series) => {
                    hasher.update([5]);
                    for side in [series.length(), series.dimensions] {
                        hasher.update((side as u64).to_le_bytes());
                    }
                    for value in series.values {
                        let value = if value.is_nan() { f32::NAN } else { value + 0.0 };
                        hasher.update(value.to_bits().to_le_bytes());
                    }
                }
                None => hasher.update([0]),
            },
            TypedColumn::Marks(values) => {
                hasher.update([4]);
                hash_bytes(&values.text(row), hasher);
            }
            _ => hasher.update([0]),
        }
    }
}

/// One digest per row over those of the schema's columns that `takes` names; computed on all threads.
pub(crate) fn row_digests(batch: &RecordBatch, schema: &Schema, takes: impl Fn(&str) -> bool) -> Result<Vec<Digest>> {
    let columns = schema
        .columns
        .iter()
        .filter(|column| takes(&column.name))
        .map(|column| TypedColumn::new(batch, &column.name, column.kind))
        .collect::<Result<Vec<_>>>()?;
    let digest = |row| {
        let mut hasher = Hasher::default();
        columns.iter().for_each(|column| column.hash(row, &mut hasher));
        hasher.finish()
    };
    Ok((0..batch.num_rows()).into_par_iter().map(digest).collect())
}

/// About how many bytes each row has: what decides where a table is cut.
pub(crate) fn row_bytes(batch: &RecordBatch, schema: &Schema) -> Result<Vec<u64>> {
    let columns = schema
        .columns
        .iter()
        .map(|column| TypedColumn::new(batch, &column.name, column.kind))
        .collect::<Result<Vec<_>>>()?;
    let bytes = |row| columns.iter().map(|column| column.bytes(row)).sum();
    Ok((0..batch.num_rows()).map(bytes).collect())
}

/// One digest per row over these columns by what their cells say, so that a number and the same number as a text are
/// one: versions are compared by it, of which one may be a file.
///
/// # Errors
/// [`lepton_core::ErrorCode::NotFound`] for a name that is no column.
pub fn canonical_digests(batch: &RecordBatch, schema: &Schema, names: &[&str]) -> Result<Vec<Digest>> {
    let columns = names
        .iter()
        .map(|name| TypedColumn::new(batch, name, schema.column(name)?.kind))
        .collect::<Result<Vec<_>>>()?;
    let digest = |row| {
        let mut hasher = Hasher::default();
        for column in &columns {
            match column {
                TypedColumn::Number(values) if values.is_valid(row) => {
                    hash_text(&lepton_recipe::raw::number_text(values.value(row) + 0.0), &mut hasher);
                }
                other => other.hash(row, &mut hasher),
            }
        }
        hasher.finish()
    };
    Ok((0..batch.num_rows()).into_par_iter().map(digest).collect())
}

/// A cell as a person reads it: a number or a text as it is, a picture and a series by its size, nothing for a
/// missing one.
pub fn cell_text(batch: &RecordBatch, schema: &Schema, name: &str, row: usize) -> String {
    let column = schema.column(name).and_then(|column| TypedColumn::new(batch, name, column.kind));
    match column {
        Ok(TypedColumn::Number(values)) if values.is_valid(row) => lepton_recipe::raw::number_text(values.value(row)),
        Ok(TypedColumn::Text(values)) if values.is_valid(row) => values.value(row).to_owned(),
        Ok(TypedColumn::Image(values)) => values
            .get(row)
            .map_or_else(String::new, |picture| format!("picture of {} x {} pixels", picture.height, picture.width)),
        Ok(TypedColumn::Series(values)) => values.get(row).map_or_else(String::new, series_text),
        Ok(TypedColumn::Marks(values)) => values.text(row),
        _ => String::new(),
    }
}

fn series_text(series: SeriesRef<'_>) -> String {
    let steps = series.length();
    match series.dimensions {
        1 => format!("series of {steps} steps"),
        dimensions => format!("series of {steps} steps in {dimensions} dimensions"),
    }
}

fn hash_text(text: &str, hasher: &mut Hasher) {
    hasher.update([2]);
    hash_bytes(text, hasher);
}

fn hash_bytes(text: &str, hasher: &mut Hasher) {
    hasher.update((text.len() as u64).to_le_bytes());
    hasher.update(text);
}

/// The rows `indices` of `batch`, in that order.
pub(crate) fn take_rows(batch: &RecordBatch, indices: &[usize]) -> Result<RecordBatch> {
    let indices = UInt64Array::from_iter_values(indices.iter().map(|&index| index as u64));
    arrow_select::take::take_record_batch(batch, &indices)
        .map_err(|source| Error::internal(format!("rows cannot be picked: {source}")))
}
