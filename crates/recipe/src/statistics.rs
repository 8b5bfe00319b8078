//! Sums that more than one step fits with. Each goes over the values in their order, so that a fit gives the same
//! bytes every time.

/// The mean; of no values 0.
pub(crate) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The middle value, or the mean of the middle two; the values are sorted on the way.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

/// Mean and population standard deviation, by two passes. A column whose variance is within rounding error of
/// none gets scale 1, by the bound that scikit-learn uses: n·eps·var + (n·mean·eps)².
pub(crate) fn standard(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = mean(values);
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let rounding = count * f64::EPSILON * variance + (count * mean * f64::EPSILON).powi(2);
    (mean, if variance <= rounding { 1.0 } else { variance.sqrt() })
}

/// The quantile at a share, between neighbours in proportion (numpy's "linear").
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let (low, high, part) = (sorted[below], sorted[above], place - below as f64);
    // From the nearer side, as numpy does, so that both ends come out exactly.
    if part < 0.5 { low + (high - low) * part } else { high - (high - low) * (1.0 - part) }
}

/// The place in a bracket where a function of one variable is least: Brent's method (Algorithms for Minimization
/// without Derivatives, 1973, chapter 5), to about eight digits.
pub(crate) fn minimum(low: f64, high: f64, function: impl Fn(f64) -> f64) -> f64 {
    const GOLDEN: f64 = 0.381_966_011_250_105_1;
    const TOLERANCE: f64 = 1.5e-8;
    let (mut low, mut high) = (low, high);
    let mut best = low + GOLDEN * (high - low);
    let (mut second, mut third) = (best, best);
    let mut best_value = function(best);
    let (mut second_value, mut third_value) = (best_value, best_value);
    let (mut step, mut before_last) = (0.0f64, 0.0f64);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        let tolerance = TOLERANCE * best.abs() + 1e-12;
        if (best - middle).abs() <= 2.0 * tolerance - (high - low) / 2.0 {
            break;
        }
        let mut parabolic = false;
        if before_last.abs() > tolerance {
            let r = (best - second) * (best_value - third_value);
            let q = (best - third) * (best_value - second_value);
            let p = (best - third) * q - (best - second) * r;
            let (p, q) = if q > r { (-p, 2.0 * (q - r)) } else { (p, 2.0 * (r - q)) };
            let inside = p > q * (low - best) && p < q * (high - best);
            if p.abs() < (0.5 * q * before_last).abs() && inside {
                before_last = step;
                step = p / q;
                let next = best + step;
                if next - low < 2.0 * tolerance || high - next < 2.0 * tolerance {
                    step = tolerance.copysign(middle - best);
                }
                parabolic = true;
            }
        }
        if !parabolic {
            before_last = if best >= middle { low - best } else { high - best };
            step = GOLDEN * before_last;
        }
        let next = best + if step.abs() >= tolerance { step } else { tolerance.copysign(step) };
        let value = function(next);
        if value <= best_value {
            if next >= best {
                low = best
            } else {
                high = best
            }
            (third, third_value) = (second, second_value);
            (second, second_value) = (best, best_value);
            (best, best_value) = (next, value);
        } else {
            if next < best {
                low = next
            } else {
                high = next
            }
            if value <= second_value || second == best {
                (third, third_value) = (second, second_value);
                (second, second_value) = (next, value);
            } else if value <= third_value || third == best || third == second {
                (third, third_value) = (next, value);
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minimum_is_found_wherever_it_lies() {
        for place in [-1.9, -0.3, 0.0, 0.7, 1.99] {
            let found = minimum(-2.0, 2.0, |x| (x - place).powi(2) * (1.0 + x * x));
            assert!((found - place).abs() < 1e-6, "{found} {place}");
        }
        assert!((minimum(0.0, 4.0, |x| x - x.ln()) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn quantiles_lie_between_their_neighbours() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 1.0), 4.0);
        assert_eq!(quantile(&[7.0], 0.3), 7.0);
    }
}
