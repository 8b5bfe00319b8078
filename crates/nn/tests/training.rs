//! Training against PyTorch, resuming bit for bit, and stopping before anything is spoilt.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod reference;

use lepton_core::{ErrorCode, Seed, Tensor};
use lepton_nn::{Architecture, InputSpec, Layer, Linear, Loss, Network, Node, OptimizerSettings, Trainer};
use reference::{Flat, Weights, assert_close, safetensors};
use serde::Deserialize;

#[derive(Deserialize)]
struct Run {
    architecture: Architecture,
    optimizer: OptimizerSettings,
    rate: f64,
    input: Flat,
    target: Flat,
    start: Weights,
    losses: Vec<f64>,
    end: Weights,
}

#[test]
fn five_steps_are_pytorchs() {
    let runs: Vec<Run> = serde_json::from_str(include_str!("data/training.json")).unwrap();
    for run in runs {
        let name = &run.architecture.name;
        let network = Network::from_weights(&run.architecture, &safetensors(&run.start)).unwrap();
        let mut trainer = Trainer::new(network, Loss::default(), run.optimizer).unwrap();
        for (step, reference) in run.losses.iter().enumerate() {
            let loss = trainer.step(&run.input.tensor(), &run.target.tensor(), run.rate).unwrap().loss;
            assert!((loss - reference).abs() < 2e-5, "{name}, step {step}: {loss} is not {reference}");
        }
        let weights = trainer.network().weights().unwrap();
        let ours = safetensors::SafeTensors::deserialize(&weights).unwrap();
        assert_eq!(ours.len(), run.end.len());
        for (key, flat) in &run.end {
            let tensor = ours.tensor(key).unwrap();
            let values: Vec<f32> =
                tensor.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            // A bias in front of a batch norm has no gradient but rounding, which Adam blows up to a full step.
            // The running mean behind it moves along.
            if !(name == "table" && ["l.bias", "n.running_mean"].contains(&key.as_str())) {
                assert_close(&format!("{name} {key}"), &values, &flat.floats(), 5e-4);
            }
        }
    }
}

/// Convolution, batch norm, pooling, dropout and dense layers: everything that keeps or draws something.
fn architecture() -> Architecture {
    let layers = vec![
        Node::new("conv", Layer::conv2d(4, 3)),
        Node::new("norm", Layer::batch_norm()),
        Node::new("relu", Layer::Relu),
        Node::new("pool", Layer::max_pool2d(2)),
        Node::new("flat", Layer::Flatten),
        Node::new("drop", Layer::dropout(0.4)),
        Node::new("head", Layer::linear(3)),
    ];
    Architecture::new("small", InputSpec::float32([1, 8, 8]), layers)
}

fn trainer(seed: u64) -> Trainer {
    let network = Network::new(&architecture(), Seed(seed)).unwrap().with_threads(1).unwrap();
    Trainer::new(network, Loss::default(), OptimizerSettings::default()).unwrap()
}

fn batch(step: u64) -> (Tensor, Tensor) {
    let pixels = (0..6 * 64).map(|index| ((index * 37 + step * 101) % 97) as f32 / 97.0).collect();
    let targets = (0..6).map(|row| ((row + step) % 3) as i64).collect();
    (Tensor::float32([6, 1, 8, 8], pixels).unwrap(), Tensor::int64([6], targets).unwrap())
}

fn run(trainer: &mut Trainer, steps: std::ops::Range<u64>) {
    for step in steps {
        let (input, target) = batch(step);
        trainer.step(&input, &target, 1e-2).unwrap();
    }
}

#[test]
fn a_resumed_run_is_the_unbroken_run_bit_for_bit() {
    let mut unbroken = trainer(1);
    run(&mut unbroken, 0..20);
    let mut first = trainer(1);
    run(&mut first, 0..10);
    let saved = first.state().unwrap();
    let mut second = trainer(2);
    second.restore(&saved).unwrap();
    assert_eq!((second.steps_done(), second.state().unwrap()), (10, saved));
    run(&mut second, 10..20);
    assert_eq!(second.state().unwrap(), unbroken.state().unwrap());
    assert_ne!(second.state().unwrap(), first.state().unwrap());
}

#[test]
fn the_same_seed_and_threads_give_the_same_run() {
    let state = |threads: usize| {
        let network = Network::new(&architecture(), Seed(1)).unwrap().with_threads(threads).unwrap();
        let mut trainer = Trainer::new(network, Loss::default(), OptimizerSettings::default()).unwrap();
        run(&mut trainer, 0..5);
        trainer.state().unwrap()
    };
    assert_eq!(state(2), state(2));
    let first = |threads: usize| {
        Network::new(&architecture(), Seed(1)).unwrap().with_threads(threads).unwrap().weights().unwrap()
    };
    assert_eq!(first(1), first(2));
    assert_ne!(first(1), Network::new(&architecture(), Seed(2)).unwrap().weights().unwrap());
}

#[test]
fn a_bad_number_stops_the_step_before_anything_changes() {
    let mut trainer = trainer(1);
    run(&mut trainer, 0..3);
    let before = trainer.state().unwrap();
    let (input, target) = batch(3);
    for bad in [f32::NAN, f32::INFINITY] {
        let mut pixels = input.as_float32().unwrap().to_vec();
        pixels[70] = bad;
        let input = Tensor::float32(input.shape(), pixels).unwrap();
        assert_eq!(trainer.step(&input, &target, 1e-2).unwrap_err().code(), ErrorCode::Diverged);
        assert_eq!(trainer.state().unwrap(), before);
    }
    let label = Tensor::int64([6], vec![0, 1, 2, 3, 0, 1]).unwrap();
    assert_eq!(trainer.step(&input, &label, 1e-2).unwrap_err().code(), ErrorCode::BadData);
    assert_eq!(trainer.step(&input, &target, f64::NAN).unwrap_err().code(), ErrorCode::Config);
    let short = Tensor::int64([5], vec![0; 5]).unwrap();
    assert_eq!(trainer.step(&input, &short, 1e-2).unwrap_err().code(), ErrorCode::Shape);
    assert_eq!(trainer.state().unwrap(), before);
}

#[test]
fn a_gradient_that_overflows_is_seen_though_the_loss_is_finite() {
    // Two layers: huge inputs times tiny weights give moderate logits, but the gradient of the first weight is
    // input times second weight, past the largest float. Of many weights it is not computed before all others are.
    for units in [1, 70_000] {
        let architecture = Architecture::new(
            "overflow",
            InputSpec::float32([1]),
            vec![Node::new("a", Linear::new(units, false).into()), Node::new("b", Linear::new(2, false).into())],
        );
        let mut second = vec![0.0; 2 * units];
        (second[0], second[units]) = (10.0, -10.0);
        let weights: Weights = serde_json::from_value(serde_json::json!({
            "a.weight": {"dtype": "float32", "shape": [units, 1], "values": vec![1e-38; units]},
            "b.weight": {"dtype": "float32", "shape": [2, units], "values": second},
        }))
        .unwrap();
        let network = Network::from_weights(&architecture, &safetensors(&weights)).unwrap();
        let mut trainer = Trainer::new(network, Loss::default(), OptimizerSettings::default()).unwrap();
        let before = trainer.state().unwrap();
        let input = |number: f32| Tensor::float32([1, 1], vec![number]).unwrap();
        let target = Tensor::int64([1], vec![1]).unwrap();
        let error = trainer.step(&input(3e38), &target, 1e-3).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Diverged);
        assert!(error.message().contains("a.weight"), "{error}");
        assert_eq!(trainer.state().unwrap(), before);
        trainer.step(&input(1.0), &target, 1e-3).unwrap();
        assert_ne!(trainer.state().unwrap(), before);
    }
}

#[test]
fn a_state_of_something_else_is_refused() {
    let saved = trainer(1).state().unwrap();
    let code = |trainer: &mut Trainer, bytes: &[u8]| {
        let before = trainer.state().unwrap();
        let code = trainer.restore(bytes).unwrap_err().code();
        assert_eq!(trainer.state().unwrap(), before);
        code
    };
    let mut other = architecture();
    other.layers[5].layer = Layer::dropout(0.5);
    let network = Network::new(&other, Seed(1)).unwrap();
    let mut other = Trainer::new(network, Loss::default(), OptimizerSettings::default()).unwrap();
    assert_eq!(code(&mut other, &saved), ErrorCode::Config);
    let settings = OptimizerSettings { beta1: 0.8, ..OptimizerSettings::default() };
    let mut other = Trainer::new(Network::new(&architecture(), Seed(1)).unwrap(), Loss::default(), settings).unwrap();
    assert_eq!(code(&mut other, &saved), ErrorCode::Config);
    for cut in 0..32 {
        assert_eq!(code(&mut trainer(1), &saved[..saved.len() * cut / 32]), ErrorCode::BadData, "{cut}/32");
    }
    assert_eq!(code(&mut trainer(1), &trainer(1).network().weights().unwrap()), ErrorCode::BadData);
}

#[test]
fn a_network_that_ends_in_probabilities_is_not_trained() {
    let mut architecture = architecture();
    architecture.layers.push(Node::new("probabilities", Layer::Softmax));
    let network = Network::new(&architecture, Seed(1)).unwrap();
    let error = Trainer::new(network, Loss::default(), OptimizerSettings::default()).err().unwrap();
    assert_eq!((error.code(), error.place().node.as_deref()), (ErrorCode::Config, Some("probabilities")));
}

#[test]
fn one_row_teaches_batch_norm_nothing_about_variance() {
    let layers = vec![Node::new("norm", Layer::batch_norm()), Node::new("head", Layer::linear(2))];
    let architecture = Architecture::new("norm", InputSpec::float32([3]), layers);
    let network = Network::new(&architecture, Seed(1)).unwrap();
    let mut trainer = Trainer::new(network, Loss::default(), OptimizerSettings::default()).unwrap();
    let row = Tensor::float32([1, 3], vec![5.0, 6.0, 7.0]).unwrap();
    trainer.step(&row, &Tensor::int64([1], vec![1]).unwrap(), 1e-3).unwrap();
    let weights = trainer.network().weights().unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&weights).unwrap();
    assert!(tensors.tensor("norm.running_mean").unwrap().data().iter().all(|&byte| byte == 0));
}

/// The outputs of one step in training mode, which are those before the update.
fn seen(architecture: &Architecture, input: &Tensor, learns: &[&str]) -> (Tensor, Tensor) {
    let network = Network::new(architecture, Seed(4)).unwrap();
    let mut trainer = Trainer::new(network, Loss::default(), OptimizerSettings::default()).unwrap();
    trainer.set_rates(|key| if learns.iter().any(|layer| key.starts_with(layer)) { 1.0 } else { 0.0 });
    let inference = trainer.network().forward(input).unwrap();
    let target = Tensor::int64([2], vec![0, 1]).unwrap();
    (trainer.step(input, &target, 0.1).unwrap().outputs, inference)
}

#[test]
fn layers_that_stay_compute_as_in_inference() {
    let dense = Architecture::new(
        "dense",
        InputSpec::float32([6]),
        vec![
            Node::new("first", Layer::linear(8)),
            Node::new("norm", Layer::batch_norm()),
            Node::new("drop", Layer::dropout(0.5)),
            Node::new("tanh", Layer::Tanh),
            Node::new("second", Layer::linear(8)),
            Node::new("drop2", Layer::dropout(0.5)),
            Node::new("head", Layer::linear(2)),
        ],
    );
    let values = (0..12).map(|at| (at * at % 7) as f32 - 3.0).collect();
    let rows = Tensor::float32([2, 6], values).unwrap();
    let differ = |learns: &[&str]| {
        let (training, inference) = seen(&dense, &rows, learns);
        training != inference
    };
    // Dropout in front of the head is the head's, that in front of a layer that stays is off.
    assert!(differ(&["head"]));
    let without = |name: &str| {
        let layers = dense.layers.iter().filter(|node| node.name != name).cloned().collect();
        Architecture { layers, ..dense.clone() }
    };
    let (training, inference) = seen(&without("drop2"), &rows, &["head"]);
    assert_eq!(training, inference);
    let (training, inference) = seen(&without("drop2"), &rows, &["second", "head"]);
    assert_ne!(training, inference, "dropout in front of a layer that learns");

    // Inside of a block and of attention.
    let block = lepton_nn::TransformerEncoder {
        heads: 2,
        feed_forward: 8,
        dropout: 0.4,
        activation: Default::default(),
        norm_first: true,
        causal: false,
        epsilon: 1e-5,
    };
    let layers = vec![
        Node::new("tokens", lepton_nn::FeatureTokens { dimensions: 4 }.into()),
        Node::new("block", block.into()),
        Node::new("pool", Layer::GlobalAvgPool),
        Node::new("head", Layer::linear(2)),
    ];
    let encoder = Architecture::new("encoder", InputSpec::float32([6]), layers);
    let (training, inference) = seen(&encoder, &rows, &["head"]);
    assert_eq!(training, inference);
    let (training, inference) = seen(&encoder, &rows, &["block", "head"]);
    assert_ne!(training, inference);
    let fixed = |architecture: &Architecture, learns: &'static str| {
        let network = Network::new(architecture, Seed(4)).unwrap();
        network.fixed_layers(|key| if key.starts_with(learns) { 1.0 } else { 0.0 })
    };
    assert_eq!(fixed(&encoder, "head"), Some(3));
    assert_eq!(fixed(&encoder, "block"), Some(1));
    assert_eq!(fixed(&encoder, "tokens"), None);
    assert_eq!(fixed(&dense, "head"), Some(5));
    assert_eq!(fixed(&dense, "second"), Some(2), "the dropout in front of it draws");
}

#[test]
fn a_shortcut_past_a_cut_moves_the_cut() {
    let layers = vec![
        Node::new("first", Layer::linear(4)),
        Node::new("second", Layer::linear(4)),
        Node::new("third", Layer::linear(4)),
        Node::with_inputs("sum", Layer::Add, ["third", "first"]),
        Node::new("head", Layer::linear(2)),
    ];
    let mut architecture = Architecture::new("shortcut", InputSpec::float32([3]), layers);
    let rows = Tensor::float32([2, 3], vec![1.0, -2.0, 0.5, 3.0, 0.0, 1.5]).unwrap();
    let fixed = |network: &Network, learns: &[&str]| {
        network.fixed_layers(|key| if learns.iter().any(|layer| key.starts_with(layer)) { 1.0 } else { 0.0 })
    };
    let network = Network::new(&architecture, Seed(1)).unwrap();
    assert_eq!(fixed(&network, &["head"]), Some(4));
    assert_eq!(fixed(&network, &["third", "head"]), Some(1));
    assert_eq!(fixed(&network, &["first", "head"]), None);
    for layers in [1, 4] {
        let (body, rest) = network.split(layers).unwrap();
        let keys: Vec<&str> = body.keys().chain(rest.keys()).collect();
        assert_eq!(keys, network.keys().collect::<Vec<_>>());
        assert_eq!(rest.forward(&body.forward(&rows).unwrap()).unwrap(), network.forward(&rows).unwrap());
    }
    assert!(network.split(2).is_err() && network.split(3).is_err() && network.split(5).is_err());
    // The input itself passes.
    architecture.layers.insert(4, Node::with_inputs("joined", Layer::concat(0), ["sum", "input"]));
    let network = Network::new(&architecture, Seed(1)).unwrap();
    assert_eq!(fixed(&network, &["head"]), Some(5));
    assert!(network.split(4).is_err());
}

#[test]
fn numbers_of_another_network_are_taken_by_key_and_shape() {
    let network = |units| {
        let layers = vec![Node::new("first", Layer::linear(units)), Node::new("head", Layer::linear(2))];
        Network::new(&Architecture::new("net", InputSpec::float32([3]), layers), Seed(units as u64)).unwrap()
    };
    let (one, other) = (network(4), network(5));
    let mixed = one.clone().with_numbers_of(&other);
    let rows = Tensor::float32([1, 3], vec![1.0, 2.0, 3.0]).unwrap();
    assert_ne!(mixed.forward(&rows).unwrap(), one.forward(&rows).unwrap(), "the head's bias is the other's");
    assert_eq!(mixed.with_numbers_of(&one).weights().unwrap(), one.weights().unwrap());
}
