//! YOLO: a `data.yaml` with class names and the folders of pictures, and beside each folder `images` a folder `labels`
//! with a text file per picture: a class number and then a box (centre, width, height), a polygon, or a box with key
//! points, all in fractions of the picture's sides. A picture without a text file has no objects.

use super::yaml::{self, Value};
use super::{
    BOXES, KEY_POINTS, Labelled, Layout, MASKS, Marks, build, fitting_box, inside, pictures_in, read_text, stem,
};
use crate::dataset::{Dataset, SourceFile};
use crate::source::Context;
use lepton_core::marks::NamedPoint;
use lepton_core::{BoundingBox, Error, ErrorCode, KeyPoint, ObjectMask, Result, Split};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The settings file of a folder, by the names that are in use.
pub(crate) fn settings_of(path: &Path) -> Option<PathBuf> {
    let is_settings = path.is_file() && path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    let inside = || {
        ["data.yaml", "dataset.yaml", "data.yml"].map(|name| path.join(name)).into_iter().find(|file| file.is_file())
    };
    if is_settings { Some(path.to_path_buf()) } else { inside() }
}

/// What `data.yaml` says.
struct Classes {
    names: Vec<String>,
    /// Key points of an object, and numbers for each (2 or 3).
    points: Option<[usize; 2]>,
}

pub(crate) fn collect(context: &Context<'_>, name: &str, path: &Path) -> Result<Dataset> {
    let file = settings_of(path).ok_or_else(|| {
        Error::new(ErrorCode::NotFound, "the folder has no data.yaml").in_file(path).at_key("collect.path")
    })?;
    let (text, source) = read_text(context, &file)?;
    let keys = yaml::parse(&text).map_err(|error| error.in_file(&file))?;
    let find = |wanted: &str| keys.iter().find(|(key, ..)| key == wanted).map(|(_, value, line)| (value, *line));
    let wrong = |line: u64, key: &str, message: String| {
        Error::new(ErrorCode::BadData, message).in_file(&file).at_row(line).at_key(key)
    };
    let names = match find("names") {
        Some((Value::List(names), _)) => names.clone(),
        Some((Value::Map(entries), line)) => numbered(entries).map_err(|message| wrong(line, "names", message))?,
        Some((_, line)) => return Err(wrong(line, "names", "the names must be a list or a map".to_owned())),
        None => {
            return Err(Error::new(ErrorCode::BadData, "there are no names of classes").in_file(&file).at_key("names"));
        }
    };
    if let Some((Value::Text(count), line)) = find("nc")
        && count.parse::<usize>().ok() != Some(names.len())
    {
        return Err(wrong(line, "nc", format!("{count} classes are announced, {} are named", names.len())));
    }
    let points = match find("kpt_shape") {
        None => None,
        Some((Value::List(shape), line)) => {
            match shape.iter().map(|side| side.parse()).collect::<Result<Vec<usize>, _>>().as_deref() {
                Ok([count @ 1..=1000, numbers @ 2..=3]) => Some([*count, *numbers]),
                _ => return Err(wrong(line, "kpt_shape", "it must be a number of key points and 2 or 3".to_owned())),
            }
        }
        Some((_, line)) => return Err(wrong(line, "kpt_shape", "it must be a list".to_owned())),
    };
    let base = file.parent().unwrap_or(Path::new("")).to_path_buf();
    let root = match find("path") {
        Some((Value::Text(root), line)) if !root.is_empty() && root != "." => {
            inside(&base, root).map_err(|error| error.in_file(&file).at_row(line).at_key("path"))?
        }
        _ => base,
    };
    let classes = Arc::new(Classes { names, points });
    let mut parts: BTreeMap<Split, Vec<Labelled>> = BTreeMap::new();
    let mut has_polygons = false;
    for (key, split) in [("train", Split::Train), ("val", Split::Valid), ("valid", Split::Valid), ("test", Split::Test)]
    {
        let folders = match find(key) {
            None => continue,
            Some((Value::Text(folder), _)) if folder.is_empty() => continue,
            Some((Value::Text(folder), line)) => vec![(folder, line)],
            Some((Value::List(folders), line)) => folders.iter().map(|folder| (folder, line)).collect(),
            Some((Value::Map(_), line)) => {
                return Err(wrong(line, key, "it must be a folder or a list of folders".to_owned()));
            }
        };
        if parts.contains_key(&split) {
            return Err(wrong(folders[0].1, key, format!("the {split} part is named twice")));
        }
        let mut pictures = Vec::new();
        for (folder, line) in folders {
            let placed = |error: Error| match error.place().file {
                Some(_) => error,
                None => error.in_file(&file).at_row(line).at_key(key),
            };
            let folder = inside(&root, folder).map_err(placed)?;
            if folder.is_file() {
                return Err(wrong(line, key, "a list of pictures in a text file is not supported".to_owned())
                    .fix("name the folder of the pictures"));
            }
            read_folder(context, &folder, &classes, &mut pictures, &mut has_polygons)?;
        }
        parts.insert(split, pictures);
    }
    if !parts.contains_key(&Split::Train) {
        return Err(Error::new(ErrorCode::BadData, "no folder of training pictures is named")
            .in_file(&file)
            .at_key("train"));
    }
    let mut columns = vec![BOXES];
    columns.extend(has_polygons.then_some(MASKS));
    columns.extend(classes.points.map(|_| KEY_POINTS));
    build(context, name, Layout { parts, columns, has_labels: false, source: vec![source] })
}

/// Names by number, which must be 0, 1, 2, ...
fn numbered(entries: &[(String, String)]) -> Result<Vec<String>, String> {
    let mut names: BTreeMap<usize, String> = BTreeMap::new();
    for (number, name) in entries {
        let number = number.parse().map_err(|_| format!("\"{number}\" is no class number"))?;
        if names.insert(number, name.clone()).is_some() {
            return Err(format!("class {number} is named twice"));
        }
    }
    if names.keys().copied().ne(0..names.len()) {
        return Err("the class numbers must be 0, 1, 2, ... without a gap".to_owned());
    }
    Ok(names.into_values().collect())
}

fn read_folder(
    context: &Context<'_>,
    folder: &Path,
    classes: &Arc<Classes>,
    pictures: &mut Vec<Labelled>,
    has_polygons: &mut bool,
) -> Result<()> {
    let labels = labels_beside(folder);
    let mut known = BTreeSet::new();
    for picture in pictures_in(folder)? {
        let file = labels.join(format!("{}.txt", stem(&picture)));
        known.insert(stem(&picture));
        let objects = if file.is_file() {
            let (text, source) = read_text(context, &file)?;
            let objects = parse(&text, classes).map_err(|error| error.in_file(&file))?;
            *has_polygons |= objects.iter().any(|(object, _)| matches!(object, Object::Polygon { .. }));
            Some((objects, source, file))
        } else {
            None
        };
        let classes = Arc::clone(classes);
        let marks = Box::new(move |height: u32, width: u32| match objects {
            Some((objects, source, file)) => place(objects, source, &file, &classes, height, width),
            None => Ok(Marks::default()),
        });
        pictures.push(Labelled { picture, label: None, marks });
    }
    if known.is_empty() {
        return Err(Error::new(ErrorCode::BadData, "the folder has no pictures").in_file(folder));
    }
    // A text file whose picture is gone would otherwise lose its objects without a word.
    if labels != *folder && labels.is_dir() {
        for file in super::super::image_folder::entries(&labels)? {
            if file.extension().is_some_and(|end| end == "txt")
                && !known.contains(&stem(&file))
                && stem(&file) != "classes"
            {
                return Err(Error::new(ErrorCode::NotFound, "the picture of these labels is missing").in_file(file));
            }
        }
    }
    Ok(())
}

/// The last folder that is called `images` becomes `labels`; where none is, they lie beside the pictures.
fn labels_beside(folder: &Path) -> PathBuf {
    let parts: Vec<_> = folder.components().collect();
    match parts.iter().rposition(|part| part.as_os_str() == "images") {
        Some(place) => {
            let mut path: PathBuf = parts[..place].iter().collect();
            path.push("labels");
            path.extend(&parts[place + 1..]);
            path
        }
        None => folder.to_path_buf(),
    }
}

/// One object, in fractions of the picture's sides.
enum Object {
    Box { class: usize, numbers: [f64; 4], points: Vec<f64> },
    Polygon { class: usize, points: Vec<f64> },
}

/// The objects of a file, with their lines.
fn parse(text: &str, classes: &Classes) -> Result<Vec<(Object, u64)>> {
    let mut objects = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = index as u64 + 1;
        let wrong = |message: String| Error::new(ErrorCode::BadData, message).at_row(number);
        let mut words = line.split_whitespace();
        let word = words.next().unwrap_or_default();
        let class: usize = word.parse().map_err(|_| wrong(format!("\"{word}\" is no class number")))?;
        if class >= classes.names.len() {
            let message =
                format!("class {class} is out of range: data.yaml names {} classes, from 0", classes.names.len());
            return Err(wrong(message));
        }
        let mut numbers = Vec::new();
        for word in words {
            let value: f64 = word.parse().map_err(|_| wrong(format!("\"{word}\" is no number")))?;
            numbers.push(value);
        }
        let points = classes.points.map_or(0, |[count, each]| count * each);
        let fractions = match classes.points {
            Some([_, each]) => numbers
                .iter()
                .enumerate()
                .filter(|(at, _)| *at < 4 || each == 2 || (at - 4) % 3 != 2)
                .map(|(_, value)| *value)
                .collect(),
            None => numbers.clone(),
        };
        if let Some(value) = fractions.iter().find(|value| !(0.0..=1.0).contains(*value)) {
            return Err(wrong(format!("{value} is no fraction of the picture's side, which lies between 0 and 1")));
        }
        objects.push(match numbers.as_slice() {
            [x, y, width, height, rest @ ..] if rest.len() == points => {
                (Object::Box { class, numbers: [*x, *y, *width, *height], points: rest.to_vec() }, number)
            }
            polygon if classes.points.is_none() && polygon.len() >= 6 && polygon.len().is_multiple_of(2) => {
                (Object::Polygon { class, points: polygon.to_vec() }, number)
            }
            other => {
                let box_of = 4 + points;
                return Err(wrong(format!(
                    "{} numbers after the class; a box has {box_of}, a polygon 6 or more by twos",
                    other.len()
                )));
            }
        });
    }
    Ok(objects)
}

fn place(
    objects: Vec<(Object, u64)>,
    source: SourceFile,
    file: &Path,
    classes: &Classes,
    height: u32,
    width: u32,
) -> Result<Marks> {
    let mut marks = Marks { source: vec![source], ..Marks::default() };
    let (w, h) = (f64::from(width), f64::from(height));
    for (object, line) in objects {
        let placed = |error: Error| error.in_file(file).at_row(line);
        match object {
            Object::Box { class, numbers: [x, y, across, down], points } => {
                let label = &classes.names[class];
                let corner = |x: f64, y: f64| [(x * w) as f32, (y * h) as f32];
                let (one, other) = (corner(x - across / 2.0, y - down / 2.0), corner(x + across / 2.0, y + down / 2.0));
                let one = BoundingBox::from_corners(one, other, label.clone());
                let index = marks.boxes.len() as u32;
                marks.boxes.push(fitting_box(one, height, width).map_err(placed)?);
                let each = classes.points.map_or(2, |[_, each]| each);
                for (number, point) in points.chunks_exact(each).enumerate() {
                    let visibility = point.get(2).copied().unwrap_or(2.0);
                    if visibility == 0.0 {
                        continue;
                    }
                    // Fractions are measured along the edges; key points name the centres of pixels.
                    let (x, y) = ((point[0] * w - 0.5) as f32, (point[1] * h - 0.5) as f32);
                    let point = KeyPoint { x, y, visible: visibility == 2.0 };
                    marks.points.push(NamedPoint { object: index, name: number.to_string(), point });
                }
            }
            Object::Polygon { class, points } => {
                let polygon: Vec<f64> =
                    points.iter().enumerate().map(|(at, value)| value * if at % 2 == 0 { w } else { h }).collect();
                let label = classes.names[class].clone();
                let mask = ObjectMask::from_polygons(label, height, width, &[polygon]).map_err(placed)?;
                let around = mask
                    .bounding_box()
                    .ok_or_else(|| placed(Error::new(ErrorCode::BadData, "this polygon is smaller than any pixel")))?;
                marks.boxes.push(around);
                marks.masks.push(mask);
            }
        }
    }
    Ok(marks)
}
