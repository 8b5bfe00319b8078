//! `lepton data sql`: files and datasets in one query, the answer with what it came from, and what is refused.

use lepton_tests::{Lepton, Project};
use serde_json::json;

#[test]
fn a_file_and_a_dataset_are_asked_in_one_query() {
    let (lepton, project) = (Lepton::new(), Project::table(200));
    lepton.run(&["run", &project.at(""), "--until", "collect"]);
    project.write(
        "names.jsonl",
        b"{\"colour\": \"red\", \"name\": \"rot\"}\n{\"colour\": \"green\", \"name\": \"gruen\"}\n",
    );
    let file = project.at("table.csv");
    let sql = format!("select count(*) as n, sum(size) as total from \"{file}\"");
    let answer = lepton.json(&["data", "sql", &sql]);
    // 18 of the 200 rows have no size; by Python: sum(i * 37 % 100 / 10 for i in range(200) if i % 11 != 3)
    assert_eq!((&answer["columns"], &answer["rows"]), (&json!(["n", "total"]), &json!([[200, 913.1]])), "{answer}");
    let hash = lepton_core::Digest::of(project.read("table.csv")).to_string();
    assert_eq!((&answer["tables"][0]["sha256"], &answer["tables"][0]["columns"]), (&hash.into(), &json!(["size"])));
    let joined = format!(
        "select t.colour, n.name, count(*) n, t.split from \"table\" t left join '{}' n on t.colour = n.colour
         where t.colour is not null group by 1, 2 order by 1",
        project.at("names.jsonl")
    );
    let answer = lepton.json(&["data", "sql", &joined]);
    let rows = json!([["blue", null, 50, "train"], ["green", "gruen", 50, "train"], ["red", "rot", 50, "train"]]);
    assert_eq!((&answer["rows"], &answer["tables"][0]["rows"]), (&rows, &json!(200)), "{answer}");
    let text = lepton.done(&["data", "sql", &sql]).out;
    assert!(text.contains("913.1") && text.contains("1 row\n") && text.contains("200 rows; sha256:"), "{text}");
}

#[test]
fn an_answer_is_cut_for_the_eye_and_whole_in_its_file() {
    let (lepton, project) = (Lepton::new(), Project::table(200));
    let sql = format!("select rowid, label from \"{}\" where colour = 'red'", project.at("table.csv"));
    let to = project.at("red.csv");
    let answer =
        lepton.run_with_input(&["data", "sql", "-", "--limit", "2", "--to", &to, "--json"], sql.as_bytes()).json();
    assert_eq!(
        (&answer["row_count"], &answer["is_cut"], &answer["rows"]),
        (&json!(50), &json!(true), &json!([[1, "small"], [5, "small"]]))
    );
    let written = String::from_utf8(project.read("red.csv")).expect("UTF-8");
    assert!(written.starts_with("rowid,label\n1,small\n5,small\n") && written.lines().count() == 51, "{written}");
    assert_eq!(answer["file"]["sha256"], lepton_core::Digest::of(&written).to_string());
    let again = lepton.json(&["data", "sql", &format!("select count(*) from '{to}'")]);
    assert_eq!(again["rows"], json!([[50]]));
    lepton.done(&[
        "data",
        "sql",
        &format!("select * from '{to}' where label = 'none'"),
        "--to",
        &project.at("none.csv"),
    ]);
    assert_eq!(project.read("none.csv"), b"rowid,label\n");
    lepton.done(&["data", "sql", "select 1 as a, null as b", "--to", &project.at("one.jsonl")]);
    assert_eq!(project.read("one.jsonl"), b"{\"a\":1,\"b\":null}\n");
}

#[test]
fn labels_of_pictures_are_columns() {
    let (lepton, project) = (Lepton::new(), Project::digits());
    lepton.run(&["run", &project.at(""), "--until", "collect"]);
    let name = lepton.json(&["data", "list"])["datasets"][0]["name"].as_str().expect("a name").to_owned();
    let answer = lepton.json(&[
        "data",
        "sql",
        &format!("select split, count(distinct label) from \"{name}\" group by split order by 1"),
    ]);
    assert_eq!(answer["rows"], json!([["test", 10], ["train", 10]]), "{answer}");
    let folder = format!("select count(*) from '{}' where label = '3'", project.at(""));
    assert_eq!(lepton.json(&["data", "sql", &folder])["rows"], json!([[183]]));
    let file = project.at("test-images-idx3-ubyte");
    lepton.refused(&["data", "sql", &format!("select * from '{file}'")], 2, &["no table"]);
}

#[test]
fn what_is_not_a_query_over_tables_is_refused_and_writes_nothing() {
    let (lepton, project) = (Lepton::new(), Project::table(20));
    let file = project.at("table.csv");
    let before = project.read("table.csv");
    let refused = |sql: &str, more: &[&str], words: &[&str]| {
        let mut arguments = vec!["data", "sql", sql];
        arguments.extend(more);
        lepton.refused(&arguments, 2, words);
    };
    let all = format!("select * from '{file}'");
    refused("select * from tabel", &[], &["no dataset of that name"]);
    refused(&format!("select colr from '{file}'"), &[], &["did you mean \"colour\""]);
    refused(&format!("select avg(colour) from '{file}'"), &[], &["\"red\" is a text and no number"]);
    refused(&format!("delete from '{file}'"), &[], &["a query only reads"]);
    refused(&all, &["--to", &file], &["would replace the old one"]);
    refused(&all, &["--to", &project.at("x.xlsx")], &[".csv, .jsonl or .ndjson"]);
    let wrong = format!("select quantile(size, 7) from '{file}'");
    refused(&wrong, &["--to", &project.at("y.csv")], &["from 0 to 1"]);
    assert!(!project.folder().join("y.csv").exists() && project.read("table.csv") == before);
    project.write("broken.csv", b"a,b\n1,2\n3\n");
    lepton.refused(
        &["data", "sql", &format!("select a from '{}'", project.at("broken.csv"))],
        2,
        &["broken.csv", "row 3"],
    );
    assert_eq!(
        std::fs::read_dir(project.folder())
            .expect("a folder")
            .filter(|entry| {
                entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(".tmp"))
            })
            .count(),
        0
    );
}
