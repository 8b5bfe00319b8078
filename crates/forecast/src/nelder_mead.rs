//! The downhill simplex of Nelder and Mead (1965), with the coefficients of Lagarias and others (1998): for the few
//! parameters of exponential smoothing, where no gradient is at hand. The same start gives the same end.

/// Evaluations after which the best point so far is taken.
const MOST_EVALUATIONS: usize = 600;

/// It stops where the values at the corners differ by less than this part of them, and the corners by less than
/// [`CLOSE`]: two corners on both sides of a valley have one value too.
const TOLERANCE: f64 = 1e-9;

/// How near to each other corners are at the end.
const CLOSE: f64 = 1e-4;

/// The point at which `of` is smallest, near `start`, and its value. `of` may give infinity, and NaN counts as that.
pub(crate) fn minimise(of: impl Fn(&[f64]) -> f64, start: &[f64], step: f64) -> (Vec<f64>, f64) {
    let value = |point: &[f64]| {
        let value = of(point);
        if value.is_nan() { f64::INFINITY } else { value }
    };
    let mut corners = vec![(start.to_vec(), value(start))];
    for place in 0..start.len() {
        let mut point = start.to_vec();
        point[place] += step;
        let at = value(&point);
        corners.push((point, at));
    }
    let mut evaluations = corners.len();
    if start.is_empty() {
        return corners.swap_remove(0);
    }
    while evaluations < MOST_EVALUATIONS {
        corners.sort_by(|one, other| one.1.total_cmp(&other.1));
        let last = corners.len() - 1;
        let (best, worst) = (corners[0].1, corners[last].1);
        let near = |corner: &(Vec<f64>, f64)| {
            corner.0.iter().zip(&corners[0].0).all(|(one, other)| (one - other).abs() < CLOSE)
        };
        if worst - best <= TOLERANCE * best.abs().max(f64::MIN_POSITIVE) && corners.iter().all(near) {
            break;
        }
        let centre: Vec<f64> = (0..start.len())
            .map(|place| corners[..last].iter().map(|corner| corner.0[place]).sum::<f64>() / last as f64)
            .collect();
        let along = |factor: f64| -> (Vec<f64>, f64) {
            let far = &corners[last].0;
            let point: Vec<f64> =
                centre.iter().zip(far).map(|(centre, far)| centre + factor * (far - centre)).collect();
            let at = value(&point);
            (point, at)
        };
        let reflected = along(-1.0);
        evaluations += 1;
        let accepted = if reflected.1 < best {
            evaluations += 1;
            let expanded = along(-2.0);
            Some(if expanded.1 < reflected.1 { expanded } else { reflected })
        } else if reflected.1 < corners[last - 1].1 {
            Some(reflected)
        } else {
            evaluations += 1;
            let inside = reflected.1 >= worst;
            let contracted = along(if inside { 0.5 } else { -0.5 });
            (contracted.1 < reflected.1.min(worst)).then_some(contracted)
        };
        match accepted {
            Some(corner) => corners[last] = corner,
            None => {
                let nearest = corners[0].0.clone();
                for corner in &mut corners[1..] {
                    corner.0.iter_mut().zip(&nearest).for_each(|(side, near)| *side = near + 0.5 * (*side - near));
                    corner.1 = value(&corner.0);
                }
                evaluations += last;
            }
        }
    }
    corners.sort_by(|one, other| one.1.total_cmp(&other.1));
    corners.swap_remove(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valleys_are_walked_down() {
        let rosenbrock = |x: &[f64]| (1.0 - x[0]).powi(2) + 100.0 * (x[1] - x[0] * x[0]).powi(2);
        let (point, value) = minimise(rosenbrock, &[-1.2, 1.0], 0.5);
        assert!((point[0] - 1.0).abs() < 1e-3 && (point[1] - 1.0).abs() < 1e-3 && value < 1e-6, "{point:?} {value}");
        let (point, _) = minimise(|x| if x[0] < 0.0 { f64::NAN } else { (x[0] - 0.25).powi(2) }, &[3.0], 1.0);
        assert!((point[0] - 0.25).abs() < 1e-3, "{point:?}");
        assert_eq!(minimise(|_| 4.0, &[], 1.0), (vec![], 4.0));
    }
}
