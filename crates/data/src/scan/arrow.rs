//! Arrow IPC, as a file (Feather version 2) or as a stream, batch after batch.
//!
//! A file is a stream between two marks with an index behind it, so both are read as a stream. Before that the
//! messages are walked over once, without their bodies: how many rows there are, whether the file was cut off, and
//! whether a packed buffer claims to become more than memory should be asked for.

use super::batch::{self, BATCH};
use super::chunk::Chunk;
use super::{Misread, Names, ScanOptions, check_columns};
use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::{MessageHeader, root_as_message};
use arrow_schema::SchemaRef;
use lepton_core::{Error, ErrorCode, Limits, Result};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Take};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// The mark at both ends of a file.
const MAGIC: &[u8; 6] = b"ARROW1";

/// Bytes that one batch may become when it is unpacked.
const UNPACKED_BYTES: u64 = 2 << 30;

/// Bytes that a message's description may have: ten thousand columns need about two million.
const DESCRIPTION_BYTES: u64 = 64 << 20;

/// Rows of one batch.
const BATCH_ROWS: u64 = 1 << 27;

/// The batches of a file or stream.
pub(super) struct Batches {
    path: PathBuf,
    reader: StreamReader<BufReader<Take<File>>>,
    all_names: Vec<String>,
    pub(super) names: Names,
    /// A batch of the file, and how many of its rows were handed out.
    current: Option<(RecordBatch, usize)>,
    done: u64,
    total: u64,
    is_file: bool,
    limits: Limits,
}

impl Batches {
    pub(super) fn open(path: &Path, options: &ScanOptions) -> Result<Batches> {
        let failed = |source| Error::io("read the file", path, source);
        let mut file = File::open(path).map_err(failed)?;
        let range = stream_of(&mut file, path)?;
        let total = walk(&mut file, range.clone(), path)?;
        file.seek(SeekFrom::Start(range.start)).map_err(failed)?;
        let open = |file: File, projection| {
            let limited = BufReader::with_capacity(1 << 18, file.take(range.end - range.start));
            StreamReader::try_new(limited, projection).map_err(|source| wrong(path, &source))
        };
        let reader = open(file.try_clone().map_err(failed)?, None)?;
        let fields = reader.schema().fields().clone();
        check_columns(fields.len(), &options.limits).map_err(|error| error.in_file(path))?;
        let used: Vec<usize> =
            (0..fields.len()).filter(|place| !options.ignore.contains(fields[*place].name())).collect();
        file.seek(SeekFrom::Start(range.start)).map_err(failed)?;
        Ok(Batches {
            path: path.to_path_buf(),
            all_names: fields.iter().map(|field| field.name().clone()).collect(),
            names: used.iter().map(|place| fields[*place].name().clone()).collect::<Vec<_>>().into(),
            reader: open(file, Some(used))?,
            current: None,
            is_file: range.start > 0,
            done: 0,
            total,
            limits: options.limits.clone(),
        })
    }

    /// The names of all columns.
    pub(super) fn all_names(&self) -> Vec<String> {
        self.all_names.clone()
    }

    /// Rows that were handed out, and rows in all.
    pub(super) fn progress(&self) -> (u64, u64) {
        (self.done, self.total)
    }

    /// The next rows, to be converted by whoever asked.
    pub(super) fn next(&mut self) -> Result<Option<Rows>> {
        loop {
            if let Some((batch, from)) = self.current.take()
                && from < batch.num_rows()
            {
                let rows = BATCH.min(batch.num_rows() - from);
                let slice = batch.slice(from, rows);
                self.current = Some((batch, from + rows));
                self.done += rows as u64;
                return Ok(Some(Rows { batch: slice, names: self.names.clone(), limits: self.limits.clone() }));
            }
            match self.whole()? {
                None => return Ok(None),
                Some(batch) => self.current = Some((batch, 0)),
            }
        }
    }

    /// The next batch as the file has it.
    pub(super) fn whole(&mut self) -> Result<Option<RecordBatch>> {
        // The arrays are validated by the reader; should a malformed one still break it, that is an error of the
        // file and not the end of the process.
        match catch_unwind(AssertUnwindSafe(|| self.reader.next())) {
            Ok(None) => Ok(None),
            Ok(Some(Ok(batch))) => Ok(Some(batch)),
            Ok(Some(Err(source))) => Err(wrong(&self.path, &source)),
            Err(_) => Err(wrong(&self.path, &"a batch does not fit its description")),
        }
    }

    /// The columns that are read, as the file has them.
    pub(super) fn schema(&self) -> SchemaRef {
        self.reader.schema()
    }

    /// Whether it is a file with an index, and not a stream.
    pub(super) fn is_file(&self) -> bool {
        self.is_file
    }
}

/// Rows of one batch.
pub(super) struct Rows {
    batch: RecordBatch,
    names: Names,
    limits: Limits,
}

impl Rows {
    pub(super) fn chunk(self) -> Result<Chunk, Misread> {
        batch::chunk(&self.batch, &self.names, &self.limits)
    }
}

fn wrong(path: &Path, source: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorCode::BadData, format!("the file cannot be read as Arrow IPC: {source}")).in_file(path)
}

/// Where the stream lies: all of a stream, and what is between mark and index of a file.
fn stream_of(file: &mut File, path: &Path) -> Result<std::ops::Range<u64>> {
    let failed = |source| Error::io("read the file", path, source);
    let length = file.metadata().map_err(failed)?.len();
    let mut begin = [0; 8];
    if length < 8 {
        return Err(wrong(path, &"it is shorter than any such file"));
    }
    file.read_exact(&mut begin).map_err(failed)?;
    if &begin[..6] != MAGIC {
        if &begin[..4] == b"FEA1" {
            return Err(Error::new(ErrorCode::Unsupported, "Feather version 1 is not supported")
                .in_file(path)
                .fix("write it again as Feather version 2, which is Arrow IPC"));
        }
        return Ok(0..length);
    }
    let cut = || wrong(path, &"it has no index at its end; it may be cut off");
    if length < 18 {
        return Err(cut());
    }
    let mut end = [0; 10];
    file.seek(SeekFrom::Start(length - 10)).and_then(|_| file.read_exact(&mut end)).map_err(failed)?;
    if &end[4..] != MAGIC {
        return Err(cut());
    }
    let footer = i32::from_le_bytes([end[0], end[1], end[2], end[3]]);
    let footer = u64::try_from(footer).ok().filter(|footer| *footer <= length - 18).ok_or_else(cut)?;
    // The mark is padded to eight bytes by some writers and to their alignment, up to 64, by others.
    let mut padding = [0; 64];
    let end = length - 10 - footer;
    let looked_at = (end - 8).min(56) as usize;
    file.seek(SeekFrom::Start(8)).and_then(|_| file.read_exact(&mut padding[..looked_at])).map_err(failed)?;
    let zeros = padding[..looked_at].iter().take_while(|byte| **byte == 0).count();
    Ok(8 + (zeros / 8 * 8) as u64..end)
}

/// Looks at every message without its body; gives the rows of all batches.
fn walk(file: &mut File, range: std::ops::Range<u64>, path: &Path) -> Result<u64> {
    let failed = |source| Error::io("read the file", path, source);
    let cut = || wrong(path, &"it ends inside of a batch; it may be cut off");
    let (mut at, mut rows, mut first) = (range.start, 0u64, true);
    let mut description = Vec::new();
    while at + 4 <= range.end {
        let mut word = [0; 4];
        file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut word)).map_err(failed)?;
        at += 4;
        if word == [0xff; 4] {
            if at + 4 > range.end {
                return Err(cut());
            }
            file.read_exact(&mut word).map_err(failed)?;
            at += 4;
        }
        let length = i32::from_le_bytes(word);
        if length == 0 {
            break;
        }
        let Some(length) = u64::try_from(length).ok().filter(|length| *length <= DESCRIPTION_BYTES) else {
            return Err(wrong(path, &"it does not begin as such a file, or is damaged"));
        };
        if length > range.end - at {
            return Err(cut());
        }
        description.resize(length as usize, 0);
        file.read_exact(&mut description).map_err(failed)?;
        at += length;
        let message = root_as_message(&description).map_err(|_| wrong(path, &"a message's description is damaged"))?;
        let body = u64::try_from(message.bodyLength()).ok().filter(|body| *body <= range.end - at).ok_or_else(cut)?;
        if first != (message.header_type() == MessageHeader::Schema) {
            return Err(wrong(path, &"its messages are out of order"));
        }
        first = false;
        let (batch, is_rows) = match message.header_as_record_batch() {
            Some(batch) => (Some(batch), true),
            None => (message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data()), false),
        };
        if let Some(batch) = batch {
            let count = u64::try_from(batch.length()).ok().filter(|count| *count <= BATCH_ROWS);
            let Some(count) = count else {
                let message = format!("a batch of {} rows; the most is {BATCH_ROWS}", batch.length());
                return Err(Error::new(ErrorCode::TooLarge, message).in_file(path).fix("write smaller batches"));
            };
            if is_rows {
                rows += count;
            }
            if batch.compression().is_some() {
                check_unpacked(file, at, body, batch.buffers().into_iter().flatten(), path)?;
            }
        }
        at += body;
    }
    if first {
        return Err(wrong(path, &"it has no description of its columns"));
    }
    Ok(rows)
}

/// A packed buffer begins with the length that it will have.
fn check_unpacked<'a>(
    file: &mut File,
    body_at: u64,
    body: u64,
    buffers: impl Iterator<Item = &'a arrow_ipc::Buffer>,
    path: &Path,
) -> Result<()> {
    let mut unpacked = 0u64;
    for buffer in buffers {
        let (from, length) = (buffer.offset().unsigned_abs(), buffer.length().unsigned_abs());
        if length == 0 {
            continue;
        }
        if length < 8 || from.checked_add(length).is_none_or(|end| end > body) {
            return Err(wrong(path, &"a packed buffer lies outside of its batch"));
        }
        let mut word = [0; 8];
        file.seek(SeekFrom::Start(body_at + from))
            .and_then(|_| file.read_exact(&mut word))
            .map_err(|source| Error::io("read the file", path, source))?;
        let claimed = i64::from_le_bytes(word);
        // -1 says that the buffer was not packed after all.
        unpacked = unpacked.saturating_add(if claimed == -1 { length } else { claimed.unsigned_abs() });
    }
    if unpacked > UNPACKED_BYTES {
        let message = format!("a batch says that it unpacks to {unpacked} bytes; the most is {UNPACKED_BYTES}");
        return Err(Error::new(ErrorCode::TooLarge, message).in_file(path).fix("write smaller batches"));
    }
    Ok(())
}
