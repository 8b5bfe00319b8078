//! The numbers behind drift: population stability index, chi-square and Kolmogorov-Smirnov, and what chance
//! alone makes of each. Checked against scipy's values in `reference_values/`.

use lepton_sketch::QuantileSketch;

/// Population stability index of two tables of counts over the same bins: `sum((p - q) ln(p / q))`, the
/// relative entropy in both directions. Half a row is added to each bin, so that an empty one counts as rare
/// and not as infinitely surprising. 0 without bins.
pub(crate) fn psi(reference: &[f64], live: &[f64]) -> f64 {
    let total = |counts: &[f64]| counts.iter().map(|count| count + 0.5).sum::<f64>();
    let (all, seen) = (total(reference), total(live));
    reference
        .iter()
        .zip(live)
        .map(|(left, right)| ((left + 0.5) / all, (right + 0.5) / seen))
        .map(|(p, q)| (p - q) * (p / q).ln())
        .sum()
}

/// The PSI that chance exceeds with probability `significance` when both tables are of one distribution over
/// `bins` bins: asymptotically `(1/n + 1/m)` times a chi-square of `bins - 1` degrees (Yurdakul and Naranjo,
/// "Statistical properties of the population stability index", Journal of Risk Model Validation, 2020).
pub(crate) fn psi_by_chance(bins: usize, reference_rows: f64, live_rows: f64, significance: f64) -> f64 {
    chi_square_quantile(bins.saturating_sub(1), significance) * (1.0 / reference_rows + 1.0 / live_rows)
}

/// Pearson's chi-square of a table of two rows, with its p-value. Bins that are empty in both are left out;
/// fewer than two bins, or a row without counts, tell nothing: `(0, 1)`.
pub(crate) fn chi_square(reference: &[f64], live: &[f64]) -> (f64, f64) {
    let (all, seen) = (reference.iter().sum::<f64>(), live.iter().sum::<f64>());
    let bins: Vec<_> = reference.iter().zip(live).filter(|(left, right)| *left + *right > 0.0).collect();
    if bins.len() < 2 || all <= 0.0 || seen <= 0.0 {
        return (0.0, 1.0);
    }
    let mut statistic = 0.0;
    for (left, right) in &bins {
        let together = *left + *right;
        for (found, row) in [(*left, all), (*right, seen)] {
            let expected = together * row / (all + seen);
            statistic += (found - expected).powi(2) / expected;
        }
    }
    (statistic, chi_square_tail(bins.len() - 1, statistic))
}

/// The largest distance between two distribution functions; `None` when one has seen nothing.
pub(crate) fn kolmogorov_smirnov(reference: &QuantileSketch, live: &QuantileSketch) -> Option<f64> {
    if reference.count() == 0 || live.count() == 0 {
        return None;
    }
    let (left, right) = (reference.steps(), live.steps());
    let (mut i, mut j, mut largest) = (0, 0, 0.0f64);
    while i < left.len() && j < right.len() {
        let x = left[i].0.min(right[j].0);
        i += usize::from(left[i].0 <= x);
        j += usize::from(right[j].0 <= x);
        let share = |steps: &[(f64, f64)], upto: usize| if upto == 0 { 0.0 } else { steps[upto - 1].1 };
        largest = largest.max((share(&left, i) - share(&right, j)).abs());
    }
    Some(largest)
}

/// The probability that chance gives a Kolmogorov-Smirnov distance above `distance` between samples of `n`
/// and `m` from one continuous distribution, by Kolmogorov's limit.
pub(crate) fn kolmogorov_tail(distance: f64, n: f64, m: f64) -> f64 {
    let root = (n * m / (n + m)).sqrt() * distance;
    if root < 0.2 {
        // Below this the limit is 1 to more than ten digits and the series converges badly.
        return 1.0;
    }
    let terms = (1..=100).map(|k| {
        let sign = if k % 2 == 1 { 2.0 } else { -2.0 };
        sign * (-2.0 * f64::from(k * k) * root * root).exp()
    });
    terms.sum::<f64>().clamp(0.0, 1.0)
}

/// The Kolmogorov-Smirnov distance that chance exceeds with probability `significance`: the first term of
/// the limit, inverted; a little too large for large probabilities, right to four digits below 0.05.
pub(crate) fn kolmogorov_by_chance(n: f64, m: f64, significance: f64) -> f64 {
    (-(significance / 2.0).ln() / 2.0).sqrt() * ((n + m) / (n * m)).sqrt()
}

/// The probability that a chi-square of `degrees` degrees of freedom is above `x`.
pub(crate) fn chi_square_tail(degrees: usize, x: f64) -> f64 {
    if degrees == 0 || x <= 0.0 {
        return 1.0;
    }
    upper_gamma(degrees as f64 / 2.0, x / 2.0)
}

/// The value that a chi-square of `degrees` degrees of freedom exceeds with probability `p`; 0 for 0 degrees.
pub(crate) fn chi_square_quantile(degrees: usize, p: f64) -> f64 {
    if degrees == 0 {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 1.0 + degrees as f64);
    while chi_square_tail(degrees, high) > p && high < 1e12 {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if chi_square_tail(degrees, middle) > p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The regularised upper incomplete gamma function Q(a, x), a > 0, x > 0: the series below a + 1, the
/// continued fraction (by Lentz's method) above (Abramowitz and Stegun 6.5.29 and 6.5.31).
fn upper_gamma(a: f64, x: f64) -> f64 {
    const STEPS: u32 = 10_000;
    const NEAR: f64 = 1e-15;
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum) = (1.0 / a, 1.0 / a);
        for step in 1..STEPS {
            term *= x / (a + f64::from(step));
            sum += term;
            if term < sum * NEAR {
                break;
            }
        }
        return (1.0 - front * sum).clamp(0.0, 1.0);
    }
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1.0 / TINY, 1.0 / b);
    let mut fraction = d;
    for step in 1..STEPS {
        let step = f64::from(step);
        let numerator = -step * (step - a);
        b += 2.0;
        d = 1.0 / Some(numerator * d + b).filter(|d| d.abs() > TINY).unwrap_or(TINY);
        c = Some(b + numerator / c).filter(|c| c.abs() > TINY).unwrap_or(TINY);
        fraction *= d * c;
        if (d * c - 1.0).abs() < NEAR {
            break;
        }
    }
    (front * fraction).clamp(0.0, 1.0)
}

/// The logarithm of the gamma function, a > 0: Stirling's series after shifting a above 15.
fn ln_gamma(a: f64) -> f64 {
    let (mut shifted, mut product) = (a, 1.0f64);
    while shifted < 15.0 {
        product *= shifted;
        shifted += 1.0;
    }
    let inverse = 1.0 / shifted;
    let square = inverse * inverse;
    // Bernoulli numbers over 2k (2k - 1): 1/12, -1/360, 1/1260, -1/1680, 1/1188.
    let series = inverse
        * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square * (1.0 / 1680.0 - square / 1188.0))));
    (shifted - 0.5) * shifted.ln() - shifted + 0.5 * std::f64::consts::TAU.ln() + series - product.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn values() -> Value {
        serde_json::from_str(include_str!("../reference_values/scipy.json")).unwrap()
    }

    fn number(case: &Value, key: &str) -> f64 {
        case[key].as_f64().unwrap()
    }

    fn numbers(case: &Value, key: &str) -> Vec<f64> {
        case[key].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    }

    #[track_caller]
    fn assert_near(ours: f64, scipy: f64, relative: f64) {
        assert!((ours - scipy).abs() <= relative * scipy.abs() + 1e-14, "{ours} where scipy has {scipy}");
    }

    fn sketch_of(values: &[f64]) -> QuantileSketch {
        let mut sketch = QuantileSketch::default();
        values.iter().for_each(|value| sketch.add(*value));
        sketch
    }

    #[test]
    fn the_chi_square_distribution_is_scipys() {
        for case in values()["chi_square_tail"].as_array().unwrap() {
            let degrees = number(case, "degrees") as usize;
            assert_near(chi_square_tail(degrees, number(case, "x")), number(case, "p"), 1e-11);
        }
        for case in values()["chi_square_quantile"].as_array().unwrap() {
            let degrees = number(case, "degrees") as usize;
            assert_near(chi_square_quantile(degrees, number(case, "p")), number(case, "x"), 1e-10);
        }
    }

    #[test]
    fn tables_of_counts_are_compared_as_scipy_does() {
        for case in values()["tables"].as_array().unwrap() {
            let (left, right) = (numbers(case, "left"), numbers(case, "right"));
            assert_near(psi(&left, &right), number(case, "psi"), 1e-12);
            assert_near(psi(&right, &left), number(case, "psi"), 1e-12);
            let (statistic, p) = chi_square(&left, &right);
            assert_near(statistic, number(case, "chi_square"), 1e-12);
            assert_near(p, number(case, "p"), 1e-10);
        }
        assert_eq!(chi_square(&[3.0], &[5.0]), (0.0, 1.0));
        assert_eq!(chi_square(&[3.0, 1.0], &[0.0, 0.0]), (0.0, 1.0));
        assert_eq!(psi(&[], &[]), 0.0);
    }

    #[test]
    fn samples_are_compared_as_scipy_does() {
        for case in values()["kolmogorov_smirnov"].as_array().unwrap() {
            let (left, right) = (numbers(case, "left"), numbers(case, "right"));
            let distance = kolmogorov_smirnov(&sketch_of(&left), &sketch_of(&right)).unwrap();
            assert_near(distance, number(case, "statistic"), 1e-12);
            let (n, m) = (left.len() as f64, right.len() as f64);
            assert_near(kolmogorov_tail(distance, n, m), number(case, "p"), 1e-10);
        }
        assert_eq!(kolmogorov_smirnov(&sketch_of(&[]), &sketch_of(&[1.0])), None);
        // What chance gives is where the tail has the probability asked for.
        let distance = kolmogorov_by_chance(900.0, 150.0, 0.001);
        assert_near(kolmogorov_tail(distance, 900.0, 150.0), 0.001, 1e-6);
    }
}
