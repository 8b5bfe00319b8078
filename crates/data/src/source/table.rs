//! What CSV, JSONL and Parquet share: untyped columns, their kinds, and the typed dataset.

use super::{Context, csv, infer, jsonl, parquet};
use crate::dataset::{Dataset, SourceFile};
use crate::settings::Format;
use arrow_array::{Array, ArrayRef, Float64Array, LargeStringArray, RecordBatch};
use lepton_core::{Column, ColumnKind, Error, ErrorCode, Result, Schema, Split, nearest};
use lepton_recipe::raw::{self, ColumnBuilder, number_text};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A table as it was read.
pub(super) struct RawTable {
    pub(super) columns: Vec<RawColumn>,
    /// The line of each row in the file, where the format has lines.
    pub(super) lines: Option<Vec<u64>>,
    pub(super) source: SourceFile,
}

/// A column as it was read; null is missing.
pub(super) struct RawColumn {
    pub(super) name: String,
    pub(super) cells: Cells,
}

/// The cells of a column as the format has them.
pub(super) enum Cells {
    /// Text of a format that has nothing else: it may mean numbers.
    Untyped(LargeStringArray),
    /// Text of a format that tells text and numbers apart.
    Text(LargeStringArray),
    /// Numbers.
    Number(Float64Array),
}

impl Cells {
    pub(super) fn len(&self) -> usize {
        match self {
            Cells::Untyped(cells) | Cells::Text(cells) => cells.len(),
            Cells::Number(cells) => cells.len(),
        }
    }

    fn has_missing(&self) -> bool {
        match self {
            Cells::Untyped(cells) | Cells::Text(cells) => cells.null_count() > 0,
            Cells::Number(cells) => cells.null_count() > 0,
        }
    }
}

/// The dataset of these files. `target` is that of the catalogue, for when the settings name none.
pub(crate) fn collect(
    context: &Context<'_>,
    name: &str,
    format: Format,
    paths: &BTreeMap<Split, PathBuf>,
    target: Option<&str>,
) -> Result<Dataset> {
    let settings = context.settings;
    let target = settings.target.as_deref().or(target).ok_or_else(|| {
        Error::new(ErrorCode::Config, "a table needs the name of the column to predict")
            .at_key("collect.target")
            .fix("set `target` under [collect]")
    })?;
    let mut tables = BTreeMap::new();
    for (&split, path) in paths {
        let mut table = match format {
            Format::Csv => csv::read(context, path)?,
            Format::Jsonl => jsonl::read(context, path)?,
            Format::Parquet => parquet::read(context, path)?,
            Format::Idx | Format::ImageFolder => return Err(Error::internal("pictures are not read as a table")),
        };
        check_header(&table).map_err(|error| error.in_file(path))?;
        if split == Split::Train {
            check_settings(context, &table, target, path)?;
        }
        table.columns.retain(|column| !settings.ignore.contains(&column.name));
        tables.insert(split, table);
    }
    let train = tables.get(&Split::Train).ok_or_else(|| Error::internal("a table without a training file"))?;
    if train.columns.first().is_none_or(|column| column.cells.len() == 0) {
        return Err(Error::new(ErrorCode::BadData, "the table has no rows").in_file(&train.source.path));
    }
    let mut schema = Schema::default();
    for column in &train.columns {
        let kind = match settings.columns.get(&column.name) {
            Some(kind) => *kind,
            None if column.name == target => ColumnKind::Category,
            None => infer::kind(&column.cells),
        };
        let missing_in = |table: &RawTable| find(table, &column.name).is_some_and(|column| column.cells.has_missing());
        schema.columns.push(Column { name: column.name.clone(), kind, nullable: tables.values().any(missing_in) });
    }
    let mut parts = BTreeMap::new();
    for (&split, table) in &tables {
        context.cancel.check()?;
        let path = &table.source.path;
        parts.insert(split, typed(context, table, &schema).map_err(|error| error.in_file(path))?);
    }
    Ok(Dataset {
        name: name.to_owned(),
        schema,
        target: target.to_owned(),
        parts,
        source: tables.into_values().map(|table| table.source).collect(),
        unreadable: Vec::new(),
    })
}

fn find<'a>(table: &'a RawTable, name: &str) -> Option<&'a RawColumn> {
    table.columns.iter().find(|column| column.name == name)
}

fn check_header(table: &RawTable) -> Result<()> {
    let mut seen = BTreeSet::new();
    for (place, column) in table.columns.iter().enumerate() {
        if column.name.is_empty() {
            return Err(Error::new(ErrorCode::BadData, format!("column {} has no name", place + 1))
                .at_row(1)
                .fix("give every column a name in the header"));
        }
        if !seen.insert(&column.name) {
            return Err(Error::new(ErrorCode::BadData, "two columns have this name")
                .at_row(1)
                .at_column(&column.name)
                .fix("rename one of them in the header"));
        }
    }
    Ok(())
}

/// Every column that the settings name must be there.
fn check_settings(context: &Context<'_>, table: &RawTable, target: &str, path: &Path) -> Result<()> {
    let settings = context.settings;
    let named = std::iter::once((target, "collect.target"))
        .chain(settings.columns.keys().map(|name| (name.as_str(), "collect.columns")))
        .chain(settings.ignore.iter().map(|name| (name.as_str(), "collect.ignore")));
    for (name, key) in named {
        if find(table, name).is_none() {
            let names = table.columns.iter().map(|column| column.name.as_str());
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
    if settings.ignore.iter().any(|name| name == target) {
        return Err(Error::new(ErrorCode::Config, "the target cannot be ignored")
            .at_column(target)
            .at_key("collect.ignore"));
    }
    if let Some((name, _)) = settings.columns.iter().find(|(_, kind)| **kind == ColumnKind::Image) {
        return Err(Error::new(ErrorCode::Unsupported, "pictures in a table are not supported")
            .at_column(name)
            .at_key("collect.columns")
            .fix("use a folder per class"));
    }
    Ok(())
}

/// The columns of `schema` from a table, which must have all of them and no others.
fn typed(context: &Context<'_>, table: &RawTable, schema: &Schema) -> Result<RecordBatch> {
    let is_known = |column: &&RawColumn| schema.names().any(|name| name == column.name);
    if let Some(column) = table.columns.iter().find(|column| !is_known(column)) {
        return Err(Error::new(ErrorCode::BadData, "the training file has no such column").at_column(&column.name));
    }
    let columns = schema
        .columns
        .par_iter()
        .map(|column| {
            let raw = find(table, &column.name).ok_or_else(|| {
                Error::new(ErrorCode::BadData, "this column of the training file is missing").at_column(&column.name)
            })?;
            typed_column(context, table, raw, column.kind)
        })
        .collect::<Result<Vec<ArrayRef>>>()?;
    RecordBatch::try_new(raw::arrow_schema(schema), columns)
        .map_err(|source| Error::internal(format!("typed columns do not fit: {source}")))
}

fn typed_column(context: &Context<'_>, table: &RawTable, raw: &RawColumn, kind: ColumnKind) -> Result<ArrayRef> {
    let mut builder = ColumnBuilder::new(kind);
    for row in 0..raw.cells.len() {
        let pushed = match &raw.cells {
            Cells::Untyped(cells) | Cells::Text(cells) if cells.is_valid(row) => {
                builder.push_text(cells.value(row), context.limits)
            }
            Cells::Number(cells) if cells.is_valid(row) => match (cells.value(row), kind) {
                (value, _) if !value.is_finite() => {
                    Err(Error::new(ErrorCode::BadData, format!("{value} is not a finite number"))
                        .fix("remove the row or leave the value empty"))
                }
                (value, ColumnKind::Number) => builder.push_number(value),
                (value, _) => builder.push_text(&number_text(value), context.limits),
            },
            _ => {
                builder.push_missing();
                Ok(())
            }
        };
        pushed.map_err(|error| {
            let line = table.lines.as_ref().map_or(row as u64 + 1, |lines| lines[row]);
            as_data(error).at_row(line).at_column(&raw.name)
        })?;
    }
    Ok(builder.finish())
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
