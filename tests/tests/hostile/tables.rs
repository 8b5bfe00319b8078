//! Tables that are wrong or too large, before the doctor: a clear error or a finding with its place, in bounded
//! memory, and nothing half-written.

use lepton_tests::Lepton;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// More than the doctor of any table may have: what a pass keeps, what it keeps for comparisons, and the binary.
const MOST_MEMORY_KIB: u64 = 1 << 20;

struct Place {
    lepton: Lepton,
    folder: TempDir,
}

impl Place {
    fn new() -> Place {
        Place { lepton: Lepton::new(), folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn at(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), bytes).expect("a file");
        self.at(name)
    }

    /// The table is refused with these words, and no plan is written.
    fn refused(&self, name: &str, bytes: impl AsRef<[u8]>, words: &[&str]) {
        let (file, plan) = (self.write(name, bytes), self.at("plan.toml"));
        self.lepton.refused(&["data", "doctor", &file, "--plan", &plan], 2, words);
        assert!(!Path::new(&plan).exists(), "a plan was written for a table that cannot be read");
    }

    fn doctor(&self, name: &str, bytes: impl AsRef<[u8]>, more: &[&str]) -> Value {
        let file = self.write(name, bytes);
        self.lepton.json(&[&["data", "doctor", &file], more].concat())
    }

    /// Files beside those that were made by hand, and scratch that stayed.
    fn is_tidy(&self, known: &[&str]) {
        for entry in std::fs::read_dir(self.folder.path()).expect("the folder").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            assert!(known.contains(&name.as_str()), "{name} was left");
        }
        let scratch = self.lepton.home().join("scratch");
        let left = std::fs::read_dir(&scratch).map(|entries| entries.count()).unwrap_or(0);
        assert_eq!(left, 0, "scratch folders stayed in {}", scratch.display());
    }
}

fn found<'a>(answer: &'a Value, kind: &str) -> Vec<&'a Value> {
    answer["findings"].as_array().expect("findings").iter().filter(|finding| finding["kind"] == kind).collect()
}

#[test]
fn encodings_and_marks_are_read_or_refused_with_their_row() {
    let place = Place::new();
    let marked = place.doctor("marked.csv", b"\xef\xbb\xbfname,n\nA,1\n\xc3\x84,\n", &[]);
    assert_eq!(found(&marked, "missing_values")[0]["column"], "n");
    let profile = place.lepton.json(&["data", "profile", &place.at("marked.csv")]);
    assert_eq!(profile["columns"][0]["name"], "name", "the mark is no part of the name");
    let mut wide = b"\xff\xfe".to_vec();
    wide.extend("name,n\nÄ,1\nß,\n".encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(place.doctor("wide.csv", wide, &[])["rows"], 2);
    place.refused("latin.csv", b"name,n\nA,1\n\xc4,2\n", &["latin.csv", "row 3", "UTF-8", "encoding"]);
    assert_eq!(place.doctor("latin.csv", b"name,n\nA,1\n\xc4,2\n", &["--encoding", "latin1"])["rows"], 2);
    place.refused("nul.csv", b"", &["empty"]);
    place.refused("cut.json", b"[{\"a\": 1}, {\"a\":", &["cut.json"]);
    place.is_tidy(&["marked.csv", "wide.csv", "latin.csv", "nul.csv", "cut.json"]);
}

#[test]
fn quotes_rows_and_names_are_held_to_the_rules() {
    let place = Place::new();
    let quoted = place.doctor("quoted.csv", "a,b\n\"one\ntwo\",1\n\"say \"\"x\"\"\n\n\",\n", &[]);
    assert_eq!(
        (quoted["rows"].as_u64(), &found(&quoted, "missing_values")[0]["evidence"]["rows"][0]),
        (Some(2), &2.into())
    );
    place.refused("open.csv", "a,b\n1,2\n3,\"x\n4,5\n", &["open.csv", "row 3", "never closed"]);
    place.refused("twice.csv", "a,b,a\n1,2,3\n", &["twice.csv", "row 1", "\"a\"", "rename"]);
    place.refused("nameless.csv", "a,,c\n1,2,3\n", &["nameless.csv", "column 2"]);
    let ragged = place.doctor("ragged.csv", "a,b\n1,2\n3\n4,5,6\n7,8\n", &["--plan", &place.at("plan.toml")]);
    let rows = found(&ragged, "ragged_rows");
    assert_eq!((&rows[0]["count"], &rows[0]["evidence"]["rows"]), (&2.into(), &serde_json::json!([2, 3])));
    // Dropped where a person says so; everything else stays as it was.
    let plan = std::fs::read_to_string(place.path("plan.toml")).expect("a plan");
    let (head, drop) = plan.split_once("id = \"drop-ragged-rows\"").expect("a step");
    place.write("plan.toml", format!("{head}id = \"drop-ragged-rows\"{}", drop.replacen("false", "true", 1)));
    let (file, plan, to) = (place.at("ragged.csv"), place.at("plan.toml"), place.at("whole.csv"));
    place.lepton.done(&["data", "repair", &file, "--plan", &plan, "--to", &to]);
    assert_eq!(std::fs::read_to_string(&to).expect("the file"), "a,b\n1,2\n7,8\n");
}

#[test]
fn dates_in_several_ways_are_told_with_their_rows() {
    let place = Place::new();
    let mut text = String::from("seen,at\n");
    for row in 1..=60 {
        let day = 1 + row % 28;
        let seen = match row % 3 {
            0 => format!("2021-03-{day:02}"),
            1 => format!("{:02}/03/2021", 13 + row % 15),
            _ => format!("Mar {day} 2021"),
        };
        text += &format!("{seen},{:02}/{:02}/2021\n", 1 + row % 12, 1 + row % 9);
    }
    let answer = place.doctor("dates.csv", text, &[]);
    let mixed = found(&answer, "mixed_formats");
    assert_eq!((mixed.len(), &mixed[0]["column"]), (1, &"seen".into()));
    assert!(mixed[0]["evidence"]["values"].as_array().is_some_and(|values| values.len() >= 3), "{}", mixed[0]);
    assert!(mixed[0]["evidence"]["values"][0]["row"].as_u64().is_some_and(|row| row > 0));
    assert_eq!(found(&answer, "ambiguous_dates")[0]["column"], "at");
}

/// Runs a command that must end well; the most memory that it had, in KiB.
fn peak_memory(place: &Place, arguments: &[&str]) -> u64 {
    let mut command = place.lepton.command(arguments);
    let mut child = command.stdout(std::process::Stdio::null()).spawn().expect("the binary starts");
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut most = 0;
    loop {
        // The high-water mark only grows, so the last one that is read is at most a moment old.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let mark = text
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok());
        most = most.max(mark.unwrap_or(0));
        if let Some(ended) = child.try_wait().expect("the child") {
            assert!(ended.success(), "lepton {arguments:?}: {ended}");
            assert!(most > 0, "the memory of the child could not be read");
            return most;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn ten_thousand_columns_and_cells_of_a_megabyte_fit_into_the_memory() {
    let place = Place::new();
    let names = (0..10_000).map(|column| format!("c{column}")).collect::<Vec<_>>().join(",");
    let row = |row: usize| (0..10_000).map(|column| format!("{}x", row * column % 97)).collect::<Vec<_>>().join(",");
    let wide = (0..300).fold(names.clone() + "\n", |text, number| text + &row(number) + "\n");
    let file = place.write("wide.csv", wide);
    assert!(peak_memory(&place, &["data", "doctor", &file, "--json"]) < MOST_MEMORY_KIB);
    place.refused("wider.csv", names + ",more\n", &["wider.csv", "csv_columns", "10000"]);
    let cell = "long text ".repeat((1 << 20) / 10);
    let long =
        (0..40).fold(String::from("a,b\n"), |text, row| text + &format!("{row},{}{row}\n", &cell[..cell.len() - 8]));
    let file = place.write("long.csv", long);
    assert!(peak_memory(&place, &["data", "doctor", &file, "--json"]) < MOST_MEMORY_KIB);
    let longer = format!("a,b\n1,2\n3,{}\n", "x".repeat((1 << 20) + 1));
    place.refused("longer.csv", longer, &["longer.csv", "row 3", "cell_bytes"]);
    place.is_tidy(&["wide.csv", "wider.csv", "long.csv", "longer.csv"]);
}

#[test]
fn a_repair_that_fails_leaves_nothing() {
    let place = Place::new();
    place.doctor("t.csv", "a,b\n1,\n2,3\n2,3\n", &["--plan", &place.at("plan.toml")]);
    let (file, plan, to) = (place.at("t.csv"), place.at("plan.toml"), place.at("new.csv"));
    let nowhere = place.at("no/such/folder/new.csv");
    place.lepton.refused(&["data", "repair", &file, "--plan", &plan, "--to", &nowhere], 2, &["new.csv"]);
    place.write("t.csv", "a,b\n1,\n2,3\n2,4\n");
    place.lepton.refused(&["data", "repair", &file, "--plan", &plan, "--to", &to], 1, &["sha256", "data doctor"]);
    place.write("t.csv", "a,b\n1,\n2,3\n2,3\n");
    let wrong = std::fs::read_to_string(&plan).expect("a plan") + "\n[[repair]]\nid = \"last\"\nreason = \"\"\n";
    place.write("plan.toml", wrong + "enabled = true\naction = \"drop_rows\"\nrows = [9]\n");
    place.lepton.refused(&["data", "repair", &file, "--plan", &plan, "--to", &to], 2, &["repair.last", "row 9"]);
    place.is_tidy(&["t.csv", "plan.toml"]);
}
