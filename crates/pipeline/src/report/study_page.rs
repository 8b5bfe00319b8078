//! The page of `lepton tune --html`: how the search went, which settings mattered, how they go together, what was
//! traded for what, and all trials. The drawings are inline SVG, with the numbers in tables beside them.

use super::curves::{Axis, at};
use super::page::{Page, Section, fact, moment};
use super::quantity;
use crate::tune::{StudyReport, TrialFacts, shown_setting};
use lepton_core::thousands;
use lepton_tune::{Direction, State};
use maud::{Markup, html};

/// The drawings' own units; the page scales them to the column's width.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 38.0;

/// Complete trials that are drawn; more would be one dark band.
const MOST_LINES: usize = 200;

/// The page of a study as one self-contained HTML file. `created` is when it was made, RFC 3339 in UTC.
pub fn study_html(report: &StudyReport, created: &str) -> String {
    let sections: Vec<Section> = [
        history(report),
        trade_off(report),
        importances(report),
        together(report),
        Some(trials(report)),
        Some(origin(report, created)),
    ]
    .into_iter()
    .flatten()
    .collect();
    Page {
        title: format!("{} · tuning", report.project),
        masthead: html! {
            header.masthead {
                p.eyebrow { "Lepton tuning report" }
                h1 { bdi { (report.project) } }
                p.facts {
                    span { "study " code { (report.study.short()) } }
                    span { (moment(created)) }
                    span.status { (report.status) }
                }
            }
        },
        top: headline(report),
        sections,
        version: report.environment.lepton.clone(),
    }
    .html()
}

/// A value of an objective as people read it.
fn value(name: &str, value: f64) -> String {
    match name {
        "latency" => quantity::seconds(value),
        "size" => quantity::bytes(value.max(0.0) as u64),
        metric => quantity::metric(metric, value),
    }
}

fn first(report: &StudyReport) -> (&'static str, Direction) {
    report.objectives.first().map_or(("", Direction::Minimize), |objective| (objective.name, objective.direction))
}

fn of(trial: &TrialFacts, name: &str) -> Option<f64> {
    trial.values.get(name).copied().filter(|value| value.is_finite())
}

fn headline(report: &StudyReport) -> Markup {
    let (name, _) = first(report);
    let count = |state: State| report.trials.iter().filter(|trial| trial.state == state).count() as u64;
    html! {
        section.headline aria-label="Result" {
            div.figure {
                p.label { "best valid " (quantity::words(name)) }
                @match &report.best {
                    Some(best) => {
                        p.value { (best.values.get(name).map_or_else(|| "–".to_owned(), |number| value(name, *number))) }
                        p.note { "trial " (best.number) " of " (thousands(report.trials.len() as u64))
                            "; chosen on the validation split, so a test split will give a little less" }
                    }
                    None => { p.value { "–" } p.note { "No trial is complete." } }
                }
            }
            dl.source {
                (fact("Dataset", html! { bdi { (report.dataset) } " " code title=(report.sha256) { "sha256 " (report.sha256.short()) } }))
                (fact("Split", html! { (report.split) }))
                (fact("Seed", html! { (report.seed.0) }))
                (fact("Sampler", html! { (report.sampler) }))
                (fact("Trials", html! { (thousands(count(State::Complete))) " complete, " (thousands(count(State::Pruned))) " pruned, " (thousands(count(State::Failed))) " failed" }))
                (fact("Machine", html! { (report.environment.processor) ", " (report.environment.system) "; trained on "
                    (quantity::counted(report.environment.threads as u64, "thread")) " each" }))
            }
        }
    }
}

/// Axes, grid and what stands in it.
fn plot(
    label: &str,
    (x, y): (&str, &str),
    xs: &Axis,
    ys: &Axis,
    write: &dyn Fn(f64, bool) -> String,
    marks: Markup,
) -> Markup {
    html! {
        svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(label) {
            @for tick in xs.ticks() {
                text.tick x=(at(across(xs, tick))) y=(at(HEIGHT - BOTTOM + 16.0)) text-anchor="middle" { (write(tick, true)) }
            }
            @for tick in ys.ticks() {
                line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(at(down(ys, tick))) y2=(at(down(ys, tick))) {}
                text.tick x=(LEFT - 7.0) y=(at(down(ys, tick) + 4.0)) text-anchor="end" { (write(tick, false)) }
            }
            text.axis x=(WIDTH - RIGHT) y=(HEIGHT - 4.0) text-anchor="end" { (x) }
            text.axis x="0" y="11" { (y) }
            (marks)
        }
    }
}

fn across(axis: &Axis, x: f64) -> f64 {
    LEFT + axis.position(x) * (WIDTH - LEFT - RIGHT)
}

fn down(axis: &Axis, y: f64) -> f64 {
    HEIGHT - BOTTOM - axis.position(y) * (HEIGHT - TOP - BOTTOM)
}

/// A dot with a line of text for who points at it.
fn dot(x: f64, y: f64, strong: bool, title: &str) -> Markup {
    let (class, radius) = if strong { ("dot s1", "4") } else { ("dot s5", "3") };
    html! { circle class=(class) cx=(at(x)) cy=(at(y)) r=(radius) { title { (title) } } }
}

fn history(report: &StudyReport) -> Option<Section> {
    let (name, direction) = first(report);
    let points: Vec<(f64, f64)> =
        report.trials.iter().filter_map(|trial| Some((trial.number as f64, of(trial, name)?))).collect();
    let xs = Axis::over(points.iter().map(|point| point.0), 8)?;
    let ys = Axis::over(points.iter().map(|point| point.1), 5)?;
    let mut best: Vec<(f64, f64)> = Vec::new();
    for &(number, value) in &points {
        match best.last().copied() {
            Some((_, so_far)) if direction.loss(value) >= direction.loss(so_far) => best.push((number, so_far)),
            before => {
                // A step, not a slope: nothing was known between two trials.
                best.extend(before.map(|(_, so_far)| (number, so_far)));
                best.push((number, value));
            }
        }
    }
    let line: Vec<String> =
        best.iter().map(|(x, y)| format!("{},{}", at(across(&xs, *x)), at(down(&ys, *y)))).collect();
    let last = best.last().map_or(f64::NAN, |point| point.1);
    let label = format!("{name} of {} trials; the best so far ends at {}.", points.len(), value(name, last));
    let marks = html! {
        polyline.line.s1 points=(line.join(" ")) {}
        @for &(number, own) in &points {
            (dot(across(&xs, number), down(&ys, own), own == last, &format!("trial {number}: {}", value(name, own))))
        }
    };
    let write = |tick: f64, is_x: bool| if is_x { xs.write(tick) } else { ys.write(tick) };
    Some(Section {
        anchor: "history",
        heading: "History",
        about: "Each complete trial, and the best one so far.",
        content: html! { figure {
            figcaption { (quantity::words(name)) " by trial" }
            (plot(&label, ("trial", ""), &xs, &ys, &write, marks))
        } },
    })
}

fn trade_off(report: &StudyReport) -> Option<Section> {
    let [left, right] = &report.objectives[..] else { return None };
    let points: Vec<(&TrialFacts, f64, f64)> =
        report.trials.iter().filter_map(|trial| Some((trial, of(trial, right.name)?, of(trial, left.name)?))).collect();
    let xs = Axis::over(points.iter().map(|point| point.1), 6)?;
    let ys = Axis::over(points.iter().map(|point| point.2), 5)?;
    let on_front = |trial: &TrialFacts| report.pareto.contains(&trial.number);
    let mut front: Vec<(f64, f64)> =
        points.iter().filter(|point| on_front(point.0)).map(|point| (point.1, point.2)).collect();
    front.sort_by(|a, b| a.0.total_cmp(&b.0));
    let line: Vec<String> =
        front.iter().map(|(x, y)| format!("{},{}", at(across(&xs, *x)), at(down(&ys, *y)))).collect();
    let marks = html! {
        polyline.line.s1 points=(line.join(" ")) {}
        @for (trial, x, y) in &points {
            (dot(across(&xs, *x), down(&ys, *y), on_front(trial),
                &format!("trial {}: {}, {}", trial.number, value(left.name, *y), value(right.name, *x))))
        }
    };
    let label =
        format!("{} against {}: {} of {} trials are on the front.", left.name, right.name, front.len(), points.len());
    let write = |tick: f64, is_x: bool| match (is_x, right.name) {
        (true, "size" | "latency") => value(right.name, tick),
        (true, _) => xs.write(tick),
        (false, _) if matches!(left.name, "size" | "latency") => value(left.name, tick),
        (false, _) => ys.write(tick),
    };
    let (x, y) = (quantity::words(right.name), quantity::words(left.name));
    Some(Section {
        anchor: "trade-off",
        heading: "Trade-off",
        about: "No other trial beats those on the line in both objectives.",
        content: html! { figure { figcaption { (y) " against " (x) } (plot(&label, (&x, &y), &xs, &ys, &write, marks)) } },
    })
}

fn importances(report: &StudyReport) -> Option<Section> {
    (!report.importances.is_empty()).then(|| Section {
        anchor: "importance",
        heading: "What mattered",
        about: "The share of the variance of the first objective that each setting explains by itself.",
        content: html! { div.scroll { table.classes {
            thead { tr { th scope="col" { "Setting" } th scope="col" { "share" } } }
            tbody { @for (key, share) in report.by_importance() { tr {
                th scope="row" { code { (key) } }
                td.spread { span.bar style={ "--w:" (format!("{:.1}%", 100.0 * share)) } {} span { (format!("{:.0}", 100.0 * share)) "\u{a0}%" } }
            } } }
        } } },
    })
}

/// Parallel coordinates: one axis for each setting and one for the first objective, one line for each trial.
fn together(report: &StudyReport) -> Option<Section> {
    let (name, direction) = first(report);
    let order = report.space.order().ok()?;
    let ranked = report.ranked();
    let drawn: Vec<&TrialFacts> =
        ranked.into_iter().filter(|trial| of(trial, name).is_some()).take(MOST_LINES).collect();
    let losses = || drawn.iter().filter_map(|trial| of(trial, name));
    let (low, high) =
        losses().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), own| (low.min(own), high.max(own)));
    if drawn.len() < 2 || order.is_empty() {
        return None;
    }
    let unit = |own: f64| if high > low { (own - low) / (high - low) } else { 0.5 };
    let (top, bottom) = (TOP + 12.0, HEIGHT - BOTTOM);
    let place = |index: usize| 60.0 + (WIDTH - 120.0) * index as f64 / order.len() as f64;
    let height = |unit: f64| bottom - unit * (bottom - top);
    let strong = drawn.len().div_ceil(5);
    let line = |trial: &TrialFacts| -> Option<String> {
        let coordinates = report.space.coordinates(&trial.point).ok()?;
        // Where a setting does not apply the line has a gap in its axis: it goes straight on to the next one.
        let mut points: Vec<(usize, f64)> =
            coordinates.into_iter().enumerate().filter_map(|(index, unit)| Some((index, unit?))).collect();
        points.push((order.len(), unit(of(trial, name)?)));
        Some(
            points
                .iter()
                .map(|(index, unit)| format!("{},{}", at(place(*index)), at(height(*unit))))
                .collect::<Vec<_>>()
                .join(" "),
        )
    };
    let ends = |key: &str| {
        let domain = &report.space.dimensions[key].domain;
        (shown_setting(&domain.from_unit(0.0)), shown_setting(&domain.from_unit(1.0)))
    };
    let short = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    let better = if direction == Direction::Maximize { "the higher the better" } else { "the lower the better" };
    let label = format!("The settings of {} trials and their {name}; the best fifth stands out.", drawn.len());
    Some(Section {
        anchor: "together",
        heading: "How settings go together",
        about: "One line for each complete trial, from setting to setting to its value; the best fifth stands out.",
        content: html! { figure {
            figcaption { "Settings and " (quantity::words(name)) ", " (better) }
            svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(label) {
                @for trial in drawn.iter().skip(strong).rev() {
                    @if let Some(points) = line(trial) { polyline.line.s5 opacity="0.35" points=(points) { title { "trial " (trial.number) } } }
                }
                @for trial in drawn.iter().take(strong).rev() {
                    @if let Some(points) = line(trial) { polyline.line.s1 points=(points) { title { "trial " (trial.number) } } }
                }
                @for (index, key) in order.iter().enumerate() {
                    @let (least, most) = ends(key);
                    line.grid x1=(at(place(index))) x2=(at(place(index))) y1=(at(top)) y2=(at(bottom)) {}
                    text.axis x=(at(place(index))) y=(if index % 2 == 0 { "10" } else { "22" }) text-anchor="middle" { (short(key)) title { (key) } }
                    text.tick x=(at(place(index) + 5.0)) y=(at(top + 9.0)) { (most) }
                    text.tick x=(at(place(index) + 5.0)) y=(at(bottom)) { (least) }
                }
                line.grid x1=(at(place(order.len()))) x2=(at(place(order.len()))) y1=(at(top)) y2=(at(bottom)) {}
                text.axis x=(at(place(order.len()))) y="10" text-anchor="middle" { (quantity::words(name)) }
                text.tick x=(at(place(order.len()) + 5.0)) y=(at(top + 9.0)) { (value(name, high)) }
                text.tick x=(at(place(order.len()) + 5.0)) y=(at(bottom)) { (value(name, low)) }
            }
        } },
    })
}

fn trials(report: &StudyReport) -> Section {
    let keys: Vec<&String> = report.space.dimensions.keys().collect();
    let best = report.best.as_ref().map(|best| best.number);
    Section {
        anchor: "trials",
        heading: "Trials",
        about: "All of them, in the order of their numbers. Values are of the validation split.",
        content: html! {
            @if let Some(best) = &report.best {
                p { "The best one, to its end:" }
                div.scroll tabindex="0" role="region" aria-label="The command of the best trial" { pre { (best.command) } }
            }
            div.scroll tabindex="0" role="region" aria-label="Trials" { table {
                thead { tr {
                    th scope="col" { "Trial" } th scope="col" { "state" }
                    @for objective in &report.objectives { th.number scope="col" { (quantity::words(objective.name)) } }
                    @for key in &keys { th.number scope="col" { code { (key) } } }
                    th.number scope="col" { "epoch" } th.number scope="col" { "time" }
                } }
                tbody { @for trial in &report.trials { tr {
                    th scope="row" { (trial.number) @if best == Some(trial.number) { " " span.badge.accent { "best" } } }
                    td { (state(trial)) }
                    @for objective in &report.objectives { td.number { (trial.values.get(objective.name).map_or_else(|| "–".to_owned(), |own| value(objective.name, *own))) } }
                    @for key in &keys { td.number { (trial.point.get(*key).map_or_else(|| "–".to_owned(), shown_setting)) } }
                    td.number { (trial.epoch.or_else(|| trial.steps.last().map(|step| step.0)).map_or_else(|| "–".to_owned(), |epoch| epoch.to_string())) }
                    td.number { (quantity::seconds(trial.seconds)) }
                } } }
            } }
        },
    }
}

fn state(trial: &TrialFacts) -> Markup {
    html! {
        @match trial.state {
            State::Complete => "complete",
            State::Pruned => "pruned",
            State::Running => "running",
            State::Failed => {
                span.bad { "failed" }
                @if let Some(error) = &trial.error { span.summary { bdi { (error.message) } } }
            }
        }
    }
}

fn origin(report: &StudyReport, created: &str) -> Section {
    let environment = &report.environment;
    let objectives: Vec<String> = report
        .objectives
        .iter()
        .map(|objective| {
            format!("{} {}", if objective.direction == Direction::Maximize { "high" } else { "low" }, objective.name)
        })
        .collect();
    let rows = [
        ("study", report.study.to_string()),
        ("dataset", format!("{} sha256:{}", report.dataset, report.sha256)),
        ("split", report.split.to_owned()),
        ("objectives", objectives.join(", ")),
        ("seed", report.seed.0.to_string()),
        ("command", report.command.clone()),
        ("made", created.to_owned()),
        ("lepton", environment.lepton.clone()),
        ("processor", environment.processor.clone()),
        ("system", environment.system.clone()),
    ];
    Section::origin("Enough to make the study again. A study of other data, settings or seed has another name.", &rows)
}
