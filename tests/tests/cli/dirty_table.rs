//! docs/clean-a-dirty-table.md as a person follows it: its files, its commands in order, its outcome.

use lepton_tests::{Lepton, Project, workspace_root};

/// The fenced blocks of a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    page.split("\n```")
        .skip(1)
        .step_by(2)
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'))
        .collect()
}

#[test]
fn the_guide_does_what_it_says() {
    let page = std::fs::read_to_string(workspace_root().join("docs/clean-a-dirty-table.md")).expect("the page");
    let (lepton, place) = (Lepton::new(), Project::with(""));
    let table = format!("{}\n", blocks(&page, "csv")[0]);
    place.write("visits.csv", table.as_bytes());
    place.write("rules.toml", blocks(&page, "toml")[0].as_bytes());
    let mut commands = 0;
    for line in blocks(&page, "sh").iter().flat_map(|block| block.lines()) {
        let (line, code) = line.split_once('#').map_or((line, 0), |(line, says)| {
            (line, says.trim().strip_prefix("exit code ").and_then(|code| code.parse().ok()).expect("an exit code"))
        });
        let words: Vec<String> = line
            .split_whitespace()
            .skip(1)
            .map(|word| if word.contains('.') { place.at(word) } else { word.to_owned() })
            .collect();
        let answer = lepton.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(answer.code, Some(code), "{line}: {answer:#?}");
        commands += 1;
        if line.contains("doctor") {
            // What section 3 tells a person to change.
            let plan = String::from_utf8(place.read("plan.toml")).expect("UTF-8");
            for (from, to) in
                [("values = [\"N/A\"]", "values = [\"N/A\", \"-999\"]"), ("enabled = false", "enabled = true")]
            {
                assert!(page.contains(from) && page.contains(to) && plan.contains(from), "{from}: {plan}");
            }
            let (before, after) = plan.split_once("id = \"map-values-city\"").expect("the step");
            let before = before.replace("values = [\"N/A\"]", "values = [\"N/A\", \"-999\"]");
            let after = after.replacen("enabled = false", "enabled = true", 1);
            place.write("plan.toml", format!("{before}id = \"map-values-city\"{after}").as_bytes());
        }
    }
    assert_eq!(commands, 7);
    assert_eq!(place.read("original.csv"), table.as_bytes());
    let clean = String::from_utf8(place.read("clean.csv")).expect("UTF-8");
    assert!(!clean.contains("-999") && !clean.contains("lbs") && clean.lines().count() == 20, "{clean}");
    assert!(String::from_utf8(place.read("kept-ages.csv")).expect("UTF-8").contains("p02,,"));
}

#[test]
fn a_plan_does_not_replace_the_table_that_it_is_about() {
    let (lepton, place) = (Lepton::new(), Project::with(""));
    place.write("t.csv", b"a,b\n1,x\n2,y\n");
    let table = place.at("t.csv");
    lepton.refused(&["data", "doctor", &table, "--plan", &table], 2, &["would replace the data", "--plan"]);
    assert_eq!(place.read("t.csv"), b"a,b\n1,x\n2,y\n");
}
