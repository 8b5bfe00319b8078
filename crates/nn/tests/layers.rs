//! Every layer against PyTorch's values, and its gradients against finite differences.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod reference;

use lepton_core::{Limits, Seed, Tensor};
use lepton_nn::{
    Architecture, AvgPool2d, Centre, Columns, Conv2d, Embedding, InputSpec, Layer, Loss, MaxPool2d, Network, Node,
    OptimizerKind, OptimizerSettings, Padding, ReversibleNorm, Trainer,
};
use reference::{assert_close, cases, safetensors};
use std::collections::BTreeSet;

#[test]
fn outputs_are_pytorchs() {
    let mut kinds = BTreeSet::new();
    for case in cases() {
        let name = &case.architecture.name;
        let network = Network::from_weights(&case.architecture, &safetensors(&case.weights)).unwrap();
        let output = network.forward(&case.input.tensor()).unwrap();
        assert_eq!(output.shape(), case.output.shape, "{name}");
        assert_close(name, output.as_float32().unwrap(), &case.output.floats(), 1e-5);
        kinds.extend(case.architecture.layers.iter().map(|node| node.layer.kind()));
    }
    assert_eq!(kinds.len(), 56, "a layer has no reference values: {kinds:?}");
}

#[test]
fn exports_have_the_keys_of_the_weights_and_a_free_batch_axis() {
    for case in cases() {
        let network = Network::from_weights(&case.architecture, &safetensors(&case.weights)).unwrap();
        let model = lepton_onnx::decode(&network.to_onnx().unwrap(), &Limits::default()).unwrap();
        let signature = lepton_onnx::signature(&model).unwrap();
        let (input, output) = (&signature.inputs[0], &signature.outputs[0]);
        assert_eq!((input.name.as_str(), output.name.as_str(), model.opset()), ("input", "output", Some(17)));
        assert_eq!((input.shape[0], output.shape[0]), (-1, -1));
        let graph = model.graph.unwrap();
        assert!(graph.node.iter().all(|node| node.op_type != "Dropout"));
        for (key, flat) in &case.weights {
            // Recurrent layers and attention have their numbers in another order in ONNX, adapters are added up, and
            // trees point with integers.
            let Some(tensor) = graph.find_initializer(key) else { continue };
            let tensor = tensor.to_tensor().unwrap();
            if case.architecture.name == "linear-adapter" || tensor.as_float32().is_err() {
                continue;
            }
            assert_eq!(tensor.as_float32().unwrap(), &flat.floats()[..], "{key}");
        }
    }
}

/// Plain gradient descent with rate 1 shows the gradient as the difference of the weights.
fn gradients(architecture: &Architecture, input: &Tensor, target: &Tensor) {
    let settings = OptimizerSettings { kind: OptimizerKind::Sgd, momentum: 0.0, ..OptimizerSettings::default() };
    let start = Network::new(architecture, Seed(3)).unwrap();
    let before = start.weights().unwrap();
    let trainer = |weights: &[u8]| {
        let network = Network::from_weights(architecture, weights).unwrap().with_seed(Seed(3));
        Trainer::new(network, Loss::default(), settings.clone()).unwrap()
    };
    let mut moved = trainer(&before);
    moved.step(input, target, 1.0).unwrap();
    let after = moved.network().weights().unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&before).unwrap();
    let values = |bytes: &[u8], key: &str| -> Vec<f32> {
        let tensors = safetensors::SafeTensors::deserialize(bytes).unwrap();
        tensors.tensor(key).unwrap().data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    let file_start = 8 + u64::from_le_bytes(before[..8].try_into().unwrap()) as usize;
    for (key, view) in tensors.tensors() {
        if key.contains("running_") {
            continue;
        }
        let (old, new) = (values(&before, &key), values(&after, &key));
        let offset = view.data().as_ptr() as usize - before.as_ptr() as usize;
        assert!(offset >= file_start);
        // Small, so that a maximum rarely changes places on the way.
        let step = 2e-3f32;
        for index in (0..old.len()).step_by(old.len().div_ceil(12)) {
            let loss = |shift: f32| {
                let mut bytes = before.clone();
                let at = offset + 4 * index;
                bytes[at..at + 4].copy_from_slice(&(old[index] + shift).to_le_bytes());
                trainer(&bytes).step(input, target, 0.0).unwrap().loss
            };
            // Where a maximum changes places right here, the slopes of both sides differ and the gradient is
            // one of them.
            let here = loss(0.0);
            let (left, right) = ((here - loss(-step)) / f64::from(step), (loss(step) - here) / f64::from(step));
            let gradient = f64::from(old[index] - new[index]);
            let bound = 2e-3 + 0.02 * left.abs().max(right.abs());
            assert!(
                left.min(right) - bound < gradient && gradient < left.max(right) + bound,
                "{} {key}[{index}]: slopes {left} and {right}, gradient {gradient}",
                architecture.name
            );
        }
    }
}

/// A smooth layer in front, the layer, and a head; smooth so that differences do not step over a kink.
fn with_head(name: &str, shape: &[usize], layers: Vec<Layer>) -> Architecture {
    let mut nodes: Vec<Node> = layers.into_iter().map(|layer| Node::new("", layer)).collect();
    nodes.extend([Node::new("flat", Layer::Flatten), Node::new("head", Layer::linear(3))]);
    Architecture::new(name, InputSpec::float32(shape), nodes)
}

fn noise(shape: &[usize], seed: u64) -> Tensor {
    use rand_chacha::rand_core::Rng;
    let mut rng = Seed(seed).rng("noise", &[]);
    let values = (0..shape.iter().product()).map(|_| (rng.next_u32() as f32 / u32::MAX as f32 - 0.5) * 4.0).collect();
    Tensor::float32(shape, values).unwrap()
}

#[test]
fn gradients_are_slopes() {
    let windows = |padding| MaxPool2d { kernel: [3, 3], stride: Some([2, 2]), padding }.into();
    let conv = |out_channels, stride, padding, dilation, groups| -> Layer {
        Conv2d { stride: [stride; 2], padding, dilation: [dilation; 2], groups, ..Conv2d::new(out_channels, 3) }.into()
    };
    let pictures = [
        ("conv", vec![conv(3, 1, Padding::Valid, 1, 1), Layer::Tanh, conv(2, 1, Padding::Same, 1, 1)]),
        ("conv-stride", vec![conv(3, 1, Padding::Same, 1, 1), Layer::Tanh, conv(2, 2, Padding::Same, 1, 1)]),
        ("conv-groups", vec![conv(4, 1, Padding::Valid, 1, 2), Layer::Tanh, conv(4, 1, Padding::Same, 1, 4)]),
        ("conv-dilation", vec![conv(3, 1, Padding::Same, 2, 1), Layer::Tanh, conv(2, 1, Padding::Same, 2, 1)]),
        ("max-pool", vec![Layer::conv2d(3, 3), Layer::max_pool2d(2)]),
        (
            "max-pool-overlap",
            vec![Layer::conv2d(3, 3), windows(Padding::Explicit { top: 1, left: 1, bottom: 0, right: 1 })],
        ),
        (
            "avg-pool",
            vec![Layer::conv2d(3, 3), AvgPool2d { kernel: [2, 3], stride: None, padding: Padding::Same }.into()],
        ),
        ("global", vec![Layer::conv2d(3, 3), Layer::Tanh, Layer::GlobalAvgPool]),
        ("batch-norm", vec![Layer::conv2d(3, 3), Layer::batch_norm(), Layer::Tanh]),
        ("gelu", vec![Layer::conv2d(3, 3), Layer::Gelu]),
        ("sigmoid", vec![Layer::conv2d(3, 3), Layer::Sigmoid]),
        ("relu", vec![Layer::conv2d(3, 3), Layer::Relu]),
        ("dropout", vec![Layer::conv2d(3, 3), Layer::dropout(0.3)]),
    ];
    let target = Tensor::int64([4], vec![0, 2, 1, 2]).unwrap();
    for (name, layers) in pictures {
        gradients(&with_head(name, &[2, 8, 7], layers), &noise(&[4, 2, 8, 7], 5), &target);
    }
    let rows = [
        ("linear", vec![Layer::linear(5), Layer::Tanh]),
        ("softmax", vec![Layer::linear(5), Layer::Softmax]),
        ("batch-norm-rows", vec![Layer::linear(5), Layer::batch_norm(), Layer::Tanh]),
        ("columns", vec![Layer::linear(6), Columns { from: 2, to: 5 }.into()]),
    ];
    for (name, layers) in rows {
        gradients(&with_head(name, &[4], layers), &noise(&[4, 4], 6), &target);
    }
    let branches = Architecture::new(
        "branches",
        InputSpec::float32([4]),
        vec![
            Node::new("a", Layer::linear(4)),
            Node::new("b", Layer::Tanh),
            Node::with_inputs("sum", Layer::Add, ["a", "b", "input"]),
            Node::with_inputs("both", Layer::concat(0), ["sum", "a"]),
            Node::new("head", Layer::linear(3)),
        ],
    );
    gradients(&branches, &noise(&[4, 4], 7), &target);
    let window =
        Node::with_inputs("back", ReversibleNorm::new(Centre::Last, true).reverse().into(), ["dense", "input"]);
    let reversible = Architecture::new(
        "reversible",
        InputSpec::float32([6, 1]),
        vec![
            Node::new("norm", ReversibleNorm::new(Centre::Last, true).into()),
            Node::new("flat", Layer::Flatten),
            Node::new("dense", Layer::linear(4)),
            window,
            Node::new("head", Layer::linear(3)),
        ],
    );
    gradients(&reversible, &noise(&[4, 6, 1], 8), &target);
    let codes = Tensor::float32([4, 2], vec![0.0, 1.0, 4.0, 4.0, 2.0, 0.0, 3.0, 1.0]).unwrap();
    let embedding =
        with_head("embedding", &[2], vec![Embedding { vocabulary: 5, dimensions: 3, padding: None }.into()]);
    gradients(&embedding, &codes, &target);
}
