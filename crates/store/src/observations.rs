//! What servers saw: windows of traffic, as lepton-monitor summarises them, in the order of arrival.

use crate::Store;
use crate::database::{parse_json, to_json};
use lepton_core::Result;
use rusqlite::params;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One window of one model version's traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObservationRecord {
    /// The model's name.
    pub model: String,
    /// Its version.
    pub version: u64,
    /// When the window began; as the server wrote it, RFC 3339.
    pub started: String,
    /// When it ended.
    pub ended: String,
    /// The summary.
    pub body: Value,
}

impl Store {
    /// Adds a window.
    ///
    /// # Errors
    /// [`lepton_core::ErrorCode::StorageFull`], [`lepton_core::ErrorCode::Locked`] or [`lepton_core::ErrorCode::Io`].
    pub fn record_observation(
        &self,
        model: &str,
        version: u64,
        started: &str,
        ended: &str,
        body: &Value,
    ) -> Result<()> {
        let body = to_json(body)?;
        self.write("record the observation", |transaction| {
            transaction.execute(
                "INSERT INTO observations (model, version, started, ended, body) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![model, version as i64, started, ended, body],
            )?;
            Ok(())
        })
    }

    /// Every window of a model version, oldest first.
    ///
    /// # Errors
    /// [`lepton_core::ErrorCode::Io`] or [`lepton_core::ErrorCode::Integrity`].
    pub fn observations(&self, model: &str, version: u64) -> Result<Vec<ObservationRecord>> {
        self.read("read the observations", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT started, ended, body FROM observations WHERE model = ?1 AND version = ?2 ORDER BY sequence",
            )?;
            let mut rows = statement.query(params![model, version as i64])?;
            let mut observations = Vec::new();
            while let Some(row) = rows.next()? {
                observations.push(ObservationRecord {
                    model: model.to_owned(),
                    version,
                    started: row.get(0)?,
                    ended: row.get(1)?,
                    body: parse_json(&row.get::<_, String>(2)?)?,
                });
            }
            Ok(observations)
        })
    }
}
