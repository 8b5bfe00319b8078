//! Keep INT8 or not: it must cost no more accuracy than the budget and be faster here, at one row and at eight.

use crate::OptimizeSettings;
use lepton_core::{Error, ErrorCode, Int8Verdict, Measurement, Metric, Result};

/// Rounding of a difference of two fractions.
const EPSILON: f64 = 1e-12;

/// The verdict on two measurements that `engine` (name and version) made, with its reason in one sentence.
///
/// # Errors
/// [`ErrorCode::Config`] for settings that cannot be meant; [`ErrorCode::Unsupported`] when there is no accuracy
/// to compare.
pub fn decide(
    settings: &OptimizeSettings,
    float32: Measurement,
    int8: Measurement,
    engine: &str,
) -> Result<Int8Verdict> {
    settings.validate()?;
    let (metric, before, after) = scores(&float32, &int8)?;
    let (budget, wanted) = (settings.accuracy_budget, settings.min_speedup);
    let lost = if metric.higher_is_better() { before - after } else { after / before - 1.0 };
    let one = float32.seconds_batch_1 / int8.seconds_batch_1;
    let eight = float32.seconds_batch_8 / int8.seconds_batch_8;
    // Written so that a NaN refuses.
    let accurate = lost <= budget + EPSILON;
    let faster = one >= wanted && eight >= wanted;
    let change = format!("{metric} {before:.4} -> {after:.4} (a loss of up to {budget} is allowed)");
    let speed = format!("{one:.2}x as fast at one row and {eight:.2}x at eight ({wanted}x at both is asked)");
    let size = format!("{:.2} of the size", int8.bytes as f64 / float32.bytes as f64);
    let reason = match (accurate, faster) {
        (true, true) => format!("INT8 is kept: {change}, {speed}, {size}"),
        (false, true) => format!("INT8 is refused for its {metric}: {change}; it would be {speed}"),
        (true, false) => format!("INT8 is refused for its speed: {speed}; {change}"),
        (false, false) => format!("INT8 is refused for {metric} and speed: {change}; {speed}"),
    };
    Ok(Int8Verdict {
        kept: accurate && faster,
        reason,
        engine: engine.to_owned(),
        accuracy_budget: budget,
        float32,
        int8,
    })
}

/// The metric that decides: accuracy, or of numbers the share of the variance that is explained, both 1 at best; of
/// forecasts the scaled error, of which the loss is the share by which it grows.
fn scores(float32: &Measurement, int8: &Measurement) -> Result<(Metric, f64, f64)> {
    let of = |metric: Metric| {
        let value = |measurement: &Measurement| measurement.metrics.get(metric.name()).copied();
        Some((metric, value(float32)?, value(int8)?))
    };
    [Metric::Accuracy, Metric::R2, Metric::Mase].into_iter().find_map(of).ok_or_else(|| {
        Error::new(ErrorCode::Unsupported, "the task has no accuracy that INT8 could be judged by")
            .fix("set optimize.int8 = false")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::Metrics;

    fn measured(accuracy: f64, one: f64, eight: f64, bytes: u64) -> Measurement {
        let metrics = Metrics::from([("accuracy".to_owned(), accuracy)]);
        Measurement { bytes, seconds_batch_1: one, seconds_batch_8: eight, metrics }
    }

    fn verdict(int8: Measurement) -> Int8Verdict {
        decide(&OptimizeSettings::default(), measured(0.985, 1e-3, 8e-3, 400), int8, "rten 0.27.0").unwrap()
    }

    #[test]
    fn kept_within_the_budget_and_faster() {
        // The loss is the whole budget, which 0.985 - 0.980 passes only with care for rounding.
        let verdict = verdict(measured(0.98, 0.5e-3, 4e-3, 100));
        assert!(verdict.kept);
        assert_eq!(
            verdict.reason,
            "INT8 is kept: accuracy 0.9850 -> 0.9800 (a loss of up to 0.005 is allowed), 2.00x as fast at one row and \
             2.00x at eight (1.05x at both is asked), 0.25 of the size"
        );
    }

    #[test]
    fn refused_for_its_accuracy() {
        let verdict = verdict(measured(0.9799, 0.5e-3, 4e-3, 100));
        assert!(
            !verdict.kept && verdict.reason.starts_with("INT8 is refused for its accuracy: accuracy 0.9850 -> 0.9799")
        );
    }

    #[test]
    fn refused_for_its_speed_at_either_size() {
        for (one, eight) in [(0.5e-3, 11e-3), (1e-3, 4e-3), (0.5e-3, 7.9e-3)] {
            let verdict = verdict(measured(0.99, one, eight, 100));
            assert!(!verdict.kept && verdict.reason.starts_with("INT8 is refused for its speed"), "{}", verdict.reason);
        }
    }

    #[test]
    fn refused_for_both_and_for_numbers_that_are_none() {
        assert!(verdict(measured(0.5, 2e-3, 9e-3, 100)).reason.starts_with("INT8 is refused for accuracy and speed"));
        assert!(!verdict(measured(f64::NAN, 0.5e-3, 4e-3, 100)).kept);
        assert!(!verdict(measured(0.99, f64::NAN, 4e-3, 100)).kept);
    }

    #[test]
    fn a_scaled_error_may_grow_by_the_budget() {
        let forecast = |mase: f64, seconds: f64| Measurement {
            metrics: Metrics::from([("mase".to_owned(), mase)]),
            ..measured(0.0, seconds, seconds, 50)
        };
        let verdict =
            |after| decide(&OptimizeSettings::default(), forecast(2.0, 1.0), forecast(after, 0.4), "x").unwrap();
        let budget = OptimizeSettings::default().accuracy_budget;
        assert!(verdict(2.0 * (1.0 + 0.9 * budget)).kept && verdict(1.5).kept);
        assert!(!verdict(2.0 * (1.0 + 1.1 * budget)).kept);
    }

    #[test]
    fn without_accuracy_there_is_no_verdict() {
        let mut blind = measured(0.9, 1e-3, 1e-3, 1);
        blind.metrics.clear();
        let error = decide(&OptimizeSettings::default(), measured(0.9, 1.0, 1.0, 1), blind, "x").unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unsupported);
    }
}
