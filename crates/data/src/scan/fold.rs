//! The pass: threads that take pieces in turn, and results that are joined in the order of the file.

use super::chunk::Chunk;
use super::{Misread, Reader, Scan, json};
use crate::dataset::SourceFile;
use lepton_core::{Cancel, Error, Event, Progress, Result};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Where a chunk lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Rows before it.
    pub row: u64,
    /// The line of the file on which it begins, from 1. In a format without lines, the number of its first row, from 1.
    pub line: u64,
}

/// How a pass is made.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    /// Threads that parse and work; at least one.
    pub threads: usize,
    /// Told of the bytes (of Parquet: the rows) that were read.
    pub progress: &'a dyn Progress,
    /// Asked between two pieces.
    pub cancel: &'a Cancel,
}

/// What the threads share besides the reader: whose turn it is to join, and whether all should stop.
struct Joining<J> {
    join: J,
    turn: u64,
    row: u64,
    line: u64,
    stopped: Option<Result<()>>,
}

struct Turns<J> {
    joining: Mutex<Joining<J>>,
    moved: Condvar,
}

impl Scan {
    /// Reads the whole file. `work` is called with every chunk, on any thread, in any order; `join` gets what it
    /// answers in the order of the file. Gives the file's hash, made of the bytes that were read.
    ///
    /// # Errors
    /// The first error of the file: of reading ([`lepton_core::ErrorCode::BadData`] with row and column,
    /// [`lepton_core::ErrorCode::TooLarge`] past a limit), of `work` or of `join`; and
    /// [`lepton_core::ErrorCode::Cancelled`].
    pub fn fold<T, W, J>(self, how: &Work<'_>, work: W, join: J) -> Result<SourceFile>
    where
        T: Send,
        W: Fn(Chunk) -> Result<T> + Sync,
        J: FnMut(Position, T) -> Result<()> + Send,
    {
        let Scan { path, reader, ragged, limits } = self;
        let what = format!("reading {}", path.file_name().unwrap_or(path.as_os_str()).to_string_lossy());
        let line = match &reader {
            Reader::Csv { header, .. } => header.lines + 1,
            Reader::Json { .. } | Reader::Parquet { .. } | Reader::Arrow { .. } => 1,
        };
        let is_binary = matches!(reader, Reader::Parquet { .. } | Reader::Arrow { .. });
        let unit = if is_binary { "rows" } else { "bytes" };
        let header = match &reader {
            Reader::Csv { header, .. } => Some(header.clone()),
            _ => None,
        };
        let is_array = matches!(&reader, Reader::Json { blocks, .. } if blocks.is_array());
        let ignore = match &reader {
            Reader::Json { ignore, .. } => ignore.clone(),
            _ => Vec::new(),
        };
        let source = Mutex::new((reader, 0u64));
        let turns = Turns {
            joining: Mutex::new(Joining { join, turn: 0, row: 0, line, stopped: None }),
            moved: Condvar::new(),
        };
        let one = || -> Result<()> {
            let _guard = StopOnPanic(&turns);
            loop {
                // Whoever holds the reader takes the next number, so numbers follow the file.
                let (piece, number) = {
                    let mut source = lock(&source);
                    if turns.stopped() {
                        return Ok(());
                    }
                    let piece = how.cancel.check().and_then(|()| source.0.next());
                    let (done, total) = source.0.progress();
                    how.progress.event(Event::Advanced { what: what.clone(), done, total: Some(total), unit });
                    let number = source.1;
                    source.1 += 1;
                    (piece, number)
                };
                let mut results = Vec::new();
                let mut take = |chunk: Chunk| {
                    let (rows, lines) = (chunk.rows, chunk.line_count);
                    results.push((rows, lines, work(chunk)?));
                    Ok(())
                };
                let (taken, ended) = match piece {
                    Err(error) => (Err(Misread::from(error)), false),
                    Ok(None) => (Ok(()), true),
                    Ok(Some(Next::Group(group))) => (group.read(&mut take), false),
                    Ok(Some(Next::Rows(rows))) => (rows.chunk().and_then(&mut take), false),
                    Ok(Some(Next::Piece(piece))) => {
                        let chunk = match &header {
                            Some(header) => header.parse(piece, ragged, &limits),
                            None => json::parse(piece, is_array, &ignore, &limits),
                        };
                        (chunk.and_then(&mut take), false)
                    }
                };
                if !turns.take(number, results, taken, ended, &path) {
                    return Ok(());
                }
            }
        };
        std::thread::scope(|scope| -> Result<()> {
            for _ in 1..how.threads.max(1) {
                scope.spawn(one);
            }
            one()
        })?;
        let joining = turns.joining.into_inner().unwrap_or_else(PoisonError::into_inner);
        joining.stopped.unwrap_or(Ok(()))?;
        let (reader, _) = source.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(match reader {
            Reader::Csv { blocks, .. } | Reader::Json { blocks, .. } => blocks.source(),
            Reader::Parquet { source, .. } | Reader::Arrow { source, .. } => source,
        })
    }
}

/// A thread that panics would leave the others waiting for its turn.
struct StopOnPanic<'a, J>(&'a Turns<J>);

impl<J> Drop for StopOnPanic<'_, J> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            lock(&self.0.joining).stopped = Some(Err(Error::internal("a thread that read a table broke")));
            self.0.moved.notify_all();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

enum Next {
    Piece(super::blocks::Piece),
    Group(super::parquet::Group),
    Rows(super::arrow::Rows),
}

impl Reader {
    fn next(&mut self) -> Result<Option<Next>> {
        match self {
            Reader::Csv { blocks, .. } | Reader::Json { blocks, .. } => Ok(blocks.next()?.map(Next::Piece)),
            Reader::Parquet { groups, .. } => Ok(groups.next().map(Next::Group)),
            Reader::Arrow { batches, .. } => Ok(batches.next()?.map(Next::Rows)),
        }
    }

    fn progress(&self) -> (u64, u64) {
        match self {
            Reader::Csv { blocks, .. } | Reader::Json { blocks, .. } => blocks.progress(),
            Reader::Parquet { groups, .. } => groups.progress(),
            Reader::Arrow { batches, .. } => batches.progress(),
        }
    }
}

impl<J> Turns<J> {
    fn stopped(&self) -> bool {
        lock(&self.joining).stopped.is_some()
    }

    /// Waits until all pieces before this one are joined, and joins it; whether there is more to do. A thread that
    /// waits holds one piece's results, which is what bounds the memory.
    fn take<T>(
        &self,
        number: u64,
        results: Vec<(usize, u64, T)>,
        taken: Result<(), Misread>,
        ended: bool,
        path: &std::path::Path,
    ) -> bool
    where
        J: FnMut(Position, T) -> Result<()>,
    {
        let mut joining = lock(&self.joining);
        while joining.turn != number && joining.stopped.is_none() {
            joining = self.moved.wait(joining).unwrap_or_else(PoisonError::into_inner);
        }
        if joining.stopped.is_some() {
            return false;
        }
        let mut outcome = Ok(());
        for (rows, lines, result) in results {
            let position = Position { row: joining.row, line: joining.line };
            outcome = (joining.join)(position, result);
            joining.row += rows as u64;
            joining.line += lines;
            if outcome.is_err() {
                break;
            }
        }
        let outcome = outcome.and_then(|()| {
            taken.map_err(|misread| {
                let error = match misread.line {
                    Some(line) => misread.error.at_row(joining.line + line),
                    None => misread.error,
                };
                if error.place().file.is_some() { error } else { error.in_file(path) }
            })
        });
        joining.turn += 1;
        if ended || outcome.is_err() {
            joining.stopped = Some(outcome);
        }
        self.moved.notify_all();
        joining.stopped.is_none()
    }
}
