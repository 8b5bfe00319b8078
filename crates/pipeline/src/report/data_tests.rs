//! Pages of data: what they show, that nothing from the data becomes markup, and that nothing is requested.

use super::{DataPage, data_html};
use crate::doctor::{Examination, Examined};
use lepton_core::{Cancel, Environment, Silent};
use lepton_doctor::checks::{CheckOptions, check};
use lepton_doctor::profile::{ProfileOptions, profile};

fn page(text: &str, with_findings: bool, name: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    std::fs::write(&path, text).unwrap();
    let cancel = Cancel::default();
    let profile = profile(&path, &ProfileOptions::new(folder.path(), 2, &Silent, &cancel)).unwrap();
    let findings = check(&profile, &CheckOptions::default());
    let examination =
        Examination { name: name.to_owned(), content: Examined::Table(Box::new(profile)), findings, sketches: None };
    let environment = Environment {
        lepton: "0.1.0".into(),
        system: "linux x86_64".into(),
        processor: "AMD EPYC, 2 threads".into(),
        threads: 0,
        backend: String::new(),
    };
    data_html(&DataPage {
        examination: &examination,
        with_findings,
        target: Some("label"),
        command: "lepton data doctor <t.csv>",
        created: "2026-11-24T10:20:30Z",
        environment: &environment,
    })
}

fn table() -> String {
    let mut text = String::from("size,city,day,label\n");
    for row in 0..60 {
        let size = match row % 10 {
            3 => "-999".to_owned(),
            5 => String::new(),
            _ => format!("{}.5", row * 37 % 41),
        };
        let city = ["Rome", " Rome", "Oslo", "oslo"][row % 4];
        let day = format!("2026-01-{:02}", row % 28 + 1);
        text += &format!("{size},{city},{day},{}\n", ["a", "b"][row / 7 % 2]);
    }
    text
}

#[test]
fn a_doctors_page_has_its_sections_in_order() {
    let page = page(&table(), true, "data/t.csv");
    let outline = super::tests::outline(&page);
    let headings: Vec<&str> = outline.lines().filter_map(|line| line.strip_prefix("h2 ")).collect();
    assert_eq!(headings, ["Findings", "Overview", "Columns", "Together", "Origin"], "{outline}");
    for part in ["svg Histogram of size: from -999", "summary Where", "caption Most frequent values", "dt Missing"] {
        assert!(outline.contains(part), "{part}: {outline}");
    }
    for part in ["disguised missing", "set_missing", "in the plan", "only if you ask for it", "href=\"#column-1\""] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn a_profile_has_no_findings_and_says_where_it_came_from() {
    let page = page(&table(), false, "data/t.csv");
    assert!(!page.contains("id=\"findings\"") && page.contains("id=\"column-4\""));
    for fact in [
        "Lepton data profile",
        ">t.csv<",
        "data/t.csv",
        "2026-11-24 10:20 UTC",
        "lepton data doctor &lt;t.csv&gt;",
        "AMD EPYC",
    ] {
        assert!(page.contains(fact), "{fact}");
    }
    let sha256 = lepton_core::Digest::of(table()).to_string();
    assert!(page.contains(&sha256));
    assert_eq!(page.matches("<svg class=\"histogram\"").count(), 1);
}

#[test]
fn names_and_cells_never_become_markup() {
    let attack = "<script>alert(1)</script><img src=x onerror=alert(2)>' onload=x";
    let mut text = format!("\"{attack}\",\"a\"\"><svg onload=y>\",\u{202e}drow,<b>n</b>\n");
    for row in 0..60 {
        let value = if row % 3 == 0 { attack.to_owned() } else { format!("{attack}{}", row % 5) };
        text += &format!("\"{value}\", \"{attack} \",\u{202e}{},{row}\n", row % 4);
    }
    for with_findings in [true, false] {
        let page = page(&text, with_findings, "\"><script>alert(3)</script>");
        assert!(page.matches("&lt;script&gt;").count() > 10);
        for forbidden in ["<script", "<img src=x", "\"><svg", "<b>n</b>", "javascript:"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        // A text that runs from right to left must not turn what stands beside it.
        for (at, _) in page.match_indices('\u{202e}') {
            let before = &page[..at];
            let in_text = before.rfind('>').unwrap_or(0) > before.rfind('<').unwrap_or(0);
            assert!(!in_text || before.rfind("<bdi") > before.rfind("</bdi>"), "{}", &page[at.saturating_sub(80)..at]);
        }
    }
}

#[test]
fn columns_that_go_together_are_shaded_by_strength_and_sign() {
    let mut text = String::from("x,twice,against,noise,class\n");
    for row in 0..60 {
        text += &format!("{row}.5,{}.5,{}.25,{},{}\n", 2 * row + 1, 100 - row, row * 37 % 41, ["a", "b"][row / 30]);
    }
    let page = page(&text, false, "t.csv");
    let map =
        page.split("aria-label=\"Map of correlations\"").nth(1).and_then(|rest| rest.split("</table>").next()).unwrap();
    assert!(map.contains("right strong") && map.contains("wrong strong") && map.contains("−1.00"), "{map}");
    assert!(page.contains("Cram") || page.contains("correlation ratio"));
    assert!(!page.contains("NaN"));
}

#[test]
fn nothing_is_requested_and_nothing_runs() {
    let page = page(&table(), true, "t.csv");
    let policy = page.find("Content-Security-Policy").unwrap();
    assert!(page.find("<style").unwrap() > policy && page.find("<link").unwrap() > policy);
    for forbidden in ["<script", "http:", "https:", "@import", "url(", "<iframe", "<object", " onload", "srcset"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn odd_tables_have_a_page_too() {
    let names: Vec<String> = (0..400).map(|column| format!("c{column}")).collect();
    let wide = page(&format!("{}\n{}\n", names.join(","), vec!["1"; 400].join(",")), true, "wide.csv");
    assert!(
        wide.contains("The first 300 of 400")
            && wide.contains("id=\"column-300\"")
            && !wide.contains("id=\"column-301\"")
    );
    assert!(page("a,b\n", true, "empty.csv").contains("0\u{a0}rows"));
    let same = page(&format!("a\n{}", "7\n".repeat(30)), false, "same.csv");
    assert!(same.contains("One value: 7"));
    for text in [&same, &wide] {
        assert!(!text.contains("NaN") && !text.contains("inf\""));
    }
}
