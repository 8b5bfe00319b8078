//! ONNX files as networks: PyTorch's exports give PyTorch's outputs, our own exports come back, and hostile files are
//! errors.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod reference;

use lepton_core::{DType, ErrorCode, Limits, Tensor};
use lepton_nn::{Imported, Loss, Network, OptimizerSettings, Trainer, import};
use lepton_onnx::{GraphProto, ModelProto, NodeProto, ValueInfoProto, decode, encode};
use proptest::prelude::*;
use reference::{Flat, assert_close, cases, safetensors};
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Deserialize)]
struct Case {
    file: String,
    input: Flat,
    output: Flat,
}

fn bytes(file: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/imports/{file}.onnx"));
    std::fs::read(path).unwrap()
}

fn exports() -> Vec<Case> {
    serde_json::from_str(include_str!("data/imports.json")).unwrap()
}

fn imported(file: &str) -> Imported {
    import(&bytes(file), &Limits::default()).unwrap_or_else(|error| panic!("{file}: {error:?}"))
}

fn check(name: &str, network: &Network, input: &Tensor, output: &Flat) {
    let ours = network.forward(input).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    assert_eq!(ours.shape(), output.shape, "{name}");
    assert_close(name, ours.as_float32().unwrap(), &output.floats(), 1e-5);
}

#[test]
fn outputs_of_exports_are_pytorchs() {
    for case in exports() {
        let import = imported(&case.file);
        assert_eq!((import.input_name.as_str(), import.output_name.as_str()), ("x", "y"));
        check(&case.file, &import.network, &case.input.tensor(), &case.output);
        let json = import.architecture.to_json().unwrap();
        assert_eq!(lepton_nn::Architecture::from_json(&json).unwrap(), import.architecture, "{}", case.file);
    }
}

#[test]
fn imports_come_back_from_an_export() {
    for case in exports() {
        let first = imported(&case.file);
        let again = import(&first.network.to_onnx().unwrap(), &Limits::default())
            .unwrap_or_else(|error| panic!("{}: {error:?}", case.file));
        check(&case.file, &again.network, &case.input.tensor(), &case.output);
    }
}

/// What our own exports write that has no way back: masks of padding, attention, grids of means, positions of a free
/// length, vectors for numbers, random kernels, windows over their own deviation, and trees.
const NO_WAY_BACK: [&str; 38] = [
    "adaptive",
    "all-padding",
    "attention",
    "attention-causal",
    "attention-lengths",
    "decoder-first",
    "decoder-last",
    "encoder-gelu-first",
    "encoder-gelu-last",
    "encoder-relu-first",
    "encoder-relu-last",
    "feature-tokens",
    "global-avg-lengths",
    "global-max-lengths",
    "gru-plain-last",
    "gru-plain-lengths",
    "gru-stacked-last",
    "gru-stacked-lengths",
    "lstm-plain-last",
    "lstm-plain-lengths",
    "lstm-stacked-last",
    "lstm-stacked-lengths",
    "positions-learned",
    "random-conv1d",
    "random-conv1d-channels",
    "reverse-last-plain",
    "reverse-last-scaled",
    "reverse-mean-plain",
    "reverse-mean-scaled",
    "reversible-last-plain",
    "reversible-last-scaled",
    "reversible-mean-plain",
    "reversible-mean-scaled",
    "rnn-plain-last",
    "rnn-plain-lengths",
    "rnn-stacked-last",
    "rnn-stacked-lengths",
    "trees",
];

#[test]
fn our_own_exports_come_back() {
    let mut refused = Vec::new();
    for case in cases() {
        let name = case.architecture.name.clone();
        let network = Network::from_weights(&case.architecture, &safetensors(&case.weights)).unwrap();
        match import(&network.to_onnx().unwrap(), &Limits::default()) {
            Ok(import) => check(&name, &import.network, &case.input.tensor(), &case.output),
            Err(error) => {
                // A mean or a deviation over the steps of a window of free length would have to know its length.
                let knows_length = name.starts_with("reversible") && name != "reversible-last-plain";
                let wanted = if knows_length { ErrorCode::Config } else { ErrorCode::Unsupported };
                assert_eq!(error.code(), wanted, "{name}: {error:?}");
                refused.push(format!("{name}: {error}"));
            }
        }
    }
    let mut names: Vec<&str> = refused.iter().filter_map(|line| line.split(':').next()).collect();
    names.sort_unstable();
    assert_eq!(names, NO_WAY_BACK, "{refused:#?}");
}

#[test]
fn layers_have_the_names_of_their_weights() {
    let keys: Vec<String> = imported("resnet-unfolded-13").network.keys().map(str::to_owned).collect();
    for key in
        ["conv1.weight", "layer1_0_conv1.weight", "layer2_0_bn2.running_var", "layer2_0_shortcut_0.weight", "fc.bias"]
    {
        assert!(keys.iter().any(|known| known == key), "{key} is not in {keys:?}");
    }
}

#[test]
fn an_import_trains() {
    for (file, classes) in [("resnet-unfolded-13", 3), ("mobilenet-dynamo", 3), ("lstm-17", 3), ("signal-dynamo", 3)] {
        let case = exports().into_iter().find(|case| case.file == file).unwrap();
        let network = imported(file).network;
        let before = network.weights().unwrap();
        let mut trainer = Trainer::new(network, Loss::default(), OptimizerSettings::default()).unwrap();
        let input = case.input.tensor();
        let target =
            Tensor::int64([input.rows()], (0..input.rows() as i64).map(|row| row % classes).collect()).unwrap();
        let first = trainer.step(&input, &target, 0.01).unwrap().loss;
        assert_ne!(before, trainer.network().weights().unwrap());
        let mut last = first;
        for _ in 0..20 {
            last = trainer.step(&input, &target, 0.01).unwrap().loss;
        }
        assert!(last < first, "{file}: {first} to {last}");
    }
}

#[test]
fn sequences_keep_their_free_length() {
    let lengths = |file: &str| {
        let import = imported(file);
        assert!(import.architecture.input.free_length && import.notes[0].contains("any length"), "{:?}", import.notes);
        for time in [1, 5, 70] {
            let codes = (0..2 * time).map(|at| at % 12).collect();
            let input = Tensor::int64([2, time as usize], codes).unwrap();
            assert_eq!(import.network.forward(&input).unwrap().shape(), [2, 3], "{file}");
        }
    };
    ["gru-free-17", "lstm-free-17"].into_iter().for_each(lengths);
}

#[test]
fn a_person_is_told_what_is_other_than_in_the_file() {
    let notes = imported("mlp-fixed-13").notes.join("\n");
    assert!(notes.contains("batch at 1") && notes.contains("softmax"), "{notes}");
}

fn float(name: &str, shape: &[i64]) -> ValueInfoProto {
    ValueInfoProto::tensor(name, DType::Float32, shape)
}

/// A graph from `input` to `output` over rows of four numbers.
fn model(nodes: Vec<NodeProto>, constants: &[(&str, Tensor)]) -> Vec<u8> {
    let mut graph = GraphProto::new("test");
    graph.input.push(float("input", &[-1, 4]));
    graph.output.push(float("output", &[-1, 4]));
    graph.node = nodes;
    for (name, tensor) in constants {
        graph.add_initializer(*name, tensor);
    }
    encode(&ModelProto::new(graph, 17))
}

fn refused(model: &[u8]) -> (ErrorCode, String) {
    match import(model, &Limits::default()) {
        Ok(import) => panic!("it was taken: {:?}", import.architecture),
        Err(error) => (error.code(), error.to_string()),
    }
}

/// A picture of 3 channels, 5 rows and 4 columns through those nodes; `w` are weights of a convolution, `pads` are zeros
/// around the picture.
fn picture_model(nodes: Vec<NodeProto>) -> Vec<u8> {
    let weights = (0..54).map(|at| (at % 7) as f32 - 3.0).collect();
    let constants = [
        ("w", Tensor::float32([2, 3, 3, 3], weights).unwrap()),
        ("pads", Tensor::int64([8], vec![0, 0, 2, 0, 0, 0, 1, 1]).unwrap()),
    ];
    let mut graph = GraphProto::new("test");
    graph.input.push(float("input", &[-1, 3, 5, 4]));
    graph.output.push(float("output", &[-1, -1, -1, -1]));
    graph.node = nodes;
    for (name, tensor) in &constants {
        graph.add_initializer(*name, tensor);
    }
    encode(&ModelProto::new(graph, 13))
}

fn picture_output(nodes: Vec<NodeProto>) -> Tensor {
    let import = import(&picture_model(nodes), &Limits::default()).unwrap_or_else(|error| panic!("{error:?}"));
    let values = (0..120).map(|at| (at % 11) as f32 / 4.0 - 1.0).collect();
    import.network.forward(&Tensor::float32([2, 3, 5, 4], values).unwrap()).unwrap()
}

#[test]
fn padding_is_the_same_however_it_is_written() {
    let conv = |from: &str| NodeProto::new("Conv", "c", [from, "w"], ["output"]);
    let expected = picture_output(vec![conv("input").ints("pads", [2, 1, 1, 2])]);
    let pad = NodeProto::new("Pad", "p", ["input", "pads"], ["padded"]);
    assert_eq!(picture_output(vec![pad.clone(), conv("padded").ints("pads", [0, 1, 0, 1])]), expected);
    let error = import(&picture_model(vec![pad, conv("padded").text("auto_pad", "SAME_LOWER")]), &Limits::default());
    assert_eq!(error.err().unwrap().code(), ErrorCode::Unsupported);
    // A window of 3 over 5 x 4 with steps of 2 lacks two rows and one column, which is at the end or at the beginning.
    for (auto_pad, pads) in [("SAME_UPPER", [1, 0, 1, 1]), ("SAME_LOWER", [1, 1, 1, 0]), ("VALID", [0; 4])] {
        let strides = |node: NodeProto| node.ints("strides", [2, 2]);
        let auto = picture_output(vec![strides(conv("input")).text("auto_pad", auto_pad)]);
        assert_eq!(auto, picture_output(vec![strides(conv("input")).ints("pads", pads)]), "{auto_pad}");
    }
}

#[test]
fn channels_last_come_and_go() {
    // As converters from Keras write it: in front of and behind each convolution.
    let turn =
        |from: &str, to: &str, order: [i64; 4]| NodeProto::new("Transpose", to, [from], [to]).ints("perm", order);
    let nodes = vec![
        turn("input", "last", [0, 2, 3, 1]),
        NodeProto::new("Relu", "relu", ["last"], ["active"]),
        turn("active", "first", [0, 3, 1, 2]),
        NodeProto::new("Conv", "c", ["first", "w"], ["made"]),
        turn("made", "output", [0, 2, 3, 1]),
    ];
    let ours = picture_output(nodes);
    assert_eq!(ours.shape(), [2, 3, 2, 2]);
    let relu = NodeProto::new("Relu", "relu", ["input"], ["active"]);
    let plain = picture_output(vec![relu, NodeProto::new("Conv", "c", ["active", "w"], ["output"])]);
    let (ours, plain) = (ours.as_float32().unwrap(), plain.as_float32().unwrap());
    for (at, value) in ours.iter().enumerate() {
        let (row, place, channel) = (at / 12, at % 12 / 2, at % 2);
        assert_eq!(*value, plain[row * 12 + channel * 6 + place]);
    }
}

fn matrix(rows: usize, columns: usize, value: f32) -> Tensor {
    Tensor::float32([rows, columns], vec![value; rows * columns]).unwrap()
}

#[test]
fn an_unknown_operator_is_named() {
    let (code, said) = refused(&model(vec![NodeProto::new("Einsum", "odd", ["input"], ["output"])], &[]));
    assert_eq!(code, ErrorCode::Unsupported);
    assert!(said.contains("Einsum") && said.contains("\"odd\"") && said.contains("supported are Conv, "), "{said}");
    let mut foreign = NodeProto::new("Relu", "odd", ["input"], ["output"]);
    foreign.domain = "com.example".to_owned();
    let (code, said) = refused(&model(vec![foreign.clone()], &[]));
    assert!(code == ErrorCode::Unsupported && said.contains("com.example"), "{said}");
    // The names of our own patterns do not come in from outside.
    (foreign.domain, foreign.op_type) = ("lepton.fused".to_owned(), "Silu".to_owned());
    assert_eq!(refused(&model(vec![foreign], &[])).0, ErrorCode::Unsupported);
}

#[test]
fn a_cycle_is_refused() {
    let nodes = vec![
        NodeProto::new("Add", "a", ["input", "y"], ["x"]),
        NodeProto::new("Relu", "b", ["x"], ["y"]),
        NodeProto::new("Relu", "c", ["y"], ["output"]),
    ];
    let (code, said) = refused(&model(nodes, &[]));
    assert!(code == ErrorCode::BadData && said.contains("cycle"), "{said}");
    let own = vec![NodeProto::new("Relu", "a", ["output"], ["output"])];
    assert!(refused(&model(own, &[])).1.contains("cycle"));
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let gemm = || vec![NodeProto::new("Gemm", "dense", ["input", "w"], ["output"])];
    let (code, said) = refused(&model(gemm(), &[]));
    assert!(code == ErrorCode::BadData && said.contains("\"w\""), "{said}");
    let (code, said) = refused(&model(gemm(), &[("w", matrix(5, 4, 1.0))]));
    assert!(code == ErrorCode::Shape && said.contains("dense"), "{said}");
    let (code, said) = refused(&model(gemm(), &[("w", matrix(4, 4, f32::NAN))]));
    assert!(code == ErrorCode::BadData && said.contains("NaN"), "{said}");
    let (code, _) = refused(&model(gemm(), &[("w", Tensor::int64([4, 4], vec![1; 16]).unwrap())]));
    assert_eq!(code, ErrorCode::Unsupported);
    let small = Limits { tensor_elements: 10, ..Limits::default() };
    let error = import(&model(gemm(), &[("w", matrix(4, 4, 1.0))]), &small).err().unwrap();
    assert!(error.code() == ErrorCode::TooLarge && error.message().contains("tensor_elements"), "{error}");
    // A constant that nothing uses may be anything.
    let unused = [("w", matrix(4, 4, 1.0)), ("v", matrix(4, 4, f32::NAN))];
    let import = import(&model(gemm(), &unused), &Limits::default()).unwrap();
    assert!(import.notes[0].contains("1 constants"), "{:?}", import.notes);
}

#[test]
fn external_data_is_refused() {
    let mut model = decode(&bytes("resnet-17"), &Limits::default()).unwrap();
    let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
    tensor.raw_data = None;
    tensor.data_location = Some(1);
    tensor.external_data.push(lepton_onnx::MetadataEntry { key: "location".into(), value: "../../etc/passwd".into() });
    let (code, said) = refused(&encode(&model));
    assert!(code == ErrorCode::BadData && said.contains("passwd"), "{said}");
}

#[test]
fn what_a_layer_does_not_do_is_refused() {
    let one = Tensor::float32([1], vec![3.0]).unwrap();
    let constants = [("w", matrix(4, 4, 1.0)), ("three", one), ("pads", Tensor::int64([4], vec![0, 1, 0, 1]).unwrap())];
    for node in [
        NodeProto::new("Gemm", "n", ["input", "w"], ["output"]).int("transA", 1),
        NodeProto::new("Gemm", "n", ["input", "w"], ["output"]).float("alpha", 0.5),
        NodeProto::new("Clip", "n", ["input", "", "three"], ["output"]),
        NodeProto::new("HardSigmoid", "n", ["input"], ["output"]),
        NodeProto::new("Gelu", "n", ["input"], ["output"]).text("approximate", "tanh"),
        NodeProto::new("Softmax", "n", ["input"], ["output"]).int("axis", 0),
        NodeProto::new("Mul", "n", ["input", "three"], ["output"]),
        NodeProto::new("MatMul", "n", ["input", "input"], ["output"]),
        NodeProto::new("Transpose", "n", ["input"], ["output"]).ints("perm", [1, 0]),
        NodeProto::new("Pad", "n", ["input", "pads"], ["output"]),
        NodeProto::new("Identity", "n", ["input"], ["output"]),
        NodeProto::new("Identity", "n", ["w"], ["output"]),
    ] {
        let said = refused(&model(vec![node.clone()], &constants));
        assert_eq!(said.0, ErrorCode::Unsupported, "{node:?}: {}", said.1);
    }
}

/// Layers, constants, shapes and branches in great number end in an answer; that it comes soon shows in the time that
/// the test takes.
#[test]
fn ten_thousand_nodes_are_bounded() {
    let chain = |op: &str, count: usize, extra: &[&str]| {
        let value = |at: usize| match at {
            0 => "input".to_owned(),
            at if at == count => "output".to_owned(),
            at => format!("v{at}"),
        };
        let node = |at: usize| {
            let inputs = std::iter::once(value(at)).chain(extra.iter().map(|name| (*name).to_owned()));
            NodeProto::new(op, "", inputs, [value(at + 1)])
        };
        (0..count).map(node).collect::<Vec<_>>()
    };
    let limits = Limits::default();
    let error = import(&model(chain("Relu", 10_001, &[]), &[]), &limits).err().unwrap();
    assert_eq!(error.code(), ErrorCode::TooLarge);
    let import_of = |nodes| import(&model(nodes, &[("w", matrix(64, 64, 1.0))]), &limits);
    let mut nodes = chain("Identity", 9_999, &[]);
    nodes[0].op_type = "Relu".to_owned();
    assert_eq!(import_of(nodes).unwrap().architecture.layers.len(), 1);
    // A sum of itself, over and over: a tree of 2^9999 leaves as a graph.
    let doubled = (0..5_000).map(|at| {
        let value = |at: usize| if at == 0 { "input".to_owned() } else { format!("v{at}") };
        NodeProto::new("Add", "", [value(at), value(at)], [value(at + 1)])
    });
    let mut nodes: Vec<NodeProto> = doubled.collect();
    nodes.push(NodeProto::new("Relu", "", ["v100"], ["output"]));
    assert_eq!(import_of(nodes).unwrap().architecture.layers.len(), 101);
    // Turns of a constant.
    let mut nodes = chain("Transpose", 9_000, &[]);
    nodes[0].input[0] = "w".to_owned();
    let few = Limits { tensor_elements: 1 << 16, ..Limits::default() };
    let error = import(&model(nodes, &[("w", matrix(64, 64, 1.0))]), &few).err().unwrap();
    assert_eq!(error.code(), ErrorCode::TooLarge);
    // Backwards in the file.
    let mut nodes = chain("Relu", 2_000, &[]);
    nodes.reverse();
    assert_eq!(import_of(nodes).unwrap().architecture.layers.len(), 2_000);
}

/// Small files with most operators in them.
const SEEDS: [&str; 8] =
    ["lenet-11", "mobilenet-17", "mlp-11", "text-cnn-18", "lstm-both-13", "gru-17", "unet-17", "convnext-11"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = import(&bytes, &Limits::default());
    }

    #[test]
    fn changed_bytes_are_no_panic(seed in 0..SEEDS.len(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut file = bytes(SEEDS[seed]);
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Ok(import) = import(&file, &Limits::default()) {
            let _ = import.architecture.validate();
        }
    }

    /// Changes that keep the file readable, so that they get further: other numbers, names and operators.
    #[test]
    fn changed_graphs_are_no_panic(
        seed in 0..SEEDS.len(),
        changes in prop::collection::vec((0..7, any::<prop::sample::Index>(), any::<prop::sample::Index>(), -3i64..9), 1..5),
    ) {
        let mut model = decode(&bytes(SEEDS[seed]), &Limits::default()).unwrap();
        let graph = model.graph.as_mut().unwrap();
        for (kind, at, from, number) in changes {
            let other = graph.node[from.index(graph.node.len())].clone();
            let count = graph.node.len();
            let node = &mut graph.node[at.index(count)];
            match kind {
                0 => node.op_type = other.op_type,
                1 => node.attribute = other.attribute,
                2 => node.input = other.input,
                3 => {
                    if let Some(attribute) = node.attribute.first_mut() {
                        if attribute.ints.is_empty() {
                            attribute.i = Some(number);
                        } else {
                            let place = from.index(attribute.ints.len());
                            attribute.ints[place] = number;
                        }
                    }
                }
                4 => {
                    if let Some(tensor) = node.attribute.first_mut().and_then(|attribute| attribute.t.as_mut()) {
                        if tensor.data_type == 7 {
                            tensor.raw_data = Some(number.to_le_bytes().to_vec());
                        }
                        tensor.dims.push(number);
                    }
                }
                5 => {
                    let count = graph.initializer.len();
                    let tensor = &mut graph.initializer[at.index(count)];
                    if !tensor.dims.is_empty() {
                        tensor.dims.swap_remove(0);
                        tensor.dims.push(number);
                    }
                }
                _ => {
                    let count = graph.initializer.len();
                    graph.initializer.swap_remove(at.index(count));
                }
            }
        }
        if let Ok(import) = import(&encode(&model), &Limits::default()) {
            prop_assert!(import.architecture.validate().is_ok());
        }
    }
}
