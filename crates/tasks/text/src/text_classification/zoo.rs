//! The networks that texts are learned with. Each takes texts of any length, and what fills short ones changes nothing.

use lepton_core::{Error, ErrorCode, Result};
use lepton_nn::{
    Architecture, Conv1d, Embedding, FeedForwardActivation, Gru, InputSpec, Layer, LayerNorm, Lstm, Node, PositionKind,
    Positions, TransformerEncoder,
};
use lepton_recipe::Codes;
use lepton_train::{ZooEntry, unknown_architecture};

/// All of them; the first is the default.
pub(super) const ENTRIES: &[ZooEntry] = &[
    ZooEntry {
        name: "bag",
        about: "the mean of 64 numbers for each word, and a dense layer (fastText): fast and hard to beat",
    },
    ZooEntry { name: "text-cnn", about: "convolutions over 3, 4 and 5 words and the largest value of each (Kim 2014)" },
    ZooEntry { name: "bilstm", about: "an LSTM of 64 units that reads from both ends, and the mean over the text" },
    ZooEntry {
        name: "bigru",
        about: "gated recurrent units, 64, that read from both ends, and the mean over the text",
    },
    ZooEntry { name: "transformer", about: "two encoder blocks with four heads over learned positions, and the mean" },
];

/// Numbers that each code becomes.
const DIMENSIONS: usize = 64;

/// Numbers that each code becomes in front of convolutions.
const WIDE: usize = 128;

/// Channels of each width of the convolutions.
const CHANNELS: usize = 64;

/// Units of each direction of a recurrent layer.
const UNITS: usize = 64;

/// The network `name`, or the default, over rows of codes.
pub(super) fn architecture(name: Option<&str>, codes: Codes, classes: usize) -> Result<Architecture> {
    if codes.length == 0 || codes.padding >= codes.vocabulary {
        return Err(Error::new(ErrorCode::Shape, format!("rows of {codes:?} are no texts")));
    }
    let name = name.unwrap_or(ENTRIES[0].name);
    let mut layers = vec![embedding(codes, if name == "text-cnn" { WIDE } else { DIMENSIONS })];
    layers.extend(match name {
        "bag" => vec![node("dropout_codes", Layer::dropout(0.2)), node("pooled", Layer::GlobalAvgPool)],
        "text-cnn" => convolutions(),
        "bilstm" => reader(Lstm { bidirectional: true, ..Lstm::new(UNITS) }),
        "bigru" => reader(Gru { bidirectional: true, ..Gru::new(UNITS) }),
        "transformer" => transformer(),
        unknown => return Err(unknown_architecture(unknown, ENTRIES)),
    });
    layers.push(node("dropout", Layer::dropout(0.5)));
    layers.push(node("scores", Layer::linear(classes)));
    Ok(Architecture::new(name, InputSpec::codes(codes.length, true), layers))
}

fn node(name: impl Into<String>, layer: impl Into<Layer>) -> Node {
    Node::new(name, layer.into())
}

fn embedding(codes: Codes, dimensions: usize) -> Node {
    node("codes", Embedding { vocabulary: codes.vocabulary, dimensions, padding: Some(codes.padding) })
}

/// Windows of several widths side by side, and of each channel the largest value over the text.
fn convolutions() -> Vec<Node> {
    let mut layers = vec![node("dropout_codes", Layer::dropout(0.2))];
    let mut branches = Vec::new();
    for width in [3, 4, 5] {
        let name = |part: &str| format!("{part}{width}");
        layers.push(Node::with_inputs(name("conv"), Conv1d::same(CHANNELS, width).into(), ["dropout_codes"]));
        layers.push(node(name("relu"), Layer::Relu));
        layers.push(node(name("largest"), Layer::GlobalMaxPool));
        branches.push(name("largest"));
    }
    layers.push(Node::with_inputs("pooled", Layer::concat(0), branches));
    layers
}

/// A recurrent layer and the mean of what it gives at each place.
fn reader(recurrent: impl Into<Layer>) -> Vec<Node> {
    vec![node("dropout_codes", Layer::dropout(0.2)), node("reader", recurrent), node("pooled", Layer::GlobalAvgPool)]
}

fn transformer() -> Vec<Node> {
    let block = || TransformerEncoder {
        heads: 4,
        feed_forward: 2 * DIMENSIONS,
        dropout: 0.2,
        activation: FeedForwardActivation::Gelu,
        norm_first: true,
        causal: false,
        epsilon: 1e-5,
    };
    vec![
        node("positions", Positions { encoding: PositionKind::Learned }),
        node("dropout_codes", Layer::dropout(0.2)),
        node("block1", block()),
        node("block2", block()),
        node("norm", LayerNorm::default()),
        node("pooled", Layer::GlobalAvgPool),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::{Seed, Tensor};
    use lepton_nn::Network;

    const CODES: Codes = Codes { length: 12, vocabulary: 30, padding: 0 };

    fn network(name: &str) -> Network {
        Network::new(&architecture(Some(name), CODES, 3).unwrap(), Seed(5)).unwrap()
    }

    #[test]
    fn every_network_fits_texts_of_any_length() {
        for entry in ENTRIES {
            for length in [1, 2, 300] {
                let codes = Codes { length, ..CODES };
                let network = architecture(Some(entry.name), codes, 4).unwrap();
                assert_eq!(network.output_shape().unwrap(), [4], "{} over {length}", entry.name);
            }
        }
        assert_eq!(architecture(None, CODES, 2).unwrap().name, "bag");
    }

    #[test]
    fn padding_changes_nothing() {
        for entry in ENTRIES {
            let network = network(entry.name);
            let text = [5, 9, 2, 17, 9];
            let mut padded = text.to_vec();
            padded.resize(12, 0);
            // Beside a text that fills the row, so that nothing is trimmed.
            let full: Vec<i64> = (1..13).collect();
            let both = [padded.as_slice(), full.as_slice()].concat();
            let alone = network.forward(&Tensor::int64([1, 5], text.to_vec()).unwrap()).unwrap();
            let beside = network.forward(&Tensor::int64([2, 12], both).unwrap()).unwrap();
            let pairs = alone.as_float32().unwrap().iter().zip(beside.as_float32().unwrap());
            let far = pairs.map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
            assert!(far < 1e-5, "{}: {far}", entry.name);
            let other = network.forward(&Tensor::int64([1, 4], text[..4].to_vec()).unwrap()).unwrap();
            assert_ne!(other, alone, "{}: the last word counts", entry.name);
        }
    }

    #[test]
    fn a_text_of_nothing_but_padding_has_an_answer() {
        for entry in ENTRIES {
            let scores = network(entry.name).forward(&Tensor::int64([1, 12], vec![0; 12]).unwrap()).unwrap();
            assert!(scores.as_float32().unwrap().iter().all(|score| score.is_finite()), "{}", entry.name);
        }
    }

    #[test]
    fn the_convolutions_are_those_of_the_paper() {
        let network = architecture(Some("text-cnn"), CODES, 3).unwrap();
        let shapes = network.shapes().unwrap();
        let shape = |name: &str| shapes.iter().find(|(known, _)| known == name).map(|(_, shape)| shape.clone());
        assert_eq!((shape("conv4"), shape("pooled")), (Some(vec![12, 64]), Some(vec![192])));
        let parameters = network.summary().unwrap().parameters;
        assert_eq!(parameters, 30 * 128 + (128 * 64 * (3 + 4 + 5) + 3 * 64) + (192 * 3 + 3));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let error = architecture(Some("text-cn"), CODES, 2).unwrap_err();
        assert_eq!(error.remedy(), Some("did you mean \"text-cnn\"?"));
        let wrong = Codes { padding: 30, ..CODES };
        assert_eq!(architecture(None, wrong, 2).unwrap_err().code(), ErrorCode::Shape);
    }
}
