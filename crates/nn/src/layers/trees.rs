//! A forest of decision trees as a layer. Nothing in it is learned by gradients; boosting grows it.

use super::{Kind, Settings};
use crate::export::Export;
use crate::forward::{Running, Value, host, only};
use crate::initialize::Start;
use crate::plan::{Planning, config};
use burn::tensor::{Device, Tensor, TensorData};
use lepton_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// Decision trees over a row, summed: `[features]` to `[outputs]`. A node sends a row left where its feature is less
/// than the threshold. Leaves point to themselves, so that `depth` steps from any root end at one.
///
/// Its numbers are kept as float32: `feature`, `threshold`, `left`, `right` and `value` of each node, the `root` and the
/// `output` of each tree, and the `base` of each output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trees {
    /// Trees.
    pub trees: usize,
    /// Nodes of all trees.
    pub nodes: usize,
    /// Steps from a root to the deepest leaf.
    pub depth: usize,
    /// Numbers out.
    pub outputs: usize,
}

impl Settings for Trees {
    const SETTINGS: &'static [&'static str] = &["trees", "nodes", "depth", "outputs"];
}

/// The parts, and which of the sizes they have: nodes, trees or outputs.
const PARTS: [&str; 8] = ["feature", "threshold", "left", "right", "value", "root", "output", "base"];

/// Whole numbers above this are no float32.
const MOST: usize = 1 << 24;

impl Trees {
    fn sizes(&self) -> [usize; 8] {
        let Trees { trees, nodes, outputs, .. } = *self;
        [nodes, nodes, nodes, nodes, nodes, trees, trees, outputs]
    }

    /// The scores of rows `[batch, features]`.
    fn scores(&self, parts: &[Vec<f32>], rows: &[f32], features: usize) -> Result<Vec<f32>> {
        let [feature, threshold, left, right, value, root, output, base] = parts else {
            return Err(Error::internal("a forest has eight parts"));
        };
        let broken = || Error::new(ErrorCode::BadData, "a tree leads out of its forest");
        let mut scores = base.repeat(rows.len() / features);
        for (row, scores) in rows.chunks_exact(features).zip(scores.chunks_exact_mut(self.outputs)) {
            for (root, output) in root.iter().zip(output) {
                let mut at = *root as usize;
                for _ in 0..self.depth {
                    let asked = *row.get(*feature.get(at).ok_or_else(broken)? as usize).ok_or_else(broken)?;
                    let side = if asked < threshold[at] { left } else { right };
                    at = side[at] as usize;
                }
                let leaf = value.get(at).ok_or_else(broken)?;
                *scores.get_mut(*output as usize).ok_or_else(broken)? += leaf;
            }
        }
        Ok(scores)
    }
}

impl Kind for Trees {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let [features] = *node.inputs[0] else {
            return Err(crate::plan::shape_error(format!("it takes [features], not {:?}", node.inputs[0])));
        };
        let Trees { trees, nodes, depth, outputs } = *self;
        if outputs == 0 || nodes > MOST || trees > nodes || features > MOST || depth > 64 {
            return Err(config(format!("{trees} trees of {nodes} nodes, depth {depth}, for {outputs} outputs")));
        }
        for (part, size) in PARTS.into_iter().zip(self.sizes()) {
            node.statistic(part, [size], Start::Zeros)?;
        }
        node.flops = (trees as u64).saturating_mul(depth as u64 + 1);
        Ok(vec![outputs])
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let x = only(inputs)?.rows()?;
        let [batch, features] = x.dims();
        let parts: Vec<Vec<f32>> = (0..PARTS.len()).map(|place| host(node.flat(place))).collect::<Result<_>>()?;
        let scores = self.scores(&parts, &host(x.inner())?, features)?;
        Ok(Value::Rows(Tensor::from_data(TensorData::new(scores, [batch, self.outputs]), &Device::flex())))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let x = inputs[0].clone();
        let whole = |node: &mut Export<'_, '_>, part: &str| -> Result<String> {
            let (shape, values) = node.parameter(part)?;
            let values = values.into_iter().map(|value| value as i64).collect();
            Ok(node.tensor(part, &lepton_core::Tensor::int64(shape, values)?))
        };
        let [feature, left, right, root] = ["feature", "left", "right", "root"];
        let (feature, left) = (whole(node, feature)?, whole(node, left)?);
        let (right, root) = (whole(node, right)?, whole(node, root)?);
        let (threshold, value) = (node.weight("threshold")?, node.weight("value")?);
        // Every row begins at every root: [batch, trees].
        let (from, one, axis) = (node.ints("from", &[0])?, node.ints("one", &[1])?, node.ints("axis", &[0])?);
        let trees = node.ints("trees", &[self.trees as i64])?;
        let shape = node.step("Shape", "shape", [x.clone()]);
        let batch = node.step("Slice", "batch", [shape, from, one, axis]);
        let wide = node.step_with("Concat", "wide", [batch, trees], |step| step.int("axis", 0));
        let mut at = node.step("Expand", "start", [root, wide]);
        for step in 0..self.depth {
            let name = |part: &str| format!("{part}{step}");
            let asked = node.step("Gather", &name("asked"), [feature.clone(), at.clone()]);
            let given = node.step_with("GatherElements", &name("given"), [x.clone(), asked], |op| op.int("axis", 1));
            let limit = node.step("Gather", &name("limit"), [threshold.clone(), at.clone()]);
            let goes_left = node.step("Less", &name("less"), [given, limit]);
            let lefts = node.step("Gather", &name("left"), [left.clone(), at.clone()]);
            let rights = node.step("Gather", &name("right"), [right.clone(), at]);
            at = node.step("Where", &name("next"), [goes_left, lefts, rights]);
        }
        let leaves = node.step("Gather", "leaves", [value, at]);
        let (_, output) = node.parameter("output")?;
        let mut sums = vec![0.0; self.trees * self.outputs];
        for (tree, output) in output.iter().enumerate() {
            sums[tree * self.outputs + *output as usize] = 1.0;
        }
        let sums = node.tensor("sums", &lepton_core::Tensor::float32([self.trees, self.outputs], sums)?);
        let total = node.step("MatMul", "total", [leaves, sums]);
        let base = node.weight("base")?;
        let last = node.last("Add", [total, base]);
        node.push(last);
        Ok(())
    }
}
