//! One tree, grown leaf by leaf: the leaf whose split gains most is split next (Shi, Best-first Decision Tree
//! Learning, 2007). The histogram of the larger child is its parent's less its sister's.
//!
//! Threads share the columns and never the rows of a sum, so a tree does not depend on how many they are.

use crate::binning::BinnedColumn;
use crate::histogram::{Split, Sums, best_split, histogram, total};
use crate::objective::Derivatives;
use crate::settings::BoostSettings;
use rayon::prelude::*;
use std::ops::Range;

/// A node of a tree that is being grown; its number is its place in [`Grown::nodes`].
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// How the node is split and its children; `None` for a leaf.
    pub(crate) split: Option<(Split, [usize; 2])>,
    /// The best value of the node's rows, not yet shrunk by the learning rate.
    pub(crate) value: f64,
}

/// A grown tree and where the rows that it was grown on ended.
pub(crate) struct Grown {
    /// The root first, children after their parents.
    pub(crate) nodes: Vec<Node>,
    /// The rows, those of one leaf side by side.
    pub(crate) rows: Vec<u32>,
    /// The leaves: number of the node, its part of `rows`.
    pub(crate) leaves: Vec<(usize, Range<usize>)>,
    /// Splits between the root and the deepest leaf.
    pub(crate) depth: usize,
}

impl Grown {
    /// The leaf that a training row belongs to.
    pub(crate) fn leaf_of(&self, columns: &[BinnedColumn], row: usize) -> usize {
        let mut at = 0;
        while let Some((split, [left, right])) = &self.nodes[at].split {
            at = if goes_left(split, &columns[split.feature as usize], row) { *left } else { *right };
        }
        at
    }
}

/// A leaf that may be split further.
struct Leaf {
    node: usize,
    rows: Range<usize>,
    level: usize,
    /// The sums by bin of each column that the tree may split on.
    histograms: Vec<Vec<Sums>>,
    best: Option<Split>,
}

/// Work below this many rows times columns is not worth a second thread.
const WORTH_SHARING: usize = 16_384;

/// Grows one tree on `rows` with the columns named in `allowed`; `None` where not even the root can be split.
/// `derivatives` has an entry for every training row.
pub(crate) fn grow(
    columns: &[BinnedColumn],
    allowed: &[u32],
    mut rows: Vec<u32>,
    derivatives: &[Derivatives],
    settings: &BoostSettings,
) -> Option<Grown> {
    let grower = Grower { columns, allowed, settings };
    let mut gathered = gather(&rows, derivatives);
    let sums = total(&gathered);
    let root = grower.root(&rows, &gathered, sums);
    root.best?;
    let mut nodes = vec![Node { split: None, value: sums.best_value(settings.l2) }];
    let mut leaves = vec![root];
    let mut depth = 0;
    while leaves.len() < settings.max_leaves {
        let Some((at, split)) = most_gain(&leaves) else { break };
        let leaf = leaves.swap_remove(at);
        let column = &columns[split.feature as usize];
        let left_rows = part(&mut rows[leaf.rows.clone()], |row| goes_left(&split, column, row as usize));
        let middle = leaf.rows.start + left_rows;
        let children = [nodes.len(), nodes.len() + 1];
        nodes[leaf.node].split = Some((split, children));
        for sums in [split.left, split.right] {
            nodes.push(Node { split: None, value: sums.best_value(settings.l2) });
        }
        let level = leaf.level + 1;
        depth = depth.max(level);
        let child = |side: usize, rows: Range<usize>| Leaf {
            node: children[side],
            rows,
            level,
            histograms: Vec::new(),
            best: None,
        };
        let mut pair = [child(0, leaf.rows.start..middle), child(1, middle..leaf.rows.end)];
        // The last split needs no look at its children.
        let last = leaves.len() + 2 >= settings.max_leaves;
        let wanted = [split.left, split.right].map(|sums| !last && grower.may_split(level, sums));
        if wanted[0] || wanted[1] {
            let smaller = usize::from(pair[1].rows.len() < pair[0].rows.len());
            let its_rows = &rows[pair[smaller].rows.clone()];
            gathered.clear();
            gathered.extend(its_rows.iter().map(|&row| derivatives[row as usize]));
            let sums = if smaller == 0 { [split.left, split.right] } else { [split.right, split.left] };
            let wanted = [wanted[smaller], wanted[1 - smaller]];
            let [small, large] = grower.children(leaf.histograms, its_rows, &gathered, sums, wanted);
            (pair[smaller].histograms, pair[smaller].best) = small;
            (pair[1 - smaller].histograms, pair[1 - smaller].best) = large;
        }
        leaves.extend(pair);
    }
    let mut leaves: Vec<_> = leaves.into_iter().map(|leaf| (leaf.node, leaf.rows)).collect();
    leaves.sort_unstable_by_key(|(node, _)| *node);
    Some(Grown { nodes, rows, leaves, depth })
}

/// A leaf's histograms and its best split.
type Examined = (Vec<Vec<Sums>>, Option<Split>);

struct Grower<'a> {
    columns: &'a [BinnedColumn],
    allowed: &'a [u32],
    settings: &'a BoostSettings,
}

impl Grower<'_> {
    fn may_split(&self, level: usize, sums: Sums) -> bool {
        level < self.settings.max_depth && sums.rows as usize >= 2 * self.settings.min_rows_per_leaf
    }

    fn root(&self, rows: &[u32], gathered: &[Derivatives], sums: Sums) -> Leaf {
        let examine = |&feature: &u32| {
            let column = &self.columns[feature as usize];
            let histogram = histogram(column, rows, gathered);
            let best = best_split(feature, column, &histogram, sums, self.settings);
            (histogram, best)
        };
        let (histograms, splits): (Vec<_>, Vec<_>) = if rows.len() * self.allowed.len() < WORTH_SHARING {
            self.allowed.iter().map(examine).unzip()
        } else {
            self.allowed.par_iter().map(examine).unzip()
        };
        Leaf { node: 0, rows: 0..rows.len(), level: 0, histograms, best: first_best(splits) }
    }

    /// Examines the smaller child by its `rows` and the larger by what is left of its `parent`.
    fn children(
        &self,
        mut parent: Vec<Vec<Sums>>,
        rows: &[u32],
        gathered: &[Derivatives],
        sums: [Sums; 2],
        wanted: [bool; 2],
    ) -> [Examined; 2] {
        let examine = |(&feature, larger): (&u32, &mut Vec<Sums>)| {
            let column = &self.columns[feature as usize];
            let smaller = histogram(column, rows, gathered);
            for (larger, smaller) in larger.iter_mut().zip(&smaller) {
                *larger = larger.minus(*smaller);
            }
            let best = |wanted: bool, histogram: &[Sums], sums: Sums| {
                if wanted { best_split(feature, column, histogram, sums, self.settings) } else { None }
            };
            let splits = (best(wanted[0], &smaller, sums[0]), best(wanted[1], larger, sums[1]));
            (smaller, splits)
        };
        let (small, splits): (Vec<_>, Vec<_>) = if rows.len() * self.allowed.len() < WORTH_SHARING {
            self.allowed.iter().zip(&mut parent).map(examine).unzip()
        } else {
            self.allowed.par_iter().zip(&mut parent).map(examine).unzip()
        };
        let (small_splits, large_splits): (Vec<_>, Vec<_>) = splits.into_iter().unzip();
        // A leaf that cannot be split keeps no histogram: with many columns they are most of the memory.
        let examined = |histograms: Vec<Vec<Sums>>, best: Option<Split>| {
            (if best.is_some() { histograms } else { Vec::new() }, best)
        };
        [examined(small, first_best(small_splits)), examined(parent, first_best(large_splits))]
    }
}

fn goes_left(split: &Split, column: &BinnedColumn, row: usize) -> bool {
    let code = column.codes[row];
    if code == column.missing() { split.missing_left } else { code < split.first_right }
}

fn gather(rows: &[u32], derivatives: &[Derivatives]) -> Vec<Derivatives> {
    rows.iter().map(|&row| derivatives[row as usize]).collect()
}

fn first_best(splits: Vec<Option<Split>>) -> Option<Split> {
    let better = |best: Split, next: Split| if next.gain > best.gain { next } else { best };
    splits.into_iter().flatten().reduce(better)
}

/// The place of the leaf whose split gains most; of equals, the one that was grown first.
fn most_gain(leaves: &[Leaf]) -> Option<(usize, Split)> {
    let splits = leaves.iter().enumerate().filter_map(|(at, leaf)| leaf.best.map(|best| (at, best)));
    splits.min_by(|(at, best), (other_at, other)| {
        other.gain.total_cmp(&best.gain).then(leaves[*at].node.cmp(&leaves[*other_at].node))
    })
}

/// Moves the rows that go left before the others, both in their order, and says how many go left.
fn part(rows: &mut [u32], left: impl Fn(u32) -> bool) -> usize {
    let mut right = Vec::with_capacity(rows.len());
    let mut kept = 0;
    for at in 0..rows.len() {
        let row = rows[at];
        if left(row) {
            rows[kept] = row;
            kept += 1;
        } else {
            right.push(row);
        }
    }
    rows[kept..].copy_from_slice(&right);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binning::bin_columns;
    use lepton_core::Seed;

    #[test]
    fn rows_end_in_the_leaf_that_their_codes_lead_to() {
        let features: Vec<f32> = (0..600).map(|index| ((index * 7919) % 101) as f32).collect();
        let features: Vec<f32> = features.iter().map(|&x| if x == 50.0 { f32::NAN } else { x }).collect();
        let columns = bin_columns(&features, 3, 32, Seed(0));
        let derivatives: Vec<Derivatives> =
            features.chunks(3).map(|row| [row[0].max(3.0) - row[1].max(0.0) * 0.5, 1.0]).collect();
        let settings = BoostSettings { min_rows_per_leaf: 3, max_leaves: 16, max_depth: 5, ..BoostSettings::default() };
        let grown = grow(&columns, &[0, 1, 2], (0..200).collect(), &derivatives, &settings).unwrap();
        assert!((10..=16).contains(&grown.leaves.len()), "{}", grown.leaves.len());
        assert_eq!(grown.nodes.len(), 2 * grown.leaves.len() - 1);
        assert!(grown.depth <= 5);
        let mut seen = 0;
        for (node, range) in &grown.leaves {
            assert!(range.len() >= 3);
            let rows = &grown.rows[range.clone()];
            let gathered = gather(rows, &derivatives);
            let expected = total(&gathered).best_value(settings.l2);
            assert!((grown.nodes[*node].value - expected).abs() < 1e-9);
            for &row in rows {
                assert_eq!(grown.leaf_of(&columns, row as usize), *node);
                seen += 1;
            }
        }
        assert_eq!(seen, 200);
    }

    #[test]
    fn parting_keeps_the_order_of_both_sides() {
        let mut rows = [5, 2, 9, 4, 7];
        assert_eq!(part(&mut rows, |row| row % 2 == 0), 2);
        assert_eq!(rows, [2, 4, 5, 9, 7]);
    }
}
