//! A collection of pictures or sounds: sizes, modes and formats, what was measured, and its classes.

use super::page::Section;
use super::quantity;
use lepton_core::thousands;
use lepton_doctor::media::Numbers;
use lepton_doctor::media::audio::AudioProfile;
use lepton_doctor::media::pictures::{PictureProfile, PictureView};
use lepton_doctor::profile::short_number;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Classes and sizes that are listed.
const SHOWN: usize = 40;

pub(super) fn sections(profile: &PictureProfile) -> Vec<Section> {
    let view = profile.view();
    let pictures = Section {
        anchor: "pictures",
        heading: "Pictures",
        about: "What the pictures are like.",
        content: pictures(&view),
    };
    let classes = (!view.classes.is_empty()).then(|| Section {
        anchor: "classes",
        heading: "Classes",
        about: "How many pictures each class has.",
        content: classes(&view),
    });
    std::iter::once(pictures).chain(classes).collect()
}

/// What sounds are like.
pub(super) fn audio_section(profile: &AudioProfile) -> Section {
    let view = profile.view();
    let content = html! {
        dl.lineage {
            div { dt { "formats" } dd { (counts(&view.formats)) } }
            div { dt { "codecs" } dd { (counts(&view.codecs)) } }
        }
        (measures(&view.measures))
    };
    Section { anchor: "sounds", heading: "Sounds", about: "What the sounds are like.", content }
}

fn counts(counts: &BTreeMap<&'static str, u64>) -> String {
    counts.iter().map(|(name, count)| format!("{} {name}", thousands(*count))).collect::<Vec<_>>().join(", ")
}

fn pictures(view: &PictureView) -> Markup {
    let sizes: Vec<String> = view
        .sizes
        .iter()
        .take(6)
        .map(|[height, width, count]| format!("{} of {height} × {width}", thousands(*count)))
        .collect();
    let more = view.distinct_sizes.saturating_sub(sizes.len() as u64);
    html! {
        dl.lineage {
            @if !view.formats.is_empty() { div { dt { "formats" } dd { (counts(&view.formats)) } } }
            div { dt { "modes" } dd { (counts(&view.modes)) } }
            div { dt { "height × width" } dd { (sizes.join(", ")) @if more > 0 { ", and " (quantity::counted(more, "size")) " more" } } }
        }
        (measures(&view.measures))
    }
}

fn measures(measures: &BTreeMap<&'static str, Numbers>) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Measures" { table {
            thead { tr { th scope="col" { "Measure" } @for name in ["least", "5 %", "median", "95 %", "most", "mean"] { th.number scope="col" { (name) } } } }
            tbody { @for (name, numbers) in measures { tr {
                th scope="row" { (quantity::words(name)) }
                @for value in numbers.quantiles.iter().chain([&numbers.mean]) { td.number { (short_number(*value)) } }
            } } }
        } }
    }
}

fn classes(view: &PictureView) -> Markup {
    let most = view.classes.iter().map(|class| class.count).max().unwrap_or(1).max(1);
    html! {
        div.scroll { table.classes {
            caption.hidden { "Pictures by class" }
            thead { tr { th scope="col" { "Class" } th.number scope="col" { "pictures" } th.spread scope="col" { "share" } } }
            tbody { @for class in view.classes.iter().take(SHOWN) { tr {
                th scope="row" { bdi { (class.label) } }
                td.number { (thousands(class.count)) }
                td.spread { span.bar aria-hidden="true" style={ "--w:" (format!("{:.1}%", 100.0 * class.count as f64 / most as f64)) } {}
                    span { (quantity::share(class.count as f64 / view.count.max(1) as f64)) } }
            } } }
        } }
        @if view.classes.len() > SHOWN { p.muted { "and " (thousands((view.classes.len() - SHOWN) as u64)) " more classes" } }
    }
}
