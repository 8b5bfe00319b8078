//! Cells of another type than nearly all of their column, and lists and objects.

use super::{Mostly, counted};
use crate::finding::{Evidence, Finding, FindingKind, Proposal, Severity};
use crate::profile::{ColumnProfile, Meaning, Profile, RowList};
use crate::repair::Action;
use lepton_data::scan::TableFormat;

pub(super) fn check(profile: &Profile, column: &ColumnProfile, findings: &mut Vec<Finding>) {
    let mut push = |rows: &RowList, message: String, repair: Option<Proposal>| {
        findings.push(Finding {
            kind: FindingKind::WrongType,
            column: Some(column.name.clone()),
            count: rows.count,
            severity: Severity::Warning,
            message,
            evidence: Evidence::rows(rows),
            repair,
        });
    };
    let name = || column.name.clone();
    // In a CSV every cell is text, so a number among texts is no mistake of type: a title may be one.
    let is_typed = profile.format != TableFormat::Csv;
    match column.mostly() {
        Mostly::Texts if is_typed && column.numbers.count > 0 => push(
            &column.numbers,
            format!("{} in a column of texts", counted(column.numbers.count, "number")),
            Some(Proposal { action: Action::ToText { column: name() }, safe: true }),
        ),
        Mostly::Numbers if column.real_texts() > 0 => {
            let readable = column.meaning(Meaning::WrittenNumber) + column.number_texts.count >= column.real_texts();
            let texts = counted(column.real_texts(), "text");
            let repair = if readable {
                Proposal { action: Action::ToNumber { column: name(), unit: None }, safe: true }
            } else {
                Proposal { action: Action::NonNumbersToMissing { column: name() }, safe: false }
            };
            push(&column.texts, format!("{texts} in a column of numbers"), Some(repair));
        }
        Mostly::Mixed if column.numbers.count > 0 && column.real_texts() > 0 => {
            let fewer = if column.numbers.count < column.texts.count { &column.numbers } else { &column.texts };
            let message = format!(
                "{} and {} in one column",
                counted(column.numbers.count, "number"),
                counted(column.real_texts(), "text")
            );
            push(fewer, message, None);
        }
        _ => {}
    }
    // A format that tells types apart, and a column of texts that are all numbers.
    if is_typed && column.number_texts.count > 0 && column.number_texts.count == column.real_texts() {
        let message = format!("{} written as text", counted(column.number_texts.count, "number"));
        let repair = Proposal { action: Action::ToNumber { column: name(), unit: None }, safe: true };
        push(&column.number_texts, message, Some(repair));
    }
    if column.nested.count > 0 {
        findings.push(Finding {
            kind: FindingKind::NestedValues,
            column: Some(name()),
            count: column.nested.count,
            severity: Severity::Note,
            message: format!("{} with lists or objects, which no model takes", counted(column.nested.count, "cell")),
            evidence: Evidence::rows(&column.nested),
            repair: Some(Proposal { action: Action::DropColumn { column: name() }, safe: false }),
        });
    }
}
