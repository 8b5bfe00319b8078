//! One suite for every engine. The expected values come from Python's onnxruntime: `conformance/reference.py`.
//!
//! The suites for onnxruntime and openvino need their libraries: without `LEPTON_TEST_ORT_DYLIB` and
//! `LEPTON_TEST_OPENVINO` those tests fail and say so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "conformance/cases.rs"]
mod cases;
#[path = "conformance/json.rs"]
mod json;

use cases::cases;
use lepton_core::{ErrorCode, Limits, NamedTensors, Tensor};
use lepton_runtime::{BatchSettings, Batcher, Engine, Engines, Model, Package, SessionOptions};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

fn rten() -> Arc<dyn Engine> {
    Engines::discover(Path::new("/nowhere"), None).get(Some("rten")).unwrap()
}

fn onnxruntime() -> Arc<dyn Engine> {
    let path = std::env::var_os("LEPTON_TEST_ORT_DYLIB").expect(
        "set LEPTON_TEST_ORT_DYLIB to a libonnxruntime.so (tests/run does; `pip download onnxruntime` has one)",
    );
    Engines::discover(Path::new("/nowhere"), Some(Path::new(&path))).get(Some("onnxruntime")).unwrap()
}

fn openvino() -> Arc<dyn Engine> {
    let folder = std::env::var_os("LEPTON_TEST_OPENVINO").expect(
        "set LEPTON_TEST_OPENVINO to the folder of libopenvino_c.so (tests/run does; `pip download openvino` has one)",
    );
    let home = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(folder, home.path().join("openvino")).unwrap();
    Engines::discover(home.path(), None).get(Some("openvino")).unwrap()
}

fn model(engine: &dyn Engine, name: &str, options: &SessionOptions) -> Model {
    let package = Package::from_onnx(&folder().join(format!("{name}.onnx")), &Limits::default()).unwrap();
    Model::load(package, engine, options, &Limits::default()).unwrap()
}

/// Difference that rounding in another order may make; the suite's values are below 1000.
fn close(got: f64, want: f64) -> bool {
    (got.is_nan() && want.is_nan()) || got == want || (got - want).abs() <= 1e-5 + 1e-5 * want.abs()
}

fn compare(engine: &dyn Engine, case: &str, got: &NamedTensors, want: &Value) {
    let got = json::from_tensors(got);
    let (got, want) = (got.as_object().unwrap(), want.as_object().unwrap());
    assert_eq!(got.len(), want.len());
    let number = |value: &Value| match value {
        Value::String(text) => text.parse().unwrap(),
        Value::Bool(value) => f64::from(u8::from(*value)),
        value => value.as_f64().unwrap(),
    };
    for (name, want) in want {
        let got = &got[name];
        assert_eq!((&got["dtype"], &got["shape"]), (&want["dtype"], &want["shape"]), "{} {case} {name}", engine.name());
        let pairs = got["data"].as_array().unwrap().iter().zip(want["data"].as_array().unwrap());
        for (index, (got, want)) in pairs.enumerate() {
            let (got, want) = (number(got), number(want));
            assert!(close(got, want), "{} {case} {name}[{index}]: {got} instead of {want}", engine.name());
        }
    }
}

/// Every model gives what the reference gave, with each number of threads.
fn answers_as_the_reference(engine: &dyn Engine) {
    let text = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    for threads in [None, Some(1), Some(2)] {
        for case in cases() {
            let model = model(engine, case.name, &SessionOptions { threads, deadline: None });
            let wanted = expected["expected"][case.name].as_array().unwrap();
            assert_eq!(wanted.len(), case.requests.len());
            for (request, want) in case.requests.iter().zip(wanted) {
                compare(engine, case.name, &model.infer(request).unwrap(), want);
            }
        }
    }
}

/// What a session gets is checked, and what slips by is an error, never a panic.
fn refuses_wrong_requests(engine: &dyn Engine) {
    let model = model(engine, "dense", &SessionOptions::default());
    let code = |name: &str, tensor: Tensor| model.infer(&vec![(name.to_owned(), tensor)]).unwrap_err().code();
    let floats = |shape: &[usize]| Tensor::float32(shape, vec![0.5; shape.iter().product()]).unwrap();
    assert_eq!(code("input", floats(&[2, 4])), ErrorCode::Shape);
    assert_eq!(code("input", floats(&[5])), ErrorCode::Shape);
    assert_eq!(code("input", Tensor::int64([1, 5], vec![0; 5]).unwrap()), ErrorCode::Dtype);
    assert_eq!(code("x", floats(&[1, 5])), ErrorCode::BadInput);
    let onnx = std::fs::read(folder().join("dense.onnx")).unwrap();
    let session = engine.load(&onnx, &SessionOptions::default()).unwrap();
    for tensor in [floats(&[2, 4]), floats(&[5]), Tensor::int64([1, 5], vec![0; 5]).unwrap()] {
        session.run(&vec![("input".to_owned(), tensor)]).unwrap_err();
    }
    session.run(&vec![("x".to_owned(), floats(&[1, 5]))]).unwrap_err();
    // It still works afterwards.
    session.run(&vec![("input".to_owned(), floats(&[1, 5]))]).unwrap();
}

/// An index that no row of the table has is the request's fault.
fn refuses_values_that_an_operator_refuses(engine: &dyn Engine) {
    let model = model(engine, "embedding", &SessionOptions::default());
    let ids = Tensor::int64([1, 4], vec![0, 1, 2, 10]).unwrap();
    assert_eq!(model.infer(&vec![("ids".to_owned(), ids)]).unwrap_err().code(), ErrorCode::BadInput);
}

fn gives_no_rows_for_no_rows(engine: &dyn Engine) {
    for (name, row, out) in [("dense", vec![5], vec![0, 3]), ("conv_net", vec![2, 9, 8], vec![0, 3])] {
        let model = model(engine, name, &SessionOptions::default());
        let shape: Vec<usize> = std::iter::once(0).chain(row).collect();
        let outputs = model.infer(&vec![("input".to_owned(), Tensor::float32(shape, vec![]).unwrap())]).unwrap();
        assert_eq!((outputs[0].0.as_str(), outputs[0].1.shape()), ("output", out.as_slice()));
    }
}

fn refuses_what_is_no_model(engine: &dyn Engine) {
    let whole = std::fs::read(folder().join("dense.onnx")).unwrap();
    for bytes in [&b""[..], b"not a model", &whole[..whole.len() / 2]] {
        assert_eq!(engine.load(bytes, &SessionOptions::default()).err().unwrap().code(), ErrorCode::BadData);
    }
    let mut unknown = lepton_onnx::decode(&whole, &Limits::default()).unwrap();
    unknown.graph.as_mut().unwrap().node[0].op_type = "NoSuchOperator".to_owned();
    let error = engine.load(&lepton_onnx::encode(&unknown), &SessionOptions::default()).err().unwrap();
    assert!(error.to_string().contains("NoSuchOperator"), "{error}");
}

/// Many threads on one session, each with its own values.
fn is_shared_by_threads(engine: &dyn Engine) {
    let model = model(engine, "linear", &SessionOptions::default());
    let alone = |value: f32| {
        let input = Tensor::float32([1, 4], vec![value; 4]).unwrap();
        model.infer(&vec![("input".to_owned(), input)]).unwrap()
    };
    let wanted: Vec<_> = (0..8).map(|thread| alone(thread as f32)).collect();
    std::thread::scope(|scope| {
        for (thread, want) in wanted.iter().enumerate() {
            scope.spawn(move || (0..200).for_each(|_| assert_eq!(&alone(thread as f32), want)));
        }
    });
}

/// A run past its deadline is a Timeout, and the session works for the next request.
fn keeps_the_deadline(engine: &dyn Engine) {
    let package = Package::from_onnx(&folder().join("conv_net.onnx"), &Limits::default()).unwrap();
    let options = SessionOptions { threads: Some(1), deadline: Some(Duration::from_millis(20)) };
    let model = Model::load(package, engine, &options, &Limits::default()).unwrap();
    let request =
        |rows: usize| vec![("input".to_owned(), Tensor::float32([rows, 2, 9, 8], vec![0.5; rows * 144]).unwrap())];
    assert_eq!(model.infer(&request(400_000)).unwrap_err().code(), ErrorCode::Timeout);
    // On a busy machine one row, too, may be late once.
    assert!((0..50).any(|_| model.infer(&request(1)).is_ok()));
}

/// Requests of many threads, joined and split again, get what each gets alone.
fn answers_the_same_through_the_batcher(engine: &dyn Engine) {
    let model = Arc::new(model(engine, "conv_net", &SessionOptions::default()));
    let batcher = Batcher::new(Arc::clone(&model), BatchSettings { max_rows: 8, ..BatchSettings::default() }).unwrap();
    let case = cases().into_iter().find(|case| case.name == "conv_net").unwrap();
    let wanted: Vec<NamedTensors> = case.requests.iter().map(|request| model.infer(request).unwrap()).collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    for (request, want) in case.requests.iter().zip(&wanted) {
                        let answer = batcher.submit(request.clone()).unwrap().blocking_recv().unwrap().unwrap();
                        let (got, want) = (answer.outputs[0].1.as_float32(), want[0].1.as_float32());
                        for (got, want) in got.unwrap().iter().zip(want.unwrap()) {
                            assert!(close(f64::from(*got), f64::from(*want)), "{got} instead of {want}");
                        }
                    }
                }
            });
        }
    });
}

macro_rules! suite {
    ($($case:ident),+ $(,)?) => {
        mod on_rten {
            $(#[test] fn $case() { super::$case(&*super::rten()); })+
        }
        mod on_onnxruntime {
            $(#[test] fn $case() { super::$case(&*super::onnxruntime()); })+
        }
        mod on_openvino {
            $(#[test] fn $case() { super::$case(&*super::openvino()); })+
        }
    };
}

suite!(
    answers_as_the_reference,
    refuses_wrong_requests,
    refuses_values_that_an_operator_refuses,
    gives_no_rows_for_no_rows,
    refuses_what_is_no_model,
    is_shared_by_threads,
    keeps_the_deadline,
    answers_the_same_through_the_batcher,
);

#[test]
fn the_files_are_what_the_builders_make() {
    for case in cases() {
        let file = std::fs::read(folder().join(format!("{}.onnx", case.name))).unwrap();
        assert!(file == case.onnx, "{}.onnx is stale: run the example conformance_models and reference.py", case.name);
    }
    let inputs: Value = serde_json::from_str(&std::fs::read_to_string(folder().join("inputs.json")).unwrap()).unwrap();
    for case in cases() {
        let requests: Vec<_> = case.requests.iter().map(json::from_tensors).collect();
        assert_eq!(
            inputs[case.name],
            Value::from(requests),
            "inputs.json is stale: run the example conformance_models"
        );
    }
}

#[test]
fn engines_of_32_bits_refuse_what_they_would_round() {
    for engine in [rten(), openvino()] {
        let model = model(&*engine, "embedding", &SessionOptions::default());
        let ids = Tensor::int64([1, 4], vec![0, 1, 2, i64::from(i32::MAX) + 1]).unwrap();
        let error = model.infer(&vec![("ids".to_owned(), ids)]).unwrap_err();
        assert!(error.message().contains("2147483648"), "{error}");
    }
}
