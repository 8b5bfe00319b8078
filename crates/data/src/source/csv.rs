//! Delimited text with a header line: RFC 4180, UTF-8, an optional byte-order mark. An empty cell is missing.

use super::table::{Cells, RawColumn, RawTable};
use super::{Context, hash_file};
use ::csv::{Position, Reader, ReaderBuilder, StringRecord};
use arrow_array::builder::LargeStringBuilder;
use lepton_core::{Error, ErrorCode, Result};
use std::fs::File;
use std::path::Path;

/// Rows between two looks at the cancel flag.
const CHUNK: usize = 10_000;

/// Reads a file. Rows in errors are lines of the file; the header is line 1.
pub(super) fn read(context: &Context<'_>, path: &Path) -> Result<RawTable> {
    let source = hash_file(path)?;
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(context, path)?)
        .from_reader(File::open(path).map_err(|source| Error::io("read the file", path, source))?);
    let mut record = StringRecord::new();
    if !next(&mut reader, &mut record, path)? {
        return Err(
            Error::new(ErrorCode::BadData, "the file is empty; its first line must name the columns").in_file(path)
        );
    }
    let names: Vec<String> = record.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect();
    if names.len() > context.limits.csv_columns {
        let message = format!("{} columns, the limit csv_columns is {}", names.len(), context.limits.csv_columns);
        return Err(Error::new(ErrorCode::TooLarge, message).in_file(path).at_row(1));
    }
    let too_long = |cell: &str| {
        (cell.len() > context.limits.cell_bytes).then(|| {
            let limit = context.limits.cell_bytes;
            Error::new(ErrorCode::TooLarge, format!("a cell of {} bytes, the limit cell_bytes is {limit}", cell.len()))
        })
    };
    if let Some(error) = names.iter().find_map(|name| too_long(name)) {
        return Err(error.in_file(path).at_row(1));
    }
    let mut builders: Vec<LargeStringBuilder> = names.iter().map(|_| LargeStringBuilder::new()).collect();
    let mut lines = Vec::new();
    while next(&mut reader, &mut record, path)? {
        let line = record.position().map_or(0, Position::line);
        let placed = |error: Error| error.in_file(path).at_row(line);
        if record.len() != names.len() {
            let message = format!("{} fields where the header has {}", record.len(), names.len());
            return Err(placed(Error::new(ErrorCode::BadData, message))
                .fix("quote fields that contain the delimiter, and give every row all fields"));
        }
        for ((builder, cell), name) in builders.iter_mut().zip(&record).zip(&names) {
            if let Some(error) = too_long(cell) {
                return Err(placed(error).at_column(name));
            }
            builder.append_option((!cell.is_empty()).then_some(cell));
        }
        lines.push(line);
        if lines.len() % CHUNK == 0 {
            context.cancel.check()?;
            context.advanced(&path.display().to_string(), lines.len(), None);
        }
    }
    let column =
        |(name, mut builder): (String, LargeStringBuilder)| RawColumn { name, cells: Cells::Untyped(builder.finish()) };
    Ok(RawTable { columns: names.into_iter().zip(builders).map(column).collect(), lines: Some(lines), source })
}

fn delimiter(context: &Context<'_>, path: &Path) -> Result<u8> {
    match context.settings.delimiter {
        None if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tsv")) => Ok(b'\t'),
        None => Ok(b','),
        Some(delimiter) if delimiter.is_ascii() && !matches!(delimiter, '"' | '\n' | '\r') => Ok(delimiter as u8),
        Some(delimiter) => Err(Error::new(ErrorCode::Config, format!("{delimiter:?} cannot separate fields"))
            .at_key("collect.delimiter")
            .fix("use one ASCII character, for example \";\"")),
    }
}

fn next(reader: &mut Reader<File>, record: &mut StringRecord, path: &Path) -> Result<bool> {
    reader.read_record(record).map_err(|source| match source.into_kind() {
        ::csv::ErrorKind::Io(source) => Error::io("read the file", path, source),
        ::csv::ErrorKind::Utf8 { pos, err } => {
            let error = Error::new(ErrorCode::BadData, format!("the text is not UTF-8: {err}")).in_file(path);
            let error = match pos {
                Some(pos) => error.at_row(pos.line()),
                None => error,
            };
            error.fix("save the file as UTF-8")
        }
        other => Error::new(ErrorCode::BadData, format!("the file cannot be read as CSV: {other:?}")).in_file(path),
    })
}
