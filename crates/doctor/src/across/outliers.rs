//! The finding about rows that are far from all others in several columns together.

use super::features::{Cells, Feature};
use super::forest::Forest;
use crate::checks::{CheckOptions, counted};
use crate::finding::{Evidence, Finding, FindingKind, Proposal, Severity};
use crate::profile::{Profile, SemanticType};
use crate::repair::Action;
use lepton_core::{Cancel, Result, Seed, thousands};
use lepton_data::scan::parse_number;
use rayon::prelude::*;

/// Fewer rows tell nothing.
const LEAST_ROWS: usize = 100;

/// Rows that are scored: all, where there are not more.
const MOST_ROWS: usize = 100_000;

/// A score below this is not far from the others, whatever the others have.
const LEAST_SCORE: f64 = 0.6;

/// Distances of the quartiles above the upper one, from which on a score is far out.
const FAR: f64 = 3.0;

/// More rows than this share are a group of their own and no outliers.
const MOST_SHARE: f64 = 0.02;

/// Rows that are listed.
const LISTED: usize = 10_000;

pub(super) fn check(
    profile: &Profile,
    options: &CheckOptions,
    features: &[Feature<'_>],
    cancel: &Cancel,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let columns: Vec<(usize, &Feature<'_>, f64)> =
        features.iter().filter_map(|feature| measured(profile, options, feature)).collect();
    if columns.len() < 2 || profile.sample.rows() < LEAST_ROWS {
        return Ok(());
    }
    let fill = |number: f64, median: f64| if number.is_nan() { median } else { number };
    let sampled = |row: usize| {
        let number = |(_, feature, median): &(usize, &Feature<'_>, f64)| match &feature.cells {
            Cells::Numbers(numbers) => fill(numbers[row], *median),
            Cells::Classes { .. } => *median,
        };
        columns.iter().map(number).collect::<Vec<f64>>()
    };
    let fitted: Vec<Vec<f64>> = (0..profile.sample.rows()).map(sampled).collect();
    let forest = Forest::grow(&fitted, columns.len(), Seed::default());
    cancel.check()?;
    let all = profile.beginning.is_whole() && profile.beginning.rows() <= MOST_ROWS;
    let row_of = |row: usize| {
        let number = |(place, _, median): &(usize, &Feature<'_>, f64)| {
            let number = parse_number(profile.beginning.cell(row, *place).text.as_bytes());
            fill(number.filter(|number| number.is_finite()).unwrap_or(f64::NAN), *median)
        };
        columns.iter().map(number).collect::<Vec<f64>>()
    };
    let count = if all { profile.beginning.rows() } else { fitted.len() };
    let scores: Vec<f64> = (0..count)
        .into_par_iter()
        .map(|row| {
            if row % 4_096 == 0 {
                cancel.check()?;
            }
            Ok(if all { forest.score(&row_of(row)) } else { forest.score(&fitted[row]) })
        })
        .collect::<Result<_>>()?;
    let far = far_out(&scores);
    if far.is_empty() {
        return Ok(());
    }
    let number = |place: usize| if all { place as u64 } else { profile.sample.row(place) };
    let mut rows: Vec<u64> = far.iter().map(|place| number(*place) + 1).collect();
    rows.sort_unstable();
    let farthest = far[0];
    let reasons = forest.reasons(&if all { row_of(farthest) } else { fitted[farthest].clone() });
    let mut order: Vec<usize> = (0..columns.len()).collect();
    order.sort_by(|one, other| reasons[*other].total_cmp(&reasons[*one]));
    let names: Vec<&str> = order.iter().take(3).map(|place| columns[*place].1.column.name.as_str()).collect();
    let among = if all {
        String::new()
    } else {
        format!(" among the {} rows of a sample that were looked at", thousands(count as u64))
    };
    rows.truncate(LISTED);
    findings.push(Finding {
        kind: FindingKind::MultivariateOutliers,
        column: None,
        count: far.len() as u64,
        severity: Severity::Note,
        message: format!(
            "{}{among} far from all others in {} columns of numbers together; the farthest, row {}, by {}",
            if far.len() == 1 { "1 row".to_owned() } else { counted(far.len() as u64, "row") },
            columns.len(),
            thousands(number(farthest) + 1),
            names.join(", "),
        ),
        evidence: Evidence { rows: rows.clone(), ..Evidence::default() },
        repair: Some(Proposal { action: Action::DropRows { rows }, safe: false }),
    });
    Ok(())
}

/// A column of numbers that differ, with its place in the table and its middle number.
fn measured<'a, 'b>(
    profile: &Profile,
    options: &CheckOptions,
    feature: &'b Feature<'a>,
) -> Option<(usize, &'b Feature<'a>, f64)> {
    let is_number = matches!(feature.column.semantic(), SemanticType::Number | SemanticType::Integer);
    let is_target = options.target.as_deref() == Some(feature.column.name.as_str());
    let Cells::Numbers(numbers) = &feature.cells else { return None };
    let mut there: Vec<f64> = numbers.iter().copied().filter(|number| !number.is_nan()).collect();
    if !is_number || is_target || there.len() * 2 < numbers.len() || feature.column.distinct <= 2 {
        return None;
    }
    let middle = there.len() / 2;
    let (_, median, _) = there.select_nth_unstable_by(middle, f64::total_cmp);
    let place = profile.columns.iter().position(|column| column.name == feature.column.name)?;
    Some((place, feature, *median))
}

/// The places of scores that are far out, the farthest first; none where there are too many to be outliers.
fn far_out(scores: &[f64]) -> Vec<usize> {
    let mut sorted = scores.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let quantile = |part: f64| sorted[((sorted.len() - 1) as f64 * part) as usize];
    let (lower, upper) = (quantile(0.25), quantile(0.75));
    let bar = (upper + FAR * (upper - lower)).max(LEAST_SCORE);
    let mut far: Vec<usize> = (0..scores.len()).filter(|place| scores[*place] > bar).collect();
    if far.len() as f64 > MOST_SHARE * scores.len() as f64 {
        return Vec::new();
    }
    far.sort_by(|one, other| scores[*other].total_cmp(&scores[*one]).then(one.cmp(other)));
    far
}
