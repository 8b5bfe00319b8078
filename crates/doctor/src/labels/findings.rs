//! From a check of labels to findings.

use super::kernel::{Kernel, Mean, Nystrom, draw};
use super::sample::{Sample, is_class};
use super::tables::Rows;
use super::texts::Texts;
use super::{KERNEL_RIDGES, LEAST_ROWS, LabelCheck, LabelOptions, check, within};
use crate::checks::counted;
use crate::finding::{Evidence, Finding, FindingKind, LabelEvidence, Proposal, Severity};
use crate::profile::{MOST_ROWS, Profile};
use crate::repair::Action;
use lepton_core::{Progress, Result, thousands};
use lepton_data::scan::ScanOptions;
use std::path::Path;

/// Landmarks of a table without free texts, and of one with.
const LANDMARKS: usize = 1_024;
const TEXT_LANDMARKS: usize = 2_048;

/// Fewer rows or pictures say nothing.
pub(crate) const FEW: usize = 50;

/// Checks the labels of a table file that was profiled, where the values of the target are classes; a target of
/// numbers has no labels and no findings.
///
/// # Errors
/// Those of reading the file again; [`lepton_core::ErrorCode::Integrity`] where it was changed.
pub fn table_findings(
    path: &Path,
    scan: &ScanOptions,
    profile: &Profile,
    target: &str,
    progress: &dyn Progress,
    options: &LabelOptions<'_>,
) -> Result<Vec<Finding>> {
    let column = profile.columns.iter().find(|column| column.name == target);
    if !column.is_some_and(is_class) {
        return Ok(Vec::new());
    }
    let sample = Sample::read(path, scan, profile, target, progress, options)?;
    if sample.rows.len() < FEW {
        return Ok(vec![note(Some(target), too_few(sample.rows.len(), "row"))]);
    }
    let found = within(options.threads, || check_sample(&sample, options))?;
    let Some(found) = found else {
        return Ok(vec![note(Some(target), "labels cannot be checked: no other column says anything".to_owned())]);
    };
    Ok(finding(&found, target, &sample, profile.rows))
}

pub(crate) fn too_few(count: usize, one: &str) -> String {
    format!("labels cannot be checked: {} are too few", counted(count as u64, one))
}

fn check_sample(sample: &Sample, options: &LabelOptions<'_>) -> Result<Option<LabelCheck>> {
    let count = sample.rows.len();
    let most = if sample.texts.is_empty() { LANDMARKS } else { TEXT_LANDMARKS };
    let landmarks = draw(count, most, options.seed, "label landmarks");
    let rows = Rows::new(&sample.columns, count, landmarks.clone());
    let texts = (!sample.texts.is_empty()).then(|| Texts::new(&sample.texts, landmarks));
    let mean;
    let kernel: &dyn Kernel = match (&rows, &texts) {
        (Some(rows), Some(texts)) => {
            mean = Mean(rows, texts);
            &mean
        }
        (Some(rows), None) => rows,
        (None, Some(texts)) => texts,
        (None, None) => return Ok(None),
    };
    check(&Nystrom::new(kernel)?, &sample.labels, sample.names.len(), &KERNEL_RIDGES, options).map(Some)
}

/// A note that labels were not looked at, or that it came to nothing.
pub(crate) fn note(column: Option<&str>, message: String) -> Finding {
    Finding {
        kind: FindingKind::LabelErrors,
        column: column.map(str::to_owned),
        count: 0,
        severity: Severity::Note,
        message,
        evidence: Evidence::default(),
        repair: None,
    }
}

/// What a check says in words.
pub(crate) enum Said {
    /// Why it says nothing about the labels.
    CannotTell(String),
    /// No label is probably wrong.
    Nothing,
    /// Some are.
    Wrong(String),
}

impl LabelCheck {
    /// The result in words, of things that are called `one`, which are some of `part_of` where that is given.
    pub(crate) fn said(&self, one: &str, part_of: Option<u64>) -> Said {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let (right, majority) = (percent(self.accuracy), percent(self.majority));
        let looked = match part_of {
            Some(all) => format!("{} {one}s of {} that were drawn", thousands(self.rows as u64), thousands(all)),
            None => counted(self.rows as u64, one),
        };
        if !self.can_tell {
            return Said::CannotTell(format!(
                "labels cannot be checked: of {looked}, a model that did not see them tells {right} of the labels \
                 right, and always the most frequent label is right for {majority}"
            ));
        }
        let count = self.suspects.len() as u64;
        if count == 0 {
            return Said::Nothing;
        }
        let left_out = match self.too_rare {
            0 => String::new(),
            rare => format!("; {} of classes with fewer than {LEAST_ROWS} were left out", counted(rare as u64, one)),
        };
        let verb = if count == 1 { "is" } else { "are" };
        Said::Wrong(format!(
            "{} of {looked} {verb} probably wrong: a model that did not see the {one} is confident of another (it \
             tells {right} right){left_out}",
            counted(count, "label"),
        ))
    }
}

/// `0.98765` as `0.9877`
pub(crate) fn rounded(confidence: f64) -> f64 {
    (confidence * 1e4).round() / 1e4
}

fn finding(found: &LabelCheck, target: &str, sample: &Sample, rows: u64) -> Vec<Finding> {
    let message = match found.said("row", sample.is_part.then_some(rows)) {
        Said::CannotTell(why) => return vec![note(Some(target), why)],
        Said::Nothing => return Vec::new(),
        Said::Wrong(message) => message,
    };
    let shown: Vec<LabelEvidence> = found
        .suspects
        .iter()
        .take(MOST_ROWS)
        .map(|suspect| LabelEvidence {
            row: Some(sample.rows[suspect.row] + 1),
            file: None,
            given: sample.names[suspect.given as usize].clone(),
            suggested: sample.names[suspect.suggested as usize].clone(),
            confidence: rounded(suspect.confidence),
        })
        .collect();
    let numbers = || shown.iter().filter_map(|label| Some((label.row?, label.suggested.clone())));
    let labels = numbers().map(|(row, label)| (row.to_string(), label)).collect();
    let mut rows: Vec<u64> = numbers().map(|(row, _)| row).collect();
    rows.sort_unstable();
    vec![Finding {
        kind: FindingKind::LabelErrors,
        column: Some(target.to_owned()),
        count: found.suspects.len() as u64,
        severity: Severity::Warning,
        message,
        evidence: Evidence { rows, labels: shown, ..Evidence::default() },
        repair: Some(Proposal { action: Action::Relabel { column: target.to_owned(), labels }, safe: false }),
    }]
}
