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

    pub(crate) fn float32(&self, key: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let view = self.view(key)?;
        if view.dtype() != Dtype::F32 {
            return Err(Error::new(ErrorCode::Dtype, format!("it is {}, {} is needed", view.dtype(), DType::Float32))
                .at_key(key));
        }
        if view.shape() != shape {
            let message = format!("it has shape {:?}, the architecture needs {shape:?}", view.shape());
            return Err(Error::new(ErrorCode::Shape, message).at_key(key));
        }
        let values: Vec<f32> = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
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
