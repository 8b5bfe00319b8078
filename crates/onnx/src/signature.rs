//! What a graph takes and gives, as lepton-core says it.

use crate::proto::{DataType, DimensionValue, ModelProto, ValueInfoProto, type_proto};
use lepton_core::{DType, Error, ErrorCode, Result, Signature, TensorSpec};

/// The names, dtypes and shapes of a model's inputs and outputs; named and unknown sides become -1.
/// Inputs that have an initializer are constants with a default (an old writer's habit) and are left out.
///
/// # Errors
/// [`ErrorCode::BadData`] for a model without graph or types, [`ErrorCode::Unsupported`] for a value that is
/// not a dense tensor of a known dtype and rank. The place is the value's name.
pub fn signature(model: &ModelProto) -> Result<Signature> {
    let graph = model.graph.as_ref().ok_or_else(|| Error::new(ErrorCode::BadData, "the model holds no graph"))?;
    let constant = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    let inputs = graph.input.iter().filter(|value| !constant(&value.name)).map(spec).collect::<Result<_>>()?;
    let outputs = graph.output.iter().map(spec).collect::<Result<_>>()?;
    Ok(Signature { inputs, outputs })
}

fn spec(value: &ValueInfoProto) -> Result<TensorSpec> {
    let wrong = |code, message: String| Error::new(code, message).at_node(&value.name);
    let Some(kind) = value.r#type.as_ref().and_then(|kind| kind.value.as_ref()) else {
        return Err(wrong(ErrorCode::BadData, "the value has no type".to_owned()));
    };
    let type_proto::Value::TensorType(tensor) = kind else {
        return Err(wrong(ErrorCode::Unsupported, "the value is not a dense tensor".to_owned()));
    };
    let Some(dtype) = dtype(tensor.elem_type) else {
        let name = DataType::try_from(tensor.elem_type)
            .map_or_else(|_| tensor.elem_type.to_string(), |dtype| format!("{dtype:?}"));
        return Err(wrong(ErrorCode::Unsupported, format!("the element type {name} is not supported")));
    };
    let Some(shape) = &tensor.shape else {
        return Err(wrong(ErrorCode::Unsupported, "the number of dimensions is not declared".to_owned()));
    };
    let side = |value: &Option<DimensionValue>| match value {
        Some(DimensionValue::DimValue(length)) if *length >= 0 => *length,
        _ => -1,
    };
    Ok(TensorSpec { name: value.name.clone(), dtype, shape: shape.dim.iter().map(|dim| side(&dim.value)).collect() })
}

/// The dtype with that ONNX number, where lepton-core has it.
pub(crate) fn dtype(number: i32) -> Option<DType> {
    Some(match DataType::try_from(number).ok()? {
        DataType::Float => DType::Float32,
        DataType::Double => DType::Float64,
        DataType::Int64 => DType::Int64,
        DataType::Int32 => DType::Int32,
        DataType::Int8 => DType::Int8,
        DataType::Uint8 => DType::UInt8,
        DataType::Bool => DType::Bool,
        DataType::String => DType::Text,
        _ => return None,
    })
}

/// The ONNX number of a dtype.
pub(crate) fn data_type(dtype: DType) -> DataType {
    match dtype {
        DType::Float32 => DataType::Float,
        DType::Float64 => DataType::Double,
        DType::Int64 => DataType::Int64,
        DType::Int32 => DataType::Int32,
        DType::Int8 => DataType::Int8,
        DType::UInt8 => DataType::Uint8,
        DType::Bool => DataType::Bool,
        DType::Text => DataType::String,
    }
}
