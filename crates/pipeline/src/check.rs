//! `lepton data check`: a file, a project or a dataset held against rules; and the gate of a run, which is the same
//! check over the collected rows.

use crate::artifact::Collected;
use crate::doctor::ReadSettings;
use crate::project::{Project, read_rules};
use crate::stages::evaluation_rows;
use lepton_core::{Cancel, Digest, Error, ErrorCode, Progress, Result, Split};
use lepton_data::Dataset;
use lepton_data::scan::typed_chunks;
use lepton_data::sql::{SqlTable, SqlWork};
use lepton_doctor::profile::{ProfileOptions, profile};
use lepton_doctor::rules::{CheckReport, Checker, Rule, check_file, suggest};
use lepton_store::Store;
use serde::Serialize;
use std::path::Path;

/// Memory for what `unique` keeps, before it goes to files.
const MEMORY_BYTES: usize = 128 << 20;

/// What was checked, and how it keeps its rules.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checked {
    /// The file, the project or the dataset.
    pub target: String,
    /// The hash of the file, or of the dataset's content.
    pub sha256: Digest,
    /// Whether no rule failed.
    pub passed: bool,
    /// The verdicts.
    #[serde(flatten)]
    pub report: CheckReport,
}

/// Checks `target`: a table file, a folder with a `lepton.toml` (what its `[collect]` names, by its own rules), or a
/// dataset of the store by name. `now` is in seconds since 1970.
///
/// # Errors
/// [`ErrorCode::Usage`] without rules; [`ErrorCode::Config`], [`ErrorCode::Unsupported`] and [`ErrorCode::NotFound`]
/// for a wrong rule; those of reading the data.
pub fn check_data(
    store: &Store,
    target: &str,
    rules_file: Option<&Path>,
    settings: &ReadSettings,
    now: f64,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Checked> {
    let path = Path::new(target);
    let given = rules_file.map(|file| read_rules(file).map(|(_, rules)| rules)).transpose()?;
    let no_rules = |fix: &str| Error::new(ErrorCode::Usage, "there are no rules to check").fix(fix);
    let (sha256, report) = if path.join("lepton.toml").is_file() {
        let project = Project::load(path, &[])?;
        let rules = match given {
            Some(rules) => rules,
            None => project.rules()?.1,
        };
        if rules.is_empty() {
            return Err(no_rules("add [[check.rules]] to the lepton.toml, or name a file with --rules").in_file(path));
        }
        let dataset = evaluation_rows::collected(store, &project, progress, cancel)?;
        (dataset.digest()?, check_dataset(store, &dataset, &rules, now, progress, cancel)?)
    } else {
        let rules = given
            .filter(|rules| !rules.is_empty())
            .ok_or_else(|| no_rules("name a file of rules with --rules; --suggest proposes one from the table"))?;
        match dataset_of(store, target)? {
            Some(dataset) => (dataset.digest()?, check_dataset(store, &dataset, &rules, now, progress, cancel)?),
            None => {
                let scratch = store.scratch()?;
                let how = ProfileOptions {
                    scan: settings.scan()?,
                    memory_bytes: MEMORY_BYTES,
                    ..ProfileOptions::new(scratch.path(), settings.threads(), progress, cancel)
                };
                let (report, source) = check_file(path, &rules, now, &how)?;
                (source.sha256, report)
            }
        }
    };
    let passed = report.failed().next().is_none();
    Ok(Checked { target: target.to_owned(), sha256, passed, report })
}

/// Rules that a file keeps today, as the text of a rules file.
///
/// # Errors
/// [`ErrorCode::Unsupported`] for what is not a file; those of profiling.
pub fn suggest_rules(
    store: &Store,
    file: &Path,
    settings: &ReadSettings,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<String> {
    if file.is_dir() {
        return Err(Error::new(ErrorCode::Unsupported, "rules are proposed from a table's file, not from a folder")
            .in_file(file)
            .fix("name the file itself"));
    }
    let scratch = store.scratch()?;
    let how = ProfileOptions {
        scan: settings.scan()?,
        ..ProfileOptions::new(scratch.path(), settings.threads(), progress, cancel)
    };
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
    Ok(suggest(&profile(file, &how)?, &name))
}

/// A dataset of the store; none where a file has this name or no dataset has.
fn dataset_of(store: &Store, name: &str) -> Result<Option<Dataset>> {
    if Path::new(name).exists() {
        return Ok(None);
    }
    let record = match store.dataset(name) {
        Ok(record) => record,
        Err(error) if error.code() == ErrorCode::NotFound => {
            return Err(Error::new(ErrorCode::NotFound, format!("\"{name}\" is neither a file nor a dataset"))
                .fix("lepton data list shows the datasets of this machine"));
        }
        Err(error) => return Err(error),
    };
    let collected: Collected = serde_json::from_value(record.manifest).map_err(|_| {
        Error::new(ErrorCode::Unsupported, format!("\"{name}\" is a repaired file or folder, not a collected dataset"))
            .fix("name the file that the repair wrote")
    })?;
    Ok(Some(collected.load(store)?))
}

/// A dataset under rules: all its parts as one table, in the order train, valid, test.
pub(crate) fn check_dataset(
    store: &Store,
    dataset: &Dataset,
    rules: &[Rule],
    now: f64,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<CheckReport> {
    let scratch = store.scratch()?;
    let mut checker = Checker::new(rules, scratch.path(), MEMORY_BYTES, now);
    let mut ends: Vec<(Split, u64)> = Vec::new();
    let mut rows = 0;
    for (split, part) in &dataset.parts {
        typed_chunks(part, &dataset.schema, |chunk| checker.add(&chunk))?;
        rows += part.num_rows() as u64;
        ends.push((*split, rows));
    }
    if Checker::has_queries(rules) {
        let work = SqlWork { scratch: scratch.path(), threads: 1, progress, cancel };
        checker.ask(&SqlTable::dataset(dataset.clone())?, &work)?;
    }
    let mut report = checker.finish(1)?;
    // Rows were counted through all parts; a person finds them in theirs.
    let begin = |row: u64| {
        let place = ends.partition_point(|(_, end)| *end < row);
        let before = if place == 0 { 0 } else { ends[place - 1].1 };
        (ends.get(place).map(|(split, _)| split.to_string()), before)
    };
    for failure in report.rules.iter_mut().flat_map(|rule| &mut rule.failures) {
        let (part, before) = begin(failure.row);
        failure.row -= before;
        failure.part = part;
        if let Some(first) = failure.repeats {
            let (part, before) = begin(first);
            failure.repeats = Some(first - before);
            failure.repeats_part = part;
        }
    }
    Ok(report)
}
