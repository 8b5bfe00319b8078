//! Stage one: from settings to a typed dataset. Which reader is asked is decided here; reading is in `source`.

use crate::catalogue::{self, CatalogueFiles};
use crate::dataset::Dataset;
use crate::paths::{Paths, is_pattern};
use crate::scan::TableFormat;
use crate::settings::{CollectSettings, Format};
use crate::source::labels::{coco, mvtec, voc, yolo};
use crate::source::{Context, idx, image_folder, sentences, series, table};
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
    if crate::remote::needs_staging(settings)? {
        let message = "a database, a download or an object is not read as it is; only `lepton run` collects it";
        return Err(Error::new(ErrorCode::Unsupported, message).at_key("collect"));
    }
    let context = Context { settings, limits, progress, cancel };
    match (&settings.dataset, &settings.path) {
        (Some(_), Some(_)) => Err(Error::new(ErrorCode::Config, "`dataset` and `path` cannot both be set")
            .at_key("collect.path")
            .fix("remove one of the two")),
        (None, None) => Err(Error::new(ErrorCode::Config, "neither `dataset` nor `path` says where the data is")
            .at_key("collect")
            .fix("set `path` to a file or folder, or `dataset` to a name of `lepton data list`")),
        (Some(name), None) => from_catalogue(&context, name, files),
        (None, Some(path)) => from_path(&context, path, base, true),
    }
}

/// As [`collect`] for a `path`, where a table needs no target: to look at data, not to train on it. The target is
/// then empty.
///
/// # Errors
/// Those of [`collect`].
pub fn read_any(
    settings: &CollectSettings,
    base: &Path,
    limits: &Limits,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Dataset> {
    let path = settings.path.as_ref().ok_or_else(|| Error::internal("nothing to read"))?;
    from_path(&Context { settings, limits, progress, cancel }, path, base, false)
}

/// As [`read_any`] for these files of one table, in this order, in the format that the settings name. The same file
/// may be there twice.
///
/// # Errors
/// Those of [`collect`].
pub fn read_files(
    settings: &CollectSettings,
    files: Vec<PathBuf>,
    limits: &Limits,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Dataset> {
    let format = settings.format.ok_or_else(|| Error::internal("files without a format"))?;
    let parts = BTreeMap::from([(Split::Train, files)]);
    let context = Context { settings, limits, progress, cancel };
    table::read_parts(&context, "", format, &parts, settings.target.as_deref())
}

/// The columns of a table file, as far as they can be told without reading all of it; none where they cannot.
pub fn table_names(path: &Path) -> Vec<String> {
    let scan = crate::scan::Scan::open(path, &crate::scan::ScanOptions::default()).ok();
    scan.and_then(|scan| scan.names()).unwrap_or_default()
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
        // A file for each source, which its role names.
        Format::Jsonl if entry.files.iter().all(|file| file.role != "table") => {
            let paths = entry.files.iter().map(|file| Ok((file.role, by_role(file.role)?)));
            let target = entry.target.ok_or_else(|| Error::internal("sentences without a target"))?;
            sentences::collect(context, entry.name, target, &paths.collect::<Result<Vec<_>>>()?)?
        }
        format @ (Format::Csv | Format::Jsonl | Format::Parquet | Format::Arrow) => {
            let paths = BTreeMap::from([(Split::Train, vec![by_role("table")?])]);
            table::collect(context, entry.name, format, &paths, entry.target)?
        }
        format @ (Format::Ts | Format::Ucr) => {
            let parts = BTreeMap::from([(Split::Train, by_role("table")?), (Split::Test, by_role("test")?)]);
            series::collect(context, entry.name, format, &parts)?
        }
        _ => return Err(Error::internal("the catalogue has no picture folders")),
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

fn from_path(context: &Context<'_>, written: &Paths, base: &Path, needs_target: bool) -> Result<Dataset> {
    let settings = context.settings;
    let resolve =
        |paths: &Paths, key: &str| paths.resolve(base).map_err(|error| error.at_key(format!("collect.{key}")));
    let train = resolve(written, "path")?;
    let first = train.first().ok_or_else(|| Error::internal("no file was found and no error"))?;
    let format = match settings.format {
        Some(format) => format,
        None => detect(first, first.is_dir())?,
    };
    let name = name_of(written, first);
    let mut parts = BTreeMap::from([(Split::Train, train)]);
    for (split, paths) in [(Split::Valid, &settings.valid), (Split::Test, &settings.test)] {
        if let Some(paths) = paths {
            parts.insert(split, resolve(paths, split.name())?);
        }
    }
    match format {
        Format::Idx => {
            let mut found = BTreeMap::new();
            for (split, path) in one_each(&parts)? {
                found.extend(idx::find_files(&path, split)?);
            }
            idx::collect(context, &name, &found)
        }
        Format::ImageFolder => image_folder::collect(context, &name, &one_each(&parts)?),
        Format::Coco | Format::Yolo | Format::Voc | Format::Mvtec => {
            labelled(context, format, &name, base, &one_each(&parts)?)
        }
        Format::Ts | Format::Ucr => series::collect(context, &name, format, &one_each(&parts)?),
        Format::Csv | Format::Jsonl | Format::Parquet | Format::Arrow => {
            if needs_target || settings.target.is_some() {
                table::collect(context, &name, format, &parts, None)
            } else {
                table::read_parts(context, &name, format, &parts, None)
            }
        }
    }
}

/// Pictures with marks. Only COCO has a file for each part that can be named by itself.
fn labelled(
    context: &Context<'_>,
    format: Format,
    name: &str,
    base: &Path,
    paths: &BTreeMap<Split, PathBuf>,
) -> Result<Dataset> {
    context.refuse_settings_of_tables()?;
    let path = paths.get(&Split::Train).ok_or_else(|| Error::internal("no path of training pictures"))?;
    if format == Format::Coco {
        let mut files = BTreeMap::new();
        for (split, path) in paths {
            if path.is_file() {
                files.insert(*split, path.clone());
                continue;
            }
            let found = coco::files_in(path);
            if found.is_empty() {
                return Err(Error::new(ErrorCode::NotFound, "the folder has no COCO files")
                    .in_file(path)
                    .fix("name the JSON file, or lay it out as annotations/instances_train.json"));
            }
            files.extend(found.into_iter().filter(|(found, _)| paths.len() == 1 || found == split));
        }
        return coco::collect(context, name, base, &files);
    }
    if let Some((split, _)) = paths.iter().find(|(split, _)| **split != Split::Train) {
        return Err(Error::new(ErrorCode::Config, "this layout says itself which pictures a part has")
            .at_key(format!("collect.{split}"))
            .fix("remove the key"));
    }
    match format {
        Format::Yolo => yolo::collect(context, name, path),
        Format::Voc => voc::collect(context, name, path),
        _ => mvtec::collect(context, name, path),
    }
}

/// The name of `.` is that of the folder it is; the files of a pattern are named after their folder.
fn name_of(written: &Paths, first: &Path) -> String {
    let path = match written.written() {
        [one] if !is_pattern(one) || first.ends_with(one) => first,
        _ => first.parent().unwrap_or(first),
    };
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    path.file_stem().map_or_else(|| "data".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// The one path of each part, for formats that are a folder.
fn one_each(parts: &BTreeMap<Split, Vec<PathBuf>>) -> Result<BTreeMap<Split, PathBuf>> {
    let one = |(split, paths): (&Split, &Vec<PathBuf>)| match paths.as_slice() {
        [path] => Ok((*split, path.clone())),
        paths => {
            let message = format!("{} files or folders, where this format takes one", paths.len());
            let key = if *split == Split::Train { "path" } else { split.name() };
            Err(Error::new(ErrorCode::Config, message).at_key(format!("collect.{key}")).fix("name one"))
        }
    };
    parts.iter().map(one).collect()
}

/// The format by the look of the path: idx files or class folders in a folder, else the file's extension.
fn detect(path: &Path, is_folder: bool) -> Result<Format> {
    if is_folder {
        let holds_idx = !idx::files_in(path)?.is_empty();
        return Ok(match path {
            _ if holds_idx => Format::Idx,
            path if mvtec::is_layout(path) => Format::Mvtec,
            path if voc::is_layout(path) => Format::Voc,
            path if yolo::settings_of(path).is_some() => Format::Yolo,
            path if !coco::files_in(path).is_empty() => Format::Coco,
            _ => Format::ImageFolder,
        });
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match TableFormat::of(path) {
        Some(TableFormat::Csv) => Ok(Format::Csv),
        Some(TableFormat::Json) => Ok(Format::Jsonl),
        Some(TableFormat::Parquet) => Ok(Format::Parquet),
        Some(TableFormat::Arrow) => Ok(Format::Arrow),
        None if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ts")) => Ok(Format::Ts),
        None if name.contains("-images") => Ok(Format::Idx),
        None if yolo::settings_of(path).is_some() => Ok(Format::Yolo),
        None => Err(Error::new(ErrorCode::Config, "the format cannot be told from the file's name")
            .in_file(path)
            .at_key("collect.format")
            .fix("set `format` to \"idx\", \"image_folder\", \"csv\", \"jsonl\", \"parquet\", \"arrow\", \"coco\", \"yolo\", \"voc\", \"mvtec\", \"ts\" or \"ucr\"")),
    }
}
