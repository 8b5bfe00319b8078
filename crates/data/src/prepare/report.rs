//! What preparing found and did, for the person and for report.html.

use super::{Content, Part};
use lepton_core::Split;
use lepton_recipe::labels_of;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What preparing found and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrepareReport {
    /// Rows of each part in the source and after preparing.
    pub rows: BTreeMap<Split, RowCounts>,
    /// Rows of each class, by part, after preparing.
    pub classes: BTreeMap<Split, BTreeMap<String, u64>>,
    /// Rows outside training, by part, that have exactly the input of a training row.
    #[serde(default)]
    pub crossing: BTreeMap<Split, u64>,
    /// What a person should know.
    pub findings: Vec<Finding>,
}

/// Rows before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowCounts {
    /// In the source, or by its `split_column`; 0 for a part that was cut from training.
    pub before: u64,
    /// After duplicates were removed and parts were cut.
    pub after: u64,
}

/// Something found in the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// How much it matters.
    pub severity: Severity,
    /// How many rows, files or columns it is about.
    pub count: u64,
    /// One sentence.
    pub message: String,
    /// Up to ten examples: rows (from 1 in the source's part), files or values.
    pub evidence: Vec<String>,
}

/// Kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Training rows that repeat an earlier one with the same label.
    DuplicateRows,
    /// Training rows with one input and several labels.
    ConflictingLabels,
    /// Rows outside training whose input stands in training too.
    CrossingDuplicates,
    /// Pictures outside training that look nearly like a training picture.
    NearDuplicates,
    /// A feature that is the target in other words.
    TargetCopied,
    /// Groups with rows in training and in another part.
    SharedGroups,
    /// Rows outside training that do not lie after all training rows.
    TimeOverlap,
    /// Files that could not be read and were left out.
    UnreadableFiles,
    /// A column with missing values.
    MissingValues,
    /// A column with one value in all training rows.
    ConstantColumn,
    /// The season of a series that is forecast, where it was guessed.
    Season,
    /// Where the forecasts of each part start.
    Origins,
    /// Pictures of several sizes.
    PictureSizes,
    /// The most frequent class is at least ten times as frequent as the rarest.
    Imbalance,
    /// Rows of a domain that is neither a source nor the target.
    OtherDomains,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Note,
    /// It may spoil what is learned or measured.
    Warning,
}

/// How many examples a finding carries at most.
pub(crate) const EVIDENCE: usize = 10;

impl Finding {
    /// A finding with its first examples.
    pub(crate) fn new(
        kind: FindingKind,
        severity: Severity,
        count: usize,
        message: String,
        evidence: impl IntoIterator<Item = String>,
    ) -> Finding {
        Finding {
            kind,
            severity,
            count: count as u64,
            message,
            evidence: evidence.into_iter().take(EVIDENCE).collect(),
        }
    }
}

pub(super) fn row_counts(before: &BTreeMap<Split, usize>, parts: &BTreeMap<Split, Part>) -> BTreeMap<Split, RowCounts> {
    let counts = |(&split, part): (&Split, &Part)| {
        let before = before.get(&split).copied().unwrap_or(0) as u64;
        (split, RowCounts { before, after: part.rows.len() as u64 })
    };
    parts.iter().map(counts).collect()
}

pub(super) fn class_counts(parts: &BTreeMap<Split, Part>, content: &Content) -> BTreeMap<Split, BTreeMap<String, u64>> {
    parts.iter().map(|(&split, part)| (split, count_classes(part, content))).collect()
}

pub(super) fn count_classes(part: &Part, content: &Content) -> BTreeMap<String, u64> {
    let labels = &content.labels[&part.origin];
    let mut counts = BTreeMap::new();
    for &row in &part.rows {
        match &content.separator {
            Some(separator) => {
                let of_row: BTreeSet<&str> = labels_of(&labels[row], separator).collect();
                of_row.into_iter().for_each(|label| *counts.entry(label.to_owned()).or_default() += 1);
            }
            None => *counts.entry(labels[row].clone()).or_default() += 1,
        }
    }
    counts
}
