//! Files of labelled series: the `.ts` format of the UCR and UEA archives and the older tab-separated one. One file is
//! one part; a dataset has the columns `series` and `label`.

mod header;
mod lines;
#[cfg(test)]
mod tests;
mod ts;
mod tsv;

use super::{Context, LABEL};
use crate::dataset::{Dataset, SourceFile};
use crate::settings::{Format, PartsPolicy, UnreadablePolicy};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use lepton_core::series::{SeriesBuilder, SeriesRef};
use lepton_core::{Column, ColumnKind, Error, ErrorCode, Result, Schema, Split};
use lepton_recipe::raw;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use ts::{LabelledSeries, Labels};

/// The column of the series.
pub(crate) const SERIES: &str = "series";

/// The dataset of these files. Labels are classes or, after `@targetLabel`, numbers.
///
/// # Errors
/// [`ErrorCode::BadData`] with file and line for what breaks the format, for a file without labels, and for parts of
/// which one has classes and one numbers, or other dimensions; [`ErrorCode::Config`] for settings that series do not
/// have; [`ErrorCode::TooLarge`] past `series_values`.
pub(crate) fn collect(
    context: &Context<'_>,
    name: &str,
    format: Format,
    parts: &BTreeMap<Split, PathBuf>,
) -> Result<Dataset> {
    refuse_other_settings(context)?;
    let mut dataset = Dataset::empty(name, Schema::default(), LABEL);
    let mut first: Option<(ColumnKind, usize)> = None;
    for (&split, path) in parts {
        context.cancel.check()?;
        let (read, source) = read(context, format, path)?;
        let labels = labels(&read).map_err(|error| error.in_file(path))?;
        let found = (labels.0, read.dimensions);
        match first {
            None => first = Some(found),
            Some(wanted) if wanted != found => return Err(differs(wanted, found).in_file(path)),
            Some(_) => {}
        }
        let schema = schema(labels.0);
        let columns = vec![column(&read), labels.1];
        let batch = RecordBatch::try_new(raw::arrow_schema(&schema), columns)
            .map_err(|source| Error::internal(format!("columns of series do not fit: {source}")))?;
        context.advanced(&format!("{name} {split}"), batch.num_rows(), Some(batch.num_rows()));
        dataset.source.push(source);
        dataset.parts.insert(split, batch);
        dataset.schema = schema;
    }
    Ok(dataset)
}

fn schema(label: ColumnKind) -> Schema {
    let column = |name: &str, kind| Column { name: name.to_owned(), kind, nullable: false };
    Schema { columns: vec![column(SERIES, ColumnKind::Series), column(LABEL, label)] }
}

fn read(context: &Context<'_>, format: Format, path: &Path) -> Result<(LabelledSeries, SourceFile)> {
    let (bytes, source) = super::read_file(path)?;
    let read = match format {
        Format::Ucr => tsv::read_tsv(&mut bytes.as_slice(), context.limits),
        _ => ts::read_ts(&mut bytes.as_slice(), context.limits),
    };
    Ok((read.map_err(|error| error.in_file(path))?, source))
}

/// The label of each case, and what the column holds.
fn labels(read: &LabelledSeries) -> Result<(ColumnKind, ArrayRef)> {
    match &read.labels {
        Labels::Classes { names, of_case } => {
            let texts = of_case.iter().map(|class| Some(names[*class].as_str()));
            Ok((ColumnKind::Category, Arc::new(texts.collect::<StringArray>())))
        }
        Labels::Targets(numbers) => Ok((ColumnKind::Number, Arc::new(Float64Array::from(numbers.clone())))),
        Labels::None => {
            let message = "the file says \"@classLabel false\": its series have no labels to learn";
            Err(Error::new(ErrorCode::BadData, message)
                .fix("put the class behind the last ':' of each line and write \"@classLabel true\" and the classes"))
        }
    }
}

/// `[case][dimension][time]` as a column whose values lie step by step.
fn column(read: &LabelledSeries) -> ArrayRef {
    let mut builder = SeriesBuilder::default();
    for case in &read.series {
        let length = case.first().map_or(0, Vec::len);
        let steps = (0..length).flat_map(|step| case.iter().map(move |dimension| dimension[step]));
        let values: Vec<f32> = steps.collect();
        builder.push(Some(SeriesRef { dimensions: read.dimensions, values: &values }));
    }
    builder.finish()
}

fn differs(wanted: (ColumnKind, usize), found: (ColumnKind, usize)) -> Error {
    let message = if wanted.0 != found.0 {
        "one part has classes as labels and the other has numbers".to_owned()
    } else {
        format!("the series of this part have {} dimensions, those of the other part {}", found.1, wanted.1)
    };
    Error::new(ErrorCode::BadData, message).fix("name files of the same data")
}

/// The settings that tables and pictures have, refused rather than ignored.
fn refuse_other_settings(context: &Context<'_>) -> Result<()> {
    let settings = context.settings;
    // Whoever compares files with a dataset says what its columns are.
    let is_own = |(name, kind): (&String, &ColumnKind)| {
        matches!(
            (name.as_str(), kind),
            (SERIES, ColumnKind::Series) | (LABEL, ColumnKind::Category | ColumnKind::Number)
        )
    };
    let others = [
        ("collect.columns", !settings.columns.iter().all(is_own)),
        ("collect.ignore", !settings.ignore.is_empty()),
        ("collect.delimiter", settings.delimiter.is_some()),
        ("collect.encoding", settings.encoding.is_some()),
        ("collect.target", settings.target.as_deref().is_some_and(|target| target != LABEL)),
        ("collect.images", settings.images.is_some()),
        ("collect.parts", settings.parts != PartsPolicy::default()),
        ("collect.unreadable", settings.unreadable != UnreadablePolicy::default()),
    ];
    match others.into_iter().find(|(_, set)| *set) {
        Some((key, _)) => Err(Error::new(ErrorCode::Config, "this setting is not for series")
            .at_key(key)
            .fix(format!("remove it; series have the columns \"{SERIES}\" and \"{LABEL}\""))),
        None => Ok(()),
    }
}
