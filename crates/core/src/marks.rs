//! How what is marked on pictures lies in Arrow columns: for each picture a list of boxes, of masks or of key points.
//! Readers build them and every other crate reads them through here only, so the layout is written down once.
//!
//! - boxes: a list of `left`, `top`, `width`, `height` (Float32, pixels) and `label`.
//! - masks: a list of `label`, `height`, `width` and `counts`, see [`ObjectMask`].
//! - key points: a list of `object` (its place in the picture's boxes), `name`, `x`, `y` and `visible`.

use crate::{BoundingBox, Error, ErrorCode, KeyPoint, ObjectMask, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt32Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Float32Array, ListArray, StringArray, StructArray, UInt32Array};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields};
use serde::Serialize;
use std::sync::Arc;

/// A key point of one object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NamedPoint {
    /// The object, by its place in the picture's list of boxes.
    pub object: u32,
    /// What the point is of the object, for example `left_eye`.
    pub name: String,
    /// Where it is.
    pub point: KeyPoint,
}

/// One kind of mark as an Arrow column.
pub trait Marks: Sized {
    /// The fields of one mark.
    fn fields() -> Fields;

    /// The marks of all pictures, one after the other.
    fn columns(marks: &[Self]) -> Vec<ArrayRef>;

    /// The marks from `from` on, `count` of them; the columns have the types of [`Marks::fields`].
    fn read(columns: &StructArray, from: usize, count: usize) -> Vec<Self>;
}

/// The Arrow type of a column of marks.
pub fn data_type<M: Marks>() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Struct(M::fields()), false)))
}

/// A column with the marks of each picture. No picture's marks are missing: one without any has an empty list.
///
/// # Errors
/// [`ErrorCode::TooLarge`] for more than 2,147,483,647 marks.
pub fn column<M: Marks + Clone>(pictures: &[Vec<M>]) -> Result<ArrayRef> {
    let all: Vec<M> = pictures.iter().flatten().cloned().collect();
    if i32::try_from(all.len()).is_err() {
        return Err(Error::new(ErrorCode::TooLarge, format!("{} marks in one column", all.len())));
    }
    let offsets = OffsetBuffer::from_lengths(pictures.iter().map(Vec::len));
    let marks = StructArray::new(M::fields(), M::columns(&all), None);
    let item = Arc::new(Field::new("item", DataType::Struct(M::fields()), false));
    Ok(Arc::new(ListArray::new(item, offsets, Arc::new(marks), None)))
}

/// Reads a column of marks.
#[derive(Clone, Debug)]
pub struct MarksColumn<'a, M> {
    lists: &'a ListArray,
    marks: &'a StructArray,
    kind: std::marker::PhantomData<M>,
}

impl<'a, M: Marks> MarksColumn<'a, M> {
    /// A reader over `array`.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] when the array is no column of such marks.
    pub fn new(array: &'a dyn Array) -> Result<MarksColumn<'a, M>> {
        let wrong = || Error::new(ErrorCode::BadData, format!("not a column of such marks but {}", array.data_type()));
        if array.data_type() != &data_type::<M>() {
            return Err(wrong());
        }
        let lists = array.as_list_opt::<i32>().ok_or_else(wrong)?;
        let marks = lists.values().as_struct_opt().ok_or_else(wrong)?;
        Ok(MarksColumn { lists, marks, kind: std::marker::PhantomData })
    }

    /// The marks of the picture in row `index`; none past the end.
    pub fn get(&self, index: usize) -> Vec<M> {
        if index >= self.lists.len() {
            return Vec::new();
        }
        let from = self.lists.value_offsets()[index] as usize;
        M::read(self.marks, from, self.lists.value_length(index) as usize)
    }
}

fn field(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, false)
}

fn floats<M>(marks: &[M], value: impl Fn(&M) -> f32) -> ArrayRef {
    Arc::new(Float32Array::from_iter_values(marks.iter().map(value)))
}

fn texts<M>(marks: &[M], value: impl Fn(&M) -> &str) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(marks.iter().map(value)))
}

impl Marks for BoundingBox {
    fn fields() -> Fields {
        let sides = ["left", "top", "width", "height"].map(|name| field(name, DataType::Float32));
        sides.into_iter().chain([field("label", DataType::Utf8)]).collect()
    }

    fn columns(marks: &[BoundingBox]) -> Vec<ArrayRef> {
        vec![
            floats(marks, |mark| mark.left),
            floats(marks, |mark| mark.top),
            floats(marks, |mark| mark.width),
            floats(marks, |mark| mark.height),
            texts(marks, |mark| &mark.label),
        ]
    }

    fn read(columns: &StructArray, from: usize, count: usize) -> Vec<BoundingBox> {
        let side = |column: usize| columns.column(column).as_primitive::<Float32Type>();
        let (left, top, width, height) = (side(0), side(1), side(2), side(3));
        let label = columns.column(4).as_string::<i32>();
        (from..from + count)
            .map(|row| BoundingBox {
                left: left.value(row),
                top: top.value(row),
                width: width.value(row),
                height: height.value(row),
                label: label.value(row).to_owned(),
            })
            .collect()
    }
}

fn counts_type() -> DataType {
    DataType::List(Arc::new(field("item", DataType::UInt32)))
}

impl Marks for ObjectMask {
    fn fields() -> Fields {
        Fields::from(vec![
            field("label", DataType::Utf8),
            field("height", DataType::UInt32),
            field("width", DataType::UInt32),
            field("counts", counts_type()),
        ])
    }

    fn columns(marks: &[ObjectMask]) -> Vec<ArrayRef> {
        let numbers = |value: fn(&ObjectMask) -> u32| -> ArrayRef {
            Arc::new(UInt32Array::from_iter_values(marks.iter().map(value)))
        };
        let counts = UInt32Array::from_iter_values(marks.iter().flat_map(|mark| mark.counts.iter().copied()));
        let offsets = OffsetBuffer::from_lengths(marks.iter().map(|mark| mark.counts.len()));
        let item = Arc::new(field("item", DataType::UInt32));
        vec![
            texts(marks, |mark| &mark.label),
            numbers(|mark| mark.height),
            numbers(|mark| mark.width),
            Arc::new(ListArray::new(item, offsets, Arc::new(counts), None)),
        ]
    }

    fn read(columns: &StructArray, from: usize, count: usize) -> Vec<ObjectMask> {
        let label = columns.column(0).as_string::<i32>();
        let number = |column: usize| columns.column(column).as_primitive::<UInt32Type>();
        let (height, width, counts) = (number(1), number(2), columns.column(3).as_list::<i32>());
        (from..from + count)
            .map(|row| ObjectMask {
                label: label.value(row).to_owned(),
                height: height.value(row),
                width: width.value(row),
                counts: counts.value(row).as_primitive::<UInt32Type>().values().to_vec(),
            })
            .collect()
    }
}

impl Marks for NamedPoint {
    fn fields() -> Fields {
        Fields::from(vec![
            field("object", DataType::UInt32),
            field("name", DataType::Utf8),
            field("x", DataType::Float32),
            field("y", DataType::Float32),
            field("visible", DataType::Boolean),
        ])
    }

    fn columns(marks: &[NamedPoint]) -> Vec<ArrayRef> {
        vec![
            Arc::new(UInt32Array::from_iter_values(marks.iter().map(|mark| mark.object))),
            texts(marks, |mark| &mark.name),
            floats(marks, |mark| mark.point.x),
            floats(marks, |mark| mark.point.y),
            Arc::new(marks.iter().map(|mark| Some(mark.point.visible)).collect::<BooleanArray>()),
        ]
    }

    fn read(columns: &StructArray, from: usize, count: usize) -> Vec<NamedPoint> {
        let object = columns.column(0).as_primitive::<UInt32Type>();
        let name = columns.column(1).as_string::<i32>();
        let (x, y) = (columns.column(2).as_primitive::<Float32Type>(), columns.column(3).as_primitive::<Float32Type>());
        let visible = columns.column(4).as_boolean();
        (from..from + count)
            .map(|row| NamedPoint {
                object: object.value(row),
                name: name.value(row).to_owned(),
                point: KeyPoint { x: x.value(row), y: y.value(row), visible: visible.value(row) },
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_reads_back() {
        let one = BoundingBox { left: 1.0, top: 2.0, width: 3.5, height: 4.0, label: "cat".to_owned() };
        let pictures = vec![vec![one.clone(), one.clone()], vec![], vec![one.clone()]];
        let array = column(&pictures).unwrap();
        let boxes = MarksColumn::<BoundingBox>::new(&array).unwrap();
        assert_eq!([0, 1, 2].map(|row| boxes.get(row)), [pictures[0].clone(), vec![], vec![one]]);
        assert_eq!(boxes.get(3), []);
        // A slice begins in the middle of the list's values.
        let slice = array.slice(2, 1);
        assert_eq!(MarksColumn::<BoundingBox>::new(&slice).unwrap().get(0).len(), 1);
        assert!(MarksColumn::<NamedPoint>::new(&array).is_err());

        let mask = ObjectMask::new("cat", 2, 3, vec![1, 3, 2]).unwrap();
        let array = column(&[vec![], vec![mask.clone(), mask.clone()]]).unwrap();
        assert_eq!(MarksColumn::<ObjectMask>::new(&array).unwrap().get(1), [mask.clone(), mask]);

        let point = KeyPoint { x: 0.5, y: 1.0, visible: false };
        let named = NamedPoint { object: 1, name: "nose".to_owned(), point };
        let array = column(&[vec![named.clone()]]).unwrap();
        assert_eq!(MarksColumn::<NamedPoint>::new(&array).unwrap().get(0), [named]);
    }
}
