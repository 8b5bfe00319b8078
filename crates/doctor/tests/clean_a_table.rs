//! From a dirty table to findings, a plan, a repaired file, its change log, and back.

#![allow(clippy::unwrap_used)]

use lepton_core::{Cancel, ErrorCode, Silent};
use lepton_data::scan::{Ragged, Scan, ScanOptions, Table, Work};
use lepton_doctor::checks::{CheckOptions, check};
use lepton_doctor::profile::{Profile, ProfileOptions, profile};
use lepton_doctor::repair::{Action, Change, Imputation, Plan, Step, read_log, repair, undo};
use lepton_doctor::{Finding, FindingKind};
use std::path::{Path, PathBuf};

fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn profiled(path: &Path, threads: usize) -> Profile {
    let cancel = Cancel::default();
    profile(path, &ProfileOptions::new(path.parent().unwrap(), threads, &Silent, &cancel)).unwrap()
}

fn findings(path: &Path, target: Option<&str>) -> Vec<Finding> {
    check(&profiled(path, 2), &CheckOptions { target: target.map(str::to_owned) })
}

fn table(path: &Path) -> Table {
    let options = ScanOptions { ragged: Ragged::Keep, ..ScanOptions::default() };
    let how = Work { threads: 1, progress: &Silent, cancel: &Cancel::default() };
    Table::read(Scan::open(path, &options).unwrap(), &how, &options.limits).unwrap()
}

/// What is found of a kind: column and count.
fn of(findings: &[Finding], kind: FindingKind) -> Vec<(&str, u64)> {
    let of_kind = findings.iter().filter(|finding| finding.kind == kind);
    of_kind.map(|finding| (finding.column.as_deref().unwrap_or("-"), finding.count)).collect()
}

/// Does the steps to a file; the new text and the change log.
fn done(path: &Path, steps: Vec<Action>) -> lepton_core::Result<(String, Vec<Change>)> {
    let table = table(path);
    let step = |(place, action)| Step { id: format!("s{place}"), reason: String::new(), enabled: true, action };
    let steps = steps.into_iter().enumerate().map(step).collect();
    let plan = Plan { sha256: table.source().sha256, salt: "pepper".into(), steps };
    let repaired = repair(&table, &plan, &Cancel::default())?;
    let mut bytes = Vec::new();
    repaired.write(&mut bytes)?;
    assert_eq!(read_log(&repaired.log()?)?, repaired.changes(), "the log reads back");
    Ok((String::from_utf8(bytes).unwrap(), repaired.changes().to_vec()))
}

/// Forty rows with one of everything.
fn dirty() -> String {
    let mut text = String::from("id,age,city,joined,weight,mail,same,label\n");
    for row in 0..40 {
        let age = match row {
            3 => "N/A".to_owned(),
            7 => "-999".to_owned(),
            17 | 27 => "-999".to_owned(),
            9 => String::new(),
            11 => "400".to_owned(),
            _ => (20 + row % 30).to_string(),
        };
        let city = ["Berlin", "Paris", "berlin", " Paris"][if row % 10 == 5 { 2 + row % 20 / 10 } else { row % 2 }];
        let joined =
            if row % 8 == 0 { format!("{:02}/02/2020", 13 + row % 10) } else { format!("2020-03-{:02}", 1 + row % 28) };
        let weight = if row % 5 == 0 { format!("{} g", 60_000 + row) } else { format!("{} kg", 60 + row) };
        text += &format!(
            "{row},{age},{city},{joined},{weight},p{row}@mail.org,x,{}\n",
            if row < 38 { "yes" } else { "no" }
        );
    }
    text + "39,29,Paris,2020-03-12,99 kg,p39@mail.org,x,no\n"
}

#[test]
fn one_of_everything_is_found() {
    let (_folder, path) = file("dirty.csv", &dirty());
    let found = findings(&path, Some("label"));
    assert_eq!(of(&found, FindingKind::MissingValues), [("age", 1)]);
    assert_eq!(of(&found, FindingKind::DisguisedMissing), [("age", 1), ("age", 3)]);
    assert_eq!(of(&found, FindingKind::Outliers), [("age", 4)]);
    assert_eq!(of(&found, FindingKind::SpellingVariants), [("city", 2)]);
    assert_eq!(of(&found, FindingKind::PaddedTexts), [("city", 2)]);
    assert_eq!(of(&found, FindingKind::MixedFormats), [("joined", 5)]);
    assert_eq!(of(&found, FindingKind::MixedUnits), [("weight", 41)]);
    assert_eq!(of(&found, FindingKind::PersonalData), [("mail", 41)]);
    assert_eq!(of(&found, FindingKind::ConstantColumn), [("same", 41)]);
    assert_eq!(of(&found, FindingKind::DuplicateRows), [("-", 1)]);
    assert_eq!(of(&found, FindingKind::ClassImbalance), [("label", 3)]);
    assert!(of(&found, FindingKind::IdColumn).iter().any(|(column, _)| *column == "id"));
    let duplicates = found.iter().find(|finding| finding.kind == FindingKind::DuplicateRows).unwrap();
    assert_eq!(duplicates.evidence.groups, [[40, 41]]);
}

#[test]
fn a_clean_table_has_no_findings() {
    let mut text = String::from("height,colour,label\n");
    (0..100).for_each(|row| {
        text += &format!("{}.{},{},{}\n", 100 + row * 37 % 91, row, ["red", "blue"][row % 2], ["a", "b"][row / 7 % 2])
    });
    let (_folder, path) = file("clean.csv", &text);
    assert_eq!(findings(&path, Some("label")), []);
}

#[test]
fn the_profile_does_not_depend_on_threads() {
    let (_folder, path) = file("dirty.csv", &dirty());
    let one = profiled(&path, 1);
    let four = profiled(&path, 4);
    assert_eq!(check(&one, &CheckOptions::default()), check(&four, &CheckOptions::default()));
    assert_eq!(format!("{:?}", one.columns), format!("{:?}", four.columns));
}

#[test]
fn the_proposed_plan_repairs_and_undo_goes_back() {
    let (_folder, path) = file("dirty.csv", &dirty());
    let found = findings(&path, Some("label"));
    let table = table(&path);
    let plan = Plan::of(&found, table.source().sha256);
    let text = plan.to_toml("dirty.csv").unwrap();
    assert_eq!(Plan::from_toml(&text).unwrap(), plan);
    let repaired = repair(&table, &plan, &Cancel::default()).unwrap();
    let mut bytes = Vec::new();
    repaired.write(&mut bytes).unwrap();
    let after = String::from_utf8(bytes).unwrap();
    assert!(!after.contains("-999") && !after.contains("N/A") && !after.contains(" kg") && !after.contains(" Paris"));
    assert!(after.contains("2020-02-13") && after.contains(",60,") && after.lines().count() == 41);
    let (_repaired_folder, repaired_path) = file("dirty.csv", &after);
    let left = findings(&repaired_path, Some("label"));
    for gone in
        [FindingKind::MissingValues, FindingKind::DisguisedMissing, FindingKind::MixedUnits, FindingKind::DuplicateRows]
    {
        assert_eq!(of(&left, gone), [], "{gone:?}");
    }
    // All taken back is the original; one taken back leaves the others.
    let log = repaired.changes().to_vec();
    let mut ids: Vec<String> = log.iter().map(|change| change.repair().to_owned()).collect();
    ids.dedup();
    let mut bytes = Vec::new();
    assert_eq!(undo(&table, &log, &ids, &mut bytes).unwrap(), []);
    assert_eq!(String::from_utf8(bytes).unwrap(), dirty());
    let mut bytes = Vec::new();
    let rest = undo(&table, &log, &["trim-city".to_owned()], &mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains(", Paris,") && !text.contains("-999"));
    assert!(rest.len() < log.len() && rest.iter().all(|change| change.repair() != "trim-city"));
    // The cells that were made missing were filled later, so they cannot be given back alone.
    let first = ids.iter().find(|id| id.starts_with("set-missing")).unwrap().clone();
    let error = undo(&table, &log, &[first], &mut Vec::new()).unwrap_err();
    assert_eq!((error.code(), error.place().column.as_deref()), (ErrorCode::NotAllowed, Some("age")));
    let error = undo(&table, &log, &["nothing".to_owned()], &mut Vec::new()).unwrap_err();
    assert!(error.code() == ErrorCode::NotFound && error.to_string().contains("trim-city"));
}

#[test]
fn untouched_rows_are_copied_byte_by_byte() {
    let text = "a,b\r\n\"1\",\"x\"\r\n 2 ,y\r\n3,\"say \"\"hi\"\"\"";
    let (_folder, path) = file("t.csv", text);
    let (after, log) =
        done(&path, vec![Action::MapValues { column: "b".into(), map: [("y".into(), "z, z".into())].into() }]).unwrap();
    assert_eq!(after, "a,b\r\n\"1\",\"x\"\r\n 2 ,\"z, z\"\r\n3,\"say \"\"hi\"\"\"");
    assert_eq!(log.len(), 1);
    assert_eq!(
        serde_json::to_value(&log[0]).unwrap(),
        serde_json::json!({"repair": "s0", "row": 2, "column": "b", "old": "y", "new": "z, z"})
    );
    let (after, _) = done(&path, vec![Action::DropRows { rows: vec![2] }]).unwrap();
    assert_eq!(after, "a,b\r\n\"1\",\"x\"\r\n3,\"say \"\"hi\"\"\"");
    let (after, _) = done(&path, vec![Action::DropColumn { column: "a".into() }]).unwrap();
    assert_eq!(after, "b\r\nx\r\ny\r\n\"say \"\"hi\"\"\"\r\n");
    let json = "[\n {\"t\": 9, \"u\": 1.50, \"l\": [1]},\n {\"t\":\"x\"}\n]\n";
    let (_folder, path) = file("t.json", json);
    let (after, _) = done(&path, vec![Action::ToText { column: "t".into() }]).unwrap();
    assert_eq!(after, "[\n {\"t\":\"9\",\"u\":1.50,\"l\":[1]},\n {\"t\":\"x\"}\n]\n");
    let constant = Imputation::Constant { value: "2".into() };
    let (after, _) = done(&path, vec![Action::Impute { column: "u".into(), with: constant }]).unwrap();
    assert_eq!(after, "[\n {\"t\": 9, \"u\": 1.50, \"l\": [1]},\n {\"t\":\"x\",\"u\":2}\n]\n");
    let (after, _) = done(&path, vec![Action::DropRows { rows: vec![1] }]).unwrap();
    assert_eq!(after, "[\n {\"t\":\"x\"}\n]\n");
}

#[test]
fn each_action_does_what_it_says() {
    let (_folder, path) = file("t.csv", "g,n,m,t\na,1,,4111 1111 1111 1111\na,3,5,b\nb,10,7,\nb,,9,b\nb,12,11,c\n");
    let column = || "n".to_owned();
    let after = |action: Action| done(&path, vec![action]).unwrap().0;
    let third =
        |text: &str, row: usize, field: usize| text.lines().nth(row).unwrap().split(',').nth(field).unwrap().to_owned();
    let impute = |column: &str, with| Action::Impute { column: column.into(), with };
    assert_eq!(third(&after(impute("n", Imputation::Median)), 4, 1), "6.5");
    assert_eq!(third(&after(impute("n", Imputation::Mean)), 4, 1), "6.5");
    assert_eq!(third(&after(impute("n", Imputation::Group { by: "g".into() })), 4, 1), "11");
    assert_eq!(third(&after(impute("t", Imputation::Mode)), 3, 3), "b");
    // sklearn 1.9: KNNImputer(n_neighbors=2) on the column m alone beside n.
    assert_eq!(third(&after(impute("n", Imputation::Nearest { k: 2 })), 4, 1), "11");
    // n = 1.5 m - 4.5 over the known rows but for what they bend: the prediction lies on the line.
    let iterative: f64 = third(&after(impute("n", Imputation::Iterative)), 4, 1).parse().unwrap();
    assert!((iterative - 9.8).abs() < 1.0, "{iterative}");
    assert_eq!(third(&after(Action::Winsorise { column: column(), low: 2.0, high: 11.0 }), 1, 1), "2");
    assert_eq!(after(Action::DropRowsOutside { column: column(), low: 2.0, high: 11.0 }).lines().count(), 4);
    assert_eq!(after(Action::DropRowsWithMissing { column: column() }).lines().count(), 5);
    let mask = |method| third(&after(Action::Mask { column: "t".into(), method }), 1, 3);
    assert_eq!(mask(lepton_doctor::repair::Mask::Partial), "**** **** **** 1111");
    assert_eq!(mask(lepton_doctor::repair::Mask::Redact), "***");
    assert_eq!(mask(lepton_doctor::repair::Mask::Hash).len(), 16);
    let merge = Action::MergeRows { groups: vec![vec![1, 2]], keep: lepton_doctor::repair::Survivor::FirstPresent };
    assert!(after(merge).starts_with("g,n,m,t\na,1,5,4111 1111 1111 1111\nb,10"));
    assert_eq!(
        third(&after(Action::Relabel { column: "g".into(), labels: [("5".into(), "a".into())].into() }), 5, 0),
        "a"
    );
    let dates = "d\n03/04/2020\n2020-01-02 10:20\nJun 5 1998\n";
    let (_folder, path) = file("d.csv", dates);
    let (after, _) = done(&path, vec![Action::ToIsoDate { column: "d".into(), day_first: true }]).unwrap();
    assert_eq!(after, "d\n2020-04-03\n2020-01-02T10:20\n1998-06-05\n");
}

#[test]
fn a_plan_that_cannot_be_done_says_which_step() {
    let (_folder, path) = file("t.csv", "name,n\na,1\nb,\n");
    let refused = |action: Action| done(&path, vec![action]).map(|_| ()).unwrap_err();
    let error = refused(Action::Trim { column: "nam".into() });
    assert_eq!((error.code(), error.place().key.as_deref()), (ErrorCode::NotFound, Some("repair.s0")));
    assert!(error.to_string().contains("did you mean \"name\""));
    assert_eq!(refused(Action::DropRows { rows: vec![3] }).code(), ErrorCode::NotFound);
    let unit = Action::ToNumber { column: "n".into(), unit: Some("parsec".into()) };
    assert!(refused(unit).to_string().contains("units are kg"));
    let median = Action::Impute { column: "name".into(), with: Imputation::Median };
    assert!(done(&path, vec![Action::SetMissing { column: "name".into(), values: vec!["a".into()] }, median]).is_err());
    let plan = Plan { sha256: lepton_core::Digest::of("other"), salt: String::new(), steps: Vec::new() };
    assert_eq!(repair(&table(&path), &plan, &Cancel::default()).map(|_| ()).unwrap_err().code(), ErrorCode::Integrity);
    let wrong = Plan::from_toml("sha256 = 1\n").unwrap_err();
    assert_eq!((wrong.code(), wrong.place().row), (ErrorCode::Config, Some(1)));
}
