//! What the settings name: a local path, a download, an object, a query of a SQLite file or of a server. Settings that
//! do not go together are refused here, each by its key.

use super::Part;
use super::database::Server;
use crate::paths::Paths;
use crate::scan::TableFormat;
use crate::settings::CollectSettings;
use lepton_core::{Digest, Error, ErrorCode, Result, Split};
use percent_encoding::percent_decode_str;
use std::path::{Path, PathBuf};
use url::Url;

/// Where one part is.
pub(super) enum Location {
    Local(Paths),
    Download { url: Url, sha256: Digest },
    Object(Object),
    Sqlite { path: PathBuf, query: Query },
    Server(ServerQuery),
}

/// An object of a store.
pub(super) struct Object {
    /// As the person wrote it.
    pub(super) url: Url,
    pub(super) sha256: Option<Digest>,
}

impl Object {
    /// Whether it means all objects of a folder whose names fit.
    pub(super) fn is_pattern(&self) -> bool {
        self.url.path_segments().and_then(|mut parts| parts.next_back()).is_some_and(|last| last.contains('*'))
    }
}

/// What is asked of a database.
#[derive(Clone, Debug)]
pub(super) enum Query {
    /// A SELECT, as the person wrote it.
    Text(String),
    /// All of a table, `name` or `schema.name`.
    Table(String),
}

impl Query {
    /// As SQL; a table's name is quoted by this character.
    pub(super) fn text(&self, quote: char) -> String {
        match self {
            Query::Text(text) => text.trim().trim_end_matches(';').trim_end().to_owned(),
            Query::Table(name) => {
                let quoted = |part: &str| format!("{quote}{}{quote}", part.replace(quote, &format!("{quote}{quote}")));
                format!("SELECT * FROM {}", name.split('.').map(quoted).collect::<Vec<_>>().join("."))
            }
        }
    }
}

/// A query and whom it is asked of.
pub(super) struct ServerQuery {
    pub(super) server: Server,
    pub(super) query: Query,
}

impl ServerQuery {
    /// The server as people may see it.
    pub(super) fn shown(&self) -> String {
        self.server.shown()
    }
}

/// The setting that names a part.
pub(super) fn key(split: Split) -> &'static str {
    match split {
        Split::Train => "collect.path",
        Split::Valid => "collect.valid",
        Split::Test => "collect.test",
    }
}

/// Ends of the names of SQLite files.
const SQLITE: [&str; 4] = ["sqlite", "sqlite3", "db", "db3"];

/// Whether a file's name says that it is a SQLite database.
pub fn is_database_file(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| SQLITE.contains(&extension.as_str()))
}

/// Whether `path` is read as SQLite: by its name, or because a query is set.
pub(super) fn is_sqlite(settings: &CollectSettings) -> bool {
    let asks = settings.query.is_some() || settings.table.is_some();
    settings.path.as_ref().and_then(Paths::one).is_some_and(|path| asks || is_database_file(path))
}

fn clash(key: &'static str, message: &str, remedy: &str) -> Error {
    Error::new(ErrorCode::Config, message).at_key(key).fix(remedy)
}

/// The first of the settings that is set is refused.
fn refuse(set: &[(&'static str, bool)], message: &str, remedy: &str) -> Result<()> {
    match set.iter().find(|(_, set)| *set) {
        Some((key, _)) => Err(clash(key, message, remedy)),
        None => Ok(()),
    }
}

fn database_keys(settings: &CollectSettings) -> [(&'static str, bool); 5] {
    [
        ("collect.query", settings.query.is_some()),
        ("collect.valid_query", settings.valid_query.is_some()),
        ("collect.test_query", settings.test_query.is_some()),
        ("collect.table", settings.table.is_some()),
        ("collect.password_env", settings.password_env.is_some()),
    ]
}

fn hash_keys(settings: &CollectSettings) -> [(&'static str, bool); 3] {
    [
        ("collect.sha256", settings.sha256.is_some()),
        ("collect.valid_sha256", settings.valid_sha256.is_some()),
        ("collect.test_sha256", settings.test_sha256.is_some()),
    ]
}

/// A dataset of the catalogue takes none of the settings of other sources.
pub(super) fn refuse_remote_keys(settings: &CollectSettings) -> Result<()> {
    let (message, remedy) = ("this setting is not for a dataset of the catalogue", "remove it, or `dataset`");
    refuse(&[("collect.database", settings.database.is_some())], message, remedy)?;
    refuse(&database_keys(settings), message, remedy)?;
    refuse(&hash_keys(settings), message, remedy)?;
    refuse(&[("collect.tls_ca", settings.tls_ca.is_some())], message, remedy)
}

/// The queries of a database, by part.
pub(super) fn queries(settings: &CollectSettings) -> Result<Vec<Part>> {
    let not_for_databases = [
        ("collect.format", settings.format.is_some()),
        ("collect.delimiter", settings.delimiter.is_some()),
        ("collect.encoding", settings.encoding.is_some()),
    ];
    refuse(&not_for_databases, "this setting is for files of text; this source is a database", "remove it")?;
    refuse(&hash_keys(settings), "this setting is for downloads; this source is a database", "remove it")?;
    let parts = [("collect.valid", settings.valid.is_some()), ("collect.test", settings.test.is_some())];
    refuse(&parts, "the parts of a database are queries", "use `valid_query` and `test_query`")?;
    let train = match (&settings.query, &settings.table) {
        (Some(_), Some(_)) => {
            return Err(clash("collect.table", "`query` and `table` cannot both be set", "remove one of the two"));
        }
        (Some(query), None) => Query::Text(query.clone()),
        (None, Some(table)) => Query::Table(table.clone()),
        (None, None) => {
            let message = "a database needs `query` or `table`";
            return Err(clash("collect.query", message, "set `query = \"select ...\"` or `table = \"name\"`"));
        }
    };
    let mut asked = vec![(Split::Train, train)];
    asked.extend(settings.valid_query.clone().map(|query| (Split::Valid, Query::Text(query))));
    asked.extend(settings.test_query.clone().map(|query| (Split::Test, Query::Text(query))));
    let located: Box<dyn Fn(Query) -> Location> = match (&settings.database, &settings.path) {
        (Some(_), Some(_)) => {
            let message = "`database` and `path` cannot both be set";
            return Err(clash("collect.database", message, "remove one of the two; a SQLite file is a `path`"));
        }
        (Some(database), None) => {
            let server = Server::parse(database)?;
            Box::new(move |query| Location::Server(ServerQuery { server: server.clone(), query }))
        }
        (None, path) => {
            let path = path.as_ref().and_then(Paths::one).map(Path::to_path_buf).unwrap_or_default();
            let text = path.to_string_lossy();
            if TableFormat::of(&path).is_some() || text.contains("://") {
                let message = "`query` and `table` are for databases; this is a file of another kind";
                return Err(clash("collect.query", message, "remove it, or name a SQLite file").in_file(&path));
            }
            let keys = [
                ("collect.password_env", settings.password_env.is_some()),
                ("collect.tls_ca", settings.tls_ca.is_some()),
            ];
            refuse(&keys, "this setting is for servers; this source is a SQLite file", "remove it")?;
            Box::new(move |query| Location::Sqlite { path: path.clone(), query })
        }
    };
    let name = match (&settings.table, &settings.database, &settings.path) {
        (Some(table), ..) => table.clone(),
        (None, Some(database), _) => Server::parse(database)?.database().to_owned(),
        (None, None, path) => {
            let stem = path.as_ref().and_then(Paths::one).and_then(|path| path.file_stem());
            stem.map_or_else(|| "data".to_owned(), |stem| stem.to_string_lossy().into_owned())
        }
    };
    let part = |(split, query)| Part { split, location: located(query), name: name.clone(), extension: "jsonl".into() };
    Ok(asked.into_iter().map(part).collect())
}

/// The files, downloads and objects of the settings, by part.
pub(super) fn files(settings: &CollectSettings) -> Result<Vec<Part>> {
    refuse(&database_keys(settings), "this setting is for databases", "set `database`, or a SQLite file as `path`")?;
    let named = [
        (Split::Train, &settings.path, settings.sha256),
        (Split::Valid, &settings.valid, settings.valid_sha256),
        (Split::Test, &settings.test, settings.test_sha256),
    ];
    let mut parts = Vec::new();
    for ((split, path, sha256), (hash_key, _)) in named.into_iter().zip(hash_keys(settings)) {
        match path {
            Some(path) => parts.push(file(split, path, sha256, settings)?),
            None if sha256.is_some() => {
                return Err(clash(hash_key, "this is the hash of a part that is not named", "remove it"));
            }
            None => {}
        }
    }
    let secure = |part: &Part| matches!(part.location, Location::Download { .. } | Location::Object(_));
    if !parts.iter().any(secure) {
        refuse(&[("collect.tls_ca", settings.tls_ca.is_some())], "this setting is for servers", "remove it")?;
    }
    Ok(parts)
}

fn file(split: Split, paths: &Paths, sha256: Option<Digest>, settings: &CollectSettings) -> Result<Part> {
    let one = paths.one();
    let is_url = |path: &Path| path.to_string_lossy().contains("://");
    if one.is_none()
        && let Some(url) = paths.written().iter().find(|path| is_url(path))
    {
        let message = "a list of files cannot hold URLs";
        return Err(clash(key(split), message, "name one URL, or files of this machine").in_file(url));
    }
    let path = one.unwrap_or(Path::new(""));
    let text = path.to_string_lossy();
    let Some((scheme, _)) = text.split_once("://") else {
        if sha256.is_some() {
            let message = "a hash is named for downloads and objects; this is a file of this machine";
            return Err(clash(key(split), message, "remove the hash").in_file(path));
        }
        let location = Location::Local(paths.clone());
        return Ok(Part { split, location, name: String::new(), extension: String::new() });
    };
    let wrong = |message: String| Error::new(ErrorCode::Config, message).at_key(key(split));
    let url = Url::parse(&text).map_err(|source| wrong(format!("this is not a URL: {source}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("a user and a password must not stand in a URL".to_owned())
            .fix("use a link that needs none, or an object store, whose keys come from the environment"));
    }
    let location = match scheme {
        "https" | "http" => {
            let Some(sha256) = sha256 else {
                return Err(wrong(format!("a download needs the hash of what is expected: {url}")).fix(
                    "set `sha256` (for `valid` and `test`: `valid_sha256`, `test_sha256`) to the file's SHA-256",
                ));
            };
            Location::Download { url: url.clone(), sha256 }
        }
        "s3" | "gs" | "az" => Location::Object(Object { url: url.clone(), sha256 }),
        other => {
            return Err(wrong(format!("\"{other}\" is not a scheme that data can be read from"))
                .fix("use https://, s3://, gs://, az://, or `database` for postgres:// and mysql://"));
        }
    };
    let last = url.path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default().to_owned();
    if last.is_empty() {
        let fix = match &location {
            Location::Object(_) => format!("name one file, or a pattern such as {url}*.csv"),
            _ => "name one file".to_owned(),
        };
        return Err(wrong(format!("the URL names a folder, not a file: {url}")).fix(fix));
    }
    let stars = url.path().matches('*').count();
    if stars > 0 {
        let in_last = matches!(&location, Location::Object(object) if object.is_pattern());
        if !in_last || stars > last.matches('*').count() {
            return Err(wrong(format!("`*` stands in the last part of an object's name only: {url}"))
                .fix("name one file, or a pattern such as s3://bucket/folder/part-*.csv"));
        }
        if sha256.is_some() {
            return Err(clash(key(split), "a hash is of one object, and this is a pattern", "remove the hash"));
        }
    }
    let (name, extension) = name_and_extension(&last);
    let name = percent_decode_str(&name).decode_utf8_lossy().into_owned();
    let name = match name.contains('*') {
        true => name.replace('*', "").trim_matches(['-', '_', '.', ' ']).to_owned(),
        false => name,
    };
    let name = if name.is_empty() { "data".to_owned() } else { name };
    if extension.is_empty() && settings.format.is_none() {
        return Err(wrong(format!("the format cannot be told from the URL: {url}")).fix("set `format`"));
    }
    Ok(Part { split, location, name, extension })
}

/// `table` and `csv.gz` of `table.csv.gz`. An end that is not of a few letters is none: it becomes a file's name.
fn name_and_extension(last: &str) -> (String, String) {
    let (plain, packed) = match last.strip_suffix(".gz") {
        Some(plain) => (plain, ".gz"),
        None => (last, ""),
    };
    match plain.rsplit_once('.') {
        Some((stem, end))
            if !stem.is_empty() && end.len() <= 10 && end.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
        {
            (stem.to_owned(), format!("{}{packed}", end.to_lowercase()))
        }
        _ => (last.to_owned(), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(settings: &CollectSettings, key: &str, says: &str) {
        let error = super::super::plan(settings).err().unwrap_or_else(|| unreachable!("{settings:?} is accepted"));
        assert_eq!((error.code(), error.place().key.as_deref()), (ErrorCode::Config, Some(key)), "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    fn at(path: &str) -> CollectSettings {
        CollectSettings { path: Some(path.into()), ..Default::default() }
    }

    #[test]
    fn settings_that_do_not_go_together_are_refused_by_key() {
        let text = |text: &str| Some(text.to_owned());
        let hash = Some(Digest::of("x"));
        let server = CollectSettings { database: text("postgres://ann@db/shop"), ..Default::default() };
        let asked = CollectSettings { query: text("select 1"), ..server.clone() };
        for (settings, key, says) in [
            (server.clone(), "collect.query", "needs `query` or `table`"),
            (CollectSettings { table: text("t"), ..asked.clone() }, "collect.table", "cannot both be set"),
            (CollectSettings { path: Some("a.csv".into()), ..asked.clone() }, "collect.database", "cannot both be set"),
            (CollectSettings { delimiter: Some(';'), ..asked.clone() }, "collect.delimiter", "is a database"),
            (CollectSettings { sha256: hash, ..asked.clone() }, "collect.sha256", "for downloads"),
            (CollectSettings { test: Some("t.csv".into()), ..asked.clone() }, "collect.test", "`test_query`"),
            (CollectSettings { query: text("select 1"), ..at("a.csv") }, "collect.query", "another kind"),
            (CollectSettings { table: text("t"), tls_ca: Some("c".into()), ..at("a.db") }, "collect.tls_ca", "SQLite"),
            (at("a.sqlite"), "collect.query", "needs `query` or `table`"),
            (at("https://example.org/a.csv"), "collect.path", "`sha256`"),
            (at("https://ann:hunter2@example.org/a.csv"), "collect.path", "must not stand in a URL"),
            (at("ftp://example.org/a.csv"), "collect.path", "\"ftp\" is not a scheme"),
            (at("file:///etc/passwd"), "collect.path", "\"file\" is not a scheme"),
            (at("s3://bucket/folder/"), "collect.path", "names a folder"),
            (at("s3://bucket/table"), "collect.path", "set `format`"),
            (at("s3://bucket/*/table.csv"), "collect.path", "last part"),
            (at("https://example.org/*.csv"), "collect.path", "`sha256`"),
            (CollectSettings { sha256: hash, ..at("https://example.org/*.csv") }, "collect.path", "last part"),
            (CollectSettings { sha256: hash, ..at("s3://bucket/*.csv") }, "collect.path", "is a pattern"),
            (CollectSettings { sha256: hash, ..at("a.csv") }, "collect.path", "remove the hash"),
            (CollectSettings { test_sha256: hash, ..at("s3://b/a.csv") }, "collect.test_sha256", "not named"),
            (CollectSettings { password_env: text("X"), ..at("a.csv") }, "collect.password_env", "for databases"),
            (CollectSettings { tls_ca: Some("c".into()), ..at("a.csv") }, "collect.tls_ca", "for servers"),
            (
                CollectSettings { dataset: text("mnist"), query: text("select 1"), ..Default::default() },
                "collect.query",
                "catalogue",
            ),
        ] {
            refused(&settings, key, says);
        }
        assert!(super::super::plan(&at("a.csv")).unwrap().is_none(), "a local file needs no staging");
    }

    #[test]
    fn a_table_is_quoted_and_a_query_is_left_as_it_is() {
        let table = |name: &str, quote| Query::Table(name.to_owned()).text(quote);
        assert_eq!(table("shop.sold items", '"'), "SELECT * FROM \"shop\".\"sold items\"");
        assert_eq!(table("a\"; drop table b; --", '"'), "SELECT * FROM \"a\"\"; drop table b; --\"");
        assert_eq!(table("a`b", '`'), "SELECT * FROM `a``b`");
        assert_eq!(Query::Text(" select 1 ; ".into()).text('"'), "select 1");
    }

    #[test]
    fn the_end_of_a_url_becomes_a_safe_end_of_a_name() {
        for (last, name, extension) in [
            ("table.csv", "table", "csv"),
            ("table.TSV.gz", "table", "tsv.gz"),
            ("a.b.parquet", "a.b", "parquet"),
            ("table", "table", ""),
            ("x.c%2f..%2fv", "x.c%2f..%2fv", ""),
            (".csv", ".csv", ""),
        ] {
            assert_eq!(name_and_extension(last), (name.to_owned(), extension.to_owned()), "{last}");
        }
    }
}
