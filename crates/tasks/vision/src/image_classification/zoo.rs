//! The networks that image classification offers by name.

use super::networks;
use lepton_core::{Error, ErrorCode, Result};
use lepton_nn::{Architecture, Conv2d, InputSpec, Layer, Node, Padding};
use lepton_train::{ZooEntry, unknown_architecture};

/// All of them; the first is the default.
pub(super) const ENTRIES: &[ZooEntry] = &[
    ZooEntry {
        name: "worked-example",
        about: "convolution 32 of 3x3, max-pool 2, dense 128, dense classes: small pictures in seconds",
    },
    ZooEntry {
        name: "small-cnn",
        about: "four 3x3 convolutions (32, 32, 64, 64) with batch norm, two max-pools, dropout: more accurate, slower",
    },
    ZooEntry { name: "lenet5", about: "LeNet-5 with ReLU and max-pooling: 61,706 parameters on 28x28 pixels" },
    ZooEntry {
        name: "resnet8",
        about: "a residual network of 8 layers with 16, 32 and 64 channels, for small pictures",
    },
    ZooEntry { name: "resnet14", about: "the same with two blocks for each width" },
    ZooEntry { name: "resnet18", about: "ResNet-18: 11 million parameters, for coloured pictures and time" },
    ZooEntry { name: "mobilenet-v2", about: "MobileNetV2: 2 million parameters, fast when served" },
    ZooEntry { name: "vit-small", about: "a vision transformer of four blocks over patches of 4x4 pixels" },
    ZooEntry {
        name: "linear",
        about: "one dense layer on the pixels: the baseline that every other network must beat",
    },
];

/// The network `name`, or the default, for pictures of `input_shape` = `[channels, height, width]`.
pub(super) fn architecture(name: Option<&str>, input_shape: &[usize], classes: usize) -> Result<Architecture> {
    let &[_, height, width] = input_shape else {
        return Err(Error::new(
            ErrorCode::Shape,
            format!("a picture has [channels, height, width], these rows have {input_shape:?}"),
        ));
    };
    let name = name.unwrap_or(ENTRIES[0].name);
    let (layers, smallest) = match name {
        "worked-example" => (worked_example(classes), 4),
        "small-cnn" => (small_cnn(classes), 4),
        "lenet5" => (networks::lenet5(classes), 12),
        "resnet8" => (networks::resnet_small(1, classes), 4),
        "resnet14" => (networks::resnet_small(2, classes), 4),
        "resnet18" => (networks::resnet18(input_shape, classes), 8),
        "mobilenet-v2" => (networks::mobilenet_v2(input_shape, classes), 8),
        "vit-small" => (networks::vit_small(input_shape, classes), 8),
        "linear" => (vec![node("flatten", Layer::Flatten), node("scores", Layer::linear(classes))], 1),
        unknown => return Err(unknown_architecture(unknown, ENTRIES)),
    };
    if height.min(width) < smallest {
        return Err(Error::new(
            ErrorCode::Shape,
            format!("\"{name}\" needs pictures of at least {smallest}x{smallest} pixels, these have {height}x{width}"),
        )
        .at_key("train.architecture")
        .fix("set recipe.height and width, or use the network \"linear\""));
    }
    Ok(Architecture::new(name, InputSpec::float32(input_shape), layers))
}

fn node(name: &str, layer: Layer) -> Node {
    Node::new(name, layer)
}

/// 693,962 parameters on 1x28x28 with ten classes.
fn worked_example(classes: usize) -> Vec<Node> {
    vec![
        node("conv", Layer::conv2d(32, 3)),
        node("conv_relu", Layer::Relu),
        node("pool", Layer::max_pool2d(2)),
        node("flatten", Layer::Flatten),
        node("dense", Layer::linear(128)),
        node("dense_relu", Layer::Relu),
        node("scores", Layer::linear(classes)),
    ]
}

fn small_cnn(classes: usize) -> Vec<Node> {
    let mut layers = Vec::new();
    for (block, channels) in [(1, 32), (2, 64)] {
        for half in ["a", "b"] {
            let name = |part: &str| format!("{part}{block}{half}");
            let convolution = Conv2d { padding: Padding::Same, bias: false, ..Conv2d::new(channels, 3) };
            layers.push(Node::new(name("conv"), convolution.into()));
            layers.push(Node::new(name("norm"), Layer::batch_norm()));
            layers.push(Node::new(name("relu"), Layer::Relu));
        }
        layers.push(Node::new(format!("pool{block}"), Layer::max_pool2d(2)));
    }
    layers.extend([
        node("flatten", Layer::Flatten),
        node("dropout", Layer::dropout(0.25)),
        node("dense", Layer::linear(128)),
        node("dense_relu", Layer::Relu),
        node("scores", Layer::linear(classes)),
    ]);
    layers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_worked_example() {
        let network = architecture(None, &[1, 28, 28], 10).unwrap();
        assert_eq!(network.name, "worked-example");
        let shapes = network.shapes().unwrap();
        let expected: [(&str, &[usize]); 7] = [
            ("conv", &[32, 26, 26]),
            ("conv_relu", &[32, 26, 26]),
            ("pool", &[32, 13, 13]),
            ("flatten", &[5408]),
            ("dense", &[128]),
            ("dense_relu", &[128]),
            ("scores", &[10]),
        ];
        assert_eq!(shapes, expected.map(|(name, shape)| (name.to_owned(), shape.to_vec())));
    }

    #[test]
    fn every_network_fits_grey_and_colour_pictures_of_any_size() {
        for entry in ENTRIES {
            for shape in [[1, 12, 12], [3, 32, 17], [3, 64, 96]] {
                let network = architecture(Some(entry.name), &shape, 7).unwrap();
                assert_eq!(network.output_shape().unwrap(), [7], "{} on {shape:?}", entry.name);
            }
        }
    }

    #[test]
    fn published_networks_have_their_published_sizes() {
        let parameters = |name, shape: [usize; 3], classes| {
            architecture(Some(name), &shape, classes).unwrap().summary().unwrap().parameters
        };
        assert_eq!(parameters("lenet5", [1, 28, 28], 10), 61_706);
        // torchvision's resnet18 and mobilenet_v2 with 1,000 classes.
        assert_eq!(parameters("resnet18", [3, 224, 224], 1_000), 11_689_512);
        assert_eq!(parameters("mobilenet-v2", [3, 224, 224], 1_000), 3_504_872);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let error = architecture(Some("worked-exmple"), &[1, 28, 28], 10).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Config);
        assert_eq!(error.remedy(), Some("did you mean \"worked-example\"?"));
        assert_eq!(architecture(None, &[1, 3, 3], 10).unwrap_err().code(), ErrorCode::Shape);
        assert_eq!(architecture(None, &[784], 10).unwrap_err().code(), ErrorCode::Shape);
    }
}
