//! Findings about rows that are nearly the same, as a whole or in a text.

use super::near::{self, NearRows};
use super::texts;
use crate::checks::{CheckOptions, counted, counted_with};
use crate::finding::{Evidence, Finding, FindingKind, Proposal, Severity};
use crate::profile::Profile;
use crate::repair::{Action, Survivor};
use lepton_core::{Cancel, Result, thousands};
use std::collections::HashSet;

/// Rows that groups name in all.
const MOST_ROWS: usize = 10_000;

/// Pairs that are compared.
const MOST_PAIRS: usize = 2_000_000;

pub(super) fn check(
    profile: &Profile,
    options: &CheckOptions,
    cancel: &Cancel,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let repeats: HashSet<u64> =
        profile.duplicates.groups.iter().flat_map(|group| group.repeats.iter().copied()).collect();
    let near = near::find(&profile.columns, &profile.beginning, &repeats, MOST_PAIRS, cancel)?;
    let known = whole_rows(profile, near, findings);
    texts::check(profile, options, &repeats, &known, cancel, findings)
}

/// Where rows were looked for, if not among all.
pub(super) fn range_of(profile: &Profile, rows: usize) -> String {
    match rows as u64 == profile.rows {
        true => String::new(),
        false => format!("; looked for among the first {} rows", thousands(rows as u64)),
    }
}

/// Rows that are nearly the same as a whole; the groups that are listed.
fn whole_rows(profile: &Profile, near: NearRows, findings: &mut Vec<Finding>) -> Vec<Vec<u64>> {
    let count: u64 = near.groups.iter().map(|group| group.len() as u64 - 1).sum();
    if count == 0 {
        return Vec::new();
    }
    let mut message = format!(
        "{} nearly the same as an earlier one, by {}{}",
        counted_with(count, "row", ["is", "are"]),
        listed(&near.columns),
        range_of(profile, near.rows)
    );
    if near.left_out > 0 {
        message += &format!(
            "; of the pairs that share something, {} were compared and {} were not",
            thousands(near.compared),
            thousands(near.left_out)
        );
    }
    let groups = bounded(near.groups, count, &mut message);
    findings.push(Finding {
        kind: FindingKind::NearDuplicates,
        column: None,
        count,
        severity: Severity::Warning,
        message,
        evidence: Evidence { groups: groups.clone(), ..Evidence::default() },
        repair: Some(Proposal {
            action: Action::MergeRows { groups: groups.clone(), keep: Survivor::FirstPresent },
            safe: false,
        }),
    });
    groups
}

/// `a, b, c, d and 3 more columns`
fn listed(names: &[String]) -> String {
    match names.len() {
        0..=5 => names.join(", "),
        count => format!("{} and {} more columns", names[..4].join(", "), count - 4),
    }
}

/// The groups with rows from 1, until they name as many rows as a finding lists.
pub(super) fn bounded(groups: Vec<Vec<u32>>, count: u64, message: &mut String) -> Vec<Vec<u64>> {
    let mut named = 0;
    let all = groups.len();
    let kept: Vec<Vec<u64>> = groups
        .into_iter()
        .take_while(|group| {
            named += group.len();
            named <= MOST_ROWS
        })
        .map(|group| group.into_iter().map(|row| u64::from(row) + 1).collect())
        .collect();
    if kept.len() < all {
        let rest = count - kept.iter().map(|group| group.len() as u64 - 1).sum::<u64>();
        *message += &format!("; the groups of {} are not listed", counted(rest, "more row"));
    }
    kept
}
