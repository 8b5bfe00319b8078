//! Sources that are no table, picture or idx file of this machine: queries of databases (SQLite files among them),
//! downloads with a named hash, objects of S3, Google and Azure.
//!
//! [`stage`] brings what `[collect]` names into an empty scratch folder, whole or not at all; the ordinary readers then
//! read it there. Permission, passwords and keys come in as [`Access`]; nothing here reads the environment.

mod access;
mod database;
mod download;
mod http;
mod location;
mod object;
mod origin;
mod tls;
mod wait;

pub use access::Access;
pub use location::is_database_file;
pub use origin::Origin;

use crate::dataset::{Dataset, SourceFile};
use crate::paths::Paths;
use crate::settings::{CollectSettings, Format};
use lepton_core::{Cancel, Digest, Error, ErrorCode, Limits, Progress, Result, Split};
use location::Location;
use std::path::{Path, PathBuf};

/// What staging works with.
pub struct Staging<'a> {
    /// An empty folder, in which everything is written.
    pub folder: &'a Path,
    /// Files that are kept from an earlier download, by their hash.
    pub kept: &'a dyn Fn(&Digest) -> Option<PathBuf>,
    /// Permission and credentials.
    pub access: &'a Access,
    /// Limits on what comes.
    pub limits: &'a Limits,
    /// Is told how far it has come.
    pub progress: &'a dyn Progress,
    /// Stops it.
    pub cancel: &'a Cancel,
}

/// What was staged, and the settings that read it.
pub struct Staged {
    /// Settings for [`crate::collect`] that name the staged files.
    pub settings: CollectSettings,
    /// Where each part came from.
    pub origins: Vec<Origin>,
    name: String,
    files: Vec<StagedFile>,
}

/// One file in the scratch folder.
struct StagedFile {
    path: PathBuf,
    /// What it is called towards people.
    shown: String,
    /// The files of this machine that stand behind it, where there are any.
    behind: Vec<SourceFile>,
    /// Whether it is to be kept: it was downloaded just now, and its hash is named in the settings.
    fresh: bool,
}

/// How long a collected dataset stands for what the settings name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// As long as the files have the bytes that were read.
    Files,
    /// Until it is asked for again: what lies elsewhere may change at any time.
    Snapshot,
}

/// How long a dataset of these settings stands.
///
/// # Errors
/// [`ErrorCode::Config`] for a source that cannot be understood.
pub fn freshness(settings: &CollectSettings) -> Result<Freshness> {
    let plan = plan(settings)?;
    let elsewhere = |location: &Location| matches!(location, Location::Object(_) | Location::Server(_));
    let files = plan.is_none_or(|parts| !parts.iter().any(|part| elsewhere(&part.location)));
    Ok(if files { Freshness::Files } else { Freshness::Snapshot })
}

/// Whether these settings need [`stage`].
///
/// # Errors
/// [`ErrorCode::Config`] for settings that do not go together, with the key.
pub fn needs_staging(settings: &CollectSettings) -> Result<bool> {
    Ok(plan(settings)?.is_some())
}

/// Brings what the settings name into the scratch folder; `None` where [`crate::collect`] can read it as it is.
///
/// # Errors
/// [`ErrorCode::Config`] for settings that do not go together; [`ErrorCode::NotAllowed`] where something must be
/// fetched without permission, and where a server refuses the user; [`ErrorCode::NotFound`] for a table, an object or a
/// page that is not there; [`ErrorCode::Unsupported`] with column and type for values that have no place in a table;
/// [`ErrorCode::BadData`] with row and column for values that are none; [`ErrorCode::TooLarge`] past a limit, by its
/// name; [`ErrorCode::Integrity`] for bytes that do not have the named hash; [`ErrorCode::Fetch`] and
/// [`ErrorCode::Timeout`] when a server cannot be reached or goes away.
pub fn stage(settings: &CollectSettings, base: &Path, staging: &Staging<'_>) -> Result<Option<Staged>> {
    let Some(parts) = plan(settings)? else { return Ok(None) };
    require_permission(&parts, staging)?;
    let roots = || tls::configuration(settings.tls_ca.as_ref().map(|file| base.join(file)).as_deref());
    let mut staged = Staged {
        settings: local(settings),
        origins: Vec::new(),
        name: parts.first().map(|part| part.name.clone()).unwrap_or_default(),
        files: Vec::new(),
    };
    let mut queries = Vec::new();
    for part in &parts {
        staging.cancel.check()?;
        let (file, origin) = match &part.location {
            Location::Local(path) => {
                staged.place(part.split, path.clone());
                continue;
            }
            Location::Download { url, sha256 } => download::download(part, url, sha256, &roots()?, staging)?,
            Location::Object(object) => {
                let fetched = object::fetch(part, object, &roots()?, staging)?;
                staged.place(part.split, Paths::Many(fetched.iter().map(|(file, _)| file.path.clone()).collect()));
                let (files, origins): (Vec<_>, Vec<_>) = fetched.into_iter().unzip();
                staged.files.extend(files);
                staged.origins.extend(origins);
                continue;
            }
            Location::Sqlite { .. } | Location::Server(_) => {
                queries.push(part);
                continue;
            }
        };
        staged.place(part.split, file.path.clone());
        staged.files.push(file);
        staged.origins.push(origin);
    }
    // All parts of a database in one connection, so that they are of one moment.
    if !queries.is_empty() {
        for (split, file, origin) in database::run(&queries, settings, base, staging)? {
            staged.place(split, file.path.clone());
            staged.files.push(file);
            staged.origins.push(origin);
        }
        staged.settings.format = Some(Format::Jsonl);
    }
    Ok(Some(staged))
}

impl Staged {
    /// Files with a hash that the settings name: kept, they need not be downloaded again.
    pub fn downloads(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().filter(|file| file.fresh).map(|file| file.path.as_path())
    }

    /// Puts the names that people know in place of those of the scratch folder.
    pub fn describe(&self, dataset: &mut Dataset) {
        dataset.name.clone_from(&self.name);
        let mut sources = Vec::new();
        for mut source in std::mem::take(&mut dataset.source) {
            match self.files.iter().find(|file| file.path == source.path) {
                Some(file) if !file.behind.is_empty() => sources.extend(file.behind.iter().cloned()),
                Some(file) => {
                    source.path = PathBuf::from(&file.shown);
                    sources.push(source);
                }
                None => sources.push(source),
            }
        }
        let mut once: Vec<SourceFile> = Vec::new();
        for source in sources {
            if !once.contains(&source) {
                once.push(source);
            }
        }
        dataset.source = once;
    }

    /// The same for an error about a staged file.
    pub fn placed(&self, error: Error) -> Error {
        let file = error.place().file.as_ref().and_then(|path| self.files.iter().find(|file| file.path == *path));
        match file {
            Some(file) => error.in_file(&file.shown),
            None => error,
        }
    }

    fn place(&mut self, split: Split, path: impl Into<Paths>) {
        let place = match split {
            Split::Train => &mut self.settings.path,
            Split::Valid => &mut self.settings.valid,
            Split::Test => &mut self.settings.test,
        };
        *place = Some(path.into());
    }
}

/// One part of the dataset, and where it is.
struct Part {
    split: Split,
    location: Location,
    /// A name for people.
    name: String,
    /// The end of the staged file's name, by which its format is known.
    extension: String,
}

/// The parts, where at least one of them needs staging.
fn plan(settings: &CollectSettings) -> Result<Option<Vec<Part>>> {
    if settings.dataset.is_some() {
        return location::refuse_remote_keys(settings).map(|()| None);
    }
    if settings.database.is_some() || location::is_sqlite(settings) {
        return location::queries(settings).map(Some);
    }
    let parts = location::files(settings)?;
    let needed = parts.iter().any(|part| !matches!(part.location, Location::Local(_)));
    Ok(needed.then_some(parts))
}

/// The settings without what staging has done.
fn local(settings: &CollectSettings) -> CollectSettings {
    CollectSettings {
        sha256: None,
        valid_sha256: None,
        test_sha256: None,
        database: None,
        query: None,
        valid_query: None,
        test_query: None,
        table: None,
        password_env: None,
        tls_ca: None,
        ..settings.clone()
    }
}

/// Nothing is asked of another machine without permission.
fn require_permission(parts: &[Part], staging: &Staging<'_>) -> Result<()> {
    if staging.access.fetch {
        return Ok(());
    }
    for part in parts {
        let (what, key) = match &part.location {
            Location::Local(_) | Location::Sqlite { .. } => continue,
            Location::Download { sha256, .. } if (staging.kept)(sha256).is_some() => continue,
            Location::Download { url, .. } => (format!("{url} would be downloaded"), location::key(part.split)),
            Location::Object(object) => (format!("{} would be downloaded", object.url), location::key(part.split)),
            Location::Server(server) => (format!("{} would be asked", server.shown()), "collect.database"),
        };
        let message = format!("the data is not on this machine, and nothing is fetched without permission: {what}");
        return Err(Error::new(ErrorCode::NotAllowed, message).at_key(key).fix("allow it with --fetch"));
    }
    Ok(())
}
