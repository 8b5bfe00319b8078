//! What `lepton data profile|doctor|repair|undo` do: [`Subject`] says what is looked at, [`examine`] looks, and what
//! is found becomes a plan, a repaired copy and the way back.
//!
//! - `subject`: from a path or a name to a table, or to a collection of pictures or sounds.
//! - `table`, `media`: profile, findings, repair and undo of each. `rows`: profile and findings of a dataset's rows.
//! - `place`: files and folders that appear whole or not at all.

mod media;
mod place;
mod rows;
mod subject;
mod table;

pub(crate) use place::{place, refuse_same};
pub use subject::Subject;
pub(crate) use table::repaired_by;

use lepton_core::{Cancel, Digest, Error, ErrorCode, Limits, Progress, Result};
use lepton_data::scan::{Ragged, ScanOptions, TableFormat};
use lepton_doctor::Finding;
use lepton_doctor::checks::CheckOptions;
use lepton_doctor::media::audio::AudioProfile;
use lepton_doctor::media::pictures::PictureProfile;
use lepton_doctor::profile::Profile;
use lepton_doctor::repair::{Outcome, Plan};
use lepton_store::{DatasetRecord, Store};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// How a table file is read, and with how many threads anything is looked at.
#[derive(Clone, Debug, Default)]
pub struct ReadSettings {
    /// Its format, where the name does not say it.
    pub format: Option<TableFormat>,
    /// Between the fields of a CSV.
    pub delimiter: Option<char>,
    /// Of a text file.
    pub encoding: Option<String>,
    /// Threads; 0 is all cores.
    pub threads: usize,
    /// Limits on columns and cells.
    pub limits: Limits,
    /// Of a table, memory for the first rows, which are held against each other; 0 looks for nothing across rows and
    /// columns.
    pub beginning_bytes: usize,
}

impl ReadSettings {
    pub(crate) fn scan(&self) -> Result<ScanOptions> {
        let delimiter = self.delimiter.map(|delimiter| {
            u8::try_from(delimiter).ok().filter(u8::is_ascii).ok_or_else(|| {
                Error::new(ErrorCode::Usage, format!("{delimiter:?} cannot separate fields"))
                    .fix("use one ASCII character, for example \";\"")
            })
        });
        Ok(ScanOptions {
            format: self.format,
            delimiter: delimiter.transpose()?,
            encoding: self.encoding.clone(),
            ragged: Ragged::Keep,
            limits: self.limits.clone(),
            ..ScanOptions::default()
        })
    }

    /// How a file is read, of which nothing may be set for what is no file.
    fn file_settings(&self) -> [(&'static str, bool); 3] {
        [
            ("--format", self.format.is_some()),
            ("--delimiter", self.delimiter.is_some()),
            ("--encoding", self.encoding.is_some()),
        ]
    }

    /// The rows of a dataset were read when it was collected.
    fn refuse_file_settings(&self) -> Result<()> {
        refuse(&self.file_settings(), "files, and this is a dataset")
    }

    /// Pictures and sounds have no columns: what is set for tables is refused and not ignored.
    fn refuse_table_settings(&self, options: &CheckOptions) -> Result<()> {
        refuse(&self.file_settings(), "tables, and this is none")?;
        refuse(&[("--target", options.target.is_some())], "tables, and this is none")
    }

    pub(crate) fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
            threads => threads,
        }
    }
}

fn refuse(settings: &[(&str, bool)], what: &str) -> Result<()> {
    match settings.iter().find(|(_, is_set)| *is_set) {
        Some((flag, _)) => {
            Err(Error::new(ErrorCode::Usage, format!("{flag} is for {what}")).fix(format!("leave {flag} out")))
        }
        None => Ok(()),
    }
}

/// What was looked at.
pub enum Examined {
    /// A table.
    Table(Box<Profile>),
    /// Pictures.
    Pictures(Box<PictureProfile>),
    /// Sounds.
    Audio(Box<AudioProfile>),
}

/// Something that was looked at.
pub struct Examination {
    /// What a person calls it.
    pub name: String,
    /// What it holds.
    pub content: Examined,
    /// What is wrong with it, the gravest first.
    pub findings: Vec<Finding>,
    /// The blob with the summary that monitoring compares; none of a table.
    pub sketches: Option<Digest>,
}

impl Examination {
    /// Names the bytes that were looked at: what a plan is bound to.
    pub fn sha256(&self) -> Digest {
        match &self.content {
            Examined::Table(profile) => profile.source.sha256,
            Examined::Pictures(profile) => profile.survey.sha256,
            Examined::Audio(profile) => profile.survey.sha256,
        }
    }

    /// Rows of a table, or pictures or sounds.
    pub fn rows(&self) -> u64 {
        match &self.content {
            Examined::Table(profile) => profile.rows,
            Examined::Pictures(profile) => profile.collection.items.len() as u64,
            Examined::Audio(profile) => profile.collection.items.len() as u64,
        }
    }

    /// The plan of all proposed repairs, as a file's text.
    ///
    /// # Errors
    /// [`ErrorCode::Internal`] only.
    pub fn plan(&self) -> Result<String> {
        Plan::of(&self.findings, self.sha256()).to_toml(&self.name)
    }
}

/// Profiles something, and looks for what is wrong with it.
///
/// # Errors
/// Those of [`lepton_doctor::profile::profile`] and [`lepton_doctor::media::pictures::profile_pictures`];
/// [`ErrorCode::NotFound`] for a target that is no column, [`ErrorCode::Usage`] for a target of what is no table.
pub fn examine(
    store: &Store,
    subject: Subject,
    settings: &ReadSettings,
    options: &CheckOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Examination> {
    let name = subject.name().to_owned();
    let (content, findings, sketches) = match subject {
        Subject::Table { file, format, .. } => {
            let settings = ReadSettings { format: settings.format.or(format), ..settings.clone() };
            let (profile, findings) = table::examine_table(store, &file, &settings, options, progress, cancel)?;
            (Examined::Table(Box::new(profile)), findings, None)
        }
        Subject::Dataset { name, digest, dataset } => {
            settings.refuse_file_settings()?;
            let rows = rows::Rows { name: &name, digest, dataset: &dataset };
            let (profile, findings) = rows::examine_rows(store, &rows, settings, options, progress, cancel)?;
            (Examined::Table(Box::new(profile)), findings, None)
        }
        Subject::Media(collection) => {
            settings.refuse_table_settings(options)?;
            let (content, findings, sketches) = media::examine_media(store, *collection, settings, progress, cancel)?;
            (content, findings, Some(sketches))
        }
    };
    Ok(Examination { name, content, findings, sketches })
}

/// What a repair did.
#[derive(Clone, Debug, Serialize)]
pub struct RepairReport {
    /// The new file or folder.
    pub file: PathBuf,
    /// Its hash; of a folder, one over all names and files.
    pub sha256: Digest,
    /// The hash of what was repaired.
    pub original_sha256: Digest,
    /// Rows, or pictures or sounds, before and after.
    pub rows: [u64; 2],
    /// What each step did.
    pub repairs: Vec<Outcome>,
    /// Where the change log lies.
    pub log: PathBuf,
}

/// What undo did.
#[derive(Clone, Debug, Serialize)]
pub struct UndoReport {
    /// The new file or folder.
    pub file: PathBuf,
    /// Its hash.
    pub sha256: Digest,
    /// The repairs that were taken back.
    pub undone: Vec<String>,
    /// The repairs that are left.
    pub left: Vec<String>,
}

/// Repairs something by a plan. The new file or folder appears whole or not at all.
///
/// # Errors
/// Those of [`lepton_doctor::repair::repair`]; [`ErrorCode::Usage`] when the new file would replace the old one;
/// [`ErrorCode::Io`] and [`ErrorCode::StorageFull`].
pub fn repair_data(
    store: &Store,
    subject: Subject,
    plan: &Path,
    to: &Path,
    settings: &ReadSettings,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<RepairReport> {
    match subject {
        Subject::Table { file, format, .. } => {
            let settings = ReadSettings { format: settings.format.or(format), ..settings.clone() };
            table::repair_table(store, &file, plan, to, &settings, progress, cancel)
        }
        Subject::Dataset { name, .. } => Err(Error::new(
            ErrorCode::Unsupported,
            format!("{name} is a dataset, and a repair makes a new file from a file"),
        )
        .fix(format!(
            "write its rows with: lepton data sql 'select * from \"{name}\"' --to rows.csv; then repair rows.csv"
        ))),
        Subject::Media(collection) => {
            settings.refuse_table_settings(&CheckOptions::default())?;
            media::repair_media(store, &collection, plan, to, settings, progress, cancel)
        }
    }
}

/// Takes repairs of a file or folder back: these, or all where none is named; then the new one is the original byte by
/// byte.
///
/// # Errors
/// [`ErrorCode::NotFound`] for what was not written by [`repair_data`] or was changed since, and for a repair that was
/// not done; [`ErrorCode::NotAllowed`] where a repair that stays built on one that goes.
pub fn undo_data(
    store: &Store,
    repaired: &Path,
    repairs: &[String],
    to: &Path,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<UndoReport> {
    if repaired.is_dir() {
        media::undo_media(store, repaired, repairs, to, progress, cancel)
    } else {
        table::undo_table(store, repaired, repairs, to, progress, cancel)
    }
}

/// Writes a page or a plan about `data` to the file that `flag` names, which appears whole or not at all.
///
/// # Errors
/// [`ErrorCode::Usage`] when it would replace what it is about; [`ErrorCode::Io`] and [`ErrorCode::StorageFull`].
pub fn write_about(data: &Path, to: &Path, flag: &str, text: &str) -> Result<()> {
    if matches!((data.canonicalize(), to.canonicalize()), (Ok(data), Ok(to)) if data == to) {
        return Err(Error::new(ErrorCode::Usage, "the new file would replace the data that it is about")
            .in_file(to)
            .fix(format!("name another file with {flag}")));
    }
    place(to, |output| output.write_all(text.as_bytes()).map_err(|source| Error::io("write the file", to, source)))?;
    Ok(())
}

fn read_plan(file: &Path) -> Result<Plan> {
    let text = std::fs::read_to_string(file).map_err(|source| Error::io("read the plan", file, source))?;
    Plan::from_toml(&text).map_err(|error| error.in_file(file))
}

/// What the store knows of a repaired file or folder of this hash. Other records may bear the same hash: the kind tells
/// them apart.
fn record_of<T: DeserializeOwned>(known: &[DatasetRecord], sha256: &Digest, kind: &str) -> Option<T> {
    let of_kind = |record: &&DatasetRecord| record.digest == *sha256 && record.manifest["kind"] == kind;
    known.iter().filter(of_kind).find_map(|record| serde_json::from_value(record.manifest.clone()).ok())
}

fn not_repaired(what: &str, path: &Path) -> Error {
    let message = format!("this {what} was not written by `lepton data repair`, or was changed since");
    Error::new(ErrorCode::NotFound, message)
        .in_file(path)
        .fix("only what was repaired with this data folder can be undone; `--home` chooses another")
}
