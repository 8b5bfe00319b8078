//! Stage two: validate what was collected, remove exact duplicates from training, cut the parts that the source
//! does not have, and report what a person should know.

mod duplicates;
mod report;
mod split;
mod validate;

pub use report::{Finding, FindingKind, PrepareReport, RowCounts, Severity};

use crate::dataset::Dataset;
use crate::rows::{TypedColumn, row_digests, take_rows};
use lepton_core::{Cancel, ColumnKind, Digest, Error, ErrorCode, Event, Progress, Result, Seed, Split};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The `[prepare]` settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrepareSettings {
    /// The share of training rows that becomes the validation part, where the source has none; above 0, below 1.
    pub valid_fraction: f64,
    /// The share of rows that becomes the test part, where the source has none; above 0, below 1. Taken before
    /// the validation part.
    pub test_fraction: f64,
    /// Whether training rows that repeat an earlier one (same input, same label) are removed.
    pub remove_duplicates: bool,
}

impl Default for PrepareSettings {
    fn default() -> PrepareSettings {
        PrepareSettings { valid_fraction: 0.1, test_fraction: 0.2, remove_duplicates: true }
    }
}

impl PrepareSettings {
    fn check(&self) -> Result<()> {
        let fractions =
            [("prepare.valid_fraction", self.valid_fraction), ("prepare.test_fraction", self.test_fraction)];
        for (key, fraction) in fractions {
            if !(fraction > 0.0 && fraction < 1.0) {
                let message = format!("{fraction} is not above 0 and below 1");
                return Err(Error::new(ErrorCode::Config, message).at_key(key));
            }
        }
        Ok(())
    }
}

/// A part under preparation: which of the source's rows it has, and the digests of their inputs.
pub(crate) struct Part {
    /// The source part that the rows come from.
    pub(crate) origin: Split,
    /// Rows of that part, from 0, ascending.
    pub(crate) rows: Vec<usize>,
}

/// Labels and input digests of the source's parts, by row.
pub(crate) struct Content {
    pub(crate) labels: BTreeMap<Split, Vec<String>>,
    pub(crate) inputs: BTreeMap<Split, Vec<Digest>>,
}

/// Validates, removes duplicates, splits.
///
/// The order: every value is checked; training rows that repeat an earlier one are removed, so that no copy can
/// reach another part; the test part is cut from training where the source has none, then the validation part,
/// each with every class in proportion; then the parts are compared. Rows keep their order. Rows in errors and
/// findings are counted from 1 in the source's part.
///
/// # Errors
/// [`ErrorCode::BadData`] with the row for a missing label, a number that is not finite, a label outside training
/// that training lacks, and for a class with under two training rows; [`ErrorCode::Config`] for fractions out of
/// range.
pub fn prepare(
    dataset: Dataset,
    settings: &PrepareSettings,
    seed: Seed,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(Dataset, PrepareReport)> {
    settings.check()?;
    if dataset.rows(Split::Train) == 0 {
        return Err(Error::new(ErrorCode::BadData, "the dataset has no training rows"));
    }
    let total: usize = Split::ALL.iter().map(|&split| dataset.rows(split)).sum();
    let advanced = |done: usize| {
        let what = format!("checking {}", dataset.name);
        progress.event(Event::Advanced { what, done: done as u64, total: Some(total as u64), unit: "rows" });
    };
    let mut content = Content { labels: BTreeMap::new(), inputs: BTreeMap::new() };
    let mut done = 0;
    for (&split, part) in &dataset.parts {
        cancel.check()?;
        validate::values(part, &dataset.schema, split)?;
        content.labels.insert(split, labels(&dataset, split)?);
        content.inputs.insert(split, row_digests(part, &dataset.schema, Some(&dataset.target))?);
        done += part.num_rows();
        advanced(done);
    }
    cancel.check()?;

    let mut findings = validate::findings(&dataset)?;
    let mut kept: Vec<usize> = (0..dataset.rows(Split::Train)).collect();
    let repeats = duplicates::within_train(&content);
    findings.extend(repeats.findings(settings.remove_duplicates));
    if settings.remove_duplicates {
        kept.retain(|row| !repeats.removable.contains(row));
    }
    let parts = split::parts(&dataset, &content, kept, settings, seed)?;
    validate::labels(&parts, &content, &dataset.target)?;
    findings.extend(duplicates::across_parts(&parts, &content));
    findings.extend(validate::imbalance(&parts, &content));
    cancel.check()?;

    let report = PrepareReport {
        rows: report::row_counts(&dataset, &parts),
        classes: report::class_counts(&parts, &content),
        findings,
    };
    let mut prepared = Dataset { parts: BTreeMap::new(), ..dataset.clone() };
    for (split, part) in &parts {
        let source = dataset.parts.get(&part.origin).ok_or_else(|| Error::internal("a part without a source"))?;
        let whole = part.rows.len() == source.num_rows();
        let rows = if whole { source.clone() } else { take_rows(source, &part.rows)? };
        prepared.parts.insert(*split, rows);
    }
    Ok((prepared, report))
}

/// The label of every row of a part.
fn labels(dataset: &Dataset, split: Split) -> Result<Vec<String>> {
    let column = dataset.schema.column(&dataset.target)?;
    let part = &dataset.parts[&split];
    let kind = if column.kind == ColumnKind::Image { ColumnKind::Category } else { column.kind };
    let missing = |row: usize| {
        Error::new(ErrorCode::BadData, format!("a {split} row has no label"))
            .at_row(row as u64 + 1)
            .at_column(&dataset.target)
            .fix("remove rows without a label from the source")
    };
    match TypedColumn::new(part, &dataset.target, kind)? {
        TypedColumn::Text(values) => {
            values.iter().enumerate().map(|(row, label)| Ok(label.ok_or_else(|| missing(row))?.to_owned())).collect()
        }
        _ => Err(Error::new(ErrorCode::Unsupported, "only categories can be predicted")
            .at_column(&dataset.target)
            .fix("set this column's kind to \"category\"")),
    }
}
