//! Checks of every value, and findings about whole columns.

use super::report::{Finding, FindingKind, Severity, count_classes};
use super::{Content, Part};
use crate::dataset::Dataset;
use crate::rows::TypedColumn;
use arrow_array::{Array, RecordBatch};
use lepton_core::{ColumnKind, Error, ErrorCode, Result, Schema, Split, nearest};
use std::collections::{BTreeMap, BTreeSet};

/// How many times as frequent as the rarest class the most frequent one may be before it is reported.
const IMBALANCE: u64 = 10;

/// Refuses numbers that are not finite, also inside series, and pictures and series that are missing or whose buffer is
/// not as large as they say.
pub(super) fn values(part: &RecordBatch, schema: &Schema, split: Split) -> Result<()> {
    for column in &schema.columns {
        let place = |row: usize, message: String| {
            Error::new(ErrorCode::BadData, message).at_row(row as u64 + 1).at_column(&column.name)
        };
        match TypedColumn::new(part, &column.name, column.kind)? {
            TypedColumn::Number(values) => {
                for (row, value) in values.iter().enumerate() {
                    if let Some(value) = value.filter(|value| !value.is_finite()) {
                        return Err(place(row, format!("{value} in the {split} part is not a finite number"))
                            .fix("remove the row or leave the value empty"));
                    }
                }
            }
            TypedColumn::Image(pictures) => {
                if let Some(row) = (0..pictures.len()).find(|&row| pictures.get(row).is_none()) {
                    return Err(place(row, format!("a picture of the {split} part is missing")));
                }
            }
            TypedColumn::Series(all) => {
                for row in 0..all.len() {
                    let series = all.get(row).filter(|series| !series.values.is_empty());
                    let series =
                        series.ok_or_else(|| place(row, format!("a series of the {split} part is missing")))?;
                    if let Some(value) = series.values.iter().find(|value| value.is_infinite()) {
                        return Err(place(
                            row,
                            format!("{value} in a series of the {split} part is not a finite number"),
                        )
                        .fix("leave the value empty where it is not known"));
                    }
                }
            }
            TypedColumn::Text(_) | TypedColumn::Marks(_) => {}
        }
    }
    Ok(())
}

/// Refuses a label outside training that training lacks.
pub(super) fn labels(parts: &BTreeMap<Split, Part>, content: &Content, target: &str) -> Result<()> {
    let known: BTreeSet<&str> = parts
        .get(&Split::Train)
        .map(|part| part.rows.iter().map(|&row| content.labels[&part.origin][row].as_str()).collect())
        .unwrap_or_default();
    for (split, part) in parts {
        let labels = &content.labels[&part.origin];
        if let Some(&row) = part.rows.iter().find(|&&row| !known.contains(labels[row].as_str())) {
            let message = format!("label \"{}\" of the {split} part was never seen in training", labels[row]);
            let error = Error::new(ErrorCode::BadData, message).at_row(row as u64 + 1).at_column(target);
            return Err(match nearest(&labels[row], known.iter().copied()) {
                Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                None => error,
            });
        }
    }
    Ok(())
}

/// Findings about columns and files of the source.
pub(super) fn findings(dataset: &Dataset, features: &Schema) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    if !dataset.unreadable.is_empty() {
        let count = dataset.unreadable.len();
        let evidence = dataset.unreadable.iter().map(|file| format!("{}: {}", file.path.display(), file.reason));
        let message = format!("{count} files could not be read and were left out");
        findings.push(Finding::new(FindingKind::UnreadableFiles, Severity::Warning, count, message, evidence));
    }
    for column in features.columns.iter().filter(|column| column.name != dataset.target) {
        let mut missing = 0;
        for part in dataset.parts.values() {
            missing += part.column_by_name(&column.name).map_or(0, |array| array.null_count());
        }
        if missing > 0 {
            let message = format!("column \"{}\" has {missing} missing values", column.name);
            findings.push(Finding::new(FindingKind::MissingValues, Severity::Note, missing, message, []));
        }
        if let Some(part) = dataset.parts.get(&Split::Train) {
            findings.extend(column_finding(part, &column.name, column.kind)?);
        }
    }
    Ok(findings)
}

fn column_finding(train: &RecordBatch, name: &str, kind: ColumnKind) -> Result<Option<Finding>> {
    let constant = match TypedColumn::new(train, name, kind)? {
        TypedColumn::Number(values) => all_equal(values.iter()),
        TypedColumn::Text(values) => all_equal(values.iter()),
        TypedColumn::Series(_) | TypedColumn::Marks(_) => false,
        TypedColumn::Image(pictures) => {
            let mut sizes: BTreeMap<[usize; 3], usize> = BTreeMap::new();
            for picture in (0..pictures.len()).filter_map(|row| pictures.get(row)) {
                *sizes.entry([picture.height, picture.width, picture.channels]).or_default() += 1;
            }
            let message = format!("the training pictures have {} sizes", sizes.len());
            let evidence = sizes.iter().map(|([height, width, channels], count)| {
                format!("{count} of height {height}, width {width}, channels {channels}")
            });
            let finding = Finding::new(FindingKind::PictureSizes, Severity::Note, sizes.len(), message, evidence);
            return Ok((sizes.len() > 1).then_some(finding));
        }
    };
    let message = format!("column \"{name}\" has one value in all training rows, so nothing can be learned from it");
    Ok(constant.then(|| Finding::new(FindingKind::ConstantColumn, Severity::Warning, 1, message, [name.to_owned()])))
}

fn all_equal<T: PartialEq>(mut values: impl Iterator<Item = T>) -> bool {
    values.next().is_some_and(|first| values.all(|value| value == first))
}

/// Reports classes of very different frequency.
pub(super) fn imbalance(parts: &BTreeMap<Split, Part>, content: &Content) -> Option<Finding> {
    let counts = count_classes(parts.get(&Split::Train)?, content);
    let (most, least) = (counts.values().max()?, counts.values().min()?);
    if *most < IMBALANCE * *least {
        return None;
    }
    let evidence = counts.iter().map(|(label, count)| format!("{label}: {count} rows"));
    let message = format!("the most frequent class has {most} training rows, the rarest {least}");
    Some(Finding::new(FindingKind::Imbalance, Severity::Warning, counts.len(), message, evidence))
}
