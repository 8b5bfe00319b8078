//! Delimited text: the header, and one piece of rows.

use super::blocks::{Blocks, Piece, lines_in};
use super::chunk::{Cells, Chunk, Lines, RaggedRow, Span};
use super::{CellKind, Misread, Names, Ragged, ScanOptions, TextForm, check_cell, check_columns};
use lepton_core::{Error, ErrorCode, Limits, Result};
use memchr::{memchr, memchr2, memchr2_iter};
use std::path::Path;

/// What separates fields where nothing says it, by preference.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// What the first line says, and how the rest is cut.
#[derive(Clone)]
pub(super) struct Header {
    pub(super) names: Names,
    pub(super) delimiter: u8,
    terminator: u8,
    /// For each field of the file its column, where it is kept.
    kept: Vec<Option<usize>>,
    pub(super) kept_names: Names,
    /// Lines that the header takes.
    pub(super) lines: u64,
    /// The header as the file has it.
    record: String,
}

impl Header {
    pub(super) fn read(blocks: &mut Blocks, path: &Path, options: &ScanOptions) -> Result<Header> {
        let beginning = blocks.beginning()?;
        let terminator =
            if memchr(b'\n', beginning).is_some() || memchr(b'\r', beginning).is_none() { b'\n' } else { b'\r' };
        let blank = beginning.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        let blank_lines = beginning[..blank].iter().filter(|byte| **byte == terminator).count() as u64;
        let delimiter = match options.delimiter {
            Some(delimiter) if delimiter.is_ascii() && !matches!(delimiter, b'"' | b'\n' | b'\r') => delimiter,
            Some(delimiter) => {
                let shown = char::from(delimiter);
                return Err(Error::new(ErrorCode::Config, format!("{shown:?} cannot separate fields"))
                    .fix("use one ASCII character, for example \";\""));
            }
            None if path.file_name().is_some_and(|name| is_tsv(&name.to_string_lossy())) => b'\t',
            None => {
                let end =
                    beginning[blank..].iter().position(|byte| *byte == terminator).unwrap_or(beginning.len() - blank);
                let line = &beginning[blank..blank + end];
                DELIMITERS.into_iter().find(|delimiter| memchr(*delimiter, line).is_some()).unwrap_or(b',')
            }
        };
        blocks.skip(blank);
        blocks.begin_csv(delimiter, terminator);
        let bytes = blocks.first_record()?;
        let lines = lines_of(&bytes, terminator);
        let record = String::from_utf8_lossy(&bytes).into_owned();
        let piece = Piece { bytes, last: true };
        let all = Cutting { delimiter, terminator, width: usize::MAX, kept: None, limits: &options.limits };
        let fields = all.fields(piece).map_err(|misread| misread.error.at_row(1))?;
        if fields.is_empty() {
            return Err(Error::new(ErrorCode::BadData, "the file is empty; its first line must name the columns"));
        }
        check_columns(fields.len(), &options.limits).map_err(|error| error.at_row(1))?;
        let names: Vec<String> = fields.iter().map(|name| name.trim().to_owned()).collect();
        let mut kept_names = Vec::new();
        let mut kept = Vec::with_capacity(names.len());
        for name in &names {
            kept.push((!options.ignore.contains(name)).then(|| {
                kept_names.push(name.clone());
                kept_names.len() - 1
            }));
        }
        let lines = lines + blank_lines;
        Ok(Header { names: names.into(), delimiter, terminator, kept, kept_names: kept_names.into(), lines, record })
    }

    /// How the file is written.
    pub(super) fn form(&self) -> TextForm {
        let end = match self.terminator {
            b'\r' => "\r",
            _ if self.record.ends_with("\r\n") => "\r\n",
            _ => "\n",
        };
        TextForm::Csv { header: self.record.clone(), delimiter: self.delimiter, end }
    }

    /// The rows of a piece.
    pub(super) fn parse(&self, piece: Piece, ragged: Ragged, limits: &Limits) -> Result<Chunk, Misread> {
        let (delimiter, terminator) = (self.delimiter, self.terminator);
        let cutting = Cutting {
            delimiter,
            terminator,
            width: self.names.len(),
            kept: Some((&self.kept, &self.kept_names)),
            limits,
        };
        let line_count = lines_of(&piece.bytes, terminator);
        let cut = cutting.cut(piece)?;
        if let (Ragged::Refuse, Some(first)) = (ragged, cut.ragged.first()) {
            let message = format!("{} fields where the header has {}", first.fields, self.names.len());
            let line = cut.line(first.row);
            return Err(Misread::at(
                line,
                Error::new(ErrorCode::BadData, message)
                    .fix("quote fields that contain the delimiter, and give every row all fields"),
            ));
        }
        Ok(Chunk {
            names: self.kept_names.clone(),
            text: cut.text,
            columns: cut.columns.into_iter().map(Cells::Spans).collect(),
            rows: cut.rows,
            lines: match cut.lines {
                Some(lines) => Lines::Listed(lines),
                None => Lines::Each,
            },
            line_count,
            ragged: cut.ragged,
            ignored: Vec::new(),
            ends: cut.ends,
        })
    }
}

fn is_tsv(name: &str) -> bool {
    let name = name.to_lowercase();
    name.strip_suffix(".gz").unwrap_or(&name).ends_with(".tsv")
}

fn lines_of(bytes: &[u8], terminator: u8) -> u64 {
    if terminator == b'\n' { lines_in(bytes) } else { memchr::memchr_iter(terminator, bytes).count() as u64 }
}

/// How a piece is cut.
struct Cutting<'a> {
    delimiter: u8,
    terminator: u8,
    /// Fields that a row should have.
    width: usize,
    /// For each field its column, and the columns' names; `None` keeps every field as a column of its own.
    kept: Option<(&'a [Option<usize>], &'a [String])>,
    limits: &'a Limits,
}

struct Cut {
    text: String,
    columns: Vec<Vec<Span>>,
    rows: usize,
    /// The line of each row, where it is not the row's number.
    lines: Option<Vec<u32>>,
    ragged: Vec<RaggedRow>,
    /// Where each row ends, its terminator included.
    ends: Vec<u32>,
    /// Where the piece is now: field of the row, line.
    field: usize,
    line: u32,
    /// The line on which the row began.
    row_line: u32,
}

impl Cut {
    fn line(&self, row: usize) -> u64 {
        self.lines.as_ref().map_or(row as u64, |lines| u64::from(lines[row]))
    }
}

impl Cutting<'_> {
    /// The fields of the only record of a piece.
    fn fields(&self, piece: Piece) -> Result<Vec<String>, Misread> {
        let cut = self.cut(piece)?;
        Ok(cut.columns.iter().flat_map(|column| column.first()).map(|span| cut.text[span.range()].to_owned()).collect())
    }

    fn cut(&self, piece: Piece) -> Result<Cut, Misread> {
        let last = piece.last;
        let text = String::from_utf8(piece.bytes).map_err(|source| {
            let line = lines_of(&source.as_bytes()[..source.utf8_error().valid_up_to()], self.terminator);
            let error = Error::new(ErrorCode::BadData, "the text is not UTF-8");
            Misread::at(line, error.fix("save the file as UTF-8, or say its encoding, for example latin1"))
        })?;
        let columns = self.kept.map_or(0, |(_, names)| names.len());
        // A first guess at the number of rows: from the first line's length.
        let first = memchr(self.terminator, text.as_bytes()).unwrap_or(text.len()) + 1;
        let guess = text.len() / first.max(2) + 16;
        let mut cut = Cut {
            columns: (0..columns).map(|_| Vec::with_capacity(guess)).collect(),
            rows: 0,
            lines: None,
            ragged: Vec::new(),
            ends: Vec::with_capacity(guess),
            field: 0,
            line: 0,
            row_line: 0,
            text,
        };
        if memchr(b'"', cut.text.as_bytes()).is_none() {
            self.plain(&mut cut)?;
        } else {
            self.quoted(&mut cut, last)?;
        }
        Ok(cut)
    }

    /// Cuts text without any quotes.
    fn plain(&self, cut: &mut Cut) -> Result<(), Misread> {
        let text = std::mem::take(&mut cut.text);
        let bytes = text.as_bytes();
        let mut start = 0;
        for place in memchr2_iter(self.delimiter, self.terminator, bytes) {
            if bytes[place] == self.delimiter {
                self.push(cut, CellKind::Untyped, start, place - start)?;
            } else {
                self.end_row(cut, bytes, start, place)?;
            }
            start = place + 1;
        }
        if start < bytes.len() || cut.field > 0 {
            self.end_row(cut, bytes, start, bytes.len())?;
        }
        cut.text = text;
        Ok(())
    }

    /// Takes the last field of a row, which lies from `start` to `end`, without the carriage return before a line
    /// feed. A line of nothing is no row.
    fn end_row(&self, cut: &mut Cut, bytes: &[u8], start: usize, mut end: usize) -> Result<(), Misread> {
        let next = (end + 1).min(bytes.len());
        if self.terminator == b'\n' && end > start && bytes[end - 1] == b'\r' {
            end -= 1;
        }
        if cut.field > 0 || end > start {
            self.push(cut, CellKind::Untyped, start, end - start)?;
            self.close(cut, next);
        }
        cut.line += 1;
        cut.row_line = cut.line;
        Ok(())
    }

    /// Cuts text with quotes. What had to be unescaped is put behind the text.
    fn quoted(&self, cut: &mut Cut, last: bool) -> Result<(), Misread> {
        let mut text = std::mem::take(&mut cut.text);
        let mut unescaped = String::new();
        let length = text.len();
        let bytes = text.as_bytes();
        let mut place = 0;
        while place < length {
            if bytes[place] != b'"' {
                let end =
                    memchr2(self.delimiter, self.terminator, &bytes[place..]).map_or(length, |found| place + found);
                if end < length && bytes[end] == self.delimiter {
                    self.push(cut, CellKind::Untyped, place, end - place)?;
                } else {
                    self.end_row(cut, bytes, place, end)?;
                }
                place = end + 1;
                continue;
            }
            let opened = cut.line;
            let (mut inside, from, mut plain_from, mut is_plain) = (place + 1, place + 1, place + 1, true);
            let held = unescaped.len();
            let close = loop {
                let Some(close) = memchr(b'"', &bytes[inside..]).map(|found| inside + found) else {
                    let error = Error::new(ErrorCode::BadData, "a quote opens here and is never closed");
                    debug_assert!(last, "only the last piece can end inside of a quote");
                    return Err(Misread::at(
                        u64::from(opened),
                        error.fix("close it, or double a quote that is a letter"),
                    ));
                };
                if bytes.get(close + 1) != Some(&b'"') {
                    break close;
                }
                unescaped.push_str(&text[plain_from..=close]);
                (inside, plain_from, is_plain) = (close + 2, close + 2, false);
            };
            cut.line += lines_of(&bytes[from..close], self.terminator) as u32;
            let after = close + 1;
            let end = memchr2(self.delimiter, self.terminator, &bytes[after..]).map_or(length, |found| after + found);
            let ends_row = end >= length || bytes[end] == self.terminator;
            let tail_end = if ends_row && self.terminator == b'\n' && end > after && bytes[end - 1] == b'\r' {
                end - 1
            } else {
                end
            };
            let (start, cell_length) = if is_plain && tail_end == after {
                (from, close - from)
            } else {
                unescaped.push_str(&text[plain_from..close]);
                unescaped.push_str(&text[after..tail_end]);
                (length + held, unescaped.len() - held)
            };
            self.push(cut, CellKind::Untyped, start, cell_length)?;
            if ends_row {
                self.close(cut, (end + 1).min(length));
                cut.line += 1;
                cut.row_line = cut.line;
            }
            place = end + 1;
        }
        // The file ends behind a delimiter: an empty field, and the row, are still to be taken.
        if cut.field > 0 {
            self.end_row(cut, bytes, length, length)?;
        }
        text.push_str(&unescaped);
        cut.text = text;
        Ok(())
    }

    #[inline]
    fn push(&self, cut: &mut Cut, kind: CellKind, start: usize, length: usize) -> Result<(), Misread> {
        let field = cut.field;
        cut.field += 1;
        let column = match self.kept {
            Some((kept, _)) => match kept.get(field) {
                Some(Some(column)) => *column,
                _ => return Ok(()),
            },
            None => {
                cut.columns.push(Vec::new());
                field
            }
        };
        if length > self.limits.cell_bytes {
            check_cell(length, self.limits).map_err(|error| {
                let error = match self.kept {
                    Some((_, names)) => error.at_column(&names[column]),
                    None => error,
                };
                Misread::at(u64::from(cut.row_line), error)
            })?;
        }
        cut.columns[column].push(if length == 0 { Span::MISSING } else { Span::new(kind, start, length) });
        Ok(())
    }

    /// Ends a row that has at least one field, before `end`.
    #[inline]
    fn close(&self, cut: &mut Cut, end: usize) {
        let row = cut.rows;
        cut.ends.push(end as u32);
        if cut.field != self.width && self.kept.is_some() {
            cut.ragged.push(RaggedRow { row, fields: cut.field });
            for column in &mut cut.columns {
                column.resize(row + 1, Span::MISSING);
            }
        }
        match &mut cut.lines {
            Some(lines) => lines.push(cut.row_line),
            None if cut.row_line as usize != row => {
                let mut lines: Vec<u32> = (0..row as u32).collect();
                lines.push(cut.row_line);
                cut.lines = Some(lines);
            }
            None => {}
        }
        cut.rows += 1;
        cut.field = 0;
    }
}
