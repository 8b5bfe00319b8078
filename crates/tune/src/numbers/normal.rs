//! The standard normal distribution, and its part between two bounds.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// The density at `x`.
pub(crate) fn density(x: f64) -> f64 {
    libm::exp(-0.5 * x * x) / (2.0 * PI).sqrt()
}

/// The probability of what is below `x`.
pub(crate) fn below(x: f64) -> f64 {
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
}

/// The probability of what is between `low` and `high`, without loss of digits in the upper tail.
pub(crate) fn between(low: f64, high: f64) -> f64 {
    if low > 0.0 { below(-low) - below(-high) } else { below(high) - below(low) }.max(0.0)
}

/// The logarithm of the density of a normal distribution with `mean` and `deviation` that is cut to 0..=1, at `x`
/// within. `mean` lies in 0..=1, so that the part within is never small.
pub(crate) fn log_density_in_unit(x: f64, mean: f64, deviation: f64) -> f64 {
    let z = (x - mean) / deviation;
    -0.5 * z * z
        - 0.5 * libm::log(2.0 * PI)
        - libm::log(deviation)
        - libm::log(between(-mean / deviation, (1.0 - mean) / deviation))
}

/// The logarithm of the probability that the same distribution gives to `low..high`.
pub(crate) fn log_mass_in_unit(low: f64, high: f64, mean: f64, deviation: f64) -> f64 {
    libm::log(between((low - mean) / deviation, (high - mean) / deviation))
        - libm::log(between(-mean / deviation, (1.0 - mean) / deviation))
}

/// The value below which the same distribution has the share `quantile` of its mass, by bisection.
pub(crate) fn quantile_in_unit(quantile: f64, mean: f64, deviation: f64) -> f64 {
    let start = below(-mean / deviation);
    let target = start + quantile * (below((1.0 - mean) / deviation) - start);
    let (mut low, mut high) = (0.0f64, 1.0f64);
    for _ in 0..52 {
        let middle = 0.5 * (low + high);
        if below((middle - mean) / deviation) < target {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The logarithm of E[max(z + Z, 0)] for a standard normal Z: expected improvement in units of the deviation, kept
/// exact where it underflows (Ament et al., "Unexpected Improvements to Expected Improvement for Bayesian
/// Optimization", 2023).
pub(crate) fn log_expected_excess(z: f64) -> f64 {
    if z > -20.0 {
        return libm::log(density(z) + z * below(z));
    }
    // Integrating the tail by parts: density(z) / z^2 * (1 - 3/z^2 + 15/z^4 - 105/z^6 + ...), cut at the smallest term.
    let (mut sum, mut term) = (1.0, 1.0);
    let square = z * z;
    for k in 1..60 {
        let next: f64 = -term * (2 * k + 1) as f64 / square;
        if next.abs() >= term.abs() || next.abs() < 1e-17 {
            break;
        }
        term = next;
        sum += term;
    }
    -0.5 * square - 0.5 * libm::log(2.0 * PI) - libm::log(square) + libm::log(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_agree_with_the_tables() {
        let tables: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/data/normal_tables.json")).unwrap();
        let rows = |name: &str| -> Vec<Vec<f64>> { serde_json::from_value(tables[name].clone()).unwrap() };
        for row in rows("truncated_normal") {
            let [x, mean, deviation, log_density, quantile, at_quantile] = row[..] else { panic!("{row:?}") };
            assert!((log_density_in_unit(x, mean, deviation) - log_density).abs() < 1e-9, "{row:?}");
            assert!((quantile_in_unit(quantile, mean, deviation) - at_quantile).abs() < 1e-9, "{row:?}");
        }
        for row in rows("log_expected_excess") {
            let got = log_expected_excess(row[0]);
            assert!((got - row[1]).abs() < 1e-6 * row[1].abs().max(1.0), "{row:?}: {got}");
        }
    }

    #[test]
    fn the_tails_keep_their_digits() {
        assert!((between(8.0, 9.0) / between(-9.0, -8.0) - 1.0).abs() < 1e-12);
        assert!(log_mass_in_unit(0.99, 1.0, 0.0, 0.01) < -4000.0);
    }
}
