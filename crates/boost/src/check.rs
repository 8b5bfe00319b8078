//! Whether an arena that somebody else wrote is a forest: every index in range, every node in one tree, no way that
//! does not end at a leaf within the depth.

use crate::forest::Forest;
use lepton_core::{Error, ErrorCode, Result};

/// The deepest tree that is read. Ours have 64 steps at most; others' may be deeper, but each step of the depth
/// costs every row time in engines that walk a fixed number of steps.
const DEEPEST: u32 = 4096;

impl Forest {
    /// Checks that the arena is sound. Time and memory grow with the number of nodes only.
    ///
    /// # Errors
    /// [`ErrorCode::Integrity`], naming the array and, where there is one, the node.
    pub fn check(&self) -> Result<()> {
        self.check_lengths()?;
        self.check_values()?;
        self.check_shape()
    }

    fn check_lengths(&self) -> Result<()> {
        let nodes = self.feature.len();
        let lengths = [
            ("threshold", self.threshold.len(), nodes),
            ("left", self.left.len(), nodes),
            ("right", self.right.len(), nodes),
            ("default_left", self.default_left.len(), nodes),
            ("value", self.value.len(), nodes),
            ("gain", self.gain.len(), nodes),
            ("output_of_tree", self.output_of_tree.len(), self.roots.len()),
        ];
        for (key, length, expected) in lengths {
            if length != expected {
                return Err(damaged(key, format!("{length} entries where {expected} belong")));
            }
        }
        if u32::try_from(nodes).is_err() {
            return Err(damaged("feature", format!("{nodes} nodes are too many to be numbered")));
        }
        if self.columns == 0 {
            return Err(damaged("columns", "a row has no columns".to_owned()));
        }
        if self.base.is_empty() {
            return Err(damaged("base", "there is no output".to_owned()));
        }
        if self.depth > DEEPEST {
            return Err(damaged("depth", format!("{} steps are more than {DEEPEST}", self.depth)));
        }
        Ok(())
    }

    fn check_values(&self) -> Result<()> {
        let outputs = self.outputs();
        if let Some(output) = self.output_of_tree.iter().find(|&&output| output as usize >= outputs) {
            return Err(damaged("output_of_tree", format!("output {output} where there are {outputs}")));
        }
        if let Some(at) = self.feature.iter().position(|&feature| feature >= self.columns) {
            return Err(at_node(damaged("feature", format!("column {} of {}", self.feature[at], self.columns)), at));
        }
        for (key, values) in [("threshold", &self.threshold), ("value", &self.value), ("gain", &self.gain)] {
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                return Err(at_node(damaged(key, format!("{} is no finite number", values[at])), at));
            }
        }
        if let Some(value) = self.base.iter().find(|value| !value.is_finite()) {
            return Err(damaged("base", format!("{value} is no finite number")));
        }
        Ok(())
    }

    /// Walks every tree once. A node that is reached twice is a cycle or shared by two parents.
    fn check_shape(&self) -> Result<()> {
        let nodes = self.feature.len();
        let mut reached = vec![false; nodes];
        let mut deepest = 0;
        for &root in &self.roots {
            let mut ahead = vec![(root, 0)];
            while let Some((node, level)) = ahead.pop() {
                let at = node as usize;
                match reached.get_mut(at) {
                    None => return Err(damaged("roots", format!("a tree leads to node {node} of {nodes}"))),
                    Some(true) => return Err(at_node(damaged("left", "two ways lead to a node".to_owned()), at)),
                    Some(fresh) => *fresh = true,
                }
                deepest = deepest.max(level);
                let (left, right) = (self.left[at], self.right[at]);
                if (left == node) != (right == node) {
                    return Err(at_node(damaged("left", "a node is its own child on one side only".to_owned()), at));
                }
                if left != node {
                    if level == self.depth {
                        let message = format!("a way takes more than the {} steps of the depth", self.depth);
                        return Err(at_node(damaged("depth", message), at));
                    }
                    ahead.extend([(right, level + 1), (left, level + 1)]);
                }
            }
        }
        if let Some(at) = reached.iter().position(|reached| !reached) {
            return Err(at_node(damaged("roots", "no tree leads to a node".to_owned()), at));
        }
        if deepest != self.depth {
            return Err(damaged("depth", format!("{} where the deepest leaf is {deepest} steps away", self.depth)));
        }
        Ok(())
    }
}

fn damaged(key: &str, message: String) -> Error {
    Error::new(ErrorCode::Integrity, format!("the forest is damaged: {message}"))
        .at_key(format!("forest.{key}"))
        .fix("fetch the file again, or train the forest anew")
}

fn at_node(error: Error, node: usize) -> Error {
    error.at_node(node.to_string())
}
