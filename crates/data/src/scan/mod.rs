//! One pass over a table of any size: CSV, JSON lines, a JSON array of objects, Parquet, or Arrow IPC.
//!
//! [`Scan::open`] looks at the file's beginning. [`Scan::fold`] then reads it piece by piece: one thread at a time
//! cuts the next piece where a record ends, several parse pieces and work on them, and the results are joined in the
//! order of the file. So the result does not depend on the number of threads, an error is the first one of the file,
//! and memory is bounded by the number of threads and not by the size of the file. [`Table::read`] keeps all pieces.
//!
//! - `blocks`: the file's bytes, unpacked, decoded, hashed and cut where records end.
//! - `csv`, `json`, `parquet`, `arrow`: one piece to one [`Chunk`]; `batch` is what the last two share.
//! - `rewrite`: a copy of a binary file with changes.
//! - `chunk`: the cells. `table`: all chunks of a file, by row. `typed`: a dataset's rows as chunks.

mod arrow;
mod batch;
mod blocks;
mod chunk;
mod csv;
mod encoding;
mod fold;
mod json;
mod parquet;
mod rewrite;
mod table;
#[cfg(test)]
mod tests;
mod typed;

pub use chunk::{Cell, CellKind, Chunk, Column, RaggedRow};
pub use fold::{Position, Work};
pub use json::json_entries;
pub use lepton_recipe::raw::number_text;
pub use lepton_recipe::written::parse_number;
pub use rewrite::{Changes, rewrite};
pub use table::Table;
pub use typed::typed_chunks;

use crate::dataset::SourceFile;
use blocks::Blocks;
use lepton_core::{Error, ErrorCode, Limits, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A format of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Delimited text with a header line: RFC 4180, an optional byte-order mark. An empty cell is missing, a blank
    /// line is no row.
    Csv,
    /// One JSON object per line, or one array of objects. A key that is not there, `null` and `""` are missing.
    Json,
    /// Apache Parquet. Numbers become 64-bit floats where they have the same value, else text; an empty text is
    /// missing.
    Parquet,
    /// Arrow IPC, as a file (Feather version 2) or as a stream; values as with Parquet.
    Arrow,
}

impl TableFormat {
    /// All formats.
    pub const ALL: [TableFormat; 4] = [TableFormat::Csv, TableFormat::Json, TableFormat::Parquet, TableFormat::Arrow];

    /// The name: `csv`, `json`, `parquet` or `arrow`.
    pub fn name(self) -> &'static str {
        match self {
            TableFormat::Csv => "csv",
            TableFormat::Json => "json",
            TableFormat::Parquet => "parquet",
            TableFormat::Arrow => "arrow",
        }
    }

    /// The format that a file's name says; `.gz` after `.csv`, `.tsv`, `.json`, `.jsonl` or `.ndjson` is allowed.
    pub fn of(path: &Path) -> Option<TableFormat> {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let plain = name.strip_suffix(".gz");
        match plain.unwrap_or(&name).rsplit_once('.')?.1 {
            "csv" | "tsv" => Some(TableFormat::Csv),
            "json" | "jsonl" | "ndjson" => Some(TableFormat::Json),
            "parquet" if plain.is_none() => Some(TableFormat::Parquet),
            "arrow" | "arrows" | "feather" | "ipc" if plain.is_none() => Some(TableFormat::Arrow),
            _ => None,
        }
    }
}

impl std::str::FromStr for TableFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<TableFormat> {
        TableFormat::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| {
            Error::new(ErrorCode::Usage, format!("there is no format \"{name}\""))
                .fix("it is csv, json, parquet or arrow")
        })
    }
}

/// What a row does that has more or fewer fields than the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ragged {
    /// It is an error with its line.
    #[default]
    Refuse,
    /// It is listed in [`Chunk::ragged`]; fields that it lacks are missing, those it has more are not kept.
    Keep,
}

/// How a table is read.
#[derive(Clone, Debug)]
pub struct ScanOptions {
    /// The format, where the file's name does not say it.
    pub format: Option<TableFormat>,
    /// Between the fields of a CSV, an ASCII character. `None`: a tab for `.tsv`, else what the header line has of
    /// comma, semicolon, tab and bar (the first of these where it has several).
    pub delimiter: Option<u8>,
    /// The encoding of a text file by its label in the WHATWG's Encoding Standard, for example `latin1`. `None`:
    /// UTF-8, or UTF-16 where a byte-order mark says so.
    pub encoding: Option<String>,
    /// What ragged rows do.
    pub ragged: Ragged,
    /// Columns that are not read at all.
    pub ignore: Vec<String>,
    /// Limits on columns and cells.
    pub limits: Limits,
    /// Bytes of a text file that are parsed at once; a longer record is parsed alone.
    pub piece_bytes: usize,
}

impl Default for ScanOptions {
    fn default() -> ScanOptions {
        ScanOptions {
            format: None,
            delimiter: None,
            encoding: None,
            ragged: Ragged::default(),
            ignore: Vec::new(),
            limits: Limits::default(),
            piece_bytes: 4 << 20,
        }
    }
}

/// A file whose beginning was looked at.
pub struct Scan {
    path: PathBuf,
    reader: Reader,
    ragged: Ragged,
    limits: Limits,
}

enum Reader {
    Csv { blocks: Blocks, header: csv::Header },
    Json { blocks: Blocks, ignore: Vec<String> },
    Parquet { groups: parquet::Groups, source: SourceFile },
    Arrow { batches: Box<arrow::Batches>, source: SourceFile },
}

impl Scan {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] and [`ErrorCode::Io`] for a file that cannot be opened; [`ErrorCode::Config`] for a
    /// format that its name does not say, a delimiter or an encoding that is none; [`ErrorCode::BadData`] for a file
    /// without a header, with a nameless or doubled column, or that is not of its format; [`ErrorCode::TooLarge`]
    /// past a limit, by its name.
    pub fn open(path: &Path, options: &ScanOptions) -> Result<Scan> {
        let placed = |error: Error| match error.place().file {
            Some(_) => error,
            None => error.in_file(path),
        };
        let format = options.format.or_else(|| TableFormat::of(path)).ok_or_else(|| {
            Error::new(ErrorCode::Config, "the format cannot be told from the file's name")
                .in_file(path)
                .fix("name it .csv, .tsv, .json, .jsonl, .ndjson, .parquet, .arrow or .feather, or say its format")
        })?;
        let reader = match format {
            TableFormat::Csv => {
                let mut blocks = Blocks::open(path, options).map_err(placed)?;
                let header = csv::Header::read(&mut blocks, path, options).map_err(placed)?;
                check_names(&header.names).map_err(|error| placed(error).at_row(1))?;
                Reader::Csv { blocks, header }
            }
            TableFormat::Json => {
                let mut blocks = Blocks::open(path, options).map_err(placed)?;
                blocks.begin_json().map_err(placed)?;
                Reader::Json { blocks, ignore: options.ignore.clone() }
            }
            TableFormat::Parquet => {
                let source = crate::source::hash_file(path)?;
                let groups = parquet::Groups::open(path, options).map_err(placed)?;
                check_names(&groups.all_names()).map_err(placed)?;
                Reader::Parquet { groups, source }
            }
            TableFormat::Arrow => {
                let source = crate::source::hash_file(path)?;
                let batches = Box::new(arrow::Batches::open(path, options).map_err(placed)?);
                check_names(&batches.all_names()).map_err(placed)?;
                Reader::Arrow { batches, source }
            }
        };
        Ok(Scan { path: path.to_path_buf(), reader, ragged: options.ragged, limits: options.limits.clone() })
    }

    /// The names of all columns of the file, ignored ones included; `None` for JSON, whose columns are known when
    /// its last row was read.
    pub fn names(&self) -> Option<Vec<String>> {
        match &self.reader {
            Reader::Csv { header, .. } => Some(header.names.to_vec()),
            Reader::Json { .. } => None,
            Reader::Parquet { groups, .. } => Some(groups.all_names()),
            Reader::Arrow { batches, .. } => Some(batches.all_names()),
        }
    }

    /// The names of the columns that are read, where they are known.
    fn kept_names(&self) -> Option<Vec<String>> {
        match &self.reader {
            Reader::Csv { header, .. } => Some(header.kept_names.to_vec()),
            Reader::Json { .. } => None,
            Reader::Parquet { groups, .. } => Some(groups.names.to_vec()),
            Reader::Arrow { batches, .. } => Some(batches.names.to_vec()),
        }
    }

    /// The file's format.
    pub fn format(&self) -> TableFormat {
        match &self.reader {
            Reader::Csv { .. } => TableFormat::Csv,
            Reader::Json { .. } => TableFormat::Json,
            Reader::Parquet { .. } => TableFormat::Parquet,
            Reader::Arrow { .. } => TableFormat::Arrow,
        }
    }

    fn text_form(&self) -> TextForm {
        match &self.reader {
            Reader::Csv { header, .. } => header.form(),
            Reader::Json { blocks, .. } if blocks.is_array() => TextForm::JsonArray,
            Reader::Json { .. } => TextForm::JsonLines,
            Reader::Parquet { .. } => TextForm::Parquet,
            Reader::Arrow { .. } => TextForm::Arrow,
        }
    }

    /// The delimiter of a CSV, as it was set or found.
    pub fn delimiter(&self) -> Option<u8> {
        match &self.reader {
            Reader::Csv { header, .. } => Some(header.delimiter),
            Reader::Json { .. } | Reader::Parquet { .. } | Reader::Arrow { .. } => None,
        }
    }
}

/// How a table is written, as far as a copy must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextForm {
    /// As CSV: the header with the end of its line, the delimiter, the byte that ends a row.
    Csv {
        /// The first record as it is in the file.
        header: String,
        /// Between fields.
        delimiter: u8,
        /// `\n`, or `\r` where the file has nothing else; `\r\n` where the header ends so.
        end: &'static str,
    },
    /// One JSON object per line.
    JsonLines,
    /// One JSON array of objects.
    JsonArray,
    /// Parquet has no text.
    Parquet,
    /// Arrow IPC has none either.
    Arrow,
}

impl TextForm {
    /// The format.
    pub fn format(&self) -> TableFormat {
        match self {
            TextForm::Csv { .. } => TableFormat::Csv,
            TextForm::JsonLines | TextForm::JsonArray => TableFormat::Json,
            TextForm::Parquet => TableFormat::Parquet,
            TextForm::Arrow => TableFormat::Arrow,
        }
    }

    /// The delimiter of a CSV.
    pub fn delimiter(&self) -> Option<u8> {
        match self {
            TextForm::Csv { delimiter, .. } => Some(*delimiter),
            TextForm::JsonLines | TextForm::JsonArray | TextForm::Parquet | TextForm::Arrow => None,
        }
    }
}

/// Every column has a name of its own.
pub(crate) fn check_names(names: &[String]) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for (place, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(Error::new(ErrorCode::BadData, format!("column {} has no name", place + 1))
                .fix("give every column a name in the header"));
        }
        if !seen.insert(name) {
            return Err(Error::new(ErrorCode::BadData, "two columns have this name")
                .at_column(name)
                .fix("rename one of them in the header"));
        }
    }
    Ok(())
}

/// No more columns than the limit.
///
/// # Errors
/// [`ErrorCode::TooLarge`], naming the limit `csv_columns`.
pub fn check_columns(columns: usize, limits: &Limits) -> Result<()> {
    if columns <= limits.csv_columns {
        return Ok(());
    }
    let message = format!("{columns} columns, the limit csv_columns is {}", limits.csv_columns);
    Err(Error::new(ErrorCode::TooLarge, message))
}

/// No longer cell than the limit, and than a chunk can hold.
fn check_cell(bytes: usize, limits: &Limits) -> Result<()> {
    let most = limits.cell_bytes.min(chunk::LONGEST_CELL);
    if bytes <= most {
        return Ok(());
    }
    Err(Error::new(ErrorCode::TooLarge, format!("a cell of {bytes} bytes, the limit cell_bytes is {most}")))
}

/// An error and the line of a piece that it is about, counted from the piece's first line (0).
#[derive(Debug)]
struct Misread {
    line: Option<u64>,
    error: Error,
}

impl From<Error> for Misread {
    fn from(error: Error) -> Misread {
        Misread { line: None, error }
    }
}

impl Misread {
    fn at(line: u64, error: Error) -> Misread {
        Misread { line: Some(line), error }
    }
}

/// The names that all chunks of a file share.
type Names = Arc<[String]>;
