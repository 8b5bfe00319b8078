//! The networks that series are learned with.

use lepton_core::{Error, ErrorCode, Result};
use lepton_nn::{Architecture, Conv1d, InputSpec, Layer, Lstm, MaxPool1d, Node, RandomConv1d, TimePadding};
use lepton_train::{ZooEntry, unknown_architecture};

/// All of them; the first is the default.
pub(super) const ENTRIES: &[ZooEntry] = &[
    ZooEntry {
        name: "inception",
        about: "InceptionTime: six modules of convolutions over 10, 20 and 40 steps side by side, with shortcuts",
    },
    ZooEntry { name: "fcn", about: "three convolutions (128, 256, 128) over 8, 5 and 3 steps with batch norm" },
    ZooEntry {
        name: "random-convolution",
        about: "ROCKET: 2,000 random kernels that are not learned, and one dense layer on what they find",
    },
    ZooEntry { name: "lstm", about: "an LSTM of 64 units that reads from both ends, and the mean over time" },
    ZooEntry { name: "cnn", about: "two convolutions (32, 64) over 7 and 5 steps and max-pools: small and fast" },
    ZooEntry { name: "linear", about: "one dense layer on all steps: the baseline to beat" },
];

/// Channels of each branch of an inception module, and of its bottleneck.
const FILTERS: usize = 32;

/// Random kernels of all sizes together.
const KERNELS: usize = 2_000;

/// The network `name`, or the default, for series of `input_shape` = `[time, dimensions]`.
pub(super) fn architecture(name: Option<&str>, input_shape: &[usize], classes: usize) -> Result<Architecture> {
    let &[time, dimensions] = input_shape else {
        let message = format!("a series has [time, dimensions], these rows have {input_shape:?}");
        return Err(Error::new(ErrorCode::Shape, message));
    };
    if time == 0 || dimensions == 0 {
        return Err(Error::new(ErrorCode::Shape, "these series have no steps"));
    }
    let name = name.unwrap_or(ENTRIES[0].name);
    let layers = match name {
        "inception" => inception(time, dimensions, classes),
        "fcn" => fcn(time, classes),
        "random-convolution" => random_convolution(time, classes),
        "lstm" => lstm(classes),
        "cnn" => cnn(time, classes),
        "linear" => vec![node("flatten", Layer::Flatten), node("scores", Layer::linear(classes))],
        unknown => return Err(unknown_architecture(unknown, ENTRIES)),
    };
    Ok(Architecture::new(name, InputSpec::float32(input_shape), layers))
}

fn node(name: impl Into<String>, layer: impl Into<Layer>) -> Node {
    Node::new(name, layer.into())
}

/// A convolution that keeps the length, without the bias that the batch norm behind it would undo. A window is never
/// longer than the series.
fn convolution(channels: usize, kernel: usize, time: usize) -> Conv1d {
    Conv1d { bias: false, ..Conv1d::same(channels, kernel.min(time)) }
}

/// InceptionTime (Fawaz and others 2020): two groups of three modules. In a module the series passes a bottleneck, then
/// three convolutions side by side, and beside them a max-pool; each group's input is added to its output.
fn inception(time: usize, dimensions: usize, classes: usize) -> Vec<Node> {
    let mut layers = Vec::new();
    let mut stream = "input".to_owned();
    let mut channels = dimensions;
    for group in 1..=2 {
        let shortcut = stream.clone();
        for part in ["a", "b", "c"] {
            stream = module(&mut layers, &format!("{group}{part}"), &stream, channels, time);
            channels = 4 * FILTERS;
        }
        let name = |part: &str| format!("{part}{group}");
        layers.push(Node::with_inputs(name("shortcut"), convolution(channels, 1, time).into(), [shortcut]));
        layers.push(node(name("shortcut_norm"), Layer::batch_norm()));
        layers.push(Node::with_inputs(name("sum"), Layer::Add, [stream, name("shortcut_norm")]));
        layers.push(node(name("relu"), Layer::Relu));
        stream = name("relu");
    }
    layers.push(node("mean", Layer::GlobalAvgPool));
    layers.push(node("scores", Layer::linear(classes)));
    layers
}

/// One inception module over `input`; the name of what it gives.
fn module(layers: &mut Vec<Node>, place: &str, input: &str, channels: usize, time: usize) -> String {
    let name = |part: &str| format!("{part}{place}");
    let mut narrow = input.to_owned();
    if channels > 1 {
        narrow = name("bottleneck");
        layers.push(Node::with_inputs(&narrow, convolution(FILTERS, 1, time).into(), [input]));
    }
    let mut branches = Vec::new();
    for kernel in [40, 20, 10] {
        let branch = name(&format!("conv{kernel}_"));
        layers.push(Node::with_inputs(&branch, convolution(FILTERS, kernel, time).into(), [narrow.clone()]));
        branches.push(branch);
    }
    let pool = MaxPool1d { kernel: 3.min(time), stride: Some(1), padding: TimePadding::Same };
    layers.push(Node::with_inputs(name("pool"), pool.into(), [input]));
    layers.push(node(name("pool_conv"), convolution(FILTERS, 1, time)));
    branches.push(name("pool_conv"));
    layers.push(Node::with_inputs(name("joined"), Layer::concat(1), branches));
    layers.push(node(name("norm"), Layer::batch_norm()));
    layers.push(node(name("relu"), Layer::Relu));
    name("relu")
}

/// The fully convolutional network of Wang and others 2017.
fn fcn(time: usize, classes: usize) -> Vec<Node> {
    let mut layers = Vec::new();
    for (block, (channels, kernel)) in (1..).zip([(128, 8), (256, 5), (128, 3)]) {
        let name = |part: &str| format!("{part}{block}");
        layers.push(node(name("conv"), convolution(channels, kernel, time)));
        layers.push(node(name("norm"), Layer::batch_norm()));
        layers.push(node(name("relu"), Layer::Relu));
    }
    layers.push(node("mean", Layer::GlobalAvgPool));
    layers.push(node("scores", Layer::linear(classes)));
    layers
}

/// ROCKET (Dempster and others 2020) with fewer kernels: of 7, 9 and 11 steps, and of dilations that double until a kernel
/// spans the series, half of them with zeros at the ends. The published method draws these sizes for each kernel; here
/// each of them has as many kernels as the next. What the kernels find is standardised and read by one dense layer.
fn random_convolution(time: usize, classes: usize) -> Vec<Node> {
    let mut kinds = Vec::new();
    for kernel in [7, 9, 11].map(|kernel: usize| kernel.min(time)) {
        for dilation in (0..).map(|power| 1 << power).take_while(|dilation| dilation * (kernel - 1) < time) {
            kinds.extend([TimePadding::Valid, TimePadding::Same].map(|padding| (kernel, dilation, padding)));
            if kernel == 1 {
                break;
            }
        }
    }
    let mut layers = Vec::new();
    let mut found = Vec::new();
    for (place, &(kernel, dilation, padding)) in kinds.iter().enumerate() {
        let kernels = KERNELS * (place + 1) / kinds.len() - KERNELS * place / kinds.len();
        let name = format!("kernels{}", place + 1);
        let layer = RandomConv1d { kernels, kernel, dilation, padding };
        layers.push(Node::with_inputs(&name, layer.into(), ["input".to_owned()]));
        found.push(name);
    }
    layers.push(Node::with_inputs("found", Layer::concat(0), found));
    layers.push(node("norm", Layer::batch_norm()));
    layers.push(node("dropout", Layer::dropout(0.5)));
    layers.push(node("scores", Layer::linear(classes)));
    layers
}

fn lstm(classes: usize) -> Vec<Node> {
    vec![
        node("lstm", Lstm { bidirectional: true, ..Lstm::new(64) }),
        node("mean", Layer::GlobalAvgPool),
        node("scores", Layer::linear(classes)),
    ]
}

fn cnn(time: usize, classes: usize) -> Vec<Node> {
    let mut layers = Vec::new();
    let mut left = time;
    for (block, (channels, kernel)) in (1..).zip([(32, 7), (64, 5)]) {
        let name = |part: &str| format!("{part}{block}");
        layers.push(node(name("conv"), Conv1d::same(channels, kernel.min(left))));
        layers.push(node(name("relu"), Layer::Relu));
        if left >= 2 {
            layers.push(node(name("pool"), MaxPool1d { kernel: 2, stride: None, padding: TimePadding::Valid }));
            left /= 2;
        }
    }
    layers.push(node("mean", Layer::GlobalAvgPool));
    layers.push(node("dropout", Layer::dropout(0.2)));
    layers.push(node("scores", Layer::linear(classes)));
    layers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_fits_series_of_any_size() {
        for entry in ENTRIES {
            for shape in [[150, 1], [100, 6], [3, 2], [1, 1]] {
                let network = architecture(Some(entry.name), &shape, 5).unwrap();
                assert_eq!(network.output_shape().unwrap(), [5], "{} on {shape:?}", entry.name);
            }
        }
        assert_eq!(architecture(None, &[150, 1], 2).unwrap().name, "inception");
    }

    #[test]
    fn published_networks_have_their_published_layers() {
        let network = architecture(Some("inception"), &[150, 1], 2).unwrap();
        let shapes = network.shapes().unwrap();
        let shape = |name: &str| shapes.iter().find(|(known, _)| known == name).map(|(_, shape)| shape.clone());
        assert_eq!(shape("joined2c"), Some(vec![150, 128]));
        // One dimension needs no bottleneck.
        assert_eq!((shape("bottleneck1a"), shape("bottleneck1b")), (None, Some(vec![150, 32])));
        let parameters =
            |name, shape: [usize; 2]| architecture(Some(name), &shape, 2).unwrap().summary().unwrap().parameters;
        // Kernels of 7, 9 and 11 steps with dilations up to 16, 16 and 8, with and without zeros: 28 layers.
        let random = architecture(Some("random-convolution"), &[150, 1], 2).unwrap();
        let kernels = random.layers.iter().filter(|node| node.layer.kind() == "random_conv1d").count();
        assert_eq!(kernels, 2 * (5 + 5 + 4));
        // Three convolutions of 1 * 8, 128 * 5 and 256 * 3 inputs, three batch norms, and 128 * 2 + 2.
        assert_eq!(parameters("fcn", [150, 1]), 128 * 8 + 256 * 640 + 128 * 768 + 2 * 512 + 258);
        // A module of 128 channels: bottleneck, three branches, the pooled one and a norm.
        let module = |channels: u64, narrow: u64| {
            let bottleneck = if channels > 1 { 32 * channels } else { 0 };
            bottleneck + 32 * narrow * 70 + 32 * channels + 256
        };
        let shortcuts = 128 + 128 * 128 + 2 * 256;
        let wanted = module(1, 1) + 5 * module(128, 32) + shortcuts + 258;
        assert_eq!(parameters("inception", [150, 1]), wanted);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let error = architecture(Some("incepton"), &[150, 1], 2).unwrap_err();
        assert_eq!(error.remedy(), Some("did you mean \"inception\"?"));
        assert_eq!(error.place().key.as_deref(), Some("train.architecture"));
        assert_eq!(architecture(None, &[150], 2).unwrap_err().code(), ErrorCode::Shape);
    }
}
