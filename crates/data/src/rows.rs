//! Rows of a record batch as canonical bytes, and picking rows out of one.

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, Float64Array, RecordBatch, StringArray, UInt64Array};
use lepton_core::image::ImageColumn;
use lepton_core::{ColumnKind, Digest, Error, Hasher, Result, Schema};
use rayon::prelude::*;

/// A column of a dataset, typed.
pub(crate) enum TypedColumn<'a> {
    Number(&'a Float64Array),
    Text(&'a StringArray),
    Image(ImageColumn<'a>),
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
        })
    }

    /// Adds row `row` to a hash: a tag byte (0 missing, 1 number, 2 text, 3 picture), then sizes and bytes,
    /// little-endian. Negative zero counts as zero.
    fn hash(&self, row: usize, hasher: &mut Hasher) {
        match self {
            TypedColumn::Number(values) if values.is_valid(row) => {
                hasher.update([1]);
                hasher.update((values.value(row) + 0.0).to_bits().to_le_bytes());
            }
            TypedColumn::Text(values) if values.is_valid(row) => {
                let text = values.value(row);
                hasher.update([2]);
                hasher.update((text.len() as u64).to_le_bytes());
                hasher.update(text);
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

/// The rows `indices` of `batch`, in that order.
pub(crate) fn take_rows(batch: &RecordBatch, indices: &[usize]) -> Result<RecordBatch> {
    let indices = UInt64Array::from_iter_values(indices.iter().map(|&index| index as u64));
    arrow_select::take::take_record_batch(batch, &indices)
        .map_err(|source| Error::internal(format!("rows cannot be picked: {source}")))
}
