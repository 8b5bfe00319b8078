//! Rows that arrive one request after the other. Each accepted request is appended to the open segment of its
//! dataset, flushed, and then committed as a row; what lies behind the last committed byte was never acknowledged and
//! is cut off by the next append. A full segment is sealed: it becomes a blob.

use crate::database::{parse_json, to_json};
use crate::disk::failed;
use crate::session::open_lock;
use crate::{Store, fault};
use lepton_core::{Digest, Error, ErrorCode, Result};
use rusqlite::{OptionalExtension, Transaction, params};
use serde::Serialize;
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Requests whose idempotency key is remembered, for each dataset.
const REMEMBERED: u64 = 100_000;

/// How far a dataset has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamState {
    /// What the rows must look like; written and read by the caller.
    pub schema: Value,
    /// The number of the open segment.
    pub segment: u64,
    /// Its committed bytes.
    pub bytes: u64,
    /// Its committed rows.
    pub rows: u64,
    /// The last acknowledged request; 0 before the first.
    pub sequence: u64,
    /// Acknowledged rows, over all segments.
    pub total_rows: u64,
}

/// A segment that takes no more rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedSegment {
    /// Its number.
    pub segment: u64,
    /// Its bytes.
    pub blob: Digest,
    /// How many rows.
    pub rows: u64,
}

/// A request as it came.
#[derive(Clone, Copy, Debug)]
pub struct StreamRequest<'a> {
    /// The client's name for it, under which a second attempt is recognised.
    pub key: Option<&'a str>,
    /// The hash of its body.
    pub body: Digest,
}

/// What the caller makes of a request that fits.
#[derive(Clone, Debug)]
pub struct AcceptedRows {
    /// What is appended, ending in a line feed.
    pub lines: Vec<u8>,
    /// How many rows that is.
    pub rows: u64,
    /// The schema with what the rows added to it.
    pub schema: Value,
}

/// The acknowledgement of a request: its rows are on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StreamReceipt {
    /// The request's number in its dataset, from 1, without gaps.
    pub sequence: u64,
    /// Its rows.
    pub rows: u64,
    /// Rows of the dataset after it.
    pub total_rows: u64,
    /// Whether it had been taken before under the same idempotency key, so that nothing was appended now.
    pub repeated: bool,
}

impl Store {
    /// How far a dataset has come; `None` where nothing ever arrived.
    ///
    /// # Errors
    /// [`ErrorCode::Io`] or [`ErrorCode::Integrity`].
    pub fn stream(&self, dataset: &str) -> Result<Option<StreamState>> {
        self.read("read the stream", |connection| {
            let row = connection
                .prepare_cached(
                    "SELECT schema, segment, bytes, rows, sequence, total_rows FROM streams WHERE dataset = ?1",
                )?
                .query_row([dataset], |row| {
                    let number = |place| row.get::<_, i64>(place).map(i64::unsigned_abs);
                    let numbers = [number(1)?, number(2)?, number(3)?, number(4)?, number(5)?];
                    Ok((row.get::<_, String>(0)?, numbers))
                })
                .optional()?;
            let Some((schema, [segment, bytes, rows, sequence, total_rows])) = row else { return Ok(None) };
            Ok(Some(StreamState { schema: parse_json(&schema)?, segment, bytes, rows, sequence, total_rows }))
        })
    }

    /// Takes a request: `accept` gets the state and says what is appended. Requests for one dataset are taken one at
    /// a time, also between processes. When this returns, the rows survive a killed process and a power cut.
    ///
    /// # Errors
    /// What `accept` returns: then nothing is kept. [`ErrorCode::BadInput`] for a key that came with another body;
    /// [`ErrorCode::StorageFull`], [`ErrorCode::Io`], and [`ErrorCode::Integrity`] when acknowledged bytes are gone.
    pub fn append(
        &self,
        dataset: &str,
        request: &StreamRequest<'_>,
        accept: impl FnOnce(Option<&StreamState>) -> Result<AcceptedRows>,
    ) -> Result<StreamReceipt> {
        self.disk().writable()?;
        let _turn = self.stream_lock(dataset)?;
        if let Some(receipt) = self.repeated(dataset, request)? {
            return Ok(receipt);
        }
        let known = self.stream(dataset)?;
        let accepted = accept(known.as_ref())?;
        let mut state = known.unwrap_or_default();
        let path = self.segment_file(dataset, state.segment)?;
        let fresh = !path.exists();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|source| failed("open the segment", &path, source))?;
        let length = file.metadata().map_err(|source| failed("look at", &path, source))?.len();
        if length < state.bytes {
            let message = format!("the segment has {length} bytes, of which {} were acknowledged", state.bytes);
            return Err(Error::new(ErrorCode::Integrity, message).in_file(&path).fix("restore it from a backup"));
        }
        let append = |file: &mut File| {
            file.set_len(state.bytes)?;
            file.seek(SeekFrom::Start(state.bytes))?;
            file.write_all(&accepted.lines)
        };
        append(&mut file).map_err(|source| failed("append to the segment", &path, source))?;
        fault::point("segment-written");
        self.disk().sync(&file, &path)?;
        if fresh {
            self.disk().sync_folder(path.parent().unwrap_or(self.home()))?;
        }
        fault::point("segment-synced");
        state.schema = accepted.schema;
        state.bytes += accepted.lines.len() as u64;
        state.rows += accepted.rows;
        state.sequence += 1;
        state.total_rows += accepted.rows;
        self.write("commit the rows", |transaction| {
            save(transaction, dataset, &state)?;
            if let Some(key) = request.key {
                transaction.execute(
                    "INSERT INTO stream_requests (dataset, key, body, sequence, rows, total_rows)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        dataset,
                        key,
                        request.body.hex(),
                        state.sequence as i64,
                        accepted.rows as i64,
                        state.total_rows as i64
                    ],
                )?;
                transaction.execute(
                    "DELETE FROM stream_requests WHERE dataset = ?1 AND sequence <= ?2",
                    params![dataset, state.sequence.saturating_sub(REMEMBERED) as i64],
                )?;
            }
            Ok(())
        })?;
        Ok(StreamReceipt {
            sequence: state.sequence,
            rows: accepted.rows,
            total_rows: state.total_rows,
            repeated: false,
        })
    }

    /// Closes the open segment, if it has rows, and lists all sealed segments in order.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for a dataset that nothing arrived for; else as [`Store::append`].
    pub fn seal(&self, dataset: &str) -> Result<Vec<SealedSegment>> {
        self.disk().writable()?;
        let _turn = self.stream_lock(dataset)?;
        let mut state = self.stream(dataset)?.ok_or_else(|| {
            Error::new(ErrorCode::NotFound, format!("nothing has arrived for a dataset \"{dataset}\""))
        })?;
        if state.rows > 0 {
            let path = self.segment_file(dataset, state.segment)?;
            let blob = self.blobs().put_with(|writer| {
                let file = File::open(&path).map_err(|source| failed("read the segment", &path, source))?;
                let copied = std::io::copy(&mut file.take(state.bytes), writer)
                    .map_err(|source| failed("copy the segment", &path, source))?;
                if copied < state.bytes {
                    let message = format!("the segment has {copied} of {} acknowledged bytes", state.bytes);
                    return Err(Error::new(ErrorCode::Integrity, message).in_file(&path));
                }
                Ok(())
            })?;
            let (segment, rows) = (state.segment, state.rows);
            (state.segment, state.bytes, state.rows) = (segment + 1, 0, 0);
            self.write("seal the segment", |transaction| {
                save(transaction, dataset, &state)?;
                transaction.execute(
                    "INSERT INTO stream_segments (dataset, segment, blob, rows) VALUES (?1, ?2, ?3, ?4)",
                    params![dataset, segment as i64, blob.hex(), rows as i64],
                )?;
                Ok(())
            })?;
            fault::point("segment-sealed");
        }
        // Its bytes are a blob now. One that a killed process left is removed here too.
        if let Some(before) = state.segment.checked_sub(1) {
            let path = self.segment_file(dataset, before)?;
            match std::fs::remove_file(&path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed("remove the sealed segment", &path, source));
                }
                _ => {}
            }
        }
        self.sealed_segments(dataset)
    }

    /// The sealed segments of a dataset, in order.
    ///
    /// # Errors
    /// [`ErrorCode::Io`] or [`ErrorCode::Integrity`].
    pub fn sealed_segments(&self, dataset: &str) -> Result<Vec<SealedSegment>> {
        self.read("list the segments", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT segment, blob, rows FROM stream_segments WHERE dataset = ?1 ORDER BY segment",
            )?;
            let mut rows = statement.query([dataset])?;
            let mut segments = Vec::new();
            while let Some(row) = rows.next()? {
                segments.push(SealedSegment {
                    segment: row.get::<_, i64>(0)?.unsigned_abs(),
                    blob: row.get::<_, String>(1)?.parse()?,
                    rows: row.get::<_, i64>(2)?.unsigned_abs(),
                });
            }
            Ok(segments)
        })
    }

    /// The receipt of a request that was taken before.
    fn repeated(&self, dataset: &str, request: &StreamRequest<'_>) -> Result<Option<StreamReceipt>> {
        let Some(key) = request.key else { return Ok(None) };
        let found = self.read("look the request up", |connection| {
            Ok(connection
                .prepare_cached(
                    "SELECT body, sequence, rows, total_rows FROM stream_requests WHERE dataset = ?1 AND key = ?2",
                )?
                .query_row([dataset, key], |row| {
                    let number = |place| row.get::<_, i64>(place).map(i64::unsigned_abs);
                    Ok((row.get::<_, String>(0)?, number(1)?, number(2)?, number(3)?))
                })
                .optional()?)
        })?;
        match found {
            Some((body, ..)) if body != request.body.hex() => {
                Err(Error::new(ErrorCode::BadInput, "this idempotency key came before with other rows")
                    .fix("use a new key for each new request"))
            }
            Some((_, sequence, rows, total_rows)) => {
                Ok(Some(StreamReceipt { sequence, rows, total_rows, repeated: true }))
            }
            None => Ok(None),
        }
    }

    /// Waits for this process's turn with a dataset.
    fn stream_lock(&self, dataset: &str) -> Result<File> {
        let path = self.home().join("locks").join(format!("stream-{}.lock", Digest::of(dataset)));
        let lock = open_lock(&path)?;
        lock.lock().map_err(|source| failed("lock", &path, source))?;
        Ok(lock)
    }

    /// Names of people never become paths: the folder is named by the hash of the dataset's name.
    fn segment_file(&self, dataset: &str, segment: u64) -> Result<PathBuf> {
        let folder = self.home().join("streams").join(Digest::of(dataset).hex());
        self.disk().create_folder(&folder)?;
        Ok(folder.join(format!("{segment:08}.ndjson")))
    }
}

fn save(transaction: &Transaction<'_>, dataset: &str, state: &StreamState) -> crate::database::Outcome<()> {
    transaction.execute(
        "INSERT INTO streams (dataset, schema, segment, bytes, rows, sequence, total_rows)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (dataset) DO UPDATE SET schema = excluded.schema, segment = excluded.segment,
         bytes = excluded.bytes, rows = excluded.rows, sequence = excluded.sequence, total_rows = excluded.total_rows",
        params![
            dataset,
            to_json(&state.schema)?,
            state.segment as i64,
            state.bytes as i64,
            state.rows as i64,
            state.sequence as i64,
            state.total_rows as i64
        ],
    )?;
    Ok(())
}
