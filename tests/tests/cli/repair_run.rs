//! A dirty table from the doctor's plan to an answer: what a plan does in training it does in serving.

use lepton_tests::{Lepton, Project};
use serde_json::Value;

const SETTINGS: &str = r#"[project]
name = "dirty"
task = "tabular-classification"
seed = 7

[collect]
path = "dirty.csv"
target = "heavy"
columns = { weight = "number" }

[prepare]
repair = "plan.toml"
remove_duplicates = false

[recipe]
missing_indicator = false

[recipe.columns.weight]
scale = "robust"

[recipe.columns.seen]
as = "date"

[train]
epochs = 2
threads = 1

[optimize]
int8 = false
"#;

/// Weights in two units, words for nothing, spaces around cities, dates in two orders, and rows without a weight.
fn table(rows: usize) -> String {
    let mut text = String::from("weight,city,seen,heavy\n");
    for row in 0..rows {
        let grams = (row * 37 % 100) * 100 + 250;
        let weight = match row % 10 {
            0 => "N/A".to_owned(),
            1..=3 => format!("{grams} g"),
            _ => format!("{} kg", grams as f64 / 1000.0),
        };
        let city = ["Bonn", " Bonn", "Ulm", "Ulm "][row % 4];
        let (day, month) = (row % 28 + 1, row % 12 + 1);
        let seen = if row % 3 == 0 { format!("{day:02}.{month:02}.2021") } else { format!("2021-{month:02}-{day:02}") };
        text += &format!("{weight},{city},{seen},{}\n", if grams > 5000 { "yes" } else { "no" });
    }
    text
}

fn plan(sha256: &str, extra: &str) -> String {
    let step = |id: &str, action: &str| {
        format!("[[repair]]\nid = \"{id}\"\nreason = \"it is dirty\"\nenabled = true\n{action}\n\n")
    };
    format!("sha256 = \"{sha256}\"\n\n")
        + &step("gaps", "action = \"set_missing\"\ncolumn = \"weight\"\nvalues = [\"N/A\"]")
        + &step("trim", "action = \"trim\"\ncolumn = \"city\"")
        + &step("unit", "action = \"to_number\"\ncolumn = \"weight\"\nunit = \"kg\"")
        + &step("iso", "action = \"to_iso_date\"\ncolumn = \"seen\"\nday_first = true")
        + extra
        + &step("cut", "action = \"winsorise\"\ncolumn = \"weight\"\nlow = 0.3\nhigh = 9.0")
        + &step("fill", "action = \"impute\"\ncolumn = \"weight\"\nwith = { method = \"group\", by = \"city\" }")
}

/// The hash that the doctor writes into the head of a plan for a file.
fn hash_in_plan(lepton: &Lepton, project: &Project) -> String {
    lepton.run(&["data", "doctor", &project.at("dirty.csv"), "--plan", &project.at("made.toml")]);
    let made = String::from_utf8(project.read("made.toml")).expect("UTF-8");
    let line = made.lines().find_map(|line| line.strip_prefix("sha256 = ")).expect("a hash");
    line.trim_matches('"').to_owned()
}

fn project() -> Project {
    let project = Project::with(SETTINGS);
    project.write("dirty.csv", table(240).as_bytes());
    project
}

fn probabilities(answer: &Value, row: usize) -> Value {
    answer["predictions"][row]["probabilities"].clone()
}

#[test]
fn a_dirty_row_is_answered_like_the_repaired_row() {
    let (lepton, project) = (Lepton::new(), project());
    let hash = hash_in_plan(&lepton, &project);
    project.write("plan.toml", plan(&hash, "").as_bytes());
    let run = lepton.json(&["run", &project.at("")]);
    assert_eq!(run["status"], "done", "{run}");
    project.write(
        "dirty_rows.csv",
        b"weight,city,seen\n2500 g, Ulm,03.04.2021\nN/A,Bonn ,2021-12-24\n40 kg,Bonn,2021-01-01\n",
    );
    let dirty = lepton.json(&["predict", "dirty", &project.at("dirty_rows.csv")]);
    // What fills the second row was learned in training: read it off the recipe.
    let package = run["package"].as_str().expect("a package");
    let recipe: Value =
        serde_json::from_slice(&std::fs::read(std::path::Path::new(package).join("recipe.json")).expect("recipe.json"))
            .expect("JSON");
    let steps = recipe["repairs"]["steps"].as_array().expect("repairs");
    assert_eq!(
        steps.iter().map(|step| step["id"].as_str().unwrap_or_default()).collect::<Vec<_>>(),
        ["gaps", "trim", "unit", "iso", "cut", "fill"]
    );
    let of_bonn = steps[5]["do"]["fill_numbers"]["values"]["Bonn"].as_f64().expect("a fitted median");
    project.write(
        "clean_rows.csv",
        format!("weight,city,seen\n2.5,Ulm,2021-04-03\n{of_bonn},Bonn,2021-12-24\n9,Bonn,2021-01-01\n").as_bytes(),
    );
    let clean = lepton.json(&["predict", "dirty", &project.at("clean_rows.csv")]);
    for row in 0..3 {
        assert_eq!(probabilities(&dirty, row), probabilities(&clean, row), "row {row}");
    }
    let json = lepton.json(&["predict", "dirty", r#"{"weight": "2500 g", "city": " Ulm", "seen": "03.04.2021"}"#]);
    // Alone as it is: an engine may round otherwise in a batch of another size.
    let alone = lepton.json(&["predict", "dirty", r#"{"weight": 2.5, "city": "Ulm", "seen": "2021-04-03"}"#]);
    assert_eq!(probabilities(&json, 0), probabilities(&alone, 0));
    assert_ne!(probabilities(&clean, 0), probabilities(&clean, 2), "rows differ");
    lepton.refused(&["predict", "dirty", r#"{"weight": "much", "city": "Ulm", "seen": null}"#], 2, &["weight", "much"]);
    // The whole project can be evaluated again, labels and repairs and all.
    lepton.done(&["evaluate", "dirty", &project.at("")]);
}

#[test]
fn rows_are_dropped_from_training_only() {
    let (lepton, project) = (Lepton::new(), project());
    let hash = hash_in_plan(&lepton, &project);
    let rows = |extra: &str| {
        project.write("plan.toml", plan(&hash, extra).as_bytes());
        lepton.json(&["run", &project.at(""), "--until", "prepare"])["rows"].clone()
    };
    let all = rows("");
    let drop = "[[repair]]\nid = \"no-weight\"\nreason = \"no weight\"\nenabled = true\n\
                action = \"drop_rows_with_missing\"\ncolumn = \"weight\"\n\n";
    let fewer = rows(drop);
    assert_eq!((&fewer["test"], &fewer["valid"]), (&all["test"], &all["valid"]));
    let count = |rows: &Value| rows["train"].as_u64().expect("rows");
    // A tenth of the rows have no weight; most of them are in the training part.
    assert!(count(&fewer) < count(&all) && count(&fewer) >= count(&all) - 24, "{all} {fewer}");
}

#[test]
fn a_plan_for_another_file_or_with_a_step_that_no_run_does_is_refused() {
    let (lepton, project) = (Lepton::new(), project());
    let hash = hash_in_plan(&lepton, &project);
    lepton.refused(&["run", &project.at("")], 2, &["plan.toml", "prepare.repair"]);
    project.write("plan.toml", plan(&"0".repeat(64), "").as_bytes());
    lepton.refused(&["run", &project.at("")], 1, &["dirty.csv", "sha256"]);
    let mask = "[[repair]]\nid = \"mask\"\nreason = \"private\"\nenabled = true\n\
                action = \"mask\"\ncolumn = \"city\"\nmethod = \"hash\"\n\n";
    project.write("plan.toml", plan(&hash, mask).as_bytes());
    lepton.refused(&["run", &project.at("")], 2, &["repair.mask", "salt"]);
    let typo = "[[repair]]\nid = \"typo\"\nreason = \"?\"\nenabled = true\naction = \"trim\"\ncolumn = \"ciity\"\n\n";
    project.write("plan.toml", plan(&hash, typo).as_bytes());
    lepton.refused(&["run", &project.at("")], 2, &["repair.typo", "city"]);
}
