//! Numbers far from all others of their column: beyond three times the distance of the quartiles from the nearer one
//! (Tukey, "Exploratory Data Analysis", 1977: "far out").

use super::{Mostly, counted};
use crate::finding::{Evidence, Finding, FindingKind, Proposal, Severity};
use crate::profile::ColumnProfile;
use crate::repair::Action;

/// How many distances of the quartiles.
const FAR: f64 = 3.0;

/// Fewer numbers tell nothing.
const LEAST: u64 = 20;

pub(super) fn check(column: &ColumnProfile, is_target: bool, findings: &mut Vec<Finding>) {
    let numbers = &column.distribution;
    if column.mostly() != Mostly::Numbers || numbers.count() < LEAST || column.distinct <= 2 {
        return;
    }
    let (Some(lower), Some(upper)) = (numbers.quantile(0.25), numbers.quantile(0.75)) else { return };
    let width = upper - lower;
    if width <= 0.0 {
        return;
    }
    let (low, high) = (lower - FAR * width, upper + FAR * width);
    let below: Vec<_> = column.extremes.low.iter().take_while(|extreme| extreme.value < low).collect();
    let above: Vec<_> = column.extremes.high.iter().take_while(|extreme| extreme.value > high).collect();
    // Where all extremes that are kept lie outside there are more, which the sketch counts within its bound.
    let beyond = |kept: usize, all: usize, share: Option<f64>| match share {
        Some(share) if kept == all && kept > 0 => ((share * numbers.count() as f64).round() as u64).max(kept as u64),
        _ => kept as u64,
    };
    let count = beyond(below.len(), column.extremes.low.len(), numbers.cdf(low))
        + beyond(above.len(), column.extremes.high.len(), numbers.cdf(high).map(|share| 1.0 - share));
    if count == 0 {
        return;
    }
    let mut rows: Vec<u64> = below.iter().chain(&above).map(|extreme| extreme.row + 1).collect();
    rows.sort_unstable();
    let part = count as f64 / numbers.count() as f64;
    // A long tail is a shape and no mistake; what is far out and rare may be one.
    let severity = if part < 0.01 && !is_target { Severity::Warning } else { Severity::Note };
    let farthest = above.first().or(below.first()).map_or(f64::NAN, |extreme| extreme.value);
    findings.push(Finding {
        kind: FindingKind::Outliers,
        column: Some(column.name.clone()),
        count,
        severity,
        message: format!("{} outside of {low:.6} to {high:.6}, the farthest is {farthest}", counted(count, "number"),),
        evidence: Evidence { rows, ..Evidence::default() },
        repair: Some(Proposal { action: Action::Winsorise { column: column.name.clone(), low, high }, safe: false }),
    });
}
