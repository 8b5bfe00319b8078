//! `lepton predict`: what a person has at hand (a picture, a row, a table) to answers.

use lepton_core::{ColumnKind, Error, ErrorCode, Limits, Prediction, Result, Schema};
use lepton_recipe::raw;
use lepton_runtime::Model;
use std::path::Path;

/// One thing to predict for, as its bytes and where they came from.
#[derive(Clone, Debug)]
pub struct PredictInput {
    /// The file's name, `-`, or the text as typed; for errors and for the printed answer.
    pub origin: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether `bytes` is a row typed on the command line: a CSV row then needs no header.
    pub typed: bool,
}

impl PredictInput {
    /// Reads what was typed: an existing file, or a JSON or CSV row.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for what is neither; [`ErrorCode::TooLarge`] past the limit `body_bytes`.
    pub fn from_argument(text: &str, limits: &Limits) -> Result<PredictInput> {
        let path = Path::new(text);
        match std::fs::metadata(path) {
            Ok(file) if file.len() > limits.body_bytes => Err(too_large(file.len(), limits).in_file(path)),
            Ok(_) => {
                let bytes = std::fs::read(path).map_err(|source| Error::io("read the input", path, source))?;
                Ok(PredictInput { origin: text.to_owned(), bytes, typed: false })
            }
            Err(_) if text.trim_start().starts_with(['{', '[']) || text.contains(',') => {
                Ok(PredictInput { origin: text.to_owned(), bytes: text.as_bytes().to_vec(), typed: true })
            }
            Err(source) => Err(Error::io("read the input", path, source)
                .fix("name a PNG, JPEG, CSV or JSON file, type a JSON or CSV row, or use - for standard input")),
        }
    }

    /// Reads all of `reader`.
    ///
    /// # Errors
    /// [`ErrorCode::TooLarge`] past the limit `body_bytes`.
    pub fn from_reader(origin: &str, reader: impl std::io::Read, limits: &Limits) -> Result<PredictInput> {
        let mut bytes = Vec::new();
        let mut bounded = std::io::Read::take(reader, limits.body_bytes + 1);
        std::io::Read::read_to_end(&mut bounded, &mut bytes)
            .map_err(|source| Error::io("read the input", origin, source))?;
        if bytes.len() as u64 > limits.body_bytes {
            return Err(too_large(bytes.len() as u64, limits).in_file(origin));
        }
        Ok(PredictInput { origin: origin.to_owned(), bytes, typed: false })
    }
}

fn too_large(bytes: u64, limits: &Limits) -> Error {
    Error::new(ErrorCode::TooLarge, format!("{bytes} bytes, and the limit body_bytes is {}", limits.body_bytes))
}

/// The answers for one input: one for a picture or a row, one per row for a table.
///
/// # Errors
/// Those of decoding, of the recipe and of the engine, naming the input.
pub fn predict(model: &Model, input: &PredictInput, limits: &Limits) -> Result<Vec<Prediction>> {
    let schema = model.inputs();
    let rows = rows(schema, input, limits).map_err(|error| {
        if error.place().file.is_none() && !input.typed { error.in_file(&input.origin) } else { error }
    })?;
    model.predict(&rows)
}

fn rows(schema: &Schema, input: &PredictInput, limits: &Limits) -> Result<arrow_array::RecordBatch> {
    if schema.columns.is_empty() {
        return Err(Error::new(ErrorCode::Unsupported, "this model says nothing about its raw inputs")
            .fix("a bare ONNX file takes tensors: serve it and use POST /v2/models/NAME/infer"));
    }
    let wants_picture = schema.columns.len() == 1 && schema.columns[0].kind == ColumnKind::Image;
    let text = std::str::from_utf8(&input.bytes).map(str::trim_start);
    match text {
        Ok(text) if text.starts_with('{') || text.starts_with('[') => json_rows(schema, text, limits),
        Ok(text) if !wants_picture && input.typed && !text.trim_end().contains('\n') => {
            raw::rows_from_csv(schema, with_header(schema, text).as_bytes(), limits)
        }
        Ok(_) if !wants_picture => raw::rows_from_csv(schema, &input.bytes, limits),
        _ if wants_picture => raw::rows_from_pictures(schema, &[&input.bytes], limits),
        _ => Err(Error::new(ErrorCode::BadInput, "not text, and this model takes table rows")
            .fix("give a CSV file with a header, or a JSON object")),
    }
}

/// A typed CSV row under a header made from the model's own columns.
fn with_header(schema: &Schema, row: &str) -> String {
    let names: Vec<String> = schema.names().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
    format!("{}\n{row}\n", names.join(","))
}

fn json_rows(schema: &Schema, text: &str, limits: &Limits) -> Result<arrow_array::RecordBatch> {
    let bad = |source: serde_json::Error| {
        Error::new(ErrorCode::BadInput, format!("not JSON: {source}")).at_row(source.line() as u64)
    };
    // One object, a list of objects, or one object per line.
    let mut rows = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>() {
        match value.map_err(bad)? {
            serde_json::Value::Array(items) => rows.extend(items),
            other => rows.push(other),
        }
    }
    raw::rows_from_json(schema, &rows, limits)
}
