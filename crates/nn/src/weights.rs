//! Between named host tensors and safetensors bytes. Bytes are a function of the contents: equal weights give
//! equal files.

use lepton_core::{DType, Error, ErrorCode, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::BTreeMap;

/// Tensors to be written, by key.
#[derive(Default)]
pub(crate) struct Writer {
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
}

impl Writer {
    pub(crate) fn float32(&mut self, key: impl Into<String>, shape: &[usize], values: &[f32]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensors.insert(key.into(), (Dtype::F32, shape.to_vec(), bytes));
    }

    pub(crate) fn bytes(&mut self, key: impl Into<String>, bytes: Vec<u8>) {
        self.tensors.insert(key.into(), (Dtype::U8, vec![bytes.len()], bytes));
    }

    pub(crate) fn finish(&self) -> Result<Vec<u8>> {
        let failed = |source| Error::internal(format!("writing safetensors: {source}"));
        let mut views = Vec::with_capacity(self.tensors.len());
        for (key, (dtype, shape, bytes)) in &self.tensors {
            views.push((key, TensorView::new(*dtype, shape.clone(), bytes).map_err(failed)?));
        }
        // No metadata: its order in the file would not be fixed.
        safetensors::serialize(views, None).map_err(failed)
    }
}

/// Tensors that were read, still in the file's bytes.
pub(crate) struct Reader<'a> {
    tensors: SafeTensors<'a>,
}

impl<'a> Reader<'a> {
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Reader<'a>> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|source| {
            Error::new(ErrorCode::BadData, format!("not a safetensors file: {source}")).caused_by(source)
        })?;
        Ok(Reader { tensors })
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.tensors.names().into_iter()
    }

    /// Float32 values of that shape, all finite.
    pub(crate) fn float32(&self, key: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let view = self.view(key)?;
        if view.dtype() != Dtype::F32 {
            return Err(Error::new(ErrorCode::Dtype, format!("it is {}, {} is needed", view.dtype(), DType::Float32))
                .at_key(key));
        }
        self.floats(key, shape)
    }

    /// Values of that shape, all finite; float16 and bfloat16 become float32.
    pub(crate) fn floats(&self, key: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let view = self.view(key)?;
        if view.shape() != shape {
            let message = format!("it has shape {:?}, the architecture needs {shape:?}", view.shape());
            return Err(Error::new(ErrorCode::Shape, message).at_key(key));
        }
        let halves = || view.data().as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes));
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Dtype::F16 => halves().map(from_float16).collect(),
            // A bfloat16 is the upper half of a float32.
            Dtype::BF16 => halves().map(|bits| f32::from_bits(u32::from(bits) << 16)).collect(),
            other => {
                let message = format!("it is {other}, {}, float16 or bfloat16 is needed", DType::Float32);
                return Err(Error::new(ErrorCode::Dtype, message).at_key(key));
            }
        };
        if let Some(bad) = values.iter().find(|value| !value.is_finite()) {
            return Err(Error::new(ErrorCode::BadData, format!("it contains {bad}")).at_key(key));
        }
        Ok(values)
    }

    pub(crate) fn bytes(&self, key: &str) -> Result<&[u8]> {
        Ok(self.view(key)?.data())
    }

    fn view(&self, key: &str) -> Result<TensorView<'_>> {
        self.tensors
            .tensor(key)
            .map_err(|_| Error::new(ErrorCode::BadData, "this tensor is missing from the file").at_key(key))
    }
}

/// An IEEE 754 half as a float32, exactly.
fn from_float16(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (u32::from(bits >> 15) << 31, u32::from(bits >> 10) & 31, u32::from(bits) & 1023);
    match exponent {
        // Subnormal halves, and 0, are multiples of 2^-24.
        0 => f32::from_bits(sign | (fraction as f32 / 16_777_216.0).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_become_the_same_numbers() {
        let pairs = [
            (0x0000, 0.0),
            (0x8001, -5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3c00, 1.0),
            (0xc100, -2.5),
            (0x7bff, 65504.0),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (bits, value) in pairs {
            assert_eq!(from_float16(bits).to_bits(), f32::to_bits(value), "{bits:#06x}");
        }
        assert!(from_float16(0x7e00).is_nan() && from_float16(0x8000).is_sign_negative());
    }
}
