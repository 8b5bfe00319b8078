//! A folder per class with PNG and JPEG files. The folder may hold the classes, or `train`, `valid` (or `val`)
//! and `test` folders that do. Names that start with a dot are not looked at; files and classes are in byte order.

use super::{Context, picture_schema, read_file};
use crate::dataset::{Dataset, SourceFile, Unreadable};
use crate::settings::UnreadablePolicy;
use arrow_array::{RecordBatch, StringArray};
use lepton_core::image::{Image, ImageBuilder};
use lepton_core::{Error, ErrorCode, Limits, Result, Split};
use lepton_recipe::raw::{self, decode_picture};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that are decoded between two looks at the cancel flag.
const CHUNK: usize = 256;

/// Folder names of the parts.
const PART_FOLDERS: [(&str, Split); 4] =
    [("train", Split::Train), ("valid", Split::Valid), ("val", Split::Valid), ("test", Split::Test)];

/// What came of one file.
pub(super) enum Read {
    Picture(Image, SourceFile),
    Failed(Unreadable),
}

/// The dataset of these folders.
pub(crate) fn collect(context: &Context<'_>, name: &str, paths: &BTreeMap<Split, PathBuf>) -> Result<Dataset> {
    context.refuse_table_settings()?;
    let schema = picture_schema();
    let target = super::LABEL.to_owned();
    let mut dataset = Dataset {
        name: name.to_owned(),
        schema,
        target,
        parts: BTreeMap::new(),
        source: Vec::new(),
        unreadable: Vec::new(),
    };
    for (split, folder) in part_folders(paths)? {
        let batch = read_part(context, split, &folder, &mut dataset)?;
        dataset.parts.insert(split, batch);
    }
    Ok(dataset)
}

/// The folder of classes of each part.
fn part_folders(paths: &BTreeMap<Split, PathBuf>) -> Result<BTreeMap<Split, PathBuf>> {
    let mut folders = BTreeMap::new();
    if let Some(path) = paths.get(&Split::Train) {
        if !path.is_dir() {
            return Err(
                Error::new(ErrorCode::BadData, "pictures come as a folder with one folder per class").in_file(path)
            );
        }
        if path.join("train").is_dir() {
            for (name, split) in PART_FOLDERS {
                let folder = path.join(name);
                if folder.is_dir() && folders.insert(split, folder.clone()).is_some() {
                    return Err(
                        Error::new(ErrorCode::BadData, format!("two folders for the {split} part")).in_file(folder)
                    );
                }
            }
        } else {
            folders.insert(Split::Train, path.clone());
        }
    }
    for (split, path) in paths.iter().filter(|(split, _)| **split != Split::Train) {
        if folders.insert(*split, path.clone()).is_some() {
            return Err(Error::new(ErrorCode::Config, format!("the source has a {split} folder already"))
                .in_file(path)
                .at_key(format!("collect.{split}")));
        }
    }
    Ok(folders)
}

fn read_part(context: &Context<'_>, split: Split, folder: &Path, dataset: &mut Dataset) -> Result<RecordBatch> {
    let mut files: Vec<(String, PathBuf)> = Vec::new();
    for class in entries(folder)? {
        if !class.is_dir() {
            return Err(Error::new(ErrorCode::BadData, "this file lies beside the class folders")
                .in_file(&class)
                .fix("put each picture into the folder of its class"));
        }
        let label = class.file_name().and_then(|name| name.to_str()).map(str::to_owned).ok_or_else(|| {
            Error::new(ErrorCode::BadData, "the name of a class folder must be UTF-8").in_file(&class)
        })?;
        let members = entries(&class)?;
        if members.is_empty() {
            return Err(Error::new(ErrorCode::BadData, format!("class \"{label}\" has no pictures")).in_file(&class));
        }
        files.extend(members.into_iter().map(|path| (label.clone(), path)));
    }
    if files.is_empty() {
        return Err(Error::new(ErrorCode::BadData, "the folder has no class folders")
            .in_file(folder)
            .fix("make one folder per class and put its PNG and JPEG files there"));
    }
    let mut pictures = ImageBuilder::default();
    let mut labels = Vec::with_capacity(files.len());
    for (chunk, some) in files.chunks(CHUNK).enumerate() {
        context.cancel.check()?;
        let read: Vec<Result<Read>> = some.par_iter().map(|(_, path)| read_picture(path, context.limits)).collect();
        for ((label, _), read) in some.iter().zip(read) {
            match read? {
                Read::Picture(picture, source) => {
                    pictures.push(Some(picture.as_ref()));
                    labels.push(label.as_str());
                    dataset.source.push(source);
                }
                Read::Failed(unreadable) if context.settings.unreadable == UnreadablePolicy::Refuse => {
                    return Err(Error::new(ErrorCode::BadData, unreadable.reason)
                        .in_file(unreadable.path)
                        .fix("mend or remove the file, or set `unreadable = \"drop\"` under [collect] to leave such files out"));
                }
                Read::Failed(unreadable) => dataset.unreadable.push(unreadable),
            }
        }
        context.advanced(&format!("{} {split}", dataset.name), chunk * CHUNK + some.len(), Some(files.len()));
    }
    let columns = vec![pictures.finish(), Arc::new(StringArray::from(labels)) as _];
    RecordBatch::try_new(raw::arrow_schema(&dataset.schema), columns)
        .map_err(|source| Error::internal(format!("picture columns do not fit: {source}")))
}

/// What a folder holds, in byte order, without hidden names.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::io("look into the folder", folder, source);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

pub(super) fn read_picture(path: &Path, limits: &Limits) -> Result<Read> {
    let failed = |reason: String| Ok(Read::Failed(Unreadable { path: path.to_path_buf(), reason }));
    if path.is_dir() {
        return failed("a folder inside a class folder".to_owned());
    }
    let (bytes, source) = match read_file(path) {
        Ok(read) => read,
        Err(error) => return failed(error.message().to_owned()),
    };
    match decode_picture(&bytes, limits) {
        Ok(picture) => Ok(Read::Picture(picture, source)),
        Err(error) if error.code() == ErrorCode::TooLarge => Err(error.in_file(path)),
        Err(error) => failed(error.message().to_owned()),
    }
}
