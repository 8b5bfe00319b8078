//! Constants: between [`TensorProto`] and the host tensors of lepton-core.

use crate::proto::TensorProto;
use crate::signature::{data_type, dtype};
use lepton_core::{DType, Error, ErrorCode, Result, Tensor, TensorData};

impl TensorProto {
    /// A constant with its values in `raw_data` (text: in `string_data`).
    pub fn from_tensor(name: impl Into<String>, tensor: &Tensor) -> TensorProto {
        let mut proto = TensorProto {
            name: name.into(),
            dims: tensor.shape().iter().map(|&side| side as i64).collect(),
            data_type: data_type(tensor.dtype()) as i32,
            ..TensorProto::default()
        };
        let raw = match tensor.data() {
            TensorData::Float32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            TensorData::Float64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            TensorData::Int64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            TensorData::Int32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            TensorData::Int8(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            TensorData::UInt8(values) => values.clone(),
            TensorData::Bool(values) => values.iter().map(|&value| u8::from(value)).collect(),
            TensorData::Text(values) => {
                proto.string_data = values.iter().map(|text| text.clone().into_bytes()).collect();
                return proto;
            }
        };
        proto.raw_data = Some(raw);
        proto
    }

    /// The values on the host.
    ///
    /// # Errors
    /// [`ErrorCode::Unsupported`] for dtypes that lepton-core lacks, [`ErrorCode::BadData`] for values outside
    /// the file, negative sides, or a count that does not match the shape. The place is the tensor's name.
    pub fn to_tensor(&self) -> Result<Tensor> {
        self.read().map_err(|error| error.at_node(&self.name))
    }

    fn read(&self) -> Result<Tensor> {
        let Some(dtype) = dtype(self.data_type) else {
            return Err(Error::new(
                ErrorCode::Unsupported,
                format!("element type {} is not supported", self.data_type),
            ));
        };
        if !self.external_data.is_empty() || self.segment.is_some() {
            return Err(Error::new(ErrorCode::BadData, "the tensor's values are not in this file"));
        }
        let shape: Vec<usize> =
            self.dims.iter().map(|&side| usize::try_from(side)).collect::<Result<_, _>>().map_err(|_| {
                Error::new(ErrorCode::BadData, format!("the shape {:?} has a negative side", self.dims))
            })?;
        let data = match &self.raw_data {
            Some(raw) => from_raw(dtype, raw)?,
            None => self.typed_fields(dtype)?,
        };
        Tensor::new(shape, data).map_err(|error| Error::new(ErrorCode::BadData, error.message()))
    }

    /// The typed fields: small integers and booleans travel in `int32_data`.
    fn typed_fields(&self, dtype: DType) -> Result<TensorData> {
        let narrow = |value: &i32| Error::new(ErrorCode::BadData, format!("{value} does not fit {dtype}"));
        Ok(match dtype {
            DType::Float32 => TensorData::Float32(self.float_data.clone()),
            DType::Float64 => TensorData::Float64(self.double_data.clone()),
            DType::Int64 => TensorData::Int64(self.int64_data.clone()),
            DType::Int32 => TensorData::Int32(self.int32_data.clone()),
            DType::Int8 => TensorData::Int8(
                self.int32_data.iter().map(|v| i8::try_from(*v).map_err(|_| narrow(v))).collect::<Result<_>>()?,
            ),
            DType::UInt8 => TensorData::UInt8(
                self.int32_data.iter().map(|v| u8::try_from(*v).map_err(|_| narrow(v))).collect::<Result<_>>()?,
            ),
            DType::Bool => TensorData::Bool(self.int32_data.iter().map(|&value| value != 0).collect()),
            DType::Text => TensorData::Text(
                self.string_data
                    .iter()
                    .map(|bytes| String::from_utf8(bytes.clone()))
                    .collect::<Result<_, _>>()
                    .map_err(|_| Error::new(ErrorCode::BadData, "a text is not UTF-8"))?,
            ),
        })
    }
}

fn from_raw(dtype: DType, raw: &[u8]) -> Result<TensorData> {
    if dtype == DType::Text || !raw.len().is_multiple_of(dtype.size()) {
        return Err(Error::new(ErrorCode::BadData, format!("{} raw bytes are no whole number of {dtype}", raw.len())));
    }
    Ok(match dtype {
        DType::Float32 => TensorData::Float32(chunks(raw).map(f32::from_le_bytes).collect()),
        DType::Float64 => TensorData::Float64(chunks(raw).map(f64::from_le_bytes).collect()),
        DType::Int64 => TensorData::Int64(chunks(raw).map(i64::from_le_bytes).collect()),
        DType::Int32 => TensorData::Int32(chunks(raw).map(i32::from_le_bytes).collect()),
        DType::Int8 => TensorData::Int8(chunks(raw).map(i8::from_le_bytes).collect()),
        DType::Bool => TensorData::Bool(raw.iter().map(|&byte| byte != 0).collect()),
        DType::UInt8 | DType::Text => TensorData::UInt8(raw.to_vec()),
    })
}

fn chunks<const N: usize>(raw: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    raw.as_chunks::<N>().0.iter().copied()
}
