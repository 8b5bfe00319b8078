//! A table into the scratch database: all its columns by name, cells for those that the query reads.

use super::table::{LoadedTable, Rows, SPLIT, SqlTable};
use super::{SqlWork, placed};
use crate::dataset::SourceFile;
use crate::scan::{
    CellKind, Chunk, Column, Ragged, Scan, ScanOptions, Work, check_columns, parse_number, typed_chunks,
};
use arrow_array::Array;
use lepton_core::{ColumnKind, Digest, Error, ErrorCode, Limits, Result, Schema, Split};
use rusqlite::{Connection, Statement};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::sync_channel;

/// Columns that SQLite can have in a table.
const MOST_COLUMNS: usize = 2_000;

/// Makes the table, without rows. Columns have no declared type, so each cell keeps its own.
pub(super) fn create(connection: &Connection, name: &str, table: &SqlTable) -> Result<()> {
    let columns = table.columns();
    check_columns(columns.len(), &Limits { csv_columns: MOST_COLUMNS, ..Limits::default() })
        .map_err(|error| error.fix("SQL takes tables of up to 2,000 columns; name a file with fewer"))?;
    let mut seen = BTreeSet::new();
    if let Some(twice) = columns.iter().find(|column| !seen.insert(column.to_ascii_lowercase())) {
        return Err(Error::new(
            ErrorCode::BadData,
            "two columns have this name but for capital letters, which SQL does not tell apart",
        )
        .at_column(twice)
        .fix("rename one of them"));
    }
    let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
    connection.execute_batch(&format!("CREATE TABLE {} ({})", quoted(name), columns.join(", "))).map_err(failed)
}

/// Loads the rows, with cells for the columns that the query reads.
pub(super) fn load(
    connection: &Connection,
    name: &str,
    table: &SqlTable,
    reads: &BTreeSet<String>,
    work: &SqlWork<'_>,
) -> Result<LoadedTable> {
    let wanted: Vec<String> = table
        .columns()
        .iter()
        .filter(|column| reads.iter().any(|read| read.eq_ignore_ascii_case(column)))
        .cloned()
        .collect();
    connection.execute_batch("BEGIN").map_err(failed)?;
    let names: Vec<String> = wanted.iter().map(|column| quoted(column)).collect();
    let insert = match names.len() {
        0 => format!("INSERT INTO {} DEFAULT VALUES", quoted(name)),
        count => {
            let marks = vec!["?"; count].join(", ");
            format!("INSERT INTO {} ({}) VALUES ({marks})", quoted(name), names.join(", "))
        }
    };
    let mut sink = Sink { statement: connection.prepare(&insert).map_err(failed)?, wanted: &wanted, rows: 0 };
    let sha256 = match &table.rows {
        Rows::File { path, options } => from_file(&mut sink, table, path, options, work)?,
        Rows::Dataset { schema, parts, digest } => {
            let kept = schema.columns.iter().filter(|column| wanted.contains(&column.name)).cloned().collect();
            let kept = Schema { columns: kept };
            for (split, batch) in parts {
                work.cancel.check()?;
                typed_chunks(batch, &kept, |chunk| sink.add(&chunk, &numbers_of(&kept, &wanted), Some(*split)))?;
            }
            *digest
        }
    };
    let rows = sink.rows;
    drop(sink);
    connection.execute_batch("COMMIT").map_err(failed)?;
    Ok(LoadedTable { name: name.to_owned(), sha256, rows, columns: wanted })
}

/// Of each wanted column of a dataset, whether it holds numbers.
fn numbers_of(schema: &Schema, wanted: &[String]) -> Vec<bool> {
    let kind = |name: &String| schema.columns.iter().find(|column| column.name == *name).map(|column| column.kind);
    wanted.iter().map(|name| kind(name) == Some(ColumnKind::Number)).collect()
}

fn from_file(
    sink: &mut Sink<'_>,
    table: &SqlTable,
    path: &Path,
    options: &ScanOptions,
    work: &SqlWork<'_>,
) -> Result<Digest> {
    let ignore = table.columns().iter().filter(|column| !sink.wanted.contains(column)).cloned().collect();
    let options = ScanOptions { ignore, ragged: Ragged::Refuse, ..options.clone() };
    let how = Work { threads: work.threads, progress: work.progress, cancel: work.cancel };
    let numbers = match table.is_csv() && !sink.wanted.is_empty() {
        true => columns_of_numbers(Scan::open(path, &options)?, sink.wanted, &how)?,
        false => vec![false; sink.wanted.len()],
    };
    let scan = Scan::open(path, &options)?;
    // A statement stays on its thread; the chunks come to it.
    let (send, receive) = sync_channel::<Chunk>(2);
    let source = std::thread::scope(|scope| -> Result<SourceFile> {
        let reader = scope.spawn(move || {
            scan.fold(&how, Ok, move |_, chunk: Chunk| {
                send.send(chunk).map_err(|_| Error::internal("the rows of a query have nowhere to go"))
            })
        });
        let mut outcome = Ok(());
        for chunk in receive {
            outcome = sink.add(&chunk, &numbers, None);
            if outcome.is_err() {
                break;
            }
        }
        let read = reader.join().unwrap_or_else(|_| Err(Error::internal("a thread that read a table broke")));
        // Where the rows could not be taken, that is what went wrong, and not that reading stopped.
        outcome.and(read)
    });
    Ok(source.map_err(|error| placed(error, &path.display().to_string()))?.sha256)
}

/// Of each wanted column, whether every cell that is there reads as a number: what a collected dataset would have.
fn columns_of_numbers(scan: Scan, wanted: &[String], how: &Work<'_>) -> Result<Vec<bool>> {
    let mut all = vec![(false, true); wanted.len()];
    scan.fold(
        how,
        |chunk: Chunk| Ok(places(&chunk, wanted).map(|place| look(chunk.column(place?))).collect::<Vec<_>>()),
        |_, chunk| {
            for (all, one) in all.iter_mut().zip(chunk) {
                let (present, numbers) = one.unwrap_or((false, true));
                *all = (all.0 | present, all.1 & numbers);
            }
            Ok(())
        },
    )?;
    Ok(all.into_iter().map(|(present, numbers)| present && numbers).collect())
}

/// Whether a column has a cell, and whether all of them are numbers.
fn look(column: Column<'_>) -> Option<(bool, bool)> {
    let mut present = false;
    for (kind, text) in column.texts().into_iter().flatten() {
        if kind != CellKind::Missing {
            present = true;
            if parse_number(text).is_none() {
                return Some((true, false));
            }
        }
    }
    Some((present, true))
}

fn places<'a>(chunk: &'a Chunk, wanted: &'a [String]) -> impl Iterator<Item = Option<usize>> + 'a {
    wanted.iter().map(|name| chunk.names().iter().position(|known| known == name))
}

/// Takes the rows.
struct Sink<'a> {
    statement: Statement<'a>,
    wanted: &'a [String],
    rows: u64,
}

impl Sink<'_> {
    /// Adds a chunk. `numbers` says of each wanted column whether its untyped texts are numbers.
    fn add(&mut self, chunk: &Chunk, numbers: &[bool], split: Option<Split>) -> Result<()> {
        let places: Vec<Option<usize>> = places(chunk, self.wanted).collect();
        for row in 0..chunk.rows() {
            for (at, (place, is_number)) in places.iter().zip(numbers).enumerate() {
                let bound = match place {
                    Some(place) => self.bind(at + 1, chunk.column(*place), row, *is_number),
                    None if self.wanted[at] == SPLIT => {
                        self.statement.raw_bind_parameter(at + 1, split.map(|split| split.name()))
                    }
                    None => self.statement.raw_bind_parameter(at + 1, rusqlite::types::Null),
                };
                bound.map_err(failed)?;
            }
            self.statement.raw_execute().map_err(failed)?;
            self.rows += 1;
        }
        Ok(())
    }

    fn bind(&mut self, at: usize, column: Column<'_>, row: usize, is_number: bool) -> rusqlite::Result<()> {
        if let Some(values) = column.numbers() {
            return match values.is_valid(row).then(|| values.value(row)).filter(|value| value.is_finite()) {
                Some(value) => self.statement.raw_bind_parameter(at, value + 0.0),
                None => self.statement.raw_bind_parameter(at, rusqlite::types::Null),
            };
        }
        let cell = column.cell(row);
        let text: &str = cell.text.as_ref();
        match cell.kind {
            CellKind::Missing => self.statement.raw_bind_parameter(at, rusqlite::types::Null),
            CellKind::Untyped if !is_number => self.statement.raw_bind_parameter(at, text),
            CellKind::Untyped | CellKind::Number => match parse_number(text.as_bytes()) {
                // A float would lose the last digits of such a number.
                Some(value) if value.abs() >= 9_007_199_254_740_992.0 => match text.trim().parse::<i64>() {
                    Ok(whole) => self.statement.raw_bind_parameter(at, whole),
                    Err(_) => self.statement.raw_bind_parameter(at, value),
                },
                Some(value) => self.statement.raw_bind_parameter(at, value),
                None => self.statement.raw_bind_parameter(at, text),
            },
            CellKind::Text | CellKind::Boolean | CellKind::Nested => self.statement.raw_bind_parameter(at, text),
        }
    }
}

fn failed(source: rusqlite::Error) -> Error {
    let is_full = source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
    let code = if is_full { ErrorCode::StorageFull } else { ErrorCode::Io };
    Error::new(code, format!("the rows cannot be put into the scratch database: {source}"))
        .fix("see whether the data folder has room")
        .caused_by(source)
}

/// A name in double quotes.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
