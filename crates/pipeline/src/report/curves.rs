//! Line charts as inline SVG: axes with round ticks, one dash pattern per line so that colour is never the
//! only difference, and the numbers themselves in the chart's description.

use lepton_core::Series;
use maud::{Markup, html};
use std::fmt::Write as _;

/// The drawing's own units; the page scales it to the column's width.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 38.0;

/// Line styles of the style sheet: the training line is dashed, the one after it is not.
const STYLES: usize = 6;
pub(super) const DASHED: usize = 0;
pub(super) const SOLID: usize = 1;

/// A chart to draw.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    pub(super) x: &'a str,
    pub(super) y: &'a str,
    pub(super) series: &'a [Series],
    /// A vertical line at this x with a word beside it.
    pub(super) mark: Option<(f64, &'a str)>,
    /// How the last value of each line is written in the legend, where it says something.
    pub(super) write: Option<fn(f64) -> String>,
    /// Which style the first line has; the lines after it take the next ones.
    pub(super) first_style: usize,
}

/// The chart as a figure with heading, legend and drawing.
pub(super) fn draw(chart: &Chart<'_>) -> Markup {
    let finite = |point: &&[f64; 2]| point[0].is_finite() && point[1].is_finite();
    let points = || chart.series.iter().flat_map(|series| series.points.iter().filter(finite));
    let (Some(xs), Some(ys)) = (Axis::over(points().map(|p| p[0]), 7), Axis::over(points().map(|p| p[1]), 5)) else {
        return html! { figure.chart { figcaption { (chart.title) } p.muted { "No points to draw." } } };
    };
    let across = |x: f64| LEFT + xs.position(x) * (WIDTH - LEFT - RIGHT);
    let down = |y: f64| HEIGHT - BOTTOM - ys.position(y) * (HEIGHT - TOP - BOTTOM);
    let style = |index: usize| (chart.first_style + index) % STYLES;
    let last = |series: &Series| series.points.iter().rfind(finite).and_then(|point| Some(chart.write?(point[1])));
    html! {
        figure.chart {
            figcaption { (chart.title) }
            ul.legend {
                @for (index, series) in chart.series.iter().enumerate() {
                    li {
                        svg.sample viewBox="0 0 28 10" aria-hidden="true" { line class={ "line s" (style(index)) } x1="0" y1="5" x2="28" y2="5" {} }
                        (series.name)
                        @if let Some(value) = last(series) { " " b { (value) } }
                    }
                }
            }
            svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(describe(chart)) {
                @for tick in xs.ticks() {
                    text.tick x=(at(across(tick))) y=(at(HEIGHT - BOTTOM + 16.0)) text-anchor="middle" { (xs.write(tick)) }
                }
                @for tick in ys.ticks() {
                    line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(at(down(tick))) y2=(at(down(tick))) {}
                    text.tick x=(LEFT - 7.0) y=(at(down(tick) + 4.0)) text-anchor="end" { (ys.write(tick)) }
                }
                text.axis x=(WIDTH - RIGHT) y=(HEIGHT - 4.0) text-anchor="end" { (chart.x) }
                text.axis x="0" y="11" { (chart.y) }
                @if let Some((x, word)) = chart.mark {
                    line.mark x1=(at(across(x))) x2=(at(across(x))) y1=(TOP) y2=(HEIGHT - BOTTOM) {}
                    @if across(x) > WIDTH / 2.0 {
                        text.marked x=(at(across(x) - 5.0)) y=(at((HEIGHT - BOTTOM + TOP) / 2.0)) text-anchor="end" { (word) }
                    } @else {
                        text.marked x=(at(across(x) + 5.0)) y=(at((HEIGHT - BOTTOM + TOP) / 2.0)) { (word) }
                    }
                }
                @for (index, series) in chart.series.iter().enumerate() {
                    polyline class={ "line s" (style(index)) } points=(path(series.points.iter().filter(finite), &across, &down)) {}
                    @if series.points.len() <= 40 {
                        @for point in series.points.iter().filter(finite) {
                            circle class={ "dot s" (style(index)) } cx=(at(across(point[0]))) cy=(at(down(point[1]))) r="3" {}
                        }
                    }
                }
            }
        }
    }
}

fn path<'a>(
    points: impl Iterator<Item = &'a [f64; 2]>,
    across: &dyn Fn(f64) -> f64,
    down: &dyn Fn(f64) -> f64,
) -> String {
    points.map(|point| format!("{},{}", at(across(point[0])), at(down(point[1])))).collect::<Vec<_>>().join(" ")
}

/// A coordinate with two decimals: finer than a pixel, and the same text on every machine.
pub(super) fn at(value: f64) -> String {
    format!("{value:.2}")
}

/// What the drawing says, for those who do not see it: each line's first and last value.
fn describe(chart: &Chart<'_>) -> String {
    let mut text = format!("{}: {} against {}.", chart.title, chart.y, chart.x);
    for series in chart.series {
        let write = chart.write.unwrap_or(|value| format!("{value:.4}"));
        if let (Some(first), Some(last)) = (series.points.first(), series.points.last()) {
            let _ = write!(text, " {} goes from {} to {}.", series.name, write(first[1]), write(last[1]));
        }
    }
    text
}

/// A scale with round ticks (1, 2 or 5 times a power of ten).
pub(super) struct Axis {
    low: f64,
    high: f64,
    step: f64,
    decimals: usize,
}

impl Axis {
    /// An axis over `values` with about `wanted` ticks; `None` without values.
    pub(super) fn over(values: impl Iterator<Item = f64>, wanted: usize) -> Option<Axis> {
        let (mut low, mut high, mut whole) = (f64::INFINITY, f64::NEG_INFINITY, true);
        for value in values {
            (low, high, whole) = (low.min(value), high.max(value), whole && value.fract() == 0.0);
        }
        if low > high {
            return None;
        }
        // One value only: a band around it, so that the point stands in the middle.
        let (low, high) = if high - low < 1e-12 { (low - 0.5, high + 0.5) } else { (low, high) };
        let power = 10f64.powf(((high - low) / wanted as f64).log10().floor());
        let off = |step: f64| ((high - low) / step - wanted as f64).abs();
        // Between whole numbers (epochs) there is nothing to mark.
        let steps =
            [1.0, 2.0, 5.0, 10.0].map(|multiple| multiple * power).into_iter().filter(|step| !whole || *step >= 1.0);
        let step = steps.min_by(|a, b| off(*a).total_cmp(&off(*b))).unwrap_or(1.0);
        let decimals = (-step.log10().floor()).clamp(0.0, 8.0) as usize;
        Some(Axis { low, high, step, decimals })
    }

    /// Where a value lies, 0 to 1. A small margin keeps dots off the frame.
    pub(super) fn position(&self, value: f64) -> f64 {
        0.03 + 0.94 * (value - self.low) / (self.high - self.low)
    }

    pub(super) fn ticks(&self) -> Vec<f64> {
        let first = (self.low / self.step).ceil() as i64;
        let last = (self.high / self.step + 1e-9).floor() as i64;
        (first..=last).map(|index| index as f64 * self.step).collect()
    }

    pub(super) fn write(&self, value: f64) -> String {
        format!("{value:.*}", self.decimals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(values: &[f64], wanted: usize) -> Vec<String> {
        let axis = Axis::over(values.iter().copied(), wanted).unwrap();
        axis.ticks().into_iter().map(|tick| axis.write(tick)).collect()
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(&[1.0, 5.0], 7), ["1", "2", "3", "4", "5"]);
        assert_eq!(ticks(&[0.931, 0.987], 5), ["0.94", "0.95", "0.96", "0.97", "0.98"]);
        assert_eq!(ticks(&[1.0, 30.0], 7), ["5", "10", "15", "20", "25", "30"]);
        assert_eq!(ticks(&[46.0, 99.3], 5), ["50", "60", "70", "80", "90"]);
        assert_eq!(ticks(&[3.5], 5), ["3.0", "3.2", "3.4", "3.6", "3.8", "4.0"]);
        assert!(Axis::over(std::iter::empty(), 5).is_none());
    }

    #[test]
    fn a_chart_without_points_says_so() {
        let series = [Series { name: "loss".into(), points: vec![[1.0, f64::NAN]] }];
        let chart = Chart { title: "t", x: "x", y: "y", series: &series, mark: None, write: None, first_style: SOLID };
        assert!(draw(&chart).into_string().contains("No points to draw"));
    }
}
