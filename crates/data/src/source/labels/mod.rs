//! Pictures with marks on them, in the layouts of the field: COCO, YOLO, Pascal VOC and MVTec. A reader says which
//! pictures there are and what is marked on each; here they are decoded, and what is marked is held against them.

pub(crate) mod coco;
pub(crate) mod mvtec;
pub(crate) mod voc;
mod xml;
mod yaml;
pub(crate) mod yolo;

use super::image_folder::{Read, read_picture};
use super::{Context, IMAGE, LABEL};
use crate::dataset::{Dataset, SourceFile};
use crate::settings::UnreadablePolicy;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use lepton_core::image::ImageBuilder;
use lepton_core::marks::{self, NamedPoint};
use lepton_core::{BoundingBox, Column, ColumnKind, Error, ErrorCode, ObjectMask, Result, Schema, Split};
use lepton_recipe::raw;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The columns of marks.
pub(crate) const BOXES: &str = "boxes";
pub(crate) const MASKS: &str = "masks";
pub(crate) const KEY_POINTS: &str = "key_points";

/// Files that are decoded between two looks at the cancel flag.
const CHUNK: usize = 256;

/// How far a mark may reach over the edge of its picture, in pixels: annotation tools round. It is cut off there.
const ROUNDING: f32 = 1.0;

/// What is marked on one picture.
#[derive(Default)]
pub(super) struct Marks {
    pub(super) boxes: Vec<BoundingBox>,
    pub(super) masks: Vec<ObjectMask>,
    pub(super) points: Vec<NamedPoint>,
    /// The files that said so, besides the picture.
    pub(super) source: Vec<SourceFile>,
}

/// Gives the marks of a picture of that height and width.
type MarksOf = Box<dyn FnOnce(u32, u32) -> Result<Marks> + Send>;

/// One picture of a layout.
pub(super) struct Labelled {
    pub(super) picture: PathBuf,
    /// Its class, where the layout has one for whole pictures.
    pub(super) label: Option<String>,
    pub(super) marks: MarksOf,
}

/// What a layout has.
pub(super) struct Layout {
    pub(super) parts: BTreeMap<Split, Vec<Labelled>>,
    /// The columns of marks, in the order of the schema.
    pub(super) columns: Vec<&'static str>,
    /// Whether pictures have a class.
    pub(super) has_labels: bool,
    /// Files that say something about all pictures.
    pub(super) source: Vec<SourceFile>,
}

/// Decodes the pictures of a layout and gives the dataset. The target is the class where there is one, else the first
/// column of marks.
pub(super) fn build(context: &Context<'_>, name: &str, layout: Layout) -> Result<Dataset> {
    let known: Vec<&str> =
        [IMAGE].into_iter().chain(layout.has_labels.then_some(LABEL)).chain(layout.columns.iter().copied()).collect();
    let target = match (&context.settings.target, layout.has_labels) {
        (Some(target), _) if known.contains(&target.as_str()) && target != IMAGE => target.clone(),
        (Some(target), _) => {
            return Err(Error::new(ErrorCode::NotFound, "there is no such column to predict")
                .at_column(target)
                .at_key("collect.target")
                .fix(format!("the columns are: {}", known.join(", "))));
        }
        (None, true) => LABEL.to_owned(),
        (None, false) => layout.columns.first().copied().unwrap_or(BOXES).to_owned(),
    };
    let column = |name: &str, kind| Column { name: name.to_owned(), kind, nullable: false };
    let mut schema = Schema { columns: vec![column(IMAGE, ColumnKind::Image)] };
    if layout.has_labels {
        schema.columns.push(column(LABEL, ColumnKind::Category));
    }
    for name in &layout.columns {
        let kind = match *name {
            BOXES => ColumnKind::Boxes,
            MASKS => ColumnKind::Masks,
            _ => ColumnKind::KeyPoints,
        };
        schema.columns.push(column(name, kind));
    }
    let mut dataset = Dataset::empty(name, schema, &target);
    dataset.source = layout.source;
    for (split, pictures) in layout.parts {
        let batch = read_part(context, split, pictures, layout.has_labels, &mut dataset)?;
        dataset.parts.insert(split, batch);
    }
    if dataset.rows(Split::Train) == 0 {
        return Err(Error::new(ErrorCode::BadData, "there are no training pictures"));
    }
    Ok(dataset)
}

fn read_part(
    context: &Context<'_>,
    split: Split,
    pictures: Vec<Labelled>,
    has_labels: bool,
    dataset: &mut Dataset,
) -> Result<RecordBatch> {
    let total = pictures.len();
    let mut images = ImageBuilder::default();
    let (mut labels, mut boxes, mut masks, mut points) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut rest = pictures.into_iter();
    loop {
        let some: Vec<Labelled> = rest.by_ref().take(CHUNK).collect();
        if some.is_empty() {
            break;
        }
        context.cancel.check()?;
        let read: Vec<Result<(Labelled, Read)>> = some
            .into_par_iter()
            .map(|labelled| read_picture(&labelled.picture, context.limits).map(|read| (labelled, read)))
            .collect();
        for read in read {
            let (labelled, read) = read?;
            let (picture, source) = match read {
                Read::Picture(picture, source) => (picture, source),
                Read::Failed(unreadable) if context.settings.unreadable == UnreadablePolicy::Drop => {
                    dataset.unreadable.push(unreadable);
                    continue;
                }
                Read::Failed(unreadable) => {
                    return Err(Error::new(ErrorCode::BadData, unreadable.reason)
                        .in_file(unreadable.path)
                        .fix("mend or remove the file, or set `unreadable = \"drop\"` under [collect] to leave such files out"));
                }
            };
            let marks = (labelled.marks)(picture.height as u32, picture.width as u32)?;
            images.push(Some(picture.as_ref()));
            labels.push(labelled.label.unwrap_or_default());
            boxes.push(marks.boxes);
            masks.push(marks.masks);
            points.push(marks.points);
            dataset.source.push(source);
            dataset.source.extend(marks.source);
        }
        context.advanced(&format!("{} {split}", dataset.name), images.len(), Some(total));
    }
    let mut columns: Vec<ArrayRef> = vec![images.finish()];
    if has_labels {
        columns.push(Arc::new(StringArray::from(labels)));
    }
    for column in &dataset.schema.columns {
        match column.kind {
            ColumnKind::Boxes => columns.push(marks::column(&boxes)?),
            ColumnKind::Masks => columns.push(marks::column(&masks)?),
            ColumnKind::KeyPoints => columns.push(marks::column(&points)?),
            _ => {}
        }
    }
    RecordBatch::try_new(raw::arrow_schema(&dataset.schema), columns)
        .map_err(|source| Error::internal(format!("picture columns do not fit: {source}")))
}

/// A box inside of its picture. One that reaches a pixel over the edge is cut; one that is further outside is refused.
pub(super) fn fitting_box(one: BoundingBox, height: u32, width: u32) -> Result<BoundingBox> {
    one.check()?;
    let outside = one.left < -ROUNDING
        || one.top < -ROUNDING
        || one.right() > width as f32 + ROUNDING
        || one.bottom() > height as f32 + ROUNDING;
    let clipped = one.clipped(height as usize, width as usize).filter(|_| !outside);
    clipped.ok_or_else(|| {
        let BoundingBox { left, top, label, .. } = &one;
        let (right, bottom) = (one.right(), one.bottom());
        let message = format!(
            "the box of \"{label}\" lies outside of its picture: left {left}, top {top}, right {right}, bottom {bottom}; \
             the picture has {width} x {height} pixels"
        );
        Error::new(ErrorCode::BadData, message)
    })
}

/// The path of a file that another file names, below `root`. One that leads out of it is refused.
pub(super) fn inside(root: &Path, named: &str) -> Result<PathBuf> {
    let path = Path::new(named);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !plain || named.is_empty() || named.contains('\\') {
        return Err(Error::new(ErrorCode::BadData, format!("\"{named}\" leads out of the dataset's folder"))
            .fix("name files below that folder, with plain relative paths"));
    }
    Ok(root.join(path))
}

/// A text file within the limit on label files.
pub(super) fn read_text(context: &Context<'_>, path: &Path) -> Result<(String, SourceFile)> {
    let failed = |source| Error::io("read the labels", path, source);
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    let limit = context.limits.label_file_bytes;
    if bytes > limit {
        let message = format!("{bytes} bytes, the limit label_file_bytes is {limit}");
        return Err(Error::new(ErrorCode::TooLarge, message).in_file(path));
    }
    let (bytes, source) = super::read_file(path)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::new(ErrorCode::BadData, "the labels are not UTF-8").in_file(path))?;
    Ok((text, source))
}

/// The pictures of a folder, in byte order.
pub(super) fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_picture = |path: &PathBuf| {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        extension.is_some_and(|extension| ["png", "jpg", "jpeg"].contains(&extension.as_str()))
    };
    Ok(super::image_folder::entries(folder)?.into_iter().filter(is_picture).collect())
}

/// A file's name without its extension.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}
