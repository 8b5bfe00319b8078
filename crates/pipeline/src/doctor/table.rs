//! Tables: a profile with findings, repair as a new file, and undo. The original of a repaired file and its change log
//! stay in the store, so that undo needs nothing but the repaired file.

use super::place::{place, place_then, refuse_same};
use super::{ReadSettings, RepairReport, UndoReport, not_repaired, record_of};
use lepton_core::{Cancel, Digest, Error, ErrorCode, Progress, Result, Seed};
use lepton_data::scan::{Scan, ScanOptions, Table, Work};
use lepton_doctor::Finding;
use lepton_doctor::across::check_across;
use lepton_doctor::checks::{CheckOptions, check};
use lepton_doctor::labels::{LabelOptions, table_findings};
use lepton_doctor::profile::{Profile, ProfileOptions, profile};
use lepton_doctor::repair::{Change, read_log, repair, undo, write_log};
use lepton_store::{DatasetRecord, Store};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

/// Draws what the check of labels draws.
const SEED: Seed = Seed(42);

/// Profiles a file, and looks for what is wrong with it.
pub(super) fn examine_table(
    store: &Store,
    file: &Path,
    settings: &ReadSettings,
    options: &CheckOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(Profile, Vec<Finding>)> {
    let scratch = store.scratch()?;
    let how = ProfileOptions {
        scan: settings.scan()?,
        beginning_bytes: settings.beginning_bytes,
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
    let mut findings = check(&profile, options);
    if settings.beginning_bytes > 0 {
        findings.extend(check_across(&profile, options, settings.threads(), cancel)?);
    }
    if let Some(target) = &options.target {
        let labels = LabelOptions { threads: settings.threads(), seed: SEED, cancel };
        findings.extend(table_findings(file, &how.scan, &profile, target, progress, &labels)?);
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok((profile, findings))
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
    /// The blob of the plan; not there in records of before plans were kept.
    #[serde(default)]
    plan: Option<Digest>,
}

/// The `kind` of [`Repaired`].
const REPAIRED: &str = "repaired_table";

/// The repair that wrote a file of this hash, where one did.
pub(crate) fn repaired_by(
    store: &Store,
    known: &[DatasetRecord],
    sha256: &Digest,
) -> Result<Option<crate::versions::RepairedSource>> {
    let Some(record) = record_of::<Repaired>(known, sha256, REPAIRED) else { return Ok(None) };
    let log = read_log(&store.blobs().get(&record.changes)?)?;
    let repairs: BTreeSet<&str> = log.iter().map(Change::repair).collect();
    Ok(Some(crate::versions::RepairedSource {
        original_sha256: record.original,
        plan: record.plan.and_then(|plan| store.blobs().path(&plan)),
        changes: store.blobs().path(&record.changes),
        change_count: log.len(),
        repairs: repairs.into_iter().map(str::to_owned).collect(),
    }))
}

/// Repairs a file by a plan. The new file appears whole or not at all.
pub(super) fn repair_table(
    store: &Store,
    file: &Path,
    plan: &Path,
    to: &Path,
    settings: &ReadSettings,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<RepairReport> {
    let parsed = super::read_plan(plan)?;
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
        plan: Some(store.blobs().put_file(plan)?),
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

/// Takes repairs of a file back: these, or all where none is named; then the new file is the original byte by byte.
pub(super) fn undo_table(
    store: &Store,
    file: &Path,
    repairs: &[String],
    to: &Path,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<UndoReport> {
    refuse_same(file, to)?;
    let sha256 = lepton_data::hash_file(file)?.sha256;
    let record: Repaired =
        record_of(&store.datasets()?, &sha256, REPAIRED).ok_or_else(|| not_repaired("file", file))?;
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
