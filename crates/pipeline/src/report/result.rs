//! The top of the page: what the run is called, the metric that matters with everything that it came from,
//! and the learning curves.

use super::curves::{self, Chart};
use super::page::{fact, moment};
use super::{ReportInput, quantity};
use lepton_core::{Metric, Series, Split, thousands};
use maud::{Markup, html};

/// The page's heading.
pub(super) fn masthead(input: &ReportInput) -> Markup {
    html! {
        header.masthead {
            p.eyebrow { "Lepton run report" }
            h1 { (input.title) }
            p.facts {
                span { "run " code { (input.run) } }
                span { (moment(&input.started)) }
                span.status { (input.status) }
            }
        }
    }
}

/// The headline card: one number, and where it comes from.
pub(super) fn headline(input: &ReportInput) -> Markup {
    let primary = input.primary_metric.name();
    let value =
        |split: Split, metric: &str| input.metrics.get(split.name()).and_then(|metrics| metrics.get(metric)).copied();
    let measured = Split::ALL.into_iter().rev().find_map(|split| Some((split, value(split, primary)?)));
    html! {
        section.headline aria-label="Result" {
            div.figure {
                @match measured {
                    Some((split, number)) => {
                        p.label { (split.name()) " " (quantity::words(primary)) }
                        p.value { (quantity::metric(primary, number)) }
                        @if let Some([low, high]) = input.confidence.as_ref().filter(|_| split == Split::Test).and_then(|sure| sure.intervals.get(primary)) {
                            p.note { "95 % interval " (quantity::metric(primary, *low)) " to " (quantity::metric(primary, *high)) }
                        }
                        p.note { (note(input, split)) }
                    }
                    None => { p.label { (quantity::words(primary)) } p.value { "–" } p.note { "This run ended before the model was measured." } }
                }
            }
            dl.source {
                (fact("Dataset", html! { (input.dataset.name) @match input.dataset.sha256 {
                    Some(digest) => { " " code title=(digest) { "sha256 " (digest.short()) } }
                    None => { " (not read yet)" }
                } }))
                (fact("Split", html! { (measured.map_or("–", |(split, _)| split.name())) }))
                (fact("Seed", html! { (input.seed.0) }))
                (fact("Engine", html! { (input.engine) }))
                (fact("Machine", html! { (input.environment.processor) ", " (input.environment.system)
                    @if input.environment.threads > 0 { "; trained on " (quantity::counted(input.environment.threads as u64, "thread")) } }))
                @if let Some(model) = &input.model { (fact("Model", html! { code { (model) } })) }
            }
        }
        (metrics_table(input))
    }
}

fn note(input: &ReportInput, split: Split) -> Markup {
    let rows = input.rows.get(split.name()).map(|rows| quantity::counted(rows.after, "row"));
    html! {
        @if let Some(rows) = rows { "on " (rows) } @else { "on the " (split.name()) " split" }
        @match split {
            Split::Test => " kept apart from training",
            Split::Valid => " that decided when to stop; no test split was measured",
            Split::Train => " that were learned from; nothing else was measured",
        }
        @if let Some(crossing) = input.crossing.get(split.name()) {
            "; " b { (quantity::counted(*crossing, "row")) } " of them " @if *crossing == 1 { "has" } @else { "have" } " exactly the input of a training row"
        }
    }
}

fn metrics_table(input: &ReportInput) -> Markup {
    let mut names: Vec<&str> = input.metrics.values().flat_map(|metrics| metrics.keys().map(String::as_str)).collect();
    names.sort_unstable();
    names.dedup();
    let splits: Vec<Split> = Split::ALL.into_iter().filter(|split| input.metrics.contains_key(split.name())).collect();
    html! { @if !names.is_empty() {
        div.scroll { table.metrics {
            caption.hidden { "Metrics by split" }
            thead { tr { th scope="col" { "Split" }
                th.number scope="col" { "rows" }
                @for name in &names { th.number scope="col" { (quantity::words(name)) } } } }
            tbody { @for split in splits { tr {
                th scope="row" { (split.name()) }
                td.number { (input.rows.get(split.name()).map_or("–".to_owned(), |rows| thousands(rows.after))) }
                @for name in &names {
                    td.number { (input.metrics[split.name()].get(*name).map_or("–".to_owned(), |value| quantity::metric(name, *value))) }
                }
            } } }
        } }
    } }
}

/// Learning curves and the numbers behind them.
pub(super) fn history(input: &ReportInput) -> Markup {
    let series = |name: &str, value: &dyn Fn(&super::EpochFacts) -> f64| Series {
        name: name.to_owned(),
        points: input.history.iter().map(|epoch| [epoch.epoch as f64, value(epoch)]).collect(),
    };
    let loss = [series("training", &|epoch| epoch.train_loss), series("validation", &|epoch| epoch.valid_loss)];
    let metric = input.primary_metric;
    let of_hundred = if metric.is_share() { 100.0 } else { 1.0 };
    let mut scores = Vec::new();
    if input.history.iter().all(|epoch| epoch.train_score.is_some()) {
        scores.push(series("training", &|epoch| of_hundred * epoch.train_score.unwrap_or(f64::NAN)));
    }
    scores.push(series("validation", &|epoch| of_hundred * epoch.valid_score));
    let (title, unit) = match metric {
        Metric::Accuracy => ("Accuracy".to_owned(), "% of rows that are right"),
        _ => (quantity::words(metric.name()), if metric.is_share() { "%" } else { "" }),
    };
    let write: fn(f64) -> String =
        if metric.is_share() { |value| quantity::share(value / 100.0) } else { |value| format!("{value:.4}") };
    let mark = input.best_epoch.map(|epoch| (epoch as f64, "kept"));
    let plain = |value: f64| format!("{value:.4}");
    let chart = |title, y, series, write| Chart {
        title,
        x: "epoch",
        y,
        series,
        mark,
        write: Some(write),
        first_style: curves::DASHED,
    };
    html! {
        div { div.charts {
            (curves::draw(&chart("Loss", "what training makes small", &loss, plain)))
            (curves::draw(&chart(&title, unit, &scores, write)))
        }
        @match (input.best_epoch, input.refitted_rows) {
            (Some(best), Some(rows)) => p.muted { "Epoch " (best) " was the best. The network was then trained once more for as many epochs, on "
                (quantity::counted(rows, "row")) " with those of validation." },
            (Some(best), None) => p.muted { "The weights of epoch " (best) " were kept." },
            (None, _) => {},
        } }
        details {
            summary { "The numbers behind the curves" }
            div.scroll tabindex="0" role="region" aria-label="The numbers behind the curves" { table {
                thead { tr { @for (index, name) in ["epoch", "training loss", "validation loss", &format!("training {}", quantity::words(metric.name())), &format!("validation {}", quantity::words(metric.name())), "learning rate", "time", "waiting for data"].iter().enumerate() {
                    th.number[index > 0] scope="col" { (name) }
                } } }
                tbody { @for epoch in &input.history { tr {
                    th scope="row" { (epoch.epoch) @if input.best_epoch == Some(epoch.epoch) { " (kept)" } }
                    td.number { (plain(epoch.train_loss)) }
                    td.number { (plain(epoch.valid_loss)) }
                    td.number { (epoch.train_score.map_or_else(|| "–".to_owned(), |score| quantity::metric(metric.name(), score))) }
                    td.number { (quantity::metric(metric.name(), epoch.valid_score)) }
                    td.number { (format!("{:.2e}", epoch.learning_rate)) }
                    td.number { (quantity::seconds(epoch.seconds)) }
                    td.number { (quantity::share(if epoch.seconds > 0.0 { epoch.data_wait_seconds / epoch.seconds } else { 0.0 })) }
                } } }
            } }
        }
    }
}
