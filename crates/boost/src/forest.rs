//! The forest as data: all trees in one arena of plain arrays, and the scores that it gives.
//!
//! How an arena from elsewhere is examined is in `check.rs`.

use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// Trees whose leaf values are summed onto a base, one sum for each output.
///
/// The nodes of all trees lie in one arena: entry `n` of `feature`, `threshold`, `left`, `right`, `default_left`,
/// `value` and `gain` belongs to node `n`. A value goes left when it is **less than** the threshold, compared in
/// float32; a missing value (NaN) goes left where `default_left` says so. A leaf points to itself with both `left` and
/// `right`, so that `depth` steps from a root end at a leaf whichever way they take. The value of a leaf is added
/// with the learning rate already in it; sums run in float32, from the base and then tree after tree, which is the
/// order that training summed in.
///
/// A forest from a file or a stranger is sound once [`Forest::check`] has passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forest {
    /// Columns of a row, at least 1.
    pub columns: u32,
    /// Steps from a root to the deepest leaf.
    pub depth: u32,
    /// What the sums start from, `[outputs]`.
    pub base: Vec<f32>,
    /// The first node of each tree, `[trees]`.
    pub roots: Vec<u32>,
    /// The output that each tree adds to, `[trees]`.
    pub output_of_tree: Vec<u32>,
    /// The column that a node asks about, `[nodes]`; 0 for a leaf.
    pub feature: Vec<u32>,
    /// What a node compares with, `[nodes]`; 0 for a leaf.
    pub threshold: Vec<f32>,
    /// Where a node sends what is below its threshold, `[nodes]`; a leaf's own number.
    pub left: Vec<u32>,
    /// Where a node sends the rest, `[nodes]`; a leaf's own number.
    pub right: Vec<u32>,
    /// Whether a node sends missing values left, `[nodes]`; false for a leaf.
    pub default_left: Vec<bool>,
    /// What a leaf adds, `[nodes]`; 0 for a node that is none.
    pub value: Vec<f32>,
    /// What a node's split lowered the loss by, to second order, `[nodes]`; 0 for a leaf.
    pub gain: Vec<f32>,
}

/// Rows that pass through all trees together, so that both stay in the cache.
const ROWS_TOGETHER: usize = 128;

impl Forest {
    /// Scores per row.
    pub fn outputs(&self) -> usize {
        self.base.len()
    }

    /// How many trees there are.
    pub fn trees(&self) -> usize {
        self.roots.len()
    }

    /// Raw scores `[rows, outputs]` of `features` `[rows, columns]`: values, log-odds or logits, as the objective has
    /// it. NaN is a missing value; an infinite one lies beyond every threshold.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] where the columns are not the forest's or the rows are ragged, and
    /// [`ErrorCode::Integrity`] where the arena leads out of itself, which [`Forest::check`] finds beforehand.
    pub fn predict(&self, features: &[f32], columns: usize) -> Result<Vec<f32>> {
        if columns != self.columns as usize || columns == 0 || !features.len().is_multiple_of(columns) {
            let message = format!(
                "{} values in rows of {columns} are no rows of the {} columns that the forest was grown on",
                features.len(),
                self.columns
            );
            return Err(Error::new(ErrorCode::Shape, message)
                .at_key("features")
                .fix(format!("hand in rows of {} values each", self.columns)));
        }
        let outputs = self.outputs();
        let mut scores = self.base.repeat(features.len() / columns);
        if outputs == 0 {
            return Ok(scores);
        }
        let blocks = features.chunks(ROWS_TOGETHER * columns).zip(scores.chunks_mut(ROWS_TOGETHER * outputs));
        for (features, scores) in blocks {
            for tree in 0..self.trees() {
                self.add_tree(tree, features, columns, scores).ok_or_else(|| {
                    Error::new(ErrorCode::Integrity, format!("tree {tree} leads out of the forest"))
                        .at_key("forest.roots")
                        .fix("check the forest after reading it and fetch it again if it is damaged")
                })?;
            }
        }
        Ok(scores)
    }

    /// How much each column's splits lowered the training loss together, to second order, `[columns]`.
    pub fn importance(&self) -> Vec<f64> {
        let mut importance = vec![0.0; self.columns as usize];
        for (&feature, &gain) in self.feature.iter().zip(&self.gain) {
            if let Some(sum) = importance.get_mut(feature as usize) {
                *sum += f64::from(gain);
            }
        }
        importance
    }

    /// Adds one tree to `scores` `[rows, outputs]`; `None` where it leads out of the arena.
    pub(crate) fn add_tree(&self, tree: usize, features: &[f32], columns: usize, scores: &mut [f32]) -> Option<()> {
        let root = *self.roots.get(tree)?;
        let output = *self.output_of_tree.get(tree)? as usize;
        for (row, scores) in features.chunks_exact(columns).zip(scores.chunks_exact_mut(self.outputs())) {
            *scores.get_mut(output)? += self.leaf_value(root, row)?;
        }
        Some(())
    }

    fn leaf_value(&self, root: u32, row: &[f32]) -> Option<f32> {
        let mut at = root as usize;
        for _ in 0..self.depth {
            let (left, right) = (*self.left.get(at)? as usize, *self.right.get(at)? as usize);
            if left == right {
                break;
            }
            let value = *row.get(*self.feature.get(at)? as usize)?;
            let goes_left =
                if value.is_nan() { *self.default_left.get(at)? } else { value < *self.threshold.get(at)? };
            at = if goes_left { left } else { right };
        }
        self.value.get(at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stump() -> Forest {
        Forest {
            columns: 2,
            depth: 1,
            base: vec![10.0],
            roots: vec![0],
            output_of_tree: vec![0],
            feature: vec![1, 0, 0],
            threshold: vec![0.5, 0.0, 0.0],
            left: vec![1, 1, 2],
            right: vec![2, 1, 2],
            default_left: vec![true, false, false],
            value: vec![0.0, -1.0, 2.0],
            gain: vec![4.0, 0.0, 0.0],
        }
    }

    #[test]
    fn less_than_goes_left_and_missing_where_it_is_told() {
        let forest = stump();
        let below = f32::from_bits(0.5f32.to_bits() - 1);
        let rows = [9.0, below, 9.0, 0.5, 9.0, f32::NAN, 9.0, f32::INFINITY, f32::NAN, f32::NEG_INFINITY];
        assert_eq!(forest.predict(&rows, 2).unwrap(), [9.0, 12.0, 9.0, 12.0, 9.0]);
        assert_eq!(forest.importance(), [0.0, 4.0]);
        assert!(forest.check().is_ok());
    }

    #[test]
    fn rows_of_another_width_are_refused() {
        assert_eq!(stump().predict(&[1.0, 2.0, 3.0], 3).unwrap_err().code(), ErrorCode::Shape);
        assert_eq!(stump().predict(&[1.0, 2.0, 3.0], 2).unwrap_err().code(), ErrorCode::Shape);
        assert!(stump().predict(&[], 2).unwrap().is_empty());
    }

    #[test]
    fn an_unchecked_arena_gives_an_error_and_no_panic() {
        let mut forest = stump();
        forest.left[0] = 77;
        assert_eq!(forest.predict(&[0.0, 0.0], 2).unwrap_err().code(), ErrorCode::Integrity);
    }
}
