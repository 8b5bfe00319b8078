//! What a model takes and gives: names, dtypes and shapes, with -1 for a free side.

use crate::{DType, Error, ErrorCode, NamedTensors, Result};
use serde::{Deserialize, Serialize};

/// One named tensor of a model's face.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorSpec {
    /// The tensor's name in the ONNX file and on the wire.
    pub name: String,
    /// The element type.
    pub dtype: DType,
    /// Side lengths; -1 is free. The first side is the batch.
    pub shape: Vec<i64>,
}

impl TensorSpec {
    /// A spec whose first side is free.
    pub fn batched(name: impl Into<String>, dtype: DType, row_shape: &[usize]) -> TensorSpec {
        let shape = std::iter::once(-1).chain(row_shape.iter().map(|&side| side as i64)).collect();
        TensorSpec { name: name.into(), dtype, shape }
    }

    /// The side lengths with `rows` as the batch where that is free, and `free` for every other free side.
    pub fn sides(&self, rows: usize, free: usize) -> Vec<usize> {
        let side =
            |(place, &side): (usize, &i64)| usize::try_from(side).unwrap_or(if place == 0 { rows } else { free });
        self.shape.iter().enumerate().map(side).collect()
    }

    /// Whether `shape` fits this spec.
    pub fn fits(&self, shape: &[usize]) -> bool {
        self.shape.len() == shape.len()
            && self.shape.iter().zip(shape).all(|(&want, &got)| want == -1 || want == got as i64)
    }
}

/// Inputs and outputs of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Inputs in order.
    pub inputs: Vec<TensorSpec>,
    /// Outputs in order.
    pub outputs: Vec<TensorSpec>,
}

impl Signature {
    /// Checks names, dtypes and shapes of a request against the inputs.
    ///
    /// # Errors
    /// [`ErrorCode::BadInput`], [`ErrorCode::Dtype`] or [`ErrorCode::Shape`], naming the tensor and both sides.
    pub fn check_inputs(&self, tensors: &NamedTensors) -> Result<()> {
        for (name, _) in tensors {
            if !self.inputs.iter().any(|spec| &spec.name == name) {
                let names: Vec<_> = self.inputs.iter().map(|spec| spec.name.as_str()).collect();
                return Err(Error::new(ErrorCode::BadInput, format!("the model has no input \"{name}\""))
                    .fix(format!("its inputs are: {}", names.join(", "))));
            }
        }
        for spec in &self.inputs {
            let mut given = tensors.iter().filter(|(name, _)| name == &spec.name);
            let Some((_, tensor)) = given.next() else {
                return Err(Error::new(ErrorCode::BadInput, format!("input \"{}\" is missing", spec.name)));
            };
            if given.next().is_some() {
                return Err(Error::new(ErrorCode::BadInput, format!("input \"{}\" is given twice", spec.name)));
            }
            if tensor.dtype() != spec.dtype {
                return Err(Error::new(
                    ErrorCode::Dtype,
                    format!("input \"{}\" is {}, the model takes {}", spec.name, tensor.dtype(), spec.dtype),
                ));
            }
            if !spec.fits(tensor.shape()) {
                return Err(Error::new(
                    ErrorCode::Shape,
                    format!("input \"{}\" has shape {:?}, the model takes {:?}", spec.name, tensor.shape(), spec.shape),
                )
                .fix("-1 marks a side of any length"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;

    #[test]
    fn each_wrong_request_is_named() {
        let signature = Signature { inputs: vec![TensorSpec::batched("input", DType::Float32, &[2])], outputs: vec![] };
        let good = Tensor::float32(vec![3, 2], vec![0.0; 6]).unwrap();
        let flat = Tensor::float32(vec![6], vec![0.0; 6]).unwrap();
        let ints = Tensor::int64(vec![3, 2], vec![0; 6]).unwrap();
        let code = |tensors: NamedTensors| signature.check_inputs(&tensors).err().map(|error| error.code());
        assert_eq!(code(vec![("input".into(), good.clone())]), None);
        assert_eq!(code(vec![("input".into(), flat)]), Some(ErrorCode::Shape));
        assert_eq!(code(vec![("input".into(), ints)]), Some(ErrorCode::Dtype));
        assert_eq!(code(vec![("x".into(), good.clone())]), Some(ErrorCode::BadInput));
        assert_eq!(code(vec![]), Some(ErrorCode::BadInput));
        assert_eq!(code(vec![("input".into(), good.clone()), ("input".into(), good)]), Some(ErrorCode::BadInput));
    }

    #[test]
    fn free_sides_are_filled_and_zeros_have_every_dtype() {
        use DType::{Bool, Float32, Float64, Int8, Int32, Int64, Text, UInt8};
        for dtype in [Float32, Float64, Int64, Int32, Int8, UInt8, Bool, Text] {
            let spec = TensorSpec { name: "x".into(), dtype, shape: vec![-1, 3, -1] };
            assert_eq!(spec.sides(2, 5), [2, 3, 5]);
            let zeros = Tensor::zeros(spec.sides(2, 5), dtype).unwrap();
            assert_eq!((zeros.dtype(), zeros.shape(), zeros.data().len()), (dtype, [2, 3, 5].as_slice(), 30));
            assert!(Tensor::zeros(spec.sides(0, 0), dtype).unwrap().data().is_empty());
        }
        let error = Tensor::zeros([usize::MAX, 2], Float32).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Shape);
    }
}
