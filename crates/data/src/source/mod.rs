//! Readers of source data, one module per format, and what they share.

mod files;
pub(crate) mod idx;
mod idx_rows;
pub(crate) mod image_folder;
mod infer;
pub(crate) mod labels;
pub(crate) mod sentences;
pub(crate) mod series;
pub(crate) mod table;

pub use idx::files_in as idx_files;
pub use idx_rows::{IdxPictures, idx_header, idx_labels};

use crate::dataset::SourceFile;
use crate::settings::{CollectSettings, PartsPolicy};
use lepton_core::{
    Cancel, Column, ColumnKind, Digest, Error, ErrorCode, Event, Hasher, Limits, Progress, Result, Schema,
};
use std::fs;
use std::io::Read;
use std::path::Path;

/// What every reader is given.
pub(crate) struct Context<'a> {
    pub(crate) settings: &'a CollectSettings,
    pub(crate) limits: &'a Limits,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) cancel: &'a Cancel,
}

impl Context<'_> {
    /// Says how far reading has come.
    pub(crate) fn advanced(&self, what: &str, done: usize, total: Option<usize>) {
        let (done, total) = (done as u64, total.map(|total| total as u64));
        self.progress.event(Event::Advanced { what: format!("reading {what}"), done, total, unit: "rows" });
    }

    /// The settings that only tables have, refused for pictures rather than ignored.
    pub(crate) fn refuse_table_settings(&self) -> Result<()> {
        self.refuse_settings_of_tables()?;
        let settings = self.settings;
        if settings.target.as_deref().is_some_and(|target| target != LABEL) {
            return Err(refused("collect.target"));
        }
        let labels_only = [
            ("collect.images", settings.images.is_some()),
            ("collect.parts", settings.parts != PartsPolicy::default()),
        ];
        match labels_only.into_iter().find(|(_, set)| *set) {
            Some((key, _)) => {
                Err(Error::new(ErrorCode::Config, "this setting is for COCO and MVTec").at_key(key).fix("remove it"))
            }
            None => Ok(()),
        }
    }

    /// As [`Context::refuse_table_settings`], for layouts that have more than one column to predict.
    pub(crate) fn refuse_settings_of_tables(&self) -> Result<()> {
        let settings = self.settings;
        let table_only = [
            ("collect.columns", !settings.columns.is_empty()),
            ("collect.ignore", !settings.ignore.is_empty()),
            ("collect.delimiter", settings.delimiter.is_some()),
        ];
        match table_only.into_iter().find(|(_, set)| *set) {
            Some((key, _)) => Err(refused(key)),
            None => Ok(()),
        }
    }
}

fn refused(key: &str) -> Error {
    Error::new(ErrorCode::Config, "this setting is for tables; this source has pictures")
        .at_key(key)
        .fix(format!("remove it; pictures have the columns \"{IMAGE}\" and \"{LABEL}\""))
}

/// The picture column of picture sources.
pub(crate) const IMAGE: &str = "image";

/// The target column of picture sources.
pub(crate) const LABEL: &str = "label";

/// The schema of picture sources.
pub(crate) fn picture_schema() -> Schema {
    let column = |name: &str, kind| Column { name: name.to_owned(), kind, nullable: false };
    Schema { columns: vec![column(IMAGE, ColumnKind::Image), column(LABEL, ColumnKind::Category)] }
}

/// A whole file and its entry in the list of sources.
pub(crate) fn read_file(path: &Path) -> Result<(Vec<u8>, SourceFile)> {
    let bytes = fs::read(path).map_err(|source| Error::io("read the file", path, source))?;
    let source = SourceFile { path: path.to_path_buf(), bytes: bytes.len() as u64, sha256: Digest::of(&bytes) };
    Ok((bytes, source))
}

/// The hash and the length of a file, read piece by piece.
///
/// # Errors
/// [`ErrorCode::NotFound`] or [`ErrorCode::Io`].
pub fn hash_file(path: &Path) -> Result<SourceFile> {
    let failed = |source| Error::io("read the file", path, source);
    let mut file = fs::File::open(path).map_err(failed)?;
    let (mut hasher, mut bytes) = (Hasher::default(), 0);
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(SourceFile { path: path.to_path_buf(), bytes, sha256: hasher.finish() }),
            count => {
                hasher.update(&buffer[..count]);
                bytes += count as u64;
            }
        }
    }
}
