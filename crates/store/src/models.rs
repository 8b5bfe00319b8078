//! The model register: published packages as read-only folders `home/models/<name>/<version>/`. What a
//! package holds, and whether it is a good one, is the business of lepton-runtime.

use crate::blobs::hash_file;
use crate::database::Outcome;
use crate::disk::{self, failed};
use crate::{Store, fault, time};
use lepton_core::{Digest, Error, ErrorCode, ModelName, Result, nearest};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// One published version of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// Its name.
    pub name: ModelName,
    /// Counted from 1.
    pub version: u64,
    /// The package's folder, read-only.
    pub dir: PathBuf,
    /// The SHA-256 of its `manifest.json`, which names the hash of every other file.
    pub manifest: Digest,
    /// RFC 3339, UTC.
    pub created: String,
    /// The run that made it.
    pub run: Option<String>,
}

const COLUMNS: &str = "name, version, manifest, created, run";

impl Store {
    /// Publishes the finished package in the folder `staged` as the next version of `name`. The files are
    /// copied, made read-only and flushed before the version can be seen. A package whose manifest was
    /// published under that name before is not published again: its record is returned.
    ///
    /// # Errors
    /// [`ErrorCode::Integrity`] when `staged/manifest.json` does not have the hash `manifest`;
    /// [`ErrorCode::BadData`] for a link or special file in `staged`; [`ErrorCode::StorageFull`]. Then no
    /// version is published.
    pub fn publish_model(
        &self,
        name: &ModelName,
        staged: &Path,
        manifest: &Digest,
        run: Option<&str>,
    ) -> Result<ModelRecord> {
        let described = staged.join("manifest.json");
        let found = hash_file(&described).map_err(|source| Error::io("read the manifest", &described, source))?;
        if found != *manifest {
            let message = format!("the manifest was announced with sha256 {manifest} and has {found}");
            return Err(Error::new(ErrorCode::Integrity, message).in_file(described));
        }
        let published = self.read("read the models", |connection| by_manifest(self, connection, name, manifest))?;
        if let Some(record) = published.filter(|record| record.dir.is_dir()) {
            return Ok(record);
        }
        let scratch = self.scratch()?;
        let copy = scratch.path().join("package");
        self.copy_package(staged, &copy)?;
        fault::point("model-copied");
        let folder = self.home().join("models").join(name.as_str());
        self.disk().create_folder(&folder)?;
        let created = time::rfc3339(self.now());
        // Versions are handed out, and folders put in place, only by the holder of SQLite's write lock. So a
        // folder without a row belongs to nobody: a process died between the rename and the commit.
        self.write("publish the model", |transaction| {
            let known = by_manifest(self, transaction, name, manifest)?;
            let version = match &known {
                Some(record) if record.dir.is_dir() => return Ok(record.clone()),
                Some(record) => record.version,
                None => {
                    1 + transaction.query_row(
                        "SELECT coalesce(max(version), 0) FROM models WHERE name = ?1",
                        [name.as_str()],
                        |row| row.get::<_, i64>(0),
                    )? as u64
                }
            };
            let target = folder.join(version.to_string());
            disk::remove_tree(&target)?;
            fs::rename(&copy, &target).map_err(|source| failed("put the package in place", &target, source))?;
            fault::point("model-renamed");
            seal(&target)?;
            self.disk().sync_folder(&target)?;
            self.disk().sync_folder(&folder)?;
            fault::point("model-sealed");
            if known.is_none() {
                transaction.execute(
                    "INSERT INTO models (name, version, manifest, created, run) VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![name.as_str(), version as i64, manifest.hex(), created, run],
                )?;
            }
            by_manifest(self, transaction, name, manifest)?
                .ok_or_else(|| Error::internal("a model vanished while it was published").into())
        })
    }

    /// Every version of every model: by name, newest first.
    ///
    /// # Errors
    /// [`ErrorCode::Io`] or [`ErrorCode::Integrity`].
    pub fn models(&self) -> Result<Vec<ModelRecord>> {
        self.read("list the models", |connection| {
            let sql = format!("SELECT {COLUMNS} FROM models ORDER BY name, version DESC");
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([])?;
            let mut models = Vec::new();
            while let Some(row) = rows.next()? {
                models.push(read_model(self, row)?);
            }
            Ok(models)
        })
    }

    /// One version of a model; `None` is the newest.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`], with the nearest name or the versions that there are;
    /// [`ErrorCode::Integrity`] when the version's folder is gone.
    pub fn model(&self, name: &ModelName, version: Option<u64>) -> Result<ModelRecord> {
        let all = self.models()?;
        let mut versions = all.iter().filter(|record| record.name == *name).peekable();
        if versions.peek().is_none() {
            let error = Error::new(ErrorCode::NotFound, format!("there is no model \"{name}\""));
            return Err(match nearest(name.as_str(), all.iter().map(|record| record.name.as_str())) {
                Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                None => error.fix("`lepton model list` shows the models"),
            });
        }
        let found = versions.clone().find(|record| version.is_none_or(|version| record.version == version));
        let Some(record) = found else {
            let there = versions.map(|record| record.version.to_string()).collect::<Vec<_>>().join(", ");
            let message = format!("model {name} has no version {}", version.unwrap_or_default());
            return Err(Error::new(ErrorCode::NotFound, message).fix(format!("its versions are: {there}")));
        };
        if !record.dir.is_dir() {
            let message = format!("the folder of {name}@{} is gone", record.version);
            return Err(Error::new(ErrorCode::Integrity, message)
                .in_file(&record.dir)
                .fix("run the project again: the same package is put back in its place"));
        }
        Ok(record.clone())
    }

    /// Copies the folder `from` to the new folder `to`, files read-only and flushed.
    fn copy_package(&self, from: &Path, to: &Path) -> Result<()> {
        DirBuilder::new().mode(0o700).create(to).map_err(|source| failed("create the folder", to, source))?;
        let entries = fs::read_dir(from).map_err(|source| Error::io("list", from, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| Error::io("list", from, source))?;
            let (source_path, target) = (entry.path(), to.join(entry.file_name()));
            let kind = entry.file_type().map_err(|source| Error::io("look at", &source_path, source))?;
            if kind.is_dir() {
                self.copy_package(&source_path, &target)?;
            } else if kind.is_file() {
                let mut reader = File::open(&source_path).map_err(|source| Error::io("read", &source_path, source))?;
                let mut file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o400)
                    .open(&target)
                    .map_err(|source| failed("create", &target, source))?;
                io::copy(&mut reader, &mut file).map_err(|source| failed("write", &target, source))?;
                self.disk().sync(&file, &target)?;
            } else {
                return Err(Error::new(ErrorCode::BadData, "a package holds files and folders only, no links")
                    .in_file(source_path));
            }
        }
        self.disk().sync_folder(to)
    }
}

/// Makes the folders of a package read-only; its files are already. Not before the rename: a folder without
/// write permission cannot be moved.
fn seal(folder: &Path) -> Result<()> {
    let entries = fs::read_dir(folder).map_err(|source| failed("list", folder, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| failed("list", folder, source))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            seal(&entry.path())?;
        }
    }
    fs::set_permissions(folder, Permissions::from_mode(0o500))
        .map_err(|source| failed("set the permissions of", folder, source))
}

fn by_manifest(
    store: &Store,
    connection: &Connection,
    name: &ModelName,
    manifest: &Digest,
) -> Outcome<Option<ModelRecord>> {
    let sql = format!("SELECT {COLUMNS} FROM models WHERE name = ?1 AND manifest = ?2");
    connection
        .prepare_cached(&sql)?
        .query_row(params![name.as_str(), manifest.hex()], |row| Ok(read_model(store, row)))
        .optional()?
        .transpose()
}

fn read_model(store: &Store, row: &Row<'_>) -> Outcome<ModelRecord> {
    let name: ModelName = row.get::<_, String>(0)?.parse()?;
    let version = row.get::<_, i64>(1)? as u64;
    Ok(ModelRecord {
        dir: store.home().join("models").join(name.as_str()).join(version.to_string()),
        name,
        version,
        manifest: row.get::<_, String>(2)?.parse()?,
        created: row.get(3)?,
        run: row.get(4)?,
    })
}
