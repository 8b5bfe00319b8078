//! A small random forest of regression trees over the unit cube (Breiman, 2001), kept as the boxes of its leaves: what
//! importance integrates over.

use crate::numbers::draw::below;
use rand_chacha::rand_core::Rng;

/// The deepest that a tree splits.
const DEEPEST: usize = 32;

/// A part of the unit cube with one value.
pub(crate) struct Leaf {
    /// From and to along each dimension.
    pub(crate) bounds: Vec<(f64, f64)>,
    /// The mean of the observations within.
    pub(crate) value: f64,
}

/// One tree: leaves that fill the cube without overlap.
pub(crate) struct Tree {
    /// The leaves.
    pub(crate) leaves: Vec<Leaf>,
}

/// `count` trees, each over as many draws with replacement as there are `points`.
pub(crate) fn grow(points: &[Vec<f64>], values: &[f64], count: usize, rng: &mut impl Rng) -> Vec<Tree> {
    (0..count)
        .map(|_| {
            let drawn: Vec<usize> = points.iter().map(|_| below(rng, points.len())).collect();
            grow_tree(points, values, drawn)
        })
        .collect()
}

fn grow_tree(points: &[Vec<f64>], values: &[f64], drawn: Vec<usize>) -> Tree {
    let dimensions = points.first().map_or(0, Vec::len);
    let mut leaves = Vec::new();
    let mut open = vec![(drawn, vec![(0.0, 1.0); dimensions], 0)];
    while let Some((members, bounds, depth)) = open.pop() {
        match best_split(points, values, &members).filter(|_| depth < DEEPEST) {
            Some((dimension, threshold)) => {
                let (left, right): (Vec<usize>, Vec<usize>) =
                    members.into_iter().partition(|&index| points[index][dimension] < threshold);
                let (mut low, mut high) = (bounds.clone(), bounds);
                low[dimension].1 = threshold;
                high[dimension].0 = threshold;
                open.push((left, low, depth + 1));
                open.push((right, high, depth + 1));
            }
            None => {
                let sum: f64 = members.iter().map(|&index| values[index]).sum();
                leaves.push(Leaf { bounds, value: sum / members.len().max(1) as f64 });
            }
        }
    }
    Tree { leaves }
}

fn coordinate(points: &[Vec<f64>], index: usize, dimension: usize) -> f64 {
    points[index][dimension]
}

/// The dimension and threshold after which the squared errors around the two means are smallest.
fn best_split(points: &[Vec<f64>], values: &[f64], members: &[usize]) -> Option<(usize, f64)> {
    let dimensions = points.first().map_or(0, Vec::len);
    let count = members.len() as f64;
    let total: f64 = members.iter().map(|&index| values[index]).sum();
    // Splitting takes away the same from every error: what the means explain is largest where the rest is smallest.
    // Below this, a split explains rounding.
    let around = members.iter().map(|&index| (values[index] - total / count).powi(2)).sum::<f64>();
    let spread = members.iter().map(|&index| values[index].powi(2)).sum::<f64>();
    if around <= 1e-12 * spread.max(f64::MIN_POSITIVE) {
        return None;
    }
    let mut best: Option<(f64, usize, f64)> = None;
    let mut order = members.to_vec();
    for dimension in 0..dimensions {
        let along = |index: usize| coordinate(points, index, dimension);
        order.sort_by(|&a, &b| along(a).total_cmp(&along(b)));
        let mut left = 0.0;
        for (place, pair) in order.windows(2).enumerate() {
            left += values[pair[0]] - total / count;
            let (from, to) = (along(pair[0]), along(pair[1]));
            let threshold = 0.5 * (from + to);
            if !(from < threshold && threshold <= to) {
                continue;
            }
            let size = place as f64 + 1.0;
            // With the mean taken off, both sides' sums are opposite.
            let explained = left * left * (1.0 / size + 1.0 / (count - size));
            if best.is_none_or(|best| explained > best.0) {
                best = Some((explained, dimension, threshold));
            }
        }
    }
    best.map(|(_, dimension, threshold)| (dimension, threshold))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::Seed;

    #[test]
    fn leaves_fill_the_cube_and_follow_the_steps() {
        let points: Vec<Vec<f64>> =
            (0..200).map(|index| vec![(index as f64 + 0.5) / 200.0, (index as f64 * 0.618).fract()]).collect();
        let values: Vec<f64> = points.iter().map(|point| if point[0] < 0.25 { 1.0 } else { 3.0 }).collect();
        let forest = grow(&points, &values, 8, &mut Seed(1).rng("forest", &[]));
        for tree in forest {
            let volume = |leaf: &Leaf| leaf.bounds.iter().map(|(from, to)| to - from).product::<f64>();
            assert!((tree.leaves.iter().map(volume).sum::<f64>() - 1.0).abs() < 1e-12);
            assert_eq!(tree.leaves.len(), 2, "one step");
            for leaf in &tree.leaves {
                assert_eq!(leaf.value, if leaf.bounds[0].0 == 0.0 { 1.0 } else { 3.0 });
            }
        }
    }
}
