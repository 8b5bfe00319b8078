//! Where a part of a dataset came from, for its lineage.

use lepton_core::{Digest, Split};
use serde::{Deserialize, Serialize};
use url::Url;

/// Where a part came from. There is never a password in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The part.
    pub split: Split,
    /// `sqlite`, `postgresql`, `mysql`, `mariadb`, `http`, `https`, `s3`, `gs` or `az`.
    pub kind: String,
    /// The URL or the file.
    pub location: String,
    /// Version of the database server or library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The query as it was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The object's or the page's own mark of its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Bytes that came: of the file, or of the rows as JSON lines.
    pub bytes: u64,
    /// Their hash.
    pub sha256: Digest,
}

impl Origin {
    /// Of a part that was one file at `url`.
    pub(super) fn of_file(split: Split, url: &Url, etag: Option<String>, bytes: u64, sha256: Digest) -> Origin {
        let (kind, location) = (url.scheme().to_owned(), url.to_string());
        Origin { split, kind, location, version: None, query: None, etag, bytes, sha256 }
    }

    /// One line for a person.
    pub fn summary(&self) -> String {
        let version = self.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        let query = self.query.as_ref().map(|query| format!(": {}", one_line(query))).unwrap_or_default();
        let etag = self.etag.as_ref().map(|etag| format!(", ETag {etag}")).unwrap_or_default();
        format!("{}{version} {}{query}{etag}", self.kind, self.location)
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
