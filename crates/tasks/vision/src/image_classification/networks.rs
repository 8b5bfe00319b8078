//! The published networks of the zoo, as data.

use lepton_nn::{
    Conv2d, InvertedResidualBlock, Layer, LayerNorm, MaxPool2d, Node, Padding, Positions, ResidualBlock,
    TransformerEncoder,
};

/// Pictures with a shorter side than this keep their size in the stem of networks that were made for larger ones.
const LARGE: usize = 64;

fn node(name: impl Into<String>, layer: impl Into<Layer>) -> Node {
    Node::new(name, layer.into())
}

/// LeNet-5 (LeCun and others 1998) with ReLU and max-pooling, as it is used today; 61,706 parameters on 1x28x28.
pub(super) fn lenet5(classes: usize) -> Vec<Node> {
    vec![
        node("conv1", Conv2d { padding: Padding::Same, ..Conv2d::new(6, 5) }),
        node("relu1", Layer::Relu),
        node("pool1", Layer::max_pool2d(2)),
        node("conv2", Conv2d::new(16, 5)),
        node("relu2", Layer::Relu),
        node("pool2", Layer::max_pool2d(2)),
        node("flatten", Layer::Flatten),
        node("dense1", Layer::linear(120)),
        node("relu3", Layer::Relu),
        node("dense2", Layer::linear(84)),
        node("relu4", Layer::Relu),
        node("scores", Layer::linear(classes)),
    ]
}

/// The residual networks for small pictures (He and others 2016, section 4.2) of `6 * blocks + 2` layers: 16, 32 and 64
/// channels, `blocks` blocks each.
pub(super) fn resnet_small(blocks: usize, classes: usize) -> Vec<Node> {
    let mut layers = stem(16, 1);
    stages(&mut layers, &[16, 32, 64], blocks);
    head(&mut layers, classes);
    layers
}

/// ResNet-18 (He and others 2016, table 1). Small pictures get a 3x3 stem without pooling.
pub(super) fn resnet18(shape: &[usize], classes: usize) -> Vec<Node> {
    let mut layers = if shape[1].min(shape[2]) >= LARGE {
        let edge = |edge| Padding::Explicit { top: edge, left: edge, bottom: edge, right: edge };
        vec![
            node("conv", Conv2d { stride: [2, 2], padding: edge(3), bias: false, ..Conv2d::new(64, 7) }),
            node("norm", Layer::batch_norm()),
            node("relu", Layer::Relu),
            node("pool", MaxPool2d { kernel: [3, 3], stride: Some([2, 2]), padding: edge(1) }),
        ]
    } else {
        stem(64, 1)
    };
    stages(&mut layers, &[64, 128, 256, 512], 2);
    head(&mut layers, classes);
    layers
}

/// MobileNetV2 (Sandler and others 2018, table 2). Small pictures are halved three times less.
pub(super) fn mobilenet_v2(shape: &[usize], classes: usize) -> Vec<Node> {
    let large = shape[1].min(shape[2]) >= LARGE;
    let mut layers = stem(32, if large { 2 } else { 1 });
    if let Some(last) = layers.last_mut() {
        last.layer = Layer::Relu6;
    }
    let rows =
        [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];
    for (stage, (expansion, out_channels, blocks, stride)) in rows.into_iter().enumerate() {
        for block in 0..blocks {
            // The second and third stages keep small pictures as they are.
            let stride = if block > 0 || (!large && (1..=2).contains(&stage)) { 1 } else { stride };
            let block_of = InvertedResidualBlock { out_channels, expansion, stride: [stride; 2] };
            layers.push(node(format!("block{}{}", stage + 1, (b'a' + block as u8) as char), block_of));
        }
    }
    layers.push(node("last", Conv2d { bias: false, ..Conv2d::new(1280, 1) }));
    layers.push(node("last_norm", Layer::batch_norm()));
    layers.push(node("last_relu", Layer::Relu6));
    layers.push(node("mean", Layer::GlobalAvgPool));
    layers.push(node("dropout", Layer::dropout(0.2)));
    layers.push(node("scores", Layer::linear(classes)));
    layers
}

/// A small vision transformer (Dosovitskiy and others 2021): patches of 4x4 pixels, or 16x16 of large pictures, four
/// blocks of width 64, and the mean of all places in place of a token of its own.
pub(super) fn vit_small(shape: &[usize], classes: usize) -> Vec<Node> {
    let patch = if shape[1].min(shape[2]) >= LARGE { 16 } else { 4 };
    let mut layers = vec![
        node("patches", Conv2d { stride: [patch; 2], ..Conv2d::new(64, patch) }),
        node("places", Layer::ToSequence),
        node("positions", Positions { encoding: Default::default() }),
    ];
    for block in 1..=4 {
        let encoder = TransformerEncoder {
            heads: 4,
            feed_forward: 128,
            dropout: 0.1,
            activation: Default::default(),
            norm_first: true,
            causal: false,
            epsilon: 1e-5,
        };
        layers.push(node(format!("block{block}"), encoder));
    }
    layers.push(node("norm", LayerNorm::default()));
    layers.push(node("mean", Layer::GlobalAvgPool));
    layers.push(node("scores", Layer::linear(classes)));
    layers
}

fn stem(channels: usize, stride: usize) -> Vec<Node> {
    let padding = Padding::Explicit { top: 1, left: 1, bottom: 1, right: 1 };
    vec![
        node("conv", Conv2d { stride: [stride; 2], padding, bias: false, ..Conv2d::new(channels, 3) }),
        node("norm", Layer::batch_norm()),
        node("relu", Layer::Relu),
    ]
}

/// Residual blocks; each stage but the first halves the picture.
fn stages(layers: &mut Vec<Node>, channels: &[usize], blocks: usize) {
    for (stage, &out_channels) in channels.iter().enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let name = format!("block{}{}", stage + 1, (b'a' + block as u8) as char);
            layers.push(node(name, ResidualBlock { out_channels, stride: [stride; 2] }));
        }
    }
}

fn head(layers: &mut Vec<Node>, classes: usize) {
    layers.push(node("mean", Layer::GlobalAvgPool));
    layers.push(node("scores", Layer::linear(classes)));
}
