//! Several objectives at once: which points are dominated by none, in what order, and how much they dominate.

use crate::trial::Direction;
use lepton_core::{Error, ErrorCode, Result};

/// The rank of each row of `values` (one value per objective): 0 for rows that no other row dominates, 1 for those
/// that only rows of rank 0 dominate, and so on (Goldberg, 1989). A row dominates another one where it is nowhere
/// worse and somewhere better.
///
/// # Errors
/// [`ErrorCode::BadInput`] where a row has another count of values than there are directions.
pub fn non_domination_ranks(values: &[Vec<f64>], directions: &[Direction]) -> Result<Vec<usize>> {
    Ok(ranks(&losses(values, directions)?))
}

/// The rows of `values` that no other row dominates, in their order.
///
/// # Errors
/// [`ErrorCode::BadInput`] where a row has another count of values than there are directions.
pub fn pareto_front(values: &[Vec<f64>], directions: &[Direction]) -> Result<Vec<usize>> {
    let losses = losses(values, directions)?;
    Ok((0..losses.len()).filter(|&index| !losses.iter().any(|other| dominates(other, &losses[index]))).collect())
}

/// The area that two objectives' rows dominate, as far as `reference`, which should be worse than what matters
/// (Zitzler and Thiele, 1998). Rows that are not better than it in both add nothing.
///
/// # Errors
/// [`ErrorCode::Unsupported`] for another count of objectives than two, [`ErrorCode::BadInput`] where a row has another
/// count of values.
pub fn hypervolume(values: &[Vec<f64>], directions: &[Direction], reference: &[f64]) -> Result<f64> {
    if directions.len() != 2 {
        return Err(Error::new(
            ErrorCode::Unsupported,
            format!("the hypervolume is of two objectives, not {}", directions.len()),
        )
        .fix("compare the objectives two by two"));
    }
    let corner = losses(&[reference.to_vec()], directions)?.swap_remove(0);
    let mut rows = losses(values, directions)?;
    rows.retain(|row| row[0] < corner[0] && row[1] < corner[1]);
    rows.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    let (mut area, mut height) = (0.0, corner[1]);
    for row in rows {
        if row[1] < height {
            area += (corner[0] - row[0]) * (height - row[1]);
            height = row[1];
        }
    }
    Ok(area)
}

/// The rows of `losses`, best first: by rank, and within a rank by how far the neighbours along each objective are
/// apart, the loneliest first (crowding distance: Deb et al., "NSGA-II", 2002).
pub(crate) fn by_rank_and_crowding(losses: &[Vec<f64>]) -> Vec<usize> {
    let ranks = ranks(losses);
    let mut crowding = vec![0.0f64; losses.len()];
    let objectives = losses.first().map_or(0, Vec::len);
    for rank in 0..=ranks.iter().copied().max().unwrap_or(0) {
        let mut members: Vec<usize> = (0..losses.len()).filter(|&index| ranks[index] == rank).collect();
        for objective in 0..objectives {
            let along = |index: usize| cell(losses, index, objective);
            members.sort_by(|&a, &b| along(a).total_cmp(&along(b)));
            let (Some(&first), Some(&last)) = (members.first(), members.last()) else { continue };
            let width = along(last) - along(first);
            crowding[first] = f64::INFINITY;
            crowding[last] = f64::INFINITY;
            for window in members.windows(3) {
                let apart = along(window[2]) - along(window[0]);
                if width > 0.0 && width.is_finite() {
                    crowding[window[1]] += apart / width;
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..losses.len()).collect();
    order.sort_by(|&a, &b| ranks[a].cmp(&ranks[b]).then(crowding[b].total_cmp(&crowding[a])));
    order
}

fn cell(rows: &[Vec<f64>], row: usize, column: usize) -> f64 {
    rows[row][column]
}

fn ranks(losses: &[Vec<f64>]) -> Vec<usize> {
    let mut ranks = vec![usize::MAX; losses.len()];
    let mut rest: Vec<usize> = (0..losses.len()).collect();
    let mut rank = 0;
    while !rest.is_empty() {
        let front: Vec<usize> = rest
            .iter()
            .copied()
            .filter(|&index| !rest.iter().any(|&other| dominates(&losses[other], &losses[index])))
            .collect();
        front.iter().for_each(|&index| ranks[index] = rank);
        rest.retain(|&index| ranks[index] == usize::MAX);
        rank += 1;
    }
    ranks
}

fn dominates(left: &[f64], right: &[f64]) -> bool {
    left.iter().zip(right).all(|(a, b)| a <= b) && left.iter().zip(right).any(|(a, b)| a < b)
}

fn losses(values: &[Vec<f64>], directions: &[Direction]) -> Result<Vec<Vec<f64>>> {
    if let Some(row) = values.iter().find(|row| row.len() != directions.len()) {
        return Err(Error::new(
            ErrorCode::BadInput,
            format!("{} values where there are {} objectives", row.len(), directions.len()),
        ));
    }
    let row = |row: &Vec<f64>| row.iter().zip(directions).map(|(value, direction)| direction.loss(*value)).collect();
    Ok(values.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINIMIZE: [Direction; 2] = [Direction::Minimize; 2];

    fn rows(values: &[[f64; 2]]) -> Vec<Vec<f64>> {
        values.iter().map(|row| row.to_vec()).collect()
    }

    #[test]
    fn ranks_fronts_and_areas_are_those_of_optuna() {
        let reference: serde_json::Value = serde_json::from_str(include_str!("../tests/data/pareto.json")).unwrap();
        for case in reference["cases"].as_array().unwrap() {
            let values: Vec<Vec<f64>> = serde_json::from_value(case["values"].clone()).unwrap();
            let directions: Vec<Direction> = serde_json::from_value(case["directions"].clone()).unwrap();
            let expected: Vec<usize> = serde_json::from_value(case["ranks"].clone()).unwrap();
            let front: Vec<usize> = (0..values.len()).filter(|&index| expected[index] == 0).collect();
            assert_eq!(non_domination_ranks(&values, &directions).unwrap(), expected);
            assert_eq!(pareto_front(&values, &directions).unwrap(), front);
            if let Some(area) = case["hypervolume"].as_f64() {
                let corner: Vec<f64> = serde_json::from_value(case["reference"].clone()).unwrap();
                let got = hypervolume(&values, &directions, &corner).unwrap();
                assert!((got - area).abs() < 1e-9 * area.max(1.0), "{got} {area}");
            }
        }
    }

    #[test]
    fn equal_rows_share_a_rank_and_lonely_rows_come_first() {
        let values = rows(&[[1.0, 2.0], [1.0, 2.0], [2.0, 1.0], [2.0, 2.0]]);
        assert_eq!(non_domination_ranks(&values, &MINIMIZE).unwrap(), [0, 0, 0, 1]);
        let line = rows(&[[0.0, 1.0], [0.1, 0.9], [0.12, 0.88], [0.6, 0.4], [1.0, 0.0], [2.0, 2.0]]);
        let order = by_rank_and_crowding(&line);
        assert_eq!((order[2], order[5]), (3, 5), "{order:?}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(pareto_front(&[vec![1.0]], &MINIMIZE).is_err());
        assert!(hypervolume(&rows(&[[1.0, 1.0]]), &MINIMIZE, &[1.0]).is_err());
        assert_eq!(
            hypervolume(&[vec![1.0]], &[Direction::Minimize], &[2.0]).unwrap_err().code(),
            ErrorCode::Unsupported
        );
        assert_eq!(hypervolume(&rows(&[[3.0, 0.0]]), &MINIMIZE, &[2.0, 2.0]).unwrap(), 0.0);
    }

    proptest! {
        #[test]
        fn a_further_row_never_takes_area_away(values in prop::collection::vec([0.0..1.0f64, 0.0..1.0f64], 1..20)) {
            let values = rows(&values);
            let all = hypervolume(&values, &MINIMIZE, &[1.0, 1.0]).unwrap();
            let fewer = hypervolume(&values[1..], &MINIMIZE, &[1.0, 1.0]).unwrap();
            prop_assert!(all >= fewer && (0.0..=1.0).contains(&all));
            let front: Vec<Vec<f64>> =
                pareto_front(&values, &MINIMIZE).unwrap().into_iter().map(|index| values[index].clone()).collect();
            prop_assert!((hypervolume(&front, &MINIMIZE, &[1.0, 1.0]).unwrap() - all).abs() < 1e-12);
        }
    }
}
