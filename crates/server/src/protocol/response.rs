//! Writes an inference answer of the Open Inference Protocol v2 into one buffer, JSON or JSON and raw bytes.

use super::binary;
use super::request::{InferRequest, WantedOutput};
use crate::refusal::Refusal;
use lepton_core::{Error, ErrorCode, NamedTensors, Result, Tensor, TensorData};
use serde_json::json;

/// The answer's bytes.
pub(crate) struct Encoded {
    pub(crate) body: Vec<u8>,
    /// The length of the JSON part where raw tensors follow it.
    pub(crate) header_length: Option<usize>,
}

/// Checks, before the model runs, that the wanted outputs exist.
///
/// # Errors
/// [`ErrorCode::BadInput`] naming the output that the model does not have.
pub(crate) fn check_wanted<'a>(wanted: &[WantedOutput], outputs: impl Iterator<Item = &'a str>) -> Result<()> {
    let names: Vec<&str> = outputs.collect();
    match wanted.iter().find(|wanted| !names.contains(&wanted.name.as_str())) {
        Some(unknown) => Err(Error::new(ErrorCode::BadInput, format!("the model has no output \"{}\"", unknown.name))
            .fix(format!("its outputs are: {}", names.join(", ")))),
        None => Ok(()),
    }
}

/// Encodes `outputs` as the request wants them: all or the named ones, in the request's order.
///
/// # Errors
/// 422 where JSON is wanted and a value is NaN or infinite: JSON has no such numbers.
pub(crate) fn encode(
    model: &str,
    version: u64,
    request: &InferRequest,
    outputs: &NamedTensors,
) -> Result<Encoded, Refusal> {
    let picked: Vec<(&str, &Tensor, bool)> = if request.outputs.is_empty() {
        outputs.iter().map(|(name, tensor)| (name.as_str(), tensor, request.binary_output)).collect()
    } else {
        let find = |wanted: &WantedOutput| {
            let found = outputs.iter().find(|(name, _)| name == &wanted.name)?;
            Some((found.0.as_str(), &found.1, wanted.binary.unwrap_or(request.binary_output)))
        };
        request.outputs.iter().filter_map(find).collect()
    };
    let mut body =
        Vec::with_capacity(256 + picked.iter().map(|(_, tensor, _)| 12 * tensor.data().len()).sum::<usize>());
    let mut raw = Vec::new();
    body.extend_from_slice(b"{\"model_name\":");
    put(&mut body, &model);
    body.extend_from_slice(b",\"model_version\":");
    put(&mut body, &version.to_string());
    if let Some(id) = &request.id {
        body.extend_from_slice(b",\"id\":");
        put(&mut body, id);
    }
    body.extend_from_slice(b",\"outputs\":[");
    for (index, (name, tensor, as_binary)) in picked.into_iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(b"{\"name\":");
        put(&mut body, &name);
        body.extend_from_slice(b",\"datatype\":");
        put(&mut body, &tensor.dtype().protocol_name());
        body.extend_from_slice(b",\"shape\":");
        put(&mut body, &tensor.shape());
        if as_binary {
            let size = binary::write(tensor.data(), &mut raw);
            body.extend_from_slice(b",\"parameters\":");
            put(&mut body, &json!({"binary_data_size": size}));
        } else {
            refuse_non_finite(name, tensor.data())?;
            body.extend_from_slice(b",\"data\":");
            put_values(&mut body, tensor.data());
        }
        body.push(b'}');
    }
    body.extend_from_slice(b"]}");
    let header_length = (!raw.is_empty()).then_some(body.len());
    body.append(&mut raw);
    Ok(Encoded { body, header_length })
}

/// Writing plain values into a `Vec` cannot fail.
fn put(out: &mut Vec<u8>, value: &impl serde::Serialize) {
    let _ = serde_json::to_writer(out, value);
}

fn put_values(out: &mut Vec<u8>, data: &TensorData) {
    match data {
        TensorData::Float32(values) => put(out, values),
        TensorData::Float64(values) => put(out, values),
        TensorData::Int64(values) => put(out, values),
        TensorData::Int32(values) => put(out, values),
        TensorData::Int8(values) => put(out, values),
        TensorData::UInt8(values) => put(out, values),
        TensorData::Bool(values) => put(out, values),
        TensorData::Text(values) => put(out, values),
    }
}

fn refuse_non_finite(name: &str, data: &TensorData) -> Result<(), Refusal> {
    let finite = match data {
        TensorData::Float32(values) => values.iter().all(|value| value.is_finite()),
        TensorData::Float64(values) => values.iter().all(|value| value.is_finite()),
        _ => true,
    };
    if finite {
        return Ok(());
    }
    Err(Refusal::new(
        422,
        format!(
            "output \"{name}\" holds NaN or infinity, which JSON cannot carry; ask for it with \"binary_data\": true"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(outputs: Vec<WantedOutput>, binary_output: bool) -> InferRequest {
        InferRequest { id: Some("a\"b".into()), inputs: Vec::new(), outputs, binary_output }
    }

    fn outputs() -> NamedTensors {
        vec![
            ("y".into(), Tensor::float32(vec![1, 2], vec![0.1, -1e-38]).unwrap()),
            ("n".into(), Tensor::int64(vec![1], vec![7]).unwrap()),
        ]
    }

    #[test]
    fn json_answers_hold_every_output_or_the_wanted_ones() {
        let all = encode("m", 3, &request(vec![], false), &outputs()).ok().unwrap();
        let value: serde_json::Value = serde_json::from_slice(&all.body).unwrap();
        assert_eq!(
            value,
            json!({"model_name": "m", "model_version": "3", "id": "a\"b", "outputs": [
                {"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [0.1, -1e-38]},
                {"name": "n", "datatype": "INT64", "shape": [1], "data": [7]}]})
        );
        let wanted = WantedOutput { name: "n".into(), binary: None };
        let one = encode("m", 3, &request(vec![wanted], false), &outputs()).ok().unwrap();
        let value: serde_json::Value = serde_json::from_slice(&one.body).unwrap();
        assert_eq!(value["outputs"].as_array().unwrap().len(), 1);
        assert_eq!(value["outputs"][0]["name"], "n");
    }

    #[test]
    fn raw_bytes_follow_where_they_are_wanted() {
        let wanted = vec![
            WantedOutput { name: "n".into(), binary: Some(true) },
            WantedOutput { name: "y".into(), binary: Some(false) },
        ];
        let answer = encode("m", 1, &request(wanted, false), &outputs()).ok().unwrap();
        let (header, raw) = answer.body.split_at(answer.header_length.unwrap());
        let value: serde_json::Value = serde_json::from_slice(header).unwrap();
        assert_eq!(value["outputs"][0]["parameters"]["binary_data_size"], 8);
        assert_eq!(raw, 7i64.to_le_bytes());
    }

    #[test]
    fn nan_is_refused_in_json_and_kept_in_bytes() {
        let nan = vec![("y".to_owned(), Tensor::float32(vec![1], vec![f32::NAN]).unwrap())];
        assert_eq!(encode("m", 1, &request(vec![], false), &nan).err().unwrap().status, 422);
        let raw = encode("m", 1, &request(vec![], true), &nan).ok().unwrap();
        assert!(f32::from_le_bytes(raw.body[raw.header_length.unwrap()..].try_into().unwrap()).is_nan());
    }

    #[test]
    fn an_output_that_is_not_there_is_named() {
        let wanted = [WantedOutput { name: "z".into(), binary: None }];
        let error = check_wanted(&wanted, ["y"].into_iter()).unwrap_err();
        assert!(error.to_string().contains("\"z\"") && error.to_string().contains("y"));
    }
}
