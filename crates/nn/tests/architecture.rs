//! The network as data: reading, checking, and what the errors say.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

use lepton_core::{DType, ErrorCode, Seed, Tensor};
use lepton_nn::{Architecture, Columns, Conv2d, Embedding, InputSpec, Layer, MaxPool2d, Network, Node, Padding};
use proptest::prelude::*;

fn worked_example() -> Architecture {
    let layers = vec![
        Node::new("", Layer::conv2d(32, 3)),
        Node::new("", Layer::Relu),
        Node::new("", Layer::max_pool2d(2)),
        Node::new("", Layer::Flatten),
        Node::new("", Layer::linear(128)),
        Node::new("", Layer::Relu),
        Node::new("", Layer::linear(10)),
    ];
    Architecture::new("worked-example", InputSpec::float32([1, 28, 28]), layers)
}

#[test]
fn the_summary_is_the_one_that_keras_prints() {
    let summary = worked_example().summary().unwrap();
    assert_eq!(summary.parameters, 320 + 692_352 + 1_290);
    let expected = "\
layer         kind        output    parameters      FLOPs
input                     1x28x28
conv2d_1      conv2d      32x26x26         320    411,008
relu_1        relu        32x26x26           0     21,632
max_pool2d_1  max_pool2d  32x13x13           0     21,632
flatten_1     flatten     5408               0          0
linear_1      linear      128          692,352  1,384,576
relu_2        relu        128                0        128
linear_2      linear      10             1,290      2,570
total                                  693,962  1,841,546
";
    assert_eq!(summary.to_string(), expected);
}

#[test]
fn a_layer_list_reads_as_people_write_it() {
    let text = r#"{"name": "n", "input": {"name": "input", "shape": [3, 8, 8], "dtype": "float32"}, "layers": [
        {"name": "c1", "kind": "conv2d", "out_channels": 4, "kernel": 3, "padding": "same"},
        {"name": "c2", "kind": "conv2d", "out_channels": 4, "kernel": [1, 3], "padding": [0, 1], "bias": false},
        {"name": "sum", "kind": "add", "inputs": ["c1", "c2"]},
        {"name": "p", "kind": "max_pool2d", "kernel": 2}]}"#;
    let architecture = Architecture::from_json(text.as_bytes()).unwrap();
    let sides = Padding::Explicit { top: 0, left: 1, bottom: 0, right: 1 };
    let Layer::Conv2d(Conv2d { kernel, padding, stride, groups, .. }) = architecture.layers[1].layer else { panic!() };
    assert_eq!((kernel, padding, stride, groups), ([1, 3], sides, [1, 1], 1));
    assert_eq!(architecture.output_shape().unwrap(), [4, 4, 4]);
    assert_eq!(Architecture::from_json(&architecture.to_json().unwrap()).unwrap(), architecture);
}

/// One layer of each kind with every setting given.
const KINDS: &[&str] = &[
    r#"{"kind": "conv1d", "out_channels": 2, "kernel": 3, "stride": 1, "padding": "causal", "dilation": 2, "groups": 1, "bias": true}"#,
    r#"{"kind": "conv2d", "out_channels": 2, "kernel": [3, 3], "stride": [1, 1], "padding": "same", "dilation": [1, 1], "groups": 1, "bias": true}"#,
    r#"{"kind": "depthwise_conv2d", "kernel": [3, 3], "stride": [1, 1], "padding": "same", "dilation": [1, 1], "multiplier": 2, "bias": false}"#,
    r#"{"kind": "conv_transpose2d", "out_channels": 2, "kernel": [3, 3], "stride": [2, 2], "padding": [1, 1], "output_padding": [1, 1], "dilation": [1, 1], "groups": 1, "bias": true}"#,
    r#"{"kind": "batch_norm", "momentum": 0.2, "epsilon": 0.001}"#,
    r#"{"kind": "layer_norm", "epsilon": 0.001}"#,
    r#"{"kind": "group_norm", "groups": 2, "epsilon": 0.001}"#,
    r#"{"kind": "reversible_norm", "centre": "last", "scale": true, "epsilon": 0.001}"#,
    r#"{"kind": "reverse_norm", "centre": "last", "scale": true, "epsilon": 0.001}"#,
    r#"{"kind": "max_pool1d", "kernel": 2, "stride": 1, "padding": [0, 1]}"#,
    r#"{"kind": "avg_pool1d", "kernel": 2, "stride": 1, "padding": "same"}"#,
    r#"{"kind": "max_pool2d", "kernel": [2, 2], "stride": [1, 1], "padding": "same"}"#,
    r#"{"kind": "avg_pool2d", "kernel": [2, 2], "stride": [1, 1], "padding": "same"}"#,
    r#"{"kind": "adaptive_avg_pool2d", "size": [2, 2]}"#,
    r#"{"kind": "linear", "units": 2, "bias": true, "adapter": {"rank": 1, "alpha": 2.0}}"#,
    r#"{"kind": "leaky_relu", "slope": 0.1}"#,
    r#"{"kind": "elu", "alpha": 0.5}"#,
    r#"{"kind": "dropout", "p": 0.5}"#,
    r#"{"kind": "columns", "from": 0, "to": 1}"#,
    r#"{"kind": "embedding", "vocabulary": 3, "dimensions": 2, "padding": 0}"#,
    r#"{"kind": "feature_tokens", "dimensions": 2}"#,
    r#"{"kind": "positions", "encoding": "sinusoidal"}"#,
    r#"{"kind": "rnn", "units": 2, "layers": 2, "bidirectional": true, "dropout": 0.1}"#,
    r#"{"kind": "lstm", "units": 2, "layers": 2, "bidirectional": true, "dropout": 0.1}"#,
    r#"{"kind": "gru", "units": 2, "layers": 2, "bidirectional": true, "dropout": 0.1}"#,
    r#"{"kind": "multi_head_attention", "heads": 2, "causal": true, "dropout": 0.1}"#,
    r#"{"kind": "transformer_encoder", "heads": 2, "feed_forward": 8, "dropout": 0.1, "activation": "relu", "norm_first": false, "causal": true}"#,
    r#"{"kind": "transformer_decoder", "heads": 2, "feed_forward": 8, "dropout": 0.1, "activation": "relu", "norm_first": false, "causal": true}"#,
    r#"{"kind": "residual_block", "out_channels": 2, "stride": [2, 2]}"#,
    r#"{"kind": "dense_block", "layers": 2, "growth": 3}"#,
    r#"{"kind": "inverted_residual_block", "out_channels": 2, "expansion": 3, "stride": [1, 1]}"#,
    r#"{"kind": "squeeze_excite", "reduction": 2}"#,
    r#"{"kind": "concat", "axis": 1}"#,
    r#"{"kind": "reshape", "shape": [2, 2]}"#,
    r#"{"kind": "upsample", "scale": 2, "mode": "nearest"}"#,
    r#"{"kind": "random_conv1d", "kernels": 3, "kernel": 2, "dilation": 2, "padding": "same"}"#,
    r#"{"kind": "trees", "trees": 1, "nodes": 3, "depth": 1, "outputs": 1}"#,
    r#"{"kind": "global_avg_pool"}"#,
    r#"{"kind": "global_max_pool"}"#,
    r#"{"kind": "last_step"}"#,
    r#"{"kind": "flatten"}"#,
    r#"{"kind": "to_sequence"}"#,
    r#"{"kind": "relu"}"#,
    r#"{"kind": "relu6"}"#,
    r#"{"kind": "gelu"}"#,
    r#"{"kind": "silu"}"#,
    r#"{"kind": "mish"}"#,
    r#"{"kind": "selu"}"#,
    r#"{"kind": "softplus"}"#,
    r#"{"kind": "sigmoid"}"#,
    r#"{"kind": "hard_sigmoid"}"#,
    r#"{"kind": "hard_swish"}"#,
    r#"{"kind": "tanh"}"#,
    r#"{"kind": "softmax"}"#,
    r#"{"kind": "add"}"#,
    r#"{"kind": "mul"}"#,
];

#[test]
fn every_kind_is_read_and_written_with_all_its_settings() {
    let mut listed = read_error(r#"{"kind": "zzzzzzzzzzzzzz"}"#);
    listed.replace_range(..listed.find("the kinds are: ").unwrap() + 15, "");
    let listed: Vec<&str> = listed.split(", ").map(|kind| kind.trim_end_matches('"')).collect();
    let given: Vec<String> = KINDS.iter().map(|text| kind_of(text)).collect();
    assert_eq!(listed, given);
    for text in KINDS {
        let node: Node = serde_json::from_str(text).unwrap();
        let mut written = serde_json::to_value(&node).unwrap();
        written.as_object_mut().unwrap().remove("name");
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(text).unwrap());
        assert_eq!(node.layer.kind(), kind_of(text));
    }
}

fn kind_of(text: &str) -> String {
    serde_json::from_str::<serde_json::Value>(text).unwrap()["kind"].as_str().unwrap().to_owned()
}

fn read_error(layer: &str) -> String {
    serde_json::from_str::<Node>(layer).unwrap_err().to_string()
}

#[test]
fn unknown_words_get_the_nearest_known_one() {
    assert!(read_error(r#"{"name": "c", "kind": "conv"}"#).contains("layer \"c\": unknown kind \"conv\""));
    assert!(read_error(r#"{"name": "c", "kind": "Conv2D"}"#).contains("did you mean \"conv2d\"?"));
    assert!(read_error(r#"{"name": "c", "kind": "maxpool2d"}"#).contains("did you mean \"max_pool2d\"?"));
    assert!(read_error(r#"{"kind": "zzzzzzzzzzzzzz"}"#).contains("the kinds are: conv1d, conv2d"));
    assert!(read_error(r#"{"name": "c"}"#).contains("has no kind"));
    assert!(
        read_error(r#"{"name": "l", "kind": "linear", "unit": 3}"#)
            .contains("linear has no setting \"unit\"; did you mean \"units\"?")
    );
    assert!(read_error(r#"{"name": "r", "kind": "relu", "slope": 3}"#).contains("it has no settings"));
    assert!(read_error(r#"{"name": "l", "kind": "linear"}"#).contains("layer \"l\" (linear): missing field `units`"));
    assert!(read_error(r#"{"name": "l", "kind": "linear", "units": -1}"#).contains("layer \"l\""));
    assert!(
        read_error(r#"{"name": "c", "kind": "conv2d", "out_channels": 1, "kernel": 3, "padding": "full"}"#)
            .contains("not \"full\"")
    );
    assert!(
        read_error(r#"{"name": "c", "kind": "conv2d", "out_channels": 1, "kernel": "3"}"#).contains("[height, width]")
    );
}

#[test]
fn wrong_graphs_name_the_layer_and_both_shapes() {
    let wrong = |code: ErrorCode, at: &str, says: &[&str], shape: &[usize], layers: Vec<Node>| {
        let error = Architecture::new("w", InputSpec::float32(shape), layers).validate().unwrap_err();
        assert_eq!((error.code(), error.place().node.as_deref()), (code, Some(at)), "{error}");
        assert!(says.iter().all(|word| error.to_string().contains(word)), "{error}");
    };
    let node = Node::new;
    let shape = ErrorCode::Shape;
    wrong(shape, "l", &["[3, 8, 8]", "flatten"], &[3, 8, 8], vec![node("l", Layer::linear(2))]);
    wrong(shape, "c", &["[5, 5]", "[4, 4]"], &[1, 4, 4], vec![node("c", Layer::conv2d(2, 5))]);
    wrong(shape, "c", &["[channels, height, width]", "[7]"], &[7], vec![node("c", Layer::conv2d(2, 5))]);
    let two = |last: Node| vec![node("a", Layer::conv2d(2, 3)), node("b", Layer::conv2d(2, 3)), last];
    let both = ["[2, 6, 6]", "[2, 4, 4]"];
    wrong(shape, "s", &both, &[1, 8, 8], two(Node::with_inputs("s", Layer::Add, ["a", "b"])));
    wrong(shape, "s", &both, &[1, 8, 8], two(Node::with_inputs("s", Layer::concat(0), ["a", "b"])));
    wrong(shape, "c", &["1..9", "[4]"], &[4], vec![node("c", Columns { from: 1, to: 9 }.into())]);
    let config = ErrorCode::Config;
    wrong(config, "s", &["two or more"], &[4], vec![node("s", Layer::Add)]);
    wrong(
        config,
        "r",
        &["did you mean \"ab\""],
        &[4],
        vec![node("ab", Layer::Relu), Node::with_inputs("r", Layer::Relu, ["abc"])],
    );
    wrong(config, "r", &["two layers"], &[4], vec![node("r", Layer::Relu), node("r", Layer::Relu)]);
    wrong(config, "output", &["belongs"], &[4], vec![node("output", Layer::Relu)]);
    wrong(config, "a b", &["letters"], &[4], vec![node("a b", Layer::Relu)]);
    wrong(
        config,
        "a",
        &["nothing uses"],
        &[4],
        vec![node("a", Layer::Relu), Node::with_inputs("b", Layer::Relu, ["input"])],
    );
    wrong(config, "d", &["[0, 1)"], &[4], vec![node("d", Layer::dropout(1.0))]);
    wrong(shape, "l", &["elements"], &[4], vec![node("l", Layer::linear(usize::MAX))]);
    let padding = Padding::Explicit { top: 2, left: 0, bottom: 0, right: 0 };
    let padded = MaxPool2d { kernel: [2, 2], stride: None, padding }.into();
    wrong(config, "p", &["nothing inside"], &[1, 4, 4], vec![node("p", padded)]);
    let codes = InputSpec { dtype: DType::Int64, ..InputSpec::float32([3]) };
    let error = Architecture::new("w", codes, vec![node("l", Layer::linear(2))]).validate().unwrap_err();
    assert!(error.to_string().contains("put an embedding"), "{error}");
    assert_eq!(Architecture::new("w", InputSpec::float32([3]), vec![]).validate().unwrap_err().code(), config);
}

#[test]
fn wrong_weights_and_inputs_are_named() {
    let architecture = worked_example();
    let weights = Network::new(&architecture, Seed(1)).unwrap().weights().unwrap();
    let network = Network::from_weights(&architecture, &weights).unwrap();
    assert_eq!(network.weights().unwrap(), weights);
    let mut other = worked_example();
    other.layers[6].layer = Layer::linear(11);
    let error = Network::from_weights(&other, &weights).err().unwrap();
    assert_eq!((error.code(), error.place().key.as_deref()), (ErrorCode::Shape, Some("linear_2.weight")), "{error}");
    other.layers[6].name = "classes".to_owned();
    assert!(Network::from_weights(&other, &weights).err().unwrap().to_string().contains("no such tensor"));
    let mut spoilt = weights.clone();
    let end = spoilt.len();
    spoilt[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(Network::from_weights(&architecture, &spoilt).err().unwrap().to_string().contains("NaN"));
    assert!(Network::from_weights(&architecture, &weights[..100]).is_err());

    let code = |tensor: Tensor| network.forward(&tensor).unwrap_err().code();
    assert_eq!(code(Tensor::float32([2, 784], vec![0.0; 1568]).unwrap()), ErrorCode::Shape);
    assert_eq!(code(Tensor::float32([0, 1, 28, 28], vec![]).unwrap()), ErrorCode::Shape);
    assert_eq!(code(Tensor::float32([], vec![0.0]).unwrap()), ErrorCode::Shape);
    assert_eq!(code(Tensor::int64([1, 1, 28, 28], vec![0; 784]).unwrap()), ErrorCode::Dtype);
}

#[test]
fn a_code_outside_the_table_is_refused() {
    let layers = vec![Node::new("e", Embedding { vocabulary: 5, dimensions: 2, padding: None }.into())];
    let floats = Network::new(&Architecture::new("e", InputSpec::float32([1]), layers.clone()), Seed(1)).unwrap();
    for bad in [5.0, -1.0, 0.5, f32::NAN] {
        let error = floats.forward(&Tensor::float32([1, 1], vec![bad]).unwrap()).unwrap_err();
        assert_eq!((error.code(), error.place().node.as_deref()), (ErrorCode::BadInput, Some("e")));
    }
    let codes = InputSpec { dtype: DType::Int64, ..InputSpec::float32([1]) };
    let integers = Network::new(&Architecture::new("e", codes, layers), Seed(1)).unwrap();
    for bad in [5, -1] {
        assert_eq!(
            integers.forward(&Tensor::int64([1, 1], vec![bad]).unwrap()).unwrap_err().code(),
            ErrorCode::BadInput
        );
    }
    assert!(integers.forward(&Tensor::int64([1, 1], vec![4]).unwrap()).is_ok());
}

proptest! {
    #[test]
    fn inferred_shapes_are_computed_shapes(
        channels in 1usize..4, height in 1usize..10, width in 1usize..10, out in 1usize..4,
        kernel in (1usize..4, 1usize..4), stride in (1usize..4, 1usize..4), dilation in 1usize..3,
        padding in prop_oneof![
            Just(Padding::Valid), Just(Padding::Same),
            (0usize..3, 0usize..3, 0usize..3, 0usize..3)
                .prop_map(|(top, left, bottom, right)| Padding::Explicit { top, left, bottom, right }),
        ],
        pool in any::<bool>(),
    ) {
        let (kernel, stride) = ([kernel.0, kernel.1], [stride.0, stride.1]);
        let layer = match pool {
            true => Layer::from(MaxPool2d { kernel, stride: Some(stride), padding }),
            false => Conv2d { kernel, stride, padding, dilation: [dilation; 2], ..Conv2d::new(out, 1) }.into(),
        };
        let architecture = Architecture::new("p", InputSpec::float32([channels, height, width]), vec![Node::new("x", layer)]);
        if let Ok(shape) = architecture.output_shape() {
            let input = Tensor::float32([2, channels, height, width], vec![1.0; 2 * channels * height * width]).unwrap();
            let output = Network::new(&architecture, Seed(1)).unwrap().forward(&input).unwrap();
            prop_assert_eq!(&output.shape()[1..], &shape[..]);
            prop_assert!(output.as_float32().unwrap().iter().all(|value| value.is_finite()));
            prop_assert_eq!(Architecture::from_json(&architecture.to_json().unwrap()).unwrap(), architecture);
        }
    }
}
