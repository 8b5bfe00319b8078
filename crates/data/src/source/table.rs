//! Tables of every format: what a scan read, the kinds of its columns, and the typed dataset.

use super::files::Files;
use super::{Context, infer};
use crate::dataset::Dataset;
use crate::scan::{Cell, CellKind, Scan, ScanOptions, Table, TableFormat, Work};
use crate::settings::Format;
use arrow_array::{Array, ArrayRef, RecordBatch};
use lepton_core::{Column, ColumnKind, Error, ErrorCode, Result, Schema, Split, nearest};
use lepton_recipe::raw::{self, ColumnBuilder, number_text};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The files of each part.
pub(crate) type Parts = BTreeMap<Split, Vec<PathBuf>>;

/// The dataset of these files. `target` is that of the catalogue, for when the settings name none.
pub(crate) fn collect(
    context: &Context<'_>,
    name: &str,
    format: Format,
    paths: &Parts,
    target: Option<&str>,
) -> Result<Dataset> {
    let target = context.settings.target.as_deref().or(target).ok_or_else(|| {
        Error::new(ErrorCode::Config, "a table needs the name of the column to predict")
            .at_key("collect.target")
            .fix("set `target` under [collect]")
    })?;
    read_parts(context, name, format, paths, Some(target))
}

/// As [`collect`], where a table without a target is fine; the dataset's target is then empty.
pub(crate) fn read_parts(
    context: &Context<'_>,
    name: &str,
    format: Format,
    paths: &Parts,
    target: Option<&str>,
) -> Result<Dataset> {
    let settings = context.settings;
    let mut parts = BTreeMap::new();
    for (&split, paths) in paths {
        let tables = paths
            .iter()
            .map(|path| read(context, format, path, split == Split::Train, target))
            .collect::<Result<Vec<_>>>()?;
        let files = Files::join(tables)?;
        files.check_kinds(|name| Some(name) == target || settings.columns.contains_key(name))?;
        parts.insert(split, files);
    }
    let train = parts.get(&Split::Train).ok_or_else(|| Error::internal("a table without a training file"))?;
    if train.names().is_empty() || train.rows() == 0 {
        let error = Error::new(ErrorCode::BadData, "the table has no rows");
        return Err(train.first_path().into_iter().fold(error, Error::in_file));
    }
    check_read(context, train, target)?;
    let mut schema = Schema::default();
    for (place, name) in train.names().iter().enumerate() {
        let kind = match settings.columns.get(name) {
            Some(kind) => *kind,
            None if Some(name.as_str()) == target => ColumnKind::Category,
            None => infer::kind(train, place),
        };
        let missing_in = |files: &Files| files.position(name).is_some_and(|column| files.has_missing(column));
        schema.columns.push(Column { name: name.clone(), kind, nullable: parts.values().any(missing_in) });
    }
    let mut typed_parts = BTreeMap::new();
    for (&split, files) in &parts {
        context.cancel.check()?;
        typed_parts.insert(split, typed(context, files, &schema)?);
    }
    Ok(Dataset {
        name: name.to_owned(),
        schema,
        target: target.unwrap_or_default().to_owned(),
        parts: typed_parts,
        source: parts.values().flat_map(Files::sources).cloned().collect(),
        unreadable: Vec::new(),
    })
}

/// One file. The settings are checked against the names before what they ignore is left out.
fn read(context: &Context<'_>, format: Format, path: &Path, check: bool, target: Option<&str>) -> Result<Table> {
    let settings = context.settings;
    let format = match format {
        Format::Csv => TableFormat::Csv,
        Format::Jsonl => TableFormat::Json,
        Format::Parquet => TableFormat::Parquet,
        Format::Arrow => TableFormat::Arrow,
        _ => return Err(Error::internal("pictures are not read as a table")),
    };
    let delimiter = match settings.delimiter {
        None => None,
        Some(delimiter) if delimiter.is_ascii() && !matches!(delimiter, '"' | '\n' | '\r') => Some(delimiter as u8),
        Some(delimiter) => {
            return Err(Error::new(ErrorCode::Config, format!("{delimiter:?} cannot separate fields"))
                .at_key("collect.delimiter")
                .fix("use one ASCII character, for example \";\""));
        }
    };
    let options = ScanOptions {
        format: Some(format),
        delimiter,
        encoding: settings.encoding.clone(),
        ignore: settings.ignore.clone(),
        limits: context.limits.clone(),
        ..ScanOptions::default()
    };
    let scan = Scan::open(path, &options)?;
    if let Some(names) = scan.names().filter(|_| check) {
        check_settings(context, &names, target, path)?;
    }
    let how = Work { threads: rayon::current_num_threads(), progress: context.progress, cancel: context.cancel };
    Table::read(scan, &how, context.limits)
}

/// JSON has no names before its last row: then they are checked here. Keys that are ignored were seen and left out.
fn check_read(context: &Context<'_>, train: &Files, target: Option<&str>) -> Result<()> {
    let (Some(path), Some(first)) = (train.first_path(), train.each().first()) else { return Ok(()) };
    if first.table.form().format() != TableFormat::Json {
        return Ok(());
    }
    let ignored = train.each().iter().flat_map(|placed| placed.table.ignored());
    let names: Vec<String> = train.names().iter().chain(ignored).cloned().collect();
    check_settings(context, &names, target, path)
}

/// Every column that the settings name must be there.
fn check_settings(context: &Context<'_>, names: &[String], target: Option<&str>, path: &Path) -> Result<()> {
    let settings = context.settings;
    let named = target
        .map(|target| (target, "collect.target"))
        .into_iter()
        .chain(settings.columns.keys().map(|name| (name.as_str(), "collect.columns")))
        .chain(settings.ignore.iter().map(|name| (name.as_str(), "collect.ignore")));
    for (name, key) in named {
        if !names.iter().any(|known| known == name) {
            let names = names.iter().map(String::as_str);
            let error = Error::new(ErrorCode::NotFound, "the table has no such column")
                .in_file(path)
                .at_column(name)
                .at_key(key);
            return Err(match nearest(name, names.clone()) {
                Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                None => error.fix(format!("its columns are: {}", names.take(30).collect::<Vec<_>>().join(", "))),
            });
        }
    }
    if let Some(target) = target.filter(|target| settings.ignore.iter().any(|name| name == target)) {
        return Err(Error::new(ErrorCode::Config, "the target cannot be ignored")
            .at_column(target)
            .at_key("collect.ignore"));
    }
    if let Some((name, _)) = settings.columns.iter().find(|(_, kind)| **kind == ColumnKind::Series) {
        return Err(Error::new(ErrorCode::Unsupported, "series in a table are not read for training")
            .at_column(name)
            .at_key("collect.columns")
            .fix("write them as a .ts file"));
    }
    if let Some((name, _)) = settings.columns.iter().find(|(_, kind)| !kind.is_cell()) {
        return Err(Error::new(ErrorCode::Unsupported, "pictures in a table are not supported")
            .at_column(name)
            .at_key("collect.columns")
            .fix("use a folder per class"));
    }
    Ok(())
}

/// The columns of `schema` from the files of a part, which must have all of them and no others.
fn typed(context: &Context<'_>, files: &Files, schema: &Schema) -> Result<RecordBatch> {
    let placed = |error: Error| files.first_path().into_iter().fold(error, Error::in_file);
    if let Some(name) = files.names().iter().find(|name| !schema.names().any(|known| known == name.as_str())) {
        return Err(placed(Error::new(ErrorCode::BadData, "the training file has no such column").at_column(name)));
    }
    let columns = schema
        .columns
        .par_iter()
        .map(|column| {
            let place = files.position(&column.name).ok_or_else(|| {
                let error = Error::new(ErrorCode::BadData, "this column of the training file is missing");
                placed(error.at_column(&column.name))
            })?;
            typed_column(context, files, place, column)
        })
        .collect::<Result<Vec<ArrayRef>>>()?;
    RecordBatch::try_new(raw::arrow_schema(schema), columns)
        .map_err(|source| Error::internal(format!("typed columns do not fit: {source}")))
}

fn typed_column(context: &Context<'_>, files: &Files, place: usize, column: &Column) -> Result<ArrayRef> {
    let mut builder = ColumnBuilder::new(column.kind);
    for placed in files.each() {
        let (table, mut first) = (&placed.table, 0);
        for (rows, cells) in placed.column(place) {
            for row in 0..rows {
                let pushed = match cells.map(|cells| (cells, cells.numbers())) {
                    Some((_, Some(numbers))) if numbers.is_valid(row) => {
                        push_number(&mut builder, numbers.value(row), column.kind, context)
                    }
                    Some((cells, None)) => push(&mut builder, &cells.cell(row), column, context),
                    _ => push(&mut builder, &Cell::MISSING, column, context),
                };
                pushed.map_err(|error| {
                    let (line, file) = (table.line(first + row), &table.source().path);
                    as_data(error).in_file(file).at_row(line).at_column(&column.name)
                })?;
            }
            first += rows;
        }
    }
    Ok(builder.finish())
}

fn push(builder: &mut ColumnBuilder, cell: &Cell<'_>, column: &Column, context: &Context<'_>) -> Result<()> {
    match cell.kind {
        CellKind::Missing => {
            builder.push_missing();
            Ok(())
        }
        CellKind::Untyped | CellKind::Text | CellKind::Boolean => builder.push_text(&cell.text, context.limits),
        CellKind::Number => push_number(builder, cell.text.parse().unwrap_or(f64::NAN), column.kind, context),
        CellKind::Nested => Err(Error::new(ErrorCode::Unsupported, "lists and objects inside a row are not supported")
            .fix(format!("flatten the rows, or add \"{}\" to `ignore` under [collect]", column.name))),
    }
}

fn push_number(builder: &mut ColumnBuilder, value: f64, kind: ColumnKind, context: &Context<'_>) -> Result<()> {
    match kind {
        _ if !value.is_finite() => Err(Error::new(ErrorCode::BadData, format!("{value} is not a finite number"))
            .fix("remove the row or leave the value empty")),
        ColumnKind::Number => builder.push_number(value),
        _ => builder.push_text(&number_text(value), context.limits),
    }
}

/// A wrong cell of a file is bad data, where the same cell in a request is bad input.
fn as_data(error: Error) -> Error {
    if error.code() != ErrorCode::BadInput {
        return error;
    }
    let data = Error::new(ErrorCode::BadData, error.message());
    match error.remedy() {
        Some(remedy) => data.fix(remedy),
        None => data,
    }
}
