//! Wrong labels of tables and texts.

use super::{example, flip, options, recall_and_precision};
use lepton_core::{Cancel, ErrorCode, Limits, Seed, Silent};
use lepton_data::scan::{Scan, ScanOptions, Table, Work};
use lepton_doctor::labels::table_findings;
use lepton_doctor::profile::{ProfileOptions, profile};
use lepton_doctor::repair::{Action, Plan, repair};
use lepton_doctor::{Finding, Severity};
use rand_chacha::rand_core::Rng;
use std::path::{Path, PathBuf};

/// Findings about the labels of a table file.
fn findings(path: &Path, target: &str) -> Vec<Finding> {
    let (cancel, folder) = (Cancel::default(), tempfile::tempdir().unwrap());
    let profile = profile(path, &ProfileOptions::new(folder.path(), 2, &Silent, &cancel)).unwrap();
    table_findings(path, &ScanOptions::default(), &profile, target, &Silent, &options(2, &cancel)).unwrap()
}

fn rows_of(findings: &[Finding]) -> Vec<usize> {
    findings.iter().flat_map(|finding| &finding.evidence.rows).map(|row| *row as usize - 1).collect()
}

fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

const CLASSES: [&str; 3] = ["iris", "rose", "tulip"];

/// Flowers of three kinds by numbers and a category, some of them missing, and with a number of the row.
fn flowers(rows: usize, labels: &[u32]) -> String {
    let mut rng = Seed(8).rng("flowers", &[]);
    let mut uniform = || f64::from(rng.next_u32()) / f64::from(u32::MAX);
    let mut text = String::from("id,length,width,colour,kind\n");
    for (row, label) in labels.iter().enumerate() {
        let class = row % 3;
        let length = 3.0 * [1.0, 2.0, 3.0][class] + (0..4).map(|_| uniform()).sum::<f64>();
        let width = 2.0 * [2.0, 1.0, 2.0][class] + (0..4).map(|_| uniform()).sum::<f64>();
        let colour = if uniform() < 0.7 { ["blue", "red", "yellow"][class] } else { "white" };
        let width = if uniform() < 0.05 { String::new() } else { format!("{width:.3}") };
        text += &format!("{},{length:.3},{width},{colour},{}\n", rows + row, CLASSES[*label as usize]);
    }
    text
}

fn classes(rows: usize) -> Vec<u32> {
    (0..rows).map(|row| (row % 3) as u32).collect()
}

#[test]
fn flipped_labels_of_a_table_are_found_and_the_plan_gives_them_back() {
    let mut labels = classes(600);
    let flipped = flip(&mut labels, 3, 0.05, 4);
    let (_folder, path) = file("flowers.csv", &flowers(600, &labels));
    let found = findings(&path, "kind");
    let rows = rows_of(&found);
    let (recall, precision) = recall_and_precision(rows.iter().copied(), &flipped);
    println!("{} reported, recall {recall:.3}, precision {precision:.3}", rows.len());
    assert!(recall >= 0.8 && precision >= 0.9, "{recall} {precision}");
    let json = serde_json::to_value(&found[0]).unwrap();
    let first = &json["evidence"]["labels"][0];
    assert!(first["row"].as_u64() > Some(0) && first["confidence"].as_f64() > Some(0.5) && first["file"].is_null());
    assert_ne!(first["given"], first["suggested"]);
    assert_eq!(
        (&json["kind"], &json["column"], &json["severity"]),
        (&"label_errors".into(), &"kind".into(), &"warning".into())
    );
    // The step is there and does nothing until a person enables it; then the labels are what they were.
    let cancel = Cancel::default();
    let how = Work { threads: 1, progress: &Silent, cancel: &cancel };
    let table = Table::read(Scan::open(&path, &ScanOptions::default()).unwrap(), &how, &Limits::default()).unwrap();
    let mut plan = Plan::of(&found, table.source().sha256);
    assert!(matches!(&plan.steps[..], [step] if !step.enabled && matches!(step.action, Action::Relabel { .. })));
    plan.steps[0].enabled = true;
    let mut bytes = Vec::new();
    repair(&table, &plan, &cancel).unwrap().write(&mut bytes).unwrap();
    let truth = flowers(600, &classes(600));
    let repaired = String::from_utf8(bytes).unwrap();
    let differ = repaired.lines().zip(truth.lines()).filter(|(one, other)| one != other).count();
    assert!(differ <= 6, "{differ} of the 30 flipped are left or wrong");
}

#[test]
fn a_clean_table_and_a_target_of_numbers_have_no_wrong_labels() {
    let (_folder, path) = file("flowers.csv", &flowers(600, &classes(600)));
    assert_eq!(findings(&path, "kind"), []);
    assert_eq!(findings(&path, "length"), []);
}

#[test]
fn where_nothing_can_be_told_that_is_said() {
    let mut rng = Seed(5).rng("random labels", &[]);
    let labels: Vec<u32> = (0..600).map(|_| rng.next_u32() % 3).collect();
    let (_folder, path) = file("flowers.csv", &flowers(600, &labels));
    let (_few_folder, few) = file("few.csv", &flowers(30, &classes(30)));
    let alone: String = (0..100).map(|row| format!("{}\n", CLASSES[row % 3])).collect();
    let (_alone_folder, alone) = file("alone.csv", &format!("kind\n{alone}"));
    for (path, words) in
        [(&path, "always the most frequent"), (&few, "30 rows are too few"), (&alone, "no other column")]
    {
        let found = findings(path, "kind");
        let [finding] = &found[..] else { panic!("{found:?}") };
        assert_eq!((finding.severity, finding.count, &finding.repair), (Severity::Note, 0, &None));
        assert!(finding.message.contains(words), "{}", finding.message);
    }
}

/// Who survived is not written in class, age and sex: what a model gets wrong there is no wrong label.
#[test]
fn passengers_against_the_odds_are_no_wrong_labels() {
    let found = findings(&example("titanic/titanic.csv"), "survived");
    assert!(found.iter().all(|finding| finding.count * 50 < 1_313), "{found:?}");
}

#[test]
fn flipped_labels_of_sentences_are_reported_first_among_hard_ones() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/labels/sentences/sentences.csv.gz");
    let (cancel, options) = (Cancel::default(), ScanOptions::default());
    let how = Work { threads: 1, progress: &Silent, cancel: &cancel };
    let table = Table::read(Scan::open(&path, &options).unwrap(), &how, &Limits::default()).unwrap();
    let mut labels: Vec<u32> = table.cells(2).map(|cell| u32::from(cell.text == "1")).collect();
    let flipped = flip(&mut labels, 2, 0.08, 1);
    let lines = (0..table.rows()).map(|row| {
        let label = ["bad", "good"][labels[row] as usize];
        serde_json::json!({"text": table.cell(row, 1).text, "mood": label}).to_string() + "\n"
    });
    let (_folder, changed) = file("sentences.jsonl", &lines.collect::<String>());
    let found = findings(&changed, "mood");
    let (recall, precision) = recall_and_precision(rows_of(&found).into_iter(), &flipped);
    println!("{} reported, recall {recall:.3}, precision {precision:.3}", rows_of(&found).len());
    // By chance 8 of 100 would be right.
    assert!(recall >= 0.4 && precision >= 0.5, "{recall} {precision}");
}

#[test]
fn a_file_that_changes_meanwhile_is_refused() {
    let (_folder, path) = file("flowers.csv", &flowers(600, &classes(600)));
    let (cancel, folder) = (Cancel::default(), tempfile::tempdir().unwrap());
    let profile = profile(&path, &ProfileOptions::new(folder.path(), 2, &Silent, &cancel)).unwrap();
    std::fs::write(&path, flowers(300, &classes(300))).unwrap();
    let check = || table_findings(&path, &ScanOptions::default(), &profile, "kind", &Silent, &options(2, &cancel));
    assert_eq!(check().unwrap_err().code(), ErrorCode::Integrity);
    cancel.cancel();
    assert_eq!(check().unwrap_err().code(), ErrorCode::Cancelled);
}
