//! Rows from CSV text with a header line.

use super::{ColumnBuilder, arrow_schema, check_rows};
use arrow_array::{RecordBatch, RecordBatchOptions};
use lepton_core::{Error, ErrorCode, Limits, Result, Schema, nearest};

/// Rows from CSV (RFC 4180, UTF-8, an optional byte-order mark) whose first line names the columns, in any
/// order. All columns of `schema` must be there; others are not looked at. An empty cell is missing. A series of
/// one dimension is a cell of numbers with `;` or spaces between them.
///
/// # Errors
/// With the line in the text (the header is line 1) and the column: [`ErrorCode::BadInput`] for ragged rows,
/// text that is not UTF-8, absent or repeated columns and wrong values; [`ErrorCode::TooLarge`] past
/// `batch_rows`, `csv_columns` or `cell_bytes`.
pub fn rows_from_csv(schema: &Schema, text: &[u8], limits: &Limits) -> Result<RecordBatch> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let mut record = csv::StringRecord::new();
    if !read(&mut reader, &mut record)? {
        return Err(Error::new(ErrorCode::BadInput, "the CSV is empty").fix("the first line names the columns"));
    }
    let mut header = record.clone();
    header.trim();
    if header.len() > limits.csv_columns {
        let message = format!("{} columns, the limit csv_columns is {}", header.len(), limits.csv_columns);
        return Err(Error::new(ErrorCode::TooLarge, message).at_row(1));
    }
    let places = schema.names().map(|name| place(&header, name)).collect::<Result<Vec<_>>>()?;
    let mut builders: Vec<_> = schema.columns.iter().map(|column| ColumnBuilder::new(column.kind)).collect();
    let mut rows = 0;
    while read(&mut reader, &mut record)? {
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != header.len() {
            let message = format!("{} fields where the header has {}", record.len(), header.len());
            return Err(Error::new(ErrorCode::BadInput, message).at_row(line).fix("quote fields that contain commas"));
        }
        rows += 1;
        check_rows(rows, limits)?;
        for ((builder, column), &place) in builders.iter_mut().zip(&schema.columns).zip(&places) {
            builder.push_text(&record[place], limits).map_err(|error| error.at_row(line).at_column(&column.name))?;
        }
    }
    let columns = builders.into_iter().map(ColumnBuilder::finish).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(arrow_schema(schema), columns, &options)
        .map_err(|source| Error::internal(format!("raw rows do not fit their schema: {source}")))
}

fn read(reader: &mut csv::Reader<&[u8]>, record: &mut csv::StringRecord) -> Result<bool> {
    reader.read_record(record).map_err(|source| {
        let error = Error::new(ErrorCode::BadInput, format!("the CSV cannot be read: {source}"));
        match source.position().map(csv::Position::line) {
            Some(line) => error.at_row(line),
            None => error,
        }
    })
}

fn place(header: &csv::StringRecord, name: &str) -> Result<usize> {
    let mut places = header.iter().enumerate().filter(|(_, other)| *other == name).map(|(place, _)| place);
    match (places.next(), places.next()) {
        (Some(place), None) => Ok(place),
        (Some(_), Some(_)) => {
            Err(Error::new(ErrorCode::BadInput, "the header names this column twice").at_column(name))
        }
        (None, _) => {
            let error =
                Error::new(ErrorCode::BadInput, "the header does not name this column").at_row(1).at_column(name);
            Err(match nearest(name, header.iter()) {
                Some(near) => error.fix(format!("is it the one that the header calls \"{near}\"?")),
                None => error,
            })
        }
    }
}
