//! Cells with nothing in them, and those that say nothing in words or numbers.

use super::{Mostly, counted, share};
use crate::finding::{Evidence, Finding, FindingKind, Proposal, Severity};
use crate::profile::{ColumnProfile, Meaning, Profile};
use crate::repair::{Action, Imputation};

/// Numbers that people write for nothing.
const SENTINELS: [f64; 12] =
    [-9.0, -99.0, -999.0, -9_999.0, -99_999.0, -999_999.0, 99.0, 999.0, 9_999.0, 99_999.0, 999_999.0, 9_999_999.0];

/// Numbers that stand for nothing are this many distances of the quartiles from the next number.
const FAR: f64 = 5.0;

/// Up to this share of missing cells filling them is proposed as safe.
const SAFE_SHARE: f64 = 0.2;

/// From this share on, nothing is proposed but leaving the column out.
const HOPELESS_SHARE: f64 = 0.9;

pub(super) fn check(profile: &Profile, column: &ColumnProfile, is_target: bool, findings: &mut Vec<Finding>) {
    let missing = column.missing.count;
    if missing > 0 {
        let part = missing as f64 / profile.rows.max(1) as f64;
        let severity = if is_target || part > 0.5 { Severity::Warning } else { Severity::Note };
        findings.push(Finding {
            kind: FindingKind::MissingValues,
            column: Some(column.name.clone()),
            count: missing,
            severity,
            message: format!("{} of {} missing", counted(missing, "cell"), share(missing, profile.rows)),
            evidence: Evidence::rows(&column.missing),
            repair: proposal(column, part, is_target),
        });
    }
    words(column, findings);
    sentinels(column, findings);
}

/// A label must not be invented; other cells get what is typical of their column.
fn proposal(column: &ColumnProfile, part: f64, is_target: bool) -> Option<Proposal> {
    let name = column.name.clone();
    if is_target {
        return Some(Proposal { action: Action::DropRowsWithMissing { column: name }, safe: true });
    }
    if part >= HOPELESS_SHARE {
        return Some(Proposal { action: Action::DropColumn { column: name }, safe: false });
    }
    let with = match column.mostly() {
        Mostly::Numbers => Imputation::Median,
        Mostly::Texts | Mostly::Mixed if is_category(column) => Imputation::Mode,
        Mostly::Texts | Mostly::Mixed => Imputation::Constant { value: "unknown".to_owned() },
        Mostly::Empty => return Some(Proposal { action: Action::DropColumn { column: name }, safe: false }),
    };
    Some(Proposal { action: Action::Impute { column: name, with }, safe: part <= SAFE_SHARE })
}

/// Few values, each of them often.
pub(super) fn is_category(column: &ColumnProfile) -> bool {
    let present = column.texts.count + column.numbers.count + column.booleans.count;
    column.values_are_exact && column.distinct <= 100 && column.distinct * 10 <= present
}

/// `N/A`, `?`, blanks. A word that most cells have may be a value of its own.
fn words(column: &ColumnProfile, findings: &mut Vec<Finding>) {
    let Some(words) = column.meanings.iter().find(|counted| counted.meaning == Meaning::Missing) else { return };
    let values: Vec<String> = words.examples.iter().map(|example| example.text.clone()).collect();
    let shown: Vec<String> = values.iter().take(5).map(|value| format!("{value:?}")).collect();
    let are_blank = values.iter().all(|value| value.trim().is_empty());
    findings.push(Finding {
        kind: FindingKind::DisguisedMissing,
        column: Some(column.name.clone()),
        count: words.count,
        severity: Severity::Warning,
        message: if are_blank {
            format!("{} of white space alone", counted(words.count, "cell"))
        } else {
            format!("{} with words for nothing: {}", counted(words.count, "cell"), shown.join(", "))
        },
        evidence: Evidence::examples(&words.examples),
        repair: Some(Proposal {
            action: Action::SetMissing { column: column.name.clone(), values },
            // Words such as "none" and "unknown" may be answers.
            safe: words.examples.iter().all(|example| !may_be_an_answer(&example.text)),
        }),
    });
}

fn may_be_an_answer(text: &str) -> bool {
    ["none", "unknown", "na", "nil", "not applicable", "tbd"].contains(&text.trim().to_lowercase().as_str())
}

/// A number of nines that is there several times and far outside of all other numbers.
fn sentinels(column: &ColumnProfile, findings: &mut Vec<Finding>) {
    if column.mostly() != Mostly::Numbers {
        return;
    }
    for sentinel in SENTINELS {
        let parsed = |value: &str| lepton_recipe::written::parse_number(value.as_bytes());
        let Some(value) = column.values.iter().find(|value| parsed(&value.value) == Some(sentinel)) else { continue };
        // The next number towards the middle of the column.
        let side = if sentinel < 0.0 { &column.extremes.low } else { &column.extremes.high };
        let is_end = side.first().is_some_and(|extreme| extreme.value == sentinel);
        let next = side.iter().find(|extreme| extreme.value != sentinel);
        let (Some(low), Some(high)) = (column.distribution.quantile(0.25), column.distribution.quantile(0.75)) else {
            continue;
        };
        let far = FAR * (high - low);
        let stands_alone = match next {
            Some(next) => (sentinel - next.value).abs() > far.max(next.value.abs()),
            // All extremes that are kept are this number.
            None => column.distinct > 1 && (sentinel < low - far || sentinel > high + far),
        };
        if value.count >= 3 && is_end && stands_alone {
            findings.push(Finding {
                kind: FindingKind::DisguisedMissing,
                column: Some(column.name.clone()),
                count: value.count,
                severity: Severity::Warning,
                message: format!("{} with {}, far from all other numbers", counted(value.count, "cell"), value.value),
                evidence: Evidence::values([value]),
                repair: Some(Proposal {
                    action: Action::SetMissing { column: column.name.clone(), values: vec![value.value.clone()] },
                    safe: true,
                }),
            });
        }
    }
}
