//! Stage one: from settings to a typed dataset. Which reader is asked is decided here; reading is in `source`.

use crate::catalogue::{self, CatalogueFiles};
use crate::dataset::Dataset;
use crate::scan::TableFormat;
use crate::settings::{CollectSettings, Format};
use crate::source::{Context, idx, image_folder, table};
use lepton_core::{Cancel, Error, ErrorCode, Limits, Progress, Result, Split};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Reads the dataset that the settings name. Relative paths start at `base`. For a dataset of the catalogue,
/// `files` are its fetched files; without them the error says what would be fetched and how to allow it.
///
/// # Errors
/// [`ErrorCode::Config`] for settings that do not go together; [`ErrorCode::NotFound`] for files, columns and
/// datasets that are not there, with the nearest name; [`ErrorCode::NotAllowed`] for a dataset that must be fetched
/// first; [`ErrorCode::BadData`] with file, row and column for data that cannot be read; [`ErrorCode::TooLarge`]
/// past a limit, by its name; [`ErrorCode::Integrity`] when a fetched file was changed.
pub fn collect(
    settings: &CollectSettings,
    base: &Path,
    files: Option<&CatalogueFiles>,
    limits: &Limits,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Dataset> {
    let context = Context { settings, limits, progress, cancel };
    match (&settings.dataset, &settings.path) {
        (Some(_), Some(_)) => Err(Error::new(ErrorCode::Config, "`dataset` and `path` cannot both be set")
            .at_key("collect.path")
            .fix("remove one of the two")),
        (None, None) => Err(Error::new(ErrorCode::Config, "neither `dataset` nor `path` says where the data is")
            .at_key("collect")
            .fix("set `path` to a file or folder, or `dataset` to a name of `lepton data list`")),
        (Some(name), None) => from_catalogue(&context, name, files),
        (None, Some(path)) => from_path(&context, path, base),
    }
}

fn from_catalogue(context: &Context<'_>, name: &str, files: Option<&CatalogueFiles>) -> Result<Dataset> {
    let entry = catalogue::find(name)?;
    let files = files.ok_or_else(|| entry.needs_permission())?;
    let by_role = |role: &str| -> Result<PathBuf> {
        let file = files.files.iter().find(|file| file.role == role);
        file.map(|file| file.path.clone()).ok_or_else(|| entry.needs_permission())
    };
    let mut dataset = match entry.format {
        Format::Idx => {
            let mut parts = BTreeMap::new();
            parts.insert(Split::Train, [by_role("train_images")?, by_role("train_labels")?]);
            parts.insert(Split::Test, [by_role("test_images")?, by_role("test_labels")?]);
            idx::collect(context, entry.name, &parts)?
        }
        format @ (Format::Csv | Format::Jsonl | Format::Parquet) => {
            let paths = BTreeMap::from([(Split::Train, by_role("table")?)]);
            table::collect(context, entry.name, format, &paths, entry.target)?
        }
        Format::ImageFolder => return Err(Error::internal("the catalogue has no picture folders")),
    };
    for source in &mut dataset.source {
        let fetched = files.files.iter().find(|file| file.path == source.path);
        let pinned = fetched.and_then(|fetched| entry.files.iter().find(|file| file.role == fetched.role));
        let pinned = pinned.ok_or_else(|| Error::internal("a file was read that the catalogue does not name"))?;
        if source.sha256.hex() != pinned.sha256 {
            let message = format!("the file has sha256 {}, the catalogue says {}", source.sha256, pinned.sha256);
            return Err(Error::new(ErrorCode::Integrity, message).in_file(&source.path).fix("fetch the dataset again"));
        }
        source.path = PathBuf::from(pinned.path_in_package);
    }
    Ok(dataset)
}

fn from_path(context: &Context<'_>, path: &Path, base: &Path) -> Result<Dataset> {
    let settings = context.settings;
    let absolute = |path: &PathBuf| base.join(path);
    let path = absolute(&path.to_path_buf());
    let metadata =
        std::fs::metadata(&path).map_err(|source| Error::io("find the data", &path, source).at_key("collect.path"))?;
    let format = match settings.format {
        Some(format) => format,
        None => detect(&path, metadata.is_dir())?,
    };
    // The name of `.` is that of the folder it is.
    let named = path.canonicalize().unwrap_or_else(|_| path.clone());
    let name = named.file_stem().map_or_else(|| "data".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let mut paths = BTreeMap::from([(Split::Train, path)]);
    paths.extend(settings.valid.as_ref().map(|path| (Split::Valid, absolute(path))));
    paths.extend(settings.test.as_ref().map(|path| (Split::Test, absolute(path))));
    match format {
        Format::Idx => {
            let mut parts = BTreeMap::new();
            for (split, path) in &paths {
                parts.extend(idx::find_files(path, *split)?);
            }
            idx::collect(context, &name, &parts)
        }
        Format::ImageFolder => image_folder::collect(context, &name, &paths),
        Format::Csv | Format::Jsonl | Format::Parquet => table::collect(context, &name, format, &paths, None),
    }
}

/// The format by the look of the path: idx files or class folders in a folder, else the file's extension.
fn detect(path: &Path, is_folder: bool) -> Result<Format> {
    if is_folder {
        let holds_idx = !idx::files_in(path)?.is_empty();
        return Ok(if holds_idx { Format::Idx } else { Format::ImageFolder });
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match TableFormat::of(path) {
        Some(TableFormat::Csv) => Ok(Format::Csv),
        Some(TableFormat::Json) => Ok(Format::Jsonl),
        Some(TableFormat::Parquet) => Ok(Format::Parquet),
        None if name.contains("-images") => Ok(Format::Idx),
        None => Err(Error::new(ErrorCode::Config, "the format cannot be told from the file's name")
            .in_file(path)
            .at_key("collect.format")
            .fix("set `format` to \"idx\", \"image_folder\", \"csv\", \"jsonl\" or \"parquet\"")),
    }
}
