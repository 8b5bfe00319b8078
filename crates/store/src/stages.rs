//! The stage cache: what a stage gave, under the key of everything that it was computed from.

use crate::database::{parse_json, to_json};
use crate::{Store, time};
use lepton_core::{Digest, Error, ErrorCode, Result};
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a stage gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CachedStage {
    /// The stage's name.
    pub stage: String,
    /// Its output; large parts stand in `blobs`.
    pub output: Value,
    /// The blobs that the output needs.
    pub blobs: Vec<Digest>,
    /// How long it took to compute.
    pub seconds: f64,
}

impl Store {
    /// What is cached under `key`. An entry of which a blob is missing, or has another length, is dropped
    /// and counts as not cached; each blob's hash is checked when it is read.
    ///
    /// # Errors
    /// [`ErrorCode::Io`] or [`ErrorCode::Integrity`].
    pub fn cached_stage(&self, key: &Digest) -> Result<Option<CachedStage>> {
        let hex = key.hex();
        let found = self.read("read the stage cache", |connection| {
            let row = connection
                .prepare_cached("SELECT stage, output, seconds FROM cached_stages WHERE key = ?1")?
                .query_row([&hex], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?)))
                .optional()?;
            let Some((stage, output, seconds)) = row else { return Ok(None) };
            let mut statement =
                connection.prepare_cached("SELECT digest, bytes FROM cached_blobs WHERE key = ?1 ORDER BY position")?;
            let rows = statement
                .query_map([&hex], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let mut blobs = Vec::with_capacity(rows.len());
            let mut whole = true;
            for (digest, bytes) in rows {
                let digest: Digest = digest.parse()?;
                whole &= self.blobs().size(&digest) == u64::try_from(bytes).ok();
                blobs.push(digest);
            }
            Ok(Some((CachedStage { stage, output: parse_json(&output)?, blobs, seconds }, whole)))
        })?;
        match found {
            None => Ok(None),
            Some((stage, true)) => Ok(Some(stage)),
            Some((_, false)) => {
                self.write("drop a stale cache entry", |transaction| {
                    transaction.execute("DELETE FROM cached_stages WHERE key = ?1", [&hex])?;
                    Ok(())
                })?;
                Ok(None)
            }
        }
    }

    /// Keeps what a stage gave under `key`, replacing what was there.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] when one of `blobs` was never put.
    pub fn cache_stage(&self, key: &Digest, stage: &str, output: &Value, blobs: &[Digest], seconds: f64) -> Result<()> {
        let (hex, output, created) = (key.hex(), to_json(output)?, time::rfc3339(self.now()));
        self.write("fill the stage cache", |transaction| {
            transaction.execute("DELETE FROM cached_stages WHERE key = ?1", [&hex])?;
            transaction.execute(
                "INSERT INTO cached_stages (key, stage, output, seconds, created) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![hex, stage, output, seconds, created],
            )?;
            for (position, digest) in blobs.iter().enumerate() {
                let bytes = self.blobs().size(digest).ok_or_else(|| {
                    Error::new(
                        ErrorCode::NotFound,
                        format!("stage {stage} names the blob {digest}, which does not exist"),
                    )
                })?;
                transaction.execute(
                    "INSERT INTO cached_blobs (key, position, digest, bytes) VALUES (?1, ?2, ?3, ?4)",
                    params![hex, position as i64, digest.hex(), bytes as i64],
                )?;
            }
            Ok(())
        })
    }
}
