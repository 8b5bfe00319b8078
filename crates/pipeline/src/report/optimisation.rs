//! The optimisation section: whether the exported file is the trained network, and whether INT8 pays here.

use super::{AgreementFacts, ReportInput, Section, quantity};
use lepton_core::{Int8Verdict, Measurement, thousands};
use maud::{Markup, html};
use std::collections::BTreeSet;

pub(super) fn section(input: &ReportInput) -> Option<Section> {
    (input.agreement.is_some() || input.int8.is_some()).then(|| Section {
        anchor: "optimisation",
        heading: "Optimisation",
        about: "Measured on this machine; a smaller file is kept only when it pays.",
        content: html! {
            @if let Some(agreement) = &input.agreement { (agreement_line(agreement)) }
            @if let Some(verdict) = &input.int8 { (int8(verdict)) }
        },
    })
}

fn agreement_line(agreement: &AgreementFacts) -> Markup {
    let same = agreement.identical_argmax == agreement.rows;
    html! {
        p.verdict.good[same].bad[!same] {
            span.sign aria-hidden="true" { (if same { "✓" } else { "✗" }) } " "
            "The exported file names the same class as the trained network on "
            b { (thousands(agreement.identical_argmax)) " of " (thousands(agreement.rows)) }
            " test rows; the largest difference of any output is " b { (format!("{:.2e}", agreement.max_abs_difference)) } "."
        }
    }
}

fn int8(verdict: &Int8Verdict) -> Markup {
    let (float32, int8) = (&verdict.float32, &verdict.int8);
    let names: BTreeSet<&String> = float32.metrics.keys().chain(int8.metrics.keys()).collect();
    let latency = |seconds: &dyn Fn(&Measurement) -> f64| {
        (
            quantity::seconds(seconds(float32)),
            quantity::seconds(seconds(int8)),
            quantity::change(seconds(float32), seconds(int8), "faster", "slower"),
        )
    };
    let served = |kept: bool| html! { @if kept { " " span.badge { "served" } } };
    let line = |name: &str, (before, after, change): (String, String, Option<String>)| {
        html! { tr {
            th scope="row" { (name) } td.number { (before) } td.number { (after) } td.number { (change.unwrap_or_default()) }
        } }
    };
    html! {
        h3 { "float32 and INT8 on " (verdict.engine) ", metrics on the validation split" }
        div.scroll { table.compare {
            thead { tr { td {} th.number scope="col" { "float32" (served(!verdict.kept)) } th.number scope="col" { "INT8" (served(verdict.kept)) } th.number scope="col" { "INT8 is" } } }
            tbody {
                (line("file size", (quantity::bytes(float32.bytes), quantity::bytes(int8.bytes),
                    quantity::change(float32.bytes as f64, int8.bytes as f64, "smaller", "larger"))))
                (line("median, 1 row", latency(&|m| m.seconds_batch_1)))
                (line("median, 8 rows", latency(&|m| m.seconds_batch_8)))
                @for name in names { (line(&quantity::words(name), metric(name, float32, int8))) }
            }
        } }
        p.verdict { b { (if verdict.kept { "INT8 is served. " } else { "float32 is served. " }) } (verdict.reason) }
        p.muted { "The largest accuracy loss allowed was " (format!("{:.2}", verdict.accuracy_budget * 100.0)) " percentage points." }
    }
}

fn metric(name: &str, float32: &Measurement, int8: &Measurement) -> (String, String, Option<String>) {
    let (before, after) = (float32.metrics.get(name), int8.metrics.get(name));
    let write = |value: Option<&f64>| value.map_or("–".to_owned(), |value| quantity::metric(name, *value));
    let change = before.zip(after).map(|(before, after)| {
        let shares = quantity::metric(name, 0.0).ends_with('%');
        let text =
            if shares { format!("{:+.2} points", (after - before) * 100.0) } else { format!("{:+.4}", after - before) };
        text.replace('-', "\u{2212}")
    });
    (write(before), write(after), change)
}
