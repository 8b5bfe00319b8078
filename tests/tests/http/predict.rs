//! `POST /v1/predict/{model}`: pictures and rows in, the task's words out, the same as `lepton predict` says.

use lepton_tests::{Lepton, Project, alike, digit_png, request};
use serde_json::json;

#[test]
fn a_picture_gets_the_answer_of_the_command_line() {
    let (lepton, place) = (Lepton::trained(), Project::with(""));
    let server = lepton.serve(&["digits@1"]);
    for index in 0..5 {
        let (png, _) = digit_png(index);
        place.write("digit.png", &png);
        let typed = lepton.json(&["predict", "digits", &place.at("digit.png")]);
        let answer = request(server.address, "POST", "/v1/predict/digits", "image/png", &png);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let served = answer.json();
        assert_eq!((&served["model"], &served["version"]), (&json!("digits"), &json!(1)));
        assert_eq!(served["predictions"][0]["label"], typed["predictions"][0]["label"]);
        assert_eq!(served["predictions"][0]["probabilities"].as_array().map(Vec::len), Some(10));
    }
}

#[test]
fn rows_are_taken_as_json_and_csv() {
    let (lepton, project) = (Lepton::new(), Project::table(300));
    lepton.done(&["run", &project.at("")]);
    let server = lepton.serve(&["table"]);
    let predict =
        |media: &str, body: &str| request(server.address, "POST", "/v1/predict/table", media, body.as_bytes());
    let one = predict("application/json", r#"{"size": 9.5, "colour": "red"}"#).json();
    let rows = predict(
        "application/json",
        r#"{"rows": [{"size": 9.5, "colour": "red"}, {"size": null, "colour": "violet"}]}"#,
    )
    .json();
    let csv = predict("text/csv", "colour,size\nred,9.5\nviolet,\n").json();
    assert!(alike(&rows["predictions"][0], &one["predictions"][0]), "{rows} {one}");
    assert!(alike(&csv["predictions"], &rows["predictions"]), "{csv} {rows}");
    for (media, body, status) in [
        ("application/json", r#"{"size": "wide", "colour": "red"}"#, 400),
        ("application/json", r#"{"size": 1, "color": "red"}"#, 400),
        ("application/json", "{", 400),
        ("text/csv", "size,colour\n1,red,3\n", 400),
        ("text/plain", "1,red", 415),
        ("image/png", "rubbish", 400),
    ] {
        let answer = predict(media, body);
        assert_eq!(answer.status, status, "{media} {body}: {}", answer.text());
        assert!(answer.json()["error"].as_str().is_some_and(|error| !error.is_empty()));
    }
}

#[test]
fn several_models_share_a_server() {
    let (lepton, project) = (Lepton::new(), Project::table(200));
    lepton.done(&["run", &project.at("")]);
    let digits =
        Lepton::trained().json(&["model", "show", "digits"])["package"].as_str().expect("a package").to_owned();
    let server = lepton.serve(&["table", &digits]);
    let models = request(server.address, "GET", "/v1/models", "", b"").json();
    assert_eq!(models["data"].as_array().map(Vec::len), Some(2), "{models}");
    assert_eq!(request(server.address, "POST", "/v1/predict/digits", "image/png", &digit_png(3).0).status, 200);
    assert_eq!(request(server.address, "POST", "/v1/predict/table", "text/csv", b"size,colour\n1,red\n").status, 200);
}
