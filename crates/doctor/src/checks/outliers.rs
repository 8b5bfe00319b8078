//! Numbers far from all others of their column. What is far out is decided by `profile::outliers`.

use super::counted;
use crate::finding::{Evidence, Finding, FindingKind, Proposal, Severity};
use crate::profile::{ColumnProfile, Outliers, short_number};
use crate::repair::Action;

pub(super) fn check(column: &ColumnProfile, is_target: bool, findings: &mut Vec<Finding>) {
    let Some(outliers) = column.outliers().filter(|outliers| outliers.count > 0) else { return };
    let Outliers { low, high, count, .. } = outliers;
    let part = count as f64 / column.distribution.count() as f64;
    // A long tail is a shape and no mistake; what is far out and rare may be one.
    let severity = if part < 0.01 && !is_target { Severity::Warning } else { Severity::Note };
    findings.push(Finding {
        kind: FindingKind::Outliers,
        column: Some(column.name.clone()),
        count,
        severity,
        message: format!(
            "{} outside of {} to {}, the farthest is {}",
            counted(count, "number"),
            short_number(low),
            short_number(high),
            short_number(outliers.farthest)
        ),
        evidence: Evidence { rows: outliers.rows.iter().map(|row| row + 1).collect(), ..Evidence::default() },
        repair: Some(Proposal { action: Action::Winsorise { column: column.name.clone(), low, high }, safe: false }),
    });
}
