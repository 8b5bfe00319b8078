//! `lepton data check`, and rules as the gate of a run.

use lepton_tests::{Lepton, Project};

/// Rules that [`Project::table`] breaks, one of each kind, and what the answer says.
const BROKEN: [(&str, &str); 9] = [
    ("rule = 'not_null'\ncolumn = 'size'", "row 4: missing"),
    ("rule = 'unique'\ncolumn = 'size'", "repeats"),
    ("rule = 'between'\ncolumn = 'size'\nmin = 1\nmax = 9.9", "row 1: \"0\""),
    ("rule = 'in_set'\ncolumn = 'colour'\nvalues = ['red', 'green']", "row 3: \"blue\""),
    ("rule = 'matches'\ncolumn = 'colour'\npattern = '^[gr]'", "row 3: \"blue\""),
    ("rule = 'type'\ncolumn = 'colour'\ntype = 'number'", "row 1: \"red\""),
    ("rule = 'row_count'\nmin = 201", "200 rows"),
    ("rule = 'fresh_within'\ncolumn = 'colour'\nwithin = '7d'", "no date"),
    ("rule = 'sql'\nquery = 'select size, colour from data where size = 9.9'", "2 rows: size: 9.9, colour: "),
];

fn rules(project: &Project, rule: &str) -> String {
    project.write("rules.toml", format!("[[rules]]\n{rule}\n").as_bytes());
    project.at("rules.toml")
}

#[test]
fn a_file_a_project_and_a_dataset_answer_alike() {
    let (lepton, project) = (Lepton::new(), Project::table(200));
    let kept = "rule = 'in_set'\ncolumn = 'colour'\nvalues = ['red', 'green', 'blue']";
    let file = rules(&project, kept);
    let answer = lepton.json(&["data", "check", &project.at("table.csv"), "--rules", &file]);
    assert_eq!((&answer["passed"], &answer["rows"]), (&true.into(), &200.into()));
    assert_eq!(answer["rules"][0]["checked"], 150);
    let file = rules(&project, "rule = 'between'\ncolumn = 'size'\nmin = 0\nmax = 9");
    project.edit("[train]", "[[check.rules]]\nrule = 'between'\ncolumn = 'size'\nmin = 0\nmax = 9\n\n[train]");
    lepton.run(&["run", &project.at(""), "--until", "collect"]);
    for target in [project.at("table.csv"), project.at(""), "table".to_owned()] {
        let mut arguments = vec!["data", "check", target.as_str(), "--json"];
        if target != project.at("") {
            arguments.extend(["--rules", file.as_str()]);
        }
        let answer = lepton.run(&arguments);
        assert_eq!(answer.code, Some(1), "{target}: {answer:?}");
        let rule = answer.json()["rules"][0].clone();
        assert_eq!((&rule["checked"], &rule["failed"]), (&182.into(), &17.into()), "{rule}");
        assert_eq!((&rule["verdict"], &rule["rule"]), (&"failed".into(), &"between".into()), "{rule}");
        assert_eq!((&rule["failures"][0]["row"], &rule["failures"][0]["value"]), (&9.into(), &"9.6".into()), "{rule}");
    }
    let text = lepton.run(&["data", "check", &project.at("")]).out;
    assert!(
        text.contains("from 0 to 9") && text.contains("train row 9: \"9.6\"") && text.contains("1 rule is broken"),
        "{text}"
    );
}

#[test]
fn proposed_rules_pass_and_a_wrong_rule_is_refused() {
    let (lepton, project) = (Lepton::new(), Project::table(200));
    let table = project.at("table.csv");
    let proposed = lepton.done(&["data", "check", &table, "--suggest"]).out;
    project.write("rules.toml", proposed.as_bytes());
    lepton.done(&["data", "check", &table, "--rules", &project.at("rules.toml")]);
    lepton.refused(&["data", "check", &table], 2, &["there are no rules", "--suggest"]);
    lepton.refused(&["data", "check", "no-such-place", "--rules", &project.at("rules.toml")], 2, &["no-such-place"]);
    let refused = |rule: &str, words: &[&str]| {
        let file = rules(&project, rule);
        lepton.refused(&["data", "check", &table, "--rules", &file], 2, words);
    };
    refused("rule = 'betwen'\ncolumn = 'size'", &["rules.toml", "row 2", "did you mean \"between\""]);
    refused("rule = 'sql'", &["rules[0].query", "needs \"query\""]);
    refused("rule = 'sql'\ncolumn = 'size'\nquery = 'select 1'", &["rules[0].column", "has no \"column\""]);
    refused("rule = 'sql'\nquery = 'select 1 from other'", &["query", "the table data"]);
    refused("rule = 'sql'\nquery = 'select sise from data'", &["did you mean \"size\""]);
    refused("rule = 'sql'\nquery = 'delete from data'", &["a query only reads"]);
    refused("rule = 'not_null'\ncolumn = 'sise'", &["did you mean \"size\""]);
    refused("rule = 'matches'\ncolumn = 'size'\npattern = '('", &["rules[0].pattern", "no regular expression"]);
    refused("rule = 'not_null'\ncolumn = 'size'\nmost = 3", &["there is no setting \"most\" here"]);
}

#[test]
fn each_broken_rule_stops_a_run_before_it_prepares() {
    let (lepton, project) = (Lepton::new(), Project::table(200));
    let settings = String::from_utf8(project.read("lepton.toml")).expect("UTF-8");
    for (rule, words) in BROKEN {
        project.write("lepton.toml", format!("{settings}\n[[check.rules]]\n{rule}\n").as_bytes());
        lepton.refused(&["run", &project.at("")], 1, &["1 rule is broken", "check.rules", words]);
        let run = lepton.json(&["runs", "show", "latest"]);
        assert_eq!(run["status"], "failed", "{run}");
        let stages = run["stages"].as_array().expect("stages");
        assert_eq!((&stages[1]["name"], &stages[1]["status"]), (&"prepare".into(), &"failed".into()), "{run}");
        let folder = lepton.home().join("runs").join(run["run"].as_str().expect("an id"));
        let kept = std::fs::read_to_string(folder.join("checks.json")).expect("the verdicts are kept with the run");
        assert!(kept.contains("\"verdict\": \"failed\""), "{kept}");
    }
    // The rules may also lie in a file, and a rule that only warns stops nothing.
    project.write("rules.toml", b"[[rules]]\nrule = 'row_count'\nmin = 201\n");
    project.write("lepton.toml", format!("{settings}\n[check]\nfile = 'rules.toml'\n").as_bytes());
    lepton.refused(&["run", &project.at("")], 1, &["200 rows"]);
    project.write("rules.toml", b"[[rules]]\nrule = 'row_count'\nmin = 201\nseverity = 'warning'\n");
    let run = lepton.json(&["run", &project.at(""), "--until", "prepare"]);
    let page = std::fs::read_to_string(run["report"].as_str().expect("a report")).expect("the report");
    assert!(page.contains("at least 201 rows") && page.contains("200 rows"), "the report does not show the rule");
}

#[test]
fn what_was_fresh_is_looked_at_again() {
    let (lepton, project) = (Lepton::new(), Project::table(200));
    let dated = String::from_utf8(project.read("table.csv")).expect("UTF-8").replace("red", "2020-01-01");
    project.write("table.csv", dated.as_bytes());
    project.edit("[train]", "[[check.rules]]\nrule = 'fresh_within'\ncolumn = 'colour'\nwithin = '5000w'\n\n[train]");
    let cached = |run: serde_json::Value| run["stages"][1]["cached"].clone();
    let until = ["run", &project.at(""), "--until", "prepare"];
    assert_eq!(cached(lepton.json(&until)), false);
    assert_eq!(cached(lepton.json(&until)), false);
    project.edit("'5000w'", "'1w'");
    lepton.refused(&until, 1, &["the newest is 2020-01-01T00:00:00Z"]);
}

#[test]
fn a_leak_ends_a_run_or_is_shown_in_its_report() {
    let (lepton, project) = (Lepton::new(), Project::table(200));
    let text = String::from_utf8(project.read("table.csv")).expect("UTF-8");
    let copied: Vec<String> = text
        .lines()
        .map(|line| match line.rsplit_once(',') {
            Some((_, "label")) => format!("{line},verdict"),
            Some((_, label)) => format!("{line},{}", if label == "large" { "L" } else { "S" }),
            None => line.to_owned(),
        })
        .collect();
    project.write("table.csv", format!("{}\n", copied.join("\n")).as_bytes());
    let says =
        ["prepare.leaks", "\"verdict\" is a one-to-one function of the target", "collect.ignore", "leaks = \"warn\""];
    lepton.refused(&["run", &project.at("")], 1, &says);
    let run = lepton.json(&["run", &project.at(""), "--until", "prepare", "--set", "prepare.leaks=warn"]);
    let page = std::fs::read_to_string(run["report"].as_str().expect("a report")).expect("the report");
    assert!(page.contains("target copied") && page.contains("L where the target is large"), "the report hides a leak");
    lepton.done(&["run", &project.at(""), "--until", "prepare", "--set", "collect.ignore=[\"verdict\"]"]);
    lepton.refused(
        &["run", &project.at(""), "--set", "prepare.near_duplicates=true", "--set", "prepare.leaks=warn"],
        2,
        &["prepare.near_duplicates", "has none"],
    );
}

#[test]
fn pictures_that_look_like_training_pictures_are_reported_where_that_is_asked_for() {
    let (lepton, project) = (Lepton::new(), Project::digits());
    let until = |extra: &[&str]| {
        let run = lepton.json(&[&["run", &project.at(""), "--until", "prepare"], extra].concat());
        std::fs::read_to_string(run["report"].as_str().expect("a report")).expect("the report")
    };
    assert!(!until(&[]).contains("near duplicates"));
    let page = until(&["--set", "prepare.near_duplicates=true"]);
    assert!(page.contains("near duplicates") && page.contains("is like train row"), "the report does not show them");
}
