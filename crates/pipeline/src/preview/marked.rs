//! Sheets of pictures, with what is marked on them.

use super::{ROWS, TrainRows, VARIANTS, draw};
use arrow_array::StringArray;
use arrow_array::cast::AsArray;
use lepton_core::image::ImageColumn;
use lepton_core::marks::{MarksColumn, NamedPoint};
use lepton_core::{
    BoundingBox, CaptionedPicture, ColumnKind, Error, ErrorCode, Figure, Mask, ObjectMask, Result, Schema, Seed,
};
use lepton_data::{AugmentSettings, Augmenter, Sample};

pub(super) fn pictures(rows: &TrainRows<'_>, column: &str, settings: &AugmentSettings, seed: Seed) -> Result<Figure> {
    let marked = Marked::new(rows, column)?;
    let augmenter = Augmenter::new(settings, seed)?;
    let mut cells = Vec::new();
    let count = marked.pictures.len();
    for row in (0..count).filter(|&row| marked.pictures.get(row).is_some()).take(ROWS) {
        let caption = marked.name(row).map_or_else(|| "original".to_owned(), |name| format!("{name}, original"));
        cells.push(CaptionedPicture { image: draw::annotated(&marked.sample(row)?), caption });
        for epoch in 1..=VARIANTS {
            let mixed = augmenter.mixed(row, count, epoch, &|row| marked.sample(row))?;
            let caption = match &mixed.shares[..] {
                [_] => format!("epoch {epoch}"),
                shares => {
                    let part = |(row, share): &(usize, f32)| {
                        let name = marked.name(*row).unwrap_or_else(|| format!("row {}", row + 1));
                        format!("{:.0} % {name}", 100.0 * share)
                    };
                    shares.iter().map(part).collect::<Vec<_>>().join(", ")
                }
            };
            cells.push(CaptionedPicture { image: draw::annotated(&mixed.sample), caption });
        }
    }
    Ok(Figure::Pictures { title: "Training pictures as augmented".to_owned(), columns: 1 + VARIANTS as usize, cells })
}

/// The columns of pictures, classes and marks.
struct Marked<'a> {
    pictures: ImageColumn<'a>,
    labels: Option<&'a StringArray>,
    boxes: Option<MarksColumn<'a, BoundingBox>>,
    masks: Option<MarksColumn<'a, ObjectMask>>,
    points: Option<MarksColumn<'a, NamedPoint>>,
}

impl<'a> Marked<'a> {
    fn new(rows: &TrainRows<'a>, column: &str) -> Result<Marked<'a>> {
        let missing = || Error::internal("the training split lost a column");
        let of = |schema: &Schema, kind| {
            let name = schema.of_kind(kind).next().map(|column| column.name.clone());
            name.map(|name| rows.part.column_by_name(&name).ok_or_else(missing)).transpose()
        };
        Ok(Marked {
            pictures: ImageColumn::new(rows.part.column_by_name(column).ok_or_else(missing)?)?,
            labels: rows.part.column_by_name(rows.target).and_then(|column| column.as_string_opt::<i32>()),
            boxes: of(rows.schema, ColumnKind::Boxes)?.map(|array| MarksColumn::new(array.as_ref())).transpose()?,
            masks: of(rows.schema, ColumnKind::Masks)?.map(|array| MarksColumn::new(array.as_ref())).transpose()?,
            points: of(rows.schema, ColumnKind::KeyPoints)?
                .map(|array| MarksColumn::new(array.as_ref()))
                .transpose()?,
        })
    }

    /// The class of a picture, where whole pictures have one.
    fn name(&self, row: usize) -> Option<String> {
        self.labels.map(|labels| labels.value(row).to_owned())
    }

    fn sample(&self, row: usize) -> Result<Sample> {
        let lost = || Error::new(ErrorCode::BadData, "the picture is missing").at_row(row as u64 + 1);
        let mut sample = Sample::of_picture(self.pictures.get(row).ok_or_else(lost)?);
        sample.boxes = self.boxes.as_ref().map_or_else(Vec::new, |column| column.get(row));
        let points = self.points.as_ref().map_or_else(Vec::new, |column| column.get(row));
        sample.key_points = points.into_iter().map(|named| named.point).collect();
        for object in self.masks.as_ref().map_or_else(Vec::new, |column| column.get(row)) {
            let mut mask = Mask::empty(sample.picture.height, sample.picture.width);
            object.draw(&mut mask, 1)?;
            sample.masks.push(mask);
        }
        Ok(sample)
    }
}
