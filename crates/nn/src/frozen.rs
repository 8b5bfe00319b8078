//! What of a network stays as it is while the rest learns: the layers that compute as in inference, the beginning that
//! therefore gives the same for a row in every step, and a network cut in two behind that beginning.

use crate::plan::{Plan, PlannedNode, Source, config};
use crate::{Architecture, InputSpec, Layer, Network};
use lepton_core::{DType, Result};
use std::collections::HashMap;

/// For each node whether it computes as in inference, given the factor on each parameter's learning rate. That is a
/// node whose parameters all have the factor 0. A node without parameters follows the layer that it is a part of, and a
/// layer without parameters follows those that use it: dropout in front of layers that stay draws nothing, dropout in
/// front of one that learns does.
pub(crate) fn frozen(plan: &Plan, rates: &[f64]) -> Vec<bool> {
    let mut rest = rates;
    let learns: Vec<bool> = plan
        .nodes
        .iter()
        .map(|node| {
            let (own, others) = rest.split_at(node.parameters.len());
            rest = others;
            node.parameters.iter().zip(own).any(|(parameter, rate)| parameter.trained && *rate > 0.0)
        })
        .collect();
    // For each layer whether it has parameters, and whether one of them learns.
    let mut layers: HashMap<&str, (bool, bool)> = HashMap::new();
    for (node, learns) in plan.nodes.iter().zip(&learns) {
        let of = layers.entry(layer_of(node)).or_default();
        *of = (of.0 || !node.parameters.is_empty(), of.1 || *learns);
    }
    let mut users = vec![(false, true); plan.nodes.len()];
    let mut frozen = vec![false; plan.nodes.len()];
    for (index, node) in plan.nodes.iter().enumerate().rev() {
        let (has_parameters, layer_learns) = layers.get(layer_of(node)).copied().unwrap_or_default();
        let (is_used, users_stay) = users[index];
        frozen[index] = match (node.parameters.is_empty(), has_parameters) {
            (false, _) => !learns[index],
            (true, true) => !layer_learns,
            (true, false) => is_used && users_stay,
        };
        for source in &node.inputs {
            if let Source::Node(from) = source {
                let (_, stay) = users[*from];
                users[*from] = (true, stay && frozen[index]);
            }
        }
    }
    frozen
}

/// `block1` of `block1.self_attn`.
fn layer_of(node: &PlannedNode) -> &str {
    node.name.split('.').next().unwrap_or(&node.name)
}

/// Whether nothing but the output of node `cut` passes from the nodes up to it to those behind.
fn one_tensor_passes(plan: &Plan, cut: usize) -> bool {
    plan.nodes[cut + 1..].iter().all(|node| {
        let inside = |source: &Source| matches!(source, Source::Node(from) if *from >= cut);
        let mask_inside = |maker: &Option<usize>| maker.is_none_or(|maker| maker > cut);
        node.inputs.iter().all(inside) && (!node.layer.does().uses_lengths() || node.lengths.iter().all(mask_inside))
    })
}

impl Network {
    /// How many layers, from the first, give the same for a row in every step of a training in which each parameter's
    /// learning rate has that factor: their parameters all have the factor 0, nothing in them is drawn at random, and
    /// only the last one's output is used behind them. `None` where there is no such beginning with parameters.
    pub fn fixed_layers(&self, rate: impl Fn(&str) -> f64) -> Option<usize> {
        let rates: Vec<f64> = self.parameters.iter().map(|parameter| rate(&parameter.spec.name)).collect();
        let nodes = &self.plan.nodes;
        let frozen = frozen(&self.plan, &rates);
        let draws = |node: &PlannedNode| matches!(&node.layer, Layer::Dropout(dropout) if dropout.p > 0.0);
        let same = |(node, frozen): &(&PlannedNode, &bool)| **frozen || (node.parameters.is_empty() && !draws(node));
        let same = nodes.iter().zip(&frozen).take_while(same).count();
        // A cut is behind the last node of a layer, and something must be left to learn.
        let ends_layer = |cut: usize| nodes.get(cut + 1).is_some_and(|next| layer_of(next) != layer_of(&nodes[cut]));
        let cut = (0..same).rev().find(|&cut| ends_layer(cut) && one_tensor_passes(&self.plan, cut))?;
        if nodes[..=cut].iter().all(|node| node.parameters.is_empty()) {
            return None;
        }
        let place = self.architecture.layers.iter().position(|layer| layer.name == layer_of(&nodes[cut]))?;
        Some(place + 1)
    }

    /// The first `layers` layers, and the others, as networks of their own. Keys, seed and threads stay: the second one's
    /// outputs over the first one's are this network's.
    ///
    /// # Errors
    /// [`lepton_core::ErrorCode::Config`] where one of the two would have no layers, or more than one tensor passes.
    pub fn split(&self, layers: usize) -> Result<(Network, Network)> {
        let Architecture { name, input, layers: all } = &self.architecture;
        let wrong = || config(format!("the network cannot be cut behind its first {layers} layers"));
        let (first, rest) = all.split_at_checked(layers).ok_or_else(wrong)?;
        let (Some(last), Some(_)) = (first.last(), rest.first()) else { return Err(wrong()) };
        let cut = self.plan.nodes.iter().rposition(|node| layer_of(node) == last.name).ok_or_else(wrong)?;
        if !one_tensor_passes(&self.plan, cut) {
            return Err(wrong());
        }
        let between = &self.plan.nodes[cut];
        let passed = InputSpec {
            name: "input".to_owned(),
            shape: between.shape.clone(),
            dtype: DType::Float32,
            free_length: between.free_time,
        };
        let mut rest = rest.to_vec();
        for source in rest.iter_mut().flat_map(|node| &mut node.inputs) {
            if *source == last.name {
                *source = passed.name.clone();
            }
        }
        let part = |input: InputSpec, layers: Vec<crate::Node>| {
            self.with_architecture(&Architecture { name: name.clone(), input, layers })
        };
        Ok((part(input.clone(), first.to_vec())?, part(passed, rest)?))
    }

    /// The same network with the numbers of `other` where it has a parameter of the same key and shape.
    pub fn with_numbers_of(mut self, other: &Network) -> Network {
        let theirs: HashMap<&str, _> =
            other.parameters.iter().map(|parameter| (parameter.spec.name.as_str(), parameter)).collect();
        for parameter in &mut self.parameters {
            let same = theirs.get(parameter.spec.name.as_str()).filter(|same| same.spec.shape == parameter.spec.shape);
            if let Some(same) = same {
                parameter.value = same.value.clone();
            }
        }
        self
    }
}
