//! What tests of planned steps share: a network's numbers, and the same answers by both ways.

use lepton_core::Tensor;
use lepton_nn::{Layer, Network, Node, StepKind};
use std::fmt::Debug;

pub(crate) fn node(name: &str, layer: impl Into<Layer>) -> Node {
    Node::new(name, layer.into())
}

/// The numbers of each parameter, in the order of the keys.
pub(crate) fn values(network: &Network) -> Vec<Vec<f32>> {
    let bytes = network.weights().unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let floats =
        |bytes: &[u8]| bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect::<Vec<f32>>();
    network.keys().map(|key| floats(file.tensor(key).unwrap().data())).collect()
}

/// The same answers to a batch by both ways, to rounding.
pub(crate) fn same_answers(network: &Network, input: &Tensor, case: &impl Debug) {
    let mut planned = network.answering(StepKind::Planned).unwrap();
    let (ours, theirs) = (planned.forward(input).unwrap(), network.forward(input).unwrap());
    assert_eq!(ours.shape(), theirs.shape());
    assert_eq!(planned.forward(input).unwrap(), ours);
    for (ours, theirs) in ours.as_float32().unwrap().iter().zip(theirs.as_float32().unwrap()) {
        assert!((ours - theirs).abs() <= 1e-4 * theirs.abs().max(1.0), "{ours}, not {theirs}: {case:?}");
    }
}
