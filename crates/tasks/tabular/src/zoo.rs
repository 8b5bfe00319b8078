//! The networks that tables are learned with, for classes and numbers alike.

use lepton_core::{Error, ErrorCode, Result};
use lepton_nn::{Architecture, FeatureTokens, InputSpec, Layer, LayerNorm, Node, TransformerEncoder};
use lepton_train::{ZooEntry, unknown_architecture};

/// All of them; the first is the default. What `boosting` grows is made by lepton-train.
pub(crate) const ENTRIES: &[ZooEntry] = &[
    ZooEntry { name: "mlp", about: "dense 64, dense 32, dense, with ReLU and a tenth dropped" },
    ZooEntry { name: "mlp-large", about: "dense 256, dense 256, dense, with ReLU and a fifth dropped" },
    ZooEntry {
        name: "residual-mlp",
        about: "dense 128, then three residual blocks of layer norm, dense 256, ReLU, a tenth dropped, dense 128",
    },
    ZooEntry {
        name: "ft-transformer",
        about: "a vector for each feature and two transformer blocks between them: strong and slow",
    },
    ZooEntry {
        name: lepton_train::BOOSTING,
        about: "gradient-boosted decision trees: usually the best on tables, in seconds",
    },
    ZooEntry {
        name: lepton_train::ENSEMBLE,
        about: "boosting, residual-mlp and linear together, weighed by what they say of rows that they do not know",
    },
    ZooEntry { name: "linear", about: "one dense layer: the baseline to beat" },
];

/// What an ensemble is made of.
pub(crate) const ENSEMBLE: &[&str] = &[lepton_train::BOOSTING, "residual-mlp", "linear"];

/// Most features between which attention is worth its square.
const MOST_TOKENS: usize = 512;

/// The network `name`, or the default, for rows of `input_shape` = `[features]`.
pub(crate) fn architecture(name: Option<&str>, input_shape: &[usize], outputs: usize) -> Result<Architecture> {
    let &[features] = input_shape else {
        let message = format!("a table row has [features], these rows have {input_shape:?}");
        return Err(Error::new(ErrorCode::Shape, message));
    };
    if features == 0 {
        return Err(Error::new(ErrorCode::Shape, "these rows have no features"));
    }
    let name = name.unwrap_or(ENTRIES[0].name);
    let layers = match name {
        "mlp" => perceptron(&[64, 32], 0.1, outputs),
        "mlp-large" => perceptron(&[256, 256], 0.2, outputs),
        "residual-mlp" => residual(128, 256, 3, 0.1, outputs),
        "ft-transformer" if features > MOST_TOKENS => {
            let message = format!("attention between {features} features takes too long (at most {MOST_TOKENS})");
            return Err(Error::new(ErrorCode::Config, message)
                .at_key("train.architecture")
                .fix("use \"boosting\" or \"residual-mlp\", or fewer text features (recipe.text_features)"));
        }
        "ft-transformer" => feature_transformer(32, 2, outputs),
        "linear" => perceptron(&[], 0.0, outputs),
        unknown => return Err(unknown_architecture(unknown, ENTRIES)),
    };
    Ok(Architecture::new(name, InputSpec::float32(input_shape), layers))
}

fn perceptron(hidden: &[usize], dropped: f64, outputs: usize) -> Vec<Node> {
    let mut layers = Vec::new();
    for (index, &units) in hidden.iter().enumerate() {
        let name = |part: &str| format!("{part}{}", index + 1);
        layers.push(Node::new(name("dense"), Layer::linear(units)));
        layers.push(Node::new(name("relu"), Layer::Relu));
        layers.push(Node::new(name("dropout"), Layer::dropout(dropped)));
    }
    layers.push(Node::new("scores", Layer::linear(outputs)));
    layers
}

/// The residual network of Gorishniy and others 2021, with layer norm in place of batch norm: small batches.
fn residual(width: usize, hidden: usize, blocks: usize, dropped: f64, outputs: usize) -> Vec<Node> {
    let mut layers = vec![Node::new("stem", Layer::linear(width))];
    let mut stream = "stem".to_owned();
    for block in 1..=blocks {
        let name = |part: &str| format!("{part}{block}");
        layers.push(Node::with_inputs(name("norm"), LayerNorm::default().into(), [stream.clone()]));
        layers.push(Node::new(name("dense_a"), Layer::linear(hidden)));
        layers.push(Node::new(name("relu"), Layer::Relu));
        layers.push(Node::new(name("dropout"), Layer::dropout(dropped)));
        layers.push(Node::new(name("dense_b"), Layer::linear(width)));
        layers.push(Node::with_inputs(name("sum"), Layer::Add, [stream, name("dense_b")]));
        stream = name("sum");
    }
    layers.push(Node::new("norm", LayerNorm::default().into()));
    layers.push(Node::new("relu", Layer::Relu));
    layers.push(Node::new("scores", Layer::linear(outputs)));
    layers
}

/// FT-Transformer (Gorishniy and others 2021), the mean of all tokens in place of one of their own.
fn feature_transformer(width: usize, blocks: usize, outputs: usize) -> Vec<Node> {
    let mut layers = vec![Node::new("tokens", FeatureTokens { dimensions: width }.into())];
    for block in 1..=blocks {
        let encoder = TransformerEncoder {
            heads: 4,
            feed_forward: 2 * width,
            dropout: 0.1,
            activation: lepton_nn::FeedForwardActivation::Relu,
            norm_first: true,
            causal: false,
            epsilon: 1e-5,
        };
        layers.push(Node::new(format!("block{block}"), encoder.into()));
    }
    layers.push(Node::new("norm", LayerNorm::default().into()));
    layers.push(Node::new("mean", Layer::GlobalAvgPool));
    layers.push(Node::new("relu", Layer::Relu));
    layers.push(Node::new("scores", Layer::linear(outputs)));
    layers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_gives_the_outputs_that_are_asked_for() {
        for entry in
            ENTRIES.iter().filter(|entry| ![lepton_train::BOOSTING, lepton_train::ENSEMBLE].contains(&entry.name))
        {
            for outputs in [1, 4] {
                let network = architecture(Some(entry.name), &[9], outputs).unwrap();
                assert_eq!(network.output_shape().unwrap(), [outputs], "{}", entry.name);
            }
        }
        assert_eq!(architecture(None, &[9], 4).unwrap().name, "mlp");
        assert_eq!(architecture(Some("linear"), &[9], 4).unwrap().layers.len(), 1);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let error = architecture(Some("lienar"), &[9], 4).unwrap_err();
        assert_eq!(error.remedy(), Some("did you mean \"linear\"?"));
        assert_eq!(error.place().key.as_deref(), Some("train.architecture"));
        assert!(architecture(Some("zzzzzzzzzzzz"), &[9], 4).unwrap_err().remedy().unwrap().contains("mlp-large"));
        assert_eq!(architecture(None, &[1, 28, 28], 4).unwrap_err().code(), ErrorCode::Shape);
        assert_eq!(architecture(Some("ft-transformer"), &[600], 4).unwrap_err().code(), ErrorCode::Config);
    }
}
