//! The networks that tabular classification offers by name.

use lepton_core::{Error, ErrorCode, Result};
use lepton_nn::{Architecture, InputSpec, Layer, Node};
use lepton_train::{ZooEntry, unknown_architecture};

/// All of them; the first is the default.
pub(super) const ENTRIES: &[ZooEntry] = &[
    ZooEntry { name: "mlp", about: "dense 64, dense 32, dense classes, with ReLU and a tenth dropped" },
    ZooEntry { name: "mlp-large", about: "dense 256, dense 256, dense classes, with ReLU and a fifth dropped" },
    ZooEntry { name: "linear", about: "one dense layer: logistic regression, the baseline to beat" },
];

/// The network `name`, or the default, for rows of `input_shape` = `[features]`.
pub(super) fn architecture(name: Option<&str>, input_shape: &[usize], classes: usize) -> Result<Architecture> {
    if input_shape.len() != 1 || input_shape[0] == 0 {
        return Err(Error::new(
            ErrorCode::Shape,
            format!("a table row has [features], these rows have {input_shape:?}"),
        ));
    }
    let name = name.unwrap_or(ENTRIES[0].name);
    let layers = match name {
        "mlp" => perceptron(&[64, 32], 0.1, classes),
        "mlp-large" => perceptron(&[256, 256], 0.2, classes),
        "linear" => perceptron(&[], 0.0, classes),
        unknown => return Err(unknown_architecture(unknown, ENTRIES)),
    };
    Ok(Architecture::new(name, InputSpec::float32(input_shape), layers))
}

fn perceptron(hidden: &[usize], dropped: f64, classes: usize) -> Vec<Node> {
    let mut layers = Vec::new();
    for (index, &units) in hidden.iter().enumerate() {
        let name = |part: &str| format!("{part}{}", index + 1);
        layers.push(Node::new(name("dense"), Layer::linear(units)));
        layers.push(Node::new(name("relu"), Layer::Relu));
        layers.push(Node::new(name("dropout"), Layer::dropout(dropped)));
    }
    layers.push(Node::new("scores", Layer::linear(classes)));
    layers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_gives_a_score_for_each_class() {
        for entry in ENTRIES {
            let network = architecture(Some(entry.name), &[9], 4).unwrap();
            assert_eq!(network.output_shape().unwrap(), [4], "{}", entry.name);
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
    }
}
