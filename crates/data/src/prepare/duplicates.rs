//! Exact duplicates, by the digest of a row's input: within training, and across parts.

use super::report::{Finding, FindingKind, Severity};
use super::{Content, Part};
use lepton_core::{Digest, Split};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What repeats within training.
pub(super) struct Repeats {
    /// Rows with the input and the label of an earlier row.
    pub(super) removable: BTreeSet<usize>,
    /// Each removable row and the first row that it repeats.
    pairs: Vec<(usize, usize)>,
    /// Each row whose label differs from that of the first row with its input, and that first row.
    conflicts: Vec<(usize, usize)>,
}

/// Finds repeats among these rows of the source's training part; the first of each stays. A row whose input was seen with another label
/// only is no duplicate: which label is right is not known, so both stay and the conflict is reported.
pub(super) fn within_train(content: &Content, rows: &[usize]) -> Repeats {
    let (inputs, labels) = (&content.inputs[&Split::Train], &content.labels[&Split::Train]);
    let mut seen: HashMap<Digest, Vec<usize>> = HashMap::with_capacity(rows.len());
    let mut repeats = Repeats { removable: BTreeSet::new(), pairs: Vec::new(), conflicts: Vec::new() };
    for &row in rows {
        let firsts = seen.entry(inputs[row]).or_default();
        match firsts.iter().find(|&&first| labels[first] == labels[row]) {
            Some(&first) => {
                repeats.removable.insert(row);
                repeats.pairs.push((row, first));
            }
            None => {
                repeats.conflicts.extend(firsts.first().map(|&first| (row, first)));
                firsts.push(row);
            }
        }
    }
    repeats
}

impl Repeats {
    pub(super) fn findings(&self, removed: bool) -> Vec<Finding> {
        let evidence = |pairs: &[(usize, usize)], relation: &str| -> Vec<String> {
            pairs.iter().map(|(row, first)| format!("train row {} {relation} row {}", row + 1, first + 1)).collect()
        };
        let mut findings = Vec::new();
        if !self.pairs.is_empty() {
            let fate = if removed { "were removed" } else { "were kept, as the settings ask" };
            findings.push(Finding::new(
                FindingKind::DuplicateRows,
                if removed { Severity::Note } else { Severity::Warning },
                self.pairs.len(),
                format!("{} training rows repeat an earlier one with the same label and {fate}", self.pairs.len()),
                evidence(&self.pairs, "repeats"),
            ));
        }
        if !self.conflicts.is_empty() {
            findings.push(Finding::new(
                FindingKind::ConflictingLabels,
                Severity::Warning,
                self.conflicts.len(),
                format!("{} training rows have the input of another row but another label", self.conflicts.len()),
                evidence(&self.conflicts, "contradicts"),
            ));
        }
        findings
    }
}

/// Reports rows outside training whose input stands in training: they make a part look easier than it is. They
/// are not removed, because an official part must stay comparable with what others measured on it. Gives how many
/// of each part there are, too.
pub(super) fn across_parts(parts: &BTreeMap<Split, Part>, content: &Content) -> (BTreeMap<Split, u64>, Vec<Finding>) {
    let (mut counts, mut findings) = (BTreeMap::new(), Vec::new());
    let Some(train) = parts.get(&Split::Train) else { return (counts, findings) };
    let inputs = |part: &Part| -> Vec<(usize, Digest)> {
        part.rows.iter().map(|&row| (row, content.inputs[&part.origin][row])).collect()
    };
    let mut known: HashMap<Digest, usize> = HashMap::new();
    for (row, input) in inputs(train) {
        known.entry(input).or_insert(row);
    }
    for (split, part) in parts.iter().filter(|(split, _)| **split != Split::Train) {
        let crossing: Vec<String> = inputs(part)
            .into_iter()
            .filter_map(|(row, input)| Some((row, known.get(&input)?)))
            .map(|(row, first)| format!("{} row {} is train row {}", part.origin, row + 1, first + 1))
            .collect();
        if !crossing.is_empty() {
            counts.insert(*split, crossing.len() as u64);
            findings.push(Finding::new(
                FindingKind::CrossingDuplicates,
                Severity::Warning,
                crossing.len(),
                format!("{} {split} rows have exactly the input of a training row; they were kept", crossing.len()),
                crossing,
            ));
        }
    }
    (counts, findings)
}
