//! How series lie in an Arrow column: a struct of `dimensions` and `values`, the values step by step, all dimensions of
//! a step side by side. A value that is missing inside a series is NaN; a whole series that is missing is null.
//!
//! Every crate that touches series goes through [`SeriesColumn`] and [`SeriesBuilder`], so the layout is written down
//! here only.

use crate::{Error, ErrorCode, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt32Type};
use arrow_array::{Array, ArrayRef, Float32Array, LargeListArray, StructArray, UInt32Array};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields};
use std::sync::Arc;

/// One series, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeriesRef<'a> {
    /// Numbers of each step, at least 1.
    pub dimensions: usize,
    /// `length * dimensions` numbers, `[time, dimension]`; NaN where one is missing.
    pub values: &'a [f32],
}

impl<'a> SeriesRef<'a> {
    /// How many steps it has.
    pub fn length(&self) -> usize {
        self.values.len() / self.dimensions.max(1)
    }

    /// The numbers of one dimension, step by step; none for a dimension that is not there.
    pub fn dimension(&self, dimension: usize) -> impl Iterator<Item = f32> + use<'a> {
        let values = if dimension < self.dimensions { self.values } else { &[] };
        values.iter().skip(dimension).step_by(self.dimensions.max(1)).copied()
    }
}

/// The Arrow type of a column of series.
pub fn data_type() -> DataType {
    DataType::Struct(fields())
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Float32, false))
}

fn fields() -> Fields {
    Fields::from(vec![
        Field::new("dimensions", DataType::UInt32, false),
        Field::new("values", DataType::LargeList(item()), false),
    ])
}

/// Reads a column of series.
#[derive(Clone, Debug)]
pub struct SeriesColumn<'a> {
    dimensions: &'a UInt32Array,
    lists: &'a LargeListArray,
    values: &'a Float32Array,
    nulls: Option<&'a NullBuffer>,
}

impl<'a> SeriesColumn<'a> {
    /// A reader over `array`.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] when the array is no column of series.
    pub fn new(array: &'a dyn Array) -> Result<SeriesColumn<'a>> {
        if array.data_type() != &data_type() {
            return Err(Error::new(ErrorCode::BadData, format!("not a column of series but {}", array.data_type())));
        }
        let parts = array.as_struct();
        let lists = parts.column(1).as_list::<i64>();
        Ok(SeriesColumn {
            dimensions: parts.column(0).as_primitive::<UInt32Type>(),
            lists,
            values: lists.values().as_primitive::<Float32Type>(),
            nulls: parts.nulls(),
        })
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The series in row `index`; `None` where it is missing, where `index` is past the end, or where its numbers do not
    /// make whole steps.
    pub fn get(&self, index: usize) -> Option<SeriesRef<'a>> {
        if index >= self.len() || self.nulls.is_some_and(|nulls| nulls.is_null(index)) {
            return None;
        }
        let dimensions = self.dimensions.value(index) as usize;
        let offsets = self.lists.value_offsets();
        let values = self.values.values().get(offsets[index] as usize..offsets[index + 1] as usize)?;
        (dimensions > 0 && values.len().is_multiple_of(dimensions)).then_some(SeriesRef { dimensions, values })
    }
}

/// Builds a column of series.
#[derive(Default)]
pub struct SeriesBuilder {
    dimensions: Vec<u32>,
    values: Vec<f32>,
    lengths: Vec<usize>,
    valid: Vec<bool>,
}

impl SeriesBuilder {
    /// Adds a series, or a missing one.
    pub fn push(&mut self, series: Option<SeriesRef<'_>>) {
        let SeriesRef { dimensions, values } = series.unwrap_or(SeriesRef { dimensions: 0, values: &[] });
        self.dimensions.push(u32::try_from(dimensions).unwrap_or(u32::MAX));
        self.values.extend_from_slice(values);
        self.lengths.push(values.len());
        self.valid.push(series.is_some());
    }

    /// How many were added.
    pub fn len(&self) -> usize {
        self.valid.len()
    }

    /// Whether none was added.
    pub fn is_empty(&self) -> bool {
        self.valid.is_empty()
    }

    /// The finished column.
    pub fn finish(self) -> ArrayRef {
        let nulls = self.valid.contains(&false).then(|| NullBuffer::from(self.valid));
        let offsets = OffsetBuffer::<i64>::from_lengths(self.lengths);
        let values = Arc::new(Float32Array::from(self.values));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from(self.dimensions)),
            Arc::new(LargeListArray::new(item(), offsets, values, None)),
        ];
        Arc::new(StructArray::new(fields(), columns, nulls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_reads_back() {
        let one = SeriesRef { dimensions: 2, values: &[1.0, 10.0, 2.0, 20.0, 3.0, 30.0] };
        let other = SeriesRef { dimensions: 1, values: &[f32::NAN, 5.0] };
        let mut builder = SeriesBuilder::default();
        builder.push(Some(one));
        builder.push(None);
        builder.push(Some(other));
        assert_eq!(builder.len(), 3);
        let array = builder.finish();
        let column = SeriesColumn::new(&array).unwrap();
        assert_eq!((column.get(0), column.get(1), column.get(3)), (Some(one), None, None));
        assert_eq!(one.length(), 3);
        assert_eq!(one.dimension(1).collect::<Vec<_>>(), [10.0, 20.0, 30.0]);
        assert_eq!(one.dimension(2).count(), 0);
        let read = column.get(2).unwrap();
        assert!(read.values[0].is_nan() && read.values[1] == 5.0);
        // A slice begins in the middle of the list's values.
        let slice = array.slice(2, 1);
        assert_eq!(SeriesColumn::new(&slice).unwrap().get(0).unwrap().values.len(), 2);
        assert!(SeriesColumn::new(&UInt32Array::from(vec![1])).is_err());
    }

    #[test]
    fn numbers_that_make_no_whole_steps_are_no_series() {
        let mut builder = SeriesBuilder::default();
        builder.push(Some(SeriesRef { dimensions: 2, values: &[1.0, 2.0, 3.0] }));
        let array = builder.finish();
        assert_eq!(SeriesColumn::new(&array).unwrap().get(0), None);
    }
}
