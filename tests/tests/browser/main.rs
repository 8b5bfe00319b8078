//! Pages in a headless Chromium: the run report and the server's front page. A page must draw, stay silent on the
//! console, ask for nothing outside itself, and run no script that came in with the data.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test ends where something is missing")]

use lepton_tests::{Lepton, Project, digit_png, open_page};

/// A page with text and drawings has many colours from smoothed edges alone; a blank one has one.
const NOT_BLANK: usize = 50;

#[test]
fn the_report_draws_in_both_schemes_and_on_a_telephone_and_asks_for_nothing() {
    let lepton = Lepton::trained();
    let report = lepton.json(&["runs", "report"])["report"].as_str().expect("a report").to_owned();
    let url = format!("file://{report}");
    for (width, height, dark) in [(1280, 3000, false), (1280, 3000, true), (500, 3000, false)] {
        let page = open_page(&url, width, height, dark);
        assert_eq!(page.console, Vec::<String>::new());
        assert_eq!(page.requests, Vec::<String>::new());
        assert_eq!((page.screenshot.0, page.screenshot.1), (width, height));
        assert!(page.screenshot.2 > NOT_BLANK, "{} colours", page.screenshot.2);
        for part in ["Confusion matrix", "data:image/png;base64,", "<svg", "digits@1", "sha256"] {
            assert!(page.dom.contains(part), "{part}");
        }
        assert!(page.dom.matches("class=\"picture").count() >= 25, "the grid has fewer than 25 pictures");
    }
}

#[test]
fn labels_with_markup_stay_text() {
    let (lepton, project) = (Lepton::new(), Project::table(300));
    let attack = "<img src=x onerror=console.error(1)><script>console.error(2)</script>";
    let text = String::from_utf8(project.read("table.csv")).expect("UTF-8");
    project.write("table.csv", text.replace("large", attack).as_bytes());
    let run = lepton.json(&["run", &project.at("")]);
    let page = open_page(&format!("file://{}", run["report"].as_str().expect("a report")), 1280, 2000, false);
    assert_eq!(page.console, Vec::<String>::new());
    assert_eq!(page.requests, Vec::<String>::new());
    assert!(page.dom.contains("&lt;script&gt;") && !page.dom.contains("<script>"), "the label did not stay text");
}

#[test]
fn pages_of_data_draw_in_both_schemes_and_on_a_telephone_and_ask_for_nothing() {
    let (lepton, project) = (Lepton::new(), Project::table(300));
    let attack = "<img src=x onerror=console.error(1)><script>console.error(2)</script>";
    let text = String::from_utf8(project.read("table.csv")).expect("UTF-8");
    project.write("table.csv", text.replace("colour", attack).replace("blue", attack).as_bytes());
    let (table, html) = (project.at("table.csv"), project.at("page.html"));
    for command in ["profile", "doctor"] {
        lepton.done(&["data", command, &table, "--html", &html]);
        for (width, height, dark) in [(1280, 2400, false), (1280, 2400, true), (500, 2400, false)] {
            let page = open_page(&format!("file://{html}"), width, height, dark);
            assert_eq!(page.console, Vec::<String>::new());
            assert_eq!(page.requests, Vec::<String>::new());
            assert_eq!((page.screenshot.0, page.screenshot.1), (width, height));
            assert!(page.screenshot.2 > NOT_BLANK, "{} colours", page.screenshot.2);
            for part in ["&lt;script&gt;", "class=\"histogram\"", "id=\"column-3\"", "sha256"] {
                assert!(page.dom.contains(part), "{part}");
            }
            assert!(!page.dom.contains("<script>"), "a cell did not stay text");
            assert_eq!(page.dom.contains("id=\"findings\""), command == "doctor");
        }
    }
    lepton.refused(&["data", "profile", &table, "--html", &table], 2, &["would replace the data"]);
}

#[test]
fn a_page_of_pictures_shows_those_that_were_found() {
    let (lepton, project) = (Lepton::new(), Project::with(""));
    for index in 0..12 {
        let (png, label) = digit_png(index);
        project.write(&format!("digits/{label}/{index}.png"), &png);
        project.write(&format!("digits/{label}/copy-of-{index}.png"), &png);
    }
    let html = project.at("page.html");
    lepton.done(&["data", "doctor", &project.at("digits"), "--html", &html]);
    let page = open_page(&format!("file://{html}"), 1280, 2000, false);
    assert_eq!((page.console, page.requests), (Vec::new(), Vec::new()));
    for part in ["duplicate files", "copy-of-0.png", "id=\"classes\"", "24&nbsp;pictures"] {
        assert!(page.dom.contains(part), "{part}");
    }
}

#[test]
fn the_front_page_of_a_server_draws_and_asks_for_nothing_else() {
    let server = Lepton::trained().serve(&["digits"]);
    let home = format!("http://{}/", server.address);
    let page = open_page(&home, 1280, 900, false);
    assert_eq!(page.console, Vec::<String>::new());
    assert!(page.requests.iter().all(|url| url.starts_with(&home)), "{:?}", page.requests);
    assert!(page.dom.contains("digits") && page.screenshot.2 > NOT_BLANK);
}

#[test]
fn the_browser_notices_what_these_tests_look_for() {
    let place = Project::with("");
    place.write("bad.html", b"<body><script>console.error('boom')</script><img src='http://127.0.0.1:9/x.png'>");
    let page = open_page(&format!("file://{}", place.at("bad.html")), 600, 400, false);
    assert!(page.console.iter().any(|line| line.contains("boom")), "{page:?}");
    assert_eq!(page.requests, ["http://127.0.0.1:9/x.png"]);
    place.write("blank.html", b"<body></body>");
    assert!(open_page(&format!("file://{}", place.at("blank.html")), 600, 400, false).screenshot.2 < NOT_BLANK);
}
