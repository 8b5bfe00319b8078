//! Rows that arrive one request after the other, from HTTP or standard input: held against their dataset's columns,
//! kept, and made a version of the dataset when they are committed.

use crate::artifact::Collected;
use crate::stages::parts;
use lepton_core::{Cancel, Digest, Error, ErrorCode, Limits, ModelName, Progress, Result};
use lepton_data::{CollectSettings, Dataset, Format, StreamSchema, fit_lines};
use lepton_store::{AcceptedRows, DatasetRecord, Store, StreamReceipt, StreamRequest};
use serde::Serialize;
use serde_json::Value;
use std::path::PathBuf;

/// When rows that arrived become a version by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamThreshold {
    /// As soon as this many rows are not in a version ...
    pub rows: u64,
    /// ... or this many bytes.
    pub bytes: u64,
}

impl Default for StreamThreshold {
    fn default() -> StreamThreshold {
        StreamThreshold { rows: 100_000, bytes: 64 << 20 }
    }
}

/// A version that was made of arrived rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VersionView {
    /// The dataset.
    pub dataset: String,
    /// The version's hash.
    pub version: Digest,
    /// All its rows.
    pub rows: usize,
    /// Segments that it was read from.
    pub segments: usize,
}

/// Takes JSON lines for `dataset`, all or none. When this returns, they survive a killed process. `key` names the
/// request: the same key and body again change nothing and get the first answer.
///
/// # Errors
/// [`ErrorCode::Usage`] for a name that cannot be one; those of [`fit_lines`] and [`Store::append`].
pub fn append_rows(
    store: &Store,
    dataset: &str,
    body: &[u8],
    key: Option<&str>,
    new_columns: bool,
    limits: &Limits,
) -> Result<StreamReceipt> {
    check_dataset_name(dataset)?;
    let request = StreamRequest { key, body: Digest::of(body) };
    store.append(dataset, &request, |state| {
        let schema = match state {
            Some(state) => read_schema(&state.schema)?,
            None => StreamSchema::default(),
        };
        let fitting = fit_lines(body, &schema, new_columns, limits)?;
        let schema = serde_json::to_value(&fitting.schema)
            .map_err(|source| Error::internal(format!("the columns cannot be kept: {source}")))?;
        Ok(AcceptedRows { lines: fitting.lines, rows: fitting.rows, schema })
    })
}

fn read_schema(value: &Value) -> Result<StreamSchema> {
    serde_json::from_value(value.clone())
        .map_err(|source| Error::new(ErrorCode::Integrity, format!("the dataset's columns cannot be read: {source}")))
}

/// Names of datasets that rows arrive for are like those of models: they stand in paths of URLs and in `NAME@HASH`.
///
/// # Errors
/// [`ErrorCode::Usage`] for a name that cannot be one.
pub fn check_dataset_name(dataset: &str) -> Result<()> {
    dataset.parse::<ModelName>().map(|_| ()).map_err(|error| {
        let error = Error::new(ErrorCode::Usage, error.message().replace("a model", "a dataset"));
        error.fix("use 1 to 64 letters, digits, '-', '_' or '.', starting with a letter or digit")
    })
}

/// Whether enough rows wait to become a version.
///
/// # Errors
/// Those of the store.
pub fn is_full(store: &Store, dataset: &str, threshold: StreamThreshold) -> Result<bool> {
    let state = store.stream(dataset)?;
    Ok(state.is_some_and(|state| state.rows >= threshold.rows || state.bytes >= threshold.bytes))
}

/// Makes a version of all rows that arrived so far. Chunks of the version before are shared; where nothing arrived
/// since, that version is given again.
///
/// # Errors
/// [`ErrorCode::NotFound`] for a dataset that nothing arrived for; those of reading the rows and of the store.
pub fn commit_rows(
    store: &Store,
    dataset: &str,
    limits: &Limits,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<VersionView> {
    check_dataset_name(dataset)?;
    let segments = store.seal(dataset)?;
    let files = segments.iter().map(|segment| (segment.blob, segment_name(dataset, segment.segment))).collect();
    let data = read_segments(store, dataset, files, &CollectSettings::default(), limits, progress, cancel)?;
    let collected = Collected {
        dataset: dataset.to_owned(),
        digest: data.digest()?,
        parts: parts::save(store, &data.parts, &data.schema)?,
        schema: data.schema,
        target: data.target,
        source: data.source,
        origin: Vec::new(),
        unreadable: Vec::new(),
    };
    let manifest = serde_json::to_value(&collected)
        .map_err(|source| Error::internal(format!("the dataset cannot be recorded: {source}")))?;
    store.register_dataset(dataset, &collected.digest, &manifest)?;
    let rows = collected.parts.values().map(|part| part.rows).sum();
    Ok(VersionView { dataset: dataset.to_owned(), version: collected.digest, rows, segments: segments.len() })
}

fn segment_name(dataset: &str, segment: u64) -> PathBuf {
    PathBuf::from(SEGMENTS).join(dataset).join(format!("{segment:08}.ndjson"))
}

/// Where the source files of arrived rows seem to lie; their bytes are blobs.
const SEGMENTS: &str = "stream";

/// Reads segments as one table. They were held against the columns when they came, so a segment in which a column is
/// missing or empty is fine.
fn read_segments(
    store: &Store,
    dataset: &str,
    segments: Vec<(Digest, PathBuf)>,
    settings: &CollectSettings,
    limits: &Limits,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Dataset> {
    let mut paths = Vec::new();
    for (blob, _) in &segments {
        let gone = || Error::new(ErrorCode::NotFound, format!("a segment of \"{dataset}\" is gone: blob {blob}"));
        store.blobs().verify(blob)?;
        paths.push(store.blobs().path(blob).ok_or_else(gone)?);
    }
    let settings = CollectSettings { format: Some(Format::Jsonl), ..settings.clone() };
    let mut data = lepton_data::read_files(&settings, paths, limits, progress, cancel)?;
    data.name = dataset.to_owned();
    for (file, (_, name)) in data.source.iter_mut().zip(segments) {
        file.path = name;
    }
    Ok(data)
}

/// Whether a version is of rows that arrived, which are a source by themselves.
pub(crate) fn has_arrived(collected: &Collected) -> bool {
    collected.source.iter().any(|file| file.path.starts_with(SEGMENTS))
}

/// A version of arrived rows as a source of a project: read again, so that the project's own `target`, `columns` and
/// `ignore` hold.
pub(crate) fn collect_stream(
    store: &Store,
    record: &DatasetRecord,
    settings: &CollectSettings,
    limits: &Limits,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Dataset> {
    let collected: Option<Collected> = serde_json::from_value(record.manifest.clone()).ok();
    let segments: Vec<(Digest, PathBuf)> = collected
        .into_iter()
        .flat_map(|collected| collected.source)
        .filter(|file| file.path.starts_with(SEGMENTS))
        .map(|file| (file.sha256, file.path))
        .collect();
    if segments.is_empty() {
        let message = format!("\"{}\" was collected from files, not from rows that arrived", record.name);
        return Err(Error::new(ErrorCode::Unsupported, message)
            .at_key("collect.dataset")
            .fix("set `path` to the files themselves"));
    }
    if settings.target.is_none() {
        return Err(Error::new(ErrorCode::Config, "a table needs the name of the column to predict")
            .at_key("collect.target")
            .fix("set `target` under [collect]"));
    }
    read_segments(store, &record.name, segments, settings, limits, progress, cancel)
}
