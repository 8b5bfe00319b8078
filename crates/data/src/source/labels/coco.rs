//! COCO: one JSON file with `images`, `annotations` and `categories`. Objects have a box, and may have a segmentation
//! (polygons, run lengths, packed run lengths) and key points.

use super::{BOXES, KEY_POINTS, Labelled, Layout, MASKS, Marks, build, fitting_box, inside, read_text};
use crate::dataset::Dataset;
use crate::source::Context;
use lepton_core::marks::NamedPoint;
use lepton_core::{BoundingBox, Error, ErrorCode, KeyPoint, ObjectMask, Result, Split};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    file_name: String,
    height: Option<u32>,
    width: Option<u32>,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
    #[serde(default)]
    keypoints: Vec<String>,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
    bbox: Option<[f32; 4]>,
    segmentation: Option<Segmentation>,
    #[serde(default)]
    keypoints: Vec<f32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Segmentation {
    Polygons(Vec<Vec<f64>>),
    Runs { size: [u32; 2], counts: Counts },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Counts {
    Packed(String),
    Plain(Vec<u32>),
}

/// The JSON files of a folder by part: `PART/_annotations.coco.json`, or `annotations/instances_PART*.json`.
pub(crate) fn files_in(folder: &Path) -> BTreeMap<Split, PathBuf> {
    let mut found = BTreeMap::new();
    for (part, split) in
        [("train", Split::Train), ("valid", Split::Valid), ("val", Split::Valid), ("test", Split::Test)]
    {
        let beside = folder.join(part).join("_annotations.coco.json");
        let listed = super::super::image_folder::entries(&folder.join("annotations")).unwrap_or_default();
        let named = |path: &&PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name.strip_prefix(&format!("instances_{part}")).is_some_and(|rest| {
                rest.strip_suffix(".json").is_some_and(|year| year.bytes().all(|b| b.is_ascii_digit()))
            })
        };
        if beside.is_file() {
            found.entry(split).or_insert(beside);
        } else if let Some(file) = listed.iter().find(named) {
            found.entry(split).or_insert(file.clone());
        }
    }
    found
}

/// Where the pictures of a JSON file lie: `collect.images`, the folder of the file, or COCO's own `../PART2017`.
fn pictures_of(context: &Context<'_>, base: &Path, file: &Path, first: Option<&str>) -> Result<PathBuf> {
    if let Some(images) = &context.settings.images {
        return Ok(base.join(images));
    }
    let folder = file.parent().unwrap_or(Path::new(""));
    let part = super::stem(file).rsplit('_').next().map(str::to_owned).unwrap_or_default();
    let above = folder.parent().unwrap_or(folder);
    let candidates = [
        folder.to_path_buf(),
        folder.join("images"),
        above.join(&part),
        above.join("images"),
        above.join("images").join(&part),
    ];
    let Some(first) = first else { return Ok(folder.to_path_buf()) };
    let holds = |folder: &&PathBuf| inside(folder, first).is_ok_and(|path| path.is_file());
    candidates.iter().find(holds).cloned().ok_or_else(|| {
        let looked: Vec<String> = candidates.iter().map(|folder| folder.display().to_string()).collect();
        Error::new(ErrorCode::NotFound, format!("the picture \"{first}\" is in none of {}", looked.join(", ")))
            .in_file(file)
            .at_key("collect.images")
            .fix("set `images` under [collect] to the folder of the pictures")
    })
}

pub(crate) fn collect(
    context: &Context<'_>,
    name: &str,
    base: &Path,
    files: &BTreeMap<Split, PathBuf>,
) -> Result<Dataset> {
    let (mut parts, mut source) = (BTreeMap::new(), Vec::new());
    let (mut has_masks, mut has_points) = (false, false);
    for (split, path) in files {
        let (text, read) = read_text(context, path)?;
        let file: File = serde_json::from_str(&text).map_err(|source| {
            let cut = if source.is_eof() { "; the file may be cut off" } else { "" };
            Error::new(ErrorCode::BadData, format!("this is no COCO file: {source}{cut}"))
                .in_file(path)
                .at_row(source.line() as u64)
                .caused_by(source)
        })?;
        has_masks |= file.annotations.iter().any(|one| one.segmentation.is_some());
        has_points |= file.annotations.iter().any(|one| !one.keypoints.is_empty());
        source.push(read);
        parts.insert(*split, pictures(context, base, path, file)?);
    }
    let mut columns = vec![BOXES];
    columns.extend(has_masks.then_some(MASKS));
    columns.extend(has_points.then_some(KEY_POINTS));
    build(context, name, Layout { parts, columns, has_labels: false, source })
}

fn pictures(context: &Context<'_>, base: &Path, path: &Path, file: File) -> Result<Vec<Labelled>> {
    let wrong = |key: String, message: String| Error::new(ErrorCode::BadData, message).in_file(path).at_key(key);
    let folder = pictures_of(context, base, path, file.images.first().map(|image| image.file_name.as_str()))?;
    let mut categories: HashMap<u64, (String, Vec<String>)> = HashMap::new();
    for (index, category) in file.categories.into_iter().enumerate() {
        if categories.insert(category.id, (category.name, category.keypoints)).is_some() {
            return Err(wrong(format!("categories[{index}]"), format!("category {} is there twice", category.id)));
        }
    }
    let mut by_image: HashMap<u64, Vec<(usize, Annotation)>> = HashMap::new();
    for image in &file.images {
        by_image.insert(image.id, Vec::new());
    }
    if by_image.len() < file.images.len() {
        return Err(wrong("images".to_owned(), "two images have the same id".to_owned()));
    }
    for (index, annotation) in file.annotations.into_iter().enumerate() {
        let key = format!("annotations[{index}]");
        if !categories.contains_key(&annotation.category_id) {
            return Err(wrong(key, format!("there is no category {}", annotation.category_id)));
        }
        let Some(of_image) = by_image.get_mut(&annotation.image_id) else {
            return Err(wrong(key, format!("there is no image {}", annotation.image_id)));
        };
        of_image.push((index, annotation));
    }
    let categories = std::sync::Arc::new(categories);
    let mut labelled = Vec::with_capacity(file.images.len());
    for (index, image) in file.images.into_iter().enumerate() {
        let key = format!("images[{index}].file_name");
        let picture = inside(&folder, &image.file_name).map_err(|error| error.in_file(path).at_key(key.clone()))?;
        if !picture.is_file() {
            return Err(Error::new(ErrorCode::NotFound, format!("the picture {} is missing", picture.display()))
                .in_file(path)
                .at_key(key));
        }
        let annotations = by_image.remove(&image.id).unwrap_or_default();
        let (categories, file) = (std::sync::Arc::clone(&categories), path.to_path_buf());
        let (height_said, width_said) = (image.height, image.width);
        let marks = Box::new(move |height: u32, width: u32| {
            if height_said.is_some_and(|said| said != height) || width_said.is_some_and(|said| said != width) {
                let (said_w, said_h) = (width_said.unwrap_or(width), height_said.unwrap_or(height));
                let message = format!("the picture has {width} x {height} pixels, the file says {said_w} x {said_h}");
                return Err(Error::new(ErrorCode::BadData, message).in_file(&file).at_key(format!("images[{index}]")));
            }
            let mut marks = Marks::default();
            for (index, annotation) in annotations {
                let category = categories.get(&annotation.category_id);
                let (label, names) = category.ok_or_else(|| Error::internal("a category went away"))?;
                mark(annotation, label, names, height, width, &mut marks)
                    .map_err(|error| error.in_file(&file).at_key(format!("annotations[{index}]")))?;
            }
            Ok(marks)
        });
        labelled.push(Labelled { picture, label: None, marks });
    }
    Ok(labelled)
}

fn mark(one: Annotation, label: &str, names: &[String], height: u32, width: u32, marks: &mut Marks) -> Result<()> {
    let mask = match one.segmentation {
        None => None,
        Some(Segmentation::Polygons(polygons)) if polygons.is_empty() => None,
        Some(Segmentation::Polygons(polygons)) => Some(ObjectMask::from_polygons(label, height, width, &polygons)?),
        Some(Segmentation::Runs { size, counts }) => {
            if size != [height, width] {
                let message = format!(
                    "the segmentation is of {} x {} pixels, the picture has {width} x {height}",
                    size[1], size[0]
                );
                return Err(Error::new(ErrorCode::BadData, message));
            }
            Some(match counts {
                Counts::Packed(text) => ObjectMask::from_compressed(label, height, width, &text)?,
                Counts::Plain(counts) => ObjectMask::new(label, height, width, counts)?,
            })
        }
    };
    let around = match (one.bbox, &mask) {
        (Some([left, top, width, height]), _) => BoundingBox { left, top, width, height, label: label.to_owned() },
        (None, Some(mask)) => mask
            .bounding_box()
            .ok_or_else(|| Error::new(ErrorCode::BadData, "an object without a box and without a pixel"))?,
        (None, None) => {
            return Err(Error::new(ErrorCode::BadData, "an object without a box and without a segmentation"));
        }
    };
    let object = marks.boxes.len() as u32;
    marks.boxes.push(fitting_box(around, height, width)?);
    marks.masks.extend(mask);
    if !one.keypoints.is_empty() && one.keypoints.len() != 3 * names.len() {
        let message = format!("{} numbers for the {} key points of \"{label}\"", one.keypoints.len(), names.len());
        return Err(Error::new(ErrorCode::BadData, message));
    }
    for (name, point) in names.iter().zip(one.keypoints.chunks_exact(3)) {
        let visible = match point[2] {
            0.0 => continue,
            1.0 => false,
            2.0 => true,
            other => {
                return Err(Error::new(
                    ErrorCode::BadData,
                    format!("the key point {name} has the visibility {other}; it is 0, 1 or 2"),
                ));
            }
        };
        let point = KeyPoint { x: point[0], y: point[1], visible };
        if !point.is_inside(height as usize, width as usize) {
            let message = format!("the key point {name} lies outside of its picture: {}, {}", point.x, point.y);
            return Err(Error::new(ErrorCode::BadData, message));
        }
        marks.points.push(NamedPoint { object, name: name.clone(), point });
    }
    Ok(())
}
