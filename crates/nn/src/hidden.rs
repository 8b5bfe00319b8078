//! The last hidden layer: what it gives for rows, and losses that are measured there, such as distances between domains.
//! What such a loss computes is the caller's; here it only meets the network.

use crate::forward::{self, Mode};
use crate::network::output_to_host;
use crate::plan::Source;
use crate::{Layer, Network};
use lepton_core::{Error, ErrorCode, Result, Tensor};

/// A loss of the last hidden layer's values, which is added to the loss of the outputs.
pub trait HiddenLoss {
    /// The loss of `rows`, float32 `[rows, features]`, of which the first `labelled` have labels, and its gradient by
    /// every value, row-major.
    ///
    /// # Errors
    /// Whatever makes the rows no rows of this loss.
    fn evaluate(&mut self, rows: &Tensor, labelled: usize) -> Result<(f64, Vec<f32>)>;
}

impl Network {
    /// What goes into the last dense layer, in inference mode: `[rows, ..input]` to `[rows, features]`, float32.
    ///
    /// # Errors
    /// Those of [`Network::forward`]; [`ErrorCode::Unsupported`] where there is no hidden layer that gives rows of
    /// features.
    pub fn represent(&self, input: &Tensor) -> Result<Tensor> {
        let node = self.representation()?;
        let input = self.check_input(input)?;
        let parameters: Vec<_> = self.parameters.iter().map(|parameter| parameter.value.clone()).collect();
        let watched = || {
            let mut statistics = Vec::new();
            let mode = Mode::Inference;
            forward::forward_watched(&self.plan, &parameters, input, mode, &[], &mut statistics, Some(node))
        };
        let (_, hidden) = crate::network::on(&self.threads(), watched)?;
        output_to_host(hidden.ok_or_else(|| Error::internal("a layer gave nothing"))?)
    }

    /// The node whose output goes into the last dense layer.
    pub(crate) fn representation(&self) -> Result<usize> {
        let head = self.plan.nodes.iter().rfind(|node| matches!(node.layer, Layer::Linear(_)));
        let before = head.and_then(|head| match head.inputs.first() {
            Some(Source::Node(index)) => Some(*index),
            _ => None,
        });
        before.filter(|index| self.plan.nodes[*index].shape.len() == 1).ok_or_else(|| {
            Error::new(ErrorCode::Unsupported, "this network has no hidden layer in front of a last dense one")
                .at_key("train.architecture")
                .fix("use a network with a hidden layer, such as \"mlp\"")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Architecture, InputSpec, Loss, Node, OptimizerSettings, StepRows, Trainer};
    use lepton_core::Seed;

    fn network(hidden: bool) -> Network {
        let layers = match hidden {
            true => vec![Node::new("dense", Layer::linear(3)), Node::new("relu", Layer::Relu)],
            false => Vec::new(),
        };
        let layers = layers.into_iter().chain([Node::new("head", Layer::linear(2))]).collect();
        Network::new(&Architecture::new("net", InputSpec::float32([2]), layers), Seed(3)).unwrap()
    }

    /// Half the squares of all hidden values of rows without labels.
    struct Squares;

    impl HiddenLoss for Squares {
        fn evaluate(&mut self, rows: &Tensor, labelled: usize) -> Result<(f64, Vec<f32>)> {
            let first = labelled * rows.row_len();
            let slopes: Vec<f32> =
                rows.as_float32()?.iter().enumerate().map(|(at, x)| if at < first { 0.0 } else { *x }).collect();
            Ok((slopes.iter().map(|x| f64::from(x * x) / 2.0).sum(), slopes))
        }
    }

    #[test]
    fn a_hidden_loss_pulls_at_the_layers_before_it_and_the_head_learns_from_labels_alone() {
        let input = Tensor::float32([2, 2], vec![0.5, -1.0, 1.5, 0.3]).unwrap();
        let more = Tensor::float32([3, 2], vec![0.9, 0.4, -0.2, 1.1, 0.6, -0.7]).unwrap();
        let target = Tensor::int64([2], vec![0, 1]).unwrap();
        let sgd = OptimizerSettings { kind: crate::OptimizerKind::Sgd, ..OptimizerSettings::default() };
        let after = |unlabelled: Option<&Tensor>, pulled: bool| {
            let mut trainer = Trainer::new(network(true), Loss::default(), sgd.clone()).unwrap();
            let rows = StepRows { input: &input, target: &target, weights: None, unlabelled };
            let mut squares = Squares;
            let hidden = pulled.then_some(&mut squares as &mut (dyn HiddenLoss + Send));
            let outcome = trainer.step_over(&rows, hidden, 0.1).unwrap();
            assert_eq!(outcome.outputs.shape(), [2, 2]);
            (outcome.hidden_loss, trainer.into_network())
        };
        let values = |network: &Network, place: usize| network.parameters[place].to_host().unwrap();
        let (_, plain) = after(None, false);
        let (_, silent) = after(Some(&more), false);
        let (loss, pulled) = after(Some(&more), true);
        let same = |one: Vec<f32>, other: Vec<f32>| one.iter().zip(other).all(|(a, b)| (a - b).abs() < 1e-6);
        for place in 0..4 {
            assert!(
                same(values(&plain, place), values(&silent, place)),
                "rows without labels teach nothing by themselves"
            );
        }
        assert!(loss > 0.0);
        assert!(!same(values(&plain, 0), values(&pulled, 0)));
        assert!(same(values(&plain, 2), values(&pulled, 2)), "the head comes after the hidden layer");
        let size = |network: &Network| -> f32 {
            network.represent(&more).unwrap().as_float32().unwrap().iter().map(|x| x * x).sum()
        };
        assert!(size(&pulled) < size(&plain));
    }

    #[test]
    fn a_network_without_a_hidden_layer_says_so() {
        let input = Tensor::float32([1, 2], vec![0.5, -1.0]).unwrap();
        let error = network(false).represent(&input).unwrap_err();
        assert_eq!((error.code(), error.place().key.as_deref()), (ErrorCode::Unsupported, Some("train.architecture")));
        assert_eq!(network(true).represent(&input).unwrap().shape(), [1, 3]);
    }
}
