//! What holds for every report: nothing from outside becomes markup, nothing is requested, empty parts vanish.

use super::{html, sample};
use lepton_core::{CaptionedPicture, Figure, LabelledCell, PictureCell};
use std::fmt::Write as _;

/// The page without its style and with long attribute values cut: what a reader's browser makes of it.
pub(super) fn outline(page: &str) -> String {
    let body = page.split_once("</style>").map_or(page, |(_, rest)| rest);
    let mut text = String::new();
    for piece in body.split('<').skip(1) {
        let (tag, words) = piece.split_once('>').unwrap_or((piece, ""));
        let name = tag.split([' ', '/']).find(|word| !word.is_empty()).unwrap_or("");
        let shown = [
            "h1",
            "h2",
            "h3",
            "section",
            "nav",
            "table",
            "caption",
            "th",
            "figure",
            "figcaption",
            "svg",
            "img",
            "details",
            "summary",
            "dt",
        ];
        if tag.starts_with('/') || !shown.contains(&name) {
            continue;
        }
        let label =
            ["aria-label=\"", "alt=\""].iter().find_map(|key| tag.split_once(key)?.1.split('"').next()).unwrap_or("");
        let _ = writeln!(text, "{name} {}", [label, words.trim()].join(" ").trim());
    }
    text
}

#[test]
fn the_structure_of_a_full_report() {
    insta::assert_snapshot!(outline(&html(&sample::run())));
}

#[test]
fn a_run_that_stopped_early_has_a_report_too() {
    let mut input = sample::run();
    input.status = "failed in prepare".into();
    input.dataset.sha256 = None;
    input.stages.truncate(2);
    input.metrics.clear();
    input.history.clear();
    input.best_epoch = None;
    input.figures.clear();
    input.augmented = None;
    input.drift = None;
    input.findings.clear();
    input.rows.clear();
    input.classes.clear();
    input.architecture = None;
    input.agreement = None;
    input.int8 = None;
    input.files.clear();
    input.model = None;
    input.package = None;
    insta::assert_snapshot!(outline(&html(&input)));
}

#[test]
fn text_from_outside_never_becomes_markup() {
    let attack = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'";
    let mut input = sample::run();
    for text in [
        &mut input.title,
        &mut input.project,
        &mut input.run,
        &mut input.status,
        &mut input.started,
        &mut input.command,
        &mut input.engine,
    ] {
        attack.clone_into(text);
    }
    let environment = &mut input.environment;
    for text in [
        &mut environment.lepton,
        &mut environment.system,
        &mut environment.processor,
        &mut environment.backend,
        &mut input.dataset.name,
    ] {
        attack.clone_into(text);
    }
    for text in [&mut input.architecture, &mut input.model, &mut input.package] {
        *text = Some(attack.to_owned());
    }
    input.stages[0].name = attack.into();
    input.stages[0].summary = attack.into();
    input.lineage.push((attack.into(), attack.into()));
    input.files[0].name = attack.into();
    for finding in &mut input.findings {
        (finding.kind, finding.severity, finding.message) = (attack.into(), attack.into(), attack.into());
        finding.evidence = vec![attack.into()];
    }
    input.classes.entry("train".into()).or_default().insert(attack.into(), 3);
    input.metrics.entry("test".into()).or_default().insert(attack.into(), 0.5);
    input.int8.iter_mut().for_each(|verdict| verdict.reason = attack.into());
    let picture = match &input.figures[2] {
        Figure::PredictionGrid { cells, .. } => {
            PictureCell { truth: attack.into(), predicted: attack.into(), ..cells[0].clone() }
        }
        other => panic!("the third figure is the grid, not {other:?}"),
    };
    let cell = LabelledCell { text: attack.into(), good: Some(true) };
    input.figures = vec![
        Figure::Curves {
            title: attack.into(),
            x: attack.into(),
            y: attack.into(),
            series: vec![lepton_core::Series { name: attack.into(), points: vec![[0.0, 1.0]] }],
        },
        Figure::ConfusionMatrix { title: attack.into(), labels: vec![attack.into(); 2], counts: vec![vec![1, 2]; 2] },
        Figure::ConfusionMatrix {
            title: attack.into(),
            labels: vec![attack.into(); 50],
            counts: vec![vec![1; 50]; 50],
        },
        Figure::Table { title: attack.into(), columns: vec![attack.into()], rows: vec![vec![cell]] },
        Figure::Pictures {
            title: attack.into(),
            columns: 3,
            cells: vec![CaptionedPicture { image: picture.image.clone(), caption: attack.into() }],
        },
        Figure::PredictionGrid { title: attack.into(), cells: vec![picture] },
    ];
    let page = html(&input);
    assert!(page.matches("&lt;script&gt;").count() > 40);
    assert!(!page.contains("<script") && !page.contains("<img src=x"));
    assert!(!page.contains("\"><script"));
}

#[test]
fn nothing_is_requested_and_nothing_runs() {
    let page = html(&sample::run());
    let policy = page.find("Content-Security-Policy").unwrap();
    assert!(page.find("<style").unwrap() > policy && page.find("<link").unwrap() > policy);
    for forbidden in
        ["<script", "http:", "https:", "@import", "url(", "<iframe", "<object", "javascript:", " onload", "srcset"]
    {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    for source in page.split("src=\"").skip(1) {
        assert!(source.starts_with("data:image/png;base64,"));
    }
}

#[test]
fn numbers_that_are_not_finite_do_not_break_the_page() {
    let mut input = sample::run();
    input.history[2].train_loss = f64::NAN;
    input.history[3].valid_score = f64::INFINITY;
    input.stages[3].seconds = f64::NAN;
    input.metrics.entry("test".into()).or_default().insert("accuracy".into(), f64::NAN);
    let page = html(&input);
    assert!(page.contains("not a number"));
    for attribute in ["points=\"", "cx=\"", "cy=\"", "style=\""] {
        for value in page.split(attribute).skip(1) {
            let value = value.split('"').next().unwrap_or("");
            assert!(!value.contains("NaN") && !value.contains("inf"), "{attribute}{value}");
        }
    }
}

#[test]
fn the_headline_names_what_the_number_came_from() {
    let page = html(&sample::run());
    for fact in ["98.99\u{a0}%", "10,000\u{a0}rows", "sha256 ", ">42<", "onnxruntime 1.22.0", "AMD EPYC 9R14"] {
        assert!(page.contains(fact), "{fact}");
    }
}

#[test]
fn the_input_survives_json() {
    let input = sample::run();
    let text = serde_json::to_string(&input).unwrap();
    assert_eq!(serde_json::from_str::<super::ReportInput>(&text).unwrap(), input);
}
