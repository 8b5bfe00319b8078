//! idx files: pictures and labels as unsigned bytes behind a big-endian header (0, 0, type 8, number of sides,
//! then each side as 32 bits). Pictures have sides rows, height, width and perhaps channels (1 or 3); labels rows.

use super::{Context, picture_schema, read_file};
use crate::dataset::{Dataset, SourceFile};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use lepton_core::image::{ImageBuilder, ImageRef};
use lepton_core::{Error, ErrorCode, Limits, Result, Split};
use lepton_recipe::raw;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The idx type of unsigned bytes, the only one that pictures and labels use.
const UNSIGNED_BYTE: u8 = 8;

/// Images and labels of one part.
pub(crate) type Pair = [PathBuf; 2];

/// How the parts' files start, by the names that are in use.
const PREFIXES: [(&str, Split); 5] = [
    ("train", Split::Train),
    ("valid", Split::Valid),
    ("val", Split::Valid),
    ("test", Split::Test),
    ("t10k", Split::Test),
];

/// How the names go on: images, then labels.
const SUFFIXES: [[&str; 2]; 3] = [
    ["-images-idx3-ubyte", "-labels-idx1-ubyte"],
    ["-images.idx3-ubyte", "-labels.idx1-ubyte"],
    ["-images", "-labels"],
];

/// The idx pairs of a folder, by part.
///
/// # Errors
/// [`ErrorCode::NotFound`] for pictures without labels or labels without pictures, [`ErrorCode::BadData`] for two pairs of
/// one part.
pub fn files_in(folder: &Path) -> Result<BTreeMap<Split, [PathBuf; 2]>> {
    let mut found = BTreeMap::new();
    for (prefix, split) in PREFIXES {
        for [images, labels] in SUFFIXES {
            let pair = [folder.join(format!("{prefix}{images}")), folder.join(format!("{prefix}{labels}"))];
            match (pair[0].is_file(), pair[1].is_file()) {
                (true, true) if found.contains_key(&split) => {
                    return Err(Error::new(ErrorCode::BadData, format!("two pairs of idx files for the {split} part"))
                        .in_file(&pair[0]));
                }
                (true, true) => {
                    found.insert(split, pair);
                }
                (true, false) | (false, true) => {
                    let absent = if pair[0].is_file() { &pair[1] } else { &pair[0] };
                    return Err(Error::new(
                        ErrorCode::NotFound,
                        "idx pictures and labels come in pairs; this file is missing",
                    )
                    .in_file(absent));
                }
                (false, false) => {}
            }
        }
    }
    Ok(found)
}

/// The idx pairs that a path of the settings means: a folder with pairs by part, or an images file that stands for
/// `split`.
pub(crate) fn find_files(path: &Path, split: Split) -> Result<BTreeMap<Split, Pair>> {
    if path.is_dir() {
        let found = files_in(path)?;
        if !found.contains_key(&split) {
            return Err(Error::new(ErrorCode::NotFound, format!("the folder has no idx files for the {split} part"))
                .in_file(path)
                .fix("name them like train-images-idx3-ubyte and train-labels-idx1-ubyte"));
        }
        return Ok(if split == Split::Train {
            found
        } else {
            found.into_iter().filter(|(s, _)| *s == split).collect()
        });
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let suffix = SUFFIXES.iter().find(|[images, _]| name.ends_with(images));
    let Some([images, labels]) = suffix else {
        return Err(Error::new(ErrorCode::Config, "this is not the name of an idx file of pictures")
            .in_file(path)
            .fix("name pictures like train-images-idx3-ubyte and labels like train-labels-idx1-ubyte"));
    };
    let labels = path.with_file_name(format!("{}{labels}", name.trim_end_matches(images)));
    Ok(BTreeMap::from([(split, [path.to_path_buf(), labels])]))
}

/// The dataset of these pairs.
pub(crate) fn collect(context: &Context<'_>, name: &str, parts: &BTreeMap<Split, Pair>) -> Result<Dataset> {
    context.refuse_table_settings()?;
    let schema = picture_schema();
    let mut source = Vec::new();
    let mut batches = BTreeMap::new();
    for (&split, [images, labels]) in parts {
        context.cancel.check()?;
        let (pictures, picture_rows) = read_pictures(context, images, &mut source)?;
        let labels = read_labels(labels, picture_rows, images, &mut source)?;
        let batch = RecordBatch::try_new(raw::arrow_schema(&schema), vec![pictures, labels])
            .map_err(|source| Error::internal(format!("idx columns do not fit: {source}")))?;
        context.advanced(&format!("{name} {split}"), batch.num_rows(), Some(batch.num_rows()));
        batches.insert(split, batch);
    }
    let target = super::LABEL.to_owned();
    Ok(Dataset { name: name.to_owned(), schema, target, parts: batches, source, unreadable: Vec::new() })
}

fn read_pictures(context: &Context<'_>, path: &Path, source: &mut Vec<SourceFile>) -> Result<(ArrayRef, usize)> {
    let (bytes, file) = read_file(path)?;
    source.push(file);
    let (sides, body) = parse(&bytes).map_err(|error| error.in_file(path))?;
    let [rows, height, width, channels] = picture_sides(&sides, context.limits).map_err(|error| error.in_file(path))?;
    let mut builder = ImageBuilder::default();
    for pixels in body.chunks_exact(height * width * channels) {
        builder.push(Some(ImageRef { height, width, channels, pixels }));
    }
    Ok((builder.finish(), rows))
}

fn read_labels(path: &Path, picture_rows: usize, images: &Path, source: &mut Vec<SourceFile>) -> Result<ArrayRef> {
    let (bytes, file) = read_file(path)?;
    source.push(file);
    let (sides, body) = parse(&bytes).map_err(|error| error.in_file(path))?;
    label_rows(&sides, picture_rows, images).map_err(|error| error.in_file(path))?;
    Ok(Arc::new(body.iter().map(|label| Some(label.to_string())).collect::<StringArray>()))
}

/// The sides and the body of an idx file of unsigned bytes; the body is exactly as long as the sides say.
fn parse(bytes: &[u8]) -> Result<(Vec<usize>, &[u8])> {
    let (sides, body) = header(bytes, bytes.len() as u64)?;
    Ok((sides, &bytes[body..]))
}

/// The sides of an idx file of unsigned bytes, and where its body starts, of its first bytes (at least 20 where there
/// are so many) and its length.
pub(super) fn header(bytes: &[u8], length: u64) -> Result<(Vec<usize>, usize)> {
    let wrong = |message: String| Error::new(ErrorCode::BadData, message);
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(wrong("the file is gzipped".to_owned()).fix("unpack it with gunzip first"));
    }
    let (kind, rank) = match bytes {
        [0, 0, kind, rank, ..] => (*kind, usize::from(*rank)),
        _ => return Err(wrong("this is not an idx file: it does not start with two zero bytes and a type".to_owned())),
    };
    if kind != UNSIGNED_BYTE {
        return Err(wrong(format!(
            "idx type {kind:#04x} is not supported; pictures and labels are unsigned bytes (0x08)"
        )));
    }
    if !(1..=4).contains(&rank) {
        return Err(wrong(format!("an idx file of {rank} sides is neither pictures nor labels")));
    }
    let header = 4 + 4 * rank;
    let truncated = |expected: u128| {
        wrong(format!("the idx file is truncated: {expected} bytes expected, {length} there"))
            .fix("copy or download the file again")
    };
    let sides_bytes = bytes.get(4..header).ok_or_else(|| truncated(header as u128))?;
    let sides: Vec<u32> = sides_bytes.as_chunks::<4>().0.iter().map(|side| u32::from_be_bytes(*side)).collect();
    // Four 32-bit sides fit in 128 bits.
    let expected = header as u128 + sides.iter().map(|&side| u128::from(side)).product::<u128>();
    match u128::from(length).cmp(&expected) {
        std::cmp::Ordering::Less => Err(truncated(expected)),
        std::cmp::Ordering::Greater => {
            Err(wrong(format!("the idx file is too long: {expected} bytes expected, {length} there")))
        }
        std::cmp::Ordering::Equal => Ok((sides.into_iter().map(|side| side as usize).collect(), header)),
    }
}

/// Refuses sides of labels that do not go with `picture_rows` pictures of the file `images`.
pub(super) fn label_rows(sides: &[usize], picture_rows: usize, images: &Path) -> Result<()> {
    match *sides {
        [rows] if rows == picture_rows => Ok(()),
        [rows] => {
            let message = format!("{rows} labels for the {picture_rows} pictures of {}", images.display());
            Err(Error::new(ErrorCode::BadData, message))
        }
        _ => Err(Error::new(ErrorCode::BadData, format!("idx sides {sides:?} are not those of labels (rows)"))),
    }
}

/// The sides of pictures: rows, height, width, channels.
pub(super) fn picture_sides(sides: &[usize], limits: &Limits) -> Result<[usize; 4]> {
    let (rows, height, width, channels) = match *sides {
        [rows, height, width] => (rows, height, width, 1),
        [rows, height, width, channels @ (1 | 3)] => (rows, height, width, channels),
        _ => {
            let message = format!("idx sides {sides:?} are not those of pictures (rows, height, width)");
            return Err(Error::new(ErrorCode::BadData, message));
        }
    };
    let pixels = height as u64 * width as u64;
    if pixels > limits.image_pixels {
        let limit = limits.image_pixels;
        let message = format!("pictures of {height}x{width} pixels, the limit image_pixels is {limit}");
        return Err(Error::new(ErrorCode::TooLarge, message));
    }
    if rows == 0 || pixels == 0 {
        return Err(Error::new(ErrorCode::BadData, "the idx file holds no pictures"));
    }
    Ok([rows, height, width, channels])
}
