//! Sums of derivatives by bin, and the split of a leaf that they show to be best.

use crate::binning::BinnedColumn;
use crate::objective::Derivatives;
use crate::settings::BoostSettings;

/// What is known about a set of rows: the sums of their derivatives and how many they are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sums {
    pub(crate) first: f64,
    pub(crate) second: f64,
    pub(crate) rows: u32,
}

impl Sums {
    pub(crate) fn plus(self, other: Sums) -> Sums {
        Sums { first: self.first + other.first, second: self.second + other.second, rows: self.rows + other.rows }
    }

    pub(crate) fn minus(self, other: Sums) -> Sums {
        Sums {
            first: self.first - other.first,
            second: self.second - other.second,
            rows: self.rows.saturating_sub(other.rows),
        }
    }

    fn of(derivatives: &[Derivatives]) -> Sums {
        derivatives.iter().fold(Sums::default(), |sums, row| sums.plus(Sums::from(*row)))
    }

    /// The value that lowers the loss most, to second order.
    pub(crate) fn best_value(self, l2: f64) -> f64 {
        let curvature = self.second + l2;
        if curvature > 0.0 { -self.first / curvature } else { 0.0 }
    }

    /// Twice what [`Sums::best_value`] lowers the loss by.
    fn score(self, l2: f64) -> f64 {
        let curvature = self.second + l2;
        if curvature > 0.0 { self.first * self.first / curvature } else { 0.0 }
    }
}

impl From<Derivatives> for Sums {
    fn from([first, second]: Derivatives) -> Sums {
        Sums { first: f64::from(first), second: f64::from(second), rows: 1 }
    }
}

/// The sums over all of `derivatives`, in their order.
pub(crate) fn total(derivatives: &[Derivatives]) -> Sums {
    Sums::of(derivatives)
}

/// The sums of one column by bin. `derivatives` has one entry for each of `rows`.
pub(crate) fn histogram(column: &BinnedColumn, rows: &[u32], derivatives: &[Derivatives]) -> Vec<Sums> {
    // A table as long as a byte has values needs no check of each index.
    let mut bins = [Sums::default(); 256];
    for (&row, &[first, second]) in rows.iter().zip(derivatives) {
        let bin = &mut bins[usize::from(column.codes[row as usize])];
        bin.first += f64::from(first);
        bin.second += f64::from(second);
        bin.rows += 1;
    }
    bins[..column.bins()].to_vec()
}

/// A question that parts a leaf.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Split {
    /// The column, from 0.
    pub(crate) feature: u32,
    /// The first bin that goes right; 0 parts missing values from all others.
    pub(crate) first_right: u8,
    /// Where missing values go.
    pub(crate) missing_left: bool,
    /// What the split lowers the loss by, to second order.
    pub(crate) gain: f64,
    pub(crate) left: Sums,
    pub(crate) right: Sums,
}

/// The best split of a leaf by one column, if any is allowed (Chen and Guestrin, XGBoost, KDD 2016, equation 7 and
/// algorithm 3). Of equally good splits the first is taken.
pub(crate) fn best_split(
    feature: u32,
    column: &BinnedColumn,
    histogram: &[Sums],
    leaf: Sums,
    settings: &BoostSettings,
) -> Option<Split> {
    let missing = histogram[usize::from(column.missing())];
    let values = leaf.minus(missing);
    let whole = leaf.score(settings.l2);
    let mut best: Option<Split> = None;
    let mut offer = |first_right: u8, missing_left: bool, left: Sums| {
        let right = leaf.minus(left);
        let large =
            |side: Sums| side.rows as usize >= settings.min_rows_per_leaf && side.second >= settings.min_child_weight;
        if !large(left) || !large(right) {
            return;
        }
        let gain = (left.score(settings.l2) + right.score(settings.l2) - whole) / 2.0;
        // A gain within rounding of nothing is none.
        let least = settings.min_gain.max(1e-12 * whole).max(f64::MIN_POSITIVE);
        if gain > least && best.is_none_or(|best| gain > best.gain) {
            best = Some(Split { feature, first_right, missing_left, gain, left, right });
        }
    };
    if missing.rows > 0 && values.rows > 0 {
        offer(0, true, missing);
    }
    let mut below = Sums::default();
    for (bin, &sums) in histogram[..column.cuts.len()].iter().enumerate() {
        below = below.plus(sums);
        if sums.rows == 0 {
            continue;
        }
        let first_right = bin as u8 + 1;
        if missing.rows == 0 {
            // Nothing is known of missing values here: they follow most of the rows.
            offer(first_right, 2 * below.rows > values.rows, below);
        } else {
            offer(first_right, false, below);
            offer(first_right, true, below.plus(missing));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binning::bin_columns;
    use lepton_core::Seed;

    fn split_of(values: &[f32], targets: &[f32]) -> Option<Split> {
        let settings = BoostSettings { min_rows_per_leaf: 1, l2: 0.0, ..BoostSettings::default() };
        let column = &bin_columns(values, 1, 255, Seed(0))[0];
        let derivatives: Vec<Derivatives> = targets.iter().map(|target| [-target, 1.0]).collect();
        let rows: Vec<u32> = (0..values.len() as u32).collect();
        let histogram = histogram(column, &rows, &derivatives);
        best_split(0, column, &histogram, total(&derivatives), &settings)
    }

    #[test]
    fn the_step_of_a_step_function_is_found() {
        let split = split_of(&[4.0, 1.0, 2.0, 3.0, 5.0], &[1.0, -1.0, -1.0, 1.0, 1.0]).unwrap();
        assert_eq!((split.first_right, split.left.rows, split.right.rows), (2, 2, 3));
        // 2 * 1 / 2 + 3 * 3 / 3 / 2 - 1 / 5 / 2
        assert!((split.gain - (1.0 + 1.5 - 0.1)).abs() < 1e-12);
        assert!(!split.missing_left, "missing values follow most of the rows");
    }

    #[test]
    fn missing_values_go_where_they_fit_better() {
        let values = [1.0, 2.0, 3.0, 4.0, f32::NAN];
        assert!(split_of(&values, &[-1.0, -1.0, 1.0, 1.0, -1.0]).unwrap().missing_left);
        assert!(!split_of(&values, &[-1.0, -1.0, 1.0, 1.0, 1.0]).unwrap().missing_left);
        let alone = split_of(&values, &[1.0, 1.0, 1.0, 1.0, -5.0]).unwrap();
        assert_eq!((alone.first_right, alone.missing_left, alone.left.rows), (0, true, 1));
    }

    #[test]
    fn nothing_is_split_for_no_gain() {
        assert_eq!(split_of(&[1.0, 2.0, 3.0], &[0.1, 0.1, 0.1]), None);
        assert_eq!(split_of(&[1.0, 1.0], &[0.0, 1.0]), None);
        assert_eq!(split_of(&[f32::NAN, f32::NAN], &[0.0, 1.0]), None);
    }
}
