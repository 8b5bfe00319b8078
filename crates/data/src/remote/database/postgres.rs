//! PostgreSQL: the queries run as prepared statements in one read-only transaction of one moment, and rows come in the
//! binary form as the server makes them.

use super::calendar::{TO_2000, date, time, timestamp};
use super::rows::{RowWriter, Value};
use super::{Answer, Job, Server, not_a_query, unsupported};
use crate::remote::Staging;
use crate::remote::tls::Tls;
use crate::remote::wait::{CONNECT, KEEPALIVE, within};
use crate::settings::CollectSettings;
use futures_util::StreamExt;
use lepton_core::{Error, ErrorCode, Result, Secret, Split};
use std::error::Error as _;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::{DbError, ErrorPosition};
use tokio_postgres::types::{FromSql, Kind, Type};
use tokio_postgres::{Client, Config, Row};

/// Only reading, and every query sees the database as it was when the first one began.
const BEGIN: &str = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// Microseconds from 1970 to 2000, where PostgreSQL counts from.
const MICROSECONDS_TO_2000: i64 = TO_2000 * 86_400_000_000;

pub(super) async fn run(
    server: &Server,
    password: Option<Secret>,
    tls: Tls,
    jobs: &[Job<'_>],
    settings: &CollectSettings,
    staging: &Staging<'_>,
) -> Result<Answer> {
    let mut configuration = Config::new();
    configuration.user(&server.user).dbname(&server.database).application_name("lepton").connect_timeout(CONNECT);
    configuration.port(server.port);
    configuration.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE / 6).keepalives_retries(3);
    match &server.socket {
        Some(folder) => configuration.host_path(folder),
        None => configuration.host(&server.host),
    };
    configuration.ssl_mode(if server.encrypted { SslMode::Require } else { SslMode::Disable });
    if let Some(password) = &password {
        configuration.password(password.expose());
    }
    let connected = within(CONNECT, &format!("connecting to {}", server.shown()), configuration.connect(tls)).await?;
    let (client, connection) = connected.map_err(|source| explain(server, None, 0, source))?;
    let version = connection.parameter("server_version").unwrap_or("of an unknown version").to_owned();
    // It ends with the client; what goes wrong on it is told to the client.
    let connection = tokio::spawn(connection);
    client.batch_execute(BEGIN).await.map_err(|source| explain(server, None, 0, source))?;
    let mut results = Vec::new();
    for job in jobs {
        let query = job.query.text('"');
        let rows = read(&client, server, job, &query, settings, staging).await?;
        results.push((query, rows));
    }
    drop(client);
    // The rows are complete; how the connection ends changes nothing.
    let _ = connection.await;
    Ok(Answer { kind: "postgresql", version, results })
}

async fn read(
    client: &Client,
    server: &Server,
    job: &Job<'_>,
    query: &str,
    settings: &CollectSettings,
    staging: &Staging<'_>,
) -> Result<super::Rows> {
    let statement = client.prepare(query).await.map_err(|source| explain(server, Some(job.split), 0, source))?;
    if statement.columns().is_empty() {
        let error = server.error(ErrorCode::Config, "this is not a query that gives rows");
        return Err(not_a_query(error, job.split));
    }
    let names: Vec<String> = statement.columns().iter().map(|column| column.name().to_owned()).collect();
    let mut writer = RowWriter::new(job, server.shown(), &names, settings, staging)?;
    let mut decoders = Vec::new();
    for (place, column) in statement.columns().iter().enumerate() {
        let decoder = decoder(column.type_());
        if decoder.is_none() && !writer.ignores(place) {
            let message = format!("values of type {} are not supported", column.type_().name());
            return Err(unsupported(server.error(ErrorCode::Unsupported, message), column.name()));
        }
        decoders.push(decoder);
    }
    let failed = |rows: u64, source| explain(server, Some(job.split), rows, source);
    let parameters: [i32; 0] = [];
    let stream = client.query_raw(&statement, parameters).await.map_err(|source| failed(0, source))?;
    tokio::pin!(stream);
    while let Some(row) = stream.next().await {
        let row = row.map_err(|source| failed(writer.rows(), source))?;
        for (place, decoder) in decoders.iter().enumerate() {
            push(&mut writer, &row, place, *decoder)?;
        }
        writer.end_row()?;
    }
    writer.finish()
}

/// The bytes of a cell, of any type.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Raw<'a>, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn push(writer: &mut RowWriter<'_>, row: &Row, place: usize, decoder: Option<Decoder>) -> Result<()> {
    let cell: Option<Raw<'_>> =
        row.try_get(place).map_err(|source| Error::internal(format!("a cell cannot be taken: {source}")))?;
    match (cell, decoder) {
        (Some(Raw(bytes)), Some(decoder)) => {
            decode(decoder, bytes, |value| writer.push(&value)).map_err(|error| match error {
                Undecoded::Value(error) => writer.placed(error),
                Undecoded::Written(error) => error,
            })
        }
        (None, _) | (_, None) => writer.push(&Value::Missing),
    }
}

/// How the bytes of a type are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decoder {
    Boolean,
    Integer,
    Unsigned,
    Float,
    Numeric,
    Text,
    Uuid,
    Date,
    Time,
    Timestamp,
    TimestampInUtc,
}

/// The decoder of a type; `None` where it has no place in a table.
fn decoder(kind: &Type) -> Option<Decoder> {
    Some(match *kind {
        Type::BOOL => Decoder::Boolean,
        Type::INT2 | Type::INT4 | Type::INT8 => Decoder::Integer,
        Type::OID => Decoder::Unsigned,
        Type::FLOAT4 | Type::FLOAT8 => Decoder::Float,
        Type::NUMERIC => Decoder::Numeric,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::CHAR | Type::UNKNOWN => Decoder::Text,
        Type::UUID => Decoder::Uuid,
        Type::DATE => Decoder::Date,
        Type::TIME => Decoder::Time,
        Type::TIMESTAMP => Decoder::Timestamp,
        Type::TIMESTAMPTZ => Decoder::TimestampInUtc,
        ref other => match other.kind() {
            Kind::Enum(_) => Decoder::Text,
            Kind::Domain(inner) => return decoder(inner),
            _ => return None,
        },
    })
}

enum Undecoded {
    /// The value is wrong.
    Value(Error),
    /// It could not be written, which has its place already.
    Written(Error),
}

fn decode(
    decoder: Decoder,
    bytes: &[u8],
    mut take: impl FnMut(Value<'_>) -> Result<()>,
) -> std::result::Result<(), Undecoded> {
    let malformed = || {
        let message = format!("the server sent {} bytes that are no value of this type", bytes.len());
        Undecoded::Value(Error::new(ErrorCode::BadData, message))
    };
    let value = match decoder {
        Decoder::Boolean => Value::Boolean(*bytes.first().ok_or_else(malformed)? != 0),
        Decoder::Integer => Value::Integer(integer(bytes).ok_or_else(malformed)?.into()),
        Decoder::Unsigned => Value::Integer(u32::from_be_bytes(bytes.try_into().map_err(|_| malformed())?).into()),
        Decoder::Float => Value::Float(match bytes.len() {
            4 => f32::from_be_bytes(bytes.try_into().map_err(|_| malformed())?).into(),
            _ => f64::from_be_bytes(bytes.try_into().map_err(|_| malformed())?),
        }),
        Decoder::Text => Value::Text(std::str::from_utf8(bytes).map_err(|_| malformed())?),
        Decoder::Numeric => {
            return take(Value::Decimal(&numeric(bytes).ok_or_else(malformed)?)).map_err(Undecoded::Written);
        }
        Decoder::Uuid => {
            let bytes: [u8; 16] = bytes.try_into().map_err(|_| malformed())?;
            return take(Value::Text(&uuid(u128::from_be_bytes(bytes)))).map_err(Undecoded::Written);
        }
        Decoder::Date | Decoder::Time | Decoder::Timestamp | Decoder::TimestampInUtc => {
            let count = integer(bytes).ok_or_else(malformed)?;
            let text = moment(decoder, count).map_err(Undecoded::Value)?;
            return take(Value::Text(&text)).map_err(Undecoded::Written);
        }
    };
    take(value).map_err(Undecoded::Written)
}

fn integer(bytes: &[u8]) -> Option<i64> {
    Some(match bytes.len() {
        2 => i16::from_be_bytes(bytes.try_into().ok()?).into(),
        4 => i32::from_be_bytes(bytes.try_into().ok()?).into(),
        8 => i64::from_be_bytes(bytes.try_into().ok()?),
        _ => return None,
    })
}

fn moment(decoder: Decoder, count: i64) -> Result<String> {
    // "infinity" and "-infinity" are the ends of the range, and no moments.
    let since_1970 = |count: i64, shift: i64| count.checked_add(shift).unwrap_or(i64::MAX);
    match decoder {
        Decoder::Date => date(since_1970(count, TO_2000)),
        Decoder::Time => Ok(time(count)),
        Decoder::Timestamp => timestamp(since_1970(count, MICROSECONDS_TO_2000)),
        _ => Ok(format!("{}Z", timestamp(since_1970(count, MICROSECONDS_TO_2000))?)),
    }
}

fn uuid(value: u128) -> String {
    let digits = format!("{value:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// The binary form of a NUMERIC: how many digits to the base of 10,000, the power of the first one, the sign, how many
/// decimal digits after the point are shown, then the digits.
fn numeric(bytes: &[u8]) -> Option<String> {
    let field = |place: usize| Some(u16::from_be_bytes(bytes.get(2 * place..2 * place + 2)?.try_into().ok()?));
    let (count, weight, sign, scale) = (field(0)?, field(1)?.cast_signed(), field(2)?, field(3)?);
    let mut text = match sign {
        0x0000 => String::new(),
        0x4000 => "-".to_owned(),
        0xC000 => return Some("NaN".to_owned()),
        0xD000 => return Some("Infinity".to_owned()),
        0xF000 => return Some("-Infinity".to_owned()),
        _ => return None,
    };
    let digit = |power: i32| match usize::try_from(i32::from(weight) - power) {
        Ok(place) if place < usize::from(count) => field(4 + place),
        _ => Some(0),
    };
    text.push_str(&digit(i32::from(weight).max(0))?.to_string());
    for power in (0..i32::from(weight)).rev() {
        text.push_str(&format!("{:04}", digit(power)?));
    }
    if scale > 0 {
        text.push('.');
        let before = text.len();
        let groups = usize::from(scale).div_ceil(4);
        for group in 1..=groups {
            text.push_str(&format!("{:04}", digit(-i32::try_from(group).ok()?)?));
        }
        text.truncate(before + usize::from(scale));
    }
    Some(text)
}

/// The server's or the connection's error in our words.
fn explain(server: &Server, split: Option<Split>, rows: u64, source: tokio_postgres::Error) -> Error {
    let Some(database) = source.as_db_error() else {
        let cause = source.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        let text = format!("{source}{cause}");
        return if text.contains("password") {
            no_password(server)
        } else if split.is_some() {
            gone(server, rows, &text)
        } else {
            server
                .error(ErrorCode::Fetch, format!("cannot connect: {text}"))
                .fix("see whether the server is up, and whether host, port and sslmode are right")
        }
        .caused_by(source);
    };
    let code = database.code().code().to_owned();
    let message = format!("{}{} (SQLSTATE {code})", database.message(), position(database));
    let error = match code.get(..2).unwrap_or_default() {
        "28" => {
            let fix = "see whether the user and the password are right: PGPASSWORD, the file of PGPASSFILE, or `password_env`";
            server.error(ErrorCode::NotAllowed, message).fix(fix)
        }
        "3D" => server.error(ErrorCode::NotFound, message).fix("see whether the name of the database is right"),
        "57" | "08" | "XX" | "53" => gone(server, rows, &message),
        "25" => server.error(ErrorCode::NotAllowed, message).fix("write one SELECT; the database is only read"),
        "42" => match code.as_str() {
            "42501" => server
                .error(ErrorCode::NotAllowed, message)
                .fix(format!("grant SELECT to {}, or connect as another user", server.user)),
            "42P01" | "42703" | "3F000" => {
                server.error(ErrorCode::NotFound, message).fix("see whether the name is right")
            }
            _ => server.error(ErrorCode::Config, message).fix("mend the query; psql runs it as it is"),
        },
        _ => server.error(ErrorCode::BadData, message).fix("mend the query; psql runs it as it is"),
    };
    match split {
        Some(split) => error.at_key(super::query_key(split)),
        None => error,
    }
    .caused_by(source)
}

fn position(error: &DbError) -> String {
    match error.position() {
        Some(ErrorPosition::Original(place)) => format!(", at character {place} of the query"),
        _ => String::new(),
    }
}

fn no_password(server: &Server) -> Error {
    server
        .error(ErrorCode::NotAllowed, "the server asks for a password, and none was given")
        .fix("set PGPASSWORD, or name another variable with `password_env`")
}

fn gone(server: &Server, rows: u64, text: &str) -> Error {
    server
        .error(ErrorCode::Fetch, format!("the database went away after {rows} rows: {text}"))
        .fix("nothing was kept; run the same command again when it is back")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(weight: i16, sign: u16, scale: u16, digits: &[u16]) -> Vec<u8> {
        let head = [digits.len() as u16, weight.cast_unsigned(), sign, scale];
        head.iter().chain(digits).flat_map(|field| field.to_be_bytes()).collect()
    }

    #[test]
    fn the_binary_form_of_numeric_is_read() {
        for (bytes, text) in [
            (sent(0, 0, 0, &[]), "0"),
            (sent(0, 0, 2, &[]), "0.00"),
            (sent(0, 0x4000, 2, &[12, 3400]), "-12.34"),
            (sent(1, 0, 0, &[1, 5]), "10005"),
            (sent(2, 0, 0, &[1]), "100000000"),
            (sent(-1, 0, 4, &[1]), "0.0001"),
            (sent(-2, 0, 6, &[1200]), "0.000012"),
            (sent(0, 0xC000, 0, &[]), "NaN"),
            (sent(0, 0xF000, 0, &[]), "-Infinity"),
        ] {
            assert_eq!(numeric(&bytes).as_deref(), Some(text));
        }
        assert_eq!(numeric(&sent(0, 0x1234, 0, &[])), None);
        assert_eq!(numeric(&[0, 1, 0]), None);
        assert_eq!(numeric(&sent(0, 0, 0, &[7])[..8]), None, "a digit is missing");
    }

    #[test]
    fn lying_lengths_are_refused() {
        for (decoder, bytes) in [
            (Decoder::Integer, &[0_u8; 3][..]),
            (Decoder::Float, &[0; 5]),
            (Decoder::Uuid, &[0; 15]),
            (Decoder::Boolean, &[]),
            (Decoder::Text, &[0xff]),
            (Decoder::Date, &[0; 1]),
        ] {
            assert!(matches!(decode(decoder, bytes, |_| Ok(())), Err(Undecoded::Value(_))), "{decoder:?}");
        }
        assert!(moment(Decoder::Timestamp, i64::MAX).is_err(), "infinity is no moment");
        assert!(moment(Decoder::Date, i32::MIN.into()).is_err());
    }
}
