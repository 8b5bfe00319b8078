//! Labelled sentences of the catalogue: one JSON array of `{"text", "class"}` for each source, class 0 or 1. They
//! become one table whose column `source` says where a sentence is from.

use super::{Context, read_file};
use crate::dataset::Dataset;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use lepton_core::{Column, ColumnKind, Error, ErrorCode, Result, Schema, Split, nearest};
use lepton_recipe::raw;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;

/// What the classes 0 and 1 mean.
const CLASSES: [&str; 2] = ["negative", "positive"];

/// The columns, in order.
const COLUMNS: [&str; 3] = ["text", "label", "source"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sentence {
    text: String,
    class: Option<usize>,
}

/// The sentences of these files, each with the name of its source. An entry without text and class is no sentence.
///
/// # Errors
/// [`ErrorCode::BadData`] with file and row for anything else; [`ErrorCode::NotFound`] and [`ErrorCode::Config`] for
/// settings that do not fit the columns `text`, `label` and `source`.
pub(crate) fn collect(context: &Context<'_>, name: &str, target: &str, files: &[(&str, PathBuf)]) -> Result<Dataset> {
    let settings = context.settings;
    let target = settings.target.as_deref().unwrap_or(target);
    let kept: Vec<usize> = (0..COLUMNS.len()).filter(|&place| !is_ignored(context, COLUMNS[place])).collect();
    check(context, target)?;
    let kind = |name: &str| settings.columns.get(name).copied();
    let default = |name: &str| if name == "text" { ColumnKind::Text } else { ColumnKind::Category };
    let schema = Schema {
        columns: kept
            .iter()
            .map(|&place| COLUMNS[place])
            .map(|name| Column { name: name.to_owned(), kind: kind(name).unwrap_or(default(name)), nullable: false })
            .collect(),
    };
    let mut dataset = Dataset::empty(name, schema, target);
    let mut columns: [Vec<String>; 3] = Default::default();
    for (origin, path) in files {
        context.cancel.check()?;
        let (bytes, source) = read_file(path)?;
        let sentences: Vec<Sentence> = serde_json::from_slice(&bytes).map_err(|source| {
            Error::new(ErrorCode::BadData, format!("this is no list of labelled sentences: {source}")).in_file(path)
        })?;
        for (row, sentence) in sentences.into_iter().enumerate() {
            let text = sentence.text.trim();
            let label = sentence.class.and_then(|class| CLASSES.get(class));
            match (text.is_empty(), label) {
                (false, Some(label)) => {
                    let values = [text, label, origin];
                    columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value.to_owned()));
                }
                (true, None) if sentence.class.is_none() => {}
                _ => {
                    return Err(Error::new(ErrorCode::BadData, "a sentence without text, or of no class")
                        .in_file(path)
                        .at_row(row as u64 + 1));
                }
            }
        }
        dataset.source.push(source);
    }
    let [texts, labels, origins] = columns;
    let all: [ArrayRef; 3] = [texts, labels, origins].map(|values| Arc::new(StringArray::from(values)) as ArrayRef);
    let arrays = kept.iter().map(|&place| Arc::clone(&all[place])).collect();
    let batch = RecordBatch::try_new(raw::arrow_schema(&dataset.schema), arrays)
        .map_err(|source| Error::internal(format!("sentences do not fit their schema: {source}")))?;
    context.advanced(name, batch.num_rows(), Some(batch.num_rows()));
    dataset.parts.insert(Split::Train, batch);
    Ok(dataset)
}

fn is_ignored(context: &Context<'_>, column: &str) -> bool {
    context.settings.ignore.iter().any(|name| name == column)
}

/// What is set must be about one of the columns.
fn check(context: &Context<'_>, target: &str) -> Result<()> {
    let settings = context.settings;
    let named = std::iter::once((target, "collect.target"))
        .chain(settings.columns.keys().map(|name| (name.as_str(), "collect.columns")))
        .chain(settings.ignore.iter().map(|name| (name.as_str(), "collect.ignore")));
    for (name, key) in named {
        if !COLUMNS.contains(&name) {
            let error = Error::new(ErrorCode::NotFound, "the dataset has no such column").at_column(name).at_key(key);
            return Err(match nearest(name, COLUMNS) {
                Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                None => error.fix(format!("its columns are: {}", COLUMNS.join(", "))),
            });
        }
    }
    if is_ignored(context, target) {
        return Err(Error::new(ErrorCode::Config, "the target cannot be ignored")
            .at_column(target)
            .at_key("collect.ignore"));
    }
    let wrong = |kind: &ColumnKind| !matches!(kind, ColumnKind::Text | ColumnKind::Category);
    match settings.columns.iter().find(|(_, kind)| wrong(kind)) {
        Some((name, _)) => Err(Error::new(ErrorCode::Config, "this column holds texts: it is a text or a category")
            .at_column(name)
            .at_key("collect.columns")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::CollectSettings;
    use arrow_array::cast::AsArray;
    use lepton_core::{Cancel, Limits, Silent};

    fn collected(settings: &CollectSettings, files: &[(&'static str, &str)]) -> Result<Dataset> {
        let folder = tempfile::tempdir().unwrap();
        let write = |(name, text): &(&'static str, &str)| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            (*name, path)
        };
        let files: Vec<(&str, PathBuf)> = files.iter().map(write).collect();
        let (limits, cancel) = (Limits::default(), Cancel::default());
        let context = Context { settings, limits: &limits, progress: &Silent, cancel: &cancel };
        collect(&context, "small", "label", &files)
    }

    const GOOD: &str = r#"[{"text":" Fine. ","class":1},{"text":"Bad","class":0},{"text":"","class":null}]"#;

    #[test]
    fn sources_are_joined_and_empty_entries_left_out() {
        let dataset = collected(&CollectSettings::default(), &[("one", GOOD), ("two", GOOD)]).unwrap();
        let part = &dataset.parts[&Split::Train];
        let column = |place: usize| part.column(place).as_string::<i32>().iter().flatten().collect::<Vec<_>>();
        assert_eq!(column(0), ["Fine.", "Bad", "Fine.", "Bad"]);
        assert_eq!(column(1), ["positive", "negative", "positive", "negative"]);
        assert_eq!(column(2), ["one", "one", "two", "two"]);
        assert_eq!(dataset.target, "label");
        let settings = CollectSettings { ignore: vec!["source".to_owned()], ..CollectSettings::default() };
        let without = collected(&settings, &[("one", GOOD)]).unwrap();
        assert_eq!(without.schema.names().collect::<Vec<_>>(), ["text", "label"]);
    }

    #[test]
    fn what_is_no_sentence_is_named() {
        let error = |text: &str| collected(&CollectSettings::default(), &[("one", text)]).unwrap_err();
        assert_eq!(error(r#"[{"text":"x","class":0},{"text":"y","class":2}]"#).place().row, Some(2));
        assert_eq!(error(r#"[{"text":"","class":0}]"#).place().row, Some(1));
        assert_eq!(error(r#"[{"text":"x","class":null}]"#).place().row, Some(1));
        assert_eq!(error(r#"{"text":"x"}"#).code(), ErrorCode::BadData);
        let settings = CollectSettings { ignore: vec!["sorce".to_owned()], ..CollectSettings::default() };
        let unknown = collected(&settings, &[("one", GOOD)]).unwrap_err();
        assert_eq!(unknown.remedy(), Some("did you mean \"source\"?"));
        let settings = CollectSettings { ignore: vec!["label".to_owned()], ..CollectSettings::default() };
        assert_eq!(collected(&settings, &[("one", GOOD)]).unwrap_err().code(), ErrorCode::Config);
        let settings =
            CollectSettings { columns: [("source".to_owned(), ColumnKind::Number)].into(), ..Default::default() };
        assert_eq!(collected(&settings, &[("one", GOOD)]).unwrap_err().code(), ErrorCode::Config);
    }
}
