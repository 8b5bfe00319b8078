//! `lepton predict`: a picture, a typed row, a file of rows, standard input.

use lepton_tests::{Lepton, Project, alike, digit_png};
use serde_json::Value;

fn labels(answer: &Value) -> Vec<&str> {
    let predictions = answer["predictions"].as_array().expect("predictions");
    predictions.iter().map(|prediction| prediction["label"].as_str().expect("a label")).collect()
}

#[test]
fn pictures_are_answered_in_the_tasks_words() {
    let (lepton, place) = (Lepton::trained(), Project::with(""));
    let mut right = 0;
    for index in 0..10 {
        let (png, label) = digit_png(index);
        place.write("digit.png", &png);
        let answer = lepton.json(&["predict", "digits", &place.at("digit.png")]);
        let prediction = &answer["predictions"][0];
        let classes = prediction["probabilities"].as_array().expect("probabilities");
        let sum: f64 = classes.iter().filter_map(|class| class["probability"].as_f64()).sum();
        assert!(classes.len() == 10 && (sum - 1.0).abs() < 1e-3, "{prediction}");
        assert_eq!(prediction["label"], classes[0]["label"]);
        assert_eq!(answer["model"], "digits@1");
        right += usize::from(labels(&answer) == [label.to_string().as_str()]);
    }
    assert!(right >= 7, "{right} of 10");
    let piped = lepton.run_with_input(&["predict", "digits@1", "-", "--json"], &digit_png(9).0);
    assert_eq!(
        piped.json()["predictions"][0]["label"],
        lepton.json(&["predict", "digits", &place.at("digit.png")])["predictions"][0]["label"]
    );
    assert!(lepton.done(&["predict", "digits", &place.at("digit.png")]).out.contains("digit.png"));
}

#[test]
fn rows_are_taken_in_every_form_and_answered_alike() {
    let (lepton, project) = (Lepton::new(), Project::table(400));
    lepton.done(&["run", &project.at("")]);
    project.write("rows.csv", b"size,colour\n9.5,red\n0.5,blue\n");
    project.write("rows.json", br#"[{"size": 9.5, "colour": "red"}, {"size": 0.5, "colour": "blue"}]"#);
    let both = lepton.json(&["predict", "table", &project.at("rows.csv")]);
    assert_eq!(both["predictions"].as_array().map(Vec::len), Some(2));
    let probabilities = |answer: &Value, row: usize| answer["predictions"][row]["probabilities"].clone();
    let json = lepton.json(&["predict", "table", &project.at("rows.json")]);
    let typed = lepton.json(&["predict", "table", "9.5,red", r#"{"size": 0.5, "colour": "blue"}"#]);
    let piped = lepton.run_with_input(&["predict", "table", "-", "--json"], b"colour,size\nred,9.5\nblue,0.5\n").json();
    for answer in [&json, &typed, &piped] {
        assert!(alike(&probabilities(answer, 0), &probabilities(&both, 0)), "{answer} {both}");
        assert!(alike(&probabilities(answer, 1), &probabilities(&both, 1)), "{answer} {both}");
    }
    // Missing values and unknown categories are part of the recipe, not errors.
    lepton.done(&["predict", "table", ",red", r#"{"size": null, "colour": "violet"}"#]);
}

#[test]
fn wrong_inputs_name_their_place() {
    let (lepton, project) = (Lepton::new(), Project::table(200));
    lepton.done(&["run", &project.at("")]);
    lepton.refused(&["predict", "table", "missing.csv.gz"], 2, &["missing.csv.gz"]);
    lepton.refused(&["predict", "table", "1,red,3"], 2, &["3 fields"]);
    lepton.refused(&["predict", "table", r#"{"size": 1, "color": "red"}"#], 2, &["color"]);
    lepton.refused(&["predict", "table", "huge,red"], 2, &["size"]);
    lepton.refused(&["predict", "table", r#"{"size": "#], 2, &["JSON"]);
    project.write("rows.csv", b"size,colour\n1,red\n1,red,2\n");
    lepton.refused(&["predict", "table", &project.at("rows.csv")], 2, &["rows.csv", "row 3"]);
    let digits = Lepton::trained();
    project.write("not.png", b"\x89PNG\r\n\x1a\nrubbish");
    digits.refused(&["predict", "digits", &project.at("not.png")], 2, &["not.png"]);
    digits.refused(&["predict", "digits", "1,2,3"], 2, &[]);
}
