//! Chunks: pieces of dataset versions, named by their SHA-256. What is put together lies in one blob, its pack, and a
//! chunk that is there already is not stored again: a version that shares rows with another one shares their bytes.

use crate::Store;
use crate::disk::failed;
use lepton_core::{Digest, Error, ErrorCode, Result};
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Where a chunk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkPlace {
    /// The hash of its bytes.
    pub digest: Digest,
    /// The blob that holds it.
    pub pack: Digest,
    /// The chunk's first byte in the pack.
    pub place: u64,
    /// Its length.
    pub bytes: u64,
}

impl Store {
    /// Keeps chunks, and says in their order where they lie. New ones go into one new pack; when this returns, all
    /// survive a power cut.
    ///
    /// # Errors
    /// What `chunks` gives; [`ErrorCode::StorageFull`] or [`ErrorCode::Io`]. Then nothing new is kept.
    pub fn put_chunks(&self, chunks: impl Iterator<Item = Result<Vec<u8>>>) -> Result<Vec<ChunkPlace>> {
        /// A chunk that was there, or one of the new pack by its place there.
        enum Found {
            Known(ChunkPlace),
            New(Digest, u64, u64),
        }
        let mut found: Vec<Found> = Vec::new();
        let mut fresh: HashMap<Digest, u64> = HashMap::new();
        let mut packs: HashMap<Digest, Option<u64>> = HashMap::new();
        let pack = self.blobs().put_unless_empty(|writer| {
            let mut end = 0;
            for chunk in chunks {
                let chunk = chunk?;
                let (digest, bytes) = (Digest::of(&chunk), chunk.len() as u64);
                if let Some(place) = fresh.get(&digest) {
                    found.push(Found::New(digest, *place, bytes));
                    continue;
                }
                let known = self.chunk(&digest)?.filter(|known| {
                    let size = packs.entry(known.pack).or_insert_with(|| self.blobs().size(&known.pack));
                    size.is_some_and(|size| known.place + known.bytes <= size)
                });
                match known {
                    Some(known) => found.push(Found::Known(known)),
                    None => {
                        let folder = self.disk().session().folder();
                        writer.write_all(&chunk).map_err(|source| failed("write", folder, source))?;
                        fresh.insert(digest, end);
                        found.push(Found::New(digest, end, bytes));
                        end += bytes;
                    }
                }
            }
            Ok(())
        })?;
        let places = found
            .into_iter()
            .map(|found| match found {
                Found::Known(known) => Ok(known),
                Found::New(digest, place, bytes) => {
                    let pack = pack.ok_or_else(|| Error::internal("a chunk was written and no pack"))?;
                    Ok(ChunkPlace { digest, pack, place, bytes })
                }
            })
            .collect::<Result<Vec<_>>>()?;
        if let Some(pack) = pack {
            self.write("register the chunks", |transaction| {
                let mut insert = transaction.prepare_cached(
                    "INSERT OR REPLACE INTO chunks (digest, pack, place, bytes) VALUES (?1, ?2, ?3, ?4)",
                )?;
                for chunk in places.iter().filter(|chunk| chunk.pack == pack) {
                    let (place, bytes) = (chunk.place as i64, chunk.bytes as i64);
                    insert.execute(params![chunk.digest.hex(), pack.hex(), place, bytes])?;
                }
                Ok(())
            })?;
        }
        Ok(places)
    }

    fn chunk(&self, digest: &Digest) -> Result<Option<ChunkPlace>> {
        self.read("look a chunk up", |connection| {
            let row = connection
                .prepare_cached("SELECT pack, place, bytes FROM chunks WHERE digest = ?1")?
                .query_row([digest.hex()], |row| {
                    Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
                })
                .optional()?;
            let Some((pack, place, bytes)) = row else { return Ok(None) };
            let (place, bytes) = (place.unsigned_abs(), bytes.unsigned_abs());
            Ok(Some(ChunkPlace { digest: *digest, pack: pack.parse()?, place, bytes }))
        })
    }

    /// Calls `each` with the bytes of every chunk, in order, checked against its name.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] when a pack is not there, [`ErrorCode::Integrity`], naming it, when its bytes have
    /// changed; what `each` returns.
    pub fn read_chunks(&self, places: &[ChunkPlace], mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut open: HashMap<Digest, File> = HashMap::new();
        let mut buffer = Vec::new();
        for chunk in places {
            let path = self.blobs().file(&chunk.pack);
            let missing = |source: std::io::Error| {
                let error = failed("read the blob", &path, source);
                if error.code() == ErrorCode::NotFound {
                    error.fix("run the same command again: the stage that made it is run again")
                } else {
                    error
                }
            };
            let damaged = || {
                let message = format!("chunk {} of blob {} is damaged", chunk.digest.short(), chunk.pack);
                Error::new(ErrorCode::Integrity, message)
                    .in_file(&path)
                    .fix("delete that file, then run the same command again: the stage that made it is run again")
            };
            let file = match open.entry(chunk.pack) {
                Entry::Occupied(file) => file.into_mut(),
                Entry::Vacant(place) => place.insert(File::open(&path).map_err(missing)?),
            };
            let length = file.metadata().map_err(missing)?.len();
            // An index that lies must not be believed before memory is taken for it.
            if chunk.place.checked_add(chunk.bytes).is_none_or(|end| end > length) {
                return Err(damaged());
            }
            buffer.resize(chunk.bytes as usize, 0);
            file.read_exact_at(&mut buffer, chunk.place).map_err(missing)?;
            if Digest::of(&buffer) != chunk.digest {
                return Err(damaged());
            }
            each(&buffer)?;
        }
        Ok(())
    }
}
