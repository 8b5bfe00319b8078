//! `lepton data check`.

use super::{Session, doctor};
use crate::arguments::Reading;
use crate::interrupt::cancel_on_signal;
use crate::terminal::{self, Bars, Table};
use lepton_core::{Result, thousands};
use lepton_doctor::rules::RuleOutcome;
use lepton_pipeline::{Checked, check_data, suggest_rules};
use serde_json::json;
use std::path::Path;

/// The exit code is 1 where a rule failed.
pub(super) fn check(
    session: &Session,
    target: &str,
    reading: &Reading,
    rules: Option<&Path>,
    suggest: bool,
) -> Result<u8> {
    let (settings, cancel) = (doctor::settings(reading), cancel_on_signal()?);
    if suggest {
        let text = suggest_rules(&session.store, Path::new(target), &settings, &Bars::new(), &cancel)?;
        session.show(&json!({ "target": target, "rules": text }), || text.clone())?;
        return Ok(0);
    }
    let now = lepton_pipeline::now();
    let checked = check_data(&session.store, target, rules, &settings, now, &Bars::new(), &cancel)?;
    session.show(&checked, || table(&checked))?;
    Ok(u8::from(!checked.passed))
}

fn table(checked: &Checked) -> String {
    let rules = &checked.report.rules;
    let mut table = Table::new(&["verdict", "rule", "column", "expected", "checked", "broken by", "where"]);
    for rule in rules {
        let evidence = rule.evidence_text().replace(['\n', '\r', '\t'], " ");
        let evidence = if evidence.is_empty() { "-".to_owned() } else { evidence };
        let (checked, failed) = counts(rule);
        table.row([
            rule.verdict.name().to_owned(),
            rule.rule.name().to_owned(),
            rule.column_text(),
            rule.expected.clone(),
            checked,
            failed,
            evidence,
        ]);
    }
    let failed = checked.report.failed().count();
    let sum = match failed {
        0 => terminal::green("all rules are kept"),
        1 => terminal::red("1 rule is broken"),
        more => terminal::red(&format!("{more} rules are broken")),
    };
    format!(
        "{} rows of {}; sha256:{}\n\n{}\n{sum}\n",
        thousands(checked.report.rows),
        checked.target,
        checked.sha256.short(),
        table.text()
    )
}

/// A rule about the whole table counts nothing.
fn counts(rule: &RuleOutcome) -> (String, String) {
    if rule.observed.is_some() {
        return ("-".to_owned(), if rule.failed == 0 { "-" } else { "the table" }.to_owned());
    }
    (thousands(rule.checked), thousands(rule.failed))
}
