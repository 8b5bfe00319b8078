//! What is looked at: a path, else the name of a dataset.

use crate::artifact::Collected;
use crate::stages::collect::{catalogue_state, files_of};
use lepton_core::{Column, ColumnKind, Digest, Error, ErrorCode, Limits, Result, Split, nearest};
use lepton_data::catalogue::{self, Entry};
use lepton_data::scan::TableFormat;
use lepton_data::{Dataset, Format};
use lepton_doctor::media::Collection;
use lepton_store::{DatasetRecord, Store};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is looked at.
pub enum Subject {
    /// A table.
    Table {
        /// What a person calls it.
        name: String,
        /// Where it lies.
        file: PathBuf,
        /// Its format, where the file is not called so.
        format: Option<TableFormat>,
    },
    /// Rows of a registered version.
    Dataset {
        /// Its name and the first digits of its hash.
        name: String,
        /// The hash.
        digest: Digest,
        /// The rows.
        dataset: Box<Dataset>,
    },
    /// Pictures or sounds.
    Media(Box<Collection>),
}

impl Subject {
    /// What `named` means: a table, a picture or a sound, a folder of these, else a dataset of the catalogue that was
    /// fetched, else a registered version (`name`, or `name@` and the first digits of its hash).
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] where there is no such path and no such dataset, with the nearest name;
    /// [`ErrorCode::NotAllowed`] for a dataset that was not fetched; [`ErrorCode::BadData`] for a folder without
    /// pictures and sounds; [`ErrorCode::Unsupported`] for a repaired file, for series, and for databases and URLs.
    pub fn find(store: &Store, named: &Path, limits: &Limits) -> Result<Subject> {
        refuse_database(named)?;
        if Collection::is_media(named) {
            return Ok(Subject::Media(Box::new(Collection::open(named, limits)?)));
        }
        let name = named.display().to_string();
        if named.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ts")) {
            return Err(holds_series(&name));
        }
        if named.exists() || TableFormat::of(named).is_some() {
            return Ok(Subject::Table { name, file: named.to_path_buf(), format: None });
        }
        if let Some(entry) = catalogue::ENTRIES.iter().find(|entry| entry.name == name) {
            return from_catalogue(store, entry, limits);
        }
        match store.dataset(&name) {
            Ok(record) => from_register(store, &record),
            Err(error) if error.code() == ErrorCode::NotFound => Err(absent(store, &name)?),
            Err(error) => Err(error),
        }
    }

    /// What a person calls it.
    pub fn name(&self) -> &str {
        match self {
            Subject::Table { name, .. } | Subject::Dataset { name, .. } => name,
            Subject::Media(collection) => &collection.name,
        }
    }
}

/// Databases and what lies elsewhere are collected by a run; here only what lies on this machine is looked at.
fn refuse_database(named: &Path) -> Result<()> {
    let elsewhere = named.to_string_lossy().contains("://");
    if !elsewhere && !lepton_data::remote::is_database_file(named) {
        return Ok(());
    }
    let message = "databases and sources that lie elsewhere are not looked at here, only files and datasets";
    Err(Error::new(ErrorCode::Unsupported, message)
        .in_file(named)
        .fix("collect it with `lepton run FOLDER --until collect`, then name the dataset"))
}

/// What is examined and repaired are tables, pictures and sounds.
fn holds_series(name: &str) -> Error {
    Error::new(ErrorCode::Unsupported, format!("{name} holds series: they are neither a table nor pictures nor sounds"))
        .fix("train on it with task = \"series-classification\": a run checks its values")
}

fn absent(store: &Store, name: &str) -> Result<Error> {
    let registered = store.datasets()?;
    let names = catalogue::ENTRIES.iter().map(|entry| entry.name);
    let names = names.chain(registered.iter().map(|record| record.name.as_str()));
    let error =
        Error::new(ErrorCode::NotFound, "there is no such file or folder, and no dataset of that name").in_file(name);
    Ok(match nearest(name, names) {
        Some(near) => error.fix(format!("did you mean \"{near}\"?")),
        None => error.fix("`lepton data list` shows the datasets"),
    })
}

fn from_catalogue(store: &Store, entry: &'static Entry, limits: &Limits) -> Result<Subject> {
    if !catalogue_state(store, entry)? {
        return Err(entry.needs_permission());
    }
    let files = files_of(store, entry)?;
    // The file of a role: its name in the package and where it lies.
    let file = |role: &str| -> Result<(String, PathBuf)> {
        let path = files.files.iter().find(|file| file.role == role).map(|file| file.path.clone());
        let pinned = entry.files.iter().find(|file| file.role == role);
        let name = pinned.and_then(|file| file.path_in_package.rsplit('/').next()).map(str::to_owned);
        name.zip(path).ok_or_else(|| Error::internal(format!("the catalogue has no {role} of {}", entry.name)))
    };
    let name = entry.name.to_owned();
    let table = |format| Ok(Subject::Table { name: name.clone(), file: file("table")?.1, format: Some(format) });
    match entry.format {
        Format::Csv => table(TableFormat::Csv),
        Format::Jsonl => table(TableFormat::Json),
        Format::Parquet => table(TableFormat::Parquet),
        Format::Arrow => table(TableFormat::Arrow),
        Format::Ts | Format::Ucr => Err(holds_series(&name)),
        Format::ImageFolder | Format::Coco | Format::Yolo | Format::Voc | Format::Mvtec => {
            Err(Error::internal("the catalogue has no picture folders"))
        }
        Format::Idx => {
            let mut pairs = Vec::new();
            for (part, roles) in
                [(Split::Train, ["train_images", "train_labels"]), (Split::Test, ["test_images", "test_labels"])]
            {
                let [(images, image_path), (labels, label_path)] = [file(roles[0])?, file(roles[1])?];
                pairs.push((part, [images, labels], [image_path, label_path]));
            }
            Ok(Subject::Media(Box::new(Collection::named_idx(name, pairs, limits)?)))
        }
    }
}

fn from_register(store: &Store, record: &DatasetRecord) -> Result<Subject> {
    let name = format!("{}@{}", record.name, record.digest.short());
    let Ok(collected) = serde_json::from_value::<Collected>(record.manifest.clone()) else {
        return Err(Error::new(
            ErrorCode::Unsupported,
            format!("{name} is a repaired file or folder, not a collected dataset"),
        )
        .fix("name the file or folder that the repair wrote"));
    };
    if collected.schema.of_kind(ColumnKind::Series).next().is_some() {
        return Err(holds_series(&name));
    }
    let image = collected.schema.columns.iter().find(|column: &&Column| column.kind == ColumnKind::Image);
    let Some(image) = image else {
        return Ok(Subject::Dataset { name, digest: record.digest, dataset: Box::new(collected.load(store)?) });
    };
    let mut parts = BTreeMap::new();
    for split in collected.parts.keys() {
        parts.insert(*split, crate::stages::parts::load(store, &collected.parts, *split)?);
    }
    Ok(Subject::Media(Box::new(Collection::rows(name, parts, &image.name, &collected.target)?)))
}
