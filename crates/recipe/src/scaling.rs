//! What a number becomes once it is there: shifted and scaled, through a logarithm or a power first, or the bin that
//! it falls into. Formulas are those of scikit-learn's scalers, `PowerTransformer` and `KBinsDiscretizer`.

use crate::settings::NumberNormalize;
use crate::statistics::{median, minimum, quantile, standard};
use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// Bins that one column may ask for.
const MAX_BINS: usize = 1_000;

/// A fitted scaling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Scaling {
    /// `(value - offset) / scale`.
    Linear { offset: f64, scale: f64 },
    /// `(log(1 + value) - offset) / scale`.
    Log1p { offset: f64, scale: f64 },
    /// `(yeo_johnson(value, lambda) - offset) / scale`.
    YeoJohnson { lambda: f64, offset: f64, scale: f64 },
    /// The place among ascending inner edges; a value on an edge is above it.
    Bins { edges: Vec<f64>, one_hot: bool },
}

impl Scaling {
    pub(crate) fn fit(how: NumberNormalize, column: &str, values: &[f64]) -> Result<Scaling> {
        let linear = |(offset, scale): (f64, f64)| Scaling::Linear { offset, scale };
        let sorted = || {
            let mut sorted = values.to_vec();
            sorted.sort_unstable_by(f64::total_cmp);
            sorted
        };
        Ok(match how {
            NumberNormalize::None => linear((0.0, 1.0)),
            NumberNormalize::Standardize => linear(standard(values)),
            NumberNormalize::MinMax => {
                let low = values.iter().copied().fold(f64::INFINITY, f64::min);
                let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                linear((low, usable(high - low)))
            }
            NumberNormalize::Robust => {
                let mut sorted = sorted();
                let spread = quantile(&sorted, 0.75) - quantile(&sorted, 0.25);
                linear((median(&mut sorted), usable(spread)))
            }
            NumberNormalize::Log1p => {
                let logs = values.iter().map(|value| logarithm(*value)).collect::<std::result::Result<Vec<_>, _>>();
                let logs = logs.map_err(|message| {
                    Error::new(ErrorCode::BadData, message).at_column(column).fix("use \"yeo_johnson\" for such values")
                })?;
                let (offset, scale) = standard(&logs);
                Scaling::Log1p { offset, scale }
            }
            NumberNormalize::YeoJohnson => {
                let lambda = most_normal(values);
                let (offset, scale) = standard(&values.iter().map(|v| yeo_johnson(*v, lambda)).collect::<Vec<_>>());
                Scaling::YeoJohnson { lambda, offset, scale }
            }
            NumberNormalize::Bins(count) => bins(column, count, &sorted(), true)?,
            NumberNormalize::OrdinalBins(count) => bins(column, count, &sorted(), false)?,
        })
    }

    /// Whether the numbers can have come from a fit.
    pub(crate) fn is_usable(&self) -> bool {
        let scales = |offset: f64, scale: f64| offset.is_finite() && scale.is_finite() && scale > 0.0;
        match self {
            Scaling::Linear { offset, scale } | Scaling::Log1p { offset, scale } => scales(*offset, *scale),
            Scaling::YeoJohnson { lambda, offset, scale } => lambda.is_finite() && scales(*offset, *scale),
            Scaling::Bins { edges, .. } => {
                edges.len() < MAX_BINS
                    && edges.iter().all(|edge| edge.is_finite())
                    && edges.windows(2).all(|pair| pair[0] < pair[1])
            }
        }
    }

    pub(crate) fn width(&self) -> usize {
        match self {
            Scaling::Bins { edges, one_hot: true } => edges.len() + 1,
            _ => 1,
        }
    }

    pub(crate) fn feature_names(&self, column: &str) -> Vec<String> {
        match self {
            Scaling::Bins { edges, one_hot: true } => (0..=edges.len())
                .map(|place| match (place.checked_sub(1).map(|below| edges[below]), edges.get(place)) {
                    (None, None) => column.to_owned(),
                    (None, Some(high)) => format!("{column} < {high}"),
                    (Some(low), None) => format!("{column} >= {low}"),
                    (Some(low), Some(high)) => format!("{low} <= {column} < {high}"),
                })
                .collect(),
            _ => vec![column.to_owned()],
        }
    }

    /// The features of a value; the message says why there are none.
    pub(crate) fn write(&self, value: f64, features: &mut [f32]) -> std::result::Result<(), String> {
        let scaled = match self {
            Scaling::Linear { offset, scale } => (value - offset) / scale,
            Scaling::Log1p { offset, scale } => (logarithm(value)? - offset) / scale,
            Scaling::YeoJohnson { lambda, offset, scale } => (yeo_johnson(value, *lambda) - offset) / scale,
            Scaling::Bins { edges, one_hot } => {
                let place = edges.partition_point(|edge| *edge <= value);
                if *one_hot {
                    features[..=edges.len()].fill(0.0);
                    features[place] = 1.0;
                    return Ok(());
                }
                place as f64
            }
        };
        let scaled = scaled as f32;
        if !scaled.is_finite() {
            return Err(format!("{value} is out of float32's range once scaled"));
        }
        features[0] = scaled;
        Ok(())
    }
}

/// A width that can be divided by; one within rounding of none is 1.
fn usable(width: f64) -> f64 {
    if width < 10.0 * f64::EPSILON { 1.0 } else { width }
}

fn logarithm(value: f64) -> std::result::Result<f64, String> {
    if value > -1.0 { Ok(value.ln_1p()) } else { Err(format!("{value} has no logarithm of 1 + x")) }
}

/// Yeo and Johnson, "A new family of power transformations to improve normality or symmetry", Biometrika 87 (2000).
fn yeo_johnson(value: f64, lambda: f64) -> f64 {
    let power = |base: f64, exponent: f64| {
        if exponent.abs() < f64::EPSILON { base.ln_1p() } else { (exponent * base.ln_1p()).exp_m1() / exponent }
    };
    if value >= 0.0 { power(value, lambda) } else { -power(-value, 2.0 - lambda) }
}

/// The exponent of greatest likelihood: of a normal distribution with the transformed values' own mean and variance.
fn most_normal(values: &[f64]) -> f64 {
    let (low, high) = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
    if low >= high {
        return 1.0;
    }
    let count = values.len() as f64;
    let signed_logs: f64 = values.iter().map(|value| value.signum() * value.abs().ln_1p()).sum();
    let cost = |lambda: f64| {
        let transformed: Vec<f64> = values.iter().map(|value| yeo_johnson(*value, lambda)).collect();
        let mean = transformed.iter().sum::<f64>() / count;
        let variance = transformed.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        let cost = count / 2.0 * variance.ln() - (lambda - 1.0) * signed_logs;
        // An exponent that runs out of floats, or squeezes all values into one, is no candidate.
        if cost.is_finite() { cost } else { f64::MAX }
    };
    // A bracket around the least: the cost of a usual column falls towards it from both sides.
    let (mut left, mut right) = (-2.0, 2.0);
    let inside = |left: f64, right: f64| minimum(left, right, cost);
    let mut best = inside(left, right);
    while (best - left < 1e-3 || right - best < 1e-3) && right - left < 100.0 {
        (left, right) = (left * 2.0, right * 2.0);
        best = inside(left, right);
    }
    best
}

/// Inner edges so that every bin has equally many training values. Equal edges are one.
fn bins(column: &str, count: usize, sorted: &[f64], one_hot: bool) -> Result<Scaling> {
    if !(2..=MAX_BINS).contains(&count) {
        let message = format!("{count} bins: there must be 2 to {MAX_BINS}");
        return Err(Error::new(ErrorCode::Config, message).at_column(column));
    }
    let mut edges: Vec<f64> = Vec::with_capacity(count + 1);
    for edge in 0..=count {
        let edge = quantile(sorted, edge as f64 / count as f64);
        // As scikit-learn: a bin of no width is left out.
        if edges.last().is_none_or(|last| edge - last > 1e-8) {
            edges.push(edge);
        }
    }
    let inner = edges.get(1..edges.len().saturating_sub(1)).unwrap_or_default().to_vec();
    Ok(Scaling::Bins { edges: inner, one_hot })
}
