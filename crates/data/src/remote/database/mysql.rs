//! MySQL and MariaDB: the queries run as prepared statements in one read-only transaction of one moment, and rows come
//! in the binary form one after the other. The server cannot ask for files of this machine: nothing answers it.

use super::calendar::time;
use super::rows::{RowWriter, Value};
use super::{Answer, Job, Rows, Server, not_a_query, unsupported};
use crate::remote::Staging;
use crate::remote::tls::Tls;
use crate::remote::wait::{CONNECT, KEEPALIVE, within};
use crate::settings::CollectSettings;
use lepton_core::{Error, ErrorCode, Result, Secret, Split};
use mysql_async::consts::ColumnType;
use mysql_async::prelude::Queryable;
use mysql_async::{Column, Conn, OptsBuilder, SslOpts, Value as Sent};

/// Times are told in UTC, nothing is written, and every query sees the database as it was when the first one began.
const BEGIN: [&str; 3] = [
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
];

/// The character set of bytes that are no text.
const BINARY: u16 = 63;

pub(super) async fn run(
    server: &Server,
    password: Option<Secret>,
    tls: Tls,
    jobs: &[Job<'_>],
    settings: &CollectSettings,
    staging: &Staging<'_>,
) -> Result<Answer> {
    let mut options = OptsBuilder::default()
        .ip_or_hostname(server.host.clone())
        .tcp_port(server.port)
        .user(Some(server.user.clone()))
        .pass(password.as_ref().map(|password| password.expose().to_owned()))
        .db_name(Some(server.database.clone()))
        .prefer_socket(false)
        .tcp_keepalive(Some(KEEPALIVE))
        .stmt_cache_size(0);
    if let Some(socket) = &server.socket {
        options = options.socket(Some(socket.to_string_lossy()));
    }
    if server.encrypted {
        let own = tls.file.map(|file| vec![file.into()]);
        let without_built_in = own.is_some();
        let trust = SslOpts::default().with_disable_built_in_roots(without_built_in);
        options = options.ssl_opts(trust.with_root_certs(own.unwrap_or_default()));
    }
    let failed = |source| explain(server, None, 0, source);
    let connected = within(CONNECT, &format!("connecting to {}", server.shown()), Conn::new(options)).await?;
    let mut connection = connected.map_err(failed)?;
    for statement in BEGIN {
        connection.query_drop(statement).await.map_err(failed)?;
    }
    let version: Option<String> = connection.query_first("SELECT VERSION()").await.map_err(failed)?;
    let version = version.unwrap_or_else(|| "of an unknown version".to_owned());
    let mut results = Vec::new();
    for job in jobs {
        let query = job.query.text('`');
        let rows = read(&mut connection, server, job, &query, settings, staging).await?;
        results.push((query, rows));
    }
    // The rows are complete; how the connection ends changes nothing.
    let _ = connection.disconnect().await;
    let kind = if version.contains("MariaDB") { "mariadb" } else { "mysql" };
    Ok(Answer { kind, version, results })
}

async fn read(
    connection: &mut Conn,
    server: &Server,
    job: &Job<'_>,
    query: &str,
    settings: &CollectSettings,
    staging: &Staging<'_>,
) -> Result<Rows> {
    let failed = |rows: u64, source| explain(server, Some(job.split), rows, source);
    let statement = connection.prep(query).await.map_err(|source| failed(0, source))?;
    let columns: Vec<Column> = statement.columns().to_vec();
    if columns.is_empty() {
        let error = server.error(ErrorCode::Config, "this is not a query that gives rows");
        return Err(not_a_query(error, job.split));
    }
    let names: Vec<String> = columns.iter().map(|column| column.name_str().into_owned()).collect();
    let mut writer = RowWriter::new(job, server.shown(), &names, settings, staging)?;
    for (place, column) in columns.iter().enumerate() {
        if let Some(kind) = unsupported_type(column)
            && !writer.ignores(place)
        {
            let error = server.error(ErrorCode::Unsupported, format!("values of type {kind} are not supported"));
            return Err(unsupported(error, &names[place]));
        }
    }
    let mut result = connection.exec_iter(&statement, ()).await.map_err(|source| failed(0, source))?;
    while let Some(row) = result.next().await.map_err(|source| failed(writer.rows(), source))? {
        for (place, (column, sent)) in columns.iter().zip(row.unwrap()).enumerate() {
            let sent = if writer.ignores(place) { Sent::NULL } else { sent };
            push(&mut writer, column, &sent)?;
        }
        writer.end_row()?;
    }
    writer.finish()
}

/// The name of a column's type, where it has no place in a table.
fn unsupported_type(column: &Column) -> Option<&'static str> {
    use ColumnType::*;
    let is_binary = column.character_set() == BINARY;
    match column.column_type() {
        MYSQL_TYPE_GEOMETRY => Some("GEOMETRY"),
        MYSQL_TYPE_JSON => Some("JSON"),
        MYSQL_TYPE_VECTOR => Some("VECTOR"),
        MYSQL_TYPE_TINY_BLOB | MYSQL_TYPE_MEDIUM_BLOB | MYSQL_TYPE_LONG_BLOB | MYSQL_TYPE_BLOB if is_binary => {
            Some("BLOB")
        }
        MYSQL_TYPE_VARCHAR | MYSQL_TYPE_VAR_STRING | MYSQL_TYPE_STRING if is_binary => Some("BINARY"),
        MYSQL_TYPE_TYPED_ARRAY | MYSQL_TYPE_UNKNOWN => Some("unknown to Lepton"),
        _ => None,
    }
}

fn push(writer: &mut RowWriter<'_>, column: &Column, sent: &Sent) -> Result<()> {
    use ColumnType::*;
    match sent {
        Sent::NULL => writer.push(&Value::Missing),
        Sent::Int(value) => writer.push(&Value::Integer((*value).into())),
        Sent::UInt(value) => writer.push(&Value::Integer((*value).into())),
        Sent::Float(value) => writer.push(&Value::Float((*value).into())),
        Sent::Double(value) => writer.push(&Value::Float(*value)),
        Sent::Date(year, month, day, hour, minute, second, microsecond) => {
            // The server lets columns hold 0000-00-00 and days like 2024-00-00.
            if *month == 0 || *day == 0 || *year == 0 {
                let message = format!("{year:04}-{month:02}-{day:02} is not a date");
                let error =
                    Error::new(ErrorCode::BadData, message).fix("make it NULL in the query, for example with NULLIF");
                return Err(writer.placed(error));
            }
            let date = format!("{year:04}-{month:02}-{day:02}");
            if column.column_type() == MYSQL_TYPE_DATE {
                return writer.push(&Value::Text(&date));
            }
            let zone = if column.column_type() == MYSQL_TYPE_TIMESTAMP { "Z" } else { "" };
            let time = of_day(0, *hour, *minute, *second, *microsecond);
            writer.push(&Value::Text(&format!("{date}T{time}{zone}")))
        }
        Sent::Time(negative, days, hour, minute, second, microsecond) => {
            let sign = if *negative { "-" } else { "" };
            let time = of_day(*days, *hour, *minute, *second, *microsecond);
            writer.push(&Value::Text(&format!("{sign}{time}")))
        }
        Sent::Bytes(bytes) if column.column_type() == MYSQL_TYPE_BIT => {
            let value = bytes.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
            if column.column_length() == 1 {
                writer.push(&Value::Boolean(value != 0))
            } else {
                writer.push(&Value::Integer(value.into()))
            }
        }
        Sent::Bytes(bytes) => {
            let Ok(text) = std::str::from_utf8(bytes) else {
                return Err(writer.placed(Error::new(ErrorCode::BadData, "the text is not UTF-8")));
            };
            match column.column_type() {
                MYSQL_TYPE_DECIMAL | MYSQL_TYPE_NEWDECIMAL => writer.push(&Value::Decimal(text)),
                _ => writer.push(&Value::Text(text)),
            }
        }
    }
}

fn of_day(days: u32, hour: u8, minute: u8, second: u8, microsecond: u32) -> String {
    let seconds = ((i64::from(days) * 24 + i64::from(hour)) * 60 + i64::from(minute)) * 60 + i64::from(second);
    time(seconds * 1_000_000 + i64::from(microsecond))
}

/// The server's or the connection's error in our words.
fn explain(server: &Server, split: Option<Split>, rows: u64, source: mysql_async::Error) -> Error {
    let mysql_async::Error::Server(told) = &source else {
        let text = source.to_string();
        return if split.is_some() {
            gone(server, rows, &text)
        } else {
            server
                .error(ErrorCode::Fetch, format!("cannot connect: {text}"))
                .fix("see whether the server is up, and whether host, port and sslmode are right")
        }
        .caused_by(source);
    };
    let message = format!("{} (error {})", told.message, told.code);
    let error = match told.code {
        1044 | 1045 | 1698 => server
            .error(ErrorCode::NotAllowed, message)
            .fix("see whether the user and the password are right: MYSQL_PWD, or `password_env`"),
        1142 | 1143 | 1227 | 1370 => server
            .error(ErrorCode::NotAllowed, message)
            .fix(format!("grant SELECT to {}, or connect as another user", server.user)),
        1049 => server.error(ErrorCode::NotFound, message).fix("see whether the name of the database is right"),
        1146 | 1054 => server.error(ErrorCode::NotFound, message).fix("see whether the name is right"),
        1792 | 1290 | 1836 => {
            server.error(ErrorCode::NotAllowed, message).fix("write one SELECT; the database is only read")
        }
        1040 | 1053 | 1077 | 1079 | 1152 | 1158..=1161 | 1184 | 1203 | 1205 | 1317 | 1927 | 3024 | 4031 => {
            gone(server, rows, &message)
        }
        1064 | 1295 => server.error(ErrorCode::Config, message).fix("mend the query; it is one SELECT"),
        _ => server.error(ErrorCode::BadData, message).fix("mend the query; the server's own client runs it as it is"),
    };
    match split {
        Some(split) => error.at_key(super::query_key(split)),
        None => error,
    }
    .caused_by(source)
}

fn gone(server: &Server, rows: u64, text: &str) -> Error {
    server
        .error(ErrorCode::Fetch, format!("the database went away after {rows} rows: {text}"))
        .fix("nothing was kept; run the same command again when it is back")
}
