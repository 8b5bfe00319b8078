//! Least squares by steps of Gauss and Newton with the damping of Levenberg and Marquardt (Marquardt 1963): for the
//! parameters and the first state of exponential smoothing together. Slopes are differences, so no form needs its own.

/// Steps after which the point is taken as it is.
const MOST_STEPS: usize = 60;

/// The damping at the start, as a part of the curvature; where no step helps any more; and the least.
const DAMPING: f64 = 1e-2;
const MOST_DAMPING: f64 = 1e8;
const LEAST_DAMPING: f64 = 1e-9;

/// The part of the squared errors that a step must take off for another one.
const WORTH_A_STEP: f64 = 1e-6;

/// The point near `start` at which the sum of the squares of `errors` is smallest, and that sum. Never worse than
/// `start`. `changes` says how far each number is moved to see what it does.
pub(crate) fn descend(errors: impl Fn(&[f64]) -> Vec<f64>, start: Vec<f64>, changes: &[f64]) -> (Vec<f64>, f64) {
    let mut at = errors(&start);
    let mut point = start;
    let mut sum = dot(&at, &at);
    let mut damping = DAMPING;
    for _ in 0..MOST_STEPS {
        let slopes: Vec<Vec<f64>> = changes
            .iter()
            .enumerate()
            .map(|(place, change)| {
                let mut moved = point.clone();
                moved[place] += change;
                errors(&moved).iter().zip(&at).map(|(after, before)| (after - before) / change).collect()
            })
            .collect();
        let mut better = None;
        while better.is_none() && damping < MOST_DAMPING {
            let Some(step) = solve(&slopes, &at, damping) else { break };
            let moved: Vec<f64> = point.iter().zip(&step).map(|(at, step)| at - step).collect();
            let there = errors(&moved);
            let below = dot(&there, &there);
            if below < sum {
                better = Some((moved, there, below));
                damping = (damping / 10.0).max(LEAST_DAMPING);
            } else {
                damping *= 10.0;
            }
        }
        let Some((moved, there, below)) = better else { break };
        let worth = sum - below > WORTH_A_STEP * sum;
        (point, at, sum) = (moved, there, below);
        if !worth {
            break;
        }
    }
    (point, sum)
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// The step that the damped normal equations give, by Cholesky; `None` where they have no solution.
fn solve(slopes: &[Vec<f64>], errors: &[f64], damping: f64) -> Option<Vec<f64>> {
    let count = slopes.len();
    let mut factor = vec![vec![0.0; count]; count];
    for row in 0..count {
        for column in 0..=row {
            let mut value = dot(&slopes[row], &slopes[column]);
            if row == column {
                // A number that does nothing here must not make the equations unsolvable.
                value += damping * value.max(f64::MIN_POSITIVE.sqrt());
            }
            value -= dot(&factor[row][..column], &factor[column][..column]);
            if row == column {
                if !(value.is_finite() && value > 0.0) {
                    return None;
                }
                factor[row][row] = value.sqrt();
            } else {
                factor[row][column] = value / factor[column][column];
            }
        }
    }
    let mut step: Vec<f64> = slopes.iter().map(|slope| dot(slope, errors)).collect();
    for row in 0..count {
        step[row] = (step[row] - dot(&factor[row][..row], &step[..row])) / factor[row][row];
    }
    for row in (0..count).rev() {
        let below: f64 = (row + 1..count).map(|other| factor[other][row] * step[other]).sum();
        step[row] = (step[row] - below) / factor[row][row];
    }
    Some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_in_one_step_and_a_bent_valley_in_some() {
        let line =
            |point: &[f64]| (0..20).map(|at| point[0] + point[1] * f64::from(at) - 7.0 - 2.0 * f64::from(at)).collect();
        let (point, sum) = descend(line, vec![0.0, 0.0], &[1.0, 1.0]);
        assert!((point[0] - 7.0).abs() < 1e-3 && (point[1] - 2.0).abs() < 1e-3 && sum < 1e-4, "{point:?} {sum}");
        let rosenbrock = |x: &[f64]| vec![1.0 - x[0], 10.0 * (x[1] - x[0] * x[0])];
        let (point, sum) = descend(rosenbrock, vec![-1.2, 1.0], &[1e-5, 1e-5]);
        assert!((point[0] - 1.0).abs() < 1e-2 && (point[1] - 1.0).abs() < 1e-2 && sum < 1e-4, "{point:?} {sum}");
    }

    #[test]
    fn numbers_that_do_nothing_and_errors_that_cannot_shrink_stay() {
        let (point, sum) = descend(|point| vec![point[0] - 3.0], vec![0.0, 5.0], &[1.0, 1.0]);
        assert!((point[0] - 3.0).abs() < 1e-3 && (point[1] - 5.0).abs() < 1e-9 && sum < 1e-5, "{point:?} {sum}");
        assert_eq!(descend(|_| vec![2.0], vec![1.0], &[1.0]), (vec![1.0], 4.0));
        let (point, sum) = descend(|_| vec![f64::NAN], vec![1.0], &[1.0]);
        assert!(point == [1.0] && sum.is_nan());
    }
}
