//! Personal data: what may name or reach a person, or their money.

use super::counted;
use crate::finding::{Evidence, Finding, FindingKind, Proposal, Severity};
use crate::profile::{ColumnProfile, Meaning};
use crate::repair::{Action, Mask};

pub(super) fn check(column: &ColumnProfile, findings: &mut Vec<Finding>) {
    for found in &column.meanings {
        let (thing, severity) = match found.meaning {
            Meaning::Email => ("e-mail address", Severity::Warning),
            Meaning::Phone => ("telephone number", Severity::Warning),
            Meaning::Card => ("payment card number", Severity::Error),
            Meaning::Iban => ("bank account number", Severity::Error),
            Meaning::NationalId => ("national identity number", Severity::Error),
            _ => continue,
        };
        let thing = if found.count == 1 || thing.ends_with('s') { thing.to_owned() } else { format!("{thing}s") };
        let thing = thing.replace("addresss", "addresses");
        findings.push(Finding {
            kind: FindingKind::PersonalData,
            column: Some(column.name.clone()),
            count: found.count,
            severity,
            message: format!("{} with {thing}", counted(found.count, "cell")),
            evidence: Evidence::examples(&found.examples),
            repair: Some(Proposal {
                action: Action::Mask { column: column.name.clone(), method: Mask::Hash },
                safe: false,
            }),
        });
    }
}
