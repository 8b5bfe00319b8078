//! What is looked at: the files of a folder, the rows of idx files, the rows of a dataset. Nothing is decoded here.

use super::walk::{Found, Other, OtherKind, kind_of, walk};
use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use lepton_core::image::{Image, ImageColumn};
use lepton_core::{Error, ErrorCode, Limits, Result, Split};
use lepton_data::scan::TableFormat;
use lepton_data::{IdxPictures, idx_files, idx_labels};
use lepton_recipe::raw::decode_picture;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a collection holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaKind {
    /// PNG and JPEG files, or rows of pixels.
    Pictures,
    /// WAV, FLAC, OGG and MP3 files.
    Audio,
}

impl MediaKind {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            MediaKind::Pictures => "pictures",
            MediaKind::Audio => "audio",
        }
    }

    /// One of them, for sentences.
    pub fn one(self) -> &'static str {
        match self {
            MediaKind::Pictures => "picture",
            MediaKind::Audio => "sound",
        }
    }
}

/// One picture or sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Unique: the path under the folder with `/` between names, or `train-images-idx3-ubyte#17` (rows from 1).
    pub name: String,
    /// Its class.
    pub label: Option<String>,
    /// Its part, where there are parts.
    pub part: Option<Split>,
    /// How many bytes it has where it lies.
    pub bytes: u64,
    pub(super) place: Place,
}

/// Where an item lies.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    File(PathBuf),
    Idx { pair: usize, row: usize },
    Row { batch: usize, row: usize },
}

/// A pair of idx files.
#[derive(Debug)]
pub struct IdxPair {
    /// Which part.
    pub part: Split,
    /// The names of the files of pictures and labels.
    pub names: [String; 2],
    /// Where they lie.
    pub paths: [PathBuf; 2],
    pub(super) pictures: IdxPictures,
}

/// How a collection lies on disk.
#[derive(Debug)]
pub enum Form {
    /// Files under this folder; a single file lies in the folder above it.
    Files(PathBuf),
    /// idx files.
    Idx(Vec<IdxPair>),
    /// Parts of a dataset version.
    Rows(Vec<RecordBatch>),
}

/// Pictures or sounds.
#[derive(Debug)]
pub struct Collection {
    /// What a person calls it.
    pub name: String,
    /// What it holds.
    pub kind: MediaKind,
    /// All items, by name.
    pub items: Vec<Item>,
    /// What else lies in the folder.
    pub others: Vec<Other>,
    /// How it lies on disk.
    pub form: Form,
}

/// Folder names of the parts.
const PARTS: [(&str, Split); 4] =
    [("train", Split::Train), ("valid", Split::Valid), ("val", Split::Valid), ("test", Split::Test)];

impl Collection {
    /// Whether a path is a folder, or a file that is a picture, a sound or one of a pair of idx files, and no table.
    pub fn is_media(path: &Path) -> bool {
        let is_idx = |name: &std::ffi::OsStr| {
            let name = name.to_string_lossy();
            name.contains("-images") || name.contains("-labels")
        };
        path.is_dir()
            || (path.is_file()
                && TableFormat::of(path).is_none()
                && (path.file_name().is_some_and(is_idx) || kind_of(path).is_some()))
    }

    /// A folder (with a folder per class or none, under `train`, `valid` and `test` or not; or with idx files) or a
    /// single file.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] for a folder with neither pictures nor sounds, and for idx files that are wrong;
    /// [`ErrorCode::NotFound`] and [`ErrorCode::Io`].
    pub fn open(path: &Path, limits: &Limits) -> Result<Collection> {
        let data = std::fs::metadata(path).map_err(|source| Error::io("find the data", path, source))?;
        let name = path.display().to_string();
        if data.is_dir() {
            let pairs = idx_files(path)?;
            return if pairs.is_empty() { from_folder(path, name) } else { Collection::idx(name, pairs, limits) };
        }
        let plain = path.file_name().and_then(|name| name.to_str()).unwrap_or("").to_owned();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Some(kind) = kind_of(path) {
            let item =
                Item { name: plain, label: None, part: None, bytes: data.len(), place: Place::File(path.into()) };
            let form = Form::Files(folder.to_path_buf());
            return Ok(Collection { name, kind, items: vec![item], others: Vec::new(), form });
        }
        let pair = idx_files(folder)?
            .into_iter()
            .find(|(_, paths)| paths.iter().any(|file| file.file_name() == path.file_name()));
        match pair {
            Some((part, paths)) => Collection::idx(name, BTreeMap::from([(part, paths)]), limits),
            None => {
                Err(Error::new(ErrorCode::BadData, "this is neither a picture nor a sound nor an idx file of pictures")
                    .in_file(path)
                    .fix("name idx files like train-images-idx3-ubyte and train-labels-idx1-ubyte"))
            }
        }
    }

    /// Pairs of idx files: pictures, labels.
    ///
    /// # Errors
    /// As [`Collection::open`].
    pub fn idx(name: String, pairs: BTreeMap<Split, [PathBuf; 2]>, limits: &Limits) -> Result<Collection> {
        let named = pairs.into_iter().map(|(part, paths)| {
            let names = [0, 1].map(|place| file_name(&paths[place]));
            (part, names, paths)
        });
        Collection::named_idx(name, named.collect(), limits)
    }

    /// Pairs of idx files that are called otherwise than where they lie.
    ///
    /// # Errors
    /// As [`Collection::open`].
    pub fn named_idx(
        name: String,
        pairs: Vec<(Split, [String; 2], [PathBuf; 2])>,
        limits: &Limits,
    ) -> Result<Collection> {
        let (mut items, mut opened) = (Vec::new(), Vec::new());
        for (part, names, paths) in pairs {
            let pictures = IdxPictures::open(&paths[0], limits)?;
            let labels = idx_labels(&paths[1], &paths[0], pictures.rows)?;
            let bytes = (pictures.height * pictures.width * pictures.channels) as u64;
            items.extend(labels.iter().enumerate().map(|(row, label)| Item {
                name: format!("{}#{}", names[0], row + 1),
                label: Some(label.to_string()),
                part: Some(part),
                bytes,
                place: Place::Idx { pair: opened.len(), row },
            }));
            opened.push(IdxPair { part, names, paths, pictures });
        }
        Ok(Collection { name, kind: MediaKind::Pictures, items, others: Vec::new(), form: Form::Idx(opened) })
    }

    /// The parts of a dataset version: the column `image` of pictures, and `label`.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] when a part lacks one of the columns.
    pub fn rows(name: String, parts: BTreeMap<Split, RecordBatch>, image: &str, label: &str) -> Result<Collection> {
        let (mut items, mut batches) = (Vec::new(), Vec::new());
        for (part, batch) in parts {
            let absent =
                |column: &str| Error::new(ErrorCode::BadData, "the dataset has no such column").at_column(column);
            let pictures = batch.column_by_name(image).ok_or_else(|| absent(image))?.clone();
            ImageColumn::new(&pictures)?;
            let labels = batch.column_by_name(label).and_then(|labels| labels.as_string_opt::<i32>().cloned());
            let labels = labels.ok_or_else(|| absent(label))?;
            items.extend((0..batch.num_rows()).map(|row| Item {
                name: format!("{part}#{}", row + 1),
                label: labels.is_valid(row).then(|| labels.value(row).to_owned()),
                part: Some(part),
                bytes: 0,
                place: Place::Row { batch: batches.len(), row },
            }));
            let columns = [("image", pictures, true)];
            batches.push(
                RecordBatch::try_from_iter_with_nullable(columns)
                    .map_err(|source| Error::internal(format!("picture columns do not fit: {source}")))?,
            );
        }
        Ok(Collection { name, kind: MediaKind::Pictures, items, others: Vec::new(), form: Form::Rows(batches) })
    }

    /// Files that lie elsewhere than they are called: name, path, length, and whether each is an item. Labels and parts
    /// are those of the names.
    pub fn files(name: String, kind: MediaKind, root: &Path, files: Vec<(String, PathBuf, u64, bool)>) -> Collection {
        let found = files.into_iter().map(|(name, path, bytes, is_item)| {
            let kind = is_item.then_some(kind);
            Found { name, path, bytes, kind }
        });
        of_files(name, kind, root, found.collect(), Vec::new())
    }

    /// The file that an item is, where it is one.
    pub fn path(&self, item: usize) -> Option<&Path> {
        match &self.items.get(item)?.place {
            Place::File(path) => Some(path),
            Place::Idx { .. } | Place::Row { .. } => None,
        }
    }

    /// One picture, decoded.
    ///
    /// # Errors
    /// [`ErrorCode::BadInput`] for what is no whole PNG or JPEG, [`ErrorCode::TooLarge`] past `image_pixels`, with the
    /// file; [`ErrorCode::NotFound`] past the last item; [`ErrorCode::Io`].
    pub fn picture(&self, item: usize, limits: &Limits) -> Result<Image> {
        let found = self
            .items
            .get(item)
            .ok_or_else(|| Error::new(ErrorCode::NotFound, format!("the collection has {} items", self.items.len())))?;
        match (&found.place, &self.form) {
            (Place::File(path), _) => {
                let bytes = std::fs::read(path).map_err(|source| Error::io("read the picture", path, source))?;
                decode_picture(&bytes, limits).map_err(|error| error.in_file(path))
            }
            (Place::Idx { pair, row }, Form::Idx(pairs)) => {
                let pictures = &pairs[*pair].pictures;
                let IdxPictures { height, width, channels, .. } = *pictures;
                Ok(Image { height, width, channels, pixels: pictures.read(*row)? })
            }
            (Place::Row { batch, row }, Form::Rows(batches)) => {
                let column = ImageColumn::new(batches[*batch].column(0))?;
                let picture = column.get(*row).ok_or_else(|| {
                    Error::new(ErrorCode::BadInput, "there is no picture in this row").at_row(*row as u64 + 1)
                })?;
                let pixels = picture.pixels.to_vec();
                Ok(Image { height: picture.height, width: picture.width, channels: picture.channels, pixels })
            }
            _ => Err(Error::internal("an item lies elsewhere than its collection")),
        }
    }

    /// The labels in order, with how many items have each.
    pub fn classes(&self) -> BTreeMap<&str, u64> {
        let mut classes = BTreeMap::new();
        for label in self.items.iter().filter_map(|item| item.label.as_deref()) {
            *classes.entry(label).or_default() += 1;
        }
        classes
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn from_folder(root: &Path, name: String) -> Result<Collection> {
    let (found, others) = walk(root)?;
    let count = |kind| found.iter().filter(|file| file.kind == Some(kind)).count();
    let (pictures, sounds) = (count(MediaKind::Pictures), count(MediaKind::Audio));
    if pictures + sounds == 0 {
        let error =
            Error::new(ErrorCode::BadData, "the folder has neither pictures nor sounds nor idx files").in_file(root);
        let table = found.iter().find(|file| TableFormat::of(&file.path).is_some());
        return Err(match (table, found.is_empty() && others.is_empty()) {
            (Some(table), _) => error.fix(format!("to look at a table, name its file: {}", table.path.display())),
            (None, true) => error.fix("the folder is empty: name another one"),
            (None, false) => error.fix("PNG and JPEG pictures and WAV, FLAC, OGG and MP3 sounds are read"),
        });
    }
    let kind = if pictures >= sounds { MediaKind::Pictures } else { MediaKind::Audio };
    Ok(of_files(name, kind, root, found, others))
}

fn of_files(name: String, kind: MediaKind, root: &Path, found: Vec<Found>, mut others: Vec<Other>) -> Collection {
    let has_parts = found.iter().any(|file| file.name.starts_with("train/"));
    let mut items = Vec::new();
    for file in found {
        let folders: Vec<&str> = file.name.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev().collect();
        let part = match (has_parts, folders.first()) {
            (true, Some(first)) => PARTS.iter().find(|(part, _)| part == first).map(|(_, split)| *split),
            _ => None,
        };
        let inside = !has_parts || part.is_some();
        if file.kind == Some(kind) && inside {
            let label = folders.get(usize::from(has_parts)).map(|label| (*label).to_owned());
            items.push(Item { label, part, bytes: file.bytes, place: Place::File(file.path), name: file.name });
        } else {
            others.push(Other { name: file.name, path: file.path, kind: OtherKind::File });
        }
    }
    others.sort_by(|left, right| left.name.cmp(&right.name));
    Collection { name, kind, items, others, form: Form::Files(root.to_path_buf()) }
}
