//! The format against files that Python's onnx package wrote, hostile bytes, and round trips.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

use lepton_core::{DType, ErrorCode, Limits, Tensor, TensorData, TensorSpec};
use lepton_onnx::proto::{AttributeProto, FunctionProto, SparseTensorProto, StringStringEntryProto, TrainingInfoProto};
use lepton_onnx::{GraphProto, ModelProto, NodeProto, OPSET, TensorProto, ValueInfoProto};
use lepton_onnx::{decode, encode, refuse_external_data, signature};
use proptest::prelude::*;

const SAMPLE: &[u8] = include_bytes!("data/sample.onnx");
const EXTERNAL: &[u8] = include_bytes!("data/external.onnx");

fn read(bytes: &[u8]) -> ModelProto {
    decode(bytes, &Limits::default()).unwrap()
}

fn code(bytes: &[u8], limits: &Limits) -> Option<ErrorCode> {
    decode(bytes, limits).err().map(|error| error.code())
}

#[test]
fn reads_what_the_reference_package_wrote() {
    let model = read(SAMPLE);
    assert_eq!((model.ir_version, model.opset(), model.producer_name.as_str()), (8, Some(17), "make.py"));
    let graph = model.graph.as_ref().unwrap();
    assert_eq!(graph.doc_string, "made by make.py");
    let operations: Vec<_> = graph.node.iter().map(|node| node.op_type.as_str()).collect();
    assert_eq!(operations, ["Conv", "LeakyRelu", "Reshape", "If"]);
    assert_eq!(graph.node[0].find("kernel_shape").unwrap().ints, [3, 3]);
    // A zero that is present is not a zero that is absent.
    assert_eq!(graph.node[1].find("alpha").unwrap().f, Some(0.0));
    assert_eq!(graph.node[3].find("then_branch").unwrap().g.as_ref().unwrap().node[0].op_type, "Identity");
    let tensor = |name: &str| graph.find_initializer(name).unwrap().to_tensor().unwrap();
    assert_eq!(tensor("w").shape(), [3, 1, 3, 3]);
    assert_eq!(tensor("typed"), Tensor::int64([2], vec![-1, 75]).unwrap());
    assert_eq!(tensor("small").data(), &TensorData::UInt8(vec![0, 128, 255]));
    assert_eq!(model.metadata_props[0].value, "make.py");
    assert_eq!(read(&encode(&model)), model);
}

#[test]
fn the_signature_marks_free_sides() {
    let signature = signature(&read(SAMPLE)).unwrap();
    let spec = |name: &str, dtype, shape: &[i64]| TensorSpec { name: name.to_owned(), dtype, shape: shape.to_vec() };
    assert_eq!(signature.inputs, [spec("x", DType::Float32, &[-1, 1, 7, 7]), spec("flag", DType::Bool, &[])]);
    assert_eq!(signature.outputs, [spec("y", DType::Float32, &[-1, 75])]);
}

#[test]
fn an_input_with_an_initializer_is_no_input() {
    let mut model = read(SAMPLE);
    model.graph.as_mut().unwrap().input.push(ValueInfoProto::tensor("w", DType::Float32, &[3, 1, 3, 3]));
    assert_eq!(signature(&model).unwrap().inputs.len(), 2);
}

#[test]
fn a_type_that_is_not_known_is_named() {
    let mut model = read(SAMPLE);
    let half = TensorProto { data_type: 10, ..TensorProto::default() };
    assert_eq!(half.to_tensor().unwrap_err().code(), ErrorCode::Unsupported);
    model.graph.as_mut().unwrap().input[0] = ValueInfoProto { name: "bare".to_owned(), ..ValueInfoProto::default() };
    let error = signature(&model).unwrap_err();
    assert!(error.to_string().contains("\"bare\""), "{error}");
}

#[test]
fn external_data_is_refused_wherever_it_hides() {
    let error = refuse_external_data(&read(EXTERNAL)).unwrap_err();
    assert_eq!(error.place().node.as_deref(), Some("w"));
    assert!(error.message().contains("weights.bin"), "{error}");

    let entry = StringStringEntryProto { key: "location".to_owned(), value: "../../etc/passwd".to_owned() };
    let outside = TensorProto { name: "hidden".to_owned(), external_data: vec![entry], ..TensorProto::default() };
    let by_flag = TensorProto { name: "hidden".to_owned(), data_location: Some(1), ..TensorProto::default() };
    assert!(refuse_external_data(&read(SAMPLE)).is_ok());
    for tensor in [outside, by_flag] {
        let attribute = AttributeProto { t: Some(Box::new(tensor.clone())), ..AttributeProto::default() };
        let node = NodeProto { attribute: vec![attribute.clone()], ..NodeProto::default() };
        let graph = GraphProto { node: vec![node.clone()], ..GraphProto::default() };
        let nested = AttributeProto { graphs: vec![graph.clone()], ..AttributeProto::default() };
        let sparse = SparseTensorProto { indices: Some(tensor.clone()), ..SparseTensorProto::default() };
        let holders = [
            ModelProto {
                graph: Some(GraphProto { initializer: vec![tensor], ..GraphProto::default() }),
                ..ModelProto::default()
            },
            ModelProto {
                graph: Some(GraphProto { sparse_initializer: vec![sparse], ..GraphProto::default() }),
                ..ModelProto::default()
            },
            ModelProto { graph: Some(graph.clone()), ..ModelProto::default() },
            ModelProto {
                graph: Some(GraphProto {
                    node: vec![NodeProto { attribute: vec![nested], ..NodeProto::default() }],
                    ..GraphProto::default()
                }),
                ..ModelProto::default()
            },
            ModelProto {
                functions: vec![FunctionProto { node: vec![node], ..FunctionProto::default() }],
                ..ModelProto::default()
            },
            ModelProto {
                functions: vec![FunctionProto { attribute_proto: vec![attribute], ..FunctionProto::default() }],
                ..ModelProto::default()
            },
            ModelProto {
                training_info: vec![TrainingInfoProto { algorithm: Some(graph), ..TrainingInfoProto::default() }],
                ..ModelProto::default()
            },
        ];
        for holder in holders {
            let error = refuse_external_data(&holder).unwrap_err();
            assert_eq!((error.code(), error.place().node.as_deref()), (ErrorCode::BadData, Some("hidden")));
        }
    }
}

#[test]
fn every_limit_is_named_when_it_is_passed() {
    let message = |limits: Limits| decode(SAMPLE, &limits).unwrap_err().to_string();
    assert!(message(Limits { model_bytes: SAMPLE.len() as u64 - 1, ..Limits::default() }).contains("model_bytes"));
    assert!(
        message(Limits { graph_nodes: 5, ..Limits::default() }).contains("graph_nodes = 5"),
        "4 nodes and 2 in branches"
    );
    assert!(message(Limits { graph_nesting: 0, ..Limits::default() }).contains("graph_nesting = 0"));
    let exact = Limits { model_bytes: SAMPLE.len() as u64, graph_nodes: 6, graph_nesting: 1, ..Limits::default() };
    assert_eq!(code(SAMPLE, &exact), None);
}

#[test]
fn a_tower_of_graphs_and_a_flood_of_empty_nodes_are_refused_before_decoding() {
    let mut graph = GraphProto::new("inside");
    for _ in 0..30 {
        let attribute = AttributeProto { g: Some(Box::new(graph)), ..AttributeProto::default() };
        graph = GraphProto {
            node: vec![NodeProto { attribute: vec![attribute], ..NodeProto::default() }],
            ..GraphProto::default()
        };
    }
    let tower = encode(&ModelProto::new(graph, OPSET));
    assert_eq!(code(&tower, &Limits::default()), Some(ErrorCode::TooLarge));

    // Field 7 (graph) with 3 million times "field 1 (node), length 0": 6 MB that would decode into gigabytes.
    let nodes = 3_000_000u32;
    let mut flood = vec![0x3a];
    let mut length = nodes * 2;
    while length >= 0x80 {
        flood.push(length as u8 | 0x80);
        length >>= 7;
    }
    flood.push(length as u8);
    flood.extend([0x0a, 0x00].repeat(nodes as usize));
    let start = std::time::Instant::now();
    assert_eq!(code(&flood, &Limits::default()), Some(ErrorCode::TooLarge));
    assert!(start.elapsed().as_secs() < 5);
}

#[test]
fn truncated_files_are_bad_data() {
    for cut in 1..64 {
        let part = &SAMPLE[..SAMPLE.len() * cut / 64];
        assert_eq!(code(part, &Limits::default()), Some(ErrorCode::BadData), "{cut}/64");
    }
    for bytes in [&b""[..], b"\x89PNG\r\n\x1a\n", b"{\"not\": \"onnx\"}"] {
        assert_eq!(code(bytes, &Limits::default()), Some(ErrorCode::BadData));
    }
}

#[test]
fn wrong_tensors_are_refused_by_name() {
    let wrong = |change: fn(&mut TensorProto)| {
        let mut proto = TensorProto::from_tensor("t", &Tensor::float32([2, 2], vec![1.0; 4]).unwrap());
        change(&mut proto);
        let error = proto.to_tensor().unwrap_err();
        assert_eq!((error.code(), error.place().node.as_deref()), (ErrorCode::BadData, Some("t")), "{error}");
    };
    wrong(|proto| proto.dims = vec![2, -2]);
    wrong(|proto| proto.dims = vec![i64::MAX, i64::MAX]);
    wrong(|proto| proto.dims = vec![5]);
    wrong(|proto| proto.raw_data = Some(vec![0; 15]));
    wrong(|proto| {
        (proto.data_type, proto.raw_data, proto.int32_data) = (3, None, vec![1, 2, 3, 128]);
    });
}

fn any_tensor() -> impl Strategy<Value = Tensor> {
    let data = prop_oneof![
        prop::collection::vec(-1e30f32..1e30, 0..20).prop_map(TensorData::Float32),
        prop::collection::vec(-1e300f64..1e300, 0..20).prop_map(TensorData::Float64),
        prop::collection::vec(any::<i64>(), 0..20).prop_map(TensorData::Int64),
        prop::collection::vec(any::<i32>(), 0..20).prop_map(TensorData::Int32),
        prop::collection::vec(any::<i8>(), 0..20).prop_map(TensorData::Int8),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(TensorData::UInt8),
        prop::collection::vec(any::<bool>(), 0..20).prop_map(TensorData::Bool),
        prop::collection::vec(".{0,8}", 0..20).prop_map(TensorData::Text),
    ];
    data.prop_map(|data| Tensor::new([data.len()], data).unwrap())
}

proptest! {
    #[test]
    fn models_survive_encoding(
        tensors in prop::collection::vec(any_tensor(), 0..4),
        names in prop::collection::vec("[a-z/]{0,9}", 1..5),
        integers in prop::collection::vec(any::<i64>(), 0..4),
        number in any::<i64>(), share in -1e9f32..1e9, text in ".{0,12}",
        shape in prop::collection::vec(-1i64..9, 0..5),
    ) {
        let mut graph = GraphProto::new("g");
        for (index, tensor) in tensors.iter().enumerate() {
            graph.add_initializer(format!("t{index}"), tensor);
        }
        graph.node = names
            .iter()
            .map(|name| {
                NodeProto::new("Op", name, ["x"], [name]).int("i", number).ints("is", integers.clone()).float("f", share).text("s", &text)
            })
            .collect();
        graph.input.push(ValueInfoProto::tensor("x", DType::Float32, &shape));
        let model = ModelProto::new(graph, OPSET).metadata("key", text);
        let back = decode(&encode(&model), &Limits::default()).unwrap();
        prop_assert_eq!(&back, &model);
        prop_assert_eq!(&signature(&back).unwrap().inputs[0].shape, &shape);
        for (proto, tensor) in back.graph.unwrap().initializer.iter().zip(&tensors) {
            prop_assert_eq!(&proto.to_tensor().unwrap(), tensor);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0usize..621, from_sample in any::<bool>()) {
        if from_sample {
            let tail = bytes;
            bytes = SAMPLE.to_vec();
            let end = (at + tail.len()).min(bytes.len());
            let at = at.min(end);
            bytes[at..end].copy_from_slice(&tail[..end - at]);
        }
        if let Ok(model) = decode(&bytes, &Limits::default()) {
            let _ = (signature(&model), refuse_external_data(&model), encode(&model));
        }
    }
}
