//! How the profile of a table or of a collection is printed.

use crate::terminal::{self, Table};
use lepton_core::thousands;
use lepton_doctor::across::{Correlations, correlations};
use lepton_doctor::media::audio::{AudioProfile, AudioView};
use lepton_doctor::media::pictures::{PictureProfile, PictureView};
use lepton_doctor::media::{ClassCount, Numbers};
use lepton_doctor::profile::{ColumnView, Profile, short_number};
use lepton_pipeline::{Examination, Examined};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The profile as JSON.
pub(super) fn profile_object(examination: &Examination) -> Value {
    match &examination.content {
        Examined::Table(profile) => json!({
            "file": examination.name, "kind": "table", "sha256": profile.source.sha256, "bytes": profile.source.bytes,
            "format": profile.format.name(), "delimiter": profile.delimiter, "rows": profile.rows,
            "columns": profile.view(), "duplicate_rows": profile.duplicates.count, "ragged_rows": profile.ragged.count,
            "correlations": correlations(profile),
        }),
        Examined::Pictures(profile) => json!({
            "file": examination.name, "kind": "pictures", "sha256": profile.survey.sha256,
            "bytes": profile.survey.bytes, "rows": examination.rows(), "pictures": profile.view(),
            "sketches": examination.sketches,
        }),
        Examined::Audio(profile) => json!({
            "file": examination.name, "kind": "audio", "sha256": profile.survey.sha256,
            "bytes": profile.survey.bytes, "rows": examination.rows(), "audio": profile.view(),
            "sketches": examination.sketches,
        }),
    }
}

/// The profile as tables.
pub(super) fn profile_text(examination: &Examination) -> String {
    let mut text = head(examination);
    match &examination.content {
        Examined::Table(profile) => {
            let headings = ["column", "type", "missing", "distinct", "min", "median", "max", "most frequent"];
            let mut table = Table::new(&headings);
            for column in &profile.view() {
                table.row(row(column, profile.rows));
            }
            text.push_str(&table.text());
            text.push_str(&together(&correlations(profile)));
        }
        Examined::Pictures(profile) => text.push_str(&pictures_text(&profile.view())),
        Examined::Audio(profile) => text.push_str(&audio_text(&profile.view())),
    }
    text
}

/// Columns that go together this strongly are shown.
const STRONG: f64 = 0.8;

/// Pairs of columns that are shown.
const SHOWN_PAIRS: usize = 10;

/// The strongest pairs of columns, each by the measure that is strongest.
fn together(correlations: &Correlations) -> String {
    let mut seen = BTreeSet::new();
    let strong = correlations.pairs.iter().filter(|pair| pair.value.abs() >= STRONG && seen.insert(&pair.columns));
    let mut table = Table::new(&["columns that go together", "by", "strength"]);
    let mut count = 0;
    for pair in strong {
        count += 1;
        if count <= SHOWN_PAIRS {
            let [one, other] = &pair.columns;
            table.row([format!("{one}, {other}"), pair.method.name().replace('_', " "), format!("{:.3}", pair.value)]);
        }
    }
    if count == 0 {
        return String::new();
    }
    let mut text = format!("\n{}", table.text());
    if count > SHOWN_PAIRS {
        text.push_str(&format!("and {} more pairs; --json has all\n", count - SHOWN_PAIRS));
    }
    if correlations.is_sample {
        text.push_str(&format!("of a sample of {} rows\n", thousands(correlations.rows as u64)));
    }
    if correlations.columns_left_out > 0 {
        text.push_str(&format!("{} more columns were not compared\n", correlations.columns_left_out));
    }
    text
}

/// The first line of a profile and of findings.
pub(super) fn head(examination: &Examination) -> String {
    match &examination.content {
        Examined::Table(profile) => table_head(profile),
        Examined::Pictures(profile) => pictures_head(profile),
        Examined::Audio(profile) => audio_head(profile),
    }
}

fn pictures_head(profile: &PictureProfile) -> String {
    let view = profile.view();
    format!(
        "{} pictures of {} in {} classes; {} cannot be read; sha256:{}\n\n",
        thousands(view.count),
        terminal::bytes(profile.survey.bytes),
        view.classes.len(),
        thousands(view.broken),
        profile.survey.sha256.short(),
    )
}

/// `12 png, 3 jpeg`
fn list<T: std::fmt::Display>(counts: &BTreeMap<T, u64>) -> String {
    counts.iter().map(|(name, count)| format!("{} {name}", thousands(*count))).collect::<Vec<_>>().join(", ")
}

/// `12 at 8000, 3 at 16000`
fn list_at(counts: &BTreeMap<u32, u64>) -> String {
    counts.iter().map(|(value, count)| format!("{} at {value}", thousands(*count))).collect::<Vec<_>>().join(", ")
}

fn audio_head(profile: &AudioProfile) -> String {
    let view = profile.view();
    format!(
        "{} sounds of {}, {:.1} s, in {} classes; {} cannot be read; sha256:{}\n\n",
        thousands(view.count),
        terminal::bytes(profile.survey.bytes),
        view.seconds,
        view.classes.len(),
        thousands(view.broken),
        profile.survey.sha256.short(),
    )
}

fn audio_text(view: &AudioView) -> String {
    format!(
        "formats   {}\ncodecs    {}\nrates     {}\nchannels  {}\nbits      {}\n\n{}{}",
        list(&view.formats),
        list(&view.codecs),
        list_at(&view.rates),
        list_at(&view.channels),
        if view.bits.is_empty() { "-".to_owned() } else { list_at(&view.bits) },
        measures_text(&view.measures),
        classes_text(&view.classes, view.count),
    )
}

fn pictures_text(view: &PictureView) -> String {
    let mut text = String::new();
    if !view.formats.is_empty() {
        text.push_str(&format!("formats  {}\n", list(&view.formats)));
    }
    text.push_str(&format!("modes    {}\n", list(&view.modes)));
    let sizes =
        view.sizes.iter().take(5).map(|[height, width, count]| format!("{} of {height}x{width}", thousands(*count)));
    let more = if view.distinct_sizes > 5 { format!(", {} more", view.distinct_sizes - 5) } else { String::new() };
    text.push_str(&format!("sizes    {}{more}\n\n", sizes.collect::<Vec<_>>().join(", ")));
    text.push_str(&measures_text(&view.measures));
    text.push_str(&classes_text(&view.classes, view.count));
    text
}

fn measures_text(measures: &BTreeMap<&'static str, Numbers>) -> String {
    let mut table = Table::new(&["measure", "min", "5 %", "median", "95 %", "max", "mean"]);
    for (name, numbers) in measures {
        let cells = numbers.quantiles.iter().chain([&numbers.mean]).map(|value| short_number(*value));
        table.row(std::iter::once((*name).to_owned()).chain(cells));
    }
    table.text()
}

/// The twenty most frequent classes.
fn classes_text(classes: &[ClassCount], all: u64) -> String {
    if classes.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["class", "count", "share", "parts"]);
    for class in classes.iter().take(20) {
        let parts = class.parts.iter().map(|(part, count)| format!("{} {part}", thousands(*count)));
        let parts = parts.collect::<Vec<_>>().join(", ");
        let share = format!("{:.1} %", 100.0 * class.count as f64 / all.max(1) as f64);
        table.row([
            class.label.clone(),
            thousands(class.count),
            share,
            if parts.is_empty() { "-".into() } else { parts },
        ]);
    }
    let more = classes.len().saturating_sub(20);
    let rest = if more > 0 { format!("... and {more} more\n") } else { String::new() };
    format!("\n{}{rest}", table.text())
}

fn table_head(profile: &Profile) -> String {
    format!(
        "{} rows, {} columns, {} of {}; {} an earlier row; sha256:{}\n\n",
        thousands(profile.rows),
        profile.columns.len(),
        terminal::bytes(profile.source.bytes),
        profile.format.name(),
        match profile.duplicates.count {
            1 => "1 repeats".to_owned(),
            count => format!("{} repeat", thousands(count)),
        },
        profile.source.sha256.short(),
    )
}

fn row(column: &ColumnView, rows: u64) -> [String; 8] {
    let missing = match column.missing {
        0 => "-".to_owned(),
        missing => format!("{} ({:.1} %)", thousands(missing), 100.0 * missing as f64 / rows.max(1) as f64),
    };
    let about = if column.distinct_is_exact { "" } else { "~" };
    let quantile =
        |place: usize| column.numbers.as_ref().map_or("-".to_owned(), |view| short_number(view.quantiles[place]));
    let top = column.top.first().map_or_else(
        || "-".to_owned(),
        |value| {
            let mut text: String = value.value.chars().take(24).collect();
            text = text.replace(['\n', '\r', '\t'], " ");
            format!("{text} ({})", thousands(value.count))
        },
    );
    let distinct = format!("{about}{}", thousands(column.distinct));
    let (low, middle, high) = (quantile(0), quantile(3), quantile(6));
    [column.name.clone(), column.semantic.name().to_owned(), missing, distinct, low, middle, high, top]
}
