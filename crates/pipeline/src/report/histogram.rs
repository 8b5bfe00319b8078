//! A histogram as inline SVG: bars, the ends and the median, with the numbers in its description.

use lepton_core::thousands;
use lepton_doctor::profile::{NumberView, short_number};
use maud::{Markup, html};

/// The drawing's own units; the page scales it to the card's width.
const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 104.0;
const FLOOR: f64 = 82.0;
const GAP: f64 = 1.5;

/// Bars lower than this would not be seen.
const LEAST: f64 = 1.5;

/// Of a column's numbers. A column with one value has one bar, which says nothing and is left out.
pub(super) fn draw(name: &str, numbers: &NumberView) -> Markup {
    let counts = &numbers.histogram.counts;
    let most = counts.iter().copied().max().unwrap_or(0);
    let [low, .., high] = numbers.quantiles;
    let (median, span) = (numbers.quantiles[3], high - low);
    if counts.len() < 2 || most == 0 || !span.is_finite() || span <= 0.0 {
        return html! { p.muted { "One value: " (short_number(low)) } };
    }
    let step = WIDTH / counts.len() as f64;
    let middle = ((median - low) / span * WIDTH).clamp(0.0, WIDTH);
    let said = format!(
        "Histogram of {name}: from {} to {}, median {}, fullest bar {} rows.",
        short_number(low),
        short_number(high),
        short_number(median),
        thousands(most)
    );
    html! {
        svg.histogram viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(said) {
            @for (place, count) in counts.iter().enumerate() {
                @if *count > 0 {
                    @let height = (*count as f64 / most as f64 * (FLOOR - 8.0)).max(LEAST);
                    rect x=(at(place as f64 * step + GAP / 2.0)) y=(at(FLOOR - height)) width=(at(step - GAP)) height=(at(height)) rx="1" {
                        title { (short_number(numbers.histogram.edges[place])) " to " (short_number(numbers.histogram.edges[place + 1])) ": " (thousands(*count)) }
                    }
                }
            }
            line.floor x1="0" x2=(WIDTH) y1=(FLOOR) y2=(FLOOR) {}
            line.median x1=(at(middle)) x2=(at(middle)) y1="2" y2=(FLOOR) {}
            text x="0" y=(HEIGHT - 6.0) { (short_number(low)) }
            text x=(WIDTH) y=(HEIGHT - 6.0) text-anchor="end" { (short_number(high)) }
            // Between the ends there is room for the median only where it is away from both.
            @if middle > WIDTH * 0.3 && middle < WIDTH * 0.7 {
                text.middle x=(at(middle)) y=(HEIGHT - 6.0) text-anchor="middle" { "median " (short_number(median)) }
            }
        }
    }
}

/// A coordinate with two decimals: finer than a pixel, and the same text on every machine.
fn at(value: f64) -> String {
    format!("{value:.2}")
}
