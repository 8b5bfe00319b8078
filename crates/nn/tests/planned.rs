//! Planned steps give what steps on Burn give, to rounding, resume to the bit, and refuse what they cannot do.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod both_ways;

use both_ways::{node, same_answers};
use lepton_core::{ErrorCode, Seed, Tensor};
use lepton_nn::{
    AdaptiveAvgPool2d, Architecture, AvgPool1d, AvgPool2d, Centre, Conv1d, Conv2d, ConvTranspose2d, DenseBlock,
    GroupNorm, Gru, InputSpec, InvertedResidualBlock, Layer, Linear, Loss, Lstm, MaxPool1d, MaxPool2d, Network, Node,
    OptimizerKind, OptimizerSettings, Padding, Precision, Reshape, ReversibleNorm, Rnn, SqueezeExcite, StepKind,
    StepRows, TimePadding, Trainer, UpdateSettings, Upsample, UpsampleMode,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// What differs between trainings.
#[derive(Clone, Debug, Default)]
struct Case {
    layers: Vec<Node>,
    input: Vec<usize>,
    loss: Loss,
    optimizer: OptimizerSettings,
    update: UpdateSettings,
    rows: Vec<usize>,
    weighted: bool,
    threads: usize,
}

impl Case {
    fn trainer(&self, kind: StepKind) -> Trainer {
        self.trainer_in(kind, Precision::Float32).unwrap()
    }

    fn trainer_in(&self, kind: StepKind, precision: Precision) -> lepton_core::Result<Trainer> {
        let architecture = Architecture::new("net", InputSpec::float32(self.input.clone()), self.layers.clone());
        let network = Network::new(&architecture, Seed(7)).unwrap().with_threads(self.threads.max(1)).unwrap();
        let trainer = Trainer::new(network, self.loss.clone(), self.optimizer.clone()).unwrap();
        trainer.with_update(self.update.clone()).unwrap().with_step_in(kind, precision)
    }

    /// Batch `step`; the same for every trainer.
    fn batch(&self, step: usize) -> (Tensor, Tensor, Vec<f32>) {
        let rows = self.rows[step % self.rows.len()];
        let size: usize = self.input.iter().product();
        let number = |at: usize| ((at * 7919 + step * 104_729) as f32 * 0.618_034).fract() * 2.0 - 1.0;
        let shape: Vec<usize> = std::iter::once(rows).chain(self.input.iter().copied()).collect();
        let input = Tensor::float32(shape, (0..rows * size).map(number).collect()).unwrap();
        let target = match self.loss {
            Loss::CrossEntropy { .. } => {
                Tensor::int64([rows], (0..rows).map(|row| ((row + step) % 3) as i64).collect())
            }
            _ => Tensor::float32([rows, 3], (0..rows * 3).map(|at| 0.5 * number(at + 13)).collect()),
        };
        (input, target.unwrap(), (0..rows).map(|row| 0.5 + (row % 3) as f32).collect())
    }

    fn run(&self, trainer: &mut Trainer, steps: std::ops::Range<usize>) -> Vec<f64> {
        steps
            .map(|step| {
                let (input, target, weights) = self.batch(step);
                let weights = self.weighted.then_some(&weights[..]);
                let rows = StepRows { input: &input, target: &target, weights, unlabelled: None };
                trainer.step_over(&rows, None, 1e-2).unwrap().loss
            })
            .collect()
    }

    /// Both ways, and a training that was stopped in the middle.
    fn check(&self) {
        const STEPS: usize = 5;
        let (mut planned, mut burn) = (self.trainer(StepKind::Planned), self.trainer(StepKind::Burn));
        assert!(planned.backend().contains("planned") && burn.backend().starts_with("burn"));
        let losses = [self.run(&mut planned, 0..STEPS), self.run(&mut burn, 0..STEPS)];
        for (ours, theirs) in losses[0].iter().zip(&losses[1]) {
            assert!((ours - theirs).abs() <= 1e-4 * theirs.abs().max(1e-2), "{losses:?} {self:?}");
        }
        assert_same_weights(&planned.network(), &burn.network(), self);
        assert_same_weights(&planned.averaged(), &burn.averaged(), self);
        same_answers(&burn.network(), &self.batch(0).0, self);
        assert_eq!(planned.steps_done(), STEPS as u64);

        let mut first = self.trainer(StepKind::Auto);
        let mut before = self.run(&mut first, 0..2);
        let mut second = self.trainer(StepKind::Planned);
        second.restore(&first.state().unwrap()).unwrap();
        assert_eq!(second.state().unwrap(), first.state().unwrap());
        before.extend(self.run(&mut second, 2..STEPS));
        assert_eq!(before, losses[0]);
        assert_eq!(second.state().unwrap(), planned.state().unwrap());
        assert_eq!(second.averaged().weights().unwrap(), planned.averaged().weights().unwrap());
        let other = self.trainer(StepKind::Burn).restore(&first.state().unwrap()).unwrap_err();
        assert_eq!(other.code(), ErrorCode::Config);
    }
}

/// The same keys, and numbers that differ by rounding.
fn assert_same_weights(ours: &Network, theirs: &Network, case: &Case) {
    assert!(ours.keys().eq(theirs.keys()));
    let network = theirs;
    let (ours, theirs) = (both_ways::values(ours), both_ways::values(theirs));
    let layer = |key: &str| key.rsplit_once('.').map_or(key, |(layer, _)| layer).to_owned();
    let most = |values: &[f32]| values.iter().fold(1e-2, |most: f32, value| most.max(value.abs()));
    for (at, key) in network.keys().enumerate() {
        // Numbers of a layer act together: a bias near 0 is measured by its weight.
        let own =
            network.keys().zip(&theirs).filter(|(other, _)| layer(other) == layer(key) && !other.contains("running"));
        let largest = own.map(|(_, values)| most(values)).fold(most(&theirs[at]), f32::max);
        let off = ours[at].iter().zip(&theirs[at]).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
        assert!(off <= 1e-4 * largest, "{key} is off by {off} of {largest}: {case:?}");
    }
}

/// Gradient descent: where a gradient is nearly 0, Adam makes a whole step of what differs by rounding.
fn sgd() -> OptimizerSettings {
    OptimizerSettings { kind: OptimizerKind::Sgd, weight_decay: 1e-3, ..OptimizerSettings::default() }
}

fn worked_example(side: usize) -> Vec<Node> {
    vec![
        node("conv", Layer::conv2d(8, 3)),
        node("conv_relu", Layer::Relu),
        node("pool", Layer::max_pool2d(2)),
        node("flatten", Layer::Flatten),
        node("dense", Layer::linear(16 + side)),
        node("dense_relu", Layer::Relu),
        node("scores", Layer::linear(3)),
    ]
}

/// A stem, a residual block with a stride and a shortcut, one without, a mean and a dense layer.
fn residual() -> Vec<Node> {
    let conv = |channels: usize, kernel: usize, stride: usize| Conv2d {
        stride: [stride; 2],
        padding: Padding::Explicit { top: kernel / 2, left: kernel / 2, bottom: kernel / 2, right: kernel / 2 },
        bias: false,
        ..Conv2d::new(channels, kernel)
    };
    let mut layers = vec![node("conv", conv(6, 3, 1)), node("norm", Layer::batch_norm()), node("relu", Layer::Relu)];
    for (name, channels, stride, before) in [("a", 12, 2, "relu"), ("b", 12, 1, "a_relu")] {
        let name = |part: &str| format!("{name}_{part}");
        layers.push(Node::with_inputs(name("conv1"), conv(channels, 3, stride).into(), [before]));
        layers.push(node(&name("norm1"), Layer::batch_norm()));
        layers.push(node(&name("relu1"), Layer::Relu));
        layers.push(node(&name("conv2"), conv(channels, 3, 1)));
        layers.push(node(&name("norm2"), Layer::batch_norm()));
        let mut shortcut = before.to_owned();
        if stride > 1 {
            layers.push(Node::with_inputs(name("conv3"), conv(channels, 1, stride).into(), [before]));
            layers.push(node(&name("norm3"), Layer::batch_norm()));
            shortcut = name("norm3");
        }
        layers.push(Node::with_inputs(name("sum"), Layer::Add, [name("norm2"), shortcut]));
        layers.push(node(&name("relu"), Layer::Relu));
    }
    layers.extend([node("mean", Layer::GlobalAvgPool), node("scores", Layer::linear(3))]);
    layers
}

/// A stem and two inverted residual blocks, of which one has a shortcut, as the zoo's MobileNetV2.
fn mobile() -> Vec<Node> {
    let block = |stride: usize| InvertedResidualBlock { out_channels: 6, expansion: 4, stride: [stride; 2] };
    vec![
        node("conv", Conv2d { padding: Padding::Same, bias: false, ..Conv2d::new(6, 3) }),
        node("norm", Layer::batch_norm()),
        node("relu", Layer::Relu6),
        node("a", block(2)),
        node("b", block(1)),
        node("mean", Layer::GlobalAvgPool),
        node("dropout", Layer::dropout(0.2)),
        node("scores", Layer::linear(3)),
    ]
}

/// A transposed convolution that makes pictures larger by a half and cuts off an edge.
fn larger(out_channels: usize) -> ConvTranspose2d {
    ConvTranspose2d {
        out_channels,
        kernel: [3, 4],
        stride: [2, 1],
        padding: [1, 0],
        output_padding: [1, 0],
        dilation: [1, 2],
        groups: 1,
        bias: true,
    }
}

/// Layers one behind the other.
fn chain(layers: Vec<Layer>) -> Vec<Node> {
    layers.into_iter().enumerate().map(|(at, layer)| node(&format!("layer{at}"), layer)).collect()
}

#[test]
fn pools_norms_and_larger_pictures_learn_the_same_both_ways() {
    let case = |layers: Vec<Node>, input: &[usize]| {
        let (input, rows) = (input.to_vec(), vec![19, 19, 5]);
        Case { layers, input, optimizer: sgd(), rows, threads: 2, ..Case::default() }.check();
    };
    let conv = |out: usize| Layer::from(Conv2d { padding: Padding::Same, ..Conv2d::new(out, 3) });
    let end = || [Layer::Flatten, Layer::linear(3)];
    let of = |layers: Vec<Layer>| chain(layers.into_iter().chain(end()).collect());
    let pool = |padding: Padding| AvgPool2d { kernel: [3, 2], stride: Some([2, 1]), padding };
    case(of(vec![conv(4), Layer::Mish, pool(Padding::Same).into(), conv(3), Layer::Softplus]), &[2, 9, 8]);
    case(
        of(vec![pool(Padding::Valid).into(), conv(6), GroupNorm { groups: 3, epsilon: 1e-5 }.into(), Layer::Relu]),
        &[2, 9, 8],
    );
    case(
        of(vec![GroupNorm { groups: 1, epsilon: 1e-5 }.into(), conv(4), AdaptiveAvgPool2d { size: [3, 2] }.into()]),
        &[2, 7, 8],
    );
    let upsample = |mode: UpsampleMode| Layer::from(Upsample { scale: 2, mode });
    case(
        of(vec![conv(3), upsample(UpsampleMode::Bilinear), conv(2), upsample(UpsampleMode::Nearest), conv(2)]),
        &[2, 4, 3],
    );
    case(of(vec![conv(5), Layer::Relu, larger(4).into(), Layer::Relu, larger(3).into()]), &[2, 5, 4]);
    case(of(vec![larger(4).into(), SqueezeExcite { reduction: 2 }.into(), conv(3)]), &[2, 5, 4]);
    let dense = DenseBlock { layers: 2, growth: 3 };
    case(of(vec![conv(4), dense.into(), Reshape { shape: vec![10, 21] }.into(), Layer::linear(4)]), &[2, 7, 3]);
    case(
        of(vec![conv(4), Reshape { shape: vec![2, 7, 6] }.into(), conv(3), Reshape { shape: vec![126] }.into()]),
        &[2, 7, 3],
    );
    // A number for each channel, and two paths that are multiplied and added.
    let layers = vec![
        node("stem", conv(4)),
        Node::with_inputs("a", conv(4), ["stem"]),
        node("a_tanh", Layer::Tanh),
        Node::with_inputs("b", conv(4), ["stem"]),
        node("b_mish", Layer::Mish),
        Node::with_inputs("product", Layer::Mul, ["a_tanh", "b_mish"]),
        Node::with_inputs("sum", Layer::Add, ["product", "a_tanh", "stem", "b_mish"]),
        node("relu", Layer::Relu),
        Node::with_inputs("places", Layer::ToSequence, ["relu"]),
        node("dense", Layer::linear(3)),
        node("mean", Layer::GlobalAvgPool),
    ];
    case(layers, &[2, 6, 5]);
    // Patches of a picture as a sequence, as vision transformers have them.
    let patches = Conv2d { stride: [2; 2], ..Conv2d::new(6, 2) };
    let vision = vec![patches.into(), Layer::ToSequence, Layer::linear(8), Layer::Gelu, Layer::linear(4)];
    case(of(vision), &[2, 6, 4]);
}

#[test]
fn series_and_forecasts_learn_the_same_both_ways() {
    let case = |layers: Vec<Node>, input: &[usize]| {
        let (input, rows, loss) = (input.to_vec(), vec![19, 19, 5], Loss::Squared);
        Case { layers, input, optimizer: sgd(), rows, threads: 2, loss, ..Case::default() }.check();
    };
    let same = |channels: usize, kernel: usize| Layer::from(Conv1d { bias: false, ..Conv1d::same(channels, kernel) });
    let layers = vec![
        node("conv", same(8, 4)),
        Node::with_inputs(
            "pool",
            MaxPool1d { kernel: 3, stride: Some(1), padding: TimePadding::Same }.into(),
            ["input"],
        ),
        node("pool_conv", same(4, 1)),
        Node::with_inputs("joined", Layer::concat(1), ["conv", "pool_conv"]),
        node("norm", Layer::batch_norm()),
        node("relu", Layer::Relu),
        node("depthwise", Conv1d { groups: 12, ..Conv1d::same(12, 3) }),
        node("means", AvgPool1d { kernel: 3, stride: Some(2), padding: TimePadding::Same }),
        node("grouped", Conv1d { groups: 3, dilation: 2, ..Conv1d::same(6, 3) }),
        node("halved", MaxPool1d { kernel: 2, stride: None, padding: TimePadding::Valid }),
        node("flatten", Layer::Flatten),
        node("scores", Layer::linear(3)),
    ];
    case(layers, &[12, 3]);
    let forecast = |norm: ReversibleNorm, inside: Vec<Node>| {
        let back = norm.reverse();
        let mut layers = vec![node("norm", norm)];
        layers.extend(inside);
        layers.push(Node::with_inputs("back", back.into(), ["forecast", "input"]));
        layers
    };
    let dense = || vec![node("window", Layer::Flatten), node("forecast", Layer::linear(3))];
    case(forecast(ReversibleNorm::new(Centre::Last, false), dense()), &[11, 1]);
    case(forecast(ReversibleNorm::new(Centre::Mean, true), dense()), &[11, 1]);
    let causal = |dilation| Conv1d { dilation, padding: TimePadding::Causal, ..Conv1d::same(8, 3) };
    let inside = vec![
        node("first", causal(1)),
        node("first_relu", Layer::Relu),
        node("second", causal(2)),
        node("second_dropout", Layer::dropout(0.1)),
        Node::with_inputs("shortcut", Conv1d::same(8, 1).into(), ["norm"]),
        Node::with_inputs("sum", Layer::Add, ["second_dropout", "shortcut"]),
        node("relu", Layer::Relu),
        node("last", Layer::LastStep),
        node("one", Layer::linear(3)),
        Node::with_inputs("two", Layer::linear(3), ["last"]),
        Node::with_inputs("three", Layer::linear(3), ["last"]),
        Node::with_inputs("forecast", Layer::Add, ["one", "two", "three"]),
    ];
    case(forecast(ReversibleNorm::new(Centre::Mean, true), inside), &[13, 1]);
}

#[test]
fn networks_of_the_zoo_learn_the_same_both_ways() {
    let rows = vec![19, 19, 19, 5, 19];
    let case = |layers: Vec<Node>, input: &[usize]| Case {
        layers,
        input: input.to_vec(),
        optimizer: sgd(),
        rows: rows.clone(),
        threads: 2,
        ..Case::default()
    };
    case(worked_example(0), &[1, 12, 11]).check();
    case(residual(), &[3, 9, 8]).check();
    case(mobile(), &[3, 9, 8]).check();
    let mlp = [32, 16, 3].into_iter().enumerate().flat_map(|(at, units)| {
        let activation = (units != 3).then(|| node(&format!("relu{at}"), Layer::Relu));
        std::iter::once(node(&format!("dense{at}"), Layer::linear(units))).chain(activation)
    });
    case(mlp.collect(), &[20]).check();
    let lenet = vec![
        node("conv1", Conv2d { padding: Padding::Same, ..Conv2d::new(6, 5) }),
        node("relu1", Layer::Relu),
        node("pool1", Layer::max_pool2d(2)),
        node("conv2", Layer::conv2d(16, 5)),
        node("relu2", Layer::Relu),
        node("pool2", MaxPool2d { kernel: [3, 3], stride: Some([2, 2]), padding: Padding::Same }),
        node("flatten", Layer::Flatten),
        node("dropout", Layer::dropout(0.3)),
        node("dense", Layer::linear(20)),
        node("norm", Layer::batch_norm()),
        node("relu3", Layer::Relu),
        node("scores", Layer::linear(3)),
    ];
    case(lenet, &[1, 18, 18]).check();
}

#[test]
fn recurrent_networks_learn_the_same_both_ways() {
    let case = |layers: Vec<Layer>, threads: usize| {
        let named = layers.into_iter().enumerate().map(|(at, layer)| node(&format!("layer{at}"), layer));
        let rows = vec![19, 19, 5, 35];
        Case { layers: named.collect(), input: vec![7, 6], optimizer: sgd(), rows, threads, ..Case::default() }.check();
    };
    let stack = [2, 1].map(|layers| (layers, layers == 2));
    for (layers, bidirectional) in stack {
        let dropout = 0.3;
        let end = || [Layer::LastStep, Layer::linear(3)];
        let of = |layer: Layer| std::iter::once(layer).chain(end()).collect::<Vec<Layer>>();
        case(of(Lstm { layers, bidirectional, dropout, ..Lstm::new(18) }.into()), 2);
        case(of(Gru { layers, bidirectional, dropout, ..Gru::new(13) }.into()), 1);
        case(of(Rnn { layers, bidirectional, dropout, ..Rnn::new(20) }.into()), 3);
    }
    let mixed = [Lstm::new(5).into(), Layer::dropout(0.2), Gru::new(9).into(), Layer::Relu, Layer::Flatten];
    case(mixed.into_iter().chain([Layer::linear(3)]).collect(), 2);
}

#[test]
fn every_loss_optimiser_and_update_is_the_same_both_ways() {
    let base = Case {
        layers: worked_example(0),
        input: vec![2, 8, 8],
        optimizer: sgd(),
        rows: vec![17],
        threads: 2,
        ..Case::default()
    };
    let usual = UpdateSettings::default;
    for update in [
        UpdateSettings { clip_norm: Some(0.05), ..usual() },
        UpdateSettings { l1: 1e-3, ..usual() },
        UpdateSettings { accumulate: 2, ..usual() },
        UpdateSettings { average: Some(0.9), ..usual() },
    ] {
        Case { update, ..base.clone() }.check();
    }
    for loss in [
        Loss::CrossEntropy { label_smoothing: 0.1, class_weights: vec![1.0, 2.0, 0.5] },
        Loss::Squared,
        Loss::Huber { delta: 0.3 },
    ] {
        Case { loss, weighted: true, ..base.clone() }.check();
    }
    // With a large epsilon a gradient of nearly 0 makes no step.
    for kind in [OptimizerKind::Adam, OptimizerKind::Adamw, OptimizerKind::Rmsprop] {
        let optimizer = OptimizerSettings { kind, epsilon: 1e-2, weight_decay: 0.01, ..OptimizerSettings::default() };
        Case { optimizer, ..base.clone() }.check();
    }
}

/// A dense layer whose weights are updated while their gradient is computed, unless somebody else asks for that or the batch is
/// large.
#[test]
fn large_dense_layers_learn_the_same_in_all_ways() {
    let layers = || {
        let large = [Layer::linear(100), Layer::Relu, Linear::new(700, false).into(), Layer::linear(3)];
        let all = [Layer::conv2d(5, 3), Layer::Relu, Layer::max_pool2d(2), Layer::Flatten].into_iter().chain(large);
        chain(all.collect())
    };
    for kind in [OptimizerKind::Sgd, OptimizerKind::Adam, OptimizerKind::Lion] {
        let optimizer = OptimizerSettings { kind, epsilon: 1e-2, ..OptimizerSettings::default() };
        let base = Case {
            layers: layers(),
            input: vec![2, 26, 28],
            optimizer,
            rows: vec![33, 129, 7],
            threads: 2,
            ..Case::default()
        };
        // The sign of a gradient that is nearly 0 is chance.
        if kind != OptimizerKind::Lion {
            base.check();
        }
        let never = UpdateSettings { clip_norm: Some(1e30), ..UpdateSettings::default() };
        let states = [base.update.clone(), never].map(|update| {
            let mut trainer = Case { update, ..base.clone() }.trainer(StepKind::Planned);
            let losses = base.run(&mut trainer, 0..5);
            (losses, trainer.network().weights().unwrap())
        });
        assert!(states[0] == states[1]);
    }
}

#[test]
fn what_has_no_kernel_is_named_and_auto_goes_to_burn() {
    let (layer, name) = (Layer::from(ConvTranspose2d { groups: 2, ..larger(4) }), "conv_transpose2d");
    let layers = vec![node("odd", layer), node("flatten", Layer::Flatten), node("scores", Layer::linear(3))];
    let architecture = Architecture::new("net", InputSpec::float32([2, 8, 8]), layers);
    let trainer = || {
        let network = Network::new(&architecture, Seed(1)).unwrap();
        Trainer::new(network, Loss::default(), OptimizerSettings::default()).unwrap()
    };
    let error = trainer().with_step(StepKind::Planned).err().unwrap();
    assert_eq!((error.code(), error.place().node.as_deref()), (ErrorCode::Unsupported, Some("odd")));
    assert!(error.to_string().contains(name), "{error}");
    assert!(trainer().with_step(StepKind::Auto).unwrap().backend().starts_with("burn"));
}

#[test]
fn products_of_bfloat16_numbers_are_near_and_belong_to_planned_steps() {
    let lstm = || vec![node("lstm", Lstm::new(20)), node("last", Layer::LastStep), node("scores", Layer::linear(3))];
    for (layers, input) in [(worked_example(1), vec![2, 9, 11]), (residual(), vec![3, 9, 8]), (lstm(), vec![7, 5])] {
        let case = Case { layers, input, optimizer: sgd(), rows: vec![33, 9], threads: 2, ..Case::default() };
        let coarse = || case.trainer_in(StepKind::Auto, Precision::Bf16).unwrap();
        let (mut ours, mut whole) = (coarse(), case.trainer(StepKind::Planned));
        assert!(ours.backend().contains("bf16") && !whole.backend().contains("bf16"));
        let losses = [case.run(&mut ours, 0..5), case.run(&mut whole, 0..5)];
        assert_ne!(losses[0], losses[1]);
        for (ours, whole) in losses[0].iter().zip(&losses[1]) {
            assert!((ours - whole).abs() <= 2e-2 * whole.max(0.1), "{losses:?}");
        }
        let mut second = coarse();
        case.run(&mut second, 0..2);
        let state = second.state().unwrap();
        let mut third = coarse();
        third.restore(&state).unwrap();
        case.run(&mut third, 2..5);
        assert_eq!(third.state().unwrap(), ours.state().unwrap());
        let other = whole.restore(&state).unwrap_err();
        assert!(other.code() == ErrorCode::Config && other.to_string().contains("train.precision"), "{other}");
        let burn = case.trainer_in(StepKind::Burn, Precision::Bf16).err().unwrap();
        assert_eq!((burn.code(), burn.place().key.as_deref()), (ErrorCode::Config, Some("train.precision")));
    }
    let odd = ConvTranspose2d { groups: 2, ..larger(4) };
    let layers = vec![node("odd", odd), node("flatten", Layer::Flatten), node("scores", Layer::linear(3))];
    let case = Case { layers, input: vec![2, 8, 8], rows: vec![4], ..Case::default() };
    let error = case.trainer_in(StepKind::Auto, Precision::Bf16).err().unwrap();
    assert_eq!((error.code(), error.place().node.as_deref()), (ErrorCode::Unsupported, Some("odd")));
}

#[test]
fn a_bad_batch_changes_nothing() {
    let case = Case {
        layers: residual(),
        input: vec![3, 9, 8],
        optimizer: sgd(),
        rows: vec![9],
        threads: 2,
        ..Case::default()
    };
    let mut trainer = case.trainer(StepKind::Planned);
    case.run(&mut trainer, 0..2);
    let before = trainer.state().unwrap();
    let (input, target, _) = case.batch(2);
    let mut spoilt = input.as_float32().unwrap().to_vec();
    spoilt[100] = f32::NAN;
    let spoilt = Tensor::float32(input.shape(), spoilt).unwrap();
    assert_eq!(trainer.step(&spoilt, &target, 1e-2).unwrap_err().code(), ErrorCode::Diverged);
    let wrong = Tensor::int64([9], vec![7; 9]).unwrap();
    assert_eq!(trainer.step(&input, &wrong, 1e-2).unwrap_err().code(), ErrorCode::BadData);
    let empty = Tensor::float32([0, 3, 9, 8], vec![]).unwrap();
    let nothing = Tensor::int64([0], vec![]).unwrap();
    assert_eq!(trainer.step(&empty, &nothing, 1e-2).unwrap_err().code(), ErrorCode::Shape);
    assert_eq!(trainer.state().unwrap(), before);
    // And the steps after it are those of a training that saw none of it.
    let mut other = case.trainer(StepKind::Planned);
    case.run(&mut other, 0..2);
    assert_eq!(case.run(&mut trainer, 2..4), case.run(&mut other, 2..4));
    assert_eq!(trainer.state().unwrap(), other.state().unwrap());
}

/// Stacks of convolutions, norms, pools and dense layers.
fn stacks() -> impl Strategy<Value = Case> {
    let block = (1..20usize, 1..4usize, 1..3usize, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let blocks = prop::collection::vec(block, 0..3);
    (blocks, 1..5usize, 7..12usize, 7..12usize, 2..40usize, 0..3usize, 1..4usize, any::<bool>()).prop_map(
        |(blocks, channels, height, width, rows, dense, threads, drops)| {
            let mut layers = Vec::new();
            for (at, (out, kernel, stride, same, normed, active, pooled)) in blocks.into_iter().enumerate() {
                let padding = if same { Padding::Same } else { Padding::Valid };
                let conv = Conv2d { stride: [stride, 1], padding, bias: !normed, ..Conv2d::new(out, kernel) };
                layers.push(node(&format!("conv{at}"), conv));
                if normed {
                    layers.push(node(&format!("norm{at}"), Layer::batch_norm()));
                }
                if active {
                    layers.push(node(&format!("relu{at}"), Layer::Relu));
                }
                if pooled {
                    let pool = MaxPool2d { kernel: [2, 2], stride: Some([1, 2]), padding: Padding::Same };
                    layers.push(node(&format!("pool{at}"), pool));
                }
            }
            layers.push(node("flatten", if dense == 2 { Layer::GlobalAvgPool } else { Layer::Flatten }));
            if drops {
                layers.push(node("dropout", Layer::dropout(0.4)));
            }
            for at in 0..dense {
                layers.push(node(&format!("dense{at}"), Layer::linear(9)));
                layers.push(node(&format!("dense_relu{at}"), Layer::Relu));
            }
            layers.push(node("scores", Layer::linear(3)));
            let rows = vec![rows, rows, rows / 2 + 1];
            Case { layers, input: vec![channels, height, width], optimizer: sgd(), rows, threads, ..Case::default() }
        },
    )
}

/// Convolutions in groups, depthwise and dilated ones, one behind the other.
fn grouped() -> impl Strategy<Value = Case> {
    // Groups, channels of each in and out, window, stride, dilation, padding, bias and activation.
    let sizes = (1..5usize, 1..6usize, 1..6usize, 1..4usize, 1..3usize, 1..4usize);
    let layer = (sizes, any::<bool>(), any::<bool>(), any::<bool>());
    let sides = (8..13usize, 8..13usize);
    (prop::collection::vec(layer, 1..4), sides, 1..4usize, 2..40usize, 1..4usize).prop_map(
        |(all, (height, width), channels, rows, threads)| {
            let mut layers = Vec::new();
            let mut channels_in = channels;
            for (at, ((groups, own, out, kernel, stride, dilation), same, bias, active)) in all.into_iter().enumerate()
            {
                // As many channels as the groups need.
                let wide = groups * own;
                layers.push(node(&format!("wide{at}"), Conv2d::new(wide, 1)));
                let padding = if same || at > 0 { Padding::Same } else { Padding::Valid };
                let conv = Conv2d {
                    groups,
                    bias,
                    padding,
                    stride: [1, stride],
                    dilation: [dilation, if stride == 1 { dilation } else { 1 }],
                    ..Conv2d::new(groups * out, kernel)
                };
                layers.push(node(&format!("conv{at}"), conv));
                if active {
                    layers.push(node(&format!("relu{at}"), Layer::Relu));
                }
                channels_in = groups * out;
            }
            let end = if channels_in % 2 == 0 { Layer::GlobalAvgPool } else { Layer::Flatten };
            layers.extend([node("end", end), node("scores", Layer::linear(3))]);
            let (input, rows) = (vec![channels, height, width], vec![rows, rows / 2 + 1]);
            Case { layers, input, optimizer: sgd(), rows, threads, ..Case::default() }
        },
    )
}

proptest! {
    // Always the same cases: where an activation is 0 to rounding, or two of a pool's window are equal to it, both ways are
    // right and differ.
    #![proptest_config(ProptestConfig { cases: 40, rng_seed: RngSeed::Fixed(5), ..ProptestConfig::default() })]

    #[test]
    fn random_networks_learn_the_same_both_ways(case in stacks()) {
        case.check();
    }

    #[test]
    fn random_groups_learn_the_same_both_ways(case in grouped()) {
        case.check();
    }
}
