//! All columns of a table at once.

use crate::image::PictureLook;
use crate::series::SeriesLook;
use crate::{CategorySketch, ImageSketch, NumberSketch, SeriesSketch, TextSketch};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, Float64Array, RecordBatch, StringArray};
use arrow_schema::DataType;
use lepton_core::image::ImageColumn;
use lepton_core::series::SeriesColumn;
use lepton_core::{ColumnKind, Error, ErrorCode, Result, Schema};
use serde::{Deserialize, Serialize};

/// The summary of one column, by what the column holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "sketch", rename_all = "snake_case")]
pub enum ColumnSketch {
    /// Of a number column.
    Number(NumberSketch),
    /// Of a category column.
    Category(CategorySketch),
    /// Of a text column.
    Text(TextSketch),
    /// Of a picture column.
    Image(Box<ImageSketch>),
    /// Of a column of series.
    Series(Box<SeriesSketch>),
}

impl ColumnSketch {
    fn new(kind: ColumnKind) -> ColumnSketch {
        match kind {
            ColumnKind::Number => ColumnSketch::Number(NumberSketch::default()),
            ColumnKind::Category => ColumnSketch::Category(CategorySketch::default()),
            // What is marked on pictures is not summarised: it is no input of a model, and reading it is refused.
            ColumnKind::Text | ColumnKind::Boxes | ColumnKind::Masks | ColumnKind::KeyPoints => {
                ColumnSketch::Text(TextSketch::default())
            }
            ColumnKind::Image => ColumnSketch::Image(Box::default()),
            ColumnKind::Series => ColumnSketch::Series(Box::default()),
        }
    }

    /// What the column holds.
    pub fn kind(&self) -> ColumnKind {
        match self {
            ColumnSketch::Number(_) => ColumnKind::Number,
            ColumnSketch::Category(_) => ColumnKind::Category,
            ColumnSketch::Text(_) => ColumnKind::Text,
            ColumnSketch::Image(_) => ColumnKind::Image,
            ColumnSketch::Series(_) => ColumnKind::Series,
        }
    }
}

/// A column's name and its summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedSketch {
    /// The column.
    pub column: String,
    /// Its summary.
    pub sketch: ColumnSketch,
}

/// The summary of a table: one sketch per column of the schema, in its order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetSketch {
    rows: u64,
    columns: Vec<NamedSketch>,
}

/// The rows of a batch, checked against a sketch's columns and reduced to what it keeps: everything of an
/// update that is slow or can fail. See [`DatasetSketch::read`].
pub struct Rows<'a> {
    rows: u64,
    columns: Vec<Values<'a>>,
}

enum Values<'a> {
    Numbers(&'a Float64Array),
    Texts(&'a StringArray),
    Looks(Vec<Option<PictureLook>>),
    Series(Vec<Option<SeriesLook>>),
}

impl DatasetSketch {
    /// An empty summary of the columns of `schema`.
    pub fn new(schema: &Schema) -> DatasetSketch {
        let columns = schema
            .columns
            .iter()
            .map(|column| NamedSketch { column: column.name.clone(), sketch: ColumnSketch::new(column.kind) })
            .collect();
        DatasetSketch { rows: 0, columns }
    }

    /// The summary of columns that were summarised one by one.
    pub fn of(rows: u64, columns: Vec<NamedSketch>) -> DatasetSketch {
        DatasetSketch { rows, columns }
    }

    /// Adds the rows of a batch. Columns are found by name; those that the schema does not have are ignored.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`], naming the column, when one is missing or has another Arrow type than its kind
    /// says; then nothing is added.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = self.read(batch)?;
        self.absorb(&rows);
        Ok(())
    }

    /// The first half of [`DatasetSketch::update`], for callers that hold a lock during the second only.
    /// Depends on the names and kinds of the columns, not on what was seen.
    ///
    /// # Errors
    /// As [`DatasetSketch::update`].
    pub fn read<'a>(&self, batch: &'a RecordBatch) -> Result<Rows<'a>> {
        let columns = self.columns.iter().map(|column| read_column(column, batch)).collect::<Result<_>>()?;
        Ok(Rows { rows: batch.num_rows() as u64, columns })
    }

    /// The second half of [`DatasetSketch::update`]. `rows` must come from a sketch of the same schema.
    pub fn absorb(&mut self, rows: &Rows<'_>) {
        self.rows += rows.rows;
        for (column, values) in self.columns.iter_mut().zip(&rows.columns) {
            match (&mut column.sketch, values) {
                (ColumnSketch::Number(sketch), Values::Numbers(values)) => {
                    values.iter().for_each(|value| sketch.add(value))
                }
                (ColumnSketch::Category(sketch), Values::Texts(values)) => {
                    values.iter().for_each(|value| sketch.add(value))
                }
                (ColumnSketch::Text(sketch), Values::Texts(values)) => {
                    values.iter().for_each(|value| sketch.add(value))
                }
                (ColumnSketch::Image(sketch), Values::Looks(looks)) => {
                    looks.iter().for_each(|look| sketch.add_look(*look))
                }
                (ColumnSketch::Series(sketch), Values::Series(looks)) => {
                    looks.iter().for_each(|look| sketch.add_look(*look))
                }
                _ => debug_assert!(false, "rows of another schema"),
            }
        }
    }

    /// Adds all that `other` has seen.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] when the two are not of the same columns; then nothing is added.
    pub fn merge(&mut self, other: &DatasetSketch) -> Result<()> {
        let names = |sketch: &DatasetSketch| -> Vec<_> {
            sketch.columns.iter().map(|column| (column.column.clone(), column.sketch.kind())).collect()
        };
        if names(self) != names(other) {
            return Err(Error::new(ErrorCode::BadData, "two sketches of different columns cannot be joined"));
        }
        self.rows += other.rows;
        for (mine, theirs) in self.columns.iter_mut().zip(&other.columns) {
            match (&mut mine.sketch, &theirs.sketch) {
                (ColumnSketch::Number(mine), ColumnSketch::Number(theirs)) => mine.merge(theirs),
                (ColumnSketch::Category(mine), ColumnSketch::Category(theirs)) => mine.merge(theirs),
                (ColumnSketch::Text(mine), ColumnSketch::Text(theirs)) => mine.merge(theirs),
                (ColumnSketch::Image(mine), ColumnSketch::Image(theirs)) => mine.merge(theirs),
                (ColumnSketch::Series(mine), ColumnSketch::Series(theirs)) => mine.merge(theirs),
                _ => {}
            }
        }
        Ok(())
    }

    /// An empty summary of the same columns.
    pub fn emptied(&self) -> DatasetSketch {
        let columns = self.columns.iter().map(|column| NamedSketch {
            column: column.column.clone(),
            sketch: ColumnSketch::new(column.sketch.kind()),
        });
        DatasetSketch { rows: 0, columns: columns.collect() }
    }

    /// How many rows were added.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The columns, in the schema's order.
    pub fn columns(&self) -> &[NamedSketch] {
        &self.columns
    }

    /// The summary of one column.
    pub fn column(&self, name: &str) -> Option<&ColumnSketch> {
        self.columns.iter().find(|column| column.column == name).map(|column| &column.sketch)
    }
}

fn read_column<'a>(column: &NamedSketch, batch: &'a RecordBatch) -> Result<Values<'a>> {
    let wrong = |message: String| Error::new(ErrorCode::BadData, message).at_column(&column.column);
    let array = batch.column_by_name(&column.column).ok_or_else(|| wrong("the rows lack this column".to_owned()))?;
    match (column.sketch.kind(), array.data_type()) {
        (ColumnKind::Number, DataType::Float64) => Ok(Values::Numbers(array.as_primitive::<Float64Type>())),
        (ColumnKind::Category | ColumnKind::Text, DataType::Utf8) => Ok(Values::Texts(array.as_string::<i32>())),
        (ColumnKind::Image, _) => {
            let images = ImageColumn::new(array).map_err(|error| error.at_column(&column.column))?;
            Ok(Values::Looks((0..images.len()).map(|row| images.get(row).map(PictureLook::of)).collect()))
        }
        (ColumnKind::Series, _) => {
            let series = SeriesColumn::new(array).map_err(|error| error.at_column(&column.column))?;
            Ok(Values::Series((0..series.len()).map(|row| series.get(row).map(SeriesLook::of)).collect()))
        }
        (kind, found) => Err(wrong(format!("a {kind:?} column cannot hold {found}").to_lowercase())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::ArrayRef;
    use lepton_core::Column;
    use lepton_core::image::{ImageBuilder, ImageRef};
    use std::sync::Arc;

    fn schema() -> Schema {
        let column = |name: &str, kind| Column { name: name.into(), kind, nullable: true };
        Schema {
            columns: vec![
                column("age", ColumnKind::Number),
                column("port", ColumnKind::Category),
                column("note", ColumnKind::Text),
                column("face", ColumnKind::Image),
            ],
        }
    }

    fn batch(from: usize, to: usize) -> RecordBatch {
        let rows = from..to;
        let ages: Float64Array = rows.clone().map(|row| (row % 5 != 0).then_some(row as f64)).collect();
        let ports: StringArray = rows.clone().map(|row| (row % 7 != 0).then_some(["S", "C", "Q"][row % 3])).collect();
        let notes: StringArray = rows.clone().map(|row| Some("é".repeat(row % 4))).collect();
        let mut faces = ImageBuilder::default();
        for row in rows {
            let pixels = [row as u8; 6];
            faces.push((row % 3 != 0).then_some(ImageRef { height: 2, width: 3, channels: 1, pixels: &pixels }));
        }
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("ignored", Arc::new(notes.clone())),
            ("face", faces.finish()),
            ("note", Arc::new(notes)),
            ("port", Arc::new(ports)),
            ("age", Arc::new(ages)),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
    }

    #[test]
    fn batches_add_up_to_the_whole_byte_for_byte() {
        let mut whole = DatasetSketch::new(&schema());
        whole.update(&batch(0, 3_000)).unwrap();
        let mut pieces = DatasetSketch::new(&schema());
        for start in (0..3_000).step_by(100) {
            pieces.update(&batch(start, start + 100)).unwrap();
        }
        assert_eq!(serde_json::to_string(&whole).unwrap(), serde_json::to_string(&pieces).unwrap());
        assert_eq!(serde_json::from_str::<DatasetSketch>(&serde_json::to_string(&whole).unwrap()).unwrap(), whole);
        assert_eq!(whole.rows(), 3_000);
        let Some(ColumnSketch::Number(age)) = whole.column("age") else { panic!("no age") };
        assert_eq!((age.count(), age.missing(), age.max()), (2_400, 600, Some(2_999.0)));
        let Some(ColumnSketch::Text(note)) = whole.column("note") else { panic!("no note") };
        assert_eq!(note.characters.max(), Some(3.0));
        let Some(ColumnSketch::Image(face)) = whole.column("face") else { panic!("no face") };
        assert_eq!(
            (face.height.mean(), face.width.mean(), face.contrast.max(), face.height.missing()),
            (Some(2.0), Some(3.0), Some(0.0), 1_000)
        );
    }

    #[test]
    fn merging_counts_everything_once_and_refuses_other_columns() {
        let mut left = DatasetSketch::new(&schema());
        left.update(&batch(0, 1_000)).unwrap();
        let mut right = left.emptied();
        assert_eq!((right.rows(), right.columns().len()), (0, 4));
        right.update(&batch(1_000, 3_000)).unwrap();
        left.merge(&right).unwrap();
        let mut whole = left.emptied();
        whole.update(&batch(0, 3_000)).unwrap();
        assert_eq!(left.rows(), 3_000);
        assert_eq!(left.column("port"), whole.column("port"));
        let other = DatasetSketch::new(&Schema { columns: schema().columns[..2].to_vec() });
        assert_eq!(left.clone().merge(&other).unwrap_err().code(), ErrorCode::BadData);
    }

    #[test]
    fn a_wrong_batch_is_named_and_changes_nothing() {
        let mut sketch = DatasetSketch::new(&schema());
        let good = batch(0, 10);
        let without_face = good.project(&[2, 3, 4]).unwrap();
        let error = sketch.update(&without_face).unwrap_err();
        assert_eq!((error.code(), error.place().column.as_deref()), (ErrorCode::BadData, Some("face")));
        let age_as_text = RecordBatch::try_from_iter_with_nullable([
            ("age", good.column(3).clone(), true),
            ("port", good.column(3).clone(), true),
            ("note", good.column(2).clone(), true),
            ("face", good.column(1).clone(), true),
        ])
        .unwrap();
        let error = sketch.update(&age_as_text).unwrap_err();
        assert_eq!((error.code(), error.place().column.as_deref()), (ErrorCode::BadData, Some("age")));
        assert_eq!(sketch, DatasetSketch::new(&schema()));
    }
}
