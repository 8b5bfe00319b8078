//! The dataset register: names, content hashes and manifests. The rows of the data are blobs.

use crate::database::{Outcome, parse_json, to_json};
use crate::{Store, time};
use lepton_core::{Digest, Error, ErrorCode, Result, nearest};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One version of a dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetRecord {
    /// Its name.
    pub name: String,
    /// The hash of its content: its version.
    pub digest: Digest,
    /// What the registering stage says about it.
    pub manifest: Value,
    /// When this version was first registered; RFC 3339, UTC.
    pub created: String,
}

impl Store {
    /// Registers a version of a dataset and makes it the newest of its name. Registering the same content
    /// again keeps the first record's date and manifest.
    ///
    /// # Errors
    /// [`ErrorCode::BadInput`] for an empty name.
    pub fn register_dataset(&self, name: &str, digest: &Digest, manifest: &Value) -> Result<DatasetRecord> {
        if name.is_empty() {
            return Err(Error::new(ErrorCode::BadInput, "a dataset needs a name"));
        }
        let (manifest, created) = (to_json(manifest)?, time::rfc3339(self.now()));
        self.write("register the dataset", |transaction| {
            transaction.execute(
                "INSERT INTO datasets (name, digest, manifest, created, registration)
                 VALUES (?1, ?2, ?3, ?4, (SELECT coalesce(max(registration), 0) + 1 FROM datasets))
                 ON CONFLICT (name, digest) DO UPDATE SET registration = excluded.registration",
                params![name, digest.hex(), manifest, created],
            )?;
            transaction.query_row(
                "SELECT name, digest, manifest, created FROM datasets WHERE name = ?1 AND digest = ?2",
                params![name, digest.hex()],
                |row| Ok(read_dataset(row)),
            )?
        })
    }

    /// Every version of every dataset: by name, newest registration first.
    ///
    /// # Errors
    /// [`ErrorCode::Io`] or [`ErrorCode::Integrity`].
    pub fn datasets(&self) -> Result<Vec<DatasetRecord>> {
        self.read("list the datasets", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT name, digest, manifest, created FROM datasets ORDER BY name, registration DESC",
            )?;
            let mut rows = statement.query([])?;
            let mut datasets = Vec::new();
            while let Some(row) = rows.next()? {
                datasets.push(read_dataset(row)?);
            }
            Ok(datasets)
        })
    }

    /// One version: `name` (the newest) or `name@` and the first digits of its hash.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`], or [`ErrorCode::Usage`] when several versions begin so.
    pub fn dataset(&self, wanted: &str) -> Result<DatasetRecord> {
        let all = self.datasets()?;
        if let Some(found) = all.iter().find(|dataset| dataset.name == wanted) {
            return Ok(found.clone());
        }
        if let Some((name, prefix)) = wanted.rsplit_once('@').filter(|(_, prefix)| !prefix.is_empty()) {
            let mut versions = all.iter().filter(|set| set.name == name && set.digest.hex().starts_with(prefix));
            match (versions.next(), versions.next()) {
                (Some(found), None) => return Ok(found.clone()),
                (Some(_), Some(_)) => {
                    return Err(Error::new(
                        ErrorCode::Usage,
                        format!("several versions of {name} begin with {prefix}"),
                    )
                    .fix("give more digits of the hash"));
                }
                (None, _) => {}
            }
        }
        let error = Error::new(ErrorCode::NotFound, format!("there is no dataset \"{wanted}\""));
        Err(match nearest(wanted, all.iter().map(|dataset| dataset.name.as_str())) {
            Some(near) => error.fix(format!("did you mean \"{near}\"?")),
            None => error.fix("`lepton data list` shows the datasets"),
        })
    }
}

fn read_dataset(row: &Row<'_>) -> Outcome<DatasetRecord> {
    Ok(DatasetRecord {
        name: row.get(0)?,
        digest: row.get::<_, String>(1)?.parse()?,
        manifest: parse_json(&row.get::<_, String>(2)?)?,
        created: row.get(3)?,
    })
}
