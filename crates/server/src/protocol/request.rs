//! An inference request of the Open Inference Protocol v2: JSON, or JSON followed by raw tensors.
//!
//! The document is read in one pass, typed. Only where a client writes `data` before `datatype` is it read a
//! second time, with the datatypes that the first pass found.

use super::binary;
use super::elements::{DataSeed, ParsedData};
use lepton_core::{DType, Error, ErrorCode, Limits, NamedTensors, Result, Tensor};
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Sides of a tensor that the protocol may carry.
const MAX_RANK: usize = 8;

/// What a client asked for, checked in itself; whether the model takes it is the signature's business.
#[derive(Debug)]
pub(crate) struct InferRequest {
    pub(crate) id: Option<String>,
    pub(crate) inputs: NamedTensors,
    /// The outputs that are wanted; empty means all.
    pub(crate) outputs: Vec<WantedOutput>,
    /// Whether outputs that say nothing themselves are answered as raw bytes.
    pub(crate) binary_output: bool,
}

/// One wanted output.
#[derive(Debug, PartialEq)]
pub(crate) struct WantedOutput {
    pub(crate) name: String,
    /// Raw bytes or JSON; `None` follows the request.
    pub(crate) binary: Option<bool>,
}

impl InferRequest {
    /// Reads a request. `header_length` is the length of the JSON part where raw tensors follow it.
    ///
    /// # Errors
    /// [`ErrorCode::BadInput`], [`ErrorCode::Shape`], [`ErrorCode::Dtype`], [`ErrorCode::Unsupported`] or
    /// [`ErrorCode::TooLarge`], naming the tensor or key.
    pub(crate) fn parse(body: &[u8], header_length: Option<usize>, limits: &Limits) -> Result<InferRequest> {
        let (json, raw) = match header_length {
            None => (body, &body[body.len()..]),
            Some(length) => body.split_at_checked(length).ok_or_else(|| {
                Error::new(ErrorCode::BadInput, "Inference-Header-Content-Length is longer than the body")
            })?,
        };
        crate::json_depth::check_depth(json, limits)?;
        let mut document = read(json, &[])?;
        if document.inputs.iter().any(|input| input.deferred) {
            let dtypes: Vec<_> = document.inputs.iter().map(|input| input.dtype).collect();
            document = read(json, &dtypes)?;
        }
        document.into_request(raw, limits)
    }
}

fn read(json: &[u8], dtypes: &[Option<DType>]) -> Result<Document> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let document = DocumentSeed { dtypes }.deserialize(&mut deserializer);
    document
        .and_then(|document| deserializer.end().map(|()| document))
        .map_err(|error| Error::new(ErrorCode::BadInput, format!("not an inference request: {error}")))
}

#[derive(Default)]
struct Document {
    id: Option<String>,
    parameters: Map<String, Value>,
    inputs: Vec<InputPart>,
    outputs: Vec<OutputPart>,
}

#[derive(Default)]
struct InputPart {
    name: Option<String>,
    shape: Option<Vec<usize>>,
    dtype: Option<DType>,
    parameters: Map<String, Value>,
    data: Option<ParsedData>,
    /// `data` came before `datatype` and was skipped.
    deferred: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputPart {
    name: String,
    #[serde(default)]
    parameters: Option<Map<String, Value>>,
}

impl Document {
    fn into_request(self, mut raw: &[u8], limits: &Limits) -> Result<InferRequest> {
        refuse_parameters(&self.parameters, "the request")?;
        if self.inputs.is_empty() {
            return Err(Error::new(ErrorCode::BadInput, "\"inputs\" is missing or empty"));
        }
        let mut inputs = NamedTensors::with_capacity(self.inputs.len());
        for part in self.inputs {
            inputs.push(part.into_tensor(&mut raw, limits)?);
        }
        if !raw.is_empty() {
            return Err(Error::new(
                ErrorCode::BadInput,
                format!("{} bytes follow the last tensor: binary_data_size and the body disagree", raw.len()),
            ));
        }
        let binary_output = flag(&self.parameters, "binary_data_output")?.unwrap_or(false);
        let mut outputs: Vec<WantedOutput> = Vec::with_capacity(self.outputs.len());
        for OutputPart { name, parameters } in self.outputs {
            let parameters = parameters.unwrap_or_default();
            refuse_parameters(&parameters, &format!("output \"{name}\""))?;
            if outputs.iter().any(|wanted| wanted.name == name) {
                return Err(Error::new(ErrorCode::BadInput, format!("output \"{name}\" is asked for twice")));
            }
            let binary = flag(&parameters, "binary_data")?;
            outputs.push(WantedOutput { name, binary });
        }
        Ok(InferRequest { id: self.id, inputs, outputs, binary_output })
    }
}

impl InputPart {
    fn into_tensor(self, raw: &mut &[u8], limits: &Limits) -> Result<(String, Tensor)> {
        let missing = |key: &str| Error::new(ErrorCode::BadInput, format!("an input has no \"{key}\""));
        let name = self.name.ok_or_else(|| missing("name"))?;
        let shape = self.shape.ok_or_else(|| missing("shape"))?;
        let dtype = self.dtype.ok_or_else(|| missing("datatype"))?;
        refuse_parameters(&self.parameters, &format!("input \"{name}\""))?;
        if shape.len() > MAX_RANK {
            return Err(Error::new(
                ErrorCode::Shape,
                format!("input \"{name}\" has {} sides, at most {MAX_RANK} are taken", shape.len()),
            ));
        }
        let count = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
        let count = count.filter(|&count| count as u64 <= limits.tensor_elements).ok_or_else(|| {
            Error::new(
                ErrorCode::TooLarge,
                format!(
                    "input \"{name}\" has shape {shape:?}, past the limit: limits.tensor_elements = {}",
                    limits.tensor_elements
                ),
            )
        })?;
        if count == 0 {
            return Err(Error::new(ErrorCode::Shape, format!("input \"{name}\" is empty: its shape is {shape:?}")));
        }
        let size = match self.parameters.get("binary_data_size") {
            None | Some(Value::Null) => None,
            Some(size) => Some(size.as_u64().and_then(|size| usize::try_from(size).ok()).ok_or_else(|| {
                Error::new(ErrorCode::BadInput, format!("input \"{name}\": binary_data_size is not a whole number"))
            })?),
        };
        let values = match (self.data, size) {
            (Some(data), None) => {
                data.check_nesting(&name, &shape)?;
                data.values
            }
            (None, Some(size)) => {
                let (own, rest) = raw.split_at_checked(size).ok_or_else(|| {
                    Error::new(
                        ErrorCode::BadInput,
                        format!("input \"{name}\" says {size} raw bytes, {} are left in the body", raw.len()),
                    )
                })?;
                *raw = rest;
                binary::read(&name, dtype, own, count)?
            }
            (Some(_), Some(_)) => {
                return Err(Error::new(ErrorCode::BadInput, format!("input \"{name}\" has data and binary_data_size")));
            }
            (None, None) => return Err(Error::new(ErrorCode::BadInput, format!("input \"{name}\" has no \"data\""))),
        };
        if values.len() != count {
            return Err(Error::new(
                ErrorCode::Shape,
                format!("input \"{name}\" has {} values, its shape {shape:?} asks for {count}", values.len()),
            ));
        }
        let tensor = Tensor::new(shape, values)?;
        Ok((name, tensor))
    }
}

/// Parameters that would change the answer and that this server does not act on are refused by name; hints
/// such as `priority` are not.
fn refuse_parameters(parameters: &Map<String, Value>, whose: &str) -> Result<()> {
    let unsupported = |key: &&String| {
        key.starts_with("sequence_") || key.starts_with("shared_memory_") || key.as_str() == "classification"
    };
    match parameters.keys().find(unsupported) {
        Some(key) => {
            Err(Error::new(ErrorCode::Unsupported, format!("{whose}: the parameter \"{key}\" is not supported")))
        }
        None => Ok(()),
    }
}

fn flag(parameters: &Map<String, Value>, key: &str) -> Result<Option<bool>> {
    match parameters.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(Error::new(ErrorCode::BadInput, format!("the parameter \"{key}\" must be true or false"))),
    }
}

struct DocumentSeed<'a> {
    dtypes: &'a [Option<DType>],
}

impl<'de> DeserializeSeed<'de> for DocumentSeed<'_> {
    type Value = Document;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Document, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DocumentSeed<'_> {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with \"inputs\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut document = Document::default();
        let mut seen = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(de::Error::custom(format_args!("the key \"{key}\" is given twice")));
            }
            match key.as_str() {
                "id" => document.id = map.next_value()?,
                "parameters" => document.parameters = map.next_value::<Option<_>>()?.unwrap_or_default(),
                "inputs" => document.inputs = map.next_value_seed(InputsSeed { dtypes: self.dtypes })?,
                "outputs" => document.outputs = map.next_value::<Option<_>>()?.unwrap_or_default(),
                // Some clients repeat what the path says.
                "model_name" | "model_version" => _ = map.next_value::<IgnoredAny>()?,
                other => return Err(unknown_key(other, &["id", "parameters", "inputs", "outputs"])),
            }
            seen.push(key);
        }
        Ok(document)
    }
}

struct InputsSeed<'a> {
    dtypes: &'a [Option<DType>],
}

impl<'de> DeserializeSeed<'de> for InputsSeed<'_> {
    type Value = Vec<InputPart>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for InputsSeed<'_> {
    type Value = Vec<InputPart>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of input tensors")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut inputs = Vec::new();
        while let Some(input) =
            list.next_element_seed(InputSeed { dtype: self.dtypes.get(inputs.len()).copied().flatten() })?
        {
            inputs.push(input);
        }
        Ok(inputs)
    }
}

struct InputSeed {
    /// What an earlier pass found.
    dtype: Option<DType>,
}

impl<'de> DeserializeSeed<'de> for InputSeed {
    type Value = InputPart;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<InputPart, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for InputSeed {
    type Value = InputPart;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an input tensor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InputPart, A::Error> {
        let mut input = InputPart::default();
        let mut seen = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(de::Error::custom(format_args!("the key \"{key}\" is given twice in one input")));
            }
            match key.as_str() {
                "name" => input.name = Some(map.next_value()?),
                "shape" => input.shape = Some(map.next_value()?),
                "datatype" => {
                    let name: String = map.next_value()?;
                    let dtype = DType::from_protocol_name(&name).ok_or_else(|| {
                        de::Error::custom(format_args!(
                            "unknown datatype \"{name}\", use FP32, FP64, INT64, INT32, INT8, UINT8, BOOL or BYTES"
                        ))
                    })?;
                    input.dtype = Some(dtype);
                }
                "parameters" => input.parameters = map.next_value::<Option<_>>()?.unwrap_or_default(),
                "data" => match input.dtype.or(self.dtype) {
                    Some(dtype) => {
                        let expected =
                            input.shape.iter().flatten().fold(1, |count: usize, &side| count.saturating_mul(side));
                        input.data = Some(map.next_value_seed(DataSeed { dtype, expected })?);
                    }
                    None => {
                        map.next_value::<IgnoredAny>()?;
                        input.deferred = true;
                    }
                },
                other => return Err(unknown_key(other, &["name", "shape", "datatype", "parameters", "data"])),
            }
            seen.push(key);
        }
        Ok(input)
    }
}

fn unknown_key<E: de::Error>(key: &str, known: &[&'static str]) -> E {
    match lepton_core::nearest(key, known.iter().copied()) {
        Some(near) => E::custom(format_args!("unknown key \"{key}\", did you mean \"{near}\"?")),
        None => E::custom(format_args!("unknown key \"{key}\", the keys are {}", known.join(", "))),
    }
}

#[cfg(test)]
mod tests;
