//! The report of a run and the pages of data: each one HTML file that needs nothing else. No script, no font, no
//! request: drawings are inline SVG, pictures are inline PNG, and the page's own policy forbids the rest. It follows the
//! reader's light or dark setting, prints, reads on a telephone and is written for screen readers too.
//! [`html`] turns a [`ReportInput`] into text, [`data_html`] does so with a [`DataPage`]; collecting the input and
//! writing the file are others' business. Every text from outside passes through the template's escaping.

mod advice_page;
mod columns;
mod confusion;
mod correlations;
mod curves;
mod data;
mod data_page;
#[cfg(test)]
mod data_tests;
mod found;
mod histogram;
mod input;
mod media;
mod optimisation;
mod origin;
mod page;
mod pictures;
mod quantity;
mod result;
#[cfg(test)]
mod sample;
mod study_page;
mod tables;
#[cfg(test)]
mod tests;

pub use advice_page::advice_html;
pub use data_page::{DataPage, data_html};
pub use input::{
    AgreementFacts, DatasetFacts, EpochFacts, FileFacts, FindingFacts, ReportInput, RowCounts, StageFacts,
};
pub use study_page::study_html;

use lepton_core::Figure;
use maud::{Markup, html as markup};
use page::{Page, Section};

/// The report as one self-contained HTML page.
pub fn html(input: &ReportInput) -> String {
    let sections: Vec<Section> = [
        learning(input),
        answers(input),
        data::section(input),
        optimisation::section(input),
        monitoring(input),
        origin::timeline(input),
        origin::section(input),
    ]
    .into_iter()
    .flatten()
    .collect();
    Page {
        title: format!("{} · run {}", input.title, input.run),
        masthead: result::masthead(input),
        top: result::headline(input),
        sections,
        version: input.environment.lepton.clone(),
    }
    .html()
}

/// A page of figures alone, under a title and what they came from.
pub fn sheet(title: &str, facts: &[(String, String)], figures: &[Figure]) -> String {
    Page {
        title: title.to_owned(),
        masthead: markup! { header.masthead { p.eyebrow { "Lepton contact sheet" } h1 { (title) } } },
        top: markup! {
            section.headline aria-label="Origin" { dl.source { @for (name, value) in facts { (page::fact(name, markup! { (value) })) } } }
        },
        sections: vec![Section {
            anchor: "samples",
            heading: "Samples",
            about: "What becomes of training rows, as training would see them.",
            content: markup! { @for figure in figures { (draw(figure)) } },
        }],
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
    .html()
}

fn learning(input: &ReportInput) -> Option<Section> {
    (!input.history.is_empty() || input.architecture.is_some()).then(|| Section {
        anchor: "learning",
        heading: "Learning",
        about: "How loss and accuracy moved, epoch by epoch.",
        content: markup! {
            @if !input.history.is_empty() { (result::history(input)) }
            @if let Some(summary) = &input.architecture {
                details open { summary { "The network" } div.scroll tabindex="0" role="region" aria-label="The network" { pre { (summary) } } }
            }
        },
    })
}

fn monitoring(input: &ReportInput) -> Option<Section> {
    input.drift.as_ref().map(|drift| Section {
        anchor: "monitoring",
        heading: "Monitoring",
        about: "The test split held against the training data, as a server holds its requests.",
        content: draw(drift),
    })
}

fn answers(input: &ReportInput) -> Option<Section> {
    (!input.figures.is_empty()).then(|| Section {
        anchor: "answers",
        heading: "Answers",
        about: "What the model gets right and wrong on the test split.",
        content: markup! { @for figure in &input.figures { (draw(figure)) } },
    })
}

fn draw(figure: &Figure) -> Markup {
    match figure {
        Figure::Curves { title, x, y, series } => {
            let chart = curves::Chart { title, x, y, series, mark: None, write: None, first_style: curves::SOLID };
            markup! { div.charts { (curves::draw(&chart)) } }
        }
        Figure::ConfusionMatrix { title, labels, counts } => confusion::draw(title, labels, counts),
        Figure::Table { title, columns, rows } => tables::draw(title, columns, rows),
        Figure::PredictionGrid { title, cells } => pictures::draw(title, cells),
        Figure::Pictures { title, columns, cells } => pictures::captioned(title, *columns, cells),
    }
}
