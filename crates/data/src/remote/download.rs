//! A download with a named hash: into a file of the scratch folder, hashed and counted on the way.

use super::http::Client;
use super::location::key;
use super::tls::Tls;
use super::wait::{STALL, block_on, within};
use super::{Origin, Part, StagedFile, Staging};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT_ENCODING, CONTENT_LENGTH, ETAG, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use lepton_core::{Digest, Error, ErrorCode, Event, Hasher, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use url::Url;

/// How often a page may send elsewhere.
const REDIRECTS: usize = 5;

/// Bytes between two reports of progress.
const REPORT: u64 = 1 << 20;

/// The file of `part` from `url`, or from an earlier download of the same hash.
pub(super) fn download(
    part: &Part,
    url: &Url,
    sha256: &Digest,
    tls: &Tls,
    staging: &Staging<'_>,
) -> Result<(StagedFile, Origin)> {
    let path = path(part, staging.folder);
    let (bytes, etag, fresh) = match (staging.kept)(sha256) {
        Some(kept) => {
            std::os::unix::fs::symlink(&kept, &path)
                .map_err(|source| Error::io("place the download", &path, source))?;
            let kept = std::fs::metadata(&kept).map_err(|source| Error::io("look at the download", &kept, source))?;
            (kept.len(), None, false)
        }
        None => {
            let client = Client::new(tls.clone(), staging.access.hosts.clone());
            let fetched = block_on(staging.cancel, fetch(&client, url, &path, staging));
            let (found, bytes, etag) = fetched.map_err(|error| error.in_file(url.as_str()).at_key(key(part.split)))?;
            if found != *sha256 {
                let message = format!("the download has sha256 {found}, the settings say {sha256}");
                return Err(Error::new(ErrorCode::Integrity, message)
                    .in_file(url.as_str())
                    .at_key(key(part.split))
                    .fix("nothing of it was kept; see whether the file was changed, and by whom, before you change the hash"));
            }
            (bytes, etag, true)
        }
    };
    let file = StagedFile { path, shown: url.to_string(), behind: Vec::new(), fresh };
    let origin = Origin::of_file(part.split, url, etag, bytes, *sha256);
    Ok((file, origin))
}

/// Where the file of a part lies: named by the part and by what tells its format.
pub(super) fn path(part: &Part, folder: &Path) -> PathBuf {
    match part.extension.as_str() {
        "" => folder.join(part.split.name()),
        extension => folder.join(format!("{}.{extension}", part.split)),
    }
}

async fn fetch(
    client: &Client,
    url: &Url,
    path: &Path,
    staging: &Staging<'_>,
) -> Result<(Digest, u64, Option<String>)> {
    let response = follow(client, url).await?;
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let etag = header(ETAG).map(str::to_owned);
    let length: Option<u64> = header(CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let mut sink = Sink::create(path, url.as_str(), length, staging)?;
    let mut body = response.into_body();
    while let Some(frame) = within(STALL, "the next piece of the download", body.frame()).await? {
        let frame = frame.map_err(|source| sink.broken_off(&source))?;
        if let Some(piece) = frame.data_ref() {
            sink.write(piece)?;
        }
    }
    let (digest, bytes) = sink.finish()?;
    Ok((digest, bytes, etag))
}

/// The answer at the end of the redirects. A redirect goes to the same scheme, or from http to https, and each address
/// is judged like the first.
async fn follow(client: &Client, url: &Url) -> Result<Response<Incoming>> {
    let mut url = url.clone();
    for _ in 0..=REDIRECTS {
        let request = Request::get(url.as_str())
            .header(ACCEPT_ENCODING, "identity")
            .header(USER_AGENT, concat!("lepton/", env!("CARGO_PKG_VERSION")))
            .body(Empty::<Bytes>::new())
            .map_err(|source| Error::new(ErrorCode::Config, format!("{url} cannot be asked for: {source}")))?;
        let response = client.send(request).await?;
        let status = response.status();
        if status.is_success() {
            return match status {
                StatusCode::OK => Ok(response),
                _ => {
                    Err(Error::new(ErrorCode::Fetch, format!("the server answers {status}, which is not a whole file")))
                }
            };
        }
        if !status.is_redirection() {
            return Err(refusal(status));
        }
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let next = location.and_then(|location| url.join(location).ok());
        let Some(next) = next else {
            return Err(Error::new(ErrorCode::Fetch, format!("the server answers {status} and does not say where to")));
        };
        let same = next.scheme() == url.scheme() || (url.scheme() == "http" && next.scheme() == "https");
        if !same || !next.username().is_empty() || next.password().is_some() {
            let message =
                format!("the server sends from {} to \"{}:\", which is not followed", url.scheme(), next.scheme());
            return Err(Error::new(ErrorCode::NotAllowed, message).fix("name the URL at which the file really is"));
        }
        url = next;
    }
    Err(Error::new(ErrorCode::Fetch, format!("the server sends elsewhere more than {REDIRECTS} times")))
}

fn refusal(status: StatusCode) -> Error {
    let (code, fix) = match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => (ErrorCode::NotFound, "see whether the URL is right"),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            (ErrorCode::NotAllowed, "downloads are anonymous; use a link that needs no login")
        }
        _ => (ErrorCode::Fetch, "run the same command again later"),
    };
    Error::new(code, format!("the server answers {status}")).fix(fix)
}

/// Bytes that come, into a file, hashed and counted against the limit. On an error the file is removed.
pub(super) struct Sink<'a> {
    file: BufWriter<File>,
    path: PathBuf,
    shown: String,
    hasher: Hasher,
    bytes: u64,
    reported: u64,
    total: Option<u64>,
    whole: bool,
    staging: &'a Staging<'a>,
}

impl<'a> Sink<'a> {
    /// A sink for `total` bytes, where that is known.
    pub(super) fn create(path: &Path, shown: &str, total: Option<u64>, staging: &'a Staging<'a>) -> Result<Sink<'a>> {
        if let Some(total) = total {
            check(total, staging)?;
        }
        let file = File::create_new(path).map_err(|source| Error::io("write the download", path, source))?;
        let sink = Sink {
            file: BufWriter::with_capacity(1 << 18, file),
            path: path.to_path_buf(),
            shown: shown.to_owned(),
            hasher: Hasher::default(),
            bytes: 0,
            reported: 0,
            total,
            whole: false,
            staging,
        };
        sink.report();
        Ok(sink)
    }

    pub(super) fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.staging.cancel.check()?;
        self.bytes += piece.len() as u64;
        check(self.bytes, self.staging)?;
        self.hasher.update(piece);
        self.file.write_all(piece).map_err(|source| Error::io("write the download", &self.path, source))?;
        if self.bytes - self.reported >= REPORT {
            self.reported = self.bytes;
            self.report();
        }
        Ok(())
    }

    /// The hash and the count, when all has come.
    pub(super) fn finish(mut self) -> Result<(Digest, u64)> {
        self.file.flush().map_err(|source| Error::io("write the download", &self.path, source))?;
        if self.total.is_some_and(|total| total != self.bytes) {
            return Err(self.broken_off(&std::io::Error::from(std::io::ErrorKind::UnexpectedEof)));
        }
        self.whole = true;
        self.report();
        Ok((std::mem::take(&mut self.hasher).finish(), self.bytes))
    }

    /// The error for bytes that end too early.
    pub(super) fn broken_off(&self, source: &dyn std::error::Error) -> Error {
        let total = self.total.map(|total| format!(" of {total}")).unwrap_or_default();
        let cause = source.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        let message = format!("the download breaks off after {}{total} bytes: {source}{cause}", self.bytes);
        Error::new(ErrorCode::Fetch, message).fix("nothing of it was kept; run the same command again")
    }

    fn report(&self) {
        let what = format!("downloading {}", self.shown);
        self.staging.progress.event(Event::Advanced { what, done: self.bytes, total: self.total, unit: "bytes" });
    }
}

impl Drop for Sink<'_> {
    fn drop(&mut self) {
        if !self.whole {
            // The folder goes as well; a file that cannot be removed now goes with it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

pub(super) fn check(bytes: u64, staging: &Staging<'_>) -> Result<()> {
    let most = staging.limits.download_bytes;
    if bytes <= most {
        return Ok(());
    }
    let message = format!("the download has more than {most} bytes, the limit download_bytes");
    Err(Error::new(ErrorCode::TooLarge, message).fix("raise `download_bytes` under [limits] where that is meant"))
}
