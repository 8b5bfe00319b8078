//! Pascal VOC: `Annotations/NAME.xml` with the boxes of `JPEGImages/NAME.jpg`, and `ImageSets/Main/PART.txt` with the
//! names of a part; without these all pictures are for training. Corners are pixels counted from 1, both included.

use super::xml::{self, Element};
use super::{BOXES, Labelled, Layout, Marks, build, fitting_box, inside, pictures_in, read_text, stem};
use crate::dataset::{Dataset, SourceFile};
use crate::source::Context;
use lepton_core::{BoundingBox, Error, ErrorCode, Result, Split};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Whether a folder looks like it.
pub(crate) fn is_layout(folder: &Path) -> bool {
    folder.join("Annotations").is_dir() && folder.join("JPEGImages").is_dir()
}

pub(crate) fn collect(context: &Context<'_>, name: &str, folder: &Path) -> Result<Dataset> {
    let pictures: BTreeMap<String, PathBuf> =
        pictures_in(&folder.join("JPEGImages"))?.into_iter().map(|path| (stem(&path), path)).collect();
    let mut source = Vec::new();
    let mut lists: BTreeMap<Split, Vec<(String, PathBuf, u64)>> = BTreeMap::new();
    for (part, split) in [("train", Split::Train), ("val", Split::Valid), ("test", Split::Test)] {
        let list = folder.join("ImageSets").join("Main").join(format!("{part}.txt"));
        if !list.is_file() {
            continue;
        }
        let (text, read) = read_text(context, &list)?;
        source.push(read);
        let names = text.lines().enumerate().filter_map(|(index, line)| {
            let name = line.split_whitespace().next()?;
            Some((name.to_owned(), list.clone(), index as u64 + 1))
        });
        lists.insert(split, names.collect());
    }
    if lists.is_empty() {
        let files = super::super::image_folder::entries(&folder.join("Annotations"))?;
        let names = files.into_iter().map(|file| (stem(&file), file, 1)).collect();
        lists.insert(Split::Train, names);
    }
    let mut parts = BTreeMap::new();
    for (split, names) in lists {
        let mut labelled = Vec::with_capacity(names.len());
        for (name, list, line) in names {
            let file = inside(&folder.join("Annotations"), &format!("{name}.xml"))
                .map_err(|error| error.in_file(&list).at_row(line))?;
            if !file.is_file() {
                return Err(Error::new(ErrorCode::NotFound, format!("the annotation {} is missing", file.display()))
                    .in_file(list)
                    .at_row(line));
            }
            let (text, read) = read_text(context, &file)?;
            let objects = parse(&text).map_err(|error| error.in_file(&file))?;
            let picture = pictures.get(&name).cloned().ok_or_else(|| {
                let message = format!("JPEGImages has no picture \"{name}\" (PNG or JPEG)");
                Error::new(ErrorCode::NotFound, message).in_file(&file)
            })?;
            let marks = Box::new(move |height: u32, width: u32| place(objects, read, &file, height, width));
            labelled.push(Labelled { picture, label: None, marks });
        }
        parts.insert(split, labelled);
    }
    build(context, name, Layout { parts, columns: vec![BOXES], has_labels: false, source })
}

/// What one XML file says.
struct Annotated {
    /// Width and height.
    size: Option<[u32; 2]>,
    /// Class, corners (left, top, right, bottom), line.
    objects: Vec<(String, [f32; 4], u64)>,
}

fn parse(text: &str) -> Result<Annotated> {
    let root = xml::parse(text)?;
    let wrong = |element: &Element, message: String| Error::new(ErrorCode::BadData, message).at_row(element.line);
    if root.name != "annotation" {
        return Err(wrong(&root, format!("the root is <{}>, not <annotation>", root.name)));
    }
    let number = |element: &Element, name: &str| -> Result<f32> {
        let found = element.child(name).filter(|child| !child.text.is_empty());
        let found = found.ok_or_else(|| wrong(element, format!("<{name}> is missing")))?;
        let value = found.text.parse::<f32>().ok().filter(|value| value.is_finite());
        value.ok_or_else(|| wrong(element, format!("<{name}> is \"{}\", not a number", found.text)))
    };
    let size = match root.child("size") {
        Some(size) => Some([number(size, "width")? as u32, number(size, "height")? as u32]),
        None => None,
    };
    let mut objects = Vec::new();
    for object in root.children.iter().filter(|child| child.name == "object") {
        let class = object.child("name").map(|name| name.text.clone()).filter(|name| !name.is_empty());
        let class = class.ok_or_else(|| wrong(object, "an object without a <name>".to_owned()))?;
        let corners =
            object.child("bndbox").ok_or_else(|| wrong(object, format!("the object \"{class}\" has no <bndbox>")))?;
        let [left, top] = [number(corners, "xmin")?, number(corners, "ymin")?];
        let [right, bottom] = [number(corners, "xmax")?, number(corners, "ymax")?];
        objects.push((class, [left, top, right, bottom], object.line));
    }
    Ok(Annotated { size, objects })
}

fn place(read: Annotated, source: SourceFile, file: &Path, height: u32, width: u32) -> Result<Marks> {
    if let Some([said_w, said_h]) = read.size.filter(|size| *size != [width, height]) {
        let message = format!("the picture has {width} x {height} pixels, the file says {said_w} x {said_h}");
        return Err(Error::new(ErrorCode::BadData, message).in_file(file));
    }
    let mut marks = Marks { source: vec![source], ..Marks::default() };
    for (label, [left, top, right, bottom], line) in read.objects {
        // The first pixel is 1 and the last one belongs to the box: its edges are one before and at the number.
        let one = BoundingBox {
            left: left - 1.0,
            top: top - 1.0,
            width: right - left + 1.0,
            height: bottom - top + 1.0,
            label,
        };
        marks.boxes.push(fitting_box(one, height, width).map_err(|error| error.in_file(file).at_row(line))?);
    }
    Ok(marks)
}
