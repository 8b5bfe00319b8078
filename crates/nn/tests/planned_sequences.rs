//! Planned steps over sequences and codes against the steps on Burn: the same networks, seeds and batches give the same
//! losses and weights to rounding, with lengths, dropout and batches of other times.

#![allow(clippy::unwrap_used)]

mod both_ways;

use both_ways::{node, same_answers};
use lepton_core::{DType, ErrorCode, Seed, Tensor};
use lepton_nn::{
    Architecture, Conv1d, Elu, Embedding, FeatureTokens, FeedForwardActivation, InputSpec, Layer, LayerNorm, LeakyRelu,
    Loss, MultiHeadAttention, Network, Node, OptimizerKind, OptimizerSettings, PositionKind, Positions, StepKind,
    StepRows, TimePadding, Trainer, TransformerEncoder,
};

/// What differs between trainings.
#[derive(Clone, Debug)]
struct Case {
    layers: Vec<Node>,
    input: InputSpec,
    rows: Vec<usize>,
    /// Places of each batch, where the length is free.
    times: Vec<usize>,
    threads: usize,
}

const VOCABULARY: usize = 23;

impl Case {
    fn trainer(&self, kind: StepKind) -> Trainer {
        let architecture = Architecture::new("net", self.input.clone(), self.layers.clone());
        let network = Network::new(&architecture, Seed(7)).unwrap().with_threads(self.threads).unwrap();
        // Where a gradient is nearly 0, Adam makes a whole step of what differs by rounding.
        let optimizer = OptimizerSettings { kind: OptimizerKind::Sgd, ..OptimizerSettings::default() };
        Trainer::new(network, Loss::default(), optimizer).unwrap().with_step(kind).unwrap()
    }

    /// Batch `step`; the same for every trainer. Codes end at different places of each row.
    fn batch(&self, step: usize) -> (Tensor, Tensor) {
        let rows = self.rows[step % self.rows.len()];
        let time = if self.times.is_empty() { self.input.shape[0] } else { self.times[step % self.times.len()] };
        let input = match self.input.shape[..] {
            [features] if self.input.dtype == DType::Float32 => {
                let number = |at: usize| ((at * 7919 + step * 104_729) as f32 * 0.618_034).fract() * 2.0 - 1.0;
                Tensor::float32([rows, features], (0..rows * features).map(number).collect()).unwrap()
            }
            [_] => {
                let code = |at: usize| {
                    let (row, place) = (at / time, at % time);
                    let end = 1 + (row * 5 + step) % time;
                    if place < end { (at * 7 + step * 3) % VOCABULARY } else { 0 }
                };
                Tensor::int64([rows, time], (0..rows * time).map(|at| code(at) as i64).collect()).unwrap()
            }
            [_, features] => {
                let number = |at: usize| ((at * 7919 + step * 104_729) as f32 * 0.618_034).fract() * 2.0 - 1.0;
                Tensor::float32([rows, time, features], (0..rows * time * features).map(number).collect()).unwrap()
            }
            _ => unreachable!(),
        };
        (input, Tensor::int64([rows], (0..rows).map(|row| ((row + step) % 3) as i64).collect()).unwrap())
    }

    fn run(&self, trainer: &mut Trainer, steps: std::ops::Range<usize>) -> Vec<f64> {
        let one = |step: usize| {
            let (input, target) = self.batch(step);
            let rows = StepRows { input: &input, target: &target, weights: None, unlabelled: None };
            trainer.step_over(&rows, None, 0.1).unwrap().loss
        };
        steps.map(one).collect()
    }

    fn check(&self) {
        const STEPS: usize = 5;
        let (mut planned, mut burn) = (self.trainer(StepKind::Planned), self.trainer(StepKind::Burn));
        let losses = [self.run(&mut planned, 0..STEPS), self.run(&mut burn, 0..STEPS)];
        for (ours, theirs) in losses[0].iter().zip(&losses[1]) {
            assert!((ours - theirs).abs() <= 1e-4 * theirs.abs().max(1e-2), "{losses:?} {self:?}");
        }
        same_weights(&planned.network(), &burn.network(), self);
        for step in 0..2 {
            same_answers(&burn.network(), &self.batch(step).0, self);
        }
        // A training that was stopped in the middle.
        let mut first = self.trainer(StepKind::Auto);
        let mut before = self.run(&mut first, 0..2);
        let mut second = self.trainer(StepKind::Planned);
        second.restore(&first.state().unwrap()).unwrap();
        before.extend(self.run(&mut second, 2..STEPS));
        assert_eq!(before, losses[0]);
        assert_eq!(second.state().unwrap(), planned.state().unwrap());
    }
}

/// The same keys, and numbers that differ by rounding.
fn same_weights(ours: &Network, theirs: &Network, case: &Case) {
    assert!(ours.keys().eq(theirs.keys()));
    for ((key, ours), theirs) in ours.keys().zip(both_ways::values(ours)).zip(both_ways::values(theirs)) {
        let largest = theirs.iter().fold(5e-2, |most: f32, value| most.max(value.abs()));
        let off = ours.iter().zip(&theirs).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
        assert!(off <= 1e-4 * largest, "{key} is off by {off} of {largest}: {case:?}");
    }
}

fn encoder(norm_first: bool, causal: bool, dropout: f64) -> TransformerEncoder {
    let activation = if norm_first { FeedForwardActivation::Gelu } else { FeedForwardActivation::Relu };
    TransformerEncoder { heads: 2, feed_forward: 20, dropout, activation, norm_first, causal, epsilon: 1e-5 }
}

fn codes(padding: Option<usize>) -> Node {
    node("codes", Embedding { vocabulary: VOCABULARY, dimensions: 12, padding })
}

fn series(layers: Vec<Node>) -> Case {
    Case { layers, input: InputSpec::float32([9, 5]), rows: vec![19, 19, 5], times: Vec::new(), threads: 2 }
}

fn texts(layers: Vec<Node>, free: bool) -> Case {
    let times = if free { vec![10, 7, 10, 4] } else { Vec::new() };
    Case { layers, input: InputSpec::codes(10, free), rows: vec![19, 19, 5], times, threads: 2 }
}

#[test]
fn transformers_learn_the_same_both_ways() {
    for (norm_first, causal, dropout) in
        [(true, false, 0.0), (false, true, 0.0), (true, true, 0.2), (false, false, 0.3)]
    {
        series(vec![
            node("wide", Layer::linear(12)),
            node("block1", encoder(norm_first, causal, dropout)),
            node("block2", encoder(norm_first, causal, dropout)),
            node("pooled", Layer::GlobalAvgPool),
            node("scores", Layer::linear(3)),
        ])
        .check();
    }
}

#[test]
fn attention_between_features_learns_the_same_both_ways() {
    for deep in [false, true] {
        let mut layers = vec![
            node("tokens", FeatureTokens { dimensions: 12 }),
            node("block", encoder(true, false, 0.1)),
            node("norm", LayerNorm::default()),
            node("pooled", Layer::GlobalAvgPool),
            node("scores", Layer::linear(3)),
        ];
        if deep {
            // Tokens of what has a gradient of its own.
            layers.insert(0, node("mixed", Layer::linear(5)));
        }
        Case { layers, input: InputSpec::float32([7]), rows: vec![18, 5], times: Vec::new(), threads: 2 }.check();
    }
}

#[test]
fn texts_with_and_without_ends_learn_the_same_both_ways() {
    for (padding, free) in [(None, false), (Some(0), false), (Some(0), true)] {
        for encoding in [PositionKind::Learned, PositionKind::Sinusoidal] {
            let layers = vec![
                codes(padding),
                node("positions", Positions { encoding }),
                node("dropout", Layer::dropout(0.2)),
                node("block", encoder(true, encoding == PositionKind::Sinusoidal, 0.1)),
                node("norm", LayerNorm::default()),
                node("pooled", if free { Layer::GlobalAvgPool } else { Layer::LastStep }),
                node("scores", Layer::linear(3)),
            ];
            texts(layers, free).check();
        }
        let bag = vec![codes(padding), node("pooled", Layer::GlobalAvgPool), node("scores", Layer::linear(3))];
        texts(bag, free).check();
    }
}

#[test]
fn convolutions_over_texts_learn_the_same_both_ways() {
    for (padding, free) in [(None, false), (Some(0), false), (Some(0), true)] {
        let mut layers = vec![codes(padding), node("dropout", Layer::dropout(0.2))];
        let mut branches = Vec::new();
        for width in [2, 3, 4] {
            let name = |part: &str| format!("{part}{width}");
            layers.push(Node::with_inputs(name("conv"), Conv1d::same(9, width).into(), ["dropout"]));
            layers.push(node(&name("relu"), Layer::Relu));
            layers.push(node(&name("largest"), Layer::GlobalMaxPool));
            branches.push(name("largest"));
        }
        layers.push(Node::with_inputs("pooled", Layer::concat(0), branches));
        layers.push(node("behind", Layer::dropout(0.5)));
        layers.push(node("scores", Layer::linear(3)));
        texts(layers, free).check();
    }
}

#[test]
fn other_layers_of_sequences_learn_the_same_both_ways() {
    let conv = |out_channels: usize, padding: TimePadding, stride: usize| Conv1d {
        padding,
        stride,
        bias: stride == 1,
        ..Conv1d::same(out_channels, 3)
    };
    let explicit = TimePadding::Explicit { before: 2, after: 1 };
    for (padding, stride, pool) in [
        (TimePadding::Valid, 1, Layer::Flatten),
        (TimePadding::Causal, 1, Layer::LastStep),
        (explicit, 2, Layer::GlobalMaxPool),
        (TimePadding::Same, 1, Layer::Flatten),
    ] {
        series(vec![
            node("conv1", conv(7, padding, stride)),
            node("norm", Layer::batch_norm()),
            node("silu", Layer::Silu),
            node("conv2", conv(6, TimePadding::Same, 1)),
            node("dropout", Layer::dropout(0.3)),
            node("pool", pool),
            node("drop_row", Layer::dropout(0.1)),
            node("row_norm", LayerNorm::default()),
            node("scores", Layer::linear(3)),
        ])
        .check();
    }
    // Branches of a sequence beside each other.
    series(vec![
        node("one", Layer::linear(4)),
        Node::with_inputs("other", Conv1d::same(5, 2).into(), ["input"]),
        Node::with_inputs("both", Layer::concat(1), ["one", "other", "one"]),
        node("attention", MultiHeadAttention { heads: 13, causal: false, dropout: 0.2 }),
        node("pool", Layer::GlobalAvgPool),
        node("scores", Layer::linear(3)),
    ])
    .check();
}

#[test]
fn activations_learn_the_same_both_ways() {
    for activation in [
        Layer::Gelu,
        Layer::Silu,
        Layer::Sigmoid,
        Layer::Tanh,
        Layer::Relu6,
        Layer::HardSigmoid,
        Layer::HardSwish,
        Layer::Selu,
        LeakyRelu { slope: 0.1 }.into(),
        Elu { alpha: 0.7 }.into(),
    ] {
        series(vec![
            node("dense", Layer::linear(8)),
            node("activation", activation.clone()),
            node("again", Layer::linear(8)),
            node("activation2", activation),
            node("pool", Layer::GlobalAvgPool),
            node("scores", Layer::linear(3)),
        ])
        .check();
    }
}

#[test]
fn what_has_no_kernel_is_named_and_auto_goes_to_burn() {
    let odd = node("odd", Layer::Softmax);
    let case = series(vec![odd, node("pool", Layer::GlobalAvgPool), node("scores", Layer::linear(3))]);
    let architecture = Architecture::new("net", case.input.clone(), case.layers.clone());
    let network = Network::new(&architecture, Seed(1)).unwrap();
    let trainer = Trainer::new(network, Loss::default(), OptimizerSettings::default()).unwrap();
    let error = trainer.with_step(StepKind::Planned).err().unwrap();
    assert_eq!((error.code(), error.place().node.as_deref()), (ErrorCode::Unsupported, Some("odd")));
    assert!(error.to_string().contains("softmax"), "{error}");
    assert!(case.trainer(StepKind::Auto).backend().starts_with("burn"));
}

#[test]
fn a_batch_that_does_not_fit_changes_nothing() {
    let case = texts(
        vec![
            codes(Some(0)),
            node("positions", Positions { encoding: PositionKind::Learned }),
            node("pool", Layer::GlobalAvgPool),
            node("scores", Layer::linear(3)),
        ],
        true,
    );
    let mut trainer = case.trainer(StepKind::Planned);
    case.run(&mut trainer, 0..2);
    let before = trainer.state().unwrap();
    let target = Tensor::int64([2], vec![0, 1]).unwrap();
    let mut step = |codes: Vec<i64>| {
        let input = Tensor::int64([2, codes.len() / 2], codes).unwrap();
        trainer.step(&input, &target, 0.1).map(|outcome| outcome.loss)
    };
    assert_eq!(step(vec![1, 2, 3, VOCABULARY as i64]).unwrap_err().code(), ErrorCode::BadInput);
    assert_eq!(step(vec![1, 2, 3, -1]).unwrap_err().code(), ErrorCode::BadInput);
    assert_eq!(step(vec![3; 24]).unwrap_err().code(), ErrorCode::Shape);
    assert_eq!(trainer.state().unwrap(), before);
    // Texts of nothing but padding are no error.
    let input = Tensor::int64([2, 3], vec![0; 6]).unwrap();
    assert!(trainer.step(&input, &target, 0.1).unwrap().loss.is_finite());
}
