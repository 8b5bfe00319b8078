//! The forecasts that need no fitting (Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 5.2).

/// The last value, for each of `horizon` steps. Nothing comes of no values.
pub fn naive(values: &[f64], horizon: usize) -> Vec<f64> {
    values.last().map_or_else(Vec::new, |last| vec![*last; horizon])
}

/// The value of the same place in the last whole season. Nothing comes of fewer values than a season has, nor of a
/// season of 0.
pub fn seasonal_naive(values: &[f64], season: usize, horizon: usize) -> Vec<f64> {
    match values.len().checked_sub(season) {
        Some(start) if season > 0 => values[start..].iter().copied().cycle().take(horizon).collect(),
        _ => Vec::new(),
    }
}

/// The straight line through the first and the last value, gone on with. One value stays where it is.
pub fn drift(values: &[f64], horizon: usize) -> Vec<f64> {
    let (Some(first), Some(last)) = (values.first(), values.last()) else { return Vec::new() };
    let slope = (last - first) / (values.len() - 1).max(1) as f64;
    (1..=horizon).map(|step| last + slope * step as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_goes_on_in_its_way() {
        let values = [1.0, 5.0, 3.0, 7.0];
        assert_eq!(naive(&values, 2), [7.0, 7.0]);
        assert_eq!(seasonal_naive(&values, 3, 5), [5.0, 3.0, 7.0, 5.0, 3.0]);
        assert_eq!(seasonal_naive(&values, 1, 2), naive(&values, 2));
        assert_eq!(drift(&values, 2), [9.0, 11.0]);
        assert_eq!(drift(&[4.0], 2), [4.0, 4.0]);
    }

    #[test]
    fn nothing_comes_of_too_little() {
        assert!(naive(&[], 3).is_empty() && drift(&[], 3).is_empty());
        assert!(seasonal_naive(&[1.0, 2.0], 3, 3).is_empty() && seasonal_naive(&[1.0], 0, 3).is_empty());
    }
}
