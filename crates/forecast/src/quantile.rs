//! Metrics of quantile forecasts. A forecast is `[values * levels]`, the levels of a value side by side, ascending.

/// The mean over values and levels of `max(q e, (q - 1) e)` with `e = truth - forecast` (scikit-learn's
/// `mean_pinball_loss`, averaged over the levels).
pub fn pinball(truth: &[f64], forecast: &[f64], levels: &[f64]) -> f64 {
    total(truth, forecast, levels) / (truth.len() * levels.len()) as f64
}

/// Twice the pinball loss summed over all values, over the sum of their sizes, averaged over the levels (GluonTS's
/// `mean_weighted_quantile_loss`).
pub fn weighted_quantile_loss(truth: &[f64], forecast: &[f64], levels: &[f64]) -> f64 {
    let size: f64 = truth.iter().map(|truth| truth.abs()).sum();
    2.0 * total(truth, forecast, levels) / (size * levels.len() as f64)
}

/// The share of values from the lowest to the highest level, both included.
pub fn coverage(truth: &[f64], forecast: &[f64], levels: usize) -> f64 {
    let inside = truth.iter().zip(forecast.chunks_exact(levels.max(1)));
    let inside = inside.filter(|(truth, all)| **truth >= all[0] && **truth <= all[all.len() - 1]).count();
    inside as f64 / truth.len() as f64
}

/// The mean distance from the lowest to the highest level.
pub fn interval_width(forecast: &[f64], levels: usize) -> f64 {
    let widths = forecast.chunks_exact(levels.max(1)).map(|all| all[all.len() - 1] - all[0]);
    widths.sum::<f64>() / (forecast.len() / levels.max(1)) as f64
}

fn total(truth: &[f64], forecast: &[f64], levels: &[f64]) -> f64 {
    let values = truth.iter().zip(forecast.chunks_exact(levels.len().max(1)));
    let of = |(truth, all): (&f64, &[f64])| -> f64 {
        let loss = |(level, forecast): (&f64, &f64)| {
            let error = truth - forecast;
            (level * error).max((level - 1.0) * error)
        };
        levels.iter().zip(all).map(loss).sum()
    };
    values.map(of).sum()
}
