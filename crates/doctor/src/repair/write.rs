//! A sheet as a file of the format that it came in. A row of text without a change is copied byte by byte; a file of
//! typed cells keeps its types.

use super::sheet::Sheet;
use lepton_core::{Error, Limits, Result};
use lepton_data::scan::{CellKind, Changes, TextForm, rewrite};
use std::io::Write;

/// Writes the sheet.
///
/// # Errors
/// Those of [`rewrite`] for Parquet and Arrow; [`ErrorCode::Io`] and [`ErrorCode::StorageFull`].
pub(super) fn write(sheet: &Sheet<'_>, output: &mut dyn Write) -> Result<()> {
    let path = &sheet.table.source().path;
    let failed = |source| Error::io("write the repaired table", path, source);
    match sheet.table.form() {
        TextForm::Csv { header, delimiter, end } => csv(sheet, header, *delimiter, end, output).map_err(failed),
        TextForm::JsonLines => json(sheet, false, output)?.map_err(failed),
        TextForm::JsonArray => json(sheet, true, output)?.map_err(failed),
        form @ (TextForm::Parquet | TextForm::Arrow) => {
            rewrite(path, form.format(), &Edits(sheet), &Limits::default(), output)
        }
    }
}

/// A sheet as changes of a file whose cells have types.
struct Edits<'a, 'b>(&'a Sheet<'b>);

impl Changes for Edits<'_, '_> {
    fn has_row(&self, row: usize) -> bool {
        self.0.has_row(row)
    }

    fn has_column(&self, column: usize) -> bool {
        self.0.has_column(column)
    }

    fn is_edited(&self, row: usize) -> bool {
        self.0.is_edited(row)
    }

    fn edit(&self, row: usize, column: usize) -> Option<Option<&str>> {
        let value = self.0.edit(row, column)?;
        Some((value.kind != CellKind::Missing).then_some(value.text.as_str()))
    }
}

fn csv(sheet: &Sheet<'_>, header: &str, delimiter: u8, end: &str, output: &mut dyn Write) -> std::io::Result<()> {
    let names = sheet.table.names();
    let kept: Vec<usize> = (0..names.len()).filter(|place| sheet.has_column(*place)).collect();
    if sheet.lost_columns() {
        let fields: Vec<&str> = kept.iter().map(|place| names[*place].as_str()).collect();
        fields_to(output, &fields, delimiter, end)?;
    } else {
        output.write_all(header.as_bytes())?;
        if !header.ends_with(['\n', '\r']) {
            output.write_all(end.as_bytes())?;
        }
    }
    // A last line without an end may be followed by another now.
    let mut open = false;
    for row in sheet.rows() {
        if open {
            output.write_all(end.as_bytes())?;
            open = false;
        }
        match sheet.table.record(row) {
            Some(record) if !sheet.is_edited(row) && !sheet.lost_columns() => {
                output.write_all(record.as_bytes())?;
                open = !record.ends_with(['\n', '\r']);
            }
            _ => {
                let cells: Vec<_> = kept.iter().map(|place| sheet.cell(row, *place)).collect();
                let fields: Vec<&str> = cells.iter().map(|cell| cell.text.as_ref()).collect();
                fields_to(output, &fields, delimiter, end)?;
            }
        }
    }
    Ok(())
}

fn fields_to(output: &mut dyn Write, fields: &[&str], delimiter: u8, end: &str) -> std::io::Result<()> {
    for (place, field) in fields.iter().enumerate() {
        if place > 0 {
            output.write_all(&[delimiter])?;
        }
        let must_quote = field.bytes().any(|byte| byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r'));
        // A lone empty field would be a blank line, which is no row.
        if must_quote || (fields.len() == 1 && field.is_empty()) {
            output.write_all(format!("\"{}\"", field.replace('"', "\"\"")).as_bytes())?;
        } else {
            output.write_all(field.as_bytes())?;
        }
    }
    output.write_all(end.as_bytes())
}

fn json(sheet: &Sheet<'_>, is_array: bool, output: &mut dyn Write) -> Result<std::io::Result<()>> {
    let mut pieces = Vec::new();
    let mut first = true;
    let rows: Vec<usize> = sheet.rows().collect();
    if is_array {
        pieces.push("[".to_owned());
    }
    for row in rows {
        // What stands before an object in its record: a bracket or a comma, and white space.
        let record = sheet.table.record(row).unwrap_or("{}");
        let start = record.find('{').unwrap_or(0);
        let object = record[start..].trim_end();
        if is_array {
            let space: String = record[..start].chars().filter(|letter| letter.is_whitespace()).collect();
            pieces.push(format!("{}{space}", if first { "" } else { "," }));
        }
        first = false;
        if sheet.is_edited(row) || sheet.lost_columns() {
            pieces.push(edited(sheet, row, object)?);
        } else {
            pieces.push(object.to_owned());
        }
        if !is_array {
            pieces.push("\n".to_owned());
        }
    }
    if is_array {
        pieces.push("\n]\n".to_owned());
    }
    Ok(pieces.iter().try_for_each(|piece| output.write_all(piece.as_bytes())))
}

/// An object with its changes: keys stay in their order and other values as they are written; a key that was not
/// there comes last.
fn edited(sheet: &Sheet<'_>, row: usize, object: &str) -> Result<String> {
    let entries = lepton_data::scan::json_entries(object)?;
    let names = sheet.table.names();
    let mut parts = Vec::new();
    for (key, raw) in &entries {
        let place = names.iter().position(|name| name == key);
        if place.is_some_and(|place| !sheet.has_column(place)) {
            continue;
        }
        let value = match place.and_then(|place| sheet.edit(row, place)) {
            Some(value) => raw_json(value),
            None => (*raw).to_owned(),
        };
        parts.push(format!("{}:{value}", serde_json::Value::from(key.as_ref())));
    }
    for (place, name) in names.iter().enumerate() {
        if sheet.has_column(place)
            && !entries.iter().any(|(key, _)| key == name)
            && let Some(value) = sheet.edit(row, place)
        {
            parts.push(format!("{}:{}", serde_json::Value::from(name.as_str()), raw_json(value)));
        }
    }
    Ok(format!("{{{}}}", parts.join(",")))
}

fn raw_json(value: &super::sheet::Value) -> String {
    match value.kind {
        CellKind::Missing => "null".to_owned(),
        CellKind::Untyped | CellKind::Text => serde_json::Value::from(value.text.as_str()).to_string(),
        CellKind::Number | CellKind::Boolean | CellKind::Nested => value.text.clone(),
    }
}
