//! Descent on a smooth function with a gradient: L-BFGS (Nocedal and Wright, "Numerical Optimization", 2006,
//! algorithms 7.4 and 7.5) with a line search that halves the step (Armijo).

use crate::numbers::matrix::dot;
use std::collections::VecDeque;

/// Pairs of steps and gradient changes that are remembered.
const MEMORY: usize = 8;

/// Walks downhill from `start` and returns the lowest point seen and its value. `function` gives value and gradient,
/// or `None` outside its domain, which the walk then avoids. At most `steps` steps.
pub(crate) fn descend(
    start: Vec<f64>,
    steps: usize,
    function: impl Fn(&[f64]) -> Option<(f64, Vec<f64>)>,
) -> Option<(Vec<f64>, f64)> {
    let mut point = start;
    let (mut value, mut gradient) = function(&point)?;
    let mut pairs: VecDeque<(Vec<f64>, Vec<f64>)> = VecDeque::with_capacity(MEMORY);
    for _ in 0..steps {
        let mut direction = downhill(&gradient, &pairs);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            pairs.clear();
            direction = gradient.iter().map(|g| -g).collect();
            slope = -dot(&gradient, &gradient);
        }
        if slope > -1e-12 {
            break;
        }
        let longest = direction.iter().fold(0.0f64, |longest, d| longest.max(d.abs()));
        // A first step without memory has no scale of its own.
        let mut length = if pairs.is_empty() { (0.5 / longest).min(1.0) } else { (3.0 / longest).min(1.0) };
        let mut taken = None;
        for _ in 0..25 {
            let next: Vec<f64> = point.iter().zip(&direction).map(|(x, d)| x + length * d).collect();
            match function(&next) {
                Some((lower, slopes)) if lower <= value + 1e-4 * length * slope => {
                    taken = Some((next, lower, slopes));
                    break;
                }
                _ => length *= 0.5,
            }
        }
        let Some((next, lower, slopes)) = taken else { break };
        let moved: Vec<f64> = next.iter().zip(&point).map(|(a, b)| a - b).collect();
        let turned: Vec<f64> = slopes.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let gain = value - lower;
        (point, value, gradient) = (next, lower, slopes);
        if dot(&moved, &turned) > 1e-12 {
            if pairs.len() == MEMORY {
                pairs.pop_front();
            }
            pairs.push_back((moved, turned));
        }
        if gain < 1e-9 * (1.0 + value.abs()) {
            break;
        }
    }
    Some((point, value))
}

/// Minus the inverse Hessian, as the pairs tell it, times the gradient.
fn downhill(gradient: &[f64], pairs: &VecDeque<(Vec<f64>, Vec<f64>)>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut shares = Vec::with_capacity(pairs.len());
    for (moved, turned) in pairs.iter().rev() {
        let share = dot(moved, &direction) / dot(moved, turned);
        direction.iter_mut().zip(turned).for_each(|(d, t)| *d -= share * t);
        shares.push(share);
    }
    if let Some((moved, turned)) = pairs.back() {
        let scale = dot(moved, turned) / dot(turned, turned);
        direction.iter_mut().for_each(|d| *d *= scale);
    }
    for ((moved, turned), share) in pairs.iter().zip(shares.into_iter().rev()) {
        let back = dot(turned, &direction) / dot(moved, turned);
        direction.iter_mut().zip(moved).for_each(|(d, m)| *d += (share - back) * m);
    }
    direction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bottom_of_rosenbrocks_valley_is_found() {
        let valley = |x: &[f64]| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            Some((a * a + 100.0 * b * b, vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b]))
        };
        let (point, value) = descend(vec![-1.2, 1.0], 300, valley).unwrap();
        assert!(value < 1e-8 && (point[0] - 1.0).abs() < 1e-3, "{point:?} {value}");
    }

    #[test]
    fn the_edge_of_the_domain_is_avoided() {
        let log = |x: &[f64]| (x[0] > 0.0).then(|| (x[0] - libm::log(x[0]), vec![1.0 - 1.0 / x[0]]));
        let (point, _) = descend(vec![20.0], 100, log).unwrap();
        assert!((point[0] - 1.0).abs() < 1e-4, "{point:?}");
        assert!(descend(vec![-1.0], 100, log).is_none());
    }
}
