//! The maximum mean discrepancy (Gretton and others 2012): how far apart two domains are in the feature space of Gaussian
//! kernels, with a test by permutation, and as a penalty with its gradient (Long and others 2015).

use crate::Rows;
use lepton_core::{Error, ErrorCode, Result, Seed};

/// Rows of each domain that are looked at: the work grows with their square.
const MOST_ROWS: usize = 500;

/// Kernels of the penalty, by the factor on the width.
const FACTORS: [f64; 5] = [0.25, 0.5, 1.0, 2.0, 4.0];

/// How far apart two domains are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Discrepancy {
    /// The unbiased estimate of the squared discrepancy; about 0, and then also below it, for the same domain twice.
    pub value: f64,
    /// The share of shuffled domains, this one among them, that are at least as far apart; 1 where none were shuffled.
    pub p_value: f64,
}

/// The squared discrepancy between source rows, which may have weights, and target rows, by one Gaussian kernel
/// `exp(-d^2 / (2 s^2))` whose `s` is the median distance between rows of both. Of a domain with more than 500 rows, 500
/// are drawn. `permutations` says how often domains are shuffled for the p-value; weights go with their rows.
///
/// # Errors
/// [`ErrorCode::Shape`] and [`ErrorCode::BadData`] for rows or weights that cannot be compared, among them fewer than two
/// rows of a domain.
pub fn discrepancy(
    source: &Rows<'_>,
    weights: Option<&[f32]>,
    target: &Rows<'_>,
    permutations: usize,
    seed: Seed,
) -> Result<Discrepancy> {
    Rows::check_pair(source, target)?;
    if weights.is_some_and(|weights| weights.len() != source.len()) {
        return Err(Error::new(ErrorCode::Shape, "there is not one weight for each source row"));
    }
    let sources = sample(source.len(), seed, 0);
    let targets = sample(target.len(), seed, 1);
    if sources.len() < 2 || targets.len() < 2 {
        return Err(Error::new(ErrorCode::BadData, "a discrepancy needs two rows of each domain"));
    }
    let rows: Vec<&[f32]> =
        sources.iter().map(|&row| source.row(row)).chain(targets.iter().map(|&row| target.row(row))).collect();
    let weight = |row: &usize| weights.map_or(1.0, |weights| f64::from(weights[*row]));
    let weights: Vec<f64> = sources.iter().map(weight).chain(std::iter::repeat_n(1.0, targets.len())).collect();
    let count = rows.len();
    let mut kernel = vec![0.0; count * count];
    for one in 0..count {
        for other in 0..one {
            kernel[one * count + other] = square_distance(rows[one], rows[other]);
        }
    }
    let mut squares: Vec<f64> =
        (0..count).flat_map(|one| kernel[one * count..one * count + one].iter().copied()).collect();
    let width = 2.0 * median(&mut squares);
    for one in 0..count {
        for other in 0..one {
            let value = (-kernel[one * count + other] / width).exp();
            (kernel[one * count + other], kernel[other * count + one]) = (value, value);
        }
    }
    let estimate = |order: &[usize]| {
        let (sources, targets) = order.split_at(sources.len());
        within(&kernel, &weights, sources, count) + within(&kernel, &weights, targets, count)
            - 2.0 * between(&kernel, &weights, sources, targets, count)
    };
    let value = estimate(&(0..count).collect::<Vec<_>>());
    if !value.is_finite() {
        return Err(Error::new(ErrorCode::BadData, "fewer than two source rows have any weight"));
    }
    let mut at_least = 1;
    for round in 0..permutations {
        let order = seed.permutation("discrepancy permutation", &[round as u64], count);
        at_least += usize::from(estimate(&order) >= value);
    }
    Ok(Discrepancy { value, p_value: at_least as f64 / (permutations + 1) as f64 })
}

fn within(kernel: &[f64], weights: &[f64], rows: &[usize], count: usize) -> f64 {
    let (mut sum, mut whole, mut own) = (0.0, 0.0, 0.0);
    for &one in rows {
        let line = &kernel[one * count..(one + 1) * count];
        // The diagonal of the kernel is left at 0 here.
        sum += weights[one] * rows.iter().map(|&other| weights[other] * line[other]).sum::<f64>();
        whole += weights[one];
        own += weights[one] * weights[one];
    }
    sum / (whole * whole - own)
}

fn between(kernel: &[f64], weights: &[f64], sources: &[usize], targets: &[usize], count: usize) -> f64 {
    let whole = |rows: &[usize]| rows.iter().map(|&row| weights[row]).sum::<f64>();
    let sum: f64 = sources
        .iter()
        .map(|&one| {
            let line = &kernel[one * count..(one + 1) * count];
            weights[one] * targets.iter().map(|&other| weights[other] * line[other]).sum::<f64>()
        })
        .sum();
    sum / (whole(sources) * whole(targets))
}

/// The squared discrepancy between rows of a batch that are of the target and those that are not, with five Gaussian
/// kernels around the batch's mean distance, and its gradient by every value of the rows. The estimate is the biased one,
/// which is never below 0; the width counts as constant. Both are 0 where a domain has no row.
///
/// # Errors
/// [`ErrorCode::Shape`] where there is not one domain for each row.
pub fn discrepancy_penalty(rows: &Rows<'_>, is_target: &[bool]) -> Result<(f64, Vec<f32>)> {
    let (count, width) = (rows.len(), rows.width());
    if is_target.len() != count {
        return Err(Error::new(ErrorCode::Shape, format!("{count} rows, but {} domains", is_target.len())));
    }
    let targets = is_target.iter().filter(|is_target| **is_target).count();
    if targets == 0 || targets == count {
        return Ok((0.0, vec![0.0; rows.values().len()]));
    }
    let mut squares = vec![0.0; count * count];
    let mut sum = 0.0;
    for one in 0..count {
        for other in 0..one {
            let square = square_distance(rows.row(one), rows.row(other));
            sum += square;
            (squares[one * count + other], squares[other * count + one]) = (square, square);
        }
    }
    let mean = (2.0 * sum / (count * (count - 1)) as f64).max(f64::MIN_POSITIVE);
    let share = |row: usize| if is_target[row] { -1.0 / targets as f64 } else { 1.0 / (count - targets) as f64 };
    let mut value = 0.0;
    let mut gradient = vec![0.0f64; count * width];
    for one in 0..count {
        for other in 0..count {
            let both = share(one) * share(other) / FACTORS.len() as f64;
            let mut slope = 0.0;
            for factor in FACTORS {
                let kernel = (-squares[one * count + other] / (factor * mean)).exp();
                value += both * kernel;
                // Twice, because each pair is in the sum in both orders.
                slope -= 4.0 * both * kernel / (factor * mean);
            }
            if one != other {
                let difference = rows.row(one).iter().zip(rows.row(other)).map(|(a, b)| f64::from(*a) - f64::from(*b));
                let line = &mut gradient[one * width..(one + 1) * width];
                line.iter_mut().zip(difference).for_each(|(sum, difference)| *sum += slope * difference);
            }
        }
    }
    Ok((value, gradient.into_iter().map(|slope| slope as f32).collect()))
}

/// The squared Euclidean distance.
pub(crate) fn square_distance(one: &[f32], other: &[f32]) -> f64 {
    one.iter().zip(other).map(|(one, other)| (one - other) * (one - other)).sum::<f32>().into()
}

/// The median squared distance between rows of both domains, of at most 500 of each; never 0.
pub(crate) fn median_square(source: &Rows<'_>, target: &Rows<'_>, seed: Seed) -> f64 {
    let rows: Vec<&[f32]> = sample(source.len(), seed, 0)
        .into_iter()
        .map(|row| source.row(row))
        .chain(sample(target.len(), seed, 1).into_iter().map(|row| target.row(row)))
        .collect();
    let mut squares: Vec<f64> = Vec::with_capacity(rows.len() * rows.len() / 2);
    for (place, one) in rows.iter().enumerate() {
        squares.extend(rows[..place].iter().map(|other| square_distance(one, other)));
    }
    median(&mut squares)
}

/// The lower median; the least positive number where it is 0 or there are no values.
fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return f64::MIN_POSITIVE;
    }
    let middle = (values.len() - 1) / 2;
    let (_, value, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    value.max(f64::MIN_POSITIVE)
}

/// At most 500 of the rows, ascending.
fn sample(count: usize, seed: Seed, domain: u64) -> Vec<usize> {
    if count <= MOST_ROWS {
        return (0..count).collect();
    }
    let mut rows = seed.permutation("discrepancy sample", &[domain], count);
    rows.truncate(MOST_ROWS);
    rows.sort_unstable();
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(count: usize, shift: f32) -> Vec<f32> {
        (0..2 * count).map(|place| ((place * 37) % 101) as f32 / 50.0 + shift).collect()
    }

    #[test]
    fn domains_that_differ_are_found_and_equal_ones_are_not() {
        let (one, same, far) = (wave(40, 0.0), wave(80, 0.0), wave(40, 2.0));
        let rows = |values| Rows::new(values, 2).unwrap();
        let near = discrepancy(&rows(&one), None, &rows(&same[80..]), 99, Seed(1)).unwrap();
        let apart = discrepancy(&rows(&one), None, &rows(&far), 99, Seed(1)).unwrap();
        assert!(near.value < 0.05 && near.p_value > 0.05, "{near:?}");
        assert!(apart.value > 0.3 && apart.p_value == 0.01, "{apart:?}");
        assert_eq!(discrepancy(&rows(&one), None, &rows(&far), 0, Seed(1)).unwrap().p_value, 1.0);
    }

    #[test]
    fn weights_count_and_equal_weights_change_nothing() {
        let (one, far) = (wave(30, 0.0), wave(30, 1.0));
        let both = [one.clone(), far.clone()].concat();
        let rows = |values| Rows::new(values, 2).unwrap();
        let (mixed, target) = (rows(&both), rows(&far));
        let plain = discrepancy(&mixed, None, &target, 0, Seed(1)).unwrap().value;
        let equal = discrepancy(&mixed, Some(&[3.0; 60]), &target, 0, Seed(1)).unwrap().value;
        assert!((plain - equal).abs() < 1e-12);
        let weights: Vec<f32> = (0..60).map(|row| if row < 30 { 0.0 } else { 1.0 }).collect();
        assert!(discrepancy(&mixed, Some(&weights), &target, 0, Seed(1)).unwrap().value < 0.01);
        assert!(discrepancy(&mixed, Some(&[0.0; 60]), &target, 0, Seed(1)).is_err());
        assert!(discrepancy(&mixed, Some(&[1.0; 3]), &target, 0, Seed(1)).is_err());
        assert!(discrepancy(&mixed, None, &rows(&far[..2]), 0, Seed(1)).is_err());
    }

    #[test]
    fn the_gradient_of_the_penalty_is_its_slope_where_the_width_stays() {
        // The width is the mean distance, so a change is made that keeps it: the whole gradient along a rotation of
        // all rows is 0, and along a shift of one domain it is the difference of values, to first order of the width.
        let values = [0.1f32, 0.2, -0.3, 0.8, 1.1, 0.4, 0.9, -0.2];
        let domains = [false, false, true, true];
        let (value, gradient) = discrepancy_penalty(&Rows::new(&values, 2).unwrap(), &domains).unwrap();
        assert!(value > 0.0);
        let shift: f32 = gradient.chunks_exact(2).map(|row| row[0]).sum();
        assert!(shift.abs() < 1e-6, "moving all rows changes nothing: {gradient:?}");
        let turn: f32 = gradient
            .chunks_exact(2)
            .zip(values.chunks_exact(2))
            .map(|(slope, row)| slope[1] * row[0] - slope[0] * row[1])
            .sum();
        assert!(turn.abs() < 1e-6, "turning all rows changes nothing: {gradient:?}");
        let step: Vec<f32> = values.iter().zip(&gradient).map(|(value, slope)| value - 0.05 * slope).collect();
        assert!(discrepancy_penalty(&Rows::new(&step, 2).unwrap(), &domains).unwrap().0 < value);
    }

    #[test]
    fn a_batch_of_one_domain_has_no_penalty() {
        let rows = [0.0f32, 1.0, 2.0];
        let rows = Rows::new(&rows, 1).unwrap();
        assert_eq!(discrepancy_penalty(&rows, &[true; 3]).unwrap(), (0.0, vec![0.0; 3]));
        assert!(discrepancy_penalty(&rows, &[true; 2]).is_err());
    }
}
