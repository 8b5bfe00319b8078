//! One thing written in several ways: dates, numbers, units, padding, spelling.

use super::{Mostly, counted};
use crate::finding::{Evidence, Finding, FindingKind, Proposal, Severity};
use crate::profile::{ColumnProfile, Meaning, MeaningCount, ValueCount};
use crate::repair::Action;
use lepton_recipe::written::{DateOrder, measure};
use std::collections::BTreeMap;

pub(super) fn check(column: &ColumnProfile, findings: &mut Vec<Finding>) {
    dates(column, findings);
    units(column, findings);
    padding(column, findings);
    spelling(column, findings);
}

fn dates(column: &ColumnProfile, findings: &mut Vec<Finding>) {
    let orders: Vec<(&MeaningCount, DateOrder)> = column
        .meanings
        .iter()
        .filter_map(|counted| match counted.meaning {
            Meaning::Date(order) => Some((counted, order)),
            _ => None,
        })
        .collect();
    let dates: u64 = orders.iter().map(|(counted, _)| counted.count).sum();
    // A few dates among other texts are no column of dates.
    if dates == 0 || dates * 10 < column.real_texts() * 9 {
        return;
    }
    let has = |wanted: DateOrder| orders.iter().any(|(_, order)| *order == wanted);
    let (day_first, month_first) = (has(DateOrder::DayMonthYear), has(DateOrder::MonthDayYear));
    let unclear = orders.iter().find(|(_, order)| *order == DateOrder::DayOrMonthFirst).map(|(counted, _)| *counted);
    if let Some(unclear) = unclear
        && day_first == month_first
    {
        let why = if day_first { "others of the column have both orders" } else { "no other date of the column tells" };
        findings.push(Finding {
            kind: FindingKind::AmbiguousDates,
            column: Some(column.name.clone()),
            count: unclear.count,
            severity: Severity::Warning,
            message: format!("{} whose day and month cannot be told apart: {why}", counted(unclear.count, "date")),
            evidence: Evidence::examples(&unclear.examples),
            repair: None,
        });
    }
    // What an unclear date is, where the others tell.
    let clear: Vec<&(&MeaningCount, DateOrder)> =
        orders.iter().filter(|(_, order)| *order != DateOrder::DayOrMonthFirst || !(day_first ^ month_first)).collect();
    let separators = |counted: &MeaningCount| {
        let mark = |text: &str| text.chars().find(|letter| !letter.is_alphanumeric());
        counted.examples.iter().filter_map(|example| mark(&example.text)).collect::<std::collections::BTreeSet<_>>()
    };
    let marks: std::collections::BTreeSet<char> = orders.iter().flat_map(|(counted, _)| separators(counted)).collect();
    if clear.len() < 2 && marks.len() < 2 {
        return;
    }
    let most = orders.iter().map(|(counted, _)| counted.count).max().unwrap_or(0);
    let rest = dates - most;
    findings.push(Finding {
        kind: FindingKind::MixedFormats,
        column: Some(column.name.clone()),
        count: rest.max(1),
        severity: Severity::Warning,
        message: format!("dates are written in {} ways", clear.len().max(marks.len())),
        evidence: Evidence::examples(orders.iter().filter_map(|(counted, _)| counted.examples.first())),
        repair: Some(Proposal {
            action: Action::ToIsoDate { column: column.name.clone(), day_first: day_first && !month_first },
            safe: unclear.is_none() || (day_first ^ month_first),
        }),
    });
}

fn units(column: &ColumnProfile, findings: &mut Vec<Finding>) {
    let Some(measures) = column.meanings.iter().find(|counted| counted.meaning == Meaning::Measure) else { return };
    if measures.count * 10 < column.real_texts() * 9 || measures.count < 2 {
        return;
    }
    let mut units: BTreeMap<&'static str, u64> = BTreeMap::new();
    for example in &measures.examples {
        if let Some((_, unit)) = measure(&example.text) {
            *units.entry(unit).or_default() += example.count;
        }
    }
    let Some((unit, _)) = units.iter().max_by_key(|(_, count)| **count) else { return };
    let names: Vec<&str> = units.keys().copied().collect();
    let (kind, message) = if units.len() > 1 {
        (FindingKind::MixedUnits, format!("measures in several units: {}", names.join(", ")))
    } else {
        (
            FindingKind::MixedFormats,
            format!("numbers with a unit behind them ({unit}), which no model reads as numbers"),
        )
    };
    findings.push(Finding {
        kind,
        column: Some(column.name.clone()),
        count: measures.count,
        severity: Severity::Warning,
        message,
        evidence: Evidence::examples(&measures.examples),
        repair: Some(Proposal {
            action: Action::ToNumber { column: column.name.clone(), unit: Some((*unit).to_owned()) },
            safe: true,
        }),
    });
}

fn padding(column: &ColumnProfile, findings: &mut Vec<Finding>) {
    let Some(padded) = column.meanings.iter().find(|counted| counted.meaning == Meaning::Padded) else { return };
    findings.push(Finding {
        kind: FindingKind::PaddedTexts,
        column: Some(column.name.clone()),
        count: padded.count,
        severity: Severity::Note,
        message: format!("{} with white space at an end", counted(padded.count, "text")),
        evidence: Evidence::examples(&padded.examples),
        repair: Some(Proposal { action: Action::Trim { column: column.name.clone() }, safe: true }),
    });
}

/// Letters and digits alone, in lower case: what is left of a value without its spelling.
fn skeleton(value: &str) -> String {
    value.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Values that are the same but for case, blanks and punctuation; of names and titles every text has its own.
fn spelling(column: &ColumnProfile, findings: &mut Vec<Finding>) {
    if column.mostly() != Mostly::Texts || !column.values_are_exact || column.distinct * 2 > column.texts.count {
        return;
    }
    let mut groups: BTreeMap<String, Vec<&ValueCount>> = BTreeMap::new();
    for value in &column.values {
        let skeleton = skeleton(&value.value);
        if !skeleton.is_empty() && value.value == value.value.trim() {
            groups.entry(skeleton).or_default().push(value);
        }
    }
    // The values are in the order of their counts, so the first of a group is the most frequent.
    let variants: Vec<Vec<&ValueCount>> = groups.into_values().filter(|group| group.len() > 1).collect();
    if variants.is_empty() {
        return;
    }
    let rest = || variants.iter().flat_map(|group| &group[1..]).copied();
    let count = rest().map(|value| value.count).sum();
    let first = variants.iter().max_by_key(|group| group[1].count).map_or("", |group| group[1].value.as_str());
    let to = variants.iter().max_by_key(|group| group[1].count).map_or("", |group| group[0].value.as_str());
    let map = variants
        .iter()
        .flat_map(|group| group[1..].iter().map(|value| (value.value.clone(), group[0].value.clone())))
        .collect();
    findings.push(Finding {
        kind: FindingKind::SpellingVariants,
        column: Some(column.name.clone()),
        count,
        severity: Severity::Warning,
        message: format!(
            "{} with another spelling of a more frequent value: {first:?} for {to:?}",
            counted(count, "cell")
        ),
        evidence: Evidence::values(rest()),
        repair: Some(Proposal { action: Action::MapValues { column: column.name.clone(), map }, safe: false }),
    });
}
