//! Rules over files: each kind kept and broken, wrong rules refused, and proposed rules that pass.

#![allow(clippy::unwrap_used, clippy::panic)]

use lepton_core::{Cancel, Error, ErrorCode, Result, Silent};
use lepton_data::parse_moment;
use lepton_doctor::profile::{ProfileOptions, profile};
use lepton_doctor::rules::*;
use proptest::prelude::*;
use std::path::Path;

const TABLE: &str = "id,name,age,joined,city
1,Ann,30,2026-11-01,Rome
2,Bob,41,2026-11-20,Oslo
3,,150,2026-11-21,Rome
4,Dan,-5,21.11.2026,Oslo
4,Eve,x,,Bern
";

fn rules(text: &str) -> Result<Vec<Rule>> {
    let file: RulesFile = toml::from_str(text).map_err(|error| Error::new(ErrorCode::Config, error.to_string()))?;
    Rule::all(&file.rules, "rules")
}

fn checked_in(text: &str, name: &str, wanted: &str, threads: usize, memory_bytes: usize) -> Result<CheckReport> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let cancel = Cancel::default();
    let options = ProfileOptions { memory_bytes, ..ProfileOptions::new(folder.path(), threads, &Silent, &cancel) };
    let now = parse_moment("2026-11-24T12:00").unwrap();
    Ok(check_file(&path, &rules(wanted)?, now, &options)?.0)
}

fn checked(text: &str, wanted: &str) -> Result<CheckReport> {
    checked_in(text, "table.csv", wanted, 2, 1 << 20)
}

/// Values that were looked at, that failed, the first failures and the verdict of one rule.
fn one(wanted: &str) -> (u64, u64, String, Verdict) {
    let report = checked(TABLE, &format!("[[rules]]\n{wanted}")).unwrap();
    let [rule] = report.rules.as_slice() else { panic!("{report:?}") };
    (rule.checked, rule.failed, rule.evidence_text(), rule.verdict)
}

#[test]
fn each_rule_passes_where_it_is_kept_and_fails_where_it_is_broken() {
    use Verdict::{Failed, Passed, Warned};
    let seen = |checked, failed, text: &str, verdict| (checked, failed, text.to_owned(), verdict);
    for (wanted, expected) in [
        ("rule = 'not_null'\ncolumn = 'age'", seen(5, 0, "", Passed)),
        ("rule = 'not_null'\ncolumn = 'name'", seen(5, 1, "row 3: missing", Failed)),
        ("rule = 'unique'\ncolumn = 'joined'", seen(4, 0, "", Passed)),
        ("rule = 'unique'\ncolumn = 'id'", seen(5, 1, "row 5 repeats row 4", Failed)),
        ("rule = 'unique'\ncolumns = ['id', 'city']", seen(5, 0, "", Passed)),
        ("rule = 'unique'\ncolumns = ['city', 'city']", seen(5, 2, "row 3 repeats row 1, row 4 repeats row 2", Failed)),
        ("rule = 'between'\ncolumn = 'id'\nmin = 1\nmax = 4", seen(5, 0, "", Passed)),
        (
            "rule = 'between'\ncolumn = 'age'\nmin = 0\nmax = 120",
            seen(5, 3, "row 3: \"150\", row 4: \"-5\", row 5: \"x\"", Failed),
        ),
        ("rule = 'between'\ncolumn = 'age'\nmin = -5.0\nat_least = 0.8", seen(5, 1, "row 5: \"x\"", Passed)),
        ("rule = 'between'\ncolumn = 'age'\nmin = -5.0\nat_least = 0.81", seen(5, 1, "row 5: \"x\"", Failed)),
        (
            "rule = 'between'\ncolumn = 'joined'\nmin = '2026-11-02'",
            seen(4, 2, "row 1: \"2026-11-01\", row 4: \"21.11.2026\"", Failed),
        ),
        ("rule = 'in_set'\ncolumn = 'city'\nvalues = ['Rome', 'Oslo', 'Bern']", seen(5, 0, "", Passed)),
        ("rule = 'in_set'\ncolumn = 'city'\nvalues = ['Rome', 'Oslo']", seen(5, 1, "row 5: \"Bern\"", Failed)),
        ("rule = 'in_set'\ncolumn = 'id'\nvalues = [1, 2.0, 3]", seen(5, 2, "row 4: \"4\", row 5: \"4\"", Failed)),
        ("rule = 'matches'\ncolumn = 'name'\npattern = '^[A-Z][a-z]+$'", seen(4, 0, "", Passed)),
        (
            "rule = 'matches'\ncolumn = 'name'\npattern = 'a'",
            seen(4, 3, "row 1: \"Ann\", row 2: \"Bob\", row 5: \"Eve\"", Failed),
        ),
        ("rule = 'type'\ncolumn = 'id'\ntype = 'integer'", seen(5, 0, "", Passed)),
        ("rule = 'type'\ncolumn = 'age'\ntype = 'number'", seen(5, 1, "row 5: \"x\"", Failed)),
        ("rule = 'type'\ncolumn = 'joined'\ntype = 'date'", seen(4, 1, "row 4: \"21.11.2026\"", Failed)),
        ("rule = 'type'\ncolumn = 'city'\ntype = 'text'", seen(5, 0, "", Passed)),
        ("rule = 'type'\ncolumn = 'city'\ntype = 'boolean'\nseverity = 'warning'\nat_least = 0.1", {
            let text = "row 1: \"Rome\", row 2: \"Oslo\", row 3: \"Rome\", row 4: \"Oslo\", row 5: \"Bern\"";
            seen(5, 5, text, Warned)
        }),
        ("rule = 'row_count'\nmin = 5\nmax = 5", seen(1, 0, "5 rows", Passed)),
        ("rule = 'row_count'\nmin = 6", seen(1, 1, "5 rows", Failed)),
        ("rule = 'row_count'\nmax = 4\nseverity = 'warning'", seen(1, 1, "5 rows", Warned)),
    ] {
        assert_eq!(one(wanted), expected, "{wanted}");
    }
}

#[test]
fn freshness_is_held_against_the_clock_that_is_handed_in() {
    let (looked, failed, text, verdict) = one("rule = 'fresh_within'\ncolumn = 'joined'\nwithin = '4d'");
    assert_eq!((looked, failed, verdict), (1, 0, Verdict::Passed));
    assert_eq!(text, "the newest is 2026-11-21T00:00:00Z, the clock says 2026-11-24T12:00:00Z; 1 are no ISO date");
    let (_, failed, _, verdict) = one("rule = 'fresh_within'\ncolumn = 'joined'\nwithin = '72h'");
    assert_eq!((failed, verdict), (1, Verdict::Failed));
    // A date in the future makes nothing fresh.
    let report =
        checked("d\n2020-01-01\n2999-01-01\n", "[[rules]]\nrule = 'fresh_within'\ncolumn = 'd'\nwithin = '1w'");
    let outcome = &report.unwrap().rules[0];
    assert!(
        outcome.verdict == Verdict::Failed && outcome.evidence_text().contains("1 lie in the future"),
        "{outcome:?}"
    );
    let (_, failed, text, _) = one("rule = 'fresh_within'\ncolumn = 'city'\nwithin = '1w'");
    assert!(failed == 1 && text.contains("there is no date") && text.contains("5 are no ISO date"), "{text}");
}

#[test]
fn a_wrong_rule_is_refused_with_its_key() {
    for (rule, key, code) in [
        ("rule = 'between'\ncolumn = 'age'", "rules[0].min", ErrorCode::Config),
        ("rule = 'between'\ncolumn = 'age'\nmin = 3\nmax = 2", "rules[0].max", ErrorCode::Config),
        ("rule = 'between'\ncolumn = 'age'\nmin = 3\nmax = '2020-01-01'", "rules[0].max", ErrorCode::Config),
        ("rule = 'between'\ncolumn = 'age'\nmin = 'three'", "rules[0].min", ErrorCode::Config),
        ("rule = 'between'\nmin = 3", "rules[0].column", ErrorCode::Config),
        ("rule = 'between'\ncolumn = 'a'\nmin = 3\npattern = 'x'", "rules[0].pattern", ErrorCode::Config),
        ("rule = 'not_null'\ncolumn = 'a'\nat_least = 1.5", "rules[0].at_least", ErrorCode::Config),
        ("rule = 'not_null'\ncolumn = 'a'\ncolumns = ['b']", "rules[0].columns", ErrorCode::Config),
        ("rule = 'unique'\ncolumns = []", "rules[0].columns", ErrorCode::Config),
        ("rule = 'in_set'\ncolumn = 'a'\nvalues = []", "rules[0].values", ErrorCode::Config),
        ("rule = 'matches'\ncolumn = 'a'\npattern = '('", "rules[0].pattern", ErrorCode::Config),
        ("rule = 'row_count'\ncolumn = 'a'\nmin = 1", "rules[0].column", ErrorCode::Config),
        ("rule = 'row_count'\nmin = 1.5", "rules[0].min", ErrorCode::Config),
        ("rule = 'row_count'", "rules[0].min", ErrorCode::Config),
        ("rule = 'fresh_within'\ncolumn = 'a'\nwithin = 'soon'", "rules[0].within", ErrorCode::Config),
        ("rule = 'fresh_within'\ncolumn = 'a'\nwithin = '1d'\nat_least = 0.5", "rules[0].at_least", ErrorCode::Config),
        ("rule = 'sql'", "rules[0].query", ErrorCode::Config),
        ("rule = 'sql'\nquery = 'select 1'\nat_least = 0.5", "rules[0].at_least", ErrorCode::Config),
    ] {
        let error = rules(&format!("[[rules]]\n{rule}")).unwrap_err();
        assert_eq!((error.code(), error.place().key.as_deref()), (code, Some(key)), "{rule}: {error}");
    }
    let error = checked(TABLE, "[[rules]]\nrule = 'not_null'\ncolumn = 'agee'").unwrap_err();
    assert_eq!((error.code(), error.place().column.as_deref()), (ErrorCode::NotFound, Some("agee")));
    assert!(error.to_string().contains("did you mean \"age\""), "{error}");
    let json = "{\"a\": 1}\n{\"a\": 2, \"b\": 3}\n";
    let in_json = |rule: &str| checked_in(json, "t.jsonl", &format!("[[rules]]\n{rule}"), 1, 1 << 20);
    assert_eq!(in_json("rule = 'not_null'\ncolumn = 'c'").unwrap_err().code(), ErrorCode::NotFound);
    assert_eq!(in_json("rule = 'not_null'\ncolumn = 'b'").unwrap().rules[0].failed, 1);
}

#[test]
fn json_types_count_and_a_file_without_rows_keeps_all_but_a_row_count() {
    let json = "{\"n\": \"1\", \"b\": true}\n{\"n\": 2, \"b\": \"true\"}\n{\"n\": null, \"b\": false}\n";
    let wanted = "[[rules]]\nrule = 'type'\ncolumn = 'n'\ntype = 'number'\n[[rules]]\nrule = 'type'\ncolumn = 'b'\ntype = 'boolean'";
    let report = checked_in(json, "t.jsonl", wanted, 2, 1 << 20).unwrap();
    assert_eq!(report.rules.iter().map(|rule| (rule.checked, rule.failed)).collect::<Vec<_>>(), [(2, 1), (3, 1)]);
    let wanted = "[[rules]]\nrule = 'not_null'\ncolumn = 'a'\n[[rules]]\nrule = 'row_count'\nmin = 1";
    let report = checked("a,b\n", wanted).unwrap();
    assert_eq!(report.failed().count(), 1);
    assert_eq!(report.failed().next().unwrap().rule, RuleKind::RowCount);
}

#[test]
fn proposed_rules_pass_on_the_table_that_they_came_from() {
    let mut text = String::from("id,code,size,city,day,note,quo\"te\n");
    for row in 0..60 {
        let size = if row % 7 == 3 { String::new() } else { format!("{}.5", row * 37 % 41) };
        let city = ["Rome", "\"O\"\"slo\"", "Bern"][row % 3];
        text += &format!(
            "{row},AB-{:04},{size},{city},2026-01-{:02},{}x y,1\n",
            row % 50,
            row % 28 + 1,
            "z".repeat(row % 9)
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    std::fs::write(&path, &text).unwrap();
    let cancel = Cancel::default();
    let profile = profile(&path, &ProfileOptions::new(folder.path(), 2, &Silent, &cancel)).unwrap();
    let proposed = suggest(&profile, "table.csv");
    let report = checked(&text, &proposed).unwrap();
    assert_eq!(report.failed().count(), 0, "{proposed}\n{report:#?}");
    for kind in ["row_count", "not_null", "unique", "type", "between", "in_set", "matches"] {
        assert!(proposed.contains(&format!("rule = \"{kind}\"")), "{kind}: {proposed}");
    }
    assert!(proposed.contains("at_least = 0.85") && proposed.contains(r"\p{N}"), "{proposed}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn unique_and_between_agree_with_the_plain_definition(
        values in prop::collection::vec(prop::option::of(0u32..40), 1..200), threads in 1usize..4, memory in 1usize..4_000,
    ) {
        let mut text = String::from("row,v\n");
        values.iter().enumerate().for_each(|(row, value)| {
            text += &format!("{row},{}\n", value.map_or_else(String::new, |value| value.to_string()));
        });
        let wanted = "[[rules]]\nrule = 'unique'\ncolumn = 'v'\n[[rules]]\nrule = 'between'\ncolumn = 'v'\nmin = 10\nmax = 20";
        let report = checked_in(&text, "t.csv", wanted, threads, memory).unwrap();
        let present: Vec<u32> = values.iter().copied().flatten().collect();
        let distinct: std::collections::BTreeSet<u32> = present.iter().copied().collect();
        prop_assert_eq!(report.rules[0].checked, present.len() as u64);
        prop_assert_eq!(report.rules[0].failed, (present.len() - distinct.len()) as u64);
        prop_assert_eq!(report.rules[1].failed, present.iter().filter(|value| !(10..=20).contains(*value)).count() as u64);
    }
}

#[test]
fn a_check_stops_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    std::fs::write(&path, TABLE).unwrap();
    let cancel = Cancel::default();
    cancel.cancel();
    let options = ProfileOptions::new(folder.path(), 1, &Silent, &cancel);
    let wanted = rules("[[rules]]\nrule = 'not_null'\ncolumn = 'age'").unwrap();
    let error = check_file(Path::new(&path), &wanted, 0.0, &options).err().unwrap();
    assert_eq!(error.code(), ErrorCode::Cancelled);
}
