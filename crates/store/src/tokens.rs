//! Tokens that may send rows to a dataset. A token is an id and 256 random bits; only the SHA-256 of the secret half
//! is kept, which is enough for a secret that nobody can guess, and comparing takes the same time for every wrong one.

use crate::disk::failed;
use crate::{Store, time};
use lepton_core::{Digest, Error, ErrorCode, Result};
use rusqlite::{OptionalExtension, params};
use serde::Serialize;

/// What a token begins with, so that scanners for leaked secrets can know it.
const PREFIX: &str = "lepton_";

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DataToken {
    /// Its public half.
    pub id: String,
    /// The dataset that it may send rows to.
    pub dataset: String,
    /// When it was made; RFC 3339, UTC.
    pub created: String,
    /// When it was taken back.
    pub revoked: Option<String>,
}

impl Store {
    /// Makes a token for one dataset. The text is given once and cannot be had again.
    ///
    /// # Errors
    /// [`ErrorCode::Io`] when the system has no random numbers; those of the store.
    pub fn create_data_token(&self, dataset: &str) -> Result<(DataToken, String)> {
        let (id, secret) = (random_hex::<8>()?, random_hex::<32>()?);
        let (digest, created) = (Digest::of(&secret), time::rfc3339(self.now()));
        self.write("keep the token", |transaction| {
            transaction.execute(
                "INSERT INTO data_tokens (id, dataset, secret, created) VALUES (?1, ?2, ?3, ?4)",
                params![id, dataset, digest.hex(), created],
            )?;
            Ok(())
        })?;
        let text = format!("{PREFIX}{id}_{secret}");
        Ok((DataToken { id, dataset: dataset.to_owned(), created, revoked: None }, text))
    }

    /// The token that a text is; `None` for one that was never made here, has another secret, or was taken back.
    ///
    /// # Errors
    /// Those of the store.
    pub fn find_data_token(&self, text: &str) -> Result<Option<DataToken>> {
        let Some((id, secret)) = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')) else {
            return Ok(None);
        };
        let found = self.read("look the token up", |connection| {
            let row = connection
                .prepare_cached("SELECT id, dataset, created, revoked, secret FROM data_tokens WHERE id = ?1")?
                .query_row([id], |row| Ok((token(row)?, row.get::<_, String>(4)?)))
                .optional()?;
            match row {
                Some((token, secret)) => Ok(Some((token, secret.parse::<Digest>()?))),
                None => Ok(None),
            }
        })?;
        let given = Digest::of(secret);
        Ok(found.filter(|(token, kept)| same(kept, &given) && token.revoked.is_none()).map(|(token, _)| token))
    }

    /// All tokens, the newest first, those that were taken back too.
    ///
    /// # Errors
    /// Those of the store.
    pub fn data_tokens(&self) -> Result<Vec<DataToken>> {
        self.read("list the tokens", |connection| {
            let mut statement = connection
                .prepare_cached("SELECT id, dataset, created, revoked FROM data_tokens ORDER BY created DESC, id")?;
            Ok(statement.query_map([], token)?.collect::<rusqlite::Result<Vec<_>>>()?)
        })
    }

    /// Takes a token back, at once and for good.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for an id that is none; those of the store.
    pub fn revoke_data_token(&self, id: &str) -> Result<()> {
        let revoked = time::rfc3339(self.now());
        let changed = self.write("take the token back", |transaction| {
            Ok(transaction.execute(
                "UPDATE data_tokens SET revoked = coalesce(revoked, ?2) WHERE id = ?1",
                params![id, revoked],
            )?)
        })?;
        if changed == 0 {
            return Err(Error::new(ErrorCode::NotFound, format!("there is no token with the id \"{id}\""))
                .fix("`lepton data token --list` shows them"));
        }
        Ok(())
    }
}

fn token(row: &rusqlite::Row<'_>) -> rusqlite::Result<DataToken> {
    Ok(DataToken { id: row.get(0)?, dataset: row.get(1)?, created: row.get(2)?, revoked: row.get(3)? })
}

/// Whether two digests are the same, looking at every byte whatever the first ones say.
fn same(one: &Digest, other: &Digest) -> bool {
    let differing = one.as_bytes().iter().zip(other.as_bytes()).fold(0, |bits, (one, other)| bits | (one ^ other));
    std::hint::black_box(differing) == 0
}

/// Random bytes of the system, as hexadecimal digits.
fn random_hex<const BYTES: usize>() -> Result<String> {
    let mut bytes = [0u8; BYTES];
    let mut filled = 0;
    while filled < BYTES {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())
            .map_err(|source| failed("get random numbers", std::path::Path::new("/dev/urandom"), source.into()))?;
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
