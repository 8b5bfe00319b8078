//! Objects of S3 (and what speaks its protocol), Google Cloud Storage or Azure Blob Storage, each into a file of the
//! scratch folder: one by its name, or all of a folder that fit a pattern. Keys come from the environment by way of [`super::Access`]; no service of the network is asked for any.

use super::download::{Sink, path};
use super::http::Client;
use super::location::{Object, key};
use super::tls::Tls;
use super::wait::{STALL, block_on, within};
use super::{Access, Origin, Part, StagedFile, Staging};
use crate::paths::fits_pattern;
use futures_util::StreamExt;
use http_body_util::BodyExt;
use lepton_core::{Digest, Error, ErrorCode, Result, Split};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use percent_encoding::percent_decode_str;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How often a request is tried again, and for how long in all.
const RETRIES: usize = 2;
const RETRY_TIME: Duration = Duration::from_secs(30);

/// More objects than a pattern can mean by intent.
const MOST_OBJECTS: usize = 10_000;

/// The objects of `part`: one, or those that fit its pattern, in the order of their names.
pub(super) fn fetch(
    part: &Part,
    object: &Object,
    tls: &Tls,
    staging: &Staging<'_>,
) -> Result<Vec<(StagedFile, Origin)>> {
    let placed = |error: Error| error.in_file(object.url.as_str()).at_key(key(part.split));
    let store = store(&object.url, tls, staging.access).map_err(placed)?;
    if !object.is_pattern() {
        return Ok(vec![fetch_one(part.split, object, path(part, staging.folder), store.as_ref(), staging)?]);
    }
    let names = block_on(staging.cancel, list(store.as_ref(), &object.url, staging)).map_err(placed)?;
    let mut fetched = Vec::with_capacity(names.len());
    let mut bytes = 0;
    for (place, name) in names.iter().enumerate() {
        let mut url = object.url.clone();
        // A percent sign of the name is none of the URL.
        url.set_path(&format!("/{}", name.replace('%', "%25")));
        let path = staging.folder.join(format!("{}-{place:05}.{}", part.split, part.extension));
        let one = fetch_one(part.split, &Object { url, sha256: None }, path, store.as_ref(), staging)?;
        bytes += one.1.bytes;
        super::download::check(bytes, staging).map_err(placed)?;
        fetched.push(one);
    }
    Ok(fetched)
}

/// The names of the objects in the pattern's folder that fit it, in order.
async fn list(store: &dyn ObjectStore, url: &Url, staging: &Staging<'_>) -> Result<Vec<String>> {
    let (folder, pattern) = url.path().rsplit_once('/').unwrap_or(("", url.path()));
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let wrong = |source: object_store::path::Error| {
        Error::new(ErrorCode::Config, format!("this is not the name of a folder: {source}"))
    };
    let prefix = object_store::path::Path::from_url_path(folder).map_err(wrong)?;
    staging.cancel.check()?;
    let listed = within(10 * STALL, "the list of objects", store.list_with_delimiter(Some(&prefix))).await?;
    let pattern = decoded(pattern);
    let fits = |name: &str| fits_pattern(&pattern, name);
    let mut names = Vec::new();
    for object in listed.map_err(explain)?.objects {
        if object.location.filename().map(fits).transpose()?.unwrap_or(false) {
            names.push(object.location.to_string());
        }
    }
    names.sort_unstable();
    match names.len() {
        0 => Err(Error::new(ErrorCode::NotFound, "no object fits this pattern")
            .fix("`*` stands for any text inside of the last part of the name; folders below are not looked into")),
        count if count > MOST_OBJECTS => Err(Error::new(
            ErrorCode::TooLarge,
            format!("{count} objects fit this pattern, at most {MOST_OBJECTS} are read"),
        )
        .fix("name fewer, or several parts")),
        _ => Ok(names),
    }
}

fn fetch_one(
    split: Split,
    object: &Object,
    path: PathBuf,
    store: &dyn ObjectStore,
    staging: &Staging<'_>,
) -> Result<(StagedFile, Origin)> {
    let url = &object.url;
    let placed = |error: Error| error.in_file(url.as_str()).at_key(key(split));
    let fetched = block_on(staging.cancel, read(store, url, &path, staging));
    let (sha256, bytes, etag) = fetched.map_err(placed)?;
    if let Some(expected) = object.sha256.filter(|expected| *expected != sha256) {
        let message = format!("the object has sha256 {sha256}, the settings say {expected}");
        return Err(placed(Error::new(ErrorCode::Integrity, message)).fix(
            "nothing of it was kept; see whether the object was changed, and by whom, before you change the hash",
        ));
    }
    let file = StagedFile { path, shown: url.to_string(), behind: Vec::new(), fresh: false };
    let origin = Origin::of_file(split, url, etag, bytes, sha256);
    Ok((file, origin))
}

async fn read(
    store: &dyn ObjectStore,
    url: &Url,
    path: &Path,
    staging: &Staging<'_>,
) -> Result<(Digest, u64, Option<String>)> {
    let place = object_store::path::Path::from_url_path(url.path())
        .map_err(|source| Error::new(ErrorCode::Config, format!("this is not the name of an object: {source}")))?;
    let found = within(2 * STALL, "asking for the object", store.get(&place)).await?.map_err(explain)?;
    let mut sink = Sink::create(path, url.as_str(), Some(found.meta.size), staging)?;
    let etag = found.meta.e_tag.clone();
    let mut pieces = found.into_stream();
    while let Some(piece) = within(2 * STALL, "the next piece of the object", pieces.next()).await? {
        sink.write(&piece.map_err(|source| sink.broken_off(&source))?)?;
    }
    let (sha256, bytes) = sink.finish()?;
    Ok((sha256, bytes, etag))
}

/// The store of a URL, configured by the variables that are usual for it.
fn store(url: &Url, tls: &Tls, access: &Access) -> Result<Arc<dyn ObjectStore>> {
    let bucket = url.host_str().unwrap_or_default();
    if bucket.is_empty() {
        return Err(
            Error::new(ErrorCode::Config, "the URL names no bucket").fix("write it as s3://bucket/folder/file.csv")
        );
    }
    let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_TIME, ..RetryConfig::default() };
    let variables = |start: &'static str| {
        access.variables.iter().filter(move |(name, _)| name.starts_with(start)).filter(|(_, value)| !value.is_empty())
    };
    let has = |name: &str| access.variables.get(name).is_some_and(|value| !value.is_empty());
    // Only on this machine may keys and data go without encryption.
    let is_near = endpoint(url.scheme(), access).is_some_and(|endpoint| is_loopback(&endpoint));
    let connector = Connector(Client::new(tls.clone(), hosts(url.scheme(), access)));
    let wrong =
        |source: object_store::Error| Error::new(ErrorCode::Config, format!("the store cannot be set up: {source}"));
    Ok(match url.scheme() {
        "s3" => {
            if !has("AWS_ACCESS_KEY_ID") && !has("AWS_SKIP_SIGNATURE") {
                return Err(no_keys("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", "AWS_SKIP_SIGNATURE"));
            }
            let mut builder = AmazonS3Builder::new();
            for (name, value) in variables("AWS_") {
                if let Ok(key) = name.to_ascii_lowercase().parse() {
                    builder = builder.with_config(key, value.expose());
                }
            }
            if is_near {
                builder = builder.with_allow_http(true);
            }
            let builder = builder.with_bucket_name(bucket).with_retry(retry).with_http_connector(connector);
            Arc::new(builder.build().map_err(wrong)?)
        }
        "gs" => {
            let known = ["GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS"];
            if !known.iter().any(|name| has(name)) && !has("GOOGLE_SKIP_SIGNATURE") {
                return Err(no_keys(
                    "GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT_KEY",
                    "GOOGLE_SKIP_SIGNATURE",
                ));
            }
            let mut builder = GoogleCloudStorageBuilder::new();
            for (name, value) in variables("GOOGLE_") {
                if let Ok(key) = name.to_ascii_lowercase().parse() {
                    builder = builder.with_config(key, value.expose());
                }
            }
            let builder = builder.with_bucket_name(bucket).with_retry(retry).with_http_connector(connector);
            Arc::new(builder.build().map_err(wrong)?)
        }
        _ => {
            let known = ["AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_CLIENT_SECRET"];
            if !known.iter().any(|name| has(name)) && !has("AZURE_SKIP_SIGNATURE") {
                let keys = "AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN";
                return Err(no_keys(keys, "AZURE_SKIP_SIGNATURE"));
            }
            let mut builder = MicrosoftAzureBuilder::new();
            for (name, value) in variables("AZURE_") {
                if let Ok(key) = name.to_ascii_lowercase().parse() {
                    builder = builder.with_config(key, value.expose());
                }
            }
            if is_near {
                builder = builder.with_allow_http(true);
            }
            let builder = builder.with_container_name(bucket).with_retry(retry).with_http_connector(connector);
            Arc::new(builder.build().map_err(wrong)?)
        }
    })
}

fn no_keys(keys: &str, anonymous: &str) -> Error {
    Error::new(ErrorCode::NotAllowed, "there are no keys for this store in the environment")
        .fix(format!("set {keys}, or {anonymous}=true for what everybody may read"))
}

/// The server that the environment names in place of Amazon's, Google's or Microsoft's.
fn endpoint(scheme: &str, access: &Access) -> Option<Url> {
    let names: &[&str] = match scheme {
        "s3" => &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"],
        "gs" => &["GOOGLE_BASE_URL"],
        _ => &["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"],
    };
    names.iter().find_map(|name| Url::parse(access.variables.get(*name)?.expose()).ok())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The hosts that need not have a public address: those that the person allowed, and the server that the person's
/// environment names.
fn hosts(scheme: &str, access: &Access) -> Vec<String> {
    let named = endpoint(scheme, access).and_then(|url| Some(url.host_str()?.trim_matches(['[', ']']).to_owned()));
    access.hosts.iter().cloned().chain(named).collect()
}

/// Gives the store our own HTTP.
#[derive(Debug)]
struct Connector(Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service(self.0.clone())))
    }
}

#[derive(Debug)]
struct Service(Client);

#[async_trait::async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = self.0.send(request).await.map_err(|error| {
            let kind = match error.code() {
                ErrorCode::Fetch => HttpErrorKind::Connect,
                ErrorCode::Timeout => HttpErrorKind::Timeout,
                _ => HttpErrorKind::Unknown,
            };
            HttpError::new(kind, error)
        })?;
        let (head, body) = response.into_parts();
        let body = body.map_err(|source| HttpError::new(HttpErrorKind::Interrupted, source));
        Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body)))
    }
}

/// The store's error in our words; an error of our own inside it stands for it.
fn explain(source: object_store::Error) -> Error {
    let mut inner: Option<&(dyn std::error::Error + 'static)> = Some(&source);
    while let Some(error) = inner {
        if let Some(ours) = error.downcast_ref::<Error>() {
            let copy = Error::new(ours.code(), ours.message());
            return match ours.remedy() {
                Some(remedy) => copy.fix(remedy),
                None => copy,
            };
        }
        inner = error.source();
    }
    let (code, fix) = match &source {
        object_store::Error::NotFound { .. } => (ErrorCode::NotFound, "see whether bucket and name are right"),
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            (ErrorCode::NotAllowed, "see whether the keys in the environment are right, and may read this object")
        }
        _ => (ErrorCode::Fetch, "see whether the store can be reached, then run the same command again"),
    };
    Error::new(code, first_line(&source.to_string())).fix(fix).caused_by(source)
}

/// Stores answer with whole pages of XML; the first line says what happened.
fn first_line(text: &str) -> String {
    const SHOWN: usize = 300;
    text.lines().next().unwrap_or_default().chars().take(SHOWN).collect()
}
