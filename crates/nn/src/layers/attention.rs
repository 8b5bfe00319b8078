//! Multi-head attention. Weights have PyTorch's names and shapes.

use super::dropout::{check, drop_some};
use super::{Kind, Settings};
use crate::export::{Export, FLOAT};
use crate::forward::{Mode, Running, Value};
use crate::initialize::Start;
use crate::plan::{Planning, multiply, shape_error};
use burn::tensor::{Device, Tensor, TensorData, activation};
use lepton_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Scaled dot-product attention with several heads (Vaswani and others 2017): `[time, features]` to the same. With one
/// input the sequence attends to itself; with two the first attends to the second, a memory `[places, features]`.
/// Places behind the end of a sequence are not attended to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MultiHeadAttention {
    /// Heads; the features are a multiple of it.
    pub heads: usize,
    /// Whether a place sees only itself and what comes before it.
    #[serde(default)]
    pub causal: bool,
    /// Dropout of the attention weights, in training.
    #[serde(default)]
    pub dropout: f64,
}

impl Settings for MultiHeadAttention {
    const SETTINGS: &'static [&'static str] = &["heads", "causal", "dropout"];
}

/// Added to the score of a place that is not to be seen.
const UNSEEN: f32 = -1e9;

impl Kind for MultiHeadAttention {
    fn plan(&self, node: &mut Planning<'_>) -> Result<Vec<usize>> {
        let [time, features] = node.sequence(0)?;
        let [places, width] = node.sequence(node.inputs.len() - 1)?;
        if self.heads == 0 || !features.is_multiple_of(self.heads) {
            return Err(shape_error(format!("{features} features cannot be cut into {} heads", self.heads)));
        }
        if width != features {
            return Err(shape_error(format!("a memory of {width} features beside a sequence of {features}")));
        }
        check(self.dropout)?;
        let all = multiply(&[3, features])?;
        node.weight("in_proj_weight", [all, features], Start::FanInOut(features, all))?;
        node.weight("in_proj_bias", [all], Start::Zeros)?;
        node.weight("out_proj.weight", [features, features], Start::FanIn(features))?;
        node.weight("out_proj.bias", [features], Start::Zeros)?;
        let (time, places, features64) = (time as u64, places as u64, features as u64);
        let projections = features64.saturating_mul(features64).saturating_mul(4 * time + 4 * places);
        let scores = time.saturating_mul(places).saturating_mul(4 * features64 + 5 * self.heads as u64);
        node.flops = projections.saturating_add(scores);
        Ok(vec![time as usize, features])
    }

    fn forward(&self, node: &mut Running<'_>, inputs: Vec<Value>) -> Result<Value> {
        let mut inputs = inputs.into_iter().map(Value::sequences);
        let missing = || Error::internal("attention without an input");
        let x = inputs.next().ok_or_else(missing)??;
        let memory = inputs.next().transpose()?;
        let [batch, time, features] = x.dims();
        let width = features / self.heads;
        let weight: Tensor<2> = node.parameter(0)?;
        let bias = node.flat(1);
        // Parts `from..to` of the projections of `x`, cut into heads: [batch, heads, places, width] each.
        let project = |x: Tensor<3>, from: usize, to: usize| -> Vec<Tensor<4>> {
            let places = x.dims()[1];
            let weight = weight.clone().narrow(0, from * features, (to - from) * features);
            let bias = bias.clone().narrow(0, from * features, (to - from) * features);
            let all = x.reshape([batch * places, features]).matmul(weight.transpose())
                + bias.reshape([1, (to - from) * features]);
            (0..to - from)
                .map(|part| {
                    let part = all.clone().narrow(1, part * features, features);
                    part.reshape([batch, places, self.heads, width]).swap_dims(1, 2)
                })
                .collect()
        };
        let mut parts = match memory {
            None => project(x, 0, 3),
            Some(memory) => {
                let mut parts = project(x, 0, 1);
                parts.extend(project(memory, 1, 3));
                parts
            }
        };
        let [values, keys, queries] = [parts.pop(), parts.pop(), parts.pop()].map(|part| part.ok_or_else(missing));
        let (queries, keys, values) = (queries?, keys?, values?);
        let places = keys.dims()[2];
        let mut scores = (queries * (1.0 / (width as f64).sqrt())).matmul(keys.transpose());
        if let Some(lengths) = node.lengths[node.node.inputs.len() - 1].take() {
            let behind: Tensor<4> = (lengths.mask.reshape([batch, 1, 1, places]) - 1.0) * -UNSEEN;
            scores = scores + behind;
        }
        if self.causal {
            let later = (0..time * places).map(|at| if at % places > at / places { UNSEEN } else { 0.0 });
            let later = TensorData::new(later.collect::<Vec<f32>>(), [1, 1, time, places]);
            scores = scores + Tensor::from_data(later, &Device::flex());
        }
        let mut attention = activation::softmax(scores, 3);
        if let Mode::Training { seed, step } = node.mode
            && self.dropout > 0.0
        {
            attention = drop_some(attention, self.dropout, &node.node.name, seed, step);
        }
        let joined = attention.matmul(values).swap_dims(1, 2).reshape([batch * time, features]);
        let weight: Tensor<2> = node.parameter(2)?;
        let out = joined.matmul(weight.transpose()) + node.flat(3).reshape([1, features]);
        Ok(Value::Sequences(out.reshape([batch, time, features])))
    }

    fn export(&self, node: &mut Export<'_, '_>, inputs: Vec<String>) -> Result<()> {
        let features = node.node.shape[1];
        let width = features / self.heads;
        let memory = inputs.len() - 1;
        let (_, weights) = node.parameter("in_proj_weight")?;
        let (_, biases) = node.parameter("in_proj_bias")?;
        let cut = node.ints("cut", &[0, 0, self.heads as i64, width as i64])?;
        let float = |shape: &[usize], values: Vec<f32>| lepton_core::Tensor::float32(shape, values);
        let mut parts = Vec::new();
        for (part, name) in ["query", "key", "value"].into_iter().enumerate() {
            let own = &weights[part * features * features..(part + 1) * features * features];
            let turned = (0..features * features).map(|at| own[at % features * features + at / features]).collect();
            let weight = node.tensor(&format!("{name}.weight"), &float(&[features, features], turned)?);
            let bias = biases[part * features..(part + 1) * features].to_vec();
            let bias = node.tensor(&format!("{name}.bias"), &float(&[features], bias)?);
            let from = if part == 0 { inputs[0].clone() } else { inputs[memory].clone() };
            let product = node.step("MatMul", &format!("{name}_product"), [from, weight]);
            let all = node.step("Add", &format!("{name}_all"), [product, bias]);
            let heads = node.step("Reshape", &format!("{name}_cut"), [all, cut.clone()]);
            // Keys come transposed for the product.
            let order = if part == 1 { [0, 2, 3, 1] } else { [0, 2, 1, 3] };
            parts.push(node.step_with("Transpose", name, [heads], |step| step.ints("perm", order)));
        }
        let scale = node.number("scale", 1.0 / (width as f32).sqrt())?;
        let queries = node.step("Mul", "scaled", [parts[0].clone(), scale]);
        let mut scores = node.step("MatMul", "scores", [queries, parts[1].clone()]);
        if let Some(mask) = node.mask(memory) {
            let sides = node.ints("sides", &[1, 2])?;
            let mask = node.step("Unsqueeze", "memory_mask", [mask, sides]);
            let one = node.number("inside", 1.0)?;
            let outside = node.step("Sub", "outside", [mask, one]);
            let unseen = node.number("unseen", -UNSEEN)?;
            let behind = node.step("Mul", "behind", [outside, unseen]);
            scores = node.step("Add", "scores_inside", [scores, behind]);
        }
        if self.causal {
            let later = self.later(node, &scores)?;
            scores = node.step("Add", "scores_before", [scores, later]);
        }
        let attention = node.step_with("Softmax", "attention", [scores], |step| step.int("axis", -1));
        let seen = node.step("MatMul", "seen", [attention, parts[2].clone()]);
        let turned = node.step_with("Transpose", "turned", [seen], |step| step.ints("perm", [0, 2, 1, 3]));
        let whole = node.ints("whole", &[0, 0, features as i64])?;
        let joined = node.step("Reshape", "joined", [turned, whole]);
        let (_, weight) = node.parameter("out_proj.weight")?;
        let turned = (0..features * features).map(|at| weight[at % features * features + at / features]).collect();
        let weight = node.tensor("out_proj.turned", &float(&[features, features], turned)?);
        let bias = node.weight("out_proj.bias")?;
        let product = node.step("MatMul", "out_product", [joined, weight]);
        let last = node.last("Add", [product, bias]);
        node.push(last);
        Ok(())
    }

    fn inputs(&self) -> (usize, usize) {
        (1, 2)
    }

    fn uses_lengths(&self) -> bool {
        true
    }
}

impl MultiHeadAttention {
    /// What is added to scores `[.., time, places]` so that no place sees a later one, for any length: places counted
    /// along both sides are compared.
    fn later(&self, node: &mut Export<'_, '_>, scores: &str) -> Result<String> {
        let one = node.number("one", 1.0)?;
        let int = |value| lepton_core::Tensor::int64([], vec![value]);
        let (rows, columns) = (node.tensor("rows", &int(2)?), node.tensor("columns", &int(3)?));
        let zeros = node.step("Sub", "zeros", [scores.to_owned(), scores.to_owned()]);
        let ones = node.step("Add", "ones", [zeros, one]);
        let row = node.step("CumSum", "row", [ones.clone(), rows]);
        let column = node.step("CumSum", "column", [ones, columns]);
        let is_later = node.step("Greater", "is_later", [column, row]);
        let is_later = node.step_with("Cast", "later_places", [is_later], |step| step.int("to", FLOAT));
        let hidden = node.number("hidden", UNSEEN)?;
        Ok(node.step("Mul", "later", [is_later, hidden]))
    }
}
