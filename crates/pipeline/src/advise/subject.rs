//! From what a person typed for DATA to a project: a project of theirs, whose `[train]` is what is advised, or a new one
//! over a file, a folder or a dataset, with the task that its columns call for.

use super::fingerprint::{column_facts, kind_name};
use super::settings_file::{NewProject, rebased};
use crate::Project;
use crate::artifact::Collected;
use crate::stages::collect::{allow_fetch, catalogue_state, fetch_dataset, files_of};
use crate::tasks::task;
use crate::versions::has_arrived;
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use lepton_core::{Cancel, ColumnKind, Error, ErrorCode, Limits, ModelName, Progress, Result, Seed, Split, TaskKind};
use lepton_data::{CollectSettings, Dataset, Format, catalogue};
use lepton_store::Store;
use std::path::{Path, PathBuf};

/// The seed of a project that is made, as `lepton new` writes it.
const SEED: Seed = Seed(42);

/// Distinct whole numbers of a target that are taken for classes, at most.
const MOST_CLASSES: usize = 20;

/// A text column with at least this share of different values, and texts that are short, names rows.
const NAMING: f64 = 0.9;
const LONGEST_NAME: f64 = 40.0;

/// What is to be advised on.
#[derive(Clone, Debug, Default)]
pub struct AdviseData {
    /// As typed: a file, a folder, a dataset of this machine or of the catalogue, a project.
    pub data: String,
    /// The column to predict, of a table that no project speaks of.
    pub target: Option<String>,
    /// The kind of problem, where the columns leave it open.
    pub task: Option<TaskKind>,
    /// The seed of a project, in place of its own.
    pub seed: Option<Seed>,
    /// The folder that the `lepton.toml` is written into.
    pub out: Option<PathBuf>,
    /// Permission to fetch what the catalogue has.
    pub fetch: bool,
}

/// A project to advise on.
#[derive(Clone, Debug)]
pub struct AdviseSubject {
    /// The project, with the old `[train]` where it has one.
    pub project: Project,
    /// The settings file that is written; nothing is there yet.
    pub out: PathBuf,
    /// What was decided of the data, one sentence each.
    pub notes: Vec<String>,
    /// The settings as a table, with paths that start at the folder of [`AdviseSubject::out`].
    pub(super) table: toml::Table,
    /// The project's own `[train]`, where there is a project.
    pub(super) own: Option<toml::Table>,
}

impl AdviseSubject {
    /// Finds the data.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for data and columns that are not there, with the nearest name; [`ErrorCode::Usage`] where
    /// the settings file that would be written is there already, or an option does not go with the data;
    /// [`ErrorCode::Config`] for a table without a target; [`ErrorCode::NotAllowed`] without permission to fetch.
    pub fn find(what: &AdviseData, store: &Store, progress: &dyn Progress, cancel: &Cancel) -> Result<AdviseSubject> {
        let path = Path::new(&what.data);
        if path.join("lepton.toml").is_file() || (path.is_file() && path.extension().is_some_and(|is| is == "toml")) {
            return of_project(path, what);
        }
        if path.exists() {
            return of_path(path, what, store, progress, cancel);
        }
        match catalogue::find(&what.data) {
            Ok(entry) => of_catalogue(entry, what, store, progress, cancel),
            Err(unknown) => of_store(what, store, unknown),
        }
    }
}

fn of_project(path: &Path, what: &AdviseData) -> Result<AdviseSubject> {
    for (flag, is_given) in [("--target", what.target.is_some()), ("--task", what.task.is_some())] {
        if is_given {
            let message = format!("{flag} is for data without a project, and this project says it itself");
            return Err(Error::new(ErrorCode::Usage, message).in_file(path).fix(format!("leave out {flag}")));
        }
    }
    let overrides: Vec<String> = what.seed.iter().map(|seed| format!("project.seed={}", seed.0)).collect();
    let project = Project::load(path, &overrides)?;
    let out = match &what.out {
        Some(folder) => free(&folder.join("lepton.toml"), "--out")?,
        None => free(&project.folder.join("advised.toml"), "--out")?,
    };
    let mut table = project.rewritten(&overrides)?;
    let own = match table.remove("train") {
        Some(toml::Value::Table(own)) => own,
        _ => toml::Table::new(),
    };
    if let Some(folder) = &what.out {
        table = rebased(table, &project.folder, folder)?;
    }
    Ok(AdviseSubject { project, out, notes: Vec::new(), table, own: Some(own) })
}

fn of_path(
    path: &Path,
    what: &AdviseData,
    store: &Store,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<AdviseSubject> {
    let whole = path.canonicalize().map_err(|source| Error::io("find the data", path, source))?;
    let stem = whole.file_stem().map_or_else(|| "data".into(), |stem| stem.to_string_lossy().into_owned());
    let beside = whole.parent().unwrap_or(Path::new(".")).join(format!("{stem}-advised"));
    let out = free(&what.out.clone().unwrap_or(beside).join("lepton.toml"), "--out")?;
    let collect = CollectSettings { path: Some(whole.clone().into()), ..CollectSettings::default() };
    let limits = Limits::default();
    let looked = lepton_data::read_any(&collect, Path::new("."), &limits, progress, cancel)?;
    made(Source { name: &stem, path: Some(&whole), dataset: None }, looked, what, out, store)
}

fn of_catalogue(
    entry: &'static catalogue::Entry,
    what: &AdviseData,
    store: &Store,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<AdviseSubject> {
    let out = what.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}-advised", entry.name)));
    let out = free(&out.join("lepton.toml"), "--out")?;
    let limits = Limits::default();
    if !catalogue_state(store, entry)? {
        allow_fetch(entry, what.fetch)?;
        fetch_dataset(store, entry, &limits, progress, cancel)?;
    }
    let files = files_of(store, entry)?;
    let is_table = matches!(entry.format, Format::Csv | Format::Jsonl | Format::Parquet | Format::Arrow);
    let table = files.files.iter().find(|file| is_table && file.role == "table");
    // A table is looked at without its target, so that the target's kind is what its values look like.
    let looked = match table {
        Some(file) => {
            let (path, format) = (Some(file.path.clone().into()), Some(entry.format));
            let collect = CollectSettings { path, format, ..CollectSettings::default() };
            lepton_data::read_any(&collect, Path::new("."), &limits, progress, cancel)?
        }
        None => {
            let collect = CollectSettings { dataset: Some(entry.name.to_owned()), ..CollectSettings::default() };
            lepton_data::collect(&collect, Path::new("."), Some(&files), &limits, progress, cancel)?
        }
    };
    let what = AdviseData { target: what.target.clone().or_else(|| entry.target.map(str::to_owned)), ..what.clone() };
    made(Source { name: entry.name, path: None, dataset: Some(entry.name) }, looked, &what, out, store)
}

/// A dataset version of this machine: rows that arrived are a source by themselves, others came from files.
fn of_store(what: &AdviseData, store: &Store, unknown: Error) -> Result<AdviseSubject> {
    let record = match store.dataset(&what.data) {
        Ok(record) => record,
        Err(error) if error.code() == ErrorCode::NotFound => {
            let message = format!("\"{}\" is neither a file, a folder nor a dataset", what.data);
            let error = Error::new(ErrorCode::NotFound, message);
            return Err(match unknown.remedy() {
                Some(remedy) => error.fix(remedy),
                None => error.fix("lepton data list shows the datasets"),
            });
        }
        Err(error) => return Err(error),
    };
    let collected: Collected = serde_json::from_value(record.manifest.clone()).map_err(|_| {
        Error::new(ErrorCode::Unsupported, format!("\"{}\" is a repaired file, not a dataset", what.data))
            .fix("name the file that the repair wrote")
    })?;
    if !has_arrived(&collected) {
        let origin = collected.source.first().map(|file| file.path.display().to_string()).unwrap_or_default();
        let message = format!("\"{}\" was collected by a project, from {origin}", what.data);
        return Err(Error::new(ErrorCode::Unsupported, message)
            .fix("name that project's folder, or the file, so that its settings can be read again"));
    }
    let name = record.name.split('@').next().unwrap_or(&record.name).to_owned();
    let out = what.out.clone().unwrap_or_else(|| PathBuf::from(format!("{name}-advised")));
    let out = free(&out.join("lepton.toml"), "--out")?;
    made(Source { name: &name, path: None, dataset: Some(&what.data) }, collected.load(store)?, what, out, store)
}

/// Where the data of a new project is.
struct Source<'a> {
    name: &'a str,
    path: Option<&'a Path>,
    dataset: Option<&'a str>,
}

/// A new project over data that was looked at.
fn made(source: Source<'_>, looked: Dataset, what: &AdviseData, out: PathBuf, store: &Store) -> Result<AdviseSubject> {
    let is_table = looked.schema.columns.iter().all(|column| column.kind.is_cell());
    let target = match (&what.target, looked.target.as_str()) {
        (Some(target), _) => {
            looked.schema.column(target).map_err(|error| error.at_key("--target"))?;
            target.clone()
        }
        (None, "") => {
            let names: Vec<&str> = looked.schema.names().take(30).collect();
            return Err(Error::new(ErrorCode::Usage, "a table does not say which column is to be predicted")
                .in_file(source.path.unwrap_or(Path::new(source.name)))
                .fix(format!("name it with --target; its columns are: {}", names.join(", "))));
        }
        (None, own) => own.to_owned(),
    };
    let mut notes = Vec::new();
    let kind = match what.task {
        Some(kind) => kind,
        None => infer(&looked, &target, &mut notes)?,
    };
    let ignored = if is_table { naming(&looked, &target, &mut notes)? } else { Vec::new() };
    let rows = looked.rows(Split::Train);
    let new = NewProject {
        name: name_of(source.name)?,
        task: kind,
        seed: what.seed.unwrap_or(SEED),
        path: source.path.map(Path::to_path_buf),
        dataset: source.dataset.map(str::to_owned),
        target: (is_table || what.target.is_some()).then_some(target),
        ignored,
        rows,
    };
    // While pilots run, paths start at the root: the folder of the new file is made at the end.
    let file = source.path.map_or_else(|| store.home().join("advised.toml"), Path::to_path_buf);
    let text = toml::to_string(&new.table(None)?).map_err(|error| Error::internal(format!("settings: {error}")))?;
    let mut project = Project::parse(&text, &out, &[])?;
    project.folder = match file.parent() {
        Some(parent) => parent.to_path_buf(),
        None => store.home().to_path_buf(),
    };
    let folder = out.parent().unwrap_or(Path::new("."));
    Ok(AdviseSubject { project, table: new.table(Some(folder))?, out, notes, own: None })
}

/// The settings file, where nothing is yet.
fn free(file: &Path, flag: &str) -> Result<PathBuf> {
    if file.symlink_metadata().is_ok() {
        return Err(Error::new(ErrorCode::Usage, "there is a settings file already, and nothing is written over it")
            .in_file(file)
            .fix(format!("name another folder with {flag}, or remove the file")));
    }
    Ok(file.to_path_buf())
}

/// The first task that can learn this target from these columns. A number with many values is one to predict, a few
/// whole numbers are classes.
fn infer(looked: &Dataset, target: &str, notes: &mut Vec<String>) -> Result<TaskKind> {
    let column = looked.schema.column(target)?;
    let wants_number = column.kind == ColumnKind::Number && !are_classes(looked, target)?;
    let mut schema = looked.schema.clone();
    let mut fitting = Vec::new();
    let mut refusal = None;
    for kind in TaskKind::ALL {
        let own = task(kind);
        // How far ahead is wanted is nothing that a table says.
        if kind == TaskKind::Forecasting {
            continue;
        }
        if (own.target_kind() == ColumnKind::Number) != wants_number {
            continue;
        }
        for column in schema.columns.iter_mut().filter(|column| column.name == target && column.kind.is_cell()) {
            column.kind = own.target_kind();
        }
        match own.check(&schema, target) {
            Ok(()) => fitting.push(kind),
            Err(error) => refusal = Some(error),
        }
    }
    let (Some(&first), others) = (fitting.first(), fitting.get(1..).unwrap_or_default()) else {
        return Err(refusal.unwrap_or_else(|| Error::internal("no task can learn this data")));
    };
    let text = match others {
        [] => format!("\"{target}\" is a column of {} values, so the task is {first}", kind_name(column.kind)),
        _ => {
            let others: Vec<&str> = others.iter().map(|kind| kind.name()).collect();
            format!("the task is {first}; {} could learn it too: say so with --task", others.join(", "))
        }
    };
    notes.push(text);
    Ok(first)
}

/// Whether a target of numbers has few enough, all of them whole.
fn are_classes(looked: &Dataset, target: &str) -> Result<bool> {
    let Some(part) = looked.parts.get(&Split::Train) else { return Ok(false) };
    let facts = column_facts(part, target, ColumnKind::Number)?;
    let whole = part
        .column_by_name(target)
        .and_then(|array| array.as_primitive_opt::<Float64Type>())
        .is_some_and(|values| values.iter().flatten().all(|value| value.fract() == 0.0));
    Ok(whole && facts.distinct.is_some_and(|distinct| distinct <= MOST_CLASSES))
}

/// Columns that name a row, from which nothing can be learned: short texts that are nearly all different, and numbers
/// that count the rows.
fn naming(looked: &Dataset, target: &str, notes: &mut Vec<String>) -> Result<Vec<String>> {
    let Some(part) = looked.parts.get(&Split::Train) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for column in looked.schema.columns.iter().filter(|column| column.name != target) {
        let facts = column_facts(part, &column.name, column.kind)?;
        let present = part.num_rows() - facts.missing;
        let distinct = facts.distinct.unwrap_or(0);
        let is_name = match column.kind {
            ColumnKind::Text => {
                let short = facts.length.is_some_and(|(_, mean, _)| mean <= LONGEST_NAME);
                short && present > 1 && distinct as f64 >= NAMING * present as f64
            }
            ColumnKind::Number => counts_rows(part, &column.name),
            _ => false,
        };
        if is_name {
            let values = lepton_core::thousands(distinct as u64);
            notes.push(format!("\"{}\" names the rows ({values} different values), so it is ignored", column.name));
            found.push(column.name.clone());
        }
    }
    if found.len() + 1 >= looked.schema.columns.len() {
        // Then they are all there is to learn from.
        notes.retain(|note| !note.ends_with("so it is ignored"));
        found.clear();
    }
    Ok(found)
}

/// Whether each number is the one before it and 1.
fn counts_rows(part: &arrow_array::RecordBatch, name: &str) -> bool {
    let Some(values) = part.column_by_name(name).and_then(|array| array.as_primitive_opt::<Float64Type>()) else {
        return false;
    };
    let numbers = values.values();
    values.null_count() == 0 && numbers.len() > 2 && numbers.windows(2).all(|pair| pair[1] - pair[0] == 1.0)
}

/// A file's name as that of a project.
fn name_of(stem: &str) -> Result<ModelName> {
    let plain: String = stem
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
        .take(64)
        .collect();
    let plain = plain.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned();
    if plain.is_empty() { "data".parse() } else { plain.parse() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
    use lepton_core::{Column, Schema};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn table(columns: &[(&str, ColumnKind)], arrays: Vec<ArrayRef>) -> Dataset {
        let schema = Schema {
            columns: columns
                .iter()
                .map(|(name, kind)| Column { name: (*name).to_owned(), kind: *kind, nullable: false })
                .collect(),
        };
        let rows = RecordBatch::try_from_iter(columns.iter().map(|(name, _)| *name).zip(arrays)).unwrap();
        Dataset {
            name: "t".to_owned(),
            schema,
            target: String::new(),
            parts: BTreeMap::from([(Split::Train, rows)]),
            source: Vec::new(),
            unreadable: Vec::new(),
        }
    }

    fn numbers(values: impl IntoIterator<Item = f64>) -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(values))
    }

    fn texts(values: impl IntoIterator<Item = String>) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(values))
    }

    fn people() -> Dataset {
        table(
            &[
                ("row", ColumnKind::Number),
                ("name", ColumnKind::Text),
                ("age", ColumnKind::Number),
                ("sex", ColumnKind::Category),
                ("height", ColumnKind::Number),
            ],
            vec![
                numbers((1..=40).map(f64::from)),
                texts((0..40).map(|row| format!("person {row}"))),
                numbers((0..40).map(|row| f64::from(row % 7))),
                texts((0..40).map(|row| if row % 2 == 0 { "f" } else { "m" }.to_owned())),
                numbers((0..40).map(|row| 1.5 + f64::from(row) / 50.0)),
            ],
        )
    }

    #[test]
    fn the_task_follows_the_target() {
        let task_of = |target: &str| infer(&people(), target, &mut Vec::new()).unwrap();
        assert_eq!(task_of("sex"), TaskKind::TabularClassification);
        assert_eq!(task_of("age"), TaskKind::TabularClassification, "seven whole numbers are classes");
        assert_eq!(task_of("height"), TaskKind::TabularRegression);
    }

    #[test]
    fn columns_that_name_rows_are_left_out() {
        let mut notes = Vec::new();
        assert_eq!(naming(&people(), "sex", &mut notes).unwrap(), ["row", "name"]);
        assert!(notes.iter().any(|note| note.contains("\"name\"") && note.contains("ignored")), "{notes:?}");
        let alone = table(
            &[("row", ColumnKind::Number), ("y", ColumnKind::Category)],
            vec![numbers((0..4).map(f64::from)), texts((0..4).map(|row| format!("{}", row % 2)))],
        );
        notes.clear();
        assert_eq!(naming(&alone, "y", &mut notes).unwrap(), Vec::<String>::new());
        assert!(notes.is_empty());
    }

    #[test]
    fn any_file_gives_a_name() {
        assert_eq!(name_of("my data (1)").unwrap().as_str(), "my-data--1-");
        assert_eq!(name_of("_x").unwrap().as_str(), "x");
        assert_eq!(name_of("数据").unwrap().as_str(), "data");
    }
}
