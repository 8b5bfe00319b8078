//! Which dimensions matter: the share of the variance of what was seen that each explains by itself.
//!
//! A random forest learns the values from the points; the variance of each of its trees is then taken apart exactly,
//! leaf by leaf, over the whole space rather than over where the trials happen to lie (functional ANOVA: Hutter, Hoos
//! and Leyton-Brown, "An Efficient Approach for Assessing Hyperparameter Importance", 2014).

use crate::forest::{Tree, grow};
use crate::space::Space;
use crate::trial::{State, Trial};
use lepton_core::{Error, ErrorCode, Result, Seed};
use std::collections::BTreeMap;

/// Trees of the forest.
const TREES: usize = 64;

/// Complete trials below which there is nothing to say.
const FEWEST: usize = 4;

/// The importance of each dimension of `space` for objective number `objective` (from 0): shares from 0 to 1 that sum
/// to 1, by dotted key. What only a combination of dimensions explains counts for none of them. A dimension that does
/// not apply to a trial counts as lying in its middle there. Where nothing explains anything, all are equal.
///
/// # Errors
/// [`ErrorCode::BadInput`] with fewer than four complete trials of finite value within the space; [`ErrorCode::Config`]
/// where the space is wrong.
pub fn importance(space: &Space, history: &[Trial], objective: usize, seed: Seed) -> Result<BTreeMap<String, f64>> {
    space.validate()?;
    let order = space.order()?;
    let mut complete: Vec<&Trial> = history.iter().filter(|trial| trial.state == State::Complete).collect();
    complete.sort_by_key(|trial| trial.number);
    let (mut points, mut values) = (Vec::new(), Vec::new());
    for trial in complete.into_iter().filter(|trial| space.contains(&trial.point)) {
        let Some(value) = trial.values.get(objective).copied().filter(|value| value.is_finite()) else { continue };
        let coordinates = space.coordinates(&trial.point)?;
        points.push(coordinates.into_iter().map(|coordinate| coordinate.unwrap_or(0.5)).collect::<Vec<f64>>());
        values.push(value);
    }
    if points.len() < FEWEST {
        return Err(Error::new(
            ErrorCode::BadInput,
            format!("{} complete trials are too few to tell what matters", points.len()),
        )
        .fix(format!("run at least {FEWEST}; a few dozen tell much more")));
    }
    for (dimension, key) in order.iter().enumerate() {
        if let (true, Some(count)) = (space.dimensions[*key].domain.is_choice(), space.dimensions[*key].domain.count())
        {
            arrange_choices(&mut points, &values, dimension, count as usize);
        }
    }
    let forest = grow(&points, &values, TREES, &mut seed.rng("tune importance", &[objective as u64]));
    let mut shares = vec![0.0; order.len()];
    for tree in &forest {
        let explained = explained(tree, order.len());
        let total: f64 = explained.iter().sum();
        // Each tree has one vote, whatever its variance.
        if total > 0.0 {
            shares.iter_mut().zip(&explained).for_each(|(share, variance)| *share += variance / total);
        }
    }
    let total: f64 = shares.iter().sum();
    let share = |share: f64| if total > 0.0 { share / total } else { 1.0 / order.len() as f64 };
    Ok(order.iter().zip(shares).map(|(key, value)| ((*key).to_owned(), share(value))).collect())
}

/// Moves the `count` choices of a dimension so that their mean values rise: the cut between two neighbours is then the
/// best there is between any two sets of them (Breiman et al., "Classification and Regression Trees", 1984), and each
/// choice keeps its share of the dimension.
fn arrange_choices(points: &mut [Vec<f64>], values: &[f64], dimension: usize, count: usize) {
    let cell = |coordinate: f64| ((coordinate * count as f64) as usize).min(count.saturating_sub(1));
    let overall = values.iter().sum::<f64>() / values.len() as f64;
    let mut sums = vec![(0.0, 0.0); count];
    for (point, value) in points.iter().zip(values) {
        let (sum, seen) = &mut sums[cell(point[dimension])];
        (*sum, *seen) = (*sum + value, *seen + 1.0);
    }
    let means: Vec<f64> = sums.into_iter().map(|(sum, seen)| if seen > 0.0 { sum / seen } else { overall }).collect();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| means[a].total_cmp(&means[b]));
    let mut places = vec![0; count];
    order.into_iter().enumerate().for_each(|(place, choice)| places[choice] = place);
    for point in points {
        point[dimension] = (places[cell(point[dimension])] as f64 + 0.5) / count as f64;
    }
}

/// The variance of a tree's mean along each dimension, the others averaged over.
fn explained(tree: &Tree, dimensions: usize) -> Vec<f64> {
    let volume = |bounds: &[(f64, f64)]| bounds.iter().map(|(from, to)| to - from).product::<f64>();
    let mean: f64 = tree.leaves.iter().map(|leaf| leaf.value * volume(&leaf.bounds)).sum();
    (0..dimensions)
        .map(|dimension| {
            let mut edges: Vec<f64> =
                tree.leaves.iter().flat_map(|leaf| [leaf.bounds[dimension].0, leaf.bounds[dimension].1]).collect();
            edges.sort_by(f64::total_cmp);
            edges.dedup();
            // The mean changes at edges only: each leaf adds its part at its first edge and takes it off at its last.
            let mut changes = vec![0.0; edges.len()];
            for leaf in &tree.leaves {
                let (from, to) = leaf.bounds[dimension];
                let part = (leaf.value - mean) * volume(&leaf.bounds) / (to - from);
                changes[edges.partition_point(|edge| *edge < from)] += part;
                changes[edges.partition_point(|edge| *edge < to)] -= part;
            }
            let mut level = 0.0;
            edges
                .windows(2)
                .zip(&changes)
                .map(|(pair, change)| {
                    level += change;
                    (pair[1] - pair[0]) * level * level
                })
                .sum()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::Leaf;
    use crate::{Direction, Point, Sampler};

    const SPACE: &str = r#"{ "a": { "low": 0.0, "high": 1.0 }, "b": { "low": 1e-4, "high": 1.0, "log": true },
        "c": { "low": 1, "high": 9 }, "d": { "choices": ["x", "y", "z"] }, "e": { "low": -3.0, "high": 3.0 } }"#;

    fn measured(count: u64, sampler: &Sampler, value: impl Fn(&Point) -> f64) -> BTreeMap<String, f64> {
        let space: Space = serde_json::from_str(SPACE).unwrap();
        let mut history = Vec::new();
        for number in 0..count {
            let point = sampler.suggest(&space, &[Direction::Minimize], &history, number, Seed(8)).unwrap();
            let values = vec![value(&point)];
            history.push(Trial { number, point, state: State::Complete, values, steps: Vec::new() });
        }
        let shares = importance(&space, &history, 0, Seed(1)).unwrap();
        assert!((shares.values().sum::<f64>() - 1.0).abs() < 1e-12, "{shares:?}");
        shares
    }

    type Loss = fn(&Point) -> f64;

    fn number(point: &Point, key: &str) -> f64 {
        point[key].as_f64().unwrap()
    }

    #[test]
    fn the_one_dimension_that_matters_is_named() {
        let kinds: [(&str, Loss); 4] = [
            ("a", |point| (number(point, "a") - 0.3).powi(2)),
            ("b", |point| number(point, "b").log10().abs()),
            ("c", |point| -number(point, "c")),
            ("d", |point| f64::from(u8::from(point["d"] == "y"))),
        ];
        for (key, value) in kinds {
            for sampler in [Sampler::Random {}, Sampler::default()] {
                let shares = measured(60, &sampler, value);
                assert!(shares[key] > 0.8, "{key}: {shares:?}");
            }
        }
    }

    #[test]
    fn shares_of_a_sum_are_those_of_its_variances() {
        // Over the unit interval 2a has four times the variance of the logarithm's coordinate.
        let shares =
            measured(400, &Sampler::Random {}, |point| 2.0 * number(point, "a") + number(point, "b").log10() / 4.0);
        assert!((shares["a"] - 0.8).abs() < 0.04 && (shares["b"] - 0.2).abs() < 0.04, "{shares:?}");
    }

    #[test]
    fn a_tree_is_taken_apart_exactly() {
        // 0 on the left half, on the right half 2 below and 6 above: the mean is 2.
        let leaf = |a: (f64, f64), b: (f64, f64), value: f64| Leaf { bounds: vec![a, b], value };
        let tree = Tree {
            leaves: vec![
                leaf((0.0, 0.5), (0.0, 1.0), 0.0),
                leaf((0.5, 1.0), (0.0, 0.5), 2.0),
                leaf((0.5, 1.0), (0.5, 1.0), 6.0),
            ],
        };
        let variances = explained(&tree, 2);
        assert!((variances[0] - 4.0).abs() < 1e-12 && (variances[1] - 1.0).abs() < 1e-12, "{variances:?}");
    }

    #[test]
    fn nothing_to_tell_is_said() {
        let shares = measured(20, &Sampler::Random {}, |_| 1.0);
        assert!(shares.values().all(|share| (share - 0.2).abs() < 1e-12), "{shares:?}");
        let space: Space = serde_json::from_str(SPACE).unwrap();
        assert_eq!(importance(&space, &[], 0, Seed(1)).unwrap_err().code(), ErrorCode::BadInput);
    }
}
