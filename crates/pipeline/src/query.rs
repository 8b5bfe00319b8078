//! `lepton data sql`: a query over files and datasets by name, its answer with what it was read from, and the answer
//! as a file.

use crate::artifact::Collected;
use crate::csv_line::csv_line;
use crate::doctor::{ReadSettings, Subject, place, refuse_same};
use lepton_core::{Cancel, Digest, Error, ErrorCode, Progress, Result};
use lepton_data::CollectSettings;
use lepton_data::scan::{Ragged, ScanOptions, TableFormat, Work};
use lepton_data::sql::{LoadedTable, SqlTable, SqlValue, SqlWork};
use lepton_store::Store;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What is wanted of an answer.
#[derive(Clone, Debug)]
pub struct QueryOptions {
    /// Rows that are kept for showing; all are counted.
    pub limit: usize,
    /// A file for all rows: `.csv`, `.jsonl` or `.ndjson`.
    pub to: Option<PathBuf>,
}

/// A query and its answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueryReport {
    /// The query.
    pub sql: String,
    /// The engine and its version.
    pub engine: String,
    /// What it read.
    pub tables: Vec<LoadedTable>,
    /// Names of the answer's columns.
    pub columns: Vec<String>,
    /// Rows of the answer.
    pub row_count: u64,
    /// Whether rows were left out because of the limit.
    pub is_cut: bool,
    /// The first rows, each in the order of the columns.
    pub rows: Vec<Vec<SqlValue>>,
    /// The file with all rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<WrittenFile>,
}

/// A file with an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WrittenFile {
    /// Where it is.
    pub path: PathBuf,
    /// The hash of its bytes.
    pub sha256: Digest,
}

/// Runs a query. A name after FROM is a table's file, a folder or pattern of files, a dataset version of the store, or
/// a dataset of the catalogue that was fetched.
///
/// # Errors
/// Those of [`lepton_data::sql::query`]; [`ErrorCode::NotFound`] for a name that means nothing, with the nearest;
/// [`ErrorCode::Unsupported`] for pictures without a table, for databases, and for a file of another format.
pub fn query(
    store: &Store,
    sql: &str,
    settings: &ReadSettings,
    options: &QueryOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<QueryReport> {
    let scratch = store.scratch()?;
    let to = options.to.as_deref();
    let finder = Finder { store, settings, to, progress, cancel };
    let work = SqlWork { scratch: scratch.path(), threads: settings.threads(), progress, cancel };
    let mut rows = Vec::new();
    let mut keep = |row: Vec<SqlValue>| {
        if rows.len() < options.limit {
            rows.push(row);
        }
    };
    let find = |name: &str| finder.find(name);
    let (answer, file) = match to {
        None => {
            let take = |_: &[String], row| {
                keep(row);
                Ok(())
            };
            (lepton_data::sql::query(sql, &work, find, take)?, None)
        }
        Some(to) => {
            let form = Form::of(to)?;
            let failed = |source| Error::io("write the answer", to, source);
            let mut answer = None;
            let sha256 = place(to, |output| {
                let mut begun = false;
                let take = |columns: &[String], row: Vec<SqlValue>| {
                    if !std::mem::replace(&mut begun, true) {
                        form.begin(columns, output).map_err(failed)?;
                    }
                    form.row(columns, &row, output).map_err(failed)?;
                    keep(row);
                    Ok(())
                };
                let given = lepton_data::sql::query(sql, &work, find, take)?;
                if !begun {
                    form.begin(&given.columns, output).map_err(failed)?;
                }
                answer = Some(given);
                Ok(())
            })?;
            let answer = answer.ok_or_else(|| Error::internal("a query without an answer"))?;
            (answer, Some(WrittenFile { path: to.to_path_buf(), sha256 }))
        }
    };
    Ok(QueryReport {
        sql: sql.to_owned(),
        engine: lepton_data::sql::engine(),
        tables: answer.tables,
        columns: answer.columns,
        row_count: answer.rows,
        is_cut: answer.rows > rows.len() as u64,
        rows,
        file,
    })
}

/// Finds what a name after FROM means.
struct Finder<'a> {
    store: &'a Store,
    settings: &'a ReadSettings,
    to: Option<&'a Path>,
    progress: &'a dyn Progress,
    cancel: &'a Cancel,
}

impl Finder<'_> {
    fn find(&self, name: &str) -> Result<SqlTable> {
        let path = Path::new(name);
        let is_many = path.is_dir() || (name.contains('*') && !path.exists());
        if is_many && !name.contains("://") {
            let settings = CollectSettings { path: Some(name.into()), ..CollectSettings::default() };
            let limits = &self.settings.limits;
            return SqlTable::dataset(lepton_data::read_any(
                &settings,
                Path::new(""),
                limits,
                self.progress,
                self.cancel,
            )?);
        }
        if !path.exists()
            && TableFormat::of(path).is_none()
            && let Some(table) = self.registered(name)?
        {
            return Ok(table);
        }
        match Subject::find(self.store, path, &self.settings.limits)? {
            Subject::Table { file, format, .. } => {
                if let Some(to) = self.to {
                    refuse_same(&file, to)?;
                }
                let scan = self.settings.scan()?;
                let options = ScanOptions { format: scan.format.or(format), ragged: Ragged::Refuse, ..scan };
                let how = Work { threads: self.settings.threads(), progress: self.progress, cancel: self.cancel };
                SqlTable::file(&file, &options, &how)
            }
            Subject::Dataset { dataset, .. } => SqlTable::dataset(*dataset),
            Subject::Media(_) => Err(Error::new(
                ErrorCode::Unsupported,
                "pictures and sounds that were not collected are no table",
            )
            .in_file(name)
            .fix(
                "collect them with `lepton run FOLDER --until collect`, then name the dataset: its labels are a column",
            )),
        }
    }

    /// A version of the store by its name; none where no dataset has it.
    fn registered(&self, name: &str) -> Result<Option<SqlTable>> {
        let record = match self.store.dataset(name) {
            Ok(record) => record,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let collected: Collected = serde_json::from_value(record.manifest).map_err(|_| {
            Error::new(
                ErrorCode::Unsupported,
                format!("\"{name}\" is a repaired file or folder, not a collected dataset"),
            )
            .fix("name the file that the repair wrote, in double quotes")
        })?;
        Ok(Some(SqlTable::dataset(collected.load(self.store)?)?))
    }
}

/// How an answer is written.
#[derive(Clone, Copy)]
enum Form {
    Csv,
    JsonLines,
}

impl Form {
    fn of(to: &Path) -> Result<Form> {
        match to.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Ok(Form::Csv),
            Some("jsonl" | "ndjson") => Ok(Form::JsonLines),
            _ => Err(Error::new(ErrorCode::Usage, "an answer is not written in this format")
                .in_file(to)
                .fix("name a file that ends in .csv, .jsonl or .ndjson")),
        }
    }

    fn begin(self, columns: &[String], output: &mut dyn Write) -> std::io::Result<()> {
        match self {
            Form::Csv => csv_line(columns.iter().map(String::as_str), output),
            Form::JsonLines => Ok(()),
        }
    }

    fn row(self, columns: &[String], row: &[SqlValue], output: &mut dyn Write) -> std::io::Result<()> {
        match self {
            Form::Csv => {
                let cells: Vec<String> = row.iter().map(|value| value.text().unwrap_or_default()).collect();
                csv_line(cells.iter().map(String::as_str), output)
            }
            Form::JsonLines => {
                let object: serde_json::Map<String, serde_json::Value> = columns
                    .iter()
                    .zip(row)
                    .map(|(name, value)| Ok((name.clone(), serde_json::to_value(value)?)))
                    .collect::<serde_json::Result<_>>()?;
                serde_json::to_writer(&mut *output, &object)?;
                output.write_all(b"\n")
            }
        }
    }
}
