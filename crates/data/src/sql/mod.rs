//! SQL over tables: a query names files and datasets, and only the columns that it reads are loaded.
//!
//! The engine is SQLite, which is in every build for the store: a database in a scratch folder that is thrown away.
//! [`query`] prepares the statement, lets SQLite say which tables and columns it reads (and that it does nothing but
//! read), loads these, and hands out the rows. `table` is what can be named, `load` brings it in, `functions` are the
//! ones that SQLite lacks, or in which it is too lenient for numbers that people rely on.

mod functions;
mod load;
mod table;
#[cfg(test)]
mod tests;

pub use table::{LoadedTable, SqlTable};

use lepton_core::{Cancel, Error, ErrorCode, Progress, Result, nearest};
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Statement, ffi};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Tables of one query, at most.
const MOST_TABLES: usize = 64;

/// Memory for pages of the database; what does not fit is in the scratch folder.
const CACHE_KIB: i64 = 256 << 10;

/// Steps of SQLite's machine between two looks at whether to stop.
const STEPS: i32 = 10_000;

/// What a query works with.
pub struct SqlWork<'a> {
    /// A folder for the database. Nothing stays there when it is thrown away.
    pub scratch: &'a Path,
    /// Threads that parse files; at least one.
    pub threads: usize,
    /// Told of what is read.
    pub progress: &'a dyn Progress,
    /// Asked while it reads and while it runs.
    pub cancel: &'a Cancel,
}

/// A value of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlValue {
    /// Nothing.
    Null,
    /// A whole number, as counts are.
    Integer(i64),
    /// A number. It may be infinite: SQLite's own functions can overflow.
    Real(f64),
    /// A text.
    Text(String),
}

impl Serialize for SqlValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            SqlValue::Null => serializer.serialize_none(),
            SqlValue::Integer(value) => serializer.serialize_i64(*value),
            SqlValue::Real(value) if value.is_finite() => serializer.serialize_f64(*value),
            SqlValue::Real(_) => serializer.serialize_str(&self.text().unwrap_or_default()),
            SqlValue::Text(value) => serializer.serialize_str(value),
        }
    }
}

impl SqlValue {
    /// The value as text; `None` for nothing.
    pub fn text(&self) -> Option<String> {
        match self {
            SqlValue::Null => None,
            SqlValue::Integer(value) => Some(value.to_string()),
            SqlValue::Real(value) if value.is_finite() => Some(crate::scan::number_text(*value)),
            SqlValue::Real(value) => Some(if *value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()),
            SqlValue::Text(value) => Some(value.clone()),
        }
    }
}

/// What a query read, and the names of its answer's columns.
#[derive(Clone, Debug)]
pub struct SqlAnswer {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows of the answer.
    pub rows: u64,
    /// The tables that were read, in the order in which the query names them.
    pub tables: Vec<LoadedTable>,
}

/// The engine and its version.
pub fn engine() -> String {
    format!("SQLite {}", rusqlite::version())
}

/// Runs one query. `find` gives the table that a name means; `take` gets the names of the columns and each row.
///
/// A column of numbers is `REAL` (whole numbers beyond 2^53 are `INTEGER`), everything else is `TEXT` as it is
/// written, a missing cell is `NULL`. `rowid` is the number of a row, from 1.
///
/// # Errors
/// [`ErrorCode::Usage`] for what is not one query; [`ErrorCode::NotAllowed`] for one that would do more than read;
/// [`ErrorCode::NotFound`] for a column that is not there; [`ErrorCode::Cancelled`]; those of `find`, of reading the
/// files and of `take`.
pub fn query(
    sql: &str,
    work: &SqlWork<'_>,
    mut find: impl FnMut(&str) -> Result<SqlTable>,
    mut take: impl FnMut(&[String], Vec<SqlValue>) -> Result<()>,
) -> Result<SqlAnswer> {
    let mut connection = open(work)?;
    let mut tables: Vec<(String, SqlTable)> = Vec::new();
    // SQLite names one unknown table at a time.
    let reads = loop {
        match reads(&mut connection, sql) {
            Ok(reads) => break reads,
            Err(source) => {
                let Some(name) = unknown_table(&source).filter(|_| tables.len() < MOST_TABLES) else {
                    return Err(explain(source, sql, &tables));
                };
                let table = find(&name)?;
                load::create(&connection, &name, &table).map_err(|error| placed(error, &name))?;
                tables.push((name, table));
            }
        }
    };
    let mut loaded = Vec::with_capacity(tables.len());
    for (name, table) in &tables {
        let wanted = reads.get(&name.to_lowercase()).cloned().unwrap_or_default();
        loaded.push(load::load(&connection, name, table, &wanted, work)?);
    }
    let cancel = work.cancel.clone();
    connection.progress_handler(STEPS, Some(move || cancel.is_cancelled())).map_err(internal)?;
    let mut statement = connection.prepare(sql).map_err(|source| explain(source, sql, &tables))?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let failed = |source| match work.cancel.check() {
        Ok(()) => explain(source, sql, &tables),
        Err(cancelled) => cancelled,
    };
    let rows = step(&mut statement, &columns, failed, &mut take)?;
    Ok(SqlAnswer { columns, rows, tables: loaded })
}

fn step(
    statement: &mut Statement<'_>,
    columns: &[String],
    failed: impl Fn(rusqlite::Error) -> Error,
    take: &mut impl FnMut(&[String], Vec<SqlValue>) -> Result<()>,
) -> Result<u64> {
    let mut count = 0;
    let mut rows = statement.query([]).map_err(&failed)?;
    while let Some(row) = rows.next().map_err(&failed)? {
        let mut values = Vec::with_capacity(columns.len());
        for (place, column) in columns.iter().enumerate() {
            values.push(match row.get_ref(place).map_err(&failed)? {
                ValueRef::Null => SqlValue::Null,
                ValueRef::Integer(value) => SqlValue::Integer(value),
                ValueRef::Real(value) => SqlValue::Real(value),
                ValueRef::Text(bytes) => SqlValue::Text(String::from_utf8_lossy(bytes).into_owned()),
                ValueRef::Blob(_) => {
                    return Err(Error::new(ErrorCode::Unsupported, "an answer with bytes (BLOB) is not supported")
                        .at_column(column)
                        .fix("put hex(...) around it"));
                }
            });
        }
        count += 1;
        take(columns, values)?;
    }
    Ok(count)
}

fn open(work: &SqlWork<'_>) -> Result<Connection> {
    let path = work.scratch.join("query.db");
    // An earlier query of the same work may have left its own.
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io("remove the scratch database", &path, source));
        }
        _ => {}
    }
    let connection = Connection::open(&path).map_err(|source| {
        Error::new(ErrorCode::Io, format!("the scratch database cannot be made: {source}")).in_file(&path)
    })?;
    // It is thrown away whatever happens, so nothing of it need survive.
    for (name, value) in [("journal_mode", "OFF"), ("synchronous", "OFF"), ("locking_mode", "EXCLUSIVE")] {
        connection.pragma_update(None, name, value).map_err(internal)?;
    }
    connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(internal)?;
    // A misspelt column in double quotes is an error, and not a text.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false).map_err(internal)?;
    functions::add(&connection).map_err(internal)?;
    Ok(connection)
}

/// The columns that the query reads, by table in small letters. Whatever is not reading is refused.
fn reads(connection: &mut Connection, sql: &str) -> rusqlite::Result<BTreeMap<String, BTreeSet<String>>> {
    let seen: Arc<Mutex<BTreeMap<String, BTreeSet<String>>>> = Arc::default();
    let shared = Arc::clone(&seen);
    connection.authorizer(Some(move |context: AuthContext<'_>| match context.action {
        AuthAction::Select | AuthAction::Recursive => Authorization::Allow,
        AuthAction::Function { function_name } if !function_name.eq_ignore_ascii_case("load_extension") => {
            Authorization::Allow
        }
        AuthAction::Read { table_name, .. }
            if ["sqlite_", "pragma_"].iter().any(|own| table_name.to_lowercase().starts_with(own)) =>
        {
            Authorization::Deny
        }
        AuthAction::Read { table_name, column_name } => {
            let mut seen = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let columns = seen.entry(table_name.to_lowercase()).or_default();
            if !column_name.is_empty() {
                columns.insert(column_name.to_owned());
            }
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }))?;
    let prepared = connection.prepare(sql).map(|statement| statement.column_count());
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    match prepared? {
        0 => Err(rusqlite::Error::InvalidQuery),
        _ => Ok(std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner))),
    }
}

/// What SQLite says, without its own prefix.
fn message(source: &rusqlite::Error) -> String {
    match source {
        rusqlite::Error::SqlInputError { msg, .. } | rusqlite::Error::SqliteFailure(_, Some(msg)) => msg.clone(),
        other => other.to_string(),
    }
}

fn unknown_table(source: &rusqlite::Error) -> Option<String> {
    Some(message(source).strip_prefix("no such table: ")?.to_owned())
}

fn internal(source: rusqlite::Error) -> Error {
    Error::internal(format!("the scratch database cannot be set up: {source}"))
}

fn placed(error: Error, table: &str) -> Error {
    if error.place().file.is_some() { error } else { error.in_file(table) }
}

/// SQLite's error in our words.
fn explain(source: rusqlite::Error, sql: &str, tables: &[(String, SqlTable)]) -> Error {
    let text = message(&source);
    let code = source.sqlite_error().map(|error| error.extended_code & 0xff);
    if let Some(column) = text.strip_prefix("no such column: ") {
        let column = column.split(" - ").next().unwrap_or(column).trim_matches('"');
        let last = column.rsplit('.').next().unwrap_or(column);
        let names: Vec<&str> = tables.iter().flat_map(|(_, table)| table.columns()).map(String::as_str).collect();
        let error = Error::new(ErrorCode::NotFound, "no table of the query has this column").at_column(column);
        return match nearest(last, names.iter().copied()) {
            Some(near) => error.fix(format!("did you mean \"{near}\"?")),
            None => error.fix(format!(
                "the columns are: {}; a text stands in single quotes",
                names.into_iter().take(30).collect::<Vec<_>>().join(", ")
            )),
        };
    }
    if unknown_table(&source).is_some() {
        return Error::new(ErrorCode::TooLarge, format!("the query names more than {MOST_TABLES} tables"))
            .fix("ask in several queries");
    }
    match (&source, code) {
        (rusqlite::Error::MultipleStatement, _) => {
            Error::new(ErrorCode::Usage, "this is more than one statement").fix("ask one query at a time")
        }
        _ if matches!(source, rusqlite::Error::InvalidQuery) || text.starts_with("SQL is empty") => {
            Error::new(ErrorCode::Usage, "this is not a query that gives rows")
                .fix("write one SELECT, with a file or a dataset after FROM")
        }
        (_, Some(ffi::SQLITE_AUTH)) => Error::new(ErrorCode::NotAllowed, format!("a query only reads: {text}"))
            .fix("write one SELECT, with a file or a dataset after FROM"),
        (_, Some(ffi::SQLITE_FULL)) => {
            Error::new(ErrorCode::StorageFull, "the scratch folder is full").fix("make room, or read fewer columns")
        }
        _ => {
            let place = match &source {
                rusqlite::Error::SqlInputError { offset, .. } if *offset >= 0 => {
                    format!(" (at character {} of the query)", characters(sql, *offset))
                }
                _ => String::new(),
            };
            Error::new(ErrorCode::Usage, format!("the query cannot be run: {text}{place}"))
                .fix("it is SQL as SQLite has it; names of files and other odd names stand in double quotes")
        }
    }
    .caused_by(source)
}

/// The character, from 1, at a byte of a text.
fn characters(text: &str, offset: i32) -> usize {
    let end = text.floor_char_boundary(usize::try_from(offset).unwrap_or(0));
    text[..end].chars().count() + 1
}
