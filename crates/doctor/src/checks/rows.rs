//! Rows that repeat others, and rows of another length than the header.

use super::{counted, counted_with, share};
use crate::finding::{Evidence, Finding, FindingKind, Proposal, Severity};
use crate::profile::Profile;
use crate::repair::Action;

pub(super) fn check(profile: &Profile, findings: &mut Vec<Finding>) {
    let ragged = &profile.ragged;
    if ragged.count > 0 {
        let first = profile.ragged_fields.first().copied().unwrap_or(0);
        findings.push(Finding {
            kind: FindingKind::RaggedRows,
            column: None,
            count: ragged.count,
            severity: Severity::Error,
            message: format!(
                "{} with another number of fields than the header's {}; the first has {first}",
                counted(ragged.count, "row"),
                profile.columns.len(),
            ),
            evidence: Evidence::rows(ragged),
            repair: Some(Proposal { action: Action::DropRaggedRows, safe: false }),
        });
    }
    let duplicates = &profile.duplicates;
    if duplicates.count > 0 {
        findings.push(Finding {
            kind: FindingKind::DuplicateRows,
            column: None,
            count: duplicates.count,
            severity: Severity::Warning,
            message: format!(
                "{} an earlier one in every cell ({} of all)",
                counted_with(duplicates.count, "row", ["repeats", "repeat"]),
                share(duplicates.count, profile.rows)
            ),
            evidence: Evidence::groups(&duplicates.groups),
            repair: Some(Proposal { action: Action::DropDuplicates, safe: true }),
        });
    }
}
