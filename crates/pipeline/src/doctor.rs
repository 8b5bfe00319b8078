//! What `lepton data profile|doctor|repair|undo` do with a file. The original of a repaired file and its change log
//! stay in the store, so that undo needs nothing but the repaired file.

use lepton_core::{Cancel, Digest, Error, ErrorCode, Limits, Progress, Result};
use lepton_data::scan::{Ragged, Scan, ScanOptions, Table, TableFormat, Work};
use lepton_doctor::Finding;
use lepton_doctor::checks::{CheckOptions, check};
use lepton_doctor::profile::{Profile, ProfileOptions, profile};
use lepton_doctor::repair::{Change, Outcome, Plan, read_log, repair, undo, write_log};
use lepton_store::Store;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// How a table file is read.
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
}

impl ReadSettings {
    fn scan(&self) -> Result<ScanOptions> {
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

    fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
            threads => threads,
        }
    }
}

/// A table that was looked at.
pub struct Examination {
    /// What it holds.
    pub profile: Profile,
    /// What is wrong with it, the gravest first; none were looked for where only a profile was asked for.
    pub findings: Vec<Finding>,
}

/// Profiles a file, and looks for what is wrong with it.
///
/// # Errors
/// Those of [`profile`]; [`ErrorCode::NotFound`] for a target that is no column.
pub fn examine(
    store: &Store,
    file: &Path,
    settings: &ReadSettings,
    options: &CheckOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Examination> {
    let scratch = store.scratch()?;
    let how = ProfileOptions {
        scan: settings.scan()?,
        ..ProfileOptions::new(scratch.path(), settings.threads(), progress, cancel)
    };
    let profile = profile(file, &how)?;
    if let Some(target) = &options.target
        && !profile.columns.iter().any(|column| column.name == *target)
    {
        let names = profile.columns.iter().map(|column| column.name.as_str());
        let error = Error::new(ErrorCode::NotFound, "the table has no such column").in_file(file).at_column(target);
        return Err(match lepton_core::nearest(target, names.clone()) {
            Some(near) => error.fix(format!("did you mean \"{near}\"?")),
            None => error.fix(format!("its columns are: {}", names.take(30).collect::<Vec<_>>().join(", "))),
        });
    }
    let findings = check(&profile, options);
    Ok(Examination { profile, findings })
}

/// The plan of all proposed repairs, as a file's text.
///
/// # Errors
/// [`ErrorCode::Internal`] only.
pub fn plan_of(examination: &Examination, file: &Path) -> Result<String> {
    Plan::of(&examination.findings, examination.profile.source.sha256).to_toml(&file.display().to_string())
}

/// What a repair did.
#[derive(Clone, Debug, Serialize)]
pub struct RepairReport {
    /// The new file.
    pub file: PathBuf,
    /// Its hash.
    pub sha256: Digest,
    /// The hash of the file that was repaired.
    pub original_sha256: Digest,
    /// Rows before and after.
    pub rows: [u64; 2],
    /// What each step did.
    pub repairs: Vec<Outcome>,
    /// Where the change log lies.
    pub log: PathBuf,
}

/// What the store knows of a repaired file.
#[derive(Debug, Serialize, Deserialize)]
struct Repaired {
    /// Tells it from other datasets.
    kind: String,
    /// The blob of the original, and how it is read.
    original: Digest,
    format: String,
    delimiter: Option<char>,
    encoding: Option<String>,
    /// The blob of the change log.
    changes: Digest,
}

/// The `kind` of [`Repaired`].
const REPAIRED: &str = "repaired_table";

/// Repairs a file by a plan. The new file appears whole or not at all.
///
/// # Errors
/// Those of [`repair`]; [`ErrorCode::Usage`] when the new file would replace the old one; [`ErrorCode::Io`] and
/// [`ErrorCode::StorageFull`].
pub fn repair_file(
    store: &Store,
    file: &Path,
    plan: &Path,
    to: &Path,
    settings: &ReadSettings,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<RepairReport> {
    let text = std::fs::read_to_string(plan).map_err(|source| Error::io("read the plan", plan, source))?;
    let parsed = Plan::from_toml(&text).map_err(|error| error.in_file(plan))?;
    refuse_same(file, to)?;
    let options = settings.scan()?;
    let table = read(file, &options, settings.threads(), progress, cancel)?;
    let repaired = repair(&table, &parsed, cancel).map_err(|error| match error.place().file {
        Some(_) => error,
        None => error.in_file(plan),
    })?;
    let original = store.blobs().put_file(file)?;
    if original != table.source().sha256 {
        return Err(Error::new(ErrorCode::Integrity, "the file was changed while it was read").in_file(file));
    }
    let record = Repaired {
        kind: REPAIRED.to_owned(),
        original,
        format: table.form().format().name().to_owned(),
        delimiter: table.form().delimiter().map(char::from),
        encoding: settings.encoding.clone(),
        changes: store.blobs().put_bytes(&repaired.log()?)?,
    };
    let sha256 = keep(store, to, &record, |output| repaired.write(output))?;
    Ok(RepairReport {
        file: to.to_path_buf(),
        sha256,
        original_sha256: original,
        rows: [table.rows() as u64, repaired.rows() as u64],
        log: store.blobs().path(&record.changes).unwrap_or_default(),
        repairs: repaired.outcomes,
    })
}

/// What undo did.
#[derive(Clone, Debug, Serialize)]
pub struct UndoReport {
    /// The new file.
    pub file: PathBuf,
    /// Its hash.
    pub sha256: Digest,
    /// The repairs that were taken back.
    pub undone: Vec<String>,
    /// The repairs that are left.
    pub left: Vec<String>,
}

/// Takes repairs of a file back: these, or all where none is named; then the new file is the original byte by byte.
///
/// # Errors
/// [`ErrorCode::NotFound`] for a file that was not written by [`repair_file`] or was changed since, and for a repair
/// that was not done; [`ErrorCode::NotAllowed`] where a repair that stays built on one that goes.
pub fn undo_file(
    store: &Store,
    file: &Path,
    repairs: &[String],
    to: &Path,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<UndoReport> {
    refuse_same(file, to)?;
    let sha256 = lepton_data::hash_file(file)?.sha256;
    let known = store.datasets()?;
    let record = known.iter().find(|record| record.digest == sha256).and_then(|record| {
        serde_json::from_value::<Repaired>(record.manifest.clone()).ok().filter(|record| record.kind == REPAIRED)
    });
    let record = record.ok_or_else(|| {
        Error::new(ErrorCode::NotFound, "this file was not written by `lepton data repair`, or was changed since")
            .in_file(file)
            .fix("only what was repaired with this data folder can be undone; `--home` chooses another")
    })?;
    let log = read_log(&store.blobs().get(&record.changes)?)?;
    let ids = |log: &[Change]| {
        let mut seen = BTreeSet::new();
        log.iter().map(|change| change.repair().to_owned()).filter(|id| seen.insert(id.clone())).collect::<Vec<_>>()
    };
    let all = ids(&log);
    if repairs.is_empty() || all.iter().all(|id| repairs.contains(id)) {
        let bytes = store.blobs().get(&record.original)?;
        let sha256 =
            place(to, |output| output.write_all(&bytes).map_err(|source| Error::io("write the original", to, source)))?;
        return Ok(UndoReport { file: to.to_path_buf(), sha256, undone: all, left: Vec::new() });
    }
    let path = store.blobs().path(&record.original).ok_or_else(|| {
        Error::new(ErrorCode::NotFound, "the original is not in the data folder any more").in_file(file)
    })?;
    let settings = ReadSettings {
        format: Some(record.format.parse()?),
        delimiter: record.delimiter,
        encoding: record.encoding.clone(),
        ..ReadSettings::default()
    };
    let table = read(&path, &settings.scan()?, settings.threads(), progress, cancel)?;
    let mut bytes = Vec::new();
    let left = undo(&table, &log, repairs, &mut bytes)?;
    let record = Repaired { changes: store.blobs().put_bytes(&write_log(&left)?)?, ..record };
    let sha256 = keep(store, to, &record, |output| {
        output.write_all(&bytes).map_err(|source| Error::io("write the table", to, source))
    })?;
    Ok(UndoReport { file: to.to_path_buf(), sha256, undone: repairs.to_vec(), left: ids(&left) })
}

fn read(file: &Path, options: &ScanOptions, threads: usize, progress: &dyn Progress, cancel: &Cancel) -> Result<Table> {
    Table::read(Scan::open(file, options)?, &Work { threads, progress, cancel }, &options.limits)
}

/// The old file stays: its bytes are what undo gives back.
fn refuse_same(file: &Path, to: &Path) -> Result<()> {
    match (file.canonicalize(), to.canonicalize()) {
        (Ok(from), Ok(to)) if from == to => Err(Error::new(ErrorCode::Usage, "the new file would replace the old one")
            .in_file(to)
            .fix("name another file with --to")),
        _ => Ok(()),
    }
}

/// Writes the new file and tells the store of it; the store knows before the file is there.
fn keep(
    store: &Store,
    to: &Path,
    record: &Repaired,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<Digest> {
    let name = to.file_stem().map_or_else(|| "table".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let manifest = serde_json::to_value(record)
        .map_err(|source| Error::internal(format!("a record cannot be written: {source}")))?;
    place_then(to, fill, |sha256| store.register_dataset(&name, sha256, &manifest).map(|_| ()))
}

fn place(to: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<Digest> {
    place_then(to, fill, |_| Ok(()))
}

/// Temporary file, fsync, `known`, rename, fsync of the folder.
fn place_then(
    to: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
    known: impl FnOnce(&Digest) -> Result<()>,
) -> Result<Digest> {
    let failed = |source| Error::io("write the new file", to, source);
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    let mut writer = BufWriter::with_capacity(1 << 20, file.as_file_mut());
    fill(&mut writer)?;
    writer.flush().map_err(failed)?;
    drop(writer);
    file.as_file().sync_all().map_err(failed)?;
    let sha256 = lepton_data::hash_file(file.path())?.sha256;
    known(&sha256)?;
    file.persist(to).map_err(|error| failed(error.error))?;
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(sha256)
}
