//! The bytes of a text file, unpacked, decoded to UTF-8, hashed on the way, and cut into pieces where records end.

use super::ScanOptions;
use super::encoding::{Decoder, Problem};
use crate::dataset::SourceFile;
use flate2::read::MultiGzDecoder;
use lepton_core::{Error, ErrorCode, Hasher, Result};
use memchr::{memchr, memchr_iter, memchr2, memrchr};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that are looked at before anything is parsed.
const BEGINNING: usize = 1 << 18;

/// No record is longer than this: a quote that is never closed would otherwise read the whole file into memory.
const LONGEST_RECORD: usize = 256 << 20;

/// A file that is cut into pieces.
pub(super) struct Blocks {
    path: PathBuf,
    reader: Box<dyn Read + Send>,
    digest: Arc<Mutex<Digesting>>,
    read: Arc<AtomicU64>,
    total: u64,
    /// What was read and not handed out.
    rest: Vec<u8>,
    ended: bool,
    rule: Rule,
    piece_bytes: usize,
}

/// Where a record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// At this byte outside of quotes, fields being separated by that delimiter.
    Quoted { delimiter: u8, terminator: u8 },
    /// At each line feed.
    Lines,
    /// Where an object of the array is closed.
    Array,
}

/// The hash of the file as it lies on the disk, made while it is read.
#[derive(Default)]
struct Digesting {
    hasher: Hasher,
    bytes: u64,
}

struct Hashing {
    file: File,
    digest: Arc<Mutex<Digesting>>,
    read: Arc<AtomicU64>,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        let mut digest = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        digest.hasher.update(&buffer[..count]);
        digest.bytes += count as u64;
        self.read.store(digest.bytes, Ordering::Relaxed);
        Ok(count)
    }
}

impl Blocks {
    pub(super) fn open(path: &Path, options: &ScanOptions) -> Result<Blocks> {
        let failed = |source| Error::io("read the file", path, source);
        let file = File::open(path).map_err(failed)?;
        let total = file.metadata().map_err(failed)?.len();
        let (digest, read) = <(Arc<Mutex<Digesting>>, Arc<AtomicU64>)>::default();
        let hashing = Hashing { file, digest: digest.clone(), read: read.clone() };
        let packed = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
        let unpacked: Box<dyn Read + Send> =
            if packed { Box::new(MultiGzDecoder::new(hashing)) } else { Box::new(hashing) };
        let reader: Box<dyn Read + Send> =
            Decoder::over(unpacked, options.encoding.as_deref()).map_err(|problem| match problem {
                Problem::Io(source) => failed(source),
                Problem::Unknown(error) => error,
            })?;
        let path = path.to_path_buf();
        let (rest, piece_bytes) = (Vec::new(), options.piece_bytes.max(1));
        Ok(Blocks { path, reader, digest, read, total, rest, ended: false, rule: Rule::Lines, piece_bytes })
    }

    /// Bytes of the file that were read, and that there are.
    pub(super) fn progress(&self) -> (u64, u64) {
        (self.read.load(Ordering::Relaxed), self.total)
    }

    /// Reads until `rest` holds `wanted` bytes or the file ends.
    fn fill(&mut self, wanted: usize) -> Result<()> {
        if self.ended || self.rest.len() >= wanted {
            return Ok(());
        }
        let mut filled = self.rest.len();
        self.rest.resize(wanted, 0);
        while filled < wanted {
            match self.reader.read(&mut self.rest[filled..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(count) => filled += count,
                Err(source) if source.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::io("read the file", &self.path, source)),
            }
        }
        self.rest.truncate(filled);
        Ok(())
    }

    /// The first bytes, as many as tell a delimiter and a terminator.
    pub(super) fn beginning(&mut self) -> Result<&[u8]> {
        self.fill(BEGINNING)?;
        Ok(&self.rest)
    }

    /// Takes the first bytes away, as many as were used.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.rest.drain(..bytes);
    }

    /// From here on, pieces end where a record of a CSV ends.
    pub(super) fn begin_csv(&mut self, delimiter: u8, terminator: u8) {
        self.rule = Rule::Quoted { delimiter, terminator };
    }

    /// The first record of a CSV with its terminator: the rest of the file where it has no other.
    pub(super) fn first_record(&mut self) -> Result<Vec<u8>> {
        let Rule::Quoted { delimiter, terminator } = self.rule else {
            return Err(Error::internal("a header of a file without quotes"));
        };
        let mut wanted = self.piece_bytes;
        loop {
            self.fill(wanted)?;
            if let Some(end) = first_end(&self.rest, delimiter, terminator) {
                let tail = self.rest.split_off(end);
                return Ok(std::mem::replace(&mut self.rest, tail));
            }
            if self.ended {
                return Ok(std::mem::take(&mut self.rest));
            }
            wanted = self.longer(wanted)?;
        }
    }

    /// From here on, pieces end where an object ends: at a line, or inside of one array.
    pub(super) fn begin_json(&mut self) -> Result<()> {
        self.fill(BEGINNING)?;
        let start = self.rest.iter().position(|byte| !byte.is_ascii_whitespace());
        self.rule = if start.is_some_and(|start| self.rest[start] == b'[') { Rule::Array } else { Rule::Lines };
        Ok(())
    }

    /// Whether the file is one JSON array.
    pub(super) fn is_array(&self) -> bool {
        self.rule == Rule::Array
    }

    /// The next piece, which ends where a record ends; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Piece>> {
        let mut wanted = self.piece_bytes;
        loop {
            self.fill(wanted)?;
            if self.ended && self.rest.len() <= wanted {
                let bytes = std::mem::take(&mut self.rest);
                return Ok((!bytes.is_empty()).then_some(Piece { bytes, last: true }));
            }
            if let Some(end) = self.last_end(wanted) {
                let mut next = Vec::with_capacity(self.piece_bytes);
                next.extend_from_slice(&self.rest[end..]);
                self.rest.truncate(end);
                return Ok(Some(Piece { bytes: std::mem::replace(&mut self.rest, next), last: false }));
            }
            wanted = self.longer(wanted)?;
        }
    }

    fn longer(&self, wanted: usize) -> Result<usize> {
        if wanted >= LONGEST_RECORD {
            return Err(Error::new(ErrorCode::TooLarge, format!("a record of more than {LONGEST_RECORD} bytes"))
                .in_file(&self.path)
                .fix("look for a quote or bracket that is opened and never closed"));
        }
        Ok(wanted * 2)
    }

    /// After the last record that the first `wanted` bytes hold whole.
    fn last_end(&self, wanted: usize) -> Option<usize> {
        let bytes = &self.rest[..wanted.min(self.rest.len())];
        match self.rule {
            Rule::Lines => memrchr(b'\n', bytes).map(|place| place + 1),
            Rule::Quoted { delimiter, terminator } => last_end(bytes, delimiter, terminator),
            Rule::Array => last_object_end(bytes),
        }
    }

    /// The file's entry in the list of sources, when all of it was read.
    pub(super) fn source(self) -> SourceFile {
        let digest = std::mem::take(&mut *self.digest.lock().unwrap_or_else(PoisonError::into_inner));
        SourceFile { path: self.path, bytes: digest.bytes, sha256: digest.hasher.finish() }
    }
}

/// Bytes that begin and end with a record.
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    /// Whether the file ends here.
    pub(super) last: bool,
}

/// Calls `outside` with the ranges that are outside of quotes, in order, until it says to stop; tells whether the
/// bytes end inside of a quote. A quote opens where a field begins, and a doubled one does not close it.
fn outside_quotes(
    bytes: &[u8],
    delimiter: u8,
    terminator: u8,
    mut outside: impl FnMut(std::ops::Range<usize>) -> bool,
) -> bool {
    let (mut from, mut look) = (0, 0);
    loop {
        let Some(quote) = memchr(b'"', &bytes[look..]).map(|place| look + place) else {
            outside(from..bytes.len());
            return false;
        };
        let opens = quote == 0 || [delimiter, terminator, b'\n'].contains(&bytes[quote - 1]);
        if !opens {
            look = quote + 1;
            continue;
        }
        if outside(from..quote) {
            return false;
        }
        let mut inside = quote + 1;
        loop {
            let Some(close) = memchr(b'"', &bytes[inside..]).map(|place| inside + place) else { return true };
            if bytes.get(close + 1) == Some(&b'"') {
                inside = close + 2;
            } else {
                (from, look) = (close + 1, close + 1);
                break;
            }
        }
    }
}

fn last_end(bytes: &[u8], delimiter: u8, terminator: u8) -> Option<usize> {
    let mut last = None;
    outside_quotes(bytes, delimiter, terminator, |range| {
        let start = range.start;
        last = memrchr(terminator, &bytes[range]).map(|place| start + place + 1).or(last);
        false
    });
    last
}

fn first_end(bytes: &[u8], delimiter: u8, terminator: u8) -> Option<usize> {
    let mut first = None;
    outside_quotes(bytes, delimiter, terminator, |range| {
        let start = range.start;
        first = memchr(terminator, &bytes[range]).map(|place| start + place + 1);
        first.is_some()
    });
    first
}

/// After the last object that is closed at the level of the array.
fn last_object_end(bytes: &[u8]) -> Option<usize> {
    let (mut place, mut last) = (0, None);
    while let Some(range) = next_object(bytes, place) {
        last = Some(range.end);
        place = range.end;
    }
    last
}

/// The first whole `{...}` from `start` on.
pub(super) fn next_object(bytes: &[u8], start: usize) -> Option<std::ops::Range<usize>> {
    let begin = start + memchr(b'{', &bytes[start..])?;
    let (mut place, mut depth) = (begin, 0usize);
    while place < bytes.len() {
        match bytes[place] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(begin..place + 1);
                }
            }
            b'"' => {
                place += 1;
                loop {
                    place += memchr2(b'"', b'\\', bytes.get(place..)?)?;
                    if bytes[place] == b'"' {
                        break;
                    }
                    place += 2;
                }
            }
            _ => {}
        }
        place += 1;
    }
    None
}

/// How many line feeds.
pub(super) fn lines_in(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_ends_outside_of_quotes_only() {
        assert_eq!(last_end(b"a,b\nc,\"d\ne\"\nf", b',', b'\n'), Some(12));
        assert_eq!(first_end(b"\"a\nb\",c\nd\n", b',', b'\n'), Some(8));
        assert_eq!(last_end(b"a,\"b\nc", b',', b'\n'), None, "the quote is open");
        assert_eq!(last_end(b"5\" pipe,1\nx", b',', b'\n'), Some(10), "a quote inside of a field is a letter");
        assert_eq!(last_end(b"\"say \"\"no\"\"\"\nx", b',', b'\n'), Some(13));
    }

    #[test]
    fn an_object_ends_where_it_is_closed() {
        let text = br#"[{"a": "}\"", "b": [1, {"c": 2}]}, {"d""#;
        assert_eq!(next_object(text, 0), Some(1..33));
        assert_eq!(last_object_end(text), Some(33));
        assert_eq!(next_object(text, 33), None);
    }
}
