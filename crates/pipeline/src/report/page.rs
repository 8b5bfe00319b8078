//! What every page shares: the head with its policy, the sections with their list, the foot.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Forbids scripts and every request, whatever the page's text says.
const POLICY: &str =
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const STYLE: &str = include_str!("style.css");

/// One section of a page: its anchor, its heading, a line under the heading and its content.
pub(super) struct Section {
    pub(super) anchor: &'static str,
    pub(super) heading: &'static str,
    pub(super) about: &'static str,
    pub(super) content: Markup,
}

impl Section {
    /// Where a page comes from: names and values that are copied as they stand.
    pub(super) fn origin(about: &'static str, rows: &[(&str, String)]) -> Section {
        let content = html! {
            dl.lineage { @for (name, text) in rows { div { dt { (name) } dd { code { bdi { (text) } } } } } }
        };
        Section { anchor: "origin", heading: "Origin", about, content }
    }
}

/// What a page is made of.
pub(super) struct Page {
    /// What the window is called.
    pub(super) title: String,
    pub(super) masthead: Markup,
    /// What stands above the list of sections.
    pub(super) top: Markup,
    pub(super) sections: Vec<Section>,
    /// Lepton's version.
    pub(super) version: String,
}

impl Page {
    /// The page as one self-contained file.
    pub(super) fn html(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="referrer" content="no-referrer";
                    title { (self.title) }
                    link rel="icon" href="data:,";
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    (self.masthead)
                    main {
                        (self.top)
                        nav aria-label="Sections" { ul { @for section in &self.sections {
                            li { a href={ "#" (section.anchor) } { (section.heading) } }
                        } } }
                        @for section in &self.sections {
                            section #(section.anchor) aria-labelledby={ (section.anchor) "-heading" } {
                                header { h2 #{ (section.anchor) "-heading" } { (section.heading) } p { (section.about) } }
                                div.content { (section.content) }
                            }
                        }
                    }
                    footer { p { "Written by Lepton " (self.version) ". This page runs no script and makes no request." } }
                }
            }
        };
        page.into_string()
    }
}

/// A name and its value, as the lists of a page have them.
pub(super) fn fact(name: &str, value: Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// `2026-11-23T13:14:15Z` as `2026-11-23 13:14 UTC`; anything else as it is.
pub(super) fn moment(text: &str) -> String {
    match (text.get(..10), text.get(11..16)) {
        (Some(date), Some(time)) if text.get(10..11) == Some("T") && text.ends_with('Z') => {
            format!("{date} {time} UTC")
        }
        _ => text.to_owned(),
    }
}
