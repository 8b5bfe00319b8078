//! Databases: which server a URL names, and running the queries of all parts in one read-only transaction.
//!
//! Rows are written to JSON lines as they come, so memory does not grow with their number. What a value of each type
//! becomes is said in docs/adding-a-source.md and decided in `sqlite`, `postgres` and `mysql`.

mod calendar;
mod mysql;
mod postgres;
mod rows;
mod sqlite;

use super::location::{Location, Query};
use super::{Origin, Part, StagedFile, Staging, tls};
use crate::settings::CollectSettings;
use lepton_core::{Error, ErrorCode, Result, Secret, Split};
use percent_encoding::percent_decode_str;
use rows::Rows;
use std::path::{Path, PathBuf};
use url::{Host, Url};

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Postgres,
    MySql,
}

/// A server that a URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    kind: Kind,
    host: String,
    port: u16,
    user: String,
    database: String,
    /// The folder (PostgreSQL, where the port tells which) or file (MySQL) of a socket, over which the host is reached.
    socket: Option<PathBuf>,
    /// Whether the connection is encrypted.
    encrypted: bool,
}

impl Server {
    /// The server of `postgres://user@host:port/database?sslmode=...` or `mysql://...`. A connection that leaves the
    /// machine is encrypted unless `sslmode=disable` says that it must not be.
    pub(super) fn parse(text: &str) -> Result<Server> {
        let wrong = |message: &str| Error::new(ErrorCode::Config, message).at_key("collect.database");
        let form = "write it as postgres://user@host:port/name or mysql://user@host:port/name";
        let url = Url::parse(text).map_err(|_| wrong("this is not the URL of a database").fix(form))?;
        let kind = match url.scheme() {
            "postgres" | "postgresql" => Kind::Postgres,
            "mysql" | "mariadb" => Kind::MySql,
            _ => return Err(wrong("the URL's scheme is none of postgres, postgresql, mysql and mariadb").fix(form)),
        };
        if url.password().is_some() {
            return Err(wrong("the password must not stand in the file").fix(
                "take it out of the URL, and name the variable of the environment that holds it: password_env = \"NAME\"",
            ));
        }
        let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let user = decoded(url.username());
        let database = decoded(url.path().trim_start_matches('/'));
        if user.is_empty() || database.is_empty() {
            return Err(wrong("the URL must name a user and a database").fix(form));
        }
        let host = match url.host() {
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(host) => decoded(&host.to_string()),
            None => String::new(),
        };
        let (mut socket, mut mode) = (None, None);
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "socket" if value.starts_with('/') => socket = Some(PathBuf::from(value.as_ref())),
                "sslmode" if ["disable", "verify-full"].contains(&value.as_ref()) => mode = Some(value.into_owned()),
                "sslmode" => {
                    let message = format!("sslmode={value} is not supported");
                    return Err(wrong(&message).fix("it is verify-full (encrypted and checked) or disable"));
                }
                _ => {
                    let message = format!("the URL's parameter \"{name}\" is not supported");
                    return Err(wrong(&message).fix("the parameters are sslmode, and socket with an absolute path"));
                }
            }
        }
        if host.is_empty() {
            return Err(wrong("the URL must name a host").fix(form));
        }
        let here = socket.is_some() || is_loopback(&host);
        let port = url.port().unwrap_or(match kind {
            Kind::Postgres => 5432,
            Kind::MySql => 3306,
        });
        let encrypted = mode.map_or(!here, |mode| mode == "verify-full");
        Ok(Server { kind, host, port, user, database, socket, encrypted })
    }

    /// The name of the database.
    pub(super) fn database(&self) -> &str {
        &self.database
    }

    /// As people may see it.
    pub(super) fn shown(&self) -> String {
        let scheme = match self.kind {
            Kind::Postgres => "postgres",
            Kind::MySql => "mysql",
        };
        let Server { user, database, port, .. } = self;
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let socket = self.socket.as_ref().map(|path| format!("?socket={}", path.display())).unwrap_or_default();
        format!("{scheme}://{user}@{host}:{port}/{database}{socket}")
    }

    /// An error about this server.
    fn error(&self, code: ErrorCode, message: impl Into<String>) -> Error {
        Error::new(code, message).in_file(self.shown())
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// One query, ready to be run.
struct Job<'a> {
    split: Split,
    query: &'a Query,
    path: PathBuf,
}

/// What is known of a connection when its queries were run.
struct Answer {
    /// `sqlite`, `postgresql`, `mysql` or `mariadb`.
    kind: &'static str,
    version: String,
    /// Of each job: the text that was run, and what came.
    results: Vec<(String, Rows)>,
}

/// Runs the queries, all in one connection.
pub(super) fn run(
    parts: &[&Part],
    settings: &CollectSettings,
    base: &Path,
    staging: &Staging<'_>,
) -> Result<Vec<(Split, StagedFile, Origin)>> {
    let mut jobs = Vec::new();
    let (mut server, mut file) = (None, None);
    for part in parts {
        let query = match &part.location {
            Location::Sqlite { path, query } => {
                file = Some(base.join(path));
                query
            }
            Location::Server(asked) => {
                server = Some(&asked.server);
                &asked.query
            }
            _ => return Err(Error::internal("a file is not a query")),
        };
        jobs.push(Job { split: part.split, query, path: staging.folder.join(format!("{}.jsonl", part.split)) });
    }
    let (shown, behind, answer) = match (server, file) {
        (Some(server), _) => {
            let access = staging.access;
            let variable = match server.kind {
                Kind::Postgres => "PGPASSWORD",
                Kind::MySql => "MYSQL_PWD",
            };
            let mut password = access.password(settings.password_env.as_deref(), variable)?;
            if password.is_none() && server.kind == Kind::Postgres {
                password = access.password_of_file(&server.host, server.port, &server.database, &server.user);
            }
            let tls = tls::configuration(settings.tls_ca.as_ref().map(|file| base.join(file)).as_deref())?;
            let answer = ask(server, password, tls, &jobs, settings, staging)?;
            (server.shown(), Vec::new(), answer)
        }
        (None, Some(file)) => {
            let (answer, behind) = sqlite::run(&file, &jobs, settings, staging)?;
            (file.display().to_string(), behind, answer)
        }
        (None, None) => return Err(Error::internal("a query without a database")),
    };
    let staged = jobs.into_iter().zip(answer.results).map(|(job, (query, rows))| {
        let file = StagedFile { path: job.path, shown: shown.clone(), behind: behind.clone(), fresh: false };
        let origin = Origin {
            split: job.split,
            kind: answer.kind.to_owned(),
            location: shown.clone(),
            version: Some(answer.version.clone()),
            query: Some(query),
            etag: None,
            bytes: rows.bytes,
            sha256: rows.sha256,
        };
        (job.split, file, origin)
    });
    Ok(staged.collect())
}

fn ask(
    server: &Server,
    password: Option<Secret>,
    tls: tls::Tls,
    jobs: &[Job<'_>],
    settings: &CollectSettings,
    staging: &Staging<'_>,
) -> Result<Answer> {
    let work = async {
        match server.kind {
            Kind::Postgres => postgres::run(server, password, tls, jobs, settings, staging).await,
            Kind::MySql => mysql::run(server, password, tls, jobs, settings, staging).await,
        }
    };
    super::wait::block_on(staging.cancel, work)
}

/// The error for a statement that gives no rows.
fn not_a_query(error: Error, split: Split) -> Error {
    error.at_key(query_key(split)).fix("write one SELECT; the database is only read")
}

/// The error for a column that has no place in a table.
fn unsupported(error: Error, column: &str) -> Error {
    error
        .at_column(column)
        .fix("convert it in the query (to text, a number, or several columns), or leave it out with `ignore`")
}

fn query_key(split: Split) -> &'static str {
    match split {
        Split::Train => "collect.query",
        Split::Valid => "collect.valid_query",
        Split::Test => "collect.test_query",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_server_and_never_a_password() {
        let server = Server::parse("postgresql://ann%40shop@db.example.org/sales").unwrap();
        assert_eq!((server.user.as_str(), server.port, server.encrypted), ("ann@shop", 5432, true));
        assert_eq!(server.shown(), "postgres://ann@shop@db.example.org:5432/sales");
        let here = Server::parse("mariadb://ann@127.0.0.1:3307/sales").unwrap();
        assert_eq!((here.kind, here.port, here.encrypted), (Kind::MySql, 3307, false));
        assert!(Server::parse("mysql://ann@[::1]/sales?sslmode=verify-full").unwrap().encrypted);
        assert!(!Server::parse("mysql://ann@db.example.org/sales?sslmode=disable").unwrap().encrypted);
        let socket = Server::parse("postgres://ann@localhost/sales?socket=/run/postgresql").unwrap();
        assert_eq!(socket.socket.as_deref(), Some(Path::new("/run/postgresql")));
        for (text, says) in [
            ("postgres://ann:hunter2@db/sales", "must not stand in the file"),
            ("oracle://ann@db/sales", "scheme"),
            ("db/sales", "not the URL"),
            ("postgres://db/sales", "a user and a database"),
            ("postgres://ann@db", "a user and a database"),
            ("postgres:///sales", "a user and a database"),
            ("postgres://ann@db/sales?sslmode=prefer", "sslmode=prefer"),
            ("postgres://ann@db/sales?options=-c", "\"options\""),
            ("postgres://ann@db/sales?socket=run", "\"socket\""),
        ] {
            let error = Server::parse(text).unwrap_err();
            assert_eq!((error.code(), error.place().key.as_deref()), (ErrorCode::Config, Some("collect.database")));
            assert!(error.to_string().contains(says) && !error.to_string().contains("hunter2"), "{error}");
        }
    }
}
