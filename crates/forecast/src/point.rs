//! Metrics of point forecasts, in the unit of the data or without one. Slices of unequal length are compared as far as
//! both go; without a value to compare every mean is NaN.

/// The mean absolute error.
pub fn mae(truth: &[f64], forecast: &[f64]) -> f64 {
    mean(truth.iter().zip(forecast).map(|(truth, forecast)| (truth - forecast).abs()))
}

/// The root of the mean squared error.
pub fn rmse(truth: &[f64], forecast: &[f64]) -> f64 {
    mean(truth.iter().zip(forecast).map(|(truth, forecast)| (truth - forecast).powi(2))).sqrt()
}

/// The symmetric mean absolute percentage error, the mean of `2 |y - f| / (|y| + |f|)`, 0 to 2 (sktime's
/// `MeanAbsolutePercentageError(symmetric=True)`; the M4 competition writes it times 100). Where both are 0 there is no
/// error.
pub fn smape(truth: &[f64], forecast: &[f64]) -> f64 {
    mean(truth.iter().zip(forecast).map(|(truth, forecast)| match truth.abs() + forecast.abs() {
        size if size > 0.0 => 2.0 * (truth - forecast).abs() / size,
        _ => 0.0,
    }))
}

/// The scale of the mean absolute scaled error: the mean absolute error that the seasonal naive forecast makes inside
/// `history` (Hyndman and Koehler 2006). `None` where the history is no longer than a season.
pub fn seasonal_scale(history: &[f64], season: usize) -> Option<f64> {
    let later = history.get(season.max(1)..).filter(|later| !later.is_empty())?;
    Some(mae(later, history))
}

/// An error over its scale. Without an error it is 0, whatever the scale; an error over a scale of 0 is infinite.
pub fn scaled(error: f64, scale: f64) -> f64 {
    if error == 0.0 { 0.0 } else { error / scale }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0u64);
    values.for_each(|value| {
        sum += value;
        count += 1;
    });
    sum / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_needs_more_than_a_season() {
        assert_eq!(seasonal_scale(&[1.0, 2.0, 4.0, 8.0], 2), Some(4.5));
        assert_eq!(seasonal_scale(&[1.0, 2.0], 2), None);
        assert_eq!(seasonal_scale(&[1.0, 3.0, 2.0], 0), seasonal_scale(&[1.0, 3.0, 2.0], 1));
    }

    #[test]
    fn edges_have_a_value() {
        assert_eq!(smape(&[0.0, 1.0], &[0.0, -1.0]), 1.0);
        assert_eq!((scaled(0.0, 0.0), scaled(1.0, 0.0)), (0.0, f64::INFINITY));
        assert!(mae(&[], &[]).is_nan());
    }
}
