//! Host tensors: a shape and a flat, row-major buffer. What crosses every seam between data, training,
//! engines and the wire; computing on them is the business of lepton-nn and the engines.

use crate::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Element types, by numpy's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// 32-bit float.
    Float32,
    /// 64-bit float.
    Float64,
    /// Signed 64-bit integer.
    Int64,
    /// Signed 32-bit integer.
    Int32,
    /// Signed 8-bit integer.
    Int8,
    /// Unsigned 8-bit integer.
    UInt8,
    /// One byte, 0 or 1.
    Bool,
    /// UTF-8 text.
    Text,
}

impl DType {
    const TABLE: [(DType, &'static str, &'static str); 8] = [
        (DType::Float32, "float32", "FP32"),
        (DType::Float64, "float64", "FP64"),
        (DType::Int64, "int64", "INT64"),
        (DType::Int32, "int32", "INT32"),
        (DType::Int8, "int8", "INT8"),
        (DType::UInt8, "uint8", "UINT8"),
        (DType::Bool, "bool", "BOOL"),
        (DType::Text, "text", "BYTES"),
    ];

    fn row(self) -> &'static (DType, &'static str, &'static str) {
        &Self::TABLE[Self::TABLE.iter().position(|row| row.0 == self).unwrap_or(0)]
    }

    /// numpy's name, `float32`.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The Open Inference Protocol's name, `FP32`.
    pub fn protocol_name(self) -> &'static str {
        self.row().2
    }

    /// The dtype with that Open Inference Protocol name.
    pub fn from_protocol_name(name: &str) -> Option<DType> {
        Self::TABLE.iter().find(|row| row.2 == name).map(|row| row.0)
    }

    /// Bytes per element; text has no fixed size and gives 0.
    pub fn size(self) -> usize {
        match self {
            DType::Float64 | DType::Int64 => 8,
            DType::Float32 | DType::Int32 => 4,
            DType::Int8 | DType::UInt8 | DType::Bool => 1,
            DType::Text => 0,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DType {
    type Err = Error;

    fn from_str(name: &str) -> Result<DType> {
        Self::TABLE.iter().find(|row| row.1 == name).map(|row| row.0).ok_or_else(|| {
            Error::new(ErrorCode::Dtype, format!("unknown dtype \"{name}\""))
                .fix(format!("use one of {}", Self::TABLE.map(|row| row.1).join(", ")))
        })
    }
}

/// A flat buffer of one dtype.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorData {
    /// 32-bit floats.
    Float32(Vec<f32>),
    /// 64-bit floats.
    Float64(Vec<f64>),
    /// 64-bit integers.
    Int64(Vec<i64>),
    /// 32-bit integers.
    Int32(Vec<i32>),
    /// 8-bit integers.
    Int8(Vec<i8>),
    /// Unsigned 8-bit integers.
    UInt8(Vec<u8>),
    /// Booleans.
    Bool(Vec<bool>),
    /// Texts.
    Text(Vec<String>),
}

impl TensorData {
    /// The dtype.
    pub fn dtype(&self) -> DType {
        match self {
            TensorData::Float32(_) => DType::Float32,
            TensorData::Float64(_) => DType::Float64,
            TensorData::Int64(_) => DType::Int64,
            TensorData::Int32(_) => DType::Int32,
            TensorData::Int8(_) => DType::Int8,
            TensorData::UInt8(_) => DType::UInt8,
            TensorData::Bool(_) => DType::Bool,
            TensorData::Text(_) => DType::Text,
        }
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        match self {
            TensorData::Float32(values) => values.len(),
            TensorData::Float64(values) => values.len(),
            TensorData::Int64(values) => values.len(),
            TensorData::Int32(values) => values.len(),
            TensorData::Int8(values) => values.len(),
            TensorData::UInt8(values) => values.len(),
            TensorData::Bool(values) => values.len(),
            TensorData::Text(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A row-major tensor on the host. Its buffer always has exactly as many elements as its shape says.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: TensorData,
}

/// Tensors with the names that a signature gives them, in the signature's order.
pub type NamedTensors = Vec<(String, Tensor)>;

impl Tensor {
    /// A tensor of `shape` over `data`.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] when the element counts differ or the product of the shape overflows.
    pub fn new(shape: impl Into<Vec<usize>>, data: TensorData) -> Result<Tensor> {
        let shape = shape.into();
        let count = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
        if count != Some(data.len()) {
            return Err(Error::new(ErrorCode::Shape, format!("shape {shape:?} does not hold {} elements", data.len())));
        }
        Ok(Tensor { shape, data })
    }

    /// A float32 tensor. See [`Tensor::new`].
    pub fn float32(shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Result<Tensor> {
        Tensor::new(shape, TensorData::Float32(values))
    }

    /// An int64 tensor. See [`Tensor::new`].
    pub fn int64(shape: impl Into<Vec<usize>>, values: Vec<i64>) -> Result<Tensor> {
        Tensor::new(shape, TensorData::Int64(values))
    }

    /// Zeros: of booleans false, of texts empty ones.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] when the product of the shape overflows.
    pub fn zeros(shape: impl Into<Vec<usize>>, dtype: DType) -> Result<Tensor> {
        let shape = shape.into();
        let Some(count) = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side)) else {
            return Err(Error::new(
                ErrorCode::Shape,
                format!("shape {shape:?} holds more elements than can be counted"),
            ));
        };
        let data = match dtype {
            DType::Float32 => TensorData::Float32(vec![0.0; count]),
            DType::Float64 => TensorData::Float64(vec![0.0; count]),
            DType::Int64 => TensorData::Int64(vec![0; count]),
            DType::Int32 => TensorData::Int32(vec![0; count]),
            DType::Int8 => TensorData::Int8(vec![0; count]),
            DType::UInt8 => TensorData::UInt8(vec![0; count]),
            DType::Bool => TensorData::Bool(vec![false; count]),
            DType::Text => TensorData::Text(vec![String::new(); count]),
        };
        Tensor::new(shape, data)
    }

    /// The side lengths; the first is the batch.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The first side, or 1 for a scalar.
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Elements per row.
    pub fn row_len(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// The buffer.
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// Takes the tensor apart.
    pub fn into_parts(self) -> (Vec<usize>, TensorData) {
        (self.shape, self.data)
    }

    /// The buffer as float32.
    ///
    /// # Errors
    /// [`ErrorCode::Dtype`] for any other dtype.
    pub fn as_float32(&self) -> Result<&[f32]> {
        match &self.data {
            TensorData::Float32(values) => Ok(values),
            other => Err(Error::new(ErrorCode::Dtype, format!("expected float32, got {}", other.dtype()))),
        }
    }

    /// The buffer as int64.
    ///
    /// # Errors
    /// [`ErrorCode::Dtype`] for any other dtype.
    pub fn as_int64(&self) -> Result<&[i64]> {
        match &self.data {
            TensorData::Int64(values) => Ok(values),
            other => Err(Error::new(ErrorCode::Dtype, format!("expected int64, got {}", other.dtype()))),
        }
    }

    /// Rows `start..end` as a tensor of their own.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] when the range reaches past the end.
    pub fn slice_rows(&self, start: usize, end: usize) -> Result<Tensor> {
        if self.shape.is_empty() || start > end || end > self.rows() {
            return Err(Error::new(ErrorCode::Shape, format!("no rows {start}..{end} in shape {:?}", self.shape)));
        }
        let (from, to) = (start * self.row_len(), end * self.row_len());
        let data = match &self.data {
            TensorData::Float32(values) => TensorData::Float32(values[from..to].to_vec()),
            TensorData::Float64(values) => TensorData::Float64(values[from..to].to_vec()),
            TensorData::Int64(values) => TensorData::Int64(values[from..to].to_vec()),
            TensorData::Int32(values) => TensorData::Int32(values[from..to].to_vec()),
            TensorData::Int8(values) => TensorData::Int8(values[from..to].to_vec()),
            TensorData::UInt8(values) => TensorData::UInt8(values[from..to].to_vec()),
            TensorData::Bool(values) => TensorData::Bool(values[from..to].to_vec()),
            TensorData::Text(values) => TensorData::Text(values[from..to].to_vec()),
        };
        let mut shape = self.shape.clone();
        shape[0] = end - start;
        Tensor::new(shape, data)
    }

    /// The rows at those places, in that order; a row may be taken more than once.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] for a place past the end, and for a single value.
    pub fn take_rows(&self, places: &[usize]) -> Result<Tensor> {
        if let Some(place) = places.iter().find(|place| self.shape.is_empty() || **place >= self.rows()) {
            return Err(Error::new(ErrorCode::Shape, format!("no row {place} in shape {:?}", self.shape)));
        }
        fn taken<T: Clone>(values: &[T], places: &[usize], width: usize) -> Vec<T> {
            let mut taken = Vec::with_capacity(places.len() * width);
            places.iter().for_each(|place| taken.extend_from_slice(&values[place * width..(place + 1) * width]));
            taken
        }
        let width = self.row_len();
        let data = match &self.data {
            TensorData::Float32(values) => TensorData::Float32(taken(values, places, width)),
            TensorData::Float64(values) => TensorData::Float64(taken(values, places, width)),
            TensorData::Int64(values) => TensorData::Int64(taken(values, places, width)),
            TensorData::Int32(values) => TensorData::Int32(taken(values, places, width)),
            TensorData::Int8(values) => TensorData::Int8(taken(values, places, width)),
            TensorData::UInt8(values) => TensorData::UInt8(taken(values, places, width)),
            TensorData::Bool(values) => TensorData::Bool(taken(values, places, width)),
            TensorData::Text(values) => TensorData::Text(taken(values, places, width)),
        };
        let mut shape = self.shape.clone();
        shape[0] = places.len();
        Tensor::new(shape, data)
    }

    /// Joins tensors along the first side.
    ///
    /// # Errors
    /// [`ErrorCode::Shape`] or [`ErrorCode::Dtype`] when they do not match, or when there are none.
    pub fn concat_rows(parts: &[&Tensor]) -> Result<Tensor> {
        let Some((first, rest)) = parts.split_first() else {
            return Err(Error::new(ErrorCode::Shape, "no tensors to join"));
        };
        let (mut shape, mut data) = (*first).clone().into_parts();
        for part in rest {
            if part.shape.get(1..) != shape.get(1..) {
                return Err(Error::new(
                    ErrorCode::Shape,
                    format!("shapes {:?} and {:?} cannot be joined", shape, part.shape),
                ));
            }
            match (&mut data, &part.data) {
                (TensorData::Float32(all), TensorData::Float32(more)) => all.extend_from_slice(more),
                (TensorData::Float64(all), TensorData::Float64(more)) => all.extend_from_slice(more),
                (TensorData::Int64(all), TensorData::Int64(more)) => all.extend_from_slice(more),
                (TensorData::Int32(all), TensorData::Int32(more)) => all.extend_from_slice(more),
                (TensorData::Int8(all), TensorData::Int8(more)) => all.extend_from_slice(more),
                (TensorData::UInt8(all), TensorData::UInt8(more)) => all.extend_from_slice(more),
                (TensorData::Bool(all), TensorData::Bool(more)) => all.extend_from_slice(more),
                (TensorData::Text(all), TensorData::Text(more)) => all.extend_from_slice(more),
                (all, more) => {
                    return Err(Error::new(
                        ErrorCode::Dtype,
                        format!("dtypes {} and {} cannot be joined", all.dtype(), more.dtype()),
                    ));
                }
            }
            shape[0] += part.rows();
        }
        Tensor::new(shape, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_shape_that_overflows_is_refused() {
        assert!(Tensor::float32(vec![usize::MAX, 2], vec![]).is_err());
        assert!(Tensor::float32(vec![2, 2], vec![0.0; 3]).is_err());
    }

    proptest! {
        #[test]
        fn slices_join_to_the_whole(rows in 1usize..20, columns in 0usize..5, cut in 0usize..20) {
            let cut = cut.min(rows);
            let whole = Tensor::float32(vec![rows, columns], (0..rows * columns).map(|v| v as f32).collect()).unwrap();
            let (left, right) = (whole.slice_rows(0, cut).unwrap(), whole.slice_rows(cut, rows).unwrap());
            prop_assert_eq!(Tensor::concat_rows(&[&left, &right]).unwrap(), whole);
        }
    }
}
