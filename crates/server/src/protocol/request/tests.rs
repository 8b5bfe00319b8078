//! Requests as clients write them, and as they should not.

use super::*;
use lepton_core::TensorData;
use proptest::prelude::*;
use serde_json::json;

fn parse(text: &str) -> Result<InferRequest> {
    InferRequest::parse(text.as_bytes(), None, &Limits::default())
}

fn code(text: &str) -> ErrorCode {
    parse(text).unwrap_err().code()
}

#[test]
fn reads_what_clients_send() {
    let request = parse(
        r#"{"id": "7", "parameters": null, "inputs": [
            {"name": "a", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4], "parameters": {"content_type": "np"}},
            {"name": "b", "shape": [1], "datatype": "BYTES", "data": ["x"]}],
            "outputs": [{"name": "y", "parameters": {"binary_data": false}}]}"#,
    )
    .unwrap();
    assert_eq!(request.id.as_deref(), Some("7"));
    assert_eq!(request.inputs[0].1, Tensor::float32(vec![2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap());
    assert_eq!(request.inputs[1].1.data(), &TensorData::Text(vec!["x".into()]));
    assert_eq!(request.outputs, [WantedOutput { name: "y".into(), binary: Some(false) }]);
    assert!(!request.binary_output);
}

#[test]
fn data_before_its_datatype_is_read_exactly_too() {
    let late =
        r#"{"inputs": [{"data": [[9007199254740993], [2]], "name": "x", "shape": [2, 1], "datatype": "INT64"}]}"#;
    let request = parse(late).unwrap();
    assert_eq!(request.inputs[0].1, Tensor::int64(vec![2, 1], vec![9_007_199_254_740_993, 2]).unwrap());
    assert_eq!(code(r#"{"inputs": [{"data": [1], "name": "x", "shape": [1]}]}"#), ErrorCode::BadInput);
    assert_eq!(
        code(r#"{"inputs": [{"data": [1.5], "name": "x", "shape": [1], "datatype": "INT8"}]}"#),
        ErrorCode::BadInput
    );
}

#[test]
fn each_mistake_gets_its_code() {
    let input = |extra: &str| format!(r#"{{"inputs": [{{"name": "x", "datatype": "FP32", {extra}}}]}}"#);
    for (text, expected) in [
        (String::new(), ErrorCode::BadInput),
        ("[]".into(), ErrorCode::BadInput),
        ("{}".into(), ErrorCode::BadInput),
        (r#"{"inputs": []}"#.into(), ErrorCode::BadInput),
        (r#"{"inputs": [], "input": 1}"#.into(), ErrorCode::BadInput),
        (r#"{"inputs": []} {}"#.into(), ErrorCode::BadInput),
        (r#"{"inputs": [], "inputs": []}"#.into(), ErrorCode::BadInput),
        (input(r#""shape": [2], "data": [1]"#), ErrorCode::Shape),
        (input(r#""shape": [0], "data": []"#), ErrorCode::Shape),
        (input(r#""shape": [1, 2], "data": [[1], [2]]"#), ErrorCode::Shape),
        (input(r#""shape": [1,1,1,1,1,1,1,1,1], "data": [1]"#), ErrorCode::Shape),
        (input(r#""shape": [-1], "data": [1]"#), ErrorCode::BadInput),
        (input(r#""shape": [268435457], "data": [1]"#), ErrorCode::TooLarge),
        (input(r#""shape": [4294967296, 4294967296], "data": [1]"#), ErrorCode::TooLarge),
        (input(r#""shape": [1], "data": [1], "parameters": {"shared_memory_region": "r"}"#), ErrorCode::Unsupported),
        (input(r#""shape": [1], "data": [1], "parameters": {"binary_data_size": 4}"#), ErrorCode::BadInput),
        (input(r#""shape": [1], "parameters": {"binary_data_size": 4}"#), ErrorCode::BadInput),
        (input(r#""shape": [1]"#), ErrorCode::BadInput),
        (r#"{"inputs": [{"name": "x", "shape": [1], "datatype": "FP16", "data": [1]}]}"#.into(), ErrorCode::BadInput),
    ] {
        assert_eq!(code(&text), expected, "{text}");
    }
    assert!(parse(r#"{"inputz": []}"#).unwrap_err().message().contains("did you mean \"inputs\""));
    assert!(parse(r#"{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [NaN]}]}"#).is_err());
}

#[test]
fn raw_tensors_follow_the_json() {
    let header = json!({
        "inputs": [
            {"name": "a", "shape": [2], "datatype": "FP32", "parameters": {"binary_data_size": 8}},
            {"name": "b", "shape": [1], "datatype": "INT64", "data": [5]},
            {"name": "c", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 5}},
        ],
        "parameters": {"binary_data_output": true}
    })
    .to_string();
    let mut body = header.clone().into_bytes();
    body.extend_from_slice(&1.5f32.to_le_bytes());
    body.extend_from_slice(&f32::NAN.to_le_bytes());
    body.extend_from_slice(&[1, 0, 0, 0, b'z']);
    let request = InferRequest::parse(&body, Some(header.len()), &Limits::default()).unwrap();
    assert!(request.binary_output);
    assert_eq!(request.inputs[0].1.as_float32().unwrap()[0], 1.5);
    assert_eq!(request.inputs[2].1.data(), &TensorData::Text(vec!["z".into()]));
    body.push(0);
    assert!(InferRequest::parse(&body, Some(header.len()), &Limits::default()).is_err());
    assert!(InferRequest::parse(&body, Some(body.len() + 1), &Limits::default()).is_err());
    assert!(InferRequest::parse(&body[..body.len() - 3], Some(header.len()), &Limits::default()).is_err());
}

proptest! {
    #[test]
    fn a_damaged_request_never_panics(position in 0usize..160, byte in any::<u8>(), cut in 0usize..170) {
        let text = r#"{"id":"1","inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1,2],[3,4]]}],"outputs":[{"name":"y"}],"parameters":{"binary_data_output":false}}"#;
        let mut bytes = text.as_bytes().to_vec();
        if let Some(slot) = bytes.get_mut(position) {
            *slot = byte;
        }
        bytes.truncate(cut);
        let _ = InferRequest::parse(&bytes, None, &Limits::default());
    }
}
