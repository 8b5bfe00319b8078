//! The networks that forecasts are made with. All but one see a window less its own level, and what they give is brought
//! back to that level inside the network, so that a series which rises past everything in training is followed.

use lepton_core::{Error, ErrorCode, Result};
use lepton_nn::{Architecture, Centre, Conv1d, InputSpec, Layer, Lstm, Node, ReversibleNorm, TimePadding};
use lepton_train::{ENSEMBLE, ZooEntry, unknown_architecture};

/// All of them; the first is the default.
pub(super) const ENTRIES: &[ZooEntry] = &[
    ZooEntry { name: "linear", about: "NLinear: one dense layer on the window less its last value; hard to beat" },
    ZooEntry {
        name: "autoregression",
        about: "one dense layer on the window as it is: for a series that comes back to its level",
    },
    ZooEntry { name: "mlp", about: "two dense layers of 128 on the window less its mean, over its deviation" },
    ZooEntry { name: "nbeats", about: "N-BEATS, generic: blocks of dense layers, each on what the ones before leave" },
    ZooEntry { name: "tcn", about: "dilated causal convolutions with shortcuts, as many as reach over the window" },
    ZooEntry { name: "lstm", about: "an LSTM of 64 units that reads the window, and a dense layer on where it ends" },
    ZooEntry { name: ENSEMBLE, about: "the mean of linear, nbeats, tcn and lstm: surer than any one of them" },
];

/// What an ensemble is made of.
pub(super) const MEMBERS: &[&str] = &["linear", "nbeats", "tcn", "lstm"];

/// Units of the dense layers of `mlp` and `nbeats`.
const WIDTH: usize = 128;

/// Blocks of `nbeats`.
const BLOCKS: usize = 4;

/// Dense layers in front of the two heads of a block of `nbeats`.
const DEPTH: usize = 4;

/// Channels of `tcn`, and places of its windows.
const CHANNELS: usize = 32;
const KERNEL: usize = 3;

/// The network `name`, or the default, for windows of `input_shape` = `[time, 1]` and `outputs` numbers.
pub(super) fn architecture(name: Option<&str>, input_shape: &[usize], outputs: usize) -> Result<Architecture> {
    let &[time, 1] = input_shape else {
        let message = format!("a forecast is made from a window [time, 1], these rows have {input_shape:?}");
        return Err(Error::new(ErrorCode::Shape, message));
    };
    if time == 0 {
        return Err(Error::new(ErrorCode::Shape, "a window has at least one step"));
    }
    let name = name.unwrap_or(ENTRIES[0].name);
    if name == "autoregression" {
        return Ok(Architecture::new(name, InputSpec::float32(input_shape), linear(outputs)));
    }
    let (norm, inside) = match name {
        "linear" => (ReversibleNorm::new(Centre::Last, false), linear(outputs)),
        "mlp" => (ReversibleNorm::new(Centre::Mean, true), mlp(outputs)),
        "nbeats" => (ReversibleNorm::new(Centre::Mean, true), nbeats(time, outputs)),
        "tcn" => (ReversibleNorm::new(Centre::Mean, true), tcn(time, outputs)),
        "lstm" => (ReversibleNorm::new(Centre::Mean, true), lstm(outputs)),
        unknown => return Err(unknown_architecture(unknown, ENTRIES)),
    };
    let back = norm.reverse();
    let mut layers = vec![node("norm", norm)];
    layers.extend(inside);
    layers.push(Node::with_inputs("back", back.into(), ["forecast", "input"]));
    Ok(Architecture::new(name, InputSpec::float32(input_shape), layers))
}

fn node(name: impl Into<String>, layer: impl Into<Layer>) -> Node {
    Node::new(name, layer.into())
}

/// NLinear (Zeng and others 2023).
fn linear(outputs: usize) -> Vec<Node> {
    vec![node("window", Layer::Flatten), node("forecast", Layer::linear(outputs))]
}

fn mlp(outputs: usize) -> Vec<Node> {
    let mut layers = vec![node("window", Layer::Flatten)];
    for place in 1..=2 {
        layers.push(node(format!("dense{place}"), Layer::linear(WIDTH)));
        layers.push(node(format!("relu{place}"), Layer::Relu));
        layers.push(node(format!("dropout{place}"), Layer::dropout(0.1)));
    }
    layers.push(node("forecast", Layer::linear(outputs)));
    layers
}

/// The generic architecture of Oreshkin and others (2020): each block gives a part of the forecast and, for the next one, a
/// part of the window to take off. Its dense layer may have either sign, so that it is added here.
fn nbeats(time: usize, outputs: usize) -> Vec<Node> {
    let mut layers = vec![node("window", Layer::Flatten)];
    let (mut left, mut parts) = ("window".to_owned(), Vec::new());
    for block in 1..=BLOCKS {
        let name = |part: &str| format!("{part}{block}");
        let mut stream = left.clone();
        for depth in 1..=DEPTH {
            let dense = format!("dense{block}_{depth}");
            layers.push(Node::with_inputs(&dense, Layer::linear(WIDTH), [stream]));
            stream = format!("relu{block}_{depth}");
            layers.push(node(&stream, Layer::Relu));
        }
        layers.push(Node::with_inputs(name("part"), Layer::linear(outputs), [stream.clone()]));
        parts.push(name("part"));
        if block < BLOCKS {
            layers.push(Node::with_inputs(name("backcast"), Layer::linear(time), [stream]));
            layers.push(Node::with_inputs(name("left"), Layer::Add, [left, name("backcast")]));
            left = name("left");
        }
    }
    layers.push(Node::with_inputs("forecast", Layer::Add, parts));
    layers
}

/// Bai and others (2018): blocks of two causal convolutions beside a shortcut, each block twice as dilated as the one
/// before, until the last step sees the whole window.
fn tcn(time: usize, outputs: usize) -> Vec<Node> {
    let mut layers = Vec::new();
    let (mut stream, mut channels, mut dilation, mut seen) = ("norm".to_owned(), 1, 1, 1);
    for block in 1.. {
        let name = |part: &str| format!("{part}{block}");
        let causal = |kernel| Conv1d { dilation, padding: TimePadding::Causal, ..Conv1d::same(CHANNELS, kernel) };
        layers.push(Node::with_inputs(name("first"), causal(KERNEL).into(), [stream.clone()]));
        layers.push(node(name("first_relu"), Layer::Relu));
        layers.push(node(name("first_dropout"), Layer::dropout(0.1)));
        layers.push(node(name("second"), causal(KERNEL)));
        layers.push(node(name("second_relu"), Layer::Relu));
        layers.push(node(name("second_dropout"), Layer::dropout(0.1)));
        let mut shortcut = stream;
        if channels != CHANNELS {
            layers.push(Node::with_inputs(name("shortcut"), Conv1d::same(CHANNELS, 1).into(), [shortcut]));
            shortcut = name("shortcut");
        }
        layers.push(Node::with_inputs(name("sum"), Layer::Add, [name("second_dropout"), shortcut]));
        layers.push(node(name("relu"), Layer::Relu));
        stream = name("relu");
        channels = CHANNELS;
        seen += 2 * (KERNEL - 1) * dilation;
        dilation *= 2;
        if seen >= time {
            break;
        }
    }
    layers.push(node("last", Layer::LastStep));
    layers.push(node("forecast", Layer::linear(outputs)));
    layers
}

fn lstm(outputs: usize) -> Vec<Node> {
    vec![node("lstm", Lstm::new(64)), node("last", Layer::LastStep), node("forecast", Layer::linear(outputs))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::{Seed, Tensor};
    use lepton_nn::Network;

    #[test]
    fn every_network_fits_any_window_and_horizon() {
        for entry in ENTRIES.iter().filter(|entry| entry.name != ENSEMBLE) {
            for (time, outputs) in [(24, 36), (1, 1), (2, 3), (400, 14)] {
                let network = architecture(Some(entry.name), &[time, 1], outputs).unwrap();
                assert_eq!(network.output_shape().unwrap(), [outputs], "{} on {time}", entry.name);
            }
        }
        assert_eq!(architecture(None, &[24, 1], 3).unwrap().name, ENTRIES[0].name);
    }

    #[test]
    fn a_series_that_is_moved_moves_its_forecast() {
        let window = |shift: f32| {
            let values = (0..20).map(|at| (at as f32 * 0.7).sin() + shift).collect();
            Tensor::float32([1, 20, 1], values).unwrap()
        };
        for entry in ENTRIES.iter().filter(|entry| !["autoregression", ENSEMBLE].contains(&entry.name)) {
            let network = Network::new(&architecture(Some(entry.name), &[20, 1], 4).unwrap(), Seed(1)).unwrap();
            let [here, there] = [0.0, 50.0].map(|shift| network.forward(&window(shift)).unwrap());
            for (here, there) in here.as_float32().unwrap().iter().zip(there.as_float32().unwrap()) {
                assert!((here + 50.0 - there).abs() < 1e-3, "{}: {here} {there}", entry.name);
            }
        }
    }

    #[test]
    fn the_convolutions_reach_over_the_window() {
        let blocks = |time| {
            architecture(Some("tcn"), &[time, 1], 1)
                .unwrap()
                .layers
                .iter()
                .filter(|node| node.name.starts_with("sum"))
                .count()
        };
        // Two convolutions of three places see 5 steps, with dilation 2 in the next block 13, then 29.
        assert_eq!([5, 6, 13, 14, 29].map(blocks), [1, 2, 2, 3, 3]);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let error = architecture(Some("nbeatz"), &[24, 1], 2).unwrap_err();
        assert_eq!(error.remedy(), Some("did you mean \"nbeats\"?"));
        for shape in [&[24][..], &[24, 2], &[0, 1]] {
            assert_eq!(architecture(None, shape, 2).unwrap_err().code(), ErrorCode::Shape);
        }
    }
}
